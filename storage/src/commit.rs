//! How a transaction becomes part of history, from its owner's side.

use std::ptr;

use crate::descriptor::{Descriptor, Read, State, Write};
use crate::effects::release_share;
use crate::entry::Seen;
use crate::error::Conflict;
use crate::prepare::{Prepared, count_change};
use crate::record::Record;
use crate::ring::Announced;
use crate::store::Inner;
use crate::sync::Guard;
use crate::sync::atomic::Ordering::{AcqRel, Relaxed, Release, SeqCst};
use crate::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64};
use crate::thread::{Local, count};
use crate::transaction::{Mode, Transaction};
use crate::version::{ABORTED, Number, Version, committed_word, owned_word};

/// How a commit ended that did not fail.
///
/// ```
/// use darter_storage::{Committed, Mode, Store};
/// let store = Store::new();
/// let mut tx = store.begin(Mode::Optimistic);
/// assert_eq!(tx.commit(), Ok(Committed::Unchanged));
/// tx.set_integer(0, b"n", 1)?;
/// let snapshot = store.snapshot();
/// match tx.commit() {
///     Ok(Committed::At(number)) => assert!(number >= snapshot.number(), "not in the snapshot"),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), darter_storage::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// At this place in the commit order. What was read or written is in the stream's ticks that
    /// end above it.
    At(u64),
    /// Nothing was changed, so there was nothing to commit.
    Unchanged,
}

/// Why a commit did not happen.
///
/// ```
/// use darter_storage::{CommitError, Mode, Store};
/// let store = Store::new();
/// let mut tx = store.begin(Mode::Optimistic);
/// tx.set_integer(0, b"n", 1)?;
/// store.exclusive(|_| {
///     assert_eq!(tx.commit(), Err(CommitError::GateClosed));
///     Ok::<_, darter_storage::Error>(())
/// })?;
/// assert!(tx.commit().is_ok(), "nothing of it was lost");
/// # Ok::<(), darter_storage::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Somebody else changed what was read: run the transaction again.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The gate is closed. Nothing has been tried: commit again when it is open.
    #[error("the gate is closed")]
    GateClosed,
}

impl Transaction {
    /// Makes everything that was written part of history at one instant, if all that was read
    /// still holds then. O(keys read and written).
    ///
    /// After a commit or a conflict the transaction is spent: whatever it is asked then ends in
    /// [`Error::Ended`](crate::Error::Ended), until it is restarted to do everything again. After
    /// `GateClosed` an optimistic one is as it was and may be committed again later; a direct one
    /// should be restarted, for it holds a pin.
    ///
    /// # Errors
    /// [`CommitError`]. Nothing of the transaction has happened then.
    ///
    /// ```
    /// use darter_storage::{CommitError, Conflict, Mode, Store};
    /// let store = Store::new();
    /// let mut tx = store.begin(Mode::Optimistic);
    /// let n = tx.integer(0, b"n")?.unwrap_or(0);
    /// tx.set_integer(0, b"n", n + 1)?;
    /// store.set("n", "10"); // somebody else
    /// assert_eq!(tx.commit(), Err(CommitError::Conflict(Conflict)));
    /// tx.restart();
    /// let n = tx.integer(0, b"n")?.unwrap_or(0);
    /// tx.set_integer(0, b"n", n + 1)?;
    /// assert!(tx.commit().is_ok());
    /// assert_eq!(store.get("n")?.as_deref(), Some(&b"11"[..]));
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn commit(&mut self) -> Result<Committed, CommitError> {
        if self.mode == Mode::Snapshot {
            return Ok(Committed::Unchanged);
        }
        // In rising order, as those rely on that look something up in it.
        let writes: Vec<usize> = (0..self.entries.len())
            .filter(|index| self.is_write(*index))
            .collect();
        if !self.wants_commit(&writes) {
            return Ok(Committed::Unchanged);
        }
        if self.needs_gate.get() && self.mode != Mode::Exclusive {
            self.base_table = ptr::null();
            return Err(Conflict.into());
        }
        // SAFETY: the transaction holds a reference of its own, and nothing replaces it. Counting
        // another one would write to a line that every thread's commits write to.
        let inner = unsafe { &*std::sync::Arc::as_ptr(&self.inner) };
        let local = std::rc::Rc::clone(&self.local);
        inner.keep_ring_short(&local);
        let owns_gate =
            self.mode == Mode::Exclusive || fault!("singles skip the gate") && writes.len() == 1;
        let inside = (!owns_gate).then(|| inner.gate.enter(&local.state().flag));
        if let Some(None) = inside {
            count(&local.state().counters.gate_waits, 1);
            return Err(CommitError::GateClosed);
        }
        self.pin();
        let guard = local.pin();
        let result = self.commit_inside(inner, &local, &guard, &writes);
        drop(inside);
        match result {
            Ok(Committed::At(_)) => count(&local.state().counters.commits, 1),
            Ok(Committed::Unchanged) => {}
            Err(_) => {
                self.base_table = ptr::null();
                count(&local.state().counters.conflicts, 1);
            }
        }
        inner.run_afterwards(&local, &guard);
        Ok(result?)
    }

