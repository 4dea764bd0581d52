//! From a key's hash to its record: a lock-free accelerator beside the ordered keyspace.
//!
//! A tree of small leaves in hash order. A leaf is an append-only open-addressing table of cache
//! lines; it grows by freezing every slot, copying what lives, and one compare-and-swap of the
//! cell in which it hangs. Readers never write and never wait.
//!
//! Slot word: 0 = empty; bit 0 FROZEN; bits 3..47 the record; bits 48..63 and 1..2 an 18-bit tag.
//! Cell word: 0 = no leaf; bit 0 = inner node; bits 1..4 = log2 of the leaf's lines; bit 5 = the
//! cell is frozen; the rest is the address.
//!
//! - J1 In a leaf a slot goes only empty → record → TOMB, or gains FROZEN. So behind an empty slot
//!   nothing of its probe order counts, and publishers of one hash meet in the same empty slot.
//! - J2 A leaf whose slots are all frozen never changes, nor a node whose cells all are.
//! - J3 Whoever replaces a leaf or a node froze all of it first; the cell's CAS is the only switch.
//! - J4 A record loses its slot to `remove` alone.
//!
//! All loads and CAS are SeqCst: a miss must be ordered against the commit clock's advances, so
//! that either the lookup sees the slot or the writer's later clock load sees the advance.

mod rebuild;
mod scan;

use std::alloc::{Layout, handle_alloc_error};

use crate::record::Record;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use crate::sync::{Guard, sized};

const FROZEN: u64 = 1;
/// A slot whose record was removed: no pointer, and never a record again.
const TOMB: u64 = 0x6;
const POINTER: u64 = 0x0000_FFFF_FFFF_FFF8;
const _: () = assert!(
    align_of::<Record>() == 8,
    "bits 0 to 2 of an address are not its own"
);
const TAG: u64 = !(POINTER | FROZEN);
const TAG_BITS: u32 = 18;

const CELL_INNER: u64 = 1;
const CELL_FROZEN: u64 = 1 << 5;
const CELL_ADDRESS: u64 = !0x3F;

const LINE_SLOTS: usize = sized(8, 2);
const FANOUT: usize = 16;
const FANOUT_BITS: u32 = 4;
/// log2 of the lines at which a leaf is split rather than doubled.
const SPLIT_LINES_LOG: u32 = sized(8, 1);
/// Below this depth leaves split; deeper, nearly equal hashes just make them longer.
const SPLIT_DEPTH_MAX: u32 = 42;
/// A full leaf of at least this many lines is rebuilt before it is probed to its end.
const PROBE_LINES: usize = 3;

type Line = [AtomicU64; LINE_SLOTS];

#[repr(align(128))]
struct Node {
    cells: [AtomicU64; FANOUT],
}

/// A leaf as one walk found it.
#[derive(Clone, Copy)]
struct Leaf<'d> {
    lines: &'d [Line],
    lines_log: u32,
    /// Hash bits used up on the way.
    depth: u32,
    cell: &'d AtomicU64,
    entry: u64,
}

/// Where a node hangs: everything that is needed to replace it.
#[derive(Clone, Copy)]
struct Hanging<'d> {
    cell: &'d AtomicU64,
    entry: u64,
    node: &'d Node,
    /// Hash bits used up on the way to the node's own cells.
    depth: u32,
}

/// See the module's text.
pub(crate) struct Directory {
    root: Box<Node>,
    /// How many leaves have their lines at each depth (used-up bits + log2 lines); for sampling.
    levels: [AtomicUsize; 72],
}

fn tag_bits(tag: u64) -> u64 {
    ((tag >> 2) << 48) | ((tag & 3) << 1)
}

fn tag_of_word(word: u64) -> u64 {
    ((word >> 48) << 2) | ((word >> 1) & 3)
}

fn tag_of_hash(hash: u64, depth: u32) -> u64 {
    (hash << depth) >> (64 - TAG_BITS)
}

fn record_of(word: u64) -> *const Record {
    std::ptr::with_exposed_provenance((word & POINTER) as usize)
}

/// The line in which a tag's probing begins.
fn home_of_tag(tag: u64, lines_log: u32) -> usize {
    (tag >> (TAG_BITS - lines_log)) as usize
}

fn leaf_layout(lines_log: u32) -> Layout {
    // At most 2^15 lines of 64 bytes.
    Layout::from_size_align(64 << lines_log, 64)
        .unwrap_or_else(|_| handle_alloc_error(Layout::new::<Line>()))
}

