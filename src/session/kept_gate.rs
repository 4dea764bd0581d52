//! A data-plane thread keeps the gate closed from one exclusive script to the next, while scripts
//! are all that it does: others are woken once for all of them, not after each in vain.
//!
//! It lets go of the gate before it does anything else, when it is idle, and after some time if others
//! want it. Those of its scripts that must wait stand in line (`gate_line`).

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use darter_storage::{ClosedGate, Escalation, Transaction};

pub(super) use super::gate_line::GatePlace;
use super::gate_line::Line;
use crate::fault::fault;

/// Whoever writes otherwise waits no longer than this for several scripts of one thread.
const KEPT_MAX: Duration = Duration::from_micros(200);
/// Other threads' scripts wait no longer than this: to hand the gate over costs both as much as several
/// scripts.
const KEPT_FROM_SCRIPTS_MAX: Duration = Duration::from_millis(1);

thread_local! {
    /// Whether there is something in `KEPT`: asked before each command.
    static IS_KEPT: Cell<bool> = const { Cell::new(false) };
    static KEPT: RefCell<Option<KeptGate>> = const { RefCell::new(None) };
    /// `None` in a thread that keeps no gate.
    static LINE: RefCell<Option<Line>> = const { RefCell::new(None) };
}

struct KeptGate {
    gate: ClosedGate,
    since: Instant,
    /// Whose script was the last.
    client: u64,
}

impl KeptGate {
    fn is_over(&self) -> bool {
        is_over(&self.gate, self.since)
    }
}

/// Whether it is others' turn: those who do not want the gate do not wait for it.
fn is_over(gate: &ClosedGate, since: Instant) -> bool {
    let elapsed = since.elapsed();
    elapsed >= KEPT_FROM_SCRIPTS_MAX && gate.is_wanted()
        || elapsed >= KEPT_MAX && gate.is_wanted_by_writers()
}

/// A task that the calling thread runs for as long as it runs scripts: it allows the thread to keep the
/// gate, and wakes its scripts when it may be had. The thread calls `release` whenever it is idle.
pub(crate) fn attend() -> impl Future<Output = ()> {
    std::future::poll_fn(|context: &mut Context<'_>| {
        LINE.with_borrow_mut(|line| {
            line.get_or_insert_with(|| Line::new(context.waker().clone()))
                .attend();
        });
        Poll::Pending
    })
}

/// Since when the gate has been closed for the next attempt of an exclusive script, which may begin;
/// `None` if others must go first: then `waker` is woken. `place` is the script's, from call to call.
pub(super) fn poll(
    escalation: &mut Escalation,
    place: &mut Option<GatePlace>,
    client: u64,
    waker: &Waker,
) -> Option<Instant> {
    LINE.with_borrow_mut(|line| {
        let Some(line) = line else {
            return escalation.poll(waker).then(Instant::now);
        };
        // All others wait for one who has closed it.
        let has_gate = escalation.has_gate();
        if !has_gate && line.has(*place) {
            return None;
        }
        let kept = take();
        let goes_on = kept.as_ref().is_some_and(|kept| kept.client == client);
        if has_gate || line.may_ask(*place, goes_on) {
            let since = kept.map(|KeptGate { gate, since, .. }| {
                *escalation = Escalation::with_gate(gate);
                since
            });
            if escalation.poll(line.gate_waker()) {
                *place = None;
                line.note_begins();
                return Some(since.unwrap_or_else(Instant::now));
            }
            if escalation.has_gate() {
                // Calls are in flight, for a moment.
                waker.wake_by_ref();
                return None;
            }
            line.wait_at_gate();
        }
        *place = Some(line.stand(*place, waker));
        None
    })
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
    if IS_KEPT.get() && KEPT.with_borrow(|kept| kept.as_ref().is_some_and(KeptGate::is_over)) {
        let_others_first();
        release();
    }
}

fn let_others_first() {
    LINE.with_borrow_mut(|line| line.as_mut().map(Line::let_others_first));
}

fn take() -> Option<KeptGate> {
    IS_KEPT.set(false);
    KEPT.take()
}

