//! Uncaught errors: which value becomes the reply, and with which position.

use std::ffi::{CStr, c_int};

use mlua::ffi;

use super::convert::{bytes_at, field_text};
use super::error::Failure;
use super::sandbox::push_contents;
use super::trampoline::{Frame, push_function};

/// Chunks of the sandbox itself, which scripts do not know of, are named so.
pub(super) const PRELUDE_NAME: &CStr = c"=sandbox";

/// Pushes the message handler of a run.
///
/// # Safety
/// As for `push_function`.
pub(super) unsafe fn push(lua: *mut ffi::lua_State) {
    // SAFETY: the caller's promise.
    unsafe { push_function(lua, annotate) };
}

/// Makes any error a table with the fields err, source and line.
fn annotate(frame: &mut Frame) -> Result<c_int, Failure> {
    frame.reserve(6)?;
    let position = position(frame.lua);
    // SAFETY: the stack has room; the table is raw and the keys are strings, so nothing raises.
    unsafe {
        let lua = frame.lua;
        // A frozen table is no error value, and must not be written to.
        if ffi::lua_type(lua, 1) != ffi::LUA_TTABLE || push_contents(frame, 1) {
            let message = format_error(lua);
            ffi::lua_createtable(lua, 0, 3);
            frame.push_bytes(c"err".to_bytes());
            frame.push_bytes(&message);
            ffi::lua_rawset(lua, -3);
            ffi::lua_replace(lua, 1);
        }
        if let Some((source, line)) = position {
            frame.push_bytes(b"source");
            frame.push_bytes(&source);
            ffi::lua_rawset(lua, 1);
            frame.push_bytes(b"line");
            frame.push_integer(i64::from(line));
            ffi::lua_rawset(lua, 1);
        }
        ffi::lua_settop(lua, 1);
    }
    Ok(1)
}

/// # Safety
/// A value is at index 1 and the stack has a free slot.
unsafe fn format_error(lua: *mut ffi::lua_State) -> Vec<u8> {
    let mut message = b"ERR ".to_vec();
    // SAFETY: the caller's promise; type names are static C strings.
    unsafe {
        let kind = ffi::lua_type(lua, 1);
        match bytes_at(lua, 1) {
            Some(bytes) => message.extend_from_slice(bytes),
            None if kind == ffi::LUA_TBOOLEAN => {
                let text: &[u8] = if ffi::lua_toboolean(lua, 1) != 0 {
                    b"true"
                } else {
                    b"false"
                };
                message.extend_from_slice(text);
            }
            None => {
                message.extend_from_slice(CStr::from_ptr(ffi::lua_typename(lua, kind)).to_bytes())
            }
        }
    }
    message
}

/// Source and line of the innermost function of the script on the stack.
pub(super) fn position(lua: *mut ffi::lua_State) -> Option<(Vec<u8>, c_int)> {
    for level in 0.. {
        // SAFETY: an all-zero record is valid and is filled in by Lua; `source` is an array or a
        // string that the function keeps alive.
        unsafe {
            let mut record: ffi::lua_Debug = std::mem::zeroed();
            if ffi::lua_getstack(lua, level, &mut record) == 0 {
                return None;
            }
            ffi::lua_getinfo(lua, c"Sl".as_ptr(), &mut record);
            if record.currentline > 0 && CStr::from_ptr(record.source) != PRELUDE_NAME {
                return Some((
                    CStr::from_ptr(record.source).to_bytes().to_vec(),
                    record.currentline,
                ));
            }
        }
    }
    None
}

/// The reply for the error on top of the stack.
///
/// # Safety
/// No script runs in the state, and an error value made by `annotate` is on top of its stack.
pub(super) unsafe fn compose(lua: *mut ffi::lua_State, name: &[u8]) -> Vec<u8> {
    // SAFETY: the caller's promise.
    unsafe {
        if ffi::lua_type(lua, -1) != ffi::LUA_TTABLE {
            let text = bytes_at(lua, -1).unwrap_or(b"execution failure");
            return [b"ERR ", text].concat();
        }
        let mut reply = field_text(lua, c"err").unwrap_or_else(|| b"ERR unknown error".to_vec());
        if let (Some(source), Some(line)) = (field_text(lua, c"source"), field_text(lua, c"line")) {
            reply.extend_from_slice(b" script: ");
            reply.extend_from_slice(name);
            reply.extend_from_slice(b", on ");
            reply.extend_from_slice(&source);
            reply.push(b':');
            reply.extend_from_slice(&line);
            reply.push(b'.');
        }
        reply
    }
}
