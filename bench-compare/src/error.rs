//! What can go wrong.

use std::io;
use std::path::PathBuf;

/// Why something was not measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Of a file or a socket.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A server answered what was not expected.
    #[error("{request} was answered with {reply}")]
    Reply {
        /// What was asked.
        request: String,
        /// The answer.
        reply: String,
    },
    /// A server ended, or did not answer in time.
    #[error("{path} does not start: {log}")]
    Start {
        /// The program.
        path: PathBuf,
        /// The end of its log.
        log: String,
    },
    /// A program is missing.
    #[error("{0} is not there")]
    Missing(String),
    /// A file of the system's reads otherwise than expected.
    #[error("{0} cannot be understood")]
    Format(String),
}

impl Error {
    /// For `map_err`: an error of the system's while doing `what`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let what = what.into();
        move |source| Error::Io { what, source }
    }
}
