//! Clients that leave, fail or do not read at the wrong moment.

use std::sync::atomic::Ordering;

use darter::config::Config;
use darter::config::parameters::Change;
use darter::config::setting;

use crate::support::client::{Client, encode};
use crate::support::server::{Server, until};

/// A script that is suspended at least once.
const SLOW: &str = "for i = 1, 2e7 do end return 'a reply longer than the one before'";

/// Bytes of replies that wait for clients who do not read.
fn unsent(server: &Server) -> usize {
    let all = server.services.clients.all();
    let bytes = all
        .iter()
        .map(|client| client.output_bytes.load(Ordering::Relaxed));
    bytes.sum()
}

fn blocked(server: &Server, line: &str) -> Client {
    let before = server.services.waiters.len();
    let mut client = Client::connect(server.address);
    client.send(&line.split_whitespace().collect::<Vec<_>>());
    until(|| server.services.waiters.len() > before);
    client
}

#[test]
fn a_reply_that_is_not_wanted_is_dropped_whole_after_a_suspension() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let lines: [&[&str]; 4] = [
        &["PING"],
        &["CLIENT", "REPLY", "OFF"],
        &["EVAL", SLOW, "0"],
        &["CLIENT", "REPLY", "ON"],
    ];
    let bytes: Vec<u8> = lines.iter().flat_map(|line| encode(line)).collect();
    client.send_bytes(&bytes);
    assert_eq!(client.read().render(), "PONG");
    assert_eq!(client.read().render(), "OK");
    assert_eq!(client.run("ECHO x").render(), "x");
}

#[test]
fn what_waits_behind_a_script_goes_with_its_client() {
    let server = Server::start();
    let mut gone = Client::connect(server.address);
    let script = "for i = 1, 2e7 do end redis.call('SET', KEYS[1], 'committed')";
    let mut bytes = encode(&["EVAL", script, "1", "k"]);
    bytes.extend(encode(&["BLPOP", "list", "0"]));
    gone.send_bytes(&bytes);
    until(|| server.services.clients.len() == 1);
    drop(gone);
    until(|| server.services.clients.is_empty());
    assert!(server.services.waiters.is_empty());
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("GET k").render(), "committed");
    client.run("RPUSH list v");
    assert_eq!(client.run("LLEN list").render(), "1");
}

#[test]
fn one_whose_turn_ends_in_an_error_passes_it_on() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("SET string s");
    let mut first = blocked(&server, "BLMOVE list string LEFT LEFT 0");
    let mut second = blocked(&server, "BLPOP list 0");
    client.run("RPUSH list v");
    assert!(first.read().render().contains("WRONGTYPE"));
    assert_eq!(second.read().render(), "[list v]");
}

#[test]
fn exchanged_databases_wake_once_they_are_exchanged() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("SELECT 1");
    client.run("RPUSH list v");
    let mut waiting = blocked(&server, "BLPOP list 0");
    // Long enough for whoever is woken too early to find nothing.
    let script = "#!lua flags=allow-undeclared-keys\n\
        redis.call('SWAPDB', 0, 1) for i = 1, 2e7 do end return 1";
    assert_eq!(client.call(&["EVAL", script, "0"]).render(), "1");
    assert_eq!(waiting.read().render(), "[list v]");
}

#[test]
fn subscribing_in_a_transaction_brings_messages() {
    let server = Server::start();
    let mut subscriber = Client::connect(server.address);
    subscriber.run("MULTI");
    subscriber.run("SUBSCRIBE a");
    assert_eq!(subscriber.run("EXEC").render(), "[[subscribe a 1]]");
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("PUBLISH a x").render(), "1");
    assert_eq!(subscriber.read().render(), "[message a x]");
}

#[test]
fn keys_that_have_not_changed_share_a_snapshot() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("SET changing 1");
    for key in 0..100 {
        client.run(&format!("WATCH {key} same"));
    }
    let held = || server.services.store.snapshots_held().0;
    assert_eq!(held(), 1);
    Client::connect(server.address).run("SET changing 2");
    client.run("WATCH changing");
    assert_eq!(held(), 2);
    client.run("MULTI");
    client.run("GET changing");
    assert_eq!(client.run("EXEC").render(), "['2']");
    assert_eq!(held(), 0);
    client.run("WATCH 1 2");
    Client::connect(server.address).run("SET 2 x");
    client.run("WATCH 2");
    client.run("MULTI");
    assert_eq!(client.run("EXEC").render(), "nil");
}

