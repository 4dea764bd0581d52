//! `docs/commands.md`, made from the table of commands and from what `docs/compatibility.md` names.

use std::fs;

use darter::commands::admission::{InMulti, InTransaction, OnSnapshot};
use darter::commands::command::{Command, Run, flag};
use darter::commands::table::{self, Entry};

use super::root;

const TITLE: &str = "# Commands

Made from the table of commands by `cargo test --test tidy`; edit the rows in `src/commands/`. `tests/commands/admission.rs` asks a server
whether the words of **snapshot** and **in a transaction** are true.

";

/// What the words of the column `snapshot` mean.
const SNAPSHOT_LEGEND: &[(&str, &str)] = &[
    (
        "reads",
        "reads what was there at SNAPSHOT BEGIN, and does not wait for more",
    ),
    (
        "reads if read-only",
        "so does its script, which must have the flag `no-writes`; others are refused",
    ),
    ("refused", "is an error, and the snapshot stays"),
    (
        "apart",
        "does what it does without a snapshot, with what is there now",
    ),
    ("ends it", "the connection holds no snapshot behind it"),
];

/// What the words of the column `in a transaction` mean.
const TRANSACTION_LEGEND: &[(&str, &str)] = &[
    (
        "part",
        "belongs to the transaction of the EXEC or the script: what it reads is compared at the commit, what it writes and publishes \
         happens there",
    ),
    (
        "range",
        "is part, also as to a range of keys, so that none comes to it or goes unseen; beyond a thousand keys as `all keys`",
    ),
    (
        "all keys",
        "is part, but reads what cannot be compared: the transaction takes the gate (nobody else commits meanwhile), but for a script that changes \
         nothing. SCAN by a literal prefix is as `range`",
    ),
    (
        "gate",
        "is part, and the transaction takes the gate in any case",
    ),
    (
        "at once",
        "goes past the transaction: happens when its turn comes, once, with what is there then, and is not taken back. What SELECT \
         selects becomes the connection's with the commit, and a script's no longer than it runs",
    ),
    ("no wait", "blocks by itself, but not here"),
    (
        "not in scripts",
        "scripts may not call it; in MULTI it is as said",
    ),
    ("refused", "is an error in MULTI and in scripts"),
    (
        "ends it",
        "runs instead of being queued, and MULTI is over; scripts may not call it",
    ),
    ("no effect", "is queued and does nothing"),
];

const ABSENT: &str = "–";

fn is_run(command: &Command) -> bool {
    !command.has(flag::ABSENT) && !matches!(command.run, Run::Container)
}

fn on_snapshot(command: &Command) -> &'static str {
    if !is_run(command) {
        return ABSENT;
    }
    match command.on_snapshot() {
        OnSnapshot::Reads => "reads",
        OnSnapshot::ReadsIfReadOnly => "reads if read-only",
        OnSnapshot::Refused(_) => "refused",
        OnSnapshot::Ends => "ends it",
        OnSnapshot::Apart => "apart",
    }
}

fn in_transaction(command: &Command) -> String {
    if !is_run(command) {
        return ABSENT.into();
    }
    let is_for_scripts = command.is_for_scripts();
    let mut words = vec![match (command.in_multi(), command.in_transaction()) {
        // What scripts could still call would need a word of its own.
        (InMulti::Refused(_) | InMulti::Ends, _) if is_for_scripts => panic!("{}", command.name),
        (InMulti::Refused(_), _) => return "refused".into(),
        (InMulti::Ends, _) => return "ends it".into(),
        (InMulti::Queued, InTransaction::Part) => "part",
        (InMulti::Queued, InTransaction::Range) => "range",
        (InMulti::Queued, InTransaction::AllKeys) => "all keys",
        (InMulti::Queued, InTransaction::Gate) => "gate",
        (InMulti::Queued, InTransaction::AtOnce) => "at once",
        (InMulti::Queued, InTransaction::NoEffect) => "no effect",
    }];
    if command.has(flag::BLOCKING) {
        words.push("no wait");
    }
    if !is_for_scripts {
        words.push("not in scripts");
    }
    words.join(", ")
}

/// A row of `docs/compatibility.md` that is about commands.
struct Difference {
    /// The anchor of its section.
    section: String,
    /// Places in the table of commands.
    commands: Vec<usize>,
}

/// The commands that a text names, by their places in the table. Behind a container's name the names
/// of its subcommands are those: `DEBUG SLEEP, RELOAD`.
fn named_commands(text: &str) -> Vec<usize> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let words = text.split(|c| !is_part(c)).filter(|word| {
        let is_capital = |c: char| !c.is_ascii_lowercase();
        word.len() > 1 && word.chars().all(is_capital)
    });
    let mut found: Vec<Entry> = Vec::new();
    let mut container: Option<Entry> = None;
    for word in words {
        let subcommand = container.and_then(|own| table::find_subcommand(own, word.as_bytes()));
        if let (Some(own), Some(_)) = (container, subcommand) {
            // Only its subcommand is meant.
            found.retain(|entry| {
                entry.index != own.index || !matches!(own.command.run, Run::Container)
            });
        }
        let Some(entry) = subcommand.or_else(|| table::find(word.as_bytes())) else {
            continue;
        };
        if !entry.command.subcommands.is_empty() {
            container = Some(entry);
        }
        found.push(entry);
    }
    found.iter().map(|entry| entry.index).collect()
}

