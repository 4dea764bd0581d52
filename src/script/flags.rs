//! Script flags: their names, and where they come from.
//!
//! `SCRIPT FLAGS` wins whole; else the script's own header; else the server's defaults. A header
//! replaces the defaults if it is of the `--!df` kind or names a flag that chooses the mode; one
//! that names only Redis's own flags adds to them.

use crate::resp::parser::split_words;

/// A set of flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u16);

impl Flags {
    /// None.
    pub const NONE: Flags = Flags(0);
    /// Any key may be used.
    pub const ALLOW_UNDECLARED_KEYS: Flags = Flags(1);
    /// Each call by itself.
    pub const DISABLE_ATOMICITY: Flags = Flags(1 << 1);
    /// Writes are an error; one snapshot.
    pub const NO_WRITES: Flags = Flags(1 << 2);
    /// A script that raises leaves nothing.
    pub const ROLLBACK_ON_ERROR: Flags = Flags(1 << 3);
    /// Accepted: replies are cut toward zero here in any case.
    pub const LEGACY_FLOAT: Flags = Flags(1 << 4);
    /// Writes are allowed although more memory is in use than `maxmemory`.
    pub const ALLOW_OOM: Flags = Flags(1 << 5);
    /// Accepted: there is no stale replica.
    pub const ALLOW_STALE: Flags = Flags(1 << 6);
    /// Accepted: there is no cluster.
    pub const NO_CLUSTER: Flags = Flags(1 << 7);
    /// Accepted: there are no slots to cross.
    pub const ALLOW_CROSS_SLOT_KEYS: Flags = Flags(1 << 8);
    /// Accepted: declared keys never lock out others here.
    pub const ALLOW_KEY_LOCKING: Flags = Flags(1 << 9);
    /// Any key may be used, and others may write meanwhile: what the script read is compared.
    pub const OPTIMISTIC_UNDECLARED_KEYS: Flags = Flags(1 << 10);

    const NAMES: [(&'static str, Flags); 11] = [
        ("allow-undeclared-keys", Flags::ALLOW_UNDECLARED_KEYS),
        ("disable-atomicity", Flags::DISABLE_ATOMICITY),
        ("no-writes", Flags::NO_WRITES),
        ("rollback-on-error", Flags::ROLLBACK_ON_ERROR),
        ("legacy-float", Flags::LEGACY_FLOAT),
        ("allow-oom", Flags::ALLOW_OOM),
        ("allow-stale", Flags::ALLOW_STALE),
        ("no-cluster", Flags::NO_CLUSTER),
        ("allow-cross-slot-keys", Flags::ALLOW_CROSS_SLOT_KEYS),
        ("allow-key-locking", Flags::ALLOW_KEY_LOCKING),
        (
            "optimistic-undeclared-keys",
            Flags::OPTIMISTIC_UNDECLARED_KEYS,
        ),
    ];

    pub(crate) const fn bits(self) -> u16 {
        self.0
    }

    /// From what `bits` gave.
    pub(crate) const fn of_bits(bits: u16) -> Flags {
        Flags(bits)
    }

    /// The flag of this name.
    pub fn of_name(name: &[u8]) -> Option<Flags> {
        Flags::NAMES
            .iter()
            .find(|(known, _)| known.as_bytes() == name)
            .map(|(_, flag)| *flag)
    }

    /// The names of the flags that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Flags::NAMES
            .into_iter()
            .filter(move |(_, flag)| self.has(*flag))
            .map(|(name, _)| name)
    }

