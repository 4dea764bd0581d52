//! Strings and counters.

use crate::support::check::{check, check_in_both, compare};

#[test]
fn a_string_is_set_and_read() {
    check(
        "SET k v; GET k; GET missing; STRLEN k; TYPE k",
        "OK; v; nil; 1; string",
    );
    check(
        "SET k 'a b\\r\\n\\x00'; GET k; STRLEN k",
        "OK; 'a b\\r\\n\\x00'; 6",
    );
    check("SET k ''; GET k; EXISTS k", "OK; ''; 1");
    check(
        "MSET a 1 b 2; MGET a b c; MSETNX c 3 a 9; MSETNX c 3 d 4; MGET a c d",
        "OK; ['1' '2' nil]; 0; 1; ['1' '3' '4']",
    );
    check(
        "SADD s a; MGET s; GET s",
        "1; [nil]; (WRONGTYPE Operation against a key holding the wrong kind of value)",
    );
    check(
        "GETSET k a; GETSET k b; GETDEL k; GETDEL k; EXISTS k",
        "nil; a; b; nil; 0",
    );
}

#[test]
fn set_obeys_its_options() {
    check(
        "SET k a NX; SET k b NX; SET k c XX; SET m c XX; GET k",
        "OK; nil; OK; nil; c",
    );
    check(
        "SET k a GET; SET k b GET; SET k c NX GET; GET k",
        "nil; a; b; b",
    );
    check(
        "SET k a EX 100; TTL k; SET k b KEEPTTL; TTL k; SET k c; TTL k",
        "OK; 100; OK; 100; OK; -1",
    );
    check("SET k a PXAT 1; EXISTS k", "OK; 0");
    check(
        "SET k a EXAT 32503680000; EXPIRETIME k; GETEX k PERSIST; TTL k",
        "OK; 32503680000; a; -1",
    );
    check("SADD k a; SET k b; GET k", "1; OK; b");
    check(
        "SADD k a; SET k b GET; TYPE k",
        "1; (WRONGTYPE Operation against a key holding the wrong kind of value); set",
    );
}

#[test]
fn counters_count() {
    check(
        "INCR k; INCRBY k 10; DECR k; DECRBY k 20; GET k",
        "1; 11; 10; -10; '-10'",
    );
    check(
        "SET k 9223372036854775807; INCR k; GET k",
        "OK; (ERR increment or decrement would overflow); '9223372036854775807'",
    );
    check("SET k 1 EX 100; INCR k; TTL k", "OK; 2; 100");
    check(
        "INCRBYFLOAT k 10.5; INCRBYFLOAT k 0.1; INCRBYFLOAT k -5; INCRBYFLOAT k 5.0e3",
        "10.5; 10.6; 5.6; 5005.60000000000000009",
    );
}

#[test]
fn parts_of_a_string_are_read_and_written() {
    check(
        "APPEND k Hello; APPEND k ' World'; GETRANGE k 0 4; GETRANGE k -5 -1; SUBSTR k 2 1",
        "5; 11; Hello; World; ''",
    );
    check(
        "SETRANGE k 3 abc; GET k; SETRANGE k 0 ''; SETRANGE m 5 ''; EXISTS m",
        "6; '\\x00\\x00\\x00abc'; 6; 0; 0",
    );
    check("SET k a EX 100; APPEND k b; TTL k", "OK; 2; 100");
}

#[test]
fn a_long_string_is_kept_in_pieces_and_read_whole() {
    let long = "x".repeat(200_000);
    check(
        &format!("SET k {long}; APPEND k tail; GETRANGE k 199998 -1; STRLEN k"),
        "OK; 200004; xxtail; 200004",
    );
    check(
        &format!("SET k {long}; SETRANGE k 100000 y; GETRANGE k 99999 100001; GET k"),
        &format!(
            "OK; 200000; xyx; {}y{}",
            "x".repeat(100_000),
            "x".repeat(99_999)
        ),
    );
}

#[test]
fn lcs_finds_what_is_common() {
    check(
        "MSET a ohmytext b mynewtext; LCS a b; LCS a b LEN; LCS a missing",
        "OK; mytext; 6; ''",
    );
    check(
        "MSET a ohmytext b mynewtext; LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN",
        "OK; [matches [[[4 7] [5 8] 4]] len 6]",
    );
}

#[test]
fn replies_in_resp3_differ_only_in_form() {
    check_in_both("SET k 1; GET k; GET m", "OK; '1'; nil", "OK; '1'; nil");
}

