//! Bitmaps and the integers in them.

use crate::support::check::{check, compare, compare_lines};
use crate::support::client::Client;
use crate::support::info::number;
use crate::support::process::Process;
use crate::support::random::Random;

#[test]
fn bits_are_set_read_and_counted() {
    check(
        "SETBIT k 7 1; SETBIT k 7 1; SETBIT k 7 0; SETBIT k 100 1; GETBIT k 100; GETBIT k 101; STRLEN k",
        "0; 1; 1; 0; 1; 0; 13",
    );
    check(
        "SET k foobar; BITCOUNT k; BITCOUNT k 0 0; BITCOUNT k 1 1; BITCOUNT k 5 30 BIT; BITCOUNT k -2 -1 BYTE",
        "OK; 26; 4; 6; 17; 7",
    );
    check(
        "SET k '\\xff\\xf0\\x00'; BITPOS k 0; BITPOS k 1 2; BITPOS k 1; BITPOS k 0 9 20 BIT; BITPOS missing 1; BITPOS missing 0",
        "OK; 12; -1; 0; 12; -1; 0",
    );
    check(
        "SET k 1 EX 100; SETBIT k 9 1; TTL k; GET k; OBJECT ENCODING k",
        "OK; 0; 100; 1@; raw",
    );
}

#[test]
fn strings_are_combined_bit_by_bit() {
    check(
        "MSET a foobar b abcdef; BITOP AND d a b; GET d; BITOP OR d a b; GET d; BITOP XOR d a b; GET d",
        "OK; 6; `bc`ab; 6; goofev; 6; '\\x07\\r\\x0c\\x06\\x04\\x14'",
    );
    check(
        "SET a '\\x0f'; BITOP NOT a a; GET a; BITOP AND d a missing; GET d; BITOP OR d m n; EXISTS d",
        "OK; 1; '\\xf0'; 1; '\\x00'; 0; 0",
    );
}

#[test]
fn integers_of_any_width_are_read_and_written() {
    check(
        "BITFIELD k INCRBY i5 100 1 GET u4 0; BITFIELD k SET u8 #1 300 GET u8 #1; BITFIELD_RO k GET u8 8",
        "[1 0]; [0 44]; [44]",
    );
    check(
        "BITFIELD k OVERFLOW SAT INCRBY u2 0 9 OVERFLOW FAIL INCRBY u2 0 9 OVERFLOW WRAP INCRBY u2 0 2",
        "[3 nil 1]",
    );
    check("BITFIELD k OVERFLOW FAIL SET u2 30 4; STRLEN k", "[nil]; 4");
    check(
        "SADD k a; BITFIELD k; BITFIELD_RO k GET u8 0",
        "1; (WRONGTYPE Operation against a key holding the wrong kind of value); \
         (WRONGTYPE Operation against a key holding the wrong kind of value)",
    );
}

/// With a snapshot held, each change keeps what it replaces: a chunk, not the string.
#[test]
fn a_bit_of_a_large_bitmap_costs_a_chunk() {
    const BITS: u64 = 1 << 29;
    let process = Process::start(&[], &[]);
    let mut client = Client::connect(process.address);
    let mut reader = Client::connect(process.address);
    assert_eq!(
        client.run(&format!("SETBIT k {} 1", BITS - 1)).render(),
        "0"
    );
    assert_eq!(client.run("STRLEN k").render(), (BITS / 8).to_string());
    assert_eq!(reader.run("SNAPSHOT BEGIN").render(), "OK");
    let before = number(&mut client, "used_memory");
    for n in 0..100 {
        let line = format!("SETBIT k {} 1", n * (BITS / 100));
        assert_eq!(client.run(&line).render(), "0");
    }
    let after = number(&mut client, "used_memory");
    assert!(after < before + (8 << 20), "{before}, then {after}");
    assert_eq!(client.run("BITCOUNT k").render(), "101");
    assert_eq!(reader.run("BITCOUNT k").render(), "1");
    let last = (BITS - 1).to_string();
    assert_eq!(reader.run("BITPOS k 1").render(), last);
    assert_eq!(
        client
            .run(&format!("BITPOS k 1 {} -1 BIT", BITS - 9))
            .render(),
        last
    );
}

