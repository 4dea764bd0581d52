//! Ranges of keys, in key order: what no hash table has.

use darter_storage::{ValueRef, prefix_end};

use super::args::Args;
use super::command::{Command, Group, flag};
use super::error::CommandError;
use super::key::type_name;
use super::view::{View, write_string};
use crate::resp::reply::Reply;

/// Keys that are taken from the keyspace at once.
const BATCH: usize = 4096;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::read("KEYRANGE", -3, Group::Generic, key_range)
        .flag(flag::WHOLE_KEYSPACE)
        .doc(
            "7.2.0",
            "O(log N + M), with N keys and M of them in the range",
            "Returns the keys between two bounds, written as ZRANGEBYLEX takes them, in order.",
        ),
    Command::read("KEYCOUNT", 2, Group::Generic, key_count)
        .flag(flag::WHOLE_KEYSPACE)
        .doc(
            "7.2.0",
            "O(log N + M), with N keys and M of them that have the prefix",
            "Counts the keys that begin with a prefix.",
        ),
];

type Done = Result<(), CommandError>;

/// The first key behind `key`.
fn behind(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// Where a range begins; `None`: nowhere.
fn lower(bound: &[u8]) -> Result<Option<Vec<u8>>, CommandError> {
    match bound {
        b"-" => Ok(Some(Vec::new())),
        b"+" => Ok(None),
        [b'[', key @ ..] => Ok(Some(key.to_vec())),
        [b'(', key @ ..] => Ok(Some(behind(key))),
        _ => Err(NOT_A_RANGE),
    }
}

/// The first key behind a range; the outer `None`: there is nothing before it, the inner: no key is
/// behind it.
fn upper(bound: &[u8]) -> Result<Option<Option<Vec<u8>>>, CommandError> {
    match bound {
        b"-" => Ok(None),
        b"+" => Ok(Some(None)),
        [b'[', key @ ..] => Ok(Some(Some(behind(key)))),
        [b'(', key @ ..] => Ok(Some(Some(key.to_vec()))),
        _ => Err(NOT_A_RANGE),
    }
}

const NOT_A_RANGE: CommandError = CommandError::text("ERR min or max not valid string range item");

/// Calls `visit` with the keys from `from` to before `until`, in order, until it answers `false`.
fn walk(
    view: &View<'_>,
    mut from: Vec<u8>,
    until: Option<&[u8]>,
    batch: usize,
    mut visit: impl FnMut(&[u8]) -> Result<bool, CommandError>,
) -> Done {
    loop {
        let keys = view.reader().keys(view.database, &from, until, batch)?;
        for key in &keys {
            if !visit(key)? {
                return Ok(());
            }
        }
        match keys.last() {
            Some(last) if keys.len() == batch => from = behind(last),
            _ => return Ok(()),
        }
    }
}

#[derive(Default)]
struct Options<'a> {
    limit: Option<usize>,
    kind: Option<&'a [u8]>,
    with_values: bool,
}

fn options<'a>(args: &Args<'a>) -> Result<Options<'a>, CommandError> {
    let mut parsed = Options::default();
    let mut options = args.options(3);
    while !options.is_empty() {
        if options.take("WITHVALUES") {
            parsed.with_values = true;
        } else if options.take("LIMIT") {
            let limit = options.integer()?;
            parsed.limit = Some(usize::try_from(limit).map_err(|_| CommandError::NotPositive)?);
        } else if options.take("TYPE") {
            parsed.kind = Some(options.next()?);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(parsed)
}

/// The keys of the range that are of the wanted type, as many as are wanted.
fn found(
    view: &View<'_>,
    bounds: (Vec<u8>, Option<&[u8]>),
    options: &Options<'_>,
) -> Result<Vec<Box<[u8]>>, CommandError> {
    let limit = options.limit.unwrap_or(usize::MAX);
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    // All that is read is compared: no more than is wanted, where every key is.
    let batch = if options.kind.is_none() {
        limit.min(BATCH)
    } else {
        BATCH
    };
    let mut bytes = 0;
    walk(view, bounds.0, bounds.1, batch, |key| {
        let is_wanted = match options.kind {
            None => true,
            Some(wanted) => view
                .kind(key)?
                .is_some_and(|kind| type_name(kind).as_bytes().eq_ignore_ascii_case(wanted)),
        };
        if is_wanted {
            bytes += key.len() + size_of::<Box<[u8]>>();
            found.push(key.into());
        }
        Ok(found.len() < limit)
    })?;
    view.check_room_to_read(bytes)?;
    Ok(found)
}

fn key_range(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let options = options(args)?;
    let (from, until) = (lower(&args[1])?, upper(&args[2])?);
    let found = match (from, &until) {
        (Some(from), Some(until)) => found(view, (from, until.as_deref()), &options)?,
        _ => Vec::new(),
    };
    if !options.with_values {
        reply.array(found.len());
        found.iter().for_each(|key| reply.bulk(key));
        return Ok(());
    }
    reply.map(found.len());
    for key in &found {
        reply.bulk(key);
        match view.get_unnamed(key)? {
            Some(ValueRef::String(value)) => write_string(value, reply),
            // As in MGET: what is no string has no value here.
            _ => reply.null(),
        }
    }
    Ok(())
}

fn key_count(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let prefix = &args[1];
    let mut count = 0;
    walk(
        view,
        prefix.to_vec(),
        prefix_end(prefix).as_deref(),
        BATCH,
        |_| {
            count += 1;
            Ok(true)
        },
    )?;
    reply.integer(count);
    Ok(())
}
