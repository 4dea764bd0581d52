//! MULTI, EXEC, DISCARD, WATCH.

use crate::support::check::compare;
use crate::support::client::{Client, Reply};
use crate::support::info::section;
use crate::support::server::{Server, until};

#[test]
fn exec_runs_what_was_queued_and_errors_do_not_stop_it() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("MULTI").render(), "OK");
    assert_eq!(
        client.run("MULTI").render(),
        "(ERR MULTI calls can not be nested)"
    );
    assert_eq!(
        client.run("WATCH k").render(),
        "(ERR WATCH inside MULTI is not allowed)"
    );
    for line in [
        "SET k v",
        "INCR k",
        "SELECT 1",
        "SET k other",
        "PING",
        "UNWATCH",
    ] {
        assert_eq!(client.run(line).render(), "QUEUED");
    }
    let replies = client.run("EXEC").render();
    let expected = "[OK (ERR value is not an integer or out of range) OK OK PONG OK]";
    assert_eq!(replies, expected);
    assert_eq!(client.run("GET k").render(), "other");
    client.run("SELECT 0");
    assert_eq!(client.run("GET k").render(), "v");
    assert_eq!(client.run("EXEC").render(), "(ERR EXEC without MULTI)");
    assert_eq!(
        client.run("DISCARD").render(),
        "(ERR DISCARD without MULTI)"
    );
}

#[test]
fn a_refused_command_spoils_the_transaction() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for wrong in ["GET", "NONSENSE x", "CONFIG NONSENSE"] {
        client.run("MULTI");
        assert!(client.run(wrong).render().starts_with("(ERR"));
        assert_eq!(client.run("SET k v").render(), "QUEUED");
        let expected = "(EXECABORT Transaction discarded because of previous errors.)";
        assert_eq!(client.run("EXEC").render(), expected);
        assert_eq!(client.run("EXISTS k").render(), "0");
    }
}

#[test]
fn i1_a_watched_key_that_changes_spoils_exec() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut other = Client::connect(server.address);
    for (before, change, expected) in [
        ("SET k 1", "SET k 2", "nil"),
        ("SET k 1", "SET k 1", "nil"),
        ("SET k 1", "DEL k", "nil"),
        ("SET k 1", "EXPIRE k 100", "nil"),
        ("SET k 1", "FLUSHALL", "nil"),
        ("DEL k", "SET k 1", "nil"),
        ("SET k 1", "SET unrelated 1", "[PONG]"),
        ("SET k 1", "GET k", "[PONG]"),
        ("DEL k", "DEL k", "[PONG]"),
    ] {
        client.run(before);
        assert_eq!(client.run("WATCH k").render(), "OK");
        other.run(change);
        client.run("MULTI");
        client.run("PING");
        assert_eq!(client.run("EXEC").render(), expected, "{before}; {change}");
        client.run("FLUSHALL");
    }
}

#[test]
fn a_watch_ends_with_exec_discard_and_unwatch() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut other = Client::connect(server.address);
    for end in [&["MULTI", "EXEC"][..], &["MULTI", "DISCARD"], &["UNWATCH"]] {
        client.run("WATCH k");
        other.run("INCR k");
        for line in end {
            client.run(line);
        }
        client.run("MULTI");
        client.run("PING");
        assert_eq!(client.run("EXEC").render(), "[PONG]", "{end:?}");
    }
    client.run("WATCH k");
    client.run("INCR k");
    client.run("MULTI");
    assert_eq!(client.run("EXEC").render(), "nil", "its own writes count");
}

#[test]
fn i8_an_exec_that_meets_a_conflict_runs_again_unseen() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for round in 1..=20 {
        client.run("MULTI");
        client.run("INCR n");
        client.run("PING");
        client.run("INCR n");
        server.services.force_conflict();
        let expected = format!("[{} PONG {}]", 2 * round - 1, 2 * round);
        assert_eq!(client.run("EXEC").render(), expected);
    }
}

#[test]
fn flushing_inside_multi_sees_what_follows_it() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("SET a 1");
    for line in [
        "MULTI",
        "SET b 1",
        "FLUSHALL",
        "SET c 1",
        "EXISTS a b c",
        "EXEC",
    ] {
        let reply = client.run(line);
        if line == "EXEC" {
            assert_eq!(reply.render(), "[OK OK OK 1]");
        }
    }
    assert_eq!(client.run("EXISTS a b c").render(), "1");
}

