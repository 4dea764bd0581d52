//! When a command counts as slow: `slowlog-…` and `latency-monitor-threshold`.

// Relaxed, as for all options: each is a value by itself, through which nothing else is seen.
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::Config;

/// The options.
pub(super) struct Slow {
    /// Microseconds from which a command is kept; less than 0 is never.
    pub(super) log_us: AtomicI64,
    /// How many are kept.
    pub(super) log_max: AtomicUsize,
    /// Milliseconds from which LATENCY knows of it; 0 is never.
    pub(super) latency_ms: AtomicU64,
}

impl Default for Slow {
    fn default() -> Slow {
        Slow {
            log_us: AtomicI64::new(10_000),
            log_max: AtomicUsize::new(128),
            latency_ms: AtomicU64::new(0),
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

    /// Milliseconds from which LATENCY knows of something; 0 is never.
    pub fn latency_threshold_ms(&self) -> u64 {
        self.slow.latency_ms.load(Relaxed)
    }
}
