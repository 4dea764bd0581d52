//! Where records live: one ordered skiplist for all keyspaces (the truth), and beside it a hash
//! directory for each (the short way to a single key).
//!
//! A record enters the skiplist when a writer first needs it, enters the directory before anything
//! is installed on it (so a miss in the directory means absence), and leaves both once its head is
//! DEAD, a state that it never leaves. Who unlinks it keeps the node for one grace period more
//! than the skiplist would: a writer pinned since before may have put it back into the directory,
//! so it is taken out of there a second time before it is freed.

use std::mem::ManuallyDrop;
use std::ptr;

use crate::afterwards::{Afterwards, Job};
use crate::directory::prefetch_line;
use crate::record::{DEAD, Record, SpaceId};
use crate::space::Space;
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sync::{Collector, Entry, Guard, RefEntry, SkipList};

/// A record's key while it is looked for.
#[derive(Clone, Copy)]
pub(crate) struct Lookup<'k> {
    pub(crate) hash: u64,
    pub(crate) key: &'k [u8],
}

/// See the module's text.
pub(crate) struct Keyspace {
    list: SkipList<Record, ()>,
}

impl Keyspace {
    pub(crate) fn new(collector: Collector) -> Keyspace {
        Keyspace {
            list: SkipList::new(collector),
        }
    }

