//! Sets: members without values.

use super::Type;
use super::body::Body;
use super::hash::{COMPACT_ELEMENT_BYTES_MAX, COMPACT_ENTRIES_MAX};
use super::view::View;

const INTEGERS_MAX: usize = 512;

/// How Redis would keep a set.
///
/// ```
/// use darter_storage::{SetEncoding, SetValue};
/// let mut set = SetValue::new();
/// set.insert(b"12");
/// assert_eq!(set.as_ref().encoding(), SetEncoding::IntSet);
/// set.insert(b"twelve");
/// assert_eq!(set.as_ref().encoding(), SetEncoding::ListPack);
/// for n in 0..128_u8 {
///     set.insert(&[n, n]);
/// }
/// assert_eq!(set.as_ref().encoding(), SetEncoding::HashTable);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum SetEncoding {
    /// Integers only, at most 512. While flat they are sorted by number.
    IntSet = 0,
    /// At most 128 members of at most 64 bytes.
    ListPack = 1,
    /// Anything.
    HashTable = 2,
}

/// A set to be read.
///
/// ```
/// use darter_storage::{Error, SetValue, Store, Value, ValueMut, ValueRef};
/// let store = Store::new();
/// # store.update::<_, Error>("tags", || Value::Set(SetValue::new()), |value| {
/// #     if let ValueMut::Set(mut set) = value {
/// #         set.insert(b"red");
/// #     }
/// #     Ok(())
/// # })?;
/// store.view("tags", |value| {
///     let Some(ValueRef::Set(set)) = value else { panic!("a set") };
///     assert!(set.contains(b"red"));
/// })?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct SetRef<'a> {
    pub(crate) view: View<'a>,
}

impl<'a> SetRef<'a> {
    /// How many members there are. O(1).
    ///
    /// ```
    /// # use darter_storage::SetValue;
    /// let mut set = SetValue::new();
    /// set.insert(b"a");
    /// set.insert(b"a");
    /// assert_eq!(set.as_ref().len(), 1);
    /// ```
    pub fn len(self) -> usize {
        self.view.len()
    }

    /// Whether there is no member. O(1). No stored set is empty: one that loses its last member is
    /// deleted.
    ///
    /// ```
    /// # use darter_storage::SetValue;
    /// let mut set = SetValue::new();
    /// assert!(set.as_ref().is_empty());
    /// set.insert(b"");
    /// assert!(!set.as_ref().is_empty(), "the empty member is a member");
    /// ```
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether the member is there. O(log n).
    ///
    /// ```
    /// # use darter_storage::SetValue;
    /// let mut set = SetValue::new();
    /// set.insert(b"1");
    /// assert!(set.as_ref().contains(b"1"));
    /// assert!(!set.as_ref().contains(b"01"), "members are bytes, not numbers");
    /// ```
    #[inline]
    pub fn contains(self, member: &[u8]) -> bool {
        self.view.find(member).is_some()
    }

    /// All members, in no order that means anything, but the same one as long as nothing is
    /// changed. O(1) each.
    ///
    /// ```
    /// # use darter_storage::SetValue;
    /// let mut set = SetValue::new();
    /// for member in [b"b", b"a"] {
    ///     set.insert(member);
    /// }
    /// let mut members: Vec<_> = set.as_ref().iter().collect();
    /// members.sort();
    /// assert_eq!(members, [b"a", b"b"]);
    /// ```
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.view.iter_from(0).map(|item| item.key)
    }

    /// The member with `rank` others before it, in the order of [`SetRef::iter`]; `None` from the
    /// length on. O(log n), so a member can be drawn at random.
    ///
    /// ```
    /// # use darter_storage::SetValue;
    /// let mut set = SetValue::new();
    /// for n in 0..1_000_u16 {
    ///     set.insert(&n.to_be_bytes());
    /// }
    /// let set = set.as_ref();
    /// assert_eq!(set.by_rank(123), set.iter().nth(123));
    /// assert_eq!(set.by_rank(1_000), None);
    /// ```
    pub fn by_rank(self, rank: usize) -> Option<&'a [u8]> {
        self.view.get(rank).map(|item| item.key)
    }

    /// Visits about `count` members from `cursor` (0: the start) on, and answers the next cursor
    /// (0: the end; always below 2^63). A member that is there during a whole scan is visited.
    /// O(log n + count) expected.
    ///
    /// ```
    /// # use darter_storage::SetValue;
    /// let mut set = SetValue::new();
    /// for n in 0..2_000_u32 {
    ///     set.insert(&n.to_be_bytes());
    /// }
    /// let mut seen = 0;
    /// let mut cursor = set.as_ref().scan(0, 500, |_| seen += 1);
    /// set.insert(b"one more, meanwhile");
    /// while cursor != 0 {
    ///     cursor = set.as_ref().scan(cursor, 500, |_| seen += 1);
    /// }
    /// assert!(seen >= 2_000);
    /// ```
    pub fn scan(self, cursor: u64, count: usize, mut visit: impl FnMut(&'a [u8])) -> u64 {
        self.view.scan(cursor, count, |member, _| visit(member))
    }

    /// The encoding that its history asks for; it never goes down.
    ///
    /// ```
    /// use darter_storage::{SetEncoding, SetValue};
    /// let mut set = SetValue::new();
    /// set.insert(b"1");
    /// set.insert(b"one");
    /// set.remove(b"one");
    /// assert_eq!(set.as_ref().encoding(), SetEncoding::ListPack);
    /// ```
    pub fn encoding(self) -> SetEncoding {
        encoding_of(self.view)
    }
}

