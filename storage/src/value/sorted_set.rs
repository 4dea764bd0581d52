//! Sorted sets: members ordered by score, then by their bytes.

use std::cmp::Ordering;

use super::Type;
use super::body::Body;
use super::hash::{COMPACT_ELEMENT_BYTES_MAX, COMPACT_ENTRIES_MAX};
use super::order::{Order, read_score, score_word};
use super::view::{Item, Position, View};

/// Sticky: the set has been beyond what Redis keeps as a list pack.
const LARGE: u8 = 1;

/// A sorted set to be read.
///
/// ```
/// use darter_storage::{Error, SortedSetValue, Store, Value, ValueMut, ValueRef};
/// let store = Store::new();
/// # store.update::<_, Error>("scores", || Value::SortedSet(SortedSetValue::new()), |value| {
/// #     if let ValueMut::SortedSet(mut set) = value {
/// #         set.insert(b"ada", 36.0);
/// #         set.insert(b"bob", 12.5);
/// #     }
/// #     Ok(())
/// # })?;
/// store.view("scores", |value| {
///     let Some(ValueRef::SortedSet(set)) = value else { panic!("a sorted set") };
///     assert_eq!(set.by_rank(0), Some((&b"bob"[..], 12.5)));
/// })?;
/// # Ok::<(), Error>(())
/// ```
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
    ///
    /// ```
    /// # use darter_storage::SortedSetValue;
    /// let mut set = SortedSetValue::new();
    /// set.insert(b"ada", 1.0);
    /// set.insert(b"ada", 2.0);
    /// assert_eq!(set.as_ref().len(), 1);
    /// ```
    pub fn len(self) -> usize {
        self.view.len()
    }

    /// Whether there is no member. O(1). No stored sorted set is empty: one that loses its last
    /// member is deleted.
    ///
    /// ```
    /// # use darter_storage::SortedSetValue;
    /// let mut set = SortedSetValue::new();
    /// set.insert(b"ada", 0.0);
    /// assert!(!set.as_ref().is_empty());
    /// set.remove_ranks(0, 1);
    /// assert!(set.as_ref().is_empty());
    /// ```
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The score of a member; `None` if it is not there. O(log n).
    ///
    /// ```
    /// # use darter_storage::SortedSetValue;
    /// let mut set = SortedSetValue::new();
    /// set.insert(b"ada", f64::INFINITY);
    /// assert_eq!(set.as_ref().score(b"ada"), Some(f64::INFINITY));
    /// assert_eq!(set.as_ref().score(b"bob"), None);
    /// ```
    #[inline]
    pub fn score(self, member: &[u8]) -> Option<f64> {
        self.view.find(member).map(read_score)
    }

    /// How many elements are before a member; `None` if it is not there. O(log n).
    ///
    /// ```
    /// # use darter_storage::SortedSetValue;
    /// let mut set = SortedSetValue::new();
    /// set.insert(b"b", 1.0);
    /// set.insert(b"a", 1.0);
    /// set.insert(b"first", -1.0);
    /// assert_eq!(set.as_ref().rank(b"b"), Some(2), "equal scores go by their members' bytes");
    /// assert_eq!(set.as_ref().rank(b"c"), None);
    /// ```
    pub fn rank(self, member: &[u8]) -> Option<usize> {
        let score = self.score(member)?;
        Some(self.bound(score, member).rank)
    }

    fn bound(self, score: f64, member: &[u8]) -> Position {
        self.view.bound(Order::Score, score_word(score), member)
    }

    /// The element with `rank` others before it; `None` from the length on. O(log n).
    ///
    /// ```
    /// # use darter_storage::SortedSetValue;
    /// let mut set = SortedSetValue::new();
    /// for n in 0..1_000_u16 {
    ///     set.insert(&n.to_be_bytes(), -f64::from(n));
    /// }
    /// assert_eq!(set.as_ref().by_rank(0), Some((&999_u16.to_be_bytes()[..], -999.0)));
    /// assert_eq!(set.as_ref().by_rank(1_000), None);
    /// ```
    pub fn by_rank(self, rank: usize) -> Option<(&'a [u8], f64)> {
        self.view.get(rank).map(element)
    }

    /// The elements from a rank on; none, if it is beyond the last. O(log n), then O(1) each.
    ///
    /// ```
    /// # use darter_storage::SortedSetValue;
    /// let mut set = SortedSetValue::new();
    /// for (member, score) in [(b"a", 10.0), (b"b", 20.0), (b"c", 30.0)] {
    ///     set.insert(member, score);
    /// }
    /// let set = set.as_ref();
    /// let from = set.rank_of_score(20.0, false);
    /// let members: Vec<_> = set.iter_from(from).map(|(member, _)| member).collect();
    /// assert_eq!(members, [b"b", b"c"]);
    /// ```
    pub fn iter_from(self, rank: usize) -> impl Iterator<Item = (&'a [u8], f64)> + use<'a> {
        self.view.iter_from(rank).map(element)
    }

    /// The elements from a rank (the last, if it is beyond) on backwards. O(log n), then O(1) each.
    ///
    /// ```
    /// # use darter_storage::SortedSetValue;
    /// let mut set = SortedSetValue::new();
    /// for (member, score) in [(b"a", 10.0), (b"b", 20.0), (b"c", 30.0)] {
    ///     set.insert(member, score);
    /// }
    /// let best: Vec<_> = set.as_ref().iter_back_from(usize::MAX).take(2).collect();
    /// assert_eq!(best, [(&b"c"[..], 30.0), (&b"b"[..], 20.0)]);
    /// ```
    pub fn iter_back_from(self, rank: usize) -> impl Iterator<Item = (&'a [u8], f64)> + use<'a> {
        self.view.iter_back_from(rank).map(element)
    }

    /// How many elements have a score below `score`, or, `after_equal`, at most `score`: none, if
    /// it is NaN. O(log n).
    ///
    /// ```
    /// # use darter_storage::SortedSetValue;
    /// let mut set = SortedSetValue::new();
    /// for (member, score) in [(b"a", 1.0), (b"b", 2.0), (b"c", 2.0), (b"d", 3.0)] {
    ///     set.insert(member, score);
    /// }
    /// let set = set.as_ref();
    /// assert_eq!(set.rank_of_score(2.0, false), 1);
    /// let between = set.rank_of_score(2.0, true) - set.rank_of_score(2.0, false);
    /// assert_eq!(between, 2, "members with a score of just 2");
    /// assert_eq!(set.rank_of_score(f64::NAN, true), 0);
    /// ```
    pub fn rank_of_score(self, score: f64, after_equal: bool) -> usize {
        if score.is_nan() {
            return 0;
        }
        let word = score_word(score);
        // The words of scores stay below the largest.
        let word = if after_equal { word + 1 } else { word };
        self.view.bound(Order::Score, word, b"").rank
    }

    /// How many elements are before `member`, or, `after_equal`, not behind it, by their bytes alone:
    /// for sets in which these rise with the ranks, as where all scores are equal. O(log n) then,
    /// else O(log² n).
    ///
    /// ```
    /// # use darter_storage::SortedSetValue;
    /// let mut names = SortedSetValue::new();
    /// for name in ["ada", "bob", "eve"] {
    ///     names.insert(name.as_bytes(), 0.0);
    /// }
    /// let names = names.as_ref();
    /// let from = names.rank_of_member_bound(b"b", false);
    /// assert_eq!(names.by_rank(from), Some((&b"bob"[..], 0.0)));
    /// assert_eq!(names.rank_of_member_bound(b"bob", true), 2);
    /// let mut steps = SortedSetValue::new();
    /// steps.insert(b"first", 1.0);
    /// steps.insert(b"second", 2.0);
    /// assert_eq!(steps.as_ref().rank_of_member_bound(b"second", false), 1);
    /// ```
    pub fn rank_of_member_bound(self, member: &[u8], after_equal: bool) -> usize {
        let length = self.len();
        let scores = self.by_rank(0).zip(self.by_rank(length.saturating_sub(1)));
        let Some(((_, lowest), (_, highest))) = scores else {
            return 0;
        };
        if lowest == highest {
            let place = self.bound(lowest, member);
            return place.rank + usize::from(after_equal && place.found);
        }
        let (mut low, mut high) = (0, length);
        while low < high {
            let middle = low.midpoint(high);
            let is_before =
                self.by_rank(middle)
                    .is_some_and(|(other, _)| match other.cmp(member) {
                        Ordering::Less => true,
                        Ordering::Equal => after_equal,
                        Ordering::Greater => false,
                    });
            if is_before {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Visits about `count` elements from `cursor` (0: the start) on, and answers the next cursor
    /// (0: the end; always below 2^63). A member that is there during a whole scan is visited.
    /// O(log n + count) expected.
    ///
    /// ```
    /// # use darter_storage::SortedSetValue;
    /// let mut set = SortedSetValue::new();
    /// for n in 0..2_000_u32 {
    ///     set.insert(&n.to_be_bytes(), f64::from(n));
    /// }
    /// let (mut cursor, mut sum) = (0, 0.0);
    /// loop {
    ///     cursor = set.as_ref().scan(cursor, 100, |_, score| sum += score);
    ///     if cursor == 0 {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(sum, 1_999_000.0);
    /// ```
    pub fn scan(self, cursor: u64, count: usize, mut visit: impl FnMut(&'a [u8], f64)) -> u64 {
        self.view.scan(cursor, count, |member, score| {
            visit(member, read_score(score))
        })
    }

    /// Whether it has never been beyond 128 members or 64 bytes in one.
    ///
    /// ```
    /// # use darter_storage::SortedSetValue;
    /// let mut set = SortedSetValue::new();
    /// for n in 0..128_u8 {
    ///     set.insert(&[n], 0.0);
    /// }
    /// assert!(set.as_ref().is_compact());
    /// set.insert(b"one more", 0.0);
    /// set.remove(b"one more");
    /// assert!(!set.as_ref().is_compact(), "it does not become compact again");
    /// ```
    pub fn is_compact(self) -> bool {
        self.view.encoding & LARGE == 0
    }
}

/// A sorted set that one transaction changes.
///
/// ```
/// use darter_storage::{Error, SortedSetValue, Store, Value, ValueMut};
/// let store = Store::new();
/// let hit = || store.update("hits", || Value::SortedSet(SortedSetValue::new()), |value| {
///     let ValueMut::SortedSet(mut set) = value else { panic!("a sorted set") };
///     let hits = set.as_ref().score(b"/index").unwrap_or(0.0) + 1.0;
///     set.insert(b"/index", hits);
///     Ok::<_, Error>(hits)
/// });
/// assert_eq!([hit()?, hit()?], [1.0, 2.0]);
/// # Ok::<(), Error>(())
/// ```
pub struct SortedSetValue {
    pub(crate) body: Body,
}

impl SortedSetValue {
    /// An empty sorted set.
    ///
    /// ```
    /// let set = darter_storage::SortedSetValue::new();
    /// assert_eq!(set.as_ref().by_rank(0), None);
    /// ```
    pub fn new() -> SortedSetValue {
        SortedSetValue {
            body: Body::new(Type::SortedSet),
        }
    }

    /// Gives a member a score (not NaN); answers the one it had. O(log n).
    ///
    /// ```
    /// let mut set = darter_storage::SortedSetValue::new();
    /// assert_eq!(set.insert(b"ada", 1.0), None);
    /// assert_eq!(set.insert(b"ada", 2.0), Some(1.0));
    /// assert_eq!(set.as_ref().score(b"ada"), Some(2.0));
    /// ```
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

    /// Removes a member; answers the score it had, or `None` if it was not there. O(log n).
    ///
    /// ```
    /// let mut set = darter_storage::SortedSetValue::new();
    /// set.insert(b"ada", 1.5);
    /// assert_eq!(set.remove(b"ada"), Some(1.5));
    /// assert_eq!(set.remove(b"ada"), None);
    /// ```
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let score = self.as_ref().score(member)?;
        let place = self.body.bound(score_word(score), member);
        self.body.remove(&place);
        Some(score)
    }

    /// Removes the elements with ranks from `start` to below `end`, as far as there are any; how
    /// many there were. O(log n) each.
    ///
    /// ```
    /// let mut best = darter_storage::SortedSetValue::new();
    /// for (member, score) in [(b"a", 1.0), (b"b", 3.0), (b"c", 2.0)] {
    ///     best.insert(member, score);
    /// }
    /// // Keep the two highest.
    /// assert_eq!(best.remove_ranks(0, 1), 1);
    /// assert_eq!(best.as_ref().rank(b"a"), None);
    /// ```
    pub fn remove_ranks(&mut self, start: usize, end: usize) -> usize {
        self.body.remove_ranks(start, end)
    }

    /// The sorted set as it is now.
    ///
    /// ```
    /// let mut set = darter_storage::SortedSetValue::new();
    /// set.insert(b"ada", 1.0);
    /// let second = set.as_ref().by_rank(1).map(|(_, score)| score);
    /// assert_eq!(second, None);
    /// assert_eq!(set.insert(b"bob", second.unwrap_or_default()), None);
    /// ```
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
