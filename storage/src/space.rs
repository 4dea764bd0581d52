//! Databases: which keyspace each number stands for, and what becomes of the keyspaces that no
//! number stands for any more.
//!
//! The table of databases is one more record with versions (it is in no structure), so FLUSHDB,
//! FLUSHALL and SWAPDB are ordinary writes of it: snapshots keep the table of their number. Only
//! the gate's owner writes it, and every other commit compares it inside the gate with the one
//! that its transaction used. A keyspace that fell out of the table is swept key by key once no
//! snapshot can name it.

use std::ptr;

use crate::afterwards::Job;
use crate::directory::Directory;
use crate::record::{DEAD, Record, SpaceId};
use crate::store::Inner;
use crate::sync::Guard;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize};
use crate::thread::Local;
use crate::value::Type;
use crate::version::{Number, Version};

/// Databases of one store.
pub(crate) const DATABASES_MAX: usize = 1024;
/// Keyspaces that may exist at once: those of all databases, and a thousand still being swept.
const SPACES_MAX: usize = 2 * DATABASES_MAX;
/// Counters per keyspace, so that threads seldom share a line.
const STRIPES: usize = 8;

#[repr(align(128))]
#[derive(Default)]
struct Stripe {
    keys: AtomicU64,
    volatile: AtomicU64,
}

/// So often in a row a sweep that can only wait is said to be worth another one. A grace period, and
/// there are two, ends after a few if nobody is pinned for long.
const WAITS_MAX: usize = 64;

/// How far a sweep has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Swept {
    /// There is nothing to sweep, or nothing that may be.
    All,
    /// What is left waits for those who are pinned.
    Waits,
    /// There is more to remove at once.
    Part,
}

/// What a database number stands for until the next FLUSH of that database.
pub(crate) struct Space {
    pub(crate) id: SpaceId,
    pub(crate) directory: Directory,
    /// Removals of records whose second half is still to come.
    pub(crate) removals: AtomicUsize,
    stripes: [Stripe; STRIPES],
    /// Still private to the transaction that made it.
    is_private: AtomicBool,
    forgotten: AtomicBool,
}

impl Space {
    fn new(id: SpaceId) -> Space {
        Space {
            id,
            directory: Directory::new(),
            removals: AtomicUsize::new(0),
            stripes: Default::default(),
            is_private: AtomicBool::new(true),
            forgotten: AtomicBool::new(false),
        }
    }

    /// The transaction that made it has ended: from here on the table decides whether it stays.
    pub(crate) fn open_to_sweeper(&self) {
        self.is_private.store(false, SeqCst);
    }

    /// Counts a change of how many keys there are, and how many with a deadline. `salt` spreads
    /// threads over counters.
    pub(crate) fn count(&self, salt: usize, keys: i64, volatile: i64) {
        let stripe = &self.stripes[salt % STRIPES];
        if keys != 0 {
            stripe.keys.fetch_add(keys as u64, Relaxed);
        }
        if volatile != 0 {
            stripe.volatile.fetch_add(volatile as u64, Relaxed);
        }
    }

    /// Keys, and keys with a deadline; expired ones count until they are removed.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let sum = |pick: fn(&Stripe) -> &AtomicU64| {
            let sum = self.stripes.iter().fold(0_u64, |sum, stripe| {
                sum.wrapping_add(pick(stripe).load(Relaxed))
            });
            // Counted after the commit, so a sum taken meanwhile may be off below zero.
            if sum > u64::MAX / 2 { 0 } else { sum }
        };
        (sum(|stripe| &stripe.keys), sum(|stripe| &stripe.volatile))
    }
}

/// All keyspaces by their id.
pub(crate) struct Spaces {
    slots: Box<[AtomicPtr<Space>]>,
    /// The record of the table of databases.
    pub(crate) table: Record,
    sweeping: AtomicBool,
    /// A keyspace may have fallen out of the table.
    to_sweep: AtomicBool,
    /// How many sweeps in a row could only wait.
    waits: AtomicUsize,
}

impl Spaces {
    pub(crate) fn new() -> Spaces {
        Spaces {
            slots: (0..SPACES_MAX)
                .map(|_| AtomicPtr::new(ptr::null_mut()))
                .collect(),
            table: Record::new(SpaceId::MAX, 0, b""),
            sweeping: AtomicBool::new(false),
            to_sweep: AtomicBool::new(false),
            waits: AtomicUsize::new(0),
        }
    }

