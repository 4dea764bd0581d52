//! EVAL and its kind outside MULTI: from the first attempt to the commit.

use std::task::Waker;
use std::time::Instant;

use darter_storage::{CommitError, Escalation, Mode, Store, Transaction};

use super::give_way::give_way;
use super::multi::Item;
use super::script_host::{Effects, Target};
use super::script_run::{Advanced, Ended, Flight};
use super::{Core, Pending, Step, dispatch, held_snapshot, kept_gate};
use crate::commands::args::KeptArguments;
use crate::commands::command::Control;
use crate::commands::error::CommandError;
use crate::fault::fault;
use crate::resp::encode::Encoder;
use crate::resp::reply::Reply;
use crate::script_stats::Tally;

/// EVAL outside MULTI.
struct PendingScript {
    item: Item,
    control: Control,
    escalation: Option<Escalation>,
    /// Boxed: it is handed on with each step.
    flight: Option<Box<Flight>>,
    transaction: Option<Box<Transaction>>,
    effects: Effects,
    /// The script has run and only its commit is left; this is its reply.
    reply: Option<Vec<u8>>,
    /// When the first attempt began.
    started: Instant,
    /// Its first attempt could not be made in one slice.
    is_long: bool,
    /// It reads at the snapshot that its connection holds.
    is_on_held: bool,
    tally: Tally,
    /// Since when it has kept the gate closed.
    gate_since: Option<Instant>,
    /// Since when its thread has, perhaps for others before it.
    kept_since: Option<Instant>,
    /// Where it waits for the gate.
    place: Option<kept_gate::GatePlace>,
}

/// How the commit of a script that has run ended.
enum Outcome {
    /// It is part of history, or nothing of it was to be.
    Happened,
    /// The gate is closed; the waker is woken.
    Waits,
    /// It has to run again.
    Lost,
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
        Ok(flight) if core.held.is_some() && !flight.rules.is_read_only => {
            dispatch::fail(core, &held_snapshot::NO_WRITES, output);
            None
        }
        Ok(flight) => Some(Box::new(PendingScript {
            item,
            control,
            escalation: None,
            started: flight.started,
            flight: Some(Box::new(flight)),
            transaction: None,
            effects: Effects::default(),
            reply: None,
            is_long: false,
            is_on_held: core.held.is_some(),
            tally: Tally::default(),
            gate_since: None,
            kept_since: None,
            place: None,
        })),
        Err(error) => {
            dispatch::fail(core, &error, output);
            None
        }
    }
}

/// A transaction for a script's first attempt. One that declares a single key needs no snapshot:
/// the newest version of one key is a consistent state, and is compared at the commit.
fn first_transaction(core: &mut Core, is_short: bool) -> Box<Transaction> {
    if is_short {
        return core.begin_direct();
    }
    let kept = core.optimistic.take();
    core.begin_again(kept, Mode::Optimistic)
}

impl PendingScript {
    /// Makes sure that there is a transaction to run in; `false` if others must go first.
    fn has_transaction(&mut self, core: &mut Core, flight: &Flight, waker: &Waker) -> bool {
        if self.transaction.is_some() || flight.rules.is_direct {
            return true;
        }
        let store = &core.services.store;
        let is_presumed_reader = flight.rules.is_presumed_reader && self.escalation.is_none();
        if flight.rules.is_read_only || is_presumed_reader {
            let held = core.held.take();
            self.transaction = Some(held.unwrap_or_else(|| Box::new(store.begin(Mode::Snapshot))));
            return true;
        }
        let escalation = match &mut self.escalation {
            Some(escalation) => escalation,
            None if flight.rules.is_exclusive => {
                self.escalation.insert(Escalation::exclusive(store))
            }
            // The first attempt, which seldom fails, needs none.
            None => {
                let is_short = !flight.rules.allows_undeclared
                    && flight.rules.declared_count() <= 1
                    && !self.is_long;
                let transaction = first_transaction(core, is_short);
                let transaction = self.transaction.insert(transaction);
                if flight.rules.allows_undeclared && fault!("undeclared keys not compared") {
                    transaction.skip_comparison();
                }
                return true;
            }
        };
        if escalation.is_exclusive() {
            let client = core.client.shared.id;
            self.kept_since = kept_gate::poll(escalation, &mut self.place, client, waker);
            if self.kept_since.is_none() {
                return false;
            }
            self.gate_since = Some(Instant::now());
        } else if !escalation.poll(waker) {
            return false;
        }
        self.transaction = Some(Box::new(escalation.begin(Mode::Optimistic)));
        true
    }

