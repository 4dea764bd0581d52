//! The paths whose instructions are counted: `instructions PATH COUNT` prepares what the path needs and
//! then runs it COUNT times, on one thread and without sockets. `tests/instructions/run` runs each twice,
//! with different counts, under valgrind; what both have in common, the preparation, falls out.
//!
//! Nothing here may depend on the time or on chance: scripts are not suspended, nothing is slow, and
//! the store's clock is far ahead of the system's, so that it moves as it is told to.

mod requests;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::Waker;

use darter::config::Config;
use darter::resp::encode::{Encoder, Protocol};
use darter::resp::parser::{Limits, Parser};
use darter::resp::reply::Reply;
use darter::script::cache::sha_of;
use darter::services::Services;
use darter::session::{Progress, Session};

use requests::{encode, request};

#[global_allocator]
static ALLOCATOR: darter::memory::Allocator = darter::memory::Allocator;

/// Requests of a path that take turns.
const REQUESTS: usize = 1_000;
/// A slice that does not end.
const NO_SLICES_NS: u64 = 3_600_000_000_000;
/// The first millisecond of 2100.
const BEGIN_MS: u64 = 4_102_444_800_000;
/// Between two requests: the rate limiter admits all of them and forgets as many.
const STEP_MS: u64 = 20;

const INCR: &str = include_str!("scripts/incr.lua");
const RATE_LIMITER: &str = include_str!("scripts/rate_limiter.lua");

/// Runs a path so many times.
type Run = fn(u64);

/// What is run, by its name.
const PATHS: &[(&str, Run)] = &[
    ("get", get),
    ("set", set),
    ("incr", incr),
    ("hset", hset),
    ("zadd", zadd),
    ("lpush", lpush),
    ("evalsha-incr", evalsha_incr),
    ("rate-limiter", rate_limiter),
    ("transaction-of-two-keys", transaction),
    ("snapshot-read", snapshot_read),
    ("parser", parser),
    ("reply", reply),
];

fn key(number: usize) -> String {
    format!("key:{number:012}")
}

/// A session driven as a connection drives it, without a socket.
struct Driver {
    services: Arc<Services>,
    session: Session,
    now_ms: u64,
}

impl Driver {
    fn new() -> Driver {
        darter::script::set_slice_ns(NO_SLICES_NS);
        let services = Arc::new(Services::new(Config::new(1, 1)));
        let client = services.clients.add("count".into(), "count".into(), 0);
        let session = Session::new(&services, &services.stats.join(), client);
        let mut driver = Driver {
            services,
            session,
            now_ms: BEGIN_MS,
        };
        driver.send(&request("CONFIG SET slowlog-log-slower-than -1"));
        driver
    }

    fn send(&mut self, request: &[u8]) {
        self.now_ms += STEP_MS;
        self.services.store.set_time(self.now_ms);
        self.session.input().extend_from_slice(request);
        while self.session.process(Waker::noop()) != Progress::Idle {}
        let output = &mut self.session.output;
        assert_ne!(black_box(&*output).first(), Some(&b'-'), "an error");
        output.clear();
    }

    /// One key with 64 bytes for each request.
    fn fill(&mut self) {
        let value = "v".repeat(64);
        for number in 0..REQUESTS {
            self.send(&encode(&["SET", &key(number), &value]));
        }
    }

    /// Loads a script and returns its SHA-1, as text.
    fn load(&mut self, body: &str) -> String {
        self.send(&encode(&["SCRIPT", "LOAD", body]));
        String::from_utf8_lossy(&sha_of(body.as_bytes())).into_owned()
    }

    fn run(&mut self, count: u64, request: impl Fn(usize) -> Vec<u8>) {
        let requests: Vec<_> = (0..REQUESTS).map(request).collect();
        for request in requests.iter().cycle().take(count as usize) {
            self.send(request);
        }
    }
}

fn get(count: u64) {
    let mut driver = Driver::new();
    driver.fill();
    driver.run(count, |number| request(&format!("GET {}", key(number))));
}

fn set(count: u64) {
    let mut driver = Driver::new();
    driver.fill();
    let value = "w".repeat(64);
    driver.run(count, |number| encode(&["SET", &key(number), &value]));
}

