//! Strings.

use darter_storage::Deadline;

use super::args::Args;
use super::command::{Command, Group, Keys, flag};
use super::error::CommandError;
use super::view::View;
use crate::resp::number::parse_integer;
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
    Command::write("INCR", 2, Group::String, incr)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc("1.0.0", "O(1)", "Adds one to the integer value of a key."),
];

fn get(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    match view.string(&args[1])? {
        Some(value) => super::view::write_string(value, reply),
        None => reply.null(),
    }
    Ok(())
}

fn set(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    view.set_string(&args[1], &args[2])?;
    reply.status("OK");
    Ok(())
}

fn incr(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    let key = &args[1];
    let before = match view.string(key)? {
        Some(value) => parse_integer(&value.to_cow()).ok_or(CommandError::NotAnInteger)?,
        None => 0,
    };
    let after = before.checked_add(1).ok_or(CommandError::Overflow)?;
    let mut digits = itoa::Buffer::new();
    let value = darter_storage::StringValue::new(digits.format(after).as_bytes());
    view.set(key, darter_storage::Value::String(value), Deadline::Keep)?;
    reply.integer(after);
    Ok(())
}
