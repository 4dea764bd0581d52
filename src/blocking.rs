//! Who is blocked on which keys, and their waking.
//!
//! A key that was written wakes the one who waits longest for it. That one tries again; if it
//! takes something, its own commit wakes the next; if not, it passes the turn on. So clients are
//! served in the order in which they came, and nobody is woken in vain for long. Who reads for a
//! group of consumers and finds nothing passes others of the group over: for them there is nothing
//! either. It is also woken when a key goes, whoever is before it, for it has an error to tell.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use darter_storage::{ChangeKind, Effect};

use crate::fault::fault;

type Key = (usize, Box<[u8]>);

/// One blocked client's place in the lines of its keys.
pub struct Waiter {
    keys: Vec<Key>,
    /// The group of consumers that it reads for.
    group: Option<Box<[u8]>>,
    is_due: AtomicBool,
    waker: Mutex<Waker>,
}

impl Waiter {
    /// Whom to wake.
    pub fn set_waker(&self, waker: &Waker) {
        self.waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(waker);
    }

    /// Whether it has been its turn since the last call.
    pub fn take_turn(&self) -> bool {
        self.is_due.swap(false, Ordering::SeqCst)
    }

    fn wake(&self) {
        if fault!("blocked client's wake-up lost") {
            return;
        }
        self.is_due.store(true, Ordering::SeqCst);
        let waker = self
            .waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        waker.wake();
    }
}

type Lines = HashMap<Key, VecDeque<Arc<Waiter>>>;

/// Wakes in each line of a waiter the next behind it whom `may_try` says.
fn wake_next(lines: &Lines, waiter: &Arc<Waiter>, may_try: impl Fn(&Waiter) -> bool) {
    for key in &waiter.keys {
        let Some(line) = lines.get(key) else { continue };
        let own = line.iter().position(|known| Arc::ptr_eq(known, waiter));
        let mut behind = line.iter().skip(own.map_or(line.len(), |own| own + 1));
        if let Some(next) = behind.find(|next| may_try(next)) {
            next.wake();
        }
    }
}

fn wake_first(line: &VecDeque<Arc<Waiter>>) {
    if let Some(first) = line.front() {
        first.wake();
    }
}

fn wake_groups(line: &VecDeque<Arc<Waiter>>) {
    if fault!("a group's end is told to nobody") {
        return;
    }
    line.iter()
        .filter(|waiter| waiter.group.is_some())
        .for_each(|waiter| waiter.wake());
}

/// All lines of a server.
#[derive(Default)]
pub struct Waiters {
    lines: Mutex<Lines>,
    /// How many wait; so that effects that nobody waits for cost nothing.
    count: AtomicUsize,
}

