//! Groups of consumers, behind all else that a stream has.
//!
//! How many there are, then each: its name, the last ID delivered, how many entries it has read; how
//! many entries are pending, with the ID of each in sixteen bytes, when it was delivered in
//! milliseconds and how often; how many consumers, with the name of each, when it was seen (and when
//! it was active), and the IDs of what is pending with it.

use std::collections::BTreeMap;

use darter_storage::{StreamGroup, StreamGroupMut, StreamId, StreamRef, StreamValue};

use super::read::Reader;
use super::stream::{id_of_key, key_of_id, load_id, save_id};
use super::write::{write_length, write_text};
use super::{Error, kind};

/// Stands for a number of entries read that is not known.
const UNKNOWN: u64 = u64::MAX;
/// About what a pending entry takes.
const PENDING_BYTES: usize = 96;

/// When an entry was delivered, and how often.
type Deliveries = BTreeMap<StreamId, (u64, u64)>;

/// Reads the groups of a stream of this kind.
pub(super) fn load(
    kind: u8,
    stream: &mut StreamValue,
    reader: &mut Reader<'_>,
) -> Result<(), Error> {
    for _ in 0..reader.length()? {
        let name = reader.text()?;
        let last_delivered_id = load_id(reader)?;
        let entries_read = match kind {
            kind::STREAM_LISTPACKS => None,
            _ => Some(reader.number()?).filter(|read| *read != UNKNOWN),
        };
        reader.keep(name.len())?;
        if !stream.create_group(&name, last_delivered_id, entries_read) {
            return Err(Error::Content);
        }
        let mut pending = load_pending(reader)?;
        let mut group = stream.group_mut(&name).ok_or(Error::Content)?;
        for _ in 0..reader.length()? {
            load_consumer(kind, &mut group, &mut pending, reader)?;
        }
        // Each must have been some consumer's.
        if !pending.is_empty() {
            return Err(Error::Content);
        }
    }
    Ok(())
}

fn load_pending(reader: &mut Reader<'_>) -> Result<Deliveries, Error> {
    let mut pending = Deliveries::new();
    for _ in 0..reader.length()? {
        reader.keep(PENDING_BYTES)?;
        let id = id_of_key(&reader.array::<16>()?)?;
        let delivered_ms = load_time(reader)?.unwrap_or(0);
        let deliveries = reader.number()?;
        if pending.insert(id, (delivered_ms, deliveries)).is_some() {
            return Err(Error::Content);
        }
    }
    Ok(pending)
}

/// A time in milliseconds since 1970; below zero there was none.
fn load_time(reader: &mut Reader<'_>) -> Result<Option<u64>, Error> {
    Ok(u64::try_from(i64::from_le_bytes(reader.array()?)).ok())
}

fn load_consumer(
    kind: u8,
    group: &mut StreamGroupMut<'_>,
    pending: &mut Deliveries,
    reader: &mut Reader<'_>,
) -> Result<(), Error> {
    let name = reader.text()?;
    reader.keep(name.len())?;
    let seen_ms = load_time(reader)?.unwrap_or(0);
    let active_ms = match kind {
        kind::STREAM_LISTPACKS_3 => load_time(reader)?,
        _ => Some(seen_ms),
    };
    if group.as_ref().consumer(&name).is_some() {
        return Err(Error::Content);
    }
    group.see_consumer(&name, seen_ms, active_ms);
    for _ in 0..reader.length()? {
        let id = id_of_key(&reader.array::<16>()?)?;
        let (delivered_ms, deliveries) = pending.remove(&id).ok_or(Error::Content)?;
        reader.keep(PENDING_BYTES)?;
        group.assign(id, &name, delivered_ms, deliveries);
    }
    Ok(())
}

/// Writes the groups of a stream.
pub(super) fn save(payload: &mut Vec<u8>, stream: StreamRef<'_>) {
    write_length(payload, stream.group_count() as u64);
    for group in stream.groups() {
        save_group(payload, group);
    }
}

fn save_group(payload: &mut Vec<u8>, group: StreamGroup<'_>) {
    let first = StreamId::default();
    write_text(payload, group.name());
    save_id(payload, group.last_delivered_id());
    write_length(payload, group.entries_read().unwrap_or(UNKNOWN));
    write_length(payload, group.pending_count() as u64);
    for pending in group.pending_from(first) {
        payload.extend_from_slice(&key_of_id(pending.id));
        payload.extend_from_slice(&pending.delivered_ms.to_le_bytes());
        write_length(payload, pending.deliveries);
    }
    write_length(payload, group.consumer_count() as u64);
    for consumer in group.consumers() {
        write_text(payload, consumer.name());
        payload.extend_from_slice(&consumer.seen_ms().to_le_bytes());
        write_length(payload, consumer.pending_count() as u64);
        for pending in consumer.pending_from(first) {
            payload.extend_from_slice(&key_of_id(pending.id));
        }
    }
}
