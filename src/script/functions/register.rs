//! redis.register_function, and what is around it: a library's body runs in an environment in which
//! it can do nothing else, so that each run of it comes to the same.

use std::collections::HashSet;
use std::ffi::{c_int, c_void};

use mlua::ffi;

use super::is_name;
use crate::script::call::raise;
use crate::script::convert::{bytes_at, field_text};
use crate::script::engine::Kind;
use crate::script::error::Failure;
use crate::script::flags::Flags;
use crate::script::trampoline::{Frame, Function};

/// Rust's functions by name.
pub(in crate::script) const FUNCTIONS: &[(&str, Function)] =
    &[("register_function", register_function)];

/// Their addresses are the registry's keys of the environment of libraries that are loaded, and of
/// the function that a library was run for.
static LOAD_ENVIRONMENT_KEY: u8 = 0;
static CALLBACK_KEY: u8 = 1;

/// A function as its library registers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::script) struct Registered {
    /// Its name.
    pub(in crate::script) name: Box<[u8]>,
    /// What it does, if the library says so.
    pub(in crate::script) description: Option<Box<[u8]>>,
    /// How it runs.
    pub(in crate::script) flags: Flags,
}

/// Why a library could not register its functions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", String::from_utf8_lossy(&self.text()))]
pub enum RegisterError {
    /// It is not Lua.
    Compile(Vec<u8>),
    /// It has raised an error.
    Raised(Vec<u8>),
}

impl RegisterError {
    /// The text that clients get; what they sent stands in it byte for byte.
    pub fn text(&self) -> Vec<u8> {
        let (what, why) = match self {
            RegisterError::Compile(why) => ("Error compiling function: ", why),
            RegisterError::Raised(why) => ("Error registering functions: ", why),
        };
        [what.as_bytes(), why].concat()
    }
}

/// What a library has registered so far.
#[derive(Debug, Default)]
pub(in crate::script) struct Registrations {
    functions: Vec<Registered>,
    /// Their names in small letters.
    names: HashSet<Box<[u8]>>,
    bytes: usize,
}

/// What becomes of the functions that the running code registers.
#[derive(Debug)]
pub(in crate::script) enum Registering {
    /// It is no library.
    No,
    /// No code runs, it is only compiled.
    Nothing,
    /// They are noted.
    All(Registrations),
    /// One of them is to be called, the others are known.
    Again,
}

impl Registering {
    pub(in crate::script) fn of(kind: &Kind) -> Registering {
        match kind {
            Kind::Script => Registering::No,
            Kind::Check => Registering::Nothing,
            Kind::Library => Registering::All(Registrations::default()),
            Kind::Function { .. } => Registering::Again,
        }
    }

    pub(in crate::script) fn is_again(&self) -> bool {
        matches!(self, Registering::Again)
    }

    /// What has been noted.
    pub(in crate::script) fn take(&mut self) -> Vec<Registered> {
        match self {
            Registering::All(noted) => std::mem::take(&mut noted.functions),
            Registering::No | Registering::Nothing | Registering::Again => Vec::new(),
        }
    }
}

/// Keeps the environment of libraries that are loaded, which is on top of the stack.
///
/// # Safety
/// As for `sandbox::open`.
pub(in crate::script) unsafe fn keep_load_environment(lua: *mut ffi::lua_State) {
    // SAFETY: the caller's promise. Only the key's address is used.
    unsafe { ffi::lua_rawsetp(lua, ffi::LUA_REGISTRYINDEX, key(&LOAD_ENVIRONMENT_KEY)) };
}

fn key(of: &'static u8) -> *const c_void {
    (&raw const *of).cast()
}

/// Makes the chunk on top of the stack, with all functions that it has made, see what libraries see
/// that are loaded.
///
/// # Safety
/// The chunk's only upvalue is its environment; the stack has a free slot, and memory is not
/// refused.
pub(in crate::script) unsafe fn set_load_environment(lua: *mut ffi::lua_State) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_pushnil(lua);
        ffi::lua_rawsetp(lua, ffi::LUA_REGISTRYINDEX, key(&CALLBACK_KEY));
        ffi::lua_rawgetp(lua, ffi::LUA_REGISTRYINDEX, key(&LOAD_ENVIRONMENT_KEY));
        ffi::lua_setupvalue(lua, -2, 1);
    }
}

