//! A transaction: its kinds, where each reads, and its life from the beginning over pins and restarts
//! to its end. What it reads is in `reading`, what it writes in `writing`.
//!
//! Four kinds, one type: whoever works with it cannot tell them apart.
//! - *direct* reads the newest of each key under one pin; its commit compares what it read.
//! - *snapshot* reads as of one number and writes nothing.
//! - *optimistic* reads as of one number, keeps its writes to itself, and commits if what it read
//!   still holds.
//! - *exclusive* reads and writes so too, but owns the gate, so its commit always holds.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use crate::descriptor::RangeRead;
use crate::effects::Message;
use crate::entry::Entries;
use crate::registry::Slot;
use crate::space::Space;
use crate::store::Inner;
use crate::sync::Guard;
use crate::sync::atomic::Ordering::Relaxed;
use crate::thread::{Local, count};
use crate::version::{Number, Version};

/// How long a value written stays.
///
/// ```
/// use darter_storage::{Deadline, Mode, Options, Store, StringValue, TimeSource, Value};
/// let store = Store::with_options(Options { time: TimeSource::Manual, ..Options::default() });
/// let text = |text: &str| Value::String(StringValue::new(text.as_bytes()));
/// store.transaction(|tx| tx.set(0, b"k", text("old"), Deadline::At(5_000)))?;
/// store.transaction(|tx| tx.set(0, b"k", text("new"), Deadline::Keep))?;
/// store.set_time(5_000);
/// assert_eq!(store.get("k")?, None);
/// # Ok::<(), darter_storage::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// For ever.
    Never,
    /// Until this time, in milliseconds since 1970; 0 means for ever.
    At(u64),
    /// As long as what it replaces would have.
    Keep,
}

/// Where a transaction reads; see [`Transaction`].
///
/// ```
/// use darter_storage::{Mode, Store};
/// let store = Store::new();
/// let (direct, optimistic) = (store.begin(Mode::Direct), store.begin(Mode::Optimistic));
/// store.set("k", "v");
/// assert!(direct.get(0, b"k")?.is_some(), "the newest");
/// assert!(optimistic.get(0, b"k")?.is_none(), "as of its beginning");
/// # Ok::<(), darter_storage::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The newest of each key, compared at the commit.
    Direct,
    /// One number, no writes.
    Snapshot,
    /// One number, compared at the commit.
    Optimistic,
    /// One number, with the gate closed to everybody else.
    Exclusive,
}

/// Reads and writes of any keys, made part of history at one instant or not at all.
/// [`Store::transaction`](crate::Store::transaction) and its like hand one to a closure;
/// [`Store::begin`](crate::Store::begin) and [`Escalation::begin`](crate::Escalation::begin) are
/// for programs that suspend it in its middle.
///
/// There are four kinds, and whoever works with one cannot tell them apart; see [`Mode`]. It sees
/// its own writes. Dropping it without a commit leaves no trace. Not `Send`: it belongs to the
/// thread that began it.
///
/// ```
/// use darter_storage::{Mode, Store};
/// let store = Store::new();
/// let mut tx = store.begin(Mode::Optimistic);
/// tx.set_integer(0, b"n", 1)?;
/// assert_eq!(tx.integer(0, b"n")?, Some(1), "its own write");
/// assert_eq!(store.get("n")?, None, "nobody else's yet");
/// drop(tx);
/// assert_eq!(store.get("n")?, None);
/// # Ok::<(), darter_storage::Error>(())
/// ```
pub struct Transaction {
    pub(crate) inner: Arc<Inner>,
    pub(crate) local: Rc<Local>,
    pub(crate) guard: Option<Guard>,
    /// Counts the pins, so that what is good under one is known from what was under another.
    pub(crate) pin: u64,
    pub(crate) mode: Mode,
    /// Protects the number read at, and is the transaction's own.
    pub(crate) slot: Option<*const Slot>,
    /// Says whether it may still be read at: the own slot, or the one of the snapshot that this
    /// transaction reads for. Null: the newest is read.
    pub(crate) reads_by: *const Slot,
    pub(crate) number: Number,
    pub(crate) now_ms: u64,
    /// The table of databases as the transaction found it, and the way to all that it reads: null
    /// unless the pin or the number protects it.
    pub(crate) base_table: *const Version,
    /// The table as this transaction means to leave it, private until the commit.
    pub(crate) new_table: Option<*mut Version>,
    /// Keyspaces that this transaction made for it.
    pub(crate) made_spaces: Vec<*const Space>,
    pub(crate) entries: Entries,
    pub(crate) ranges: RefCell<Vec<RangeRead>>,
    pub(crate) messages: RefCell<Vec<Message>>,
    /// See [`Transaction::published_bytes`].
    pub(crate) published_bytes: Cell<usize>,
    /// Reads are compared at the commit. Off for what only reads: one key's newest, or a snapshot.
    pub(crate) records_reads: bool,
    /// The commit relies on what was seen alive. Off for what changes nothing that anybody sees.
    pub(crate) relies_on_time: bool,
    /// Something was read that no optimistic commit can compare (a whole keyspace): the gate.
    pub(crate) needs_gate: Cell<bool>,
    /// The earliest deadline among own writes that were seen alive (`u64::MAX`: none).
    pub(crate) own_until_ms: Cell<u64>,
    pub(crate) gate_ticket: Option<u64>,
    /// See [`Transaction::now_us`]; 0 until it is asked for.
    pub(crate) moment_us: Cell<u64>,
    /// Where the random numbers of this attempt begin; 0 until the first is drawn.
    pub(crate) seed: Cell<u64>,
    /// How many have been drawn.
    pub(crate) drawn: Cell<u64>,
}

