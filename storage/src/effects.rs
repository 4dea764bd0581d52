//! The effects stream: every commit once, whole, in commit order.
//!
//! While nobody listens nothing is announced and nothing costs. The first listener closes the gate
//! for a moment, so that from one number on every commit is in the stream. From then on a thread
//! announces its version or descriptor in its own ring before it installs; whoever merges draws a
//! number S, settles what is not yet settled, takes everything below S from all rings, and sorts
//! it by (number, numbered commits first, Lamport number). A tick's end is the state at S.
//!
//! The stream holds a slot that protects every number from its closed position on, so nothing is
//! cut that it has still to show.

use std::any::Any;
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::PoisonError;

use crate::descriptor::{Descriptor, State, Write};
use crate::record::Record;
use crate::registry::Slot;
use crate::ring::Announced;
use crate::rounds::Rounds;
use crate::store::Inner;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64};
use crate::sync::{Guard, Mutex, MutexGuard, thread};
use crate::thread::Local;
use crate::value::Type;
use crate::version::{ABORTED, Number, Reason, Stamp, UNSTAMPED, Version, read_stamp};

/// Announcements of one thread beyond which it tries to merge before it commits.
const RING_LONG: usize = 4096;

/// A message that a transaction publishes with its commit.
///
/// ```
/// use darter_storage::{Error, Message, Store};
/// # use std::sync::mpsc;
/// # let (sender, receiver) = mpsc::channel();
/// let store = Store::new();
/// # let _listener = store.listen(Box::new(move |effect| {
/// #     effect.messages.iter().for_each(|message| drop(sender.send(message.clone())));
/// # }));
/// // A listener sends the messages that it is shown to `receiver`.
/// let message = Message {
///     channel: b"news"[..].into(),
///     payload: b"n has changed"[..].into(),
///     sharded: false,
/// };
/// store.transaction(|tx| {
///     tx.publish(message.clone());
///     tx.set_integer(0, b"n", 1)
/// })?;
/// store.merge_effects();
/// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [message]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The channel.
    pub channel: Box<[u8]>,
    /// What is said on it.
    pub payload: Box<[u8]>,
    /// Whether the channel is a shard channel.
    pub sharded: bool,
}

/// What became of a key.
///
/// ```
/// use darter_storage::{ChangeKind, Store, Type};
/// # use std::sync::mpsc;
/// # let (sender, receiver) = mpsc::channel();
/// let store = Store::new();
/// # let _listener = store.listen(Box::new(move |effect| {
/// #     effect.changes.iter().for_each(|change| drop(sender.send(change.kind)));
/// # }));
/// // A listener sends the kinds that it is shown to `receiver`.
/// store.set("a", "1");
/// store.remove("a");
/// store.merge_effects();
/// let kinds: Vec<_> = receiver.try_iter().collect();
/// assert_eq!(kinds, [ChangeKind::Written(Type::String), ChangeKind::Deleted]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It holds a value of this type now.
    Written(Type),
    /// It was deleted by a command.
    Deleted,
    /// It was removed because its deadline had passed.
    Expired,
}

/// One key that a commit changed.
///
/// ```
/// use darter_storage::{Change, ChangeKind, Store, Type};
/// # use std::sync::mpsc;
/// # let (sender, receiver) = mpsc::channel();
/// let store = Store::new();
/// # let _listener = store.listen(Box::new(move |effect| {
/// #     effect.changes.iter().for_each(|change| drop(sender.send(change.clone())));
/// # }));
/// // A listener sends the changes that it is shown to `receiver`.
/// store.transaction(|tx| tx.set_integer(3, b"n", 1))?;
/// store.merge_effects();
/// let change = Change {
///     database: Some(3),
///     key: b"n"[..].into(),
///     kind: ChangeKind::Written(Type::String),
///     fields_expired: false,
/// };
/// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [change]);
/// # Ok::<(), darter_storage::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The database that held the key after the commit; `None` if the commit itself flushed it.
    pub database: Option<usize>,
    /// The key.
    pub key: Box<[u8]>,
    /// What became of it.
    pub kind: ChangeKind,
    /// Whether fields of a hash were removed because their deadlines had passed; with the last of
    /// them the key is [`ChangeKind::Expired`].
    pub fields_expired: bool,
}

