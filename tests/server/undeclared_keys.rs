//! Scripts with undeclared keys that leave others free to write.

use std::thread;

use darter::config::Config;

use crate::support::client::{Client, Reply, encode};
use crate::support::server::{Server, until};

const FLAG: &str = "#!lua flags=optimistic-undeclared-keys\n";
/// Allowed whatever keys it uses; the server's option says how it runs.
const ALLOWED: &str = "#!lua flags=allow-undeclared-keys\n";
const COUNT: &str = "local n = tonumber(redis.call('GET', 'counter') or 0) \
    local sum = 0 for i = 1, 50 do sum = sum + i end \
    return redis.call('SET', 'counter', n + 1)";
/// Whoever comes between the look at all keys and the write makes a name that is there already.
const NAME: &str = "local keys = redis.call('KEYS', 'name:*') \
    return redis.call('SET', 'name:' .. (#keys + 1), 'x', 'NX')";
/// The same with a read of a whole database, which nothing but the gate protects.
const SIZE: &str = "return redis.call('SET', 'name:' .. (redis.call('DBSIZE') + 1), 'x', 'NX')";

/// Runs a script without declared keys many times from several clients at once; each must reply OK.
fn run_at_once(server: &Server, body: &str, clients: usize, runs: usize) {
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut client = Client::connect(server.address);
                for _ in 0..runs {
                    assert_eq!(client.call(&["EVAL", body, "0"]).render(), "OK");
                }
            });
        }
    });
}

fn exclusive_runs(client: &mut Client) -> String {
    let info = client.run("INFO scripts").render();
    let line = info.split("exclusive:runs=").nth(1).unwrap_or_default();
    line.split(',').next().unwrap_or_default().to_owned()
}

/// A thread that keeps the gate from one script to the next lets go of it for whatever else it does.
#[test]
fn those_who_write_otherwise_come_between_exclusive_scripts() {
    const CLIENTS: usize = 6;
    const RUNS: usize = 60;
    for threads in [1, 2] {
        let server = Server::start_with(Config::new(16, threads));
        let script = format!("{ALLOWED}return redis.call('INCR', 'n')");
        let requests = [
            encode(&["EVAL", &script, "0"]),
            encode(&["EVAL", &script, "0"]),
            encode(&["INCR", "n"]),
            encode(&["EVAL", "return redis.call('INCR', KEYS[1])", "1", "n"]),
            encode(&["EVAL", &script, "0"]),
            encode(&["INCR", "n"]),
            encode(&["INCR", "n"]),
        ]
        .concat();
        let client = || {
            let mut client = Client::connect(server.address);
            let mut last = 0;
            for _ in 0..RUNS {
                client.send_bytes(&requests);
                for _ in 0..7 {
                    let Reply::Integer(number) = client.read() else {
                        panic!("no number");
                    };
                    assert!(number > last, "{number} after {last}");
                    last = number;
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(client);
            }
        });
        let mut client = Client::connect(server.address);
        let all = client.run("GET n").render();
        assert_eq!(all, format!("'{}'", CLIENTS * RUNS * 7));
    }
}

/// I1: undeclared keys are compared as declared ones are, ranges and absences too.
#[test]
fn i1_undeclared_keys_are_compared_at_the_commit() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    run_at_once(&server, &format!("{FLAG}{COUNT}"), 8, 250);
    assert_eq!(client.run("GET counter").render(), "'2000'");
    run_at_once(&server, &format!("{FLAG}{NAME}"), 4, 50);
    client.run("DEL counter");
    assert_eq!(client.run("DBSIZE").render(), "200");
    assert_eq!(exclusive_runs(&mut client), "0");
    let info = client.run("INFO scripts").render();
    assert!(info.contains("optimistic:runs=2200,errors=0"), "{info}");
}

/// I1: what cannot be compared key by key takes the gate by itself.
#[test]
fn i1_a_count_of_all_keys_in_an_optimistic_script_is_no_phantom() {
    let server = Server::start();
    run_at_once(&server, &format!("{FLAG}{SIZE}"), 4, 50);
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("DBSIZE").render(), "200");
    assert!(server.services.store.counts().exclusives >= 200);
}

