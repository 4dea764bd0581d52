//! Snapshots that are held for too long: what they keep is bounded by ending them.

use std::thread;

use crate::support::client::{Client, Reply};
use crate::support::info::number;
use crate::support::server::Server;

/// A script that reads a key again and again until it sees no more of it.
fn reads_for_ever(header: &str) -> String {
    format!("{header}while true do redis.call('GET', KEYS[1]) end")
}

fn is_refused(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(text) if text.starts_with("SNAPSHOTTOOOLD "))
}

#[test]
fn a_script_that_reads_at_an_old_number_is_ended_in_every_mode_that_has_one() {
    for header in ["#!lua flags=no-writes\n", ""] {
        let server = Server::start();
        let mut client = Client::connect(server.address);
        client.run("SET k 1");
        let body = reads_for_ever(header);
        thread::scope(|scope| {
            // Two keys, so that it reads at a number from its first attempt on.
            let script = scope.spawn(|| {
                Client::connect(server.address).call(&["EVAL", &body, "2", "k", "other"])
            });
            while number(&mut client, "snapshots_held") == 0 {}
            client.run("SET k 2");
            assert_eq!(client.run("CONFIG SET snapshot-max-age 1").render(), "OK");
            let reply = script.join().unwrap();
            assert!(is_refused(&reply), "{header}{reply:?}");
        });
        assert_eq!(number(&mut client, "snapshots_held"), 0);
        assert_eq!(number(&mut client, "snapshots_ended"), 1);
        assert_eq!(client.run("GET k").render(), "'2'");
    }
}

#[test]
fn a_watch_that_was_ended_spoils_exec() {
    let server = Server::start();
    let mut watching = Client::connect(server.address);
    let mut client = Client::connect(server.address);
    watching.run("SET k 1");
    watching.run("WATCH k");
    client.run("CONFIG SET snapshot-max-age 1");
    while number(&mut client, "snapshots_ended") == 0 {}
    watching.run("MULTI");
    watching.run("SET k 2");
    assert_eq!(watching.run("EXEC").render(), "nil");
    // The next one is as good as any.
    client.run("CONFIG SET snapshot-max-age 0");
    watching.run("WATCH k");
    watching.run("MULTI");
    watching.run("SET k 2");
    assert_eq!(watching.run("EXEC").render(), "[OK]");
}

#[test]
fn the_oldest_go_when_there_are_too_many() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut watching: Vec<Client> = (0..6).map(|_| Client::connect(server.address)).collect();
    for one in &mut watching {
        one.run("WATCH k");
    }
    client.run("CONFIG SET snapshot-max-count 4");
    while number(&mut client, "snapshots_ended") < 2 {}
    for (at, one) in watching.iter_mut().enumerate() {
        one.run("MULTI");
        one.run("PING");
        let expected = if at < 2 { "nil" } else { "[PONG]" };
        assert_eq!(one.run("EXEC").render(), expected, "{at}");
    }
    assert_eq!(number(&mut client, "snapshots_ended"), 2);
}

#[test]
fn the_oldest_goes_when_too_much_is_kept() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut watching = Client::connect(server.address);
    let value = "x".repeat(1 << 20);
    client.call(&["SET", "k", &value]);
    watching.run("WATCH other");
    client.run("SET k y");
    assert!(number(&mut client, "kept_bytes") >= value.len());
    client.run("CONFIG SET snapshot-max-bytes 512kb");
    while number(&mut client, "kept_bytes") > 0 {}
    assert_eq!(number(&mut client, "snapshots_ended"), 1);
    let reply = client.call(&["EVAL_RO", "return redis.call('GET', KEYS[1])", "1", "k"]);
    assert_eq!(reply.render(), "y");
    watching.run("MULTI");
    watching.run("PING");
    assert_eq!(watching.run("EXEC").render(), "nil");
}
