//! Who is blocked on which keys, and their waking.
//!
//! A key that was written wakes the one who waits longest for it. That one tries again; if it
//! takes something, its own commit wakes the next; if not, it passes the turn on. So clients are
//! served in the order in which they came, and nobody is woken in vain for long. A turn is one at a
//! key: who waits for several is not ahead of others where it is not his. Of the keys of one commit
//! he is told at once, and takes from the one that he named first.
//!
//! Nobody has a turn while somebody before him waits for the same, for whom it would be: what has
//! come since that one was told is his as well. So a turn that is passed on goes past those, and
//! who comes has one at once where he is the first. Those who only read take nothing from others.
//! Who reads for a group of consumers is also woken when a key goes, whoever is before it, for it
//! has an error to tell.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use darter_storage::{ChangeKind, Effect, Type};

use crate::fault::fault;

type Key = (usize, Box<[u8]>);

/// What a client waits for.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// Elements of a value of this type. Who gets them takes them.
    Elements(Type),
    /// Entries that are new to the group of consumers that it reads for, and from then on are not.
    Group(Box<[u8]>),
    /// What others may have as well.
    Shared,
}

/// One blocked client's places in the lines of its keys.
pub struct Waiter {
    places: Vec<Place>,
    wanted: Wanted,
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

    fn give_turn(&self, at: usize) {
        self.places[at].is_due.store(true, Ordering::SeqCst);
        self.is_due.store(true, Ordering::SeqCst);
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
        waiter.give_turn(standing.at);
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

/// In the lines of these places of a waiter it is the turn of the next behind it before whom nobody
/// waits for the same, but for the waiter itself if it leaves.
fn call_next(lines: &Lines, waiter: &Arc<Waiter>, places: &[usize], leaves: bool) -> Woken {
    let mut woken = Woken::default();
    for at in places {
        let Some(line) = lines.get(&waiter.places[*at].key) else {
            continue;
        };
        let (mut before, mut is_behind) = (HashSet::new(), false);
        for known in line {
            let is_own = known.is_of(waiter);
            if is_own && leaves {
                is_behind = true;
                continue;
            }
            let wanted = &known.waiter.wanted;
            let is_first = *wanted == Wanted::Shared || before.insert(wanted);
            if is_behind && is_first {
                woken.add(known);
                break;
            }
            is_behind |= is_own;
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
        .filter(|known| matches!(known.waiter.wanted, Wanted::Group(_)))
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
        let is_of_group = |known: &Standing| matches!(known.waiter.wanted, Wanted::Group(_));
        let of_groups = lines.values().filter(|line| line.iter().any(is_of_group));
        (lines.len(), of_groups.count())
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A place at the end of each key's line. It has a turn at once where nobody before it waits for
    /// the same: something may have come before it stood there.
    pub fn add(&self, keys: Vec<Key>, wanted: Wanted) -> Arc<Waiter> {
        let places = keys.into_iter().map(|key| Place {
            key,
            is_due: AtomicBool::new(false),
        });
        let waiter = Arc::new(Waiter {
            places: places.collect(),
            wanted,
            is_due: AtomicBool::new(false),
            waker: Mutex::new(Waker::noop().clone()),
        });
        let mut lines = self.lock();
        for (at, place) in waiter.places.iter().enumerate() {
            let line = lines.entry(place.key.clone()).or_default();
            if line.back().is_some_and(|last| last.is_of(&waiter)) {
                continue;
            }
            let mut before = line.iter();
            if waiter.wanted == Wanted::Shared
                || !before.any(|known| known.waiter.wanted == waiter.wanted)
            {
                waiter.give_turn(at);
            }
            let waiter = Arc::clone(&waiter);
            line.push_back(Standing { waiter, at });
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

    /// The waiter has found nothing that it could take at these of its places: the next there that
    /// waits for something else may try.
    pub fn pass_on(&self, waiter: &Arc<Waiter>, places: &[usize]) {
        let woken = call_next(&self.lock(), waiter, places, false);
        woken.wake();
    }

    /// The waiter waits no longer. Where it is its turn, at these of its places and where it has not
    /// heard of it yet, the turn passes on.
    pub fn remove(&self, waiter: &Arc<Waiter>, places: &[usize]) {
        let mut lines = self.lock();
        // Under the lock, so that no turn, and nobody who waits for the same, comes between this
        // look and the end of its places.
        let mut turns = waiter.take_turns();
        turns.extend(places);
        let woken = if fault!("a turn is lost with who leaves") {
            Woken::default()
        } else {
            call_next(&lines, waiter, &turns, true)
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

    fn group(name: &str) -> Wanted {
        Wanted::Group(name.as_bytes().into())
    }

    const ELEMENTS: Wanted = Wanted::Elements(Type::List);

    #[test]
    fn who_leaves_on_his_turn_passes_it_on() {
        let waiters = Waiters::new();
        let add = |names: &[&str]| {
            let keys = names.iter().map(|name| key(name)).collect();
            waiters.add(keys, ELEMENTS)
        };
        let first = add(&["l", "m"]);
        let (second, third) = (add(&["l"]), add(&["m"]));
        waiters.wake_all();
        assert!(!is_told(&second) && !is_told(&third));
        waiters.remove(&first, &[]);
        assert!(is_told(&second) && is_told(&third));
        waiters.remove(&second, &[]);
        assert!(!is_told(&third));
        let fourth = add(&["m"]);
        waiters.remove(&third, &[0]);
        assert!(is_told(&fourth));
        waiters.remove(&fourth, &[]);
        assert!(waiters.is_empty() && waiters.lock().is_empty());
    }

    #[test]
    fn a_key_named_twice_is_one_place() {
        let waiters = Waiters::new();
        let waiter = waiters.add(vec![key("l"), key("l")], ELEMENTS);
        assert_eq!(waiter.take_turns(), [0]);
        waiters.pass_on(&waiter, &[0, 1]);
        assert!(!is_told(&waiter));
        waiters.wake_all();
        assert_eq!(waiter.take_turns(), [0]);
    }

    #[test]
    fn who_comes_has_a_turn_where_nobody_waits_for_the_same() {
        let waiters = Waiters::new();
        let add = |names: &[&str], wanted| {
            let keys = names.iter().map(|name| key(name)).collect();
            waiters.add(keys, wanted).take_turns()
        };
        assert_eq!(add(&["l", "m"], ELEMENTS), [0, 1]);
        assert_eq!(add(&["n", "l", "m"], ELEMENTS), [0]);
        assert_eq!(add(&["l"], Wanted::Elements(Type::SortedSet)), [0]);
        assert_eq!(add(&["l", "n"], group("g")), [0, 1]);
        assert_eq!(add(&["l", "n"], group("h")), [0, 1]);
        assert_eq!(add(&["l", "n"], group("g")), []);
        assert_eq!(add(&["l"], Wanted::Shared), [0]);
        assert_eq!(add(&["l"], Wanted::Shared), [0]);
    }

    #[test]
    fn who_reads_for_a_group_is_told_of_a_key_that_goes() {
        let waiters = Waiters::new();
        let add = |wanted| {
            let waiter = waiters.add(vec![key("s")], wanted);
            waiter.take_turns();
            waiter
        };
        let (first, second, third) = (add(Wanted::Shared), add(group("g")), add(group("h")));
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
    fn a_turn_goes_past_those_before_whom_somebody_waits_for_the_same() {
        let waiters = Waiters::new();
        let add = |wanted| {
            let waiter = waiters.add(vec![key("s")], wanted);
            waiter.take_turns();
            waiter
        };
        let groups = ["g", "g", "h", "g", "h"].map(|name| add(group(name)));
        let (reader, last) = (add(Wanted::Shared), add(Wanted::Shared));
        let told = || groups.each_ref().map(is_told);
        waiters.pass_on(&groups[0], &[0]);
        assert_eq!(told(), [false, false, true, false, false]);
        waiters.pass_on(&groups[2], &[0]);
        assert_eq!(told(), [false; 5]);
        assert!(is_told(&reader));
        waiters.pass_on(&reader, &[0]);
        assert!(is_told(&last));
        waiters.remove(&groups[2], &[0]);
        assert_eq!(told(), [false, false, false, false, true]);
        waiters.remove(&groups[0], &[0]);
        assert_eq!(told(), [false, true, false, false, false]);
    }
}
