//! Races that need two threads to stand still at one place each, while others go on: all such pairs
//! of places, one after the other, where schedules drawn at random would need millions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

use crate::operation::Step::{self, Delete, Get, Rename, Set};
use crate::operation::Way::{self, Direct, Optimistic};
use crate::program::{Action, Program};
use crate::runner::run_with;

const FIRST: usize = 1;
const SECOND: usize = 2;

/// The first thread goes `stops.0` steps, the second `stops.1`; the others go to their ends, then
/// the first does, then the second.
struct TwoStops {
    stops: (usize, usize),
    taken: (usize, usize),
    begun: bool,
    draws: u64,
    executions: Arc<AtomicUsize>,
}

impl TwoStops {
    /// The next pair; `None` after the last one: a thread that has ended before its stop has
    /// no more of them.
    fn next_stops(&self) -> Option<(usize, usize)> {
        let (first, second) = self.stops;
        match self {
            TwoStops { begun: false, .. } => Some((0, 0)),
            TwoStops { taken, .. } if taken.1 >= second => Some((first, second + 1)),
            TwoStops { taken, .. } if taken.0 >= first => Some((first + 1, 0)),
            _ => None,
        }
    }

    /// Who is preferred to whom: less is sooner.
    fn rank(&self, task: usize) -> usize {
        match task {
            FIRST if self.taken.0 < self.stops.0 => 0,
            SECOND if self.taken.1 < self.stops.1 => 1,
            FIRST => 3,
            SECOND => 4,
            _ => 2,
        }
    }
}

impl Scheduler for TwoStops {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.stops = self.next_stops()?;
        self.taken = (0, 0);
        self.begun = true;
        self.draws = 0;
        self.executions.fetch_add(1, Ordering::Relaxed);
        Some(Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        // Who yields waits for somebody else.
        let others = runnable
            .iter()
            .map(|task| task.id())
            .filter(|task| !(is_yielding && Some(*task) == current));
        let next = others
            .min_by_key(|task| self.rank(usize::from(*task)))
            .or(current)?;
        match usize::from(next) {
            FIRST => self.taken.0 += 1,
            SECOND => self.taken.1 += 1,
            _ => {}
        }
        Some(next)
    }

    fn next_u64(&mut self) -> u64 {
        self.draws += 1;
        self.draws
    }
}

/// Runs the program once for each pair of places. How often that was.
fn stop_two(before: &[Step], threads: &[&[Action]]) -> usize {
    let program = Program {
        before: before.to_vec(),
        threads: threads.iter().map(|actions| actions.to_vec()).collect(),
        listens: false,
    };
    let executions = Arc::new(AtomicUsize::new(0));
    let scheduler = TwoStops {
        stops: (0, 0),
        taken: (0, 0),
        begun: false,
        draws: 0,
        executions: Arc::clone(&executions),
    };
    run_with(scheduler, move || program.run());
    executions.load(Ordering::Relaxed)
}

fn run(way: Way, steps: &[Step]) -> Action {
    Action::Run(way, steps.to_vec())
}

/// A commit's helper is about to install its last version when the commit is given up. What runs
/// again finds nothing to rename, so nobody else writes there.
#[test]
fn a_helper_that_comes_too_late() {
    let loses = run(Optimistic, &[Get(2), Rename(1, 3)]);
    let helps = run(Direct, &[Set(1, 7)]);
    let spoils = [run(Direct, &[Set(2, 9)]), run(Direct, &[Delete(1)])];
    let pairs = stop_two(
        &[Set(1, 1), Set(2, 2), Set(3, 3)],
        &[&[loses], &[helps], &spoils],
    );
    println!("{pairs} pairs");
    assert!(pairs > 1_000);
}
