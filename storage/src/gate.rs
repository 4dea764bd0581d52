//! The gate: while its owner runs, nobody else commits.
//!
//! Every storage call that writes (a single write, or one whole commit) enters by raising its
//! thread's flag and looking at the gate; the taker closes the gate, makes every thread's flag
//! visible with one expensive barrier, and waits for the calls in flight. Readers never look here.
//!
//! Ordering: flag := 1 (Relaxed), compiler fence, load gate | gate := id (SeqCst), membarrier,
//! load flags (Acquire). If the writer's store is first, the taker sees the flag; if the barrier
//! is first, the writer sees the gate. Where the kernel has no membarrier the writer's compiler
//! fence is a full fence instead.

use std::task::Waker;

use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering, compiler_fence, fence};
use crate::sync::{Mutex, MutexGuard};

/// One thread's flag: raised while it is inside a storage call that writes.
#[repr(align(128))]
#[derive(Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    pub(crate) fn is_raised(&self) -> bool {
        // Acquire: pairs with the Release in `Inside::drop`: what the call wrote is seen.
        self.0.load(Ordering::Acquire)
    }
}

/// A storage call inside the gate. However it ends, by a panic too, it leaves: or else the gate
/// could never be closed again.
pub(crate) struct Inside<'g>(&'g Flag);

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the Acquire of `Flag::is_raised`.
        self.0.0.store(false, Ordering::Release);
    }
}

#[derive(Default)]
struct Waiting {
    writers: Vec<Waker>,
    /// Those who will close it.
    takers: Vec<Waker>,
}

/// See the module's text.
pub(crate) struct Gate {
    /// 0 = open, else the owner's ticket.
    owner: AtomicU64,
    tickets: AtomicU64,
    /// Who waits for it to open. A lock, but one that only waiters and the opener touch.
    waiting: Mutex<Waiting>,
    cheap_enter: bool,
}

impl Gate {
    pub(crate) fn new() -> Gate {
        Gate {
            owner: AtomicU64::new(0),
            tickets: AtomicU64::new(1),
            waiting: Mutex::default(),
            cheap_enter: register_membarrier(),
        }
    }

    /// Enters with the thread's flag, until what is returned is dropped; `None` if the gate is
    /// closed.
    #[inline]
    pub(crate) fn enter<'g>(&self, flag: &'g Flag) -> Option<Inside<'g>> {
        debug_assert!(!flag.is_raised(), "a storage call inside a storage call");
        flag.0.store(true, Ordering::Relaxed);
        if self.cheap_enter {
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
        // Acquire: what the last owner committed is seen behind the gate.
        if self.owner.load(Ordering::Acquire) == 0 {
            return Some(Inside(flag));
        }
        // Dropped at once: this thread never was inside.
        drop(Inside(flag));
        None
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.owner.load(Ordering::SeqCst) != 0
    }

    /// Closes the gate; `None` if somebody else has it. The taker then waits until no thread's
    /// flag is raised.
    pub(crate) fn try_close(&self) -> Option<u64> {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        self.owner
            .compare_exchange(0, ticket, Ordering::SeqCst, Ordering::SeqCst)
            .ok()?;
        if self.cheap_enter {
            membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED);
        } else {
            fence(Ordering::SeqCst);
        }
        Some(ticket)
    }

    /// Opens the gate and wakes who waited.
    pub(crate) fn open(&self, ticket: u64) {
        debug_assert_eq!(self.owner.load(Ordering::Relaxed), ticket);
        // SeqCst: a waiter that has just enlisted sees it open, or is seen in the list below.
        self.owner.store(0, Ordering::SeqCst);
        let woken = std::mem::take(&mut *self.lock());
        for waker in woken.writers.into_iter().chain(woken.takers) {
            waker.wake();
        }
    }

    /// Enlists `waker` unless the gate is open; `true` if it is open.
    pub(crate) fn poll_open(&self, waker: &Waker) -> bool {
        self.poll(waker, |waiting| &mut waiting.writers)
    }

    /// As `poll_open`, for one who will close it.
    pub(crate) fn poll_open_to_close(&self, waker: &Waker) -> bool {
        self.poll(waker, |waiting| &mut waiting.takers)
    }

    fn poll(&self, waker: &Waker, list: fn(&mut Waiting) -> &mut Vec<Waker>) -> bool {
        if !self.is_closed() {
            return true;
        }
        let is_known = list(&mut self.lock())
            .iter()
            .any(|known| known.will_wake(waker));
        if !is_known {
            // Not under the lock: its clone runs code that is not the store's.
            let waker = waker.clone();
            list(&mut self.lock()).push(waker);
        }
        !fault!("gate's wake-up lost") && !self.is_closed()
    }

    /// Whether somebody waits for it to open.
    pub(crate) fn is_wanted(&self) -> bool {
        let waiting = self.lock();
        !waiting.writers.is_empty() || !waiting.takers.is_empty()
    }

    /// Whether somebody waits who will not close it.
    pub(crate) fn is_wanted_by_writers(&self) -> bool {
        !self.lock().writers.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while the list is locked.
        self.waiting
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: the call has no pointer arguments.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Not under loom, which knows of no such barrier: there both sides have a full fence.
fn register_membarrier() -> bool {
    cfg!(not(darter_loom))
        && membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
        && membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)
}
