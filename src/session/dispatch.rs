//! One request: which command it is, whether it may run, and how.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use super::batch::Taken;
use super::exec::{Exec, discarded};
use super::multi::{self, Item, Multi};
use super::paused::{paused, paused_until};
use super::rules::Rules;
use super::{
    Core, Pending, Step, compiling, eval, explain, function_load, held_snapshot, kept_gate,
    protected, pushes, resting, retry, suspended,
};
use crate::clients::ReplyMode;
use crate::commands::admission::{self, InMulti};
use crate::commands::args::Args;
use crate::commands::command::{Command, Control, Run, flag};
use crate::commands::error::CommandError;
use crate::commands::table::{self, Entry};
use crate::fault::fault;
use crate::resp::encode::{Encoder, Protocol};
use crate::resp::reply::Reply;
use crate::services::Services;
use crate::stats::count;

/// Room for arguments that has grown larger than this is given back.
const KEPT_ARGUMENT_BYTES_MAX: usize = 16 * 1024;

/// Runs a request. `Some` if it could not be finished at once.
pub(super) fn run(
    core: &mut Core,
    taken: &Taken,
    output: &mut Vec<u8>,
) -> Option<Box<dyn Pending>> {
    if taken.request.is_empty() {
        // It is no call of the command before it.
        core.running = None;
        return None;
    }
    let arguments = taken.request.arguments(&taken.bytes);
    with_arguments(core, arguments, |core, args| {
        run_checked(core, taken.entry, args, output)
    })
}

/// Lays arguments out for a call.
pub(super) fn with_arguments<'a, T>(
    core: &mut Core,
    arguments: impl ExactSizeIterator<Item = &'a [u8]>,
    call: impl FnOnce(&mut Core, &Args<'_>) -> T,
) -> T {
    let mut bump = std::mem::take(&mut core.bump);
    let all = bump.alloc_slice_fill_iter(arguments);
    let result = call(core, &Args::new(all));
    bump.reset();
    if bump.allocated_bytes() <= KEPT_ARGUMENT_BYTES_MAX {
        core.bump = bump;
    }
    result
}

/// Whether a command on data may run now, with nobody to be told but its client.
pub(super) fn runs_unnoticed(core: &Core, entry: Entry) -> bool {
    core.multi.is_none()
        && core.client.reply_mode == ReplyMode::On
        && !core.services.monitors.is_any()
        && check(core, entry).is_ok()
        && paused_until(core, entry).is_none()
}

fn run_checked(
    core: &mut Core,
    known: Option<Entry>,
    args: &Args<'_>,
    output: &mut Vec<u8>,
) -> Option<Box<dyn Pending>> {
    let found = find(known, args);
    let is_script = |entry: &Entry| entry.command.runs_script().is_some();
    if core.multi.is_some() || !found.as_ref().is_ok_and(is_script) {
        // Also for what is refused or queued: there may be many of that.
        kept_gate::release();
    }
    let entry = match found {
        Ok(entry) => entry,
        Err(error) => return refuse_unfound(core, args, &error, output),
    };
    core.note_running(entry);
    if let Err(error) = check(core, entry) {
        return refuse(core, Some(entry), &error, output);
    }
    if let Some(pending) = paused(core, entry, args) {
        return Some(pending);
    }
    run_entry(core, entry, args, output)
}

/// Runs a command that has been found and may run.
pub(super) fn run_entry(
    core: &mut Core,
    entry: Entry,
    args: &Args<'_>,
    output: &mut Vec<u8>,
) -> Option<Box<dyn Pending>> {
    let command = entry.command;
    if let Some(queue) = &mut core.multi
        && command.in_multi() == InMulti::Queued
    {
        // Counted where it runs.
        core.running = None;
        queue.items.push(Item::new(entry, args));
        core.kept_bytes += multi::kept_bytes(args.all().iter().copied());
        let shared = &core.client.shared;
        // Relaxed: shown to people, nothing depends on it.
        shared.multi.store(queue.items.len(), Ordering::Relaxed);
        shared.multi_bytes.store(core.kept_bytes, Ordering::Relaxed);
        Encoder::new(output, core.client.protocol).status("QUEUED");
        return None;
    }
    if !matches!(command.run, Run::Control(Control::Exec)) {
        core.tell_monitors(command, args.all());
    }
    if command.has(flag::SUBSCRIBED) || changes_subscriptions(core, command) {
        deliver(core, output);
    }
    if let Some(pending) = compiling::before(core, entry, args) {
        return Some(pending);
    }
    match command.run {
        Run::Data(handler) if held_snapshot::read(core, command, handler, args, output) => None,
        Run::Data(handler) => retry::run(core, command, handler, args, output),
        Run::Client(_) | Run::Control(Control::Exec) if needs_stream(core, command) => {
            // Counted before it is asked for: a stream that goes then does not end meanwhile.
            let interested = Interested::new(&core.services);
            if !core.services.interest.poll_active(Waker::noop()) {
                let item = Item::new(entry, args);
                return Some(Box::new(AwaitStream { item, interested }));
            }
            run_on_connection(core, entry, args, output)
        }
        _ => run_on_connection(core, entry, args, output),
    }
}

