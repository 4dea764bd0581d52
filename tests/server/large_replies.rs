//! Large strings as replies: they are sent piece by piece, as fast as their client takes them.

use crate::support::client::{Client, Reply, encode};
use crate::support::info::number;
use crate::support::process::Process;

const LARGE_BYTES: usize = 16 << 20;

/// Bytes of which no two pieces are alike.
fn large() -> Vec<u8> {
    let numbers = (0..LARGE_BYTES as u32 / 4).flat_map(u32::to_le_bytes);
    numbers.collect()
}

/// Lets several clients ask for the key `large`, and waits until each has begun to be answered.
fn ask(server: &Process, clients: usize, info: &mut Client) -> Vec<Client> {
    let mut asking: Vec<Client> = (0..clients)
        .map(|_| Client::connect(server.address))
        .collect();
    for client in &mut asking {
        client.send_bytes(&encode(&["PING"]));
        client.send_bytes(&encode(&["GET", "large"]));
        client.send_bytes(&encode(&["GET", "small"]));
        assert_eq!(client.read().render(), "PONG");
    }
    while number(info, "snapshots_held") < clients {}
    asking
}

#[test]
fn what_is_not_read_is_not_copied_and_is_what_it_was() {
    let server = Process::start(&[], &[]);
    let mut client = Client::connect(server.address);
    let value = large();
    client.call(&[&b"SET"[..], b"large", &value]);
    client.run("SET small 1");
    let before = number(&mut client, "used_memory");
    let asking = ask(&server, 8, &mut client);
    let used = number(&mut client, "used_memory").saturating_sub(before);
    assert!(used < LARGE_BYTES, "{used} bytes for 8 replies");
    assert_eq!(
        client.run("APPEND large x").render(),
        (LARGE_BYTES + 1).to_string()
    );
    assert_eq!(client.run("DEL large").render(), "1");
    client.run("SET small 2");
    for mut one in asking {
        assert!(matches!(one.read(), Reply::Bulk(bytes) if bytes == value));
        assert_eq!(
            one.read().render(),
            "'2'",
            "the next command runs when the reply has been sent"
        );
    }
    assert_eq!(number(&mut client, "snapshots_held"), 0);
}

#[test]
fn a_client_that_goes_lets_go() {
    let server = Process::start(&[], &[]);
    let mut client = Client::connect(server.address);
    client.call(&[&b"SET"[..], b"large", &large()]);
    drop(ask(&server, 3, &mut client));
    while number(&mut client, "snapshots_held") > 0 {}
    assert_eq!(client.run("STRLEN large").render(), LARGE_BYTES.to_string());
}

#[test]
fn what_cannot_be_ended_ends_the_connection() {
    let server = Process::start(&[], &[]);
    let mut client = Client::connect(server.address);
    client.call(&[&b"SET"[..], b"large", &large()]);
    let mut asking = ask(&server, 1, &mut client);
    client.run("CONFIG SET snapshot-max-age 1");
    while number(&mut client, "snapshots_ended") == 0 {}
    let sent = asking[0].bytes_to_end();
    assert!(0 < sent && sent < LARGE_BYTES, "{sent}");
    assert_eq!(client.run("STRLEN large").render(), LARGE_BYTES.to_string());
}

#[test]
fn it_is_the_same_in_every_surrounding() {
    let server = Process::start(&[], &[]);
    let mut client = Client::connect(server.address);
    let value = large();
    client.call(&[&b"SET"[..], b"large", &value]);
    let is_whole = |reply: Reply| matches!(reply, Reply::Bulk(bytes) if bytes == value);
    for hello in ["HELLO 2", "HELLO 3"] {
        client.run(hello);
        assert!(is_whole(client.run("GET large")), "{hello}");
        client.run("MULTI");
        client.run("GET large");
        let replies = client.run("EXEC").elements();
        assert!(replies.into_iter().all(is_whole), "{hello}");
        let script = ["EVAL", "return redis.call('GET', KEYS[1])", "1", "large"];
        assert!(is_whole(client.call(&script)), "{hello}");
    }
    // Nothing of it is sent to one who wants no replies.
    client.send_bytes(&encode(&["CLIENT", "REPLY", "SKIP"]));
    client.send_bytes(&encode(&["GET", "large"]));
    client.send_bytes(&encode(&["PING"]));
    assert_eq!(client.read().render(), "PONG");
}

#[test]
fn messages_come_before_or_behind_it() {
    let server = Process::start(&[], &[]);
    let mut client = Client::connect(server.address);
    client.call(&[&b"SET"[..], b"large", &large()]);
    let mut subscriber = Client::connect(server.address);
    subscriber.run("HELLO 3");
    assert!(matches!(subscriber.run("SUBSCRIBE news"), Reply::Push(_)));
    subscriber.send_bytes(&encode(&["GET", "large"]));
    while number(&mut client, "snapshots_held") == 0 {}
    for n in 0..100 {
        assert_eq!(client.run(&format!("PUBLISH news {n}")).render(), "1");
    }
    assert!(matches!(subscriber.read(), Reply::Bulk(bytes) if bytes == large()));
    for n in 0..100 {
        assert_eq!(subscriber.read().render(), format!("[message news '{n}']"));
    }
}

#[test]
fn all_requests_may_be_sent_before_it_is_read() {
    let server = Process::start(&[], &[]);
    let mut client = Client::connect(server.address);
    let value = large();
    client.call(&[&b"SET"[..], b"large", &value]);
    client.send_bytes(&encode(&["GET", "large"]));
    let small = "x".repeat(100_000);
    for _ in 0..200 {
        client.send_bytes(&encode(&["SET", "small", &small]));
    }
    assert!(matches!(client.read(), Reply::Bulk(bytes) if bytes == value));
    for _ in 0..200 {
        assert_eq!(client.read().render(), "OK");
    }
}

#[test]
fn one_that_sends_no_more_gets_all_of_it() {
    let server = Process::start(&[], &[]);
    let mut client = Client::connect(server.address);
    let value = large();
    client.call(&[&b"SET"[..], b"large", &value]);
    let mut asking = ask(&server, 1, &mut client).remove(0);
    asking.finish_sending();
    assert!(matches!(asking.read(), Reply::Bulk(bytes) if bytes == value));
    assert_eq!(asking.read().render(), "nil");
    assert!(asking.is_at_end());
}

#[test]
fn a_slow_reader_gets_a_copy_in_the_end() {
    let server = Process::start(&[], &[]);
    let mut client = Client::connect(server.address);
    let value = large();
    client.call(&[&b"SET"[..], b"large", &value]);
    let asking = ask(&server, 2, &mut client);
    let before = number(&mut client, "used_memory");
    while number(&mut client, "snapshots_held") > 0 {}
    assert!(number(&mut client, "used_memory") > before + LARGE_BYTES / 4);
    client.run("DEL large");
    for mut one in asking {
        assert!(matches!(one.read(), Reply::Bulk(bytes) if bytes == value));
        assert_eq!(one.read().render(), "nil");
    }
}
