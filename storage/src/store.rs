//! The store: what all its parts share, and its face for embedding programs.

use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use crate::afterwards::Afterwards;
use crate::clock::{Clock, Moments, WallClock, since_1970};
use crate::effects::Effects;
use crate::gate::Gate;
use crate::keyspace::Keyspace;
use crate::limits::Limits;
use crate::queue::Queues;
use crate::record::{DEAD, Record, SpaceId};
use crate::registry::KeyStack;
use crate::removals::Removals;
use crate::space::{DATABASES_MAX, Named, Spaces, table_version};
use crate::sync::atomic::Ordering::SeqCst;
use crate::sync::atomic::{AtomicU64, AtomicUsize};
use crate::sync::{Collector, Guard, RandomState, random_state};
use crate::thread::{Counts, Local, Threads, local};
use crate::transaction::{Mode, Transaction};
use crate::version::{ABORTED, Stamp, Version, committed_word, read_stamp};

/// Keys whose misses overlap: more than the processor can wait for at once would be too many.
const PREFETCHED: usize = 32;

/// Where the time by which keys expire comes from.
///
/// ```
/// use darter_storage::{Options, Store, TimeSource};
/// let store = Store::with_options(Options { time: TimeSource::Manual, ..Options::default() });
/// store.set_time(1_000);
/// store.transaction(|tx| {
///     tx.set_integer(0, b"session", 1)?;
///     tx.set_deadline(0, b"session", 2_000)
/// })?;
/// store.set_time(1_999);
/// assert!(store.get("session")?.is_some());
/// store.set_time(2_000);
/// assert!(store.get("session")?.is_none());
/// # Ok::<(), darter_storage::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeSource {
    /// The system's clock, read by every transaction.
    #[default]
    System,
    /// [`Store::set_time`] alone: a server sets it once per turn of its loop, a test as it likes.
    Manual,
}

/// How a store is made.
///
/// ```
/// use darter_storage::{Options, Store, TimeSource};
/// let options = Options { databases: 4, time: TimeSource::Manual };
/// let store = Store::with_options(options);
/// assert_eq!((store.databases(), store.now_ms()), (4, 0));
/// assert_eq!(Options::default().databases, 16);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many databases it has, numbered from 0: from 1 to 1,024.
    pub databases: usize,
    /// Where its time comes from.
    pub time: TimeSource,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            databases: 16,
            time: TimeSource::System,
        }
    }
}

/// What all parts of one store share.
pub(crate) struct Inner {
    pub(crate) clock: Clock,
    pub(crate) wall_clock: WallClock,
    time: TimeSource,
    pub(crate) collector: Collector,
    pub(crate) keyspace: Keyspace,
    pub(crate) spaces: Spaces,
    pub(crate) gate: Gate,
    pub(crate) queues: Queues,
    pub(crate) threads: Threads,
    pub(crate) effects: Effects,
    pub(crate) afterwards: Afterwards,
    pub(crate) removals: Removals,
    pub(crate) limits: Limits,
    /// Keys whose trimming goes on later.
    pub(crate) trim_stack: KeyStack,
    /// Where the search for expired keys goes on, as a database and a cursor.
    pub(crate) expiry_position: AtomicU64,
    pub(crate) expiry_database: AtomicUsize,
    pub(crate) moments: Moments,
    hasher: RandomState,
}

/// An ordered in-memory key-value store with snapshots and strictly serializable transactions.
///
/// A handle: clones are the same store. It may be used from any thread.
///
/// ```
/// use darter_storage::{Error, Store};
/// let store = Store::new();
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         let store = store.clone();
///         scope.spawn(move || {
///             store.transaction(|tx| {
///                 let n = tx.integer(0, b"n")?.unwrap_or(0);
///                 tx.set_integer(0, b"n", n + 1)
///             })
///         });
///     }
/// });
/// assert_eq!(store.get("n")?.as_deref(), Some(&b"2"[..]));
/// assert_eq!(Store::new().get("n")?, None, "two stores share nothing");
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

impl Default for Store {
    fn default() -> Store {
        Store::new()
    }
}

impl Store {
    /// An empty store with 16 databases on the system's clock.
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.set("greeting", "hello");
    /// assert_eq!(store.get("greeting").unwrap().as_deref(), Some(&b"hello"[..]));
    /// ```
    pub fn new() -> Store {
        Store::with_options(Options::default())
    }

