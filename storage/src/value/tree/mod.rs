//! Large values: counted B+trees of which versions share nodes.
//!
//! Who frees a node: every node carries the id of the version that made it (its birth), and every
//! version lists what it dropped of the version that it was made from (its dead list). Ids are
//! positions in the chain of one key: the base's and one more. Of neighbours o, v, n in a chain:
//!
//! - The versions that reach a node are neighbours, beginning with the one of its birth; a child
//!   is never younger than its parent; n's dead list is what v reaches and n does not.
//! - Cutting v frees of n's dead list what was born after o; n gets the rest, and v's list. If v
//!   shares nothing with o (`fresh`: not made from it, or there is none), all of it is freed.
//! - A private version that is given up frees what it made, found by marks in links: its base,
//!   and so the births of what it shares, may be gone by then.
//! - A private version may be used only while the version that it was forked from is kept.

mod build;
#[cfg(test)]
pub(crate) mod check;
mod cut;
mod dead;
mod edit;
mod ends;
mod in_place;
mod lending;
mod node;
mod range;
mod search;

use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

pub(crate) use dead::Garbage;
pub(crate) use ends::PartsIter;
pub(crate) use node::LONG_HEAD_BYTES;
pub(crate) use search::{Path, Tree, TreeIter};

use super::stream::StreamHead;
use super::{Type, order};
use dead::Dead;
use lending::Loan;
use node::{Link, NodeRef, free_long, free_node};

/// The tree of the entries.
pub(crate) const MAIN: usize = 0;
/// A sorted set's tree by member.
pub(crate) const BY_MEMBER: usize = 1;
/// A stream's tree of what its groups know, or a hash's of when its fields expire.
pub(crate) const RECORDS: usize = 1;
/// A list's first leaf, before those of the tree.
const FRONT: usize = 1;
/// A list's last leaf.
const BACK: usize = 2;
const ROOTS: usize = 3;

/// What only the version's builder, and then the holder of its record's trim word, touch.
#[derive(Default)]
struct Trim {
    /// Shares nothing with the version below.
    fresh: bool,
    dead: Vec<Dead>,
    /// What the dead list came to hold beyond `dropped_bytes`, less what was freed of it.
    kept_beyond_bytes: isize,
    /// What a value that moved away from this key still owes it.
    lend: Option<Arc<Loan>>,
}

/// What a version with a large value has besides. One without roots belongs to a version that
/// replaces a large value.
pub(crate) struct TreeState {
    roots: [Link; ROOTS],
    counts: [u64; ROOTS],
    id: u64,
    kind: Type,
    pub(crate) encoding: u8,
    pub(crate) head: StreamHead,
    /// Of a hash of which fields have deadlines: when its key expires, whatever its fields do.
    pub(crate) key_deadline_ms: u64,
    /// A string's length.
    pub(crate) string_bytes: usize,
    /// What the blocks take, about.
    memory_bytes: usize,
    /// What the blocks take, about, that the version below has and this one has not.
    dropped_bytes: usize,
    /// Whom this key's value was borrowed from.
    lent: Option<Arc<Loan>>,
    trim: UnsafeCell<Trim>,
}

// SAFETY: shared blocks are only read, and freed under the rules above; a private state has one
// owner.
unsafe impl Send for TreeState {}
// SAFETY: `trim` is touched by one thread at a time (see `Trim`), the rest is not changed once it
// is shared.
unsafe impl Sync for TreeState {}

impl TreeState {
    fn make(kind: Type) -> TreeState {
        TreeState {
            roots: [Link::NULL; ROOTS],
            counts: [0; ROOTS],
            id: 1,
            kind,
            encoding: 0,
            head: StreamHead::default(),
            key_deadline_ms: 0,
            string_bytes: 0,
            memory_bytes: 0,
            dropped_bytes: 0,
            lent: None,
            trim: UnsafeCell::new(Trim {
                fresh: true,
                ..Trim::default()
            }),
        }
    }

    /// A private, empty one that is made from nothing.
    pub(crate) fn new(kind: Type) -> Box<TreeState> {
        Box::new(TreeState::make(kind))
    }

    /// A private one that starts as `self` is, to be put over it.
    pub(crate) fn fork(&self) -> Box<TreeState> {
        Box::new(TreeState {
            roots: self.roots.map(Link::unmarked),
            counts: self.counts,
            id: self.id + 1,
            kind: self.kind,
            encoding: self.encoding,
            head: self.head,
            key_deadline_ms: self.key_deadline_ms,
            string_bytes: self.string_bytes,
            memory_bytes: self.memory_bytes,
            dropped_bytes: 0,
            lent: self.lent.clone(),
            trim: UnsafeCell::default(),
        })
    }

    pub(crate) fn kind(&self) -> Type {
        self.kind
    }

    /// Whether it holds a value.
    pub(crate) fn has_roots(&self) -> bool {
        self.roots.iter().any(|root| !root.is_null())
    }

    pub(crate) fn len(&self) -> usize {
        let ends = if self.kind == Type::List {
            self.counts[FRONT] + self.counts[BACK]
        } else {
            0
        };
        (self.counts[MAIN] + ends) as usize
    }

