//! Strings as a whole and in part. Counting is in `counter`, LCS in `lcs`.

use darter_storage::{Deadline, StringValue, Value};

use super::args::Args;
use super::command::{Command, Group, Keys, flag};
use super::error::CommandError;
use super::set_options::{Expiry, Options, until_ms};
use super::view::{View, write_string};
use crate::notifications::class;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::read("GET", 2, Group::String, get)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc("1.0.0", "O(1)", "Returns the string value of a key."),
    Command::write("SET", -3, Group::String, set)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM)
        .doc(
            "1.0.0",
            "O(1)",
            "Sets the string value of a key, whatever it holds.",
        ),
    Command::write("SETNX", 3, Group::String, setnx)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "1.0.0",
            "O(1)",
            "Sets the string value of a key only if the key is not there.",
        ),
    Command::write("SETEX", 4, Group::String, setex)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM)
        .doc(
            "2.0.0",
            "O(1)",
            "Sets the string value of a key and its time to live in seconds.",
        ),
    Command::write("PSETEX", 4, Group::String, psetex)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM)
        .doc(
            "2.6.0",
            "O(1)",
            "Sets the string value of a key and its time to live in milliseconds.",
        ),
    Command::write("GETSET", 3, Group::String, getset)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "1.0.0",
            "O(1)",
            "Sets the string value of a key and returns the one before.",
        ),
    Command::write("GETDEL", 2, Group::String, getdel)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "6.2.0",
            "O(1)",
            "Returns the string value of a key and deletes the key.",
        ),
    Command::write("GETEX", -2, Group::String, getex)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "6.2.0",
            "O(1)",
            "Returns the string value of a key and changes when it expires.",
        ),
    Command::write("APPEND", 3, Group::String, append)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "2.0.0",
            "O(1)",
            "Puts bytes behind a string; makes it if the key is not there.",
        ),
    Command::read("STRLEN", 2, Group::String, strlen)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc("2.2.0", "O(1)", "Returns the length of a string."),
    Command::read("GETRANGE", 4, Group::String, getrange)
        .keys(Keys::FIRST)
        .doc(
            "2.4.0",
            "O(N), with N bytes returned",
            "Returns a part of a string.",
        ),
    Command::read("SUBSTR", 4, Group::String, getrange)
        .keys(Keys::FIRST)
        .doc(
            "1.0.0",
            "O(N), with N bytes returned",
            "Returns a part of a string; see GETRANGE.",
        ),
    Command::write("SETRANGE", 4, Group::String, setrange)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM)
        .doc(
            "2.2.0",
            "O(N), with N bytes written",
            "Overwrites a part of a string.",
        ),
    Command::read("MGET", -2, Group::String, mget)
        .keys(Keys::ALL)
        .flag(flag::FAST)
        .doc(
            "1.0.0",
            "O(N), with N keys",
            "Returns the string values of keys.",
        ),
    Command::write("MSET", -3, Group::String, mset)
        .keys(Keys::Range {
            first: 1,
            last: -1,
            step: 2,
        })
        .flag(flag::DENYOOM)
        .doc(
            "1.0.1",
            "O(N), with N keys",
            "Sets the string values of keys.",
        ),
    Command::write("MSETNX", -3, Group::String, msetnx)
        .keys(Keys::Range {
            first: 1,
            last: -1,
            step: 2,
        })
        .flag(flag::DENYOOM)
        .doc(
            "1.0.1",
            "O(N), with N keys",
            "Sets the string values of keys if none is there.",
        ),
];

type Done = Result<(), CommandError>;

/// Replies with the string of a key, or null.
fn reply_value(view: &View<'_>, key: &[u8], reply: &mut dyn Reply) -> Done {
    match view.string(key)? {
        Some(value) => write_string(value, reply),
        None => reply.null(),
    }
    Ok(())
}

fn get(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    match view.string(&args[1])? {
        Some(value) if reply.defers(value.len()) => {}
        Some(value) => write_string(value, reply),
        None => reply.null(),
    }
    Ok(())
}

