//! Scripts: modes, flags, undeclared keys, retries, escalation.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::thread;
use std::time::Instant;

use darter_storage::{Escalation, Mode};

use crate::support::client::{Client, Reply};
use crate::support::info::section;
use crate::support::log;
use crate::support::server::{Server, until};

const INCREMENT: &str = "return redis.call('INCR', KEYS[1])";

fn eval(client: &mut Client, body: &str, keys: &[&str], arguments: &[&str]) -> String {
    let count = keys.len().to_string();
    let mut all = vec!["EVAL", body, &count];
    all.extend(keys);
    all.extend(arguments);
    client.call(&all).render()
}

fn sha(client: &mut Client, body: &str) -> String {
    match client.call(&["SCRIPT", "LOAD", body]) {
        Reply::Bulk(sha) => String::from_utf8(sha).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_mode_reads_and_writes_what_it_may() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let undeclared = "return redis.call('INCR', 'other')";
    let with = |flags: &str, body: &str| format!("#!lua flags={flags}\n{body}");
    assert_eq!(eval(&mut client, INCREMENT, &["n"], &[]), "1");
    let refused = eval(&mut client, undeclared, &["n"], &[]);
    let expected = "(ERR script tried accessing undeclared key, key: other, command: INCR script: ";
    assert!(refused.starts_with(expected), "{refused}");
    assert!(refused.ends_with(", on @user_script:1.)"), "{refused}");
    assert_eq!(
        eval(
            &mut client,
            &with("allow-undeclared-keys", undeclared),
            &[],
            &[]
        ),
        "1"
    );
    assert_eq!(
        eval(
            &mut client,
            &with("disable-atomicity", INCREMENT),
            &["n"],
            &[]
        ),
        "2"
    );
    let direct = eval(
        &mut client,
        &with("disable-atomicity", undeclared),
        &["n"],
        &[],
    );
    assert!(direct.contains("undeclared key"), "{direct}");
    let both = with("allow-undeclared-keys,disable-atomicity", undeclared);
    assert_eq!(eval(&mut client, &both, &[], &[]), "2");
    let read_only = eval(&mut client, &with("no-writes", INCREMENT), &["n"], &[]);
    assert!(
        read_only.contains("Write commands are not allowed"),
        "{read_only}"
    );
    let get = "return redis.call('GET', KEYS[1])";
    assert_eq!(client.call(&["EVAL_RO", get, "1", "n"]).render(), "'2'");
    let write = client.call(&["EVAL_RO", INCREMENT, "1", "n"]).render();
    assert!(write.contains("Write commands are not allowed"), "{write}");
}

#[test]
fn flags_set_by_hand_win_and_may_come_before_the_script() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let body = "return redis.call('INCR', 'free')";
    let digest = darter::script::cache::sha_of(body.as_bytes());
    let digest = String::from_utf8(digest.to_vec()).unwrap();
    assert_eq!(
        client.call(&["EVALSHA", &digest, "0"]).render(),
        "(NOSCRIPT No matching script. Please use EVAL.)"
    );
    let set = client
        .call(&["SCRIPT", "FLAGS", &digest, "allow-undeclared-keys"])
        .render();
    assert_eq!(set, "OK");
    assert_eq!(eval(&mut client, body, &[], &[]), "1");
    assert_eq!(client.call(&["EVALSHA", &digest, "0"]).render(), "2");
    client.call(&["SCRIPT", "FLAGS", &digest, "NONE"]);
    assert!(eval(&mut client, body, &[], &[]).contains("undeclared key"));
    let unknown = client
        .call(&["SCRIPT", "FLAGS", &digest, "nonsense"])
        .render();
    assert_eq!(
        unknown,
        "(ERR Invalid config format: Invalid flag: nonsense)"
    );
    let header = eval(&mut client, "#!lua flags=nonsense\nreturn 1", &[], &[]);
    assert_eq!(header, "(ERR Unexpected flag in script shebang: nonsense)");
    let contradiction = "#!lua flags=disable-atomicity,rollback-on-error\nreturn 1";
    assert!(eval(&mut client, contradiction, &[], &[]).contains("rollback-on-error"));
}

