//! Functions: libraries, what they may do while they are loaded, and calls in every mode.

use std::thread;

use darter::config::Config;
use darter::script::flags::Flags;

use crate::support::client::{Client, Reply};
use crate::support::log;
use crate::support::process::Process;
use crate::support::redis::Redis;
use crate::support::server::{Server, until};

/// A library of functions with a body each; `flags` as in Lua.
fn library(name: &str, functions: &[(&str, &str, &str)]) -> String {
    let mut code = format!("#!lua name={name}\n");
    for (function, flags, body) in functions {
        code.push_str(&format!(
            "redis.register_function{{function_name = '{function}', flags = {{{flags}}}, \
             callback = function(keys, args) {body} end}}\n"
        ));
    }
    code
}

#[track_caller]
fn load(client: &mut Client, code: &str) {
    let loaded = client.call(&["FUNCTION", "LOAD", "REPLACE", code]);
    assert!(matches!(loaded, Reply::Bulk(_)), "{loaded:?}");
}

fn fcall(client: &mut Client, function: &str, keys: &[&str]) -> String {
    let count = keys.len().to_string();
    let mut all = vec!["FCALL", function, &count];
    all.extend(keys);
    client.call(&all).render()
}

const WRITES: &str = "return redis.call('INCR', 'n')";

#[test]
fn a_function_s_flags_decide_its_mode() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let both = "'allow-undeclared-keys', 'disable-atomicity'";
    load(
        &mut client,
        &library(
            "lib",
            &[
                ("plain", "", WRITES),
                ("free", "'allow-undeclared-keys'", WRITES),
                ("direct", "'disable-atomicity'", WRITES),
                ("both", both, WRITES),
                ("reads", "'no-writes'", "return redis.call('GET', 'n')"),
                ("lies", "'no-writes'", WRITES),
            ],
        ),
    );
    assert_eq!(fcall(&mut client, "plain", &["n"]), "1");
    let refused = "(ERR script tried accessing undeclared key, key: n, command: INCR script: plain, \
                   on @user_function:2.)";
    assert_eq!(fcall(&mut client, "plain", &[]), refused);
    assert_eq!(fcall(&mut client, "free", &[]), "2");
    assert_eq!(fcall(&mut client, "direct", &["n"]), "3");
    assert!(fcall(&mut client, "direct", &[]).contains("undeclared key"));
    assert_eq!(fcall(&mut client, "both", &[]), "4");
    assert_eq!(fcall(&mut client, "reads", &["n"]), "'4'");
    let read_only = "(ERR Write commands are not allowed from read-only scripts. script: lies, on \
                     @user_function:7.)";
    assert_eq!(fcall(&mut client, "lies", &["n"]), read_only);
    let info = client.run("INFO scripts").render();
    for mode in [
        "optimistic:runs=2,errors=1",
        "exclusive:runs=1,errors=0",
        "direct:runs=3,errors=1",
        "snapshot:runs=2,errors=1",
    ] {
        assert!(info.contains(mode), "{mode}: {info}");
    }
}

#[test]
fn the_default_flags_are_those_of_functions_that_name_no_mode() {
    let config = Config::new(16, 1);
    config.set_default_flags(Flags::ALLOW_UNDECLARED_KEYS);
    let server = Server::start_with(config);
    let mut client = Client::connect(server.address);
    let reads = "return redis.call('GET', 'n')";
    load(
        &mut client,
        &library(
            "lib",
            &[
                ("plain", "", WRITES),
                ("reads", "'no-writes'", reads),
                ("strict", "'disable-atomicity'", WRITES),
            ],
        ),
    );
    assert_eq!(fcall(&mut client, "plain", &[]), "1");
    assert_eq!(fcall(&mut client, "reads", &[]), "'1'");
    assert!(fcall(&mut client, "strict", &[]).contains("undeclared key"));
}

#[test]
fn fcall_ro_calls_only_what_says_that_it_does_not_write() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let code = library(
        "lib",
        &[
            ("silent", "", "return redis.call('GET', keys[1])"),
            ("reads", "'no-writes'", "return redis.call('GET', keys[1])"),
            ("lies", "'no-writes'", WRITES),
        ],
    );
    load(&mut client, &code);
    client.run("SET k v");
    assert_eq!(
        client.run("FCALL_RO silent 1 k").render(),
        "(ERR Can not execute a script with write flag using *_ro command.)"
    );
    assert_eq!(client.run("FCALL_RO reads 1 k").render(), "v");
    let lies = client.run("FCALL_RO lies 1 n").render();
    assert!(lies.contains("Write commands are not allowed"), "{lies}");
}

