//! SNAPSHOT BEGIN … END: a connection's reads at one moment.

use crate::support::client::Client;
use crate::support::server::{Server, until};

const READS: &[(&str, &str)] = &[
    ("GET text", "old"),
    ("MGET text new", "[old nil]"),
    ("EXISTS gone new", "1"),
    ("HGETALL hash", "[f '1']"),
    ("LRANGE list 0 -1", "[a b]"),
    ("TYPE gone", "string"),
    ("TTL text", "-1"),
    ("KEYS n*", "[]"),
    ("DBSIZE", "4"),
    (
        "EVAL_RO return{redis.call('GET',KEYS[1]),redis.call('LLEN',KEYS[2])} 2 text list",
        "[old 2]",
    ),
];

fn server_with_data() -> Server {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for line in [
        "SET text old",
        "SET gone 1",
        "HSET hash f 1",
        "RPUSH list a b",
    ] {
        client.run(line);
    }
    server
}

fn change_everything(client: &mut Client) {
    for line in [
        "SET text new EX 100",
        "DEL gone",
        "HSET hash f 2 g 3",
        "LPOP list",
        "SET new 1",
    ] {
        client.run(line);
    }
}

#[test]
fn i2_a_connection_reads_at_one_moment_until_it_ends_that() {
    let server = server_with_data();
    let (mut reader, mut writer) = (
        Client::connect(server.address),
        Client::connect(server.address),
    );
    assert_eq!(reader.run("SNAPSHOT BEGIN").render(), "OK");
    change_everything(&mut writer);
    for (line, expected) in READS {
        assert_eq!(reader.run(line).render(), *expected, "{line}");
    }
    writer.run("FLUSHALL");
    for (line, expected) in READS {
        assert_eq!(
            reader.run(line).render(),
            *expected,
            "{line}, after FLUSHALL"
        );
    }
    let body = "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])";
    assert_eq!(reader.call(&["EVAL", body, "1", "text"]).render(), "old");
    assert_eq!(reader.run("SNAPSHOT END").render(), "OK");
    assert_eq!(reader.run("DBSIZE").render(), "0");
    assert_eq!(reader.run("SET text 1").render(), "OK");
}

#[test]
fn nothing_is_written_meanwhile_and_the_next_request_is_served() {
    let server = server_with_data();
    let mut client = Client::connect(server.address);
    let refused = "(ERR Write commands are not allowed on a snapshot)";
    client.run("SNAPSHOT BEGIN");
    for line in [
        "SET text 1",
        "DEL text",
        "BLPOP list 0",
        "GETEX text PERSIST",
        "FLUSHALL",
        "EVAL return(1) 0",
    ] {
        assert_eq!(client.run(line).render(), refused, "{line}");
    }
    let write = client
        .run("EVAL_RO return(redis.call('SET',KEYS[1],1)) 1 text")
        .render();
    assert!(write.contains("read-only scripts"), "{write}");
    for (line, part) in [
        ("MULTI", "Transactions are not allowed on a snapshot"),
        ("WATCH text", "Transactions are not allowed on a snapshot"),
        ("SNAPSHOT BEGIN", "can not be nested"),
        ("SNAPSHOT NOW", "unknown subcommand"),
    ] {
        let reply = client.run(line).render();
        assert!(reply.contains(part), "{line}: {reply}");
    }
    assert_eq!(client.run("GET text").render(), "old");
    assert_eq!(client.run("SELECT 1").render(), "OK");
    assert_eq!(client.run("GET text").render(), "nil");
    assert_eq!(client.run("SNAPSHOT END").render(), "OK");
    let help = client.run("SNAPSHOT HELP").render();
    assert!(help.contains("BEGIN") && help.contains("END"), "{help}");
    let twice = client.run("SNAPSHOT END").render();
    assert!(twice.contains("without SNAPSHOT BEGIN"), "{twice}");
    client.run("WATCH text");
    let watched = client.run("SNAPSHOT BEGIN").render();
    assert!(watched.contains("while keys are watched"), "{watched}");
}

/// A script that is suspended while it reads there, killed, or wrong, leaves the snapshot as it was.
#[test]
fn scripts_leave_the_snapshot_to_the_connection() {
    let server = server_with_data();
    let (mut reader, mut other) = (
        Client::connect(server.address),
        Client::connect(server.address),
    );
    reader.run("SNAPSHOT BEGIN");
    change_everything(&mut other);
    let slow = "for i = 1, 3000000 do end return redis.call('GET', KEYS[1])";
    assert_eq!(reader.call(&["EVAL_RO", slow, "1", "text"]).render(), "old");
    let wrong = reader.call(&["EVAL_RO", "error('no')", "0"]).render();
    assert!(wrong.contains("no"), "{wrong}");
    reader.send(&["EVAL_RO", "while true do end", "0"]);
    until(|| other.run("SCRIPT KILL").render() == "OK");
    assert!(reader.read().render().contains("killed"));
    assert_eq!(reader.run("GET text").render(), "old");
    assert_eq!(server.services.store.snapshots_held().0, 1);
}

#[test]
fn who_goes_or_resets_holds_no_snapshot_any_more() {
    let server = server_with_data();
    let mut client = Client::connect(server.address);
    client.run("SNAPSHOT BEGIN");
    let mut second = Client::connect(server.address);
    second.run("SNAPSHOT BEGIN");
    assert_eq!(server.services.store.snapshots_held().0, 2);
    assert_eq!(second.run("RESET").render(), "RESET");
    assert_eq!(server.services.store.snapshots_held().0, 1);
    drop(client);
    until(|| server.services.store.snapshots_held().0 == 0);
}

/// The limits on snapshots hold for these.
#[test]
fn one_that_is_held_too_long_answers_an_error_until_it_is_ended() {
    let server = server_with_data();
    let mut client = Client::connect(server.address);
    client.run("SNAPSHOT BEGIN");
    let mut other = Client::connect(server.address);
    other.run("CONFIG SET snapshot-max-count 1");
    other.run("SNAPSHOT BEGIN");
    until(|| {
        client
            .run("GET text")
            .render()
            .starts_with("(SNAPSHOTTOOOLD")
    });
    let script = client
        .run("EVAL_RO return(redis.call('GET',KEYS[1])) 1 text")
        .render();
    assert!(script.starts_with("(SNAPSHOTTOOOLD"), "{script}");
    assert_eq!(other.run("GET text").render(), "old");
    assert_eq!(client.run("SNAPSHOT END").render(), "OK");
    assert_eq!(client.run("GET text").render(), "old");
}
