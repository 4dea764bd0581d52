//! HyperLogLog: strings of at most 12 KiB that estimate how many different elements were added. They
//! are Redis's byte for byte, so that GET and SET carry them from one server to the other.

mod dense;
mod estimate;
mod murmur;
mod sketch;
mod sparse;

use darter_storage::{Deadline, StringValue, Value};

use super::args::Args;
use super::command::{Command, Group, Keys, flag};
use super::error::CommandError;
use super::view::View;
use crate::notifications::class;
use crate::resp::reply::Reply;
use estimate::estimate;
use sketch::{Cached, Sketch};

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("PFADD", -2, Group::HyperLogLog, pfadd)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "2.8.9",
            "O(1) per element",
            "Adds elements, and says whether the estimate may have changed.",
        ),
    Command::read("PFCOUNT", -2, Group::HyperLogLog, pfcount)
        .keys(Keys::ALL)
        .doc(
            "2.8.9",
            "O(1) per key",
            "Estimates how many different elements were added to any of the keys.",
        ),
    Command::write("PFMERGE", -2, Group::HyperLogLog, pfmerge)
        .keys(Keys::ALL)
        .flag(flag::DENYOOM)
        .doc(
            "2.8.9",
            "O(1) per key",
            "Stores what was added to any of the keys.",
        ),
];

type Done = Result<(), CommandError>;

/// How many registers there are: what each knows is the longest run of zeroes among its elements.
const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of an element's hash that choose its register.
const INDEX_BITS: u32 = 14;
/// Bits of an element's hash in which zeroes are counted.
const RUN_BITS: u32 = 64 - INDEX_BITS;

/// All registers, a byte each.
type Registers = [u8; REGISTERS];

/// The bytes are no HyperLogLog's, although they begin like one's.
const CORRUPTED: CommandError = CommandError::text("INVALIDOBJ Corrupted HLL object detected");

/// The sketch in a key, if there is one.
fn read(view: &View<'_>, key: &[u8]) -> Result<Option<Sketch>, CommandError> {
    view.string(key)?.map(Sketch::read).transpose()
}

/// Puts a sketch in a key, whose time to live stays.
fn write(view: &mut View<'_>, key: &[u8], sketch: &Sketch) -> Done {
    let mut value = StringValue::new(b"");
    // Appended, it counts as changed in part, as in Redis.
    value.append(sketch.bytes());
    view.set(key, Value::String(value), Deadline::Keep)?;
    view.notify(class::STRING, "pfadd", key);
    Ok(())
}

fn pfadd(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let sparse_bytes_max = view.services.config.sparse_sketch_bytes_max();
    let key = &args[1];
    let found = read(view, key)?;
    let mut has_changed = found.is_none();
    let mut sketch = found.unwrap_or_else(Sketch::new);
    for element in args.from(2) {
        let (index, run) = murmur::register_of(element);
        has_changed |= sketch.raise(index, run, sparse_bytes_max)?;
    }
    if has_changed {
        sketch.forget_estimate();
        write(view, key, &sketch)?;
    }
    reply.integer(i64::from(has_changed));
    Ok(())
}

/// Raises registers to those of the sketches in keys. Whether one of these is dense.
fn merge(view: &View<'_>, keys: &[&[u8]], registers: &mut Registers) -> Result<bool, CommandError> {
    let mut has_dense = false;
    for key in keys {
        if let Some(sketch) = read(view, key)? {
            has_dense |= sketch.is_dense();
            sketch.merge_into(registers)?;
        }
    }
    Ok(has_dense)
}

/// A read, here: an estimate that is not valid any more is made anew each time, where Redis puts it
/// in the string.
fn pfcount(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let keys = args.from(1);
    if let [key] = keys {
        let Some(value) = view.string(key)? else {
            reply.integer(0);
            return Ok(());
        };
        if let Cached::Valid(count) = sketch::cached(value)? {
            reply.integer(count);
            return Ok(());
        }
    }
    let mut registers = [0; REGISTERS];
    merge(view, keys, &mut registers)?;
    reply.integer(estimate(&registers));
    Ok(())
}

fn pfmerge(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let sparse_bytes_max = view.services.config.sparse_sketch_bytes_max();
    let destination = &args[1];
    view.notify_misses(args.from(1))?;
    let mut registers = [0; REGISTERS];
    let has_dense = merge(view, args.from(1), &mut registers)?;
    let mut sketch = read(view, destination)?.unwrap_or_else(Sketch::new);
    if has_dense {
        sketch.make_dense()?;
    }
    for (index, run) in registers.iter().enumerate().filter(|(_, run)| **run > 0) {
        sketch.raise(index, *run, sparse_bytes_max)?;
    }
    sketch.forget_estimate();
    write(view, destination, &sketch)?;
    reply.status("OK");
    Ok(())
}