#[test]
fn what_a_run_changes_is_not_seen_by_another() {
    let server = Server::start_with(Config::new(16, 1));
    let mut client = Client::connect(server.address);
    let code = "#!lua name=lib
        local count, list, words = 0, {}, ('a b c'):gmatch('%a')
        local function helper() count = count + 1 return count end
        local another = function() return 'first' end
        local function change() another = function() return 'second' end end
        redis.register_function('counts', function() helper() helper() return count end)
        redis.register_function('fills', function()
          list[#list + 1] = 'x' list.n = (list.n or 0) + 1 return {#list, list.n} end)
        redis.register_function('walks', function() return words() end)
        redis.register_function('swaps', function()
          local before = another() change() return {before, another()} end)
        redis.register_function('hides', function()
          _ENV = setmetatable({}, {__index = _ENV}) local seen = rawget(_ENV, 'x') x = 1
          return {seen or 'nothing', x} end)";
    load(&mut client, code);
    for (function, reply) in [
        ("counts", "2"),
        ("fills", "[1 1]"),
        ("walks", "a"),
        ("swaps", "[first second]"),
        ("hides", "[nothing 1]"),
    ] {
        for _ in 0..4 {
            assert_eq!(fcall(&mut client, function, &[]), reply, "{function}");
        }
    }
    // Scripts of the same interpreter see nothing of it either, nor functions of theirs.
    let script = "return {KEYS[1], ARGV[1]}";
    let reply = client.call(&["EVAL", script, "1", "k", "a"]).render();
    assert_eq!(reply, "[k a]");
    load(
        &mut client,
        &library("other", &[("looks", "", "return KEYS[1]")]),
    );
    assert_eq!(
        fcall(&mut client, "looks", &["k"]),
        "(ERR user_function:2: Script attempted to access nonexistent global variable 'KEYS' \
         script: looks, on @user_function:2.)"
    );
}

#[test]
fn a_library_that_cannot_be_loaded_leaves_the_old_one() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    load(&mut client, &library("lib", &[("f", "", "return 'old'")]));
    load(&mut client, &library("two", &[("taken", "", "return 2")]));
    let head = "#!lua name=lib\n";
    let many = "local name = ('x'):rep(1000000) for i = 1, 1000 do redis.register_function(name .. i, function() end) end";
    assert_eq!(client.run("CONFIG SET lua-memory-limit 8mb").render(), "OK");
    for (body, error) in [
        ("", "No functions registered"),
        ("x(", "Error compiling function: user_function:2: "),
        (
            "redis.call('SET', 'k', 1)",
            "Error registering functions: ERR user_function:2: Script attempted to access \
             nonexistent global variable 'call'",
        ),
        (
            "while true do end",
            "Error registering functions: ERR FUNCTION LOAD timeout",
        ),
        (many, "Error registering functions: ERR not enough memory"),
        (
            "redis.register_function('TAKEN', function() end)",
            "Function TAKEN already exists",
        ),
    ] {
        let code = format!("{head}{body}");
        let reply = client.call(&["FUNCTION", "LOAD", "REPLACE", &code]);
        assert!(reply.render().contains(error), "{body}: {reply:?}");
        assert_eq!(fcall(&mut client, "f", &[]), "old", "{body}");
    }
    let again = library("lib", &[("f", "", "return 'new'")]);
    let reply = client.call(&["FUNCTION", "LOAD", &again]).render();
    assert_eq!(reply, "(ERR Library 'lib' already exists)");
    load(&mut client, &again);
    assert_eq!(fcall(&mut client, "f", &[]), "new");
}

#[test]
fn others_are_served_while_a_library_is_loaded() {
    let server = Server::start_with(Config::new(16, 1));
    let address = server.address;
    thread::scope(|scope| {
        let loading = scope.spawn(move || {
            let endless = "#!lua name=lib\nwhile true do end";
            Client::connect(address).call(&["FUNCTION", "LOAD", endless])
        });
        let mut client = Client::connect(address);
        let mut served = 0;
        while !loading.is_finished() {
            assert_eq!(client.run("PING").render(), "PONG");
            served += 1;
        }
        assert!(loading.join().unwrap().render().contains("timeout"));
        assert!(served > 20, "{served}");
    });
}

#[test]
fn a_library_logs_when_it_is_loaded_and_not_when_it_is_called() {
    log::keep();
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let code = "#!lua name=lib
        redis.log(redis.LOG_WARNING, 'a library is loaded')
        local list = {}
        redis.register_function('f', function() return #list end)";
    load(&mut client, code);
    for _ in 0..3 {
        assert_eq!(fcall(&mut client, "f", &[]), "0");
    }
    assert_eq!(log::count("a library is loaded"), 1);
}

/// Until it is told to return: it reads each time by itself.
const WAITS: &str = "while redis.call('GET', keys[1]) ~= 'go' do end return 'old'";

#[test]
fn a_call_that_runs_keeps_its_library_and_stats_show_it() {
    let server = Server::start();
    let address = server.address;
    let mut client = Client::connect(address);
    load(
        &mut client,
        &library("lib", &[("f", "'disable-atomicity'", WAITS)]),
    );
    thread::scope(|scope| {
        let running = scope.spawn(move || fcall(&mut Client::connect(address), "F", &["go"]));
        until(|| server.services.clients.has_scripts());
        let stats = client.run("FUNCTION STATS").render();
        let shown = "[running_script [name f command [FCALL F '1' go] duration_ms ";
        assert!(stats.starts_with(shown), "{stats}");
        load(&mut client, &library("lib", &[("f", "", "return 'new'")]));
        assert_eq!(fcall(&mut client, "f", &[]), "new");
        assert_eq!(client.run("FUNCTION FLUSH").render(), "OK");
        assert_eq!(fcall(&mut client, "f", &[]), "(ERR Function not found)");
        client.run("SET go go");
        assert_eq!(running.join().unwrap(), "old");
    });
    assert_eq!(
        client.run("FUNCTION STATS").render(),
        "[running_script nil engines [LUA [libraries_count 0 functions_count 0]]]"
    );
}

#[test]
fn a_kill_ends_a_function_also_after_it_wrote_and_leaves_scripts_alone() {
    for (flags, keeps) in [
        ("", false),
        ("'allow-undeclared-keys'", false),
        ("'disable-atomicity'", true),
    ] {
        let server = Server::start();
        let address = server.address;
        let mut client = Client::connect(address);
        let body = "redis.call('SET', keys[1], 1) while true do pcall(function() while true do end end) end";
        load(&mut client, &library("lib", &[("f", flags, body)]));
        thread::scope(|scope| {
            let victim = scope.spawn(move || fcall(&mut Client::connect(address), "f", &["k"]));
            until(|| server.services.clients.has_scripts());
            assert_eq!(
                client.run("SCRIPT KILL").render(),
                "(BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN \
                 NOSAVE.)"
            );
            if keeps {
                until(|| client.run("EXISTS k").render() == "1");
            }
            assert_eq!(client.run("FUNCTION KILL").render(), "OK");
            let reply = victim.join().unwrap();
            assert!(reply.contains("killed by user"), "{flags}: {reply}");
            assert_eq!(reply.contains("stays"), keeps, "{reply}");
        });
        assert_eq!(
            client.run("EXISTS k").render(),
            i64::from(keeps).to_string()
        );
        let nothing = "(NOTBUSY No scripts in execution right now.)";
        assert_eq!(client.run("FUNCTION KILL").render(), nothing);
        thread::scope(|scope| {
            let endless = ["EVAL", "while true do end", "0"];
            let script = scope.spawn(move || Client::connect(address).call(&endless).render());
            until(|| server.services.clients.has_scripts());
            assert_eq!(
                client.run("FUNCTION KILL").render(),
                "(BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN \
                 NOSAVE.)"
            );
            assert_eq!(client.run("SCRIPT KILL").render(), "OK");
            assert!(script.join().unwrap().contains("killed by user"));
        });
    }
}

#[test]
fn the_limits_of_scripts_are_those_of_functions() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("CONFIG SET lua-memory-limit 8mb");
    let eats = "redis.call('SET', keys[1], 1) local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end";
    let runs = "redis.call('SET', keys[1], 1) while true do end";
    load(
        &mut client,
        &library("lib", &[("eats", "", eats), ("runs", "", runs)]),
    );
    for (function, limit) in [("eats", "lua-memory-limit"), ("runs", "lua-kill-limit")] {
        let reply = fcall(&mut client, function, &["k"]);
        assert!(reply.contains(limit), "{reply}");
        assert_eq!(client.run("EXISTS k").render(), "0");
        client.run("CONFIG SET lua-kill-limit 50");
    }
}

#[test]
fn an_error_keeps_or_leaves_what_was_written_as_the_flags_say() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let body = "redis.call('SET', keys[1], 'x') error('on purpose')";
    load(
        &mut client,
        &library(
            "lib",
            &[("keeps", "", body), ("leaves", "'rollback-on-error'", body)],
        ),
    );
    for (function, value) in [("keeps", "x"), ("leaves", "nil")] {
        let reply = fcall(&mut client, function, &[function]);
        assert!(reply.contains("on purpose"), "{reply}");
        assert_eq!(client.call(&["GET", function]).render(), value);
    }
    let contradiction = "'rollback-on-error', 'disable-atomicity'";
    let code = library("bad", &[("f", contradiction, "")]);
    let reply = client.call(&["FUNCTION", "LOAD", &code]).render();
    assert!(reply.contains("cannot be used together"), "{reply}");
}

