//! Positions in ordered values, as clients name them: negative ones count from the end.

use std::ops::Range;

/// The position that `index` names among `length`, if there is one.
pub(super) fn position(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 {
        index.checked_add(length)?
    } else {
        index
    };
    (0..length).contains(&index).then_some(index as usize)
}

/// The positions from `first` to `last`, both included, as far as they are among `length`.
pub(super) fn positions(first: i64, last: i64, length: usize) -> Range<usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let from_start = |index: i64| {
        if index < 0 {
            index.saturating_add(length)
        } else {
            index
        }
    };
    let first = from_start(first).max(0);
    let last = from_start(last).min(length - 1);
    if first > last {
        0..0
    } else {
        first as usize..last as usize + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_cut_to_what_is_there() {
        for (first, last, expected) in [
            (0, -1, 0..5),
            (-2, -1, 3..5),
            (-100, 1, 0..2),
            (3, 100, 3..5),
            (4, 3, 0..0),
            (5, 9, 0..0),
            (0, -6, 0..0),
            (i64::MIN, i64::MAX, 0..5),
            (i64::MAX, i64::MIN, 0..0),
        ] {
            assert_eq!(positions(first, last, 5), expected, "{first} {last}");
        }
        assert_eq!(positions(0, -1, 0), 0..0);
    }

    #[test]
    fn a_position_is_inside() {
        assert_eq!(position(-1, 5), Some(4));
        assert_eq!(position(4, 5), Some(4));
        assert_eq!(position(5, 5), None);
        assert_eq!(position(-6, 5), None);
        assert_eq!(position(i64::MIN, 5), None);
    }
}
