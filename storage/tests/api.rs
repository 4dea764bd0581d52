//! What a program that embeds the store may do wrong: it is told so, and nothing else happens.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Waker};

use darter_storage::{
    CommitError, Conflict, Effect, Error, Escalation, Mode, Options, SortedSetValue, Store,
    StreamId, StreamValue, StringValue, Transaction,
};

/// Whatever a transaction may be asked for, with the answer of each.
fn ask(tx: &mut Transaction) -> Vec<Result<(), Error>> {
    vec![
        tx.get(0, b"a").map(drop),
        tx.integer(0, b"new").map(drop),
        tx.keys(0, b"", None, 10).map(drop),
        tx.scan(0, 0, 10).map(drop),
        tx.random_key(0).map(drop),
        tx.count_keys(0).map(drop),
        tx.last_key_before(0, None).map(drop),
        tx.touch(0, b"a"),
        tx.update(0, b"a").map(drop),
        tx.set_integer(0, b"a", 1),
        tx.delete(0, b"a").map(drop),
        tx.set_deadline(0, b"a", 1).map(drop),
        tx.rename((0, b"a"), (0, b"b")).map(drop),
        tx.copy((0, b"a"), (0, b"b")).map(drop),
    ]
}

/// Replaces the table of databases, and frees the one that was there.
fn flush(store: &Store) {
    store.set("a", "1");
    store.exclusive(|tx| tx.flush(0)).expect("a database");
    for _ in 0..100 {
        store.maintain(100);
    }
    store.set("a", "2");
}

#[test]
fn a_transaction_at_rest_refuses_everything_until_it_is_restarted() {
    let store = Store::new();
    for mode in [Mode::Direct, Mode::Snapshot, Mode::Optimistic] {
        let mut tx = store.begin(mode);
        tx.rest();
        flush(&store);
        for pinned in [false, true] {
            let answers = ask(&mut tx);
            let expected = |answer: &Result<(), Error>| match answer {
                Err(Error::ReadOnly) => mode == Mode::Snapshot,
                other => *other == Err(Error::Ended),
            };
            assert!(answers.iter().all(expected), "{pinned} {answers:?}");
            assert_eq!(tx.touched_s(0, b"a"), None);
            tx.pin();
        }
        tx.restart();
        assert_eq!(tx.integer(0, b"a"), Ok(Some(2)));
    }
}

#[test]
fn an_exclusive_transaction_at_rest_leaves_the_databases_alone() {
    let store = Store::new();
    let done = store.exclusive(|tx| {
        tx.rest();
        assert_eq!(tx.flush(0), Err(Error::Ended));
        assert_eq!(tx.swap(0, 1), Err(Error::Ended));
        tx.restart();
        tx.set_integer(0, b"a", 7)?;
        tx.swap(0, 1)
    });
    assert_eq!(done, Ok(()));
    assert_eq!(store.begin(Mode::Direct).integer(1, b"a"), Ok(Some(7)));
}

#[test]
fn a_transaction_without_a_pin_refuses_everything_but_keeps_what_it_did() {
    let store = Store::new();
    store.set("a", "0");
    let mut tx = store.begin(Mode::Optimistic);
    tx.set_integer(0, b"mine", 5).expect("writable");
    assert_eq!(tx.integer(0, b"a"), Ok(Some(0)));
    tx.unpin();
    let answers = ask(&mut tx);
    assert!(
        answers.iter().all(|answer| *answer == Err(Error::Unpinned)),
        "{answers:?}"
    );
    tx.pin();
    assert_eq!(tx.integer(0, b"a"), Ok(Some(0)));
    assert!(tx.commit().is_ok());
    assert_eq!(
        store.get("mine").expect("a string").as_deref(),
        Some(&b"5"[..])
    );
}

/// Without a pin the record that was read may have been freed: it is not looked at.
#[test]
fn a_transaction_without_a_pin_does_not_look_whether_it_has_lost() {
    let store = Store::new();
    store.set("a", "0");
    let mut tx = store.begin(Mode::Optimistic);
    assert_eq!(tx.integer(0, b"a"), Ok(Some(0)));
    store.set("a", "1");
    assert!(tx.has_lost());
    tx.unpin();
    assert!(!tx.has_lost());
}

/// What protected a transaction's reads ends with its commit.
#[test]
fn a_transaction_that_is_over_refuses_everything_until_it_is_restarted() {
    let store = Store::new();
    for mode in [Mode::Direct, Mode::Optimistic] {
        for keys in [&[&b"x"[..]][..], &[b"x", b"y"]] {
            let mut tx = store.begin(mode);
            for key in keys {
                tx.set_integer(0, key, 1).expect("writable");
            }
            assert!(tx.commit().is_ok());
            refuses_until_restarted(&store, &mut tx);
        }
    }
}

