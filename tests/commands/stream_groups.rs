//! Groups of consumers of streams. Who waits is in `blocking`.

use crate::support::check::{check, check_in_both, compare};
use crate::support::client::{Client, fields};
use crate::support::server::Server;

#[test]
fn a_group_is_made_moved_and_removed() {
    check(
        "XGROUP CREATE s g 0; XGROUP CREATE s g 0 MKSTREAM; XGROUP CREATE s g 5; XLEN s; TYPE s; XADD s 1 f v; XGROUP CREATE s h $ ENTRIESREAD 1; XINFO GROUPS s",
        "(ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.); \
         OK; (BUSYGROUP Consumer Group name already exists); 0; stream; '1-0'; OK; \
         [[name g consumers 0 pending 0 last-delivered-id '0-0' entries-read nil lag 1] \
         [name h consumers 0 pending 0 last-delivered-id '1-0' entries-read 1 lag 0]]",
    );
    check(
        "XADD s 1 f v; XGROUP CREATE s g 0; XGROUP SETID s g $; XGROUP SETID s g 7-3 ENTRIESREAD 4; XGROUP SETID s h 0; XINFO GROUPS s; XGROUP DESTROY s g; XGROUP DESTROY s g; XINFO GROUPS s; XDEL s 1; EXISTS s",
        "'1-0'; OK; OK; OK; (NOGROUP No such consumer group 'h' for key name 's'); \
         [[name g consumers 0 pending 0 last-delivered-id '7-3' entries-read 4 lag -3]]; 1; 0; []; 1; 1",
    );
}

#[test]
fn consumers_come_and_go() {
    check(
        "XGROUP CREATE s g 0 MKSTREAM; XGROUP CREATECONSUMER s g b; XGROUP CREATECONSUMER s g a; XGROUP CREATECONSUMER s g a; XINFO CONSUMERS s g; XGROUP DELCONSUMER s g b; XGROUP DELCONSUMER s g b; XGROUP DELCONSUMER s h b; XINFO CONSUMERS s g; XINFO CONSUMERS s h",
        "OK; 1; 1; 0; [[name a pending 0 idle 0 inactive -1] [name b pending 0 idle 0 inactive -1]]; 0; 0; \
         (NOGROUP No such consumer group 'h' for key name 's'); [[name a pending 0 idle 0 inactive -1]]; \
         (NOGROUP No such consumer group 'h' for key name 's')",
    );
    check(
        "XGROUP CREATE s g 0 MKSTREAM; XADD s 1 f v; XADD s 2 f v; XCLAIM s g a 0 1 2 FORCE JUSTID; XREADGROUP GROUP g b STREAMS t >; XGROUP SETID s g $; XREADGROUP GROUP g b STREAMS s >; XINFO CONSUMERS s g; XGROUP DELCONSUMER s g a; XPENDING s g",
        "OK; '1-0'; '2-0'; ['1-0' '2-0']; \
         (NOGROUP No such key 't' or consumer group 'g' in XREADGROUP with GROUP option); OK; nil; \
         [[name a pending 2 idle 0 inactive 0] [name b pending 0 idle 0 inactive -1]]; 2; [0 nil nil nil]",
    );
}

/// As `check`, with `{id …}` for what XREADGROUP says of the entries with these IDs in `s`.
#[track_caller]
fn check_reads(line: &str, expected: &str) {
    let with = |begin: &str, end: &str| {
        let mut text = String::new();
        for (number, part) in expected.split(['{', '}']).enumerate() {
            if number % 2 == 0 {
                text.push_str(part);
                continue;
            }
            let entries: Vec<String> = part
                .split_whitespace()
                .map(|id| match id.strip_suffix('!') {
                    Some(gone) => format!("['{gone}-0' nil]"),
                    None => format!("['{id}-0' [f v]]"),
                })
                .collect();
            text.push_str(&format!("{begin}s [{}]{end}", entries.join(" ")));
        }
        text
    };
    check_in_both(line, &with("[[", "]]"), &with("[", "]"));
}

