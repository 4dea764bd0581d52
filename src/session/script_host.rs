//! What a running script reaches: commands, within its mode's rules.

use std::cell::RefCell;
use std::sync::atomic::Ordering;

use darter_storage::{Escalation, Mode, Transaction};

use super::Core;
use super::call_counts::CallCounts;
use super::explain::Recorder;
use super::monitored;
use super::retry::{self, AttemptOutcome};
use super::rules::Rules;
use crate::commands::admission;
use crate::commands::args::Args;
use crate::commands::command::{Command, DataHandler, Run, flag};
use crate::commands::error::CommandError;
use crate::commands::table::{self, Entry};
use crate::commands::view::{KeyRules, View};
use crate::fault::fault;
use crate::monitor;
use crate::resp::reply::Reply;
use crate::script::{CallContext, Called, Host, LogLevel};
use crate::stats::count;

/// Where a script's calls take effect.
pub(super) enum Target<'t> {
    /// In a transaction that is committed at the script's end.
    Transaction(&'t mut Transaction),
    /// Each by itself.
    Direct,
}

/// What is to happen once, when the script has become part of history.
#[derive(Default)]
pub(super) struct Effects {
    log: Vec<(LogLevel, Vec<u8>)>,
    /// Calls, for monitors.
    calls: Vec<Vec<u8>>,
    /// What log lines, calls and messages take.
    bytes: usize,
    counts: CallCounts,
}

/// A place in `Effects`.
#[derive(Clone, Copy, Default)]
pub(super) struct EffectsMark {
    lines: usize,
    calls: usize,
    bytes: usize,
}

impl Effects {
    /// What is kept for it until the script has become part of history.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where it stands, for `rewind`.
    pub(super) fn mark(&self) -> EffectsMark {
        EffectsMark {
            lines: self.log.len(),
            calls: self.calls.len(),
            bytes: self.bytes,
        }
    }

    /// Drops what has come since.
    pub(super) fn rewind(&mut self, mark: EffectsMark) {
        self.log.truncate(mark.lines);
        self.calls.truncate(mark.calls);
        self.bytes = mark.bytes;
    }

    /// The lines that would be logged.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.log.iter().map(|(_, message)| message.as_slice())
    }

    /// The script has ended with this reply. Whether it is an error.
    pub(super) fn note_reply(&mut self, reply: &[u8]) -> bool {
        self.counts.note_reply(reply)
    }

    /// Its calls have been made, whether or not anything is left of them, and are not made again.
    pub(super) fn count_calls(&mut self, core: &Core) {
        self.counts.happen(core);
    }

    /// The script has become part of history.
    pub(super) fn happen(&mut self, core: &Core) {
        self.count_calls(core);
        for line in self.calls.drain(..) {
            monitored::feed(&core.services, line);
        }
        for (level, message) in self.log.drain(..) {
            write_log(level, &message);
        }
    }
}

pub(super) fn write_log(level: LogLevel, message: &[u8]) {
    let message = String::from_utf8_lossy(message);
    match level {
        LogLevel::Debug => tracing::debug!(target: "script", "{message}"),
        LogLevel::Verbose => tracing::debug!(target: "script", "{message}"),
        LogLevel::Notice => tracing::info!(target: "script", "{message}"),
        LogLevel::Warning => tracing::warn!(target: "script", "{message}"),
    }
}

/// See the module's text.
pub(super) struct ScriptHost<'h, 't> {
    pub(super) core: &'h mut Core,
    pub(super) rules: &'h mut Rules,
    pub(super) target: Target<'t>,
    pub(super) effects: &'h mut Effects,
    /// How a direct call that could not be made at once goes on.
    pub(super) retry: &'h mut Option<Escalation>,
    /// The script does what only the gate's owner may.
    pub(super) needs_gate: bool,
    pub(super) waker: &'h std::task::Waker,
    /// What is called is written down, any key is allowed, and nothing is to happen.
    pub(super) recorder: Option<&'h mut Recorder>,
    /// What redis.abort was given.
    pub(super) aborted: Option<Vec<u8>>,
}

/// Which keys a call may use: those that its arguments name, and those that it makes of patterns.
struct CallKeys<'r> {
    rules: &'r Rules,
    entry: Entry,
    recorder: Option<RefCell<&'r mut Recorder>>,
    /// Why a key was refused.
    refusal: RefCell<Option<CommandError>>,
}

