//! Keys, their times to live, walks, whole databases.

use crate::support::check::{check, compare};
use crate::support::client::Client;
use crate::support::server::Server;

#[test]
fn keys_are_found_and_deleted() {
    check(
        "MSET a 1 b 2; EXISTS a b a c; DEL a c; EXISTS a; UNLINK b; DBSIZE",
        "OK; 3; 1; 0; 1; 0",
    );
    check(
        "SET s v; SADD t a; HSET h f v; TYPE s; TYPE t; TYPE h; TYPE none",
        "OK; 1; 1; string; set; hash; none",
    );
    check("MSET a 1 b 2; TOUCH a b c; OBJECT IDLETIME c", "OK; 2; nil");
}

#[test]
fn keys_are_renamed_copied_and_moved() {
    check(
        "SET a 1 EX 100; RENAME a b; EXISTS a; GET b; TTL b",
        "OK; OK; 0; '1'; 100",
    );
    check(
        "MSET a 1 b 2; RENAMENX a b; RENAMENX a c; MGET a b c",
        "OK; 0; 1; [nil '2' '1']",
    );
    check(
        "RENAME a b; SET a 1; RENAME a a; RENAMENX a a",
        "(ERR no such key); OK; OK; 0",
    );
    check(
        "SET a 1 EX 100; COPY a b; GET b; TTL b; SET a 2; GET b; COPY a b; COPY a b REPLACE; GET b",
        "OK; 1; '1'; 100; OK; '1'; 0; 1; '2'",
    );
    check(
        "SADD a x y; COPY a b; SADD a z; SMEMBERS b; HSET h f v; COPY h g; HSET h f w; HGET g f",
        "2; 1; 1; [x y]; 1; 1; 0; v",
    );
    check(
        "SET a 1; MOVE a 1; EXISTS a; SELECT 1; GET a; MOVE a 1",
        "OK; 1; 0; OK; '1'; (ERR source and destination objects are the same)",
    );
}

#[test]
fn a_large_value_is_renamed_and_copied_whole() {
    let members: Vec<_> = (0..1000).map(|number| format!("m{number}")).collect();
    let add = format!("SADD a {}", members.join(" "));
    check(
        &format!(
            "{add}; RENAME a b; SCARD b; EXISTS a; SREM b m1; SADD b n; SCARD b; SISMEMBER b m1"
        ),
        "1000; OK; 1000; 0; 1; 1; 1000; 0",
    );
    check(
        &format!("{add}; COPY a b; SREM a m1; SCARD a; SCARD b; SISMEMBER b m1"),
        "1000; 1; 1; 999; 1000; 1",
    );
}

#[test]
fn times_to_live_are_set_under_conditions() {
    check(
        "SET k v; TTL k; EXPIRE k 100; TTL k; PERSIST k; TTL k; PERSIST k; TTL m",
        "OK; -1; 1; 100; 1; -1; 0; -2",
    );
    check(
        "SET k v; EXPIRE k 10 XX; EXPIRE k 10 GT; EXPIRE k 10 LT; EXPIRE k 20 NX; EXPIRE k 20 GT; TTL k",
        "OK; 0; 0; 1; 0; 1; 20",
    );
    check(
        "SET k v; EXPIRE k 0; EXISTS k; SET k v; EXPIREAT k 1; EXISTS k; EXPIRE k 1",
        "OK; 1; 0; OK; 1; 0; 0",
    );
    check(
        "SET k v; PEXPIREAT k 32503680000000; EXPIRETIME k; PEXPIRETIME k; EXPIRETIME m",
        "OK; 1; 32503680000; 32503680000000; -2",
    );
}

#[test]
fn keys_match_patterns() {
    check(
        "MSET user:1 a user:2 b item:1 c; KEYS user:*; KEYS *:1; KEYS user:?; KEYS nothing*; KEYS user:1",
        "OK; [user:1 user:2]; [item:1 user:1]; [user:1 user:2]; []; [user:1]",
    );
    check("MSET a* 1 ab 2; KEYS a\\*; KEYS [ab]*", "OK; [a*]; [a* ab]");
    check("SET \\xff\\xff 1; DBSIZE", "OK; 1");
}

