//! One small program for each race that is too rare to be met by chance. What the race is says the
//! comment; `fault!` has its counterpart.

use crate::operation::Step::{self, Add, Copy, Delete, Flush, Get, Keys, Rename, Set, SetUntil};
use crate::operation::Way::{Direct, Exclusive, Kept, Killed, Optimistic, Snapshot};
use crate::operation::{Key, Way};
use crate::program::{Action, Program};
use crate::runner::{many, rare};

fn run(way: Way, steps: &[Step]) -> Action {
    Action::Run(way, steps.to_vec())
}

fn set(key: Key, value: i64) -> Action {
    run(Direct, &[Set(key, value)])
}

fn get(key: Key) -> Action {
    run(Direct, &[Get(key)])
}

fn races(before: &[Step], threads: &[&[Action]]) {
    race(before, threads, false);
}

/// The same while somebody listens.
fn heard_races(before: &[Step], threads: &[&[Action]]) {
    race(before, threads, true);
}

fn race(before: &[Step], threads: &[&[Action]], listens: bool) {
    let program = Program {
        before: before.to_vec(),
        threads: threads.iter().map(|actions| actions.to_vec()).collect(),
        listens,
    };
    rare(move || program.run());
}

/// Two that do not publish (they are the second of their threads), each as the first thread.
fn heard_both_ways(before: &[Step], one: Action, other: Action) {
    let first = Action::Maintain;
    let (one, other) = ([first.clone(), one], [first, other]);
    heard_races(before, &[&one, &other]);
    heard_races(before, &[&other, &one]);
}

/// A number is loaded for a write, a snapshot is drawn, another write gets a later number; then a
/// reader of the second must see the first.
#[test]
fn a_write_between_its_number_and_its_stamp() {
    let snapshot = run(Snapshot, &[Get(1), Get(2)]);
    races(
        &[Set(1, 1), Set(2, 2)],
        &[&[set(1, 10)], &[snapshot], &[set(2, 20), get(1)]],
    );
}

/// The same number, read at twice.
#[test]
fn a_snapshot_before_and_after_a_stamp() {
    let snapshot = Action::Snapshot(vec![Get(1)]);
    races(&[Set(1, 1)], &[&[set(1, 10)], &[snapshot]]);
}

#[test]
fn a_numbered_commit_between_its_number_and_its_decision() {
    let snapshot = run(Snapshot, &[Get(1), Get(2)]);
    let numbered = run(Optimistic, &[Copy(3, 1, 10)]);
    races(
        &[Set(1, 1), Set(2, 2)],
        &[&[numbered], &[snapshot], &[set(2, 20), get(1)]],
    );
}

#[test]
fn a_commit_of_several_keys_that_draws_no_number() {
    let snapshot = run(Snapshot, &[Get(1), Get(3), Get(2)]);
    let blind = run(Direct, &[Set(1, 10), Set(3, 30)]);
    races(
        &[Set(1, 1), Set(2, 2), Set(3, 3)],
        &[&[blind], &[snapshot], &[set(2, 20), get(3)]],
    );
}

/// What lies under a version is cut once its fate is known.
#[test]
fn a_reader_of_what_lies_under_a_commit_that_is_cut_meanwhile() {
    let blind = run(Direct, &[Set(1, 10), Set(2, 20)]);
    let reads = [get(1), get(1), get(1)];
    races(&[Set(1, 1), Set(2, 2)], &[&[blind], &reads, &reads]);
}

/// A helper may still install what its owner has given up.
#[test]
fn a_helper_that_comes_late_to_an_aborted_commit() {
    let loses = run(Optimistic, &[Copy(2, 1, 5), Set(3, 33)]);
    races(
        &[Set(1, 1), Set(2, 2), Set(3, 3)],
        &[&[loses], &[set(3, 7)], &[set(2, 9), get(1)]],
    );
}

/// A writer that looked a record up before it died may put it back into the directory.
#[test]
fn a_record_that_is_made_again_while_it_is_removed() {
    let delete = run(Direct, &[Delete(1)]);
    races(
        &[Set(1, 1)],
        &[
            &[delete.clone(), set(1, 10)],
            &[set(1, 20), delete.clone()],
            &[delete, Action::Maintain, get(1)],
        ],
    );
}

#[test]
fn a_gate_that_opens_while_others_enlist() {
    races(
        &[Set(1, 1)],
        &[
            &[run(Exclusive, &[Add(1, 1)]), run(Killed, &[Add(1, 5)])],
            &[run(Exclusive, &[Copy(1, 2, 1)])],
            &[set(1, 10), run(Optimistic, &[Add(1, 1)])],
        ],
    );
}

#[test]
fn a_gate_that_is_kept_from_one_to_the_next() {
    races(
        &[Set(1, 1)],
        &[
            &[run(Kept, &[Add(1, 1)]), run(Kept, &[Copy(1, 2, 1)])],
            &[run(Kept, &[Add(2, 5)])],
            &[set(1, 10), run(Optimistic, &[Add(1, 1)])],
        ],
    );
}

/// Nobody opens it again who would wake one that enlisted too late.
#[test]
fn a_gate_that_opens_for_the_last_time() {
    races(
        &[Set(1, 1)],
        &[&[run(Exclusive, &[Add(1, 1)])], &[set(1, 10)]],
    );
}

/// Several that lose often enough to line up.
#[test]
fn a_queue_that_moves_on() {
    let add = run(Optimistic, &[Add(1, 1), Add(2, 1), Add(3, 1)]);
    let thread = [add.clone(), add.clone(), add];
    let program = Program {
        before: vec![Set(1, 0)],
        threads: vec![thread.to_vec(); 4],
        listens: false,
    };
    // Many switches: they are to lose often.
    many(move || program.run());
}

