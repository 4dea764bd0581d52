//! What the table says about snapshots, MULTI and scripts, and `docs/commands.md` with it, is what a
//! server does: asked of all commands, with as many arguments as they take at least.

use std::task::Waker;

use darter::commands::admission::{
    self, InMulti, InTransaction, NO_WRITES_ON_SNAPSHOT, NOT_IN_SCRIPTS, OnSnapshot,
};
use darter::commands::command::{Run, flag};
use darter::commands::table::{self, Entry};
use darter::config::{Config, Debugging};

use crate::support::client::{Client, Reply};
use crate::support::info::section;
use crate::support::server::{Server, until};

/// It ends the whole server.
const NOT_SENT: &str = "shutdown";
/// Parts of names of what draws, or tells of the time.
const CHANGING: &[&str] = &["rand", "idletime"];
const UNDECLARED: &str = "#!lua flags=allow-undeclared-keys\n";
/// Runs until SCRIPT KILL.
const ENDLESS: &str = "while true do end";

fn server() -> Server {
    let mut config = Config::new(16, 2);
    config.startup.debugging = Debugging::Yes;
    Server::start_with(config)
}

/// What runs at all.
fn commands() -> impl Iterator<Item = Entry> {
    let all = table::all().iter().copied();
    all.filter(|entry| {
        let command = entry.command;
        !command.has(flag::ABSENT) && !matches!(command.run, Run::Container)
    })
}

/// A key of the type that a command is for.
fn key_of(entry: Entry) -> String {
    format!("of-{}", entry.command.group.name())
}

/// A call with as few arguments as it takes: a key, and zeros, by which nothing waits.
fn call_of(entry: Entry) -> Vec<String> {
    let name = entry.full_name().to_uppercase();
    let mut words: Vec<String> = name.split('|').map(str::to_owned).collect();
    let first = words.len();
    words.resize(entry.command.arity.unsigned_abs() as usize, "0".into());
    let keys = entry.command.keys;
    if let Some(word) = words.get_mut(first)
        && keys.hint() == Some(first)
    {
        *word = key_of(entry);
    }
    words
}

/// Gives the keys that `call_of` names values, other and longer ones in a later round.
fn fill(client: &mut Client, round: usize) {
    client.run("FLUSHALL");
    for line in [
        "APPEND of-string value-{}",
        "APPEND of-generic value-{}",
        "APPEND of-bitmap value-{}",
        "PFADD of-hyperloglog {}",
        "RPUSH of-list element-{}",
        "HSET of-hash 0 value-{} field-{} 0",
        "SADD of-set member-{}",
        "ZADD of-sorted-set {} member-{}",
        "GEOADD of-geo {} 0 0",
        "XADD of-stream {}-1 field value",
    ] {
        for number in (1..=round).map(|number| number.to_string()) {
            let reply = client.run(&line.replace("{}", &number));
            assert!(!matches!(reply, Reply::Error(_)), "{line}: {reply:?}");
        }
    }
}

fn on_snapshot(server: &Server) -> Client {
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("SNAPSHOT BEGIN").render(), "OK");
    client
}

fn held(server: &Server) -> usize {
    server.services.store.snapshots_held().0
}

#[test]
fn a_snapshot_refuses_what_the_table_says_and_ends_by_what_it_says() {
    let server = server();
    fill(&mut Client::connect(server.address), 1);
    let mut refused = 0;
    for entry in commands().filter(|entry| entry.full_name() != NOT_SENT) {
        let name = entry.full_name();
        let mut client = on_snapshot(&server);
        let reply = client.call(&call_of(entry));
        let said = match &reply {
            Reply::Error(text) => text.as_str(),
            _ => "",
        };
        match entry.command.on_snapshot() {
            OnSnapshot::Refused(text) => {
                // An EXEC that is refused says what becomes of its transaction.
                let said = said.replace("EXECABORT Transaction discarded because of:", "ERR");
                assert_eq!(said, text, "{name}");
                refused += 1;
            }
            OnSnapshot::Ends => until(|| held(&server) == 0),
            // Its script is none.
            OnSnapshot::ReadsIfReadOnly => {}
            OnSnapshot::Reads | OnSnapshot::Apart => {
                assert!(!said.contains(" on a snapshot"), "{name}: {said}");
                assert!(!said.contains("can not be nested"), "{name}: {said}");
            }
        }
        if entry.command.on_snapshot() != OnSnapshot::Ends {
            assert_eq!(held(&server), 1, "{name} ended it");
        }
        drop(client);
        until(|| held(&server) == 0);
    }
    assert!(refused > 100, "{refused} commands write or begin something");
}