    /// Gives the connection's snapshot back to it.
    fn give_back(&mut self, core: &mut Core) {
        if let Some(mut transaction) = self.transaction.take_if(|_| self.is_on_held) {
            // What a script has not found there is no news.
            transaction.take_messages();
            transaction.unpin();
            core.held = Some(transaction);
        }
    }

    fn is_direct_transaction(&self) -> bool {
        let transaction = self.transaction.as_ref();
        transaction.is_some_and(|transaction| transaction.mode() == Mode::Direct)
    }

    fn end(
        &mut self,
        core: &mut Core,
        flight: &Flight,
        ended: Ended,
        output: &mut Vec<u8>,
    ) -> Step {
        let commits = match ended {
            Ended::Aborted(_) => fault!("an aborted script commits"),
            _ => fault!("a killed script commits"),
        };
        if commits && let Some(transaction) = &mut self.transaction {
            let _ = core.services.commit(transaction);
        }
        self.give_back(core);
        self.leave_gate();
        self.effects.count_calls(core);
        flight.account_ended(core, &ended, &self.tally);
        let text = ended.error(flight.rules.is_direct);
        core.services.stats.count_error(&text);
        core.ended(true, flight.rules.is_direct);
        Encoder::new(output, core.client.protocol).error(&text);
        Step::Done
    }

    /// Its transaction is over, and with it its hold of the gate.
    fn leave_gate(&mut self) {
        if let Some(since) = self.gate_since.take() {
            self.tally.gate_ns += since.elapsed().as_nanos() as u64;
        }
    }

    /// Starts over after a conflict, or with the gate.
    fn restart(&mut self, core: &mut Core, before: Box<Flight>) -> Result<(), CommandError> {
        self.transaction = None;
        self.leave_gate();
        if !fault!("log lines of a run that lost are written") {
            self.effects = Effects::default();
        }
        self.reply = None;
        let database = core.client.database;
        let mut flight = Flight::begin(core, self.control, &self.item, database, false)?;
        flight.began_before(self.started);
        self.flight = Some(Box::new(flight));
        // Only now, so that SCRIPT KILL finds the script at any moment.
        drop(before);
        Ok(())
    }

    /// An attempt has lost.
    fn lost(&mut self, store: &Store, transaction: &Transaction) {
        self.tally.lost(transaction.changed_key());
        let escalation = self
            .escalation
            .get_or_insert_with(|| Escalation::new(store));
        let before = (escalation.is_queued(), escalation.is_exclusive());
        escalation.failed(transaction);
        self.tally.queued += u64::from(escalation.is_queued() && !before.0);
        self.tally.gated += u64::from(escalation.is_exclusive() && !before.1);
    }

    /// Commits what the script did.
    fn commit(&mut self, core: &mut Core, rolls_back: bool, waker: &Waker) -> Outcome {
        self.give_back(core);
        if rolls_back && !fault!("an error keeps its script's writes") {
            self.effects.count_calls(core);
            self.transaction = None;
            return Outcome::Happened;
        }
        let Some(mut transaction) = self.transaction.take() else {
            self.effects.happen(core);
            return Outcome::Happened;
        };
        transaction.pin();
        match core.services.commit(&mut transaction) {
            Ok(_) => {
                self.effects.happen(core);
                core.has_committed = true;
                self.keep(core, transaction);
                Outcome::Happened
            }
            Err(CommitError::Conflict(_)) => {
                self.lost(&core.services.store, &transaction);
                give_way();
                Outcome::Lost
            }
            // It holds a pin, so it may not wait: one that can, does.
            Err(CommitError::GateClosed) if transaction.mode() == Mode::Direct => {
                self.is_long = true;
                Outcome::Lost
            }
            Err(CommitError::GateClosed) => {
                transaction.unpin();
                self.transaction = Some(transaction);
                if core.services.store.poll_open(waker) {
                    return self.commit(core, rolls_back, waker);
                }
                Outcome::Waits
            }
        }
    }

