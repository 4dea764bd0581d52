//! Clients that ask for much and never read.

use std::time::Duration;

use crate::measure::{Latencies, Probe, mebibytes, row};
use crate::support::client::{Client, encode};
use crate::support::process::Process;

const CLIENTS: usize = 100;
const REPLY_BYTES: usize = 100 << 20;
/// What all of them together may take up.
const RESIDENT_BYTES_MAX: u64 = 1_200 << 20;
/// What the system may keep for one of them in all its sockets' buffers.
const SYSTEM_BYTES_MAX: u64 = 1 << 20;
const PAGE_BYTES: u64 = 4096;
const OPTION: &str = "--maxmemory-clients";
/// A latency below this is the scheduler's, not the server's.
const NOISE: Duration = Duration::from_millis(1);
const PHASE: Duration = Duration::from_secs(3);

/// Whether the server knows an option.
fn has_option(name: &str) -> bool {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_darter"))
        .arg("--help")
        .output()
        .unwrap();
    String::from_utf8_lossy(&help.stdout).contains(name)
}

/// What the system keeps in the buffers of all TCP sockets.
fn system_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/net/sockstat").unwrap();
    let line = text.lines().find(|line| line.starts_with("TCP:")).unwrap();
    let pages: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    pages * PAGE_BYTES
}

fn show(phase: &str, server: &Process, latencies: &mut Latencies) -> Duration {
    let p99 = latencies.percentile(99);
    let text = |latency: Duration| format!("{:.2} ms", latency.as_secs_f64() * 1e3);
    let resident = mebibytes(server.resident_bytes());
    let system = mebibytes(system_bytes());
    row(&[
        phase,
        &resident,
        &system,
        &text(p99),
        &text(latencies.max()),
    ]);
    p99
}

#[test]
#[ignore = "load: `just load deaf`"]
fn deaf() {
    let limit: &[&str] = if has_option(OPTION) {
        &[OPTION, "1gb"]
    } else {
        row(&["no", OPTION]);
        &[]
    };
    let server = Process::start(limit, &[]);
    let mut client = Client::connect(server.address);
    client.call(&[&b"SET"[..], b"large", &vec![b'x'; REPLY_BYTES]]);
    let base_bytes = server.resident_bytes();
    row(&["phase", "resident", "system", "p99", "max"]);
    let system_before_bytes = system_bytes();
    let probe = Probe::start(server.address);
    std::thread::sleep(PHASE);
    let before = show("before", &server, &mut probe.stop());
    let probe = Probe::start(server.address);
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut deaf = Client::connect(server.address);
        deaf.send_bytes(&encode(&["GET", "large"]));
        clients.push(deaf);
        std::thread::sleep(PHASE / CLIENTS as u32);
        let bytes = server.resident_bytes();
        let more_bytes = bytes.saturating_sub(base_bytes);
        let count = clients.len();
        assert!(
            more_bytes <= RESIDENT_BYTES_MAX,
            "{} by {count} clients",
            mebibytes(more_bytes)
        );
    }
    let during = show("during", &server, &mut probe.stop());
    let system_more_bytes = system_bytes().saturating_sub(system_before_bytes);
    assert!(
        system_more_bytes <= CLIENTS as u64 * SYSTEM_BYTES_MAX,
        "{} in the system's buffers",
        mebibytes(system_more_bytes)
    );
    assert_eq!(client.run("PING").render(), "PONG");
    assert!(
        during <= before.max(NOISE) * 2,
        "p99 {during:?}, {before:?} before"
    );
}
