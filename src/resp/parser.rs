//! Requests from bytes: arrays of bulk strings, or lines typed by hand.
//!
//! The parser is resumable: it keeps how far it has come in an unfinished request, so a request of
//! a million arguments that arrives in small pieces is read once, not once per piece. It allocates
//! next to nothing for what a header only announces.

use std::ops::Range;

use super::number::{is_space, without_spaces_before};

/// The longest line typed by hand, and the longest header.
const INLINE_BYTES_MAX: usize = 64 * 1024;
/// The most arguments of one request, as in Redis since 7.0.
const ARGUMENTS_MAX: i64 = i32::MAX as i64;
/// Room for so many is made as soon as they are announced.
const ARGUMENTS_EXPECTED_MAX: usize = 16;
/// What a client that has not authenticated may send.
const UNAUTHENTICATED_ARGUMENTS_MAX: i64 = 10;
const UNAUTHENTICATED_BULK_BYTES_MAX: i64 = 16 * 1024;

/// What is wrong with a request's form. The connection ends after the error's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A line typed by hand, or a header, is too long.
    #[error("too big inline request")]
    InlineTooLong,
    /// An array's header is too long.
    #[error("too big mbulk count string")]
    CountTooLong,
    /// A bulk string's header is too long.
    #[error("too big bulk count string")]
    LengthTooLong,
    /// An array's count is no number, or over the limit.
    #[error("invalid multibulk length")]
    InvalidCount,
    /// A bulk string's length is no number, or over the limit.
    #[error("invalid bulk length")]
    InvalidLength,
    /// An array's element is not a bulk string.
    #[error("expected '$', got '{}'", char::from(*.0))]
    ExpectedBulk(u8),
    /// A line typed by hand ends inside quotes.
    #[error("unbalanced quotes in request")]
    UnbalancedQuotes,
    /// As `InvalidCount`, before authentication.
    #[error("unauthenticated multibulk length")]
    UnauthenticatedCount,
    /// As `InvalidLength`, before authentication.
    #[error("unauthenticated bulk length")]
    UnauthenticatedLength,
}

/// What a client is allowed to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest bulk string, in bytes.
    pub bulk_bytes_max: usize,
    /// Whether the client may send more than what it takes to authenticate.
    pub is_authenticated: bool,
}

/// A whole request: where its arguments lie in the bytes that were parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    arguments: Vec<Range<usize>>,
    /// Arguments of a line typed by hand, which may differ from the bytes sent.
    inline: Option<Vec<u8>>,
}

impl Request {
    /// The arguments, command name first; `buffer` is what `next` was given.
    pub fn arguments<'b>(&'b self, buffer: &'b [u8]) -> impl ExactSizeIterator<Item = &'b [u8]> {
        let bytes = self.inline.as_deref().unwrap_or(buffer);
        self.arguments.iter().map(|range| &bytes[range.clone()])
    }

    /// How many arguments there are.
    pub fn len(&self) -> usize {
        self.arguments.len()
    }

    /// Bytes that it takes besides those that its arguments lie in.
    pub fn held_bytes(&self) -> usize {
        let inline = self.inline.as_ref().map_or(0, Vec::capacity);
        self.arguments.capacity() * size_of::<Range<usize>>() + inline
    }

    /// Whether there is nothing to do (an empty line or array).
    pub fn is_empty(&self) -> bool {
        self.arguments.is_empty()
    }
}

/// Where parsing stands in a buffer; positions count from its beginning.
#[derive(Debug, Default)]
pub struct Parser {
    /// Everything before belongs to requests that were handed out.
    consumed: usize,
    /// How far the current request has been read.
    position: usize,
    /// Arguments of the current request still to come, once its header has been read.
    missing: Option<i64>,
    /// The length of the bulk string that is due, once its header has been read.
    bulk_bytes: Option<usize>,
    request: Request,
}

impl Parser {
    /// A parser at the beginning of an empty buffer.
    pub fn new() -> Parser {
        Parser::default()
    }

