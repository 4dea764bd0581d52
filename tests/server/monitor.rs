//! MONITOR: each command that has run, once, without secrets.

use crate::support::client::{Client, Reply};
use crate::support::server::{Server, until};

/// The next line without its time and address.
fn next(monitor: &mut Client) -> String {
    let Reply::Status(line) = monitor.read() else {
        panic!("not a line");
    };
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(
        time.parse::<f64>().is_ok_and(|seconds| seconds > 1.7e9),
        "{line}"
    );
    let (source, command) = rest.split_once("] ").unwrap();
    let database = source.strip_prefix('[').unwrap().split(' ').next().unwrap();
    let is_lua = source.ends_with(" lua");
    format!("{database}{} {command}", if is_lua { " lua" } else { "" })
}

#[test]
fn commands_are_told_of_once_in_the_order_in_which_they_run() {
    let server = Server::start();
    let mut monitor = Client::connect(server.address);
    assert_eq!(monitor.run("MONITOR").render(), "OK");
    let mut client = Client::connect(server.address);
    client.call(&["SET", "k", "a \"b\"\n"]);
    for line in [
        "SELECT 3",
        "MULTI",
        "INCR n",
        "CONFIG GET timeout",
        "EXEC",
        "auth secret",
    ] {
        client.run(line);
    }
    let expected = [
        r#"0 "SET" "k" "a \"b\"\n""#,
        r#"0 "SELECT" "3""#,
        r#"3 "MULTI""#,
        r#"3 "INCR" "n""#,
        r#"3 "EXEC""#,
        r#"3 "auth" "(redacted)""#,
    ];
    for line in expected {
        assert_eq!(next(&mut monitor), line);
    }
    let list = client.run("CLIENT LIST").render();
    assert!(list.contains("flags=O"), "{list}");
}

#[test]
fn calls_of_scripts_are_told_of_when_they_have_become_part_of_history() {
    let server = Server::start();
    let mut monitor = Client::connect(server.address);
    monitor.run("MONITOR");
    let mut client = Client::connect(server.address);
    let body = "redis.call('INCR', KEYS[1]) if ARGV[1] then redis.abort('enough') end";
    for (header, shows_aborted) in [
        ("", false),
        ("#!lua flags=allow-undeclared-keys\n", false),
        ("#!lua flags=disable-atomicity\n", true),
    ] {
        let body = format!("{header}{body}");
        client.call(&["EVAL", &body, "1", "n", "give up"]);
        server.services.force_conflict();
        client.call(&["EVAL", &body, "1", "n"]);
        assert!(
            next(&mut monitor).ends_with(r#""1" "n" "give up""#),
            "{header}"
        );
        if shows_aborted {
            assert_eq!(next(&mut monitor), r#"0 lua "INCR" "n""#);
        }
        assert!(next(&mut monitor).ends_with(r#""1" "n""#), "{header}");
        assert_eq!(next(&mut monitor), r#"0 lua "INCR" "n""#, "{header}");
    }
}

#[test]
fn who_resets_or_goes_is_told_no_more() {
    let server = Server::start();
    let mut monitor = Client::connect(server.address);
    monitor.run("MONITOR");
    monitor.run("MONITOR");
    let mut client = Client::connect(server.address);
    client.run("GET k");
    assert_eq!(next(&mut monitor), r#"0 "GET" "k""#, "once");
    assert_eq!(monitor.run("RESET").render(), "RESET");
    client.run("GET k");
    assert_eq!(monitor.run("PING").render(), "PONG");
    assert_eq!(monitor.run("MONITOR").render(), "OK");
    client.run("GET j");
    assert_eq!(next(&mut monitor), r#"0 "GET" "j""#);
    drop(monitor);
    until(|| !server.services.monitors.is_any());
    client.run("MULTI");
    let error = "(ERR Command not allowed inside a transaction)";
    assert_eq!(client.run("MONITOR").render(), error);
}

#[test]
fn one_that_does_not_read_is_cut_off() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let limits = "normal 0 0 0 replica 1mb 0 0 pubsub 0 0 0";
    client.call(&["CONFIG", "SET", "client-output-buffer-limit", limits]);
    let mut monitor = Client::connect(server.address);
    monitor.run("MONITOR");
    let text = "x".repeat(100_000);
    until(|| {
        client.call(&["SET", "k", &text]);
        !server.services.monitors.is_any()
    });
}
