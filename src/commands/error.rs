//! What can go wrong with a command, and the texts that clients see.

use std::borrow::Cow;

/// Why a command failed. [`CommandError::wire`] is its text, its code first; `Display` the same for
/// people to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The key holds a value of another type.
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    /// The arguments do not fit together.
    #[error("ERR syntax error")]
    Syntax,
    /// An argument or a stored value is not a 64-bit integer.
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    /// An argument or a stored value is not a double.
    #[error("ERR value is not a valid float")]
    NotAFloat,
    /// A number is outside of what the command takes.
    #[error("ERR value is out of range")]
    OutOfRange,
    /// A number must not be negative.
    #[error("ERR value is out of range, must be positive")]
    NotPositive,
    /// A sum leaves the range of 64-bit integers.
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    /// A sum is not a number that a double can keep.
    #[error("ERR increment would produce NaN or Infinity")]
    NotFinite,
    /// A string would become longer than allowed.
    #[error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")]
    StringTooLong,
    /// More memory is in use than `maxmemory` allows, or would be.
    #[error("OOM command not allowed when used memory > 'maxmemory'.")]
    OutOfMemory,
    /// The snapshot read at was ended because of a limit.
    #[error("SNAPSHOTTOOOLD The snapshot was ended: it was held too long, or kept too much.")]
    SnapshotTooOld,
    /// The key must be there.
    #[error("ERR no such key")]
    NoSuchKey,
    /// The list has no such index.
    #[error("ERR index out of range")]
    IndexOutOfRange,
    /// A database number that does not exist.
    #[error("ERR DB index is out of range")]
    NoSuchDatabase,
    /// A time to live that makes no sense.
    #[error("ERR invalid expire time in '{0}' command")]
    InvalidExpire(&'static str),
    /// Too few or too many arguments.
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(String),
    /// There is nothing to take yet; the reply written so far is what a client that cannot wait
    /// gets. Waits for one of `keys`, at most `timeout_ms` (0: for ever).
    #[error("ERR would block")]
    WouldBlock(Box<Wait>),
    /// Any other error, text whole.
    #[error("{}", String::from_utf8_lossy(.0))]
    Text(Cow<'static, [u8]>),
}

/// What a blocked command waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Keys of the client's database.
    pub keys: Vec<Vec<u8>>,
    /// How long, in milliseconds; 0 is for ever.
    pub timeout_ms: u64,
    /// What to run it with from here on, if not with the arguments that it came with.
    pub arguments: Option<Vec<Vec<u8>>>,
    /// The group of consumers that it reads for, if it does. Then what it has written, who reads,
    /// stays when it begins to wait; and it runs again also when a key goes, to fail.
    pub group: Option<Vec<u8>>,
}

impl CommandError {
    /// An error of the code ERR.
    pub fn err(text: impl AsRef<[u8]>) -> CommandError {
        CommandError::Text(Cow::Owned([b"ERR ", text.as_ref()].concat()))
    }

    /// An error of the code ERR that shows what a client sent, byte for byte.
    pub fn naming(before: &str, name: &[u8], after: &str) -> CommandError {
        CommandError::err([before.as_bytes(), name, after.as_bytes()].concat())
    }

    /// An error with its whole text, code first.
    pub const fn text(text: &'static str) -> CommandError {
        CommandError::Text(Cow::Borrowed(text.as_bytes()))
    }

    /// The text as clients get it.
    pub fn wire(&self) -> Cow<'_, [u8]> {
        match self {
            CommandError::Text(text) => Cow::Borrowed(text),
            other => Cow::Owned(other.to_string().into_bytes()),
        }
    }
}

impl From<darter_storage::Error> for CommandError {
    fn from(error: darter_storage::Error) -> CommandError {
        match error {
            darter_storage::Error::WrongType { .. } => CommandError::WrongType,
            darter_storage::Error::NoSuchDatabase(_) => CommandError::NoSuchDatabase,
            darter_storage::Error::NotAnInteger => CommandError::NotAnInteger,
            darter_storage::Error::StringTooLong => CommandError::StringTooLong,
            darter_storage::Error::SnapshotTooOld => CommandError::SnapshotTooOld,
            other => CommandError::err(other.to_string()),
        }
    }
}