fn encoding_of(view: View<'_>) -> SetEncoding {
    match view.encoding {
        0 => SetEncoding::IntSet,
        1 => SetEncoding::ListPack,
        _ => SetEncoding::HashTable,
    }
}

/// The number that a member is the canonical decimal form of.
pub(crate) fn parse_integer(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [] | [b'0', _, ..] => return None,
        [b'0'] if negative => return None,
        _ => {}
    }
    digits.iter().try_fold(0i64, |number, digit| {
        let digit = i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        let number = number.checked_mul(10)?;
        if negative {
            number.checked_sub(digit)
        } else {
            number.checked_add(digit)
        }
    })
}

/// A set that one transaction changes.
///
/// ```
/// use darter_storage::{Deadline, Error, SetValue, Store, Value};
/// let store = Store::new();
/// store.transaction(|tx| {
///     let mut online = SetValue::new();
///     online.insert(b"ada");
///     tx.set(0, b"online", Value::Set(online), Deadline::Never)
/// })?;
/// assert_eq!(store.key_counts(0), (1, 0));
/// # Ok::<(), Error>(())
/// ```
pub struct SetValue {
    pub(crate) body: Body,
}

impl SetValue {
    /// An empty set.
    ///
    /// ```
    /// let set = darter_storage::SetValue::new();
    /// assert!(!set.as_ref().contains(b""));
    /// ```
    pub fn new() -> SetValue {
        SetValue {
            body: Body::new(Type::Set),
        }
    }

    /// Adds a member. `true` if it was not there. O(log n), or O(size) while the set is small.
    ///
    /// ```
    /// let mut seen = darter_storage::SetValue::new();
    /// assert!(seen.insert(b"order:1"));
    /// assert!(!seen.insert(b"order:1"), "seen before");
    /// ```
    pub fn insert(&mut self, member: &[u8]) -> bool {
        let mut place = self.body.find(member);
        if place.found {
            return false;
        }
        let integer = parse_integer(member);
        let own = encoding_of(self.body.view());
        if own == SetEncoding::IntSet
            && let Some(integer) = integer
            && self.body.is_flat()
        {
            // Members of an integer set are integers.
            let before = |other: &&[u8]| parse_integer(other).is_some_and(|other| other < integer);
            place.rank = self
                .as_ref()
                .iter()
                .take_while(|other| before(other))
                .count();
        }
        self.body.insert(&place, member, b"");
        let len = self.body.view().len();
        let small = len <= COMPACT_ENTRIES_MAX && member.len() <= COMPACT_ELEMENT_BYTES_MAX;
        let wanted = match own {
            SetEncoding::IntSet if integer.is_some() && len <= INTEGERS_MAX => SetEncoding::IntSet,
            SetEncoding::IntSet | SetEncoding::ListPack if small => SetEncoding::ListPack,
            _ => SetEncoding::HashTable,
        };
        self.body.encoding = own.max(wanted) as u8;
        true
    }

    /// Removes a member. `true` if it was there. O(log n), or O(size) while the set is small.
    ///
    /// ```
    /// let mut set = darter_storage::SetValue::new();
    /// set.insert(b"a");
    /// assert!(set.remove(b"a"));
    /// assert!(!set.remove(b"a"));
    /// ```
    pub fn remove(&mut self, member: &[u8]) -> bool {
        let place = self.body.find(member);
        if place.found {
            self.body.remove(&place);
        }
        place.found
    }

    /// The set as it is now.
    ///
    /// ```
    /// use darter_storage::SetValue;
    /// let (mut one, mut other) = (SetValue::new(), SetValue::new());
    /// for member in [b"a", b"b"] {
    ///     one.insert(member);
    /// }
    /// for member in [b"b", b"c"] {
    ///     other.insert(member);
    /// }
    /// let common = one.as_ref().iter().filter(|member| other.as_ref().contains(member));
    /// assert_eq!(common.collect::<Vec<_>>(), [b"b"]);
    /// ```
    pub fn as_ref(&self) -> SetRef<'_> {
        SetRef {
            view: self.body.view(),
        }
    }
}

impl Default for SetValue {
    fn default() -> SetValue {
        SetValue::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_canonical_decimals() {
        assert_eq!(parse_integer(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_integer(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(parse_integer(b"0"), Some(0));
        for not in [
            &b"9223372036854775808"[..],
            b"-0",
            b"01",
            b"",
            b"-",
            b"1a",
            b"+1",
            b" 1",
        ] {
            assert_eq!(parse_integer(not), None);
        }
    }

    #[test]
    fn encodings_go_up_as_in_redis() {
        let mut set = SetValue::new();
        for number in (0..512).rev() {
            assert!(set.insert(number.to_string().as_bytes()));
            if number == 500 {
                let sorted: Vec<_> = set.as_ref().iter().map(<[u8]>::to_vec).collect();
                let wanted: Vec<_> = (500..512).map(|n| n.to_string().into_bytes()).collect();
                assert_eq!(sorted, wanted);
            }
        }
        assert_eq!(set.as_ref().encoding(), SetEncoding::IntSet);
        set.insert(b"512");
        assert_eq!(set.as_ref().encoding(), SetEncoding::HashTable);
        let mut set = SetValue::new();
        set.insert(b"1");
        set.insert(b"a");
        assert_eq!(set.as_ref().encoding(), SetEncoding::ListPack);
        set.insert(&[b'x'; 65]);
        assert_eq!(set.as_ref().encoding(), SetEncoding::HashTable);
        set.remove(&[b'x'; 65]);
        assert_eq!(set.as_ref().encoding(), SetEncoding::HashTable);
    }
}
