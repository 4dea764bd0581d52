//! Each type at three sizes, through a whole session without sockets: one element read and written,
//! elements added and removed, a hundred in a row, ranks, the whole deleted; each also while another
//! connection holds a snapshot. A string has as many bytes as the others have elements.

mod requests;

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use darter::config::Config;
use darter::services::Services;
use darter::session::{Progress, Session};
use fastrand::Rng;

use requests::request;

#[global_allocator]
static ALLOCATOR: darter::memory::Allocator = darter::memory::Allocator;

const SIZES: [usize; 3] = [10, 1_000, 1_000_000];
/// Rounds of an operation that take turns.
const ROUNDS: usize = 1_000;
/// Elements that one request adds while a value is built.
const ELEMENTS_PER_REQUEST: usize = 1_000;
/// Elements that are read in a row.
const RANGE: usize = 100;
/// Keys that one step of the housekeeping looks at.
const KEYS_PER_STEP: usize = 1_000;

const READ: &str = "point read";
const WRITE: &str = "point write";
const ADD: &str = "add and remove";
const SPAN: &str = "range of 100";
const DELETE: &str = "delete";

/// What is done again and again.
enum Operation {
    /// One of these rounds after the other, each of requests that are sent one by one and leave as many
    /// elements as there were.
    InPlace(Vec<Vec<Vec<u8>>>),
    /// This, on a new copy each time.
    OnCopy(Vec<u8>),
}

type Operations = Vec<(&'static str, Operation)>;

/// A type.
struct Kind {
    name: &'static str,
    /// The requests that build a value of so many elements.
    build: fn(usize) -> Vec<u8>,
    /// The command that tells how many there are.
    count: &'static str,
    operations: fn(usize) -> Operations,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "string",
        build: |size| request(&format!("SET key {}", "v".repeat(size))),
        count: "STRLEN",
        operations: of_string,
    },
    Kind {
        name: "list",
        build: |size| batches(size, "RPUSH key", element),
        count: "LLEN",
        operations: of_list,
    },
    Kind {
        name: "hash",
        build: |size| batches(size, "HSET key", |n| format!("{} value", element(n))),
        count: "HLEN",
        operations: of_hash,
    },
    Kind {
        name: "set",
        build: |size| batches(size, "SADD key", element),
        count: "SCARD",
        operations: of_set,
    },
    Kind {
        name: "sorted set",
        build: |size| batches(size, "ZADD key", |n| format!("{n} {}", element(n))),
        count: "ZCARD",
        operations: of_sorted_set,
    },
    Kind {
        name: "stream",
        build: |size| {
            let entries = 1..=size;
            entries
                .flat_map(|n| request(&format!("XADD key {n}-0 field {}", element(n))))
                .collect()
        },
        count: "XLEN",
        operations: of_stream,
    },
];

fn element(number: usize) -> String {
    format!("element-{number:08}")
}

/// Requests that begin with `head` and add elements, many each.
fn batches(size: usize, head: &str, written: impl Fn(usize) -> String) -> Vec<u8> {
    let numbers: Vec<usize> = (0..size).collect();
    let requests = numbers.chunks(ELEMENTS_PER_REQUEST).flat_map(|numbers| {
        let elements: Vec<String> = numbers.iter().map(|number| written(*number)).collect();
        request(&format!("{head} {}", elements.join(" ")))
    });
    requests.collect()
}

/// Rounds of the lines that `lines` makes of numbers below `below`, drawn at random.
fn in_place<const LINES: usize>(
    below: usize,
    lines: impl Fn(usize) -> [String; LINES],
) -> Operation {
    let mut random = Rng::with_seed(1);
    let rounds = (0..ROUNDS).map(|_| {
        let lines = lines(random.usize(..below));
        lines.iter().map(|line| request(line)).collect()
    });
    Operation::InPlace(rounds.collect())
}

/// Where a range begins that does not reach beyond the end, if there are enough elements.
fn begins(size: usize) -> usize {
    size.saturating_sub(RANGE) + 1
}

fn delete() -> (&'static str, Operation) {
    (DELETE, Operation::OnCopy(request("DEL copy")))
}

