//! `string.gsub` as in Lua 5.1: a `%` in a replacement stands for what follows it where that is no
//! digit. Lua 5.4 raises an error there.

use std::ffi::c_int;

use mlua::ffi;

use super::error::Failure;
use super::trampoline::{Frame, push_prepared};

/// Where the replacement stands among the arguments.
const REPLACEMENT: c_int = 3;

/// Puts it in the place of Lua's own.
///
/// # Safety
/// As for `sandbox::open`, and the library of strings is open.
pub(super) unsafe fn install(lua: *mut ffi::lua_State) {
    // SAFETY: the caller's promise; Lua's own is a C function without upvalues.
    unsafe {
        ffi::lua_getglobal(lua, c"string".as_ptr());
        ffi::lua_getfield(lua, -1, c"gsub".as_ptr());
        push_prepared(lua, prepare);
        ffi::lua_setfield(lua, -2, c"gsub".as_ptr());
        ffi::lua_settop(lua, -2);
    }
}

/// Makes the replacement one that Lua 5.4 reads as Lua 5.1 does.
fn prepare(frame: &mut Frame) -> Result<c_int, Failure> {
    if frame.kind(REPLACEMENT) == ffi::LUA_TSTRING
        && let Some(text) = frame.bytes(REPLACEMENT).filter(|text| has_others(text))
    {
        frame.push_bytes(&without_others(text));
        // SAFETY: the argument is there, and the text that takes its place above it.
        unsafe { ffi::lua_replace(frame.lua, REPLACEMENT) };
    }
    Ok(0)
}

/// Whether a `%` stands before something else than a digit or another one.
fn has_others(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'%', rest) {
        match rest.get(at + 1) {
            Some(b'%' | b'0'..=b'9') => rest = &rest[at + 2..],
            _ => return true,
        }
    }
    false
}

/// The text with what each such `%` stands for in its place.
fn without_others(text: &[u8]) -> Vec<u8> {
    let mut bytes = text.iter();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        match bytes.next() {
            Some(&byte @ (b'%' | b'0'..=b'9')) => plain.extend([b'%', byte]),
            Some(&byte) => plain.push(byte),
            // There Lua 5.1 reads the zero that ends each of its strings.
            None => plain.push(0),
        }
    }
    plain
}