#[test]
fn scan_shows_every_key_once_it_has_gone_round() {
    check(
        "MSET a 1 b 2 c 3; SADD s x; SCAN 0 COUNT 100; SCAN 0 COUNT 100 TYPE set; SCAN 0 COUNT 100 MATCH [ab]",
        "OK; 1; ['0' [a b c s]]; ['0' [s]]; ['0' [a b]]",
    );
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for number in 0..1000 {
        client.call(&["SET", &format!("key{number}"), "v"]);
    }
    let (mut cursor, mut seen) = (String::from("0"), std::collections::BTreeSet::new());
    loop {
        let mut page = client.call(&["SCAN", &cursor, "COUNT", "7"]).elements();
        let keys = page.pop().unwrap().elements();
        assert!(keys.len() < 100, "a page is about as long as asked");
        seen.extend(keys.iter().map(|key| key.render()));
        cursor = page.pop().unwrap().render().replace('\'', "");
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 1000);
}

/// Walks with SCAN from cursor 0 to cursor 0: each page, and each cursor behind a page.
fn scan_all(client: &mut Client, options: &[&str]) -> (Vec<Vec<String>>, Vec<String>) {
    let (mut pages, mut cursors) = (Vec::new(), vec![String::from("0")]);
    loop {
        let cursor = cursors.last().unwrap();
        let mut page = client
            .call(&[&["SCAN", cursor], options].concat())
            .elements();
        let keys = page.pop().unwrap().elements();
        pages.push(keys.iter().map(|key| key.render()).collect());
        let next = page.pop().unwrap().render().replace('\'', "");
        assert!(!cursors[1..].contains(&next), "{next} comes twice");
        cursors.push(next);
        if cursors.last().unwrap() == "0" {
            return (pages, cursors);
        }
    }
}

#[test]
fn scan_of_a_prefix_visits_its_keys_alone() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for number in 0..2000 {
        client.call(&["SET", &format!("other{number}"), "v"]);
    }
    for number in 0..95 {
        client.call(&["SET", &format!("some:{number:02}"), "v"]);
    }
    client.call(&["CONFIG", "RESETSTAT"]);
    let (pages, cursors) = scan_all(&mut client, &["MATCH", "some:*", "COUNT", "10"]);
    assert_eq!(pages.len(), 10);
    assert_eq!(pages.concat().len(), 95);
    assert_eq!(pages[1][0], "some:10", "in key order");
    let info = client.call(&["INFO", "stats"]).render();
    assert!(info.contains("scan_visited_keys:95"), "{info}");

    // A cursor may be asked for twice, and keys that come and go meanwhile take none away.
    client.call(&["DEL", "some:19", "some:20", "some:21"]);
    let again = ["SCAN", &cursors[2], "MATCH", "some:*", "COUNT", "3"];
    let page = client.call(&again).elements().pop().unwrap();
    assert_eq!(page.render(), "[some:22 some:23 some:24]");
    // Other patterns go on behind the place where the walk stands.
    let rest = client.call(&["SCAN", &cursors[9], "MATCH", "some:?4", "COUNT", "100"]);
    assert_eq!(rest.render(), "['0' [some:94]]");
    let rest = client.call(&["SCAN", &cursors[9], "MATCH", "other1", "COUNT", "100"]);
    assert_eq!(rest.render(), "['0' []]");
    // A place that is not known is one that was forgotten: the walk begins again.
    let forgotten = (1_u64 << 52) + 1_000_000;
    let page = client.call(&["SCAN", &forgotten.to_string(), "MATCH", "some:0*"]);
    assert!(page.render().contains("some:00"), "{}", page.render());
}

