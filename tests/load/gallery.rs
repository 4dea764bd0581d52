//! Hostile scripts, one at a time in every mode, with the limits of a careful operator: what other
//! clients notice.

use std::time::{Duration, Instant};

use crate::measure::{Probe, mebibytes, row};
use crate::support::client::Client;
use crate::support::gallery::{GALLERY, Outcome};
use crate::support::process::Process;

const MODES: [&str; 5] = [
    "",
    "allow-undeclared-keys",
    "optimistic-undeclared-keys",
    "no-writes",
    "disable-atomicity",
];
const KILL_LIMIT_MS: u64 = 500;
/// How much later than its limit a script may end.
const LATE_MAX: Duration = Duration::from_millis(50);
const P99_MAX: Duration = Duration::from_millis(5);

#[test]
#[ignore = "load: `just load gallery`"]
fn gallery() {
    row(&[
        "took",
        "p99 of PING",
        "slowest",
        "resident",
        "  script, in its worst mode",
    ]);
    let limit = KILL_LIMIT_MS.to_string();
    let server = Process::start(&["--lua-kill-limit", &limit], &[]);
    let mut client = Client::connect(server.address);
    let mut failures = Vec::new();
    let mut worst = Duration::ZERO;
    for hostile in GALLERY {
        let mut seen = Vec::new();
        for flags in MODES {
            let body = format!("#!lua flags={flags}\n{}", hostile.body);
            let probe = Probe::start(server.address);
            let begin = Instant::now();
            client.call(&["EVAL", &body, "1", "k"]);
            let took = begin.elapsed();
            let mut latencies = probe.stop();
            // A percentile of a handful of commands is none.
            let p99 = match took < Duration::from_millis(KILL_LIMIT_MS / 2) {
                true => Duration::ZERO,
                false => latencies.percentile(99),
            };
            seen.push((p99, latencies.max(), took, flags));
            client.run("DEL k");
        }
        let (p99, slowest, took, flags) = seen.into_iter().max().unwrap_or_default();
        let text = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
        row(&[
            &text(took),
            &text(p99),
            &text(slowest),
            &mebibytes(server.resident_bytes()),
            &format!("  {} {flags}", hostile.name),
        ]);
        worst = worst.max(p99);
        let is_late = took > Duration::from_millis(KILL_LIMIT_MS) + LATE_MAX;
        if p99 > P99_MAX || is_late && matches!(hostile.outcome, Outcome::Ended) {
            failures.push(hostile.name);
        }
    }
    row(&["", &format!("{worst:?}"), "", "", "  the worst of all"]);
    assert!(failures.is_empty(), "{failures:?}");
}
