//! The table `redis`.

use std::ffi::c_int;

use mlua::ffi;
use sha1::{Digest, Sha1};

use crate::fault::fault;
use crate::script::call::{self, LogLevel, current_host, raise};
use crate::script::error::Failure;
use crate::script::trampoline::{Frame, Function};

use super::PIECE_BYTES;

/// Functions by name.
pub(in crate::script) const FUNCTIONS: &[(&str, Function)] = &[
    ("call", call::call),
    ("pcall", call::protected_call),
    ("acall", call::call_without_result),
    ("apcall", call::protected_call_without_result),
    ("acl_check_cmd", call::check_permission),
    ("abort", abort),
    ("log", log),
    ("sha1hex", sha1_hex),
    ("error_reply", error_reply),
    ("status_reply", status_reply),
    ("setresp", set_protocol),
    ("set_repl", set_replication),
    ("replicate_commands", replicate_commands),
    ("breakpoint", breakpoint),
    ("debug", debug),
];

/// The version of Redis that scripts see; the number has a byte per part.
pub(in crate::script) const VERSION: &str = "7.2.0";

/// Numbers by name.
pub(in crate::script) const CONSTANTS: &[(&str, i64)] = &[
    ("LOG_DEBUG", 0),
    ("LOG_VERBOSE", 1),
    ("LOG_NOTICE", 2),
    ("LOG_WARNING", 3),
    ("REPL_NONE", 0),
    ("REPL_AOF", 1),
    ("REPL_SLAVE", 2),
    ("REPL_REPLICA", 2),
    ("REPL_ALL", 3),
    ("REDIS_VERSION_NUM", 0x0007_0200),
];

fn log(frame: &mut Frame) -> Result<c_int, Failure> {
    let count = frame.top();
    if count < 2 {
        return Err(raise(
            frame,
            b"ERR redis.log() requires two arguments or more.",
        ));
    }
    if frame.number(1).is_none() {
        return Err(raise(
            frame,
            b"ERR First argument must be a number (log level).",
        ));
    }
    let level = match frame.integer(1) {
        Some(0) => LogLevel::Debug,
        Some(1) => LogLevel::Verbose,
        Some(2) => LogLevel::Notice,
        Some(3) => LogLevel::Warning,
        _ => return Err(raise(frame, b"ERR Invalid debug level.")),
    };
    let mut message = Vec::new();
    for index in 2..=count {
        if let Some(text) = frame.bytes(index) {
            if index > 2 {
                message.push(b' ');
            }
            frame.admit(message.len().saturating_add(text.len()))?;
            message.extend_from_slice(text);
        }
    }
    // What a library logs is logged when it is loaded.
    if frame.state().registering.is_again() {
        return Ok(0);
    }
    let mut host = current_host(frame)?;
    // SAFETY: `Run::resume` has the host borrowed for as long as this slice runs.
    unsafe { host.as_mut() }.log(level, &message);
    Ok(0)
}

/// redis.abort: no pcall catches it, for the script is never resumed.
fn abort(frame: &mut Frame) -> Result<c_int, Failure> {
    let Some(message) = reply_text(frame) else {
        return Err(raise(frame, b"ERR wrong number or type of arguments"));
    };
    if fault!("redis.abort is an error like any other") {
        return Err(raise(frame, message));
    }
    let mut host = current_host(frame)?;
    // SAFETY: as in `log`.
    unsafe { host.as_mut() }.abort(message);
    Err(Failure::Wait)
}

fn sha1_hex(frame: &mut Frame) -> Result<c_int, Failure> {
    if frame.top() != 1 {
        return Err(raise(frame, b"ERR wrong number of arguments"));
    }
    let mut hasher = Sha1::new();
    for piece in frame.bytes(1).unwrap_or_default().chunks(PIECE_BYTES) {
        hasher.update(piece);
        frame.checkpoint();
    }
    let digest = hasher.finalize();
    let mut text = [0; 40];
    for (pair, byte) in text.chunks_mut(2).zip(digest) {
        pair[0] = hex_digit(byte >> 4);
        pair[1] = hex_digit(byte & 15);
    }
    frame.push_bytes(&text);
    Ok(1)
}

fn hex_digit(value: u8) -> u8 {
    if value < 10 {
        b'0' + value
    } else {
        b'a' + value - 10
    }
}

/// The one string argument of a reply's constructor.
fn reply_text<'a>(frame: &Frame) -> Option<&'a [u8]> {
    (frame.top() == 1 && frame.kind(1) == ffi::LUA_TSTRING).then(|| frame.bytes(1))?
}

fn error_reply(frame: &mut Frame) -> Result<c_int, Failure> {
    let Some(text) = reply_text(frame) else {
        return wrong_reply_argument(frame);
    };
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let length = text.iter().rposition(|byte| !is_end(byte));
    let trimmed = &text[..length.map_or(0, |last| last + 1)];
    let message = if trimmed.contains(&b' ') {
        trimmed.to_vec()
    } else {
        [b"ERR ", trimmed].concat()
    };
    raise(frame, &message);
    Ok(1)
}

fn status_reply(frame: &mut Frame) -> Result<c_int, Failure> {
    let Some(text) = reply_text(frame) else {
        return wrong_reply_argument(frame);
    };
    // SAFETY: LUA_MINSTACK leaves room; the new table is plain.
    unsafe {
        ffi::lua_createtable(frame.lua, 0, 1);
        frame.push_bytes(text);
        ffi::lua_setfield(frame.lua, -2, c"ok".as_ptr());
    }
    Ok(1)
}

/// Redis returns this error instead of raising it.
fn wrong_reply_argument(frame: &Frame) -> Result<c_int, Failure> {
    raise(frame, b"ERR wrong number or type of arguments");
    Ok(1)
}

fn set_protocol(frame: &mut Frame) -> Result<c_int, Failure> {
    if frame.top() != 1 {
        return Err(raise(frame, b"ERR redis.setresp() requires one argument."));
    }
    match frame.integer(1) {
        Some(2) => frame.state().protocol = 2,
        Some(3) => frame.state().protocol = 3,
        _ => return Err(raise(frame, b"ERR RESP version must be 2 or 3.")),
    }
    Ok(0)
}

fn set_replication(frame: &mut Frame) -> Result<c_int, Failure> {
    if frame.top() != 1 {
        return Err(raise(
            frame,
            b"ERR redis.set_repl() requires two arguments.",
        ));
    }
    if !matches!(frame.integer(1).unwrap_or(0), 0..=3) {
        let message =
            b"ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.";
        return Err(raise(frame, message));
    }
    Ok(0)
}

fn replicate_commands(frame: &mut Frame) -> Result<c_int, Failure> {
    frame.push_boolean(true);
    Ok(1)
}

fn breakpoint(frame: &mut Frame) -> Result<c_int, Failure> {
    frame.push_boolean(false);
    Ok(1)
}

fn debug(_frame: &mut Frame) -> Result<c_int, Failure> {
    Ok(0)
}
