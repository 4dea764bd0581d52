//! When a command counts as slow, and what INFO shows of how long commands take: `slowlog-…` and
//! `latency-…`.

// Relaxed, as for all options: each is a value by itself, through which nothing else is seen.
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::values::within;
use super::{Config, read, write};
use crate::resp::number::parse_double;

/// The options.
pub(super) struct Slow {
    /// Microseconds from which a command is kept; less than 0 is never.
    pub(super) log_us: AtomicI64,
    /// How many are kept.
    pub(super) log_max: AtomicUsize,
    /// Milliseconds from which LATENCY knows of it; 0 is never.
    pub(super) latency_ms: AtomicU64,
    /// Whether INFO tells how long commands took.
    pub(super) shows_latencies: AtomicBool,
    /// For which shares of the calls, in hundredths.
    percentiles: RwLock<Vec<f64>>,
}

impl Default for Slow {
    fn default() -> Slow {
        Slow {
            log_us: AtomicI64::new(10_000),
            log_max: AtomicUsize::new(128),
            latency_ms: AtomicU64::new(0),
            shows_latencies: AtomicBool::new(true),
            percentiles: RwLock::new(vec![50.0, 99.0, 99.9]),
        }
    }
}

impl Config {
    /// Whether what took so long is kept for SLOWLOG.
    #[inline]
    pub fn is_slow(&self, elapsed_ns: u64) -> bool {
        let limit_us = self.slow.log_us.load(Relaxed);
        u64::try_from(limit_us).is_ok_and(|limit_us| elapsed_ns >= limit_us.saturating_mul(1000))
    }

    /// Commands that SLOWLOG keeps at most.
    pub fn slow_log_max(&self) -> usize {
        self.slow.log_max.load(Relaxed)
    }

    /// Whether LATENCY is to know of what took so long.
    #[inline]
    pub fn is_latency_event(&self, elapsed_ns: u64) -> bool {
        let limit_ms = self.slow.latency_ms.load(Relaxed);
        limit_ms > 0 && elapsed_ns >= limit_ms.saturating_mul(1_000_000)
    }

    /// For which hundredths of a command's calls INFO tells how long they took at most; `None` if it
    /// does not tell.
    pub fn percentiles(&self) -> Option<Vec<f64>> {
        let shows = self.slow.shows_latencies.load(Relaxed);
        shows.then(|| read(&self.slow.percentiles))
    }

    /// Milliseconds from which LATENCY knows of something; 0 is never.
    pub fn latency_threshold_ms(&self) -> u64 {
        self.slow.latency_ms.load(Relaxed)
    }
}

pub(super) fn percentiles_text(config: &Config) -> String {
    let numbers = read(&config.slow.percentiles);
    let words: Vec<String> = numbers.iter().map(f64::to_string).collect();
    words.join(" ")
}

pub(super) fn set_percentiles(config: &Config, text: &str) -> Result<(), String> {
    let number = |word: &str| {
        let number = parse_double(word.as_bytes());
        let number = number.ok_or("Invalid latency-tracking-info-percentiles parameters")?;
        within(number, 0.0, 100.0).map_err(|_| {
            "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".to_owned()
        })
    };
    let words = text.split(' ').filter(|_| !text.is_empty());
    let numbers = words.map(number).collect::<Result<Vec<f64>, String>>()?;
    write(&config.slow.percentiles, numbers);
    Ok(())
}
