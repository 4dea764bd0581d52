//! One Lua state: the interpreter of one run at a time.

use std::ffi::{CStr, c_int, c_void};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;

use mlua::ffi;

use super::arena::{self, Arena};
use super::cache::{Sha, ShaMap};
use super::call::Host;
use super::convert::{bytes_at, field_text};
use super::engine::Script;
use super::error_handler;
use super::functions::callback::Callbacks;
use super::functions::register::{self, Registering};
use super::library::{Scratch, Settings};
use super::lua_reply::ReplyBuffers;
use super::preempt::with_control;
use super::random::Random;
use super::sandbox;

/// A state without scripts that has taken more than this from the system is not used again: its arena
/// would not give it back.
const REUSE_BYTES_MAX: usize = 512 << 10;
/// Functions kept compiled in one state.
const COMPILED_MAX: usize = 256;
/// What they take, with what compiling them left.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// So much more may be taken for each byte of them: as much as it grows by between two collections.
const REUSE_PER_COMPILED_BYTE: usize = SHORT_RUN_PAUSE_PERCENT as usize / 100 + 1;

/// Garbage collections begin when memory has grown to this percentage of what was live. A script
/// that ends within its first slice seldom needs one; a longer one gets Lua's usual pace.
const SHORT_RUN_PAUSE_PERCENT: c_int = 500;
const LONG_RUN_PAUSE_PERCENT: c_int = 200;

/// Stack positions in the main thread that hold for the life of the state.
pub(super) const GLOBALS_INDEX: c_int = 1;
const HANDLER_INDEX: c_int = 2;
/// What a script sees where a name is needed.
const CHUNK_NAME: &CStr = c"@user_script";
const LIBRARY_NAME: &CStr = c"@user_function";
/// Where a function's two arguments are.
const ARGUMENTS_INDEX: c_int = 3;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Unfinished,
    Returned,
    Failed,
}

type CompiledFunctions = ShaMap<c_int>;

/// A Lua state, its memory, and what belongs to the run in it.
///
/// Lua refers to it by address: it stays in its box.
pub(super) struct State {
    lua: NonNull<ffi::lua_State>,
    arena: ManuallyDrop<Box<Arena>>,
    compiled: CompiledFunctions,
    compiled_bytes: usize,
    /// Functions of libraries, where they can be called without their library's being run.
    pub(super) callbacks: Callbacks,
    /// What becomes of the functions that the running library registers.
    pub(super) registering: Registering,
    /// The script of this run, or of the last one.
    script: Option<Arc<Script>>,
    /// Its compiled function.
    reference: Option<c_int>,
    /// What the script reaches; set while a slice runs.
    pub(super) host: Option<NonNull<dyn Host>>,
    pub(super) outcome: Outcome,
    /// What redis.setresp chose.
    pub(super) protocol: u8,
    /// Where the run's random numbers are, once it has drawn one.
    pub(super) random: Option<Random>,
    pub(super) settings: Settings,
    pub(super) scratch: Scratch,
    pub(super) reply_buffers: ReplyBuffers,
    is_long_run: bool,
    /// A reply did not fit the limit by far.
    pub(super) overflowed: bool,
}

impl State {
    /// A state with the libraries and the sandbox in it.
    pub(super) fn new() -> Result<Box<State>, String> {
        let mut arena = Arena::new();
        // SAFETY: the arena lives in its box as long as the state and serves it alone.
        let lua = unsafe { ffi::lua_newstate(arena::allocate, (&raw mut *arena).cast::<c_void>()) };
        let lua = NonNull::new(lua).ok_or("cannot create a Lua state")?;
        let mut state = Box::new(State {
            lua,
            arena: ManuallyDrop::new(arena),
            compiled: ShaMap::default(),
            compiled_bytes: 0,
            callbacks: Callbacks::default(),
            registering: Registering::No,
            script: None,
            reference: None,
            host: None,
            outcome: Outcome::Unfinished,
            protocol: 2,
            random: None,
            settings: Settings::default(),
            scratch: Scratch::default(),
            reply_buffers: ReplyBuffers::default(),
            is_long_run: true,
            overflowed: false,
        });
        // SAFETY: the extra space of a state holds one pointer; threads inherit it. The stack of
        // a new state is empty, so the two values get the positions that their names say.
        unsafe {
            let extra = ffi::lua_getextraspace(lua.as_ptr()).cast::<*mut State>();
            extra.write(&raw mut *state);
            sandbox::open(lua.as_ptr())?;
            error_handler::push(lua.as_ptr());
            debug_assert_eq!(ffi::lua_gettop(lua.as_ptr()), HANDLER_INDEX);
        }
        Ok(state)
    }

