//! Counts replies in what a server sends, without keeping them.

/// How far the bytes of a connection have been read.
#[derive(Debug)]
pub(crate) struct Replies {
    /// Parts of the current reply that are still to come: its own and those of its elements.
    missing: u64,
    /// Bytes of a string that are still to come.
    skip: usize,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// The first error that was seen.
    error: Option<String>,
}

impl Replies {
    pub(crate) fn new() -> Replies {
        Replies {
            missing: 1,
            skip: 0,
            line: Vec::new(),
            error: None,
        }
    }

    /// The first error among the replies.
    pub(crate) fn take_error(&mut self) -> Option<String> {
        self.error.take()
    }

    /// How many replies end in these bytes.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> u64 {
        let mut complete = 0;
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                if self.skip == 0 {
                    complete += self.end_part();
                }
                continue;
            }
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                self.line.extend_from_slice(bytes);
                break;
            };
            let (line, rest) = bytes.split_at(end + 1);
            bytes = rest;
            complete += if self.line.is_empty() {
                self.read_line(line)
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                let complete = self.read_line(&whole);
                whole.clear();
                self.line = whole;
                complete
            };
        }
        complete
    }

    fn end_part(&mut self) -> u64 {
        self.missing -= 1;
        if self.missing > 0 {
            return 0;
        }
        self.missing = 1;
        1
    }

    fn read_line(&mut self, line: &[u8]) -> u64 {
        let (kind, text) = line.split_first().unwrap_or((&b'\n', b""));
        let text = text.trim_ascii_end();
        let number = || std::str::from_utf8(text).ok()?.parse::<i64>().ok();
        match kind {
            b'$' | b'=' => {
                if let Some(length @ 0..) = number() {
                    self.skip = length as usize + 2;
                    return 0;
                }
            }
            b'*' | b'~' | b'>' => self.missing += number().unwrap_or(0).max(0) as u64,
            b'%' => self.missing += 2 * number().unwrap_or(0).max(0) as u64,
            b'-' if self.error.is_none() => {
                self.error = Some(String::from_utf8_lossy(text).into_owned());
            }
            _ => {}
        }
        self.end_part()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"+OK\r\n:12\r\n$3\r\na\nb\r\n$-1\r\n*2\r\n$1\r\nx\r\n*2\r\n:1\r\n:2\r\n*0\r\n*-1\r\n$0\r\n\r\n-ERR no\r\n%1\r\n+a\r\n+b\r\n";

    #[test]
    fn whole_replies_are_counted() {
        let mut replies = Replies::new();
        assert_eq!(replies.feed(STREAM), 10);
        assert_eq!(replies.take_error().as_deref(), Some("ERR no"));
    }

    #[test]
    fn it_does_not_matter_how_the_bytes_are_cut() {
        for piece in 1..STREAM.len() {
            let mut replies = Replies::new();
            let complete: u64 = STREAM.chunks(piece).map(|bytes| replies.feed(bytes)).sum();
            assert_eq!(complete, 10, "pieces of {piece}");
        }
    }
}
