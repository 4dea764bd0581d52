//! `maxmemory`: what is refused, what goes on, and that nothing is allocated first.

use std::time::{Duration, Instant};

use crate::support::client::{Client, Reply, encode};
use crate::support::info::{number, section};
use crate::support::process::Process;

const OOM: &str = "(OOM command not allowed when used memory > 'maxmemory'.)";
const MIB: usize = 1 << 20;

/// Refuses everything that is refused without memory, or nothing.
fn set_out_of_memory(client: &mut Client, is_out: bool) {
    let max = if is_out { "1" } else { "0" };
    let set = client.call(&["CONFIG", "SET", "maxmemory", max]);
    assert_eq!(set.render(), "OK");
}

/// Allows so much more than what is in use.
fn leave_room(client: &mut Client, bytes: usize) -> usize {
    let used = number(client, "used_memory");
    let max = (used + bytes).to_string();
    assert_eq!(
        client.call(&["CONFIG", "SET", "maxmemory", &max]).render(),
        "OK"
    );
    used
}

fn eval(client: &mut Client, script: &str, key: &str) -> String {
    client.call(&["EVAL", script, "1", key]).render()
}

/// Asks until it is so. A second is promised; a machine that runs tests may need some more.
fn soon(mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(4);
    while Instant::now() < deadline {
        if is_so() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

#[test]
fn a_full_server_refuses_writes_until_something_is_deleted() {
    let process = Process::start(&[], &[]);
    let mut client = Client::connect(process.address);
    let room = 8 * MIB;
    let before = leave_room(&mut client, room);
    let value = "x".repeat(10_000);
    let mut keys = Vec::new();
    let refusal = loop {
        let key = format!("k{}", keys.len());
        match client.call(&["SET", &key, &value]) {
            Reply::Status(_) => keys.push(key),
            other => break other,
        }
    };
    assert_eq!(refusal.render(), OOM);
    let kept = keys.len() * value.len();
    assert!(
        (room * 3 / 4..room + MIB).contains(&kept),
        "{kept} in {room}"
    );
    let used = number(&mut client, "used_memory");
    assert!(
        // Buffers may have been given back since.
        (before + room - MIB / 2..before + room + MIB).contains(&used),
        "{used} after {before} in {room}"
    );

    // What adds nothing goes on, whatever its place in the table of commands.
    assert_eq!(client.run("GET k0").render(), value);
    assert_eq!(client.run("EXPIRE k0 1000").render(), "1");
    assert_eq!(client.run("RENAME k0 renamed").render(), "OK");
    assert_eq!(client.run("PING").render(), "PONG");
    for line in [
        "INCR n",
        "HSET h f v",
        "RPUSH l v",
        "SADD s v",
        "ZADD z 1 v",
        "XADD x * f v",
    ] {
        assert_eq!(client.run(line).render(), OOM, "{line}");
    }
    let all = section(&mut client, "everything");
    assert_eq!(all["errorstat_OOM"], "count=7");
    assert!(all["cmdstat_incr"].contains("rejected_calls=1"), "{all:?}");

    let mut delete = vec!["DEL", "renamed"];
    delete.extend(keys.iter().skip(1).map(String::as_str));
    assert_eq!(client.call(&delete).render(), keys.len().to_string());
    assert!(
        soon(|| number(&mut client, "used_memory") < before + 2 * MIB),
        "{} of {before}",
        number(&mut client, "used_memory")
    );
    assert_eq!(client.run("SET k v").render(), "OK");
}

#[test]
fn what_a_snapshot_keeps_counts() {
    let process = Process::start(&[], &[]);
    let (mut client, mut watcher) = (
        Client::connect(process.address),
        Client::connect(process.address),
    );
    client.call(&["SET", "k", &"x".repeat(8 * MIB)]);
    watcher.run("WATCH k");
    client.run("DEL k");
    leave_room(&mut client, 4 * MIB);
    let growth = ["SETRANGE", "other", "6000000", "x"];
    assert_eq!(client.call(&growth).render(), OOM);
    watcher.run("UNWATCH");
    assert!(soon(|| client.call(&growth).render() == "6000001"));
}

#[test]
fn transactions_are_refused_as_by_redis() {
    let process = Process::start(&[], &[]);
    let (mut client, mut operator) = (
        Client::connect(process.address),
        Client::connect(process.address),
    );
    client.run("SET k v");
    set_out_of_memory(&mut operator, true);
    // A queue takes memory, whatever is in it.
    client.run("MULTI");
    assert_eq!(client.run("GET k").render(), OOM);
    assert!(
        client
            .run("EXEC")
            .render()
            .starts_with("(EXECABORT Transaction discarded because of p")
    );
    client.run("MULTI");
    assert_eq!(client.run("WATCH k").render(), OOM);
    assert_eq!(client.run("DISCARD").render(), "OK");
    let aborted = "(EXECABORT Transaction discarded because of: OOM command not allowed when used \
                   memory > 'maxmemory'.)";
    for (queued, expected) in [
        (&["SET", "k", "w"][..], aborted),
        (&["EVAL", "#!lua\nreturn 1", "0"], aborted),
        (&["EVAL", "#!lua flags=no-writes\nreturn 1", "0"], "[1 v]"),
        (&["DEL", "nothing"], "[0 v]"),
    ] {
        set_out_of_memory(&mut operator, false);
        client.run("MULTI");
        assert_eq!(client.call(queued).render(), "QUEUED");
        assert_eq!(client.run("GET k").render(), "QUEUED");
        set_out_of_memory(&mut operator, true);
        assert_eq!(client.run("EXEC").render(), expected, "{queued:?}");
    }
    set_out_of_memory(&mut operator, false);
    client.run("MULTI");
    client.call(&["EVAL", "return redis.call('SET', KEYS[1], 'w')", "1", "k"]);
    client.run("GET k");
    set_out_of_memory(&mut operator, true);
    let replies = client.run("EXEC").elements();
    assert!(
        replies[0].render().starts_with(&OOM[..OOM.len() - 1]),
        "{replies:?}"
    );
    assert_eq!(replies[1].render(), "v");
}

#[test]
fn scripts_of_every_mode_are_stopped_before_they_write() {
    let process = Process::start(&[], &[]);
    let mut client = Client::connect(process.address);
    client.run("SET k v");
    set_out_of_memory(&mut client, true);
    let set = "return redis.call('SET', KEYS[1], 'w')";
    let modes = [
        "",
        "--!df flags=allow-undeclared-keys\n",
        "--!df flags=disable-atomicity\n",
        "--!df flags=rollback-on-error\n",
    ];
    for mode in modes {
        let refused = eval(&mut client, &format!("{mode}{set}"), "k");
        assert!(
            refused.starts_with(&OOM[..OOM.len() - 1]),
            "{mode}: {refused}"
        );
        let caught = format!("{mode}local r = redis.pcall('SET', KEYS[1], 'w') return r.err");
        assert!(
            eval(&mut client, &caught, "k").contains("OOM command"),
            "{mode}"
        );
        let read = format!("{mode}return redis.call('GET', KEYS[1])");
        assert_eq!(eval(&mut client, &read, "k"), "v", "{mode}");
    }
    // One with a header says itself what it does.
    for header in [
        "#!lua\n",
        "#!lua flags=allow-undeclared-keys\n",
        "#!lua flags=disable-atomicity\n",
    ] {
        assert_eq!(
            eval(&mut client, &format!("{header}return 1"), "k"),
            OOM,
            "{header}"
        );
    }
    for header in [
        "#!lua flags=no-writes\n",
        "#!lua flags=allow-oom\n",
        "--!df flags=no-writes\n",
    ] {
        let read = format!("{header}return redis.call('GET', KEYS[1])");
        assert_eq!(eval(&mut client, &read, "k"), "v", "{header}");
    }
    let read_only = [
        "EVAL_RO",
        "#!lua\nreturn redis.call('GET', KEYS[1])",
        "1",
        "k",
    ];
    assert_eq!(client.call(&read_only).render(), "v");
    assert_eq!(client.run("GET k").render(), "v");
}

#[test]
fn the_flag_allow_oom_lets_a_script_write() {
    let process = Process::start(&[], &[]);
    let mut client = Client::connect(process.address);
    set_out_of_memory(&mut client, true);
    let set = "return redis.call('INCR', KEYS[1])";
    for (expected, header) in [
        ("1", "#!lua flags=allow-oom\n"),
        ("2", "--!df flags=allow-oom\n"),
        ("3", "#!lua flags=allow-oom,disable-atomicity\n"),
        ("4", "#!lua flags=allow-oom,allow-undeclared-keys\n"),
    ] {
        assert_eq!(
            eval(&mut client, &format!("{header}{set}"), "k"),
            expected,
            "{header}"
        );
    }
    let sha = client.call(&["SCRIPT", "LOAD", set]).render();
    assert!(
        client
            .call(&["EVALSHA", &sha, "1", "k"])
            .render()
            .contains("OOM")
    );
    client.call(&["SCRIPT", "FLAGS", &sha, "allow-oom"]);
    assert_eq!(client.call(&["EVALSHA", &sha, "1", "k"]).render(), "5");
}

#[test]
fn a_script_that_has_written_is_not_left_half_done() {
    let process = Process::start(&[], &[]);
    let mut client = Client::connect(process.address);
    let script = "redis.call('DEL', KEYS[1]) return redis.call('SET', KEYS[1], 'w')";
    for (mode, has_failed, value) in [
        ("", false, "w"),
        ("--!df flags=allow-undeclared-keys\n", false, "w"),
        // An error takes everything back.
        ("--!df flags=rollback-on-error\n", true, "v"),
        // Each call is by itself.
        ("--!df flags=disable-atomicity\n", true, "nil"),
    ] {
        set_out_of_memory(&mut client, false);
        client.run("SET k v");
        set_out_of_memory(&mut client, true);
        let reply = eval(&mut client, &format!("{mode}{script}"), "k");
        assert_eq!(reply.starts_with("(OOM"), has_failed, "{mode}: {reply}");
        assert_eq!(client.run("GET k").render(), value, "{mode}");
    }
}

#[test]
fn one_that_was_blocked_is_looked_at_again() {
    let process = Process::start(&[], &[]);
    let (mut client, mut blocked) = (
        Client::connect(process.address),
        Client::connect(process.address),
    );
    blocked.send(&["BLMOVE", "from", "to", "LEFT", "RIGHT", "0"]);
    while number(&mut client, "blocked_clients") == 0 {}
    set_out_of_memory(&mut client, true);
    let push = "#!lua flags=allow-oom\nreturn redis.call('RPUSH', KEYS[1], 'v')";
    assert_eq!(eval(&mut client, push, "from"), "1");
    assert_eq!(blocked.read().render(), OOM);
    assert_eq!(client.run("LLEN from").render(), "1");
    assert_eq!(blocked.run("PING").render(), "PONG");
}

#[test]
fn what_would_be_enormous_is_refused_before_it_is_allocated() {
    let process = Process::start(&[], &[]);
    let mut client = Client::connect(process.address);
    client.call(&["SET", "large", &"x".repeat(MIB)]);
    client.run("RPUSH list a b");
    let room = 64 * MIB;
    let before = leave_room(&mut client, room);
    let many = |first: &'static str| {
        let mut command = vec![first];
        command.extend(["large"; 200]);
        command
    };
    assert_eq!(client.run("SETRANGE k 200000000 x").render(), OOM);
    assert_eq!(client.run("SETRANGE large 200000000 x").render(), OOM);
    assert_eq!(client.call(&many("MGET")).render(), OOM);
    let unread = "local large, r = redis.call('GET', KEYS[1]), {} \
                  for i = 1, 200 do r[i] = large end \
                  redis.call('SET', KEYS[1], 'gone') return r";
    let reply = eval(&mut client, unread, "large");
    assert!(reply.contains("no memory for the reply"), "{reply}");
    client.run("MULTI");
    client.run("LPOP list 2");
    client.call(&many("MGET"));
    assert!(
        client
            .run("EXEC")
            .render()
            .contains("no memory for the reply")
    );

    // Nothing of it has happened.
    assert_eq!(client.run("LLEN list").render(), "2");
    assert_eq!(client.run("STRLEN large").render(), MIB.to_string());
    assert_eq!(client.run("EXISTS k").render(), "0");
    let peak = number(&mut client, "used_memory_peak");
    assert!(peak < before + room, "{peak} after {before}");
    // Lengths that fit are as good as ever.
    assert_eq!(client.run("SETRANGE k 4000000 x").render(), "4000001");
    client.call(&["SET", "other", &"y".repeat(2 * MIB)]);
    assert_eq!(client.run("MGET large other").elements().len(), 2);
}

#[test]
fn what_is_made_of_other_values_is_refused_while_it_is_made() {
    let process = Process::start(&[], &[]);
    let mut client = Client::connect(process.address);
    client.run("SETRANGE string 5999 x");
    let members: Vec<String> = (0..60_000).map(|i| format!("member-{i:060}")).collect();
    for (key, half) in [("1", &members[..30_000]), ("2", &members[30_000..])] {
        let plain: Vec<&str> = half.iter().map(String::as_str).collect();
        client.call(&[&["SADD", &format!("plain-{key}")][..], &plain].concat());
        let scored: Vec<&str> = half.iter().flat_map(|member| ["1", member]).collect();
        client.call(&[&["ZADD", &format!("scored-{key}")][..], &scored].concat());
    }
    leave_room(&mut client, MIB + MIB / 4);
    for line in [
        "SUNIONSTORE u plain-1 plain-2",
        "SDIFFSTORE u plain-1 plain-2",
        "ZUNIONSTORE u 2 scored-1 scored-2",
        "ZRANGESTORE u scored-1 0 -1",
    ] {
        assert_eq!(client.run(line).render(), OOM, "{line}");
    }
    let read = client.run("SUNION plain-1 plain-2").elements();
    assert_eq!(read.len(), members.len());
    assert_eq!(client.run("EXISTS u").render(), "0");
    // Its table would take 144 MB.
    assert_eq!(client.run("LCS string string LEN").render(), OOM);
}

#[test]
fn a_growing_string_stops_at_the_limit() {
    let process = Process::start(&[], &[]);
    let mut client = Client::connect(process.address);
    let room = 16 * MIB;
    let before = leave_room(&mut client, room);
    let part = "x".repeat(MIB);
    let append = encode(&["APPEND", "k", &part]);
    let mut length = 0;
    let refusal = loop {
        client.send_bytes(&append);
        match client.read() {
            Reply::Integer(now) => length = now,
            other => break other.render(),
        }
    };
    assert_eq!(refusal, OOM);
    assert_eq!(client.run("STRLEN k").render(), length.to_string());
    let used = number(&mut client, "used_memory");
    assert!(used < before + room + 2 * MIB, "{used} after {before}");
    assert!(length as usize > room / 2, "{length}");
}

#[test]
fn the_limit_is_shown_and_only_what_is_kept_is_accepted() {
    let process = Process::start(&["--maxmemory", "100mb"], &[]);
    let mut client = Client::connect(process.address);
    let memory = section(&mut client, "memory");
    assert_eq!(memory["maxmemory"], "104857600");
    assert_eq!(memory["maxmemory_human"], "100.00M");
    assert_eq!(memory["maxmemory_policy"], "noeviction");
    assert_eq!(client.run("CONFIG SET maxmemory 1gb").render(), "OK");
    assert_eq!(section(&mut client, "memory")["maxmemory"], "1073741824");
    let get = client.run("CONFIG GET maxmemory").render();
    assert_eq!(get, "[maxmemory '1073741824']");
    for policy in ["allkeys-lru", "volatile-ttl", "nonsense"] {
        let refusal = client.call(&["CONFIG", "SET", "maxmemory-policy", policy]);
        assert!(
            refusal.render().contains("no key is evicted here"),
            "{policy}"
        );
    }
    assert_eq!(
        client
            .run("CONFIG SET maxmemory-policy noeviction")
            .render(),
        "OK"
    );
    for wrong in ["x", "-1", "10%"] {
        let refusal = client.call(&["CONFIG", "SET", "maxmemory", wrong]);
        assert!(
            refusal.render().contains("must be a memory value"),
            "{wrong}"
        );
    }
}

#[test]
fn used_memory_rises_and_falls_with_what_is_kept() {
    let process = Process::start(&[], &[]);
    let mut client = Client::connect(process.address);
    let before = section(&mut client, "memory");
    let of = |all: &std::collections::HashMap<String, String>, name: &str| -> usize {
        all[name].parse().unwrap()
    };
    client.call(&["SET", "k", &"x".repeat(20 * MIB)]);
    let full = section(&mut client, "memory");
    let grown = of(&full, "used_memory") - of(&before, "used_memory");
    assert!((20 * MIB..22 * MIB).contains(&grown), "{grown}");
    assert!(of(&full, "used_memory_dataset") - of(&before, "used_memory_dataset") > 19 * MIB);
    assert!(of(&full, "used_memory_rss") > of(&full, "used_memory_startup"));
    let ratio: f64 = full["mem_fragmentation_ratio"].parse().unwrap();
    let expected = of(&full, "used_memory_rss") as f64 / of(&full, "used_memory") as f64;
    assert!((ratio - expected).abs() < 0.01, "{ratio}, not {expected}");
    client.run("FLUSHALL");
    assert!(soon(
        || number(&mut client, "used_memory") < of(&before, "used_memory") + MIB
    ));
    let after = section(&mut client, "memory");
    assert!(of(&after, "used_memory_peak") >= of(&full, "used_memory"));
}
