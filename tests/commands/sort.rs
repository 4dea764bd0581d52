//! SORT and SORT_RO.

use crate::support::check::{check, compare, compare_lines};
use crate::support::client::Client;
use crate::support::random::Random;
use crate::support::server::Server;

const NO_NUMBER: &str = "(ERR One or more scores can't be converted into double)";

#[test]
fn elements_are_put_in_order() {
    check(
        "RPUSH l 3 10 2.5 -1; SORT l; SORT l DESC; SORT l ALPHA; SORT l LIMIT 1 2; SORT_RO l DESC LIMIT 0 1",
        "4; ['-1' 2.5 '3' '10']; ['10' '3' 2.5 '-1']; ['-1' '10' 2.5 '3']; [2.5 '3']; ['10']",
    );
    check(
        "SADD s b a c; SORT s ALPHA DESC; SORT s; ZADD z 1 9 2 8; SORT z; SORT missing; SORT_RO missing",
        &format!("3; [c b a]; {NO_NUMBER}; 2; ['8' '9']; []; []"),
    );
    check(
        "SET k v; SORT k; SORT_RO k; SORT missing LIMIT x 1; SORT missing FOO",
        "OK; (WRONGTYPE Operation against a key holding the wrong kind of value); \
         (WRONGTYPE Operation against a key holding the wrong kind of value); \
         (ERR value is not an integer or out of range); (ERR syntax error)",
    );
}

/// In scripts these keys are declared, since the line names them.
#[test]
fn other_keys_give_the_order_and_the_reply() {
    check(
        "MSET w_1 3 w_2 1 w_3 2; RPUSH l 1 2 3 4; EXISTS w_4; SORT l BY w_*; SORT l BY w_* DESC LIMIT 0 2; SORT_RO l BY w_* GET # GET w_*",
        "OK; 4; 0; ['4' '2' '3' '1']; ['1' '3']; ['4' nil '2' '1' '3' '2' '1' '3']",
    );
    check(
        "HSET h_1 n 2 t one; HSET h_2 n 1 t two; RPUSH l 1 2; SORT l BY h_*->n GET h_*->t GET h_*->x; SORT l BY h_*->t ALPHA DESC",
        "2; 2; 2; [two nil one nil]; ['2' '1']",
    );
    check(
        "RPUSH l c a b; SORT l BY nosort; SORT l BY nosort DESC LIMIT 1 2; SORT l BY nosort GET nosort; SORT l BY nosort GET #",
        "3; [c a b]; [a c]; [nil nil nil]; [c a b]",
    );
    check(
        "ZADD z 3 a 1 b 2 c; SORT z BY nosort; SORT z BY nosort DESC; SORT z BY nosort DESC LIMIT 1 5; SORT z BY nosort LIMIT 9 1",
        "3; [b c a]; [a c b]; [c b]; []",
    );
}

/// As C reads numbers; a vertical tab is one of its spaces.
#[test]
fn spaces_stand_before_numbers_only() {
    check(
        "RPUSH l '\\x0b5' '\\x0c4' ' 3'; SORT l; MSET w_1 '\\x0b2' w_2 1; RPUSH n 1 2; SORT n BY w_*",
        "3; [' 3' '\\x0c4' '\\x0b5']; OK; 2; ['2' '1']",
    );
    check("RPUSH l '5 '; SORT l", &format!("1; {NO_NUMBER}"));
}

#[test]
fn the_order_is_stored() {
    check(
        "RPUSH l 3 1 2; SET d x; EXPIRE d 100; SORT l STORE d; LRANGE d 0 -1; TTL d; SORT l DESC LIMIT 0 2 STORE l; LRANGE l 0 -1",
        "3; OK; 1; 3; ['1' '2' '3']; -1; 2; ['3' '2']",
    );
    check(
        "RPUSH d x; SORT missing STORE d; EXISTS d; RPUSH l a; SORT l STORE d; EXISTS d; SORT_RO l ALPHA STORE d",
        &format!("1; 0; 0; 1; {NO_NUMBER}; 0; (ERR syntax error)"),
    );
    check(
        "SET v_a 1; RPUSH l a b; EXISTS v_b; SORT l ALPHA GET v_* GET # STORE d; LRANGE d 0 -1; SADD s b c a; SORT s BY nosort STORE d; LRANGE d 0 -1",
        "OK; 2; 0; 4; ['1' a '' b]; 3; 3; [a b c]",
    );
}

