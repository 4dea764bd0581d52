//! EVAL and its kind: a script's way from its flags to its reply.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Instant;

use darter_storage::Escalation;

use super::Core;
use super::multi::Item;
use super::script_host::{Effects, ScriptHost, Target};
use crate::clients::SharedClient;
use crate::commands::args::KeptArguments;
use crate::commands::command::Control;
use crate::commands::error::CommandError;
use crate::fault::fault;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;
use crate::script::cache::{Cached, parse_sha};
use crate::script::flags::Flags;
use crate::script::{self, Kind, Limits, Run, Script};
use crate::stats::{ScriptMode, count};

/// Where a script's keys begin: `EVALSHA sha numkeys key …`.
const KEYS_BEGIN: usize = 3;
/// Declared keys up to this many are looked through one by one.
const KEYS_LINEAR_MAX: usize = 8;

/// What a script may do.
pub(super) struct Rules {
    cached: Arc<Cached>,
    pub(super) flags: Flags,
    pub(super) is_read_only: bool,
    pub(super) allows_undeclared: bool,
    /// A command that changes data has been called.
    pub(super) has_written: bool,
    /// An error after such a command leaves nothing half done, or what the script's flags allow.
    pub(super) may_fail_after_writing: bool,
    pub(super) database: usize,
    arguments: Arc<KeptArguments>,
    declared: Range<usize>,
    /// The declared keys, if they are many.
    declared_set: HashSet<Box<[u8]>>,
}

/// A script's arguments, found but not checked against each other.
struct Call {
    cached: Arc<Cached>,
    /// Where the keys are; whatever follows them is an argument of the script.
    keys: Range<usize>,
}

fn find_script(core: &Core, control: Control, named: &[u8]) -> Result<Arc<Cached>, CommandError> {
    let scripts = &core.services.scripts;
    match control {
        Control::EvalSha { .. } => {
            let found = parse_sha(named).and_then(|sha| scripts.get(&sha));
            found.ok_or(CommandError::text(
                "NOSCRIPT No matching script. Please use EVAL.",
            ))
        }
        Control::Fcall { .. } => {
            let found = core.services.functions.function(named);
            found.ok_or(CommandError::text("ERR Function not found"))
        }
        _ => scripts
            .load(named, script::check)
            .map_err(|error| CommandError::err(error.to_string())),
    }
}

