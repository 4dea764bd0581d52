//! Strings: one buffer, or, when large, chunks in a tree.

use std::borrow::Cow;
use std::mem::take;

use super::Type;
use super::body::{Body, OwnForm};
use super::flat::FlatBuffer;
use super::tree::{LONG_HEAD_BYTES, MAIN, OwnTree, TreeState};
use super::view::{EntryIter, Form, View};
use crate::error::Error;

/// Sticky: the string has been changed in part, so that Redis would keep it raw.
const RAW: u8 = 1;
/// A string beyond is kept in chunks.
const FLAT_BYTES_MAX: usize = 64 * 1024;
/// Every chunk but the last is as large: with the head of its block 4 KiB, a size of which the allocator
/// has blocks. A write copies one.
const CHUNK_BYTES: usize = 4096 - LONG_HEAD_BYTES;

/// A string to be read.
///
/// ```
/// use darter_storage::{Store, ValueRef};
/// let store = Store::new();
/// store.set("greeting", "hello, world");
/// store.view("greeting", |value| {
///     let Some(ValueRef::String(text)) = value else { panic!("a string") };
///     assert_eq!(&*text.range(7, 12), b"world");
/// })?;
/// # Ok::<(), darter_storage::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct StringRef<'a> {
    pub(crate) view: View<'a>,
}

/// The pieces of a string, in order.
enum Parts<'a> {
    Whole(std::iter::Once<&'a [u8]>),
    Chunks(EntryIter<'a>),
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Parts::Whole(whole) => whole.next(),
            Parts::Chunks(chunks) => chunks.next().map(|item| item.value),
        }
    }
}

impl<'a> StringRef<'a> {
    /// How many bytes there are. O(1).
    ///
    /// ```
    /// # use darter_storage::StringValue;
    /// let text = StringValue::new("né\0".as_bytes());
    /// assert_eq!(text.as_ref().len(), 4, "bytes, not characters, and any byte");
    /// ```
    #[inline]
    pub fn len(self) -> usize {
        match self.view.form {
            Form::Flat(flat) => flat.bytes().len(),
            Form::Tree(state) => state.string_bytes,
        }
    }

