//! Hashes.

use super::args::Args;
use super::command::{Command, Group, Keys, flag};
use super::error::CommandError;
use super::sample::{Wanted, below, draw};
use super::scan::{ScanOptions, Walked, parse_cursor, reply_page};
use super::view::View;
use crate::notifications::class;
use crate::resp::extended::Extended;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("HSET", -4, Group::Hash, hset)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "2.0.0",
            "O(N), with N fields",
            "Sets fields of a hash, and counts the new ones.",
        ),
    Command::write("HMSET", -4, Group::Hash, hmset)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "2.0.0",
            "O(N), with N fields",
            "Sets fields of a hash; see HSET.",
        ),
    Command::write("HSETNX", 4, Group::Hash, hsetnx)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "2.0.0",
            "O(1)",
            "Sets a field of a hash if the field is not there.",
        ),
    Command::read("HGET", 3, Group::Hash, hget)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::FAST)
        .doc("2.0.0", "O(1)", "Returns the value of a field of a hash."),
    Command::read("HMGET", -3, Group::Hash, hmget)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::FAST)
        .doc(
            "2.0.0",
            "O(N), with N fields",
            "Returns the values of fields of a hash.",
        ),
    Command::write("HDEL", -3, Group::Hash, hdel)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::FAST)
        .doc("2.0.0", "O(N), with N fields", "Removes fields of a hash."),
    Command::read("HLEN", 2, Group::Hash, hlen)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc("2.0.0", "O(1)", "Returns how many fields a hash has."),
    Command::read("HEXISTS", 3, Group::Hash, hexists)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::FAST)
        .doc("2.0.0", "O(1)", "Says whether a hash has a field."),
    Command::read("HSTRLEN", 3, Group::Hash, hstrlen)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::FAST)
        .doc("3.2.0", "O(1)", "Returns the length of a field's value."),
    Command::read("HKEYS", 2, Group::Hash, hkeys)
        .keys(Keys::FIRST)
        .doc(
            "2.0.0",
            "O(N), with N fields",
            "Returns all fields of a hash.",
        ),
    Command::read("HVALS", 2, Group::Hash, hvals)
        .keys(Keys::FIRST)
        .doc(
            "2.0.0",
            "O(N), with N fields",
            "Returns all values of a hash.",
        ),
    Command::read("HGETALL", 2, Group::Hash, hgetall)
        .keys(Keys::FIRST)
        .doc(
            "2.0.0",
            "O(N), with N fields",
            "Returns all fields and values of a hash.",
        ),
    Command::write("HINCRBY", 4, Group::Hash, hincrby)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "2.0.0",
            "O(1)",
            "Adds a number to the integer value of a field.",
        ),
    Command::write("HINCRBYFLOAT", 4, Group::Hash, hincrbyfloat)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "2.6.0",
            "O(1)",
            "Adds a number to the floating-point value of a field.",
        ),
    Command::read("HRANDFIELD", -2, Group::Hash, hrandfield)
        .keys(Keys::FIRST)
        .doc(
            "6.2.0",
            "O(N), with N fields returned",
            "Returns fields drawn at random.",
        ),
    Command::read("HSCAN", -3, Group::Hash, hscan)
        .keys(Keys::FIRST)
        .doc(
            "2.8.0",
            "O(1) per call",
            "Walks the fields of a hash, some per call, with their values unless NOVALUES is given.",
        ),
];

type Done = Result<(), CommandError>;

/// Sets the fields, and counts those that are new.
fn set_fields(view: &mut View<'_>, args: &Args<'_>, name: &str) -> Result<i64, CommandError> {
    let (pairs, rest) = args.from(2).as_chunks::<2>();
    if !rest.is_empty() {
        return Err(CommandError::Arity(name.into()));
    }
    let mut hash = view.hash_or_new(&args[1])?;
    let is_new = pairs
        .iter()
        .map(|[field, value]| i64::from(hash.insert(field, value)));
    let is_new = is_new.sum();
    view.notify(class::HASH, "hset", &args[1]);
    Ok(is_new)
}

fn hset(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let created = set_fields(view, args, "hset")?;
    reply.integer(created);
    Ok(())
}

fn hmset(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    set_fields(view, args, "hmset")?;
    reply.status("OK");
    Ok(())
}

fn hsetnx(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let (key, field) = (&args[1], &args[2]);
    let is_new = !view.hash(key)?.is_some_and(|hash| hash.contains(field));
    if is_new {
        view.hash_or_new(key)?.insert(field, &args[3]);
        view.notify(class::HASH, "hset", key);
    }
    reply.integer(i64::from(is_new));
    Ok(())
}

fn reply_found(value: Option<&[u8]>, reply: &mut dyn Reply) {
    match value {
        Some(value) => reply.bulk(value),
        None => reply.null(),
    }
}

fn hget(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let hash = view.hash(&args[1])?;
    reply_found(hash.and_then(|hash| hash.get(&args[2])), reply);
    Ok(())
}

fn hmget(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let hash = view.hash(&args[1])?;
    let fields = args.from(2);
    reply.array(fields.len());
    for field in fields {
        reply_found(hash.and_then(|hash| hash.get(field)), reply);
    }
    Ok(())
}

