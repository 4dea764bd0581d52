//! Integer sets: the width of an integer and how many there are, in four bytes each, then the
//! integers in their order. All is little endian.

use super::Error;
use super::cursor::{Cursor, integer};

/// The integers of a set, least first.
///
/// # Errors
/// [`Error::Content`].
pub(super) fn integers(bytes: &[u8]) -> Result<impl Iterator<Item = i64>, Error> {
    let mut rest = Cursor(bytes);
    let width = rest.length()?;
    let count = rest.length()?;
    let is_whole = width.checked_mul(count) == Some(rest.len());
    if !matches!(width, 2 | 4 | 8) || !is_whole {
        return Err(Error::Content);
    }
    let integers = rest.0.chunks_exact(width).map(integer);
    if !integers.clone().is_sorted_by(|one, next| one < next) {
        return Err(Error::Content);
    }
    Ok(integers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(width: u32, count: u32, bytes: &[u8]) -> Result<Vec<i64>, Error> {
        let set = [&width.to_le_bytes()[..], &count.to_le_bytes(), bytes].concat();
        integers(&set).map(Iterator::collect)
    }

    #[test]
    fn integers_of_each_width_are_read() {
        assert_eq!(read(2, 2, &[0xfe, 0xff, 7, 0]), Ok(vec![-2, 7]));
        assert_eq!(
            read(4, 1, &i32::MIN.to_le_bytes()),
            Ok(vec![i32::MIN.into()])
        );
        assert_eq!(read(8, 1, &i64::MAX.to_le_bytes()), Ok(vec![i64::MAX]));
    }

    #[test]
    fn what_is_no_integer_set_is_refused() {
        for (width, count, bytes) in [
            (2, 2, &[1, 0, 1, 0][..]),
            (2, 2, &[2, 0, 1, 0]),
            (2, 2, &[1, 0]),
            (2, 1, &[1, 0, 2]),
            (3, 1, &[1, 0, 0]),
            (0, 0, &[]),
            (0, u32::MAX, &[]),
            (8, u32::MAX, &[0; 8]),
        ] {
            assert_eq!(read(width, count, bytes), Err(Error::Content));
        }
        assert!(integers(&[2, 0, 0, 0, 0]).is_err());
    }
}