    /// Whether all of `flags` are set.
    pub fn has(self, flags: Flags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Both together.
    pub fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether any of `flags` is set.
    fn has_any(self, flags: Flags) -> bool {
        self.0 & flags.0 != 0
    }

    /// Whether keys may be used that were not declared.
    pub fn allows_undeclared_keys(self) -> bool {
        self.has_any(Flags::ALLOW_UNDECLARED_KEYS.with(Flags::OPTIMISTIC_UNDECLARED_KEYS))
    }

    /// Whether a flag is set that chooses the mode.
    fn chooses_mode(self) -> bool {
        self.allows_undeclared_keys() || self.has(Flags::DISABLE_ATOMICITY)
    }

    /// Checks that the flags make sense together.
    ///
    /// # Errors
    /// [`FlagsError::Contradiction`].
    pub fn checked(self) -> Result<Flags, FlagsError> {
        let contradiction = Flags::ROLLBACK_ON_ERROR.with(Flags::DISABLE_ATOMICITY);
        if self.has(contradiction) {
            Err(FlagsError::Contradiction)
        } else {
            Ok(self)
        }
    }

    /// Flags from a list with `,`, `;` or spaces between the names.
    ///
    /// # Errors
    /// [`FlagsError`].
    pub fn parse(list: &[u8]) -> Result<Flags, FlagsError> {
        let names = list.split(|byte| matches!(byte, b',' | b';' | b' '));
        let mut flags = Flags::NONE;
        for name in names.filter(|name| !name.is_empty()) {
            let flag = Flags::of_name(name);
            flags = flags.with(flag.ok_or_else(|| FlagsError::Unknown(name.to_vec()))?);
        }
        flags.checked()
    }
}

/// The first line of `text`, which a zero byte may not stand in; `None` if it does not end.
pub(super) fn first_line(text: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr2(b'\n', 0, text)?;
    (text[end] == b'\n').then(|| &text[..end])
}

/// What is wrong with flags or with a header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", String::from_utf8_lossy(&self.text()))]
pub enum FlagsError {
    /// No flag of this name.
    Unknown(Vec<u8>),
    /// No flag of this name, in a `#!` header.
    UnknownInShebang(Vec<u8>),
    /// A rollback of what was applied at once.
    Contradiction,
    /// A `#!` header without an end.
    InvalidShebang,
    /// A `#!` header whose quotes do not balance.
    NoEngine,
    /// A `#!` header of another engine.
    UnknownEngine(Vec<u8>),
    /// Something else in a `#!` header.
    UnknownOption(Vec<u8>),
}

impl FlagsError {
    /// The text that clients get; what they sent stands in it byte for byte.
    pub fn text(&self) -> Vec<u8> {
        let (what, named): (&str, &[u8]) = match self {
            FlagsError::Unknown(name) => ("Invalid flag: ", name),
            FlagsError::UnknownInShebang(name) => ("Unexpected flag in script shebang: ", name),
            FlagsError::Contradiction => (
                "rollback-on-error cannot be used together with disable-atomicity",
                b"",
            ),
            FlagsError::InvalidShebang => ("Invalid script shebang", b""),
            FlagsError::NoEngine => ("Invalid engine in script shebang", b""),
            FlagsError::UnknownEngine(name) => ("Unexpected engine in script shebang: ", name),
            FlagsError::UnknownOption(word) => ("Unknown lua shebang option: ", word),
        };
        [what.as_bytes(), named].concat()
    }
}

/// What a script's own header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// There is none.
    None,
    /// Flags that take the place of the defaults.
    Replaces(Flags),
    /// Flags that come on top of the defaults.
    Adds(Flags),
}

impl Header {
    /// Reads the header of a script.
    ///
    /// # Errors
    /// [`FlagsError`].
    pub fn of(body: &[u8]) -> Result<Header, FlagsError> {
        if body.starts_with(b"#!") {
            return Header::shebang(body);
        }
        let Some(rest) = body.trim_ascii_start().strip_prefix(b"--!df flags=") else {
            return Ok(Header::None);
        };
        // Without an end the line is a comment like any other.
        let Some(end) = rest.iter().position(u8::is_ascii_whitespace) else {
            return Ok(Header::None);
        };
        Ok(Header::Replaces(Flags::parse(&rest[..end])?))
    }

    fn shebang(body: &[u8]) -> Result<Header, FlagsError> {
        let line = first_line(body).ok_or(FlagsError::InvalidShebang)?;
        let words = split_words(line).ok_or(FlagsError::NoEngine)?;
        let mut words = words.iter();
        match words.next().map(Vec::as_slice) {
            Some(b"#!lua") => {}
            other => {
                return Err(FlagsError::UnknownEngine(
                    other.unwrap_or_default().to_vec(),
                ));
            }
        }
        let mut flags = Flags::NONE;
        for word in words {
            let list = word.strip_prefix(b"flags=");
            let list = list.ok_or_else(|| FlagsError::UnknownOption(word.clone()))?;
            if list.is_empty() {
                continue;
            }
            for name in list.split(|byte| matches!(byte, b',' | b';')) {
                let flag = Flags::of_name(name);
                let unknown = || FlagsError::UnknownInShebang(name.to_vec());
                flags = flags.with(flag.ok_or_else(unknown)?);
            }
        }
        Ok(Header::naming(flags.checked()?))
    }

