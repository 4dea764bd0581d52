//! What commands share that take from the first of several keys that has something, at once or
//! when there is something.

use super::args::Args;
use super::error::{CommandError, Wait};
use crate::resp::number::{parse_double, parse_integer};

/// A time to wait in seconds, as whole milliseconds; 0 is for ever.
///
/// # Errors
/// If it is no number, negative, or beyond all times.
pub(super) fn timeout_ms(seconds: &[u8]) -> Result<u64, CommandError> {
    let seconds = parse_double(seconds).ok_or(CommandError::text(
        "ERR timeout is not a float or out of range",
    ))?;
    let milliseconds = (seconds * 1000.0).ceil();
    if milliseconds < 0.0 {
        return Err(CommandError::text("ERR timeout is negative"));
    }
    // The rounding of the limit makes it the first double that no signed count can hold.
    if milliseconds >= i64::MAX as f64 {
        return Err(CommandError::text("ERR timeout is out of range"));
    }
    Ok(milliseconds as u64)
}

/// The command cannot go on before one of `keys` has something.
pub(super) fn would_block(keys: &[&[u8]], timeout_ms: u64) -> CommandError {
    CommandError::WouldBlock(Box::new(Wait {
        keys: keys.iter().map(|key| key.to_vec()).collect(),
        timeout_ms,
        arguments: None,
        group: None,
    }))
}

/// What LMPOP, ZMPOP and their blocking twins are asked for.
pub(super) struct Several<'a> {
    pub(super) keys: &'a [&'a [u8]],
    /// Which of the two words stood there.
    pub(super) is_first_word: bool,
    pub(super) count: usize,
}

/// Reads `numkeys key [key ...] <word> [COUNT count]` from `index` on.
///
/// # Errors
/// If it is something else.
pub(super) fn several<'a>(
    args: &Args<'a>,
    index: usize,
    words: [&str; 2],
) -> Result<Several<'a>, CommandError> {
    let number = |index: usize, error: &'static str| {
        args.get(index)
            .and_then(parse_integer)
            .filter(|number| *number > 0)
            .map(|number| usize::try_from(number).unwrap_or(usize::MAX))
            .ok_or(CommandError::text(error))
    };
    let keys = number(index, "ERR numkeys should be greater than 0")?;
    let rest = args.from(index + 1);
    if keys >= rest.len() {
        return Err(CommandError::Syntax);
    }
    let mut options = args.options(index + 1 + keys);
    let is_first_word = options.take(words[0]);
    if !is_first_word && !options.take(words[1]) {
        return Err(CommandError::Syntax);
    }
    let mut count = None;
    while !options.is_empty() {
        if count.is_some() || !options.take("COUNT") || options.is_empty() {
            return Err(CommandError::Syntax);
        }
        count = Some(number(
            options.position(),
            "ERR count should be greater than 0",
        )?);
        options.next()?;
    }
    Ok(Several {
        keys: &rest[..keys],
        is_first_word,
        count: count.unwrap_or(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_rounded_up_and_bounded() {
        assert_eq!(timeout_ms(b"0"), Ok(0));
        assert_eq!(timeout_ms(b"0.0001"), Ok(1));
        assert_eq!(timeout_ms(b"1.5"), Ok(1500));
        for text in [
            "-1",
            "x",
            "",
            "1e30",
            "inf",
            "-inf",
            "nan",
            "9223372036854775.807",
        ] {
            assert!(timeout_ms(text.as_bytes()).is_err(), "{text}");
        }
    }
}