/// Behind this heading stands what cannot be compared, which differs from nothing.
const END_OF_DIFFERENCES: &str = "What is not compared";

fn differences() -> Vec<Difference> {
    let path = root().join("docs/compatibility.md");
    let text = fs::read_to_string(path).expect("readable");
    let mut all = Vec::new();
    for section in text.split("\n## ").skip(1) {
        let mut lines = section.lines();
        let heading = lines.next().unwrap_or_default();
        if heading == END_OF_DIFFERENCES {
            break;
        }
        let rows = lines.filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
        all.extend(rows.map(|what| Difference {
            section: heading.to_lowercase().replace(' ', "-"),
            commands: named_commands(what),
        }));
    }
    all
}

#[test]
fn differences_are_found_where_they_are_named() {
    let names = |text: &str| -> Vec<String> {
        let all = table::all();
        let found = named_commands(text).into_iter();
        found.map(|index| all[index].full_name()).collect()
    };
    assert_eq!(names("GET of what PFADD made"), ["get", "pfadd"]);
    assert_eq!(
        names("DEBUG SLEEP, RELOAD and SET"),
        ["debug|sleep", "debug|reload", "set"]
    );
    assert_eq!(names("DEBUG"), ["debug"]);
    assert_eq!(names("what a script does"), [""; 0]);
    let rows = differences();
    let with_commands = rows.iter().filter(|row| !row.commands.is_empty()).count();
    assert!(
        with_commands * 2 > rows.len(),
        "{with_commands} of {}",
        rows.len()
    );
}

/// A link to what `docs/compatibility.md` says of a command.
fn link(differences: &[Difference], entry: Entry) -> String {
    if entry.command.has(flag::ABSENT) {
        return "[refused](compatibility.md#commands-that-tell-of-the-server)".into();
    }
    let mut named = differences
        .iter()
        .filter(|row| row.commands.contains(&entry.index));
    named.next().map_or_else(String::new, |row| {
        format!("[yes](compatibility.md#{})", row.section)
    })
}

fn legend(title: &str, words: &[(&str, &str)]) -> String {
    let rows = words
        .iter()
        .map(|(word, meaning)| format!("- `{word}`: {meaning}.\n"));
    format!("**{title}**:\n\n{}\n", rows.collect::<String>())
}

fn head() -> String {
    let publishing = table::all()
        .iter()
        .filter(|entry| entry.command.publishes());
    let publishing: Vec<_> = publishing
        .map(|entry| entry.full_name().to_uppercase())
        .collect();
    let mut text = String::from(TITLE);
    text +=
        "**cost** is that of this server, **since** the version of Redis that first had it.\n\n";
    text += &legend(
        "snapshot, between SNAPSHOT BEGIN and SNAPSHOT END",
        SNAPSHOT_LEGEND,
    );
    text += &legend(
        "in a transaction, in MULTI and in scripts",
        TRANSACTION_LEGEND,
    );
    text += &format!(
        "A script that only reads (EVAL_RO, `no-writes`) may not call what is `refused` on a snapshot, nor {}. One with \
         `disable-atomicity` is no transaction: each of its calls is one.\n\n",
        publishing.join(" and ")
    );
    text += "**differs**: whether [compatibility.md](compatibility.md) has a line that names the command. What differs for all \
             commands or in all scripts stands there alone. `–`: does not run by itself, since its subcommands do, or is refused \
             wherever it is sent.\n";
    text
}

/// The table of commands as a document.
pub(crate) fn text() -> String {
    let differences = differences();
    let mut text = head();
    let mut groups: Vec<&str> = table::all()
        .iter()
        .map(|e| e.command.group.name())
        .collect();
    groups.sort_unstable();
    groups.dedup();
    for group in groups {
        text.push_str(&format!(
            "\n## {group}\n\n| command | arity | since | cost | snapshot | in a transaction | differs | what it does |\n"
        ));
        text.push_str("|---|---|---|---|---|---|---|---|\n");
        let mut entries: Vec<_> = table::all()
            .iter()
            .filter(|entry| entry.command.group.name() == group)
            .collect();
        entries.sort_by_key(|entry| entry.full_name());
        for entry in entries {
            let command = entry.command;
            text.push_str(&format!(
                "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
                entry.full_name().to_ascii_uppercase().replace('|', " "),
                command.arity,
                command.since,
                command.complexity,
                on_snapshot(command),
                in_transaction(command),
                link(&differences, *entry),
                command.summary
            ));
        }
    }
    text
}

/// A word that is not explained, or explained and not used, would be of no use to a reader.
#[test]
fn the_words_of_the_document_are_those_of_its_legends() {
    let explained = |legend: &[(&str, &str)]| -> Vec<String> {
        let words = legend.iter().map(|(word, _)| (*word).to_owned());
        let mut words: Vec<String> = words.collect();
        words.sort();
        words
    };
    let used = |words: Vec<String>| -> Vec<String> {
        let mut words: Vec<String> = words.into_iter().filter(|word| word != ABSENT).collect();
        words.sort();
        words.dedup();
        words
    };
    let commands = || table::all().iter().map(|entry| entry.command);
    let snapshot = commands().map(|command| on_snapshot(command).to_owned());
    assert_eq!(used(snapshot.collect()), explained(SNAPSHOT_LEGEND));
    let transaction = commands().flat_map(|command| {
        let cell = in_transaction(command);
        cell.split(", ").map(str::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(used(transaction.collect()), explained(TRANSACTION_LEGEND));
}
