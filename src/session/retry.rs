//! Commands on data that run by themselves: one transaction each, tried until it commits.

use std::task::Waker;

use darter_storage::{CommitError, Escalation, Mode, Transaction};

use super::give_way::give_way;
use super::{Core, Pending, Step, large_reply};
use crate::clients::ReplyMode;
use crate::commands::args::{Args, KeptArguments};
use crate::commands::command::{Command, DataHandler, flag};
use crate::commands::error::{CommandError, Wait};
use crate::commands::view::{KeyRules, View};
use crate::fault::fault;
use crate::resp::encode::Encoder;
use crate::resp::reply::Reply;
use crate::services::Services;
use crate::stats::{ThreadStats, count};

/// How one attempt ended.
pub(super) enum AttemptOutcome {
    /// The reply is written; it is this error, if one.
    Done { error: Option<CommandError> },
    /// There is nothing to take yet; the reply of one who cannot wait is written.
    Blocked(Box<Wait>),
    /// Somebody else changed what was read. Nothing is written.
    Conflict,
    /// The gate is closed. Nothing is written.
    GateClosed,
}

/// Where a command that runs by itself reads.
pub(super) fn mode_of(command: &Command) -> Mode {
    let reads_one_key = command.keys.is_first();
    let reads_parts = command.names_no_key() && !command.has(flag::WHOLE_KEYSPACE);
    if command.has(flag::READONLY) && !reads_one_key && !reads_parts {
        Mode::Snapshot
    } else {
        Mode::Direct
    }
}

/// What a command runs among.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'s> {
    pub(super) services: &'s Services,
    pub(super) stats: &'s ThreadStats,
    /// The database that unqualified keys are in.
    pub(super) database: usize,
    /// Rules for keys that no argument names.
    pub(super) rules: Option<&'s dyn KeyRules>,
    /// It waits already, so what it writes before it has something to take is given up.
    pub(super) is_waiting: bool,
    /// It reads what has been: nobody is told what it does not find.
    pub(super) is_in_past: bool,
}

impl<'s> Surroundings<'s> {
    /// Those of a command that a client runs, and that does not wait.
    pub(super) fn new(core: &'s Core, database: usize) -> Surroundings<'s> {
        Surroundings {
            services: &core.services,
            stats: &core.stats,
            database,
            rules: None,
            is_waiting: false,
            is_in_past: false,
        }
    }

    pub(super) fn view<'v>(self, transaction: &'v mut Transaction, command: &Command) -> View<'v>
    where
        's: 'v,
    {
        View::new(transaction, self.database, self.services)
            .under(self.rules)
            .telling_misses(!command.has(flag::WRITE) && !self.is_in_past)
    }
}

/// Runs a command once in `transaction` and commits it.
pub(super) fn attempt(
    transaction: &mut Transaction,
    (command, run): (&Command, DataHandler),
    args: &Args<'_>,
    surroundings: Surroundings<'_>,
    reply: &mut dyn Reply,
) -> AttemptOutcome {
    let Surroundings {
        services,
        stats,
        is_waiting,
        ..
    } = surroundings;
    let mark = reply.mark();
    let (mut failure, mut begins_to_wait) = (None, None);
    let mut view = surroundings.view(transaction, command);
    let mut result = run(&mut view, args, reply);
    if reply.is_cut() {
        result = Err(CommandError::OutOfMemory);
    }
    if command.has(flag::READONLY) {
        let (hits, misses) = view.hits_and_misses();
        count(&stats.hits, hits.into());
        count(&stats.misses, misses.into());
    }
    match result {
        Ok(()) => {}
        Err(CommandError::WouldBlock(wait)) if wait.group.is_some() && !is_waiting => {
            begins_to_wait = Some(wait);
        }
        Err(CommandError::WouldBlock(wait)) => return AttemptOutcome::Blocked(wait),
        Err(error) => {
            reply.rewind(mark);
            // An error may rest on keys that never stood together: compared like a success.
            transaction.forget_writes();
            failure = Some(error);
        }
    }
    // What only reads has nothing to make part of history, unless it is to be told what it missed.
    let committed = if command.has(flag::READONLY) && !transaction.publishes() {
        Ok(())
    } else {
        services.commit(transaction).map(drop)
    };
    match committed {
        Ok(()) => {
            if let Some(wait) = begins_to_wait {
                return AttemptOutcome::Blocked(wait);
            }
            if let Some(error) = &failure {
                let text = error.wire();
                services.stats.count_error(&text);
                reply.error(&text);
            }
            AttemptOutcome::Done { error: failure }
        }
        Err(error) => {
            if !fault!("the reply of an attempt that lost stays") {
                reply.rewind(mark);
            }
            match error {
                CommitError::Conflict(_) => AttemptOutcome::Conflict,
                CommitError::GateClosed => AttemptOutcome::GateClosed,
            }
        }
    }
}

