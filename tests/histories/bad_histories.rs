//! The checker itself: hand-made histories that it must refuse, by their right names, and others
//! that it must not.

use crate::checker::{Class, Report, check};
use crate::history::{
    BORN, Event, Family, GONE, History, Object, Outcome, State, Transaction, Value, Witness,
};
use crate::operations::write;

fn object(family: Family, slot: u16) -> Object {
    Object {
        family,
        slot,
        generation: 0,
    }
}

fn x() -> Object {
    object(Family::List, 0)
}

fn y() -> Object {
    object(Family::List, 1)
}

fn append(object: Object, value: Value) -> Event {
    Event::Append {
        object,
        value,
        length: None,
    }
}

fn read(object: Object, values: &[Value]) -> Event {
    Event::Read {
        object,
        values: values.into(),
    }
}

fn state(object: Object, state: State) -> Event {
    Event::State {
        object,
        state,
        companion: None,
    }
}

fn presence(object: Object, is_there: bool) -> Event {
    Event::Presence { object, is_there }
}

fn add(object: Object, value: Value) -> Event {
    Event::Add { object, value }
}

/// A history that is written down line by line.
#[derive(Default)]
struct Written {
    history: History,
}

impl Written {
    /// All transactions at the same time, by their events.
    fn of(transactions: impl IntoIterator<Item = Vec<Event>>) -> Written {
        let mut written = Written::default();
        for events in transactions {
            written = written.at(0, 100, events);
        }
        written
    }

    fn push(
        mut self,
        invoked: u64,
        completed: u64,
        outcome: Outcome,
        events: Vec<Event>,
    ) -> Written {
        let id = self.history.transactions.len() as u32;
        self.history.transactions.push(Transaction {
            id,
            client: id as usize,
            mode: "written down",
            invoked_ns: invoked,
            completed_ns: completed,
            outcome,
            events,
        });
        self
    }

    fn at(self, invoked: u64, completed: u64, events: Vec<Event>) -> Written {
        self.push(invoked, completed, Outcome::Committed, events)
    }

    fn aborted(self, events: Vec<Event>) -> Written {
        self.push(0, 100, Outcome::Aborted, events)
    }

    fn unknown(self, events: Vec<Event>) -> Written {
        self.push(0, u64::MAX, Outcome::Unknown, events)
    }

    fn finally(mut self, events: Vec<Event>) -> Written {
        self.history.final_read = Some(self.history.transactions.len());
        self.at(1000, 1001, events)
    }

    fn told(mut self, ids: &[u32]) -> Written {
        self.history.witnesses.push(Witness {
            channel: 0,
            name: "a subscriber".into(),
            ids: ids.to_vec(),
        });
        self
    }

    #[track_caller]
    fn is(&self, class: Class) {
        let report = check(&self.history);
        let classes: Vec<Class> = report.anomalies.iter().map(|found| found.class).collect();
        assert!(
            classes.contains(&class),
            "{class:?} is not among {classes:?}\n{}",
            report.text()
        );
    }

    #[track_caller]
    fn is_only(&self, class: Class) {
        let report = check(&self.history);
        let classes: Vec<Class> = report.anomalies.iter().map(|found| found.class).collect();
        assert_eq!(classes, [class], "\n{}", report.text());
    }

    #[track_caller]
    fn is_good(&self) {
        let report = check(&self.history);
        assert!(report.anomalies.is_empty(), "{}", report.text());
    }
}

#[test]
fn dirty_writes() {
    Written::of([
        vec![append(x(), 11), append(y(), 21)],
        vec![append(x(), 12), append(y(), 22)],
        vec![read(x(), &[11, 12])],
        vec![read(y(), &[22, 21])],
    ])
    .is_only(Class::DirtyWrite);
}

#[test]
fn aborted_reads() {
    let reads = Written::of([vec![read(x(), &[11])]]);
    reads
        .aborted(vec![append(x(), 11)])
        .is_only(Class::AbortedRead);
    let cell = object(Family::Cell, 0);
    Written::of([vec![state(cell, 11)]])
        .aborted(vec![write(cell, 0, 11)])
        .is_only(Class::AbortedRead);
    let keys = object(Family::Keys, 0);
    Written::of([vec![read(keys, &[11])]])
        .aborted(vec![add(keys, 11)])
        .is_only(Class::AbortedRead);
}

