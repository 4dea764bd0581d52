//! INFO's own sections: each field moves when what it counts happens.

use std::collections::HashMap;

use crate::support::client::{Client, Reply};
use crate::support::info::section;
use crate::support::process::Process;
use crate::support::redis::Redis;
use crate::support::server::{Server, until};

fn number(fields: &HashMap<String, String>, name: &str) -> i64 {
    fields[name]
        .parse()
        .unwrap_or_else(|_| panic!("{name}:{}", fields[name]))
}

#[test]
fn what_dashboards_look_for_is_there() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("SET k v");
    client.run("GET k");
    client.run("GET missing");
    client.run("INCR k");
    let all = section(&mut client, "everything");
    assert!(all["redis_version"].starts_with("7.2"));
    for name in [
        "darter_version",
        "connected_clients",
        "used_memory",
        "role",
        "db0",
    ] {
        assert!(all.contains_key(name), "{name}");
    }
    assert_eq!(number(&all, "keyspace_hits"), 1);
    assert_eq!(number(&all, "keyspace_misses"), 1);
    assert!(
        all["cmdstat_get"].starts_with("calls=2,"),
        "{}",
        all["cmdstat_get"]
    );
    assert!(
        all["cmdstat_incr"].contains("failed_calls=1"),
        "{}",
        all["cmdstat_incr"]
    );
    assert_eq!(all["errorstat_ERR"], "count=1");
    assert!(all["db0"].starts_with("keys=1,expires=0"), "{}", all["db0"]);
    client.run("CONFIG RESETSTAT");
    let all = section(&mut client, "everything");
    assert!(!all.contains_key("cmdstat_get"));
}

#[test]
fn what_steers_transactions_counts_its_errors_as_in_redis() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for line in [
        "EXEC",
        "DISCARD",
        "MULTI",
        "MULTI",
        "WATCH a",
        "NONSENSE",
        "EXEC",
        "SNAPSHOT END",
    ] {
        client.run(line);
    }
    let all = section(&mut client, "everything");
    assert_eq!(all["errorstat_ERR"], "count=6");
    assert_eq!(all["errorstat_EXECABORT"], "count=1");
    for (name, failed) in [
        ("exec", 2),
        ("discard", 1),
        ("multi", 1),
        ("watch", 1),
        ("snapshot|end", 1),
    ] {
        let counts = &all[&format!("cmdstat_{name}")];
        assert!(
            counts.ends_with(&format!("failed_calls={failed}")),
            "{name}: {counts}"
        );
    }
}

#[test]
fn errors_on_the_connection_are_counted_in_exec_and_where_it_waits() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for line in [
        "MULTI",
        "AUTH nobody wrong",
        "SELECT 99",
        "FUNCTION LOAD nonsense",
        "UNWATCH",
        "EXEC",
    ] {
        client.run(line);
    }
    let mut waiting = Client::connect(server.address);
    for line in ["BLPOP a 0", "WAIT 1 0"] {
        let id = waiting.run("CLIENT ID").render();
        waiting.send(&line.split(' ').collect::<Vec<_>>());
        until(|| client.run(&format!("CLIENT UNBLOCK {id} ERROR")).render() == "1");
        assert!(waiting.read().render().starts_with("(UNBLOCKED "));
    }
    let all = section(&mut client, "everything");
    assert_eq!(all["errorstat_UNBLOCKED"], "count=2");
    assert!(all["cmdstat_unwatch"].starts_with("calls=1,"));
    for name in ["auth", "select", "function|load", "blpop", "wait"] {
        let counts = &all[&format!("cmdstat_{name}")];
        assert!(
            counts.starts_with("calls=1,") && counts.ends_with("failed_calls=1"),
            "{name}: {counts}"
        );
    }
}

#[test]
fn latencies_are_told_as_the_options_say() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("SET k v");
    client.call(&[
        "CONFIG",
        "SET",
        "latency-tracking-info-percentiles",
        "0 99.99",
    ]);
    let all = section(&mut client, "latencystats");
    let figures = &all["latency_percentiles_usec_set"];
    assert!(
        figures.starts_with("p0=") && figures.contains(",p99.99="),
        "{figures}"
    );
    client.run("CONFIG SET latency-tracking no");
    assert_eq!(section(&mut client, "latencystats").len(), 0);
}