/// A command's arguments, kept beyond the bytes that they came in.
pub(super) struct KeptCommand {
    pub(super) command: &'static Command,
    pub(super) run: DataHandler,
    pub(super) arguments: KeptArguments,
    pub(super) database: usize,
    /// Whether it waits for something to take.
    pub(super) is_waiting: bool,
}

impl KeptCommand {
    pub(super) fn new(
        command: &'static Command,
        run: DataHandler,
        args: &Args<'_>,
        database: usize,
    ) -> KeptCommand {
        KeptCommand {
            command,
            run,
            arguments: KeptArguments::new(args),
            database,
            is_waiting: false,
        }
    }

    /// Hands the arguments over.
    fn take(&mut self) -> KeptCommand {
        KeptCommand {
            arguments: std::mem::take(&mut self.arguments),
            ..*self
        }
    }

    /// As `attempt`, with the arguments kept.
    pub(super) fn attempt(
        &self,
        transaction: &mut Transaction,
        core: &Core,
        output: &mut Vec<u8>,
    ) -> AttemptOutcome {
        let all = self.arguments.to_vec();
        let meter = core.meter();
        let mut reply = Encoder::metered(output, core.client.protocol, &meter);
        let surroundings = Surroundings {
            is_waiting: self.is_waiting,
            ..Surroundings::new(core, self.database)
        };
        let args = Args::new(&all);
        attempt(
            transaction,
            (self.command, self.run),
            &args,
            surroundings,
            &mut reply,
        )
    }
}

/// Runs a command by itself. `Some` if it could not be finished at once.
pub(super) fn run(
    core: &mut Core,
    command: &'static Command,
    run: DataHandler,
    args: &Args<'_>,
    output: &mut Vec<u8>,
) -> Option<Box<dyn Pending>> {
    if command.has(flag::EXCLUSIVE) {
        let escalation = Escalation::exclusive(&core.services.store);
        let kept = KeptCommand::new(command, run, args, core.client.database);
        return Some(Box::new(Retry {
            kept,
            escalation,
            waits_for_gate: false,
        }));
    }
    let defers = core.client.reply_mode == ReplyMode::On;
    run_deferring(core, (command, run), args, output, defers)
}

/// The transaction of a command's first attempt: the one that is kept, if there is one that will do.
pub(super) fn first_transaction(core: &mut Core, command: &Command) -> Box<Transaction> {
    let mut transaction = match mode_of(command) {
        Mode::Direct => core.begin_direct(),
        mode => Box::new(core.services.store.begin(mode)),
    };
    if !command.has(flag::WRITE) {
        transaction.skip_comparison();
    }
    transaction
}

/// Keeps a transaction that is over for the next command.
pub(super) fn keep(core: &mut Core, transaction: Box<Transaction>) {
    if transaction.mode() == Mode::Direct {
        core.direct = Some(transaction);
    }
}