#[test]
fn script_list_shows_every_script_with_its_body() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let loaded = sha(&mut client, "return 1");
    eval(&mut client, "return 2", &[], &[]);
    eval(
        &mut client,
        "return redis.call('GET', 'undeclared')",
        &[],
        &[],
    );
    let list = client.call(&["SCRIPT", "LIST"]).elements();
    assert_eq!(list.len(), 3);
    let pair = list[0].clone().elements();
    assert_eq!(pair.len(), 2);
    let exists = client.call(&["SCRIPT", "EXISTS", &loaded, "0000"]).render();
    assert_eq!(exists, "[1 0]");
    assert_eq!(client.run("SCRIPT FLUSH").render(), "OK");
    assert_eq!(client.call(&["SCRIPT", "LIST"]).elements().len(), 0);
}

#[test]
fn exec_finds_no_script_that_it_has_flushed_itself() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let loaded = sha(&mut client, "return 1");
    client.run("MULTI");
    for evaluates in [false, true] {
        client.call(&["EVALSHA", &loaded, "0"]);
        client.run("SCRIPT FLUSH");
        if evaluates {
            client.call(&["EVAL", "return 1", "0"]);
        }
        client.call(&["EVALSHA", &loaded, "0"]);
    }
    let missing = "(NOSCRIPT No matching script. Please use EVAL.)";
    assert_eq!(
        client.run("EXEC").render(),
        format!("[1 OK {missing} {missing} OK 1 1]")
    );
}

#[test]
fn what_one_thread_changes_holds_for_all_at_once() {
    let server = Server::start();
    // One connection for each thread.
    let [one, other] = &mut [(); 2].map(|()| Client::connect(server.address));
    for round in 0..50 {
        let (changes, runs) = if round % 2 == 0 {
            (&mut *one, &mut *other)
        } else {
            (&mut *other, &mut *one)
        };
        let loaded = sha(changes, INCREMENT);
        let run = |client: &mut Client| client.call(&["EVALSHA", &loaded, "1", "n"]).render();
        assert_eq!(run(runs), (2 * round + 1).to_string());
        changes.call(&["SCRIPT", "FLAGS", &loaded, "no-writes"]);
        assert!(run(runs).contains("Write commands are not allowed"));
        changes.call(&["SCRIPT", "FLAGS", &loaded, "NONE"]);
        assert_eq!(run(runs), (2 * round + 2).to_string());
        changes.run("SCRIPT FLUSH");
        assert!(run(runs).starts_with("(NOSCRIPT"));
        let library = format!(
            "#!lua name=lib\nredis.register_function('Round', function() return {round} end)"
        );
        changes.call(&["FUNCTION", "LOAD", "REPLACE", &library]);
        for name in ["Round", "round", "ROUND"] {
            assert_eq!(runs.call(&["FCALL", name, "0"]).render(), round.to_string());
        }
        if round % 5 == 0 {
            changes.run("FUNCTION DELETE lib");
            let reply = runs.run("FCALL ROUND 0").render();
            assert_eq!(reply, "(ERR Function not found)");
        }
    }
}

#[test]
fn a_script_that_raises_keeps_or_leaves_its_writes_as_its_flags_say() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let body = "redis.call('SET', KEYS[1], 'x'); error('on purpose')";
    assert!(eval(&mut client, body, &["kept"], &[]).contains("on purpose"));
    assert_eq!(client.run("GET kept").render(), "x");
    let rolled = format!("#!lua flags=rollback-on-error\n{body}");
    assert!(eval(&mut client, &rolled, &["left"], &[]).contains("on purpose"));
    assert_eq!(client.run("GET left").render(), "nil");
}

#[test]
fn scripts_in_multi_share_its_transaction() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("MULTI");
    client.run("SET n 5");
    client.call(&["EVAL", INCREMENT, "1", "n"]);
    client.call(&[
        "EVAL",
        "#!lua flags=no-writes\nreturn redis.call('SET', KEYS[1], 1)",
        "1",
        "n",
    ]);
    client.run("GET n");
    let replies = client.run("EXEC").elements();
    assert_eq!(replies[1].render(), "6");
    assert!(
        replies[2]
            .render()
            .contains("Write commands are not allowed")
    );
    assert_eq!(replies[3].render(), "'6'");
    client.run("MULTI");
    client.call(&[
        "EVAL",
        "#!lua flags=allow-undeclared-keys\nreturn redis.call('INCR', 'n')",
        "0",
    ]);
    client.run("INCR n");
    assert_eq!(client.run("EXEC").render(), "[7 8]");
    let info = client.run("INFO transactions").render();
    assert!(info.contains("gate_closings:1\\r"), "{info}");
}

