//! Numbers of 64 significant bits, in which INCRBYFLOAT and HINCRBYFLOAT add: what the x87 calls
//! extended precision. Their sums are stored as text, so clients see the last bit.

use super::number::parse_double;

/// `±mantissa · 2^exponent`, the mantissa's highest bit set; or 0; or infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extended {
    is_negative: bool,
    mantissa: u64,
    exponent: i32,
}

/// The exponent of what is infinite.
const INFINITE: i32 = i32::MAX;
/// Numbers from 2^16384 on are infinite.
const BITS_MAX: i32 = 16384;
/// Numbers below 2^-16446 are nothing.
const BITS_MIN: i32 = -16446;
/// A longer text is not taken for a number.
const TEXT_BYTES_MAX: usize = 5 * 1024;
/// Decimals that are written at most.
const DECIMALS: u32 = 17;

impl Extended {
    /// No value.
    pub const ZERO: Extended = Extended {
        is_negative: false,
        mantissa: 0,
        exponent: 0,
    };

    /// The nearest number to a decimal text; `None` if it is none, or too large, or too small.
    pub fn parse(bytes: &[u8]) -> Option<Extended> {
        if bytes.len() > TEXT_BYTES_MAX {
            return None;
        }
        let double = parse_double(bytes)?;
        let is_negative = bytes.first() == Some(&b'-');
        let digits = bytes
            .strip_prefix(b"-")
            .or(bytes.strip_prefix(b"+"))
            .unwrap_or(bytes);
        let magnitude = match digits {
            [b'i' | b'I', ..] => Extended {
                is_negative,
                mantissa: 0,
                exponent: INFINITE,
            },
            [b'0', b'x' | b'X', ..] => magnitude_of(double)?,
            _ => parse_decimal(digits)?,
        };
        Some(Extended {
            is_negative,
            ..magnitude
        })
    }

    /// A double, exactly; `None` if it is not finite.
    pub fn from_double(value: f64) -> Option<Extended> {
        let magnitude = magnitude_of(value)?;
        Some(Extended {
            is_negative: value.is_sign_negative(),
            ..magnitude
        })
    }

    /// Whether it is infinite.
    pub fn is_infinite(self) -> bool {
        self.exponent == INFINITE
    }

    /// The sum, rounded to the nearest, ties to even; `None` if it is infinite or no number.
    pub fn checked_add(self, other: Extended) -> Option<Extended> {
        if self.is_infinite() || other.is_infinite() {
            return None;
        }
        let (large, small) = match (self.mantissa, other.mantissa) {
            (_, 0) => return Some(self),
            (0, _) => return Some(other),
            _ if self.exponent >= other.exponent => (self, other),
            _ => (other, self),
        };
        // Bits that leave the 63 below the larger one's last matter only by not being 0.
        let distance = (large.exponent - small.exponent) as u32;
        let wide = u128::from(small.mantissa) << 63;
        let shifted = wide.checked_shr(distance).unwrap_or(0);
        let is_inexact = distance > 0 && shifted.checked_shl(distance) != Some(wide);
        let high = u128::from(large.mantissa) << 63;
        let (is_negative, sum) = if large.is_negative == small.is_negative {
            (large.is_negative, high + shifted)
        } else if high >= shifted {
            (large.is_negative, high - shifted - u128::from(is_inexact))
        } else {
            (small.is_negative, shifted - high)
        };
        if sum == 0 {
            return Some(Extended::ZERO);
        }
        round(sum, is_inexact, large.exponent - 63).map(|sum| Extended { is_negative, ..sum })
    }

    /// As text: 17 decimals, without zeros at the end.
    pub fn to_text(self) -> String {
        let text = if self.exponent >= 0 {
            let mut number = Natural::from(self.mantissa);
            number.shift_left(self.exponent as usize);
            number.into_text()
        } else {
            self.fraction_text()
        };
        if self.is_negative && text != "0" {
            format!("-{text}")
        } else {
            text
        }
    }

    /// The magnitude of a number with bits below 1.
    fn fraction_text(self) -> String {
        let unit = 10_u128.pow(DECIMALS);
        // Below 2^121, since 10^17 is below 2^57.
        let scaled = u128::from(self.mantissa) * unit;
        let shift = self.exponent.unsigned_abs();
        let whole = scaled.checked_shr(shift).unwrap_or(0);
        let rest = scaled - whole.checked_shl(shift).unwrap_or(0);
        let half = 1_u128.checked_shl(shift - 1).unwrap_or(u128::MAX);
        let rounds_up = rest > half || rest == half && whole % 2 == 1;
        let rounded = whole + u128::from(rounds_up);
        let text = format!("{}.{:017}", rounded / unit, rounded % unit);
        text.trim_end_matches('0').trim_end_matches('.').into()
    }
}