/// As SETRANGE: what the limits forbid is not allocated first.
#[test]
fn a_bitmap_grows_as_far_as_the_limits_allow() {
    let process = Process::start(&[], &[]);
    let mut client = Client::connect(process.address);
    let used = number(&mut client, "used_memory");
    let max = (used + (16 << 20)).to_string();
    assert_eq!(
        client.call(&["CONFIG", "SET", "maxmemory", &max]).render(),
        "OK"
    );
    let refusal = "(OOM command not allowed when used memory > 'maxmemory'.)";
    assert_eq!(client.run("SETBIT k 4294967295 1").render(), refusal);
    assert_eq!(
        client.run("BITFIELD k SET u8 #500000000 1").render(),
        refusal
    );
    assert_eq!(client.run("SETBIT k 40000000 1").render(), "0");
    assert_eq!(client.run("BITOP OR a k").render(), "5000001");
    assert_eq!(client.run("BITOP OR b k").render(), "5000001");
    assert_eq!(client.run("BITOP OR c k").render(), refusal);
    assert_eq!(
        client.run("CONFIG SET proto-max-bulk-len 1mb").render(),
        "OK"
    );
    assert_eq!(
        client.run("SETBIT s 8388608 1").render(),
        "(ERR bit offset is not an integer or out of range)"
    );
    assert_eq!(client.run("GETBIT s 8388607").render(), "0");
}

#[test]
fn bitmaps_are_as_in_redis() {
    compare(
        "SETBIT k 0
        SETBIT k -1 1
        SETBIT k x 1
        SETBIT k 01 1
        SETBIT k '' 1
        SETBIT k 4294967296 1
        SETBIT k 9223372036854775807 1
        SETBIT k 0 2
        SETBIT k 0 -1
        SETBIT k 0 x
        SETBIT k 0 01
        SETBIT k -1 x
        SADD s a; SETBIT s 0 1; SETBIT s 0 2; SETBIT s x 1
        SETBIT k 0 0; GET k; EXISTS k; OBJECT ENCODING k
        SET k 12; SETBIT k 0 1; GET k; OBJECT ENCODING k
        GETBIT k -1
        GETBIT k x
        GETBIT k 4294967296
        GETBIT missing 5
        SADD s a; GETBIT s 0; GETBIT s x
        SET k 12; GETBIT k 2; GETBIT k 3; GETBIT k 100
        BITCOUNT
        BITCOUNT missing
        BITCOUNT missing 0
        BITCOUNT missing 0 x
        BITCOUNT missing 0 1 FOO
        SADD s a; BITCOUNT s; BITCOUNT s 0; BITCOUNT s 0 x
        SET k foobar; BITCOUNT k 0
        SET k foobar; BITCOUNT k x 1; BITCOUNT k 1 x; BITCOUNT k 0 1 FOO; BITCOUNT k 0 1 BIT BIT
        SET k foobar; BITCOUNT k -1 -2 FOO; BITCOUNT k -1 -2
        SET k foobar; BITCOUNT k 0 -1; BITCOUNT k 2 1; BITCOUNT k -100 100; BITCOUNT k 6 7; BITCOUNT k -3 -2 bit
        SET k foobar; BITCOUNT k 0 -1 BIT; BITCOUNT k 47 48 BIT; BITCOUNT k 48 60 BIT; BITCOUNT k 7 7 BIT; BITCOUNT k 8 8 BIT
        SET k ''; BITCOUNT k; BITCOUNT k 0 -1; BITCOUNT k 0 -1 BIT
        SET k 12; BITCOUNT k
        SET k foobar; BITCOUNT k -9223372036854775808 9223372036854775807; BITCOUNT k 9223372036854775807 -9223372036854775808
        BITPOS
        BITPOS k
        BITPOS k 2
        BITPOS k -1
        BITPOS k x
        BITPOS missing 0 x
        BITPOS missing 1 x
        BITPOS missing 1 0 0 FOO
        SADD s a; BITPOS s 0; BITPOS s 3; BITPOS s 0 x
        SET k foobar; BITPOS k 0 x; BITPOS k 0 0 x; BITPOS k 0 0 0 FOO; BITPOS k 0 0 x FOO; BITPOS k 0 0 0 BIT 9
        SET k ''; BITPOS k 0; BITPOS k 1; BITPOS k 0 0; BITPOS k 0 0 -1
        SET k '\\xff\\xff\\xff'; BITPOS k 0; BITPOS k 0 0; BITPOS k 0 0 -1; BITPOS k 0 0 -1 BIT; BITPOS k 0 1; BITPOS k 0 3; BITPOS k 0 2 1
        SET k '\\x00\\x00\\x00'; BITPOS k 1; BITPOS k 1 0 -1; BITPOS k 1 -1; BITPOS k 0 -1; BITPOS k 0 5
        SET k '\\xff\\xf0\\x0f'; BITPOS k 0 5 9 BIT; BITPOS k 0 5 13 BIT; BITPOS k 1 12 23 BIT; BITPOS k 1 12 18 BIT; BITPOS k 1 -3 -1 BIT; BITPOS k 0 -3 -1 BIT
        SET k '\\xff\\xf0\\x0f'; BITPOS k 0 12 12 BIT; BITPOS k 0 0 7 BIT; BITPOS k 0 -100 100 BIT; BITPOS k 0 30 40 BIT; BITPOS k 1 9223372036854775807 0
        BITOP
        BITOP AND d
        BITOP FOO d a
        BITOP NOT d a b
        BITOP not d a; EXISTS d
        SET d x; BITOP AND d a b; EXISTS d
        SADD s a; SET a x; BITOP OR d a s; BITOP NOT d s; BITOP AND s a; GET s; TYPE s
        SADD s a; BITOP OR s m n; EXISTS s
        SET a abc EX 100; SET d x EX 100; BITOP OR d a; TTL d; OBJECT ENCODING d
        MSET a abcd b xy c 12; BITOP AND d a b c; GET d; BITOP OR d a b c; GET d; BITOP XOR d a b c; GET d; BITOP XOR d a a; GET d
        MSET a abcd; BITOP AND d a missing; GET d; BITOP XOR d missing a; GET d; BITOP NOT d a; GET d; BITOP NOT a a; GET a
        SET a 0123456789012345678901234567890123456789; SET b 9876543210; BITOP AND d a b; GET d; BITOP XOR d b a; GET d; BITOP OR d a b a; GET d",
    );
}

