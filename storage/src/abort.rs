//! What becomes of versions that did not become part of history.

use crate::afterwards::{Job, RecordLocation};
use crate::keyspace::Lookup;
use crate::prepare::{Prepared, tree_over};
use crate::record::Record;
use crate::store::Inner;
use crate::sync::Guard;
use crate::sync::atomic::Ordering::{Relaxed, Release, SeqCst};
use crate::value::TreeState;
use crate::version::{ABORTED, Version};

impl Inner {
    /// The same private version over another base. One that was announced is left to the stream
    /// as aborted, for its announcement would name what is no longer true.
    pub(crate) fn rebase(
        &self,
        new: *mut Version,
        old_base: *mut Version,
        base: *mut Version,
        announced: bool,
    ) -> *mut Version {
        // SAFETY: private (a lost CAS never showed it).
        let version = unsafe { &mut *new };
        let tree = version.tree();
        // SAFETY: both bases are reached under the caller's pin.
        let bare = |base: *mut Version| unsafe { base.as_ref() }.is_none_or(|b| b.tree().is_null());
        let fits = std::ptr::eq(old_base, base) || tree.is_null() && bare(old_base) && bare(base);
        if !announced && fits {
            return new;
        }
        // SAFETY: the state is the private version's own.
        let roots = unsafe { tree.as_ref() }.is_some_and(TreeState::has_roots);
        let fresh = if roots {
            let deadline_ms = version.key_deadline_ms();
            // SAFETY: as above; the old block is given up below without its state.
            let mut state = unsafe { Box::from_raw(tree) };
            // A value that was made from its base shares nodes with it, and its base never changes.
            if !std::ptr::eq(old_base, base) {
                // SAFETY: reached under the caller's pin; a version's state lives as long as it.
                if let Some(over) = unsafe { base.as_ref().and_then(|b| b.tree().as_ref()) } {
                    state.replace_base(over);
                } else {
                    state.forget_base();
                }
            }
            let large = Version::large(state, deadline_ms);
            if version.took_past_fields() {
                // SAFETY: made just now, and private.
                unsafe { (*large).take_past_fields() };
            }
            large
        } else {
            Version::with_tree(version, tree_over(base))
        };
        if announced {
            if roots {
                version.forget_tree();
            }
            version.stamp.store(ABORTED, Release);
        } else {
            // SAFETY: never shared; a rootless state is dropped, a moved one is forgotten.
            unsafe {
                if !roots && !tree.is_null() {
                    TreeState::abort(Box::from_raw(tree));
                }
                Version::free_block(new);
            }
        }
        fresh
    }

    /// Gives up a version that was never installed; an announced one is freed by the stream.
    pub(crate) fn drop_private(&self, new: *mut Version, announced: bool) {
        if announced {
            // SAFETY: kept until the stream frees it, which it does only after this.
            unsafe { (*new).stamp.store(ABORTED, Release) };
        } else {
            // SAFETY: never shared.
            unsafe { Version::free_aborted(new) };
        }
    }

    /// Takes aborted versions off their heads when no helper can be left who might install over
    /// what lies below, and frees them when nobody can be left who looks at them.
    pub(crate) fn clean_up_aborted(&self, prepared: &[Prepared], guard: &Guard) {
        for write in prepared {
            // SAFETY: a space is named by the transaction's table, a record reached under the guard.
            let place = match unsafe { write.space.as_ref() } {
                None => RecordLocation::Table,
                Some(space) => {
                    space.removals.fetch_add(1, Relaxed);
                    // SAFETY: as above.
                    let record = unsafe { &*write.record };
                    RecordLocation::Key {
                        space,
                        hash: record.hash(),
                        key: record.key().into(),
                    }
                }
            };
            if fault!("aborted restored at once") {
                self.restore(&place, write.new, write.base, guard);
                continue;
            }
            self.afterwards.after_grace(
                Job::Restore {
                    place,
                    new: write.new,
                    expect: write.base,
                },
                guard,
            );
        }
    }

    /// The middle of an aborted version's end; see `clean_up_aborted`.
    pub(crate) fn restore(
        &self,
        place: &RecordLocation,
        new: *mut Version,
        expect: *mut Version,
        guard: &Guard,
    ) {
        let take_off = |record: &Record| {
            record
                .head
                .compare_exchange(new, expect, SeqCst, SeqCst)
                .is_ok()
        };
        match place {
            RecordLocation::Table => {
                take_off(&self.spaces.table);
            }
            RecordLocation::Key { space, hash, key } => {
                // SAFETY: a space with removals outstanding is not forgotten.
                let space = unsafe { &**space };
                let lookup = Lookup { hash: *hash, key };
                if let Some(record) = self.keyspace.find(space, lookup, guard)
                    && take_off(record)
                {
                    self.remove_if_empty(record, guard);
                    // A deleted key is not removed while something lies over its tombstone.
                    if !fault!("tombstone under an aborted one stays") {
                        self.trim_soon(record);
                    }
                }
                space.removals.fetch_sub(1, Relaxed);
            }
        }
        // SAFETY: off its head, or never on it; today's readers are waited for.
        unsafe { guard.defer_unchecked(move || Version::free_aborted(new)) };
    }
}