impl Transaction {
    pub(crate) fn begin(inner: &Arc<Inner>, local: Rc<Local>, mode: Mode) -> Transaction {
        let mut transaction = Transaction::unbegun(inner, local, mode);
        transaction.restart();
        transaction
    }

    fn unbegun(inner: &Arc<Inner>, local: Rc<Local>, mode: Mode) -> Transaction {
        Transaction {
            inner: Arc::clone(inner),
            local,
            guard: None,
            pin: 0,
            mode,
            slot: None,
            reads_by: ptr::null(),
            number: 0,
            now_ms: 0,
            base_table: ptr::null(),
            new_table: None,
            made_spaces: Vec::new(),
            entries: Entries::default(),
            ranges: RefCell::default(),
            messages: RefCell::default(),
            records_reads: matches!(mode, Mode::Direct | Mode::Optimistic),
            relies_on_time: true,
            published_bytes: Cell::new(0),
            needs_gate: Cell::new(false),
            own_until_ms: Cell::new(u64::MAX),
            gate_ticket: None,
            moment_us: Cell::new(0),
            seed: Cell::new(0),
            drawn: Cell::new(0),
        }
    }

    /// Forgets everything and reads from now on as of now. What is read is compared again.
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// let mut tx = store.begin(Mode::Optimistic);
    /// tx.set_integer(0, b"mine", 1)?;
    /// store.set("theirs", "2");
    /// assert_eq!(tx.integer(0, b"theirs")?, None);
    /// tx.restart();
    /// assert_eq!(tx.integer(0, b"theirs")?, Some(2));
    /// assert_eq!(tx.integer(0, b"mine")?, None);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn restart(&mut self) {
        self.forget();
        self.records_reads = matches!(self.mode, Mode::Direct | Mode::Optimistic);
        self.relies_on_time = true;
        self.pin();
        if self.mode != Mode::Direct {
            self.take_snapshot();
        }
        // Before any record is looked at.
        if self.mode == Mode::Direct {
            self.now_ms = self.inner.transaction_time();
        }
        let number = (self.mode != Mode::Direct).then_some(self.number);
        if let Some(guard) = &self.guard {
            self.base_table = self.inner.table(number, guard);
        }
    }

    /// Begins anew after it has lost, at its commit or before: a [`restart`](Transaction::restart) that
    /// counts as a retry in [`Store::counts`](crate::Store::counts). For whoever needs no
    /// [`Escalation`](crate::Escalation), because there is another way to go on.
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// store.set("n", "1");
    /// let mut tx = store.begin(Mode::Direct);
    /// assert_eq!(tx.integer(0, b"n")?, Some(1));
    /// store.set("n", "10"); // somebody else
    /// assert!(tx.has_lost());
    /// tx.retry();
    /// assert_eq!(tx.integer(0, b"n")?, Some(10));
    /// assert_eq!(store.counts().retries, 1);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn retry(&mut self) {
        count(&self.local.state().counters.retries, 1);
        self.restart();
    }

    /// Begins with the gate closed under `ticket`; the gate opens when the transaction is dropped.
    pub(crate) fn begin_exclusive(
        inner: &Arc<Inner>,
        local: Rc<Local>,
        ticket: u64,
    ) -> Transaction {
        if !fault!("time goes on for the gate's owner") {
            inner.wall_clock.stop();
        }
        let mut transaction = Transaction::begin(inner, local, Mode::Exclusive);
        transaction.gate_ticket = Some(ticket);
        transaction.local.owns_gate.set(true);
        transaction
    }

    /// Reads at a number that the caller protects for as long as the transaction lives.
    pub(crate) fn at(
        inner: &Arc<Inner>,
        local: Rc<Local>,
        number: Number,
        now_ms: u64,
        slot: *const Slot,
    ) -> Transaction {
        let guard = local.pin();
        let base_table = ptr::from_ref(inner.table(Some(number), &guard));
        let mut transaction = Transaction::unbegun(inner, local, Mode::Snapshot);
        transaction.guard = Some(guard);
        transaction.number = number;
        transaction.now_ms = now_ms;
        transaction.base_table = base_table;
        transaction.reads_by = slot;
        transaction
    }

    /// Forgets everything. What the gate is to be opened with, if the transaction owns it.
    pub(crate) fn take_gate_ticket(&mut self) -> Option<u64> {
        self.forget();
        let ticket = self.gate_ticket.take()?;
        self.local.owns_gate.set(false);
        if !fault!("time goes on for the gate's owner") {
            self.inner.wall_clock.go_on();
        }
        Some(ticket)
    }

    fn take_snapshot(&mut self) {
        let only_reads = self.mode == Mode::Snapshot;
        let (slot, number, now_ms) = self.inner.register_snapshot(&self.local, only_reads);
        self.reads_by = slot;
        self.number = number;
        self.now_ms = now_ms;
        self.slot = Some(slot);
        count(&self.local.state().counters.snapshots, 1);
    }

    /// Drops what was read and written, the snapshot and the pin, until `restart`: a transaction
    /// that is kept to be used again holds nobody up meanwhile. Whatever it is asked before it is
    /// restarted ends in [`Error::Ended`](crate::Error::Ended).
    ///
    /// ```
    /// use darter_storage::{Error, Mode, Store};
    /// let store = Store::new();
    /// let mut tx = store.begin(Mode::Optimistic);
    /// tx.rest();
    /// assert_eq!(store.snapshots_held().0, 0);
    /// assert_eq!(tx.integer(0, b"n"), Err(Error::Ended));
    /// tx.restart();
    /// assert_eq!(store.snapshots_held().0, 1);
    /// ```
    pub fn rest(&mut self) {
        self.forget();
    }

    /// Drops what was read and written, the snapshot and the pin.
    fn forget(&mut self) {
        self.entries.clear();
        self.ranges.get_mut().clear();
        self.messages.get_mut().clear();
        self.drop_table();
        self.needs_gate.set(false);
        self.own_until_ms.set(u64::MAX);
        self.moment_us.set(0);
        self.seed.set(0);
        self.drawn.set(0);
        self.release_slot();
        self.guard = None;
    }

    pub(crate) fn release_slot(&mut self) {
        self.base_table = ptr::null();
        self.reads_by = ptr::null();
        if let Some(slot) = self.slot.take() {
            if fault!("release without trimming") {
                // SAFETY: as below.
                drop(unsafe { &*slot }.release());
                return;
            }
            let guard = self.local.pin();
            // SAFETY: slots live as long as the store's threads list.
            let keys = unsafe { &*slot }.release();
            self.inner.trim_waiting(keys, &self.local, &guard);
        }
    }

    /// Lets go of the epoch while nothing is being read: a snapshot is held by its number, not by a
    /// pin, so memory goes on being freed while the transaction stands still. A direct transaction
    /// keeps its pin, which is all that protects what it read. Call [`Transaction::pin`] before the
    /// next read or write: without it that ends in [`Error::Unpinned`](crate::Error::Unpinned).
    ///
    /// ```
    /// use darter_storage::{Error, Mode, Store};
    /// let store = Store::new();
    /// store.set("k", "old");
    /// let mut tx = store.begin(Mode::Snapshot);
    /// tx.unpin();
    /// assert_eq!(tx.bytes(0, b"k"), Err(Error::Unpinned));
    /// store.set("k", "new"); // and as much else as there is time for
    /// tx.pin();
    /// assert_eq!(tx.bytes(0, b"k")?.as_deref(), Some(&b"old"[..]));
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn unpin(&mut self) {
        if self.mode != Mode::Direct {
            self.guard = None;
        }
    }

    /// Takes the epoch again before the next access, after [`Transaction::unpin`]. Does nothing if
    /// it is taken.
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// let mut tx = store.begin(Mode::Optimistic);
    /// tx.set_integer(0, b"n", 1)?;
    /// tx.unpin();
    /// tx.pin();
    /// assert_eq!(tx.integer(0, b"n")?, Some(1));
    /// assert!(tx.commit().is_ok());
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn pin(&mut self) {
        if self.guard.is_none() {
            self.guard = Some(self.local.pin());
            self.pin += 1;
        }
    }

    /// The pin of an access. Whoever calls it has been to `table`, which answers an error without.
    pub(crate) fn guard(&self) -> &Guard {
        match &self.guard {
            Some(guard) => guard,
            None => unreachable!("an access outside pin and unpin"),
        }
    }

    /// Where the transaction reads.
    ///
    /// ```
    /// use darter_storage::{Error, Mode, Store};
    /// let store = Store::new();
    /// assert_eq!(store.begin(Mode::Direct).mode(), Mode::Direct);
    /// let mode = store.exclusive(|tx| Ok::<_, Error>(tx.mode()))?;
    /// assert_eq!(mode, Mode::Exclusive);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The transaction's frozen time, in milliseconds since 1970.
    ///
    /// ```
    /// use darter_storage::{Mode, Options, Store, TimeSource};
    /// let store = Store::with_options(Options { time: TimeSource::Manual, ..Options::default() });
    /// store.set_time(1_000);
    /// let mut tx = store.begin(Mode::Optimistic);
    /// store.set_time(2_000);
    /// assert_eq!(tx.now_ms(), 1_000);
    /// tx.restart();
    /// assert_eq!(tx.now_ms(), 2_000);
    /// ```
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Whether only the gate can make what was read hold, because a whole keyspace or a very long
    /// range was read: the commit of this transaction will meet a conflict unless it is exclusive.
    ///
    /// ```
    /// use darter_storage::{CommitError, Conflict, Mode, Store};
    /// let store = Store::new();
    /// let mut tx = store.begin(Mode::Optimistic);
    /// let count = tx.count_keys(0)?;
    /// tx.set_integer(0, b"count", count as i64)?;
    /// assert!(tx.needs_gate());
    /// assert_eq!(tx.commit(), Err(CommitError::Conflict(Conflict)));
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn needs_gate(&self) -> bool {
        self.needs_gate.get()
    }

    /// What the transaction reads from now on is not compared at its commit, until it is restarted.
    /// For what reads only one key's newest version. What is then written over something that was
    /// read may undo somebody else's update.
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// let mut tx = store.begin(Mode::Optimistic);
    /// tx.skip_comparison();
    /// assert_eq!(tx.integer(0, b"hint")?, None);
    /// store.set("hint", "1");
    /// tx.set_integer(0, b"n", 1)?;
    /// assert!(tx.commit().is_ok(), "what has become of the hint does not matter");
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn skip_comparison(&mut self) {
        self.records_reads = false;
    }
}

