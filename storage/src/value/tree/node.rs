//! Nodes and long elements: blocks of memory that are built once, and changed only by the version
//! that made them, while it is private.
//!
//! Leaf: a word for each entry (keyed trees only), where each entry ends, the entries, room. Inner node:
//! a word, a link and a count of entries for each child. An entry is the length of its key, the
//! key, the value; one that is too long lies in a block of its own, named with its birth.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ptr;

use super::build::entry_overhead;
use crate::directory::prefetch_line;

/// What a node may take, its header apart.
pub(super) const LEAF_BYTES_MAX: usize = 1000;
pub(super) const CHILDREN_MAX: usize = 64;
/// Head, words and ends of a leaf of entries that are not very short. All of the leaf would be more than
/// the processor can wait for at once.
const SEARCHED_BYTES: usize = 320;
const CACHE_LINE_BYTES: usize = 64;
const LEAF_BYTES_MIN: usize = LEAF_BYTES_MAX / 4;
const CHILDREN_MIN: usize = CHILDREN_MAX / 4;
/// Entries up to this many bytes lie in their leaf.
pub(super) const INLINE_BYTES_MAX: usize = 128;
pub(super) const LONG_MARK: u8 = u8::MAX;
pub(super) const LONG_BYTES: usize = 1 + 8 + 8;
/// For each child: word, link, count.
pub(super) const CHILD_BYTES: usize = 24;

/// The head of a node; its body lies behind it.
#[repr(C)]
pub(crate) struct Node {
    /// The id of the version that made it.
    pub(super) birth: u64,
    /// What the block takes; a leaf may have room for more entries.
    pub(super) size: u32,
    pub(super) length: u16,
    pub(super) level: u8,
    pub(super) keyed: bool,
    /// Whether there may be long entries in a leaf.
    pub(super) has_long: bool,
}

/// The head of a long entry; key and value lie behind it.
#[repr(C)]
pub(crate) struct Long {
    pub(super) size: usize,
    pub(super) key_length: usize,
}

pub(super) const HEADER: usize = size_of::<Node>();
/// What the block of a long entry takes besides key and value.
pub(crate) const LONG_HEAD_BYTES: usize = size_of::<Long>();

#[cfg(test)]
thread_local! {
    /// Blocks that this thread has made and not freed.
    pub(crate) static LIVE: std::cell::Cell<isize> = const { std::cell::Cell::new(0) };
}

pub(super) fn allocate(size: usize) -> *mut u8 {
    #[cfg(test)]
    LIVE.set(LIVE.get() + 1);
    let Ok(layout) = Layout::from_size_align(size, 8) else {
        handle_alloc_error(Layout::new::<Node>())
    };
    // SAFETY: no block is empty, each has a header.
    let block = unsafe { alloc(layout) };
    if block.is_null() {
        handle_alloc_error(layout);
    }
    block
}

/// # Safety
/// `block` comes from `allocate(size)`, and nobody uses it any more.
unsafe fn release(block: *mut u8, size: usize) {
    #[cfg(test)]
    LIVE.set(LIVE.get() - 1);
    // SAFETY: the caller's promise; `allocate` took the same layout.
    unsafe { dealloc(block, Layout::from_size_align_unchecked(size, 8)) };
}

/// # Safety
/// Nobody reaches the node any more.
pub(super) unsafe fn free_node(node: *mut Node) {
    // SAFETY: the caller's promise.
    unsafe { release(node.cast(), (*node).size as usize) };
}

/// # Safety
/// Nobody reaches the block any more.
pub(super) unsafe fn free_long(long: *mut Long) {
    // SAFETY: the caller's promise.
    unsafe { release(long.cast(), (*long).size) };
}

/// A pointer to a node (or null), with a mark: "born with what holds the link".
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Link(*mut Node);

impl Link {
    pub(super) const NULL: Link = Link(ptr::null_mut());

    pub(super) fn marked(node: *mut Node) -> Link {
        Link(node.map_addr(|address| address | 1))
    }

    pub(super) fn unmarked(self) -> Link {
        Link(self.node())
    }

    pub(super) fn is_marked(self) -> bool {
        self.0.addr() & 1 == 1
    }

    pub(super) fn node(self) -> *mut Node {
        self.0.map_addr(|address| address & !1)
    }

    pub(super) fn is_null(self) -> bool {
        self.node().is_null()
    }
}

/// A long entry as its leaf names it.
#[derive(Clone, Copy)]
pub(super) struct LongRef {
    pub(super) block: *mut Long,
    pub(super) birth: u64,
}

