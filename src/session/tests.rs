//! Panics: one client's command is lost, nothing else.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use super::{Progress, Session};
use crate::config::Config;
use crate::interest::Interest;
use crate::services::Services;
use crate::stats::ThreadStats;

/// The parts of a server without its sockets, on one thread.
pub(super) struct Site {
    pub(super) services: Arc<Services>,
    stats: Arc<ThreadStats>,
    effects: Option<std::thread::JoinHandle<()>>,
}

impl Site {
    pub(super) fn new() -> Site {
        let services = Arc::new(Services::new(Config::new(16, 1)));
        services.read_clock();
        let told = Arc::clone(&services);
        Site {
            stats: services.stats.join(),
            effects: Some(std::thread::spawn(move || Interest::run(&told))),
            services,
        }
    }

    pub(super) fn connect(&self) -> Client {
        let shared = self.services.clients.add(String::new(), String::new(), 0);
        Client(Session::new(&self.services, &self.stats, shared))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.services.stop();
        if let Some(effects) = self.effects.take() {
            effects.join().unwrap();
        }
    }
}

pub(super) struct Client(pub(super) Session);

impl Client {
    pub(super) fn send(&mut self, words: &[&str]) {
        let input = self.0.input();
        input.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            input.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
    }

    /// Goes on until nothing is left to do.
    pub(super) fn finish(&mut self) -> (Progress, String) {
        loop {
            let progress = self.0.process(Waker::noop());
            if matches!(progress, Progress::Idle | Progress::Closing) {
                let output = std::mem::take(&mut self.0.output);
                return (progress, String::from_utf8(output).unwrap());
            }
            std::thread::yield_now();
        }
    }

    pub(super) fn run(&mut self, words: &[&str]) -> String {
        self.send(words);
        let (progress, output) = self.finish();
        assert_eq!(progress, Progress::Idle, "{words:?}: {output}");
        output
    }

    fn panics(&mut self, words: &[&str]) {
        self.send(words);
        let (progress, output) = self.finish();
        assert_eq!(output, "-ERR internal error\r\n", "{words:?}");
        assert_eq!(progress, Progress::Closing, "{words:?}");
    }
}

/// Nothing of a client that has gone is left, and everybody is served.
fn assert_all_is_well(site: &Site, what: &str) {
    let services = &site.services;
    assert!(services.clients.is_empty(), "{what}");
    assert!(services.waiters.is_empty(), "{what}");
    assert_eq!(services.store.snapshots_held().0, 0, "{what}");
    let mut client = site.connect();
    assert_eq!(client.run(&["GET", "k"]), "$-1\r\n", "{what}");
    // The gate is open, also for one that has to take it, and the queues are empty.
    assert_eq!(client.run(&["SET", "k", "1"]), "+OK\r\n", "{what}");
    let exclusive = "#!lua flags=allow-undeclared-keys\nreturn redis.call('INCR', 'k')";
    assert_eq!(client.run(&["EVAL", exclusive, "0"]), ":2\r\n", "{what}");
    for _ in 0..5 {
        services.force_conflict();
        client.run(&["INCR", "k"]);
    }
    assert_eq!(client.run(&["FLUSHALL"]), "+OK\r\n", "{what}");
}

pub(super) fn panics_of(site: &Site) -> u64 {
    site.services.stats.panics.load(Ordering::Relaxed)
}

#[test]
fn a_script_that_begins_anew_is_refused_again_what_the_next_run_may() {
    let site = Site::new();
    let config = &site.services.config;
    config.corrects_flags.store(true, Ordering::Relaxed);
    let mut client = site.connect();
    let body = "redis.call('INCR', KEYS[1])
        return type(redis.pcall('INCR', 'undeclared')) == 'table' and 'refused' or 'allowed'";
    site.services.force_conflict();
    let eval = ["EVAL", body, "1", "declared"];
    assert_eq!(client.run(&eval), "$7\r\nrefused\r\n");
    assert_eq!(client.run(&eval), "$7\r\nallowed\r\n");
    assert_eq!(client.run(&["GET", "declared"]), "$1\r\n2\r\n");
}

