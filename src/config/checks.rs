//! Which values Redis takes for an option, and how it shows them.

use super::values::{number, size_parts, within, yes_no};
use crate::resp::number::parse_integer;

/// What a value must be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Check {
    /// Anything.
    Text,
    /// `yes` or `no`.
    YesNo,
    /// An integer from one number to another.
    Integer(i64, i64),
    /// A number of bytes from one number to another, with or without a unit.
    Memory(u64, u64),
    /// As another check says, but kept between two numbers without a word.
    Clamped(&'static Check, i64, i64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// What a server does that is told to end by a signal: words.
    Shutdown,
    /// The name of a file or folder, which stands in another one.
    Name(&'static str),
    /// As `Name`, or none.
    File,
    /// A host's name, or none.
    HostName,
    /// Three numbers that the system's killer of processes takes.
    Scores,
}

const SHUTDOWN: &[&str] = &["default", "save", "nosave", "now", "force"];

impl Check {
    /// The value as CONFIG GET shows it.
    ///
    /// # Errors
    /// It is none that Redis takes; the text is Redis's.
    pub(super) fn take(self, name: &str, value: &str) -> Result<String, String> {
        match self {
            Check::Text => Ok(value.to_owned()),
            Check::YesNo => yes_no(value).map(|is_on| if is_on { "yes" } else { "no" }.into()),
            Check::Integer(least, most) => {
                number::<i64>(value, least, most).map(|number| number.to_string())
            }
            Check::Memory(least, most) => {
                within(memory(value)?, least, most).map(|size| size.to_string())
            }
            Check::Clamped(check, least, most) => {
                let number = parse_integer(check.take(name, value)?.as_bytes());
                Ok(number.unwrap_or(most).clamp(least, most).to_string())
            }
            Check::OneOf(words) => word(words, value).map(Into::into),
            Check::Shutdown => shutdown(value),
            Check::Name(_) if value.is_empty() => Err(format!("{name} can't be empty")),
            Check::Name(what) => within_folder(name, what, value),
            Check::File => within_folder(name, "filename", value),
            Check::HostName => host_name(value),
            Check::Scores => scores(value),
        }
    }
}

/// A size as Redis reads it: without digits it is 0, and what no integer holds is the most that one does.
fn memory(value: &str) -> Result<u64, String> {
    let (digits, unit_bytes) = size_parts(value)?;
    let count = match digits {
        "" => 0,
        digits => digits.parse().unwrap_or(u64::MAX),
    };
    Ok(count.saturating_mul(unit_bytes as u64))
}

fn word(words: &[&'static str], value: &str) -> Result<&'static str, String> {
    let found = words.iter().find(|word| word.eq_ignore_ascii_case(value));
    found.copied().ok_or_else(|| {
        let words = words.join(", ");
        format!("argument(s) must be one of the following: {words}")
    })
}

/// The words that ask for something, in Redis's order.
fn shutdown(value: &str) -> Result<String, String> {
    let mut asked = Vec::new();
    for part in value.split(' ') {
        asked.push(word(SHUTDOWN, part)?);
    }
    if asked.contains(&"save") && asked.contains(&"nosave") {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    let is_asked = |word: &&str| *word != "default" && asked.contains(word);
    let shown: Vec<_> = SHUTDOWN.iter().copied().filter(is_asked).collect();
    Ok(if shown.is_empty() {
        "default".into()
    } else {
        shown.join(" ")
    })
}

fn within_folder(name: &str, what: &str, value: &str) -> Result<String, String> {
    if value.contains('/') {
        return Err(format!("{name} can't be a path, just a {what}"));
    }
    Ok(value.to_owned())
}

fn host_name(value: &str) -> Result<String, String> {
    if value.len() >= 256 {
        return Err("Hostnames must be less than 256 characters".into());
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if !value.bytes().all(is_allowed) {
        return Err("Hostnames may only contain alphanumeric characters, hyphens or dots".into());
    }
    Ok(value.to_owned())
}

fn scores(value: &str) -> Result<String, String> {
    let words: Vec<&str> = value.split(' ').collect();
    if words.len() != 3 {
        return Err("wrong number of arguments".into());
    }
    let is_score = |word: &&str| {
        let number = parse_integer(word.as_bytes());
        number.is_some_and(|number| (-2000..=2000).contains(&number))
    };
    if !words.iter().all(is_score) {
        return Err(
            "Invalid oom-score-adj-values, elements must be between -2000 and 2000.".into(),
        );
    }
    Ok(value.to_owned())
}
