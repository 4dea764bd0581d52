//! What a key holds as bytes, for other keys and other servers: DUMP and RESTORE.

use darter_storage::{Deadline, ValueRef};

use super::args::Args;
use super::command::{Command, Group, Keys, flag};
use super::error::CommandError;
use super::view::{self, View};
use crate::notifications::class;
use crate::rdb;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::read("DUMP", 2, Group::Generic, dump)
        .keys(Keys::FIRST)
        .doc(
            "2.6.0",
            "O(N), with N bytes of the value",
            "Returns what a key holds as a payload for RESTORE.",
        ),
    Command::write("RESTORE", -4, Group::Generic, restore)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::DANGEROUS)
        .doc(
            "2.6.0",
            "O(N·log(N)), with N bytes of the value",
            "Puts what a payload holds in a key (REPLACE: whatever is there), whole or not at all.",
        ),
];

type Done = Result<(), CommandError>;

/// A payload that grows, and the reply that it is copied to, for each byte of the value.
const COPIES: usize = 3;

const BUSY_KEY: CommandError = CommandError::text("BUSYKEY Target key name already exists.");

fn refused(error: rdb::Error) -> CommandError {
    match error {
        rdb::Error::OutOfMemory => CommandError::OutOfMemory,
        error => CommandError::err(error.to_string()),
    }
}

/// The payload of a value.
pub(super) fn payload(view: &View<'_>, value: ValueRef<'_>) -> Result<Vec<u8>, CommandError> {
    view.check_room_to_read(value.memory_bytes().saturating_mul(COPIES))?;
    rdb::save(value).map_err(refused)
}

fn dump(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    match view.get(&args[1])? {
        Some(value) => reply.bulk(&payload(view, value)?),
        None => reply.null(),
    }
    Ok(())
}

/// What RESTORE is asked for besides key, time and payload.
#[derive(Default)]
struct Options {
    replaces: bool,
    /// Whether the time is one since 1970.
    is_absolute: bool,
}

impl Options {
    /// IDLETIME and FREQ say what to evict first; they are checked, and ignored, since nothing is
    /// evicted.
    fn read(args: &Args<'_>) -> Result<Options, CommandError> {
        let mut read = Options::default();
        let (mut has_idle_time, mut has_frequency) = (false, false);
        let mut options = args.options(4);
        while !options.is_empty() {
            let has_value = options.left() > 1;
            if options.take("REPLACE") {
                read.replaces = true;
            } else if options.take("ABSTTL") {
                read.is_absolute = true;
            } else if has_value && !has_frequency && options.take("IDLETIME") {
                has_idle_time = true;
                if options.integer()? < 0 {
                    return Err(CommandError::text(
                        "ERR Invalid IDLETIME value, must be >= 0",
                    ));
                }
            } else if has_value && !has_idle_time && options.take("FREQ") {
                has_frequency = true;
                if !(0..=255).contains(&options.integer()?) {
                    return Err(CommandError::text(
                        "ERR Invalid FREQ value, must be >= 0 and <= 255",
                    ));
                }
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(read)
    }

    fn deadline(&self, time_ms: u64, now_ms: u64) -> Result<Deadline, CommandError> {
        if time_ms == 0 {
            return Ok(Deadline::Never);
        }
        let base_ms = if self.is_absolute { 0 } else { now_ms };
        let at_ms = time_ms
            .checked_add(base_ms)
            .filter(|at_ms| i64::try_from(*at_ms).is_ok());
        at_ms
            .map(Deadline::At)
            .ok_or(CommandError::InvalidExpire("restore"))
    }
}

fn restore(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let options = Options::read(args)?;
    let (database, key) = (view.database, &args[1]);
    if !options.replaces && view.reader().get(database, key)?.is_some() {
        return Err(BUSY_KEY);
    }
    let time_ms = u64::try_from(args.integer(2)?)
        .map_err(|_| CommandError::text("ERR Invalid TTL value, must be >= 0"))?;
    let now_ms = view.now_ms();
    let deadline = options.deadline(time_ms, now_ms)?;
    let services = view.services;
    let limits = rdb::Limits {
        unpacked_bytes_max: services.config.bulk_bytes_max(),
        has_room: &|bytes| view::has_room(services, bytes),
    };
    let value = rdb::load(&args[3], limits).map_err(refused)?;
    match deadline {
        Deadline::At(at_ms) if at_ms <= now_ms => {
            view.delete(key)?;
        }
        deadline => {
            // In Redis what is replaced goes before.
            view.notify(class::NEW, "new", key);
            view.transaction().set(database, key, value, deadline)?;
            view.notify(class::GENERIC, "restore", key);
        }
    }
    reply.status("OK");
    Ok(())
}
