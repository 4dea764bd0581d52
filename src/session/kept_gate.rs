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

fn is_late(since: Instant) -> bool {
    since.elapsed() >= KEPT_MAX
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

/// Opens the gate if the calling thread has kept it for long enough. For work that may come between two
/// scripts, and may take long.
#[inline]
pub(crate) fn release_if_late() {
    if IS_KEPT.get()
        && KEPT.with_borrow(|kept| kept.as_ref().is_some_and(|kept| is_late(kept.since)))
    {
        MUST_WAIT.set(true);
        release();
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
    if is_late(since) {
        MUST_WAIT.set(true);
        return drop(transaction);
    }
    if let Some(gate) = transaction.keep_gate() {
        KEPT.set(Some(Kept { gate, since }));
        IS_KEPT.set(true);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Progress;
    use super::super::tests::{Client, Site};
    use super::*;

    const SCRIPT: &str = "#!lua flags=allow-undeclared-keys\nreturn redis.call('INCR', 'n')";

    /// A thread that has run an exclusive script, and keeps the gate.
    fn keeper() -> (Site, Client) {
        let attendant = std::pin::pin!(attend());
        assert!(
            attendant
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        let site = Site::new();
        let mut client = site.connect();
        // Whoever loses the processor for as long as that has not kept it.
        let keeps = (0..100).any(|_| {
            client.run(&["EVAL", SCRIPT, "0"]);
            attendant_runs();
            IS_KEPT.get()
        });
        assert!(keeps && !is_open(&site));
        (site, client)
    }

    fn attendant_runs() {
        MUST_WAIT.set(false);
    }

    fn is_open(site: &Site) -> bool {
        site.services.store.poll_open(Waker::noop())
    }

    #[test]
    fn whatever_is_no_script_opens_the_gate_first() {
        for words in [
            &["GET", "k"][..],
            &["SET", "k", "v"],
            &["NOSUCHCOMMAND"],
            &["GET"],
            &["CLIENT", "NOSUCHSUBCOMMAND"],
        ] {
            let (site, mut client) = keeper();
            client.run(words);
            assert!(is_open(&site), "{words:?}");
        }
        let (site, mut client) = keeper();
        let mut other = site.connect();
        other.run(&["MULTI"]);
        client.run(&["EVAL", SCRIPT, "0"]);
        attendant_runs();
        assert_eq!(other.run(&["SET", "k", "v"]), "+QUEUED\r\n");
        assert!(is_open(&site));
    }

    #[test]
    fn the_gate_is_kept_no_longer_because_no_script_comes() {
        let (site, mut client) = keeper();
        let begun = Instant::now();
        while !is_late(begun) {
            std::hint::spin_loop();
        }
        release_if_late();
        assert!(is_open(&site) && MUST_WAIT.get());
        client.send(&["EVAL", SCRIPT, "0"]);
        assert_eq!(client.0.process(Waker::noop()), Progress::Suspended);
        attendant_runs();
        assert_eq!(client.finish().0, Progress::Idle);
    }
}
