//! Whether the data-plane threads come round: a thread of its own looks at the pulse of each, and
//! tells of one that has stayed with one client for long.
//!
//! A session's turn is short whatever it does, so one that is not is a fault of this server, or a
//! command that costs much at once. Waiting, for clients or for others, is no turn.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clients::SharedClient;
use crate::commands::table;
use crate::fault::fault;
use crate::services::Services;

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(25);
/// A turn that takes longer is told of.
const TURN_MAX: Duration = Duration::from_millis(100);

/// Where one thread is. Written by that thread alone.
#[derive(Default)]
pub struct Pulse {
    /// Odd within a turn.
    beat: AtomicU64,
    /// Whose turn it is, or was.
    client: AtomicU64,
}

impl Pulse {
    /// A client's turn begins.
    pub fn begin(&self, client_id: u64) {
        // Relaxed: published by the store of the beat.
        self.client.store(client_id, Ordering::Relaxed);
        self.step();
    }

    /// It is over.
    pub fn end(&self) {
        self.step();
    }

    fn step(&self) {
        // Relaxed: this thread wrote it.
        let beat = self.beat.load(Ordering::Relaxed) + 1;
        // Release: pairs with the load in `Watch::look_at`; who sees the beat sees its client.
        self.beat.store(beat, Ordering::Release);
    }
}

/// What one look at a pulse has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    /// A turn takes too long.
    Stuck(Duration),
    /// Such a turn has ended.
    Over(Duration),
}

/// What is remembered of one pulse.
struct Watch {
    beat: u64,
    since: Instant,
    /// What is done in a turn that was told of.
    told: Option<String>,
}

impl Watch {
    fn new(now: Instant) -> Watch {
        Watch {
            beat: 0,
            since: now,
            told: None,
        }
    }

    fn look_at(&mut self, pulse: &Pulse, now: Instant) -> Option<Finding> {
        // Acquire: see `Pulse::step`.
        let beat = pulse.beat.load(Ordering::Acquire);
        let elapsed = now.saturating_duration_since(self.since);
        if beat != self.beat {
            self.beat = beat;
            self.since = now;
            return self.told.is_some().then_some(Finding::Over(elapsed));
        }
        let is_turn = !beat.is_multiple_of(2);
        let is_long = elapsed > TURN_MAX && !fault!("a long turn is not told of");
        (is_turn && is_long).then_some(Finding::Stuck(elapsed))
    }
}

/// The longest turn that was told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slowest {
    /// How long it took.
    pub elapsed_ms: u64,
    /// Its command, and its script's SHA-1 if it ran one.
    pub what: String,
}

/// What was found so far.
#[derive(Default)]
pub struct Watchdog {
    slow_ticks: AtomicU64,
    slowest: Mutex<Slowest>,
}

impl Watchdog {
    /// Turns that took too long.
    pub fn slow_ticks(&self) -> u64 {
        // Relaxed: shown to people, nothing depends on it.
        self.slow_ticks.load(Ordering::Relaxed)
    }

    /// The longest of them.
    pub fn slowest(&self) -> Slowest {
        self.lock().clone()
    }

    /// Forgets all.
    pub fn reset(&self) {
        // Relaxed: see `slow_ticks`.
        self.slow_ticks.store(0, Ordering::Relaxed);
        *self.lock() = Slowest::default();
    }

    fn lock(&self) -> MutexGuard<'_, Slowest> {
        self.slowest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, elapsed_ms: u64, what: &str) {
        let mut slowest = self.lock();
        if elapsed_ms > slowest.elapsed_ms {
            *slowest = Slowest {
                elapsed_ms,
                what: what.to_owned(),
            };
        }
    }

    /// Looks until the server ends, on a thread of its own.
    pub fn run(services: &Services) {
        let mut watches: Vec<Watch> = Vec::new();
        while !services.wait_for_stop(INTERVAL) {
            let now = Instant::now();
            for (at, thread) in services.stats.threads().iter().enumerate() {
                if at == watches.len() {
                    watches.push(Watch::new(now));
                }
                services
                    .watchdog
                    .look(&mut watches[at], &thread.pulse, now, services);
            }
        }
    }

    fn look(&self, watch: &mut Watch, pulse: &Pulse, now: Instant, services: &Services) {
        match watch.look_at(pulse, now) {
            None => {}
            Some(Finding::Stuck(elapsed)) => {
                let elapsed_ms = elapsed.as_millis() as u64;
                if watch.told.is_none() {
                    // Relaxed: see `slow_ticks`; the client was published with the beat.
                    self.slow_ticks.fetch_add(1, Ordering::Relaxed);
                    let client_id = pulse.client.load(Ordering::Relaxed);
                    let client = services.clients.get(client_id);
                    let what = client.map_or_else(|| "nothing".into(), |client| doing(&client));
                    tracing::warn!(
                        "a data-plane thread has been busy with client {client_id} for \
                         {elapsed_ms} ms: {what}"
                    );
                    watch.told = Some(what);
                }
                self.note(elapsed_ms, watch.told.as_deref().unwrap_or_default());
            }
            Some(Finding::Over(elapsed)) => {
                let elapsed_ms = elapsed.as_millis() as u64;
                let what = watch.told.take().unwrap_or_default();
                self.note(elapsed_ms, &what);
                tracing::warn!("a data-plane thread goes on after {elapsed_ms} ms: {what}");
            }
        }
    }
}

