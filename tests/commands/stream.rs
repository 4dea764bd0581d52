//! Streams.

use crate::support::check::{check, check_in_both, compare};
use crate::support::client::Client;
use crate::support::server::Server;

#[test]
fn entries_are_added_in_order() {
    check(
        "XADD s 1-1 a 1 b 2; XADD s 1-2 c 3; XADD s 1-2 d 4; XADD s 0-5 d 4; XLEN s; XRANGE s - +; XLEN m",
        "1-1; 1-2; (ERR The ID specified in XADD is equal or smaller than the target stream top item); \
         (ERR The ID specified in XADD is equal or smaller than the target stream top item); 2; \
         [[1-1 [a '1' b '2']] [1-2 [c '3']]]; 0"
            .replace("1-1", "'1-1'")
            .replace("1-2", "'1-2'")
            .as_str(),
    );
    check(
        "XADD s 0-0 a b; XADD s 0-* a b; XADD s 5-* a b; XADD s 5-* a b; XADD s 7 a b; XADD s 6-* a b",
        "(ERR The ID specified in XADD must be greater than 0-0); '0-1'; '5-0'; '5-1'; '7-0'; \
         (ERR The ID specified in XADD is equal or smaller than the target stream top item)",
    );
    check(
        "XADD s NOMKSTREAM * a b; EXISTS s; XADD s 1 a b; XADD s NOMKSTREAM 2 a b; XADD s x a b; XADD s 3-x a b; XADD s + a b",
        "nil; 0; '1-0'; '2-0'; (ERR Invalid stream ID specified as stream command argument); \
         (ERR Invalid stream ID specified as stream command argument); \
         (ERR Invalid stream ID specified as stream command argument)",
    );
    check(
        "XADD s 18446744073709551615-18446744073709551615 a b; XADD s * a b; XADD t 5-18446744073709551615 a b; XADD t 5-* a b; XADD t 6-* a b",
        "'18446744073709551615-18446744073709551615'; \
         (ERR The stream has exhausted the last possible ID, unable to add more items); \
         '5-18446744073709551615'; \
         (ERR The ID specified in XADD is equal or smaller than the target stream top item); '6-0'",
    );
    check(
        "XADD s 1-1 a",
        "(ERR wrong number of arguments for 'xadd' command)",
    );
}

#[test]
fn an_id_by_the_clock_is_behind_all_others() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut ids: Vec<(u64, u64)> = Vec::new();
    for _ in 0..200 {
        let id = client.run("XADD s * a b").render();
        let (milliseconds, sequence) = id.trim_matches('\'').split_once('-').unwrap();
        ids.push((milliseconds.parse().unwrap(), sequence.parse().unwrap()));
    }
    assert!(ids.is_sorted_by(|one, next| one < next));
    client.run("XADD s 99999999999999-5 a b");
    assert_eq!(client.run("XADD s * a b").render(), "'99999999999999-6'");
}

#[test]
fn a_range_is_read_in_both_directions() {
    check(
        "XADD s 1-1 a 1; XADD s 1-2 b 2; XADD s 2-1 c 3; XRANGE s 1 1; XRANGE s (1-1 +; XRANGE s - (2-1 COUNT 1; XREVRANGE s + - COUNT 2; XREVRANGE s (2-1 (1-1; XRANGE s 3 +; XRANGE m - +",
        "'1-1'; '1-2'; '2-1'; [['1-1' [a '1']] ['1-2' [b '2']]]; [['1-2' [b '2']] ['2-1' [c '3']]]; \
         [['1-1' [a '1']]]; [['2-1' [c '3']] ['1-2' [b '2']]]; [['1-2' [b '2']]]; []; []",
    );
    check(
        "XRANGE s (18446744073709551615-18446744073709551615 +; XRANGE s - (0-0; XRANGE s (- +; XADD s 1 a b; XRANGE s - + COUNT 0; XRANGE s - + COUNT",
        "(ERR invalid start ID for the interval); (ERR invalid end ID for the interval); \
         (ERR Invalid stream ID specified as stream command argument); '1-0'; nil; (ERR syntax error)",
    );
}