    /// How many records a stream or a hash has.
    pub(crate) fn records(&self) -> usize {
        if matches!(self.kind, Type::Stream | Type::Hash) {
            self.counts[RECORDS] as usize
        } else {
            0
        }
    }

    /// How many fields of a hash have deadlines: each is two records.
    pub(crate) fn timed_fields(&self) -> usize {
        if self.kind == Type::Hash {
            self.counts[RECORDS] as usize / 2
        } else {
            0
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes + size_of::<TreeState>()
    }

    pub(crate) fn tree(&self, root: usize) -> Tree<'_> {
        // SAFETY: a state is used only while its nodes are kept, and changed through `&mut`.
        unsafe { Tree::new(self.roots[root]) }
    }

    /// The tree in which a key is found by its hash.
    #[inline]
    pub(crate) fn hash_tree(&self) -> Tree<'_> {
        self.tree(if self.kind == Type::SortedSet {
            BY_MEMBER
        } else {
            MAIN
        })
    }

    /// Asks the cache for what a lookup of an element will touch, where elements are found by hash.
    pub(crate) fn prefetch(&self, element: &[u8]) {
        if matches!(self.kind, Type::Hash | Type::Set | Type::SortedSet) {
            self.hash_tree().prefetch(order::hash(element));
        }
    }

    fn root_entries(&self) -> impl Iterator<Item = Dead> {
        self.roots
            .into_iter()
            .filter(|root| !root.is_null())
            .map(Dead::root)
    }

    /// What a version without roots carries that is put over one with `base`.
    pub(crate) fn replacing(base: &TreeState) -> Box<TreeState> {
        let mut state = TreeState::new(base.kind);
        state.replace_base(base);
        state
    }

    /// Puts a value that was not made from `base` over it.
    pub(crate) fn replace_base(&mut self, base: &TreeState) {
        self.forget_base();
        self.trim.get_mut().dead.extend(base.root_entries());
        self.dropped_bytes = base.memory_bytes;
    }

    /// Puts a value over nothing.
    pub(crate) fn forget_base(&mut self) {
        let trim = self.trim.get_mut();
        trim.fresh = true;
        trim.dead.clear();
        self.dropped_bytes = 0;
    }

    /// What a commit over its base leaves behind for those who read there, in bytes, about.
    pub(crate) fn dropped_bytes(&self) -> usize {
        self.dropped_bytes
    }

    /// Moves the value to another key: what the new key's version carries, and what the old
    /// key's tombstone does. The tombstone must be put over the version of `self`, in the commit
    /// in which the new key's version is made; only if that one is dropped before it is committed
    /// may the tombstone be alone, and is then an ordinary one.
    pub(crate) fn transfer(&self) -> (Box<TreeState>, Box<TreeState>) {
        let loan = Loan::new(self.id);
        let mut moved = self.fork();
        moved.lent = Some(Arc::clone(&loan));
        moved.trim.get_mut().fresh = true;
        let mut left = TreeState::new(self.kind);
        left.trim.get_mut().lend = Some(loan);
        (moved, left)
    }

    /// Gives up a private state: frees what it made.
    ///
    /// # Safety
    /// Nobody else reaches what it made.
    #[expect(clippy::boxed_local, reason = "whoever gives a state up has it boxed")]
    pub(crate) unsafe fn abort(state: Box<TreeState>) {
        let mut nodes: Vec<Link> = state
            .roots
            .into_iter()
            .filter(|root| root.is_marked())
            .collect();
        while let Some(link) = nodes.pop() {
            // SAFETY: marked links, from a marked root on, lead to what the state made; nothing
            // else is looked at.
            unsafe {
                let node = NodeRef::new(link.node());
                if node.is_leaf() {
                    if node.has_long() {
                        (0..node.len())
                            .filter_map(|index| node.long(index))
                            .filter(|long| long.birth == node.birth())
                            .for_each(|long| free_long(long.block));
                    }
                } else {
                    let links = (0..node.len()).map(|index| node.link(index));
                    nodes.extend(links.filter(|link| link.is_marked()));
                }
                free_node(node.pointer());
            }
        }
    }
}

/// A private state that frees what it made unless it becomes a version.
pub(crate) struct OwnTree {
    state: ManuallyDrop<Box<TreeState>>,
}

impl OwnTree {
    pub(crate) fn new(state: Box<TreeState>) -> OwnTree {
        OwnTree {
            state: ManuallyDrop::new(state),
        }
    }

    pub(crate) fn into_state(self) -> Box<TreeState> {
        let mut own = ManuallyDrop::new(self);
        // SAFETY: taken once, and `own` is not dropped.
        unsafe { ManuallyDrop::take(&mut own.state) }
    }
}

impl Deref for OwnTree {
    type Target = TreeState;

    fn deref(&self) -> &TreeState {
        &self.state
    }
}

impl DerefMut for OwnTree {
    fn deref_mut(&mut self) -> &mut TreeState {
        &mut self.state
    }
}

impl Drop for OwnTree {
    fn drop(&mut self) {
        // SAFETY: taken once; a private state is reached by its owner alone.
        unsafe { TreeState::abort(ManuallyDrop::take(&mut self.state)) };
    }
}