#[test]
fn what_reads_on_a_snapshot_reads_what_was_there() {
    let server = server();
    let mut other = Client::connect(server.address);
    let mut would_differ = 0;
    for entry in commands() {
        let name = entry.full_name();
        let is_other = entry.command.runs_script().is_some()
            || CHANGING.iter().any(|part| name.contains(part));
        if entry.command.on_snapshot() != OnSnapshot::Reads || is_other {
            continue;
        }
        let call = call_of(entry);
        fill(&mut other, 1);
        let mut client = on_snapshot(&server);
        let before = client.call(&call);
        fill(&mut other, 2);
        assert_eq!(client.call(&call), before, "{call:?}");
        would_differ += usize::from(other.call(&call) != before);
    }
    assert!(would_differ > 25, "only {would_differ} could be seen to");
}

#[test]
fn a_script_on_a_snapshot_must_say_that_it_does_not_write() {
    let server = server();
    let mut loader = Client::connect(server.address);
    let (plain, reads) = ("return 7", "#!lua flags=no-writes\nreturn 7");
    let library = "#!lua name=l\nredis.register_function('plain', function() return 7 end)\n\
         redis.register_function{function_name='reads', callback=function() return 7 end, \
         flags={'no-writes'}}";
    assert_eq!(loader.call(&["FUNCTION", "LOAD", library]).render(), "l");
    let sha = |body: &str| Client::connect(server.address).call(&["SCRIPT", "LOAD", body]);
    let (plain_sha, reads_sha) = (sha(plain).render(), sha(reads).render());
    let mut asked = 0;
    for entry in commands() {
        let must_say = match entry.command.on_snapshot() {
            OnSnapshot::ReadsIfReadOnly => true,
            OnSnapshot::Reads if entry.command.runs_script().is_some() => false,
            _ => continue,
        };
        let (plain, reads) = match entry.command.name {
            "EVAL" | "EVAL_RO" => (plain, reads),
            "EVALSHA" | "EVALSHA_RO" => (plain_sha.as_str(), reads_sha.as_str()),
            _ => ("plain", "reads"),
        };
        let mut client = on_snapshot(&server);
        let name = entry.command.name;
        assert_eq!(client.call(&[name, reads, "0"]).render(), "7", "{name}");
        let reply = client.call(&[name, plain, "0"]).render();
        if must_say {
            assert_eq!(reply, format!("({NO_WRITES_ON_SNAPSHOT})"), "{name}");
        } else {
            assert!(!reply.contains("on a snapshot"), "{name}: {reply}");
        }
        asked += 1;
    }
    assert_eq!(asked, 6);
}

#[test]
fn multi_queues_refuses_and_ends_as_the_table_says() {
    let server = server();
    let (mut queued, mut refused, mut ends) = (0, 0, 0);
    for entry in commands() {
        let name = entry.full_name();
        let mut client = Client::connect(server.address);
        client.run("MULTI");
        let reply = client.call(&call_of(entry)).render();
        match entry.command.in_multi() {
            InMulti::Queued => {
                assert_eq!(reply, "QUEUED", "{name}");
                queued += 1;
            }
            InMulti::Refused(text) => {
                assert_eq!(reply, format!("({text})"), "{name}");
                refused += 1;
            }
            InMulti::Ends => {
                assert!(!reply.starts_with('(') && reply != "QUEUED", "{name}");
                let is_over = name == "quit" && client.is_at_end()
                    || client.run("DISCARD").render() == "(ERR DISCARD without MULTI)";
                assert!(is_over, "{name}");
                ends += 1;
            }
        }
    }
    assert!(queued > 250, "{queued}");
    assert_eq!((refused, ends), (8, 4));
}

