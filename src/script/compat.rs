//! Functions of Lua 5.1 that Lua 5.4 lacks, or reads otherwise, and that are not written in Lua (see
//! prelude.lua).

use std::ffi::c_int;

use mlua::ffi;

use super::call::draw;
use super::error::Failure;
use super::number;
use super::random::Random;
use super::trampoline::{Frame, Function, push_with_second};

pub(super) const MATH: &[(&str, Function)] = &[
    ("random", random),
    ("randomseed", random_seed),
    ("pow", pow),
    ("max", |frame| {
        extreme(frame, |frame, best, other| frame.is_less(best, other))
    }),
    ("min", |frame| {
        extreme(frame, |frame, best, other| frame.is_less(other, best))
    }),
    ("log10", |frame| map(frame, f64::log10)),
    ("cosh", |frame| map(frame, f64::cosh)),
    ("sinh", |frame| map(frame, f64::sinh)),
    ("tanh", |frame| map(frame, f64::tanh)),
    ("ldexp", ldexp),
    ("frexp", frexp),
];

pub(super) const OS: &[(&str, Function)] = &[("clock", clock)];

fn map(frame: &mut Frame, operation: fn(f64) -> f64) -> Result<c_int, Failure> {
    frame.push_number(operation(frame.number_argument(1)?));
    Ok(1)
}

/// The next number in [0, 1) of the run's generator, which begins somewhere when it is first asked.
fn unit(frame: &mut Frame) -> Result<f64, Failure> {
    let mut random = match frame.state().random {
        Some(random) => random,
        None => Random::drawn(draw(frame)?),
    };
    let unit = random.unit();
    frame.state().random = Some(random);
    Ok(unit)
}

/// math.random, computed as in Redis from the run's own generator.
fn random(frame: &mut Frame) -> Result<c_int, Failure> {
    let unit = unit(frame)?;
    let (low, high) = match frame.top() {
        0 => {
            frame.push_number(unit);
            return Ok(1);
        }
        1 => (1, frame.integer_argument(1)?),
        2 => (frame.integer_argument(1)?, frame.integer_argument(2)?),
        _ => return Err(Failure::text("wrong number of arguments")),
    };
    if low > high {
        return Err(frame.argument_error(frame.top(), "interval is empty"));
    }
    let drawn = (unit * (high as f64 - low as f64 + 1.0)).floor() + low as f64;
    push_whole(frame, drawn);
    Ok(1)
}

fn push_whole(frame: &Frame, value: f64) {
    match number::as_integer(value) {
        // The least integer is its own opposite; as a double it is not.
        Some(integer) if integer != i64::MIN => frame.push_integer(integer),
        _ => frame.push_number(value),
    }
}

fn random_seed(frame: &mut Frame) -> Result<c_int, Failure> {
    let seed = frame.integer_argument(1)?;
    // As C narrows it.
    frame.state().random = Some(Random::seeded(seed as i32));
    Ok(0)
}

fn pow(frame: &mut Frame) -> Result<c_int, Failure> {
    let (base, exponent) = (frame.number_argument(1)?, frame.number_argument(2)?);
    frame.push_number(base.powf(exponent));
    Ok(1)
}

/// The argument that `is_better` than all before it. Texts count as the numbers that they are: what
/// commands reply is text, and Lua 5.4 would compare it as such.
fn extreme(
    frame: &mut Frame,
    is_better: fn(&Frame, c_int, c_int) -> bool,
) -> Result<c_int, Failure> {
    let count = frame.top().max(1);
    let mut best = 1;
    for index in 1..=count {
        frame.number_argument(index)?;
        frame.make_number(index);
        if is_better(frame, best, index) {
            best = index;
        }
    }
    // SAFETY: the argument exists; LUA_MINSTACK leaves a slot.
    unsafe { ffi::lua_pushvalue(frame.lua, best) };
    Ok(1)
}

fn ldexp(frame: &mut Frame) -> Result<c_int, Failure> {
    let (mantissa, exponent) = (frame.number_argument(1)?, frame.integer_argument(2)?);
    let exponent = exponent.clamp(-4000, 4000) as c_int;
    // SAFETY: a pure function of numbers.
    frame.push_number(unsafe { c_ldexp(mantissa, exponent) });
    Ok(1)
}

fn frexp(frame: &mut Frame) -> Result<c_int, Failure> {
    let mut exponent = 0;
    // SAFETY: the pointer is valid for the call.
    let mantissa = unsafe { c_frexp(frame.number_argument(1)?, &mut exponent) };
    frame.push_number(mantissa);
    frame.push_integer(i64::from(exponent));
    Ok(2)
}

unsafe extern "C" {
    #[link_name = "ldexp"]
    fn c_ldexp(mantissa: f64, exponent: c_int) -> f64;
    #[link_name = "frexp"]
    fn c_frexp(value: f64, exponent: *mut c_int) -> f64;
}

/// Puts a `tonumber` that takes bases as in Lua 5.1 in the place of Lua's own.
///
/// # Safety
/// As for `sandbox::open`, and the base library is open.
pub(super) unsafe fn install_tonumber(lua: *mut ffi::lua_State) {
    // SAFETY: the caller's promise; Lua's own is a C function without upvalues.
    unsafe {
        ffi::lua_getglobal(lua, c"tonumber".as_ptr());
        push_with_second(lua, number_of_base);
        ffi::lua_setglobal(lua, c"tonumber".as_ptr());
    }
}

/// With base 10 whatever `tonumber` takes without a base; with another one what C's `strtoul` reads.
fn number_of_base(frame: &mut Frame) -> Result<c_int, Failure> {
    let base = frame.integer_argument(2)?;
    if base == 10 {
        if frame.number(1).is_some() {
            frame.make_number(1);
            // SAFETY: the argument exists; LUA_MINSTACK leaves a slot.
            unsafe { ffi::lua_pushvalue(frame.lua, 1) };
        } else {
            frame.push_nil();
        }
        return Ok(1);
    }
    let text = frame.string_argument(1)?;
    let base = c_int::try_from(base)
        .ok()
        .filter(|base| (2..=36).contains(base));
    let Some(base) = base else {
        return Err(frame.argument_error(2, "base out of range"));
    };
    let start = text.as_ptr().cast();
    let mut end = std::ptr::null_mut();
    // SAFETY: Lua ends its strings with NUL, so strtoul stops within the text.
    let value = unsafe { libc::strtoul(start, &mut end, base) };
    let length = (end as usize).wrapping_sub(start as usize);
    let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let behind = text.iter().skip(length).find(|byte| !is_space(byte));
    if length == 0 || !matches!(behind, None | Some(0)) {
        frame.push_nil();
    } else if let Ok(integer) = i64::try_from(value) {
        frame.push_integer(integer);
    } else {
        frame.push_number(value as f64);
    }
    Ok(1)
}

/// Processor time of the process in seconds.
fn clock(frame: &mut Frame) -> Result<c_int, Failure> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is valid for the call; LUA_MINSTACK leaves a slot.
    unsafe {
        libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time);
        ffi::lua_pushnumber(frame.lua, time.tv_sec as f64 + time.tv_nsec as f64 / 1e9);
    }
    Ok(1)
}
