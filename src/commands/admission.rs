//! Where a command may run, and what it means there: on a connection's snapshot, in MULTI, in
//! scripts. The session decides by it, and `docs/commands.md` says it.

use super::command::{Command, Control, Keys, Run, flag};

/// Why what writes is refused on a snapshot.
pub const NO_WRITES_ON_SNAPSHOT: &str = "ERR Write commands are not allowed on a snapshot";
/// Why MULTI and its kind are refused on a snapshot.
pub const NO_TRANSACTIONS_ON_SNAPSHOT: &str =
    "ERR Transactions are not allowed on a snapshot, whose reads are consistent anyhow";
/// Why SNAPSHOT BEGIN is refused on a snapshot.
pub const NO_NESTED_SNAPSHOTS: &str = "ERR SNAPSHOT calls can not be nested";
/// Why what has the flag is refused in MULTI.
pub const NOT_IN_MULTI: &str = "ERR Command not allowed inside a transaction";
/// Why MULTI is refused in MULTI.
pub const NO_NESTED_MULTI: &str = "ERR MULTI calls can not be nested";
/// Why WATCH is refused in MULTI.
pub const NO_WATCH_IN_MULTI: &str = "ERR WATCH inside MULTI is not allowed";
/// Why what has the flag is refused in scripts.
pub const NOT_IN_SCRIPTS: &str = "ERR This Redis command is not allowed from script";
/// Why what changes something is refused in scripts that only read.
pub const NO_WRITES_IN_READ_ONLY_SCRIPTS: &str =
    "ERR Write commands are not allowed from read-only scripts.";

/// What a command does on a connection that holds a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSnapshot {
    /// It reads what the snapshot shows, and does not wait for more.
    Reads,
    /// It runs a script, which must say of itself that it does not write.
    ReadsIfReadOnly,
    /// This error.
    Refused(&'static str),
    /// The connection holds none behind it.
    Ends,
    /// The same as without one.
    Apart,
}

/// What a command does between MULTI and EXEC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InMulti {
    /// It waits for EXEC.
    Queued,
    /// This error.
    Refused(&'static str),
    /// It runs at once, and nothing is queued behind it.
    Ends,
}

/// How a command that is queued, or that a script calls, belongs to the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InTransaction {
    /// Reads are compared at the commit, changes and messages happen then.
    Part,
    /// As `Part`; it reads a range of keys, which is compared as such if it is no longer than the
    /// store says.
    Range,
    /// As `Part`; it reads what cannot be compared, so that the transaction takes the gate if it
    /// changes something, and an EXEC without scripts in any case.
    AllKeys,
    /// As `Part`; the transaction takes the gate whatever else it does.
    Gate,
    /// It happens when its turn comes, whatever becomes of the transaction.
    AtOnce,
    /// Nothing.
    NoEffect,
}

impl Command {
    /// What it does on a connection that holds a snapshot.
    pub fn on_snapshot(&self) -> OnSnapshot {
        match self.run {
            Run::Control(Control::Multi | Control::Watch | Control::Exec) => {
                OnSnapshot::Refused(NO_TRANSACTIONS_ON_SNAPSHOT)
            }
            Run::Control(Control::SnapshotBegin) => OnSnapshot::Refused(NO_NESTED_SNAPSHOTS),
            _ if self.has(flag::WRITE) || self.has(flag::EXCLUSIVE) => {
                OnSnapshot::Refused(NO_WRITES_ON_SNAPSHOT)
            }
            Run::Control(Control::SnapshotEnd | Control::Reset) => OnSnapshot::Ends,
            Run::Control(control) => match control.runs_script() {
                Some(true) => OnSnapshot::Reads,
                Some(false) => OnSnapshot::ReadsIfReadOnly,
                None => OnSnapshot::Apart,
            },
            Run::Data(_) if self.has(flag::READONLY) => OnSnapshot::Reads,
            Run::Client(_) if self.closes_connection() => OnSnapshot::Ends,
            Run::Data(_) | Run::Client(_) | Run::Container => OnSnapshot::Apart,
        }
    }

    /// What it does between MULTI and EXEC.
    pub fn in_multi(&self) -> InMulti {
        if self.has(flag::NO_MULTI) {
            return InMulti::Refused(NOT_IN_MULTI);
        }
        match self.run {
            Run::Control(Control::Multi) => InMulti::Refused(NO_NESTED_MULTI),
            Run::Control(Control::Watch) => InMulti::Refused(NO_WATCH_IN_MULTI),
            Run::Control(Control::Unwatch) => InMulti::Queued,
            Run::Control(control) if control.runs_script().is_some() => InMulti::Queued,
            Run::Control(control) if control.loads_functions() => InMulti::Queued,
            Run::Control(_) => InMulti::Ends,
            Run::Client(_) if self.closes_connection() => InMulti::Ends,
            Run::Data(_) | Run::Client(_) | Run::Container => InMulti::Queued,
        }
    }

    /// How it belongs to the transaction of an EXEC, or of a script, that it may be in.
    pub fn in_transaction(&self) -> InTransaction {
        match self.run {
            Run::Control(Control::Unwatch) => InTransaction::NoEffect,
            Run::Control(control) if control.runs_script().is_some() => InTransaction::Part,
            Run::Control(_) | Run::Client(_) | Run::Container => InTransaction::AtOnce,
            Run::Data(_) if self.has(flag::EXCLUSIVE) => InTransaction::Gate,
            Run::Data(_) if self.has(flag::READONLY) && self.names_no_key() => {
                if self.has(flag::WHOLE_KEYSPACE) {
                    InTransaction::Range
                } else {
                    InTransaction::AllKeys
                }
            }
            Run::Data(_) => InTransaction::Part,
        }
    }

    /// Whether scripts may call it, but for a switch of DEBUG.
    pub fn is_for_scripts(&self) -> bool {
        !self.has(flag::NOSCRIPT) && !matches!(self.run, Run::Container)
    }

    /// Whether it changes data or tells others: read-only scripts may not call it.
    pub fn changes_something(&self) -> bool {
        self.has(flag::WRITE) || self.publishes()
    }

    /// Whether none of its arguments is a key.
    pub fn names_no_key(&self) -> bool {
        matches!(self.keys, Keys::None)
    }

    fn closes_connection(&self) -> bool {
        self.name == "QUIT"
    }
}
