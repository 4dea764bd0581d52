//! Every command of Redis is here, or says why it is not.

use std::collections::BTreeSet;

use crate::support::check::{check, compare};
use crate::support::client::{Client, Reply};
use crate::support::redis::Redis;
use crate::support::server::Server;

/// What Redis 7.0 has and Darter refuses.
const ABSENT: &[&str] = &[
    // Nothing is kept on disk.
    "save",
    "bgsave",
    "bgrewriteaof",
    "lastsave",
    // There is no replication.
    "sync",
    "psync",
    "replconf",
    "failover",
    // Keys are not moved between servers.
    "migrate",
    "restore-asking",
    // There is one user.
    "acl|cat",
    "acl|deluser",
    "acl|dryrun",
    "acl|genpass",
    "acl|getuser",
    "acl|list",
    "acl|load",
    "acl|log",
    "acl|save",
    "acl|setuser",
    // There are no modules.
    "module|load",
    "module|loadex",
    "module|unload",
    // A cluster is this server alone.
    "cluster|addslots",
    "cluster|addslotsrange",
    "cluster|bumpepoch",
    "cluster|count-failure-reports",
    "cluster|delslots",
    "cluster|delslotsrange",
    "cluster|failover",
    "cluster|flushslots",
    "cluster|forget",
    "cluster|meet",
    "cluster|replicate",
    "cluster|reset",
    "cluster|saveconfig",
    "cluster|set-config-epoch",
    "cluster|setslot",
    // They test Redis itself.
    "pfdebug",
    "pfselftest",
];

/// What Redis 7.2 has besides.
const SINCE_7_2: &[&str] = &[
    "client|no-touch",
    "client|setinfo",
    "cluster|myshardid",
    "waitaof",
];

fn names(client: &mut Client) -> BTreeSet<String> {
    let names = client.run("COMMAND LIST").elements();
    let text = |name: Reply| match name {
        Reply::Bulk(name) => String::from_utf8(name).unwrap(),
        Reply::Status(name) => name,
        other => panic!("a name: {other:?}"),
    };
    names.into_iter().map(text).collect()
}

#[test]
fn every_command_of_redis_is_there_or_refused() {
    let Some(redis) = Redis::start() else { return };
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let (theirs, ours) = (names(&mut redis.client()), names(&mut client));
    let absent: BTreeSet<String> = ABSENT.iter().map(|name| (*name).into()).collect();
    let missing: Vec<_> = theirs.difference(&ours).cloned().collect();
    assert_eq!(missing, absent.into_iter().collect::<Vec<_>>());
    for name in SINCE_7_2 {
        assert!(ours.contains(*name), "{name}");
    }
}

#[test]
fn the_readme_names_what_is_refused() {
    let readme = include_str!("../../README.md");
    for name in ABSENT {
        let name = name.split('|').next().unwrap_or(name).to_uppercase();
        assert!(readme.contains(&name), "{name}");
    }
}

/// A call of a command with so many words as it takes at least.
fn call_of(name: &str, info: &Reply) -> Vec<String> {
    let Reply::Integer(arity) = info.clone().elements()[1] else {
        panic!("{name}: {info:?}")
    };
    let mut words: Vec<String> = name.split('|').map(str::to_uppercase).collect();
    words.resize(arity.unsigned_abs() as usize, "1".into());
    words
}

#[test]
fn what_is_refused_says_why() {
    let Some(redis) = Redis::start() else { return };
    let mut redis = redis.client();
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for name in ABSENT {
        let info = redis.call(&["COMMAND", "INFO", name]).elements().remove(0);
        let call = call_of(name, &info);
        let Reply::Error(error) = client.call(&call) else {
            panic!("{name} is taken")
        };
        let shown = call[..name.split('|').count()].join(" ");
        let is_told = error.starts_with(&format!("ERR {shown} is not supported: "))
            || name.starts_with("cluster|")
                && error == "ERR This instance has cluster support disabled";
        assert!(is_told, "{name}: {error}");
        if let Some((_, fewer @ [_, ..])) = call.split_last() {
            let too_few = client.call(fewer).render();
            assert!(
                too_few.contains("wrong number of arguments"),
                "{name}: {too_few}"
            );
        }
        let described = client.call(&["COMMAND", "INFO", name]);
        assert_eq!(described.elements(), [Reply::Null], "{name}");
        let documented = client.call(&["COMMAND", "DOCS", name]);
        assert!(documented.elements().is_empty(), "{name}");
    }
}

