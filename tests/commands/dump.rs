//! DUMP and RESTORE: options, what is refused, and the same lines by a real Redis. Values of all
//! kinds go between both in `payloads`.

use darter::rdb::{save, sign};
use darter_storage::{StringValue, Value};

use crate::support::check::{check, compare, compare_lines};
use crate::support::client::{Client, Reply, fields};
use crate::support::info::number;
use crate::support::process::Process;
use crate::support::redis::Redis;
use crate::support::server::{Server, until};

/// A payload of what it holds.
fn signed(held: &[u8]) -> Vec<u8> {
    let mut payload = held.to_vec();
    sign(&mut payload);
    payload
}

fn of_string(text: &str) -> Vec<u8> {
    let value = Value::String(StringValue::new(text.as_bytes()));
    save(value.as_ref()).unwrap()
}

/// As lines have it.
fn quoted(payload: &[u8]) -> String {
    let bytes: String = payload
        .iter()
        .map(|byte| format!("\\x{byte:02x}"))
        .collect();
    format!("'{bytes}'")
}

/// As replies are written.
fn shown(payload: Vec<u8>) -> String {
    Reply::Bulk(payload).render()
}

#[test]
fn a_payload_is_restored_in_every_way() {
    let (payload, number) = (of_string("value"), of_string("12"));
    let (reply, number_reply) = (shown(payload.clone()), shown(number.clone()));
    let (v, n) = (quoted(&payload), quoted(&number));
    check(
        "SET k value; DUMP k; DUMP m; SET k 12 EX 100; DUMP k",
        &format!("OK; {reply}; nil; OK; {number_reply}"),
    );
    let busy = "(BUSYKEY Target key name already exists.)";
    check(
        &format!(
            "RESTORE k 0 {v}; GET k; TTL k; RESTORE k 0 {n}; GET k; RESTORE k 0 {n} REPLACE; GET k"
        ),
        &format!("OK; value; -1; {busy}; value; OK; '12'"),
    );
    check(
        &format!(
            "RESTORE k 100000 {v}; TTL k; RESTORE k 32503680000000 {v} ABSTTL REPLACE; PEXPIRETIME k"
        ),
        "OK; 100; OK; 32503680000000",
    );
    // A time that has passed: there is nothing, and with REPLACE nothing is left.
    check(
        &format!(
            "RESTORE k 1 {v} ABSTTL; EXISTS k; SET k 1; RESTORE k 1 {v} absttl replace; EXISTS k"
        ),
        "OK; 0; OK; OK; 0",
    );
    check(
        &format!(
            "RESTORE k 0 {v} IDLETIME 5 REPLACE; GET k; RESTORE k 0 {n} FREQ 5 REPLACE; GET k"
        ),
        "OK; value; OK; '12'",
    );
}

#[test]
fn what_cannot_be_restored_changes_nothing() {
    let wrong = "(ERR DUMP payload version or checksum are wrong)";
    let bad = "(ERR Bad data format)";
    let (twice, list) = (signed(b"\x02\x02\x01a\x01a"), signed(b"\x01\x00"));
    let more = signed(b"\x00\x01ab");
    check(
        &format!(
            "SET k 1; RESTORE k 0 x REPLACE; RESTORE k 0 {} REPLACE; RESTORE k 0 {} REPLACE; \
             RESTORE k 0 {} REPLACE; GET k; RESTORE m 0 {}; EXISTS m",
            quoted(&twice),
            quoted(&list),
            quoted(&more),
            quoted(&list)
        ),
        &format!("OK; {wrong}; {bad}; {bad}; {bad}; '1'; {bad}; 0"),
    );
    let time = i64::MAX;
    check(
        &format!("RESTORE k {time} {}; EXISTS k", quoted(&of_string("v"))),
        "(ERR invalid expire time in 'restore' command); 0",
    );
}

#[test]
fn what_only_a_cluster_needs_is_refused() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let reply = client.run("RESTORE-ASKING k 0 x").render();
    assert!(
        reply.starts_with("(ERR RESTORE-ASKING is not supported"),
        "{reply}"
    );
}

