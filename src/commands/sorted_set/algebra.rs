//! Unions, intersections and differences of sorted sets and sets.

use std::collections::HashMap;

use darter_storage::{Deadline, SetRef, SortedSetRef, SortedSetValue, Value, ValueRef};

use super::elements::Elements;
use crate::commands::args::Args;
use crate::commands::error::CommandError;
use crate::commands::view::View;
use crate::notifications::class;
use crate::resp::number::{parse_double_in_range, parse_integer};
use crate::resp::reply::Reply;

/// What is done with the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What several scores of one member become.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

fn or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

impl Aggregate {
    fn combine(self, score: f64, other: f64) -> f64 {
        match self {
            Aggregate::Sum => or_zero(score + other),
            Aggregate::Min if other < score => other,
            Aggregate::Max if other > score => other,
            Aggregate::Min | Aggregate::Max => score,
        }
    }
}

/// One input; the members of a set have the score 1.
#[derive(Clone, Copy)]
enum Source<'a> {
    Absent,
    Sorted(SortedSetRef<'a>),
    Plain(SetRef<'a>),
}

impl<'a> Source<'a> {
    fn len(self) -> usize {
        match self {
            Source::Absent => 0,
            Source::Sorted(set) => set.len(),
            Source::Plain(set) => set.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Source::Absent => None,
            Source::Sorted(set) => set.score(member),
            Source::Plain(set) => set.contains(member).then_some(1.0),
        }
    }

    fn iter(self) -> impl Iterator<Item = (&'a [u8], f64)> {
        let (sorted, plain) = match self {
            Source::Absent => (None, None),
            Source::Sorted(set) => (Some(set), None),
            Source::Plain(set) => (None, Some(set)),
        };
        let sorted = sorted.into_iter().flat_map(|set| set.iter_from(0));
        let plain = plain.into_iter().flat_map(SetRef::iter);
        sorted.chain(plain.map(|member| (member, 1.0)))
    }
}

/// The inputs with their weights.
type Inputs<'a> = Vec<(Source<'a>, f64)>;

/// Members with their scores.
type Members<'a> = Vec<(&'a [u8], f64)>;

/// Reads `numkeys key [key ...]` at `at`; also answers where the options begin.
fn read_inputs<'v>(
    view: &'v View<'_>,
    args: &Args<'_>,
    at: usize,
    name: &str,
) -> Result<(Inputs<'v>, usize), CommandError> {
    let count = args.integer(at)?;
    if count < 1 {
        return Err(CommandError::err(format!(
            "at least 1 input key is needed for '{name}' command"
        )));
    }
    let rest = args.from(at + 1);
    let keys = usize::try_from(count).ok().and_then(|n| rest.get(..n));
    let keys = keys.ok_or(CommandError::Syntax)?;
    let inputs = keys.iter().map(|key| {
        let source = match view.get(key)? {
            None => Source::Absent,
            Some(ValueRef::SortedSet(set)) => Source::Sorted(set),
            Some(ValueRef::Set(set)) => Source::Plain(set),
            Some(_) => return Err(CommandError::WrongType),
        };
        Ok((source, 1.0))
    });
    let inputs: Inputs<'v> = inputs.collect::<Result<_, _>>()?;
    Ok((inputs, at + 1 + keys.len()))
}

/// Reads the options from `at` on, weights into `inputs`. Answers how to aggregate and whether
/// scores are wanted.
fn read_options(
    args: &Args<'_>,
    at: usize,
    inputs: &mut Inputs<'_>,
    (operation, is_stored): (Operation, bool),
) -> Result<(Aggregate, bool), CommandError> {
    let (mut aggregate, mut with_scores) = (Aggregate::Sum, false);
    let combines = operation != Operation::Difference;
    let mut options = args.options(at);
    while !options.is_empty() {
        if combines && options.left() > inputs.len() && options.take("WEIGHTS") {
            for (_, weight) in inputs.iter_mut() {
                *weight = parse_double_in_range(options.next()?)
                    .ok_or(CommandError::text("ERR weight value is not a float"))?;
            }
        } else if combines && options.left() > 1 && options.take("AGGREGATE") {
            aggregate = if options.take("SUM") {
                Aggregate::Sum
            } else if options.take("MIN") {
                Aggregate::Min
            } else if options.take("MAX") {
                Aggregate::Max
            } else {
                return Err(CommandError::Syntax);
            };
        } else if !is_stored && options.take("WITHSCORES") {
            with_scores = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok((aggregate, with_scores))
}

fn union<'a>(inputs: &Inputs<'a>, aggregate: Aggregate) -> Members<'a> {
    let mut scores: HashMap<&[u8], f64> = HashMap::new();
    for (source, weight) in inputs {
        for (member, score) in source.iter() {
            let score = or_zero(weight * score);
            scores
                .entry(member)
                .and_modify(|old| *old = aggregate.combine(*old, score))
                .or_insert(score);
        }
    }
    scores.into_iter().collect()
}

