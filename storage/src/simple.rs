//! One-call operations on single keys of database 0, for embedding programs.

use std::borrow::Cow;

use crate::error::Error;
use crate::store::Store;
use crate::transaction::{Deadline, Mode, Transaction};
use crate::value::{StringValue, Value, ValueMut, ValueRef};

impl Store {
    /// The bytes of a string; `None` if the key is not there. O(length).
    ///
    /// # Errors
    /// [`Error::WrongType`].
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.set("a", "1");
    /// assert_eq!(store.get("a")?.as_deref(), Some(&b"1"[..]));
    /// assert_eq!(store.get("b")?, None);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, Error> {
        let mut transaction = self.begin(Mode::Direct);
        transaction.skip_comparison();
        Ok(transaction.bytes(0, key.as_ref())?.map(Cow::into_owned))
    }

    /// Puts a string in a key, whatever is there.
    ///
    /// # Panics
    /// While a transaction of this thread owns the gate; see [`Store::transaction`].
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.set("a", "1");
    /// ```
    pub fn set(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let (key, value) = (key.as_ref(), value.as_ref());
        let done: Result<(), Error> = self.on_one_key(|tx| {
            tx.set(
                0,
                key,
                Value::String(StringValue::new(value)),
                Deadline::Never,
            )
        });
        if let Err(error) = done {
            unreachable!("database 0 is there, and a blind write clashes with nothing: {error}");
        }
    }

    /// Deletes a key. `true` if it was there.
    ///
    /// # Panics
    /// While a transaction of this thread owns the gate; see [`Store::transaction`].
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.set("a", "1");
    /// assert!(store.remove("a"));
    /// assert!(!store.remove("a"));
    /// ```
    pub fn remove(&self, key: impl AsRef<[u8]>) -> bool {
        self.on_one_key(|tx| tx.delete(0, key.as_ref()))
            .unwrap_or(false)
    }

    /// Calls `view` with what a key holds now.
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`] if the store has none.
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.set("a", "1");
    /// let kind = store.view("a", |value| value.map(|value| value.kind()))?;
    /// assert_eq!(kind, Some(darter_storage::Type::String));
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn view<T>(
        &self,
        key: impl AsRef<[u8]>,
        view: impl FnOnce(Option<ValueRef<'_>>) -> T,
    ) -> Result<T, Error> {
        let mut transaction = self.begin(Mode::Direct);
        transaction.skip_comparison();
        Ok(view(transaction.get(0, key.as_ref())?))
    }

    /// Changes what a key holds, atomically: `change` gets the value that is there, or what
    /// `make` returns. It may run more than once. A collection that is left empty is deleted.
    ///
    /// # Errors
    /// What `change` returned.
    ///
    /// # Panics
    /// While a transaction of this thread owns the gate; see [`Store::transaction`].
    ///
    /// ```
    /// use darter_storage::{Error, HashValue, Store, Value, ValueMut};
    /// let store = Store::new();
    /// store.update("user:1", || Value::Hash(HashValue::new()), |value| match value {
    ///     ValueMut::Hash(mut hash) => Ok(hash.insert(b"name", b"Ada")),
    ///     other => Err(Error::wrong_type(darter_storage::Type::Hash, other.kind())),
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn update<T, E: From<Error>>(
        &self,
        key: impl AsRef<[u8]>,
        make: impl Fn() -> Value,
        mut change: impl FnMut(ValueMut<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.on_one_key(|tx| change(tx.upsert(0, key.as_ref(), &make)?))
    }

    /// As [`Store::transaction`], for a body that uses one key. That needs no snapshot to be
    /// consistent, and a snapshot moves on the clock that all threads share.
    fn on_one_key<T, E>(
        &self,
        mut body: impl FnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut transaction = self.begin(Mode::Direct);
        let value = body(&mut transaction)?;
        if transaction.commit().is_ok() {
            return Ok(value);
        }
        drop(transaction);
        self.transaction(body)
    }
}