#[test]
fn without_memory_a_function_runs_only_if_its_flags_say_so() {
    let process = Process::start(&[], &[]);
    let mut client = Client::connect(process.address);
    let code = library(
        "lib",
        &[
            ("plain", "", "return 'ran'"),
            ("reads", "'no-writes'", "return 'ran'"),
            (
                "writes",
                "'allow-oom'",
                "return redis.call('SET', keys[1], 1)",
            ),
        ],
    );
    load(&mut client, &code);
    client.run("CONFIG SET maxmemory 1");
    let refused = "(OOM command not allowed when used memory > 'maxmemory'.)";
    assert_eq!(fcall(&mut client, "plain", &["k"]), refused);
    assert_eq!(fcall(&mut client, "reads", &["k"]), "ran");
    assert_eq!(fcall(&mut client, "writes", &["k"]), "OK");
    let reply = client.call(&["FUNCTION", "LOAD", "REPLACE", &code]);
    assert_eq!(reply.render(), refused);
}

#[test]
fn exec_loads_once_however_often_it_runs_and_calls_what_it_loaded() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    load(&mut client, &library("lib", &[("f", "", "return 'old'")]));
    let body = "redis.call('INCR', keys[1]) return redis.call('GET', keys[1])";
    let next = library("lib", &[("f", "", body)]);
    let other = library("other", &[("g", "", "return 'g'")]);
    client.run("MULTI");
    client.run("INCR n");
    client.call(&["FUNCTION", "LOAD", "REPLACE", &next]);
    client.run("FCALL f 1 n");
    // A second time it would be there already.
    client.call(&["FUNCTION", "LOAD", &other]);
    client.run("FCALL g 0");
    client.call(&["FUNCTION", "LOAD", "nonsense"]);
    server.services.force_conflict();
    assert_eq!(
        client.run("EXEC").render(),
        "[1 lib '2' other g (ERR Missing library metadata)]"
    );
    let endless = "#!lua name=lib\nwhile true do end";
    client.run("MULTI");
    client.call(&["FUNCTION", "LOAD", "REPLACE", endless]);
    client.run("INCR n");
    let timeout = "(ERR Error registering functions: ERR FUNCTION LOAD timeout)";
    let expected = format!("[{timeout} 3]");
    assert_eq!(client.run("EXEC").render(), expected);
}

