//! Commands that read lists.

use crate::commands::args::Args;
use crate::commands::error::CommandError;
use crate::commands::ranges::{position, positions};
use crate::commands::view::View;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;

pub(super) fn llen(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let length = view.list(&args[1])?.map_or(0, |list| list.len());
    reply.integer(length as i64);
    Ok(())
}

pub(super) fn lrange(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let (first, last) = (args.integer(2)?, args.integer(3)?);
    let Some(list) = view.list(&args[1])? else {
        reply.array(0);
        return Ok(());
    };
    let range = positions(first, last, list.len());
    reply.array(range.len());
    for element in list.iter_from(range.start).take(range.len()) {
        reply.bulk(element);
    }
    Ok(())
}

pub(super) fn lindex(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let Some(list) = view.list(&args[1])? else {
        reply.null();
        return Ok(());
    };
    let element = position(args.integer(2)?, list.len()).and_then(|index| list.get(index));
    match element {
        Some(element) => reply.bulk(element),
        None => reply.null(),
    }
    Ok(())
}

/// What LPOS is asked for.
struct Search {
    skip: usize,
    is_backward: bool,
    /// How many matches to report, as an array.
    count: Option<usize>,
    /// How many elements to compare.
    comparisons: usize,
}

const RANK_IS_ZERO: &str = "ERR RANK can't be zero: use 1 to start from the first match, 2 from \
                            the second ... or use negative to start from the end of the list";
const RANK_IS_OUT: &str = "ERR value is out of range, value must between -9223372036854775807 \
                           and 9223372036854775807";

impl Search {
    fn read(args: &Args<'_>) -> Result<Search, CommandError> {
        let mut search = Search {
            skip: 0,
            is_backward: false,
            count: None,
            comparisons: usize::MAX,
        };
        let mut options = args.options(3);
        while !options.is_empty() {
            // An option's name without its value is no option.
            let has_value = options.left() > 1;
            if has_value && options.take("RANK") {
                let rank = options.integer()?;
                match rank {
                    0 => return Err(CommandError::text(RANK_IS_ZERO)),
                    i64::MIN => return Err(CommandError::text(RANK_IS_OUT)),
                    _ => {}
                }
                search.skip = usize::try_from(rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
                search.is_backward = rank < 0;
            } else if has_value && options.take("COUNT") {
                let count = limit(options.next()?);
                search.count =
                    Some(count.ok_or(CommandError::text("ERR COUNT can't be negative"))?);
            } else if has_value && options.take("MAXLEN") {
                let length = limit(options.next()?);
                search.comparisons =
                    length.ok_or(CommandError::text("ERR MAXLEN can't be negative"))?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(search)
    }

    fn matches<'a>(
        &self,
        elements: impl Iterator<Item = &'a [u8]>,
        wanted: &[u8],
    ) -> impl Iterator<Item = usize> {
        elements
            .take(self.comparisons)
            .enumerate()
            .filter(move |(_, element)| *element == wanted)
            .map(|(distance, _)| distance)
            .skip(self.skip)
            .take(self.count.unwrap_or(1))
    }
}

/// A number of things; 0 stands for all.
fn limit(argument: &[u8]) -> Option<usize> {
    match usize::try_from(parse_integer(argument)?).ok()? {
        0 => Some(usize::MAX),
        count => Some(count),
    }
}

pub(super) fn lpos(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let search = Search::read(args)?;
    let found: Vec<usize> = match view.list(&args[1])? {
        None => Vec::new(),
        Some(list) if search.is_backward => {
            let last = list.len().saturating_sub(1);
            search
                .matches(list.iter_back_from(last), &args[2])
                .map(|distance| last - distance)
                .collect()
        }
        Some(list) => search.matches(list.iter_from(0), &args[2]).collect(),
    };
    if search.count.is_some() {
        reply.array(found.len());
        found.iter().for_each(|at| reply.integer(*at as i64));
    } else {
        match found.first() {
            Some(at) => reply.integer(*at as i64),
            None => reply.null(),
        }
    }
    Ok(())
}
