//! Scripts by their SHA-1: bodies, flags, and what has become of their runs.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sha1::{Digest, Sha1};

use super::engine::{Kind, Script};
use super::flags::{Flags, FlagsError, Header};

/// A SHA-1 in lower-case hexadecimal digits.
pub type Sha = [u8; 40];

/// A script that has been seen.
pub struct Cached {
    /// What the engine runs.
    pub script: Arc<Script>,
    /// What its own header says.
    pub header: Header,
    /// Whether its first refusal has been logged.
    pub was_refused: AtomicBool,
}

/// All scripts of a server.
#[derive(Default)]
pub struct ScriptCache {
    scripts: RwLock<HashMap<Sha, Arc<Cached>>>,
    flags: RwLock<HashMap<Sha, Flags>>,
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

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Sha, Arc<Cached>>> {
        self.scripts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Sha, Arc<Cached>>> {
        self.scripts.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The script of this SHA-1, if it has been seen.
    pub fn get(&self, sha: &Sha) -> Option<Arc<Cached>> {
        self.read().get(sha).cloned()
    }

    /// Keeps a script. `check` compiles it if it has not been seen.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(
        &self,
        body: &[u8],
        check: impl FnOnce(&[u8]) -> Result<(), String>,
    ) -> Result<Arc<Cached>, LoadError> {
        let sha = sha_of(body);
        if let Some(known) = self.get(&sha) {
            return Ok(known);
        }
        let header = Header::of(body)?;
        check(body).map_err(LoadError::Compile)?;
        let script = Arc::new(Script {
            sha,
            body: body.into(),
            kind: Kind::Script,
        });
        let cached = Arc::new(Cached {
            script,
            header,
            was_refused: AtomicBool::new(false),
        });
        Ok(Arc::clone(self.write().entry(sha).or_insert(cached)))
    }

    /// Forgets all scripts; flags set by hand stay.
    pub fn flush(&self) {
        self.write().clear();
    }

    /// All scripts, by their SHA-1.
    pub fn list(&self) -> Vec<Arc<Cached>> {
        let mut all: Vec<_> = self.read().values().cloned().collect();
        all.sort_by_key(|cached| cached.script.sha);
        all
    }

    /// How many scripts there are, and how many bytes their bodies take.
    pub fn size(&self) -> (usize, usize) {
        let scripts = self.read();
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
        Ok(())
    }

    /// Forgets the flags that were set by hand.
    pub fn forget_flags(&self, sha: &Sha) {
        self.flags
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(sha);
    }

    /// The flags that were set by hand.
    pub fn flags_set(&self, sha: &Sha) -> Option<Flags> {
        self.flags
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(sha)
            .copied()
    }

    /// The flags that a run of a script has.
    pub fn flags_of(&self, cached: &Cached, defaults: Flags) -> Flags {
        self.flags_set(&cached.script.sha)
            .unwrap_or_else(|| cached.header.over(defaults))
    }
}

/// Why a script was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Its header is wrong.
    #[error(transparent)]
    Header(#[from] FlagsError),
    /// It does not compile; Redis's text.
    #[error("{0}")]
    Compile(String),
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
        let cached = cache.load(body, |_| Ok(())).expect("it compiles");
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
}
