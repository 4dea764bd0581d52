//! Commands on a stretch of a sorted set: to return, to store, to count or to remove it.

use std::ops::Range;

use darter_storage::{SortedSetRef, SortedSetValue};

use super::algebra::put_whole;
use super::bounds::{Bounds, By, visit};
use super::elements::Elements;
use crate::commands::args::Args;
use crate::commands::error::CommandError;
use crate::commands::view::View;
use crate::notifications::class;
use crate::resp::reply::Reply;

/// What an element takes at the least.
const ELEMENT_BYTES_MIN: usize = 64;

/// Which options a range command takes, as those that it does not take are given by its name.
pub(super) struct Form {
    /// Where its bounds are.
    pub(super) bounds_at: usize,
    /// What its bounds are; `None`: as its options say.
    pub(super) by: Option<By>,
    /// Whether it starts at the highest; `None`: as its options say.
    pub(super) is_reverse: Option<bool>,
    pub(super) takes_scores: bool,
}

/// What a range command is asked for.
struct Query<'a> {
    bounds: Bounds<'a>,
    is_reverse: bool,
    with_scores: bool,
    offset: i64,
    /// Negative: no limit.
    limit: i64,
}

impl<'a> Query<'a> {
    fn read(args: &Args<'a>, form: &Form) -> Result<Query<'a>, CommandError> {
        let (mut by, mut is_reverse) = (form.by, form.is_reverse);
        let (mut with_scores, mut offset, mut limit) = (false, 0, -1);
        let mut options = args.options(form.bounds_at + 2);
        while !options.is_empty() {
            if form.takes_scores && options.take("WITHSCORES") {
                with_scores = true;
            } else if options.left() > 2 && options.take("LIMIT") {
                (offset, limit) = (options.integer()?, options.integer()?);
            } else if is_reverse.is_none() && options.take("REV") {
                is_reverse = Some(true);
            } else if by.is_none() && options.take("BYLEX") {
                by = Some(By::Member);
            } else if by.is_none() && options.take("BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let by = by.unwrap_or(By::Rank);
        let is_reverse = is_reverse.unwrap_or(false);
        if limit != -1 && by == By::Rank {
            return Err(CommandError::text(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE \
                 or BYLEX",
            ));
        }
        if with_scores && by == By::Member {
            return Err(CommandError::text(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        let (mut low, mut high) = (args.at(form.bounds_at), args.at(form.bounds_at + 1));
        if is_reverse && by != By::Rank {
            (low, high) = (high, low);
        }
        Ok(Query {
            bounds: Bounds::read(by, low, high)?,
            is_reverse,
            with_scores,
            offset,
            limit,
        })
    }

    fn ranks(&self, set: SortedSetRef<'_>) -> Range<usize> {
        let range = self.bounds.ranks(set, self.is_reverse);
        let length = range.len();
        // A negative offset skips everything.
        let skipped = usize::try_from(self.offset).unwrap_or(length).min(length);
        let count = usize::try_from(self.limit)
            .unwrap_or(usize::MAX)
            .min(length - skipped);
        if self.is_reverse {
            let end = range.end - skipped;
            end - count..end
        } else {
            let start = range.start + skipped;
            start..start + count
        }
    }
}

/// ZRANGE and its older forms.
pub(super) fn range(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    form: &Form,
) -> Result<(), CommandError> {
    let query = Query::read(args, form)?;
    let Some(set) = view.sorted_set(&args[1])? else {
        reply.array(0);
        return Ok(());
    };
    let ranks = query.ranks(set);
    let mut elements = Elements::begin(reply, ranks.len(), query.with_scores);
    visit(set, ranks, query.is_reverse, |element| {
        elements.write(element)
    });
    Ok(())
}

pub(super) fn zrangestore(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let form = Form {
        bounds_at: 3,
        by: None,
        is_reverse: None,
        takes_scores: false,
    };
    let query = Query::read(args, &form)?;
    view.notify_misses(&[&args[2]])?;
    let mut stored = SortedSetValue::new();
    if let Some(set) = view.sorted_set(&args[2])? {
        let ranks = query.ranks(set);
        view.check_room(ranks.len().saturating_mul(ELEMENT_BYTES_MIN))?;
        visit(set, ranks, false, |(member, score)| {
            stored.insert(member, score);
        });
    }
    put_whole(view, &args[1], (stored, "zrangestore"), reply)
}

/// ZCOUNT and ZLEXCOUNT.
pub(super) fn count(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    by: By,
) -> Result<(), CommandError> {
    let bounds = Bounds::read(by, args.at(2), args.at(3))?;
    let set = view.sorted_set(&args[1])?;
    let count = set.map_or(0, |set| bounds.ranks(set, false).len());
    reply.integer(count as i64);
    Ok(())
}

/// ZREMRANGEBYRANK, ZREMRANGEBYSCORE and ZREMRANGEBYLEX.
pub(super) fn remove(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    by: By,
) -> Result<(), CommandError> {
    let bounds = Bounds::read(by, args.at(2), args.at(3))?;
    let key = &args[1];
    let ranks = view
        .sorted_set(key)?
        .map_or(0..0, |set| bounds.ranks(set, false));
    let count = ranks.len();
    if count > 0
        && let Some(mut set) = view.sorted_set_mut(key)?
    {
        set.remove_ranks(ranks.start, ranks.end);
        let event = match by {
            By::Rank => "zremrangebyrank",
            By::Score => "zremrangebyscore",
            By::Member => "zremrangebylex",
        };
        view.notify_taken(class::SORTED_SET, event, key)?;
    }
    reply.integer(count as i64);
    Ok(())
}