/// What a pattern makes of an element is a key like any other.
#[test]
fn a_script_reads_by_patterns_what_it_declares_or_may_use() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("MSET w_1 2 w_2 1");
    client.run("RPUSH l 1 2");
    let sort = "return redis.call('SORT', KEYS[1], 'BY', 'w_*')";
    let refusal = "ERR script tried accessing undeclared key, key: w_1, command: SORT";
    let refused = client.call(&["EVAL", sort, "1", "l"]).render();
    assert!(
        refused.starts_with(&format!("({refusal} script: ")),
        "{refused}"
    );
    let declared = client.call(&["EVAL", sort, "3", "l", "w_1", "w_2"]);
    assert_eq!(declared.render(), "['2' '1']");
    for flags in [
        "allow-undeclared-keys",
        "optimistic-undeclared-keys",
        "allow-undeclared-keys,disable-atomicity",
    ] {
        let script = format!("#!lua flags={flags}\n{sort}");
        let reply = client.call(&["EVAL", &script, "1", "l"]);
        assert_eq!(reply.render(), "['2' '1']", "{flags}");
    }
    let direct = format!("#!lua flags=disable-atomicity\n{sort}");
    let refused = client.call(&["EVAL", &direct, "1", "l"]).render();
    assert!(
        refused.starts_with(&format!("({refusal} script: ")),
        "{refused}"
    );
    let read = "return redis.call('SORT_RO', KEYS[1], 'GET', 'w_*')";
    let refused = client.call(&["EVAL_RO", read, "1", "l"]).render();
    assert!(
        refused.contains("undeclared key, key: w_1, command: SORT_RO"),
        "{refused}"
    );
    let explained = client.call(&["SCRIPT", "EXPLAIN", sort, "1", "l"]).render();
    assert!(
        explained.contains("it uses undeclared keys: w_1, w_2"),
        "{explained}"
    );
}

/// The log tells of a refusal once, and auto-correction allows it from then on.
#[test]
fn a_refused_pattern_counts_as_a_refusal() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("RPUSH l 1");
    client.run("CONFIG SET lua_allow_undeclared_auto_correct yes");
    let sort = "return redis.call('SORT', KEYS[1], 'GET', 'w_*')";
    assert!(
        client
            .call(&["EVAL", sort, "1", "l"])
            .render()
            .contains("undeclared key")
    );
    assert_eq!(client.call(&["EVAL", sort, "1", "l"]).render(), "[nil]");
}

/// Readers see keys together that were written together.
#[test]
fn patterns_are_read_at_one_moment() {
    let server = Server::start();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut client = Client::connect(server.address);
            for n in 0..300 {
                let n = n.to_string();
                client.call(&["MSET", "w_1", &n, "w_2", &n, "w_3", &n]);
            }
        });
        let mut client = Client::connect(server.address);
        client.run("RPUSH l 1 2 3");
        while !writer.is_finished() {
            for name in ["SORT", "SORT_RO"] {
                let values = client.call(&[name, "l", "GET", "w_*"]).elements();
                assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
            }
        }
    });
}

