//! Lists: elements by position.

use super::Type;
use super::body::Body;
use super::view::View;

/// Set while the list is larger than what Redis keeps as one list pack.
const LARGE: u8 = 1;
const COMPACT_BYTES_MAX: usize = 8 * 1024;

/// A list to be read.
///
/// ```
/// use darter_storage::{Error, ListValue, Store, Value, ValueMut, ValueRef};
/// let store = Store::new();
/// # store.update::<_, Error>("jobs", || Value::List(ListValue::new()), |value| {
/// #     if let ValueMut::List(mut list) = value {
/// #         list.push_back(b"first");
/// #         list.push_back(b"second");
/// #     }
/// #     Ok(())
/// # })?;
/// store.view("jobs", |value| {
///     let Some(ValueRef::List(list)) = value else { panic!("a list") };
///     assert_eq!(list.get(1), Some(&b"second"[..]));
/// })?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct ListRef<'a> {
    pub(crate) view: View<'a>,
}

impl<'a> ListRef<'a> {
    /// How many elements there are. O(1).
    ///
    /// ```
    /// # use darter_storage::ListValue;
    /// let mut list = ListValue::new();
    /// list.push_back(b"same");
    /// list.push_back(b"same");
    /// assert_eq!(list.as_ref().len(), 2);
    /// ```
    pub fn len(self) -> usize {
        self.view.len()
    }

    /// Whether there is no element. O(1). No stored list is empty: one that loses its last element
    /// is deleted.
    ///
    /// ```
    /// # use darter_storage::ListValue;
    /// let mut list = ListValue::new();
    /// list.push_back(b"only");
    /// assert!(!list.as_ref().is_empty());
    /// list.pop_front();
    /// assert!(list.as_ref().is_empty());
    /// ```
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The element at `index`, from 0; `None` from the length on. O(log n).
    ///
    /// ```
    /// # use darter_storage::ListValue;
    /// let mut list = ListValue::new();
    /// (0..1_000_u16).for_each(|n| list.push_back(&n.to_be_bytes()));
    /// assert_eq!(list.as_ref().get(700), Some(&700_u16.to_be_bytes()[..]));
    /// assert_eq!(list.as_ref().get(1_000), None);
    /// ```
    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        self.view.get(index).map(|item| item.value)
    }

    /// The elements from `index` on; none, if it is beyond the last. O(log n), then O(1) each.
    ///
    /// ```
    /// # use darter_storage::ListValue;
    /// let mut list = ListValue::new();
    /// [b"a", b"b", b"c"].iter().for_each(|element| list.push_back(*element));
    /// let rest: Vec<_> = list.as_ref().iter_from(1).collect();
    /// assert_eq!(rest, [b"b", b"c"]);
    /// assert_eq!(list.as_ref().iter_from(3).count(), 0);
    /// ```
    pub fn iter_from(self, index: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.view.iter_from(index).map(|item| item.value)
    }

    /// The elements from `index` (the last, if it is beyond) on backwards. O(log n), then O(1)
    /// each.
    ///
    /// ```
    /// # use darter_storage::ListValue;
    /// let mut list = ListValue::new();
    /// [b"a", b"b", b"c"].iter().for_each(|element| list.push_back(*element));
    /// let newest: Vec<_> = list.as_ref().iter_back_from(usize::MAX).take(2).collect();
    /// assert_eq!(newest, [b"c", b"b"]);
    /// ```
    pub fn iter_back_from(self, index: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.view.iter_back_from(index).map(|item| item.value)
    }

    /// Whether it is at most about 8 KiB in all (half of that, once it has been larger).
    ///
    /// ```
    /// # use darter_storage::ListValue;
    /// let mut list = ListValue::new();
    /// list.push_back(b"short");
    /// assert!(list.as_ref().is_compact());
    /// list.push_back(&[b'x'; 10_000]);
    /// assert!(!list.as_ref().is_compact());
    /// list.pop_back();
    /// assert!(list.as_ref().is_compact());
    /// ```
    pub fn is_compact(self) -> bool {
        self.view.encoding & LARGE == 0
    }
}

/// A list that one transaction changes.
///
/// ```
/// use darter_storage::{Error, ListValue, Store, Value, ValueMut};
/// let store = Store::new();
/// store.transaction(|tx| {
///     match tx.upsert(0, b"jobs", || Value::List(ListValue::new()))? {
///         ValueMut::List(mut list) => Ok(list.push_back(b"mail")),
///         other => Err(Error::wrong_type(darter_storage::Type::List, other.kind())),
///     }
/// })?;
/// assert_eq!(store.key_counts(0), (1, 0));
/// # Ok::<(), Error>(())
/// ```
pub struct ListValue {
    pub(crate) body: Body,
}

impl ListValue {
    /// An empty list.
    ///
    /// ```
    /// let list = darter_storage::ListValue::new();
    /// assert_eq!(list.as_ref().get(0), None);
    /// ```
    pub fn new() -> ListValue {
        ListValue {
            body: Body::new(Type::List),
        }
    }

