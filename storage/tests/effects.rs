//! I4, I8: the stream of effects shows every commit once, whole, in commit order, and nothing of
//! what was given up.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use darter_storage::{
    ChangeKind, Deadline, Effect, Error, HashValue, Listener, Message, Mode, Options, Store,
    TimeSource, Type, Value, ValueMut,
};

/// A store whose time moves as it is told to.
fn store_at(now_ms: u64) -> Store {
    let store = Store::with_options(Options {
        time: TimeSource::Manual,
        ..Options::default()
    });
    store.set_time(now_ms);
    store
}

fn listening(store: &Store) -> (Listener, Receiver<Effect>) {
    let (sender, receiver) = channel();
    let listener = store.listen(Box::new(move |effect| {
        // The test has ended if nobody receives.
        let _ = sender.send(effect.clone());
    }));
    (listener, receiver)
}

fn message(text: &str) -> Message {
    Message {
        channel: b"news"[..].into(),
        payload: text.as_bytes().into(),
        sharded: false,
    }
}

#[test]
fn i4_each_commit_is_shown_whole_and_in_order() {
    let store = Store::new();
    store.set("before", "not shown");
    let (_listener, effects) = listening(&store);
    store.set("a", "1");
    store
        .transaction(|tx| {
            tx.set_integer(0, b"c", 1)?;
            tx.set_integer(0, b"b", 1)?;
            tx.publish(message("both"));
            Ok::<_, Error>(())
        })
        .expect("writable");
    store.remove("a");
    store.merge_effects();
    let all: Vec<Effect> = effects.try_iter().collect();
    let keys = |effect: &Effect| {
        effect
            .changes
            .iter()
            .map(|c| c.key.to_vec())
            .collect::<Vec<_>>()
    };
    assert_eq!(all.len(), 3);
    assert_eq!(keys(&all[0]), [b"a"]);
    assert_eq!(keys(&all[1]), [b"b", b"c"]);
    assert_eq!(all[1].messages, [message("both")]);
    assert_eq!(all[1].changes[0].kind, ChangeKind::Written(Type::String));
    assert_eq!(all[2].changes[0].kind, ChangeKind::Deleted);
    let sequences: Vec<u64> = all.iter().map(|effect| effect.sequence).collect();
    assert_eq!(sequences, [1, 2, 3]);
}

#[test]
fn i8_what_was_given_up_is_not_shown() {
    let store = Store::new();
    let (_listener, effects) = listening(&store);
    let mut one = store.begin(Mode::Optimistic);
    one.set_integer(0, b"a", 1).expect("writable");
    one.publish(message("never"));
    drop(one);
    let mut two = store.begin(Mode::Optimistic);
    let seen = two.integer(0, b"n").expect("absent");
    store.set("n", "1");
    two.set_integer(0, b"n", seen.unwrap_or(0) + 1)
        .expect("writable");
    two.publish(message("never"));
    assert!(two.commit().is_err());
    store.merge_effects();
    let all: Vec<Effect> = effects.try_iter().collect();
    assert_eq!(all.len(), 1);
    assert!(all[0].messages.is_empty());
}

#[test]
fn expiry_is_shown_as_such() {
    let store = store_at(1_000);
    let (_listener, effects) = listening(&store);
    store
        .transaction(|tx| {
            tx.set_integer(0, b"k", 1)?;
            tx.set_deadline(0, b"k", 2_000)
        })
        .expect("writable");
    store.set_time(2_000);
    while store.maintain(100) {}
    store.merge_effects();
    let kinds: Vec<ChangeKind> = effects
        .try_iter()
        .flat_map(|effect| effect.changes)
        .map(|change| change.kind)
        .collect();
    assert_eq!(
        kinds,
        [ChangeKind::Written(Type::String), ChangeKind::Expired]
    );
}

