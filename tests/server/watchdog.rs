//! A thread that stays with one client for long is told of, with what it did.

use crate::support::client::Client;
use crate::support::process::Process;

/// A command whose cost grows with the square of its length, made longer until it is too slow.
#[test]
fn a_command_that_takes_long_is_told_of_and_idling_is_not() {
    let server = Process::start(&["--threads", "1"], &[]);
    let mut client = Client::connect(server.address);
    let slow_ticks = |client: &mut Client| {
        let info = client.run("INFO watchdog").render();
        let (_, rest) = info.split_once("slow_ticks:").unwrap();
        let number = rest.split("\\r").next().unwrap().parse::<u64>().unwrap();
        (number, info)
    };
    let (before, info) = slow_ticks(&mut client);
    assert_eq!(before, 0, "{info}");
    let mut length = 1 << 10;
    while slow_ticks(&mut client).0 == 0 {
        assert!(length <= 1 << 14, "nothing is told of");
        let text = "x".repeat(length);
        client.call(&["MSET", "a", &text, "b", &text]);
        assert_eq!(client.run("LCS a b LEN").render(), length.to_string());
        length *= 2;
    }
    let (_, info) = slow_ticks(&mut client);
    assert!(info.contains("slowest_tick_command:lcs\\r"), "{info}");
    while !server.log().contains("goes on after") {
        std::thread::yield_now();
    }
    let log = server.log();
    let told = "a data-plane thread has been busy with client ";
    assert!(log.contains(told) && log.contains(" ms: lcs"), "{log}");
    client.run("CONFIG RESETSTAT");
    let (after, info) = slow_ticks(&mut client);
    assert_eq!(after, 0, "{info}");
}
