//! EXEC: the queued commands as one transaction.

use std::task::Waker;
use std::time::Instant;

use darter_storage::{CommitError, Error, Escalation, Mode, Transaction};

use super::dispatch::Interested;
use super::exec_counts::{Counts, Ending, count_failure, count_run, lap};
use super::exec_elements::{Cached, error_reply, finish_item, run_client};
use super::function_load::Load;
use super::multi::{Item, Watch};
use super::rules::{Rules, closes_gate};
use super::script_host::{Effects, EffectsMark, Target};
use super::script_run::{Advanced, Ended, Flight, Registered};
use super::{Core, Pending, Step, retry};
use crate::commands::args::Args;
use crate::commands::command::{Command, Control, Run, flag};
use crate::commands::error::CommandError;
use crate::commands::table::Entry;
use crate::commands::view::View;
use crate::fault::fault;
use crate::resp::encode::{Encoder, Protocol};
use crate::resp::reply::Reply;
use crate::script_stats::Tally;

/// Commands that may be run again, in all, to take back what scripts of one EXEC did.
const RUN_AGAIN_MAX: usize = 100_000;

/// See the module's text.
pub(super) struct Exec {
    items: Vec<Item>,
    watches: Vec<Watch>,
    /// The database that every attempt starts in, and the form of its replies.
    database: usize,
    protocol: Protocol,
    cached: Vec<Option<Cached>>,
    mode: Mode,
    escalation: Escalation,
    waits_for_gate: bool,
    attempt: Option<Attempt>,
    /// Libraries that the next command is loading, once for all attempts.
    load: Option<Load>,
    /// The scripts of an attempt that lost, by their places: SCRIPT KILL finds them until they run
    /// again.
    lost: Vec<(usize, Registered)>,
    #[expect(dead_code, reason = "held until what it subscribes to is confirmed")]
    interested: Option<Interested>,
}

/// One try.
struct Attempt {
    transaction: Transaction,
    database: usize,
    next: usize,
    body: Vec<u8>,
    script: Option<Flight>,
    counts: Counts,
    effects: Effects,
    /// Where `effects` stood before the script.
    before_script: EffectsMark,
    /// How many commands have run again.
    run_again: usize,
}

impl Attempt {
    fn into_lost(self) -> Vec<(usize, Registered)> {
        let running = self.script.map(|flight| (self.next, flight));
        let ran = self.counts.into_scripts();
        ran.chain(running)
            .map(|(at, flight)| (at, flight.into_registered()))
            .collect()
    }

    /// Stands where it began; what it has read is still compared at its commit.
    fn go_back(&mut self, database: usize) {
        self.run_again += self.next;
        if !fault!("an ended script in exec leaves its writes") {
            self.transaction.start_over();
        }
        self.database = database;
        self.next = 0;
        self.body.clear();
        self.effects = Effects::default();
        self.counts.go_back();
    }
}

/// How far a try came.
enum Reached {
    /// All commands have run.
    Whole,
    /// A script's slice has ended.
    Yields,
    /// Only the gate will do.
    NeedsGate,
    /// Nothing of the transaction happens, because of this error.
    Discarded(Vec<u8>),
}

