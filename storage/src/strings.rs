//! Strings in a transaction, as bytes and as numbers.

use std::borrow::Cow;

use crate::error::Error;
use crate::transaction::{Deadline, Transaction};
use crate::value::{StringRef, StringValue, Type, Value, ValueRef, parse_integer};

/// The longest integer of 64 bits, `-9223372036854775808`.
const INTEGER_BYTES_MAX: usize = 20;

impl Transaction {
    fn string(&self, database: usize, key: &[u8]) -> Result<Option<StringRef<'_>>, Error> {
        match self.get(database, key)? {
            None => Ok(None),
            Some(ValueRef::String(string)) => Ok(Some(string)),
            Some(other) => Err(Error::wrong_type(Type::String, other.kind())),
        }
    }

    /// The bytes of a string; `None` if the key is not there. O(1) where they lie in one piece.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::NoSuchDatabase`].
    ///
    /// ```
    /// use darter_storage::{Error, SetValue, Store, Type, Value};
    /// let store = Store::new();
    /// store.set("a", "1");
    /// store.transaction(|tx| {
    ///     assert_eq!(tx.bytes(0, b"a")?.as_deref(), Some(&b"1"[..]));
    ///     tx.set(0, b"a", Value::Set(SetValue::new()), darter_storage::Deadline::Never)?;
    ///     assert_eq!(tx.bytes(0, b"a")?, None, "a collection without elements is not there");
    ///     Ok::<_, Error>(())
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn bytes(&self, database: usize, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>, Error> {
        Ok(self.string(database, key)?.map(StringRef::to_cow))
    }

    /// A number kept as decimal text, as INCR keeps it; `None` if the key is not there. O(1)
    /// expected.
    ///
    /// # Errors
    /// [`Error::WrongType`]; [`Error::NotAnInteger`] if the text is not what
    /// [`Transaction::set_integer`] writes for a number of 64 bits; [`Error::NoSuchDatabase`].
    ///
    /// ```
    /// use darter_storage::{Error, Mode, Store};
    /// let store = Store::new();
    /// store.set("n", "-7");
    /// store.set("huge", "9223372036854775808");
    /// let tx = store.begin(Mode::Direct);
    /// assert_eq!(tx.integer(0, b"n"), Ok(Some(-7)));
    /// assert_eq!(tx.integer(0, b"missing"), Ok(None));
    /// assert_eq!(tx.integer(0, b"huge"), Err(Error::NotAnInteger));
    /// store.set("padded", "07");
    /// assert_eq!(store.begin(Mode::Direct).integer(0, b"padded"), Err(Error::NotAnInteger));
    /// ```
    pub fn integer(&self, database: usize, key: &[u8]) -> Result<Option<i64>, Error> {
        let Some(string) = self.string(database, key)? else {
            return Ok(None);
        };
        // A large string would be copied, to be refused.
        if string.len() > INTEGER_BYTES_MAX {
            return Err(Error::NotAnInteger);
        }
        parse_integer(&string.to_cow())
            .map(Some)
            .ok_or(Error::NotAnInteger)
    }

    /// Keeps a number as decimal text, without a deadline.
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`], [`Error::ReadOnly`].
    ///
    /// ```
    /// use darter_storage::{Error, Store};
    /// let store = Store::new();
    /// store.transaction(|tx| tx.set_integer(0, b"n", i64::MIN))?;
    /// assert_eq!(store.get("n")?.as_deref(), Some(&b"-9223372036854775808"[..]));
    /// let mut read_only = store.begin(darter_storage::Mode::Snapshot);
    /// assert_eq!(read_only.set_integer(0, b"n", 1), Err(Error::ReadOnly));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn set_integer(&mut self, database: usize, key: &[u8], value: i64) -> Result<(), Error> {
        let value = Value::String(StringValue::new(value.to_string().as_bytes()));
        self.set(database, key, value, Deadline::Never)
    }
}
