//! Lines of commands, run in every way a client could, with one expectation; and the same lines
//! against a real Redis.
//!
//! `check("RPUSH k a b; LLEN k", "2; 2")` runs the line on empty databases
//! - plain, one command after the other,
//! - pipelined,
//! - in MULTI and EXEC,
//! - in one script that calls each, its keys declared,
//! - in RESP3,
//! - with a conflict forced on each command's first attempt, and on the first of the whole EXEC.
//!
//! Replies are written as `client` says. Elements of what has no order (SMEMBERS, HGETALL, KEYS …)
//! are sorted, and times of groups of consumers (XPENDING, XINFO) are 0. A line whose commands are refused before they run (unknown, wrong number of
//! arguments), may not stand in scripts, or steer transactions themselves is left out where it
//! cannot mean the same.

use std::cell::RefCell;

use darter::commands::args::Args;
use darter::commands::command::{Run, flag};
use darter::commands::table;

use super::client::{Client, Reply, encode};
use super::line::{Line, parse};
use super::redis::Redis;
use super::server::{Server, until};

thread_local! {
    static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
}

/// Runs with the server of this test's thread.
fn with_server<T>(run: impl FnOnce(&Server) -> T) -> T {
    SERVER.with_borrow_mut(|server| run(server.get_or_insert_with(Server::start)))
}

fn fresh_client(server: &Server) -> Client {
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("FLUSHALL").render(), "OK");
    client
}

fn name_of(command: &[Vec<u8>]) -> String {
    String::from_utf8_lossy(&command[0]).to_ascii_uppercase()
}

/// An entry that is pending, its time 0.
fn pin_pending(row: Reply) -> Reply {
    let mut row = row.elements();
    let time = row.len() - 2;
    row[time] = Reply::Integer(0);
    Reply::Array(row)
}

/// What is named `name`, its times 0; one that is -1 stays.
fn pin_named(name: &Reply, value: Reply) -> Reply {
    match (name.render().as_str(), value) {
        ("idle" | "inactive" | "seen-time" | "active-time", Reply::Integer(time)) => {
            Reply::Integer(time.min(0))
        }
        ("pending", Reply::Array(rows)) => {
            Reply::Array(rows.into_iter().map(pin_pending).collect())
        }
        (_, value) => pin_times(value),
    }
}

fn pin_times(reply: Reply) -> Reply {
    match reply {
        Reply::Map(pairs) => {
            let pin = |(name, value)| {
                let value = pin_named(&name, value);
                (name, value)
            };
            Reply::Map(pairs.into_iter().map(pin).collect())
        }
        Reply::Array(elements) => {
            let mut pinned: Vec<Reply> = Vec::new();
            for element in elements {
                pinned.push(match pinned.last() {
                    Some(name) => pin_named(name, element),
                    None => pin_times(element),
                });
            }
            Reply::Array(pinned)
        }
        other => other,
    }
}

/// What XINFO says, without what Redis says only since 7.2.
fn as_in_7_0(reply: Reply) -> Reply {
    let is_new = |name: &Reply| matches!(name.render().as_str(), "inactive" | "active-time");
    match reply {
        Reply::Map(mut pairs) => {
            pairs.retain(|(name, _)| !is_new(name));
            let pairs = pairs.into_iter();
            Reply::Map(
                pairs
                    .map(|(name, value)| (name, as_in_7_0(value)))
                    .collect(),
            )
        }
        Reply::Array(elements) => {
            let mut kept = Vec::new();
            let mut elements = elements.into_iter();
            while let Some(element) = elements.next() {
                if is_new(&element) {
                    elements.next();
                } else {
                    kept.push(as_in_7_0(element));
                }
            }
            Reply::Array(kept)
        }
        other => other,
    }
}

