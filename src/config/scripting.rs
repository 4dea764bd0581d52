//! Options of scripts that name scripts by their SHA-1, and switches as Dragonfly writes them.

use std::sync::atomic::Ordering::Relaxed;

use super::parameters::Change;
use super::{Config, Startup};
use crate::script::cache::{Sha, parse_sha};
use crate::script::flags::Flags;

fn sha_of(text: &str) -> Result<Sha, String> {
    let sha = parse_sha(text.as_bytes()).filter(|sha| sha.iter().all(u8::is_ascii_hexdigit));
    sha.ok_or_else(|| format!("'{text}' is not a SHA-1 of 40 hexadecimal digits"))
}

fn text_of(sha: &Sha) -> String {
    String::from_utf8_lossy(sha).into_owned()
}

pub(super) fn script_flags_text(config: &Config) -> String {
    let all = config.startup.script_flags.iter().map(|(sha, flags)| {
        let names: Vec<_> = flags.names().collect();
        format!("{}:{}", text_of(sha), names.join("+"))
    });
    all.collect::<Vec<_>>().join(" ")
}

/// Adds to what was set before: the option may be given several times.
pub(super) fn add_script_flags(startup: &mut Startup, text: &str) -> Result<(), String> {
    for word in text.split_whitespace() {
        let pair = word.split_once(':');
        let (sha, list) = pair.ok_or_else(|| format!("'{word}' is not sha:flag+flag"))?;
        let sha = sha_of(sha)?;
        let added = Flags::parse(list.replace('+', ",").as_bytes());
        let added = added.map_err(|error| error.to_string())?;
        let all = &mut startup.script_flags;
        let known = all.iter().position(|(known, _)| *known == sha);
        let before = known.map_or(Flags::NONE, |at| all[at].1);
        let flags = before.with(added).checked();
        let flags = flags.map_err(|error| error.to_string())?;
        match known {
            Some(at) => all[at].1 = flags,
            None => all.push((sha, flags)),
        }
    }
    Ok(())
}

pub(super) fn undeclared_text(config: &Config) -> String {
    let all: Vec<_> = config.startup.undeclared_shas.iter().map(text_of).collect();
    all.join(",")
}

pub(super) fn set_undeclared(startup: &mut Startup, text: &str) -> Result<(), String> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    startup.undeclared_shas = words.map(sha_of).collect::<Result<_, _>>()?;
    Ok(())
}

/// Dragonfly's switches are true or false, Redis's yes or no; here each is both.
fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("argument must be 'yes' or 'no'".into()),
    }
}

pub(super) fn set_auto_correct(change: &mut Change<'_>, text: &str) -> Result<(), String> {
    change.shared().corrects_flags.store(switch(text)?, Relaxed);
    Ok(())
}

pub(super) fn set_hashtags(change: &mut Change<'_>, text: &str) -> Result<(), String> {
    change
        .shared()
        .declares_by_tag
        .store(switch(text)?, Relaxed);
    Ok(())
}

pub(super) fn set_log(change: &mut Change<'_>, text: &str) -> Result<(), String> {
    change.shared().scripts_log.store(switch(text)?, Relaxed);
    Ok(())
}

pub(super) fn set_cluster_mode(startup: &mut Startup, text: &str) -> Result<(), String> {
    startup.emulates_cluster = match text.to_ascii_lowercase().as_str() {
        "" | "no" => false,
        "emulated" => true,
        _ => return Err("there is no cluster but an 'emulated' one of this server alone".into()),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";

    fn set(config: &mut Config, text: &str) -> Result<(), String> {
        add_script_flags(&mut config.startup, text)
    }

    #[test]
    fn flags_of_a_script_add_up() {
        let mut config = Config::default();
        let upper = SHA.to_ascii_uppercase();
        set(&mut config, &format!("{upper}:no-writes")).unwrap();
        set(&mut config, &format!("{SHA}:allow-oom+no-writes")).unwrap();
        assert_eq!(
            script_flags_text(&config),
            format!("{SHA}:no-writes+allow-oom")
        );
        for (wrong, what) in [
            ("abc:no-writes".to_owned(), "not a SHA-1"),
            (SHA.to_owned(), "is not sha:flag+flag"),
            (format!("{SHA}:nonsense"), "Invalid flag: nonsense"),
            (
                format!("{SHA}:rollback-on-error+disable-atomicity"),
                "cannot be used together",
            ),
        ] {
            let error = set(&mut config, &wrong).unwrap_err();
            assert!(error.contains(what), "{wrong}: {error}");
        }
    }

    #[test]
    fn lists_of_scripts_are_read_whole() {
        let mut config = Config::default();
        let other = "0".repeat(40);
        set_undeclared(&mut config.startup, &format!("{SHA},{other}")).unwrap();
        assert_eq!(undeclared_text(&config), format!("{SHA},{other}"));
        assert!(set_undeclared(&mut config.startup, "x").is_err());
        set_undeclared(&mut config.startup, "").unwrap();
        assert_eq!(undeclared_text(&config), "");
    }
}
