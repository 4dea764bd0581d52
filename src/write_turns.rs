//! Threads whose clients write to one key in pipelines take turns at it.
//!
//! Of two threads that run such writes at once, one has run in vain. Who has the turn keeps it for
//! all of its clients that are ready, and the others sleep meanwhile: one change of hands for some
//! hundred commands. A turn is advice: nothing is wrong if nobody heeds it, so nobody waits for
//! long, and keys that share a slot do no harm. Only keys that were fought for have turns.

use std::cell::{Cell, RefCell};

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ahash::RandomState;

/// A turn is kept no longer than this if others wait for it.
const KEPT_MAX: Duration = Duration::from_micros(1000);
/// Whoever waits longer goes on without: the thread whose turn it is has lost its processor.
const WAIT_MAX: Duration = Duration::from_micros(1500);
/// So many turns are taken at a key after it was fought for, and nobody waits for one any more.
const TURNS: u32 = 64;
const SLOTS: usize = 256;

/// The turns at all keys.
pub(crate) struct WriteTurns {
    slots: Arc<[Slot]>,
    hasher: RandomState,
}

/// On a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Slot {
    /// How many more turns are to be taken; 0 as long as nobody fights.
    turns_left: AtomicU32,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_taken: bool,
    /// It is taken, by the next of those who wait.
    is_handed_over: bool,
    waiting: usize,
}

/// What became of asking for a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Go on: it is the thread's turn, or there are no turns.
    Now,
    /// It is another thread's.
    Busy,
}

/// A turn that the calling thread has.
struct Kept {
    slots: Arc<[Slot]>,
    at: usize,
    since: Instant,
}

thread_local! {
    /// Whether there is something in `KEPT`.
    static IS_KEPT: Cell<bool> = const { Cell::new(false) };
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

impl Default for WriteTurns {
    fn default() -> WriteTurns {
        WriteTurns {
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_take(&self) -> bool {
        let mut state = self.lock();
        let is_free = !state.is_taken;
        state.is_taken = true;
        is_free
    }

    /// Waits for the turn. `false` if it does not come.
    fn wait(&self) -> bool {
        let mut state = self.lock();
        state.waiting += 1;
        let has_come = |state: &State| state.is_handed_over || !state.is_taken;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, WAIT_MAX, |state| !has_come(state))
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        let comes = has_come(&state);
        if comes {
            state.is_handed_over = false;
            state.is_taken = true;
        }
        comes
    }

    fn release(&self) {
        let mut state = self.lock();
        if state.waiting > 0 {
            state.is_handed_over = true;
            drop(state);
            self.changed.notify_one();
        } else {
            state.is_taken = false;
            // Relaxed: advice.
            let left = self.turns_left.load(Ordering::Relaxed);
            self.turns_left
                .store(left.saturating_sub(1), Ordering::Relaxed);
        }
    }
}

impl WriteTurns {
    fn at(&self, key: &[u8]) -> usize {
        self.hasher.hash_one(key) as usize % SLOTS
    }

    /// The key was fought for.
    pub(crate) fn note_conflict(&self, key: &[u8]) {
        // Relaxed: advice.
        self.slots[self.at(key)]
            .turns_left
            .store(TURNS, Ordering::Relaxed);
    }

    /// Asks for the turn at a key; the thread keeps it until it calls `release`, and waits for it if
    /// it `may_wait`. A turn at another key is given up.
    pub(crate) fn ask(&self, key: &[u8], may_wait: bool) -> Asked {
        let at = self.at(key);
        let slot = &self.slots[at];
        if slot.turns_left.load(Ordering::Relaxed) == 0 {
            return Asked::Now;
        }
        if IS_KEPT.get() {
            let is_this = KEPT.with_borrow(|kept| {
                kept.as_ref().is_some_and(|kept| {
                    kept.at == at
                        && Arc::ptr_eq(&kept.slots, &self.slots)
                        && kept.since.elapsed() < KEPT_MAX
                })
            });
            if is_this {
                return Asked::Now;
            }
            release();
        }
        if slot.try_take() || may_wait && slot.wait() {
            IS_KEPT.set(true);
            KEPT.set(Some(Kept {
                slots: Arc::clone(&self.slots),
                at,
                since: Instant::now(),
            }));
            return Asked::Now;
        }
        if may_wait { Asked::Now } else { Asked::Busy }
    }
}

/// Gives up the turn that the calling thread has, if it has one.
#[inline]
pub(crate) fn release() {
    if IS_KEPT.get() {
        IS_KEPT.set(false);
        if let Some(kept) = KEPT.take() {
            kept.slots[kept.at].release();
        }
    }
}
