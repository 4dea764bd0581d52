//! Fields of hashes that expire: HEXPIRE and its kin, HTTL and its kin, HPERSIST, HGETEX, HSETEX and
//! HGETDEL. No Redis at hand knows them: what is expected is what their documentation says.

use crate::support::check::check;
use darter::rdb::sign;

use crate::support::client::{Client, Reply};
use crate::support::server::{Server, until};

const WRONG_TYPE: &str = "(WRONGTYPE Operation against a key holding the wrong kind of value)";
const NO_FIELDS: &str = "(ERR Mandatory argument FIELDS is missing or not at the right position)";
const WRONG_COUNT: &str = "(ERR The `numfields` parameter must match the number of arguments)";

#[test]
fn times_to_live_are_set_and_shown() {
    check(
        "HSET h a 1 b 2; HEXPIRE h 100 FIELDS 3 a b x; HTTL h FIELDS 3 a b x; HLEN h",
        "2; [1 1 -2]; [100 100 -2]; 2",
    );
    check(
        "HSET h a 1 b 2; HPEXPIRE h 100000 FIELDS 1 a; HTTL h FIELDS 2 a b; HTTL none FIELDS 2 a b",
        "2; [1]; [100 -1]; [-2 -2]",
    );
    check(
        "HSET h a 1; HEXPIREAT h 4000000000 FIELDS 1 a; HEXPIRETIME h FIELDS 1 a; HPEXPIRETIME h FIELDS 1 a",
        "1; [1]; [4000000000]; [4000000000000]",
    );
    check(
        "HSET h a 1; HPEXPIREAT h 4000000000001 FIELDS 1 a; HEXPIRETIME h FIELDS 2 a b; HPEXPIRETIME h FIELDS 2 a b",
        "1; [1]; [4000000001 -2]; [4000000000001 -2]",
    );
    check(
        "HEXPIRE h 100 FIELDS 2 a b; HPERSIST h FIELDS 1 a; EXISTS h",
        "[-2 -2]; [-2]; 0",
    );
    check(
        "HSET h a 1; HEXPIRE h 100 FIELDS 2 a a; HPERSIST h FIELDS 3 a a x; HTTL h FIELDS 1 a; TTL h",
        "1; [1 1]; [1 -1 -2]; [-1]; -1",
    );
}

#[test]
fn a_time_that_has_passed_deletes_the_field() {
    check(
        "HSET h a 1 b 2; HEXPIRE h 0 FIELDS 2 a x; HGETALL h; HPEXPIREAT h 1 FIELDS 1 b; EXISTS h",
        "2; [2 -2]; [b '2']; [2]; 0",
    );
    check(
        "HSETEX h PXAT 1 FIELDS 1 a 1; EXISTS h; HSET h a 1 b 2; HSETEX h EX 0 FIELDS 1 a 9; HGETALL h",
        "1; 0; 2; 1; [b '2']",
    );
    check(
        "HSET h a 1; HGETEX h EXAT 0 FIELDS 1 a; EXISTS h",
        "1; ['1']; 0",
    );
}

#[test]
fn conditions_look_at_the_time_before() {
    check(
        "HSET h a 1 b 2; HEXPIRE h 100 NX FIELDS 2 a b; HEXPIRE h 50 NX FIELDS 1 a; HTTL h FIELDS 1 a",
        "2; [1 1]; [0]; [100]",
    );
    check(
        "HSET h a 1 b 2; HEXPIRE h 100 XX FIELDS 1 a; HEXPIRE h 100 FIELDS 1 a; HEXPIRE h 50 XX FIELDS 2 a b; HTTL h FIELDS 2 a b",
        "2; [0]; [1]; [1 0]; [50 -1]",
    );
    check(
        "HSET h a 1 b 2; HEXPIRE h 100 FIELDS 1 a; HEXPIRE h 50 GT FIELDS 2 a b; HEXPIRE h 200 GT FIELDS 1 a; HTTL h FIELDS 1 a",
        "2; [1]; [0 0]; [1]; [200]",
    );
    check(
        "HSET h a 1 b 2; HEXPIRE h 100 FIELDS 1 a; HEXPIRE h 200 LT FIELDS 1 a; HEXPIRE h 50 LT FIELDS 2 a b; HTTL h FIELDS 2 a b",
        "2; [1]; [0]; [1 1]; [50 50]",
    );
    check(
        "HSET h a 1; HEXPIRE h 0 XX FIELDS 1 a; HEXPIRE h 0 lt FIELDS 1 a; EXISTS h",
        "1; [0]; [2]; 0",
    );
}