#[test]
fn strings_are_as_in_redis() {
    compare(
        "GET
        GET a b
        SET a
        SET a b c
        SET a b EX
        SET a b EX 0
        SET a b EX -1
        SET a b EX abc
        SET a b EX 9223372036854775807
        SET a b PX 9223372036854775807
        SET a b EXAT 0
        SET a b PXAT -5
        SET a b EX 10 PX 10
        SET a b EX 10 EX 20; TTL a
        SET a b EX 10 KEEPTTL
        SET a b KEEPTTL EX 10
        SET a b NX XX
        SET a b XX NX
        SET a b NX NX
        SET a b PERSIST
        SET a b ex 10 nx get; TTL a
        SET a b GET GET
        SET a b NX GET; SET a c NX GET; GET a
        SADD s x; SET s y NX GET; SET s y XX; GET s
        SADD s x; SET s y EX 0 GET
        SETNX a b; SETNX a c; GET a
        SADD s x; SETNX s a
        SETEX a 10 b; TTL a; GET a
        SETEX a 0 b
        SETEX a -1 b
        SETEX a x b
        SETEX a 9223372036854775807 b
        PSETEX a 10000 b; GET a
        PSETEX a 0 b
        SADD s x; GETSET s a
        SADD s x; GETDEL s
        GETEX
        GETEX missing EX 0
        GETEX missing FOO
        SET a b; GETEX a EX 0
        SET a b; GETEX a EX
        SET a b; GETEX a EX 10 PX 10
        SET a b; GETEX a KEEPTTL
        SET a b; GETEX a EX 10 PERSIST
        SET a b; GETEX a PERSIST EX 10
        SET a b; GETEX a PERSIST PERSIST
        SET a b; GETEX a NX
        SET a b; GETEX a EX 100; TTL a; GETEX a; TTL a; GETEX a PERSIST; TTL a
        SET a b; GETEX a PXAT 1; EXISTS a
        SADD s x; GETEX s EX 0
        SADD s x; GETEX s
        APPEND a b; APPEND a c; GET a
        SADD s x; APPEND s a
        SADD s x; STRLEN s
        STRLEN missing
        SET a hello; GETRANGE a 1 3; GETRANGE a -3 -2; GETRANGE a 0 100; GETRANGE a 5 10; GETRANGE a -100 -200
        SET a hello; GETRANGE a -1 -3; GETRANGE a 3 1; GETRANGE a -100 2; GETRANGE a 0 -100; GETRANGE a 0 0
        SET a ''; GETRANGE a 0 -1
        GETRANGE a x 1; GETRANGE a 1 x; GETRANGE missing 0 -1
        SADD s x; GETRANGE s 0 -1; GETRANGE s x -1
        SUBSTR a 0
        SETRANGE a -1 b
        SETRANGE a x b
        SETRANGE a 536870912 b
        SETRANGE a 536870911 ''
        SETRANGE a 9223372036854775807 b
        SADD s x; SETRANGE s 0 ''; SETRANGE s 0 a; SETRANGE s -1 a
        SET a hello; SETRANGE a 10 x; GET a; SETRANGE a 0 J; GET a
        MGET
        MSET a
        MSET a b c
        MSETNX a b c
        MSET a 1 a 2; GET a
        MSETNX a 1 a 2; GET a
        SADD s x; MSET s a; GET s
        SADD s x; MSETNX s a
        INCR a; INCR a; DECR a; DECR b
        SET a abc; INCR a; INCRBY a 1
        SET a ' 1'; INCR a
        SET a 01; INCR a
        SET a 1.0; INCR a
        SET a ''; INCR a
        SET a -0; INCR a
        SET a 9223372036854775807; INCR a; INCRBY a 1; DECRBY a -1
        SET a -9223372036854775808; DECR a; INCRBY a -1; DECRBY a 1
        DECRBY a -9223372036854775808
        DECRBY a -9223372036854775809
        INCRBY a 9223372036854775808
        INCRBY a 1.5
        INCRBY a x
        SADD s x; INCR s; INCRBY s x; INCRBYFLOAT s 1; INCRBYFLOAT s x
        INCRBYFLOAT a x
        INCRBYFLOAT a ''
        INCRBYFLOAT a ' 1'
        INCRBYFLOAT a '1 '
        INCRBYFLOAT a nan
        INCRBYFLOAT a inf
        INCRBYFLOAT a -inf
        SET a abc; INCRBYFLOAT a 1
        SET a inf; INCRBYFLOAT a 1
        INCRBYFLOAT a 3.0
        INCRBYFLOAT a 3.0e3; INCRBYFLOAT a 1e-3
        INCRBYFLOAT a 1e10; INCRBYFLOAT a -1e10
        INCRBYFLOAT a 1.5; INCRBYFLOAT a -1.5
        INCRBYFLOAT a 0x10
        INCRBYFLOAT a 17179869184; INCRBYFLOAT a 0.5
        LCS a
        LCS a b
        LCS a b LEN IDX
        LCS a b FOO
        LCS a b MINMATCHLEN
        LCS a b MINMATCHLEN x
        LCS a b IDX MINMATCHLEN -5
        SADD s x; LCS s b; LCS b s; LCS s b FOO
        MSET a abcdefg b xbcyefz; LCS a b; LCS a b LEN; LCS a b IDX; LCS a b IDX WITHMATCHLEN; LCS a b IDX MINMATCHLEN 3; LCS a b LEN MINMATCHLEN 9
        MSET a aaaa b aa; LCS a b IDX; LCS b a IDX; LCS a a
        MSET a abcbdab b bdcaba; LCS a b; LCS a b IDX WITHMATCHLEN; LCS b a IDX",
    );
}

