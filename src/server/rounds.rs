//! The rounds of a data-plane thread: the runtime looks at its sockets, and what is ready has a turn. One
//! task has a turn in each round; it says who of those that yielded goes on, and whether the thread sleeps.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::collection;
use crate::fault::fault;
use crate::habit::Habit;
use crate::session::give_way::LONG;
use crate::session::kept_gate;
use crate::wakers::wake_after_sockets;

/// How long a thread without work looks at its sockets before it sleeps, if such moments have been worth
/// it: where requests come one after the other, to be woken takes it as much time as those looks, and
/// whoever sends waits for it.
const LINGER: Duration = Duration::from_micros(50);

/// For so much time that a round took besides, one more of those goes on that yielded: about a slice.
const SHARE: Duration = Duration::from_micros(250);

thread_local! {
    /// Turns that the thread's connections have had.
    static TURNS: Cell<u64> = const { Cell::new(0) };
    /// Those of them that have yielded, in order.
    static LINE: RefCell<VecDeque<Waker>> = const { RefCell::new(VecDeque::new()) };
    /// How many have left the line.
    static CALLED: Cell<u64> = const { Cell::new(0) };
    /// How long those took in this round that went on after they had yielded.
    static WENT_ON: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    /// Whom the next turn wakes: the thread has slept.
    static SLEEPER: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// A connection of this thread has its turn.
#[inline]
pub(super) fn note_turn() {
    TURNS.set(TURNS.get().wrapping_add(1));
    if let Some(waker) = SLEEPER.take() {
        waker.wake();
    }
}

/// A place in the line of those that have yielded.
pub(super) struct RoundPlace(u64);

impl RoundPlace {
    /// Whether it is this one's turn.
    pub(super) fn is_called(&self) -> bool {
        self.0 < CALLED.get()
    }
}

/// The one who has its turn has more to do at once; `waker` is woken when it may go on. However many
/// there are, others wait for one of them at a time.
pub(super) fn stand_in_line(waker: &Waker) -> RoundPlace {
    LINE.with_borrow_mut(|line| {
        line.push_back(waker.clone());
        RoundPlace(CALLED.get() + line.len() as u64 - 1)
    })
}

/// One who stood in line has gone on for so long.
pub(super) fn note_went_on(elapsed: Duration) {
    WENT_ON.set(WENT_ON.get() + elapsed);
}

/// What the thread does as far as the task knows.
enum State {
    Works,
    /// Nothing has come since then, and it looks for more.
    Lingers(Instant),
    Sleeps,
}

/// The task. It is woken in each round until the thread sleeps.
pub(super) fn attend() -> impl Future<Output = ()> {
    attend_by(Instant::now)
}

/// The task, by a clock that is read only where it matters.
fn attend_by(now: impl Fn() -> Instant) -> impl Future<Output = ()> {
    let mut habit = Habit::new();
    let mut turns = TURNS.get();
    let mut state = State::Works;
    let mut began: Option<Instant> = None;
    std::future::poll_fn(move |context: &mut Context<'_>| {
        let has_news = std::mem::replace(&mut turns, TURNS.get()) != turns;
        let has_line = LINE.with_borrow(|line| !line.is_empty());
        if has_line {
            let begins = now();
            let took = began
                .replace(begins)
                .map_or(Duration::ZERO, |began| begins - began);
            call_next(took.saturating_sub(WENT_ON.take()));
        } else {
            began = None;
        }
        collection::collect_if_wanted();
        state = match state {
            State::Lingers(since) if has_news => {
                // Else somebody had the processor between two looks, and to be woken would have been sooner.
                habit.note(now() - since < LONG);
                State::Works
            }
            _ if has_news || has_line => State::Works,
            State::Works => {
                // As before it sleeps: nothing is ready.
                kept_gate::release();
                if habit.tries() {
                    State::Lingers(now())
                } else {
                    State::Sleeps
                }
            }
            State::Lingers(since) if now() - since >= LINGER => {
                habit.note(false);
                State::Sleeps
            }
            State::Lingers(since) => State::Lingers(since),
            State::Sleeps => State::Sleeps,
        };
        if let State::Sleeps = state {
            SLEEPER.set(Some(context.waker().clone()));
            return Poll::Pending;
        }
        if has_line || matches!(state, State::Lingers(_)) {
            // Whoever shares its processor may be who sends the next request.
            std::thread::yield_now();
        }
        // It runs again after the runtime has looked at the sockets.
        wake_after_sockets(context.waker());
        Poll::Pending
    })
}