#[test]
fn dump_and_restore_are_as_in_redis() {
    let payload = of_string("value");
    let v = quoted(&payload);
    let cut = quoted(&payload[..payload.len() - 1]);
    let mut changed = payload.clone();
    changed[3] ^= 1;
    let changed = quoted(&changed);
    compare(&format!(
        "DUMP; DUMP a b; DUMP m; RESTORE; RESTORE k; RESTORE k 0
         RESTORE k 0 ''; RESTORE k 0 x; RESTORE k 0 {cut}; RESTORE k 0 {changed}; EXISTS k
         RESTORE k x {v}; RESTORE k -1 {v}; RESTORE k 1.5 {v}; RESTORE k 9223372036854775808 {v}; RESTORE k '' {v}
         RESTORE k 0 {v} FOO; RESTORE k 0 {v} REPLACE FOO; RESTORE k 0 {v} ''; RESTORE k 0 {v} REPLACE REPLACE ABSTTL ABSTTL; GET k
         RESTORE k 0 {v} IDLETIME; RESTORE k 0 {v} IDLETIME x; RESTORE k 0 {v} IDLETIME -1; RESTORE k 0 {v} IDLETIME 1 IDLETIME 2; GET k
         RESTORE k 0 {v} FREQ; RESTORE k 0 {v} FREQ x; RESTORE k 0 {v} FREQ -1; RESTORE k 0 {v} FREQ 256; RESTORE k 0 {v} FREQ 255 FREQ 0; GET k
         RESTORE k 0 {v} IDLETIME 1 FREQ 1; RESTORE k 0 {v} FREQ 1 IDLETIME 1; RESTORE k x {v} FREQ 256; EXISTS k
         SET k 1; RESTORE k 0 {v}; RESTORE k x {v}; RESTORE k 0 x; RESTORE k 0 x FOO; GET k
         SET k 1; RESTORE k x {v} REPLACE; RESTORE k 0 x REPLACE; GET k; RESTORE k 0 {v} REPLACE; GET k; TTL k
         SET k 1 EX 100; RESTORE k 0 {v} REPLACE; TTL k
         RPUSH l a; RESTORE l 0 {v}; RESTORE l 0 {v} replace; TYPE l
         RESTORE k 100000 {v}; TTL k; RESTORE k 0 {v} ABSTTL REPLACE; TTL k
         RESTORE k 1 {v} ABSTTL; EXISTS k; SET k 1; RESTORE k 1 {v} ABSTTL; RESTORE k 1 {v} ABSTTL REPLACE; EXISTS k
         RESTORE k 9223372036854775807 {v} ABSTTL; PEXPIRETIME k
         MULTI; RESTORE k 0 {v}; RESTORE k 0 {v}; DUMP k; GET k; EXEC"
    ));
}

#[test]
fn what_redis_refuses_is_refused() {
    let lines: Vec<String> = [
        &b""[..],
        b"\x00",
        b"\x00\x3fa",
        b"\x63\x01a",
        b"\x01\x00",
        b"\x01\x02\x01a",
        b"\x02\x00",
        b"\x02\x02\x01a\x01a",
        b"\x05\x02\x01a\x00\x00\x00\x00\x00\x00\xf0\x3f\x01a\x00\x00\x00\x00\x00\x00\xf0\x3f",
        b"\x05\x01\x01a\x00\x00\x00\x00\x00\x00\xf8\x7f",
        b"\x03\x01\x01a\xfd",
        b"\x0b\x08\x02\x00\x00\x00\x00\x00\x00\x00",
        b"\x0b\x07\x02\x00\x00\x00\x01\x00\x00",
        b"\x10\x07\x07\x00\x00\x00\x00\x00\xff",
        b"\x12\x00",
        b"\x12\x01\x03\x01a",
    ]
    .iter()
    .map(|held| format!("RESTORE k 0 {}; EXISTS k", quoted(&signed(held))))
    .collect();
    compare_lines(&lines, &["HELLO 2"]);
}

/// What is short is written with the same bytes, footer included.
#[test]
fn short_strings_are_dumped_as_by_redis() {
    let mut lines = Vec::new();
    for power in [0, 7, 8, 15, 16, 31, 32, 62] {
        let number = 1_i64 << power;
        for number in [
            number - 1,
            number,
            number + 1,
            -number - 1,
            -number,
            1 - number,
        ] {
            lines.push(format!("SET k {number}; DUMP k"));
        }
    }
    lines.push(format!(
        "SET k {}; DUMP k; SET k {}; DUMP k",
        i64::MIN,
        i64::MAX
    ));
    for text in [
        "''",
        "a",
        "01",
        "+1",
        "-0",
        "1.5",
        "12345678901",
        "' 1'",
        "'\\x00\\xff'",
    ] {
        lines.push(format!("SET k {text}; DUMP k"));
    }
    lines.push("INCR k; DUMP k; APPEND k 000; DUMP k; SETRANGE k 1 x; DUMP k".into());
    compare_lines(&lines, &["HELLO 2", "HELLO 3"]);
}