#[test]
fn an_exec_that_cannot_run_ends_its_transaction() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("MULTI");
    client.run("SET k v");
    assert_eq!(
        client.run("EXEC now").render(),
        "(EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command)"
    );
    assert_eq!(client.run("EXEC").render(), "(ERR EXEC without MULTI)");
    assert_eq!(client.run("GET k").render(), "nil");
}

/// What the client reads after its WATCH may be of a keyspace that the database stands for at
/// neither end: what it writes by that must not get through.
#[test]
fn a_database_that_stood_for_another_keyspace_meanwhile_spoils_exec() {
    let server = Server::start();
    let (mut client, mut other) = (
        Client::connect(server.address),
        Client::connect(server.address),
    );
    let (swap, set) = ("SWAPDB 0 1", "SET k 5");
    for (before, then, back) in [
        (&[set, swap, "SET k 1"][..], &[swap][..], swap),
        (&[set, swap], &[swap], swap),
        (&["SET other v"], &["FLUSHALL", set], "FLUSHDB"),
        (&["SET other v"], &["FLUSHALL", set], swap),
    ] {
        let mut run_all = |lines: &[&str]| lines.iter().for_each(|line| drop(other.run(line)));
        run_all(&["FLUSHALL"]);
        run_all(before);
        client.run("WATCH k");
        run_all(then);
        assert_eq!(client.run("GET k").render(), "'5'");
        run_all(&[back]);
        client.run("MULTI");
        client.run("SET k 6");
        assert_eq!(client.run("EXEC").render(), "nil", "{before:?}; {then:?}");
    }
}

/// A client may have read the key in between, so it must not look as if it had never been there.
#[test]
fn a_watched_key_that_came_and_went_spoils_exec() {
    let server = Server::start();
    let (mut client, mut other) = (
        Client::connect(server.address),
        Client::connect(server.address),
    );
    let housekeeping = || while server.services.store.maintain(1_000) {};
    for (come, go) in [
        ("SET k v", "DEL k"),
        ("SET k v", "GETDEL k"),
        ("SET k v", "FLUSHALL"),
        ("SET k v", "SWAPDB 0 1"),
        ("SET k v PX 1", "EXISTS k"),
    ] {
        for cleans_up in [false, true] {
            other.run("FLUSHALL");
            housekeeping();
            client.run("WATCH k");
            other.run(come);
            other.run(go);
            until(|| other.run("EXISTS k").render() == "0");
            if cleans_up {
                housekeeping();
            }
            client.run("MULTI");
            client.run("PING");
            assert_eq!(client.run("EXEC").render(), "nil", "{come}; {go}");
        }
    }
    // One that was gone before, and stays so, is unchanged.
    for change in ["PING", "FLUSHALL", "SWAPDB 0 1"] {
        other.run("FLUSHALL");
        housekeeping();
        client.run("WATCH k");
        other.run(change);
        housekeeping();
        client.run("MULTI");
        client.run("PING");
        assert_eq!(client.run("EXEC").render(), "[PONG]", "{change}");
    }
}

/// What commands on the connection do is done when they run, so they must run once.
#[test]
fn commands_on_the_connection_run_once_however_often_exec_does() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut victim = Client::connect(server.address);
    let id = victim.run("CLIENT ID").render();
    client.run("MULTI");
    client.run("INCR n");
    client.run(&format!("CLIENT KILL ID {id}"));
    client.run("SUBSCRIBE news");
    server.services.force_conflict();
    assert_eq!(client.run("EXEC").render(), "[1 1 [subscribe news 1]]");
    let mut other = Client::connect(server.address);
    assert_eq!(other.run("PUBLISH news x").render(), "1");
}

/// What a command has done before it fails would be part of the transaction.
#[test]
fn a_command_that_fails_in_exec_has_changed_nothing() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for line in [
        "SETRANGE k 536870912 x",
        "INCRBYFLOAT k inf",
        "INCRBY big 1",
        "HINCRBYFLOAT k f inf",
        "XADD k 0-0 f v",
        "ZADD z INCR inf a",
        "ZUNIONSTORE k 2 z big",
        "SINTERSTORE k set big",
        "LMOVE list big LEFT LEFT",
        "SMOVE set big a",
        "COPY big k DB 99",
        "MOVE big 99",
        "GETSET list v",
    ] {
        client.run("FLUSHALL");
        client.run("SET big 9223372036854775807");
        client.run("RPUSH list a b");
        client.run("SADD set a");
        client.run("ZADD z -inf a");
        client.run("MULTI");
        client.run(line);
        client.run("DBSIZE");
        for read in ["GET big", "LRANGE list 0 -1", "SMEMBERS set", "ZSCORE z a"] {
            client.run(read);
        }
        let mut replies = client.run("EXEC").elements();
        assert!(replies.remove(0).render().starts_with('('), "{line}");
        let left: Vec<_> = replies.iter().map(Reply::render).collect();
        let expected = ["4", "'9223372036854775807'", "[a b]", "[a]", "-inf"];
        assert_eq!(left, expected, "{line}");
    }
}

