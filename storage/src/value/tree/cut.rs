//! Cutting a version out of a chain of versions with trees.

use std::mem::take;

use super::dead::{Block, Dead, Garbage};
use super::lending::Loan;
use super::node::NodeRef;
use super::{TreeState, Trim};

/// Nodes whose births one cut reads.
const BUDGET_NODES: usize = 2_000;

/// What came of a cut.
pub(crate) struct Cut {
    /// What nobody reaches any more who is not pinned today.
    pub(crate) garbage: Garbage,
    /// A budget ended: the version stays where it is, and the cut must be made again.
    pub(crate) more: bool,
    /// How many bytes less are kept than before, of those that `dropped_bytes` named.
    pub(crate) freed_bytes: usize,
}

impl TreeState {
    /// Takes what dies with `version` when it is cut from between `above` and `older` (none: it is
    /// the oldest, or the older one holds no tree). Unless there is more to do, `version`'s state
    /// is left with nothing to free.
    ///
    /// # Safety
    /// `above` is committed, the three are neighbours, nobody needs `version` any more, and the
    /// caller alone cuts in this chain.
    pub(crate) unsafe fn cut(
        above: *mut TreeState,
        version: *mut TreeState,
        older: Option<*const TreeState>,
    ) -> Cut {
        // SAFETY: all three live during the cut; of their trim parts, only the two that are
        // borrowed here are touched, by the caller alone.
        let (above_trim, version, version_trim) = unsafe {
            (
                &mut *(*above).trim.get(),
                &*version,
                &mut *(*version).trim.get(),
            )
        };
        // SAFETY: as above.
        let older_id = older.map(|older| unsafe { (*older).id });
        let shared_id = if version_trim.fresh { None } else { older_id };
        // SAFETY: not changed since it is shared.
        let dropped_bytes = unsafe { (*above).dropped_bytes };
        above_trim.take_back(version, shared_id.is_some());
        let mut sorter = Sorter {
            work: take(&mut above_trim.dead),
            kept: Vec::new(),
            garbage: Garbage::default(),
            keep_id: shared_id.unwrap_or(0),
            loan: Loan::open(version.lent.as_ref()),
        };
        if !sorter.run() {
            above_trim.dead = sorter.kept;
            above_trim.dead.append(&mut sorter.work);
            let left = above_trim.dead.len();
            return Cut {
                freed_bytes: above_trim.settle(dropped_bytes, sorter.garbage.len(), left),
                garbage: sorter.garbage,
                more: true,
            };
        }
        let left = sorter.kept.len();
        let mut freed_bytes = above_trim.settle(dropped_bytes, sorter.garbage.len(), left);
        // Usually the kept are few, and the version's own list is long.
        above_trim.dead = take(&mut version_trim.dead);
        above_trim.dead.append(&mut sorter.kept);
        // What is left of the version's is the upper one's to keep from here on.
        above_trim.kept_beyond_bytes += version.kept_bytes(version_trim) as isize;
        version_trim.kept_beyond_bytes = -(version.dropped_bytes as isize);
        if above_trim.dead.is_empty() {
            freed_bytes += above_trim.settle(dropped_bytes, 1, 0);
        }
        match shared_id {
            Some(id) => above_trim.lend.iter().for_each(|loan| loan.lower(id)),
            None => {
                above_trim.fresh = true;
                above_trim.lend = version_trim.lend.take();
            }
        }
        Cut {
            freed_bytes,
            garbage: sorter.garbage,
            more: false,
        }
    }

    fn kept_bytes(&self, trim: &Trim) -> usize {
        self.dropped_bytes
            .saturating_add_signed(trim.kept_beyond_bytes)
    }

    /// What is still kept, in bytes, for whoever reads below this version.
    ///
    /// # Safety
    /// Nobody but the caller cuts in this chain.
    pub(crate) unsafe fn kept_below_bytes(&self) -> usize {
        // SAFETY: the caller's promise.
        self.kept_bytes(unsafe { &*self.trim.get() })
    }
}

impl Trim {
    /// Takes back what `version` had lent, as far as it is no longer needed.
    fn take_back(&mut self, version: &TreeState, is_shared: bool) {
        version.lent.iter().for_each(|loan| loan.mark_used());
        if self.lend.as_ref().is_some_and(Loan::is_unborrowed) {
            // The move was undone before it was committed: an ordinary deletion.
            self.lend = None;
            self.dead.extend(version.root_entries());
        }
        match &self.lend {
            Some(loan) if is_shared => loan.drain(&mut self.dead),
            Some(loan) => {
                let next = Loan::open(version.lent.as_ref());
                loan.close(next, &mut self.dead);
                self.lend = None;
            }
            None => {}
        }
    }

    /// Notes that so many entries of the dead list are garbage and so many are left; how many
    /// bytes that is of what was kept, as if all were of one size.
    fn settle(&mut self, dropped_bytes: usize, garbage: usize, left: usize) -> usize {
        let kept = dropped_bytes.saturating_add_signed(self.kept_beyond_bytes);
        let all = (garbage + left).max(1);
        let freed = if left == 0 {
            kept
        } else {
            kept / all * garbage
        };
        self.kept_beyond_bytes -= freed as isize;
        freed
    }
}

/// Sorts a dead list into what is kept, lent, and free.
struct Sorter {
    work: Vec<Dead>,
    kept: Vec<Dead>,
    garbage: Garbage,
    /// The older version reaches what was born up to here; 0: nothing.
    keep_id: u64,
    loan: Option<std::sync::Arc<Loan>>,
}

impl Sorter {
    /// `false` if the budget ended before the work.
    fn run(&mut self) -> bool {
        if self.keep_id == 0 && self.loan.is_none() {
            self.garbage = Garbage::of(take(&mut self.work));
            return true;
        }
        let mut looked_at = 0;
        while let Some(entry) = self.work.pop() {
            let birth = entry.birth();
            let lent_id = self.loan.as_ref().map_or(0, |loan| loan.bound());
            if birth <= self.keep_id {
                self.kept.push(entry);
                continue;
            }
            let is_lent = birth <= lent_id;
            let is_whole = self.keep_id == 0 && (is_lent || lent_id == 0);
            let mut entry = entry;
            if let Block::Subtree(node) = entry.block()
                && !is_whole
            {
                if looked_at >= BUDGET_NODES {
                    self.work.push(entry);
                    return false;
                }
                // SAFETY: on a dead list, so not freed yet.
                let node = unsafe { NodeRef::new(node) };
                looked_at += 1 + Dead::push_below(node, &mut self.work);
                entry = Dead::node(node);
            }
            if is_lent {
                self.lend(entry);
            } else {
                self.garbage.push(entry);
            }
        }
        true
    }

    fn lend(&mut self, entry: Dead) {
        let Some(loan) = &self.loan else {
            return self.garbage.push(entry);
        };
        if let Err(entry) = loan.send(entry) {
            // Closed a moment ago: sort it again, by whom the lender borrowed from.
            self.loan = Loan::open(self.loan.as_ref());
            self.work.push(entry);
        }
    }
}