#[test]
fn a_list_that_is_restored_wakes_who_waits() {
    let server = Server::start();
    let mut waiting = Client::connect(server.address);
    waiting.send(&["BLPOP", "l", "0"]);
    until(|| server.services.waiters.len() == 1);
    let payload = signed(b"\x01\x02\x01a\x01b");
    let mut other = Client::connect(server.address);
    let restored = other.call(&[&b"RESTORE"[..], b"l", b"0", &payload]);
    assert_eq!(restored.render(), "OK");
    assert_eq!(waiting.read().render(), "[l a]");
    assert_eq!(other.run("LRANGE l 0 -1").render(), "[b]");
}

/// Two megabytes of one byte, compressed.
fn bomb() -> Vec<u8> {
    let runs = 8_000_usize;
    let mut held = vec![0, 0xc3];
    for length in [2 + 3 * runs, 1 + 264 * runs] {
        held.push(0x80);
        held.extend_from_slice(&(length as u32).to_be_bytes());
    }
    held.extend_from_slice(&[0, b'x']);
    (0..runs).for_each(|_| held.extend_from_slice(&[0xe0, 0xff, 0]));
    signed(&held)
}

#[test]
fn what_unpacks_to_too_much_is_refused() {
    let process = Process::start(&[], &[]);
    let mut client = Client::connect(process.address);
    let before = number(&mut client, "used_memory");
    let bomb = bomb();
    let restore = [&b"RESTORE"[..], b"k", b"0", &bomb, b"REPLACE"];
    assert_eq!(client.call(&restore).render(), "OK");
    assert_eq!(client.run("STRLEN k").render(), "2112001");
    client.run("SET k 1");
    client.run("CONFIG SET proto-max-bulk-len 1mb");
    assert_eq!(
        client.call(&restore).render(),
        "(ERR DUMP payload unpacks to more than proto-max-bulk-len)"
    );
    client.run("CONFIG SET proto-max-bulk-len 512mb");
    // What stood in the key is freed by the housekeeping.
    while number(&mut client, "used_memory") > before + (1 << 20) {}
    let bytes_max = (number(&mut client, "used_memory") + (3 << 20)).to_string();
    client.call(&["CONFIG", "SET", "maxmemory", &bytes_max]);
    assert_eq!(
        client.call(&restore).render(),
        "(OOM command not allowed when used memory > 'maxmemory'.)"
    );
    assert_eq!(client.run("GET k").render(), "'1'");
}

/// The groups of a stream, without what not all versions tell.
fn groups(client: &mut Client) -> Vec<String> {
    let mut info = fields(client.run("XINFO STREAM s FULL"));
    let groups = info.remove("groups").unwrap().elements();
    let mut shown = Vec::new();
    for group in groups {
        let mut group = fields(group);
        let consumers = group.remove("consumers").unwrap().elements();
        for name in [
            "name",
            "last-delivered-id",
            "entries-read",
            "lag",
            "pel-count",
            "pending",
        ] {
            shown.push(group.get(name).map_or("none".into(), Reply::render));
        }
        for consumer in consumers {
            let consumer = fields(consumer);
            for name in ["name", "seen-time", "pel-count", "pel", "pending"] {
                shown.push(consumer.get(name).map_or("none".into(), Reply::render));
            }
        }
    }
    shown
}

#[test]
fn groups_of_streams_go_to_redis_and_back() {
    let Some(redis) = Redis::start() else { return };
    let server = Server::start();
    let (mut theirs, mut ours) = (redis.client(), Client::connect(server.address));
    for number in 1..=50 {
        theirs.run(&format!("XADD s {number}-1 a {number}"));
    }
    for line in [
        "XGROUP CREATE s group 0",
        "XGROUP CREATE s other 7-1",
        "XREADGROUP GROUP group one COUNT 20 STREAMS s >",
        "XREADGROUP GROUP group two COUNT 5 STREAMS s >",
        "XGROUP CREATECONSUMER s group idle",
        "XACK s group 3-1 4-1 22-1",
        "XCLAIM s group two 0 5-1 6-1",
        "XDEL s 7-1",
    ] {
        theirs.run(line);
    }
    let made = groups(&mut theirs);
    for ours_first in [false, true] {
        let (from, to) = if ours_first {
            (&mut ours, &mut theirs)
        } else {
            (&mut theirs, &mut ours)
        };
        let Reply::Bulk(payload) = from.run("DUMP s") else {
            panic!("a payload");
        };
        let restored = to.call(&[&b"RESTORE"[..], b"s", b"0", &payload, b"REPLACE"]);
        assert_eq!(restored.render(), "OK");
        assert_eq!(groups(to), made);
    }
}
