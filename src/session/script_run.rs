//! A script's way from its first slice to its reply: by EVAL and its kind, in EXEC, explained.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Instant;

use darter_storage::Escalation;

use super::Core;
use super::explain::Recorder;
use super::multi::Item;
use super::rules::{Rules, check_function, declares_need, find_call};
use super::script_host::{Effects, ScriptHost, Target};
use super::suspended::Suspended;
use crate::clients::SharedClient;
use crate::commands::args::KeptArguments;
use crate::commands::command::Control;
use crate::commands::error::CommandError;
use crate::fault::fault;
use crate::resp::reply::Reply;
use crate::script::flags::Flags;
use crate::script::{self, Kind, Limits, Run, Script};
use crate::script_stats::{End, Tally};
use crate::stats::{ScriptMode, count};

/// Why a script was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// SCRIPT KILL.
    Killed,
    /// `lua-kill-limit`.
    TimeLimit,
    /// `lua-memory-limit`.
    MemoryLimit,
    /// `maxmemory` or `maxmemory-clients` has no room for a reply.
    ReplyTooLarge,
    /// redis.abort, with this message.
    Aborted(Vec<u8>),
    /// There is no interpreter, or no stack for it, as this says.
    Unstarted(String),
}

impl Ended {
    /// The error. `kept` says that what a direct script wrote stays.
    pub(super) fn error(&self, kept: bool) -> Vec<u8> {
        const KEPT: &str = " What it wrote before stays (disable-atomicity).";
        let why = match self {
            Ended::Aborted(message) => {
                let code = if has_code(message) { "" } else { "ABORTED " };
                let end = if kept { KEPT } else { "" };
                return [code.as_bytes(), message, end.as_bytes()].concat();
            }
            Ended::Unstarted(text) => return format!("ERR {text}").into(),
            Ended::Killed => "Script killed by user with SCRIPT KILL.",
            Ended::TimeLimit => "Script ended: it ran longer than lua-kill-limit.",
            Ended::MemoryLimit => "Script ended: it used more memory than lua-memory-limit.",
            Ended::ReplyTooLarge => "There is no memory for the reply (maxmemory).",
        };
        let what = if kept {
            KEPT
        } else {
            " Nothing of it has happened."
        };
        format!("ERR {why}{what}").into()
    }
}

/// Whether an error begins with a code of its own: a word in capitals, and something behind it.
fn has_code(message: &[u8]) -> bool {
    let is_capital = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'0'..=b'9');
    let code = memchr::memchr(b' ', message).map_or(&message[..0], |end| &message[..end]);
    code.iter().all(is_capital) && code.first().is_some_and(u8::is_ascii_uppercase)
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
    /// `None` until its first slice: an interpreter is too dear for one who waits.
    run: Option<Run>,
    pub(super) rules: Rules,
    registered: Registered,
    retry: Option<Escalation>,
    is_slow: bool,
    suspended: Option<Suspended>,
    /// Nothing can have ended it yet, for it has not begun.
    is_new: bool,
    pub(super) started: Instant,
    /// Only while it is explained.
    pub(super) recorder: Option<Box<Recorder>>,
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
            Kind::Script | Kind::Check | Kind::Library => client.begin_script(script.sha, now_ms),
        };
        Registered {
            client: Arc::clone(client),
            number,
        }
    }

    pub(super) fn is_killed(&self) -> bool {
        self.client.is_script_killed(self.number)
    }

    fn note_over(&self, is_over: bool) {
        self.client.note_script_over(self.number, is_over);
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.client.end_script(self.number);
    }
}

