//! The rows of the table: what is run, and what it has to come to.

use std::time::Duration;

use crate::load::Until;
use crate::metric::{Bar, Metric};
use crate::template::Template;

const INCR: &str = include_str!("../../benches/scripts/incr.lua");
const RATE_LIMITER: &str = include_str!("../../benches/scripts/rate_limiter.lua");
const HOT_KEY: &str = include_str!("../../benches/scripts/hot_key.lua");
const LONG_READS: &str = include_str!("../../benches/scripts/long_reads.lua");

/// How large the keyspace is that plain reads and writes draw from.
const KEYS: u64 = 1_000_000;
const LARGE: u64 = 1_000_000;
const FILL_KEYS: &str = "SET key:{seq} {v64}";
const FILL_HASH: &str = "HSET big field:{seq} {v16}";
const FILL_SORTED_SET: &str = "ZADD big {seq} member:{seq}";
const FILL_LIST: &str = "RPUSH big {v16}";
const RATE_LIMITER_CALL: &str =
    "EVALSHA {sha} 2 window:{10000} counts:{10000} 1000 100 {1000000000}";

const EXCLUSIVE: &[&str] = &["--default_lua_flags=allow-undeclared-keys"];
const OPTIMISTIC: &[&str] = &[
    "--default_lua_flags=allow-undeclared-keys",
    "--undeclared_keys=optimistic",
];
const DIRECT: &[&str] = &["--default_lua_flags=disable-atomicity"];
const ONE_THREAD: &[&str] = &["--threads=1"];

/// What a row does.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Connections that wait for their replies.
    Closed(Closed),
    /// Connections to which requests come on a schedule.
    Open(Open),
    /// What entries take up.
    Memory(Filled),
    /// From the process's beginning to its first reply.
    Start,
}

/// An operation that is run so many times: each makes an entry.
#[derive(Clone, Debug)]
pub(crate) struct Filled {
    pub(crate) operation: String,
    pub(crate) entries: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Closed {
    /// See [`crate::template::Template`]; `{sha}` is the script's.
    pub(crate) operation: String,
    pub(crate) script: Option<&'static str>,
    /// What is run before, so many times.
    pub(crate) fill: Vec<(String, u64)>,
    pub(crate) connections: usize,
    pub(crate) pipeline: u64,
    pub(crate) threads: usize,
    pub(crate) until: Until,
    /// A snapshot is held on another connection, by servers that know of any.
    pub(crate) holds_snapshot: bool,
    /// Connections that run this script back to back meanwhile, and how many.
    pub(crate) long_scripts: Option<(usize, &'static str)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// As in [`Closed`].
    pub(crate) operation: String,
    /// So many of them come due at once, on one connection.
    pub(crate) pipeline: usize,
    pub(crate) fill: Vec<(String, u64)>,
    pub(crate) connections: usize,
    /// Operations that come due in a second.
    pub(crate) rate: u32,
    pub(crate) duration: Duration,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) work: Work,
    /// What Darter is started with; other servers have no such options, or call them so as well.
    pub(crate) options: &'static [&'static str],
    /// What is shown of it.
    pub(crate) bars: Vec<Bar>,
}

fn closed(operation: &str, pipeline: u64, operations: u64) -> Closed {
    Closed {
        operation: operation.into(),
        script: None,
        fill: Vec::new(),
        connections: 50,
        pipeline,
        threads: 1,
        until: Until::Operations(operations),
        holds_snapshot: false,
        long_scripts: None,
    }
}

impl Closed {
    fn after(mut self, operation: &str, times: u64) -> Closed {
        self.fill.push((operation.into(), times));
        self
    }

    fn script(self, body: &'static str) -> Closed {
        Closed {
            script: Some(body),
            ..self
        }
    }

    fn row(self, name: impl Into<String>, bars: &[Bar]) -> Row {
        Row {
            name: name.into(),
            work: Work::Closed(self),
            options: &[],
            bars: bars.to_vec(),
        }
    }
}

