//! The one way from Lua into Rust.
//!
//! Every Rust function that a script can reach is a Lua closure over `trampoline`, or over `prepared`
//! or `with_second`, which end with one of Lua's own, with a pointer to the function as its first upvalue. So each one runs unpreempted, its panics end the run, its
//! values are dropped before Lua goes on or the fiber is suspended, and an end of the slice or of
//! the memory that happened meanwhile is noticed.

use std::ffi::{CStr, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use mlua::ffi;

use crate::fault::fault;

use super::error::Failure;
use super::library::Scratch;
use super::preempt::{Control, Suspension, with_control};
use super::state::State;

/// A function callable from Lua: returns how many values on top of the stack are its results.
pub(super) type Function = fn(&mut Frame) -> Result<c_int, Failure>;

/// What a function called from Lua sees.
pub(super) struct Frame {
    pub(super) lua: *mut ffi::lua_State,
    state: *mut State,
}

/// Pushes `function` as a Lua function.
///
/// # Safety
/// `lua` is a live state made by `State::new` with a free stack slot.
pub(super) unsafe fn push_function(lua: *mut ffi::lua_State, function: Function) {
    // SAFETY: the caller's promise. A function pointer fits a light userdata.
    unsafe {
        ffi::lua_pushlightuserdata(lua, function as *mut c_void);
        ffi::lua_pushcclosure(lua, trampoline, 1);
    }
}

/// Takes the C function on top of the stack, which has no upvalues, and pushes one that goes on as
/// it after `prepare` has changed the arguments; how many there are stays.
///
/// # Safety
/// As for `push_function`.
pub(super) unsafe fn push_prepared(lua: *mut ffi::lua_State, prepare: Function) {
    // SAFETY: the caller's promise. A function pointer fits a light userdata.
    unsafe {
        ffi::lua_pushlightuserdata(lua, prepare as *mut c_void);
        ffi::lua_rotate(lua, -2, 1);
        ffi::lua_pushcclosure(lua, prepared, 2);
    }
}

/// Takes the C function on top of the stack, which has no upvalues, and pushes one that is it without
/// a second argument, and `function` with one.
///
/// # Safety
/// As for `push_function`.
pub(super) unsafe fn push_with_second(lua: *mut ffi::lua_State, function: Function) {
    // SAFETY: the caller's promise. A function pointer fits a light userdata.
    unsafe {
        ffi::lua_pushlightuserdata(lua, function as *mut c_void);
        ffi::lua_rotate(lua, -2, 1);
        ffi::lua_pushcclosure(lua, with_second, 2);
    }
}

/// No local of this function has a destructor: either that it calls raises errors over it.
unsafe extern "C-unwind" fn with_second(lua: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by Lua, with the upvalues that `push_with_second` gave.
    unsafe {
        if ffi::lua_type(lua, 2) > ffi::LUA_TNIL {
            return trampoline(lua);
        }
        match ffi::lua_tocfunction(lua, ffi::lua_upvalueindex(2)) {
            Some(own) => own(lua),
            None => 0,
        }
    }
}

/// No local of this function has a destructor: both that it calls raise errors over it, and what the
/// second calls may be suspended and dropped.
unsafe extern "C-unwind" fn prepared(lua: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by Lua, with the upvalues that `push_prepared` gave.
    unsafe {
        trampoline(lua);
        match ffi::lua_tocfunction(lua, ffi::lua_upvalueindex(2)) {
            Some(own) => own(lua),
            None => 0,
        }
    }
}

/// No local of this function has a destructor: `lua_error` jumps over it.
unsafe extern "C-unwind" fn trampoline(lua: *mut ffi::lua_State) -> c_int {
    with_control(|control| control.enter_rust());
    // SAFETY: called by Lua, with the upvalue that `push_function` gave.
    let results = unsafe { run(lua) };
    with_control(|control| control.enter_lua());
    // SAFETY: `lua` is the running state; an error leaves its value on top of the stack.
    unsafe {
        if State::of(lua).is_over_limit() {
            collect_or_stop(lua);
        }
        if results < 0 {
            ffi::lua_error(lua);
        }
    }
    results
}

/// Runs the function and answers the number of results, or -1 with an error value on the stack.
/// When it suspends or returns, none of Rust's values are left on the fiber.
///
/// # Safety
/// `lua` is running a closure made by `push_function`.
unsafe fn run(lua: *mut ffi::lua_State) -> c_int {
    // SAFETY: the caller's promise; the upvalue was made from a `Function`.
    let (function, arguments) = unsafe {
        let function = ffi::lua_touserdata(lua, ffi::lua_upvalueindex(1));
        (
            std::mem::transmute::<*mut c_void, Function>(function),
            ffi::lua_gettop(lua),
        )
    };
    loop {
        // SAFETY: the caller's promise.
        let results = unsafe { call_once(lua, function) };
        let suspension = results.err().unwrap_or(Suspension::Preempted);
        with_control(|control| match results {
            Ok(_) => control.suspend_if_pending(),
            Err(_) => control.suspend(suspension),
        });
        match results {
            Ok(results) => return results,
            // SAFETY: the arguments are still there; what a failed attempt left above them goes.
            Err(_) => unsafe { ffi::lua_settop(lua, arguments) },
        }
    }
}

/// # Safety
/// As for `run`.
unsafe fn call_once(lua: *mut ffi::lua_State, function: Function) -> Result<c_int, Suspension> {
    // SAFETY: the caller's promise.
    let mut frame = unsafe { Frame::new(lua) };
    let outcome = catch_unwind(AssertUnwindSafe(|| function(&mut frame)));
    let failure = match outcome {
        Ok(Ok(results)) => return Ok(results),
        Ok(Err(failure)) => failure,
        Err(_) if fault!("a script goes on after a panic") => Failure::text("internal error"),
        // No pcall of the script's may hide it: the script ends here.
        Err(_panic) => return Err(Suspension::Panicked),
    };
    match failure {
        Failure::Wait => Err(Suspension::Waiting),
        Failure::Value => Ok(-1),
        Failure::Plain(message) => {
            frame.push_bytes(message.as_bytes());
            Ok(-1)
        }
        Failure::Message(message) => {
            // SAFETY: `lua` is live; LUA_MINSTACK leaves room for two values.
            unsafe {
                ffi::lua_checkstack(lua, 3);
                ffi::luaL_where(lua, 1);
                frame.push_bytes(message.as_bytes());
                ffi::lua_concat(lua, 2);
            }
            Ok(-1)
        }
    }
}

/// A function took more memory than the run may have: the garbage goes, or the run ends.
///
/// # Safety
/// Called with nothing of Rust's on the fiber.
unsafe fn collect_or_stop(lua: *mut ffi::lua_State) {
    // SAFETY: scripts have no finalizers, so a collection raises nothing and calls nothing.
    unsafe {
        ffi::lua_gc(lua, ffi::LUA_GCCOLLECT);
        if !State::of(lua).is_over_limit() {
            return;
        }
    }
    with_control(|control| {
        control.enter_rust();
        loop {
            control.suspend(Suspension::OutOfMemory);
        }
    });
}

impl Frame {
    /// # Safety
    /// `lua` belongs to a live `State`.
    pub(super) unsafe fn new(lua: *mut ffi::lua_State) -> Frame {
        // SAFETY: the caller's promise.
        let state = unsafe { State::pointer(lua) };
        Frame { lua, state }
    }

    pub(super) fn state(&mut self) -> &mut State {
        // SAFETY: a frame lives within one call from the state that it points to; the result
        // borrows the frame, so there is one reference at a time.
        unsafe { &mut *self.state }
    }

    /// Lets a long function be pre-empted. Everything that it needs afterwards is on the Lua
    /// stack, in the state's scratch space, or has no destructor: the fiber may be dropped here.
    pub(super) fn checkpoint(&self) {
        with_control(Control::suspend_if_pending);
    }

    /// The state's scratch space for one function at a time.
    pub(super) fn scratch<'a>(&mut self) -> &'a mut Scratch {
        // SAFETY: the state outlives the call of the function that holds the frame; a function
        // takes the scratch space once, and nothing else uses it meanwhile.
        unsafe { &mut (*self.state).scratch }
    }

    /// Ends the run if a text of `bytes` exceeds what it may use.
    pub(super) fn admit(&mut self, bytes: usize) -> Result<(), Failure> {
        if bytes <= self.state().arena().limit_bytes() {
            return Ok(());
        }
        self.state().overflowed = true;
        Err(Failure::text("not enough memory"))
    }

    /// What redis.setresp chose.
    pub(super) fn protocol(&self) -> u8 {
        // SAFETY: as for `state`; plain data is copied.
        unsafe { (*self.state).protocol }
    }

    /// Number of values on the stack: at the beginning, of arguments.
    pub(super) fn top(&self) -> c_int {
        // SAFETY: `lua` is live.
        unsafe { ffi::lua_gettop(self.lua) }
    }

    pub(super) fn kind(&self, index: c_int) -> c_int {
        // SAFETY: `lua_type` takes any acceptable index.
        unsafe { ffi::lua_type(self.lua, index) }
    }

    /// Makes room for `slots` more values.
    pub(super) fn reserve(&self, slots: c_int) -> Result<(), Failure> {
        // SAFETY: `lua` is live; lua_checkstack does not raise.
        if unsafe { ffi::lua_checkstack(self.lua, slots) } == 0 {
            return Err(Failure::text("stack overflow"));
        }
        Ok(())
    }

    /// The string (or the number, made one in place) at `index`. Valid while it is on the stack.
    pub(super) fn bytes<'a>(&self, index: c_int) -> Option<&'a [u8]> {
        let mut length = 0;
        // SAFETY: `index` is acceptable; the bytes live as long as the value is on the stack,
        // which the callers see to.
        unsafe {
            let start = ffi::lua_tolstring(self.lua, index, &mut length);
            (!start.is_null()).then(|| slice::from_raw_parts(start.cast(), length))
        }
    }

    /// The number at `index`, or the one that a string there spells.
    pub(super) fn number(&self, index: c_int) -> Option<f64> {
        let mut valid = 0;
        // SAFETY: `index` is acceptable.
        let number = unsafe { ffi::lua_tonumberx(self.lua, index, &mut valid) };
        (valid != 0).then_some(number)
    }

    /// The number at `index` as an integer: integers as they are, others cut toward zero.
    pub(super) fn integer(&self, index: c_int) -> Option<i64> {
        // SAFETY: `index` is acceptable.
        unsafe {
            if ffi::lua_isinteger(self.lua, index) != 0 {
                return Some(ffi::lua_tointeger(self.lua, index));
            }
        }
        self.number(index).map(super::number::truncate)
    }

    /// The required string argument at `index`.
    pub(super) fn string_argument<'a>(&self, index: c_int) -> Result<&'a [u8], Failure> {
        self.bytes(index)
            .ok_or_else(|| self.type_error(index, "string"))
    }

    /// The required numeric argument at `index`.
    pub(super) fn number_argument(&self, index: c_int) -> Result<f64, Failure> {
        self.number(index)
            .ok_or_else(|| self.type_error(index, "number"))
    }

    /// Puts the number that the text at `index` is in its place, if it is a text.
    pub(super) fn make_number(&self, index: c_int) {
        if self.kind(index) != ffi::LUA_TSTRING {
            return;
        }
        // SAFETY: the text at `index` ends with a zero byte and stays on the stack meanwhile;
        // LUA_MINSTACK leaves a slot.
        unsafe {
            let text = ffi::lua_tolstring(self.lua, index, std::ptr::null_mut());
            if ffi::lua_stringtonumber(self.lua, text) != 0 {
                ffi::lua_replace(self.lua, index);
            }
        }
    }

    /// Whether the number at `one` is less than that at `other`.
    pub(super) fn is_less(&self, one: c_int, other: c_int) -> bool {
        // SAFETY: numbers are compared without a metamethod, so nothing is raised.
        unsafe { ffi::lua_compare(self.lua, one, other, ffi::LUA_OPLT) != 0 }
    }

    /// The required integer argument at `index`.
    pub(super) fn integer_argument(&self, index: c_int) -> Result<i64, Failure> {
        self.integer(index)
            .ok_or_else(|| self.type_error(index, "number"))
    }

    pub(super) fn type_error(&self, index: c_int, expected: &str) -> Failure {
        let got = if self.kind(index) == ffi::LUA_TNONE {
            "no value".into()
        } else {
            // SAFETY: a valid type; the names are static C strings.
            unsafe { CStr::from_ptr(ffi::lua_typename(self.lua, self.kind(index))) }
                .to_string_lossy()
        };
        self.argument_error(index, &format!("{expected} expected, got {got}"))
    }

    /// "bad argument #1 to 'name' (reason)".
    pub(super) fn argument_error(&self, index: c_int, reason: &str) -> Failure {
        // SAFETY: an all-zero record is valid; lua_getinfo fills in what "n" asks for, and the
        // name lives as long as the running function.
        let name = unsafe {
            let mut record: ffi::lua_Debug = std::mem::zeroed();
            let known = ffi::lua_getstack(self.lua, 0, &mut record) != 0
                && ffi::lua_getinfo(self.lua, c"n".as_ptr(), &mut record) != 0
                && !record.name.is_null();
            if known {
                CStr::from_ptr(record.name).to_string_lossy()
            } else {
                "?".into()
            }
        };
        Failure::Message(format!("bad argument #{index} to '{name}' ({reason})"))
    }

    pub(super) fn push_bytes(&self, bytes: &[u8]) {
        // SAFETY: the callers have reserved the slot; the bytes are copied.
        unsafe { ffi::lua_pushlstring(self.lua, bytes.as_ptr().cast(), bytes.len()) };
    }

    pub(super) fn push_integer(&self, value: i64) {
        // SAFETY: the callers have reserved the slot.
        unsafe { ffi::lua_pushinteger(self.lua, value) };
    }

    pub(super) fn push_number(&self, value: f64) {
        // SAFETY: the callers have reserved the slot.
        unsafe { ffi::lua_pushnumber(self.lua, value) };
    }

    pub(super) fn push_boolean(&self, value: bool) {
        // SAFETY: the callers have reserved the slot.
        unsafe { ffi::lua_pushboolean(self.lua, c_int::from(value)) };
    }

    pub(super) fn push_nil(&self) {
        // SAFETY: the callers have reserved the slot.
        unsafe { ffi::lua_pushnil(self.lua) };
    }
}
