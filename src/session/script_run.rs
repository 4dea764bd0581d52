//! EVAL and its kind: a script's way from its flags to its reply.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Instant;

use darter_storage::{CommitError, Escalation, Mode, Transaction};

use super::multi::Item;
use super::script_host::{Effects, ScriptHost, Target};
use super::{Core, Pending, Step};
use crate::clients::SharedClient;
use crate::commands::command::Control;
use crate::commands::error::CommandError;
use crate::resp::encode::Encoder;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;
use crate::script::cache::{Cached, parse_sha};
use crate::script::flags::Flags;
use crate::script::{self, Limits, Run};
use crate::stats::{ScriptMode, count};

/// Declared keys up to this many are looked through one by one.
const KEYS_LINEAR_MAX: usize = 8;

/// What a script may do.
pub(super) struct Rules {
    cached: Arc<Cached>,
    flags: Flags,
    pub(super) is_read_only: bool,
    pub(super) allows_undeclared: bool,
    pub(super) database: usize,
    declared: Vec<Box<[u8]>>,
    declared_set: HashSet<Box<[u8]>>,
}

/// A script's arguments, found but not checked against each other.
struct Call<'i> {
    cached: Arc<Cached>,
    keys: Vec<&'i [u8]>,
    arguments: Vec<&'i [u8]>,
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
        _ => scripts
            .load(named, script::check)
            .map_err(|error| CommandError::err(error.to_string())),
    }
}

