//! MULTI's queue, and WATCH.

use std::collections::HashSet;

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use darter_storage::{Mode, Snapshot, Store};

use super::Core;
use crate::commands::args::{Args, KeptArguments};
use crate::commands::table::Entry;
use crate::resp::reply::Reply;
use crate::script::found::Found;

/// A queued command.
pub(super) struct Item {
    pub(super) entry: Entry,
    pub(super) arguments: Arc<KeptArguments>,
    /// The script that an EVAL was found to mean: every attempt runs the same one, whatever is
    /// loaded or flushed meanwhile.
    pub(super) script: OnceCell<Rc<Found>>,
}

impl Item {
    pub(super) fn new(entry: Entry, args: &Args<'_>) -> Item {
        Item {
            entry,
            arguments: Arc::new(KeptArguments::new(args)),
            script: OnceCell::new(),
        }
    }
}

/// What arguments take that are kept each by itself, with what it takes to find them.
pub(super) fn kept_bytes<'a>(arguments: impl Iterator<Item = &'a [u8]>) -> usize {
    arguments
        .map(|argument| argument.len() + size_of::<Box<[u8]>>())
        .sum()
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
    pub(super) keys: HashSet<(usize, Box<[u8]>)>,
}

/// All that a client watches.
#[derive(Default)]
pub(super) struct Watches {
    all: Vec<Watch>,
    bytes: usize,
}

impl Watches {
    /// What the keys take, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.take();
    }

    /// All of them, which are forgotten here.
    pub(super) fn take(&mut self) -> Vec<Watch> {
        std::mem::take(self).all
    }

    fn contains(&self, key: &(usize, Box<[u8]>)) -> bool {
        self.all.iter().any(|watch| watch.keys.contains(key))
    }

    fn add(&mut self, store: &Store, keys: HashSet<(usize, Box<[u8]>)>) {
        const BESIDES_KEYS: usize = 64;
        let bytes = keys.iter().map(|(_, key)| key.len() + BESIDES_KEYS);
        self.bytes += bytes.sum::<usize>();
        match self.all.last_mut() {
            Some(last) if last.holds_for(store, &keys) => last.keys.extend(keys),
            _ => self.all.push(Watch {
                snapshot: store.snapshot(),
                keys,
            }),
        }
    }
}

impl Watch {
    /// Whether these keys still are what they were in the snapshot.
    fn holds_for(&self, store: &Store, keys: &HashSet<(usize, Box<[u8]>)>) -> bool {
        let now = store.begin(Mode::Direct);
        keys.iter().all(|(database, key)| {
            now.is_unchanged_since(&self.snapshot, *database, key)
                .unwrap_or(false)
        })
    }
}

/// WATCH: the first one takes a snapshot, against which EXEC compares; keys that are watched later
/// and have changed since count as changed only from then on. A key that is watched already, or has
/// not changed since the last snapshot, needs none of its own: snapshots are slots that all writers
/// look at, so that a client must not get one for each command.
pub(super) fn watch(core: &mut Core, args: &Args<'_>, reply: &mut dyn Reply) {
    let (store, database) = (&core.services.store, core.client.database);
    let named = args.from(1).iter().map(|key| (database, Box::from(*key)));
    let keys: HashSet<_> = named.filter(|key| !core.watches.contains(key)).collect();
    reply.status("OK");
    if !keys.is_empty() {
        core.watches.add(store, keys);
    }
}
