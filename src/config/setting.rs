//! Options by their names: set, shown, refused.

use std::sync::PoisonError;

use super::Config;
use super::parameters::{Change, PARAMETERS, Parameter, When, value_of};
use super::without_meaning::{OLDER_NAMES, Settable, WITHOUT_MEANING, WithoutMeaning};
use crate::glob;

/// Other names of the same options.
const ALIASES: &[(&str, &str)] = &[("busy-reply-threshold", "lua-time-limit")];

/// What would be a broken promise: the option, the value that asks for nothing, and why not.
const REFUSED: &[(&str, &[&str], &str)] = &[
    ("appendonly", &["no"], "nothing is written to disk yet"),
    ("save", &[""], "nothing is written to disk yet"),
    ("replicaof", &["no one"], "there are no replicas yet"),
    ("slaveof", &["no one"], "there are no replicas yet"),
    ("aclfile", &[""], "there are no ACL users yet"),
    ("tls-port", &["0"], "there is no TLS yet"),
    ("cluster-enabled", &["no"], "there is no cluster mode yet"),
    ("loadmodule", &[], "there are no modules"),
    ("user", &[], "there are no ACL users yet"),
    ("rename-command", &[], "commands are not renamed yet"),
];

/// The one spelling of an option's name.
pub fn canonical(name: &str) -> String {
    name.trim_start_matches('-')
        .to_ascii_lowercase()
        .replace('_', "-")
}

/// The option of this name, in any spelling.
pub fn find(name: &str) -> Option<&'static Parameter> {
    let name = canonical(name);
    let name = ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(&*name, |(_, own)| own);
    PARAMETERS
        .iter()
        .find(|parameter| canonical(parameter.name) == name)
}

fn find_without_meaning(name: &str) -> Option<&'static WithoutMeaning> {
    let name = canonical(name);
    let older = OLDER_NAMES.iter().find(|(older, _)| *older == name);
    let name = older.map_or(&*name, |(_, newer)| newer);
    let mut all = WITHOUT_MEANING.iter();
    all.find(|option| canonical(option.name) == name)
}

/// The name of an option that may be set, however it is spelled.
pub fn known_name(name: &str) -> Option<&'static str> {
    let own = find(name).map(|parameter| parameter.name);
    own.or_else(|| find_without_meaning(name).map(|option| option.name))
}

/// What became of an option that was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is obeyed.
    Set,
    /// It is known, and means nothing here.
    WithoutMeaning,
    /// As `WithoutMeaning`, and the value asks for nothing but what Redis does anyway.
    Default,
}

/// The names of Redis's options that are not obeyed here: without a meaning, or refused.
pub fn not_obeyed() -> impl Iterator<Item = &'static str> {
    let without_meaning = WITHOUT_MEANING.iter().map(|option| option.name);
    let older = OLDER_NAMES.iter().map(|(older, _)| *older);
    let refused = REFUSED.iter().map(|(name, ..)| *name);
    let refused = refused.filter(|name| find_without_meaning(name).is_none());
    without_meaning.chain(older).chain(refused)
}

/// Sets an option by its name.
///
/// # Errors
/// It is not known, may not be set now, cannot be kept, or the value is wrong; the text says so.
pub fn set(change: &mut Change<'_>, name: &str, value: &str) -> Result<Outcome, String> {
    let without_meaning = find_without_meaning(name);
    let taken = without_meaning
        .map(|option| taken(change, option, value))
        .transpose()?;
    let canonical_name = canonical(name);
    let refused = REFUSED.iter().find(|(known, ..)| *known == canonical_name);
    if let Some((_, harmless, why)) = refused
        && !harmless.contains(&value.to_ascii_lowercase().as_str())
    {
        return Err(format!("'{canonical_name} {value}' cannot be kept: {why}"));
    }
    if let Some(parameter) = find(name) {
        if parameter.when == When::Start && matches!(change, Change::Shared(_)) {
            return Err("can't set immutable config".into());
        }
        (parameter.set)(change, value)?;
        return Ok(Outcome::Set);
    }
    let (Some(option), Some(value)) = (without_meaning, taken) else {
        return if refused.is_some() {
            Ok(Outcome::Default)
        } else {
            Err("Unknown option or number of arguments for CONFIG SET".into())
        };
    };
    let config = change.shared();
    let mut kept = config
        .without_meaning
        .write()
        .unwrap_or_else(PoisonError::into_inner);
    let is_default = option.default == value;
    kept.retain(|(name, _)| name != option.name);
    kept.push((option.name.to_owned(), value));
    Ok(if is_default {
        Outcome::Default
    } else {
        Outcome::WithoutMeaning
    })
}

/// The value of an option without a meaning, as it is shown.
fn taken(change: &Change<'_>, option: &WithoutMeaning, value: &str) -> Result<String, String> {
    let is_running = matches!(change, Change::Shared(_));
    match option.settable {
        Settable::Start if is_running => Err("can't set immutable config".into()),
        Settable::Protected if is_running => Err("can't set protected config".into()),
        _ => option.check.take(option.name, value),
    }
}

