//! DEBUG: what tests of clients ask a server for. Refused unless `enable-debug-command` allows it.

use std::sync::atomic::Ordering;

use super::absent::refused;
use super::args::Args;
use super::command::{Command, Group, Keys, flag, write_help};
use super::dump::payload;
use super::error::CommandError;
use super::object::encoding_name;
use super::replication::rest;
use super::view::View;
use crate::clients::Context;
use crate::glob;
use crate::resp::number::parse_double;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[Command::container("DEBUG", Group::Server, SUBCOMMANDS)
    .flag(FLAGS)
    .doc(
        "1.0.0",
        "Depends on the subcommand",
        "A container for commands that tests of clients use.",
    )];

const FLAGS: u32 = flag::ADMIN | flag::NOSCRIPT | flag::PROTECTED;

const fn own(
    name: &'static str,
    arity: i32,
    run: super::command::ClientHandler,
    summary: &'static str,
) -> Command {
    Command::client(name, arity, Group::Server, run)
        .flag(FLAGS)
        .doc("1.0.0", "O(1)", summary)
}

const SUBCOMMANDS: &[Command] = &[
    own(
        "CHANGE-REPL-ID",
        2,
        no_replication,
        "Refused: there is no replication.",
    ),
    own("ERROR", 3, error, "Replies with this error."),
    own("HELP", 2, help, "Describes the subcommands."),
    own("LOADAOF", -2, no_disk, "Refused: nothing is kept on disk."),
    Command::read("OBJECT", 3, Group::Server, object)
        .keys(Keys::Range {
            first: 2,
            last: 2,
            step: 1,
        })
        .flag(FLAGS)
        .doc(
            "1.0.0",
            "O(N) with N bytes of the value",
            "Tells how Redis would keep a key's value, how long its payload is, and when it was used.",
        ),
    own(
        "PROTOCOL",
        3,
        protocol,
        "Replies with a value of the type that is named.",
    ),
    own("RELOAD", -2, no_disk, "Refused: nothing is kept on disk."),
    own(
        "SET-ACTIVE-EXPIRE",
        3,
        set_active_expire,
        "Says whether keys that have expired are removed before somebody writes to them.",
    ),
    own(
        "SET-DISABLE-DENY-SCRIPTS",
        3,
        set_disable_deny_scripts,
        "Lets scripts call what they may not, as far as it does not steer other commands.",
    ),
    own(
        "SLEEP",
        3,
        sleep,
        "Lets this connection wait for some seconds. Others go on.",
    )
    .flag(flag::BLOCKING),
    own(
        "STRINGMATCH-LEN",
        4,
        stringmatch_len,
        "Says whether a pattern matches a string.",
    ),
];

type Done = Result<(), CommandError>;

fn no_replication(_: &mut Context<'_>, args: &Args<'_>, _: &mut dyn Reply) -> Done {
    Err(refused(args, 2, super::absent::NO_REPLICATION))
}

fn no_disk(_: &mut Context<'_>, args: &Args<'_>, _: &mut dyn Reply) -> Done {
    let why = "there is no persistence, nothing could be loaded again";
    Err(refused(args, 2, why))
}

fn error(_: &mut Context<'_>, args: &Args<'_>, _: &mut dyn Reply) -> Done {
    Err(CommandError::Text(args[2].to_vec().into()))
}

/// Seconds of Redis's clock of use, which has 24 bits.
const CLOCK_MASK: u64 = (1 << 24) - 1;

fn object(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let key = &args[2];
    let value = view.peek(key)?.ok_or(CommandError::NoSuchKey)?;
    let length = payload(view, value)?.len() - PAYLOAD_FRAME_BYTES;
    let now_s = view.now_ms() / 1000;
    // A key that only this transaction has written is in use now.
    let touched_s = view.reader().touched_s(view.database, key);
    let touched_s = touched_s.unwrap_or(now_s);
    reply.status(&format!(
        "Value at:0x0 refcount:1 encoding:{} serializedlength:{length} lru:{} lru_seconds_idle:{}",
        encoding_name(value),
        touched_s & CLOCK_MASK,
        now_s.saturating_sub(touched_s)
    ));
    Ok(())
}

/// What stands around a value in a payload: its type, the format's version and the checksum.
const PAYLOAD_FRAME_BYTES: usize = 1 + 2 + 8;

const NO_PROTOCOL: CommandError = CommandError::text(
    "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|\
     null|array|set|map|attrib|push|verbatim|true|false",
);

#[expect(clippy::approx_constant, reason = "the double that Redis sends")]
fn protocol(_: &mut Context<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let numbers = |reply: &mut dyn Reply| (0..3).for_each(|number| reply.integer(number));
    match args[2].to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.integer(12_345),
        b"double" => reply.double(3.141),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            numbers(reply);
        }
        b"set" => {
            reply.set(3);
            numbers(reply);
        }
        b"map" => {
            reply.map(3);
            for number in 0..3 {
                reply.integer(number);
                reply.boolean(number == 1);
            }
        }
        b"attrib" => {
            if reply.attribute(1) {
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.integer(90);
            }
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" if reply.protocol() < 3 => {
            return Err(CommandError::text(
                "ERR RESP2 is not supported by this command",
            ));
        }
        b"push" => {
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.integer(42);
            reply.bulk(b"Some real reply following the push reply");
        }
        b"verbatim" => reply.verbatim("txt", b"This is a verbatim\nstring"),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        _ => return Err(NO_PROTOCOL),
    }
    Ok(())
}

/// 0 or 1.
fn switch(args: &Args<'_>) -> Result<bool, CommandError> {
    args.integer_between(2, 0, 1).map(|value| value == 1)
}

fn set_active_expire(context: &mut Context<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let expires = &context.services.switches.expires_actively;
    // Relaxed: each round looks at it anew.
    expires.store(switch(args)?, Ordering::Relaxed);
    reply.status("OK");
    Ok(())
}

fn set_disable_deny_scripts(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Done {
    let lets = &context.services.switches.lets_scripts_call_all;
    // Relaxed: each call looks at it anew.
    lets.store(switch(args)?, Ordering::Relaxed);
    reply.status("OK");
    Ok(())
}

/// The longest sleep; a longer one is cut to it.
const SLEEP_SECONDS_MAX: f64 = 86_400.0;

fn sleep(_: &mut Context<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let seconds = parse_double(&args[2]).ok_or(CommandError::NotAFloat)?;
    let sleep_ms = (seconds.clamp(0.0, SLEEP_SECONDS_MAX) * 1000.0).ceil() as u64;
    reply.status("OK");
    if sleep_ms > 0 {
        return Err(rest(sleep_ms));
    }
    Ok(())
}

fn stringmatch_len(_: &mut Context<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    reply.integer(i64::from(glob::matches(&args[2], &args[3])));
    Ok(())
}

fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    write_help("DEBUG", SUBCOMMANDS, reply);
    Ok(())
}
