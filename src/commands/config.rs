//! CONFIG.

use super::args::Args;
use super::command::{Command, Group, flag, write_help};
use super::error::CommandError;
use crate::clients::Context;
use crate::config::parameters::Change;
use crate::config::setting;
use crate::resp::reply::Reply;

const FLAGS: u32 = flag::ADMIN | flag::NOSCRIPT;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::container("CONFIG", Group::Server, SUBCOMMANDS).doc(
        "2.0.0",
        "Depends on the subcommand",
        "A container for commands on the configuration.",
    ),
];

const SUBCOMMANDS: &[Command] = &[
    Command::client("GET", -3, Group::Server, get)
        .flag(FLAGS)
        .doc(
            "2.0.0",
            "O(N), with N options",
            "Returns the options that match patterns.",
        ),
    Command::client("SET", -4, Group::Server, set)
        .flag(FLAGS)
        .doc(
            "2.0.0",
            "O(N), with N options",
            "Sets options; all of them or none.",
        ),
    Command::client("RESETSTAT", 2, Group::Server, resetstat)
        .flag(FLAGS)
        .doc("2.0.0", "O(1)", "Resets the statistics."),
    Command::client("REWRITE", 2, Group::Server, rewrite)
        .flag(FLAGS)
        .doc(
            "2.8.0",
            "O(1)",
            "Refused: configuration files are not rewritten yet.",
        ),
    Command::client("HELP", 2, Group::Server, help).doc(
        "5.0.0",
        "O(1)",
        "Describes the subcommands.",
    ),
];

fn get(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let found = setting::matching(&context.services.config, args.from(2));
    reply.map(found.len());
    for (name, value) in found {
        // As it was asked for, if it was by its name.
        let asked = |pattern: &&&[u8]| pattern.eq_ignore_ascii_case(name.as_bytes());
        let asked = args.from(2).iter().find(asked);
        reply.bulk(asked.map_or(name.as_bytes(), |asked| asked));
        reply.bulk(value.as_bytes());
    }
    Ok(())
}

fn set(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let (pairs, rest) = args.from(2).as_chunks::<2>();
    if !rest.is_empty() {
        return Err(CommandError::Syntax);
    }
    let config = &context.services.config;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut undo: Vec<(String, String)> = Vec::new();
    for [given_name, value] in pairs {
        let (name, value) = (text(given_name), text(value));
        let known = setting::known_name(&name);
        let before = known.map(|known| setting::matching(config, &[known.as_bytes()]));
        let is_named_twice = undo.iter().any(|(set, _)| Some(&**set) == known);
        let result = if is_named_twice {
            Err("duplicate parameter".into())
        } else {
            setting::set(&mut Change::Shared(config), &name, &value)
        };
        if let Err(what) = result {
            for (name, value) in undo.iter().rev() {
                // It was the value a moment ago, so it is taken back without an error.
                let _ = setting::set(&mut Change::Shared(config), name, value);
            }
            return Err(if what.starts_with("Unknown option") {
                CommandError::naming(
                    "Unknown option or number of arguments for CONFIG SET - '",
                    given_name,
                    "'",
                )
            } else {
                CommandError::naming(
                    "CONFIG SET failed (possibly related to argument '",
                    given_name,
                    &format!("') - {what}"),
                )
            });
        }
        undo.extend(before.unwrap_or_default());
    }
    reply.status("OK");
    Ok(())
}

fn resetstat(
    context: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    context.services.stats.reset();
    context.services.watchdog.reset();
    reply.status("OK");
    Ok(())
}

fn rewrite(_: &mut Context<'_>, _: &Args<'_>, _: &mut dyn Reply) -> Result<(), CommandError> {
    Err(CommandError::text(
        "ERR CONFIG REWRITE is not supported yet",
    ))
}

fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    write_help("CONFIG", SUBCOMMANDS, reply);
    Ok(())
}
