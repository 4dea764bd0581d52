//! Scripts that are ended at any moment, by anybody and anything, many thousand times: of none there
//! is ever a part.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use fastrand::Rng;

use crate::support::client::{Client, Reply};
use crate::support::info::number;
use crate::support::server::{Server, until};

const CLIENTS: u64 = 8;
/// Each group has three keys, which are always changed together.
const GROUPS: u64 = 4;

/// What a script does after it has changed two keys of its group, and before the third.
const MIDDLES: &[(&str, u32)] = &[
    ("", 4),
    (
        "for i = 1, tonumber(ARGV[2]) do local s = ('x'):rep(i % 100) end",
        8,
    ),
    (
        "for i = 1, tonumber(ARGV[2]) do redis.call('GET', KEYS[1]) end",
        4,
    ),
    ("while true do end", 1),
    ("while true do pcall(redis.call, 'INCR', KEYS[3]) end", 1),
    (
        "local t = {} while true do t[#t + 1] = ('x'):rep(10000) .. #t end",
        2,
    ),
    (
        "while true do pcall(function() local s = 'x' while true do s = s .. s end end) end",
        1,
    ),
    (
        "while true do redis.log(redis.LOG_DEBUG, ('x'):rep(100000)) end",
        1,
    ),
    ("error('on purpose')", 4),
];
const HEADERS: [&str; 3] = ["", ",allow-undeclared-keys", ",optimistic-undeclared-keys"];

fn script(rng: &mut Rng) -> String {
    let total: u32 = MIDDLES.iter().map(|(_, weight)| weight).sum();
    let mut at = rng.u32(..total);
    let middle = MIDDLES.iter().find(|(_, weight)| {
        let is_it = at < *weight;
        at = at.wrapping_sub(*weight);
        is_it
    });
    let (middle, _) = middle.unwrap();
    let header = HEADERS[rng.usize(..HEADERS.len())];
    format!(
        "#!lua flags=rollback-on-error{header}\n\
         redis.call('SET', KEYS[1], ARGV[1]) redis.call('RPUSH', KEYS[2], ARGV[1])\n\
         redis.call('LTRIM', KEYS[2], -1, -1) {middle}\n\
         return redis.call('HSET', KEYS[3], 'f', ARGV[1])"
    )
}

fn keys(group: u64) -> [String; 3] {
    ["string", "list", "hash"].map(|kind| format!("{kind}:{group}"))
}

/// How a run ended, as its client sees it.
fn was_ended(reply: &Reply) -> bool {
    let text = reply.render();
    match reply {
        Reply::Integer(_) => false,
        Reply::Error(_) if text.contains("on purpose") => true,
        Reply::Error(_) => {
            assert!(text.contains("Nothing of it has happened"), "{text}");
            true
        }
        other => panic!("{other:?}"),
    }
}

fn run_scripts(server: &Server, seed: u64, ended: &AtomicU64, wanted: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut client = Client::connect(server.address);
    while ended.load(Ordering::SeqCst) < wanted {
        let group = rng.u64(..GROUPS);
        let [string, list, hash] = keys(group);
        let value = rng.u64(..).to_string();
        let rounds = rng.u32(..3_000).to_string();
        let body = script(&mut rng);
        let reply = client.call(&["EVAL", &body, "3", &string, &list, &hash, &value, &rounds]);
        if was_ended(&reply) {
            ended.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// The three keys of a group, read at one moment, say the same.
fn check(client: &mut Client, group: u64) {
    const READ: &str = "return {redis.call('GET', KEYS[1]), redis.call('LINDEX', KEYS[2], 0), \
        redis.call('LLEN', KEYS[2]), redis.call('HGET', KEYS[3], 'f')}";
    let [string, list, hash] = keys(group);
    let read = loop {
        match client.call(&["EVAL_RO", READ, "3", &string, &list, &hash]) {
            // It was ended like any other.
            Reply::Error(text) => assert!(text.contains("Nothing of it has happened"), "{text}"),
            read => break read.elements(),
        }
    };
    let texts: Vec<String> = read.iter().map(Reply::render).collect();
    assert!(
        texts[0] == texts[1] && texts[1] == texts[3],
        "a part of a script: {texts:?}"
    );
    assert!(["0", "1"].contains(&&*texts[2]), "{texts:?}");
}

/// KILLS says how many runs are to be ended, SEED which they are.
#[test]
fn of_scripts_that_are_ended_at_any_moment_there_is_never_a_part() {
    let from_environment = |name: &str, otherwise: u64| {
        std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
    };
    let (wanted, seed) = (
        from_environment("KILLS", 10_000),
        from_environment("SEED", 1),
    );
    println!("SEED={seed} KILLS={wanted}");
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for line in ["lua-kill-limit 3", "lua-memory-limit 2mb"] {
        assert_eq!(client.run(&format!("CONFIG SET {line}")).render(), "OK");
    }
    // What is kept for the next time is there once some have run.
    run_scripts(&server, seed, &AtomicU64::new(0), 200);
    client.run("FLUSHALL");
    client.run("SCRIPT FLUSH");
    let before = number(&mut client, "used_memory");
    let (ended, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let (server, ended, is_over) = (&server, &ended, &is_over);
        let runners: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(move || run_scripts(server, seed + number, ended, wanted)))
            .collect();
        scope.spawn(move || {
            let mut client = Client::connect(server.address);
            while !is_over.load(Ordering::SeqCst) {
                client.run("SCRIPT KILL");
                (0..GROUPS).for_each(|group| check(&mut client, group));
            }
        });
        for runner in runners {
            runner.join().unwrap();
        }
        is_over.store(true, Ordering::SeqCst);
    });
    (0..GROUPS).for_each(|group| check(&mut client, group));
    assert!(!server.services.clients.has_scripts());
    // Each thread still serves.
    for _ in 0..8 {
        assert_eq!(Client::connect(server.address).run("PING").render(), "PONG");
    }
    client.run("FLUSHALL");
    client.run("SCRIPT FLUSH");
    until(|| number(&mut client, "used_memory") <= before + before / 20);
    assert_eq!(server.services.store.snapshots_held().0, 0);
}