    /// Bytes that the unfinished request takes besides those of the buffer.
    pub fn held_bytes(&self) -> usize {
        self.request.held_bytes()
    }

    /// How many bytes at the buffer's beginning are done with.
    pub fn consumed(&self) -> usize {
        self.consumed
    }

    /// Says that the first `consumed()` bytes have been removed from the buffer.
    pub fn rebase(&mut self) {
        self.position -= self.consumed;
        for range in &mut self.request.arguments {
            range.start -= self.consumed;
            range.end -= self.consumed;
        }
        self.consumed = 0;
    }

    /// How many bytes the buffer should be able to hold for the bulk string that is due, if more
    /// than it has now: never more than twice what has arrived, at least 64 KiB beyond it.
    pub fn wanted(&self, length: usize) -> usize {
        let Some(bulk_bytes) = self.bulk_bytes else {
            return 0;
        };
        let end = self.position + bulk_bytes + 2;
        end.min(length.saturating_mul(2).max(length + 64 * 1024))
            .saturating_sub(length)
    }

    /// The next whole request in `buffer`, if there is one.
    ///
    /// # Errors
    /// [`ProtocolError`]; nothing more can be read from this connection then.
    pub fn next(
        &mut self,
        buffer: &[u8],
        limits: Limits,
    ) -> Result<Option<Request>, ProtocolError> {
        if self.missing.is_none() {
            match buffer.get(self.position) {
                None => return Ok(None),
                Some(b'*') => match self.read_count(buffer, limits)? {
                    None => return Ok(None),
                    Some(count) => {
                        let count = count.max(0);
                        self.missing = Some(count);
                        let expected = ARGUMENTS_EXPECTED_MAX.min(count as usize);
                        self.request.arguments.reserve_exact(expected);
                    }
                },
                Some(_) => return self.next_inline(buffer),
            }
        }
        while self.missing.is_some_and(|missing| missing > 0) {
            if !self.read_argument(buffer, limits)? {
                return Ok(None);
            }
            self.missing = self.missing.map(|missing| missing - 1);
        }
        Ok(Some(self.finish()))
    }

    fn finish(&mut self) -> Request {
        self.missing = None;
        self.consumed = self.position;
        std::mem::take(&mut self.request)
    }

    /// A header's number; `None` while its line is unfinished.
    #[inline]
    fn read_number(
        &mut self,
        buffer: &[u8],
        too_long: ProtocolError,
    ) -> Result<Option<Option<i64>>, ProtocolError> {
        if let Some((number, line_bytes)) = short_number(&buffer[self.position + 1..]) {
            self.position += 1 + line_bytes;
            return Ok(Some(Some(number)));
        }
        self.read_any_number(buffer, too_long)
    }

    #[inline(never)]
    fn read_any_number(
        &mut self,
        buffer: &[u8],
        too_long: ProtocolError,
    ) -> Result<Option<Option<i64>>, ProtocolError> {
        let line = &buffer[self.position + 1..];
        let Some(end) = memchr::memchr(b'\r', &line[..line.len().min(INLINE_BYTES_MAX)]) else {
            return if line.len() >= INLINE_BYTES_MAX {
                Err(too_long)
            } else {
                Ok(None)
            };
        };
        if end + 2 > line.len() {
            return Ok(None);
        }
        let number = super::number::parse_integer(&line[..end]);
        self.position += 1 + end + 2;
        Ok(Some(number))
    }

    fn read_count(&mut self, buffer: &[u8], limits: Limits) -> Result<Option<i64>, ProtocolError> {
        let Some(number) = self.read_number(buffer, ProtocolError::CountTooLong)? else {
            return Ok(None);
        };
        let count = number.filter(|count| *count <= ARGUMENTS_MAX);
        let count = count.ok_or(ProtocolError::InvalidCount)?;
        if !limits.is_authenticated && count > UNAUTHENTICATED_ARGUMENTS_MAX {
            return Err(ProtocolError::UnauthenticatedCount);
        }
        Ok(Some(count))
    }

