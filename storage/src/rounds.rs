//! Work that one thread does at a time: who comes meanwhile does not wait, but has it done once
//! more by whoever is at it.

use crate::sync::atomic::AtomicU8;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Release};

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
        self.0.compare_exchange(FREE, BUSY, AcqRel, Acquire).is_ok()
    }

    /// Takes the work; `false` if somebody is at it, who then begins another round after this call.
    pub(crate) fn take_or_ask(&self) -> bool {
        loop {
            match self.0.compare_exchange(FREE, BUSY, AcqRel, Acquire) {
                Ok(_) => return true,
                Err(AGAIN) => return false,
                Err(_) => {
                    // If whoever had it has just left, do it ourselves.
                    if self
                        .0
                        .compare_exchange(BUSY, AGAIN, AcqRel, Acquire)
                        .is_ok()
                    {
                        return false;
                    }
                }
            }
        }
    }

    /// Ends a round; `true` if the work is given up. If not, somebody asked for another round, which
    /// begins now.
    pub(crate) fn end_round(&self) -> bool {
        if self.0.compare_exchange(BUSY, FREE, AcqRel, Acquire).is_ok() {
            return true;
        }
        self.0.store(BUSY, Release);
        false
    }

    /// Gives the work up, whoever asks.
    pub(crate) fn give_up(&self) {
        self.0.store(FREE, Release);
    }
}
