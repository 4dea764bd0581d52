//! Finding entries and walking over them.

use std::cmp::Ordering;
use std::marker::PhantomData;
use std::ptr;

use super::super::view::Item;
use super::node::{Link, Node, NodeRef};

/// More levels than a tree that fits in memory has: a node has 16 children or more, but for those
/// at the edges, and a root is split only when it has 64.
const LEVELS_MAX: usize = 14;

/// The way from a root to an entry, or to the place of one in a leaf. Good until the tree changes.
#[derive(Clone)]
pub(crate) struct Path {
    depth: usize,
    nodes: [*mut Node; LEVELS_MAX],
    indexes: [u16; LEVELS_MAX],
}

impl Path {
    /// A path in an empty tree.
    pub(crate) fn empty() -> Path {
        Path {
            depth: 0,
            nodes: [ptr::null_mut(); LEVELS_MAX],
            indexes: [0; LEVELS_MAX],
        }
    }

    /// Levels, root and leaf included.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// The node on a level, counted from the root, and the index in it.
    pub(super) fn step<'a>(&self, level: usize) -> (NodeRef<'a>, usize) {
        // SAFETY: a path is used only while the tree that it was made in is kept.
        (
            unsafe { NodeRef::new(self.nodes[level]) },
            usize::from(self.indexes[level]),
        )
    }

    fn push(&mut self, node: NodeRef<'_>, index: usize) {
        self.nodes[self.depth] = node.pointer();
        self.indexes[self.depth] = index as u16;
        self.depth += 1;
    }

    fn leaf<'a>(&self) -> Option<(NodeRef<'a>, usize)> {
        (self.depth > 0).then(|| self.step(self.depth - 1))
    }

    /// How many entries are before the place.
    pub(crate) fn rank(&self) -> usize {
        (0..self.depth)
            .map(|level| {
                let (node, index) = self.step(level);
                if node.is_leaf() {
                    index
                } else {
                    node.counts()[..index].iter().sum::<u64>() as usize
                }
            })
            .sum()
    }

    /// Whether an entry put here would be the last (or, not `right`, the first) of the tree.
    pub(super) fn is_on_edge(&self, right: bool) -> bool {
        (0..self.depth).all(|level| {
            let (node, index) = self.step(level);
            if right {
                index + usize::from(!node.is_leaf()) == node.len()
            } else {
                index == 0
            }
        })
    }

    fn descend(&mut self, mut node: NodeRef<'_>, first: bool) {
        loop {
            let index = if first { 0 } else { node.len() - 1 };
            self.push(node, index);
            if node.is_leaf() {
                return;
            }
            node = node.child(index);
        }
    }

    /// Goes to the first entry of the next leaf, or the last of the one before.
    fn next_leaf(&mut self, forward: bool) -> bool {
        for level in (0..self.depth.saturating_sub(1)).rev() {
            let (node, index) = self.step(level);
            let next = if forward {
                index + 1
            } else {
                index.wrapping_sub(1)
            };
            if next < node.len() {
                self.indexes[level] = next as u16;
                self.depth = level + 1;
                self.descend(node.child(next), forward);
                return true;
            }
        }
        self.depth = 0;
        false
    }
}

/// One tree of a version.
#[derive(Clone, Copy)]
pub(crate) struct Tree<'a> {
    root: Link,
    lifetime: PhantomData<&'a Node>,
}

