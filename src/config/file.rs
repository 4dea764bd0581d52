//! Configuration files in the form of redis.conf: an option and its value on each line.

use std::path::{Path, PathBuf};

use super::Config;
use super::parameters::{self, Change, Outcome};
use crate::resp::parser::split_words;

/// Files that include each other must end somewhere.
const INCLUDE_DEPTH_MAX: usize = 16;

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line is wrong.
    #[error("{path}, line {line}: {what}", path = .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Files include each other without end.
    #[error("{path}: too many files include each other", path = .path.display())]
    TooDeep {
        /// The last file.
        path: PathBuf,
    },
}

/// Reads a file into `config`. Returns the options in it that ask for what has no meaning here.
///
/// # Errors
/// [`ConfigError`]; the server should not start then.
pub fn read(config: &mut Config, path: &Path) -> Result<Vec<String>, ConfigError> {
    let mut without_meaning = Vec::new();
    read_nested(config, path, 0, &mut without_meaning)?;
    Ok(without_meaning)
}

fn read_nested(
    config: &mut Config,
    path: &Path,
    depth: usize,
    without_meaning: &mut Vec<String>,
) -> Result<(), ConfigError> {
    if depth > INCLUDE_DEPTH_MAX {
        return Err(ConfigError::TooDeep { path: path.into() });
    }
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.into(),
        source,
    })?;
    for (number, line) in text.lines().enumerate() {
        let line_error = |what: String| ConfigError::Line {
            path: path.into(),
            line: number + 1,
            what,
        };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let words = split_words(line.as_bytes());
        let words = words.ok_or_else(|| line_error("unbalanced quotes".into()))?;
        let mut words = words
            .iter()
            .map(|word| String::from_utf8_lossy(word).into_owned());
        let name = words.next().unwrap_or_default();
        let values: Vec<String> = words.collect();
        if values.is_empty() {
            return Err(line_error(format!("{name}: a value is missing")));
        }
        let value = values.join(" ");
        if name.eq_ignore_ascii_case("include") {
            let included = path.parent().unwrap_or(Path::new("")).join(&value);
            read_nested(config, &included, depth + 1, without_meaning)?;
            continue;
        }
        match set_line(config, &name, &value) {
            Ok(Outcome::Set | Outcome::Default) => {}
            Ok(Outcome::WithoutMeaning) => without_meaning.push(name),
            Err(what) => return Err(line_error(format!("{name}: {what}"))),
        }
    }
    Ok(())
}

fn set_line(config: &mut Config, name: &str, value: &str) -> Result<Outcome, String> {
    parameters::set(&mut Change::Whole(config), name, value)
        .map_err(|what| what.replace(" or number of arguments for CONFIG SET", ""))
}
