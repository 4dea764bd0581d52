//! Hashes: fields with values.

use super::Type;
use super::body::Body;
use super::view::View;

/// Sticky: the hash has been beyond what Redis keeps as a list pack.
const LARGE: u8 = 1;
/// Redis's limit for hashes; `COMPACT_ENTRIES_MAX` is that of sets and sorted sets.
const COMPACT_FIELDS_MAX: usize = 512;
pub(crate) const COMPACT_ENTRIES_MAX: usize = 128;
pub(crate) const COMPACT_ELEMENT_BYTES_MAX: usize = 64;

/// A hash to be read.
///
/// ```
/// use darter_storage::{Error, HashValue, Store, Value, ValueMut, ValueRef};
/// let store = Store::new();
/// # store.update::<_, Error>("user", || Value::Hash(HashValue::new()), |value| {
/// #     if let ValueMut::Hash(mut hash) = value {
/// #         hash.insert(b"name", b"Ada");
/// #     }
/// #     Ok(())
/// # })?;
/// store.view("user", |value| {
///     let Some(ValueRef::Hash(hash)) = value else { panic!("a hash") };
///     assert_eq!(hash.get(b"name"), Some(&b"Ada"[..]));
/// })?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct HashRef<'a> {
    pub(crate) view: View<'a>,
    /// When it is read, in milliseconds since 1970: fields past their deadlines are not there.
    pub(crate) now_ms: u64,
}

impl<'a> HashRef<'a> {
    /// How many fields there are. O(1), or O(log n) if any have deadlines.
    ///
    /// ```
    /// # use darter_storage::HashValue;
    /// let mut hash = HashValue::new();
    /// hash.insert(b"name", b"Ada");
    /// hash.insert(b"name", b"Grace");
    /// assert_eq!(hash.as_ref().len(), 1);
    /// ```
    pub fn len(self) -> usize {
        self.view.len() - self.past()
    }

    /// Whether there is no field. O(1). No stored hash is empty: one that loses its last field is
    /// deleted.
    ///
    /// ```
    /// # use darter_storage::{Error, HashValue, Store, Value, ValueMut};
    /// let store = Store::new();
    /// store.update("h", || Value::Hash(HashValue::new()), |value| {
    ///     let ValueMut::Hash(mut hash) = value else { panic!("a hash") };
    ///     hash.insert(b"field", b"1");
    ///     hash.remove(b"field");
    ///     assert!(hash.as_ref().is_empty());
    ///     Ok::<_, Error>(())
    /// })?;
    /// assert!(store.view("h", |value| value.is_none())?);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of a field; `None` if it is not there. O(log n).
    ///
    /// ```
    /// # use darter_storage::HashValue;
    /// let mut hash = HashValue::new();
    /// hash.insert(b"name", b"Ada");
    /// assert_eq!(hash.as_ref().get(b"name"), Some(&b"Ada"[..]));
    /// assert_eq!(hash.as_ref().get(b"age"), None);
    /// ```
    #[inline]
    pub fn get(self, field: &[u8]) -> Option<&'a [u8]> {
        let value = self.view.find(field)?;
        (!self.is_past(field)).then_some(value)
    }

    /// Whether the field is there. O(log n).
    ///
    /// ```
    /// # use darter_storage::HashValue;
    /// let mut hash = HashValue::new();
    /// hash.insert(b"seen", b"");
    /// assert!(hash.as_ref().contains(b"seen"), "an empty value is a value");
    /// assert!(!hash.as_ref().contains(b""));
    /// ```
    pub fn contains(self, field: &[u8]) -> bool {
        self.get(field).is_some()
    }

    /// All fields with their values, in no order that means anything, but the same one as long as
    /// nothing is changed. O(1) each.
    ///
    /// ```
    /// # use darter_storage::HashValue;
    /// let mut hash = HashValue::new();
    /// for (field, value) in [(b"a", b"1"), (b"b", b"2")] {
    ///     hash.insert(field, value);
    /// }
    /// let mut values: Vec<_> = hash.as_ref().iter().map(|(_, value)| value).collect();
    /// values.sort();
    /// assert_eq!(values, [b"1", b"2"]);
    /// ```
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let has_past = self.past() > 0;
        self.view
            .iter_from(0)
            .map(|item| (item.key, item.value))
            .filter(move |(field, _)| !has_past || !self.is_past(field))
    }

    /// The field and value with `rank` others before it, in the order of [`HashRef::iter`]; `None`
    /// from the length on. O(log n), so a field can be drawn at random.
    ///
    /// ```
    /// # use darter_storage::HashValue;
    /// let mut hash = HashValue::new();
    /// for n in 0..10_u8 {
    ///     hash.insert(&[n], b"");
    /// }
    /// let hash = hash.as_ref();
    /// assert_eq!(hash.by_rank(7), hash.iter().nth(7));
    /// assert_eq!(hash.by_rank(10), None);
    /// ```
    pub fn by_rank(self, rank: usize) -> Option<(&'a [u8], &'a [u8])> {
        self.by_ranks([rank]).next()
    }

    /// As [`HashRef::by_rank`], for several ranks. O(log n) each, and once O(log n) for each field
    /// past its deadline that has not been removed yet.
    ///
    /// ```
    /// # use darter_storage::HashValue;
    /// let mut hash = HashValue::new();
    /// for n in 0..10_u8 {
    ///     hash.insert(&[n], b"");
    /// }
    /// assert_eq!(hash.as_ref().by_ranks([7, 7, 10]).count(), 2);
    /// ```
    pub fn by_ranks(
        self,
        ranks: impl IntoIterator<Item = usize>,
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let before_past = self.before_past();
        ranks.into_iter().filter_map(move |rank| {
            let skipped = before_past.partition_point(|before| *before <= rank);
            let item = self.view.get(rank.checked_add(skipped)?)?;
            Some((item.key, item.value))
        })
    }

    /// Visits about `count` fields from `cursor` (0: the start) on, and answers the next cursor
    /// (0: the end; always below 2^63). What is there during a whole scan is visited, whatever
    /// else changes between its calls. A small hash is visited whole. O(log n + count) expected.
    ///
    /// ```
    /// # use darter_storage::HashValue;
    /// let mut hash = HashValue::new();
    /// for n in 0..5_000_u32 {
    ///     hash.insert(&n.to_be_bytes(), b"");
    /// }
    /// let (mut cursor, mut seen) = (0, 0);
    /// loop {
    ///     cursor = hash.as_ref().scan(cursor, 100, |_, _| seen += 1);
    ///     if cursor == 0 {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(seen, 5_000);
    /// ```
    pub fn scan(self, cursor: u64, count: usize, mut visit: impl FnMut(&'a [u8], &'a [u8])) -> u64 {
        self.view.scan(cursor, count, |field, value| {
            if !self.is_past(field) {
                visit(field, value);
            }
        })
    }

    /// Whether it has never been beyond 512 fields or 64 bytes in a field or value.
    ///
    /// ```
    /// # use darter_storage::HashValue;
    /// let mut hash = HashValue::new();
    /// hash.insert(b"field", &[b'x'; 64]);
    /// assert!(hash.as_ref().is_compact());
    /// hash.insert(b"field", &[b'x'; 65]);
    /// hash.remove(b"field");
    /// assert!(!hash.as_ref().is_compact(), "it does not become compact again");
    /// ```
    pub fn is_compact(self) -> bool {
        self.view.encoding & LARGE == 0
    }
}

