//! The gate: while its owner runs nobody else commits, and readers (I3) go on as before.

use std::task::Waker;

use darter_storage::{CommitError, Deadline, Escalation, Mode, Store, StringValue, Value};

fn text(bytes: &[u8]) -> Value {
    Value::String(StringValue::new(bytes))
}

fn closed(store: &Store) -> darter_storage::Transaction {
    let mut escalation = Escalation::exclusive(store);
    assert!(escalation.poll(Waker::noop()));
    escalation.begin(Mode::Optimistic)
}

#[test]
fn i3_readers_pass_and_see_what_was_committed_before() {
    let store = Store::new();
    store.set("k", "before");
    let mut owner = closed(&store);
    owner
        .set(0, b"k", text(b"after"), Deadline::Never)
        .expect("writable");
    assert_eq!(
        store.get("k").expect("a string").as_deref(),
        Some(&b"before"[..])
    );
    assert_eq!(
        store.snapshot().get("k").expect("a string").as_deref(),
        Some(&b"before"[..])
    );
    assert!(owner.commit().is_ok());
    assert_eq!(
        store.get("k").expect("a string").as_deref(),
        Some(&b"after"[..])
    );
}

#[test]
fn writers_are_told_to_wait_and_keep_what_they_did() {
    let store = Store::new();
    let mut waiting = store.begin(Mode::Optimistic);
    waiting
        .set(0, b"k", text(b"waited"), Deadline::Never)
        .expect("writable");
    let owner = closed(&store);
    assert!(matches!(waiting.commit(), Err(CommitError::GateClosed)));
    assert!(!store.poll_open(Waker::noop()));
    drop(owner);
    assert!(store.poll_open(Waker::noop()));
    assert!(waiting.commit().is_ok());
    assert_eq!(
        store.get("k").expect("a string").as_deref(),
        Some(&b"waited"[..])
    );
}

#[test]
fn i4_an_owner_that_gives_up_leaves_nothing() {
    let store = Store::new();
    store.set("k", "before");
    let mut owner = closed(&store);
    owner
        .set(0, b"k", text(b"after"), Deadline::Never)
        .expect("writable");
    owner.flush(0).expect("exclusive");
    drop(owner);
    assert_eq!(
        store.get("k").expect("a string").as_deref(),
        Some(&b"before"[..])
    );
    store.set("other", "1");
    while store.maintain(1000) {}
    let counts = store.counts();
    assert_eq!(counts.versions_made - counts.versions_freed, 2);
}

#[test]
fn a_second_taker_waits_for_the_first() {
    let store = Store::new();
    let owner = closed(&store);
    let mut second = Escalation::exclusive(&store);
    assert!(!second.poll(Waker::noop()));
    drop(owner);
    assert!(second.poll(Waker::noop()));
}

#[test]
fn only_the_owner_changes_the_databases() {
    let store = Store::new();
    let mut tx = store.begin(Mode::Optimistic);
    assert_eq!(tx.flush(0), Err(darter_storage::Error::NotExclusive));
    store.set("k", "v");
    store.exclusive(|tx| tx.swap(0, 1)).expect("two databases");
    assert_eq!(store.get("k").expect("a string"), None);
    assert_eq!(store.key_counts(1), (1, 0));
    assert!(store.exclusive(|tx| tx.swap(0, 99)).is_err());
}

#[test]
fn a_held_snapshot_does_not_use_up_what_flushes_need() {
    let store = Store::new();
    let flush_all = || store.exclusive(|tx| (0..16).try_for_each(|database| tx.flush(database)));
    store.set("k", "before");
    let held = store.snapshot();
    for turn in 0..500 {
        store.set("k", turn.to_string());
        assert_eq!(flush_all(), Ok(()));
        assert_eq!(store.get("k"), Ok(None));
        assert_eq!(flush_all(), Ok(()));
    }
    assert_eq!(
        held.get("k").expect("a string").as_deref(),
        Some(&b"before"[..])
    );
}

#[test]
fn a_flush_takes_what_its_transaction_wrote_before() {
    let store = Store::new();
    let flushed = store.exclusive(|tx| {
        tx.set_integer(0, b"k", 1)?;
        tx.flush(0)?;
        tx.integer(0, b"k")
    });
    assert_eq!(flushed, Ok(None));
    assert_eq!(store.get("k"), Ok(None));
}
