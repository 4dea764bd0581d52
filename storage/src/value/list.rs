//! Lists: elements by position.

use super::Type;
use super::body::Body;
use super::view::View;

/// Set while the list is larger than what Redis keeps as one list pack.
const LARGE: u8 = 1;
const COMPACT_BYTES_MAX: usize = 8 * 1024;

/// A list to be read.
#[derive(Clone, Copy)]
pub struct ListRef<'a> {
    pub(crate) view: View<'a>,
}

impl<'a> ListRef<'a> {
    /// How many elements there are. O(1).
    pub fn len(self) -> usize {
        self.view.len()
    }

    /// Whether there is no element.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The element at `index`. O(log n).
    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        self.view.get(index).map(|item| item.value)
    }

    /// The elements from `index` on. O(log n), then O(1) each.
    pub fn iter_from(self, index: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.view.iter_from(index).map(|item| item.value)
    }

    /// The elements from `index` (the last, if it is beyond) on backwards.
    pub fn iter_back_from(self, index: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.view.iter_back_from(index).map(|item| item.value)
    }

    /// Whether it is at most about 8 KiB in all (half of that, once it has been larger).
    pub fn is_compact(self) -> bool {
        self.view.encoding & LARGE == 0
    }
}

/// A list that one transaction changes.
pub struct ListValue {
    pub(crate) body: Body,
}

impl ListValue {
    /// An empty list.
    pub fn new() -> ListValue {
        ListValue {
            body: Body::new(Type::List),
        }
    }

    /// Puts an element before the first. O(log n).
    pub fn push_front(&mut self, element: &[u8]) {
        self.insert(0, element);
    }

    /// Puts an element behind the last. O(log n).
    pub fn push_back(&mut self, element: &[u8]) {
        self.insert(self.as_ref().len(), element);
    }

    /// Takes the first element. O(log n).
    pub fn pop_front(&mut self) -> Option<Vec<u8>> {
        self.take(0)
    }

    /// Takes the last element. O(log n).
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
    pub fn set(&mut self, index: usize, element: &[u8]) -> bool {
        let place = self.body.at(index);
        if place.found {
            self.body.replace(&place, b"", element);
            self.note_size();
        }
        place.found
    }

    /// Puts an element so that `index` (at most the length) others are before it. O(log n).
    pub fn insert(&mut self, index: usize, element: &[u8]) {
        let place = self.body.gap(index);
        self.body.insert(&place, b"", element);
        self.note_size();
    }

    /// Removes the elements from `start` to below `end`; how many there were. O(log n), and O(1)
    /// for each node that this transaction itself made.
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
