//! What a run of a program saw, and whether a serial order explains it: one that agrees with real
//! time, and in which what the stream of effects shows has the stream's order.

use std::collections::HashSet;

use crate::operation::{Model, Seen, Step, View, Way};

/// An operation that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) thread: usize,
    pub(crate) way: Way,
    pub(crate) steps: Vec<Step>,
    pub(crate) seen: Seen,
    /// When it began and ended, on a clock that counts both.
    pub(crate) began: usize,
    pub(crate) ended: usize,
    /// It moved the time on to this. Time passes by itself: nothing need have happened before.
    pub(crate) time_ms: Option<u64>,
    /// What it publishes, if it does.
    pub(crate) id: Option<i64>,
}

/// Says why no serial order explains a history.
#[derive(Debug)]
pub(crate) struct Unexplained;

struct Search<'h> {
    done: &'h [Done],
    /// The order of those who published.
    stream: Vec<usize>,
    dead_ends: HashSet<(u64, usize, Model)>,
}

impl Search<'_> {
    /// Whether the operations that `placed` lacks can follow on `model`. O(2^n · states) at worst.
    fn explains(&mut self, placed: u64, streamed: usize, model: &Model) -> bool {
        if placed.count_ones() as usize == self.done.len() {
            return true;
        }
        if !self.dead_ends.insert((placed, streamed, model.clone())) {
            return false;
        }
        let open = || (0..self.done.len()).filter(|index| placed & (1 << index) == 0);
        let first_end = open().map(|index| self.done[index].ended).min().unwrap();
        let candidates: Vec<usize> = open()
            .filter(|index| {
                self.done[*index].time_ms.is_some() || self.done[*index].began < first_end
            })
            .collect();
        for index in candidates {
            let is_streamed = self.stream.contains(&index);
            if is_streamed && self.stream[streamed] != index {
                continue;
            }
            let Some(after) = self.done[index].after(model) else {
                continue;
            };
            let streamed = streamed + usize::from(is_streamed);
            if self.explains(placed | 1 << index, streamed, &after) {
                return true;
            }
        }
        false
    }
}

impl Done {
    /// The model after the operation, if it sees there what it saw.
    fn after(&self, model: &Model) -> Option<Model> {
        let mut after = model.clone();
        if let Some(time_ms) = self.time_ms {
            after.now_ms = after.now_ms.max(time_ms);
            return Some(after);
        }
        let mut seen = Vec::new();
        for step in &self.steps {
            step.run(&mut after, &mut seen);
        }
        if seen != self.seen {
            return None;
        }
        Some(if self.way == Way::Killed {
            model.clone()
        } else {
            after
        })
    }
}

/// Looks for a serial order of `done` from `before` on, in which those who published come in the
/// order of `stream`.
pub(crate) fn explain(done: &[Done], stream: &[i64], before: &Model) -> Result<(), Unexplained> {
    let place = |id: &i64| done.iter().position(|done| done.id == Some(*id)).unwrap();
    let mut search = Search {
        done,
        stream: stream.iter().map(place).collect(),
        dead_ends: HashSet::new(),
    };
    if search.explains(0, 0, before) {
        Ok(())
    } else {
        Err(Unexplained)
    }
}

/// The history, for people.
pub(crate) fn story(done: &[Done], stream: &[i64]) -> String {
    let mut lines: Vec<String> = done
        .iter()
        .map(|done| {
            format!(
                "{:>3}..{:<3} thread {} {:?} {:?} saw {:?}",
                done.began, done.ended, done.thread, done.way, done.steps, done.seen
            )
        })
        .collect();
    lines.push(format!("published in the order {stream:?}"));
    lines.join("\n")
}

#[test]
fn a_lost_update_and_a_stale_read_are_found() {
    let done = |thread, began, ended, step: Step, seen: Seen| Done {
        thread,
        way: Way::Direct,
        steps: vec![step],
        seen,
        began,
        ended,
        time_ms: None,
        id: None,
    };
    let good = [
        done(0, 0, 3, Step::Add(1, 1), vec![1]),
        done(1, 1, 2, Step::Add(1, 1), vec![2]),
        done(1, 4, 5, Step::Get(1), vec![2]),
    ];
    assert!(explain(&good, &[], &Model::default()).is_ok());
    let mut lost = good.clone();
    lost[1].seen = vec![1];
    assert!(explain(&lost, &[], &Model::default()).is_err());
    let mut stale = good.clone();
    stale[2].seen = vec![1];
    assert!(explain(&stale, &[], &Model::default()).is_err());
    let mut model = Model::default();
    model.set(1, 7, 0);
    assert!(explain(&good, &[], &model).is_err());
}