    /// Whether there is no byte. O(1). Unlike collections, a string may be stored empty.
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.set("blank", "");
    /// let is_empty = store.view("blank", |value| match value {
    ///     Some(darter_storage::ValueRef::String(text)) => text.is_empty(),
    ///     _ => false,
    /// })?;
    /// assert!(is_empty);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The bytes, if they lie together: always up to 64 KiB in a value that is stored, and up to
    /// 4 KiB in one that is being changed. O(1); never copies.
    ///
    /// ```
    /// # use darter_storage::StringValue;
    /// let short = StringValue::new(b"short");
    /// assert_eq!(short.as_ref().as_slice(), Some(&b"short"[..]));
    /// let long = StringValue::from_vec(vec![b'x'; 100_000]);
    /// assert_eq!(long.as_ref().as_slice(), None);
    /// ```
    #[inline]
    pub fn as_slice(self) -> Option<&'a [u8]> {
        match self.view.form {
            Form::Flat(flat) => Some(flat.bytes()),
            Form::Tree(state) if state.len() <= 1 => Some(chunk(state, 0)),
            Form::Tree(_) => None,
        }
    }

    /// The bytes, copied only if they do not lie together. O(1), or O(length) where they are
    /// copied.
    ///
    /// ```
    /// # use darter_storage::StringValue;
    /// use std::borrow::Cow;
    /// let short = StringValue::new(b"short");
    /// assert!(matches!(short.as_ref().to_cow(), Cow::Borrowed(b"short")));
    /// let long = StringValue::from_vec(vec![b'x'; 100_000]);
    /// assert!(matches!(long.as_ref().to_cow(), Cow::Owned(bytes) if bytes.len() == 100_000));
    /// ```
    pub fn to_cow(self) -> Cow<'a, [u8]> {
        self.range(0, self.len())
    }

    /// The bytes in the pieces they are stored in, in order. O(1) each; never copies.
    ///
    /// ```
    /// # use darter_storage::StringValue;
    /// let long = StringValue::from_vec(vec![b'x'; 100_000]);
    /// let mut socket = Vec::new();
    /// long.as_ref().parts().for_each(|part| socket.extend_from_slice(part));
    /// assert_eq!(socket, vec![b'x'; 100_000]);
    /// ```
    pub fn parts(self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        match self.view.form {
            Form::Flat(flat) => Parts::Whole(std::iter::once(flat.bytes())),
            Form::Tree(_) => Parts::Chunks(self.view.iter_from(0)),
        }
    }

    /// The bytes from `start` to below `end`, as far as there are any. Copied only if they do not
    /// lie together. O(log n + end - start).
    ///
    /// ```
    /// # use darter_storage::StringValue;
    /// let text = StringValue::new(b"2024-05-17");
    /// assert_eq!(&*text.as_ref().range(5, 7), b"05");
    /// assert_eq!(&*text.as_ref().range(8, usize::MAX), b"17");
    /// assert_eq!(&*text.as_ref().range(7, 5), b"");
    /// ```
    pub fn range(self, start: usize, end: usize) -> Cow<'a, [u8]> {
        let end = end.min(self.len());
        let start = start.min(end);
        if let Form::Flat(flat) = self.view.form {
            return Cow::Borrowed(&flat.bytes()[start..end]);
        }
        if start == end {
            return Cow::Borrowed(&[]);
        }
        let first = start / CHUNK_BYTES;
        let (from, to) = (start - first * CHUNK_BYTES, end - first * CHUNK_BYTES);
        let mut chunks = self.view.iter_from(first).map(|item| item.value);
        let chunk = chunks.next().unwrap_or_default();
        if to <= chunk.len() {
            return Cow::Borrowed(&chunk[from..to]);
        }
        let mut bytes = Vec::with_capacity(end - start);
        bytes.extend_from_slice(&chunk[from..]);
        for chunk in chunks {
            let missing = (end - start) - bytes.len();
            bytes.extend_from_slice(&chunk[..chunk.len().min(missing)]);
            if missing <= chunk.len() {
                break;
            }
        }
        Cow::Owned(bytes)
    }

    /// The bytes from `start` to below `end`, as far as there are any, in the pieces they are stored
    /// in. O(log n), then O(1) each; never copies.
    ///
    /// ```
    /// # use darter_storage::StringValue;
    /// let long = StringValue::from_vec(vec![b'x'; 100_000]);
    /// let part = long.as_ref().range_parts(10_000, 90_000);
    /// assert_eq!(part.map(<[u8]>::len).sum::<usize>(), 80_000);
    /// assert_eq!(long.as_ref().range_parts(100_000, 200_000).count(), 0);
    /// ```
    pub fn range_parts(self, start: usize, end: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let end = end.min(self.len());
        let start = start.min(end);
        let (parts, mut skipped) = match self.view.form {
            Form::Flat(flat) => (Parts::Whole(std::iter::once(flat.bytes())), start),
            Form::Tree(_) => (
                Parts::Chunks(self.view.iter_from(start / CHUNK_BYTES)),
                start % CHUNK_BYTES,
            ),
        };
        let mut left = end - start;
        parts.map_while(move |part| {
            if left == 0 {
                return None;
            }
            let part = part.get(skipped..).unwrap_or_default();
            let part = &part[..part.len().min(left)];
            skipped = 0;
            left -= part.len();
            Some(part)
        })
    }

    /// Whether it was changed in part since it was set.
    ///
    /// ```
    /// # use darter_storage::StringValue;
    /// let mut text = StringValue::new(b"whole");
    /// assert!(!text.as_ref().is_raw());
    /// text.append(b"!");
    /// assert!(text.as_ref().is_raw());
    /// ```
    pub fn is_raw(self) -> bool {
        self.view.encoding & RAW != 0
    }
}

/// A string that one transaction changes.
///
/// ```
/// use darter_storage::{Error, Store, StringValue, Type, Value, ValueMut};
/// let store = Store::new();
/// for line in [b"one\n", b"two\n"] {
///     store.update("log", || Value::String(StringValue::new(b"")), |value| match value {
///         ValueMut::String(mut text) => Ok(text.append(line)),
///         other => Err(Error::wrong_type(Type::String, other.kind())),
///     })?;
/// }
/// assert_eq!(store.get("log")?.as_deref(), Some(&b"one\ntwo\n"[..]));
/// # Ok::<(), Error>(())
/// ```
pub struct StringValue {
    pub(crate) body: Body,
}

impl StringValue {
    /// A string of a copy of these bytes. O(length).
    ///
    /// ```
    /// use darter_storage::StringValue;
    /// let text = StringValue::new("any bytes, \0 too".as_bytes());
    /// assert_eq!(text.as_ref().to_cow(), "any bytes, \0 too".as_bytes());
    /// ```
    pub fn new(bytes: &[u8]) -> StringValue {
        StringValue::from_vec(bytes.to_vec())
    }

