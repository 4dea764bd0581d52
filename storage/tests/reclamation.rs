//! I5: what no held snapshot can see is freed, between two snapshots too, and on keys that are
//! never touched again.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use darter_storage::{
    Deadline, HashValue, ListValue, Mode, Options, Store, TimeSource, Value, ValueRef,
};

fn settled(store: &Store) -> u64 {
    while store.maintain(10_000) {}
    let counts = store.counts();
    counts.versions_made - counts.versions_freed
}

#[test]
fn i5_overwriting_leaves_one_version_a_key() {
    let store = Store::new();
    for round in 0..100 {
        for key in 0..50 {
            store.set(format!("k{key}"), round.to_string());
        }
    }
    assert_eq!(settled(&store), 50);
}

#[test]
fn i5_a_held_snapshot_keeps_what_it_sees_and_nothing_more() {
    let store = Store::new();
    store.set("k", "0");
    let first = store.snapshot();
    for round in 1..1000 {
        store.set("k", round.to_string());
    }
    let second = store.snapshot();
    for round in 1000..2000 {
        store.set("k", round.to_string());
    }
    assert_eq!(settled(&store), 3);
    assert_eq!(
        first.get("k").expect("a string").as_deref(),
        Some(&b"0"[..])
    );
    assert_eq!(
        second.get("k").expect("a string").as_deref(),
        Some(&b"999"[..])
    );
    drop(first);
    assert_eq!(settled(&store), 2);
    drop(second);
    assert_eq!(settled(&store), 1);
}

#[test]
fn i5_a_key_never_touched_again_is_trimmed_when_its_snapshot_ends() {
    let store = Store::new();
    for key in 0..100 {
        store.set(format!("k{key}"), "old");
    }
    let snapshot = store.snapshot();
    for key in 0..100 {
        store.set(format!("k{key}"), "new");
    }
    assert_eq!(settled(&store), 200);
    drop(snapshot);
    assert_eq!(settled(&store), 100);
}

#[test]
fn i5_deleted_keys_leave_nothing() {
    let store = Store::new();
    for key in 0..1000 {
        store.set(format!("k{key}"), "v");
    }
    for key in 0..1000 {
        assert!(store.remove(format!("k{key}")));
    }
    assert_eq!(settled(&store), 0);
    assert_eq!(store.key_counts(0), (0, 0));
}

#[test]
fn i5_expired_keys_are_removed_without_being_touched() {
    let options = Options {
        time: TimeSource::Manual,
        ..Options::default()
    };
    let store = Store::with_options(options);
    store.set_time(1_000);
    for key in 0..500 {
        store
            .transaction(|tx| {
                let key = format!("k{key}").into_bytes();
                tx.set_integer(0, &key, 1)?;
                tx.set_deadline(0, &key, 2_000)
            })
            .expect("writable");
    }
    assert_eq!(store.key_counts(0), (500, 500));
    store.set_time(2_000);
    assert_eq!(store.get("k1").expect("a string"), None);
    assert_eq!(settled(&store), 0);
    assert_eq!(store.counts().expired, 500);
}

#[test]
fn what_has_expired_stays_where_it_is_left() {
    let store = Store::with_options(Options {
        time: TimeSource::Manual,
        ..Options::default()
    });
    store.set_time(1_000);
    let expiring = |key: &str| {
        store
            .transaction(|tx| {
                tx.set_integer(0, key.as_bytes(), 1)?;
                tx.set_deadline(0, key.as_bytes(), 2_000)
            })
            .expect("writable");
    };
    (0..100).for_each(|key| expiring(&format!("k{key}")));
    for key in 0..100 {
        store.set(format!("flushed{key}"), "v");
    }
    store.set_time(2_000);
    for _ in 0..100 {
        while store.maintain_unexpired(1000) {}
    }
    assert_eq!(store.counts().expired, 0);
    assert_eq!(store.key_counts(0), (200, 100));
    assert_eq!(store.get("k1").expect("a string"), None, "nobody sees it");
    // All else is done as ever.
    let kept = store.counts().versions_made - store.counts().versions_freed;
    store.exclusive(|tx| tx.flush(0)).expect("a database");
    let live = || store.counts().versions_made - store.counts().versions_freed;
    for _ in 0..100 {
        while store.maintain_unexpired(1000) {}
    }
    assert!(live() < kept, "{} of {kept}", live());
    assert_eq!(settled(&store), 0);
}

#[test]
fn i5_a_flushed_database_is_swept_once_no_snapshot_names_it() {
    let store = Store::new();
    for key in 0..1000 {
        store.set(format!("k{key}"), "v");
    }
    let snapshot = store.snapshot();
    store.exclusive(|tx| tx.flush(0)).expect("a database");
    assert_eq!(store.get("k1").expect("a string"), None);
    assert_eq!(
        snapshot.get("k1").expect("a string").as_deref(),
        Some(&b"v"[..])
    );
    drop(snapshot);
    assert_eq!(settled(&store), 0);
}

#[test]
fn maintenance_comes_to_an_end_while_somebody_is_pinned() {
    let store = Store::new();
    for key in 0..1000 {
        store.set(format!("k{key}"), "v");
    }
    let pinned = store.begin(Mode::Direct);
    assert!(pinned.get(0, b"k1").expect("a database").is_some());
    store.exclusive(|tx| tx.flush(0)).expect("a database");
    // As long as there is something to do at once, and no longer: this thread waits for itself.
    settled(&store);
    drop(pinned);
    assert_eq!(settled(&store), 0);
}

#[test]
fn sweeping_leaves_the_databases_that_a_flush_has_just_made() {
    let store = Store::new();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(SeqCst) {
                store.maintain(1000);
            }
        });
        let lost = (0..5000).find(|round: &u32| {
            store.exclusive(|tx| tx.flush(0)).expect("a database");
            store.set("k", round.to_string());
            std::thread::yield_now();
            store.get("k").expect("a string") != Some(round.to_string().into_bytes())
        });
        is_done.store(true, SeqCst);
        assert_eq!(lost, None);
    });
}

/// Found by the sanitizers, if what is looked at has been freed.
#[test]
fn looking_ahead_into_collections_that_are_replaced_meets_nothing_freed() {
    const ROUNDS: u8 = 20;
    let store = Store::new();
    let is_over = AtomicBool::new(false);
    let lookups: Vec<(&[u8], Option<&[u8]>)> = [&b"hash"[..], b"list"]
        .into_iter()
        .flat_map(|key| (0..8).map(move |_| (key, Some(&b"element"[..]))))
        .collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(SeqCst) {
                store.prefetch(0, &lookups);
            }
        });
        for round in 0..ROUNDS {
            let mut hash = HashValue::new();
            let mut list = ListValue::new();
            for element in 0..1_000_u32 {
                hash.insert(&element.to_be_bytes(), &[round; 16]);
                list.push_back(&[round; 16]);
            }
            let mut tx = store.begin(Mode::Optimistic);
            for (key, value) in [
                (&b"hash"[..], Value::Hash(hash)),
                (b"list", Value::List(list)),
            ] {
                tx.set(0, key, value, Deadline::Never).expect("database 0");
            }
            tx.commit().expect("blind writes");
            while store.maintain(10_000) {}
        }
        is_over.store(true, SeqCst);
    });
    let last = store.view("hash", |value| match value {
        Some(ValueRef::Hash(hash)) => hash.get(&7_u32.to_be_bytes()) == Some(&[ROUNDS - 1; 16]),
        _ => false,
    });
    assert_eq!(last, Ok(true));
    assert_eq!(settled(&store), 2);
}