fn of_string(size: usize) -> Operations {
    let range = |n: usize| [format!("GETRANGE key {n} {}", n + RANGE - 1)];
    vec![
        (READ, in_place(size, |n| [format!("GETRANGE key {n} {n}")])),
        (WRITE, in_place(size, |n| [format!("SETRANGE key {n} w")])),
        ("append", Operation::OnCopy(request("APPEND copy w"))),
        (SPAN, in_place(begins(size), range)),
        delete(),
    ]
}

fn of_list(size: usize) -> Operations {
    let range = |n: usize| [format!("LRANGE key {n} {}", n + RANGE - 1)];
    let ends = |push: &str, pop: &str| {
        in_place(size, |n| {
            [format!("{push} key {}", element(n)), format!("{pop} key")]
        })
    };
    vec![
        (READ, in_place(size, |n| [format!("LINDEX key {n}")])),
        (
            WRITE,
            in_place(size, |n| [format!("LSET key {n} {}", element(n + 1))]),
        ),
        ("push and pop at the head", ends("LPUSH", "LPOP")),
        ("push and pop at the tail", ends("RPUSH", "RPOP")),
        (SPAN, in_place(begins(size), range)),
        delete(),
    ]
}

fn of_hash(size: usize) -> Operations {
    let write = |n: usize| [format!("HSET key {} other", element(n))];
    let add = |n: usize| {
        let field = element(size + n);
        [
            format!("HSET key {field} value"),
            format!("HDEL key {field}"),
        ]
    };
    vec![
        (
            READ,
            in_place(size, |n| [format!("HGET key {}", element(n))]),
        ),
        (WRITE, in_place(size, write)),
        (ADD, in_place(size, add)),
        (
            SPAN,
            in_place(size, |_| [format!("HSCAN key 0 COUNT {RANGE}")]),
        ),
        delete(),
    ]
}

/// Nothing of a set can be written over: its writes add and remove.
fn of_set(size: usize) -> Operations {
    let add = |n: usize| {
        let member = element(size + n);
        [format!("SADD key {member}"), format!("SREM key {member}")]
    };
    vec![
        (
            READ,
            in_place(size, |n| [format!("SISMEMBER key {}", element(n))]),
        ),
        (ADD, in_place(size, add)),
        (
            SPAN,
            in_place(size, |_| [format!("SSCAN key 0 COUNT {RANGE}")]),
        ),
        delete(),
    ]
}

fn of_sorted_set(size: usize) -> Operations {
    let read = |n: usize| [format!("ZSCORE key {}", element(n))];
    // Each time another score: the member moves.
    let write = |n: usize| [format!("ZINCRBY key {size} {}", element(n))];
    let add = |n: usize| {
        let member = element(size + n);
        [
            format!("ZADD key {n} {member}"),
            format!("ZREM key {member}"),
        ]
    };
    let range = |n: usize| [format!("ZRANGE key {n} {}", n + RANGE - 1)];
    vec![
        (READ, in_place(size, read)),
        (WRITE, in_place(size, write)),
        (ADD, in_place(size, add)),
        (SPAN, in_place(begins(size), range)),
        (
            "rank",
            in_place(size, |n| [format!("ZRANK key {}", element(n))]),
        ),
        delete(),
    ]
}

/// Nothing of a stream can be written over. What is added goes to a key of its own: there the oldest
/// entries go, which the others read.
fn of_stream(size: usize) -> Operations {
    let read = |n: usize| [format!("XRANGE key {0}-0 {0}-0", n + 1)];
    let add = |n: usize| [format!("XADD grown MAXLEN = {size} * field {}", element(n))];
    let range = |n: usize| [format!("XRANGE key {}-0 + COUNT {RANGE}", n + 1)];
    vec![
        (READ, in_place(size, read)),
        ("add and trim", in_place(size, add)),
        (SPAN, in_place(begins(size), range)),
        delete(),
    ]
}

/// A value, the session that works on it, and one that may hold a snapshot.
struct Driver {
    services: Arc<Services>,
    client: Session,
    holder: Session,
}

/// Sends requests, as a connection does, and hands each piece of the replies to `read`.
fn exchange(session: &mut Session, requests: &[u8], mut read: impl FnMut(&[u8])) {
    session.input().extend_from_slice(requests);
    loop {
        let progress = session.process(Waker::noop());
        let output = &mut session.output;
        assert_ne!(output.first(), Some(&b'-'), "an error");
        read(output);
        output.clear();
        if progress == Progress::Idle {
            return;
        }
    }
}