impl Row {
    fn with(self, options: &'static [&'static str]) -> Row {
        Row { options, ..self }
    }
}

fn rate(must: f64, aim: f64) -> Bar {
    Bar::ratio(Metric::Rate, must, aim)
}

fn cpu(must: f64, aim: f64) -> Bar {
    Bar::ratio(Metric::CpuMicros, must, aim)
}

const CPU: Bar = Bar::shown(Metric::CpuMicros);
const TAIL_SHOWN: Bar = Bar::shown(Metric::P999);
const TAIL: Bar = Bar::ratio(Metric::P999, 1.0, 0.7);

/// Reads and writes of a million keys.
fn points(rows: &mut Vec<Row>) {
    let load = |operation, pipeline, operations| {
        closed(operation, pipeline, operations).after(FILL_KEYS, KEYS)
    };
    let (get, set) = ("GET key:{1000000}", "SET key:{1000000} {v64}");
    rows.extend([
        load(get, 1, 100_000).row("GET, P1", &[rate(1.0, 1.3), CPU]),
        load(set, 1, 100_000).row("SET, P1", &[rate(1.0, 1.3), CPU]),
    ]);
    for (name, operation) in [("GET", get), ("SET", set)] {
        let load = Closed {
            connections: 100,
            threads: 2,
            ..load(operation, 1, 150_000)
        };
        let name = format!("{name}, P1, one server thread, 100 clients");
        rows.push(load.row(name, &[cpu(1.0, 0.8)]).with(ONE_THREAD));
    }
    rows.extend([
        load(get, 16, 1_000_000).row("GET, P16", &[rate(1.5, 2.2), cpu(0.65, 0.4), TAIL_SHOWN]),
        load(set, 16, 1_000_000).row("SET, P16", &[rate(1.4, 2.0), CPU, TAIL_SHOWN]),
        load(get, 100, 2_000_000).row("GET, P100", &[rate(3.0, 5.0), CPU]),
        load(set, 100, 2_000_000).row("SET, P100", &[rate(2.0, 3.0), CPU]),
    ]);
}

/// As many as a server may be asked that is not full: its tail says nothing of one that is.
const SCHEDULED_RATE: u32 = 200_000;

/// The same reads and writes on a schedule.
fn scheduled_points(rows: &mut Vec<Row>) {
    for (name, operation) in [
        ("GET", "GET key:{1000000}"),
        ("SET", "SET key:{1000000} {v64}"),
    ] {
        rows.push(Row {
            name: format!("{name}, P16, 200,000 a second come due"),
            work: Work::Open(Open {
                operation: operation.into(),
                pipeline: 16,
                fill: vec![(FILL_KEYS.into(), KEYS)],
                connections: 50,
                rate: SCHEDULED_RATE,
                duration: Duration::from_secs(10),
            }),
            options: &[],
            bars: vec![TAIL, Bar::shown(Metric::P50), CPU],
        });
    }
}

/// Name, operation, and operations for each reply of a pipeline: large replies want fewer.
const DEFAULTS: &[(&str, &str, u64)] = &[
    ("PING_INLINE", "!PING", 1),
    ("PING_MBULK", "PING", 1),
    ("SET", "SET key:{100000} {v64}", 1),
    ("GET", "GET key:{100000}", 1),
    ("INCR", "INCR counter:{100000}", 1),
    ("LPUSH", "LPUSH mylist {v64}", 1),
    ("RPUSH", "RPUSH mylist {v64}", 1),
    ("LPOP", "LPOP mylist", 1),
    ("RPOP", "RPOP mylist", 1),
    ("SADD", "SADD myset element:{100000}", 1),
    ("HSET", "HSET myhash element:{100000} {v64}", 1),
    ("SPOP", "SPOP myset", 1),
    ("ZADD", "ZADD myzset {100000} element:{100000}", 1),
    ("ZPOPMIN", "ZPOPMIN myzset", 1),
    ("LRANGE_100", "LRANGE mylist 0 99", 4),
    ("LRANGE_300", "LRANGE mylist 0 299", 10),
    ("LRANGE_500", "LRANGE mylist 0 449", 16),
    ("LRANGE_600", "LRANGE mylist 0 599", 20),
    (
        "MSET",
        "MSET key:{100000} {v64} key:{100000} {v64} key:{100000} {v64} key:{100000} {v64} \
         key:{100000} {v64} key:{100000} {v64} key:{100000} {v64} key:{100000} {v64} \
         key:{100000} {v64} key:{100000} {v64}",
        5,
    ),
];

