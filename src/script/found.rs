//! Scripts and functions that this thread has found of late. To find one again writes nothing that threads
//! share: no lock, and no count of references but the thread's own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cache::{Cached, LoadError, Retention, ScriptCache, Sha, sha_of};
use super::flags::Flags;
use super::functions::Registry;
use crate::fault::fault;

/// The most that a thread remembers of each kind. Then it begins anew: a function has as many names as there
/// are ways to write it in capitals and small letters.
const REMEMBERED_MAX: usize = 1_024;
/// The most bytes of names and bodies: a thread that runs no scripts any more keeps what others have flushed.
const REMEMBERED_BYTES_MAX: usize = 16 << 20;

/// The next state that any registry comes to: no two states of this process are the same number.
static NEXT_STATE: AtomicU64 = AtomicU64::new(1);

/// Which state a registry is in. Whoever takes something out of it, or changes what it says, changes this
/// before others may look again; what is put in beside the rest needs no change, for nobody remembers
/// that something was missing.
pub(super) struct State(AtomicU64);

impl Default for State {
    fn default() -> State {
        State(AtomicU64::new(NEXT_STATE.fetch_add(1, Ordering::Relaxed)))
    }
}

impl State {
    /// To be read before what is remembered with it.
    fn now(&self) -> u64 {
        // Acquire: whoever sees a state sees the registry as it was then, or later.
        self.0.load(Ordering::Acquire)
    }

    /// To be called while the registry's lock is held.
    pub(super) fn change(&self) {
        let next = NEXT_STATE.fetch_add(1, Ordering::Relaxed);
        // Release: as in `now`.
        self.0.store(next, Ordering::Release);
    }
}

/// A script or function, with the flags that were set for it by hand.
pub struct Found {
    cached: Arc<Cached>,
    flags_set: Option<Flags>,
    /// The cache's state when the flags were read.
    state: u64,
}

impl Deref for Found {
    type Target = Cached;

    fn deref(&self) -> &Cached {
        &self.cached
    }
}

impl Found {
    fn new(scripts: &ScriptCache, state: u64, cached: Arc<Cached>) -> Rc<Found> {
        Rc::new(Found {
            flags_set: scripts.flags_set(&cached.script.sha),
            cached,
            state,
        })
    }

    /// The flags that a run has which begins now. O(1).
    pub fn flags(&self, scripts: &ScriptCache, defaults: Flags) -> Flags {
        if self.state == scripts.state.now() || fault!("flags set by hand come late") {
            self.cached.flags_over(self.flags_set, defaults)
        } else {
            scripts.flags_of(&self.cached, defaults)
        }
    }
}

/// What has been found in registries that were in these states.
struct Memory {
    states: (u64, u64),
    found: HashMap<Box<[u8]>, Rc<Found>, ahash::RandomState>,
    /// What the names and bodies come to; a body that several share counts for each.
    bytes: usize,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory {
            states: (0, 0),
            found: HashMap::with_hasher(ahash::RandomState::new()),
            bytes: 0,
        }
    }
}

impl Memory {
    fn clear(&mut self) {
        self.found.clear();
        self.bytes = 0;
    }

    fn find(
        &mut self,
        states: (u64, u64),
        name: &[u8],
        look: impl FnOnce() -> Option<Rc<Found>>,
    ) -> Option<Rc<Found>> {
        let is_outdated = self.states != states && !fault!("a flushed script is still found");
        if is_outdated {
            self.clear();
            self.states = states;
        }
        if let Some(found) = self.found.get(name) {
            return Some(Rc::clone(found));
        }
        let found = look()?;
        let bytes = name.len() + found.script.body.len();
        if self.found.len() >= REMEMBERED_MAX || self.bytes + bytes > REMEMBERED_BYTES_MAX {
            self.clear();
        }
        // What is larger by itself is looked for each time.
        if bytes <= REMEMBERED_BYTES_MAX {
            self.found.insert(name.into(), Rc::clone(&found));
            self.bytes += bytes;
        }
        Some(found)
    }
}

thread_local! {
    static SCRIPTS: RefCell<Memory> = RefCell::default();
    static FUNCTIONS: RefCell<Memory> = RefCell::default();
}

/// The script of this SHA-1, for somebody who runs it: it counts as used.
pub fn script(scripts: &ScriptCache, sha: &Sha) -> Option<Rc<Found>> {
    let state = scripts.state.now();
    let look = || Some(Found::new(scripts, state, scripts.get(sha)?));
    let found = SCRIPTS.with_borrow_mut(|memory| memory.find((state, 0), sha, look))?;
    scripts.note_use(&found);
    Some(found)
}

