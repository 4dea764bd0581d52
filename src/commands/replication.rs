//! What is asked of replicas, and of the disk: there are none, so WAIT waits for its time alone.

use super::absent::{NO_REPLICATION, refused};
use super::args::Args;
use super::command::{Command, Group, flag};
use super::error::{CommandError, Wait};
use crate::clients::Context;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::client("WAIT", 3, Group::Generic, wait)
        .unflag(flag::LOADING | flag::STALE)
        .flag(flag::BLOCKING | flag::CONNECTION)
        .doc(
            "3.0.0",
            "O(1)",
            "Waits until so many replicas have what was written, or the time is over; returns 0.",
        ),
    Command::client("WAITAOF", 4, Group::Generic, wait_aof)
        .unflag(flag::LOADING | flag::STALE)
        .flag(flag::BLOCKING | flag::CONNECTION)
        .doc(
            "7.2.0",
            "O(1)",
            "As WAIT, for replicas that have it on disk. This server never has.",
        ),
    Command::client("ROLE", 1, Group::Server, role)
        .flag(flag::NOSCRIPT | flag::FAST | flag::DANGEROUS)
        .doc(
            "2.8.12",
            "O(1)",
            "Returns what the server is to others: a master without replicas.",
        ),
    follow(
        "REPLICAOF",
        "5.0.0",
        "Refused, but for NO ONE: there is no replication.",
    ),
    follow("SLAVEOF", "1.0.0", "See REPLICAOF."),
];

const fn follow(name: &'static str, since: &'static str, summary: &'static str) -> Command {
    Command::client(name, 3, Group::Server, replica_of)
        .flag(flag::ADMIN | flag::NOSCRIPT)
        .doc(since, "O(1)", summary)
}

type Done = Result<(), CommandError>;

/// The timeout at `index`; 0 is for ever.
fn timeout_ms(context: &Context<'_>, args: &Args<'_>, index: usize) -> Result<u64, CommandError> {
    let timeout_ms = args
        .integer(index)
        .map_err(|_| CommandError::text("ERR timeout is not an integer or out of range"))?;
    let timeout_ms =
        u64::try_from(timeout_ms).map_err(|_| CommandError::text("ERR timeout is negative"))?;
    let until_ms = context.services.store.now_ms().saturating_add(timeout_ms);
    match i64::try_from(until_ms) {
        Ok(_) => Ok(timeout_ms),
        Err(_) => Err(CommandError::text("ERR timeout is out of range")),
    }
}

/// Nothing will come: only the time ends it, or CLIENT UNBLOCK.
pub(super) fn rest(timeout_ms: u64) -> CommandError {
    CommandError::WouldBlock(Box::new(Wait {
        keys: Vec::new(),
        timeout_ms,
        arguments: None,
        group: None,
    }))
}

fn wait(context: &mut Context<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let replicas = args.integer(1)?;
    let timeout_ms = timeout_ms(context, args, 2)?;
    reply.integer(0);
    if replicas > 0 {
        return Err(rest(timeout_ms));
    }
    Ok(())
}

fn wait_aof(context: &mut Context<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let here = args.integer_between(1, 0, 1)?;
    let replicas = args.integer(2)?;
    if replicas < 0 {
        return Err(CommandError::NotPositive);
    }
    let timeout_ms = timeout_ms(context, args, 3)?;
    if here > 0 {
        return Err(CommandError::text(
            "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
        ));
    }
    reply.array(2);
    reply.integer(0);
    reply.integer(0);
    if replicas > 0 {
        return Err(rest(timeout_ms));
    }
    Ok(())
}

fn role(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    reply.array(3);
    reply.bulk(b"master");
    reply.integer(0);
    reply.array(0);
    Ok(())
}

fn replica_of(_: &mut Context<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    // It is what it is asked to be.
    if args.is(1, "NO") && args.is(2, "ONE") {
        reply.status("OK");
        return Ok(());
    }
    Err(refused(args, 1, NO_REPLICATION))
}
