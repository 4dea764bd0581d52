//! Payloads of values, in the plainest encodings that Redis 7.0 and 7.2 read, or 7.4 where fields of a hash
//! have deadlines: element by element.

use darter_storage::{HashRef, StringRef, ValueRef};

use super::field_deadlines::Deadlines;
use super::write::{write_length, write_text};
use super::{Error, VERSION, VERSION_OF_FIELD_DEADLINES, kind, sign_as, stream};

/// The payload of a value. O(n), with n bytes.
///
/// # Errors
/// [`Error::LargeEntry`].
pub fn save(value: ValueRef<'_>) -> Result<Vec<u8>, Error> {
    let mut payload = Vec::new();
    let bytes = &mut payload;
    let mut version = VERSION;
    match value {
        ValueRef::String(string) => {
            bytes.push(kind::STRING);
            save_string(bytes, string);
        }
        ValueRef::List(list) => {
            begin(bytes, kind::LIST, list.len());
            list.iter_from(0)
                .for_each(|element| write_text(bytes, element));
        }
        ValueRef::Set(set) => {
            begin(bytes, kind::SET, set.len());
            set.iter().for_each(|member| write_text(bytes, member));
        }
        ValueRef::SortedSet(set) => {
            begin(bytes, kind::SORTED_SET_2, set.len());
            // From the last on, as Redis does: it reads them fastest so.
            for (member, score) in set.iter_back_from(usize::MAX) {
                write_text(bytes, member);
                bytes.extend_from_slice(&score.to_le_bytes());
            }
        }
        ValueRef::Hash(hash) => match Deadlines::of(hash) {
            Some(deadlines) => {
                version = VERSION_OF_FIELD_DEADLINES;
                deadlines.save(bytes);
            }
            None => save_hash(bytes, hash),
        },
        ValueRef::Stream(value) => stream::save(bytes, value)?,
    }
    sign_as(version, &mut payload);
    Ok(payload)
}

fn begin(payload: &mut Vec<u8>, kind: u8, count: usize) {
    payload.push(kind);
    write_length(payload, count as u64);
}

fn save_hash(payload: &mut Vec<u8>, hash: HashRef<'_>) {
    begin(payload, kind::HASH, hash.len());
    for (field, value) in hash.iter() {
        write_text(payload, field);
        write_text(payload, value);
    }
}

fn save_string(payload: &mut Vec<u8>, string: StringRef<'_>) {
    if let Some(text) = string.as_slice() {
        return write_text(payload, text);
    }
    write_length(payload, string.len() as u64);
    string
        .parts()
        .for_each(|part| payload.extend_from_slice(part));
}