#[test]
fn a_call_in_exec_is_part_of_its_transaction() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let body = "return redis.call('INCR', 'n')";
    load(
        &mut client,
        &library("lib", &[("f", "'allow-undeclared-keys'", body)]),
    );
    client.run("MULTI");
    client.run("SET n 5");
    client.run("FCALL f 0");
    client.run("FCALL nothing 0");
    client.run("INCR n");
    server.services.force_conflict();
    assert_eq!(
        client.run("EXEC").render(),
        "[OK 6 (ERR Function not found) 7]"
    );
}

#[test]
fn scripts_do_not_reach_functions() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    load(&mut client, &library("lib", &[("f", "", "return 1")]));
    for call in [
        "'FCALL', 'f', 0",
        "'FCALL_RO', 'f', 0",
        "'FUNCTION', 'FLUSH'",
    ] {
        let body = format!("return redis.pcall({call})");
        let reply = client.call(&["EVAL", &body, "0"]).render();
        assert_eq!(reply, "(ERR This Redis command is not allowed from script)");
    }
}

#[test]
fn libraries_stay_when_data_goes_and_info_counts_them() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let code = library("lib", &[("f", "", "return 1"), ("g", "", "return 2")]);
    load(&mut client, &code);
    client.run("FLUSHALL");
    client.run("SCRIPT FLUSH");
    assert_eq!(fcall(&mut client, "g", &[]), "2");
    let info = client.run("INFO memory").render();
    for line in ["number_of_libraries:1", "number_of_functions:2"] {
        assert!(info.contains(line), "{line}: {info}");
    }
    assert_eq!(client.run("FUNCTION DELETE lib").render(), "OK");
    assert_eq!(fcall(&mut client, "g", &[]), "(ERR Function not found)");
}

