//! LATENCY: what took too long, and how long each command takes.

use std::fmt::Write;

use super::args::Args;
use super::command::{Command, Group, flag, write_help};
use super::error::CommandError;
use super::table::{self, Entry};
use crate::clients::Context;
use crate::latency::{Event, Sample};
use crate::resp::reply::Reply;
use crate::stats::bucket_bound_us;

/// The longest bar of LATENCY GRAPH.
const BAR_MAX: u64 = 50;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::container("LATENCY", Group::Server, SUBCOMMANDS).doc(
        "2.8.13",
        "Depends on the subcommand",
        "A container for commands on what took too long.",
    ),
];

const SUBCOMMANDS: &[Command] = &[
    Command::client("LATEST", 2, Group::Server, latest)
        .flag(flag::ADMIN | flag::NOSCRIPT)
        .doc(
            "2.8.13",
            "O(1)",
            "Returns each event with its last second, its milliseconds then, and its most ever.",
        ),
    Command::client("HISTORY", 3, Group::Server, history)
        .flag(flag::ADMIN | flag::NOSCRIPT)
        .doc(
            "2.8.13",
            "O(1)",
            "Returns the seconds and milliseconds of one event.",
        ),
    Command::client("GRAPH", 3, Group::Server, graph)
        .flag(flag::ADMIN | flag::NOSCRIPT)
        .doc("2.8.13", "O(1)", "Draws one event."),
    Command::client("DOCTOR", 2, Group::Server, doctor)
        .flag(flag::ADMIN | flag::NOSCRIPT)
        .doc("2.8.13", "O(1)", "Says in words what took too long."),
    Command::client("RESET", -2, Group::Server, reset)
        .flag(flag::ADMIN | flag::NOSCRIPT)
        .doc("2.8.13", "O(1)", "Forgets events; returns how many."),
    Command::client("HISTOGRAM", -2, Group::Server, histogram)
        .flag(flag::ADMIN | flag::NOSCRIPT)
        .doc(
            "7.0.0",
            "O(N), with N commands",
            "Returns how many calls of each command took how many microseconds at most.",
        ),
    Command::client("HELP", 2, Group::Server, help).doc(
        "2.8.13",
        "O(1)",
        "Describes the subcommands.",
    ),
];

fn latest(
    context: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let events = context.services.latency.all();
    reply.array(events.len());
    for (name, event) in events {
        let last = event.samples.back();
        reply.array(4);
        reply.bulk(name.as_bytes());
        reply.integer(last.map_or(0, |sample| sample.unix_s) as i64);
        reply.integer(last.map_or(0, |sample| sample.elapsed_ms) as i64);
        reply.integer(event.max_ms as i64);
    }
    Ok(())
}

fn history(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let event = context.services.latency.event(&args[2]).unwrap_or_default();
    reply.array(event.samples.len());
    for Sample { unix_s, elapsed_ms } in event.samples {
        reply.array(2);
        reply.integer(unix_s as i64);
        reply.integer(elapsed_ms as i64);
    }
    Ok(())
}

fn graph(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let name = String::from_utf8_lossy(&args[2]);
    let event =
        context.services.latency.event(&args[2]).ok_or_else(|| {
            CommandError::naming("No samples available for event '", &args[2], "'")
        })?;
    let highest = event.samples.iter().map(|sample| sample.elapsed_ms).max();
    let highest = highest.unwrap_or(0).max(1);
    let mut text = format!(
        "{name} - high {highest} ms (all time high {} ms)\n",
        event.max_ms
    );
    for sample in &event.samples {
        let bar = (sample.elapsed_ms * BAR_MAX / highest).max(1) as usize;
        let (bar, elapsed_ms) = ("#".repeat(bar), sample.elapsed_ms);
        // Writing to a String does not fail.
        let _ = writeln!(text, "{} {bar} {elapsed_ms} ms", sample.unix_s);
    }
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn described(name: &str, event: &Event) -> String {
    let count = event.samples.len() as u64;
    let sum: u64 = event.samples.iter().map(|sample| sample.elapsed_ms).sum();
    let average = sum.checked_div(count).unwrap_or(0);
    format!(
        "{name}: {count} seconds with latency spikes, {average} ms on average, {} ms at worst.\n",
        event.max_ms
    )
}

fn doctor(
    context: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let services = context.services;
    let events = services.latency.all();
    let threshold_ms = services.config.latency_threshold_ms();
    let text = if threshold_ms == 0 {
        "Nothing is watched: CONFIG SET latency-monitor-threshold <milliseconds> changes that.\n"
            .to_owned()
    } else if events.is_empty() {
        format!("Nothing took {threshold_ms} ms or more.\n")
    } else {
        let events = events.iter().map(|(name, event)| described(name, event));
        let advice = "SLOWLOG GET names commands; SCRIPT STATS names scripts.\n".to_owned();
        events.chain([advice]).collect()
    };
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn reset(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let names = args.from(2);
    let count = context
        .services
        .latency
        .reset(|event| names.is_empty() || names.contains(&event.as_bytes()));
    reply.integer(count as i64);
    Ok(())
}

/// The commands of these names; of a container's name all that are in it.
fn named(names: &[&[u8]]) -> Vec<Entry> {
    let is_meant = |entry: &Entry| {
        let own = entry.full_name();
        let container = entry
            .container
            .map(|container| container.name.to_ascii_lowercase());
        names.iter().any(|name| {
            name.eq_ignore_ascii_case(own.as_bytes())
                || container
                    .as_ref()
                    .is_some_and(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        })
    };
    let all = table::all().iter().copied();
    all.filter(|entry| names.is_empty() || is_meant(entry))
        .collect()
}

fn histogram(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let entries = named(args.from(2)).into_iter();
    let stats = &context.services.stats;
    let counted = entries.map(|entry| (entry, stats.calls_by_time(entry.index)));
    let counted: Vec<_> = counted.filter(|(_, (_, calls))| *calls > 0).collect();
    reply.map(counted.len());
    for (entry, (buckets, calls)) in counted {
        reply.bulk(entry.full_name().as_bytes());
        reply.map(2);
        reply.bulk(b"calls");
        reply.integer(calls as i64);
        reply.bulk(b"histogram_usec");
        // From the first that has calls to the last, each with all before it.
        let first = buckets.iter().position(|count| *count > 0).unwrap_or(0);
        let last = buckets.iter().rposition(|count| *count > 0).unwrap_or(0);
        reply.map(last - first + 1);
        let mut sum = 0;
        for (bucket, count) in buckets.iter().enumerate().take(last + 1).skip(first) {
            sum += count;
            reply.integer(bucket_bound_us(bucket) as i64);
            reply.integer(sum as i64);
        }
    }
    Ok(())
}

fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    write_help("LATENCY", SUBCOMMANDS, reply);
    Ok(())
}
