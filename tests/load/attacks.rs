//! Bytes that are meant to do harm, many of them: others are answered in time, and the memory comes
//! back.

use std::time::{Duration, Instant};

use crate::measure::{Probe, comes_true, mebibytes, row};
use crate::support::attacks::{self, ATTACKS, BEFORE_PASSWORD};
use crate::support::client::Client;
use crate::support::process::Process;

/// A million commands, where an attack consists of many.
const SCALE: usize = 10_000;
const ANSWER_MAX: Duration = Duration::from_millis(100);
/// When the allocator has returned to the system what it does not keep.
const SETTLED: Duration = Duration::from_secs(5);
const BACK: Duration = Duration::from_secs(15);
/// What the allocator may keep or take anew, in huge pages. The largest attack takes up 50 MiB, of
/// which nothing may be left.
const SLACK_BYTES: u64 = 24 << 20;

fn run_all(server: &Process, attacks: &[attacks::Attack]) -> Vec<String> {
    let mut failures = Vec::new();
    // A first round, so that the allocator has what it keeps for the next time in any case.
    for attack in attacks {
        attacks::run(attack, server.address, SCALE / 10);
    }
    std::thread::sleep(SETTLED);
    let base_bytes = server.resident_bytes();
    for attack in attacks {
        let probe = Probe::start(server.address);
        let begin = Instant::now();
        attacks::run(attack, server.address, SCALE);
        let elapsed = begin.elapsed();
        let slowest = probe.stop().max();
        let peak_bytes = server.resident_bytes();
        let limit_bytes = base_bytes + base_bytes / 20 + SLACK_BYTES;
        let is_back = comes_true(BACK, || server.resident_bytes() <= limit_bytes);
        let after_bytes = server.resident_bytes();
        row(&[
            &format!("{:.0} ms", elapsed.as_secs_f64() * 1e3),
            &format!("{:.1} ms", slowest.as_secs_f64() * 1e3),
            &mebibytes(peak_bytes),
            &mebibytes(after_bytes),
            &format!("  {}", attack.name),
        ]);
        if slowest > ANSWER_MAX {
            failures.push(format!("{}: a PING took {slowest:?}", attack.name));
        }
        if !is_back {
            failures.push(format!("{}: {} stay", attack.name, mebibytes(after_bytes)));
        }
    }
    failures
}

#[test]
#[ignore = "load: `just load attacks`"]
fn attacks() {
    row(&["took", "slowest PING", "resident", "afterwards", "  attack"]);
    let open = Process::start(&[], &[]);
    let mut failures = run_all(&open, ATTACKS);
    let mut client = Client::connect(open.address);
    assert_eq!(client.run("DBSIZE").render(), "0");
    let closed = Process::start(&[], &[]);
    let mut client = Client::connect(closed.address);
    client.run("CONFIG SET requirepass secret");
    let probe_less: Vec<String> = BEFORE_PASSWORD
        .iter()
        .filter_map(|attack| {
            let begin = Instant::now();
            attacks::run(attack, closed.address, SCALE);
            client.run("AUTH secret");
            assert_eq!(client.run("PING").render(), "PONG");
            let elapsed = begin.elapsed();
            let took = format!("{:.0} ms", elapsed.as_secs_f64() * 1e3);
            let resident = mebibytes(closed.resident_bytes());
            row(&[&took, "", &resident, "", &format!("  {}", attack.name)]);
            (elapsed > Duration::from_secs(10)).then(|| format!("{} took {took}", attack.name))
        })
        .collect();
    failures.extend(probe_less);
    assert!(failures.is_empty(), "{failures:#?}");
}
