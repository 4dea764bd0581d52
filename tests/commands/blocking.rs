//! Waiting for elements: who is woken, in which order, with what.

use std::time::{Duration, Instant};

use crate::support::client::{Client, Reply, fields};
use crate::support::server::Server;

pub(crate) fn client(server: &Server) -> Client {
    Client::connect(server.address)
}

/// Returns when so many clients stand in the lines of their keys.
pub(crate) fn wait_for_waiters(server: &Server, count: usize) {
    let until = Instant::now() + Duration::from_secs(10);
    while server.services.waiters.len() != count {
        assert!(Instant::now() < until, "{count} clients wait");
        std::thread::yield_now();
    }
}

/// A client that waits, after those who wait already.
pub(crate) fn blocked(server: &Server, line: &str) -> Client {
    let before = server.services.waiters.len();
    let mut client = client(server);
    client.send(&line.split_whitespace().collect::<Vec<_>>());
    wait_for_waiters(server, before + 1);
    client
}

/// As in 7.2: whichever of its keys was written first.
#[test]
fn who_waits_for_several_keys_of_one_commit_takes_from_the_first_it_named() {
    let server = Server::start();
    let mut other = client(&server);
    for _ in 0..20 {
        let mut waiting = [
            "BLMPOP 0 2 b a LEFT COUNT 1",
            "BLMPOP 0 2 b a RIGHT COUNT 10",
            "BLMPOP 0 2 b a LEFT COUNT 10",
            "BLMPOP 0 2 b a RIGHT COUNT 1",
        ]
        .map(|line| blocked(&server, line));
        for line in ["MULTI", "RPUSH a 1 2 3", "RPUSH b 4 5 6", "EXEC"] {
            other.run(line);
        }
        let taken = ["[b ['4']]", "[b ['6' '5']]", "[a ['1' '2' '3']]"];
        for (client, expected) in waiting.iter_mut().zip(taken) {
            assert_eq!(client.read().render(), expected);
        }
        other.run("RPUSH a 7");
        assert_eq!(waiting[3].read().render(), "[a ['7']]");
    }
}

#[test]
fn a_push_wakes_who_waits() {
    let server = Server::start();
    let mut other = client(&server);
    for (waiting, write, expected) in [
        ("BLPOP m l 0", "RPUSH l a b", "[l a]"),
        ("BRPOP l m 0", "RPUSH l a b", "[l b]"),
        ("BLMOVE l t LEFT RIGHT 0", "LPUSH l a", "a"),
        ("BRPOPLPUSH l t 0", "LPUSH l a", "a"),
        ("BLMPOP 0 2 m l LEFT COUNT 2", "RPUSH l a b c", "[l [a b]]"),
        ("BZPOPMIN m z 0", "ZADD z 2 b 1 a", "[z a '1']"),
        ("BZPOPMAX z 0", "ZADD z 2 b 1 a", "[z b '2']"),
        ("BZMPOP 0 1 z MAX COUNT 5", "ZINCRBY z 1 a", "[z [[a '1']]]"),
        ("BZPOPMIN z 0", "ZUNIONSTORE z 1 seed", "[z m '1']"),
        ("BLPOP l 0", "RENAME names l", "[l first]"),
        ("BLPOP l 0", "COPY names l", "[l first]"),
        ("BLPOP l 0", "LMOVE names l LEFT LEFT", "[l first]"),
        (
            "XREAD BLOCK 0 STREAMS s $",
            "XADD s 1 a b",
            "[[s [['1-0' [a b]]]]]",
        ),
    ] {
        other.run("FLUSHALL");
        other.run("ZADD seed 1 m");
        other.run("RPUSH names first second");
        let mut waiting_client = blocked(&server, waiting);
        other.run(write);
        assert_eq!(
            waiting_client.read().render(),
            expected,
            "{waiting}; {write}"
        );
        wait_for_waiters(&server, 0);
    }
}

