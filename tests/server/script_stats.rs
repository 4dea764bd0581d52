//! SCRIPT STATS, LATENCY, SHOW, GC, DEBUG, and which scripts are kept.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use crate::support::client::{Client, Reply, fields};
use crate::support::info::section;
use crate::support::server::{Server, until};

const INCREMENT: &str = "return redis.call('INCR', KEYS[1])";

fn number(fields: &HashMap<String, Reply>, name: &str) -> i64 {
    match fields[name] {
        Reply::Integer(number) => number,
        ref other => panic!("{name}: {other:?}"),
    }
}

fn sha_of(body: &str) -> String {
    String::from_utf8(darter::script::cache::sha_of(body.as_bytes()).to_vec()).unwrap()
}

fn stats(client: &mut Client, body: &str) -> HashMap<String, Reply> {
    fields(client.call(&["SCRIPT", "STATS", &sha_of(body)]))
}

#[test]
fn runs_and_errors_are_counted_by_script() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("SET s text");
    for key in ["n", "n", "s"] {
        client.call(&["EVAL", INCREMENT, "1", key]);
    }
    client.call(&["EVAL", "return 1", "0"]);
    client.run("MULTI");
    client.call(&["EVAL", INCREMENT, "1", "n"]);
    client.run("EXEC");
    let own = stats(&mut client, INCREMENT);
    assert_eq!(own["sha"].render(), sha_of(INCREMENT));
    assert_eq!((number(&own, "runs"), number(&own, "errors")), (4, 1));
    assert_eq!(number(&own, "retries"), 0);
    assert!(number(&own, "memory_bytes_max") > 0);
    assert!(number(&own, "p50_us") <= number(&own, "p99_us"));
    assert!(number(&own, "p99_us") <= number(&own, "max_us"));
    let all = client.run("SCRIPT STATS").elements();
    assert_eq!(all.len(), 2);
    let times: Vec<i64> = all
        .into_iter()
        .map(|own| number(&fields(own), "total_us"))
        .collect();
    assert!(times[0] >= times[1], "what took most time comes first");
    let info = section(&mut client, "scripts");
    let line = &info[&format!("script_{}", sha_of(INCREMENT))];
    assert!(line.starts_with("runs=4,errors=1,kills=0,"), "{line}");
    client.run("CONFIG RESETSTAT");
    assert!(client.run("SCRIPT STATS").elements().is_empty());
    let none = client
        .call(&["SCRIPT", "STATS", &sha_of(INCREMENT)])
        .render();
    assert_eq!(none, "(ERR No run of this script was counted)");
}

#[test]
fn a_kill_and_the_slices_before_it_are_counted() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut other = Client::connect(server.address);
    let body = "while true do end";
    client.send(&["EVAL", body, "0"]);
    until(|| server.services.clients.has_scripts());
    // It has been told to end before its slice has, so there is one slice at least.
    assert_eq!(other.run("SCRIPT KILL").render(), "OK");
    client.read();
    let own = stats(&mut other, body);
    assert_eq!((number(&own, "runs"), number(&own, "kills")), (1, 1));
    assert_eq!(number(&own, "errors"), 1);
    let count = "for i = 1, 20000000 do end";
    client.call(&["EVAL", count, "0"]);
    assert!(number(&stats(&mut other, count), "preemptions") > 0);
}

#[test]
fn a_retry_names_the_key_that_it_lost_on() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut other = Client::connect(server.address);
    let body = "local n = tonumber(redis.call('GET', KEYS[1]) or 0)\n\
                for i = 1, 20000000 do n = n + i - i end\n\
                redis.call('SET', KEYS[1], n + 1)\n\
                return redis.call('INCR', KEYS[2])";
    client.send(&["EVAL", body, "2", "hot", "also"]);
    let suspended = &server.services.suspended_scripts;
    until(|| suspended.load(Ordering::Relaxed) > 0);
    other.run("SET hot 10");
    assert_eq!(client.read().render(), "1");
    let own = stats(&mut client, body);
    assert_eq!(number(&own, "runs"), 1);
    assert_eq!(client.run("GET hot").render(), "'11'");
    let retries = number(&own, "retries");
    assert!(retries > 0, "the script had read the key before");
    let conflicts = own["conflicts"].clone().elements();
    let named: i64 = conflicts
        .iter()
        .map(|pair| match pair.clone().elements()[1] {
            Reply::Integer(count) => count,
            ref other => panic!("{other:?}"),
        })
        .sum();
    assert!(named > 0 && named <= retries, "{conflicts:?}");
    let key = conflicts[0].clone().elements()[0].render();
    assert_eq!(key, "hot");
}

#[test]
fn time_with_the_gate_closed_is_counted() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let body = "#!lua flags=allow-undeclared-keys\n\
                for i = 1, 100000 do end return redis.call('INCR', 'n')";
    client.call(&["EVAL", body, "0"]);
    let own = stats(&mut client, body);
    assert!(number(&own, "gate_us") > 0);
    assert!(number(&own, "gate_us") <= number(&own, "total_us"));
}

#[test]
fn latencies_are_texts_for_people() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.call(&["EVAL", INCREMENT, "1", "n"]);
    let all = client.run("SCRIPT LATENCY").elements();
    let pair = all[0].clone().elements();
    assert_eq!(pair[0].render(), sha_of(INCREMENT));
    let text = pair[1].render();
    assert!(text.starts_with("'Count: 1 Average: "), "{text}");
}

#[test]
fn a_body_is_shown_by_its_sha() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.call(&["EVAL", "return 5", "0"]);
    let sha = sha_of("return 5");
    assert_eq!(
        client.call(&["SCRIPT", "SHOW", &sha]).render(),
        "'return 5'"
    );
    client.run("SCRIPT FLUSH");
    let gone = client.call(&["SCRIPT", "SHOW", &sha]).render();
    assert_eq!(gone, "(NOSCRIPT No matching script. Please use EVAL.)");
}

#[test]
fn interpreters_are_dropped_and_made_again() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.call(&["EVAL", INCREMENT, "1", "n"]);
    assert_eq!(client.run("SCRIPT GC").render(), "OK");
    assert_eq!(client.call(&["EVAL", INCREMENT, "1", "n"]).render(), "2");
}

#[test]
fn the_debugger_is_refused_by_name_and_help_knows_all() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let refused = client.run("SCRIPT DEBUG YES").render();
    assert!(refused.contains("no line debugger"), "{refused}");
    let help = client.run("SCRIPT HELP").render().to_ascii_uppercase();
    for name in [
        "LOAD",
        "EXISTS",
        "FLUSH",
        "KILL",
        "LIST",
        "FLAGS",
        "EXPLAIN",
        "EXPLAINSHA",
        "STATS",
        "LATENCY",
        "SHOW",
        "GC",
        "DEBUG",
    ] {
        assert!(help.contains(name), "{name}");
    }
}

#[test]
fn scripts_that_came_by_eval_make_room_for_others() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let loaded = client.call(&["SCRIPT", "LOAD", "return 'kept'"]).render();
    client.call(&["EVAL", "return 'first'", "0"]);
    for number in 0..500 {
        client.call(&["EVAL", &format!("return {number}"), "0"]);
    }
    let first = sha_of("return 'first'");
    let exist = client.call(&["SCRIPT", "EXISTS", &loaded, &first]).render();
    assert_eq!(exist, "[1 0]");
    let all = section(&mut client, "everything");
    assert_eq!(all["evicted_scripts"], "1");
    assert_eq!(all["number_of_cached_scripts"], "501");
}
