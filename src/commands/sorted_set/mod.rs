//! Sorted sets.

mod algebra;
mod bounds;
mod elements;
mod range;
mod read;
mod take;
mod write;

use algebra::Operation;
use bounds::By;
use range::Form;
use take::End;
pub(super) use write::{Rules, put};

use super::command::{Command, Group, Keys, flag};

const ALL_BUT_LAST: Keys = Keys::Range {
    first: 1,
    last: -2,
    step: 1,
};

const fn counted(destination: Option<usize>, count: usize) -> Keys {
    Keys::Counted { destination, count }
}

/// The form of ZRANGE.
const ANY: Form = Form {
    bounds_at: 2,
    by: None,
    is_reverse: None,
    takes_scores: true,
};

/// The form of a command whose name says what ZRANGE has options for.
const fn form(by: By, is_reverse: bool) -> Form {
    Form {
        by: Some(by),
        is_reverse: Some(is_reverse),
        ..ANY
    }
}

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("ZADD", -4, Group::SortedSet, write::zadd)
        .keys(Keys::FIRST)
        .element(3)
        .flag(flag::DENYOOM | flag::FAST)
        .doc("1.2.0", "O(log(N)) per member", "Gives members scores."),
    Command::write("ZINCRBY", 4, Group::SortedSet, write::zincrby)
        .keys(Keys::FIRST)
        .element(3)
        .flag(flag::DENYOOM | flag::FAST)
        .doc("1.2.0", "O(log(N))", "Adds to a member's score."),
    Command::write("ZREM", -3, Group::SortedSet, write::zrem)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::FAST)
        .doc("1.2.0", "O(log(N)) per member", "Removes members."),
    Command::read("ZCARD", 2, Group::SortedSet, read::zcard)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc("1.2.0", "O(1)", "Counts the members of a sorted set."),
    Command::read("ZSCORE", 3, Group::SortedSet, read::zscore)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::FAST)
        .doc("1.2.0", "O(log(N))", "Returns a member's score."),
    Command::read("ZMSCORE", -3, Group::SortedSet, read::zmscore)
        .keys(Keys::FIRST)
        .element(2)
        .flag(flag::FAST)
        .doc(
            "6.2.0",
            "O(log(N)) per member",
            "Returns the scores of members.",
        ),
    Command::read("ZRANK", -3, Group::SortedSet, |view, args, reply| {
        read::rank(view, args, reply, false)
    })
    .keys(Keys::FIRST)
    .element(2)
    .flag(flag::FAST)
    .doc("2.0.0", "O(log(N))", "Counts the elements before a member."),
    Command::read("ZREVRANK", -3, Group::SortedSet, |view, args, reply| {
        read::rank(view, args, reply, true)
    })
    .keys(Keys::FIRST)
    .element(2)
    .flag(flag::FAST)
    .doc("2.0.0", "O(log(N))", "Counts the elements behind a member."),
    Command::read("ZRANDMEMBER", -2, Group::SortedSet, read::zrandmember)
        .keys(Keys::FIRST)
        .doc(
            "6.2.0",
            "O(M·log(N)), with M drawn",
            "Returns members drawn at random.",
        ),
    Command::read("ZSCAN", -3, Group::SortedSet, read::zscan)
        .keys(Keys::FIRST)
        .doc(
            "2.8.0",
            "O(1) per call",
            "Walks the members and their scores, some per call.",
        ),
    Command::read("ZCOUNT", 4, Group::SortedSet, |view, args, reply| {
        range::count(view, args, reply, By::Score)
    })
    .keys(Keys::FIRST)
    .flag(flag::FAST)
    .doc(
        "2.0.0",
        "O(log(N))",
        "Counts the elements with scores in a range.",
    ),
    Command::read("ZLEXCOUNT", 4, Group::SortedSet, |view, args, reply| {
        range::count(view, args, reply, By::Member)
    })
    .keys(Keys::FIRST)
    .flag(flag::FAST)
    .doc(
        "2.8.9",
        "O(log(N))",
        "Counts the elements with members in a range, if all scores are equal.",
    ),
    Command::read("ZRANGE", -4, Group::SortedSet, |view, args, reply| {
        range::range(view, args, reply, &ANY)
    })
    .keys(Keys::FIRST)
    .doc(
        "1.2.0",
        "O(log(N)+M), with M elements in it",
        "Returns a stretch by rank, score or member.",
    ),
    Command::write("ZRANGESTORE", -5, Group::SortedSet, range::zrangestore)
        .keys(Keys::FIRST_TWO)
        .flag(flag::DENYOOM)
        .doc(
            "6.2.0",
            "O(log(N)+M·log(M)), with M elements in it",
            "Stores a stretch by rank, score or member.",
        ),
    Command::read("ZREVRANGE", -4, Group::SortedSet, |view, args, reply| {
        range::range(view, args, reply, &form(By::Rank, true))
    })
    .keys(Keys::FIRST)
    .doc(
        "1.2.0",
        "O(log(N)+M), with M elements in it",
        "Returns a stretch by rank, from the highest down.",
    ),
    Command::read(
        "ZRANGEBYSCORE",
        -4,
        Group::SortedSet,
        |view, args, reply| range::range(view, args, reply, &form(By::Score, false)),
    )
    .keys(Keys::FIRST)
    .doc(
        "1.0.5",
        "O(log(N)+M), with M elements in it",
        "Returns a stretch by score.",
    ),
    Command::read(
        "ZREVRANGEBYSCORE",
        -4,
        Group::SortedSet,
        |view, args, reply| range::range(view, args, reply, &form(By::Score, true)),
    )
    .keys(Keys::FIRST)
    .doc(
        "2.2.0",
        "O(log(N)+M), with M elements in it",
        "Returns a stretch by score, from the highest down.",
    ),
    Command::read("ZRANGEBYLEX", -4, Group::SortedSet, |view, args, reply| {
        range::range(view, args, reply, &form(By::Member, false))
    })
    .keys(Keys::FIRST)
    .doc(
        "2.8.9",
        "O(log(N)+M), with M elements in it",
        "Returns a stretch by member, if all scores are equal.",
    ),
    Command::read(
        "ZREVRANGEBYLEX",
        -4,
        Group::SortedSet,
        |view, args, reply| range::range(view, args, reply, &form(By::Member, true)),
    )
    .keys(Keys::FIRST)
    .doc(
        "2.8.9",
        "O(log(N)+M), with M elements in it",
        "Returns a stretch by member, from the highest down.",
    ),
    Command::write(
        "ZREMRANGEBYRANK",
        4,
        Group::SortedSet,
        |view, args, reply| range::remove(view, args, reply, By::Rank),
    )
    .keys(Keys::FIRST)
    .doc(
        "2.0.0",
        "O(log(N)+M), with M elements in it",
        "Removes a stretch by rank.",
    ),
    Command::write(
        "ZREMRANGEBYSCORE",
        4,
        Group::SortedSet,
        |view, args, reply| range::remove(view, args, reply, By::Score),
    )
    .keys(Keys::FIRST)
    .doc(
        "1.2.0",
        "O(log(N)+M), with M elements in it",
        "Removes a stretch by score.",
    ),
    Command::write(
        "ZREMRANGEBYLEX",
        4,
        Group::SortedSet,
        |view, args, reply| range::remove(view, args, reply, By::Member),
    )
    .keys(Keys::FIRST)
    .doc(
        "2.8.9",
        "O(log(N)+M), with M elements in it",
        "Removes a stretch by member, if all scores are equal.",
    ),
    Command::write("ZPOPMIN", -2, Group::SortedSet, |view, args, reply| {
        take::pop(view, args, reply, End::Lowest)
    })
    .keys(Keys::FIRST)
    .flag(flag::FAST)
    .doc(
        "5.0.0",
        "O(M·log(N)), with M taken",
        "Takes the elements with the lowest scores.",
    ),
    Command::write("ZPOPMAX", -2, Group::SortedSet, |view, args, reply| {
        take::pop(view, args, reply, End::Highest)
    })
    .keys(Keys::FIRST)
    .flag(flag::FAST)
    .doc(
        "5.0.0",
        "O(M·log(N)), with M taken",
        "Takes the elements with the highest scores.",
    ),
    Command::write("ZMPOP", -4, Group::SortedSet, take::zmpop)
        .keys(counted(None, 1))
        .flag(flag::MOVABLE_KEYS)
        .doc(
            "7.0.0",
            "O(K+M·log(N)), with K keys and M taken",
            "Takes elements of the first sorted set that has any.",
        ),
    Command::write("BZPOPMIN", -3, Group::SortedSet, |view, args, reply| {
        take::blocking_pop(view, args, reply, End::Lowest)
    })
    .keys(ALL_BUT_LAST)
    .flag(flag::FAST | flag::BLOCKING)
    .doc(
        "5.0.0",
        "O(log(N))",
        "Takes a lowest element, as soon as there is one.",
    ),
    Command::write("BZPOPMAX", -3, Group::SortedSet, |view, args, reply| {
        take::blocking_pop(view, args, reply, End::Highest)
    })
    .keys(ALL_BUT_LAST)
    .flag(flag::FAST | flag::BLOCKING)
    .doc(
        "5.0.0",
        "O(log(N))",
        "Takes a highest element, as soon as there is one.",
    ),
    Command::write("BZMPOP", -5, Group::SortedSet, take::bzmpop)
        .keys(counted(None, 2))
        .flag(flag::BLOCKING | flag::MOVABLE_KEYS)
        .doc(
            "7.0.0",
            "O(K+M·log(N)), with K keys and M taken",
            "As ZMPOP, as soon as there is an element.",
        ),
    Command::read("ZUNION", -3, Group::SortedSet, |view, args, reply| {
        algebra::combine(view, args, reply, Operation::Union)
    })
    .keys(counted(None, 1))
    .flag(flag::MOVABLE_KEYS)
    .doc(
        "6.2.0",
        "O(N)+O(M·log(M)), with N elements in and M out",
        "Returns what is in any of the sets.",
    ),
    Command::write("ZUNIONSTORE", -4, Group::SortedSet, |view, args, reply| {
        algebra::combine_and_store(view, args, reply, (Operation::Union, "zunionstore"))
    })
    .keys(counted(Some(1), 2))
    .flag(flag::DENYOOM | flag::MOVABLE_KEYS)
    .doc(
        "2.0.0",
        "O(N)+O(M·log(M)), with N elements in and M out",
        "Stores what is in any of the sets.",
    ),
    Command::read("ZINTER", -3, Group::SortedSet, |view, args, reply| {
        algebra::combine(view, args, reply, Operation::Intersection)
    })
    .keys(counted(None, 1))
    .flag(flag::MOVABLE_KEYS)
    .doc(
        "6.2.0",
        "O(N)+O(M·log(M)), with N elements in and M out",
        "Returns what is in all of the sets.",
    ),
    Command::write("ZINTERSTORE", -4, Group::SortedSet, |view, args, reply| {
        algebra::combine_and_store(view, args, reply, (Operation::Intersection, "zinterstore"))
    })
    .keys(counted(Some(1), 2))
    .flag(flag::DENYOOM | flag::MOVABLE_KEYS)
    .doc(
        "2.0.0",
        "O(N)+O(M·log(M)), with N elements in and M out",
        "Stores what is in all of the sets.",
    ),
    Command::read("ZDIFF", -3, Group::SortedSet, |view, args, reply| {
        algebra::combine(view, args, reply, Operation::Difference)
    })
    .keys(counted(None, 1))
    .flag(flag::MOVABLE_KEYS)
    .doc(
        "6.2.0",
        "O(N)+O(M·log(M)), with N elements in and M out",
        "Returns what is in the first set only.",
    ),
    Command::write("ZDIFFSTORE", -4, Group::SortedSet, |view, args, reply| {
        algebra::combine_and_store(view, args, reply, (Operation::Difference, "zdiffstore"))
    })
    .keys(counted(Some(1), 2))
    .flag(flag::DENYOOM | flag::MOVABLE_KEYS)
    .doc(
        "6.2.0",
        "O(N)+O(M·log(M)), with N elements in and M out",
        "Stores what is in the first set only.",
    ),
    Command::read("ZINTERCARD", -3, Group::SortedSet, algebra::zintercard)
        .keys(counted(None, 1))
        .flag(flag::MOVABLE_KEYS)
        .doc(
            "7.0.0",
            "O(N·K), with K sets, the smallest of N",
            "Counts what is in all of the sets.",
        ),
];
