//! Money moves between accounts from many threads at once; none is lost, none is made.

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::thread;

use darter_storage::{Error, Store};

const ACCOUNTS: u64 = 100;
const THREADS: u64 = 4;
const TRANSFERS: u64 = 10_000;

fn account(number: u64) -> Vec<u8> {
    format!("account:{}", number % ACCOUNTS).into_bytes()
}

fn transfer(store: &Store, from: &[u8], to: &[u8]) -> Result<(), Error> {
    store.transaction(|tx| {
        let balance = tx.integer(0, from)?.unwrap_or(0);
        tx.set_integer(0, from, balance - 1)?;
        let balance = tx.integer(0, to)?.unwrap_or(0);
        tx.set_integer(0, to, balance + 1)
    })
}

fn main() -> Result<(), Error> {
    let store = Store::new();
    for number in 0..ACCOUNTS {
        store.set(account(number), "1000");
    }
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                for turn in 0..TRANSFERS {
                    let from = thread * 7 + turn * 13;
                    transfer(store, &account(from), &account(from + 1 + turn % 50))?;
                }
                Ok::<(), Error>(())
            });
        }
    });
    let sum = store.snapshot().read(|tx| {
        (0..ACCOUNTS)
            .map(|number| tx.integer(0, &account(number)))
            .try_fold(0, |sum, balance| {
                Ok::<i64, Error>(sum + balance?.unwrap_or(0))
            })
    })?;
    assert_eq!(sum, 1000 * ACCOUNTS as i64);
    let counts = store.counts();
    println!(
        "{} commits, {} attempts repeated, sum {sum}",
        counts.commits, counts.retries
    );
    Ok(())
}
