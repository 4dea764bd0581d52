//! Streams: nodes of up to a hundred entries, then what a stream knows besides, then its groups (see
//! `groups`).
//!
//! A node is the ID that the others of it are told relative to, and a list pack. That begins with how
//! many entries there are and how many are marked as deleted, then how many fields the first entry
//! has, these fields, and a zero. An entry is its flags, its ID's distance in milliseconds and in
//! sequence, its values if its fields are those of the first, else how many fields it has and these
//! with their values; last how many elements that were, to be walked backwards.

use std::borrow::Cow;

use darter_storage::{StreamEntry, StreamId, StreamRef, StreamValue};

use super::listpack::{Builder, Listpack};
use super::read::Reader;
use super::write::{write_bytes, write_length};
use super::{Error, groups, kind};

/// An entry's flag: it is deleted.
const DELETED: i64 = 1;
/// An entry's flag: its fields are those of the first.
const SAME_FIELDS: i64 = 2;
/// Flags, milliseconds and sequence.
const HEAD_ELEMENTS: usize = 3;
/// Redis begins a new node then, unless it is configured otherwise.
const NODE_ENTRIES_MAX: usize = 100;
const NODE_BYTES_MAX: usize = 4096;

type Fields<'a> = Vec<(Cow<'a, [u8]>, Cow<'a, [u8]>)>;

/// Reads a stream of this kind.
pub(super) fn load(kind: u8, reader: &mut Reader<'_>) -> Result<StreamValue, Error> {
    let mut stream = StreamValue::new();
    let mut before: Option<StreamId> = None;
    for _ in 0..reader.length()? {
        let master = id_of_key(&reader.text()?)?;
        if before.is_some_and(|before| before >= master) {
            return Err(Error::Content);
        }
        before = Some(master);
        let node = reader.text()?;
        load_node(&mut stream, master, &node, reader)?;
    }
    if reader.length()? != stream.as_ref().len() {
        return Err(Error::Content);
    }
    let last_id = load_id(reader)?;
    let (mut added, mut max_deleted_id) = (None, None);
    if kind != kind::STREAM_LISTPACKS {
        // The first ID is that of the first entry.
        load_id(reader)?;
        max_deleted_id = Some(load_id(reader)?);
        added = Some(reader.number()?);
    }
    let is_short = added.is_some_and(|added| added < stream.as_ref().len() as u64);
    if is_short
        || max_deleted_id.is_some_and(|deleted| deleted > last_id)
        || !stream.set_last_id(last_id, added, max_deleted_id)
    {
        return Err(Error::Content);
    }
    groups::load(kind, &mut stream, reader)?;
    Ok(stream)
}

pub(super) fn load_id(reader: &mut Reader<'_>) -> Result<StreamId, Error> {
    Ok(StreamId {
        milliseconds: reader.number()?,
        sequence: reader.number()?,
    })
}

pub(super) fn id_of_key(key: &[u8]) -> Result<StreamId, Error> {
    let key: [u8; 16] = key.try_into().map_err(|_| Error::Content)?;
    let both = u128::from_be_bytes(key);
    Ok(StreamId {
        milliseconds: (both >> 64) as u64,
        sequence: both as u64,
    })
}

pub(super) fn key_of_id(id: StreamId) -> [u8; 16] {
    (u128::from(id.milliseconds) << 64 | u128::from(id.sequence)).to_be_bytes()
}

fn load_node(
    stream: &mut StreamValue,
    master: StreamId,
    node: &[u8],
    reader: &mut Reader<'_>,
) -> Result<(), Error> {
    let mut elements = Listpack::new(node)?;
    let counts = (elements.natural()?, elements.natural()?);
    let mut names = Vec::new();
    for _ in 0..elements.natural()? {
        names.push(elements.required()?.text());
    }
    if elements.natural()? != 0 {
        return Err(Error::Content);
    }
    let names_bytes: usize = names.iter().map(|name| name.len()).sum();
    let mut found = (0, 0);
    while let Some(flags) = elements.next() {
        let flags = flags?.integer()?;
        if flags & !(DELETED | SAME_FIELDS) != 0 {
            return Err(Error::Content);
        }
        let id = StreamId {
            milliseconds: distant(master.milliseconds, &mut elements)?,
            sequence: distant(master.sequence, &mut elements)?,
        };
        if flags & SAME_FIELDS != 0 {
            reader.unpack(names_bytes)?;
        }
        let names = (flags & SAME_FIELDS != 0).then_some(&names[..]);
        let fields = load_fields(&mut elements, names)?;
        if flags & DELETED != 0 {
            found.1 += 1;
            continue;
        }
        found.0 += 1;
        append(stream, id, &fields, reader)?;
    }
    if counts != found {
        return Err(Error::Content);
    }
    Ok(())
}

