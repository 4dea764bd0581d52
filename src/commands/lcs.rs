//! LCS: the longest common subsequence of two strings.

use super::args::Args;
use super::command::{Command, Group, Keys};
use super::error::CommandError;
use super::view::View;
use crate::fault::fault;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[Command::read("LCS", -3, Group::String, lcs)
    .keys(Keys::FIRST_TWO)
    .doc(
        "7.0.0",
        "O(N·M), with the two lengths",
        "Finds what two strings have in common.",
    )];

/// What is asked of LCS.
#[derive(Default)]
struct Options {
    wants_length: bool,
    wants_ranges: bool,
    wants_range_lengths: bool,
    range_length_min: usize,
}

impl Options {
    fn parse(args: &Args<'_>) -> Result<Options, CommandError> {
        let mut parsed = Options::default();
        let mut options = args.options(3);
        while !options.is_empty() {
            if options.take("IDX") {
                parsed.wants_ranges = true;
            } else if options.take("LEN") {
                parsed.wants_length = true;
            } else if options.take("WITHMATCHLEN") {
                parsed.wants_range_lengths = true;
            } else if options.left() >= 2 && options.take("MINMATCHLEN") {
                parsed.range_length_min = usize::try_from(options.integer()?.max(0)).unwrap_or(0);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if parsed.wants_ranges && parsed.wants_length {
            return Err(CommandError::text(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(parsed)
    }
}

/// A run of common bytes: where it begins in each string, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    one: usize,
    other: usize,
    length: usize,
}

/// Lengths of the longest common subsequences of all pairs of prefixes.
struct Lengths {
    cells: Vec<u32>,
    width: usize,
}

impl Lengths {
    fn new(one: &[u8], other: &[u8]) -> Lengths {
        assert!(!fault!("LCS panics"), "on purpose");
        let width = other.len() + 1;
        let mut cells = vec![0; width * (one.len() + 1)];
        for (row, byte) in (1..).zip(one) {
            for (column, same) in (1..).zip(other) {
                let at = row * width + column;
                cells[at] = if byte == same {
                    cells[at - width - 1] + 1
                } else {
                    cells[at - width].max(cells[at - 1])
                };
            }
        }
        Lengths { cells, width }
    }

    fn at(&self, one: usize, other: usize) -> u32 {
        self.cells[one * self.width + other]
    }

    /// The runs that the subsequence is made of, last first.
    fn runs(&self, one: &[u8], other: &[u8]) -> Vec<Run> {
        let (mut i, mut j) = (one.len(), other.len());
        let mut runs: Vec<Run> = Vec::new();
        while i > 0 && j > 0 {
            if one[i - 1] != other[j - 1] {
                if self.at(i - 1, j) > self.at(i, j - 1) {
                    i -= 1
                } else {
                    j -= 1
                }
                continue;
            }
            (i, j) = (i - 1, j - 1);
            match runs.last_mut() {
                Some(run) if run.one == i + 1 && run.other == j + 1 => {
                    *run = Run {
                        one: i,
                        other: j,
                        length: run.length + 1,
                    };
                }
                _ => runs.push(Run {
                    one: i,
                    other: j,
                    length: 1,
                }),
            }
        }
        runs
    }
}

fn lcs(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    let string = |index: usize| match view.string(&args[index]) {
        Ok(value) => Ok(value.map(|value| value.to_cow()).unwrap_or_default()),
        Err(CommandError::WrongType) => Err(CommandError::text(
            "ERR The specified keys must contain string values",
        )),
        Err(error) => Err(error),
    };
    let (one, other) = (string(1)?, string(2)?);
    let options = Options::parse(args)?;
    let cells = (one.len() as u128 + 1) * (other.len() as u128 + 1);
    if cells * 4 > view.services.config.bulk_bytes_max() as u128 {
        return Err(CommandError::text(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    // The limit above fits a `usize`.
    view.check_room_to_read(cells as usize * size_of::<u32>())?;
    let lengths = Lengths::new(&one, &other);
    let length = lengths.at(one.len(), other.len());
    if options.wants_length {
        reply.integer(length.into());
        return Ok(());
    }
    let runs = lengths.runs(&one, &other);
    if options.wants_ranges {
        reply_ranges(&runs, length, &options, reply);
        return Ok(());
    }
    let mut common = Vec::with_capacity(length as usize);
    for run in runs.iter().rev() {
        common.extend_from_slice(&one[run.one..run.one + run.length]);
    }
    reply.bulk(&common);
    Ok(())
}

fn reply_ranges(runs: &[Run], length: u32, options: &Options, reply: &mut dyn Reply) {
    let shown: Vec<_> = runs
        .iter()
        .filter(|run| run.length >= options.range_length_min)
        .collect();
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(shown.len());
    for run in shown {
        reply.array(2 + usize::from(options.wants_range_lengths));
        for start in [run.one, run.other] {
            reply.array(2);
            reply.integer(start as i64);
            reply.integer((start + run.length - 1) as i64);
        }
        if options.wants_range_lengths {
            reply.integer(run.length as i64);
        }
    }
    reply.bulk(b"len");
    reply.integer(length.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_as_long_as_they_can_be() {
        let (one, other) = (b"ohmytext", b"mynewtext");
        let runs = Lengths::new(one, other).runs(one, other);
        let expected = [
            Run {
                one: 4,
                other: 5,
                length: 4,
            },
            Run {
                one: 2,
                other: 0,
                length: 2,
            },
        ];
        assert_eq!(runs, expected);
    }
}
