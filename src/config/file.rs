//! Configuration files in the form of redis.conf: an option and its value on each line.

use std::path::{Path, PathBuf};

use super::Config;
use super::parameters::Change;
use super::setting::{self, Outcome};
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
    setting::set(&mut Change::Whole(config), name, value)
        .map_err(|what| what.replace(" or number of arguments for CONFIG SET", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads this text as a file of its own name.
    fn read_text(name: &str, text: &str) -> Result<(Config, Vec<String>), String> {
        let name = format!("darter-{}-{name}.conf", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        let mut config = Config::default();
        let without_meaning = read(&mut config, &path).map_err(|error| error.to_string());
        std::fs::remove_file(&path).unwrap();
        Ok((config, without_meaning?))
    }

    #[test]
    fn a_file_sets_options_and_names_what_has_no_meaning() {
        let text = "# a comment\n\nport 7000\nrequirepass \"two words\"\nBIND 127.0.0.1 ::1\n\
                    daemonize yes\nrdbcompression yes\nsave \"\"\nhz 100\n";
        let (config, without_meaning) = read_text("set", text).unwrap();
        assert_eq!(config.startup.port, 7000);
        assert_eq!(config.startup.bind, ["127.0.0.1", "::1"]);
        assert_eq!(config.password().as_deref(), Some("two words"));
        assert_eq!(without_meaning, ["daemonize", "hz"]);
    }

    #[test]
    fn addresses_are_those_that_redis_takes() {
        let text = "port 7000\nbind * -::* localhost -::1\n";
        let (config, _) = read_text("bind", text).unwrap();
        let listen = config.listen().unwrap();
        let all = listen.addresses.iter().chain(&listen.optional_addresses);
        let all: Vec<String> = all.map(|address| address.to_string()).collect();
        assert_eq!(
            all,
            ["0.0.0.0:7000", "127.0.0.1:7000", "[::]:7000", "[::1]:7000"]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (line, what) in [
            ("save 900 1", "cannot be kept"),
            ("requirepass", "a value is missing"),
            ("requirepass \"x", "unbalanced quotes"),
            ("nonsense 1", "Unknown option"),
            ("port x", "parsed into an integer"),
        ] {
            let error = read_text("wrong", &format!("port 7000\n{line}\n")).err();
            let error = error.unwrap_or_default();
            assert!(error.contains("line 2: "), "{line}: {error}");
            assert!(error.contains(what), "{line}: {error}");
        }
    }
}
