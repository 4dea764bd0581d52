//! How a transaction may be made: one row each. A new way is one row more.

use std::sync::OnceLock;

use fastrand::Rng;

use crate::connection::{Connection, Ran};
use crate::generator::{Program, STEPS_MAX};
use crate::operations::{CHANNELS, Operation};

/// Which operations a mode can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allows {
    /// Everything.
    All,
    /// What needs no function of the script.
    Commands,
    /// What WATCH protects.
    Watched,
    /// What only reads.
    Reads,
    /// What only reads, without a function of the script.
    ReadCommands,
    /// One operation of one command.
    Alone,
    /// One operation of one command each, every one a transaction of its own.
    Separate,
    /// What tells enough without a reply.
    KnownWithoutReply,
    /// Nothing but telling others.
    Tells,
}

/// One row of the table.
pub(crate) struct Mode {
    pub(crate) name: &'static str,
    weight: u32,
    allows: Allows,
    /// How many of the channels it may tell others by.
    pub(crate) channels: usize,
    pub(crate) run: fn(&mut Connection<'_>, &Program) -> Ran,
}

impl Mode {
    pub(crate) fn allows(&self, operation: &Operation) -> bool {
        let is_plain = !operation.needs_script();
        match self.allows {
            Allows::All => true,
            Allows::Commands => is_plain,
            Allows::Watched => operation.is_watchable(),
            Allows::Reads => operation.only_reads(),
            Allows::ReadCommands => is_plain && operation.only_reads(),
            Allows::Alone | Allows::Separate => is_plain && operation.commands() == 1,
            Allows::KnownWithoutReply => is_plain && operation.is_known_without_reply(),
            Allows::Tells => false,
        }
    }

    /// How many steps a program has.
    pub(crate) fn steps(&self, rng: &mut Rng) -> usize {
        match self.allows {
            Allows::Tells => 0,
            Allows::Alone => 1,
            _ => 1 + rng.usize(..STEPS_MAX),
        }
    }

    /// Whether everything that only reads is done before anything else.
    pub(crate) fn reads_first(&self) -> bool {
        self.allows == Allows::Watched
    }

    /// Whether every step is a transaction of its own.
    pub(crate) fn is_separate(&self) -> bool {
        self.allows == Allows::Separate
    }

    pub(crate) fn only_tells(&self) -> bool {
        self.allows == Allows::Tells
    }

