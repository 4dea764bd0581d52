//! An ordered in-memory key-value store with snapshots and strictly serializable transactions.

mod value;

pub use value::*;
