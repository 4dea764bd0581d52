//! Changing a private tree: own nodes in place, foreign ones as copies.

use super::super::Type;
use super::super::order::Order;
use super::build::{
    Encoded, Piece, Pieces, build_inner, build_leaf, copy_inner, leaf_bytes, middle, split_pieces,
};
use super::dead::Dead;
use super::in_place::ROOM_BYTES;
use super::node::{
    CHILDREN_MAX, Child, LEAF_BYTES_MAX, Link, LongRef, Node, NodeRef, free_long, free_node,
};
use super::search::Path;
use super::{BY_MEMBER, RECORDS, TreeState};

/// Children that a node keeps which is split because its tree grows at one end.
const EDGE_CHILDREN: usize = CHILDREN_MAX - CHILDREN_MAX / 10;

/// What a node became: nothing, itself or another, or two.
#[derive(Clone, Copy)]
pub(super) enum Became {
    Nothing,
    One(Child),
    Two(Child, Child),
}

/// Where in a tree, and how, it changed.
pub(super) struct Change<'p> {
    pub(super) root: usize,
    pub(super) path: &'p Path,
    /// Whether nodes may have become too small.
    pub(super) shrunk: bool,
    /// How many entries there are more.
    pub(super) delta: i64,
    pub(super) edges: Edges,
}

/// Whether an entry put at the end of a path is the first, or the last, of its tree. To be asked
/// before the change: it frees the path's nodes from the leaf on.
#[derive(Clone, Copy, Default)]
pub(super) struct Edges {
    first: bool,
    last: bool,
}

impl Edges {
    pub(super) fn of(path: &Path) -> Edges {
        Edges {
            first: path.is_on_edge(false),
            last: path.is_on_edge(true),
        }
    }
}

impl TreeState {
    pub(super) fn order(&self, root: usize) -> Order {
        match (self.kind, root) {
            (Type::SortedSet, BY_MEMBER) => Order::Hash,
            (Type::Stream | Type::Hash, RECORDS) => Order::Record,
            _ => self.kind.order(),
        }
    }

    /// Puts an entry in the tree, before the one at `path`, or in its place.
    pub(crate) fn put(
        &mut self,
        root: usize,
        path: &Path,
        word: u64,
        (key, value): (&[u8], &[u8]),
        replaces: bool,
    ) {
        let entry = Encoded::new(word, key, value, self.id);
        self.memory_bytes += entry.long_size;
        if path.depth() == 0 {
            let pieces = [Piece::New(&entry), Piece::Nothing, Piece::Nothing];
            let leaf = Child::made(self.make_leaf(root, &pieces));
            self.roots[root] = leaf.link;
            self.counts[root] = 1;
            return;
        }
        let (leaf, index) = path.step(path.depth() - 1);
        let removed = usize::from(replaces);
        if replaces && (leaf.birth() == self.id || fault!("shared node changed in place")) {
            let old = leaf.long(index);
            if old.is_some() == (entry.long_size > 0)
                && leaf.stored(index, index + 1).len() == entry.stored().len()
            {
                // SAFETY: this version made the leaf, and `&mut self` says that nobody reads it.
                unsafe { leaf.overwrite(index, entry.stored()) };
                old.into_iter().for_each(|old| self.drop_long(old));
                return;
            }
        }
        self.splice(root, path, Piece::New(&entry), removed);
    }

    /// Removes the entry at `path`.
    pub(crate) fn take(&mut self, root: usize, path: &Path) {
        self.splice(root, path, Piece::Nothing, 1);
    }

    fn splice(&mut self, root: usize, path: &Path, new: Piece<'_>, removed: usize) {
        let level = path.depth() - 1;
        let (leaf, index) = path.step(level);
        if leaf.birth() == self.id && self.splice_in_place(root, path, new, removed) {
            return;
        }
        let pieces = [
            Piece::Range(leaf, 0, index),
            new,
            Piece::Range(leaf, index + removed, leaf.len()),
        ];
        let became = self.build_leaves(root, path, &pieces);
        for dropped in (index..index + removed).filter_map(|index| leaf.long(index)) {
            self.drop_long(dropped);
        }
        let delta = new.len() as i64 - removed as i64;
        // Nodes above are split only if the leaf is.
        let edges = match became {
            Became::Two(..) => Edges::of(path),
            Became::Nothing | Became::One(_) => Edges::default(),
        };
        self.drop_node(leaf);
        let change = Change {
            root,
            path,
            shrunk: delta < 0,
            delta,
            edges,
        };
        self.counts[root] = self.counts[root].wrapping_add_signed(delta);
        self.replace_up(&change, level, became);
    }

