//! The sparse form: runs of registers that have the same value, one after the other.
//!
//! `00llllll` is a run of zeroes, of l + 1 registers; `01llllll llllllll` a longer one; `1vvvvvll` one
//! of l + 1 registers with the value v + 1. Where a run is cut and which ones become one is Redis's
//! way to the byte.

use super::{REGISTERS, Registers};

/// The longest run of zeroes in one byte.
const SHORT_MAX: usize = 64;
/// The longest run of a value.
const VALUE_RUN_MAX: usize = 4;
/// The largest value.
const VALUE_MAX: u8 = 32;
/// All registers are zero.
pub(super) const EMPTY: [u8; 2] = long_zeroes(REGISTERS);
/// Runs that may have come to stand beside their like when one was cut.
const JOINED_MAX: usize = 5;

const fn long_zeroes(length: usize) -> [u8; 2] {
    let below = length - 1;
    [0x40 | (below >> 8) as u8, below as u8]
}

/// So many registers with one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    value: u8,
    length: usize,
    /// What it takes.
    bytes: usize,
}

impl Run {
    /// The run that these bytes begin with; `None` if it is not whole.
    fn read(bytes: &[u8]) -> Option<Run> {
        Some(match *bytes {
            [first @ 0x80..=0xFF, ..] => Run {
                value: (first >> 2 & 0x1F) + 1,
                length: usize::from(first & 3) + 1,
                bytes: 1,
            },
            [first @ 0x40..=0x7F, second, ..] => Run {
                value: 0,
                length: (usize::from(first & 0x3F) << 8 | usize::from(second)) + 1,
                bytes: 2,
            },
            [first @ 0..=0x3F, ..] => Run {
                value: 0,
                length: usize::from(first) + 1,
                bytes: 1,
            },
            _ => return None,
        })
    }
}

fn value_byte(value: u8, length: usize) -> u8 {
    0x80 | (value - 1) << 2 | (length - 1) as u8
}

/// Writes a run of one value, if it has any registers.
fn push_run(output: &mut Vec<u8>, value: u8, length: usize) {
    match (value, length) {
        (_, 0) => {}
        (0, 1..=SHORT_MAX) => output.push((length - 1) as u8),
        (0, _) => output.extend_from_slice(&long_zeroes(length)),
        _ => output.push(value_byte(value, length)),
    }
}

/// Raises registers to those of a body; `None` if it is corrupted: it must have as many registers as
/// there are.
pub(super) fn merge_into(body: &[u8], registers: &mut Registers) -> Option<()> {
    let (mut rest, mut index) = (body, 0);
    while !rest.is_empty() {
        let run = Run::read(rest)?;
        let covered = registers.get_mut(index..index + run.length)?;
        for register in covered {
            *register = (*register).max(run.value);
        }
        index += run.length;
        rest = &rest[run.bytes..];
    }
    (index == REGISTERS).then_some(())
}

/// What became of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    Changed,
    /// It was as high before.
    Same,
    /// Only the dense form can hold it; nothing has changed.
    DoesNotFit,
}

/// Where a register's run is.
struct Found {
    at: usize,
    run: Run,
    /// Its first register.
    first: usize,
    /// Where the run before it begins; its own place, if it is the first.
    before: usize,
}

fn find(body: &[u8], index: usize) -> Option<Found> {
    let (mut at, mut first, mut before) = (0, 0, 0);
    loop {
        let run = Run::read(body.get(at..)?)?;
        if index < first + run.length {
            return Some(Found {
                at,
                run,
                first,
                before,
            });
        }
        before = at;
        at += run.bytes;
        first += run.length;
    }
}

/// Raises a register of a body, which may become `bytes_max` long; `None` if it is corrupted.
pub(super) fn raise(
    body: &mut Vec<u8>,
    index: usize,
    value: u8,
    bytes_max: usize,
) -> Option<Raised> {
    if value > VALUE_MAX {
        return Some(Raised::DoesNotFit);
    }
    let found = find(body, index)?;
    let run = found.run;
    if run.value >= value {
        return Some(Raised::Same);
    }
    let mut cut = Vec::with_capacity(5);
    push_run(&mut cut, run.value, index - found.first);
    push_run(&mut cut, value, 1);
    push_run(&mut cut, run.value, found.first + run.length - 1 - index);
    let grows = cut.len() > run.bytes;
    if grows && body.len() + cut.len() - run.bytes > bytes_max {
        return Some(Raised::DoesNotFit);
    }
    body.splice(found.at..found.at + run.bytes, cut);
    join(body, found.before);
    Some(Raised::Changed)
}

