//! Connections: authentication, CLIENT, limits, the end of the server.

use std::io::Read;
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use darter::commands::table;
use darter::config::Config;
use darter::config::parameters::Change;
use darter::config::setting;

use crate::support::client::Client;
use crate::support::info::number;
use crate::support::line;
use crate::support::server::{Server, until};

fn with_options(options: &[(&str, &str)]) -> Server {
    let mut config = Config::new(16, 2);
    for (name, value) in options {
        setting::set(&mut Change::Whole(&mut config), name, value).unwrap();
    }
    Server::start_with(config)
}

#[test]
fn a_password_is_asked_for() {
    let server = with_options(&[("requirepass", "secret")]);
    let mut client = Client::connect(server.address);
    assert_eq!(
        client.run("GET k").render(),
        "(NOAUTH Authentication required.)"
    );
    let wrong = "(WRONGPASS invalid username-password pair or user is disabled.)";
    assert_eq!(client.run("AUTH nonsense").render(), wrong);
    assert_eq!(client.run("AUTH other secret").render(), wrong);
    assert_eq!(client.run("AUTH secret").render(), "OK");
    assert_eq!(client.run("GET k").render(), "nil");
    let mut other = Client::connect(server.address);
    other.send_bytes(b"*11\r\n");
    assert!(
        other
            .read()
            .render()
            .contains("unauthenticated multibulk length")
    );
    let mut third = Client::connect(server.address);
    assert!(
        third
            .run("HELLO 3 AUTH default secret SETNAME me")
            .is_aggregate()
    );
    assert_eq!(third.run("CLIENT GETNAME").render(), "me");
}

#[test]
fn too_many_connections_are_refused_with_an_error() {
    let server = with_options(&[("maxclients", "2")]);
    let _first = Client::connect(server.address);
    let mut second = Client::connect(server.address);
    second.run("PING");
    let mut third = TcpStream::connect(server.address).unwrap();
    third
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut text = String::new();
    third.read_to_string(&mut text).unwrap();
    assert_eq!(text, "-ERR max number of clients reached\r\n");
}

#[test]
fn libraries_say_who_they_are_and_what_touches() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let special = "cannot contain spaces, newlines or special characters.";
    for (line, expected) in [
        ("CLIENT SETINFO LIB-NAME redis-rs", "OK".to_owned()),
        ("CLIENT SETINFO lib-ver 1.2", "OK".to_owned()),
        (
            "CLIENT SETINFO lib-ver 'a b'",
            format!("(ERR lib-ver {special})"),
        ),
        (
            "CLIENT SETINFO nonsense x",
            "(ERR Unrecognized option 'nonsense')".to_owned(),
        ),
        (
            "CLIENT SETINFO LIB-NAME",
            "(ERR wrong number of arguments for 'client|setinfo' command)".to_owned(),
        ),
        ("CLIENT NO-TOUCH on", "OK".to_owned()),
        ("CLIENT NO-TOUCH OFF", "OK".to_owned()),
        ("CLIENT NO-TOUCH maybe", "(ERR syntax error)".to_owned()),
    ] {
        let words = line::parse(line).swap_remove(0);
        assert_eq!(client.call(&words).render(), expected, "{line}");
    }
    let told = client.run("CLIENT INFO").render();
    assert!(told.contains("lib-name=redis-rs lib-ver=1.2"), "{told}");
}

#[test]
fn clients_are_listed_named_and_killed() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut victim = Client::connect(server.address);
    victim.run("CLIENT SETNAME victim");
    let id = victim.run("CLIENT ID").render();
    let list = client.run("CLIENT LIST").render();
    assert!(list.contains("name=victim"), "{list}");
    assert_eq!(client.run("CLIENT KILL ID 99999").render(), "0");
    assert_eq!(client.run(&format!("CLIENT KILL ID {id}")).render(), "1");
    assert!(victim.is_at_end());
    assert_eq!(client.run("CLIENT GETNAME").render(), "nil");
    assert!(
        client
            .run("CLIENT SETNAME a\u{1}b")
            .render()
            .contains("special characters")
    );
    assert!(
        client
            .run("CLIENT NONSENSE")
            .render()
            .contains("unknown subcommand")
    );
}

#[test]
fn client_reply_switches_replies_off_and_on() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.send(&["CLIENT", "REPLY", "SKIP"]);
    client.send(&["SET", "a", "1"]);
    assert_eq!(client.run("GET a").render(), "'1'");
    client.send(&["CLIENT", "REPLY", "OFF"]);
    client.send(&["SET", "a", "2"]);
    assert_eq!(client.run("CLIENT REPLY ON").render(), "OK");
    assert_eq!(client.run("GET a").render(), "'2'");
}