impl Leaf<'_> {
    fn slots(&self) -> usize {
        self.lines.len() * LINE_SLOTS
    }

    /// The slots in the probe order of `tag`.
    fn probe(&self, tag: u64) -> impl Iterator<Item = (usize, &AtomicU64)> {
        let (home, mask) = (home_of_tag(tag, self.lines_log), self.lines.len() - 1);
        (0..self.lines.len()).flat_map(move |step| {
            self.lines[(home + step) & mask]
                .iter()
                .map(move |s| (step, s))
        })
    }

    fn used(&self) -> usize {
        self.lines
            .iter()
            .flatten()
            .filter(|slot| slot.load(SeqCst) & !FROZEN != 0)
            .count()
    }
}

enum Found<'d> {
    Nothing,
    Leaf(Leaf<'d>),
}

impl Directory {
    pub(crate) fn new() -> Directory {
        Directory {
            root: Box::new(Node {
                cells: std::array::from_fn(|_| AtomicU64::new(0)),
            }),
            levels: std::array::from_fn(|_| AtomicUsize::new(0)),
        }
    }

    /// The leaf that a cell's entry names.
    ///
    /// # Safety
    /// `entry` was loaded from `cell` under a pin that is still held.
    unsafe fn leaf_of<'d>(cell: &'d AtomicU64, entry: u64, depth: u32) -> Leaf<'d> {
        let lines_log = ((entry >> 1) & 0xF) as u32;
        let address: *const Line =
            std::ptr::with_exposed_provenance((entry & CELL_ADDRESS) as usize);
        // SAFETY: a cell's leaf has 2^lines_log lines and is freed an epoch after it is replaced.
        let lines = unsafe { std::slice::from_raw_parts(address, 1 << lines_log) };
        Leaf {
            lines,
            lines_log,
            depth,
            cell,
            entry,
        }
    }

    /// # Safety
    /// As for `leaf_of`, and the entry is an inner node's.
    unsafe fn node_of<'d>(entry: u64) -> &'d Node {
        let address: *const Node =
            std::ptr::with_exposed_provenance((entry & CELL_ADDRESS) as usize);
        // SAFETY: nodes are freed an epoch after they are replaced.
        unsafe { &*address }
    }

    /// Walks as a reader: frozen cells are as good as others (J2).
    fn find<'d>(&'d self, hash: u64, _guard: &'d Guard) -> Found<'d> {
        let (mut node, mut depth) = (&*self.root, 0);
        loop {
            let cell = &node.cells[((hash << depth) >> (64 - FANOUT_BITS)) as usize];
            depth += FANOUT_BITS;
            let entry = cell.load(SeqCst) & !CELL_FROZEN;
            if entry == 0 {
                return Found::Nothing;
            }
            if entry & CELL_INNER == 0 {
                // SAFETY: just loaded under the guard.
                return Found::Leaf(unsafe { Directory::leaf_of(cell, entry, depth) });
            }
            // SAFETY: just loaded under the guard, and inner.
            node = unsafe { Directory::node_of(entry) };
        }
    }

    /// Walks as a writer: helps to replace a frozen node, and makes the leaf if there is none.
    fn leaf_for_writing<'d>(
        &'d self,
        hash: u64,
        make: bool,
        guard: &'d Guard,
    ) -> Option<(Leaf<'d>, Option<Hanging<'d>>)> {
        'restart: loop {
            let (mut node, mut depth, mut hanging) = (&*self.root, 0, None);
            loop {
                let cell = &node.cells[((hash << depth) >> (64 - FANOUT_BITS)) as usize];
                let entry = cell.load(SeqCst);
                if entry & CELL_FROZEN != 0 {
                    if let Some(hanging) = hanging {
                        self.merge(hanging, guard);
                    }
                    continue 'restart;
                }
                depth += FANOUT_BITS;
                if entry == 0 {
                    if !make {
                        return None;
                    }
                    self.add_leaf(cell, depth);
                    continue 'restart;
                }
                if entry & CELL_INNER == 0 {
                    // SAFETY: just loaded under the guard.
                    return Some((unsafe { Directory::leaf_of(cell, entry, depth) }, hanging));
                }
                // SAFETY: just loaded under the guard, and inner.
                node = unsafe { Directory::node_of(entry) };
                hanging = Some(Hanging {
                    cell,
                    entry,
                    node,
                    depth,
                });
            }
        }
    }

    fn add_leaf(&self, cell: &AtomicU64, depth: u32) {
        let fresh = rebuild::allocate_leaf(0);
        match cell.compare_exchange(0, fresh, SeqCst, SeqCst) {
            Ok(_) => self.count_leaf(fresh, depth, true),
            // SAFETY: never shared.
            Err(_) => unsafe { rebuild::free_entry(fresh) },
        }
    }

    /// The record under `hash` that `accept` takes. A refused one is passed over: a dead record
    /// may still stand before its successor.
    ///
    /// Linearises at the load of the accepting slot or of the empty one; O(1) expected.
    pub(crate) fn get(
        &self,
        hash: u64,
        guard: &Guard,
        accept: impl Fn(*const Record) -> bool,
    ) -> Option<*const Record> {
        let Found::Leaf(leaf) = self.find(hash, guard) else {
            return None;
        };
        let tag = tag_of_hash(hash, leaf.depth);
        let bits = tag_bits(tag);
        for (_, slot) in leaf.probe(tag) {
            let word = slot.load(SeqCst) & !FROZEN;
            if word == 0 {
                return None;
            }
            if word & TAG == bits && word & POINTER != 0 {
                let record = record_of(word);
                if accept(record) {
                    return Some(record);
                }
            }
        }
        None
    }

    /// Asks the cache for the line where `hash` begins to probe.
    pub(crate) fn prefetch(&self, hash: u64, guard: &Guard) {
        if let Found::Leaf(leaf) = self.find(hash, guard) {
            let line = &leaf.lines[home_of_tag(tag_of_hash(hash, leaf.depth), leaf.lines_log)];
            prefetch_line(line.as_ptr().cast());
        }
    }

    /// The first record of the home line whose tag fits: a hint for prefetching it, nothing more.
    pub(crate) fn likely(&self, hash: u64, guard: &Guard) -> Option<*const Record> {
        let Found::Leaf(leaf) = self.find(hash, guard) else {
            return None;
        };
        let tag = tag_of_hash(hash, leaf.depth);
        let line = &leaf.lines[home_of_tag(tag, leaf.lines_log)];
        line.iter().map(|slot| slot.load(SeqCst)).find_map(|word| {
            (word & TAG == tag_bits(tag) && word & POINTER != 0).then(|| record_of(word))
        })
    }

    /// Makes sure that `record` can be found. Every writer that did not get it from here calls
    /// this before it installs a version, so that a miss means absence.
    pub(crate) fn publish(&self, hash: u64, record: *const Record, guard: &Guard) {
        let address = record.expose_provenance() as u64;
        debug_assert_eq!(address & !POINTER, 0);
        'restart: loop {
            let Some((leaf, _)) = self.leaf_for_writing(hash, true, guard) else {
                continue;
            };
            let tag = tag_of_hash(hash, leaf.depth);
            for (step, slot) in leaf.probe(tag) {
                if step == PROBE_LINES && leaf.used() * 10 >= leaf.slots() * 7 {
                    break;
                }
                loop {
                    let word = slot.load(SeqCst);
                    if word & POINTER == address {
                        return;
                    }
                    if word == FROZEN {
                        self.rebuild(leaf, guard);
                        continue 'restart;
                    }
                    if word != 0 {
                        break;
                    }
                    let own = address | tag_bits(tag);
                    if slot.compare_exchange(0, own, SeqCst, SeqCst).is_ok() {
                        return;
                    }
                    // Somebody took this very slot: it may hold the same record now (J1).
                }
            }
            self.rebuild(leaf, guard);
        }
    }

    /// Takes `record` out, if it is in. Called once its head is DEAD.
    pub(crate) fn remove(&self, hash: u64, record: *const Record, guard: &Guard) {
        let address = record.expose_provenance() as u64;
        'restart: loop {
            let Some((leaf, hanging)) = self.leaf_for_writing(hash, false, guard) else {
                return;
            };
            for (_, slot) in leaf.probe(tag_of_hash(hash, leaf.depth)) {
                let word = slot.load(SeqCst);
                if word & !FROZEN == 0 {
                    return;
                }
                if word & POINTER != address {
                    continue;
                }
                if word & FROZEN == 0 && slot.compare_exchange(word, TOMB, SeqCst, SeqCst).is_ok() {
                    self.maybe_shrink(hash, leaf, hanging, guard);
                    return;
                }
                // Frozen now: only a copy may lose it.
                self.rebuild(leaf, guard);
                continue 'restart;
            }
            return;
        }
    }

    fn count_leaf(&self, entry: u64, depth: u32, added: bool) {
        let level = &self.levels[(depth + ((entry >> 1) & 0xF) as u32) as usize];
        // A counter for sampling only: Relaxed.
        if added {
            level.fetch_add(1, crate::sync::atomic::Ordering::Relaxed);
        } else {
            level.fetch_sub(1, crate::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// Asks the cache for the line at `address`; a hint without effect on what is read.
#[inline]
pub(crate) fn prefetch_line(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching reads nothing and cannot fault.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

impl Drop for Directory {
    fn drop(&mut self) {
        for cell in &mut self.root.cells {
            // SAFETY: nobody else is left, and every leaf and node hangs in exactly one cell.
            unsafe { rebuild::free_tree(*cell.get_mut()) };
        }
    }
}
