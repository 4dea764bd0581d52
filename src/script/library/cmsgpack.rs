//! The table `cmsgpack`: MessagePack.

use std::ffi::c_int;

use mlua::ffi;

use crate::script::error::Failure;
use crate::script::number;
use crate::script::trampoline::{Frame, Function};

use super::{Level, PIECE_BYTES, Scratch};

pub(super) const FUNCTIONS: &[(&str, Function)] = &[
    ("pack", pack),
    ("unpack", |frame| unpack(frame, None, 0)),
    ("unpack_one", |frame| {
        let offset = optional_integer(frame, 2)?;
        unpack(frame, Some(1), offset)
    }),
    ("unpack_limit", |frame| {
        let (limit, offset) = (frame.integer_argument(2)?, optional_integer(frame, 3)?);
        // Redis takes no limit and no offset for a request to unpack everything.
        unpack(frame, (limit != 0 || offset != 0).then_some(limit), offset)
    }),
];

/// Tables nested deeper than this are packed as nil.
const PACK_DEPTH_MAX: usize = 16;
/// Redis's Lua stack ends at about this depth.
const UNPACK_DEPTH_MAX: usize = 3900;
/// Values between two looks at the clock and the memory.
const CHECKPOINT_VALUES: u32 = 256;
const LEVEL_SLOTS: c_int = 4;

fn optional_integer(frame: &Frame, index: c_int) -> Result<i64, Failure> {
    if matches!(frame.kind(index), ffi::LUA_TNONE | ffi::LUA_TNIL) {
        return Ok(0);
    }
    frame.integer_argument(index)
}

fn pack(frame: &mut Frame) -> Result<c_int, Failure> {
    let count = frame.top();
    if count == 0 {
        return Err(frame.argument_error(0, "MessagePack pack needs input."));
    }
    frame.reserve(LEVEL_SLOTS)?;
    let scratch = frame.scratch();
    scratch.clear();
    let mut packer = Packer {
        frame,
        scratch,
        values: 0,
    };
    for index in 1..=count {
        // SAFETY: the argument exists and slots are reserved.
        unsafe { ffi::lua_pushvalue(packer.frame.lua, index) };
        packer.run()?;
    }
    let Packer { frame, scratch, .. } = packer;
    frame.push_bytes(&scratch.text);
    Ok(1)
}

struct Packer<'a> {
    frame: &'a mut Frame,
    scratch: &'a mut Scratch,
    values: u32,
}