fn hdel(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let mut removed = 0;
    if let Some(mut hash) = view.hash_mut(&args[1])? {
        for field in args.from(2) {
            removed += i64::from(hash.remove(field));
        }
    }
    if removed > 0 {
        view.notify_taken(class::HASH, "hdel", &args[1])?;
    }
    reply.integer(removed);
    Ok(())
}

fn hlen(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    reply.integer(view.hash(&args[1])?.map_or(0, |hash| hash.len()) as i64);
    Ok(())
}

fn hexists(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let hash = view.hash(&args[1])?;
    reply.integer(i64::from(hash.is_some_and(|hash| hash.contains(&args[2]))));
    Ok(())
}

fn hstrlen(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let value = view.hash(&args[1])?.and_then(|hash| hash.get(&args[2]));
    reply.integer(value.map_or(0, <[u8]>::len) as i64);
    Ok(())
}

fn hkeys(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let hash = view.hash(&args[1])?;
    reply.array(hash.map_or(0, |hash| hash.len()));
    hash.into_iter()
        .flat_map(|hash| hash.iter())
        .for_each(|(field, _)| reply.bulk(field));
    Ok(())
}

fn hvals(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let hash = view.hash(&args[1])?;
    reply.array(hash.map_or(0, |hash| hash.len()));
    hash.into_iter()
        .flat_map(|hash| hash.iter())
        .for_each(|(_, value)| reply.bulk(value));
    Ok(())
}

fn hgetall(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let hash = view.hash(&args[1])?;
    reply.map(hash.map_or(0, |hash| hash.len()));
    for (field, value) in hash.into_iter().flat_map(|hash| hash.iter()) {
        reply.bulk(field);
        reply.bulk(value);
    }
    Ok(())
}

fn hincrby(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let increment = args.integer(3)?;
    let (key, field) = (&args[1], &args[2]);
    let before = match view.hash(key)?.and_then(|hash| hash.get(field)) {
        Some(value) => {
            parse_integer(value).ok_or(CommandError::text("ERR hash value is not an integer"))?
        }
        None => 0,
    };
    let after = before
        .checked_add(increment)
        .ok_or(CommandError::Overflow)?;
    let mut digits = itoa::Buffer::new();
    view.hash_or_new(key)?
        .insert_within_deadline(field, digits.format(after).as_bytes());
    view.notify(class::HASH, "hincrby", key);
    reply.integer(after);
    Ok(())
}

fn hincrbyfloat(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let increment = Extended::parse(&args[3]).ok_or(CommandError::NotAFloat)?;
    if increment.is_infinite() {
        return Err(CommandError::text("ERR value is NaN or Infinity"));
    }
    let (key, field) = (&args[1], &args[2]);
    let before = match view.hash(key)?.and_then(|hash| hash.get(field)) {
        Some(value) => {
            let number = Extended::parse(value);
            number.ok_or(CommandError::text("ERR hash value is not a float"))?
        }
        None => Extended::ZERO,
    };
    let text = before
        .checked_add(increment)
        .ok_or(CommandError::NotFinite)?
        .to_text();
    view.hash_or_new(key)?
        .insert_within_deadline(field, text.as_bytes());
    view.notify(class::HASH, "hincrbyfloat", key);
    reply.bulk(text.as_bytes());
    Ok(())
}

fn hrandfield(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    if args.len() == 2 {
        let hash = view.hash(&args[1])?;
        let drawn = hash.and_then(|hash| hash.by_rank(below(view, hash.len())));
        reply_found(drawn.map(|(field, _)| field), reply);
        return Ok(());
    }
    let count = args.integer_between(2, -i64::MAX, i64::MAX)?;
    let with_values = args.is(3, "WITHVALUES");
    if args.len() > 4 || args.len() == 4 && !with_values {
        return Err(CommandError::Syntax);
    }
    if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CommandError::OutOfRange);
    }
    let Some(hash) = view.hash(&args[1])? else {
        reply.array(0);
        return Ok(());
    };
    let ranks = draw(view, hash.len(), Wanted::new(count)?);
    let is_nested = with_values && reply.protocol() == 3;
    reply.array(if with_values && !is_nested {
        2 * ranks.len()
    } else {
        ranks.len()
    });
    for (field, value) in hash.by_ranks(ranks) {
        if is_nested {
            reply.array(2);
        }
        reply.bulk(field);
        if with_values {
            reply.bulk(value);
        }
    }
    Ok(())
}

fn hscan(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let cursor = parse_cursor(&args[2])?;
    let Some(hash) = view.hash(&args[1])? else {
        reply_page(0, [].into_iter(), reply);
        return Ok(());
    };
    let options = ScanOptions::parse(args, 3, Walked::Fields)?;
    let mut found = Vec::new();
    let next = hash.scan(cursor, options.count, |field, value| {
        if options.matches(field) {
            found.push(field);
            found.extend((!options.is_without_values).then_some(value));
        }
    });
    reply_page(next, found.into_iter(), reply);
    Ok(())
}