#[test]
fn intermediate_reads() {
    Written::of([
        vec![append(x(), 11), append(x(), 12)],
        vec![read(x(), &[11])],
        vec![read(x(), &[11, 12])],
    ])
    .is(Class::IntermediateRead);
    let cell = object(Family::Cell, 0);
    Written::of([
        vec![write(cell, 0, 11), write(cell, 11, 12)],
        vec![state(cell, 11)],
    ])
    .is_only(Class::IntermediateRead);
    let keys = object(Family::Keys, 0);
    Written::of([
        vec![add(keys, 11), add(keys, 12)],
        vec![read(keys, &[11])],
        vec![read(keys, &[11, 12])],
    ])
    .is(Class::IntermediateRead);
}

#[test]
fn circular_information_flow() {
    Written::of([
        vec![append(x(), 11), read(y(), &[21])],
        vec![append(y(), 21), read(x(), &[11])],
    ])
    .is_only(Class::CircularFlow);
}

#[test]
fn lost_updates() {
    Written::of([
        vec![read(x(), &[]), append(x(), 11)],
        vec![read(x(), &[]), append(x(), 12)],
        vec![read(x(), &[11, 12])],
    ])
    .is_only(Class::LostUpdate);
    let cell = object(Family::Cell, 0);
    Written::of([vec![write(cell, 0, 11)], vec![write(cell, 0, 12)]]).is_only(Class::LostUpdate);
}

#[test]
fn a_snapshot_torn_in_two() {
    Written::of([
        vec![append(x(), 11), append(y(), 21)],
        vec![read(x(), &[11]), read(y(), &[])],
        vec![read(y(), &[21])],
    ])
    .is_only(Class::ReadSkew);
    let pair = object(Family::Pair, 0);
    let torn = Event::State {
        object: pair,
        state: 11,
        companion: Some(12),
    };
    let deletes = Event::Write {
        object: pair,
        from: Some(11),
        to: 12,
        deletes: true,
    };
    Written::of([vec![write(pair, 0, 11)], vec![deletes], vec![torn]]).is_only(Class::TornState);
}

#[test]
fn write_skew() {
    Written::of([
        vec![read(x(), &[]), append(y(), 21)],
        vec![read(y(), &[]), append(x(), 11)],
        vec![read(x(), &[11]), read(y(), &[21])],
    ])
    .is_only(Class::WriteSkew);
    // Two who each found the other's key absent.
    let (one, other) = (object(Family::Cell, 0), object(Family::Cell, 1));
    Written::of([
        vec![presence(one, false), write(other, 0, 21)],
        vec![presence(other, false), write(one, 0, 11)],
    ])
    .is_only(Class::WriteSkew);
}

#[test]
fn long_forks() {
    Written::of([
        vec![append(x(), 11)],
        vec![append(y(), 21)],
        vec![read(x(), &[11]), read(y(), &[])],
        vec![read(x(), &[]), read(y(), &[21])],
    ])
    .is_only(Class::LongFork);
}

#[test]
fn stale_reads() {
    Written::default()
        .at(0, 10, vec![append(x(), 11)])
        .at(20, 30, vec![read(x(), &[])])
        .at(40, 50, vec![read(x(), &[11])])
        .is_only(Class::StaleRead);
    let mortal = object(Family::Mortal, 0);
    let deletes = Event::Write {
        object: mortal,
        from: Some(BORN),
        to: GONE,
        deletes: true,
    };
    Written::default()
        .at(0, 10, vec![deletes])
        .at(20, 30, vec![presence(mortal, true)])
        .is_only(Class::StaleRead);
}

#[test]
fn real_time_inversions() {
    Written::default()
        .at(0, 10, vec![append(x(), 12)])
        .at(20, 30, vec![append(x(), 11)])
        .at(0, 50, vec![read(x(), &[11, 12])])
        .is_only(Class::RealTimeInversion);
    // A read of the future.
    Written::default()
        .at(0, 10, vec![read(x(), &[11])])
        .at(20, 30, vec![append(x(), 11)])
        .is_only(Class::RealTimeInversion);
}

