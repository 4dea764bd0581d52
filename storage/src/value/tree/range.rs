//! Removing a range of entries: few one by one, of many as subtrees what lies wholly inside.

use super::TreeState;
use super::build::Piece;
use super::dead::Dead;
use super::node::{Child, Link, NodeRef};

/// So many entries are removed one by one: that leaves the inner nodes in place which this version
/// made, where a range has them made again.
const FEW: usize = 2;

impl TreeState {
    /// Removes the entries with ranks from `start` to below `end`, which must be at most the
    /// count. O(log n), and O(1) for each node that this version itself made.
    pub(crate) fn take_ranks_in(&mut self, root: usize, start: usize, end: usize) {
        if start >= end || self.roots[root].is_null() {
            return;
        }
        if end - start <= FEW {
            for _ in start..end {
                let path = self.tree(root).seek_rank(start);
                self.take(root, &path);
            }
            return;
        }
        let count = self.counts[root];
        let average_bytes = self.memory_bytes / self.counts.iter().sum::<u64>().max(1) as usize;
        let whole = Child {
            link: self.roots[root],
            word: 0,
            count,
        };
        let left = self.take_below(root, whole, (start as u64, end as u64), average_bytes);
        self.counts[root] = count - (end - start) as u64;
        self.set_root(root, left.map_or(Link::NULL, |child| child.link));
    }

    /// Removes ranks, counted from the first entry below `child`. What is left of it.
    fn take_below(
        &mut self,
        root: usize,
        child: Child,
        (start, end): (u64, u64),
        average_bytes: usize,
    ) -> Option<Child> {
        let node = child.node();
        if start == 0 && end >= child.count {
            self.drop_subtree(node, child.count, average_bytes);
            return None;
        }
        if node.is_leaf() {
            let (from, to) = (start as usize, end.min(child.count) as usize);
            let pieces = [
                Piece::Range(node, 0, from),
                Piece::Nothing,
                Piece::Range(node, to, node.len()),
            ];
            let made = Child::made(self.make_leaf(root, &pieces));
            (from..to)
                .filter_map(|index| node.long(index))
                .for_each(|long| self.drop_long(long));
            self.drop_node(node);
            return Some(made);
        }
        let mut children = Vec::with_capacity(node.len());
        // Where a child was changed; the last of them has the largest index.
        let mut changed = Vec::new();
        let mut at = 0;
        for index in 0..node.len() {
            let below = node.child_for(index, self.id);
            let (from, to) = (
                start.saturating_sub(at),
                end.saturating_sub(at).min(below.count),
            );
            at += below.count;
            if from >= to {
                children.push(below);
                continue;
            }
            changed.push(children.len());
            children.extend(self.take_below(root, below, (from, to), average_bytes));
        }
        self.drop_node(node);
        for index in changed.into_iter().rev() {
            self.merge_around(root, &mut children, index);
        }
        Some(self.make_inner(&children))
    }

    /// Joins the child at `index` with one beside it, if one of them is small and they fit.
    fn merge_around(&mut self, root: usize, children: &mut Vec<Child>, index: usize) {
        for left in [index, index.wrapping_sub(1)] {
            let right = left.wrapping_add(1);
            if left >= children.len() || right >= children.len() {
                continue;
            }
            let (one, other) = (children[left], children[right]);
            if (one.node().is_underfull() || other.node().is_underfull())
                && let Some(merged) = self.merge(root, one, other)
            {
                children[left] = merged;
                children.remove(right);
            }
        }
    }

    /// Lets go of a node and all below it.
    fn drop_subtree(&mut self, node: NodeRef<'_>, count: u64, average_bytes: usize) {
        if node.birth() != self.id {
            let bytes = average_bytes.saturating_mul(count as usize);
            self.memory_bytes = self.memory_bytes.saturating_sub(bytes);
            self.trim.get_mut().dead.push(Dead::subtree(node));
            self.dropped_bytes += bytes;
            return;
        }
        if node.is_leaf() {
            (0..node.len())
                .filter_map(|index| node.long(index))
                .for_each(|long| self.drop_long(long));
        } else {
            for index in 0..node.len() {
                self.drop_subtree(node.child(index), node.counts()[index], average_bytes);
            }
        }
        self.drop_node(node);
    }
}
