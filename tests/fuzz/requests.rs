//! Requests: where the bytes are cut on their way changes nothing.

use darter::resp::parser::{Limits, Parser, ProtocolError};

/// Pairs of pieces are tried for so many places at most.
const CUTS_MAX: usize = 48;
/// What `Parser::wanted` may ask for beyond what has arrived, while little has.
const WANTED_BYTES_MIN: usize = 64 * 1024;

type Parsed = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

/// The requests in the bytes of all pieces, and what ended them.
fn parsed<'p>(pieces: impl Iterator<Item = &'p [u8]>, limits: Limits) -> Parsed {
    let mut parser = Parser::new();
    let (mut buffer, mut requests) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match parser.next(&buffer, limits) {
                Ok(Some(request)) => {
                    let arguments: Vec<_> =
                        request.arguments(&buffer).map(<[u8]>::to_vec).collect();
                    assert_eq!(request.len(), arguments.len());
                    requests.push(arguments);
                }
                Ok(None) => break,
                Err(error) => return (requests, Some(error)),
            }
        }
        assert!(parser.consumed() <= buffer.len());
        let wanted = parser.wanted(buffer.len());
        assert!(
            wanted <= buffer.len().max(WANTED_BYTES_MIN),
            "{wanted} bytes"
        );
        buffer.drain(..parser.consumed());
        parser.rebase();
    }
    (requests, None)
}

/// The same requests as a well-behaved client sends them.
fn encoded(requests: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for arguments in requests {
        bytes.extend_from_slice(format!("*{}\r\n", arguments.len()).as_bytes());
        for argument in arguments {
            bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            bytes.extend_from_slice(argument);
            bytes.extend_from_slice(b"\r\n");
        }
    }
    bytes
}

/// The first byte says what the client may send, the others are what it sends.
pub(crate) fn target(data: &[u8]) {
    let Some((&first, bytes)) = data.split_first() else {
        return;
    };
    let limits = Limits {
        bulk_bytes_max: if first & 1 == 0 { 512 << 20 } else { 64 },
        is_authenticated: first & 2 == 0,
    };
    let whole = parsed(std::iter::once(bytes), limits);
    assert_eq!(parsed(bytes.chunks(1), limits), whole, "byte by byte");
    let step = bytes.len().div_ceil(CUTS_MAX).max(1);
    for at in (1..bytes.len()).step_by(step) {
        let (front, back) = bytes.split_at(at);
        assert_eq!(
            parsed([front, back].into_iter(), limits),
            whole,
            "cut at {at}"
        );
    }
    let trusted = Limits {
        bulk_bytes_max: 512 << 20,
        is_authenticated: true,
    };
    let again = parsed(std::iter::once(&encoded(&whole.0)[..]), trusted);
    assert_eq!(again, (whole.0, None), "sent again in the usual form");
}