#[test]
fn scan_of_a_prefix_in_scripts_is_a_read_of_a_range() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for number in 0..30 {
        client.call(&["SET", &format!("job:{number:02}"), "v"]);
    }
    let script = "#!lua flags=allow-undeclared-keys
        local cursor, count = '0', 0
        repeat
            local page = redis.call('SCAN', cursor, 'MATCH', 'job:*', 'COUNT', '7')
            cursor, count = page[1], count + #page[2]
            redis.call('SET', 'job:own' .. count, 'v')
        until cursor == '0'
        return count";
    // The keys that it writes lie behind where it stands: its last page has the four that it wrote.
    let count = client.call(&["EVAL", script, "0"]).render();
    assert_eq!(count, "34");
}

#[test]
fn encodings_are_told_as_redis_would() {
    check(
        "SET k 12; OBJECT ENCODING k; SET k abc; OBJECT ENCODING k; APPEND k d; OBJECT ENCODING k",
        "OK; int; OK; embstr; 4; raw",
    );
    check(
        "SADD s 1 2; OBJECT ENCODING s; SADD s a; OBJECT ENCODING s",
        "2; intset; 1; listpack",
    );
    check(
        "HSET h f v; OBJECT ENCODING h; OBJECT ENCODING m; OBJECT REFCOUNT h",
        "1; listpack; nil; 1",
    );
    let long = "x".repeat(65);
    check(
        &format!(
            "HSET h f {long}; OBJECT ENCODING h; SADD s {long}; OBJECT ENCODING s; SET k {long}; OBJECT ENCODING k"
        ),
        "1; hashtable; 1; hashtable; OK; raw",
    );
    let fields: String = (0..512).map(|number| format!(" {number} v")).collect();
    check(
        &format!("HSET h{fields}; OBJECT ENCODING h; HSET h more v; OBJECT ENCODING h"),
        "512; listpack; 1; hashtable",
    );
}

#[test]
fn databases_are_flushed_and_exchanged() {
    check(
        "SET a 1; FLUSHDB; DBSIZE; EXISTS a; SET a 2; FLUSHALL ASYNC; GET a",
        "OK; OK; 0; 0; OK; OK; nil",
    );
    check(
        "SET a 1; SWAPDB 0 1; EXISTS a; SELECT 1; GET a; SWAPDB 0 1; GET a",
        "OK; OK; 0; OK; '1'; OK; nil",
    );
    check(
        "SET a 1; SELECT 3; SET b 2; FLUSHDB; SELECT 0; GET a; DBSIZE",
        "OK; OK; OK; OK; OK; '1'; 1",
    );
}

#[test]
fn idle_times_count_from_the_last_write() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for write in ["SET a 1", "TOUCH a", "APPEND a 2"] {
        client.run(write);
        let idle_s = client
            .run("OBJECT IDLETIME a")
            .render()
            .parse::<u64>()
            .unwrap();
        assert!(idle_s < 60, "{write}: {idle_s}");
    }
}

#[test]
fn memory_usage_grows_with_the_value() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.call(&["SET", "short", "v"]);
    client.call(&["SET", "long", &"x".repeat(10_000)]);
    let usage = |client: &mut Client, key: &str| {
        client
            .call(&["MEMORY", "USAGE", key, "SAMPLES", "0"])
            .render()
            .parse::<usize>()
            .unwrap()
    };
    let (short, long) = (usage(&mut client, "short"), usage(&mut client, "long"));
    assert!(short > 1 && long >= short + 9_998, "{short} {long}");
    assert_eq!(client.run("MEMORY USAGE missing").render(), "nil");
}

