//! The sink that makes a command's reply a Lua value.

use std::cell::RefCell;
use std::ffi::c_int;

use mlua::ffi;

use crate::resp::reply::{Mark, Reply};

use super::trampoline::Frame;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Array,
    Map,
    Set,
}

/// An aggregate whose elements are still to come. Its table is on the Lua stack, for a map's
/// value with the key above it.
#[derive(Clone, Copy, Debug)]
struct Open {
    kind: Kind,
    length: usize,
    done: usize,
    /// Whether the finished table goes into a field of another one.
    wrapped: bool,
}

/// Buffers that are kept from one call to the next.
#[derive(Default)]
pub(super) struct ReplyBuffers {
    open: Vec<Open>,
    marks: RefCell<Vec<(usize, usize, Option<Open>)>>,
    text: Vec<u8>,
}

/// Leaves one value on the Lua stack.
pub(super) struct LuaReply<'a> {
    frame: &'a mut Frame,
    buffers: ReplyBuffers,
    base: c_int,
    failed: bool,
}

impl<'a> LuaReply<'a> {
    pub(super) fn new(frame: &'a mut Frame) -> LuaReply<'a> {
        let mut buffers = std::mem::take(&mut frame.state().reply_buffers);
        buffers.open.clear();
        buffers.marks.get_mut().clear();
        buffers.text.clear();
        let base = frame.top();
        LuaReply {
            frame,
            buffers,
            base,
            failed: false,
        }
    }

    /// Ends the reply; true if it is an error.
    pub(super) fn finish(mut self) -> bool {
        self.close_finished();
        let failed = self.failed;
        if !self.buffers.open.is_empty() {
            // An aggregate that never got all its elements: only after an overflow.
            // SAFETY: the outermost table is the first value above the base.
            unsafe { ffi::lua_settop(self.frame.lua, self.base + 1) };
        }
        if self.frame.top() == self.base {
            self.frame.push_boolean(false);
        }
        self.frame.state().reply_buffers = self.buffers;
        failed
    }

    fn is_resp3(&self) -> bool {
        self.protocol() == 3
    }

    /// Prepares for one more value; false if there is no room for it.
    fn begin(&mut self, bytes: usize) -> bool {
        self.close_finished();
        let state = self.frame.state();
        let arena = state.arena();
        // What a call returns may exceed the limit until garbage is collected, but not by much.
        if bytes > arena.limit_bytes() || arena.run_bytes() / 2 > arena.limit_bytes() {
            state.overflowed = true;
        }
        if self.frame.reserve(6).is_err() {
            self.frame.state().overflowed = true;
        }
        !self.frame.state().overflowed
    }

    /// Puts the value on top of the stack where it belongs.
    fn place(&mut self) {
        let lua = self.frame.lua;
        let Some(open) = self.buffers.open.last_mut() else {
            return;
        };
        open.done += 1;
        // SAFETY: the table is below the value, or below key and value; keys are checked not to
        // be nil or NaN, and memory is not refused to Rust, so nothing raises.
        unsafe {
            match open.kind {
                Kind::Array => ffi::lua_rawseti(lua, -2, open.done as ffi::lua_Integer),
                Kind::Set if is_key(lua, -1) => {
                    ffi::lua_pushboolean(lua, 1);
                    ffi::lua_rawset(lua, -3);
                }
                Kind::Set => ffi::lua_settop(lua, -2),
                Kind::Map if !open.done.is_multiple_of(2) => {}
                Kind::Map if is_key(lua, -2) => ffi::lua_rawset(lua, -3),
                Kind::Map => ffi::lua_settop(lua, -3),
            }
        }
    }

    /// Completes the aggregates that have all their elements. Done before the next value only, so
    /// that a mark taken inside the last aggregate stays valid.
    fn close_finished(&mut self) {
        while let Some(open) = self.buffers.open.last().copied()
            && open.done == open.length
        {
            self.buffers.open.pop();
            if open.wrapped {
                let name = if open.kind == Kind::Map {
                    c"map"
                } else {
                    c"set"
                };
                // SAFETY: `begin` reserved the slots; the new table is plain.
                unsafe {
                    ffi::lua_createtable(self.frame.lua, 0, 1);
                    ffi::lua_rotate(self.frame.lua, -2, 1);
                    ffi::lua_setfield(self.frame.lua, -2, name.as_ptr());
                }
            }
            self.place();
        }
    }

    fn open(&mut self, kind: Kind, length: usize, wrapped: bool) {
        if !self.begin(0) {
            return;
        }
        // A hint only: a huge length must not allocate before its elements come.
        let hint = c_int::try_from(length.min(1 << 16)).unwrap_or(0);
        let (array, fields) = if kind == Kind::Array {
            (hint, 0)
        } else {
            (0, hint)
        };
        // SAFETY: `begin` reserved the slot.
        unsafe { ffi::lua_createtable(self.frame.lua, array, fields) };
        let length = if kind == Kind::Map {
            length.saturating_mul(2)
        } else {
            length
        };
        self.buffers.open.push(Open {
            kind,
            length,
            done: 0,
            wrapped,
        });
    }

    /// A table with one string in it.
    fn tagged(&mut self, name: &str, bytes: &[u8], uncounted: bool) {
        if !self.begin(bytes.len()) {
            return;
        }
        // SAFETY: `begin` reserved the slots; the new table is plain and the keys are strings.
        unsafe {
            ffi::lua_createtable(self.frame.lua, 0, 1 + c_int::from(uncounted));
            self.frame.push_bytes(name.as_bytes());
            self.frame.push_bytes(bytes);
            ffi::lua_rawset(self.frame.lua, -3);
            if uncounted {
                self.frame.push_bytes(b"ignore_error_stats_update");
                self.frame.push_boolean(true);
                ffi::lua_rawset(self.frame.lua, -3);
            }
        }
        self.place();
    }

    fn absent(&mut self) {
        if self.begin(0) {
            if self.is_resp3() {
                self.frame.push_nil();
            } else {
                self.frame.push_boolean(false);
            }
            self.place();
        }
    }
}

/// # Safety
/// `index` is acceptable.
unsafe fn is_key(lua: *mut ffi::lua_State, index: c_int) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        match ffi::lua_type(lua, index) {
            ffi::LUA_TNIL => false,
            ffi::LUA_TNUMBER => !ffi::lua_tonumber(lua, index).is_nan(),
            _ => true,
        }
    }
}