#[test]
fn a_write_clears_a_deadline_or_keeps_it() {
    let with = |line: &str, reply: &str, left: &str| {
        check(
            &format!(
                "HSET h a 1; HEXPIREAT h 4000000000 FIELDS 1 a; {line}; HEXPIRETIME h FIELDS 1 a"
            ),
            &format!("1; [1]; {reply}; [{left}]"),
        );
    };
    with("HSET h a 2", "0", "-1");
    with("HMSET h a 2", "OK", "-1");
    with("HSETNX h a 2", "0", "4000000000");
    with("HINCRBY h a 1", "2", "4000000000");
    with("HINCRBYFLOAT h a 1", "'2'", "4000000000");
    with("HSETEX h KEEPTTL FIELDS 1 a 2", "1", "4000000000");
    with("HSETEX h FIELDS 1 a 2", "1", "-1");
    with("HDEL h a", "1", "-2");
    with("HDEL h a; HSET h a 1", "1; 1", "-1");
    with("COPY h i; RENAME i h", "1; OK", "4000000000");
    with("EXPIRE h 1000; PERSIST h", "1; 1", "4000000000");
}

#[test]
fn getting_and_setting_the_time() {
    check(
        "HSET h a 1 b 2; HGETEX h FIELDS 3 a x b; HTTL h FIELDS 2 a b; HGETEX h EX 100 FIELDS 2 a x; HTTL h FIELDS 2 a b",
        "2; ['1' nil '2']; [-1 -1]; ['1' nil]; [100 -1]",
    );
    check(
        "HSET h a 1; HGETEX h PX 100000 FIELDS 1 a; HTTL h FIELDS 1 a; HGETEX h PERSIST FIELDS 2 a x; HTTL h FIELDS 1 a",
        "1; ['1']; [100]; ['1' nil]; [-1]",
    );
    check(
        "HSET h a 1; HGETEX h exat 4000000000 FIELDS 1 a; HEXPIRETIME h FIELDS 1 a; HGETEX h PXAT 4000000000001 fields 1 a; HPEXPIRETIME h FIELDS 1 a",
        "1; ['1']; [4000000000]; ['1']; [4000000000001]",
    );
    check(
        "HGETEX none EX 5 FIELDS 2 a b; HGETEX none FIELDS 1 a; EXISTS none",
        "[nil nil]; [nil]; 0",
    );
}

#[test]
fn setting_under_a_condition() {
    check(
        "HSETEX h FXX FIELDS 1 a 1; HSETEX h FNX FIELDS 2 a 1 b 2; HSETEX h FNX FIELDS 2 b 3 c 3; HSETEX h FXX FIELDS 2 b 3 c 3; HSETEX h FXX EX 100 FIELDS 2 a 4 b 5",
        "0; 1; 0; 0; 1",
    );
    check(
        "HSETEX h EX 100 FNX FIELDS 2 a 1 b 2; HGETALL h; HTTL h FIELDS 2 a b; HSETEX h FIELDS 1 a 2; HTTL h FIELDS 2 a b",
        "1; [a '1' b '2']; [100 100]; 1; [-1 100]",
    );
}

#[test]
fn getting_and_deleting() {
    check(
        "HSET h a 1 b 2; HGETDEL h FIELDS 3 a x a; HGETALL h; HGETDEL h FIELDS 1 b; EXISTS h; HGETDEL h FIELDS 1 b",
        "2; ['1' nil nil]; [b '2']; ['2']; 0; [nil]",
    );
}

