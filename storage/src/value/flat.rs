//! Small collections: one buffer of entries, searched from its start.
//!
//! A count (four bytes), then the entries: length of the key, length of the value (both LEB128),
//! key, value. What the order is, and what key and value are, is the type's business.

/// A key and its value, borrowed from where they are stored.
pub(crate) type Entry<'a> = (&'a [u8], &'a [u8]);

const COUNT_BYTES: usize = 4;

fn put_length(buffer: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        buffer.push(length as u8 | 0x80);
        length >>= 7;
    }
    buffer.push(length as u8);
}

fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    let mut shift = 0;
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(length);
        }
        shift += 7;
    }
}

/// Appends one entry to a buffer of entries without a count.
pub(crate) fn put_entry(buffer: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    put_length(buffer, key.len());
    put_length(buffer, value.len());
    buffer.extend_from_slice(key);
    buffer.extend_from_slice(value);
}

/// Whether two keys are the same. Those of one collection are often as long as each other and
/// differ at their ends, so that is looked at before the whole is compared.
#[inline]
fn is_same(own: &[u8], key: &[u8]) -> bool {
    own.len() == key.len() && own.last() == key.last() && own == key
}

/// Entries without a count before them, from the first on.
#[derive(Clone, Copy)]
pub(crate) struct FlatIter<'a> {
    rest: &'a [u8],
}

impl<'a> FlatIter<'a> {
    pub(crate) fn over(entries: &'a [u8]) -> FlatIter<'a> {
        FlatIter { rest: entries }
    }
}

impl<'a> Iterator for FlatIter<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        let (key_length, value_length) = match self.rest {
            // The usual case: both lengths take one byte.
            [key, value, rest @ ..] if (key | value) & 0x80 == 0 => {
                self.rest = rest;
                (usize::from(*key), usize::from(*value))
            }
            _ => (take_length(&mut self.rest)?, take_length(&mut self.rest)?),
        };
        let (key, rest) = self.rest.split_at_checked(key_length)?;
        let (value, rest) = rest.split_at_checked(value_length)?;
        self.rest = rest;
        Some((key, value))
    }
}

/// A small collection in a version or in a private value.
#[derive(Clone, Copy)]
pub(crate) struct FlatRef<'a> {
    bytes: &'a [u8],
}

impl<'a> FlatRef<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> FlatRef<'a> {
        FlatRef { bytes }
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn len(self) -> usize {
        self.bytes
            .first_chunk()
            .map_or(0, |count| u32::from_le_bytes(*count) as usize)
    }

    pub(crate) fn iter(self) -> FlatIter<'a> {
        FlatIter::over(self.bytes.get(COUNT_BYTES..).unwrap_or_default())
    }

    pub(crate) fn get(self, rank: usize) -> Option<Entry<'a>> {
        self.iter().nth(rank)
    }

    /// Where the entry with this key is, and its value.
    pub(crate) fn find(self, key: &[u8]) -> Option<(usize, &'a [u8])> {
        self.iter()
            .enumerate()
            .find(|(_, entry)| is_same(entry.0, key))
            .map(|(rank, entry)| (rank, entry.1))
    }

    /// The first `end` entries, last first.
    pub(crate) fn back_from(self, end: usize) -> std::iter::Rev<std::vec::IntoIter<Entry<'a>>> {
        self.iter().take(end).collect::<Vec<_>>().into_iter().rev()
    }

    fn offset(self, rank: usize) -> usize {
        let mut iter = self.iter();
        for _ in 0..rank {
            iter.next();
        }
        self.bytes.len() - iter.rest.len()
    }
}

/// A small collection that is being changed.
#[derive(Clone, Default)]
pub(crate) struct FlatBuffer {
    bytes: Vec<u8>,
}

impl FlatBuffer {
    pub(crate) fn from_vec(bytes: Vec<u8>) -> FlatBuffer {
        FlatBuffer { bytes }
    }

    pub(crate) fn as_ref(&self) -> FlatRef<'_> {
        FlatRef::new(&self.bytes)
    }

    pub(crate) fn into_vec(self) -> Vec<u8> {
        self.bytes
    }

    /// The raw bytes, for a type whose small form is not a list of entries.
    pub(crate) fn raw(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Puts `inserted` in the place of the `removed` entries from `rank` on.
    pub(crate) fn splice(&mut self, rank: usize, removed: usize, inserted: Option<Entry<'_>>) {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(&[0; COUNT_BYTES]);
        }
        let count = self.as_ref().len();
        let start = if rank >= count {
            self.bytes.len()
        } else {
            self.as_ref().offset(rank)
        };
        let mut tail = FlatIter::over(&self.bytes[start..]);
        for _ in 0..removed {
            tail.next();
        }
        let end = self.bytes.len() - tail.rest.len();
        let old_length = self.bytes.len();
        if let Some((key, value)) = inserted {
            put_entry(&mut self.bytes, key, value);
            let added = self.bytes.len() - old_length;
            if removed == 1 && added == end - start {
                self.bytes.copy_within(old_length.., start);
                self.bytes.truncate(old_length);
                return;
            }
            self.bytes[end..].rotate_right(added);
        }
        if start < end {
            self.bytes.drain(start..end);
        }
        let new_count = count - removed + usize::from(inserted.is_some());
        self.bytes[..COUNT_BYTES].copy_from_slice(&(new_count as u32).to_le_bytes());
    }
}