fn incr(count: u64) {
    Driver::new().run(count, |number| request(&format!("INCR {}", key(number))));
}

/// A field of a small hash, with another value than before.
fn hset(count: u64) {
    let mut driver = Driver::new();
    for number in 0..REQUESTS {
        let (hash, field) = (number % 50, number / 50);
        driver.send(&request(&format!("HSET hash:{hash} field:{field} 1000")));
    }
    driver.run(count, |number| {
        let (hash, field) = (number % 50, number / 50 % 10);
        request(&format!("HSET hash:{hash} field:{field} {}", 1000 + number))
    });
}

/// A member of a small sorted set, with another score than before.
fn zadd(count: u64) {
    let mut driver = Driver::new();
    for number in 0..REQUESTS {
        let (set, member) = (number % 50, number / 50);
        driver.send(&request(&format!("ZADD set:{set} 1000 member:{member}")));
    }
    driver.run(count, |number| {
        let (set, member) = (number % 50, number / 50 % 10);
        request(&format!("ZADD set:{set} {} member:{member}", 1000 + number))
    });
}

fn lpush(count: u64) {
    Driver::new().run(count, |number| {
        request(&format!("LPUSH list:{} element-{number:04}", number % 10))
    });
}

fn evalsha_incr(count: u64) {
    let mut driver = Driver::new();
    let sha = driver.load(INCR);
    driver.run(count, |number| {
        request(&format!("EVALSHA {sha} 1 {}", key(number)))
    });
}

fn rate_limiter(count: u64) {
    let mut driver = Driver::new();
    let sha = driver.load(RATE_LIMITER);
    driver.run(count, |number| {
        request(&format!(
            "EVALSHA {sha} 2 window counts 1000 100 {number:04}"
        ))
    });
}

fn transaction(count: u64) {
    Driver::new().run(count, |number| {
        let other = (number + REQUESTS / 2) % REQUESTS;
        let lines = [
            "MULTI".into(),
            format!("INCR {}", key(number)),
            format!("INCR {}", key(other)),
            "EXEC".into(),
        ];
        lines.iter().flat_map(|line| request(line)).collect()
    });
}

fn snapshot_read(count: u64) {
    let mut driver = Driver::new();
    driver.fill();
    driver.send(&request("SNAPSHOT BEGIN"));
    driver.run(count, |number| request(&format!("GET {}", key(number))));
}

/// A request of a pipeline of a hundred.
fn parser(count: u64) {
    const PIPELINE: u64 = 100;
    let value = "v".repeat(64);
    let pipeline: Vec<u8> = (0..PIPELINE as usize)
        .flat_map(|number| encode(&["SET", &key(number), &value]))
        .collect();
    let limits = Limits {
        bulk_bytes_max: 512 << 20,
        is_authenticated: true,
    };
    for _ in 0..count / PIPELINE {
        let mut parser = Parser::new();
        while let Ok(Some(request)) = parser.next(black_box(&pipeline), limits) {
            black_box(request.arguments(&pipeline).map(<[u8]>::len).sum::<usize>());
        }
        assert_eq!(parser.consumed(), pipeline.len(), "not all was parsed");
    }
}

/// Strings, numbers and a status, eleven replies in one.
fn reply(count: u64) {
    let value = [b'v'; 64];
    let mut output = Vec::new();
    for number in 0..count {
        output.clear();
        let mut encoder = Encoder::new(&mut output, Protocol::Resp2);
        encoder.array(11);
        for at in 0..5 {
            encoder.bulk(black_box(&value));
            encoder.integer(black_box(100_000 + (number % 1000) as i64 * at));
        }
        encoder.status("OK");
        black_box(&output);
    }
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let path = words.next().unwrap_or_default();
    let count = words.next().and_then(|count| count.parse().ok());
    let known = PATHS.iter().find(|(name, _)| *name == path);
    let (Some((_, run)), Some(count)) = (known, count) else {
        use std::io::Write;
        let names: Vec<_> = PATHS.iter().map(|(name, _)| *name).collect();
        // The script reads them; if the pipe is closed, nobody does.
        let _ = writeln!(std::io::stdout(), "{}", names.join("\n"));
        return ExitCode::from(2);
    };
    run(count);
    ExitCode::SUCCESS
}