#[test]
fn a_confirmation_is_not_skipped_and_an_error_of_the_protocol_is() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("HELLO 3");
    client.send_bytes(b"CLIENT REPLY SKIP\r\nSUBSCRIBE a\r\nPING\r\n");
    assert_eq!(client.read().render(), "[subscribe a 1]");
    assert_eq!(client.read().render(), "PONG");
    client.send_bytes(b"CLIENT REPLY SKIP\r\nRESET\r\nECHO there\r\n");
    assert_eq!(client.read().render(), "there");
    client.send_bytes(b"CLIENT REPLY OFF\r\nRESET\r\n");
    assert_eq!(client.read().render(), "RESET");
    for words in ["OFF", "SKIP"] {
        let mut client = Client::connect(server.address);
        client.send_bytes(format!("CLIENT REPLY {words}\r\n*x\r\n").as_bytes());
        assert!(client.is_at_end(), "{words}");
    }
}

#[test]
fn paused_writes_wait_and_reads_do_not() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut writer = Client::connect(server.address);
    assert_eq!(client.run("CLIENT PAUSE 60000 WRITE").render(), "OK");
    writer.send(&["SET", "k", "v"]);
    assert_eq!(client.run("GET k").render(), "nil");
    until(|| number(&mut client, "blocked_clients") == 1);
    assert_eq!(client.run("CLIENT UNPAUSE").render(), "OK");
    assert_eq!(writer.read().render(), "OK");
    assert_eq!(number(&mut client, "blocked_clients"), 0);
    client.run("CLIENT PAUSE 1 ALL");
    assert_eq!(writer.run("GET k").render(), "v");
    assert_eq!(number(&mut client, "blocked_clients"), 0);
}

#[test]
fn a_client_without_replies_still_hears_what_it_is_subscribed_to() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.send_bytes(b"CLIENT REPLY OFF\r\nPING\r\nSSUBSCRIBE news\r\n");
    assert_eq!(client.read().render(), "[ssubscribe news 1]");
    let mut other = Client::connect(server.address);
    let list = other.run("CLIENT LIST").render();
    assert!(list.contains("flags=P db=0 sub=0 psub=0 ssub=1"), "{list}");
    assert_eq!(other.run("SPUBLISH news x").render(), "1");
    assert_eq!(client.read().render(), "[smessage news x]");
}

#[test]
fn a_pause_of_everything_leaves_nothing_to_a_later_one_of_writes() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut other = Client::connect(server.address);
    client.run("CLIENT PAUSE 20 ALL");
    // Answered once the pause is over.
    assert_eq!(other.run("GET k").render(), "nil");
    client.run("CLIENT PAUSE 60000 WRITE");
    other.run("MULTI");
    other.run("PING");
    assert_eq!(other.run("EXEC").render(), "[PONG]");
    other.send(&["PUBLISH", "news", "x"]);
    assert_eq!(client.run("GET k").render(), "nil");
    assert!(
        server.services.stats.sum(|thread| {
            let publish = table::find(b"PUBLISH").unwrap().index;
            let calls = &thread.commands[publish].calls;
            calls.load(std::sync::atomic::Ordering::SeqCst)
        }) == 0
    );
    client.run("CLIENT UNPAUSE");
    assert_eq!(other.read().render(), "0");
}

#[test]
fn quit_and_shutdown_end_connections() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("QUIT").render(), "OK");
    assert!(client.is_at_end());
    let mut other = Client::connect(server.address);
    other.send(&["SHUTDOWN", "NOSAVE"]);
    assert!(other.is_at_end());
}

#[test]
fn a_subscriber_that_does_not_read_is_cut_off() {
    let server = with_options(&[("client-output-buffer-limit", "pubsub 200kb 0 0")]);
    let mut subscriber = Client::connect(server.address);
    subscriber.run("SUBSCRIBE news");
    let mut client = Client::connect(server.address);
    let payload = "x".repeat(100_000);
    let mut published = 0;
    while client.call(&["PUBLISH", "news", &payload]).render() == "1" {
        published += 1;
        assert!(published < 10_000, "its output grows without end");
    }
}

