//! What FUNCTION DUMP writes and FUNCTION RESTORE reads: a payload (see [`crate::rdb`]) that has the
//! byte 245 and the text of each library.

use std::sync::Arc;

use crate::rdb::{self, Limits, Reader, sign, verify, write_length};

const FUNCTION: u8 = 245;
const FOOTER_BYTES: usize = 10;
/// The kind and the length before a text.
const HEAD_BYTES_MAX: usize = 10;
/// What is compressed and longer is refused: nobody else is served while it is decompressed.
const UNPACKED_BYTES_MAX: usize = 64 << 20;

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

impl From<rdb::Error> for PayloadError {
    fn from(error: rdb::Error) -> PayloadError {
        match error {
            rdb::Error::Footer => PayloadError::Footer,
            rdb::Error::OutOfMemory => PayloadError::OutOfMemory,
            _ => PayloadError::Content,
        }
    }
}

/// Writes the texts of libraries. O(bytes).
pub fn dump<'t>(texts: impl Iterator<Item = &'t [u8]> + Clone) -> Vec<u8> {
    let bytes: usize = texts.clone().map(|text| text.len() + HEAD_BYTES_MAX).sum();
    let mut payload = Vec::with_capacity(bytes + FOOTER_BYTES);
    for text in texts {
        payload.push(FUNCTION);
        write_length(&mut payload, text.len() as u64);
        payload.extend_from_slice(text);
    }
    sign(&mut payload);
    payload
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
    let limits = Limits {
        unpacked_bytes_max: UNPACKED_BYTES_MAX,
        has_room: &has_room,
    };
    let mut reader = Reader::new(verify(payload)?, limits);
    let mut texts = Vec::new();
    while !reader.is_empty() {
        if reader.byte()? != FUNCTION {
            return Err(PayloadError::Type);
        }
        let text = reader.text()?;
        if !has_room(text.len()) {
            return Err(PayloadError::OutOfMemory);
        }
        texts.push(Arc::from(text));
    }
    Ok(texts)
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
            &[FUNCTION, 0xc0],
            // Longer than it says.
            &[FUNCTION, 0xc3, 2, 1, 1, b'a', b'b'],
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