#[test]
fn a_script_may_flush_by_taking_the_gate() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("SET a 1");
    let body = "redis.call('SET', KEYS[1], 'x'); redis.call('FLUSHALL'); \
                redis.call('SET', KEYS[1], 'y'); return redis.call('DBSIZE')";
    assert_eq!(eval(&mut client, body, &["k"], &[]), "1");
    assert_eq!(client.run("GET k").render(), "y");
    assert_eq!(client.run("GET a").render(), "nil");
}

/// I7, I8: 32 clients, one hot key, a script that reads, computes and writes.
#[test]
fn i7_a_hot_counter_is_exact_and_the_queue_takes_the_losers() {
    const CLIENTS: u64 = 32;
    const RUNS: u64 = 10_000;
    let server = Server::start();
    let body = "local n = tonumber(redis.call('GET', KEYS[1]) or 0) \
                local sum = 0 for i = 1, 50 do sum = sum + i end \
                redis.call('SET', KEYS[1], n + 1) return n + 1";
    let left = AtomicU64::new(RUNS);
    let address = server.address;
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                while left
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                        left.checked_sub(1)
                    })
                    .is_ok()
                {
                    let reply = client.call(&["EVAL", body, "1", "hot"]);
                    assert!(matches!(reply, Reply::Integer(_)), "{reply:?}");
                }
            });
        }
    });
    let mut client = Client::connect(address);
    assert_eq!(client.run("GET hot").render(), format!("'{RUNS}'"));
    let counts = server.services.store.counts();
    assert!(counts.escalations_gate * 100 <= RUNS, "{counts:?}");
    let info = client.run("INFO scripts").render();
    assert!(
        info.contains(&format!("optimistic:runs={RUNS},errors=0")),
        "{info}"
    );
}

/// I8: an attempt that lost leaves no message, whatever it published.
#[test]
fn i8_a_message_goes_out_once_however_often_its_script_ran() {
    let server = Server::start();
    let mut subscriber = Client::connect(server.address);
    subscriber.run("SUBSCRIBE news");
    let mut client = Client::connect(server.address);
    let body = "redis.call('INCR', KEYS[1]) return redis.call('PUBLISH', 'news', ARGV[1])";
    for number in 0..50 {
        server.services.force_conflict();
        let reply = eval(&mut client, body, &["n"], &[&number.to_string()]);
        assert_eq!(reply, "1");
    }
    client.run("PUBLISH news end");
    for number in 0..50 {
        let message = subscriber.read().elements();
        assert_eq!(message[2].render(), format!("'{number}'"));
    }
    assert_eq!(subscriber.read().elements()[2].render(), "end");
    assert_eq!(client.run("GET n").render(), "'50'");
    assert!(server.services.store.counts().retries >= 50);
}

struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn long_scripts_let_other_clients_go_on_in_every_mode() {
    for header in [
        "",
        "#!lua flags=allow-undeclared-keys\n",
        "#!lua flags=disable-atomicity\n",
        "#!lua flags=no-writes\n",
    ] {
        let server = Server::start();
        let is_over = AtomicBool::new(false);
        let address = server.address;
        let body = format!(
            "{header}local n = 0 for i = 1, 30000 do n = n + #(redis.call('GET', KEYS[1])) end \
             return n"
        );
        Client::connect(address).run("SET k 12345");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    // Also if it fails, or the reader would never end.
                    let _over = SetWhenDropped(&is_over);
                    let mut client = Client::connect(address);
                    let reply = client.call(&["EVAL", &body, "1", "k"]);
                    assert_eq!(reply, Reply::Integer(150_000));
                });
            }
            let mut client = Client::connect(address);
            let begin = Instant::now();
            let mut gets = 0_u32;
            while !is_over.load(Ordering::SeqCst) {
                assert_eq!(client.run("GET k").render(), "'12345'");
                gets += 1;
            }
            assert!(
                gets > 10,
                "{gets} reads in {:?} beside {header:?}",
                begin.elapsed()
            );
        });
    }
}