/// The reply's text, with what has no order in order.
fn normalise(command: &[Vec<u8>], reply: Reply) -> String {
    let sorted = |elements: Vec<Reply>, size: usize| {
        let mut groups: Vec<Vec<Reply>> = elements.chunks(size).map(<[Reply]>::to_vec).collect();
        groups.sort_by_key(|group| Reply::Array(group.clone()).render());
        Reply::Array(groups.concat()).render()
    };
    match (name_of(command).as_str(), reply) {
        (_, reply) if !reply.is_aggregate() => reply.render(),
        ("SMEMBERS" | "SINTER" | "SUNION" | "SDIFF" | "KEYS" | "HKEYS" | "HVALS", reply) => {
            sorted(reply.elements(), 1)
        }
        ("SPOP" | "SRANDMEMBER" | "HRANDFIELD" | "ZRANDMEMBER", reply) if command.len() == 3 => {
            sorted(reply.elements(), 1)
        }
        ("HGETALL", reply) => sorted(reply.elements(), 2),
        ("XPENDING", Reply::Array(rows)) if command.len() > 3 => {
            Reply::Array(rows.into_iter().map(pin_pending).collect()).render()
        }
        ("XINFO", reply) => pin_times(reply).render(),
        (name @ ("SCAN" | "SSCAN" | "HSCAN" | "ZSCAN"), reply) => {
            let mut page = reply.elements();
            let has_values = !command
                .iter()
                .any(|word| word.eq_ignore_ascii_case(b"NOVALUES"));
            let size = if name == "HSCAN" && has_values || name == "ZSCAN" {
                2
            } else {
                1
            };
            let elements = page.pop().map(Reply::elements).unwrap_or_default();
            let cursor = page.pop().map(|cursor| cursor.render()).unwrap_or_default();
            format!("[{cursor} {}]", sorted(elements, size))
        }
        (_, reply) => reply.render(),
    }
}

fn join(line: &Line, replies: Vec<Reply>) -> String {
    assert_eq!(line.len(), replies.len());
    let texts: Vec<_> = line
        .iter()
        .zip(replies)
        .map(|(command, reply)| normalise(command, reply))
        .collect();
    texts.join("; ")
}

fn run_plain(client: &mut Client, line: &Line) -> String {
    let replies = line.iter().map(|command| client.call(command)).collect();
    join(line, replies)
}

fn run_pipelined(client: &mut Client, line: &Line) -> String {
    let bytes: Vec<u8> = line.iter().flat_map(|command| encode(command)).collect();
    client.send_bytes(&bytes);
    join(line, line.iter().map(|_| client.read()).collect())
}

pub(crate) fn run_in_multi(client: &mut Client, line: &Line) -> String {
    assert_eq!(client.run("MULTI").render(), "OK");
    for command in line {
        assert_eq!(client.call(command).render(), "QUEUED");
    }
    join(line, client.run("EXEC").elements())
}

/// One script that calls each command and returns all replies; the keys of the line are KEYS.
pub(crate) fn script_of(line: &Line) -> Vec<Vec<u8>> {
    let mut body = String::from("local replies, at = {}, 1\n");
    let (mut keys, mut arguments) = (Vec::new(), Vec::new());
    for (number, command) in (1..).zip(line) {
        let borrowed: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
        let args = Args::new(&borrowed);
        let entry = entry_of(command).expect("a command of the table");
        let positions = entry.command.keys.positions(&args).unwrap_or_default();
        keys.extend(
            positions
                .into_iter()
                .map(|position| command[position].clone()),
        );
        body.push_str(&format!(
            "replies[{number}] = redis.pcall(unpack(ARGV, at, at + {0} - 1)) at = at + {0}\n",
            command.len()
        ));
        arguments.extend(command.iter().cloned());
    }
    body.push_str("return replies");
    let mut eval: Vec<Vec<u8>> = vec![b"EVAL".into(), body.into()];
    eval.push(keys.len().to_string().into_bytes());
    eval.extend(keys);
    eval.extend(arguments);
    eval
}

fn entry_of(command: &[Vec<u8>]) -> Option<table::Entry> {
    let entry = table::find(&command[0])?;
    match entry.command.run {
        Run::Container => table::find_subcommand(entry, command.get(1)?),
        _ => Some(entry),
    }
}

/// Whether the command gets as far as being run.
pub(crate) fn is_runnable(command: &[Vec<u8>]) -> bool {
    entry_of(command).is_some_and(|entry| {
        entry.command.accepts(command.len()) && !matches!(entry.command.run, Run::Control(_))
    })
}

pub(crate) fn may_be_in_script(command: &[Vec<u8>]) -> bool {
    is_runnable(command)
        && entry_of(command).is_some_and(|entry| !entry.command.has(flag::NOSCRIPT))
}

fn assert_replies(way: &str, text: &str, actual: &str, expected: &str) {
    assert_eq!(actual, expected, "\n {way}: {text}\n");
}

