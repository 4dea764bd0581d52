//! Guaranteed progress: what a transaction does that has lost.
//!
//! A transaction that fails a few times lines up with others for its keys, and in the last resort
//! takes the gate; on keys where many lost lately it lines up sooner. The policy is here once, for
//! the store's own closures and for programs that suspend transactions in their middle.

use std::sync::Arc;
use std::task::Waker;

use crate::closed_gate::ClosedGate;
use crate::queue::QueuePlace;
use crate::store::{Store, refuse_exclusive};
use crate::sync::sized;
use crate::thread::{count, local};
use crate::transaction::{Mode, Transaction};
use crate::waiting::{block_on, open};

/// Attempts before a transaction lines up, on keys without recent conflicts and with many.
pub(crate) const FREE_ATTEMPTS: u32 = sized(3, 1);
const FREE_ATTEMPTS_HOT: u32 = 1;
/// Attempts at the head of the line before it takes the gate.
const QUEUED_ATTEMPTS: u32 = sized(16, 2);

enum Stage {
    Free,
    Queued(QueuePlace),
    /// Waits for the gate, or has closed it and waits for the calls in flight; alone once none
    /// is left.
    Gate {
        ticket: Option<u64>,
        is_alone: bool,
    },
}

/// One transaction's way to its commit, over all its attempts. Not tied to a thread; dropping it
/// gives up its place.
///
/// ```
/// use darter_storage::{CommitError, Escalation, Mode, Store};
/// # use std::task::Waker;
/// let store = Store::new();
/// let mut escalation = Escalation::new(&store);
/// let mut attempts = 0;
/// loop {
///     attempts += 1;
///     assert!(escalation.poll(Waker::noop()), "or suspend until woken");
///     let mut tx = escalation.begin(Mode::Optimistic);
///     let n = tx.integer(0, b"n")?.unwrap_or(0);
///     tx.set_integer(0, b"n", n + 1)?;
///     if attempts < 3 {
///         store.set("n", "10"); // somebody else
///     }
///     match tx.commit() {
///         Err(CommitError::Conflict(_)) => escalation.failed(&tx),
///         result => break assert!(result.is_ok()),
///     }
/// }
/// assert_eq!((attempts, store.counts().retries), (3, 2));
/// # Ok::<(), darter_storage::Error>(())
/// ```
pub struct Escalation {
    store: Store,
    attempts: u32,
    stage: Stage,
}

impl Escalation {
    /// The way of a transaction that has not been tried yet.
    ///
    /// ```
    /// use darter_storage::{Escalation, Store};
    /// let store = Store::new();
    /// let mut escalation = Escalation::new(&store);
    /// assert!(!escalation.is_exclusive());
    /// assert!(escalation.poll(std::task::Waker::noop()), "the first attempt waits for nobody");
    /// ```
    pub fn new(store: &Store) -> Escalation {
        Escalation {
            store: store.clone(),
            attempts: 0,
            stage: Stage::Free,
        }
    }

    /// The way of a transaction that must own the gate from the start.
    ///
    /// ```
    /// use darter_storage::{CommitError, Escalation, Mode, Store};
    /// let store = Store::new();
    /// let mut escalation = Escalation::exclusive(&store);
    /// assert!(escalation.poll(std::task::Waker::noop()));
    /// let mut owner = escalation.begin(Mode::Optimistic);
    /// assert_eq!(owner.mode(), Mode::Exclusive);
    /// let mut other = store.begin(Mode::Optimistic);
    /// other.set_integer(0, b"n", 1)?;
    /// assert_eq!(other.commit(), Err(CommitError::GateClosed));
    /// owner.flush(0)?;
    /// assert!(owner.commit().is_ok());
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn exclusive(store: &Store) -> Escalation {
        let mut escalation = Escalation::new(store);
        escalation.take_gate();
        escalation
    }

