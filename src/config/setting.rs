//! Options by their names: set, shown, refused.

use std::sync::PoisonError;

use super::Config;
use super::parameters::{Change, PARAMETERS, Parameter, When, value_of};
use super::values::bytes;
use super::without_meaning::WITHOUT_MEANING;
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

fn find_without_meaning(name: &str) -> Option<(&'static str, &'static str)> {
    // Options of replicas have an older name each.
    let name = canonical(name).replace("slave", "replica");
    let mut all = WITHOUT_MEANING.iter().copied();
    all.find(|(known, _)| canonical(known) == name)
}

/// The name of an option that may be set, however it is spelled.
pub fn known_name(name: &str) -> Option<&'static str> {
    let own = find(name).map(|parameter| parameter.name);
    own.or_else(|| find_without_meaning(name).map(|(known, _)| known))
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
    let without_meaning = WITHOUT_MEANING.iter().map(|(name, _)| *name);
    let refused = REFUSED.iter().map(|(name, ..)| *name);
    let refused = refused.filter(|name| find_without_meaning(name).is_none());
    without_meaning.chain(refused)
}

/// Whether a value is the one that Redis has anyway, so that nothing is lost without it.
fn is_default(default: &str, value: &str) -> bool {
    default.eq_ignore_ascii_case(value)
        || bytes(value).is_ok_and(|size| default.parse() == Ok(size))
}

/// Sets an option by its name.
///
/// # Errors
/// It is not known, may not be set now, cannot be kept, or the value is wrong; the text says so.
pub fn set(change: &mut Change<'_>, name: &str, value: &str) -> Result<Outcome, String> {
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
    let Some((known, default)) = find_without_meaning(name) else {
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
    kept.retain(|(name, _)| name != known);
    kept.push((known.to_owned(), value.to_owned()));
    Ok(if is_default(default, value) {
        Outcome::Default
    } else {
        Outcome::WithoutMeaning
    })
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
    let others = WITHOUT_MEANING.iter().map(|(name, default)| {
        let set = kept.iter().find(|(known, _)| known == name);
        (
            *name,
            set.map_or((*default).to_owned(), |(_, value)| value.clone()),
        )
    });
    own.chain(aliases)
        .chain(others)
        .filter(|(name, _)| is_wanted(name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_option_stands_twice() {
        let mut names: Vec<String> = PARAMETERS
            .iter()
            .map(|parameter| canonical(parameter.name))
            .collect();
        names.extend(WITHOUT_MEANING.iter().map(|(name, _)| canonical(name)));
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
    fn sizes_have_units() {
        assert_eq!(bytes("1kb"), Ok(1024));
        assert_eq!(bytes("2MB"), Ok(2 << 20));
        assert_eq!(bytes("3k"), Ok(3000));
        assert!(bytes("x").is_err());
        assert!(bytes("99999999999gb").is_err());
    }
}
