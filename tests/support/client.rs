//! A blocking client, and replies in one text form.
//!
//! A reply is written so that RESP2, RESP3 and a script's conversions of the same reply look
//! equal, and a RESP2 client's view decides where they differ:
//! - integer: its digits; booleans of RESP3 are `1` and `0`;
//! - status and bulk string: the text itself, if it is printable without spaces and could not be
//!   taken for anything else, else in single quotes with Rust's escapes (`'10'` is a string, `10`
//!   an integer); doubles are strings;
//! - null and null array: `nil`;
//! - array, set, map, push: `[a b c]`, a map's keys and values in turn;
//! - error: its text in round brackets, `(ERR syntax error)`.

#[path = "request.rs"]
mod request;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) use request::encode;

/// No reply takes longer, so no test hangs.
const TIMEOUT: Duration = Duration::from_secs(match option_env!("SANITIZED") {
    // Everything takes several times as long.
    Some(_) => 60,
    None => 10,
});

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Null,
    Integer(i64),
    Double(String),
    Boolean(bool),
    Status(String),
    Bulk(Vec<u8>),
    Error(String),
    Array(Vec<Reply>),
    Set(Vec<Reply>),
    Map(Vec<(Reply, Reply)>),
    Push(Vec<Reply>),
}

impl Reply {
    /// The elements, whatever kind of aggregate it is.
    pub(crate) fn elements(self) -> Vec<Reply> {
        match self {
            Reply::Array(elements) | Reply::Set(elements) | Reply::Push(elements) => elements,
            Reply::Map(pairs) => pairs
                .into_iter()
                .flat_map(|(key, value)| [key, value])
                .collect(),
            other => vec![other],
        }
    }

    pub(crate) fn is_aggregate(&self) -> bool {
        matches!(
            self,
            Reply::Array(_) | Reply::Set(_) | Reply::Push(_) | Reply::Map(_)
        )
    }

    /// The text form; see the module's text.
    pub(crate) fn render(&self) -> String {
        match self {
            Reply::Null => "nil".into(),
            Reply::Integer(value) => value.to_string(),
            Reply::Boolean(value) => i64::from(*value).to_string(),
            Reply::Status(text) | Reply::Double(text) => render_text(text.as_bytes()),
            Reply::Bulk(bytes) => render_text(bytes),
            Reply::Error(text) => format!("({text})"),
            aggregate => {
                let elements = aggregate.clone().elements();
                let words: Vec<_> = elements.iter().map(Reply::render).collect();
                format!("[{}]", words.join(" "))
            }
        }
    }
}

/// A map, as a RESP2 client gets it: its fields by name.
pub(crate) fn fields(reply: Reply) -> HashMap<String, Reply> {
    let all = reply.elements();
    assert!(all.len() > 2, "{all:?}");
    let pairs = all.chunks(2);
    pairs
        .map(|pair| (pair[0].render(), pair[1].clone()))
        .collect()
}

fn render_text(bytes: &[u8]) -> String {
    let is_plain = !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !b"'()[];\\".contains(byte))
        && bytes != b"nil"
        && !bytes
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'-');
    let text = bytes.escape_ascii().to_string();
    if is_plain {
        text.replace("\\\"", "\"")
    } else {
        format!("'{}'", text.replace("\\\"", "\""))
    }
}

/// See the module's text.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            reader: BufReader::new(stream),
        }
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }

    /// Whether the server took them.
    pub(crate) fn try_send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.reader.get_mut().write_all(bytes).is_ok()
    }

    pub(crate) fn send(&mut self, arguments: &[impl AsRef<[u8]>]) {
        let bytes = encode(arguments);
        self.send_bytes(&bytes);
    }

    /// The same connection, to be written to from another thread.
    pub(crate) fn second_handle(&mut self) -> Client {
        let stream = self.reader.get_ref().try_clone().unwrap();
        Client {
            reader: BufReader::new(stream),
        }
    }

    /// Says that no request follows.
    pub(crate) fn finish_sending(&mut self) {
        let stream = self.reader.get_ref();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Whether the server has sent something that was not read yet.
    pub(crate) fn has_news(&mut self) -> bool {
        let stream = self.reader.get_ref();
        stream.set_nonblocking(true).unwrap();
        let is_there = stream.peek(&mut [0]).is_ok();
        stream.set_nonblocking(false).unwrap();
        is_there
    }

    /// Whether the server has ended the connection.
    pub(crate) fn is_at_end(&mut self) -> bool {
        match self.reader.fill_buf() {
            Ok(rest) => rest.is_empty(),
            // Told once; after it comes an ordinary end.
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// How many more bytes come before the end of the connection.
    pub(crate) fn bytes_to_end(&mut self) -> usize {
        let mut rest = Vec::new();
        // As in `is_at_end`.
        let _ = self.reader.read_to_end(&mut rest);
        rest.len()
    }

    /// Sends a command and reads its reply.
    pub(crate) fn call(&mut self, arguments: &[impl AsRef<[u8]>]) -> Reply {
        self.send(arguments);
        self.read()
    }

    /// As `call`, of one written line without quotes.
    pub(crate) fn run(&mut self, line: &str) -> Reply {
        self.call(&line.split_whitespace().collect::<Vec<_>>())
    }

    fn read_line(&mut self) -> String {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).unwrap();
        assert!(
            line.ends_with(b"\r\n"),
            "the connection ended within {line:?}"
        );
        String::from_utf8_lossy(&line[..line.len() - 2]).into_owned()
    }

    fn read_bulk(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length + 2];
        self.reader.read_exact(&mut bytes).unwrap();
        assert!(bytes.ends_with(b"\r\n"));
        bytes.truncate(length);
        bytes
    }

    fn read_many(&mut self, count: usize) -> Vec<Reply> {
        (0..count).map(|_| self.read()).collect()
    }

    pub(crate) fn read(&mut self) -> Reply {
        let line = self.read_line();
        let (kind, rest) = line.split_at(1);
        let number = || {
            rest.parse::<i64>()
                .unwrap_or_else(|_| panic!("a number in {line}"))
        };
        match kind {
            "+" => Reply::Status(rest.into()),
            "-" => Reply::Error(rest.into()),
            ":" => Reply::Integer(number()),
            "," => Reply::Double(rest.into()),
            "(" => Reply::Bulk(rest.into()),
            "#" => Reply::Boolean(rest == "t"),
            "_" => Reply::Null,
            "$" | "*" if number() < 0 => Reply::Null,
            "$" => Reply::Bulk(self.read_bulk(number() as usize)),
            "=" => Reply::Bulk(self.read_bulk(number() as usize).split_off(4)),
            "*" => Reply::Array(self.read_many(number() as usize)),
            "~" => Reply::Set(self.read_many(number() as usize)),
            ">" => Reply::Push(self.read_many(number() as usize)),
            "%" => Reply::Map((0..number()).map(|_| (self.read(), self.read())).collect()),
            _ => panic!("not a reply: {line}"),
        }
    }
}
