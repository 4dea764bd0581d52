//! MULTI's queue, and WATCH.

use darter_storage::Snapshot;

use super::Core;
use crate::commands::args::Args;
use crate::commands::table::Entry;
use crate::resp::reply::Reply;

/// A queued command.
pub(super) struct Item {
    pub(super) entry: Entry,
    pub(super) arguments: Vec<Box<[u8]>>,
}

impl Item {
    pub(super) fn new(entry: Entry, args: &Args<'_>) -> Item {
        let arguments = args
            .all()
            .iter()
            .map(|argument| Box::from(*argument))
            .collect();
        Item { entry, arguments }
    }

    /// The arguments, as commands take them.
    pub(super) fn arguments(&self) -> Vec<&[u8]> {
        self.arguments.iter().map(|argument| &**argument).collect()
    }
}

/// What has been queued since MULTI.
#[derive(Default)]
pub(super) struct Multi {
    pub(super) items: Vec<Item>,
    /// A command was refused: EXEC will be, too.
    pub(super) is_dirty: bool,
}

/// Watched keys, and the state that they must still be in.
pub(super) struct Watch {
    pub(super) snapshot: Snapshot,
    pub(super) keys: Vec<(usize, Box<[u8]>)>,
}

/// WATCH: the first one takes a snapshot, against which EXEC compares; keys that are watched later
/// and have changed since count as changed only from then on.
pub(super) fn watch(core: &mut Core, args: &Args<'_>, reply: &mut dyn Reply) {
    let database = core.client.database;
    let keys = args.from(1).iter().map(|key| (database, Box::from(*key)));
    core.watches.push(Watch {
        snapshot: core.services.store.snapshot(),
        keys: keys.collect(),
    });
    reply.status("OK");
}
