//! The grammar, the table of commands, the rules and the documents say the same.

use std::collections::BTreeSet;

use darter::commands::args::Args;
use darter::commands::command::{Run as How, flag};
use darter::commands::table::{self, Entry};

use crate::compare::{is_same, normalise};
use crate::excluded::{EXCLUDED, NEWER};
use crate::forms::FAMILIES;
use crate::grammar::{Command, Nature, parse};
use crate::peers::{Link, Peers};
use crate::pools::Source;
use crate::rules::{self, AVOIDED, RULES};
use crate::support::line;
use crate::ways::{self, Way};
use crate::wire::Node;

/// Whether Redis 7.0 has it. What is refused here is in tests/commands/absent.rs.
fn is_of_redis_7_0(entry: &Entry) -> bool {
    let mut numbers = entry
        .command
        .since
        .split('.')
        .map(|number| number.parse::<u32>().unwrap());
    let release = (numbers.next().unwrap(), numbers.next().unwrap());
    release <= (7, 0) && !is_container(entry) && !entry.command.has(flag::ABSENT)
}

fn is_container(entry: &Entry) -> bool {
    matches!(entry.command.run, How::Container)
}

fn names_of_forms() -> BTreeSet<String> {
    let forms = FAMILIES.iter().flat_map(|family| family.forms);
    forms.flat_map(|form| parse(*form).names()).collect()
}

fn excluded() -> BTreeSet<String> {
    let names = EXCLUDED.iter().flat_map(|(names, _)| *names);
    names.map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_command_of_redis_has_a_form_or_a_reason() {
    let (sent, excluded) = (names_of_forms(), excluded());
    let known: BTreeSet<String> = table::all()
        .iter()
        .filter(|entry| is_of_redis_7_0(entry))
        .map(Entry::full_name)
        .collect();
    let forgotten: Vec<_> = known
        .iter()
        .filter(|name| !sent.contains(*name) && !excluded.contains(*name))
        .collect();
    assert!(
        forgotten.is_empty(),
        "no form in tests/differential/forms.rs: {forgotten:?}"
    );
    let both: Vec<_> = excluded.intersection(&sent).collect();
    assert!(both.is_empty(), "sent and excluded: {both:?}");
    let unknown: Vec<_> = excluded.difference(&known).collect();
    assert!(
        unknown.is_empty(),
        "excluded, and not in the table: {unknown:?}"
    );
}

#[test]
fn what_redis_does_not_have_is_tested_elsewhere() {
    let newer: BTreeSet<String> = NEWER
        .iter()
        .flat_map(|(names, _)| *names)
        .map(|name| (*name).to_owned())
        .collect();
    let known: BTreeSet<String> = table::all()
        .iter()
        .filter(|entry| !is_of_redis_7_0(entry) && !is_container(entry))
        .filter(|entry| !entry.command.has(flag::ABSENT))
        .map(Entry::full_name)
        .collect();
    assert_eq!(newer, known, "NEWER in tests/differential/excluded.rs");
    for (names, file) in NEWER {
        let path = format!("{}/tests/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        for name in *names {
            let word = name.rsplit('|').next().unwrap().to_ascii_uppercase();
            assert!(text.contains(&word), "no {word} in {file}");
        }
    }
}

/// The entry of a command, if the form is one that the table knows.
fn entry_of(command: &Command) -> Option<Entry> {
    let entry = table::find(&command.words[0])?;
    match entry.command.run {
        How::Container => table::find_subcommand(entry, command.words.get(1)?),
        _ => Some(entry),
    }
}

#[test]
fn forms_agree_with_the_table_of_commands() {
    let mut source = Source::new(7);
    for form in FAMILIES.iter().flat_map(|family| family.forms) {
        let parsed = parse(*form);
        for _ in 0..100 {
            let command = parsed.write(&mut source, 0);
            let entry =
                entry_of(&command).unwrap_or_else(|| panic!("{}: no such command", form.text));
            assert!(
                entry.command.accepts(command.words.len()),
                "{}: arity",
                form.text
            );
            let words: Vec<&[u8]> = command.words.iter().map(Vec::as_slice).collect();
            // A count that is not a number, or too large, leaves no keys.
            let Some(mut positions) = entry.command.keys.positions(&Args::new(&words)) else {
                continue;
            };
            positions.sort_unstable();
            let mut keys = command.keys;
            if form.nature == Nature::Restore {
                keys.truncate(1);
            }
            assert!(
                command.is_mutant || positions == keys,
                "{}: {positions:?} {keys:?}",
                form.text
            );
        }
    }
}

/// What both reply to the last command of a line, sent in one way, on empty databases.
fn replies_to(peers: &mut Peers, example: &str, way: Way) -> (Command, Node, Node) {
    peers.run(Link::Resp3, "FLUSHALL");
    let lines = line::parse(example);
    let (words, before) = lines.split_last().unwrap();
    peers.exchange(Link::Resp3, before);
    let command = Command {
        words: words.clone(),
        keys: if way.is_script() { vec![1] } else { Vec::new() },
        nature: Nature::Plain,
        family: 0,
        is_mutant: false,
    };
    let request = ways::request(way, &command);
    let (redis, darter) = peers.exchange(Link::Resp3, &[request]).swap_remove(0);
    let (redis, darter) = (normalise(&command, redis), normalise(&command, darter));
    assert!(
        !is_same(words, &redis, &darter),
        "no difference: {example}: {redis}"
    );
    (command, redis, darter)
}

#[test]
fn every_rule_explains_what_it_names() {
    let Some(mut peers) = Peers::start() else {
        return;
    };
    for rule in RULES.iter().filter(|rule| !rule.example.is_empty()) {
        let (command, redis, darter) = replies_to(&mut peers, rule.example, rule.way);
        let explained = rules::explain(rule.way, &command.words, &redis, &darter);
        assert_eq!(
            explained.map(|rule| rule.name),
            Some(rule.name),
            "{redis} {darter}"
        );
    }
}

#[test]
fn what_is_avoided_differs() {
    let Some(mut peers) = Peers::start() else {
        return;
    };
    for (name, example, way) in AVOIDED {
        let (command, redis, darter) = replies_to(&mut peers, example, *way);
        let explained = rules::explain(*way, &command.words, &redis, &darter);
        assert!(explained.is_none(), "{name} is explained: {redis} {darter}");
    }
}

#[test]
fn the_document_names_every_difference() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md");
    let document = std::fs::read_to_string(path).unwrap();
    let names = RULES
        .iter()
        .map(|rule| rule.name)
        .chain(AVOIDED.iter().map(|(name, ..)| *name));
    for name in names {
        assert!(
            document.contains(&format!("`differential::{name}`")),
            "no row for {name}"
        );
    }
}
