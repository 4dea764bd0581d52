//! The table `cjson`: its functions and what they can be told.

use std::ffi::c_int;

use mlua::ffi;

use crate::script::error::Failure;
use crate::script::sandbox::push_functions;
use crate::script::trampoline::{Frame, Function};

use super::cjson_decode::decode;
use super::cjson_encode::encode;
use super::push_texts;

pub(super) const FUNCTIONS: &[(&str, Function)] = &[
    ("encode", encode),
    ("decode", decode),
    ("encode_sparse_array", encode_sparse_array),
    ("encode_max_depth", |frame| {
        limit_option(frame, 1, i32::MAX, |settings| {
            &mut settings.encode_max_depth
        })
    }),
    ("decode_max_depth", |frame| {
        limit_option(frame, 1, i32::MAX, |settings| {
            &mut settings.decode_max_depth
        })
    }),
    ("encode_number_precision", |frame| {
        limit_option(frame, 1, 14, |settings| &mut settings.number_precision)
    }),
    ("encode_keep_buffer", |frame| {
        switch_option(frame, |settings| &mut settings.keep_buffer)
    }),
    ("encode_invalid_numbers", encode_invalid_numbers),
    ("decode_invalid_numbers", |frame| {
        switch_option(frame, |settings| &mut settings.decode_invalid_numbers)
    }),
    ("new", new),
];

/// What becomes of NaN and the infinities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidNumbers {
    Refused,
    Written,
    Null,
}

/// What scripts can set. It lasts for one run.
#[derive(Clone, Debug)]
pub(in crate::script) struct Settings {
    pub(super) sparse_convert: bool,
    pub(super) sparse_ratio: i32,
    pub(super) sparse_safe: i32,
    pub(super) encode_max_depth: i32,
    pub(super) decode_max_depth: i32,
    pub(super) number_precision: i32,
    keep_buffer: bool,
    pub(super) encode_invalid_numbers: InvalidNumbers,
    pub(super) decode_invalid_numbers: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_max_depth: 1000,
            decode_max_depth: 1000,
            number_precision: 14,
            keep_buffer: true,
            encode_invalid_numbers: InvalidNumbers::Refused,
            decode_invalid_numbers: true,
        }
    }
}

fn expect_at_most(frame: &Frame, count: c_int) -> Result<(), Failure> {
    if frame.top() > count {
        return Err(frame.argument_error(count + 1, "found too many arguments"));
    }
    Ok(())
}

fn is_given(frame: &Frame, index: c_int) -> bool {
    !matches!(frame.kind(index), ffi::LUA_TNONE | ffi::LUA_TNIL)
}

fn limit_argument(
    frame: &Frame,
    index: c_int,
    low: i32,
    high: i32,
    setting: &mut i32,
) -> Result<(), Failure> {
    if is_given(frame, index) {
        let value = frame.integer_argument(index)?;
        let fitting = i32::try_from(value)
            .ok()
            .filter(|value| (low..=high).contains(value));
        let reason = || format!("expected integer between {low} and {high}");
        *setting = fitting.ok_or_else(|| frame.argument_error(index, &reason()))?;
    }
    Ok(())
}

fn limit_option(
    frame: &mut Frame,
    low: i32,
    high: i32,
    field: fn(&mut Settings) -> &mut i32,
) -> Result<c_int, Failure> {
    expect_at_most(frame, 1)?;
    let mut value = *field(&mut frame.state().settings);
    limit_argument(frame, 1, low, high, &mut value)?;
    *field(&mut frame.state().settings) = value;
    frame.push_integer(i64::from(value));
    Ok(1)
}

fn switch_argument(frame: &Frame, index: c_int, setting: &mut bool) -> Result<(), Failure> {
    if frame.kind(index) == ffi::LUA_TBOOLEAN {
        // SAFETY: `index` holds a boolean.
        *setting = unsafe { ffi::lua_toboolean(frame.lua, index) } != 0;
    } else if is_given(frame, index) {
        *setting = match frame.string_argument(index)? {
            b"on" => true,
            b"off" => false,
            other => return Err(invalid_option(frame, index, other)),
        };
    }
    Ok(())
}

fn invalid_option(frame: &Frame, index: c_int, option: &[u8]) -> Failure {
    let option = String::from_utf8_lossy(option);
    frame.argument_error(index, &format!("invalid option '{option}'"))
}

fn switch_option(
    frame: &mut Frame,
    field: fn(&mut Settings) -> &mut bool,
) -> Result<c_int, Failure> {
    expect_at_most(frame, 1)?;
    let mut value = *field(&mut frame.state().settings);
    switch_argument(frame, 1, &mut value)?;
    *field(&mut frame.state().settings) = value;
    frame.push_boolean(value);
    Ok(1)
}

fn encode_invalid_numbers(frame: &mut Frame) -> Result<c_int, Failure> {
    expect_at_most(frame, 1)?;
    let mut value = frame.state().settings.encode_invalid_numbers;
    if frame.kind(1) == ffi::LUA_TSTRING && frame.bytes(1) == Some(b"null") {
        value = InvalidNumbers::Null;
    } else if is_given(frame, 1) {
        let mut written = false;
        switch_argument(frame, 1, &mut written)?;
        value = if written {
            InvalidNumbers::Written
        } else {
            InvalidNumbers::Refused
        };
    }
    frame.state().settings.encode_invalid_numbers = value;
    match value {
        InvalidNumbers::Null => frame.push_bytes(b"null"),
        InvalidNumbers::Written => frame.push_boolean(true),
        InvalidNumbers::Refused => frame.push_boolean(false),
    }
    Ok(1)
}

fn encode_sparse_array(frame: &mut Frame) -> Result<c_int, Failure> {
    expect_at_most(frame, 3)?;
    let mut settings = frame.state().settings.clone();
    switch_argument(frame, 1, &mut settings.sparse_convert)?;
    limit_argument(frame, 2, 0, i32::MAX, &mut settings.sparse_ratio)?;
    limit_argument(frame, 3, 0, i32::MAX, &mut settings.sparse_safe)?;
    frame.push_boolean(settings.sparse_convert);
    frame.push_integer(i64::from(settings.sparse_ratio));
    frame.push_integer(i64::from(settings.sparse_safe));
    frame.state().settings = settings;
    Ok(3)
}

/// A table of its own with the same functions, and the same settings.
fn new(frame: &mut Frame) -> Result<c_int, Failure> {
    frame.reserve(6)?;
    // SAFETY: the stack has room; memory is not refused to Rust; the new table is plain.
    unsafe {
        push_functions(frame.lua, FUNCTIONS);
        push_texts(frame.lua, &[("_NAME", "cjson"), ("_VERSION", "2.1.0")]);
        ffi::lua_pushlightuserdata(frame.lua, std::ptr::null_mut());
        ffi::lua_setfield(frame.lua, -2, c"null".as_ptr());
    }
    Ok(1)
}
