//! What has become of the runs of each script: counted per thread, summed when somebody asks.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;

use crate::script::cache::{Sha, ShaMap};

/// Scripts that a thread counts apart; a flood of bodies made up one by one must not take memory.
const SCRIPTS_MAX: usize = 512;
/// Keys that conflicts are counted by, for each script.
const KEYS_MAX: usize = 64;
/// Bytes of a key that are kept.
const KEY_BYTES_MAX: usize = 128;
/// Keys of conflicts that one run remembers.
const RUN_CONFLICTS_MAX: usize = 16;
/// Significant digits of latencies.
const DIGITS: u8 = 2;

/// What one run of a script went through, over all its attempts.
#[derive(Debug, Default)]
pub struct Tally {
    /// Attempts that lost to somebody else.
    pub retries: u64,
    /// The keys that they lost on, where it was a key.
    pub conflicts: Vec<Box<[u8]>>,
    /// Times that it lined up.
    pub queued: u64,
    /// Times that it went for the gate after it had begun without.
    pub gated: u64,
    /// How long it kept the gate closed.
    pub gate_ns: u64,
    /// Ends of its slices.
    pub preemptions: u64,
}

impl Tally {
    /// An attempt has lost, on this key if it is known.
    pub fn lost(&mut self, key: Option<&[u8]>) {
        self.retries += 1;
        if let Some(key) = key
            && self.conflicts.len() < RUN_CONFLICTS_MAX
        {
            self.conflicts
                .push(key[..key.len().min(KEY_BYTES_MAX)].into());
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct End {
    /// It replied an error.
    pub failed: bool,
    /// SCRIPT KILL ended it.
    pub killed: bool,
    /// From its first attempt to its end.
    pub elapsed_ns: u64,
    /// What Lua used for it.
    pub memory_bytes: u64,
}

/// The counts of one script.
#[derive(Clone, Debug)]
pub struct Counts {
    /// Runs that ended.
    pub runs: u64,
    /// Runs that replied an error.
    pub errors: u64,
    /// Runs ended by SCRIPT KILL.
    pub kills: u64,
    /// See [`Tally`].
    pub retries: u64,
    /// See [`Tally`].
    pub queued: u64,
    /// See [`Tally`].
    pub gated: u64,
    /// See [`Tally`].
    pub gate_ns: u64,
    /// See [`Tally`].
    pub preemptions: u64,
    /// From the first attempt to the end, all runs together.
    pub elapsed_ns: u64,
    /// The most that Lua used for one run.
    pub memory_bytes_max: u64,
    conflicts: HashMap<Box<[u8]>, u64>,
    latencies_us: Histogram<u32>,
}

impl Counts {
    fn new() -> Option<Counts> {
        Some(Counts {
            runs: 0,
            errors: 0,
            kills: 0,
            retries: 0,
            queued: 0,
            gated: 0,
            gate_ns: 0,
            preemptions: 0,
            elapsed_ns: 0,
            memory_bytes_max: 0,
            conflicts: HashMap::new(),
            latencies_us: Histogram::new(DIGITS).ok()?,
        })
    }

    fn count(&mut self, tally: &Tally, end: End) {
        self.runs += 1;
        self.errors += u64::from(end.failed);
        self.kills += u64::from(end.killed);
        self.retries += tally.retries;
        self.queued += tally.queued;
        self.gated += tally.gated;
        self.gate_ns += tally.gate_ns;
        self.preemptions += tally.preemptions;
        self.elapsed_ns += end.elapsed_ns;
        self.memory_bytes_max = self.memory_bytes_max.max(end.memory_bytes);
        for key in &tally.conflicts {
            self.count_conflicts(key, 1);
        }
        // It grows to hold any value; were it not to, the latency alone would be missing.
        let _ = self.latencies_us.record(end.elapsed_ns / 1000);
    }

    fn count_conflicts(&mut self, key: &[u8], by: u64) {
        if let Some(count) = self.conflicts.get_mut(key) {
            *count += by;
        } else if self.conflicts.len() < KEYS_MAX {
            self.conflicts.insert(key.into(), by);
        }
    }

    fn add(&mut self, other: &Counts) {
        self.runs += other.runs;
        self.errors += other.errors;
        self.kills += other.kills;
        self.retries += other.retries;
        self.queued += other.queued;
        self.gated += other.gated;
        self.gate_ns += other.gate_ns;
        self.preemptions += other.preemptions;
        self.elapsed_ns += other.elapsed_ns;
        self.memory_bytes_max = self.memory_bytes_max.max(other.memory_bytes_max);
        for (key, count) in &other.conflicts {
            self.count_conflicts(key, *count);
        }
        // As in `count`.
        let _ = self.latencies_us.add(&other.latencies_us);
    }

    /// The keys that most conflicts were about, at most `count`, with how many.
    pub fn conflicts(&self, count: usize) -> Vec<(&[u8], u64)> {
        let mut all: Vec<_> = self.conflicts.iter().map(|(key, n)| (&**key, *n)).collect();
        all.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(other.0)));
        all.truncate(count);
        all
    }

    /// The latency in microseconds that this share of the runs did not exceed.
    pub fn latency_us(&self, share: f64) -> u64 {
        self.latencies_us.value_at_quantile(share)
    }

    /// The longest run, in microseconds.
    pub fn latency_us_max(&self) -> u64 {
        self.latencies_us.max()
    }

    /// The latencies as a text for people: a summary, and a line for each doubling.
    pub fn histogram(&self) -> String {
        use std::fmt::Write;
        const BAR: usize = 40;
        let latencies = &self.latencies_us;
        let mut text = format!(
            "Count: {} Average: {:.2} StdDev: {:.2}\nMin: {} Median: {} P99: {} Max: {}\n",
            latencies.len(),
            latencies.mean(),
            latencies.stdev(),
            latencies.min(),
            self.latency_us(0.5),
            self.latency_us(0.99),
            latencies.max()
        );
        let all = latencies.len().max(1);
        let mut from = 0;
        // An end of its own for what took less than a microsecond.
        for step in latencies.iter_log(1, 2.0) {
            let to = step.value_iterated_to().saturating_add(1);
            let count = step.count_since_last_iteration();
            if count > 0 {
                let bar = "#".repeat((count * BAR as u64).div_ceil(all) as usize);
                let percent = count as f64 * 100.0 / all as f64;
                // Writing to a string cannot fail.
                let _ = writeln!(text, "[ {from}, {to} ) {count} {percent:.2}% {bar}");
            }
            from = to;
        }
        text
    }
}

type Table = ShaMap<Box<Counts>>;

/// One thread's counts of all scripts. The thread alone writes, so nobody waits but while somebody
/// reads.
#[derive(Default)]
pub struct ScriptStats(Mutex<Table>);

impl ScriptStats {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a run.
    pub fn count(&self, sha: &Sha, tally: &Tally, end: End) {
        let mut table = self.table();
        if let Some(counts) = table.get_mut(sha) {
            return counts.count(tally, end);
        }
        if table.len() >= SCRIPTS_MAX {
            // The one that ran least is missed least. O(scripts), for a script's first run alone.
            let least = table.iter().min_by_key(|(_, counts)| counts.runs);
            if let Some(least) = least.map(|(sha, _)| *sha) {
                table.remove(&least);
            }
        }
        if let Some(mut counts) = Counts::new() {
            counts.count(tally, end);
            table.insert(*sha, Box::new(counts));
        }
    }