#[test]
fn new_entries_go_to_one_consumer_and_stay_its_own() {
    check_reads(
        "XGROUP CREATE s g 0 MKSTREAM; XADD s 1 f v; XADD s 2 f v; XADD s 3 f v; \
         XREADGROUP GROUP g a COUNT 2 STREAMS s >; XREADGROUP GROUP g b STREAMS s >; \
         XREADGROUP GROUP g b STREAMS s >; XREADGROUP GROUP g a STREAMS s 0; \
         XREADGROUP GROUP g a STREAMS s 1; XREADGROUP GROUP g b STREAMS s 0; \
         XREADGROUP GROUP g c STREAMS s 0; XACK s g 1 3 4; XREADGROUP GROUP g a STREAMS s 0; \
         XPENDING s g - + 9",
        "OK; '1-0'; '2-0'; '3-0'; {1 2}; {3}; nil; {1 2}; {2}; {3}; {}; 2; {2}; [['2-0' a 0 4]]",
    );
}

#[test]
fn what_is_not_to_be_acknowledged_is_not_pending() {
    check_reads(
        "XGROUP CREATE s g 0 MKSTREAM; XADD s 1 f v; XREADGROUP GROUP g a NOACK STREAMS s >; \
         XPENDING s g; XREADGROUP GROUP g a STREAMS s 0; XINFO CONSUMERS s g; XINFO GROUPS s",
        "OK; '1-0'; {1}; [0 nil nil nil]; {}; [[name a pending 0 idle 0 inactive -1]]; \
         [[name g consumers 1 pending 0 last-delivered-id '1-0' entries-read 1 lag 0]]",
    );
}

#[test]
fn an_entry_that_is_gone_is_pending_until_it_is_claimed() {
    check_reads(
        "XGROUP CREATE s g 0 MKSTREAM; XADD s 1 f v; XADD s 2 f v; XADD s 3 f v; \
         XREADGROUP GROUP g a STREAMS s >; XDEL s 1 2; XREADGROUP GROUP g a STREAMS s 0; \
         XPENDING s g - + 9; XCLAIM s g b 0 1 3; XPENDING s g; XAUTOCLAIM s g c 0 0; XPENDING s g; \
         XINFO CONSUMERS s g",
        "OK; '1-0'; '2-0'; '3-0'; {1 2 3}; 2; {1! 2! 3}; \
         [['1-0' a 0 1] ['2-0' a 0 1] ['3-0' a 0 2]]; [['3-0' [f v]]]; \
         [2 '2-0' '3-0' [[a '1'] [b '1']]]; ['0-0' [['3-0' [f v]]] ['2-0']]; \
         [1 '3-0' '3-0' [[c '1']]]; [[name a pending 0 idle 0 inactive 0] \
         [name b pending 0 idle 0 inactive 0] [name c pending 1 idle 0 inactive 0]]",
    );
}

/// Since 7.2; before, only one that was given something.
#[test]
fn who_claims_is_a_consumer_from_then_on() {
    check(
        "XGROUP CREATE s g 0 MKSTREAM; XCLAIM s g a 0 1; XAUTOCLAIM s g b 0 0; XINFO CONSUMERS s g",
        "OK; []; ['0-0' [] []]; [[name a pending 0 idle 0 inactive -1] [name b pending 0 idle 0 inactive -1]]",
    );
}

