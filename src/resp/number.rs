//! Numbers as Redis reads and writes them.

/// A 64-bit integer in its one canonical form: no sign but `-`, no leading zeros, no spaces.
pub fn parse_integer(bytes: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] => return (!is_negative).then_some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut magnitude: u64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        magnitude = magnitude
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
    }
    if is_negative {
        0_i64.checked_sub_unsigned(magnitude)
    } else {
        magnitude.try_into().ok()
    }
}

/// Whether C takes `byte` for a space.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | 0x09..=0x0d)
}

/// `text` behind what C takes for spaces.
pub fn without_spaces_before(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_space(*byte));
    &text[start.unwrap_or(text.len())..]
}

/// A double as Redis takes it from a client: decimal, with an exponent, hexadecimal, or infinite;
/// never NaN, and nothing around it.
pub fn parse_double(bytes: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.is_empty() || text.trim() != text {
        return None;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(hexadecimal) = unsigned
        .strip_prefix("0x")
        .or_else(|| unsigned.strip_prefix("0X"))
    {
        let value = u64::from_str_radix(hexadecimal, 16).ok()? as f64;
        return Some(if text.starts_with('-') { -value } else { value });
    }
    let is_word = unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity");
    if !is_word && !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| !value.is_nan())
}

/// As `parse_double`, but nothing so large or so small that it becomes infinite or zero.
pub fn parse_double_in_range(bytes: &[u8]) -> Option<f64> {
    let value = parse_double(bytes)?;
    let is_sign = |byte: &u8| matches!(byte, b'+' | b'-');
    let is_word = bytes
        .iter()
        .find(|byte| !is_sign(byte))
        .is_some_and(u8::is_ascii_alphabetic);
    let is_beyond = value.is_infinite() && !is_word;
    let mut mantissa = bytes
        .iter()
        .take_while(|byte| !byte.eq_ignore_ascii_case(&b'e'));
    let is_lost = value == 0.0 && mantissa.any(|byte| matches!(byte, b'1'..=b'9'));
    (!is_beyond && !is_lost).then_some(value)
}

/// Up to here every integer is a double.
const EXACT_INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// A double as Redis writes it in replies: 17 significant digits at most, the shortest that reads
/// back the same, exponents below 10^-4 and from 10^17 on as `%.17g` does.
pub fn format_double(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 {
            "inf".into()
        } else {
            "-inf".into()
        };
    }
    if value.is_nan() {
        return "nan".into();
    }
    if value == 0.0 {
        return if value.is_sign_negative() {
            "-0".into()
        } else {
            "0".into()
        };
    }
    if value.fract() == 0.0 && value.abs() <= EXACT_INTEGER_MAX {
        return itoa::Buffer::new().format(value as i64).to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..17).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_form() {
        for (text, value) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-0", None),
            ("01", None),
            ("+1", None),
            (" 1", None),
            ("", None),
            ("1.0", None),
        ] {
            assert_eq!(parse_integer(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn doubles_read_as_redis_reads_them() {
        for (text, value) in [
            ("1.5", Some(1.5)),
            ("+1", Some(1.0)),
            (".5", Some(0.5)),
            ("1e3", Some(1000.0)),
            ("-inf", Some(f64::NEG_INFINITY)),
            ("0x10", Some(16.0)),
            ("nan", None),
            ("", None),
            ("1 ", None),
            ("abc", None),
        ] {
            assert_eq!(parse_double(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn doubles_may_have_to_be_in_range() {
        for (text, value) in [
            ("1e400", None),
            ("-1e400", None),
            ("1e-400", None),
            ("0e-400", Some(0.0)),
            ("0", Some(0.0)),
            ("0x0", Some(0.0)),
            ("+inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("-1.5e3", Some(-1500.0)),
            ("nan", None),
        ] {
            assert_eq!(parse_double_in_range(text.as_bytes()), value, "{text}");
        }
        assert_eq!(parse_double(b"1e400"), Some(f64::INFINITY));
    }

    #[test]
    fn doubles_print_as_redis_prints_them() {
        for (value, text) in [
            (3.0, "3"),
            (0.1, "0.1"),
            (-1.5, "-1.5"),
            (1e17, "1e+17"),
            (1e16, "10000000000000000"),
            (1e-5, "1e-05"),
            (1.23e-7, "1.23e-07"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(format_double(value), text);
        }
    }
}