#[test]
fn several_streams_are_read_from_an_id_on() {
    check_in_both(
        "XADD s 1-1 a 1; XADD s 1-2 b 2; XADD t 5 c 3; XREAD STREAMS s 1-1; XREAD COUNT 1 STREAMS s t m 0 0 0; XREAD STREAMS s 1-2; XREAD STREAMS s t $ $",
        "'1-1'; '1-2'; '5-0'; [[s [['1-2' [b '2']]]]]; [[s [['1-1' [a '1']]]] [t [['5-0' [c '3']]]]]; nil; nil",
        "'1-1'; '1-2'; '5-0'; [s [['1-2' [b '2']]]]; [s [['1-1' [a '1']]] t [['5-0' [c '3']]]]; nil; nil",
    );
    check(
        "XREAD BLOCK x STREAMS s 0; XREAD BLOCK -1 STREAMS s 0; XREAD STREAMS s >; XREAD FOO STREAMS s 0; XREAD COUNT 1 COUNT 1",
        "(ERR timeout is not an integer or out of range); (ERR timeout is negative); \
         (ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.); \
         (ERR syntax error); (ERR syntax error)",
    );
}

#[test]
fn an_unbalanced_list_of_streams_is_refused() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    assert_eq!(
        client.run("XREAD STREAMS s t 0").render(),
        "(ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.)"
    );
}

#[test]
fn entries_are_deleted_and_remembered() {
    check(
        "XADD s 1 a b; XADD s 2 a b; XADD s 3 a b; XDEL s 2 9; XDEL s x; XLEN s; XDEL s 1 3; EXISTS s; XADD s 2 a b; XDEL m x",
        "'1-0'; '2-0'; '3-0'; 1; (ERR Invalid stream ID specified as stream command argument); 2; 2; 1; \
         (ERR The ID specified in XADD is equal or smaller than the target stream top item); 0",
    );
}

#[test]
fn a_stream_is_trimmed_by_length_or_id() {
    check(
        "XADD s 1 a b; XADD s 2 a b; XADD s 3 a b; XADD s MAXLEN 2 4 a b; XLEN s; XTRIM s MAXLEN = 1; XRANGE s - +; XADD s MINID 5 5 a b; XLEN s; XTRIM s MAXLEN 0; EXISTS s; XTRIM m MAXLEN 0",
        "'1-0'; '2-0'; '3-0'; '4-0'; 2; 1; [['4-0' [a b]]]; '5-0'; 1; 1; 1; 0",
    );
    check(
        "XTRIM s MAXLEN -1; XTRIM s MAXLEN x; XTRIM s MINID x; XTRIM s LIMIT 1; XTRIM s LIMIT 0; XTRIM s MAXLEN 1 LIMIT 1; XTRIM s MAXLEN 1 MINID 1; XTRIM s FOO 1",
        "(ERR The MAXLEN argument must be >= 0.); (ERR value is not an integer or out of range); \
         (ERR Invalid stream ID specified as stream command argument); \
         (ERR syntax error, LIMIT cannot be used without specifying a trimming strategy); \
         (ERR syntax error, XTRIM must be called with a trimming strategy); \
         (ERR syntax error, LIMIT cannot be used without the special ~ option); \
         (ERR syntax error, MAXLEN and MINID options at the same time are not compatible); \
         (ERR syntax error)",
    );
}

#[test]
fn an_approximate_trim_removes_hundreds() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for number in 1..=1_000 {
        client.call(&["XADD", "s", &number.to_string(), "f", "v"]);
    }
    for (line, expected) in [
        ("XTRIM s MAXLEN ~ 555", "400"),
        ("XTRIM s MAXLEN ~ 300 LIMIT 30", "0"),
        ("XTRIM s MAXLEN ~ 0 LIMIT 150", "100"),
        ("XTRIM s MINID ~ 750", "200"),
        ("XTRIM s MINID 777", "76"),
        ("XLEN s", "224"),
        ("XTRIM s MAXLEN ~ 0", "224"),
    ] {
        assert_eq!(client.run(line).render(), expected, "{line}");
    }
}

