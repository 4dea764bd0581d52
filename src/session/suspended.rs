//! How many scripts have not come to their end within a slice. Each keeps an interpreter and a stack,
//! so there is a limit to their number.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Core;
use crate::commands::command::{Command, Control, Run};
use crate::commands::error::CommandError;
use crate::fault::fault;
use crate::services::Services;

/// One of them, until this is dropped.
pub(super) struct Suspended(Arc<Services>);

impl Suspended {
    pub(super) fn new(services: &Arc<Services>) -> Suspended {
        services.suspended_scripts.fetch_add(1, Ordering::Relaxed);
        Suspended(Arc::clone(services))
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        self.0.suspended_scripts.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether there are `lua-max-suspended`.
pub(super) fn are_too_many(core: &Core) -> bool {
    // Relaxed: threads may go beyond the limit by a script each.
    let config = &core.services.config;
    let max = config.lua_suspended_max.load(Ordering::Relaxed);
    let now = core.services.suspended_scripts.load(Ordering::Relaxed);
    max > 0 && now >= max && !fault!("scripts without end in number")
}

/// Refuses what would run a script, while there are `lua-max-suspended` that have not come to their
/// end.
pub(super) fn check(core: &Core, command: &Command) -> Result<(), CommandError> {
    let Run::Control(control) = command.run else {
        return Ok(());
    };
    if !are_too_many(core) {
        return Ok(());
    }
    let begins = match (&core.multi, control) {
        (Some(multi), Control::Exec) => {
            let mut items = multi.items.iter();
            items.any(|item| item.entry.command.runs_script().is_some())
        }
        (Some(_), _) => false,
        (None, Control::Explain { .. }) => true,
        (None, _) => control.runs_script().is_some(),
    };
    if begins {
        return Err(CommandError::text(
            "ERR Too many scripts are suspended (lua-max-suspended).",
        ));
    }
    Ok(())
}
