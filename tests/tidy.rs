//! Rules that a reader would hold the tree to: sizes, where unsafe code and locks may stand, which
//! way dependencies run, documents that are made from the code.

use std::fs;
use std::path::{Path, PathBuf};

use darter::commands::command::{Keys, Run, flag};
use darter::commands::table;

#[path = "tidy/commands_document.rs"]
mod commands_document;

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
/// Where the store may lock: waiters alone, and readers of the effects stream.
const LOCKS: &[(&str, &str)] = &[
    (
        "storage/src/gate.rs",
        "wakers of those who wait for the gate",
    ),
    (
        "storage/src/waiting.rs",
        "a thread of an embedding program that waits for the gate",
    ),
    ("storage/src/sync/mod.rs", "what the others are made of"),
    ("storage/src/queue.rs", "the lines of those who keep losing"),
    ("storage/src/effects.rs", "readers of the effects stream"),
];
/// Where the server may be unsafe.
const UNSAFE: &[&str] = &["src/script/", "src/memory.rs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Lines of a file, without those that document what it offers: an example costs no split.
fn counted_lines(text: &str) -> usize {
    text.lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with("///") && !line.starts_with("//!"))
        .count()
}

/// All Rust files below a folder, with their paths from the root.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project") {
            let path: PathBuf = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(root())
                    .expect("below the root")
                    .display()
                    .to_string();
                found.push((name, fs::read_to_string(&path).expect("readable")));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} is empty");
    found
}

fn production() -> Vec<(String, String)> {
    let mut all = sources("src");
    all.extend(sources("storage/src"));
    // Compiled for loom alone.
    all.retain(|(name, _)| !name.starts_with("storage/src/models/"));
    for (_, text) in &mut all {
        if let Some(at) = text.find("\n#[cfg(test)]\nmod tests {") {
            text.truncate(at);
        }
    }
    all
}

#[test]
fn files_are_of_one_subject() {
    for (name, text) in production() {
        let lines = counted_lines(&text);
        assert!(
            lines <= FILE_LINES_MAX,
            "{name} has {lines} lines: split it by subject"
        );
    }
}

/// Whether the file at `path` is named as a module by the one above it, or is where a crate begins.
fn is_compiled(path: &Path, files: &[(String, String)]) -> bool {
    let stem = |path: &Path| path.file_stem()?.to_str().map(String::from);
    let own_folder = path.parent().unwrap_or(Path::new(""));
    let (Some(name), folder) = (match stem(path).as_deref() {
        Some("main" | "lib") => return true,
        Some("mod") => (stem(own_folder), own_folder.parent()),
        _ => (stem(path), Some(own_folder)),
    }) else {
        return false;
    };
    let folder = folder.unwrap_or(Path::new(""));
    let above = ["mod.rs", "lib.rs", "main.rs"].map(|file| folder.join(file));
    files.iter().any(|(file, text)| {
        let file = Path::new(file);
        let is_above =
            above.iter().any(|above| above == file) || folder.with_extension("rs") == file;
        is_above && text.contains(&format!("mod {name};"))
    })
}

#[test]
fn no_file_is_left_out() {
    let files: Vec<_> = ["src", "storage/src", "bench-compare/src"]
        .into_iter()
        .flat_map(sources)
        .collect();
    assert!(!is_compiled(Path::new("src/stray.rs"), &files));
    for (file, _) in &files {
        assert!(
            is_compiled(Path::new(file), &files),
            "{file} is not compiled"
        );
    }
}

#[test]
fn functions_fit_on_a_screen() {
    for (name, text) in production() {
        let mut begin: Option<(usize, usize, String)> = None;
        for (number, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let is_function = line
                .trim_start()
                .split(' ')
                .take(6)
                .any(|word| word == "fn")
                && !line.trim_start().starts_with("//");
            if begin.is_none() && is_function && !line.trim_end().ends_with(';') {
                begin = Some((number, indent, line.trim().to_owned()));
            }
            if let Some((start, at, what)) = &begin
                && indent == *at
                && line.trim_start() == "}"
            {
                let lines = number - start + 1;
                assert!(
                    lines <= FUNCTION_LINES_MAX,
                    "{name}: {what} has {lines} lines"
                );
                begin = None;
            }
        }
    }
}