    /// A string of these bytes. Copies them only beyond 64 KiB.
    ///
    /// ```
    /// use darter_storage::StringValue;
    /// let text = StringValue::from_vec(vec![b'-'; 80]);
    /// assert_eq!(text.as_ref().len(), 80);
    /// ```
    pub fn from_vec(bytes: Vec<u8>) -> StringValue {
        let mut body = Body::new(Type::String);
        body.form = OwnForm::Flat(FlatBuffer::from_vec(bytes));
        let mut string = StringValue { body };
        if string.as_ref().len() > FLAT_BYTES_MAX {
            string.cut();
        }
        string
    }

    /// Replaces everything. O(length).
    ///
    /// ```
    /// let mut text = darter_storage::StringValue::new(b"a long one");
    /// text.set(b"short");
    /// assert_eq!(text.as_ref().as_slice(), Some(&b"short"[..]));
    /// ```
    pub fn set(&mut self, bytes: &[u8]) {
        self.truncate(0);
        self.write(0, bytes);
        self.body.encoding = 0;
    }

    /// Puts bytes behind the last. O(log n), and a copy of at most one chunk.
    ///
    /// ```
    /// let mut text = darter_storage::StringValue::new(b"ab");
    /// text.append(b"c");
    /// assert_eq!(text.as_ref().as_slice(), Some(&b"abc"[..]));
    /// ```
    pub fn append(&mut self, bytes: &[u8]) {
        self.body.encoding |= RAW;
        self.write(self.as_ref().len(), bytes);
    }

    /// Puts bytes over those from `offset` on; zeroes fill a gap before it. O(log n) and a copy of
    /// each chunk that is changed. The string becomes `offset` long at least, so who lets others
    /// choose `offset` bounds it first.
    ///
    /// # Errors
    /// [`Error::StringTooLong`] if no memory could hold it.
    ///
    /// ```
    /// let mut text = darter_storage::StringValue::new(b"hello world");
    /// text.write_at(6, b"there");
    /// text.write_at(12, b"!");
    /// assert_eq!(text.as_ref().as_slice(), Some(&b"hello there\0!"[..]));
    /// ```
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let end = offset.checked_add(bytes.len());
        if end.is_none_or(|end| end > isize::MAX as usize) {
            return Err(Error::StringTooLong);
        }
        self.body.encoding |= RAW;
        self.write(offset, bytes);
        Ok(())
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.body.changed = true;
        let end = offset + bytes.len();
        if end > FLAT_BYTES_MAX {
            self.cut();
        }
        match &mut self.body.form {
            OwnForm::Flat(flat) => {
                let raw = flat.raw();
                if raw.len() < end {
                    raw.resize(end, 0);
                }
                raw[offset..end].copy_from_slice(bytes);
            }
            OwnForm::Tree(state) => {
                fill(state, offset);
                overwrite(state, offset, bytes);
            }
        }
    }

    /// Cuts one buffer into chunks. Before it grows, so that no large one lies in memory twice.
    fn cut(&mut self) {
        let OwnForm::Flat(flat) = &mut self.body.form else {
            return;
        };
        let bytes = take(flat.raw());
        let mut state = OwnTree::new(TreeState::new(Type::String));
        overwrite(&mut state, 0, &bytes);
        self.body.form = OwnForm::Tree(state);
    }

    /// Removes the bytes from `len` on; does nothing if there are none. O(log n) and a copy of at
    /// most one chunk.
    ///
    /// ```
    /// let mut text = darter_storage::StringValue::new(b"version 2");
    /// text.truncate(7);
    /// text.truncate(100);
    /// assert_eq!(text.as_ref().as_slice(), Some(&b"version"[..]));
    /// ```
    pub fn truncate(&mut self, len: usize) {
        if len >= self.as_ref().len() {
            return;
        }
        self.body.changed = true;
        match &mut self.body.form {
            OwnForm::Flat(flat) => flat.raw().truncate(len),
            OwnForm::Tree(state) => {
                let chunks = state.len();
                state.take_ranks(len.div_ceil(CHUNK_BYTES), chunks);
                state.string_bytes = len;
                let rest = len % CHUNK_BYTES;
                if rest > 0 {
                    let index = len / CHUNK_BYTES;
                    let kept = chunk(state, index)[..rest].to_vec();
                    put_chunk(state, index, &kept);
                }
            }
        }
    }

    /// The string as it is now.
    ///
    /// ```
    /// use darter_storage::StringValue;
    /// let text = StringValue::new(b"42");
    /// let number = std::str::from_utf8(&text.as_ref().to_cow()).ok().and_then(|t| t.parse().ok());
    /// assert_eq!(number, Some(42));
    /// ```
    pub fn as_ref(&self) -> StringRef<'_> {
        StringRef {
            view: self.body.view(),
        }
    }

    /// Before it is stored: one buffer again, if it has become small.
    pub(crate) fn shrink(&mut self) {
        if !self.body.is_flat() && self.as_ref().len() <= FLAT_BYTES_MAX {
            let bytes = self.as_ref().to_cow().into_owned();
            self.body.form = OwnForm::Flat(FlatBuffer::from_vec(bytes));
        }
    }
}