    /// An empty store.
    ///
    /// # Panics
    /// If it is to have no database, or more than 1,024.
    ///
    /// ```
    /// use darter_storage::{Options, Store};
    /// let store = Store::with_options(Options { databases: 1, ..Options::default() });
    /// assert_eq!(store.databases(), 1);
    /// ```
    pub fn with_options(options: Options) -> Store {
        assert!(
            (1..=DATABASES_MAX).contains(&options.databases),
            "a store has from 1 to {DATABASES_MAX} databases, not {}",
            options.databases
        );
        let collector = Collector::new();
        let inner = Inner {
            clock: Clock::new(),
            wall_clock: WallClock::new(),
            time: options.time,
            keyspace: Keyspace::new(collector.clone()),
            collector,
            spaces: Spaces::new(),
            gate: Gate::new(),
            queues: Queues::new(),
            threads: Threads::new(),
            effects: Effects::new(),
            afterwards: Afterwards::new(),
            removals: Removals::new(),
            limits: Limits::new(),
            trim_stack: KeyStack::new(),
            expiry_position: AtomicU64::new(0),
            expiry_database: AtomicUsize::new(0),
            moments: Moments::default(),
            hasher: random_state(),
        };
        let spaces: Vec<_> = (0..options.databases)
            .filter_map(|_| inner.spaces.make())
            .collect();
        for space in &spaces {
            // SAFETY: made a moment ago, and nobody sweeps yet.
            unsafe { &**space }.open_to_sweeper();
        }
        let table = table_version(spaces.into_iter().map(|space| Named { space, changes: 0 }));
        // SAFETY: private until the store is handed out. Number 0 lies below every snapshot.
        unsafe { (*table).stamp.store(committed_word(0), SeqCst) };
        inner.spaces.table.head.store(table, SeqCst);
        Store {
            inner: Arc::new(inner),
        }
    }

    /// How many databases there are.
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// let last = store.databases() - 1;
    /// store.transaction(|tx| tx.set_integer(last, b"n", 1))?;
    /// assert!(store.transaction(|tx| tx.set_integer(last + 1, b"n", 1)).is_err());
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn databases(&self) -> usize {
        let local = self.local();
        let guard = local.pin();
        crate::space::table_spaces(self.inner.table(None, &guard)).count()
    }

    /// The calling thread's part, made at its first use.
    pub(crate) fn local(&self) -> Rc<Local> {
        local(&self.inner)
    }

    /// Begins a transaction of any kind but exclusive; see [`Mode`]. It belongs to this thread.
    /// The closures of [`Store::transaction`] are the easier way; this one is for programs that
    /// must suspend a transaction in its middle.
    ///
    /// # Panics
    /// If `mode` is [`Mode::Exclusive`]: only an [`Escalation`](crate::Escalation) leads there, for
    /// the gate must be closed first.
    ///
    /// ```
    /// use darter_storage::{Deadline, Mode, Store, StringValue, Value};
    /// let store = Store::new();
    /// let mut tx = store.begin(Mode::Optimistic);
    /// tx.set(0, b"key", Value::String(StringValue::new(b"value")), Deadline::Never)?;
    /// tx.commit().expect("nobody else is here");
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn begin(&self, mode: Mode) -> Transaction {
        refuse_exclusive(mode);
        self.inner.read_clock();
        Transaction::begin(&self.inner, self.local(), mode)
    }

    /// Asks the cache for what looking up these keys will touch, in stages, so that their misses
    /// overlap; and for that of an element (a field, a member) in a large collection that several of
    /// them go to. A hint without effect on what is read.
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.prefetch(0, &[(b"a", None), (b"hash", Some(b"field"))]);
    /// ```
    pub fn prefetch(&self, database: usize, lookups: &[(&[u8], Option<&[u8]>)]) {
        let local = self.local();
        let guard = local.pin();
        let table = self.inner.table(None, &guard);
        let Some(space) = crate::space::table_space(table, database) else {
            return;
        };
        // SAFETY: named by the newest table, under the pin.
        let space = unsafe { &*space };
        for lookups in lookups.chunks(PREFETCHED) {
            let mut hashes = [0; PREFETCHED];
            let hashes = &mut hashes[..lookups.len()];
            for (hash, (key, _)) in hashes.iter_mut().zip(lookups) {
                *hash = self.inner.hash(key);
                Keyspace::prefetch(space, *hash, &guard);
            }
            let mut records = [None; PREFETCHED];
            for (record, &hash) in records.iter_mut().zip(&*hashes) {
                *record = Keyspace::prefetch_record(space, hash, &guard);
            }
            records
                .into_iter()
                .flatten()
                .for_each(Keyspace::prefetch_behind);
            self.prefetch_elements(lookups, &records, &guard);
        }
    }

    /// The last stage of `prefetch`, for records that the lookup before or behind goes to as well: of
    /// others, what says where to go on has hardly arrived.
    fn prefetch_elements(
        &self,
        lookups: &[(&[u8], Option<&[u8]>)],
        records: &[Option<&Record>],
        guard: &Guard,
    ) {
        let mut last: Option<&Record> = None;
        for (at, (_, element)) in lookups.iter().enumerate() {
            let record = records[at];
            let next = records.get(at + 1).copied().flatten();
            let is_shared = record.is_some_and(|own| {
                [last, next]
                    .into_iter()
                    .flatten()
                    .any(|other| ptr::eq(own, other))
            });
            last = record;
            if let (true, Some(record), Some(element)) = (is_shared, record, element)
                && let Some(version) = self.inner.newest(record, guard)
            {
                version.prefetch(element);
            }
        }
    }

    /// Moves the store's time on to `now_ms`, in milliseconds since 1970; it never goes back, and ends
    /// after 292,000 years.
    ///
    /// ```
    /// use darter_storage::{Options, Store, TimeSource};
    /// let store = Store::with_options(Options { time: TimeSource::Manual, ..Options::default() });
    /// store.set_time(1_000);
    /// assert_eq!(store.now_ms(), 1_000);
    /// ```
    pub fn set_time(&self, now_ms: u64) {
        self.inner.wall_clock.advance(now_ms);
    }

