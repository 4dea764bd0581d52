//! The options of SET and GETEX, and when something expires.

use super::args::Args;
use super::error::CommandError;
use crate::resp::number::parse_integer;

/// Which state of the key lets SET write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Any.
    Any,
    /// There (XX).
    Only,
    /// Not there (NX).
    Never,
}

/// What becomes of the time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry<'a> {
    /// Nothing was said.
    None,
    /// It stays (KEEPTTL).
    Keep,
    /// There is none any more (PERSIST).
    Persist,
    /// It is given: EX, PX, EXAT or PXAT.
    In {
        /// As written.
        value: &'a [u8],
        /// The option's name.
        form: &'static str,
    },
}

/// The options as they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options<'a> {
    pub(super) found: Found,
    pub(super) expiry: Expiry<'a>,
    /// Whether SET returns what was there.
    pub(super) get: bool,
}

impl<'a> Options<'a> {
    pub(super) fn of_set(args: &Args<'a>) -> Result<Options<'a>, CommandError> {
        Options::parse(args, 3, true)
    }

    pub(super) fn of_getex(args: &Args<'a>) -> Result<Options<'a>, CommandError> {
        Options::parse(args, 2, false)
    }

    /// Options may be repeated, but not contradict each other.
    fn parse(args: &Args<'a>, from: usize, is_set: bool) -> Result<Options<'a>, CommandError> {
        let mut options = Options {
            found: Found::Any,
            expiry: Expiry::None,
            get: false,
        };
        let mut walk = args.options(from);
        while !walk.is_empty() {
            if is_set && options.found != Found::Only && walk.take("NX") {
                options.found = Found::Never;
            } else if is_set && options.found != Found::Never && walk.take("XX") {
                options.found = Found::Only;
            } else if is_set && walk.take("GET") {
                options.get = true;
            } else if is_set && options.allows(Expiry::Keep) && walk.take("KEEPTTL") {
                options.expiry = Expiry::Keep;
            } else if !is_set && options.allows(Expiry::Persist) && walk.take("PERSIST") {
                options.expiry = Expiry::Persist;
            } else {
                let taken = ["EX", "PX", "EXAT", "PXAT"]
                    .into_iter()
                    .find(|form| walk.take(form));
                let form = taken.ok_or(CommandError::Syntax)?;
                let expiry = Expiry::In {
                    value: walk.next()?,
                    form,
                };
                if !options.allows(expiry) {
                    return Err(CommandError::Syntax);
                }
                options.expiry = expiry;
            }
        }
        Ok(options)
    }

    /// Whether `expiry` does not contradict what was said before.
    fn allows(&self, expiry: Expiry<'_>) -> bool {
        match (self.expiry, expiry) {
            (Expiry::None, _) => true,
            (Expiry::In { form: one, .. }, Expiry::In { form: other, .. }) => one == other,
            (one, other) => one == other,
        }
    }
}

/// The time that an option such as `EX 10` means, in milliseconds since 1970.
pub(super) fn until_ms(
    value: &[u8],
    form: &str,
    now_ms: u64,
    command: &'static str,
) -> Result<u64, CommandError> {
    let value = parse_integer(value).ok_or(CommandError::NotAnInteger)?;
    let invalid = CommandError::InvalidExpire(command);
    if value <= 0 {
        return Err(invalid);
    }
    let scale = if form.starts_with('E') { 1000 } else { 1 };
    let base_ms = if form.ends_with("AT") {
        0
    } else {
        now_ms as i64
    };
    let at_ms = value
        .checked_mul(scale)
        .and_then(|value| value.checked_add(base_ms));
    at_ms.map(|at_ms| at_ms as u64).ok_or(invalid)
}