/// A hash that one transaction changes.
///
/// ```
/// use darter_storage::{HashValue, Store, Value, ValueRef};
/// # use darter_storage::{Deadline, Error};
/// let store = Store::new();
/// store.transaction(|tx| {
///     let mut hash = HashValue::new();
///     hash.insert(b"name", b"Ada");
///     tx.set(0, b"user", Value::Hash(hash), Deadline::Never)
/// })?;
/// assert_eq!(store.view("user", |value| matches!(value, Some(ValueRef::Hash(_)))), Ok(true));
/// # Ok::<(), Error>(())
/// ```
pub struct HashValue {
    pub(crate) body: Body,
}

impl HashValue {
    /// An empty hash.
    ///
    /// ```
    /// let hash = darter_storage::HashValue::new();
    /// assert_eq!(hash.as_ref().iter().count(), 0);
    /// ```
    pub fn new() -> HashValue {
        HashValue {
            body: Body::new(Type::Hash),
        }
    }

    /// Sets a field, whatever it held, for ever. `true` if it was not there. O(log n), or O(size) while
    /// the hash is small.
    ///
    /// ```
    /// let mut hash = darter_storage::HashValue::new();
    /// assert!(hash.insert(b"visits", b"1"));
    /// assert!(!hash.insert(b"visits", b"2"));
    /// assert_eq!(hash.as_ref().get(b"visits"), Some(&b"2"[..]));
    /// ```
    pub fn insert(&mut self, field: &[u8], value: &[u8]) -> bool {
        let is_new = self.put(field, value);
        if !is_new {
            self.forget_deadline(field);
        }
        is_new
    }

    pub(super) fn put(&mut self, field: &[u8], value: &[u8]) -> bool {
        if field.len() > COMPACT_ELEMENT_BYTES_MAX || value.len() > COMPACT_ELEMENT_BYTES_MAX {
            self.body.encoding |= LARGE;
        }
        let place = self.body.find(field);
        if place.found {
            self.body.replace(&place, field, value);
            return false;
        }
        self.body.insert(&place, field, value);
        if self.body.view().len() > COMPACT_FIELDS_MAX {
            self.body.encoding |= LARGE;
        }
        true
    }

    /// Removes a field. `true` if it was there. O(log n), or O(size) while the hash is small.
    ///
    /// ```
    /// let mut hash = darter_storage::HashValue::new();
    /// hash.insert(b"token", b"x");
    /// assert!(hash.remove(b"token"));
    /// assert!(!hash.remove(b"token"));
    /// ```
    pub fn remove(&mut self, field: &[u8]) -> bool {
        let place = self.body.find(field);
        if place.found {
            self.body.remove(&place);
            self.forget_deadline(field);
        }
        place.found
    }

    /// The hash as it is now.
    ///
    /// ```
    /// use darter_storage::HashValue;
    /// let mut hash = HashValue::new();
    /// hash.insert(b"n", b"1");
    /// let n = hash.as_ref().get(b"n").map(<[u8]>::to_vec);
    /// hash.insert(b"n", b"2");
    /// assert_eq!(n.as_deref(), Some(&b"1"[..]));
    /// ```
    pub fn as_ref(&self) -> HashRef<'_> {
        HashRef {
            view: self.body.view(),
            now_ms: 0,
        }
    }
}

impl Default for HashValue {
    fn default() -> HashValue {
        HashValue::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_that_was_large_stays_so() {
        let mut hash = HashValue::new();
        for field in 0..COMPACT_FIELDS_MAX {
            assert!(hash.insert(field.to_string().as_bytes(), &[b'x'; 64]));
        }
        assert!(hash.as_ref().is_compact());
        hash.insert(b"one more", b"");
        assert!(!hash.as_ref().is_compact());
        hash.remove(b"one more");
        assert!(!hash.as_ref().is_compact());
        let mut hash = HashValue::new();
        hash.insert(b"field", &[b'x'; 65]);
        assert!(!hash.as_ref().is_compact());
    }
}