/// What is so far from a part of a node's ID as the next element says.
fn distant(part: u64, elements: &mut Listpack<'_>) -> Result<u64, Error> {
    let distance = elements.required()?.integer()?;
    Ok(part.wrapping_add_signed(distance))
}

/// The fields of an entry with their values: fields of its own, unless it has these.
fn load_fields<'n, 'a: 'n>(
    elements: &mut Listpack<'a>,
    names: Option<&'n [Cow<'a, [u8]>]>,
) -> Result<Fields<'n>, Error> {
    let mut fields = Fields::new();
    let count = match names {
        Some(names) => {
            for name in names {
                fields.push((Cow::Borrowed(&**name), elements.required()?.text()));
            }
            HEAD_ELEMENTS + names.len()
        }
        None => {
            for _ in 0..elements.natural()? {
                let name = elements.required()?.text();
                fields.push((name, elements.required()?.text()));
            }
            HEAD_ELEMENTS + 1 + 2 * fields.len()
        }
    };
    if elements.natural()? != count {
        return Err(Error::Content);
    }
    Ok(fields)
}

fn append(
    stream: &mut StreamValue,
    id: StreamId,
    fields: &Fields<'_>,
    reader: &mut Reader<'_>,
) -> Result<(), Error> {
    let fields: Vec<(&[u8], &[u8])> = fields
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    reader.keep(fields_bytes(fields.iter().copied()))?;
    if !stream.append(id, &fields) {
        return Err(Error::Content);
    }
    Ok(())
}

fn fields_bytes<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> usize {
    fields.map(|(name, value)| name.len() + value.len()).sum()
}

/// Writes a stream.
pub(super) fn save(payload: &mut Vec<u8>, stream: StreamRef<'_>) -> Result<(), Error> {
    payload.push(kind::STREAM_LISTPACKS_2);
    write_length(payload, nodes(stream).count() as u64);
    for node in nodes(stream) {
        save_node(payload, &node)?;
    }
    write_length(payload, stream.len() as u64);
    save_id(payload, stream.last_id());
    save_id(payload, stream.first_id());
    save_id(payload, stream.max_deleted_id());
    write_length(payload, stream.entries_added());
    groups::save(payload, stream);
    Ok(())
}

pub(super) fn save_id(payload: &mut Vec<u8>, id: StreamId) {
    write_length(payload, id.milliseconds);
    write_length(payload, id.sequence);
}

/// The entries, in groups that make a node each.
fn nodes<'a>(
    stream: StreamRef<'a>,
) -> impl Iterator<Item = Vec<(StreamId, StreamEntry<'a>)>> + use<'a> {
    let mut entries = stream.iter_from(StreamId::default()).peekable();
    std::iter::from_fn(move || {
        let first = entries.next()?;
        let mut bytes = fields_bytes(first.1.fields());
        let mut node = vec![first];
        while node.len() < NODE_ENTRIES_MAX
            && let Some((_, next)) = entries.peek()
        {
            bytes += fields_bytes(next.fields());
            if bytes > NODE_BYTES_MAX {
                break;
            }
            node.extend(entries.next());
        }
        Some(node)
    })
}

fn save_node(payload: &mut Vec<u8>, entries: &[(StreamId, StreamEntry<'_>)]) -> Result<(), Error> {
    let Some((master, first)) = entries.first() else {
        return Ok(());
    };
    let names: Vec<&[u8]> = first.fields().map(|(name, _)| name).collect();
    let mut node = Builder::new();
    node.integer(entries.len() as i64);
    node.integer(0);
    node.integer(names.len() as i64);
    names.iter().for_each(|name| node.text(name));
    node.integer(0);
    for (id, entry) in entries {
        let distance = (
            id.milliseconds.wrapping_sub(master.milliseconds) as i64,
            id.sequence.wrapping_sub(master.sequence) as i64,
        );
        save_entry(&mut node, distance, *entry, &names);
    }
    let node = node.finish().ok_or(Error::LargeEntry)?;
    write_bytes(payload, &key_of_id(*master));
    write_bytes(payload, &node);
    Ok(())
}

fn save_entry(
    node: &mut Builder,
    (milliseconds, sequence): (i64, i64),
    entry: StreamEntry<'_>,
    names: &[&[u8]],
) {
    let has_same_fields = entry
        .fields()
        .map(|(name, _)| name)
        .eq(names.iter().copied());
    node.integer(if has_same_fields { SAME_FIELDS } else { 0 });
    node.integer(milliseconds);
    node.integer(sequence);
    let mut elements = HEAD_ELEMENTS;
    if !has_same_fields {
        node.integer(entry.fields().count() as i64);
        elements += 1;
    }
    for (name, value) in entry.fields() {
        if !has_same_fields {
            node.text(name);
            elements += 1;
        }
        node.text(value);
        elements += 1;
    }
    node.integer(elements as i64);
}