/// One commit, whole.
///
/// ```
/// use darter_storage::{Effect, Error, Store};
/// # use std::sync::mpsc;
/// # let (sender, receiver) = mpsc::channel();
/// let store = Store::new();
/// let _listener = store.listen(Box::new(move |effect| drop(sender.send(effect.clone()))));
/// store.transaction(|tx| {
///     tx.set_integer(0, b"b", 1)?;
///     tx.set_integer(0, b"a", 1)
/// })?;
/// store.set("c", "1");
/// store.merge_effects();
/// let effects: Vec<Effect> = receiver.try_iter().collect();
/// assert_eq!([effects[0].sequence, effects[1].sequence], [1, 2]);
/// assert_eq!(effects[0].changes.len(), 2, "a commit is shown whole");
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Its place in the stream: without gaps, from 1 on.
    pub sequence: u64,
    /// Its place in the commit order, which commits on different keys may share.
    pub number: u64,
    /// The keys that it changed, in key order.
    pub changes: Vec<Change>,
    /// What it published, in the order of the calls.
    pub messages: Vec<Message>,
    /// Whether it flushed or exchanged databases: keys may hold something else since, without a
    /// change of their own.
    pub databases_changed: bool,
}

/// Who is told of effects, by whichever thread merges.
pub(crate) type Reader = Box<dyn FnMut(&Effect) + Send>;

/// What a reader panicked with.
type Panic = Box<dyn Any + Send>;

/// See the module's text.
pub(crate) struct Effects {
    active: AtomicBool,
    /// The merger's.
    role: Rounds,
    /// Everything below is in the stream.
    closed: AtomicU64,
    slot: AtomicPtr<Slot>,
    listeners: AtomicU64,
    sequence: AtomicU64,
    /// Who is told, besides the caller of a merge. A lock that only readers of the stream touch.
    readers: Mutex<Vec<(u64, Reader)>>,
}

enum Fate {
    /// Part of history below the tick's number.
    Take(Number),
    /// Never happened.
    Skip,
    /// Not before this tick's end.
    Wait,
}

impl Effects {
    pub(crate) fn new() -> Effects {
        Effects {
            active: AtomicBool::new(false),
            role: Rounds::new(),
            closed: AtomicU64::new(0),
            slot: AtomicPtr::new(ptr::null_mut()),
            listeners: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
            readers: Mutex::new(Vec::new()),
        }
    }

    /// Whether commits are announced. Changes only while the gate is closed, so inside the gate it
    /// holds for the whole call.
    #[inline]
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Relaxed)
    }

    /// Everything numbered below has been shown.
    pub(crate) fn closed(&self) -> Number {
        self.closed.load(SeqCst)
    }

    /// The stream's slot while it is active.
    pub(crate) fn slot(&self) -> Option<*const Slot> {
        let slot = self.slot.load(Acquire);
        (!slot.is_null()).then_some(slot.cast_const())
    }

    pub(crate) fn listeners(&self) -> &AtomicU64 {
        &self.listeners
    }

    fn readers(&self) -> MutexGuard<'_, Vec<(u64, Reader)>> {
        // A reader that panicked while it was dropped leaves a list that is still good.
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds somebody who is told of every effect. The number is for `remove_reader`.
    pub(crate) fn add_reader(&self, reader: Reader) -> u64 {
        let mut readers = self.readers();
        let number = readers.last().map_or(0, |(last, _)| last + 1);
        readers.push((number, reader));
        number
    }

    /// Removes a reader.
    pub(crate) fn remove_reader(&self, number: u64) {
        let mut readers = self.readers();
        let at = readers.iter().position(|(known, _)| *known == number);
        let removed = at.map(|at| readers.remove(at));
        drop(readers);
        // Without the lock: what it holds may merge as it is dropped.
        drop(removed);
    }
}