    /// Whether it has lost already: somebody else has changed a key that it read, or is about to. For
    /// whoever would go on for long; `false` promises nothing, and is the answer while there is no pin. O(keys).
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// store.set("n", "1");
    /// let mut tx = store.begin(Mode::Direct);
    /// let n = tx.integer(0, b"n")?.unwrap_or(0);
    /// assert!(!tx.has_lost());
    /// store.set("n", "10"); // somebody else
    /// assert!(tx.has_lost());
    /// tx.set_integer(0, b"n", n + 1)?;
    /// assert!(tx.commit().is_err());
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn has_lost(&self) -> bool {
        // `unpin` leaves the pin's count as it is.
        self.guard.is_some()
            && self.mode != Mode::Exclusive
            && self.records_reads
            && (0..self.entries.len()).any(|index| {
                let entry = self.entries.get(index);
                let Seen::Alive(seen) = entry.seen.get() else {
                    return false;
                };
                if entry.found.get().pin != self.pin {
                    return false;
                }
                // SAFETY: found under the pin that still is, so it has not been freed.
                let record = unsafe { entry.found.get().record.as_ref() };
                // Relaxed: a hint. What is there is not looked into.
                record.is_some_and(|record| !ptr::eq(record.head.load(Relaxed), seen))
            })
    }

    /// Whether there is anything to make part of history or to compare.
    fn wants_commit(&self, writes: &[usize]) -> bool {
        if !writes.is_empty() || self.new_table.is_some() {
            return true;
        }
        if self.publishes() && self.inner.effects.is_active() {
            return true;
        }
        // Several newest versions, read one after the other, need not have stood together.
        self.mode == Mode::Direct
            && self.records_reads
            && (self.entries.len() > 1 || !self.ranges.borrow().is_empty() || self.needs_gate.get())
    }

    fn commit_inside(
        &mut self,
        inner: &Inner,
        local: &Local,
        guard: &Guard,
        writes: &[usize],
    ) -> Result<Committed, Conflict> {
        if self.mode != Mode::Exclusive {
            // Inside the gate the table cannot change.
            let newest = inner.table(None, guard);
            if !ptr::eq(newest, self.base_table) {
                return Err(Conflict);
            }
        }
        if !inner.effects.is_active() {
            // Inside the gate no stream can begin: nobody will be told.
            self.messages.get_mut().clear();
        }
        let reads_only = (0..self.entries.len()).any(|index| {
            writes.binary_search(&index).is_err()
                && self.entries.get(index).seen.get() != Seen::Nothing
        });
        let single = writes.len() == 1
            && (!reads_only || self.mode == Mode::Exclusive)
            && self.ranges.borrow().is_empty()
            && !self.publishes()
            && self.new_table.is_none()
            && self.relied_until_ms() == u64::MAX;
        if single && self.mode != Mode::Exclusive {
            self.commit_single(inner, local, guard, writes[0])
        } else {
            self.commit_many(inner, local, guard, writes)
        }
    }

    /// The earliest deadline among the live versions, and their fields, that the transaction relied
    /// on. While one owns the gate, the time stands still.
    fn relied_until_ms(&self) -> u64 {
        if self.mode == Mode::Exclusive || !self.relies_on_time {
            return u64::MAX;
        }
        (0..self.entries.len())
            .filter_map(|index| match self.entries.get(index).seen.get() {
                Seen::Alive(version) => {
                    // SAFETY: protected by the pin (direct) or by the number.
                    let version = unsafe { &*version };
                    if fault!("deadlines of fields not compared") {
                        return Some(version.deadline_ms());
                    }
                    Some(version.unchanged_until_ms(self.now_ms))
                }
                _ => None,
            })
            .filter(|deadline_ms| *deadline_ms != 0)
            .chain([self.own_until_ms.get()])
            .min()
            .unwrap_or(u64::MAX)
    }