/// Each once, whether the script catches it, returns it or raises it; figures of Redis 7.0.
#[test]
fn errors_of_scripts_are_counted_as_in_redis() {
    const SCRIPTS: &[&str] = &[
        "return redis.call('INCR', KEYS[1])",
        "return redis.pcall('INCR', KEYS[1])",
        "redis.pcall('LPUSH', KEYS[1], 1) return 1",
        "return redis.error_reply('MY bad')",
        "return {err='TWO bad'}",
        "error('boom')",
        "error({err='THREE x'})",
        "redis.pcall('GET') return redis.pcall('NONSENSE')",
    ];
    let expected = [
        ("errorstat_ERR", "count=5"),
        ("errorstat_MY", "count=1"),
        ("errorstat_TWO", "count=1"),
        ("errorstat_THREE", "count=1"),
        ("errorstat_WRONGTYPE", "count=1"),
        ("cmdstat_incr", "calls=2,rejected_calls=0,failed_calls=2"),
        ("cmdstat_lpush", "calls=1,rejected_calls=0,failed_calls=1"),
        ("cmdstat_get", "calls=0,rejected_calls=1,failed_calls=0"),
        ("cmdstat_eval", "calls=8,rejected_calls=0,failed_calls=7"),
    ];
    for flags in ["", "allow-undeclared-keys", "disable-atomicity"] {
        for in_multi in [false, true] {
            let server = Server::start();
            let mut client = Client::connect(server.address);
            client.run("SET s abc");
            for script in SCRIPTS {
                let body = format!("#!lua flags={flags}\n{script}");
                if in_multi {
                    client.run("MULTI");
                }
                client.call(&["EVAL", &body, "1", "s"]);
                if in_multi {
                    client.run("EXEC");
                }
            }
            let all = section(&mut client, "everything");
            let commands = if in_multi {
                12 + 2 * SCRIPTS.len() as i64
            } else {
                12
            };
            assert_eq!(number(&all, "total_commands_processed"), commands);
            for (name, counts) in expected {
                let told = all.get(name).map_or("", String::as_str);
                let counted = told.split(',').filter(|part| !part.starts_with("usec"));
                let counted = counted.collect::<Vec<_>>().join(",");
                assert_eq!(counted, counts, "{name}, flags {flags:?}, {in_multi}");
            }
        }
    }
}

/// What Redis tells of itself that is not so here, or that nobody counts.
const NOT_TOLD: &[&str] = &[
    "redis_git_sha1",
    "redis_git_dirty",
    "redis_build_id",
    "atomicvar_api",
    "gcc_version",
    "config_file",
    "client_recent_max_input_buffer",
    "client_recent_max_output_buffer",
    "clients_in_timeout_table",
    "allocator_allocated",
    "allocator_active",
    "allocator_resident",
    "allocator_frag_ratio",
    "allocator_frag_bytes",
    "allocator_rss_ratio",
    "allocator_rss_bytes",
    "rss_overhead_ratio",
    "rss_overhead_bytes",
    "used_memory_lua",
    "used_memory_lua_human",
    "used_memory_vm_eval",
    "used_memory_scripts_eval",
    "used_memory_vm_functions",
    "used_memory_vm_total",
    "used_memory_vm_total_human",
    "lazyfreed_objects",
    "rdb_last_save_time",
    "expired_stale_perc",
    "expired_time_cap_reached_count",
    "expire_cycle_cpu_milliseconds",
    "total_eviction_exceeded_time",
    "current_eviction_exceeded_time",
    "dump_payload_sanitizations",
    "total_reads_processed",
    "total_writes_processed",
    "reply_buffer_shrinks",
    "reply_buffer_expands",
    "master_replid",
    "master_replid2",
    "repl_backlog_size",
    "used_cpu_sys_main_thread",
    "used_cpu_user_main_thread",
];

#[test]
fn fields_have_the_names_of_redis() {
    let Some(redis) = Redis::start() else { return };
    let server = Server::start();
    let names = |mut client: Client| {
        client.run("SET k v");
        section(&mut client, "everything")
    };
    let (theirs, ours) = (
        names(redis.client()),
        names(Client::connect(server.address)),
    );
    let missing: Vec<_> = theirs
        .keys()
        .filter(|name| !ours.contains_key(*name))
        .collect();
    for name in &missing {
        let is_command = name.starts_with("cmdstat_") || name.starts_with("latency_percentiles");
        assert!(is_command || NOT_TOLD.contains(&name.as_str()), "{name}");
    }
    for name in NOT_TOLD {
        assert!(!ours.contains_key(*name), "{name} is told");
    }
    // Of a server that never saved anything, or that does none of it.
    for name in theirs.keys() {
        if ["rdb_", "aof_", "module_", "current_", "second_", "io_"]
            .iter()
            .any(|beginning| name.starts_with(beginning))
            && let Some(own) = ours.get(name)
            && name != "rdb_changes_since_last_save"
        {
            assert_eq!(own, &theirs[name], "{name}");
        }
    }
    let latency = &ours["latency_percentiles_usec_set"];
    assert!(
        latency.starts_with("p50=") && latency.contains(",p99.9="),
        "{latency}"
    );
}