    /// The state that `lua`, one of its threads, belongs to.
    ///
    /// # Safety
    /// `lua` was made by `State::new` or is a thread of such a state.
    pub(super) unsafe fn pointer(lua: *mut ffi::lua_State) -> *mut State {
        // SAFETY: `new` wrote it there.
        unsafe { *ffi::lua_getextraspace(lua).cast::<*mut State>() }
    }

    /// # Safety
    /// As for `pointer`, and there is no other reference to the state for as long as this one.
    pub(super) unsafe fn of<'a>(lua: *mut ffi::lua_State) -> &'a State {
        // SAFETY: the caller's promise.
        unsafe { &*State::pointer(lua) }
    }

    /// The main thread.
    pub(super) fn lua(&self) -> *mut ffi::lua_State {
        self.lua.as_ptr()
    }

    /// The running script.
    pub(super) fn script(&self) -> Option<&Script> {
        self.script.as_deref()
    }

    /// The memory of this state.
    pub(super) fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Whether Rust code took more memory on the script's behalf than the run may have.
    #[inline]
    pub(super) fn is_over_limit(&self) -> bool {
        self.overflowed || self.arena.run_bytes() > self.arena.limit_bytes()
    }

    /// Whether the finished run failed for want of memory: Lua's string buffers raise an ordinary
    /// error at the first refusal.
    pub(super) fn failed_for_memory(&self) -> bool {
        // SAFETY: the script has ended, its error, always a table unless the handler itself ran
        // out of memory, is on top of the stack.
        let text = || unsafe {
            if ffi::lua_type(self.lua(), -1) == ffi::LUA_TTABLE {
                field_text(self.lua(), c"err")
            } else {
                bytes_at(self.lua(), -1).map(<[u8]>::to_vec)
            }
        };
        self.outcome == Outcome::Failed
            && self.arena.was_refused()
            && text().is_some_and(|text| text.ends_with(b"not enough memory"))
    }

    fn is_last(&self, script: &Script) -> bool {
        self.script
            .as_deref()
            .is_some_and(|last| std::ptr::eq(last, script))
    }

    /// Whether `script` needs no compilation here.
    pub(super) fn has_compiled(&self, script: &Script) -> bool {
        self.is_last(script) || self.compiled.contains_key(script.chunk_sha())
    }

    /// Sets everything that belongs to one run.
    pub(super) fn begin_run(&mut self, script: &Arc<Script>, limit_bytes: usize) {
        if !self.is_last(script) {
            self.reference = self.compiled.get(script.chunk_sha()).copied();
            self.script = Some(Arc::clone(script));
        }
        self.registering = Registering::of(&script.kind);
        self.outcome = Outcome::Unfinished;
        self.protocol = 2;
        self.random = None;
        self.settings = Settings::default();
        self.overflowed = false;
        self.set_long_run(false);
        self.arena.begin_run(limit_bytes);
    }