/// A client's last command, and the script that it runs.
fn doing(client: &SharedClient) -> String {
    // Relaxed: shown to people, nothing depends on it.
    let entry = table::all().get(client.command.load(Ordering::Relaxed));
    let command = entry.map_or_else(|| "no command".into(), |entry| entry.full_name());
    match client.running_script() {
        Some(sha) => format!("{command} {}", String::from_utf8_lossy(&sha)),
        None => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_millis(25);

    /// Looks every 25 ms while the pulse stays as it is, and returns what was found when.
    fn looks(watch: &mut Watch, pulse: &Pulse, now: &mut Instant, count: u32) -> Vec<u128> {
        let begin = *now;
        let mut found = Vec::new();
        for _ in 0..count {
            *now += LOOK;
            if watch.look_at(pulse, *now).is_some() {
                found.push(now.duration_since(begin).as_millis());
            }
        }
        found
    }

    #[test]
    fn a_turn_is_told_of_when_it_is_too_long_and_when_it_is_over() {
        let (pulse, mut now) = (Pulse::default(), Instant::now());
        let mut watch = Watch::new(now);
        pulse.begin(7);
        // First seen after 25 ms, too long at 125 ms from there.
        assert_eq!(looks(&mut watch, &pulse, &mut now, 6), [150]);
        watch.told = Some("get".into());
        pulse.end();
        now += LOOK;
        let over = watch.look_at(&pulse, now);
        assert_eq!(over, Some(Finding::Over(Duration::from_millis(150))));
        watch.told = None;
        now += LOOK;
        assert_eq!(watch.look_at(&pulse, now), None);
    }

    #[test]
    fn idling_is_no_turn_and_many_short_ones_are_no_long_one() {
        let (pulse, mut now) = (Pulse::default(), Instant::now());
        let mut watch = Watch::new(now);
        assert!(looks(&mut watch, &pulse, &mut now, 100).is_empty());
        pulse.begin(7);
        pulse.end();
        assert!(looks(&mut watch, &pulse, &mut now, 100).is_empty());
        for _ in 0..100 {
            pulse.begin(7);
            assert!(looks(&mut watch, &pulse, &mut now, 3).is_empty());
            pulse.end();
        }
    }

    #[test]
    fn a_long_turn_is_counted_once_and_the_slowest_is_kept() {
        let services = Services::new(crate::config::Config::new(1, 1));
        let watchdog = &services.watchdog;
        let client = services.clients.add(String::new(), String::new(), 0);
        client.command.store(
            table::find(b"LCS").map_or(0, |entry| entry.index),
            Ordering::Relaxed,
        );
        let (pulse, mut now) = (Pulse::default(), Instant::now());
        let mut watch = Watch::new(now);
        for turns in [20, 10] {
            pulse.begin(client.id);
            for _ in 0..turns {
                watchdog.look(&mut watch, &pulse, now, &services);
                now += LOOK;
            }
            pulse.end();
            watchdog.look(&mut watch, &pulse, now, &services);
        }
        assert_eq!(watchdog.slow_ticks(), 2);
        let slowest = watchdog.slowest();
        assert_eq!((slowest.elapsed_ms, &*slowest.what), (500, "lcs"));
        watchdog.reset();
        assert_eq!(watchdog.slow_ticks(), 0);
        assert_eq!(watchdog.slowest(), Slowest::default());
    }
}