/// The commands that redis-benchmark runs if it is not told otherwise.
fn defaults(rows: &mut Vec<Row>) {
    for (pipeline, operations, bar) in [(1, 80_000, rate(1.0, 1.2)), (16, 640_000, rate(1.2, 1.8))]
    {
        for (name, operation, weight) in DEFAULTS {
            let operations = operations / weight;
            let load = closed(operation, pipeline, operations);
            let load = match *name {
                "GET" => load.after("SET key:{seq} {v64}", 100_000),
                // As many as are taken, so that none comes away empty.
                "LPOP" | "RPOP" => load.after("RPUSH mylist {v64}", operations),
                "SPOP" => load.after("SADD myset element:{seq}", operations),
                "ZPOPMIN" => load.after("ZADD myzset {seq} element:{seq}", operations),
                _ if name.starts_with("LRANGE") => load.after("RPUSH mylist {v3}", 1_000),
                _ => load,
            };
            rows.push(load.row(format!("default {name}, P{pipeline}"), &[bar, CPU]));
        }
    }
}

fn scripts(rows: &mut Vec<Row>) {
    let incr = |pipeline, operations| {
        closed("EVALSHA {sha} 1 key:{100000}", pipeline, operations).script(INCR)
    };
    let limiter =
        |pipeline, operations| closed(RATE_LIMITER_CALL, pipeline, operations).script(RATE_LIMITER);
    rows.extend([
        incr(1, 100_000).row("script incr, P1", &[rate(1.0, 1.3), CPU]),
        incr(16, 500_000).row("script incr, P16", &[rate(1.6, 2.5), CPU]),
        limiter(1, 60_000).row("script rate limiter, P1", &[rate(1.1, 1.3), CPU]),
        limiter(16, 150_000).row("script rate limiter, P16", &[rate(1.6, 3.0), CPU]),
    ]);
    let modes = [
        ("undeclared keys, exclusive", EXCLUSIVE, rate(0.9, 1.5)),
        ("undeclared keys, optimistic", OPTIMISTIC, rate(1.2, 2.5)),
        ("disable-atomicity", DIRECT, rate(1.5, 2.5)),
    ];
    for (mode, options, bar) in modes {
        for (pipeline, operations) in [(1, 60_000), (16, 150_000)] {
            let name = format!("script rate limiter, P{pipeline}, {mode}");
            let load = limiter(pipeline, operations);
            rows.push(load.row(name, &[bar, CPU]).with(options));
        }
    }
    let hot = closed("EVALSHA {sha} 1 hot", 1, 80_000).script(HOT_KEY);
    rows.push(hot.row(
        "script on one hot key, P1, 50 clients",
        &[rate(0.8, 1.5), CPU],
    ));
}

/// Reads beside scripts of 20,000 calls.
fn long_scripts(rows: &mut Vec<Row>) {
    let modes: [(&str, &'static [&'static str]); 4] = [
        ("optimistic", &[]),
        ("undeclared keys, exclusive", EXCLUSIVE),
        ("undeclared keys, optimistic", OPTIMISTIC),
        ("disable-atomicity", DIRECT),
    ];
    let bars = [
        rate(50.0, 100.0),
        Bar::absolute(Metric::P99, 5.0, 1.0),
        Bar::ratio(Metric::ScriptRate, 0.8, 1.5),
    ];
    for (mode, options) in modes {
        let load = Closed {
            connections: 10,
            until: Until::Elapsed(Duration::from_secs(6)),
            long_scripts: Some((4, LONG_READS)),
            ..closed("GET key:{100000}", 1, 0).after(FILL_KEYS, 100_000)
        };
        let name = format!("GET beside four long scripts, {mode}");
        rows.push(load.row(name, &bars).with(options));
    }
}

