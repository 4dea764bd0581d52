//! Which numbers somebody may still read at.
//!
//! A slot says: 0 free; `S << 1` protects the number S; `L << 1 | 1` protects every number from L
//! on (its owner is about to draw one, or is the effects stream). With the highest bit set, whoever
//! reads at S is refused from now on: first S stays protected until those who were reading have
//! gone on, then the slot protects nothing and waits for its owner. A version may be cut when no
//! protected number lies between it and the next newer one. Beside each slot lies a stack of the
//! keys whose trimming waits for it; who frees the slot trims them.

use std::ptr;

use crate::record::Record;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use crate::version::Number;

const SLOTS_PER_BLOCK: usize = 6;

/// A slot between being taken and naming a number: protects everything.
const RESERVED: u64 = 1;

/// In the word of a slot whose snapshot is being ended.
const ENDING: u64 = 1 << 63;
/// The word of a slot whose snapshot has been ended.
const ENDED: u64 = ENDING;

/// A key whose trimming waits.
pub(crate) struct Waiting {
    pub(crate) record: *const Record,
    next: *mut Waiting,
}

/// A stack of keys to trim, each on one stack at most (`Record::queued`).
pub(crate) struct KeyStack(AtomicPtr<Waiting>);

impl KeyStack {
    pub(crate) fn new() -> KeyStack {
        KeyStack(AtomicPtr::new(ptr::null_mut()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::SeqCst).is_null()
    }

    /// Takes all keys.
    pub(crate) fn drain(&self) -> WaitingKeys {
        if self.is_empty() {
            return WaitingKeys(ptr::null_mut());
        }
        WaitingKeys(self.0.swap(ptr::null_mut(), Ordering::SeqCst))
    }

    pub(crate) fn push(&self, record: *const Record) {
        let node = Box::into_raw(Box::new(Waiting {
            record,
            next: ptr::null_mut(),
        }));
        let mut top = self.0.load(Ordering::Relaxed);
        loop {
            // SAFETY: not yet shared.
            unsafe { (*node).next = top };
            match self
                .0
                .compare_exchange(top, node, Ordering::SeqCst, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// Takes over keys that waited elsewhere.
    pub(crate) fn take_over(&self, keys: WaitingKeys) {
        for record in keys {
            self.push(record);
        }
    }
}

impl Drop for KeyStack {
    fn drop(&mut self) {
        drop(self.drain());
    }
}

/// One protected number or open range.
pub(crate) struct Slot {
    word: AtomicU64,
    later: KeyStack,
    /// Milliseconds since 1970 at which a snapshot was taken here.
    pub(crate) since_ms: AtomicU64,
    /// Whoever holds it has nothing of its own that rests on what it protects, so it can be ended
    /// without the holder's help. Set before the number.
    pub(crate) only_reads: AtomicBool,
}

impl Slot {
    pub(crate) fn new() -> Slot {
        Slot {
            word: AtomicU64::new(0),
            later: KeyStack::new(),
            since_ms: AtomicU64::new(0),
            only_reads: AtomicBool::new(false),
        }
    }

    /// Takes the slot if it is free; it then protects every number.
    pub(crate) fn reserve(&self) -> bool {
        self.word.load(Ordering::Relaxed) == 0
            && self
                .word
                .compare_exchange(0, RESERVED, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok()
    }

    /// From here on protects every number ≥ `from`. SeqCst: ordered against the scanner's load of
    /// the clock and then of the slots.
    pub(crate) fn protect_from(&self, from: Number) {
        self.word.store((from << 1) | 1, Ordering::SeqCst);
    }

    /// From here on protects `number` alone. Release is enough: it narrows what was protected.
    pub(crate) fn protect(&self, number: Number) {
        self.word.store(number << 1, Ordering::Release);
    }

    /// Frees the slot and returns the keys that waited for it. SeqCst: a pusher that saw the slot
    /// taken has its key seen here, or sees the slot changed itself.
    pub(crate) fn release(&self) -> WaitingKeys {
        self.word.store(0, Ordering::SeqCst);
        self.drain()
    }

    /// Takes the keys that wait here.
    pub(crate) fn drain(&self) -> WaitingKeys {
        self.later.drain()
    }

    /// Leaves a key here. If the slot has been freed meanwhile, perhaps before the key was there
    /// to be drained, all keys go to `elsewhere`, where they are looked at again.
    pub(crate) fn leave(&self, record: *const Record, elsewhere: &KeyStack) {
        self.later.push(record);
        if self.protects_nothing() {
            elsewhere.take_over(self.drain());
        }
    }

    fn word(&self) -> u64 {
        self.word.load(Ordering::SeqCst) & !ENDING
    }

    pub(crate) fn protects_nothing(&self) -> bool {
        self.word() == 0
    }

    /// The number of a snapshot that is held here and not being ended.
    pub(crate) fn snapshot(&self) -> Option<Number> {
        let word = self.word.load(Ordering::SeqCst);
        (word != 0 && word & (ENDING | 1) == 0).then_some(word >> 1)
    }

    /// Whether a snapshot is being ended here and still keeps what it protects.
    pub(crate) fn is_ending(&self) -> bool {
        let word = self.word.load(Ordering::SeqCst);
        word & ENDING != 0 && word != ENDED
    }

    /// Whether the holder may still read at `number`. To be asked under the pin of the access:
    /// SeqCst, so that who is answered yes is waited for by whoever ends the snapshot after.
    #[inline]
    pub(crate) fn is_held_at(&self, number: Number) -> bool {
        self.word.load(Ordering::SeqCst) == number << 1
    }

    /// Refuses whoever reads at `number` from here on. `false` if that snapshot is gone: numbers
    /// are drawn once, so another one's is not mistaken for it.
    pub(crate) fn begin_ending(&self, number: Number) -> bool {
        let (held, ending) = (number << 1, number << 1 | ENDING);
        self.word
            .compare_exchange(held, ending, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// Protects `number` no longer, once nobody is left who was reading when `begin_ending` was
    /// called. The slot stays its holder's.
    pub(crate) fn finish_ending(&self, number: Number) -> WaitingKeys {
        let ending = number << 1 | ENDING;
        match self
            .word
            .compare_exchange(ending, ENDED, Ordering::SeqCst, Ordering::SeqCst)
        {
            Ok(_) => self.drain(),
            Err(_) => WaitingKeys(ptr::null_mut()),
        }
    }
}

/// Keys taken from a slot's stack.
pub(crate) struct WaitingKeys(*mut Waiting);

impl Iterator for WaitingKeys {
    type Item = *const Record;

    fn next(&mut self) -> Option<*const Record> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: `push` boxed it, and the swap in `drain` made it ours alone.
        let node = unsafe { Box::from_raw(self.0) };
        self.0 = node.next;
        Some(node.record)
    }
}

impl Drop for WaitingKeys {
    fn drop(&mut self) {
        while self.next().is_some() {}
    }
}

/// A few slots on lines of their own.
#[repr(align(128))]
struct Block {
    slots: [Slot; SLOTS_PER_BLOCK],
    next: AtomicPtr<Block>,
}

impl Block {
    fn boxed() -> *mut Block {
        Box::into_raw(Box::new(Block {
            slots: std::array::from_fn(|_| Slot::new()),
            next: AtomicPtr::new(ptr::null_mut()),
        }))
    }
}

/// A thread's own slots; more are chained on when many snapshots are held at once, and stay.
pub(crate) struct Slots(*mut Block);

// SAFETY: a chain of blocks that only grows and is freed with its owner.
unsafe impl Send for Slots {}
// SAFETY: as above.
unsafe impl Sync for Slots {}

impl Slots {
    pub(crate) fn new() -> Slots {
        Slots(Block::boxed())
    }

    /// Takes a slot. It lives as long as `self`.
    pub(crate) fn reserve(&self) -> &Slot {
        let mut block = self.0;
        loop {
            // SAFETY: blocks live as long as `self`.
            let here = unsafe { &*block };
            if let Some(slot) = here.slots.iter().find(|slot| slot.reserve()) {
                return slot;
            }
            // Acquire: pairs with the Release half of the linking CAS.
            let next = here.next.load(Ordering::Acquire);
            block = if next.is_null() {
                Slots::grow(here)
            } else {
                next
            };
        }
    }

    fn grow(last: &Block) -> *mut Block {
        let fresh = Block::boxed();
        match last.next.compare_exchange(
            ptr::null_mut(),
            fresh,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => fresh,
            Err(won) => {
                // SAFETY: never shared.
                drop(unsafe { Box::from_raw(fresh) });
                won
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        let mut block = self.0.cast_const();
        std::iter::from_fn(move || {
            if block.is_null() {
                return None;
            }
            // SAFETY: blocks live as long as `self`.
            let here = unsafe { &*block };
            block = here.next.load(Ordering::Acquire);
            Some(here.slots.iter())
        })
        .flatten()
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        let mut block = self.0;
        while !block.is_null() {
            // SAFETY: made by `Block::boxed`, reached by nobody else any more.
            let mut own = unsafe { Box::from_raw(block) };
            block = *own.next.get_mut();
        }
    }
}

/// A number, or the start of an open range, and the slot that protects it.
#[derive(Clone, Copy)]
pub(crate) struct Protector {
    number: Number,
    is_open: bool,
    pub(crate) slot: *const Slot,
}

impl Protector {
    /// Whether the slot still says what it said.
    pub(crate) fn still_stands(&self) -> bool {
        // SAFETY: slots live as long as the store's threads list.
        unsafe { &*self.slot }.word() == (self.number << 1) | u64::from(self.is_open)
    }
}

/// What was protected at one moment. Safe for every interval that ends at or before `clock`:
/// whoever registers later protects later numbers only.
#[derive(Default)]
pub(crate) struct Scan {
    pub(crate) clock: Number,
    /// Sorted single numbers, each with its slot.
    numbers: Vec<Protector>,
    /// The lowest start of an open range, with its slot.
    open: Option<Protector>,
}

impl Scan {
    pub(crate) fn clear(&mut self, clock: Number) {
        self.clock = clock;
        self.numbers.clear();
        self.open = None;
    }

    pub(crate) fn add(&mut self, slot: &Slot) {
        let word = slot.word();
        if word == 0 {
            return;
        }
        let found = Protector {
            number: word >> 1,
            is_open: word & 1 == 1,
            slot,
        };
        if !found.is_open {
            self.numbers.push(found);
        } else if self.open.is_none_or(|lowest| found.number < lowest.number) {
            self.open = Some(found);
        }
    }

    pub(crate) fn finish(&mut self) {
        self.numbers.sort_unstable_by_key(|entry| entry.number);
    }

    /// Who protects some number x with `after < x <= upto`.
    pub(crate) fn protector(&self, after: Number, upto: Number) -> Option<Protector> {
        if let Some(open) = self.open
            && open.number <= upto
            && !fault!("cut without the open range")
        {
            return Some(open);
        }
        let first = self.numbers.partition_point(|entry| entry.number <= after);
        self.numbers
            .get(first)
            .filter(|entry| {
                entry.number < upto || entry.number == upto && !fault!("cut one too many")
            })
            .copied()
    }
}

/// Set while nobody uses the thread state: a new thread may take it over.
pub(crate) type Vacant = AtomicBool;
