//! What a script may do: which script a call means, with which flags, and what follows from them.

use std::cell::Cell;
use std::collections::HashSet;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Core;
use super::kept_gate;
use super::multi::Item;
use crate::commands::args::KeptArguments;
use crate::commands::command::Control;
use crate::commands::error::CommandError;
use crate::config::UndeclaredKeys;
use crate::fault::fault;
use crate::resp::number::parse_integer;
use crate::script::cache::{Cached, Sha, parse_sha};
use crate::script::flags::Flags;
use crate::script::found::{self, Found};
use crate::script::{self, Kind, hash_tag};
use crate::stats::ScriptMode;

/// Where a script's keys begin: `EVALSHA sha numkeys key …`.
const KEYS_BEGIN: usize = 3;
/// Declared keys up to this many are looked through one by one.
const KEYS_LINEAR_MAX: usize = 8;

/// What a script may do.
pub(super) struct Rules {
    pub(super) cached: Rc<Found>,
    pub(super) flags: Flags,
    pub(super) is_read_only: bool,
    /// Each of its calls is applied at once.
    pub(super) is_direct: bool,
    pub(super) allows_undeclared: bool,
    /// Others may not write while it runs: its keys are not known, and not compared.
    pub(super) is_exclusive: bool,
    /// It would be exclusive, but has only read so far: it runs on a snapshot until it would write.
    pub(super) is_presumed_reader: bool,
    /// A command that changes data has been called.
    pub(super) has_written: bool,
    /// A command has been called that changes data, tells others, or needs the gate.
    pub(super) has_changed: bool,
    /// A key was refused that is allowed from the next run on.
    wants_undeclared: Cell<bool>,
    /// An error after such a command leaves nothing half done, or what the script's flags allow.
    pub(super) may_fail_after_writing: bool,
    pub(super) database: usize,
    pub(super) arguments: Arc<KeptArguments>,
    pub(super) declared: Range<usize>,
    /// The declared keys, if they are many.
    declared_set: HashSet<Box<[u8]>>,
    /// A declared key with a tag declares all keys of that tag.
    declares_by_tag: bool,
}

/// A script's arguments, found but not checked against each other.
pub(super) struct Call {
    cached: Rc<Found>,
    /// Where the keys are; whatever follows them is an argument of the script.
    keys: Range<usize>,
}

const NO_SCRIPT: &str = "NOSCRIPT No matching script. Please use EVAL.";
/// What is of another length is no SHA-1, whatever follows it.
const SHA_DIGITS: usize = 40;

fn find_script(core: &Core, control: Control, named: &[u8]) -> Result<Rc<Found>, CommandError> {
    let scripts = &core.services.scripts;
    match control {
        Control::EvalSha { .. } => {
            let found = parse_sha(named).and_then(|sha| found::script(scripts, &sha));
            found.ok_or(CommandError::text(NO_SCRIPT))
        }
        Control::Fcall { .. } => {
            let found = found::function(scripts, &core.services.functions, named);
            found.ok_or(CommandError::text("ERR Function not found"))
        }
        _ => found::evaluated(scripts, named, |body| {
            // A long text takes long to compile.
            kept_gate::release();
            script::check(body)
        })
        .map_err(|error| CommandError::err(error.text())),
    }
}

