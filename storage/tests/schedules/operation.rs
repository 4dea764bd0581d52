//! What the programs do: each operation is written once, and done to the store and to a model.

use std::collections::BTreeMap;

use darter_storage::{Deadline, Mode, StringValue, Transaction, Value, ValueRef};

/// How an operation runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As the server runs commands: the newest of each key.
    Direct,
    /// As it runs atomic scripts.
    Optimistic,
    /// As it runs scripts that only read.
    Snapshot,
    /// With the gate closed.
    Exclusive,
    /// As one that is exclusive, with the gate that another has kept for it.
    Kept,
    /// With the gate closed, and given up at the end.
    Killed,
}

impl Way {
    pub(crate) fn mode(self) -> Mode {
        match self {
            Way::Direct => Mode::Direct,
            Way::Snapshot => Mode::Snapshot,
            Way::Optimistic | Way::Exclusive | Way::Kept | Way::Killed => Mode::Optimistic,
        }
    }

    pub(crate) fn closes_gate(self) -> bool {
        matches!(self, Way::Exclusive | Way::Kept | Way::Killed)
    }
}

pub(crate) type Key = u8;

/// One step of an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Get(Key),
    Set(Key, i64),
    /// Until this time.
    SetUntil(Key, i64, u64),
    Delete(Key),
    /// Adds to a number; one that is not there is 0.
    Add(Key, i64),
    /// Reads one key and keeps what it read, and something more, in another.
    Copy(Key, Key, i64),
    /// Which keys there are from the one on.
    Keys(Key),
    /// How many keys there are, kept in a key.
    CountInto(Key),
    Rename(Key, Key),
    /// Reads a key, writes it, and is undone: what came before it is done again. Not where the newest
    /// is read.
    Undone(Key),
    /// Empties the database. Needs the gate.
    Flush,
}

/// What a step saw.
pub(crate) type Seen = Vec<i64>;

/// What steps are done to.
pub(crate) trait View {
    fn get(&self, key: Key) -> Option<i64>;
    fn set(&mut self, key: Key, value: i64, until_ms: u64);
    fn set_keeping_deadline(&mut self, key: Key, value: i64);
    fn delete(&mut self, key: Key) -> bool;
    fn keys(&self, from: Key) -> Vec<Key>;
    fn rename(&mut self, from: Key, to: Key) -> bool;
    fn flush(&mut self);
}

impl Step {
    pub(crate) fn writes(self) -> bool {
        !matches!(self, Step::Get(_) | Step::Keys(_) | Step::Undone(_))
    }

    pub(crate) fn run(self, view: &mut impl View, seen: &mut Seen) {
        match self {
            Step::Get(key) | Step::Undone(key) => seen.push(view.get(key).unwrap_or(-1)),
            Step::Set(key, value) => view.set(key, value, 0),
            Step::SetUntil(key, value, until_ms) => view.set(key, value, until_ms),
            Step::Delete(key) => seen.push(i64::from(view.delete(key))),
            Step::Add(key, by) => {
                let sum = view.get(key).unwrap_or(0) + by;
                view.set_keeping_deadline(key, sum);
                seen.push(sum);
            }
            Step::Copy(from, to, more) => {
                let value = view.get(from).unwrap_or(0);
                view.set(to, value + more, 0);
                seen.push(value);
            }
            Step::Keys(from) => seen.extend(view.keys(from).into_iter().map(i64::from)),
            Step::CountInto(key) => {
                let count = view.keys(0).len() as i64;
                view.set(key, count, 0);
                seen.push(count);
            }
            Step::Rename(from, to) => seen.push(i64::from(view.rename(from, to))),
            Step::Flush => view.flush(),
        }
    }
}

fn name(key: Key) -> [u8; 1] {
    [key]
}

pub(crate) fn number(value: ValueRef<'_>) -> i64 {
    let ValueRef::String(text) = value else {
        panic!("not a string")
    };
    std::str::from_utf8(&text.to_cow())
        .unwrap()
        .parse()
        .unwrap()
}

impl View for Transaction {
    fn get(&self, key: Key) -> Option<i64> {
        Transaction::get(self, 0, &name(key)).unwrap().map(number)
    }

    fn set(&mut self, key: Key, value: i64, until_ms: u64) {
        let value = Value::String(StringValue::new(value.to_string().as_bytes()));
        let deadline = match until_ms {
            0 => Deadline::Never,
            until_ms => Deadline::At(until_ms),
        };
        Transaction::set(self, 0, &name(key), value, deadline).unwrap();
    }

    fn set_keeping_deadline(&mut self, key: Key, value: i64) {
        let value = Value::String(StringValue::new(value.to_string().as_bytes()));
        Transaction::set(self, 0, &name(key), value, Deadline::Keep).unwrap();
    }

    fn delete(&mut self, key: Key) -> bool {
        Transaction::delete(self, 0, &name(key)).unwrap()
    }

    fn keys(&self, from: Key) -> Vec<Key> {
        let keys = Transaction::keys(self, 0, &name(from), None, usize::MAX).unwrap();
        keys.iter().map(|key| key[0]).collect()
    }

    fn rename(&mut self, from: Key, to: Key) -> bool {
        Transaction::rename(self, (0, &name(from)), (0, &name(to))).unwrap()
    }

    fn flush(&mut self) {
        Transaction::flush(self, 0).unwrap();
    }
}

/// The plain model: every key's value and deadline, and the time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Model {
    values: BTreeMap<Key, (i64, u64)>,
    pub(crate) now_ms: u64,
}

impl Model {
    /// Nothing, at a time.
    pub(crate) fn at(now_ms: u64) -> Model {
        Model {
            values: BTreeMap::new(),
            now_ms,
        }
    }

    fn alive(&self, key: Key) -> Option<(i64, u64)> {
        let found = *self.values.get(&key)?;
        (found.1 == 0 || self.now_ms < found.1).then_some(found)
    }
}

impl View for Model {
    fn get(&self, key: Key) -> Option<i64> {
        Some(self.alive(key)?.0)
    }

    fn set(&mut self, key: Key, value: i64, until_ms: u64) {
        self.values.insert(key, (value, until_ms));
    }

    fn set_keeping_deadline(&mut self, key: Key, value: i64) {
        let until_ms = self.alive(key).map_or(0, |(_, until_ms)| until_ms);
        self.values.insert(key, (value, until_ms));
    }

    fn delete(&mut self, key: Key) -> bool {
        let was_there = self.alive(key).is_some();
        self.values.remove(&key);
        was_there
    }

    fn keys(&self, from: Key) -> Vec<Key> {
        let keys = self.values.keys().copied();
        keys.filter(|key| *key >= from && self.alive(*key).is_some())
            .collect()
    }

    fn rename(&mut self, from: Key, to: Key) -> bool {
        let Some(found) = self.alive(from) else {
            return false;
        };
        self.values.remove(&from);
        self.values.insert(to, found);
        true
    }

    fn flush(&mut self) {
        self.values.clear();
    }
}
