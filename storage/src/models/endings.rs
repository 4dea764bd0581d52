//! Ending a snapshot without its holder: nobody reads what is cut, and whoever holds the slot next
//! is left alone.
//!
//! The grace period is modelled as crossbeam's: a pin is a store and a full fence, and whoever
//! waits has a full fence before looking at it.

use loom::sync::Arc;
use loom::thread;

use super::{Memory, check};
use crate::registry::{KeyStack, Slot, WaitingKeys};
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::sync::atomic::{AtomicBool, fence};

const NUMBER: u64 = 7;

struct Held {
    slot: Slot,
    is_pinned: AtomicBool,
    /// What the snapshot sees.
    version: Memory,
    elsewhere: KeyStack,
    key: Memory,
}

impl Held {
    fn new() -> Held {
        let held = Held {
            slot: Slot::new(),
            is_pinned: AtomicBool::new(false),
            version: Memory::default(),
            elsewhere: KeyStack::new(),
            key: Memory::default(),
        };
        assert!(held.slot.reserve());
        held.slot.protect(NUMBER);
        held
    }

    /// One access of the holder's; `false` if it was refused.
    fn read(&self) -> bool {
        self.is_pinned.store(true, Relaxed);
        fence(SeqCst);
        let is_held = self.slot.is_held_at(NUMBER);
        if is_held {
            self.version.read();
        }
        self.is_pinned.store(false, Release);
        is_held
    }

    /// Ends the snapshot, if a grace period passes. Returns the keys that waited.
    fn end(&self) -> u64 {
        if !self.slot.begin_ending(NUMBER) {
            return 0;
        }
        fence(SeqCst);
        if self.is_pinned.load(Acquire) {
            return 0;
        }
        let keys = self.slot.finish_ending(NUMBER);
        if self.slot.protects_nothing() {
            self.version.write(1);
        }
        sum(keys)
    }
}

/// Reads what was written before the keys were left.
fn sum(keys: WaitingKeys) -> u64 {
    // SAFETY: the keys live as long as the model.
    keys.map(|key| unsafe { Memory::unmasked(key) }.read())
        .sum()
}

#[test]
fn whoever_may_still_read_is_waited_for_before_anything_is_cut() {
    check(5, || {
        let held = Arc::new(Held::new());
        let own = Arc::clone(&held);
        let ender = thread::spawn(move || own.end());
        let first = held.read();
        let second = held.read();
        assert!(first || !second, "refused once, refused for good");
        ender.join().unwrap();
    });
}

#[test]
fn keys_that_wait_for_an_ended_snapshot_are_taken_by_its_holder_or_by_whoever_ends_it() {
    check(3, || {
        let held = Arc::new(Held::new());
        let own = Arc::clone(&held);
        let ender = thread::spawn(move || own.end());
        let own = Arc::clone(&held);
        let waiting = thread::spawn(move || {
            own.key.write(1);
            own.slot.leave(own.key.disguised(), &own.elsewhere);
        });
        let drained = sum(held.slot.release());
        let ended = ender.join().unwrap();
        waiting.join().unwrap();
        assert_eq!(drained + ended + sum(held.elsewhere.drain()), 1);
        assert!(held.slot.protects_nothing());
    });
}

#[test]
fn keys_that_wait_for_an_ended_snapshot_do_not_wait_for_its_holder() {
    check(5, || {
        let held = Arc::new(Held::new());
        let own = Arc::clone(&held);
        let waiting = thread::spawn(move || {
            own.key.write(1);
            own.slot.leave(own.key.disguised(), &own.elsewhere);
        });
        let ended = held.end();
        waiting.join().unwrap();
        assert_eq!(ended + sum(held.elsewhere.drain()), 1);
    });
}

#[test]
fn the_next_holder_of_the_slot_is_not_ended_in_the_place_of_the_last() {
    check(5, || {
        let held = Arc::new(Held::new());
        let own = Arc::clone(&held);
        let ender = thread::spawn(move || own.end());
        drop(held.slot.release());
        assert!(held.slot.reserve());
        held.slot.protect_from(NUMBER + 1);
        held.slot.protect(NUMBER + 2);
        assert!(held.slot.is_held_at(NUMBER + 2));
        ender.join().unwrap();
        assert_eq!(held.slot.snapshot(), Some(NUMBER + 2));
    });
}

#[test]
fn two_who_end_the_same_snapshot_do_so_once() {
    check(5, || {
        let held = Arc::new(Held::new());
        let own = Arc::clone(&held);
        let other = thread::spawn(move || own.slot.begin_ending(NUMBER));
        let first = held.slot.begin_ending(NUMBER);
        assert!(first != other.join().unwrap());
        assert!(held.slot.is_ending() && held.slot.snapshot().is_none());
    });
}