fn send(session: &mut Session, requests: &[u8]) {
    exchange(session, requests, |output| {
        std::hint::black_box(output);
    });
}

impl Driver {
    fn new(kind: &Kind, size: usize) -> Driver {
        let services = Arc::new(Services::new(Config::new(1, 1)));
        services.read_clock();
        let session = || {
            let client = services.clients.add("bench".into(), "bench".into(), 0);
            Session::new(&services, &services.stats.join(), client)
        };
        let (client, holder) = (session(), session());
        let mut driver = Driver {
            services,
            client,
            holder,
        };
        send(&mut driver.client, &(kind.build)(size));
        let count = driver.replies(&request(&format!("{} key", kind.count)));
        assert_eq!(count, format!(":{size}\r\n").as_bytes(), "{}", kind.name);
        send(&mut driver.client, &request("COPY key grown"));
        driver
    }

    fn replies(&mut self, requests: &[u8]) -> Vec<u8> {
        let mut replies = Vec::new();
        exchange(&mut self.client, requests, |output| {
            replies.extend_from_slice(output);
        });
        replies
    }

    fn hold(&mut self, is_held: bool) {
        if is_held {
            send(&mut self.holder, &request("SNAPSHOT BEGIN"));
        }
    }

    /// Ends the snapshot, which must have stood until here.
    fn release(&mut self, is_held: bool) {
        if is_held {
            send(&mut self.holder, &request("EXISTS key"));
            send(&mut self.holder, &request("SNAPSHOT END"));
        }
    }

    /// What has been deleted is freed now, not while something else is timed.
    fn free(&self) {
        while self.services.store.maintain(KEYS_PER_STEP) {}
    }

    fn time(&mut self, operation: &Operation, is_held: bool, rounds: u64) -> Duration {
        match operation {
            Operation::InPlace(requests) => {
                self.hold(is_held);
                let begin = Instant::now();
                for request in requests.iter().cycle().take(rounds as usize).flatten() {
                    send(&mut self.client, request);
                }
                let elapsed = begin.elapsed();
                self.release(is_held);
                elapsed
            }
            Operation::OnCopy(request) => (0..rounds)
                .map(|_| self.time_on_copy(request, is_held))
                .sum(),
        }
    }

    fn time_on_copy(&mut self, timed: &[u8], is_held: bool) -> Duration {
        send(&mut self.client, &request("COPY key copy REPLACE"));
        self.hold(is_held);
        let begin = Instant::now();
        send(&mut self.client, timed);
        let elapsed = begin.elapsed();
        self.release(is_held);
        self.free();
        elapsed
    }

    /// Makes sure that what is read is there: a read that finds nothing costs less.
    fn check(&mut self, name: &str, operation: &Operation) {
        if let (READ | SPAN | "rank", Operation::InPlace(rounds)) = (name, operation) {
            for request in rounds.iter().flatten() {
                let reply = self.replies(request);
                let nothing: [&[u8]; 4] = [b"$-1\r\n", b"$0\r\n\r\n", b"*0\r\n", b"_\r\n"];
                let is_member = name != READ || reply != b":0\r\n";
                assert!(is_member && !nothing.contains(&&*reply), "{name}");
            }
        }
    }
}

fn types(criterion: &mut Criterion) {
    for kind in KINDS {
        for size in SIZES {
            let mut group = criterion.benchmark_group(format!("{}/{size}", kind.name));
            group.sampling_mode(SamplingMode::Flat);
            // Built by the first that is asked for.
            let mut driver: Option<Driver> = None;
            for (name, operation) in (kind.operations)(size) {
                let mut is_checked = false;
                for (held, is_held) in [("no snapshot", false), ("snapshot held", true)] {
                    group.bench_function(format!("{name}/{held}"), |bencher| {
                        let driver = driver.get_or_insert_with(|| Driver::new(kind, size));
                        if !std::mem::replace(&mut is_checked, true) {
                            driver.check(name, &operation);
                        }
                        bencher.iter_custom(|rounds| driver.time(&operation, is_held, rounds));
                    });
                }
            }
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .nresamples(1_000)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .without_plots();
    targets = types
}
criterion_main!(benches);