    /// One key, nothing else: one compare-and-swap on its head, then a stamp from the clock.
    fn commit_single(
        &mut self,
        inner: &Inner,
        local: &Local,
        guard: &Guard,
        index: usize,
    ) -> Result<Committed, Conflict> {
        let (mut record, mut head, mut base) = self.base_of(inner, local, guard, index)?;
        let Some(mut new) = self.build(index, base) else {
            return Ok(Committed::Unchanged);
        };
        let space = self.entries.get(index).space;
        loop {
            // SAFETY: private until the CAS below.
            unsafe { (*new).older.store(base, Relaxed) };
            let early = fault!("clock loaded before installed").then(|| inner.clock.now());
            let announced = !fault!("announced after installed")
                && inner.announce_single(record, new, base, local);
            // SAFETY: `base_of` reached it under the guard.
            let record_ref = unsafe { &*record };
            if record_ref
                .head
                .compare_exchange(head, new, SeqCst, SeqCst)
                .is_ok()
            {
                if let Some(early) = early {
                    // SAFETY: installed, and kept by the guard.
                    unsafe { (*new).stamp.store(committed_word(early), Release) };
                }
                if fault!("announced after installed") {
                    inner.announce_single(record, new, base, local);
                }
                break;
            }
            if announced {
                // The stream takes a thread's announcements in their order: an open one must not
                // stand before an expiry that is committed while the base is looked for.
                new = inner.rebase(new, base, base, true);
            }
            match self.base_of(inner, local, guard, index) {
                Ok((next_record, next_head, next_base)) => {
                    new = inner.rebase(new, base, next_base, false);
                    (record, head, base) = (next_record, next_head, next_base);
                }
                Err(conflict) => {
                    inner.drop_private(new, false);
                    return Err(conflict);
                }
            }
        }
        // SAFETY: installed, and kept by the guard.
        let version = unsafe { &*new };
        inner.stamp(version);
        count_change(space, base, new, local);
        // Its own number must not be what keeps the version that it has just replaced.
        self.entries.clear();
        self.release_slot();
        // SAFETY: as above.
        inner.trim(unsafe { &*record }, local, guard);
        Ok(Committed::At(version.number().unwrap_or_default()))
    }

    /// Several keys, or one of which more than the key itself must hold: a descriptor.
    fn commit_many(
        &mut self,
        inner: &Inner,
        local: &Local,
        guard: &Guard,
        writes: &[usize],
    ) -> Result<Committed, Conflict> {
        let mut reads = self.only_reads(writes);
        let relied_until_ms = self.relied_until_ms();
        let prepared = self.prepare(inner, local, guard, writes, &mut reads)?;
        let has_reads = !reads.is_empty() || !self.ranges.get_mut().is_empty();
        let slot = has_reads.then(|| {
            // Before the number is drawn: it is not known yet, and what it will have to look at
            // lies between here and there.
            let slot = local.state().slots.reserve();
            let from = self.slot.map_or(inner.clock.now() + 1, |_| self.number);
            slot.protect_from(from);
            slot
        });
        let descriptor = self.describe(&prepared, reads, relied_until_ms);
        let fate = inner.run_descriptor(Box::into_raw(descriptor), local, guard);
        if let Some(slot) = slot {
            inner.trim_waiting(slot.release(), local, guard);
        }
        let Some(number) = fate else {
            inner.clean_up_aborted(&prepared, guard);
            return Err(Conflict);
        };
        // Its own number must not be what keeps the versions that it has just replaced.
        self.entries.clear();
        self.release_slot();
        for write in &prepared {
            count_change(write.space, write.base, write.new, local);
            // SAFETY: kept by the guard.
            inner.trim(unsafe { &*write.record }, local, guard);
        }
        self.open_spaces(inner);
        Ok(Committed::At(number))
    }

