//! Scripts from start to end: calls, results, errors.

use crate::support::{LIMITS, Recorder, TestHost, evaluate, finish, script, start};
use darter::script::{Engine, Limits, LogLevel, Step};

fn without_sha(reply: &str) -> String {
    match reply.find(" script: ") {
        Some(start) => format!(
            "{}{}",
            &reply[..start],
            &reply[start + " script: ".len() + 40..]
        ),
        None => reply.to_owned(),
    }
}

#[test]
fn results_become_replies() {
    for (body, expected) in [
        ("return 1", ":1"),
        ("return 3.99", ":3"),
        ("return -3.99", ":-3"),
        ("return 'text'", "$text"),
        ("return true", ":1"),
        ("return false", "_"),
        ("return nil", "_"),
        ("return", "_"),
        ("return {1,'b',{3}}", "*3 :1 $b *1 :3"),
        ("return {1,nil,3}", "*1 :1"),
        ("return {ok='FINE'}", "+FINE"),
        ("return {err='BAD news'}", "-BAD news"),
        ("return {double=2.5}", ",2.5"),
        ("return {map={a=1}}", "%1 $a :1"),
        ("return {set={a=true}}", "~1 $a"),
        ("return {big_number='123'}", "(123"),
        (
            "return {verbatim_string={format='txt',string='s'}}",
            "=txt:s",
        ),
        ("redis.setresp(3) return {true,false}", "*2 #t #f"),
        ("return KEYS[1]..KEYS[2]..ARGV[1]", "$k1k2a1"),
        (
            "return print == nil",
            "-ERR user_script:1: Script attempted to access nonexistent global variable 'print', on @user_script:1.",
        ),
    ] {
        assert_eq!(without_sha(&evaluate(body)), expected, "{body}");
    }
}

#[test]
fn calls_reach_the_host() {
    assert_eq!(
        evaluate("return redis.call('x', 1, 2.5, 10/2, 'y')"),
        "*5 $x $1 $2.5 $5 $y"
    );
    assert_eq!(
        evaluate("redis.call('SET','a',10/2) return redis.call('GET','a')"),
        "$5"
    );
    assert_eq!(evaluate("return redis.call('SET','a','b')"), "+OK");
    assert_eq!(evaluate("return redis.call('SET','a','b').ok"), "$OK");
    assert_eq!(
        evaluate("return tostring(redis.call('GET','none'))"),
        "$false"
    );
    assert_eq!(evaluate("return server.call('x')"), "*1 $x");
    let many = "local t = {} for i = 1, 100 do t[i] = i end return #redis.call(unpack(t))";
    assert_eq!(evaluate(many), ":100");
}

#[test]
fn errors_have_redis_texts() {
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    let fail = format!("redis.call('FAIL', '{}')", &wrong[1..]);
    for (body, expected) in [
        (
            format!("\n\n{fail}"),
            format!("{wrong}, on @user_script:3."),
        ),
        (fail.replace("call(", "pcall("), "_".into()),
        (
            format!("return {}", fail.replace("call(", "pcall(")),
            wrong.into(),
        ),
        (
            format!("return {{pcall(function() {fail} end)}}"),
            "*1 _".replace("*1 _", &format!("*2 _ ${}", &wrong[1..])),
        ),
        (
            "error('boo')".into(),
            "-ERR user_script:1: boo, on @user_script:1.".into(),
        ),
        (
            "error({err='A b'})".into(),
            "-A b, on @user_script:1.".into(),
        ),
        (
            "error({})".into(),
            "-ERR unknown error, on @user_script:1.".into(),
        ),
        ("error()".into(), "-ERR nil, on @user_script:1.".into()),
        (
            "y = 1".into(),
            "-ERR user_script:1: Attempt to modify a readonly table, on @user_script:1.".into(),
        ),
        (
            "redis.call()".into(),
            "-ERR Please specify at least one argument for this redis lib call, on @user_script:1."
                .into(),
        ),
        (
            "redis.call({})".into(),
            "-ERR Lua redis lib command arguments must be strings or integers, on @user_script:1."
                .into(),
        ),
        ("return redis.error_reply('x')".into(), "-ERR x".into()),
        ("return redis.error_reply('-x y')".into(), "-x y".into()),
        (
            "return redis.status_reply(1)".into(),
            "-ERR wrong number or type of arguments".into(),
        ),
    ] {
        assert_eq!(without_sha(&evaluate(&body)), expected, "{body}");
    }
}

#[test]
fn a_failed_run_says_so() {
    let mut engine = Engine::new().unwrap();
    let mut host = TestHost::default();
    for (body, failed) in [
        ("error('x')", true),
        ("return {err='x'}", false),
        ("return 1", false),
    ] {
        let mut run = start(&mut engine, body);
        finish(&mut run, &mut host);
        assert_eq!(run.failed(), failed, "{body}");
    }
}

#[test]
fn compile_errors_name_the_line_of_the_text() {
    let engine = Engine::new().unwrap();
    assert_eq!(engine.check(b"return 1"), Ok(()));
    assert_eq!(engine.check(b"#!lua flags=no-writes\nreturn 1"), Ok(()));
    let error = engine.check(b"#!lua\n\na b").unwrap_err();
    assert!(
        error.starts_with(b"Error compiling script (new function): user_script:3: "),
        "{}",
        error.escape_ascii()
    );
    assert!(engine.check(b"\x1bLua").is_err(), "bytecode");
}