#[test]
fn phantoms() {
    let keys = object(Family::Keys, 0);
    Written::of([
        vec![read(keys, &[]), append(x(), 11)],
        vec![read(x(), &[]), add(keys, 31)],
        vec![read(keys, &[31]), read(x(), &[11])],
    ])
    .is_only(Class::Phantom);
    // Both named their key by what they had found.
    Written::of([
        vec![read(keys, &[]), add(keys, 31)],
        vec![read(keys, &[]), add(keys, 32)],
        vec![read(keys, &[31, 32])],
    ])
    .is_only(Class::Phantom);
    let count = object(Family::Count, 0);
    let found = |length, value| Event::Append {
        object: count,
        value,
        length: Some(length),
    };
    Written::of([vec![found(1, 11)], vec![found(1, 12)]]).is_only(Class::Phantom);
}

#[test]
fn reads_that_disagree() {
    Written::of([
        vec![append(x(), 11)],
        vec![append(x(), 12)],
        vec![read(x(), &[11])],
        vec![read(x(), &[12, 11])],
    ])
    .is(Class::IncompatibleOrder);
    let told = Event::Append {
        object: x(),
        value: 11,
        length: Some(2),
    };
    Written::of([
        vec![told],
        vec![append(x(), 12)],
        vec![read(x(), &[11, 12])],
    ])
    .is_only(Class::IncompatibleOrder);
}

#[test]
fn values_from_nowhere_and_values_twice() {
    Written::of([vec![read(x(), &[99])]]).is_only(Class::UnwrittenValue);
    Written::of([vec![append(x(), 11)], vec![read(x(), &[11, 11])]]).is(Class::Duplicate);
    let cell = object(Family::Cell, 0);
    Written::of([vec![state(cell, 99)]]).is_only(Class::UnwrittenValue);
    let keys = object(Family::Keys, 0);
    Written::of([vec![read(keys, &[99])]]).is_only(Class::UnwrittenValue);
}

#[test]
fn lost_own_writes() {
    Written::of([vec![append(x(), 11), read(x(), &[])]]).is_only(Class::LostOwnWrite);
    Written::of([vec![append(x(), 11), presence(x(), false)]]).is_only(Class::LostOwnWrite);
    let cell = object(Family::Cell, 0);
    Written::of([vec![write(cell, 0, 11), state(cell, 0)]]).is_only(Class::LostOwnWrite);
    let keys = object(Family::Keys, 0);
    Written::of([vec![add(keys, 11), read(keys, &[])]]).is_only(Class::LostOwnWrite);
}

#[test]
fn acknowledged_writes_that_are_lost() {
    Written::of([vec![append(x(), 11)]])
        .finally(vec![read(x(), &[])])
        .is_only(Class::LostWrite);
    let cell = object(Family::Cell, 0);
    Written::of([vec![write(cell, 0, 11)]])
        .finally(vec![state(cell, 0)])
        .is(Class::LostWrite);
    let keys = object(Family::Keys, 0);
    Written::of([vec![add(keys, 11)]])
        .finally(vec![read(keys, &[])])
        .is_only(Class::LostWrite);
    // Nobody deleted it, and it has no deadline.
    let mortal = object(Family::Mortal, 0);
    Written::of([vec![state(mortal, GONE)]]).is_only(Class::LostWrite);
    // Of a transaction that nobody knows the end of, all is there or nothing.
    Written::default()
        .unknown(vec![append(x(), 11), append(y(), 21)])
        .finally(vec![read(x(), &[11]), read(y(), &[])])
        .is(Class::LostWrite);
}

#[test]
fn effects() {
    let tells = |value| vec![append(x(), value), Event::Effect { channel: 0 }];
    let order = || vec![read(x(), &[11, 12])];
    let two = || Written::of([tells(11), tells(12), order()]);
    two().told(&[0, 1]).is_good();
    two().told(&[0, 1, 0]).is(Class::EffectTwice);
    two().told(&[0]).is_only(Class::EffectLost);
    two().told(&[1, 0]).is_only(Class::EffectOrder);
    Written::default()
        .aborted(tells(11))
        .told(&[0])
        .is_only(Class::EffectOfAborted);
    // Who waited for the reply comes later in the stream too.
    let only_tells = || vec![Event::Effect { channel: 0 }];
    Written::default()
        .at(0, 10, only_tells())
        .at(20, 30, only_tells())
        .told(&[1, 0])
        .is_only(Class::EffectOrder);
    Written::default().unknown(tells(11)).told(&[0]).is_good();
    Written::default().unknown(tells(11)).told(&[]).is_good();
    Written::default()
        .unknown(tells(11))
        .told(&[])
        .finally(vec![read(x(), &[11])])
        .is_only(Class::EffectLost);
}

