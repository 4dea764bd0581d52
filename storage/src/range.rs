//! Reads of more than one key: ranges in key order, cursors in hash order, one at random.
//!
//! In a transaction that may write, what such a read found is part of what must still hold at the
//! commit (no phantoms): a range of up to a thousand keys is walked again then; for more, and for
//! reads of a whole keyspace, only the gate will do.

use std::collections::BTreeMap;

use crate::descriptor::RangeRead;
use crate::entry::Written;
use crate::error::Error;
use crate::keyspace::Lookup;
use crate::record::{DEAD, Record};
use crate::space::Space;
use crate::store::Inner;
use crate::sync::Guard;
use crate::transaction::Transaction;
use crate::version::Number;

/// Keys that a range read may find and still be compared at the commit.
const COMPARED_MAX: usize = 1000;

/// The next cursor of a scan, and the keys that it showed.
///
/// ```
/// use darter_storage::{Mode, Scanned, Store};
/// let store = Store::new();
/// store.set("a", "1");
/// let (next_cursor, keys): Scanned = store.begin(Mode::Snapshot).scan(0, 0, 100)?;
/// assert_eq!((next_cursor, keys), (0, vec![b"a"[..].into()]));
/// # Ok::<(), darter_storage::Error>(())
/// ```
pub type Scanned = (u64, Vec<Box<[u8]>>);

impl Transaction {
    /// The transaction's own writes in a keyspace: key → whether it is there.
    fn own_writes(&self, space: &Space) -> BTreeMap<&[u8], bool> {
        (0..self.entries.len())
            .map(|index| (index, self.entries.get(index)))
            .filter(|(_, entry)| {
                std::ptr::eq(entry.space, space) && !matches!(entry.written, Written::No)
            })
            .map(|(index, entry)| (&*entry.key, self.shows(index)))
            .collect()
    }