    /// Reads one bulk string; `false` while it is unfinished.
    fn read_argument(&mut self, buffer: &[u8], limits: Limits) -> Result<bool, ProtocolError> {
        let length = match self.bulk_bytes {
            Some(length) => length,
            None => {
                match buffer.get(self.position) {
                    None => return Ok(false),
                    Some(b'$') => {}
                    Some(other) => return Err(ProtocolError::ExpectedBulk(*other)),
                }
                let Some(number) = self.read_number(buffer, ProtocolError::LengthTooLong)? else {
                    return Ok(false);
                };
                let length = number.ok_or(ProtocolError::InvalidLength)?;
                if !limits.is_authenticated && length > UNAUTHENTICATED_BULK_BYTES_MAX {
                    return Err(ProtocolError::UnauthenticatedLength);
                }
                let length = usize::try_from(length).ok();
                let length = length.filter(|length| *length <= limits.bulk_bytes_max);
                let length = length.ok_or(ProtocolError::InvalidLength)?;
                self.bulk_bytes = Some(length);
                length
            }
        };
        let end = self.position + length;
        if buffer.len() < end + 2 {
            return Ok(false);
        }
        self.request.arguments.push(self.position..end);
        self.position = end + 2;
        self.bulk_bytes = None;
        Ok(true)
    }

    fn next_inline(&mut self, buffer: &[u8]) -> Result<Option<Request>, ProtocolError> {
        let rest = &buffer[self.position..];
        let Some(end) = memchr::memchr(b'\n', rest) else {
            let is_long = rest.len() > INLINE_BYTES_MAX;
            return if is_long {
                Err(ProtocolError::InlineTooLong)
            } else {
                Ok(None)
            };
        };
        if end > INLINE_BYTES_MAX {
            return Err(ProtocolError::InlineTooLong);
        }
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        let words = split_words(line).ok_or(ProtocolError::UnbalancedQuotes)?;
        self.position += end + 1;
        let mut bytes = Vec::new();
        for word in words {
            let start = bytes.len();
            bytes.extend_from_slice(&word);
            self.request.arguments.push(start..bytes.len());
        }
        self.request.inline = Some(bytes);
        Ok(Some(self.finish()))
    }
}

/// What nearly all headers hold, a number of one or two digits, and the bytes of its line; `None` for
/// what the long way has to judge.
#[inline]
fn short_number(line: &[u8]) -> Option<(i64, usize)> {
    let digit = |byte: u8| i64::from(byte - b'0');
    match *line {
        [one @ b'0'..=b'9', b'\r', _, ..] => Some((digit(one), 3)),
        [ten @ b'1'..=b'9', one @ b'0'..=b'9', b'\r', _, ..] => {
            Some((10 * digit(ten) + digit(one), 4))
        }
        _ => None,
    }
}

/// Splits a line into words as a shell would: `"` with backslash escapes, `'` without. `None` if
/// quotes do not balance.
pub fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        // As Redis: all that C calls a space is passed over before a word, and ends quotes, but not all
        // of it ends a word.
        rest = without_spaces_before(rest);
        if rest.is_empty() {
            return Some(words);
        }
        let mut word = Vec::new();
        while let Some((&first, behind)) = rest.split_first() {
            rest = behind;
            match first {
                b'"' => rest = double_quoted(rest, &mut word)?,
                b'\'' => rest = single_quoted(rest, &mut word)?,
                b' ' | b'\n' | b'\r' | b'\t' | 0 => break,
                other => word.push(other),
            }
        }
        words.push(word);
    }
}

/// What follows a closing quote must end the word.
fn closed(rest: &[u8]) -> Option<&[u8]> {
    rest.first()
        .is_none_or(|byte| is_space(*byte))
        .then_some(rest)
}

fn double_quoted<'l>(mut rest: &'l [u8], word: &mut Vec<u8>) -> Option<&'l [u8]> {
    loop {
        match rest {
            [b'\\', b'x', high, low, behind @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
                word.push(digit(*high) << 4 | digit(*low));
                rest = behind;
            }
            [b'\\', escaped, behind @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest = behind;
            }
            [b'"', behind @ ..] => return closed(behind),
            [other, behind @ ..] => {
                word.push(*other);
                rest = behind;
            }
            [] => return None,
        }
    }
}

