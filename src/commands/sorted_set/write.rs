//! Commands that give members scores, and remove them.

use darter_storage::SortedSetMut;

use crate::commands::args::{Args, Options};
use crate::commands::error::CommandError;
use crate::commands::view::View;
use crate::notifications::class;
use crate::resp::number::parse_double_in_range;
use crate::resp::reply::Reply;

/// When a member is given a score, and how.
#[derive(Clone, Copy, Default)]
pub(in crate::commands) struct Rules {
    pub(in crate::commands) only_new: bool,
    pub(in crate::commands) only_known: bool,
    only_greater: bool,
    only_less: bool,
    is_increment: bool,
    counts_changes: bool,
}

/// What became of a member.
enum Outcome {
    Added(f64),
    Changed(f64),
    Same(f64),
    /// The rules forbid it.
    Refused,
}

impl Rules {
    fn read(args: &Args<'_>) -> (Rules, usize) {
        let mut rules = Rules::default();
        let mut options = args.options(2);
        loop {
            if options.take("INCR") {
                rules.is_increment = true;
            } else if options.take("GT") {
                rules.only_greater = true;
            } else if options.take("LT") {
                rules.only_less = true;
            } else if !rules.take(&mut options) {
                return (rules, options.position());
            }
        }
    }

    /// Takes NX, XX or CH, which GEOADD has, too, if one of them comes next.
    pub(in crate::commands) fn take(&mut self, options: &mut Options<'_>) -> bool {
        if options.take("NX") {
            self.only_new = true;
        } else if options.take("XX") {
            self.only_known = true;
        } else if options.take("CH") {
            self.counts_changes = true;
        } else {
            return false;
        }
        true
    }

    fn check(self, pairs: usize) -> Result<(), CommandError> {
        if self.only_new && self.only_known {
            return Err(CommandError::text(
                "ERR XX and NX options at the same time are not compatible",
            ));
        }
        let exclusive = [self.only_new, self.only_greater, self.only_less];
        if exclusive.iter().filter(|is_set| **is_set).count() > 1 {
            return Err(CommandError::text(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.is_increment && pairs > 1 {
            return Err(CommandError::text(
                "ERR INCR option supports a single increment-element pair",
            ));
        }
        Ok(())
    }

    fn apply(
        self,
        set: &mut SortedSetMut<'_>,
        member: &[u8],
        argument: f64,
    ) -> Result<Outcome, CommandError> {
        let Some(old) = set.as_ref().score(member) else {
            if self.only_known {
                return Ok(Outcome::Refused);
            }
            set.insert(member, argument);
            return Ok(Outcome::Added(argument));
        };
        if self.only_new {
            return Ok(Outcome::Refused);
        }
        let score = if self.is_increment {
            old + argument
        } else {
            argument
        };
        if score.is_nan() {
            return Err(CommandError::text(
                "ERR resulting score is not a number (NaN)",
            ));
        }
        if self.only_greater && score <= old || self.only_less && score >= old {
            return Ok(Outcome::Refused);
        }
        if score == old {
            return Ok(Outcome::Same(old));
        }
        set.insert(member, score);
        Ok(Outcome::Changed(score))
    }
}

/// ZADD and ZINCRBY, from the score and member at `at` on.
fn add(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    (rules, at): (Rules, usize),
) -> Result<(), CommandError> {
    let (pairs, rest) = args.from(at).as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return Err(CommandError::Syntax);
    }
    rules.check(pairs.len())?;
    // All scores are read before any is given.
    let elements = pairs.iter().map(|[score, member]| {
        let score = parse_double_in_range(score).ok_or(CommandError::NotAFloat)?;
        Ok::<_, CommandError>((*member, score))
    });
    let elements: Vec<(&[u8], f64)> = elements.collect::<Result<_, _>>()?;
    put(view, &args[1], rules, &elements, reply)
}

/// Gives members scores, as far as the rules let it, and writes the reply of ZADD.
pub(in crate::commands) fn put(
    view: &mut View<'_>,
    key: &[u8],
    rules: Rules,
    elements: &[(&[u8], f64)],
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let set = if rules.only_known {
        view.sorted_set_mut(key)?
    } else {
        Some(view.sorted_set_or_new(key)?)
    };
    let (mut added, mut changed, mut last) = (0, 0, None);
    if let Some(mut set) = set {
        for (member, score) in elements {
            match rules.apply(&mut set, member, *score)? {
                Outcome::Added(score) => (added, last) = (added + 1, Some(score)),
                Outcome::Changed(score) => (changed, last) = (changed + 1, Some(score)),
                Outcome::Same(score) => last = Some(score),
                Outcome::Refused => {}
            }
        }
    }
    if added + changed > 0 {
        let event = if rules.is_increment { "zincr" } else { "zadd" };
        view.notify(class::SORTED_SET, event, key);
    }
    match last {
        Some(score) if rules.is_increment => reply.double(score),
        None if rules.is_increment => reply.null(),
        _ if rules.counts_changes => reply.integer(added + changed),
        _ => reply.integer(added),
    }
    Ok(())
}

pub(super) fn zadd(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    add(view, args, reply, Rules::read(args))
}

pub(super) fn zincrby(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let rules = Rules {
        is_increment: true,
        ..Rules::default()
    };
    add(view, args, reply, (rules, 2))
}

pub(super) fn zrem(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let mut removed = 0;
    if let Some(mut set) = view.sorted_set_mut(&args[1])? {
        for member in args.from(2) {
            removed += i64::from(set.remove(member).is_some());
        }
    }
    if removed > 0 {
        view.notify_taken(class::SORTED_SET, "zrem", &args[1])?;
    }
    reply.integer(removed);
    Ok(())
}
