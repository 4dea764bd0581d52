//! Hashes.

use std::collections::BTreeSet;

use crate::support::check::{check, check_in_both, compare};
use crate::support::client::Client;
use crate::support::server::Server;

#[test]
fn fields_are_set_and_read() {
    check(
        "HSET h a 1 b 2; HSET h a 3 c 4; HGET h a; HGET h x; HGET m a; HLEN h",
        "2; 1; '3'; nil; nil; 3",
    );
    check(
        "HMSET h a 1 b 2; HMGET h b x a; HMGET m a; HGETALL h; HKEYS h; HVALS h",
        "OK; ['2' nil '1']; [nil]; [a '1' b '2']; [a b]; ['1' '2']",
    );
    check(
        "HSETNX h a 1; HSETNX h a 2; HGET h a; HEXISTS h a; HEXISTS h b; HSTRLEN h a; HSTRLEN h b",
        "1; 0; '1'; 1; 0; 1; 0",
    );
    check("HGETALL m; HKEYS m; HVALS m; HLEN m", "[]; []; []; 0");
}

#[test]
fn a_hash_without_fields_is_not_there() {
    check(
        "HSET h a 1 b 2; HDEL h a x; HLEN h; HDEL h b; EXISTS h; HDEL h b",
        "2; 1; 1; 1; 0; 0",
    );
    check(
        "HSET h a x; HINCRBY h a 1; HINCRBY m a x; EXISTS m",
        "1; (ERR hash value is not an integer); (ERR value is not an integer or out of range); 0",
    );
}

#[test]
fn fields_count() {
    check(
        "HINCRBY h a 5; HINCRBY h a -7; HGET h a; HINCRBYFLOAT h a 0.5; HINCRBYFLOAT h b 3.0",
        "5; -2; '-2'; -1.5; '3'",
    );
    check(
        "HSET h a 9223372036854775807; HINCRBY h a 1; HGET h a",
        "1; (ERR increment or decrement would overflow); '9223372036854775807'",
    );
}

#[test]
fn fields_are_drawn_at_random() {
    check(
        "HSET h a 1; HRANDFIELD h; HRANDFIELD h 5; HRANDFIELD h -3; HRANDFIELD m; HRANDFIELD m 2",
        "1; a; [a]; [a a a]; nil; []",
    );
    check_in_both(
        "HSET h a 1; HRANDFIELD h 1 WITHVALUES; HRANDFIELD h -2 WITHVALUES",
        "1; [a '1']; [a '1' a '1']",
        "1; [[a '1']]; [[a '1'] [a '1']]",
    );
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for field in 0..300 {
        client.call(&["HSET", "h", &format!("f{field}"), "v"]);
    }
    for count in [1, 7, 150, 151, 299, 300, 1000] {
        let drawn = client
            .call(&["HRANDFIELD", "h", &count.to_string()])
            .elements();
        let different: BTreeSet<_> = drawn.iter().map(|field| field.render()).collect();
        assert_eq!(drawn.len(), count.min(300));
        assert_eq!(different.len(), drawn.len(), "each at most once");
    }
    assert_eq!(client.run("HRANDFIELD h -1000").elements().len(), 1000);
}

/// Redis has it since 7.4, for hashes alone.
#[test]
fn a_scan_may_leave_the_values_out() {
    check(
        "HSET h a 1 b 2 ab 3; HSCAN h 0 NOVALUES; HSCAN h 0 MATCH a* NOVALUES COUNT 5; \
         HSCAN h 0 novalues NOVALUES; HSCAN m 0 NOVALUES",
        "3; ['0' [a ab b]]; ['0' [a ab]]; ['0' [a ab b]]; ['0' []]",
    );
    check(
        "HSET h a 1; HSCAN h 0 NOVALUES x; HSCAN h 0 COUNT NOVALUES; HSCAN h 0 MATCH NOVALUES",
        "1; (ERR syntax error); (ERR value is not an integer or out of range); ['0' []]",
    );
    const REFUSED: &str = "(ERR NOVALUES option can only be used in HSCAN)";
    check(
        "SADD s a; SSCAN s 0 NOVALUES; ZADD z 1 a; ZSCAN z 0 MATCH a NOVALUES; SCAN 0 NOVALUES",
        &format!("1; {REFUSED}; 1; {REFUSED}; {REFUSED}"),
    );
    check(
        "SSCAN m 0 NOVALUES; ZSCAN m 0 NOVALUES",
        "['0' []]; ['0' []]",
    );
}