#[test]
fn a_transaction_that_has_lost_refuses_everything_until_it_is_restarted() {
    let store = Store::new();
    // It loses by the key that it writes, by one that it only reads, or by all keys.
    for (written, counts) in [(&b"read"[..], false), (b"other", false), (b"other", true)] {
        let mut tx = store.begin(Mode::Optimistic);
        tx.integer(0, b"read").expect("a number");
        tx.set_integer(0, written, 1).expect("writable");
        if counts {
            tx.count_keys(0).expect("a database");
        }
        store.set("read", "2");
        assert_eq!(tx.commit(), Err(CommitError::Conflict(Conflict)));
        refuses_until_restarted(&store, &mut tx);
    }
}

fn refuses_until_restarted(store: &Store, tx: &mut Transaction) {
    tx.unpin();
    flush(store);
    tx.pin();
    let answers = ask(tx);
    assert!(
        answers.iter().all(|answer| *answer == Err(Error::Ended)),
        "{answers:?}"
    );
    tx.restart();
    assert_eq!(tx.integer(0, b"a"), Ok(Some(2)));
}

/// What a panic says.
fn panic_of<T>(call: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(call)) else {
        return "no panic".to_owned();
    };
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().expect("a text")).to_owned(),
    }
}

#[test]
fn nobody_is_exclusive_without_the_gate() {
    let store = Store::new();
    assert!(panic_of(|| store.begin(Mode::Exclusive)).contains("begins at the gate"));
    let mut free = Escalation::new(&store);
    assert!(panic_of(|| free.begin(Mode::Exclusive)).contains("begins at the gate"));
    let begin = |escalation: &mut Escalation| panic_of(|| escalation.begin(Mode::Optimistic));
    let mut first = Escalation::exclusive(&store);
    assert!(begin(&mut first).contains("before `poll`"), "not asked");
    assert!(first.poll(Waker::noop()));
    let mut second = Escalation::exclusive(&store);
    assert!(!second.poll(Waker::noop()));
    assert!(begin(&mut second).contains("before `poll`"), "told to wait");
    drop(first.begin(Mode::Optimistic));
    assert!(
        begin(&mut first).contains("before `poll`"),
        "that was the attempt before"
    );
    assert!(second.poll(Waker::noop()));
    assert_eq!(second.begin(Mode::Optimistic).mode(), Mode::Exclusive);
    store.set("k", "v");
}

#[test]
fn what_is_to_go_where_no_database_is_stays() {
    let store = Store::new();
    store.set("a", "1");
    let nowhere = store.databases();
    let stays = store.transaction(|tx| {
        let error = Err(Error::NoSuchDatabase(nowhere));
        for from in [&b"a"[..], b"missing"] {
            assert_eq!(tx.rename((0, from), (nowhere, b"b")), error);
            assert_eq!(tx.copy((0, from), (nowhere, b"b")), error);
        }
        tx.integer(0, b"a")
    });
    assert_eq!(stays, Ok(Some(1)));
    assert_eq!(
        store.get("a").expect("a string").as_deref(),
        Some(&b"1"[..])
    );
}

/// How another road to a write looks.
type Road = fn(&Store);

/// Roads on which a write would wait for the gate.
const ROADS: &[Road] = &[
    |store| store.set("k", "v"),
    |store| drop(store.transaction(|tx| tx.set_integer(0, b"k", 1))),
    |store| drop(store.try_transaction(|tx| tx.set_integer(0, b"k", 1))),
    |store| drop(store.exclusive(|tx| tx.set_integer(0, b"k", 1))),
];

#[test]
fn a_write_that_would_wait_for_its_own_end_panics() {
    let store = Store::new();
    store.set("other", "1");
    for road in ROADS {
        let text = panic_of(|| {
            store.exclusive(|tx| {
                tx.set_integer(0, b"mine", 1)?;
                assert!(store.get("other")?.is_some(), "reads go on");
                store.transaction(|inner| inner.integer(0, b"other"))?;
                Store::new().exclusive(|tx| tx.flush(0))?;
                road(&store);
                Ok::<_, Error>(())
            })
        });
        assert!(
            text.contains("the exclusive transaction that it is made in"),
            "{text}"
        );
        assert_eq!(store.get("mine"), Ok(None), "it has left no trace");
        road(&store);
    }
}

