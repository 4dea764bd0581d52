//! EVAL and its kind; SCRIPT.

use super::args::Args;
use super::command::{Command, Control, Group, Keys, flag};
use super::error::CommandError;
use super::script_stats::{latency, stats};
use crate::clients::{Context, Killed};
use crate::resp::reply::Reply;
use crate::script::cache::{Retention, parse_sha};
use crate::script::flags::Flags;

const KEYS: Keys = Keys::Counted {
    destination: None,
    count: 2,
};
const EXPLAIN_KEYS: Keys = Keys::Counted {
    destination: None,
    count: 3,
};
const COST: &str = "Depends on the script";

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::control(
        "EVAL",
        -3,
        Group::Scripting,
        Control::Eval { read_only: false },
    )
    .keys(KEYS)
    .flag(flag::MOVABLE_KEYS)
    .doc("2.6.0", COST, "Runs a Lua script."),
    Command::control(
        "EVAL_RO",
        -3,
        Group::Scripting,
        Control::Eval { read_only: true },
    )
    .keys(KEYS)
    .flag(flag::MOVABLE_KEYS | flag::READONLY)
    .doc("7.0.0", COST, "Runs a Lua script that does not write."),
    Command::control(
        "EVALSHA",
        -3,
        Group::Scripting,
        Control::EvalSha { read_only: false },
    )
    .keys(KEYS)
    .flag(flag::MOVABLE_KEYS)
    .doc("2.6.0", COST, "Runs a Lua script by its SHA-1."),
    Command::control(
        "EVALSHA_RO",
        -3,
        Group::Scripting,
        Control::EvalSha { read_only: true },
    )
    .keys(KEYS)
    .flag(flag::MOVABLE_KEYS | flag::READONLY)
    .doc(
        "7.0.0",
        COST,
        "Runs a Lua script that does not write by its SHA-1.",
    ),
    Command::container("SCRIPT", Group::Scripting, SUBCOMMANDS).doc(
        "2.6.0",
        "Depends on the subcommand",
        "A container for commands on scripts.",
    ),
];

const SUBCOMMANDS: &[Command] = &[
    Command::client("LOAD", 3, Group::Scripting, load)
        .flag(flag::NOSCRIPT)
        .doc(
            "2.6.0",
            "O(N), with N the length of the script",
            "Keeps a script and returns its SHA-1.",
        ),
    Command::client("EXISTS", -3, Group::Scripting, exists)
        .flag(flag::NOSCRIPT)
        .doc(
            "2.6.0",
            "O(N), with N SHA-1s",
            "Says which scripts are kept.",
        ),
    Command::client("FLUSH", -2, Group::Scripting, flush)
        .flag(flag::NOSCRIPT)
        .doc("2.6.0", "O(N), with N scripts", "Forgets all scripts."),
    Command::client("KILL", -2, Group::Scripting, kill)
        .flag(flag::NOSCRIPT)
        .doc(
            "2.6.0",
            "O(N), with N running scripts",
            "Ends a running script, without a trace if it is atomic.",
        ),
    Command::client("LIST", 2, Group::Scripting, list)
        .flag(flag::NOSCRIPT)
        .doc(
            "7.2.0",
            "O(N), with N scripts",
            "Returns all scripts with their SHA-1s.",
        ),
    Command::client("FLAGS", -3, Group::Scripting, flags)
        .flag(flag::NOSCRIPT)
        .doc(
            "7.2.0",
            "O(1)",
            "Adds flags to a script, shows them, or forgets them (NONE).",
        ),
    Command::control(
        "EXPLAIN",
        -4,
        Group::Scripting,
        Control::Explain { by_sha: false },
    )
    .keys(EXPLAIN_KEYS)
    .flag(flag::NOSCRIPT | flag::NO_MULTI | flag::MOVABLE_KEYS)
    .doc(
        "7.2.0",
        COST,
        "Tells what a script would do, without doing it.",
    ),
    Command::control(
        "EXPLAINSHA",
        -4,
        Group::Scripting,
        Control::Explain { by_sha: true },
    )
    .keys(EXPLAIN_KEYS)
    .flag(flag::NOSCRIPT | flag::NO_MULTI | flag::MOVABLE_KEYS)
    .doc(
        "7.2.0",
        COST,
        "Tells what a script would do, by its SHA-1, without doing it.",
    ),
    Command::client("STATS", -2, Group::Scripting, stats)
        .flag(flag::NOSCRIPT)
        .doc(
            "7.2.0",
            "O(N), with N scripts",
            "Returns what has become of the runs of all scripts or of one.",
        ),
    Command::client("LATENCY", 2, Group::Scripting, latency)
        .flag(flag::NOSCRIPT)
        .doc(
            "7.2.0",
            "O(N), with N scripts",
            "Returns how long the runs of each script took, as texts.",
        ),
    Command::client("SHOW", 3, Group::Scripting, show)
        .flag(flag::NOSCRIPT)
        .doc("8.0.0", "O(1)", "Returns the body of a script."),
    Command::client("GC", 2, Group::Scripting, collect)
        .flag(flag::NOSCRIPT)
        .doc(
            "7.2.0",
            "O(N), with N idle interpreters",
            "Drops interpreters that no script runs in.",
        ),
    Command::client("DEBUG", 3, Group::Scripting, debug)
        .flag(flag::NOSCRIPT)
        .doc(
            "3.2.0",
            "O(1)",
            "Is refused: there is no line debugger; see SCRIPT EXPLAIN.",
        ),
    Command::client("HELP", 2, Group::Scripting, help).doc(
        "5.0.0",
        "O(1)",
        "Describes the subcommands.",
    ),
];