    /// As `splice`, in a leaf of this version. `false`, with nothing done, if it has to be made anew.
    fn splice_in_place(
        &mut self,
        root: usize,
        path: &Path,
        new: Piece<'_>,
        removed: usize,
    ) -> bool {
        let level = path.depth() - 1;
        let (leaf, index) = path.step(level);
        let entry = match new {
            Piece::New(entry) => Some(entry),
            _ => None,
        };
        let dropped = (removed > 0).then(|| leaf.long(index)).flatten();
        // SAFETY: this version made the leaf, and `&mut self` says that nobody reads it.
        if !unsafe { leaf.splice(index, entry, removed) } {
            return false;
        }
        dropped
            .into_iter()
            .for_each(|dropped| self.drop_long(dropped));
        let delta = new.len() as i64 - removed as i64;
        self.counts[root] = self.counts[root].wrapping_add_signed(delta);
        let change = Change {
            root,
            path,
            shrunk: false,
            delta,
            edges: Edges::default(),
        };
        self.adjust_up(&change, level);
        true
    }

    fn build_leaves(&mut self, root: usize, path: &Path, pieces: &Pieces<'_>) -> Became {
        let keyed = self.order(root) != Order::Position;
        let count: usize = pieces.iter().map(Piece::len).sum();
        if count == 0 {
            return Became::Nothing;
        }
        let bytes = leaf_bytes(pieces, keyed);
        if count == 1 || bytes <= LEAF_BYTES_MAX {
            let is_own = path.step(path.depth() - 1).0.birth() == self.id;
            let room = if is_own && matches!(pieces[1], Piece::New(_)) {
                ROOM_BYTES.min(LEAF_BYTES_MAX.saturating_sub(bytes))
            } else {
                0
            };
            return Became::One(Child::made(self.make_leaf_with_room(root, pieces, room)));
        }
        // What grows at one end fills its leaves.
        let left_count = if pieces[2].len() == 0 && path.is_on_edge(true) {
            count - 1
        } else if pieces[0].len() == 0 && path.is_on_edge(false) {
            1
        } else {
            middle(pieces, keyed).clamp(1, count - 1)
        };
        let (left, right) = split_pieces(pieces, left_count);
        let left = Child::made(self.make_leaf(root, &left));
        let right = Child::made(self.make_leaf(root, &right));
        Became::Two(left, right)
    }

    pub(super) fn make_leaf(&mut self, root: usize, pieces: &Pieces<'_>) -> *mut Node {
        self.make_leaf_with_room(root, pieces, 0)
    }

    fn make_leaf_with_room(&mut self, root: usize, pieces: &Pieces<'_>, room: usize) -> *mut Node {
        let node = build_leaf(self.id, self.order(root), pieces, room);
        // SAFETY: just built.
        self.memory_bytes += unsafe { NodeRef::new(node) }.size();
        node
    }

    pub(super) fn make_inner(&mut self, children: &[Child]) -> Child {
        let made = Child::made(build_inner(self.id, children));
        self.memory_bytes += made.node().size();
        made
    }

    /// Lets go of a node, but not of what is below it.
    pub(super) fn drop_node(&mut self, node: NodeRef<'_>) {
        self.memory_bytes = self.memory_bytes.saturating_sub(node.size());
        if node.birth() == self.id || fault!("shared node freed") {
            // SAFETY: this version made it, is private, and no longer links to it.
            unsafe { free_node(node.pointer()) };
        } else {
            if fault!("dead node forgotten") {
                return;
            }
            self.trim.get_mut().dead.push(Dead::node(node));
            self.dropped_bytes += node.size();
        }
    }

    pub(super) fn drop_long(&mut self, long: LongRef) {
        self.memory_bytes = self.memory_bytes.saturating_sub(long.size());
        if long.birth == self.id {
            // SAFETY: as in `drop_node`.
            unsafe { free_long(long.block) };
        } else {
            self.trim.get_mut().dead.push(Dead::long(long));
            self.dropped_bytes += long.size();
        }
    }