#[test]
fn what_cannot_be_read_is_refused() {
    for (line, reply) in [
        ("HEXPIRE s 1 FIELDS 1 a", WRONG_TYPE),
        ("HTTL s FIELDS 1 a", WRONG_TYPE),
        ("HPERSIST s FIELDS 1 a", WRONG_TYPE),
        ("HGETEX s FIELDS 1 a", WRONG_TYPE),
        ("HSETEX s FIELDS 1 a b", WRONG_TYPE),
        ("HGETDEL s FIELDS 1 a", WRONG_TYPE),
        (
            "HEXPIRE h x FIELDS 1 a",
            "(ERR value is not an integer or out of range)",
        ),
        (
            "HEXPIRE h -1 FIELDS 1 a",
            "(ERR invalid expire time, must be >= 0)",
        ),
        (
            "HEXPIRE h 70368744178 FIELDS 1 a",
            "(ERR invalid expire time in 'hexpire' command)",
        ),
        (
            "HPEXPIREAT h 70368744177664 FIELDS 1 a",
            "(ERR invalid expire time in 'hpexpireat' command)",
        ),
        ("HPEXPIREAT h 70368744177663 FIELDS 1 x", "[-2]"),
        ("HEXPIRE h 1 NX XX FIELDS 1 a", NO_FIELDS),
        ("HEXPIRE h 1 FIELD 1 a", NO_FIELDS),
        ("HTTL h FIELD 1 a", NO_FIELDS),
        ("HGETDEL h EX 1 a", NO_FIELDS),
        ("HGETEX h EX 1 PERSIST FIELDS 1 a", NO_FIELDS),
        (
            "HEXPIRE h 1 FIELDS 0 a",
            "(ERR Parameter `numFields` should be greater than 0)",
        ),
        (
            "HEXPIRE h 1 FIELDS x a",
            "(ERR Parameter `numFields` should be greater than 0)",
        ),
        (
            "HTTL h FIELDS 0 a",
            "(ERR Number of fields must be a positive integer)",
        ),
        (
            "HPERSIST h FIELDS -1 a",
            "(ERR Number of fields must be a positive integer)",
        ),
        (
            "HGETDEL h FIELDS x a",
            "(ERR Number of fields must be a positive integer)",
        ),
        (
            "HGETEX h FIELDS 0 a",
            "(ERR Number of fields must be a positive integer)",
        ),
        ("HEXPIRE h 1 FIELDS 2 a", WRONG_COUNT),
        ("HTTL h FIELDS 1 a b", WRONG_COUNT),
        ("HPERSIST h FIELDS 3 a b", WRONG_COUNT),
        ("HGETDEL h FIELDS 2 a", WRONG_COUNT),
        ("HGETEX h EX 1 FIELDS 2 a", WRONG_COUNT),
        (
            "HGETEX h EX -1 FIELDS 1 a",
            "(ERR invalid expire time, must be >= 0)",
        ),
        (
            "HGETEX h EX x FIELDS 1 a",
            "(ERR value is not an integer or out of range)",
        ),
        (
            "HSETEX h FNX FXX FIELDS 1 a b",
            "(ERR Only one of FXX or FNX arguments can be specified)",
        ),
        (
            "HSETEX h EX 1 KEEPTTL FIELDS 1 a b",
            "(ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified)",
        ),
        ("HSETEX h NX FIELDS 1 a b", "(ERR unknown argument: NX)"),
        ("HSETEX h FIELDS 0 a b", "(ERR invalid number of fields)"),
        ("HSETEX h FIELDS x a b", "(ERR invalid number of fields)"),
        (
            "HSETEX h FIELDS 2 a b",
            "(ERR wrong number of arguments for 'hsetex' command)",
        ),
        (
            "HSETEX h FIELDS 1 a b c",
            "(ERR wrong number of arguments for 'hsetex' command)",
        ),
        (
            "HSETEX h FNX KEEPTTL KEEPTTL FIELDS",
            "(ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified)",
        ),
        (
            "HSETEX h FNX KEEPTTL FIELDS 1",
            "(ERR wrong number of arguments for 'hsetex' command)",
        ),
    ] {
        check(
            &format!("SET s x; HSET h b 1; {line}"),
            &format!("OK; 1; {reply}"),
        );
    }
}

