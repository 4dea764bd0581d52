//! The two clocks: the commit order, and the time by which keys expire.

use std::sync::atomic::{AtomicU64, Ordering};

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
#[repr(align(128))]
pub(crate) struct WallClock(AtomicU64);

impl WallClock {
    pub(crate) fn new() -> WallClock {
        WallClock(AtomicU64::new(0))
    }

    #[inline]
    pub(crate) fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Moves the clock on to `now_ms`, unless it is there already. Returns where it stands.
    pub(crate) fn advance(&self, now_ms: u64) -> u64 {
        let seen = self.0.load(Ordering::SeqCst);
        if seen >= now_ms {
            return seen;
        }
        self.0.fetch_max(now_ms, Ordering::SeqCst).max(now_ms)
    }
}