fn single_quoted<'l>(mut rest: &'l [u8], word: &mut Vec<u8>) -> Option<&'l [u8]> {
    loop {
        match rest {
            [b'\\', b'\'', behind @ ..] => {
                word.push(b'\'');
                rest = behind;
            }
            [b'\'', behind @ ..] => return closed(behind),
            [other, behind @ ..] => {
                word.push(*other);
                rest = behind;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        bulk_bytes_max: 1024,
        is_authenticated: true,
    };

    /// Parses `bytes` handed over in pieces of `step` bytes.
    fn parsed(bytes: &[u8], step: usize) -> Result<Vec<Vec<Vec<u8>>>, ProtocolError> {
        let mut parser = Parser::new();
        let (mut buffer, mut requests) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Some(request) = parser.next(&buffer, LIMITS)? {
                requests.push(request.arguments(&buffer).map(<[u8]>::to_vec).collect());
            }
            buffer.drain(..parser.consumed());
            parser.rebase();
        }
        Ok(requests)
    }

    #[test]
    fn any_split_gives_the_same_requests() {
        let bytes = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING  'a b' \"\\x41\\n\"\r\n*0\r\n*-1\r\n*1\r\n$0\r\n\r\n\n";
        let whole = parsed(bytes, bytes.len()).expect("well formed");
        assert_eq!(whole[0], [b"GET".to_vec(), b"k".to_vec()]);
        assert_eq!(
            whole[1],
            [b"PING".to_vec(), b"a b".to_vec(), b"A\n".to_vec()]
        );
        assert_eq!(whole[2], Vec::<Vec<u8>>::new());
        assert_eq!(whole[4], [Vec::<u8>::new()]);
        for step in 1..bytes.len() {
            assert_eq!(
                parsed(bytes, step).expect("well formed"),
                whole,
                "step {step}"
            );
        }
    }

    #[test]
    fn what_is_malformed_is_named() {
        for (bytes, error) in [
            (&b"*x\r\n"[..], ProtocolError::InvalidCount),
            (b"*2147483648\r\n", ProtocolError::InvalidCount),
            (b"*1\r\n:1\r\n", ProtocolError::ExpectedBulk(b':')),
            (b"*1\r\n$-1\r\n", ProtocolError::InvalidLength),
            (b"*1\r\n$1025\r\n", ProtocolError::InvalidLength),
            (b"GET 'a\r\n", ProtocolError::UnbalancedQuotes),
            (b"GET \"a\"b\r\n", ProtocolError::UnbalancedQuotes),
        ] {
            assert_eq!(parsed(bytes, bytes.len()), Err(error));
        }
        assert_eq!(
            parsed(&vec![b'a'; 70_000], 1000),
            Err(ProtocolError::InlineTooLong)
        );
        let header = [b"*".as_slice(), &vec![b'1'; 70_000]].concat();
        assert_eq!(parsed(&header, 1000), Err(ProtocolError::CountTooLong));
    }

    #[test]
    fn strangers_may_send_little() {
        let limits = Limits {
            is_authenticated: false,
            ..LIMITS
        };
        let mut parser = Parser::new();
        assert_eq!(
            parser.next(b"*11\r\n", limits),
            Err(ProtocolError::UnauthenticatedCount)
        );
        let mut parser = Parser::new();
        let bulk = Parser::next(&mut parser, b"*1\r\n$16385\r\n", limits);
        assert_eq!(bulk, Err(ProtocolError::UnauthenticatedLength));
    }

    #[test]
    fn a_header_reserves_little() {
        let mut parser = Parser::new();
        let limits = Limits {
            bulk_bytes_max: 1 << 29,
            ..LIMITS
        };
        let buffer = b"*1\r\n$536870912\r\n";
        assert_eq!(parser.next(buffer, limits), Ok(None));
        assert!(parser.wanted(buffer.len()) <= 64 * 1024);
    }
}