/// Lets those at the head of the line go on: one, and more of them the longer all others took.
fn call_next(others_took: Duration) {
    let count = 1 + (others_took.as_nanos() / SHARE.as_nanos()) as usize;
    LINE.with_borrow_mut(|line| {
        let count = if fault!("all who yielded go on at once") {
            line.len()
        } else {
            count
        };
        let count = count.min(line.len());
        CALLED.set(CALLED.get() + count as u64);
        line.drain(..count).for_each(Waker::wake);
    });
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wakes {
        fn count(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The task, as a runtime would run it that has no sockets, on a clock that only the test moves.
    struct Thread {
        task: Pin<Box<dyn Future<Output = ()>>>,
        wakes: Arc<Wakes>,
        now: Rc<Cell<Instant>>,
    }

    impl Thread {
        fn new() -> Thread {
            let now = Rc::new(Cell::new(Instant::now()));
            let clock = Rc::clone(&now);
            Thread {
                task: Box::pin(attend_by(move || clock.get())),
                wakes: Arc::default(),
                now,
            }
        }

        fn pass(&self, time: Duration) {
            self.now.set(self.now.get() + time);
        }

        /// A round. Whether there is another one, or the thread sleeps.
        fn goes_on(&mut self) -> bool {
            let before = self.wakes.count();
            let waker = Waker::from(Arc::clone(&self.wakes));
            let polled = self.task.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
            self.wakes.count() > before
        }

        /// Whether it lingers after a request.
        fn lingers_after_a_request(&mut self) -> bool {
            note_turn();
            assert!(self.goes_on(), "what the turn may have begun comes first");
            self.goes_on()
        }

        fn sleeps_at_last(&mut self) {
            self.pass(LINGER - Duration::from_nanos(1));
            assert!(self.goes_on());
            self.pass(Duration::from_nanos(1));
            assert!(!self.goes_on());
        }

        /// Requests that come while it lingers, until it does so each time.
        fn get_used_to_requests(&mut self) {
            let mut lingered = 0;
            for _ in 0..100 * usize::from(Habit::SKIPPED_MAX) {
                let lingers = self.lingers_after_a_request();
                lingered = if lingers { lingered + 1 } else { 0 };
            }
            assert!(lingered > usize::from(Habit::WORTH_MAX));
        }
    }

    #[test]
    fn it_lingers_where_requests_follow_each_other_and_then_sleeps() {
        let mut thread = Thread::new();
        assert!(!thread.goes_on(), "nothing has come yet");
        thread.get_used_to_requests();
        thread.sleeps_at_last();
        assert!(!thread.goes_on(), "it sleeps until something comes");
    }

    #[test]
    fn the_next_turn_of_a_connection_wakes_it() {
        let mut thread = Thread::new();
        assert!(!thread.goes_on());
        note_turn();
        assert_eq!(thread.wakes.count(), 1);
        note_turn();
        assert_eq!(thread.wakes.count(), 1, "once");
    }

    #[test]
    fn it_seldom_lingers_where_that_brings_nothing() {
        let mut thread = Thread::new();
        thread.get_used_to_requests();
        let mut request_apart = || {
            let lingers = thread.lingers_after_a_request();
            if lingers {
                thread.sleeps_at_last();
            }
            lingers
        };
        (0..Habit::WORTH_MAX).for_each(|_| {
            request_apart();
        });
        let rounds = 10 * (usize::from(Habit::SKIPPED_MAX) + 1);
        assert_eq!((0..rounds).filter(|_| request_apart()).count(), 10);
    }

    #[test]
    fn it_seldom_lingers_where_the_processor_is_gone_for_long_meanwhile() {
        let mut thread = Thread::new();
        thread.get_used_to_requests();
        let mut lingers_in_vain = || {
            let lingers = thread.lingers_after_a_request();
            thread.pass(LONG);
            lingers
        };
        (0..Habit::WORTH_MAX).for_each(|_| {
            lingers_in_vain();
        });
        let rounds = 10 * (usize::from(Habit::SKIPPED_MAX) + 1);
        assert_eq!((0..rounds).filter(|_| lingers_in_vain()).count(), 10);
    }

    #[test]
    fn those_that_yielded_go_on_in_order_and_one_in_a_round() {
        let mut thread = Thread::new();
        let wakes: Vec<Arc<Wakes>> = (0..3).map(|_| Arc::default()).collect();
        let woken = || wakes.iter().map(|own| own.count()).collect::<Vec<_>>();
        let places: Vec<RoundPlace> = wakes
            .iter()
            .map(|own| stand_in_line(&Waker::from(Arc::clone(own))))
            .collect();
        assert!(!places[0].is_called());
        for expected in [[1, 0, 0], [1, 1, 0], [1, 1, 1]] {
            assert!(thread.goes_on());
            assert_eq!(woken(), expected);
            let called = places.iter().map(|place| usize::from(place.is_called()));
            assert_eq!(called.collect::<Vec<_>>(), expected);
            // What those take who go on does not let more of them go on.
            thread.pass(2 * SHARE);
            note_went_on(2 * SHARE);
        }
    }

    #[test]
    fn the_longer_others_take_the_more_go_on() {
        let own: Arc<Wakes> = Arc::default();
        (0..10).for_each(|_| {
            stand_in_line(&Waker::from(Arc::clone(&own)));
        });
        call_next(SHARE * 3 + SHARE / 2);
        assert_eq!(own.count(), 4);
        call_next(100 * SHARE);
        assert_eq!(own.count(), 10);
    }
}
