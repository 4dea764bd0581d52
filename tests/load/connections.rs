//! Many connections: what an idle one costs, and that many may be busy at once.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::measure::{info, mebibytes, raise_descriptor_limit, row};
use crate::support::client::{Client, encode};
use crate::support::process::Process;

const CONNECTIONS: usize = 10_000;
const ACTIVE: usize = 1_000;
/// What an idle connection may take up.
const IDLE_BYTES_MAX: u64 = 20 * 1024;

/// What it may after it was used for something large: its buffers are kept up to a size.
const KEPT_BYTES_MAX: u64 = 48 * 1024;
/// When the allocator has returned to the system what it does not keep.
const SETTLED: Duration = Duration::from_secs(4);

/// Something that each connection does before it is idle.
struct Stage {
    what: &'static str,
    request: Vec<u8>,
    reply: Vec<u8>,
    bytes_max: u64,
}

fn stages() -> Vec<Stage> {
    let stage = |what, request, reply: &str, bytes_max| Stage {
        what,
        request,
        reply: reply.as_bytes().to_vec(),
        bytes_max,
    };
    let value = "x".repeat(4_000);
    let large = "x".repeat(100_000);
    let mut many = vec!["DEL".to_owned()];
    many.extend((0..1_000).map(|number| format!("key:{number}")));
    let multi = [&["MULTI"][..], &["HLEN", "k2"], &["EXEC"]].map(encode);
    let script = ["EVAL", "return redis.call('STRLEN', KEYS[1])", "1", "k"];
    vec![
        stage("a PING", encode(&["PING"]), "+PONG\r\n", IDLE_BYTES_MAX),
        stage(
            "a value",
            encode(&["SET", "k", &value]),
            "+OK\r\n",
            IDLE_BYTES_MAX,
        ),
        stage("a script", encode(&script), ":4000\r\n", IDLE_BYTES_MAX),
        stage(
            "a MULTI",
            multi.concat(),
            "+OK\r\n+QUEUED\r\n*1\r\n:0\r\n",
            IDLE_BYTES_MAX,
        ),
        stage("1,000 keys", encode(&many), ":0\r\n", KEPT_BYTES_MAX),
        stage(
            "100 kB",
            encode(&["ECHO", &large]),
            &format!("$100000\r\n{large}\r\n"),
            KEPT_BYTES_MAX,
        ),
    ]
}

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
    let mut failures = Vec::new();
    for Stage {
        what,
        request,
        reply,
        bytes_max,
    } in stages()
    {
        for some in streams.chunks_mut(ACTIVE / 10) {
            ask(some, &request, &reply);
        }
        std::thread::sleep(SETTLED);
        let bytes = server.resident_bytes();
        let each = bytes.saturating_sub(base_bytes) / CONNECTIONS as u64;
        row(&[
            &CONNECTIONS.to_string(),
            what,
            &mebibytes(bytes),
            &each.to_string(),
        ]);
        if each > bytes_max {
            failures.push(format!("{each} bytes after {what}"));
        }
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
    assert!(failures.is_empty(), "{failures:?}");
}
