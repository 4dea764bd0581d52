//! Strings that are numbers.

use darter_storage::{Deadline, StringValue, Value};

use super::args::Args;
use super::command::{Command, Group, Keys, flag};
use super::error::CommandError;
use super::view::View;
use crate::notifications::class;
use crate::resp::extended::Extended;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("INCR", 2, Group::String, incr)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc("1.0.0", "O(1)", "Adds one to the integer value of a key."),
    Command::write("DECR", 2, Group::String, decr)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "1.0.0",
            "O(1)",
            "Subtracts one from the integer value of a key.",
        ),
    Command::write("INCRBY", 3, Group::String, incrby)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "1.0.0",
            "O(1)",
            "Adds a number to the integer value of a key.",
        ),
    Command::write("DECRBY", 3, Group::String, decrby)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "1.0.0",
            "O(1)",
            "Subtracts a number from the integer value of a key.",
        ),
    Command::write("INCRBYFLOAT", 3, Group::String, incrbyfloat)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "2.6.0",
            "O(1)",
            "Adds a number to the floating-point value of a key.",
        ),
];

type Done = Result<(), CommandError>;

fn add(view: &mut View<'_>, key: &[u8], increment: i64, reply: &mut dyn Reply) -> Done {
    let before = match view.string(key)? {
        Some(value) => {
            let digits = value.as_slice().and_then(parse_integer);
            digits.ok_or(CommandError::NotAnInteger)?
        }
        None => 0,
    };
    let after = before
        .checked_add(increment)
        .ok_or(CommandError::Overflow)?;
    let mut digits = itoa::Buffer::new();
    let value = StringValue::new(digits.format(after).as_bytes());
    view.set(key, Value::String(value), Deadline::Keep)?;
    view.notify(class::STRING, "incrby", key);
    reply.integer(after);
    Ok(())
}

fn incr(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    add(view, &args[1], 1, reply)
}

fn decr(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    add(view, &args[1], -1, reply)
}

fn incrby(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    add(view, &args[1], args.integer(2)?, reply)
}

fn decrby(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let decrement = args.integer(2)?;
    let increment = decrement
        .checked_neg()
        .ok_or(CommandError::text("ERR decrement would overflow"))?;
    add(view, &args[1], increment, reply)
}

fn incrbyfloat(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let key = &args[1];
    let before = match view.string(key)? {
        Some(value) => {
            let number = value.as_slice().and_then(Extended::parse);
            number.ok_or(CommandError::NotAFloat)?
        }
        None => Extended::ZERO,
    };
    let increment = Extended::parse(&args[2]).ok_or(CommandError::NotAFloat)?;
    let text = before
        .checked_add(increment)
        .ok_or(CommandError::NotFinite)?
        .to_text();
    view.set(
        key,
        Value::String(StringValue::new(text.as_bytes())),
        Deadline::Keep,
    )?;
    view.notify(class::STRING, "incrbyfloat", key);
    reply.bulk(text.as_bytes());
    Ok(())
}
