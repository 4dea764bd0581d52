//! Pipelines of writes to one key, which are committed together, and others that write to it too.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::support::client::{Client, Reply, encode};
use crate::support::info;
use crate::support::server::{Server, until};

/// Sends lines of words as one pipeline. Returns all replies.
fn pipeline(client: &mut Client, lines: &[&str]) -> Vec<Reply> {
    let requests = lines.iter().flat_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        encode(&words)
    });
    client.send_bytes(&requests.collect::<Vec<u8>>());
    lines.iter().map(|_| client.read()).collect()
}

/// What four clients at once are told by pipelines of one line.
fn numbers_of_four(address: SocketAddr, line: &str, pipelines: usize) -> Vec<Vec<i64>> {
    let client = || {
        let mut client = Client::connect(address);
        let mut told = Vec::new();
        for _ in 0..pipelines {
            for reply in pipeline(&mut client, &[line; 16]) {
                let Reply::Integer(number) = reply else {
                    panic!("{reply:?}");
                };
                told.push(number);
            }
        }
        told
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        let told = clients.into_iter().map(|client| client.join().unwrap());
        told.collect()
    })
}

#[test]
fn no_write_of_several_pipelines_is_lost_or_done_twice() {
    const PIPELINES: usize = 200;
    let server = Server::start();
    for line in ["INCR n", "RPUSH l a", "APPEND s a"] {
        let told = numbers_of_four(server.address, line, PIPELINES);
        for numbers in &told {
            assert!(numbers.is_sorted(), "{line}: {numbers:?}");
        }
        let all: BTreeSet<i64> = told.into_iter().flatten().collect();
        let count = 4 * PIPELINES as i64 * 16;
        assert!(all.into_iter().eq(1..=count), "{line}");
    }
    let mut client = Client::connect(server.address);
    let calls = info::section(&mut client, "commandstats");
    for name in ["incr", "rpush", "append"] {
        let told = &calls[&format!("cmdstat_{name}")];
        let expected = format!("calls={},", 4 * PIPELINES * 16);
        assert!(told.starts_with(&expected), "{name}: {told}");
    }
}

#[test]
fn who_listens_is_told_of_each_write_in_order() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("CONFIG SET notify-keyspace-events KA");
    let mut listener = Client::connect(server.address);
    listener.run("PSUBSCRIBE __keyspace@0__:*");
    let lines = ["RPUSH l a", "LPUSH l b", "LPOP l", "RPOP l", "SET l x"];
    pipeline(&mut client, &lines);
    let told: Vec<String> = (0..6)
        .map(|_| listener.read().elements()[3].render())
        .collect();
    assert_eq!(told, ["rpush", "lpush", "lpop", "rpop", "del", "set"]);
}

#[test]
fn who_waits_is_served_what_a_pipeline_has_pushed() {
    let server = Server::start();
    let mut waiting = Client::connect(server.address);
    waiting.send(&["BLPOP", "l", "0"]);
    let mut client = Client::connect(server.address);
    while info::number(&mut client, "blocked_clients") == 0 {
        std::thread::yield_now();
    }
    pipeline(&mut client, &["RPUSH l a", "RPUSH l b", "RPUSH l c"]);
    assert_eq!(waiting.read().render(), "[l a]");
    assert_eq!(client.run("LRANGE l 0 -1").render(), "[b c]");
}

#[test]
fn what_is_queued_for_exec_waits_for_it() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let lines = ["MULTI", "INCR n", "INCR n", "EXEC", "INCR n", "INCR n"];
    let replies = pipeline(&mut client, &lines);
    let told: Vec<String> = replies.iter().map(Reply::render).collect();
    assert_eq!(told, ["OK", "QUEUED", "QUEUED", "[1 2]", "3", "4"]);
}

#[test]
fn a_monitor_is_told_of_each_write() {
    let server = Server::start();
    let mut monitor = Client::connect(server.address);
    monitor.run("MONITOR");
    let mut client = Client::connect(server.address);
    pipeline(&mut client, &["INCR n", "INCR n", "INCR n"]);
    for _ in 0..3 {
        let line = monitor.read().render();
        assert!(line.contains("INCR"), "{line}");
    }
}

/// Redis serves whoever waits after each command.
#[test]
fn who_waits_is_served_when_a_pipeline_is_done() {
    let server = Server::start();
    let (mut waiter, mut client) = (
        Client::connect(server.address),
        Client::connect(server.address),
    );
    waiter.send(&["BLPOP", "q", "0"]);
    until(|| info::section(&mut client, "clients")["blocked_clients"] == "1");
    let replies = pipeline(&mut client, &["RPUSH q a", "LPOP q", "RPUSH q b"]);
    let replies: Vec<String> = replies.iter().map(Reply::render).collect();
    assert_eq!(replies, ["1", "a", "1"]);
    assert_eq!(waiter.read().render(), "[q b]");
}

/// Redis remembers that somebody touched it.
#[test]
fn a_key_that_comes_and_goes_within_a_pipeline_was_never_there() {
    let server = Server::start();
    let (mut watcher, mut client) = (
        Client::connect(server.address),
        Client::connect(server.address),
    );
    for lines in [&["SET k v", "GETDEL k"], &["RPUSH k v", "LPOP k"]] {
        watcher.run("WATCH k");
        pipeline(&mut client, lines);
        watcher.run("MULTI");
        watcher.run("PING");
        assert_eq!(watcher.run("EXEC").render(), "[PONG]", "{lines:?}");
    }
}
