//! Replies as they come over the wire: every kind of null, number and aggregate is told apart, so
//! that two trees are equal only if their bytes are.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::support::client::encode;

/// No reply takes longer, so no test hangs.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Texts are shown up to here.
const SHOWN_BYTES: usize = 160;
const SHOWN_ELEMENTS: usize = 60;

pub(crate) type Words = Vec<Vec<u8>>;

/// The null of a bulk string and of an array in RESP2, told from the texts with these kinds.
const NULL_BULK: u8 = b'n';
const NULL_ARRAY: u8 = b'N';

/// A reply: its kind is the first byte on the wire; a map's keys and values are in turn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Node {
    pub(crate) kind: u8,
    pub(crate) text: Vec<u8>,
    pub(crate) children: Vec<Node>,
}

impl Node {
    fn text(kind: u8, text: Vec<u8>) -> Node {
        Node {
            kind,
            text,
            children: Vec::new(),
        }
    }

    pub(crate) fn integer(value: i64) -> Node {
        Node::text(b':', value.to_string().into_bytes())
    }

    pub(crate) fn is_error(&self) -> bool {
        self.kind == b'-' || self.kind == b'!'
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.kind, NULL_BULK | NULL_ARRAY | b'_')
    }

    pub(crate) fn is_aggregate(&self) -> bool {
        matches!(self.kind, b'*' | b'~' | b'%' | b'>')
    }

    /// The number of an integer reply.
    pub(crate) fn number(&self) -> Option<i64> {
        let digits = std::str::from_utf8(&self.text).ok()?;
        (self.kind == b':').then(|| digits.parse().ok())?
    }

    /// The text, for what is known to be printable.
    pub(crate) fn as_text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }
}

impl fmt::Display for Node {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = char::from(self.kind);
        if !self.is_aggregate() {
            return write!(out, "{kind}{}", show(&self.text));
        }
        write!(out, "{kind}{}[", self.children.len())?;
        for (number, child) in self.children.iter().take(SHOWN_ELEMENTS).enumerate() {
            let blank = if number > 0 { " " } else { "" };
            write!(out, "{blank}{child}")?;
        }
        let more = if self.children.len() > SHOWN_ELEMENTS {
            " …"
        } else {
            ""
        };
        write!(out, "{more}]")
    }
}

/// A text that may be long or binary.
pub(crate) fn show(text: &[u8]) -> String {
    let shown = text[..text.len().min(SHOWN_BYTES)]
        .escape_ascii()
        .to_string();
    if text.len() > SHOWN_BYTES {
        format!("{shown}… ({} bytes)", text.len())
    } else {
        shown
    }
}

/// A command, as redis-cli takes it.
pub(crate) fn show_words(words: &[Vec<u8>]) -> String {
    let shown = |word: &Vec<u8>| {
        let is_plain = !word.is_empty()
            && word
                .iter()
                .all(|byte| byte.is_ascii_graphic() && !b"'\"\\;".contains(byte));
        if is_plain {
            show(word)
        } else {
            format!("\"{}\"", show(word))
        }
    };
    words.iter().map(shown).collect::<Vec<_>>().join(" ")
}

pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection {
            reader: BufReader::new(stream),
        }
    }

    /// As one write.
    pub(crate) fn send(&mut self, requests: &[Words]) {
        let bytes: Vec<u8> = requests.iter().flat_map(|words| encode(words)).collect();
        self.reader.get_mut().write_all(&bytes).unwrap();
    }

    pub(crate) fn call(&mut self, words: &[impl AsRef<[u8]>]) -> Node {
        self.reader.get_mut().write_all(&encode(words)).unwrap();
        self.read()
    }

    /// As `call`, of a line without quotes.
    pub(crate) fn run(&mut self, line: &str) -> Node {
        self.call(&line.split(' ').collect::<Vec<_>>())
    }

    pub(crate) fn read(&mut self) -> Node {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).unwrap();
        assert!(line.ends_with(b"\r\n"), "the end within {}", show(&line));
        let (kind, rest) = (line[0], line[1..line.len() - 2].to_vec());
        let length = || {
            let digits = String::from_utf8(rest.clone()).unwrap();
            let length: i64 = digits.parse().unwrap();
            usize::try_from(length).ok()
        };
        match kind {
            b'$' | b'=' | b'!' => match length() {
                Some(length) => Node::text(kind, self.read_bytes(length)),
                None => Node::text(NULL_BULK, Vec::new()),
            },
            b'*' | b'~' | b'>' | b'%' => {
                let factor = if kind == b'%' { 2 } else { 1 };
                match length() {
                    Some(length) => Node {
                        kind,
                        text: Vec::new(),
                        children: (0..length * factor).map(|_| self.read()).collect(),
                    },
                    None => Node::text(NULL_ARRAY, Vec::new()),
                }
            }
            b'+' | b'-' | b':' | b',' | b'#' | b'_' | b'(' => Node::text(kind, rest),
            _ => panic!("not a reply: {}", show(&line)),
        }
    }

    fn read_bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length + 2];
        self.reader.read_exact(&mut bytes).unwrap();
        assert!(bytes.ends_with(b"\r\n"));
        bytes.truncate(length);
        bytes
    }
}
