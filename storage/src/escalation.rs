//! Guaranteed progress: what a transaction does that has lost.
//!
//! A transaction that fails a few times lines up with others for its keys, and in the last resort
//! takes the gate; on keys where many lost lately it lines up sooner. The policy is here once, for
//! the store's own closures and for programs that suspend transactions in their middle.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use crate::closed_gate::ClosedGate;
use crate::commit::{CommitError, Committed};
use crate::error::Conflict;
use crate::queue::Place;
use crate::store::{Inner, Store, refuse_exclusive};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{sized, thread};
use crate::thread::{Local, count, local};
use crate::transaction::{Mode, Transaction};

/// Attempts before a transaction lines up, on keys without recent conflicts and with many.
const FREE_ATTEMPTS: u32 = sized(3, 1);
const FREE_ATTEMPTS_HOT: u32 = 1;
/// Attempts at the head of the line before it takes the gate.
const QUEUED_ATTEMPTS: u32 = sized(16, 2);

enum Stage {
    Free,
    Queued(Place),
    /// Waits for the gate, or has closed it and waits for the calls in flight; alone once none
    /// is left.
    Gate {
        ticket: Option<u64>,
        is_alone: bool,
    },
}

/// What a closure holds while it runs, and with it whatever its thread does meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Held {
    #[default]
    Nothing,
    /// A place in the queues of its keys.
    Place,
    /// The gate.
    Gate,
}

/// Says so for as long as the closure runs.
struct Holding {
    local: Rc<Local>,
    before: Held,
}

impl Holding {
    fn new(local: Rc<Local>, held: Held) -> Holding {
        let before = local.held.get();
        local.held.set(before.max(held));
        Holding { local, before }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.local.held.set(self.before);
    }
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
    /// said `true` since the last attempt began: others may be committing.
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

    fn held(&self) -> Held {
        match self.stage {
            Stage::Free => Held::Nothing,
            Stage::Queued(_) => Held::Place,
            Stage::Gate { .. } => Held::Gate,
        }
    }