/// Runs a line in every way; see the module's text.
#[track_caller]
pub(crate) fn check(text: &str, expected: &str) {
    check_in_both(text, expected, expected);
}

/// As `check`, for a line whose replies are built differently in RESP3.
#[track_caller]
pub(crate) fn check_in_both(text: &str, expected: &str, expected_in_resp3: &str) {
    let line = parse(text);
    with_server(|server| {
        assert_replies(
            "plain",
            text,
            &run_plain(&mut fresh_client(server), &line),
            expected,
        );
        let pipelined = run_pipelined(&mut fresh_client(server), &line);
        assert_replies("pipelined", text, &pipelined, expected);
        let mut client = fresh_client(server);
        assert!(client.run("HELLO 3").is_aggregate());
        assert_replies(
            "RESP3",
            text,
            &run_plain(&mut client, &line),
            expected_in_resp3,
        );
        check_conflicts(server, text, &line, expected);
        if line.iter().all(|command| is_runnable(command)) {
            let replies = run_in_multi(&mut fresh_client(server), &line);
            assert_replies("MULTI", text, &replies, expected);
            let mut client = fresh_client(server);
            let forced = MultiWithConflict {
                server,
                client: &mut client,
            };
            assert_replies("MULTI again", text, &forced.run(&line), expected);
        }
        if line.iter().all(|command| may_be_in_script(command)) {
            let reply = fresh_client(server).call(&script_of(&line));
            assert!(reply.is_aggregate(), "script: {text}: {}", reply.render());
            assert_replies("script", text, &join(&line, reply.elements()), expected);
        }
    });
}

fn check_conflicts(server: &Server, text: &str, line: &Line, expected: &str) {
    let mut client = fresh_client(server);
    let mut replies = Vec::new();
    for command in line {
        server.services.force_conflict();
        replies.push(client.call(command));
    }
    // What only reads commits nothing, and leaves the conflict to the next who writes.
    client.run("SELECT 15");
    client.run("DEL nothing");
    assert_replies("after a conflict", text, &join(line, replies), expected);
}

struct MultiWithConflict<'a> {
    server: &'a Server,
    client: &'a mut Client,
}

impl MultiWithConflict<'_> {
    fn run(self, line: &Line) -> String {
        assert_eq!(self.client.run("MULTI").render(), "OK");
        for command in line {
            assert_eq!(self.client.call(command).render(), "QUEUED");
        }
        self.server.services.force_conflict();
        join(line, self.client.run("EXEC").elements())
    }
}

/// Runs lines here and by a real Redis, plain and in RESP3, each on empty databases. All that
/// differ are told.
#[track_caller]
pub(crate) fn compare(text: &str) {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    compare_lines(&lines.collect::<Vec<_>>(), &["HELLO 2", "HELLO 3"]);
}

/// As `compare`, line by line, after each of `hellos`.
#[track_caller]
pub(crate) fn compare_lines(lines: &[impl AsRef<str>], hellos: &[&str]) {
    let Some(redis) = Redis::start() else { return };
    let mut differences = String::new();
    for text in lines.iter().map(AsRef::as_ref) {
        let line = parse(text);
        for hello in hellos {
            let theirs = run_after(redis.client(), hello, &line);
            let ours = with_server(|server| {
                // Whoever came before has gone: CLIENT would count it.
                until(|| server.services.clients.is_empty());
                run_after(fresh_client(server), hello, &line)
            });
            for (number, command) in line.iter().enumerate() {
                if ours[number] != theirs[number] {
                    let command: Vec<_> = command
                        .iter()
                        .map(|word| word.escape_ascii().to_string())
                        .collect();
                    differences.push_str(&format!(
                        "{hello}: {} in {text}\n  redis  {}\n  darter {}\n",
                        command.join(" "),
                        theirs[number],
                        ours[number]
                    ));
                    break;
                }
            }
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
}

fn run_after(mut client: Client, hello: &str, line: &Line) -> Vec<String> {
    client.run("FLUSHALL");
    client.run(hello);
    let call = |command: &Vec<Vec<u8>>| match (name_of(command).as_str(), client.call(command)) {
        ("XINFO", reply) => normalise(command, as_in_7_0(reply)),
        (_, reply) => normalise(command, reply),
    };
    line.iter().map(call).collect()
}