#[test]
fn config_shows_and_changes_options() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    assert_eq!(
        client.run("CONFIG GET maxclients").render(),
        "[maxclients '10000']"
    );
    assert_eq!(
        client.run("CONFIG SET maxclients 100 timeout 5").render(),
        "OK"
    );
    assert_eq!(client.run("CONFIG GET timeout").render(), "[timeout '5']");
    assert_eq!(
        client
            .run("CONFIG GET busy-reply-threshold")
            .elements()
            .len(),
        2
    );
    let failed = client.run("CONFIG SET timeout 9 maxclients x").render();
    assert!(failed.starts_with("(ERR CONFIG SET failed"), "{failed}");
    assert_eq!(client.run("CONFIG GET timeout").render(), "[timeout '5']");
    for (set, what) in [
        ("tcp_keepalive 9 maxclients x", "parsed into an integer"),
        ("timeout 7 timeout 8", "duplicate parameter"),
        ("lua-time-limit 7 busy_reply_threshold 8", "duplicate"),
        // Nobody could set these back: no request would be taken, or no client, or no script run.
        ("proto-max-bulk-len 512", "between 1048576 and"),
        ("maxclients 0", "between 1 and 4294967295"),
        // More than any system has descriptors for.
        (
            "maxclients 4294967295",
            "not able to handle the specified number of clients, try with",
        ),
        ("lua-memory-limit 0", "between 65536 and"),
    ] {
        let before = client.run("CONFIG GET *").render();
        let failed = client.run(&format!("CONFIG SET {set}")).render();
        assert!(failed.contains(what), "{set}: {failed}");
        assert!(failed.starts_with("(ERR CONFIG SET failed"), "{failed}");
        assert_eq!(client.run("CONFIG GET *").render(), before, "{set}");
    }
    assert!(
        client
            .run("CONFIG SET port 1")
            .render()
            .contains("immutable")
    );
    assert!(
        client
            .run("CONFIG SET nonsense 1")
            .render()
            .contains("Unknown option")
    );
    assert!(
        client
            .run("CONFIG SET appendonly yes")
            .render()
            .contains("cannot be kept")
    );
}

#[test]
fn client_list_names_the_last_command() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut other = Client::connect(server.address);
    other.run("CLIENT SETNAME other");
    let of_other = |client: &mut Client| {
        let list = client.run("CLIENT LIST").render();
        let mut lines = list.split("\\n");
        let line = lines.find(|line| line.contains("name=other"));
        line.unwrap_or_else(|| panic!("{list}")).to_owned()
    };
    assert!(of_other(&mut client).contains("cmd=client|setname"));
    other.run("MULTI");
    other.run("GET k");
    let line = of_other(&mut client);
    assert!(line.contains("cmd=get"), "{line}");
    assert!(line.contains("multi=1"), "{line}");
    // Half a request waits for the rest.
    other.send_bytes(b"*2\r\n$3\r\nGET\r\n");
    while !of_other(&mut client).contains("qbuf=13") {
        std::thread::yield_now();
    }
    assert!(
        client
            .run("CLIENT KILL USER nobody")
            .render()
            .contains("No such user 'nobody'")
    );
}

#[test]
fn an_idle_client_is_closed_and_a_busy_one_is_not() {
    let server = with_options(&[("timeout", "1")]);
    let mut blocked = Client::connect(server.address);
    blocked.send(&["BLPOP", "k", "0"]);
    let mut subscriber = Client::connect(server.address);
    subscriber.run("SUBSCRIBE news");
    let mut busy = Client::connect(server.address);
    busy.send(&["EVAL", "while true do end", "0"]);
    let mut idle = Client::connect(server.address);
    assert_eq!(idle.run("PING").render(), "PONG");
    assert!(idle.is_at_end());
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("SCRIPT KILL").render(), "OK");
    assert!(busy.read().render().contains("killed"));
    assert_eq!(client.run("RPUSH k v").render(), "1");
    assert_eq!(blocked.read().render(), "[k v]");
    assert_eq!(client.run("PUBLISH news x").render(), "1");
    assert_eq!(subscriber.read().render(), "[message news x]");
}

const ENDLESS: &str =
    "#!lua flags=allow-undeclared-keys\nredis.call('SET', 'e', 'v') while true do end";

/// However long its command has taken, and whatever for.
#[test]
fn who_has_waited_for_a_reply_is_not_idle() {
    const LONGER: Duration = Duration::from_millis(2_600);
    let server = with_options(&[("timeout", "2")]);
    // By then it would be closed.
    let look = || std::thread::sleep(Duration::from_millis(300));
    let mut monitor = Client::connect(server.address);
    monitor.run("MONITOR");
    let mut blocked = Client::connect(server.address);
    blocked.send(&["BLPOP", "k", "2.6"]);
    until(|| server.services.waiters.len() == 1);
    let mut paused = Client::connect(server.address);
    paused.run("CLIENT PAUSE 2600 WRITE");
    paused.send(&["SET", "k", "v"]);
    assert_eq!(blocked.read().render(), "nil");
    assert_eq!(paused.read().render(), "OK");
    look();
    for client in [&mut blocked, &mut paused] {
        assert_eq!(client.run("ECHO here").render(), "here");
    }
    while !monitor.read().render().contains("here") {}

    // While such a script runs the store's time stands still.
    let mut script = Client::connect(server.address);
    script.send(&["EVAL", ENDLESS, "0"]);
    let mut other = Client::connect(server.address);
    until(|| {
        other
            .run("INFO scripts")
            .render()
            .contains("suspended_scripts:1")
    });
    let mut behind = Client::connect(server.address);
    behind.send(&["SET", "e", "w"]);
    std::thread::sleep(LONGER);
    let mut killer = Client::connect(server.address);
    assert_eq!(killer.run("SCRIPT KILL").render(), "OK");
    assert!(script.read().render().contains("killed"));
    assert_eq!(behind.read().render(), "OK");
    look();
    for client in [&mut script, &mut behind, &mut killer] {
        assert_eq!(client.run("PING").render(), "PONG");
    }
}

