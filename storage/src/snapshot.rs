//! A snapshot for embedding programs: the store as of one commit number, for as long as it lives.

use std::ptr;
use std::sync::Arc;

use crate::entry::Seen;
use crate::error::Error;
use crate::keyspace::Lookup;
use crate::registry::Slot;
use crate::space::{Space, table_name};
use crate::store::{Inner, Store};
use crate::thread::{count, local};
use crate::transaction::{Mode, Transaction};
use crate::value::ValueRef;
use crate::version::{Number, Reason};

/// The whole store as it was at one moment: all of every commit before, nothing of any after. It
/// costs O(1) to take and to hold, blocks nobody, and may be read from any thread. What it sees is
/// kept in memory until it is dropped.
///
/// ```
/// let store = darter_storage::Store::new();
/// store.set("a", "1");
/// let before = store.snapshot();
/// store.set("a", "2");
/// assert_eq!(before.get("a")?.as_deref(), Some(&b"1"[..]));
/// # Ok::<(), darter_storage::Error>(())
/// ```
pub struct Snapshot {
    inner: Arc<Inner>,
    slot: *const Slot,
    number: Number,
    now_ms: u64,
}

// SAFETY: slots live as long as the store, which `inner` keeps, and are used through atomics.
unsafe impl Send for Snapshot {}
// SAFETY: as above.
unsafe impl Sync for Snapshot {}

impl Store {
    /// The store as of now; see [`Snapshot`]. O(1).
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.set("stock", "3");
    /// let report = store.snapshot();
    /// let reader = std::thread::spawn(move || report.get("stock"));
    /// store.remove("stock");
    /// assert_eq!(reader.join().unwrap()?.as_deref(), Some(&b"3"[..]));
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn snapshot(&self) -> Snapshot {
        self.inner.read_clock();
        let local = self.local();
        let (slot, number, now_ms) = self.inner.register_snapshot(&local, true);
        count(&local.state().counters.snapshots, 1);
        Snapshot {
            inner: Arc::clone(&self.inner),
            slot,
            number,
            now_ms,
        }
    }
}

