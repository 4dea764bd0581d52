//! When two replies are the same although their bytes may differ: what has no order, what comes by
//! chance, and what tells the time. Everything else is compared as it came.

use crate::grammar::{Command, Nature};
use crate::wire::Node;

/// How far the times to live of two servers may be apart: one got the command later.
const TOLERANCE_MS: i64 = 30_000;

/// The name in capitals, its subcommand behind a bar if it has any.
pub(crate) fn name_of(words: &[Vec<u8>]) -> String {
    let word = |at: usize| {
        words
            .get(at)
            .map(|word| String::from_utf8_lossy(word).to_ascii_uppercase())
    };
    let name = word(0).unwrap_or_default();
    match (name.as_str(), word(1)) {
        (
            "XINFO" | "XGROUP" | "OBJECT" | "PUBSUB" | "SCRIPT" | "FUNCTION" | "CLIENT" | "COMMAND",
            Some(sub),
        ) => {
            format!("{name}|{sub}")
        }
        _ => name.clone(),
    }
}

pub(crate) fn has_word(words: &[Vec<u8>], wanted: &str) -> bool {
    words
        .iter()
        .any(|word| word.eq_ignore_ascii_case(wanted.as_bytes()))
}

fn sort_groups(node: &mut Node, size: usize) {
    if !node.is_aggregate() {
        return;
    }
    let mut groups: Vec<Vec<Node>> = node.children.chunks(size).map(<[Node]>::to_vec).collect();
    groups.sort();
    node.children = groups.concat();
}

/// What comes by chance: only of which kind it is, and how much. Errors stay.
fn shape(node: &mut Node) {
    if !node.is_error() {
        node.text.clear();
    }
    node.children.iter_mut().for_each(shape);
}

/// Sorts maps and sets at any depth: Lua has no order for them.
pub(crate) fn sort_unordered(node: &mut Node) {
    node.children.iter_mut().for_each(sort_unordered);
    match node.kind {
        b'%' => sort_groups(node, 2),
        b'~' => sort_groups(node, 1),
        _ => {}
    }
}

/// Sorts everything at any depth but pairs of names and values.
fn sort_libraries(node: &mut Node) {
    node.children.iter_mut().for_each(sort_libraries);
    let is_record = node
        .children
        .first()
        .is_some_and(|name| matches!(name.text.as_slice(), b"library_name" | b"name"));
    if !is_record {
        sort_groups(node, 1);
    }
}

/// An entry that is pending: when it was delivered stands before how often.
fn pin_row(row: &mut Node) {
    if let Some(at) = row.children.len().checked_sub(2) {
        row.children[at] = Node::integer(0);
    }
}

/// The times within what XINFO tells; one that is -1 stays.
fn pin_times(node: &mut Node) {
    for at in 0..node.children.len() {
        let name = at
            .checked_sub(1)
            .map(|before| node.children[before].text.clone());
        let value = &mut node.children[at];
        match (name.as_deref(), value.number()) {
            (Some(b"idle" | b"inactive" | b"seen-time" | b"active-time"), Some(time)) => {
                *value = Node::integer(time.min(0));
            }
            (Some(b"pending" | b"pel"), None) if value.is_aggregate() => {
                value.children.iter_mut().for_each(pin_row);
            }
            _ => pin_times(value),
        }
    }
}

/// Whether places are returned in an order that was asked for.
fn is_unordered_geo(name: &str, words: &[Vec<u8>]) -> bool {
    name.starts_with("GEO")
        && (name.contains("RADIUS") || name == "GEOSEARCH")
        && !["ASC", "DESC", "COUNT"]
            .iter()
            .any(|word| has_word(words, word))
}

/// Whether an order was asked for that says nothing of elements that weigh the same.
fn is_unordered_sort(name: &str, words: &[Vec<u8>]) -> bool {
    let says_little = has_word(words, "ALPHA") || has_word(words, "nosort");
    name.starts_with("SORT") && has_word(words, "BY") && says_little
}

/// The reply as it can be compared.
pub(crate) fn normalise(command: &Command, mut node: Node) -> Node {
    let words = &command.words;
    let name = name_of(words);
    match name.as_str() {
        _ if command.nature == Nature::Random => shape(&mut node),
        "SMEMBERS"
        | "SINTER"
        | "SUNION"
        | "SDIFF"
        | "KEYS"
        | "HKEYS"
        | "HVALS"
        | "PUBSUB|CHANNELS"
        | "PUBSUB|SHARDCHANNELS" => sort_groups(&mut node, 1),
        "HGETALL" => sort_groups(&mut node, 2),
        "XPENDING" if words.len() > 3 && node.is_aggregate() => {
            node.children.iter_mut().for_each(pin_row);
        }
        name if name.starts_with("XINFO|") => pin_times(&mut node),
        "FUNCTION|LIST" => sort_libraries(&mut node),
        name if is_unordered_geo(name, words) => sort_groups(&mut node, 1),
        name if name.starts_with("GEO") && has_word(words, "ANY") => shape(&mut node),
        name if is_unordered_sort(name, words) => {
            if has_word(words, "LIMIT") {
                shape(&mut node);
            } else {
                sort_groups(&mut node, 1);
            }
        }
        _ => {}
    }
    node
}

/// Whether two replies that `normalise` has seen say the same.
pub(crate) fn is_same(words: &[Vec<u8>], redis: &Node, darter: &Node) -> bool {
    if redis == darter {
        return true;
    }
    let tolerance = match name_of(words).as_str() {
        "TTL" | "EXPIRETIME" => TOLERANCE_MS / 1000,
        "PTTL" | "PEXPIRETIME" => TOLERANCE_MS,
        _ => return false,
    };
    match (redis.number(), darter.number()) {
        (Some(redis), Some(darter)) => {
            redis > 0 && darter > 0 && (redis - darter).abs() <= tolerance
        }
        _ => false,
    }
}
