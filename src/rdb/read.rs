//! Lengths and texts of a payload.
//!
//! A length takes one byte with six bits of it, two with fourteen, or five or nine with all. A text
//! has its length before it, or is an integer of one, two or four bytes, or is compressed.

use std::borrow::Cow;

use super::cursor::Cursor;
use super::{Error, lzf};

/// Room for what is copied is asked for after so much.
const BYTES_BETWEEN_CHECKS: usize = 1 << 20;
/// About what an element takes beside its bytes.
const ELEMENT_BYTES: usize = 32;

/// What may become of a payload.
#[derive(Clone, Copy)]
pub struct Limits<'l> {
    /// How many bytes there may be that the payload itself does not hold: those of texts that are
    /// compressed, and repeated names.
    pub unpacked_bytes_max: usize,
    /// Whether so many bytes may be allocated.
    pub has_room: &'l dyn Fn(usize) -> bool,
}

/// What is left of a payload.
pub struct Reader<'p> {
    rest: Cursor<'p>,
    limits: Limits<'p>,
    unpacked_bytes: usize,
    /// Since room was last asked for.
    kept_bytes: usize,
}

impl<'p> Reader<'p> {
    /// Reads what a payload holds, from the beginning.
    pub fn new(content: &'p [u8], limits: Limits<'p>) -> Reader<'p> {
        Reader {
            rest: Cursor(content),
            limits,
            unpacked_bytes: 0,
            kept_bytes: 0,
        }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`Error::Content`].
    pub fn byte(&mut self) -> Result<u8, Error> {
        self.rest.byte()
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.rest.array()
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'p [u8], Error> {
        self.rest.bytes(length)
    }

    /// A number that is written as a length.
    pub(super) fn number(&mut self) -> Result<u64, Error> {
        let first = self.byte()?;
        self.number_behind(first)
    }

    /// A length, or a count of what follows: nothing says that so much follows.
    pub(super) fn length(&mut self) -> Result<usize, Error> {
        usize::try_from(self.number()?).map_err(|_| Error::Content)
    }

    fn number_behind(&mut self, first: u8) -> Result<u64, Error> {
        let low = u64::from(first & 0x3f);
        Ok(match (first >> 6, low) {
            (0, _) => low,
            (1, _) => low << 8 | u64::from(self.byte()?),
            (2, 0) => u32::from_be_bytes(self.array()?).into(),
            (2, 1) => u64::from_be_bytes(self.array()?),
            _ => return Err(Error::Content),
        })
    }

    /// A text.
    ///
    /// # Errors
    /// [`Error::Content`], and if it is compressed [`Error::TooLarge`] or [`Error::OutOfMemory`].
    pub fn text(&mut self) -> Result<Cow<'p, [u8]>, Error> {
        let integer = match self.byte()? {
            0xc0 => self.rest.integer::<1>()?,
            0xc1 => self.rest.integer::<2>()?,
            0xc2 => self.rest.integer::<4>()?,
            0xc3 => return self.compressed().map(Cow::Owned),
            first => {
                let length = usize::try_from(self.number_behind(first)?);
                let length = length.map_err(|_| Error::Content)?;
                return self.bytes(length).map(Cow::Borrowed);
            }
        };
        Ok(Cow::Owned(integer.to_string().into_bytes()))
    }

    fn compressed(&mut self) -> Result<Vec<u8>, Error> {
        let compressed_bytes = self.length()?;
        let length = self.length()?;
        let compressed = self.bytes(compressed_bytes)?;
        if length / lzf::EXPANSION_MAX > compressed.len() {
            return Err(Error::Content);
        }
        self.unpack(length)?;
        // For a moment it is there twice: as it was unpacked, and where it stays.
        self.check_room(length.saturating_mul(2))?;
        lzf::decompress(compressed, length)
    }

    /// To be told of bytes that the payload does not hold, before they are made.
    pub(super) fn unpack(&mut self, bytes: usize) -> Result<(), Error> {
        self.unpacked_bytes = self.unpacked_bytes.saturating_add(bytes);
        if self.unpacked_bytes > self.limits.unpacked_bytes_max {
            return Err(Error::TooLarge);
        }
        Ok(())
    }

    /// To be told of each element of so many bytes that is copied, before it is.
    pub(super) fn keep(&mut self, bytes: usize) -> Result<(), Error> {
        let kept_bytes = self.kept_bytes.saturating_add(bytes);
        self.kept_bytes = kept_bytes.saturating_add(ELEMENT_BYTES);
        if self.kept_bytes < BYTES_BETWEEN_CHECKS {
            return Ok(());
        }
        let kept_bytes = std::mem::take(&mut self.kept_bytes);
        self.check_room(kept_bytes)
    }

    fn check_room(&self, bytes: usize) -> Result<(), Error> {
        if (self.limits.has_room)(bytes) {
            Ok(())
        } else {
            Err(Error::OutOfMemory)
        }
    }
}