impl Exec {
    pub(super) fn new(
        core: &Core,
        items: Vec<Item>,
        watches: Vec<Watch>,
        interested: Option<Interested>,
    ) -> Exec {
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
            protocol: core.client.protocol,
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
            interested,
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
    fn run_items(&mut self, core: &mut Core, attempt: &mut Attempt, waker: &Waker) -> Reached {
        let mut clock = Instant::now();
        while let Some(item) = self.items.get(attempt.next) {
            if let Some(cached) = &self.cached[attempt.next] {
                attempt.body.extend_from_slice(&cached.reply);
                attempt.database = cached.database.unwrap_or(attempt.database);
                if let Some(protocol) = cached.protocol {
                    core.client.speak(protocol);
                }
                attempt.next += 1;
                continue;
            }
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
                        View::new(&mut attempt.transaction, attempt.database, &core.services)
                            .telling_misses(!item.entry.command.has(flag::WRITE));
                    let result = handler(&mut view, &args, &mut reply);
                    if reply.is_cut() {
                        return Reached::Discarded(Ended::ReplyTooLarge.error(false));
                    }
                    if item.entry.command.has(flag::READONLY) {
                        attempt.counts.note_reads(view.hits_and_misses());
                    }
                    let error = finish_item(result, &mut reply, mark);
                    attempt.counts.note(attempt.next, lap(&mut clock), error);
                    attempt.next += 1;
                }
                Run::Client(_) => {
                    let ran = run_client(core, item, attempt.database);
                    count_run(core, item, lap(&mut clock));
                    if flushes_scripts(item.entry) {
                        self.forget_scripts_from(attempt.next + 1);
                    }
                    if fault!("exec calls its client's commands again") {
                        attempt.body.extend_from_slice(&ran.reply);
                        attempt.next += 1;
                    } else {
                        self.cached[attempt.next] = Some(ran);
                    }
                }
                Run::Control(control) if control.loads_functions() => {
                    if !self.run_load(core, attempt, control) {
                        return Reached::Yields;
                    }
                    count_run(core, &self.items[attempt.next], lap(&mut clock));
                }
                Run::Control(Control::Unwatch) => {
                    Encoder::new(&mut attempt.body, core.client.protocol).status("OK");
                    attempt.counts.note(attempt.next, lap(&mut clock), None);
                    attempt.next += 1;
                }
                Run::Control(control) => {
                    if let Some(tried) = self.run_script(core, attempt, control, waker) {
                        return tried;
                    }
                    lap(&mut clock);
                }
                Run::Container => attempt.next += 1,
            }
        }
        Reached::Whole
    }

    /// They were found when EXEC came, so that no other client's flush comes between them; but one
    /// of its own has.
    fn forget_scripts_from(&mut self, index: usize) {
        for item in self.items.iter_mut().skip(index) {
            item.script.take();
        }
    }

    /// Runs the script that is next, or goes on with it. `None` when it has run, or when what is next
    /// has changed.
    fn run_script(
        &mut self,
        core: &mut Core,
        attempt: &mut Attempt,
        control: Control,
        waker: &Waker,
    ) -> Option<Reached> {
        let mut flight = match attempt.script.take() {
            Some(flight) => flight,
            None => {
                let item = &self.items[attempt.next];
                attempt.before_script = attempt.effects.mark();
                match Flight::begin(core, control, item, attempt.database, true) {
                    Ok(flight) => {
                        // Only now, so that SCRIPT KILL finds the script at any moment.
                        self.lost.retain(|(at, _)| *at != attempt.next);
                        flight
                    }
                    Err(error) => {
                        let mut reply = Encoder::new(&mut attempt.body, core.client.protocol);
                        let mark = reply.mark();
                        let error = finish_item(Err(error), &mut reply, mark);
                        attempt.counts.note(attempt.next, 0, error);
                        attempt.next += 1;
                        return None;
                    }
                }
            }
        };
        attempt.transaction.pin();
        let target = Target::Transaction(&mut attempt.transaction);
        match flight.advance(core, target, &mut attempt.effects, waker) {
            Advanced::Done => self.finish_script(core, attempt, flight),
            Advanced::Yields | Advanced::Waits => {
                attempt.transaction.unpin();
                attempt.script = Some(flight);
                Some(Reached::Yields)
            }
            Advanced::NeedsGate => {
                attempt.script = Some(flight);
                Some(Reached::NeedsGate)
            }
            Advanced::Ended(ended) => {
                let reply = error_reply(core, &ended);
                self.undo(core, attempt, (flight, Some(ended)), reply)
            }
        }
    }

    /// A script has come to its end by itself.
    fn finish_script(
        &mut self,
        core: &mut Core,
        attempt: &mut Attempt,
        mut flight: Flight,
    ) -> Option<Reached> {
        let before = attempt.body.len();
        let meter = core.meter();
        let mut reply = Encoder::metered(&mut attempt.body, core.client.protocol, &meter);
        flight.write_result(&mut reply);
        if reply.is_cut() {
            flight.account_ended(core, &Ended::ReplyTooLarge, &Tally::default());
            return Some(Reached::Discarded(Ended::ReplyTooLarge.error(false)));
        }
        let is_error = attempt.effects.note_reply(&attempt.body[before..]);
        if flight.rolls_back() {
            let reply = attempt.body.split_off(before);
            return self.undo(core, attempt, (flight, None), reply);
        }
        attempt
            .counts
            .note_script(attempt.next, flight, Ending::Itself { is_error });
        attempt.next += 1;
        None
    }

    /// Takes back what the script did that is next, and replies so. What came before it is run again
    /// where the transaction began: a transaction has no other place to go back to. `None` to go on.
    fn undo(
        &mut self,
        core: &mut Core,
        attempt: &mut Attempt,
        (flight, ended): (Flight, Option<Ended>),
        reply: Vec<u8>,
    ) -> Option<Reached> {
        let at = attempt.next;
        let has_changed = flight.rules.has_changed;
        let is_killed = ended == Some(Ended::Killed);
        self.cached[at] = Some(Cached {
            is_of_attempt: !is_killed,
            ..Cached::for_all_attempts(reply)
        });
        if is_killed {
            flight.account_ended(core, &Ended::Killed, &Tally::default());
        } else {
            attempt
                .counts
                .note_script(at, flight, Ending::Undone(ended));
        }
        if !has_changed {
            attempt.effects.rewind(attempt.before_script);
            return None;
        }
        if attempt.run_again + at > RUN_AGAIN_MAX {
            let text = b"ERR Too many of its scripts have to be undone.";
            return Some(Reached::Discarded(text.to_vec()));
        }
        attempt.go_back(self.database);
        core.client.speak(self.protocol);
        None
    }

    /// What was killed while it waited to run again does not.
    fn note_kills(&mut self, core: &Core) {
        for (at, registered) in &self.lost {
            if registered.is_killed() && self.cached[*at].is_none() {
                let reply = error_reply(core, &Ended::Killed);
                self.cached[*at] = Some(Cached::for_all_attempts(reply));
            }
        }
    }

    /// Loads the libraries of the command that is next, or goes on with it. `false` if it has to go
    /// on after others have had their turn.
    fn run_load(&mut self, core: &mut Core, attempt: &mut Attempt, control: Control) -> bool {
        let at = attempt.next;
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
                if let Some(error) = finish_item(Err(error), &mut encoder, mark) {
                    count_failure(core, &self.items[at], &error);
                }
            }
        }
        self.cached[at] = Some(Cached::for_all_attempts(reply));
        attempt.transaction.pin();
        true
    }

    /// An attempt is given up; another will be made.
    fn lose(&mut self, core: &mut Core, attempt: Attempt) {
        core.client.speak(self.protocol);
        self.lost = attempt.into_lost();
        for cached in &mut self.cached {
            cached.take_if(|cached| cached.is_of_attempt);
        }
    }

    fn begin(&mut self) -> Attempt {
        Attempt {
            transaction: self.escalation.begin(self.mode),
            database: self.database,
            next: 0,
            body: Vec::new(),
            script: None,
            counts: Counts::default(),
            effects: Effects::default(),
            before_script: EffectsMark::default(),
            run_again: 0,
        }
    }
}

