//! The table `bit`: operations on 32 bits, results signed.

use std::ffi::c_int;

use mlua::ffi;

use crate::script::error::Failure;
use crate::script::trampoline::{Frame, Function};

pub(super) const FUNCTIONS: &[(&str, Function)] = &[
    ("tobit", |frame| unary(frame, |bits| bits)),
    ("bnot", |frame| unary(frame, |bits| !bits)),
    ("bswap", |frame| unary(frame, u32::swap_bytes)),
    ("band", |frame| fold(frame, |left, right| left & right)),
    ("bor", |frame| fold(frame, |left, right| left | right)),
    ("bxor", |frame| fold(frame, |left, right| left ^ right)),
    ("lshift", |frame| shift(frame, |bits, count| bits << count)),
    ("rshift", |frame| shift(frame, |bits, count| bits >> count)),
    ("arshift", |frame| {
        shift(frame, |bits, count| {
            (bits.cast_signed() >> count).cast_unsigned()
        })
    }),
    ("rol", |frame| shift(frame, u32::rotate_left)),
    ("ror", |frame| shift(frame, u32::rotate_right)),
    ("tohex", to_hex),
];

/// A number modulo 2^32, rounded to the nearest: adding this constant leaves those bits lowest.
const ROUNDING: f64 = 6_755_399_441_055_744.0;

fn bits(frame: &Frame, index: c_int) -> Result<u32, Failure> {
    let number = frame.number_argument(index)?;
    Ok((number + ROUNDING).to_bits() as u32)
}

fn push(frame: &Frame, bits: u32) -> Result<c_int, Failure> {
    frame.push_integer(i64::from(bits.cast_signed()));
    Ok(1)
}

fn unary(frame: &Frame, operation: fn(u32) -> u32) -> Result<c_int, Failure> {
    push(frame, operation(bits(frame, 1)?))
}

fn fold(frame: &Frame, operation: fn(u32, u32) -> u32) -> Result<c_int, Failure> {
    let mut result = bits(frame, 1)?;
    for index in 2..=frame.top() {
        result = operation(result, bits(frame, index)?);
    }
    frame.reserve(1)?;
    push(frame, result)
}

fn shift(frame: &Frame, operation: fn(u32, u32) -> u32) -> Result<c_int, Failure> {
    let (value, count) = (bits(frame, 1)?, bits(frame, 2)?);
    push(frame, operation(value, count & 31))
}

fn to_hex(frame: &mut Frame) -> Result<c_int, Failure> {
    let value = bits(frame, 1)?;
    let digits = if frame.kind(2) == ffi::LUA_TNONE {
        8
    } else {
        bits(frame, 2)?.cast_signed()
    };
    let text = if digits < 0 {
        format!("{value:08X}")
    } else {
        format!("{value:08x}")
    };
    let length = digits.unsigned_abs().min(8) as usize;
    frame.push_bytes(&text.as_bytes()[8 - length..]);
    Ok(1)
}
