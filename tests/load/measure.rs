//! Numbers: how long, how much, how fast, and their tables.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::client::{Client, Reply};

pub(crate) const MIB: f64 = 1024.0 * 1024.0;

/// How long a scenario goes on: LOAD_SECONDS, or its own default.
pub(crate) fn seconds(default: u64) -> Duration {
    let wanted = std::env::var("LOAD_SECONDS").unwrap_or_default();
    Duration::from_secs(wanted.parse().unwrap_or(default))
}

/// Lets this process open as many sockets as the system allows it.
pub(crate) fn raise_descriptor_limit() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
}

/// One line of a scenario's table; the columns are of one width.
pub(crate) fn row(columns: &[&str]) {
    let line: Vec<String> = columns.iter().map(|text| format!("{text:>14}")).collect();
    // A test's own lines are shown where they are asked for; nobody needs them otherwise.
    let _ = writeln!(std::io::stdout(), "{}", line.join(" "));
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / MIB)
}

/// A field of INFO.
pub(crate) fn info(client: &mut Client, section: &str, name: &str) -> u64 {
    let Reply::Bulk(text) = client.call(&["INFO", section]) else {
        panic!("INFO is a string")
    };
    let text = String::from_utf8(text).unwrap();
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(known, _)| *known == name).unwrap();
    value.trim().parse().unwrap()
}

/// Waits until something holds, at most so long. Whether it did.
pub(crate) fn comes_true(at_most: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + at_most;
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// How long commands took.
#[derive(Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn percentile(&mut self, percent: usize) -> Duration {
        self.0.sort_unstable();
        let at = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(at).copied().unwrap_or_default()
    }

    pub(crate) fn max(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }
}

/// A client that sends one small command after the other, a thousand a second, and takes the time.
pub(crate) struct Probe {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Latencies>,
}

impl Probe {
    pub(crate) fn start(address: SocketAddr) -> Probe {
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let mut client = Client::connect(address);
            let mut latencies = Latencies::default();
            while !ends.load(Ordering::SeqCst) {
                let begin = Instant::now();
                assert_eq!(client.run("PING").render(), "PONG");
                latencies.0.push(begin.elapsed());
                std::thread::sleep(Duration::from_millis(1));
            }
            latencies
        });
        Probe { is_over, thread }
    }

    pub(crate) fn stop(self) -> Latencies {
        self.is_over.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}
