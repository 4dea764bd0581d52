//! Intersection, union and difference of sets.

use darter_storage::{Deadline, SetRef, SetValue, Value};

use crate::commands::args::Args;
use crate::commands::error::CommandError;
use crate::commands::view::View;
use crate::notifications::class;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;

type Done = Result<(), CommandError>;

/// The sets of keys; `None` for one that is not there.
fn sets<'v>(view: &'v View<'_>, keys: &[&[u8]]) -> Result<Vec<Option<SetRef<'v>>>, CommandError> {
    keys.iter().map(|key| view.set_of(key)).collect()
}

/// The members that all of the sets have, in no order that means anything.
fn intersection<'v>(sets: &[Option<SetRef<'v>>]) -> impl Iterator<Item = &'v [u8]> {
    // One that is not there empties all.
    let mut all: Vec<SetRef<'v>> = sets
        .iter()
        .copied()
        .collect::<Option<_>>()
        .unwrap_or_default();
    all.sort_by_key(|set| set.len());
    let smallest = all.first().copied();
    let members = smallest.into_iter().flat_map(|set| set.iter());
    members.filter(move |member| all.iter().skip(1).all(|set| set.contains(member)))
}

/// The members of the first set that no other has.
fn difference<'v>(sets: &[Option<SetRef<'v>>]) -> impl Iterator<Item = &'v [u8]> {
    let others: Vec<SetRef<'v>> = sets.iter().skip(1).copied().flatten().collect();
    let first = sets.first().copied().flatten();
    let members = first.into_iter().flat_map(|set| set.iter());
    members.filter(move |member| !others.iter().any(|set| set.contains(member)))
}

/// The members that any of the sets has, each once.
fn union<'v>(sets: &[Option<SetRef<'v>>]) -> impl Iterator<Item = &'v [u8]> {
    let all: Vec<SetRef<'v>> = sets.iter().copied().flatten().collect();
    (0..all.len()).flat_map(move |at| {
        let before: Vec<SetRef<'v>> = all[..at].to_vec();
        all[at]
            .iter()
            .filter(move |member| !before.iter().any(|set| set.contains(member)))
    })
}

fn reply_members<'v>(members: impl Iterator<Item = &'v [u8]>, reply: &mut dyn Reply) -> Done {
    let members: Vec<_> = members.collect();
    reply.set(members.len());
    members.iter().for_each(|member| reply.bulk(member));
    Ok(())
}

fn collect<'v>(
    view: &View<'_>,
    members: impl Iterator<Item = &'v [u8]>,
) -> Result<SetValue, CommandError> {
    let mut set = SetValue::new();
    for member in members {
        set.insert(member);
        view.check_growth(set.as_ref().len())?;
    }
    Ok(set)
}

/// Puts a set in a key, whatever is there, and replies with its size.
fn store(
    view: &mut View<'_>,
    key: &[u8],
    (set, event): (SetValue, &str),
    reply: &mut dyn Reply,
) -> Done {
    let size = set.as_ref().len();
    if size == 0 {
        view.delete(key)?;
    } else {
        view.set(key, Value::Set(set), Deadline::Never)?;
        view.notify(class::SET, event, key);
    }
    reply.integer(size as i64);
    Ok(())
}

pub(super) fn sinter(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    reply_members(intersection(&sets(view, args.from(1))?), reply)
}

pub(super) fn sinterstore(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    view.notify_misses(args.from(2))?;
    let result = collect(view, intersection(&sets(view, args.from(2))?))?;
    store(view, &args[1], (result, "sinterstore"), reply)
}

pub(super) fn sunion(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    reply_members(union(&sets(view, args.from(1))?), reply)
}

pub(super) fn sunionstore(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    view.notify_misses(args.from(2))?;
    let sets = sets(view, args.from(2))?;
    let members = sets.into_iter().flatten().flat_map(|set| set.iter());
    let result = collect(view, members)?;
    store(view, &args[1], (result, "sunionstore"), reply)
}

pub(super) fn sdiff(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    reply_members(difference(&sets(view, args.from(1))?), reply)
}

pub(super) fn sdiffstore(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    view.notify_misses(args.from(2))?;
    let result = collect(view, difference(&sets(view, args.from(2))?))?;
    store(view, &args[1], (result, "sdiffstore"), reply)
}

/// What SINTERCARD is asked.
struct Counting<'a> {
    keys: &'a [&'a [u8]],
    at_most: usize,
}

impl<'a> Counting<'a> {
    fn parse(args: &Args<'a>) -> Result<Counting<'a>, CommandError> {
        let count = parse_integer(&args[1])
            .and_then(|count| usize::try_from(count).ok())
            .filter(|count| *count > 0)
            .ok_or(CommandError::text("ERR numkeys should be greater than 0"))?;
        let keys = args.from(2).get(..count).ok_or(CommandError::text(
            "ERR Number of keys can't be greater than number of args",
        ))?;
        let mut counting = Counting {
            keys,
            at_most: usize::MAX,
        };
        let mut options = args.options(2 + count);
        while !options.is_empty() {
            if !(options.left() >= 2 && options.take("LIMIT")) {
                return Err(CommandError::Syntax);
            }
            let limit =
                parse_integer(options.next()?).and_then(|limit| usize::try_from(limit).ok());
            let limit = limit.ok_or(CommandError::text("ERR LIMIT can't be negative"))?;
            counting.at_most = if limit == 0 { usize::MAX } else { limit };
        }
        Ok(counting)
    }
}

pub(super) fn sintercard(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let counting = Counting::parse(args)?;
    let sets = sets(view, counting.keys)?;
    reply.integer(intersection(&sets).take(counting.at_most).count() as i64);
    Ok(())
}
