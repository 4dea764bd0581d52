//! CLIENT.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::args::Args;
use super::client_tracking;
use super::command::{Command, Group, flag, unknown_option, write_help};
use super::connection::set_name;
use super::error::CommandError;
use super::table;
use crate::clients::{Context, Pause, ReplyMode, SharedClient, Unblock};
use crate::resp::reply::Reply;
use crate::system_time::now_ms;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[Command::container("CLIENT", Group::Connection, SUBCOMMANDS)
    .doc(
        "2.4.0",
        "Depends on the subcommand",
        "A container for commands on connections.",
    )];

/// A subcommand of CLIENT.
const fn own(
    name: &'static str,
    arity: i32,
    run: super::command::ClientHandler,
    since: &'static str,
    summary: &'static str,
) -> Command {
    Command::client(name, arity, Group::Connection, run)
        .flag(flag::NOSCRIPT)
        .doc(since, "O(1)", summary)
}

const SUBCOMMANDS: &[Command] = &[
    own(
        "ID",
        2,
        id,
        "5.0.0",
        "Returns the number of this connection.",
    ),
    own(
        "GETNAME",
        2,
        getname,
        "2.6.9",
        "Returns the name of this connection.",
    ),
    own("SETNAME", 3, setname, "2.6.9", "Names this connection."),
    own(
        "SETINFO",
        4,
        setinfo,
        "7.2.0",
        "Says which library this connection uses.",
    ),
    own("INFO", 2, info, "6.2.0", "Describes this connection."),
    own("LIST", -2, list, "2.4.0", "Describes all connections.").flag(flag::ADMIN),
    own("KILL", -3, kill, "2.4.0", "Ends connections.").flag(flag::ADMIN),
    own(
        "PAUSE",
        -3,
        pause,
        "2.9.50",
        "Lets commands wait for a time.",
    )
    .flag(flag::ADMIN),
    own("UNPAUSE", 2, unpause, "6.2.0", "Ends CLIENT PAUSE.").flag(flag::ADMIN),
    own(
        "REPLY",
        3,
        reply_mode,
        "3.2.0",
        "Says whether replies are wanted.",
    ),
    own(
        "UNBLOCK",
        -3,
        unblock,
        "5.0.0",
        "Ends the waiting of a connection.",
    )
    .flag(flag::ADMIN),
    own(
        "NO-EVICT",
        3,
        no_evict,
        "7.0.0",
        "Lets maxmemory-clients spare this connection, and not count it.",
    )
    .flag(flag::ADMIN),
    own(
        "TRACKING",
        -3,
        client_tracking::tracking,
        "6.0.0",
        "Refused, but for OFF: connections are not told of keys that change yet.",
    ),
    own(
        "TRACKINGINFO",
        2,
        client_tracking::info,
        "6.2.0",
        "Returns how this connection is told of keys that change: not at all.",
    ),
    own(
        "CACHING",
        3,
        client_tracking::caching,
        "6.0.0",
        "Refused: see CLIENT TRACKING.",
    ),
    own(
        "GETREDIR",
        2,
        client_tracking::redirection,
        "6.0.0",
        "Returns -1: see CLIENT TRACKING.",
    ),
    own(
        "NO-TOUCH",
        3,
        no_touch,
        "7.2.0",
        "Accepted: reads do not change idle times here.",
    ),
    own("HELP", 2, help, "5.0.0", "Describes the subcommands.").unflag(flag::NOSCRIPT),
];

fn id(context: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    reply.integer(context.client.shared.id as i64);
    Ok(())
}

fn getname(
    context: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let names = context.client.shared.names();
    if names.name.is_empty() {
        reply.null()
    } else {
        reply.bulk(names.name.as_bytes())
    }
    Ok(())
}

fn setname(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    set_name(context.client, &args[2])?;
    reply.status("OK");
    Ok(())
}

fn setinfo(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let value = args.at(3);
    let is_printable = value.iter().all(|byte| (b'!'..=b'~').contains(byte));
    let mut names = context.client.shared.names();
    let slot = if args.is(2, "LIB-NAME") {
        &mut names.library
    } else if args.is(2, "LIB-VER") {
        &mut names.library_version
    } else {
        return Err(CommandError::naming("Unrecognized option '", &args[2], "'"));
    };
    if !is_printable {
        return Err(CommandError::naming(
            "",
            &args[2],
            " cannot contain spaces, newlines or special characters.",
        ));
    }
    *slot = String::from_utf8_lossy(value).into_owned();
    reply.status("OK");
    Ok(())
}