/// Times are those of 1970, so what has passed meanwhile has gone.
#[test]
fn payloads_keep_the_times_of_fields() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let payload_of = |client: &mut Client| match client.run("DUMP h") {
        Reply::Bulk(payload) => payload,
        other => panic!("{other:?}"),
    };
    client.run("HSET h a 1 b 2 c 3");
    client.run("HPEXPIREAT h 4000000000007 FIELDS 1 a");
    client.run("HPEXPIREAT h 4000000000000 FIELDS 1 b");
    let payload = payload_of(&mut client);
    let restored = [&b"RESTORE"[..], b"h", b"0", &payload, b"REPLACE"];
    assert_eq!(client.call(&restored).render(), "OK");
    assert_eq!(
        client.run("HPEXPIRETIME h FIELDS 3 a b c").render(),
        "[4000000000007 4000000000000 -1]"
    );
    assert_eq!(payload_of(&mut client), payload);
    expire_field(&mut client);
    let with_what_stays = payload_of(&mut client);
    client.run("DEL h");
    client.run("HSET h b 2");
    assert_eq!(payload_of(&mut client), with_what_stays);
    client.run("HPEXPIRE h 1 FIELDS 1 b");
    until(|| client.run("EXISTS h").render() == "0");
    assert_eq!(client.run("DUMP h").render(), "nil");
}

/// As a key with a time to live that has passed: it was there, and has expired.
#[test]
fn a_payload_whose_fields_have_all_expired_leaves_no_key() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("SET h text");
    let mut payload = [&[24][..], &1_u64.to_le_bytes(), b"\x01\x01\x01a\x01b"].concat();
    sign(&mut payload);
    let restored = [&b"RESTORE"[..], b"h", b"0", &payload, b"REPLACE"];
    assert_eq!(client.call(&restored).render(), "OK");
    assert_eq!(client.run("EXISTS h").render(), "0");
}

/// Sets a field to expire in a moment beside one that stays, and waits until it has.
fn expire_field(client: &mut Client) {
    client.run("DEL h");
    client.run("HSET h a 1 b 2");
    client.run("HPEXPIRE h 1 FIELDS 1 a");
    until(|| client.run("HTTL h FIELDS 1 a").render() == "[-2]");
}

#[test]
fn no_command_sees_a_field_that_has_expired() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for (line, reply) in [
        ("HGET h a", "nil"),
        ("HMGET h a b", "[nil '2']"),
        ("HEXISTS h a", "0"),
        ("HSTRLEN h a", "0"),
        ("HLEN h", "1"),
        ("HGETALL h", "[b '2']"),
        ("HKEYS h", "[b]"),
        ("HVALS h", "['2']"),
        ("HRANDFIELD h", "b"),
        ("HRANDFIELD h 5 WITHVALUES", "[b '2']"),
        ("HSCAN h 0", "['0' [b '2']]"),
        ("HDEL h a", "0"),
        ("HSET h a 1", "1"),
        ("HSETNX h a 1", "1"),
        ("HINCRBY h a 5", "5"),
        ("HPERSIST h FIELDS 1 a", "[-2]"),
        ("HEXPIRE h 5 FIELDS 1 a", "[-2]"),
        ("HGETDEL h FIELDS 2 a b", "[nil '2']"),
        ("HSETEX h FNX FIELDS 1 a 1", "1"),
    ] {
        expire_field(&mut client);
        assert_eq!(client.run(line).render(), reply, "{line}");
    }
    expire_field(&mut client);
    client.run("RPUSH l h");
    assert_eq!(
        client.run("SORT l BY nosort GET *->a GET *->b").render(),
        "[nil '2']"
    );
}

