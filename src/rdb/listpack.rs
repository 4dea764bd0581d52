//! List packs: small collections, and the nodes of lists and streams.
//!
//! How many bytes there are in all (four), how many entries (two; the highest number: not told), the
//! entries, 255. An entry is its head, its text, and how long both are: seven bits a byte, the
//! highest first, with the uppermost bit set in all bytes but the first. Heads:
//!
//! | bits | what it is |
//! |---|---|
//! | `0nnnnnnn` | an integer |
//! | `10nnnnnn` | a text of so many bytes |
//! | `110nnnnn nnnnnnnn` | a signed integer |
//! | `1110nnnn nnnnnnnn` | a text of so many bytes |
//! | 240, four bytes | a text of so many bytes |
//! | 241 to 244 | an integer of two, three, four, eight bytes |
//!
//! All but the two heads of two bytes is little endian.

use std::borrow::Cow;

use super::Error;
use super::cursor::{Cursor, Left};
use crate::resp::number::{parse_double, parse_integer};

const END: u8 = 0xff;
const HEADER_BYTES: usize = 6;
const COUNT_UNKNOWN: u16 = u16::MAX;

/// What a small collection holds at one place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Element<'a> {
    Text(&'a [u8]),
    Integer(i64),
}

impl<'a> Element<'a> {
    pub(super) fn text(self) -> Cow<'a, [u8]> {
        match self {
            Element::Text(text) => Cow::Borrowed(text),
            Element::Integer(integer) => Cow::Owned(integer.to_string().into_bytes()),
        }
    }

    pub(super) fn integer(self) -> Result<i64, Error> {
        match self {
            Element::Text(text) => parse_integer(text).ok_or(Error::Content),
            Element::Integer(integer) => Ok(integer),
        }
    }

    /// A score.
    pub(super) fn double(self) -> Result<f64, Error> {
        match self {
            Element::Text(text) => parse_double(text).ok_or(Error::Content),
            Element::Integer(integer) => Ok(integer as f64),
        }
    }
}

/// The elements of a list pack, one after the other; behind an error there is none.
pub(super) struct Listpack<'a> {
    rest: Cursor<'a>,
    left: Left,
}

impl<'a> Listpack<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Listpack<'a>, Error> {
        let mut rest = Cursor(bytes);
        if rest.length()? != bytes.len() {
            return Err(Error::Content);
        }
        let count = u16::from_le_bytes(rest.array()?);
        Ok(Listpack {
            rest,
            left: Left((count != COUNT_UNKNOWN).then_some(count.into())),
        })
    }

    /// The next element, where one must be.
    pub(super) fn required(&mut self) -> Result<Element<'a>, Error> {
        self.advance()?.ok_or(Error::Content)
    }

    /// A count, where one must be: nothing says that so much follows.
    pub(super) fn natural(&mut self) -> Result<usize, Error> {
        usize::try_from(self.required()?.integer()?).map_err(|_| Error::Content)
    }

    fn advance(&mut self) -> Result<Option<Element<'a>>, Error> {
        let start = self.rest;
        let first = self.rest.byte()?;
        if first == END {
            return self.left.end(self.rest).map(|()| None);
        }
        let element = self.element(first)?;
        let (written, bytes) = back_length(start.len() - self.rest.len());
        if self.rest.bytes(bytes)? != &written[..bytes] {
            return Err(Error::Content);
        }
        self.left.take()?;
        Ok(Some(element))
    }

    fn element(&mut self, first: u8) -> Result<Element<'a>, Error> {
        let rest = &mut self.rest;
        let length = match first {
            0x00..=0x7f => return Ok(Element::Integer(first.into())),
            0xc0..=0xdf => {
                let bits = u16::from(first & 0x1f) << 8 | u16::from(rest.byte()?);
                // The sign is the highest of thirteen bits.
                let integer = (bits << 3) as i16 >> 3;
                return Ok(Element::Integer(integer.into()));
            }
            0xf1 => return rest.integer::<2>().map(Element::Integer),
            0xf2 => return rest.integer::<3>().map(Element::Integer),
            0xf3 => return rest.integer::<4>().map(Element::Integer),
            0xf4 => return rest.integer::<8>().map(Element::Integer),
            0x80..=0xbf => usize::from(first & 0x3f),
            0xe0..=0xef => usize::from(first & 0x0f) << 8 | usize::from(rest.byte()?),
            0xf0 => rest.length()?,
            _ => return Err(Error::Content),
        };
        rest.bytes(length).map(Element::Text)
    }
}

impl<'a> Iterator for Listpack<'a> {
    type Item = Result<Element<'a>, Error>;

    fn next(&mut self) -> Option<Result<Element<'a>, Error>> {
        self.advance().transpose()
    }
}

/// How long an entry is, as it stands behind the entry, and how many bytes that takes.
fn back_length(length: usize) -> ([u8; 5], usize) {
    let count = match length {
        0..128 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    };
    let mut bytes = [0; 5];
    for (at, byte) in bytes[..count].iter_mut().enumerate() {
        let mark = if at == 0 { 0 } else { 0x80 };
        *byte = (length >> (7 * (count - 1 - at))) as u8 & 0x7f | mark;
    }
    (bytes, count)
}

/// A list pack that is being written.
pub(super) struct Builder {
    bytes: Vec<u8>,
    count: usize,
}

impl Builder {
    pub(super) fn new() -> Builder {
        Builder {
            bytes: vec![0; HEADER_BYTES],
            count: 0,
        }
    }