#[test]
fn a_stream_tells_all_of_its_groups() {
    check(
        "XGROUP CREATE s g 0 MKSTREAM; XADD s 1 f v; XADD s 2 f v; XCLAIM s g a 0 1 2 FORCE JUSTID; XCLAIM s g b 0 2 FORCE; XINFO STREAM s FULL; XINFO STREAM s FULL COUNT 1",
        "OK; '1-0'; '2-0'; ['1-0' '2-0']; [['2-0' [f v]]]; \
         [length 2 radix-tree-keys 1 radix-tree-nodes 2 last-generated-id '2-0' max-deleted-entry-id '0-0' \
         entries-added 2 recorded-first-entry-id '1-0' entries [['1-0' [f v]] ['2-0' [f v]]] groups \
         [[name g last-delivered-id '0-0' entries-read nil lag 2 pel-count 2 \
         pending [['1-0' a 0 1] ['2-0' b 0 2]] consumers \
         [[name a seen-time 0 active-time 0 pel-count 1 pending [['1-0' 0 1]]] \
         [name b seen-time 0 active-time 0 pel-count 1 pending [['2-0' 0 2]]]]]]]; \
         [length 2 radix-tree-keys 1 radix-tree-nodes 2 last-generated-id '2-0' max-deleted-entry-id '0-0' \
         entries-added 2 recorded-first-entry-id '1-0' entries [['1-0' [f v]]] groups \
         [[name g last-delivered-id '0-0' entries-read nil lag 2 pel-count 2 \
         pending [['1-0' a 0 1]] consumers \
         [[name a seen-time 0 active-time 0 pel-count 1 pending [['1-0' 0 1]]] \
         [name b seen-time 0 active-time 0 pel-count 1 pending [['2-0' 0 2]]]]]]]",
    );
}

#[test]
fn groups_go_with_their_stream() {
    check(
        "XGROUP CREATE s g 0 MKSTREAM; XADD s 1 f v; XCLAIM s g a 0 1 FORCE JUSTID; COPY s t; RENAME s u; XACK t g 1; XPENDING t g; XPENDING u g - + 9; XPENDING s g; COPY u t REPLACE; XPENDING t g; MOVE u 1; XPENDING u g; SET t v; DEL t; XGROUP CREATE t h 0 MKSTREAM; XINFO GROUPS t",
        "OK; '1-0'; ['1-0']; 1; OK; 1; [0 nil nil nil]; [['1-0' a 0 1]]; (NOGROUP No such key 's' or consumer group 'g'); \
         1; [1 '1-0' '1-0' [[a '1']]]; 1; (NOGROUP No such key 'u' or consumer group 'g'); OK; 1; OK; \
         [[name h consumers 0 pending 0 last-delivered-id '0-0' entries-read nil lag 0]]",
    );
}

#[test]
fn a_held_snapshot_shows_what_was_pending_then() {
    let server = Server::start();
    let (mut reader, mut writer) = (
        Client::connect(server.address),
        Client::connect(server.address),
    );
    writer.run("XGROUP CREATE s g 0 MKSTREAM");
    for number in 1..=2_000 {
        writer.call(&["XADD", "s", &number.to_string(), "f", "v"]);
    }
    writer.run("XREADGROUP GROUP g a STREAMS s >");
    assert_eq!(reader.run("SNAPSHOT BEGIN").render(), "OK");
    let before = reader.run("XINFO STREAM s FULL COUNT 0").render();
    for number in (1..=2_000).step_by(3) {
        writer.call(&["XACK", "s", "g", &number.to_string()]);
    }
    writer.run("XAUTOCLAIM s g b 0 - COUNT 500 JUSTID");
    assert_eq!(
        writer.run("XPENDING s g").render(),
        "[1333 '2-0' '2000-0' [[a '833'] [b '500']]]"
    );
    assert_eq!(
        reader.run("XPENDING s g").render(),
        "[2000 '1-0' '2000-0' [[a '2000']]]"
    );
    assert_eq!(reader.run("XINFO STREAM s FULL COUNT 0").render(), before);
    assert_eq!(reader.run("SNAPSHOT END").render(), "OK");
    assert_eq!(writer.run("XGROUP DELCONSUMER s g a").render(), "833");
    assert_eq!(writer.run("XGROUP DESTROY s g").render(), "1");
    assert_eq!(writer.run("XLEN s").render(), "2000");
}

