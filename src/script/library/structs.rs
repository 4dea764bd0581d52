//! The table `struct`: packing values as C lays them out.

use std::ffi::c_int;

use mlua::ffi;

use crate::script::error::Failure;
use crate::script::number;
use crate::script::trampoline::{Frame, Function};

pub(super) const FUNCTIONS: &[(&str, Function)] =
    &[("pack", pack), ("unpack", unpack), ("size", size)];

/// Longest integer that a format may ask for, in bytes.
const INTEGER_BYTES_MAX: usize = 32;
/// Alignment that "!" without a number means.
const ALIGNMENT_DEFAULT: usize = 8;

/// Options between two looks at the clock.
const CHECKPOINT_OPTIONS: usize = 256;

/// A format string as it is read.
struct Format<'a> {
    rest: &'a [u8],
    is_big_endian: bool,
    alignment: usize,
}

impl<'a> Format<'a> {
    fn new(text: &'a [u8]) -> Format<'a> {
        // As in C the format ends at a NUL.
        let end = text
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(text.len());
        Format {
            rest: &text[..end],
            is_big_endian: cfg!(target_endian = "big"),
            alignment: 1,
        }
    }

    /// The next option and the size of its value.
    fn next(&mut self, frame: &Frame) -> Result<Option<(u8, usize)>, Failure> {
        if self.rest.len().is_multiple_of(CHECKPOINT_OPTIONS) {
            frame.checkpoint();
        }
        let Some((&option, rest)) = self.rest.split_first() else {
            return Ok(None);
        };
        self.rest = rest;
        let size = match option {
            b'B' | b'b' | b'x' => 1,
            b'H' | b'h' => 2,
            b'L' | b'l' | b'T' | b'd' => 8,
            b'f' => 4,
            b'c' => self.number(1)?,
            b'i' | b'I' => {
                let size = self.number(4)?;
                if size > INTEGER_BYTES_MAX {
                    return Err(Failure::Message(format!(
                        "integral size {size} is larger than limit of {INTEGER_BYTES_MAX}"
                    )));
                }
                size
            }
            _ => 0,
        };
        Ok(Some((option, size)))
    }

    fn number(&mut self, default: usize) -> Result<usize, Failure> {
        let digits = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits == 0 {
            return Ok(default);
        }
        let (text, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let text = String::from_utf8_lossy(text);
        let value = text
            .parse::<i32>()
            .ok()
            .and_then(|value| usize::try_from(value).ok());
        value.ok_or_else(|| Failure::text("integral size overflow"))
    }

    /// Bytes that align a value of `size` behind `length` others.
    fn padding(&self, length: usize, option: u8, size: usize) -> usize {
        if size == 0 || option == b'c' {
            return 0;
        }
        let size = size.min(self.alignment);
        (size.wrapping_sub(length & (size.wrapping_sub(1)))) & (size.wrapping_sub(1))
    }

    /// An option that stands for no value.
    fn control(&mut self, frame: &Frame, option: u8) -> Result<(), Failure> {
        match option {
            b' ' => {}
            b'>' => self.is_big_endian = true,
            b'<' => self.is_big_endian = false,
            b'!' => {
                let alignment = self.number(ALIGNMENT_DEFAULT)?;
                if !alignment.is_power_of_two() {
                    let message = format!("alignment {alignment} is not a power of 2");
                    return Err(Failure::Message(message));
                }
                self.alignment = alignment;
            }
            _ => {
                let reason = format!("invalid format option '{}'", char::from(option));
                return Err(frame.argument_error(1, &reason));
            }
        }
        Ok(())
    }
}

fn pack(frame: &mut Frame) -> Result<c_int, Failure> {
    let mut format = Format::new(frame.string_argument(1)?);
    // A missing argument is reported as nil.
    frame.push_nil();
    let scratch = frame.scratch();
    scratch.clear();
    let text = &mut scratch.text;
    let mut index = 2;
    while let Some((option, size)) = format.next(frame)? {
        let padding = format.padding(text.len(), option, size);
        frame.admit(text.len().saturating_add(size))?;
        text.resize(text.len() + padding, 0);
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let value = packed_integer(frame, index)?;
                append_integer(text, value, size, format.is_big_endian);
                index += 1;
            }
            b'x' => text.push(0),
            b'f' => {
                let value = frame.number_argument(index)? as f32;
                append_ordered(text, value.to_le_bytes(), format.is_big_endian);
                index += 1;
            }
            b'd' => {
                let value = frame.number_argument(index)?;
                append_ordered(text, value.to_le_bytes(), format.is_big_endian);
                index += 1;
            }
            b'c' | b's' => {
                let bytes = frame.string_argument(index)?;
                index += 1;
                let wanted = if size == 0 { bytes.len() } else { size };
                let Some(bytes) = bytes.get(..wanted) else {
                    return Err(frame.argument_error(index, "string too short"));
                };
                text.extend_from_slice(bytes);
                if option == b's' {
                    text.push(0);
                }
            }
            _ => format.control(frame, option)?,
        }
    }
    frame.admit(text.len())?;
    frame.reserve(2)?;
    frame.push_bytes(text);
    Ok(1)
}

/// The argument as 64 bits.
fn packed_integer(frame: &Frame, index: c_int) -> Result<u64, Failure> {
    let value = frame.number_argument(index)?;
    // SAFETY: `index` is acceptable.
    let is_integer = unsafe { ffi::lua_isinteger(frame.lua, index) } != 0;
    Ok(if is_integer {
        frame.integer_argument(index)?.cast_unsigned()
    } else if value < 0.0 {
        number::truncate(value).cast_unsigned()
    } else {
        value as u64
    })
}

