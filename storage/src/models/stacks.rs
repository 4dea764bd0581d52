//! The two stacks: keys to trim, and jobs that are due.

use loom::sync::Arc;
use loom::thread;

use super::{Memory, check};
use crate::afterwards::{Afterwards, Job};
use crate::registry::{KeyStack, Slot, WaitingKeys};
use crate::sync::Guard;

struct Keys {
    stack: KeyStack,
    other: KeyStack,
    keys: [Memory; 2],
}

impl Keys {
    fn new() -> Keys {
        Keys {
            stack: KeyStack::new(),
            other: KeyStack::new(),
            keys: Default::default(),
        }
    }
}

/// Reads what was written before the keys were pushed.
fn sum(keys: WaitingKeys) -> u64 {
    // SAFETY: the keys live as long as the model.
    keys.map(|key| unsafe { Memory::unmasked(key) }.read())
        .sum()
}

fn push(stack: &KeyStack, key: &Memory, value: u64) {
    key.write(value);
    stack.push(key.disguised());
}

#[test]
fn each_key_is_drained_once_with_all_that_was_written_before() {
    check(3, || {
        let all = Arc::new(Keys::new());
        let own = Arc::clone(&all);
        let pusher = thread::spawn(move || push(&own.stack, &own.keys[0], 1));
        let own = Arc::clone(&all);
        let drainer = thread::spawn(move || sum(own.stack.drain()));
        push(&all.stack, &all.keys[1], 2);
        let early = sum(all.stack.drain());
        pusher.join().unwrap();
        let drained = drainer.join().unwrap();
        assert_eq!(early + drained + sum(all.stack.drain()), 3);
    });
}

#[test]
fn keys_that_are_taken_over_come_with_all_that_was_written_before() {
    check(3, || {
        let all = Arc::new(Keys::new());
        let own = Arc::clone(&all);
        let pusher = thread::spawn(move || push(&own.stack, &own.keys[0], 1));
        let own = Arc::clone(&all);
        let mover = thread::spawn(move || own.other.take_over(own.stack.drain()));
        push(&all.stack, &all.keys[1], 2);
        let early = sum(all.other.drain());
        pusher.join().unwrap();
        mover.join().unwrap();
        let late = sum(all.other.drain()) + sum(all.stack.drain());
        assert_eq!(early + late, 3);
    });
}

fn job(memory: &Memory, number: u64) -> Job {
    let slot = memory.disguised::<Slot>();
    Job::EndSnapshot { slot, number }
}

/// The numbers of the jobs taken, each with what was written before it came.
fn take(jobs: &Afterwards) -> u64 {
    let mut numbers = 0;
    for job in jobs.take() {
        let Job::EndSnapshot { slot, number } = job else {
            panic!("no such job was given");
        };
        // SAFETY: the memory lives as long as the model.
        assert_eq!(unsafe { Memory::unmasked(slot) }.read(), number);
        numbers += number;
    }
    numbers
}

#[test]
fn each_job_is_taken_once_with_all_that_was_written_before() {
    check(3, || {
        let all = Arc::new((Afterwards::new(), [Memory::default(), Memory::default()]));
        let give = |jobs: &Afterwards, memory: &Memory, number| {
            memory.write(number);
            jobs.again(job(memory, number));
        };
        let own = Arc::clone(&all);
        let giver = thread::spawn(move || give(&own.0, &own.1[0], 1));
        let own = Arc::clone(&all);
        let taker = thread::spawn(move || take(&own.0));
        give(&all.0, &all.1[1], 2);
        let early = take(&all.0);
        giver.join().unwrap();
        let taken = taker.join().unwrap();
        assert_eq!(early + taken + take(&all.0), 3);
    });
}

/// A guard that lets everything be done at once.
fn no_grace() -> &'static Guard {
    // SAFETY: nothing is reached through an epoch here.
    unsafe { crossbeam_epoch::unprotected() }
}

#[test]
fn nothing_is_outstanding_only_once_all_of_it_is_done() {
    check(3, || {
        let all = Arc::new((Afterwards::new(), Memory::default(), Memory::default()));
        all.1.write(1);
        all.0.after_grace(job(&all.1, 1), no_grace());
        let own = Arc::clone(&all);
        let worker = thread::spawn(move || {
            if take(&own.0) > 0 {
                own.2.write(1);
                own.0.done();
            }
        });
        if all.0.outstanding() == 0 {
            assert_eq!(all.2.read(), 1);
        }
        worker.join().unwrap();
    });
}
