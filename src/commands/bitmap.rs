//! Strings as arrays of bits; the first bit is the highest of the first byte. Whole integers in them
//! are in `bitfield`.

use std::borrow::Cow;
use std::ops::Range;

use darter_storage::{Deadline, StringRef, StringValue, Value};

use super::args::Args;
use super::command::{Command, Group, Keys, flag};
use super::error::CommandError;
use super::view::View;
use crate::notifications::class;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("SETBIT", 4, Group::Bitmap, setbit)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM)
        .doc(
            "2.2.0",
            "O(log(N)), O(N) where the string grows",
            "Sets or clears a bit, and returns what it was.",
        ),
    Command::read("GETBIT", 3, Group::Bitmap, getbit)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc("2.2.0", "O(log(N))", "Returns a bit."),
    Command::read("BITCOUNT", -2, Group::Bitmap, bitcount)
        .keys(Keys::FIRST)
        .doc("2.6.0", "O(N)", "Counts the bits that are set."),
    Command::read("BITPOS", -3, Group::Bitmap, bitpos)
        .keys(Keys::FIRST)
        .doc(
            "2.8.7",
            "O(N)",
            "Finds the first bit that is set, or clear.",
        ),
    Command::write("BITOP", -4, Group::Bitmap, bitop)
        .keys(Keys::Range {
            first: 2,
            last: -1,
            step: 1,
        })
        .flag(flag::DENYOOM)
        .doc(
            "2.6.0",
            "O(N), with N bytes in all",
            "Combines strings bit by bit, and stores the result.",
        ),
];

type Done = Result<(), CommandError>;

/// Bytes of a result that are made at once.
const BLOCK_BYTES: usize = 16 * 1024;

const OFFSET_IS_WRONG: CommandError =
    CommandError::text("ERR bit offset is not an integer or out of range");

/// Checks the number of a bit: the string that has it must not be longer than allowed.
///
/// # Errors
/// If it would be.
pub(super) fn check_offset(view: &View<'_>, offset: Option<i64>) -> Result<u64, CommandError> {
    let offset = offset.and_then(|offset| u64::try_from(offset).ok());
    let bytes_max = view.services.config.bulk_bytes_max() as u64;
    offset
        .filter(|offset| offset / 8 < bytes_max)
        .ok_or(OFFSET_IS_WRONG)
}

fn byte_at(value: StringRef<'_>, at: usize) -> u8 {
    let byte = value.range(at, at.saturating_add(1));
    byte.first().copied().unwrap_or(0)
}

fn bit_at(value: StringRef<'_>, bit: u64) -> bool {
    byte_at(value, (bit / 8) as usize) & mask(bit) != 0
}

/// The bit in its byte.
fn mask(bit: u64) -> u8 {
    0x80_u8 >> (bit % 8)
}

fn setbit(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let key = &args[1];
    let bit = check_offset(view, parse_integer(&args[2]))?;
    let is_set = match &args[3] {
        b"0" => false,
        b"1" => true,
        _ => {
            return Err(CommandError::text(
                "ERR bit is not an integer or out of range",
            ));
        }
    };
    let at = (bit / 8) as usize;
    let (length, before) = match view.string(key)? {
        Some(value) => (value.len(), byte_at(value, at)),
        None => (0, 0),
    };
    let after = if is_set {
        before | mask(bit)
    } else {
        before & !mask(bit)
    };
    if at >= length || after != before {
        view.check_room((at + 1).saturating_sub(length))?;
        view.string_or_new(key)?.write_at(at, &[after])?;
        view.notify(class::STRING, "setbit", key);
    }
    reply.integer(i64::from(before & mask(bit) != 0));
    Ok(())
}

fn getbit(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let bit = check_offset(view, parse_integer(&args[2]))?;
    let value = view.string(&args[1])?;
    reply.integer(i64::from(value.is_some_and(|value| bit_at(value, bit))));
    Ok(())
}

/// What a range counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Byte,
    Bit,
}

impl Unit {
    fn read(args: &Args<'_>, index: usize) -> Result<Unit, CommandError> {
        if args.len() <= index || args.is(index, "BYTE") {
            Ok(Unit::Byte)
        } else if args.is(index, "BIT") {
            Ok(Unit::Bit)
        } else {
            Err(CommandError::Syntax)
        }
    }

    /// The bits from the unit `first` to the unit `last`, both included, negative ones from the end.
    fn bits(self, first: i64, last: i64, length_bytes: usize) -> Range<u64> {
        let bits = match self {
            Unit::Byte => 8,
            Unit::Bit => 1,
        };
        let length = (length_bytes as u64 * 8 / bits) as i64;
        let from_start = |index: i64| {
            if index < 0 {
                index.saturating_add(length).max(0)
            } else {
                index
            }
        };
        let (first, last) = (from_start(first), from_start(last).min(length - 1));
        if first > last {
            return 0..0;
        }
        first as u64 * bits..(last as u64 + 1) * bits
    }
}