    /// The store's time, in milliseconds since 1970. It never goes back, also if the system's clock
    /// does.
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// let now_ms = store.now_ms();
    /// assert!(store.now_ms() >= now_ms);
    /// store.set_time(now_ms + 1_000_000);
    /// assert!(store.now_ms() >= now_ms + 1_000_000);
    /// ```
    pub fn now_ms(&self) -> u64 {
        self.inner.read_clock();
        self.inner.wall_clock.now_ms()
    }

    /// What has happened so far, summed over all threads. O(threads).
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.set("a", "1");
    /// assert_eq!(store.counts().commits, 1);
    /// ```
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for state in self.inner.threads.iter() {
            state.counters.add_to(&mut counts);
        }
        counts
    }

    /// How many keys a database has, and how many of them may expire, as per-thread counts say:
    /// expired keys count until they are removed. O(1).
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.set("a", "1");
    /// assert_eq!(store.key_counts(0), (1, 0));
    /// ```
    pub fn key_counts(&self, database: usize) -> (u64, u64) {
        let local = self.local();
        let guard = local.pin();
        match crate::space::table_space(self.inner.table(None, &guard), database) {
            // SAFETY: named by the newest table, under the pin.
            Some(space) => unsafe { &*space }.counts(),
            None => (0, 0),
        }
    }

    /// The snapshots held now: how many, and the age of the oldest in milliseconds.
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// let snapshot = store.snapshot();
    /// assert_eq!(store.snapshots_held().0, 1);
    /// drop(snapshot);
    /// assert_eq!(store.snapshots_held().0, 0);
    /// ```
    pub fn snapshots_held(&self) -> (usize, u64) {
        let now_ms = self.now_ms();
        let mut held = (0, 0);
        for slot in self
            .inner
            .threads
            .iter()
            .flat_map(|state| state.slots.iter())
        {
            if slot.snapshot().is_some() {
                held.0 += 1;
                held.1 = held
                    .1
                    .max(now_ms.saturating_sub(slot.since_ms.load(SeqCst)));
            }
        }
        held
    }

    /// When the key was last used, in whole seconds of the store's time since 1970; `None` if the
    /// key is not there. Reads through transactions count only where they call
    /// [`Transaction::touch`].
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// assert_eq!(store.touched_s(0, b"missing"), None);
    /// ```
    pub fn touched_s(&self, database: usize, key: &[u8]) -> Option<u64> {
        self.begin(Mode::Direct).touched_s(database, key)
    }
}

/// Nobody is exclusive by asking for it: without the gate, updates would be lost.
pub(crate) fn refuse_exclusive(mode: Mode) {
    assert!(
        mode != Mode::Exclusive,
        "an exclusive transaction begins at the gate: use `Escalation::exclusive`"
    );
}

impl Inner {
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// A number that differs from call to call and from store to store.
    pub(crate) fn random(&self, salt: u64) -> u64 {
        self.hasher.hash_one(salt)
    }

    /// Lets the store's time catch up with the system's, where that is its source.
    #[inline]
    pub(crate) fn read_clock(&self) {
        if self.time == TimeSource::System {
            self.wall_clock.advance(since_1970().as_millis() as u64);
        }
    }

    pub(crate) fn space_of(&self, id: SpaceId) -> Option<&crate::space::Space> {
        self.spaces.get(id)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // No transaction is left, so nobody is pinned and every grace period can end.
        let handle = self.collector.register();
        let mut guard = handle.pin();
        while self.afterwards.outstanding() > 0 {
            for job in self.afterwards.take() {
                self.run_job(job, usize::MAX, &guard);
            }
            guard.flush();
            guard.repin();
        }
        let mut heads = Vec::new();
        self.keyspace
            .for_each(&guard, |record| heads.push(record.head.swap(DEAD, SeqCst)));
        heads.push(self.spaces.table.head.swap(DEAD, SeqCst));
        for head in heads {
            self.free_chain(head);
        }
    }
}

impl Inner {
    /// Frees a chain at the store's end, when nobody else is left.
    fn free_chain(&self, head: *mut Version) {
        if head.is_null() || head == DEAD {
            return;
        }
        // SAFETY: nobody else is left; a chain's versions are live until they are freed here.
        unsafe {
            let mut newest = head;
            if let Stamp::Aborted = read_stamp((*head).stamp.load(SeqCst)) {
                debug_assert_eq!((*head).stamp.load(SeqCst), ABORTED);
                newest = (*head).older.load(SeqCst);
                Version::free_aborted(head);
            }
            if let Some(mut garbage) = self.empty_chain(newest) {
                garbage.free_some(usize::MAX);
            }
            while !newest.is_null() {
                let older = (*newest).older.load(SeqCst);
                let tree = (*newest).tree();
                if !tree.is_null() {
                    drop(Box::from_raw(tree));
                }
                Version::free_block(newest);
                newest = older;
            }
        }
    }
}