    /// As [`Escalation::exclusive`], where the gate is closed for it already; see [`ClosedGate`].
    ///
    /// ```
    /// use darter_storage::{Escalation, Mode, Store};
    /// let store = Store::new();
    /// let mut escalation = Escalation::exclusive(&store);
    /// assert!(escalation.poll(std::task::Waker::noop()));
    /// let gate = escalation.begin(Mode::Optimistic).keep_gate();
    /// assert!(!store.poll_open(std::task::Waker::noop()));
    /// let mut next = gate.map(Escalation::with_gate).expect("it was exclusive");
    /// assert!(next.poll(std::task::Waker::noop()));
    /// drop(next);
    /// assert!(store.poll_open(std::task::Waker::noop()));
    /// ```
    pub fn with_gate(gate: ClosedGate) -> Escalation {
        let (store, ticket) = gate.into_parts();
        let mut escalation = Escalation::new(&store);
        escalation.stage = Stage::Gate {
            // No call has been in flight since its last owner was alone.
            is_alone: ticket.is_some(),
            ticket,
        };
        escalation
    }

    /// Says that an attempt met a conflict, before `transaction` is restarted or dropped: the
    /// keys that it used are those it may have to line up for.
    ///
    /// ```
    /// use darter_storage::{Escalation, Mode, Store};
    /// let store = Store::new();
    /// let mut escalation = Escalation::new(&store);
    /// let mut tx = escalation.begin(Mode::Optimistic);
    /// assert_eq!(tx.integer(0, b"n")?, None);
    /// tx.set_integer(0, b"n", 1)?;
    /// store.set("n", "10"); // somebody else
    /// assert!(tx.commit().is_err());
    /// escalation.failed(&tx);
    /// assert_eq!(store.counts().retries, 1);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn failed(&mut self, transaction: &Transaction) {
        let inner = &self.store.inner;
        let local = self.store.local();
        let counters = &local.state().counters;
        count(&counters.retries, 1);
        self.attempts += 1;
        if transaction.needs_gate() {
            return self.take_gate();
        }
        let entries = &transaction.entries;
        let hashes = || (0..entries.len()).map(|index| entries.get(index).hash);
        match &self.stage {
            Stage::Free => {
                let is_hot = inner.queues.heat_up(hashes());
                let free = if is_hot {
                    FREE_ATTEMPTS_HOT
                } else {
                    FREE_ATTEMPTS
                };
                if self.attempts >= free {
                    self.attempts = 0;
                    self.stage = Stage::Queued(inner.queues.place(hashes()));
                    count(&counters.escalations_queue, 1);
                }
            }
            Stage::Queued(_) if self.attempts >= QUEUED_ATTEMPTS => {
                count(&counters.escalations_gate, 1);
                self.take_gate();
            }
            Stage::Queued(_) | Stage::Gate { .. } => {}
        }
    }

    /// From now on every attempt owns the gate.
    ///
    /// ```
    /// use darter_storage::{Escalation, Mode, Store};
    /// let store = Store::new();
    /// let mut escalation = Escalation::new(&store);
    /// escalation.take_gate(); // Found out that it must count all keys.
    /// assert!(escalation.poll(std::task::Waker::noop()));
    /// let mut tx = escalation.begin(Mode::Optimistic);
    /// let count = tx.count_keys(0)?;
    /// tx.set_integer(0, b"count", count as i64)?;
    /// assert!(tx.commit().is_ok());
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn take_gate(&mut self) {
        if !matches!(self.stage, Stage::Gate { .. }) {
            self.leave();
            self.stage = Stage::Gate {
                ticket: None,
                is_alone: false,
            };
        }
    }

    /// Whether it has lined up with others for its keys; see [`Escalation::failed`].
    ///
    /// ```
    /// use darter_storage::{Escalation, Store};
    /// assert!(!Escalation::new(&Store::new()).is_queued(), "nobody lines up before the first loss");
    /// ```
    pub fn is_queued(&self) -> bool {
        matches!(self.stage, Stage::Queued(_))
    }

    /// Whether every attempt owns the gate from now on.
    ///
    /// ```
    /// use darter_storage::{Escalation, Mode, Store};
    /// let store = Store::new();
    /// let mut escalation = Escalation::new(&store);
    /// let tx = store.begin(Mode::Optimistic);
    /// tx.random_key(0)?; // A read of all keys, which nothing but the gate can protect.
    /// escalation.failed(&tx);
    /// assert!(escalation.is_exclusive());
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn is_exclusive(&self) -> bool {
        matches!(self.stage, Stage::Gate { .. })
    }

    /// Whether it has closed the gate, perhaps without being alone behind it yet: nobody commits
    /// before it has gone on, or is dropped.
    ///
    /// ```
    /// use darter_storage::{Escalation, Store};
    /// let store = Store::new();
    /// let mut escalation = Escalation::exclusive(&store);
    /// assert!(!escalation.has_gate());
    /// assert!(escalation.poll(std::task::Waker::noop()) && escalation.has_gate());
    /// ```
    pub fn has_gate(&self) -> bool {
        matches!(
            self.stage,
            Stage::Gate {
                ticket: Some(_),
                ..
            }
        )
    }

    /// Whether the next attempt may begin. If not, `waker` is woken when it is worth asking again.
    ///
    /// ```
    /// use std::task::Waker;
    /// use darter_storage::{Escalation, Mode, Store};
    /// let store = Store::new();
    /// let mut first = Escalation::exclusive(&store);
    /// let mut second = Escalation::exclusive(&store);
    /// assert!(first.poll(Waker::noop()));
    /// assert!(!second.poll(Waker::noop()), "the gate has one owner");
    /// drop(first.begin(Mode::Optimistic));
    /// assert!(second.poll(Waker::noop()));
    /// ```
    pub fn poll(&mut self, waker: &Waker) -> bool {
        let inner = &self.store.inner;
        match &mut self.stage {
            Stage::Free => true,
            Stage::Queued(place) => inner.queues.poll(place, waker),
            Stage::Gate { ticket, is_alone } => {
                *is_alone = *is_alone || inner.poll_closed(ticket, waker);
                *is_alone
            }
        }
    }

    /// Begins the next attempt, once [`Escalation::poll`] has said `true`: in `mode` (not
    /// [`Mode::Exclusive`]), or exclusive if it has come to that. The gate opens again when the
    /// transaction is dropped.
    ///
    /// # Panics
    /// If `mode` is [`Mode::Exclusive`]. If it is to be exclusive, and [`Escalation::poll`] has not
    /// said `true` since the last attempt began: others may be committing. While it owns the gate,
    /// what would wait for it on this thread panics; see [`Store::transaction`].
    ///
    /// ```
    /// use darter_storage::{Escalation, Mode, Store};
    /// let store = Store::new();
    /// let mut escalation = Escalation::exclusive(&store);
    /// assert!(escalation.poll(std::task::Waker::noop()));
    /// let mut tx = escalation.begin(Mode::Optimistic);
    /// tx.set_integer(0, b"n", 1)?;
    /// drop(tx); // gives up
    /// assert_eq!(store.get("n")?, None);
    /// store.set("n", "2");
    /// assert_eq!(store.get("n")?.as_deref(), Some(&b"2"[..]));
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn begin(&mut self, mode: Mode) -> Transaction {
        refuse_exclusive(mode);
        let inner = &self.store.inner;
        let local = self.store.local();
        match &mut self.stage {
            Stage::Gate { ticket, is_alone } => {
                let polled = std::mem::take(is_alone);
                let ticket = ticket.take_if(|_| polled);
                let Some(ticket) = ticket else {
                    panic!("an exclusive transaction was begun before `poll` said that it may")
                };
                inner.read_clock();
                count(&local.state().counters.exclusives, 1);
                Transaction::begin_exclusive(inner, local, ticket)
            }
            _ => self.store.begin(mode),
        }
    }

    /// Waits on the calling thread until the next attempt may begin. Inside a closure that has a
    /// place in the queues, nobody lines up: it might be behind that place. The queues are
    /// advisory, so going ahead costs at most another attempt.
    pub(crate) fn wait(&mut self) {
        let inner = Arc::clone(&self.store.inner);
        block_on(&inner, |waker| {
            self.poll(waker) || self.is_queued() && local(&inner).has_place.get()
        });
    }

    fn leave(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Free) {
            Stage::Free => {}
            Stage::Queued(place) => self.store.inner.queues.leave(place),
            Stage::Gate { ticket, .. } => open(&self.store.inner, ticket),
        }
    }
}

impl Drop for Escalation {
    fn drop(&mut self) {
        self.leave();
    }
}
