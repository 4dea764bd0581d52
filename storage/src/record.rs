//! One key of the keyspace: its bytes, in key order, and the head of its version chain.
//!
//! A record is the key of a skiplist node, so its address is stable for as long as the node lives.
//! Nothing but `head`, `trim`, `queued` and `touched_s` ever changes.

use std::cmp::Ordering as KeyOrder;
use std::mem::ManuallyDrop;

use crate::rounds::Rounds;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32};
use crate::version::Version;

/// Keys up to this length lie in the record itself.
const INLINE_BYTES: usize = 16;

/// No key is longer: a record has 32 bits for the length, and the highest one is that of what is
/// searched for in vain.
const KEY_BYTES_MAX: usize = u32::MAX as usize - 1;

/// A keyspace: what a database number stands for between two FLUSHes.
pub(crate) type SpaceId = u32;

/// `head` of a record that is being removed: writers look the key up again.
pub(crate) const DEAD: *mut Version = std::ptr::without_provenance_mut(1);

#[repr(C)]
union KeyBytes {
    inline: [u8; INLINE_BYTES],
    long: LongKey,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct LongKey {
    prefix: [u8; 8],
    bytes: *const u8,
}

/// See the module's text. Aligned to 8, so that the directory has three low bits of its address for
/// itself, and to no more: a skiplist's node is padded to its key's alignment.
#[repr(C)]
pub(crate) struct Record {
    /// null (nothing yet), [`DEAD`], or the newest version.
    pub(crate) head: AtomicPtr<Version>,
    hash: u64,
    bytes: KeyBytes,
    length: u32,
    space: SpaceId,
    /// Cutting what nobody sees any more, and removing the key.
    pub(crate) trim: Rounds,
    /// The key stands once on some snapshot's stack of keys to trim. Changed by the holder of
    /// `trim` and by the drainer of that stack only.
    pub(crate) queued: AtomicBool,
    owns_key: bool,
    /// When the key was last written or touched, in seconds since 1970.
    pub(crate) touched_s: AtomicU32,
}

// SAFETY: `long.bytes` points to bytes that are never changed and that the record owns (or, in a
// probe, that outlive it); everything else that changes is atomic.
unsafe impl Send for Record {}
// SAFETY: as above.
unsafe impl Sync for Record {}

impl Record {
    /// The key is in use now.
    #[inline]
    pub(crate) fn mark_used(&self, now_ms: u64) {
        let now_s = u32::try_from(now_ms / 1000).unwrap_or(u32::MAX);
        // Relaxed: for idle times alone. Stored only when it changes, so that threads seldom write
        // a shared line.
        if self.touched_s.load(Relaxed) != now_s {
            self.touched_s.store(now_s, Relaxed);
        }
    }

    fn with_key(space: SpaceId, hash: u64, bytes: KeyBytes, length: u32, owns_key: bool) -> Record {
        Record {
            head: AtomicPtr::new(std::ptr::null_mut()),
            hash,
            bytes,
            length,
            space,
            trim: Rounds::new(),
            queued: AtomicBool::new(false),
            owns_key,
            touched_s: AtomicU32::new(0),
        }
    }

    /// A record with its own copy of `key`.
    ///
    /// # Panics
    /// If the key is longer than `KEY_BYTES_MAX`: its end would be forgotten.
    pub(crate) fn new(space: SpaceId, hash: u64, key: &[u8]) -> Record {
        assert!(key.len() <= KEY_BYTES_MAX, "a key has less than 4 GiB");
        let probe = Record::probe(space, hash, key);
        if key.len() <= INLINE_BYTES {
            return ManuallyDrop::into_inner(probe);
        }
        let owned: Box<[u8]> = key.into();
        let long = LongKey {
            prefix: prefix(key),
            bytes: Box::into_raw(owned).cast::<u8>(),
        };
        Record::with_key(space, hash, KeyBytes { long }, probe.length, true)
    }

