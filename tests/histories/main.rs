//! Strict serializability and effects, checked from outside: many clients, every way to a commit
//! mixed in one run, and a checker that looks for an order that explains what they saw.
//! docs/testing.md says how to run and replay it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_histories;
mod checker;
mod connection;
mod effects;
mod embedded;
mod generator;
mod history;
mod modes;
mod operations;
mod scripts;
mod support;
mod window;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use darter::config::Config;

use generator::Window;
use history::{History, Outcome};
use modes::MODES;
use support::server::Server;

/// The data-plane threads and the clients of one window after the other.
const SHAPES: &[(usize, usize)] = &[
    (1, 8),
    (2, 16),
    (4, 64),
    (16, 32),
    (2, 64),
    (4, 8),
    (16, 16),
    (1, 32),
];
/// Operations of one program, about: few have as many steps as they may.
const OPERATIONS_PER_PROGRAM: usize = 3;
/// Transactions that are checked at once.
const WINDOW_TRANSACTIONS: usize = 20_000;
/// What a script may take. More than any that is not meant to hang.
const KILL_LIMIT_MS: u64 = 250;
const MEMORY_LIMIT_BYTES: usize = 8 << 20;

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

fn seed() -> u64 {
    from_environment("SEED").unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        since.as_nanos() as u64 % 1_000_000_000
    })
}

fn start(threads: usize) -> Server {
    let config = Config::new(16, threads);
    config
        .lua_kill_limit_ms
        .store(KILL_LIMIT_MS, Ordering::Relaxed);
    config
        .lua_memory_bytes
        .store(MEMORY_LIMIT_BYTES, Ordering::Relaxed);
    Server::start_with(config)
}

/// How often each mode came to each end.
type Ends = BTreeMap<&'static str, [usize; 3]>;

fn count_ends(ends: &mut Ends, history: &History) {
    for transaction in &history.transactions {
        let own = ends.entry(transaction.mode).or_default();
        own[match transaction.outcome {
            Outcome::Committed => 0,
            Outcome::Aborted => 1,
            Outcome::Unknown => 2,
        }] += 1;
    }
}

/// Runs about so many operations in windows of all shapes, each checked by itself.
fn run(seed: u64, operations: usize) -> Ends {
    let programs = operations / OPERATIONS_PER_PROGRAM;
    let per_window = programs
        .div_ceil(SHAPES.len())
        .clamp(1, WINDOW_TRANSACTIONS);
    let windows = programs.div_ceil(per_window).max(SHAPES.len());
    let mut ends = Ends::new();
    let (mut done, mut retries) = (0, 0);
    for (number, (threads, clients)) in (0..windows as u32).zip(SHAPES.iter().cycle().copied()) {
        let server = start(threads);
        let begin = Instant::now();
        let window = Window {
            seed,
            number,
            clients,
            programs: per_window.div_ceil(clients),
        };
        let history = window::run(&server, window);
        let ran = begin.elapsed();
        let begin = Instant::now();
        let report = checker::check(&history);
        count_ends(&mut ends, &history);
        let counts = server.services.store.counts();
        retries += counts.retries;
        done += history.operations();
        eprintln!(
            "window {number}: {threads} threads, {clients} clients, {} transactions in {ran:.1?}, \
             {} edges checked in {:.1?}, {} retries, {} queued, {} gates",
            history.transactions.len(),
            report.edges,
            begin.elapsed(),
            counts.retries,
            counts.escalations_queue,
            counts.escalations_gate,
        );
        assert!(
            report.anomalies.is_empty(),
            "SEED={seed}, window {number} with {threads} threads and {clients} clients\n{}",
            report.text()
        );
    }
    eprintln!("{done} operations, {retries} retries");
    assert!(retries > 0, "nobody was ever in anybody's way");
    ends
}

#[test]
fn what_all_clients_saw_has_an_order() {
    let seed = seed();
    eprintln!("SEED={seed}");
    let operations = from_environment("OPERATIONS").unwrap_or(100_000);
    let ends = run(seed, operations as usize);
    eprintln!("{ends:#?}");
    if operations >= 100_000 {
        for mode in MODES {
            assert!(ends.contains_key(mode.name), "nobody tried {}", mode.name);
        }
    }
}

/// As long as it is told to.
#[test]
#[ignore = "takes as long as OPERATIONS says"]
fn long() {
    let seed = seed();
    eprintln!("SEED={seed}");
    run(
        seed,
        from_environment("OPERATIONS").unwrap_or(10_000_000) as usize,
    );
}
