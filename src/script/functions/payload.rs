//! What FUNCTION DUMP writes and FUNCTION RESTORE reads: a piece of Redis's RDB format.
//!
//! For each library the byte 245 and its text; then the format's version in two bytes and a CRC-64
//! over all of it in eight, both little endian. A text has its length before it (in one byte with
//! six bits, in two with fourteen, or in five or nine with all), or is compressed by LZF.

use std::sync::Arc;

use crc::{CRC_64_REDIS, Crc, Table};

/// Redis 7.0's.
const VERSION: u16 = 10;
/// Newer payloads are refused, as by Redis: nobody knows what they say. Those of 7.4 differ in
/// other types alone.
const VERSION_MAX: u16 = 12;
const FUNCTION: u8 = 245;
const FOOTER_BYTES: usize = 10;
/// The kind and the length before a text.
const HEAD_BYTES_MAX: usize = 10;
/// Three bytes of LZF stand for 264 at most.
const EXPANSION_MAX: usize = 88;
/// A compressed text that is longer is refused: nobody else is served while it is decompressed.
const COMPRESSED_TEXT_BYTES_MAX: usize = 64 << 20;

static CHECKSUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// What is wrong with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// It was changed, cut, or is of a newer version.
    #[error("DUMP payload version or checksum are wrong")]
    Footer,
    /// It holds something else.
    #[error("given type is not a function")]
    Type,
    /// What it holds cannot be read.
    #[error("failed loading the given functions payload")]
    Content,
    /// Its texts would take more memory than there is.
    #[error("OOM command not allowed when used memory > 'maxmemory'.")]
    OutOfMemory,
}

/// Writes the texts of libraries. O(bytes).
pub fn dump<'t>(texts: impl Iterator<Item = &'t [u8]> + Clone) -> Vec<u8> {
    let bytes: usize = texts.clone().map(|text| text.len() + HEAD_BYTES_MAX).sum();
    let mut payload = Vec::with_capacity(bytes + FOOTER_BYTES);
    for text in texts {
        payload.push(FUNCTION);
        write_length(&mut payload, text.len());
        payload.extend_from_slice(text);
    }
    sign(&mut payload);
    payload
}

/// Makes a payload of what it holds: adds the version and the checksum.
pub fn sign(payload: &mut Vec<u8>) {
    payload.extend_from_slice(&VERSION.to_le_bytes());
    let checksum = CHECKSUM.checksum(payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
}

fn write_length(payload: &mut Vec<u8>, length: usize) {
    match length {
        0..0x40 => payload.push(length as u8),
        0x40..0x4000 => payload.extend_from_slice(&(0x4000 | length as u16).to_be_bytes()),
        _ => match u32::try_from(length) {
            Ok(length) => {
                payload.push(0x80);
                payload.extend_from_slice(&length.to_be_bytes());
            }
            Err(_) => {
                payload.push(0x81);
                payload.extend_from_slice(&(length as u64).to_be_bytes());
            }
        },
    }
}

/// Reads the texts of a payload's libraries. `has_room` says whether so many bytes may be allocated.
/// O(bytes of the texts).
///
/// # Errors
/// [`PayloadError`].
pub fn restore(
    payload: &[u8],
    has_room: impl Fn(usize) -> bool,
) -> Result<Vec<Arc<[u8]>>, PayloadError> {
    let (signed, checksum) = payload.split_last_chunk().ok_or(PayloadError::Footer)?;
    let (content, version) = signed.split_last_chunk().ok_or(PayloadError::Footer)?;
    let is_intact = CHECKSUM.checksum(signed) == u64::from_le_bytes(*checksum);
    if u16::from_le_bytes(*version) > VERSION_MAX || !is_intact {
        return Err(PayloadError::Footer);
    }
    let mut reader = Reader(content);
    let mut texts = Vec::new();
    while let Some(kind) = reader.byte() {
        if kind != FUNCTION {
            return Err(PayloadError::Type);
        }
        texts.push(reader.text(&has_room)?);
    }
    Ok(texts)
}

/// A length, or how what follows is written.
enum Length {
    Bytes(usize),
    Compressed,
}

/// What is left of a payload.
struct Reader<'p>(&'p [u8]);

