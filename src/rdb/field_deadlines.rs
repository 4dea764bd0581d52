//! Hashes of which fields have deadlines, as Redis 7.4 writes them.
//!
//! The earliest deadline comes first, in eight bytes, little endian; 0 or 2^48 if there is none. Then a
//! count, and for each field a number, the field and its value: 0 for a field that stays, else how much
//! later than the earliest its deadline is, plus 1. Or a list pack of fields, values and deadlines (0:
//! none). Deadlines are in milliseconds since 1970.

use darter_storage::{HashRef, HashValue};

use super::listpack::Listpack;
use super::read::Reader;
use super::write::{write_length, write_text};
use super::{Error, kind};

/// No deadline is so late.
const DEADLINE_MS_END: u64 = 1 << 48;
/// A field that expires stands twice more, in what keeps the deadlines, where records take so much besides.
const MORE_COPIES: usize = 2;
const RECORDS_BYTES: usize = 64;

/// A hash that has fields with deadlines.
pub(super) struct Deadlines<'a> {
    hash: HashRef<'a>,
    earliest_ms: u64,
}

impl<'a> Deadlines<'a> {
    /// `None` if no field that is there has a deadline. O(n log n) if any may have one.
    pub(super) fn of(hash: HashRef<'a>) -> Option<Deadlines<'a>> {
        if !hash.has_deadlines() {
            return None;
        }
        let deadlines_ms = hash.iter().filter_map(|(field, _)| hash.deadline_ms(field));
        let earliest_ms = deadlines_ms.filter(|deadline_ms| *deadline_ms > 0).min()?;
        Some(Deadlines { hash, earliest_ms })
    }

    pub(super) fn save(&self, payload: &mut Vec<u8>) {
        payload.push(kind::HASH_METADATA);
        payload.extend_from_slice(&self.earliest_ms.to_le_bytes());
        write_length(payload, self.hash.len() as u64);
        for (field, value) in self.hash.iter() {
            let number = match self.hash.deadline_ms(field) {
                None | Some(0) => 0,
                Some(deadline_ms) => deadline_ms - self.earliest_ms + 1,
            };
            write_length(payload, number);
            write_text(payload, field);
            write_text(payload, value);
        }
    }
}

/// The earliest deadline, or what stands there if there is none.
fn earliest(reader: &mut Reader<'_>) -> Result<u64, Error> {
    Some(u64::from_le_bytes(reader.array()?))
        .filter(|earliest_ms| *earliest_ms <= DEADLINE_MS_END)
        .ok_or(Error::Content)
}

fn put(
    hash: &mut HashValue,
    (field, value): (&[u8], &[u8]),
    deadline_ms: Option<u64>,
    reader: &mut Reader<'_>,
) -> Result<(), Error> {
    let bytes = field.len().saturating_add(value.len());
    reader.keep(bytes)?;
    if !hash.insert(field, value) {
        return Err(Error::Content);
    }
    let Some(deadline_ms) = deadline_ms else {
        return Ok(());
    };
    if deadline_ms == 0 || deadline_ms >= DEADLINE_MS_END {
        return Err(Error::Content);
    }
    let more_bytes = field.len().saturating_mul(MORE_COPIES);
    reader.keep(more_bytes.saturating_add(RECORDS_BYTES))?;
    hash.set_deadline(field, deadline_ms);
    Ok(())
}

/// A hash that is written field by field.
pub(super) fn hash(reader: &mut Reader<'_>) -> Result<HashValue, Error> {
    let earliest_ms = earliest(reader)?;
    let mut hash = HashValue::new();
    for _ in 0..reader.length()? {
        let deadline_ms = match reader.number()? {
            0 => None,
            number => Some(earliest_ms.checked_add(number - 1).ok_or(Error::Content)?),
        };
        let (field, value) = (reader.text()?, reader.text()?);
        put(&mut hash, (&field, &value), deadline_ms, reader)?;
    }
    Ok(hash)
}

/// A hash that is one list pack.
pub(super) fn small_hash(reader: &mut Reader<'_>) -> Result<HashValue, Error> {
    earliest(reader)?;
    let mut hash = HashValue::new();
    let bytes = reader.text()?;
    let mut elements = Listpack::new(&bytes)?;
    while let Some(field) = elements.next() {
        let (field, value) = (field?.text(), elements.required()?.text());
        let deadline_ms = u64::try_from(elements.required()?.integer()?);
        let deadline_ms = deadline_ms.map_err(|_| Error::Content)?;
        let deadline_ms = (deadline_ms > 0).then_some(deadline_ms);
        put(&mut hash, (&field, &value), deadline_ms, reader)?;
    }
    Ok(hash)
}