/// The nearest number to `bits · 2^exponent`, and a little more if `is_inexact`; ties to even.
fn round(bits: u128, is_inexact: bool, exponent: i32) -> Option<Extended> {
    let length = (128 - bits.leading_zeros()) as i32;
    let cut = length - 64;
    let mut exponent = exponent + cut;
    if length + exponent - cut > BITS_MAX {
        return None;
    }
    if cut <= 0 {
        let mantissa = (bits << cut.unsigned_abs()) as u64;
        return Some(Extended {
            is_negative: false,
            mantissa,
            exponent,
        });
    }
    let kept = (bits >> cut) as u64;
    let rest = bits & ((1 << cut) - 1);
    let half = 1 << (cut - 1);
    let rounds_up = rest > half || rest == half && (is_inexact || kept % 2 == 1);
    let (mut mantissa, overflows) = kept.overflowing_add(u64::from(rounds_up));
    if overflows {
        (mantissa, exponent) = (1 << 63, exponent + 1);
    }
    (exponent + 64 <= BITS_MAX).then_some(Extended {
        is_negative: false,
        mantissa,
        exponent,
    })
}

/// The magnitude of a finite double, exactly.
fn magnitude_of(value: f64) -> Option<Extended> {
    if value == 0.0 {
        return Some(Extended::ZERO);
    }
    let bits = value.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let biased = ((bits >> 52) & 0x7FF) as i32;
    match biased {
        0x7FF => None,
        0 => round(fraction.into(), false, -1074),
        _ => round((fraction | 1 << 52).into(), false, biased - 1075),
    }
}

/// The nearest number to decimal digits, which may have a point and an exponent.
fn parse_decimal(text: &[u8]) -> Option<Extended> {
    let at = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (digits, power) = match at {
        Some(at) => (&text[..at], parse_power(&text[at + 1..])),
        None => (text, 0),
    };
    let mut number = Natural::default();
    let (mut decimals, mut is_behind_point) = (0_i64, false);
    for byte in digits {
        match byte {
            b'.' => is_behind_point = true,
            _ => {
                number.multiply_add(10, u32::from(byte - b'0'));
                decimals += i64::from(is_behind_point);
            }
        }
    }
    if number.is_zero() {
        return Some(Extended::ZERO);
    }
    let power = power.saturating_sub(decimals);
    // As many digits as a text may have, and as many more as the exponent's range.
    let limit = i64::from(BITS_MAX) + TEXT_BYTES_MAX as i64;
    if !(-limit..=limit).contains(&power) {
        return None;
    }
    let mut exponent = power as i32;
    let mut is_inexact = false;
    let fives = power.unsigned_abs() as usize;
    if power >= 0 {
        (0..fives).for_each(|_| number.multiply_add(5, 0));
    } else {
        // Enough that the quotient has more than 64 bits: 5 is below 2^2.33.
        let shift = (fives * 7 / 3 + 70).saturating_sub(number.bits());
        number.shift_left(shift + 64);
        exponent -= (shift + 64) as i32;
        for _ in 0..fives {
            is_inexact |= number.divide(5) != 0;
        }
    }
    let (bits, dropped, is_cut) = number.leading_bits();
    let rounded = round(bits, is_inexact || is_cut, exponent + dropped as i32)?;
    (rounded.exponent + 64 > BITS_MIN).then_some(rounded)
}

/// A decimal exponent; far beyond all that counts if it does not fit.
fn parse_power(text: &[u8]) -> i64 {
    let text = std::str::from_utf8(text).unwrap_or_default();
    let far = if text.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    };
    text.parse().unwrap_or(far)
}

/// A natural number of any size, its lowest 32 bits first.
#[derive(Default)]
struct Natural {
    words: Vec<u32>,
}

impl From<u64> for Natural {
    fn from(value: u64) -> Natural {
        let mut number = Natural {
            words: vec![value as u32, (value >> 32) as u32],
        };
        number.trim();
        number
    }
}

impl Natural {
    fn trim(&mut self) {
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }

