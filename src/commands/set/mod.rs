//! Sets: members, one set at a time. What combines several is in `algebra`.

mod algebra;

use super::args::Args;
use super::command::{Command, Group, Keys, flag};
use super::error::CommandError;
use super::sample::{Wanted, below, draw};
use super::scan::{ScanOptions, Walked, parse_cursor, reply_page};
use super::view::View;
use crate::notifications::class;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("SADD", -3, Group::Set, sadd)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "1.0.0",
            "O(N), with N members",
            "Adds members to a set, and counts the new ones.",
        ),
    Command::write("SREM", -3, Group::Set, srem)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::FAST)
        .doc(
            "1.0.0",
            "O(N), with N members",
            "Removes members from a set.",
        ),
    Command::read("SISMEMBER", 3, Group::Set, sismember)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::FAST)
        .doc("1.0.0", "O(1)", "Says whether a set has a member."),
    Command::read("SMISMEMBER", -3, Group::Set, smismember)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::FAST)
        .doc(
            "6.2.0",
            "O(N), with N members",
            "Says which members a set has.",
        ),
    Command::read("SCARD", 2, Group::Set, scard)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc("1.0.0", "O(1)", "Returns how many members a set has."),
    Command::read("SMEMBERS", 2, Group::Set, smembers)
        .keys(Keys::FIRST)
        .doc(
            "1.0.0",
            "O(N), with N members",
            "Returns all members of a set.",
        ),
    Command::write("SMOVE", 4, Group::Set, smove)
        .keys(Keys::FIRST_TWO)
        .flag(flag::FAST)
        .doc("1.0.0", "O(1)", "Moves a member from one set to another."),
    Command::write("SPOP", -2, Group::Set, spop)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "1.0.0",
            "O(N), with N members taken",
            "Takes members drawn at random.",
        ),
    Command::read("SRANDMEMBER", -2, Group::Set, srandmember)
        .keys(Keys::FIRST)
        .doc(
            "1.0.0",
            "O(N), with N members returned",
            "Returns members drawn at random.",
        ),
    Command::read("SSCAN", -3, Group::Set, sscan)
        .keys(Keys::FIRST)
        .doc(
            "2.8.0",
            "O(1) per call",
            "Walks the members of a set, some per call.",
        ),
    Command::read("SINTER", -2, Group::Set, algebra::sinter)
        .keys(Keys::ALL)
        .doc(
            "1.0.0",
            "O(N·M), with M sets, the smallest of N",
            "Returns what sets share.",
        ),
    Command::write("SINTERSTORE", -3, Group::Set, algebra::sinterstore)
        .keys(Keys::ALL)
        .flag(flag::DENYOOM)
        .doc(
            "1.0.0",
            "O(N·M), with M sets, the smallest of N",
            "Stores what sets share.",
        ),
    Command::read("SINTERCARD", -3, Group::Set, algebra::sintercard)
        .keys(Keys::Counted {
            destination: None,
            count: 1,
        })
        .flag(flag::MOVABLE_KEYS)
        .doc(
            "7.0.0",
            "O(N·M), with M sets, the smallest of N",
            "Counts what sets share.",
        ),
    Command::read("SUNION", -2, Group::Set, algebra::sunion)
        .keys(Keys::ALL)
        .doc(
            "1.0.0",
            "O(N), with N members in all",
            "Returns what is in any of the sets.",
        ),
    Command::write("SUNIONSTORE", -3, Group::Set, algebra::sunionstore)
        .keys(Keys::ALL)
        .flag(flag::DENYOOM)
        .doc(
            "1.0.0",
            "O(N), with N members in all",
            "Stores what is in any of the sets.",
        ),
    Command::read("SDIFF", -2, Group::Set, algebra::sdiff)
        .keys(Keys::ALL)
        .doc(
            "1.0.0",
            "O(N·M), with M sets, the first of N",
            "Returns what only the first set has.",
        ),
    Command::write("SDIFFSTORE", -3, Group::Set, algebra::sdiffstore)
        .keys(Keys::ALL)
        .flag(flag::DENYOOM)
        .doc(
            "1.0.0",
            "O(N·M), with M sets, the first of N",
            "Stores what only the first set has.",
        ),
];

type Done = Result<(), CommandError>;

