//! How long things took that took too long, for LATENCY: samples of each kind of event, the worst of
//! each second.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Samples that are kept of each event, as in Redis.
const SAMPLES_MAX: usize = 160;

/// The worst of one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which second, since 1970.
    pub unix_s: u64,
    /// How long it took.
    pub elapsed_ms: u64,
}

/// What is known of one kind of event.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// The oldest first.
    pub samples: VecDeque<Sample>,
    /// The longest ever.
    pub max_ms: u64,
}

/// All events, by name.
#[derive(Default)]
pub struct Latency(Mutex<BTreeMap<&'static str, Event>>);

impl Latency {
    fn events(&self) -> MutexGuard<'_, BTreeMap<&'static str, Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something took too long.
    pub fn add(&self, name: &'static str, sample: Sample) {
        let mut events = self.events();
        let event = events.entry(name).or_default();
        event.max_ms = event.max_ms.max(sample.elapsed_ms);
        match event.samples.back_mut() {
            Some(last) if last.unix_s == sample.unix_s => {
                last.elapsed_ms = last.elapsed_ms.max(sample.elapsed_ms);
            }
            _ => event.samples.push_back(sample),
        }
        if event.samples.len() > SAMPLES_MAX {
            event.samples.pop_front();
        }
    }

    /// What is known of each event, by name.
    pub fn all(&self) -> BTreeMap<&'static str, Event> {
        self.events().clone()
    }

    /// What is known of one event.
    pub fn event(&self, name: &[u8]) -> Option<Event> {
        let events = self.events();
        let name = std::str::from_utf8(name).ok()?;
        events.get(name).cloned()
    }

    /// Forgets the events that `is_meant` names; returns how many.
    pub fn reset(&self, is_meant: impl Fn(&str) -> bool) -> usize {
        let mut events = self.events();
        let before = events.len();
        events.retain(|name, _| !is_meant(name));
        before - events.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_each_second_is_kept_for_the_last_of_them() {
        let latency = Latency::default();
        for (unix_s, elapsed_ms) in [(1, 5), (1, 9), (1, 7), (2, 3)] {
            latency.add("command", Sample { unix_s, elapsed_ms });
        }
        let event = latency.event(b"command").unwrap();
        let samples: Vec<_> = event
            .samples
            .iter()
            .map(|s| (s.unix_s, s.elapsed_ms))
            .collect();
        assert_eq!((samples, event.max_ms), (vec![(1, 9), (2, 3)], 9));
        for unix_s in 3..1000 {
            latency.add(
                "command",
                Sample {
                    unix_s,
                    elapsed_ms: 1,
                },
            );
        }
        let event = latency.event(b"command").unwrap();
        assert_eq!((event.samples.len(), event.max_ms), (SAMPLES_MAX, 9));
        latency.add(
            "script",
            Sample {
                unix_s: 1,
                elapsed_ms: 1,
            },
        );
        assert_eq!(latency.reset(|name| name == "script"), 1);
        assert_eq!(latency.all().len(), 1);
        assert_eq!(latency.reset(|_| true), 1);
    }
}
