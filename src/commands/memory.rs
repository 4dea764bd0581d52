//! MEMORY: what takes how much of it.

use std::fmt::Write;

use super::args::Args;
use super::command::{Command, Group, Keys, write_help};
use super::error::CommandError;
use super::view::View;
use crate::clients::Context;
use crate::info::human;
use crate::memory;
use crate::memory_figures::Figures;
use crate::resp::reply::Reply;
use crate::services::Services;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::container("MEMORY", Group::Server, SUBCOMMANDS).doc(
        "4.0.0",
        "Depends on the subcommand",
        "A container for commands on memory.",
    ),
];

const SUBCOMMANDS: &[Command] = &[
    Command::client("DOCTOR", 2, Group::Server, doctor).doc(
        "4.0.0",
        "O(N), with N clients",
        "Says in words what takes more memory than it should.",
    ),
    Command::client("HELP", 2, Group::Server, help).doc(
        "4.0.0",
        "O(1)",
        "Describes the subcommands.",
    ),
    Command::client("MALLOC-STATS", 2, Group::Server, malloc_stats).doc(
        "4.0.0",
        "O(1)",
        "Returns what the allocator tells of itself.",
    ),
    Command::client("PURGE", 2, Group::Server, purge).doc(
        "4.0.0",
        "O(N), with N blocks of memory",
        "Gives freed memory back to the system.",
    ),
    Command::client("STATS", 2, Group::Server, stats).doc(
        "4.0.0",
        "O(N), with N clients",
        "Returns what has how much memory.",
    ),
    Command::read("USAGE", -3, Group::Server, usage)
        .keys(Keys::Range {
            first: 2,
            last: 2,
            step: 1,
        })
        .doc(
            "4.0.0",
            "O(1), O(N) with N nodes of a large value",
            "Returns about how many bytes a key and its value take.",
        ),
];

type Done = Result<(), CommandError>;

/// What a key takes beside its name and value: record, index entries and a version's header.
const KEY_OVERHEAD_BYTES: usize = 128;

fn usage(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let mut options = args.options(3);
    while !options.is_empty() {
        // How many elements to look at does not matter: all are counted.
        if !(options.left() >= 2 && options.take("SAMPLES")) {
            return Err(CommandError::Syntax);
        }
        if options.integer()? < 0 {
            return Err(CommandError::Syntax);
        }
    }
    match view.peek(&args[2])? {
        Some(value) => {
            let bytes = KEY_OVERHEAD_BYTES + args[2].len() + value.memory_bytes();
            reply.integer(bytes as i64);
        }
        None => reply.null(),
    }
    Ok(())
}

/// Keys of all databases, those that have expired and were not removed yet included.
fn count_keys(services: &Services) -> u64 {
    let databases = 0..services.config.databases();
    let keys = databases.map(|database| services.store.key_counts(database).0);
    keys.sum()
}

fn stats(context: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let figures = Figures::take(context.services);
    let keys = count_keys(context.services);
    let whole: [(&str, u64); 10] = [
        ("peak.allocated", figures.peak),
        ("total.allocated", figures.used),
        ("startup.allocated", figures.start),
        ("clients.normal", figures.clients),
        ("lua.caches", figures.script_bytes),
        ("functions.caches", figures.code_bytes),
        ("overhead.total", figures.overhead),
        ("keys.count", keys),
        (
            "keys.bytes-per-key",
            figures.after_start().checked_div(keys).unwrap_or(0),
        ),
        ("dataset.bytes", figures.dataset),
    ];
    let parts = [
        ("dataset.percentage", figures.dataset_percentage()),
        ("peak.percentage", figures.peak_percentage()),
        ("fragmentation", figures.fragmentation()),
    ];
    reply.map(whole.len() + parts.len() + 1);
    for (name, value) in whole {
        reply.bulk(name.as_bytes());
        reply.integer(value as i64);
    }
    for (name, value) in parts {
        reply.bulk(name.as_bytes());
        reply.double(value);
    }
    reply.bulk(b"fragmentation.bytes");
    reply.integer(figures.resident as i64 - figures.used as i64);
    Ok(())
}

/// Less is not worth a word.
const LITTLE_BYTES: u64 = 5 << 20;
/// Scripts that a program does not have by itself: it makes a new one of each value.
const MANY_SCRIPTS: usize = 1000;

/// What takes more than it should, a line each.
fn complaints(services: &Services, figures: &Figures) -> String {
    let mut text = String::new();
    let mut tell = |condition: bool, line: std::fmt::Arguments<'_>| {
        if condition {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{line}");
        }
    };
    let used = figures.used;
    tell(
        figures.peak > used / 2 * 3,
        format_args!(
            "Peak: {} were in use once, {} are now; the system may not have the rest back yet.",
            human(figures.peak),
            human(used)
        ),
    );
    tell(
        figures.resident > used / 10 * 14 && figures.resident - used > 2 * LITTLE_BYTES,
        format_args!(
            "Fragmentation: the process has {} of the system's memory, {:.2} times what is in use.",
            human(figures.resident),
            figures.fragmentation()
        ),
    );
    tell(
        figures.clients > used / 4,
        format_args!(
            "Clients: their buffers take {}; see tot-mem in CLIENT LIST, and maxmemory-clients.",
            human(figures.clients)
        ),
    );
    let kept = services.store.kept_bytes();
    tell(
        kept > used / 10,
        format_args!(
            "Snapshots: {} are kept for scripts and WATCH alone; see INFO transactions, and \
             snapshot-max-age.",
            human(kept)
        ),
    );
    tell(
        figures.scripts > MANY_SCRIPTS,
        format_args!(
            "Scripts: {} are kept, {} in all; values belong in KEYS and ARGV, not in the text.",
            figures.scripts,
            human(figures.script_bytes)
        ),
    );
    text
}

fn doctor(context: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let figures = Figures::take(context.services);
    let text = if figures.used < LITTLE_BYTES {
        "Too little memory is in use to say anything of it.\n".to_owned()
    } else {
        complaints(context.services, &figures)
    };
    let text = if text.is_empty() {
        "Nothing takes more memory than it should.\n"
    } else {
        &text
    };
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn malloc_stats(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    reply.verbatim("txt", &memory::allocator_report());
    Ok(())
}

fn purge(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    memory::give_back();
    reply.status("OK");
    Ok(())
}

fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    write_help("MEMORY", SUBCOMMANDS, reply);
    Ok(())
}
