//! Commands that read the entries of one stream, and what it says of itself.

use darter_storage::{StreamEntry, StreamId, StreamRef};

use super::id::{self, parse_end, parse_start};
use super::trim::NODE_ENTRIES;
use crate::commands::args::Args;
use crate::commands::error::CommandError;
use crate::commands::view::View;
use crate::resp::reply::Reply;

/// An entry and where it is.
pub(super) type Entry<'a> = (StreamId, StreamEntry<'a>);

/// How many entries XINFO STREAM FULL shows if nothing is said.
const FULL_ENTRIES_DEFAULT: usize = 10;

fn write_entry((id, entry): Entry<'_>, reply: &mut dyn Reply) {
    reply.array(2);
    id::write(id, reply);
    reply.array(2 * entry.fields().count());
    for (field, value) in entry.fields() {
        reply.bulk(field);
        reply.bulk(value);
    }
}

/// Writes entries as an array.
pub(super) fn write_entries<'a>(entries: impl Iterator<Item = Entry<'a>>, reply: &mut dyn Reply) {
    let entries: Vec<Entry<'a>> = entries.collect();
    reply.array(entries.len());
    entries
        .into_iter()
        .for_each(|entry| write_entry(entry, reply));
}

pub(super) fn xlen(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let length = view.stream(&args[1])?.map_or(0, |stream| stream.len());
    reply.integer(length as i64);
    Ok(())
}

/// XRANGE and XREVRANGE.
pub(super) fn range(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    is_reverse: bool,
) -> Result<(), CommandError> {
    let (start_at, end_at) = if is_reverse { (3, 2) } else { (2, 3) };
    let (start, end) = (parse_start(&args[start_at])?, parse_end(&args[end_at])?);
    let mut count = usize::MAX;
    let mut options = args.options(4);
    while !options.is_empty() {
        if options.left() < 2 || !options.take("COUNT") {
            return Err(CommandError::Syntax);
        }
        count = usize::try_from(options.integer()?).unwrap_or(0);
    }
    let Some(stream) = view.stream(&args[1])? else {
        reply.array(0);
        return Ok(());
    };
    if count == 0 {
        reply.null_array();
        return Ok(());
    }
    if is_reverse {
        let entries = stream.iter_back_from(end);
        let inside = entries.take_while(|(id, _)| *id >= start);
        write_entries(inside.take(count), reply);
    } else {
        let entries = stream.iter_from(start);
        let inside = entries.take_while(|(id, _)| *id <= end);
        write_entries(inside.take(count), reply);
    }
    Ok(())
}

/// XINFO STREAM key FULL [COUNT count]: how many entries to show, if FULL is there.
fn full_entries(args: &Args<'_>) -> Result<Option<usize>, CommandError> {
    let mut options = args.options(3);
    if options.is_empty() {
        return Ok(None);
    }
    let syntax = || {
        CommandError::text(
            "ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.",
        )
    };
    if !options.take("FULL") {
        return Err(syntax());
    }
    if options.is_empty() {
        return Ok(Some(FULL_ENTRIES_DEFAULT));
    }
    if options.left() != 2 || !options.take("COUNT") {
        return Err(syntax());
    }
    Ok(Some(match options.integer()? {
        0 => usize::MAX,
        count => usize::try_from(count).unwrap_or(FULL_ENTRIES_DEFAULT),
    }))
}

fn write_head(stream: StreamRef<'_>, reply: &mut dyn Reply) {
    // Nodes as Redis would have them if nothing had been deleted.
    let nodes = stream.len().div_ceil(NODE_ENTRIES) as i64;
    reply.bulk(b"length");
    reply.integer(stream.len() as i64);
    reply.bulk(b"radix-tree-keys");
    reply.integer(nodes);
    reply.bulk(b"radix-tree-nodes");
    reply.integer(nodes + 1);
    reply.bulk(b"last-generated-id");
    id::write(stream.last_id(), reply);
    reply.bulk(b"max-deleted-entry-id");
    id::write(stream.max_deleted_id(), reply);
    reply.bulk(b"entries-added");
    reply.integer(i64::try_from(stream.entries_added()).unwrap_or(i64::MAX));
    reply.bulk(b"recorded-first-entry-id");
    id::write(stream.first_id(), reply);
}

pub(super) fn info(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let stream = view.stream(&args[2])?.ok_or(CommandError::NoSuchKey)?;
    if let Some(count) = full_entries(args)? {
        reply.map(9);
        write_head(stream, reply);
        reply.bulk(b"entries");
        write_entries(stream.iter_from(StreamId::default()).take(count), reply);
        reply.bulk(b"groups");
        reply.array(0);
        return Ok(());
    }
    reply.map(10);
    write_head(stream, reply);
    reply.bulk(b"groups");
    reply.integer(0);
    let first = stream.iter_from(StreamId::default()).next();
    let last = stream.iter_back_from(id::MAX).next();
    for (name, entry) in [("first-entry", first), ("last-entry", last)] {
        reply.bulk(name.as_bytes());
        match entry {
            Some(entry) => write_entry(entry, reply),
            None => reply.null(),
        }
    }
    Ok(())
}
