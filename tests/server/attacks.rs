//! Bytes that are meant to do harm: each gets what it deserves, others are served meanwhile, and
//! nothing of it stays. `tests/load/attacks.rs` sends more of them, and looks at times and memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use darter::config::Config;
use darter::config::parameters::Change;
use darter::config::setting;

use crate::support::attacks::{self, ATTACKS, Attack, BEFORE_PASSWORD};
use crate::support::client::{Client, encode};
use crate::support::server::{Server, until};

fn assert_harmless(server: &Server, attacks: &[Attack], authenticate: Option<&str>) {
    let mut bystander = Client::connect(server.address);
    if let Some(line) = authenticate {
        bystander.run(line);
    }
    bystander.run("SET k v");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let pings = scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                assert_eq!(bystander.run("PING").render(), "PONG");
            }
            bystander
        });
        for attack in attacks {
            attacks::run(attack, server.address, 100);
            // All that was taken up for it is let go of with its connection.
            until(|| server.services.clients.len() == 1);
        }
        is_over.store(true, Ordering::SeqCst);
        let mut bystander = pings.join().unwrap();
        assert_eq!(bystander.run("GET k").render(), "v");
        assert_eq!(bystander.run("DBSIZE").render(), "1");
    });
}

#[test]
fn bytes_that_do_harm_get_an_error_or_the_end() {
    let server = Server::start();
    assert_harmless(&server, ATTACKS, None);
}

#[test]
fn who_has_not_given_the_password_may_send_little() {
    let mut config = Config::new(16, 2);
    setting::set(&mut Change::Whole(&mut config), "requirepass", "secret").unwrap();
    let server = Server::start_with(config);
    assert_harmless(&server, BEFORE_PASSWORD, Some("AUTH secret"));
}

/// The receiver's window is shut: what is produced for it stays bounded.
#[test]
fn one_who_asks_and_never_reads_takes_up_little() {
    let server = Server::start();
    let mut bystander = Client::connect(server.address);
    bystander.call(&["SET", "k", &"x".repeat(100_000)]);
    let mut deaf = Client::connect(server.address);
    deaf.send_bytes(&encode(&["GET", "k"]).repeat(2_000));
    let unsent = || {
        let all = server.services.clients.all();
        let bytes = all
            .iter()
            .map(|client| client.output_bytes.load(Ordering::Relaxed));
        bytes.sum::<usize>()
    };
    until(|| unsent() > 0);
    for _ in 0..1_000 {
        assert_eq!(bystander.run("PING").render(), "PONG");
    }
    assert!(unsent() < 2_000_000, "{}", unsent());
}