    /// The keys from `from` on, in key order, up to but without `until` (`None`: to the end), at
    /// most `limit` of them. O(log n + keys walked).
    ///
    /// In a transaction that writes, the range must hold the same keys at the commit. One of more
    /// than a thousand keys is not compared but needs the gate; see [`Transaction::needs_gate`].
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`].
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// ["b:1", "a:2", "a:1"].iter().for_each(|key| store.set(key, ""));
    /// let mut tx = store.begin(Mode::Optimistic);
    /// let keys = tx.keys(0, b"a:", Some(b"a;"), 10)?;
    /// assert_eq!(keys, [(*b"a:1").into(), (*b"a:2").into()] as [Box<[u8]>; 2]);
    /// tx.set_integer(0, b"count", keys.len() as i64)?;
    /// store.set("a:3", ""); // a phantom
    /// assert!(tx.commit().is_err());
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn keys(
        &self,
        database: usize,
        from: &[u8],
        until: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Box<[u8]>>, Error> {
        let space = self.space(database)?;
        let mut own = self.own_writes(space).into_iter().peekable();
        let (mut keys, mut found) = (Vec::new(), Vec::new());
        let mut own_before = |keys: &mut Vec<Box<[u8]>>, bound: Option<&[u8]>| {
            let is_before = |key: &[u8]| bound.is_none_or(|bound| key < bound);
            let mut same = None;
            while let Some((key, is_there)) = own.next_if(|(key, _)| is_before(key)) {
                if key >= from && is_there && keys.len() < limit {
                    keys.push(key.into());
                }
            }
            if let Some(bound) = bound {
                same = own
                    .next_if(|(key, _)| *key == bound)
                    .map(|(_, is_there)| is_there);
            }
            same
        };
        // Where the walk ended early, for the comparison at the commit.
        let mut ended_before: Option<Box<[u8]>> = until.map(Into::into);
        self.inner
            .keyspace
            .walk(space.id, from, self.guard(), |record| {
                let key = record.key();
                if until.is_some_and(|until| key >= until) {
                    return false;
                }
                if keys.len() >= limit {
                    ended_before = Some(key.into());
                    return false;
                }
                let is_there = self.alive(record).is_some();
                if is_there && self.records_reads {
                    found.push(Box::from(key));
                }
                if own_before(&mut keys, Some(key)).unwrap_or(is_there) && keys.len() < limit {
                    keys.push(key.into());
                }
                true
            });
        if ended_before.as_deref() == until {
            own_before(&mut keys, until);
        }
        self.record_range(RangeRead {
            space,
            from: from.into(),
            until: ended_before,
            keys: found,
        });
        Ok(keys)
    }

    fn record_range(&self, range: RangeRead) {
        if !self.records_reads {
            return;
        }
        if range.keys.len() > COMPARED_MAX {
            self.needs_gate.set(true);
            return;
        }
        self.ranges.borrow_mut().push(range);
    }

    /// Some keys behind `cursor`, in no order that means anything, and the next cursor (0: from
    /// the start, and at the end). A key that is there all the time from cursor 0 to cursor 0 is
    /// shown at least once, also if each call is made by another transaction. O(count) expected.
    ///
    /// In a transaction that writes, it needs the gate; see [`Transaction::needs_gate`].
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`].
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// (0..100).for_each(|n| store.set(format!("k{n}"), ""));
    /// let (mut cursor, mut all) = (0, Vec::new());
    /// loop {
    ///     let (next, keys) = store.begin(Mode::Snapshot).scan(0, cursor, 10)?;
    ///     all.extend(keys);
    ///     cursor = next;
    ///     if cursor == 0 {
    ///         break;
    ///     }
    /// }
    /// all.sort();
    /// all.dedup();
    /// assert_eq!(all.len(), 100);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn scan(&self, database: usize, cursor: u64, count: usize) -> Result<Scanned, Error> {
        let space = self.space(database)?;
        self.reads_whole_keyspace();
        let own = self.own_writes(space);
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        let guard = self.guard();
        let next = self
            .inner
            .scan_records(space, cursor, count, guard, |record| {
                let key = record.key();
                if own
                    .get(key)
                    .copied()
                    .unwrap_or_else(|| self.alive(record).is_some())
                {
                    keys.push(key.into());
                }
            });
        if cursor == 0 {
            // New keys of this transaction are in no structure yet.
            let new = own.iter().filter(|(key, is_there)| {
                **is_there && !keys.iter().any(|known| **known == ***key)
            });
            let new: Vec<Box<[u8]>> = new.map(|(key, _)| Box::from(*key)).collect();
            keys.extend(new);
        }
        Ok((next, keys))
    }

    /// A key drawn at random, about evenly; `None` if there is none. O(1) expected.
    ///
    /// In a transaction that writes, it needs the gate; see [`Transaction::needs_gate`].
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`].
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// assert_eq!(store.begin(Mode::Snapshot).random_key(0)?, None);
    /// store.set("only", "1");
    /// assert_eq!(store.begin(Mode::Snapshot).random_key(0)?.as_deref(), Some(&b"only"[..]));
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn random_key(&self, database: usize) -> Result<Option<Box<[u8]>>, Error> {
        let space = self.space(database)?;
        self.reads_whole_keyspace();
        let own = self.own_writes(space);
        let accept = |record: &Record| match own.get(record.key()) {
            Some(is_there) => *is_there,
            None => self.alive(record).is_some(),
        };
        let found = self
            .inner
            .sample(space, || self.random(), self.guard(), accept);
        Ok(found.map(|record| record.key().into()).or_else(|| {
            own.iter()
                .find(|(_, is_there)| **is_there)
                .map(|(key, _)| Box::from(*key))
        }))
    }

    /// How many keys there are, counted one by one; exact as of where the transaction reads.
    /// O(keys). [`Store::key_counts`](crate::Store::key_counts) is O(1) and not exact.
    ///
    /// In a transaction that writes, it needs the gate; see [`Transaction::needs_gate`].
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`].
    ///
    /// ```
    /// use darter_storage::Store;
    /// let store = Store::new();
    /// store.set("a", "1");
    /// let before = store.snapshot();
    /// store.set("b", "1");
    /// assert_eq!(before.read(|tx| tx.count_keys(0))?, 1);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn count_keys(&self, database: usize) -> Result<u64, Error> {
        let space = self.space(database)?;
        self.reads_whole_keyspace();
        let own = self.own_writes(space);
        let mut count = own.values().filter(|is_there| **is_there).count() as u64;
        self.inner
            .keyspace
            .walk(space.id, b"", self.guard(), |record| {
                if !own.contains_key(record.key()) && self.alive(record).is_some() {
                    count += 1;
                }
                true
            });
        Ok(count)
    }

    /// The key just before `until` in key order (`None`: the last one), if any. O(log n).
    ///
    /// In a transaction that writes, it needs the gate; see [`Transaction::needs_gate`].
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`].
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// ["log:2024", "log:2025", "other"].iter().for_each(|key| store.set(key, ""));
    /// let tx = store.begin(Mode::Snapshot);
    /// assert_eq!(tx.last_key_before(0, Some(b"log;"))?.as_deref(), Some(&b"log:2025"[..]));
    /// assert_eq!(tx.last_key_before(0, Some(b"a"))?, None);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn last_key_before(
        &self,
        database: usize,
        until: Option<&[u8]>,
    ) -> Result<Option<Box<[u8]>>, Error> {
        let space = self.space(database)?;
        self.reads_whole_keyspace();
        let own = self.own_writes(space);
        let mut found = None;
        self.inner
            .keyspace
            .walk_back(space.id, until, self.guard(), |record| {
                let key = record.key();
                if own
                    .get(key)
                    .copied()
                    .unwrap_or_else(|| self.alive(record).is_some())
                {
                    found = Some(Box::from(key));
                }
                found.is_none()
            });
        let own_last = own
            .iter()
            .rfind(|(key, is_there)| **is_there && until.is_none_or(|until| **key < until))
            .map(|(key, _)| Box::from(*key));
        Ok(found.max(own_last))
    }

    fn reads_whole_keyspace(&self) {
        if self.records_reads {
            self.needs_gate.set(true);
        }
    }
}

impl Inner {
    /// Whether a range holds, as of `number`, just the keys that were found in it, and they have not
    /// expired. To be asked after READY; see `in_time`.
    pub(crate) fn range_holds(
        &self,
        range: &RangeRead,
        now_ms: u64,
        number: Number,
        guard: &Guard,
    ) -> bool {
        // SAFETY: a space that a live descriptor names is forgotten only after its owner is gone.
        let space = unsafe { &*range.space };
        let mut expected = range.keys.iter();
        let mut holds = true;
        let time_ms = match fault!("deadlines in ranges not compared") {
            true => now_ms,
            false => self.wall_clock.now_ms(),
        };
        self.keyspace.walk(space.id, &range.from, guard, |record| {
            let key = record.key();
            if range.until.as_deref().is_some_and(|until| key >= until) {
                return false;
            }
            let version = self.visible(record, number, guard);
            if let Some(version) = version
                && version.is_alive(now_ms)
            {
                // It need not be the version that was found, nor have that one's deadline.
                holds = version.is_alive(time_ms)
                    && expected.next().is_some_and(|expected| **expected == *key);
            }
            holds
        });
        holds && expected.next().is_none()
    }

    /// A record drawn at random among those that `accept` takes.
    fn sample<'g>(
        &'g self,
        space: &'g Space,
        mut random: impl FnMut() -> u64,
        guard: &'g Guard,
        accept: impl Fn(&Record) -> bool,
    ) -> Option<&'g Record> {
        if !cfg!(darter_no_directory) {
            // SAFETY: the directory's records are kept by the guard.
            let found = space
                .directory
                .sample(random, guard, |r| accept(unsafe { &*r }))?;
            // SAFETY: as above.
            return Some(unsafe { &*found });
        }
        let mut accepted = Vec::new();
        self.keyspace.walk(space.id, b"", guard, |record| {
            if record.head.load(crate::sync::atomic::Ordering::SeqCst) != DEAD && accept(record) {
                accepted.push(record);
            }
            true
        });
        let at = random() as usize % accepted.len().max(1);
        accepted.get(at).copied()
    }
}

impl crate::keyspace::Keyspace {
    /// What the directory's scan does, without a directory: for checking it, not for speed.
    pub(crate) fn scan_by_hash<'g>(
        &self,
        space: &Space,
        cursor: u64,
        count: usize,
        guard: &'g Guard,
        mut visit: impl FnMut(&'g Record),
    ) -> u64 {
        const SHIFT: u32 = 16;
        let mut behind = Vec::new();
        self.walk(space.id, b"", guard, |record| {
            if record.hash() >> SHIFT >= cursor {
                behind.push(record);
            }
            true
        });
        behind.sort_by_key(|record| record.hash());
        let mut last = None;
        for (shown, record) in behind.into_iter().enumerate() {
            let place = record.hash() >> SHIFT;
            if shown >= count && last != Some(place) {
                return place;
            }
            visit(record);
            last = Some(place);
        }
        0
    }
}

impl Transaction {
    /// Marks a key as used now, for idle times; does nothing if it is not there. Not undone when
    /// the transaction is given up. O(1) expected.
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`].
    ///
    /// ```
    /// use darter_storage::{Mode, Options, Store, TimeSource};
    /// let store = Store::with_options(Options { time: TimeSource::Manual, ..Options::default() });
    /// store.set_time(1_000);
    /// store.set("k", "v");
    /// store.set_time(60_000);
    /// store.get("k")?;
    /// assert_eq!(store.touched_s(0, b"k"), Some(1), "a read alone does not count");
    /// store.begin(Mode::Direct).touch(0, b"k")?;
    /// assert_eq!(store.touched_s(0, b"k"), Some(60));
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn touch(&self, database: usize, key: &[u8]) -> Result<(), Error> {
        let space = self.space(database)?;
        let lookup = Lookup {
            hash: self.inner.hash(key),
            key,
        };
        if let Some(record) = self.inner.keyspace.find(space, lookup, self.guard()) {
            record.mark_used(self.now_ms);
        }
        Ok(())
    }

    /// When a key was last written or touched, in whole seconds since 1970; `None` if it is not
    /// there where the transaction reads, or if there is no such database. O(1) expected.
    ///
    /// ```
    /// use darter_storage::{Mode, Options, Store, TimeSource};
    /// let store = Store::with_options(Options { time: TimeSource::Manual, ..Options::default() });
    /// store.set_time(90_500);
    /// store.set("k", "v");
    /// let tx = store.begin(Mode::Direct);
    /// assert_eq!(tx.touched_s(0, b"k"), Some(90));
    /// assert_eq!(tx.touched_s(0, b"missing"), None);
    /// ```
    pub fn touched_s(&self, database: usize, key: &[u8]) -> Option<u64> {
        use crate::sync::atomic::Ordering::Relaxed;
        let space = self.space(database).ok()?;
        let lookup = Lookup {
            hash: self.inner.hash(key),
            key,
        };
        let record = self.inner.keyspace.find(space, lookup, self.guard())?;
        self.alive(record)?;
        Some(u64::from(record.touched_s.load(Relaxed)))
    }
}
