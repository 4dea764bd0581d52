//! How the directory's leaves grow, shrink, split and merge: freeze, copy, one CAS.

use std::alloc::{alloc_zeroed, dealloc, handle_alloc_error};

use super::{
    CELL_ADDRESS, CELL_FROZEN, CELL_INNER, Directory, FANOUT, FANOUT_BITS, FROZEN, Hanging,
    LINE_SLOTS, Leaf, Line, Node, POINTER, SPLIT_DEPTH_MAX, SPLIT_LINES_LOG, TAG_BITS, home_of_tag,
    leaf_layout, record_of, tag_bits, tag_of_hash, tag_of_word,
};
use crate::sync::atomic::{AtomicU64, Ordering::SeqCst};
use crate::sync::{Guard, sized};

/// A leaf is made so that it is at most this full, in percent.
const FILL_PERCENT: usize = 60;
/// A node's leaves are merged into one when they have at most this many slots in all.
const MERGE_SLOTS_MAX: usize = sized(512, 4);
const LINES_LOG_MAX: u32 = 15;

/// The cell entry of a new empty leaf.
pub(super) fn allocate_leaf(lines_log: u32) -> u64 {
    let layout = leaf_layout(lines_log);
    // SAFETY: the layout is not empty. Zero is an empty slot.
    let block = unsafe { alloc_zeroed(layout) };
    if block.is_null() {
        handle_alloc_error(layout);
    }
    block.expose_provenance() as u64 | (u64::from(lines_log) << 1)
}

/// # Safety
/// Nobody reaches the leaf or node any more. What hangs in a node's cells stays.
pub(super) unsafe fn free_entry(entry: u64) {
    let address = (entry & CELL_ADDRESS) as usize;
    if entry & CELL_INNER != 0 {
        // SAFETY: boxed by `allocate_node`.
        drop(unsafe { Box::from_raw(std::ptr::with_exposed_provenance_mut::<Node>(address)) });
    } else if address != 0 {
        let layout = leaf_layout(((entry >> 1) & 0xF) as u32);
        // SAFETY: allocated by `allocate_leaf` with this layout.
        unsafe { dealloc(std::ptr::with_exposed_provenance_mut(address), layout) };
    }
}

/// # Safety
/// Nobody reaches anything below `entry` any more.
pub(super) unsafe fn free_tree(entry: u64) {
    if entry & CELL_INNER != 0 {
        // SAFETY: an inner entry names a node; nobody else is left.
        let node = unsafe { Directory::node_of(entry) };
        for cell in &node.cells {
            // SAFETY: as above; each child hangs in this cell alone.
            unsafe { free_tree(cell.load(SeqCst)) };
        }
    }
    // SAFETY: as above.
    unsafe { free_entry(entry) };
}

fn allocate_node(entries: [u64; FANOUT]) -> u64 {
    let node = Box::new(Node {
        cells: entries.map(AtomicU64::new),
    });
    Box::into_raw(node).expose_provenance() as u64 | CELL_INNER
}

/// The lines that `live` records want.
fn lines_log_for(live: usize) -> u32 {
    (0..LINES_LOG_MAX)
        .find(|log| live * 100 <= (LINE_SLOTS << log) * FILL_PERCENT)
        .unwrap_or(LINES_LOG_MAX)
}

/// Freezes every slot, empty ones too (a publication into one would be lost), and returns the
/// words of the records in it.
fn freeze(leaf: &Leaf<'_>) -> Vec<u64> {
    leaf.lines
        .iter()
        .flatten()
        .map(
            |slot| match fault!("empty slots not frozen") && slot.load(SeqCst) == 0 {
                true => 0,
                false => slot.fetch_or(FROZEN, SeqCst) & !FROZEN,
            },
        )
        .filter(|word| word & POINTER != 0)
        .collect()
}

/// A leaf with these words (tags fit its depth), or 0 for none.
fn build_leaf(words: &[u64]) -> u64 {
    if words.is_empty() {
        return 0;
    }
    let lines_log = lines_log_for(words.len());
    let entry = allocate_leaf(lines_log);
    let lines: *const Line = std::ptr::with_exposed_provenance((entry & CELL_ADDRESS) as usize);
    // SAFETY: just allocated with 2^lines_log lines, not yet shared.
    let lines = unsafe { std::slice::from_raw_parts(lines, 1 << lines_log) };
    let mask = lines.len() - 1;
    let lost = usize::from(fault!("entry lost in a resize"));
    for &word in &words[..words.len() - lost] {
        let home = home_of_tag(tag_of_word(word), lines_log);
        let free = (0..lines.len())
            .flat_map(|step| &lines[(home + step) & mask])
            .find(|slot| slot.load(SeqCst) == 0);
        if let Some(slot) = free {
            // Relaxed: the leaf becomes visible by the cell's CAS.
            slot.store(word, crate::sync::atomic::Ordering::Relaxed);
        }
    }
    entry
}

/// Sixteen leaves one level further down.
///
/// # Safety
/// The records of `words` are protected by the caller's pin.
unsafe fn build_node(words: &[u64], depth: u32) -> u64 {
    let mut children: [Vec<u64>; FANOUT] = Default::default();
    for &word in words {
        // SAFETY: the caller's promise; a record's hash never changes.
        let hash = unsafe { (*record_of(word)).hash() };
        let index = ((hash << depth) >> (64 - FANOUT_BITS)) as usize;
        let tag = tag_of_hash(hash, depth + FANOUT_BITS);
        children[index].push((word & POINTER) | tag_bits(tag));
    }
    allocate_node(children.map(|words| build_leaf(&words)))
}