fn load(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let check = |body: &[u8]| crate::script::check(body);
    let loaded = context
        .services
        .scripts
        .load(&args[2], Retention::Always, check);
    let cached = loaded.map_err(|error| CommandError::err(error.text()))?;
    reply.bulk(&cached.script.sha);
    Ok(())
}

fn exists(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let shas = args.from(2);
    reply.array(shas.len());
    for sha in shas {
        let is_kept = parse_sha(sha).is_some_and(|sha| context.services.scripts.contains(&sha));
        reply.integer(i64::from(is_kept));
    }
    Ok(())
}

fn flush(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let is_valid =
        args.len() == 2 || args.len() == 3 && (args.is(2, "SYNC") || args.is(2, "ASYNC"));
    if !is_valid {
        return Err(CommandError::text(
            "ERR SCRIPT FLUSH only support SYNC|ASYNC option",
        ));
    }
    context.services.scripts.flush();
    reply.status("OK");
    Ok(())
}

fn kill(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let sha = match args.get(2) {
        None => None,
        Some(text) => Some(parse_sha(text).ok_or(CommandError::Syntax)?),
    };
    match context.services.clients.kill_scripts(sha.as_ref()) {
        Killed::Yes => {
            reply.status("OK");
            Ok(())
        }
        Killed::OtherKind => Err(CommandError::text(
            "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN \
             NOSAVE.",
        )),
        Killed::Nothing => Err(CommandError::text(
            "NOTBUSY No scripts in execution right now.",
        )),
    }
}

fn show(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let found = parse_sha(&args[2]).and_then(|sha| context.services.scripts.get(&sha));
    let cached = found.ok_or(CommandError::text(
        "NOSCRIPT No matching script. Please use EVAL.",
    ))?;
    reply.bulk(&cached.script.body);
    Ok(())
}

fn collect(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    crate::script::drop_idle().map_err(CommandError::err)?;
    reply.status("OK");
    Ok(())
}

fn debug(_: &mut Context<'_>, _: &Args<'_>, _: &mut dyn Reply) -> Result<(), CommandError> {
    Err(CommandError::text(
        "ERR SCRIPT DEBUG is not supported: there is no line debugger. SCRIPT EXPLAIN tells what a \
         script would do.",
    ))
}

fn list(
    context: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let all = context.services.scripts.list();
    reply.array(all.len());
    for cached in all {
        reply.array(2);
        reply.bulk(&cached.script.sha);
        reply.bulk(&cached.script.body);
    }
    Ok(())
}

fn flags(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let scripts = &context.services.scripts;
    let sha = parse_sha(&args[2]).ok_or(CommandError::Syntax)?;
    if args.len() == 3 {
        let defaults = context.services.config.default_flags();
        let (flags, source) = scripts.flags_and_source(&sha, defaults);
        reply.map(2);
        reply.bulk(b"flags");
        let names: Vec<_> = flags.names().collect();
        reply.array(names.len());
        names.iter().for_each(|name| reply.bulk(name.as_bytes()));
        reply.bulk(b"source");
        reply.bulk(source.as_bytes());
        return Ok(());
    }
    if args.len() == 4 && args.is(3, "NONE") {
        scripts.forget_flags(&sha);
        reply.status("OK");
        return Ok(());
    }
    let mut added = Flags::NONE;
    for list in args.from(3) {
        let parsed = Flags::parse(list).map_err(|error| invalid_flags(&error.text()))?;
        added = added.with(parsed);
    }
    scripts
        .add_flags(sha, added)
        .map_err(|error| invalid_flags(&error.text()))?;
    reply.status("OK");
    Ok(())
}

fn invalid_flags(text: &[u8]) -> CommandError {
    CommandError::naming("Invalid config format: ", text, "")
}

fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    super::command::write_help("SCRIPT", SUBCOMMANDS, reply);
    Ok(())
}
