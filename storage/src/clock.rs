//! The two clocks: the commit order, and the time by which keys expire.

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::version::Number;

/// The commit clock. Advanced by snapshots, by commits that must be numbered, and by the stream's
/// ticks; everything else only loads it. One atomic word gives the order of everything, so that
/// order is total and agrees with real time.
#[repr(align(128))]
pub(crate) struct Clock(AtomicU64);

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock(AtomicU64::new(1))
    }

    #[inline]
    pub(crate) fn now(&self) -> Number {
        self.0.load(Ordering::SeqCst)
    }

    /// A number that nobody has drawn before and above every number given out so far.
    pub(crate) fn draw(&self) -> Number {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// Milliseconds since 1970, never going back. Operations load it once, before they look at a
/// record, so that what one of them saw expired no later one sees alive.
///
/// It stands still while an exclusive transaction runs: nobody may see a key expired, and that in
/// time, before a commit whose transaction saw it alive.
#[repr(align(128))]
pub(crate) struct WallClock {
    /// The time, and in the lowest bit whether it stands still.
    word: AtomicU64,
    /// Where it goes on when it stands still no longer.
    waiting_ms: AtomicU64,
    /// Up to which time a number of the commit clock has been drawn since.
    numbered_ms: AtomicU64,
}

const STANDS_STILL: u64 = 1;

impl WallClock {
    pub(crate) fn new() -> WallClock {
        WallClock {
            word: AtomicU64::new(0),
            waiting_ms: AtomicU64::new(0),
            numbered_ms: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn now_ms(&self) -> u64 {
        self.word.load(Ordering::SeqCst) >> 1
    }

    /// The time, once a number of `clock` has been drawn since it came: what was decided in time
    /// before gets a smaller number than what begins with this time.
    pub(crate) fn numbered_now_ms(&self, clock: &Clock) -> u64 {
        let now_ms = self.now_ms();
        if self.numbered_ms.load(Ordering::SeqCst) < now_ms {
            clock.draw();
            self.numbered_ms.fetch_max(now_ms, Ordering::SeqCst);
        }
        now_ms
    }

    /// Moves the clock on to `now_ms`, unless it is there already; later, if it stands still.
    pub(crate) fn advance(&self, now_ms: u64) {
        let mut word = self.word.load(Ordering::SeqCst);
        while word >> 1 < now_ms {
            if word & STANDS_STILL == 0 {
                let moved = now_ms << 1;
                match self
                    .word
                    .compare_exchange(word, moved, Ordering::SeqCst, Ordering::SeqCst)
                {
                    Ok(_) => return,
                    Err(now) => word = now,
                }
            } else {
                self.waiting_ms.fetch_max(now_ms, Ordering::SeqCst);
                // It may have gone on before it could see what waits.
                word = self.word.load(Ordering::SeqCst);
                if word & STANDS_STILL != 0 {
                    return;
                }
            }
        }
    }

    /// Stops the clock. Only the gate's owner may, once.
    pub(crate) fn stop(&self) {
        self.word.fetch_or(STANDS_STILL, Ordering::SeqCst);
    }

    /// Lets the clock go on, after `stop`.
    pub(crate) fn go_on(&self) {
        self.word.fetch_sub(STANDS_STILL, Ordering::SeqCst);
        self.advance(self.waiting_ms.load(Ordering::SeqCst));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_passes_while_the_clock_stands_still_comes_afterwards() {
        let clock = WallClock::new();
        clock.advance(5);
        clock.stop();
        clock.advance(9);
        clock.advance(7);
        assert_eq!(clock.now_ms(), 5);
        clock.go_on();
        assert_eq!(clock.now_ms(), 9);
        clock.advance(8);
        assert_eq!(clock.now_ms(), 9);
    }
}
