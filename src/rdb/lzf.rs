//! LZF, in which Redis compresses texts.

use super::Error;
use super::cursor::Cursor;

/// Three bytes stand for 264 at most.
pub(super) const EXPANSION_MAX: usize = 88;
/// The shortest that is repeated.
const REPEATED_MIN: usize = 2;

/// What was compressed to `compressed`, if that is `length` bytes long. O(`length`); who calls it has
/// compared the two.
///
/// A control byte below 32 says how many bytes follow, less one. Another one says what to repeat: in
/// its upper three bits how much, less two, with the next byte added if they are all set; in the
/// lower five and one more byte how far back it begins, less one.
///
/// # Errors
/// [`Error::Content`].
pub(super) fn decompress(compressed: &[u8], length: usize) -> Result<Vec<u8>, Error> {
    let mut rest = Cursor(compressed);
    let mut text = Vec::with_capacity(length);
    while !rest.is_empty() {
        let control = rest.byte()?;
        if control < 32 {
            text.extend_from_slice(rest.bytes(usize::from(control) + 1)?);
        } else {
            let mut repeated = usize::from(control >> 5);
            if repeated == 7 {
                repeated += usize::from(rest.byte()?);
            }
            let back = usize::from(control & 31) << 8 | usize::from(rest.byte()?);
            let from = text.len().checked_sub(back + 1).ok_or(Error::Content)?;
            // It may repeat what it adds itself.
            for at in from..from + repeated + REPEATED_MIN {
                text.push(text[at]);
            }
        }
        if text.len() > length {
            return Err(Error::Content);
        }
    }
    if text.len() != length {
        return Err(Error::Content);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compressed_is_there_again() {
        assert_eq!(decompress(&[], 0), Ok(Vec::new()));
        assert_eq!(decompress(&[1, b'a', b'b'], 2), Ok(b"ab".to_vec()));
        // Three bytes as they are, then nine that repeat the last three.
        let text = decompress(&[2, b'a', b'b', b'c', 0xe0, 0, 2], 12);
        assert_eq!(text, Ok(b"abcabcabcabc".to_vec()));
        let longest = decompress(&[0, b'x', 0xe0, 0xff, 0], 265);
        assert_eq!(longest, Ok(vec![b'x'; 265]));
    }

    #[test]
    fn what_was_not_is_refused() {
        for (compressed, length) in [
            // Longer, and shorter, than it says.
            (&[1, b'a', b'b'][..], 1),
            (&[0, b'a'], 2),
            (&[0, b'a', 0xe0, 0xff, 0], 264),
            // Cut.
            (&[1, b'a'], 2),
            (&[0, b'a', 0x20], 4),
            (&[0, b'a', 0xe0, 1], 11),
            // Repeats what came before the beginning.
            (&[0, b'a', 0x20, 1], 4),
        ] {
            assert_eq!(decompress(compressed, length), Err(Error::Content));
        }
    }
}
