//! The gallery of hostile scripts in every mode: each is bounded, its client and all others are served
//! on, nothing of it stays, and the next script finds everything as it should be.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Client, Reply};
use crate::support::gallery::{GALLERY, Hostile, Outcome};
use crate::support::info::number;
use crate::support::server::{Server, until};

const KILL_LIMIT_MS: u64 = 40;
/// Nobody waits longer, however busy this machine is with other tests.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A reply of a few thousand levels is read level by level.
const STACK_BYTES: usize = 64 << 20;

const MODES: &[(&str, bool)] = &[
    ("", true),
    ("allow-undeclared-keys", true),
    ("optimistic-undeclared-keys", true),
    ("no-writes", true),
    ("disable-atomicity", false),
];

/// What a script must find, whatever ran before: its own variables, tables and functions.
const PROBE: &str = "local all = {} \
    for _, name in ipairs({'call', 'pcall', 'log'}) do all[#all + 1] = type(redis[name]) end \
    for _, name in ipairs({'format', 'rep', 'find'}) do all[#all + 1] = type(string[name]) end \
    all[#all + 1] = tostring(rawget(_G, 'leaked')) all[#all + 1] = ('x'):rep(3) \
    all[#all + 1] = tostring(#KEYS) all[#all + 1] = tostring(coroutine.running()):sub(1, 6) \
    return table.concat(all, ' ')";
const PROBED: &str = "'function function function function function function nil xxx 0 thread'";

fn run(client: &mut Client, flags: &str, hostile: &Hostile) -> Reply {
    let writes = if flags == "no-writes" {
        ""
    } else {
        "redis.call('SET', KEYS[1], 'x') "
    };
    // The first line of a script is its header's own.
    let body = format!("#!lua flags={flags}\n{writes}{}", hostile.body);
    client.call(&["EVAL", &body, "1", "k"])
}

fn judge(hostile: &Hostile, reply: &Reply) -> Result<(), String> {
    let text = reply.render();
    let was_ended = text.contains("lua-kill-limit") || text.contains("lua-memory-limit");
    let is_as_told = match hostile.outcome {
        Outcome::Ended => was_ended,
        // What it takes to come so far may be more than it gets here.
        Outcome::Raises(part) => {
            matches!(reply, Reply::Error(_)) && (text.contains(part) || was_ended)
        }
        Outcome::Returns(expected) => text == expected,
        Outcome::Stops => true,
    };
    is_as_told.then_some(()).ok_or(text)
}

/// How long another client waits at most, while `work` is done.
fn slowest_ping(server: &Server, work: impl FnOnce()) -> Duration {
    let (address, has_ended) = (server.address, std::sync::atomic::AtomicBool::new(false));
    thread::scope(|scope| {
        let pings = scope.spawn(|| {
            let (mut client, mut slowest) = (Client::connect(address), Duration::ZERO);
            while !has_ended.load(std::sync::atomic::Ordering::SeqCst) {
                let begin = Instant::now();
                client.run("PING");
                slowest = slowest.max(begin.elapsed());
            }
            slowest
        });
        work();
        has_ended.store(true, std::sync::atomic::Ordering::SeqCst);
        pings.join().unwrap()
    })
}

fn run_gallery(flags: &str, is_atomic: bool) {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("CONFIG SET lua-kill-limit 5");
    client.run("CONFIG SET lua-memory-limit 16mb");
    client.run("SET other before");
    // Once, so that what is kept for the next time is there.
    GALLERY
        .iter()
        .for_each(|hostile| drop(run(&mut client, flags, hostile)));
    client.run(&format!("CONFIG SET lua-kill-limit {KILL_LIMIT_MS}"));
    client.run("DEL k");
    client.run("SCRIPT FLUSH");
    let before = number(&mut client, "used_memory");
    let mut failures = Vec::new();
    let slowest = slowest_ping(&server, || {
        for hostile in GALLERY {
            let reply = run(&mut client, flags, hostile);
            if let Err(text) = judge(hostile, &reply) {
                failures.push(format!("{}: {text}", hostile.name));
            }
            let was_ended = matches!(hostile.outcome, Outcome::Ended);
            let left = client.run("GET k").render();
            if was_ended && is_atomic && left != "nil" {
                failures.push(format!("{}: it left {left}", hostile.name));
            }
            client.run("DEL k");
            let probed = client.call(&["EVAL_RO", PROBE, "0"]).render();
            if probed != PROBED {
                failures.push(format!("{}: afterwards {probed}", hostile.name));
            }
        }
    });
    assert!(failures.is_empty(), "{flags}\n{}", failures.join("\n"));
    assert!(slowest < ANSWER_MAX, "somebody waited {slowest:?}");
    assert_eq!(client.run("GET other").render(), "before");
    assert_eq!(client.run("DBSIZE").render(), "1");
    client.run("SCRIPT FLUSH");
    until(|| number(&mut client, "used_memory") <= before + before / 20);
}

#[test]
fn the_gallery_has_at_least_sixty_scripts_of_different_names() {
    let mut names: Vec<_> = GALLERY.iter().map(|hostile| hostile.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), GALLERY.len());
    assert!(names.len() >= 60);
}

#[test]
fn hostile_scripts_are_bounded_in_every_mode() {
    thread::scope(|scope| {
        for (flags, is_atomic) in MODES {
            thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, move || run_gallery(flags, *is_atomic))
                .unwrap();
        }
    });
}
