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

/// Who says how large a reply may become.
pub trait Meter {
    /// Whether a buffer of `before` bytes may be made one of `after`.
    fn admits(&self, before: usize, after: usize) -> bool;
}

/// A buffer may become so large without the meter being asked.
const UNMETERED_BYTES: usize = 64 * 1024;
/// A string beyond may be fetched piece by piece.
const LARGE_BYTES: usize = 1 << 20;
/// More than any header, number or fixed text takes.
const SHORT_BYTES: usize = 64;

/// Appends replies to a buffer in one form of the protocol.
pub struct Encoder<'o> {
    output: &'o mut Vec<u8>,
    protocol: Protocol,
    meter: Option<&'o dyn Meter>,
    /// The buffer's length up to which the meter need not be asked.
    admitted_bytes: usize,
    /// The meter has refused: nothing is written any more.
    is_cut: bool,
    /// Whether a large string may be left out, and whether it was.
    defers: bool,
    has_deferred: bool,
}

impl<'o> Encoder<'o> {
    /// A sink that appends to `output`.
    pub fn new(output: &'o mut Vec<u8>, protocol: Protocol) -> Encoder<'o> {
        Encoder {
            output,
            protocol,
            meter: None,
            admitted_bytes: usize::MAX,
            is_cut: false,
            defers: false,
            has_deferred: false,
        }
    }

    /// A sink that appends to `output` as far as `meter` admits it.
    pub fn metered(
        output: &'o mut Vec<u8>,
        protocol: Protocol,
        meter: &'o dyn Meter,
    ) -> Encoder<'o> {
        Encoder {
            admitted_bytes: output.capacity().max(UNMETERED_BYTES),
            output,
            protocol,
            meter: Some(meter),
            is_cut: false,
            defers: false,
            has_deferred: false,
        }
    }

