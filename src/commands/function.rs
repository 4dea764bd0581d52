//! FUNCTION; FCALL and FCALL_RO.

use super::args::Args;
use super::command::{Command, Control, Group, Keys, flag, unknown_option};
use super::error::CommandError;
use super::view::has_room;
use crate::clients::{Context, Killed, RunningFunction};
use crate::glob;
use crate::resp::reply::Reply;
use crate::script::functions::{Function, Library, payload};

const KEYS: Keys = Keys::Counted {
    destination: None,
    count: 2,
};

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::control(
        "FCALL",
        -3,
        Group::Scripting,
        Control::Fcall { read_only: false },
    )
    .keys(KEYS)
    .flag(flag::MOVABLE_KEYS | flag::STALE)
    .doc("7.0.0", "Depends on the function", "Calls a function."),
    Command::control(
        "FCALL_RO",
        -3,
        Group::Scripting,
        Control::Fcall { read_only: true },
    )
    .keys(KEYS)
    .flag(flag::MOVABLE_KEYS | flag::READONLY | flag::STALE)
    .doc(
        "7.0.0",
        "Depends on the function",
        "Calls a function that does not write.",
    ),
    Command::container("FUNCTION", Group::Scripting, SUBCOMMANDS).doc(
        "7.0.0",
        "Depends on the subcommand",
        "A container for commands on functions.",
    ),
];

const SUBCOMMANDS: &[Command] = &[
    Command::control("LOAD", -3, Group::Scripting, Control::FunctionLoad)
        .flag(flag::WRITE | flag::DENYOOM)
        .doc(
            "7.0.0",
            "O(1), beside what the library does",
            "Takes a library of functions; REPLACE: also in another one's place.",
        ),
    Command::control("RESTORE", -3, Group::Scripting, Control::FunctionRestore)
        .flag(flag::WRITE | flag::DENYOOM)
        .doc(
            "7.0.0",
            "O(N), with N functions in the payload",
            "Takes the libraries of a payload (FLUSH, APPEND or REPLACE), all or none.",
        ),
    Command::client("DELETE", 3, Group::Scripting, delete)
        .flag(flag::WRITE | flag::NOSCRIPT)
        .doc(
            "7.0.0",
            "O(N), with N functions",
            "Forgets a library with its functions.",
        ),
    Command::client("FLUSH", -2, Group::Scripting, flush)
        .flag(flag::WRITE | flag::NOSCRIPT)
        .doc("7.0.0", "O(N), with N functions", "Forgets all libraries."),
    Command::client("LIST", -2, Group::Scripting, list)
        .flag(flag::NOSCRIPT)
        .doc(
            "7.0.0",
            "O(N), with N functions",
            "Shows libraries, their functions, and with WITHCODE their text.",
        ),
    Command::client("DUMP", 2, Group::Scripting, dump)
        .flag(flag::NOSCRIPT)
        .doc(
            "7.0.0",
            "O(N), with N functions",
            "Returns all libraries as a payload for FUNCTION RESTORE.",
        ),
    Command::client("STATS", 2, Group::Scripting, stats)
        .flag(flag::NOSCRIPT)
        .doc(
            "7.0.0",
            "O(N), with N clients",
            "Shows the function that has run longest, and how many there are.",
        ),
    Command::client("KILL", 2, Group::Scripting, kill)
        .flag(flag::NOSCRIPT)
        .doc(
            "7.0.0",
            "O(N), with N clients",
            "Ends the function that has run longest, without a trace if it is atomic.",
        ),
    Command::client("HELP", 2, Group::Scripting, help).doc(
        "7.0.0",
        "O(1)",
        "Describes the subcommands.",
    ),
];

fn delete(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    if !context.services.functions.delete(&args[2]) {
        return Err(CommandError::text("ERR Library not found"));
    }
    reply.status("OK");
    Ok(())
}

fn flush(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    if args.len() > 3 {
        return Err(unknown_option(args));
    }
    if args.len() == 3 && !args.is(2, "SYNC") && !args.is(2, "ASYNC") {
        return Err(CommandError::text(
            "ERR FUNCTION FLUSH only supports SYNC|ASYNC option",
        ));
    }
    context.services.functions.flush();
    reply.status("OK");
    Ok(())
}

