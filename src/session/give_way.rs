//! Whoever has lost to another thread lets others have its processor for a moment: what it begins again
//! at once would race with what the winner begins next, while its clients, if they share the processor,
//! wait for it.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::habit::Habit;

/// Whoever has the processor for longer, once it is yielded, is seldom a client that goes on with its
/// requests. Shorter than the slice of a program that never waits.
pub(crate) const LONG: Duration = Duration::from_micros(2_500);

thread_local! {
    static HABIT: RefCell<Habit> = const { RefCell::new(Habit::new()) };
}

/// Yields the processor, seldom where whoever takes it keeps it.
pub(super) fn give_way() {
    HABIT.with_borrow_mut(|habit| {
        if habit.tries() {
            let begun = Instant::now();
            std::thread::yield_now();
            habit.note(begun.elapsed() < LONG);
        }
    });
}
