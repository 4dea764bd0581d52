//! Commands that read single members of sorted sets, and ZSCAN.

use super::elements::Elements;
use crate::commands::args::Args;
use crate::commands::error::CommandError;
use crate::commands::sample::{Wanted, below, draw};
use crate::commands::scan::{ScanOptions, Walked, parse_cursor, reply_page};
use crate::commands::view::View;
use crate::resp::number::format_double;
use crate::resp::reply::Reply;

pub(super) fn zcard(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let length = view.sorted_set(&args[1])?.map_or(0, |set| set.len());
    reply.integer(length as i64);
    Ok(())
}

fn write_score(score: Option<f64>, reply: &mut dyn Reply) {
    match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

pub(super) fn zscore(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let set = view.sorted_set(&args[1])?;
    write_score(set.and_then(|set| set.score(&args[2])), reply);
    Ok(())
}

pub(super) fn zmscore(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let set = view.sorted_set(&args[1])?;
    let members = args.from(2);
    reply.array(members.len());
    for member in members {
        write_score(set.and_then(|set| set.score(member)), reply);
    }
    Ok(())
}

/// ZRANK and ZREVRANK.
pub(super) fn rank(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    is_reverse: bool,
) -> Result<(), CommandError> {
    if args.len() > 4 {
        let name = if is_reverse { "zrevrank" } else { "zrank" };
        return Err(CommandError::Arity(name.into()));
    }
    let with_score = args.len() == 4;
    if with_score && !args.is(3, "WITHSCORE") {
        return Err(CommandError::Syntax);
    }
    let member = &args[2];
    let set = view.sorted_set(&args[1])?;
    let found = set.and_then(|set| {
        let rank = set.rank(member)?;
        let rank = if is_reverse {
            set.len() - 1 - rank
        } else {
            rank
        };
        Some((rank, set.score(member)?))
    });
    match found {
        Some((rank, score)) if with_score => {
            reply.array(2);
            reply.integer(rank as i64);
            reply.double(score);
        }
        Some((rank, _)) => reply.integer(rank as i64),
        None if with_score => reply.null_array(),
        None => reply.null(),
    }
    Ok(())
}

pub(super) fn zrandmember(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    if args.len() == 2 {
        let set = view.sorted_set(&args[1])?;
        match set.and_then(|set| set.by_rank(below(view, set.len()))) {
            Some((member, _)) => reply.bulk(member),
            None => reply.null(),
        }
        return Ok(());
    }
    let count = args.integer(2)?;
    if count == i64::MIN {
        return Err(CommandError::text(
            "ERR value is out of range, value must between -9223372036854775807 and \
             9223372036854775807",
        ));
    }
    let with_scores = args.len() > 3;
    if args.len() > 4 || with_scores && !args.is(3, "WITHSCORES") {
        return Err(CommandError::Syntax);
    }
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CommandError::OutOfRange);
    }
    let Some(set) = view.sorted_set(&args[1])? else {
        reply.array(0);
        return Ok(());
    };
    let ranks = draw(view, set.len(), Wanted::new(count)?);
    let mut elements = Elements::begin(reply, ranks.len(), with_scores);
    for rank in ranks {
        elements.write(set.by_rank(rank).unwrap_or_default());
    }
    Ok(())
}

pub(super) fn zscan(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let cursor = parse_cursor(&args[2])?;
    let Some(set) = view.sorted_set(&args[1])? else {
        reply_page(0, [].into_iter(), reply);
        return Ok(());
    };
    let options = ScanOptions::parse(args, 3, Walked::Members)?;
    let mut found = Vec::new();
    let next = set.scan(cursor, options.count, |member, score| {
        if options.matches(member) {
            found.push(member.to_vec());
            found.push(format_double(score).into_bytes());
        }
    });
    reply_page(next, found.iter().map(Vec::as_slice), reply);
    Ok(())
}
