//! Whole databases.

use darter_storage::Mode;

use super::args::Args;
use super::command::{Command, Group, flag};
use super::error::CommandError;
use super::view::View;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::read("DBSIZE", 1, Group::Server, dbsize)
        .flag(flag::FAST)
        .doc(
            "1.0.0",
            "O(1) by itself, O(N) with N keys in a transaction",
            "Returns how many keys the database has.",
        ),
    Command::write("FLUSHDB", -1, Group::Server, flushdb)
        .flag(flag::EXCLUSIVE | flag::DANGEROUS)
        .doc(
            "1.0.0",
            "O(1)",
            "Empties the database; memory is freed later.",
        ),
    Command::write("FLUSHALL", -1, Group::Server, flushall)
        .flag(flag::EXCLUSIVE | flag::DANGEROUS)
        .doc(
            "1.0.0",
            "O(N), with N databases",
            "Empties all databases; memory is freed later.",
        ),
    Command::write("SWAPDB", 3, Group::Server, swapdb)
        .flag(flag::EXCLUSIVE | flag::FAST | flag::DANGEROUS)
        .doc(
            "4.0.0",
            "O(N), with N blocked clients",
            "Exchanges two databases.",
        ),
];

type Done = Result<(), CommandError>;

fn dbsize(view: &mut View<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let (reader, database) = (view.reader(), view.database);
    let is_alone = reader.mode() == Mode::Direct && !reader.compares_reads();
    let count = if is_alone {
        view.services.store.key_counts(database).0
    } else {
        reader.count_keys(database)?
    };
    reply.integer(count as i64);
    Ok(())
}

/// FLUSHDB and FLUSHALL take how memory is to be freed; here it always is later.
fn check_flush_mode(args: &Args<'_>) -> Done {
    match args.len() {
        1 => Ok(()),
        2 if args.is(1, "ASYNC") || args.is(1, "SYNC") => Ok(()),
        _ => Err(CommandError::Syntax),
    }
}

fn flushdb(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    check_flush_mode(args)?;
    let database = view.database;
    view.transaction().flush(database)?;
    reply.status("OK");
    Ok(())
}

fn flushall(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    check_flush_mode(args)?;
    for database in 0..view.services.store.databases() {
        view.transaction().flush(database)?;
    }
    reply.status("OK");
    Ok(())
}

fn swapdb(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let number = |index: usize, error: &'static str| {
        parse_integer(&args[index])
            .and_then(|number| i32::try_from(number).ok())
            .ok_or(CommandError::text(error))
    };
    let one = number(1, "ERR invalid first DB index")?;
    let other = number(2, "ERR invalid second DB index")?;
    let known = |number: i32| {
        let database = usize::try_from(number).ok();
        database
            .filter(|database| *database < view.services.store.databases())
            .ok_or(CommandError::NoSuchDatabase)
    };
    let (one, other) = (known(one)?, known(other)?);
    view.transaction().swap(one, other)?;
    reply.status("OK");
    Ok(())
}