#[test]
fn a_scan_shows_every_field_that_stays() {
    check(
        "HSET h a 1 b 2 ab 3; HSCAN h 0; HSCAN h 0 MATCH a* COUNT 5; HSCAN m 0",
        "3; ['0' [a '1' ab '3' b '2']]; ['0' [a '1' ab '3']]; ['0' []]",
    );
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for field in 0..1000 {
        client.call(&["HSET", "h", &format!("f{field}"), "v"]);
    }
    let (mut cursor, mut seen) = (String::from("0"), BTreeSet::new());
    for round in 0.. {
        let mut page = client
            .call(&["HSCAN", "h", &cursor, "COUNT", "20"])
            .elements();
        let fields = page.pop().unwrap().elements();
        seen.extend(fields.chunks(2).map(|pair| pair[0].render()));
        cursor = page.pop().unwrap().render().replace('\'', "");
        if cursor == "0" {
            break;
        }
        client.call(&["HSET", "h", &format!("new{round}"), "v"]);
        client.call(&["HDEL", "h", &format!("new{round}")]);
    }
    assert!((0..1000).all(|field| seen.contains(&format!("f{field}"))));
}

#[test]
fn hashes_are_as_in_redis() {
    compare(
        "HSET h a
        HSET h a 1 b
        HMSET h a 1 b
        HSET h a 1 a 2; HGET h a
        SET s v; HSET s a 1; HGET s a; HMGET s a; HDEL s a; HLEN s; HKEYS s; HVALS s; HGETALL s; HEXISTS s a; HSTRLEN s a
        SET s v; HSETNX s a 1; HINCRBY s a 1; HINCRBYFLOAT s a 1; HRANDFIELD s; HRANDFIELD s 1; HSCAN s 0; HSCAN s x
        SET s v; HINCRBY s a x; HINCRBYFLOAT s a x; HRANDFIELD s x; HRANDFIELD s 1 FOO; HSCAN s 0 FOO bar; HSCAN s 0 COUNT 0
        HSETNX h a
        HGET h
        HMGET h
        HDEL h
        HSET h a 1; HDEL h a a; EXISTS h
        HSET h a 1; HGETALL h; HKEYS h; HVALS h
        HSET h '' ''; HGETALL h; HSTRLEN h ''
        HINCRBY h a
        HINCRBY h a 1.5
        HINCRBY h a x
        HSET h a ' 1'; HINCRBY h a 1
        HSET h a x; HINCRBY h a 1; HINCRBYFLOAT h a 1
        HSET h a -9223372036854775808; HINCRBY h a -1
        HINCRBY h a -9223372036854775808; HINCRBY h a -1
        HINCRBYFLOAT h a x
        HINCRBYFLOAT h a nan
        HINCRBYFLOAT h a 1.5; HINCRBYFLOAT h a 1.5; HINCRBYFLOAT h a -3
        HINCRBYFLOAT h a 2.0e2; HGET h a
        HSET h a 5.0e3; HINCRBYFLOAT h a 2.0e2
        HRANDFIELD
        HRANDFIELD h
        HRANDFIELD h 0
        HRANDFIELD h x
        HRANDFIELD h 1.5
        HRANDFIELD h 1 FOO
        HRANDFIELD h 1 WITHVALUES FOO
        HRANDFIELD h WITHVALUES
        HRANDFIELD h 1 WITHVALUES
        HRANDFIELD h -9223372036854775808
        HRANDFIELD h 9223372036854775807 WITHVALUES
        HRANDFIELD h -9223372036854775807 WITHVALUES
        HRANDFIELD h 9223372036854775807
        HSET h a 1; HRANDFIELD h 0; HRANDFIELD h 0 WITHVALUES; HRANDFIELD h 1; HRANDFIELD h -2; HRANDFIELD h 1 WITHVALUES; HRANDFIELD h -2 WITHVALUES
        HSET h a 1 b 2; HRANDFIELD h 5
        HSCAN h
        HSCAN h 0
        HSCAN h x
        HSCAN h 0 FOO bar
        HSET h a 1; HSCAN h 0 FOO bar
        HSET h a 1; HSCAN h 0 COUNT 0; HSCAN h 0 COUNT x; HSCAN h 0 COUNT; HSCAN h 0 MATCH; HSCAN h 0 TYPE hash
        HSET h a 1 b 2 c 3; HSCAN h 0 MATCH [ab]; HSCAN h 0 COUNT 100 MATCH c; HSCAN h 0 MATCH z",
    );
}
