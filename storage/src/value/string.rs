//! Strings.

use std::borrow::Cow;

use super::body::{Body, EntryIter, Form, OwnForm, View};
use super::flat::{FlatBuffer, FlatRef};
use super::order::Order;

/// Sticky: the string has been changed in part, so that Redis would keep it raw.
const RAW: u8 = 1;

/// A string to be read.
#[derive(Clone, Copy)]
pub struct StringRef<'a> {
    pub(crate) view: View<'a>,
}

/// The pieces of a string, in order.
enum Parts<'a> {
    Whole(std::iter::Once<&'a [u8]>),
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Parts::Whole(whole) => whole.next(),
        }
    }
}

impl<'a> StringRef<'a> {
    /// How many bytes there are. O(1).
    #[inline]
    pub fn len(self) -> usize {
        match self.view.form {
            Form::Flat(flat) => flat.bytes().len(),
        }
    }

    /// Whether there is no byte.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The bytes, if they lie together: always up to 64 KiB.
    #[inline]
    pub fn as_slice(self) -> Option<&'a [u8]> {
        match self.view.form {
            Form::Flat(flat) => Some(flat.bytes()),
        }
    }

    /// The bytes, copied only if they do not lie together.
    pub fn to_cow(self) -> Cow<'a, [u8]> {
        self.range(0, self.len())
    }

    /// The bytes in the pieces they are stored in.
    pub fn parts(self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        match self.view.form {
            Form::Flat(flat) => Parts::Whole(std::iter::once(flat.bytes())),
        }
    }

    /// The bytes from `start` to below `end`, as far as there are any. Copied only if they do not
    /// lie together.
    pub fn range(self, start: usize, end: usize) -> Cow<'a, [u8]> {
        let end = end.min(self.len());
        let start = start.min(end);
        match self.view.form {
            Form::Flat(flat) => Cow::Borrowed(&flat.bytes()[start..end]),
        }
    }

    /// Whether it was changed in part since it was set.
    pub fn is_raw(self) -> bool {
        self.view.encoding & RAW != 0
    }
}

/// A string that one transaction changes.
pub struct StringValue {
    pub(crate) body: Body,
}

impl StringValue {
    /// A string of these bytes.
    pub fn new(bytes: &[u8]) -> StringValue {
        StringValue::from_vec(bytes.to_vec())
    }

    /// A string of these bytes.
    pub fn from_vec(bytes: Vec<u8>) -> StringValue {
        let mut body = Body::new(Order::Position);
        body.form = OwnForm::Flat(FlatBuffer::from_vec(bytes));
        StringValue { body }
    }

    /// Replaces everything.
    pub fn set(&mut self, bytes: &[u8]) {
        self.body.encoding = 0;
        self.body.changed = true;
        match &mut self.body.form {
            OwnForm::Flat(flat) => {
                flat.raw().clear();
                flat.raw().extend_from_slice(bytes);
            }
        }
    }

    /// Puts bytes behind the last.
    pub fn append(&mut self, bytes: &[u8]) {
        self.write_at(self.as_ref().len(), bytes);
    }

    /// Puts bytes over those from `offset` on; zeroes fill a gap before it.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        self.body.encoding |= RAW;
        self.body.changed = true;
        match &mut self.body.form {
            OwnForm::Flat(flat) => {
                let raw = flat.raw();
                let end = offset + bytes.len();
                if raw.len() < end {
                    raw.resize(end, 0);
                }
                raw[offset..end].copy_from_slice(bytes);
            }
        }
    }

    /// Removes the bytes from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.body.changed = true;
        match &mut self.body.form {
            OwnForm::Flat(flat) => flat.raw().truncate(len),
        }
    }

    /// The string as it is now.
    pub fn as_ref(&self) -> StringRef<'_> {
        StringRef {
            view: self.body.view(),
        }
    }
}
