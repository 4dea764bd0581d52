//! COMMAND: what the table knows, told to clients.

use super::args::Args;
use super::command::{ClientHandler, Command, Group, Keys, Run, flag, write_help};
use super::error::CommandError;
use super::table::{self, Entry};
use crate::clients::Context;
use crate::glob;
use crate::resp::reply::Reply;

const fn own(name: &'static str, arity: i32, run: ClientHandler) -> Command {
    Command::client(name, arity, Group::Server, run).flag(flag::CONNECTION)
}

/// The commands of this family.
pub const COMMANDS: &[Command] = &[Command {
    subcommands: SUBCOMMANDS,
    ..own("COMMAND", -1, command).doc("2.8.13", "O(N), with N commands", "Describes all commands.")
}];

const SUBCOMMANDS: &[Command] = &[
    own("COUNT", 2, count).doc("2.8.13", "O(1)", "Returns how many commands there are."),
    own("INFO", -2, info).doc(
        "2.8.13",
        "O(N), with N commands",
        "Describes some commands.",
    ),
    own("DOCS", -2, docs).doc("7.0.0", "O(N), with N commands", "Documents some commands."),
    own("LIST", -2, list).doc(
        "7.0.0",
        "O(N), with N commands",
        "Returns the names of commands.",
    ),
    own("GETKEYS", -3, getkeys).doc(
        "2.8.13",
        "O(N), with N arguments",
        "Returns the keys among a command's arguments.",
    ),
    own("GETKEYSANDFLAGS", -3, getkeysandflags).doc(
        "7.0.0",
        "O(N), with N arguments",
        "Returns the keys among a command's arguments, and what becomes of them.",
    ),
    own("HELP", 2, help).doc("5.0.0", "O(1)", "Describes the subcommands."),
];

/// All that COMMAND tells of.
fn known() -> impl Iterator<Item = Entry> {
    let all = table::all().iter().copied();
    all.filter(|entry| !entry.command.has(flag::ABSENT))
}

fn top_level() -> impl Iterator<Item = Entry> {
    known().filter(|entry| entry.container.is_none())
}

/// The subcommands of a container.
fn subcommands(entry: Entry) -> Vec<Entry> {
    let named = entry.command.subcommands.iter();
    named
        .filter(|command| !command.has(flag::ABSENT))
        .filter_map(|command| table::find_subcommand(entry, command.name.as_bytes()))
        .collect()
}

fn command(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    let all: Vec<Entry> = top_level().collect();
    reply.array(all.len());
    all.iter().for_each(|entry| describe(*entry, reply));
    Ok(())
}

/// First key, last key and step, as old clients ask for them.
fn positions(keys: Keys) -> (i64, i64, i64) {
    match keys {
        Keys::Range { first, last, step } => (first as i64, last as i64, step as i64),
        Keys::Counted {
            destination: Some(first),
            ..
        } => (first as i64, first as i64, 1),
        Keys::FirstAnd(_) => (1, 1, 1),
        _ => (0, 0, 0),
    }
}

fn describe(entry: Entry, reply: &mut dyn Reply) {
    let command = entry.command;
    let (first, last, step) = positions(command.keys);
    let flags: Vec<&str> = flag::NAMES
        .iter()
        .filter(|(bit, _)| command.has(*bit))
        .map(|(_, name)| *name)
        .collect();
    reply.array(10);
    reply.bulk(entry.full_name().as_bytes());
    reply.integer(command.arity.into());
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.status(flag));
    reply.integer(first);
    reply.integer(last);
    reply.integer(step);
    let categories = command.categories();
    reply.set(categories.len());
    categories
        .iter()
        .for_each(|category| reply.status(category));
    reply.array(0);
    describe_keys(command, reply);
    let subcommands = subcommands(entry);
    reply.array(subcommands.len());
    for subcommand in subcommands {
        describe(subcommand, reply);
    }
}

/// What becomes of a command's keys.
fn key_flags(command: &Command) -> &'static [&'static str] {
    if command.has(flag::READONLY) {
        &["RO", "access"]
    } else {
        &["RW", "update"]
    }
}

fn describe_keys(command: &Command, reply: &mut dyn Reply) {
    let (first, last, step) = positions(command.keys);
    let (begin, kind, find): (i64, &str, [(&str, i64); 3]) = match command.keys {
        Keys::None | Keys::Custom(_) => return reply.array(0),
        Keys::Range { .. } | Keys::FirstAnd(_) => {
            let last = if last < 0 { last } else { last - first };
            (
                first,
                "range",
                [("lastkey", last), ("keystep", step), ("limit", 0)],
            )
        }
        Keys::Counted { count, .. } => (
            count as i64,
            "keynum",
            [("keynumidx", 0), ("firstkey", 1), ("keystep", 1)],
        ),
    };
    let map = |reply: &mut dyn Reply, kind: &str, spec: &[(&str, i64)]| {
        reply.map(2);
        reply.bulk(b"type");
        reply.bulk(kind.as_bytes());
        reply.bulk(b"spec");
        reply.map(spec.len());
        for (name, value) in spec {
            reply.bulk(name.as_bytes());
            reply.integer(*value);
        }
    };
    reply.array(1);
    reply.map(3);
    reply.bulk(b"flags");
    let flags = key_flags(command);
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.status(flag));
    reply.bulk(b"begin_search");
    map(reply, "index", &[("index", begin)]);
    reply.bulk(b"find_keys");
    map(reply, kind, &find);
}

