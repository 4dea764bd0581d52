//! Walking keys, and what all commands that walk with a cursor share.

use std::sync::atomic::Ordering;

use darter_storage::{Scanned, prefix_end};

use super::args::Args;
use super::command::{Command, Group, flag};
use super::error::CommandError;
use super::key::type_name;
use super::view::View;
use crate::glob;
use crate::resp::reply::Reply;
use crate::scan_cursors::Cursor;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::read("KEYS", 2, Group::Generic, keys)
        .flag(flag::WHOLE_KEYSPACE | flag::DANGEROUS)
        .doc(
            "1.0.0",
            "O(N), with N keys that have the literal prefix",
            "Returns matching keys.",
        ),
    Command::read("SCAN", -2, Group::Generic, scan).doc(
        "2.8.0",
        "O(1) per call, O(N) for all keys, or those with MATCH's literal prefix",
        "Walks the keys, some per call.",
    ),
    Command::read("RANDOMKEY", 1, Group::Generic, random_key).doc(
        "1.0.0",
        "O(1)",
        "Returns a key drawn at random.",
    ),
];

type Done = Result<(), CommandError>;

/// A cursor as SCAN and its kin take it.
pub(super) fn parse_cursor(argument: &[u8]) -> Result<u64, CommandError> {
    let text = std::str::from_utf8(argument).ok();
    let parsed = text.and_then(|text| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse().ok()
        }
    });
    parsed.ok_or(CommandError::text("ERR invalid cursor"))
}

/// The options of SCAN and its kin.
pub(super) struct ScanOptions<'a> {
    pattern: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
    /// About how many elements to visit.
    pub(super) count: usize,
    /// Whether the values of a hash's fields are left out.
    pub(super) is_without_values: bool,
}

/// What is walked: some options are for one kind only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Walked {
    Keys,
    Fields,
    Members,
}

impl<'a> ScanOptions<'a> {
    /// The options from `index` on.
    pub(super) fn parse(
        args: &Args<'a>,
        index: usize,
        walked: Walked,
    ) -> Result<ScanOptions<'a>, CommandError> {
        let mut parsed = ScanOptions {
            pattern: None,
            kind: None,
            count: 10,
            is_without_values: false,
        };
        let mut options = args.options(index);
        while !options.is_empty() {
            if options.take("NOVALUES") {
                if walked != Walked::Fields {
                    return Err(CommandError::text(
                        "ERR NOVALUES option can only be used in HSCAN",
                    ));
                }
                parsed.is_without_values = true;
                continue;
            }
            if options.left() < 2 {
                return Err(CommandError::Syntax);
            }
            if options.take("COUNT") {
                let count = options.integer()?;
                if count < 1 {
                    return Err(CommandError::Syntax);
                }
                parsed.count = usize::try_from(count).unwrap_or(usize::MAX);
            } else if options.take("MATCH") {
                parsed.pattern = Some(options.next()?);
            } else if walked == Walked::Keys && options.take("TYPE") {
                parsed.kind = Some(options.next()?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(parsed)
    }

    /// Whether MATCH lets an element through.
    pub(super) fn matches(&self, element: &[u8]) -> bool {
        self.pattern
            .is_none_or(|pattern| glob::matches(pattern, element))
    }
}

/// Replies with the next cursor and the elements that were visited.
pub(super) fn reply_page<'e>(
    next: u64,
    elements: impl ExactSizeIterator<Item = &'e [u8]>,
    reply: &mut dyn Reply,
) {
    reply.array(2);
    let mut digits = itoa::Buffer::new();
    reply.bulk(digits.format(next).as_bytes());
    reply.array(elements.len());
    elements.for_each(|element| reply.bulk(element));
}

fn keys(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let pattern = &args[1];
    let prefix = glob::literal_prefix(pattern);
    let until = prefix_end(&prefix);
    let walked = view
        .reader()
        .keys(view.database, &prefix, until.as_deref(), usize::MAX)?;
    let found: Vec<_> = walked
        .iter()
        .filter(|key| glob::matches(pattern, key))
        .collect();
    reply.array(found.len());
    found.iter().for_each(|key| reply.bulk(key));
    Ok(())
}

/// A step of a walk over the keys that begin with `prefix`, in key order from `from` on: the next
/// cursor and the keys that it visited.
fn scan_prefix(
    view: &View<'_>,
    prefix: &[u8],
    from: Option<&[u8]>,
    count: usize,
) -> Result<Scanned, CommandError> {
    let from = from.map_or(prefix, |from| from.max(prefix));
    let until = prefix_end(prefix);
    let reader = view.reader();
    let keys = reader.keys(view.database, from, until.as_deref(), count)?;
    let next = match keys.last() {
        Some(last) if keys.len() >= count => {
            let behind = [last, &b"\0"[..]].concat().into_boxed_slice();
            view.services.scan_cursors.keep(behind)
        }
        _ => 0,
    };
    Ok((next, keys))
}

fn scan(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let cursor = parse_cursor(&args[1])?;
    let options = ScanOptions::parse(args, 2, Walked::Keys)?;
    let prefix = options.pattern.map(glob::literal_prefix);
    let prefix = prefix.unwrap_or_default();
    // A walk keeps the order that it began in, whatever its later calls ask for.
    let (next, keys) = match view.services.scan_cursors.find(cursor) {
        Cursor::Start if prefix.is_empty() => {
            view.reader().scan(view.database, 0, options.count)?
        }
        Cursor::Start => scan_prefix(view, &prefix, None, options.count)?,
        Cursor::Hash(place) => view.reader().scan(view.database, place, options.count)?,
        Cursor::Key(from) => scan_prefix(view, &prefix, from.as_deref(), options.count)?,
    };
    let visited = &view.services.stats.scan_visited_keys;
    visited.fetch_add(keys.len() as u64, Ordering::Relaxed);
    let mut found = Vec::new();
    for key in keys.iter().filter(|key| options.matches(key)) {
        let is_of_type = match options.kind {
            None => true,
            Some(wanted) => view
                .kind(key)?
                .is_some_and(|kind| type_name(kind).as_bytes().eq_ignore_ascii_case(wanted)),
        };
        if is_of_type {
            found.push(&**key);
        }
    }
    reply_page(next, found.into_iter(), reply);
    Ok(())
}

fn random_key(view: &mut View<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    match view.reader().random_key(view.database)? {
        Some(key) => reply.bulk(&key),
        None => reply.null(),
    }
    Ok(())
}
