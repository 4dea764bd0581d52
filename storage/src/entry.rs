//! What one transaction knows of one key: what it saw, and what it means to write.

use std::cell::{Cell, UnsafeCell};
use std::collections::HashMap;
use std::ptr;

use crate::record::Record;
use crate::space::Space;
use crate::value::{TreeState, Value};
use crate::version::Version;

/// Entries up to this many are found by looking at each.
const LINEAR_MAX: usize = 12;

/// What the transaction has read of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Not read: a blind write does not care.
    Nothing,
    /// Not there, deleted, or expired.
    Absent,
    /// There, as this version.
    Alive(*const Version),
}

/// What the transaction means to write.
pub(crate) enum Written {
    /// Nothing.
    No,
    /// This value, until `deadline_ms` (0: for ever). `forked` if it was made from the version
    /// seen, and then `changed_deadline` says whether only the value can tell if it changed.
    Value {
        value: Value,
        deadline_ms: u64,
        forked: bool,
        changed_deadline: bool,
    },
    /// The large value of another key, that of entry `from`, moved here whole.
    Moved {
        state: Box<TreeState>,
        deadline_ms: u64,
        from: usize,
    },
    /// Its large value moved away: what stays is a tombstone with this state.
    MovedAway(Box<TreeState>),
    /// Nothing is to be there.
    Deleted,
}

/// A record, and the transaction's pin that protects it.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) record: *const Record,
    pub(crate) pin: u64,
}

impl Found {
    pub(crate) const NOTHING: Found = Found {
        record: ptr::null(),
        pin: 0,
    };
}

pub(crate) struct Entry {
    pub(crate) space: *const Space,
    pub(crate) hash: u64,
    pub(crate) key: Vec<u8>,
    pub(crate) seen: Cell<Seen>,
    pub(crate) written: Written,
    /// Whether fields of its hash that were past their deadlines are removed.
    pub(crate) takes_past_fields: bool,
    /// Where a read found the key: good under that read's pin.
    pub(crate) found: Cell<Found>,
    /// The entry before with the same hash, where entries are found by hash.
    next: Option<usize>,
}

/// The keys of a transaction. Entries never move, so what was borrowed from one stays good while
/// others are added.
#[derive(Default)]
pub(crate) struct Entries {
    all: UnsafeCell<Vec<*mut Entry>>,
    /// The newest entry of each hash; filled only once there are more than `LINEAR_MAX` entries.
    by_hash: UnsafeCell<HashMap<u64, usize>>,
    /// Entries to use again, so that a transaction that is restarted allocates nothing.
    spare: UnsafeCell<Vec<*mut Entry>>,
}

impl Entries {
    fn list(&self) -> &Vec<*mut Entry> {
        // SAFETY: changed by `add` and `clear` alone, which return before anything else can run:
        // the type is not Sync, and neither calls out.
        unsafe { &*self.all.get() }
    }

    pub(crate) fn len(&self) -> usize {
        self.list().len()
    }

    pub(crate) fn find(&self, space: *const Space, hash: u64, key: &[u8]) -> Option<usize> {
        let list = self.list();
        let fits = |index: &usize| {
            let entry = self.get(*index);
            entry.hash == hash && ptr::eq(entry.space, space) && *entry.key == *key
        };
        if list.len() <= LINEAR_MAX {
            return (0..list.len()).find(fits);
        }
        // SAFETY: as in `list`.
        let mut at = unsafe { &*self.by_hash.get() }.get(&hash).copied();
        while let Some(index) = at {
            if fits(&index) {
                return Some(index);
            }
            at = self.get(index).next;
        }
        None
    }

    pub(crate) fn get(&self, index: usize) -> &Entry {
        // SAFETY: entries are boxed and live until `clear`, which takes `&mut self`.
        unsafe { &*self.list()[index] }
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> &mut Entry {
        let entry: *mut Entry = self.list()[index];
        // SAFETY: as in `get`, and `&mut self` makes the borrow the only one.
        unsafe { &mut *entry }
    }

    pub(crate) fn add(&self, space: *const Space, hash: u64, key: &[u8], seen: Seen) -> usize {
        // SAFETY: as in `list`.
        let (all, spare) = unsafe { (&mut *self.all.get(), &mut *self.spare.get()) };
        let entry = match spare.pop() {
            Some(entry) => {
                // SAFETY: boxed below, and in no list: nobody borrows it.
                let again = unsafe { &mut *entry };
                again.key.clear();
                again.key.extend_from_slice(key);
                (again.space, again.hash) = (space, hash);
                again.seen.set(seen);
                again.found.set(Found::NOTHING);
                entry
            }
            None => Box::into_raw(Box::new(Entry {
                space,
                hash,
                key: key.to_vec(),
                seen: Cell::new(seen),
                written: Written::No,
                takes_past_fields: false,
                found: Cell::new(Found::NOTHING),
                next: None,
            })),
        };
        all.push(entry);
        self.index_by_hash();
        all.len() - 1
    }

    /// Enters in `by_hash` what has to be found there.
    fn index_by_hash(&self) {
        let list = self.list();
        if list.len() <= LINEAR_MAX {
            return;
        }
        // SAFETY: as in `list`.
        let by_hash = unsafe { &mut *self.by_hash.get() };
        let first = if by_hash.is_empty() {
            0
        } else {
            list.len() - 1
        };
        for (index, &entry) in list.iter().enumerate().skip(first) {
            // SAFETY: boxed; `next` is looked at by `find` alone.
            let entry = unsafe { &mut *entry };
            entry.next = by_hash.insert(entry.hash, index);
        }
    }

    pub(crate) fn clear(&mut self) {
        const SPARE_MAX: usize = 8;
        const SPARE_KEY_BYTES_MAX: usize = 1024;
        const KEPT: usize = 64;
        for entry in self.all.get_mut().drain(..) {
            // SAFETY: boxed by `add`; `&mut self` says that nobody borrows it.
            let mut own = unsafe { Box::from_raw(entry) };
            own.written = Written::No;
            own.takes_past_fields = false;
            let spare = self.spare.get_mut();
            if spare.len() < SPARE_MAX && own.key.capacity() <= SPARE_KEY_BYTES_MAX {
                spare.push(Box::into_raw(own));
            }
        }
        self.by_hash.get_mut().clear();
        // A transaction may be kept for the next one, which is seldom as large.
        if self.all.get_mut().capacity() > KEPT {
            self.all.get_mut().shrink_to(KEPT);
            self.by_hash.get_mut().shrink_to(KEPT);
        }
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        self.clear();
        for entry in self.spare.get_mut().drain(..) {
            // SAFETY: boxed by `add`, and in no other list.
            drop(unsafe { Box::from_raw(entry) });
        }
    }
}