/// What is removed because its time has passed is shown with the commit that removes it.
#[test]
fn expiry_of_fields_is_shown_as_such() {
    let store = store_at(1_000);
    let (_listener, effects) = listening(&store);
    let mut hash = HashValue::new();
    for (field, deadline_ms) in [(b"a", 2_000), (b"b", 3_000), (b"c", 4_000)] {
        hash.insert(field, b"");
        hash.set_deadline(field, deadline_ms);
    }
    let mut tx = store.begin(Mode::Direct);
    tx.set(0, b"h", Value::Hash(hash), Deadline::Never)
        .expect("writable");
    assert!(tx.commit().is_ok());
    store.set_time(2_000);
    while store.maintain(100) {}
    store.set_time(3_000);
    store
        .transaction(|tx| match tx.update(0, b"h")? {
            Some(ValueMut::Hash(mut hash)) => Ok::<_, Error>(hash.insert(b"c", b"1")),
            _ => Ok(false),
        })
        .expect("writable");
    store
        .transaction(|tx| match tx.update(0, b"h")? {
            Some(ValueMut::Hash(mut hash)) => Ok::<_, Error>(hash.set_deadline(b"c", 4_000)),
            _ => Ok(false),
        })
        .expect("writable");
    store.set_time(4_000);
    while store.maintain(100) {}
    store.merge_effects();
    let shown: Vec<_> = effects
        .try_iter()
        .flat_map(|effect| effect.changes)
        .map(|change| (change.kind, change.fields_expired))
        .collect();
    let written = ChangeKind::Written(Type::Hash);
    assert_eq!(
        shown,
        [
            (written, false),
            (written, true),
            (written, true),
            (written, false),
            (ChangeKind::Expired, true)
        ]
    );
}

/// Many threads write; the stream, applied in its order, gives the store's own state.
#[test]
fn i4_the_stream_is_a_serial_order_of_the_commits() {
    const THREADS: u64 = 3;
    const COMMITS: u64 = 2_000;
    let store = Store::new();
    let (listener, effects) = listening(&store);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                for turn in 0..COMMITS {
                    let text = format!("{thread}:{turn}");
                    let (one, other) = (format!("k{}", turn % 7), format!("k{}", (turn + 3) % 7));
                    store
                        .transaction(|tx| {
                            tx.publish(message(&text));
                            for key in [&one, &other] {
                                let n = tx.integer(0, key.as_bytes())?.unwrap_or(0);
                                tx.set_integer(0, key.as_bytes(), n + 1)?;
                            }
                            Ok::<_, Error>(())
                        })
                        .expect("integers");
                    store.merge_effects();
                }
            });
        }
    });
    store.merge_effects();
    drop(listener);
    let (mut counts, mut last_turn, mut sequence) = (HashMap::new(), HashMap::new(), 0);
    for effect in effects.try_iter() {
        assert_eq!(effect.sequence, sequence + 1, "a gap");
        sequence = effect.sequence;
        let [told] = &effect.messages[..] else {
            panic!("one message a commit")
        };
        let text = String::from_utf8(told.payload.to_vec()).expect("digits");
        let (thread, turn) = text.split_once(':').expect("two numbers");
        let turn: i64 = turn.parse().expect("a number");
        let last = last_turn.insert(thread.to_owned(), turn).unwrap_or(-1);
        assert_eq!(turn, last + 1, "commits of one thread out of order");
        for change in effect.changes {
            *counts.entry(change.key).or_insert(0) += 1;
        }
    }
    assert_eq!(sequence, THREADS * COMMITS);
    for (key, count) in counts {
        let held = store.get(&key).expect("a string").expect("a key");
        assert_eq!(held, format!("{count}").into_bytes());
    }
}

/// Streams that end while others merge leave nothing behind: no number stays protected, and no
/// commit of one stream is shown by the next.
#[test]
fn a_stream_may_end_while_others_merge() {
    const STREAMS: u64 = 300;
    let store = Store::new();
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        for thread in 0..2 {
            let (store, has_ended) = (&store, &has_ended);
            scope.spawn(move || {
                let mut turn = 0_u64;
                while !has_ended.load(Ordering::Relaxed) {
                    turn += 1;
                    store.set(format!("k{thread}{}", turn % 3), turn.to_string());
                    store.merge_effects();
                }
            });
        }
        for stream in 0..STREAMS {
            let (listener, effects) = listening(&store);
            let key = format!("own{stream}");
            store.set(&key, "1");
            store.merge_effects();
            drop(listener);
            let shown = effects.try_iter().flat_map(|effect| effect.changes);
            let own: Vec<_> = shown
                .filter(|change| change.key.starts_with(b"own"))
                .collect();
            assert!(own.iter().all(|change| *change.key == *key.as_bytes()));
            store.remove(&key);
        }
        has_ended.store(true, Ordering::Relaxed);
    });
    for turn in 0..3 {
        for thread in 0..2 {
            for key in 0..3 {
                store.set(format!("k{thread}{key}"), turn.to_string());
            }
        }
    }
    while store.maintain(100) {}
    let counts = store.counts();
    assert!(
        counts.versions_made - counts.versions_freed <= 6 + 1,
        "{counts:?}"
    );
}

