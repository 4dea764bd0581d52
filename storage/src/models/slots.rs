//! Slots: what a snapshot can see is not cut, and keys that wait for one are not forgotten.

use loom::sync::Arc;
use loom::thread;

use super::{Memory, check};
use crate::clock::Clock;
use crate::registry::{KeyStack, Protector, Scan, Slot, Slots, WaitingKeys};
use crate::sync::atomic::Ordering::Relaxed;
use crate::version::Number;

/// Takes a slot and a number as `Inner::register_snapshot` does.
fn register(slots: &Slots, clock: &Clock) -> (Number, usize) {
    let slot = slots.reserve();
    slot.protect_from(clock.now() + 1);
    let number = clock.draw();
    slot.protect(number);
    (number, std::ptr::from_ref(slot).addr())
}

fn scan(scan: &mut Scan, slots: &Slots, clock: &Clock) {
    scan.clear(clock.now());
    slots.iter().for_each(|slot| scan.add(slot));
    scan.finish();
}

#[test]
fn whoever_looks_for_what_may_be_cut_finds_every_snapshot_below_the_newer_version() {
    check(3, || {
        let all = Arc::new((Slots::new(), Clock::new()));
        let holders = [0, 1].map(|_| {
            let all = Arc::clone(&all);
            thread::spawn(move || register(&all.0, &all.1).0)
        });
        // A version is put over one that was there from the start, then cut.
        let upto = all.1.now();
        let mut seen = Scan::default();
        scan(&mut seen, &all.0, &all.1);
        let is_cut = seen.protector(0, upto).is_none();
        for holder in holders {
            let number = holder.join().unwrap();
            assert!(!is_cut || number > upto, "{number} was cut");
        }
    });
}

#[test]
fn an_older_look_is_good_for_what_was_committed_before_it() {
    check(3, || {
        let all = Arc::new((Slots::new(), Clock::new()));
        let own = Arc::clone(&all);
        let holder = thread::spawn(move || register(&own.0, &own.1).0);
        let own = Arc::clone(&all);
        let other = thread::spawn(move || register(&own.0, &own.1).0);
        let mut seen = Scan::default();
        scan(&mut seen, &all.0, &all.1);
        let numbers = [holder.join().unwrap(), other.join().unwrap()];
        let upto = all.1.now();
        let is_cut = seen.clock >= upto && seen.protector(0, upto).is_none();
        assert!(!is_cut || numbers.iter().all(|number| *number > upto));
        let stands = |protector: Protector| protector.still_stands();
        if let Some(protector) = seen.protector(0, seen.clock)
            && !stands(protector)
        {
            scan(&mut seen, &all.0, &all.1);
            assert!(seen.protector(0, upto).is_some_and(stands));
        }
    });
}

#[test]
fn a_slot_is_one_holders_at_a_time() {
    check(5, || {
        let all = Arc::new((Slot::new(), Memory::default()));
        let use_it = |all: &(Slot, Memory)| {
            if all.0.reserve() {
                all.1.add(1);
                drop(all.0.release());
            }
        };
        let other = Arc::clone(&all);
        let thread = thread::spawn(move || use_it(&other));
        use_it(&all);
        thread.join().unwrap();
    });
}

#[test]
fn slots_that_are_chained_on_are_seen_by_those_who_look_later() {
    check(2, || {
        let slots = Arc::new(Slots::new());
        let first: Vec<_> = (0..6).map(|_| slots.reserve()).collect();
        assert_eq!(slots.iter().count(), first.len());
        let holders = [7, 8].map(|number| {
            let slots = Arc::clone(&slots);
            thread::spawn(move || slots.reserve().protect(number))
        });
        for slot in slots.iter() {
            assert!(slot.snapshot().is_none_or(|number| number >= 7));
        }
        for holder in holders {
            holder.join().unwrap();
        }
        let mut numbers: Vec<_> = slots.iter().filter_map(Slot::snapshot).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [7, 8]);
    });
}

struct Waits {
    slot: Slot,
    elsewhere: KeyStack,
    keys: [Memory; 2],
}

impl Waits {
    fn new() -> Waits {
        let waits = Waits {
            slot: Slot::new(),
            elsewhere: KeyStack::new(),
            keys: Default::default(),
        };
        assert!(waits.slot.reserve());
        waits.slot.protect(7);
        waits
    }

    fn leave(&self, key: usize, value: u64) {
        self.keys[key].write(value);
        self.slot.leave(self.keys[key].disguised(), &self.elsewhere);
    }
}

/// Reads what was written before the keys were left.
fn sum(keys: WaitingKeys) -> u64 {
    // SAFETY: the keys live as long as the model.
    keys.map(|key| unsafe { Memory::unmasked(key) }.read())
        .sum()
}

#[test]
fn a_key_that_waits_is_drained_or_handed_over_whoever_wins() {
    check(3, || {
        let waits = Arc::new(Waits::new());
        let threads = [(0, 1), (1, 2)].map(|(key, value)| {
            let waits = Arc::clone(&waits);
            thread::spawn(move || waits.leave(key, value))
        });
        let drained = sum(waits.slot.release());
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(drained + sum(waits.elsewhere.drain()), 3);
    });
}

#[test]
fn a_key_that_waits_for_a_slot_that_was_taken_anew_waits_for_its_next_holder() {
    check(5, || {
        let waits = Arc::new(Waits::new());
        let own = Arc::clone(&waits);
        let thread = thread::spawn(move || own.leave(0, 1));
        let mut drained = sum(waits.slot.release());
        assert!(waits.slot.reserve());
        waits.slot.protect(8);
        drained += sum(waits.slot.release());
        thread.join().unwrap();
        assert_eq!(drained + sum(waits.elsewhere.drain()), 1);
    });
}

#[test]
fn a_number_comes_with_all_that_its_holder_has_said() {
    check(5, || {
        let slot = Arc::new(Slot::new());
        let own = Arc::clone(&slot);
        let holder = thread::spawn(move || {
            for (number, only_reads) in [(7, true), (8, false)] {
                assert!(own.reserve());
                own.only_reads.store(only_reads, Relaxed);
                own.since_ms.store(number, Relaxed);
                own.protect(number);
                drop(own.release());
            }
        });
        if let Some(number) = slot.snapshot() {
            let only_reads = slot.only_reads.load(Relaxed);
            let since_ms = slot.since_ms.load(Relaxed);
            if slot.begin_ending(number) {
                assert_eq!((since_ms, only_reads), (number, number == 7));
            }
        }
        holder.join().unwrap();
    });
}
