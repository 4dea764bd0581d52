//! The clocks: the commit order, the time by which keys expire, and the moments that scripts are told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::version::Number;

/// The system's time since 1970; none before.
#[inline]
pub(crate) fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

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
/// The end of time, 292,000 years from 1970: in microseconds, and beside the lowest bit, it fits in a
/// word, and as many moments do behind it.
const TIME_MAX_MS: u64 = u64::MAX / 2000;

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
        let now_ms = now_ms.min(TIME_MAX_MS);
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

/// Times to the microsecond of which no two are told to be the same. On a line of its own: only who
/// asks writes it.
#[repr(align(128))]
#[derive(Default)]
pub(crate) struct Moments {
    told_us: AtomicU64,
}

impl Moments {
    /// A moment behind all that were told: the system's, if that is within the millisecond `now_ms`.
    pub(crate) fn next_us(&self, now_ms: u64) -> u64 {
        let system_us = since_1970().as_micros() as u64;
        // Not so if the store's time stands still, is set by hand, or was read before the system's went on.
        let is_within = system_us / 1000 == now_ms;
        let moment_us = if is_within { system_us } else { now_ms * 1000 };
        if self.told_us.fetch_max(moment_us, Ordering::SeqCst) < moment_us {
            return moment_us;
        }
        self.told_us.fetch_add(1, Ordering::SeqCst) + 1
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

    #[test]
    fn time_never_goes_back_however_far_it_is_moved() {
        let (clock, moments) = (WallClock::new(), Moments::default());
        clock.advance(5);
        for far_ms in [1 << 63, u64::MAX, 1] {
            clock.advance(far_ms);
            assert_eq!(clock.now_ms(), TIME_MAX_MS);
            assert!(moments.next_us(clock.now_ms()) < moments.next_us(clock.now_ms()));
        }
    }

    #[test]
    fn no_moment_is_told_twice_whatever_the_time_does() {
        let moments = Moments::default();
        let mut last_us = 0;
        for now_ms in [5, 5, 9, 7, 9] {
            let moment_us = moments.next_us(now_ms);
            assert!(moment_us > last_us && moment_us >= now_ms * 1000);
            last_us = moment_us;
        }
    }
}