impl Snapshot {
    /// The snapshot's place in the commit order: everything with a number below this one is in the
    /// snapshot, nothing else is.
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// let (one, other) = (store.snapshot(), store.snapshot());
    /// assert!(one.number() < other.number());
    /// ```
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Calls `read` with a transaction that reads here; see its methods for all that can be read.
    /// The epoch is pinned for this call alone.
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.set("user:1", "a");
    /// store.set("user:2", "b");
    /// let keys = store.snapshot().read(|tx| tx.keys(0, b"user:", Some(b"user;"), 10))?;
    /// assert_eq!(keys.len(), 2);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn read<T>(&self, read: impl FnOnce(&Transaction) -> T) -> T {
        let transaction = Transaction::at(
            &self.inner,
            local(&self.inner),
            self.number,
            self.now_ms,
            self.slot,
        );
        debug_assert_eq!(transaction.mode(), Mode::Snapshot);
        read(&transaction)
    }

    /// The bytes of a string in database 0; `None` if the key is not there. O(length).
    ///
    /// # Errors
    /// [`Error::WrongType`].
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// let before = store.snapshot();
    /// store.set("k", "v");
    /// assert_eq!(before.get("k")?, None, "an absence stays as well");
    /// assert!(store.snapshot().get("k")?.is_some());
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, Error> {
        self.read(|tx| Ok(tx.bytes(0, key.as_ref())?.map(|bytes| bytes.into_owned())))
    }

    /// Calls `view` with what a key of database 0 holds (`None`: nothing), without copying it. O(1)
    /// expected, and what `view` does.
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`] if the store has none.
    ///
    /// ```
    /// use darter_storage::{Error, ListValue, Store, Value, ValueMut, ValueRef};
    /// let store = Store::new();
    /// let push = |value: ValueMut<'_>| match value {
    ///     ValueMut::List(mut list) => Ok(list.push_back(b"x")),
    ///     other => Err(Error::wrong_type(darter_storage::Type::List, other.kind())),
    /// };
    /// store.update("list", || Value::List(ListValue::new()), push)?;
    /// let before = store.snapshot();
    /// store.update("list", || Value::List(ListValue::new()), push)?;
    /// let length = |value: Option<ValueRef<'_>>| match value {
    ///     Some(ValueRef::List(list)) => list.len(),
    ///     _ => 0,
    /// };
    /// assert_eq!((before.view("list", length)?, store.view("list", length)?), (1, 2));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn view<T>(
        &self,
        key: impl AsRef<[u8]>,
        view: impl FnOnce(Option<ValueRef<'_>>) -> T,
    ) -> Result<T, Error> {
        self.read(|tx| Ok(view(tx.get(0, key.as_ref())?)))
    }

    /// Calls `visit` for each key of database 0 that begins with `prefix`, in key order, with
    /// what it holds, until it returns `false`. Reads only keys in that range; pins the epoch for
    /// a bounded number of them at a time.
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`] if the store has none.
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.set("a:1", "x");
    /// store.set("b:1", "y");
    /// let mut seen = Vec::new();
    /// store.snapshot().prefix("a:", |key, _| {
    ///     seen.push(key.to_vec());
    ///     true
    /// })?;
    /// assert_eq!(seen, [b"a:1"]);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn prefix(
        &self,
        prefix: impl AsRef<[u8]>,
        visit: impl FnMut(&[u8], ValueRef<'_>) -> bool,
    ) -> Result<(), Error> {
        let prefix = prefix.as_ref();
        self.range(prefix, prefix_end(prefix).as_deref(), visit)
    }

    /// As [`Snapshot::prefix`], for the keys from `from` on up to but without `until` (`None`: to
    /// the end).
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`] if the store has none.
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// (0..10).for_each(|n| store.set(format!("day:{n}"), n.to_string()));
    /// let mut days = Vec::new();
    /// store.snapshot().range(b"day:3", Some(b"day:7"), |key, _| {
    ///     days.push(String::from_utf8_lossy(key).into_owned());
    ///     days.len() < 2 // enough
    /// })?;
    /// assert_eq!(days, ["day:3", "day:4"]);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn range(
        &self,
        from: &[u8],
        until: Option<&[u8]>,
        mut visit: impl FnMut(&[u8], ValueRef<'_>) -> bool,
    ) -> Result<(), Error> {
        const KEYS_PER_PIN: usize = 256;
        let mut from = from.to_vec();
        loop {
            let (keys, goes_on) = self.read(|tx| {
                let keys = tx.keys(0, &from, until, KEYS_PER_PIN)?;
                let mut goes_on = true;
                for key in &keys {
                    if let Some(value) = tx.get(0, key)? {
                        goes_on = goes_on && visit(key, value);
                    }
                }
                Ok::<_, Error>((keys, goes_on))
            })?;
            let Some(last) = keys
                .last()
                .filter(|_| goes_on && keys.len() == KEYS_PER_PIN)
            else {
                return Ok(());
            };
            from.clear();
            from.extend_from_slice(last);
            from.push(0);
        }
    }
}

