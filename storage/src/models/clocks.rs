//! The clocks: the commit order is total, the time never goes back, and stands still for the owner
//! of the gate.

use loom::sync::Arc;
use loom::thread;

use super::{Memory, check};
use crate::clock::{Clock, WallClock};

#[test]
fn a_drawn_number_is_above_all_that_was_given_out() {
    check(3, || {
        let all = Arc::new((Clock::new(), Memory::default()));
        let own = Arc::clone(&all);
        let one = thread::spawn(move || own.0.draw());
        let own = Arc::clone(&all);
        let other = thread::spawn(move || {
            let known = own.0.now();
            let drawn = own.0.draw();
            assert!(known < drawn);
            drawn
        });
        let known = all.0.now();
        let drawn = all.0.draw();
        assert!(known < drawn);
        let mut numbers = [one.join().unwrap(), other.join().unwrap(), drawn];
        numbers.sort_unstable();
        assert_eq!(numbers, [2, 3, 4]);
    });
}

#[test]
fn a_number_orders_what_was_written_before_it() {
    check(3, || {
        let all = Arc::new((Clock::new(), Memory::default()));
        let own = Arc::clone(&all);
        let writer = thread::spawn(move || {
            own.1.write(1);
            own.0.draw();
        });
        if all.0.now() > 1 {
            assert_eq!(all.1.read(), 1);
        }
        writer.join().unwrap();
    });
}

#[test]
fn the_time_never_goes_back_and_ends_at_the_latest() {
    check(3, || {
        let clock = Arc::new(WallClock::new());
        let threads = [5, 9].map(|now_ms| {
            let clock = Arc::clone(&clock);
            thread::spawn(move || clock.advance(now_ms))
        });
        let (early, late) = (clock.now_ms(), clock.now_ms());
        assert!(early <= late);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(clock.now_ms(), 9);
    });
}

#[test]
fn the_time_stands_still_for_the_owner_and_nothing_of_it_is_lost() {
    check(4, || {
        let clock = Arc::new(WallClock::new());
        let threads = [5, 9].map(|now_ms| {
            let clock = Arc::clone(&clock);
            thread::spawn(move || clock.advance(now_ms))
        });
        clock.stop();
        let (early, late) = (clock.now_ms(), clock.now_ms());
        assert_eq!(early, late);
        clock.go_on();
        assert!(clock.now_ms() >= late);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(clock.now_ms(), 9);
    });
}

#[test]
fn what_was_decided_in_time_has_a_smaller_number_than_what_begins_with_a_later_time() {
    check(3, || {
        let all = Arc::new((Clock::new(), WallClock::new()));
        let own = Arc::clone(&all);
        let time = thread::spawn(move || own.1.advance(5));
        let begins = |all: &(Clock, WallClock)| {
            let now_ms = all.1.numbered_now_ms(&all.0);
            (now_ms, all.0.now())
        };
        let own = Arc::clone(&all);
        let other = thread::spawn(move || begins(&own));
        // A decision: the number first, then the time.
        let number = all.0.now();
        let now_ms = all.1.now_ms();
        let own = begins(&all);
        for (later_ms, later) in [own, other.join().unwrap()] {
            assert!(now_ms >= later_ms || number < later);
        }
        time.join().unwrap();
    });
}
