//! What options' values are made of.

use std::fmt::Display;

use super::{Debugging, UndeclaredKeys};
use crate::resp::number::parse_integer;

/// The most that C's integers of both sizes hold.
pub(super) const INT: i64 = i32::MAX as i64;
pub(super) const LONG: i64 = i64::MAX;

/// An integer from `least` to `most`, all of which the option's type holds.
pub(super) fn number<T: TryFrom<i64>>(text: &str, least: i64, most: i64) -> Result<T, String> {
    let number = parse_integer(text.as_bytes());
    let number = number.ok_or("argument couldn't be parsed into an integer")?;
    T::try_from(number)
        .ok()
        .filter(|_| (least..=most).contains(&number))
        .ok_or_else(|| out_of(least, most))
}

/// `value`, if it is from `least` to `most`.
pub(super) fn within<T: PartialOrd + Display>(value: T, least: T, most: T) -> Result<T, String> {
    if value < least || value > most {
        return Err(out_of(least, most));
    }
    Ok(value)
}

fn out_of(least: impl Display, most: impl Display) -> String {
    format!("argument must be between {least} and {most} inclusive")
}

const NO_SIZE: &str = "argument must be a memory value";

/// A size's digits, and the bytes that its unit stands for: `1k` is 1000 bytes, `1kb` is 1024.
pub(super) fn size_parts(text: &str) -> Result<(&str, usize), String> {
    let end = text.find(|character: char| !character.is_ascii_digit());
    let (digits, unit) = text.split_at(end.unwrap_or(text.len()));
    let unit_bytes = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return Err(NO_SIZE.into()),
    };
    Ok((digits, unit_bytes))
}

/// A size with or without a unit.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let (digits, unit_bytes) = size_parts(text)?;
    let count = digits.parse::<usize>().ok();
    count
        .and_then(|count| count.checked_mul(unit_bytes))
        .ok_or_else(|| NO_SIZE.into())
}

/// The words of `Debugging`.
const DEBUGGING: [(Debugging, &str); 3] = [
    (Debugging::No, "no"),
    (Debugging::Local, "local"),
    (Debugging::Yes, "yes"),
];

pub(super) fn debugging(text: &str) -> Result<Debugging, String> {
    let found = DEBUGGING
        .iter()
        .find(|(_, word)| word.eq_ignore_ascii_case(text));
    found
        .map(|(debugging, _)| *debugging)
        .ok_or_else(|| "argument(s) must be one of the following: no, yes, local".into())
}

pub(super) fn debugging_text(debugging: Debugging) -> String {
    let found = DEBUGGING.iter().find(|(known, _)| *known == debugging);
    found.map_or("", |(_, word)| word).into()
}

pub(super) fn yes_no(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("argument must be 'yes' or 'no'".into()),
    }
}

pub(super) fn yes_no_text(value: bool) -> String {
    if value { "yes".into() } else { "no".into() }
}

/// The bits of a file's mode.
pub(super) fn file_mode(text: &str) -> Result<u32, String> {
    // As Redis reads them, no digits are 0.
    let digits = if text.is_empty() { "0" } else { text };
    let mode = i64::from_str_radix(digits, 8)
        .map_err(|_| "argument couldn't be parsed as an octal number")?;
    match u32::try_from(mode) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("argument must be between 0 and 777 inclusive".into()),
    }
}

pub(super) fn path(text: &str) -> Option<std::path::PathBuf> {
    (!text.is_empty()).then(|| text.into())
}

pub(super) fn path_text(path: Option<&std::path::PathBuf>) -> String {
    path.map(|path| path.display().to_string())
        .unwrap_or_default()
}

/// `barrier` is another word for `exclusive`.
pub(super) fn undeclared_keys(text: &str) -> Result<UndeclaredKeys, String> {
    match text {
        "exclusive" | "barrier" => Ok(UndeclaredKeys::Exclusive),
        "optimistic" => Ok(UndeclaredKeys::Optimistic),
        _ => Err("argument must be 'exclusive' or 'optimistic'".into()),
    }
}

pub(super) fn undeclared_keys_text(how: UndeclaredKeys) -> String {
    match how {
        UndeclaredKeys::Exclusive => "exclusive".into(),
        UndeclaredKeys::Optimistic => "optimistic".into(),
    }
}