#[test]
fn a_script_that_is_over_is_not_killed_in_exec_nor_is_the_next_run_of_it() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let idle = "(NOTBUSY No scripts in execution right now.)";
    for has_conflict in [false, true] {
        client.run("MULTI");
        for line in ["first", "last"] {
            client.call(&["EVAL", "return ARGV[1]", "0", line]);
            client.run("SCRIPT KILL");
            client.run("FUNCTION KILL");
        }
        if has_conflict {
            server.services.force_conflict();
        }
        let expected = format!("[first {idle} {idle} last {idle} {idle}]");
        assert_eq!(client.run("EXEC").render(), expected);
    }
}

#[test]
fn what_exec_ran_is_counted_once_however_often_it_ran() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("SET text x");
    let body = "return redis.call('GET', KEYS[1])";
    for has_conflict in [false, true] {
        client.run("MULTI");
        for line in ["APPEND log x", "INCR text", "GET text", "GET missing"] {
            client.run(line);
        }
        client.call(&["EVAL", body, "1", "text"]);
        client.run("EVALSHA 0123456789012345678901234567890123456789 0");
        let mut other = Client::connect(server.address);
        other.run("CONFIG SET slowlog-log-slower-than 0");
        other.run("CONFIG RESETSTAT");
        other.run("SLOWLOG RESET");
        if has_conflict {
            server.services.force_conflict();
        }
        client.run("EXEC");
        other.run("CONFIG SET slowlog-log-slower-than -1");
        let names: Vec<String> = other
            .run("SLOWLOG GET")
            .elements()
            .into_iter()
            .map(|entry| entry.elements()[3].clone().elements()[0].render())
            .collect();
        let once = ["EXEC", "EVALSHA", "GET", "GET", "INCR", "APPEND", "SLOWLOG"];
        assert_eq!(names, once, "{has_conflict}");
        let all = section(&mut other, "everything");
        for (name, calls, failed) in [
            ("append", 1, 0),
            ("incr", 1, 1),
            ("get", 3, 0),
            ("evalsha", 1, 1),
            ("exec", 1, 0),
        ] {
            let text = &all[&format!("cmdstat_{name}")];
            let is_so = text.starts_with(&format!("calls={calls},"))
                && text.ends_with(&format!("failed_calls={failed}"));
            assert!(is_so, "{has_conflict}, {name}: {text}");
        }
        assert_eq!(all["errorstat_ERR"], "count=1", "{has_conflict}");
        assert_eq!(all["errorstat_NOSCRIPT"], "count=1", "{has_conflict}");
        assert_eq!(all["keyspace_hits"], "2", "{has_conflict}");
        assert_eq!(all["keyspace_misses"], "1", "{has_conflict}");
    }
}

#[test]
fn replies_before_hello_in_exec_have_the_form_before_it() {
    let server = Server::start();
    for has_conflict in [false, true] {
        let mut client = Client::connect(server.address);
        client.run("HSET h f v");
        for line in ["MULTI", "HGETALL h", "HELLO 3", "HGETALL h"] {
            client.run(line);
        }
        if has_conflict {
            server.services.force_conflict();
        }
        let replies = client.run("EXEC").elements();
        assert!(matches!(replies[0], Reply::Array(_)), "{has_conflict}");
        assert!(matches!(replies[2], Reply::Map(_)), "{has_conflict}");
        assert!(matches!(client.run("HGETALL h"), Reply::Map(_)));
        assert!(client.run("CLIENT INFO").render().contains("resp=3"));
    }
}

#[test]
fn an_exec_that_is_refused_ends_its_transaction_and_watches() {
    compare(
        "EXEC x; EXEC
        MULTI; EXEC x; GET k; EXEC
        SET k v; WATCH k; EXEC x; SET k w; MULTI; GET k; EXEC
        SUBSCRIBE a; EXEC; PING",
    );
    compare(
        "SHUTDOWN SAVE ABORT; SHUTDOWN ABORT NOW; SHUTDOWN ABORT ABORT; SHUTDOWN SAVE NOSAVE; SHUTDOWN x",
    );
}
