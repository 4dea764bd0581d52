//! The script's result as a reply.

use std::ffi::{CStr, c_int};

use mlua::ffi;

use crate::resp::reply::Reply;

use super::number;

/// Redis runs out of Lua stack at about this depth of a nested result.
const DEPTH_MAX: usize = 2600;
/// A result may name the same long string many times; the reply has it each time.
const REPLY_BYTES_MAX: usize = 1 << 30;
/// Stack slots that one level of a table needs.
const LEVEL_SLOTS: c_int = 4;

/// The text in a field of the table on top of the stack.
///
/// # Safety
/// A table is on top of the stack, and no script runs in the state.
pub(super) unsafe fn field_text(lua: *mut ffi::lua_State, name: &CStr) -> Option<Vec<u8>> {
    // SAFETY: the caller's promise; raw access raises nothing.
    unsafe {
        raw_field(lua, name);
        let text = bytes_at(lua, -1).map(<[u8]>::to_vec);
        ffi::lua_settop(lua, -2);
        text
    }
}

/// The text of the string or number at `index`.
///
/// # Safety
/// `index` is acceptable; the result is used while the value stays there.
pub(super) unsafe fn bytes_at<'a>(lua: *mut ffi::lua_State, index: c_int) -> Option<&'a [u8]> {
    let mut length = 0;
    // SAFETY: the caller's promise.
    unsafe {
        let start = ffi::lua_tolstring(lua, index, &mut length);
        (!start.is_null()).then(|| std::slice::from_raw_parts(start.cast(), length))
    }
}

/// Pushes a field of the table on top of the stack, without metamethods.
///
/// # Safety
/// A table is on top of the stack, with two free slots.
unsafe fn raw_field(lua: *mut ffi::lua_State, name: &CStr) -> c_int {
    // SAFETY: the caller's promise; strings are valid keys.
    unsafe {
        ffi::lua_pushlstring(lua, name.as_ptr(), name.to_bytes().len());
        ffi::lua_rawget(lua, -2)
    }
}

/// Writes values on the stack as replies.
pub(super) struct Converter<'a> {
    lua: *mut ffi::lua_State,
    reply: &'a mut dyn Reply,
    /// What redis.setresp chose, which decides how booleans read.
    script_protocol: u8,
    bytes_left: usize,
    elements_left: usize,
}

