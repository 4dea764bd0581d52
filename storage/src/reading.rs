//! What a transaction reads: where a key's entry is, what stands there, and what its own writes hide.

use std::ptr;

use crate::entry::{Found, Seen, Written};
use crate::error::Error;
use crate::keyspace::Lookup;
use crate::record::Record;
use crate::space::{Space, table_space};
use crate::transaction::{Mode, Transaction};
use crate::value::{Type, ValueRef};
use crate::version::Version;

/// Where a key's entry is, or would be made.
pub(crate) struct KeyLocation<'t> {
    pub(crate) space: &'t Space,
    pub(crate) hash: u64,
    pub(crate) entry: Option<usize>,
}

impl Transaction {
    /// The table of databases as the transaction means to leave it. Every access begins here: what
    /// is not protected is refused before anything is looked at.
    pub(crate) fn table(&self) -> Result<&Version, Error> {
        if self.base_table.is_null() {
            return Err(Error::Ended);
        }
        if self.guard.is_none() {
            return Err(Error::Unpinned);
        }
        // SAFETY: slots live as long as the store's threads list.
        if let Some(slot) = unsafe { self.reads_by.as_ref() }
            && !slot.is_held_at(self.number)
            && !fault!("ended snapshots read on")
        {
            return Err(Error::SnapshotTooOld);
        }
        let table = self
            .new_table
            .map_or(self.base_table, <*mut Version>::cast_const);
        // SAFETY: protected by the pin (direct) or by the number for as long as `base_table` is
        // not null; a new table is private.
        Ok(unsafe { &*table })
    }

    pub(crate) fn space(&self, database: usize) -> Result<&Space, Error> {
        let table = self.table()?;
        let space = table_space(table, database).ok_or(Error::NoSuchDatabase(database))?;
        // SAFETY: a keyspace that a protected table names is not forgotten.
        Ok(unsafe { &*space })
    }

    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        self.inner.hash(key)
    }

    /// The version of a key where the transaction reads, a tombstone too.
    pub(crate) fn newest(&self, space: &Space, lookup: Lookup<'_>) -> Option<&Version> {
        let record = self.inner.keyspace.find(space, lookup, self.guard())?;
        self.newest_of(record)
    }

    fn newest_of<'t>(&'t self, record: &'t Record) -> Option<&'t Version> {
        match self.mode {
            Mode::Direct => self.inner.newest(record, self.guard()),
            _ => self.inner.visible(record, self.number, self.guard()),
        }
    }

    /// The version of a key, alive at the transaction's time, where it reads.
    pub(crate) fn look(&self, space: &Space, lookup: Lookup<'_>) -> Option<&Version> {
        self.alive(self.inner.keyspace.find(space, lookup, self.guard())?)
    }

    /// The version of a record that is alive where and when the transaction reads, without its
    /// own writes.
    pub(crate) fn alive<'t>(&'t self, record: &'t Record) -> Option<&'t Version> {
        let version = self.newest_of(record)?;
        if self.inner.effects.is_active() {
            self.local.saw_lamport(version.lamport);
        }
        version.is_alive(self.now_ms).then_some(version)
    }

    pub(crate) fn locate(&self, database: usize, key: &[u8]) -> Result<KeyLocation<'_>, Error> {
        let space = self.space(database)?;
        let hash = self.hash(key);
        let entry = self.entries.find(space, hash, key);
        Ok(KeyLocation { space, hash, entry })
    }

    /// The entry of a key, with what is seen of it.
    pub(crate) fn read_entry(&self, database: usize, key: &[u8]) -> Result<usize, Error> {
        Ok(self.read_at(&self.locate(database, key)?, key))
    }

    fn read_at(&self, location: &KeyLocation<'_>, key: &[u8]) -> usize {
        if let Some(index) = location.entry
            && self.entries.get(index).seen.get() != Seen::Nothing
        {
            return index;
        }
        let &KeyLocation { space, hash, .. } = location;
        let lookup = Lookup { hash, key };
        let record = self.inner.keyspace.find(space, lookup, self.guard());
        let version = record.and_then(|record| self.alive(record));
        let seen = version.map_or(Seen::Absent, |version| Seen::Alive(version));
        let index = match location.entry {
            Some(index) => {
                self.entries.get(index).seen.set(seen);
                index
            }
            None => self.entries.add(space, hash, key, seen),
        };
        let record = record.map_or(ptr::null(), ptr::from_ref);
        let pin = self.pin;
        self.entries.get(index).found.set(Found { record, pin });
        index
    }

    /// The entry that shows a key: what is written hides what was there, so that is not read.
    pub(crate) fn shown_entry(&self, database: usize, key: &[u8]) -> Result<usize, Error> {
        Ok(self.shown_at(&self.locate(database, key)?, key))
    }

    fn shown_at(&self, location: &KeyLocation<'_>, key: &[u8]) -> usize {
        match location.entry {
            Some(index) if !matches!(self.entries.get(index).written, Written::No) => index,
            _ => self.read_at(location, key),
        }
    }

    /// The value of a key and its deadline, in milliseconds since 1970 (0: none); `None` if it is
    /// not there. O(1) expected.
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`].
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// let deadline_ms = store.now_ms() + 60_000;
    /// store.transaction(|tx| {
    ///     tx.set_integer(0, b"code", 1234)?;
    ///     tx.set_deadline(0, b"code", deadline_ms)
    /// })?;
    /// let tx = store.begin(Mode::Direct);
    /// let found = tx.get_with_deadline(0, b"code")?.map(|(_, deadline_ms)| deadline_ms);
    /// assert_eq!(found, Some(deadline_ms));
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn get_with_deadline(
        &self,
        database: usize,
        key: &[u8],
    ) -> Result<Option<(ValueRef<'_>, u64)>, Error> {
        let location = self.locate(database, key)?;
        if !self.records_reads && location.entry.is_none() {
            // Without an entry: what has one is compared.
            let KeyLocation { space, hash, .. } = location;
            let version = self.look(space, Lookup { hash, key });
            return Ok(version.and_then(|v| {
                v.value()
                    .map(|value| (value.at(self.now_ms), v.key_deadline_ms()))
            }));
        }
        Ok(self.show(self.shown_at(&location, key)))
    }

    /// The value of a key, not copied; `None` if it is not there. O(1) expected.
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`].
    ///
    /// ```
    /// use darter_storage::{Mode, Store, ValueRef};
    /// let store = Store::new();
    /// store.set("k", "text");
    /// let tx = store.begin(Mode::Direct);
    /// assert!(matches!(tx.get(0, b"k")?, Some(ValueRef::String(text)) if text.len() == 4));
    /// assert!(tx.get(1, b"k")?.is_none(), "another database");
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn get(&self, database: usize, key: &[u8]) -> Result<Option<ValueRef<'_>>, Error> {
        Ok(self
            .get_with_deadline(database, key)?
            .map(|(value, _)| value))
    }

    /// Which type a key holds; `None` if it is not there. O(1) expected.
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`].
    ///
    /// ```
    /// use darter_storage::{Deadline, Mode, Store, StreamValue, Type, Value};
    /// let store = Store::new();
    /// let mut tx = store.begin(Mode::Optimistic);
    /// tx.set(0, b"events", Value::Stream(StreamValue::new()), Deadline::Never)?;
    /// assert_eq!(tx.kind(0, b"events")?, Some(Type::Stream));
    /// assert_eq!(tx.kind(0, b"missing")?, None);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn kind(&self, database: usize, key: &[u8]) -> Result<Option<Type>, Error> {
        Ok(self.get(database, key)?.map(|value| value.kind()))
    }
}