fn find_call(core: &Core, control: Control, item: &Item) -> Result<Call, CommandError> {
    let all = &item.arguments;
    let is_function = matches!(control, Control::Fcall { .. });
    let cached = match item.script.get() {
        Some(found) => Some(Arc::clone(found)),
        // Not kept yet: what is queued before it may load another one.
        None if is_function => Some(find_script(core, control, all.at(1))?),
        None => None,
    };
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
            Arc::clone(item.script.get_or_init(|| found))
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
fn check_function(control: Control, flags: Flags) -> Result<(), CommandError> {
    let must_not_write = control == Control::Fcall { read_only: true };
    if must_not_write && !flags.has(Flags::NO_WRITES) && !fault!("FCALL_RO calls what may write") {
        return Err(CommandError::text(
            "ERR Can not execute a script with write flag using *_ro command.",
        ));
    }
    Ok(())
}

/// Whether a script says of itself that it adds data: as in Redis, one with a `#!` header that says
/// nothing else.
fn declares_need(cached: &Cached, flags: Flags, is_read_only: bool) -> bool {
    cached.script.body.starts_with(b"#!") && !is_read_only && !flags.has(Flags::ALLOW_OOM)
}

impl Rules {
    /// The flags of the script that a queued EVAL would run; none if it cannot be found.
    pub(super) fn flags_of(core: &Core, item: &Item) -> Flags {
        let crate::commands::command::Run::Control(control) = item.entry.command.run else {
            return Flags::NONE;
        };
        find_call(core, control, item).map_or(Flags::NONE, |call| {
            core.services
                .scripts
                .flags_of(&call.cached, core.services.config.default_flags())
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
            let flags = scripts.flags_of(&call.cached, config.default_flags());
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
        if self.declared.len() <= KEYS_LINEAR_MAX {
            let mut declared = self.arguments.range(self.declared.clone());
            return declared.any(|known| known == key);
        }
        self.declared_set.contains(key)
    }

    /// How many keys it declares.
    pub(super) fn declared_count(&self) -> usize {
        self.declared.len()
    }

    /// Logs the first refusal of a script, with the line that would allow what it did.
    pub(super) fn note_refusal(&self, text: &str, line: u32) {
        if text.contains("undeclared key") && !self.cached.was_refused.swap(true, Ordering::Relaxed)
        {
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

    fn mode(&self, is_direct: bool) -> ScriptMode {
        if self.is_read_only {
            ScriptMode::Snapshot
        } else if is_direct {
            ScriptMode::Direct
        } else if self.allows_undeclared {
            ScriptMode::Exclusive
        } else {
            ScriptMode::Optimistic
        }
    }
}

/// Why a script was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// SCRIPT KILL.
    Killed,
    /// `lua-kill-limit`.
    TimeLimit,
    /// `lua-memory-limit`.
    MemoryLimit,
    /// `maxmemory` or `maxmemory-clients` has no room for a reply.
    ReplyTooLarge,
}

impl Ended {
    /// The error's text, without its code. `kept` says that what a direct script wrote stays.
    pub(super) fn text(self, kept: bool) -> String {
        let why = match self {
            Ended::Killed => "Script killed by user with SCRIPT KILL.",
            Ended::TimeLimit => "Script ended: it ran longer than lua-kill-limit.",
            Ended::MemoryLimit => "Script ended: it used more memory than lua-memory-limit.",
            Ended::ReplyTooLarge => "There is no memory for the reply (maxmemory).",
        };
        let what = if kept {
            " What it wrote before stays (disable-atomicity)."
        } else {
            " Nothing of it has happened."
        };
        format!("{why}{what}")
    }
}

/// How far a script came in one slice.
pub(super) enum Advanced {
    /// It has returned or raised.
    Done,
    /// Its slice has ended.
    Yields,
    /// It waits; the waker is woken.
    Waits,
    /// It does what only the gate's owner may.
    NeedsGate,
    /// It was ended.
    Ended(Ended),
}

/// A script that is running.
pub(super) struct Flight {
    pub(super) run: Run,
    pub(super) rules: Rules,
    registered: Registered,
    retry: Option<Escalation>,
    is_slow: bool,
    /// Nothing can have ended it yet, for it has not begun.
    is_new: bool,
    pub(super) started: Instant,
    pub(super) is_direct: bool,
}

/// The run that SCRIPT KILL finds with its client, until this is dropped.
pub(super) struct Registered {
    client: Arc<SharedClient>,
    number: u64,
}

impl Registered {
    fn new(core: &Core, script: &Arc<Script>, arguments: &Arc<KeptArguments>) -> Registered {
        let client = &core.client.shared;
        let now_ms = core.services.store.now_ms();
        let number = match script.kind {
            Kind::Function { .. } => client.begin_function(script, arguments, now_ms),
            Kind::Script | Kind::Library => client.begin_script(script.sha, now_ms),
        };
        Registered {
            client: Arc::clone(client),
            number,
        }
    }

    pub(super) fn is_killed(&self) -> bool {
        self.client.is_script_killed(self.number)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.client.end_script(self.number);
    }
}

impl Flight {
    /// Finds a script and prepares its run. Inside EXEC its flags decide only which keys it may
    /// touch and whether it may write.
    pub(super) fn begin(
        core: &mut Core,
        control: Control,
        item: &Item,
        database: usize,
        in_exec: bool,
    ) -> Result<Flight, CommandError> {
        let call = find_call(core, control, item)?;
        let config = &core.services.config;
        let flags = core
            .services
            .scripts
            .flags_of(&call.cached, config.default_flags());
        let is_read_only = is_read_only(control, flags);
        check_function(control, flags)?;
        // Every attempt runs the same one. An EVAL has kept it already.
        item.script.get_or_init(|| Arc::clone(&call.cached));
        // An EXEC has been admitted as a whole.
        if !in_exec && declares_need(&call.cached, flags, is_read_only) && config.is_out_of_memory()
        {
            return Err(CommandError::OutOfMemory);
        }
        let is_direct = !in_exec
            && !is_read_only
            && flags.has(Flags::DISABLE_ATOMICITY)
            && !fault!("a direct script is one transaction");
        let all = &item.arguments;
        let declared_set = if call.keys.len() > KEYS_LINEAR_MAX {
            all.range(call.keys.clone()).map(Box::from).collect()
        } else {
            HashSet::new()
        };
        let memory_bytes = config.lua_memory_bytes.load(Ordering::Relaxed);
        let limits = Limits { memory_bytes };
        let run = script::with_engine(|engine| {
            let keys = all.range(call.keys.clone());
            let arguments = all.range(call.keys.end..all.len());
            engine.start(&call.cached.script, keys, arguments, limits)
        });
        let run = run.and_then(|run| run).map_err(CommandError::err)?;
        Ok(Flight {
            run,
            registered: Registered::new(core, &call.cached.script, all),
            rules: Rules {
                allows_undeclared: flags.has(Flags::ALLOW_UNDECLARED_KEYS),
                is_read_only,
                has_written: false,
                may_fail_after_writing: is_direct
                    || !in_exec && flags.has(Flags::ROLLBACK_ON_ERROR),
                cached: call.cached,
                flags,
                database,
                arguments: Arc::clone(all),
                declared: call.keys,
                declared_set,
            },
            retry: None,
            is_slow: false,
            // What a command in EXEC takes is not what those before it took.
            started: if in_exec { Instant::now() } else { core.clock },
            // EXEC may begin it over, and it may have been ended before.
            is_new: !in_exec,
            is_direct,
        })
    }

    /// It starts over what began then, and may have been ended since.
    pub(super) fn began_before(&mut self, started: Instant) {
        self.started = started;
        self.is_new = false;
    }

    /// Lets the script run for a slice.
    pub(super) fn advance(
        &mut self,
        core: &mut Core,
        target: Target<'_>,
        effects: &mut Effects,
        waker: &Waker,
    ) -> Advanced {
        if !self.is_new
            && let Some(ended) = self.is_ended(core, waker)
        {
            return Advanced::Ended(ended);
        }
        let mut host = ScriptHost {
            core,
            rules: &mut self.rules,
            target,
            effects,
            retry: &mut self.retry,
            needs_gate: false,
            waker,
        };
        let step = self.run.resume(&mut host);
        let needs_gate = host.needs_gate;
        let suspended = match step {
            script::Step::Done => return Advanced::Done,
            script::Step::OutOfMemory => return Advanced::Ended(Ended::MemoryLimit),
            script::Step::Preempted => Advanced::Yields,
            script::Step::Waiting if needs_gate => Advanced::NeedsGate,
            script::Step::Waiting => Advanced::Waits,
            // Told and counted where the session's panics end, like any other.
            script::Step::Panicked => std::panic::resume_unwind(Box::new("in a script")),
        };
        self.is_ended(core, waker)
            .map_or(suspended, Advanced::Ended)
    }

    /// Whether somebody or a limit has ended the script.
    pub(super) fn is_ended(&mut self, core: &Core, waker: &Waker) -> Option<Ended> {
        self.is_new = false;
        if self.registered.is_killed() {
            return Some(Ended::Killed);
        }
        core.client.shared.set_waker(waker);
        let elapsed_ms = self.started.elapsed().as_millis() as u64;
        let config = &core.services.config;
        let slow_ms = config.lua_time_limit_ms.load(Ordering::Relaxed);
        if slow_ms > 0 && elapsed_ms >= slow_ms && !self.is_slow {
            self.is_slow = true;
            let name = String::from_utf8_lossy(self.rules.cached.script.name());
            tracing::warn!("script {name} has been running for {elapsed_ms} ms");
        }
        let limit_ms = config.lua_kill_limit_ms.load(Ordering::Relaxed);
        let is_over = limit_ms > 0 && elapsed_ms >= limit_ms;
        (is_over && !fault!("the kill limit is ignored")).then_some(Ended::TimeLimit)
    }

    /// Writes what the script returned or raised.
    pub(super) fn write_result(&mut self, reply: &mut dyn Reply) {
        self.run.write_result(reply);
    }

    /// Counts a run that has come to its end and into history.
    pub(super) fn account_end(&self, core: &Core) {
        self.account(core, |counts| {
            count(&counts.errors, u64::from(self.run.failed()));
        });
    }

    /// Counts a run that was ended.
    pub(super) fn account_ended(&self, core: &Core, ended: Ended) {
        self.account(core, |counts| {
            count(&counts.errors, 1);
            let kind = match ended {
                Ended::Killed => &counts.kills,
                Ended::TimeLimit | Ended::MemoryLimit | Ended::ReplyTooLarge => &counts.limits,
            };
            count(kind, 1);
        });
    }

    /// Gives the run up, but for that SCRIPT KILL still finds it.
    pub(super) fn into_registered(self) -> Registered {
        self.registered
    }

    fn account(&self, core: &Core, more: impl Fn(&crate::stats::ScriptCounts)) {
        let mode = self.rules.mode(self.is_direct);
        let at = ScriptMode::ALL
            .iter()
            .position(|known| *known == mode)
            .unwrap_or(0);
        let counts = &core.stats.scripts[at];
        count(&counts.runs, 1);
        count(
            &counts.nanoseconds,
            self.started.elapsed().as_nanos() as u64,
        );
        more(counts);
    }
}