/// As `set_load_environment`, with what scripts see.
///
/// # Safety
/// As for `set_load_environment`.
pub(in crate::script) unsafe fn set_environment(lua: *mut ffi::lua_State) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_rawgeti(lua, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
        ffi::lua_setupvalue(lua, -2, 1);
    }
}

/// Pushes the function that the library was run for.
///
/// # Safety
/// The stack has two free slots, and memory is not refused.
pub(in crate::script) unsafe fn push_callback(lua: *mut ffi::lua_State) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_rawgetp(lua, ffi::LUA_REGISTRYINDEX, key(&CALLBACK_KEY));
        ffi::lua_pushnil(lua);
        ffi::lua_rawsetp(lua, ffi::LUA_REGISTRYINDEX, key(&CALLBACK_KEY));
    }
}

/// The error on top of the stack: what was raised is a table, what the compiler says a string.
///
/// # Safety
/// No script runs in the state, and a library has failed in it.
pub(in crate::script) unsafe fn error_on_top(lua: *mut ffi::lua_State) -> RegisterError {
    // SAFETY: the caller's promise.
    unsafe {
        if ffi::lua_type(lua, -1) == ffi::LUA_TTABLE {
            let text = field_text(lua, c"err");
            RegisterError::Raised(text.unwrap_or_else(|| b"ERR unknown error".to_vec()))
        } else {
            RegisterError::Compile(bytes_at(lua, -1).unwrap_or_default().to_vec())
        }
    }
}

/// What a call of redis.register_function says; the callback is at this stack position.
struct Registration {
    function: Registered,
    callback: c_int,
}

fn register_function(frame: &mut Frame) -> Result<c_int, Failure> {
    frame.reserve(8)?;
    if matches!(frame.state().registering, Registering::No) {
        let text = b"ERR redis.register_function can only be called on FUNCTION LOAD command";
        return Err(raise(frame, text));
    }
    if is_another(frame) {
        return Ok(0);
    }
    let registration = match frame.top() {
        1 => named_arguments(frame),
        2 => positional_arguments(frame),
        _ => Err("wrong number of arguments to redis.register_function"),
    };
    let registration = registration.and_then(|registration| {
        if is_name(&registration.function.name) {
            Ok(registration)
        } else {
            Err(
                "Library names can only contain letters, numbers, or underscores(_) and must be \
                 at least one character long",
            )
        }
    });
    match registration {
        Ok(registration) => note(frame, registration),
        Err(text) => Err(raise(frame, format!("ERR {text}").as_bytes())),
    }
}

/// Whether the library is run for another function than this one: a short look, for a library may
/// have many.
fn is_another(frame: &mut Frame) -> bool {
    let state = frame.state();
    let Some(wanted) = state.script().filter(|_| state.registering.is_again()) else {
        return false;
    };
    let wanted: *const [u8] = wanted.name();
    // SAFETY: `register_function` has reserved the slots. Only a table is looked into, and raw
    // access raises nothing. The running script outlives the call.
    unsafe {
        if frame.kind(1) == ffi::LUA_TTABLE {
            frame.push_bytes(b"function_name");
            ffi::lua_rawget(frame.lua, 1);
        } else {
            ffi::lua_pushvalue(frame.lua, 1);
        }
        let is_text = frame.kind(-1) == ffi::LUA_TSTRING;
        let is_another = is_text && frame.bytes(-1) != Some(&*wanted);
        ffi::lua_settop(frame.lua, -2);
        is_another
    }
}

fn note(frame: &mut Frame, registration: Registration) -> Result<c_int, Failure> {
    let Registration { function, callback } = registration;
    let state = frame.state();
    match &mut state.registering {
        Registering::No | Registering::Nothing => {}
        Registering::Again => {
            let wanted = state.script().map_or(&b""[..], |script| script.name());
            if *function.name == *wanted {
                // SAFETY: the callback is there, `register_function` has reserved a slot, and memory
                // is not refused to Rust.
                unsafe {
                    ffi::lua_pushvalue(frame.lua, callback);
                    ffi::lua_rawsetp(frame.lua, ffi::LUA_REGISTRYINDEX, key(&CALLBACK_KEY));
                }
            }
        }
        Registering::All(noted) => {
            if !noted
                .names
                .insert(function.name.to_ascii_lowercase().into())
            {
                let text = b"ERR Function already exists in the library";
                return Err(raise(frame, text));
            }
            let description = function.description.as_ref().map_or(0, |text| text.len());
            noted.bytes += size_of::<Registered>() + 2 * function.name.len() + description;
            let bytes = noted.bytes;
            noted.functions.push(function);
            frame.admit(bytes)?;
        }
    }
    Ok(0)
}

