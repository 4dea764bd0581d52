//! What is done beside the commits: removing expired keys, freeing what a grace period has freed,
//! trimming what could not be trimmed at once, sweeping flushed databases.
//!
//! Each committing call does a bounded piece of it; `Store::maintain` does it where nobody
//! commits.

use crate::afterwards::Job;
use crate::keyspace::Keyspace;
use crate::protocol::Settled;
use crate::record::{DEAD, Record};
use crate::space::{Space, table_space};
use crate::store::{Inner, Store};
use crate::sync::Guard;
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::thread::{Local, count};
use crate::transaction::Mode;
use crate::value::{Garbage, TreeState};
use crate::version::Version;

/// What had passed its deadline under a key.
enum Due {
    Nothing,
    /// All of it. It has been removed.
    Key,
    /// Fields of its hash, which are still to be removed.
    Fields,
}

/// Nodes of a large value freed in one slice.
const FREED_PER_SLICE: usize = 1024;
/// Keys of a flushed database removed in one piece.
const SWEPT_PER_PIECE: usize = 256;

impl Store {
    /// Does a bounded piece of the store's housekeeping: looks at up to `keys` keys for expired
    /// ones and carries on with what is due. `true` if more is due at once. A program calls it
    /// now and then (a server some ten times a second), from any thread; without it, expired keys
    /// take up memory until they are touched.
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// while store.maintain(1000) {}
    /// ```
    pub fn maintain(&self, keys: usize) -> bool {
        self.maintain_some(keys, true)
    }

    /// As `maintain`, but leaves keys and fields that have expired where they are. Nobody sees them;
    /// they take up memory, and whoever waits for their end is not told.
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// while store.maintain_unexpired(1000) {}
    /// ```
    pub fn maintain_unexpired(&self, keys: usize) -> bool {
        self.maintain_some(keys, false)
    }

    fn maintain_some(&self, keys: usize, expires: bool) -> bool {
        let inner = &self.inner;
        inner.read_clock();
        let local = self.local();
        let guard = local.pin();
        inner.run_afterwards(&local, &guard);
        let mut due = Vec::new();
        let has_expired = expires && inner.expire_some(keys, &mut due, &local, &guard);
        self.end_snapshots(&guard);
        let has_swept = inner.spaces.is_sweep_due()
            && inner.spaces.pays_again(inner.sweep(keys, &local, &guard));
        guard.flush();
        drop(guard);
        // Without the pin, for it may take long.
        let has_removed = !fault!("expired fields stay") && self.expire_fields(due);
        has_expired || has_removed || has_swept || inner.afterwards.is_due()
    }

    /// Removes fields that are past their deadlines from hashes. One that somebody else changes at the
    /// same time is left to the next look. `true` if there was one that nobody did.
    fn expire_fields(&self, hashes: Vec<(usize, Box<[u8]>)>) -> bool {
        let mut has_removed = false;
        for (database, key) in hashes {
            let mut transaction = self.begin(Mode::Direct);
            // Nobody sees those fields, and the others keep their deadlines: time may go on.
            transaction.relies_on_time = false;
            // To be given a hash to be changed is to be given it without those fields.
            if matches!(transaction.update(database, &key), Ok(Some(_))) {
                has_removed |= transaction.commit().is_ok();
            }
        }
        has_removed
    }
}

impl Inner {
    /// A bounded piece of what is due.
    pub(crate) fn run_afterwards(&self, local: &Local, guard: &Guard) {
        if self.afterwards.is_due() {
            for job in self.afterwards.take() {
                self.run_job(job, FREED_PER_SLICE, guard);
            }
        }
        if !self.trim_stack.is_empty() {
            self.trim_waiting(self.trim_stack.drain(), local, guard);
        }
        if self.spaces.is_sweep_due() {
            self.sweep(SWEPT_PER_PIECE, local, guard);
        }
    }

