//! What an EXEC's commands count in INFO and SLOWLOG: once, when they have become part of history,
//! however often they ran.

use std::time::Instant;

use super::Core;
use super::multi::Item;
use super::script_run::{Ended, Flight};
use crate::commands::error::CommandError;
use crate::script_stats::Tally;
use crate::stats::count;

/// Nanoseconds since `clock`, which is set to now.
pub(super) fn lap(clock: &mut Instant) -> u64 {
    let now = Instant::now();
    let began = std::mem::replace(clock, now);
    now.saturating_duration_since(began).as_nanos() as u64
}

/// A command has replied an error.
pub(super) fn count_failure(core: &Core, item: &Item, error: &CommandError) {
    count(&core.stats.commands[item.entry.index].failed, 1);
    core.services.stats.count_error(&error.wire());
}

/// A command that has run.
struct Command {
    /// Its place in the queue.
    at: usize,
    elapsed_ns: u64,
    error: Option<CommandError>,
}

/// How a script came to its end.
pub(super) enum Ending {
    /// By itself.
    Itself { is_error: bool },
    /// Nothing of it is left: it raised, or was ended for this reason.
    Undone(Option<Ended>),
}

/// A script that has run.
struct RanScript {
    at: usize,
    flight: Flight,
    ending: Ending,
}

impl RanScript {
    fn happen(&self, core: &Core, item: &Item) {
        match &self.ending {
            Ending::Undone(Some(ended)) => {
                self.flight.account_ended(core, ended, &Tally::default());
            }
            _ => self.flight.account_end(core, &Tally::default()),
        }
        let counts = &core.stats.commands[item.entry.index];
        counts.record(self.flight.started.elapsed().as_nanos() as u64);
        let is_error = !matches!(self.ending, Ending::Itself { is_error: false });
        count(&counts.failed, u64::from(is_error));
    }
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Counts {
    commands: Vec<Command>,
    scripts: Vec<RanScript>,
    hits: u64,
    misses: u64,
}

impl Counts {
    /// The command at a place in the queue has run for so long.
    pub(super) fn note(&mut self, at: usize, elapsed_ns: u64, error: Option<CommandError>) {
        self.commands.push(Command {
            at,
            elapsed_ns,
            error,
        });
    }

    /// A command that reads has found so many keys, and so many not.
    pub(super) fn note_reads(&mut self, (hits, misses): (u32, u32)) {
        self.hits += u64::from(hits);
        self.misses += u64::from(misses);
    }

    /// The script at a place in the queue has run, and SCRIPT KILL finds it no longer.
    pub(super) fn note_script(&mut self, at: usize, flight: Flight, ending: Ending) {
        flight.note_over();
        self.scripts.push(RanScript { at, flight, ending });
    }

    /// All of it runs again, but for scripts of which nothing is left.
    pub(super) fn go_back(&mut self) {
        let is_undone = |script: &RanScript| matches!(script.ending, Ending::Undone(_));
        self.scripts.retain(is_undone);
        *self = Counts {
            scripts: std::mem::take(&mut self.scripts),
            ..Counts::default()
        };
    }

    /// The scripts, with their places.
    pub(super) fn into_scripts(self) -> impl Iterator<Item = (usize, Flight)> {
        self.scripts
            .into_iter()
            .map(|script| (script.at, script.flight))
    }

    /// The transaction of `items` has become part of history.
    pub(super) fn happen(&self, core: &Core, items: &[Item]) {
        for command in &self.commands {
            let item = &items[command.at];
            count_run(core, item, command.elapsed_ns);
            if let Some(error) = &command.error {
                count_failure(core, item, error);
            }
        }
        for script in &self.scripts {
            script.happen(core, &items[script.at]);
        }
        count(&core.stats.hits, self.hits);
        count(&core.stats.misses, self.misses);
    }
}

/// Counts a command's run.
pub(super) fn count_run(core: &Core, item: &Item, elapsed_ns: u64) {
    core.stats.commands[item.entry.index].record(elapsed_ns);
    if core.is_slow(elapsed_ns) {
        core.note_slow(item.entry.index, elapsed_ns, &item.arguments.to_vec());
    }
}
