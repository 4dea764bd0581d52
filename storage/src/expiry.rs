//! Expiry as an explicit change, made by exactly one.

use crate::prepare::{count_change, tree_over};
use crate::record::Record;
use crate::space::Space;
use crate::store::Inner;
use crate::sync::Guard;
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::thread::{Local, count};
use crate::version::{Reason, Version};

impl Inner {
    /// Puts a tombstone over a version whose deadline has passed: an explicit change, made by
    /// exactly one. Inside the gate.
    pub(crate) fn expire_version(
        &self,
        space: &Space,
        record: &Record,
        head: *mut Version,
        base: *mut Version,
        local: &Local,
        guard: &Guard,
    ) {
        // SAFETY: reached under the guard.
        let expired = unsafe { base.as_ref() };
        if let Some(number) = expired.and_then(Version::number) {
            self.removals.note(record.hash(), number);
        }
        let new = Version::tombstone(Reason::Expired, tree_over(base));
        // SAFETY: private until the CAS.
        unsafe {
            (*new).older.store(base, Relaxed);
            if expired.is_some_and(Version::ends_by_fields) {
                (*new).take_past_fields();
            }
        }
        let announced = self.announce_single(record, new, base, local);
        if announced && fault!("expiry told twice") {
            self.announce_single(record, new, base, local);
        }
        if record
            .head
            .compare_exchange(head, new, SeqCst, SeqCst)
            .is_err()
        {
            self.drop_private(new, announced);
            return;
        }
        // SAFETY: installed, and kept by the guard.
        self.stamp(unsafe { &*new });
        count(&local.state().counters.expired, 1);
        count_change(space, base, new, local);
        self.trim(record, local, guard);
    }
}