impl Transaction {
    /// Whether a key is, where this transaction reads, what it was in `snapshot`: the same version,
    /// or absent all the time. Reads the key, so at the commit it must still be so.
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`].
    ///
    /// # Panics
    /// If the snapshot is of another store.
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// let snapshot = store.snapshot();
    /// assert!(store.begin(Mode::Direct).is_unchanged_since(&snapshot, 0, b"k")?);
    /// store.set("k", "v");
    /// assert!(!store.begin(Mode::Direct).is_unchanged_since(&snapshot, 0, b"k")?);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn is_unchanged_since(
        &self,
        snapshot: &Snapshot,
        database: usize,
        key: &[u8],
    ) -> Result<bool, Error> {
        // The pin of one store protects nothing of another's.
        assert!(
            Arc::ptr_eq(&self.inner, &snapshot.inner),
            "the snapshot is of another store"
        );
        let index = self.read_entry(database, key)?;
        let now = match self.entries.get(index).seen.get() {
            Seen::Alive(version) => version,
            Seen::Nothing | Seen::Absent => ptr::null(),
        };
        // The snapshot protects its version, so its address is nobody else's.
        let then = snapshot.read(|tx| {
            let space = tx.space(database)?;
            let lookup = Lookup {
                hash: self.hash(key),
                key,
            };
            Ok::<_, Error>(tx.look(space, lookup).map_or(ptr::null(), ptr::from_ref))
        })?;
        if fault!("watch blind to ABA") {
            let value =
                |tx: &Transaction| Ok::<_, Error>(tx.bytes(database, key)?.map(|b| b.into_owned()));
            return Ok(value(self)? == snapshot.read(value)?);
        }
        if !ptr::eq(now, then)
            || !fault!("watch blind to what its database was")
                && self.was_elsewhere(snapshot, database)?
        {
            return Ok(false);
        }
        // SAFETY: the snapshot protects it.
        match unsafe { now.as_ref() } {
            None => Ok(!self.came_and_went(snapshot, database, key)?),
            // Fields of it may have expired, which leaves the version as it is.
            Some(version) => {
                let until_ms = version.unchanged_until_ms(snapshot.now_ms);
                Ok(until_ms == 0 || self.now_ms < until_ms)
            }
        }
    }

    /// Whether a database has stood, between `snapshot` and now, for a keyspace that it stands for
    /// at neither end. What was to be seen of a key there is known to nobody any more.
    fn was_elsewhere(&self, snapshot: &Snapshot, database: usize) -> Result<bool, Error> {
        let changes = |tx: &Transaction| {
            let named = table_name(tx.table()?, database);
            named.map_or(Err(Error::NoSuchDatabase(database)), |n| Ok(n.changes))
        };
        Ok(changes(self)?.abs_diff(snapshot.read(changes)?) > 1)
    }

    /// Whether a key that is absent may have been there since `snapshot` was taken. Keys that hash
    /// alike may be taken for each other once they are removed.
    fn came_and_went(
        &self,
        snapshot: &Snapshot,
        database: usize,
        key: &[u8],
    ) -> Result<bool, Error> {
        let space = self.space(database)?;
        let hash = self.hash(key);
        let is_trace_in = |space: &Space| {
            let newest = self.newest(space, Lookup { hash, key });
            newest.is_some_and(|version| {
                let is_left = version.reason() == Reason::Command;
                is_left
                    && version
                        .number()
                        .is_some_and(|number| number >= snapshot.number)
            })
        };
        let before = snapshot.read(|tx| tx.space(database).map(ptr::from_ref))?;
        // SAFETY: the snapshot named it when it was asked, and this transaction's pin is older.
        let is_trace_before = !ptr::eq(before, space) && is_trace_in(unsafe { &*before });
        let is_trace = is_trace_in(space)
            || is_trace_before && !fault!("watch blind to what went with its database");
        // After the look: what is no longer found has been noted before.
        let removals = &self.inner.removals;
        Ok(is_trace || removals.may_have_changed_since(hash, snapshot.number))
    }
}

/// The first key behind all that begin with `prefix`; `None` if there is none.
///
/// ```
/// use darter_storage::prefix_end;
/// assert_eq!(prefix_end(b"user:").as_deref(), Some(&b"user;"[..]));
/// assert_eq!(prefix_end(b"a\xff\xff").as_deref(), Some(&b"b"[..]));
/// assert_eq!(prefix_end(b"\xff"), None);
/// ```
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let local = local(&self.inner);
        let guard = local.pin();
        // SAFETY: see `Send`; the slot is this snapshot's until it is released here.
        let keys = unsafe { &*self.slot }.release();
        self.inner.trim_waiting(keys, &local, &guard);
    }
}