/// `inputs` must have the smallest first.
fn intersection<'a>(inputs: &Inputs<'a>, aggregate: Aggregate) -> Members<'a> {
    let Some(((first, weight), others)) = inputs.split_first() else {
        return Vec::new();
    };
    let combined = |(member, score): (&'a [u8], f64)| {
        let mut combined = or_zero(weight * score);
        for (source, weight) in others {
            combined = aggregate.combine(combined, weight * source.score(member)?);
        }
        Some((member, combined))
    };
    first.iter().filter_map(combined).collect()
}

fn difference<'a>(inputs: &Inputs<'a>) -> Members<'a> {
    let Some(((first, _), others)) = inputs.split_first() else {
        return Vec::new();
    };
    let is_only_there = |(member, _): &(&[u8], f64)| {
        !others
            .iter()
            .any(|(other, _)| other.score(member).is_some())
    };
    first.iter().filter(is_only_there).collect()
}

/// The elements of the result, in order, and whether scores are wanted.
fn compute<'v>(
    view: &'v View<'_>,
    args: &Args<'_>,
    operation: Operation,
    store: Option<&str>,
) -> Result<(Members<'v>, bool), CommandError> {
    let (at, name) = match (store, operation) {
        (Some(name), _) => (2, name),
        (None, Operation::Union) => (1, "zunion"),
        (None, Operation::Intersection) => (1, "zinter"),
        (None, Operation::Difference) => (1, "zdiff"),
    };
    let (mut inputs, options_at) = read_inputs(view, args, at, name)?;
    let kind = (operation, store.is_some());
    let (aggregate, with_scores) = read_options(args, options_at, &mut inputs, kind)?;
    if operation != Operation::Difference {
        inputs.sort_by_key(|(source, _)| source.len());
    }
    let mut elements = match operation {
        Operation::Union => union(&inputs, aggregate),
        Operation::Intersection => intersection(&inputs, aggregate),
        Operation::Difference => difference(&inputs),
    };
    // No score is NaN here; -0.0 equals 0.0, as in a sorted set.
    elements.sort_unstable_by(|(member, score), (other, other_score)| {
        let by_score = score.partial_cmp(other_score);
        by_score
            .unwrap_or(std::cmp::Ordering::Equal)
            .then_with(|| member.cmp(other))
    });
    Ok((elements, with_scores))
}

/// ZUNION, ZINTER and ZDIFF.
pub(super) fn combine(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    operation: Operation,
) -> Result<(), CommandError> {
    let (found, with_scores) = compute(view, args, operation, None)?;
    let mut elements = Elements::begin(reply, found.len(), with_scores);
    found
        .into_iter()
        .for_each(|element| elements.write(element));
    Ok(())
}

/// ZUNIONSTORE, ZINTERSTORE and ZDIFFSTORE.
pub(super) fn combine_and_store(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    (operation, name): (Operation, &str),
) -> Result<(), CommandError> {
    notify_misses(view, args)?;
    let mut stored = SortedSetValue::new();
    for (member, score) in compute(view, args, operation, Some(name))?.0 {
        stored.insert(member, score);
        view.check_growth(stored.as_ref().len())?;
    }
    put_whole(view, &args[1], (stored, name), reply)
}

/// Tells which inputs of a command that stores are not there.
fn notify_misses(view: &View<'_>, args: &Args<'_>) -> Result<(), CommandError> {
    let count = args.integer(2)?;
    let keys = usize::try_from(count)
        .ok()
        .and_then(|n| args.from(3).get(..n));
    view.notify_misses(keys.unwrap_or_default())
}

/// Puts a sorted set in a key, whatever is there, and replies with its size.
pub(super) fn put_whole(
    view: &mut View<'_>,
    key: &[u8],
    (set, event): (SortedSetValue, &str),
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let length = set.as_ref().len();
    if length == 0 {
        view.delete(key)?;
    } else {
        view.set(key, Value::SortedSet(set), Deadline::Never)?;
        view.notify(class::SORTED_SET, event, key);
    }
    reply.integer(length as i64);
    Ok(())
}

pub(super) fn zintercard(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let (mut inputs, options_at) = read_inputs(view, args, 1, "zintercard")?;
    let mut limit = usize::MAX;
    let mut options = args.options(options_at);
    while !options.is_empty() {
        if options.left() < 2 || !options.take("LIMIT") {
            return Err(CommandError::Syntax);
        }
        let most = parse_integer(options.next()?).and_then(|most| usize::try_from(most).ok());
        limit = match most {
            Some(0) => usize::MAX,
            Some(most) => most,
            None => return Err(CommandError::text("ERR LIMIT can't be negative")),
        };
    }
    inputs.sort_by_key(|(source, _)| source.len());
    let count = inputs.split_first().map_or(0, |((first, _), others)| {
        let is_shared = |(member, _): &(&[u8], f64)| {
            others
                .iter()
                .all(|(other, _)| other.score(member).is_some())
        };
        first.iter().filter(is_shared).take(limit).count()
    });
    reply.integer(count as i64);
    Ok(())
}