#[test]
fn a_write_beside_an_exclusive_transaction_of_its_thread_panics() {
    let store = Store::new();
    for road in ROADS {
        let mut escalation = Escalation::exclusive(&store);
        assert!(escalation.poll(Waker::noop()));
        let owner = escalation.begin(Mode::Optimistic);
        let text = panic_of(|| road(&store));
        assert!(
            text.contains("the exclusive transaction that it is made in"),
            "{text}"
        );
        drop(owner);
        road(&store);
    }
}

#[test]
fn a_transaction_that_is_always_in_its_own_way_panics_once_it_owns_the_gate() {
    let store = Store::new();
    let mut attempts = 0;
    let text = panic_of(|| {
        store.transaction(|tx| {
            attempts += 1;
            let n = tx.integer(0, b"k")?.unwrap_or(0);
            store.set("k", attempts.to_string());
            tx.set_integer(0, b"k", n + 1)
        })
    });
    assert!(
        text.contains("the exclusive transaction that it is made in"),
        "{text}"
    );
    assert_eq!(store.counts().escalations_gate, 1);
    assert_eq!(
        store.get("k").expect("a string"),
        Some((attempts - 1).to_string().into_bytes())
    );
}

/// A transaction inside another that heads the line does not line up behind it.
#[test]
fn a_transaction_inside_one_that_lines_up_does_not_wait_for_it() {
    let store = Store::new();
    let lose = |attempt: u32| {
        if attempt <= 3 {
            store.set("k", attempt.to_string());
        }
    };
    let (mut outer, mut inner) = (0, 0);
    let done = store.transaction(|tx| {
        outer += 1;
        tx.integer(0, b"k")?;
        lose(outer);
        if store.counts().escalations_queue > 0 {
            store.transaction(|tx| {
                inner += 1;
                tx.integer(0, b"k")?;
                lose(inner);
                tx.set_integer(0, b"inner", 1)
            })?;
        }
        tx.set_integer(0, b"outer", 1)
    });
    assert_eq!(done, Ok(()));
    assert!(store.counts().escalations_queue >= 2, "both lined up");
}

#[test]
fn the_stream_of_effects_may_begin_where_the_gate_is_owned() {
    let store = Store::new();
    let (sender, receiver) = mpsc::channel();
    let mut listener = None;
    let done = store.exclusive(|tx| {
        let sender = sender.clone();
        let tell = move |effect: &Effect| {
            sender
                .send(effect.changes.len())
                .expect("the receiver is there");
        };
        listener = Some(store.listen(Box::new(tell)));
        tx.set_integer(0, b"a", 1)
    });
    assert_eq!(done, Ok(()));
    store.merge_effects();
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1]);
}

#[test]
fn a_store_has_a_database_and_no_more_than_it_can_flush() {
    let with = |databases| {
        Store::with_options(Options {
            databases,
            ..Options::default()
        })
    };
    for databases in [0, 1_025, usize::MAX] {
        assert!(panic_of(|| with(databases)).contains("from 1 to 1024 databases"));
    }
    let store = with(1_024);
    let fill = |database: usize| {
        store
            .transaction(|tx| tx.set_integer(database, b"k", 1))
            .expect("writable");
    };
    (0..1_024).for_each(fill);
    let flushed = store.exclusive(|tx| (0..1_024).try_for_each(|database| tx.flush(database)));
    assert_eq!(flushed, Ok(()));
    assert_eq!(
        store
            .begin(Mode::Snapshot)
            .get(1_023, b"k")
            .expect("a database")
            .map(drop),
        None
    );
}

#[test]
fn numbers_are_what_prints_back_the_same() {
    let store = Store::new();
    for text in [
        "+5",
        "05",
        "-0",
        " 5",
        "5 ",
        "",
        "-",
        "1e3",
        "9223372036854775808",
    ] {
        store.set("n", text);
        let number = store.begin(Mode::Direct).integer(0, b"n");
        assert_eq!(number, Err(Error::NotAnInteger), "{text:?}");
    }
    for number in [i64::MIN, -1, 0, 10, i64::MAX] {
        store.set("n", number.to_string());
        assert_eq!(store.begin(Mode::Direct).integer(0, b"n"), Ok(Some(number)));
    }
}

#[test]
fn a_rank_by_no_number_is_nothing() {
    let mut set = SortedSetValue::new();
    for size in [1, 1_000] {
        for n in 0..size {
            set.insert(&u32::to_be_bytes(n), f64::from(n));
        }
        for score in [
            f64::NAN,
            -f64::NAN,
            f64::from_bits(u64::MAX >> 1),
            f64::from_bits(u64::MAX),
        ] {
            assert_eq!(
                [false, true].map(|equal| set.as_ref().rank_of_score(score, equal)),
                [0, 0]
            );
        }
    }
}

