//! loom's atomics, with the face of the standard library's: a load may read whatever the memory
//! model lets it read, and `models` go through all of it.
//!
//! loom takes a sequentially consistent access for one that only acquires and releases. Here such
//! a load reads no value that is older than the last sequentially consistent store: the order of
//! all these accesses is the order in which the execution makes them. loom lets a failing
//! compare-and-swap read the newest value alone; here it may read an older one, unless its
//! ordering forbids it. And loom does not know that nothing comes between what a swap reads and
//! what it stores; here values follow each other as the execution stores them.
//!
//! So three things are stronger than the memory model: fences that are sequentially consistent
//! synchronize with each other; a store goes on with the release sequence before it; and a
//! sequentially consistent store is never late for a load that is, whatever comes between them.
//!
//! Whoever drops an atomic must come after everybody who used it; loom ends the model if not.

use std::cell::{Cell, RefCell};
use std::env;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::OnceLock;
use std::thread::panicking;

use loom::sync::atomic::AtomicU64 as Word;

pub(crate) use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};
pub(crate) use std::sync::atomic::compiler_fence;

/// What no model stores.
const NEVER: u64 = 0x9e37_79b9_7f4a_7c15;

/// What fits into loom's word.
pub(crate) trait Bits: Copy {
    fn bits(self) -> u64;
    fn of(bits: u64) -> Self;
}

macro_rules! numbers {
    ($($value:ty)*) => {$(
        impl Bits for $value {
            fn bits(self) -> u64 {
                self as u64
            }

            fn of(bits: u64) -> $value {
                bits as $value
            }
        }

        impl Number for $value {}
    )*};
}

numbers! { u8 u32 u64 usize }

/// What can be added to.
pub(crate) trait Number: Bits {}

impl Bits for bool {
    fn bits(self) -> u64 {
        u64::from(self)
    }

    fn of(bits: u64) -> bool {
        bits != 0
    }
}

impl<T> Bits for *mut T {
    fn bits(self) -> u64 {
        self.expose_provenance() as u64
    }

    fn of(bits: u64) -> *mut T {
        std::ptr::with_exposed_provenance_mut(bits as usize)
    }
}

/// The ordering of an access, or a weaker one for the place that `WEAKEN` names: `ring.rs:91`, or
/// `ring.rs:91=Release`. So it shows whether the models need it.
#[track_caller]
fn meant(ordering: Ordering) -> Ordering {
    static WEAKENED: OnceLock<String> = OnceLock::new();
    let weakened = WEAKENED.get_or_init(|| env::var("WEAKEN").unwrap_or_default());
    let (place, to) = weakened.split_once('=').unwrap_or((weakened, "Relaxed"));
    let here = Location::caller();
    let is_here = place
        .rsplit_once(':')
        .is_some_and(|(file, line)| here.file().ends_with(file) && line.parse() == Ok(here.line()));
    match to {
        _ if !is_here => ordering,
        "AcqRel" => AcqRel,
        "Acquire" => Acquire,
        "Release" => Release,
        _ => Relaxed,
    }
}

/// What a load can have of an ordering.
fn of_load(ordering: Ordering) -> Ordering {
    match ordering {
        AcqRel => Acquire,
        Release => Relaxed,
        other => other,
    }
}

/// As the standard library's.
#[track_caller]
pub(crate) fn fence(ordering: Ordering) {
    let ordering = meant(ordering);
    if ordering != Relaxed {
        loom::sync::atomic::fence(ordering);
    }
}

/// The strongest that loom knows of.
fn known(ordering: Ordering) -> Ordering {
    match ordering {
        SeqCst => AcqRel,
        other => other,
    }
}

/// See the module's text.
pub(crate) struct Atomic<T: Bits> {
    word: Word,
    /// What `load` is ordered by, and nothing else.
    turn: Word,
    /// The last value that was stored by a sequentially consistent access, and what was stored
    /// since.
    recent: RefCell<Vec<u64>>,
    /// What `get_mut` has lent.
    lent: Cell<Option<T>>,
    value: PhantomData<T>,
}

// SAFETY: loom's threads are continuations of one real thread, and no access of loom's, where
// another one may go on, lies inside a use of the cells.
unsafe impl<T: Bits> Send for Atomic<T> {}
// SAFETY: as above.
unsafe impl<T: Bits> Sync for Atomic<T> {}