    /// Waits on the calling thread until the next attempt may begin. Inside a closure that has a
    /// place in the queues, nobody lines up: it might be behind that place. The queues are
    /// advisory, so going ahead costs at most another attempt.
    fn wait(&mut self) {
        let inner = Arc::clone(&self.store.inner);
        block_on(&inner, |waker| {
            self.poll(waker)
                || self.held() == Held::Place && local(&inner).held.get() == Held::Place
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

fn open(inner: &Inner, ticket: Option<u64>) {
    if let Some(ticket) = ticket {
        inner.gate.open(ticket);
    }
}

impl Inner {
    /// Closes the gate for the caller, who keeps `ticket` from call to call; `true` once nobody
    /// else commits. Else `waker` is woken when it is worth asking again.
    fn poll_closed(&self, ticket: &mut Option<u64>, waker: &Waker) -> bool {
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
        if local(self).held.get() == Held::Gate {
            return work();
        }
        let mut ticket = None;
        block_on(self, |waker| self.poll_closed(&mut ticket, waker));
        work();
        open(self, ticket);
    }
}

impl Drop for Escalation {
    fn drop(&mut self) {
        self.leave();
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
/// Where it would wait while a closure of this thread owns the gate: it would be for ever.
fn block_on(inner: &Arc<Inner>, mut poll: impl FnMut(&Waker) -> bool) {
    if poll(Waker::noop()) {
        return;
    }
    assert!(
        local(inner).held.get() != Held::Gate,
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
async fn wait_async(mut poll: impl FnMut(&Waker) -> bool) {
    std::future::poll_fn(|context| match poll(context.waker()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// How one attempt of a closure ended.
enum Attempt<T, E> {
    /// For good.
    Ended(Result<T, E>),
    /// With a conflict.
    Lost,
    /// At a closed gate.
    GateClosed,
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

    /// Runs `body` as one transaction, again and again until what it read still holds at its
    /// commit; it always commits in the end. `Err` from the body ends it without a trace. Waits
    /// only in the queue of its keys and for the gate. The body writes to this store through its
    /// transaction alone: another write from inside would be a conflict with itself.
    ///
    /// # Errors
    /// What `body` returned.
    ///
    /// # Panics
    /// If the body writes by another road once its transaction has lost so often that it owns the
    /// gate: that write would wait for its own end. Also where the call is itself made inside such a
    /// body.
    ///
    /// ```
    /// use darter_storage::{Error, Store};
    /// let store = Store::new();
    /// store.set("from", "10");
    /// store.transaction(|tx| {
    ///     let balance = tx.integer(0, b"from")?.unwrap_or(0);
    ///     tx.set_integer(0, b"from", balance - 3)?;
    ///     tx.set_integer(0, b"to", 3)
    /// })?;
    /// assert_eq!(store.get("to")?.as_deref(), Some(&b"3"[..]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn transaction<T, E>(
        &self,
        mut body: impl FnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut escalation = Escalation::new(self);
        loop {
            escalation.wait();
            let attempt = self.attempt(&mut escalation, &mut body, Transaction::commit_patiently);
            if let Attempt::Ended(done) = attempt {
                return done;
            }
        }
    }

    /// As [`Store::transaction`], for use inside a runtime: where it must wait, it yields.
    ///
    /// # Errors
    /// What `body` returned.
    ///
    /// ```
    /// # use std::task::{Context, Poll, Waker};
    /// use darter_storage::{Error, Store};
    /// let store = Store::new();
    /// let future = store.transaction_async(|tx| tx.set_integer(0, b"n", 1));
    /// # let mut future = std::pin::pin!(future);
    /// # let done = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    /// # assert!(matches!(done, Poll::Ready(Ok(()))));
    /// # Ok::<(), Error>(())
    /// ```
    pub async fn transaction_async<T, E>(
        &self,
        mut body: impl FnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut escalation = Escalation::new(self);
        let mut closed = 0;
        loop {
            wait_async(|waker| escalation.poll(waker)).await;
            match self.attempt(&mut escalation, &mut body, Transaction::commit) {
                Attempt::Ended(done) => return done,
                Attempt::Lost => {}
                // The transaction belongs to this thread, and the future may go on in another: it
                // begins anew. It would do so for each of a row of exclusive ones.
                Attempt::GateClosed if closed == FREE_ATTEMPTS => escalation.take_gate(),
                Attempt::GateClosed => {
                    closed += 1;
                    wait_async(|waker| self.poll_open(waker)).await;
                }
            }
        }
    }

    /// Runs `body` while nobody else commits; readers go on. For what reads or changes so much
    /// that it would always lose. The body writes to this store through its transaction alone.
    ///
    /// # Errors
    /// What `body` returned.
    ///
    /// # Panics
    /// If the body writes by another road: that write would wait for its own end. Also where the
    /// call is itself made inside such a body.
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.set("a", "1");
    /// store.exclusive(|tx| tx.flush(0))?;
    /// assert_eq!(store.get("a")?, None);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn exclusive<T, E>(
        &self,
        mut body: impl FnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut escalation = Escalation::exclusive(self);
        loop {
            escalation.wait();
            let attempt = self.attempt(&mut escalation, &mut body, Transaction::commit_patiently);
            if let Attempt::Ended(done) = attempt {
                return done;
            }
        }
    }

    /// One attempt, with `commit` at its end.
    fn attempt<T, E>(
        &self,
        escalation: &mut Escalation,
        body: &mut impl FnMut(&mut Transaction) -> Result<T, E>,
        commit: impl FnOnce(&mut Transaction) -> Result<Committed, CommitError>,
    ) -> Attempt<T, E> {
        let held = escalation.held();
        let mut transaction = escalation.begin(Mode::Optimistic);
        // Looked at only by whoever would have to wait.
        let _holding = (held != Held::Nothing).then(|| Holding::new(self.local(), held));
        let value = match body(&mut transaction) {
            Ok(value) => value,
            Err(error) => return Attempt::Ended(Err(error)),
        };
        match commit(&mut transaction) {
            Ok(_) => Attempt::Ended(Ok(value)),
            Err(CommitError::Conflict(_)) => {
                escalation.failed(&transaction);
                Attempt::Lost
            }
            Err(CommitError::GateClosed) => Attempt::GateClosed,
        }
    }

    /// Runs `body` as one transaction, once.
    ///
    /// # Errors
    /// [`TryError::Conflict`] if somebody else changed what it read meanwhile, else what `body`
    /// returned.
    ///
    /// # Panics
    /// Inside the closure of a transaction that owns the gate; see [`Store::transaction`].
    ///
    /// ```
    /// use darter_storage::{Error, Store, TryError};
    /// let store = Store::new();
    /// let result: Result<(), TryError<Error>> = store.try_transaction(|tx| {
    ///     let n = tx.integer(0, b"n")?.unwrap_or(0);
    ///     store.set("n", "5"); // somebody else
    ///     tx.set_integer(0, b"n", n + 1)
    /// });
    /// assert!(matches!(result, Err(TryError::Conflict(_))));
    /// ```
    pub fn try_transaction<T, E>(
        &self,
        body: impl FnOnce(&mut Transaction) -> Result<T, E>,
    ) -> Result<T, TryError<E>> {
        let mut transaction = self.begin(Mode::Optimistic);
        let value = body(&mut transaction).map_err(TryError::Body)?;
        match transaction.commit_patiently() {
            Ok(_) => Ok(value),
            Err(_) => Err(TryError::Conflict(Conflict)),
        }
    }
}

/// How a transaction that is tried once can end without a commit.
///
/// ```
/// use darter_storage::{Conflict, Error, Store, TryError};
/// let store = Store::new();
/// let result: Result<(), _> = store.try_transaction(|_| Err(Error::NotAnInteger));
/// assert_eq!(result, Err(TryError::Body(Error::NotAnInteger)));
/// assert_eq!(
///     TryError::<Error>::Conflict(Conflict).to_string(),
///     "the transaction met a conflict",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TryError<E> {
    /// Somebody else changed what it read.
    #[error(transparent)]
    Conflict(Conflict),
    /// The closure gave up.
    #[error("{0}")]
    Body(E),
}

impl Transaction {
    /// Commits; waits on the calling thread while the gate is closed.
    fn commit_patiently(&mut self) -> Result<Committed, CommitError> {
        loop {
            let result = self.commit();
            if result != Err(CommitError::GateClosed) {
                return result;
            }
            let inner = Arc::clone(&self.inner);
            self.unpin();
            block_on(&inner, |waker| inner.gate.poll_open(waker));
            self.pin();
        }
    }
}
