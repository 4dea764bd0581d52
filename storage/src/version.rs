//! One version of a key: a header and, behind it in the same block, what it holds.
//!
//! Stamp word, bits 1..0: whole word 0 = unstamped (private or just installed); `01` committed,
//! the number in the bits above; `10` the address of the descriptor that owns it; `11` aborted.
//! Everything but `stamp` and `older` is written before the version can be seen by others and
//! never after (a tree's dead list excepted: its own rules stand in `value`).

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr;

use crate::descriptor::Descriptor;
use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::value::{TreeState, Type, ValueRef};

/// A place in the commit order. Several commits on different keys may share one.
pub(crate) type Number = u64;

const COMMITTED: u64 = 0b01;
const OWNED: u64 = 0b10;
/// The stamp of a version that never became part of its key's history.
pub(crate) const ABORTED: u64 = 0b11;
/// The stamp of a version that is private or was installed a moment ago.
pub(crate) const UNSTAMPED: u64 = 0;

const HAS_DEADLINE: u8 = 1;
const HAS_TREE: u8 = 2;
const TOMBSTONE: u8 = 0;
/// The bit beside a version's reason that says that fields past their deadlines went with it.
const TOOK_PAST_FIELDS: u8 = 0x80;

/// Why a version came to be; part of the effects stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reason {
    /// A command wrote or deleted the key.
    Command,
    /// The key's deadline had passed.
    Expired,
}

/// What a stamp word says.
pub(crate) enum Stamp {
    Unstamped,
    Committed(Number),
    Owned(*const Descriptor),
    Aborted,
}

pub(crate) fn committed_word(number: Number) -> u64 {
    (number << 2) | COMMITTED
}

pub(crate) fn owned_word(descriptor: *const Descriptor) -> u64 {
    descriptor.expose_provenance() as u64 | OWNED
}

pub(crate) fn read_stamp(word: u64) -> Stamp {
    match word & 3 {
        0 => Stamp::Unstamped,
        COMMITTED => Stamp::Committed(word >> 2),
        OWNED => Stamp::Owned(ptr::with_exposed_provenance((word & !3) as usize)),
        _ => Stamp::Aborted,
    }
}

#[repr(C)]
pub(crate) struct Version {
    pub(crate) stamp: AtomicU64,
    pub(crate) older: AtomicPtr<Version>,
    /// Lamport number: orders what shares a commit number, along keys and along threads.
    pub(crate) lamport: u64,
    length: u32,
    kind: u8,
    encoding: u8,
    present: u8,
    reason: u8,
}

/// The earlier of two deadlines, of which 0 is none.
pub(crate) fn earlier(one_ms: u64, other_ms: u64) -> u64 {
    match (one_ms, other_ms) {
        (0, only) | (only, 0) => only,
        _ => one_ms.min(other_ms),
    }
}

impl Version {
    fn layout(present: u8, length: usize) -> Layout {
        let optional = 8 * (present.count_ones() as usize);
        let size = size_of::<Version>() + optional + length;
        // The size is bounded by flat values' lengths, far below isize::MAX.
        Layout::from_size_align(size, align_of::<Version>())
            .unwrap_or_else(|_| handle_alloc_error(Layout::new::<Version>()))
    }

    fn allocate(
        kind: u8,
        encoding: u8,
        deadline_ms: u64,
        tree: *mut TreeState,
        flat: &[u8],
        reason: Reason,
    ) -> *mut Version {
        let mut present = 0;
        if deadline_ms != 0 {
            present |= HAS_DEADLINE;
        }
        if !tree.is_null() {
            present |= HAS_TREE;
        }
        let layout = Version::layout(present, flat.len());
        // SAFETY: the layout's size is not zero.
        let block = unsafe { alloc(layout) };
        if block.is_null() {
            handle_alloc_error(layout);
        }
        let version = block.cast::<Version>();
        // SAFETY: the block is fresh, aligned and large enough for the header, the optional words
        // that `present` names, and `flat`.
        unsafe {
            version.write(Version {
                stamp: AtomicU64::new(UNSTAMPED),
                older: AtomicPtr::new(ptr::null_mut()),
                lamport: 0,
                length: flat.len() as u32,
                kind,
                encoding,
                present,
                reason: reason as u8,
            });
            let mut at = version.add(1).cast::<u64>();
            if deadline_ms != 0 {
                at.write(deadline_ms);
                at = at.add(1);
            }
            if !tree.is_null() {
                at.cast::<*mut TreeState>().write(tree);
                at = at.add(1);
            }
            ptr::copy_nonoverlapping(flat.as_ptr(), at.cast::<u8>(), flat.len());
        }
        version
    }