/// How many bits are set in bytes.
fn count_ones(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words
        .iter()
        .map(|word| u64::from(u64::from_ne_bytes(*word).count_ones()));
    let rest = rest.iter().map(|byte| u64::from(byte.count_ones()));
    words.sum::<u64>() + rest.sum::<u64>()
}

/// How many bits of a range are set; the range is within the string.
fn count_in(value: StringRef<'_>, bits: Range<u64>) -> u64 {
    if bits.is_empty() {
        return 0;
    }
    let (first, end) = ((bits.start / 8) as usize, bits.end.div_ceil(8) as usize);
    let all: u64 = value.range_parts(first, end).map(count_ones).sum();
    // What is before the range in its first byte, and behind it in its last.
    let before = byte_at(value, first) & !(0xFF_u8 >> (bits.start % 8));
    let behind = match bits.end % 8 {
        0 => 0,
        used => byte_at(value, end - 1) & (0xFF_u8 >> used),
    };
    all - u64::from(before.count_ones()) - u64::from(behind.count_ones())
}

fn bitcount(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let Some(value) = view.string(&args[1])? else {
        reply.integer(0);
        return Ok(());
    };
    let bits = match args.len() {
        2 => Unit::Byte.bits(0, -1, value.len()),
        4 | 5 => {
            let (first, last) = (args.integer(2)?, args.integer(3)?);
            if first < 0 && last < 0 && first > last {
                reply.integer(0);
                return Ok(());
            }
            Unit::read(args, 4)?.bits(first, last, value.len())
        }
        _ => return Err(CommandError::Syntax),
    };
    reply.integer(count_in(value, bits) as i64);
    Ok(())
}

/// Where the first byte is that is another one.
fn first_other(bytes: &[u8], skipped: u8) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<8>();
    let same = words
        .iter()
        .take_while(|word| **word == [skipped; 8])
        .count();
    let rest = &bytes[same * 8..];
    let at = rest.iter().position(|byte| *byte != skipped)?;
    Some(same * 8 + at)
}

/// The first bit of a range that is set, or clear; the range is within the string.
fn find_in(value: StringRef<'_>, bits: Range<u64>, is_set: bool) -> Option<u64> {
    let find_one_by_one = |mut bits: Range<u64>| bits.find(|bit| bit_at(value, *bit) == is_set);
    let whole_start = bits.start.next_multiple_of(8).min(bits.end);
    let whole_end = (bits.end - bits.end % 8).max(whole_start);
    if let Some(bit) = find_one_by_one(bits.start..whole_start) {
        return Some(bit);
    }
    let skipped = if is_set { 0 } else { 0xFF };
    let mut start = whole_start;
    for part in value.range_parts((whole_start / 8) as usize, (whole_end / 8) as usize) {
        if let Some(at) = first_other(part, skipped) {
            let bit = (part[at] ^ skipped).leading_zeros();
            return Some(start + at as u64 * 8 + u64::from(bit));
        }
        start += part.len() as u64 * 8;
    }
    find_one_by_one(whole_end..bits.end)
}

fn bitpos(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let is_set = match args.integer(2)? {
        0 => false,
        1 => true,
        _ => {
            return Err(CommandError::text("ERR The bit argument must be 1 or 0."));
        }
    };
    // What is not there is all zeroes, without an end.
    let Some(value) = view.string(&args[1])? else {
        reply.integer(if is_set { -1 } else { 0 });
        return Ok(());
    };
    let (bits, has_end) = match args.len() {
        3 => (Unit::Byte.bits(0, -1, value.len()), false),
        4 => {
            let first = args.integer(3)?;
            (Unit::Byte.bits(first, -1, value.len()), false)
        }
        5 | 6 => {
            let first = args.integer(3)?;
            let unit = Unit::read(args, 5)?;
            (unit.bits(first, args.integer(4)?, value.len()), true)
        }
        _ => return Err(CommandError::Syntax),
    };
    let behind = bits.end;
    let found = match find_in(value, bits.clone(), is_set) {
        None if !is_set && !has_end && !bits.is_empty() => Some(behind),
        found => found,
    };
    reply.integer(found.map_or(-1, |bit| bit as i64));
    Ok(())
}

/// What BITOP does with its sources.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

impl Operation {
    fn read(args: &Args<'_>) -> Result<Operation, CommandError> {
        const ALL: [(&str, Operation); 4] = [
            ("AND", Operation::And),
            ("OR", Operation::Or),
            ("XOR", Operation::Xor),
            ("NOT", Operation::Not),
        ];
        let named = ALL.iter().find(|(name, _)| args.is(1, name));
        let operation = named.map(|(_, operation)| *operation);
        let operation = operation.ok_or(CommandError::Syntax)?;
        if operation == Operation::Not && args.len() != 4 {
            return Err(CommandError::text(
                "ERR BITOP NOT must be called with a single source key.",
            ));
        }
        Ok(operation)
    }

