//! Scripts by their SHA-1: bodies, flags, and what has become of their runs.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sha1::{Digest, Sha1};

use super::engine::{Kind, Script};
use super::flags::{Flags, FlagsError, Header};
use super::found::State;
use crate::fault::fault;

/// A SHA-1 in lower-case hexadecimal digits.
pub type Sha = [u8; 40];

/// A map by SHA-1.
pub type ShaMap<V> = HashMap<Sha, V, BuildHasherDefault<ShaHasher>>;

/// A SHA-1 is a hash already: of its text two words are folded.
#[derive(Default)]
pub struct ShaHasher(u64);

impl Hasher for ShaHasher {
    fn finish(&self) -> u64 {
        // The low bits choose a place, and a product's are those of its factors alone.
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8).take(2) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0 ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn write_usize(&mut self, _length: usize) {}
}

/// A script that has been seen.
pub struct Cached {
    /// What the engine runs.
    pub script: Arc<Script>,
    /// What its own header says.
    pub header: Header,
    /// Flags that come on top of its header or the defaults.
    extra: Flags,
    /// Whether its first refusal has been logged.
    pub was_refused: AtomicBool,
    reading_runs: AtomicU8,
    /// How many scripts had come by EVAL when it was last used.
    used_at: AtomicU64,
}

/// Runs without a change after which a script that would keep other writers out is tried on a
/// snapshot. One that reads and writes by turns would run twice for each of its writes otherwise.
const READING_RUNS: u8 = 4;

impl Cached {
    /// A script that has not run yet.
    pub fn new(script: Arc<Script>, header: Header) -> Cached {
        Cached {
            script,
            header,
            extra: Flags::NONE,
            was_refused: AtomicBool::new(false),
            reading_runs: AtomicU8::new(0),
            used_at: AtomicU64::new(0),
        }
    }

    /// Flags set by hand win over its header, and that over the defaults.
    pub(super) fn flags_over(&self, set: Option<Flags>, defaults: Flags) -> Flags {
        set.unwrap_or_else(|| self.header.over(defaults).with(self.extra))
    }

    /// Whether the script has changed nothing in its last runs.
    pub fn only_reads(&self) -> bool {
        self.reading_runs.load(Ordering::Relaxed) >= READING_RUNS
    }

    /// Says that a run has changed something, or has ended without a change. Runs that end at the
    /// same time may overlook each other: it is a guess, and whoever relies on it looks again.
    pub fn note_run(&self, has_changed: bool) {
        let runs = self.reading_runs.load(Ordering::Relaxed);
        let now = if has_changed {
            0
        } else {
            READING_RUNS.min(runs + 1)
        };
        if now != runs {
            self.reading_runs.store(now, Ordering::Relaxed);
        }
    }
}

/// How long a script is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Until SCRIPT FLUSH: it came by SCRIPT LOAD.
    Always,
    /// While it is used more than others: it came by EVAL.
    WhileUsed,
}

/// Scripts that came by EVAL alone and are kept, as in Redis 7.4.
const EVALUATED_MAX: usize = 500;

/// The scripts that there are.
#[derive(Default)]
struct Scripts {
    by_sha: ShaMap<Arc<Cached>>,
    /// Those that came by EVAL alone.
    evaluated: Vec<Arc<Cached>>,
}

impl Scripts {
    /// Makes room for one more that came by EVAL. `true` if one had to go.
    fn make_room(&mut self) -> bool {
        if self.evaluated.len() < EVALUATED_MAX {
            return false;
        }
        let used_at = |cached: &Arc<Cached>| cached.used_at.load(Ordering::Relaxed);
        let all = self.evaluated.iter().enumerate();
        let Some((index, _)) = all.min_by_key(|(_, cached)| used_at(cached)) else {
            return false;
        };
        let gone = self.evaluated.swap_remove(index);
        self.by_sha.remove(&gone.script.sha);
        true
    }

    fn keep_always(&mut self, sha: &Sha) {
        if !fault!("a loaded script is evicted") {
            self.evaluated.retain(|cached| cached.script.sha != *sha);
        }
    }
}

/// All scripts of a server.
#[derive(Default)]
pub struct ScriptCache {
    scripts: RwLock<Scripts>,
    flags: RwLock<ShaMap<Flags>>,
    /// How many scripts have come by EVAL: the clock by which the least used one is found.
    evaluations: AtomicU64,
    undeclared_shas: Vec<Sha>,
    evicted: AtomicU64,
    /// Changes as a script goes and as flags are set by hand.
    pub(super) state: State,
}

/// The SHA-1 of a body. O(length).
pub fn sha_of(body: &[u8]) -> Sha {
    hexadecimal(&Sha1::digest(body))
}

/// The digest of several texts, which no body of a script has.
pub(super) fn digest_of(texts: &[&[u8]]) -> Sha {
    let mut hasher = Sha1::new();
    for text in texts {
        // So that no two rows of texts are the same bytes.
        hasher.update(text.len().to_le_bytes());
        hasher.update(text);
    }
    hexadecimal(&hasher.finalize())
}

