//! Data that comes and goes for a long time, under every kind of reader and writer: memory must not
//! creep, and no version may stay that nobody can see.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::{Probe, comes_true, info, mebibytes, row, seconds};
use crate::support::client::{Client, encode};
use crate::support::process::Process;

const WRITERS: u64 = 3;
const KEYS: u64 = 6_000;
/// Commands that a writer sends at once.
const PIPELINE: usize = 50;
/// Elements that a collection is cut back to.
const ELEMENTS_MAX: u64 = 200;
/// How long after the last snapshot nothing of the past may be left.
const CLEAN: Duration = Duration::from_secs(10);
/// Of what there is on average after a twelfth of the time, for a quarter of it: what a held snapshot
/// keeps makes single samples differ by more.
const GROWTH_MAX: f64 = 1.05;

/// Holds a snapshot for as long as it computes, and reads in it.
const HELD: &str = "local n = 0 for i = 1, tonumber(ARGV[1]) do n = n + i % 7 end \
    return redis.call('EXISTS', KEYS[1])";
/// Computes long between its read and its write, so that it loses and runs again.
const LONG: &str = "local n = tonumber(redis.call('GET', KEYS[1]) or 0) \
    for i = 1, tonumber(ARGV[1]) do n = n + i % 3 end return redis.call('SET', KEYS[1], n)";
/// Never ends by itself; what it has written must not stay.
const ENDLESS: &str = "redis.call('SET', KEYS[1], ('x'):rep(10000)) while true do end";

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        // Xorshift (Marsaglia, 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// One change of a key of the type that its number says, of all kinds that there are.
fn change(random: &mut Random) -> Vec<String> {
    let number = random.below(KEYS);
    let key = format!("key:{number}");
    let element = random.below(ELEMENTS_MAX * 2).to_string();
    let text = "v".repeat(random.below(300) as usize);
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    match random.below(100) {
        0..3 => return words(&format!("DEL {key}")),
        3..6 => return words(&format!("PEXPIRE {key} {}", 1 + random.below(2_000))),
        6 => {
            return words(&format!(
                "RENAME {key} key:{}",
                (number + 6 * random.below(100)) % KEYS
            ));
        }
        _ => {}
    }
    let grows = random.below(2) == 0;
    match (number % 6, grows) {
        (0, true) => vec!["SET".into(), key, text],
        (0, false) => words(&format!("SET {key} short")),
        (1, true) => vec!["HSET".into(), key, element, text],
        (1, false) => words(&format!("HDEL {key} {element}")),
        (2, true) => vec!["RPUSH".into(), key, element, text],
        (2, false) => words(&format!("LTRIM {key} 2 {ELEMENTS_MAX}")),
        (3, true) => words(&format!("SADD {key} {element}")),
        (3, false) => words(&format!("SREM {key} {element}")),
        (4, true) => words(&format!("ZADD {key} {} {element}", random.below(1_000))),
        (4, false) => words(&format!("ZREMRANGEBYRANK {key} 0 0")),
        (_, true) => vec!["XADD".into(), key, "*".into(), "field".into(), text],
        (_, false) => words(&format!("XTRIM {key} MAXLEN {ELEMENTS_MAX}")),
    }
}

fn write(address: SocketAddr, seed: u64, is_over: &AtomicBool, done: &AtomicU64) {
    let mut client = Client::connect(address);
    let mut random = Random(seed);
    while !is_over.load(Ordering::SeqCst) {
        let commands: Vec<u8> = (0..PIPELINE)
            .flat_map(|_| encode(&change(&mut random)))
            .collect();
        client.send_bytes(&commands);
        for _ in 0..PIPELINE {
            let reply = client.read().render();
            assert!(!reply.contains("internal"), "{reply}");
        }
        done.fetch_add(PIPELINE as u64, Ordering::SeqCst);
    }
}

/// Scripts that hold snapshots, that lose, and that are killed, in turn.
fn run_scripts(address: SocketAddr, is_over: &AtomicBool) {
    let mut client = Client::connect(address);
    let mut killer = Client::connect(address);
    let mut random = Random(99);
    while !is_over.load(Ordering::SeqCst) {
        let key = format!("key:{}", random.below(KEYS) / 6 * 6);
        let held = client.call(&["EVAL_RO", HELD, "1", &key, "20000000"]);
        assert!(["0", "1"].contains(&&*held.render()), "{held:?}");
        client.call(&["EVAL", LONG, "1", "counter", "3000000"]);
        client.send(&["EVAL", ENDLESS, "1", "killed"]);
        while killer.run("SCRIPT KILL").render() != "OK" {
            thread::yield_now();
        }
        let killed = client.read().render();
        assert!(killed.contains("killed by user"), "{killed}");
        assert_eq!(killer.run("EXISTS killed").render(), "0");
    }
}

