//! What names in a command may refer to: groups that exist, entries that were delivered, libraries
//! and scripts that are loaded. Redis is asked for it before a command is made, so it is always true
//! then; what refers to nothing is still drawn now and then.

use crate::pools::Source;
use crate::scripts::{BODIES, LIBRARIES, Library, sha1};
use crate::wire::{Connection, Node};

/// What a family's commands refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    Nothing,
    Groups,
    Libraries,
    Scripts,
}

/// One thing of its kind, for one command.
#[derive(Default)]
pub(crate) struct Facts {
    /// Streams that have the same group.
    pub(crate) streams: Vec<Vec<u8>>,
    pub(crate) group: Option<Vec<u8>>,
    /// Of entries that wait to be acknowledged, and who got them.
    pub(crate) pending: Vec<(Vec<u8>, Vec<u8>)>,
    /// A stream, or what may become one, and a group that it has not.
    pub(crate) free: Option<(Vec<u8>, Vec<u8>)>,
    pub(crate) library: Option<Vec<u8>>,
    pub(crate) function: Option<Vec<u8>>,
    /// A function that scripts for reading may call.
    pub(crate) reader: Option<Vec<u8>>,
    pub(crate) script: Option<Vec<u8>>,
    /// A library none of whose names is taken.
    pub(crate) new_library: Option<&'static str>,
}

const STREAMS: &[&str] = &["stream:1", "stream:2", "stream:3"];
pub(crate) const GROUPS: &[&str] = &["g1", "g2", "g 3"];
const PENDING_MAX: &str = "8";

impl Facts {
    /// Whether there is something to refer to.
    pub(crate) fn has(&self, reference: Reference) -> bool {
        match reference {
            Reference::Nothing => true,
            Reference::Groups => self.group.is_some(),
            Reference::Libraries => self.function.is_some(),
            Reference::Scripts => self.script.is_some(),
        }
    }
}

/// The value behind a name in what Redis tells, as pairs in one array or as a map.
fn field<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    let mut pairs = node.children.chunks_exact(2);
    pairs
        .find(|pair| pair[0].text == name.as_bytes())
        .map(|pair| &pair[1])
}

fn pick_one<T: Clone>(source: &mut Source, all: &[T]) -> Option<T> {
    (!all.is_empty()).then(|| all[source.below(all.len())].clone())
}

/// Asks Redis, in the database of this connection.
pub(crate) fn ask(redis: &mut Connection, source: &mut Source, reference: Reference) -> Facts {
    match reference {
        Reference::Nothing => Facts::default(),
        Reference::Groups => groups(redis, source),
        Reference::Libraries => libraries(redis, source),
        Reference::Scripts => scripts(redis, source),
    }
}

fn groups(redis: &mut Connection, source: &mut Source) -> Facts {
    let (mut taken, mut free) = (Vec::new(), Vec::new());
    for stream in STREAMS {
        let kind = redis.call(&["TYPE", stream]);
        if !matches!(kind.text.as_slice(), b"none" | b"stream") {
            continue;
        }
        let told = redis.call(&["XINFO", "GROUPS", stream]);
        let own = told
            .children
            .iter()
            .filter_map(|group| field(group, "name"));
        let own: Vec<Vec<u8>> = own.map(|name| name.text.clone()).collect();
        for group in GROUPS.iter().map(|name| name.as_bytes().to_vec()) {
            if !own.contains(&group) {
                free.push((stream.as_bytes().to_vec(), group));
            }
        }
        taken.extend(
            own.into_iter()
                .map(|group| (stream.as_bytes().to_vec(), group)),
        );
    }
    let mut facts = Facts {
        free: pick_one(source, &free),
        ..Facts::default()
    };
    if let Some((stream, group)) = pick_one(source, &taken) {
        let question: [&[u8]; 6] = [
            b"XPENDING",
            &stream,
            &group,
            b"-",
            b"+",
            PENDING_MAX.as_bytes(),
        ];
        let pending = redis.call(&question);
        let row = |row: &Node| (row.children[0].text.clone(), row.children[1].text.clone());
        facts.pending = pending.children.iter().map(row).collect();
        let others = taken.iter().filter(|(_, other)| *other == group);
        facts.streams = others.map(|(stream, _)| stream.clone()).collect();
        let at = facts.streams.iter().position(|other| *other == stream);
        facts.streams.rotate_left(at.unwrap_or(0));
        facts.group = Some(group);
    }
    facts
}