    /// A record to search with; it borrows `key`, so it must not outlive it.
    pub(crate) fn probe(space: SpaceId, hash: u64, key: &[u8]) -> ManuallyDrop<Record> {
        // What is too long to be there is longer than all that is.
        let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
        let bytes = if key.len() <= INLINE_BYTES {
            let mut inline = [0; INLINE_BYTES];
            inline[..key.len()].copy_from_slice(key);
            KeyBytes { inline }
        } else {
            KeyBytes {
                long: LongKey {
                    prefix: prefix(key),
                    bytes: key.as_ptr(),
                },
            }
        };
        ManuallyDrop::new(Record::with_key(space, hash, bytes, length, false))
    }

    /// The key's bytes.
    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        let length = self.length as usize;
        if length <= INLINE_BYTES {
            // SAFETY: keys of this length are stored inline.
            unsafe { &self.bytes.inline[..length] }
        } else {
            // SAFETY: longer keys are stored as a pointer to `length` bytes that outlive `self`.
            unsafe { std::slice::from_raw_parts(self.bytes.long.bytes, length) }
        }
    }

    pub(crate) fn space(&self) -> SpaceId {
        self.space
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The first eight bytes as a number that orders as they do.
    #[inline]
    fn prefix_word(&self) -> u64 {
        // SAFETY: both forms begin with eight initialised bytes of the key, zero-padded.
        u64::from_be_bytes(unsafe { self.bytes.long.prefix })
    }
}

fn prefix(key: &[u8]) -> [u8; 8] {
    let mut prefix = [0; 8];
    let length = key.len().min(8);
    prefix[..length].copy_from_slice(&key[..length]);
    prefix
}

impl Ord for Record {
    /// By keyspace, then key bytes. The zero-padded prefixes decide unless they are equal: a key
    /// that ends in zero bytes and its own prefix have equal words.
    #[inline]
    fn cmp(&self, other: &Record) -> KeyOrder {
        self.space
            .cmp(&other.space)
            .then_with(|| self.prefix_word().cmp(&other.prefix_word()))
            .then_with(|| self.key().cmp(other.key()))
    }
}

impl PartialOrd for Record {
    fn partial_cmp(&self, other: &Record) -> Option<KeyOrder> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Record) -> bool {
        self.cmp(other) == KeyOrder::Equal
    }
}

impl Eq for Record {}

impl Drop for Record {
    fn drop(&mut self) {
        if self.owns_key {
            let length = self.length as usize;
            // SAFETY: `owns_key` is set by `new` alone, which made this box of `length` bytes.
            drop(unsafe {
                Box::from_raw(std::ptr::slice_from_raw_parts_mut(
                    self.bytes.long.bytes.cast_mut(),
                    length,
                ))
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_order_as_their_keys_do() {
        assert_eq!(size_of::<Record>(), 48);
        let keys: [&[u8]; 9] = [
            b"",
            b"\0",
            b"\0\0",
            b"a",
            b"a\0",
            b"abcdefgh",
            b"abcdefgh\0",
            b"abcdefghijklmnop",
            b"abcdefghijklmnopq",
        ];
        for (i, a) in keys.iter().enumerate() {
            for (j, b) in keys.iter().enumerate() {
                let (x, y) = (Record::new(1, 0, a), Record::new(1, 0, b));
                assert_eq!(x.cmp(&y), i.cmp(&j), "{a:?} {b:?}");
                assert_eq!(x.key(), *a);
            }
        }
        assert!(Record::new(1, 0, b"z") < Record::new(2, 0, b"a"));
    }

    #[test]
    #[should_panic(expected = "less than 4 GiB")]
    fn a_key_of_which_the_end_would_be_forgotten_is_refused() {
        // Zeroes that nobody looks at take up no memory.
        drop(Record::new(1, 0, &vec![0; KEY_BYTES_MAX + 1]));
    }
}
