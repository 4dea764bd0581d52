//! Writes of a pipeline to one key: done together, and as if each had been done by itself.

use std::task::Waker;

use darter_storage::{Escalation, Mode};

use super::Progress;
use super::tests::{Client, Site, panics_of};

/// Sends lines of words as one pipeline. Returns all replies.
fn pipeline(client: &mut Client, lines: &[&str]) -> String {
    send(client, lines);
    let (progress, output) = client.finish();
    assert_eq!(progress, Progress::Idle, "{output}");
    output
}

fn send(client: &mut Client, lines: &[&str]) {
    for line in lines {
        client.send(&line.split(' ').collect::<Vec<_>>());
    }
}

/// A figure of INFO.
fn figure(client: &mut Client, name: &str) -> String {
    let info = client.run(&["INFO", "everything"]);
    let mut lines = info.lines();
    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.unwrap_or_default().to_owned()
}

fn commits(client: &mut Client) -> u64 {
    figure(client, "commits").parse().unwrap()
}

fn numbers(to: u64) -> String {
    (1..=to).map(|number| format!(":{number}\r\n")).collect()
}

#[test]
fn writes_to_one_key_are_one_commit() {
    let site = Site::new();
    let mut client = site.connect();
    for (lines, expected, most) in [
        (&["INCR n"; 20][..], numbers(20), 1),
        (
            &["RPUSH l a", "LPUSH l b", "LREM l 1 a", "RPUSH l c"],
            ":1\r\n:2\r\n:1\r\n:2\r\n".to_owned(),
            1,
        ),
        (
            &["SET a 1", "SET a 2", "SET b 1", "SET b 2", "GET a"],
            "+OK\r\n+OK\r\n+OK\r\n+OK\r\n$1\r\n2\r\n".to_owned(),
            2,
        ),
        // What can wait, needs the gate, or only reads goes by itself.
        (
            &["INCR m", "BLPOP m 0", "GET m", "INCR m"],
            ":1\r\n-WRONGTYPE Operation against a key holding the wrong kind of value\r\n\
             $1\r\n1\r\n:2\r\n"
                .to_owned(),
            4,
        ),
    ] {
        // A turn that takes long ends between two of them.
        let fits = (0..100).any(|_| {
            client.run(&["FLUSHALL"]);
            let before = commits(&mut client);
            assert_eq!(pipeline(&mut client, lines), expected, "{lines:?}");
            commits(&mut client) - before <= most
        });
        assert!(fits, "more than {most} commits of {lines:?}");
    }
}

#[test]
fn what_lost_is_done_again_and_counted_once() {
    let site = Site::new();
    let mut client = site.connect();
    site.services.force_conflict();
    assert_eq!(pipeline(&mut client, &["INCR n"; 20]), numbers(20));
    let calls = figure(&mut client, "cmdstat_incr");
    assert!(calls.starts_with("calls=20,"), "{calls}");
}

#[test]
fn what_has_lost_is_done_again_before_it_is_committed() {
    let site = Site::new();
    let mut client = site.connect();
    client.run(&["SET", "n", "1"]);
    assert_eq!(
        pipeline(&mut client, &["INCR n", "INTERFERE n", "INCR n"]),
        ":11\r\n+OK\r\n:12\r\n"
    );
    assert_eq!(figure(&mut client, "conflicts"), "0");
    assert_eq!(figure(&mut client, "retries"), "1");
}

#[test]
fn behind_a_closed_gate_nothing_is_told_or_lost() {
    let site = Site::new();
    let mut client = site.connect();
    let mut gate = Escalation::exclusive(&site.services.store);
    assert!(gate.poll(Waker::noop()));
    let owner = gate.begin(Mode::Direct);
    send(&mut client, &["INCR n"; 20]);
    for _ in 0..3 {
        assert_ne!(client.0.process(Waker::noop()), Progress::Idle);
        assert!(client.0.output.is_empty());
    }
    drop(owner);
    assert_eq!(client.finish(), (Progress::Idle, numbers(20)));
    let calls = figure(&mut client, "cmdstat_incr");
    assert!(calls.starts_with("calls=20,"), "{calls}");
}

#[test]
fn one_that_fails_fails_alone() {
    let site = Site::new();
    let mut client = site.connect();
    let lines = [
        "RPUSH l a",
        "RPUSH l b",
        "INCR l",
        "RPUSH l c",
        "LSET l 9 x",
        "LPOP l",
    ];
    assert_eq!(
        pipeline(&mut client, &lines),
        ":1\r\n:2\r\n\
         -WRONGTYPE Operation against a key holding the wrong kind of value\r\n\
         :3\r\n-ERR index out of range\r\n$1\r\na\r\n"
    );
    for (name, begin, end) in [
        ("cmdstat_rpush", "calls=3,", "failed_calls=0"),
        ("cmdstat_incr", "calls=1,", "failed_calls=1"),
        ("errorstat_WRONGTYPE", "count=1", ""),
        ("total_error_replies", "2", ""),
    ] {
        let told = figure(&mut client, name);
        assert!(
            told.starts_with(begin) && told.ends_with(end),
            "{name}: {told}"
        );
    }
}

#[test]
fn one_that_panics_is_lost_alone() {
    let site = Site::new();
    let mut client = site.connect();
    send(
        &mut client,
        &["SET k 1", "INCR k", "PANIC k", "SET k behind"],
    );
    let (progress, output) = client.finish();
    assert_eq!(output, "+OK\r\n:2\r\n-ERR internal error\r\n");
    assert_eq!(progress, Progress::Closing);
    assert_eq!(panics_of(&site), 1);
    assert_eq!(site.connect().run(&["GET", "k"]), "$1\r\n2\r\n");
}

#[test]
fn one_that_panics_when_it_is_done_again_is_lost_alone() {
    // Who is stopped for a millisecond has done a part of them by then, and that is not done again.
    let mut tries = (0..100).map(|_| {
        let site = Site::new();
        let mut client = site.connect();
        site.services.force_conflict();
        send(
            &mut client,
            &["SET k 1", "INCR k", "PANICAGAIN k", "SET k behind"],
        );
        (client.finish(), site)
    });
    let panicked = tries.find(|((progress, _), _)| *progress == Progress::Closing);
    let ((progress, output), site) = panicked.expect("they were never done together");
    assert_eq!(output, "+OK\r\n:2\r\n-ERR internal error\r\n");
    assert_eq!(progress, Progress::Closing);
    assert_eq!(site.connect().run(&["GET", "k"]), "$1\r\n2\r\n");
}

#[test]
fn an_empty_request_is_no_call() {
    let site = Site::new();
    let mut client = site.connect();
    client.run(&["INCR", "n"]);
    client.0.input().extend_from_slice(b"*0\r\n*-1\r\n\r\n");
    assert_eq!(client.finish(), (Progress::Idle, String::new()));
    let calls = figure(&mut client, "cmdstat_incr");
    assert!(calls.starts_with("calls=1,"), "{calls}");
}