/// The error of a transaction of which nothing happens, because of another error.
pub(super) fn discarded(why: &[u8]) -> Vec<u8> {
    let why = why.strip_prefix(b"ERR ").unwrap_or(why);
    [b"EXECABORT Transaction discarded because of: ", why].concat()
}

/// Replies that nothing of the transaction happens.
fn discard(core: &mut Core, why: &[u8], output: &mut Vec<u8>) -> Step {
    let text = discarded(why);
    core.ended(true, false);
    core.services.stats.count_error(&text);
    Encoder::new(output, core.client.protocol).error(&text);
    Step::Done
}

fn flushes_scripts(entry: Entry) -> bool {
    let is_of_scripts = |container: &Command| container.name == "SCRIPT";
    entry.container.is_some_and(is_of_scripts) && entry.command.name == "FLUSH"
}

impl Pending for Exec {
    fn poll(&mut self, core: &mut Core, output: &mut Vec<u8>, waker: &Waker) -> Step {
        loop {
            let mut attempt = match self.attempt.take() {
                Some(attempt) => attempt,
                None => {
                    if retry::must_wait(core, &mut self.waits_for_gate, &mut self.escalation, waker)
                    {
                        self.note_kills(core);
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
                let own = core.running;
                let tried = self.run_items(core, &mut attempt, waker);
                core.running = own;
                match tried {
                    Reached::Whole => self.lost.clear(),
                    Reached::Yields => {
                        self.attempt = Some(attempt);
                        return Step::Yields;
                    }
                    Reached::NeedsGate => {
                        self.escalation.take_gate();
                        self.lose(core, attempt);
                        continue;
                    }
                    Reached::Discarded(why) => return discard(core, &why, output),
                }
            }
            match core.services.commit(&mut attempt.transaction) {
                Ok(_) => {
                    Encoder::new(output, core.client.protocol).array(self.items.len());
                    output.append(&mut attempt.body);
                    if !fault!("a selection in exec is lost") {
                        core.client.database = attempt.database;
                    }
                    attempt.effects.happen(core);
                    attempt.counts.happen(core, &self.items);
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
            self.lose(core, attempt);
        }
    }

    fn outlives_client(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::Progress;
    use super::super::tests::Site;
    use super::*;

    #[test]
    fn the_stream_goes_on_until_what_exec_subscribes_to_is_confirmed() {
        let site = Site::new();
        let interest = &site.services.interest;
        let mut client = site.connect();
        client.run(&["MULTI"]);
        client.run(&["EVAL", "for i = 1, 3e6 do end", "0"]);
        client.run(&["SUBSCRIBE", "news"]);
        client.send(&["EXEC"]);
        while client.0.process(Waker::noop()) != Progress::Idle {
            assert!(interest.is_wanted());
        }
        assert!(interest.is_wanted());
        drop(client);
        assert!(!interest.is_wanted());
    }
}
