//! Strings that are changed only if they are what somebody takes them for: DELEX, DIGEST and MSETEX of
//! Redis 8.4, DELIFEQ of Valkey 9. SET's conditions are in `set_options`.

use super::args::Args;
use super::command::{Command, Group, Keys, flag};
use super::error::CommandError;
use super::set_options::{Condition, Options, digest};
use super::string::put;
use super::view::View;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("DELEX", -2, Group::String, delex)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "8.4.0",
            "O(N), with N bytes that are compared",
            "Deletes a key if its string, or the digest of it, is a given one or another.",
        ),
    Command::read("DIGEST", 2, Group::String, digest_of)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "8.4.0",
            "O(N), with N bytes",
            "Returns the digest of a string (XXH3, 64 bits) in hexadecimal digits.",
        ),
    Command::write("MSETEX", -4, Group::String, msetex)
        .keys(Keys::Custom(msetex_keys))
        .flag(flag::DENYOOM | flag::MOVABLE_KEYS)
        .doc(
            "8.4.0",
            "O(N), with N keys",
            "Sets the string values of keys with one time to live, if all or none is there.",
        ),
    Command::write("DELIFEQ", 3, Group::String, delifeq)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "9.0.0",
            "O(N), with N bytes that are compared",
            "Deletes a key if its string is a given one.",
        ),
];

/// Where the keys and values of MSETEX begin.
const PAIRS_BEGIN: usize = 2;

type Done = Result<(), CommandError>;

fn delex(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let key = &args[1];
    let mut walk = args.options(2);
    let condition = Condition::take(&mut walk)?;
    if !walk.is_empty() {
        return Err(CommandError::Syntax);
    }
    let may_delete = match condition {
        Some(condition) => view.exists(key)? && condition.holds(view, key)?,
        None => true,
    };
    let is_deleted = may_delete && view.delete(key)?;
    reply.integer(i64::from(is_deleted));
    Ok(())
}

fn delifeq(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let key = &args[1];
    let is_same = Condition::equal(&args[2]).holds(view, key)?;
    if is_same {
        view.delete(key)?;
    }
    reply.integer(i64::from(is_same));
    Ok(())
}

fn digest_of(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    match view.string(&args[1])? {
        Some(value) => {
            view.check_room_to_read(value.len())?;
            reply.bulk(digest(&value.range(0, value.len())).as_bytes());
        }
        None => reply.null(),
    }
    Ok(())
}

/// Where the keys and values of MSETEX end.
fn msetex_end(args: &Args<'_>) -> Result<usize, CommandError> {
    let keys = parse_integer(&args[1]).filter(|keys| (1..=i64::from(i32::MAX)).contains(keys));
    let keys = keys.ok_or(CommandError::text("ERR invalid numkeys value"))? as usize;
    let end = PAIRS_BEGIN + 2 * keys;
    if end > args.len() {
        return Err(CommandError::text("ERR wrong number of key-value pairs"));
    }
    Ok(end)
}

fn msetex_keys(args: &Args<'_>) -> Option<Vec<usize>> {
    args.get(1)?;
    let end = msetex_end(args).ok()?;
    Some((PAIRS_BEGIN..end).step_by(2).collect())
}

fn msetex(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let end = msetex_end(args)?;
    let options = Options::of_msetex(args, end)?;
    let deadline = options.deadline(view, "msetex")?;
    let (pairs, _) = args.all()[PAIRS_BEGIN..end].as_chunks::<2>();
    for [key, _] in pairs {
        if !options.found.holds(view, key)? {
            reply.integer(0);
            return Ok(());
        }
    }
    for [key, value] in pairs {
        put(view, key, value, deadline)?;
    }
    reply.integer(1);
    Ok(())
}
