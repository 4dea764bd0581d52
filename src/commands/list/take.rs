//! Commands that take elements from lists, at once or as soon as there are some.

use super::End;
use crate::commands::args::Args;
use crate::commands::error::CommandError;
use crate::commands::taking::{Several, several, timeout_ms, would_block};
use crate::commands::view::View;
use crate::notifications::class;
use crate::resp::reply::Reply;

/// Takes up to `count` elements and writes them as an array. `false`: there is no list.
fn take(
    view: &mut View<'_>,
    key: &[u8],
    (end, count): (End, usize),
    reply: &mut dyn Reply,
) -> Result<bool, CommandError> {
    let Some(mut list) = view.list_mut(key)? else {
        return Ok(false);
    };
    let length = list.as_ref().len();
    let count = count.min(length);
    reply.array(count);
    if count == 0 {
        return Ok(true);
    }
    let removed = match end {
        End::Left => {
            let elements = list.as_ref().iter_from(0);
            elements.take(count).for_each(|element| reply.bulk(element));
            0..count
        }
        End::Right => {
            let elements = list.as_ref().iter_back_from(length - 1);
            elements.take(count).for_each(|element| reply.bulk(element));
            length - count..length
        }
    };
    list.remove_range(removed.start, removed.end);
    view.notify_taken(class::LIST, end.popped(), key)?;
    Ok(true)
}

fn pop(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    (end, name): (End, &str),
) -> Result<(), CommandError> {
    if args.len() > 3 {
        return Err(CommandError::Arity(name.into()));
    }
    let key = &args[1];
    if args.len() == 3 {
        let count = args.integer(2).ok().and_then(|n| usize::try_from(n).ok());
        let count = count.ok_or(CommandError::NotPositive)?;
        if !take(view, key, (end, count), reply)? {
            reply.null_array();
        }
        return Ok(());
    }
    match pop_one(view, key, end)? {
        Some(element) => reply.bulk(&element),
        None => reply.null(),
    }
    Ok(())
}

fn pop_one(view: &mut View<'_>, key: &[u8], end: End) -> Result<Option<Vec<u8>>, CommandError> {
    let element = view.list_mut(key)?.and_then(|mut list| end.pop(&mut list));
    if element.is_some() {
        view.notify_taken(class::LIST, end.popped(), key)?;
    }
    Ok(element)
}

pub(super) fn lpop(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    pop(view, args, reply, (End::Left, "lpop"))
}

pub(super) fn rpop(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    pop(view, args, reply, (End::Right, "rpop"))
}

/// Takes from the first list that is there and writes its key and the elements.
fn take_from_first(
    view: &mut View<'_>,
    wanted: &Several<'_>,
    reply: &mut dyn Reply,
) -> Result<bool, CommandError> {
    let end = if wanted.is_first_word {
        End::Left
    } else {
        End::Right
    };
    for key in wanted.keys {
        if view.list(key)?.is_some() {
            reply.array(2);
            reply.bulk(key);
            return take(view, key, (end, wanted.count), reply);
        }
    }
    reply.null_array();
    Ok(false)
}

pub(super) fn lmpop(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let wanted = several(args, 1, ["LEFT", "RIGHT"])?;
    take_from_first(view, &wanted, reply)?;
    Ok(())
}

pub(super) fn blmpop(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let wanted = several(args, 2, ["LEFT", "RIGHT"])?;
    let timeout_ms = timeout_ms(&args[1])?;
    if take_from_first(view, &wanted, reply)? {
        return Ok(());
    }
    Err(would_block(wanted.keys, timeout_ms))
}

fn blocking_pop(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    end: End,
) -> Result<(), CommandError> {
    let last = args.len() - 1;
    let timeout_ms = timeout_ms(&args[last])?;
    let keys = &args.all()[1..last];
    for key in keys {
        if let Some(element) = pop_one(view, key, end)? {
            reply.array(2);
            reply.bulk(key);
            reply.bulk(&element);
            return Ok(());
        }
    }
    reply.null_array();
    Err(would_block(keys, timeout_ms))
}

pub(super) fn blpop(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    blocking_pop(view, args, reply, End::Left)
}

pub(super) fn brpop(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    blocking_pop(view, args, reply, End::Right)
}