    /// Sets KEYS and ARGV.
    pub(super) fn set_arguments<'a>(
        &mut self,
        keys: impl ExactSizeIterator<Item = &'a [u8]>,
        arguments: impl ExactSizeIterator<Item = &'a [u8]>,
    ) {
        // SAFETY: no script runs, so memory is never refused and nothing raises; GLOBALS_INDEX
        // holds a plain table.
        unsafe {
            self.push_strings(keys);
            ffi::lua_setfield(self.lua(), GLOBALS_INDEX, c"KEYS".as_ptr());
            self.push_strings(arguments);
            ffi::lua_setfield(self.lua(), GLOBALS_INDEX, c"ARGV".as_ptr());
        }
    }

    /// Leaves a function's two arguments at `ARGUMENTS_INDEX`. There are no globals KEYS and ARGV
    /// for functions, also none that an earlier script has left.
    pub(super) fn push_arguments<'a>(
        &mut self,
        keys: impl ExactSizeIterator<Item = &'a [u8]>,
        arguments: impl ExactSizeIterator<Item = &'a [u8]>,
    ) {
        // SAFETY: as for `set_arguments`; nothing lies above the fixed positions.
        unsafe {
            self.push_strings(keys);
            self.push_strings(arguments);
            for name in [c"KEYS", c"ARGV"] {
                ffi::lua_pushnil(self.lua());
                ffi::lua_setfield(self.lua(), GLOBALS_INDEX, name.as_ptr());
            }
        }
    }

    /// # Safety
    /// No script runs in this state, and the stack has two free slots.
    unsafe fn push_strings<'a>(&self, strings: impl ExactSizeIterator<Item = &'a [u8]>) {
        let lua = self.lua();
        let expected = c_int::try_from(strings.len()).unwrap_or(0);
        // SAFETY: the caller's promise.
        unsafe {
            ffi::lua_createtable(lua, expected, 0);
            for (position, string) in (1..).zip(strings) {
                ffi::lua_pushlstring(lua, string.as_ptr().cast(), string.len());
                ffi::lua_rawseti(lua, -2, position);
            }
        }
    }

    /// The fiber's body: compiles the script if needed and runs it. The result or the error is
    /// left on the main thread's stack.
    ///
    /// Nothing in here has a destructor while Lua runs.
    pub(super) fn run(state: *mut ()) {
        let state = state.cast::<State>();
        // SAFETY: the run owns the state and keeps it in its box while the fiber lives; no other
        // reference to it is used while the fiber runs, for it is on the same thread.
        unsafe {
            (*state).outcome = match (*state).registering {
                Registering::No if !State::push_function(state) => Outcome::Failed,
                Registering::No => State::call(state, 0, 1),
                Registering::Nothing if State::push_function(state) => Outcome::Returned,
                Registering::Nothing => Outcome::Failed,
                Registering::All(_) => State::run_library(state),
                Registering::Again => State::run_callback(state),
            };
        }
    }

    /// Calls the function on the stack, below its arguments.
    ///
    /// # Safety
    /// As for `run`: nothing with a destructor and no reference may be alive while Lua runs.
    unsafe fn call(state: *mut State, arguments: c_int, results: c_int) -> Outcome {
        // SAFETY: the caller's promise; the call is protected.
        unsafe {
            let lua = (*state).lua.as_ptr();
            with_control(|control| control.enter_lua());
            let status = ffi::lua_pcall(lua, arguments, results, HANDLER_INDEX);
            with_control(|control| control.enter_rust());
            if status == ffi::LUA_OK {
                Outcome::Returned
            } else {
                Outcome::Failed
            }
        }
    }

    /// Runs a library's body, which registers its functions.
    ///
    /// # Safety
    /// As for `call`.
    unsafe fn run_library(state: *mut State) -> Outcome {
        // SAFETY: the caller's promise; the function is a chunk's.
        unsafe {
            if !State::push_function(state) {
                return Outcome::Failed;
            }
            register::set_load_environment((*state).lua.as_ptr());
            State::call(state, 0, 0)
        }
    }

    /// Calls a library's function.
    ///
    /// # Safety
    /// As for `call`.
    unsafe fn run_callback(state: *mut State) -> Outcome {
        // SAFETY: the caller's promise. The two arguments are where `push_arguments` has left them.
        unsafe {
            let lua = (*state).lua.as_ptr();
            if !Callbacks::push(state) {
                let outcome = State::run_library(state);
                if outcome != Outcome::Returned {
                    return outcome;
                }
                State::push_function(state);
                register::set_environment(lua);
                ffi::lua_settop(lua, ARGUMENTS_INDEX + 1);
                register::push_callback(lua);
                Callbacks::keep(state);
            }
            (*state).registering = Registering::No;
            ffi::lua_pushvalue(lua, ARGUMENTS_INDEX);
            ffi::lua_pushvalue(lua, ARGUMENTS_INDEX + 1);
            State::call(state, 2, 1)
        }
    }

    /// The digest of the running script.
    pub(super) fn sha(&self) -> Sha {
        self.script.as_ref().map_or([0; 40], |script| script.sha)
    }

    /// Pushes the script's function, or a message why there is none.
    ///
    /// # Safety
    /// As for `run`: nothing with a destructor and no reference may be alive while Lua compiles.
    unsafe fn push_function(state: *mut State) -> bool {
        // SAFETY: the caller's promise. The state holds the script, so its text outlives the
        // compilation; lua_load runs protected, and memory is not refused to Rust.
        unsafe {
            let lua = (*state).lua.as_ptr();
            if let Some(reference) = (*state).reference {
                let reference = ffi::lua_Integer::from(reference);
                ffi::lua_rawgeti(lua, ffi::LUA_REGISTRYINDEX, reference);
                return true;
            }
            let Some((sha, source)) = (*state).script.as_ref().map(|script| script.parts()) else {
                return false;
            };
            let (start, length) = (source.cast(), source.len());
            let name = match (*state).registering {
                Registering::No | Registering::Nothing => CHUNK_NAME,
                Registering::All(_) | Registering::Again => LIBRARY_NAME,
            };
            let before = (*state).arena.used_bytes();
            with_control(|control| control.enter_lua());
            let status = ffi::luaL_loadbufferx(lua, start, length, name.as_ptr(), c"t".as_ptr());
            with_control(|control| control.enter_rust());
            // Fewer if a collection ran meanwhile.
            (*state).compiled_bytes += (*state).arena.used_bytes().saturating_sub(before);
            if status != ffi::LUA_OK {
                return false;
            }
            ffi::lua_pushvalue(lua, -1);
            let reference = ffi::luaL_ref(lua, ffi::LUA_REGISTRYINDEX);
            (*state).reference = Some(reference);
            (*state).compiled.insert(*sha, reference);
            true
        }
    }

    /// Compiles `source` and forgets it.
    pub(super) fn check(&mut self, source: &[u8]) -> Result<(), Vec<u8>> {
        let lua = self.lua();
        // SAFETY: no script runs in this state; lua_load runs protected.
        unsafe {
            let status = ffi::luaL_loadbufferx(
                lua,
                source.as_ptr().cast(),
                source.len(),
                CHUNK_NAME.as_ptr(),
                c"t".as_ptr(),
            );
            let result = if status == ffi::LUA_OK {
                Ok(())
            } else {
                Err(bytes_at(lua, -1).unwrap_or_default().to_vec())
            };
            self.clear_stack();
            result
        }
    }

    /// See `Engine::has_redis_numbers`.
    pub(super) fn has_redis_numbers(&mut self) -> bool {
        // SAFETY: no script runs in this state, and its stack has free slots.
        let is_whole = unsafe {
            ffi::lua_pushnumber(self.lua(), 1.0);
            bytes_at(self.lua(), -1) == Some(b"1")
        };
        self.clear_stack();
        is_whole
    }

    fn clear_stack(&mut self) {
        // SAFETY: no script runs; what lies above the fixed positions belongs to the last run.
        unsafe { ffi::lua_settop(self.lua(), HANDLER_INDEX) };
    }

    /// Sets the pace of garbage collections. Possible at any time: it changes a parameter only.
    pub(super) fn set_long_run(&mut self, is_long: bool) {
        if self.is_long_run == is_long {
            return;
        }
        self.is_long_run = is_long;
        let pause = if is_long {
            LONG_RUN_PAUSE_PERCENT
        } else {
            SHORT_RUN_PAUSE_PERCENT
        };
        // SAFETY: with the collector in this mode already, the call stores one number.
        unsafe { ffi::lua_gc(self.lua(), ffi::LUA_GCINC, pause, 0 as c_int, 0 as c_int) };
    }

    /// Forgets the finished run. False if the state is better thrown away.
    pub(super) fn end_run(&mut self) -> bool {
        self.clear_stack();
        self.host = None;
        self.scratch.shrink();
        self.arena.begin_run(usize::MAX);
        self.registering = Registering::No;
        let reserved_bytes_max = REUSE_BYTES_MAX + REUSE_PER_COMPILED_BYTE * self.compiled_bytes;
        self.arena.reserved_bytes() <= reserved_bytes_max
            && self.compiled_bytes <= COMPILED_BYTES_MAX
            && self.compiled.len() + self.callbacks.len() < COMPILED_MAX
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // Not lua_close: the state may have been stopped in the middle of an instruction. Nothing
        // in it needs closing, for no script can have finalizers or files.
        self.lua = NonNull::dangling();
        // SAFETY: taken once, here; nobody uses the state any more.
        arena::discard(unsafe { ManuallyDrop::take(&mut self.arena) });
    }
}
