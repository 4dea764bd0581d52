//! Sorted sets: members ordered by score, then by their bytes.

use super::Type;
use super::body::Body;
use super::hash::{COMPACT_ELEMENT_BYTES_MAX, COMPACT_ENTRIES_MAX};
use super::order::{Order, read_score, score_word};
use super::view::{Item, Place, View};

/// Sticky: the set has been beyond what Redis keeps as a list pack.
const LARGE: u8 = 1;

/// A sorted set to be read.
#[derive(Clone, Copy)]
pub struct SortedSetRef<'a> {
    pub(crate) view: View<'a>,
}

/// A member and its score.
fn element(item: Item<'_>) -> (&[u8], f64) {
    (item.key, item.score())
}

impl<'a> SortedSetRef<'a> {
    /// How many members there are. O(1).
    pub fn len(self) -> usize {
        self.view.len()
    }

    /// Whether there is no member.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The score of a member. O(log n).
    #[inline]
    pub fn score(self, member: &[u8]) -> Option<f64> {
        self.view.find(member).map(read_score)
    }

    /// How many elements are before a member. O(log n).
    pub fn rank(self, member: &[u8]) -> Option<usize> {
        let score = self.score(member)?;
        Some(self.bound(score, member).rank)
    }

    fn bound(self, score: f64, member: &[u8]) -> Place {
        self.view.bound(Order::Score, score_word(score), member)
    }

    /// The element with `rank` others before it. O(log n).
    pub fn by_rank(self, rank: usize) -> Option<(&'a [u8], f64)> {
        self.view.get(rank).map(element)
    }

    /// The elements from a rank on. O(log n), then O(1) each.
    pub fn iter_from(self, rank: usize) -> impl Iterator<Item = (&'a [u8], f64)> + use<'a> {
        self.view.iter_from(rank).map(element)
    }

    /// The elements from a rank (the last, if it is beyond) on backwards.
    pub fn iter_back_from(self, rank: usize) -> impl Iterator<Item = (&'a [u8], f64)> + use<'a> {
        self.view.iter_back_from(rank).map(element)
    }

    /// How many elements have a score below `score`, or, `after_equal`, at most `score`.
    /// O(log n).
    pub fn rank_of_score(self, score: f64, after_equal: bool) -> usize {
        let word = score_word(score);
        // The words of scores stay below the largest.
        let word = if after_equal { word + 1 } else { word };
        self.view.bound(Order::Score, word, b"").rank
    }

    /// How many elements are before `member`, or, `after_equal`, not behind it, if all had the
    /// score of the first. O(log n).
    pub fn rank_of_member_bound(self, member: &[u8], after_equal: bool) -> usize {
        let Some((_, score)) = self.by_rank(0) else {
            return 0;
        };
        let place = self.bound(score, member);
        place.rank + usize::from(after_equal && place.found)
    }

    /// Visits about `count` elements from `cursor` (0: the start) on, and answers the next cursor
    /// (0: the end; always below 2^63). A member that is there during a whole scan is visited.
    pub fn scan(self, cursor: u64, count: usize, mut visit: impl FnMut(&'a [u8], f64)) -> u64 {
        self.view.scan(cursor, count, |member, score| {
            visit(member, read_score(score))
        })
    }

    /// Whether it has never been beyond 128 members or 64 bytes in one.
    pub fn is_compact(self) -> bool {
        self.view.encoding & LARGE == 0
    }
}

/// A sorted set that one transaction changes.
pub struct SortedSetValue {
    pub(crate) body: Body,
}

impl SortedSetValue {
    /// An empty sorted set.
    pub fn new() -> SortedSetValue {
        SortedSetValue {
            body: Body::new(Type::SortedSet),
        }
    }

    /// Gives a member a score (not NaN); the one it had. O(log n).
    pub fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let old = self.as_ref().score(member);
        if let Some(old) = old {
            if old.to_bits() == score.to_bits() {
                return Some(old);
            }
            let place = self.body.bound(score_word(old), member);
            self.body.remove_for_move(&place);
        }
        let place = self.body.bound(score_word(score), member);
        self.body.insert(&place, member, &score.to_le_bytes());
        if member.len() > COMPACT_ELEMENT_BYTES_MAX || self.as_ref().len() > COMPACT_ENTRIES_MAX {
            self.body.encoding |= LARGE;
        }
        old
    }

    /// Removes a member; the score it had. O(log n).
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let score = self.as_ref().score(member)?;
        let place = self.body.bound(score_word(score), member);
        self.body.remove(&place);
        Some(score)
    }

    /// Removes the elements with ranks from `start` to below `end`; how many there were.
    /// O(log n) each.
    pub fn remove_ranks(&mut self, start: usize, end: usize) -> usize {
        self.body.remove_ranks(start, end)
    }

    /// The sorted set as it is now.
    pub fn as_ref(&self) -> SortedSetRef<'_> {
        SortedSetRef {
            view: self.body.view(),
        }
    }
}

impl Default for SortedSetValue {
    fn default() -> SortedSetValue {
        SortedSetValue::new()
    }
}
