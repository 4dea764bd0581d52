//! I7: every transaction commits in the end: after a few losses it queues for its keys, in the
//! last resort it takes the gate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use darter_storage::{CommitError, Error, Escalation, Mode, Store};

/// Somebody who changes the key with every chance there is; `false` if there was none.
fn interfere(store: &Store) -> bool {
    let mut other = store.begin(Mode::Direct);
    let n = other.integer(0, b"k").expect("a number").unwrap_or(0);
    other.set_integer(0, b"k", n + 1).expect("writable");
    match other.commit() {
        Ok(_) => true,
        Err(CommitError::GateClosed) => false,
        Err(CommitError::Conflict(_)) => panic!("nobody else commits"),
    }
}

#[test]
fn i7_a_transaction_that_always_loses_commits_by_the_gate() {
    let store = Store::new();
    let (mut attempts, mut interferences) = (0, 0);
    let result = store.transaction(|tx| {
        attempts += 1;
        assert!(attempts <= 32, "it loses for ever");
        let n = tx.integer(0, b"k")?.unwrap_or(0);
        interferences += i64::from(interfere(&store));
        tx.set_integer(0, b"k", n + 100)?;
        Ok::<_, Error>(n)
    });
    assert_eq!(result, Ok(interferences), "every loss was to a commit");
    assert_eq!(
        store.get("k").expect("a string"),
        Some((interferences + 100).to_string().into_bytes())
    );
    assert_eq!(attempts, interferences + 1);
    let counts = store.counts();
    assert_eq!(
        (
            counts.escalations_queue,
            counts.escalations_gate,
            counts.exclusives
        ),
        (1, 1, 1)
    );
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Loses until it has lined up as one of `place` in all.
fn lose(store: &Store, escalation: &mut Escalation, place: u64) {
    while store.counts().escalations_queue < place {
        assert!(escalation.poll(Waker::noop()), "not in the line yet");
        let mut tx = escalation.begin(Mode::Optimistic);
        let n = tx.integer(0, b"k").expect("a number").unwrap_or(0);
        tx.set_integer(0, b"k", n + 1).expect("writable");
        assert!(interfere(store));
        assert!(tx.commit().is_err());
        escalation.failed(&tx);
    }
}

#[test]
fn i7_those_who_lose_run_one_after_the_other() {
    let store = Store::new();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let (mut first, mut second) = (Escalation::new(&store), Escalation::new(&store));
    lose(&store, &mut first, 1);
    assert!(first.poll(Waker::noop()), "it heads the line");
    lose(&store, &mut second, 2);
    assert!(!second.poll(&waker), "the first is not done");
    let mut tx = first.begin(Mode::Optimistic);
    let n = tx.integer(0, b"k").expect("a number").unwrap_or(0);
    tx.set_integer(0, b"k", n + 1).expect("writable");
    assert!(tx.commit().is_ok());
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    drop(first);
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert!(second.poll(&waker));
}

/// What is only read is compared at the very end of a commit: who loses there lines up as well.
#[test]
fn i7_those_who_lose_by_what_they_only_read_line_up_too() {
    let store = Store::new();
    let (mut first, mut second) = (Escalation::new(&store), Escalation::new(&store));
    lose(&store, &mut first, 1);
    assert!(first.poll(Waker::noop()), "it heads the line");
    while store.counts().escalations_queue < 2 {
        assert!(second.poll(Waker::noop()), "not in the line yet");
        let mut tx = second.begin(Mode::Optimistic);
        let n = tx.integer(0, b"k").expect("a number").unwrap_or(0);
        tx.set_integer(0, b"copy of k", n).expect("writable");
        assert!(interfere(&store));
        assert!(tx.commit().is_err());
        second.failed(&tx);
    }
    assert!(!second.poll(Waker::noop()), "the first is not done");
    drop(first);
    assert!(second.poll(Waker::noop()));
}

/// Whoever gives up in the line, as a client does that goes away, does not hold up the rest.
#[test]
fn i7_a_place_that_is_given_up_holds_nobody_up() {
    let store = Store::new();
    let mut line: Vec<Escalation> = (0..3).map(|_| Escalation::new(&store)).collect();
    for (place, escalation) in (1..).zip(&mut line) {
        lose(&store, escalation, place);
        assert_eq!(escalation.poll(Waker::noop()), place == 1);
    }
    drop(line.remove(1));
    assert!(!line[1].poll(Waker::noop()), "the first is not done");
    drop(line.remove(0));
    assert!(line[0].poll(Waker::noop()));
}
