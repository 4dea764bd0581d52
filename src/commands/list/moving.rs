//! Commands that move an element from list to list, at once or as soon as there is one.

use super::End;
use crate::commands::args::Args;
use crate::commands::error::CommandError;
use crate::commands::taking::{timeout_ms, would_block};
use crate::commands::view::View;
use crate::notifications::class;
use crate::resp::reply::Reply;

/// Moves an element from an end of the first argument's list to an end of the second's.
fn move_element(
    view: &mut View<'_>,
    args: &Args<'_>,
    (from, to): (End, End),
) -> Result<Option<Vec<u8>>, CommandError> {
    let (source, destination) = (&args[1], &args[2]);
    if view.list(source)?.is_none() {
        return Ok(None);
    }
    // Nothing is taken that cannot be put.
    view.list(destination)?;
    let Some(mut list) = view.list_mut(source)? else {
        return Ok(None);
    };
    let Some(element) = from.pop(&mut list) else {
        return Ok(None);
    };
    if source == destination {
        // Through the same value, which thus is never seen empty and keeps its deadline.
        to.push(&mut list, &element);
    } else {
        to.push(&mut view.list_or_new(destination)?, &element);
    }
    view.notify(class::LIST, to.pushed(), destination);
    view.notify_taken(class::LIST, from.popped(), source)?;
    Ok(Some(element))
}

fn move_at_once(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    ends: (End, End),
) -> Result<(), CommandError> {
    match move_element(view, args, ends)? {
        Some(element) => reply.bulk(&element),
        None => reply.null(),
    }
    Ok(())
}

fn move_or_wait(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    (ends, timeout_ms): ((End, End), u64),
) -> Result<(), CommandError> {
    match move_element(view, args, ends)? {
        Some(element) => {
            reply.bulk(&element);
            Ok(())
        }
        None => {
            // For one that cannot wait; who has waited in vain gets a null array.
            reply.null();
            Err(would_block(&[args.at(1)], timeout_ms))
        }
    }
}

pub(super) fn lmove(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let ends = (End::read(args, 3)?, End::read(args, 4)?);
    move_at_once(view, args, reply, ends)
}

pub(super) fn rpoplpush(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    move_at_once(view, args, reply, (End::Right, End::Left))
}

pub(super) fn blmove(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let ends = (End::read(args, 3)?, End::read(args, 4)?);
    let timeout_ms = timeout_ms(&args[5])?;
    move_or_wait(view, args, reply, (ends, timeout_ms))
}

pub(super) fn brpoplpush(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let timeout_ms = timeout_ms(&args[3])?;
    move_or_wait(view, args, reply, ((End::Right, End::Left), timeout_ms))
}
