//! XINFO: what streams, groups and consumers say of themselves.

use darter_storage::{StreamConsumer, StreamGroup, StreamId, StreamRef};

use super::group::no_group_of_key;
use super::id;
use super::lag::Past;
use super::read::{write_entries, write_entry};
use super::trim::node_entries;
use crate::commands::args::Args;
use crate::commands::command::unknown_option;
use crate::commands::error::CommandError;
use crate::commands::view::View;
use crate::resp::reply::Reply;

type Done = Result<(), CommandError>;

/// How many entries XINFO STREAM FULL shows if nothing is said.
const FULL_ENTRIES_DEFAULT: usize = 10;

fn write_number(number: u64, reply: &mut dyn Reply) {
    reply.integer(i64::try_from(number).unwrap_or(i64::MAX));
}

/// A number that may not be known, by its name.
fn write_known(name: &str, number: Option<i64>, reply: &mut dyn Reply) {
    reply.bulk(name.as_bytes());
    match number {
        Some(number) => reply.integer(number),
        None => reply.null(),
    }
}

fn write_count(name: &str, count: usize, reply: &mut dyn Reply) {
    reply.bulk(name.as_bytes());
    reply.integer(count as i64);
}

fn write_id(name: &str, id: StreamId, reply: &mut dyn Reply) {
    reply.bulk(name.as_bytes());
    id::write(id, reply);
}

fn entries_read(group: StreamGroup<'_>) -> Option<i64> {
    let read = group.entries_read()?;
    Some(i64::try_from(read).unwrap_or(i64::MAX))
}

/// How many entries to show, if FULL is there.
fn full_entries(args: &Args<'_>) -> Result<Option<usize>, CommandError> {
    let mut options = args.options(3);
    if options.is_empty() {
        return Ok(None);
    }
    if !options.take("FULL") {
        return Err(unknown_option(args));
    }
    if options.is_empty() {
        return Ok(Some(FULL_ENTRIES_DEFAULT));
    }
    if options.left() != 2 || !options.take("COUNT") {
        return Err(unknown_option(args));
    }
    Ok(Some(match options.integer()? {
        0 => usize::MAX,
        count => usize::try_from(count).unwrap_or(FULL_ENTRIES_DEFAULT),
    }))
}

fn write_head(stream: StreamRef<'_>, node_entries: usize, reply: &mut dyn Reply) {
    // Nodes as Redis would have them if nothing had been deleted.
    let nodes = stream.len().div_ceil(node_entries);
    write_count("length", stream.len(), reply);
    write_count("radix-tree-keys", nodes, reply);
    write_count("radix-tree-nodes", nodes + 1, reply);
    write_id("last-generated-id", stream.last_id(), reply);
    write_id("max-deleted-entry-id", stream.max_deleted_id(), reply);
    reply.bulk(b"entries-added");
    write_number(stream.entries_added(), reply);
    write_id("recorded-first-entry-id", stream.first_id(), reply);
}

pub(super) fn stream(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let node_entries = node_entries(view.services);
    let stream = view.stream(&args[2])?.ok_or(CommandError::NoSuchKey)?;
    if let Some(count) = full_entries(args)? {
        reply.map(9);
        write_head(stream, node_entries, reply);
        reply.bulk(b"entries");
        write_entries(stream.iter_from(StreamId::default()).take(count), reply);
        reply.bulk(b"groups");
        reply.array(stream.group_count());
        for group in stream.groups() {
            write_full_group(stream, (group, count), reply);
        }
        return Ok(());
    }
    reply.map(10);
    write_head(stream, node_entries, reply);
    write_count("groups", stream.group_count(), reply);
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

fn write_full_group(
    stream: StreamRef<'_>,
    (group, count): (StreamGroup<'_>, usize),
    reply: &mut dyn Reply,
) {
    reply.map(7);
    reply.bulk(b"name");
    reply.bulk(group.name());
    write_id("last-delivered-id", group.last_delivered_id(), reply);
    write_known("entries-read", entries_read(group), reply);
    write_known("lag", Past::of(stream).lag(group), reply);
    let pending = group.pending_count();
    write_count("pel-count", pending, reply);
    reply.bulk(b"pending");
    reply.array(pending.min(count));
    for pending in group.pending_from(StreamId::default()).take(count) {
        reply.array(4);
        id::write(pending.id, reply);
        reply.bulk(pending.consumer);
        write_number(pending.delivered_ms, reply);
        write_number(pending.deliveries, reply);
    }
    reply.bulk(b"consumers");
    reply.array(group.consumer_count());
    for consumer in group.consumers() {
        write_full_consumer(consumer, count, reply);
    }
}

fn write_full_consumer(consumer: StreamConsumer<'_>, count: usize, reply: &mut dyn Reply) {
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(consumer.name());
    reply.bulk(b"seen-time");
    write_number(consumer.seen_ms(), reply);
    reply.bulk(b"active-time");
    match consumer.active_ms() {
        Some(active_ms) => write_number(active_ms, reply),
        None => reply.integer(-1),
    }
    let pending = consumer.pending_count();
    write_count("pel-count", pending, reply);
    reply.bulk(b"pending");
    reply.array(pending.min(count));
    for pending in consumer.pending_from(StreamId::default()).take(count) {
        reply.array(3);
        id::write(pending.id, reply);
        write_number(pending.delivered_ms, reply);
        write_number(pending.deliveries, reply);
    }
}

pub(super) fn groups(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let stream = view.stream(&args[2])?.ok_or(CommandError::NoSuchKey)?;
    let past = Past::of(stream);
    reply.array(stream.group_count());
    for group in stream.groups() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(group.name());
        write_count("consumers", group.consumer_count(), reply);
        write_count("pending", group.pending_count(), reply);
        write_id("last-delivered-id", group.last_delivered_id(), reply);
        write_known("entries-read", entries_read(group), reply);
        write_known("lag", past.lag(group), reply);
    }
    Ok(())
}

pub(super) fn consumers(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let stream = view.stream(&args[2])?.ok_or(CommandError::NoSuchKey)?;
    let group = stream
        .group(&args[3])
        .ok_or_else(|| no_group_of_key(&args[2], &args[3]))?;
    let now_ms = view.now_ms();
    reply.array(group.consumer_count());
    for consumer in group.consumers() {
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        write_count("pending", consumer.pending_count(), reply);
        reply.bulk(b"idle");
        write_number(now_ms.saturating_sub(consumer.seen_ms()), reply);
        reply.bulk(b"inactive");
        match consumer.active_ms() {
            Some(active_ms) => write_number(now_ms.saturating_sub(active_ms), reply),
            None => reply.integer(-1),
        }
    }
    Ok(())
}