impl LongRef {
    pub(super) fn size(self) -> usize {
        // SAFETY: whoever holds a leaf keeps its long entries.
        unsafe { (*self.block).size }
    }
}

/// A child as its parent describes it.
#[derive(Clone, Copy)]
pub(super) struct Child {
    pub(super) link: Link,
    pub(super) word: u64,
    pub(super) count: u64,
}

impl Child {
    /// A node just made by the version that will hold it.
    pub(super) fn made(node: *mut Node) -> Child {
        // SAFETY: just built.
        let view = unsafe { NodeRef::new(node) };
        Child {
            link: Link::marked(node),
            word: view.first_word(),
            count: view.count(),
        }
    }

    pub(super) fn node<'a>(self) -> NodeRef<'a> {
        // SAFETY: the links of a tree lead to nodes that live as long as what holds them.
        unsafe { NodeRef::new(self.link.node()) }
    }
}

/// A node to be read.
#[derive(Clone, Copy)]
pub(crate) struct NodeRef<'a> {
    node: *mut Node,
    lifetime: PhantomData<&'a Node>,
}

impl<'a> NodeRef<'a> {
    /// # Safety
    /// The node lives for `'a`, and is changed in that time only by the caller.
    pub(crate) unsafe fn new(node: *mut Node) -> NodeRef<'a> {
        NodeRef {
            node,
            lifetime: PhantomData,
        }
    }

    fn header(self) -> &'a Node {
        // SAFETY: by the promise of `new`.
        unsafe { &*self.node }
    }

    pub(super) fn pointer(self) -> *mut Node {
        self.node
    }

    pub(super) fn birth(self) -> u64 {
        self.header().birth
    }

    pub(super) fn size(self) -> usize {
        self.header().size as usize
    }

    /// Entries of a leaf, children of an inner node.
    #[inline]
    pub(super) fn len(self) -> usize {
        usize::from(self.header().length)
    }

    pub(super) fn level(self) -> usize {
        usize::from(self.header().level)
    }

    pub(super) fn is_leaf(self) -> bool {
        self.header().level == 0
    }

    pub(super) fn keyed(self) -> bool {
        self.header().keyed
    }

    pub(super) fn has_long(self) -> bool {
        self.header().has_long
    }

    /// Asks the cache for what a search looks at first in a leaf.
    pub(super) fn prefetch(self) {
        for offset in (0..SEARCHED_BYTES).step_by(CACHE_LINE_BYTES) {
            prefetch_line(self.node.cast::<u8>().wrapping_add(offset));
        }
    }

    fn body(self) -> *mut u8 {
        self.node.cast::<u8>().wrapping_add(HEADER)
    }

    /// The words of the entries or children; none in a leaf of a tree by position.
    #[inline]
    pub(super) fn words(self) -> &'a [u64] {
        let count = if self.is_leaf() && !self.keyed() {
            0
        } else {
            self.len()
        };
        // SAFETY: the body starts with so many words, aligned since the header is.
        unsafe { std::slice::from_raw_parts(self.body().cast(), count) }
    }

    pub(super) fn word(self, index: usize) -> u64 {
        self.words().get(index).copied().unwrap_or_default()
    }

    fn first_word(self) -> u64 {
        self.word(0)
    }

    pub(super) fn ends(self) -> &'a [u16] {
        let skipped = 8 * self.words().len();
        // SAFETY: the ends lie behind the words of a leaf.
        unsafe { std::slice::from_raw_parts(self.body().wrapping_add(skipped).cast(), self.len()) }
    }

    /// Where the bytes of an entry lie, from the start of the leaf's entries.
    pub(super) fn span(self, index: usize) -> (usize, usize) {
        let ends = self.ends();
        let start = if index == 0 {
            0
        } else {
            usize::from(ends[index - 1])
        };
        (start, usize::from(ends[index]))
    }

    fn entries(self) -> *mut u8 {
        self.body()
            .wrapping_add(8 * self.words().len() + 2 * self.len())
    }

    /// The bytes of the entries from `from` to below `to`.
    pub(super) fn stored(self, from: usize, to: usize) -> &'a [u8] {
        if from >= to {
            return &[];
        }
        let (start, end) = (self.span(from).0, self.span(to - 1).1);
        // SAFETY: the spans lie inside the leaf.
        unsafe { std::slice::from_raw_parts(self.entries().wrapping_add(start), end - start) }
    }

    /// The long entry at `index`, if it is one.
    pub(super) fn long(self, index: usize) -> Option<LongRef> {
        let stored = self.stored(index, index + 1);
        if stored.first() != Some(&LONG_MARK) {
            return None;
        }
        let at = stored.as_ptr().wrapping_add(1);
        // SAFETY: a long entry holds a pointer and a birth behind its mark, unaligned.
        Some(unsafe {
            LongRef {
                block: at.cast::<*mut Long>().read_unaligned(),
                birth: at.wrapping_add(8).cast::<u64>().read_unaligned(),
            }
        })
    }

    /// Key and value of an entry.
    #[inline]
    pub(super) fn entry(self, index: usize) -> (&'a [u8], &'a [u8]) {
        if let Some(long) = self.long(index) {
            // SAFETY: a long entry lives as long as a leaf that names it.
            return unsafe {
                let key_length = (*long.block).key_length;
                let length = (*long.block).size - LONG_HEAD_BYTES;
                let bytes = long.block.add(1).cast::<u8>();
                std::slice::from_raw_parts(bytes, length).split_at(key_length)
            };
        }
        match self.stored(index, index + 1) {
            [key_length, bytes @ ..] => bytes.split_at(usize::from(*key_length)),
            [] => (&[], &[]),
        }
    }

    pub(super) fn links(self) -> *mut Link {
        self.body().wrapping_add(8 * self.len()).cast()
    }

    /// How many entries are under each child.
    pub(super) fn counts(self) -> &'a [u64] {
        let skipped = 16 * self.len();
        // SAFETY: the counts lie behind the links of an inner node.
        unsafe { std::slice::from_raw_parts(self.body().wrapping_add(skipped).cast(), self.len()) }
    }

    pub(super) fn link(self, index: usize) -> Link {
        debug_assert!(!self.is_leaf() && index < self.len());
        // SAFETY: an inner node has a link for each child.
        unsafe { self.links().add(index).read() }
    }

    pub(super) fn child(self, index: usize) -> NodeRef<'a> {
        // SAFETY: as for `Child::node`.
        unsafe { NodeRef::new(self.link(index).node()) }
    }

    /// A child as one of a node that version `id` makes out of this one.
    pub(super) fn child_for(self, index: usize, id: u64) -> Child {
        let link = self.link(index);
        let link = if self.birth() == id {
            link
        } else {
            link.unmarked()
        };
        Child {
            link,
            word: self.word(index),
            count: self.counts()[index],
        }
    }

    /// How many entries are under it.
    pub(super) fn count(self) -> u64 {
        if self.is_leaf() {
            self.len() as u64
        } else {
            self.counts().iter().sum()
        }
    }

    /// What the entries of a leaf take.
    fn used_bytes(self) -> usize {
        self.len() * entry_overhead(self.keyed()) + self.stored(0, self.len()).len()
    }

    /// Whether it should be joined with a neighbour.
    pub(super) fn is_underfull(self) -> bool {
        if self.is_leaf() {
            self.used_bytes() < LEAF_BYTES_MIN
        } else {
            self.len() < CHILDREN_MIN
        }
    }

    /// Whether it and `other` make one node that is not full.
    pub(super) fn fits_with(self, other: NodeRef<'_>) -> bool {
        if self.is_leaf() {
            self.used_bytes() + other.used_bytes() <= LEAF_BYTES_MAX * 7 / 8
        } else {
            self.len() + other.len() <= CHILDREN_MAX * 7 / 8
        }
    }

    /// Puts a child in the place of one.
    ///
    /// # Safety
    /// The node is the caller's own, and no slice of its body is borrowed.
    pub(super) unsafe fn set_child(self, index: usize, child: Child) {
        debug_assert!(index < self.len());
        // SAFETY: inside the body; the caller's promise.
        unsafe {
            self.body().cast::<u64>().add(index).write(child.word);
            self.links().add(index).write(child.link);
            self.body()
                .cast::<u64>()
                .add(2 * self.len() + index)
                .write(child.count);
        }
    }

    /// Puts an entry's stored bytes in the place of as many.
    ///
    /// # Safety
    /// As for `set_child`; the entry there takes as many bytes, and both are long or neither.
    pub(super) unsafe fn overwrite(self, index: usize, stored: &[u8]) {
        let (start, end) = self.span(index);
        debug_assert_eq!(end - start, stored.len());
        // SAFETY: inside the body; the caller's promise.
        unsafe {
            let at = self.entries().add(start);
            ptr::copy_nonoverlapping(stored.as_ptr(), at, stored.len());
        }
    }
}