#[test]
fn sorting_is_as_in_redis() {
    compare(
        "SORT
        SORT_RO
        SORT missing
        SORT missing STORE d; EXISTS d
        SORT missing LIMIT 0
        SORT missing LIMIT 0 x
        SORT missing BY
        SORT missing GET
        SORT missing STORE
        SORT_RO missing STORE d
        SORT missing asc desc alpha limit 0 1 by x get y
        SET k v; SORT k; SORT k FOO; SORT k STORE d
        HSET h f v; SORT h
        RPUSH l 3 1 2; SORT l; SORT l ASC; SORT l DESC ASC; SORT l desc
        RPUSH l 1.5 1e2 -3 0x10 inf -inf ''; SORT l; SORT l DESC
        RPUSH l ' 1' 2; SORT l
        RPUSH l '1 ' 2; SORT l
        RPUSH l nan; SORT l
        RPUSH l 1e400; SORT l
        RPUSH l a; SORT l; SORT l STORE d; EXISTS d
        RPUSH l b a C '' aa A; SORT l ALPHA; SORT l ALPHA DESC
        RPUSH l 1 1.0 01 1; SORT l; SORT l DESC
        RPUSH l 5 4 3 2 1; SORT l LIMIT 0 2; SORT l LIMIT 3 10; SORT l LIMIT 5 1; SORT l LIMIT -2 2; SORT l LIMIT 1 -1; SORT l LIMIT 0 0; SORT l LIMIT 2 1 LIMIT 0 1
        RPUSH l 5 4 3; SORT l LIMIT 9223372036854775807 9223372036854775807; SORT l LIMIT -9223372036854775808 -5; SORT l LIMIT 1 9223372036854775807
        SADD s 3 1 2; SORT s; SORT s DESC LIMIT 0 1; SORT s BY nosort STORE d; LRANGE d 0 -1; SORT s BY nosort DESC STORE d; LRANGE d 0 -1
        SADD s c a b; SORT s; SORT s ALPHA; SORT s BY x STORE d; LRANGE d 0 -1
        ZADD z 1 c 2 b 3 a; SORT z; SORT z ALPHA; SORT z BY nosort; SORT z BY nosort DESC; SORT z BY nosort LIMIT 1 1; SORT z BY nosort DESC LIMIT 0 2; SORT z BY nosort LIMIT 5 5; SORT z BY nosort DESC LIMIT 3 1
        ZADD z 1 c 2 b 3 a; SORT z BY nosort GET # GET x_* STORE d; LRANGE d 0 -1
        RPUSH l c a b; SORT l BY nosort; SORT l BY nosort DESC; SORT l BY nosort LIMIT 1 1; SORT l BY nosort DESC LIMIT 1 5; SORT l BY nosort DESC LIMIT 3 5; SORT l BY nosort DESC LIMIT 4 5
        RPUSH l 1 2 3; MSET w_1 30 w_2 10 w_3 20; SORT l BY w_*; SORT l BY w_* DESC; SORT l BY w_* LIMIT 0 2; SORT l BY w_* GET w_* GET #; SORT_RO l BY w_*
        RPUSH l 1 2 3; MSET w_1 30 w_3 x; SORT l BY w_*; SORT l BY w_* ALPHA; SORT l BY w_* ALPHA DESC
        RPUSH l 1 2 3; MSET w_1 b w_2 a; SORT l BY w_* ALPHA; SORT l BY w_* ALPHA DESC GET w_*
        RPUSH l 1 2 3; SADD w_1 x; HSET w_2 f 1; SORT l BY w_*; SORT l GET w_*; SORT l GET w_*->f; SORT l BY w_*->f DESC
        RPUSH l 1 2; HSET h_1 a 5 b x; HSET h_2 a 4 b y; SORT l BY h_*->a; SORT l BY h_*->a GET h_*->b; SORT l GET h_*->; SORT l GET h_*->c; SORT l GET h_*->a->b
        RPUSH l 1 2; SET h_1-> v; SORT l GET h_*->
        RPUSH l 1 2; SET a1b*c v; SORT l GET a*b*c; SORT l GET *; SORT l GET ##; SORT l GET '' GET #
        RPUSH l 2 1; SORT l BY nosort BY w_*; SORT l BY w_* BY nosort; SORT l BY #
        RPUSH l 2 1; SORT l GET # STORE d; LRANGE d 0 -1; SORT l GET missing STORE d; LRANGE d 0 -1; SORT l STORE a STORE b; EXISTS a b
        RPUSH l 2 1; SET d x EX 100; SORT l STORE d; TTL d; TYPE d; SORT l LIMIT 5 5 STORE d; EXISTS d
        RPUSH l 2 1; SORT l STORE l; LRANGE l 0 -1
        RPUSH l 2 1; MSET w_1 '' w_2 ' '; SORT l BY w_*
        COMMAND GETKEYS SORT l BY w_* GET x_* STORE d
        COMMAND GETKEYS SORT l
        COMMAND GETKEYS SORT_RO l BY w_*
        COMMAND GETKEYS SORT l STORE a STORE b",
    );
}

#[test]
fn random_orders_are_as_in_redis() {
    let mut random = Random(5);
    let mut lines = Vec::new();
    for _ in 0..60 {
        let mut commands = Vec::new();
        for _ in 0..20 {
            let n = random.below(30);
            commands.push(format!(
                "RPUSH l {n}; ZADD z {} {n}; SADD s {n}",
                random.below(9)
            ));
            commands.push(format!(
                "SET w_{n} {}; HSET h_{n} f {}",
                random.below(9),
                random.below(99)
            ));
        }
        for _ in 0..20 {
            // Equal ones that are sorted by other keys as text have no order of their own.
            let by = random.pick(&["", " BY w_*", " BY h_*->f", " ALPHA"]);
            let order = random.pick(&["", " DESC", " ASC"]);
            let limit = match random.below(3) {
                0 => String::new(),
                _ => format!(" LIMIT {} {}", random.below(12), random.below(12)),
            };
            let get = random.pick(&["", " GET #", " GET w_*", " GET h_*->f GET # GET x_*"]);
            let key = random.pick(&["l", "z", "s"]);
            let nosort = random.pick(&["l", "z"]);
            commands.push(match random.below(4) {
                0 => format!("SORT {nosort} BY nosort{order}{limit}{get}"),
                1 => format!("SORT {key}{by}{order}{limit}{get} STORE d; LRANGE d 0 -1"),
                _ => format!("SORT {key}{by}{order}{limit}{get}"),
            });
        }
        lines.push(commands.join("; "));
    }
    compare_lines(&lines, &["HELLO 3"]);
}