impl<'r> CallKeys<'r> {
    fn new(rules: &'r Rules, entry: Entry, recorder: Option<&'r mut Recorder>) -> CallKeys<'r> {
        CallKeys {
            rules,
            entry,
            recorder: recorder.map(RefCell::new),
            refusal: RefCell::default(),
        }
    }
}

impl KeyRules for CallKeys<'_> {
    fn check(&self, key: &[u8]) -> Result<(), CommandError> {
        let allows = self.rules.allows_undeclared || fault!("undeclared keys let through");
        if allows && self.recorder.is_none() || self.rules.is_declared(key) {
            return Ok(());
        }
        if let Some(recorder) = &self.recorder {
            recorder.borrow_mut().note_undeclared(key);
            return Ok(());
        }
        let name = self.entry.full_name().to_ascii_uppercase();
        let refusal = CommandError::naming(
            "script tried accessing undeclared key, key: ",
            key,
            &format!(", command: {name}"),
        );
        self.refusal.replace(Some(refusal.clone()));
        Err(refusal)
    }
}

impl ScriptHost<'_, '_> {
    /// The checks of Redis, in its order.
    fn check(&mut self, args: &Args<'_>) -> Result<Entry, CommandError> {
        let mut entry = table::find(&args[0]).ok_or(CommandError::text(
            "ERR Unknown Redis command called from script",
        ))?;
        if args.len() > 1 && !entry.command.subcommands.is_empty() {
            entry = table::find_subcommand(entry, &args[1]).ok_or(CommandError::text(
                "ERR Unknown Redis command called from script",
            ))?;
        }
        let command = entry.command;
        if !command.accepts(args.len()) {
            return Err(CommandError::text(
                "ERR Wrong number of args calling Redis command from script",
            ));
        }
        if !command.is_for_scripts() && !self.may_call_all(command) {
            return Err(CommandError::text(admission::NOT_IN_SCRIPTS));
        }
        let may_not_write = self.rules.is_read_only && !fault!("a read-only script writes");
        if may_not_write && command.changes_something() {
            return Err(CommandError::text(
                admission::NO_WRITES_IN_READ_ONLY_SCRIPTS,
            ));
        }
        if command.has(flag::DENYOOM) && self.rules.is_out_of_memory(self.core) {
            return Err(CommandError::OutOfMemory);
        }
        self.check_keys(entry, args)?;
        Ok(entry)
    }

    /// Whether DEBUG lets scripts call a command that they may not. What other commands depend on, as
    /// subscriptions do, stays out of their reach.
    fn may_call_all(&self, command: &Command) -> bool {
        const STEERING: u32 = flag::PUBSUB | flag::SUBSCRIBED;
        let lets = &self.core.services.switches.lets_scripts_call_all;
        // Relaxed: a switch that each call looks at anew.
        lets.load(Ordering::Relaxed)
            && self.recorder.is_none()
            && matches!(command.run, Run::Data(_) | Run::Client(_))
            && !command.has(STEERING)
    }

    fn is_on_snapshot(&self) -> bool {
        matches!(&self.target, Target::Transaction(transaction)
            if transaction.mode() == Mode::Snapshot)
    }

    fn check_keys(&mut self, entry: Entry, args: &Args<'_>) -> Result<(), CommandError> {
        if self.rules.allows_undeclared && self.recorder.is_none() {
            return Ok(());
        }
        let Some(positions) = entry.command.keys.positions(args) else {
            return Ok(());
        };
        let keys = CallKeys::new(self.rules, entry, self.recorder.as_deref_mut());
        positions
            .into_iter()
            .try_for_each(|position| keys.check(args.at(position)))
    }

    /// Counts a call, once it will not be made again.
    fn count_call(&mut self, entry: Entry) {
        match self.target {
            _ if self.recorder.is_some() => {}
            Target::Direct => count(&self.core.stats.commands[entry.index].calls, 1),
            Target::Transaction(_) => self.effects.counts.note(entry.index),
        }
    }

