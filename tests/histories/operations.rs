//! What a transaction may do: one row each. A new command is one row more.

use crate::history::{ABSENT, BORN, Event, Family, GONE, Object, State, Value};
use crate::support::client::Reply;

/// What an operation means to write, for when no reply says what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    Nothing,
    Append,
    Add,
    Write,
    Delete,
}

/// One row of the table.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) family: Family,
    pub(crate) weight: u32,
    /// Commands that only read; a client that watches keys sends them before MULTI. `{k}` is the
    /// object's key, `{g}` the second key of a pair, `{v}` the value that is written, `{t}` the
    /// transaction. Commands that begin with `#` are functions of the script.
    pub(crate) reads: &'static [&'static str],
    pub(crate) writes: &'static [&'static str],
    pub(crate) intent: Intent,
    /// What the replies, those of `reads` first, say.
    pub(crate) decode: fn(Object, Value, &[Reply]) -> Vec<Event>,
}

impl Operation {
    pub(crate) fn only_reads(&self) -> bool {
        self.writes.is_empty()
    }

    /// How many replies it gets.
    pub(crate) fn commands(&self) -> usize {
        self.reads.len() + self.writes.len()
    }

    /// Whether a client that has no script can do it.
    pub(crate) fn needs_script(&self) -> bool {
        self.reads.iter().any(|command| command.starts_with('#'))
    }

    /// Whether WATCH protects what it reads: keys, not ranges of them.
    pub(crate) fn is_watchable(&self) -> bool {
        !matches!(self.family, Family::Keys | Family::Count)
    }

    /// Whether its writes tell enough without their replies.
    pub(crate) fn is_known_without_reply(&self) -> bool {
        self.family.is_sequence() || self.family == Family::Keys
    }
}

fn integer(reply: &Reply) -> u32 {
    match reply {
        Reply::Integer(value) => u32::try_from(*value).unwrap(),
        other => panic!("not a count: {other:?}"),
    }
}

fn value(reply: &Reply) -> Option<Value> {
    match reply {
        Reply::Null => None,
        Reply::Bulk(bytes) => Some(std::str::from_utf8(bytes).unwrap().parse().unwrap()),
        other => panic!("not a value: {other:?}"),
    }
}

fn values(reply: &Reply) -> Box<[Value]> {
    let elements = reply.clone().elements();
    elements.iter().filter_map(value).collect()
}

/// The values that are the ends of keys' names.
fn members(reply: &Reply) -> Box<[Value]> {
    let names = reply.clone().elements();
    let member = |name: &Reply| match name {
        Reply::Bulk(bytes) => {
            let name = std::str::from_utf8(bytes).unwrap();
            name.rsplit(':').next().unwrap().parse().unwrap()
        }
        other => panic!("not a key: {other:?}"),
    };
    names.iter().map(member).collect()
}

fn append(object: Object, value: Value, length: u32) -> Vec<Event> {
    let length = Some(length);
    vec![Event::Append {
        object,
        value,
        length,
    }]
}

fn read(object: Object, values: Box<[Value]>) -> Event {
    Event::Read { object, values }
}

fn presence(object: Object, is_there: bool) -> Vec<Event> {
    vec![Event::Presence { object, is_there }]
}

pub(crate) fn write(object: Object, from: State, to: State) -> Event {
    Event::Write {
        object,
        from: Some(from),
        to,
        deletes: false,
    }
}

fn delete(object: Object, from: State, to: State) -> Event {
    Event::Write {
        object,
        from: Some(from),
        to,
        deletes: true,
    }
}

fn state(object: Object, state: State) -> Event {
    Event::State {
        object,
        state,
        companion: None,
    }
}

/// A register of its own, from a reply.
fn cell(reply: &Reply) -> State {
    value(reply).unwrap_or(ABSENT)
}

fn mortal(reply: &Reply) -> State {
    value(reply).unwrap_or(GONE)
}

/// What a pair is: the value of its first key, or the name of its absence in the second.
fn pair(replies: &[Reply]) -> State {
    value(&replies[0]).unwrap_or_else(|| cell(&replies[1]))
}

fn read_pair(object: Object, replies: &[Reply]) -> Event {
    Event::State {
        object,
        state: pair(replies),
        companion: Some(cell(&replies[1])),
    }
}

/// A write where the key is still there, or a look at its absence.
fn write_living(object: Object, to: State, reply: &Reply) -> Event {
    match mortal(reply) {
        GONE => state(object, GONE),
        from => write(object, from, to),
    }
}

/// A deletion, after the key was read: what was read must be what was deleted.
fn delete_living(object: Object, replies: &[Reply]) -> Vec<Event> {
    match (mortal(&replies[0]), integer(&replies[1])) {
        (GONE, 0) => vec![state(object, GONE)],
        (GONE, _) => vec![state(object, GONE), delete(object, BORN, GONE)],
        (from, 0) => vec![state(object, from), state(object, GONE)],
        (from, _) => vec![delete(object, from, GONE)],
    }
}