/// What FUNCTION LIST is asked for.
#[derive(Default)]
struct Listing {
    /// In small letters.
    pattern: Option<Vec<u8>>,
    with_code: bool,
}

impl Listing {
    fn parse(args: &Args<'_>) -> Result<Listing, CommandError> {
        let mut listing = Listing::default();
        let mut at = 2;
        while at < args.len() {
            if args.is(at, "WITHCODE") && !listing.with_code {
                listing.with_code = true;
            } else if args.is(at, "LIBRARYNAME") && listing.pattern.is_none() {
                at += 1;
                let pattern = args.get(at).ok_or(CommandError::text(
                    "ERR library name argument was not given",
                ))?;
                listing.pattern = Some(pattern.to_ascii_lowercase());
            } else {
                return Err(CommandError::naming("Unknown argument ", &args[at], ""));
            }
            at += 1;
        }
        Ok(listing)
    }

    fn wants(&self, library: &Library) -> bool {
        self.pattern
            .as_ref()
            .is_none_or(|pattern| glob::matches(pattern, &library.name.to_ascii_lowercase()))
    }
}

fn list(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let listing = Listing::parse(args)?;
    let libraries = context.services.functions.libraries();
    let wanted: Vec<_> = libraries.iter().filter(|own| listing.wants(own)).collect();
    reply.array(wanted.len());
    for library in wanted {
        reply.map(3 + usize::from(listing.with_code));
        reply.bulk(b"library_name");
        reply.bulk(&library.name);
        reply.bulk(b"engine");
        reply.bulk(b"LUA");
        reply.bulk(b"functions");
        reply.array(library.functions.len());
        for function in &library.functions {
            write_function(function, reply);
        }
        if listing.with_code {
            reply.bulk(b"library_code");
            reply.bulk(&library.code);
        }
    }
    Ok(())
}

fn write_function(function: &Function, reply: &mut dyn Reply) {
    reply.map(3);
    reply.bulk(b"name");
    reply.bulk(function.name());
    reply.bulk(b"description");
    match &function.description {
        Some(description) => reply.bulk(description),
        None => reply.null(),
    }
    reply.bulk(b"flags");
    reply.set(function.flags.names().count());
    function.flags.names().for_each(|name| reply.status(name));
}

fn dump(
    context: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let libraries = context.services.functions.libraries();
    // The payload, and the reply that it is copied to.
    if !has_room(context.services, 2 * libraries.code_bytes()) {
        return Err(CommandError::OutOfMemory);
    }
    let texts = libraries.iter().map(|library| &*library.code);
    reply.bulk(&payload::dump(texts));
    Ok(())
}

fn stats(
    context: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let services = context.services;
    reply.map(2);
    reply.bulk(b"running_script");
    match services.clients.running_function() {
        Some(running) => write_running(&running, services.store.now_ms(), reply),
        None => reply.null(),
    }
    let libraries = services.functions.libraries();
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(b"LUA");
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.integer(libraries.len() as i64);
    reply.bulk(b"functions_count");
    reply.integer(libraries.function_count() as i64);
    Ok(())
}

fn write_running(running: &RunningFunction, now_ms: u64, reply: &mut dyn Reply) {
    reply.map(3);
    reply.bulk(b"name");
    reply.bulk(running.name());
    reply.bulk(b"command");
    let arguments = running.arguments().to_vec();
    reply.array(arguments.len());
    arguments.iter().for_each(|argument| reply.bulk(argument));
    reply.bulk(b"duration_ms");
    reply.integer(now_ms.saturating_sub(running.started_ms) as i64);
}

fn kill(
    context: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    match context.services.clients.kill_function() {
        Killed::Yes => {
            reply.status("OK");
            Ok(())
        }
        Killed::OtherKind => Err(CommandError::text(
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN \
             NOSAVE.",
        )),
        Killed::Nothing => Err(CommandError::text(
            "NOTBUSY No scripts in execution right now.",
        )),
    }
}

fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    super::command::write_help("FUNCTION", SUBCOMMANDS, reply);
    Ok(())
}