/// As `run`; a reply that is a large string is fetched piece by piece if it `defers`.
fn run_deferring(
    core: &mut Core,
    (command, run): (&'static Command, DataHandler),
    args: &Args<'_>,
    output: &mut Vec<u8>,
    defers: bool,
) -> Option<Box<dyn Pending>> {
    let database = core.client.database;
    let mut transaction = first_transaction(core, command);
    let before = output.len();
    let meter = core.meter();
    let mut reply = Encoder::metered(output, core.client.protocol, &meter).deferring(defers);
    let first = attempt(
        &mut transaction,
        (command, run),
        args,
        Surroundings::new(core, database),
        &mut reply,
    );
    let has_deferred = reply.has_deferred();
    match first {
        AttemptOutcome::Done { error } => {
            keep(core, transaction);
            if has_deferred {
                let begun = large_reply::begin(core, args, output);
                return begun.or_else(|| run_deferring(core, (command, run), args, output, false));
            }
            core.ended(error.is_some(), !command.has(flag::READONLY));
            None
        }
        AttemptOutcome::Blocked(wait) => {
            let kept = KeptCommand::new(command, run, args, database);
            output.truncate(before);
            Some(super::blocked::block(core, kept, *wait))
        }
        AttemptOutcome::Conflict | AttemptOutcome::GateClosed => {
            let mut escalation = Escalation::new(&core.services.store);
            let waits_for_gate = matches!(first, AttemptOutcome::GateClosed);
            if !waits_for_gate {
                escalation.failed(&transaction);
                give_way();
            }
            let kept = KeptCommand::new(command, run, args, database);
            Some(Box::new(Retry {
                kept,
                escalation,
                waits_for_gate,
            }))
        }
    }
}

/// A command that is tried again.
pub(super) struct Retry {
    pub(super) kept: KeptCommand,
    pub(super) escalation: Escalation,
    pub(super) waits_for_gate: bool,
}

/// Whether others must go before the next attempt: the gate, if the last one met it closed, or the
/// queues. `waker` is woken when it is worth asking again.
pub(super) fn must_wait(
    core: &Core,
    waits_for_gate: &mut bool,
    escalation: &mut Escalation,
    waker: &Waker,
) -> bool {
    if *waits_for_gate && !core.services.store.poll_open(waker) {
        return true;
    }
    *waits_for_gate = false;
    !escalation.poll(waker)
}

/// How far trying again came.
pub(super) enum RetryProgress {
    /// The reply is written. Whether it is an error.
    Done,
    /// Others must go first; the waker is woken.
    Waits,
    /// There is nothing to take yet; the reply of one who cannot wait is written.
    Blocked(Box<Wait>),
}

impl Retry {
    /// Tries until the command has committed, or has to wait.
    pub(super) fn try_on(
        &mut self,
        core: &mut Core,
        output: &mut Vec<u8>,
        waker: &Waker,
    ) -> RetryProgress {
        loop {
            if must_wait(core, &mut self.waits_for_gate, &mut self.escalation, waker) {
                return RetryProgress::Waits;
            }
            let mut transaction = self.escalation.begin(mode_of(self.kept.command));
            match self.kept.attempt(&mut transaction, core, output) {
                AttemptOutcome::Done { error } => {
                    core.ended(error.is_some(), true);
                    return RetryProgress::Done;
                }
                AttemptOutcome::Blocked(wait) => return RetryProgress::Blocked(wait),
                AttemptOutcome::Conflict => {
                    self.escalation.failed(&transaction);
                    give_way();
                }
                AttemptOutcome::GateClosed => self.waits_for_gate = true,
            }
        }
    }

    /// Gives up its place in the queues, or the gate. For one who waits until others write: they
    /// must not wait for it.
    pub(super) fn leave_queue(&mut self, core: &Core) {
        if self.escalation.is_queued() || self.escalation.is_exclusive() {
            self.escalation = Escalation::new(&core.services.store);
        }
        self.waits_for_gate = false;
    }
}

impl Pending for Retry {
    fn poll(&mut self, core: &mut Core, output: &mut Vec<u8>, waker: &Waker) -> Step {
        let before = output.len();
        match self.try_on(core, output, waker) {
            RetryProgress::Done => Step::Done,
            RetryProgress::Waits => Step::Waits,
            RetryProgress::Blocked(wait) => {
                output.truncate(before);
                let kept = self.kept.take();
                Step::Becomes(super::blocked::block(core, kept, *wait))
            }
        }
    }

    /// What was sent is done, whether or not somebody else happened to be in the way.
    fn outlives_client(&self) -> bool {
        true
    }

    fn arguments(&self) -> Option<&KeptArguments> {
        Some(&self.kept.arguments)
    }
}