#[test]
fn what_is_refused_is_refused_everywhere() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let refused = "(ERR SAVE is not supported: nothing is kept on disk, the data is gone when the \
                   server stops)";
    assert_eq!(client.run("sAvE").render(), refused);
    client.run("MULTI");
    client.run("SET k v");
    assert_eq!(client.run("LASTSAVE").render(), "QUEUED");
    assert_eq!(
        client.run("EXEC").render(),
        format!("[OK {}]", refused.replace("SAVE", "LASTSAVE")),
        "the others are done"
    );
    // As in Redis.
    for name in ["SAVE", "SYNC", "PSYNC ? -1"] {
        client.run("MULTI");
        let error = client.run(name).render();
        assert_eq!(
            error, "(ERR Command not allowed inside a transaction)",
            "{name}"
        );
        client.run("DISCARD");
    }
    let reply = client.call(&["EVAL", "return redis.pcall('SAVE').err", "0"]);
    assert!(reply.render().contains("not allowed from script"));
}

#[test]
fn what_has_an_answer_gives_it() {
    compare(
        "ACL WHOAMI; ACL USERS; ACL FOO; ACL
        ACL WHOAMI x; ACL USERS x
        MODULE LIST; MODULE FOO; MODULE; MODULE LIST x
        ROLE; ROLE x
        REPLICAOF NO ONE; REPLICAOF no one; SLAVEOF NO ONE; REPLICAOF; REPLICAOF a; REPLICAOF a b c
        ASKING; READONLY; READWRITE; ASKING x; READONLY x; READWRITE x
        CLUSTER LINKS; CLUSTER GETKEYSINSLOT 1 1; CLUSTER REPLICAS x; CLUSTER SLAVES x
        CLUSTER MEET a 1; CLUSTER RESET; CLUSTER FAILOVER; CLUSTER FOO",
    );
    check(
        "REPLICAOF localhost 6379; SLAVEOF localhost 6379",
        "(ERR REPLICAOF is not supported: there is no replication); \
         (ERR SLAVEOF is not supported: there is no replication)",
    );
}

#[test]
fn a_cluster_of_one_answers_for_itself() {
    let mut config = darter::config::Config::new(16, 1);
    config.startup.emulates_cluster = true;
    let server = Server::start_with(config);
    let mut client = Client::connect(server.address);
    let id = client.run("CLUSTER MYID").render();
    assert_eq!(client.run("CLUSTER MYSHARDID").render(), id);
    client.run("MSET {t}a 1 {t}b 2 c 3");
    let slot = client.run("CLUSTER KEYSLOT t").render();
    let keys = |client: &mut Client, most: &str| {
        let reply = client.run(&format!("CLUSTER GETKEYSINSLOT {slot} {most}"));
        reply.elements().len()
    };
    assert_eq!(keys(&mut client, "10"), 2);
    assert_eq!(keys(&mut client, "1"), 1);
    assert_eq!(keys(&mut client, "0"), 0);
    for (line, expected) in [
        ("CLUSTER LINKS", "[]"),
        ("CLUSTER REPLICAS me", "[]"),
        ("CLUSTER SLAVES me", "[]"),
        ("CLUSTER REPLICAS other", "(ERR Unknown node other)"),
        (
            "CLUSTER GETKEYSINSLOT 1 -1",
            "(ERR Invalid slot or number of keys)",
        ),
        ("CLUSTER GETKEYSINSLOT 16384 1", "(ERR Invalid slot)"),
        ("ASKING", "OK"),
        ("READONLY", "OK"),
        ("READWRITE", "OK"),
        (
            "CLUSTER ADDSLOTS 1",
            "(ERR CLUSTER ADDSLOTS is not supported: the cluster is this server alone, with all \
             slots)",
        ),
    ] {
        let line = line.replace("me", id.trim_matches('\''));
        assert_eq!(client.run(&line).render(), expected, "{line}");
    }
}

#[test]
fn subcommands_are_listed_as_in_redis() {
    compare(
        "COMMAND LIST FILTERBY PATTERN xinfo|gr*
        COMMAND LIST FILTERBY PATTERN client|getn*
        COMMAND LIST FILTERBY PATTERN pubsub|shardn*
        COMMAND LIST FILTERBY PATTERN nothing|*
        COMMAND LIST FILTERBY MODULE nothing
        COMMAND LIST FILTERBY PATTERN
        COMMAND LIST x",
    );
}