impl Reply for LuaReply<'_> {
    fn integer(&mut self, value: i64) {
        if self.begin(0) {
            self.frame.push_integer(value);
            self.place();
        }
    }

    fn bulk(&mut self, bytes: &[u8]) {
        if self.begin(bytes.len()) {
            self.frame.push_bytes(bytes);
            self.place();
        }
    }

    fn bulk_start(&mut self, length: usize) {
        self.buffers.text.clear();
        if length == 0 {
            self.bulk(b"");
        }
    }

    fn bulk_part(&mut self, bytes: &[u8], is_last: bool) {
        if self.buffers.text.len() + bytes.len() > self.frame.state().arena().limit_bytes() {
            self.frame.state().overflowed = true;
            return;
        }
        self.buffers.text.extend_from_slice(bytes);
        if is_last {
            let text = std::mem::take(&mut self.buffers.text);
            self.bulk(&text);
        }
    }

    fn status_bytes(&mut self, text: &[u8]) {
        self.tagged("ok", text, false);
    }

    fn error(&mut self, text: &[u8]) {
        self.close_finished();
        self.failed |= self.buffers.open.is_empty();
        self.tagged("err", text, true);
    }

    fn null(&mut self) {
        self.absent();
    }

    fn null_array(&mut self) {
        self.absent();
    }

    fn array(&mut self, length: usize) {
        self.open(Kind::Array, length, false);
    }

    fn map(&mut self, pairs: usize) {
        if self.is_resp3() {
            self.open(Kind::Map, pairs, true);
        } else {
            self.open(Kind::Array, pairs.saturating_mul(2), false);
        }
    }

    fn set(&mut self, length: usize) {
        if self.is_resp3() {
            self.open(Kind::Set, length, true);
        } else {
            self.open(Kind::Array, length, false);
        }
    }

    fn push(&mut self, length: usize) {
        self.open(Kind::Array, length, false);
    }

    fn double_text(&mut self, value: f64, text: &str) {
        if self.is_resp3() {
            self.double(value);
        } else {
            self.bulk(text.as_bytes());
        }
    }

    fn double(&mut self, value: f64) {
        if !self.is_resp3() {
            let text = crate::resp::number::format_double(value);
            self.bulk(text.as_bytes());
        } else if self.begin(0) {
            // SAFETY: `begin` reserved the slots; the new table is plain.
            unsafe {
                ffi::lua_createtable(self.frame.lua, 0, 1);
                self.frame.push_number(value);
                ffi::lua_setfield(self.frame.lua, -2, c"double".as_ptr());
            }
            self.place();
        }
    }

    fn boolean(&mut self, value: bool) {
        if !self.is_resp3() {
            self.integer(i64::from(value));
        } else if self.begin(0) {
            self.frame.push_boolean(value);
            self.place();
        }
    }

    fn big_number(&mut self, digits: &str) {
        if self.is_resp3() {
            self.tagged("big_number", digits.as_bytes(), false);
        } else {
            self.bulk(digits.as_bytes());
        }
    }

    fn verbatim(&mut self, format: &str, bytes: &[u8]) {
        if !self.is_resp3() {
            self.bulk(bytes);
        } else if self.begin(bytes.len()) {
            // SAFETY: `begin` reserved the slots; the new tables are plain.
            unsafe {
                let lua = self.frame.lua;
                ffi::lua_createtable(lua, 0, 1);
                ffi::lua_createtable(lua, 0, 2);
                self.frame.push_bytes(bytes);
                ffi::lua_setfield(lua, -2, c"string".as_ptr());
                self.frame.push_bytes(format.as_bytes());
                ffi::lua_setfield(lua, -2, c"format".as_ptr());
                ffi::lua_setfield(lua, -2, c"verbatim_string".as_ptr());
            }
            self.place();
        }
    }

    fn mark(&self) -> Mark {
        let mut marks = self.buffers.marks.borrow_mut();
        let open = self.buffers.open.last().copied();
        let top = usize::try_from(self.frame.top()).unwrap_or(0);
        marks.push((self.buffers.open.len(), top, open));
        Mark(marks.len() - 1)
    }

    fn rewind(&mut self, mark: Mark) {
        let Some((depth, top, open)) = self.buffers.marks.get_mut().get(mark.0).copied() else {
            return;
        };
        self.buffers.open.truncate(depth);
        if let (Some(last), Some(open)) = (self.buffers.open.last_mut(), open) {
            *last = open;
        }
        self.failed = false;
        self.buffers.text.clear();
        // SAFETY: the stack was this high when the mark was taken, and what was below it then is
        // still there: aggregates that were open are closed only after their last element.
        unsafe { ffi::lua_settop(self.frame.lua, c_int::try_from(top).unwrap_or(self.base)) };
    }

    fn protocol(&self) -> u8 {
        self.frame.protocol()
    }
}