#[test]
fn the_option_says_how_scripts_with_undeclared_keys_run_and_may_change() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let body = format!("{ALLOWED}{COUNT}");
    let config = |client: &mut Client| client.run("CONFIG GET undeclared_keys").elements();
    assert_eq!(config(&mut client)[1].render(), "exclusive");
    run_at_once(&server, &body, 1, 1);
    assert_eq!(exclusive_runs(&mut client), "1");
    assert_eq!(
        client.run("CONFIG SET undeclared_keys optimistic").render(),
        "OK"
    );
    assert_eq!(config(&mut client)[1].render(), "optimistic");
    run_at_once(&server, &body, 4, 100);
    assert_eq!(exclusive_runs(&mut client), "1");
    client.run("MULTI");
    client.call(&["EVAL", &body, "0"]);
    assert_eq!(client.run("EXEC").render(), "[OK]");
    let exclusives = server.services.store.counts().exclusives;
    assert_eq!(
        client.run("CONFIG SET undeclared_keys barrier").render(),
        "OK"
    );
    client.run("MULTI");
    client.call(&["EVAL", &body, "0"]);
    assert_eq!(client.run("EXEC").render(), "[OK]");
    assert_eq!(server.services.store.counts().exclusives, exclusives + 1);
    assert_eq!(client.run("GET counter").render(), "'403'");
    let refused = client.run("CONFIG SET undeclared_keys sometimes").render();
    assert!(
        refused.contains("must be 'exclusive' or 'optimistic'"),
        "{refused}"
    );
}

/// An exclusive script keeps writers out while it runs; this one does not.
#[test]
fn others_write_while_a_script_with_undeclared_keys_runs() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let endless = format!("{FLAG}redis.call('SET', 'mine', 1) while true do end");
    let mut runner = Client::connect(server.address);
    runner.send(&["EVAL", &endless, "0"]);
    until(|| server.services.clients.has_scripts());
    // Had the script the gate, one of these would wait for its end.
    for _ in 0..1_000 {
        assert_eq!(client.run("SET other 1").render(), "OK");
        assert_eq!(client.run("SET mine 2").render(), "OK");
    }
    while client.run("SCRIPT KILL").render() != "OK" {}
    assert!(matches!(runner.read(), Reply::Error(_)));
    assert_eq!(client.run("GET mine").render(), "'2'");
}

/// The flag alone allows undeclared keys, and goes with what does not change its meaning.
#[test]
fn the_flag_goes_with_others() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for (flags, body, expected) in [
        (
            "optimistic-undeclared-keys",
            "return redis.call('INCR', 'n')",
            "1",
        ),
        (
            "optimistic-undeclared-keys,allow-undeclared-keys",
            "return redis.call('INCR', 'n')",
            "2",
        ),
        (
            "optimistic-undeclared-keys,disable-atomicity",
            "return redis.call('INCR', 'n')",
            "3",
        ),
        (
            "optimistic-undeclared-keys,no-writes",
            "return redis.call('GET', 'n')",
            "'3'",
        ),
    ] {
        let body = format!("#!lua flags={flags}\n{body}");
        assert_eq!(
            client.call(&["EVAL", &body, "0"]).render(),
            expected,
            "{flags}"
        );
    }
    let raises = format!("{FLAG}redis.call('SET', 'n', 9) error('no')")
        .replace("keys\n", "keys,rollback-on-error\n");
    assert!(client.call(&["EVAL", &raises, "0"]).render().contains("no"));
    assert_eq!(client.run("GET n").render(), "'3'");
}

/// A script that has only read runs on a snapshot, without the gate, until it writes after all.
#[test]
fn what_has_only_read_runs_on_a_snapshot_until_it_writes() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let body = format!(
        "{ALLOWED}if redis.call('EXISTS', 'job') == 0 then return 0 end \
         redis.call('PUBLISH', 'taken', 'job') return redis.call('DEL', 'job')"
    );
    let run = |client: &mut Client| client.call(&["EVAL", &body, "0"]).render();
    let exclusives = || server.services.store.counts().exclusives;
    for _ in 0..10 {
        assert_eq!(run(&mut client), "0");
    }
    let learned = exclusives();
    assert!((1..10).contains(&learned), "{learned} of 10 took the gate");
    client.run("SET job 1");
    assert_eq!(run(&mut client), "1");
    assert_eq!(client.run("EXISTS job").render(), "0");
    assert_eq!(exclusives(), learned + 1, "what writes takes the gate");
    assert_eq!(run(&mut client), "0");
    assert_eq!(
        exclusives(),
        learned + 2,
        "and is not trusted again at once"
    );
    let info = client.run("INFO scripts").render();
    assert!(info.contains("errors=0"), "{info}");
}
