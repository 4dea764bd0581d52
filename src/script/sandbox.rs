//! What a script sees: libraries without a way out, and globals that it cannot change.

use std::ffi::{CStr, c_int, c_void};
use std::slice;
use std::sync::OnceLock;

use mlua::ffi;

use super::compat;
use super::convert::bytes_at;
use super::error::Failure;
use super::error_handler::PRELUDE_NAME;
use super::functions::register;
use super::gsub;
use super::library;
use super::trampoline::{Frame, Function, push_function};

const PRELUDE: &str = include_str!("prelude.lua");

/// Its address is the key under which a frozen table's metatable has the contents.
static CONTENTS_KEY: u8 = 0;

const SANDBOX_FUNCTIONS: &[(&str, Function)] = &[
    ("rawget", raw_get),
    ("rawset", raw_set),
    ("setmetatable", set_metatable),
];

/// Opens the libraries in a new state and leaves the table of globals at stack position 1.
///
/// # Safety
/// `lua` is new, its stack empty, and no script runs: memory is never refused, so the calls that
/// are not protected do not raise.
pub(super) unsafe fn open(lua: *mut ffi::lua_State) -> Result<(), String> {
    // SAFETY: the caller's promise.
    unsafe {
        open_lua_libraries(lua);
        gsub::install(lua);
        compat::install_tonumber(lua);
        let status = load_prelude(lua);
        let mut result = status;
        if status == ffi::LUA_OK {
            push_native(lua);
            result = ffi::lua_pcall(lua, 1, 3, 0);
        }
        if result != ffi::LUA_OK {
            let text = bytes_at(lua, -1).unwrap_or_default();
            return Err(String::from_utf8_lossy(text).into_owned());
        }
        register::keep_load_environment(lua);
        // What is loaded from here on, by us or by a script, has the environment for globals.
        ffi::lua_rawseti(lua, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
        ffi::lua_pushnil(lua);
        ffi::lua_setfield(lua, ffi::LUA_REGISTRYINDEX, c"_LOADED".as_ptr());
    }
    Ok(())
}

/// Pushes the prelude's function, compiled once per process, or an error.
///
/// # Safety
/// As for `open`.
unsafe fn load_prelude(lua: *mut ffi::lua_State) -> c_int {
    static COMPILED: OnceLock<Vec<u8>> = OnceLock::new();
    let compiled = COMPILED.get().map_or(PRELUDE.as_bytes(), Vec::as_slice);
    // SAFETY: the caller's promise. Bytecode comes from `lua_dump` in this process alone.
    unsafe {
        let (start, length) = (compiled.as_ptr().cast(), compiled.len());
        let name = PRELUDE_NAME.as_ptr();
        let status = ffi::luaL_loadbufferx(lua, start, length, name, c"bt".as_ptr());
        if status == ffi::LUA_OK && COMPILED.get().is_none() {
            let mut dumped = Vec::new();
            let destination = (&raw mut dumped).cast();
            if ffi::lua_dump(lua, append_dumped, destination, 0) == 0 {
                COMPILED.get_or_init(|| dumped);
            }
        }
        status
    }
}

unsafe extern "C-unwind" fn append_dumped(
    _lua: *mut ffi::lua_State,
    piece: *const c_void,
    length: usize,
    destination: *mut c_void,
) -> c_int {
    // SAFETY: `load_prelude` passes a vector, Lua a readable piece of this length.
    unsafe {
        let piece = slice::from_raw_parts(piece.cast::<u8>(), length);
        (*destination.cast::<Vec<u8>>()).extend_from_slice(piece);
    }
    0
}

/// # Safety
/// As for `open`.
unsafe fn open_lua_libraries(lua: *mut ffi::lua_State) {
    let libraries: [(&CStr, ffi::lua_CFunction); 5] = [
        (c"_G", ffi::luaopen_base),
        (c"table", ffi::luaopen_table),
        (c"string", ffi::luaopen_string),
        (c"math", ffi::luaopen_math),
        (c"coroutine", ffi::luaopen_coroutine),
    ];
    for (name, open) in libraries {
        // SAFETY: the caller's promise.
        unsafe {
            ffi::luaL_requiref(lua, name.as_ptr(), open, 1);
            ffi::lua_settop(lua, -2);
        }
    }
}

/// Pushes the table of Rust's functions that the prelude distributes.
///
/// # Safety
/// As for `open`.
unsafe fn push_native(lua: *mut ffi::lua_State) {
    // SAFETY: the caller's promise; each field takes the value just pushed.
    unsafe {
        push_functions(lua, SANDBOX_FUNCTIONS);
        push_contents_key(lua);
        ffi::lua_setfield(lua, -2, c"contents_key".as_ptr());
        push_functions(lua, compat::MATH);
        ffi::lua_setfield(lua, -2, c"math".as_ptr());
        push_functions(lua, compat::OS);
        ffi::lua_setfield(lua, -2, c"os".as_ptr());
        push_functions(lua, register::FUNCTIONS);
        ffi::lua_setfield(lua, -2, c"loading".as_ptr());
        library::push_libraries(lua);
    }
}

/// Pushes a table of functions.
///
/// # Safety
/// As for `open`.
pub(super) unsafe fn push_functions(lua: *mut ffi::lua_State, functions: &[(&str, Function)]) {
    // SAFETY: the caller's promise; the table is plain.
    unsafe {
        ffi::lua_createtable(lua, 0, c_int::try_from(functions.len()).unwrap_or(0));
        for &(name, function) in functions {
            ffi::lua_pushlstring(lua, name.as_ptr().cast(), name.len());
            push_function(lua, function);
            ffi::lua_rawset(lua, -3);
        }
    }
}

/// # Safety
/// The stack has a free slot.
unsafe fn push_contents_key(lua: *mut ffi::lua_State) {
    // SAFETY: the caller's promise. Only the address is used.
    unsafe {
        ffi::lua_pushlightuserdata(lua, (&raw const CONTENTS_KEY).cast_mut().cast::<c_void>())
    };
}

/// If the value at `index` is a frozen table, pushes its contents.
pub(super) fn push_contents(frame: &Frame, index: c_int) -> bool {
    // SAFETY: `index` is acceptable, the callers have LUA_MINSTACK slots.
    unsafe {
        if ffi::lua_type(frame.lua, index) != ffi::LUA_TTABLE
            || ffi::lua_getmetatable(frame.lua, index) == 0
        {
            return false;
        }
        push_contents_key(frame.lua);
        let found = ffi::lua_rawget(frame.lua, -2) == ffi::LUA_TTABLE;
        ffi::lua_remove(frame.lua, -2);
        if !found {
            ffi::lua_settop(frame.lua, -2);
        }
        found
    }
}

fn refuse_frozen(frame: &Frame, index: c_int) -> Result<(), Failure> {
    if push_contents(frame, index) {
        return Err(Failure::Plain("Attempt to modify a readonly table"));
    }
    Ok(())
}

fn expect_table(frame: &Frame, index: c_int) -> Result<(), Failure> {
    if frame.kind(index) == ffi::LUA_TTABLE {
        Ok(())
    } else {
        Err(frame.type_error(index, "table"))
    }
}

fn expect_any(frame: &Frame, index: c_int) -> Result<(), Failure> {
    if frame.kind(index) == ffi::LUA_TNONE {
        return Err(frame.argument_error(index, "value expected"));
    }
    Ok(())
}

fn raw_get(frame: &mut Frame) -> Result<c_int, Failure> {
    expect_table(frame, 1)?;
    expect_any(frame, 2)?;
    // SAFETY: a table and a key are there; reading raises nothing.
    unsafe {
        ffi::lua_settop(frame.lua, 2);
        if push_contents(frame, 1) {
            ffi::lua_replace(frame.lua, 1);
        }
        ffi::lua_rawget(frame.lua, 1);
    }
    Ok(1)
}

fn raw_set(frame: &mut Frame) -> Result<c_int, Failure> {
    expect_table(frame, 1)?;
    expect_any(frame, 2)?;
    expect_any(frame, 3)?;
    refuse_frozen(frame, 1)?;
    if frame.kind(2) == ffi::LUA_TNIL {
        return Err(Failure::Plain("table index is nil"));
    }
    if frame.kind(2) == ffi::LUA_TNUMBER && frame.number(2).is_some_and(f64::is_nan) {
        return Err(Failure::Plain("table index is NaN"));
    }
    // SAFETY: a table, a valid key and a value are there.
    unsafe {
        ffi::lua_settop(frame.lua, 3);
        ffi::lua_rawset(frame.lua, 1);
    }
    Ok(1)
}

/// Without `__gc`: what the arena frees at a kill must not need a finalizer, and Lua 5.1 has none
/// for tables.
fn set_metatable(frame: &mut Frame) -> Result<c_int, Failure> {
    expect_table(frame, 1)?;
    if !matches!(frame.kind(2), ffi::LUA_TNIL | ffi::LUA_TTABLE) {
        return Err(frame.type_error(2, "nil or table"));
    }
    refuse_frozen(frame, 1)?;
    // SAFETY: a table and a metatable (or nil) are there; LUA_MINSTACK leaves room. Raw access
    // and lua_setmetatable raise nothing.
    unsafe {
        let lua = frame.lua;
        ffi::lua_settop(lua, 2);
        if ffi::lua_getmetatable(lua, 1) != 0 {
            frame.push_bytes(b"__metatable");
            if ffi::lua_rawget(lua, -2) != ffi::LUA_TNIL {
                return Err(Failure::text("cannot change a protected metatable"));
            }
            ffi::lua_settop(lua, 2);
        }
        if ffi::lua_type(lua, 2) == ffi::LUA_TTABLE {
            frame.push_bytes(b"__gc");
            if ffi::lua_rawget(lua, 2) != ffi::LUA_TNIL {
                return Err(Failure::text("finalizers (__gc) are not supported"));
            }
            ffi::lua_settop(lua, 2);
        }
        ffi::lua_setmetatable(lua, 1);
    }
    Ok(1)
}
