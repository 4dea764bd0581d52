//! The libraries that Redis gives to scripts.

mod bit;
mod cjson;
mod cjson_decode;
mod cjson_encode;
mod cmsgpack;
mod dragonfly;
mod redis;
mod structs;

use std::ptr;

use mlua::ffi;

use super::sandbox::push_functions;

pub(super) use cjson::Settings;

/// Bytes of one text between two looks at the clock and the memory.
const PIECE_BYTES: usize = 64 << 10;

/// Scratch space larger than this is not kept between runs.
const SCRATCH_BYTES_MAX: usize = 64 << 10;

/// An aggregate that is being written or read. Its table is on the Lua stack, a map's key above.
#[derive(Clone, Copy, Debug)]
enum Level {
    Array { done: usize, length: usize },
    Map { done: usize, length: usize },
}

/// What a function builds while it runs. It belongs to the state, not to the function, so that a
/// fiber that is dropped in the middle loses nothing.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    text: Vec<u8>,
    levels: Vec<Level>,
}

impl Scratch {
    fn clear(&mut self) {
        self.text.clear();
        self.levels.clear();
    }

    pub(super) fn shrink(&mut self) {
        self.clear();
        self.text.shrink_to(SCRATCH_BYTES_MAX);
        self.levels
            .shrink_to(SCRATCH_BYTES_MAX / size_of::<Level>());
    }
}

/// Sets a field with each library in the table on top of the stack.
///
/// # Safety
/// As for `sandbox::open`.
pub(super) unsafe fn push_libraries(lua: *mut ffi::lua_State) {
    // SAFETY: the caller's promise; each field takes the value just pushed.
    unsafe {
        push_functions(lua, redis::FUNCTIONS);
        for &(name, value) in redis::CONSTANTS {
            ffi::lua_pushlstring(lua, name.as_ptr().cast(), name.len());
            ffi::lua_pushinteger(lua, value);
            ffi::lua_rawset(lua, -3);
        }
        push_texts(lua, &[("REDIS_VERSION", redis::VERSION)]);
        ffi::lua_setfield(lua, -2, c"redis".as_ptr());

        push_functions(lua, cjson::FUNCTIONS);
        push_texts(lua, &[("_NAME", "cjson"), ("_VERSION", "2.1.0")]);
        ffi::lua_pushlightuserdata(lua, ptr::null_mut());
        ffi::lua_setfield(lua, -2, c"null".as_ptr());
        ffi::lua_setfield(lua, -2, c"cjson".as_ptr());

        push_functions(lua, cmsgpack::FUNCTIONS);
        push_texts(
            lua,
            &[("_NAME", "cmsgpack"), ("_VERSION", "lua-cmsgpack 0.4.0")],
        );
        ffi::lua_setfield(lua, -2, c"cmsgpack".as_ptr());

        push_functions(lua, dragonfly::FUNCTIONS);
        ffi::lua_setfield(lua, -2, c"dragonfly".as_ptr());
        push_functions(lua, structs::FUNCTIONS);
        ffi::lua_setfield(lua, -2, c"struct".as_ptr());
        push_functions(lua, bit::FUNCTIONS);
        ffi::lua_setfield(lua, -2, c"bit".as_ptr());
    }
}

/// # Safety
/// As for `sandbox::open`; a table is on top of the stack.
unsafe fn push_texts(lua: *mut ffi::lua_State, texts: &[(&str, &str)]) {
    for (name, text) in texts {
        // SAFETY: the caller's promise.
        unsafe {
            ffi::lua_pushlstring(lua, name.as_ptr().cast(), name.len());
            ffi::lua_pushlstring(lua, text.as_ptr().cast(), text.len());
            ffi::lua_rawset(lua, -3);
        }
    }
}
