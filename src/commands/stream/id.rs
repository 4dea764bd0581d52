//! IDs of stream entries, as clients write them.

use darter_storage::StreamId;

use crate::commands::error::CommandError;
use crate::resp::number::without_spaces_before;
use crate::resp::reply::Reply;

const INVALID: CommandError =
    CommandError::text("ERR Invalid stream ID specified as stream command argument");

/// The largest ID.
pub(super) const MAX: StreamId = StreamId {
    milliseconds: u64::MAX,
    sequence: u64::MAX,
};

/// The number that `text` is: digits, perhaps with spaces and a plus before, as `strtoull` reads it.
fn parse_number(text: &[u8]) -> Option<u64> {
    let text = without_spaces_before(text);
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// An ID, `-` and `+` being the smallest and the largest; a sequence that is not there is
/// `sequence`.
pub(super) fn parse(text: &[u8], sequence: u64) -> Result<StreamId, CommandError> {
    match text {
        b"-" => Ok(StreamId::default()),
        b"+" => Ok(MAX),
        _ => parse_exact(text, sequence),
    }
}

/// An ID in numbers; a sequence that is not there is `sequence`.
pub(super) fn parse_exact(text: &[u8], sequence: u64) -> Result<StreamId, CommandError> {
    let (milliseconds, sequence) = match text.iter().position(|byte| *byte == b'-') {
        Some(dash) => (&text[..dash], parse_number(&text[dash + 1..])),
        None => (text, Some(sequence)),
    };
    Ok(StreamId {
        milliseconds: parse_number(milliseconds).ok_or(INVALID)?,
        sequence: sequence.ok_or(INVALID)?,
    })
}

/// The ID of an entry to be added, all or in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewId {
    /// `*`: by the clock.
    Any,
    /// `ms-*`: any sequence.
    AnySequence(u64),
    /// Exactly this.
    Exact(StreamId),
}

impl NewId {
    pub(super) fn parse(text: &[u8]) -> Result<NewId, CommandError> {
        match text {
            b"*" => Ok(NewId::Any),
            [milliseconds @ .., b'-', b'*'] => {
                let milliseconds = parse_number(milliseconds).ok_or(INVALID)?;
                Ok(NewId::AnySequence(milliseconds))
            }
            _ => Ok(NewId::Exact(parse_exact(text, 0)?)),
        }
    }

    /// The ID itself, for an entry behind `last`; `None` if there is none left of this kind.
    pub(super) fn resolve(self, last: StreamId, now_ms: u64) -> Option<StreamId> {
        let at = |milliseconds| StreamId {
            milliseconds,
            sequence: 0,
        };
        let id = match self {
            NewId::Any if now_ms > last.milliseconds => at(now_ms),
            NewId::Any => next(last)?,
            NewId::AnySequence(milliseconds) if milliseconds == last.milliseconds => StreamId {
                sequence: last.sequence.checked_add(1)?,
                ..last
            },
            NewId::AnySequence(milliseconds) => at(milliseconds),
            NewId::Exact(id) => id,
        };
        (id > last).then_some(id)
    }
}

/// The ID right behind.
pub(super) fn next(id: StreamId) -> Option<StreamId> {
    match id.sequence.checked_add(1) {
        Some(sequence) => Some(StreamId { sequence, ..id }),
        None => Some(StreamId {
            milliseconds: id.milliseconds.checked_add(1)?,
            sequence: 0,
        }),
    }
}

/// The ID right before.
fn previous(id: StreamId) -> Option<StreamId> {
    match id.sequence.checked_sub(1) {
        Some(sequence) => Some(StreamId { sequence, ..id }),
        None => Some(StreamId {
            milliseconds: id.milliseconds.checked_sub(1)?,
            sequence: u64::MAX,
        }),
    }
}

/// Where an interval starts.
pub(super) fn parse_start(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => next(parse_exact(id, 0)?)
            .ok_or(CommandError::text("ERR invalid start ID for the interval")),
        _ => parse(text, 0),
    }
}

/// Where an interval ends.
pub(super) fn parse_end(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => previous(parse_exact(id, u64::MAX)?)
            .ok_or(CommandError::text("ERR invalid end ID for the interval")),
        _ => parse(text, u64::MAX),
    }
}

/// An ID as text.
pub(super) fn format(id: StreamId) -> String {
    format!("{}-{}", id.milliseconds, id.sequence)
}

/// Writes an ID.
pub(super) fn write(id: StreamId, reply: &mut dyn Reply) {
    reply.bulk(format(id).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(milliseconds: u64, sequence: u64) -> StreamId {
        StreamId {
            milliseconds,
            sequence,
        }
    }

    #[test]
    fn neighbours_carry_over() {
        assert_eq!(next(id(1, 2)), Some(id(1, 3)));
        assert_eq!(next(id(1, u64::MAX)), Some(id(2, 0)));
        assert_eq!(next(MAX), None);
        assert_eq!(previous(id(1, 0)), Some(id(0, u64::MAX)));
        assert_eq!(previous(id(0, 0)), None);
    }

    #[test]
    fn a_new_id_is_behind_the_last() {
        let last = id(5, 7);
        for (text, now_ms, expected) in [
            ("*", 9, Some(id(9, 0))),
            ("*", 5, Some(id(5, 8))),
            ("*", 3, Some(id(5, 8))),
            ("5-*", 0, Some(id(5, 8))),
            ("6-*", 0, Some(id(6, 0))),
            ("4-*", 0, None),
            ("5-7", 0, None),
            ("5-8", 0, Some(id(5, 8))),
            ("6", 0, Some(id(6, 0))),
        ] {
            let new = NewId::parse(text.as_bytes()).unwrap();
            assert_eq!(new.resolve(last, now_ms), expected, "{text} at {now_ms}");
        }
        let full = id(5, u64::MAX);
        assert_eq!(NewId::AnySequence(5).resolve(full, 0), None);
        assert_eq!(NewId::Any.resolve(full, 0), Some(id(6, 0)));
    }
}
