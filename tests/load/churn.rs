//! Connections that come and go without end: nothing of them may stay.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::measure::{comes_true, info, mebibytes, raise_descriptor_limit, row, seconds};
use crate::support::client::Client;
use crate::support::process::Process;

const PER_SECOND: u32 = 1_000;
/// Connections open at any time.
const OPEN: usize = 500;
/// What the allocator and the counters may add while it goes on.
const SLACK_BYTES: u64 = 8 << 20;

/// A connection from one of many addresses, so that ports that rest do not run out.
fn connect(number: u32, address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let [_, _, high, low] = (number % 60_000).to_be_bytes();
    let own = IpAddr::V4(Ipv4Addr::new(127, 1, high, low.max(1)));
    socket.bind(&SocketAddr::new(own, 0).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    socket.into()
}

/// Ends a connection in one of the ways that clients have.
fn end(number: u32, mut stream: TcpStream) {
    match number % 4 {
        // Asks for the end.
        0 => stream.write_all(b"QUIT\r\n").unwrap(),
        // Goes in the middle of a request.
        1 => stream.write_all(b"*2\r\n$3\r\nGET\r\n").unwrap(),
        // Is cut off, with a reply unread.
        2 => {
            stream.write_all(b"MULTI\r\nSET k v\r\nINFO\r\n").unwrap();
            let socket = socket2::SockRef::from(&stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
        // Just goes, blocked.
        _ => stream.write_all(b"BLPOP nothing 0\r\n").unwrap(),
    }
}

#[test]
#[ignore = "load: `just load churn [SECONDS]`"]
fn churn() {
    raise_descriptor_limit();
    let length = seconds(20);
    let server = Process::start(&["--maxclients", "5000"], &[]);
    let mut observer = Client::connect(server.address);
    observer.run("PING");
    let base_descriptors = server.descriptors();
    row(&["second", "connections", "resident", "descriptors"]);
    let begin = Instant::now();
    let mut open = VecDeque::new();
    let mut early_bytes = None;
    let mut rows = 0;
    let mut number = 0_u32;
    while begin.elapsed() < length {
        let stream = connect(number, server.address);
        open.push_back((number, stream));
        let (_, stream) = open.back_mut().unwrap();
        stream.write_all(b"PING\r\n").unwrap();
        let mut pong = [0; 7];
        stream.read_exact(&mut pong).unwrap();
        assert_eq!(&pong, b"+PONG\r\n");
        if open.len() > OPEN {
            let (old, stream) = open.pop_front().unwrap();
            end(old, stream);
        }
        number += 1;
        let due = begin + Duration::from_secs(1) * number / PER_SECOND;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if begin.elapsed() >= length * rows / 10 {
            let bytes = server.resident_bytes();
            let second = format!("{:.0}", begin.elapsed().as_secs_f64());
            let descriptors = server.descriptors().to_string();
            row(&[
                &second,
                &number.to_string(),
                &mebibytes(bytes),
                &descriptors,
            ]);
            if rows == 3 {
                early_bytes = Some(bytes);
            }
            rows += 1;
        }
    }
    let rate = f64::from(number) / begin.elapsed().as_secs_f64();
    let late_bytes = server.resident_bytes();
    drop(open);
    let are_gone = comes_true(Duration::from_secs(10), || {
        server.descriptors() <= base_descriptors
    });
    row(&[
        "end",
        &number.to_string(),
        &mebibytes(late_bytes),
        &server.descriptors().to_string(),
    ]);
    assert!(
        rate > f64::from(PER_SECOND) * 0.9,
        "{rate:.0} a second only"
    );
    assert!(
        are_gone,
        "{} descriptors, {base_descriptors} before",
        server.descriptors()
    );
    assert_eq!(info(&mut observer, "clients", "connected_clients"), 1);
    assert_eq!(info(&mut observer, "clients", "blocked_clients"), 0);
    let bar_bytes = early_bytes.unwrap() + SLACK_BYTES;
    assert!(
        late_bytes <= bar_bytes,
        "{late_bytes} resident bytes, over {bar_bytes}"
    );
}