#[test]
fn set_compares_with_what_is_there() {
    check(
        "SET k v; SET k w IFEQ v; GET k; SET k x IFEQ v; GET k; SET k y IFNE w; SET k y IFNE z; GET k",
        "OK; OK; w; nil; w; nil; OK; y",
    );
    check(
        "SET n 1 IFEQ 1; EXISTS n; SET n 1 IFNE 1; GET n; SET n 2 IFEQ 1 GET EX 100; TTL n",
        "nil; 0; OK; '1'; '1'; 100",
    );
    check(
        "SET k ''; DIGEST k; SET k v IFDEQ 2D06800538D394C2; SET k w IFDEQ 2d06800538d394c2; \
         SET k w IFDNE 2d06800538d394c2; GET k; DIGEST none",
        "OK; 2d06800538d394c2; OK; nil; OK; w; nil",
    );
    check(
        "SET k v NX IFEQ v; SET k v IFEQ v IFNE v; SET k v IFEQ; SET k v IFDEQ 12; SADD s a; \
         SET s v IFEQ a; DIGEST s",
        "(ERR syntax error); (ERR syntax error); (ERR syntax error); \
         (ERR digest must be exactly 16 hexadecimal characters); 1; \
         (WRONGTYPE Operation against a key holding the wrong kind of value); \
         (WRONGTYPE Operation against a key holding the wrong kind of value)",
    );
}

#[test]
fn keys_are_deleted_if_they_are_what_they_should_be() {
    check(
        "SET k v; DELEX k IFEQ w; DELEX k IFNE v; DELEX k IFEQ v; EXISTS k; DELEX k; DELEX k IFNE v",
        "OK; 0; 0; 1; 0; 0; 0",
    );
    check(
        "SET k ''; DELEX k IFDNE 2d06800538d394c2; DELEX k IFDEQ 2d06800538d394c2; SADD s a; DELEX s; \
         EXISTS s",
        "OK; 0; 1; 1; 1; 0",
    );
    check(
        "SET k v; DELIFEQ k w; DELIFEQ k v; DELIFEQ k v",
        "OK; 0; 1; 0",
    );
    check(
        "SADD s a; DELEX s IFEQ a; DELIFEQ s a; DELEX s NONSENSE a; EXISTS s",
        "1; (WRONGTYPE Operation against a key holding the wrong kind of value); \
         (WRONGTYPE Operation against a key holding the wrong kind of value); (ERR syntax error); 1",
    );
}

#[test]
fn many_strings_are_set_with_one_time_to_live() {
    check(
        "MSETEX 2 a 1 b 2 EX 100; MGET a b; TTL b; MSETEX 2 a 3 c 4 NX; EXISTS c; \
         MSETEX 2 a 3 b 4 XX KEEPTTL; TTL a; GET b; MSETEX 1 a 5; TTL a",
        "1; ['1' '2']; 100; 0; 0; 1; 100; '4'; 1; -1",
    );
    check(
        "MSETEX 0 a 1; MSETEX 3 a 1 b 2; MSETEX 1 a 1 b 2; MSETEX 1 a 1 EX 0; MSETEX 1 a 1 NX XX; EXISTS a",
        "(ERR invalid numkeys value); (ERR wrong number of key-value pairs); (ERR syntax error); \
         (ERR invalid expire time in 'msetex' command); (ERR syntax error); 0",
    );
}