#[test]
fn what_a_script_may_not_do_is_an_error_and_the_next_request_is_served() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for (body, text) in [
        (
            "return redis.call('nonsense')",
            "Unknown Redis command called from script",
        ),
        (
            "return redis.call('GET')",
            "Wrong number of args calling Redis command from script",
        ),
        (
            "return redis.call('SUBSCRIBE', 'x')",
            "This Redis command is not allowed from script",
        ),
        (
            "return redis.call('MULTI')",
            "This Redis command is not allowed from script",
        ),
        ("return nonsense()", "nonsense"),
        ("x = 1", "Attempt to modify a readonly table"),
        ("return +", "Error compiling script"),
        (
            "return redis.call()",
            "Please specify at least one argument",
        ),
        ("return os.execute('true')", "nil value"),
        ("error({1})", "ERR"),
    ] {
        let reply = eval(&mut client, body, &[], &[]);
        assert!(reply.contains(text), "{body}: {reply}");
        assert_eq!(client.run("PING").render(), "PONG");
    }
    assert_eq!(
        client.run("EVAL x").render(),
        "(ERR wrong number of arguments for 'eval' command)"
    );
    for (count, text) in [
        ("x", "(ERR value is not an integer or out of range)"),
        ("-1", "(ERR Number of keys can't be negative)"),
        (
            "2",
            "(ERR Number of keys can't be greater than number of args)",
        ),
    ] {
        assert_eq!(
            client.call(&["EVAL", "return 1", count, "k"]).render(),
            text
        );
    }
}

#[test]
fn blocking_commands_do_not_block_in_scripts_or_in_multi() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let pop = "return redis.call('BLPOP', KEYS[1], 0)";
    assert_eq!(eval(&mut client, pop, &["empty"], &[]), "nil");
    client.run("MULTI");
    client.run("BLPOP empty 0");
    client.run("XREAD BLOCK 0 STREAMS empty $");
    assert_eq!(client.run("EXEC").render(), "[nil nil]");
    client.run("XGROUP CREATE s g $ MKSTREAM");
    for flags in ["", "#!lua flags=disable-atomicity\n"] {
        for (call, name) in [
            ("'xread', 'block', 0, 'streams', KEYS[1], '$'", "xread"),
            (
                "'XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', 0, 'STREAMS', KEYS[1], '>'",
                "XREADGROUP",
            ),
        ] {
            let body = format!("{flags}return redis.pcall({call})");
            assert_eq!(
                eval(&mut client, &body, &["s"], &[]),
                format!("(ERR {name} command is not allowed with BLOCK option from scripts)"),
            );
        }
    }
}

#[test]
fn no_two_runs_draw_the_same_random_numbers() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for flags in [
        "",
        "#!lua flags=allow-undeclared-keys\n",
        "#!lua flags=disable-atomicity\n",
        "#!lua flags=no-writes\n",
    ] {
        for number in ["math.random()", "math.random(1e9)"] {
            let body = format!("{flags}return tostring({number})");
            let mut drawn: Vec<String> =
                (0..5).map(|_| eval(&mut client, &body, &[], &[])).collect();
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), 5, "{body}: {drawn:?}");
        }
    }
}

/// The reply is nested some thousands deep, which the reader of this test needs stack for.
#[test]
fn a_cyclic_table_is_cut_off() {
    let server = Server::start();
    let address = server.address;
    let read = move || {
        let mut client = Client::connect(address);
        let reply = eval(&mut client, "local t = {} t[1] = t return t", &[], &[]);
        assert!(reply.contains("reached lua stack limit"));
        assert_eq!(client.run("PING").render(), "PONG");
    };
    let reader = thread::Builder::new()
        .stack_size(256 << 20)
        .spawn(read)
        .unwrap();
    reader.join().unwrap();
}

#[test]
fn a_script_that_runs_again_logs_once() {
    log::keep();
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let body = "redis.call('INCR', KEYS[1]) redis.log(redis.LOG_WARNING, ARGV[1])";
    for _ in 0..3 {
        server.services.force_conflict();
        eval(&mut client, body, &["n"], &["logged by one that lost"]);
    }
    // In EXEC as well.
    client.run("MULTI");
    client.call(&["EVAL", body, "1", "n", "logged by one that lost"]);
    server.services.force_conflict();
    client.run("EXEC");
    assert_eq!(client.run("GET n").render(), "'4'");
    assert_eq!(log::count("logged by one that lost"), 4);
    let failing = "#!lua flags=rollback-on-error\n\
                   redis.log(redis.LOG_WARNING, 'logged and rolled back') error('x')";
    eval(&mut client, failing, &[], &[]);
    assert_eq!(log::count("logged and rolled back"), 0);
}

#[test]
fn time_stands_still_within_a_script() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let body = "local before = redis.call('TIME') \
                redis.call('SET', KEYS[1], 'x', 'PX', 100000) \
                local left = redis.call('PTTL', KEYS[1]) \
                for i = 1, 5e6 do end \
                local after = redis.call('TIME') \
                return {before[1] == after[1] and before[2] == after[2], \
                    left - redis.call('PTTL', KEYS[1])}";
    for flags in ["", "#!lua flags=allow-undeclared-keys\n"] {
        let script = format!("{flags}{body}");
        assert_eq!(eval(&mut client, &script, &["k"], &[]), "[1 0]", "{flags}");
    }
}