fn libraries(redis: &mut Connection, source: &mut Source) -> Facts {
    let told = redis.run("FUNCTION LIST");
    let (mut names, mut functions, mut readers) = (Vec::new(), Vec::new(), Vec::new());
    for library in &told.children {
        names.extend(field(library, "library_name").map(|name| name.text.clone()));
        let own = field(library, "functions").map_or(&[][..], |all| &all.children);
        for function in own {
            let name = field(function, "name").map(|name| name.text.clone());
            let flags = field(function, "flags").map_or(&[][..], |flags| &flags.children);
            if flags.iter().any(|flag| flag.text == b"no-writes") {
                readers.extend(name.clone());
            }
            functions.extend(name);
        }
    }
    let is_taken = |library: &&Library| {
        names.iter().any(|name| name == library.name.as_bytes())
            || library
                .functions
                .iter()
                .any(|own| functions.iter().any(|name| name == own.as_bytes()))
    };
    let new: Vec<&str> = LIBRARIES
        .iter()
        .filter(|library| !is_taken(library))
        .map(|library| library.body)
        .collect();
    Facts {
        library: pick_one(source, &names),
        function: pick_one(source, &functions),
        reader: pick_one(source, &readers),
        new_library: pick_one(source, &new),
        ..Facts::default()
    }
}

fn scripts(redis: &mut Connection, source: &mut Source) -> Facts {
    let names: Vec<Vec<u8>> = BODIES.iter().map(|body| sha1(body)).collect();
    let mut question: Vec<&[u8]> = vec![b"SCRIPT", b"EXISTS"];
    question.extend(names.iter().map(Vec::as_slice));
    let told = redis.call(&question);
    let known = names.iter().zip(&told.children);
    let known: Vec<&Vec<u8>> = known
        .filter(|(_, exists)| exists.number() == Some(1))
        .map(|(name, _)| name)
        .collect();
    Facts {
        script: pick_one(source, &known).cloned(),
        ..Facts::default()
    }
}

/// Whether a word refers to what there is, where there is something.
const TRUE_PERCENT: usize = 85;

/// What the facts say, most of the time; nothing otherwise.
fn refer(source: &mut Source, what: fn(&Facts) -> Option<&[u8]>) -> Option<Vec<u8>> {
    let found = what(&source.facts).map(<[u8]>::to_vec)?;
    source.percent(TRUE_PERCENT).then_some(found)
}

/// A stream that has the group; each next one in a command is another, if there is one.
pub(crate) fn stream(source: &mut Source) -> Option<Vec<u8>> {
    let found = refer(source, |facts| facts.streams.first().map(Vec::as_slice))?;
    source.facts.streams.rotate_left(1);
    Some(found)
}

pub(crate) fn group(source: &mut Source) -> Option<Vec<u8>> {
    refer(source, |facts| facts.group.as_deref())
}

pub(crate) fn free_stream(source: &mut Source) -> Option<Vec<u8>> {
    refer(source, |facts| Some(&facts.free.as_ref()?.0))
}

pub(crate) fn free_group(source: &mut Source) -> Option<Vec<u8>> {
    refer(source, |facts| Some(&facts.free.as_ref()?.1))
}

fn pending(source: &mut Source) -> Option<(Vec<u8>, Vec<u8>)> {
    let count = source.facts.pending.len();
    if count == 0 || !source.percent(TRUE_PERCENT) {
        return None;
    }
    let at = source.below(count);
    Some(source.facts.pending[at].clone())
}

/// An entry that was delivered.
pub(crate) fn pending_id(source: &mut Source) -> Option<Vec<u8>> {
    pending(source).map(|(id, _)| id)
}

/// Who got one.
pub(crate) fn owner(source: &mut Source) -> Option<Vec<u8>> {
    pending(source).map(|(_, owner)| owner)
}

pub(crate) fn library_name(source: &mut Source) -> Option<Vec<u8>> {
    refer(source, |facts| facts.library.as_deref())
}

pub(crate) fn new_library(source: &mut Source) -> Option<Vec<u8>> {
    refer(source, |facts| facts.new_library.map(str::as_bytes))
}

pub(crate) fn function(source: &mut Source) -> Option<Vec<u8>> {
    refer(source, |facts| facts.function.as_deref())
}

pub(crate) fn reader(source: &mut Source) -> Option<Vec<u8>> {
    refer(source, |facts| facts.reader.as_deref())
}

pub(crate) fn script(source: &mut Source) -> Option<Vec<u8>> {
    refer(source, |facts| facts.script.as_deref())
}
