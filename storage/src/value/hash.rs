//! Hashes: fields with values.

use super::Type;
use super::body::Body;
use super::view::View;

/// Sticky: the hash has been beyond what Redis keeps as a list pack.
const LARGE: u8 = 1;
pub(crate) const COMPACT_ENTRIES_MAX: usize = 128;
pub(crate) const COMPACT_ELEMENT_BYTES_MAX: usize = 64;

/// A hash to be read.
#[derive(Clone, Copy)]
pub struct HashRef<'a> {
    pub(crate) view: View<'a>,
}

impl<'a> HashRef<'a> {
    /// How many fields there are. O(1).
    pub fn len(self) -> usize {
        self.view.len()
    }

    /// Whether there is no field.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of a field. O(log n).
    #[inline]
    pub fn get(self, field: &[u8]) -> Option<&'a [u8]> {
        self.view.find(field)
    }

    /// Whether the field is there. O(log n).
    pub fn contains(self, field: &[u8]) -> bool {
        self.get(field).is_some()
    }

    /// All fields with their values, in no order that means anything.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.view.iter_from(0).map(|item| (item.key, item.value))
    }

    /// The field and value with `rank` others before it, in the order of `iter`. O(log n).
    pub fn by_rank(self, rank: usize) -> Option<(&'a [u8], &'a [u8])> {
        self.view.get(rank).map(|item| (item.key, item.value))
    }

    /// Visits about `count` fields from `cursor` (0: the start) on, and answers the next cursor
    /// (0: the end; always below 2^63). What is there during a whole scan is visited, whatever
    /// else changes between its calls. A small hash is visited whole.
    pub fn scan(self, cursor: u64, count: usize, visit: impl FnMut(&'a [u8], &'a [u8])) -> u64 {
        self.view.scan(cursor, count, visit)
    }

    /// Whether it has never been beyond 128 fields or 64 bytes in a field or value.
    pub fn is_compact(self) -> bool {
        self.view.encoding & LARGE == 0
    }
}

/// A hash that one transaction changes.
pub struct HashValue {
    pub(crate) body: Body,
}

impl HashValue {
    /// An empty hash.
    pub fn new() -> HashValue {
        HashValue {
            body: Body::new(Type::Hash),
        }
    }

    /// Sets a field. `true` if it was not there. O(log n).
    pub fn insert(&mut self, field: &[u8], value: &[u8]) -> bool {
        if field.len() > COMPACT_ELEMENT_BYTES_MAX || value.len() > COMPACT_ELEMENT_BYTES_MAX {
            self.body.encoding |= LARGE;
        }
        let place = self.body.find(field);
        if place.found {
            self.body.replace(&place, field, value);
            return false;
        }
        self.body.insert(&place, field, value);
        if self.body.view().len() > COMPACT_ENTRIES_MAX {
            self.body.encoding |= LARGE;
        }
        true
    }

    /// Removes a field. `true` if it was there. O(log n).
    pub fn remove(&mut self, field: &[u8]) -> bool {
        let place = self.body.find(field);
        if place.found {
            self.body.remove(&place);
        }
        place.found
    }

    /// The hash as it is now.
    pub fn as_ref(&self) -> HashRef<'_> {
        HashRef {
            view: self.body.view(),
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
        for field in 0..COMPACT_ENTRIES_MAX {
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
