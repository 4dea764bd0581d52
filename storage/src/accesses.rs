//! What a transaction has read and means to write, for those who want to show it.

use crate::entry::{Entry, Seen};
use crate::keyspace::Lookup;
use crate::transaction::{Mode, Transaction};

/// What a transaction does with one key; see [`Transaction::accesses`].
///
/// ```
/// use darter_storage::{Mode, Store};
/// let mut tx = Store::new().begin(Mode::Optimistic);
/// tx.set_integer(0, b"n", 1)?;
/// let blind = tx.accesses().find(|access| access.key == b"n");
/// assert!(blind.is_some_and(|access| access.is_written && !access.is_read));
/// # Ok::<(), darter_storage::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access<'t> {
    /// The key, whatever database it is in.
    pub key: &'t [u8],
    /// Its value or its absence was read.
    pub is_read: bool,
    /// A commit would change it.
    pub is_written: bool,
}

impl Transaction {
    /// The keys that the transaction has read or means to write so far, in the order of their first
    /// use; ranges of keys are not among them. O(keys).
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// store.set("from", "1");
    /// let mut tx = store.begin(Mode::Optimistic);
    /// let n = tx.integer(0, b"from")?.unwrap_or(0);
    /// tx.set_integer(0, b"to", n)?;
    /// let written: Vec<&[u8]> =
    ///     tx.accesses().filter(|access| access.is_written).map(|access| access.key).collect();
    /// assert_eq!(written, [b"to"]);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn accesses(&self) -> impl Iterator<Item = Access<'_>> {
        (0..self.entries.len()).map(|index| {
            let entry = self.entries.get(index);
            Access {
                key: &entry.key,
                is_read: entry.seen.get() != Seen::Nothing,
                is_written: self.is_write(index),
            }
        })
    }

    /// The first key that was read and that somebody else has changed since: after a conflict, most
    /// likely its cause. `None` if it was something else: a range, the databases, the gate; and in
    /// [`Mode::Snapshot`], where nobody loses.
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// let mut tx = store.begin(Mode::Optimistic);
    /// assert_eq!(tx.integer(0, b"n")?, None);
    /// assert_eq!(tx.integer(0, b"calm")?, None);
    /// tx.set_integer(0, b"other", 1)?;
    /// store.set("n", "10"); // somebody else
    /// assert!(tx.commit().is_err());
    /// assert_eq!(tx.changed_key(), Some(&b"n"[..]));
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn changed_key(&self) -> Option<&[u8]> {
        if self.mode == Mode::Snapshot {
            // Its number may have been ended, and what entries name be gone.
            return None;
        }
        let entries = (0..self.entries.len()).map(|index| self.entries.get(index));
        let mut changed = entries.filter(|entry| self.has_changed(entry));
        changed.next().map(|entry| &*entry.key)
    }

    fn has_changed(&self, entry: &Entry) -> bool {
        // A pin of its own: what is compared are addresses, and the transaction may have let go.
        let guard = self.local.pin();
        // SAFETY: a keyspace that an entry names was named by the transaction's table, and is freed
        // through the epoch after the transaction's number or pin is given up at the earliest. A
        // number that may write is not given up by others.
        let space = unsafe { &*entry.space };
        let lookup = Lookup {
            hash: entry.hash,
            key: &entry.key,
        };
        let newest = self
            .inner
            .keyspace
            .find(space, lookup, &guard)
            .and_then(|record| self.inner.newest(record, &guard))
            .filter(|version| version.is_alive(self.now_ms));
        match entry.seen.get() {
            Seen::Nothing => false,
            Seen::Absent => newest.is_some(),
            Seen::Alive(seen) => newest.is_none_or(|version| !std::ptr::eq(version, seen)),
        }
    }
}
