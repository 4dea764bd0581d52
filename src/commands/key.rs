//! Keys, whatever they hold. When they expire is in `expire`, walking them in `scan`.

use darter_storage::Type;

use super::args::Args;
use super::command::{Command, Group, Keys, flag};
use super::error::CommandError;
use super::view::View;
use crate::notifications::class;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("DEL", -2, Group::Generic, del)
        .keys(Keys::ALL)
        .doc("1.0.0", "O(N), with N keys", "Deletes keys."),
    Command::write("UNLINK", -2, Group::Generic, del)
        .keys(Keys::ALL)
        .flag(flag::FAST)
        .doc(
            "4.0.0",
            "O(N), with N keys",
            "Deletes keys; memory is freed later, as with DEL here.",
        ),
    Command::read("EXISTS", -2, Group::Generic, exists)
        .keys(Keys::ALL)
        .flag(flag::FAST)
        .doc(
            "1.0.0",
            "O(N), with N keys",
            "Counts the keys that are there.",
        ),
    Command::read("TYPE", 2, Group::Generic, type_of)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc("1.0.0", "O(1)", "Returns which type a key holds."),
    Command::read("TOUCH", -2, Group::Generic, touch)
        .keys(Keys::ALL)
        .flag(flag::FAST)
        .doc(
            "3.2.1",
            "O(N), with N keys",
            "Marks keys as used now, and counts those there.",
        ),
    Command::write("RENAME", 3, Group::Generic, rename)
        .keys(Keys::FIRST_TWO)
        .doc(
            "1.0.0",
            "O(1)",
            "Renames a key, over whatever has the new name.",
        ),
    Command::write("RENAMENX", 3, Group::Generic, renamenx)
        .keys(Keys::FIRST_TWO)
        .flag(flag::FAST)
        .doc(
            "1.0.0",
            "O(1)",
            "Renames a key if no other has the new name.",
        ),
    Command::write("COPY", -3, Group::Generic, copy)
        .keys(Keys::FIRST_TWO)
        .flag(flag::DENYOOM)
        .doc(
            "6.2.0",
            "O(N), with N elements",
            "Copies what a key holds to another.",
        ),
    Command::write("MOVE", 3, Group::Generic, move_to)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc("1.0.0", "O(1)", "Moves a key to another database."),
];

type Done = Result<(), CommandError>;

const SAME_OBJECTS: CommandError =
    CommandError::text("ERR source and destination objects are the same");

/// The name of a type, as TYPE says it.
pub(super) fn type_name(kind: Type) -> &'static str {
    match kind {
        Type::String => "string",
        Type::List => "list",
        Type::Set => "set",
        Type::SortedSet => "zset",
        Type::Hash => "hash",
        Type::Stream => "stream",
    }
}

fn del(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let mut deleted = 0;
    for key in args.from(1) {
        deleted += i64::from(view.delete(key)?);
    }
    reply.integer(deleted);
    Ok(())
}

fn exists(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let mut found = 0;
    for key in args.from(1) {
        found += i64::from(view.exists(key)?);
    }
    reply.integer(found);
    Ok(())
}

fn type_of(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    reply.status(view.kind(&args[1])?.map_or("none", type_name));
    Ok(())
}

fn touch(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let mut found = 0;
    for key in args.from(1) {
        if view.exists(key)? {
            view.reader().touch(view.database, key)?;
            found += 1;
        }
    }
    reply.integer(found);
    Ok(())
}

/// Renames a key that is there.
fn rename_to(view: &mut View<'_>, from: &[u8], to: &[u8]) -> Done {
    let database = view.database;
    view.transaction()
        .rename((database, from), (database, to))?;
    // In Redis the other key goes before this one takes its place.
    view.notify(class::NEW, "new", to);
    view.notify(class::GENERIC, "rename_from", from);
    view.notify(class::GENERIC, "rename_to", to);
    Ok(())
}

fn rename(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let (from, to) = (&args[1], &args[2]);
    if !view.exists(from)? {
        return Err(CommandError::NoSuchKey);
    }
    if from != to {
        rename_to(view, from, to)?;
    }
    reply.status("OK");
    Ok(())
}

fn renamenx(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let (from, to) = (&args[1], &args[2]);
    if !view.exists(from)? {
        return Err(CommandError::NoSuchKey);
    }
    let is_free = from != to && !view.exists(to)?;
    if is_free {
        rename_to(view, from, to)?;
    }
    reply.integer(i64::from(is_free));
    Ok(())
}

/// A database's number from an argument.
fn database_of(args: &Args<'_>, index: usize, view: &View<'_>) -> Result<usize, CommandError> {
    let number = args.integer_between(index, i32::MIN.into(), i32::MAX.into())?;
    let database = usize::try_from(number).map_err(|_| CommandError::NoSuchDatabase)?;
    if database >= view.services.store.databases() {
        return Err(CommandError::NoSuchDatabase);
    }
    Ok(database)
}

fn copy(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let (mut to_database, mut replaces) = (view.database, false);
    let mut options = args.options(3);
    while !options.is_empty() {
        if options.take("REPLACE") {
            replaces = true;
        } else if options.left() >= 2 && options.take("DB") {
            to_database = database_of(args, options.position(), view)?;
            options.next()?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let (from, to) = ((view.database, &args[1]), (to_database, &args[2]));
    if from == to {
        return Err(SAME_OBJECTS);
    }
    view.notify_misses(&[from.1])?;
    let transaction = view.transaction();
    let copied = transaction.get(from.0, from.1)?.is_some()
        && (replaces || transaction.get(to.0, to.1)?.is_none())
        && transaction.copy(from, to)?;
    if copied {
        view.notify_in(to.0, (class::NEW, "new"), to.1);
        view.notify_in(to.0, (class::GENERIC, "copy_to"), to.1);
    }
    reply.integer(i64::from(copied));
    Ok(())
}

fn move_to(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let to_database = database_of(args, 2, view)?;
    let (from, to) = ((view.database, &args[1]), (to_database, &args[1]));
    if from == to {
        return Err(SAME_OBJECTS);
    }
    let transaction = view.transaction();
    let moved = transaction.get(from.0, from.1)?.is_some()
        && transaction.get(to.0, to.1)?.is_none()
        && transaction.rename(from, to)?;
    if moved {
        view.notify_in(to.0, (class::NEW, "new"), to.1);
        view.notify(class::GENERIC, "move_from", from.1);
        view.notify_in(to.0, (class::GENERIC, "move_to"), to.1);
    }
    reply.integer(i64::from(moved));
    Ok(())
}
