//! What a Rust function raises in a script.

/// Why a function that a script called does not return a value.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The value on top of the Lua stack is raised as it is.
    #[error("the value on top of the Lua stack")]
    Value,
    /// A message, raised behind the script's position as Lua's own errors are.
    #[error("{0}")]
    Message(String),
    /// A message that is raised without a position, as Lua's C functions and Redis's do.
    #[error("{0}")]
    Plain(&'static str),
    /// The function has to be called again, with the same arguments, when the run is resumed.
    #[error("called again later")]
    Wait,
}

impl Failure {
    /// A failure with a fixed text.
    pub(super) fn text(message: &str) -> Failure {
        Failure::Message(message.to_owned())
    }
}