    fn is_zero(&self) -> bool {
        self.words.is_empty()
    }

    fn bits(&self) -> usize {
        let last = self
            .words
            .last()
            .map_or(0, |last| last.leading_zeros() as usize);
        self.words.len() * 32 - last
    }

    fn multiply_add(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for word in &mut self.words {
            carry += u64::from(*word) * u64::from(factor);
            *word = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.words.push(carry as u32);
        }
    }

    /// Divides, and returns the rest.
    fn divide(&mut self, divisor: u32) -> u32 {
        let mut rest = 0_u64;
        for word in self.words.iter_mut().rev() {
            rest = rest << 32 | u64::from(*word);
            *word = (rest / u64::from(divisor)) as u32;
            rest %= u64::from(divisor);
        }
        self.trim();
        rest as u32
    }

    fn shift_left(&mut self, bits: usize) {
        if self.is_zero() {
            return;
        }
        self.multiply_add(1 << (bits % 32), 0);
        self.words.splice(..0, std::iter::repeat_n(0, bits / 32));
    }

    /// The highest 97 bits or more, how many lower ones there are, and whether any of those is set.
    fn leading_bits(&self) -> (u128, usize, bool) {
        let low = self.words.len().saturating_sub(4);
        let bits = self.words[low..]
            .iter()
            .rev()
            .fold(0, |all, word| all << 32 | u128::from(*word));
        (
            bits,
            low * 32,
            self.words[..low].iter().any(|word| *word != 0),
        )
    }

    fn into_text(mut self) -> String {
        let mut groups = Vec::new();
        while !self.is_zero() {
            groups.push(self.divide(1_000_000_000));
        }
        let first = groups.pop().unwrap_or(0).to_string();
        groups
            .iter()
            .rev()
            .fold(first, |text, group| format!("{text}{group:09}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(one: &str, other: &str) -> Option<String> {
        let (one, other) = (
            Extended::parse(one.as_bytes())?,
            Extended::parse(other.as_bytes())?,
        );
        one.checked_add(other).map(Extended::to_text)
    }

    /// Expectations were computed by a C compiler's `long double`.
    #[test]
    fn sums_are_those_of_extended_precision() {
        for (one, other, expected) in [
            ("0", "0", "0"),
            ("0.1", "0.2", "0.3"),
            ("10.5", "0.1", "10.6"),
            ("3000", "1e-3", "3000.00099999999999989"),
            ("5.0e3", "2.0e2", "5200"),
            ("1", "-1", "0"),
            ("-0.5", "0.25", "-0.25"),
            ("1e20", "1", "100000000000000000000"),
            ("123456.789", "0.001", "123456.78999999999999915"),
            ("1e-17", "0", "0.00000000000000001"),
            ("1e-18", "-0", "0"),
            ("-1e-18", "0", "0"),
            ("18446744073709551615", "1", "18446744073709551616"),
            ("18446744073709551616", "1", "18446744073709551616"),
            ("0x10", "0.5", "16.5"),
            (".5", "5.", "5.5"),
        ] {
            assert_eq!(
                sum(one, other).as_deref(),
                Some(expected),
                "{one} + {other}"
            );
        }
    }

    #[test]
    fn doubles_are_written_with_seventeen_decimals() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.1, "0.10000000000000001"),
            (-1.5, "-1.5"),
            (1e22, "10000000000000000000000"),
            (13.361_389_338_970_184, "13.36138933897018433"),
            (5e-324, "0"),
        ] {
            let text = Extended::from_double(value).map(Extended::to_text);
            assert_eq!(text.as_deref(), Some(expected));
        }
        assert_eq!(Extended::from_double(f64::INFINITY), None);
        assert_eq!(Extended::from_double(f64::NAN), None);
    }

    #[test]
    fn what_is_no_finite_number_is_refused() {
        for text in [
            "",
            "abc",
            "nan",
            " 1",
            "1e99999",
            "1e-99999",
            "1e5000",
            "1e-9223372036854775808",
        ] {
            assert_eq!(Extended::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Extended::parse(&[b'1'; TEXT_BYTES_MAX + 1]), None);
        assert_eq!(sum("inf", "1"), None);
        assert_eq!(sum("inf", "-inf"), None);
        assert_eq!(sum("1e4932", "1e4932"), None);
        assert_eq!(sum("1e400", "0").map(|text| text.len()), Some(401));
    }
}
