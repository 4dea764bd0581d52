//! Commands that panic, or come into each other's way, for tests alone.

use std::cell::Cell;

use super::args::Args;
use super::command::{Command, Group, Keys, flag};
use super::error::{CommandError, Wait};
use super::view::View;
use crate::resp::reply::Reply;

/// The commands of this family.
pub(super) const COMMANDS: &[Command] = &[
    Command::write("PANIC", 2, Group::Generic, panic_after_write).keys(Keys::FIRST),
    Command::write("PANICGATE", 2, Group::Generic, panic_after_write)
        .flag(flag::EXCLUSIVE)
        .keys(Keys::FIRST),
    Command::write("PANICAGAIN", 2, Group::Generic, panic_the_second_time).keys(Keys::FIRST),
    Command::write("PANICWAIT", 2, Group::Generic, panic_when_there).keys(Keys::FIRST),
    Command::read("PANICREAD", 2, Group::Generic, panic_after_read).keys(Keys::FIRST),
    Command::client("PANICCLIENT", 1, Group::Generic, |_, _, _| {
        panic!("on purpose")
    }),
    Command::write("INTERFERE", 2, Group::Generic, interfere_once).keys(Keys::FIRST),
];

fn panic_after_write(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    view.set_string(&args[1], b"half")?;
    reply.array(2);
    reply.bulk(b"half");
    panic!("on purpose")
}

thread_local! {
    static HAS_RUN: Cell<bool> = const { Cell::new(false) };
    static HAS_INTERFERED: Cell<bool> = const { Cell::new(false) };
}

/// Somebody else sets the key meanwhile, the first time.
fn interfere_once(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    if !HAS_INTERFERED.replace(true) {
        view.services.store.set(&args[1], "10");
    }
    reply.status("OK");
    Ok(())
}

fn panic_the_second_time(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    view.set_string(&args[1], b"once")?;
    assert!(!HAS_RUN.replace(true), "on purpose");
    reply.status("OK");
    Ok(())
}

fn panic_after_read(
    view: &mut View<'_>,
    args: &Args<'_>,
    _reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    view.get(&args[1])?;
    panic!("on purpose")
}

fn panic_when_there(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    assert!(!view.exists(&args[1])?, "on purpose");
    reply.null();
    Err(CommandError::WouldBlock(Box::new(Wait {
        keys: vec![args[1].to_vec()],
        timeout_ms: 0,
        arguments: None,
        group: None,
    })))
}