/// A commit that drew a number comes before those that only loaded the same one afterwards,
/// whatever their threads did before.
#[test]
fn who_did_not_see_a_write_is_shown_before_it() {
    let store = Store::new();
    let (_listener, effects) = listening(&store);
    for number in 0..10 {
        // What orders the commits of one number counts on with every commit of a thread.
        store.set("busy", number.to_string());
    }
    store
        .transaction(|tx| {
            assert_eq!(tx.integer(0, b"x")?, None);
            tx.publish(message("x is absent"));
            tx.set_integer(0, b"z", 1)
        })
        .expect("writable");
    let other = store.clone();
    let writer = thread::spawn(move || {
        // A snapshot would draw a number of its own.
        let mut tx = other.begin(Mode::Direct);
        tx.publish(message("x is there"));
        tx.set_integer(0, b"x", 1).expect("writable");
        tx.commit().expect("nobody else is here");
    });
    writer.join().expect("no panic");
    store.merge_effects();
    let told: Vec<Message> = effects
        .try_iter()
        .flat_map(|effect| effect.messages)
        .collect();
    assert_eq!(told, [message("x is absent"), message("x is there")]);
}

/// Messages come in the order of their commits, whether or not anything was written beside them.
#[test]
fn a_message_by_itself_keeps_its_place() {
    let store = Store::new();
    let (_listener, effects) = listening(&store);
    let commit = |text: &str, key: Option<&str>| {
        let mut tx = store.begin(Mode::Direct);
        tx.publish(message(text));
        if let Some(key) = key {
            tx.set_integer(0, key.as_bytes(), 1).expect("writable");
        }
        tx.commit().expect("nobody else is here");
    };
    commit("first", Some("x"));
    commit("second", None);
    // Another thread, which has committed nothing before.
    thread::scope(|scope| {
        scope.spawn(|| commit("third", Some("y")));
    });
    store.merge_effects();
    let told: Vec<Message> = effects
        .try_iter()
        .flat_map(|effect| effect.messages)
        .collect();
    assert_eq!(told, ["first", "second", "third"].map(message));
}

#[test]
fn the_stream_goes_on_when_a_reader_panics() {
    let store = Store::new();
    let panicking = store.listen(Box::new(|effect| {
        assert_ne!(effect.sequence, 1, "as it should")
    }));
    let (listener, receiver) = listening(&store);
    store.set("a", "1");
    store.set("b", "1");
    let merged = catch_unwind(AssertUnwindSafe(|| store.merge_effects()));
    assert!(merged.is_err(), "the panic is the merger's");
    store.set("c", "1");
    store.merge_effects();
    drop(panicking);
    drop(listener);
    let told: Vec<u64> = receiver.iter().map(|effect| effect.sequence).collect();
    assert_eq!(told, [1, 2, 3]);
}

#[test]
fn what_a_reader_holds_may_merge_as_it_is_dropped() {
    struct Merges(Store);
    impl Drop for Merges {
        fn drop(&mut self) {
            self.0.merge_effects();
        }
    }
    let store = Store::new();
    let (other, receiver) = listening(&store);
    let merges = Merges(store.clone());
    let listener = store.listen(Box::new(move |_| {
        let _held = &merges;
    }));
    store.set("a", "1");
    drop(listener);
    assert_eq!(receiver.try_iter().count(), 1);
    drop(other);
}

#[test]
fn changes_are_told_of_the_database_that_held_the_key_then() {
    let store = Store::new();
    let (_listener, effects) = listening(&store);
    store.set("before", "1");
    store.exclusive(|tx| tx.swap(0, 1)).expect("swapped");
    store.set("between", "1");
    store.exclusive(|tx| tx.flush(0)).expect("flushed");
    let both = store.exclusive(|tx| {
        tx.set_integer(0, b"gone", 1)?;
        tx.set_integer(1, b"moved", 1)?;
        tx.flush(0)?;
        tx.swap(0, 1)
    });
    both.expect("writable");
    store.set("last", "1");
    store.merge_effects();
    let told: Vec<_> = effects
        .try_iter()
        .flat_map(|effect| effect.changes)
        .map(|change| {
            (
                String::from_utf8_lossy(&change.key).into_owned(),
                change.database,
            )
        })
        .collect();
    let expected = [
        ("before", Some(0)),
        ("between", Some(0)),
        ("moved", Some(0)),
        ("last", Some(0)),
    ];
    assert_eq!(
        told,
        expected.map(|(key, database)| (key.to_owned(), database))
    );
}