/// One line of CLIENT LIST.
fn describe(client: &SharedClient, now_ms: u64) -> String {
    let load = |counter: &std::sync::atomic::AtomicUsize| counter.load(Ordering::Relaxed);
    let names = client.names();
    let multi = load(&client.multi);
    let multi = if multi == usize::MAX {
        -1
    } else {
        multi as i64
    };
    let is_subscribed = client.subscriptions() > 0;
    let flags = if client.is_monitor.load(Ordering::Relaxed) {
        "O"
    } else if client.is_blocked.load(Ordering::Relaxed) {
        "b"
    } else if is_subscribed {
        "P"
    } else if multi >= 0 {
        "x"
    } else {
        "N"
    };
    let idle_s = now_ms.saturating_sub(client.active_ms.load(Ordering::Relaxed)) / 1000;
    format!(
        "id={} addr={} laddr={} fd=0 name={} age={} idle={idle_s} flags={flags} db={} sub={} \
         psub={} ssub={} multi={multi} qbuf={} qbuf-free=0 argv-mem=0 multi-mem={} rbs=0 rbp=0 \
         obl=0 oll=0 omem={} tot-mem={} events=r cmd={} user=default redir=-1 resp={} \
         lib-name={} lib-ver={}",
        client.id,
        client.address,
        client.local_address,
        names.name,
        now_ms.saturating_sub(client.created_ms) / 1000,
        load(&client.database),
        load(&client.channels),
        load(&client.patterns),
        load(&client.shard_channels),
        load(&client.input_bytes),
        load(&client.multi_bytes),
        load(&client.output_bytes),
        load(&client.memory_bytes),
        table::all()
            .get(load(&client.command))
            .map_or_else(|| "NULL".into(), |entry| entry.full_name()),
        if client.is_resp3.load(Ordering::Relaxed) {
            3
        } else {
            2
        },
        names.library,
        names.library_version,
    )
}

fn info(
    context: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let text = describe(&context.client.shared, now_ms());
    reply.verbatim("txt", format!("{text}\n").as_bytes());
    Ok(())
}

/// The type that CLIENT LIST and KILL tell clients apart by.
fn kind_of(client: &SharedClient) -> &'static str {
    if client.subscriptions() > 0 {
        "pubsub"
    } else {
        "normal"
    }
}

fn parse_kind(word: &[u8]) -> Result<String, CommandError> {
    let kind = String::from_utf8_lossy(word).to_ascii_lowercase();
    match kind.as_str() {
        "normal" | "pubsub" | "replica" | "master" => Ok(kind),
        "slave" => Ok("replica".into()),
        _ => Err(CommandError::naming("Unknown client type '", word, "'")),
    }
}

