//! Many connections: what an idle one costs, and that many may be busy at once.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use crate::measure::{info, mebibytes, raise_descriptor_limit, row};
use crate::support::client::{Client, encode};
use crate::support::process::Process;

const CONNECTIONS: usize = 10_000;
const ACTIVE: usize = 1_000;
/// What an idle connection may take up.
const IDLE_BYTES_MAX: u64 = 20 * 1024;

/// Sends a request on each, then reads each one's reply.
fn ask(streams: &mut [TcpStream], request: &[u8], reply: &[u8]) {
    for stream in streams.iter_mut() {
        stream.write_all(request).unwrap();
    }
    let mut read = vec![0; reply.len()];
    for stream in streams {
        stream.read_exact(&mut read).unwrap();
        assert_eq!(read, reply, "{}", String::from_utf8_lossy(&read));
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

#[test]
#[ignore = "load: `just load connections`"]
fn connections() {
    raise_descriptor_limit();
    let server = Process::start(&["--maxclients", "11000"], &[]);
    let mut observer = Client::connect(server.address);
    observer.run("PING");
    let base_bytes = server.resident_bytes();
    row(&["connections", "what", "resident", "bytes each"]);
    row(&["1", "start", &mebibytes(base_bytes), ""]);
    let mut streams: Vec<_> = (0..CONNECTIONS).map(|_| connect(server.address)).collect();
    let mut each_bytes = Vec::new();
    let script = encode(&["EVAL", "return redis.call('GET', KEYS[1])", "1", "k"]);
    let value = "x".repeat(4_000);
    let large = "x".repeat(100_000);
    let stages: [(&str, Vec<u8>, Vec<u8>); 5] = [
        ("a PING each", encode(&["PING"]), b"+PONG\r\n".into()),
        (
            "a value each",
            encode(&["SET", "k", &value]),
            b"+OK\r\n".into(),
        ),
        (
            "a script each",
            script,
            format!("${}\r\n{value}\r\n", value.len()).into(),
        ),
        (
            "100 kB each",
            encode(&["ECHO", &large]),
            format!("$100000\r\n{large}\r\n").into(),
        ),
        (
            "an EXEC each",
            [
                encode(&["MULTI"]),
                encode(&["INCR", "n"]),
                encode(&["DISCARD"]),
            ]
            .concat(),
            b"+OK\r\n+QUEUED\r\n+OK\r\n".into(),
        ),
    ];
    for (what, request, reply) in stages {
        for some in streams.chunks_mut(ACTIVE / 10) {
            ask(some, &request, &reply);
        }
        let bytes = server.resident_bytes();
        let each = bytes.saturating_sub(base_bytes) / CONNECTIONS as u64;
        row(&[
            &CONNECTIONS.to_string(),
            what,
            &mebibytes(bytes),
            &each.to_string(),
        ]);
        each_bytes.push((what, each));
    }
    let begin = Instant::now();
    ask(
        &mut streams[..ACTIVE],
        &encode(&["ECHO", "x"]),
        b"$1\r\nx\r\n",
    );
    let elapsed = format!("{:.1} ms", begin.elapsed().as_secs_f64() * 1e3);
    row(&[&ACTIVE.to_string(), "active at once", &elapsed, ""]);
    let connected = info(&mut observer, "clients", "connected_clients");
    assert_eq!(connected, CONNECTIONS as u64 + 1);
    for (what, bytes) in each_bytes {
        assert!(bytes <= IDLE_BYTES_MAX, "{bytes} bytes after {what}");
    }
}
