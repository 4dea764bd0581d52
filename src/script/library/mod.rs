//! The libraries that Redis gives to scripts.

mod redis;

use mlua::ffi;

use super::sandbox::push_functions;

/// What scripts can set in the libraries. It lasts for one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {}

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
        ffi::lua_pushlstring(lua, redis::VERSION.as_ptr().cast(), redis::VERSION.len());
        ffi::lua_setfield(lua, -2, c"REDIS_VERSION".as_ptr());
        ffi::lua_setfield(lua, -2, c"redis".as_ptr());
        for name in [c"cjson", c"cmsgpack", c"struct", c"bit"] {
            push_functions(lua, &[]);
            ffi::lua_setfield(lua, -2, name.as_ptr());
        }
    }
}
