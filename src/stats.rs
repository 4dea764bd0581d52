//! What has happened so far: counters per thread, summed when somebody asks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::commands::table;
use crate::script_stats::ScriptStats;
use crate::watchdog::Pulse;

/// One thread's counts of one command. Written by that thread alone.
#[derive(Default)]
pub struct CommandCounts {
    /// Times that it ran.
    pub calls: AtomicU64,
    /// Nanoseconds that it took.
    pub nanoseconds: AtomicU64,
    /// Calls by their time; see [`bucket_bound_us`].
    histogram: [AtomicU64; HISTOGRAM_BUCKETS],
    /// Times that it was refused before it ran.
    pub rejected: AtomicU64,
    /// Times that it replied an error.
    pub failed: AtomicU64,
}

/// Into how many classes calls are divided by their time.
pub const HISTOGRAM_BUCKETS: usize = 32;

/// Nanoseconds that the calls of the first class take at most; twice as many with each further one.
const FIRST_BUCKET_NS_LOG2: u32 = 10;

fn bucket_of(nanoseconds: u64) -> usize {
    let above = nanoseconds.saturating_sub(1) >> FIRST_BUCKET_NS_LOG2;
    let bucket = (u64::BITS - above.leading_zeros()) as usize;
    bucket.min(HISTOGRAM_BUCKETS - 1)
}

/// Nanoseconds that the calls of a class take at most, rounded as Redis's histogram, which has two
/// digits, does. The last class has all that take longer.
pub fn bucket_bound_ns(bucket: usize) -> u64 {
    let bound_ns = 1 << (FIRST_BUCKET_NS_LOG2 + bucket as u32);
    bound_ns + (bound_ns >> 7) - 1
}

/// As `bucket_bound_ns`, in microseconds.
pub fn bucket_bound_us(bucket: usize) -> u64 {
    bucket_bound_ns(bucket) / 1000
}

impl CommandCounts {
    /// Counts a call.
    #[inline]
    pub fn record(&self, nanoseconds: u64) {
        count(&self.calls, 1);
        count(&self.nanoseconds, nanoseconds);
        count(&self.histogram[bucket_of(nanoseconds)], 1);
    }

    /// Adds the calls of each class.
    pub fn add_to(&self, buckets: &mut [u64; HISTOGRAM_BUCKETS]) {
        for (sum, bucket) in buckets.iter_mut().zip(&self.histogram) {
            *sum += bucket.load(Ordering::Relaxed);
        }
    }
}

/// Modes of scripts, as statistics name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptMode {
    /// Snapshot, validated at the commit.
    Optimistic,
    /// The gate is closed to others.
    Exclusive,
    /// Each call by itself.
    Direct,
    /// One snapshot, no writes.
    Snapshot,
}

impl ScriptMode {
    /// All of them.
    pub const ALL: [ScriptMode; 4] = [
        ScriptMode::Optimistic,
        ScriptMode::Exclusive,
        ScriptMode::Direct,
        ScriptMode::Snapshot,
    ];

    /// The name in INFO.
    pub fn name(self) -> &'static str {
        match self {
            ScriptMode::Optimistic => "optimistic",
            ScriptMode::Exclusive => "exclusive",
            ScriptMode::Direct => "direct",
            ScriptMode::Snapshot => "snapshot",
        }
    }
}

/// One thread's counts of one mode of scripts.
#[derive(Default)]
pub struct ScriptCounts {
    /// Runs that ended.
    pub runs: AtomicU64,
    /// Runs that replied an error.
    pub errors: AtomicU64,
    /// Runs ended by SCRIPT KILL.
    pub kills: AtomicU64,
    /// Runs ended by the time or the memory limit.
    pub limits: AtomicU64,
    /// Nanoseconds from the first attempt to the end.
    pub nanoseconds: AtomicU64,
}

/// One thread's counts.
#[derive(Default)]
pub struct ThreadStats {
    /// By the command's place in the table.
    pub commands: Vec<CommandCounts>,
    /// By mode.
    pub scripts: [ScriptCounts; 4],
    /// By script.
    pub by_script: ScriptStats,
    /// Bytes that came in.
    pub input_bytes: AtomicU64,
    /// Bytes that went out.
    pub output_bytes: AtomicU64,
    /// Reads that found a key, and reads that found none.
    pub hits: AtomicU64,
    /// See `hits`.
    pub misses: AtomicU64,
    /// Where the thread is.
    pub pulse: Pulse,
}

impl ThreadStats {
    /// Commands that ran.
    pub fn processed(&self) -> u64 {
        let calls = |command: &CommandCounts| command.calls.load(Ordering::Relaxed);
        self.commands.iter().map(calls).sum()
    }
}

/// The code of an error reply, with which its text begins.
pub fn error_code(text: &[u8]) -> &[u8] {
    let ends = |byte: &u8| matches!(byte, b' ' | b'\r');
    text.split(ends).next().unwrap_or_default()
}

/// Adds to a counter that only the calling thread writes.
#[inline]
pub fn count(counter: &AtomicU64, by: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(by),
        Ordering::Relaxed,
    );
}

