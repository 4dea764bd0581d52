//! EXEC: the queued commands as one transaction.

use std::task::Waker;

use darter_storage::{CommitError, Error, Escalation, Mode, Transaction};

use super::function_load::Load;
use super::multi::{Item, Watch};
use super::script_host::{Effects, Target};
use super::script_run::{Advanced, Ended, Flight, Registered, Rules, closes_gate};
use super::{Core, Pending, Step, retry};
use crate::commands::args::Args;
use crate::commands::command::{Control, Run, flag};
use crate::commands::error::CommandError;
use crate::commands::view::View;
use crate::fault::fault;
use crate::resp::encode::Encoder;
use crate::resp::reply::{Mark, Reply};
use crate::script_stats::Tally;

/// What a command on the connection did, kept so that it is not done again with the others.
struct Cached {
    reply: Vec<u8>,
    database: usize,
}

/// See the module's text.
pub(super) struct Exec {
    items: Vec<Item>,
    watches: Vec<Watch>,
    /// The database that every attempt starts in.
    database: usize,
    cached: Vec<Option<Cached>>,
    mode: Mode,
    escalation: Escalation,
    waits_for_gate: bool,
    attempt: Option<Attempt>,
    /// Libraries that the next command is loading, once for all attempts.
    load: Option<Load>,
    /// The scripts of an attempt that lost: SCRIPT KILL finds them until they run again.
    lost: Vec<Registered>,
}

/// One try.
struct Attempt {
    transaction: Transaction,
    database: usize,
    next: usize,
    body: Vec<u8>,
    script: Option<Flight>,
    /// Scripts that have run, to be counted when the transaction has happened.
    ended: Vec<Flight>,
    effects: Effects,
}

impl Attempt {
    fn into_lost(self) -> Vec<Registered> {
        let flights = self.ended.into_iter().chain(self.script);
        flights.map(Flight::into_registered).collect()
    }
}

/// How far a try came.
enum Tried {
    /// All commands have run.
    Whole,
    /// A script's slice has ended.
    Yields,
    /// Only the gate will do.
    NeedsGate,
    /// A script was ended, or a reply is too large: nothing of the transaction happens.
    Ended(Ended),
}

impl Exec {
    pub(super) fn new(core: &Core, items: Vec<Item>, watches: Vec<Watch>) -> Exec {
        let store = &core.services.store;
        let is_script = |item: &Item| item.entry.command.runs_script().is_some();
        let is_load = |item: &Item| item.entry.command.loads_functions();
        let is_exclusive = items.iter().any(|item| {
            item.entry.command.has(flag::EXCLUSIVE)
                || is_script(item) && closes_gate(core, Rules::flags_of(core, item))
        });
        let has_script = items.iter().any(|item| is_script(item) || is_load(item));
        let escalation = if is_exclusive {
            Escalation::exclusive(store)
        } else {
            Escalation::new(store)
        };
        Exec {
            cached: items.iter().map(|_| None).collect(),
            items,
            watches,
            database: core.client.database,
            // A script may be suspended, which only a transaction that reads at a number bears.
            mode: if has_script {
                Mode::Optimistic
            } else {
                Mode::Direct
            },
            escalation,
            waits_for_gate: false,
            attempt: None,
            load: None,
            lost: Vec::new(),
        }
    }