impl<'a> Tree<'a> {
    /// # Safety
    /// The tree is kept for `'a`, and is changed in that time only by the caller.
    pub(super) unsafe fn new(root: Link) -> Tree<'a> {
        Tree {
            root,
            lifetime: PhantomData,
        }
    }

    fn root(self) -> Option<NodeRef<'a>> {
        // SAFETY: by the promise of `new`.
        (!self.root.is_null()).then(|| unsafe { NodeRef::new(self.root.node()) })
    }

    /// The place with `rank` entries before it, behind the last one at most.
    pub(crate) fn seek_rank(self, rank: usize) -> Path {
        let mut path = Path::empty();
        let Some(mut node) = self.root() else {
            return path;
        };
        let mut rank = rank;
        while !node.is_leaf() {
            let counts = node.counts();
            let mut index = 0;
            while index + 1 < counts.len() && rank as u64 >= counts[index] {
                rank -= counts[index] as usize;
                index += 1;
            }
            path.push(node, index);
            node = node.child(index);
        }
        path.push(node, rank.min(node.len()));
        path
    }

    /// The place of the first entry not below (word, key), behind the entries of the leaf where
    /// it would be put if there is none in it; and whether it is that entry.
    pub(crate) fn seek(self, word: u64, key: &[u8]) -> (Path, bool) {
        let mut path = Path::empty();
        let Some(mut node) = self.root() else {
            return (path, false);
        };
        while !node.is_leaf() {
            let index = child_for(node, word, key);
            path.push(node, index);
            node = node.child(index);
        }
        let (index, found) = lower_bound(node, word, key);
        path.push(node, index);
        (path, found)
    }

    /// The value under a key.
    pub(crate) fn find(self, word: u64, key: &[u8]) -> Option<&'a [u8]> {
        let mut node = self.root()?;
        while !node.is_leaf() {
            node = node.child(child_for(node, word, key));
        }
        let (index, found) = lower_bound(node, word, key);
        found.then(|| node.entry(index).1)
    }

    /// Asks the cache for the leaf that holds the entries with a word, or would.
    pub(crate) fn prefetch(self, word: u64) {
        let Some(mut node) = self.root() else {
            return;
        };
        while !node.is_leaf() {
            let (low, high) = equal_range(node.words(), word);
            let child = node.child(if low < high {
                low
            } else {
                low.saturating_sub(1)
            });
            if node.level() == 1 {
                child.prefetch();
                return;
            }
            node = child;
        }
    }

    pub(crate) fn iter_at(self, path: Path) -> TreeIter<'a> {
        TreeIter {
            path,
            forward: true,
            lifetime: PhantomData,
        }
    }

    /// The entry at `rank` and those before it, backwards.
    pub(crate) fn iter_back(self, rank: usize) -> TreeIter<'a> {
        let mut path = self.seek_rank(rank);
        if let Some((leaf, index)) = path.leaf()
            && index == leaf.len()
        {
            path.indexes[path.depth - 1] -= 1;
        }
        TreeIter {
            path,
            forward: false,
            lifetime: PhantomData,
        }
    }
}

/// The range of indexes with this word; an empty one where it would be. All words are looked at:
/// what is not in the cache is then fetched at once, not one after the other.
#[inline]
fn equal_range(words: &[u64], word: u64) -> (usize, usize) {
    let low = words.iter().fold(0_usize, |below, own| {
        below.wrapping_add(usize::from(*own < word))
    });
    if words.get(low) != Some(&word) {
        return (low, low);
    }
    (low, low + words[low..].partition_point(|own| *own == word))
}

/// Which child of an inner node holds (word, key), or would.
fn child_for(node: NodeRef<'_>, word: u64, key: &[u8]) -> usize {
    let (mut low, mut high) = equal_range(node.words(), word);
    // Children whose words are equal are told apart by the whole key of their first entry.
    while low < high {
        let middle = low.midpoint(high);
        if first_key(node.child(middle)) <= key {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low.saturating_sub(1)
}

fn first_key(mut node: NodeRef<'_>) -> &[u8] {
    while !node.is_leaf() {
        node = node.child(0);
    }
    node.entry(0).0
}

fn lower_bound(leaf: NodeRef<'_>, word: u64, key: &[u8]) -> (usize, bool) {
    let (mut low, mut high) = equal_range(leaf.words(), word);
    while low < high {
        let middle = low.midpoint(high);
        match leaf.entry(middle).0.cmp(key) {
            Ordering::Less => low = middle + 1,
            Ordering::Equal => return (middle, true),
            Ordering::Greater => high = middle,
        }
    }
    (low, false)
}

/// Entries one after the other, in either direction.
pub(crate) struct TreeIter<'a> {
    path: Path,
    forward: bool,
    lifetime: PhantomData<&'a Node>,
}

impl<'a> Iterator for TreeIter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        let (mut leaf, mut index): (NodeRef<'a>, usize) = self.path.leaf()?;
        if index >= leaf.len() {
            // Behind a leaf's entries: forward from the place of an insertion, or in either
            // direction after the entry that was given last.
            if !self.path.next_leaf(self.forward) {
                return None;
            }
            (leaf, index) = self.path.leaf()?;
        }
        let (key, value) = leaf.entry(index);
        let next = if self.forward {
            index + 1
        } else {
            index.wrapping_sub(1)
        };
        self.path.indexes[self.path.depth - 1] = next as u16;
        Some(Item {
            word: leaf.word(index),
            key,
            value,
        })
    }
}