#[test]
fn replies_that_nobody_reads_end_a_slice() {
    const COMMANDS: usize = 500;
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.call(&["SET", "k", &"x".repeat(1_000_000)]);
    client.send_bytes(&encode(&["GET", "k"]).repeat(COMMANDS));
    until(|| unsent(&server) > 0);
    assert!(unsent(&server) < 4_000_000, "{}", unsent(&server));
    for _ in 0..COMMANDS {
        assert!(
            matches!(client.read(), crate::support::client::Reply::Bulk(bytes) if bytes.len() == 1_000_000)
        );
    }
}

/// A client with more unread replies than the sockets between it and the server hold.
fn one_that_does_not_read(server: &Server) -> Client {
    let mut client = Client::connect(server.address);
    client.call(&["SET", "large", &"x".repeat(1_000_000)]);
    client.send_bytes(&encode(&["GET", "large"]).repeat(40));
    until(|| unsent(server) > 0);
    client
}

#[test]
fn all_requests_may_be_sent_before_the_first_reply_is_read() {
    const COMMANDS: usize = 40_000;
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let value = "x".repeat(1_000);
    client.send_bytes(&encode(&["ECHO", &value]).repeat(COMMANDS));
    client.send_bytes(&encode(&["PING"]));
    for _ in 0..COMMANDS {
        assert_eq!(client.read().render().len(), value.len());
    }
    assert_eq!(client.read().render(), "PONG");
}

#[test]
fn a_script_of_one_that_does_not_read_lets_the_gate_go() {
    let server = Server::start();
    let mut unread = Client::connect(server.address);
    unread.call(&["SET", "large", &"x".repeat(900_000)]);
    let script = "#!lua flags=allow-undeclared-keys\n\
        for i = 1, 2e6 do end return redis.call('INCR', 'runs')";
    let mut bytes = encode(&["GET", "large"]);
    bytes.extend(encode(&["EVAL", script, "0"]));
    unread.send_bytes(&bytes.repeat(40));
    until(|| unsent(&server) > 0);
    let mut client = Client::connect(server.address);
    // Whoever writes meanwhile does not wait for the reader.
    for i in 0..1_000 {
        client.run(&format!("SET other {i}"));
    }
    for run in 1..=40 {
        assert_eq!(unread.read().render().len(), 900_000);
        assert_eq!(unread.read().render(), run.to_string());
    }
}

#[test]
fn replies_behind_the_end_of_the_requests_are_sent() {
    let server = Server::start();
    let mut client = one_that_does_not_read(&server);
    client.send_bytes(&encode(&["PING"]));
    client.finish_sending();
    for _ in 0..40 {
        assert_eq!(client.read().render().len(), 1_000_000);
    }
    assert_eq!(client.read().render(), "PONG");
}

#[test]
fn one_who_does_not_read_is_cut_off_at_its_limit() {
    let mut config = Config::new(16, 2);
    let limit = ("client-output-buffer-limit", "normal 2mb 0 0");
    setting::set(&mut Change::Whole(&mut config), limit.0, limit.1).unwrap();
    let server = Server::start_with(config);
    let mut deaf = Client::connect(server.address);
    // More than the sockets in between hold.
    deaf.call(&["SET", "large", &"x".repeat(20_000_000)]);
    deaf.send_bytes(&encode(&["MGET", "large"]));
    until(|| server.services.clients.is_empty());
    let disconnections = &server.services.stats.output_limit_disconnections;
    assert_eq!(disconnections.load(Ordering::Relaxed), 1);
    // One that reads gets all of it.
    setting::set(
        &mut Change::Shared(&server.services.config),
        limit.0,
        "normal 0 0 0",
    )
    .unwrap();
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("MGET large").render().len(), 20_000_002);
}
