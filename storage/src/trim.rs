//! Cutting what nobody can see any more, and removing keys of which nothing is left.
//!
//! A version v directly under the committed u may be cut iff no protected number x has
//! number(v) < x <= number(u). So what lies between two snapshots goes as well. Done by the
//! writer after its commit, and for keys that something still protects by whoever frees the slot
//! that protected them: a key that is never touched again is cut all the same.

use std::ptr;

use crate::afterwards::Job;
use crate::record::{DEAD, Record};
use crate::registry::{Slot, WaitingKeys};
use crate::store::Inner;
use crate::sync::Guard;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::thread::{Local, count};
use crate::value::{Garbage, TreeState};
use crate::version::{Number, Reason, Stamp, Version, read_stamp};

/// Rounds one caller makes for others before it hands the key to the maintenance.
const ROUNDS_MAX: usize = 3;
/// Nodes freed on the spot, when a grace period has passed; more are freed in slices.
const FREED_AT_ONCE: usize = 64;

enum Trimmed {
    Done,
    /// This slot still protects something.
    Blocked(*const Slot),
    /// A budget ended; the key must come again.
    More,
}

impl Inner {
    /// Cuts what may go of a record's chain. O(versions cut).
    pub(crate) fn trim(&self, record: &Record, local: &Local, guard: &Guard) {
        if fault!("nothing trimmed") {
            return;
        }
        if !record.trim.take_or_ask() && !fault!("trimmed by two at once") {
            return;
        }
        for _ in 0..ROUNDS_MAX {
            match self.trim_once(record, local, guard) {
                Trimmed::Done => {}
                Trimmed::Blocked(slot) => self.wait_at(record, slot),
                Trimmed::More => self.trim_soon(record),
            }
            if record.trim.end_round() {
                return;
            }
        }
        // Left before it is given up: only the holder may. Whoever asks meanwhile may be the
        // maintenance, which has taken the key from its stack already: so it is left anew.
        loop {
            self.trim_soon(record);
            if record.trim.end_round() {
                return;
            }
        }
    }

    /// Trims the keys that waited for a slot.
    pub(crate) fn trim_waiting(&self, keys: WaitingKeys, local: &Local, guard: &Guard) {
        for record in keys {
            // SAFETY: a record is not removed while `queued` is set, which is still so; the caller
            // has been pinned since before this clears it.
            let record = unsafe { &*record };
            record.queued.store(false, SeqCst);
            self.trim(record, local, guard);
        }
    }

    /// Leaves the key at `slot`, once. The caller holds `trim`.
    fn wait_at(&self, record: &Record, slot: *const Slot) {
        if record.queued.swap(true, SeqCst) {
            return;
        }
        // SAFETY: slots live as long as the store's threads list.
        unsafe { &*slot }.leave(record, &self.trim_stack);
    }

    /// Leaves the key to the maintenance.
    pub(crate) fn trim_soon(&self, record: &Record) {
        if !record.queued.swap(true, SeqCst) {
            self.trim_stack.push(record);
        }
    }

    /// The newest committed version on a record.
    fn newest_committed(&self, record: &Record) -> *mut Version {
        let head = record.head.load(SeqCst);
        if head.is_null() || head == DEAD {
            return ptr::null_mut();
        }
        // SAFETY: reached from a head under the caller's pin.
        let version = unsafe { &*head };
        match read_stamp(version.stamp.load(Acquire)) {
            Stamp::Committed(_) => head,
            Stamp::Unstamped => {
                self.stamp(version);
                head
            }
            // An owned one's fate is its owner's to follow: it trims when it has committed.
            Stamp::Aborted | Stamp::Owned(_) => version.older.load(Acquire),
        }
    }

    fn trim_once(&self, record: &Record, local: &Local, guard: &Guard) -> Trimmed {
        let newest = self.newest_committed(record);
        let mut upper = newest;
        let mut blocked = None;
        // SAFETY: committed, reached under the pin, and only the holder of `trim` cuts.
        while let Some(above) = unsafe { upper.as_ref() } {
            let below = above.older.load(Acquire);
            // SAFETY: as above.
            let Some(version) = (unsafe { below.as_ref() }) else {
                break;
            };
            let (Some(after), Some(upto)) = (version.number(), above.number()) else {
                break;
            };
            if let Some(slot) = self.protector(after, upto, local) {
                blocked = Some(slot);
                upper = below;
                continue;
            }
            if self.cut(above, version, local, guard) {
                return Trimmed::More;
            }
        }
        if let Some(slot) = blocked {
            return Trimmed::Blocked(slot);
        }
        self.remove_if_deleted(record, newest, local, guard)
    }

    /// A slot for whose sake the version numbered `after` under one numbered `upto` must stay.
    fn protector(&self, after: Number, upto: Number, local: &Local) -> Option<*const Slot> {
        if after == upto {
            // Nobody looks between equal numbers, but the effects stream shows each.
            let stream = self.effects.slot()?;
            return (upto >= self.effects.closed()).then_some(stream);
        }
        let mut scan = local.scan.borrow_mut();
        if scan.clock >= upto {
            match scan.protector(after, upto) {
                None => return None,
                Some(protector) if protector.still_stands() => return Some(protector.slot),
                // Freed since: look anew, or the key would wait for a slot that is gone.
                Some(_) => {}
            }
        }
        // The clock before the slots: who registers later protects later numbers.
        scan.clear(self.clock.now());
        for slot in self.threads.iter().flat_map(|state| state.slots.iter()) {
            scan.add(slot);
        }
        scan.finish();
        scan.protector(after, upto).map(|protector| protector.slot)
    }

