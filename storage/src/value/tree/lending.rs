//! Values that moved to another key: what the two chains of versions owe each other.
//!
//! After a move the new key's versions (the borrower's) share nodes with the old key's (the
//! lender's). What a cut in the borrower's chain would free, but the lender's older versions may
//! still reach, goes to an inbox instead; the lender's cuts take it from there. Each side's cuts
//! are made by one thread at a time, but the two sides run at the same time.

use std::ptr;
use std::sync::{Arc, OnceLock};

use super::dead::Dead;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering, fence};

struct Letter {
    entry: Dead,
    next: *mut Letter,
}

/// The letter that says that none is taken any more.
static CLOSED: u8 = 0;

fn closed() -> *mut Letter {
    ptr::from_ref(&CLOSED).cast_mut().cast()
}

/// What lies between a lender and a borrower.
pub(crate) struct Loan {
    /// Nodes born up to here may be reached by the lender. It only falls. Reading it too high
    /// only delays: the lender frees at its next cut what it need not keep.
    bound: AtomicU64,
    /// A stack; `closed()` once the lender reaches nothing of the borrower's any more.
    inbox: AtomicPtr<Letter>,
    /// Whether a version that borrows has been cut: if not, and the lender alone holds the loan,
    /// what was moved never became a version.
    used: AtomicBool,
    /// Whom the lender borrowed from, set before closing.
    next: OnceLock<Option<Arc<Loan>>>,
}

// SAFETY: letters are handed over whole by compare-and-swap and swap; a letter taken out has one
// owner.
unsafe impl Send for Loan {}
// SAFETY: as above.
unsafe impl Sync for Loan {}

impl Loan {
    pub(super) fn new(bound: u64) -> Arc<Loan> {
        Arc::new(Loan {
            bound: AtomicU64::new(bound),
            inbox: AtomicPtr::new(ptr::null_mut()),
            used: AtomicBool::new(false),
            next: OnceLock::new(),
        })
    }

    /// A version that borrows is being cut.
    pub(super) fn mark_used(&self) {
        self.used.store(true, Ordering::SeqCst);
    }

    /// Whether nobody has borrowed, nor ever will. To be asked by the lender.
    pub(super) fn is_unborrowed(loan: &Arc<Loan>) -> bool {
        if Arc::strong_count(loan) > 1 {
            return false;
        }
        // Pairs with the Release of the borrower's drop of its share, before which it set `used`.
        fence(Ordering::Acquire);
        !loan.used.load(Ordering::SeqCst)
    }

    pub(super) fn bound(&self) -> u64 {
        self.bound.load(Ordering::SeqCst)
    }

    /// The lender keeps only what was born up to `bound`.
    pub(super) fn lower(&self, bound: u64) {
        self.bound.store(bound, Ordering::SeqCst);
    }

    /// The first of a loan and those behind it that is open.
    pub(super) fn open(loan: Option<&Arc<Loan>>) -> Option<Arc<Loan>> {
        let mut at = loan;
        while let Some(loan) = at {
            if loan.inbox.load(Ordering::SeqCst) != closed() {
                return Some(Arc::clone(loan));
            }
            at = loan.next.get().and_then(Option::as_ref);
        }
        None
    }

    /// Gives an entry to the lender; gives it back if the loan is closed.
    pub(super) fn send(&self, entry: Dead) -> Result<(), Dead> {
        let letter = Box::into_raw(Box::new(Letter {
            entry,
            next: ptr::null_mut(),
        }));
        let mut top = self.inbox.load(Ordering::SeqCst);
        loop {
            if top == closed() {
                // SAFETY: boxed above and never shared.
                return Err(unsafe { Box::from_raw(letter) }.entry);
            }
            // SAFETY: not yet shared.
            unsafe { (*letter).next = top };
            match self
                .inbox
                .compare_exchange(top, letter, Ordering::SeqCst, Ordering::SeqCst)
            {
                Ok(_) => return Ok(()),
                Err(now) => top = now,
            }
        }
    }

    fn take(&self, replacement: *mut Letter, into: &mut Vec<Dead>) {
        let mut letter = self.inbox.swap(replacement, Ordering::SeqCst);
        while !letter.is_null() && letter != closed() {
            // SAFETY: boxed by `send`; the swap made the stack ours alone.
            let own = unsafe { Box::from_raw(letter) };
            into.push(own.entry);
            letter = own.next;
        }
    }

    /// Takes what has come in. Only the lender calls this, before it closes.
    pub(super) fn drain(&self, into: &mut Vec<Dead>) {
        self.take(ptr::null_mut(), into);
    }

    /// The lender reaches nothing of it any more; `next` is whom it borrowed from itself.
    pub(super) fn close(&self, next: Option<Arc<Loan>>, into: &mut Vec<Dead>) {
        // The first to close is the only one.
        let _ = self.next.set(next);
        self.take(closed(), into);
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // Letters that nobody took name nodes; a chain that is destroyed whole takes its own.
        let mut left = Vec::new();
        self.take(closed(), &mut left);
        debug_assert!(left.is_empty(), "a lender went away without its letters");
    }
}