#[test]
fn bitfields_are_as_in_redis() {
    compare(
        "BITFIELD
        BITFIELD k; EXISTS k
        BITFIELD k GET
        BITFIELD k GET u8
        BITFIELD k SET u8 0
        BITFIELD k INCRBY u8 0
        BITFIELD k FOO u8 0
        BITFIELD k GET u64 0
        BITFIELD k GET i65 0
        BITFIELD k GET u0 0
        BITFIELD k GET x8 0
        BITFIELD k GET u 0
        BITFIELD k GET '' 0
        BITFIELD k GET U8 0
        BITFIELD k GET u8 -1
        BITFIELD k GET u8 x
        BITFIELD k GET u8 #
        BITFIELD k GET u8 #-1
        BITFIELD k GET u8 ''
        BITFIELD k GET u8 4294967296
        BITFIELD k GET u8 #536870912
        BITFIELD k GET u8 4294967295; EXISTS k
        BITFIELD k GET i64 #144115188075855872
        BITFIELD k SET u8 0 x
        BITFIELD k SET u8 0 9223372036854775808
        BITFIELD k OVERFLOW
        BITFIELD k OVERFLOW FOO
        BITFIELD k OVERFLOW SAT; EXISTS k
        BITFIELD k SET u8 0 1 GET x 0; EXISTS k
        BITFIELD k GET u8 0 SET u8 0 5 GET u8 0; GET k; OBJECT ENCODING k
        SADD s a; BITFIELD s; BITFIELD s GET u8 0; BITFIELD s SET u8 0 1; BITFIELD s GET x 0; BITFIELD_RO s
        BITFIELD_RO k SET u8 0 1; EXISTS k
        BITFIELD_RO k SET u8 0 x
        BITFIELD_RO k INCRBY u8 0 1
        BITFIELD_RO k OVERFLOW SAT
        BITFIELD_RO k GET u8 0 GET i8 0
        SET k abc; BITFIELD_RO k GET u8 0 GET i4 4 GET u16 12 GET i64 0 GET u63 1 GET u8 100
        SET k 12; BITFIELD_RO k GET u16 0
        BITFIELD k SET i8 0 -1 GET u8 0 GET i8 0 GET u4 4; GET k
        BITFIELD k SET u8 0 -1 SET u8 8 256 SET u8 16 255; GET k
        BITFIELD k OVERFLOW SAT SET u8 0 -1 SET u8 8 256 SET i8 16 200 SET i8 24 -200; GET k
        BITFIELD k OVERFLOW FAIL SET u8 0 -1 SET u8 8 256 SET i8 16 200 SET i8 24 -200 SET u8 32 7; GET k
        BITFIELD k INCRBY u8 0 255 INCRBY u8 0 1 INCRBY u8 0 -1
        BITFIELD k OVERFLOW SAT INCRBY u8 0 300 INCRBY u8 0 -300 INCRBY i8 8 127 INCRBY i8 8 1 INCRBY i8 8 -300
        BITFIELD k OVERFLOW FAIL INCRBY u8 0 300 INCRBY u8 0 -1 INCRBY i8 8 127 INCRBY i8 8 1; STRLEN k
        BITFIELD k SET i64 0 9223372036854775807 INCRBY i64 0 1 OVERFLOW SAT INCRBY i64 0 -1 INCRBY i64 0 -9223372036854775808
        BITFIELD k SET i64 3 -9223372036854775808 OVERFLOW FAIL INCRBY i64 3 -1 GET i64 3 GET u63 4; GET k
        BITFIELD k SET u63 5 9223372036854775807 INCRBY u63 5 1 GET u63 5 OVERFLOW SAT INCRBY u63 5 -1
        BITFIELD k SET u1 #3 1 SET u3 #3 5 SET i7 #2 -3; GET k
        BITFIELD k SET u8 0 1 OVERFLOW SAT INCRBY u8 0 9223372036854775807 OVERFLOW WRAP INCRBY u8 0 9223372036854775807 INCRBY u8 0 -9223372036854775808
        SET k abc EX 100; BITFIELD k SET u8 0 65 INCRBY u8 64 1; TTL k; GET k
        BITFIELD k INCRBY i1 0 1 INCRBY i1 0 1 INCRBY i1 0 -1 SET i1 0 1",
    );
}