#[test]
fn a_panic_in_a_command_loses_that_command_alone() {
    let site = Site::new();
    for (count, command) in (1..).zip([
        &["PANIC", "k"][..],
        &["PANICGATE", "k"],
        &["PANICREAD", "k"],
        &["PANICCLIENT"],
    ]) {
        let mut client = site.connect();
        client.run(&["WATCH", "k"]);
        client.send(&["PING"]);
        client.send(command);
        client.send(&["SET", "k", "behind it"]);
        let (progress, output) = client.finish();
        assert_eq!(output, "+PONG\r\n-ERR internal error\r\n", "{command:?}");
        assert_eq!(progress, Progress::Closing, "{command:?}");
        drop(client);
        assert_eq!(panics_of(&site), count);
        assert_all_is_well(&site, command[0]);
    }
    let errors = site.services.stats.errors();
    assert_eq!(errors.get("ERR"), Some(&4));
}

#[test]
fn a_panic_in_exec_leaves_nothing_of_its_transaction() {
    let site = Site::new();
    let script = "return redis.call('PANIC', KEYS[1])";
    for last in [
        &["PANIC", "k"][..],
        &["PANICGATE", "k"],
        &["PANICCLIENT"],
        &["EVAL", script, "1", "k"],
    ] {
        let mut client = site.connect();
        client.run(&["WATCH", "k", "other"]);
        client.run(&["MULTI"]);
        client.run(&["SET", "k", "half"]);
        client.run(&["PUBLISH", "news", "half"]);
        client.run(last);
        client.panics(&["EXEC"]);
        drop(client);
        assert_all_is_well(&site, last[0]);
    }
}

#[test]
fn a_panic_below_a_script_ends_it_in_every_mode() {
    let site = Site::new();
    let suspended = "for i = 1, 5e6 do end";
    for header in [
        "",
        "#!lua flags=allow-undeclared-keys\n",
        "#!lua flags=rollback-on-error\n",
    ] {
        for body in [
            "redis.call('PANIC', KEYS[1])",
            "redis.pcall('PANICGATE', KEYS[1])",
            "pcall(redis.call, 'PANICREAD', KEYS[1])",
            "redis.call('SET', KEYS[1], 'half') redis.call('PANICCLIENT')",
        ] {
            for before in ["", suspended] {
                let script =
                    format!("{header}{before} {body} {suspended} redis.call('SET', KEYS[1], 1)");
                let mut client = site.connect();
                client.panics(&["EVAL", &script, "1", "k"]);
                assert!(!site.services.clients.has_scripts(), "{script}");
                drop(client);
                assert_all_is_well(&site, &script);
            }
        }
    }
    for header in ["#!lua flags=no-writes\n", "#!lua flags=disable-atomicity\n"] {
        let script = format!("{header}{suspended} redis.pcall('PANICREAD', KEYS[1]) return 1");
        let mut client = site.connect();
        client.panics(&["EVAL", &script, "1", "k"]);
        drop(client);
        assert_all_is_well(&site, &script);
    }
}

#[test]
fn a_panic_of_one_who_waits_gives_up_its_place() {
    let site = Site::new();
    let mut client = site.connect();
    client.send(&["PANICWAIT", "k"]);
    while site.services.waiters.is_empty() {
        assert_eq!(client.0.process(Waker::noop()), Progress::Suspended);
    }
    let mut other = site.connect();
    assert_eq!(other.run(&["SET", "k", "v"]), "+OK\r\n");
    let (progress, output) = client.finish();
    assert_eq!(output, "-ERR internal error\r\n");
    assert_eq!(progress, Progress::Closing);
    other.run(&["DEL", "k"]);
    drop((client, other));
    assert_all_is_well(&site, "PANICWAIT");
}

