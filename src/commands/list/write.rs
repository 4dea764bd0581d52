//! Commands that change one list and take nothing from it.

use super::End;
use crate::commands::args::Args;
use crate::commands::error::CommandError;
use crate::commands::ranges::{position, positions};
use crate::commands::view::View;
use crate::notifications::class;
use crate::resp::reply::Reply;

fn push(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    (end, makes_list): (End, bool),
) -> Result<(), CommandError> {
    let key = &args[1];
    if !makes_list && view.list(key)?.is_none() {
        reply.integer(0);
        return Ok(());
    }
    let mut list = view.list_or_new(key)?;
    for element in args.from(2) {
        end.push(&mut list, element);
    }
    reply.integer(list.as_ref().len() as i64);
    view.notify(class::LIST, end.pushed(), key);
    Ok(())
}

pub(super) fn lpush(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    push(view, args, reply, (End::Left, true))
}

pub(super) fn rpush(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    push(view, args, reply, (End::Right, true))
}

pub(super) fn lpushx(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    push(view, args, reply, (End::Left, false))
}

pub(super) fn rpushx(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    push(view, args, reply, (End::Right, false))
}

pub(super) fn lset(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let key = &args[1];
    let length = view.list(key)?.ok_or(CommandError::NoSuchKey)?.len();
    let index = position(args.integer(2)?, length).ok_or(CommandError::IndexOutOfRange)?;
    if let Some(mut list) = view.list_mut(key)? {
        list.set(index, &args[3]);
    }
    view.notify(class::LIST, "lset", key);
    reply.status("OK");
    Ok(())
}

pub(super) fn linsert(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let is_after = args.is(2, "AFTER");
    if !is_after && !args.is(2, "BEFORE") {
        return Err(CommandError::Syntax);
    }
    let key = &args[1];
    let Some(list) = view.list(key)? else {
        reply.integer(0);
        return Ok(());
    };
    let pivot = list.iter_from(0).position(|element| *element == args[3]);
    match (pivot, view.list_mut(key)?) {
        (Some(pivot), Some(mut list)) => {
            list.insert(pivot + usize::from(is_after), &args[4]);
            reply.integer(list.as_ref().len() as i64);
            view.notify(class::LIST, "linsert", key);
        }
        _ => reply.integer(-1),
    }
    Ok(())
}

pub(super) fn lrem(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let count = args.integer(2)?;
    if count == i64::MIN {
        return Err(CommandError::text(
            "ERR value is out of range, value must between -9223372036854775807 and \
             9223372036854775807",
        ));
    }
    let key = &args[1];
    let Some(list) = view.list(key)? else {
        reply.integer(0);
        return Ok(());
    };
    let wanted = &args[3];
    let most = match usize::try_from(count.unsigned_abs()) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(most) => most,
    };
    let is_wanted = |(_, element): &(usize, &[u8])| *element == wanted;
    // From the last on, so that what is removed does not move what is still to be.
    let mut found: Vec<usize> = if count < 0 {
        let last = list.len().saturating_sub(1);
        let backward = list.iter_back_from(last).enumerate().filter(is_wanted);
        backward.take(most).map(|(at, _)| last - at).collect()
    } else {
        let forward = list.iter_from(0).enumerate().filter(is_wanted);
        forward.take(most).map(|(at, _)| at).collect()
    };
    found.sort_unstable_by(|one, other| other.cmp(one));
    if !found.is_empty()
        && let Some(mut list) = view.list_mut(key)?
    {
        for at in &found {
            list.remove_range(*at, at + 1);
        }
    }
    if !found.is_empty() {
        view.notify_taken(class::LIST, "lrem", key)?;
    }
    reply.integer(found.len() as i64);
    Ok(())
}

pub(super) fn ltrim(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let (first, last) = (args.integer(2)?, args.integer(3)?);
    if let Some(mut list) = view.list_mut(&args[1])? {
        let length = list.as_ref().len();
        let kept = positions(first, last, length);
        list.remove_range(kept.end, length);
        list.remove_range(0, kept.start);
        view.notify_taken(class::LIST, "ltrim", &args[1])?;
    }
    reply.status("OK");
    Ok(())
}
