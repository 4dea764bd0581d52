//! Lists.

mod moving;
mod read;
mod take;
mod write;

use darter_storage::ListMut;

use super::args::Args;
use super::command::{Command, Group, Keys, flag};
use super::error::CommandError;

const ALL_BUT_LAST: Keys = Keys::Range {
    first: 1,
    last: -2,
    step: 1,
};

const fn counted(count: usize) -> Keys {
    Keys::Counted {
        destination: None,
        count,
    }
}

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("LPUSH", -3, Group::List, write::lpush)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "1.0.0",
            "O(1) per element",
            "Puts elements before a list's first, one by one.",
        ),
    Command::write("RPUSH", -3, Group::List, write::rpush)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "1.0.0",
            "O(1) per element",
            "Puts elements behind a list's last, one by one.",
        ),
    Command::write("LPUSHX", -3, Group::List, write::lpushx)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "2.2.0",
            "O(1) per element",
            "As LPUSH, if the list is there.",
        ),
    Command::write("RPUSHX", -3, Group::List, write::rpushx)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "2.2.0",
            "O(1) per element",
            "As RPUSH, if the list is there.",
        ),
    Command::write("LPOP", -2, Group::List, take::lpop)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "1.0.0",
            "O(N), with N elements",
            "Takes the first elements of a list.",
        ),
    Command::write("RPOP", -2, Group::List, take::rpop)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "1.0.0",
            "O(N), with N elements",
            "Takes the last elements of a list.",
        ),
    Command::read("LLEN", 2, Group::List, read::llen)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc("1.0.0", "O(1)", "Counts the elements of a list."),
    Command::read("LRANGE", 4, Group::List, read::lrange)
        .keys(Keys::FIRST)
        .doc(
            "1.0.0",
            "O(log(L)+N), with N elements of L",
            "Returns a stretch of a list.",
        ),
    Command::read("LINDEX", 3, Group::List, read::lindex)
        .keys(Keys::FIRST)
        .doc("1.0.0", "O(log(N))", "Returns the element at a position."),
    Command::read("LPOS", -3, Group::List, read::lpos)
        .keys(Keys::FIRST)
        .doc(
            "6.0.6",
            "O(N), with N elements compared",
            "Finds where an element is in a list.",
        ),
    Command::write("LSET", 4, Group::List, write::lset)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM)
        .doc("1.0.0", "O(log(N))", "Replaces the element at a position."),
    Command::write("LINSERT", 5, Group::List, write::linsert)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM)
        .doc(
            "2.2.0",
            "O(N), with N elements compared",
            "Puts an element next to another.",
        ),
    Command::write("LREM", 4, Group::List, write::lrem)
        .keys(Keys::FIRST)
        .doc("1.0.0", "O(N)", "Removes elements that equal a given one."),
    Command::write("LTRIM", 4, Group::List, write::ltrim)
        .keys(Keys::FIRST)
        .doc(
            "1.0.0",
            "O(N), with N elements removed",
            "Removes all but a stretch of a list.",
        ),
    Command::write("LMOVE", 5, Group::List, moving::lmove)
        .keys(Keys::FIRST_TWO)
        .flag(flag::DENYOOM)
        .doc(
            "6.2.0",
            "O(1)",
            "Takes an element at one end and puts it at an end of a list.",
        ),
    Command::write("RPOPLPUSH", 3, Group::List, moving::rpoplpush)
        .keys(Keys::FIRST_TWO)
        .flag(flag::DENYOOM)
        .doc(
            "1.2.0",
            "O(1)",
            "Moves the last element of a list to the start of another.",
        ),
    Command::write("LMPOP", -4, Group::List, take::lmpop)
        .keys(counted(1))
        .flag(flag::MOVABLE_KEYS)
        .doc(
            "7.0.0",
            "O(N+M), with N keys and M elements",
            "Takes elements of the first list that has any.",
        ),
    Command::write("BLPOP", -3, Group::List, take::blpop)
        .keys(ALL_BUT_LAST)
        .flag(flag::BLOCKING)
        .doc(
            "2.0.0",
            "O(N), with N keys",
            "Takes a first element, as soon as there is one.",
        ),
    Command::write("BRPOP", -3, Group::List, take::brpop)
        .keys(ALL_BUT_LAST)
        .flag(flag::BLOCKING)
        .doc(
            "2.0.0",
            "O(N), with N keys",
            "Takes a last element, as soon as there is one.",
        ),
    Command::write("BLMOVE", 6, Group::List, moving::blmove)
        .keys(Keys::FIRST_TWO)
        .flag(flag::DENYOOM | flag::BLOCKING)
        .doc("6.2.0", "O(1)", "As LMOVE, as soon as there is an element."),
    Command::write("BRPOPLPUSH", 4, Group::List, moving::brpoplpush)
        .keys(Keys::FIRST_TWO)
        .flag(flag::DENYOOM | flag::BLOCKING)
        .doc(
            "2.2.0",
            "O(1)",
            "As RPOPLPUSH, as soon as there is an element.",
        ),
    Command::write("BLMPOP", -5, Group::List, take::blmpop)
        .keys(counted(2))
        .flag(flag::BLOCKING | flag::MOVABLE_KEYS)
        .doc(
            "7.0.0",
            "O(N+M), with N keys and M elements",
            "As LMPOP, as soon as there is an element.",
        ),
];

/// One of the two ends of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Left,
    Right,
}

impl End {
    fn read(args: &Args<'_>, index: usize) -> Result<End, CommandError> {
        if args.is(index, "LEFT") {
            Ok(End::Left)
        } else if args.is(index, "RIGHT") {
            Ok(End::Right)
        } else {
            Err(CommandError::Syntax)
        }
    }

    /// The event of a push at this end.
    fn pushed(self) -> &'static str {
        match self {
            End::Left => "lpush",
            End::Right => "rpush",
        }
    }

    /// The event of elements taken from this end.
    fn popped(self) -> &'static str {
        match self {
            End::Left => "lpop",
            End::Right => "rpop",
        }
    }

    fn push(self, list: &mut ListMut<'_>, element: &[u8]) {
        match self {
            End::Left => list.push_front(element),
            End::Right => list.push_back(element),
        }
    }

    fn pop(self, list: &mut ListMut<'_>) -> Option<Vec<u8>> {
        match self {
            End::Left => list.pop_front(),
            End::Right => list.pop_back(),
        }
    }
}
