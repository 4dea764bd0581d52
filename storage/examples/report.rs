//! A report reads one state of the store while others go on writing.

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use darter_storage::{Error, Store};

fn main() -> Result<(), Error> {
    let store = Store::new();
    for item in 0..1000 {
        store.set(format!("stock:{item:04}"), "10");
    }
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Each sale moves one piece from one item to another: the total never changes.
            let mut item = 0;
            while !is_over.load(Ordering::Relaxed) {
                let (from, to) = (format!("stock:{item:04}"), format!("stock:{:04}", item + 1));
                store.transaction(|tx| {
                    let stock = tx.integer(0, from.as_bytes())?.unwrap_or(0);
                    tx.set_integer(0, from.as_bytes(), stock - 1)?;
                    let stock = tx.integer(0, to.as_bytes())?.unwrap_or(0);
                    tx.set_integer(0, to.as_bytes(), stock + 1)
                })?;
                item = (item + 1) % 999;
            }
            Ok::<(), Error>(())
        });
        for _ in 0..5 {
            let snapshot = store.snapshot();
            let mut total = 0;
            snapshot.prefix("stock:", |key, _| {
                total += snapshot
                    .read(|tx| tx.integer(0, key))
                    .ok()
                    .flatten()
                    .unwrap_or(0);
                true
            })?;
            println!("as of commit {}: {total} pieces", snapshot.number());
            assert_eq!(total, 10_000);
        }
        is_over.store(true, Ordering::Relaxed);
        Ok(())
    })
}
