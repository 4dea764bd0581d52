//! Commands that take the lowest or the highest elements, at once or as soon as there are some.

use super::bounds::visit;
use super::elements::Elements;
use crate::commands::args::Args;
use crate::commands::error::CommandError;
use crate::commands::taking::{Several, several, timeout_ms, would_block};
use crate::commands::view::View;
use crate::notifications::class;
use crate::resp::reply::Reply;

/// One of the two ends of a sorted set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Lowest,
    Highest,
}

/// Takes up to `count` elements, each written after `begin` has been told how many. `false`:
/// there is no sorted set.
fn take<'r>(
    view: &mut View<'_>,
    key: &[u8],
    (end, count): (End, usize),
    begin: impl FnOnce(usize) -> Elements<'r>,
) -> Result<bool, CommandError> {
    let Some(mut set) = view.sorted_set_mut(key)? else {
        return Ok(false);
    };
    let length = set.as_ref().len();
    let count = count.min(length);
    let ranks = match end {
        End::Lowest => 0..count,
        End::Highest => length - count..length,
    };
    let mut elements = begin(count);
    visit(
        set.as_ref(),
        ranks.clone(),
        end == End::Highest,
        |element| elements.write(element),
    );
    set.remove_ranks(ranks.start, ranks.end);
    if count > 0 {
        let event = match end {
            End::Lowest => "zpopmin",
            End::Highest => "zpopmax",
        };
        view.notify_taken(class::SORTED_SET, event, key)?;
    }
    Ok(true)
}

/// ZPOPMIN and ZPOPMAX.
pub(super) fn pop(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    end: End,
) -> Result<(), CommandError> {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let with_count = args.len() == 3;
    let count = if with_count {
        let count = args.integer(2).ok().and_then(|n| usize::try_from(n).ok());
        count.ok_or(CommandError::NotPositive)?
    } else {
        1
    };
    if view.sorted_set(&args[1])?.is_none() {
        reply.array(0);
        return Ok(());
    }
    take(view, &args[1], (end, count), |count| {
        if with_count {
            Elements::begin(reply, count, true)
        } else {
            Elements::begin_flat(reply, count)
        }
    })?;
    Ok(())
}

/// Takes from the first sorted set that is there and writes its key and the elements.
fn take_from_first(
    view: &mut View<'_>,
    wanted: &Several<'_>,
    reply: &mut dyn Reply,
) -> Result<bool, CommandError> {
    let end = if wanted.is_first_word {
        End::Lowest
    } else {
        End::Highest
    };
    for key in wanted.keys {
        if view.sorted_set(key)?.is_some() {
            reply.array(2);
            reply.bulk(key);
            return take(view, key, (end, wanted.count), |count| {
                Elements::begin_pairs(reply, count)
            });
        }
    }
    reply.null_array();
    Ok(false)
}

pub(super) fn zmpop(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let wanted = several(args, 1, ["MIN", "MAX"])?;
    take_from_first(view, &wanted, reply)?;
    Ok(())
}

pub(super) fn bzmpop(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let wanted = several(args, 2, ["MIN", "MAX"])?;
    let timeout_ms = timeout_ms(&args[1])?;
    if take_from_first(view, &wanted, reply)? {
        return Ok(());
    }
    Err(would_block(wanted.keys, timeout_ms))
}

/// BZPOPMIN and BZPOPMAX.
pub(super) fn blocking_pop(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    end: End,
) -> Result<(), CommandError> {
    let last = args.len() - 1;
    let timeout_ms = timeout_ms(&args[last])?;
    let keys = &args.all()[1..last];
    for key in keys {
        if view.sorted_set(key)?.is_some() {
            take(view, key, (end, 1), |_| Elements::begin_keyed(reply, key))?;
            return Ok(());
        }
    }
    reply.null_array();
    Err(would_block(keys, timeout_ms))
}
