//! Building nodes: a leaf from parts of others and a new entry, an inner node from children.

use std::ptr;

use super::super::order::Order;
use super::node::{
    CHILD_BYTES, Child, HEADER, INLINE_BYTES_MAX, LONG_BYTES, LONG_HEAD_BYTES, LONG_MARK, Long,
    Node, NodeRef, allocate,
};

/// An entry as a leaf stores it.
pub(super) struct Encoded {
    bytes: [u8; 1 + INLINE_BYTES_MAX],
    length: usize,
    pub(super) word: u64,
    /// The size of the block of a long entry; 0 if it is none.
    pub(super) long_size: usize,
}

impl Encoded {
    /// Encodes an entry for version `birth`. A long one's block is made here.
    pub(super) fn new(word: u64, key: &[u8], value: &[u8], birth: u64) -> Encoded {
        let mut bytes = [0; 1 + INLINE_BYTES_MAX];
        let total = key.len() + value.len();
        if total <= INLINE_BYTES_MAX {
            bytes[0] = key.len() as u8;
            bytes[1..=key.len()].copy_from_slice(key);
            bytes[1 + key.len()..=total].copy_from_slice(value);
            return Encoded {
                bytes,
                length: 1 + total,
                word,
                long_size: 0,
            };
        }
        let size = LONG_HEAD_BYTES + total;
        let block = allocate(size).cast::<Long>();
        bytes[0] = LONG_MARK;
        let at = bytes[1..].as_mut_ptr();
        // SAFETY: the block is fresh and has room for head, key and value; `bytes` has room for a
        // pointer and a birth.
        unsafe {
            block.write(Long {
                size,
                key_length: key.len(),
            });
            let body = block.add(1).cast::<u8>();
            ptr::copy_nonoverlapping(key.as_ptr(), body, key.len());
            ptr::copy_nonoverlapping(value.as_ptr(), body.add(key.len()), value.len());
            at.cast::<*mut Long>().write_unaligned(block);
            at.add(8).cast::<u64>().write_unaligned(birth);
        }
        Encoded {
            bytes,
            length: LONG_BYTES,
            word,
            long_size: size,
        }
    }

    pub(super) fn stored(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A part of what a leaf is built of.
#[derive(Clone, Copy)]
pub(super) enum Piece<'a> {
    /// Entries of another leaf.
    Range(NodeRef<'a>, usize, usize),
    /// A new entry.
    New(&'a Encoded),
    /// Nothing.
    Nothing,
}

impl Piece<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Piece::Range(_, from, to) => to - from,
            Piece::New(_) => 1,
            Piece::Nothing => 0,
        }
    }

    fn stored_bytes(&self) -> usize {
        match self {
            Piece::Range(leaf, from, to) => leaf.stored(*from, *to).len(),
            Piece::New(entry) => entry.length,
            Piece::Nothing => 0,
        }
    }
}

/// What a leaf is built of, in order.
pub(super) type Pieces<'a> = [Piece<'a>; 3];

pub(super) fn entry_overhead(keyed: bool) -> usize {
    if keyed { 8 + 2 } else { 2 }
}

/// The bytes of the body of a leaf made of these.
pub(super) fn leaf_bytes(pieces: &Pieces<'_>, keyed: bool) -> usize {
    pieces
        .iter()
        .map(|piece| piece.stored_bytes() + piece.len() * entry_overhead(keyed))
        .sum()
}

/// The first `count` entries and the others.
pub(super) fn split_pieces<'a>(pieces: &Pieces<'a>, count: usize) -> (Pieces<'a>, Pieces<'a>) {
    let (mut left, mut right) = ([Piece::Nothing; 3], [Piece::Nothing; 3]);
    let mut wanted = count;
    for (index, piece) in pieces.iter().enumerate() {
        let taken = piece.len().min(wanted);
        wanted -= taken;
        match *piece {
            Piece::Range(leaf, from, to) => {
                left[index] = Piece::Range(leaf, from, from + taken);
                right[index] = Piece::Range(leaf, from + taken, to);
            }
            new if taken == 1 => left[index] = new,
            new => right[index] = new,
        }
    }
    (left, right)
}