#[test]
fn a_script_that_gives_up_delivers_nothing() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("XGROUP CREATE s g 0 MKSTREAM");
    for line in ["XADD s 1 f v", "XADD s 2 f v"] {
        client.run(line);
    }
    client.run("XREADGROUP GROUP g a COUNT 1 STREAMS s >");
    let before = client.run("XINFO STREAM s FULL").render();
    let body = "redis.call('XREADGROUP', 'GROUP', 'g', 'b', 'STREAMS', KEYS[1], '>') \
                redis.call('XACK', KEYS[1], 'g', '1') \
                redis.call('XGROUP', 'CREATE', KEYS[1], 'h', '$') \
                redis.call('XGROUP', 'DELCONSUMER', KEYS[1], 'g', 'a') \
                redis.abort('no')";
    assert_eq!(
        client.call(&["EVAL", body, "1", "s"]).render(),
        "(ABORTED no)"
    );
    assert_eq!(client.run("XINFO STREAM s FULL").render(), before);
}

#[test]
fn an_idle_time_is_told_and_asked_for() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("XGROUP CREATE s g 0 MKSTREAM");
    for line in ["XADD s 1 f v", "XADD s 2 f v", "XADD s 3 f v"] {
        client.run(line);
    }
    client.run("XCLAIM s g a 0 1 FORCE JUSTID IDLE 60000");
    client.run("XCLAIM s g a 0 2 FORCE JUSTID IDLE 600000 RETRYCOUNT 5");
    client.run("XCLAIM s g a 0 3 FORCE JUSTID TIME 99999999999999");
    let mut ids = |line: &str| client.run(line).render();
    assert_eq!(
        ids("XCLAIM s g b 50000 1 2 3 JUSTID IDLE 55000"),
        "['1-0' '2-0']"
    );
    assert_eq!(ids("XCLAIM s g b 50000 1 2 3 JUSTID"), "['1-0' '2-0']");
    assert_eq!(ids("XCLAIM s g b 50000 1 2 3 JUSTID"), "[]");
    assert_eq!(ids("XAUTOCLAIM s g c 50000 0"), "['0-0' [] []]");
    ids("XCLAIM s g b 0 2 JUSTID IDLE 70000");
    assert_eq!(
        ids("XAUTOCLAIM s g c 50000 0"),
        "['0-0' [['2-0' [f v]]] []]"
    );
    ids("XCLAIM s g b 0 3 JUSTID IDLE 90000");
    let rows = client.run("XPENDING s g IDLE 60000 - + 10").elements();
    assert_eq!(rows.len(), 1);
    let row = rows[0].clone().elements();
    assert_eq!(row[0].render(), "'3-0'");
    let idle_ms: u64 = row[2].render().parse().unwrap();
    assert!((90_000..150_000).contains(&idle_ms), "{idle_ms}");
    assert_eq!(
        client.run("XPENDING s g IDLE 1000000 - + 10 b").render(),
        "[]"
    );
    let consumers = client.run("XINFO CONSUMERS s g").elements();
    let idle = fields(consumers[0].clone())["idle"].render();
    assert!(idle.parse::<u64>().unwrap() < 60_000);
}