/// Ends an exclusive transaction of a client's. The thread has had the gate since `since`.
pub(super) fn keep(transaction: Transaction, client: u64, since: Instant) {
    if LINE.with_borrow(Option::is_none) {
        return drop(transaction);
    }
    let Some(gate) = transaction.keep_gate() else {
        return;
    };
    if is_over(&gate, since) {
        let_others_first();
        return drop(gate);
    }
    KEPT.set(Some(KeptGate {
        gate,
        since,
        client,
    }));
    IS_KEPT.set(true);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::task::Wake;

    use super::super::Progress;
    use super::super::gate_line::ROUND_MAX;
    use super::super::tests::{Client, Site};
    use super::*;
    use crate::services::Services;

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

    fn with_line<T>(look: impl FnOnce(&mut Line) -> T) -> T {
        LINE.with_borrow_mut(|line| look(line.as_mut().expect("there is an attendant")))
    }

    fn attendant_runs() {
        with_line(Line::attend);
    }

    fn closed_gate(site: &Site) -> ClosedGate {
        let mut escalation = Escalation::exclusive(&site.services.store);
        assert!(escalation.poll(Waker::noop()));
        let transaction = escalation.begin(darter_storage::Mode::Optimistic);
        transaction.keep_gate().expect("it is exclusive")
    }

    fn pass(time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            std::hint::spin_loop();
        }
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
            &["EVALSHA", "unknown", "0"],
            &["EVAL", "no Lua", "0"],
            &["EVAL", SCRIPT, "1"],
            &["FCALL", "unknown", "0"],
        ] {
            let (site, mut client) = keeper();
            client.run(words);
            assert!(is_open(&site), "{words:?}");
        }
        // A script that is queued does not go on with it either.
        for words in [&["SET", "k", "v"][..], &["EVAL", SCRIPT, "0"]] {
            let (site, mut client) = keeper();
            let mut other = site.connect();
            other.run(&["MULTI"]);
            client.run(&["EVAL", SCRIPT, "0"]);
            attendant_runs();
            assert_eq!(other.run(words), "+QUEUED\r\n");
            assert!(is_open(&site), "{words:?}");
        }
    }

    /// How many scripts there were when it was woken.
    struct Scripts(Arc<Services>, AtomicUsize);

    impl Wake for Scripts {
        fn wake(self: Arc<Self>) {
            self.1.store(self.0.scripts.size().0, Ordering::SeqCst);
        }
    }

    #[test]
    fn the_gate_is_open_while_a_script_is_compiled() {
        let (site, mut client) = keeper();
        let woken = Arc::new(Scripts(Arc::clone(&site.services), AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        assert!(!site.services.store.poll_open(&waker));
        client.run(&["EVAL", &format!("{SCRIPT} + 1"), "0"]);
        release();
        assert_eq!(woken.1.load(Ordering::SeqCst), 1, "the one that was known");
    }

    #[test]
    fn the_gate_is_kept_no_longer_because_no_script_comes() {
        let (site, mut client) = keeper();
        pass(KEPT_MAX);
        release_if_late();
        assert!(is_open(&site) && with_line(|line| line.must_wait()));
        client.send(&["EVAL", SCRIPT, "0"]);
        assert_eq!(client.0.process(Waker::noop()), Progress::Suspended);
        attendant_runs();
        assert_eq!(client.finish().0, Progress::Idle);
    }

    #[test]
    fn it_is_kept_for_longer_where_nobody_wants_it() {
        let site = Site::new();
        let gate = closed_gate(&site);
        let since = Instant::now();
        pass(KEPT_MAX);
        assert!(!is_over(&gate, since));
        let store = &site.services.store;
        assert!(!Escalation::exclusive(store).poll(Waker::noop()));
        assert!(gate.is_wanted() && !gate.is_wanted_by_writers());
        assert!(!is_over(&gate, since) || since.elapsed() >= KEPT_FROM_SCRIPTS_MAX);
        pass(KEPT_FROM_SCRIPTS_MAX);
        assert!(is_over(&gate, since));
    }

    #[test]
    fn those_who_write_wait_for_a_shorter_time_than_scripts() {
        let site = Site::new();
        let gate = closed_gate(&site);
        let since = Instant::now();
        assert!(!is_open(&site), "and asks to be woken");
        pass(KEPT_MAX);
        assert!(is_over(&gate, since));
        let just_now = Instant::now();
        assert!(!is_over(&gate, just_now) || just_now.elapsed() >= KEPT_MAX);
    }

    /// Tells whether it was woken since it was asked.
    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    struct Waiter(Client, Arc<Woken>);

    impl Waiter {
        /// One whose script has to wait.
        fn new(site: &Site) -> Waiter {
            let mut waiter = Waiter(site.connect(), Arc::default());
            waiter.0.send(&["EVAL", SCRIPT, "0"]);
            assert_eq!(waiter.process(), Progress::Suspended);
            waiter
        }

        fn process(&mut self) -> Progress {
            self.0.0.process(&Waker::from(Arc::clone(&self.1)))
        }

        fn is_woken(&self) -> bool {
            self.1.0.swap(false, Ordering::SeqCst)
        }
    }

    /// A thread that has kept the gate for too long, so that all its scripts wait.
    fn waiters(site: &Site, count: usize) -> Vec<Waiter> {
        assert!(!is_open(site), "and asks to be woken");
        pass(KEPT_MAX);
        release_if_late();
        (0..count).map(|_| Waiter::new(site)).collect()
    }

    #[test]
    fn scripts_that_wait_go_on_in_order_and_before_newcomers() {
        let (site, _client) = keeper();
        let mut waiters = waiters(&site, 3);
        with_line(|line| line.set_batch(2));
        attendant_runs();
        let woken: Vec<bool> = waiters.iter().map(Waiter::is_woken).collect();
        assert_eq!(woken, [true, true, false]);
        for waiter in &mut waiters[..2] {
            let _newcomer = Waiter::new(&site);
            // However long the test has taken.
            with_line(Line::begin_round);
            assert_eq!(waiter.process(), Progress::Idle);
        }
        attendant_runs();
        assert!(waiters[2].is_woken());
        assert_eq!(waiters[2].process(), Progress::Idle);
    }

    #[test]
    fn one_who_is_called_and_does_not_come_holds_nobody_up() {
        let (site, _client) = keeper();
        let mut waiters = waiters(&site, 2);
        with_line(|line| line.set_batch(1));
        attendant_runs();
        assert!(waiters[0].is_woken() && !waiters[1].is_woken());
        attendant_runs();
        assert!(waiters[1].is_woken());
        assert_eq!(waiters[1].process(), Progress::Idle);
        attendant_runs();
        assert_eq!(waiters[0].process(), Progress::Idle);
    }

    #[test]
    fn after_some_time_clients_that_run_no_scripts_have_a_turn() {
        let (site, mut client) = keeper();
        release();
        attendant_runs();
        client.run(&["EVAL", SCRIPT, "0"]);
        assert!(!with_line(|line| line.must_wait()));
        pass(ROUND_MAX);
        let mut waiter = Waiter::new(&site);
        assert!(is_open(&site));
        attendant_runs();
        assert!(waiter.is_woken());
        assert_eq!(waiter.process(), Progress::Idle);
    }

    #[test]
    fn one_who_has_closed_the_gate_goes_ahead_of_all() {
        let (site, _client) = keeper();
        let _waiters = waiters(&site, 2);
        let mut escalation = Escalation::exclusive(&site.services.store);
        let mut place = None;
        assert!(poll(&mut escalation, &mut place, 0, Waker::noop()).is_none());
        assert!(escalation.poll(Waker::noop()), "as if it had been its turn");
        assert!(poll(&mut escalation, &mut place, 0, Waker::noop()).is_some());
    }

    #[test]
    fn the_first_in_line_waits_until_the_gate_opens() {
        let (site, _client) = keeper();
        let mut waiters = waiters(&site, 2);
        with_line(|line| line.set_batch(1));
        let mut others = Escalation::exclusive(&site.services.store);
        assert!(others.poll(Waker::noop()));
        attendant_runs();
        assert!(waiters[0].is_woken());
        assert_eq!(waiters[0].process(), Progress::Suspended);
        attendant_runs();
        assert!(!waiters.iter().any(Waiter::is_woken));
        drop(others);
        attendant_runs();
        assert!(waiters[0].is_woken() && !waiters[1].is_woken());
        assert_eq!(waiters[0].process(), Progress::Idle);
    }
}