    /// The live record of a key, if there is one. O(1) expected.
    #[inline]
    pub(crate) fn find<'g>(
        &self,
        space: &Space,
        lookup: Lookup<'_>,
        guard: &'g Guard,
    ) -> Option<&'g Record> {
        if cfg!(darter_no_directory) {
            return self.find_in_order(space, lookup, guard);
        }
        let found = space.directory.get(lookup.hash, guard, |record| {
            // SAFETY: the directory's records are freed two grace periods after they are taken out.
            let record = unsafe { &*record };
            record.key() == lookup.key && record.head.load(SeqCst) != DEAD
        })?;
        // SAFETY: as above; the guard keeps it.
        Some(unsafe { &*found })
    }

    fn find_in_order<'g>(
        &self,
        space: &Space,
        lookup: Lookup<'_>,
        guard: &'g Guard,
    ) -> Option<&'g Record> {
        let probe = Record::probe(space.id, lookup.hash, lookup.key);
        let record = self.entry(&probe, guard)?;
        (record.head.load(SeqCst) != DEAD).then_some(record)
    }

    fn entry<'g>(&self, probe: &ManuallyDrop<Record>, guard: &'g Guard) -> Option<&'g Record> {
        let probe: &Record = probe;
        let entry = self.list.get(probe, guard)?;
        let record: *const Record = entry.key();
        // SAFETY: a node that was reached under the guard lives as long as the guard.
        Some(unsafe { &*record })
    }

    /// The live record of a key, made if need be, and published in the directory.
    pub(crate) fn find_or_make<'g>(
        &self,
        space: &Space,
        lookup: Lookup<'_>,
        afterwards: &Afterwards,
        guard: &'g Guard,
    ) -> &'g Record {
        loop {
            if !cfg!(darter_no_directory)
                && let Some(record) = self.find(space, lookup, guard)
            {
                return record;
            }
            let fresh = Record::new(space.id, lookup.hash, lookup.key);
            let entry = self.list.get_or_insert(fresh, (), guard);
            let record: *const Record = entry.key();
            entry.release(guard);
            // SAFETY: the node was in the list under this guard.
            let record: &'g Record = unsafe { &*record };
            if record.head.load(SeqCst) == DEAD {
                self.unlink(space, record, afterwards, guard);
                continue;
            }
            if !cfg!(darter_no_directory) {
                space.directory.publish(lookup.hash, record, guard);
            }
            return record;
        }
    }

    /// Takes a DEAD record out of both structures and frees it two grace periods later. Several
    /// threads may do so at once.
    pub(crate) fn unlink(
        &self,
        space: &Space,
        record: &Record,
        afterwards: &Afterwards,
        guard: &Guard,
    ) {
        debug_assert_eq!(record.head.load(SeqCst), DEAD);
        let held = self
            .list
            .get(record, guard)
            .and_then(|entry: Entry<'_, '_, _, _>| {
                // By identity: the key may have a new record already.
                if std::ptr::eq(entry.key(), record) {
                    entry.pin()
                } else {
                    None
                }
            });
        if let Some(entry) = &held {
            entry.remove(guard);
        }
        if !cfg!(darter_no_directory) {
            space.directory.remove(record.hash(), record, guard);
        }
        let Some(entry) = held else { return };
        // SAFETY: the list outlives every such entry: the store's end waits for all jobs.
        let entry = unsafe {
            std::mem::transmute::<RefEntry<'_, Record, ()>, RefEntry<'static, Record, ()>>(entry)
        };
        // Relaxed: read again under the gate of the space's sweeper, a grace period later.
        space.removals.fetch_add(1, Relaxed);
        afterwards.after_grace(
            Job::Remove {
                space: ptr::from_ref(space),
                entry,
            },
            guard,
        );
    }

    /// The second half of `unlink`, a grace period later.
    pub(crate) fn remove_again(space: &Space, entry: RefEntry<'static, Record, ()>, guard: &Guard) {
        if !cfg!(darter_no_directory) {
            let record: &Record = entry.key();
            space.directory.remove(record.hash(), record, guard);
        }
        entry.release(guard);
        space.removals.fetch_sub(1, Relaxed);
    }

    /// Visits the records of `space` from `from` on, in key order, until `visit` says `false`.
    pub(crate) fn walk<'g>(
        &self,
        space: SpaceId,
        from: &[u8],
        guard: &'g Guard,
        mut visit: impl FnMut(&'g Record) -> bool,
    ) {
        let start = Record::probe(space, 0, from);
        let start: &Record = &start;
        let mut entry = self
            .list
            .lower_bound(std::ops::Bound::Included(start), guard);
        while let Some(here) = entry {
            let record: *const Record = here.key();
            // SAFETY: reached under the guard.
            let record: &'g Record = unsafe { &*record };
            if record.space() != space || !visit(record) {
                return;
            }
            entry = here.next();
        }
    }

    /// Visits the records of `space` before `until` (`None`: from its end), in reverse key order.
    pub(crate) fn walk_back<'g>(
        &self,
        space: SpaceId,
        until: Option<&[u8]>,
        guard: &'g Guard,
        mut visit: impl FnMut(&'g Record) -> bool,
    ) {
        let end = match until {
            Some(until) => Record::probe(space, 0, until),
            None => Record::probe(space + 1, 0, b""),
        };
        let end: &Record = &end;
        let mut entry = self.list.upper_bound(std::ops::Bound::Excluded(end), guard);
        while let Some(here) = entry {
            let record: *const Record = here.key();
            // SAFETY: reached under the guard.
            let record: &'g Record = unsafe { &*record };
            if record.space() != space || !visit(record) {
                return;
            }
            entry = here.prev();
        }
    }

    /// All records that are left, for the store's end.
    pub(crate) fn for_each(&self, guard: &Guard, mut visit: impl FnMut(&Record)) {
        for entry in self.list.iter(guard) {
            visit(entry.key());
        }
    }

    /// Asks the cache for what a lookup of `hash` reads first.
    pub(crate) fn prefetch(space: &Space, hash: u64, guard: &Guard) {
        if !cfg!(darter_no_directory) {
            space.directory.prefetch(hash, guard);
        }
    }

    /// Asks the cache for the record that a lookup of `hash` will probably find, and returns it.
    pub(crate) fn prefetch_record<'g>(
        space: &Space,
        hash: u64,
        guard: &'g Guard,
    ) -> Option<&'g Record> {
        if cfg!(darter_no_directory) {
            return None;
        }
        let record = space.directory.likely(hash, guard)?;
        // It lies across two lines as a rule.
        prefetch_line(record.cast());
        prefetch_line(record.cast::<u8>().wrapping_add(size_of::<Record>() - 1));
        // SAFETY: as for `find`.
        Some(unsafe { &*record })
    }

    /// Asks the cache for what lies behind a record: a long key and the newest version.
    pub(crate) fn prefetch_behind(record: &Record) {
        prefetch_line(record.key().as_ptr());
        let head = record.head.load(SeqCst).cast::<u8>();
        // Null and `DEAD` are addresses too: nothing is read.
        prefetch_line(head);
        prefetch_line(head.wrapping_add(64));
    }
}
