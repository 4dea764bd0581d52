//! When threads look through all that they have allocated for what others have freed of it.
//!
//! mimalloc does so by itself after so many allocations, in the middle of one: with a million keys it takes
//! ten milliseconds and more, and all clients of the thread wait. It has to be done where much has been
//! freed, or memory is not given back. So a thread does it between two rounds, and by itself hardly ever:
//! often enough, while memory in use falls, that little has been freed since it last did.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::memory;

/// Less than this is not worth a look.
const FALL_BYTES_MIN: usize = 4 << 20;
/// Nor less than this part of what was in use.
const FALL_SHARE: usize = 64;

/// How often all threads have been asked to look.
static WANTED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static DONE: Cell<u64> = const { Cell::new(0) };
}

/// How far memory in use has fallen since threads were last asked.
#[derive(Default)]
pub(crate) struct Fall {
    highest_bytes: usize,
}

impl Fall {
    /// Asks all threads to look if so much less is in use now that it is worth it.
    pub(crate) fn note(&mut self, used_bytes: usize) {
        if self.is_worth_it(used_bytes) {
            // Relaxed, here and where it is read: a number through which nothing else is seen.
            WANTED.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_worth_it(&mut self, used_bytes: usize) -> bool {
        self.highest_bytes = self.highest_bytes.max(used_bytes);
        let fall_bytes = self.highest_bytes - used_bytes;
        let is_worth_it = fall_bytes >= FALL_BYTES_MIN.max(self.highest_bytes / FALL_SHARE);
        if is_worth_it {
            self.highest_bytes = used_bytes;
        }
        is_worth_it
    }
}

/// The calling thread looks if it has been asked to since it last did.
#[inline]
pub(crate) fn collect_if_wanted() {
    let wanted = WANTED.load(Ordering::Relaxed);
    if DONE.replace(wanted) != wanted {
        memory::collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;

    #[test]
    fn a_fall_is_worth_it_once_and_only_if_it_is_large() {
        let mut fall = Fall::default();
        let mut is_worth_it = |megabytes: usize| fall.is_worth_it(megabytes * MB);
        assert!(!is_worth_it(6_400), "it rises");
        assert!(!is_worth_it(6_301), "less than a part");
        assert!(is_worth_it(6_300), "as much as a part");
        assert!(!is_worth_it(6_300), "once");
        assert!(!is_worth_it(6_220));
        assert!(is_worth_it(6_200), "as much again");
        assert!(!is_worth_it(10_000));
        assert!(is_worth_it(100));
        assert!(!is_worth_it(97), "more than a part, but no 4 MB");
        assert!(is_worth_it(96));
    }

    #[test]
    fn mimalloc_knows_the_options() {
        assert!(memory::leave_to_housekeeping());
        assert!(memory::leave_to_housekeeping(), "it stays so");
    }

    #[test]
    fn whoever_was_asked_looks_once() {
        let mut fall = Fall::default();
        fall.note(100 * MB);
        fall.note(0);
        let wanted = WANTED.load(Ordering::Relaxed);
        assert!(DONE.get() < wanted);
        collect_if_wanted();
        assert!(DONE.get() >= wanted);
    }
}
