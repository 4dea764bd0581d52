//! A thread that stays with one client for long is told of, with what it did.

use crate::support::client::{Client, Reply};
use crate::support::process::Process;

fn field(client: &mut Client, name: &str) -> String {
    let Reply::Bulk(text) = client.call(&["INFO", "watchdog"]) else {
        panic!("INFO is a string")
    };
    let text = String::from_utf8(text).unwrap();
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(known, _)| *known == name).unwrap();
    value.to_owned()
}

/// By a command whose cost grows with the square of its length, made longer until it is too slow.
#[test]
fn a_command_that_takes_long_is_told_of() {
    let server = Process::start(&["--threads", "1"], &[]);
    let mut client = Client::connect(server.address);
    let mut length = 1 << 10;
    while field(&mut client, "slowest_tick_command") != "lcs" {
        assert!(length <= 1 << 14, "nothing is told of");
        let text = "x".repeat(length);
        client.call(&["MSET", "a", &text, "b", &text]);
        assert_eq!(client.run("LCS a b LEN").render(), length.to_string());
        length *= 2;
    }
    assert_ne!(field(&mut client, "slow_ticks"), "0");
    let slowest_ms = field(&mut client, "slowest_tick_ms")
        .parse::<u64>()
        .unwrap();
    assert!(slowest_ms >= 100, "{slowest_ms}");
    while !server.log().contains(" ms: lcs\n") || !server.log().contains("goes on after") {
        std::thread::yield_now();
    }
    let told = "a data-plane thread has been busy with client ";
    assert!(server.log().contains(told), "{}", server.log());
    client.run("CONFIG RESETSTAT");
    assert_ne!(field(&mut client, "slowest_tick_command"), "lcs");
}