#[test]
fn a_script_and_a_transaction_wake_when_they_commit() {
    let server = Server::start();
    let mut other = client(&server);

    let mut waiting = blocked(&server, "BLPOP l 0");
    let body = "redis.call('RPUSH', KEYS[1], 'a') redis.call('RPUSH', KEYS[1], 'b') \
                return redis.call('LLEN', KEYS[1])";
    assert_eq!(other.call(&["EVAL", body, "1", "l"]).render(), "2");
    assert_eq!(waiting.read().render(), "[l a]");
    assert_eq!(other.run("LPOP l").render(), "b");

    let mut waiting = blocked(&server, "BLPOP first second 0");
    for line in ["MULTI", "RPUSH second b", "RPUSH first a", "EXEC"] {
        other.run(line);
    }
    assert_eq!(waiting.read().render(), "[first a]");
    assert_eq!(other.run("LLEN second").render(), "1");
}

#[test]
fn what_is_gone_before_the_commit_wakes_nobody() {
    let server = Server::start();
    let mut other = client(&server);
    let mut waiting = blocked(&server, "BLPOP l 0");
    for line in ["MULTI", "RPUSH l gone", "DEL l", "EXEC", "RPUSH l a"] {
        other.run(line);
    }
    assert_eq!(waiting.read().render(), "[l a]");
}

#[test]
fn those_who_wait_longest_are_served_first() {
    let server = Server::start();
    let mut other = client(&server);
    let mut waiting: Vec<Client> = (0..4).map(|_| blocked(&server, "BLPOP l 0")).collect();
    other.run("RPUSH l a");
    assert_eq!(waiting[0].read().render(), "[l a]");
    wait_for_waiters(&server, 3);
    other.run("RPUSH l b c");
    assert_eq!(waiting[1].read().render(), "[l b]");
    assert_eq!(waiting[2].read().render(), "[l c]");
    wait_for_waiters(&server, 1);
    other.run("RPUSH l d");
    assert_eq!(waiting[3].read().render(), "[l d]");
}

#[test]
fn who_takes_from_one_key_leaves_the_other_to_the_next() {
    let server = Server::start();
    let mut other = client(&server);
    let mut first = blocked(&server, "BLPOP l m 0");
    let mut second = blocked(&server, "BLPOP m 0");
    for line in ["MULTI", "RPUSH m b", "RPUSH l a", "EXEC"] {
        other.run(line);
    }
    assert_eq!(first.read().render(), "[l a]");
    assert_eq!(second.read().render(), "[m b]");
}

/// Many rounds: who is told of one key must not be quicker at another one, either.
#[test]
fn whose_turn_it_is_at_one_key_is_not_ahead_at_another() {
    let server = Server::start();
    let mut other = client(&server);
    for round in 0..20 {
        for (line, several, expected) in [
            ("RPUSH l x", "BLPOP l m 0", "[m y]"),
            ("RPUSH l x", "BLMPOP 0 2 l m LEFT", "[m [y]]"),
            ("ZADD l 1 x", "BZPOPMIN l m 0", "[m y '1']"),
            ("ZADD l 1 x", "BZMPOP 0 2 l m MIN", "[m [[y '1']]]"),
        ] {
            let is_list = line.starts_with("RPUSH");
            let first = if is_list { "BLPOP l 0" } else { "BZPOPMIN l 0" };
            let mut first = blocked(&server, first);
            let mut second = blocked(&server, several);
            let other_key = line.replace(" l ", " m ").replace(" x", " y");
            for line in ["MULTI", line, &other_key, "EXEC"] {
                other.run(line);
            }
            assert_eq!(second.read().render(), expected, "{several}, {round}");
            assert!(first.read().render().starts_with("[l x"), "{several}");
            wait_for_waiters(&server, 0);
        }
    }
}