fn set(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    if args.len() == 3 {
        view.set_string(&args[1], &args[2])?;
        view.notify(class::STRING, "set", &args[1]);
        reply.status("OK");
        return Ok(());
    }
    set_with_options(view, args, reply)
}

fn set_with_options(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let options = Options::of_set(args)?;
    let deadline = options.deadline(view, "set")?;
    let key = &args[1];
    if options.get {
        view.notify_misses(&[key])?;
        reply_value(view, key, reply)?;
    }
    let may_set = match options.condition {
        Some(condition) => condition.holds(view, key)?,
        None => options.found.holds(view, key)?,
    };
    if may_set {
        put(view, key, &args[2], deadline)?;
    }
    match (options.get, may_set) {
        (true, _) => {}
        (false, true) => reply.status("OK"),
        (false, false) => reply.null(),
    }
    Ok(())
}

/// Puts a string in a key; under a deadline that has passed, that is to delete the key: it expires at
/// once.
pub(super) fn put(view: &mut View<'_>, key: &[u8], bytes: &[u8], deadline: Deadline) -> Done {
    let has_passed = matches!(deadline, Deadline::At(at_ms) if at_ms <= view.now_ms());
    if has_passed {
        let database = view.database;
        view.notify_new(database, key)?;
        view.transaction().delete(database, key)?;
    } else {
        view.set(key, Value::String(StringValue::new(bytes)), deadline)?;
    }
    view.notify(class::STRING, "set", key);
    if matches!(deadline, Deadline::At(_)) {
        view.notify(class::GENERIC, "expire", key);
    }
    if has_passed {
        view.notify(class::EXPIRED, "expired", key);
    }
    Ok(())
}

fn setnx(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let is_new = !view.exists(&args[1])?;
    if is_new {
        view.set_string(&args[1], &args[2])?;
        view.notify(class::STRING, "set", &args[1]);
    }
    reply.integer(i64::from(is_new));
    Ok(())
}

fn setex(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let at_ms = until_ms(&args[2], "EX", view.now_ms(), "setex")?;
    put(view, &args[1], &args[3], Deadline::At(at_ms))?;
    reply.status("OK");
    Ok(())
}

fn psetex(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let at_ms = until_ms(&args[2], "PX", view.now_ms(), "psetex")?;
    put(view, &args[1], &args[3], Deadline::At(at_ms))?;
    reply.status("OK");
    Ok(())
}

fn getset(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    view.notify_misses(&[&args[1]])?;
    reply_value(view, &args[1], reply)?;
    view.set_string(&args[1], &args[2])?;
    view.notify(class::STRING, "set", &args[1]);
    Ok(())
}

fn getdel(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    view.notify_misses(&[&args[1]])?;
    reply_value(view, &args[1], reply)?;
    view.delete(&args[1])?;
    Ok(())
}

fn getex(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let options = Options::of_getex(args)?;
    let key = &args[1];
    view.notify_misses(&[key])?;
    if view.string(key)?.is_none() {
        reply.null();
        return Ok(());
    }
    let deadline_ms = match options.expiry {
        Expiry::None | Expiry::Keep => None,
        Expiry::Persist => {
            let found = view.get_with_deadline(key)?;
            found.and_then(|(_, before_ms)| (before_ms != 0).then_some(0))
        }
        Expiry::In { value, form } => Some(until_ms(value, form, view.now_ms(), "getex")?),
    };
    reply_value(view, key, reply)?;
    if let Some(deadline_ms) = deadline_ms {
        view.set_deadline(key, deadline_ms)?;
    }
    Ok(())
}

/// Whether a string of `before` bytes may become one that ends with `more` bytes from `offset` on.
fn check_length(view: &View<'_>, before: usize, offset: usize, more: usize) -> Done {
    let after = offset.checked_add(more);
    let after = after.filter(|after| *after <= view.services.config.bulk_bytes_max());
    let after = after.ok_or(CommandError::StringTooLong)?;
    view.check_room(after.saturating_sub(before))
}

