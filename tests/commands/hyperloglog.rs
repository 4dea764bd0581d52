//! HyperLogLog.

use crate::support::check::{check, compare, compare_lines};
use crate::support::client::{Client, Reply};
use crate::support::random::Random;
use crate::support::redis::Redis;
use crate::support::server::Server;

const NO_SKETCH: &str = "(WRONGTYPE Key is not a valid HyperLogLog string value.)";

#[test]
fn elements_are_added_and_counted() {
    check(
        "PFADD k a b c; PFADD k a; PFCOUNT k; PFADD m c d; PFCOUNT k m; PFCOUNT missing; PFCOUNT k missing",
        "1; 0; 3; 1; 4; 0; 3",
    );
    check(
        "PFADD k; PFADD k; GET k; PFCOUNT k; TYPE k; OBJECT ENCODING k",
        "1; 0; 'HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xff'; 0; string; raw",
    );
    check(
        "PFADD a 1 2 3; PFADD b 3 4; PFMERGE d a b; PFCOUNT d; PFMERGE d; PFCOUNT d; PFMERGE n; PFCOUNT n",
        "1; 1; OK; 4; OK; 4; OK; 0",
    );
    check(
        "PFADD k a; EXPIRE k 100; PFADD k b; TTL k; PFMERGE k; TTL k",
        "1; 1; 1; 100; OK; 100",
    );
}

#[test]
fn other_values_are_refused() {
    check(
        "SET k text; PFADD k a; PFCOUNT k; PFMERGE k; PFMERGE d k; EXISTS d",
        &format!("OK; {NO_SKETCH}; {NO_SKETCH}; {NO_SKETCH}; {NO_SKETCH}; 0"),
    );
    check(
        "SADD s a; PFADD s a; PFCOUNT s; PFCOUNT missing s",
        "1; (WRONGTYPE Operation against a key holding the wrong kind of value); \
         (WRONGTYPE Operation against a key holding the wrong kind of value); \
         (WRONGTYPE Operation against a key holding the wrong kind of value)",
    );
}

#[test]
fn sketches_are_as_in_redis() {
    compare(
        "PFADD
        PFCOUNT
        PFMERGE
        SET k HYLL; PFADD k a; PFCOUNT k
        SET k 12; PFADD k a; PFCOUNT k
        SET k 'HYLL\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xff'; PFADD k a; PFCOUNT k
        SET k 'HYLL\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xff'; PFADD k a; PFCOUNT k
        SET k 'HYLX\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xff'; PFADD k a; PFCOUNT k
        SET k 'HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xff'; PFADD k a; GET k; PFCOUNT k
        SET k 'HYLL\\x01\\x07\\x08\\x09\\x05\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x7f\\xff'; PFCOUNT k; PFCOUNT k k; PFADD k a; GET k; PFCOUNT k
        SET k 'HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xfe'; PFCOUNT k; PFCOUNT k k; PFMERGE d k; EXISTS d
        SET k 'HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xff\\x00'; PFCOUNT k; PFCOUNT k k; PFMERGE d k; EXISTS d
        SET k 'HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80'; PFCOUNT k; PFCOUNT k k; PFADD k a
        SET k 'HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\xff\\xff'; PFCOUNT k; PFMERGE d k
        PFADD k a b; OBJECT ENCODING k; STRLEN k; PFADD k c EX 10; PFCOUNT k
        SADD s a; PFADD s a; PFMERGE s; PFMERGE d s; PFCOUNT s; EXISTS d
        SET t x; PFADD k a; PFMERGE d k t; EXISTS d; PFCOUNT k t
        PFADD k ''; PFCOUNT k k; PFADD k '\\x00'; GET k; PFCOUNT k
        PFADD k 1 12 123 1234 12345 123456 1234567 12345678 123456789 1234567890123456 12345678901234567; GET k; PFCOUNT k",
    );
}

/// From the first element to the dense form, and on: the strings are equal, and so are the estimates.
/// A PFCOUNT of one key would put its estimate in the string, there alone.
#[test]
fn random_sketches_are_those_of_redis_to_the_byte() {
    let mut random = Random(3);
    let mut lines = vec![
        "CONFIG SET hll-sparse-max-bytes 300; CONFIG GET hll-sparse-max-bytes".to_owned(),
        "CONFIG SET hll-sparse-max-bytes 3000".to_owned(),
    ];
    for round in 0..30 {
        let mut commands = Vec::new();
        for _ in 0..25 {
            let key = random.pick(&["a", "b", "c"]);
            let other = random.pick(&["a", "b", "c", "none"]);
            let (first, count) = (random.below(3000), 1 + random.below(round * 10 + 5));
            commands.push(match random.below(8) {
                0 => format!("PFMERGE {key} {other}; GET {key}"),
                1 => format!("PFCOUNT {key} {other}"),
                2 => format!("PFADD {key} x{first}; GET {key}"),
                _ => {
                    let elements: Vec<_> = (first..first + count).map(|n| n.to_string()).collect();
                    format!("PFADD {key} {}; STRLEN {key}", elements.join(" "))
                }
            });
        }
        commands.push("PFCOUNT a b c; PFMERGE d a b c; GET d; PFCOUNT d".into());
        lines.push(commands.join("; "));
    }
    let many: Vec<_> = (0..30)
        .map(|n| {
            let elements: Vec<_> = (n * 1000..n * 1000 + 1000).map(|n| n.to_string()).collect();
            format!("PFADD k {}; GET k; PFCOUNT k none", elements.join(" "))
        })
        .collect();
    lines.push(many.join("; "));
    compare_lines(&lines, &["HELLO 3"]);
}

/// A sketch that was made on one side goes on on the other.
#[test]
fn sketches_are_carried_over_in_both_directions() {
    let Some(redis) = Redis::start() else { return };
    let server = Server::start();
    let mut theirs = redis.client();
    let mut ours = Client::connect(server.address);
    let add = |client: &mut Client, numbers: std::ops::Range<u32>| {
        let mut words = vec!["PFADD".to_owned(), "k".to_owned()];
        words.extend(numbers.map(|n| n.to_string()));
        assert_eq!(client.call(&words), Reply::Integer(1));
    };
    let carry = |from: &mut Client, to: &mut Client| {
        let Reply::Bulk(bytes) = from.run("GET k") else {
            panic!("a string")
        };
        let set: [&[u8]; 3] = [b"SET", b"k", &bytes];
        assert_eq!(to.call(&set).render(), "OK");
        let count = from.run("PFCOUNT k");
        assert_eq!(to.run("PFCOUNT k"), count);
        count
    };
    for round in 0..8 {
        let start = round * 2000;
        add(&mut theirs, start..start + 1000);
        // With the estimate in it.
        theirs.run("PFCOUNT k");
        carry(&mut theirs, &mut ours);
        add(&mut ours, start + 1000..start + 2000);
        let Reply::Integer(count) = carry(&mut ours, &mut theirs) else {
            panic!("a number")
        };
        let added = i64::from(start) + 2000;
        assert!((count - added).abs() < added / 20, "{count} of {added}");
    }
}