/// What the gate's owner has only read is overwritten right after.
#[test]
fn what_an_exclusive_transaction_read_keeps_its_place() {
    let exclusive = run(Exclusive, &[Copy(2, 1, 50)]);
    let overwrite = run(Direct, &[Set(2, 22), Set(3, 3)]);
    heard_both_ways(&[Set(2, 2)], exclusive, overwrite);
}

#[test]
fn what_is_acknowledged_is_told_before_what_begins_then() {
    let thread = |key| {
        let write = |value| run(Direct, &[Set(key, value), Set(key + 3, value)]);
        [Action::Maintain, write(10), Action::Maintain, write(20)]
    };
    heard_races(&[], &[&thread(1), &thread(2), &thread(3)]);
}

#[test]
fn a_flush_is_told_before_what_is_written_after_it() {
    let flush = run(Exclusive, &[Flush, Delete(3)]);
    let write = run(Direct, &[Get(1), Set(1, 10)]);
    heard_both_ways(&[Set(1, 1)], flush, write);
}

#[test]
fn a_snapshot_has_the_time_of_its_number() {
    races(
        &[SetUntil(1, 1, 3), Set(3, 10), SetUntil(2, 20, 5)],
        &[
            &[run(Optimistic, &[Get(2), Keys(2), Get(3)])],
            &[run(Direct, &[SetUntil(2, 30, 2), Rename(1, 3)])],
            &[Action::Time(6)],
        ],
    );
}

/// Who sees a key expired sees also what was made of it before.
#[test]
fn the_time_stands_still_for_the_owner_of_the_gate() {
    races(
        &[SetUntil(1, 1, 3)],
        &[
            &[run(Exclusive, &[Copy(1, 2, 5)])],
            &[Action::Time(3), get(1), get(2)],
        ],
    );
}

#[test]
fn a_deleted_key_stays_until_it_is_told() {
    let delete = run(Direct, &[Delete(1)]);
    let clean_up = [Action::Maintain, Action::Maintain, Action::Maintain];
    heard_races(&[Set(1, 1)], &[&[Action::Maintain, delete], &clean_up]);
}

/// A commit is given up over the tombstone of a deleted key, and never comes again.
#[test]
fn a_deleted_key_under_an_aborted_version_goes() {
    races(
        &[Set(1, 1), Set(2, 2)],
        &[
            &[run(Optimistic, &[Rename(2, 1), Get(3)])],
            &[run(Direct, &[Delete(1)])],
            &[run(Direct, &[Delete(2)]), set(3, 1)],
        ],
    );
}

/// Deadlines of keys that were only counted.
#[test]
fn keys_in_a_range_live_until_the_commit() {
    races(
        &[SetUntil(1, 1, 3)],
        &[
            &[run(Direct, &[Keys(0), Set(2, 20)])],
            &[Action::Time(3), get(1), get(2)],
        ],
    );
}

/// Deadlines that were given meanwhile to keys that were only counted.
#[test]
fn keys_in_a_range_live_until_the_commit_whatever_was_put_there() {
    races(
        &[SetUntil(1, 1, 9)],
        &[
            &[run(Direct, &[Keys(0), Set(2, 20)])],
            &[
                run(Direct, &[SetUntil(1, 10, 3)]),
                Action::Time(4),
                get(1),
                get(2),
            ],
        ],
    );
}

/// It was to delete a key that was not there, and then was.
#[test]
fn a_key_that_comes_where_there_was_nothing_to_delete() {
    let moves = run(Direct, &[Set(1, 50), Rename(1, 2)]);
    let comes = run(Direct, &[Get(2), Set(1, 30)]);
    races(&[], &[&[moves], &[comes]]);
}

/// What a snapshot kept is cut when it is ended, not under those who read there.
#[test]
fn a_snapshot_that_is_ended_while_it_is_read() {
    let snapshot = Action::Snapshot(vec![Get(1), Get(2)]);
    races(
        &[Set(1, 1), Set(2, 2)],
        &[
            &[snapshot],
            &[
                set(1, 10),
                set(2, 20),
                Action::EndSnapshots,
                Action::Maintain,
                Action::Maintain,
            ],
        ],
    );
}

/// The slot of one that was ended goes to another, which is not ended for it.
#[test]
fn a_slot_that_is_used_again_while_its_snapshot_is_ended() {
    let snapshot = Action::Snapshot(vec![Get(1)]);
    races(
        &[Set(1, 1)],
        &[
            &[snapshot.clone(), snapshot],
            &[
                set(1, 10),
                Action::EndSnapshots,
                set(1, 20),
                Action::Maintain,
            ],
        ],
    );
}

/// Who passes a commit takes what lies under it as it is: its number must be final.
#[test]
fn a_write_without_a_number_under_a_commit() {
    let commit = run(Direct, &[Set(1, 20), Set(3, 30)]);
    let snapshot = Action::Snapshot(vec![Get(1)]);
    races(
        &[Set(1, 1), Set(3, 3)],
        &[&[set(1, 10)], &[commit], &[get(1), snapshot]],
    );
}

/// One number, read at before and after a commit has got its own.
#[test]
fn a_snapshot_before_and_after_a_decision() {
    let blind = run(Direct, &[Set(1, 10), Set(3, 30)]);
    let snapshot = Action::Snapshot(vec![Get(1)]);
    races(&[Set(1, 1)], &[&[blind], &[snapshot]]);
}

/// Whoever meets a write may give it its number before its writer goes on.
#[test]
fn a_write_is_announced_before_anybody_can_meet_it() {
    let later = run(Direct, &[Set(2, 1), Set(3, 1)]);
    heard_races(
        &[Set(1, 1)],
        &[
            &[Action::Maintain, set(1, 10)],
            &[get(1), later.clone(), get(1), later],
        ],
    );
}
