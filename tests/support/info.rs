//! What INFO says.

use std::collections::HashMap;

use super::client::{Client, Reply};

/// The fields of a section of INFO.
pub(crate) fn section(client: &mut Client, name: &str) -> HashMap<String, String> {
    let Reply::Bulk(text) = client.call(&["INFO", name]) else {
        panic!("INFO is a string")
    };
    let text = String::from_utf8(text).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

/// A field of INFO that is a number.
pub(crate) fn number(client: &mut Client, name: &str) -> usize {
    let all = section(client, "everything");
    all[name]
        .parse()
        .unwrap_or_else(|_| panic!("{name}:{}", all[name]))
}