    /// Forgets all counts.
    pub fn reset(&self) {
        self.table().clear();
    }

    /// Adds these counts, or those of one script alone, to the sums.
    pub fn add_to(&self, sums: &mut HashMap<Sha, Counts>, only: Option<&Sha>) {
        let table = self.table();
        let wanted = table
            .iter()
            .filter(|(sha, _)| only.is_none_or(|only| only == *sha));
        for (sha, counts) in wanted {
            match sums.get_mut(sha) {
                Some(sum) => sum.add(counts),
                None => {
                    sums.insert(*sha, (**counts).clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(elapsed_us: u64) -> End {
        End {
            elapsed_ns: elapsed_us * 1000,
            ..End::default()
        }
    }

    fn sum(all: &[&ScriptStats], sha: &Sha) -> Counts {
        let mut sums = HashMap::new();
        all.iter().for_each(|own| own.add_to(&mut sums, Some(sha)));
        sums.remove(sha).unwrap()
    }

    #[test]
    fn the_counts_of_all_threads_are_summed() {
        let (one, other) = (ScriptStats::default(), ScriptStats::default());
        let sha = [b'a'; 40];
        let mut tally = Tally::default();
        tally.lost(Some(b"hot"));
        tally.lost(None);
        one.count(&sha, &tally, end(10));
        for latency_us in 1..=99 {
            other.count(&sha, &Tally::default(), end(latency_us));
        }
        tally.lost(Some(b"warm"));
        other.count(&sha, &tally, end(5_000_000));
        let sum = sum(&[&one, &other], &sha);
        assert_eq!((sum.runs, sum.retries), (101, 5));
        assert_eq!(sum.conflicts(5), [(&b"hot"[..], 2), (b"warm", 1)]);
        assert_eq!(sum.conflicts(1).len(), 1);
        assert!(
            (49..=52).contains(&sum.latency_us(0.5)),
            "{}",
            sum.latency_us(0.5)
        );
        assert!(sum.latency_us_max().abs_diff(5_000_000) < 50_000);
        let text = sum.histogram();
        assert!(text.starts_with("Count: 101 "), "{text}");
        let lines = text.lines().skip(2);
        let counts = lines.map(|line| line.split(' ').nth(4).unwrap().parse::<u64>().unwrap());
        assert_eq!(counts.sum::<u64>(), 101, "{text}");
    }

    #[test]
    fn a_flood_of_scripts_and_keys_is_bounded() {
        let stats = ScriptStats::default();
        let sha = |number: usize| {
            let mut sha = [b'0'; 40];
            sha[..8].copy_from_slice(format!("{number:08x}").as_bytes());
            sha
        };
        stats.count(&sha(0), &Tally::default(), end(1));
        stats.count(&sha(0), &Tally::default(), end(1));
        for number in 1..2 * SCRIPTS_MAX {
            let mut tally = Tally::default();
            let key = vec![b'k'; number * 100];
            (0..100).for_each(|_| tally.lost(Some(&key)));
            stats.count(&sha(number), &tally, end(1));
        }
        let mut sums = HashMap::new();
        stats.add_to(&mut sums, None);
        assert_eq!(sums.len(), SCRIPTS_MAX);
        assert_eq!(sums[&sha(0)].runs, 2, "what runs often stays");
        let longest = sums
            .values()
            .flat_map(|counts| counts.conflicts(9))
            .map(|(key, _)| key.len());
        assert_eq!(longest.max(), Some(KEY_BYTES_MAX));
    }
}