#[test]
fn groups_are_as_in_redis() {
    compare(
        "XGROUP CREATE s g 0; XGROUP CREATE s g $ MKSTREAM; XGROUP CREATE s g 0 MKSTREAM; XGROUP CREATE s h 5-1 ENTRIESREAD 7; XGROUP CREATE s i x; XGROUP CREATE s i -; XGROUP CREATE s i 1 FOO; XGROUP CREATE s i 1 ENTRIESREAD; XGROUP CREATE s i 1 ENTRIESREAD x; XGROUP CREATE s i 1 ENTRIESREAD -2; XGROUP CREATE s i 1 ENTRIESREAD -1; XGROUP create s i 1 foo; XINFO GROUPS s; XINFO STREAM s
         XGROUP; XGROUP FOO; XGROUP CREATE; XGROUP CREATE s g; XGROUP SETID s g; XGROUP DESTROY s; XGROUP DESTROY s g h; XGROUP CREATECONSUMER s g; XGROUP DELCONSUMER s g; XINFO GROUPS; XINFO GROUPS s g; XINFO CONSUMERS s; XACK s g; XPENDING s; XCLAIM s g c 0; XAUTOCLAIM s g c 0; XREADGROUP GROUP g c STREAMS s
         XGROUP CREATE s g 0 MKSTREAM MKSTREAM; XGROUP CREATE s h 0 MKSTREAM MKSTREAM MKSTREAM MKSTREAM; XGROUP SETID s g 1 MKSTREAM; XGROUP SETID s g - ENTRIESREAD 3; XINFO GROUPS s; XGROUP SETID s g +; XGROUP SETID s g x; XGROUP SETID s g 1 ENTRIESREAD 1 ENTRIESREAD 2; XINFO GROUPS s; XADD s 18446744073709551615-18446744073709551615 f v; XREADGROUP GROUP g c STREAMS s >
         SET v v; XGROUP CREATE v g 0; XGROUP CREATE v g 0 MKSTREAM; XGROUP SETID v g 0; XGROUP DESTROY v g; XGROUP CREATECONSUMER v g c; XGROUP DELCONSUMER v g c; XREADGROUP GROUP g c STREAMS v >; XACK v g 1; XPENDING v g; XCLAIM v g c 0 1; XAUTOCLAIM v g c 0 0; XINFO GROUPS v; XINFO CONSUMERS v g
         XGROUP SETID m g 0; XGROUP DESTROY m g; XGROUP CREATECONSUMER m g c; XGROUP DELCONSUMER m g c; XREADGROUP GROUP g c STREAMS m >; XACK m g 1; XACK m g x; XPENDING m g; XPENDING m g - + 5; XCLAIM m g c 0 1; XCLAIM m g c x 1; XAUTOCLAIM m g c 0 0; XINFO GROUPS m; XINFO CONSUMERS m g; EXISTS m
         XADD s 1 f v; XGROUP SETID s g 0; XGROUP DESTROY s g; XGROUP CREATECONSUMER s g c; XGROUP DELCONSUMER s g c; XREADGROUP GROUP g c STREAMS s >; XACK s g 1; XPENDING s g; XCLAIM s g c 0 1; XAUTOCLAIM s g c 0 0; XINFO GROUPS s; XINFO CONSUMERS s g
         XADD s 1 f v; XADD t 1 f v; XGROUP CREATE s g 0; XGROUP CREATE t g 0; XREADGROUP GROUP g c STREAMS s t > x; XREADGROUP GROUP g c STREAMS s m > >; XREADGROUP GROUP g c STREAMS s t > $; XREADGROUP GROUP g c STREAMS s $; XREADGROUP GROUP g c FOO STREAMS s >; XREADGROUP COUNT 1 NOACK STREAMS s t 0 0; XREADGROUP GROUP g c COUNT x STREAMS s >; XREADGROUP GROUP g c BLOCK -1 STREAMS s >; XREADGROUP GROUP g c BLOCK x STREAMS s >; XREADGROUP GROUP g STREAMS s > >; XINFO GROUPS s; XREADGROUP GROUP g c STREAMS s s > >; XREADGROUP GROUP g c STREAMS s t > >; XREADGROUP GROUP g d STREAMS s t > >; XREADGROUP GROUP g d STREAMS s t 0 0
         XADD s 1 f v; XADD s 2 f v; XADD s 3 f v; XGROUP CREATE s g 1; XREADGROUP GROUP g c COUNT 1 STREAMS s >; XREADGROUP GROUP g c COUNT 0 STREAMS s >; XREADGROUP GROUP g c COUNT -1 STREAMS s 0; XREADGROUP GROUP g c COUNT 1 STREAMS s 0; XREADGROUP GROUP g c STREAMS s 2; XREADGROUP GROUP g c STREAMS s 18446744073709551615-18446744073709551615; XREADGROUP GROUP g c STREAMS s 18446744073709551615-18446744073709551614; XPENDING s g - + 5; XPENDING s g
         XADD s 1 f v; XGROUP CREATE s g 0; XREADGROUP GROUP g c NOACK STREAMS s >; XREADGROUP GROUP g c NOACK STREAMS s 0; XINFO CONSUMERS s g; XGROUP SETID s g 0; XREADGROUP GROUP g d STREAMS s >; XGROUP SETID s g 0; XREADGROUP GROUP g c STREAMS s >; XPENDING s g - + 5; XINFO CONSUMERS s g; XREADGROUP GROUP g c BLOCK 5 STREAMS s >; XGROUP DESTROY s g; XREADGROUP GROUP g c STREAMS s >",
    );
}