#[test]
fn no_two_scripts_are_told_the_same_time() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    // As rate limiters do, whose entries would else be lost.
    let body = "local now = redis.call('TIME') \
                return redis.call('SADD', KEYS[1], now[1] .. '.' .. now[2])";
    let mut runs = 0;
    for flags in ["", "#!lua flags=allow-undeclared-keys\n"] {
        let script = format!("{flags}{body}");
        for _ in 0..100 {
            client.send(&["EVAL", &script, "1", "times"]);
        }
        for _ in 0..100 {
            assert_eq!(client.read().render(), "1", "{flags}");
            runs += 1;
        }
    }
    assert_eq!(client.run("SCARD times").render(), runs.to_string());
    // One that only reads hands it on to whoever names things after it.
    let body = "local now = redis.call('TIME') return now[1] .. '.' .. now[2]";
    for command in ["EVAL", "EVAL_RO"] {
        for _ in 0..50 {
            client.send(&[command, body, "0"]);
        }
        let times: Vec<String> = (0..50).map(|_| client.read().render()).collect();
        for time in times {
            let time = time.trim_matches('\'');
            assert_eq!(client.call(&["SADD", "times", time]).render(), "1");
        }
    }
}

#[test]
fn what_a_script_selects_is_its_own() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let body = "redis.call('SELECT', 1) return redis.call('SET', KEYS[1], ARGV[1])";
    for flags in ["", "#!lua flags=disable-atomicity\n"] {
        let script = format!("{flags}{body}");
        assert_eq!(eval(&mut client, &script, &["k"], &["v"]), "OK", "{flags}");
        assert_eq!(client.run("EXISTS k").render(), "0", "{flags}");
    }
    client.run("SELECT 1");
    assert_eq!(client.run("GET k").render(), "v");
}

#[test]
fn a_script_whose_commit_waits_for_the_gate_can_be_killed() {
    let server = Server::start();
    let store = &server.services.store;
    let mut gate = Escalation::exclusive(store);
    until(|| gate.poll(Waker::noop()));
    let owner = gate.begin(Mode::Optimistic);
    let mut client = Client::connect(server.address);
    let body = "return redis.call('INCR', KEYS[1])";
    client.send(&["EVAL", body, "2", "n", "other"]);
    let mut killer = Client::connect(server.address);
    until(|| killer.run("SCRIPT KILL").render() == "OK");
    let reply = client.read().render();
    assert!(reply.contains("killed by user"), "{reply}");
    drop(owner);
    assert_eq!(client.run("EXISTS n").render(), "0");
}

#[test]
fn what_a_script_calls_is_counted_once_however_often_it_ran() {
    const READS: [&str; 6] = ["EXISTS", "TYPE", "TTL", "STRLEN", "GET", "GET"];
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("SET text x");
    client.run("CONFIG RESETSTAT");
    for name in READS {
        client.run(&format!("{name} text"));
    }
    let counts = |client: &mut Client| {
        let all = section(client, "everything");
        let mut counts = READS.map(|name| {
            let text = &all[&format!("cmdstat_{}", name.to_lowercase())];
            text.split(',').next().unwrap().to_owned()
        });
        counts.sort();
        (counts, all["keyspace_hits"].clone())
    };
    let expected = counts(&mut client);
    // Too long for the transaction that it begins in.
    let long = "for i = 1, 3e6 do end";
    for (flags, middle, has_conflict) in [
        ("", "", false),
        ("", "", true),
        ("", long, true),
        ("allow-undeclared-keys", "", true),
        ("rollback-on-error", "error('x')", false),
        ("disable-atomicity", "", false),
        ("no-writes", long, false),
    ] {
        let mut body = format!("#!lua flags={flags}\n");
        for name in READS {
            body += &format!("redis.call('{name}', KEYS[1]) ");
        }
        body += middle;
        // One that names a single key reads its newest version, others at a number.
        for keys in [&["text"][..], &["text", "other"]] {
            client.run("CONFIG RESETSTAT");
            if has_conflict {
                server.services.force_conflict();
            }
            eval(&mut client, &body, keys, &[]);
            assert_eq!(counts(&mut client), expected, "{body}");
        }
    }
}
