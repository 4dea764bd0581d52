//! SNAPSHOT: a connection's reads at one moment.

use super::args::Args;
use super::command::{Command, Control, Group, flag};
use super::error::CommandError;
use crate::clients::Context;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] =
    &[
        Command::container("SNAPSHOT", Group::Transactions, SUBCOMMANDS).doc(
            "7.2.0",
            "O(1)",
            "A container for commands on the connection's snapshot.",
        ),
    ];

const SUBCOMMANDS: &[Command] = &[
    Command::control("BEGIN", 2, Group::Transactions, Control::SnapshotBegin)
        .flag(flag::NOSCRIPT | flag::NO_MULTI | flag::FAST)
        .doc(
            "7.2.0",
            "O(1)",
            "Lets the connection read everything as it is now, until SNAPSHOT END.",
        ),
    Command::control("END", 2, Group::Transactions, Control::SnapshotEnd)
        .flag(flag::NOSCRIPT | flag::NO_MULTI | flag::FAST)
        .doc(
            "7.2.0",
            "O(N), with N versions that were kept for it",
            "Lets the connection read what there is again.",
        ),
    Command::client("HELP", 2, Group::Transactions, help)
        .flag(flag::NOSCRIPT)
        .doc("7.2.0", "O(1)", "Describes the subcommands."),
];

fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    super::command::write_help("SNAPSHOT", SUBCOMMANDS, reply);
    Ok(())
}
