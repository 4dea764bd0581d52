//! What is remembered of keys that have left no trace, so that one that came and went can be told
//! from one that was never there.

use crate::sync::atomic::{AtomicU64, Ordering::SeqCst};
use crate::sync::sized;
use crate::version::Number;

const STRIPES: usize = sized(4096, 2);

/// For each stripe of hashes the latest number of a change whose key was removed after it.
pub(crate) struct Removals(Box<[AtomicU64]>);

impl Removals {
    pub(crate) fn new() -> Removals {
        Removals((0..STRIPES).map(|_| AtomicU64::new(0)).collect())
    }

    fn stripe(&self, hash: u64) -> &AtomicU64 {
        &self.0[hash as usize % STRIPES]
    }

    /// A change of a key that is about to be removed. Noted before it can no longer be found.
    pub(crate) fn note(&self, hash: u64, number: Number) {
        self.stripe(hash).fetch_max(number, SeqCst);
    }

    /// Whether a key of this hash, or of one like it, may have been changed at `number` or after
    /// it, and removed since.
    pub(crate) fn may_have_changed_since(&self, hash: u64, number: Number) -> bool {
        self.stripe(hash).load(SeqCst) >= number
    }
}
