//! The server: TIME, INFO, SHUTDOWN and the like.

use darter_storage::Mode;

use super::args::Args;
use super::command::{Command, Group, flag};
use super::error::CommandError;
use super::view::View;
use crate::clients::Context;
use crate::info;
use crate::resp::reply::Reply;
use crate::system_time::since_1970;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::read("TIME", 1, Group::Server, time)
        .unflag(flag::READONLY)
        .flag(flag::FAST | flag::LOADING | flag::STALE)
        .doc("2.6.0", "O(1)", "Returns the server's time."),
    Command::client("INFO", -1, Group::Server, info_command)
        .flag(flag::DANGEROUS)
        .doc("1.0.0", "O(1)", "Describes the server and its statistics."),
    Command::client("SHUTDOWN", -1, Group::Server, shutdown)
        .flag(flag::ADMIN | flag::NOSCRIPT | flag::NO_MULTI)
        .doc("1.0.0", "O(1)", "Ends the server."),
    Command::client("LOLWUT", -1, Group::Server, lolwut)
        .flag(flag::FAST | flag::READONLY)
        .doc("5.0.0", "O(1)", "Says which server this is."),
];

/// Inside a transaction time stands still, but no two are told the same: scripts name things after it.
fn time(view: &mut View<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    let micros = if !view.reader().compares_reads() && view.reader().mode() == Mode::Direct {
        since_1970().as_micros() as u64
    } else {
        view.now_us()
    };
    reply.array(2);
    reply.bulk((micros / 1_000_000).to_string().as_bytes());
    reply.bulk((micros % 1_000_000).to_string().as_bytes());
    Ok(())
}

fn info_command(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let wanted = args
        .from(1)
        .iter()
        .map(|name| String::from_utf8_lossy(name).to_lowercase());
    let wanted: Vec<String> = wanted.collect();
    reply.verbatim("txt", info::text(context.services, &wanted).as_bytes());
    Ok(())
}

fn shutdown(
    context: &mut Context<'_>,
    args: &Args<'_>,
    _: &mut dyn Reply,
) -> Result<(), CommandError> {
    let words = ["SAVE", "NOSAVE", "ABORT", "NOW", "FORCE"];
    let mut is_given = [false; 5];
    let mut options = args.options(1);
    while !options.is_empty() {
        let word = words.iter().position(|word| options.take(word));
        is_given[word.ok_or(CommandError::Syntax)?] = true;
    }
    match is_given {
        [false, false, true, false, false] => {
            return Err(CommandError::text("ERR No shutdown in progress."));
        }
        // SAVE with NOSAVE, or ABORT with anything.
        [true, true, ..] | [_, _, true, ..] => return Err(CommandError::Syntax),
        [true, ..] => {
            return Err(CommandError::text(
                "ERR SHUTDOWN SAVE: nothing is written to disk yet",
            ));
        }
        _ => {}
    }
    context.client.is_closing = true;
    context.services.stop();
    Ok(())
}

fn lolwut(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    let text = format!("Darter ver. {}\n", env!("CARGO_PKG_VERSION"));
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}
