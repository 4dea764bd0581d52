//! How many schedules, from which seed, by which scheduler.

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Schedules that each test makes.
pub(crate) fn schedules() -> usize {
    number("SCHEDULES", 300) as usize
}

/// Runs `body` under `scheduler`, which says how often.
pub(crate) fn run_with(
    scheduler: impl Scheduler + 'static,
    body: impl Fn() + Send + Sync + 'static,
) {
    let mut config = Config::new();
    config.stack_size = 512 * 1024;
    config.max_steps = MaxSteps::FailAfter(200_000);
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(body);
}

/// Runs `body` under schedules with few switches, at the places where they hurt most.
pub(crate) fn rare(body: impl Fn() + Send + Sync + 'static) {
    let (seed, schedules) = (number("SEED", 0), schedules());
    println!("SEED={seed} SCHEDULES={schedules}");
    run_with(PctScheduler::new_from_seed(seed, 5, schedules), body);
}

/// Runs `body` under many schedules: half of them any, half of them with few switches at the
/// places where they hurt most (PCT).
pub(crate) fn many(body: impl Fn() + Send + Sync + Clone + 'static) {
    let seed = number("SEED", 0);
    let half = schedules().div_ceil(2);
    println!("SEED={seed} SCHEDULES={}", 2 * half);
    run_with(RandomScheduler::new_from_seed(seed, half), body.clone());
    run_with(PctScheduler::new_from_seed(seed, 4, half), body);
}