#[test]
fn random_bitmaps_are_as_in_redis() {
    let mut random = Random(2);
    let mut lines = Vec::new();
    for _ in 0..60 {
        let mut commands = Vec::new();
        for _ in 0..40 {
            let key = random.pick(&["a", "b", "c"]);
            let other = random.pick(&["a", "b", "c", "none"]);
            let bit = random.below(200);
            let (first, last) = (random.below(60) as i64 - 30, random.below(60) as i64 - 30);
            let unit = random.pick(&["", " BYTE", " BIT"]);
            let sign = random.pick(&["i", "u"]);
            let width = 1 + random.below(63);
            let value = random.below(1 << 40) as i64 - (1 << 39);
            let overflow = random.pick(&["WRAP", "SAT", "FAIL"]);
            commands.push(match random.below(10) {
                0 | 1 => format!("SETBIT {key} {bit} {}", bit % 2),
                2 => format!("GETBIT {key} {bit}"),
                3 => format!("BITCOUNT {key} {first} {last}{unit}"),
                4 => format!("BITPOS {key} {} {first} {last}{unit}", bit % 2),
                5 => format!("BITPOS {key} {} {first}", bit % 2),
                6 => format!(
                    "BITOP {} {other} {key} {other}",
                    random.pick(&["AND", "OR", "XOR"])
                ),
                7 => format!(
                    "BITFIELD {key} GET {sign}{width} {bit} SET {sign}{width} {bit} {value}"
                ),
                8 => {
                    format!("BITFIELD {key} OVERFLOW {overflow} INCRBY {sign}{width} {bit} {value}")
                }
                _ => format!("GET {key}"),
            });
        }
        lines.push(commands.join("; "));
    }
    compare_lines(&lines, &["HELLO 3"]);
}
