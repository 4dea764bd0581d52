//! An ordered in-memory key-value store with snapshots and strictly serializable transactions.
//!
//! ```
//! use darter_storage::{Error, Store};
//!
//! let store = Store::new();
//! store.set("alice", "10");
//! let before = store.snapshot();
//! store.transaction(|tx| {
//!     let balance = tx.integer(0, b"alice")?.unwrap_or(0);
//!     tx.set_integer(0, b"alice", balance - 4)?;
//!     tx.set_integer(0, b"bob", 4)
//! })?;
//! assert_eq!(store.get("bob")?.as_deref(), Some(&b"4"[..]));
//! assert_eq!(before.get("alice")?.as_deref(), Some(&b"10"[..]));
//! # Ok::<(), Error>(())
//! ```

#[macro_use]
mod fault;

mod abort;
mod accesses;
mod afterwards;
mod again;
mod clock;
mod closed_gate;
mod closures;
mod commit;
mod copy;
mod databases;
mod descriptor;
mod directory;
mod effects;
mod entry;
mod error;
mod escalation;
mod expiry;
mod gate;
mod keyspace;
mod limits;
mod listen;
mod maintenance;
mod messages;
#[cfg(all(test, darter_loom))]
mod models;
mod prepare;
mod protocol;
mod queue;
mod range;
mod reading;
mod record;
mod registry;
mod removals;
mod rename;
mod ring;
mod rounds;
mod shown;
mod simple;
mod snapshot;
mod space;
mod store;
mod strings;
mod sync;
mod thread;
mod transaction;
mod trim;
mod value;
mod version;
mod waiting;
mod writing;

pub use accesses::Access;
pub use closed_gate::ClosedGate;
pub use closures::TryError;
pub use commit::{CommitError, Committed};
pub use effects::{Change, ChangeKind, Effect, Message};
pub use error::{Conflict, Error};
pub use escalation::Escalation;
#[doc(hidden)]
pub use fault::fault_is_on;
pub use limits::SnapshotLimits;
pub use listen::Listener;
pub use range::Scanned;
pub use snapshot::{Snapshot, prefix_end};
pub use store::{Options, Store, TimeSource};
pub use thread::Counts;
pub use transaction::{Deadline, Mode, Transaction};
pub use value::{
    HashMut, HashRef, HashValue, ListMut, ListRef, ListValue, SetEncoding, SetMut, SetRef,
    SetValue, SortedSetMut, SortedSetRef, SortedSetValue, StreamConsumer, StreamEntry, StreamGroup,
    StreamGroupMut, StreamId, StreamMut, StreamPending, StreamRef, StreamValue, StringMut,
    StringRef, StringValue, Type, Value, ValueMut, ValueRef,
};