/// What is resident on average over a part of the time.
fn average(samples: &[(Duration, u64)], from: Duration, to: Duration) -> f64 {
    let within = samples.iter().filter(|(at, _)| (from..to).contains(at));
    let bytes: Vec<u64> = within.map(|(_, bytes)| *bytes).collect();
    bytes.iter().sum::<u64>() as f64 / bytes.len() as f64
}

/// Prints a row now and then; returns how many times what was resident early is so late.
fn observe(server: &Process, length: Duration, done: &AtomicU64) -> f64 {
    let mut client = Client::connect(server.address);
    let step = (length / 24).min(Duration::from_secs(10));
    row(&[
        "second",
        "commands",
        "resident",
        "keys",
        "versions",
        "snapshots",
        "p99",
    ]);
    let (begin, mut samples) = (Instant::now(), Vec::new());
    loop {
        let probe = Probe::start(server.address);
        thread::sleep(step);
        let p99 = probe.stop().percentile(99);
        let bytes = server.resident_bytes();
        let field = |client: &mut Client, name| info(client, "transactions", name).to_string();
        let columns = [
            format!("{:.0}", begin.elapsed().as_secs_f64()),
            done.load(Ordering::SeqCst).to_string(),
            mebibytes(bytes),
            client.run("DBSIZE").render(),
            field(&mut client, "versions_live"),
            field(&mut client, "snapshots_held"),
            format!("{:.2} ms", p99.as_secs_f64() * 1e3),
        ];
        row(&columns.each_ref().map(String::as_str));
        samples.push((begin.elapsed(), bytes));
        if begin.elapsed() >= length {
            let (early, quarter) = (length / 12, length / 4);
            let late = average(&samples, length - quarter, length * 2);
            return late / average(&samples, early, early + quarter);
        }
    }
}

/// So much that all collections have the size about which they grow and shrink afterwards.
fn fill(address: SocketAddr) {
    let is_over = AtomicBool::new(false);
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        for seed in 1..=WRITERS {
            let (is_over, done) = (&is_over, &done);
            scope.spawn(move || write(address, seed, is_over, done));
        }
        while done.load(Ordering::SeqCst) < KEYS * 100 {
            thread::sleep(Duration::from_millis(10));
        }
        is_over.store(true, Ordering::SeqCst);
    });
}

#[test]
#[ignore = "load: `just load hour [SECONDS]`"]
fn hour() {
    let length = seconds(60);
    // Which pages are huge, of 2 MiB each, the kernel decides, and changes its mind: without them it is
    // to be seen what the server holds.
    let server = Process::start(&[], &[("MIMALLOC_ALLOW_THP", "0")]);
    fill(server.address);
    let is_over = AtomicBool::new(false);
    let done = AtomicU64::new(0);
    let growth = thread::scope(|scope| {
        for seed in 1..=WRITERS {
            let (is_over, done, address) = (&is_over, &done, server.address);
            scope.spawn(move || write(address, seed * 7_919, is_over, done));
        }
        scope.spawn(|| run_scripts(server.address, &is_over));
        let growth = observe(&server, length, &done);
        is_over.store(true, Ordering::SeqCst);
        growth
    });
    let mut client = Client::connect(server.address);
    let mut left = (0, 0);
    let is_clean = comes_true(CLEAN, || {
        let keys = client.run("DBSIZE").render().parse::<u64>().unwrap();
        left = (info(&mut client, "transactions", "versions_live"), keys);
        left.0 == left.1
    });
    row(&[
        "end",
        "",
        &mebibytes(server.resident_bytes()),
        &left.1.to_string(),
        &left.0.to_string(),
    ]);
    assert!(is_clean, "{} versions of {} keys", left.0, left.1);
    row(&["growth", &format!("{growth:.3}")]);
    assert!(
        growth <= GROWTH_MAX,
        "{growth:.3} times what was resident early"
    );
}
