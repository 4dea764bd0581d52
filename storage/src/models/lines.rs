//! The queues of those who keep losing: one at a time, in the order of tickets, nobody forgotten.

use std::task::Waker;

use loom::sync::Arc;
use loom::thread;

use super::{Memory, check};
use crate::queue::Queues;
use crate::sync::atomic::Ordering::Relaxed;
use crate::waiting::park_until;

struct Lines {
    queues: Queues,
    /// Touched by whoever heads the line.
    memory: Memory,
}

impl Lines {
    fn new() -> Lines {
        Lines {
            queues: Queues::new(),
            memory: Memory::default(),
        }
    }

    /// Waits for its turn, and returns the wakers, to be dropped at the model's end: std's counts
    /// are none of loom's.
    fn take_turn(&self, hashes: &[u64]) -> Vec<Waker> {
        let mut place = self.queues.place(hashes.iter().copied());
        let mut wakers = Vec::new();
        park_until(|waker| {
            wakers.push(waker.clone());
            self.queues.poll(&mut place, waker)
        });
        self.memory.add(1);
        self.queues.leave(place);
        wakers
    }
}

/// One thread for each set of hashes.
fn all_take_turns(lines: &Arc<Lines>, sets: &'static [&'static [u64]]) {
    let threads: Vec<_> = sets[1..]
        .iter()
        .map(|hashes| {
            let lines = Arc::clone(lines);
            thread::spawn(move || lines.take_turn(hashes))
        })
        .collect();
    let mut wakers = lines.take_turn(sets[0]);
    for thread in threads {
        wakers.extend(thread.join().unwrap());
    }
    assert_eq!(lines.memory.read(), sets.len() as u64);
    assert_eq!(lines.queues.members.load(Relaxed), 0);
}

#[test]
fn who_leaves_the_line_wakes_the_next() {
    check(2, || {
        all_take_turns(&Arc::new(Lines::new()), &[&[0], &[0], &[0]]);
    });
}

#[test]
fn two_who_want_the_same_keys_in_another_order_do_not_wait_for_each_other() {
    check(3, || {
        all_take_turns(&Arc::new(Lines::new()), &[&[0, 1], &[1, 0]]);
    });
}

#[test]
fn a_place_that_is_given_up_holds_nobody_up() {
    check(3, || {
        let lines = Arc::new(Lines::new());
        let own = Arc::clone(&lines);
        let gives_up = thread::spawn(move || {
            let mut place = own.queues.place([0].into_iter());
            let _ = own.queues.poll(&mut place, Waker::noop());
            own.queues.leave(place);
        });
        let wakers = lines.take_turn(&[0]);
        gives_up.join().unwrap();
        assert_eq!(lines.queues.members.load(Relaxed), 0);
        drop(wakers);
    });
}

#[test]
fn whoever_is_woken_sees_what_was_done_before() {
    check(4, || {
        let memory = Arc::new(Memory::default());
        let mut waking = None;
        park_until(|waker| {
            if waking.is_some() {
                return memory.read() == 1;
            }
            let (waker, memory) = (waker.clone(), Arc::clone(&memory));
            waking = Some(thread::spawn(move || {
                memory.write(1);
                waker.wake_by_ref();
                waker
            }));
            false
        });
        drop(waking.unwrap().join());
    });
}
