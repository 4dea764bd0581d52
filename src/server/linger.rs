//! A data-plane thread without work looks at its sockets for a moment longer before it sleeps, if such
//! moments have been worth it: where requests come one after the other, to be woken takes it as much
//! time as those looks, and whoever sends waits for it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::session::kept_gate;

/// How long it looks for news.
const LINGER: Duration = Duration::from_micros(50);

thread_local! {
    /// Turns that the thread's connections have had.
    static TURNS: Cell<u64> = const { Cell::new(0) };
    /// Whom the next turn wakes: the thread has slept.
    static LINGERER: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// A connection of this thread has its turn.
#[inline]
pub(super) fn note_turn() {
    TURNS.set(TURNS.get().wrapping_add(1));
    if let Some(waker) = LINGERER.take() {
        waker.wake();
    }
}

/// What the thread does as far as this task knows.
enum State {
    Works,
    /// Nothing has come since then, and it looks for more.
    Lingers(Instant),
    Sleeps,
}

/// A task that keeps its thread from sleeping as long as that pays.
pub(super) fn linger() -> impl Future<Output = ()> {
    let mut habit = Habit::default();
    let mut turns = TURNS.get();
    let mut state = State::Works;
    std::future::poll_fn(move |context: &mut Context<'_>| {
        let has_news = std::mem::replace(&mut turns, TURNS.get()) != turns;
        state = match state {
            State::Lingers(_) if has_news => {
                habit.note(true);
                State::Works
            }
            _ if has_news => State::Works,
            State::Works => {
                // As before it sleeps: nothing is ready.
                kept_gate::release();
                if habit.tries() {
                    State::Lingers(Instant::now())
                } else {
                    State::Sleeps
                }
            }
            State::Lingers(since) if since.elapsed() >= LINGER => {
                habit.note(false);
                State::Sleeps
            }
            State::Lingers(since) => State::Lingers(since),
            State::Sleeps => State::Sleeps,
        };
        if let State::Sleeps = state {
            LINGERER.set(Some(context.waker().clone()));
            return Poll::Pending;
        }
        if let State::Lingers(_) = state {
            // Whoever shares its processor may be who sends the next request.
            std::thread::yield_now();
        }
        // It runs again after the runtime has looked at the sockets.
        let _ = pin!(tokio::task::yield_now()).poll(context);
        Poll::Pending
    })
}

/// Whether lingering has been worth it of late.
#[derive(Default)]
struct Habit {
    /// Grows by one with each time that brought news, falls by `LOSS` with each that brought none: so it
    /// stays high only where more than `LOSS` of `LOSS + 1` times did.
    worth: u8,
    skipped: u8,
}

impl Habit {
    const LOSS: u8 = 2;
    const WORTH_MIN: u8 = 8;
    const WORTH_MAX: u8 = 32;
    /// Where it was not worth it, it is tried once in so many times.
    const SKIPPED_MAX: u8 = 32;

    /// Whether to linger this time.
    fn tries(&mut self) -> bool {
        let tries = self.worth >= Habit::WORTH_MIN || self.skipped >= Habit::SKIPPED_MAX;
        self.skipped = if tries { 0 } else { self.skipped + 1 };
        tries
    }

    /// Says whether it brought news.
    fn note(&mut self, has_news: bool) {
        self.worth = if has_news {
            (self.worth + 1).min(Habit::WORTH_MAX)
        } else {
            self.worth.saturating_sub(Habit::LOSS)
        };
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The task, as a runtime would run it that has no sockets.
    struct Thread {
        task: Pin<Box<dyn Future<Output = ()>>>,
        wakes: Arc<Wakes>,
    }

    impl Thread {
        fn new() -> Thread {
            Thread {
                task: Box::pin(linger()),
                wakes: Arc::default(),
            }
        }

        /// Whether the thread would look at its sockets instead of sleeping.
        fn stays(&mut self) -> bool {
            let before = self.wakes.0.load(Ordering::SeqCst);
            let waker = Waker::from(Arc::clone(&self.wakes));
            assert!(
                self.task
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
            self.wakes.0.load(Ordering::SeqCst) > before
        }

        /// Whether it lingers after a request.
        fn lingers_after_a_request(&mut self) -> bool {
            note_turn();
            assert!(self.stays(), "what the turn may have begun comes first");
            self.stays()
        }

        fn sleeps_at_last(&mut self) {
            while self.stays() {
                std::hint::spin_loop();
            }
        }

        /// Requests that come while it lingers, until it does so each time.
        fn get_used_to_requests(&mut self) {
            let mut lingered = 0;
            for _ in 0..100 * usize::from(Habit::SKIPPED_MAX) {
                lingered = if self.lingers_after_a_request() {
                    lingered + 1
                } else {
                    0
                };
            }
            assert!(lingered > usize::from(Habit::WORTH_MAX));
        }
    }

    #[test]
    fn it_lingers_where_requests_follow_each_other_and_then_sleeps() {
        let mut thread = Thread::new();
        assert!(!thread.stays(), "nothing has come yet");
        thread.get_used_to_requests();
        let begun = Instant::now();
        thread.sleeps_at_last();
        assert!(begun.elapsed() < 1000 * LINGER);
        assert!(!thread.stays(), "it sleeps until something comes");
    }

    #[test]
    fn the_next_turn_of_a_connection_wakes_it() {
        let mut thread = Thread::new();
        assert!(!thread.stays());
        note_turn();
        assert_eq!(thread.wakes.0.load(Ordering::SeqCst), 1);
        note_turn();
        assert_eq!(thread.wakes.0.load(Ordering::SeqCst), 1, "once");
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
}