    /// Adds a text: as an integer if it is one.
    pub(super) fn text(&mut self, text: &[u8]) {
        if let Some(integer) = parse_integer(text) {
            return self.integer(integer);
        }
        let start = self.bytes.len();
        let length = text.len();
        match length {
            0..0x40 => self.bytes.push(0x80 | length as u8),
            0x40..0x1000 => self
                .bytes
                .extend_from_slice(&(0xe000 | length as u16).to_be_bytes()),
            _ => {
                self.bytes.push(0xf0);
                // What is longer makes the whole too long, which `finish` refuses.
                self.bytes.extend_from_slice(&(length as u32).to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(text);
        self.end(start);
    }

    pub(super) fn integer(&mut self, integer: i64) {
        let start = self.bytes.len();
        let wide = integer.to_le_bytes();
        match integer {
            0..0x80 => self.bytes.push(integer as u8),
            -0x1000..0x1000 => {
                let bits = 0xc000 | (integer as u16 & 0x1fff);
                self.bytes.extend_from_slice(&bits.to_be_bytes());
            }
            -0x8000..0x8000 => self.wide_integer(0xf1, &wide[..2]),
            -0x80_0000..0x80_0000 => self.wide_integer(0xf2, &wide[..3]),
            -0x8000_0000..0x8000_0000 => self.wide_integer(0xf3, &wide[..4]),
            _ => self.wide_integer(0xf4, &wide),
        }
        self.end(start);
    }

    fn wide_integer(&mut self, head: u8, bytes: &[u8]) {
        self.bytes.push(head);
        self.bytes.extend_from_slice(bytes);
    }

    /// Ends the entry that began at `start`.
    fn end(&mut self, start: usize) {
        let (written, bytes) = back_length(self.bytes.len() - start);
        self.bytes.extend_from_slice(&written[..bytes]);
        self.count += 1;
    }

    /// The list pack; `None` if it is longer than it could say.
    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        self.bytes.push(END);
        let length = u32::try_from(self.bytes.len()).ok()?;
        let count = u16::try_from(self.count).unwrap_or(COUNT_UNKNOWN);
        self.bytes[..4].copy_from_slice(&length.to_le_bytes());
        self.bytes[4..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
        Some(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Element<'_>>, Error> {
        Listpack::new(bytes)?.collect()
    }

    #[test]
    fn integers_and_texts_of_all_sizes_are_read_back() {
        let mut builder = Builder::new();
        let mut integers = vec![0, i64::MIN, i64::MAX];
        for bits in 1..63 {
            let power = 1_i64 << bits;
            integers.extend([power, power - 1, -power, -power - 1]);
        }
        integers
            .iter()
            .for_each(|integer| builder.integer(*integer));
        let texts: Vec<Vec<u8>> = [
            0, 1, 63, 64, 120, 130, 4095, 4096, 16_375, 16_390, 2_097_200,
        ]
        .map(|length| vec![b'x'; length])
        .into();
        texts.iter().for_each(|text| builder.text(text));
        builder.text(b"-4096");
        let bytes = builder.finish().expect("not too long");
        let elements = read(&bytes).expect("what was written");
        let numbers = integers.iter().map(|integer| Element::Integer(*integer));
        let words = texts.iter().map(|text| Element::Text(text));
        let written = numbers.chain(words).chain([Element::Integer(-4096)]);
        assert!(written.eq(elements));
    }

    #[test]
    fn a_count_beyond_sixteen_bits_is_not_told() {
        for count in [65_534, 65_535, 70_000] {
            let mut builder = Builder::new();
            (0..count).for_each(|number| builder.integer(number));
            let bytes = builder.finish().expect("not too long");
            let elements = read(&bytes).expect("what was written");
            assert_eq!(elements.len() as i64, count);
        }
    }

    #[test]
    fn redis_s_own_bytes_are_read_and_written() {
        // 1, "a", -1.
        let bytes = [
            15, 0, 0, 0, 3, 0, 0x01, 0x01, 0x81, b'a', 0x02, 0xdf, 0xff, 0x02, 0xff,
        ];
        let mut builder = Builder::new();
        builder.text(b"1");
        builder.text(b"a");
        builder.text(b"-1");
        assert_eq!(builder.finish().as_deref(), Some(&bytes[..]));
        let elements = [
            Element::Integer(1),
            Element::Text(b"a"),
            Element::Integer(-1),
        ];
        assert_eq!(read(&bytes), Ok(elements.to_vec()));
    }

    #[test]
    fn what_is_broken_is_refused() {
        let intact = [
            15, 0, 0, 0, 3, 0, 0x01, 0x01, 0x81, b'a', 0x02, 0xdf, 0xff, 0x02, 0xff,
        ];
        for length in 0..intact.len() {
            assert_eq!(read(&intact[..length]), Err(Error::Content));
        }
        // The length, the count, a head, a length behind an entry, the end.
        for (at, byte) in [(0, 14), (4, 2), (4, 4), (8, 0x82), (7, 2), (13, 3), (14, 0)] {
            let mut broken = intact;
            broken[at] = byte;
            assert_eq!(read(&broken), Err(Error::Content), "{at}");
        }
        // A text that is longer than all.
        let long = [
            14, 0, 0, 0, 1, 0, 0xf0, 0xff, 0xff, 0xff, 0xff, b'a', 6, 0xff,
        ];
        assert_eq!(read(&long), Err(Error::Content));
        // More behind the end.
        assert_eq!(read(&[8, 0, 0, 0, 0, 0, 0xff, 0xff]), Err(Error::Content));
        assert_eq!(read(&[7, 0, 0, 0, 0, 0, 0xff]), Ok(Vec::new()));
    }
}