impl<'p> Reader<'p> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self, length: usize) -> Option<&'p [u8]> {
        let (first, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(first)
    }

    fn length(&mut self) -> Option<Length> {
        let first = self.byte()?;
        let low = usize::from(first & 0x3f);
        Some(Length::Bytes(match (first >> 6, low) {
            (0, _) => low,
            (1, _) => low << 8 | usize::from(self.byte()?),
            (2, 0) => u32::from_be_bytes(self.array()?) as usize,
            (2, 1) => usize::try_from(u64::from_be_bytes(self.array()?)).ok()?,
            (3, 3) => return Some(Length::Compressed),
            // Numbers, which are no libraries, and what is not known.
            _ => return None,
        }))
    }

    fn plain_length(&mut self) -> Option<usize> {
        match self.length()? {
            Length::Bytes(bytes) => Some(bytes),
            Length::Compressed => None,
        }
    }

    fn text(&mut self, has_room: impl Fn(usize) -> bool) -> Result<Arc<[u8]>, PayloadError> {
        let content = PayloadError::Content;
        match self.length().ok_or(content)? {
            Length::Bytes(bytes) => {
                let text = self.bytes(bytes).ok_or(content)?;
                if !has_room(text.len()) {
                    return Err(PayloadError::OutOfMemory);
                }
                Ok(text.into())
            }
            Length::Compressed => {
                let compressed_bytes = self.plain_length().ok_or(content)?;
                let bytes = self.plain_length().ok_or(content)?;
                let compressed = self.bytes(compressed_bytes).ok_or(content)?;
                if bytes / EXPANSION_MAX > compressed.len() || bytes > COMPRESSED_TEXT_BYTES_MAX {
                    return Err(content);
                }
                // For a moment it is there twice.
                if !has_room(bytes.saturating_mul(2)) {
                    return Err(PayloadError::OutOfMemory);
                }
                Ok(decompress(compressed, bytes).ok_or(content)?.into())
            }
        }
    }
}

/// What LZF has compressed to `compressed`, which is `length` bytes long; `None` if it is not.
///
/// A control byte below 32 says how many bytes follow, less one. Another one says what to repeat: in
/// its upper three bits how much, less two, with the next byte added if they are all set; in the
/// lower five and one more byte how far back it begins, less one.
fn decompress(compressed: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut reader = Reader(compressed);
    let mut text = Vec::with_capacity(length);
    while let Some(control) = reader.byte() {
        if control < 32 {
            text.extend_from_slice(reader.bytes(usize::from(control) + 1)?);
        } else {
            let mut repeated = usize::from(control >> 5);
            if repeated == 7 {
                repeated += usize::from(reader.byte()?);
            }
            let back = usize::from(control & 31) << 8 | usize::from(reader.byte()?);
            let from = text.len().checked_sub(back + 1)?;
            // It may repeat what it adds itself.
            for at in from..from + repeated + 2 {
                text.push(text[at]);
            }
        }
        if text.len() > length {
            return None;
        }
    }
    (text.len() == length).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(content: &[u8]) -> Vec<u8> {
        let mut payload = content.to_vec();
        sign(&mut payload);
        payload
    }

    fn read(content: &[u8]) -> Result<Vec<Arc<[u8]>>, PayloadError> {
        restore(&signed(content), |_| true)
    }

    #[test]
    fn the_checksum_is_redis_s() {
        assert_eq!(CHECKSUM.checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn texts_of_all_lengths_are_read_back() {
        let lengths = [0, 1, 0x3f, 0x40, 0x3fff, 0x4000, 100_000];
        let written: Vec<Vec<u8>> = lengths.iter().map(|length| vec![b'x'; *length]).collect();
        let payload = dump(written.iter().map(Vec::as_slice));
        let texts = restore(&payload, |_| true).expect("what was written");
        assert!(texts.iter().map(|text| &**text).eq(&written));
    }

    #[test]
    fn compressed_texts_are_read() {
        // Three bytes as they are, then nine that repeat the last three.
        let content = [FUNCTION, 0xc3, 7, 12, 2, b'a', b'b', b'c', 0xe0, 0, 2];
        let texts = read(&content).expect("a compressed text");
        assert_eq!(&*texts[0], b"abcabcabcabc");
    }

    #[test]
    fn what_is_broken_is_refused() {
        let intact = signed(&[FUNCTION, 2, b'a', b'b']);
        for at in 0..intact.len() {
            let mut changed = intact.clone();
            changed[at] ^= 1;
            assert_eq!(restore(&changed, |_| true), Err(PayloadError::Footer));
            assert_eq!(restore(&intact[..at], |_| true), Err(PayloadError::Footer));
        }
        assert_eq!(read(&[246, 1, b'a']), Err(PayloadError::Type));
        for content in [
            &[FUNCTION][..],
            &[FUNCTION, 2, b'a'],
            &[FUNCTION, 0x40],
            &[FUNCTION, 0x80, 0xff, 0xff, 0xff, 0xff],
            &[
                FUNCTION, 0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ],
            &[FUNCTION, 0x82],
            &[FUNCTION, 0xc0, 1],
            // Longer, and shorter, than it says.
            &[FUNCTION, 0xc3, 2, 1, 1, b'a', b'b'],
            &[FUNCTION, 0xc3, 2, 3, 0, b'a'],
            // Repeats what came before the beginning.
            &[FUNCTION, 0xc3, 4, 4, 0, b'a', 0x20, 9],
            // Cannot be so long.
            &[FUNCTION, 0xc3, 2, 0x80, 0x7f, 0xff, 0xff, 0xff, 0, b'a'],
        ] {
            assert_eq!(read(content), Err(PayloadError::Content), "{content:?}");
        }
    }

    #[test]
    fn a_text_without_room_is_refused() {
        let payload = signed(&[FUNCTION, 2, b'a', b'b']);
        let refused = restore(&payload, |bytes| bytes < 2);
        assert_eq!(refused, Err(PayloadError::OutOfMemory));
    }
}
