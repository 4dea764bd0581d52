//! MEMORY beside USAGE: figures of the whole server.

use std::collections::{BTreeSet, HashMap};

use crate::support::check::{check, compare};
use crate::support::client::{Client, Reply, fields};
use crate::support::process::Process;
use crate::support::redis::Redis;
use crate::support::server::Server;

fn client(server: &Server) -> Client {
    Client::connect(server.address)
}

#[test]
fn wrong_arguments_are_named_as_in_redis() {
    compare(
        "MEMORY; MEMORY FOO; MEMORY STATS x; MEMORY DOCTOR x; MEMORY PURGE x; MEMORY MALLOC-STATS x
        MEMORY PURGE; MULTI; MEMORY PURGE; EXEC",
    );
    check("MEMORY PURGE; MEMORY purge", "OK; OK");
}

/// What Redis tells that means nothing here.
const WITHOUT_MEANING: &[&str] = &[
    "replication.backlog",
    "clients.slaves",
    "cluster.links",
    "aof.buffer",
    "allocator.allocated",
    "allocator.active",
    "allocator.resident",
    "allocator-fragmentation.ratio",
    "allocator-fragmentation.bytes",
    "allocator-rss.ratio",
    "allocator-rss.bytes",
    "rss-overhead.ratio",
    "rss-overhead.bytes",
];

#[test]
fn figures_have_the_names_of_redis() {
    let Some(redis) = Redis::start() else { return };
    let server = Server::start();
    let names = |mut client: Client| -> BTreeSet<String> {
        fields(client.run("MEMORY STATS")).into_keys().collect()
    };
    let mut theirs = names(redis.client());
    for name in WITHOUT_MEANING {
        assert!(theirs.remove(*name), "{name}");
    }
    assert_eq!(names(client(&server)), theirs);
}

fn figure(figures: &HashMap<String, Reply>, name: &str) -> f64 {
    match &figures[name] {
        Reply::Integer(value) => *value as f64,
        Reply::Double(text) => text.parse().unwrap(),
        Reply::Bulk(text) => std::str::from_utf8(text).unwrap().parse().unwrap(),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn figures_fit_together() {
    let server = Server::start();
    let mut client = client(&server);
    for hello in ["HELLO 2", "HELLO 3"] {
        client.run(hello);
        client.run("FLUSHALL");
        client.run("MSET a 1 b 2 c 3");
        client.run("SELECT 3");
        client.run("SET d 4");
        client.call(&["SCRIPT", "LOAD", "return 1"]);
        let figures = fields(client.run("MEMORY STATS"));
        let at = |name| figure(&figures, name);
        assert_eq!(at("keys.count"), 4.0, "of all databases");
        assert!(at("lua.caches") > 0.0);
        assert!(at("peak.allocated") >= at("total.allocated"));
        let sum = at("startup.allocated")
            + at("clients.normal")
            + at("lua.caches")
            + at("functions.caches");
        assert_eq!(at("overhead.total"), sum);
        let rest = (at("total.allocated") - at("overhead.total")).max(0.0);
        assert_eq!(at("dataset.bytes"), rest);
        for name in ["dataset.percentage", "peak.percentage"] {
            assert!((0.0..=100.0).contains(&at(name)), "{name}: {}", at(name));
        }
        client.run("SELECT 0");
    }
}

#[test]
fn reports_are_texts() {
    // With the allocator that a server has.
    let process = Process::start(&[], &[]);
    let mut client = Client::connect(process.address);
    for hello in ["HELLO 2", "HELLO 3"] {
        client.run(hello);
        for line in ["MEMORY DOCTOR", "MEMORY MALLOC-STATS"] {
            let Reply::Bulk(text) = client.run(line) else {
                panic!("{line}: a text")
            };
            assert!(text.len() > 20, "{line}");
            assert!(String::from_utf8(text).is_ok(), "{line}");
        }
    }
}