/// Who has taken what he came for leaves the line of another key as it was.
#[test]
fn who_leaves_the_line_of_a_key_that_nobody_wrote_wakes_nobody_there() {
    let server = Server::start();
    let mut other = client(&server);
    for _ in 0..20 {
        let mut waiting: Vec<Client> = ["BLPOP m l 0", "BLPOP l 0", "BLPOP l 0", "BLPOP l m 0"]
            .iter()
            .map(|line| blocked(&server, line))
            .collect();
        other.run("RPUSH l a b c");
        for (client, expected) in waiting.iter_mut().zip(["[l a]", "[l b]", "[l c]"]) {
            assert_eq!(client.read().render(), expected);
        }
        other.run("RPUSH m d");
        assert_eq!(waiting[3].read().render(), "[m d]");
        wait_for_waiters(&server, 0);
    }
}

#[test]
fn who_is_gone_does_not_hold_up_the_line() {
    let server = Server::start();
    let mut other = client(&server);
    let first = blocked(&server, "BLPOP l 0");
    let mut second = blocked(&server, "BLPOP l 0");
    drop(first);
    wait_for_waiters(&server, 1);
    other.run("RPUSH l a");
    assert_eq!(second.read().render(), "[l a]");
}

#[test]
fn an_element_goes_along_a_chain_of_moves() {
    let server = Server::start();
    let mut other = client(&server);
    let mut last = blocked(&server, "BLPOP c 0");
    let mut second = blocked(&server, "BLMOVE b c LEFT RIGHT 0");
    let mut first = blocked(&server, "BLMOVE a b RIGHT LEFT 0");
    other.run("RPUSH a x");
    assert_eq!(first.read().render(), "x");
    assert_eq!(second.read().render(), "x");
    assert_eq!(last.read().render(), "[c x]");
    assert_eq!(other.run("EXISTS a b c").render(), "0");
}

#[test]
fn a_value_of_another_type_is_nothing_to_take() {
    let server = Server::start();
    let mut other = client(&server);
    let mut waiting = blocked(&server, "BLPOP l 0");
    let mut behind = blocked(&server, "BZPOPMIN l 0");
    for line in ["SET l v", "DEL l", "SADD l x", "DEL l", "ZADD l 1 m"] {
        other.run(line);
    }
    assert_eq!(behind.read().render(), "[l m '1']");
    other.run("RPUSH l a");
    assert_eq!(waiting.read().render(), "[l a]");
}

#[test]
fn a_move_to_a_value_of_another_type_fails_and_takes_nothing() {
    let server = Server::start();
    let mut other = client(&server);
    let mut waiting = blocked(&server, "BLMOVE a b LEFT LEFT 0");
    other.run("SET b v");
    other.run("RPUSH a x");
    assert_eq!(
        waiting.read().render(),
        "(WRONGTYPE Operation against a key holding the wrong kind of value)"
    );
    assert_eq!(other.run("LRANGE a 0 -1").render(), "[x]");
}

#[test]
fn all_readers_of_a_stream_get_what_is_added() {
    let server = Server::start();
    let mut other = client(&server);
    other.run("XADD s 1 old old");
    let mut readers: Vec<Client> = (0..3)
        .map(|_| blocked(&server, "XREAD BLOCK 0 COUNT 2 STREAMS m s $ $"))
        .collect();
    other.run("XADD s 2 a b");
    for reader in &mut readers {
        assert_eq!(reader.read().render(), "[[s [['2-0' [a b]]]]]");
    }
    let mut reader = blocked(&server, "XREAD BLOCK 0 STREAMS s 5");
    other.run("XADD s 4 a b");
    other.run("XADD s 6 c d");
    assert_eq!(reader.read().render(), "[[s [['6-0' [c d]]]]]");
}

/// A client that waits, as `consumer`, for new entries of `s` for the group `g`.
pub(crate) fn blocked_consumer(server: &Server, consumer: &str) -> Client {
    let line = format!("XREADGROUP GROUP g {consumer} COUNT 1 BLOCK 0 STREAMS s >");
    blocked(server, &line)
}

