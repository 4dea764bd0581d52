//! redis.call and redis.pcall: from the script to the host and back.

use std::ffi::c_int;
use std::ptr::NonNull;

use mlua::ffi;

use crate::resp::reply::Reply;

use super::error::Failure;
use super::lua_reply::LuaReply;
use super::number;
use super::preempt::{Control, with_control};
use super::trampoline::Frame;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// One reply was written.
    Done,
    /// The call has to be made again when the run is resumed; what was written is forgotten.
    Wait,
}

/// The level of a line that a script logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// redis.LOG_DEBUG
    Debug,
    /// redis.LOG_VERBOSE
    Verbose,
    /// redis.LOG_NOTICE
    Notice,
    /// redis.LOG_WARNING
    Warning,
}

/// Answers what a host asks about the script while it serves a call.
#[derive(Debug)]
pub struct CallContext {
    lua: *mut ffi::lua_State,
}

impl CallContext {
    /// The line of the script that makes the call, or 0 if no line of it is on the stack.
    pub fn line(&self) -> u32 {
        let position = super::error_handler::position(self.lua);
        position
            .and_then(|(_, line)| u32::try_from(line).ok())
            .unwrap_or(0)
    }
}

/// What a running script reaches.
///
/// Nothing in here is interrupted. A panic ends the script: `Run::resume` answers `Panicked`.
pub trait Host {
    /// Runs a command and writes exactly one reply, or asks to be called again later.
    ///
    /// An error written to `reply` outside an aggregate makes redis.call raise. Between a `Wait`
    /// and the next call nothing of the first may be needed.
    fn call(&mut self, context: &CallContext, arguments: &[&[u8]], reply: &mut dyn Reply)
    -> Called;

    /// Takes a line that the script logs.
    fn log(&mut self, level: LogLevel, message: &[u8]);

    /// The script gives up: it is not resumed again, and this is its error.
    fn abort(&mut self, message: &[u8]);

    /// A number drawn at random, for what is not secret. The same ones are drawn again where the
    /// script runs again within one transaction.
    fn random(&mut self) -> u64;

    /// Whether the script's user may run the command, or None if there is no such command.
    fn may_run(&mut self, arguments: &[&[u8]]) -> Option<bool>;
}

/// redis.call: an error is raised.
pub(super) fn call(frame: &mut Frame) -> Result<c_int, Failure> {
    if call_host(frame)? {
        Err(Failure::Value)
    } else {
        Ok(1)
    }
}

/// redis.pcall: an error is a value.
pub(super) fn protected_call(frame: &mut Frame) -> Result<c_int, Failure> {
    let caught = call_host(frame);
    match caught {
        Ok(_) | Err(Failure::Value) => Ok(1),
        Err(failure) => Err(failure),
    }
}

/// redis.acall: an error is raised, and no result comes back.
pub(super) fn call_without_result(frame: &mut Frame) -> Result<c_int, Failure> {
    call(frame).map(|_| 0)
}

/// redis.apcall: nothing comes back, not even an error.
pub(super) fn protected_call_without_result(frame: &mut Frame) -> Result<c_int, Failure> {
    protected_call(frame).map(|_| 0)
}

/// Leaves the reply on the stack and answers whether it is an error.
fn call_host(frame: &mut Frame) -> Result<bool, Failure> {
    frame.reserve(8)?;
    let mut host = current_host(frame)?;
    let context = CallContext { lua: frame.lua };
    with_control(|control| debug_assert!(!control.is_preemptible()));
    with_arguments(frame, |frame, arguments| {
        let mut reply = LuaReply::new(frame);
        // SAFETY: `Run::resume` has the host borrowed for as long as this slice runs.
        let host = unsafe { host.as_mut() };
        let called = with_control(|control| {
            control.on_parent_stack(|| host.call(&context, arguments, &mut reply))
        });
        let failed = reply.finish();
        with_control(Control::count_call);
        if called == Called::Wait {
            Err(Failure::Wait)
        } else {
            Ok(failed)
        }
    })
}

/// redis.acl_check_cmd
pub(super) fn check_permission(frame: &mut Frame) -> Result<c_int, Failure> {
    frame.reserve(8)?;
    let mut host = current_host(frame)?;
    let allowed = with_arguments(frame, |_, arguments| {
        // SAFETY: as in `call_host`.
        Ok(unsafe { host.as_mut() }.may_run(arguments))
    })?;
    match allowed {
        Some(allowed) => {
            frame.push_boolean(allowed);
            Ok(1)
        }
        None => Err(raise(
            frame,
            b"ERR Invalid command passed to redis.acl_check_cmd()",
        )),
    }
}

/// A number drawn at random by the host.
pub(super) fn draw(frame: &mut Frame) -> Result<u64, Failure> {
    let mut host = current_host(frame)?;
    // SAFETY: `Run::resume` has the host borrowed for as long as this slice runs.
    let host = unsafe { host.as_mut() };
    Ok(with_control(|control| {
        control.on_parent_stack(|| host.random())
    }))
}

/// The host of the running slice.
pub(super) fn current_host(frame: &mut Frame) -> Result<NonNull<dyn Host>, Failure> {
    frame
        .state()
        .host
        .ok_or_else(|| Failure::text("no command can run here"))
}

/// Pushes an error table with `text`, to be raised.
pub(super) fn raise(frame: &Frame, text: &[u8]) -> Failure {
    // SAFETY: LUA_MINSTACK or a `reserve` of the caller left room; the new table is plain.
    unsafe {
        ffi::lua_createtable(frame.lua, 0, 1);
        frame.push_bytes(text);
        ffi::lua_setfield(frame.lua, -2, c"err".as_ptr());
    }
    Failure::Value
}

/// Arguments up to this number need no allocation.
const INLINE_ARGUMENTS: usize = 12;

/// Runs `serve` with the function's arguments as Redis sees them.
fn with_arguments<R>(
    frame: &mut Frame,
    serve: impl FnOnce(&mut Frame, &[&[u8]]) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let count = frame.top();
    if count == 0 {
        let message = b"ERR Please specify at least one argument for this redis lib call";
        return Err(raise(frame, message));
    }
    let mut inline: [&[u8]; INLINE_ARGUMENTS] = [&[]; INLINE_ARGUMENTS];
    let mut heap: Vec<&[u8]> = Vec::new();
    let length = usize::try_from(count).unwrap_or(0);
    let arguments: &mut [&[u8]] = if length <= INLINE_ARGUMENTS {
        &mut inline[..length]
    } else {
        heap.resize(length, &[]);
        &mut heap
    };
    for (index, argument) in (1..).zip(arguments.iter_mut()) {
        *argument = match argument_bytes(frame, index) {
            Some(bytes) => bytes,
            None => {
                let message = b"ERR Lua redis lib command arguments must be strings or integers";
                return Err(raise(frame, message));
            }
        };
    }
    serve(frame, arguments)
}

/// The argument at `index` as a string; a number is replaced on the stack by its text.
fn argument_bytes<'a>(frame: &Frame, index: c_int) -> Option<&'a [u8]> {
    // SAFETY: `index` is an argument, and `call_host` has reserved a slot.
    unsafe {
        let is_float = ffi::lua_type(frame.lua, index) == ffi::LUA_TNUMBER
            && ffi::lua_isinteger(frame.lua, index) == 0;
        if is_float {
            let text = number::format_general(ffi::lua_tonumber(frame.lua, index), 17);
            frame.push_bytes(text.as_bytes());
            ffi::lua_replace(frame.lua, index);
        }
    }
    frame.bytes(index)
}
