//! What can go wrong.

use crate::value::Type;

/// Why an operation on the store failed. Nothing of it has happened.
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
    /// A write in a transaction that only reads.
    #[error("the transaction is read-only")]
    ReadOnly,
    /// A change of the databases themselves in a transaction that does not own the gate.
    #[error("the transaction is not exclusive")]
    NotExclusive,
    /// A thousand flushed databases are still being swept.
    #[error("too many flushed databases are still being swept")]
    TooManyFlushes,
}

impl Error {
    /// The key holds `found` where `wanted` is needed.
    pub fn wrong_type(wanted: Type, found: Type) -> Error {
        Error::WrongType { wanted, found }
    }
}

/// Somebody else changed what the transaction had read: run it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the transaction met a conflict")]
pub struct Conflict;