impl Converter<'_> {
    /// Writes the value on top of the stack, which may use `used_bytes` of memory at most.
    ///
    /// # Safety
    /// No script runs in the state.
    pub(super) unsafe fn convert(
        lua: *mut ffi::lua_State,
        script_protocol: u8,
        used_bytes: usize,
        reply: &mut dyn Reply,
    ) {
        let mark = reply.mark();
        // Each element of a table takes 16 bytes, so only a table that contains another one many
        // times (or itself) can have more.
        let elements_left = used_bytes / 8 + 1024;
        let mut converter = Converter {
            lua,
            reply,
            script_protocol,
            bytes_left: REPLY_BYTES_MAX,
            elements_left,
        };
        // SAFETY: the caller's promise.
        let fits = unsafe { converter.value(0) };
        if fits.is_none() {
            reply.rewind(mark);
            reply.error(b"ERR the script's result is too large");
        }
    }

    fn spend(&mut self, bytes: usize) -> Option<()> {
        self.bytes_left = self.bytes_left.checked_sub(bytes)?;
        self.elements_left = self.elements_left.checked_sub(1)?;
        Some(())
    }

    /// # Safety
    /// A value is on top of the stack; it is still there afterwards.
    unsafe fn value(&mut self, depth: usize) -> Option<()> {
        let lua = self.lua;
        // SAFETY: the caller's promise.
        unsafe {
            match ffi::lua_type(lua, -1) {
                ffi::LUA_TSTRING => {
                    let bytes = bytes_at(lua, -1).unwrap_or_default();
                    self.spend(bytes.len())?;
                    self.reply.bulk(bytes);
                }
                ffi::LUA_TBOOLEAN => {
                    self.spend(0)?;
                    match (ffi::lua_toboolean(lua, -1) != 0, self.script_protocol == 3) {
                        (truth, true) => self.reply.boolean(truth),
                        (true, false) => self.reply.integer(1),
                        (false, false) => self.reply.null(),
                    }
                }
                ffi::LUA_TNUMBER => {
                    self.spend(0)?;
                    let integer = if ffi::lua_isinteger(lua, -1) != 0 {
                        ffi::lua_tointeger(lua, -1)
                    } else {
                        number::truncate(ffi::lua_tonumber(lua, -1))
                    };
                    self.reply.integer(integer);
                }
                ffi::LUA_TTABLE => {
                    self.spend(0)?;
                    if depth >= DEPTH_MAX || ffi::lua_checkstack(lua, LEVEL_SLOTS) == 0 {
                        self.reply.error(b"ERR reached lua stack limit");
                    } else {
                        return self.table(depth);
                    }
                }
                _ => {
                    self.spend(0)?;
                    self.reply.null();
                }
            }
        }
        Some(())
    }

    /// # Safety
    /// A table is on top of the stack, with `LEVEL_SLOTS` free ones.
    unsafe fn table(&mut self, depth: usize) -> Option<()> {
        let lua = self.lua;
        // SAFETY: the caller's promise; each field is popped before the next is pushed.
        unsafe {
            if raw_field(lua, c"err") == ffi::LUA_TSTRING {
                self.reply.error(bytes_at(lua, -1).unwrap_or_default());
                ffi::lua_settop(lua, -2);
                return Some(());
            }
            ffi::lua_settop(lua, -2);
            if raw_field(lua, c"ok") == ffi::LUA_TSTRING {
                self.reply
                    .status_bytes(bytes_at(lua, -1).unwrap_or_default());
                ffi::lua_settop(lua, -2);
                return Some(());
            }
            ffi::lua_settop(lua, -2);
            if self.scalar() {
                return Some(());
            }
            if raw_field(lua, c"map") == ffi::LUA_TTABLE {
                let written = self.pairs(depth, true);
                ffi::lua_settop(lua, -2);
                return written;
            }
            ffi::lua_settop(lua, -2);
            if raw_field(lua, c"set") == ffi::LUA_TTABLE {
                let written = self.pairs(depth, false);
                ffi::lua_settop(lua, -2);
                return written;
            }
            ffi::lua_settop(lua, -2);
            self.array(depth)
        }
    }

    /// Writes the table on top of the stack if it stands for a scalar of RESP3.
    ///
    /// # Safety
    /// As for `table`.
    unsafe fn scalar(&mut self) -> bool {
        let lua = self.lua;
        // SAFETY: the caller's promise; the stack is restored by each settop.
        unsafe {
            let top = ffi::lua_gettop(lua);
            let mut found = true;
            if raw_field(lua, c"double") == ffi::LUA_TNUMBER {
                self.reply.double(ffi::lua_tonumber(lua, -1));
                ffi::lua_settop(lua, top);
                return found;
            }
            ffi::lua_settop(lua, top);
            if raw_field(lua, c"big_number") == ffi::LUA_TSTRING {
                let digits = String::from_utf8_lossy(bytes_at(lua, -1).unwrap_or_default());
                self.reply.big_number(&digits.replace(['\r', '\n'], " "));
                ffi::lua_settop(lua, top);
                return found;
            }
            ffi::lua_settop(lua, top);
            found = raw_field(lua, c"verbatim_string") == ffi::LUA_TTABLE;
            if found {
                let format = field_text(lua, c"format");
                let text = field_text(lua, c"string");
                if let (Some(format), Some(text)) = (format, text) {
                    self.reply
                        .verbatim(&String::from_utf8_lossy(&format), &text);
                } else {
                    found = false;
                }
            }
            ffi::lua_settop(lua, top);
            found
        }
    }

    /// Writes the table on top of the stack as a map or a set. No garbage is collected meanwhile: what
    /// a weak table holds would be counted and then be gone.
    ///
    /// # Safety
    /// As for `table`.
    unsafe fn pairs(&mut self, depth: usize, with_values: bool) -> Option<()> {
        // SAFETY: the caller's promise; neither call raises or collects anything.
        unsafe {
            let collects = ffi::lua_gc(self.lua, ffi::LUA_GCISRUNNING) != 0;
            if !collects {
                return self.counted_pairs(depth, with_values);
            }
            ffi::lua_gc(self.lua, ffi::LUA_GCSTOP);
            let written = self.counted_pairs(depth, with_values);
            ffi::lua_gc(self.lua, ffi::LUA_GCRESTART);
            written
        }
    }

    /// # Safety
    /// As for `table`.
    unsafe fn counted_pairs(&mut self, depth: usize, with_values: bool) -> Option<()> {
        let lua = self.lua;
        // SAFETY: the caller's promise; the table is not changed while it is walked (the values
        // are converted without changing keys in place).
        unsafe {
            if ffi::lua_checkstack(lua, LEVEL_SLOTS) == 0 {
                self.reply.error(b"ERR reached lua stack limit");
                return Some(());
            }
            let mut length = 0;
            ffi::lua_pushnil(lua);
            while ffi::lua_next(lua, -2) != 0 {
                ffi::lua_settop(lua, -2);
                length += 1;
            }
            if with_values {
                self.reply.map(length)
            } else {
                self.reply.set(length)
            }
            ffi::lua_pushnil(lua);
            while ffi::lua_next(lua, -2) != 0 {
                ffi::lua_pushvalue(lua, -2);
                self.value(depth + 1)?;
                ffi::lua_settop(lua, -2);
                if with_values {
                    self.value(depth + 1)?;
                }
                ffi::lua_settop(lua, -2);
            }
        }
        Some(())
    }

    /// # Safety
    /// As for `table`.
    unsafe fn array(&mut self, depth: usize) -> Option<()> {
        let lua = self.lua;
        // SAFETY: the caller's promise; raw access raises nothing.
        unsafe {
            let mut length = 0;
            while ffi::lua_rawgeti(lua, -1, length as ffi::lua_Integer + 1) != ffi::LUA_TNIL {
                ffi::lua_settop(lua, -2);
                length += 1;
            }
            ffi::lua_settop(lua, -2);
            self.reply.array(length);
            for position in 1..=length {
                ffi::lua_rawgeti(lua, -1, position as ffi::lua_Integer);
                self.value(depth + 1)?;
                ffi::lua_settop(lua, -2);
            }
        }
        Some(())
    }
}
