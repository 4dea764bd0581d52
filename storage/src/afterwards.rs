//! Work that is done once a grace period has passed, by whoever comes next.
//!
//! A deferred call may run on any thread, in the middle of somebody's pin; so it only puts its job
//! on a stack, and the next storage call that writes (or `Store::maintain`) does a bounded piece.

use std::ptr;

use crate::record::Record;
use crate::registry::Slot;
use crate::space::Space;
use crate::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use crate::sync::{Guard, RefEntry};
use crate::value::Garbage;
use crate::version::{Number, Version};

/// See the module's text.
pub(crate) enum Job {
    /// Take a dead record out of the directory once more, then let go of it.
    Remove {
        space: *const Space,
        entry: RefEntry<'static, Record, ()>,
    },
    /// Take an aborted version off its record's head. A grace period later it is freed.
    Restore {
        place: RecordLocation,
        new: *mut Version,
        expect: *mut Version,
    },
    /// Free what a large value left behind, in slices.
    Free(Garbage),
    /// Stop protecting the number of a snapshot that was ended.
    EndSnapshot { slot: *const Slot, number: Number },
    /// Drop a keyspace that nobody can name any more.
    Forget(*mut Space),
}

/// Where a record is found again.
pub(crate) enum RecordLocation {
    /// By its key: the record itself may be gone by then.
    Key {
        space: *const Space,
        hash: u64,
        key: Box<[u8]>,
    },
    /// The table of databases.
    Table,
}

// SAFETY: the pointers are used under the commit protocol's rules alone; a job has one owner.
unsafe impl Send for Job {}

struct Node {
    job: Job,
    next: *mut Node,
}

/// The jobs that are due, and how many are still to come.
pub(crate) struct Afterwards {
    due: AtomicPtr<Node>,
    outstanding: AtomicUsize,
}

impl Afterwards {
    pub(crate) fn new() -> Afterwards {
        Afterwards {
            due: AtomicPtr::new(ptr::null_mut()),
            outstanding: AtomicUsize::new(0),
        }
    }

    /// Makes `job` due when everybody who is pinned today has gone on. `self` must stay until
    /// `outstanding` is 0.
    pub(crate) fn after_grace(&self, job: Job, guard: &Guard) {
        self.outstanding.fetch_add(1, Ordering::SeqCst);
        let own = ptr::from_ref(self);
        // SAFETY: the store's end waits until nothing is outstanding.
        unsafe { guard.defer_unchecked(move || (*own).push(job)) };
        // Large things must not lie in a thread's bag until it is full.
        guard.flush();
    }

    fn push(&self, job: Job) {
        let node = Box::into_raw(Box::new(Node {
            job,
            next: ptr::null_mut(),
        }));
        let mut top = self.due.load(Ordering::Relaxed);
        loop {
            // SAFETY: not yet shared.
            unsafe { (*node).next = top };
            // Release: pairs with the Acquire of `take`'s swap.
            match self
                .due
                .compare_exchange(top, node, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    pub(crate) fn is_due(&self) -> bool {
        !self.due.load(Ordering::Relaxed).is_null()
    }

    /// Takes all jobs that are due.
    pub(crate) fn take(&self) -> Vec<Job> {
        // Acquire: pairs with the Release of `push`.
        let mut node = self.due.swap(ptr::null_mut(), Ordering::Acquire);
        let mut jobs = Vec::new();
        while !node.is_null() {
            // SAFETY: `push` boxed it, and the swap made the list ours alone.
            let own = unsafe { Box::from_raw(node) };
            node = own.next;
            jobs.push(own.job);
        }
        jobs
    }

    /// Says that a job taken is done.
    pub(crate) fn done(&self) {
        self.outstanding.fetch_sub(1, Ordering::SeqCst);
    }

    /// Puts back a job of which a piece is left.
    pub(crate) fn again(&self, job: Job) {
        self.push(job);
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::SeqCst)
    }
}
