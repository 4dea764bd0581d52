//! SCRIPT EXPLAIN: what a script would do, without doing it.
//!
//! The script runs in an optimistic transaction that nobody ever commits, with any key allowed, and
//! is told of by what it read and what it would have written. It is suspended, ended and limited
//! like every other.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

use darter_storage::{Access, Mode, Transaction};

use super::multi::Item;
use super::script_host::{Effects, Target};
use super::script_run::{Advanced, Ended, Flight};
use super::{Core, Pending, Step, dispatch, eval};
use crate::commands::args::Args;
use crate::commands::command::{Control, flag};
use crate::commands::error::CommandError;
use crate::commands::table::{self, Entry};
use crate::fault::fault;
use crate::resp::encode::Encoder;
use crate::resp::reply::Reply;
use crate::script::flags::Flags;
use crate::stats::ScriptMode;

/// Bytes of undeclared keys and of messages that are told of; a script may make up any number.
const RECORDED_BYTES_MAX: usize = 4 << 20;
/// Keys that a piece of advice names.
const NAMED_MAX: usize = 5;

/// What a script calls while it is explained.
#[derive(Default)]
pub(super) struct Recorder {
    /// By the command's place in the table.
    calls: BTreeMap<usize, u64>,
    undeclared: BTreeSet<Box<[u8]>>,
    /// A command that only the gate's owner may run, and that was not run.
    exclusive: Option<String>,
    recorded_bytes: usize,
    publishes: bool,
    /// Channels and payloads; without subscribers they get no further than this.
    messages: Vec<[Box<[u8]>; 2]>,
    writes: bool,
}

impl Recorder {
    pub(super) fn note_call(&mut self, entry: Entry, args: &Args<'_>) {
        *self.calls.entry(entry.index).or_default() += 1;
        let command = entry.command;
        self.writes |= command.has(flag::WRITE);
        if command.publishes() {
            self.publishes = true;
            if self.has_room(args[1].len() + args[2].len()) {
                self.messages.push([args[1].into(), args[2].into()]);
            }
        }
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        /// What it takes to keep something, whatever its length.
        const OVERHEAD: usize = 64;
        let end = self.recorded_bytes.saturating_add(bytes + OVERHEAD);
        if end > RECORDED_BYTES_MAX {
            return false;
        }
        self.recorded_bytes = end;
        true
    }

    pub(super) fn note_undeclared(&mut self, key: &[u8]) {
        if !self.undeclared.contains(key) && self.has_room(key.len()) {
            self.undeclared.insert(key.into());
        }
    }

    pub(super) fn note_exclusive(&mut self, entry: Entry) {
        self.exclusive = Some(entry.full_name().to_ascii_uppercase());
    }
}

/// See the module's text.
struct Explain {
    flight: Option<Flight>,
    transaction: Transaction,
    effects: Effects,
}

/// Begins to explain a script. `Some` unless it cannot even begin.
pub(super) fn run(
    core: &mut Core,
    by_sha: bool,
    entry: Entry,
    args: &Args<'_>,
    output: &mut Vec<u8>,
) -> Option<Box<dyn Pending>> {
    let read_only = false;
    let control = if by_sha {
        Control::EvalSha { read_only }
    } else {
        Control::Eval { read_only }
    };
    // As EVAL's: what names the script comes right behind the command.
    let item = Item::new(entry, &Args::new(args.from(1)));
    let database = core.client.database;
    match Flight::begin(core, control, &item, database, false) {
        Ok(mut flight) => {
            flight.recorder = Some(Box::default());
            let mut transaction = core.services.store.begin(Mode::Optimistic);
            transaction.unpin();
            Some(Box::new(Explain {
                flight: Some(flight),
                transaction,
                effects: Effects::default(),
            }))
        }
        Err(error) => {
            dispatch::fail(core, &error, output);
            None
        }
    }
}

impl Pending for Explain {
    fn poll(&mut self, core: &mut Core, output: &mut Vec<u8>, waker: &Waker) -> Step {
        let Some(mut flight) = self.flight.take() else {
            return Step::Done;
        };
        self.transaction.pin();
        let target = Target::Transaction(&mut self.transaction);
        let advanced = flight.advance(core, target, &mut self.effects, waker);
        let step = match advanced {
            Advanced::Done => {
                match self.report(core, flight) {
                    Some(mut report) => {
                        output.append(&mut report);
                        core.ended(false, false);
                    }
                    None => fail(core, &Ended::ReplyTooLarge, output),
                }
                if fault!("an explained script commits") {
                    let _ = core.services.commit(&mut self.transaction);
                }
                return Step::Done;
            }
            Advanced::Ended(ended) => {
                fail(core, &ended, output);
                return Step::Done;
            }
            Advanced::Yields => Step::Yields,
            Advanced::Waits | Advanced::NeedsGate => Step::Waits,
        };
        self.transaction.unpin();
        self.flight = Some(flight);
        step
    }
}

fn fail(core: &mut Core, ended: &Ended, output: &mut Vec<u8>) {
    let error = CommandError::Text(ended.error(false).into());
    dispatch::fail(core, &error, output);
}