/// All options whose names match one of `patterns`, with their values, each once.
pub fn matching(config: &Config, patterns: &[&[u8]]) -> Vec<(String, String)> {
    let is_wanted = |name: &str| {
        let name = name.to_ascii_lowercase();
        patterns.iter().any(|pattern| {
            let pattern = pattern.to_ascii_lowercase();
            glob::matches(&pattern, name.as_bytes())
                || glob::matches(&pattern, canonical(&name).as_bytes())
        })
    };
    let kept = config
        .without_meaning
        .read()
        .unwrap_or_else(PoisonError::into_inner);
    let own = PARAMETERS
        .iter()
        .map(|parameter| (parameter.name, value_of(config, parameter)));
    let aliases = ALIASES.iter().filter_map(|(alias, name)| {
        find(name).map(|parameter| (*alias, value_of(config, parameter)))
    });
    let value_of_other = |option: &WithoutMeaning| {
        let set = kept.iter().find(|(known, _)| known == option.name);
        set.map_or(option.default.to_owned(), |(_, value)| value.clone())
    };
    let others = WITHOUT_MEANING
        .iter()
        .map(|option| (option.name, value_of_other(option)));
    let older = OLDER_NAMES.iter().filter_map(|(older, newer)| {
        find_without_meaning(newer).map(|option| (*older, value_of_other(option)))
    });
    own.chain(aliases)
        .chain(others)
        .chain(older)
        .filter(|(name, _)| is_wanted(name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::values::bytes;
    use super::*;

    #[test]
    fn no_option_stands_twice() {
        let mut names: Vec<String> = PARAMETERS
            .iter()
            .map(|parameter| canonical(parameter.name))
            .collect();
        names.extend(WITHOUT_MEANING.iter().map(|option| canonical(option.name)));
        names.extend(OLDER_NAMES.iter().map(|(older, _)| canonical(older)));
        names.extend(ALIASES.iter().map(|(name, _)| canonical(name)));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn every_option_takes_the_value_that_it_shows() {
        let mut config = Config::default();
        for parameter in PARAMETERS {
            let value = value_of(&config, parameter);
            let result = set(&mut Change::Whole(&mut config), parameter.name, &value);
            assert_eq!(result, Ok(Outcome::Set), "{}", parameter.name);
            assert_eq!(value_of(&config, parameter), value, "{}", parameter.name);
        }
    }

    #[test]
    fn broken_promises_are_refused() {
        let mut config = Config::default();
        let mut change = Change::Whole(&mut config);
        for (name, value) in [
            ("appendonly", "yes"),
            ("save", "900 1"),
            ("replicaof", "localhost 6379"),
            ("aclfile", "users.acl"),
            ("tls-port", "6380"),
            ("cluster-enabled", "yes"),
            ("maxmemory-policy", "allkeys-lru"),
            ("user", "alice on >secret ~* +@all"),
            ("rename-command", "CONFIG x"),
        ] {
            assert!(set(&mut change, name, value).is_err(), "{name}");
        }
        assert_eq!(set(&mut change, "appendonly", "no"), Ok(Outcome::Default));
        assert_eq!(set(&mut change, "save", ""), Ok(Outcome::Default));
        assert_eq!(
            set(&mut change, "daemonize", "yes"),
            Ok(Outcome::WithoutMeaning)
        );
        assert_eq!(
            set(&mut change, "slave-read-only", "yes"),
            Ok(Outcome::Default)
        );
        assert_eq!(
            set(&mut change, "auto-aof-rewrite-min-size", "64mb"),
            Ok(Outcome::Default)
        );
        assert!(set(&mut change, "nonsense", "1").is_err());
    }

    #[test]
    fn what_has_no_meaning_takes_its_default_and_nothing_that_redis_refuses() {
        let mut config = Config::default();
        let mut change = Change::Whole(&mut config);
        for option in WITHOUT_MEANING {
            let result = set(&mut change, option.name, option.default);
            assert_eq!(result, Ok(Outcome::Default), "{}", option.name);
        }
        for (name, value, what) in [
            ("rdbcompression", "1", "must be 'yes' or 'no'"),
            ("hz", "x", "couldn't be parsed into an integer"),
            ("hz", "007", "couldn't be parsed into an integer"),
            ("io-threads", "129", "must be between 1 and 128 inclusive"),
            (
                "repl-backlog-size",
                "0",
                "must be between 1 and 9223372036854775807",
            ),
            ("repl-backlog-size", "1tb", "must be a memory value"),
            (
                "appendfsync",
                "yes",
                "one of the following: everysec, always, no",
            ),
            (
                "shutdown-on-sigint",
                "save nosave",
                "can't be used simultaneously",
            ),
            ("appendfilename", "a/b", "can't be a path, just a filename"),
            ("appenddirname", "", "can't be empty"),
            (
                "cluster-announce-hostname",
                "a b",
                "Hostnames may only contain",
            ),
            ("oom-score-adj-values", "0 1", "wrong number of arguments"),
            ("oom-score-adj-values", "0 1 2001", "between -2000 and 2000"),
        ] {
            let result = set(&mut change, name, value);
            let text = result.expect_err(name);
            assert!(text.contains(what), "{name} {value}: {text}");
        }
    }

    #[test]
    fn values_are_shown_in_one_spelling_under_both_names() {
        let config = Config::default();
        for (name, value, shown) in [
            ("slave-read-only", "NO", "no"),
            ("client-query-buffer-limit", "2mb", "2097152"),
            ("zset-max-ziplist-value", "", "0"),
            ("appendfsync", "ALWAYS", "always"),
            ("shutdown-on-sigterm", "force now now default", "now force"),
        ] {
            let result = set(&mut Change::Shared(&config), name, value);
            assert_eq!(result, Ok(Outcome::WithoutMeaning), "{name}");
            for name in [name, known_name(name).expect("it is known")] {
                let found = matching(&config, &[name.as_bytes()]);
                assert_eq!(found, [(name.to_owned(), shown.to_owned())]);
            }
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("1kb"), Ok(1024));
        assert_eq!(bytes("2MB"), Ok(2 << 20));
        assert_eq!(bytes("3k"), Ok(3000));
        assert!(bytes("x").is_err());
        assert!(bytes("99999999999gb").is_err());
    }
}
