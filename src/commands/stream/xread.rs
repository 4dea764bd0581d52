//! XREAD: the entries of several streams behind given IDs, at once or as soon as there are some.

use darter_storage::StreamId;

use super::id::{self, next, parse_exact};
use super::query::{Query, Reads};
use super::read::{begin_stream, begin_streams, write_entries};
use crate::commands::args::Args;
use crate::commands::error::{CommandError, Wait};
use crate::commands::view::View;
use crate::resp::reply::Reply;

/// The IDs behind which to read, `$` being the last of its stream now.
fn resolve(query: &Query<'_>, view: &View<'_>) -> Result<Vec<StreamId>, CommandError> {
    let resolve = |(key, id): (&&[u8], &&[u8])| {
        let stream = view.stream(key)?;
        match *id {
            b"$" => Ok(stream.map_or(StreamId::default(), |stream| stream.last_id())),
            b">" => Err(CommandError::text(
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP \
                 <group> <consumer> option.",
            )),
            id => parse_exact(id, 0),
        }
    };
    query.keys.iter().zip(query.ids).map(resolve).collect()
}

/// What to wait for, and how to read on: behind what `$` means now.
fn wait(query: &Query<'_>, args: &Args<'_>, ids: &[StreamId], timeout_ms: u64) -> CommandError {
    let mut arguments: Vec<Vec<u8>> = args.all().iter().map(|part| part.to_vec()).collect();
    for (argument, id) in arguments.iter_mut().skip(query.ids_at).zip(ids) {
        *argument = id::format(*id).into_bytes();
    }
    CommandError::WouldBlock(Box::new(Wait {
        keys: query.kept_keys(),
        timeout_ms,
        arguments: Some(arguments),
        group: None,
    }))
}

pub(super) fn xread(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let query = Query::read(args, Reads::Alone, !view.is_in_script())?;
    let ids = resolve(&query, view)?;
    let mut ready = Vec::new();
    for (key, id) in query.keys.iter().zip(&ids) {
        // Behind the largest ID there is nothing.
        if let (Some(stream), Some(first)) = (view.stream(key)?, next(*id))
            && stream.iter_from(first).next().is_some()
        {
            ready.push((key, stream, first));
        }
    }
    if ready.is_empty() {
        reply.null_array();
        return match query.timeout_ms {
            Some(timeout_ms) => Err(wait(&query, args, &ids, timeout_ms)),
            None => Ok(()),
        };
    }
    begin_streams(ready.len(), reply);
    for (key, stream, first) in ready {
        begin_stream(key, reply);
        write_entries(stream.iter_from(first).take(query.count), reply);
    }
    Ok(())
}

/// The keys of XREAD: the first half of what is behind STREAMS.
pub(super) fn keys(args: &Args<'_>) -> Option<Vec<usize>> {
    let query = Query::read(args, Reads::Alone, true).ok()?;
    Some(query.key_positions())
}
