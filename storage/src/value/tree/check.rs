//! For tests: what a state reaches, and whether its trees are as they must be.

use std::collections::BTreeSet;

use super::super::order::Order;
use super::node::NodeRef;
use super::{BY_MEMBER, Garbage, MAIN, ROOTS, TreeState};

pub(crate) use super::node::LIVE;

/// Takes everything of the last version of a chain.
///
/// # Safety
/// All older versions have been cut, and nobody needs this one any more.
pub(crate) unsafe fn discard_last(state: *mut TreeState) -> Garbage {
    let mut garbage = Garbage::default();
    // SAFETY: the state lives; this is a cut from under a version that holds nothing.
    unsafe {
        let above = Box::into_raw(TreeState::replacing(&*state));
        loop {
            let cut = TreeState::cut(above, state, None);
            garbage.append(cut.garbage);
            if !cut.more {
                break;
            }
        }
        drop(Box::from_raw(above));
    }
    garbage
}

impl TreeState {
    /// Adds the addresses of all blocks that it reaches, and checks the trees on the way.
    pub(crate) fn reach(&self, into: &mut BTreeSet<usize>) {
        for root in 0..ROOTS {
            let link = self.roots[root];
            if link.is_null() {
                assert_eq!(self.counts[root], 0);
                continue;
            }
            // SAFETY: a state's root is kept with it.
            let node = unsafe { NodeRef::new(link.node()) };
            assert_eq!(link.is_marked(), node.birth() == self.id);
            assert!(node.birth() <= self.id);
            let order = self.order(root);
            let mut last = None;
            assert_eq!(reach(node, order, &mut last, into), self.counts[root]);
        }
        match self.kind {
            super::Type::SortedSet => assert_eq!(self.counts[MAIN], self.counts[BY_MEMBER]),
            super::Type::List | super::Type::Stream | super::Type::Hash => {}
            _ => assert_eq!(self.counts[BY_MEMBER], 0),
        }
    }

    /// What the blocks take that it reaches.
    pub(crate) fn block_bytes(&self) -> usize {
        self.roots
            .iter()
            .filter(|root| !root.is_null())
            // SAFETY: a state's root is kept with it.
            .map(|root| block_bytes(unsafe { NodeRef::new(root.node()) }))
            .sum()
    }

    /// How many children each inner node of the main tree has, but for the last of each level.
    pub(crate) fn children_of_inner_nodes(&self) -> Vec<usize> {
        let mut counts = Vec::new();
        // SAFETY: a state's root is kept with it.
        let root = unsafe { NodeRef::new(self.roots[MAIN].node()) };
        count_children(root, true, &mut counts);
        counts
    }
}

fn block_bytes(node: NodeRef<'_>) -> usize {
    let below: usize = if node.is_leaf() {
        (0..node.len())
            .filter_map(|index| node.long(index))
            .map(|long| long.size())
            .sum()
    } else {
        (0..node.len())
            .map(|index| block_bytes(node.child(index)))
            .sum()
    };
    node.size() + below
}

fn count_children(node: NodeRef<'_>, is_last: bool, into: &mut Vec<usize>) {
    if node.is_leaf() {
        return;
    }
    if !is_last {
        into.push(node.len());
    }
    for index in 0..node.len() {
        let child = node.child(index);
        count_children(child, is_last && index + 1 == node.len(), into);
    }
}

fn reach(
    node: NodeRef<'_>,
    order: Order,
    last: &mut Option<(u64, Vec<u8>)>,
    into: &mut BTreeSet<usize>,
) -> u64 {
    into.insert(node.pointer().addr());
    assert!(node.len() > 0);
    if node.is_leaf() {
        for index in 0..node.len() {
            if let Some(long) = node.long(index) {
                assert!(node.has_long() && long.birth <= node.birth());
                into.insert(long.block.addr());
            }
            let now = (node.word(index), node.entry(index).0.to_vec());
            if order != Order::Position {
                assert!(
                    last.as_ref().is_none_or(|last| *last < now),
                    "entries are out of order"
                );
            }
            *last = Some(now);
        }
        return node.len() as u64;
    }
    for index in 0..node.len() {
        let child = node.child(index);
        assert_eq!(child.level() + 1, node.level());
        assert!(child.birth() <= node.birth());
        assert_eq!(node.link(index).is_marked(), child.birth() == node.birth());
        assert_eq!(child.word(0), node.word(index));
        assert_eq!(reach(child, order, last, into), node.counts()[index]);
    }
    node.count()
}