/// A taken announcement, before it is sorted.
struct Taken {
    number: Number,
    /// The number was loaded, not drawn: it comes after the one commit that drew it.
    is_loaded: bool,
    lamport: u64,
    order: usize,
    what: Announced,
}

impl Taken {
    fn key(&self) -> (Number, bool, u64, usize) {
        (self.number, self.is_loaded, self.lamport, self.order)
    }
}

impl PartialEq for Taken {
    fn eq(&self, other: &Taken) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Taken {}
impl PartialOrd for Taken {
    fn partial_cmp(&self, other: &Taken) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Taken {
    fn cmp(&self, other: &Taken) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Inner {
    /// Announces a commit before it is installed. Inside the gate.
    pub(crate) fn announce(&self, what: Announced, local: &Local) {
        // SAFETY: the state is the calling thread's own.
        unsafe { local.state().ring.push(what) };
    }

    /// Merges if the thread has announced much that nobody has taken yet, so that what the stream
    /// keeps is bounded. Before the gate.
    pub(crate) fn keep_ring_short(&self, local: &Local) {
        if self.effects.is_active() && local.state().ring.len() > RING_LONG {
            let guard = local.pin();
            self.merge_effects(local, &guard, &mut |_| {});
        }
    }

    /// Starts the stream. The caller owns the gate: no commit is in flight.
    pub(crate) fn start_effects(&self, local: &Local) {
        let slot = local.state().slots.reserve();
        let from = self.clock.draw();
        slot.protect_from(from);
        self.effects.closed.store(from, SeqCst);
        self.effects
            .slot
            .store(ptr::from_ref(slot).cast_mut(), Release);
        self.effects.active.store(true, Relaxed);
    }

    /// Shows what is left and ends the stream. The caller owns the gate and the merger's role: one
    /// who merged meanwhile would go on protecting numbers in a slot that is no longer the
    /// stream's, and what nobody takes now would be taken by the next stream, long after it was
    /// freed.
    pub(crate) fn stop_effects(&self, local: &Local, guard: &Guard) {
        self.effects.active.store(false, Relaxed);
        // Nobody is left who is told, and so nobody who panics.
        let _ = self.tick(local, guard, &mut |_| {});
        let slot = self.effects.slot.swap(ptr::null_mut(), AcqRel);
        // SAFETY: slots live as long as the store's threads list.
        if let Some(slot) = unsafe { slot.as_ref() } {
            let keys = slot.release();
            self.trim_waiting(keys, local, guard);
        }
    }

    /// Merges what has been committed, unless somebody is at it, who then goes round once more.
    /// Calls `tell` for each effect in order.
    pub(crate) fn merge_effects(
        &self,
        local: &Local,
        guard: &Guard,
        tell: &mut dyn FnMut(&Effect),
    ) {
        if !self.effects.role.take_or_ask() {
            // What the caller has committed keeps its place before all that begins after this,
            // which gets a later number, although it is not merged yet.
            if !fault!("handed over without a place") {
                self.clock.draw();
            }
            return;
        }
        self.merge_in_role(local, guard, tell);
    }

    /// Takes the merger's role, after whoever has it. Before the gate: a reader may be waiting for
    /// it.
    pub(crate) fn wait_for_role(&self) {
        while !self.effects.role.take() {
            // A tick is short, and the end of a stream is rare.
            thread::yield_now();
        }
    }

    /// Merges until nobody has asked for more meanwhile, and gives the merger's role up. A reader's
    /// panic goes on only then: a role that nobody gives up would be the end of the stream.
    pub(crate) fn merge_in_role(
        &self,
        local: &Local,
        guard: &Guard,
        tell: &mut dyn FnMut(&Effect),
    ) {
        let mut panicked = None;
        loop {
            let panicked_now = self.tick(local, guard, tell);
            panicked = panicked.or(panicked_now);
            if self.effects.role.end_round() {
                break;
            }
        }
        if let Some(panicked) = panicked {
            resume_unwind(panicked);
        }
    }

    /// One round of a merge. What the first reader that panicked did so with.
    fn tick(&self, local: &Local, guard: &Guard, tell: &mut dyn FnMut(&Effect)) -> Option<Panic> {
        let slot = self.effects.slot()?;
        let end = self.clock.draw();
        let mut taken = BinaryHeap::new();
        for state in self.threads.iter() {
            // SAFETY: the merger's role is ours.
            while let Some(what) = unsafe { state.ring.peek() } {
                match self.fate(what, end, guard) {
                    Fate::Wait => break,
                    Fate::Skip => self.forget(what, guard),
                    Fate::Take(number) => {
                        let order = taken.len();
                        taken.push(std::cmp::Reverse(Taken {
                            number,
                            is_loaded: !has_drawn(what) ^ fault!("loaded before drawn"),
                            lamport: lamport_of(what),
                            order,
                            what,
                        }));
                    }
                }
                // SAFETY: as above, right after `peek`.
                unsafe { state.ring.pop() };
            }
        }
        let mut panicked = None;
        if !taken.is_empty() {
            let mut readers = self.effects.readers();
            while let Some(std::cmp::Reverse(next)) = taken.pop() {
                let effect = self.effect_of(&next, guard);
                tell(&effect);
                for (_, reader) in readers.iter_mut() {
                    // The others, and this one of the next effects, are told all the same.
                    let told = catch_unwind(AssertUnwindSafe(|| reader(&effect)));
                    panicked = panicked.or(told.err());
                }
                self.forget(next.what, guard);
            }
        }
        self.effects.closed.store(end, SeqCst);
        // SAFETY: slots live as long as the store's threads list.
        let slot = unsafe { &*slot };
        slot.protect_from(end);
        self.trim_waiting(slot.drain(), local, guard);
        panicked
    }

    fn fate(&self, what: Announced, end: Number, guard: &Guard) -> Fate {
        match what {
            Announced::Single(record, version) => self.single_fate(record, version, end),
            Announced::Descriptor(descriptor) => {
                // SAFETY: the stream's share keeps it.
                let descriptor = unsafe { &*descriptor };
                loop {
                    match State::of(descriptor.status.load(SeqCst)) {
                        State::Installing => return Fate::Wait,
                        State::Numbered(number) if number >= end => return Fate::Wait,
                        State::Ready | State::Numbered(_) if fault!("stream settles nothing") => {
                            return Fate::Wait;
                        }
                        State::Ready | State::Numbered(_) => {
                            self.help(descriptor, guard);
                        }
                        State::Committed(number) if number < end => return Fate::Take(number),
                        State::Committed(_) => return Fate::Wait,
                        State::Failed if fault!("aborted are told") => return Fate::Take(end - 1),
                        State::Failed => return Fate::Skip,
                    }
                }
            }
        }
    }

    fn single_fate(&self, record: *const Record, version: *mut Version, end: Number) -> Fate {
        // SAFETY: kept until the stream has shown it: a committed one by the stream's slot, an
        // aborted one because the stream frees it, a pending one by its writer.
        let version_ref = unsafe { &*version };
        loop {
            match read_stamp(version_ref.stamp.load(SeqCst)) {
                Stamp::Committed(number) if number < end => return Fate::Take(number),
                Stamp::Committed(_) => return Fate::Wait,
                Stamp::Aborted => return Fate::Skip,
                Stamp::Unstamped | Stamp::Owned(_) => {
                    // SAFETY: its writer is in the middle of its call, pinned, so the record is
                    // kept, or the version has got its stamp and the next round sees it.
                    if unsafe { (*record).head.load(SeqCst) } == version {
                        self.stamp(version_ref);
                    } else if version_ref.stamp.load(SeqCst) == UNSTAMPED {
                        // Not installed: it will get a later number.
                        return Fate::Wait;
                    }
                }
            }
        }
    }

    /// Gives up the stream's hold on what was announced.
    fn forget(&self, what: Announced, guard: &Guard) {
        match what {
            Announced::Single(_, version) => {
                // SAFETY: still held, see `single_fate`.
                if unsafe { (*version).stamp.load(Acquire) } == ABORTED {
                    // SAFETY: never installed, and its writer left it to the stream.
                    unsafe { guard.defer_unchecked(move || Version::free_aborted(version)) };
                }
            }
            Announced::Descriptor(descriptor) => {
                // SAFETY: the stream's share, dropped once.
                unsafe { release_share(descriptor.cast_mut(), guard) };
            }
        }
    }

    fn effect_of(&self, taken: &Taken, guard: &Guard) -> Effect {
        let sequence = self.effects.sequence.fetch_add(1, Relaxed) + 1;
        let mut databases_changed = false;
        let (changes, messages) = match taken.what {
            // SAFETY: as in `single_fate`.
            Announced::Single(record, version) => unsafe {
                let change = self.change_of(&*record, &*version, taken.number, guard);
                (vec![change], Vec::new())
            },
            Announced::Descriptor(descriptor) => {
                // SAFETY: the stream's share keeps it, and with it what it names.
                let descriptor = unsafe { &*descriptor };
                let is_table = |write: &&Write| ptr::eq(write.record, &self.spaces.table);
                databases_changed = descriptor.writes.iter().any(|write| is_table(&write));
                let changes = descriptor
                    .writes
                    .iter()
                    .filter(|write| !is_table(write))
                    // SAFETY: as above.
                    .map(|write| unsafe {
                        self.change_of(&*write.record, &*write.new, taken.number, guard)
                    })
                    .collect();
                let messages = descriptor.messages.swap(ptr::null_mut(), AcqRel);
                let messages = if messages.is_null() {
                    Vec::new()
                } else {
                    // SAFETY: boxed by the commit; the swap made it ours.
                    *unsafe { Box::from_raw(messages) }
                };
                (changes, messages)
            }
        };
        Effect {
            sequence,
            number: taken.number,
            changes,
            messages,
            databases_changed,
        }
    }

    fn change_of(
        &self,
        record: &Record,
        version: &Version,
        number: Number,
        guard: &Guard,
    ) -> Change {
        let kind = match version.value() {
            Some(value) => ChangeKind::Written(value.kind()),
            None if version.reason() == Reason::Expired => ChangeKind::Expired,
            None => ChangeKind::Deleted,
        };
        Change {
            // The stream's own slot protects the numbers that it has not shown.
            database: self.database_after(number, record.space(), guard),
            key: record.key().into(),
            kind,
            fields_expired: version.took_past_fields(),
        }
    }
}

/// Whether a commit has drawn its number for itself.
fn has_drawn(what: Announced) -> bool {
    match what {
        Announced::Single(..) => false,
        // SAFETY: the stream's share keeps it.
        Announced::Descriptor(descriptor) => unsafe { (*descriptor).draws },
    }
}

fn lamport_of(what: Announced) -> u64 {
    match what {
        // SAFETY: held as in `single_fate`.
        Announced::Single(_, version) => unsafe { (*version).lamport },
        Announced::Descriptor(descriptor) => {
            // SAFETY: the stream's share keeps it and what it names.
            unsafe {
                (*descriptor)
                    .writes
                    .first()
                    .map_or(0, |write| (*write.new).lamport)
            }
        }
    }
}

/// Drops one share of a descriptor; the last one frees it when today's helpers are gone.
///
/// # Safety
/// The caller owns a share.
pub(crate) unsafe fn release_share(descriptor: *mut Descriptor, guard: &Guard) {
    // SAFETY: the caller's share keeps it until here. AcqRel: the last sees what all others did.
    if unsafe { (*descriptor).shares.fetch_sub(1, AcqRel) } == 1 {
        // SAFETY: every version has its final stamp, so nobody who pins later meets it.
        unsafe {
            guard.defer_unchecked(move || {
                let own = Box::from_raw(descriptor);
                let messages = own.messages.load(Relaxed);
                if !messages.is_null() {
                    drop(Box::from_raw(messages));
                }
            });
        }
    }
}