impl Packer<'_> {
    /// Packs the value on top of the stack and drops it.
    fn run(&mut self) -> Result<(), Failure> {
        self.begin_value()?;
        while let Some(level) = self.scratch.levels.last().copied() {
            match level {
                Level::Array { done, length } if done < length => {
                    self.replace_level(Level::Array {
                        done: done + 1,
                        length,
                    });
                    // SAFETY: the level's table is on top of the stack, with free slots.
                    unsafe { ffi::lua_rawgeti(self.frame.lua, -1, done as ffi::lua_Integer + 1) };
                    self.begin_value()?;
                }
                Level::Array { .. } => self.end_level(),
                // A key that has been packed is below its value.
                Level::Map { done, length } if done % 2 == 1 => {
                    self.replace_level(Level::Map {
                        done: done + 1,
                        length,
                    });
                    self.begin_value()?;
                }
                Level::Map { done, length } => {
                    // SAFETY: table and last key are on top; the table does not change meanwhile.
                    if unsafe { ffi::lua_next(self.frame.lua, -2) } == 0 {
                        self.end_level();
                        continue;
                    }
                    self.replace_level(Level::Map {
                        done: done + 1,
                        length,
                    });
                    // A copy, for packing drops it.
                    // SAFETY: key and value are on top, with free slots.
                    unsafe { ffi::lua_pushvalue(self.frame.lua, -2) };
                    self.begin_value()?;
                }
            }
        }
        self.frame.admit(self.scratch.text.len())
    }

    fn replace_level(&mut self, level: Level) {
        if let Some(last) = self.scratch.levels.last_mut() {
            *last = level;
        }
    }

    fn end_level(&mut self) {
        self.scratch.levels.pop();
        self.drop_value();
    }

    fn drop_value(&self) {
        // SAFETY: the value that has been packed is on top of the stack.
        unsafe { ffi::lua_settop(self.frame.lua, -2) };
    }

    fn begin_value(&mut self) -> Result<(), Failure> {
        self.values = self.values.wrapping_add(1);
        if self.values.is_multiple_of(CHECKPOINT_VALUES) {
            self.frame.admit(self.scratch.text.len())?;
            self.frame.checkpoint();
        }
        let text = &mut self.scratch.text;
        match self.frame.kind(-1) {
            ffi::LUA_TSTRING => {
                let bytes = self.frame.bytes(-1).unwrap_or_default();
                append_header(text, bytes.len(), 0xa0, 32, Some(0xd9), 0xda, 0xdb);
                self.frame.admit(text.len().saturating_add(bytes.len()))?;
                for piece in bytes.chunks(PIECE_BYTES) {
                    text.extend_from_slice(piece);
                    if piece.len() == PIECE_BYTES {
                        self.frame.checkpoint();
                    }
                }
            }
            ffi::LUA_TBOOLEAN => {
                // SAFETY: a boolean is on top of the stack.
                let truth = unsafe { ffi::lua_toboolean(self.frame.lua, -1) } != 0;
                text.push(if truth { 0xc3 } else { 0xc2 });
            }
            ffi::LUA_TNUMBER => {
                let value = self.frame.number(-1).unwrap_or(0.0);
                // SAFETY: a number is on top of the stack.
                let integer = if unsafe { ffi::lua_isinteger(self.frame.lua, -1) } != 0 {
                    self.frame.integer(-1)
                } else {
                    number::as_integer(value)
                };
                match integer {
                    Some(integer) => append_integer(text, integer),
                    None => append_double(text, value),
                }
            }
            ffi::LUA_TTABLE if self.scratch.levels.len() < PACK_DEPTH_MAX => {
                return self.begin_table();
            }
            _ => text.push(0xc0),
        }
        self.drop_value();
        Ok(())
    }

    fn begin_table(&mut self) -> Result<(), Failure> {
        self.frame.reserve(LEVEL_SLOTS)?;
        let (count, is_array) = self.measure();
        let text = &mut self.scratch.text;
        if is_array {
            append_header(text, count, 0x90, 16, None, 0xdc, 0xdd);
            self.scratch.levels.push(Level::Array {
                done: 0,
                length: count,
            });
        } else {
            append_header(text, count, 0x80, 16, None, 0xde, 0xdf);
            self.frame.push_nil();
            self.scratch.levels.push(Level::Map {
                done: 0,
                length: count,
            });
        }
        Ok(())
    }

    /// How many entries the table on top has, and whether they are exactly 1 to that number.
    fn measure(&self) -> (usize, bool) {
        let lua = self.frame.lua;
        let (mut count, mut largest, mut only_positions) = (0, 0, true);
        self.frame.push_nil();
        // SAFETY: the table is below the key; it does not change during the walk.
        while unsafe { ffi::lua_next(lua, -2) } != 0 {
            count += 1;
            if count % CHECKPOINT_VALUES as usize == 0 {
                self.frame.checkpoint();
            }
            let position = (self.frame.kind(-2) == ffi::LUA_TNUMBER)
                .then(|| self.frame.number(-2).and_then(number::as_integer))
                .flatten();
            match position.and_then(|position| usize::try_from(position).ok()) {
                Some(position) if position > 0 => largest = largest.max(position),
                _ => only_positions = false,
            }
            // SAFETY: the value is on top.
            unsafe { ffi::lua_settop(lua, -2) };
        }
        (count, only_positions && largest == count)
    }
}

/// A length in the shortest form: within the first byte, or behind one that says how long it is.
fn append_header(
    text: &mut Vec<u8>,
    length: usize,
    short: u8,
    short_end: usize,
    byte: Option<u8>,
    word: u8,
    long: u8,
) {
    if length < short_end {
        text.push(short | length as u8);
    } else if let (Some(byte), Ok(length)) = (byte, u8::try_from(length)) {
        text.extend_from_slice(&[byte, length]);
    } else if let Ok(length) = u16::try_from(length) {
        text.push(word);
        text.extend_from_slice(&length.to_be_bytes());
    } else {
        text.push(long);
        text.extend_from_slice(&(length as u32).to_be_bytes());
    }
}