    /// Does one job, or a slice of it.
    pub(crate) fn run_job(&self, job: Job, nodes: usize, guard: &Guard) {
        match job {
            Job::Remove { space, entry } => {
                // SAFETY: a space with removals outstanding is not forgotten.
                Keyspace::remove_again(unsafe { &*space }, entry, guard);
            }
            Job::Restore { place, new, expect } => self.restore(&place, new, expect, guard),
            Job::Free(mut garbage) => {
                if garbage.free_some(nodes) > 0 && !garbage.is_empty() {
                    self.afterwards.again(Job::Free(garbage));
                    return;
                }
            }
            Job::EndSnapshot { slot, number } => {
                // SAFETY: slots live as long as the store's threads list.
                self.trim_stack
                    .take_over(unsafe { &*slot }.finish_ending(number));
            }
            Job::Forget(space) => self.forget_space(space, guard),
        }
        self.afterwards.done();
    }

    /// Takes a DEAD record out of the keyspace.
    pub(crate) fn unlink(&self, record: &Record, guard: &Guard) {
        if let Some(space) = self.space_of(record.space()) {
            self.keyspace.unlink(space, record, &self.afterwards, guard);
        }
    }

    /// Cuts everything below the newest version of a chain, and empties that one too. Returns
    /// what is to be freed. The versions' blocks stay linked as they were.
    ///
    /// # Safety
    /// Nobody else looks at the chain's links or dead lists, now or later.
    pub(crate) unsafe fn empty_chain(&self, newest: *mut Version) -> Option<Garbage> {
        let mut all: Option<Garbage> = None;
        let mut add = |garbage: Garbage| match &mut all {
            Some(known) => known.append(garbage),
            None => all = Some(garbage),
        };
        // SAFETY: the caller's promise; versions live until they are freed one by one.
        unsafe {
            let tree_of = |version: *mut Version| {
                version.as_ref().map_or(std::ptr::null_mut(), Version::tree)
            };
            let mut upper = newest;
            while let Some(version) = upper.as_ref() {
                let below = version.older.load(SeqCst);
                let tree = tree_of(below);
                if !tree.is_null() {
                    // From the top down each is cut as if what lies below it came next.
                    let older = tree_of((*below).older.load(SeqCst));
                    let older = (!older.is_null()).then_some(older.cast_const());
                    loop {
                        let cut = TreeState::cut(tree_of(newest), tree, older);
                        add(cut.garbage);
                        if !cut.more {
                            break;
                        }
                    }
                }
                upper = below;
            }
            if let Some(state) = tree_of(newest).as_mut() {
                let end = Box::into_raw(TreeState::replacing(state));
                loop {
                    let cut = TreeState::cut(end, state, None);
                    add(cut.garbage);
                    if !cut.more {
                        break;
                    }
                }
                drop(Box::from_raw(end));
            }
        }
        all
    }

    /// Gives back a whole chain whose record is DEAD and whose `trim` is taken for good.
    pub(crate) fn discard_chain(&self, head: *mut Version, local: &Local, guard: &Guard) {
        if head.is_null() {
            return;
        }
        // SAFETY: reached from a head under the pin.
        let version = unsafe { &*head };
        let newest = if version.number().is_some() {
            head
        } else {
            // An aborted one is freed by its own `Restore`.
            version.older.load(SeqCst)
        };
        // SAFETY: reached under the pin; `trim` is ours.
        let kept = unsafe { kept_in_chain(newest) };
        count(&local.state().counters.cut_bytes, kept as u64);
        // SAFETY: no snapshot can name the keyspace, the head is DEAD and `trim` is ours: nobody
        // walks the chain but readers pinned before, who see neither links nor nodes change.
        let garbage = unsafe { self.empty_chain(newest) };
        let mut at = newest;
        while !at.is_null() {
            // SAFETY: as above.
            let older = unsafe { (*at).older.load(SeqCst) };
            count(&local.state().counters.versions_freed, 1);
            self.retire(at, None, guard);
            at = older;
        }
        if let Some(garbage) = garbage
            && !garbage.is_empty()
        {
            self.retire_garbage(garbage, guard);
        }
    }