#[test]
fn a_story_names_who_what_and_why() {
    let report = check(
        &Written::default()
            .at(0, 10_000_000, vec![append(x(), 11)])
            .at(20_000_000, 30_000_000, vec![read(x(), &[])])
            .at(40_000_000, 50_000_000, vec![read(x(), &[11])])
            .history,
    );
    let text = report.text();
    for part in [
        "stale read",
        "T0 (client 0, written down, 0.000 to 10.000 ms)",
        "appends 11 to list:0:0:",
        "T1 must come before T0: it did not see what the other wrote to list:0:0: (Rw)",
        "T0 must come before T1: it had ended before the other began (Time)",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

/// Writers and readers of every family, one after the other.
fn serial(transactions: u32) -> History {
    const LIFE: u32 = 100;
    let mut written = Written::default();
    let (mut elements, mut state_now, mut members) = (Vec::new(), 0, Vec::new());
    for number in 0..transactions {
        if number % LIFE == 0 {
            elements.clear();
            members.clear();
            state_now = 0;
        }
        let place = |family| Object {
            family,
            slot: 0,
            generation: (number / LIFE) as u16,
        };
        let value = 10 + number * 3;
        let (list, cell, keys) = (
            place(Family::List),
            place(Family::Cell),
            place(Family::Keys),
        );
        let events = vec![
            read(list, &elements),
            read(keys, &members),
            append(list, value),
            write(cell, state_now, value + 1),
            add(keys, value + 2),
            Event::Effect { channel: 0 },
        ];
        elements.push(value);
        members.push(value + 2);
        state_now = value + 1;
        let at = u64::from(number) * 10;
        // Each overlaps with its neighbours.
        written = written.at(at, at + 15, events);
    }
    let ids: Vec<u32> = (0..transactions).collect();
    written.told(&ids).history
}

#[test]
fn good_histories_are_good() {
    Written::default().is_good();
    Written::of([vec![read(x(), &[])], vec![append(x(), 11)]]).is_good();
    // Who overlaps may come in either order.
    Written::default()
        .at(0, 100, vec![append(x(), 11)])
        .at(50, 60, vec![read(x(), &[])])
        .at(70, 80, vec![read(x(), &[11])])
        .is_good();
    // One who began before another had ended is not held to have come later.
    Written::default()
        .at(0, 10, vec![append(x(), 11)])
        .at(10, 30, vec![read(x(), &[])])
        .is_good();
    Written::default()
        .unknown(vec![append(x(), 11), append(y(), 21)])
        .aborted(vec![append(x(), 12)])
        .finally(vec![read(x(), &[11]), read(y(), &[21])])
        .is_good();
    // A deadline makes a key absent without anybody's doing.
    let mortal = object(Family::Mortal, 0);
    Written::default()
        .at(
            0,
            10,
            vec![write(mortal, BORN, 11), Event::MayExpire { object: mortal }],
        )
        .at(20, 30, vec![state(mortal, 11)])
        .at(40, 50, vec![state(mortal, GONE), append(x(), 21)])
        .finally(vec![state(mortal, GONE), read(x(), &[21])])
        .is_good();
    // After it has expired nobody sees it.
    Written::default()
        .at(0, 10, vec![Event::MayExpire { object: mortal }])
        .at(20, 30, vec![state(mortal, GONE)])
        .at(40, 50, vec![state(mortal, BORN)])
        .is_only(Class::StaleRead);
    let history = serial(1000);
    assert!(check(&history).anomalies.is_empty());
}

#[test]
fn the_cost_grows_with_the_history_and_no_faster() {
    let reports: [Report; 2] = [serial(2_000), serial(20_000)].map(|history| check(&history));
    let [small, large] = reports;
    assert!(small.anomalies.is_empty() && large.anomalies.is_empty());
    assert!(small.edges > 2_000 * 4);
    assert!(large.edges <= small.edges * 12, "{} edges", large.edges);
    assert!(large.steps <= small.steps * 12, "{} steps", large.steps);
}
