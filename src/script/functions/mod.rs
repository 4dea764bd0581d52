//! Functions: libraries of Lua code by their names, and what is called by `FCALL`.
//!
//! All libraries together are an immutable state; a change makes the next one. Whoever calls a
//! function holds on to what it found, so a call that runs keeps its library whatever happens to it.

pub(super) mod callback;
pub mod load;
pub mod payload;
pub(super) mod register;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::cache::{Cached, digest_of};
use super::engine::{Kind, Script};
use super::flags::{Flags, Header, first_line};
use super::found::State;
use crate::resp::parser::split_words;
use register::Registered;

pub use register::RegisterError;

/// Whether a library or a function may be called so.
pub fn is_name(name: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    !name.is_empty() && name.iter().all(is_allowed)
}

/// The name that a library's first line gives it.
///
/// # Errors
/// [`MetadataError`].
pub fn name_of(code: &[u8]) -> Result<Vec<u8>, MetadataError> {
    if !code.starts_with(b"#!") {
        return Err(MetadataError::Missing);
    }
    let words = first_line(code).and_then(split_words);
    let mut words = words.ok_or(MetadataError::Invalid)?.into_iter();
    let engine = words.next().unwrap_or_default();
    let mut name = None;
    for mut word in words {
        let key = word.get(..5);
        if !key.is_some_and(|key| key.eq_ignore_ascii_case(b"name=")) {
            return Err(MetadataError::Unknown(word));
        }
        if name.replace(word.split_off(5)).is_some() {
            return Err(MetadataError::TwoNames);
        }
    }
    let name = name.ok_or(MetadataError::NoName)?;
    if !is_name(&name) {
        return Err(MetadataError::BadName);
    }
    let engine = engine.get(2..).unwrap_or_default();
    if !engine.eq_ignore_ascii_case(b"lua") {
        return Err(MetadataError::Engine(engine.to_vec()));
    }
    Ok(name)
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// What is wrong with a library's first line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", String::from_utf8_lossy(&self.text()))]
pub enum MetadataError {
    /// There is none.
    Missing,
    /// It does not end.
    Invalid,
    /// It says something else.
    Unknown(Vec<u8>),
    /// It gives two names.
    TwoNames,
    /// It gives none.
    NoName,
    /// It gives one that is no name.
    BadName,
    /// It is written in another language.
    Engine(Vec<u8>),
}

impl MetadataError {
    /// The text that clients get; what they sent stands in it byte for byte.
    pub fn text(&self) -> Vec<u8> {
        let what = match self {
            MetadataError::Missing => "Missing library metadata",
            MetadataError::Invalid => "Invalid library metadata",
            MetadataError::Unknown(word) => {
                return [b"Invalid metadata value given: ", word.as_slice()].concat();
            }
            MetadataError::TwoNames => {
                "Invalid metadata value, name argument was given multiple times"
            }
            MetadataError::NoName => "Library name was not given",
            MetadataError::BadName => {
                "Library names can only contain letters, numbers, or underscores(_) and must be at \
                 least one character long"
            }
            MetadataError::Engine(name) => {
                return [b"Engine '", &name[..], b"' not found"].concat();
            }
        };
        what.into()
    }
}

/// A function of a library.
pub struct Function {
    /// What it does, if the library says so.
    pub description: Option<Box<[u8]>>,
    /// What it was registered with.
    pub flags: Flags,
    /// What the engine runs.
    pub cached: Arc<Cached>,
}

impl Function {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        self.cached.script.name()
    }
}

/// A library that could be loaded.
pub struct Library {
    /// Its name.
    pub name: Box<[u8]>,
    /// Its text, first line included.
    pub code: Arc<[u8]>,
    /// By their names.
    pub functions: Vec<Function>,
}

impl Library {
    fn new(name: &[u8], script: &Script, mut registered: Vec<Registered>) -> Library {
        let (library, code) = (script.sha, &script.body);
        registered.sort_by(|one, other| one.name.cmp(&other.name));
        let function = |registered: Registered| {
            let Registered {
                name,
                description,
                flags,
            } = registered;
            let script = Script {
                sha: digest_of(&[b"function", &library, &name]),
                body: Arc::clone(code),
                kind: Kind::Function { name, library },
            };
            Function {
                description,
                flags,
                cached: Arc::new(Cached::new(Arc::new(script), Header::naming(flags))),
            }
        };
        Library {
            name: name.into(),
            code: Arc::clone(code),
            functions: registered.into_iter().map(function).collect(),
        }
    }
}