#[test]
fn each_entry_goes_to_one_consumer_in_the_order_of_their_coming() {
    let server = Server::start();
    let mut other = client(&server);
    other.run("XGROUP CREATE s g $ MKSTREAM");
    let mut waiting: Vec<Client> = ["a", "b", "c", "d"]
        .iter()
        .map(|consumer| blocked_consumer(&server, consumer))
        .collect();
    other.run("XADD s 1 f v");
    assert_eq!(waiting[0].read().render(), "[[s [['1-0' [f v]]]]]");
    wait_for_waiters(&server, 3);
    for line in ["MULTI", "XADD s 2 f v", "XADD s 3 f v", "EXEC"] {
        other.run(line);
    }
    assert_eq!(waiting[1].read().render(), "[[s [['2-0' [f v]]]]]");
    assert_eq!(waiting[2].read().render(), "[[s [['3-0' [f v]]]]]");
    wait_for_waiters(&server, 1);
    assert_eq!(
        other.run("XPENDING s g").render(),
        "[3 '1-0' '3-0' [[a '1'] [b '1'] [c '1']]]"
    );
    other.run("XADD s 4 f v");
    assert_eq!(waiting[3].read().render(), "[[s [['4-0' [f v]]]]]");
}

#[test]
fn each_group_is_given_every_entry() {
    let server = Server::start();
    let mut other = client(&server);
    other.run("XGROUP CREATE s g $ MKSTREAM");
    other.run("XGROUP CREATE s h $");
    let mut waiting: Vec<Client> = [
        "XREADGROUP GROUP g a BLOCK 0 STREAMS s >",
        "XREADGROUP GROUP h a NOACK BLOCK 0 STREAMS s >",
        "XREAD BLOCK 0 STREAMS s $",
    ]
    .iter()
    .map(|line| blocked(&server, line))
    .collect();
    other.run("XADD s 1 f v");
    for waiting in &mut waiting {
        assert_eq!(waiting.read().render(), "[[s [['1-0' [f v]]]]]");
    }
    assert_eq!(
        other.run("XPENDING s g").render(),
        "[1 '1-0' '1-0' [[a '1']]]"
    );
    assert_eq!(other.run("XPENDING s h").render(), "[0 nil nil nil]");
}

#[test]
fn a_consumer_is_there_while_it_waits_for_the_first_time() {
    let server = Server::start();
    let mut other = client(&server);
    other.run("XGROUP CREATE s g $ MKSTREAM");
    let mut waiting = blocked_consumer(&server, "a");
    let mut second = blocked_consumer(&server, "b");
    let groups = other.run("XINFO GROUPS s").elements().remove(0);
    assert_eq!(fields(groups)["consumers"].render(), "2");
    for line in ["XADD s 1 f v", "XADD s 2 f v"] {
        other.run(line);
    }
    assert_eq!(waiting.read().render(), "[[s [['1-0' [f v]]]]]");
    assert_eq!(second.read().render(), "[[s [['2-0' [f v]]]]]");
}

#[test]
fn who_waits_for_a_group_is_told_when_it_goes() {
    const GONE: &str = "(NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP \
                        option)";
    const OTHER: &str = "(WRONGTYPE Operation against a key holding the wrong kind of value)";
    let server = Server::start();
    let mut other = client(&server);
    for (line, expected) in [
        ("DEL s", GONE),
        ("XGROUP DESTROY s g", GONE),
        ("RENAME s t", GONE),
        ("MOVE s 1", GONE),
        ("PEXPIRE s 10", GONE),
        ("FLUSHALL", GONE),
        ("SWAPDB 0 2", GONE),
        ("SET s v", OTHER),
        ("SUNIONSTORE s names", OTHER),
    ] {
        other.run("FLUSHALL");
        other.run("SADD names a");
        other.run("XGROUP CREATE s g $ MKSTREAM");
        let mut waiting = [
            blocked_consumer(&server, "a"),
            blocked(&server, "XREADGROUP GROUP g b BLOCK 0 STREAMS s >"),
        ];
        other.run(line);
        for waiting in &mut waiting {
            assert_eq!(waiting.read().render(), expected, "{line}");
        }
        wait_for_waiters(&server, 0);
    }
}