fn count(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    reply.integer(top_level().count() as i64);
    Ok(())
}

/// The entry that a name such as `config|get` means.
fn find(name: &[u8]) -> Option<Entry> {
    let mut parts = name.splitn(2, |byte| *byte == b'|');
    let entry = table::find(parts.next()?)?;
    let found = match parts.next() {
        None => entry,
        Some(subcommand) => table::find_subcommand(entry, subcommand)?,
    };
    (!found.command.has(flag::ABSENT)).then_some(found)
}

fn info(_: &mut Context<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    let found: Vec<Option<Entry>> = if args.len() == 2 {
        top_level().map(Some).collect()
    } else {
        args.from(2).iter().map(|name| find(name)).collect()
    };
    reply.array(found.len());
    for entry in found {
        match entry {
            Some(entry) => describe(entry, reply),
            None => reply.null_array(),
        }
    }
    Ok(())
}

fn document(entry: Entry, reply: &mut dyn Reply) {
    let command = entry.command;
    let subcommands = subcommands(entry);
    let has_subcommands = !subcommands.is_empty();
    reply.bulk(entry.full_name().as_bytes());
    reply.map(4 + usize::from(has_subcommands));
    for (name, value) in [
        ("summary", command.summary),
        ("since", command.since),
        ("group", command.group.name()),
        ("complexity", command.complexity),
    ] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    if has_subcommands {
        reply.bulk(b"subcommands");
        reply.map(subcommands.len());
        for subcommand in subcommands {
            document(subcommand, reply);
        }
    }
}

fn docs(_: &mut Context<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    let found: Vec<Entry> = if args.len() == 2 {
        top_level().collect()
    } else {
        args.from(2).iter().filter_map(|name| find(name)).collect()
    };
    reply.map(found.len());
    found.iter().for_each(|entry| document(*entry, reply));
    Ok(())
}

fn list(_: &mut Context<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    let is_wanted: Box<dyn Fn(&Entry) -> bool> = match args.len() {
        2 => Box::new(|_| true),
        5 if args.is(2, "FILTERBY") && args.is(3, "PATTERN") => {
            let pattern = args[4].to_ascii_lowercase();
            Box::new(move |entry| glob::matches(&pattern, entry.full_name().as_bytes()))
        }
        5 if args.is(2, "FILTERBY") && args.is(3, "ACLCAT") => {
            let category = format!("@{}", String::from_utf8_lossy(&args[4]).to_lowercase());
            Box::new(move |entry| entry.command.categories().contains(&category))
        }
        5 if args.is(2, "FILTERBY") && args.is(3, "MODULE") => Box::new(|_| false),
        _ => return Err(CommandError::Syntax),
    };
    let names: Vec<String> = known()
        .filter(|entry| is_wanted(entry))
        .map(|entry| entry.full_name())
        .collect();
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name.as_bytes()));
    Ok(())
}

/// The positions of a command's keys. A script with a wrong number of keys has none; other commands
/// that count their keys are wrong without one.
fn key_positions(command: &Command, args: &Args<'_>) -> Option<Vec<usize>> {
    let positions = command.keys.positions(args);
    match (command.run, command.keys) {
        (Run::Control(control), _) if control.runs_script().is_some() => {
            Some(positions.unwrap_or_default())
        }
        (_, Keys::Counted { destination, .. }) => {
            positions.filter(|all| all.len() > usize::from(destination.is_some()))
        }
        _ => positions,
    }
}

/// The command whose arguments follow GETKEYS, and the positions of its keys.
fn keys_of<'a>(args: &Args<'a>) -> Result<(Entry, Vec<&'a [u8]>), CommandError> {
    let inner = Args::new(args.from(2));
    let mut entry = table::find(&inner[0])
        .filter(|entry| !entry.command.has(flag::ABSENT))
        .ok_or(CommandError::text("ERR Invalid command specified"))?;
    if let Some(name) = inner.get(1)
        && let Some(found) = table::find_subcommand(entry, name)
    {
        entry = found;
    }
    if matches!(entry.command.keys, Keys::None) {
        return Err(CommandError::text("ERR The command has no key arguments"));
    }
    if !entry.command.accepts(inner.len()) {
        return Err(CommandError::text(
            "ERR Invalid number of arguments specified for command",
        ));
    }
    let positions = key_positions(entry.command, &inner).ok_or(CommandError::text(
        "ERR Invalid arguments specified for command",
    ))?;
    Ok((
        entry,
        positions
            .into_iter()
            .map(|position| inner.at(position))
            .collect(),
    ))
}

fn getkeys(
    _: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let (_, keys) = keys_of(args)?;
    reply.array(keys.len());
    keys.iter().for_each(|key| reply.bulk(key));
    Ok(())
}

fn getkeysandflags(
    _: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let (entry, keys) = keys_of(args)?;
    reply.array(keys.len());
    for key in keys {
        reply.array(2);
        reply.bulk(key);
        let flags = key_flags(entry.command);
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.status(flag));
    }
    Ok(())
}

fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    write_help("COMMAND", SUBCOMMANDS, reply);
    Ok(())
}
