//! Work that one thread does at a time: a request to go round once more is never lost.

use loom::sync::Arc;
use loom::thread;

use super::{Memory, check};
use crate::registry::KeyStack;
use crate::rounds::Rounds;
use crate::sync::atomic::AtomicBool;
use crate::sync::atomic::Ordering::Relaxed;

struct Work {
    rounds: Rounds,
    /// Who wants something done. Relaxed: `Rounds` itself must see to it that it is seen.
    wanted: [AtomicBool; 3],
    /// What has been done, touched by whoever is at the work.
    done: Memory,
    /// Where it is left if too much is asked for, as at the maintenance.
    left: KeyStack,
}

impl Work {
    fn new() -> Work {
        Work {
            rounds: Rounds::new(),
            wanted: std::array::from_fn(|_| AtomicBool::new(false)),
            done: Memory::default(),
            left: KeyStack::new(),
        }
    }

    fn round(&self) {
        let done = self.done.read();
        let wanted = (0..self.wanted.len()).filter(|one| self.wanted[*one].load(Relaxed));
        self.done
            .write(wanted.fold(done, |done, one| done | 1 << one));
    }

    /// Goes round up to so many times.
    fn go_round(&self, rounds: usize) {
        for _ in 0..rounds {
            self.round();
            if self.rounds.end_round() {
                return;
            }
        }
        loop {
            self.left.push(self.done.disguised());
            if self.rounds.end_round() {
                return;
            }
        }
    }

    fn want(&self, one: usize, rounds: usize) {
        self.wanted[one].store(true, Relaxed);
        if self.rounds.take_or_ask() {
            self.go_round(rounds);
        }
    }
}

#[test]
fn whoever_asks_is_served_by_a_round_that_begins_later() {
    check(2, || {
        let work = Arc::new(Work::new());
        let threads = [1, 2].map(|one| {
            let work = Arc::clone(&work);
            thread::spawn(move || work.want(one, usize::MAX))
        });
        work.want(0, usize::MAX);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(work.done.read(), 0b111);
        assert!(work.rounds.take(), "given up");
    });
}

#[test]
fn work_that_is_left_to_the_maintenance_is_found_there_whoever_asks_meanwhile() {
    check(6, || {
        let work = Arc::new(Work::new());
        let own = Arc::clone(&work);
        let other = thread::spawn(move || own.want(1, 1));
        work.want(0, 1);
        // The maintenance.
        if work.left.drain().count() > 0 && work.rounds.take_or_ask() {
            work.go_round(usize::MAX);
        }
        other.join().unwrap();
        if work.left.drain().count() > 0 && work.rounds.take_or_ask() {
            work.go_round(usize::MAX);
        }
        assert_eq!(work.done.read(), 0b11);
    });
}

#[test]
fn work_that_is_only_taken_is_one_threads_at_a_time() {
    check(4, || {
        let work = Arc::new(Work::new());
        let threads = [1, 2].map(|_| {
            let work = Arc::clone(&work);
            thread::spawn(move || {
                if work.rounds.take() {
                    work.done.add(1);
                    work.rounds.give_up();
                }
            })
        });
        if work.rounds.take() {
            work.done.add(1);
            work.rounds.give_up();
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(work.done.read() >= 1);
    });
}
