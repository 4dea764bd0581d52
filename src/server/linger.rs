//! A thread without work looks at its sockets for a moment longer before it sleeps, if such moments have
//! been worth it: where requests come one after the other, to be woken takes it as much time as those
//! looks, and whoever sends waits for it.

use std::time::Duration;

/// How long it looks for news.
pub(super) const LINGER: Duration = Duration::from_micros(50);

/// Whether lingering has been worth it of late.
#[derive(Default)]
pub(super) struct Habit {
    /// Grows by one with each time that brought news, falls by `LOSS` with each that brought none: so it
    /// stays high only where more than `LOSS` of `LOSS + 1` times did.
    worth: u8,
    skipped: u8,
}

impl Habit {
    const LOSS: u8 = 2;
    const WORTH_MIN: u8 = 8;
    pub(super) const WORTH_MAX: u8 = 32;
    /// Where it was not worth it, it is tried once in so many times.
    pub(super) const SKIPPED_MAX: u8 = 32;

    /// Whether to linger this time.
    pub(super) fn tries(&mut self) -> bool {
        let tries = self.worth >= Habit::WORTH_MIN || self.skipped >= Habit::SKIPPED_MAX;
        self.skipped = if tries { 0 } else { self.skipped + 1 };
        tries
    }

    /// Says whether it brought news.
    pub(super) fn note(&mut self, has_news: bool) {
        self.worth = if has_news {
            (self.worth + 1).min(Habit::WORTH_MAX)
        } else {
            self.worth.saturating_sub(Habit::LOSS)
        };
    }
}