/// Runs a command that is none on data.
pub(super) fn run_on_connection(
    core: &mut Core,
    entry: Entry,
    args: &Args<'_>,
    output: &mut Vec<u8>,
) -> Option<Box<dyn Pending>> {
    match entry.command.run {
        Run::Client(handler) => {
            let protocol = core.client.protocol;
            let before = output.len();
            let mut reply = Encoder::new(output, protocol);
            match handler(&mut core.context(), args, &mut reply) {
                Ok(()) => None,
                // What it has written is its reply when the time is over.
                Err(CommandError::WouldBlock(wait)) => {
                    let reply = output.split_off(before);
                    Some(resting::rest(core, reply, wait.timeout_ms))
                }
                Err(error) => {
                    output.truncate(before);
                    fail(core, &error, output);
                    None
                }
            }
        }
        Run::Control(control) => run_control(core, control, entry, args, output),
        Run::Data(_) | Run::Container => None,
    }
}

/// Finds the command, if it is not known, or subcommand, and checks how many arguments it has.
fn find(known: Option<Entry>, args: &Args<'_>) -> Result<Entry, CommandError> {
    let Some(mut entry) = known.or_else(|| table::find(&args[0])) else {
        return Err(unknown(args));
    };
    if !entry.command.accepts(args.len()) {
        return Err(CommandError::Arity(entry.full_name()));
    }
    // COMMAND also runs by itself.
    if args.len() > 1 && !entry.command.subcommands.is_empty() {
        let name = &args[1];
        let Some(found) = table::find_subcommand(entry, name) else {
            return Err(CommandError::naming(
                "unknown subcommand '",
                &name[..name.len().min(SHOWN_BYTES)],
                &format!("'. Try {} HELP.", entry.command.name),
            ));
        };
        entry = found;
        if !entry.command.accepts(args.len()) {
            return Err(CommandError::Arity(entry.full_name()));
        }
    }
    Ok(entry)
}

/// The name and the arguments are shown up to so many bytes each.
const SHOWN_BYTES: usize = 128;

fn unknown(args: &Args<'_>) -> CommandError {
    let mut shown = Vec::new();
    for argument in args.from(1) {
        let Some(room) = SHOWN_BYTES
            .checked_sub(shown.len())
            .filter(|room| *room > 0)
        else {
            break;
        };
        shown.push(b'\'');
        shown.extend_from_slice(&argument[..argument.len().min(room)]);
        shown.extend_from_slice(b"' ");
    }
    let name = &args[0];
    CommandError::err(
        [
            b"unknown command '",
            &name[..name.len().min(SHOWN_BYTES)],
            b"', with args beginning with: ",
            &shown,
        ]
        .concat(),
    )
}

/// Whether the command may run now.
fn check(core: &Core, entry: Entry) -> Result<(), CommandError> {
    let command = entry.command;
    let needs_password = !command.has(flag::NO_AUTH) && !fault!("no password is asked for");
    if !core.client.is_authenticated && needs_password {
        return Err(CommandError::text("NOAUTH Authentication required."));
    }
    let is_subscribed = core.client.protocol == Protocol::Resp2 && core.client.subscriptions() > 0;
    if is_subscribed && !command.has(flag::SUBSCRIBED) {
        return Err(CommandError::err(format!(
            "Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET \
             are allowed in this context",
            entry.full_name()
        )));
    }
    if core.multi.is_some() && command.has(flag::NO_MULTI) {
        return Err(CommandError::text(admission::NOT_IN_MULTI));
    }
    if let Some(error) = protected::refusal(core, command) {
        return Err(error);
    }
    held_snapshot::check(core, command)?;
    if core.services.config.is_out_of_memory() && needs_memory(core, command) {
        return Err(CommandError::OutOfMemory);
    }
    suspended::check(core, command)
}