#[test]
fn who_waits_for_something_else_does_not_hide_that_a_group_goes() {
    let server = Server::start();
    let mut other = client(&server);
    let mut list = blocked(&server, "BLPOP s 0");
    other.run("XGROUP CREATE s g $ MKSTREAM");
    let mut group = blocked_consumer(&server, "a");
    other.run("DEL s");
    assert!(group.read().render().starts_with("(NOGROUP "));
    other.run("RPUSH s x");
    assert_eq!(list.read().render(), "[s x]");
}

#[test]
fn a_reader_for_a_group_waits_as_long_as_asked_and_where_it_may() {
    let server = Server::start();
    let mut client = client(&server);
    client.run("XGROUP CREATE s g $ MKSTREAM");
    let line = "XREADGROUP GROUP g a BLOCK 20 STREAMS s >";
    let started = Instant::now();
    assert_eq!(client.run(line).render(), "nil");
    assert!(started.elapsed() >= Duration::from_millis(20));
    wait_for_waiters(&server, 0);
    for line in ["MULTI", "XREADGROUP GROUP g b BLOCK 0 STREAMS s >"] {
        client.run(line);
    }
    assert_eq!(client.run("EXEC").render(), "[nil]");
    let groups = client.run("XINFO GROUPS s").elements().remove(0);
    assert_eq!(fields(groups)["consumers"].render(), "2");

    let mut waiting = self::client(&server);
    let id = waiting.run("CLIENT ID").render();
    waiting.send(&[
        "XREADGROUP",
        "GROUP",
        "g",
        "a",
        "BLOCK",
        "0",
        "STREAMS",
        "s",
        ">",
    ]);
    wait_for_waiters(&server, 1);
    client.run(&format!("CLIENT UNBLOCK {id} ERROR"));
    assert_eq!(
        waiting.read().render(),
        "(UNBLOCKED client unblocked via CLIENT UNBLOCK)"
    );
}

#[test]
fn each_of_many_entries_goes_to_one_of_many_consumers() {
    let server = Server::start();
    client(&server).run("XGROUP CREATE s g $ MKSTREAM");
    let address = server.address;
    let readers: Vec<_> = (0..4)
        .map(|reader| {
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                let consumer = reader.to_string();
                let mut seen = Vec::new();
                loop {
                    let reply = client.call(&[
                        "XREADGROUP",
                        "GROUP",
                        "g",
                        &consumer,
                        "COUNT",
                        "3",
                        "BLOCK",
                        "0",
                        "STREAMS",
                        "s",
                        ">",
                    ]);
                    let Reply::Array(mut streams) = reply else {
                        // The group is gone.
                        return seen;
                    };
                    for entry in streams.remove(0).elements().remove(1).elements() {
                        let id = entry.elements().remove(0).render();
                        let id = id.trim_matches('\'').to_owned();
                        assert_eq!(client.call(&["XACK", "s", "g", &id]).render(), "1");
                        seen.push(id);
                    }
                }
            })
        })
        .collect();
    let mut writer = client(&server);
    for number in 1..=300 {
        writer.call(&["XADD", "s", &number.to_string(), "f", "v"]);
    }
    // Everything has been read, and then acknowledged, before the group goes.
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let group = fields(writer.run("XINFO GROUPS s").elements().remove(0));
        if group["lag"].render() == "0" && group["pending"].render() == "0" {
            break;
        }
        assert!(Instant::now() < until, "{group:?}");
        std::thread::yield_now();
    }
    wait_for_waiters(&server, 4);
    writer.run("XGROUP DESTROY s g");
    let mut seen: Vec<String> = readers
        .into_iter()
        .flat_map(|reader| reader.join().unwrap())
        .collect();
    assert_eq!(seen.len(), 300);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 300);
}