    /// Keeps a transaction that is over, or its gate, for the next script.
    fn keep(&self, core: &mut Core, mut transaction: Box<Transaction>) {
        transaction.rest();
        match transaction.mode() {
            Mode::Optimistic => core.optimistic = Some(transaction),
            Mode::Direct => core.direct = Some(transaction),
            Mode::Exclusive => {
                if let Some(since) = self.kept_since {
                    kept_gate::keep(*transaction, core.client.shared.id, since);
                }
            }
            Mode::Snapshot => {}
        }
    }

    /// Keeps what the script replies; `false` if there is no room for it.
    fn has_reply(&mut self, core: &Core, flight: &mut Flight) -> bool {
        self.reply = reply_of(core, flight);
        if let Some(reply) = &self.reply {
            self.effects.note_reply(reply);
        }
        self.reply.is_some()
    }

    /// Commits and hands out the reply, or starts over. `None` to go on at once.
    fn conclude(
        &mut self,
        core: &mut Core,
        mut flight: Box<Flight>,
        output: &mut Vec<u8>,
        waker: &Waker,
    ) -> Option<Step> {
        match self.commit(core, flight.rolls_back(), waker) {
            Outcome::Happened => {
                self.leave_gate();
                flight.account_end(core, &self.tally);
                let reply = self.reply.get_or_insert_default();
                let failed = reply.starts_with(b"-");
                output.append(reply);
                core.ended(failed, true);
                Some(Step::Done)
            }
            Outcome::Waits => {
                if let Some(ended) = flight.poll_ended(core, waker) {
                    return Some(self.end(core, &flight, ended, output));
                }
                self.flight = Some(flight);
                Some(Step::Waits)
            }
            Outcome::Lost => {
                let error = self.restart(core, flight).err()?;
                dispatch::fail(core, &error, output);
                Some(Step::Done)
            }
        }
    }
}

/// What a script that is done replies; `None` if there is no room for it.
pub(super) fn reply_of(core: &Core, flight: &mut Flight) -> Option<Vec<u8>> {
    let mut reply = Vec::new();
    let meter = core.meter();
    let mut encoder = Encoder::metered(&mut reply, core.client.protocol, &meter);
    flight.write_result(&mut encoder);
    let is_whole = !encoder.is_cut();
    is_whole.then_some(reply)
}

impl Pending for PendingScript {
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
                if let Some(ended) = flight.poll_ended(core, waker) {
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
            // Whoever is done goes on to its commit at once.
            if !matches!(advanced, Advanced::Done)
                && let Some(transaction) = &mut self.transaction
            {
                transaction.unpin();
            }
            match advanced {
                Advanced::Done => {
                    if !self.has_reply(core, &mut flight) {
                        return self.end(core, &flight, Ended::ReplyTooLarge, output);
                    }
                    self.flight = Some(flight);
                }
                // A direct transaction holds a pin, so it is not suspended: the script starts over
                // in one that reads at a number.
                Advanced::Yields | Advanced::Waits if self.is_direct_transaction() => {
                    self.is_long = true;
                    if let Err(error) = self.restart(core, flight) {
                        dispatch::fail(core, &error, output);
                        return Step::Done;
                    }
                }
                Advanced::Yields | Advanced::Waits => {
                    self.flight = Some(flight);
                    let waits = matches!(advanced, Advanced::Waits);
                    self.tally.preemptions += u64::from(!waits);
                    return if waits { Step::Waits } else { Step::Yields };
                }
                Advanced::NeedsGate => {
                    self.tally.gated += 1;
                    let store = &core.services.store;
                    self.escalation
                        .get_or_insert_with(|| Escalation::new(store))
                        .take_gate();
                    if let Err(error) = self.restart(core, flight) {
                        dispatch::fail(core, &error, output);
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

    fn is_exclusive(&self) -> bool {
        let flight = self.flight.as_ref();
        flight.is_some_and(|flight| flight.rules.is_exclusive)
    }

    fn arguments(&self) -> Option<&KeptArguments> {
        Some(&self.item.arguments)
    }
}