#[test]
fn scripts_may_call_what_the_table_says() {
    let server = server();
    let mut client = Client::connect(server.address);
    fill(&mut client, 1);
    let body = format!("{UNDECLARED}return redis.pcall(unpack(ARGV))");
    let (mut never, mut unless_read_only) = (0, 0);
    for entry in commands() {
        let name = entry.full_name();
        let mut call = |eval: &str| {
            let mut words = vec![eval.to_owned(), body.clone(), "0".into()];
            words.extend(call_of(entry));
            client.call(&words).render()
        };
        let is_refused = |reply: &str, text: &str| reply.starts_with(&format!("({text}"));
        let written = call("EVAL");
        let is_for_scripts = entry.command.is_for_scripts();
        let refused = is_refused(&written, NOT_IN_SCRIPTS);
        assert_eq!(refused, !is_for_scripts, "{name}: {written}");
        let read = call("EVAL_RO");
        let text = admission::NO_WRITES_IN_READ_ONLY_SCRIPTS;
        let changes = is_for_scripts && entry.command.changes_something();
        assert_eq!(is_refused(&read, text), changes, "{name}: {read}");
        never += usize::from(refused);
        unless_read_only += usize::from(changes);
    }
    assert!(
        never > 50 && unless_read_only > 90,
        "{never} {unless_read_only}"
    );
}

/// Calls by which what blocks would wait for ever.
const WAITING: &[&str] = &[
    "BLPOP none 0",
    "BRPOP none 0",
    "BLMOVE none other LEFT LEFT 0",
    "BRPOPLPUSH none other 0",
    "BLMPOP 0 1 none LEFT",
    "BZPOPMIN none 0",
    "BZPOPMAX none 0",
    "BZMPOP 0 1 none MIN",
    "XREAD BLOCK 0 STREAMS none 0",
    "XREADGROUP GROUP g c BLOCK 0 STREAMS stream >",
    "WAIT 1 0",
    "WAITAOF 0 1 0",
    "DEBUG SLEEP 100000",
];

#[test]
fn what_blocks_waits_in_no_transaction_and_on_no_snapshot() {
    let server = server();
    let mut client = Client::connect(server.address);
    client.run("XGROUP CREATE stream g 0 MKSTREAM");
    let body = format!("{UNDECLARED}return redis.pcall(unpack(ARGV))");
    let mut blocking: Vec<String> = Vec::new();
    for line in WAITING {
        let words: Vec<&str> = line.split(' ').collect();
        let mut entry = table::find(words[0].as_bytes()).unwrap();
        if matches!(entry.command.run, Run::Container) {
            entry = table::find_subcommand(entry, words[1].as_bytes()).unwrap();
        }
        blocking.push(entry.full_name());
        client.run("MULTI");
        assert_eq!(client.run(line).render(), "QUEUED");
        let reply = client.run("EXEC");
        assert!(reply.is_aggregate(), "{line}: {reply:?}");
        if entry.command.is_for_scripts() {
            client.call(&[&["EVAL", &body, "0"], words.as_slice()].concat());
        }
        if entry.command.on_snapshot() == OnSnapshot::Reads {
            let reply = on_snapshot(&server).run(line).render();
            assert_eq!(reply, "nil", "{line}");
        }
    }
    let mut known: Vec<String> = commands()
        .filter(|entry| entry.command.has(flag::BLOCKING))
        .map(|entry| entry.full_name())
        .collect();
    known.sort();
    blocking.sort();
    assert_eq!(blocking, known, "all that block");
}

/// Whether a transaction has come as far as its CONFIG SET.
fn is_set(other: &mut Client) -> bool {
    let length = other.run("CONFIG GET slowlog-max-len").render();
    length.contains("77")
}

/// While a transaction runs, what goes past it can be seen already; what is part of it cannot.
#[test]
fn what_happens_at_once_is_seen_before_the_commit() {
    let server = server();
    let mut client = Client::connect(server.address);
    let mut other = Client::connect(server.address);
    let of = |name: &str| table::find(name.as_bytes()).unwrap();
    let config = table::find_subcommand(of("CONFIG"), b"SET").unwrap();
    assert_eq!(config.command.in_transaction(), InTransaction::AtOnce);
    for name in ["SET", "PUBLISH", "EVAL"] {
        let part = of(name).command.in_transaction();
        assert_eq!(part, InTransaction::Part, "{name}");
    }
    let mut subscriber = Client::connect(server.address);
    subscriber.run("SUBSCRIBE news");
    client.run("MULTI");
    client.run("SET k v");
    client.run("PUBLISH news rain");
    client.call(&["EVAL", "return redis.call('SET', KEYS[1], 'v')", "1", "s"]);
    client.run("CONFIG SET slowlog-max-len 77");
    client.call(&["EVAL", ENDLESS, "0"]);
    client.send(&["EXEC"]);
    until(|| is_set(&mut other));
    assert_eq!(other.run("EXISTS k s").render(), "0");
    assert!(!subscriber.has_news());
    until(|| other.run("SCRIPT KILL").render() == "OK");
    let replies = client.read().render();
    assert!(
        replies.starts_with("[OK 1 OK OK (ERR Script killed"),
        "{replies}"
    );
    assert_eq!(other.run("EXISTS k s").render(), "2");
    assert_eq!(subscriber.read().render(), "[message news rain]");
}