/// The script of this body, which came by EVAL. `check` compiles it if it is not known.
///
/// # Errors
/// [`LoadError`].
pub fn evaluated(
    scripts: &ScriptCache,
    body: &[u8],
    check: impl FnOnce(&[u8]) -> Result<(), Vec<u8>>,
) -> Result<Rc<Found>, LoadError> {
    if let Some(found) = script(scripts, &sha_of(body)) {
        return Ok(found);
    }
    let state = scripts.state.now();
    let cached = scripts.load(body, Retention::WhileUsed, check)?;
    Ok(Found::new(scripts, state, cached))
}

/// The function of this name, in capitals or small letters.
pub fn function(scripts: &ScriptCache, functions: &Registry, name: &[u8]) -> Option<Rc<Found>> {
    // What is set by hand for its SHA-1 holds for a function as well.
    let states = (scripts.state.now(), functions.state.now());
    let look = || Some(Found::new(scripts, states.0, functions.function(name)?));
    FUNCTIONS.with_borrow_mut(|memory| memory.find(states, name, look))
}

#[cfg(test)]
mod tests {
    use super::super::engine::{Kind, Script};
    use super::super::flags::Header;
    use super::*;

    const BODY: &[u8] = b"return 1";

    fn cache() -> ScriptCache {
        let scripts = ScriptCache::new();
        let loaded = scripts.load(BODY, Retention::Always, |_| Ok(()));
        loaded.expect("it compiles");
        scripts
    }

    #[test]
    fn what_is_found_again_is_the_same_until_it_is_flushed() {
        let (scripts, sha) = (cache(), sha_of(BODY));
        let first = script(&scripts, &sha).expect("it is loaded");
        let again = script(&scripts, &sha).expect("it is loaded");
        assert!(Rc::ptr_eq(&first, &again), "without a look at the cache");
        scripts.flush();
        assert!(script(&scripts, &sha).is_none());
    }

    #[test]
    fn flags_set_by_hand_hold_at_once_for_what_was_found_before() {
        let (scripts, sha) = (cache(), sha_of(BODY));
        let before = script(&scripts, &sha).expect("it is loaded");
        let flags = |found: &Found| found.flags(&scripts, Flags::NONE);
        assert_eq!(flags(&before), Flags::NONE);
        let added = scripts.add_flags(sha, Flags::NO_WRITES);
        added.expect("no contradiction");
        assert_eq!(flags(&before), Flags::NO_WRITES);
        let after = script(&scripts, &sha).expect("it is loaded");
        assert_eq!(flags(&after), Flags::NO_WRITES);
        scripts.forget_flags(&sha);
        assert_eq!((flags(&before), flags(&after)), (Flags::NONE, Flags::NONE));
    }

    #[test]
    fn caches_do_not_answer_for_each_other() {
        let sha = sha_of(BODY);
        assert!(script(&cache(), &sha).is_some());
        assert!(script(&ScriptCache::new(), &sha).is_none());
    }

    #[test]
    fn another_thread_sees_what_this_one_changes() {
        let (scripts, sha) = (cache(), sha_of(BODY));
        let (asks, asked) = std::sync::mpsc::channel::<()>();
        let (answers, answered) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let asked = asked;
                while asked.recv().is_ok() {
                    let is_found = script(&scripts, &sha).is_some();
                    answers.send(is_found).expect("somebody waits for it");
                }
            });
            let is_found = || {
                asks.send(()).expect("it listens");
                answered.recv().expect("it answers")
            };
            assert!(is_found());
            scripts.flush();
            assert!(!is_found());
            drop(asks);
        });
    }

    #[test]
    fn a_thread_remembers_so_many_and_no_more() {
        let mut memory = Memory::default();
        let scripts = cache();
        let found = script(&scripts, &sha_of(BODY)).expect("it is loaded");
        for number in 0..3 * REMEMBERED_MAX {
            let name = number.to_string();
            let look = || Some(Rc::clone(&found));
            assert!(memory.find((1, 1), name.as_bytes(), look).is_some());
            assert!(memory.found.len() <= REMEMBERED_MAX);
        }
    }

    #[test]
    fn a_thread_holds_on_to_so_many_bytes_and_no_more() {
        let scripts = ScriptCache::new();
        let found = |bytes: usize| {
            let script = Script {
                sha: sha_of(b""),
                body: vec![0; bytes].into(),
                kind: Kind::Script,
            };
            let cached = Cached::new(Arc::new(script), Header::None);
            Found::new(&scripts, 0, Arc::new(cached))
        };
        let mut memory = Memory::default();
        let part = REMEMBERED_BYTES_MAX / 4;
        for (name_bytes, body_bytes) in [(1, part), (part, 1), (1, 5 * part), (5 * part, 1)] {
            for number in 0..6 {
                let look = || Some(found(body_bytes));
                let name = vec![number; name_bytes];
                assert!(memory.find((1, 1), &name, look).is_some());
                let all = memory.found.iter();
                let held: usize = all
                    .map(|(name, found)| name.len() + found.script.body.len())
                    .sum();
                assert!(held <= REMEMBERED_BYTES_MAX);
            }
        }
    }
}