    /// Looks at some keys for expired ones and removes those, and for hashes with expired fields, which
    /// it names. `true` if the last look found so many that another one pays at once.
    fn expire_some(
        &self,
        keys: usize,
        hashes: &mut Vec<(usize, Box<[u8]>)>,
        local: &Local,
        guard: &Guard,
    ) -> bool {
        let databases = crate::space::table_spaces(self.table(None, guard)).count();
        let Some(inside) = self.gate.enter(&local.state().flag) else {
            return false;
        };
        let mut expired = 0;
        for _ in 0..databases {
            // Relaxed: a hint where to go on; two callers at once look at some keys twice.
            let database = self.expiry_database.load(Relaxed) % databases;
            let space = table_space(self.table(None, guard), database);
            // SAFETY: named by the newest table, under the pin.
            let space = space.map(|space| unsafe { &*space });
            if let Some(space) = space.filter(|space| space.counts().1 > 0) {
                let from = self.expiry_position.load(Relaxed);
                let mut due = Vec::new();
                let next = self.scan_records(space, from, keys, guard, |record| due.push(record));
                for record in due {
                    match self.expire_if_due(space, record, local, guard) {
                        Due::Nothing => {}
                        Due::Key => expired += 1,
                        Due::Fields => hashes.push((database, record.key().into())),
                    }
                }
                self.expiry_position.store(next, Relaxed);
                if next != 0 {
                    break;
                }
            }
            self.expiry_database.store(database + 1, Relaxed);
            self.expiry_position.store(0, Relaxed);
        }
        drop(inside);
        expired * 4 > keys
    }

    /// Removes a key if its deadline has passed; inside the gate.
    fn expire_if_due(&self, space: &Space, record: &Record, local: &Local, guard: &Guard) -> Due {
        let now_ms = self.wall_clock.now_ms();
        let head = record.head.load(SeqCst);
        if head.is_null() || head == DEAD {
            return Due::Nothing;
        }
        let Settled::Head { head, base } = self.settle(record, std::ptr::null_mut(), guard) else {
            return Due::Nothing;
        };
        // SAFETY: reached under the pin.
        let Some(version) = (unsafe { base.as_ref() }) else {
            return Due::Nothing;
        };
        if version.is_tombstone() {
            return Due::Nothing;
        }
        if !version.is_expired(now_ms) {
            let timed = version.timed_fields();
            return match timed.is_some_and(|state| state.has_due_fields(now_ms)) {
                true => Due::Fields,
                false => Due::Nothing,
            };
        }
        self.expire_version(space, record, head, base, local, guard);
        Due::Key
    }

    /// Visits some records of a keyspace behind `cursor` and returns the next one, 0 at the end.
    pub(crate) fn scan_records<'g>(
        &'g self,
        space: &'g Space,
        cursor: u64,
        count: usize,
        guard: &'g Guard,
        mut visit: impl FnMut(&'g Record),
    ) -> u64 {
        if !cfg!(darter_no_directory) {
            // SAFETY: the directory's records are kept by the guard.
            return space
                .directory
                .scan(cursor, count, guard, |r| visit(unsafe { &*r }));
        }
        self.keyspace
            .scan_by_hash(space, cursor, count, guard, visit)
    }
}

/// What a chain keeps for those who read below its newest version, in bytes.
///
/// # Safety
/// The chain is kept by the caller's pin, and nobody else cuts in it.
unsafe fn kept_in_chain(newest: *mut Version) -> usize {
    let mut kept = 0;
    let mut upper = newest;
    // SAFETY: the caller's promise; states live as long as their versions.
    while let Some(version) = unsafe { upper.as_ref() } {
        if upper != newest {
            kept += version.block_bytes();
        }
        // SAFETY: as above.
        if let Some(tree) = unsafe { version.tree().as_ref() } {
            // SAFETY: the caller's promise.
            kept += unsafe { tree.kept_below_bytes() };
        }
        upper = version.older.load(SeqCst);
    }
    kept
}
