//! Blocks that a version has dropped, and blocks that nobody reaches any more.

use super::node::{Link, Long, LongRef, Node, NodeRef, free_long, free_node};

const NODE: usize = 0;
const SUBTREE: usize = 1;
const LONG: usize = 2;
const KIND: usize = 3;

/// One block, or a node with all below it, and when it was born. The birth is copied here so that
/// sorting entries by it touches no node.
#[derive(Clone, Copy)]
pub(crate) struct Dead {
    tagged: *mut u8,
    birth: u64,
}

/// What an entry names.
#[derive(Clone, Copy)]
pub(super) enum Block {
    Node(*mut Node),
    Subtree(*mut Node),
    Long(*mut Long),
}

impl Dead {
    fn new(block: *mut u8, kind: usize, birth: u64) -> Dead {
        Dead {
            tagged: block.map_addr(|address| address | kind),
            birth,
        }
    }

    pub(super) fn node(node: NodeRef<'_>) -> Dead {
        Dead::new(node.pointer().cast(), NODE, node.birth())
    }

    pub(super) fn subtree(node: NodeRef<'_>) -> Dead {
        Dead::new(node.pointer().cast(), SUBTREE, node.birth())
    }

    pub(super) fn root(root: Link) -> Dead {
        // SAFETY: a root that is not null names a node that its version keeps.
        Dead::subtree(unsafe { NodeRef::new(root.node()) })
    }

    pub(super) fn long(long: LongRef) -> Dead {
        Dead::new(long.block.cast(), LONG, long.birth)
    }

    pub(super) fn birth(self) -> u64 {
        self.birth
    }

    pub(super) fn block(self) -> Block {
        let address = self.tagged.map_addr(|address| address & !KIND);
        match self.tagged.addr() & KIND {
            SUBTREE => Block::Subtree(address.cast()),
            LONG => Block::Long(address.cast()),
            _ => Block::Node(address.cast()),
        }
    }

    /// Pushes what lies directly below a node, as entries of their own. How many there were.
    pub(super) fn push_below(node: NodeRef<'_>, into: &mut Vec<Dead>) -> usize {
        let before = into.len();
        if !node.is_leaf() {
            into.extend((0..node.len()).map(|index| Dead::subtree(node.child(index))));
        } else if node.has_long() {
            into.extend(
                (0..node.len())
                    .filter_map(|index| node.long(index))
                    .map(Dead::long),
            );
        }
        into.len() - before
    }
}

/// Blocks that nobody reaches any more, once those who are pinned today have gone on.
#[derive(Default)]
pub(crate) struct Garbage {
    entries: Vec<Dead>,
}

// SAFETY: nobody else reaches the blocks that it names.
unsafe impl Send for Garbage {}

/// What a node or long element takes, about; reading it would touch a cold block.
const BLOCK_BYTES: usize = 1024;
/// What a subtree takes at least, about.
const SUBTREE_BYTES: usize = 32 * BLOCK_BYTES;

impl Garbage {
    pub(super) fn of(entries: Vec<Dead>) -> Garbage {
        Garbage { entries }
    }

    pub(super) fn push(&mut self, entry: Dead) {
        self.entries.push(entry);
    }

    pub(crate) fn append(&mut self, mut other: Garbage) {
        self.entries.append(&mut other.entries);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing to free.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// An estimate of the memory that it holds, from below.
    pub(crate) fn bytes(&self) -> usize {
        self.entries
            .iter()
            .map(|entry| match entry.block() {
                Block::Subtree(_) => SUBTREE_BYTES,
                _ => BLOCK_BYTES,
            })
            .sum()
    }

    /// Whether it is known to be at most `count` blocks.
    pub(crate) fn is_small(&self, count: usize) -> bool {
        self.entries.len() <= count
            && self
                .entries
                .iter()
                .all(|entry| !matches!(entry.block(), Block::Subtree(_)))
    }

    /// Frees up to `count` blocks; how many it freed, 0 when nothing is left. To be called when
    /// nobody can be left who was pinned when the blocks became garbage.
    pub(crate) fn free_some(&mut self, count: usize) -> usize {
        let mut freed = 0;
        while freed < count
            && let Some(entry) = self.entries.pop()
        {
            // SAFETY: nobody else reaches the block; what lies below is pushed before it goes.
            unsafe {
                match entry.block() {
                    Block::Node(node) => free_node(node),
                    Block::Long(long) => free_long(long),
                    Block::Subtree(node) => {
                        push_garbage_below(NodeRef::new(node), &mut self.entries);
                        free_node(node);
                    }
                }
            }
            freed += 1;
        }
        freed
    }
}

/// As `Dead::push_below`, without reading the births, which garbage does not need.
fn push_garbage_below(node: NodeRef<'_>, into: &mut Vec<Dead>) {
    if node.is_leaf() {
        Dead::push_below(node, into);
    } else {
        into.extend(
            (0..node.len()).map(|index| Dead::new(node.link(index).node().cast(), SUBTREE, 0)),
        );
    }
}
