//! Keyspace notifications: the same lines of commands here and by a real Redis, whose messages must be
//! the same, and that they ride the commits.

use std::net::SocketAddr;

use darter::config::{Config, Debugging};

use crate::support::check::{is_runnable, may_be_in_script, run_in_multi, script_of};
use crate::support::client::Client;
use crate::support::line::{Line, parse};
use crate::support::redis::Redis;
use crate::support::server::{Server, until};

const OPTION: &str = "notify-keyspace-events";

/// A client, and one who hears what it does to keys.
struct Listened {
    client: Client,
    subscriber: Client,
}

impl Listened {
    fn connect(address: SocketAddr, classes: &str) -> Listened {
        let mut client = Client::connect(address);
        let set = client.call(&["CONFIG", "SET", OPTION, classes]);
        assert_eq!(set.render(), "OK");
        let mut subscriber = Client::connect(address);
        subscriber.run("PSUBSCRIBE __key*__:*");
        subscriber.run("SUBSCRIBE end");
        client.run("FLUSHALL");
        Listened { client, subscriber }
    }

    /// What was heard since the last call.
    fn heard(&mut self) -> Vec<String> {
        // It may run in a database of its own.
        self.client.run("PUBLISH end all");
        let mut heard = Vec::new();
        loop {
            let text = self.subscriber.read().render();
            if text == "[message end all]" {
                return heard;
            }
            heard.push(text.replace("pmessage __key*__:* ", ""));
        }
    }

    /// Waits until somebody hears of `key` that it has expired.
    fn wait_for_expiry(&mut self, key: &str) -> Vec<String> {
        self.wait_for("expired", key)
    }

    /// Waits until somebody hears of an event of `key`.
    fn wait_for(&mut self, event: &str, key: &str) -> Vec<String> {
        let mut heard = Vec::new();
        let last = format!("[__keyevent@0__:{event} {key}]");
        while heard.last() != Some(&last) {
            let text = self.subscriber.read().render();
            heard.push(text.replace("pmessage __key*__:* ", ""));
        }
        heard
    }

    fn plain(&mut self, line: &Line) -> Vec<String> {
        line.iter()
            .for_each(|command| drop(self.client.call(command)));
        self.heard()
    }
}

/// Ways to run a line in one transaction here.
fn in_other_ways(server: &Server, classes: &str, line: &Line) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    let mut run = |way: &str, run: &mut dyn FnMut(&mut Client)| {
        let mut listened = Listened::connect(server.address, classes);
        run(&mut listened.client);
        all.push((way.to_owned(), listened.heard()));
    };
    run("plain", &mut |client| {
        line.iter().for_each(|command| drop(client.call(command)));
    });
    run("after conflicts", &mut |client| {
        for command in line {
            server.services.force_conflict();
            client.call(command);
        }
        client.run("SELECT 15");
        client.run("DEL nothing");
    });
    if line.iter().all(|command| is_runnable(command)) {
        run("MULTI", &mut |client| drop(run_in_multi(client, line)));
        run("MULTI again", &mut |client| {
            client.run("MULTI");
            line.iter().for_each(|command| drop(client.call(command)));
            server.services.force_conflict();
            client.run("EXEC");
        });
    }
    if line.iter().all(|command| may_be_in_script(command)) {
        for flags in [
            None,
            Some("allow-undeclared-keys"),
            Some("optimistic-undeclared-keys,allow-undeclared-keys"),
            Some("disable-atomicity"),
        ] {
            let mut eval = script_of(line);
            if let Some(flags) = flags {
                let mut body = format!("#!lua flags={flags}\n").into_bytes();
                body.extend_from_slice(&eval[1]);
                eval[1] = body;
            }
            let way = format!("script {}", flags.unwrap_or_default());
            run(&way, &mut |client| {
                let reply = client.call(&eval);
                assert!(reply.is_aggregate(), "{way}: {}", reply.render());
            });
        }
    }
    all
}

