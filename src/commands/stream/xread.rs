//! XREAD: the entries of several streams behind given IDs, at once or as soon as there are some.

use darter_storage::StreamId;

use super::id::{self, next, parse_exact};
use super::read::write_entries;
use crate::commands::args::Args;
use crate::commands::error::{CommandError, Wait};
use crate::commands::view::View;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;

/// What XREAD is asked for.
struct Query<'a> {
    /// Entries of each stream.
    count: usize,
    timeout_ms: Option<u64>,
    keys: &'a [&'a [u8]],
    ids: &'a [&'a [u8]],
    /// Where the IDs are among the arguments.
    ids_at: usize,
}

fn timeout_ms(argument: &[u8]) -> Result<u64, CommandError> {
    let timeout = parse_integer(argument).ok_or(CommandError::text(
        "ERR timeout is not an integer or out of range",
    ))?;
    u64::try_from(timeout).map_err(|_| CommandError::text("ERR timeout is negative"))
}

impl<'a> Query<'a> {
    fn read(args: &Args<'a>) -> Result<Query<'a>, CommandError> {
        let (mut count, mut timeout) = (usize::MAX, None);
        let mut options = args.options(1);
        while !options.is_empty() {
            let has_value = options.left() > 1;
            if has_value && options.take("BLOCK") {
                timeout = Some(timeout_ms(options.next()?)?);
            } else if has_value && options.take("COUNT") {
                // None at all, and less, are no limit.
                let wanted = usize::try_from(options.integer()?).unwrap_or(0);
                count = if wanted == 0 { usize::MAX } else { wanted };
            } else if has_value && options.take("STREAMS") {
                let at = options.position();
                let rest = args.from(at);
                let Some((keys, ids)) = rest
                    .len()
                    .is_multiple_of(2)
                    .then(|| rest.split_at(rest.len() / 2))
                else {
                    return Err(CommandError::text(
                        "ERR Unbalanced 'xread' list of streams: for each stream key an ID or \
                         '$' must be specified.",
                    ));
                };
                return Ok(Query {
                    count,
                    timeout_ms: timeout,
                    keys,
                    ids,
                    ids_at: at + keys.len(),
                });
            } else if options.left() > 2 && options.take("GROUP") {
                return Err(CommandError::text(
                    "ERR The GROUP option is only supported by XREADGROUP. You called XREAD \
                     instead.",
                ));
            } else if options.take("NOACK") {
                return Err(CommandError::text(
                    "ERR The NOACK option is only supported by XREADGROUP. You called XREAD \
                     instead.",
                ));
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Err(CommandError::Syntax)
    }

    /// The IDs behind which to read, `$` being the last of its stream now.
    fn resolve(&self, view: &View<'_>) -> Result<Vec<StreamId>, CommandError> {
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
        self.keys.iter().zip(self.ids).map(resolve).collect()
    }

    /// What to wait for, and how to read on: behind what `$` means now.
    fn wait(&self, args: &Args<'_>, ids: &[StreamId], timeout_ms: u64) -> CommandError {
        let mut arguments: Vec<Vec<u8>> = args.all().iter().map(|part| part.to_vec()).collect();
        for (argument, id) in arguments.iter_mut().skip(self.ids_at).zip(ids) {
            *argument = id::format(*id).into_bytes();
        }
        CommandError::WouldBlock(Box::new(Wait {
            keys: self.keys.iter().map(|key| key.to_vec()).collect(),
            timeout_ms,
            arguments: Some(arguments),
        }))
    }
}

pub(super) fn xread(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let query = Query::read(args)?;
    let ids = query.resolve(view)?;
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
            Some(timeout_ms) => Err(query.wait(args, &ids, timeout_ms)),
            None => Ok(()),
        };
    }
    let is_map = reply.protocol() > 2;
    if is_map {
        reply.map(ready.len());
    } else {
        reply.array(ready.len());
    }
    for (key, stream, first) in ready {
        if !is_map {
            reply.array(2);
        }
        reply.bulk(key);
        write_entries(stream.iter_from(first).take(query.count), reply);
    }
    Ok(())
}

/// The keys of XREAD: the first half of what is behind STREAMS.
pub(super) fn keys(args: &Args<'_>) -> Option<Vec<usize>> {
    let query = Query::read(args).ok()?;
    Some((query.ids_at - query.keys.len()..query.ids_at).collect())
}
