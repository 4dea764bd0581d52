//! What is known of keys beside their values: OBJECT.

use darter_storage::{SetEncoding, StringRef, ValueRef};

use super::args::Args;
use super::command::{Command, Group, Keys, write_help};
use super::error::CommandError;
use super::view::View;
use crate::clients::Context;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[Command::container("OBJECT", Group::Generic, OBJECT).doc(
    "2.2.3",
    "Depends on the subcommand",
    "A container for commands on what is known of keys.",
)];

const KEY: Keys = Keys::Range {
    first: 2,
    last: 2,
    step: 1,
};

const OBJECT: &[Command] = &[
    Command::read("ENCODING", 3, Group::Generic, encoding)
        .keys(KEY)
        .doc(
            "2.2.3",
            "O(1)",
            "Returns how Redis would keep the value of a key.",
        ),
    Command::read("FREQ", 3, Group::Generic, freq)
        .keys(KEY)
        .doc(
            "4.0.0",
            "O(1)",
            "Refused: how often keys are used is not counted.",
        ),
    Command::client("HELP", 2, Group::Generic, object_help).doc(
        "6.2.0",
        "O(1)",
        "Describes the subcommands.",
    ),
    Command::read("IDLETIME", 3, Group::Generic, idletime)
        .keys(KEY)
        .doc(
            "2.2.3",
            "O(1)",
            "Returns how many seconds ago a key was last written or touched.",
        ),
    Command::read("REFCOUNT", 3, Group::Generic, refcount)
        .keys(KEY)
        .doc(
            "2.2.3",
            "O(1)",
            "Returns 1: values are not shared between keys.",
        ),
];

type Done = Result<(), CommandError>;

/// The longest string that Redis keeps in one piece with its header.
const EMBEDDED_BYTES_MAX: usize = 44;
fn string_encoding(string: StringRef<'_>) -> &'static str {
    if string.is_raw() || string.len() > EMBEDDED_BYTES_MAX {
        "raw"
    } else if string.as_slice().and_then(parse_integer).is_some() {
        "int"
    } else {
        "embstr"
    }
}

/// How Redis would keep a value.
pub(super) fn encoding_name(value: ValueRef<'_>) -> &'static str {
    match value {
        ValueRef::String(string) => string_encoding(string),
        ValueRef::List(list) if list.is_compact() => "listpack",
        ValueRef::List(_) => "quicklist",
        ValueRef::Set(set) => match set.encoding() {
            SetEncoding::IntSet => "intset",
            SetEncoding::ListPack => "listpack",
            SetEncoding::HashTable => "hashtable",
        },
        ValueRef::SortedSet(set) if set.is_compact() => "listpack",
        ValueRef::SortedSet(_) => "skiplist",
        ValueRef::Hash(hash) if hash.is_compact() => "listpack",
        ValueRef::Hash(_) => "hashtable",
        ValueRef::Stream(_) => "stream",
    }
}

fn encoding(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    match view.peek(&args[2])? {
        Some(value) => reply.bulk(encoding_name(value).as_bytes()),
        None => reply.null(),
    }
    Ok(())
}

fn refcount(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    match view.peek(&args[2])?.is_some() {
        true => reply.integer(1),
        false => reply.null(),
    }
    Ok(())
}

fn idletime(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    if view.peek(&args[2])?.is_none() {
        reply.null();
        return Ok(());
    }
    let now_s = view.now_ms() / 1000;
    // A key that only this transaction has written is in use now.
    let touched_s = view
        .reader()
        .touched_s(view.database, &args[2])
        .unwrap_or(now_s);
    reply.integer(now_s.saturating_sub(touched_s) as i64);
    Ok(())
}

fn freq(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    if view.peek(&args[2])?.is_none() {
        reply.null();
        return Ok(());
    }
    Err(CommandError::text(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note \
         that when switching between policies at runtime LRU and LFU data will take some time to \
         adjust.",
    ))
}

fn object_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    write_help("OBJECT", OBJECT, reply);
    Ok(())
}