/// Compares what is heard of each line, in every way that it can be run here.
#[track_caller]
fn compare(classes: &str, text: &str) {
    let Some(redis) = Redis::start() else { return };
    let server = Server::start();
    let mut differences = String::new();
    for text in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let line = parse(text);
        let theirs = Listened::connect(redis.address, classes).plain(&line);
        for (way, ours) in in_other_ways(&server, classes, &line) {
            if ours != theirs && !differences.contains(text) {
                differences.push_str(&format!(
                    "{way}: {text}\n  redis  {}\n  darter {}\n",
                    theirs.join(" "),
                    ours.join(" ")
                ));
            }
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
}

#[test]
fn strings() {
    compare(
        "AKE",
        "SET k v; SET k v XX; SET k v NX; SET n v NX; SET n v XX GET; SETNX k v; SETNX m v
         SET k v EX 100; SETEX k 100 v; PSETEX k 100000 v; SET k v KEEPTTL; GETSET k w; GETDEL k; GETDEL k
         SET k v; GETEX k; GETEX k EX 100; GETEX k PERSIST; GETEX k PERSIST; GETEX k EXAT 1; GETEX k EX 5
         APPEND k a; APPEND k b; APPEND k ''; SETRANGE k 1 x; SETRANGE k 9 ''; SETRANGE n 0 ''; STRLEN k
         INCR k; DECR k; INCRBY k 5; DECRBY k 2; INCRBYFLOAT k 1.5; INCR k; SET s x; INCR s
         MSET a 1 b 2; MSETNX a 1 c 3; MSETNX c 3 d 4; MGET a b nothing
         SET k v; LPUSH k a; APPEND k x; GET k; SETRANGE k 5 y; SET k w GET
         SETBIT k 7 1; SETBIT k 7 1; SETBIT k 7 0; SETBIT k 100 0; GETBIT k 7
         BITFIELD k SET u8 0 5; BITFIELD k SET u8 0 5; BITFIELD k GET u8 0; BITFIELD k INCRBY u8 0 10
         BITFIELD k OVERFLOW FAIL INCRBY u2 100 9; BITFIELD k OVERFLOW FAIL INCRBY u2 0 9; BITFIELD k SET u8 200 0
         SET a x; SET b y; BITOP AND c a b; BITOP OR c nothing; BITOP OR c nothing
         PFADD h; PFADD h; PFADD h a; PFADD h a; PFADD i b; PFMERGE h i; PFMERGE j h i; PFMERGE h; PFCOUNT h",
    );
}

#[test]
fn keys_and_times() {
    compare(
        "AKE",
        "SET a 1; SET b 2; DEL a b c; UNLINK a; SET a 1; UNLINK a
         SET a 1; RENAME a b; RENAME b b; RENAME x y; SET a 2; RENAME a b; RENAMENX b b; SET c 1; RENAMENX b c; RENAMENX b d
         SET a 1; COPY a b; COPY a b; COPY a b REPLACE; COPY a a DB 3; COPY x y; COPY a b DB 3 REPLACE
         SET a 1; MOVE a 5; MOVE a 5; SET a 2; MOVE a 5; SELECT 5; DEL a
         SET a 1; EXPIRE a 100; EXPIRE a 100 NX; EXPIRE a 200 GT; PEXPIRE a 5000 LT; PERSIST a; PERSIST a; EXPIREAT a 1; TTL a; EXPIRE a 5
         SET a 1; PEXPIRE a -1; SET b 1; EXPIRE b 0; SET c 1; PEXPIREAT c 99999999999999; PERSIST nothing
         SET a 1; TOUCH a; OBJECT ENCODING a; TYPE a; EXISTS a b; DUMP a; KEYS *; DBSIZE; RANDOMKEY; SCAN 0
         RESTORE k 0 '\\x00\\x01v\\x0a\\x00\\x6c\\x9e\\xe1\\x35\\xcd\\x6d\\x54\\x26'
         SET a 1; FLUSHDB; SET a 1; FLUSHALL; SET a 1; SWAPDB 0 1",
    );
}

#[test]
fn a_restored_key_is_told_of() {
    let Some(redis) = Redis::start() else { return };
    let server = Server::start();
    let run = |address: SocketAddr| {
        let mut listened = Listened::connect(address, "AKEn");
        listened.client.run("SET from v");
        let payload = match listened.client.run("DUMP from") {
            crate::support::client::Reply::Bulk(payload) => payload,
            other => panic!("{}", other.render()),
        };
        for rest in [
            &["0"][..],
            &["0"],
            &["0", "REPLACE"],
            &["1", "REPLACE", "ABSTTL"],
        ] {
            let mut command: Vec<&[u8]> = vec![b"RESTORE", b"k", rest[0].as_bytes(), &payload];
            command.extend(rest[1..].iter().map(|word| word.as_bytes()));
            listened.client.call(&command);
        }
        listened.heard()
    };
    assert_eq!(run(server.address), run(redis.address));
}

#[test]
fn hashes() {
    compare(
        "AKE",
        "HSET h a 1; HSET h a 1 b 2; HMSET h c 3; HSETNX h a 9; HSETNX h d 4; HGETALL h
         HINCRBY h n 5; HINCRBY h n 0; HINCRBYFLOAT h f 1.5; HSET h x y; HINCRBY h x 1
         HSET h a 1 b 2; HDEL h x; HDEL h a x; HDEL h b; HDEL h b; SET s v; HSET s a b; HDEL s a",
    );
}

#[test]
fn lists() {
    compare(
        "AKE",
        "LPUSH l a b; RPUSH l c; LPUSHX l d; RPUSHX l e; LPUSHX x a; RPUSHX x a; LRANGE l 0 -1
         RPUSH l a b c d e; LPOP l; RPOP l; LPOP l 2; RPOP l 5; LPOP l; LPOP l 3; RPUSH l a; LPOP l 0; RPOP l
         RPUSH l a b c; LSET l 0 a; LSET l 1 x; LSET l 9 y; LSET x 0 y; LINSERT l BEFORE a z; LINSERT l AFTER q z; LINSERT x AFTER q z
         RPUSH l a b a c; LREM l 0 a; LREM l 0 a; LREM l -1 c; LREM l 1 b; LREM l 1 b
         RPUSH l a b c d; LTRIM l 0 -1; LTRIM l 1 2; LTRIM l 5 9; LTRIM l 0 1
         RPUSH l a b; RPOPLPUSH l m; LMOVE l m LEFT RIGHT; LMOVE l m LEFT RIGHT; LMOVE m m LEFT RIGHT; RPOPLPUSH m m
         RPUSH l a b c; LMPOP 2 x l LEFT; LMPOP 1 l RIGHT COUNT 9; LMPOP 1 l RIGHT
         RPUSH l a b c d; BLPOP x l 1; BRPOP l 1; BLMPOP 1 1 l LEFT; BLMOVE l m LEFT LEFT 1; BRPOPLPUSH m n 1
         SET s v; LPUSH s a; LMOVE s l LEFT LEFT; RPUSH l a; LMOVE l s LEFT LEFT
         RPUSH l 3 1 2; SORT l; SORT l STORE m; SORT l STORE l; SORT x STORE l; SORT x STORE l; SORT_RO l",
    );
}

#[test]
fn sets() {
    compare(
        "AKE",
        "SADD s a b; SADD s a; SADD s a c; SREM s x; SREM s a x; SREM s b c; SREM s b
         SADD s a b c; SPOP s 0; SPOP s; SPOP s 2; SPOP s; SPOP s 1; SADD s a b; SPOP s 9
         SADD s a b; SMOVE s t a; SMOVE s t x; SMOVE s s b; SADD t b; SMOVE s t b; SMOVE s t b
         SADD s a b; SADD t b c; SINTERSTORE d s t; SUNIONSTORE d s t; SDIFFSTORE d s t; SINTERSTORE d s x; SINTERSTORE d s x; SDIFFSTORE s s t
         SET k v; SADD k a; SADD s a; SINTERSTORE s k; SUNIONSTORE k s",
    );
}

#[test]
fn sorted_sets() {
    compare(
        "AKE",
        "ZADD z 1 a 2 b; ZADD z 1 a; ZADD z 2 a; ZADD z XX 5 c; ZADD z XX CH 5 a; ZADD z NX 6 a; ZADD z INCR 1 a; ZADD z INCR 0 a; ZADD y XX 1 a
         ZINCRBY z 1 a; ZINCRBY z 0 a; ZINCRBY z -1 b; ZADD z GT 0 a; ZADD z XX INCR 1 x
         ZADD z 1 a 2 b 3 c; ZREM z x; ZREM z a x; ZREM z b c; ZREM z a
         ZADD z 1 a 2 b 3 c 4 d; ZREMRANGEBYRANK z 9 9; ZREMRANGEBYRANK z 0 0; ZREMRANGEBYSCORE z 2 2; ZREMRANGEBYLEX z [c [c; ZREMRANGEBYRANK z 0 -1
         ZADD z 1 a 2 b 3 c 4 d; ZPOPMIN z; ZPOPMAX z; ZPOPMIN z 0; ZPOPMAX z 9; ZPOPMIN z
         ZADD z 1 a 2 b 3 c; ZMPOP 2 x z MIN; ZMPOP 1 z MAX COUNT 9; ZMPOP 1 z MAX
         ZADD z 1 a 2 b 3 c; BZPOPMIN x z 1; BZPOPMAX z 1; BZMPOP 1 1 z MIN
         ZADD z 1 a 2 b; ZADD y 1 b; ZUNIONSTORE d 2 z y; ZINTERSTORE d 2 z y; ZDIFFSTORE d 2 z y; ZINTERSTORE d 2 z x; ZINTERSTORE d 2 z x
         ZADD z 1 a 2 b; ZRANGESTORE d z 0 0; ZRANGESTORE d z 5 6; ZRANGESTORE d z 5 6; ZRANGESTORE z x 0 1
         GEOADD g 1 1 a; GEOADD g 1 1 a; GEOADD g CH 2 2 a; GEOSEARCHSTORE d g FROMLONLAT 2 2 BYRADIUS 1 m; GEOSEARCHSTORE d g FROMLONLAT 9 9 BYRADIUS 1 m
         GEOADD g 1 1 a; GEORADIUS g 1 1 1 km STORE d; GEORADIUSBYMEMBER g a 1 km STOREDIST d; GEORADIUS g 9 9 1 km STORE d; GEORADIUS x 9 9 1 km STORE g",
    );
}

#[test]
fn streams() {
    compare(
        "AKE",
        "XADD s 1-1 a b; XADD s NOMKSTREAM 2-1 a b; XADD x NOMKSTREAM 2-1 a b; XADD s MAXLEN 1 3-1 a b; XADD s 1-1 a b; XADD s MAXLEN 100 4-1 a b
         XADD s 1-1 a b; XADD s 2-1 a b; XDEL s 9-9; XDEL s 1-1; XTRIM s MAXLEN 5; XTRIM s MAXLEN 0; XSETID s 9-9; XDEL s 2-1; XLEN s
         XGROUP CREATE s g 0 MKSTREAM; XGROUP CREATE s g 0; XGROUP SETID s g 0; XGROUP CREATECONSUMER s g c; XGROUP CREATECONSUMER s g c
         XGROUP CREATE s g 0 MKSTREAM; XGROUP CREATECONSUMER s g c; XGROUP DELCONSUMER s g c; XGROUP DELCONSUMER s g c; XGROUP DESTROY s g; XGROUP DESTROY s g
         XADD s 1-1 a b; XADD s 2-1 a b; XGROUP CREATE s g 0; XREADGROUP GROUP g c COUNT 1 STREAMS s >; XREADGROUP GROUP g c STREAMS s 0; XREADGROUP GROUP g d STREAMS s 0
         XADD s 1-1 a b; XGROUP CREATE s g 0; XREADGROUP GROUP g c STREAMS s >; XCLAIM s g d 0 1-1; XAUTOCLAIM s g e 0 0; XACK s g 1-1
         XADD s 1-1 a b; XGROUP CREATE s g $; XADD s 2-1 a b; XREADGROUP GROUP g c NOACK STREAMS s >; XPENDING s g; XINFO STREAM s",
    );
}

#[test]
fn new_keys_and_missed_ones() {
    compare(
        "KEAnm",
        "SET k v; SET k w; DEL k; APPEND k a; APPEND k b; SETRANGE l 0 x; INCR n; INCR n; INCRBYFLOAT f 1; MSET a 1 k 2; SETBIT b 1 1; BITOP OR c b x
         GET x; MGET x y; STRLEN x; EXISTS x y; TYPE x; TTL x; PTTL x; EXPIRETIME x; TOUCH x; DUMP x; OBJECT ENCODING x; GETRANGE x 0 1; EXPIRE x 5; PERSIST x; DEL x
         GETSET x 1; GETDEL y; GETEX y; SET y 1 GET; SET y 2 XX; SETNX z 1; APPEND q x; BITCOUNT x1; BITPOS x1 1; GETBIT x1 1; BITFIELD_RO x1 GET u8 0; BITFIELD x1 GET u8 0
         SET a 1; RENAME a b; COPY b c; COPY x y; COPY b c REPLACE; MOVE c 3; RENAME x y; RENAMENX b c; MOVE x 3
         HGET x a; HGETALL x; HLEN x; HMGET x a b; HEXISTS x a; HSET h a 1; HSET h b 2; HDEL x a; HINCRBY i a 1; HINCRBYFLOAT j a 1; HSETNX k a 1; HRANDFIELD x; HSCAN x 0; HKEYS x; HVALS x; HSTRLEN x a
         LLEN x; LRANGE x 0 1; LINDEX x 0; LPOS x a; LPUSH l a; RPUSH l b; RPUSH m a; LPOP x; LMOVE l n LEFT LEFT; LMOVE x n LEFT LEFT; LPUSHX x a; LINSERT x BEFORE a b; LREM x 0 a; LTRIM x 0 1; LMPOP 2 x y LEFT
         SADD s a; SADD s b; SCARD x; SMEMBERS x; SISMEMBER x a; SMISMEMBER x a; SRANDMEMBER x; SRANDMEMBER x 2; SINTER s x; SINTER x y; SUNION x y; SDIFF x s; SINTERCARD 2 s x; SSCAN x 0; SREM x a; SPOP x; SMOVE s t a; SMOVE x t a; SINTERSTORE d s x; SUNIONSTORE d s x; SDIFFSTORE e s x
         ZADD z 1 a; ZADD z 2 b; ZCARD x; ZSCORE x a; ZMSCORE x a; ZRANK x a; ZRANGE x 0 1; ZCOUNT x 0 1; ZRANDMEMBER x; ZSCAN x 0; ZREM x a; ZPOPMIN x; ZUNION 2 z x; ZUNIONSTORE d 2 z x; ZINTERSTORE d 2 x z; ZDIFFSTORE e 2 z x; ZRANGESTORE r x 0 1; ZRANGESTORE r z 0 1; ZINTERCARD 2 z x; ZINCRBY i 1 a
         GEOADD g 1 1 a; GEOPOS x a; GEODIST x a b; GEOHASH x a; GEOSEARCH x FROMLONLAT 1 1 BYRADIUS 1 m; GEOSEARCHSTORE d x FROMLONLAT 1 1 BYRADIUS 1 m; GEORADIUS g 1 1 1 m STORE e; GEORADIUS_RO x 1 1 1 m; GEORADIUS x 1 1 1 m
         XADD s 1-1 a b; XLEN x; XRANGE x - +; XREVRANGE x + -; XREAD STREAMS s x 0 0; XTRIM x MAXLEN 1; XDEL x 1-1; XGROUP CREATE t g 0 MKSTREAM; XACK x g 1-1
         PFADD h a; PFCOUNT x; PFCOUNT h x; PFMERGE h x; PFMERGE i h; SORT x; SORT x STORE y; RPUSH l 1; SORT l; SORT_RO x; LCS x y",
    );
}

/// Each letter alone lets through what it names.
#[test]
fn classes_are_told_apart() {
    let line = "SET k v; LPUSH l a; SADD s a; HSET h a b; ZADD z 1 a; XADD x 1-1 a b; DEL k; GET k; LPOP l";
    for classes in [
        "Kg", "K$", "El", "Ks", "Eh", "Kz", "Ex", "Kt", "Em", "Kn", "K", "A", "", "Kg$", "EKd",
    ] {
        compare(classes, line);
    }
}

#[test]
fn the_option_has_one_text() {
    let Some(redis) = Redis::start() else { return };
    let server = Server::start();
    let run = |address: SocketAddr| {
        let mut client = Client::connect(address);
        let mut replies = vec![client.run("CONFIG GET notify-keyspace-events").render()];
        for classes in [
            "AKE",
            "KEA",
            "AnKE",
            "KEAnm",
            "g$lshzxet",
            "g$lshzxetd",
            "xK",
            "m",
            "n",
            "q",
            "K E",
            "",
        ] {
            let reply = client.call(&["CONFIG", "SET", OPTION, classes]);
            replies.push(reply.render());
            replies.push(client.run("CONFIG GET notify-keyspace-events").render());
        }
        replies
    };
    assert_eq!(run(server.address), run(redis.address));
}

/// Once, from whoever meets it first: a read does not tell of it, the removal does.
#[test]
fn a_key_that_expires_is_told_of_once() {
    let server = Server::start();
    let mut listened = Listened::connect(server.address, "KEx");
    let expired = ["[__keyspace@0__:k expired]", "[__keyevent@0__:expired k]"];
    for line in ["GET k", "EXISTS k k", "SET k v", "APPEND k v", "DEL k"] {
        listened.client.run("SET k v PX 1");
        until(|| listened.client.run("EXISTS k").render() == "0");
        listened.client.run(line);
        assert_eq!(listened.wait_for_expiry("k"), expired, "{line}");
        assert!(listened.heard().is_empty(), "{line}");
    }
}

/// What was past from the beginning was there, and has expired.
#[test]
fn a_deadline_that_has_passed_is_an_expiry() {
    let server = Server::start();
    let mut listened = Listened::connect(server.address, "EA");
    listened.client.run("SET k v PXAT 1");
    let told = ["set k", "expire k", "expired k"].map(|text| format!("[__keyevent@0__:{text}]"));
    assert_eq!(listened.heard(), told);
}

/// I4: nothing is told of what did not happen.
#[test]
fn what_is_given_up_is_not_told() {
    let server = Server::start();
    let mut listened = Listened::connect(server.address, "KEA");
    let client = &mut listened.client;
    for body in [
        "redis.call('SET', 'k', 'v') redis.abort('on purpose')",
        "redis.call('SET', 'k', 'v') error('on purpose')",
    ] {
        let script = format!("#!lua flags=rollback-on-error\n{body}");
        let reply = client.call(&["EVAL", &script, "1", "k"]).render();
        assert!(reply.contains("on purpose"), "{reply}");
        client.run("MULTI");
        client.call(&["EVAL", &script, "1", "k"]);
        client.run("EXEC");
    }
    client.run("MULTI");
    client.run("SET k v");
    client.run("DISCARD");
    client.run("WATCH k");
    Client::connect(server.address).run("CONFIG SET notify-keyspace-events KEx");
    Client::connect(server.address).run("SET k other");
    Client::connect(server.address).run("CONFIG SET notify-keyspace-events KEA");
    client.run("MULTI");
    client.run("SET k v");
    assert_eq!(client.run("EXEC").render(), "nil");
    let explained = "redis.call('SET', 'k', 'v')";
    client.call(&["SCRIPT", "EXPLAIN", explained, "1", "k"]);
    client.run("INCR k");
    assert_eq!(listened.heard(), [""; 0]);
}

/// In the order of the commits, with the messages of the same transaction in the order of its calls.
#[test]
fn notifications_and_messages_are_in_one_order() {
    let server = Server::start();
    let mut listened = Listened::connect(server.address, "EA");
    listened.subscriber.run("SUBSCRIBE own");
    let client = &mut listened.client;
    client.run("MULTI");
    for line in ["SET a 1", "PUBLISH own x", "DEL a", "SET b 1"] {
        client.run(line);
    }
    client.run("EXEC");
    let expected = [
        "[__keyevent@0__:set a]",
        "[message own x]",
        "[__keyevent@0__:del a]",
        "[__keyevent@0__:set b]",
    ];
    assert_eq!(listened.heard(), expected);
}

/// A connection's snapshot shows what has been: what is not there is no news.
#[test]
fn a_held_snapshot_misses_nothing() {
    let server = Server::start();
    let mut listened = Listened::connect(server.address, "EAm");
    for line in [
        "SNAPSHOT BEGIN",
        "GET k",
        "MGET k l",
        "EVAL_RO return(redis.call('GET','k')) 1 k",
    ] {
        listened.client.run(line);
    }
    assert!(listened.heard().is_empty());
    listened.client.run("SNAPSHOT END");
    listened.client.run("GET k");
    assert_eq!(listened.heard(), ["[__keyevent@0__:keymiss k]"]);
}

/// As Redis 7.4: once for each time that fields are removed, and `del` with the last of them, whether a
/// write removes them or the housekeeping.
#[test]
fn fields_that_expire_are_told_of_once() {
    let server = Server::start();
    let mut listened = Listened::connect(server.address, "EA");
    listened.client.run("HSET h a 1 b 2 c 3");
    listened.client.run("HPEXPIRE h 1 FIELDS 2 a b");
    until(|| listened.client.run("HLEN h").render() == "1");
    listened.client.run("HSET h d 4");
    listened.client.run("HPEXPIRE h 1 FIELDS 2 c d");
    let told = [
        "hset h",
        "hexpire h",
        "hexpired h",
        "hset h",
        "hexpire h",
        "hexpired h",
        "del h",
    ];
    let told = told.map(|text| format!("[__keyevent@0__:{text}]"));
    assert_eq!(listened.wait_for("del", "h"), told);
    assert_eq!(listened.heard(), [""; 0]);
}

/// What has expired stays until a command removes it: the housekeeping would be told of by chance.
fn server_that_expires_nothing() -> Server {
    let mut config = Config::new(16, 2);
    config.startup.debugging = Debugging::Local;
    let server = Server::start_with(config);
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("DEBUG SET-ACTIVE-EXPIRE 0").render(), "OK");
    server
}

/// Whatever the command does besides, what it removes because its time has passed is told before.
#[test]
fn a_write_that_meets_expired_fields_tells_of_them() {
    let server = server_that_expires_nothing();
    let mut listened = Listened::connect(server.address, "EA");
    for (line, told) in [
        ("HSET h c 3", &["hexpired h", "hset h"][..]),
        ("HDEL h b", &["hexpired h", "hdel h", "del h"]),
        ("HDEL h none", &["hexpired h"]),
        ("HINCRBY h b 1", &["hexpired h", "hincrby h"]),
        ("HPERSIST h FIELDS 1 b", &["hexpired h"]),
        ("HGET h a", &[]),
        ("DEL h", &["del h"]),
        ("SET h text", &["set h"]),
    ] {
        listened.client.run("DEL h");
        listened.client.run("HSET h a 1 b 2");
        listened.client.run("HPEXPIRE h 1 FIELDS 1 a");
        until(|| listened.client.run("HLEN h").render() == "1");
        listened.heard();
        listened.client.run(line);
        let told: Vec<_> = told
            .iter()
            .map(|text| format!("[__keyevent@0__:{text}]"))
            .collect();
        assert_eq!(listened.heard(), told, "{line}");
    }
}

/// Nobody has removed anything until the commit that does.
#[test]
fn expired_fields_are_told_of_once_though_a_transaction_runs_again() {
    let server = server_that_expires_nothing();
    let mut listened = Listened::connect(server.address, "Eh");
    listened.client.run("HSET h a 1 b 2");
    listened.client.run("HPEXPIRE h 1 FIELDS 1 a");
    until(|| listened.client.run("HLEN h").render() == "1");
    listened.heard();
    listened.client.run("MULTI");
    listened.client.run("HSET h c 3");
    listened.client.run("HSET h d 4");
    server.services.force_conflict();
    listened.client.run("EXEC");
    let told = ["hexpired h", "hset h", "hset h"].map(|text| format!("[__keyevent@0__:{text}]"));
    assert_eq!(listened.heard(), told);
}

/// The key's own deadline counts as such, though fields have some.
#[test]
fn a_hash_expires_by_itself_or_by_its_fields() {
    let server = Server::start();
    let mut listened = Listened::connect(server.address, "EAx");
    listened.client.run("HSET h a 1");
    listened.client.run("HPEXPIRE h 100000 FIELDS 1 a");
    listened.client.run("PEXPIRE h 1");
    let told = ["hset h", "hexpire h", "expire h", "expired h"];
    let told = told.map(|text| format!("[__keyevent@0__:{text}]"));
    assert_eq!(listened.wait_for_expiry("h"), told);
    listened.client.run("HSET h a 1");
    listened.client.run("PEXPIRE h 100000");
    listened.client.run("HPEXPIRE h 1 FIELDS 1 a");
    let told = ["hset h", "expire h", "hexpire h", "hexpired h", "del h"];
    let told = told.map(|text| format!("[__keyevent@0__:{text}]"));
    assert_eq!(listened.wait_for("del", "h"), told);
}

/// Each letter alone lets through what it names.
#[test]
fn expired_fields_are_of_the_class_of_hashes() {
    let server = Server::start();
    for (classes, told) in [
        ("Eh", &["hset h", "hexpire h", "hexpired h"][..]),
        ("Eg", &["del h"]),
        ("Ex", &[]),
    ] {
        let mut listened = Listened::connect(server.address, classes);
        listened.client.run("HSET h a 1");
        listened.client.run("HPEXPIRE h 1 FIELDS 1 a");
        until(|| listened.client.run("DBSIZE").render() == "0");
        listened.client.run("SET h text");
        let told: Vec<_> = told
            .iter()
            .map(|text| format!("[__keyevent@0__:{text}]"))
            .collect();
        assert_eq!(listened.heard(), told, "{classes}");
    }
}
