//! Closures that run as transactions: again until they commit, alone behind the gate, or once.

use std::sync::Arc;

use crate::commit::{CommitError, Committed};
use crate::error::Conflict;
use crate::escalation::{Escalation, FREE_ATTEMPTS};
use crate::store::Store;
use crate::transaction::{Mode, Transaction};
use crate::waiting::{HoldsPlace, block_on, wait_async};

/// How one attempt of a closure ended.
enum ClosureOutcome<T, E> {
    /// For good.
    Ended(Result<T, E>),
    /// With a conflict.
    Lost,
    /// At a closed gate.
    GateClosed,
}

impl Store {
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
        body: impl FnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        self.run(Escalation::new(self), body)
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
                ClosureOutcome::Ended(done) => return done,
                ClosureOutcome::Lost => {}
                // The transaction belongs to this thread, and the future may go on in another: it
                // begins anew. It would do so for each of a row of exclusive ones.
                ClosureOutcome::GateClosed if closed == FREE_ATTEMPTS => escalation.take_gate(),
                ClosureOutcome::GateClosed => {
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
        body: impl FnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        self.run(Escalation::exclusive(self), body)
    }

    /// Attempts on the calling thread until one is the last.
    fn run<T, E>(
        &self,
        mut escalation: Escalation,
        mut body: impl FnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        loop {
            escalation.wait();
            let attempt = self.attempt(&mut escalation, &mut body, Transaction::commit_patiently);
            if let ClosureOutcome::Ended(done) = attempt {
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
    ) -> ClosureOutcome<T, E> {
        let mut transaction = escalation.begin(Mode::Optimistic);
        // Looked at only by whoever would have to wait.
        let _holds_place = escalation
            .is_queued()
            .then(|| HoldsPlace::new(self.local()));
        let value = match body(&mut transaction) {
            Ok(value) => value,
            Err(error) => return ClosureOutcome::Ended(Err(error)),
        };
        match commit(&mut transaction) {
            Ok(_) => ClosureOutcome::Ended(Ok(value)),
            Err(CommitError::Conflict(_)) => {
                escalation.failed(&transaction);
                ClosureOutcome::Lost
            }
            Err(CommitError::GateClosed) => ClosureOutcome::GateClosed,
        }
    }

    /// Runs `body` as one transaction, once.
    ///
    /// # Errors
    /// [`TryError::Conflict`] if somebody else changed what it read meanwhile, else what `body`
    /// returned.
    ///
    /// # Panics
    /// While a transaction of this thread owns the gate; see [`Store::transaction`].
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