    /// The header of what names these flags by itself.
    pub fn naming(flags: Flags) -> Header {
        if flags.chooses_mode() {
            Header::Replaces(flags)
        } else {
            Header::Adds(flags)
        }
    }

    /// The flags of a script with this header.
    pub fn over(self, defaults: Flags) -> Flags {
        match self {
            Header::None => defaults,
            Header::Replaces(flags) => flags,
            Header::Adds(flags) => {
                let both = defaults.with(flags);
                // Defaults that a header contradicts give way to it.
                both.checked().unwrap_or(flags)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_both_dialects() {
        let undeclared = Flags::ALLOW_UNDECLARED_KEYS;
        let both = undeclared.with(Flags::DISABLE_ATOMICITY);
        for (body, header) in [
            (&b"return 1"[..], Header::None),
            (b"#!lua\nreturn 1", Header::Adds(Flags::NONE)),
            (
                b"#!lua flags=no-writes\nreturn 1",
                Header::Adds(Flags::NO_WRITES),
            ),
            (
                b"#!lua flags=no-writes \"flags=allow-undeclared-keys\" flags=\n",
                Header::Replaces(undeclared.with(Flags::NO_WRITES)),
            ),
            (
                b"\n --!df flags=allow-undeclared-keys,disable-atomicity\n",
                Header::Replaces(both),
            ),
            (b"--!df flags=\nreturn 1", Header::Replaces(Flags::NONE)),
            (b"--!df flags=nonsense", Header::None),
            (b"-- x\n--!df flags=no-writes\n", Header::None),
        ] {
            assert_eq!(
                Header::of(body),
                Ok(header),
                "{}",
                String::from_utf8_lossy(body)
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, error) in [
            (
                &b"#!lua flags=x\n"[..],
                FlagsError::UnknownInShebang("x".into()),
            ),
            (b"#!lua", FlagsError::InvalidShebang),
            (b"#!lua \0\n", FlagsError::InvalidShebang),
            (b"#!\n", FlagsError::UnknownEngine("#!".into())),
            (b"#! lua\n", FlagsError::UnknownEngine("#!".into())),
            (b"#!js\n", FlagsError::UnknownEngine("#!js".into())),
            (b"#!lua \"x\n", FlagsError::NoEngine),
            (b"#!lua a=b\n", FlagsError::UnknownOption("a=b".into())),
            (
                b"#!lua name=x\n",
                FlagsError::UnknownOption("name=x".into()),
            ),
            (b"#!lua flags=,\n", FlagsError::UnknownInShebang(Vec::new())),
            (
                b"#!lua flags=no-writes,,allow-oom\n",
                FlagsError::UnknownInShebang(Vec::new()),
            ),
            (b"--!df flags=x\n", FlagsError::Unknown("x".into())),
            (
                b"--!df flags=rollback-on-error,disable-atomicity\n",
                FlagsError::Contradiction,
            ),
        ] {
            assert_eq!(Header::of(body), Err(error));
        }
    }

    #[test]
    fn redis_flags_add_to_the_defaults_and_mode_flags_replace_them() {
        let defaults = Flags::ALLOW_UNDECLARED_KEYS;
        let over = |body: &[u8]| Header::of(body).expect("a header").over(defaults);
        assert_eq!(over(b"return 1"), defaults);
        assert_eq!(
            over(b"#!lua flags=no-writes\n"),
            defaults.with(Flags::NO_WRITES)
        );
        assert_eq!(
            over(b"#!lua flags=disable-atomicity\n"),
            Flags::DISABLE_ATOMICITY
        );
        assert_eq!(over(b"--!df flags=\n"), Flags::NONE);
    }
}
