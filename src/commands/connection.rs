//! The connection itself: PING, ECHO, HELLO, AUTH, SELECT, QUIT, RESET.

use std::sync::atomic::Ordering;

use super::args::Args;
use super::command::{Command, Control, Group, flag};
use super::error::CommandError;
use crate::clients::{ClientState, Context};
use crate::resp::encode::Protocol;
use crate::resp::reply::Reply;

/// The version of Redis whose behaviour this is.
pub const REDIS_VERSION: &str = "7.2.0";

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::client("PING", -1, Group::Connection, ping)
        .flag(flag::FAST | flag::SUBSCRIBED)
        .doc("1.0.0", "O(1)", "Returns the server's liveliness response."),
    Command::client("ECHO", 2, Group::Connection, echo)
        .flag(flag::FAST)
        .doc("1.0.0", "O(1)", "Returns the given string."),
    Command::client("HELLO", -1, Group::Connection, hello)
        .flag(flag::FAST | flag::NO_AUTH | flag::NOSCRIPT)
        .doc(
            "6.0.0",
            "O(1)",
            "Chooses the protocol, authenticates, names the connection.",
        ),
    Command::client("AUTH", -2, Group::Connection, auth)
        .flag(flag::FAST | flag::NO_AUTH | flag::NOSCRIPT)
        .doc("1.0.0", "O(1)", "Authenticates the connection."),
    Command::client("SELECT", 2, Group::Connection, select)
        .flag(flag::FAST)
        .doc("1.0.0", "O(1)", "Changes the selected database."),
    Command::client("QUIT", -1, Group::Connection, quit)
        .flag(flag::FAST | flag::NO_AUTH | flag::NOSCRIPT | flag::SUBSCRIBED)
        .doc("1.0.0", "O(1)", "Closes the connection."),
    Command::control("RESET", 1, Group::Connection, Control::Reset)
        .flag(flag::FAST | flag::NO_AUTH | flag::SUBSCRIBED)
        .doc("6.2.0", "O(1)", "Resets the connection."),
];

fn ping(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    if args.len() > 2 {
        return Err(CommandError::Arity("ping".into()));
    }
    let text = args.get(1);
    if context.client.subscriptions() > 0 && reply.protocol() == 2 {
        reply.array(2);
        reply.bulk(b"pong");
        reply.bulk(text.unwrap_or_default());
        return Ok(());
    }
    match text {
        Some(text) => reply.bulk(text),
        None => reply.status("PONG"),
    }
    Ok(())
}

fn echo(_: &mut Context<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    reply.bulk(&args[1]);
    Ok(())
}

/// Whether two strings are equal, in a time that depends on the lengths alone.
fn equal_in_constant_time(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

fn authenticate(
    context: &mut Context<'_>,
    user: &[u8],
    password: &[u8],
) -> Result<(), CommandError> {
    let wanted = context.services.config.password();
    let is_right = user == b"default"
        && wanted.is_none_or(|wanted| equal_in_constant_time(wanted.as_bytes(), password));
    if !is_right {
        return Err(CommandError::text(
            "WRONGPASS invalid username-password pair or user is disabled.",
        ));
    }
    context.client.is_authenticated = true;
    Ok(())
}

fn auth(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    match args.len() {
        2 if context.services.config.password().is_none() => {
            return Err(CommandError::text(
                "ERR AUTH <password> called without any password configured for the default \
                 user. Are you sure your configuration is correct?",
            ));
        }
        2 => authenticate(context, b"default", &args[1])?,
        3 => authenticate(context, &args[1], &args[2])?,
        _ => return Err(CommandError::Syntax),
    }
    reply.status("OK");
    Ok(())
}

/// What HELLO's options ask for, before anything of it is done.
struct Hello<'a> {
    protocol: Option<Protocol>,
    credentials: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

fn parse_hello<'a>(args: &Args<'a>) -> Result<Hello<'a>, CommandError> {
    let mut hello = Hello {
        protocol: None,
        credentials: None,
        name: None,
    };
    if args.len() == 1 {
        return Ok(hello);
    }
    let version = args.integer(1).map_err(|_| {
        CommandError::text("ERR Protocol version is not an integer or out of range")
    })?;
    hello.protocol = Some(match version {
        2 => Protocol::Resp2,
        3 => Protocol::Resp3,
        _ => return Err(CommandError::text("NOPROTO unsupported protocol version")),
    });
    let mut options = args.options(2);
    while !options.is_empty() {
        let position = options.position();
        if options.take("AUTH") && options.left() >= 2 {
            hello.credentials = Some((options.next()?, options.next()?));
        } else if options.take("SETNAME") && options.left() >= 1 {
            hello.name = Some(options.next()?);
        } else {
            let option = args.at(position);
            return Err(CommandError::naming(
                "Syntax error in HELLO option '",
                option,
                "'",
            ));
        }
    }
    Ok(hello)
}

fn hello(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let hello = parse_hello(args)?;
    if let Some((user, password)) = hello.credentials {
        authenticate(context, user, password)?;
    }
    if !context.client.is_authenticated {
        return Err(CommandError::text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
             select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = hello.name {
        set_name(context.client, name)?;
    }
    if let Some(protocol) = hello.protocol {
        context.client.speak(protocol);
        reply.set_protocol(if protocol == Protocol::Resp3 { 3 } else { 2 });
    }
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.integer(if context.client.protocol == Protocol::Resp3 {
        3
    } else {
        2
    });
    reply.bulk(b"id");
    reply.integer(context.client.shared.id as i64);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}

/// Names a connection, as CLIENT SETNAME does.
///
/// # Errors
/// The name has spaces or bytes that cannot be printed.
pub fn set_name(client: &mut ClientState, name: &[u8]) -> Result<(), CommandError> {
    if !name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Err(CommandError::text(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ));
    }
    client.shared.names().name = String::from_utf8_lossy(name).into_owned();
    Ok(())
}

fn select(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let database = args.integer_between(1, i32::MIN.into(), i32::MAX.into())?;
    let database = usize::try_from(database).ok();
    let database = database.filter(|database| *database < context.services.config.databases());
    context.client.database = database.ok_or(CommandError::NoSuchDatabase)?;
    context
        .client
        .shared
        .database
        .store(context.client.database, Ordering::Relaxed);
    reply.status("OK");
    Ok(())
}

fn quit(
    context: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    context.client.is_closing = true;
    reply.status("OK");
    Ok(())
}
