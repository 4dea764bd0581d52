//! A thread's announcements: an unbounded queue with one producer (the thread) and one consumer
//! (whoever merges the effects stream). Bounded in practice by the producers, which try to merge
//! when it grows long.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;

use crate::descriptor::Descriptor;
use crate::record::Record;
use crate::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use crate::sync::sized;
use crate::version::Version;

const SEGMENT_ENTRIES: usize = sized(254, 2);

/// What a thread is about to commit.
#[derive(Clone, Copy)]
pub(crate) enum Announced {
    /// A single write: its record and its version.
    Single(*const Record, *mut Version),
    /// A multi-key commit.
    Descriptor(*const Descriptor),
}

struct Segment {
    entries: UnsafeCell<[MaybeUninit<Announced>; SEGMENT_ENTRIES]>,
    /// How many entries are written.
    filled: AtomicUsize,
    next: AtomicPtr<Segment>,
}

impl Segment {
    fn boxed() -> *mut Segment {
        Box::into_raw(Box::new(Segment {
            entries: UnsafeCell::new([const { MaybeUninit::uninit() }; SEGMENT_ENTRIES]),
            filled: AtomicUsize::new(0),
            next: AtomicPtr::new(ptr::null_mut()),
        }))
    }
}

/// See the module's text.
pub(crate) struct Ring {
    /// Touched by the producer alone.
    tail: UnsafeCell<*mut Segment>,
    /// Touched by the consumer alone: the segment and how many of its entries were taken.
    head: UnsafeCell<(*mut Segment, usize)>,
    /// Entries not yet taken; advisory.
    length: AtomicUsize,
}

// SAFETY: the producer's and the consumer's parts are each used by one thread at a time (the
// thread that owns the state; the holder of the merger's role).
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Ring {
    pub(crate) fn new() -> Ring {
        let first = Segment::boxed();
        Ring {
            tail: UnsafeCell::new(first),
            head: UnsafeCell::new((first, 0)),
            length: AtomicUsize::new(0),
        }
    }

    /// # Safety
    /// Only the owning thread may call this.
    pub(crate) unsafe fn push(&self, entry: Announced) {
        // SAFETY: the caller is the only producer.
        let tail = unsafe { &mut *self.tail.get() };
        // SAFETY: segments are freed by the consumer only once a next one is linked.
        let mut segment = unsafe { &**tail };
        let mut filled = segment.filled.load(Ordering::Relaxed);
        if filled == SEGMENT_ENTRIES {
            let fresh = Segment::boxed();
            segment.next.store(fresh, Ordering::Release);
            *tail = fresh;
            // SAFETY: just made.
            segment = unsafe { &*fresh };
            filled = 0;
        }
        // SAFETY: entries from `filled` on belong to the producer.
        unsafe { (*segment.entries.get())[filled].write(entry) };
        self.length.fetch_add(1, Ordering::Relaxed);
        // SeqCst: announced before installed, against the merger's clock advance and then load.
        segment.filled.store(filled + 1, Ordering::SeqCst);
    }

    /// The oldest entry.
    ///
    /// # Safety
    /// Only the holder of the merger's role may call this.
    pub(crate) unsafe fn peek(&self) -> Option<Announced> {
        // SAFETY: the caller is the only consumer.
        let head = unsafe { &mut *self.head.get() };
        loop {
            // SAFETY: the consumer's own segment.
            let segment = unsafe { &*head.0 };
            if head.1 < segment.filled.load(Ordering::SeqCst) {
                // SAFETY: entries below `filled` are written and never change.
                return Some(unsafe { (*segment.entries.get())[head.1].assume_init() });
            }
            // Acquire: pairs with the Release of the linking store.
            let next = segment.next.load(Ordering::Acquire);
            if head.1 < SEGMENT_ENTRIES || next.is_null() {
                return None;
            }
            let done = head.0;
            *head = (next, 0);
            // SAFETY: full, wholly taken, and the producer has moved on to its successor.
            drop(unsafe { Box::from_raw(done) });
        }
    }

    /// Takes what `peek` showed.
    ///
    /// # Safety
    /// As for `peek`, right after it returned something.
    pub(crate) unsafe fn pop(&self) {
        // SAFETY: the caller is the only consumer.
        unsafe { (*self.head.get()).1 += 1 };
        self.length.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn len(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let mut segment = self.head.get_mut().0;
        while !segment.is_null() {
            // SAFETY: nobody else is left.
            let mut own = unsafe { Box::from_raw(segment) };
            segment = *own.next.get_mut();
        }
    }
}
