//! XGROUP: groups of consumers, made and removed.

use darter_storage::StreamMut;

use super::id::{parse, parse_exact};
use crate::commands::args::Args;
use crate::commands::command::unknown_option;
use crate::commands::error::CommandError;
use crate::commands::view::View;
use crate::notifications::class;
use crate::resp::reply::Reply;

type Done = Result<(), CommandError>;

const NO_KEY: CommandError = CommandError::text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to \
     use the MKSTREAM option to create an empty stream automatically.",
);
/// With every option, and the one with a value.
const CREATE_ARGUMENTS_MAX: usize = 8;
const SETID_ARGUMENTS_MAX: usize = 7;

/// The error of a command that names a group which is not there. `place` is what else it says.
pub(super) fn no_group(key: &[u8], group: &[u8], place: &str) -> CommandError {
    let end = format!("'{place}");
    let parts: [&[u8]; 5] = [
        b"NOGROUP No such key '",
        key,
        b"' or consumer group '",
        group,
        end.as_bytes(),
    ];
    CommandError::Text(parts.concat().into())
}

/// The same where the key must be there.
pub(super) fn no_group_of_key(key: &[u8], group: &[u8]) -> CommandError {
    let parts: [&[u8]; 5] = [
        b"NOGROUP No such consumer group '",
        group,
        b"' for key name '",
        key,
        b"'",
    ];
    CommandError::Text(parts.concat().into())
}

/// What CREATE and SETID are asked for besides the ID.
struct Asked {
    makes_stream: bool,
    entries_read: Option<u64>,
}

impl Asked {
    fn read(args: &Args<'_>, is_create: bool) -> Result<Asked, CommandError> {
        let mut asked = Asked {
            makes_stream: false,
            entries_read: None,
        };
        let mut options = args.options(5);
        while !options.is_empty() {
            if is_create && options.take("MKSTREAM") {
                asked.makes_stream = true;
            } else if options.left() > 1 && options.take("ENTRIESREAD") {
                asked.entries_read = match options.integer()? {
                    -1 => None,
                    read => Some(u64::try_from(read).map_err(|_| {
                        CommandError::text("ERR value for ENTRIESREAD must be positive or -1")
                    })?),
                };
            } else {
                return Err(unknown_option(args));
            }
        }
        Ok(asked)
    }
}

/// Tells of a consumer that is about to come to be by being named.
pub(super) fn notify_consumer(
    view: &View<'_>,
    key: &[u8],
    (group, consumer): (&[u8], &[u8]),
) -> Done {
    if view.services.config.notified() & class::STREAM == 0 {
        return Ok(());
    }
    let group = view.stream(key)?.and_then(|stream| stream.group(group));
    if group.is_some_and(|group| group.consumer(consumer).is_none()) {
        view.notify(class::STREAM, "xgroup-createconsumer", key);
    }
    Ok(())
}

pub(super) fn create(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let asked = Asked::read(args, true)?;
    let last_id = view.stream(&args[2])?.map(|stream| stream.last_id());
    if last_id.is_none() && !asked.makes_stream {
        return Err(NO_KEY);
    }
    if args.len() > CREATE_ARGUMENTS_MAX {
        return Err(unknown_option(args));
    }
    let id = match &args[4] {
        b"$" => last_id.unwrap_or_default(),
        id => parse_exact(id, 0)?,
    };
    let mut stream = view.stream_or_new(&args[2])?;
    if !stream.create_group(&args[3], id, asked.entries_read) {
        return Err(CommandError::text(
            "BUSYGROUP Consumer Group name already exists",
        ));
    }
    view.notify(class::STREAM, "xgroup-create", &args[2]);
    reply.status("OK");
    Ok(())
}

/// The stream whose group a subcommand is about; it must be there.
fn stream_of<'v>(view: &'v mut View<'_>, args: &Args<'_>) -> Result<StreamMut<'v>, CommandError> {
    view.stream_mut(&args[2])?.ok_or(NO_KEY)
}

pub(super) fn set_id(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let asked = Asked::read(args, false)?;
    let mut stream = stream_of(view, args)?;
    let last_id = stream.as_ref().last_id();
    let Some(mut group) = stream.group_mut(&args[3]) else {
        return Err(no_group_of_key(&args[2], &args[3]));
    };
    if args.len() > SETID_ARGUMENTS_MAX {
        return Err(unknown_option(args));
    }
    let id = match &args[4] {
        b"$" => last_id,
        id => parse(id, 0)?,
    };
    group.set_position(id, asked.entries_read);
    view.notify(class::STREAM, "xgroup-setid", &args[2]);
    reply.status("OK");
    Ok(())
}

pub(super) fn destroy(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let was_there = stream_of(view, args)?.destroy_group(&args[3]);
    if was_there {
        view.notify(class::STREAM, "xgroup-destroy", &args[2]);
    }
    reply.integer(i64::from(was_there));
    Ok(())
}

pub(super) fn create_consumer(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let now_ms = view.now_ms();
    let mut stream = stream_of(view, args)?;
    let Some(mut group) = stream.group_mut(&args[3]) else {
        return Err(no_group_of_key(&args[2], &args[3]));
    };
    let is_new = group.create_consumer(&args[4], now_ms);
    if is_new {
        view.notify(class::STREAM, "xgroup-createconsumer", &args[2]);
    }
    reply.integer(i64::from(is_new));
    Ok(())
}

pub(super) fn delete_consumer(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let mut stream = stream_of(view, args)?;
    let Some(mut group) = stream.group_mut(&args[3]) else {
        return Err(no_group_of_key(&args[2], &args[3]));
    };
    let pending = group.delete_consumer(&args[4]);
    if pending.is_some() {
        view.notify(class::STREAM, "xgroup-delconsumer", &args[2]);
    }
    let pending = pending.unwrap_or(0);
    reply.integer(pending as i64);
    Ok(())
}
