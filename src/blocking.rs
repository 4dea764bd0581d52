//! Who is blocked on which keys, and their waking.
//!
//! A key that was written wakes the one who waits longest for it. That one tries again; if it
//! takes something, its own commit wakes the next; if not, it passes the turn on. So clients are
//! served in the order in which they came, and nobody is woken in vain for long. A turn is one at a
//! key: who waits for several is not ahead of others where it is not his. Of the keys of one commit
//! he is told at once, and takes from the one that he named first. Who reads for a group of
//! consumers and finds nothing passes others of the group over: for them there is nothing either.
//! It is also woken when a key goes, whoever is before it, for it has an error to tell.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use darter_storage::{ChangeKind, Effect};

use crate::fault::fault;

type Key = (usize, Box<[u8]>);

/// One blocked client's places in the lines of its keys.
pub struct Waiter {
    places: Vec<Place>,
    /// The group of consumers that it reads for.
    group: Option<Box<[u8]>>,
    /// Whether it is due at any of its places.
    is_due: AtomicBool,
    waker: Mutex<Waker>,
}

/// A client's place in the line of one key.
struct Place {
    key: Key,
    is_due: AtomicBool,
}

impl Waiter {
    /// Whom to wake.
    pub fn set_waker(&self, waker: &Waker) {
        self.waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(waker);
    }

    /// The places at which it has been its turn since the last call, in order. Under the lock of the
    /// lines, so that it is told of all keys of a commit at once.
    fn take_turns(&self) -> Vec<usize> {
        self.is_due.store(false, Ordering::SeqCst);
        let places = self.places.iter().enumerate();
        places
            .filter(|(_, place)| place.is_due.swap(false, Ordering::SeqCst))
            .map(|(at, _)| at)
            .collect()
    }
}

/// Whom to wake once all turns of a change are given, and the lock is free.
#[derive(Default)]
struct Woken(Vec<Waker>);

impl Woken {
    /// It is the turn of this one.
    fn add(&mut self, standing: &Standing) {
        if fault!("blocked client's wake-up lost") {
            return;
        }
        let waiter = &standing.waiter;
        waiter.places[standing.at]
            .is_due
            .store(true, Ordering::SeqCst);
        waiter.is_due.store(true, Ordering::SeqCst);
        let waker = waiter.waker.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.push(waker.clone());
    }

    fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

/// Who stands in a line, and with which of its places.
struct Standing {
    waiter: Arc<Waiter>,
    at: usize,
}

impl Standing {
    fn is_of(&self, waiter: &Arc<Waiter>) -> bool {
        Arc::ptr_eq(&self.waiter, waiter)
    }
}

type Line = VecDeque<Standing>;
type Lines = HashMap<Key, Line>;

/// In the lines of these places of a waiter it is the turn of the next behind it whom `may_try` says.
fn call_next(
    lines: &Lines,
    waiter: &Arc<Waiter>,
    places: &[usize],
    may_try: impl Fn(&Waiter) -> bool,
) -> Woken {
    let mut woken = Woken::default();
    for at in places {
        let Some(line) = lines.get(&waiter.places[*at].key) else {
            continue;
        };
        let own = line.iter().position(|known| known.is_of(waiter));
        let mut behind = line.iter().skip(own.map_or(line.len(), |own| own + 1));
        if let Some(next) = behind.find(|next| may_try(&next.waiter)) {
            woken.add(next);
        }
    }
    woken
}

fn call_first(line: &Line, woken: &mut Woken) {
    line.front().into_iter().for_each(|first| woken.add(first));
}

fn call_groups(line: &Line, woken: &mut Woken) {
    if fault!("a group's end is told to nobody") {
        return;
    }
    line.iter()
        .filter(|known| known.waiter.group.is_some())
        .for_each(|known| woken.add(known));
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

    /// How many keys are waited for, and for how many of them somebody also waits that they go.
    pub fn keys(&self) -> (usize, usize) {
        let lines = self.lock();
        let is_of_group = |known: &Standing| known.waiter.group.is_some();
        let of_groups = lines.values().filter(|line| line.iter().any(is_of_group));
        (lines.len(), of_groups.count())
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A place at the end of each key's line. `group`: the one that it reads for, if it does.
    pub fn add(&self, keys: Vec<Key>, group: Option<&[u8]>, waker: &Waker) -> Arc<Waiter> {
        let places = keys.into_iter().map(|key| Place {
            key,
            is_due: AtomicBool::new(false),
        });
        let waiter = Arc::new(Waiter {
            places: places.collect(),
            group: group.map(Into::into),
            is_due: AtomicBool::new(false),
            waker: Mutex::new(waker.clone()),
        });
        let mut lines = self.lock();
        for (at, place) in waiter.places.iter().enumerate() {
            let line = lines.entry(place.key.clone()).or_default();
            if !line.back().is_some_and(|last| last.is_of(&waiter)) {
                let waiter = Arc::clone(&waiter);
                line.push_back(Standing { waiter, at });
            }
        }
        self.count.fetch_add(1, Ordering::SeqCst);
        waiter
    }

    /// The keys at which it has been the waiter's turn since the last call, by their positions, in
    /// order.
    pub fn take_turns(&self, waiter: &Waiter) -> Vec<usize> {
        if !waiter.is_due.load(Ordering::SeqCst) {
            return Vec::new();
        }
        let _lines = self.lock();
        waiter.take_turns()
    }

    /// The waiter leaves something to others at these of its places: the next there may try.
    pub fn pass_on(&self, waiter: &Arc<Waiter>, places: &[usize]) {
        let woken = call_next(&self.lock(), waiter, places, |_| true);
        woken.wake();
    }

    /// The waiter has found nothing at these of its places: the next there may try, but for those
    /// of its group.
    pub fn pass_over(&self, waiter: &Arc<Waiter>, places: &[usize]) {
        let woken = call_next(&self.lock(), waiter, places, |next| {
            next.group.is_none() || next.group != waiter.group
        });
        woken.wake();
    }

    /// The waiter waits no longer. If it was its turn, the turn passes on.
    pub fn remove(&self, waiter: &Arc<Waiter>) {
        let mut lines = self.lock();
        // Under the lock, so that no turn comes between this look and the end of its places.
        let turns = waiter.take_turns();
        let woken = if fault!("a turn is lost with who leaves") {
            Woken::default()
        } else {
            call_next(&lines, waiter, &turns, |_| true)
        };
        for place in &waiter.places {
            if let Some(line) = lines.get_mut(&place.key) {
                line.retain(|known| !known.is_of(waiter));
                if line.is_empty() {
                    lines.remove(&place.key);
                }
            }
        }
        self.count.fetch_sub(1, Ordering::SeqCst);
        drop(lines);
        woken.wake();
    }

    /// A commit is part of history: who waits for one of its keys may try.
    pub fn tell(&self, effect: &Effect) {
        if self.is_empty() {
            return;
        }
        let mut woken = Woken::default();
        let lines = self.lock();
        for change in &effect.changes {
            let Some(database) = change.database else {
                continue;
            };
            let Some(line) = lines.get(&(database, change.key.clone())) else {
                continue;
            };
            match change.kind {
                ChangeKind::Written(_) => call_first(line, &mut woken),
                ChangeKind::Deleted | ChangeKind::Expired => call_groups(line, &mut woken),
            }
        }
        drop(lines);
        woken.wake();
    }

    /// Everybody may try: databases were flushed or exchanged.
    pub fn wake_all(&self) {
        let mut woken = Woken::default();
        for line in self.lock().values() {
            call_first(line, &mut woken);
            call_groups(line, &mut woken);
        }
        woken.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        (0, name.as_bytes().into())
    }

    fn is_told(waiter: &Arc<Waiter>) -> bool {
        !waiter.take_turns().is_empty()
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
        assert!(!is_told(&second) && !is_told(&third));
        waiters.remove(&first);
        assert!(is_told(&second) && is_told(&third));
        waiters.remove(&second);
        assert!(!is_told(&third));
        waiters.remove(&third);
        assert!(waiters.is_empty() && waiters.lock().is_empty());
    }

    #[test]
    fn a_key_named_twice_is_one_place() {
        let waiters = Waiters::new();
        let waiter = waiters.add(vec![key("l"), key("l")], None, Waker::noop());
        waiters.pass_on(&waiter, &[0, 1]);
        assert!(!is_told(&waiter));
        waiters.wake_all();
        assert_eq!(waiter.take_turns(), [0]);
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
            assert!(!is_told(&first) && is_told(&second) && is_told(&third));
        }
        waiters.wake_all();
        assert!(is_told(&first) && is_told(&second) && is_told(&third));
    }

    #[test]
    fn who_finds_nothing_passes_its_group_over() {
        let waiters = Waiters::new();
        let groups = [&b"g"[..], b"g", b"h", b"g"];
        let all = groups.map(|group| waiters.add(vec![key("s")], Some(group), Waker::noop()));
        let readers: Vec<_> = (0..2)
            .map(|_| waiters.add(vec![key("s")], None, Waker::noop()))
            .collect();
        waiters.pass_over(&all[0], &[0]);
        assert_eq!(all.each_ref().map(is_told), [false, false, true, false]);
        waiters.pass_on(&all[0], &[0]);
        assert!(is_told(&all[1]));
        waiters.pass_over(&all[3], &[0]);
        assert!(is_told(&readers[0]));
        waiters.pass_over(&readers[0], &[0]);
        assert!(is_told(&readers[1]));
    }
}