#[test]
fn keys_are_as_in_redis() {
    compare(
        "DEL
        SET a 1; DEL a a
        EXISTS
        TYPE a b
        TOUCH a; SET a 1; TOUCH a a
        RENAME a b
        RENAME a a
        SET a 1; RENAME a
        SET a 1; SET b 2 EX 100; RENAME a b; TTL b; GET b
        RENAMENX a b
        COPY a b
        COPY a a
        SET a 1; COPY a a
        SET a 1; COPY a a DB 1; SELECT 1; GET a
        SET a 1; COPY a b DB 99
        SET a 1; COPY a b DB -1
        SET a 1; COPY a b DB x
        SET a 1; COPY a b DB
        SET a 1; COPY a b FOO
        SET a 1; COPY a b REPLACE DB 2; SELECT 2; GET b
        SET a 1; COPY a b DB 9223372036854775807
        MOVE a 1
        MOVE a 0
        MOVE a 99
        MOVE a x
        MOVE a -1
        SET a 1; SELECT 1; SET a 2; SELECT 0; MOVE a 1; GET a
        SET a 1 EX 100; MOVE a 1; SELECT 1; TTL a
        EXPIRE a
        EXPIRE a 10
        EXPIRE a x
        SET a 1; EXPIRE a x
        SET a 1; EXPIRE a 10 FOO
        SET a 1; EXPIRE a x FOO
        SET a 1; EXPIRE a 10 NX XX
        SET a 1; EXPIRE a 10 NX GT
        SET a 1; EXPIRE a 10 GT LT
        SET a 1; EXPIRE a 10 XX GT; EXPIRE a 10 XX LT; EXPIRE a 10; EXPIRE a 20 XX GT; TTL a
        SET a 1; EXPIRE a 10; EXPIRE a 10 NX; EXPIRE a 5 GT; EXPIRE a 20 LT; EXPIRE a 5 LT; TTL a
        SET a 1; EXPIRE a 9223372036854775807
        SET a 1; EXPIRE a -9223372036854775807
        SET a 1; EXPIRE a 9223372036854775
        SET a 1; PEXPIRE a 9223372036854775807
        SET a 1; PEXPIREAT a 9223372036854775807; PEXPIRETIME a
        SET a 1; EXPIREAT a 9223372036854775807
        SET a 1; EXPIRE a -1; EXISTS a
        SET a 1; EXPIREAT a -1; EXISTS a
        SET a 1; EXPIREAT a 0; EXISTS a
        SET a 1; EXPIRE a 10; EXPIRE a 0 GT; EXISTS a; EXPIRE a 0 LT; EXISTS a
        SET a 1; EXPIREAT a 32503680000; EXPIRETIME a; PEXPIRETIME a
        SET a 1; PEXPIREAT a 32503680000499; EXPIRETIME a
        SET a 1; PEXPIREAT a 32503680000500; EXPIRETIME a
        TTL a; PTTL a; EXPIRETIME a; PEXPIRETIME a; PERSIST a
        SET a 1; TTL a; PTTL a; EXPIRETIME a; PEXPIRETIME a; PERSIST a
        KEYS
        KEYS a b
        MSET ab 1 ac 2 b 3; KEYS a*; KEYS ?; KEYS *; KEYS [a-c]; KEYS [^a]*; KEYS ''; KEYS ab
        SCAN
        SCAN x
        SCAN ''
        SCAN 1.5
        SCAN 18446744073709551616
        SCAN 0 COUNT
        SCAN 0 COUNT 0
        SCAN 0 COUNT -1
        SCAN 0 COUNT x
        SCAN 0 FOO bar
        SCAN 0 MATCH
        SCAN 0
        MSET a 1 b 2; SCAN 0 MATCH a* COUNT 100; SCAN 0 TYPE STRING; SCAN 0 TYPE hash; SCAN 0 TYPE foo; SCAN 0 COUNT 1000 COUNT 5
        RANDOMKEY
        SET a 1; RANDOMKEY
        RANDOMKEY a
        DBSIZE
        DBSIZE a
        MSET a 1 b 2; DBSIZE
        FLUSHDB FOO
        FLUSHDB ASYNC SYNC
        FLUSHALL SYNC
        FLUSHALL FOO
        SWAPDB 0 x
        SWAPDB x 0
        SWAPDB 0 99
        SWAPDB -1 0
        SWAPDB 0 0
        SWAPDB 0
        SET a 1; SWAPDB 0 1; GET a; SELECT 1; GET a
        OBJECT
        OBJECT FOO
        OBJECT ENCODING
        OBJECT ENCODING a
        OBJECT FREQ a
        SET a 1; OBJECT FREQ a
        OBJECT IDLETIME a
        OBJECT REFCOUNT a
        SET a 10; OBJECT ENCODING a; SET a 01; OBJECT ENCODING a; SET a 9223372036854775808; OBJECT ENCODING a
        SET a 12345678901234567890123456789012345678901234; OBJECT ENCODING a
        SET a 123456789012345678901234567890123456789012345; OBJECT ENCODING a
        INCR a; OBJECT ENCODING a; APPEND a 1; OBJECT ENCODING a; INCR a; OBJECT ENCODING a
        INCRBYFLOAT a 1.5; OBJECT ENCODING a
        SET a abc; SETRANGE a 0 x; OBJECT ENCODING a
        APPEND a x; OBJECT ENCODING a
        SETRANGE a 0 x; OBJECT ENCODING a
        SADD s 1 2 3; OBJECT ENCODING s
        HSET h a 1; OBJECT ENCODING h
        MEMORY
        MEMORY USAGE
        MEMORY USAGE a
        MEMORY USAGE a SAMPLES
        MEMORY USAGE a SAMPLES -1
        MEMORY USAGE a SAMPLES x
        MEMORY USAGE a FOO 1",
    );
}

