//! A multi-key commit as others see it: complete from the moment it can be met, so that whoever
//! meets it can finish it.
//!
//! `status` = number << 3 | state. Moves: INSTALLING → READY → NUMBERED(n) → COMMITTED(n) |
//! FAILED(n); INSTALLING → FAILED(0); READY → COMMITTED(n) or FAILED(0) when nothing has to be
//! read again. Every move is one compare-and-swap that anybody may make.

use crate::effects::Message;
use crate::record::Record;
use crate::space::Space;
use crate::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64};
use crate::version::{Number, Version};

const STATE_BITS: u32 = 3;

/// Where a commit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Versions are being put on their records' heads; the commit is not decided to be later than
    /// anything yet.
    Installing,
    /// All versions are in; whoever meets it may draw its number.
    Ready,
    /// Its place in the commit order is drawn; what it only read must be looked at as of it.
    Numbered(Number),
    /// Part of history.
    Committed(Number),
    /// Never happened.
    Failed,
}

impl State {
    pub(crate) fn word(self) -> u64 {
        match self {
            State::Installing => 0,
            State::Ready => 1,
            State::Numbered(number) => (number << STATE_BITS) | 2,
            State::Committed(number) => (number << STATE_BITS) | 3,
            State::Failed => 4,
        }
    }

    pub(crate) fn of(word: u64) -> State {
        match word & ((1 << STATE_BITS) - 1) {
            0 => State::Installing,
            1 => State::Ready,
            2 => State::Numbered(word >> STATE_BITS),
            3 => State::Committed(word >> STATE_BITS),
            _ => State::Failed,
        }
    }
}

/// One key that a commit writes.
pub(crate) struct Write {
    pub(crate) record: *const Record,
    /// The newest committed version when the commit was prepared; null = nothing.
    pub(crate) expect: *mut Version,
    pub(crate) new: *mut Version,
}

/// One key that a commit only read, and what it saw there.
pub(crate) struct Read {
    pub(crate) space: *const Space,
    pub(crate) hash: u64,
    pub(crate) key: Box<[u8]>,
    /// The version seen alive; null = the key was absent (never there, deleted or expired).
    pub(crate) seen: *const Version,
}

/// The keys that a commit found in a range of the keyspace.
pub(crate) struct RangeRead {
    pub(crate) space: *const Space,
    pub(crate) from: Box<[u8]>,
    /// The first key behind the range; `None` = to the end of the keyspace.
    pub(crate) until: Option<Box<[u8]>>,
    pub(crate) keys: Vec<Box<[u8]>>,
}

/// See the module's text. Immutable once announced or installed, but for the atomics.
pub(crate) struct Descriptor {
    pub(crate) status: AtomicU64,
    /// Sorted by record: helpers install along increasing keys only, so they never wait in a ring.
    pub(crate) writes: Vec<Write>,
    pub(crate) reads: Vec<Read>,
    pub(crate) ranges: Vec<RangeRead>,
    /// Whether the commit must draw a number of its own: what it only read is compared as of it,
    /// or, for the gate's owner, comes before whoever overwrites it afterwards; and messages are
    /// told in the order of numbers.
    pub(crate) draws: bool,
    /// The frozen time of the transaction: what was expired by it was absent to it.
    pub(crate) now_ms: u64,
    /// The earliest deadline among the live versions that the transaction relied on (`u64::MAX`:
    /// none): it may only commit before.
    pub(crate) relied_until_ms: u64,
    /// Messages to publish with the commit; taken by the stream's consumer.
    pub(crate) messages: AtomicPtr<Vec<Message>>,
    /// The owner's share and, if announced, the stream's: the last to drop its own retires it.
    pub(crate) shares: AtomicU8,
}

// SAFETY: the raw pointers are used under the commit protocol's rules alone: records and versions
// that a live descriptor names are kept by the epoch or by the owner's registration.
unsafe impl Send for Descriptor {}
// SAFETY: as above.
unsafe impl Sync for Descriptor {}