    /// Puts an element before the first. O(log n).
    ///
    /// ```
    /// let mut list = darter_storage::ListValue::new();
    /// list.push_front(b"older");
    /// list.push_front(b"newer");
    /// assert_eq!(list.as_ref().get(0), Some(&b"newer"[..]));
    /// ```
    pub fn push_front(&mut self, element: &[u8]) {
        self.insert(0, element);
    }

    /// Puts an element behind the last. O(log n).
    ///
    /// ```
    /// let mut queue = darter_storage::ListValue::new();
    /// queue.push_back(b"first");
    /// queue.push_back(b"second");
    /// assert_eq!(queue.pop_front().as_deref(), Some(&b"first"[..]));
    /// ```
    pub fn push_back(&mut self, element: &[u8]) {
        self.insert(self.as_ref().len(), element);
    }

    /// Takes the first element; `None` if there is none. O(log n).
    ///
    /// ```
    /// let mut list = darter_storage::ListValue::new();
    /// list.push_back(b"job");
    /// assert_eq!(list.pop_front().as_deref(), Some(&b"job"[..]));
    /// assert_eq!(list.pop_front(), None);
    /// ```
    pub fn pop_front(&mut self) -> Option<Vec<u8>> {
        self.take(0)
    }

    /// Takes the last element; `None` if there is none. O(log n).
    ///
    /// ```
    /// let mut stack = darter_storage::ListValue::new();
    /// stack.push_back(b"bottom");
    /// stack.push_back(b"top");
    /// assert_eq!(stack.pop_back().as_deref(), Some(&b"top"[..]));
    /// ```
    pub fn pop_back(&mut self) -> Option<Vec<u8>> {
        self.take(self.as_ref().len().checked_sub(1)?)
    }

    fn take(&mut self, index: usize) -> Option<Vec<u8>> {
        let element = self.as_ref().get(index)?.to_vec();
        self.body.prepare_end(index);
        let place = self.body.at(index);
        self.body.remove(&place);
        self.note_size();
        Some(element)
    }

    /// Replaces the element at `index`; `false` if there is none. O(log n).
    ///
    /// ```
    /// let mut list = darter_storage::ListValue::new();
    /// list.push_back(b"draft");
    /// assert!(list.set(0, b"final"));
    /// assert!(!list.set(1, b"nobody"), "a list is not extended");
    /// assert_eq!(list.as_ref().get(0), Some(&b"final"[..]));
    /// ```
    pub fn set(&mut self, index: usize, element: &[u8]) -> bool {
        let place = self.body.at(index);
        if place.found {
            self.body.replace(&place, b"", element);
            self.note_size();
        }
        place.found
    }

    /// Puts an element so that `index` (at most the length) others are before it. O(log n).
    ///
    /// ```
    /// let mut list = darter_storage::ListValue::new();
    /// list.push_back(b"a");
    /// list.push_back(b"c");
    /// list.insert(1, b"b");
    /// assert_eq!(list.as_ref().iter_from(0).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    /// ```
    pub fn insert(&mut self, index: usize, element: &[u8]) {
        let place = self.body.gap(index);
        self.body.insert(&place, b"", element);
        self.note_size();
    }

    /// Removes the elements from `start` to below `end`, as far as there are any; how many there
    /// were. O(log n), and O(1) for each node that this transaction itself made.
    ///
    /// ```
    /// let mut list = darter_storage::ListValue::new();
    /// (0..10_u8).for_each(|n| list.push_back(&[n]));
    /// assert_eq!(list.remove_range(3, 1_000), 7);
    /// assert_eq!(list.as_ref().iter_from(0).collect::<Vec<_>>(), [[0], [1], [2]]);
    /// ```
    pub fn remove_range(&mut self, start: usize, end: usize) -> usize {
        let removed = self.body.remove_ranks(start, end);
        self.note_size();
        removed
    }

    fn note_size(&mut self) {
        let bytes = self.body.view().memory_bytes();
        if bytes > COMPACT_BYTES_MAX {
            self.body.encoding |= LARGE;
        } else if bytes <= COMPACT_BYTES_MAX / 2 {
            self.body.encoding &= !LARGE;
        }
    }

    /// The list as it is now.
    ///
    /// ```
    /// # use darter_storage::ListValue;
    /// let mut list = ListValue::new();
    /// list.push_back(b"a");
    /// assert_eq!(list.as_ref().iter_from(0).next(), Some(&b"a"[..]));
    /// list.set(0, b"b");
    /// assert_eq!(list.as_ref().iter_from(0).next(), Some(&b"b"[..]));
    /// ```
    pub fn as_ref(&self) -> ListRef<'_> {
        ListRef {
            view: self.body.view(),
        }
    }
}

impl Default for ListValue {
    fn default() -> ListValue {
        ListValue::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_compact_again_when_it_is_half_as_large() {
        let mut list = ListValue::new();
        (0..7).for_each(|_| list.push_back(&[b'x'; 1000]));
        assert!(list.as_ref().is_compact());
        (0..2).for_each(|_| list.push_back(&[b'x'; 1000]));
        assert!(!list.as_ref().is_compact());
        list.remove_range(0, 3);
        assert!(!list.as_ref().is_compact());
        list.remove_range(0, 4);
        assert!(list.as_ref().is_compact());
    }
}
