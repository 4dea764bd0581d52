//! Publish and subscribe.

use crate::support::client::{Client, Reply};
use crate::support::server::Server;

#[test]
fn messages_reach_channels_and_patterns() {
    let server = Server::start();
    let mut subscriber = Client::connect(server.address);
    assert_eq!(subscriber.run("SUBSCRIBE a b").render(), "[subscribe a 1]");
    assert_eq!(subscriber.read().render(), "[subscribe b 2]");
    assert_eq!(
        subscriber.run("PSUBSCRIBE a*").render(),
        "[psubscribe a* 3]"
    );
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("PUBLISH a hello").render(), "2");
    assert_eq!(subscriber.read().render(), "[message a hello]");
    assert_eq!(subscriber.read().render(), "[pmessage a* a hello]");
    assert_eq!(client.run("PUBLISH c hello").render(), "0");
    assert_eq!(client.run("PUBSUB NUMSUB a c").render(), "[a 1 c 0]");
    assert_eq!(client.run("PUBSUB NUMPAT").render(), "1");
    let refused = subscriber.run("GET k").render();
    assert!(refused.contains("only (P|S)SUBSCRIBE"), "{refused}");
    assert_eq!(subscriber.run("PING").render(), "[pong '']");
    assert_eq!(
        subscriber.run("UNSUBSCRIBE a b").render(),
        "[unsubscribe a 2]"
    );
    subscriber.read();
    assert_eq!(
        subscriber.run("PUNSUBSCRIBE").render(),
        "[punsubscribe a* 0]"
    );
    assert_eq!(subscriber.run("GET k").render(), "nil");
}

#[test]
fn resp3_pushes_beside_replies() {
    let server = Server::start();
    let mut subscriber = Client::connect(server.address);
    subscriber.run("HELLO 3");
    assert!(matches!(subscriber.run("SUBSCRIBE a"), Reply::Push(_)));
    assert_eq!(subscriber.run("SET k v").render(), "OK");
    assert_eq!(
        Client::connect(server.address).run("PUBLISH a x").render(),
        "1"
    );
    assert!(matches!(subscriber.read(), Reply::Push(_)));
}

#[test]
fn shard_channels_are_their_own() {
    let server = Server::start();
    let mut subscriber = Client::connect(server.address);
    assert_eq!(subscriber.run("SSUBSCRIBE s").render(), "[ssubscribe s 1]");
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("PUBLISH s x").render(), "0");
    assert_eq!(client.run("SPUBLISH s y").render(), "1");
    assert_eq!(subscriber.read().render(), "[smessage s y]");
}

/// I4: messages of one transaction come once, in the order of its calls, and none of one that was
/// given up.
#[test]
fn messages_of_a_transaction_come_when_it_commits() {
    let server = Server::start();
    let mut subscriber = Client::connect(server.address);
    subscriber.run("SUBSCRIBE a");
    let mut client = Client::connect(server.address);
    client.run("MULTI");
    client.run("PUBLISH a 1");
    client.run("DISCARD");
    let failing = "#!lua flags=rollback-on-error\n\
                   redis.call('PUBLISH', 'a', 'never') error('on purpose')";
    client.call(&["EVAL", failing, "0"]);
    client.run("MULTI");
    client.run("PUBLISH a x");
    client.run("SET k v");
    client.run("PUBLISH a y");
    assert_eq!(client.run("EXEC").render(), "[1 OK 1]");
    assert_eq!(subscriber.read().render(), "[message a x]");
    assert_eq!(subscriber.read().render(), "[message a y]");
}

#[test]
fn who_has_unsubscribed_hears_nothing() {
    let server = Server::start();
    let mut subscriber = Client::connect(server.address);
    let mut client = Client::connect(server.address);
    for (begin, end) in [
        ("SUBSCRIBE a", "UNSUBSCRIBE a"),
        ("PSUBSCRIBE a*", "PUNSUBSCRIBE"),
        ("SUBSCRIBE a", "RESET"),
    ] {
        subscriber.run(begin);
        assert_eq!(client.run("PUBLISH a heard").render(), "1", "{begin}");
        assert!(subscriber.read().render().contains("heard"), "{begin}");
        subscriber.run(end);
        assert_eq!(client.run("PUBLISH a unheard").render(), "0", "{end}");
        assert_eq!(subscriber.run("PING").render(), "PONG", "{end}");
    }
}

#[test]
fn who_unsubscribes_has_heard_what_it_published_before() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("HELLO 3");
    for (end, confirmation) in [
        ("UNSUBSCRIBE a", "[unsubscribe a 0]"),
        ("PUNSUBSCRIBE", "[punsubscribe nil 1]"),
        ("SSUBSCRIBE s", "[ssubscribe s 1]"),
        ("PING", "PONG"),
        ("RESET", "RESET"),
    ] {
        client.run("SUBSCRIBE a");
        client.send_bytes(format!("PUBLISH a m\r\n{end}\r\n").as_bytes());
        assert_eq!(client.read().render(), "1", "{end}");
        assert_eq!(client.read().render(), "[message a m]", "{end}");
        assert_eq!(client.read().render(), confirmation, "{end}");
    }
    assert_eq!(client.run("SUBSCRIBE b").render(), "[subscribe b 1]");
    assert_eq!(client.run("PING").render(), "[pong '']", "nothing is left");
    for line in ["RESET", "HELLO 3", "SUBSCRIBE b"] {
        client.run(line);
    }
    client.send_bytes(b"CLIENT REPLY OFF\r\nPUBLISH b m\r\nPING\r\nPUBLISH b n\r\nQUIT\r\n");
    assert_eq!(client.read().render(), "[message b m]");
    assert_eq!(client.read().render(), "[message b n]");
    assert!(client.is_at_end());
}

/// Asking who has subscribed tells nobody anything.
#[test]
fn scripts_that_only_read_ask_who_has_subscribed() {
    let server = Server::start();
    let mut subscriber = Client::connect(server.address);
    subscriber.run("SUBSCRIBE a");
    let mut client = Client::connect(server.address);
    let ask = "return redis.call('PUBSUB', 'CHANNELS')";
    assert_eq!(client.call(&["EVAL_RO", ask, "0"]).render(), "[a]");
    let explained = client.call(&["SCRIPT", "EXPLAIN", ask, "0"]);
    assert!(explained.render().contains("result [a]"), "{explained:?}");
    client.run("CLIENT PAUSE 100000 WRITE");
    assert_eq!(client.run("UNSUBSCRIBE").render(), "[unsubscribe nil 0]");
    client.run("CLIENT UNPAUSE");
}