    /// Tells monitors of a call, once it is part of history.
    fn tell_monitors(&mut self, command: &Command, args: &Args<'_>) {
        let services = &self.core.services;
        if !services.monitors.is_any() || command.has(flag::ADMIN) || self.recorder.is_some() {
            return;
        }
        let line = monitor::line(self.rules.database, "lua", args.all());
        match self.target {
            Target::Direct => monitored::feed(services, line),
            Target::Transaction(_) => {
                self.effects.bytes += line.len() + size_of::<Vec<u8>>();
                self.effects.calls.push(line);
            }
        }
    }

    fn run(
        &mut self,
        entry: Entry,
        args: &Args<'_>,
        context: &CallContext,
        reply: &mut dyn Reply,
    ) -> Called {
        let command = entry.command;
        self.rules.has_written |= command.has(flag::WRITE);
        if command.changes_something() || command.has(flag::EXCLUSIVE) {
            self.rules.note_change();
            if self.rules.is_presumed_reader
                && self.is_on_snapshot()
                && !fault!("a presumed reader writes")
            {
                self.needs_gate = true;
                return Called::Wait;
            }
        }
        let mark = reply.mark();
        let mut refusal = None;
        let result = match (command.run, &mut self.target) {
            (Run::Data(handler), Target::Transaction(transaction)) => {
                if command.has(flag::EXCLUSIVE) && transaction.mode() != Mode::Exclusive {
                    if let Some(recorder) = &mut self.recorder {
                        recorder.note_exclusive(entry);
                        reply.error(b"ERR SCRIPT EXPLAIN does not run what needs the gate");
                        return Called::Done;
                    }
                    self.needs_gate = true;
                    return Called::Wait;
                }
                let published_before = transaction.published_bytes();
                let services = &*self.core.services;
                let keys = CallKeys::new(self.rules, entry, self.recorder.as_deref_mut());
                let mut view = View::new(transaction, self.rules.database, services)
                    .under(Some(&keys))
                    .telling_misses(!command.has(flag::WRITE));
                let result = handler(&mut view, args, reply);
                if command.has(flag::READONLY) {
                    let found = view.hits_and_misses();
                    self.effects.counts.note_reads(found);
                }
                self.effects.bytes += transaction.published_bytes() - published_before;
                refusal = keys.refusal.into_inner();
                result
            }
            (Run::Data(handler), Target::Direct) => {
                return self.run_directly((entry, handler), args, context, reply);
            }
            (Run::Client(handler), _) => self.run_client(handler, args, reply),
            _ => Err(CommandError::text(admission::NOT_IN_SCRIPTS)),
        };
        match result {
            Ok(()) | Err(CommandError::WouldBlock(_)) => {}
            Err(error) => {
                reply.rewind(mark);
                reply.error(&error.wire());
                self.effects.counts.note_failed(entry.index, &error);
            }
        }
        self.note_refusal(refusal.as_ref(), context);
        Called::Done
    }

    /// Notes that a call was refused a key, if it was.
    fn note_refusal(&self, refusal: Option<&CommandError>, context: &CallContext) {
        if let Some(refusal) = refusal {
            self.rules
                .note_refusal(self.core, &refusal.to_string(), context.line());
        }
    }

    /// A call in direct mode: a transaction of its own, tried until it commits.
    fn run_directly(
        &mut self,
        run: (Entry, DataHandler),
        args: &Args<'_>,
        context: &CallContext,
        reply: &mut dyn Reply,
    ) -> Called {
        let command = run.0.command;
        if self.retry.is_none() && !command.has(flag::EXCLUSIVE) {
            let mut transaction = retry::first_transaction(self.core, command);
            match self.attempt_directly(&mut transaction, run, args, context, reply) {
                AttemptOutcome::Done { .. } => {
                    retry::keep(self.core, transaction);
                    return Called::Done;
                }
                AttemptOutcome::Blocked(_) => return Called::Done,
                AttemptOutcome::Conflict => {
                    let mut escalation = Escalation::new(&self.core.services.store);
                    escalation.failed(&transaction);
                    *self.retry = Some(escalation);
                }
                AttemptOutcome::GateClosed => {}
            }
        }
        let mut escalation = self.retry.take().unwrap_or_else(|| {
            let store = &self.core.services.store;
            if command.has(flag::EXCLUSIVE) {
                Escalation::exclusive(store)
            } else {
                Escalation::new(store)
            }
        });
        loop {
            let store = &self.core.services.store;
            if !store.poll_open(self.waker) && !escalation.is_exclusive()
                || !escalation.poll(self.waker)
            {
                *self.retry = Some(escalation);
                return Called::Wait;
            }
            let mut transaction = escalation.begin(retry::mode_of(command));
            match self.attempt_directly(&mut transaction, run, args, context, reply) {
                AttemptOutcome::Done { .. } | AttemptOutcome::Blocked(_) => return Called::Done,
                AttemptOutcome::Conflict => escalation.failed(&transaction),
                AttemptOutcome::GateClosed => {}
            }
        }
    }

