//! MONITOR: all commands, told to who asks.

use super::args::Args;
use super::command::{Command, Group, flag};
use super::error::CommandError;
use crate::clients::Context;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[Command::client("MONITOR", 1, Group::Server, monitor)
    .flag(flag::ADMIN | flag::NOSCRIPT | flag::NO_MULTI)
    .doc(
        "1.0.0",
        "O(1), and O(N) for each command, with N who listen",
        "Tells this connection of all commands, until RESET.",
    )];

fn monitor(
    context: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    reply.status("OK");
    if !std::mem::replace(&mut context.client.is_monitor, true) {
        context.services.monitors.add(&context.client.shared);
    }
    Ok(())
}