    /// A new empty keyspace; `None` if a thousand are waiting to be swept.
    pub(crate) fn make(&self) -> Option<*const Space> {
        for (id, slot) in self.slots.iter().enumerate() {
            if !slot.load(Relaxed).is_null() {
                continue;
            }
            let fresh = Box::into_raw(Box::new(Space::new(id as SpaceId)));
            if slot
                .compare_exchange(ptr::null_mut(), fresh, AcqRel, Acquire)
                .is_ok()
            {
                return Some(fresh);
            }
            // SAFETY: never shared.
            drop(unsafe { Box::from_raw(fresh) });
        }
        None
    }

    pub(crate) fn get(&self, id: SpaceId) -> Option<&Space> {
        // SAFETY: a space is freed a grace period after its slot is cleared, and the callers hold
        // a pin and a record or a table that names it.
        unsafe { self.slots.get(id as usize)?.load(Acquire).as_ref() }
    }

    /// Asks for a look at which keyspaces no table names.
    pub(crate) fn ask_sweeper(&self) {
        self.to_sweep.store(true, SeqCst);
    }

    /// Whether `ask_sweeper` was called since a sweep last found nothing more to do.
    pub(crate) fn is_sweep_due(&self) -> bool {
        self.to_sweep.load(Relaxed)
    }

    /// Whether another sweep pays at once. Whoever goes on for as long as it does must come to an end
    /// while somebody is pinned, who may be the caller.
    pub(crate) fn pays_again(&self, swept: Swept) -> bool {
        // Relaxed: a count of attempts, nothing depends on it.
        let waits = match swept {
            Swept::Waits => self.waits.load(Relaxed) + 1,
            Swept::Part | Swept::All => 0,
        };
        let is_over = waits > WAITS_MAX;
        self.waits.store(if is_over { 0 } else { waits }, Relaxed);
        swept == Swept::Part || swept == Swept::Waits && !is_over
    }

    fn iter(&self) -> impl Iterator<Item = *mut Space> {
        self.slots
            .iter()
            .map(|slot| slot.load(Acquire))
            .filter(|space| !space.is_null())
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        for slot in &mut self.slots {
            if !slot.get_mut().is_null() {
                // SAFETY: boxed by `make`, and nobody else is left.
                drop(unsafe { Box::from_raw(*slot.get_mut()) });
            }
        }
    }
}

/// What the table says of one database.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    pub(crate) space: *const Space,
    /// How often it has stood for another keyspace. Who compares two moments cannot see those
    /// between them in the tables, which are cut.
    pub(crate) changes: u64,
}

impl Named {
    /// The same database, standing for `space`.
    pub(crate) fn by(self, space: *const Space) -> Named {
        let changes = self.changes + u64::from(!ptr::eq(self.space, space));
        Named { space, changes }
    }

    fn to_bytes(self) -> [u8; 16] {
        let [space, changes] = [self.space.expose_provenance() as u64, self.changes];
        (u128::from(changes) << 64 | u128::from(space)).to_le_bytes()
    }

    #[inline]
    fn of_bytes(bytes: [u8; 16]) -> Named {
        let both = u128::from_le_bytes(bytes);
        Named {
            space: ptr::with_exposed_provenance(both as u64 as usize),
            changes: (both >> 64) as u64,
        }
    }
}

/// The private version of a table that names these keyspaces.
pub(crate) fn table_version(names: impl IntoIterator<Item = Named>) -> *mut Version {
    let bytes: Vec<u8> = names.into_iter().flat_map(Named::to_bytes).collect();
    Version::flat(Type::String, 0, &bytes, 0, ptr::null_mut())
}

/// What `table_version` has put into a version.
pub(crate) fn table_names(version: &Version) -> impl Iterator<Item = Named> {
    let words: &[[u8; 16]] = version.bytes().as_chunks().0;
    words.iter().copied().map(Named::of_bytes)
}

/// The keyspaces that a table's version names.
pub(crate) fn table_spaces(version: &Version) -> impl Iterator<Item = *const Space> {
    table_names(version).map(|named| named.space)
}

/// What a table's version says of one database.
#[inline]
pub(crate) fn table_name(version: &Version, database: usize) -> Option<Named> {
    let words: &[[u8; 16]] = version.bytes().as_chunks().0;
    words.get(database).copied().map(Named::of_bytes)
}

/// The keyspace of one database.
#[inline]
pub(crate) fn table_space(version: &Version, database: usize) -> Option<*const Space> {
    table_name(version, database).map(|named| named.space)
}

