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

/// Runs INCR n, a script, INCR n in one EXEC, and returns the script's element.
fn between_others(client: &mut Client, script: &[&str]) -> String {
    client.run("DEL n");
    client.run("MULTI");
    client.run("INCR n");
    client.call(script);
    client.run("INCR n");
    let replies = client.run("EXEC").elements();
    assert_eq!((&*replies[0].render(), &*replies[2].render()), ("1", "2"));
    assert_eq!(client.run("GET n").render(), "'2'");
    replies[1].render()
}

#[test]
fn one_in_multi_leaves_nothing_and_the_other_commands_stand() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut subscriber = Client::connect(server.address);
    subscriber.run("SUBSCRIBE news");
    let error = between_others(&mut client, &["EVAL", BODY, "1", "k", "enough"]);
    assert_eq!(error, "(ABORTED enough)");
    let exclusive = format!("#!lua flags=allow-undeclared-keys\n{BODY}");
    let error = between_others(&mut client, &["EVAL", &exclusive, "1", "k", "enough"]);
    assert_eq!(error, "(ABORTED enough)");
    let raises = "#!lua flags=rollback-on-error\n\
                  redis.call('SET', KEYS[1], 'x') redis.call('INCR', KEYS[2])\n\
                  redis.call('PUBLISH', 'news', 'never') error('enough')";
    let error = between_others(&mut client, &["EVAL", raises, "2", "k", "n"]);
    assert!(error.contains("enough"), "{error}");
    let quiet = "redis.abort(redis.call('GET', KEYS[1]))";
    let error = between_others(&mut client, &["EVAL", quiet, "1", "n"]);
    assert_eq!(error, "(ABORTED 1)", "it saw what came before it");
    assert_eq!(client.run("EXISTS k").render(), "0");
    client.run("PUBLISH news now");
    assert_eq!(subscriber.read().render(), "[message news now]");
    let info = crate::support::info::section(&mut client, "scripts");
    assert!(
        info["optimistic"].starts_with("runs=3,errors=3,"),
        "{info:?}"
    );
}

/// What comes before it is done again, and must come out as the script saw it.
#[test]
fn what_was_drawn_before_one_in_multi_stays_drawn() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let members: Vec<String> = (0..100).map(|member| member.to_string()).collect();
    let add: Vec<&str> = ["SADD", "s"]
        .into_iter()
        .chain(members.iter().map(|m| &**m))
        .collect();
    client.call(&add);
    client.run("MULTI");
    client.run("SPOP s");
    let body = "redis.call('SET', KEYS[2], 1)\n\
                for member = 0, 99 do\n\
                  if redis.call('SISMEMBER', KEYS[1], member) == 0 then redis.abort('' .. member) end\n\
                end";
    client.call(&["EVAL", body, "2", "s", "k"]);
    client.call(&["EVAL", body, "2", "s", "k"]);
    let replies = client.run("EXEC").elements();
    let gone = replies[0].render().replace('\'', "");
    assert_eq!(replies[1].render(), format!("(ABORTED {gone})"));
    assert_eq!(replies[2].render(), format!("(ABORTED {gone})"));
    assert_eq!(client.call(&["SISMEMBER", "s", &gone]).render(), "0");
    assert_eq!(client.run("SCARD s").render(), "99");
}

/// Each has all commands before it done again, which is not to be asked for without end.
#[test]
fn too_many_in_one_exec_discard_it() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("MULTI");
    let aborts = "redis.call('INCR', KEYS[1]) redis.abort('enough')";
    for _ in 0..500 {
        client.run("INCR n");
        client.call(&["EVAL", aborts, "1", "n"]);
    }
    let reply = client.run("EXEC").render();
    assert!(
        reply.starts_with("(EXECABORT Transaction discarded because of: Too many"),
        "{reply}"
    );
    assert_eq!(client.run("EXISTS n").render(), "0");
    assert_eq!(client.run("PING").render(), "PONG");
}

#[test]
fn one_behind_more_commands_than_may_run_again_discards_its_exec() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("MULTI");
    let commands = 100_001;
    client.send_bytes("PING\r\n".repeat(commands).as_bytes());
    for _ in 0..commands {
        client.read();
    }
    let aborts = "redis.call('INCR', KEYS[1]) redis.abort('enough')";
    client.call(&["EVAL", aborts, "1", "n"]);
    let reply = client.run("EXEC").render();
    assert!(reply.starts_with("(EXECABORT "), "{reply:.100}");
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