    /// One attempt of a call in direct mode.
    fn attempt_directly(
        &mut self,
        transaction: &mut Transaction,
        (entry, handler): (Entry, DataHandler),
        args: &Args<'_>,
        context: &CallContext,
        reply: &mut dyn Reply,
    ) -> AttemptOutcome {
        let command = entry.command;
        let keys = CallKeys::new(self.rules, entry, None);
        let surroundings = retry::Surroundings {
            rules: Some(&keys),
            ..retry::Surroundings::new(self.core, self.rules.database)
        };
        let attempt = retry::attempt(transaction, (command, handler), args, surroundings, reply);
        if let AttemptOutcome::Done { .. } | AttemptOutcome::Blocked(_) = attempt {
            let refusal = keys.refusal.into_inner();
            self.note_refusal(refusal.as_ref(), context);
            self.core.has_committed |= !command.has(flag::READONLY);
        }
        if let AttemptOutcome::Done { error: Some(error) } = &attempt {
            count(&self.core.stats.commands[entry.index].failed, 1);
            self.effects.counts.note_told(error);
        }
        attempt
    }

    /// A command on the connection; what it does to the selected database lasts for the script.
    fn run_client(
        &mut self,
        handler: crate::commands::command::ClientHandler,
        args: &Args<'_>,
        reply: &mut dyn Reply,
    ) -> Result<(), CommandError> {
        let own = std::mem::replace(&mut self.core.client.database, self.rules.database);
        let result = handler(&mut self.core.context(), args, reply);
        if fault!("a script's selection stays") {
            self.rules.database = self.core.client.database;
            return result;
        }
        self.rules.database = std::mem::replace(&mut self.core.client.database, own);
        result
    }
}

impl Host for ScriptHost<'_, '_> {
    fn call(
        &mut self,
        context: &CallContext,
        arguments: &[&[u8]],
        reply: &mut dyn Reply,
    ) -> Called {
        let args = Args::new(arguments);
        match self.check(&args) {
            Ok(entry) => {
                if let Some(recorder) = &mut self.recorder {
                    recorder.note_call(entry, &args);
                }
                let called = self.run(entry, &args, context, reply);
                if called == Called::Done {
                    self.count_call(entry);
                    self.tell_monitors(entry.command, &args);
                }
                called
            }
            Err(error) => {
                self.rules
                    .note_refusal(self.core, &error.to_string(), context.line());
                reply.error(&error.wire());
                let known = table::find(&args[0]).map(|entry| entry.index);
                self.effects.counts.note_rejected(known, &error);
                Called::Done
            }
        }
    }

    fn log(&mut self, level: LogLevel, message: &[u8]) {
        // Relaxed: an option, read anew each time.
        let config = &self.core.services.config;
        if !config.scripts_log.load(Ordering::Relaxed) {
            return;
        }
        match self.target {
            Target::Direct => write_log(level, message),
            Target::Transaction(_) => {
                self.effects.bytes += message.len() + size_of::<(LogLevel, Vec<u8>)>();
                self.effects.log.push((level, message.to_vec()));
            }
        }
    }

    fn abort(&mut self, message: &[u8]) {
        self.aborted = Some(message.to_vec());
    }

    fn random(&mut self) -> u64 {
        match &self.target {
            Target::Transaction(transaction) => transaction.random(),
            // Nothing of it runs again.
            Target::Direct => self.core.services.store.begin(Mode::Snapshot).random(),
        }
    }

    fn may_run(&mut self, arguments: &[&[u8]]) -> Option<bool> {
        table::find(arguments.first()?).map(|_| true)
    }
}
