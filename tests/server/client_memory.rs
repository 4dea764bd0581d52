//! `maxmemory-clients`: the largest clients go, the others are served, memory stays bounded.

use crate::support::client::{Client, Reply, encode};
use crate::support::info::number;
use crate::support::process::Process;

const MIB: usize = 1 << 20;

/// The number behind a name in the line of a client in CLIENT LIST.
fn listed(operator: &mut Client, id: &str, name: &str) -> Option<usize> {
    let Reply::Bulk(list) = operator.run("CLIENT LIST") else {
        panic!("a text")
    };
    let list = String::from_utf8(list).unwrap();
    let line = list
        .lines()
        .find(|line| line.starts_with(&format!("id={id} ")))?;
    let mut fields = line.split(' ').filter_map(|field| field.split_once('='));
    fields
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value.parse().unwrap())
}

fn id_of(client: &mut Client) -> String {
    client.run("CLIENT ID").render()
}

/// Queues commands of so many bytes.
fn queue(client: &mut Client, bytes: usize) {
    let part = "x".repeat(MIB);
    client.run("MULTI");
    for _ in 0..bytes / MIB {
        assert_eq!(client.call(&["SET", "k", &part]).render(), "QUEUED");
    }
}

#[test]
fn clients_that_never_read_do_not_take_the_memory_of_others() {
    const LIMIT: usize = 64 * MIB;
    const VALUE: usize = 10 * MIB;
    let process = Process::start(&["--maxmemory-clients", "64mb"], &[]);
    let mut client = Client::connect(process.address);
    client.call(&["SET", "large", &"x".repeat(VALUE)]);
    let mut witness = Client::connect(process.address);
    assert_eq!(witness.run("SELECT 3").render(), "OK");
    let before = number(&mut client, "used_memory");
    // All of them together would hold 200 MiB, had they their way.
    let mut hostile: Vec<Client> = (0..20).map(|_| Client::connect(process.address)).collect();
    let requests = encode(&["MGET", "large"]).repeat(10);
    for one in &mut hostile {
        one.send_bytes(&requests);
    }
    let mut peak = 0;
    while number(&mut client, "evicted_clients") < 14 {
        peak = peak.max(number(&mut client, "used_memory"));
        assert!(matches!(witness.run("INCR n"), Reply::Integer(_)));
    }
    peak = peak.max(number(&mut client, "used_memory_peak"));
    // A reply of each thread may be under way when the limit is met.
    assert!(peak < before + LIMIT + 3 * VALUE, "{peak} after {before}");
    assert!(number(&mut client, "mem_clients_normal") <= LIMIT + VALUE);
    assert!(witness.run("CLIENT LIST").render().contains("db=3"));
    let left = number(&mut client, "connected_clients");
    assert!((3..=2 + 6).contains(&left), "{left} are left");
    assert_eq!(client.run("CONFIG RESETSTAT").render(), "OK");
    assert_eq!(number(&mut client, "evicted_clients"), 0);
}

#[test]
fn one_reply_beyond_the_limit_is_never_made() {
    const VALUE: usize = 32 * MIB;
    let process = Process::start(&["--maxmemory-clients", "16mb"], &[]);
    let mut client = Client::connect(process.address);
    // The request itself is too large for a client.
    client.call(&["CONFIG", "SET", "maxmemory-clients", "0"]);
    client.call(&["SET", "large", &"x".repeat(VALUE)]);
    client.call(&["SET", "part", &"x".repeat(MIB)]);
    client.call(&["CONFIG", "SET", "maxmemory-clients", "16mb"]);
    let before = number(&mut client, "used_memory");
    let many: Vec<&str> = ["MGET"].into_iter().chain(["part"; 100]).collect();
    for command in [&["MGET", "large"][..], &many] {
        let mut hostile: Vec<Client> = (0..20).map(|_| Client::connect(process.address)).collect();
        for one in &mut hostile {
            one.send(command);
        }
        for one in &mut hostile {
            assert!(one.is_at_end(), "{}: {:?}", command[0], one.read());
        }
    }
    assert_eq!(number(&mut client, "evicted_clients"), 40);
    let peak = number(&mut client, "used_memory");
    assert!(peak < before + 18 * MIB, "{peak} after {before}");
}

#[test]
fn one_that_asks_for_it_is_spared_and_not_counted() {
    let process = Process::start(&["--maxmemory-clients", "16mb"], &[]);
    let mut operator = Client::connect(process.address);
    let mut spared = Client::connect(process.address);
    assert_eq!(spared.run("CLIENT NO-EVICT ON").render(), "OK");
    let id = id_of(&mut spared);
    queue(&mut spared, 30 * MIB);
    let held = listed(&mut operator, &id, "tot-mem").unwrap();
    assert!(held >= 30 * MIB, "{held}");
    assert_eq!(number(&mut operator, "evicted_clients"), 0);
    assert_eq!(spared.run("DISCARD").render(), "OK");
    assert_eq!(spared.run("CLIENT NO-EVICT OFF").render(), "OK");
    spared.send(&["MULTI"]);
    let part = encode(&["SET", "k", &"x".repeat(MIB)]);
    while spared.try_send_bytes(&part) && number(&mut operator, "evicted_clients") == 0 {}
    assert_eq!(number(&mut operator, "evicted_clients"), 1);
}

