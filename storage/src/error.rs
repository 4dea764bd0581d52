//! What can go wrong.

use crate::value::Type;

/// Why an operation on the store failed. Nothing of it has happened.
///
/// ```
/// use darter_storage::{Error, Store};
/// let store = Store::new();
/// store.set("n", "twelve");
/// let result = store.transaction(|tx| tx.integer(0, b"n"));
/// assert_eq!(result, Err(Error::NotAnInteger));
/// let result = store.transaction(|tx| tx.integer(99, b"n"));
/// assert_eq!(result, Err(Error::NoSuchDatabase(99)));
/// assert_eq!(Error::NoSuchDatabase(99).to_string(), "there is no database 99");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key holds a value of another type.
    #[error("the key holds a {found:?}, not a {wanted:?}")]
    WrongType {
        /// The type that the operation works on.
        wanted: Type,
        /// The type that is there.
        found: Type,
    },
    /// The store has no database of this number.
    #[error("there is no database {0}")]
    NoSuchDatabase(usize),
    /// The key does not hold a decimal integer of 64 bits.
    #[error("the value is not an integer")]
    NotAnInteger,
    /// A string would be longer than memory can be.
    #[error("the string would be too long")]
    StringTooLong,
    /// A write in a transaction that only reads.
    #[error("the transaction is read-only")]
    ReadOnly,
    /// A change of the databases themselves in a transaction that does not own the gate.
    #[error("the transaction is not exclusive")]
    NotExclusive,
    /// The transaction rests, was committed, or has lost: it must be restarted first.
    #[error("the transaction has ended")]
    Ended,
    /// The transaction has let go of the epoch: it must be pinned first.
    #[error("the transaction is unpinned")]
    Unpinned,
    /// The snapshot was ended because of a limit; see [`SnapshotLimits`](crate::SnapshotLimits).
    #[error("the snapshot was held for too long, or kept too much, and was ended")]
    SnapshotTooOld,
    /// A thousand flushed databases are still being swept.
    #[error("too many flushed databases are still being swept")]
    TooManyFlushes,
}

impl Error {
    /// The key holds `found` where `wanted` is needed.
    ///
    /// ```
    /// use darter_storage::{Error, ListValue, Store, Type, Value, ValueMut};
    /// let store = Store::new();
    /// store.set("jobs", "not a list");
    /// let result = store.update("jobs", || Value::List(ListValue::new()), |value| match value {
    ///     ValueMut::List(mut list) => Ok(list.push_back(b"job")),
    ///     other => Err(Error::wrong_type(Type::List, other.kind())),
    /// });
    /// assert_eq!(result, Err(Error::WrongType { wanted: Type::List, found: Type::String }));
    /// ```
    pub fn wrong_type(wanted: Type, found: Type) -> Error {
        Error::WrongType { wanted, found }
    }
}

/// Somebody else changed what the transaction had read: run it again.
///
/// ```
/// use darter_storage::{CommitError, Conflict, Mode, Store};
/// let store = Store::new();
/// let mut tx = store.begin(Mode::Optimistic);
/// assert_eq!(tx.get(0, b"lock")?.map(|value| value.kind()), None);
/// tx.set_integer(0, b"lock", 1)?;
/// store.set("lock", "taken"); // Even an absence that was read must still hold.
/// assert_eq!(tx.commit(), Err(CommitError::Conflict(Conflict)));
/// # Ok::<(), darter_storage::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the transaction met a conflict")]
pub struct Conflict;
