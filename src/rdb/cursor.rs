//! A walk over bytes that others have written.

use super::Error;

/// What is left of some bytes.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'b>(pub(super) &'b [u8]);

impl<'b> Cursor<'b> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        let (first, rest) = self.0.split_first().ok_or(Error::Content)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Error::Content)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'b [u8], Error> {
        let (first, rest) = self.0.split_at_checked(length).ok_or(Error::Content)?;
        self.0 = rest;
        Ok(first)
    }

    /// The integer in the next `N` bytes, at most eight, little endian.
    pub(super) fn integer<const N: usize>(&mut self) -> Result<i64, Error> {
        Ok(integer(&self.array::<N>()?))
    }

    /// The length in the next four bytes, little endian.
    pub(super) fn length(&mut self) -> Result<usize, Error> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }
}

/// How many elements follow, if it was told.
pub(super) struct Left(pub(super) Option<usize>);

impl Left {
    /// The end has come: whether it is one, with nothing left in `rest`.
    pub(super) fn end(&self, rest: Cursor<'_>) -> Result<(), Error> {
        let is_whole = rest.is_empty() && self.0.is_none_or(|left| left == 0);
        is_whole.then_some(()).ok_or(Error::Content)
    }

    /// An element has come.
    pub(super) fn take(&mut self) -> Result<(), Error> {
        if let Some(left) = &mut self.0 {
            *left = left.checked_sub(1).ok_or(Error::Content)?;
        }
        Ok(())
    }
}

/// The integer in up to eight bytes, little endian.
pub(super) fn integer(bytes: &[u8]) -> i64 {
    let missing = 8 - bytes.len();
    let mut wide = [0; 8];
    wide[missing..].copy_from_slice(bytes);
    // The sign is in the highest bit now.
    i64::from_le_bytes(wide) >> (8 * missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_keep_their_sign_in_every_width() {
        assert_eq!(integer(&[0xff]), -1);
        assert_eq!(integer(&[0x7f]), 127);
        assert_eq!(integer(&[0x00, 0x80]), -32_768);
        assert_eq!(integer(&[0x00, 0x00, 0x80]), -8_388_608);
        assert_eq!(integer(&[0xff, 0xff, 0x7f]), 8_388_607);
        assert_eq!(integer(&i32::MIN.to_le_bytes()), i32::MIN.into());
        assert_eq!(integer(&i64::MIN.to_le_bytes()), i64::MIN);
        assert_eq!(integer(&i64::MAX.to_le_bytes()), i64::MAX);
    }

    #[test]
    fn nothing_is_read_beyond_the_end() {
        let mut cursor = Cursor(&[1, 2, 3]);
        assert_eq!(cursor.length(), Err(Error::Content));
        assert_eq!(cursor.bytes(4), Err(Error::Content));
        assert_eq!(cursor.integer::<3>(), Ok(0x03_02_01));
        assert_eq!(cursor.byte(), Err(Error::Content));
        assert_eq!(cursor.bytes(0), Ok(&[][..]));
    }
}