/// Makes one run of neighbours with the same value, as far as one byte can say it.
fn join(body: &mut Vec<u8>, from: usize) {
    let mut at = from;
    for _ in 0..JOINED_MAX {
        let Some(run) = body.get(at..).and_then(Run::read) else {
            return;
        };
        let next = body.get(at + run.bytes..).and_then(Run::read);
        if let Some(next) = next
            && run.value > 0
            && run.value == next.value
            && run.length + next.length <= VALUE_RUN_MAX
        {
            body[at + 1] = value_byte(run.value, run.length + next.length);
            body.remove(at);
        } else {
            at += run.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registers_of(body: &[u8]) -> Box<Registers> {
        let mut registers = Box::new([0; REGISTERS]);
        merge_into(body, &mut registers).unwrap();
        registers
    }

    #[test]
    fn a_run_is_cut_in_up_to_three_and_joined_with_its_like() {
        let mut body = EMPTY.to_vec();
        assert_eq!(body, [0x7F, 0xFF]);
        let raise = |body: &mut Vec<u8>, index, value| raise(body, index, value, 1000).unwrap();
        assert_eq!(raise(&mut body, 100, 3), Raised::Changed);
        assert_eq!(body, [0x40, 99, 0x88, 0x7F, 0x9A]);
        assert_eq!(raise(&mut body, 100, 2), Raised::Same);
        assert_eq!(raise(&mut body, 101, 3), Raised::Changed);
        assert_eq!(body, [0x40, 99, 0x89, 0x7F, 0x99]);
        assert_eq!(raise(&mut body, 101, 4), Raised::Changed);
        assert_eq!(body, [0x40, 99, 0x88, 0x8C, 0x7F, 0x99]);
        assert_eq!(raise(&mut body, 50, 1), Raised::Changed);
        assert_eq!(body, [49, 0x80, 48, 0x88, 0x8C, 0x7F, 0x99]);
    }

    #[test]
    fn registers_that_are_raised_at_random_are_those_of_a_plain_array() {
        let mut body = EMPTY.to_vec();
        let mut expected = Box::new([0_u8; REGISTERS]);
        let mut word = 1_u64;
        for _ in 0..3000 {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (index, value) = ((word >> 33) as usize % 900, (word >> 50) as u8 % 32 + 1);
            let raised = raise(&mut body, index, value, usize::MAX).unwrap();
            assert_eq!(raised == Raised::Changed, value > expected[index]);
            expected[index] = expected[index].max(value);
        }
        assert!(registers_of(&body) == expected);
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let mut body = EMPTY.to_vec();
        assert_eq!(raise(&mut body, 5, 33, 1000), Some(Raised::DoesNotFit));
        assert_eq!(raise(&mut body, 5, 1, 3), Some(Raised::DoesNotFit));
        assert_eq!(body, EMPTY);
        assert_eq!(raise(&mut body, 5, 1, 4), Some(Raised::Changed));
    }

    #[test]
    fn what_is_corrupted_is_found_and_never_read_beyond_its_end() {
        let mut registers = Box::new([0; REGISTERS]);
        for body in [
            &b""[..],
            b"\x00",
            b"\x7f",
            b"\x7f\xff\x00",
            b"\x7f\xfe",
            b"\xff\xff",
            b"\x7f\xfe\x40",
        ] {
            assert_eq!(merge_into(body, &mut registers), None, "{body:?}");
            assert_eq!(
                raise(&mut body.to_vec(), REGISTERS - 1, 33, 9),
                Some(Raised::DoesNotFit)
            );
        }
        assert_eq!(raise(&mut b"\x00\x7f".to_vec(), 9, 1, 9), None);
        assert_eq!(raise(&mut Vec::new(), 0, 1, 9), None);
    }
}
