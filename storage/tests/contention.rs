//! I1, I4: what commits do to each other that meet on one key.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use darter_storage::{Deadline, Error, HashValue, Mode, Store, StringValue, Value, ValueMut};

/// A changed copy of a large value, whose compare-and-swap loses to a commit that is then given
/// up, goes over the very version that it was made from, and keeps what it shares with it.
#[test]
fn i4_a_large_value_outlives_commits_that_fail_over_it() {
    const FIELDS: u32 = 2_000;
    const ROUNDS: u32 = 20_000;
    let store = Store::new();
    let insert = |value: ValueMut<'_>, field: u32, to: u32| match value {
        ValueMut::Hash(mut hash) => {
            hash.insert(&field.to_be_bytes(), &to.to_be_bytes());
            Ok(())
        }
        other => Err(Error::wrong_type(
            darter_storage::Type::Hash,
            other.as_ref().kind(),
        )),
    };
    for field in 0..FIELDS {
        let make = || Value::Hash(HashValue::new());
        store
            .update("k", make, |value| insert(value, field, 0))
            .expect("a hash");
    }
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !has_ended.load(Ordering::Relaxed) {
                let mut tx = store.begin(Mode::Optimistic);
                let _ = tx.get(0, b"r");
                if let Some(value) = tx.update(0, b"k").expect("writable") {
                    insert(value, FIELDS, 1).expect("a hash");
                }
                store.set("r", "changed");
                assert!(tx.commit().is_err(), "what it read has changed");
            }
        });
        for round in 1..=ROUNDS {
            let make = || Value::Hash(HashValue::new());
            store
                .update("k", make, |value| insert(value, round % FIELDS, round))
                .expect("a hash");
        }
        has_ended.store(true, Ordering::Relaxed);
    });
    let length = store.view("k", |value| match value {
        Some(darter_storage::ValueRef::Hash(hash)) => hash.len(),
        _ => 0,
    });
    assert_eq!(length, Ok(FIELDS as usize));
}

/// A transaction that is restarted compares what it reads, even if it did not before.
#[test]
fn i1_a_restarted_transaction_compares_its_reads_again() {
    let store = Store::new();
    let mut tx = store.begin(Mode::Direct);
    tx.skip_comparison();
    assert_eq!(tx.bytes(0, b"other").expect("absent"), None);
    tx.restart();
    assert_eq!(tx.bytes(0, b"k").expect("absent"), None);
    store.set("k", "theirs");
    let own = Value::String(StringValue::new(b"own"));
    tx.set(0, b"k", own, Deadline::Never).expect("writable");
    assert!(tx.commit().is_err());
}

/// What has failed because of several keys is compared without its writes.
#[test]
fn i1_what_is_given_up_is_still_compared() {
    let store = Store::new();
    let mut tx = store.begin(Mode::Direct);
    assert_eq!(tx.bytes(0, b"a").expect("absent"), None);
    tx.set_integer(0, b"c", 1).expect("writable");
    store.set("a", "theirs");
    assert_eq!(tx.bytes(0, b"b").expect("absent"), None);
    tx.forget_writes();
    assert!(tx.commit().is_err());
    tx.restart();
    assert!(tx.bytes(0, b"a").expect("a string").is_some());
    assert_eq!(tx.bytes(0, b"b").expect("absent"), None);
    tx.set_integer(0, b"c", 1).expect("writable");
    tx.forget_writes();
    assert!(tx.commit().is_ok());
    assert_eq!(store.get("c"), Ok(None));
}
