//! Snapshots that are held for too long, or keep too much, are ended; nobody waits for them.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use darter_storage::{
    Deadline, Error, HashValue, Mode, Options, SnapshotLimits, Store, StringValue, TimeSource,
    Transaction, Type, Value, ValueMut,
};
use proptest::prelude::*;

const NO_LIMITS: fn() -> SnapshotLimits = SnapshotLimits::default;

fn store() -> Store {
    Store::with_options(Options {
        time: TimeSource::Manual,
        ..Options::default()
    })
}

/// Does all housekeeping; how many versions there are then.
fn settled(store: &Store) -> u64 {
    for _ in 0..4 {
        while store.maintain(10_000) {}
    }
    let counts = store.counts();
    counts.versions_made - counts.versions_freed
}

fn insert(store: &Store, key: &str, field: usize, text: &str) {
    let insert = |value: ValueMut<'_>| match value {
        ValueMut::Hash(mut hash) => {
            Ok(hash.insert(format!("f{field}").as_bytes(), text.as_bytes()))
        }
        other => Err(Error::wrong_type(Type::Hash, other.kind())),
    };
    let empty = || Value::Hash(HashValue::new());
    store.update(key, empty, insert).expect("a hash");
}

#[test]
fn i5_one_that_is_ended_lets_go_of_what_it_kept_without_its_holder() {
    let store = store();
    for key in 0..100 {
        store.set(format!("k{key}"), "x".repeat(1000));
    }
    (0..2000).for_each(|field| insert(&store, "hash", field, "old"));
    store.limit_snapshots(SnapshotLimits {
        age_ms: 10,
        ..NO_LIMITS()
    });
    let snapshot = store.snapshot();
    for key in 0..100 {
        store.set(format!("k{key}"), "y");
    }
    (0..2000).for_each(|field| insert(&store, "hash", field, "new"));
    store.set_time(10);
    assert!(settled(&store) > 200, "ten milliseconds are not too long");
    assert!(store.kept_bytes() > 150_000, "{}", store.kept_bytes());
    assert!(snapshot.get("k7").is_ok());

    store.set_time(11);
    assert_eq!(settled(&store), 101);
    assert_eq!(store.kept_bytes(), 0);
    assert_eq!(store.counts().snapshots_ended, 1);
    assert_eq!(store.snapshots_held().0, 0);
    assert_eq!(snapshot.get("k7"), Err(Error::SnapshotTooOld));
    let all = snapshot.prefix("k", |_, _| true);
    assert_eq!(all, Err(Error::SnapshotTooOld));

    let newer = store.snapshot();
    drop(snapshot);
    store.set("k7", "z");
    assert_eq!(settled(&store), 102, "the newer one keeps what it sees");
    assert_eq!(newer.get("k7"), Ok(Some(b"y".to_vec())));
}

#[test]
fn the_oldest_are_ended_when_there_are_too_many() {
    let store = store();
    let held: Vec<_> = (0..5).map(|_| store.snapshot()).collect();
    store.limit_snapshots(SnapshotLimits {
        count: 2,
        ..NO_LIMITS()
    });
    store.maintain(0);
    let are_held: Vec<_> = held.iter().map(|one| one.get("k").is_ok()).collect();
    assert_eq!(are_held, [false, false, false, true, true]);
}

#[test]
fn the_oldest_is_ended_when_too_much_is_kept_and_no_more_than_needed() {
    let store = store();
    store.set("k", "x".repeat(100_000));
    store.set("l", "x".repeat(100_000));
    let oldest = store.snapshot();
    store.set("k", "y");
    let middle = store.snapshot();
    store.set("l", "y");
    let newest = store.snapshot();
    let kept_bytes = 150_000;
    store.limit_snapshots(SnapshotLimits {
        kept_bytes,
        ..NO_LIMITS()
    });
    settled(&store);
    assert_eq!(oldest.get("k"), Err(Error::SnapshotTooOld));
    assert!(middle.get("l").is_ok() && newest.get("l").is_ok());
    assert!(store.kept_bytes() <= kept_bytes);
}

/// What it would write lies on what it read, so it is not taken from under it.
#[test]
fn a_transaction_that_writes_is_refused_at_its_next_access() {
    let store = store();
    (0..3000).for_each(|field| insert(&store, "hash", field, "old"));
    let write = |tx: &mut Transaction| {
        tx.upsert(0, b"hash", || Value::Hash(HashValue::new()))
            .map(|value| match value {
                ValueMut::Hash(mut hash) => hash.insert(b"f1", b"mine"),
                other => panic!("{:?}", other.kind()),
            })
    };
    for commits in [false, true] {
        let mut tx = store.begin(Mode::Optimistic);
        write(&mut tx).expect("a hash");
        tx.unpin();
        store.limit_snapshots(SnapshotLimits {
            count: 0,
            ..NO_LIMITS()
        });
        if !commits {
            (0..3000).for_each(|field| insert(&store, "hash", field, "new"));
        }
        settled(&store);
        store.limit_snapshots(NO_LIMITS());
        tx.pin();
        assert_eq!(write(&mut tx).err(), Some(Error::SnapshotTooOld));
        if commits {
            // It had done everything before, and what it read still holds.
            assert!(tx.commit().is_ok());
        }
        drop(tx);
        assert_eq!(settled(&store), 1);
        assert_eq!(store.kept_bytes(), 0);
    }
}

