//! Commands that change streams.

use darter_storage::StreamId;

use super::id::{self, NewId, parse_exact};
use super::trim::{Trim, node_entries};
use crate::commands::args::Args;
use crate::commands::error::CommandError;
use crate::commands::view::View;
use crate::notifications::class;
use crate::resp::reply::Reply;

const NOT_ABOVE: CommandError = CommandError::text(
    "ERR The ID specified in XADD is equal or smaller than the target stream top item",
);
const BELOW_TOP: CommandError =
    CommandError::text("ERR The ID specified in XSETID is smaller than the target stream top item");

/// What XADD is asked for besides the fields, and where these begin.
struct Add {
    makes_stream: bool,
    trim: Trim,
    id: NewId,
    fields_at: usize,
}

impl Add {
    fn read(args: &Args<'_>) -> Result<Add, CommandError> {
        let (mut makes_stream, mut trim) = (true, Trim::default());
        let mut options = args.options(2);
        loop {
            if trim.take(&mut options)? {
                continue;
            }
            if options.take("NOMKSTREAM") {
                makes_stream = false;
                continue;
            }
            // An ID is the last that Redis reads before it looks at the options together.
            let id = match options.next() {
                Ok(id) => NewId::parse(id)?,
                Err(_) => NewId::Any,
            };
            trim.check(false)?;
            return Ok(Add {
                makes_stream,
                trim,
                id,
                fields_at: options.position(),
            });
        }
    }
}

pub(super) fn xadd(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let add = Add::read(args)?;
    let (fields, rest) = args.from(add.fields_at).as_chunks::<2>();
    if fields.is_empty() || !rest.is_empty() {
        return Err(CommandError::Arity("xadd".into()));
    }
    if add.id == NewId::Exact(StreamId::default()) {
        return Err(CommandError::text(
            "ERR The ID specified in XADD must be greater than 0-0",
        ));
    }
    let key = &args[1];
    let last = view.stream(key)?.map(|stream| stream.last_id());
    if last.is_none() && !add.makes_stream {
        reply.null();
        return Ok(());
    }
    let last = last.unwrap_or_default();
    if last == id::MAX {
        return Err(CommandError::text(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let id = add.id.resolve(last, view.now_ms()).ok_or(NOT_ABOVE)?;
    let fields: Vec<(&[u8], &[u8])> = fields
        .iter()
        .map(|[field, value]| (*field, *value))
        .collect();
    let node_entries = node_entries(view.services);
    let mut stream = view.stream_or_new(key)?;
    if !stream.append(id, &fields) {
        return Err(NOT_ABOVE);
    }
    let trimmed = add.trim.apply(&mut stream, node_entries);
    view.notify(class::STREAM, "xadd", key);
    if trimmed > 0 {
        view.notify(class::STREAM, "xtrim", key);
    }
    id::write(id, reply);
    Ok(())
}

pub(super) fn xtrim(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let mut trim = Trim::default();
    let mut options = args.options(2);
    while !options.is_empty() {
        if !trim.take(&mut options)? {
            return Err(CommandError::Syntax);
        }
    }
    trim.check(true)?;
    let node_entries = node_entries(view.services);
    let removed = match view.stream_mut(&args[1])? {
        Some(mut stream) => trim.apply(&mut stream, node_entries),
        None => 0,
    };
    if removed > 0 {
        view.notify(class::STREAM, "xtrim", &args[1]);
    }
    reply.integer(removed as i64);
    Ok(())
}

pub(super) fn xdel(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let mut removed = 0;
    if let Some(mut stream) = view.stream_mut(&args[1])? {
        // All IDs are read before any goes.
        let ids: Vec<StreamId> = args
            .from(2)
            .iter()
            .map(|id| parse_exact(id, 0))
            .collect::<Result<_, _>>()?;
        for id in ids {
            removed += i64::from(stream.remove(id));
        }
    }
    if removed > 0 {
        view.notify(class::STREAM, "xdel", &args[1]);
    }
    reply.integer(removed);
    Ok(())
}

/// The options of XSETID: how many entries have been added, and the largest ID deleted.
fn setid_options(
    args: &Args<'_>,
    last_id: StreamId,
) -> Result<(Option<u64>, Option<StreamId>), CommandError> {
    let (mut entries_added, mut max_deleted_id) = (None, None);
    let mut options = args.options(3);
    while !options.is_empty() {
        if options.left() > 1 && options.take("ENTRIESADDED") {
            let added = options.integer()?;
            let added = u64::try_from(added)
                .map_err(|_| CommandError::text("ERR entries_added must be positive"))?;
            entries_added = Some(added);
        } else if options.left() > 1 && options.take("MAXDELETEDID") {
            let deleted = parse_exact(options.next()?, 0)?;
            if last_id < deleted {
                return Err(CommandError::text(
                    "ERR The ID specified in XSETID is smaller than the provided \
                     max_deleted_entry_id",
                ));
            }
            max_deleted_id = Some(deleted).filter(|id| *id != StreamId::default());
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok((entries_added, max_deleted_id))
}

pub(super) fn xsetid(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let last_id = parse_exact(&args[2], 0)?;
    let (entries_added, max_deleted_id) = setid_options(args, last_id)?;
    let mut stream = view.stream_mut(&args[1])?.ok_or(CommandError::NoSuchKey)?;
    let now = stream.as_ref();
    if last_id < now.max_deleted_id() {
        return Err(CommandError::text(
            "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ));
    }
    if let Some((top, _)) = now.iter_back_from(id::MAX).next() {
        if last_id < top {
            return Err(BELOW_TOP);
        }
        if entries_added.is_some_and(|added| added < now.len() as u64) {
            return Err(CommandError::text(
                "ERR The entries_added specified in XSETID is smaller than the target stream \
                 length",
            ));
        }
    }
    if !stream.set_last_id(last_id, entries_added, max_deleted_id) {
        return Err(BELOW_TOP);
    }
    view.notify(class::STREAM, "xsetid", &args[1]);
    reply.status("OK");
    Ok(())
}