fn positional_arguments(frame: &Frame) -> Result<Registration, &'static str> {
    let name = frame.bytes(1);
    let name = name.ok_or("first argument to redis.register_function must be a string")?;
    if frame.kind(2) != ffi::LUA_TFUNCTION {
        return Err("second argument to redis.register_function must be a function");
    }
    Ok(Registration {
        function: Registered {
            name: name.into(),
            description: None,
            flags: Flags::NONE,
        },
        callback: 2,
    })
}

/// Calls `visit` with each pair of the table at `table`: copies of the key at the first, of the
/// value at the second position that it is given.
fn for_each_pair(
    frame: &Frame,
    table: c_int,
    mut visit: impl FnMut(c_int, c_int) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    let base = frame.top();
    // SAFETY: a table is at `table`, and nobody changes it meanwhile; `register_function` has
    // reserved the slots of two such walks, one within the other. A key must stay as it is for
    // lua_next, so its copy is shown.
    unsafe {
        ffi::lua_pushnil(frame.lua);
        while ffi::lua_next(frame.lua, table) != 0 {
            ffi::lua_pushvalue(frame.lua, base + 1);
            let result = visit(base + 3, base + 2);
            ffi::lua_settop(frame.lua, base + 1);
            if result.is_err() {
                ffi::lua_settop(frame.lua, base);
                return result;
            }
        }
    }
    Ok(())
}

fn named_arguments(frame: &Frame) -> Result<Registration, &'static str> {
    if frame.kind(1) != ffi::LUA_TTABLE {
        return Err(
            "calling redis.register_function with a single argument is only applicable to Lua \
             table (representing named arguments).",
        );
    }
    let (mut name, mut description, mut flags) = (None, None, Flags::NONE);
    let mut has_callback = false;
    // The callback's place, which the walk over the others leaves alone.
    frame.push_nil();
    let callback = frame.top();
    for_each_pair(frame, 1, |key, value| {
        let key = frame.bytes(key);
        let key =
            key.ok_or("named argument key given to redis.register_function is not a string")?;
        let text = frame.bytes(value);
        if key.eq_ignore_ascii_case(b"function_name") {
            let text = text.ok_or(
                "function_name argument given to redis.register_function must be a string",
            )?;
            name = Some(text.into());
        } else if key.eq_ignore_ascii_case(b"description") {
            let text = text
                .ok_or("description argument given to redis.register_function must be a string")?;
            description = Some(text.into());
        } else if key.eq_ignore_ascii_case(b"callback") {
            if frame.kind(value) != ffi::LUA_TFUNCTION {
                return Err(
                    "callback argument given to redis.register_function must be a function",
                );
            }
            has_callback = true;
            // SAFETY: both positions hold values.
            unsafe { ffi::lua_copy(frame.lua, value, callback) };
        } else if key.eq_ignore_ascii_case(b"flags") {
            flags = named_flags(frame, value)?;
        } else {
            return Err("unknown argument given to redis.register_function");
        }
        Ok(())
    })?;
    let name = name.ok_or("redis.register_function must get a function name argument")?;
    if !has_callback {
        return Err("redis.register_function must get a callback argument");
    }
    Ok(Registration {
        function: Registered {
            name,
            description,
            flags,
        },
        callback,
    })
}

fn named_flags(frame: &Frame, table: c_int) -> Result<Flags, &'static str> {
    if frame.kind(table) != ffi::LUA_TTABLE {
        return Err(
            "flags argument to redis.register_function must be a table representing function flags",
        );
    }
    let mut flags = Flags::NONE;
    for_each_pair(frame, table, |_, value| {
        let name = frame.bytes(value).unwrap_or_default().to_ascii_lowercase();
        flags = flags.with(Flags::of_name(&name).ok_or("unknown flag given")?);
        Ok(())
    })?;
    let contradiction = "rollback-on-error cannot be used together with disable-atomicity";
    flags.checked().map_err(|_| contradiction)
}