    /// The commit as others will see it.
    fn describe(
        &mut self,
        prepared: &[Prepared],
        reads: Vec<Read>,
        relied_until_ms: u64,
    ) -> Box<Descriptor> {
        let writes = prepared.iter().map(|write| Write {
            record: write.record,
            expect: write.base,
            new: write.new,
        });
        let ranges = std::mem::take(self.ranges.get_mut());
        let messages = self.take_messages();
        let publishes = !messages.is_empty();
        let messages = if publishes {
            Box::into_raw(Box::new(messages))
        } else {
            ptr::null_mut()
        };
        Box::new(Descriptor {
            status: AtomicU64::new(State::Installing.word()),
            writes: writes.collect(),
            draws: !reads.is_empty()
                || !ranges.is_empty()
                || publishes
                || self.mode == Mode::Exclusive && !fault!("exclusive draws nothing"),
            reads,
            ranges,
            now_ms: self.now_ms,
            relied_until_ms,
            messages: AtomicPtr::new(messages),
            shares: AtomicU8::new(1),
        })
    }

    /// The keyspaces made for a table that is committed belong to the sweeper once no table names
    /// them; those that it no longer names are swept from here on.
    fn open_spaces(&mut self, inner: &Inner) {
        for space in self.made_spaces.drain(..) {
            // SAFETY: in its slot until the sweeper forgets it.
            unsafe { &*space }.open_to_sweeper();
            inner.spaces.ask_sweeper();
        }
    }

    /// What was read of keys that are not written.
    fn only_reads(&self, writes: &[usize]) -> Vec<Read> {
        if self.mode == Mode::Exclusive {
            return Vec::new();
        }
        (0..self.entries.len())
            .filter(|index| writes.binary_search(index).is_err())
            .filter_map(|index| match self.entries.get(index).seen.get() {
                Seen::Nothing => None,
                Seen::Absent => Some(self.read_of(index, ptr::null())),
                Seen::Alive(version) => Some(self.read_of(index, version)),
            })
            .collect()
    }

    pub(crate) fn read_of(&self, index: usize, seen: *const Version) -> Read {
        let entry = self.entries.get(index);
        Read {
            space: entry.space,
            hash: entry.hash,
            key: entry.key.as_slice().into(),
            seen,
        }
    }
}

impl Inner {
    /// Announces a single write if anybody listens; `true` if so.
    pub(crate) fn announce_single(
        &self,
        record: *const Record,
        new: *mut Version,
        base: *mut Version,
        local: &Local,
    ) -> bool {
        if !self.effects.is_active() {
            return false;
        }
        // SAFETY: reached under the caller's pin.
        let below = unsafe { base.as_ref() }.map_or(0, |base| base.lamport);
        local.saw_lamport(below);
        let lamport = local.lamport.get() + 1;
        local.lamport.set(lamport);
        // SAFETY: private until installed.
        unsafe { (*new).lamport = lamport };
        self.announce(Announced::Single(record, new), local);
        true
    }

    /// Carries out a descriptor's commit; the owner's share of it is gone afterwards.
    fn run_descriptor(
        &self,
        descriptor: *mut Descriptor,
        local: &Local,
        guard: &Guard,
    ) -> Option<Number> {
        // SAFETY: the owner's share keeps it until the end of this function.
        let own = unsafe { &*descriptor };
        let active = self.effects.is_active();
        let mut lamport = local.lamport.get();
        for write in &own.writes {
            // SAFETY: reached under the caller's pin.
            lamport = lamport.max(unsafe { write.expect.as_ref() }.map_or(0, |base| base.lamport));
        }
        lamport += 1;
        for write in &own.writes {
            // SAFETY: private until installed.
            unsafe {
                (*write.new).lamport = lamport;
                (*write.new).older.store(write.expect, Relaxed);
                (*write.new).stamp.store(owned_word(descriptor), Release);
            }
        }
        if active {
            local.lamport.set(lamport);
            own.shares.fetch_add(1, AcqRel);
            self.announce(Announced::Descriptor(descriptor), local);
        }
        if fault!("stamped before decided") {
            let early = committed_word(self.clock.now());
            own.writes
                .iter()
                // SAFETY: private until installed.
                .for_each(|write| unsafe { (*write.new).stamp.store(early, Release) });
        }
        let fate = self.help(own, guard);
        // Every version, installed or not: nobody who pins later may meet the descriptor.
        let last = fate.map_or(ABORTED, committed_word);
        for write in &own.writes {
            if fault!("final stamps left out") {
                break;
            }
            // SAFETY: kept by the guard. Release: the outcome goes with it.
            unsafe { (*write.new).stamp.store(last, Release) };
        }
        // SAFETY: the owner's share.
        unsafe { release_share(descriptor, guard) };
        fate
    }
}
