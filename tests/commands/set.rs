//! Sets.

use std::collections::BTreeSet;

use crate::support::check::{check, compare};
use crate::support::client::Client;
use crate::support::server::Server;

#[test]
fn members_are_added_and_removed() {
    check(
        "SADD s a b a; SADD s b c; SCARD s; SMEMBERS s; SISMEMBER s a; SISMEMBER s x; SMISMEMBER s a x",
        "2; 1; 3; [a b c]; 1; 0; [1 0]",
    );
    check(
        "SADD s a b; SREM s a x; SREM s b; EXISTS s; SREM s b; SCARD s; SMEMBERS s; SMISMEMBER s a",
        "2; 1; 1; 0; 0; 0; []; [0]",
    );
    check(
        "SADD s 3 1 2 -5; SMEMBERS s; SISMEMBER s 1; SISMEMBER s 01",
        "4; ['-5' '1' '2' '3']; 1; 0",
    );
}

#[test]
fn members_move_between_sets() {
    check(
        "SADD s a b; SADD t c; SMOVE s t a; SMOVE s t x; SMEMBERS s; SMEMBERS t; SMOVE s t b; EXISTS s",
        "2; 1; 1; 0; [b]; [a c]; 1; 0",
    );
    check(
        "SADD s a; SMOVE s s a; SMOVE s s b; SMEMBERS s; SMOVE m s a",
        "1; 1; 0; [a]; 0",
    );
}

#[test]
fn members_are_taken_at_random() {
    check(
        "SADD s a; SRANDMEMBER s; SRANDMEMBER s 3; SRANDMEMBER s -3; SPOP s; EXISTS s; SPOP s; SPOP s 3",
        "1; a; [a]; [a a a]; a; 0; nil; []",
    );
    check(
        "SADD s a b c; SPOP s 0; SPOP s 5; EXISTS s",
        "3; []; [a b c]; 0",
    );
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut left: BTreeSet<_> = (0..500).map(|member| format!("m{member}")).collect();
    for member in &left {
        client.call(&["SADD", "s", member]);
    }
    for count in [1, 10, 200, 100] {
        for member in client.call(&["SPOP", "s", &count.to_string()]).elements() {
            assert!(left.remove(&member.render()), "taken once");
        }
        assert_eq!(client.run("SCARD s").render(), left.len().to_string());
    }
    assert_eq!(left.len(), 500 - 311);
}

#[test]
fn every_member_may_be_drawn() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("SADD s a b c d e f g h");
    let drawn = client.run("SRANDMEMBER s -2000").elements();
    let different: BTreeSet<_> = drawn.iter().map(|member| member.render()).collect();
    assert_eq!((drawn.len(), different.len()), (2000, 8));
}

#[test]
fn sets_are_combined() {
    check(
        "SADD a 1 2 3 x; SADD b 2 3 y; SADD c 3 z; SINTER a b; SINTER a b c; SINTER a m; SUNION a b c; SDIFF a b; SDIFF a b c; SDIFF m a",
        "4; 3; 2; ['2' '3']; ['3']; []; ['1' '2' '3' x y z]; ['1' x]; ['1' x]; []",
    );
    check(
        "SADD a 1 2; SADD b 2 3; SINTERSTORE d a b; SMEMBERS d; SUNIONSTORE d a b; SMEMBERS d; SDIFFSTORE d a b; SMEMBERS d",
        "2; 2; 1; ['2']; 3; ['1' '2' '3']; 1; ['1']",
    );
    check(
        "SET d v; SINTERSTORE d m n; EXISTS d; SADD a 1; SET d v EX 100; SUNIONSTORE d a m; TTL d",
        "OK; 0; 0; 1; OK; 1; -1",
    );
    check(
        "SADD a 1 2; SADD b 2; SINTERSTORE a a b; SMEMBERS a",
        "2; 1; 1; ['2']",
    );
    check(
        "SADD a 1 2 3; SADD b 1 2 3; SINTERCARD 2 a b; SINTERCARD 2 a b LIMIT 2; SINTERCARD 2 a b LIMIT 0; SINTERCARD 2 a m",
        "3; 3; 3; 2; 3; 0",
    );
}

