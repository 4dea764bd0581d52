//! Replies as bytes, in RESP2 or RESP3.

use super::reply::{Mark, Reply};

/// The two forms of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What every client speaks until it says HELLO 3.
    #[default]
    Resp2,
    /// Typed replies and pushes.
    Resp3,
}

/// Appends replies to a buffer in one form of the protocol.
pub struct Encoder<'o> {
    output: &'o mut Vec<u8>,
    protocol: Protocol,
}

impl<'o> Encoder<'o> {
    /// A sink that appends to `output`.
    pub fn new(output: &'o mut Vec<u8>, protocol: Protocol) -> Encoder<'o> {
        Encoder { output, protocol }
    }

    fn header(&mut self, kind: u8, length: usize) {
        let mut digits = itoa::Buffer::new();
        self.output.push(kind);
        self.output
            .extend_from_slice(digits.format(length).as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.output.push(kind);
        self.output.extend(text.iter().map(|byte| match byte {
            b'\r' | b'\n' => b' ',
            other => *other,
        }));
        self.output.extend_from_slice(b"\r\n");
    }

    fn is_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }
}

impl Reply for Encoder<'_> {
    fn integer(&mut self, value: i64) {
        let mut digits = itoa::Buffer::new();
        self.output.push(b':');
        self.output
            .extend_from_slice(digits.format(value).as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    fn bulk(&mut self, bytes: &[u8]) {
        self.header(b'$', bytes.len());
        self.output.extend_from_slice(bytes);
        self.output.extend_from_slice(b"\r\n");
    }

    fn bulk_start(&mut self, length: usize) {
        self.header(b'$', length);
        if length == 0 {
            self.output.extend_from_slice(b"\r\n");
        }
    }

    fn bulk_part(&mut self, bytes: &[u8], is_last: bool) {
        self.output.extend_from_slice(bytes);
        if is_last {
            self.output.extend_from_slice(b"\r\n");
        }
    }

    fn status(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    fn error(&mut self, text: &[u8]) {
        self.line(b'-', text);
    }

    fn null(&mut self) {
        self.output.extend_from_slice(if self.is_resp3() {
            b"_\r\n"
        } else {
            b"$-1\r\n"
        });
    }

    fn null_array(&mut self) {
        self.output.extend_from_slice(if self.is_resp3() {
            b"_\r\n"
        } else {
            b"*-1\r\n"
        });
    }

    fn array(&mut self, length: usize) {
        self.header(b'*', length);
    }

    fn map(&mut self, pairs: usize) {
        if self.is_resp3() {
            self.header(b'%', pairs)
        } else {
            self.header(b'*', pairs * 2)
        }
    }

    fn set(&mut self, length: usize) {
        self.header(if self.is_resp3() { b'~' } else { b'*' }, length);
    }

    fn push(&mut self, length: usize) {
        self.header(if self.is_resp3() { b'>' } else { b'*' }, length);
    }

    fn double(&mut self, value: f64) {
        let text = super::number::format_double(value);
        if self.is_resp3() {
            self.line(b',', text.as_bytes())
        } else {
            self.bulk(text.as_bytes())
        }
    }

    fn boolean(&mut self, value: bool) {
        if self.is_resp3() {
            self.output
                .extend_from_slice(if value { b"#t\r\n" } else { b"#f\r\n" });
        } else {
            self.integer(i64::from(value));
        }
    }

    fn big_number(&mut self, digits: &str) {
        if self.is_resp3() {
            self.line(b'(', digits.as_bytes());
        } else {
            self.bulk(digits.as_bytes());
        }
    }

    fn verbatim(&mut self, format: &str, bytes: &[u8]) {
        if !self.is_resp3() {
            return self.bulk(bytes);
        }
        self.header(b'=', format.len() + 1 + bytes.len());
        self.output.extend_from_slice(format.as_bytes());
        self.output.push(b':');
        self.output.extend_from_slice(bytes);
        self.output.extend_from_slice(b"\r\n");
    }

    fn mark(&self) -> Mark {
        Mark(self.output.len())
    }

    fn rewind(&mut self, mark: Mark) {
        self.output.truncate(mark.0);
    }

    fn protocol(&self) -> u8 {
        if self.is_resp3() { 3 } else { 2 }
    }

    fn set_protocol(&mut self, version: u8) {
        self.protocol = if version == 3 {
            Protocol::Resp3
        } else {
            Protocol::Resp2
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(protocol: Protocol, write: impl Fn(&mut dyn Reply)) -> String {
        let mut output = Vec::new();
        write(&mut Encoder::new(&mut output, protocol));
        String::from_utf8(output).expect("ASCII")
    }

    #[test]
    fn both_forms() {
        let write = |reply: &mut dyn Reply| {
            reply.map(1);
            reply.bulk(b"k");
            reply.double(1.5);
            reply.null();
            reply.boolean(true);
            reply.verbatim("txt", b"ab");
        };
        assert_eq!(
            encoded(Protocol::Resp2, write),
            "*2\r\n$1\r\nk\r\n$3\r\n1.5\r\n$-1\r\n:1\r\n$2\r\nab\r\n"
        );
        assert_eq!(
            encoded(Protocol::Resp3, write),
            "%1\r\n$1\r\nk\r\n,1.5\r\n_\r\n#t\r\n=6\r\ntxt:ab\r\n"
        );
    }

    #[test]
    fn an_error_stays_on_its_line() {
        let text = encoded(Protocol::Resp2, |reply| reply.error(b"ERR a\r\nb"));
        assert_eq!(text, "-ERR a  b\r\n");
    }
}