    /// The mode's weight among those that MODES names (their names with commas between them), to
    /// find out which of them a failure needs.
    pub(crate) fn chosen_weight(&self) -> u32 {
        static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
        match CHOSEN.get_or_init(|| std::env::var("MODES").ok()) {
            Some(names) if !names.split(',').any(|name| name == self.name) => 0,
            _ => self.weight,
        }
    }
}

macro_rules! mode {
    ($name:literal, $weight:literal, $allows:ident, $channels:expr, $run:expr) => {
        Mode {
            name: $name,
            weight: $weight,
            allows: Allows::$allows,
            channels: $channels,
            run: $run,
        }
    };
}

const ALL: usize = CHANNELS.len();
/// Streams have no place in the programs of the embedded API, and commands alone notify.
const EMBEDDED: usize = 3;

const UNDECLARED: &str = "#!lua flags=allow-undeclared-keys\n";
const OPTIMISTIC: &str = "#!lua flags=optimistic-undeclared-keys\n";
const NO_WRITES: &str = "#!lua flags=no-writes\n";
const ROLLBACK: &str = "#!lua flags=rollback-on-error\n";
/// The first lines of all scripts that are run.
pub(crate) const HEADERS: &[&str] = &["", UNDECLARED, OPTIMISTIC, NO_WRITES, ROLLBACK];

/// All modes. Weights are out of about two thousand: what costs a limit's time is rare.
#[rustfmt::skip]
pub(crate) const MODES: &[Mode] = &[
    mode!("single command", 400, Alone, 0, |c, p| c.single(p)),
    mode!("single command that tells", 120, Tells, ALL, |c, p| c.single(p)),
    mode!("pipeline", 200, Separate, 0, |c, p| c.pipeline(p)),
    mode!("MULTI", 160, Commands, ALL, |c, p| c.multi(p)),
    mode!("MULTI step by step", 60, Commands, ALL, |c, p| c.multi_slowly(p)),
    mode!("MULTI that reads", 120, ReadCommands, 0, |c, p| c.multi(p)),
    mode!("WATCH", 160, Watched, ALL, |c, p| c.watch(p)),
    mode!("EVAL", 300, All, ALL, |c, p| c.script("", p)),
    mode!("EVAL with undeclared keys", 40, All, ALL, |c, p| c.undeclared_script(UNDECLARED, p)),
    mode!("EVAL with any keys, optimistic", 120, All, ALL, |c, p| c.undeclared_script(OPTIMISTIC, p)),
    mode!("EVAL that reads", 60, Reads, 0, |c, p| c.script("", p)),
    mode!("EVAL_RO", 120, Reads, 0, |c, p| c.read_only_script("", p)),
    mode!("EVAL_RO with undeclared keys", 40, Reads, 0, |c, p| c.read_only_script(UNDECLARED, p)),
    mode!("EVAL without writes", 60, Reads, 0, |c, p| c.script(NO_WRITES, p)),
    mode!("EVAL in MULTI", 80, Commands, ALL, |c, p| c.multi_with_script("", p)),
    mode!("EVAL with undeclared keys in MULTI", 20, Commands, ALL, |c, p| c.multi_with_script(UNDECLARED, p)),
    mode!("EVAL with any keys in MULTI, optimistic", 20, Commands, ALL, |c, p| c.multi_with_script(OPTIMISTIC, p)),
    mode!("MULTI with an EVAL that aborts", 40, Commands, ALL, |c, p| c.multi_with_undone_script("", "#ABORT", p)),
    mode!("MULTI with an EVAL that rolls back", 20, Commands, ALL, |c, p| c.multi_with_undone_script(ROLLBACK, "#FAIL", p)),
    mode!("FCALL", 80, All, ALL, |c, p| c.function("FCALL", "run", p)),
    mode!("FCALL with any keys", 20, All, ALL, |c, p| c.function("FCALL", "run_undeclared", p)),
    mode!("FCALL with any keys, optimistic", 40, All, ALL, |c, p| c.function("FCALL", "run_optimistic", p)),
    mode!("FCALL_RO", 40, Reads, 0, |c, p| c.function("FCALL_RO", "read", p)),
    mode!("embedded transaction", 120, All, EMBEDDED, |c, p| c.embedded(p)),
    mode!("embedded transaction, once", 60, All, EMBEDDED, |c, p| c.embedded_once(p)),
    mode!("embedded exclusive", 20, All, EMBEDDED, |c, p| c.embedded_exclusive(p)),
    mode!("embedded that fails", 20, All, EMBEDDED, |c, p| c.embedded_failing(p)),
    mode!("held snapshot", 60, Reads, 0, |c, p| c.hold_snapshot(p)),
    mode!("SNAPSHOT", 60, ReadCommands, 0, |c, p| c.on_snapshot(p)),
    mode!("EVAL that rolls back", 30, All, ALL, |c, p| c.failing_script(ROLLBACK, p, Ran::Aborted)),
    mode!("EVAL that fails", 20, KnownWithoutReply, ALL, |c, p| c.failing_script("", p, Ran::Kept)),
    mode!("EVAL that aborts", 30, All, ALL, |c, p| c.aborting_script("", p)),
    mode!("EVAL with undeclared keys that aborts", 10, All, ALL, |c, p| c.aborting_script(UNDECLARED, p)),
    mode!("EVAL that is killed", 4, All, ALL, |c, p| c.killed_script("", p)),
    mode!("EVAL with undeclared keys that is killed", 2, All, ALL, |c, p| c.killed_script(UNDECLARED, p)),
    mode!("EVAL with any keys that is killed, optimistic", 2, All, ALL, |c, p| c.killed_script(OPTIMISTIC, p)),
    mode!("EVAL over its time", 1, All, ALL, |c, p| c.limited_script("#HANG", p)),
    mode!("EVAL over its memory", 4, All, ALL, |c, p| c.limited_script("#GROW", p)),
    mode!("DISCARD", 20, Commands, ALL, |c, p| c.discard(p)),
    mode!("cut in MULTI", 5, Commands, ALL, |c, p| c.cut_before_exec(p)),
    mode!("cut after EXEC", 10, KnownWithoutReply, ALL, |c, p| c.cut_after_exec(p)),
    mode!("cut after EVAL", 10, KnownWithoutReply, ALL, |c, p| c.cut_script(p)),
];