    /// Takes `version` out from under `above`. `true` if a budget ended first.
    fn cut(&self, above: &Version, version: &Version, local: &Local, guard: &Guard) -> bool {
        let older = version.older.load(Acquire);
        let mut garbage = None;
        if !version.tree().is_null() {
            // SAFETY: `older` is reached under the pin; null gives none.
            let older_tree = unsafe { older.as_ref() }.map_or(ptr::null_mut(), Version::tree);
            let older_tree = (!older_tree.is_null()).then_some(older_tree.cast_const());
            // SAFETY: the caller holds `trim`, and `above` is committed, so nobody else touches
            // these dead lists; a version over one with a tree has a state of its own.
            let cut = unsafe { TreeState::cut(above.tree(), version.tree(), older_tree) };
            count(&local.state().counters.cut_bytes, cut.freed_bytes as u64);
            if cut.more {
                if !cut.garbage.is_empty() {
                    self.retire_garbage(cut.garbage, guard);
                }
                return true;
            }
            garbage = Some(cut.garbage);
        }
        // Release: who follows the link sees the older version whole.
        above.older.store(older, Release);
        let counters = &local.state().counters;
        count(&counters.versions_freed, 1);
        count(&counters.cut_bytes, version.block_bytes() as u64);
        self.retire(ptr::from_ref(version).cast_mut(), garbage, guard);
        false
    }

    /// Frees a version that was cut, when today's readers are gone.
    pub(crate) fn retire(&self, version: *mut Version, garbage: Option<Garbage>, guard: &Guard) {
        // SAFETY: cut, so unreachable for whoever pins later. Its state is dropped with it: a cut
        // left it empty.
        unsafe {
            let bytes = (*version).block_bytes();
            guard.defer_unchecked(move || {
                let tree = (*version).tree();
                if !tree.is_null() {
                    drop(Box::from_raw(tree));
                }
                Version::free_block(version);
            });
            self.flush_if_large(bytes, guard);
        }
        if let Some(garbage) = garbage
            && !garbage.is_empty()
        {
            self.retire_garbage(garbage, guard);
        }
    }

    pub(crate) fn retire_garbage(&self, mut garbage: Garbage, guard: &Guard) {
        let bytes = garbage.bytes();
        if garbage.is_small(FREED_AT_ONCE) {
            // SAFETY: no version that anybody can still reach has these nodes.
            unsafe { guard.defer_unchecked(move || garbage.free_some(usize::MAX)) };
            self.flush_if_large(bytes, guard);
        } else {
            self.afterwards.after_grace(Job::Free(garbage), guard);
        }
    }

    /// Thread bags are handed over when they are full of calls, however large what they free is;
    /// so large things hand theirs over early.
    fn flush_if_large(&self, bytes: usize, guard: &Guard) {
        const LARGE_BYTES: usize = 16 * 1024;
        if bytes >= LARGE_BYTES {
            guard.flush();
        }
    }

    /// A key of which only a tombstone is left goes, once the effects stream has its end.
    fn remove_if_deleted(
        &self,
        record: &Record,
        newest: *mut Version,
        local: &Local,
        guard: &Guard,
    ) -> Trimmed {
        // SAFETY: as in `trim_once`.
        let Some(version) = (unsafe { newest.as_ref() }) else {
            return Trimmed::Done;
        };
        if !version.is_tombstone()
            || record.head.load(SeqCst) != newest
            || record.queued.load(SeqCst)
        {
            return Trimmed::Done;
        }
        if let Some(stream) = self.effects.slot()
            && version
                .number()
                .is_none_or(|number| number >= self.effects.closed())
        {
            return Trimmed::Blocked(stream);
        }
        // One that has expired was noted then, with the number of what expired.
        if version.reason() == Reason::Command
            && let Some(number) = version.number()
            && !fault!("removals not noted")
        {
            self.removals.note(record.hash(), number);
        }
        if fault!("removed under a writer") {
            record.head.store(DEAD, SeqCst);
        } else if record
            .head
            .compare_exchange(newest, DEAD, SeqCst, SeqCst)
            .is_err()
        {
            return Trimmed::Done;
        }
        count(&local.state().counters.versions_freed, 1);
        self.retire(newest, None, guard);
        self.unlink(record, guard);
        Trimmed::Done
    }

    /// Removes a record on which nothing was ever committed. Only its maker calls this, once, so
    /// that it and a commit that is being prepared do not chase each other.
    pub(crate) fn remove_if_empty(&self, record: &Record, guard: &Guard) {
        let empty = record.head.load(Relaxed).is_null();
        if empty
            && record
                .head
                .compare_exchange(ptr::null_mut(), DEAD, SeqCst, SeqCst)
                .is_ok()
        {
            self.unlink(record, guard);
        }
    }
}