#[test]
fn what_is_pending_is_as_in_redis() {
    compare(
        "XADD s 1 f v; XADD s 2 f v; XADD s 3-3 f v; XGROUP CREATE s g 0; XREADGROUP GROUP g c COUNT 2 STREAMS s >; XREADGROUP GROUP g b STREAMS s >; XPENDING s g; XPENDING s g - +; XPENDING s g - + 0; XPENDING s g - + -1; XPENDING s g - + x; XPENDING s g - + 1; XPENDING s g - + 9 c; XPENDING s g - + 9 m; XPENDING s g (1 3 9; XPENDING s g 2 2 9; XPENDING s g (3-3 + 9; XPENDING s g x + 9; XPENDING s g - x 9; XPENDING s g (18446744073709551615-18446744073709551615 + 1; XPENDING s g - (0 1; XPENDING s g - + 9 c d e
         XADD s 1 f v; XGROUP CREATE s g 0; XREADGROUP GROUP g c STREAMS s >; XPENDING s g IDLE 0 - + 9; XPENDING s g IDLE -5 - + 9; XPENDING s g IDLE 9999999 - + 9; XPENDING s g IDLE 0 - + 9 c; XPENDING s g IDLE 0 - +; XPENDING s g IDLE x - + 9; XPENDING s g IDLE 0 -; XPENDING s g IDLE; XPENDING s g IDLE 0 - + x; XPENDING s g 1 2 3 4 5 6 7 8
         XADD s 1 f v; XADD s 2 f v; XGROUP CREATE s g 0; XREADGROUP GROUP g c STREAMS s >; XACK s g; XACK s g x; XACK s g 1 x; XACK s g 1 1 9; XACK s h 1; XPENDING s g; XACK s g 2-0 1-0; XPENDING s g; XPENDING s g - + 5; XLEN s
         XADD s 1 f v; XADD s 2 f v; XADD s 3 f v; XGROUP CREATE s g 0; XGROUP CREATE s h 0; XREADGROUP GROUP g c STREAMS s >; XREADGROUP GROUP h c STREAMS s >; XDEL s 2; XTRIM s MAXLEN 1; XREADGROUP GROUP g c STREAMS s 0; XPENDING s g - + 5; XGROUP DELCONSUMER s g c; XGROUP DELCONSUMER s g c; XPENDING s g; XPENDING s h; XGROUP DESTROY s g; XPENDING s g; XPENDING s h - + 5 c; XTRIM s MAXLEN 0; XPENDING s h; XINFO STREAM s",
    );
}

