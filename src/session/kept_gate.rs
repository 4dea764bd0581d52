//! A data-plane thread keeps the gate closed from one exclusive script to the next, while scripts
//! are all that it does: others are woken once for all of them, not after each in vain.
//!
//! It lets go of the gate before it does anything else, when it is idle, and after `KEPT_MAX`. Those of
//! its scripts that wait for the gate are one who waits for all: woken one by one from another thread,
//! each would run after the reply of the one before it has been sent, and close the gate anew.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use darter_storage::{ClosedGate, Escalation, Transaction};

use crate::fault::fault;

/// Whoever waits for the gate waits no longer than this for several scripts of one thread.
const KEPT_MAX: Duration = Duration::from_micros(200);

thread_local! {
    /// Whether there is something in `KEPT`: asked before each command.
    static IS_KEPT: Cell<bool> = const { Cell::new(false) };
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
    /// It has kept the gate for long enough: others get it first, if there are any.
    static MUST_WAIT: Cell<bool> = const { Cell::new(false) };
    /// Scripts that wait for the gate, and who is woken for all of them.
    static WAITING: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
    static ATTENDANT: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

struct Kept {
    gate: ClosedGate,
    since: Instant,
}

/// A task that the calling thread runs for as long as it runs scripts: it allows the thread to keep the
/// gate, and wakes its scripts when it may be had. The thread calls `release` whenever it is idle.
pub(crate) fn attend() -> impl Future<Output = ()> {
    std::future::poll_fn(|context: &mut Context<'_>| {
        ATTENDANT.set(Some(context.waker().clone()));
        MUST_WAIT.set(false);
        // All of them: one may have closed the gate, and wait for calls in flight.
        WAITING.take().into_iter().for_each(Waker::wake);
        Poll::Pending
    })
}

/// Since when the gate has been closed for the next attempt of an exclusive script, which may begin;
/// `None` if others must go first: then `waker` is woken.
pub(super) fn poll(escalation: &mut Escalation, waker: &Waker) -> Option<Instant> {
    if let Some(Kept { gate, since }) = take() {
        *escalation = Escalation::with_gate(gate);
        return escalation.poll(waker).then_some(since);
    }
    let Some(attendant) = ATTENDANT.with_borrow(Clone::clone) else {
        return escalation.poll(waker).then(Instant::now);
    };
    if MUST_WAIT.get() {
        // It runs after all of the thread's tasks that are ready now.
        attendant.wake_by_ref();
    } else if escalation.poll(&attendant) {
        return Some(Instant::now());
    }
    WAITING.with_borrow_mut(|waiting| {
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    });
    None
}

/// Opens the gate if the calling thread keeps it.
#[inline]
pub(crate) fn release() {
    if IS_KEPT.get() && !fault!("a thread keeps the gate while it does other things") {
        drop(take());
    }
}

fn take() -> Option<Kept> {
    IS_KEPT.set(false);
    KEPT.take()
}

/// Ends an exclusive transaction. The thread has had the gate since `since`.
pub(super) fn keep(transaction: Transaction, since: Instant) {
    if ATTENDANT.with_borrow(Option::is_none) {
        return drop(transaction);
    }
    if since.elapsed() >= KEPT_MAX {
        MUST_WAIT.set(true);
        return drop(transaction);
    }
    if let Some(gate) = transaction.keep_gate() {
        KEPT.set(Some(Kept { gate, since }));
        IS_KEPT.set(true);
    }
}
