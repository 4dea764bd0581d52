//! Changes of the databases themselves: FLUSHDB, FLUSHALL, SWAPDB.
//!
//! The gate's owner makes a table of its own, sees it from then on, and commits it with the rest.

use std::ptr;

use crate::entry::Written;
use crate::error::Error;
use crate::space::{Named, Space, table_names, table_spaces, table_version};
use crate::transaction::{Mode, Transaction};
use crate::version::Version;

impl Transaction {
    /// Empties a database. The transaction must own the gate. Seen by others from the commit on;
    /// what was in it is freed later, in pieces. O(databases).
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`]; [`Error::NotExclusive`]; [`Error::TooManyFlushes`] while a
    /// thousand databases that were flushed are still being freed.
    ///
    /// ```
    /// use darter_storage::{Error, Mode, Store};
    /// let store = Store::new();
    /// store.set("a", "1");
    /// let before = store.snapshot();
    /// assert_eq!(store.begin(Mode::Optimistic).flush(0), Err(Error::NotExclusive));
    /// store.exclusive(|tx| tx.flush(0))?;
    /// assert_eq!(store.get("a")?, None);
    /// assert_eq!(before.get("a")?.as_deref(), Some(&b"1"[..]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn flush(&mut self, database: usize) -> Result<(), Error> {
        if self.mode == Mode::Exclusive && self.is_empty_database(database)? {
            return Ok(());
        }
        self.change_table(|spaces, made| {
            let slot = spaces
                .get_mut(database)
                .ok_or(Error::NoSuchDatabase(database))?;
            *slot = made()?;
            Ok(())
        })
    }

    /// Whether a database is empty, own writes included. Keyspaces are few, and those that fell out
    /// of the table stay for as long as any snapshot names them: an empty one is not replaced.
    fn is_empty_database(&self, database: usize) -> Result<bool, Error> {
        let space = self.space(database)?;
        let has_own = (0..self.entries.len())
            .map(|index| self.entries.get(index))
            .any(|entry| ptr::eq(entry.space, space) && !matches!(entry.written, Written::No));
        // Commits count before they leave the gate, so for its owner the counts are exact.
        Ok(!has_own && space.counts().0 == 0)
    }

    /// Exchanges what two databases hold. The transaction must own the gate. O(databases).
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`], [`Error::NotExclusive`].
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.transaction(|tx| tx.set_integer(1, b"generation", 2))?;
    /// store.set("generation", "1");
    /// store.exclusive(|tx| tx.swap(0, 1))?;
    /// assert_eq!(store.get("generation")?.as_deref(), Some(&b"2"[..]));
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn swap(&mut self, one: usize, other: usize) -> Result<(), Error> {
        self.change_table(|spaces, _| {
            for database in [one, other] {
                if database >= spaces.len() {
                    return Err(Error::NoSuchDatabase(database));
                }
            }
            spaces.swap(one, other);
            Ok(())
        })
    }

    fn change_table(
        &mut self,
        change: impl FnOnce(
            &mut Vec<*const Space>,
            &mut dyn FnMut() -> Result<*const Space, Error>,
        ) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.mode != Mode::Exclusive {
            return Err(Error::NotExclusive);
        }
        let before: Vec<Named> = table_names(self.table()?).collect();
        let mut spaces: Vec<_> = before.iter().map(|named| named.space).collect();
        let (inner, made) = (&self.inner, &mut self.made_spaces);
        change(&mut spaces, &mut || {
            let space = inner.spaces.make().ok_or(Error::TooManyFlushes)?;
            made.push(space);
            Ok(space)
        })?;
        let names = before.iter().zip(spaces).map(|(old, space)| old.by(space));
        if let Some(old) = self.new_table.replace(table_version(names)) {
            // SAFETY: private, and nothing borrows from it: `self` is borrowed mutably.
            unsafe { Version::free_block(old) };
        }
        Ok(())
    }

    /// Whether the keyspace of an entry is still named by the table that is committed with it.
    pub(crate) fn space_stays(&self, index: usize) -> bool {
        let Some(table) = self.new_table else {
            return true;
        };
        let space = self.entries.get(index).space;
        // SAFETY: private to this transaction.
        table_spaces(unsafe { &*table }).any(|known| ptr::eq(known, space))
    }

    /// Gives up a table that did not become part of history.
    pub(crate) fn drop_table(&mut self) {
        if let Some(table) = self.new_table.take() {
            // SAFETY: private: a committed one has been taken out by the commit.
            unsafe { Version::free_block(table) };
        }
        for space in self.made_spaces.drain(..) {
            // SAFETY: made by this transaction; no table names it, so only the sweeper, from here
            // on, may free it.
            unsafe { &*space }.open_to_sweeper();
        }
    }
}
