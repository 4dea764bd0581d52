//! An epoch that frees at the earliest moment that the real one could: as soon as everybody who
//! was pinned when something was deferred has gone on. Whoever then still reaches it is wrong.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use super::model::point;

type Call = Box<dyn FnOnce()>;

#[derive(Default)]
struct Pins {
    last: u64,
    held: BTreeSet<u64>,
    /// What waits for the end of which pins.
    deferred: Vec<(BTreeSet<u64>, Call)>,
}

#[derive(Default)]
struct Shared(RefCell<Pins>);

// SAFETY: the model's threads are continuations of one real thread, and no point where another
// one may go on lies inside a borrow.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

/// See the module's text.
#[derive(Clone, Default)]
pub(crate) struct Collector(Arc<Shared>);

impl Collector {
    pub(crate) fn new() -> Collector {
        Collector::default()
    }

    pub(crate) fn register(&self) -> LocalHandle {
        LocalHandle {
            shared: Arc::clone(&self.0),
            own: Rc::default(),
        }
    }
}

/// How many guards a thread has, and which pin they share.
type Own = Rc<Cell<(usize, u64)>>;

/// A thread's part.
pub(crate) struct LocalHandle {
    shared: Arc<Shared>,
    own: Own,
}

impl LocalHandle {
    pub(crate) fn pin(&self) -> Guard {
        point();
        let (guards, mut pin) = self.own.get();
        if guards == 0 {
            pin = self.shared.begin();
        }
        self.own.set((guards + 1, pin));
        Guard {
            shared: Arc::clone(&self.shared),
            own: Rc::clone(&self.own),
        }
    }
}

impl Shared {
    fn begin(&self) -> u64 {
        let mut pins = self.0.borrow_mut();
        pins.last += 1;
        let pin = pins.last;
        pins.held.insert(pin);
        pin
    }

    /// Ends a pin, and does what waited for it alone.
    fn end(&self, pin: u64) {
        let due: Vec<Call> = {
            let mut pins = self.0.borrow_mut();
            pins.held.remove(&pin);
            for (waits, _) in &mut pins.deferred {
                waits.remove(&pin);
            }
            let all = std::mem::take(&mut pins.deferred);
            let (due, later): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|(waits, _)| waits.is_empty());
            pins.deferred = later;
            due.into_iter().map(|(_, call)| call).collect()
        };
        for call in due {
            call();
        }
    }
}

/// Keeps everything that was reachable when it was made.
pub(crate) struct Guard {
    shared: Arc<Shared>,
    own: Own,
}

impl Guard {
    /// # Safety
    /// As for the real one: nobody who pins later may reach what `call` frees.
    pub(crate) unsafe fn defer_unchecked<F: FnOnce() -> R, R>(&self, call: F) {
        let call: Box<dyn FnOnce() + '_> = Box::new(move || drop(call()));
        // SAFETY: the caller's promise: what it borrows lives until it is called.
        let call: Call = unsafe { std::mem::transmute(call) };
        let mut pins = self.shared.0.borrow_mut();
        let waits = pins.held.clone();
        pins.deferred.push((waits, call));
    }

    /// Nothing to do: everything deferred is everybody's at once.
    pub(crate) fn flush(&self) {
        point();
    }

    /// Lets go of what is old, if this is the thread's only guard.
    pub(crate) fn repin(&mut self) {
        point();
        let (guards, pin) = self.own.get();
        if guards == 1 {
            self.shared.end(pin);
            self.own.set((1, self.shared.begin()));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        point();
        let (guards, pin) = self.own.get();
        self.own.set((guards - 1, pin));
        if guards == 1 {
            self.shared.end(pin);
        }
    }
}