/// The only element.
fn only(reply: &Reply) -> Reply {
    let mut elements = reply.clone().elements();
    assert_eq!(elements.len(), 1, "{reply:?}");
    elements.remove(0)
}

/// A field's new value, after it was read.
fn replace_field(object: Object, to: State, replies: &[Reply]) -> Vec<Event> {
    match (mortal(&replies[0]), integer(&replies[1])) {
        (GONE, 0) => vec![state(object, GONE)],
        (GONE, _) => vec![state(object, GONE), write(object, BORN, to)],
        (from, 0) => vec![state(object, from), state(object, GONE)],
        (from, _) => vec![write(object, from, to)],
    }
}

/// The values of a stream's entries.
fn logged(reply: &Reply) -> Box<[Value]> {
    let entries = reply.clone().elements();
    let entry = |entry: &Reply| value(&entry.clone().elements()[1].clone().elements()[1]);
    entries.iter().filter_map(entry).collect()
}

/// A new deadline, after the key was read.
fn deadline(object: Object, replies: &[Reply]) -> Vec<Event> {
    let read = state(object, mortal(&replies[0]));
    if integer(&replies[1]) == 1 {
        vec![read, Event::MayExpire { object }]
    } else {
        vec![read, state(object, GONE)]
    }
}

macro_rules! operation {
    ($name:literal, $family:ident, $weight:literal, $reads:expr, $writes:expr, $intent:ident, $decode:expr) => {
        Operation {
            name: $name,
            family: Family::$family,
            weight: $weight,
            reads: &$reads,
            writes: &$writes,
            intent: Intent::$intent,
            decode: $decode,
        }
    };
}

