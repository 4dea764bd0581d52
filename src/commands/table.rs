//! All commands, found by their names.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::command::Command;

/// The families, in the order of the documentation.
const FAMILIES: &[&[Command]] = &[
    super::string::COMMANDS,
    super::conditional::COMMANDS,
    super::counter::COMMANDS,
    super::lcs::COMMANDS,
    super::key::COMMANDS,
    super::dump::COMMANDS,
    super::expire::COMMANDS,
    super::scan::COMMANDS,
    super::key_range::COMMANDS,
    super::keyspace::COMMANDS,
    super::object::COMMANDS,
    super::memory::COMMANDS,
    super::hash::COMMANDS,
    super::hash_deadlines::COMMANDS,
    super::set::COMMANDS,
    super::list::COMMANDS,
    super::sorted_set::COMMANDS,
    super::stream::COMMANDS,
    super::bitmap::COMMANDS,
    super::bitfield::COMMANDS,
    super::hyperloglog::COMMANDS,
    super::geo::COMMANDS,
    super::sort::COMMANDS,
    super::snapshot::COMMANDS,
    super::transaction::COMMANDS,
    super::scripting::COMMANDS,
    super::function::COMMANDS,
    super::connection::COMMANDS,
    super::client::COMMANDS,
    super::cluster::COMMANDS,
    super::server::COMMANDS,
    super::introspection::COMMANDS,
    super::config::COMMANDS,
    super::slow_log::COMMANDS,
    super::latency::COMMANDS,
    super::monitor::COMMANDS,
    super::pubsub::COMMANDS,
    super::replication::COMMANDS,
    super::debug::COMMANDS,
    super::absent::COMMANDS,
    #[cfg(test)]
    super::misbehaving::COMMANDS,
];

/// Names are looked up in a buffer on the stack; no command's is longer.
const NAME_BYTES_MAX: usize = 32;

/// A command and its place in the table.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The command.
    pub command: &'static Command,
    /// The command that it is a subcommand of.
    pub container: Option<&'static Command>,
    /// Its place, for counters.
    pub index: usize,
}

impl Entry {
    /// The name as Redis writes it in errors and statistics: `get`, `config|get`.
    pub fn full_name(&self) -> String {
        let name = self.command.name.to_ascii_lowercase();
        match self.container {
            Some(container) => format!("{}|{name}", container.name.to_ascii_lowercase()),
            None => name,
        }
    }
}

struct Table {
    entries: Vec<Entry>,
    by_name: HashMap<&'static [u8], usize, ahash::RandomState>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut entries = Vec::new();
        let mut by_name = HashMap::with_hasher(ahash::RandomState::new());
        for command in FAMILIES.iter().copied().flatten() {
            by_name.insert(command.name.as_bytes(), entries.len());
            entries.push(Entry {
                command,
                container: None,
                index: entries.len(),
            });
            for subcommand in command.subcommands {
                let index = entries.len();
                entries.push(Entry {
                    command: subcommand,
                    container: Some(command),
                    index,
                });
            }
        }
        Table { entries, by_name }
    })
}

/// All commands and subcommands, containers included.
pub fn all() -> &'static [Entry] {
    &table().entries
}

/// The top-level command of this name, in any case. O(1).
pub fn find(name: &[u8]) -> Option<Entry> {
    let mut upper = [0; NAME_BYTES_MAX];
    let upper = upper.get_mut(..name.len())?;
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    let table = table();
    table
        .by_name
        .get(&*upper)
        .map(|index| table.entries[*index])
}

/// The subcommand of a container, in any case.
pub fn find_subcommand(container: Entry, name: &[u8]) -> Option<Entry> {
    let subcommands = container.command.subcommands;
    let at = subcommands
        .iter()
        .position(|c| c.name.as_bytes().eq_ignore_ascii_case(name))?;
    Some(table().entries[container.index + 1 + at])
}