    /// Puts what a node on `level` of the path became in the place of it, up to the root.
    pub(super) fn replace_up(&mut self, change: &Change<'_>, level: usize, became: Became) {
        let (mut level, mut became) = (level, became);
        while level > 0 {
            level -= 1;
            let (parent, index) = change.path.step(level);
            let (mut from, mut to) = (index, index + 1);
            if let Became::One(child) = became
                && change.shrunk
                && child.node().is_underfull()
                && let Some((merged, start)) = self.merge_beside(change.root, parent, index, child)
            {
                became = Became::One(merged);
                (from, to) = (start, start + 2);
            }
            let one = match became {
                Became::One(child) if to - from == 1 => Some(child),
                _ => None,
            };
            if let Some(child) = one
                && parent.birth() == self.id
            {
                // SAFETY: this version made it, and `&mut self` says that nobody reads it.
                unsafe { parent.set_child(index, child) };
                return self.adjust_up(change, level);
            }
            became = match one {
                Some(child) => {
                    let copy = Child::made(copy_inner(self.id, parent, index, child));
                    self.memory_bytes += copy.node().size();
                    Became::One(copy)
                }
                None => self.rebuild(change.edges, parent, from, to, became),
            };
            self.drop_node(parent);
        }
        let root = match became {
            Became::Nothing => Link::NULL,
            Became::One(child) => child.link,
            Became::Two(left, right) => self.make_inner(&[left, right]).link,
        };
        self.set_root(change.root, root);
    }

    /// Brings words and counts above `level` up to date; all those nodes are the version's own.
    fn adjust_up(&mut self, change: &Change<'_>, level: usize) {
        for level in (0..level).rev() {
            let (node, index) = change.path.step(level);
            let below = change.path.step(level + 1).0;
            let mut child = node.child_for(index, self.id);
            child.count = child.count.wrapping_add_signed(change.delta);
            if fault!("count of an inner node off by one") {
                child.count += 1;
            }
            child.word = below.word(0);
            // SAFETY: own, as a node is never older than its children.
            unsafe { node.set_child(index, child) };
        }
    }

    /// Joins a child that has become small with one beside it, if they fit. What they became, and
    /// where the first of them was.
    fn merge_beside(
        &mut self,
        root: usize,
        parent: NodeRef<'_>,
        index: usize,
        child: Child,
    ) -> Option<(Child, usize)> {
        let other = if index + 1 < parent.len() {
            index + 1
        } else {
            index.checked_sub(1)?
        };
        let beside = parent.child_for(other, self.id);
        let start = index.min(other);
        let (left, right) = if other < index {
            (beside, child)
        } else {
            (child, beside)
        };
        Some((self.merge(root, left, right)?, start))
    }

    /// Joins two neighbours, if they fit.
    pub(super) fn merge(&mut self, root: usize, left: Child, right: Child) -> Option<Child> {
        let (left, right) = (left.node(), right.node());
        if !left.fits_with(right) {
            return None;
        }
        let merged = if left.is_leaf() {
            let pieces = [
                Piece::Range(left, 0, left.len()),
                Piece::Range(right, 0, right.len()),
                Piece::Nothing,
            ];
            Child::made(self.make_leaf(root, &pieces))
        } else {
            let children: Vec<Child> = [left, right]
                .into_iter()
                .flat_map(|node| (0..node.len()).map(move |index| (node, index)))
                .map(|(node, index)| node.child_for(index, self.id))
                .collect();
            self.make_inner(&children)
        };
        self.drop_node(left);
        self.drop_node(right);
        Some(merged)
    }

    /// Makes of `parent` one or two nodes with other children from `from` to below `to`.
    fn rebuild(
        &mut self,
        edges: Edges,
        parent: NodeRef<'_>,
        from: usize,
        to: usize,
        new: Became,
    ) -> Became {
        let mut children: Vec<Child> = Vec::with_capacity(parent.len() + 1);
        children.extend((0..from).map(|index| parent.child_for(index, self.id)));
        match new {
            Became::Nothing => {}
            Became::One(child) => children.push(child),
            Became::Two(left, right) => children.extend([left, right]),
        }
        children.extend((to..parent.len()).map(|index| parent.child_for(index, self.id)));
        if children.is_empty() {
            return Became::Nothing;
        }
        if children.len() <= CHILDREN_MAX {
            return Became::One(self.make_inner(&children));
        }
        let middle = if to == parent.len() && edges.last {
            EDGE_CHILDREN
        } else if from == 0 && edges.first {
            children.len() - EDGE_CHILDREN
        } else {
            children.len() / 2
        };
        let (left, right) = children.split_at(middle);
        Became::Two(self.make_inner(left), self.make_inner(right))
    }

    /// Makes `root` the root of a tree, without the nodes that have one child only.
    pub(super) fn set_root(&mut self, root: usize, link: Link) {
        let mut link = link;
        while !link.is_null() {
            // SAFETY: a node of this tree.
            let node = unsafe { NodeRef::new(link.node()) };
            if node.is_leaf() || node.len() > 1 {
                break;
            }
            link = node.child_for(0, self.id).link;
            self.drop_node(node);
        }
        self.roots[root] = link;
    }
}