/// All counts of a server.
#[derive(Default)]
pub struct Stats {
    threads: Mutex<Vec<Arc<ThreadStats>>>,
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Connections refused.
    pub rejected_connections: AtomicU64,
    /// Connections ended because the client did not read.
    pub output_limit_disconnections: AtomicU64,
    /// Connections ended because all clients together held too much.
    pub evicted_clients: AtomicU64,
    /// Commands and scripts that panicked.
    pub panics: AtomicU64,
    /// Keys that SCAN looked at, whether it showed them or not.
    pub scan_visited_keys: AtomicU64,
    errors: Mutex<BTreeMap<String, u64>>,
    rate: Mutex<Rate>,
}

/// What had happened when it was last looked at, and how much of it a second then.
#[derive(Clone, Copy, Default)]
struct Rate {
    taken: Option<Instant>,
    /// Commands that ran, bytes that came in, bytes that went out.
    totals: [u64; 3],
    per_second: [u64; 3],
}

impl Stats {
    /// Nothing has happened yet.
    pub fn new() -> Stats {
        Stats::default()
    }

    /// The counts of a new thread.
    pub fn join(&self) -> Arc<ThreadStats> {
        let commands = (0..table::all().len())
            .map(|_| CommandCounts::default())
            .collect();
        let stats = Arc::new(ThreadStats {
            commands,
            ..ThreadStats::default()
        });
        self.threads().push(Arc::clone(&stats));
        stats
    }

    /// The counts of each thread.
    pub fn threads(&self) -> std::sync::MutexGuard<'_, Vec<Arc<ThreadStats>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The calls of the command at `index` by their time, and how many there are.
    pub fn calls_by_time(&self, index: usize) -> ([u64; HISTOGRAM_BUCKETS], u64) {
        let mut buckets = [0; HISTOGRAM_BUCKETS];
        for thread in self.threads().iter() {
            thread.commands[index].add_to(&mut buckets);
        }
        (buckets, buckets.iter().sum())
    }

    /// The sum of one counter over all threads.
    pub fn sum(&self, pick: impl Fn(&ThreadStats) -> u64) -> u64 {
        self.threads().iter().map(|thread| pick(thread)).sum()
    }

    /// Sets all counters to nothing.
    pub fn reset(&self) {
        let zero = |counter: &AtomicU64| counter.store(0, Ordering::Relaxed);
        for thread in self.threads().iter() {
            for command in &thread.commands {
                let all = [
                    &command.calls,
                    &command.nanoseconds,
                    &command.rejected,
                    &command.failed,
                ];
                all.into_iter().chain(&command.histogram).for_each(zero);
            }
            for mode in &thread.scripts {
                let all = [
                    &mode.runs,
                    &mode.errors,
                    &mode.kills,
                    &mode.limits,
                    &mode.nanoseconds,
                ];
                all.into_iter().for_each(zero);
            }
            thread.by_script.reset();
            let bytes = [&thread.input_bytes, &thread.output_bytes];
            bytes.into_iter().for_each(zero);
            [&thread.hits, &thread.misses].into_iter().for_each(zero);
        }
        let own = [&self.connections, &self.rejected_connections];
        own.into_iter().for_each(zero);
        zero(&self.output_limit_disconnections);
        zero(&self.evicted_clients);
        zero(&self.panics);
        zero(&self.scan_visited_keys);
        self.errors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Takes the rates of commands and bytes since the last call; about once a second.
    pub fn take_rate(&self) {
        let totals = [
            self.sum(ThreadStats::processed),
            self.sum(|thread| thread.input_bytes.load(Ordering::Relaxed)),
            self.sum(|thread| thread.output_bytes.load(Ordering::Relaxed)),
        ];
        let now = Instant::now();
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed_ms = rate
            .taken
            .map_or(0, |taken| now.duration_since(taken).as_millis() as u64);
        if rate.taken.is_some() && elapsed_ms < 1000 {
            return;
        }
        let per_second = std::array::from_fn(|at| {
            let since = totals[at].saturating_sub(rate.totals[at]);
            (since * 1000).checked_div(elapsed_ms).unwrap_or(0)
        });
        *rate = Rate {
            taken: Some(now),
            totals,
            per_second,
        };
    }

    /// Commands, bytes in and bytes out per second, as `take_rate` last found.
    pub fn per_second(&self) -> [u64; 3] {
        self.rate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .per_second
    }

    /// Counts a panic.
    pub fn count_panic(&self) {
        // Relaxed: shown to people, nothing depends on it.
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an error reply by its code.
    pub fn count_error(&self, text: &[u8]) {
        self.count_errors(error_code(text), 1);
    }

    /// Counts so many error replies of one code.
    pub fn count_errors(&self, code: &[u8], times: u64) {
        /// Codes that are told apart; a flood of made-up ones must not take up memory.
        const CODES_MAX: usize = 128;
        let code = String::from_utf8_lossy(code).into_owned();
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        if errors.len() < CODES_MAX || errors.contains_key(&code) {
            *errors.entry(code).or_default() += times;
        }
    }

    /// Error replies by their codes.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        self.errors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_in_the_first_class_that_has_room() {
        let bounds: Vec<u64> = (0..8).map(bucket_bound_us).collect();
        assert_eq!(bounds, [1, 2, 4, 8, 16, 33, 66, 132]);
        for (nanoseconds, bucket) in [(0, 0), (1024, 0), (1025, 1), (2048, 1), (2049, 2)] {
            assert_eq!(bucket_of(nanoseconds), bucket, "{nanoseconds}");
        }
        assert_eq!(bucket_of(u64::MAX), HISTOGRAM_BUCKETS - 1);
    }
}