/// All operations on objects.
#[rustfmt::skip]
pub(crate) const OPERATIONS: &[Operation] = &[
    operation!("append", List, 30, [], ["RPUSH {k} {v}"], Append, |o, v, r| append(o, v, integer(&r[0]))),
    operation!("read", List, 22, ["LRANGE {k} 0 -1"], [], Nothing, |o, _, r| vec![read(o, values(&r[0]))]),
    operation!("length", List, 4, ["LLEN {k}"], [], Nothing, |o, _, r| vec![Event::Length { object: o, length: integer(&r[0]) }]),
    operation!("last", List, 4, ["LINDEX {k} -1"], [], Nothing, |o, _, r| vec![Event::Last { object: o, value: value(&r[0]) }]),
    operation!("exists", List, 4, ["EXISTS {k}"], [], Nothing, |o, _, r| presence(o, integer(&r[0]) == 1)),
    operation!("append to a log", Log, 12, [], ["XADD {k} * v {v}"], Append, |o, v, _| vec![Event::Append { object: o, value: v, length: None }]),
    operation!("read a log", Log, 10, ["XRANGE {k} - +"], [], Nothing, |o, _, r| vec![read(o, logged(&r[0]))]),
    operation!("length of a log", Log, 3, ["XLEN {k}"], [], Nothing, |o, _, r| vec![Event::Length { object: o, length: integer(&r[0]) }]),
    operation!("last of a log", Log, 3, ["XREVRANGE {k} + - COUNT 1"], [], Nothing, |o, _, r| vec![Event::Last { object: o, value: logged(&r[0]).first().copied() }]),
    operation!("get", Cell, 8, ["GET {k}"], [], Nothing, |o, _, r| vec![state(o, cell(&r[0]))]),
    operation!("is a cell there", Cell, 6, ["EXISTS {k}"], [], Nothing, |o, _, r| presence(o, integer(&r[0]) == 1)),
    operation!("swap", Cell, 6, [], ["SET {k} {v} GET"], Write, |o, v, r| vec![write(o, cell(&r[0]), v)]),
    operation!("get and set", Cell, 8, ["GET {k}"], ["SET {k} {v}"], Write, |o, v, r| vec![write(o, cell(&r[0]), v)]),
    operation!("create", Cell, 5, [], ["SETNX {k} {v}"], Write, |o, v, r| if integer(&r[0]) == 1 { vec![write(o, ABSENT, v)] } else { presence(o, true) }),
    operation!("create or get", Cell, 5, [], ["SET {k} {v} NX GET"], Write, |o, v, r| vec![match cell(&r[0]) { ABSENT => write(o, ABSENT, v), other => state(o, other) }]),
    operation!("look at a mortal", Mortal, 6, ["GET {k}"], [], Nothing, |o, _, r| vec![state(o, mortal(&r[0]))]),
    operation!("is a mortal there", Mortal, 6, ["EXISTS {k}"], [], Nothing, |o, _, r| presence(o, integer(&r[0]) == 1)),
    operation!("replace", Mortal, 8, [], ["SET {k} {v} XX GET"], Write, |o, v, r| vec![write_living(o, v, &r[0])]),
    operation!("replace for a while", Mortal, 6, [], ["SET {k} {v} XX PX 3 GET"], Write, |o, v, r| vec![write_living(o, v, &r[0]), Event::MayExpire { object: o }]),
    operation!("take", Mortal, 1, [], ["GETDEL {k}"], Delete, |o, _, r| vec![match mortal(&r[0]) { GONE => state(o, GONE), from => delete(o, from, GONE) }]),
    operation!("get and delete", Mortal, 1, ["GET {k}"], ["DEL {k}"], Delete, |o, _, r| delete_living(o, r)),
    operation!("expire at once", Mortal, 1, ["GET {k}"], ["PEXPIRE {k} -1"], Delete, |o, _, r| delete_living(o, r)),
    operation!("expire soon", Mortal, 5, ["GET {k}"], ["PEXPIRE {k} 2"], Nothing, |o, _, r| deadline(o, r)),
    operation!("look at a field", Field, 5, ["HGET {k} f"], [], Nothing, |o, _, r| vec![state(o, mortal(&r[0]))]),
    operation!("is a field there", Field, 5, ["HEXISTS {k} f"], [], Nothing, |o, _, r| presence(o, integer(&r[0]) == 1)),
    operation!("replace a field", Field, 5, ["HGET {k} f"], ["HSETEX {k} FXX FIELDS 1 f {v}"], Write, |o, v, r| replace_field(o, v, r)),
    operation!("replace a field for a while", Field, 5, ["HGET {k} f"], ["HSETEX {k} FXX PX 3 FIELDS 1 f {v}"], Write, |o, v, r| [replace_field(o, v, r), vec![Event::MayExpire { object: o }]].concat()),
    operation!("take a field", Field, 1, [], ["HGETDEL {k} FIELDS 1 f"], Delete, |o, _, r| vec![match mortal(&only(&r[0])) { GONE => state(o, GONE), from => delete(o, from, GONE) }]),
    operation!("get and delete a field", Field, 1, ["HGET {k} f"], ["HDEL {k} f"], Delete, |o, _, r| delete_living(o, r)),
    operation!("expire a field soon", Field, 4, [], ["HGETEX {k} PX 2 FIELDS 1 f"], Nothing, |o, _, r| vec![state(o, mortal(&only(&r[0]))), Event::MayExpire { object: o }]),
    operation!("read a pair", Pair, 6, ["GET {k}", "GET {g}"], [], Nothing, |o, _, r| vec![read_pair(o, r)]),
    operation!("read a pair at once", Pair, 6, ["MGET {k} {g}"], [], Nothing, |o, _, r| vec![read_pair(o, &r[0].clone().elements())]),
    operation!("write a pair", Pair, 8, [], ["SET {k} {v} GET", "GET {g}"], Write, |o, v, r| vec![write(o, pair(r), v)]),
    operation!("read and write a pair", Pair, 6, ["GET {k}", "GET {g}"], ["SET {k} {v}"], Write, |o, v, r| vec![read_pair(o, r), write(o, pair(r), v)]),
    operation!("delete a pair", Pair, 5, [], ["GETDEL {k}", "SET {g} {v} GET"], Delete, |o, v, r| vec![delete(o, pair(r), v)]),
    operation!("read and delete a pair", Pair, 5, ["MGET {k} {g}"], ["DEL {k}", "SET {g} {v}"], Delete, |o, v, r| vec![delete(o, pair(&r[0].clone().elements()), v)]),
    operation!("find keys", Keys, 3, ["KEYS {k}*"], [], Nothing, |o, _, r| vec![read(o, members(&r[0]))]),
    operation!("scan keys", Keys, 1, ["#SCAN {k}*"], [], Nothing, |o, _, r| vec![read(o, members(&r[0]))]),
    operation!("add a key", Keys, 4, [], ["SETNX {k}{v} x"], Add, |o, v, _| vec![Event::Add { object: o, value: v }]),
    operation!("find keys and add one", Keys, 2, ["KEYS {k}*"], ["SETNX {k}{v} x"], Add, |o, v, r| vec![read(o, members(&r[0])), Event::Add { object: o, value: v }]),
    operation!("scan keys and add one", Keys, 1, ["#SCAN {k}*"], ["SETNX {k}{v} x"], Add, |o, v, r| vec![read(o, members(&r[0])), Event::Add { object: o, value: v }]),
    operation!("count keys", Count, 1, ["SELECT 1", "DBSIZE", "SELECT 0"], [], Nothing, |o, _, r| vec![Event::Length { object: o, length: integer(&r[1]) }]),
    operation!("count keys and add one", Count, 1, ["SELECT 1", "DBSIZE", "SELECT 0"], ["SELECT 1", "SETNX {k}{v} x", "SELECT 0"], Append, |o, v, r| append(o, v, integer(&r[1]) + 1)),
];

/// How many queues are popped from, each by a client that blocks on it.
pub(crate) const QUEUES: usize = 2;
/// The channels by which others are told: what tells them, and the key that it uses.
pub(crate) const CHANNELS: &[(&str, Option<&str>)] = &[
    ("PUBLISH news {t}", None),
    ("RPUSH queue:0 {t}", Some("queue:0")),
    ("RPUSH queue:1 {t}", Some("queue:1")),
    ("XADD stream * t {t}", Some("stream")),
    // By the notification, which names the key.
    ("SADD told:{t} x", Some("told:{t}")),
];
