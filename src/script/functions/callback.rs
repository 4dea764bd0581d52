//! Functions of libraries that are kept in an interpreter from run to run.
//!
//! No run may see what another one has changed. A function can be kept without its library's being
//! run again if all that it reaches, through its upvalues and those of the functions among them, is
//! immutable: then only the upvalues themselves can be assigned to, and are set back before each
//! run. One that reaches a table, a coroutine or an iterator is made anew for each run.

use std::ffi::{c_int, c_void};

use mlua::ffi;

use crate::fault::fault;
use crate::script::cache::ShaMap;
use crate::script::sandbox::push_contents;
use crate::script::state::State;
use crate::script::trampoline::Frame;

/// A function that reaches more upvalues than this is not kept.
const UPVALUES_MAX: usize = 64;

/// One upvalue, and what it is before each run; positions in the table of what is kept.
#[derive(Clone, Copy, Debug)]
struct Upvalue {
    function: ffi::lua_Integer,
    number: c_int,
    value: ffi::lua_Integer,
}

/// A function that is kept: the first value of a table that the registry has.
#[derive(Debug)]
struct KeptFunction {
    table: ffi::lua_Integer,
    upvalues: Vec<Upvalue>,
}

/// Functions by their digest; none for those that cannot be kept.
#[derive(Debug, Default)]
pub(in crate::script) struct Callbacks(ShaMap<Option<KeptFunction>>);

impl Callbacks {
    /// How many are known.
    pub(in crate::script) fn len(&self) -> usize {
        self.0.len()
    }

    /// Pushes the running function, as it was before any run; `false` if it is not kept.
    ///
    /// # Safety
    /// The state's stack has four free slots, and memory is not refused.
    pub(in crate::script) unsafe fn push(state: *mut State) -> bool {
        // SAFETY: the caller's promise. The table has functions and values where `keep` has put
        // them, and each function has the upvalue that was found in it.
        unsafe {
            let sha = (*state).sha();
            let callbacks = &(*state).callbacks;
            let Some(Some(kept)) = callbacks.0.get(&sha) else {
                return false;
            };
            let lua = (*state).lua();
            ffi::lua_rawgeti(lua, ffi::LUA_REGISTRYINDEX, kept.table);
            for upvalue in &kept.upvalues {
                if fault!("a function sees what an earlier run left") {
                    break;
                }
                ffi::lua_rawgeti(lua, -1, upvalue.function);
                ffi::lua_rawgeti(lua, -2, upvalue.value);
                ffi::lua_setupvalue(lua, -2, upvalue.number);
                ffi::lua_settop(lua, -2);
            }
            ffi::lua_rawgeti(lua, -1, 1);
            ffi::lua_remove(lua, -2);
        }
        true
    }

    /// Keeps the running function, which is on top of the stack and has not run yet, if it can be
    /// kept.
    ///
    /// # Safety
    /// As for `push`, with eight free slots.
    pub(in crate::script) unsafe fn keep(state: *mut State) {
        // SAFETY: the caller's promise. The walk leaves the table that it fills on the stack.
        unsafe {
            let (sha, lua) = ((*state).sha(), (*state).lua());
            let callbacks = &(*state).callbacks;
            if callbacks.0.contains_key(&sha) || ffi::lua_type(lua, -1) != ffi::LUA_TFUNCTION {
                return;
            }
            let top = ffi::lua_gettop(lua);
            ffi::lua_createtable(lua, 4, 0);
            ffi::lua_pushvalue(lua, top);
            ffi::lua_rawseti(lua, -2, 1);
            let kept = Walk::new(lua).run().map(|upvalues| KeptFunction {
                table: ffi::luaL_ref(lua, ffi::LUA_REGISTRYINDEX).into(),
                upvalues,
            });
            ffi::lua_settop(lua, top);
            (*state).callbacks.0.insert(sha, kept);
        }
    }
}

/// A walk over everything that a function reaches. The table on top of the stack gets it.
struct Walk {
    frame: Frame,
    table: c_int,
    /// Functions that were reached: their places in the table, and their addresses.
    functions: Vec<(ffi::lua_Integer, *const c_void)>,
    upvalues: Vec<Upvalue>,
    /// The last place in the table that is taken.
    last: ffi::lua_Integer,
}

impl Walk {
    /// # Safety
    /// As for `Callbacks::keep`; a table with the function as its first value is on top of the stack.
    unsafe fn new(lua: *mut ffi::lua_State) -> Walk {
        // SAFETY: the caller's promise.
        unsafe {
            ffi::lua_rawgeti(lua, -1, 1);
            let address = ffi::lua_topointer(lua, -1);
            ffi::lua_settop(lua, -2);
            Walk {
                frame: Frame::new(lua),
                table: ffi::lua_gettop(lua),
                functions: vec![(1, address)],
                upvalues: Vec::new(),
                last: 1,
            }
        }
    }

    /// # Safety
    /// As for `new`.
    unsafe fn run(mut self) -> Option<Vec<Upvalue>> {
        let mut done = 0;
        while let Some(&(function, _)) = self.functions.get(done) {
            // SAFETY: the caller's promise; a function is at this place.
            unsafe { self.visit(function)? };
            done += 1;
        }
        Some(self.upvalues)
    }

    /// Notes the upvalues of one function. `None` if one is not immutable, or they are too many.
    ///
    /// # Safety
    /// As for `new`.
    unsafe fn visit(&mut self, function: ffi::lua_Integer) -> Option<()> {
        let lua = self.frame.lua;
        for number in 1.. {
            // SAFETY: the caller's promise; a function is at its place in the table.
            unsafe {
                ffi::lua_rawgeti(lua, self.table, function);
                if ffi::lua_getupvalue(lua, -1, number).is_null() {
                    ffi::lua_settop(lua, self.table);
                    return Some(());
                }
            }
            if self.upvalues.len() == UPVALUES_MAX || !self.is_immutable() {
                return None;
            }
            self.last += 1;
            self.upvalues.push(Upvalue {
                function,
                number,
                value: self.last,
            });
            // SAFETY: the upvalue's value is on top of the stack.
            unsafe {
                let address = ffi::lua_topointer(lua, -1);
                let is_new = self.functions.iter().all(|(_, known)| *known != address);
                if ffi::lua_type(lua, -1) == ffi::LUA_TFUNCTION && is_new {
                    self.functions.push((self.last, address));
                }
                ffi::lua_rawseti(lua, self.table, self.last);
                ffi::lua_settop(lua, self.table);
            }
        }
        None
    }

    /// Whether nobody can change the value on top of the stack. What a function reaches is looked at
    /// by itself.
    fn is_immutable(&self) -> bool {
        match self.frame.kind(-1) {
            ffi::LUA_TNIL
            | ffi::LUA_TBOOLEAN
            | ffi::LUA_TNUMBER
            | ffi::LUA_TSTRING
            | ffi::LUA_TLIGHTUSERDATA
            | ffi::LUA_TFUNCTION => true,
            ffi::LUA_TTABLE => {
                let is_frozen = push_contents(&self.frame, -1);
                if is_frozen {
                    // SAFETY: the contents are on top of the stack.
                    unsafe { ffi::lua_settop(self.frame.lua, -2) };
                }
                is_frozen
            }
            _ => false,
        }
    }
}