/// All libraries at one moment.
#[derive(Clone)]
pub struct Libraries {
    libraries: BTreeMap<Box<[u8]>, Arc<Library>>,
    /// By their names in small letters.
    functions: HashMap<Box<[u8]>, Arc<Cached>, ahash::RandomState>,
}

impl Default for Libraries {
    fn default() -> Libraries {
        Libraries {
            libraries: BTreeMap::new(),
            functions: HashMap::with_hasher(ahash::RandomState::new()),
        }
    }
}

impl Libraries {
    /// All of them, by their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Library>> + Clone {
        self.libraries.values()
    }

    /// The library of this name.
    pub fn get(&self, name: &[u8]) -> Option<&Arc<Library>> {
        self.libraries.get(name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.libraries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.libraries.is_empty()
    }

    /// How many functions they have together.
    pub fn function_count(&self) -> usize {
        self.functions.len()
    }

    /// What their texts take together.
    pub fn code_bytes(&self) -> usize {
        self.iter().map(|library| library.code.len()).sum()
    }

    fn function(&self, name: &[u8]) -> Option<&Arc<Cached>> {
        // Most names are written as they were registered, and have no capitals.
        self.functions
            .get(name)
            .or_else(|| self.functions.get(&*name.to_ascii_lowercase()))
    }

    fn remove(&mut self, name: &[u8]) -> bool {
        let Some(library) = self.libraries.remove(name) else {
            return false;
        };
        for function in &library.functions {
            self.functions
                .remove(&*function.name().to_ascii_lowercase());
        }
        true
    }

    fn add(&mut self, library: Library) -> Result<(), RegistryError> {
        for function in &library.functions {
            let name = function.name().to_ascii_lowercase();
            let cached = Arc::clone(&function.cached);
            if self.functions.insert(name.into(), cached).is_some() {
                return Err(RegistryError::FunctionExists(text(function.name())));
            }
        }
        let name = library.name.clone();
        self.libraries.insert(name, Arc::new(library));
        Ok(())
    }
}

/// What becomes of libraries that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// They stay, and none may have the name of a new one.
    Append,
    /// Those that have the name of a new one go.
    Replace,
    /// All go.
    Flush,
}

/// Why libraries were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// There is a library of this name.
    #[error("Library {0} already exists")]
    LibraryExists(String),
    /// Another library has a function of this name.
    #[error("Function {0} already exists")]
    FunctionExists(String),
}

/// The libraries of a server.
#[derive(Default)]
pub struct Registry {
    current: RwLock<Arc<Libraries>>,
    /// Held by whoever makes the next one.
    change: Mutex<()>,
    pub(in crate::script) state: State,
}

impl Registry {
    /// There is no library yet.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// All libraries, as they are now.
    pub fn libraries(&self) -> Arc<Libraries> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// The function of this name, in capitals or small letters.
    pub fn function(&self, name: &[u8]) -> Option<Arc<Cached>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.function(name).cloned()
    }

    fn change<T>(
        &self,
        make: impl FnOnce(&mut Libraries) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let _alone = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Libraries::clone(&self.libraries());
        let made = make(&mut next)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, Arc::new(next));
        self.state.change();
        // Freeing all that was there takes its time, and readers wait for the lock.
        drop(current);
        drop(before);
        Ok(made)
    }

    /// Takes libraries: all of them or none.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn add(&self, libraries: Vec<Library>, policy: Policy) -> Result<(), RegistryError> {
        self.change(|all| {
            if policy == Policy::Flush {
                *all = Libraries::default();
            }
            // Old ones go first: functions may move from one to another.
            for library in &libraries {
                let is_there = all.get(&library.name).is_some();
                if is_there && policy == Policy::Append {
                    return Err(RegistryError::LibraryExists(text(&library.name)));
                }
                all.remove(&library.name);
            }
            libraries
                .into_iter()
                .try_for_each(|library| all.add(library))
        })
    }

    /// Forgets a library. `false` if there is none of this name.
    pub fn delete(&self, name: &[u8]) -> bool {
        self.change(|all| Ok(all.remove(name))).unwrap_or(false)
    }

    /// Forgets all libraries.
    pub fn flush(&self) {
        // It cannot fail.
        let _ = self.change(|all| {
            *all = Libraries::default();
            Ok(())
        });
    }
}

#[cfg(test)]
mod tests;