impl Inner {
    /// Draws a number for reading and protects it, by a slot of the calling thread's. Also gives
    /// the time at which it was drawn: a later one would show keys expired without what was
    /// committed before they were. `only_reads`: see [`Slot`].
    pub(crate) fn register_snapshot(
        &self,
        local: &Local,
        only_reads: bool,
    ) -> (*const Slot, Number, u64) {
        let slot = local.state().slots.reserve();
        // Relaxed, as below: `protect` publishes it with the number.
        slot.only_reads.store(only_reads, Relaxed);
        loop {
            let now_ms = self.transaction_time();
            if fault!("registered after drawn") {
                slot.protect_from(Number::MAX >> 2);
            } else {
                slot.protect_from(self.clock.now() + 1);
            }
            let hole = u64::from(fault!("snapshot with holes"));
            let number = self.clock.draw() + hole;
            let then_ms = self.wall_clock.now_ms();
            if then_ms == now_ms || fault!("snapshot later than its number") {
                slot.since_ms.store(then_ms, Relaxed);
                slot.protect(number);
                return (slot, number, then_ms);
            }
        }
    }

    /// The frozen time of a transaction that begins now.
    fn transaction_time(&self) -> u64 {
        if self.effects.is_active() {
            self.wall_clock.numbered_now_ms(&self.clock)
        } else {
            self.wall_clock.now_ms()
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if fault!("kill leaves a write") && self.mode == Mode::Exclusive && self.slot.is_some() {
            let _ = self.commit();
        }
        if let Some(ticket) = self.take_gate_ticket() {
            self.inner.gate.open(ticket);
        }
    }
}
