//! Payloads of DUMP and RESTORE, and of FUNCTION DUMP and FUNCTION RESTORE: pieces of Redis's RDB
//! format.
//!
//! A payload is what it holds, then the format's version in two bytes and a CRC-64 over all of it in
//! eight, both little endian. What a key holds begins with a byte that says which type it is and how
//! it is written. Lengths, numbers and texts are the matter of `read` and `write`, values that of
//! `load` and `save`, each encoding of small collections has a file.
//!
//! A payload comes from anywhere. Whatever it says, nothing beyond its end is read, no memory is
//! allocated that it only announces, and it becomes a value as a whole or not at all.

mod cursor;
mod field_deadlines;
mod groups;
mod intset;
mod listpack;
mod load;
mod lzf;
mod read;
mod save;
mod stream;
#[cfg(test)]
mod tests;
mod write;
mod ziplist;
mod zipmap;

use crc::{CRC_64_REDIS, Crc, Table};

pub use load::load;
pub use read::{Limits, Reader};
pub use save::save;
pub use write::write_length;

/// Redis 7.0's, which refuses newer ones; nothing that is written here came later but deadlines of fields.
const VERSION: u16 = 10;
/// Redis 7.4's, of payloads of which the fields of a hash expire.
const VERSION_OF_FIELD_DEADLINES: u16 = 12;
/// Newer payloads are refused, as by Redis: nobody knows what they say. Those of 7.4 differ in types
/// of their own alone.
const VERSION_MAX: u16 = 12;

static CHECKSUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// What a payload's first byte says.
mod kind {
    pub(super) const STRING: u8 = 0;
    pub(super) const LIST: u8 = 1;
    pub(super) const SET: u8 = 2;
    /// Scores in decimal.
    pub(super) const SORTED_SET: u8 = 3;
    pub(super) const HASH: u8 = 4;
    /// Scores in binary.
    pub(super) const SORTED_SET_2: u8 = 5;
    pub(super) const HASH_ZIPMAP: u8 = 9;
    pub(super) const LIST_ZIPLIST: u8 = 10;
    pub(super) const SET_INTSET: u8 = 11;
    pub(super) const SORTED_SET_ZIPLIST: u8 = 12;
    pub(super) const HASH_ZIPLIST: u8 = 13;
    /// Nodes that are zip lists.
    pub(super) const LIST_QUICKLIST: u8 = 14;
    pub(super) const STREAM_LISTPACKS: u8 = 15;
    pub(super) const HASH_LISTPACK: u8 = 16;
    pub(super) const SORTED_SET_LISTPACK: u8 = 17;
    /// Nodes that are list packs, or one element.
    pub(super) const LIST_QUICKLIST_2: u8 = 18;
    /// With the first ID, the largest one deleted and the number of entries added.
    pub(super) const STREAM_LISTPACKS_2: u8 = 19;
    pub(super) const SET_LISTPACK: u8 = 20;
    /// With when consumers were active.
    pub(super) const STREAM_LISTPACKS_3: u8 = 21;
    /// With deadlines of fields. 22 and 23 are those of 7.4's candidates, which had no earliest one before.
    pub(super) const HASH_METADATA: u8 = 24;
    pub(super) const HASH_LISTPACK_EX: u8 = 25;
}

/// Why a payload was not read, or not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It was changed, cut, or is of a newer version.
    #[error("DUMP payload version or checksum are wrong")]
    Footer,
    /// What it holds cannot be read, or cannot be.
    #[error("Bad data format")]
    Content,
    /// What is compressed in it would be more than is allowed.
    #[error("DUMP payload unpacks to more than proto-max-bulk-len")]
    TooLarge,
    /// An entry of a stream is larger than the format can say.
    #[error("an entry of the stream is too large for a payload")]
    LargeEntry,
    /// It would take more memory than there is.
    #[error("OOM command not allowed when used memory > 'maxmemory'.")]
    OutOfMemory,
}

/// Makes a payload of what it holds: adds the version and the checksum. O(bytes).
pub fn sign(payload: &mut Vec<u8>) {
    sign_as(VERSION, payload);
}

fn sign_as(version: u16, payload: &mut Vec<u8>) {
    payload.extend_from_slice(&version.to_le_bytes());
    let checksum = CHECKSUM.checksum(payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
}

/// What a payload holds, if it is as it was written. O(bytes).
///
/// # Errors
/// [`Error::Footer`].
pub fn verify(payload: &[u8]) -> Result<&[u8], Error> {
    let (signed, checksum) = payload.split_last_chunk().ok_or(Error::Footer)?;
    let (content, version) = signed.split_last_chunk().ok_or(Error::Footer)?;
    let is_intact = CHECKSUM.checksum(signed) == u64::from_le_bytes(*checksum);
    if u16::from_le_bytes(*version) > VERSION_MAX || !is_intact {
        return Err(Error::Footer);
    }
    Ok(content)
}
