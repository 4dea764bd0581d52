//! DEBUG, which `enable-debug-command` must allow.

use std::net::SocketAddr;

use super::Core;
use crate::commands::command::{Command, flag};
use crate::commands::error::CommandError;
use crate::config::Debugging;

/// Whether a client comes from this machine. What is no address is the path of a Unix socket.
fn is_local(address: &str) -> bool {
    let address = address.parse::<SocketAddr>();
    address.map_or(true, |address| address.ip().to_canonical().is_loopback())
}

/// Why the client may not run the command, if it may not.
#[inline]
pub(super) fn refusal(core: &Core, command: &Command) -> Option<CommandError> {
    command
        .has(flag::PROTECTED)
        .then(|| refusal_of_debug(core))
        .flatten()
}

#[cold]
fn refusal_of_debug(core: &Core) -> Option<CommandError> {
    let is_allowed = match core.services.config.startup.debugging {
        Debugging::No => false,
        Debugging::Local => is_local(&core.client.shared.address),
        Debugging::Yes => true,
    };
    (!is_allowed).then_some(CommandError::text(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", \
         you can run it from a local connection, otherwise you need to set this option in the \
         configuration file, and then restart the server.",
    ))
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn what_comes_from_this_machine_is_local() {
        for address in [
            "127.0.0.1:5000",
            "[::1]:5000",
            "[::ffff:127.0.0.2]:1",
            "/tmp/s",
        ] {
            assert!(is_local(address), "{address}");
        }
        for address in ["10.0.0.1:5000", "[2001:db8::1]:5000", "[::ffff:10.0.0.1]:1"] {
            assert!(!is_local(address), "{address}");
        }
    }
}