/// How many entries make up the first half of the bytes.
pub(super) fn middle(pieces: &Pieces<'_>, keyed: bool) -> usize {
    let half = leaf_bytes(pieces, keyed) / 2;
    let (mut bytes, mut count) = (0, 0);
    for piece in pieces {
        for index in 0..piece.len() {
            if bytes >= half {
                return count;
            }
            bytes += entry_overhead(keyed)
                + match piece {
                    Piece::Range(leaf, from, _) => {
                        leaf.stored(from + index, from + index + 1).len()
                    }
                    other => other.stored_bytes(),
                };
            count += 1;
        }
    }
    count
}

/// Makes a leaf, with room for more entries.
pub(super) fn build_leaf(birth: u64, order: Order, pieces: &Pieces<'_>, room: usize) -> *mut Node {
    let keyed = order != Order::Position;
    let length: usize = pieces.iter().map(Piece::len).sum();
    let size = HEADER + leaf_bytes(pieces, keyed) + room;
    let has_long = pieces.iter().any(|piece| match piece {
        Piece::Range(leaf, from, to) => leaf.has_long() && from < to,
        Piece::New(entry) => entry.long_size > 0,
        Piece::Nothing => false,
    });
    let node = allocate(size).cast::<Node>();
    let header = Node {
        birth,
        size: size as u32,
        length: length as u16,
        level: 0,
        keyed,
        has_long,
    };
    // SAFETY: the block is fresh and has room for what `leaf_bytes` counts: words, ends, entries,
    // each written once and in this order.
    unsafe {
        node.write(header);
        let body = node.cast::<u8>().add(HEADER);
        let mut words = body.cast::<u64>();
        let mut ends = body.add(if keyed { 8 * length } else { 0 }).cast::<u16>();
        let entries = ends.add(length).cast::<u8>();
        let mut end = 0;
        for piece in pieces {
            let stored = match piece {
                Piece::Range(leaf, from, to) if from < to => {
                    let start = leaf.span(*from).0;
                    let shift = (end as u16).wrapping_sub(start as u16);
                    for (index, own_end) in leaf.ends()[*from..*to].iter().enumerate() {
                        ends.add(index).write(own_end.wrapping_add(shift));
                    }
                    ends = ends.add(to - from);
                    if keyed {
                        let source = &leaf.words()[*from..*to];
                        ptr::copy_nonoverlapping(source.as_ptr(), words, source.len());
                        words = words.add(source.len());
                    }
                    leaf.stored(*from, *to)
                }
                Piece::New(entry) => {
                    ends.write((end + entry.length) as u16);
                    ends = ends.add(1);
                    if keyed {
                        words.write(entry.word);
                        words = words.add(1);
                    }
                    entry.stored()
                }
                _ => &[],
            };
            ptr::copy_nonoverlapping(stored.as_ptr(), entries.add(end), stored.len());
            end += stored.len();
        }
    }
    node
}

/// Makes an inner node over children, which are all on one level.
pub(super) fn build_inner(birth: u64, children: &[Child]) -> *mut Node {
    let level = children.first().map_or(0, |child| child.node().level()) + 1;
    let length = children.len();
    let size = HEADER + CHILD_BYTES * length;
    let node = allocate(size).cast::<Node>();
    let header = Node {
        birth,
        size: size as u32,
        length: length as u16,
        level: level as u8,
        keyed: true,
        has_long: false,
    };
    // SAFETY: the block is fresh and has room for so many children.
    unsafe {
        node.write(header);
        let view = NodeRef::new(node);
        for (index, child) in children.iter().enumerate() {
            view.set_child(index, *child);
        }
    }
    node
}

/// Makes a copy of an inner node for another version, with another child at `index`.
pub(super) fn copy_inner(birth: u64, source: NodeRef<'_>, index: usize, child: Child) -> *mut Node {
    let node = allocate(source.size()).cast::<Node>();
    // SAFETY: the block is fresh and as large as the source, of which everything is copied.
    unsafe {
        ptr::copy_nonoverlapping(
            source.pointer().cast::<u8>(),
            node.cast::<u8>(),
            source.size(),
        );
        (*node).birth = birth;
        let view = NodeRef::new(node);
        for at in 0..view.len() {
            let link = view.links().add(at);
            link.write(link.read().unmarked());
        }
        view.set_child(index, child);
    }
    node
}
