//! Whether something that costs has been worth it of late, for what pays at some loads and not at others.

/// What is known about it.
pub(crate) struct Habit {
    /// Grows by one with each time that was worth it, falls by `LOSS` with each that was not: so it
    /// stays high only where more than `LOSS` of `LOSS + 1` times were.
    worth: u8,
    skipped: u8,
}

impl Habit {
    const LOSS: u8 = 2;
    const WORTH_MIN: u8 = 8;
    pub(crate) const WORTH_MAX: u8 = 32;
    /// Where it was not worth it, it is tried once in so many times.
    pub(crate) const SKIPPED_MAX: u8 = 32;

    pub(crate) const fn new() -> Habit {
        Habit {
            worth: 0,
            skipped: 0,
        }
    }

    /// Whether to do it this time.
    pub(crate) fn tries(&mut self) -> bool {
        let tries = self.worth >= Habit::WORTH_MIN || self.skipped >= Habit::SKIPPED_MAX;
        self.skipped = if tries { 0 } else { self.skipped + 1 };
        tries
    }

    /// Says whether it was worth it.
    pub(crate) fn note(&mut self, was_worth_it: bool) {
        self.worth = if was_worth_it {
            (self.worth + 1).min(Habit::WORTH_MAX)
        } else {
            self.worth.saturating_sub(Habit::LOSS)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries_of(habit: &mut Habit, times: u32, is_worth_it: bool) -> usize {
        (0..times)
            .filter(|_| {
                let tries = habit.tries();
                if tries {
                    habit.note(is_worth_it);
                }
                tries
            })
            .count()
    }

    #[test]
    fn what_is_worth_it_becomes_a_habit_and_what_is_not_is_tried_now_and_then() {
        let mut habit = Habit::new();
        let seldom = u32::from(Habit::SKIPPED_MAX) + 1;
        assert_eq!(tries_of(&mut habit, 3 * seldom, false), 3);
        tries_of(&mut habit, u32::from(Habit::WORTH_MIN) * seldom, true);
        assert_eq!(tries_of(&mut habit, 100, true), 100);
        tries_of(&mut habit, 100, false);
        assert_eq!(tries_of(&mut habit, 3 * seldom, false), 3);
    }
}