    /// A private version that says the key is not there. `tree` (may be null) carries the dead
    /// list of a large value that it replaces.
    pub(crate) fn tombstone(reason: Reason, tree: *mut TreeState) -> *mut Version {
        Version::allocate(TOMBSTONE, 0, 0, tree, &[], reason)
    }

    /// A private version that holds a flat value until `deadline_ms` (0: for ever), with `tree` as
    /// for a tombstone.
    pub(crate) fn flat(
        kind: Type,
        encoding: u8,
        bytes: &[u8],
        deadline_ms: u64,
        tree: *mut TreeState,
    ) -> *mut Version {
        Version::allocate(
            kind as u8,
            encoding,
            deadline_ms,
            tree,
            bytes,
            Reason::Command,
        )
    }

    /// A private version that holds a large value until `deadline_ms` (0: for ever), or until the last
    /// field of a hash expires.
    pub(crate) fn large(mut state: Box<TreeState>, deadline_ms: u64) -> *mut Version {
        state.key_deadline_ms = deadline_ms;
        let deadline_ms = earlier(deadline_ms, state.fields_until_ms());
        let kind = ValueRef::from_tree(&state).kind() as u8;
        Version::allocate(
            kind,
            0,
            deadline_ms,
            Box::into_raw(state),
            &[],
            Reason::Command,
        )
    }

    /// A private copy of a version without roots, with another state for its dead list.
    pub(crate) fn with_tree(source: &Version, tree: *mut TreeState) -> *mut Version {
        debug_assert!(source.tree().is_null() || source.kind == TOMBSTONE || source.length > 0);
        let copy = Version::allocate(
            source.kind,
            source.encoding,
            source.deadline_ms(),
            tree,
            source.bytes(),
            source.reason(),
        );
        // SAFETY: made just now, and private.
        unsafe { (*copy).reason = source.reason };
        copy
    }

    fn optional(&self, index: usize) -> *const u64 {
        // SAFETY: callers ask only for words that `present` names.
        unsafe { ptr::from_ref(self).add(1).cast::<u64>().add(index) }
    }

    /// When the key expires, in milliseconds since 1970; 0 = never.
    #[inline]
    pub(crate) fn deadline_ms(&self) -> u64 {
        if self.present & HAS_DEADLINE == 0 {
            return 0;
        }
        // SAFETY: the word is there, and is never written again.
        unsafe { *self.optional(0) }
    }

    /// When the key expires by what it was told, whatever the fields of its hash do; 0 = never.
    #[inline]
    pub(crate) fn key_deadline_ms(&self) -> u64 {
        match self.timed_fields() {
            Some(state) => state.key_deadline_ms,
            None => self.deadline_ms(),
        }
    }

    /// The state of a hash of which fields have deadlines.
    #[inline]
    pub(crate) fn timed_fields(&self) -> Option<&TreeState> {
        if self.kind != Type::Hash as u8 || self.present & HAS_TREE == 0 {
            return None;
        }
        self.value().and_then(ValueRef::timed_fields)
    }

    /// Until when all that is seen of the version after `now_ms` stays as it is; 0 = for ever.
    pub(crate) fn unchanged_until_ms(&self, now_ms: u64) -> u64 {
        let next = self
            .timed_fields()
            .and_then(|state| state.next_field_deadline_ms(now_ms));
        earlier(self.deadline_ms(), next.unwrap_or(0))
    }

    /// The tree's state, if the version has one (a tombstone may, for its dead list).
    #[inline]
    pub(crate) fn tree(&self) -> *mut TreeState {
        if self.present & HAS_TREE == 0 {
            return ptr::null_mut();
        }
        let index = usize::from(self.present & HAS_DEADLINE);
        // SAFETY: the word is there, and is never written again.
        unsafe { *self.optional(index).cast::<*mut TreeState>() }
    }

    /// The version no longer has its tree's state: somebody else took it over.
    pub(crate) fn forget_tree(&mut self) {
        let index = usize::from(self.present & HAS_DEADLINE);
        debug_assert!(!self.tree().is_null());
        // SAFETY: the word is there; the version is private to the caller.
        unsafe {
            self.optional(index)
                .cast_mut()
                .cast::<*mut TreeState>()
                .write(ptr::null_mut())
        };
    }

