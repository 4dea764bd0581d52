//! Work that one thread does at a time: who comes meanwhile does not wait, but has it done once
//! more by whoever is at it.
//!
//! Ordering: a round sees what all those wrote who asked for it, and all earlier rounds. Every
//! change is a read-modify-write, so each acquires what the last one released.

use crate::sync::atomic::AtomicU8;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const FREE: u8 = 0;
/// Somebody is at it.
const BUSY: u8 = 1;
/// Somebody is at it, and was asked to go round again.
const AGAIN: u8 = 2;

/// See the module's text.
#[repr(transparent)]
pub(crate) struct Rounds(AtomicU8);

impl Rounds {
    pub(crate) fn new() -> Rounds {
        Rounds(AtomicU8::new(FREE))
    }

    /// Takes the work, unless somebody is at it.
    pub(crate) fn take(&self) -> bool {
        self.0
            .compare_exchange(FREE, BUSY, Acquire, Relaxed)
            .is_ok()
    }

    /// Takes the work; `false` if somebody is at it, who then begins another round after this call,
    /// and sees there what the caller wrote before.
    pub(crate) fn take_or_ask(&self) -> bool {
        let mut seen = FREE;
        loop {
            // Storing AGAIN over AGAIN is no idle step: the holder acquires the last request alone,
            // and what a swap that fails has read may be old.
            let next = if seen == FREE { BUSY } else { AGAIN };
            match self.0.compare_exchange(seen, next, AcqRel, Relaxed) {
                Ok(_) => return next == BUSY,
                Err(now) => seen = now,
            }
        }
    }

    /// Ends a round; `true` if the work is given up. If not, somebody asked for another round, which
    /// begins now.
    pub(crate) fn end_round(&self) -> bool {
        if self
            .0
            .compare_exchange(BUSY, FREE, Release, Relaxed)
            .is_ok()
        {
            return true;
        }
        // A swap, for its Acquire: whoever asks sees the round begin, or is seen by it.
        self.0.swap(BUSY, Acquire);
        false
    }

    /// Gives the work up, for somebody who comes again of his own accord: nobody goes round for who
    /// has asked.
    pub(crate) fn give_up(&self) {
        self.0.store(FREE, Release);
    }
}