pub(super) fn find_call(core: &Core, control: Control, item: &Item) -> Result<Call, CommandError> {
    let all = &item.arguments;
    let is_function = matches!(control, Control::Fcall { .. });
    let cached = match item.script.get() {
        Some(found) => Some(Rc::clone(found)),
        // Not kept yet: what is queued before it may load another one.
        None if is_function => Some(find_script(core, control, all.at(1))?),
        None => None,
    };
    let is_by_sha = matches!(control, Control::EvalSha { .. });
    if is_by_sha && all.at(1).len() != SHA_DIGITS {
        return Err(CommandError::text(NO_SCRIPT));
    }
    let count = parse_integer(all.at(2)).ok_or(if is_function {
        CommandError::text("ERR Bad number of keys provided")
    } else {
        CommandError::NotAnInteger
    })?;
    if count < 0 {
        return Err(CommandError::text("ERR Number of keys can't be negative"));
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > all.len() - KEYS_BEGIN {
        return Err(CommandError::text(
            "ERR Number of keys can't be greater than number of args",
        ));
    }
    let cached = match cached {
        Some(found) => found,
        None => {
            let found = find_script(core, control, all.at(1))?;
            Rc::clone(item.script.get_or_init(|| found))
        }
    };
    Ok(Call {
        cached,
        keys: KEYS_BEGIN..KEYS_BEGIN + count,
    })
}

fn is_read_only(control: Control, flags: Flags) -> bool {
    flags.has(Flags::NO_WRITES) || control.runs_script() == Some(true)
}

/// As in Redis, FCALL_RO is for functions that say of themselves that they do not write.
pub(super) fn check_function(control: Control, flags: Flags) -> Result<(), CommandError> {
    let must_not_write = control == Control::Fcall { read_only: true };
    if must_not_write && !flags.has(Flags::NO_WRITES) && !fault!("FCALL_RO calls what may write") {
        return Err(CommandError::text(
            "ERR Can not execute a script with write flag using *_ro command.",
        ));
    }
    Ok(())
}

/// Whether a script with these flags, if it is atomic and writes, keeps others from writing from its
/// start on.
pub(super) fn closes_gate(core: &Core, flags: Flags) -> bool {
    let is_optimistic = flags.has(Flags::OPTIMISTIC_UNDECLARED_KEYS)
        || core.services.config.undeclared_keys() == UndeclaredKeys::Optimistic;
    flags.allows_undeclared_keys() && !is_optimistic
}

/// Whether a script says of itself that it adds data: as in Redis, one with a `#!` header that says
/// nothing else.
pub(super) fn declares_need(cached: &Cached, flags: Flags, is_read_only: bool) -> bool {
    cached.script.body.starts_with(b"#!") && !is_read_only && !flags.has(Flags::ALLOW_OOM)
}

impl Rules {
    /// What a script may do that is called with `call`. Inside EXEC its flags decide only which keys
    /// it may touch and whether it may write.
    pub(super) fn new(
        core: &Core,
        control: Control,
        call: Call,
        item: &Item,
        (database, in_exec): (usize, bool),
    ) -> Rules {
        let defaults = core.services.config.default_flags();
        let flags = call.cached.flags(&core.services.scripts, defaults);
        let is_read_only = is_read_only(control, flags);
        let is_direct = !in_exec
            && !is_read_only
            && flags.has(Flags::DISABLE_ATOMICITY)
            && !fault!("a direct script is one transaction");
        let closes_gate = closes_gate(core, flags) && !is_read_only && !is_direct;
        let is_presumed_reader = closes_gate && call.cached.only_reads() && !in_exec;
        let all = &item.arguments;
        let declared_set = if call.keys.len() > KEYS_LINEAR_MAX {
            all.range(call.keys.clone()).map(Box::from).collect()
        } else {
            HashSet::new()
        };
        Rules {
            allows_undeclared: flags.allows_undeclared_keys(),
            is_exclusive: closes_gate && !is_presumed_reader,
            is_presumed_reader,
            wants_undeclared: Cell::new(false),
            is_read_only,
            is_direct,
            has_written: false,
            has_changed: false,
            may_fail_after_writing: is_direct || flags.has(Flags::ROLLBACK_ON_ERROR),
            declares_by_tag: core.services.config.declares_by_tag.load(Ordering::Relaxed),
            cached: call.cached,
            flags,
            database,
            arguments: Arc::clone(all),
            declared: call.keys,
            declared_set,
        }
    }

    /// The flags of the script that a queued EVAL would run; none if it cannot be found.
    pub(super) fn flags_of(core: &Core, item: &Item) -> Flags {
        let crate::commands::command::Run::Control(control) = item.entry.command.run else {
            return Flags::NONE;
        };
        find_call(core, control, item).map_or(Flags::NONE, |call| {
            let defaults = core.services.config.default_flags();
            call.cached.flags(&core.services.scripts, defaults)
        })
    }

    /// Whether the script of a queued EVAL is not even begun while there is no memory.
    pub(super) fn is_refused_without_memory(core: &Core, item: &Item) -> bool {
        let crate::commands::command::Run::Control(control) = item.entry.command.run else {
            return false;
        };
        find_call(core, control, item).is_ok_and(|call| {
            let config = &core.services.config;
            let scripts = &core.services.scripts;
            let flags = call.cached.flags(scripts, config.default_flags());
            declares_need(&call.cached, flags, is_read_only(control, flags))
        })
    }

    /// Whether a command that adds data is refused now. As in Redis one that the script calls after
    /// it has written is not, where the error would leave the script half done.
    pub(super) fn is_out_of_memory(&self, core: &Core) -> bool {
        (self.may_fail_after_writing || !self.has_written)
            && !self.flags.has(Flags::ALLOW_OOM)
            && core.services.config.is_out_of_memory()
    }

    /// Whether the script may use a key.
    pub(super) fn is_declared(&self, key: &[u8]) -> bool {
        let mut declared = self.arguments.range(self.declared.clone());
        let is_named = if self.declared.len() <= KEYS_LINEAR_MAX {
            declared.clone().any(|known| known == key)
        } else {
            self.declared_set.contains(key)
        };
        is_named
            || self.declares_by_tag
                && !fault!("hash tags declare nothing")
                && hash_tag(key)
                    .is_some_and(|tag| declared.any(|known| hash_tag(known) == Some(tag)))
    }

    /// How many keys it declares.
    pub(super) fn declared_count(&self) -> usize {
        self.declared.len()
    }

    /// Logs the first refusal of a script, with the line that would allow what it did; remembers to
    /// allow it, if that is wanted.
    pub(super) fn note_refusal(&self, core: &Core, text: &str, line: u32) {
        if !text.contains("undeclared key") {
            return;
        }
        if core.services.config.corrects_flags.load(Ordering::Relaxed) {
            self.wants_undeclared.set(true);
        }
        if !self.cached.was_refused.swap(true, Ordering::Relaxed) {
            let name = String::from_utf8_lossy(self.cached.script.name());
            let how = match self.cached.script.kind {
                Kind::Function { .. } => "its library registers it with the flag".to_owned(),
                _ => format!("SCRIPT FLAGS {name}"),
            };
            tracing::warn!(
                "script {name}, line {line}: {text}. To allow it: {how} allow-undeclared-keys"
            );
        }
    }

    /// Allows from the next run on what was refused, if that is wanted. Once the run is over: one that
    /// begins anew meanwhile is to be refused as well.
    pub(super) fn correct_flags(&self, core: &Core) {
        if self.wants_undeclared.take() {
            let flags = self.flags.with(Flags::ALLOW_UNDECLARED_KEYS);
            // A run has had these flags, and the new one contradicts none.
            let _ = core
                .services
                .scripts
                .add_flags(self.cached.script.sha, flags);
        }
    }

    /// Says that the script is about to change something, or to do what needs the gate.
    pub(super) fn note_change(&mut self) {
        if !self.has_changed {
            self.has_changed = true;
            self.cached.note_run(true);
        }
    }

    /// The script's SHA-1.
    pub(super) fn sha(&self) -> &Sha {
        &self.cached.script.sha
    }

    pub(super) fn mode(&self) -> ScriptMode {
        if self.is_read_only || self.is_presumed_reader {
            ScriptMode::Snapshot
        } else if self.is_direct {
            ScriptMode::Direct
        } else if self.is_exclusive {
            ScriptMode::Exclusive
        } else {
            ScriptMode::Optimistic
        }
    }
}
