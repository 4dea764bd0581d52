//! Bytes that are meant to do harm, and what must come of each.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::client::encode;

/// No attack takes longer to be answered.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What must come of an attack.
pub(crate) enum Outcome {
    /// This error as the last reply, and the end of the connection.
    Refused(&'static str),
    /// This error, as often as is said, and the connection goes on.
    Errors(&'static str, usize),
    /// Replies that end with this, and the connection goes on.
    Served(&'static str),
    /// The end of the connection without a word.
    Closed,
    /// Nothing, while more may come; the end once nothing does.
    Waits,
}

/// An attack. The repetitions are in proportion to `scale`.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    bytes: fn(scale: usize) -> Vec<u8>,
    outcome: fn(scale: usize) -> Outcome,
    /// How many bytes are sent at once; 0 is all.
    piece_bytes: usize,
}

const fn attack(
    name: &'static str,
    bytes: fn(usize) -> Vec<u8>,
    outcome: fn(usize) -> Outcome,
) -> Attack {
    Attack {
        name,
        bytes,
        outcome,
        piece_bytes: 0,
    }
}

const COUNT: &str = "-ERR Protocol error: invalid multibulk length\r\n";
const LENGTH: &str = "-ERR Protocol error: invalid bulk length\r\n";
const INLINE: &str = "-ERR Protocol error: too big inline request\r\n";

/// What is sent to a server that asks for no password.
pub(crate) const ATTACKS: &[Attack] = &[
    attack(
        "a count over the limit",
        |_| b"*2147483648\r\n".into(),
        |_| Outcome::Refused(COUNT),
    ),
    attack(
        "a negative count is an empty request",
        |_| b"*-2\r\nPING\r\n".into(),
        |_| Outcome::Served("+PONG\r\n"),
    ),
    attack(
        "a count of digits without end",
        |_| [b"*".to_vec(), vec![b'1'; 100_000]].concat(),
        |_| Outcome::Refused("-ERR Protocol error: too big mbulk count string\r\n"),
    ),
    attack(
        "a negative length",
        |_| b"*1\r\n$-5\r\n".into(),
        |_| Outcome::Refused(LENGTH),
    ),
    attack(
        "a length that overflows",
        |_| b"*1\r\n$9223372036854775808\r\n".into(),
        |_| Outcome::Refused(LENGTH),
    ),
    attack(
        "the largest length",
        |_| b"*1\r\n$9223372036854775807\r\n".into(),
        |_| Outcome::Refused(LENGTH),
    ),
    attack(
        "a length over the limit",
        |_| b"*1\r\n$536870913\r\n".into(),
        |_| Outcome::Refused(LENGTH),
    ),
    attack(
        "lengths that are announced and never come",
        |_| b"*1048576\r\n$536870912\r\nab".into(),
        |_| Outcome::Waits,
    ),
    attack(
        "a request cut short",
        |_| b"*1\r\n$5\r\nab".into(),
        |_| Outcome::Waits,
    ),
    attack(
        "a line without its end",
        |_| b"PING\r".into(),
        |_| Outcome::Waits,
    ),
    attack(
        "a header without its end",
        |_| b"*1\r".into(),
        |_| Outcome::Waits,
    ),
    attack(
        "a line without an end",
        |_| vec![b'a'; 70_000],
        |_| Outcome::Refused(INLINE),
    ),
    attack(
        "a line that is too long",
        |_| [vec![b'a'; 70_000], b"\r\n".to_vec()].concat(),
        |_| Outcome::Refused(INLINE),
    ),
    attack(
        "pushes from the client",
        |scale| b">1\r\n".repeat(100 * scale),
        |scale| Outcome::Errors("-ERR unknown command '>1', with", 100 * scale),
    ),
    attack(
        "arrays in arrays",
        |scale| b"*1\r\n".repeat(100 * scale),
        |_| Outcome::Refused("-ERR Protocol error: expected '$', got '*'\r\n"),
    ),
    attack(
        "a pipeline without a pause",
        |scale| {
            [
                encode(&["PING"]).repeat(100 * scale),
                encode(&["ECHO", "end"]),
            ]
            .concat()
        },
        |_| Outcome::Served("$3\r\nend\r\n"),
    ),
    Attack {
        piece_bytes: 1,
        ..attack(
            "byte by byte",
            |_| encode(&["ECHO", "one by one"]),
            |_| Outcome::Served("$10\r\none by one\r\n"),
        )
    },
    attack(
        "as many arguments as may be",
        |_| [b"*1048576\r\n".to_vec(), b"$1\r\na\r\n".repeat(1 << 20)].concat(),
        |_| Outcome::Errors("-ERR unknown command 'a', with", 1),
    ),
    attack(
        "a version of the protocol that there is not",
        |_| encode(&["HELLO", "99"]),
        |_| Outcome::Errors("-NOPROTO unsupported protocol version", 1),
    ),
    attack(
        "a browser",
        |_| b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET k v\r\n".into(),
        |_| Outcome::Closed,
    ),
    attack(
        "a browser's second line",
        |_| b"Host: localhost\r\nSET k v\r\n".into(),
        |_| Outcome::Closed,
    ),
    attack(
        "a handshake of TLS",
        |_| [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[0xa5; 500]].concat(),
        |_| Outcome::Waits,
    ),
    attack(
        "a handshake of TLS that looks like a line",
        |_| {
            [
                &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..],
                &[0xa5; 500],
                b"\r\n",
            ]
            .concat()
        },
        |_| Outcome::Errors("-ERR unknown command '", 1),
    ),
];

/// What is sent to a server that asks for a password, without it.
pub(crate) const BEFORE_PASSWORD: &[Attack] = &[
    attack(
        "a count over what authentication takes",
        |_| b"*11\r\n".into(),
        |_| Outcome::Refused("-ERR Protocol error: unauthenticated multibulk length\r\n"),
    ),
    attack(
        "a length over what authentication takes",
        |_| b"*2\r\n$4\r\nAUTH\r\n$16385\r\n".into(),
        |_| Outcome::Refused("-ERR Protocol error: unauthenticated bulk length\r\n"),
    ),
    attack(
        "the longest password",
        |_| encode(&["AUTH", &"x".repeat(16_384)]),
        |_| Outcome::Errors("-WRONGPASS", 1),
    ),
    attack(
        "replies without a password",
        |scale| encode(&["GET", "k"]).repeat(10 * scale),
        |scale| Outcome::Errors("-NOAUTH", 10 * scale),
    ),
];

/// Makes an attack, and panics unless its outcome is what it must be.
pub(crate) fn run(attack: &Attack, address: SocketAddr, scale: usize) {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let bytes = (attack.bytes)(scale);
    let mut writer = stream.try_clone().unwrap();
    let piece_bytes = if attack.piece_bytes == 0 {
        bytes.len()
    } else {
        attack.piece_bytes
    };
    // What is refused may not be read to its end, so that a write fails.
    let sender = thread::spawn(move || {
        for piece in bytes.chunks(piece_bytes) {
            if writer.write_all(piece).is_err() {
                return;
            }
        }
        let _ = writer.shutdown(Shutdown::Write);
    });
    let replies = read_all(stream);
    sender.join().unwrap();
    check(attack, &replies, scale);
}

/// All until the end, which is in some cases a reset.
fn read_all(mut stream: TcpStream) -> Vec<u8> {
    let (mut replies, mut buffer) = (Vec::new(), [0; 64 * 1024]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return replies,
            Ok(read) => replies.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return replies,
            Err(error) => panic!("no end: {error}"),
        }
    }
}

fn check(attack: &Attack, replies: &[u8], scale: usize) {
    let name = attack.name;
    let text = String::from_utf8_lossy(replies);
    let tail: String = text
        .chars()
        .rev()
        .take(200)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    match (attack.outcome)(scale) {
        Outcome::Refused(error) => assert_eq!(text, error, "{name}"),
        Outcome::Served(end) => {
            assert!(
                text.ends_with(end) && !text.contains("-ERR"),
                "{name}: {tail}"
            );
        }
        Outcome::Errors(begin, count) => {
            assert_eq!(text.matches(begin).count(), count, "{name}: {tail}");
            assert_eq!(text.lines().count(), count, "{name}: {tail}");
        }
        Outcome::Closed | Outcome::Waits => assert_eq!(text, "", "{name}"),
    }
}
