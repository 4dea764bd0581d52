//! Walking the directory in hash order, and drawing a record at random.

use super::{
    CELL_FROZEN, Directory, FROZEN, Found, LINE_SLOTS, POINTER, TAG_BITS, home_of_tag, record_of,
    tag_of_hash, tag_of_word,
};
use crate::record::Record;
use crate::sync::Guard;
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};

/// Cursors carry the upper bits of a hash, so that they are exact in a double.
const CURSOR_SHIFT: u32 = 16;
const SAMPLES_MAX: usize = 100;

impl Directory {
    /// Visits some records behind `cursor` (0: from the start) and returns the next cursor, 0 at
    /// the end. A record that is in all the time is visited at least once by a walk from 0 to 0,
    /// whatever is rebuilt meanwhile: the steps cover the hashes without a gap, and each step
    /// shows the whole line that it covers.
    pub(crate) fn scan(
        &self,
        cursor: u64,
        count: usize,
        guard: &Guard,
        mut visit: impl FnMut(*const Record),
    ) -> u64 {
        let mut position = cursor << CURSOR_SHIFT;
        let (mut visited, mut lines) = (0, 0);
        loop {
            let next = self.scan_line(position, guard, |record| {
                visited += 1;
                visit(record);
            });
            lines += 1;
            let Some(next) = next else { return 0 };
            position = next;
            let whole = position & ((1 << CURSOR_SHIFT) - 1) == 0;
            if whole && (visited >= count || lines >= count.saturating_mul(10)) {
                return position >> CURSOR_SHIFT;
            }
        }
    }

    /// Visits the records of `position`'s line and returns where the line ends (`None`: at the
    /// end of all), both as seen in one walk.
    fn scan_line(
        &self,
        position: u64,
        guard: &Guard,
        mut visit: impl FnMut(*const Record),
    ) -> Option<u64> {
        let (mut node, mut depth) = (&*self.root, 0);
        let used_bits = loop {
            let cell = &node.cells[((position << depth) >> (64 - super::FANOUT_BITS)) as usize];
            depth += super::FANOUT_BITS;
            let entry = cell.load(SeqCst) & !CELL_FROZEN;
            if entry == 0 {
                break depth;
            }
            if entry & super::CELL_INNER != 0 {
                // SAFETY: just loaded under the guard, and inner.
                node = unsafe { Directory::node_of(entry) };
                continue;
            }
            // SAFETY: just loaded under the guard.
            let leaf = unsafe { Directory::leaf_of(cell, entry, depth) };
            let tag = tag_of_hash(position, depth);
            let home = home_of_tag(tag, leaf.lines_log);
            for (_, slot) in leaf.probe(tag) {
                let word = slot.load(SeqCst) & !FROZEN;
                if word == 0 {
                    break;
                }
                if word & POINTER != 0 && home_of_tag(tag_of_word(word), leaf.lines_log) == home {
                    visit(record_of(word));
                }
            }
            break depth + leaf.lines_log;
        };
        let _ = guard;
        let width_less_one = u64::MAX.checked_shr(used_bits).unwrap_or(0);
        (position | width_less_one).checked_add(1)
    }

    /// A record drawn evenly among those that `accept` takes, or nearly so: after a hundred vain
    /// draws, the first acceptable one behind a random place.
    pub(crate) fn sample(
        &self,
        mut random: impl FnMut() -> u64,
        guard: &Guard,
        accept: impl Fn(*const Record) -> bool,
    ) -> Option<*const Record> {
        let deepest = self
            .levels
            .iter()
            .rposition(|level| level.load(Relaxed) != 0)? as u32;
        for _ in 0..SAMPLES_MAX {
            let hash = random();
            let Found::Leaf(leaf) = self.find(hash, guard) else {
                continue;
            };
            // A line of a shallow leaf is hit more often than one of the deepest: thin it out.
            let excess = deepest.saturating_sub(leaf.depth + leaf.lines_log);
            let draw = random();
            if excess > 0 && draw >> (64 - excess.min(TAG_BITS)) != 0 {
                continue;
            }
            let home = home_of_tag(tag_of_hash(hash, leaf.depth), leaf.lines_log);
            let word = leaf.lines[home][draw as usize % LINE_SLOTS].load(SeqCst);
            let record = record_of(word);
            if word & POINTER != 0 && accept(record) {
                return Some(record);
            }
        }
        let start = random() >> CURSOR_SHIFT;
        self.first_from(start, guard, &accept)
            .or_else(|| self.first_from(0, guard, &accept))
    }

    fn first_from(
        &self,
        cursor: u64,
        guard: &Guard,
        accept: &impl Fn(*const Record) -> bool,
    ) -> Option<*const Record> {
        let (mut cursor, mut found) = (cursor, None);
        loop {
            cursor = self.scan(cursor, 16, guard, |record| {
                if found.is_none() && accept(record) {
                    found = Some(record);
                }
            });
            if found.is_some() || cursor == 0 {
                return found;
            }
        }
    }
}