fn start(rules: &Rules, core: &Core) -> Result<Run, String> {
    let config = &core.services.config;
    let memory_bytes = config.lua_memory_bytes.load(Ordering::Relaxed);
    let Rules {
        cached,
        arguments,
        declared,
        ..
    } = rules;
    let run = script::with_engine(|engine| {
        let keys = arguments.range(declared.clone());
        let others = arguments.range(declared.end..arguments.len());
        engine.start(&cached.script, keys, others, Limits { memory_bytes })
    });
    run.and_then(|run| run)
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
        let rules = Rules::new(core, control, call, item, (database, in_exec));
        let config = &core.services.config;
        check_function(control, rules.flags)?;
        // Every attempt runs the same one. An EVAL has kept it already.
        item.script.get_or_init(|| Rc::clone(&rules.cached));
        let needs_memory = declares_need(&rules.cached, rules.flags, rules.is_read_only);
        // An EXEC has been admitted as a whole.
        if !in_exec && needs_memory && config.is_out_of_memory() {
            return Err(CommandError::OutOfMemory);
        }
        Ok(Flight {
            run: None,
            registered: Registered::new(core, &rules.cached.script, &item.arguments),
            retry: None,
            is_slow: false,
            suspended: None,
            // What a command in EXEC takes is not what those before it took.
            started: if in_exec { Instant::now() } else { core.clock },
            // EXEC may begin it over, and it may have been ended before.
            is_new: !in_exec,
            rules,
            recorder: None,
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
            && let Some(ended) = self.poll_ended(core, waker)
        {
            return Advanced::Ended(ended);
        }
        let run = match &mut self.run {
            Some(run) => run,
            none => match start(&self.rules, core) {
                Ok(run) => none.insert(run),
                Err(text) => return Advanced::Ended(Ended::Unstarted(text)),
            },
        };
        let mut host = ScriptHost {
            core,
            rules: &mut self.rules,
            target,
            effects,
            retry: &mut self.retry,
            needs_gate: false,
            waker,
            recorder: self.recorder.as_deref_mut(),
            aborted: None,
        };
        let step = run.resume(&mut host);
        let needs_gate = host.needs_gate;
        let limit_bytes = host
            .core
            .services
            .config
            .lua_memory_bytes
            .load(Ordering::Relaxed);
        if let Some(message) = host.aborted.take() {
            return Advanced::Ended(Ended::Aborted(message));
        }
        // As much as it may take within Lua, it may have kept for its commit.
        if host.effects.bytes() > limit_bytes && !fault!("effects of a script without end") {
            return Advanced::Ended(Ended::MemoryLimit);
        }
        let advanced = match step {
            script::Step::Done => return Advanced::Done,
            script::Step::OutOfMemory => return Advanced::Ended(Ended::MemoryLimit),
            script::Step::Preempted => Advanced::Yields,
            script::Step::Waiting if needs_gate => Advanced::NeedsGate,
            script::Step::Waiting => Advanced::Waits,
            // Told and counted where the session's panics end, like any other.
            script::Step::Panicked => std::panic::resume_unwind(Box::new("in a script")),
        };
        if self.suspended.is_none() {
            self.suspended = Some(Suspended::new(&core.services));
        }
        self.poll_ended(core, waker)
            .map_or(advanced, Advanced::Ended)
    }

    /// Whether it has raised an error.
    pub(super) fn failed(&self) -> bool {
        self.run.as_ref().is_some_and(Run::failed)
    }

    /// What its interpreter takes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.run.as_ref().map_or(0, Run::memory_bytes)
    }

    /// Whether somebody or a limit has ended the script, for one that does not go on at once: `waker`
    /// is woken when somebody does. Warns once if it has been running for long.
    pub(super) fn poll_ended(&mut self, core: &Core, waker: &Waker) -> Option<Ended> {
        self.is_new = false;
        // Before the look, so that no kill comes between them and wakes nobody.
        core.client.shared.set_waker(waker);
        if self.registered.is_killed() {
            return Some(Ended::Killed);
        }
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
        if let Some(run) = &mut self.run {
            run.write_result(reply);
        }
    }

    /// Whether nothing of what it did is to stay, because it raised.
    pub(super) fn rolls_back(&self) -> bool {
        self.failed() && self.rules.flags.has(Flags::ROLLBACK_ON_ERROR)
    }

    /// Counts a run that has come to its end and into history.
    pub(super) fn account_end(&self, core: &Core, tally: &Tally) {
        if self.rules.is_exclusive && !self.rules.has_changed {
            self.rules.cached.note_run(false);
        }
        let failed = self.failed();
        let end = End {
            failed,
            ..End::default()
        };
        self.account(core, tally, end, |counts| {
            count(&counts.errors, u64::from(failed));
        });
    }

    /// Counts a run that was ended.
    pub(super) fn account_ended(&self, core: &Core, ended: &Ended, tally: &Tally) {
        let end = End {
            failed: true,
            killed: *ended == Ended::Killed,
            ..End::default()
        };
        self.account(core, tally, end, |counts| {
            count(&counts.errors, 1);
            let kind = match ended {
                Ended::Aborted(_) | Ended::Unstarted(_) => return,
                Ended::Killed => &counts.kills,
                Ended::TimeLimit | Ended::MemoryLimit | Ended::ReplyTooLarge => &counts.limits,
            };
            count(kind, 1);
        });
    }

    /// It has come to its end within EXEC: SCRIPT KILL finds it no longer.
    pub(super) fn note_over(&self) {
        self.registered.note_over(true);
    }

    /// Gives the run up, but for that SCRIPT KILL finds it, as it will run again.
    pub(super) fn into_registered(self) -> Registered {
        self.registered.note_over(false);
        self.registered
    }

    fn account(
        &self,
        core: &Core,
        tally: &Tally,
        end: End,
        more: impl Fn(&crate::stats::ScriptCounts),
    ) {
        self.rules.correct_flags(core);
        let elapsed_ns = self.started.elapsed().as_nanos() as u64;
        let mode = self.rules.mode();
        let at = ScriptMode::ALL
            .iter()
            .position(|known| *known == mode)
            .unwrap_or(0);
        let counts = &core.stats.scripts[at];
        count(&counts.runs, 1);
        count(&counts.nanoseconds, elapsed_ns);
        more(counts);
        let end = End {
            elapsed_ns,
            memory_bytes: self.memory_bytes() as u64,
            ..end
        };
        let sha = &self.rules.cached.script.sha;
        core.stats.by_script.count(sha, tally, end);
    }
}
