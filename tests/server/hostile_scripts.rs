//! Scripts that will not end, or want all memory: bounded, and without a trace.

use std::thread;

use crate::support::client::Client;
use crate::support::server::{Server, until};

/// Waits until a script runs, by asking the server.
fn wait_until_running(server: &Server) {
    while !server.services.clients.has_scripts() {
        thread::yield_now();
    }
}

#[test]
fn a_kill_ends_any_atomic_script_without_a_trace_also_after_it_wrote() {
    for (header, keeps) in [
        ("", false),
        ("#!lua flags=allow-undeclared-keys\n", false),
        ("#!lua flags=disable-atomicity\n", true),
    ] {
        for body in [
            "while true do end",
            "while true do pcall(function() while true do end end) end",
            "while true do redis.call('INCR', KEYS[1]) end",
            "local function f() return pcall(f) end while true do f() end",
        ] {
            let server = Server::start();
            let address = server.address;
            let script = format!("{header}redis.call('SET', KEYS[1], 1) {body}");
            thread::scope(|scope| {
                let victim = scope.spawn(move || {
                    Client::connect(address)
                        .call(&["EVAL", &script, "1", "k"])
                        .render()
                });
                wait_until_running(&server);
                let mut client = Client::connect(address);
                assert_eq!(client.run("PING").render(), "PONG");
                assert_eq!(client.run("SCRIPT KILL").render(), "OK");
                let reply = victim.join().unwrap();
                assert!(reply.contains("killed by user"), "{header}{body}: {reply}");
                assert_eq!(reply.contains("stays"), keeps, "{reply}");
            });
            let mut client = Client::connect(address);
            let exists = client.run("EXISTS k").render();
            if keeps {
                // Ended from its first moment on, perhaps before its first call.
                assert!(["0", "1"].contains(&&*exists));
            } else {
                assert_eq!(exists, "0", "{header}{body}");
            }
            assert_eq!(client.run("SET k free").render(), "OK");
            assert_eq!(
                client.run("SCRIPT KILL").render(),
                "(NOTBUSY No scripts in execution right now.)"
            );
        }
    }
}

#[test]
fn a_kill_by_sha_ends_every_run_of_that_script_and_no_other() {
    let server = Server::start();
    let address = server.address;
    let sha = darter::script::cache::sha_of(b"while true do end");
    let sha = String::from_utf8(sha.to_vec()).unwrap();
    thread::scope(|scope| {
        let victims: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(move || {
                    Client::connect(address)
                        .call(&["EVAL", "while true do end", "0"])
                        .render()
                })
            })
            .collect();
        let other = scope.spawn(move || {
            let body = "for i = 1, 3000000 do end return 'done'";
            Client::connect(address).call(&["EVAL", body, "0"]).render()
        });
        let mut client = Client::connect(address);
        let mut killed = 0;
        while killed < 3 {
            client.call(&["SCRIPT", "KILL", &sha]);
            killed = victims.iter().filter(|victim| victim.is_finished()).count();
        }
        for victim in victims {
            assert!(victim.join().unwrap().contains("killed by user"));
        }
        assert_eq!(other.join().unwrap(), "done");
    });
}

#[test]
fn the_kill_limit_ends_a_script() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("CONFIG SET lua-kill-limit 50").render(), "OK");
    let reply = client.call(&[
        "EVAL",
        "redis.call('SET', KEYS[1], 1) while true do end",
        "1",
        "k",
    ]);
    assert!(reply.render().contains("lua-kill-limit"), "{reply:?}");
    assert_eq!(client.run("EXISTS k").render(), "0");
    let info = client.run("INFO scripts").render();
    assert!(
        info.contains("optimistic:runs=1,errors=1,kills=0,limits=1"),
        "{info}"
    );
}

#[test]
fn the_memory_limit_ends_a_script() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("CONFIG SET lua-memory-limit 8mb").render(), "OK");
    for body in [
        "redis.call('SET', KEYS[1], 1) local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
        "redis.call('SET', KEYS[1], 1) local s = 'x' while true do s = s .. s end",
        "redis.call('SET', KEYS[1], 1) while true do pcall(string.rep, 'x', 1e9) end",
    ] {
        let reply = client.call(&["EVAL", body, "1", "k"]).render();
        assert!(reply.contains("lua-memory-limit"), "{body}: {reply}");
        assert_eq!(client.run("EXISTS k").render(), "0", "{body}");
    }
}

#[test]
fn a_client_that_goes_does_not_take_its_script_with_it() {
    let server = Server::start();
    let address = server.address;
    let body = "for i = 1, 300000 do redis.call('INCR', KEYS[1]) end";
    {
        let mut client = Client::connect(address);
        client.send(&["EVAL", body, "1", "k"]);
        wait_until_running(&server);
    }
    let mut client = Client::connect(address);
    while server.services.clients.has_scripts() {
        thread::yield_now();
    }
    assert_eq!(client.run("GET k").render(), "'300000'");
}

/// An exclusive script holds other writers, never readers; what they ask for comes when it ends.
#[test]
fn readers_pass_an_exclusive_script_and_writers_wait_for_it() {
    let server = Server::start();
    let address = server.address;
    Client::connect(address).run("SET k before");
    let body = "#!lua flags=allow-undeclared-keys\n\
                redis.call('SET', 'k', 'after') while redis.call('GET', 'go') do end return 1";
    Client::connect(address).run("SET go 1");
    thread::scope(|scope| {
        let script =
            scope.spawn(move || Client::connect(address).call(&["EVAL", body, "0"]).render());
        wait_until_running(&server);
        while server.services.store.counts().exclusives == 0 {
            thread::yield_now();
        }
        let mut reader = Client::connect(address);
        for _ in 0..100 {
            assert_eq!(reader.run("GET k").render(), "before");
        }
        let mut writer = Client::connect(address);
        writer.send(&["SET", "other", "1"]);
        assert_eq!(reader.run("GET other").render(), "nil");
        assert_eq!(reader.run("SCRIPT KILL").render(), "OK");
        assert!(script.join().unwrap().contains("killed by user"));
        assert_eq!(writer.read().render(), "OK");
        assert_eq!(reader.run("GET k").render(), "before");
    });
}

