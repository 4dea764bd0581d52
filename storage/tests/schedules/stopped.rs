//! Lock-freedom: one thread stands still for ever at any of its steps, and the others all finish.
//! Two may wait for it, as documented: who takes the gate while a thread stands still inside a
//! storage call, and who lines up behind the head of a key's queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use shuttle::scheduler::{RandomScheduler, Schedule, Scheduler, Task, TaskId};

use crate::operation::{Step, Way};
use crate::program::{Action, Stage};
use crate::runner::run_with;

/// Schedules for each step at which the thread stands still.
const SCHEDULES_PER_STEP: usize = 3;
/// Steps of others after which the one that stands still is taken to be waited for.
const PATIENCE: usize = 20_000;

/// What the scheduler and the program tell each other.
#[derive(Default)]
struct Signals {
    /// The others have finished, or waited in vain: the thread may go on.
    may_go_on: AtomicBool,
    /// In this execution the others could not finish.
    is_waited_for: AtomicBool,
    /// In some execution they could not, though nobody had lined up in a queue.
    was_waited_for: AtomicBool,
    /// The last step at which the thread could be stopped.
    steps: AtomicUsize,
}

/// Stops the first thread that the main one spawns before its n-th step: n grows by one every few
/// executions, until the thread has no such step.
struct Stopping {
    any: RandomScheduler,
    signals: Arc<Signals>,
    stops_at: usize,
    execution: usize,
    taken: usize,
    waited: usize,
}

impl Stopping {
    const VICTIM: usize = 1;
}

impl Scheduler for Stopping {
    fn new_execution(&mut self) -> Option<Schedule> {
        // It has had its one execution; else it says that the last one failed.
        self.any.new_execution();
        if self.execution > 0 && self.taken < self.stops_at {
            return None;
        }
        self.any = RandomScheduler::new_from_seed(self.execution as u64, 1);
        self.stops_at = self.execution / SCHEDULES_PER_STEP;
        self.execution += 1;
        self.taken = 0;
        self.waited = 0;
        self.signals.may_go_on.store(false, Ordering::Relaxed);
        self.signals.is_waited_for.store(false, Ordering::Relaxed);
        self.signals.steps.store(self.stops_at, Ordering::Relaxed);
        self.any.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let victim = TaskId::from(Stopping::VICTIM);
        let stands = self.taken >= self.stops_at && !self.signals.may_go_on.load(Ordering::Relaxed);
        let others: Vec<&Task> = runnable
            .iter()
            .copied()
            .filter(|task| !(stands && task.id() == victim))
            .collect();
        self.waited += usize::from(stands);
        if others.is_empty() || self.waited > PATIENCE {
            self.signals.is_waited_for.store(true, Ordering::Relaxed);
            self.signals.may_go_on.store(true, Ordering::Relaxed);
            return self.any.next_task(runnable, current, is_yielding);
        }
        let next = self.any.next_task(&others, current, is_yielding);
        self.taken += usize::from(next == Some(victim));
        next
    }

    fn next_u64(&mut self) -> u64 {
        self.any.next_u64()
    }
}

/// Lets one thread do `action` and stand still at each of its steps in turn, while others do
/// `others`. How many steps there were, and whether anybody had to wait for it.
fn stop_everywhere(action: &Action, others: &[Vec<Action>], listens: bool) -> (usize, bool) {
    let signals = Arc::new(Signals::default());
    let scheduler = Stopping {
        any: RandomScheduler::new_from_seed(0, 0),
        signals: Arc::clone(&signals),
        stops_at: 0,
        execution: 0,
        taken: 0,
        waited: 0,
    };
    let before = vec![Step::Set(1, 1), Step::SetUntil(2, 2, 3), Step::Set(3, 3)];
    let (action, others, shared) = (action.clone(), others.to_vec(), Arc::clone(&signals));
    run_with(scheduler, move || {
        let stage = Stage::new(&before, listens);
        let stopped = stage.spawn(0, std::slice::from_ref(&action));
        let others: Vec<_> = (1..)
            .zip(&others)
            .map(|(number, actions)| stage.spawn(number, actions))
            .collect();
        for thread in others {
            thread.join().unwrap();
        }
        if shared.is_waited_for.load(Ordering::Relaxed) && !stage.has_queued() {
            shared.was_waited_for.store(true, Ordering::Relaxed);
        }
        shared.may_go_on.store(true, Ordering::Relaxed);
        stopped.join().unwrap();
        stage.check();
    });
    (
        signals.steps.load(Ordering::Relaxed),
        signals.was_waited_for.load(Ordering::Relaxed),
    )
}