#[test]
fn the_store_has_no_lock_in_disguise() {
    const WORDS: &[&str] = &[
        "Mutex",
        "RwLock",
        "Condvar",
        "spin_loop",
        "thread::sleep",
        "yield_now",
        "park_timeout",
    ];
    for (name, text) in production() {
        if !name.starts_with("storage/") || LOCKS.iter().any(|(known, _)| *known == name) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let word = WORDS.iter().find(|word| code.contains(**word));
            assert!(word.is_none(), "{name}:{}: {}", number + 1, line.trim());
        }
    }
}

#[test]
fn the_server_is_unsafe_where_it_must_be_alone() {
    for (name, text) in production() {
        if name.starts_with("storage/") || UNSAFE.iter().any(|own| name.starts_with(own)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let is_unsafe = code
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|w| w == "unsafe");
            assert!(!is_unsafe, "{name}:{}: {}", number + 1, line.trim());
        }
    }
}

#[test]
fn dependencies_run_one_way() {
    const FORBIDDEN: &[(&str, &[&str])] = &[
        ("src/commands/", &["crate::server", "crate::session"]),
        (
            "src/resp/",
            &[
                "crate::server",
                "crate::session",
                "crate::commands",
                "darter_storage",
            ],
        ),
        (
            "src/script/",
            &[
                "crate::server",
                "crate::session",
                "crate::commands",
                "darter_storage",
            ],
        ),
        (
            "src/rdb/",
            &[
                "crate::server",
                "crate::session",
                "crate::commands",
                "crate::script",
            ],
        ),
        ("src/session/", &["crate::server", "tokio"]),
        ("storage/src/", &["darter::", "tokio", "mlua"]),
    ];
    for (name, text) in production() {
        for (folder, words) in FORBIDDEN
            .iter()
            .filter(|(folder, _)| name.starts_with(folder))
        {
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                let word = words.iter().find(|word| code.contains(**word));
                assert!(
                    word.is_none(),
                    "{name}:{} in {folder}: {}",
                    number + 1,
                    line.trim()
                );
            }
        }
    }
}

#[test]
fn nothing_is_left_unfinished() {
    for (name, text) in production() {
        for (number, line) in text.lines().enumerate() {
            for word in ["TODO", "FIXME", "todo!", "unimplemented!"] {
                assert!(
                    !line.contains(word),
                    "{name}:{}: {}",
                    number + 1,
                    line.trim()
                );
            }
        }
    }
}

/// The names that the storage crate hands out, but for hidden ones.
fn exported_names() -> Vec<String> {
    let text = fs::read_to_string(root().join("storage/src/lib.rs")).expect("readable");
    let text = text.replace("#[doc(hidden)]\npub use", "");
    let statements = text.split("pub use ").skip(1);
    let names = statements.filter_map(|statement| statement.split(';').next()?.split_once("::"));
    names
        .flat_map(|(_, names)| names.trim_matches(['{', '}']).split(','))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// A public item of a file: its kind and name, and the type it belongs to, if it is a method.
fn public_item<'a>(line: &'a str, owner: Option<&'a str>) -> Option<(&'a str, Option<&'a str>)> {
    let mut words = line.trim_start().strip_prefix("pub ")?.split(' ');
    let kind = words.find(|word| !matches!(*word, "async" | "const" | "unsafe"))?;
    if !matches!(kind, "fn" | "struct" | "enum" | "trait" | "type") {
        return None;
    }
    let name = words.next()?.split(['<', '(', ';', '{']).next()?;
    Some((name, owner.filter(|_| kind == "fn")))
}

/// The type whose methods a block beginning with this line holds; none for a trait's.
fn owner_of(line: &str) -> Option<&str> {
    let head = line.strip_prefix("impl")?;
    let head = match head.strip_prefix('<') {
        Some(generic) => generic.split_once('>')?.1,
        None => head,
    };
    if head.contains(" for ") {
        return None;
    }
    head.trim_start().split(['<', ' ']).next()
}

