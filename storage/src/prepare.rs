//! The first half of a commit: what each write lies on, and the private version that is put over it.

use std::ptr;

use crate::descriptor::Read;
use crate::entry::{Seen, Written};
use crate::error::Conflict;
use crate::keyspace::Lookup;
use crate::protocol::Settled;
use crate::record::Record;
use crate::space::Space;
use crate::store::Inner;
use crate::sync::Guard;
use crate::thread::{Local, count};
use crate::transaction::{Mode, Transaction};
use crate::value::{Stored, TreeState};
use crate::version::{Reason, Version};

/// A private version on its way, with what it was built over.
pub(crate) struct Prepared {
    pub(crate) record: *const Record,
    pub(crate) space: *const Space,
    pub(crate) base: *mut Version,
    pub(crate) new: *mut Version,
}

/// What a base that was replaced says about the counts of keys.
pub(crate) fn count_change(
    space: *const Space,
    base: *mut Version,
    new: *mut Version,
    local: &Local,
) {
    let counters = &local.state().counters;
    count(&counters.versions_made, 1);
    // SAFETY: both are reached under the caller's pin, and their states live as long as they.
    if let Some(base) = unsafe { base.as_ref() } {
        // SAFETY: as above.
        let tree = unsafe { new.as_ref().and_then(|new| new.tree().as_ref()) };
        let dropped = tree.map_or(0, TreeState::dropped_bytes);
        count(
            &counters.superseded_bytes,
            (base.block_bytes() + dropped) as u64,
        );
    }
    // SAFETY: as above.
    let Some(space) = (unsafe { space.as_ref() }) else {
        return;
    };
    // SAFETY: both are reached under the caller's pin.
    let facts = |version: *mut Version| match unsafe { version.as_ref() } {
        Some(version) if !version.is_tombstone() => {
            let is_volatile = version.deadline_ms() != 0 || version.timed_fields().is_some();
            (1, i64::from(is_volatile))
        }
        _ => (0, 0),
    };
    let (before, after) = (facts(base), facts(new));
    let salt = ptr::from_ref(local).addr() >> 7;
    space.count(salt, after.0 - before.0, after.1 - before.1);
}

/// The state that a version without roots must carry when it is put over `base`.
pub(crate) fn tree_over(base: *mut Version) -> *mut TreeState {
    // SAFETY: reached under the caller's pin.
    let Some(base) = (unsafe { base.as_ref() }) else {
        return ptr::null_mut();
    };
    // SAFETY: a version's state lives as long as it.
    match unsafe { base.tree().as_ref() } {
        Some(state) => Box::into_raw(TreeState::replacing(state)),
        None => ptr::null_mut(),
    }
}

/// A value, private until now, as a version over `base`. `forked` if it was made from `base`.
fn version_over(
    stored: Stored,
    deadline_ms: u64,
    base: *mut Version,
    forked: bool,
) -> *mut Version {
    match stored {
        Stored::Flat {
            kind,
            encoding,
            bytes,
        } => Version::flat(kind, encoding, &bytes, deadline_ms, tree_over(base)),
        Stored::Tree(mut state) => {
            // SAFETY: reached under the caller's pin.
            let tree = unsafe { base.as_ref() }.map_or(ptr::null_mut(), Version::tree);
            // SAFETY: a version's state lives as long as it.
            if !forked && let Some(base_state) = unsafe { tree.as_ref() } {
                state.replace_base(base_state);
            }
            Version::large(state, deadline_ms)
        }
    }
}

impl Transaction {
    /// Finds what a key's write goes on, and checks that it is what was read.
    pub(crate) fn base_of(
        &self,
        inner: &Inner,
        local: &Local,
        guard: &Guard,
        index: usize,
    ) -> Result<(*const Record, *mut Version, *mut Version), Conflict> {
        let entry = self.entries.get(index);
        // SAFETY: named by the transaction's table.
        let space = unsafe { &*entry.space };
        let lookup = Lookup {
            hash: entry.hash,
            key: &entry.key,
        };
        // SAFETY: found under the pin that still is, so it has not been freed.
        let mut found = (entry.found.get().pin == self.pin)
            .then(|| unsafe { entry.found.get().record.as_ref() })
            .flatten();
        loop {
            let record = found.take().unwrap_or_else(|| {
                inner
                    .keyspace
                    .find_or_make(space, lookup, &inner.afterwards, guard)
            });
            let Settled::Head { head, base } = inner.settle(record, ptr::null_mut(), guard) else {
                inner
                    .keyspace
                    .unlink(space, record, &inner.afterwards, guard);
                continue;
            };
            // SAFETY: reached under the pin.
            let version = unsafe { base.as_ref() };
            if version.is_some_and(|version| version.is_expired(self.now_ms)) {
                inner.expire_version(space, record, head, base, local, guard);
                continue;
            }
            let alive = version.filter(|version| !version.is_tombstone());
            let holds = match entry.seen.get() {
                Seen::Nothing => true,
                Seen::Absent => alive.is_none(),
                Seen::Alive(seen) => alive.is_some_and(|alive| ptr::eq(alive, seen)),
            };
            if !holds {
                inner.remove_if_empty(record, guard);
                return Err(Conflict);
            }
            record.mark_used(self.now_ms);
            return Ok((record, head, base));
        }
    }

