//! I2: a snapshot sees exactly the commits below its number: all of each, for as long as it lives.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use darter_storage::{Error, HashValue, Options, Snapshot, Store, TimeSource, Value, ValueRef};

const KEYS: u8 = 8;

/// What is seen of keys that are always written together.
type Numbers = Vec<Option<i64>>;

fn numbers(snapshot: &Snapshot) -> Numbers {
    let read = |key: u8| snapshot.read(|tx| tx.integer(0, &[key]));
    (0..KEYS).map(|key| read(key).expect("a number")).collect()
}

#[test]
fn i2_a_snapshot_taken_between_commits_has_all_of_each_and_keeps_it() {
    const SNAPSHOTS: usize = 300;
    let store = Store::new();
    let has_ended = AtomicBool::new(false);
    let mut held: Vec<(Snapshot, Numbers)> = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0;
            while !has_ended.load(Ordering::Relaxed) {
                round += 1;
                let written = store.transaction(|tx| {
                    (0..KEYS).try_for_each(|key| tx.set_integer(0, &[key], round))
                });
                assert_eq!(written, Ok::<_, Error>(()));
            }
        });
        while held.len() < SNAPSHOTS {
            let snapshot = store.snapshot();
            let seen = numbers(&snapshot);
            if held.last().is_none_or(|(_, last)| *last != seen) {
                held.push((snapshot, seen));
            }
        }
        has_ended.store(true, Ordering::Relaxed);
    });
    for (_, seen) in &held {
        assert!(seen.iter().all(|number| *number == seen[0]), "{seen:?}");
    }
    assert!(held.is_sorted_by_key(|(_, seen)| seen[0]), "time went back");
    for (snapshot, seen) in &held {
        assert_eq!(numbers(snapshot), *seen, "a held snapshot has changed");
    }
}

fn everything(snapshot: &Snapshot) -> Vec<(Vec<u8>, usize)> {
    let mut all = Vec::new();
    let ended = snapshot.range(b"", None, |key, value| {
        let size = match value {
            ValueRef::Hash(hash) => hash.len(),
            ValueRef::String(string) => string.len(),
            _ => 0,
        };
        all.push((key.to_vec(), size));
        true
    });
    assert_eq!(ended, Ok(()));
    all
}

#[test]
fn i2_a_held_snapshot_outlives_every_kind_of_change() {
    let options = Options {
        time: TimeSource::Manual,
        ..Options::default()
    };
    let store = Store::with_options(options);
    store.set_time(1_000);
    for key in ["changed", "deleted", "expires", "renamed"] {
        store.set(key, "text");
    }
    let large = || {
        let mut hash = HashValue::new();
        for field in 0..5_000_u32 {
            hash.insert(&field.to_be_bytes(), b"");
        }
        Value::Hash(hash)
    };
    store
        .update::<_, Error>("large", large, |_| Ok(()))
        .expect("writable");
    store
        .transaction(|tx| tx.set_deadline(0, b"expires", 2_000))
        .expect("writable");
    let snapshot = store.snapshot();
    let before = everything(&snapshot);
    assert_eq!(before.len(), 5);

    type Change = fn(&Store) -> Result<(), Error>;
    let changes: [Change; 8] = [
        |store| store.transaction(|tx| tx.set_integer(0, b"changed", 12_345)),
        |store| store.transaction(|tx| tx.delete(0, b"deleted").map(drop)),
        |store| {
            store.set_time(2_000);
            Ok(())
        },
        |store| store.transaction(|tx| tx.rename((0, b"renamed"), (0, b"name")).map(drop)),
        |store| store.transaction(|tx| tx.rename((0, b"large"), (1, b"moved")).map(drop)),
        |store| store.transaction(|tx| tx.set_integer(0, b"new", 1)),
        |store| store.exclusive(|tx| tx.swap(0, 1)),
        |store| store.exclusive(|tx| (0..2).try_for_each(|database| tx.flush(database))),
    ];
    for change in changes {
        assert_eq!(change(&store), Ok(()));
        while store.maintain(1_000) {}
        assert_eq!(everything(&snapshot), before);
    }
    assert_eq!(everything(&store.snapshot()), []);
}
