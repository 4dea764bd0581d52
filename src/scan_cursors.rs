//! Where walks of SCAN over a part of the ordered keyspace stand.
//!
//! A cursor is an integer to clients, and a place in key order is a key: the places are kept here,
//! the latest of them. A walk whose place is no longer known begins again, so that it shows a key
//! twice rather than never. Cursors in hash order are below 2^48 and say all by themselves.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Cursors from here on are numbers of places; below 2^53, exact in a double.
const FIRST: u64 = 1 << 52;
/// Places that are kept.
const PLACES_MAX: usize = 1 << 16;
/// Bytes of the keys that are kept, beyond the latest.
const BYTES_MAX: usize = 8 << 20;

/// See the module's text.
#[derive(Default)]
pub struct ScanCursors(Mutex<Places>);

#[derive(Default)]
struct Places {
    /// The number of the oldest.
    oldest: u64,
    keys: VecDeque<Box<[u8]>>,
    bytes: usize,
}

/// What a cursor of SCAN says.
#[derive(Debug, PartialEq, Eq)]
pub enum Cursor {
    /// A walk begins.
    Start,
    /// A place in hash order.
    Hash(u64),
    /// A place in key order: keys from here on are still to be shown. None if it is not known any
    /// more.
    Key(Option<Box<[u8]>>),
}

impl ScanCursors {
    /// A cursor for a walk whose next key is `from` or behind it. O(1), and O(length) for the key.
    pub fn keep(&self, from: Box<[u8]>) -> u64 {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.bytes += from.len();
        places.keys.push_back(from);
        while places.keys.len() > PLACES_MAX || (places.bytes > BYTES_MAX && places.keys.len() > 1)
        {
            let oldest = places.keys.pop_front();
            places.bytes -= oldest.map_or(0, |key| key.len());
            places.oldest += 1;
        }
        FIRST + places.oldest + places.keys.len() as u64 - 1
    }

    /// What a cursor says. A place stays known, for clients that ask again.
    pub fn find(&self, cursor: u64) -> Cursor {
        let Some(number) = cursor.checked_sub(FIRST) else {
            return match cursor {
                0 => Cursor::Start,
                _ => Cursor::Hash(cursor),
            };
        };
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = number.checked_sub(places.oldest);
        let index = index.and_then(|index| usize::try_from(index).ok());
        Cursor::Key(index.and_then(|index| places.keys.get(index).cloned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_places_are_known() {
        let cursors = ScanCursors::default();
        assert_eq!(cursors.find(0), Cursor::Start);
        assert_eq!(cursors.find(7), Cursor::Hash(7));
        let first = cursors.keep(b"a"[..].into());
        for number in 0..PLACES_MAX - 1 {
            cursors.keep(number.to_string().into_bytes().into());
        }
        assert_eq!(cursors.find(first), Cursor::Key(Some(b"a"[..].into())));
        let last = cursors.keep(b"z"[..].into());
        assert_eq!(cursors.find(first), Cursor::Key(None));
        assert_eq!(cursors.find(last), Cursor::Key(Some(b"z"[..].into())));
        assert_eq!(cursors.find(last + 1), Cursor::Key(None));
        assert_eq!(cursors.find(u64::MAX), Cursor::Key(None));
    }

    #[test]
    fn long_keys_push_out_others_but_never_themselves() {
        let cursors = ScanCursors::default();
        let first = cursors.keep(b"a"[..].into());
        let long = vec![b'x'; BYTES_MAX + 1].into_boxed_slice();
        let second = cursors.keep(long.clone());
        assert_eq!(cursors.find(first), Cursor::Key(None));
        assert_eq!(cursors.find(second), Cursor::Key(Some(long)));
        let third = cursors.keep(b"b"[..].into());
        assert_eq!(cursors.find(second), Cursor::Key(None));
        assert_eq!(cursors.find(third), Cursor::Key(Some(b"b"[..].into())));
    }
}