impl Directory {
    /// Replaces a leaf by one (or a node of sixteen) of the right size. Anybody may call it, many
    /// at once: one CAS wins.
    pub(super) fn rebuild(&self, leaf: Leaf<'_>, guard: &Guard) {
        let words = freeze(&leaf);
        if leaf.cell.load(SeqCst) != leaf.entry {
            return;
        }
        let split = lines_log_for(words.len()) > SPLIT_LINES_LOG && leaf.depth <= SPLIT_DEPTH_MAX;
        let fresh = if split {
            // SAFETY: records in a leaf that was current under this pin are kept by it.
            unsafe { build_node(&words, leaf.depth) }
        } else {
            build_leaf(&words)
        };
        self.switch(leaf.cell, leaf.entry, fresh, leaf.depth, guard);
    }

    /// The one step that makes a replacement current; the loser frees its own copy.
    fn switch(&self, cell: &AtomicU64, old: u64, fresh: u64, depth: u32, guard: &Guard) {
        if cell.compare_exchange(old, fresh, SeqCst, SeqCst).is_err() {
            // SAFETY: never shared.
            unsafe { free_tree(fresh) };
            return;
        }
        self.count_below(fresh, depth, true);
        self.count_below(old, depth, false);
        retire(old, guard);
    }

    fn count_below(&self, entry: u64, depth: u32, added: bool) {
        if entry & CELL_INNER == 0 {
            if entry != 0 {
                self.count_leaf(entry, depth, added);
            }
            return;
        }
        // SAFETY: called under the pin that saw the entry current.
        for cell in unsafe { &Directory::node_of(entry).cells } {
            let child = cell.load(SeqCst) & !CELL_FROZEN;
            // Inner children are counted when they are switched themselves.
            if child & CELL_INNER == 0 && child != 0 {
                self.count_leaf(child, depth + FANOUT_BITS, added);
            }
        }
    }

    /// After a removal: now and then counts the leaf, and gives memory back when little is left.
    pub(super) fn maybe_shrink(
        &self,
        hash: u64,
        leaf: Leaf<'_>,
        hanging: Option<Hanging<'_>>,
        guard: &Guard,
    ) {
        let every = (leaf.slots() / 32).max(1);
        if !(hash as usize).is_multiple_of(every) {
            return;
        }
        let live = leaf
            .lines
            .iter()
            .flatten()
            .filter(|slot| slot.load(SeqCst) & POINTER != 0)
            .count();
        if live * 8 >= leaf.slots() {
            return;
        }
        self.rebuild(leaf, guard);
        if let Some(hanging) = hanging
            && slots_below(hanging.node).is_some_and(|slots| slots <= MERGE_SLOTS_MAX)
        {
            self.merge(hanging, guard);
        }
    }

    /// Replaces a node by one leaf, or, if a child became a node meanwhile, by an unfrozen copy.
    pub(super) fn merge(&self, hanging: Hanging<'_>, guard: &Guard) {
        let entries: [u64; FANOUT] = std::array::from_fn(|i| {
            hanging.node.cells[i].fetch_or(CELL_FROZEN, SeqCst) & !CELL_FROZEN
        });
        if hanging.cell.load(SeqCst) != hanging.entry {
            return;
        }
        if entries.iter().any(|entry| entry & CELL_INNER != 0) {
            let copy = allocate_node(entries);
            if hanging
                .cell
                .compare_exchange(hanging.entry, copy, SeqCst, SeqCst)
                .is_ok()
            {
                // Its leaves live on in the copy.
                // SAFETY: unreachable from the directory; freed when today's readers are gone.
                unsafe { guard.defer_unchecked(move || free_entry(hanging_entry(hanging.entry))) };
            } else {
                // SAFETY: never shared.
                unsafe { free_entry(copy) };
            }
            return;
        }
        let mut words = Vec::new();
        for (index, &entry) in entries.iter().enumerate().filter(|(_, entry)| **entry != 0) {
            let cell = &hanging.node.cells[index];
            // SAFETY: a frozen cell's leaf, loaded under the guard.
            let leaf = unsafe { Directory::leaf_of(cell, entry, hanging.depth + FANOUT_BITS) };
            words.extend(freeze(&leaf).into_iter().map(|word| {
                let tag = ((index as u64) << (TAG_BITS - FANOUT_BITS)) | (tag_of_word(word) >> 4);
                (word & POINTER) | tag_bits(tag)
            }));
        }
        self.switch(
            hanging.cell,
            hanging.entry,
            build_leaf(&words),
            hanging.depth,
            guard,
        );
    }
}

fn hanging_entry(entry: u64) -> u64 {
    entry & !CELL_FROZEN
}

/// The slots of a node's leaves; `None` if a child is a node.
fn slots_below(node: &Node) -> Option<usize> {
    node.cells.iter().try_fold(0, |slots, cell| {
        let entry = cell.load(SeqCst);
        match entry & !CELL_FROZEN {
            0 => Some(slots),
            entry if entry & CELL_INNER != 0 => None,
            entry => Some(slots + (LINE_SLOTS << ((entry >> 1) & 0xF))),
        }
    })
}

/// Frees a replaced leaf, or a replaced node with its leaves, when today's readers are gone.
fn retire(entry: u64, guard: &Guard) {
    if entry == 0 {
        return;
    }
    let large = entry & CELL_INNER != 0 || leaf_layout(((entry >> 1) & 0xF) as u32).size() > 4096;
    // SAFETY: unreachable from the directory, all of it frozen, so nobody changes it any more.
    unsafe {
        guard.defer_unchecked(move || {
            if entry & CELL_INNER != 0 {
                for cell in &Directory::node_of(entry).cells {
                    let child = cell.load(SeqCst) & !CELL_FROZEN;
                    if child != 0 {
                        free_entry(child);
                    }
                }
            }
            free_entry(entry);
        });
    }
    if large {
        guard.flush();
    }
}
