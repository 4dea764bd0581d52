//! Snapshots that are held for too long: what they keep in memory is bounded by ending them.
//!
//! Nobody waits for a holder. A snapshot that only reads is marked, refused from then on, and lets
//! go of its number when a grace period has passed: whoever was reading at it was pinned. A
//! transaction that may write has values of its own that rest on what it read, so it is only
//! marked; its next access is refused, and it lets go when it is dropped.

use crate::afterwards::Job;
use crate::registry::Slot;
use crate::store::{Inner, Store};
use crate::sync::Guard;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::Relaxed;
use crate::thread::{count, local};

/// How long snapshots may be held and how much they may keep. [`Store::maintain`] ends the oldest
/// one that is beyond a limit; reading there is then [`Error::SnapshotTooOld`].
///
/// [`Error::SnapshotTooOld`]: crate::Error::SnapshotTooOld
///
/// ```
/// use darter_storage::{Error, Options, SnapshotLimits, Store, TimeSource};
/// let store = Store::with_options(Options { time: TimeSource::Manual, ..Options::default() });
/// store.limit_snapshots(SnapshotLimits { age_ms: 1_000, ..SnapshotLimits::default() });
/// let snapshot = store.snapshot();
/// store.set_time(1_001);
/// store.maintain(0);
/// assert_eq!(snapshot.get("k"), Err(Error::SnapshotTooOld));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotLimits {
    /// The age in milliseconds beyond which a snapshot is ended.
    pub age_ms: u64,
    /// How many may be held at once, transactions that read at a number included.
    pub count: usize,
    /// How many bytes may be kept that only snapshots can see, about.
    pub kept_bytes: u64,
}

impl Default for SnapshotLimits {
    /// No limits.
    fn default() -> SnapshotLimits {
        SnapshotLimits {
            age_ms: u64::MAX,
            count: usize::MAX,
            kept_bytes: u64::MAX,
        }
    }
}

/// The limits in force.
pub(crate) struct Limits {
    age_ms: AtomicU64,
    count: AtomicU64,
    kept_bytes: AtomicU64,
}

impl Limits {
    pub(crate) fn new() -> Limits {
        Limits {
            age_ms: AtomicU64::new(u64::MAX),
            count: AtomicU64::new(u64::MAX),
            kept_bytes: AtomicU64::new(u64::MAX),
        }
    }
}

impl Store {
    /// Sets the limits that [`Store::maintain`] holds snapshots to from now on.
    ///
    /// ```
    /// use darter_storage::{Error, SnapshotLimits, Store};
    /// let store = Store::new();
    /// store.limit_snapshots(SnapshotLimits { count: 1, ..SnapshotLimits::default() });
    /// let (older, newer) = (store.snapshot(), store.snapshot());
    /// store.maintain(0);
    /// assert_eq!(older.get("k"), Err(Error::SnapshotTooOld));
    /// assert_eq!(newer.get("k"), Ok(None));
    /// ```
    pub fn limit_snapshots(&self, limits: SnapshotLimits) {
        let own = &self.inner.limits;
        // Relaxed: each holds by itself, from the next look on.
        own.age_ms.store(limits.age_ms, Relaxed);
        own.count.store(limits.count as u64, Relaxed);
        own.kept_bytes.store(limits.kept_bytes, Relaxed);
    }

    /// How many bytes are kept, about, that were replaced or deleted and that somebody may still
    /// read. O(threads).
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.set("k", "v".repeat(1000));
    /// let snapshot = store.snapshot();
    /// store.set("k", "w");
    /// assert!(store.kept_bytes() > 1000);
    /// drop(snapshot);
    /// assert_eq!(store.kept_bytes(), 0);
    /// ```
    pub fn kept_bytes(&self) -> u64 {
        let counts = self.counts();
        // The threads' counts are not read at one moment.
        let kept = counts.superseded_bytes.wrapping_sub(counts.cut_bytes) as i64;
        u64::try_from(kept).unwrap_or(0)
    }

    /// Ends what is beyond a limit. O(snapshots held).
    pub(crate) fn end_snapshots(&self, guard: &Guard) {
        let inner = &self.inner;
        let (age_ms, count_max, kept_max) = (
            inner.limits.age_ms.load(Relaxed),
            inner.limits.count.load(Relaxed),
            inner.limits.kept_bytes.load(Relaxed),
        );
        if age_ms == u64::MAX && count_max == u64::MAX && kept_max == u64::MAX {
            return;
        }
        let slots = || inner.threads.iter().flat_map(|state| state.slots.iter());
        let mut held: Vec<_> = slots()
            .filter_map(|slot| Some((slot.snapshot()?, slot)))
            .collect();
        held.sort_unstable_by_key(|(number, _)| *number);
        let now_ms = inner.wall_clock.now_ms();
        let mut beyond = (held.len() as u64).saturating_sub(count_max);
        // One at a time: how much less is kept then shows only once it is gone.
        if beyond == 0 && self.kept_bytes() > kept_max && !slots().any(Slot::is_ending) {
            beyond = 1;
        }
        for (number, slot) in held {
            let is_old = now_ms.saturating_sub(slot.since_ms.load(Relaxed)) > age_ms;
            if beyond == 0 && !is_old {
                continue;
            }
            beyond = beyond.saturating_sub(1);
            inner.end_snapshot(slot, number, guard);
        }
    }
}

impl Inner {
    fn end_snapshot(self: &std::sync::Arc<Inner>, slot: &Slot, number: u64, guard: &Guard) {
        // Before: afterwards the slot may be another's. A number is drawn once, so if it is still
        // there, what was read belonged to it.
        let only_reads = slot.only_reads.load(Relaxed);
        if !slot.begin_ending(number) {
            return;
        }
        count(&local(self).state().counters.snapshots_ended, 1);
        if !only_reads {
            return;
        }
        let job = Job::EndSnapshot { slot, number };
        if fault!("ended snapshots are cut at once") {
            self.trim_stack.take_over(slot.finish_ending(number));
            return;
        }
        self.afterwards.after_grace(job, guard);
    }
}
