//! Commands that read the entries of one stream, and how entries are written.

use darter_storage::{StreamEntry, StreamId};

use super::id::{self, parse_end, parse_start};
use crate::commands::args::Args;
use crate::commands::error::CommandError;
use crate::commands::view::View;
use crate::resp::reply::Reply;

/// An entry and where it is.
pub(super) type Entry<'a> = (StreamId, StreamEntry<'a>);

/// Begins the reply of XREAD and XREADGROUP: so many streams with entries.
pub(super) fn begin_streams(count: usize, reply: &mut dyn Reply) {
    if reply.protocol() > 2 {
        reply.map(count);
    } else {
        reply.array(count);
    }
}

/// Begins one of them; its entries follow.
pub(super) fn begin_stream(key: &[u8], reply: &mut dyn Reply) {
    if reply.protocol() <= 2 {
        reply.array(2);
    }
    reply.bulk(key);
}

pub(super) fn write_entry((id, entry): Entry<'_>, reply: &mut dyn Reply) {
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