#[test]
fn claims_are_as_in_redis() {
    compare(
        "XADD s 1 f v; XADD s 2 f v; XADD s 3 f v; XGROUP CREATE s g 0; XREADGROUP GROUP g c STREAMS s >; XCLAIM s g d 0 1; XCLAIM s g d 0 1 2 9; XCLAIM s g d 0 3 JUSTID; XCLAIM s g d 0 3 3; XPENDING s g - + 9; XCLAIM s g c 0 1 RETRYCOUNT 7; XCLAIM s g c 0 2 RETRYCOUNT -1; XCLAIM s g c 0 3 JUSTID RETRYCOUNT 0; XPENDING s g - + 9; XCLAIM s g d 99999999 1 2 3; XCLAIM s g d -5 1; XPENDING s g
         XADD s 1 f v; XADD s 2 f v; XGROUP CREATE s g 0; XCLAIM s g c 0 1 FORCE; XCLAIM s g c 0 2 9 FORCE JUSTID; XPENDING s g - + 9; XCLAIM s g c 99999999 1 FORCE; XCLAIM s g d 0 1 FORCE RETRYCOUNT 3 TIME 5; XCLAIM s g d 1000 1 JUSTID; XPENDING s g - + 9; XINFO GROUPS s; XREADGROUP GROUP g d STREAMS s >; XPENDING s g - + 9
         XADD s 1 f v; XGROUP CREATE s g 0; XREADGROUP GROUP g c STREAMS s >; XCLAIM s g c x 1; XCLAIM s g c 0 x; XCLAIM s g c 0 1 x; XCLAIM s g c 0 1 FOO; XCLAIM s g c 0 1 force justid; XCLAIM s g c 0 1 JUSTID 1; XCLAIM s g c 0 1 IDLE; XCLAIM s g c 0 1 IDLE x; XCLAIM s g c 0 1 TIME x; XCLAIM s g c 0 1 RETRYCOUNT x; XCLAIM s g c 0 1 LASTID x; XCLAIM s g c 0 1 IDLE -5; XCLAIM s g c 0 1 IDLE 9223372036854775807; XCLAIM s g c 0 1 TIME -1; XCLAIM s g c 0 FORCE; XCLAIM s h c 0 1; XPENDING s g - + 9
         XADD s 1 f v; XADD s 2 f v; XGROUP CREATE s g 0; XREADGROUP GROUP g c COUNT 1 STREAMS s >; XCLAIM s g c 0 1 LASTID 2; XINFO GROUPS s; XCLAIM s g c 0 1 LASTID 1; XINFO GROUPS s; XREADGROUP GROUP g c STREAMS s >
         XADD s 1 f v; XADD s 2 f v; XGROUP CREATE s g 0; XREADGROUP GROUP g c STREAMS s >; XDEL s 1; XCLAIM s g c 0 1 2 FORCE; XPENDING s g; XCLAIM s g c 0 1 FORCE; XDEL s 2; XCLAIM s g d 0 1 2; XPENDING s g
         XADD s 1 f v; XADD s 2 f v; XADD s 3 f v; XADD s 4 f v; XGROUP CREATE s g 0; XREADGROUP GROUP g c STREAMS s >; XAUTOCLAIM s g d 0 0 COUNT 1; XAUTOCLAIM s g d 0 2 COUNT 1 JUSTID; XAUTOCLAIM s g d 0 (2 COUNT 1; XAUTOCLAIM s g d 0 -; XAUTOCLAIM s g d 0 + ; XAUTOCLAIM s g d 0 5; XAUTOCLAIM s g c 99999999 0; XPENDING s g - + 9; XDEL s 2 3; XAUTOCLAIM s g c 0 0; XPENDING s g - + 9
         XADD s 1 f v; XADD s 2 f v; XADD s 3 f v; XADD s 4 f v; XGROUP CREATE s g 0; XREADGROUP GROUP g c STREAMS s >; XDEL s 1 2; XAUTOCLAIM s g c 0 0 COUNT 1; XPENDING s g; XAUTOCLAIM s g c 0 0 COUNT 2; XPENDING s g - + 9; XAUTOCLAIM s g c 0 4 COUNT 1 JUSTID; XPENDING s g - + 9
         XADD s 1 f v; XGROUP CREATE s g 0; XREADGROUP GROUP g c STREAMS s >; XAUTOCLAIM s g c x 0; XAUTOCLAIM s g c 0 x; XAUTOCLAIM s g c 0 (18446744073709551615-18446744073709551615; XAUTOCLAIM s g c 0 0 COUNT 0; XAUTOCLAIM s g c 0 0 COUNT x; XAUTOCLAIM s g c 0 0 COUNT -1; XAUTOCLAIM s g c 0 0 COUNT 9223372036854775807; XAUTOCLAIM s g c 0 0 COUNT; XAUTOCLAIM s g c 0 0 FOO; XAUTOCLAIM s g c 0 0 justid count 5; XAUTOCLAIM s h c 0 0; XAUTOCLAIM s g c -1 0 COUNT 1 COUNT 2",
    );
}

#[test]
fn what_is_told_of_groups_is_as_in_redis() {
    compare(
        "XADD s 1 f v; XADD s 2 f v; XADD s 3 f v; XGROUP CREATE s a 0; XGROUP CREATE s b 2; XGROUP CREATE s c $; XGROUP CREATE s d 9; XGROUP CREATE s e 1; XINFO GROUPS s; XREADGROUP GROUP a x COUNT 1 STREAMS s >; XREADGROUP GROUP b x COUNT 1 STREAMS s >; XREADGROUP GROUP e x COUNT 1 STREAMS s >; XINFO GROUPS s; XADD s 4 f v; XINFO GROUPS s; XREADGROUP GROUP a x STREAMS s >; XREADGROUP GROUP e x STREAMS s >; XINFO GROUPS s
         XADD s 1 f v; XADD s 2 f v; XADD s 3 f v; XADD s 4 f v; XGROUP CREATE s a 0; XGROUP CREATE s b 0 ENTRIESREAD 0; XDEL s 2; XINFO GROUPS s; XREADGROUP GROUP a x COUNT 1 STREAMS s >; XINFO GROUPS s; XREADGROUP GROUP a x COUNT 1 STREAMS s >; XINFO GROUPS s; XREADGROUP GROUP a x STREAMS s >; XREADGROUP GROUP b x STREAMS s >; XINFO GROUPS s; XADD s 5 f v; XINFO GROUPS s
         XADD s 1 f v; XADD s 2 f v; XADD s 3 f v; XGROUP CREATE s a 0; XREADGROUP GROUP a x COUNT 2 STREAMS s >; XTRIM s MAXLEN 1; XINFO GROUPS s; XTRIM s MAXLEN 0; XINFO GROUPS s; XADD s 9 f v; XINFO GROUPS s; XGROUP SETID s a 0; XINFO GROUPS s; XGROUP SETID s a $; XINFO GROUPS s; XGROUP SETID s a 0 ENTRIESREAD 99; XINFO GROUPS s; XSETID s 10 ENTRIESADDED 100; XINFO GROUPS s; XDEL s 9; XINFO GROUPS s; XINFO STREAM s
         XGROUP CREATE s a 0 MKSTREAM; XINFO GROUPS s; XINFO STREAM s FULL; XADD s 1 f v; XADD s 2 f v; XREADGROUP GROUP a x COUNT 1 STREAMS s >; XREADGROUP GROUP a y COUNT 1 STREAMS s >; XGROUP CREATECONSUMER s a z; XINFO CONSUMERS s a; XINFO STREAM s FULL; XINFO STREAM s FULL COUNT 1; XINFO STREAM s FULL COUNT 0; XINFO STREAM s FULL COUNT -1; XINFO STREAM s FULL COUNT x; XINFO stream s foo; XINFO CONSUMERS s b; XINFO STREAM s; XACK s a 1; XINFO STREAM s FULL
         XGROUP CREATE s a 0 MKSTREAM; XGROUP CREATE t a 0 MKSTREAM; XADD s 1 f v; XREADGROUP GROUP a x STREAMS s t > >; COPY s u; XINFO GROUPS u; XPENDING u a - + 9; RENAME u w; XINFO CONSUMERS w a; XPENDING w a; XACK w a 1; XPENDING s a; XPENDING w a; DEL s; XGROUP CREATE s a 0 MKSTREAM; XPENDING s a",
    );
}

#[test]
fn the_lag_behind_a_gap_that_was_trimmed_is_counted() {
    compare(
        "XADD s 1 a b; XADD s 2 a b; XADD s 3 a b; XADD s 4 a b; XGROUP CREATE s g 0; XREADGROUP GROUP g c COUNT 1 STREAMS s >; XDEL s 2; XINFO GROUPS s; XTRIM s MAXLEN 2; XINFO GROUPS s",
    );
}