#[test]
fn a_script_is_compiled_once_and_runs_alike_every_time() {
    let mut engine = Engine::new().unwrap();
    let mut host = TestHost::default();
    let shared = script(
        "math.randomseed(0) local r = math.random(1000) KEYS[3] = 'mine' return {r, #KEYS, ARGV[1]}",
    );
    for argument in [b"x".as_slice(), b"y"] {
        let mut run = engine
            .start(&shared, [&b"1"[..], b"2"], [argument], LIMITS)
            .unwrap();
        let expected = format!("*3 :171 :3 ${}", String::from_utf8_lossy(argument));
        assert_eq!(finish(&mut run, &mut host), expected);
    }
}

#[test]
fn the_host_learns_the_line_of_the_call() {
    let mut engine = Engine::new().unwrap();
    let mut host = TestHost::default();
    let body = "#!lua\nredis.call('LINE')\nlocal function f()\n redis.pcall('LINE')\nend\nf()\npcall(redis.call, 'LINE')";
    finish(&mut start(&mut engine, body), &mut host);
    assert_eq!(host.lines, [2, 4, 7]);
}

#[test]
fn replies_become_values_in_both_protocols() {
    let body = "local t = redis.call('TYPES') return {t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9]}";
    let flat = "*9 $1.5 :1 _ $12345678901234567890 $text *2 $key :7 *1 $member -ERR inner +inner";
    assert_eq!(evaluate(body), flat);
    let rich = "redis.setresp(3) local t = redis.call('TYPES') \
        return {t[1], t[2], t[3] == nil, t[4], t[5], t[6], t[7], t[8], t[9]}";
    let expected =
        "*9 ,1.5 #t #t (12345678901234567890 =txt:text %1 $key :7 ~1 $member -ERR inner +inner";
    assert_eq!(evaluate(rich), expected);
    assert_eq!(evaluate("return redis.call('REWIND')"), "*2 :1 $kept");
}

#[test]
fn a_command_may_need_more_stack_than_a_script_has() {
    let nested = "local r local function f(n) if n == 0 then r = redis.call('STACK') else \
        string.gsub('x', 'x', function() f(n - 1) end) end end f(60) return r";
    assert_eq!(evaluate(nested), ":1");
}

#[test]
fn a_panic_in_the_host_ends_the_script_and_no_pcall_hides_it() {
    let mut engine = Engine::new().unwrap();
    let mut host = TestHost::default();
    for body in [
        "redis.call('PANIC') redis.call('LINE')",
        "pcall(redis.call, 'PANIC') redis.call('LINE')",
        "while true do redis.pcall('PANIC') redis.call('LINE') end",
        "coroutine.wrap(function() redis.call('PANIC') end)() redis.call('LINE')",
    ] {
        let mut run = start(&mut engine, body);
        assert_eq!(run.resume(&mut host), Step::Panicked, "{body}");
        assert_eq!(run.resume(&mut host), Step::Panicked, "{body}");
    }
    assert!(host.lines.is_empty(), "nothing runs behind it");
    let next = finish(&mut start(&mut engine, "return 'next'"), &mut host);
    assert_eq!(next, "$next");
}

#[test]
fn log_lines_and_permissions_come_from_the_host() {
    let mut engine = Engine::new().unwrap();
    let mut host = TestHost::default();
    let body = "redis.log(redis.LOG_WARNING, 'a', 1) redis.log('2', 'b') \
        return {redis.acl_check_cmd('GET'), redis.acl_check_cmd('SET')}";
    assert_eq!(finish(&mut start(&mut engine, body), &mut host), "*2 :1 _");
    let expected = [(LogLevel::Warning, "a 1"), (LogLevel::Notice, "b")];
    assert_eq!(
        host.logged,
        expected.map(|(level, line)| (level, line.to_owned()))
    );
    let unknown = evaluate("redis.acl_check_cmd('NONE')");
    assert!(
        unknown.starts_with("-ERR Invalid command passed to redis.acl_check_cmd()"),
        "{unknown}"
    );
}

#[test]
fn a_nested_or_cyclic_result_is_bounded() {
    let cyclic = evaluate("local t = {} t[1] = t return t");
    assert!(
        cyclic.ends_with("*1 -ERR reached lua stack limit"),
        "{cyclic}"
    );
    let doubling = evaluate("local t = {} t[1] = t t[2] = t return t");
    assert_eq!(doubling, "-ERR the script's result is too large");
}

#[test]
fn a_deep_result_needs_little_stack() {
    let convert = || evaluate("local t = {} t[1] = t return t").len();
    let thread = std::thread::Builder::new()
        .stack_size(1_500_000)
        .spawn(convert)
        .unwrap();
    assert!(thread.join().unwrap() > 1000);
}

#[test]
fn a_result_can_be_read_only_when_there_is_one() {
    let mut engine = Engine::new().unwrap();
    let mut run = engine
        .start(
            &script("while true do end"),
            [],
            [],
            Limits {
                memory_bytes: 1 << 20,
            },
        )
        .unwrap();
    assert_eq!(run.resume(&mut TestHost::default()), Step::Preempted);
    let mut recorder = Recorder::default();
    run.write_result(&mut recorder);
    assert_eq!(recorder.words, ["-ERR the script has not finished"]);
}

#[test]
fn a_weak_table_has_as_many_elements_as_it_says() {
    let mut engine = Engine::new().unwrap();
    let mut evaluate = |body: &str| finish(&mut start(&mut engine, body), &mut TestHost::default());
    // A collection falls between its count and its elements for a few of these at most.
    for count in 1740..1780 {
        let body = format!(
            "local weak = setmetatable({{}}, {{__mode = 'v'}}) \
             for i = 1, {count} do weak['k' .. i] = {{i}} end return {{map = weak}}"
        );
        let reply = evaluate(&body);
        let announced = reply[1..].split(' ').next().unwrap();
        let found = reply.matches("$k").count();
        assert_eq!(announced, found.to_string(), "{count}");
    }
}