    /// Whether a watched key is no longer what it was. What is read here is compared at the commit.
    fn is_stale(&self, transaction: &Transaction) -> Result<bool, CommandError> {
        if fault!("watched keys not compared at exec") {
            return Ok(false);
        }
        for watch in &self.watches {
            for (database, key) in &watch.keys {
                match transaction.is_unchanged_since(&watch.snapshot, *database, key) {
                    // Nobody can say any more whether the key has changed.
                    Ok(false) | Err(Error::SnapshotTooOld) => return Ok(true),
                    Ok(true) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(false)
    }

    /// Runs commands until all have run or one cannot go on.
    fn run_items(&mut self, core: &mut Core, attempt: &mut Attempt, waker: &Waker) -> Tried {
        while let Some(item) = self.items.get(attempt.next) {
            core.running = Some(item.entry.index);
            match item.entry.command.run {
                Run::Data(handler) => {
                    let arguments = item.arguments.to_vec();
                    let args = Args::new(&arguments);
                    let meter = core.meter();
                    let mut reply =
                        Encoder::metered(&mut attempt.body, core.client.protocol, &meter);
                    let mark = reply.mark();
                    let mut view =
                        View::new(&mut attempt.transaction, attempt.database, &core.services);
                    let result = handler(&mut view, &args, &mut reply);
                    if reply.is_cut() {
                        return Tried::Ended(Ended::ReplyTooLarge);
                    }
                    finish_item(core, result, &mut reply, mark);
                }
                Run::Client(_) => {
                    let at = attempt.next;
                    let cached = match &mut self.cached[at] {
                        Some(cached) if !fault!("exec calls its client's commands again") => cached,
                        empty => empty.insert(run_client(core, item, attempt.database)),
                    };
                    attempt.body.extend_from_slice(&cached.reply);
                    attempt.database = cached.database;
                }
                Run::Control(control) if control.loads_functions() => {
                    if !self.run_load(core, attempt, control) {
                        return Tried::Yields;
                    }
                }
                Run::Control(control) => match self.run_script(core, attempt, control, waker) {
                    None => {}
                    Some(tried) => return tried,
                },
                Run::Container => {}
            }
            attempt.next += 1;
        }
        Tried::Whole
    }

    /// Runs the script that is next, or goes on with it. `None` when it has run.
    fn run_script(
        &self,
        core: &mut Core,
        attempt: &mut Attempt,
        control: Control,
        waker: &Waker,
    ) -> Option<Tried> {
        let item = &self.items[attempt.next];
        if control == Control::Unwatch {
            Encoder::new(&mut attempt.body, core.client.protocol).status("OK");
            return None;
        }
        let mut flight = match attempt.script.take() {
            Some(flight) => flight,
            None => match Flight::begin(core, control, item, attempt.database, true) {
                Ok(flight) => flight,
                Err(error) => {
                    let mut reply = Encoder::new(&mut attempt.body, core.client.protocol);
                    let mark = reply.mark();
                    finish_item(core, Err(error), &mut reply, mark);
                    return None;
                }
            },
        };
        attempt.transaction.pin();
        let target = Target::Transaction(&mut attempt.transaction);
        match flight.advance(core, target, &mut attempt.effects, waker) {
            Advanced::Done => {
                let meter = core.meter();
                let mut reply = Encoder::metered(&mut attempt.body, core.client.protocol, &meter);
                flight.write_result(&mut reply);
                if reply.is_cut() {
                    flight.account_ended(core, &Ended::ReplyTooLarge, &Tally::default());
                    return Some(Tried::Ended(Ended::ReplyTooLarge));
                }
                attempt.ended.push(flight);
                None
            }
            Advanced::Yields => {
                attempt.transaction.unpin();
                attempt.script = Some(flight);
                Some(Tried::Yields)
            }
            Advanced::NeedsGate => Some(Tried::NeedsGate),
            Advanced::Waits => {
                attempt.script = Some(flight);
                Some(Tried::Yields)
            }
            Advanced::Ended(ended) => {
                if fault!("half of an exec commits") {
                    let _ = core.services.commit(&mut attempt.transaction);
                }
                flight.account_ended(core, &ended, &Tally::default());
                Some(Tried::Ended(ended))
            }
        }
    }

    /// Loads the libraries of the command that is next, or goes on with it. `false` if it has to go
    /// on after others have had their turn.
    fn run_load(&mut self, core: &mut Core, attempt: &mut Attempt, control: Control) -> bool {
        let at = attempt.next;
        if self.cached[at].is_none() {
            let arguments = self.items[at].arguments.to_vec();
            let begun = match self.load.take() {
                Some(load) => Ok(load),
                None => Load::begin(core, control, &Args::new(&arguments)),
            };
            attempt.transaction.unpin();
            let loaded = begun.and_then(|mut load| match load.advance(core) {
                Some(loaded) => loaded.map(|()| Some(load)),
                None => {
                    self.load = Some(load);
                    Ok(None)
                }
            });
            let mut reply = Vec::new();
            let mut encoder = Encoder::new(&mut reply, core.client.protocol);
            match loaded {
                Ok(None) => return false,
                Ok(Some(load)) => load.write_reply(&mut encoder),
                Err(error) => {
                    let mark = encoder.mark();
                    finish_item(core, Err(error), &mut encoder, mark);
                }
            }
            let database = attempt.database;
            self.cached[at] = Some(Cached { reply, database });
        }
        attempt.transaction.pin();
        if let Some(cached) = &self.cached[at] {
            attempt.body.extend_from_slice(&cached.reply);
        }
        true
    }

    fn begin(&mut self) -> Attempt {
        Attempt {
            transaction: self.escalation.begin(self.mode),
            database: self.database,
            next: 0,
            body: Vec::new(),
            script: None,
            ended: Vec::new(),
            effects: Effects::default(),
        }
    }
}

/// Replies that nothing of the transaction happens.
fn discard(core: &Core, ended: Ended, output: &mut Vec<u8>) -> Step {
    let text = ended.error(false);
    let text = text.strip_prefix("ERR ").unwrap_or(&text);
    let text = format!("EXECABORT Transaction discarded because of: {text}");
    Encoder::new(output, core.client.protocol).error(text.as_bytes());
    Step::Done
}

/// Runs a command on the connection, once for all attempts.
fn run_client(core: &mut Core, item: &Item, database: usize) -> Cached {
    let mut reply = Vec::new();
    let arguments = item.arguments.to_vec();
    let protocol = core.client.protocol;
    let own = std::mem::replace(&mut core.client.database, database);
    if let Run::Client(handler) = item.entry.command.run {
        let args = Args::new(&arguments);
        let result = handler(
            &mut core.context(),
            &args,
            &mut Encoder::new(&mut reply, protocol),
        );
        if let Err(error) = result {
            reply.clear();
            core.services
                .stats
                .count_error(error.to_string().as_bytes());
            Encoder::new(&mut reply, protocol).error(error.to_string().as_bytes());
        }
    }
    // What is selected becomes the client's own at the commit.
    let database = std::mem::replace(&mut core.client.database, own);
    Cached { reply, database }
}

/// Writes a command's error as its element, or leaves its reply.
fn finish_item(core: &Core, result: Result<(), CommandError>, reply: &mut Encoder<'_>, mark: Mark) {
    match result {
        // One who cannot wait has its reply already.
        Ok(()) | Err(CommandError::WouldBlock(_)) => {}
        Err(error) => {
            let text = error.to_string();
            reply.rewind(mark);
            reply.error(text.as_bytes());
            core.services.stats.count_error(text.as_bytes());
        }
    }
}

impl Pending for Exec {
    fn poll(&mut self, core: &mut Core, output: &mut Vec<u8>, waker: &Waker) -> Step {
        loop {
            let mut attempt = match self.attempt.take() {
                Some(attempt) => attempt,
                None => {
                    if retry::must_wait(core, &mut self.waits_for_gate, &mut self.escalation, waker)
                    {
                        if self.lost.iter().any(Registered::is_killed) {
                            return discard(core, Ended::Killed, output);
                        }
                        return Step::Waits;
                    }
                    let attempt = self.begin();
                    if self.is_stale(&attempt.transaction).unwrap_or(true) {
                        Encoder::new(output, core.client.protocol).null_array();
                        return Step::Done;
                    }
                    attempt
                }
            };
            if attempt.next < self.items.len() {
                match self.run_items(core, &mut attempt, waker) {
                    Tried::Whole => self.lost.clear(),
                    Tried::Yields => {
                        self.attempt = Some(attempt);
                        return Step::Yields;
                    }
                    Tried::NeedsGate => {
                        self.escalation.take_gate();
                        self.lost = attempt.into_lost();
                        continue;
                    }
                    Tried::Ended(ended) => return discard(core, ended, output),
                }
            }
            match core.services.commit(&mut attempt.transaction) {
                Ok(_) => {
                    Encoder::new(output, core.client.protocol).array(self.items.len());
                    output.append(&mut attempt.body);
                    if !fault!("a selection in exec is lost") {
                        core.client.database = attempt.database;
                    }
                    attempt.effects.happen();
                    attempt
                        .ended
                        .iter()
                        .for_each(|flight| flight.account_end(core, &Tally::default()));
                    core.has_committed = true;
                    return Step::Done;
                }
                Err(CommitError::Conflict(_)) => self.escalation.failed(&attempt.transaction),
                // What one that reads at a number has done is kept: it would lose to each of a
                // row of exclusive transactions otherwise.
                Err(CommitError::GateClosed) if attempt.transaction.mode() != Mode::Direct => {
                    attempt.transaction.unpin();
                    self.attempt = Some(attempt);
                    if core.services.store.poll_open(waker) {
                        continue;
                    }
                    return Step::Waits;
                }
                Err(CommitError::GateClosed) => self.waits_for_gate = true,
            }
            self.lost = attempt.into_lost();
        }
    }

    fn outlives_client(&self) -> bool {
        true
    }
}