fn append_integer(text: &mut Vec<u8>, value: u64, size: usize, is_big_endian: bool) {
    let start = text.len();
    let bytes = value.to_le_bytes();
    text.extend((0..size).map(|place| bytes.get(place).copied().unwrap_or(0)));
    if is_big_endian {
        text[start..].reverse();
    }
}

fn append_ordered<const LENGTH: usize>(
    text: &mut Vec<u8>,
    mut bytes: [u8; LENGTH],
    is_big_endian: bool,
) {
    if is_big_endian {
        bytes.reverse();
    }
    text.extend_from_slice(&bytes);
}

fn read_integer(bytes: &[u8], is_signed: bool, is_big_endian: bool) -> Option<i64> {
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    let mut value = if is_big_endian {
        bytes.iter().fold(0, fold)
    } else {
        bytes.iter().rev().fold(0, fold)
    };
    if !is_signed {
        return i64::try_from(value).ok();
    }
    let bits = bytes.len() * 8;
    if (1..64).contains(&bits) && value >> (bits - 1) & 1 == 1 {
        value |= u64::MAX << (bits - 1);
    }
    Some(value.cast_signed())
}

fn read_ordered<const LENGTH: usize>(bytes: &[u8], is_big_endian: bool) -> [u8; LENGTH] {
    let mut ordered = [0; LENGTH];
    ordered.copy_from_slice(bytes);
    if is_big_endian {
        ordered.reverse();
    }
    ordered
}

fn unpack(frame: &mut Frame) -> Result<c_int, Failure> {
    let mut format = Format::new(frame.string_argument(1)?);
    let data = frame.string_argument(2)?;
    let position = match frame.kind(3) {
        ffi::LUA_TNONE | ffi::LUA_TNIL => 1,
        _ => frame.integer_argument(3)?,
    };
    if position == 0 {
        return Err(frame.argument_error(3, "offset must be 1 or greater"));
    }
    // What is negative lies beyond any text.
    let mut position = usize::try_from(position.saturating_sub(1)).unwrap_or(usize::MAX / 2);
    let mut count = 0;
    while let Some((option, size)) = format.next(frame)? {
        position += format.padding(position, option, size);
        let field = |frame: &Frame, size: usize| {
            let end = position.checked_add(size);
            let bytes = end.and_then(|end| data.get(position..end));
            bytes.ok_or_else(|| frame.argument_error(2, "data string too short"))
        };
        let mut bytes = field(frame, size)?;
        frame.reserve(2)?;
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                push_integer(frame, bytes, option, format.is_big_endian);
                count += 1;
            }
            b'f' => {
                let value = f32::from_le_bytes(read_ordered(bytes, format.is_big_endian));
                frame.push_number(f64::from(value));
                count += 1;
            }
            b'd' => {
                frame.push_number(f64::from_le_bytes(read_ordered(
                    bytes,
                    format.is_big_endian,
                )));
                count += 1;
            }
            b'c' => {
                if size == 0 {
                    bytes = field(frame, previous_size(frame, count)?)?;
                    count -= 1;
                }
                frame.push_bytes(bytes);
                count += 1;
            }
            b's' => {
                let rest = data.get(position..).unwrap_or_default();
                let Some(length) = rest.iter().position(|&byte| byte == 0) else {
                    return Err(Failure::text("unfinished string in data"));
                };
                frame.push_bytes(&rest[..length]);
                bytes = &rest[..=length];
                count += 1;
            }
            b'x' => {}
            _ => format.control(frame, option)?,
        }
        position += bytes.len();
    }
    frame.reserve(1)?;
    frame.push_integer(position as i64 + 1);
    Ok(count + 1)
}

fn push_integer(frame: &Frame, bytes: &[u8], option: u8, is_big_endian: bool) {
    let is_signed = option.is_ascii_lowercase();
    match read_integer(bytes, is_signed, is_big_endian) {
        Some(value) => frame.push_integer(value),
        None => {
            let low = if is_big_endian {
                &bytes[bytes.len() - 8..]
            } else {
                &bytes[..8]
            };
            let value = u64::from_le_bytes(read_ordered(low, is_big_endian));
            frame.push_number(value as f64);
        }
    }
}

/// Takes the last result, which "c0" uses as its size.
fn previous_size(frame: &Frame, count: c_int) -> Result<usize, Failure> {
    let size = if count == 0 { None } else { frame.number(-1) };
    let Some(size) = size else {
        return Err(Failure::text("format 'c0' needs a previous size"));
    };
    // SAFETY: the last result is on top of the stack.
    unsafe { ffi::lua_settop(frame.lua, -2) };
    usize::try_from(number::truncate(size))
        .map_err(|_| frame.argument_error(2, "data string too short"))
}

fn size(frame: &mut Frame) -> Result<c_int, Failure> {
    let mut format = Format::new(frame.string_argument(1)?);
    let mut position: usize = 0;
    while let Some((option, size)) = format.next(frame)? {
        position = position.saturating_add(format.padding(position, option, size));
        if option == b's' {
            return Err(frame.argument_error(1, "option 's' has no fixed size"));
        }
        if option == b'c' && size == 0 {
            return Err(frame.argument_error(1, "option 'c0' has no fixed size"));
        }
        if !option.is_ascii_alphanumeric() {
            format.control(frame, option)?;
        }
        position = position.saturating_add(size);
    }
    frame.push_integer(i64::try_from(position).unwrap_or(i64::MAX));
    Ok(1)
}
