//! Who waits at a key is served in the order of coming, whoever else waits there for what.

use super::blocking::{blocked, blocked_consumer, client, wait_for_waiters};
use crate::support::client::Client;
use crate::support::server::Server;

/// Most of what could go wrong is a race: it is tried so often.
const ROUNDS: usize = 60;

fn wait_until_blocked(other: &mut Client, count: usize) {
    let line = format!("blocked_clients:{count}\\r");
    while !other.run("INFO clients").render().contains(&line) {}
}

#[test]
fn who_comes_last_is_not_ahead_although_he_looks_once_more() {
    let server = Server::start();
    let mut other = client(&server);
    for round in 0..ROUNDS {
        for (line, write) in [
            ("BLPOP l 0", "RPUSH l x"),
            ("BZPOPMIN z 0", "ZADD z 1 x"),
            ("XREADGROUP GROUP g c BLOCK 0 STREAMS s >", "XADD s * f x"),
        ] {
            other.run("XGROUP CREATE s g $ MKSTREAM");
            let mut waiting = [(); 3].map(|()| blocked(&server, line));
            for waiting in &mut waiting {
                other.run(write);
                let reply = waiting.read().render();
                assert!(reply.contains('x'), "{line}, {round}: {reply}");
            }
            wait_for_waiters(&server, 0);
        }
    }
}

#[test]
fn who_waits_for_something_else_lets_nobody_past() {
    let server = Server::start();
    let mut other = client(&server);
    for round in 0..ROUNDS {
        other.run("FLUSHALL");
        other.run("XGROUP CREATE s g $ MKSTREAM");
        other.run("XGROUP CREATE s h $");
        let mut first = blocked_consumer(&server, "a");
        let mut second = blocked(&server, "XREADGROUP GROUP h a BLOCK 0 STREAMS s >");
        let mut third = blocked_consumer(&server, "b");
        // Nothing to read: the turn goes on to who waits for something else.
        other.run("XGROUP CREATECONSUMER s g d");
        other.run("XADD s 1 f v");
        for waiting in [&mut first, &mut second] {
            assert_eq!(waiting.read().render(), "[[s [['1-0' [f v]]]]]", "{round}");
        }
        other.run("XADD s 2 f v");
        assert_eq!(third.read().render(), "[[s [['2-0' [f v]]]]]", "{round}");

        let mut first = blocked(&server, "BLPOP l 0");
        let mut second = blocked(&server, "BZPOPMIN l 0");
        let mut third = blocked(&server, "BLPOP l 0");
        for line in ["SET l v", "DEL l", "RPUSH l a"] {
            other.run(line);
        }
        assert_eq!(first.read().render(), "[l a]", "{round}");
        other.run("ZADD l 1 m");
        assert_eq!(second.read().render(), "[l m '1']", "{round}");
        other.run("RPUSH l b");
        assert_eq!(third.read().render(), "[l b]", "{round}");
        wait_for_waiters(&server, 0);
    }
}

#[test]
fn who_reads_several_streams_for_a_group_leaves_others_theirs() {
    let server = Server::start();
    let mut other = client(&server);
    for round in 0..ROUNDS {
        other.run("FLUSHALL");
        for key in ["s", "t"] {
            other.run(&format!("XGROUP CREATE {key} g $ MKSTREAM"));
        }
        let mut first = blocked_consumer(&server, "a");
        let mut second = blocked(&server, "XREADGROUP GROUP g b BLOCK 0 STREAMS s t > >");
        for line in ["MULTI", "XADD t 1 f v", "XADD s 1 f v", "EXEC"] {
            other.run(line);
        }
        assert_eq!(second.read().render(), "[[t [['1-0' [f v]]]]]", "{round}");
        assert_eq!(first.read().render(), "[[s [['1-0' [f v]]]]]", "{round}");
        wait_for_waiters(&server, 0);
    }
}

/// Nobody can be told of elements yet: that begins when the script is over.
#[test]
fn who_came_first_while_a_script_kept_the_gate_is_served_first() {
    for round in 0..8 {
        let server = Server::start();
        let mut other = client(&server);
        let mut script = client(&server);
        script.send(&[
            "EVAL",
            "#!lua flags=allow-undeclared-keys\nredis.call('SET', 'k', 'v') while true do end",
            "0",
        ]);
        while !other
            .run("INFO scripts")
            .render()
            .contains("suspended_scripts:1")
        {}
        let mut waiting: Vec<Client> = Vec::new();
        for count in 1..=4 {
            let mut client = client(&server);
            client.send(&["BLPOP", "l", "0"]);
            wait_until_blocked(&mut other, count);
            waiting.push(client);
        }
        other.send(&["SCRIPT", "KILL"]);
        other.send(&["RPUSH", "l", "a", "b", "c", "d"]);
        for (waiting, expected) in waiting.iter_mut().zip(["a", "b", "c", "d"]) {
            let reply = waiting.read().render();
            assert_eq!(reply, format!("[l {expected}]"), "{round}");
        }
    }
}
