//! The gate between two exclusive transactions of one who has several.

use crate::store::Store;
use crate::transaction::Transaction;

/// The gate, still closed after an exclusive transaction whose maker will soon have another one:
/// closing it anew needs a barrier that all processors see, and those who wait for it would be woken in
/// vain. Nobody commits while it is kept, its keeper included, but for
/// [`Escalation::with_gate`](crate::Escalation::with_gate); so it is for microseconds. Dropping it
/// opens the gate.
///
/// ```
/// use darter_storage::{Escalation, Mode, Store};
/// let store = Store::new();
/// let mut escalation = Escalation::exclusive(&store);
/// for number in 0..3 {
///     assert!(escalation.poll(std::task::Waker::noop()));
///     let mut tx = escalation.begin(Mode::Optimistic);
///     tx.set_integer(0, b"n", number)?;
///     assert!(tx.commit().is_ok());
///     escalation = match tx.keep_gate() {
///         Some(gate) => Escalation::with_gate(gate),
///         None => break,
///     };
/// }
/// drop(escalation);
/// store.set("n", "anybody's");
/// # Ok::<(), darter_storage::Error>(())
/// ```
pub struct ClosedGate {
    store: Store,
    /// `None` once somebody else has it.
    ticket: Option<u64>,
}

impl ClosedGate {
    pub(crate) fn into_parts(mut self) -> (Store, Option<u64>) {
        (self.store.clone(), self.ticket.take())
    }

    /// Whether somebody waits for it to open. Takes a lock that those who wait for it take too.
    ///
    /// ```
    /// use std::task::Waker;
    /// use darter_storage::{Escalation, Mode, Store};
    /// let store = Store::new();
    /// let mut escalation = Escalation::exclusive(&store);
    /// assert!(escalation.poll(Waker::noop()));
    /// let gate = escalation.begin(Mode::Optimistic).keep_gate().expect("it is exclusive");
    /// assert!(!gate.is_wanted());
    /// assert!(!Escalation::exclusive(&store).poll(Waker::noop()));
    /// assert!(gate.is_wanted());
    /// ```
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.store.inner.gate.is_wanted()
    }

    /// As [`ClosedGate::is_wanted`], by somebody who will write without closing it.
    ///
    /// ```
    /// use std::task::Waker;
    /// use darter_storage::{Escalation, Mode, Store};
    /// let store = Store::new();
    /// let mut escalation = Escalation::exclusive(&store);
    /// assert!(escalation.poll(Waker::noop()));
    /// let gate = escalation.begin(Mode::Optimistic).keep_gate().expect("it is exclusive");
    /// assert!(!Escalation::exclusive(&store).poll(Waker::noop()));
    /// assert!(!gate.is_wanted_by_writers());
    /// assert!(!store.poll_open(Waker::noop()));
    /// assert!(gate.is_wanted_by_writers());
    /// ```
    #[must_use]
    pub fn is_wanted_by_writers(&self) -> bool {
        self.store.inner.gate.is_wanted_by_writers()
    }
}

impl Drop for ClosedGate {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.store.inner.gate.open(ticket);
        }
    }
}

impl Transaction {
    /// Ends the transaction as dropping it does, but leaves the gate closed; `None` if it is not
    /// exclusive.
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// assert!(store.begin(Mode::Optimistic).keep_gate().is_none());
    /// ```
    pub fn keep_gate(mut self) -> Option<ClosedGate> {
        let ticket = self.take_gate_ticket()?;
        if fault!("a gate that is kept is open") {
            self.inner.gate.open(ticket);
        }
        Some(ClosedGate {
            store: Store {
                inner: std::sync::Arc::clone(&self.inner),
            },
            ticket: Some(ticket),
        })
    }
}
