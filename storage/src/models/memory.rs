//! What the models' atomics may and may not do: were they weaker or stronger, so would be all that
//! the models say.

use std::collections::BTreeSet;
use std::sync::mpsc;

use loom::thread;

use super::check;
use crate::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::atomic::{AtomicU64, fence};

/// All outcomes of a model.
fn outcomes(model: impl Fn() -> (u64, u64) + Send + Sync + 'static) -> BTreeSet<(u64, u64)> {
    let (sender, receiver) = mpsc::channel();
    check(4, move || sender.send(model()).unwrap());
    receiver.iter().collect()
}

type Pair = loom::sync::Arc<(AtomicU64, AtomicU64)>;

fn pair() -> Pair {
    loom::sync::Arc::new((AtomicU64::new(0), AtomicU64::new(0)))
}

/// Each of two threads stores to one word and then loads the other.
fn store_buffering(store: Ordering, load: Ordering, fenced: bool) -> BTreeSet<(u64, u64)> {
    outcomes(move || {
        let words = pair();
        let other = Pair::clone(&words);
        let thread = thread::spawn(move || {
            other.1.store(1, store);
            if fenced {
                fence(SeqCst);
            }
            other.0.load(load)
        });
        words.0.store(1, store);
        if fenced {
            fence(SeqCst);
        }
        let own = words.1.load(load);
        (own, thread.join().unwrap())
    })
}

#[test]
fn two_stores_may_both_be_late_unless_they_are_sequentially_consistent() {
    let weak = [(0, 0), (0, 1), (1, 0), (1, 1)].into();
    let strong = [(0, 1), (1, 0), (1, 1)].into();
    assert_eq!(store_buffering(Release, Acquire, false), weak);
    assert_eq!(store_buffering(SeqCst, Acquire, false), weak);
    assert_eq!(store_buffering(Release, SeqCst, false), weak);
    assert_eq!(store_buffering(SeqCst, SeqCst, false), strong);
    assert_eq!(store_buffering(Relaxed, Relaxed, true), strong);
}

/// One thread stores to two words, another loads the second and then the first.
fn message(store: Ordering, load: Ordering) -> BTreeSet<(u64, u64)> {
    outcomes(move || {
        let words = pair();
        let other = Pair::clone(&words);
        let thread = thread::spawn(move || {
            other.0.store(1, Relaxed);
            other.1.store(1, store);
        });
        let flag = words.1.load(load);
        let what = words.0.load(Relaxed);
        thread.join().unwrap();
        (flag, what)
    })
}

#[test]
fn what_a_store_publishes_is_seen_by_who_acquires_it() {
    assert!(message(Relaxed, Acquire).contains(&(1, 0)));
    assert!(message(Release, Relaxed).contains(&(1, 0)));
    assert!(!message(Release, Acquire).contains(&(1, 0)));
    assert!(!message(SeqCst, SeqCst).contains(&(1, 0)));
}

/// A compare-and-swap that fails after a store to another word, against a thread that changes the
/// word back and then loads the other.
fn late_failure(failure: Ordering) -> BTreeSet<(u64, u64)> {
    outcomes(move || {
        let words = pair();
        words.0.store(1, Relaxed);
        let other = Pair::clone(&words);
        let thread = thread::spawn(move || {
            other.0.store(0, SeqCst);
            other.1.load(SeqCst)
        });
        words.1.store(1, SeqCst);
        let own = match words.0.compare_exchange(0, 2, AcqRel, failure) {
            Ok(_) => 0,
            Err(found) => found,
        };
        (own, thread.join().unwrap())
    })
}

#[test]
fn a_swap_that_fails_may_have_read_what_is_old() {
    assert!(late_failure(Acquire).contains(&(1, 0)));
    assert!(!late_failure(SeqCst).contains(&(1, 0)));
}

#[test]
fn a_store_behind_a_load_may_come_before_an_earlier_load() {
    let outcomes = outcomes(|| {
        let words = pair();
        let other = Pair::clone(&words);
        let thread = thread::spawn(move || {
            let before = other.0.load(Relaxed);
            other.0.store(1, Relaxed);
            before
        });
        let own = words.0.load(Relaxed);
        (own, thread.join().unwrap())
    });
    assert_eq!(outcomes, [(0, 0), (1, 0)].into());
}