    /// The same, but a reply that is one large string may be left out, to be fetched piece by piece.
    #[must_use]
    pub fn deferring(self, defers: bool) -> Encoder<'o> {
        Encoder { defers, ..self }
    }

    /// Whether it was left out.
    pub fn has_deferred(&self) -> bool {
        self.has_deferred
    }

    /// Whether a string of so many bytes is one to fetch piece by piece.
    pub fn is_large(&self, length: usize) -> bool {
        length >= LARGE_BYTES
    }

    /// What stands before a string of `length` bytes.
    pub fn bulk_header(&mut self, length: usize) {
        self.header(b'$', length);
    }

    /// Whether so many bytes may be written. To be asked before, not after: memory that is not
    /// there cannot be given back.
    #[inline]
    fn has_room(&mut self, bytes: usize) -> bool {
        let end = self.output.len().saturating_add(bytes);
        end <= self.admitted_bytes || self.is_admitted(end)
    }

    #[cold]
    fn is_admitted(&mut self, end: usize) -> bool {
        let Some(meter) = self.meter.filter(|_| !self.is_cut) else {
            return !self.is_cut;
        };
        // What the buffer grows to by itself.
        let before = self.output.capacity();
        let after = if end <= before {
            before
        } else {
            end.max(before.saturating_mul(2))
        };
        self.is_cut = !meter.admits(before, after);
        self.admitted_bytes = if self.is_cut { 0 } else { after };
        !self.is_cut
    }

    fn header(&mut self, kind: u8, length: usize) {
        if !self.has_room(SHORT_BYTES) {
            return;
        }
        let mut digits = itoa::Buffer::new();
        self.output.push(kind);
        self.output
            .extend_from_slice(digits.format(length).as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        if !self.has_room(SHORT_BYTES.saturating_add(text.len())) {
            return;
        }
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
        if !self.has_room(SHORT_BYTES) {
            return;
        }
        let mut digits = itoa::Buffer::new();
        self.output.push(b':');
        self.output
            .extend_from_slice(digits.format(value).as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    fn bulk(&mut self, bytes: &[u8]) {
        if !self.has_room(SHORT_BYTES.saturating_add(bytes.len())) {
            return;
        }
        self.header(b'$', bytes.len());
        self.output.extend_from_slice(bytes);
        self.output.extend_from_slice(b"\r\n");
    }

    fn bulk_start(&mut self, length: usize) {
        if !self.has_room(SHORT_BYTES.saturating_add(length)) {
            return;
        }
        self.header(b'$', length);
        // Exactly, so that pieces do not make it twice as large.
        self.output.reserve_exact(length + 2);
        if length == 0 {
            self.output.extend_from_slice(b"\r\n");
        }
    }

    fn defers(&mut self, length: usize) -> bool {
        self.has_deferred = self.defers && self.is_large(length);
        self.has_deferred
    }

    fn bulk_part(&mut self, bytes: &[u8], is_last: bool) {
        // `bulk_start` has asked for all of it.
        if self.is_cut {
            return;
        }
        self.output.extend_from_slice(bytes);
        if is_last {
            self.output.extend_from_slice(b"\r\n");
        }
    }

    fn status_bytes(&mut self, text: &[u8]) {
        self.line(b'+', text);
    }

    fn error(&mut self, text: &[u8]) {
        let end = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
        self.line(b'-', &text[..end.map_or(0, |end| end + 1)]);
    }

    fn null(&mut self) {
        if !self.has_room(SHORT_BYTES) {
            return;
        }
        self.output.extend_from_slice(if self.is_resp3() {
            b"_\r\n"
        } else {
            b"$-1\r\n"
        });
    }

    fn null_array(&mut self) {
        if !self.has_room(SHORT_BYTES) {
            return;
        }
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

    fn attribute(&mut self, pairs: usize) -> bool {
        if self.is_resp3() {
            self.header(b'|', pairs);
        }
        self.is_resp3()
    }

    fn double(&mut self, value: f64) {
        self.double_text(value, &super::number::format_double(value));
    }

    fn double_text(&mut self, _: f64, text: &str) {
        if self.is_resp3() {
            self.line(b',', text.as_bytes())
        } else {
            self.bulk(text.as_bytes())
        }
    }

    fn boolean(&mut self, value: bool) {
        if self.is_resp3() {
            if !self.has_room(SHORT_BYTES) {
                return;
            }
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
        // Three bytes, as clients skip four.
        let mut kind = *b"   ";
        for (to, from) in kind.iter_mut().zip(format.bytes()) {
            *to = from;
        }
        let length = kind.len() + 1 + bytes.len();
        if !self.has_room(SHORT_BYTES.saturating_add(length)) {
            return;
        }
        self.header(b'=', length);
        self.output.extend_from_slice(&kind);
        self.output.push(b':');
        self.output.extend_from_slice(bytes);
        self.output.extend_from_slice(b"\r\n");
    }

    fn mark(&self) -> Mark {
        Mark(self.output.len())
    }

    fn rewind(&mut self, mark: Mark) {
        self.output.truncate(mark.0);
        if self.is_cut {
            self.is_cut = false;
            self.admitted_bytes = self.output.capacity().max(UNMETERED_BYTES);
        }
    }

    fn is_cut(&self) -> bool {
        self.is_cut
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
        for (format, line) in [("markdown", "=5\r\nmar:a\r\n"), ("m", "=5\r\nm  :a\r\n")] {
            let write = |reply: &mut dyn Reply| reply.verbatim(format, b"a");
            assert_eq!(encoded(Protocol::Resp3, write), line);
        }
    }

    /// Admits buffers of up to so many bytes.
    struct UpTo(usize);

    impl Meter for UpTo {
        fn admits(&self, _: usize, after: usize) -> bool {
            after <= self.0
        }
    }

    #[test]
    fn a_reply_that_is_not_admitted_takes_no_memory() {
        type Write = fn(&mut dyn Reply);
        let kinds: [Write; 12] = [
            |reply| reply.bulk(&[b'x'; 1000]),
            |reply| reply.integer(1),
            |reply| reply.status("OK"),
            |reply| reply.error(b"ERR x"),
            |reply| reply.null(),
            |reply| reply.null_array(),
            |reply| reply.array(1),
            |reply| reply.map(1),
            |reply| reply.double(0.1),
            |reply| reply.boolean(true),
            |reply| reply.big_number("1"),
            |reply| reply.verbatim("txt", &[b'x'; 100]),
        ];
        const MAX: usize = 300_000;
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            for (number, write) in kinds.iter().enumerate() {
                let mut output = b"+before\r\n".to_vec();
                let mut reply = Encoder::metered(&mut output, protocol, &UpTo(MAX));
                let mark = reply.mark();
                for _ in 0..MAX {
                    write(&mut reply);
                }
                assert!(reply.is_cut(), "{number}");
                reply.rewind(mark);
                assert!(!reply.is_cut());
                reply.error(b"OOM");
                assert_eq!(output, b"+before\r\n-OOM\r\n");
                assert!(
                    (UNMETERED_BYTES..=MAX).contains(&output.capacity()),
                    "{number}"
                );
            }
        }
    }

    #[test]
    fn a_long_string_is_refused_before_its_first_byte() {
        let mut output = Vec::new();
        let mut reply = Encoder::metered(&mut output, Protocol::Resp2, &UpTo(1 << 20));
        reply.bulk_start(2 << 20);
        reply.bulk_part(b"part", false);
        assert!(reply.is_cut());
        assert_eq!(output.capacity(), 0);
        let mut reply = Encoder::metered(&mut output, Protocol::Resp2, &UpTo(1 << 20));
        reply.bulk(&vec![b'x'; 1_000_000]);
        assert!(!reply.is_cut());
        assert_eq!(output.len(), "$1000000\r\n\r\n".len() + 1_000_000);
    }

    #[test]
    fn an_error_stays_on_its_line() {
        let text = encoded(Protocol::Resp2, |reply| reply.error(b"ERR a\r\nb"));
        assert_eq!(text, "-ERR a  b\r\n");
    }
}
