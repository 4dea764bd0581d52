//! The options of SET and GETEX, and when something expires.

use darter_storage::Deadline;
use twox_hash::XxHash3_64;

use super::args::{Args, Options as Walk};
use super::error::CommandError;
use super::view::View;
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

impl Found {
    /// Whether a key is in that state.
    pub(super) fn holds(self, view: &View<'_>, key: &[u8]) -> Result<bool, CommandError> {
        Ok(match self {
            Found::Any => true,
            Found::Only => view.exists(key)?,
            Found::Never => !view.exists(key)?,
        })
    }
}

/// What the string of a key must be, for SET and DELEX (Redis 8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition<'a> {
    /// A string, or a digest of one.
    expected: &'a [u8],
    by_digest: bool,
    /// It must be another.
    is_other: bool,
}

/// The digest of a string: XXH3 of 64 bits, in hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("{:016x}", XxHash3_64::oneshot(bytes))
}

impl<'a> Condition<'a> {
    /// IFEQ.
    pub(super) fn equal(expected: &'a [u8]) -> Condition<'a> {
        Condition {
            expected,
            by_digest: false,
            is_other: false,
        }
    }

    /// Takes IFEQ, IFNE, IFDEQ or IFDNE with what follows it, if one of them comes next.
    pub(super) fn take(walk: &mut Walk<'a>) -> Result<Option<Condition<'a>>, CommandError> {
        const DIGEST_LENGTH: usize = 16;
        let forms = [
            ("IFEQ", false),
            ("IFNE", false),
            ("IFDEQ", true),
            ("IFDNE", true),
        ];
        let Some((form, by_digest)) = forms.into_iter().find(|(form, _)| walk.take(form)) else {
            return Ok(None);
        };
        let expected = walk.next()?;
        if by_digest
            && (expected.len() != DIGEST_LENGTH || !expected.iter().all(u8::is_ascii_hexdigit))
        {
            return Err(CommandError::text(
                "ERR digest must be exactly 16 hexadecimal characters",
            ));
        }
        Ok(Some(Condition {
            expected,
            by_digest,
            is_other: form.ends_with("NE"),
        }))
    }

    /// Whether a key's string is as it must be. One that is not there is another than any.
    ///
    /// # Errors
    /// [`CommandError::WrongType`].
    pub(super) fn holds(&self, view: &View<'_>, key: &[u8]) -> Result<bool, CommandError> {
        let Some(value) = view.string(key)? else {
            return Ok(self.is_other);
        };
        let length = value.len();
        let is_same = if self.by_digest {
            view.check_room_to_read(length)?;
            let own = digest(&value.range(0, length));
            self.expected.eq_ignore_ascii_case(own.as_bytes())
        } else {
            length == self.expected.len() && *value.range(0, length) == *self.expected
        };
        Ok(is_same != self.is_other)
    }
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

/// Which options a command has, besides EX and its kin.
#[derive(Clone, Copy)]
struct Takes {
    /// NX, XX and KEEPTTL.
    has_states: bool,
    /// IFEQ and its kin, and GET.
    has_conditions: bool,
    has_persist: bool,
}

/// The options as they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options<'a> {
    pub(super) found: Found,
    pub(super) condition: Option<Condition<'a>>,
    pub(super) expiry: Expiry<'a>,
    /// Whether SET returns what was there.
    pub(super) get: bool,
}

impl<'a> Options<'a> {
    pub(super) fn of_set(args: &Args<'a>) -> Result<Options<'a>, CommandError> {
        let of = Takes {
            has_states: true,
            has_conditions: true,
            has_persist: false,
        };
        Options::parse(args, 3, of)
    }

    pub(super) fn of_getex(args: &Args<'a>) -> Result<Options<'a>, CommandError> {
        let of = Takes {
            has_states: false,
            has_conditions: false,
            has_persist: true,
        };
        Options::parse(args, 2, of)
    }

    /// Of MSETEX, whose keys and values end before `from`.
    pub(super) fn of_msetex(args: &Args<'a>, from: usize) -> Result<Options<'a>, CommandError> {
        let of = Takes {
            has_states: true,
            has_conditions: false,
            has_persist: false,
        };
        Options::parse(args, from, of)
    }

    /// Options may be repeated, but not contradict each other.
    fn parse(args: &Args<'a>, from: usize, of: Takes) -> Result<Options<'a>, CommandError> {
        let mut options = Options {
            found: Found::Any,
            condition: None,
            expiry: Expiry::None,
            get: false,
        };
        let mut walk = args.options(from);
        while !walk.is_empty() {
            if of.has_states && options.may_be(Found::Never) && walk.take("NX") {
                options.found = Found::Never;
            } else if of.has_states && options.may_be(Found::Only) && walk.take("XX") {
                options.found = Found::Only;
            } else if of.has_conditions
                && options.found == Found::Any
                && options.condition.is_none()
                && let Some(condition) = Condition::take(&mut walk)?
            {
                options.condition = Some(condition);
            } else if of.has_conditions && walk.take("GET") {
                options.get = true;
            } else if of.has_states && options.allows(Expiry::Keep) && walk.take("KEEPTTL") {
                options.expiry = Expiry::Keep;
            } else if of.has_persist && options.allows(Expiry::Persist) && walk.take("PERSIST") {
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

    /// When what is set is to go.
    pub(super) fn deadline(
        &self,
        view: &View<'_>,
        command: &'static str,
    ) -> Result<Deadline, CommandError> {
        Ok(match self.expiry {
            Expiry::None | Expiry::Persist => Deadline::Never,
            Expiry::Keep => Deadline::Keep,
            Expiry::In { value, form } => {
                Deadline::At(until_ms(value, form, view.now_ms(), command)?)
            }
        })
    }

    /// Whether NX or XX does not contradict what was said before.
    fn may_be(&self, found: Found) -> bool {
        self.condition.is_none() && (self.found == Found::Any || self.found == found)
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