#[test]
fn nothing_is_said_of_a_panic_to_one_who_wants_no_replies() {
    let site = Site::new();
    let mut client = site.connect();
    assert_eq!(client.run(&["CLIENT", "REPLY", "OFF"]), "");
    client.send(&["PANIC", "k"]);
    assert_eq!(client.finish(), (Progress::Closing, String::new()));
}

#[test]
fn what_was_published_before_a_request_comes_before_its_reply() {
    const MESSAGE: &str = ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n";
    let site = Site::new();
    let (mut subscriber, mut publisher) = (site.connect(), site.connect());
    subscriber.run(&["HELLO", "3"]);
    subscriber.run(&["SUBSCRIBE", "b"]);
    for (words, reply) in [
        (&["GET", "k"][..], "_\r\n"),
        (
            &["UNSUBSCRIBE", "a"],
            ">3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n",
        ),
        (&["RESET"], "+RESET\r\n"),
    ] {
        subscriber.run(&["SUBSCRIBE", "a"]);
        assert_eq!(publisher.run(&["PUBLISH", "a", "m"]), ":1\r\n");
        assert_eq!(subscriber.run(words), format!("{MESSAGE}{reply}"));
    }
}

/// A text that is new, of about a mebibyte, which no script runs through.
fn long_text(end: &str) -> String {
    format!("if false then {}end {end}", "KEYS.a = 1 ".repeat(100_000))
}

#[test]
fn a_long_text_is_compiled_by_slices() {
    let site = Site::new();
    let mut client = site.connect();
    let mut run = |words: &[&str]| {
        client.send(words);
        let mut turns = 1;
        while client.0.process(Waker::noop()) == Progress::Yielded {
            turns += 1;
        }
        let output = std::mem::take(&mut client.0.output);
        (turns, String::from_utf8(output).unwrap())
    };
    let (turns, reply) = run(&["EVAL", &long_text("return 7"), "0"]);
    assert_eq!(reply, ":7\r\n");
    assert!(turns > 3, "{turns}");
    let (turns, reply) = run(&["EVAL", &long_text("return 7 7"), "0"]);
    assert!(turns > 3, "{turns}");
    let error = "-ERR Error compiling script (new function): user_script:1: ";
    assert!(reply.starts_with(error), "{reply}");
    let (turns, sha) = run(&["SCRIPT", "LOAD", &long_text("return 8")]);
    assert!(turns > 3, "{turns}");
    let sha = sha.lines().nth(1).unwrap();
    assert_eq!(run(&["EVALSHA", sha, "0"]).1, ":8\r\n");
    let (_, reply) = run(&["SCRIPT", "LOAD", &long_text("return 8 8")]);
    assert!(reply.starts_with(error), "{reply}");
    for (count, error) in [
        ("x", "value is not an integer"),
        ("-1", "can't be negative"),
    ] {
        let (turns, reply) = run(&["EVAL", &long_text("return 9 9"), count]);
        assert!(turns == 1 && reply.contains(error), "{turns} {reply}");
    }
    let (_, memory) = run(&["INFO", "memory"]);
    let kept = "\r\nnumber_of_cached_scripts:2\r\n";
    assert!(
        memory.contains(kept),
        "what is no script is not kept: {memory}"
    );
}

#[test]
fn a_long_text_runs_although_its_client_has_gone() {
    let site = Site::new();
    let mut client = site.connect();
    let text = long_text("return redis.call('SET', KEYS[1], 1)");
    client.send(&["EVAL", &text, "1", "k"]);
    assert_eq!(client.0.process(Waker::noop()), Progress::Yielded);
    while !client.0.disconnect() {
        client.0.process(Waker::noop());
    }
    assert_eq!(site.connect().run(&["GET", "k"]), "$1\r\n1\r\n");
}
