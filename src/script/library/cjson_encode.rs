//! cjson.encode

use std::ffi::{CStr, c_int};

use mlua::ffi;

use crate::script::error::Failure;
use crate::script::number;
use crate::script::trampoline::Frame;

use super::cjson::{InvalidNumbers, Settings};
use super::{Level, PIECE_BYTES, Scratch};

/// Elements between two looks at the clock and the memory.
const CHECKPOINT_ELEMENTS: u32 = 256;
/// Stack slots that one level of nesting needs.
const LEVEL_SLOTS: c_int = 4;

struct Encoder<'a> {
    frame: &'a mut Frame,
    scratch: &'a mut Scratch,
    settings: *const Settings,
    elements: u32,
}

pub(super) fn encode(frame: &mut Frame) -> Result<c_int, Failure> {
    if frame.top() != 1 {
        return Err(frame.argument_error(1, "expected 1 argument"));
    }
    let settings = &raw const frame.state().settings;
    let scratch = frame.scratch();
    scratch.clear();
    let mut encoder = Encoder {
        frame,
        scratch,
        settings,
        elements: 0,
    };
    encoder.run()?;
    let Encoder { frame, scratch, .. } = encoder;
    frame.push_bytes(&scratch.text);
    Ok(1)
}

impl Encoder<'_> {
    fn settings(&self) -> &Settings {
        // SAFETY: the settings are in the state, which outlives the function, and encoding does
        // not change them.
        unsafe { &*self.settings }
    }

    /// Encodes the value on top of the stack.
    fn run(&mut self) -> Result<(), Failure> {
        self.begin_value()?;
        while let Some(level) = self.scratch.levels.last().copied() {
            self.elements = self.elements.wrapping_add(1);
            if self.elements.is_multiple_of(CHECKPOINT_ELEMENTS) {
                self.frame.admit(self.scratch.text.len())?;
                self.frame.checkpoint();
            }
            match level {
                Level::Array { done, length } => self.next_element(done, length)?,
                Level::Map { done, .. } => self.next_pair(done)?,
            }
        }
        self.frame.admit(self.scratch.text.len())
    }

    fn next_element(&mut self, done: usize, length: usize) -> Result<(), Failure> {
        if done == length {
            self.scratch.text.push(b']');
            return self.end_level();
        }
        self.replace_level(Level::Array {
            done: done + 1,
            length,
        });
        if done > 0 {
            self.scratch.text.push(b',');
        }
        // SAFETY: the level's table is on top of the stack, with free slots.
        unsafe { ffi::lua_rawgeti(self.frame.lua, -1, done as ffi::lua_Integer + 1) };
        self.begin_value()
    }

    fn next_pair(&mut self, done: usize) -> Result<(), Failure> {
        // SAFETY: the level's table and the last key are on top of the stack, with free slots;
        // the table has not changed since its first key, so the walk does not raise.
        if unsafe { ffi::lua_next(self.frame.lua, -2) } == 0 {
            self.scratch.text.push(b'}');
            return self.end_level();
        }
        self.replace_level(Level::Map {
            done: done + 1,
            length: 0,
        });
        if done > 0 {
            self.scratch.text.push(b',');
        }
        match self.frame.kind(-2) {
            ffi::LUA_TNUMBER => {
                self.scratch.text.push(b'"');
                self.number(-2)?;
                self.scratch.text.extend_from_slice(b"\":");
            }
            ffi::LUA_TSTRING => {
                self.string(-2)?;
                self.scratch.text.push(b':');
            }
            kind => return Err(self.refusal(kind, "table key must be a number or string")),
        }
        self.begin_value()
    }

    fn replace_level(&mut self, level: Level) {
        if let Some(last) = self.scratch.levels.last_mut() {
            *last = level;
        }
    }

    /// The level's table goes.
    fn end_level(&mut self) -> Result<(), Failure> {
        self.scratch.levels.pop();
        self.drop_value();
        Ok(())
    }

    fn drop_value(&self) {
        // SAFETY: the value that has been written is on top of the stack.
        unsafe { ffi::lua_settop(self.frame.lua, -2) };
    }

    /// Writes the scalar on top of the stack and drops it, or opens the table there.
    fn begin_value(&mut self) -> Result<(), Failure> {
        let kind = self.frame.kind(-1);
        match kind {
            ffi::LUA_TSTRING => self.string(-1)?,
            ffi::LUA_TNUMBER => self.number(-1)?,
            ffi::LUA_TBOOLEAN => {
                // SAFETY: a boolean is on top of the stack.
                let truth = unsafe { ffi::lua_toboolean(self.frame.lua, -1) } != 0;
                self.scratch
                    .text
                    .extend_from_slice(if truth { b"true" } else { b"false" });
            }
            ffi::LUA_TNIL => self.scratch.text.extend_from_slice(b"null"),
            ffi::LUA_TTABLE => return self.begin_table(),
            _ => {
                // SAFETY: for any other type the answer is null as well, so the type is asked too.
                let is_null = kind == ffi::LUA_TLIGHTUSERDATA
                    && unsafe { ffi::lua_touserdata(self.frame.lua, -1) }.is_null();
                if !is_null {
                    return Err(self.refusal(kind, "type not supported"));
                }
                self.scratch.text.extend_from_slice(b"null");
            }
        }
        self.drop_value();
        Ok(())
    }

    fn begin_table(&mut self) -> Result<(), Failure> {
        let depth = self.scratch.levels.len() + 1;
        let deepest = usize::try_from(self.settings().encode_max_depth).unwrap_or(0);
        if depth > deepest || self.frame.reserve(LEVEL_SLOTS).is_err() {
            return Err(Failure::Message(format!(
                "Cannot serialise, excessive nesting ({depth})"
            )));
        }
        let length = self.array_length()?;
        if let Some(length) = length.filter(|&length| length > 0) {
            self.scratch.text.push(b'[');
            self.scratch.levels.push(Level::Array { done: 0, length });
        } else {
            self.scratch.text.push(b'{');
            self.frame.push_nil();
            self.scratch.levels.push(Level::Map { done: 0, length: 0 });
        }
        Ok(())
    }

    /// The largest key of the table on top of the stack, if all keys are positive integers that C's
    /// `int` holds. Redis takes larger ones, such as times, for names, too.
    fn array_length(&mut self) -> Result<Option<usize>, Failure> {
        let lua = self.frame.lua;
        let (mut largest, mut items) = (0_i64, 0_i64);
        self.frame.push_nil();
        // SAFETY: the table is below the key; it does not change during the walk.
        while unsafe { ffi::lua_next(lua, -2) } != 0 {
            self.elements = self.elements.wrapping_add(1);
            if self.elements.is_multiple_of(CHECKPOINT_ELEMENTS) {
                self.frame.checkpoint();
            }
            let key = (self.frame.kind(-2) == ffi::LUA_TNUMBER)
                .then(|| self.frame.number(-2).and_then(number::as_integer))
                .flatten();
            let Some(key) = key.filter(|key| (1..=i64::from(i32::MAX)).contains(key)) else {
                // SAFETY: key and value are on top.
                unsafe { ffi::lua_settop(lua, -3) };
                return Ok(None);
            };
            largest = largest.max(key);
            items += 1;
            // SAFETY: the value is on top.
            unsafe { ffi::lua_settop(lua, -2) };
        }
        let settings = self.settings();
        let ratio = i64::from(settings.sparse_ratio);
        if ratio > 0
            && largest > items.saturating_mul(ratio)
            && largest > i64::from(settings.sparse_safe)
        {
            if !settings.sparse_convert {
                return Err(self.refusal(ffi::LUA_TTABLE, "excessively sparse array"));
            }
            return Ok(None);
        }
        Ok(usize::try_from(largest).ok())
    }

    /// Writes the text at `index`.
    fn string(&mut self, index: c_int) -> Result<(), Failure> {
        self.scratch.text.push(b'"');
        let bytes = self.frame.bytes(index).unwrap_or_default();
        for piece in bytes.chunks(PIECE_BYTES) {
            append_escaped(&mut self.scratch.text, piece);
            self.frame.admit(self.scratch.text.len())?;
            if piece.len() == PIECE_BYTES {
                self.frame.checkpoint();
            }
        }
        self.scratch.text.push(b'"');
        Ok(())
    }

    /// Writes the number at `index`: integers in full, others with the precision that was set.
    fn number(&mut self, index: c_int) -> Result<(), Failure> {
        // SAFETY: `index` holds a number.
        if unsafe { ffi::lua_isinteger(self.frame.lua, index) } != 0 {
            let value = self.frame.integer(index).unwrap_or(0);
            let precision = self.settings().number_precision;
            if value.unsigned_abs() < 10_u64.pow(precision.unsigned_abs()) || precision == 14 {
                self.scratch
                    .text
                    .extend_from_slice(value.to_string().as_bytes());
                return Ok(());
            }
        }
        let value = self.frame.number(index).unwrap_or(0.0);
        if !value.is_finite() {
            match self.settings().encode_invalid_numbers {
                InvalidNumbers::Refused => {
                    return Err(self.refusal(ffi::LUA_TNUMBER, "must not be NaN or Inf"));
                }
                InvalidNumbers::Null => {
                    self.scratch.text.extend_from_slice(b"null");
                    return Ok(());
                }
                InvalidNumbers::Written if value.is_nan() => {
                    self.scratch.text.extend_from_slice(b"nan");
                    return Ok(());
                }
                InvalidNumbers::Written => {}
            }
        }
        let digits = usize::try_from(self.settings().number_precision).unwrap_or(14);
        self.scratch
            .text
            .extend_from_slice(number::format_general(value, digits).as_bytes());
        Ok(())
    }

    fn refusal(&self, kind: c_int, reason: &str) -> Failure {
        // SAFETY: a valid type; the names are static C strings.
        let name = unsafe { CStr::from_ptr(ffi::lua_typename(self.frame.lua, kind)) };
        Failure::Message(format!(
            "Cannot serialise {}: {reason}",
            name.to_string_lossy()
        ))
    }
}

fn append_escaped(text: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
    while let Some(plain) = rest.iter().position(|&byte| needs_escape(byte)) {
        text.extend_from_slice(&rest[..plain]);
        append_escape(text, rest[plain]);
        rest = &rest[plain + 1..];
    }
    text.extend_from_slice(rest);
}

fn needs_escape(byte: u8) -> bool {
    byte < 32 || matches!(byte, b'"' | b'\\' | b'/' | 127)
}

fn append_escape(text: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        8 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        12 => b'f',
        b'\r' => b'r',
        b'"' | b'\\' | b'/' => byte,
        _ => {
            text.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
            return;
        }
    };
    text.extend_from_slice(&[b'\\', short]);
}
