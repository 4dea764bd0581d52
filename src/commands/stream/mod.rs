//! Streams.

mod claim;
mod group;
mod id;
mod info;
mod lag;
mod pending;
mod query;
mod read;
mod readgroup;
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
    Command::container("XGROUP", Group::Stream, XGROUP).doc(
        "5.0.0",
        "Depends on the subcommand",
        "A container for commands on groups of consumers.",
    ),
    Command::write("XREADGROUP", -7, Group::Stream, readgroup::xreadgroup)
        .keys(Keys::Custom(readgroup::keys))
        .flag(flag::BLOCKING | flag::MOVABLE_KEYS)
        .doc(
            "5.0.0",
            "O(M*log(N)) per stream, with M entries",
            "Gives a consumer new entries, as soon as there are some, or again those it has.",
        ),
    Command::write("XACK", -4, Group::Stream, pending::xack)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "5.0.0",
            "O(log(N)) per entry",
            "Says that entries are done, which are pending in a group.",
        ),
    Command::read("XPENDING", -3, Group::Stream, pending::xpending)
        .keys(Keys::FIRST)
        .doc(
            "5.0.0",
            "O(log(N)) per entry or consumer",
            "Returns what is pending in a group.",
        ),
    Command::write("XCLAIM", -6, Group::Stream, claim::xclaim)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "5.0.0",
            "O(log(N)) per entry",
            "Gives a consumer pending entries of others.",
        ),
    Command::write("XAUTOCLAIM", -6, Group::Stream, claim::xautoclaim)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "6.2.0",
            "O(log(N)) per entry looked at, ten times COUNT at most",
            "Gives a consumer what has been pending for long.",
        ),
];

const KEY: Keys = Keys::Range {
    first: 2,
    last: 2,
    step: 1,
};

const XINFO: &[Command] = &[
    Command::read("CONSUMERS", 4, Group::Stream, info::consumers)
        .keys(KEY)
        .doc(
            "5.0.0",
            "O(M*log(N)), with M consumers",
            "Describes the consumers of a group.",
        ),
    Command::read("GROUPS", 3, Group::Stream, info::groups)
        .keys(KEY)
        .doc(
            "5.0.0",
            "O(M*log(N)), with M groups",
            "Describes the groups of a stream.",
        ),
    Command::read("STREAM", -3, Group::Stream, info::stream)
        .keys(KEY)
        .doc("5.0.0", "O(log(N))", "Describes a stream."),
    Command::client("HELP", 2, Group::Stream, xinfo_help).doc(
        "5.0.0",
        "O(1)",
        "Describes the subcommands.",
    ),
];

const XGROUP: &[Command] = &[
    Command::write("CREATE", -5, Group::Stream, group::create)
        .keys(KEY)
        .flag(flag::DENYOOM)
        .doc("5.0.0", "O(log(N))", "Makes a group of consumers."),
    Command::write("CREATECONSUMER", 5, Group::Stream, group::create_consumer)
        .keys(KEY)
        .flag(flag::DENYOOM)
        .doc("6.2.0", "O(log(N))", "Makes a consumer in a group."),
    Command::write("DELCONSUMER", 5, Group::Stream, group::delete_consumer)
        .keys(KEY)
        .doc(
            "5.0.0",
            "O(log(N)) per entry that it has",
            "Removes a consumer, and what it has is no longer pending.",
        ),
    Command::write("DESTROY", 4, Group::Stream, group::destroy)
        .keys(KEY)
        .doc(
            "5.0.0",
            "O(log(N)) per consumer",
            "Removes a group and its consumers.",
        ),
    Command::write("SETID", -5, Group::Stream, group::set_id)
        .keys(KEY)
        .doc(
            "5.0.0",
            "O(log(N))",
            "Sets behind which entry a group goes on.",
        ),
    Command::client("HELP", 2, Group::Stream, xgroup_help).doc(
        "5.0.0",
        "O(1)",
        "Describes the subcommands.",
    ),
];

type Done = Result<(), CommandError>;

fn xinfo_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    write_help("XINFO", XINFO, reply);
    Ok(())
}

fn xgroup_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    write_help("XGROUP", XGROUP, reply);
    Ok(())
}