/// Whether the documentation right above a line has an example that is compiled and run.
fn has_example(above: &[&str]) -> bool {
    above
        .iter()
        .rev()
        .map(|line| line.trim_start())
        .take_while(|line| line.starts_with("///") || line.starts_with("#["))
        .any(|line| line == "/// ```")
}

#[test]
fn everything_that_the_store_offers_has_an_example() {
    let exported = exported_names();
    let mut found = Vec::new();
    let mut bare = Vec::new();
    for (file, text) in production() {
        if !file.starts_with("storage/src/") {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        let mut owner = None;
        for (number, line) in lines.iter().enumerate() {
            if line.starts_with("impl") {
                owner = owner_of(line);
            } else if *line == "}" {
                owner = None;
            }
            let Some((name, owner)) = public_item(line, owner) else {
                continue;
            };
            let reachable = owner.unwrap_or(name);
            if !exported.iter().any(|known| known == reachable) {
                continue;
            }
            found.push(reachable.to_owned());
            if !has_example(&lines[..number]) {
                bare.push(format!("{file}:{}: {name}", number + 1));
            }
        }
    }
    assert!(bare.is_empty(), "without an example: {bare:#?}");
    // Had the search overlooked something, so would the check.
    let overlooked: Vec<_> = exported.iter().filter(|n| !found.contains(n)).collect();
    assert!(overlooked.is_empty(), "not found: {overlooked:?}");
}

/// The names of tests, `i1_…` to `i8_…`, in a text, each behind `before` and up to `after`.
fn invariant_tests(text: &str, before: &str, after: char) -> Vec<String> {
    let names = text.split(before).skip(1);
    let mut names: Vec<String> = names
        .filter_map(|rest| rest.split(after).next().map(str::to_owned))
        .filter(|name| {
            let bytes = name.as_bytes();
            matches!(bytes, [b'i', b'1'..=b'8', b'_', ..])
        })
        .collect();
    names.sort();
    names
}

#[test]
fn the_table_of_invariants_names_their_tests() {
    let document = fs::read_to_string(root().join("docs/transactions.md")).expect("readable");
    let tests: Vec<(String, String)> = [sources("storage/tests"), sources("tests/server")].concat();
    let mut held: Vec<String> = tests
        .iter()
        .flat_map(|(_, text)| invariant_tests(text, "#[test]\nfn ", '('))
        .collect();
    held.sort();
    let mut named = Vec::new();
    for number in 1..=8 {
        let row = document
            .lines()
            .find(|line| line.starts_with(&format!("| I{number} |")))
            .unwrap_or_default();
        let own = invariant_tests(row, "`", '`');
        let prefix = format!("i{number}_");
        assert!(!own.is_empty(), "no test holds I{number}");
        assert!(own.iter().all(|name| name.starts_with(&prefix)), "{own:?}");
        named.extend(own);
    }
    assert_eq!(named, held, "the table, and the tests that there are");
}

#[test]
fn every_command_has_good_manners() {
    let mut names = Vec::new();
    for entry in table::all() {
        let command = entry.command;
        let name = entry.full_name();
        assert!(
            !command.summary.is_empty() && command.summary.ends_with('.'),
            "{name}: summary"
        );
        assert!(
            !command.since.is_empty() && !command.complexity.is_empty(),
            "{name}: documents"
        );
        assert!(command.arity != 0, "{name}: arity");
        let is_both = command.has(flag::WRITE) && command.has(flag::READONLY);
        assert!(!is_both, "{name} reads only, and writes");
        if let (Run::Data(_), Keys::Range { first, .. }) = (command.run, command.keys) {
            let least = command.arity.unsigned_abs() as usize;
            assert!(least > first, "{name}: its first key may be missing");
        }
        names.push(name);
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "a command stands twice");
}

#[test]
fn the_document_of_commands_is_up_to_date() {
    let path = root().join("docs/commands.md");
    let expected = commands_document::text();
    if fs::read_to_string(&path).unwrap_or_default() != expected {
        fs::write(&path, expected).expect("writable");
        panic!("docs/commands.md was stale and has been rewritten: commit it");
    }
}