impl Explain {
    /// The map that the client gets; `None` if there is no room for it.
    fn report(&self, core: &Core, mut flight: Flight) -> Option<Vec<u8>> {
        let time_us = flight.started.elapsed().as_micros() as i64;
        let memory_bytes = flight.memory_bytes() as i64;
        let mut result = eval::reply_of(core, &mut flight)?;
        let recorder = flight.recorder.take().unwrap_or_default();
        let scripts = &core.services.scripts;
        let defaults = core.services.config.default_flags();
        let (flags, source) = scripts.flags_and_source(flight.rules.sha(), defaults);
        // A read of the whole keyspace alone is one of a snapshot.
        let needs_gate =
            recorder.exclusive.is_some() || recorder.writes && self.transaction.needs_gate();
        let mode = match flight.rules.mode() {
            ScriptMode::Optimistic if needs_gate => ScriptMode::Exclusive,
            mode => mode,
        };
        let (mut body, meter) = (Vec::new(), core.meter());
        let mut reply = Encoder::metered(&mut body, core.client.protocol, &meter);
        reply.map(11);
        reply.bulk(b"result");
        // An error goes in as text, so that it is an element and does not end the reply.
        match result.strip_prefix(b"-") {
            Some(error) => reply.bulk(error.trim_ascii_end()),
            None => body.append(&mut result),
        }
        let mut reply = Encoder::metered(&mut body, core.client.protocol, &meter);
        reply.bulk(b"mode");
        reply.bulk(mode.name().as_bytes());
        reply.bulk(b"flags");
        let names: Vec<_> = flags.names().collect();
        reply.array(names.len());
        names.iter().for_each(|name| reply.bulk(name.as_bytes()));
        reply.bulk(b"flags_from");
        reply.bulk(source.as_bytes());
        self.write_keys(b"keys_read", &flight, &mut reply, |access| access.is_read);
        self.write_keys(b"keys_written", &flight, &mut reply, |access| {
            access.is_written
        });
        write_calls(&recorder, &mut reply);
        self.write_effects(&recorder, &mut reply);
        reply.bulk(b"time_us");
        reply.integer(time_us);
        reply.bulk(b"memory_bytes");
        reply.integer(memory_bytes);
        reply.bulk(b"advice");
        let advice = advice(&flight, flags, &recorder, needs_gate);
        reply.array(advice.len());
        advice.iter().for_each(|text| reply.bulk(text.as_bytes()));
        (!reply.is_cut()).then_some(body)
    }

    fn write_keys(
        &self,
        name: &[u8],
        flight: &Flight,
        reply: &mut Encoder<'_>,
        is_wanted: fn(&Access<'_>) -> bool,
    ) {
        let touched: Vec<_> = self.transaction.accesses().filter(is_wanted).collect();
        reply.bulk(name);
        reply.array(touched.len());
        for access in touched {
            reply.array(2);
            reply.bulk(access.key);
            reply.integer(i64::from(flight.rules.is_declared(access.key)));
        }
    }

    fn write_effects(&self, recorder: &Recorder, reply: &mut Encoder<'_>) {
        reply.bulk(b"effects");
        reply.map(2);
        reply.bulk(b"messages");
        reply.array(recorder.messages.len());
        for [channel, payload] in &recorder.messages {
            reply.array(2);
            reply.bulk(channel);
            reply.bulk(payload);
        }
        reply.bulk(b"log");
        let lines: Vec<&[u8]> = self.effects.lines().collect();
        reply.array(lines.len());
        lines.iter().for_each(|line| reply.bulk(line));
    }
}

fn write_calls(recorder: &Recorder, reply: &mut Encoder<'_>) {
    reply.bulk(b"commands");
    reply.map(recorder.calls.len());
    for (index, count) in &recorder.calls {
        let name = table::all()
            .get(*index)
            .map_or_else(String::new, |entry| entry.full_name().to_ascii_uppercase());
        reply.bulk(name.as_bytes());
        reply.integer(*count as i64);
    }
}

/// What its author may want to change.
fn advice(flight: &Flight, flags: Flags, recorder: &Recorder, needs_gate: bool) -> Vec<String> {
    let mut all = Vec::new();
    let sha = String::from_utf8_lossy(flight.rules.sha()).into_owned();
    let allows = flags.has(Flags::ALLOW_UNDECLARED_KEYS);
    if !recorder.undeclared.is_empty() && !flags.allows_undeclared_keys() {
        let keys = recorder.undeclared.iter().take(NAMED_MAX);
        let names: Vec<_> = keys.map(|key| String::from_utf8_lossy(key)).collect();
        let more = recorder.undeclared.len().saturating_sub(NAMED_MAX);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        all.push(format!(
            "A run would be refused: it uses undeclared keys: {}{more}. Pass them as KEYS, or \
             allow them: SCRIPT FLAGS {sha} allow-undeclared-keys",
            names.join(", ")
        ));
    }
    if allows && recorder.undeclared.is_empty() && recorder.exclusive.is_none() {
        all.push(
            "allow-undeclared-keys was not needed: every key that it used is declared.".into(),
        );
    }
    let reads_only = !recorder.writes && !recorder.publishes && recorder.exclusive.is_none();
    if reads_only && !flight.rules.is_read_only {
        all.push(
            "no-writes would hold: it called no command that writes. It would run on a snapshot \
             and wait for nobody."
                .into(),
        );
    }
    if flags.has(Flags::DISABLE_ATOMICITY) && recorder.calls.values().sum::<u64>() > 1 {
        all.push("disable-atomicity lets others act between its calls.".into());
    }
    match &recorder.exclusive {
        Some(name) => all.push(format!(
            "{name} was not run: it needs the gate, so a run of this script stops all other \
             writers until its end."
        )),
        None if needs_gate => all.push(
            "It reads the keyspace as a whole and writes: it would run with the gate closed to \
             all other writers."
                .into(),
        ),
        None => {}
    }
    all
}