#[test]
fn a_kill_in_exec_leaves_nothing_of_the_script() {
    let server = Server::start();
    let mut victim = Client::connect(server.address);
    for line in ["MULTI", "SET before 1", "RPUSH list x"] {
        victim.run(line);
    }
    victim.call(&[
        "EVAL",
        "redis.call('SET', KEYS[1], 1) while true do end",
        "1",
        "k",
    ]);
    victim.run("SET after 1");
    victim.send(&["EXEC"]);
    wait_until_running(&server);
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("SCRIPT KILL").render(), "OK");
    let reply = victim.read().render();
    assert!(
        reply.starts_with("[OK 1 (ERR") && reply.contains("killed by user"),
        "{reply}"
    );
    assert_eq!(client.run("EXISTS k").render(), "0");
    assert_eq!(client.run("MGET before after").render(), "['1' '1']");
    assert_eq!(client.run("LRANGE list 0 -1").render(), "[x]");
    assert_eq!(victim.run("SET k free").render(), "OK");
}

/// Each holds an interpreter: there may be so many and no more, and when one ends another may begin.
#[test]
fn scripts_that_do_not_end_are_limited_in_number() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("CONFIG SET lua-max-suspended 2");
    let spin = ["EVAL", "while true do end", "0"];
    let mut spinning: Vec<Client> = (0..2).map(|_| Client::connect(server.address)).collect();
    for one in &mut spinning {
        one.send(&spin);
    }
    let suspended = |client: &mut Client| {
        let info = crate::support::info::section(client, "scripts");
        info["suspended_scripts"].clone()
    };
    until(|| suspended(&mut client) == "2");
    let refusal = "Too many scripts are suspended (lua-max-suspended).";
    for line in [
        "EVAL return 0",
        "EVAL_RO return 0",
        "SCRIPT EXPLAIN return 0",
    ] {
        assert_eq!(
            client.run(line).render(),
            format!("(ERR {refusal})"),
            "{line}"
        );
    }
    for line in ["MULTI", "SET k 1", "EVAL return 0"] {
        client.run(line);
    }
    let discarded = format!("(EXECABORT Transaction discarded because of: {refusal})");
    assert_eq!(client.run("EXEC").render(), discarded);
    assert_eq!(client.run("EXISTS k").render(), "0");
    assert_eq!(client.run("SCRIPT KILL").render(), "OK");
    until(|| suspended(&mut client) == "1");
    assert_eq!(client.run("EVAL return 0").render(), "nil");
    assert_eq!(client.run("SCRIPT KILL").render(), "OK");
    for one in &mut spinning {
        assert!(one.read().render().contains("killed by user"));
    }
    assert_eq!(suspended(&mut client), "0");
}

/// What each call of a script that is not atomic did is there at once, and alone.
#[test]
fn what_a_direct_script_wrote_is_seen_while_it_runs() {
    let server = Server::start();
    let mut victim = Client::connect(server.address);
    let body = "#!lua flags=disable-atomicity\n\
                redis.call('SET', KEYS[1], 'seen') while true do end";
    victim.send(&["EVAL", body, "1", "k"]);
    let mut client = Client::connect(server.address);
    until(|| client.run("GET k").render() == "seen");
    assert_eq!(client.run("SET k changed").render(), "OK");
    assert_eq!(client.run("SCRIPT KILL").render(), "OK");
    assert!(victim.read().render().contains("stays"));
    assert_eq!(client.run("GET k").render(), "changed");
}

/// What a script keeps for its commit counts as what it takes within Lua does.
#[test]
fn messages_and_log_lines_are_limited_as_memory_is() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("CONFIG SET lua-memory-limit 8mb");
    client.run("CONFIG SET notify-keyspace-events KEA");
    // What nobody would hear is not kept.
    let mut subscriber = Client::connect(server.address);
    subscriber.run("SUBSCRIBE news");
    for body in [
        // Notifications name the key.
        "for i = 1, 100 do redis.call('HINCRBY', KEYS[2], 'f', 1) end redis.call('DEL', KEYS[2])",
        "for i = 1, 100 do redis.call('PUBLISH', 'news', ARGV[1]) end",
        "for i = 1, 100 do redis.log(redis.LOG_DEBUG, ARGV[1]) end",
    ] {
        let whole = format!("redis.call('SET', KEYS[1], 1) {body} return 'done'");
        let short = client.call(&["EVAL", &whole, "2", "k", "h", "x"]).render();
        assert_eq!(short, "done");
        client.run("DEL k");
        let long = "x".repeat(100_000);
        let reply = client
            .call(&["EVAL", &whole, "2", "k", &long, &long])
            .render();
        assert!(reply.contains("lua-memory-limit"), "{reply}");
        assert_eq!(client.run("EXISTS k").render(), "0");
        let direct = format!("#!lua flags=disable-atomicity\n{whole}");
        let reply = client
            .call(&["EVAL", &direct, "2", "k", &long, &long])
            .render();
        assert_eq!(reply, "done", "what happens at once is kept for nobody");
        client.run("DEL k");
    }
}