#[test]
fn a_last_id_is_set_within_bounds() {
    check(
        "XADD s 5 a b; XADD s 6 a b; XSETID s 5; XSETID s 9 ENTRIESADDED 1; XSETID s 9 ENTRIESADDED -1; XSETID s 9 MAXDELETEDID 10; XSETID s 9 ENTRIESADDED 7 MAXDELETEDID 4; XADD s 9 a b; XSETID m 1; XSETID s 9 FOO",
        "'5-0'; '6-0'; (ERR The ID specified in XSETID is smaller than the target stream top item); \
         (ERR The entries_added specified in XSETID is smaller than the target stream length); \
         (ERR entries_added must be positive); \
         (ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id); OK; \
         (ERR The ID specified in XADD is equal or smaller than the target stream top item); \
         (ERR no such key); (ERR syntax error)",
    );
}

#[test]
fn streams_are_as_in_redis() {
    compare(
        "SET v v; XADD v 1 a b; XLEN v; XRANGE v - +; XRANGE v x +; XREVRANGE v + -; XREAD STREAMS v 0; XREAD STREAMS v $; XDEL v x; XTRIM v MAXLEN 1; XSETID v 1; XINFO STREAM v
         XADD; XADD s; XADD s 1; XADD s 1 a; XADD s 1 a b c; XADD s NOMKSTREAM NOMKSTREAM NOMKSTREAM NOMKSTREAM; XLEN; XRANGE s -; XREAD STREAMS s; XDEL s; XTRIM s MAXLEN; XSETID s; XINFO; XINFO STREAM; XINFO FOO
         XADD s 1-1 a b; XADD s 1 a b; XADD s 1-* a b; XADD s 0-* a b; XADD s *-1 a b; XADD s 1-** a b; XADD s -1 a b; XADD s 1- a b; XADD s 18446744073709551616 a b; XADD s +5 a b; XADD s 007 a b
         XADD s MAXLEN 1 1 a b; XADD s MAXLEN ~ 1 2 a b; XADD s MAXLEN = 1 3 a b; XADD s MAXLEN ~ 1 LIMIT 5 4 a b; XADD s MAXLEN 0 5 a b; XLEN s; XINFO STREAM s; XADD s MINID 7 6 a b; XLEN s
         XADD s MAXLEN a b c; XADD s MAXLEN -1 1 a b; XADD s MAXLEN 1 MAXLEN 1 1 a b; XADD s LIMIT 1 1 a b; XADD s LIMIT 0 1 a b; XADD s MAXLEN 1 LIMIT 1 1 a b; XADD s MAXLEN ~ 1 LIMIT -1 1 a b; XADD s MINID ~ x 1 a b
         XADD s 1-1 a b; XADD s 1-2 a b; XADD s 2-1 a b; XRANGE s 1 2; XRANGE s 1-2 1-2; XRANGE s (1 (2; XRANGE s (1-1 (2-1; XRANGE s + -; XRANGE s 1 1 COUNT 1; XREVRANGE s 2 1 COUNT 1; XREVRANGE s - +; XREVRANGE s (2-1 -
         XADD s 1-1 a b; XRANGE s - + COUNT -1; XRANGE s - + COUNT x; XRANGE s - + COUNT 1 COUNT 2; XRANGE s - + FOO 1; XRANGE s ( +; XRANGE s (+ +; XRANGE s - 1-x; XRANGE m - + COUNT 0
         XADD s 1-1 a b; XADD s 2-1 a b; XADD t 3 c d; XREAD STREAMS s t 0 0; XREAD COUNT 1 STREAMS t s 0 1; XREAD COUNT 0 STREAMS s 0; XREAD COUNT -1 STREAMS s 0; XREAD STREAMS s t $ $; XREAD STREAMS m 0
         XREAD COUNT x STREAMS s 0; XREAD STREAMS s x; XREAD STREAMS s -; XREAD STREAMS s 18446744073709551615-18446744073709551615; XREAD GROUP a b STREAMS s 0; XREAD NOACK STREAMS s 0; XREAD BLOCK 5 STREAMS s $; XREAD BLOCK 5 STREAMS s m 0 $
         XADD s 1 a b; XADD s 2 a b; XADD s 3 a b; XDEL s 2; XDEL s 2 3-0 3; XLEN s; XDEL s 1 x; XLEN s; XINFO STREAM s; XDEL s 1; XINFO STREAM s; XREAD STREAMS s 0; XADD s 3 a b
         XADD s 1 a b; XADD s 2 a b; XADD s 3 a b; XTRIM s MAXLEN ~ 1; XTRIM s MAXLEN 2; XTRIM s MINID 3; XTRIM s MINID ~ 9; XLEN s; XTRIM s MAXLEN 5 FOO; XTRIM s MAXLEN ~ ~; XTRIM s MINID; XINFO STREAM s
         XTRIM s LIMIT 0; XTRIM s LIMIT 5; XTRIM s LIMIT 0 MAXLEN ~ 5; XTRIM s LIMIT x MAXLEN 5; XTRIM s FOO 5; XTRIM s MAXLEN = 5 LIMIT 0
         XADD s 5 a b; XSETID s 7; XSETID s 7 ENTRIESADDED x; XSETID s 7 ENTRIESADDED; XSETID s x; XSETID s 8 MAXDELETEDID 0; XSETID s 8 MAXDELETEDID 8 ENTRIESADDED 3; XINFO STREAM s; XSETID m 1
         XADD s 1 a b c d; XADD s 2 e f; XINFO STREAM s FULL; XINFO STREAM s FULL COUNT 1; XINFO STREAM s FULL COUNT 0; XINFO STREAM s FOO; XINFO STREAM s FULL COUNT; XINFO STREAM m; XINFO STREAM m FOO",
    );
}

#[test]
fn numbers_of_ids_are_read_as_by_c() {
    compare(
        "XADD s ' 9-1' a b; XADD s '9- 3' a b; XADD s ' 9-*' a b; XADD s '9 -9' a b; XADD s ' ' a b; XADD s '9- ' a b
        XADD s 007-1 a b; XADD s +7-+2 a b; XRANGE s '( 7' +; XRANGE s ' 7' '\\x098'; XDEL s ' 7-1'; XLEN s",
    );
}

#[test]
fn as_many_entries_go_together_as_the_option_says() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut fill = |node_entries: usize, count: usize, then: &[(&str, &str)]| {
        client.run(&format!(
            "CONFIG SET stream-node-max-entries {node_entries}"
        ));
        client.run("DEL s");
        for id in 1..=count {
            client.run(&format!("XADD s {id} f v"));
        }
        for (line, expected) in then {
            assert_eq!(
                client.run(line).render(),
                *expected,
                "{node_entries}: {line}"
            );
        }
    };
    let add = [
        ("XADD s MAXLEN ~ 55 LIMIT 30 101 f v", "'101-0'"),
        ("XLEN s", "71"),
        ("XADD s MAXLEN ~ 55 LIMIT 30 102 f v", "'102-0'"),
        ("XLEN s", "62"),
    ];
    fill(10, 100, &add);
    fill(
        1,
        102,
        &[("XTRIM s MAXLEN ~ 1", "100"), ("XTRIM s MAXLEN ~ 1", "1")],
    );
    let limits = [
        ("XTRIM s MAXLEN ~ 0 LIMIT 1", "0"),
        ("XTRIM s MAXLEN ~ 0 LIMIT 2", "2"),
    ];
    fill(2, 3, &limits);
    let parts = [
        ("XTRIM s MAXLEN 555", "445"),
        ("XTRIM s MAXLEN ~ 444", "55"),
        ("XTRIM s MAXLEN ~ 401", "0"),
        ("XTRIM s MINID ~ 600", "0"),
        ("XTRIM s MINID ~ 601", "100"),
    ];
    fill(100, 1_000, &parts);
    // Redis fills a node up to 4,096 bytes then.
    fill(
        0,
        300,
        &[("XTRIM s MAXLEN ~ 100", "0"), ("XTRIM s MAXLEN ~ 0", "300")],
    );
}
