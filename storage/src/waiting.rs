//! Waiting for the gate and for the queues, and what a thread holds meanwhile: some would wait for
//! themselves.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use crate::store::{Inner, Store};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread;
use crate::thread::{Local, local};

/// Says, for as long as a closure runs, that it has a place in the queues, and with it whatever its
/// thread does meanwhile.
pub(crate) struct HoldsPlace {
    local: Rc<Local>,
    before: bool,
}

impl HoldsPlace {
    pub(crate) fn new(local: Rc<Local>) -> HoldsPlace {
        let before = local.has_place.replace(true);
        HoldsPlace { local, before }
    }
}

impl Drop for HoldsPlace {
    fn drop(&mut self) {
        self.local.has_place.set(self.before);
    }
}

pub(crate) fn open(inner: &Inner, ticket: Option<u64>) {
    if let Some(ticket) = ticket {
        inner.gate.open(ticket);
    }
}

impl Inner {
    /// Closes the gate for the caller, who keeps `ticket` from call to call; `true` once nobody
    /// else commits. Else `waker` is woken when it is worth asking again.
    pub(crate) fn poll_closed(&self, ticket: &mut Option<u64>, waker: &Waker) -> bool {
        while ticket.is_none() {
            *ticket = self.gate.try_close();
            if ticket.is_none() && !self.gate.poll_open_to_close(waker) {
                return false;
            }
        }
        let is_busy = self.threads.iter().any(|state| state.flag.is_raised());
        if is_busy && !fault!("gate does not wait for calls") {
            // A storage call in flight ends within microseconds: yield, then look again.
            waker.wake_by_ref();
            return false;
        }
        true
    }

    /// Runs `work` while no commit is in flight; waits on the calling thread, unless that has the
    /// gate already.
    pub(crate) fn with_gate_closed(self: &Arc<Inner>, work: impl FnOnce()) {
        if local(self).owns_gate.get() {
            return work();
        }
        let mut ticket = None;
        block_on(self, |waker| self.poll_closed(&mut ticket, waker));
        work();
        open(self, ticket);
    }
}

impl Store {
    /// Whether the gate is open. If not, `waker` is woken when it is worth asking again. A commit
    /// that ended in [`CommitError::GateClosed`](crate::CommitError::GateClosed) may be tried anew
    /// then.
    ///
    /// ```
    /// # use std::task::Waker;
    /// let store = darter_storage::Store::new();
    /// store.exclusive(|_| {
    ///     assert!(!store.poll_open(Waker::noop()));
    ///     Ok::<_, darter_storage::Error>(())
    /// })?;
    /// assert!(store.poll_open(Waker::noop()));
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn poll_open(&self, waker: &Waker) -> bool {
        self.inner.gate.poll_open(waker)
    }
}

/// Unparks a thread that waits in `block_on`.
struct Unpark(thread::Thread, AtomicBool);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        // Release: pairs with the Acquire of the waiting thread's swap.
        self.1.store(true, Ordering::Release);
        self.0.unpark();
    }
}

/// Waits on the calling thread until `poll` says `true`.
///
/// # Panics
/// Where it would wait while a transaction of this thread owns the gate: it would be for ever.
pub(crate) fn block_on(inner: &Arc<Inner>, mut poll: impl FnMut(&Waker) -> bool) {
    if poll(Waker::noop()) {
        return;
    }
    assert!(
        !local(inner).owns_gate.get(),
        "a write waits for the exclusive transaction that it is made in: write through that one"
    );
    park_until(poll);
}

/// Parks the calling thread until `poll` says `true`.
pub(crate) fn park_until(mut poll: impl FnMut(&Waker) -> bool) {
    let unpark = Arc::new(Unpark(thread::current(), AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&unpark));
    while !poll(&waker) {
        // Woken already: what it waits for ends within microseconds, but may need this core.
        if unpark.1.load(Ordering::Acquire) {
            thread::yield_now();
        }
        while !unpark.1.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

/// Yields until `poll` says `true`.
pub(crate) async fn wait_async(mut poll: impl FnMut(&Waker) -> bool) {
    std::future::poll_fn(|context| match poll(context.waker()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}
