//! DEBUG: who may use it, and what it does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use darter::config::{Config, Debugging};

use crate::support::check::compare;
use crate::support::client::{Client, Reply};
use crate::support::info::number;
use crate::support::redis::Redis;
use crate::support::server::{Server, until};

fn server_for(debugging: Debugging) -> Server {
    let mut config = Config::new(16, 1);
    config.startup.debugging = debugging;
    Server::start_with(config)
}

#[test]
fn it_is_refused_unless_it_is_enabled() {
    compare(
        "DEBUG; DEBUG HELP; DEBUG FOO; DEBUG SLEEP; DEBUG SLEEP 0; DEBUG OBJECT k; DEBUG OBJECT k x
        MULTI; DEBUG SLEEP 0; SET k v; EXEC
        CONFIG GET enable-debug-command",
    );
    for (debugging, expected) in [(Debugging::Local, "local"), (Debugging::Yes, "yes")] {
        let server = server_for(debugging);
        let mut client = Client::connect(server.address);
        assert_eq!(client.run("DEBUG SLEEP 0").render(), "OK");
        let shown = client.run("CONFIG GET enable-debug-command").render();
        assert_eq!(shown, format!("[enable-debug-command {expected}]"));
        let refused = client.run("CONFIG SET enable-debug-command no").render();
        assert!(refused.contains("immutable"), "{refused}");
    }
}

/// The bytes of a reply, attributes and pushes included.
fn bytes_of(address: SocketAddr, hello: &str, line: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("{hello}\r\nECHO begin\r\n{line}\r\nECHO end\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"$3\r\nend\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.extend(byte);
    }
    let text = String::from_utf8(bytes).unwrap();
    text.split_once("begin\r\n").unwrap().1.to_owned()
}

fn redis() -> Option<Redis> {
    Redis::start_with(&["--enable-debug-command", "yes"])
}

#[test]
fn every_type_of_reply_is_that_of_redis() {
    let Some(redis) = redis() else { return };
    let server = server_for(Debugging::Yes);
    for hello in ["HELLO 2", "HELLO 3"] {
        for name in [
            "string", "integer", "double", "bignum", "null", "array", "set", "map", "attrib",
            "push", "verbatim", "true", "false", "TRUE", "foo",
        ] {
            let line = format!("DEBUG PROTOCOL {name}");
            assert_eq!(
                bytes_of(server.address, hello, &line),
                bytes_of(redis.address, hello, &line),
                "{hello}: {line}"
            );
        }
    }
}

/// What DEBUG OBJECT says, without the address and the times: a second may begin meanwhile.
fn object(client: &mut Client, key: &str) -> String {
    let text = match client.call(&["DEBUG", "OBJECT", key]) {
        Reply::Status(text) => text,
        other => return other.render(),
    };
    let times = ["at:", "lru:", "lru_seconds_idle:"];
    let (kept, told): (Vec<_>, Vec<_>) = text
        .split(' ')
        .partition(|word| !times.iter().any(|name| word.starts_with(name)));
    assert_eq!(told.len(), times.len(), "{text}");
    kept.join(" ")
}

#[test]
fn an_object_is_described_as_by_redis() {
    let Some(redis) = redis() else { return };
    let server = server_for(Debugging::Yes);
    let (mut theirs, mut ours) = (redis.client(), Client::connect(server.address));
    for client in [&mut theirs, &mut ours] {
        client.run("MSET number 1234567 text hello");
        client.call(&["SET", "long", &"ab".repeat(30)]);
    }
    for key in ["number", "text", "nothing"] {
        assert_eq!(object(&mut ours, key), object(&mut theirs, key), "{key}");
    }
    // Redis compresses it in its payloads.
    assert_eq!(
        object(&mut ours, "long"),
        "Value refcount:1 encoding:raw serializedlength:61"
    );
    ours.run("HSET hash a 1");
    ours.run("MULTI");
    ours.run("SET text 1");
    ours.run("DEBUG OBJECT text");
    let within = ours.run("EXEC").render();
    assert!(within.contains("encoding:int"), "its own write: {within}");
    let hash = object(&mut ours, "hash");
    assert!(hash.contains("encoding:listpack"), "{hash}");
}

