//! The flag modes side by side, on the same scripts, through whole sessions without sockets:
//! four scripts × keys of each thread's own or one hot key × one thread or two.

#[allow(dead_code, reason = "other benches use the rest")]
mod requests;

use std::hint::black_box;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use darter::config::Config;
use darter::services::Services;
use darter::session::{Progress, Session};

#[global_allocator]
static ALLOCATOR: darter::memory::Allocator = darter::memory::Allocator;

const MODES: &[(&str, &str)] = &[
    ("optimistic", ""),
    ("exclusive", "#!lua flags=allow-undeclared-keys\n"),
    ("direct", "#!lua flags=disable-atomicity\n"),
    (
        "direct-undeclared",
        "#!lua flags=allow-undeclared-keys,disable-atomicity\n",
    ),
];

/// A script, how many keys it takes, and how many runs of it make one measured round.
const SCRIPTS: &[(&str, &str, usize, u64)] = &[
    ("incr", "return redis.call('INCR', KEYS[1])", 1, 1),
    (
        "rate-limiter",
        "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) \
         redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 1000) \
         if redis.call('ZCARD', KEYS[1]) < 100 then \
         redis.call('ZADD', KEYS[1], now, now .. ':' .. math.random(1000)) \
         redis.call('PEXPIRE', KEYS[1], 1000) redis.call('HINCRBY', KEYS[2], 'allowed', 1) \
         return 1 end redis.call('HINCRBY', KEYS[2], 'denied', 1) return 0",
        2,
        1,
    ),
    (
        "read-10-write-2",
        "local n = 0 for i = 1, 10 do n = n + (tonumber(redis.call('GET', KEYS[i]) or 0)) end \
         redis.call('SET', KEYS[1], n % 1000) redis.call('SET', KEYS[2], n % 7) return n",
        10,
        1,
    ),
    (
        "20000-calls",
        "local n = 0 for i = 1, 20000 do n = n + #(redis.call('GET', KEYS[1]) or '') end return n",
        1,
        1,
    ),
];

/// A session driven as a connection drives it, without a socket.
struct Driver(Session);

impl Driver {
    fn new(services: &Arc<Services>) -> Driver {
        let client = services.clients.add("bench".into(), "bench".into(), 0);
        Driver(Session::new(services, &services.stats.join(), client))
    }

    fn run(&mut self, request: &[u8]) {
        self.0.input().extend_from_slice(request);
        // Another session holds what this one waits for: it goes on on its own thread.
        while self.0.process(Waker::noop()) != Progress::Idle {
            std::thread::yield_now();
        }
        assert_ne!(black_box(&self.0.output).first(), Some(&b'-'), "an error");
        self.0.output.clear();
    }
}

fn request(body: &str, keys: usize, prefix: &str) -> Vec<u8> {
    let mut arguments = vec!["EVAL".to_owned(), body.to_owned(), keys.to_string()];
    arguments.extend((0..keys).map(|key| format!("{prefix}:{key}")));
    requests::encode(&arguments)
}

/// The time that `threads` take for `rounds` runs each.
fn timed(body: &str, keys: usize, is_hot: bool, threads: usize, rounds: u64) -> Duration {
    let services = Arc::new(Services::new(Config::new(1, threads)));
    services.read_clock();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let services = &services;
            scope.spawn(move || {
                let prefix = if is_hot {
                    "hot".into()
                } else {
                    format!("own-{thread}")
                };
                let request = request(body, keys, &prefix);
                let mut driver = Driver::new(services);
                for _ in 0..rounds {
                    driver.run(&request);
                }
            });
        }
    });
    begin.elapsed()
}

fn flag_modes(criterion: &mut Criterion) {
    for (script, body, keys, runs) in SCRIPTS {
        for (what, is_hot) in [("disjoint", false), ("hot", true)] {
            for threads in [1, 2] {
                let mut group = criterion.benchmark_group(format!("{script}/{what}/{threads}"));
                group
                    .sample_size(10)
                    .measurement_time(Duration::from_secs(1));
                group.warm_up_time(Duration::from_millis(200));
                group.throughput(Throughput::Elements(runs * threads as u64));
                for (mode, header) in MODES {
                    let body = format!("{header}{body}");
                    group.bench_function(BenchmarkId::from_parameter(mode), |bencher| {
                        bencher.iter_custom(|rounds| timed(&body, *keys, is_hot, threads, rounds));
                    });
                }
                group.finish();
            }
        }
    }
}

criterion_group!(benches, flag_modes);
criterion_main!(benches);