fn sadd(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let mut set = view.set_or_new(&args[1])?;
    let mut added = 0;
    for member in args.from(2) {
        added += i64::from(set.insert(member));
    }
    if added > 0 {
        view.notify(class::SET, "sadd", &args[1]);
    }
    reply.integer(added);
    Ok(())
}

fn srem(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let mut removed = 0;
    if let Some(mut set) = view.set_mut(&args[1])? {
        for member in args.from(2) {
            removed += i64::from(set.remove(member));
        }
    }
    if removed > 0 {
        view.notify_taken(class::SET, "srem", &args[1])?;
    }
    reply.integer(removed);
    Ok(())
}

fn sismember(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let set = view.set_of(&args[1])?;
    reply.integer(i64::from(set.is_some_and(|set| set.contains(&args[2]))));
    Ok(())
}

fn smismember(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let set = view.set_of(&args[1])?;
    let members = args.from(2);
    reply.array(members.len());
    for member in members {
        reply.integer(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(())
}

fn scard(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    reply.integer(view.set_of(&args[1])?.map_or(0, |set| set.len()) as i64);
    Ok(())
}

fn smembers(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let set = view.set_of(&args[1])?;
    reply.set(set.map_or(0, |set| set.len()));
    set.into_iter()
        .flat_map(|set| set.iter())
        .for_each(|member| reply.bulk(member));
    Ok(())
}

fn smove(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let (from, to, member) = (&args[1], &args[2], &args[3]);
    let moves = match view.set_of(from)? {
        None => false,
        Some(set) => {
            view.set_of(to)?;
            set.contains(member)
        }
    };
    if moves && from != to {
        if let Some(mut set) = view.set_mut(from)? {
            set.remove(member);
        }
        view.notify_taken(class::SET, "srem", from)?;
        if view.set_or_new(to)?.insert(member) {
            view.notify(class::SET, "sadd", to);
        }
    }
    reply.integer(i64::from(moves));
    Ok(())
}

fn spop(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let key = &args[1];
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let count = match args.get(2) {
        None => None,
        Some(count) => {
            let count = parse_integer(count).and_then(|count| usize::try_from(count).ok());
            Some(count.ok_or(CommandError::NotPositive)?)
        }
    };
    let Some(set) = view.set_of(key)? else {
        match count {
            Some(_) => reply.set(0),
            None => reply.null(),
        }
        return Ok(());
    };
    let ranks = draw(view, set.len(), Wanted::Distinct(count.unwrap_or(1)));
    let members = ranks.into_iter().filter_map(|rank| set.by_rank(rank));
    let taken: Vec<Box<[u8]>> = members.map(Into::into).collect();
    if count.is_some() {
        reply.set(taken.len());
    }
    taken.iter().for_each(|member| reply.bulk(member));
    if let Some(mut set) = view.set_mut(key)? {
        taken.iter().for_each(|member| {
            set.remove(member);
        });
    }
    if !taken.is_empty() {
        view.notify_taken(class::SET, "spop", key)?;
    }
    Ok(())
}

fn srandmember(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    if args.len() == 2 {
        let set = view.set_of(&args[1])?;
        match set.and_then(|set| set.by_rank(below(view, set.len()))) {
            Some(member) => reply.bulk(member),
            None => reply.null(),
        }
        return Ok(());
    }
    let count = args.integer_between(2, -i64::MAX, i64::MAX)?;
    let Some(set) = view.set_of(&args[1])? else {
        reply.array(0);
        return Ok(());
    };
    let ranks = draw(view, set.len(), Wanted::new(count)?);
    reply.array(ranks.len());
    for rank in ranks {
        reply.bulk(set.by_rank(rank).unwrap_or_default());
    }
    Ok(())
}

fn sscan(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let cursor = parse_cursor(&args[2])?;
    let Some(set) = view.set_of(&args[1])? else {
        reply_page(0, [].into_iter(), reply);
        return Ok(());
    };
    let options = ScanOptions::parse(args, 3, Walked::Members)?;
    let mut found = Vec::new();
    let next = set.scan(cursor, options.count, |member| {
        if options.matches(member) {
            found.push(member);
        }
    });
    reply_page(next, found.into_iter(), reply);
    Ok(())
}