#[test]
fn a_string_beyond_memory_is_refused() {
    for mut text in [
        StringValue::new(b"short"),
        StringValue::from_vec(vec![b'x'; 100_000]),
    ] {
        let length = text.as_ref().len();
        for offset in [usize::MAX, usize::MAX - 1, isize::MAX as usize] {
            assert_eq!(text.write_at(offset, b"x"), Err(Error::StringTooLong));
        }
        assert_eq!(
            (text.as_ref().len(), text.as_ref().is_raw()),
            (length, false)
        );
    }
}

#[test]
fn a_stream_stays_in_order() {
    let id = |sequence| StreamId {
        milliseconds: 5,
        sequence,
    };
    let mut stream = StreamValue::new();
    assert!(
        !stream.append(StreamId::default(), &[]),
        "below every entry"
    );
    assert!(stream.append(id(7), &[]));
    for refused in [0, 6, 7] {
        assert!(!stream.append(id(refused), &[(b"field", b"value")]));
    }
    assert!(!stream.set_last_id(id(6), Some(9), None));
    let entries: Vec<_> = stream.as_ref().iter_from(id(0)).map(|(id, _)| id).collect();
    assert_eq!((entries, stream.as_ref().entries_added()), (vec![id(7)], 1));
    assert!(stream.set_last_id(id(9), Some(u64::MAX), None));
    assert!(!stream.append(id(9), &[]));
    assert!(stream.append(id(10), &[]));
    assert_eq!(stream.as_ref().entries_added(), u64::MAX);
}

/// A runtime's thread that waited for a gate whose owner is another of its tasks would wait for
/// ever.
#[test]
fn a_task_yields_where_it_meets_a_closed_gate() {
    let store = Store::new();
    let owner = |store: &Store| {
        let mut escalation = Escalation::exclusive(store);
        assert!(escalation.poll(Waker::noop()));
        escalation.begin(Mode::Optimistic)
    };
    let gate = RefCell::new(None);
    let mut future = pin!(store.transaction_async(|tx| {
        if tx.mode() != Mode::Exclusive {
            *gate.borrow_mut() = Some(owner(&store));
        }
        tx.set_integer(0, b"n", 1)
    }));
    let mut poll = || {
        future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    };
    let mut yields = 0;
    while poll().is_pending() {
        yields += 1;
        assert!(poll().is_pending(), "the gate is closed");
        assert!(
            gate.borrow_mut().take().is_some(),
            "it goes on once the gate is open"
        );
    }
    assert_eq!(yields, 4, "then it took the gate itself");
    assert_eq!(
        store.get("n").expect("a string").as_deref(),
        Some(&b"1"[..])
    );
}

#[test]
fn a_task_may_go_on_in_another_thread() {
    let store = Store::new();
    let mut escalation = Escalation::exclusive(&store);
    assert!(escalation.poll(Waker::noop()));
    let gate = escalation.begin(Mode::Optimistic);
    let mut future = Box::pin(store.transaction_async(|tx| tx.set_integer(0, b"n", 1)));
    assert!(
        future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    drop(gate);
    std::thread::scope(|scope| {
        let go_on = move || {
            future
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
        };
        let done = scope.spawn(go_on).join().expect("no panic");
        assert!(matches!(done, std::task::Poll::Ready(Ok::<(), Error>(()))));
    });
    assert_eq!(
        store.get("n").expect("a string").as_deref(),
        Some(&b"1"[..])
    );
}

#[test]
fn what_is_read_without_comparison_may_change_also_after_a_write() {
    let store = Store::new();
    for mode in [Mode::Direct, Mode::Optimistic] {
        let mut tx = store.begin(mode);
        assert!(matches!(tx.integer(0, b"compared"), Ok(None)));
        tx.skip_comparison();
        assert_eq!(tx.set_integer(0, b"n", 1), Ok(()));
        assert!(tx.integer(0, b"hint").is_ok());
        store.set("hint", "1");
        assert!(tx.commit().is_ok());
    }
    let mut tx = store.begin(Mode::Optimistic);
    assert!(matches!(tx.integer(0, b"compared"), Ok(None)));
    tx.skip_comparison();
    assert_eq!(tx.set_integer(0, b"n", 1), Ok(()));
    store.set("compared", "1");
    assert!(tx.commit().is_err(), "what was read before is compared");
}

#[test]
fn a_snapshot_is_compared_in_its_own_store_alone() {
    let (store, other) = (Store::new(), Store::new());
    other.set("k", "v");
    let snapshot = other.snapshot();
    let text = panic_of(|| {
        let tx = store.begin(Mode::Direct);
        tx.is_unchanged_since(&snapshot, 0, b"k")
    });
    assert!(text.contains("of another store"), "{text}");
}