/// Values of a million elements.
fn large(rows: &mut Vec<Row>) {
    let writes = [
        ("hash", "HSET big field:{1000000} {v16}", FILL_HASH, 400_000),
        (
            "sorted set",
            "ZADD big {1000000} member:{1000000}",
            FILL_SORTED_SET,
            200_000,
        ),
        (
            "list",
            "LSET big {100000-1000000} {v16}",
            FILL_LIST,
            100_000,
        ),
    ];
    for (what, write, fill, operations) in writes {
        let load = Closed {
            holds_snapshot: true,
            ..closed(write, 16, operations).after(fill, LARGE)
        };
        let name = format!("write into a {what} of 1 M, P16, snapshot held");
        rows.push(load.row(name, &[rate(0.8, 1.5), CPU]));
    }
    let reads = [
        (
            "ZRANGE of 100 amid 1 M",
            "ZRANGE big 500000 500099",
            FILL_SORTED_SET,
            LARGE,
        ),
        (
            "LRANGE of 100 from 1 M",
            "LRANGE big 0 99",
            FILL_LIST,
            LARGE,
        ),
        (
            "HGETALL of 100",
            "HGETALL small",
            "HSET small field:{seq} {v16}",
            100,
        ),
    ];
    for (what, read, fill, elements) in reads {
        for (pipeline, operations) in [(1, 50_000), (16, 100_000)] {
            let load = closed(read, pipeline, operations).after(fill, elements);
            rows.push(load.row(format!("{what}, P{pipeline}"), &[rate(1.0, 1.5), CPU]));
        }
    }
}

const READ: Bar = Bar::ratio(Metric::Rate, 1.0, 1.5);
const WRITE: Bar = Bar::ratio(Metric::Rate, 0.8, 1.5);

/// A large value: what fills it, how often, and what is done to single elements of it.
struct Whole {
    what: &'static str,
    fill: &'static str,
    times: u64,
    /// Name, operation and bar; an operation may be two requests.
    operations: &'static [(&'static str, &'static str, Bar)],
}

const WHOLES: [Whole; 6] = [
    Whole {
        what: "a string of 1 MB",
        fill: "APPEND big {v1000}",
        times: 1_000,
        operations: &[
            (
                "read of 16 bytes from",
                "GETRANGE big {1000-9999}00 {=}15",
                READ,
            ),
            (
                "write of 16 bytes into",
                "SETRANGE big {1000-9999}00 {v16}",
                WRITE,
            ),
        ],
    },
    Whole {
        what: "a list of 1 M",
        fill: FILL_LIST,
        times: LARGE,
        operations: &[
            (
                "read amid the first 1,000 of",
                "LINDEX big {100-1000}",
                READ,
            ),
            (
                "push and pop at the head of",
                "LPUSH big {v16} ; LPOP big",
                WRITE,
            ),
            (
                "push and pop at the tail of",
                "RPUSH big {v16} ; RPOP big",
                WRITE,
            ),
        ],
    },
    Whole {
        what: "a hash of 1 M",
        fill: FILL_HASH,
        times: LARGE,
        operations: &[
            ("read from", "HGET big field:{1000000}", READ),
            (
                "add and remove in",
                "HSET big new:{seq} {v16} ; HDEL big new:{seq}",
                WRITE,
            ),
        ],
    },
    Whole {
        what: "a set of 1 M",
        fill: "SADD big member:{seq}",
        times: LARGE,
        operations: &[
            ("read from", "SISMEMBER big member:{1000000}", READ),
            (
                "add and remove in",
                "SADD big new:{seq} ; SREM big new:{seq}",
                WRITE,
            ),
        ],
    },
    Whole {
        what: "a sorted set of 1 M",
        fill: FILL_SORTED_SET,
        times: LARGE,
        operations: &[
            ("read from", "ZSCORE big member:{1000000}", READ),
            ("rank in", "ZRANK big member:{1000000}", READ),
            (
                "add and remove in",
                "ZADD big {1000000} new:{seq} ; ZREM big new:{seq}",
                WRITE,
            ),
            (
                "add and pop the least of",
                "ZADD big {1000000} new:{seq} ; ZPOPMIN big",
                WRITE,
            ),
        ],
    },
    Whole {
        what: "a stream of 1 M",
        // An ID may have no zeros before it, hence the 1.
        fill: "XADD big 1{seq}-1 field {v16}",
        times: LARGE,
        operations: &[
            ("read from", "XRANGE big 1{1000000}-1 1{=}-1 COUNT 1", READ),
            (
                "add to and trim",
                "XADD big MAXLEN 1000000 * field {v16}",
                WRITE,
            ),
        ],
    },
];

