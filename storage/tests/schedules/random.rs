//! Random programs.

use shuttle::rand::{Rng, thread_rng};

use crate::operation::{Key, Step, Way};
use crate::program::{Action, Program};
use crate::runner::many;

const KEYS: Key = 3;

fn key() -> Key {
    thread_rng().gen_range(1..=KEYS)
}

fn one_of<T: Copy>(all: &[T]) -> T {
    all[thread_rng().gen_range(0..all.len())]
}

/// A value that no other step writes.
fn value(next: &mut i64) -> i64 {
    *next += 10;
    *next
}

fn step(next: &mut i64) -> Step {
    match thread_rng().gen_range(0..9) {
        0 | 1 => Step::Get(key()),
        2 => Step::Set(key(), value(next)),
        3 => Step::Delete(key()),
        4 => Step::Add(key(), 1),
        5 | 6 => Step::Copy(key(), key(), value(next)),
        7 => Step::Rename(key(), key()),
        _ => one_of(&[Step::Keys(2), Step::CountInto(key()), Step::Keys(0)]),
    }
}

fn action(next: &mut i64) -> Action {
    match thread_rng().gen_range(0..13) {
        0 => Action::Snapshot(vec![Step::Get(1), Step::Get(2), Step::Get(3)]),
        1 => Action::Maintain,
        2 if thread_rng().gen_bool(0.3) => Action::Listen,
        2 => Action::Run(
            Way::Snapshot,
            vec![Step::Get(key()), Step::Keys(0), Step::Get(key())],
        ),
        3 => {
            let way = one_of(&[Way::Exclusive, Way::Kept]);
            Action::Run(way, vec![step(next), step(next)])
        }
        4 => Action::Run(Way::Killed, vec![step(next), step(next)]),
        5 => Action::Run(
            one_of(&[Way::Exclusive, Way::Killed]),
            vec![Step::Flush, step(next)],
        ),
        6 | 7 => Action::Run(Way::Direct, vec![step(next)]),
        8 => Action::Run(Way::Direct, vec![step(next), step(next)]),
        9 => Action::Run(
            one_of(&[Way::Optimistic, Way::Exclusive]),
            vec![step(next), Step::Undone(key()), step(next)],
        ),
        10 => Action::Run(Way::Optimistic, vec![step(next)]),
        _ => Action::Run(Way::Optimistic, vec![step(next), step(next), step(next)]),
    }
}

/// As `action`, with snapshots that are ended.
fn action_that_ends(next: &mut i64) -> Action {
    match thread_rng().gen_range(0..8) {
        0..3 => Action::Snapshot(vec![Step::Get(1), Step::Get(2), Step::Get(3)]),
        3 => Action::EndSnapshots,
        4 => Action::Maintain,
        5 => Action::Run(Way::Direct, vec![step(next), step(next)]),
        _ => Action::Run(Way::Direct, vec![step(next)]),
    }
}

fn program(listens: bool) -> Program {
    program_of(listens, action)
}

fn program_of(listens: bool, action: impl Fn(&mut i64) -> Action) -> Program {
    let mut next = 0;
    let before = (1..=KEYS)
        .filter(|_| thread_rng().gen_bool(0.5))
        .map(|key| Step::Set(key, i64::from(key)))
        .collect();
    let threads = thread_rng().gen_range(2..=3);
    let most = if threads == 2 { 3 } else { 2 };
    let threads = (0..threads)
        .map(|_| {
            let actions = thread_rng().gen_range(1..=most);
            (0..actions).map(|_| action(&mut next)).collect()
        })
        .collect();
    Program {
        before,
        threads,
        listens,
    }
}

#[test]
fn random_programs() {
    many(|| program(false).run());
}

#[test]
fn random_programs_with_somebody_who_listens() {
    many(|| program(true).run());
}

/// One operation a thread: rare races are found sooner where little else happens.
#[test]
fn tiny_programs() {
    many(|| {
        let mut next = 0;
        let before = vec![Step::Set(1, 1)];
        let threads = (0..3).map(|_| vec![action(&mut next)]).collect();
        let program = Program {
            before,
            threads,
            listens: false,
        };
        program.run();
    });
}

/// Keys that expire, and time that passes.
#[test]
fn programs_with_deadlines() {
    many(|| {
        let mut next = 0;
        let until_ms = || thread_rng().gen_range(2..6);
        let before = vec![
            Step::SetUntil(1, 1, until_ms()),
            Step::SetUntil(2, 2, until_ms()),
        ];
        let mut threads: Vec<Vec<Action>> = (0..2)
            .map(|_| {
                let step = |next: &mut i64| match thread_rng().gen_range(0..3) {
                    0 => Step::SetUntil(key(), value(next), thread_rng().gen_range(2..6)),
                    _ => step(next),
                };
                (0..2)
                    .map(|_| {
                        let way =
                            one_of(&[Way::Direct, Way::Optimistic, Way::Direct, Way::Exclusive]);
                        Action::Run(way, vec![step(&mut next), step(&mut next)])
                    })
                    .collect()
            })
            .collect();
        threads.push(vec![Action::Time(3), Action::Maintain, Action::Time(6)]);
        let program = Program {
            before,
            threads,
            listens: thread_rng().gen_bool(0.5),
        };
        program.run();
    });
}

#[test]
fn random_programs_whose_snapshots_are_ended() {
    many(|| program_of(false, action_that_ends).run());
}