/// Whether the command may make memory grow: by what it does, or by being queued.
fn needs_memory(core: &Core, command: &Command) -> bool {
    let Some(multi) = &core.multi else {
        return command.has(flag::DENYOOM);
    };
    match command.run {
        Run::Control(Control::Exec) => {
            let mut items = multi.items.iter();
            items.any(|item| {
                item.entry.command.has(flag::DENYOOM)
                    || Rules::is_refused_without_memory(core, item)
            })
        }
        Run::Control(Control::Discard | Control::Reset) => false,
        _ => command.name != "QUIT",
    }
}

/// Refuses a request that is no command, or has a wrong number of arguments.
fn refuse_unfound(
    core: &mut Core,
    args: &Args<'_>,
    error: &CommandError,
    output: &mut Vec<u8>,
) -> Option<Box<dyn Pending>> {
    let entry = table::find(&args[0]);
    // A browser was made to speak to this port by a page of somebody else: its next lines are
    // that page's.
    let is_http = ["POST", "Host:"]
        .iter()
        .any(|word| args[0].eq_ignore_ascii_case(word.as_bytes()));
    if entry.is_none() && is_http && !fault!("HTTP is listened to") {
        tracing::warn!(
            "HTTP instead of commands from {}: the connection is closed",
            core.client.shared.address
        );
        core.running = None;
        core.client.is_closing = true;
        return None;
    }
    let subcommand = entry.and_then(|entry| table::find_subcommand(entry, args.get(1)?));
    // Who may not use it is not told what there is of it.
    let known = entry.filter(|_| args.len() > 1);
    let protected = known.and_then(|entry| protected::refusal(core, entry.command));
    let error = protected.as_ref().unwrap_or(error);
    refuse(core, subcommand.or(entry), error, output)
}

fn refuse(
    core: &mut Core,
    entry: Option<Entry>,
    error: &CommandError,
    output: &mut Vec<u8>,
) -> Option<Box<dyn Pending>> {
    core.running = None;
    if let Some(entry) = entry {
        count(&core.stats.commands[entry.index].rejected, 1);
    }
    let is_exec =
        entry.is_some_and(|entry| matches!(entry.command.run, Run::Control(Control::Exec)));
    if is_exec {
        // An EXEC that cannot run ends its transaction, if there is one, and forgets what is watched.
        leave_multi(core);
        core.watches.clear();
        let text = discarded(&error.wire());
        core.services.stats.count_error(&text);
        Encoder::new(output, core.client.protocol).error(&text);
        return None;
    }
    if let Some(multi) = &mut core.multi {
        multi.is_dirty = true;
    }
    fail(core, error, output);
    None
}

/// Replies an error, and counts it.
pub(super) fn fail(core: &mut Core, error: &CommandError, output: &mut Vec<u8>) {
    // A script that is refused does not go on with it, and there may be many of those.
    kept_gate::release();
    let text = error.wire();
    core.ended(true, false);
    core.services.stats.count_error(&text);
    Encoder::new(output, core.client.protocol).error(&text);
}

/// Whether it subscribes.
fn subscribes(command: &Command) -> bool {
    command.has(flag::PUBSUB | flag::SUBSCRIBED)
}

fn any_subscribes(items: &[Item]) -> bool {
    items.iter().any(|item| subscribes(item.entry.command))
}

fn changes_subscriptions(core: &Core, command: &Command) -> bool {
    let queued = core.multi.as_ref().map_or(&[][..], |multi| &multi.items);
    subscribes(command)
        || matches!(command.run, Run::Control(Control::Exec)) && any_subscribes(queued)
}

/// Subscribing needs the stream of effects to go before it is confirmed.
fn needs_stream(core: &Core, command: &Command) -> bool {
    core.client.subscriptions() == 0 && changes_subscriptions(core, command)
}

/// Writes the messages that were published so far, by this client too, before the reply: what it is
/// subscribed to may be about to change.
fn deliver(core: &mut Core, output: &mut Vec<u8>) {
    if core.client.subscriptions() == 0 {
        return;
    }
    if std::mem::take(&mut core.has_committed) {
        core.services.store.merge_effects();
    }
    pushes::write(&core.client, output);
    core.reply_from = output.len();
}

