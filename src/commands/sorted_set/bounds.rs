//! Stretches of sorted sets: by rank, by score or by member.

use std::ops::Range;

use darter_storage::SortedSetRef;

use crate::commands::error::CommandError;
use crate::commands::ranges::positions;
use crate::resp::number::{parse_double, parse_integer, without_spaces_before};

/// What a stretch is given by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Rank,
    Score,
    Member,
}

/// A score where a stretch begins or ends.
#[derive(Clone, Copy)]
pub(super) struct ScoreBound {
    score: f64,
    is_exclusive: bool,
}

impl ScoreBound {
    fn read(argument: &[u8]) -> Result<ScoreBound, CommandError> {
        let (is_exclusive, number) = match argument {
            [b'(', number @ ..] => (true, number),
            number => (false, number),
        };
        // As `strtod` does, which Redis reads these with: a zero byte ends it, spaces before it are
        // passed over, and nothing is 0.
        let end = memchr::memchr(0, number).unwrap_or(number.len());
        let score = match &number[..end] {
            b"" => Some(0.0),
            number => parse_double(without_spaces_before(number)),
        };
        Ok(ScoreBound {
            score: score.ok_or(CommandError::text("ERR min or max is not a float"))?,
            is_exclusive,
        })
    }
}

/// A member where a stretch begins or ends.
#[derive(Clone, Copy)]
pub(super) enum MemberBound<'a> {
    Lowest,
    Highest,
    Inclusive(&'a [u8]),
    Exclusive(&'a [u8]),
}

impl<'a> MemberBound<'a> {
    fn read(argument: &'a [u8]) -> Result<MemberBound<'a>, CommandError> {
        match argument {
            b"-" => Ok(MemberBound::Lowest),
            b"+" => Ok(MemberBound::Highest),
            [b'[', member @ ..] => Ok(MemberBound::Inclusive(member)),
            [b'(', member @ ..] => Ok(MemberBound::Exclusive(member)),
            _ => Err(CommandError::text(
                "ERR min or max not valid string range item",
            )),
        }
    }
}

impl MemberBound<'_> {
    fn is_below(self, member: &[u8]) -> bool {
        match self {
            MemberBound::Lowest => true,
            MemberBound::Highest => false,
            MemberBound::Inclusive(bound) => bound <= member,
            MemberBound::Exclusive(bound) => bound < member,
        }
    }

    fn is_above(self, member: &[u8]) -> bool {
        match self {
            MemberBound::Lowest => false,
            MemberBound::Highest => true,
            MemberBound::Inclusive(bound) => bound >= member,
            MemberBound::Exclusive(bound) => bound > member,
        }
    }
}

/// The ranks of the members in between, from the first such one on, or from the last one back, to where
/// there is another one: as Redis looks through a list pack, so that the same comes out also where
/// scores differ and members do not rise with the ranks.
fn walk(
    set: SortedSetRef<'_>,
    low: MemberBound<'_>,
    high: MemberBound<'_>,
    is_reverse: bool,
) -> Range<usize> {
    let length = set.len();
    let ends = set.by_rank(0).zip(set.by_rank(length.saturating_sub(1)));
    if !ends.is_some_and(|((first, _), (last, _))| high.is_above(first) && low.is_below(last)) {
        return 0..0;
    }
    if is_reverse {
        let members = set.iter_back_from(usize::MAX).map(|(member, _)| member);
        let (behind, count) = stretch(
            members,
            |member| high.is_above(member),
            |member| low.is_below(member),
        );
        length - behind - count..length - behind
    } else {
        let members = set.iter_from(0).map(|(member, _)| member);
        let (start, count) = stretch(
            members,
            |member| low.is_below(member),
            |member| high.is_above(member),
        );
        start..start + count
    }
}

/// How many members stand before the first with which it begins, and with how many it goes on then.
fn stretch<'a>(
    members: impl Iterator<Item = &'a [u8]>,
    begins: impl Fn(&[u8]) -> bool,
    goes_on: impl Fn(&[u8]) -> bool,
) -> (usize, usize) {
    let mut members = members.peekable();
    let mut before = 0;
    while members.next_if(|member| !begins(member)).is_some() {
        before += 1;
    }
    (before, members.take_while(|member| goes_on(member)).count())
}

/// A stretch of a sorted set.
#[derive(Clone, Copy)]
pub(super) enum Bounds<'a> {
    /// The first and the last rank, negative ones from the end.
    Ranks(i64, i64),
    Scores(ScoreBound, ScoreBound),
    Members(MemberBound<'a>, MemberBound<'a>),
}

impl<'a> Bounds<'a> {
    /// Reads the lower and the upper bound.
    ///
    /// # Errors
    /// If one of them is not what `by` asks for.
    pub(super) fn read(by: By, low: &'a [u8], high: &'a [u8]) -> Result<Bounds<'a>, CommandError> {
        Ok(match by {
            By::Rank => {
                let rank = |text| parse_integer(text).ok_or(CommandError::NotAnInteger);
                Bounds::Ranks(rank(low)?, rank(high)?)
            }
            By::Score => Bounds::Scores(ScoreBound::read(low)?, ScoreBound::read(high)?),
            By::Member => Bounds::Members(MemberBound::read(low)?, MemberBound::read(high)?),
        })
    }

    /// The ranks of the elements in between, counted from the lowest. Ranks as bounds count from
    /// the highest if `is_reverse`.
    pub(super) fn ranks(self, set: SortedSetRef<'_>, is_reverse: bool) -> Range<usize> {
        let length = set.len();
        let range = match self {
            Bounds::Ranks(first, last) => {
                let range = positions(first, last, length);
                if is_reverse {
                    length - range.end..length - range.start
                } else {
                    range
                }
            }
            Bounds::Scores(low, high) => {
                let start = set.rank_of_score(low.score, low.is_exclusive);
                let end = set.rank_of_score(high.score, !high.is_exclusive);
                start..end
            }
            Bounds::Members(low, high) if set.is_compact() => walk(set, low, high, is_reverse),
            Bounds::Members(low, high) => {
                let rank = |bound: MemberBound<'_>, is_end: bool| match bound {
                    MemberBound::Lowest => 0,
                    MemberBound::Highest => length,
                    MemberBound::Inclusive(member) => set.rank_of_member_bound(member, is_end),
                    MemberBound::Exclusive(member) => set.rank_of_member_bound(member, !is_end),
                };
                rank(low, false)..rank(high, true)
            }
        };
        range.start.min(range.end)..range.end
    }
}

/// Visits the elements with these ranks, from the highest down if `is_reverse`.
pub(super) fn visit<'a>(
    set: SortedSetRef<'a>,
    ranks: Range<usize>,
    is_reverse: bool,
    visitor: impl FnMut((&'a [u8], f64)),
) {
    match ranks.end.checked_sub(1) {
        Some(last) if is_reverse => set.iter_back_from(last).take(ranks.len()).for_each(visitor),
        _ => set
            .iter_from(ranks.start)
            .take(ranks.len())
            .for_each(visitor),
    }
}