#[test]
fn the_largest_goes_first_and_alone() {
    let process = Process::start(&["--maxmemory-clients", "64mb"], &[]);
    let mut operator = Client::connect(process.address);
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(process.address)).collect();
    let ids: Vec<String> = clients.iter_mut().map(id_of).collect();
    for (client, mebibytes) in clients.iter_mut().zip([20, 30, 10]) {
        queue(client, mebibytes * MIB);
    }
    for (id, mebibytes) in ids.iter().zip([20, 30, 10]) {
        let held = listed(&mut operator, id, "tot-mem").unwrap();
        // What a request of a mebibyte is received in has room for two.
        assert!(
            (mebibytes * MIB..(mebibytes + 3) * MIB).contains(&held),
            "{held}"
        );
        let queued = listed(&mut operator, id, "multi-mem").unwrap();
        assert!(
            (mebibytes * MIB..(mebibytes + 1) * MIB).contains(&queued),
            "{queued}"
        );
    }
    assert_eq!(number(&mut operator, "evicted_clients"), 0);
    let held = number(&mut operator, "mem_clients_normal");
    assert!((60 * MIB..64 * MIB).contains(&held), "{held}");

    let part = "x".repeat(5 * MIB);
    assert_eq!(clients[2].call(&["SET", "k", &part]).render(), "QUEUED");
    assert!(clients[1].is_at_end());
    assert_eq!(number(&mut operator, "evicted_clients"), 1);
    assert_eq!(clients[0].run("EXEC").elements().len(), 20);
    assert_eq!(clients[2].run("DISCARD").render(), "OK");
    assert!(listed(&mut operator, &ids[0], "tot-mem").unwrap() < 4 * MIB);
    assert_eq!(listed(&mut operator, &ids[2], "multi-mem"), Some(0));
}

#[test]
fn requests_that_never_end_count_too() {
    let process = Process::start(&["--maxmemory-clients", "8mb"], &[]);
    let mut operator = Client::connect(process.address);
    let before = number(&mut operator, "used_memory");
    let mut hostile = Client::connect(process.address);
    let mut writer = hostile.second_handle();
    let sender = std::thread::spawn(move || {
        writer.send_bytes(b"*2\r\n$4\r\nECHO\r\n$200000000\r\n");
        let part = vec![b'x'; MIB];
        // Until the server has ended the connection.
        while writer.try_send_bytes(&part) {}
    });
    sender.join().unwrap();
    assert!(hostile.is_at_end());
    assert_eq!(number(&mut operator, "evicted_clients"), 1);
    assert!(number(&mut operator, "used_memory") < before + 2 * MIB);
}

#[test]
fn finding_many_arguments_takes_memory_too() {
    const ARGUMENTS: usize = 600_000;
    let process = Process::start(&["--maxmemory-clients", "8mb"], &[]);
    let mut operator = Client::connect(process.address);
    let mut hostile = Client::connect(process.address);
    let mut bytes = format!("*{}\r\n", ARGUMENTS + 1).into_bytes();
    bytes.extend(b"$0\r\n\r\n".repeat(ARGUMENTS));
    assert!(bytes.len() < 4 * MIB);
    hostile.try_send_bytes(&bytes);
    assert!(hostile.is_at_end());
    assert_eq!(number(&mut operator, "evicted_clients"), 1);
}

#[test]
fn the_limit_may_be_a_part_of_maxmemory() {
    let process = Process::start(&["--maxmemory", "200mb", "--maxmemory-clients", "5%"], &[]);
    let mut client = Client::connect(process.address);
    let get = client.run("CONFIG GET maxmemory-clients").render();
    assert_eq!(get, "[maxmemory-clients 5%]");
    let mut large = Client::connect(process.address);
    // What arrives may take twice its size for a moment.
    queue(&mut large, 6 * MIB);
    assert_eq!(number(&mut client, "evicted_clients"), 0);
    // Ended perhaps before all of it has been sent.
    large.try_send_bytes(&encode(&["SET", "k", &"x".repeat(6 * MIB)]));
    assert!(large.is_at_end());
    assert_eq!(number(&mut client, "evicted_clients"), 1);
    for wrong in ["101%", "x", "-5"] {
        let refusal = client.call(&["CONFIG", "SET", "maxmemory-clients", wrong]);
        assert!(
            refusal.render().starts_with("(ERR CONFIG SET failed"),
            "{wrong}"
        );
    }
}

#[test]
fn idle_clients_give_back_what_they_keep_before_anybody_goes() {
    let process = Process::start(&["--maxmemory-clients", "8mb"], &[]);
    let mut operator = Client::connect(process.address);
    // Below what a client keeps for its next request.
    let value = "x".repeat(200_000);
    let mut idle: Vec<Client> = (0..100).map(|_| Client::connect(process.address)).collect();
    for client in &mut idle {
        assert_eq!(client.call(&["ECHO", &value]).render(), value);
    }
    while number(&mut operator, "mem_clients_normal") > 5 * MIB {}
    assert_eq!(number(&mut operator, "evicted_clients"), 0);
    for client in &mut idle {
        assert_eq!(client.run("PING").render(), "PONG");
    }
}

#[test]
fn what_is_watched_and_subscribed_to_counts() {
    let process = Process::start(&[], &[]);
    let mut operator = Client::connect(process.address);
    let mut client = Client::connect(process.address);
    let id = id_of(&mut client);
    let mut held = || listed(&mut operator, &id, "tot-mem").unwrap();
    let name = "x".repeat(MIB);
    client.run("HELLO 3");
    for (begin, end) in [
        ("WATCH", "UNWATCH"),
        ("WATCH", "MULTI EXEC"),
        ("WATCH", "RESET"),
        ("SUBSCRIBE", "UNSUBSCRIBE"),
        ("PSUBSCRIBE", "PUNSUBSCRIBE"),
        ("SSUBSCRIBE", "RESET"),
    ] {
        client.call(&[begin, &name]);
        // Its request and its reply are given back by then.
        client.run("PING");
        assert!((MIB..4 * MIB).contains(&held()), "{begin}: {}", held());
        for command in end.split(' ') {
            client.run(command);
        }
        client.run("PING");
        assert!(held() < MIB, "{end}: {}", held());
    }
}