/// Single elements of values of a million, and the end of the whole.
fn in_large(rows: &mut Vec<Row>) {
    for whole in &WHOLES {
        let filled = |load: Closed| load.after(whole.fill, whole.times);
        for (does, operation, bar) in whole.operations {
            let requests = Template::new(operation).replies();
            let load = filled(closed(operation, 16 / requests, 200_000 / requests));
            let name = format!("{does} {}, P16", whole.what);
            rows.push(load.row(name, &[*bar, CPU]));
        }
        let load = Closed {
            connections: 1,
            ..filled(closed("DEL big", 1, 1))
        };
        let bar = Bar::ratio(Metric::P50, 1.0, 0.5);
        rows.push(load.row(format!("delete of {}", whole.what), &[bar]));
    }
}

/// What values of each type take up.
fn memory(rows: &mut Vec<Row>) {
    let ten_fields: Vec<_> = (0..10)
        .map(|field| format!("field:{field} {{v16}}"))
        .collect();
    let hash = format!("HSET hash:{{seq}} {}", ten_fields.join(" "));
    let fills = [
        ("1 M keys (16 + 64 bytes)", FILL_KEYS, (1.15, 0.9)),
        ("1 M hashes of 10 fields", &hash, (1.5, 1.0)),
        ("a hash of 1 M", FILL_HASH, (1.5, 1.0)),
        ("a sorted set of 1 M", FILL_SORTED_SET, (1.5, 1.0)),
        ("a list of 1 M", FILL_LIST, (1.5, 1.0)),
        (
            "1,000 streams of about 1,000",
            "XADD stream:{1000} * field {v16}",
            (1.5, 1.0),
        ),
    ];
    for (what, operation, (must, aim)) in fills {
        rows.push(Row {
            name: format!("memory of {what}"),
            work: Work::Memory(Filled {
                operation: operation.into(),
                entries: LARGE,
            }),
            options: &[],
            bars: vec![Bar::ratio(Metric::BytesPerEntry, must, aim)],
        });
    }
}

/// All rows.
pub(crate) fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    points(&mut rows);
    scheduled_points(&mut rows);
    defaults(&mut rows);
    scripts(&mut rows);
    long_scripts(&mut rows);
    large(&mut rows);
    in_large(&mut rows);
    memory(&mut rows);
    rows.push(Row {
        name: "start".into(),
        work: Work::Start,
        options: &[],
        bars: vec![Bar::absolute(Metric::StartMs, 50.0, 15.0)],
    });
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_fit_into_a_table() {
        let rows = all();
        let mut names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
        assert!(names.iter().all(|name| !name.contains('|')));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn whoever_names_a_script_has_one() {
        for row in all() {
            if let Work::Closed(closed) = row.work {
                let names = closed.operation.contains("{sha}");
                assert_eq!(names, closed.script.is_some(), "{}", row.name);
            }
        }
    }
}
