//! Zip maps, in which Redis kept small hashes before 2.6.
//!
//! How many fields there are (one byte; from 254 on: not told), the fields with their values, 255. A
//! text has its length before it, in one byte or in four behind 254; between a value's length and the
//! value a byte says how many unused ones follow the value.

use super::Error;
use super::cursor::{Cursor, Left};

const END: u8 = 0xff;
const LONG: u8 = 0xfe;

/// A field and its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// The fields of a zip map with their values; behind an error there is none.
pub(super) struct Zipmap<'a> {
    rest: Cursor<'a>,
    left: Left,
}

impl<'a> Zipmap<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Zipmap<'a>, Error> {
        let mut rest = Cursor(bytes);
        let count = rest.byte()?;
        Ok(Zipmap {
            rest,
            left: Left((count < LONG).then_some(count.into())),
        })
    }

    fn advance(&mut self) -> Result<Option<Pair<'a>>, Error> {
        let first = self.rest.byte()?;
        if first == END {
            return self.left.end(self.rest).map(|()| None);
        }
        let field_bytes = self.length(first)?;
        let field = self.rest.bytes(field_bytes)?;
        let first = self.rest.byte()?;
        let value_bytes = self.length(first)?;
        let unused_bytes = self.rest.byte()?;
        let value = self.rest.bytes(value_bytes)?;
        self.rest.bytes(unused_bytes.into())?;
        self.left.take()?;
        Ok(Some((field, value)))
    }

    fn length(&mut self, first: u8) -> Result<usize, Error> {
        match first {
            END => Err(Error::Content),
            LONG => self.rest.length(),
            length => Ok(length.into()),
        }
    }
}

impl<'a> Iterator for Zipmap<'a> {
    type Item = Result<Pair<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTACT: [u8; 16] = [
        2, 1, b'a', 2, 1, b'b', b'c', 0, 0, 0xfe, 1, 0, 0, 0, 0, b'd',
    ];

    fn read(bytes: &[u8]) -> Result<Vec<Pair<'_>>, Error> {
        Zipmap::new(bytes)?.collect()
    }

    #[test]
    fn fields_are_read() {
        let whole = [&INTACT[..], &[END]].concat();
        let fields: [Pair<'_>; 2] = [(b"a", b"bc"), (b"", b"d")];
        assert_eq!(read(&whole), Ok(fields.to_vec()));
        assert_eq!(read(&[0, END]), Ok(Vec::new()));
    }

    #[test]
    fn what_is_broken_is_refused() {
        for length in 0..=INTACT.len() {
            assert_eq!(read(&INTACT[..length]), Err(Error::Content));
        }
        let whole = [&INTACT[..], &[END]].concat();
        // The count, a field's length, a value's, unused bytes.
        for (at, byte) in [(0, 1), (0, 3), (1, 200), (3, END), (4, 200)] {
            let mut broken = whole.clone();
            broken[at] = byte;
            assert_eq!(read(&broken), Err(Error::Content), "{at}");
        }
    }
}
