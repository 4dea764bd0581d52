//! Numbers between Lua and everybody else.

use std::ffi::{CStr, c_int};

/// `number` cut toward zero; what does not fit is the smallest integer, as on x86 in C.
pub(super) fn truncate(number: f64) -> i64 {
    // -2^63 is exact as a double, 2^63 is the first that does not fit.
    if number >= i64::MIN as f64 && number < -(i64::MIN as f64) {
        number as i64
    } else {
        i64::MIN
    }
}

/// As C's "%.{digits}g" prints it.
pub(super) fn format_general(number: f64, digits: usize) -> String {
    let mut buffer = [0_u8; 64];
    let digits = c_int::try_from(digits.min(40)).unwrap_or(17);
    // SAFETY: the buffer is as long as said, snprintf ends what it writes with NUL, and the
    // format takes an int and a double.
    let text = unsafe {
        libc::snprintf(
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            c"%.*g".as_ptr(),
            digits,
            number,
        );
        CStr::from_ptr(buffer.as_ptr().cast())
    };
    text.to_string_lossy().into_owned()
}

/// `number` as an integer, if it is one and fits.
pub(super) fn as_integer(number: f64) -> Option<i64> {
    let integer = truncate(number);
    // As a double 2^63 - 1 is 2^63, but nothing is cut to it.
    (integer as f64 == number).then_some(integer)
}
