//! Streams.

mod id;
mod read;
mod trim;
mod write;
mod xread;

use super::args::Args;
use super::command::{Command, Group, Keys, flag, write_help};
use super::error::CommandError;
use crate::clients::Context;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("XADD", -5, Group::Stream, write::xadd)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "5.0.0",
            "O(log(N)), O(M) for M trimmed",
            "Adds an entry to a stream.",
        ),
    Command::read("XLEN", 2, Group::Stream, read::xlen)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc("5.0.0", "O(1)", "Counts the entries of a stream."),
    Command::read("XRANGE", -4, Group::Stream, |view, args, reply| {
        read::range(view, args, reply, false)
    })
    .keys(Keys::FIRST)
    .doc(
        "5.0.0",
        "O(log(N)+M), with M entries in it",
        "Returns the entries with IDs in a range.",
    ),
    Command::read("XREVRANGE", -4, Group::Stream, |view, args, reply| {
        read::range(view, args, reply, true)
    })
    .keys(Keys::FIRST)
    .doc(
        "5.0.0",
        "O(log(N)+M), with M entries in it",
        "As XRANGE, from the last back.",
    ),
    Command::read("XREAD", -4, Group::Stream, xread::xread)
        .keys(Keys::Custom(xread::keys))
        .flag(flag::BLOCKING | flag::MOVABLE_KEYS)
        .doc(
            "5.0.0",
            "O(log(N)+M) per stream, with M entries",
            "Returns what is behind given IDs, as soon as there is something.",
        ),
    Command::write("XDEL", -3, Group::Stream, write::xdel)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "5.0.0",
            "O(log(N)) per entry",
            "Removes entries by their IDs.",
        ),
    Command::write("XTRIM", -4, Group::Stream, write::xtrim)
        .keys(Keys::FIRST)
        .doc(
            "5.0.0",
            "O(log(N)+M), with M removed",
            "Removes the first entries of a stream.",
        ),
    Command::write("XSETID", -3, Group::Stream, write::xsetid)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "5.0.0",
            "O(1)",
            "Sets the last ID of a stream, and what else it knows of its past.",
        ),
    Command::container("XINFO", Group::Stream, XINFO).doc(
        "5.0.0",
        "Depends on the subcommand",
        "Describes streams.",
    ),
];

const XINFO: &[Command] = &[
    Command::read("STREAM", -3, Group::Stream, read::info)
        .keys(Keys::Range {
            first: 2,
            last: 2,
            step: 1,
        })
        .doc("5.0.0", "O(log(N))", "Describes a stream."),
    Command::client("HELP", 2, Group::Stream, help).doc(
        "5.0.0",
        "O(1)",
        "Describes the subcommands.",
    ),
];

fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    write_help("XINFO", XINFO, reply);
    Ok(())
}