fn list(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let clients = &context.services.clients;
    let all = if args.len() == 4 && args.is(2, "TYPE") {
        let kind = parse_kind(&args[3])?;
        clients
            .all()
            .into_iter()
            .filter(|client| kind_of(client) == kind)
            .collect()
    } else if args.len() > 3 && args.is(2, "ID") {
        let mut found = Vec::new();
        for position in 3..args.len() {
            let id = args.integer(position);
            let id = id.map_err(|_| CommandError::text("ERR Invalid client ID"))?;
            found.extend(u64::try_from(id).ok().and_then(|id| clients.get(id)));
        }
        found
    } else if args.len() == 2 {
        clients.all()
    } else {
        return Err(CommandError::Syntax);
    };
    let now_ms = now_ms();
    let lines: Vec<String> = all.iter().map(|client| describe(client, now_ms)).collect();
    let text: String = lines
        .iter()
        .flat_map(|line| [line.as_str(), "\n"])
        .collect();
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// Whom CLIENT KILL means.
#[derive(Default)]
struct Filter {
    id: Option<u64>,
    address: Option<Vec<u8>>,
    local_address: Option<Vec<u8>>,
    kind: Option<String>,
    max_age_s: Option<u64>,
    skips_own: bool,
}

impl Filter {
    fn parse(args: &Args<'_>) -> Result<Filter, CommandError> {
        let mut filter = Filter {
            skips_own: true,
            ..Filter::default()
        };
        let mut options = args.options(2);
        while !options.is_empty() {
            if options.left() < 2 {
                return Err(CommandError::Syntax);
            }
            if options.take("ID") {
                let id = options.integer().ok().filter(|id| *id > 0);
                let id = id.ok_or(CommandError::text("ERR client-id should be greater than 0"))?;
                filter.id = Some(id as u64);
            } else if options.take("ADDR") {
                filter.address = Some(options.next()?.to_vec());
            } else if options.take("LADDR") {
                filter.local_address = Some(options.next()?.to_vec());
            } else if options.take("TYPE") {
                filter.kind = Some(parse_kind(options.next()?)?);
            } else if options.take("USER") {
                let user = options.next()?;
                if user != b"default" {
                    return Err(CommandError::naming("No such user '", user, "'"));
                }
            } else if options.take("MAXAGE") {
                let age_s = options.integer().map_err(|_| {
                    CommandError::text("ERR maxage is not an integer or out of range")
                })?;
                if age_s <= 0 {
                    return Err(CommandError::text("ERR maxage should be greater than 0"));
                }
                filter.max_age_s = Some(age_s as u64);
            } else if options.take("SKIPME") {
                filter.skips_own = if options.take("YES") {
                    true
                } else if options.take("NO") {
                    false
                } else {
                    return Err(CommandError::Syntax);
                };
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(filter)
    }

    fn takes(&self, client: &SharedClient, own: u64, now_ms: u64) -> bool {
        let age_s = now_ms.saturating_sub(client.created_ms) / 1000;
        self.id.is_none_or(|id| id == client.id)
            && self
                .address
                .as_deref()
                .is_none_or(|a| a == client.address.as_bytes())
            && self
                .local_address
                .as_deref()
                .is_none_or(|a| a == client.local_address.as_bytes())
            && self
                .kind
                .as_deref()
                .is_none_or(|kind| kind == kind_of(client))
            && self.max_age_s.is_none_or(|max| age_s >= max)
            && !(self.skips_own && client.id == own)
    }
}

fn kill_client(context: &mut Context<'_>, client: &Arc<SharedClient>) {
    if client.id == context.client.shared.id {
        // Its own reply still goes out.
        context.client.is_closing = true;
    } else {
        client.kill();
    }
}

fn kill(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let all = context.services.clients.all();
    if args.len() == 3 {
        let found = all
            .iter()
            .find(|client| client.address.as_bytes() == &args[2]);
        let found = found.ok_or(CommandError::text("ERR No such client"))?;
        kill_client(context, found);
        reply.status("OK");
        return Ok(());
    }
    let filter = Filter::parse(args)?;
    let (own, now_ms) = (context.client.shared.id, now_ms());
    let found: Vec<_> = all
        .iter()
        .filter(|client| filter.takes(client, own, now_ms))
        .collect();
    found.iter().for_each(|client| kill_client(context, client));
    reply.integer(found.len() as i64);
    Ok(())
}

fn pause(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let what = match args.len() {
        3 => Pause::All,
        4 if args.is(3, "ALL") => Pause::All,
        4 if args.is(3, "WRITE") => Pause::Writes,
        4 => {
            return Err(CommandError::text(
                "ERR CLIENT PAUSE mode must be WRITE or ALL",
            ));
        }
        _ => return Err(unknown_option(args)),
    };
    let timeout_ms = args
        .integer(2)
        .map_err(|_| CommandError::text("ERR timeout is not an integer or out of range"))?;
    let timeout_ms =
        u64::try_from(timeout_ms).map_err(|_| CommandError::text("ERR timeout is negative"))?;
    context.services.clients.pause(timeout_ms, what);
    reply.status("OK");
    Ok(())
}

fn unpause(
    context: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    context.services.clients.unpause();
    reply.status("OK");
    Ok(())
}

fn reply_mode(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    if args.is(2, "ON") {
        context.client.reply_mode = ReplyMode::On;
        reply.status("OK");
    } else if args.is(2, "OFF") {
        context.client.reply_mode = ReplyMode::Off;
    } else if args.is(2, "SKIP") {
        if context.client.reply_mode != ReplyMode::Off {
            context.client.reply_mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(CommandError::Syntax);
    }
    Ok(())
}

fn unblock(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let how = match args.len() {
        3 => Unblock::Timeout,
        4 if args.is(3, "TIMEOUT") => Unblock::Timeout,
        4 if args.is(3, "ERROR") => Unblock::Error,
        5.. => return Err(unknown_option(args)),
        _ => {
            return Err(CommandError::text(
                "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR",
            ));
        }
    };
    let id = args.integer(2)?;
    let found = u64::try_from(id)
        .ok()
        .and_then(|id| context.services.clients.get(id));
    let was_blocked = found.is_some_and(|client| client.unblock(how));
    reply.integer(i64::from(was_blocked));
    Ok(())
}

/// What ON or OFF says.
fn on_off(args: &Args<'_>) -> Result<bool, CommandError> {
    match (args.is(2, "ON"), args.is(2, "OFF")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(CommandError::Syntax),
    }
}

fn no_evict(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let is_spared = on_off(args)?;
    // Relaxed: see `SharedClient::counted`.
    let shared = &context.client.shared;
    shared.is_spared.store(is_spared, Ordering::Relaxed);
    reply.status("OK");
    Ok(())
}

fn no_touch(
    _: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    on_off(args)?;
    reply.status("OK");
    Ok(())
}

fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    write_help("CLIENT", SUBCOMMANDS, reply);
    Ok(())
}
