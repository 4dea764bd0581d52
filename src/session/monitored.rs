//! What monitors are told of this session's commands.

use super::Core;
use crate::commands::command::{Command, flag};
use crate::monitor;
use crate::services::Services;

/// The class of clients whose output limits hold for monitors, as in Redis: replicas.
pub(crate) const OUTPUT_CLASS: usize = 1;

/// Hands a line to all monitors.
pub(super) fn feed(services: &Services, line: Vec<u8>) {
    let limit = services.config.output_limits()[OUTPUT_CLASS];
    services.monitors.feed(line, limit.hard_bytes);
}

impl Core {
    /// Tells monitors of a command that runs. As in Redis what is for the operator is not shown.
    #[inline]
    pub(super) fn tell_monitors(&self, command: &Command, arguments: &[&[u8]]) {
        if self.services.monitors.is_any() && !command.has(flag::ADMIN) {
            let source = &self.client.shared.address;
            let line = monitor::line(self.client.database, source, arguments);
            feed(&self.services, line);
        }
    }
}