#[test]
fn a_pause_that_begins_while_time_stands_still_is_as_long_as_asked() {
    let server = Server::start();
    let mut other = Client::connect(server.address);
    let mut script = Client::connect(server.address);
    script.send(&["EVAL", ENDLESS, "0"]);
    std::thread::sleep(Duration::from_millis(1_000));
    let began = Instant::now();
    other.run("CLIENT PAUSE 900 WRITE");
    assert_eq!(other.run("SCRIPT KILL").render(), "OK");
    assert!(script.read().render().contains("killed"));
    assert_eq!(other.run("SET k v").render(), "OK");
    assert!(began.elapsed() >= Duration::from_millis(900));
}

/// As compatibility.md says: only what begins then waits.
#[test]
fn what_has_begun_before_a_pause_goes_on() {
    let server = Server::start();
    let mut other = Client::connect(server.address);
    let mut script = Client::connect(server.address);
    let body = "#!lua flags=disable-atomicity\nredis.call('SET', KEYS[1], 'v') \
                local till = redis.call('TIME')[1] + 2 \
                repeat until redis.call('TIME')[1] + 0 >= till \
                return redis.call('APPEND', KEYS[1], 'w')";
    script.send(&["EVAL", body, "1", "k"]);
    until(|| other.run("GET k").render() == "v");
    assert_eq!(other.run("CLIENT PAUSE 60000 WRITE").render(), "OK");
    let mut paused = Client::connect(server.address);
    paused.send(&["SET", "l", "v"]);
    assert_eq!(script.read().render(), "2");
    assert_eq!(other.run("MGET k l").render(), "[vw nil]");
    assert_eq!(other.run("CLIENT UNPAUSE").render(), "OK");
    assert_eq!(paused.read().render(), "OK");
}

/// A blocked client's end, and what it waits for, come while the only thread is busy: what is there to
/// be taken is for somebody who is there.
#[test]
fn who_has_gone_takes_nothing() {
    let server = Server::start_with(Config::new(16, 1));
    let mut busy = Client::connect(server.address);
    let mut pusher = Client::connect(server.address);
    let fill = (0..30_000).flat_map(|number| [format!("key:{number}"), number.to_string()]);
    let fill: Vec<String> = ["MSET".to_owned()].into_iter().chain(fill).collect();
    busy.call(&fill);
    let keys = table::find(b"KEYS").unwrap().index;
    let is_running = |index: usize| {
        let all = server.services.clients.all();
        all.iter()
            .any(|client| client.command.load(Ordering::SeqCst) == index)
    };
    let are_blocked = |count: usize| {
        let all = server.services.clients.all();
        let blocked = all.iter();
        blocked
            .filter(|client| client.is_blocked.load(Ordering::SeqCst))
            .count()
            == count
    };
    loop {
        busy.run("PING");
        pusher.run("DEL l");
        let mut taker = Client::connect(server.address);
        taker.send(&["BLPOP", "l", "0"]);
        until(|| are_blocked(1));
        busy.send(&["KEYS", "*"]);
        until(|| is_running(keys));
        pusher.send(&["RPUSH", "l", "x"]);
        drop(taker);
        // Else one of them may have come before the other.
        let was_in_time = !busy.has_news();
        busy.read();
        pusher.read();
        if was_in_time {
            break;
        }
    }
    until(|| are_blocked(0));
    assert_eq!(pusher.run("LRANGE l 0 -1").render(), "[x]");
}

#[test]
fn a_stream_of_effects_that_begins_does_not_delay_the_end() {
    let server = Server::start();
    let script = "#!lua flags=allow-undeclared-keys\nwhile true do end";
    let mut busy = Client::connect(server.address);
    busy.send(&["EVAL", script, "0"]);
    until(|| server.services.clients.has_scripts());
    // Somebody needs the stream, which cannot begin while that script keeps the gate closed.
    let mut blocked = Client::connect(server.address);
    blocked.send(&["SUBSCRIBE", "news"]);
    let mut other = Client::connect(server.address);
    until(|| other.run("CLIENT LIST").render().contains("cmd=subscribe"));
    let begun = Instant::now();
    drop(server);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}