fn hexadecimal(digest: &[u8]) -> Sha {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut sha = [0; 40];
    for (pair, byte) in sha.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    sha
}

/// A SHA-1 as a client wrote it; `None` if it cannot be one.
pub fn parse_sha(text: &[u8]) -> Option<Sha> {
    let mut sha: Sha = text.try_into().ok()?;
    sha.make_ascii_lowercase();
    Some(sha)
}

impl ScriptCache {
    /// No script has been seen yet.
    pub fn new() -> ScriptCache {
        ScriptCache::default()
    }

    /// No script has been seen yet; these may use undeclared keys, whatever their headers say.
    pub fn with_undeclared(undeclared_shas: Vec<Sha>) -> ScriptCache {
        ScriptCache {
            undeclared_shas,
            ..ScriptCache::default()
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Scripts> {
        self.scripts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Scripts> {
        self.scripts.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The script of this SHA-1, if it is known.
    pub fn get(&self, sha: &Sha) -> Option<Arc<Cached>> {
        self.read().by_sha.get(sha).cloned()
    }

    /// Whether the script of this SHA-1 is known.
    pub fn contains(&self, sha: &Sha) -> bool {
        self.read().by_sha.contains_key(sha)
    }

    /// As `get`, for somebody who runs it: it counts as used.
    fn get_to_run(&self, sha: &Sha) -> Option<Arc<Cached>> {
        let cached = self.get(sha)?;
        self.note_use(&cached);
        Some(cached)
    }

    /// Relaxed, as everything about what is used least: a guess that is off by a few does no harm.
    /// It is written only when scripts have come since, so that threads that share a script do not
    /// write to the same place with each run.
    pub(super) fn note_use(&self, cached: &Cached) {
        let now = self.evaluations.load(Ordering::Relaxed);
        if cached.used_at.load(Ordering::Relaxed) != now {
            cached.used_at.store(now, Ordering::Relaxed);
        }
    }

    /// Keeps a script. `check` compiles it if it is not known.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(
        &self,
        body: &[u8],
        kept: Retention,
        check: impl FnOnce(&[u8]) -> Result<(), Vec<u8>>,
    ) -> Result<Arc<Cached>, LoadError> {
        let sha = sha_of(body);
        if let Some(known) = self.get_to_run(&sha) {
            // It may have been evicted since, and who loads it is told that it is kept.
            return Ok(match kept {
                Retention::Always => self.insert(known, kept),
                Retention::WhileUsed => known,
            });
        }
        let header = Header::of(body)?;
        check(body).map_err(LoadError::Compile)?;
        let script = Arc::new(Script {
            sha,
            body: body.into(),
            kind: Kind::Script,
        });
        let extra = if self.undeclared_shas.contains(&sha) {
            Flags::ALLOW_UNDECLARED_KEYS
        } else {
            Flags::NONE
        };
        let cached = Cached {
            extra,
            ..Cached::new(script, header)
        };
        Ok(self.insert(Arc::new(cached), kept))
    }

    fn insert(&self, cached: Arc<Cached>, kept: Retention) -> Arc<Cached> {
        let sha = cached.script.sha;
        let mut scripts = self.write();
        if let Some(known) = scripts.by_sha.get(&sha).map(Arc::clone) {
            if kept == Retention::Always {
                scripts.keep_always(&sha);
            }
            return known;
        }
        if kept == Retention::WhileUsed {
            if scripts.make_room() {
                self.state.change();
                self.evicted.fetch_add(1, Ordering::Relaxed);
            }
            let now = self.evaluations.fetch_add(1, Ordering::Relaxed) + 1;
            cached.used_at.store(now, Ordering::Relaxed);
            scripts.evaluated.push(Arc::clone(&cached));
        }
        scripts.by_sha.insert(sha, Arc::clone(&cached));
        cached
    }

    /// How many scripts had to go because others came by EVAL.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Forgets all scripts; flags set by hand stay.
    pub fn flush(&self) {
        let mut scripts = self.write();
        *scripts = Scripts::default();
        self.state.change();
    }

    /// All scripts, by their SHA-1.
    pub fn list(&self) -> Vec<Arc<Cached>> {
        let mut all: Vec<_> = self.read().by_sha.values().cloned().collect();
        all.sort_by_key(|cached| cached.script.sha);
        all
    }

    /// How many scripts there are, and how many bytes their bodies take.
    pub fn size(&self) -> (usize, usize) {
        let scripts = &self.read().by_sha;
        (
            scripts.len(),
            scripts
                .values()
                .map(|cached| cached.script.body.len())
                .sum(),
        )
    }

    /// Adds flags to a script, seen or not; they win over its header and the defaults.
    ///
    /// # Errors
    /// [`FlagsError::Contradiction`].
    pub fn add_flags(&self, sha: Sha, added: Flags) -> Result<(), FlagsError> {
        let mut flags = self.flags.write().unwrap_or_else(PoisonError::into_inner);
        let known = flags.get(&sha).copied().unwrap_or_default();
        flags.insert(sha, known.with(added).checked()?);
        self.state.change();
        Ok(())
    }

    /// Forgets the flags that were set by hand.
    pub fn forget_flags(&self, sha: &Sha) {
        let mut flags = self.flags.write().unwrap_or_else(PoisonError::into_inner);
        flags.remove(sha);
        self.state.change();
    }

    /// The flags that were set by hand.
    pub fn flags_set(&self, sha: &Sha) -> Option<Flags> {
        self.flags
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(sha)
            .copied()
    }

    /// The flags that a run of the script of this SHA-1 would have, seen or not, and where they come
    /// from.
    pub fn flags_and_source(&self, sha: &Sha, defaults: Flags) -> (Flags, &'static str) {
        if let Some(flags) = self.flags_set(sha) {
            return (flags, "script-flags");
        }
        match self.get(sha) {
            None => (defaults, "default"),
            Some(cached) => {
                let source = match (cached.header, cached.extra) {
                    (Header::None, Flags::NONE) => "default",
                    (Header::None, _) => "lua_undeclared_keys_shas",
                    _ => "header",
                };
                (self.flags_of(&cached, defaults), source)
            }
        }
    }

    /// The flags that a run of a script has.
    pub fn flags_of(&self, cached: &Cached, defaults: Flags) -> Flags {
        cached.flags_over(self.flags_set(&cached.script.sha), defaults)
    }
}

/// Why a script was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Its header is wrong.
    #[error(transparent)]
    Header(#[from] FlagsError),
    /// It does not compile; Redis's text.
    #[error("{}", String::from_utf8_lossy(.0))]
    Compile(Vec<u8>),
}

impl LoadError {
    /// The text that clients get; what they sent stands in it byte for byte.
    pub fn text(&self) -> Vec<u8> {
        match self {
            LoadError::Header(error) => error.text(),
            LoadError::Compile(text) => text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_its_sha() {
        assert_eq!(
            &sha_of(b"return 1"),
            b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
        );
        assert_eq!(parse_sha(b"E0E1"), None);
    }

    #[test]
    fn flags_set_by_hand_win_and_outlive_the_script() {
        let cache = ScriptCache::new();
        let body = b"#!lua flags=no-writes\nreturn 1";
        let sha = sha_of(body);
        cache
            .add_flags(sha, Flags::ALLOW_UNDECLARED_KEYS)
            .expect("no contradiction");
        let cached = cache
            .load(body, Retention::Always, |_| Ok(()))
            .expect("it compiles");
        assert_eq!(
            cache.flags_of(&cached, Flags::NONE),
            Flags::ALLOW_UNDECLARED_KEYS
        );
        cache.flush();
        assert!(cache.get(&sha).is_none());
        assert_eq!(cache.flags_set(&sha), Some(Flags::ALLOW_UNDECLARED_KEYS));
        cache.forget_flags(&sha);
        assert_eq!(cache.flags_of(&cached, Flags::NONE), Flags::NO_WRITES);
    }

    fn evaluate(cache: &ScriptCache, number: usize) -> Sha {
        let body = format!("return {number}");
        let cached = cache.load(body.as_bytes(), Retention::WhileUsed, |_| Ok(()));
        cached.expect("it compiles").script.sha
    }

    #[test]
    fn what_came_by_eval_goes_when_it_is_used_least_and_what_was_loaded_stays() {
        let cache = ScriptCache::new();
        let load = |body: &[u8]| {
            let loaded = cache.load(body, Retention::Always, |_| Ok(()));
            loaded.expect("it compiles").script.sha
        };
        let loaded = load(b"return 'loaded'");
        let promoted = evaluate(&cache, 0);
        assert_eq!(load(b"return 0"), promoted);
        // Evaluated once more, it does not become one that may go.
        evaluate(&cache, 0);
        let used = evaluate(&cache, 1);
        let flagged = evaluate(&cache, 2);
        cache
            .add_flags(flagged, Flags::NO_WRITES)
            .expect("no contradiction");
        for number in 3..=EVALUATED_MAX {
            evaluate(&cache, number);
        }
        assert_eq!(cache.evicted(), 0);
        assert!(cache.get_to_run(&used).is_some());
        for number in EVALUATED_MAX + 1..2 * EVALUATED_MAX - 1 {
            evaluate(&cache, number);
        }
        assert_eq!(cache.evicted(), EVALUATED_MAX as u64 - 2);
        assert_eq!(cache.size().0, EVALUATED_MAX + 2);
        let stays = [loaded, promoted, used];
        assert!(stays.iter().all(|sha| cache.contains(sha)));
        assert!(!cache.contains(&flagged));
        assert_eq!(cache.flags_set(&flagged), Some(Flags::NO_WRITES));
    }
}
