//! A panic inside a whole server: told in the log, and the end of one connection. The panic is a
//! fault on purpose, so these tests are in builds with `--cfg darter_faults` alone;
//! `tests/faults/run` runs them. What a panic may leave behind is tested in `src/session/tests.rs`.

#![cfg(darter_faults)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(dead_code, reason = "parts of what is shared are not needed here")]

#[path = "support/client.rs"]
mod client;
#[path = "support/process.rs"]
mod process;

use client::Client;
use process::Process;

const ERROR: &str = "(ERR internal error)";

fn start() -> Process {
    Process::start(&["--threads", "2"], &[("DARTER_FAULT", "LCS panics")])
}

#[test]
fn a_panic_is_told_in_the_log_and_counted() {
    let server = start();
    let mut victim = Client::connect(server.address);
    assert_eq!(victim.run("LCS a b").render(), ERROR);
    assert!(victim.is_at_end());
    let mut other = Client::connect(server.address);
    let stats = other.run("INFO stats").render();
    assert!(stats.contains("panics:1\\r"), "{stats}");
    let errors = other.run("INFO errorstats").render();
    assert!(errors.contains("errorstat_ERR:count=1"), "{errors}");
    while !server.log().contains("its connection is closed") {
        std::thread::yield_now();
    }
    let log = server.log();
    assert!(log.contains("on purpose"), "{log}");
    assert!(log.contains("darter::commands::lcs"), "a backtrace: {log}");
    assert!(log.contains("a panic in lcs"), "{log}");
}

#[test]
fn however_often_commands_and_scripts_panic_all_others_are_served() {
    let server = start();
    let mut bystanders: Vec<Client> = (0..8).map(|_| Client::connect(server.address)).collect();
    let script = "redis.call('SET', KEYS[1], 'half') return redis.pcall('LCS', KEYS[1], KEYS[1])";
    let exclusive = format!("#!lua flags=allow-undeclared-keys\n{script}");
    let ways: [&[&[&str]]; 4] = [
        &[&["LCS", "k", "k"]],
        &[
            &["MULTI"],
            &["SET", "k", "half"],
            &["LCS", "k", "k"],
            &["EXEC"],
        ],
        &[&["EVAL", script, "1", "k"]],
        &[&["EVAL", &exclusive, "1", "k"]],
    ];
    for round in 0..20 {
        for way in ways {
            let mut victim = Client::connect(server.address);
            let mut last = String::new();
            for command in way {
                last = victim.call(command).render();
            }
            assert_eq!(last, ERROR, "{way:?}");
            assert!(victim.is_at_end(), "{way:?}");
        }
        for (at, bystander) in bystanders.iter_mut().enumerate() {
            assert_eq!(bystander.run("EXISTS k").render(), "0");
            let key = format!("other{at}");
            assert_eq!(
                bystander.run(&format!("INCR {key}")).render(),
                (round + 1).to_string()
            );
        }
    }
    let info = bystanders[0].run("INFO everything").render();
    assert!(info.contains("panics:80\\r"), "{info}");
    assert!(info.contains("snapshots_held:0\\r"), "{info}");
    assert!(info.contains("connected_clients:8\\r"), "{info}");
}