    /// Combines a block with a source's bytes, behind which there are zeroes.
    fn apply(self, block: &mut [u8], source: &[u8]) {
        let (block, behind) = block.split_at_mut(source.len());
        let pairs = block.iter_mut().zip(source);
        match self {
            Operation::And => {
                pairs.for_each(|(byte, other)| *byte &= other);
                behind.fill(0);
            }
            Operation::Or => pairs.for_each(|(byte, other)| *byte |= other),
            Operation::Xor => pairs.for_each(|(byte, other)| *byte ^= other),
            Operation::Not => {}
        }
    }
}

/// The bytes of `sources` combined, block by block: no source is gathered.
fn combine(operation: Operation, sources: &[Option<StringRef<'_>>], length: usize) -> StringValue {
    let mut result = StringValue::new(b"");
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    for start in (0..length).step_by(BLOCK_BYTES) {
        let end = length.min(start + BLOCK_BYTES);
        block.clear();
        for (number, source) in sources.iter().enumerate() {
            let bytes = match source {
                Some(source) => source.range(start, end),
                None => Cow::Borrowed(&[][..]),
            };
            if number == 0 {
                block.extend_from_slice(&bytes);
                block.resize(end - start, 0);
            } else {
                operation.apply(&mut block, &bytes);
            }
        }
        if operation == Operation::Not {
            block.iter_mut().for_each(|byte| *byte = !*byte);
        }
        result.append(&block);
    }
    result
}

fn bitop(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let operation = Operation::read(args)?;
    let destination = &args[2];
    view.notify_misses(args.from(3))?;
    let sources = args.from(3).iter().map(|key| view.string(key));
    let sources: Vec<Option<StringRef<'_>>> = sources.collect::<Result<_, _>>()?;
    let lengths = sources.iter().flatten().map(|source| source.len());
    let length = lengths.max().unwrap_or(0);
    view.check_room(length)?;
    let result = combine(operation, &sources, length);
    if length == 0 {
        view.delete(destination)?;
    } else {
        view.set(destination, Value::String(result), Deadline::Never)?;
        view.notify(class::STRING, "set", destination);
    }
    reply.integer(length as i64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a string of 0 and 1, for expectations that a reader can check.
    fn bits_of(bytes: &[u8]) -> Vec<bool> {
        let bits = 0..bytes.len() * 8;
        bits.map(|bit| bytes[bit / 8] & mask(bit as u64) != 0)
            .collect()
    }

    #[test]
    fn counting_and_finding_are_the_same_as_bit_by_bit() {
        let mut large = vec![0; 70_000];
        large[40_000] = 0x18;
        large[69_999] = 1;
        let samples: [&[u8]; 5] = [b"", b"\xFF\xF0\x00", b"foobar", &[0xFF; 30], &large];
        for bytes in samples {
            let value = StringValue::new(bytes);
            let bits = bits_of(bytes);
            let length = bits.len();
            for start in [0, 1, 7, 8, 9, 23, 131_072, 320_002, 320_003].map(|n| n.min(length)) {
                for end in [0, 5, 12, 17, 24, 320_005, length - length.min(3), length] {
                    let (start, end) = (start.min(end.min(length)), end.min(length));
                    let range = start as u64..end as u64;
                    let ones = bits[start..end].iter().filter(|bit| **bit).count();
                    assert_eq!(count_in(value.as_ref(), range.clone()), ones as u64);
                    for is_set in [false, true] {
                        let expected = bits[start..end].iter().position(|bit| *bit == is_set);
                        assert_eq!(
                            find_in(value.as_ref(), range.clone(), is_set),
                            expected.map(|at| (start + at) as u64),
                            "{range:?} of {length}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_range_of_units_is_cut_to_what_is_there() {
        for (unit, first, last, expected) in [
            (Unit::Byte, 0, -1, 0..24),
            (Unit::Byte, -2, -2, 8..16),
            (Unit::Bit, -2, -2, 22..23),
            (Unit::Bit, 5, 100, 5..24),
            (Unit::Bit, i64::MIN, i64::MAX, 0..24),
            (Unit::Byte, 3, 9, 0..0),
            (Unit::Byte, -1, -2, 0..0),
        ] {
            assert_eq!(unit.bits(first, last, 3), expected, "{first} {last}");
        }
        assert_eq!(Unit::Byte.bits(0, -1, 0), 0..0);
    }

    #[test]
    fn blocks_are_combined_as_if_zeroes_were_behind_the_shorter() {
        let long = vec![0x0F; 40_000];
        let (short, long) = (StringValue::new(b"\xFF\x3C"), StringValue::from_vec(long));
        let sources = [Some(short.as_ref()), None, Some(long.as_ref())];
        for (operation, start, end) in [
            (Operation::And, [0, 0, 0], 0),
            (Operation::Or, [0xFF, 0x3F, 0x0F], 0x0F),
            (Operation::Xor, [0xF0, 0x33, 0x0F], 0x0F),
        ] {
            let result = combine(operation, &sources, 40_000);
            assert_eq!(&*result.as_ref().range(0, 3), start);
            assert_eq!(&*result.as_ref().range(39_999, 40_001), [end]);
        }
        let result = combine(Operation::Not, &sources[..1], 2);
        assert_eq!(result.as_ref().as_slice(), Some(&b"\x00\xC3"[..]));
    }
}