#[test]
fn nobody_waits_longer_than_asked() {
    let server = Server::start();
    for line in [
        "BLPOP l 0.02",
        "BRPOP l m 0.02",
        "BLMOVE l m LEFT LEFT 0.02",
        "BRPOPLPUSH l m 0.02",
        "BLMPOP 0.02 1 l LEFT",
        "BZPOPMIN z 0.02",
        "BZPOPMAX z 0.02",
        "BZMPOP 0.02 1 z MIN",
        "XREAD BLOCK 20 STREAMS s $",
    ] {
        let mut client = client(&server);
        let started = Instant::now();
        assert_eq!(client.run(line).render(), "nil", "{line}");
        assert!(started.elapsed() >= Duration::from_millis(20), "{line}");
        wait_for_waiters(&server, 0);
    }
}

#[test]
fn a_client_can_be_unblocked_by_another() {
    let server = Server::start();
    let mut other = client(&server);
    for (line, unblock, expected) in [
        ("BLPOP l 0", "", "nil"),
        ("BLPOP l 0", "TIMEOUT", "nil"),
        ("XREAD BLOCK 0 STREAMS s $", "TIMEOUT", "nil"),
        (
            "BZPOPMIN z 0",
            "ERROR",
            "(UNBLOCKED client unblocked via CLIENT UNBLOCK)",
        ),
    ] {
        let mut waiting = client(&server);
        let id = waiting.run("CLIENT ID").render();
        waiting.send(&line.split_whitespace().collect::<Vec<_>>());
        wait_for_waiters(&server, 1);
        let unblock = format!("CLIENT UNBLOCK {id} {unblock}");
        assert_eq!(other.run(&unblock).render(), "1", "{line}");
        assert_eq!(waiting.read().render(), expected, "{line}");
        wait_for_waiters(&server, 0);
        assert_eq!(other.run(&unblock).render(), "0", "{line}");
    }
}

#[test]
fn what_is_sent_behind_a_waiting_command_comes_after_it() {
    let server = Server::start();
    let mut waiting = blocked(&server, "BLPOP l 0");
    waiting.send(&["LPUSH", "t", "x"]);
    waiting.send(&["BLPOP", "t", "0"]);
    let mut other = client(&server);
    assert_eq!(other.run("EXISTS t").render(), "0");
    other.run("RPUSH l a");
    assert_eq!(waiting.read().render(), "[l a]");
    assert_eq!(waiting.read().render(), "1");
    assert_eq!(waiting.read().render(), "[t x]");
}

#[test]
fn nothing_waits_in_a_transaction_or_a_script() {
    let server = Server::start();
    let mut client = client(&server);
    for line in [
        "MULTI",
        "BLPOP l 0",
        "BZPOPMIN z 0",
        "XREAD BLOCK 0 STREAMS s $",
    ] {
        client.run(line);
    }
    assert_eq!(client.run("EXEC").render(), "[nil nil nil]");
    let body = "return redis.call('BLPOP', KEYS[1], 0)";
    assert_eq!(client.call(&["EVAL", body, "1", "l"]).render(), "nil");
}

#[test]
fn every_element_goes_to_one_of_many() {
    let server = Server::start();
    let mut waiting: Vec<Client> = (0..20).map(|_| blocked(&server, "BLPOP l m 0")).collect();
    let address = server.address;
    let pushers = ["l", "m"].map(|key| {
        std::thread::spawn(move || {
            let mut client = Client::connect(address);
            for number in 0..10 {
                client.call(&["RPUSH", key, &format!("{key}{number}")]);
            }
        })
    });
    let mut taken: Vec<String> = waiting
        .iter_mut()
        .map(|client| client.read().elements()[1].render())
        .collect();
    for pusher in pushers {
        pusher.join().unwrap();
    }
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 20);
    assert_eq!(client(&server).run("EXISTS l m").render(), "0");
}