#[test]
fn transactions_are_counted() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let before = section(&mut client, "transactions");
    client.run("SET k v");
    client.run("SET k w");
    server.services.force_conflict();
    client.run("INCR n");
    client.call(&["EVAL", "#!lua flags=allow-undeclared-keys\nreturn 1", "0"]);
    client.call(&["EVAL", "return redis.call('SET', KEYS[1], 1)", "1", "k"]);
    client.run("WATCH k");
    let after = section(&mut client, "transactions");
    let moved = |name: &str| number(&after, name) - number(&before, name);
    assert!(moved("commits") >= 3, "{after:?}");
    assert!(moved("retries") >= 1, "{after:?}");
    assert!(moved("snapshots_taken") >= 1, "{after:?}");
    assert_eq!(moved("gate_closings"), 1);
    assert_eq!(moved("snapshots_held"), 1);
    assert!(moved("versions_live") >= 2, "{after:?}");
    assert!(moved("versions_freed") >= 1, "{after:?}");
    client.run("UNWATCH");
    assert_eq!(
        number(&section(&mut client, "transactions"), "snapshots_held"),
        0
    );
}

#[test]
fn scripts_are_counted_by_mode() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.call(&["EVAL", "return 1", "0"]);
    client.call(&["EVAL", "error('x')", "0"]);
    client.call(&["EVAL", "#!lua flags=allow-undeclared-keys\nreturn 1", "0"]);
    client.call(&["EVAL", "#!lua flags=disable-atomicity\nreturn 1", "0"]);
    client.call(&["EVAL_RO", "return 1", "0"]);
    let scripts = section(&mut client, "scripts");
    assert!(scripts["optimistic"].starts_with("runs=2,errors=1,kills=0,limits=0,usec="));
    for mode in ["exclusive", "direct", "snapshot"] {
        assert!(
            scripts[mode].starts_with("runs=1,errors=0"),
            "{mode}: {}",
            scripts[mode]
        );
    }
}

#[test]
fn command_describes_every_command() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let Reply::Integer(count) = client.run("COMMAND COUNT") else {
        panic!("a number")
    };
    assert_eq!(client.run("COMMAND").elements().len() as i64, count);
    let named = client.run("COMMAND LIST").elements();
    let named: Vec<_> = named.iter().map(Reply::render).collect();
    let containing = named.iter().filter(|name| !name.contains('|'));
    assert_eq!(containing.count() as i64, count);
    assert!(named.iter().any(|name| name.contains("config|get")));
    assert!(!named.iter().any(|name| name == "save"), "it is refused");
    assert_eq!(
        client.run("COMMAND INFO save acl|setuser").render(),
        "[nil nil]"
    );
    let info = client.run("COMMAND INFO get nonsense").elements();
    assert_eq!(info[0].clone().elements()[0].render(), "get");
    assert_eq!(info[1], Reply::Null);
    assert_eq!(client.run("COMMAND GETKEYS MSET a 1 b 2").render(), "[a b]");
    assert_eq!(
        client.run("COMMAND GETKEYS EVAL x 2 a b c").render(),
        "[a b]"
    );
    let docs = client.run("COMMAND DOCS get").render();
    assert!(docs.contains("summary"), "{docs}");
}

#[test]
fn info_counts_what_was_refused_apart() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("PING");
    client.run("NONSENSE");
    client.run("GET");
    client.run("CONFIG GET");
    let all = section(&mut client, "commandstats");
    assert!(all["cmdstat_ping"].starts_with("calls=1,"), "{all:?}");
    assert!(
        all["cmdstat_ping"].ends_with("failed_calls=0"),
        "a refused request is nobody's failure: {all:?}"
    );
    for name in ["cmdstat_get", "cmdstat_config|get"] {
        assert!(all[name].starts_with("calls=0,"), "{name}: {all:?}");
        assert!(all[name].contains("rejected_calls=1"), "{name}: {all:?}");
    }
}

#[test]
fn memory_adds_up() {
    let process = Process::start(&[], &[]);
    let mut client = Client::connect(process.address);
    let memory = section(&mut client, "memory");
    let of = |name: &str| number(&memory, name);
    assert!(of("used_memory") > 0 && of("used_memory_startup") > 0);
    assert!(of("used_memory_peak") >= of("used_memory"));
    assert!(of("used_memory_dataset") <= of("used_memory"));
    assert!(of("mem_clients_normal") < 1024);
}

#[test]
fn blocking_keys_and_the_run_are_told() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut blocked = Client::connect(server.address);
    let run_id = section(&mut client, "server")["run_id"].clone();
    assert_eq!(run_id.len(), 40);
    assert_eq!(section(&mut client, "server")["run_id"], run_id);
    blocked.send(&["BLPOP", "a", "b", "0"]);
    while server.services.waiters.is_empty() {
        std::thread::yield_now();
    }
    let mut told = || {
        let clients = section(&mut client, "clients");
        let keys = &clients["total_blocking_keys"];
        format!("{keys} {}", clients["total_blocking_keys_on_nokey"])
    };
    assert_eq!(told(), "2 0");
    let mut other = Client::connect(server.address);
    other.run("RPUSH a x");
    assert_eq!(blocked.read().render(), "[a x]");
    assert_eq!(told(), "0 0");
    other.run("XGROUP CREATE s g $ MKSTREAM");
    let line = "XREADGROUP GROUP g c BLOCK 0 STREAMS s >";
    blocked.send(&line.split(' ').collect::<Vec<_>>());
    while server.services.waiters.is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(told(), "1 1");
}