#[test]
fn i2_what_is_read_is_whole_or_refused_while_snapshots_are_ended() {
    let store = Store::new();
    let pair = |number: usize| {
        let set = |tx: &mut Transaction| {
            let value = || Value::String(StringValue::new(number.to_string().as_bytes()));
            tx.set(0, b"a", value(), Deadline::Never)?;
            tx.set(0, b"b", value(), Deadline::Never)
        };
        // It reads at a number, too.
        while store.transaction(set) == Err(Error::SnapshotTooOld) {}
    };
    pair(0);
    let is_over = AtomicBool::new(false);
    let (mut whole, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (0..20_000).for_each(pair);
            is_over.store(true, SeqCst);
        });
        scope.spawn(|| {
            let all = SnapshotLimits {
                count: 0,
                ..NO_LIMITS()
            };
            store.limit_snapshots(all);
            while !is_over.load(SeqCst) {
                store.maintain(0);
            }
        });
        while !is_over.load(SeqCst) {
            let snapshot = store.snapshot();
            for _ in 0..100 {
                let (a, b) = (snapshot.get("a"), snapshot.get("b"));
                match (a, b) {
                    (Ok(a), Ok(b)) => {
                        assert_eq!(a, b);
                        whole += 1;
                    }
                    (Err(Error::SnapshotTooOld), _) | (_, Err(Error::SnapshotTooOld)) => {
                        refused += 1;
                        break;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    });
    assert!(whole > 0 && refused > 0, "{whole} whole, {refused} refused");
}

#[derive(Clone, Debug)]
enum Turn {
    Set(usize, usize),
    Insert(usize, usize),
    Fill(usize),
    Rename(usize, usize),
    Delete(usize),
    Flush,
    Hold,
    Release(usize),
    Expire(usize),
}

fn turn() -> impl Strategy<Value = Turn> {
    let key = 0..4_usize;
    prop_oneof![
        (key.clone(), 0..3000_usize).prop_map(|(key, length)| Turn::Set(key, length)),
        (key.clone(), 0..3000_usize).prop_map(|(key, field)| Turn::Insert(key, field)),
        key.clone().prop_map(Turn::Fill),
        (key.clone(), key.clone()).prop_map(|(from, to)| Turn::Rename(from, to)),
        key.clone().prop_map(Turn::Delete),
        Just(Turn::Flush),
        Just(Turn::Hold),
        (0..8_usize).prop_map(Turn::Release),
        key.prop_map(Turn::Expire),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever happens to keys and snapshots, what is counted as kept is nothing once nobody can
    /// read it: the limit on it never ends the wrong ones after a long while.
    #[test]
    fn what_is_kept_comes_back_to_nothing(turns in prop::collection::vec(turn(), 1..60)) {
        let store = store();
        store.set_time(1);
        let mut held = Vec::new();
        let name = |key: usize| format!("k{key}");
        for (now_ms, turn) in (2..).zip(turns) {
            store.set_time(now_ms);
            match turn {
                Turn::Set(key, length) => store.set(name(key), "x".repeat(length)),
                Turn::Insert(key, field) => {
                    let is_hash = store.view(name(key), |value| {
                        value.is_none_or(|value| value.kind() == Type::Hash)
                    });
                    if is_hash == Ok(true) {
                        insert(&store, &name(key), field, "more");
                    }
                }
                Turn::Fill(key) => {
                    store.remove(name(key));
                    let set = |tx: &mut Transaction| {
                        let mut hash = HashValue::new();
                        for field in 0..1500 {
                            hash.insert(format!("f{field}").as_bytes(), b"text");
                        }
                        tx.set(0, name(key).as_bytes(), Value::Hash(hash), Deadline::Never)
                    };
                    prop_assert_eq!(store.transaction(set), Ok(()));
                }
                Turn::Rename(from, to) => {
                    let rename = |tx: &mut Transaction| {
                        tx.rename((0, name(from).as_bytes()), (0, name(to).as_bytes()))
                    };
                    prop_assert!(store.transaction(rename).is_ok());
                }
                Turn::Delete(key) => {
                    store.remove(name(key));
                }
                Turn::Flush => {
                    prop_assert!(store.exclusive(|tx| tx.flush(0)).is_ok());
                }
                Turn::Hold => held.push(store.snapshot()),
                Turn::Release(index) if index < held.len() => drop(held.swap_remove(index)),
                Turn::Release(_) => {}
                Turn::Expire(key) => {
                    let expire = |tx: &mut Transaction| {
                        tx.set_deadline(0, name(key).as_bytes(), now_ms + 3)
                    };
                    prop_assert!(store.transaction(expire).is_ok());
                }
            }
        }
        drop(held);
        settled(&store);
        prop_assert_eq!(store.kept_bytes(), 0, "{:?}", store.counts());
    }
}

/// What it compared is kept for nobody once its snapshot was ended.
#[test]
fn a_transaction_whose_snapshot_was_ended_looks_for_no_changed_key() {
    let store = store();
    store.set("k", "v");
    let snapshot = store.snapshot();
    let mut tx = store.begin(Mode::Snapshot);
    assert_eq!(tx.is_unchanged_since(&snapshot, 0, b"k"), Ok(true));
    tx.unpin();
    drop(snapshot);
    let flushed = store.exclusive(|tx| tx.flush(0));
    assert_eq!(flushed, Ok::<_, Error>(()));
    store.limit_snapshots(SnapshotLimits {
        count: 0,
        ..SnapshotLimits::default()
    });
    (0..100).for_each(|_| _ = store.maintain(100));
    assert_eq!(tx.changed_key(), None);
}
