//! Keys are in order, so all keys with a prefix are found without looking at any other.

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use darter_storage::{Error, Store, ValueRef};

fn main() -> Result<(), Error> {
    let store = Store::new();
    for day in 1..=31 {
        store.set(
            format!("log:2026-01-{day:02}"),
            format!("entry of day {day}"),
        );
        store.set(format!("other:{day}"), "not looked at");
    }
    let snapshot = store.snapshot();
    snapshot.prefix("log:2026-01-1", |key, value| {
        if let ValueRef::String(text) = value {
            println!(
                "{} = {}",
                String::from_utf8_lossy(key),
                String::from_utf8_lossy(&text.to_cow())
            );
        }
        true
    })?;
    let keys = snapshot.read(|tx| tx.keys(0, b"log:2026-01-05", Some(b"log:2026-01-08"), 100))?;
    assert_eq!(keys.len(), 3);
    Ok(())
}
