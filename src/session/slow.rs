//! What took long is noted for SLOWLOG and LATENCY.

use super::Core;
use crate::commands::command::flag;
use crate::commands::table::{self, Entry};
use crate::fault::fault;
use crate::latency::Sample;
use crate::slow_log::SlowCommand;

/// The event of LATENCY that a slow command is.
fn event_of(entry: &Entry) -> &'static str {
    if entry.command.runs_script().is_some() {
        "script"
    } else if entry.command.has(flag::FAST) {
        "fast-command"
    } else {
        "command"
    }
}

impl Core {
    /// Whether a command that took so long is to be noted.
    #[inline]
    pub(super) fn is_slow(&self, elapsed_ns: u64) -> bool {
        let config = &self.services.config;
        config.is_slow(elapsed_ns) || config.is_latency_event(elapsed_ns)
    }

    /// Notes that the command at `index` of the table took so long.
    #[cold]
    pub(super) fn note_slow(&self, index: usize, elapsed_ns: u64, arguments: &[&[u8]]) {
        let (services, config) = (&self.services, &self.services.config);
        let Some(entry) = table::all().get(index) else {
            return;
        };
        let unix_s = services.store.now_ms() / 1000;
        if config.is_slow(elapsed_ns) && !fault!("what is slow is not logged") {
            let shared = &self.client.shared;
            let command = SlowCommand {
                id: 0,
                unix_s,
                elapsed_us: elapsed_ns / 1000,
                arguments: Vec::new(),
                address: shared.address.clone(),
                name: shared.names().name.clone(),
            };
            // EXEC keeps no arguments, and has none.
            let name = entry.full_name().to_ascii_uppercase();
            let (own, max) = ([name.as_bytes()], config.slow_log_max());
            let arguments = if arguments.is_empty() {
                &own
            } else {
                arguments
            };
            services.slow_log.add(arguments, command, max);
        }
        if config.is_latency_event(elapsed_ns) {
            let elapsed_ms = elapsed_ns / 1_000_000;
            services
                .latency
                .add(event_of(entry), Sample { unix_s, elapsed_ms });
        }
    }
}