    /// A flat value's bytes.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        let start = self
            .optional(self.present.count_ones() as usize)
            .cast::<u8>();
        // SAFETY: `allocate` put `length` bytes behind the optional words.
        unsafe { std::slice::from_raw_parts(start, self.length as usize) }
    }

    pub(crate) fn is_tombstone(&self) -> bool {
        self.kind == TOMBSTONE
    }

    pub(crate) fn reason(&self) -> Reason {
        if self.reason & !TOOK_PAST_FIELDS == Reason::Expired as u8 {
            Reason::Expired
        } else {
            Reason::Command
        }
    }

    /// Whether fields of a hash that were past their deadlines were removed with this version.
    pub(crate) fn took_past_fields(&self) -> bool {
        self.reason & TOOK_PAST_FIELDS != 0
    }

    /// Says that they were, of a private version.
    pub(crate) fn take_past_fields(&mut self) {
        self.reason |= TOOK_PAST_FIELDS;
    }

    /// Whether a deadline that stands is that of a hash's last field, not the key's own.
    pub(crate) fn ends_by_fields(&self) -> bool {
        self.deadline_ms() != self.key_deadline_ms()
    }

    /// Whether the key is there at `now_ms`.
    #[inline]
    pub(crate) fn is_alive(&self, now_ms: u64) -> bool {
        !self.is_tombstone() && !self.is_expired(now_ms)
    }

    /// Whether a deadline stands and has passed.
    #[inline]
    pub(crate) fn is_expired(&self, now_ms: u64) -> bool {
        let deadline_ms = self.deadline_ms();
        deadline_ms != 0 && now_ms >= deadline_ms
    }

    /// What the version holds; `None` for a tombstone.
    #[inline]
    pub(crate) fn value(&self) -> Option<ValueRef<'_>> {
        if self.is_tombstone() {
            return None;
        }
        let tree = self.tree();
        if !tree.is_null() {
            // SAFETY: a version's tree lives as long as the version.
            let state = unsafe { &*tree };
            if state.has_roots() {
                return Some(ValueRef::from_tree(state));
            }
        }
        Some(ValueRef::from_flat(
            self.kind(),
            self.encoding,
            self.bytes(),
        ))
    }

    /// Asks the cache for what a lookup of an element in a large collection will touch.
    pub(crate) fn prefetch(&self, element: &[u8]) {
        // SAFETY: a version's tree lives as long as the version.
        if let Some(state) = unsafe { self.tree().as_ref() } {
            state.prefetch(element);
        }
    }

    fn kind(&self) -> Type {
        match self.kind {
            1 => Type::String,
            2 => Type::List,
            3 => Type::Set,
            4 => Type::SortedSet,
            5 => Type::Hash,
            _ => Type::Stream,
        }
    }

    /// The commit number, if the version has one.
    pub(crate) fn number(&self) -> Option<Number> {
        // Acquire: pairs with the stamping CAS, so that what the number promises is visible.
        match read_stamp(self.stamp.load(Ordering::Acquire)) {
            Stamp::Committed(number) => Some(number),
            _ => None,
        }
    }

    /// Bytes of the block itself.
    pub(crate) fn block_bytes(&self) -> usize {
        Version::layout(self.present, self.length as usize).size()
    }

    /// Gives the block back, and nothing of a tree.
    ///
    /// # Safety
    /// Nobody may reach the version any more.
    pub(crate) unsafe fn free_block(version: *mut Version) {
        // SAFETY: the caller's promise.
        let layout = unsafe { Version::layout((*version).present, (*version).length as usize) };
        // SAFETY: allocated by `allocate` with this layout.
        unsafe { dealloc(version.cast::<u8>(), layout) };
    }

    /// Gives back a version that was never committed, with the nodes that it alone made.
    ///
    /// # Safety
    /// Nobody may reach the version any more.
    pub(crate) unsafe fn free_aborted(version: *mut Version) {
        // SAFETY: the caller's promise; the state was boxed by whoever made the version.
        unsafe {
            let tree = (*version).tree();
            if !tree.is_null() {
                TreeState::abort(Box::from_raw(tree));
            }
            Version::free_block(version);
        }
    }
}