impl Waiters {
    /// Nobody waits yet.
    pub fn new() -> Waiters {
        Waiters::default()
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many clients wait.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// How many keys are waited for.
    pub fn keys(&self) -> usize {
        self.lock().len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A place at the end of each key's line. `group`: the one that it reads for, if it does.
    pub fn add(&self, keys: Vec<Key>, group: Option<&[u8]>, waker: &Waker) -> Arc<Waiter> {
        let waiter = Arc::new(Waiter {
            keys,
            group: group.map(Into::into),
            is_due: AtomicBool::new(false),
            waker: Mutex::new(waker.clone()),
        });
        let mut lines = self.lock();
        for key in &waiter.keys {
            let line = lines.entry(key.clone()).or_default();
            if !line.back().is_some_and(|last| Arc::ptr_eq(last, &waiter)) {
                line.push_back(Arc::clone(&waiter));
            }
        }
        self.count.fetch_add(1, Ordering::SeqCst);
        waiter
    }

    /// The waiter leaves something to others: the next in each of its lines may try.
    pub fn pass_on(&self, waiter: &Arc<Waiter>) {
        wake_next(&self.lock(), waiter, |_| true);
    }

    /// The waiter has found nothing: the next in each of its lines may try, but for those of its
    /// group.
    pub fn pass_over(&self, waiter: &Arc<Waiter>) {
        wake_next(&self.lock(), waiter, |next| {
            next.group.is_none() || next.group != waiter.group
        });
    }

    /// The waiter waits no longer. If it was its turn, the turn passes on.
    pub fn remove(&self, waiter: &Arc<Waiter>) {
        let mut lines = self.lock();
        // Under the lock, so that no turn comes between this look and the end of its places.
        if waiter.take_turn() && !fault!("a turn is lost with who leaves") {
            wake_next(&lines, waiter, |_| true);
        }
        for key in &waiter.keys {
            if let Some(line) = lines.get_mut(key) {
                line.retain(|known| !Arc::ptr_eq(known, waiter));
                if line.is_empty() {
                    lines.remove(key);
                }
            }
        }
        self.count.fetch_sub(1, Ordering::SeqCst);
    }

    /// A commit is part of history: who waits for one of its keys may try.
    pub fn tell(&self, effect: &Effect) {
        if self.is_empty() {
            return;
        }
        let lines = self.lock();
        for change in &effect.changes {
            let Some(database) = change.database else {
                continue;
            };
            let Some(line) = lines.get(&(database, change.key.clone())) else {
                continue;
            };
            match change.kind {
                ChangeKind::Written(_) => wake_first(line),
                ChangeKind::Deleted | ChangeKind::Expired => wake_groups(line),
            }
        }
    }

    /// Everybody may try: databases were flushed or exchanged.
    pub fn wake_all(&self) {
        for line in self.lock().values() {
            wake_first(line);
            wake_groups(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        (0, name.as_bytes().into())
    }

    #[test]
    fn who_leaves_on_his_turn_passes_it_on() {
        let waiters = Waiters::new();
        let add = |names: &[&str]| {
            let keys = names.iter().map(|name| key(name)).collect();
            waiters.add(keys, None, Waker::noop())
        };
        let first = add(&["l", "m"]);
        let (second, third) = (add(&["l"]), add(&["m"]));
        waiters.wake_all();
        assert!(!second.take_turn() && !third.take_turn());
        waiters.remove(&first);
        assert!(second.take_turn() && third.take_turn());
        waiters.remove(&second);
        assert!(!third.take_turn());
        waiters.remove(&third);
        assert!(waiters.is_empty() && waiters.lock().is_empty());
    }

    #[test]
    fn a_key_named_twice_is_one_place() {
        let waiters = Waiters::new();
        let waiter = waiters.add(vec![key("l"), key("l")], None, Waker::noop());
        waiters.pass_on(&waiter);
        assert!(!waiter.take_turn());
        waiters.wake_all();
        assert!(waiter.take_turn());
    }

    #[test]
    fn who_reads_for_a_group_is_told_of_a_key_that_goes() {
        let waiters = Waiters::new();
        let add = |group| waiters.add(vec![key("s")], group, Waker::noop());
        let (first, second, third) = (add(None), add(Some(b"g")), add(Some(b"h")));
        let effect = |kind| Effect {
            sequence: 1,
            number: 1,
            changes: vec![darter_storage::Change {
                database: Some(0),
                key: b"s"[..].into(),
                kind,
                fields_expired: false,
            }],
            messages: Vec::new(),
            databases_changed: false,
        };
        for kind in [ChangeKind::Deleted, ChangeKind::Expired] {
            waiters.tell(&effect(kind));
            assert!(!first.take_turn() && second.take_turn() && third.take_turn());
        }
        waiters.wake_all();
        assert!(first.take_turn() && second.take_turn() && third.take_turn());
    }

    #[test]
    fn who_finds_nothing_passes_its_group_over() {
        let waiters = Waiters::new();
        let groups = [&b"g"[..], b"g", b"h", b"g"];
        let all = groups.map(|group| waiters.add(vec![key("s")], Some(group), Waker::noop()));
        let readers: Vec<_> = (0..2)
            .map(|_| waiters.add(vec![key("s")], None, Waker::noop()))
            .collect();
        waiters.pass_over(&all[0]);
        assert_eq!(
            all.each_ref().map(|waiter| waiter.take_turn()),
            [false, false, true, false]
        );
        waiters.pass_on(&all[0]);
        assert!(all[1].take_turn());
        waiters.pass_over(&all[3]);
        assert!(readers[0].take_turn());
        waiters.pass_over(&readers[0]);
        assert!(readers[1].take_turn());
    }
}