fn run(way: Way, steps: &[Step]) -> Action {
    Action::Run(way, steps.to_vec())
}

/// What somebody may stand still in.
fn actions() -> Vec<Action> {
    use Step::{Add, Copy, Delete, Get, Keys, Rename, Set};
    vec![
        run(Way::Direct, &[Set(1, 10)]),
        run(Way::Direct, &[Delete(1)]),
        run(Way::Direct, &[Add(2, 1)]),
        run(Way::Direct, &[Set(1, 10), Set(2, 20), Set(3, 30)]),
        run(Way::Direct, &[Get(1), Get(2)]),
        run(Way::Optimistic, &[Copy(1, 2, 5)]),
        run(Way::Optimistic, &[Keys(0), Set(4, 40)]),
        run(Way::Optimistic, &[Rename(1, 5), Copy(3, 2, 7)]),
        run(Way::Snapshot, &[Get(1), Keys(1)]),
        Action::Maintain,
    ]
}

/// What the others do: every kind of access to the same keys.
fn others() -> Vec<Vec<Action>> {
    use Step::{Add, Copy, Delete, Get, Keys, Set};
    vec![
        vec![
            run(Way::Optimistic, &[Copy(2, 1, 100)]),
            Action::Time(4),
            run(Way::Direct, &[Delete(3), Add(1, 1)]),
        ],
        vec![
            run(Way::Direct, &[Set(2, 200)]),
            run(Way::Snapshot, &[Get(1), Get(2), Get(3)]),
            run(Way::Optimistic, &[Keys(0), Get(3), Set(2, 300)]),
            Action::Maintain,
        ],
    ]
}

#[test]
fn nobody_waits_for_one_that_stands_still() {
    for listens in [false, true] {
        for action in actions() {
            let (steps, was_waited_for) = stop_everywhere(&action, &others(), listens);
            println!("{action:?}: stopped at each of {steps} steps");
            assert!(steps > 5, "{action:?} was stopped at {steps} steps only");
            assert!(!was_waited_for, "somebody waited for {action:?}");
        }
    }
}

#[test]
fn the_gate_waits_for_one_that_stands_still_inside_a_call() {
    let action = run(Way::Direct, &[Step::Set(1, 10), Step::Set(2, 20)]);
    let taker = vec![vec![run(Way::Exclusive, &[Step::Copy(1, 2, 5)])]];
    let (_, was_waited_for) = stop_everywhere(&action, &taker, false);
    assert!(was_waited_for);
    let reader = run(Way::Snapshot, &[Step::Get(1), Step::Get(2)]);
    let (_, was_waited_for) = stop_everywhere(&reader, &taker, false);
    assert!(!was_waited_for, "the gate waited for a reader");
}

#[test]
fn readers_pass_a_gate_whose_owner_stands_still() {
    let owner = run(Way::Exclusive, &[Step::Copy(1, 2, 5), Step::Set(3, 1)]);
    let read = [Step::Get(1), Step::Get(2), Step::Keys(0)];
    let readers = vec![vec![
        run(Way::Snapshot, &read),
        run(Way::Direct, &[Step::Get(2)]),
        Action::Snapshot(vec![Step::Get(1), Step::Get(2)]),
    ]];
    let (_, was_waited_for) = stop_everywhere(&owner, &readers, false);
    assert!(!was_waited_for);
}