fn append(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let (key, bytes) = (&args[1], &args[2]);
    let Some(before) = view.string(key)?.map(|value| value.len()) else {
        view.set_string(key, bytes)?;
        view.notify(class::STRING, "append", key);
        reply.integer(bytes.len() as i64);
        return Ok(());
    };
    check_length(view, before, before, bytes.len())?;
    view.string_or_new(key)?.append(bytes);
    view.notify(class::STRING, "append", key);
    reply.integer((before + bytes.len()) as i64);
    Ok(())
}

fn strlen(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let length = view.string(&args[1])?.map_or(0, |value| value.len());
    reply.integer(length as i64);
    Ok(())
}

/// The bytes from `start` to `end` (both included, negative from the back) of `length` ones, as a
/// half-open range.
fn clamp(start: i64, end: i64, length: usize) -> Option<(usize, usize)> {
    if start < 0 && end < 0 && start > end {
        return None;
    }
    let length = length as i64;
    let from_front = |index: i64| {
        if index < 0 {
            index.saturating_add(length).max(0)
        } else {
            index
        }
    };
    let (start, end) = (from_front(start), from_front(end).min(length - 1));
    (start <= end).then(|| (start as usize, end as usize + 1))
}

fn getrange(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let (start, end) = (args.integer(2)?, args.integer(3)?);
    let Some(value) = view.string(&args[1])? else {
        reply.bulk(b"");
        return Ok(());
    };
    let (from, to) = clamp(start, end, value.len()).unwrap_or_default();
    view.check_room_to_read(to - from)?;
    reply.bulk(&value.range(from, to));
    Ok(())
}

fn setrange(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let (key, bytes) = (&args[1], &args[3]);
    let offset = usize::try_from(args.integer(2)?)
        .map_err(|_| CommandError::text("ERR offset is out of range"))?;
    let before = view.string(key)?.map_or(0, |value| value.len());
    if bytes.is_empty() {
        reply.integer(before as i64);
        return Ok(());
    }
    check_length(view, before, offset, bytes.len())?;
    view.string_or_new(key)?.write_at(offset, bytes)?;
    view.notify(class::STRING, "setrange", key);
    reply.integer(before.max(offset + bytes.len()) as i64);
    Ok(())
}

fn mget(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let keys = args.from(1);
    reply.array(keys.len());
    for key in keys {
        match view.string(key) {
            Ok(Some(value)) => write_string(value, reply),
            Ok(None) | Err(CommandError::WrongType) => reply.null(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Keys and values in turn.
fn pairs<'a>(args: &Args<'a>, name: &str) -> Result<&'a [[&'a [u8]; 2]], CommandError> {
    let (pairs, rest) = args.from(1).as_chunks();
    if rest.is_empty() {
        Ok(pairs)
    } else {
        Err(CommandError::Arity(name.into()))
    }
}

fn mset(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    for [key, value] in pairs(args, "mset")? {
        view.set_string(key, value)?;
        view.notify(class::STRING, "set", key);
    }
    reply.status("OK");
    Ok(())
}

fn msetnx(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let pairs = pairs(args, "msetnx")?;
    for [key, _] in pairs {
        if view.exists(key)? {
            reply.integer(0);
            return Ok(());
        }
    }
    for [key, value] in pairs {
        view.set_string(key, value)?;
        view.notify(class::STRING, "set", key);
    }
    reply.integer(1);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::clamp;

    #[test]
    fn ranges_count_from_both_ends() {
        for (start, end, length, expected) in [
            (0, -1, 5, Some((0, 5))),
            (-3, -1, 5, Some((2, 5))),
            (3, 1, 5, None),
            (-1, -3, 5, None),
            (0, 100, 5, Some((0, 5))),
            (5, 9, 5, None),
            (-100, 0, 5, Some((0, 1))),
            (0, 0, 0, None),
            (i64::MIN, i64::MAX, 3, Some((0, 3))),
            (0, -100, 5, Some((0, 1))),
        ] {
            assert_eq!(
                clamp(start, end, length),
                expected,
                "{start} {end} {length}"
            );
        }
    }
}
