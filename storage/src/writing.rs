//! What a transaction means to write: values put, changed in place, deleted, or given a deadline, all
//! in its entries until the commit.

use crate::entry::{Seen, Written};
use crate::error::Error;
use crate::reading::KeyLocation;
use crate::transaction::{Deadline, Mode, Transaction};
use crate::value::{Value, ValueMut};

impl Transaction {
    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        if self.mode == Mode::Snapshot {
            Err(Error::ReadOnly)
        } else {
            Ok(())
        }
    }

    /// Puts a value in a key, whatever is there. Nothing is read, unless the deadline is to be
    /// kept, so it conflicts with nobody. A collection without elements leaves the key absent. O(1)
    /// expected.
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`], [`Error::ReadOnly`].
    ///
    /// ```
    /// use darter_storage::{Deadline, Mode, Store, StringValue, Value};
    /// let store = Store::new();
    /// let mut tx = store.begin(Mode::Optimistic);
    /// let text = Value::String(StringValue::new(b"mine"));
    /// tx.set(0, b"k", text, Deadline::Never)?;
    /// store.set("k", "theirs");
    /// assert!(tx.commit().is_ok(), "a blind write");
    /// assert_eq!(store.get("k")?.as_deref(), Some(&b"mine"[..]));
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn set(
        &mut self,
        database: usize,
        key: &[u8],
        value: Value,
        deadline: Deadline,
    ) -> Result<(), Error> {
        self.check_writable()?;
        let deadline_ms = match deadline {
            Deadline::Never => 0,
            Deadline::At(at_ms) => at_ms,
            Deadline::Keep => self
                .get_with_deadline(database, key)?
                .map_or(0, |(_, at)| at),
        };
        let index = self.write_entry(database, key)?;
        self.settle_move(index);
        self.entries.get_mut(index).written = Written::Value {
            value,
            deadline_ms,
            forked: false,
            changed_deadline: true,
        };
        Ok(())
    }

    /// The entry of a key that is written without being read.
    pub(crate) fn write_entry(&self, database: usize, key: &[u8]) -> Result<usize, Error> {
        let KeyLocation { space, hash, entry } = self.locate(database, key)?;
        Ok(entry.unwrap_or_else(|| self.entries.add(space, hash, key, Seen::Nothing)))
    }

    /// The key's value, to be changed in place, its deadline kept; `None` if it is not there. What
    /// is emptied is deleted, and of a hash what is past its deadline removed. O(size) while the value
    /// is small, else O(1).
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`], [`Error::ReadOnly`].
    ///
    /// ```
    /// use darter_storage::{Error, ListValue, Store, Value, ValueMut};
    /// let store = Store::new();
    /// let take = || store.transaction(|tx| match tx.update(0, b"jobs")? {
    ///     Some(ValueMut::List(mut jobs)) => Ok(jobs.pop_front()),
    ///     Some(other) => Err(Error::wrong_type(darter_storage::Type::List, other.kind())),
    ///     None => Ok(None),
    /// });
    /// assert_eq!(take()?, None);
    /// store.update("jobs", || Value::List(ListValue::new()), |value| match value {
    ///     ValueMut::List(mut jobs) => Ok(jobs.push_back(b"mail")),
    ///     _ => Ok::<_, Error>(()),
    /// })?;
    /// assert_eq!(take()?.as_deref(), Some(&b"mail"[..]));
    /// assert_eq!(store.key_counts(0), (0, 0));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn update(&mut self, database: usize, key: &[u8]) -> Result<Option<ValueMut<'_>>, Error> {
        self.check_writable()?;
        let index = self.shown_entry(database, key)?;
        Ok(self.make_own(index).then(|| self.own_value(index)))
    }

    /// Makes an entry's value the transaction's own, to be changed. `false` if there is none.
    fn make_own(&mut self, index: usize) -> bool {
        let fork = match (&self.entries.get(index).written, self.show(index)) {
            (_, None) => return false,
            (Written::Value { .. }, Some(_)) => None,
            (_, Some((value, deadline_ms))) => Some((Value::fork(value), deadline_ms)),
        };
        let now_ms = self.now_ms;
        let entry = self.entries.get_mut(index);
        if let Some((value, deadline_ms)) = fork {
            let moved = matches!(entry.written, Written::Moved { .. });
            let value = if moved {
                Value::copy(value.as_ref())
            } else {
                value
            };
            entry.written = Written::Value {
                value,
                deadline_ms,
                forked: !moved,
                changed_deadline: moved,
            };
        }
        if let Written::Value { value, .. } = &mut entry.written {
            entry.takes_past_fields |= value.remove_past(now_ms);
        }
        true
    }

    /// The key's value, to be changed in place; `make()` if it is not there. What is left empty is
    /// deleted. O(size) while the value is small, else O(1).
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`], [`Error::ReadOnly`].
    ///
    /// ```
    /// use darter_storage::{Error, HashValue, Store, Value, ValueMut};
    /// let store = Store::new();
    /// store.transaction(|tx| {
    ///     for (user, field) in [(&b"user:1"[..], &b"name"[..]), (b"user:2", b"name")] {
    ///         if let ValueMut::Hash(mut hash) = tx.upsert(0, user, || Value::Hash(HashValue::new()))? {
    ///             hash.insert(field, b"?");
    ///         }
    ///     }
    ///     Ok::<_, Error>(())
    /// })?;
    /// assert_eq!(store.key_counts(0), (2, 0));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn upsert(
        &mut self,
        database: usize,
        key: &[u8],
        make: impl FnOnce() -> Value,
    ) -> Result<ValueMut<'_>, Error> {
        self.check_writable()?;
        let index = self.shown_entry(database, key)?;
        if !self.make_own(index) {
            self.settle_move(index);
            self.entries.get_mut(index).written = Written::Value {
                value: make(),
                deadline_ms: 0,
                forked: false,
                changed_deadline: true,
            };
        }
        Ok(self.own_value(index))
    }

    /// The value of an entry that has one of its own.
    fn own_value(&mut self, index: usize) -> ValueMut<'_> {
        match &mut self.entries.get_mut(index).written {
            Written::Value { value, .. } => value.to_mut(),
            _ => unreachable!("made its own before"),
        }
    }

    /// Deletes a key. `true` if it was there. O(1) expected.
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`], [`Error::ReadOnly`].
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.set("a", "1");
    /// let deleted = store.transaction(|tx| Ok([tx.delete(0, b"a")?, tx.delete(0, b"a")?]));
    /// assert_eq!(deleted, Ok::<_, darter_storage::Error>([true, false]));
    /// ```
    pub fn delete(&mut self, database: usize, key: &[u8]) -> Result<bool, Error> {
        self.check_writable()?;
        if self.get(database, key)?.is_none() {
            return Ok(false);
        }
        let index = self.write_entry(database, key)?;
        self.entries.get_mut(index).written = Written::Deleted;
        Ok(true)
    }

    /// Sets when a key expires, in milliseconds since 1970 (0: never). `true` if it is there. From
    /// that time on it is absent for every transaction that begins. O(size) while the value is
    /// small, else O(1).
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`], [`Error::ReadOnly`].
    ///
    /// ```
    /// use darter_storage::{Options, Store, TimeSource};
    /// let store = Store::with_options(Options { time: TimeSource::Manual, ..Options::default() });
    /// store.set("k", "v");
    /// assert!(store.transaction(|tx| tx.set_deadline(0, b"k", 3_000))?);
    /// assert!(!store.transaction(|tx| tx.set_deadline(0, b"missing", 3_000))?);
    /// store.set_time(3_000);
    /// assert_eq!(store.get("k")?, None);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn set_deadline(
        &mut self,
        database: usize,
        key: &[u8],
        deadline_ms: u64,
    ) -> Result<bool, Error> {
        self.check_writable()?;
        let index = self.shown_entry(database, key)?;
        if !self.make_own(index) {
            return Ok(false);
        }
        if let Written::Value {
            deadline_ms: own,
            changed_deadline,
            ..
        } = &mut self.entries.get_mut(index).written
        {
            *own = deadline_ms;
            *changed_deadline = true;
        }
        Ok(true)
    }

    pub(crate) fn is_write(&self, index: usize) -> bool {
        let entry = self.entries.get(index);
        match &entry.written {
            Written::No => false,
            Written::Value {
                value,
                forked,
                changed_deadline,
                ..
            } => {
                let was_there = matches!(entry.seen.get(), Seen::Alive(_) | Seen::Nothing);
                if value.is_empty() {
                    was_there
                } else {
                    !forked || *changed_deadline || value.changed()
                }
            }
            Written::Deleted => entry.seen.get() != Seen::Absent,
            Written::Moved { .. } | Written::MovedAway(_) => true,
        }
    }
}
