//! WAIT and WAITAOF without replicas: who waits, for how long, and who does not.

use std::time::{Duration, Instant};

use darter::config::Config;

use crate::support::check::{check, compare};
use crate::support::client::Client;
use crate::support::info::number;
use crate::support::server::{Server, until};

#[test]
fn wait_is_answered_as_by_redis() {
    compare(
        "WAIT
        WAIT 1
        WAIT 1 2 3
        WAIT x 1; WAIT 1 x; WAIT x x; WAIT 1 -1; WAIT 0 -1; WAIT 0 1.5; WAIT 1.5 0
        WAIT 9223372036854775808 0; WAIT 0 9223372036854775808
        WAIT 0 0; WAIT -1 0; WAIT -9223372036854775808 10; WAIT 0 1000
        WAIT 1 5; WAIT 9223372036854775807 5; SET k v; WAIT 2 5
        MULTI; WAIT 5 0; SET k v; WAIT 1 x; WAIT 1 0; EXEC",
    );
}

/// As in 7.2; 7.0 has no WAITAOF, and no WAIT in scripts.
#[test]
fn replicas_are_not_waited_for_where_nobody_may_wait() {
    check(
        "WAIT 1 5; WAIT 0 0; WAITAOF 0 0 0; WAITAOF 0 1 5",
        "0; 0; [0 0]; [0 0]",
    );
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for script in [
        "redis.call('WAIT', 9, 0)",
        "redis.call('WAITAOF', 0, 9, 0)[2]",
    ] {
        let reply = client.call(&["EVAL", &format!("return {script}"), "0"]);
        assert_eq!(reply.render(), "0", "{script}");
    }
    client.run("MULTI");
    client.run("WAITAOF 0 9 0");
    assert_eq!(client.run("EXEC").render(), "[[0 0]]");
}

#[test]
fn wrong_arguments_of_waitaof_are_named() {
    check(
        "WAITAOF 2 0 0; WAITAOF -1 0 0; WAITAOF x 0 0; WAITAOF 0 -1 0; WAITAOF 0 x 0",
        "(ERR value is out of range, value must between 0 and 1); \
         (ERR value is out of range, value must between 0 and 1); \
         (ERR value is not an integer or out of range); \
         (ERR value is out of range, must be positive); \
         (ERR value is not an integer or out of range)",
    );
    check(
        "WAITAOF 0 0 x; WAITAOF 0 0 -1; WAITAOF 1 0 -1; WAITAOF 1 0 0; WAITAOF 1 5 0",
        "(ERR timeout is not an integer or out of range); (ERR timeout is negative); \
         (ERR timeout is negative); \
         (ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.); \
         (ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.)",
    );
    check(
        "WAITAOF 0 0; WAIT 0 9223372036854775807",
        "(ERR wrong number of arguments for 'waitaof' command); (ERR timeout is out of range)",
    );
}

/// One thread serves both: it does not wait.
fn server() -> Server {
    Server::start_with(Config::new(16, 1))
}

fn wait_until_blocked(other: &mut Client, count: usize) {
    until(|| number(other, "blocked_clients") == count);
}

#[test]
fn only_the_client_waits() {
    let server = server();
    let (mut client, mut other) = (
        Client::connect(server.address),
        Client::connect(server.address),
    );
    let began = Instant::now();
    assert_eq!(client.run("WAIT 1 50").render(), "0");
    assert!(began.elapsed() >= Duration::from_millis(50));
    let id = client.run("CLIENT ID").render();
    for (line, how, reply) in [
        ("WAIT 1 0", "", "0"),
        ("WAIT 1 600000", "TIMEOUT", "0"),
        ("WAITAOF 0 1 0", "TIMEOUT", "[0 0]"),
        (
            "WAIT 2 0",
            "ERROR",
            "(UNBLOCKED client unblocked via CLIENT UNBLOCK)",
        ),
    ] {
        client.send(&line.split(' ').collect::<Vec<_>>());
        client.send(&["PING"]);
        wait_until_blocked(&mut other, 1);
        assert!(!client.has_news());
        let unblock = format!("CLIENT UNBLOCK {id} {how}");
        assert_eq!(other.run(unblock.trim()).render(), "1");
        assert_eq!(client.read().render(), reply, "{line}");
        assert_eq!(client.read().render(), "PONG", "what came behind it");
        wait_until_blocked(&mut other, 0);
        assert_eq!(other.run(unblock.trim()).render(), "0");
    }
}

#[test]
fn who_goes_waits_no_longer() {
    let server = server();
    let mut other = Client::connect(server.address);
    let mut client = Client::connect(server.address);
    client.send(&["WAIT", "1", "0"]);
    wait_until_blocked(&mut other, 1);
    drop(client);
    wait_until_blocked(&mut other, 0);
    let mut client = Client::connect(server.address);
    let id = client.run("CLIENT ID").render();
    client.send(&["WAIT", "1", "0"]);
    wait_until_blocked(&mut other, 1);
    assert_eq!(other.run(&format!("CLIENT KILL ID {id}")).render(), "1");
    wait_until_blocked(&mut other, 0);
    assert!(client.is_at_end());
}

#[test]
fn a_reply_that_is_not_wanted_is_waited_for_all_the_same() {
    let server = server();
    let mut client = Client::connect(server.address);
    client.send(&["CLIENT", "REPLY", "SKIP"]);
    client.send(&["WAIT", "1", "5"]);
    assert_eq!(client.run("PING").render(), "PONG");
}