#[test]
fn ranges_of_keys_are_in_key_order() {
    let fill = "MSET a 1 b 2 c 3 ab 4; SADD b2 x; ";
    let line = "KEYRANGE - +; KEYRANGE [b +; KEYRANGE (b [c; KEYRANGE - (c LIMIT 2; KEYRANGE + -; \
                KEYRANGE - + TYPE set; KEYRANGE - + LIMIT 0; KEYRANGE - + TYPE string LIMIT 1";
    let expected = "OK; 1; [a ab b b2 c]; [b b2 c]; [b2 c]; [a ab]; []; [b2]; []; [a]";
    check(&format!("{fill}{line}"), expected);
    check(
        "MSET a 1 b 2; SADD c x; KEYRANGE - + WITHVALUES",
        "OK; 1; [a '1' b '2' c nil]",
    );
    check(
        "MSET user:1 a user:2 b users c; KEYCOUNT user:; KEYCOUNT user; KEYCOUNT none",
        "OK; 2; 3; 0",
    );
    let error = "(ERR min or max not valid string range item)";
    check("KEYRANGE a b; KEYRANGE - b", &format!("{error}; {error}"));
    check(
        "KEYRANGE - + LIMIT -1; KEYRANGE - + LIMIT; KEYRANGE - + NONSENSE",
        "(ERR value is out of range, must be positive); (ERR syntax error); (ERR syntax error)",
    );
}

/// That a key is there may be asked without naming it, what it holds may not.
#[test]
fn a_script_reads_the_values_of_a_range_that_it_declares_or_may_use() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("MSET a 1 b 2");
    let read = "return redis.call('KEYRANGE', '-', '+', 'WITHVALUES')";
    let direct = format!("#!lua flags=disable-atomicity\n{read}");
    for (command, body) in [("EVAL", read), ("EVAL", &direct), ("EVAL_RO", read)] {
        let refused = client.call(&[command, body, "1", "a"]).render();
        let refusal = "(ERR script tried accessing undeclared key, key: b, command: KEYRANGE";
        assert!(refused.starts_with(refusal), "{body}: {refused}");
        let declared = client.call(&[command, body, "2", "a", "b"]);
        assert_eq!(declared.render(), "[a '1' b '2']", "{body}");
    }
    for flags in ["allow-undeclared-keys", "optimistic-undeclared-keys"] {
        let script = format!("#!lua flags={flags}\n{read}");
        let reply = client.call(&["EVAL", &script, "0"]);
        assert_eq!(reply.render(), "[a '1' b '2']", "{flags}");
    }
    let keys = "return redis.call('KEYRANGE', '-', '+')";
    assert_eq!(client.call(&["EVAL", keys, "0"]).render(), "[a b]");
    let explained = client.call(&["SCRIPT", "EXPLAIN", read, "1", "a"]).render();
    assert!(
        explained.contains("it uses undeclared keys: b"),
        "{explained}"
    );
}