fn dump(client: &mut Client) -> Vec<u8> {
    match client.run("FUNCTION DUMP") {
        Reply::Bulk(payload) => payload,
        other => panic!("{other:?}"),
    }
}

fn restore(client: &mut Client, payload: &[u8], policy: &str) -> String {
    let words = [&b"FUNCTION"[..], b"RESTORE", payload, policy.as_bytes()];
    client.call(&words).render()
}

#[test]
fn a_payload_is_restored_by_its_policy_all_or_nothing() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    load(&mut client, &library("a", &[("f", "", "return 'saved'")]));
    load(&mut client, &library("b", &[("g", "", "return 'saved'")]));
    let payload = dump(&mut client);
    let exists = "(ERR Library a already exists)";
    assert_eq!(restore(&mut client, &payload, "APPEND"), exists);
    load(&mut client, &library("a", &[("f", "", "return 'newer'")]));
    load(&mut client, &library("c", &[("h", "", "return 'newer'")]));
    assert_eq!(restore(&mut client, &payload, "REPLACE"), "OK");
    assert_eq!(fcall(&mut client, "f", &[]), "saved");
    assert_eq!(fcall(&mut client, "h", &[]), "newer");
    assert_eq!(restore(&mut client, &payload, "FLUSH"), "OK");
    assert_eq!(fcall(&mut client, "h", &[]), "(ERR Function not found)");
    client.run("FUNCTION FLUSH");
    load(&mut client, &library("c", &[("g", "", "return 'mine'")]));
    let taken = "(ERR Function g already exists)";
    assert_eq!(restore(&mut client, &payload, "REPLACE"), taken);
    assert_eq!(fcall(&mut client, "f", &[]), "(ERR Function not found)");
    assert_eq!(fcall(&mut client, "g", &[]), "mine");
    for length in 0..payload.len() {
        assert_eq!(
            restore(&mut client, &payload[..length], "FLUSH"),
            "(ERR DUMP payload version or checksum are wrong)"
        );
    }
    assert_eq!(fcall(&mut client, "g", &[]), "mine");
}

/// Short texts are written as they are, long ones compressed.
#[test]
fn payloads_go_to_redis_and_back() {
    let Some(redis) = Redis::start() else { return };
    let server = Server::start();
    let mut ours = Client::connect(server.address);
    let mut theirs = redis.client();
    let bodies: Vec<String> = (0..500)
        .map(|at| format!("local square = {} return {at}", at * at))
        .collect();
    let names: Vec<String> = (0..500).map(|at| format!("f{at}")).collect();
    let functions: Vec<_> = names
        .iter()
        .zip(&bodies)
        .map(|(name, body)| (name.as_str(), "'no-writes'", body.as_str()))
        .collect();
    let large = library("large", &functions);
    let small = library("small", &[("g", "", "return 'small'")]);
    for ours_first in [true, false] {
        let (from, to) = if ours_first {
            (&mut ours, &mut theirs)
        } else {
            (&mut theirs, &mut ours)
        };
        from.run("FUNCTION FLUSH");
        load(from, &large);
        load(from, &small);
        let payload = dump(from);
        assert_eq!(restore(to, &payload, "FLUSH"), "OK");
        assert_eq!(fcall(to, "f321", &[]), "321");
        assert_eq!(fcall(to, "g", &[]), "small");
        for (name, code) in [("large", &large), ("small", &small)] {
            let words = ["FUNCTION", "LIST", "LIBRARYNAME", name, "WITHCODE"];
            let listed = to.call(&words).elements().remove(0).elements();
            assert_eq!(listed.last(), Some(&Reply::Bulk(code.as_bytes().into())));
        }
    }
}
