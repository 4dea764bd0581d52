//! Zip lists, which list packs have replaced in Redis 7.0.
//!
//! How many bytes there are in all (four), where the last entry begins (four), how many entries there
//! are (two; the highest number: not told), the entries, 255. An entry is the length of the one
//! before it (in one byte, or in four behind 254), its head, its text. Heads:
//!
//! | bits | what it is |
//! |---|---|
//! | `00nnnnnn` | a text of so many bytes |
//! | `01nnnnnn nnnnnnnn` | a text of so many bytes |
//! | 128, four bytes, big endian | a text of so many bytes |
//! | 192, 208, 224, 240, 254 | an integer of two, four, eight, three bytes, one byte |
//! | 241 to 253 | the integers 0 to 12 |

use super::Error;
use super::cursor::{Cursor, Left};
use super::listpack::Element;

const END: u8 = 0xff;
const COUNT_UNKNOWN: u16 = u16::MAX;

/// The elements of a zip list, one after the other; behind an error there is none.
pub(super) struct Ziplist<'a> {
    rest: Cursor<'a>,
    bytes: usize,
    /// Where it says that the last entry begins.
    tail: usize,
    left: Left,
    /// Where the entry before begins; the entries, if there is none.
    before_at: usize,
    /// How long it is; 0 if there is none.
    before_bytes: usize,
}

impl<'a> Ziplist<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Ziplist<'a>, Error> {
        let mut rest = Cursor(bytes);
        if rest.length()? != bytes.len() {
            return Err(Error::Content);
        }
        let tail = rest.length()?;
        let count = u16::from_le_bytes(rest.array()?);
        Ok(Ziplist {
            rest,
            bytes: bytes.len(),
            tail,
            left: Left((count != COUNT_UNKNOWN).then_some(count.into())),
            before_at: bytes.len() - rest.len(),
            before_bytes: 0,
        })
    }

    fn advance(&mut self) -> Result<Option<Element<'a>>, Error> {
        let start = self.rest;
        let before_bytes = match self.rest.byte()? {
            END => {
                if self.before_at != self.tail {
                    return Err(Error::Content);
                }
                return self.left.end(self.rest).map(|()| None);
            }
            0xfe => self.rest.length()?,
            before_bytes => before_bytes.into(),
        };
        if before_bytes != self.before_bytes {
            return Err(Error::Content);
        }
        let element = self.element()?;
        self.before_at = self.bytes - start.len();
        self.before_bytes = start.len() - self.rest.len();
        self.left.take()?;
        Ok(Some(element))
    }

    fn element(&mut self) -> Result<Element<'a>, Error> {
        let rest = &mut self.rest;
        let length = match rest.byte()? {
            head @ 0x00..=0x3f => usize::from(head),
            head @ 0x40..=0x7f => usize::from(head & 0x3f) << 8 | usize::from(rest.byte()?),
            0x80 => u32::from_be_bytes(rest.array()?) as usize,
            0xc0 => return rest.integer::<2>().map(Element::Integer),
            0xd0 => return rest.integer::<4>().map(Element::Integer),
            0xe0 => return rest.integer::<8>().map(Element::Integer),
            0xf0 => return rest.integer::<3>().map(Element::Integer),
            0xfe => return rest.integer::<1>().map(Element::Integer),
            head @ 0xf1..=0xfd => return Ok(Element::Integer(i64::from(head - 0xf1))),
            _ => return Err(Error::Content),
        };
        rest.bytes(length).map(Element::Text)
    }
}

impl<'a> Iterator for Ziplist<'a> {
    type Item = Result<Element<'a>, Error>;

    fn next(&mut self) -> Option<Result<Element<'a>, Error>> {
        self.advance().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "a", 12, 300.
    const INTACT: [u8; 20] = [
        20, 0, 0, 0, 15, 0, 0, 0, 3, 0, 0, 1, b'a', 3, 0xfd, 2, 0xc0, 0x2c, 1, 0xff,
    ];

    fn read(bytes: &[u8]) -> Result<Vec<Element<'_>>, Error> {
        Ziplist::new(bytes)?.collect()
    }

    #[test]
    fn entries_are_read() {
        let elements = [
            Element::Text(b"a"),
            Element::Integer(12),
            Element::Integer(300),
        ];
        assert_eq!(read(&INTACT), Ok(elements.to_vec()));
        assert_eq!(
            read(&[11, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0xff]),
            Ok(Vec::new())
        );
    }

    #[test]
    fn what_is_broken_is_refused() {
        for length in 0..INTACT.len() {
            assert_eq!(read(&INTACT[..length]), Err(Error::Content));
        }
        // The length, the tail, the count, the length of the one before, a head, the end.
        for (at, byte) in [
            (0, 19),
            (4, 14),
            (8, 2),
            (8, 4),
            (10, 1),
            (13, 2),
            (11, 0x80),
            (11, 0x81),
            (19, 0),
        ] {
            let mut broken = INTACT;
            broken[at] = byte;
            assert_eq!(read(&broken), Err(Error::Content), "{at}");
        }
    }
}
