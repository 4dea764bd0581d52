//! SCRIPT EXPLAIN: it tells what a script would do, and does nothing.

use std::collections::HashMap;

use crate::support::client::{Client, Reply, fields};
use crate::support::server::{Server, until};

const INCREMENT: &str = "return redis.call('INCR', KEYS[1])";

fn explain(client: &mut Client, body: &str, keys: &[&str]) -> HashMap<String, Reply> {
    let count = keys.len().to_string();
    let mut all = vec!["SCRIPT", "EXPLAIN", body, &count];
    all.extend(keys);
    fields(client.call(&all))
}

fn advice(fields: &HashMap<String, Reply>) -> String {
    fields["advice"].render()
}

#[test]
fn nothing_happens_but_everything_is_told() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("SET n 5");
    client.run("SET from x");
    let body = "redis.call('INCR', KEYS[1])\n\
                redis.call('SET', 'made', redis.call('GET', 'from'))\n\
                redis.call('PUBLISH', 'news', 'rain')\n\
                redis.log(redis.LOG_WARNING, 'a line')\n\
                return {redis.call('GET', KEYS[1]), 7}";
    let all = explain(&mut client, body, &["n"]);
    assert_eq!(all["result"].render(), "['6' 7]");
    assert_eq!(all["mode"].render(), "optimistic");
    assert_eq!(all["flags"].render(), "[]");
    assert_eq!(all["flags_from"].render(), "default");
    assert_eq!(all["keys_read"].render(), "[[n 1] [from 0]]");
    assert_eq!(all["keys_written"].render(), "[[n 1] [made 0]]");
    let commands = fields(all["commands"].clone());
    assert_eq!(commands["GET"].render(), "2");
    assert_eq!(commands["SET"].render(), "1");
    let effects = fields(all["effects"].clone());
    assert_eq!(effects["messages"].render(), "[[news rain]]");
    assert_eq!(effects["log"].render(), "['a line']");
    let said = advice(&all);
    let keys = "undeclared keys: from, made.";
    assert!(
        said.contains(keys) && said.contains("SCRIPT FLAGS"),
        "{said}"
    );
    assert_eq!(client.run("GET n").render(), "'5'");
    assert_eq!(client.run("EXISTS made").render(), "0");
    let runs = crate::support::info::section(&mut client, "scripts");
    assert!(runs["optimistic"].starts_with("runs=0,"), "{runs:?}");
}

#[test]
fn the_mode_is_the_one_that_a_run_would_have() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let read = "return redis.call('GET', KEYS[1])";
    for (flags, body, mode, says) in [
        ("no-writes", read, "snapshot", ""),
        ("", read, "optimistic", "no-writes would hold"),
        (
            "allow-undeclared-keys",
            INCREMENT,
            "exclusive",
            "allow-undeclared-keys was not needed",
        ),
        ("disable-atomicity", INCREMENT, "direct", ""),
        (
            "",
            "return redis.pcall('FLUSHALL').err",
            "exclusive",
            "FLUSHALL was not run",
        ),
    ] {
        let body = format!("#!lua flags={flags}\n{body}");
        let all = explain(&mut client, &body, &["n"]);
        assert_eq!(all["mode"].render(), mode, "{body}");
        assert_eq!(all["flags_from"].render(), "header", "{body}");
        let said = advice(&all);
        assert_eq!(says.is_empty(), said == "[]", "{body}: {said}");
        assert!(said.contains(says), "{body}: {said}");
    }
    assert_eq!(client.run("DBSIZE").render(), "0");
}

#[test]
fn an_error_is_a_text_within_the_map() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("SET s text");
    let all = explain(&mut client, INCREMENT, &["s"]);
    let result = all["result"].render();
    assert!(
        result.starts_with("'ERR value is not an integer"),
        "{result}"
    );
    assert!(matches!(all["result"], Reply::Bulk(_)));
    client.run("HELLO 3");
    let all = client.call(&[
        "SCRIPT",
        "EXPLAIN",
        "return redis.error_reply('MY own')",
        "0",
    ]);
    assert!(matches!(all, Reply::Map(_)));
    assert_eq!(fields(all)["result"].render(), "'MY own'");
}

#[test]
fn a_script_is_explained_by_its_sha_and_known_afterwards() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let sha = client.call(&["SCRIPT", "LOAD", INCREMENT]).render();
    let all = fields(client.call(&["SCRIPT", "EXPLAINSHA", &sha, "1", "n"]));
    assert_eq!(all["result"].render(), "1");
    assert_eq!(client.run("EXISTS n").render(), "0");
    let unknown = "0".repeat(40);
    let refused = client.call(&["SCRIPT", "EXPLAINSHA", &unknown, "0"]);
    let expected = "(NOSCRIPT No matching script. Please use EVAL.)";
    assert_eq!(refused.render(), expected);
    let refused = client
        .call(&["SCRIPT", "EXPLAIN", "return 1", "x"])
        .render();
    assert_eq!(refused, "(ERR value is not an integer or out of range)");
}

#[test]
fn it_is_for_neither_transactions_nor_scripts() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("MULTI");
    let refused = client
        .call(&["SCRIPT", "EXPLAIN", "return 1", "0"])
        .render();
    assert_eq!(refused, "(ERR Command not allowed inside a transaction)");
    client.run("DISCARD");
    let body = "return redis.call('SCRIPT', 'EXPLAIN', 'return 1', 0)";
    let refused = client.call(&["EVAL", body, "0"]).render();
    assert!(refused.contains("not allowed from script"), "{refused}");
}

#[test]
fn a_long_one_lets_others_in_and_is_ended_like_any_script() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut other = Client::connect(server.address);
    client.send(&["SCRIPT", "EXPLAIN", "while true do end", "0"]);
    until(|| server.services.clients.has_scripts());
    assert_eq!(other.run("SET k v").render(), "OK");
    assert_eq!(other.run("SCRIPT KILL").render(), "OK");
    let ended = client.read().render();
    assert!(ended.contains("killed by user"), "{ended}");
    assert_eq!(client.run("PING").render(), "PONG");
}

/// Whichever flag allows undeclared keys, a run is not refused for them.
#[test]
fn what_the_flags_allow_is_not_said_to_be_refused() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for (flags, is_refused) in [
        ("", true),
        ("allow-undeclared-keys", false),
        ("optimistic-undeclared-keys", false),
    ] {
        let body = format!("#!lua flags={flags}\nreturn redis.call('INCR', 'other')");
        let said = advice(&explain(&mut client, &body, &["n"]));
        assert_eq!(
            said.contains("would be refused"),
            is_refused,
            "{flags}: {said}"
        );
    }
}