fn append_integer(text: &mut Vec<u8>, value: i64) {
    match value {
        0..=0x7f => text.push(value as u8),
        0x80..=0xff => text.extend_from_slice(&[0xcc, value as u8]),
        0x100..=0xffff => append_tagged(text, 0xcd, &(value as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => append_tagged(text, 0xce, &(value as u32).to_be_bytes()),
        0x1_0000_0000.. => append_tagged(text, 0xcf, &value.to_be_bytes()),
        -32..=-1 => text.push(value as u8),
        -0x80..=-33 => text.extend_from_slice(&[0xd0, value as u8]),
        -0x8000..=-0x81 => append_tagged(text, 0xd1, &(value as i16).to_be_bytes()),
        -0x8000_0000..=-0x8001 => append_tagged(text, 0xd2, &(value as i32).to_be_bytes()),
        _ => append_tagged(text, 0xd3, &value.to_be_bytes()),
    }
}

fn append_double(text: &mut Vec<u8>, value: f64) {
    let single = value as f32;
    if f64::from(single) == value {
        append_tagged(text, 0xca, &single.to_be_bytes());
    } else {
        append_tagged(text, 0xcb, &value.to_be_bytes());
    }
}

fn append_tagged(text: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    text.push(tag);
    text.extend_from_slice(bytes);
}

/// Unpacks up to `limit` values from `offset` on; with a limit the next offset comes first.
fn unpack(frame: &mut Frame, limit: Option<i64>, offset: i64) -> Result<c_int, Failure> {
    let text = frame.string_argument(1)?;
    let wanted = limit.unwrap_or(i64::MAX);
    let start = match usize::try_from(offset) {
        Ok(start) if wanted >= 0 => start,
        _ => {
            let length = text.len();
            return Err(Failure::Message(format!(
                "Invalid request to unpack with offset of {offset} and limit of {length}."
            )));
        }
    };
    let Some(rest) = text.get(start..) else {
        let length = text.len();
        return Err(Failure::Message(format!(
            "Start offset {start} greater than input length {length}."
        )));
    };
    // SAFETY: what lies above the text is not needed any more.
    unsafe { ffi::lua_settop(frame.lua, 1) };
    let scratch = frame.scratch();
    scratch.clear();
    let mut unpacker = Unpacker {
        frame,
        scratch,
        rest,
        values: 0,
    };
    let mut count = 0;
    while i64::from(count) < wanted && !unpacker.rest.is_empty() {
        unpacker.frame.reserve(LEVEL_SLOTS)?;
        unpacker.run()?;
        count += 1;
    }
    if limit.is_some() {
        let left = unpacker.rest.len();
        frame.reserve(2)?;
        frame.push_integer(if left == 0 {
            -1
        } else {
            (text.len() - left) as i64
        });
        // SAFETY: the string at 1 stays below the results.
        unsafe { ffi::lua_insert(frame.lua, 2) };
        count += 1;
    }
    Ok(count)
}

struct Unpacker<'a> {
    frame: &'a mut Frame,
    scratch: &'a mut Scratch,
    rest: &'a [u8],
    values: u32,
}

impl<'a> Unpacker<'a> {
    /// Pushes one value.
    fn run(&mut self) -> Result<(), Failure> {
        loop {
            if !self.begin_value()? {
                continue;
            }
            while self.store()? {
                self.scratch.levels.pop();
            }
            if self.scratch.levels.is_empty() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Failure> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| Failure::text("Missing bytes in input."))?;
        self.rest = rest;
        Ok(taken)
    }

    fn take_array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Failure> {
        let mut bytes = [0; LENGTH];
        bytes.copy_from_slice(self.take(LENGTH)?);
        Ok(bytes)
    }

    fn take_length(&mut self, bytes: usize) -> Result<usize, Failure> {
        let taken = self.take(bytes)?;
        Ok(taken
            .iter()
            .fold(0, |length, &byte| length << 8 | usize::from(byte)))
    }

    /// Pushes the next value; false if that is a table whose elements follow.
    fn begin_value(&mut self) -> Result<bool, Failure> {
        self.values = self.values.wrapping_add(1);
        if self.values.is_multiple_of(CHECKPOINT_VALUES) {
            let used_bytes = self.frame.state().arena().run_bytes() / 2;
            self.frame.admit(used_bytes)?;
            self.frame.checkpoint();
        }
        let [tag] = self.take_array()?;
        match tag {
            0x00..=0x7f => self.frame.push_integer(i64::from(tag)),
            0xe0..=0xff => self.frame.push_integer(i64::from(tag.cast_signed())),
            0x80..=0x8f => return self.begin_table(usize::from(tag & 15), true),
            0x90..=0x9f => return self.begin_table(usize::from(tag & 15), false),
            0xa0..=0xbf => self.string(usize::from(tag & 31))?,
            0xc0 => self.frame.push_nil(),
            0xc2 => self.frame.push_boolean(false),
            0xc3 => self.frame.push_boolean(true),
            0xca => {
                let value = f32::from_be_bytes(self.take_array()?);
                self.frame.push_number(f64::from(value));
            }
            0xcb => {
                let value = f64::from_be_bytes(self.take_array()?);
                self.frame.push_number(value);
            }
            0xcc..=0xd3 => self.integer(tag)?,
            0xd9..=0xdb => {
                let length = self.take_length(1 << (tag - 0xd9))?;
                self.string(length)?;
            }
            0xdc..=0xdf => {
                let length = self.take_length(if tag % 2 == 0 { 2 } else { 4 })?;
                return self.begin_table(length, tag >= 0xde);
            }
            _ => return Err(Failure::text("Bad data format in input.")),
        }
        Ok(true)
    }

    fn integer(&mut self, tag: u8) -> Result<(), Failure> {
        let value = match tag {
            0xcc => i64::from(u8::from_be_bytes(self.take_array()?)),
            0xcd => i64::from(u16::from_be_bytes(self.take_array()?)),
            0xce => i64::from(u32::from_be_bytes(self.take_array()?)),
            0xd0 => i64::from(i8::from_be_bytes(self.take_array()?)),
            0xd1 => i64::from(i16::from_be_bytes(self.take_array()?)),
            0xd2 => i64::from(i32::from_be_bytes(self.take_array()?)),
            // As Redis has it, 0xcf too: what does not fit wraps.
            _ => i64::from_be_bytes(self.take_array()?),
        };
        self.frame.push_integer(value);
        Ok(())
    }

    fn string(&mut self, length: usize) -> Result<(), Failure> {
        let bytes = self.take(length)?;
        self.frame.push_bytes(bytes);
        Ok(())
    }

    fn begin_table(&mut self, length: usize, is_map: bool) -> Result<bool, Failure> {
        if self.scratch.levels.len() >= UNPACK_DEPTH_MAX {
            let kind = if is_map { "hash" } else { "array" };
            let message = format!("stack overflow (in function mp_decode_to_lua_{kind})");
            return Err(Failure::Message(message));
        }
        self.frame.reserve(LEVEL_SLOTS)?;
        // SAFETY: slots are reserved; memory is not refused to Rust.
        unsafe { ffi::lua_createtable(self.frame.lua, 0, 0) };
        if length == 0 {
            return Ok(true);
        }
        self.scratch.levels.push(if is_map {
            Level::Map {
                done: 0,
                length: length.saturating_mul(2),
            }
        } else {
            Level::Array { done: 0, length }
        });
        Ok(false)
    }

    /// Puts the value on top into its level's table; true if the table is complete with it.
    fn store(&mut self) -> Result<bool, Failure> {
        let lua = self.frame.lua;
        let Some(level) = self.scratch.levels.last_mut() else {
            return Ok(false);
        };
        match level {
            Level::Array { done, length } => {
                *done += 1;
                // SAFETY: the table is below the value.
                unsafe { ffi::lua_rawseti(lua, -2, *done as ffi::lua_Integer) };
                Ok(done == length)
            }
            Level::Map { done, length } => {
                *done += 1;
                if *done % 2 == 0 {
                    match self.frame.kind(-2) {
                        ffi::LUA_TNIL => return Err(Failure::Plain("table index is nil")),
                        ffi::LUA_TNUMBER if self.frame.number(-2).is_some_and(f64::is_nan) => {
                            return Err(Failure::Plain("table index is NaN"));
                        }
                        // SAFETY: the table is below key and value, and the key is valid.
                        _ => unsafe { ffi::lua_rawset(lua, -3) },
                    }
                }
                Ok(done == length)
            }
        }
    }
}
