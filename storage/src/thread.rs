//! What each thread has of its own in a store: its flag at the gate, its snapshot slots, its
//! announcements, its counters. Others read it; nobody else writes it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Weak};

use crate::gate::Flag;
use crate::registry::{Scan, Slots, Vacant};
use crate::ring::Ring;
use crate::store::Inner;
use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::sync::{Guard, LocalHandle};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One thread's counts. Written by their thread alone, so a load and a store are enough.
        #[derive(Default)]
        pub(crate) struct Counters { $(pub(crate) $name: AtomicU64,)* }

        /// What has happened in a store since it was made, summed over its threads. How many
        /// versions there are now is a difference of two of them.
        ///
        /// ```
        /// let store = darter_storage::Store::new();
        /// (0..10).for_each(|turn| store.set("k", turn.to_string()));
        /// while store.maintain(100) {}
        /// let counts = store.counts();
        /// assert_eq!(counts.versions_made - counts.versions_freed, 1);
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counts { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            pub(crate) fn add_to(&self, counts: &mut Counts) {
                $(counts.$name = counts.$name.wrapping_add(self.$name.load(Ordering::Relaxed));)*
            }
        }
    };
}

counters! {
    /// Writes and transactions that became part of history.
    commits,
    /// Commits that were refused: somebody else had changed what they read.
    conflicts,
    /// Times that a storage call met a closed gate.
    gate_waits,
    /// Times that the gate was closed.
    exclusives,
    /// Snapshots taken.
    snapshots,
    /// Versions made.
    versions_made,
    /// Versions given back.
    versions_freed,
    /// Bytes of values that were replaced or deleted, and may still be read by somebody.
    superseded_bytes,
    /// Of those, bytes that were given back.
    cut_bytes,
    /// Snapshots that were ended because of a limit.
    snapshots_ended,
    /// Keys that were removed because their deadline had passed.
    expired,
    /// Attempts of transactions beyond the first.
    retries,
    /// Transactions that queued for their keys.
    escalations_queue,
    /// Transactions that took the gate in the last resort.
    escalations_gate,
}

/// Adds to a counter of the calling thread's own.
#[inline]
pub(crate) fn count(counter: &AtomicU64, by: u64) {
    // Only its thread writes it: Relaxed load and store instead of a read-modify-write.
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(by),
        Ordering::Relaxed,
    );
}

/// The shared part; a new thread takes over a vacant one.
#[repr(align(128))]
pub(crate) struct ThreadState {
    pub(crate) flag: Flag,
    pub(crate) slots: Slots,
    pub(crate) ring: Ring,
    pub(crate) counters: Counters,
    vacant: Vacant,
    next: AtomicPtr<ThreadState>,
}

/// All threads that ever used the store; only grows.
pub(crate) struct Threads(AtomicPtr<ThreadState>);

impl Threads {
    pub(crate) fn new() -> Threads {
        Threads(AtomicPtr::new(std::ptr::null_mut()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ThreadState> {
        // Acquire: pairs with the Release of `join`.
        let mut at = self.0.load(Ordering::Acquire).cast_const();
        std::iter::from_fn(move || {
            // SAFETY: states live as long as the list.
            let state = unsafe { at.as_ref() }?;
            at = state.next.load(Ordering::Acquire);
            Some(state)
        })
    }

    /// A state for a new thread: a vacant one, else a fresh one.
    fn join(&self) -> *const ThreadState {
        if let Some(state) = self.iter().find(|state| {
            // Acquire: pairs with the Release in `Local::drop`, which hands the ring over.
            state
                .vacant
                .compare_exchange(true, false, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        }) {
            return state;
        }
        let fresh = Box::into_raw(Box::new(ThreadState {
            flag: Flag::default(),
            slots: Slots::new(),
            ring: Ring::new(),
            counters: Counters::default(),
            vacant: Vacant::new(false),
            next: AtomicPtr::new(std::ptr::null_mut()),
        }));
        let mut first = self.0.load(Ordering::Relaxed);
        loop {
            // SAFETY: not yet shared.
            unsafe { (*fresh).next.store(first, Ordering::Relaxed) };
            match self
                .0
                .compare_exchange(first, fresh, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return fresh,
                Err(now) => first = now,
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let mut state = *self.0.get_mut();
        while !state.is_null() {
            // SAFETY: boxed by `join`; `Local`s hold the store, so none is left.
            let mut own = unsafe { Box::from_raw(state) };
            state = *own.next.get_mut();
        }
    }
}

/// The calling thread's part of one store.
pub(crate) struct Local {
    store: Weak<Inner>,
    state: *const ThreadState,
    handle: LocalHandle,
    /// The last look at what is protected; good until somebody needs a later one.
    pub(crate) scan: RefCell<Scan>,
    /// The highest Lamport number that this thread has read or written.
    pub(crate) lamport: Cell<u64>,
    /// Whether an exclusive transaction of this thread owns the gate: who waited for it here would
    /// wait for ever.
    pub(crate) owns_gate: Cell<bool>,
    /// Whether a closure that runs on this thread has a place in the queues: likewise.
    pub(crate) has_place: Cell<bool>,
    /// How many seeds of random numbers it has given out.
    seeds: Cell<u64>,
}

impl Local {
    fn new(store: &Arc<Inner>) -> Local {
        Local {
            store: Arc::downgrade(store),
            state: store.threads.join(),
            handle: store.collector.register(),
            scan: RefCell::new(Scan::default()),
            lamport: Cell::new(0),
            owns_gate: Cell::new(false),
            has_place: Cell::new(false),
            seeds: Cell::new(0),
        }
    }

    /// Differs from call to call, and from thread to thread.
    pub(crate) fn next_seed(&self) -> u64 {
        let seeds = self.seeds.get() + 1;
        self.seeds.set(seeds);
        seeds ^ (self.state.addr() as u64) << 16
    }

    pub(crate) fn pin(&self) -> Guard {
        self.handle.pin()
    }

    /// The shared part.
    #[inline]
    pub(crate) fn state(&self) -> &ThreadState {
        // SAFETY: the state lives as long as the store, and a `Local` is used only by calls on
        // that store.
        unsafe { &*self.state }
    }

    pub(crate) fn saw_lamport(&self, lamport: u64) {
        if lamport > self.lamport.get() {
            self.lamport.set(lamport);
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Some(store) = self.store.upgrade() {
            self.state().vacant.store(true, Ordering::Release);
            drop(store);
        }
    }
}

crate::sync::thread_local! {
    static LOCALS: RefCell<Vec<(*const Inner, Rc<Local>)>> = const { RefCell::new(Vec::new()) };
}

/// The calling thread's part of `store`, made at its first use. While the thread ends, when its
/// list is gone already (a snapshot in a thread-local of the caller's own may be dropped later), it
/// is made for the one call.
pub(crate) fn local(store: &Arc<Inner>) -> Rc<Local> {
    LOCALS
        .try_with(|locals| known_local(&mut locals.borrow_mut(), store))
        .unwrap_or_else(|_| Rc::new(Local::new(store)))
}

fn known_local(locals: &mut Vec<(*const Inner, Rc<Local>)>, store: &Arc<Inner>) -> Rc<Local> {
    let address = Arc::as_ptr(store);
    // Each entry holds a weak reference, so no other store can come to lie at its address.
    if let Some((_, local)) = locals.iter().find(|(known, _)| *known == address) {
        return Rc::clone(local);
    }
    locals.retain(|(_, local)| local.store.strong_count() > 0);
    let local = Rc::new(Local::new(store));
    locals.push((address, Rc::clone(&local)));
    local
}