fn find_call<'i>(core: &Core, control: Control, item: &'i Item) -> Result<Call<'i>, CommandError> {
    let all = item.arguments();
    let count = parse_integer(all[2]).ok_or(CommandError::NotAnInteger)?;
    if count < 0 {
        return Err(CommandError::text("ERR Number of keys can't be negative"));
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > all.len() - 3 {
        return Err(CommandError::text(
            "ERR Number of keys can't be greater than number of args",
        ));
    }
    let cached = match item.script.get() {
        Some(found) => Arc::clone(found),
        None => {
            let found = find_script(core, control, all[1])?;
            Arc::clone(item.script.get_or_init(|| found))
        }
    };
    let (keys, arguments) = all[3..].split_at(count);
    Ok(Call {
        cached,
        keys: keys.to_vec(),
        arguments: arguments.to_vec(),
    })
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

    /// Whether the script may use a key.
    pub(super) fn is_declared(&self, key: &[u8]) -> bool {
        if self.declared.len() <= KEYS_LINEAR_MAX {
            return self.declared.iter().any(|known| **known == *key);
        }
        self.declared_set.contains(key)
    }

    /// Logs the first refusal of a script, with the line that would allow what it did.
    pub(super) fn note_refusal(&self, text: &str, line: u32) {
        if text.contains("undeclared key") && !self.cached.was_refused.swap(true, Ordering::Relaxed)
        {
            let sha = String::from_utf8_lossy(&self.cached.script.sha).into_owned();
            tracing::warn!(
                "script {sha}, line {line}: {text}. To allow it: \
                 SCRIPT FLAGS {sha} allow-undeclared-keys"
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
}

impl Ended {
    /// The error's text, without its code. `kept` says that what a direct script wrote stays.
    pub(super) fn text(self, kept: bool) -> String {
        let why = match self {
            Ended::Killed => "Script killed by user with SCRIPT KILL.",
            Ended::TimeLimit => "Script ended: it ran longer than lua-kill-limit.",
            Ended::MemoryLimit => "Script ended: it used more memory than lua-memory-limit.",
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
    run: Run,
    rules: Rules,
    registered: Registered,
    retry: Option<Escalation>,
    is_slow: bool,
    started: Instant,
    is_direct: bool,
}

/// The run that SCRIPT KILL finds with its client, until this is dropped.
struct Registered(Arc<SharedClient>);

impl Drop for Registered {
    fn drop(&mut self) {
        self.0.end_script();
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
        let is_read_only = flags.has(Flags::NO_WRITES)
            || matches!(
                control,
                Control::Eval { read_only: true } | Control::EvalSha { read_only: true }
            );
        let declared: Vec<Box<[u8]>> = call.keys.iter().map(|key| Box::from(*key)).collect();
        let declared_set = if declared.len() > KEYS_LINEAR_MAX {
            declared.iter().cloned().collect()
        } else {
            HashSet::new()
        };
        let memory_bytes = config.lua_memory_bytes.load(Ordering::Relaxed);
        let limits = Limits { memory_bytes };
        let run = script::with_engine(|engine| {
            engine.start(&call.cached.script, &call.keys, &call.arguments, limits)
        });
        let run = run.and_then(|run| run).map_err(CommandError::err)?;
        let shared = &core.client.shared;
        shared.begin_script(call.cached.script.sha, core.services.store.now_ms());
        Ok(Flight {
            run,
            rules: Rules {
                allows_undeclared: flags.has(Flags::ALLOW_UNDECLARED_KEYS),
                is_read_only,
                cached: call.cached,
                flags,
                database,
                declared,
                declared_set,
            },
            registered: Registered(Arc::clone(shared)),
            retry: None,
            is_slow: false,
            started: Instant::now(),
            is_direct: !in_exec && !is_read_only && flags.has(Flags::DISABLE_ATOMICITY),
        })
    }

    /// Lets the script run for a slice.
    pub(super) fn advance(
        &mut self,
        core: &mut Core,
        target: Target<'_>,
        effects: &mut Effects,
        waker: &Waker,
    ) -> Advanced {
        if let Some(ended) = self.is_ended(core, waker) {
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
        match step {
            script::Step::Done => Advanced::Done,
            script::Step::Preempted => match self.is_ended(core, waker) {
                Some(ended) => Advanced::Ended(ended),
                None => Advanced::Yields,
            },
            script::Step::Waiting if needs_gate => Advanced::NeedsGate,
            script::Step::Waiting => Advanced::Waits,
            script::Step::OutOfMemory => Advanced::Ended(Ended::MemoryLimit),
        }
    }

    /// Whether somebody or a limit has ended the script.
    fn is_ended(&mut self, core: &Core, waker: &Waker) -> Option<Ended> {
        if self.registered.0.is_script_killed() {
            return Some(Ended::Killed);
        }
        core.client.shared.set_waker(waker);
        let elapsed_ms = self.started.elapsed().as_millis() as u64;
        let config = &core.services.config;
        let slow_ms = config.lua_time_limit_ms.load(Ordering::Relaxed);
        if slow_ms > 0 && elapsed_ms >= slow_ms && !self.is_slow {
            self.is_slow = true;
            let sha = String::from_utf8_lossy(&self.rules.cached.script.sha).into_owned();
            tracing::warn!("script {sha} has been running for {elapsed_ms} ms");
        }
        let limit_ms = config.lua_kill_limit_ms.load(Ordering::Relaxed);
        (limit_ms > 0 && elapsed_ms >= limit_ms).then_some(Ended::TimeLimit)
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

    /// Counts a run that has ended.
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

/// EVAL outside MULTI.
struct Script {
    item: Item,
    control: Control,
    escalation: Option<Escalation>,
    flight: Option<Flight>,
    transaction: Option<Transaction>,
    effects: Effects,
    /// The script has run and only its commit is left; this is its reply.
    reply: Option<Vec<u8>>,
    /// When the first attempt began.
    started: Instant,
}

/// Runs a script. `Some` if it could not be finished at once.
pub(super) fn run(
    core: &mut Core,
    control: Control,
    item: Item,
    output: &mut Vec<u8>,
) -> Option<Box<dyn Pending>> {
    let database = core.client.database;
    match Flight::begin(core, control, &item, database, false) {
        Ok(flight) => Some(Box::new(Script {
            item,
            control,
            escalation: None,
            started: flight.started,
            flight: Some(flight),
            transaction: None,
            effects: Effects::default(),
            reply: None,
        })),
        Err(error) => {
            let text = error.to_string();
            core.ended(true, false);
            core.services.stats.count_error(text.as_bytes());
            Encoder::new(output, core.client.protocol).error(text.as_bytes());
            None
        }
    }
}

impl Script {
    /// Makes sure that there is a transaction to run in; `false` if others must go first.
    fn has_transaction(&mut self, core: &mut Core, flight: &Flight, waker: &Waker) -> bool {
        if self.transaction.is_some() || flight.is_direct {
            return true;
        }
        let store = &core.services.store;
        if flight.rules.is_read_only {
            self.transaction = Some(store.begin(Mode::Snapshot));
            return true;
        }
        let escalation = match &mut self.escalation {
            Some(escalation) => escalation,
            None if flight.rules.allows_undeclared => {
                self.escalation.insert(Escalation::exclusive(store))
            }
            // The first attempt, which seldom fails, needs none.
            None => {
                let mut transaction = core.optimistic.take();
                match &mut transaction {
                    Some(transaction) => transaction.restart(),
                    None => transaction = Some(store.begin(Mode::Optimistic)),
                }
                self.transaction = transaction;
                return true;
            }
        };
        if !escalation.poll(waker) {
            return false;
        }
        self.transaction = Some(escalation.begin(Mode::Optimistic));
        true
    }

    fn end(
        &mut self,
        core: &mut Core,
        flight: &Flight,
        ended: Ended,
        output: &mut Vec<u8>,
    ) -> Step {
        flight.account(core, |counts| {
            count(&counts.errors, 1);
            count(
                if ended == Ended::Killed {
                    &counts.kills
                } else {
                    &counts.limits
                },
                1,
            );
        });
        let text = format!("ERR {}", ended.text(flight.is_direct));
        core.services.stats.count_error(text.as_bytes());
        core.ended(true, flight.is_direct);
        Encoder::new(output, core.client.protocol).error(text.as_bytes());
        Step::Done
    }

    /// Starts over after a conflict, or with the gate.
    fn restart(&mut self, core: &mut Core) -> Result<(), CommandError> {
        self.transaction = None;
        self.effects = Effects::default();
        self.reply = None;
        let database = core.client.database;
        let mut flight = Flight::begin(core, self.control, &self.item, database, false)?;
        flight.started = self.started;
        self.flight = Some(flight);
        Ok(())
    }

    /// Commits what the script did. `None` when it has happened.
    fn commit(&mut self, core: &mut Core, rolls_back: bool, waker: &Waker) -> Option<Step> {
        let mut transaction = self.transaction.take()?;
        if rolls_back {
            return None;
        }
        transaction.pin();
        match core.services.commit(&mut transaction) {
            Ok(_) => {
                self.effects.happen();
                core.has_committed = true;
                if transaction.mode() == Mode::Optimistic {
                    transaction.rest();
                    core.optimistic = Some(transaction);
                }
                None
            }
            Err(CommitError::Conflict(_)) => {
                let store = &core.services.store;
                let escalation = self
                    .escalation
                    .get_or_insert_with(|| Escalation::new(store));
                escalation.failed(&transaction);
                drop(transaction);
                self.reply = None;
                self.flight = None;
                Some(Step::Done)
            }
            Err(CommitError::GateClosed) => {
                transaction.unpin();
                self.transaction = Some(transaction);
                if core.services.store.poll_open(waker) {
                    return self.commit(core, rolls_back, waker);
                }
                Some(Step::Waits)
            }
        }
    }

    /// Commits and hands out the reply, or starts over. `None` to go on at once.
    fn conclude(
        &mut self,
        core: &mut Core,
        flight: Flight,
        output: &mut Vec<u8>,
        waker: &Waker,
    ) -> Option<Step> {
        let rolls_back = flight.run.failed() && flight.rules.flags.has(Flags::ROLLBACK_ON_ERROR);
        match self.commit(core, rolls_back, waker) {
            None => {
                let failed = flight.run.failed();
                flight.account_end(core);
                output.append(self.reply.get_or_insert_default());
                core.ended(failed, true);
                Some(Step::Done)
            }
            Some(Step::Waits) => {
                self.flight = Some(flight);
                Some(Step::Waits)
            }
            Some(_) => {
                drop(flight);
                match self.restart(core) {
                    Ok(()) => None,
                    Err(error) => {
                        let text = error.to_string();
                        Encoder::new(output, core.client.protocol).error(text.as_bytes());
                        Some(Step::Done)
                    }
                }
            }
        }
    }
}

impl Pending for Script {
    fn poll(&mut self, core: &mut Core, output: &mut Vec<u8>, waker: &Waker) -> Step {
        loop {
            let Some(mut flight) = self.flight.take() else {
                return Step::Done;
            };
            if self.reply.is_some() {
                match self.conclude(core, flight, output, waker) {
                    Some(step) => return step,
                    None => continue,
                }
            }
            if !self.has_transaction(core, &flight, waker) {
                if let Some(ended) = flight.is_ended(core, waker) {
                    return self.end(core, &flight, ended, output);
                }
                self.flight = Some(flight);
                return Step::Waits;
            }
            let target = match &mut self.transaction {
                Some(transaction) => {
                    transaction.pin();
                    Target::Transaction(transaction)
                }
                None => Target::Direct,
            };
            let advanced = flight.advance(core, target, &mut self.effects, waker);
            if let Some(transaction) = &mut self.transaction {
                transaction.unpin();
            }
            match advanced {
                Advanced::Done => {
                    let mut reply = Vec::new();
                    let mut encoder = Encoder::new(&mut reply, core.client.protocol);
                    flight.write_result(&mut encoder);
                    self.reply = Some(reply);
                    self.flight = Some(flight);
                }
                Advanced::Yields | Advanced::Waits => {
                    self.flight = Some(flight);
                    let waits = matches!(advanced, Advanced::Waits);
                    return if waits { Step::Waits } else { Step::Yields };
                }
                Advanced::NeedsGate => {
                    let store = &core.services.store;
                    drop(flight);
                    self.escalation
                        .get_or_insert_with(|| Escalation::new(store))
                        .take_gate();
                    if let Err(error) = self.restart(core) {
                        let text = error.to_string();
                        Encoder::new(output, core.client.protocol).error(text.as_bytes());
                        return Step::Done;
                    }
                }
                Advanced::Ended(ended) => return self.end(core, &flight, ended, output),
            }
        }
    }

    fn outlives_client(&self) -> bool {
        true
    }
}
