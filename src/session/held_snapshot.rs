//! SNAPSHOT BEGIN … END: what a connection may do while it reads at one moment.

use darter_storage::Mode;

use super::{Core, retry};
use crate::commands::admission::{self, OnSnapshot};
use crate::commands::args::Args;
use crate::commands::command::{Command, DataHandler, flag};
use crate::commands::error::CommandError;
use crate::fault::fault;
use crate::resp::encode::Encoder;
use crate::resp::reply::Reply;

/// A script, too, must say that it does not write.
pub(super) const NO_WRITES: CommandError = CommandError::text(admission::NO_WRITES_ON_SNAPSHOT);

/// Whether a command may run while the connection holds a snapshot.
pub(super) fn check(core: &Core, command: &Command) -> Result<(), CommandError> {
    if core.held.is_none() {
        return Ok(());
    }
    match command.on_snapshot() {
        OnSnapshot::Refused(admission::NO_WRITES_ON_SNAPSHOT)
            if fault!("a snapshot's connection writes") =>
        {
            Ok(())
        }
        OnSnapshot::Refused(text) => Err(CommandError::text(text)),
        _ => Ok(()),
    }
}

pub(super) fn begin(core: &mut Core, reply: &mut dyn Reply) -> Result<(), CommandError> {
    if !core.watches.is_empty() {
        return Err(CommandError::text(
            "ERR SNAPSHOT BEGIN is not allowed while keys are watched",
        ));
    }
    let mut transaction = core.services.store.begin(Mode::Snapshot);
    transaction.unpin();
    core.held = Some(Box::new(transaction));
    reply.status("OK");
    Ok(())
}

pub(super) fn end(core: &mut Core, reply: &mut dyn Reply) -> Result<(), CommandError> {
    core.held.take().ok_or(CommandError::text(
        "ERR SNAPSHOT END without SNAPSHOT BEGIN",
    ))?;
    reply.status("OK");
    Ok(())
}

/// Runs a command that only reads on the snapshot; `false` if none is held, or the command is none
/// of these. What would block does not: nothing can come.
pub(super) fn read(
    core: &mut Core,
    command: &'static Command,
    handler: DataHandler,
    args: &Args<'_>,
    output: &mut Vec<u8>,
) -> bool {
    if !command.has(flag::READONLY) {
        return false;
    }
    let Some(mut transaction) = core.held.take() else {
        return false;
    };
    transaction.pin();
    let meter = core.meter();
    let mut reply = Encoder::metered(output, core.client.protocol, &meter);
    let attempt = retry::attempt(
        &mut transaction,
        (command, handler),
        args,
        retry::Surroundings {
            is_in_past: true,
            ..retry::Surroundings::new(core, core.client.database)
        },
        &mut reply,
    );
    transaction.unpin();
    core.held = Some(transaction);
    let failed = matches!(attempt, retry::AttemptOutcome::Done { error: Some(_) });
    core.ended(failed, false);
    true
}
