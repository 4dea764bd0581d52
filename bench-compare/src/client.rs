//! A client that waits for each reply: for what comes before a measurement and beside it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use fastrand::Rng;

use crate::error::Error;
use crate::replies::Replies;
use crate::template::Template;

/// No request that is sent takes longer.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Operations that are sent at once to fill a server.
const FILL_BATCH: u64 = 1_000;

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

/// A reply as far as it matters here: a text, if it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Text(String),
    Error(String),
    Other,
}

fn lost(source: std::io::Error) -> Error {
    Error::io("talking to the server")(source)
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Result<Client, Error> {
        let stream = TcpStream::connect(address).map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        stream.set_read_timeout(Some(TIMEOUT)).map_err(lost)?;
        Ok(Client {
            stream: BufReader::with_capacity(64 << 10, stream),
        })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream.get_mut().write_all(bytes).map_err(lost)
    }

    /// Sends one request and reads its reply, whatever it is.
    pub(crate) fn ask(&mut self, arguments: &[&str]) -> Result<Answer, Error> {
        let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
        for argument in arguments {
            bytes.extend_from_slice(format!("${}\r\n{argument}\r\n", argument.len()).as_bytes());
        }
        self.send(&bytes)?;
        self.read()
    }

    /// Sends one request; an error as its reply is one here.
    pub(crate) fn call(&mut self, arguments: &[&str]) -> Result<String, Error> {
        match self.ask(arguments)? {
            Answer::Text(text) => Ok(text),
            Answer::Other => Ok(String::new()),
            Answer::Error(reply) => Err(Error::Reply {
                request: arguments.join(" "),
                reply,
            }),
        }
    }

    fn read(&mut self) -> Result<Answer, Error> {
        let mut line = String::new();
        self.stream.read_line(&mut line).map_err(lost)?;
        let mut letters = line.trim_end().chars();
        let kind = letters.next();
        let rest = letters.as_str();
        match kind {
            Some('$') => {
                let Ok(length) = rest.parse::<usize>() else {
                    return Ok(Answer::Other);
                };
                let mut bytes = vec![0; length + 2];
                self.stream.read_exact(&mut bytes).map_err(lost)?;
                bytes.truncate(length);
                Ok(Answer::Text(String::from_utf8_lossy(&bytes).into_owned()))
            }
            Some('*') => {
                for _ in 0..rest.parse().unwrap_or(0) {
                    self.read()?;
                }
                Ok(Answer::Other)
            }
            Some('-') => Ok(Answer::Error(rest.to_owned())),
            Some('+' | ':') => Ok(Answer::Text(rest.to_owned())),
            _ => Err(Error::Format(format!("the reply {line:?}"))),
        }
    }

    /// Runs an operation for each number from `first` up to `end`, in large pipelines.
    pub(crate) fn fill(&mut self, text: &str, first: u64, end: u64) -> Result<(), Error> {
        let template = Template::new(text);
        let mut random = Rng::with_seed(first + 1);
        let mut replies = Replies::new();
        let mut bytes = Vec::new();
        let mut begin = first;
        while begin < end {
            let until = (begin + FILL_BATCH).min(end);
            bytes.clear();
            for number in begin..until {
                template.write(&mut bytes, &mut random, number);
            }
            self.send(&bytes)?;
            let mut missing = (until - begin) * template.replies();
            while missing > 0 {
                let read = self.stream.fill_buf().map_err(lost)?;
                if read.is_empty() {
                    return Err(lost(std::io::ErrorKind::UnexpectedEof.into()));
                }
                let length = read.len();
                missing = missing.saturating_sub(replies.feed(read));
                self.stream.consume(length);
            }
            if let Some(reply) = replies.take_error() {
                let request = text.to_owned();
                return Err(Error::Reply { request, reply });
            }
            begin = until;
        }
        Ok(())
    }

    /// A line of INFO.
    pub(crate) fn info(&mut self, section: &str, name: &str) -> Result<Option<String>, Error> {
        let text = self.call(&["INFO", section])?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.map(|value| value.trim().to_owned()))
    }
}
