//! Changing a leaf where it is, for the version that made it: no new block, and of the nodes above only
//! words and counts.

use std::ops::Range;

use super::build::{Encoded, entry_overhead};
use super::node::{HEADER, NodeRef};

/// Room for more entries in a leaf to which the version that made it adds another one.
pub(super) const ROOM_BYTES: usize = 256;

impl NodeRef<'_> {
    /// Puts `new` at `index`, in the place of `removed` entries (0 or 1). `false`, with nothing done, where
    /// the leaf has to be made anew: it has no room, or would be empty, or half of the block would be.
    ///
    /// # Safety
    /// The leaf is the caller's own, and no slice of its body is borrowed.
    pub(super) unsafe fn splice(self, index: usize, new: Option<&Encoded>, removed: usize) -> bool {
        let added = usize::from(new.is_some());
        let stored = new.map_or(&[][..], Encoded::stored);
        let (length, bytes) = (self.len(), self.stored(0, self.len()).len());
        let gone = self.stored(index, index + removed).len();
        let start = if index == length {
            bytes
        } else {
            self.span(index).0
        };
        let new_length = length + added - removed;
        let used = new_length * entry_overhead(self.keyed()) + bytes + stored.len() - gone;
        let capacity = self.size() - HEADER;
        if used > capacity || new_length == 0 || added < removed && used < capacity / 2 {
            return false;
        }
        let word = if self.keyed() { 8 } else { 0 };
        let (ends, new_ends) = (word * length, word * new_length);
        let (entries, new_entries) = (ends + 2 * length, new_ends + 2 * new_length);
        let behind = index + removed;
        let moves: [(Range<usize>, usize); 5] = [
            (word * behind..ends, word * (index + added)),
            (ends..ends + 2 * index, new_ends),
            (ends + 2 * behind..entries, new_ends + 2 * (index + added)),
            (entries..entries + start, new_entries),
            (
                entries + start + gone..entries + bytes,
                new_entries + start + stored.len(),
            ),
        ];
        // SAFETY: the caller's promise; so many bytes lie behind the header.
        let (header, body) = unsafe {
            let header = &mut *self.pointer();
            let body = self.pointer().cast::<u8>().add(HEADER);
            (header, std::slice::from_raw_parts_mut(body, capacity))
        };
        header.length = new_length as u16;
        header.has_long |= new.is_some_and(|entry| entry.long_size > 0);
        // What moves up goes first where it lies last, so that nothing is overwritten unread.
        if added > removed {
            moves
                .into_iter()
                .rev()
                .for_each(|(from, to)| body.copy_within(from, to));
        } else {
            moves
                .into_iter()
                .for_each(|(from, to)| body.copy_within(from, to));
        }
        for end in body[new_ends + 2 * (index + added)..new_entries].chunks_exact_mut(2) {
            let old = usize::from(u16::from_ne_bytes([end[0], end[1]]));
            end.copy_from_slice(&((old + stored.len() - gone) as u16).to_ne_bytes());
        }
        if let Some(entry) = new {
            if word > 0 {
                body[word * index..][..word].copy_from_slice(&entry.word.to_ne_bytes());
            }
            let end = (start + stored.len()) as u16;
            body[new_ends + 2 * index..][..2].copy_from_slice(&end.to_ne_bytes());
            body[new_entries + start..][..stored.len()].copy_from_slice(stored);
        }
        true
    }
}