impl Inner {
    /// The table as of now, or as of a protected number.
    pub(crate) fn table<'g>(&'g self, number: Option<Number>, guard: &'g Guard) -> &'g Version {
        let found = match number {
            Some(number) => self.visible(&self.spaces.table, number, guard),
            None => self.newest(&self.spaces.table, guard),
        };
        // The first table is committed before the store is handed out, below every number.
        found.unwrap_or_else(|| unreachable!("a store has a table of databases"))
    }

    /// The database that named `space` right after the commit of this number, which somebody keeps
    /// protected, if one did. A change of the table draws its number, so the others of the same
    /// number come after it.
    pub(crate) fn database_after(
        &self,
        number: Number,
        space: SpaceId,
        guard: &Guard,
    ) -> Option<usize> {
        table_spaces(self.table(Some(number + 1), guard)).position(|known| {
            // SAFETY: named by a table that is not cut, so no keyspace of it is forgotten.
            unsafe { (*known).id == space }
        })
    }

    /// Removes up to `keys` keys of keyspaces that nobody can name any more.
    pub(crate) fn sweep(&self, keys: usize, local: &Local, guard: &Guard) -> Swept {
        if self.spaces.sweeping.swap(true, Acquire) {
            return Swept::All;
        }
        self.spaces.to_sweep.store(false, SeqCst);
        // Before the table is read: what is open by now was in a table that is committed, so the
        // table read below still names it, or none ever will again. In the other order a keyspace
        // of a table committed in between would look as if no table named it. One that is to be
        // forgotten may have lost its number to another already.
        let open: Vec<&Space> = self
            .spaces
            .iter()
            // SAFETY: freed by `Forget` alone, a grace period after its slot is cleared.
            .map(|space| unsafe { &*space })
            .filter(|space| !space.is_private.load(SeqCst) && !space.forgotten.load(SeqCst))
            .collect();
        let newest = self.table(None, guard);
        let mut swept = Swept::All;
        // An older table is kept for a snapshot: what it names must stay whole.
        let is_kept = !newest.older.load(Acquire).is_null();
        if !is_kept {
            let named: Vec<_> = table_spaces(newest).collect();
            for space in open
                .into_iter()
                .filter(|space| !named.contains(&ptr::from_ref(*space)))
            {
                swept = swept.max(self.sweep_space(space, keys, local, guard));
            }
        }
        if swept != Swept::All || is_kept {
            self.spaces.ask_sweeper();
        }
        self.spaces
            .sweeping
            .store(false, crate::sync::atomic::Ordering::Release);
        swept
    }

    fn sweep_space(&self, space: &Space, keys: usize, local: &Local, guard: &Guard) -> Swept {
        let mut swept = 0;
        self.keyspace.walk(space.id, b"", guard, |record| {
            self.discard(space, record, local, guard);
            swept += 1;
            swept < keys
        });
        if swept > 0 {
            return Swept::Part;
        }
        if space.removals.load(Relaxed) > 0 {
            return Swept::Waits;
        }
        if !space.forgotten.swap(true, SeqCst) {
            let job = Job::Forget(ptr::from_ref(space).cast_mut());
            self.afterwards.after_grace(job, guard);
        }
        Swept::All
    }

    /// Removes a key whatever it holds: nobody new can name its keyspace. A key that is being
    /// trimmed, or waits for a slot to be trimmed, is left for the next round.
    fn discard(&self, space: &Space, record: &Record, local: &Local, guard: &Guard) {
        let head = record.head.load(SeqCst);
        if head != DEAD {
            if !record.trim.take() {
                return;
            }
            if record.queued.load(SeqCst)
                || record
                    .head
                    .compare_exchange(head, DEAD, SeqCst, SeqCst)
                    .is_err()
            {
                record.trim.give_up();
                return;
            }
            // `trim` stays taken: nobody may look at the chain any more.
            self.discard_chain(head, local, guard);
        }
        self.keyspace.unlink(space, record, &self.afterwards, guard);
    }

    /// Drops a keyspace whose records are all gone, and frees its number.
    pub(crate) fn forget_space(&self, space: *mut Space, guard: &Guard) {
        // SAFETY: `Forget` has one owner.
        let id = unsafe { (*space).id };
        self.spaces.slots[id as usize].store(ptr::null_mut(), SeqCst);
        // SAFETY: in no table for a grace period, and from here on in no slot either.
        unsafe { guard.defer_unchecked(move || drop(Box::from_raw(space))) };
    }
}
