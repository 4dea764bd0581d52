//! What a run leaves behind: transactions with their times, outcomes and what they saw, and the
//! orders in which others were told of them.

use std::fmt;

/// What was written, unique among all writes of a history.
pub(crate) type Value = u32;
/// What a register holds: a value, or one of the constants below.
pub(crate) type State = u32;

/// A register that has never been there.
pub(crate) const ABSENT: State = 0;
/// A mortal register whose time is over: it never comes back.
pub(crate) const GONE: State = 1;
/// What a mortal register holds before anybody writes it.
pub(crate) const BORN: State = 2;
/// Values of programs begin here.
pub(crate) const FIRST_VALUE: Value = 8;

/// How an object behaves, which decides how the order of its versions is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Family {
    /// A list that only grows. Its longest read is the order of its versions.
    List,
    /// A stream that only grows. As a list.
    Log,
    /// A register that is absent at first and is never deleted. Every writer says what it replaced.
    Cell,
    /// A register that is there at first, and is deleted or expires once for all.
    Mortal,
    /// As a mortal, but a field of a hash: some hashes end with it.
    Field,
    /// A register that comes and goes, with a second key that names each absence.
    Pair,
    /// The keys with a common prefix: a set that only grows. Its reads are ordered by inclusion.
    Keys,
    /// How many keys a database has: each writer says how many it found.
    Count,
}

impl Family {
    /// Whether it is a sequence that grows at its end.
    pub(crate) fn is_sequence(self) -> bool {
        matches!(self, Family::List | Family::Log)
    }

    /// Whether it is there at first, and ends once for all.
    pub(crate) fn is_mortal(self) -> bool {
        matches!(self, Family::Mortal | Family::Field)
    }
}

/// One object of one window; `generation` moves on so that no object lives for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Object {
    pub(crate) family: Family,
    pub(crate) slot: u16,
    pub(crate) generation: u16,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            Family::List => "list",
            Family::Log => "log",
            Family::Cell => "cell",
            Family::Mortal => "mortal",
            Family::Field => "field",
            Family::Pair => "pair",
            Family::Keys => "keys",
            Family::Count => "count",
        };
        write!(f, "{family}:{}:{}:", self.slot, self.generation)
    }
}

/// One access of a transaction, in the order in which it was made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// A list or count grows by a value; `length` is how long the reply says it is now.
    Append {
        object: Object,
        value: Value,
        length: Option<u32>,
    },
    /// A key joins a set of keys, or a database that is counted.
    Add { object: Object, value: Value },
    /// All elements of a list in their order, or all members of a set of keys in any.
    Read {
        object: Object,
        values: Box<[Value]>,
    },
    /// How many elements there are.
    Length { object: Object, length: u32 },
    /// The last element of a list.
    Last {
        object: Object,
        value: Option<Value>,
    },
    /// Whether the key is there.
    Presence { object: Object, is_there: bool },
    /// A register changes. `from` is unknown where no reply came.
    Write {
        object: Object,
        from: Option<State>,
        to: State,
        /// Whether the register is absent from here on.
        deletes: bool,
    },
    /// What a register holds, and what the second key of a pair does.
    State {
        object: Object,
        state: State,
        companion: Option<Value>,
    },
    /// The register has a deadline from here on.
    MayExpire { object: Object },
    /// Others are told, by the witnesses of this channel.
    Effect { channel: usize },
}

/// How a transaction ended, as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Committed,
    /// Nothing of it may ever be seen; its events are what it meant to write.
    Aborted,
    /// It may happen wholly or not at all, at any time; its events are what it meant to write.
    Unknown,
}

/// See the module's text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transaction {
    pub(crate) id: u32,
    pub(crate) client: usize,
    pub(crate) mode: &'static str,
    pub(crate) invoked_ns: u64,
    /// `u64::MAX` if its end is not known.
    pub(crate) completed_ns: u64,
    pub(crate) outcome: Outcome,
    pub(crate) events: Vec<Event>,
}

/// One who was told of transactions, and the order in which it was, by their ids.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Witness {
    pub(crate) channel: usize,
    pub(crate) name: String,
    pub(crate) ids: Vec<u32>,
}

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct History {
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) witnesses: Vec<Witness>,
    /// A transaction that read all objects after all others had ended.
    pub(crate) final_read: Option<usize>,
}

impl History {
    /// How many accesses there are.
    pub(crate) fn operations(&self) -> usize {
        self.transactions
            .iter()
            .map(|transaction| transaction.events.len())
            .sum()
    }
}
