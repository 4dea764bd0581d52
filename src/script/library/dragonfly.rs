//! The table `dragonfly`.

use std::ffi::c_int;

use mlua::ffi;

use crate::script::call;
use crate::script::error::Failure;
use crate::script::trampoline::{Frame, Function};

/// Functions by name; the prelude adds `ihash`, and takes `hash_text` away.
pub(in crate::script) const FUNCTIONS: &[(&str, Function)] = &[
    ("acall", call::call_without_result),
    ("apcall", call::protected_call_without_result),
    ("randstr", random_strings),
    ("lock", lock),
    ("unlock", lock),
    ("hash_text", hash_text),
];

/// Bounds of Dragonfly's.
const SIZE_MAX: usize = 16 << 20;
/// See `SIZE_MAX`.
const COUNT_MAX: usize = 32_768;
/// Bytes made or hashed between two looks at the clock.
const PIECE_BYTES: usize = 1 << 16;

fn bounded(frame: &Frame, index: c_int, max: usize) -> Result<usize, Failure> {
    let value = frame.integer_argument(index)?;
    let value = usize::try_from(value).ok();
    value
        .filter(|value| (1..=max).contains(value))
        .ok_or_else(|| frame.argument_error(index, &format!("must be between 1 and {max}")))
}

/// dragonfly.randstr(size[, count]): a string of hexadecimal digits, or a table of several.
fn random_strings(frame: &mut Frame) -> Result<c_int, Failure> {
    if !(1..=2).contains(&frame.top()) {
        return Err(Failure::text("dragonfly.randstr requires 1 or 2 arguments"));
    }
    let size = bounded(frame, 1, SIZE_MAX)?;
    let count = match frame.kind(2) {
        ffi::LUA_TNONE => None,
        _ => Some(bounded(frame, 2, COUNT_MAX)?),
    };
    frame.admit(size.saturating_mul(count.unwrap_or(1)))?;
    let Some(count) = count else {
        push_random_string(frame, size)?;
        return Ok(1);
    };
    let length = c_int::try_from(count).unwrap_or(0);
    // SAFETY: LUA_MINSTACK leaves room; memory is not refused to Rust, so nothing raises.
    unsafe { ffi::lua_createtable(frame.lua, length, 0) };
    for position in 1..=i64::from(length) {
        push_random_string(frame, size)?;
        // SAFETY: the table is below the string.
        unsafe { ffi::lua_rawseti(frame.lua, -2, position) };
        frame.checkpoint();
    }
    Ok(1)
}

fn push_random_string(frame: &mut Frame, size: usize) -> Result<(), Failure> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // Not the run's own generator: the script may have seeded that one, and these are names.
    let mut word = call::draw(frame)?;
    let scratch = frame.scratch();
    scratch.clear();
    while scratch.text.len() < size {
        word = mix(word);
        let rest = size - scratch.text.len();
        let digits = (0..16.min(rest)).map(|at| DIGITS[(word >> (at * 4)) as usize & 15]);
        scratch.text.extend(digits);
        if scratch.text.len().is_multiple_of(PIECE_BYTES) {
            frame.checkpoint();
        }
    }
    frame.push_bytes(&scratch.text);
    Ok(())
}

/// The next number of a SplitMix64 generator (Steele et al., 2014), which is its own state here.
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// dragonfly.lock and dragonfly.unlock: no script holds locks, so there are none to let go.
fn lock(_: &mut Frame) -> Result<c_int, Failure> {
    Ok(0)
}

/// Folds a text into a hash (FNV-1a, 64 bits).
fn hash_text(frame: &mut Frame) -> Result<c_int, Failure> {
    let seed = frame.integer_argument(1)?;
    let mut hash = (seed as u64) ^ 0xCBF2_9CE4_8422_2325;
    for piece in frame.string_argument(2)?.chunks(PIECE_BYTES) {
        for byte in piece {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        frame.checkpoint();
    }
    frame.push_integer(hash as i64);
    Ok(1)
}