#[test]
fn housekeeping_gives_the_memory_back() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("HSET h stays 1");
    let value = "x".repeat(50_000);
    client.call(&["HSET", "h", "a", &value]);
    client.run("HPEXPIRE h 1 FIELDS 1 a");
    let bytes = |client: &mut Client| match client.run("MEMORY USAGE h") {
        crate::support::client::Reply::Integer(bytes) => bytes,
        other => panic!("{}", other.render()),
    };
    until(|| bytes(&mut client) < 10_000);
    assert_eq!(client.run("HGETALL h").render(), "[stays '1']");
    client.run("HPEXPIRE h 1 FIELDS 1 stays");
    until(|| server.services.store.key_counts(0).0 == 0);
}

/// A script's time stands still, so what it sees does.
#[test]
fn a_field_is_there_for_a_whole_script() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("HSET h a 1 b 2");
    let script = "redis.call('HPEXPIRE', KEYS[1], 5, 'FIELDS', 1, 'a')\n\
                  local seen = 0\n\
                  for round = 1, 100 do\n\
                      for spin = 1, 100000 do end\n\
                      seen = seen + redis.call('HEXISTS', KEYS[1], 'a')\n\
                  end\n\
                  return {seen, redis.call('HLEN', KEYS[1]), redis.call('HPTTL', KEYS[1], 'FIELDS', 1, 'a')}";
    let reply = client.call(&["EVAL", script, "1", "h"]).render();
    assert_eq!(reply, "[100 2 [5]]");
    until(|| client.run("HLEN h").render() == "1");
}

#[test]
fn a_held_snapshot_keeps_a_field_that_its_time_says_is_alive() {
    let server = Server::start();
    let (mut client, mut other) = (
        Client::connect(server.address),
        Client::connect(server.address),
    );
    let mut time_ms = 20;
    loop {
        client.run("HSET h a 1 b 2");
        client.run(&format!("HPEXPIRE h {time_ms} FIELDS 1 a"));
        client.run("SNAPSHOT BEGIN");
        if client.run("HGET h a").render() == "'1'" {
            break;
        }
        // The machine was slow.
        client.run("SNAPSHOT END");
        time_ms *= 2;
    }
    until(|| other.run("HLEN h").render() == "1");
    until(|| other.run("HDEL h none").render() == "0");
    assert_eq!(client.run("HLEN h").render(), "2");
    assert_eq!(client.run("HGET h a").render(), "'1'");
    client.run("SNAPSHOT END");
    assert_eq!(client.run("HGET h a").render(), "nil");
}

#[test]
fn changes_of_deadlines_are_told_of() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("CONFIG SET notify-keyspace-events EA");
    let mut subscriber = Client::connect(server.address);
    subscriber.run("PSUBSCRIBE __keyevent@0__:*");
    subscriber.run("SUBSCRIBE end");
    for (line, events) in [
        ("HSET h a 1 b 2", &["hset"][..]),
        ("HEXPIRE h 100 FIELDS 1 a", &["hexpire"]),
        ("HEXPIRE h 100 NX FIELDS 1 a", &[]),
        ("HPERSIST h FIELDS 2 a x", &["hpersist"]),
        ("HPERSIST h FIELDS 2 a x", &[]),
        ("HGETEX h EX 100 FIELDS 1 a", &["hexpire"]),
        ("HGETEX h FIELDS 1 a", &[]),
        ("HGETEX h PERSIST FIELDS 1 a", &["hpersist"]),
        ("HSETEX h EX 100 FIELDS 1 a 3", &["hset", "hexpire"]),
        ("HSETEX h FNX FIELDS 1 a 3", &[]),
        ("HEXPIRE h 0 FIELDS 1 b", &["hdel"]),
        ("HGETDEL h FIELDS 2 a b", &["hdel", "del"]),
        ("HSETEX h EX 0 FIELDS 1 a 3", &["hset", "hdel", "del"]),
    ] {
        client.run(line);
        client.run("PUBLISH end x");
        for event in events {
            let expected = format!("[pmessage __keyevent@0__:* __keyevent@0__:{event} h]");
            assert_eq!(subscriber.read().render(), expected, "{line}");
        }
        assert_eq!(subscriber.read().render(), "[message end x]", "{line}");
    }
}