fn chunk(state: &TreeState, index: usize) -> &[u8] {
    let tree = state.tree(MAIN);
    tree.iter_at(tree.seek_rank(index))
        .next()
        .map_or(&[], |item| item.value)
}

/// Replaces a chunk, or puts it behind the last.
fn put_chunk(state: &mut TreeState, index: usize, bytes: &[u8]) {
    let replaces = index < state.len();
    let path = state.tree(MAIN).seek_rank(index);
    state.put(MAIN, &path, 0, (b"", bytes), replaces);
}

/// Puts zeroes behind the last byte, up to `len`.
fn fill(state: &mut TreeState, len: usize) {
    static ZEROES: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];
    while state.string_bytes < len {
        // To the end of a chunk, so that each is made once.
        let room = CHUNK_BYTES - state.string_bytes % CHUNK_BYTES;
        let count = (len - state.string_bytes).min(room);
        overwrite(state, state.string_bytes, &ZEROES[..count]);
    }
}

/// Puts bytes over those from `offset`, at most the length, on.
fn overwrite(state: &mut TreeState, offset: usize, bytes: &[u8]) {
    let (mut offset, mut bytes) = (offset, bytes);
    while !bytes.is_empty() {
        let (index, from) = (offset / CHUNK_BYTES, offset % CHUNK_BYTES);
        let count = bytes.len().min(CHUNK_BYTES - from);
        let (now, later) = bytes.split_at(count);
        let old = if index < state.len() {
            chunk(state, index)
        } else {
            &[]
        };
        if from == 0 && old.len() <= count {
            put_chunk(state, index, now);
        } else {
            let before = &old[..from.min(old.len())];
            let behind = old.get(from + count..).unwrap_or_default();
            put_chunk(state, index, &[before, now, behind].concat());
        }
        offset += count;
        state.string_bytes = state.string_bytes.max(offset);
        bytes = later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_raw_from_its_first_partial_change_to_its_next_set() {
        let mut string = StringValue::new(b"value");
        assert!(!string.as_ref().is_raw());
        string.append(b"s");
        assert!(string.as_ref().is_raw());
        string.truncate(2);
        assert!(string.as_ref().is_raw());
        string.set(b"new");
        assert!(!string.as_ref().is_raw());
        assert_eq!(string.as_ref().as_slice(), Some(&b"new"[..]));
    }

    #[test]
    fn a_range_is_read_in_the_pieces_that_it_lies_in() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let large = StringValue::from_vec(bytes.clone());
        let small = StringValue::new(&bytes[..1000]);
        for (start, end) in [
            (0, 200_000),
            (1, 2),
            (16_383, 16_385),
            (16_384, 32_768),
            (5, 70_000),
            (199_999, usize::MAX),
            (200_000, 200_001),
            (9, 3),
        ] {
            for value in [&large, &small] {
                let parts: Vec<&[u8]> = value.as_ref().range_parts(start, end).collect();
                assert_eq!(
                    parts.concat(),
                    &*value.as_ref().range(start, end),
                    "{start} {end}"
                );
            }
        }
    }

    #[test]
    fn a_write_far_behind_the_end_is_kept_in_chunks_at_once() {
        let mut string = StringValue::new(b"head");
        string.write_at(100_000, b"tail").unwrap();
        assert!(!string.body.is_flat());
        assert_eq!(string.as_ref().len(), 100_004);
        assert_eq!(&*string.as_ref().range(0, 6), b"head\0\0");
        assert_eq!(&*string.as_ref().range(99_999, 100_004), b"\0tail");
    }

    #[test]
    fn an_append_to_a_large_string_leaves_the_other_chunks_where_they_are() {
        let mut string = StringValue::from_vec(vec![b'x'; 200_000]);
        let before: Vec<_> = string.as_ref().parts().map(<[u8]>::as_ptr).collect();
        string.append(b"tail");
        let after: Vec<_> = string.as_ref().parts().map(<[u8]>::as_ptr).collect();
        assert_eq!(before[..12], after[..12]);
        assert_eq!(string.as_ref().range(199_999, 200_010).as_ref(), b"xtail");
    }
}
