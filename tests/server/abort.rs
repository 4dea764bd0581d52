//! redis.abort: a script that gives up leaves nothing, whatever its flags.

use crate::support::client::Client;
use crate::support::server::Server;

const BODY: &str = "redis.call('SET', KEYS[1], 'x')\n\
                    redis.call('PUBLISH', 'news', 'never')\n\
                    local caught = pcall(function() redis.abort(ARGV[1]) end)\n\
                    redis.call('SET', KEYS[1], 'caught')\n\
                    return caught";

fn abort(client: &mut Client, flags: &str, message: &str) -> String {
    let body = format!("#!lua flags={flags}\n{BODY}");
    client.call(&["EVAL", &body, "1", "k", message]).render()
}

#[test]
fn an_atomic_script_that_gives_up_leaves_nothing() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for flags in [
        "",
        "allow-undeclared-keys",
        "rollback-on-error",
        "allow-oom",
    ] {
        let error = abort(&mut client, flags, "no such job");
        assert_eq!(error, "(ABORTED no such job)", "{flags}");
        assert_eq!(client.run("EXISTS k").render(), "0", "{flags}");
    }
    let error = abort(&mut client, "", "NOTFOUND no such job");
    assert_eq!(error, "(NOTFOUND no such job)");
    let error = abort(&mut client, "", "Not a code");
    assert_eq!(error, "(ABORTED Not a code)");
    let error = abort(&mut client, "", "GONE");
    assert_eq!(error, "(ABORTED GONE)");
    assert_eq!(client.run("PING").render(), "PONG");
    let info = crate::support::info::section(&mut client, "scripts");
    assert!(
        info["optimistic"].starts_with("runs=6,errors=6,kills=0,"),
        "{info:?}"
    );
}

#[test]
fn a_direct_script_that_gives_up_says_that_what_it_did_stays() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let error = abort(&mut client, "disable-atomicity", "enough");
    let expected = "(ABORTED enough What it wrote before stays (disable-atomicity).)";
    assert_eq!(error, expected);
    assert_eq!(
        client.run("GET k").render(),
        "x",
        "nothing of it ran after the abort"
    );
}

#[test]
fn one_in_multi_ends_the_whole_exec() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("MULTI");
    client.run("SET other y");
    client.call(&["EVAL", BODY, "1", "k", "enough"]);
    let error = client.run("EXEC").render();
    let expected = "(EXECABORT Transaction discarded because of: ABORTED enough)";
    assert_eq!(error, expected);
    assert_eq!(client.run("EXISTS k other").render(), "0");
}

#[test]
fn explain_tells_of_it_and_wrong_arguments_are_errors() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let error = client.call(&["SCRIPT", "EXPLAIN", BODY, "1", "k", "enough"]);
    assert_eq!(error.render(), "(ABORTED enough)");
    let error = client.call(&["EVAL", "redis.abort()", "0"]).render();
    assert!(
        error.starts_with("(ERR wrong number or type of arguments"),
        "{error}"
    );
}