#[test]
fn sets_are_as_in_redis() {
    compare(
        "SADD s
        SREM s
        SET k v; SADD k a; SREM k a; SISMEMBER k a; SMISMEMBER k a; SCARD k; SMEMBERS k; SPOP k; SPOP k 1; SRANDMEMBER k; SRANDMEMBER k 1; SSCAN k 0
        SET k v; SPOP k x; SPOP k -1; SRANDMEMBER k x; SSCAN k x; SSCAN k 0 FOO bar
        SET k v; SMOVE k m a; SMOVE m k a; SADD s a; SMOVE s k a; SMOVE s k b
        SADD s a; SMOVE s t a; SMEMBERS t; EXISTS s; SMOVE t t a
        SADD s a b; SADD t a; SMOVE s t a; SMEMBERS s; SMEMBERS t
        SMOVE a b
        SISMEMBER s a
        SMISMEMBER s
        SPOP s
        SPOP s 0
        SPOP s x
        SPOP s -1
        SPOP s 1 2
        SPOP s 9223372036854775808
        SADD s a; SPOP s 0; SPOP s 1; SPOP s 1; EXISTS s
        SADD s a b c; SPOP s 9223372036854775807
        SRANDMEMBER s
        SRANDMEMBER s 5
        SRANDMEMBER s x
        SRANDMEMBER s 1 2
        SRANDMEMBER s -9223372036854775808
        SRANDMEMBER s 9223372036854775807
        SADD s a; SRANDMEMBER s; SRANDMEMBER s 0; SRANDMEMBER s 2; SRANDMEMBER s -2; SRANDMEMBER s x
        SINTER
        SET k v; SADD s a; SINTER s k; SINTER m k; SINTER k m; SUNION s k; SDIFF s k; SDIFF m k; SDIFF k
        SET k v; SADD s a; SINTERSTORE d s k; SINTERSTORE d m k; SUNIONSTORE d k; SDIFFSTORE d m k; SINTERSTORE k s; TYPE k
        SINTERSTORE d
        SADD a 1 2 3; SADD b 2 3 4; SINTER a b; SUNION a b; SDIFF a b; SINTER a; SINTER a a; SDIFF a a; SUNION a m
        SADD a 1 2 3; SADD b 2 3 4; SINTERSTORE d a b; SMEMBERS d; SUNIONSTORE d a b; SCARD d; SDIFFSTORE d b a; SMEMBERS d; SDIFFSTORE d a a; EXISTS d
        SADD a 1 2; SUNIONSTORE a a m; SMEMBERS a; SDIFFSTORE a a; SMEMBERS a
        SADD a 1 2; EXPIRE a 100; SADD a 3; TTL a; SUNIONSTORE a a; TTL a
        SADD a 1 2; SUNIONSTORE d a; OBJECT ENCODING d
        SINTERCARD
        SINTERCARD 0 a
        SINTERCARD -1 a
        SINTERCARD x a
        SINTERCARD 2 a
        SINTERCARD 1 a b
        SINTERCARD 1 a LIMIT
        SINTERCARD 1 a LIMIT -1
        SINTERCARD 1 a LIMIT x
        SINTERCARD 1 a FOO 1
        SET k v; SINTERCARD 1 k; SINTERCARD 2 m k; SINTERCARD 1 k LIMIT -1
        SADD a 1 2 3; SINTERCARD 1 a; SINTERCARD 1 a LIMIT 2; SINTERCARD 1 a LIMIT 0; SINTERCARD 2 a m LIMIT 1; SINTERCARD 1 a LIMIT 2 LIMIT 1
        SSCAN s
        SSCAN s 0
        SSCAN s x
        SSCAN s 0 FOO
        SADD s a; SSCAN s 0 FOO bar; SSCAN s 0 COUNT 0; SSCAN s 0 COUNT; SSCAN s 0 TYPE set
        SADD s a ab b; SSCAN s 0; SSCAN s 0 MATCH a*; SSCAN s 0 COUNT 100 MATCH b; SSCAN s 0 MATCH z
        SADD s 1 2 3; SMEMBERS s; SSCAN s 0",
    );
}