    /// Takes what an entry means to write, as a private version over `base`; `None` if there is
    /// nothing to delete.
    pub(crate) fn build(&mut self, index: usize, base: *mut Version) -> Option<*mut Version> {
        let takes_past_fields = self.entries.get(index).takes_past_fields;
        let new = self.build_written(index, base)?;
        if takes_past_fields {
            // SAFETY: private until it is installed.
            unsafe { (*new).take_past_fields() };
        }
        Some(new)
    }

    fn build_written(&mut self, index: usize, base: *mut Version) -> Option<*mut Version> {
        let entry = self.entries.get_mut(index);
        let (is_forked, written) = match std::mem::replace(&mut entry.written, Written::No) {
            Written::Value {
                value,
                deadline_ms,
                forked,
                ..
            } if !value.is_empty() => (forked, Some((value.store(), deadline_ms))),
            Written::Moved {
                state, deadline_ms, ..
            } => (false, Some((Stored::Tree(state), deadline_ms))),
            Written::MovedAway(state) => {
                return Some(Version::tombstone(Reason::Command, Box::into_raw(state)));
            }
            _ => (false, None),
        };
        let new = match written {
            Some((stored, deadline_ms)) => version_over(stored, deadline_ms, base, is_forked),
            None => {
                // SAFETY: reached under the caller's pin.
                let base_version = unsafe { base.as_ref() }?;
                if base_version.is_tombstone() {
                    return None;
                }
                Version::tombstone(Reason::Command, tree_over(base))
            }
        };
        Some(new)
    }

    /// Makes the private versions of all writes, in key order. A key of which there is nothing to
    /// delete becomes one that was only read: it must still be absent when the rest happens.
    pub(crate) fn prepare(
        &mut self,
        inner: &Inner,
        local: &Local,
        guard: &Guard,
        writes: &[usize],
        reads: &mut Vec<Read>,
    ) -> Result<Vec<Prepared>, Conflict> {
        let mut prepared: Vec<Prepared> = Vec::with_capacity(writes.len() + 1);
        let (staying, left_out): (Vec<_>, Vec<_>) = self
            .in_key_order(writes)
            .into_iter()
            .partition(|index| self.space_stays(*index));
        for index in left_out {
            self.settle_move(index);
        }
        for index in staying {
            let (record, _, base) = match self.base_of(inner, local, guard, index) {
                Ok(found) => found,
                Err(conflict) => {
                    for write in prepared {
                        inner.drop_private(write.new, false);
                        // SAFETY: reached under the guard.
                        inner.remove_if_empty(unsafe { &*write.record }, guard);
                    }
                    return Err(conflict);
                }
            };
            let space = self.entries.get(index).space;
            if let Some(new) = self.build(index, base) {
                prepared.push(Prepared {
                    record,
                    space,
                    base,
                    new,
                });
            } else {
                // SAFETY: reached under the guard.
                inner.remove_if_empty(unsafe { &*record }, guard);
                if self.mode != Mode::Exclusive && !fault!("nothing to delete not compared") {
                    reads.push(self.read_of(index, ptr::null()));
                }
            }
        }
        if let Some(new) = self.new_table.take() {
            let base = self.base_table.cast_mut();
            let record = ptr::from_ref(&inner.spaces.table);
            prepared.push(Prepared {
                record,
                space: ptr::null(),
                base,
                new,
            });
        }
        Ok(prepared)
    }

    fn in_key_order(&self, writes: &[usize]) -> Vec<usize> {
        let mut order = writes.to_vec();
        order.sort_by(|one, other| {
            let (one, other) = (self.entries.get(*one), self.entries.get(*other));
            // SAFETY: named by the transaction's table.
            let (left, right) = unsafe { ((*one.space).id, (*other.space).id) };
            left.cmp(&right).then_with(|| one.key.cmp(&other.key))
        });
        order
    }
}
