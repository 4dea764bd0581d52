//! A list in three parts: a leaf for its front, a tree, a leaf for its back. What is pushed or
//! popped copies one leaf, not the way to it; a leaf that is full goes into the tree, and an empty
//! end takes the tree's outermost leaf over, both without copying the leaf.

use super::super::Type;
use super::super::view::Item;
use super::edit::{Became, Change, Edges};
use super::node::{Child, Link, NodeRef};
use super::{BACK, FRONT, MAIN, Path, TreeIter, TreeState};

impl TreeState {
    /// The trees that hold the entries, in order.
    fn parts(&self) -> &'static [usize] {
        if self.kind == Type::List {
            &[FRONT, MAIN, BACK]
        } else {
            &[MAIN]
        }
    }

    /// In which part the entry at `rank` is, and its rank there; behind the last one, if it is
    /// beyond.
    fn locate(&self, rank: usize) -> (usize, usize) {
        let mut rank = rank as u64;
        let parts = self.parts();
        for part in parts {
            if rank < self.counts[*part] {
                return (*part, rank as usize);
            }
            rank -= self.counts[*part];
        }
        let last = parts[parts.len() - 1];
        (last, self.counts[last] as usize)
    }

    /// The part and the place of the entry at `rank`.
    pub(crate) fn seek_rank(&self, rank: usize) -> (usize, Path) {
        let (root, rank) = self.locate(rank);
        (root, self.tree(root).seek_rank(rank))
    }

    /// Where an entry is put so that `rank` others are before it.
    pub(crate) fn seek_gap(&self, rank: usize) -> (usize, Path) {
        if self.kind == Type::List && rank == 0 && self.len() > 0 {
            return (FRONT, self.tree(FRONT).seek_rank(0));
        }
        self.seek_rank(rank)
    }

    /// The entries from `rank` on.
    pub(crate) fn iter_from(&self, rank: usize) -> PartsIter<'_> {
        let (root, rank) = self.locate(rank);
        let tree = self.tree(root);
        self.iter(root, true, tree.iter_at(tree.seek_rank(rank)))
    }

    /// The entry at `rank` (the last, if it is beyond) and those before it, backwards.
    pub(crate) fn iter_back_from(&self, rank: usize) -> PartsIter<'_> {
        let (root, rank) = self.locate(rank);
        self.iter(root, false, self.tree(root).iter_back(rank))
    }

    fn iter<'a>(&'a self, root: usize, forward: bool, iter: TreeIter<'a>) -> PartsIter<'a> {
        let at = self
            .parts()
            .iter()
            .position(|part| *part == root)
            .unwrap_or_default();
        PartsIter {
            state: self,
            at,
            forward,
            iter,
        }
    }

    /// Before the entry at `rank` is taken: if it is the first or last, and that end's leaf is
    /// empty, the end takes over the tree's outermost leaf.
    pub(crate) fn prepare_end(&mut self, rank: usize) {
        let (is_first, is_last) = (rank == 0, rank + 1 == self.len());
        if self.kind != Type::List || self.roots[MAIN].is_null() || is_first == is_last {
            return;
        }
        let end = if is_first { FRONT } else { BACK };
        if !self.roots[end].is_null() {
            return;
        }
        let edge = if is_first {
            0
        } else {
            self.counts[MAIN] as usize
        };
        let path = self.tree(MAIN).seek_rank(edge);
        let level = path.depth() - 1;
        let leaf = path.step(level).0;
        let delta = -(leaf.len() as i64);
        self.counts[MAIN] = self.counts[MAIN].wrapping_add_signed(delta);
        let change = Change {
            root: MAIN,
            path: &path,
            shrunk: true,
            delta,
            edges: Edges::default(),
        };
        self.replace_up(&change, level, Became::Nothing);
        self.roots[end] = self.link_to(leaf);
        self.counts[end] = leaf.len() as u64;
    }

    fn link_to(&self, node: NodeRef<'_>) -> Link {
        let link = Link::marked(node.pointer());
        if node.birth() == self.id {
            link
        } else {
            link.unmarked()
        }
    }

    /// After a change in an end: if its leaf was split, the inner part goes into the tree.
    pub(crate) fn settle_end(&mut self, end: usize) {
        if self.kind != Type::List || end == MAIN || self.roots[end].is_null() {
            return;
        }
        // SAFETY: a node of this version.
        let root = unsafe { NodeRef::new(self.roots[end].node()) };
        if root.is_leaf() {
            return;
        }
        let (first, second) = (root.child_for(0, self.id), root.child_for(1, self.id));
        let (outer, inner) = if end == FRONT {
            (first, second)
        } else {
            (second, first)
        };
        self.drop_node(root);
        self.roots[end] = outer.link;
        self.counts[end] = outer.count;
        self.attach(end == FRONT, inner);
    }

    /// Puts a leaf before or behind all others of the tree.
    fn attach(&mut self, is_first: bool, leaf: Child) {
        let edge_rank = if is_first {
            0
        } else {
            self.counts[MAIN] as usize
        };
        let path = self.tree(MAIN).seek_rank(edge_rank);
        self.counts[MAIN] += leaf.count;
        if path.depth() == 0 {
            self.roots[MAIN] = leaf.link;
            return;
        }
        let level = path.depth() - 1;
        let edge = path.step(level).0;
        let edge = Child {
            link: self.link_to(edge),
            word: 0,
            count: edge.len() as u64,
        };
        let became = if is_first {
            Became::Two(leaf, edge)
        } else {
            Became::Two(edge, leaf)
        };
        let delta = leaf.count as i64;
        let change = Change {
            root: MAIN,
            path: &path,
            shrunk: false,
            delta,
            edges: Edges::of(&path),
        };
        self.replace_up(&change, level, became);
    }

    /// Removes the entries with ranks from `start` to below `end`, at most the length.
    pub(crate) fn take_ranks(&mut self, start: usize, end: usize) {
        let mut before = 0;
        for part in self.parts() {
            let count = self.counts[*part] as usize;
            let from = start.saturating_sub(before);
            let to = end.saturating_sub(before).min(count);
            self.take_ranks_in(*part, from, to);
            before += count;
        }
    }
}

/// Entries one after the other, over all parts.
pub(crate) struct PartsIter<'a> {
    state: &'a TreeState,
    at: usize,
    forward: bool,
    iter: TreeIter<'a>,
}

impl<'a> Iterator for PartsIter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            if let Some(item) = self.iter.next() {
                return Some(item);
            }
            let next = if self.forward {
                self.at + 1
            } else {
                self.at.wrapping_sub(1)
            };
            let tree = self.state.tree(*self.state.parts().get(next)?);
            self.at = next;
            self.iter = if self.forward {
                tree.iter_at(tree.seek_rank(0))
            } else {
                tree.iter_back(usize::MAX)
            };
        }
    }
}
