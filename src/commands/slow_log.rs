//! SLOWLOG: the last commands that took long.

use super::args::Args;
use super::command::{Command, Group, flag, write_help};
use super::error::CommandError;
use crate::clients::Context;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;

/// Entries that SLOWLOG GET shows if it is not told how many.
const SHOWN: usize = 10;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::container("SLOWLOG", Group::Server, SUBCOMMANDS).doc(
        "2.2.12",
        "Depends on the subcommand",
        "A container for commands on the slow log.",
    ),
];

const SUBCOMMANDS: &[Command] = &[
    Command::client("GET", -2, Group::Server, get)
        .flag(flag::ADMIN)
        .doc(
            "2.2.12",
            "O(N), with N entries",
            "Returns the newest entries: number, time, microseconds, arguments, client.",
        ),
    Command::client("LEN", 2, Group::Server, len)
        .flag(flag::ADMIN)
        .doc("2.2.12", "O(1)", "Returns how many entries there are."),
    Command::client("RESET", 2, Group::Server, reset)
        .flag(flag::ADMIN)
        .doc("2.2.12", "O(N), with N entries", "Forgets all entries."),
    Command::client("HELP", 2, Group::Server, help).doc(
        "6.2.0",
        "O(1)",
        "Describes the subcommands.",
    ),
];

fn get(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let count = match args.len() {
        2 => SHOWN,
        3 => match parse_integer(&args[2]).map(|count| (count, usize::try_from(count))) {
            Some((-1, _)) => usize::MAX,
            Some((_, Ok(count))) => count,
            _ => {
                return Err(CommandError::text(
                    "ERR count should be greater than or equal to -1",
                ));
            }
        },
        _ => {
            return Err(CommandError::text(
                "ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.",
            ));
        }
    };
    let commands = context.services.slow_log.newest(count);
    reply.array(commands.len());
    for command in commands {
        reply.array(6);
        reply.integer(command.id as i64);
        reply.integer(command.unix_s as i64);
        reply.integer(command.elapsed_us as i64);
        reply.array(command.arguments.len());
        command
            .arguments
            .iter()
            .for_each(|argument| reply.bulk(argument));
        reply.bulk(command.address.as_bytes());
        reply.bulk(command.name.as_bytes());
    }
    Ok(())
}

fn len(context: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    reply.integer(context.services.slow_log.len() as i64);
    Ok(())
}

fn reset(
    context: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    context.services.slow_log.reset();
    reply.status("OK");
    Ok(())
}

fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    write_help("SLOWLOG", SUBCOMMANDS, reply);
    Ok(())
}