impl<T: Bits> Atomic<T> {
    pub(crate) fn new(value: T) -> Atomic<T> {
        Atomic {
            word: Word::new(value.bits()),
            turn: Word::new(0),
            recent: RefCell::new(vec![value.bits()]),
            lent: Cell::new(None),
            value: PhantomData,
        }
    }

    fn word(&self) -> &Word {
        if let Some(value) = self.lent.take() {
            self.word.store(value.bits(), Relaxed);
            self.stored(value.bits(), SeqCst);
        }
        &self.word
    }

    /// Notes what has just been stored.
    fn stored(&self, bits: u64, ordering: Ordering) {
        let mut recent = self.recent.borrow_mut();
        if ordering == SeqCst {
            recent.clear();
        }
        recent.push(bits);
    }

    /// A load as loom has it. loom compares a store with the last access before it alone, so with
    /// two loads before it, it would not look for executions in which the store comes before the
    /// first: to it, loads are in no order. A swap that fails is.
    fn loaded(&self, ordering: Ordering) -> u64 {
        let word = self.word();
        let _ = self.turn.compare_exchange(NEVER, NEVER, Relaxed, Relaxed);
        word.load(ordering)
    }

    /// The newest value.
    fn newest(&self) -> u64 {
        // Fails; and if it did not, the value would be the same.
        self.word()
            .compare_exchange(NEVER, NEVER, Acquire, Acquire)
            .unwrap_or_else(|bits| bits)
    }

    #[track_caller]
    pub(crate) fn load(&self, ordering: Ordering) -> T {
        let ordering = of_load(meant(ordering));
        if ordering != SeqCst {
            return T::of(self.loaded(ordering));
        }
        if self.recent.borrow().len() == 1 {
            return T::of(self.newest());
        }
        let bits = self.loaded(Acquire);
        let is_recent = self.recent.borrow().contains(&bits);
        T::of(if is_recent { bits } else { self.newest() })
    }

    #[track_caller]
    pub(crate) fn store(&self, value: T, ordering: Ordering) {
        let ordering = meant(ordering);
        let known = match ordering {
            Relaxed | Acquire => Relaxed,
            _ => Release,
        };
        self.word().swap(value.bits(), known);
        self.stored(value.bits(), ordering);
    }

    #[track_caller]
    pub(crate) fn swap(&self, value: T, ordering: Ordering) -> T {
        let ordering = meant(ordering);
        let before = self.word().swap(value.bits(), known(ordering));
        self.stored(value.bits(), ordering);
        T::of(before)
    }

    #[track_caller]
    pub(crate) fn compare_exchange(
        &self,
        expected: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<T, T> {
        let (success, failure) = (meant(success), of_load(meant(failure)));
        if failure != SeqCst {
            let bits = self.loaded(failure);
            if bits != expected.bits() {
                return Err(T::of(bits));
            }
        }
        let (expected, new) = (expected.bits(), new.bits());
        let result = self
            .word()
            .compare_exchange(expected, new, known(success), known(failure));
        if result.is_ok() {
            self.stored(new, success);
        }
        result.map(T::of).map_err(T::of)
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.word();
        let value = T::of(self.word.with_mut(|bits| *bits));
        self.lent.get_mut().insert(value)
    }
}

macro_rules! changes {
    ($($name:ident: $change:expr,)*) => {$(
        #[track_caller]
        pub(crate) fn $name(&self, by: T, ordering: Ordering) -> T {
            let change: fn(u64, u64) -> u64 = $change;
            let ordering = meant(ordering);
            let before = self.word().$name(by.bits(), known(ordering));
            self.stored(change(before, by.bits()), ordering);
            T::of(before)
        }
    )*};
}

impl<T: Number> Atomic<T> {
    changes! {
        fetch_add: u64::wrapping_add,
        fetch_sub: u64::wrapping_sub,
        fetch_or: |before, bits| before | bits,
        fetch_max: u64::max,
    }
}

impl<T: Bits + Default> Default for Atomic<T> {
    fn default() -> Atomic<T> {
        Atomic::new(T::default())
    }
}

impl<T: Bits> Drop for Atomic<T> {
    fn drop(&mut self) {
        if !panicking() {
            self.word.with_mut(|_| ());
        }
    }
}

pub(crate) type AtomicBool = Atomic<bool>;
pub(crate) type AtomicU8 = Atomic<u8>;
pub(crate) type AtomicU32 = Atomic<u32>;
pub(crate) type AtomicU64 = Atomic<u64>;
pub(crate) type AtomicUsize = Atomic<usize>;
pub(crate) type AtomicPtr<T> = Atomic<*mut T>;