/// How often the gate was closed by what `run` does.
fn gate_closings(client: &mut Client, run: impl FnOnce(&mut Client)) -> u64 {
    let count = |client: &mut Client| {
        let all = section(client, "transactions");
        all["gate_closings"].parse::<u64>().unwrap()
    };
    let before = count(client);
    run(client);
    count(client) - before
}

/// What is said to take the gate does, and nothing else.
#[test]
fn a_transaction_takes_the_gate_for_what_the_table_says() {
    let server = server();
    let mut client = Client::connect(server.address);
    let calls = [
        "KEYS *",
        "KEYRANGE - +",
        "KEYCOUNT k",
        "SCAN 0",
        "RANDOMKEY",
        "DBSIZE",
        "FLUSHDB",
        "FLUSHALL",
        "SWAPDB 0 1",
        "GET k",
    ];
    let mut named = Vec::new();
    for line in calls {
        let entry = table::find(line.split(' ').next().unwrap().as_bytes()).unwrap();
        let belongs = entry.command.in_transaction();
        let (takes, only_reads) = match belongs {
            InTransaction::Gate => (1, 1),
            InTransaction::AllKeys => (1, 0),
            _ => (0, 0),
        };
        let in_multi = gate_closings(&mut client, |client| {
            for line in ["MULTI", line, "SET k v"] {
                client.run(line);
            }
            assert!(client.run("EXEC").is_aggregate());
        });
        assert_eq!(in_multi, takes, "MULTI {line}");
        for (more, expected) in [("redis.call('SET', 'k', 'v')", takes), ("", only_reads)] {
            let flag = "#!lua flags=optimistic-undeclared-keys\n";
            let body = format!("{flag}redis.call(unpack(ARGV)) {more} return 1");
            let mut call = vec!["EVAL", &body, "0"];
            call.extend(line.split(' '));
            let in_script = gate_closings(&mut client, |client| {
                assert_eq!(client.call(&call).render(), "1", "{line}");
            });
            assert_eq!(in_script, expected, "a script: {line} {more}");
        }
        if belongs != InTransaction::Part {
            named.push(entry.full_name());
        }
    }
    named.sort();
    let special = |entry: &Entry| {
        use InTransaction::{AllKeys, Gate, Range};
        matches!(entry.command.in_transaction(), Range | AllKeys | Gate)
    };
    let mut known: Vec<_> = commands().filter(special).map(|e| e.full_name()).collect();
    known.sort();
    assert_eq!(named, known, "all of the kind");
    assert!(server.services.store.poll_open(Waker::noop()));
}

/// A key that comes into a range that was read makes the transaction run again.
#[test]
fn a_range_is_compared_at_the_commit() {
    let server = server();
    let mut other = Client::connect(server.address);
    for (line, expected) in [
        ("KEYS new*", "[[new] OK OK (ERR"),
        ("KEYRANGE [new [new", "[[new] OK OK (ERR"),
        ("KEYCOUNT new", "[1 OK OK (ERR"),
    ] {
        let name = line.split(' ').next().unwrap();
        let entry = table::find(name.as_bytes()).unwrap();
        assert_eq!(entry.command.in_transaction(), InTransaction::Range);
        other.run("FLUSHALL");
        other.run("CONFIG SET slowlog-max-len 1");
        let mut client = Client::connect(server.address);
        client.run("MULTI");
        client.run(line);
        client.run("SET k v");
        client.run("CONFIG SET slowlog-max-len 77");
        client.call(&["EVAL", ENDLESS, "0"]);
        client.send(&["EXEC"]);
        until(|| is_set(&mut other));
        other.run("SET new 1");
        until(|| other.run("SCRIPT KILL").render() == "OK");
        let replies = client.read().render();
        assert!(replies.starts_with(expected), "{line}: {replies}");
    }
}
