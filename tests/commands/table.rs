//! What the table says of commands, against what a real Redis says.

use std::collections::BTreeSet;

use darter::commands::command::{Command, Keys, flag};
use darter::commands::table;

use crate::support::check::compare;
use crate::support::client::Reply;
use crate::support::redis::Redis;

const COMPARED: u32 = flag::WRITE
    | flag::READONLY
    | flag::DENYOOM
    | flag::FAST
    | flag::BLOCKING
    | flag::NOSCRIPT
    | flag::ADMIN
    | flag::PUBSUB
    | flag::NO_AUTH
    | flag::NO_MULTI
    | flag::MOVABLE_KEYS;

fn names(flags: u32) -> BTreeSet<String> {
    let known = flag::NAMES
        .iter()
        .filter(|(bit, _)| flags & COMPARED & bit != 0);
    known.map(|(_, name)| (*name).into()).collect()
}

fn words(reply: &Reply) -> BTreeSet<String> {
    reply.clone().elements().iter().map(Reply::render).collect()
}

fn integer(reply: &Reply) -> i64 {
    match reply {
        Reply::Integer(value) => *value,
        other => panic!("an integer: {other:?}"),
    }
}

/// First, last and step, where the command's keys are a range.
fn range(command: &Command) -> Option<(i64, i64, i64)> {
    match command.keys {
        Keys::None => Some((0, 0, 0)),
        Keys::Range { first, last, step } => Some((first as i64, last as i64, step as i64)),
        Keys::Counted {
            destination: None, ..
        } => Some((0, 0, 0)),
        Keys::FirstAnd(_) => Some((1, 1, 1)),
        Keys::Counted { .. } | Keys::Custom(_) => None,
    }
}

fn difference(command: &Command, info: &[Reply]) -> Option<String> {
    let arity = integer(&info[1]);
    let flags: BTreeSet<_> = words(&info[2])
        .intersection(&names(COMPARED))
        .cloned()
        .collect();
    let keys = (integer(&info[3]), integer(&info[4]), integer(&info[5]));
    let categories = words(&info[6]);
    let own_categories: BTreeSet<_> = command.categories().into_iter().collect();
    let mut text = String::new();
    if arity != i64::from(command.arity) {
        text += &format!(" arity {arity}, not {}", command.arity);
    }
    if flags != names(command.flags) {
        text += &format!(" flags {flags:?}, not {:?}", names(command.flags));
    }
    if range(command).is_some_and(|own| own != keys) {
        text += &format!(" keys {keys:?}, not {:?}", range(command));
    }
    if categories != own_categories {
        text += &format!(" categories {categories:?}, not {own_categories:?}");
    }
    (!text.is_empty()).then_some(text)
}

/// What 7.2 describes otherwise than the 7.0 that is compared with: blocking commands are allowed
/// in scripts, ZRANK has an option more, COMMAND GETKEYS takes a command without arguments.
const CHANGED_SINCE: &[&str] = &[
    "blpop",
    "brpop",
    "blmove",
    "brpoplpush",
    "bzpopmin",
    "bzpopmax",
    "wait",
    "zrank",
    "zrevrank",
    "command|getkeys",
    "command|getkeysandflags",
];

/// What is described otherwise on purpose.
const OTHERWISE: &[(&str, &str)] = &[
    ("spublish", "shard channels are keys of a cluster only"),
    ("ssubscribe", "as SPUBLISH"),
    ("sunsubscribe", "as SPUBLISH"),
    (
        "monitor",
        "is refused by MULTI, where Redis refuses it at EXEC",
    ),
    ("pubsub|help", "is of the category of its group"),
    ("role", "is no command for the operator alone"),
    ("script|kill", "takes the script's SHA-1"),
];

#[test]
fn commands_are_described_as_in_redis() {
    let Some(redis) = Redis::start() else { return };
    let mut client = redis.client();
    let mut differences = String::new();
    for entry in table::all() {
        let name = entry.full_name();
        let is_otherwise = OTHERWISE.iter().any(|(known, _)| *known == name);
        let has_changed = CHANGED_SINCE.contains(&name.as_str());
        if entry.command.has(flag::ABSENT) || is_otherwise || has_changed {
            continue;
        }
        let info = client
            .call(&["COMMAND", "INFO", &name])
            .elements()
            .remove(0);
        // A command of a later version than the Redis at hand.
        if info == Reply::Null {
            continue;
        }
        if let Some(difference) = difference(entry.command, &info.elements()) {
            differences += &format!("{name}:{difference}\n");
        }
    }
    assert!(differences.is_empty(), "Redis has\n{differences}");
}

#[test]
fn keys_are_counted_as_in_redis() {
    compare(
        "COMMAND GETKEYS ZUNION 2 a b c
        COMMAND GETKEYS ZUNION 0 a
        COMMAND GETKEYS ZUNION 2 a
        COMMAND GETKEYS ZUNIONSTORE d 0 a
        COMMAND GETKEYS SINTERCARD -1 a
        COMMAND GETKEYS BLMPOP 1 0 a LEFT
        COMMAND GETKEYS EVAL x 0 a
        COMMAND GETKEYS EVAL x 5 a
        COMMAND GETKEYS EVAL x -1 a
        COMMAND GETKEYS FCALL_RO x 5 a",
    );
}

#[test]
fn wrong_arguments_are_named_as_in_redis() {
    compare(
        "PUBSUB CHANNELS a b
        PUBSUB SHARDCHANNELS a b
        SELECT 9223372036854775807
        SELECT 2147483648
        SELECT 16
        NOSUCHCOMMANDOFANYNAMETHATISQUITELONG aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b
        NOSUCH abc abc abc abc abc abc abc abc abc abc abc abc abc abc abc abc abc abc abc abc abc abc abc abc
        NOSUCH aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b",
    );
}

#[test]
fn subcommands_of_command_are_known_when_they_are_queued() {
    compare(
        "MULTI; COMMAND COUNT x; EXEC
        MULTI; COMMAND nonsense; EXEC
        COMMAND COUNT x; COMMAND nonsense x; COMMAND GETKEYS
        EVAL 'return redis.pcall(\\'COMMAND\\', \\'COUNT\\', \\'x\\')' 0
        EVAL 'return redis.pcall(\\'COMMAND\\', \\'nonsense\\')' 0
        EVAL 'return redis.pcall(\\'COMMAND\\', \\'GETKEYS\\', \\'GET\\', \\'k\\')' 0",
    );
}