fn run_control(
    core: &mut Core,
    control: Control,
    entry: Entry,
    args: &Args<'_>,
    output: &mut Vec<u8>,
) -> Option<Box<dyn Pending>> {
    let mut reply = Encoder::new(output, core.client.protocol);
    let mut refusal = None;
    match control {
        Control::Multi if core.multi.is_some() => {
            refusal = Some(CommandError::text(admission::NO_NESTED_MULTI));
        }
        Control::Multi => {
            core.multi = Some(Multi::default());
            core.client.shared.multi.store(0, Ordering::Relaxed);
            reply.status("OK");
        }
        Control::Discard => match leave_multi(core) {
            Some(_) => {
                core.watches.clear();
                reply.status("OK");
            }
            None => refusal = Some(CommandError::text("ERR DISCARD without MULTI")),
        },
        Control::Exec => return exec(core, entry, args, output),
        Control::Watch if core.multi.is_some() => {
            refusal = Some(CommandError::text(admission::NO_WATCH_IN_MULTI));
        }
        Control::Watch => multi::watch(core, args, &mut reply),
        Control::Unwatch => {
            core.watches.clear();
            reply.status("OK");
        }
        Control::Reset => reset(core, output),
        Control::SnapshotBegin => refusal = held_snapshot::begin(core, &mut reply).err(),
        Control::SnapshotEnd => refusal = held_snapshot::end(core, &mut reply).err(),
        Control::Eval { .. } | Control::EvalSha { .. } | Control::Fcall { .. } => {
            return eval::run(core, control, Item::new(entry, args), output);
        }
        Control::Explain { by_sha } => return explain::run(core, by_sha, entry, args, output),
        Control::FunctionLoad | Control::FunctionRestore => {
            return function_load::run(core, control, args, output);
        }
    }
    if let Some(error) = refusal {
        fail(core, &error, output);
    }
    None
}

fn leave_multi(core: &mut Core) -> Option<Multi> {
    let shared = &core.client.shared;
    // Relaxed: shown to people, nothing depends on it.
    shared.multi.store(usize::MAX, Ordering::Relaxed);
    shared.multi_bytes.store(0, Ordering::Relaxed);
    core.multi.take()
}

const PREVIOUS_ERRORS: CommandError =
    CommandError::text("EXECABORT Transaction discarded because of previous errors.");

fn exec(
    core: &mut Core,
    entry: Entry,
    args: &Args<'_>,
    output: &mut Vec<u8>,
) -> Option<Box<dyn Pending>> {
    let Some(multi) = leave_multi(core) else {
        fail(core, &CommandError::text("ERR EXEC without MULTI"), output);
        return None;
    };
    let watches = core.watches.take();
    if multi.is_dirty && !fault!("exec runs without what was refused") {
        fail(core, &PREVIOUS_ERRORS, output);
        return None;
    }
    if core.services.monitors.is_any() {
        for item in &multi.items {
            core.tell_monitors(item.entry.command, &item.arguments.to_vec());
        }
        core.tell_monitors(entry.command, args.all());
    }
    let interested = any_subscribes(&multi.items).then(|| Interested::new(&core.services));
    Some(Box::new(Exec::new(core, multi.items, watches, interested)))
}

fn reset(core: &mut Core, output: &mut Vec<u8>) {
    leave_multi(core);
    core.watches.clear();
    core.held = None;
    let services = core.services.clone();
    pushes::unsubscribe_all(&services, &mut core.client);
    pushes::end_monitoring(&services, &mut core.client);
    core.client.database = 0;
    core.client.shared.database.store(0, Ordering::Relaxed);
    core.client.speak(Protocol::Resp2);
    if core.client.reply_mode != ReplyMode::SkipThis {
        core.client.reply_mode = ReplyMode::On;
    }
    core.client.is_authenticated = services.config.password().is_none();
    core.client.shared.names().name.clear();
    Encoder::new(output, core.client.protocol).status("RESET");
}

/// Interest in the stream of effects, until it is dropped.
pub(super) struct Interested(Arc<Services>);

impl Interested {
    fn new(services: &Arc<Services>) -> Interested {
        services.interest.add();
        Interested(Arc::clone(services))
    }
}

impl Drop for Interested {
    fn drop(&mut self) {
        self.0.interest.remove();
    }
}

/// A command that waits until the stream of effects goes.
struct AwaitStream {
    item: Item,
    #[expect(dead_code, reason = "held until the command has run")]
    interested: Interested,
}

impl Pending for AwaitStream {
    fn poll(&mut self, core: &mut Core, output: &mut Vec<u8>, waker: &Waker) -> Step {
        if !core.services.interest.poll_active(waker) {
            return Step::Waits;
        }
        let arguments = self.item.arguments.to_vec();
        let pending = run_on_connection(core, self.item.entry, &Args::new(&arguments), output);
        pending.map_or(Step::Done, Step::Becomes)
    }
}