#[test]
fn only_who_sleeps_waits() {
    let server = server_for(Debugging::Local);
    let (mut own, mut other) = (
        Client::connect(server.address),
        Client::connect(server.address),
    );
    let id = own.run("CLIENT ID").render();
    own.send(&["DEBUG", "SLEEP", "3600"]);
    until(|| number(&mut other, "blocked_clients") == 1);
    assert_eq!(other.run("SET k v").render(), "OK");
    assert!(!own.has_news());
    assert_eq!(other.run(&format!("CLIENT UNBLOCK {id}")).render(), "1");
    assert_eq!(own.read().render(), "OK");
    for (seconds, expected) in [
        ("0", "OK"),
        ("-1", "OK"),
        ("0.001", "OK"),
        ("x", "(ERR value is not a valid float)"),
        ("nan", "(ERR value is not a valid float)"),
    ] {
        let reply = own.run(&format!("DEBUG SLEEP {seconds}"));
        assert_eq!(reply.render(), expected, "{seconds}");
    }
    own.run("MULTI");
    own.run("DEBUG SLEEP 3600");
    assert_eq!(
        own.run("EXEC").render(),
        "[OK]",
        "a transaction does not wait"
    );
}

#[test]
fn what_has_expired_may_stay() {
    let server = server_for(Debugging::Yes);
    let mut client = Client::connect(server.address);
    let expired = |client: &mut Client| number(client, "expired_keys");
    client.run("DEBUG SET-ACTIVE-EXPIRE 0");
    client.run("SET k v PX 1");
    until(|| client.run("GET k") == Reply::Null);
    // Several rounds of the housekeeping.
    client.run("DEBUG SLEEP 0.5");
    assert_eq!(expired(&mut client), 0);
    assert_eq!(client.run("GET k").render(), "nil", "nobody sees it");
    client.run("DEBUG SET-ACTIVE-EXPIRE 1");
    until(|| expired(&mut client) == 1);
    for wrong in ["x", "2", "-1"] {
        let reply = client.run(&format!("DEBUG SET-ACTIVE-EXPIRE {wrong}"));
        assert!(reply.render().starts_with("(ERR"), "{wrong}");
    }
}

#[test]
fn scripts_may_call_more_once_it_says_so() {
    let server = server_for(Debugging::Yes);
    let mut client = Client::connect(server.address);
    let call = |client: &mut Client, call: &str| {
        let script = format!("return redis.pcall({call})");
        client.call(&["EVAL", &script, "0"]).render()
    };
    let refused = "not allowed from script";
    assert!(call(&mut client, "'CLIENT', 'GETNAME'").contains(refused));
    assert_eq!(
        client.run("DEBUG SET-DISABLE-DENY-SCRIPTS 1").render(),
        "OK"
    );
    client.run("CLIENT SETNAME own");
    assert_eq!(call(&mut client, "'CLIENT', 'GETNAME'"), "own");
    assert_eq!(call(&mut client, "'DEBUG', 'SLEEP', '3600'"), "OK");
    for steering in [
        "'MULTI'",
        "'SUBSCRIBE', 'news'",
        "'WATCH', 'k'",
        "'EVAL', 'return 1', 0",
    ] {
        let reply = call(&mut client, steering);
        assert!(reply.contains(refused), "{steering}: {reply}");
    }
    // What is only explained does nothing, so it may call no more than ever.
    let script = "redis.call('CLIENT', 'SETNAME', 'other')";
    client.call(&["SCRIPT", "EXPLAIN", script, "0"]);
    assert_eq!(client.run("CLIENT GETNAME").render(), "own");
    assert_eq!(
        client.run("DEBUG SET-DISABLE-DENY-SCRIPTS 0").render(),
        "OK"
    );
    assert!(call(&mut client, "'CLIENT', 'GETNAME'").contains(refused));
}

#[test]
fn small_things() {
    let server = server_for(Debugging::Yes);
    let mut client = Client::connect(server.address);
    for (line, expected) in [
        ("DEBUG ERROR NOPE", "(NOPE)"),
        ("DEBUG STRINGMATCH-LEN a*c abc", "1"),
        ("DEBUG STRINGMATCH-LEN a*d abc", "0"),
        (
            "DEBUG RELOAD",
            "(ERR DEBUG RELOAD is not supported: there is no persistence, nothing could be loaded \
             again)",
        ),
        (
            "DEBUG CHANGE-REPL-ID",
            "(ERR DEBUG CHANGE-REPL-ID is not supported: there is no replication)",
        ),
        (
            "DEBUG JMAP",
            "(ERR unknown subcommand 'JMAP'. Try DEBUG HELP.)",
        ),
        ("DEBUG OBJECT nothing", "(ERR no such key)"),
    ] {
        assert_eq!(client.run(line).render(), expected, "{line}");
    }
    let help = client.run("DEBUG HELP").elements();
    assert!(help.contains(&Reply::Status("PROTOCOL".into())));
    client.run("MULTI");
    client.run("DEBUG ERROR x");
    assert_eq!(client.run("EXEC").render(), "[(x)]");
}
