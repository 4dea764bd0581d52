//! What is known to be wrong, each as small as it can be. They fail, so they are ignored; who
//! repairs one lets it run.

use crate::support::client::Client;
use crate::support::server::Server;

/// WATCH compares the absence before with the absence after, so a client that read the key in
/// between has read what its transaction never saw.
#[test]
#[ignore = "an anomaly of WATCH: absent, there, and absent again is taken for unchanged"]
fn a_watched_key_that_came_and_went_spoils_exec() {
    let server = Server::start();
    let (mut client, mut other) = (
        Client::connect(server.address),
        Client::connect(server.address),
    );
    client.run("WATCH k");
    other.run("SET k v");
    assert_eq!(client.run("GET k").render(), "v");
    other.run("DEL k");
    client.run("MULTI");
    client.run("SET seen v");
    assert_eq!(client.run("EXEC").render(), "nil");
}
