//! What scripts can do, what they cannot, and what they see of Lua 5.1 and of Redis's numbers.

use crate::support::{TestHost, evaluate, finish, start};
use darter::script::Engine;

#[test]
fn floats_read_as_in_lua_5_1() {
    assert!(Engine::new().unwrap().has_redis_numbers());
    // Depends on the header that .cargo/config.toml adds to the vendored Lua.
    for (expression, expected) in [
        ("tostring(10/2)", "5"),
        ("'k:' .. 10/2", "k:5"),
        ("table.concat({1.0, 2.5}, ',')", "1,2.5"),
        ("string.format('%s', 3.0)", "3"),
        ("tostring(2^53)", "9.007199254741e+15"),
        ("tostring(-0.0)", "-0"),
        ("tostring(1e100)", "1e+100"),
        ("tostring(1/0)", "inf"),
        ("math.type(10/2)", "float"),
        ("string.rep('ab', 2.5)", "abab"),
        ("string.sub('hello', 1.5, 3.2)", "hel"),
        ("string.format('%d', 3.7)", "3"),
        ("string.format('%d', -3.7)", "-3"),
        ("string.sub('hello', -2.9)", "lo"),
        ("tostring(-7 // 2.0)", "-4"),
        ("tostring(-7 // 2)", "-4"),
        ("tostring(math.floor(-3.5))", "-4"),
        ("tostring(-3.5 < -3 and -4 < -3.5 and 3 < 3.5)", "true"),
        ("tostring(({10, 20})[1.5])", "nil"),
        ("cjson.encode({10/2})", "[5]"),
    ] {
        assert_eq!(
            evaluate(&format!("return {expression}")),
            format!("${expected}"),
            "{expression}"
        );
    }
}

#[test]
fn pairs_has_one_order_in_every_interpreter() {
    let body = "local t, o = {}, {} for i = 1, 200 do t['key' .. i * 7] = i t[i * 1.5] = i end \
        for k in pairs(t) do o[#o + 1] = tostring(k) end return redis.sha1hex(table.concat(o, ' '))";
    let mut engine = Engine::new().unwrap();
    let mut host = TestHost::default();
    let mut runs: Vec<_> = (0..5).map(|_| start(&mut engine, body)).collect();
    let replies: Vec<String> = runs.iter_mut().map(|run| finish(run, &mut host)).collect();
    assert!(
        replies.iter().all(|reply| *reply == replies[0]),
        "{replies:?}"
    );
}

#[test]
fn functions_of_lua_5_1_are_there() {
    for (expression, expected) in [
        ("unpack({7, 8}, 2)", ":8"),
        ("table.getn({1, 2, 3})", ":3"),
        ("tostring(math.max('10', '9'))", "$10"),
        ("math.max('10', 9, '0x10')", ":16"),
        ("tostring(math.min('2.5', 3))", "$2.5"),
        ("type(math.min('7'))", "$number"),
        (
            "math.max(9007199254740993, 9007199254740992)",
            ":9007199254740993",
        ),
        ("table.maxn({1, 2, [10] = 3})", ":10"),
        (
            "table.foreach({'a'}, function(k, v) return k .. v end)",
            "$1a",
        ),
        (
            "table.foreachi({'a', 'b'}, function(i, v) if i == 2 then return v end end)",
            "$b",
        ),
        ("math.pow(2, 10)", ":1024"),
        ("math.log10(1000)", ":3"),
        ("math.ldexp(1, 10)", ":1024"),
        ("select(2, math.frexp(8))", ":4"),
        ("math.mod(7, 3)", ":1"),
        ("loadstring('return 1 + 1')()", ":2"),
        ("string.gfind('abc', '%a')()", "$a"),
        ("gcinfo() > 0", ":1"),
        ("os.clock() > 0", ":1"),
        ("_VERSION", "$Lua 5.1"),
        ("redis.REDIS_VERSION", "$7.2.0"),
    ] {
        assert_eq!(
            evaluate(&format!("return {expression}")),
            expected,
            "{expression}"
        );
    }
}

#[test]
fn a_base_makes_no_difference_where_it_is_ten() {
    for (arguments, expected) in [
        ("'1.5', 10", "1.5"),
        ("'1e3', 10", "1000"),
        ("'0x10', 10", "16"),
        ("' -7 ', '10'", "-7"),
        ("7, 10", "7"),
        ("9007199254740993, 10", "9007199254740993"),
        ("'z', 10", "nil"),
        ("'', 10", "nil"),
        ("'1\\0', 10", "nil"),
        ("false, 10", "nil"),
        ("nil, 10", "nil"),
        ("{}, 10", "nil"),
        ("'1.5', nil", "1.5"),
        ("'0x10', 16", "16"),
        ("' ff ', 16", "255"),
        ("'z', 36", "35"),
        ("'8', 8", "nil"),
        ("'1.5', 2", "nil"),
        ("'', 16", "nil"),
        ("' ', 16", "nil"),
        ("'1\\0x', 2", "1"),
        ("11, 2", "3"),
        ("'7fffffffffffffff', 16", "9223372036854775807"),
        ("'-11', 2", "1.844674407371e+19"),
        ("'ffffffffffffffffff', 16", "1.844674407371e+19"),
    ] {
        let body = format!("return tostring(tonumber({arguments}))");
        assert_eq!(evaluate(&body), format!("${expected}"), "{arguments}");
    }
    for (arguments, error) in [
        ("", "#1 to 'tonumber' (value expected)"),
        ("'1', 1", "#2 to 'tonumber' (base out of range)"),
        ("'1', 2^32 + 10", "#2 to 'tonumber' (base out of range)"),
        (
            "false, 2",
            "#1 to 'tonumber' (string expected, got boolean)",
        ),
        ("'1', 'x'", "#2 to 'tonumber' (number expected, got string)"),
    ] {
        let reply = evaluate(&format!("return tonumber({arguments})"));
        let expected = format!("-ERR user_script:1: bad argument {error}");
        assert!(reply.starts_with(&expected), "{arguments}: {reply}");
    }
}

#[test]
fn what_the_sandbox_raises_stands_at_the_script_s_line() {
    for (expression, error) in [
        ("assert()", "bad argument #1 to 'assert' (value expected)"),
        ("assert(false, 5)", "5"),
        (
            "table.getn('abc')",
            "bad argument #1 to 'getn' (table expected, got string)",
        ),
        (
            "table.maxn(5)",
            "bad argument #1 to 'maxn' (table expected, got number)",
        ),
        (
            "table.foreach(nil)",
            "bad argument #1 to 'foreach' (table expected, got nil)",
        ),
        (
            "table.foreachi({}, 5)",
            "bad argument #2 to 'foreachi' (function expected, got number)",
        ),
    ] {
        // No tail call, which would take the place of the script's line.
        let reply = evaluate(&format!("\nlocal value = {expression}\nreturn value"));
        let expected = format!("-ERR user_script:2: {error} script: ");
        assert!(reply.starts_with(&expected), "{expression}: {reply}");
    }
}

#[test]
fn random_numbers_are_redis_s_and_begin_where_the_host_says() {
    let body = "math.randomseed(42) \
        return {tostring(math.random()), math.random(100), math.random(-5, 5), math.random(1000000)}";
    assert_eq!(evaluate(body), "*4 $0.74452500033403 :35 :-4 :422339");
    let body = "local first, second = math.random(), math.random() \
        math.randomseed(0) \
        return {tostring(first), first == math.random(), second == math.random()}";
    assert_eq!(evaluate(body), "*3 $0.17082803611217 :1 :1");
}

#[test]
fn what_leads_out_of_the_sandbox_is_absent() {
    for name in [
        "io", "debug", "package", "require", "dofile", "loadfile", "print", "warn", "utf8",
        "getfenv", "setfenv", "newproxy", "arg", "native",
    ] {
        let reply = evaluate(&format!("return {name}"));
        let expected = format!(
            "-ERR user_script:1: Script attempted to access nonexistent global variable '{name}'"
        );
        assert!(reply.starts_with(&expected), "{name}: {reply}");
    }
    for expression in ["os.execute", "os.exit", "os.getenv", "string.dump"] {
        assert_eq!(
            evaluate(&format!("return {expression} == nil")),
            ":1",
            "{expression}"
        );
    }
    assert_eq!(evaluate("return loadstring('\\27Lua') == nil"), ":1");
    assert_eq!(evaluate("return load('\\27Lua', 'x', 'b') == nil"), ":1");
    assert_eq!(
        evaluate("return load(function() return nil end) ~= nil"),
        ":1"
    );
    assert_eq!(
        evaluate("local e = {} load('x = 1', 'n', 't', e)() return e.x"),
        ":1"
    );
}

#[test]
fn nothing_shared_can_be_changed() {
    for statement in [
        "x = 1",
        "redis.call = nil",
        "redis.new = 1",
        "string.sub = nil",
        "cjson.encode = 1",
        "KEYS = {}",
        "_G.x = 1",
        "_G._G = 1",
        "rawset(_G, 'x', 1)",
        "rawset(redis, 'call', 1)",
        "setmetatable(_G, {})",
        "setmetatable(redis, nil)",
        "getmetatable('').__index = 1",
        "getmetatable(_G).__index = 1",
        "rawset(getmetatable(''), 'x', 1)",
        "rawset(getmetatable(redis), 'x', 1)",
        "setmetatable(getmetatable(''), {})",
        "table.insert(redis, 1)",
        "table.move({1}, 1, 1, 1, string)",
        "_ENV.x = 1",
        "for k, v in pairs(redis) do redis[k] = 1 end",
        "local _, t = pairs(redis) t.call = 1",
        "local f, t, k = pairs(_G) t.x = 1",
        "load('x = 1')()",
        "coroutine.wrap(function() x = 1 end)()",
    ] {
        let reply = evaluate(statement);
        assert!(
            reply.contains("Attempt to modify a readonly table"),
            "{statement}: {reply}"
        );
    }
}

#[test]
fn scripts_see_nothing_of_each_other() {
    let mut engine = Engine::new().unwrap();
    let mut host = TestHost::default();
    for _ in 0..3 {
        host.drawn = 0;
        for (body, expected) in [
            (
                "KEYS.leak = 1 ARGV[9] = 2 cjson.encode_max_depth(1) math.randomseed(9) redis.setresp(3) return 1",
                ":1",
            ),
            (
                "return {KEYS.leak == nil, ARGV[9] == nil, cjson.encode({{1}}), tostring(math.random())}",
                "*4 :1 :1 $[[1]] $0.17082803611217",
            ),
            ("return {true, redis.call('GET', 'none')}", "*2 :1 _"),
        ] {
            assert_eq!(
                finish(&mut start(&mut engine, body), &mut host),
                expected,
                "{body}"
            );
        }
    }
}

#[test]
fn a_frozen_table_is_not_marked_when_it_is_raised() {
    let mut engine = Engine::new().unwrap();
    let mut host = TestHost::default();
    for raised in ["redis", "_G", "getmetatable('')"] {
        let reply = finish(
            &mut start(&mut engine, &format!("error({raised})")),
            &mut host,
        );
        assert!(reply.starts_with("-ERR table script: "), "{reply}");
    }
    let body =
        "return {redis.line == nil, rawget(_G, 'line') == nil, getmetatable('').line == nil}";
    assert_eq!(
        finish(&mut start(&mut engine, body), &mut host),
        "*3 :1 :1 :1"
    );
}

#[test]
fn finalizers_are_refused() {
    let reply = evaluate("setmetatable({}, {__gc = function() end})");
    assert!(
        reply.contains("finalizers (__gc) are not supported"),
        "{reply}"
    );
    // Set later, it is not one: Lua looks for it when the metatable is set.
    let later = "local ran = false local m = {} local t = setmetatable({}, m) \
        m.__gc = function() ran = true end t = nil collectgarbage() return ran";
    assert_eq!(evaluate(later), "_");
}

#[test]
fn hostile_input_gets_plain_errors() {
    for (body, part) in [
        ("return unpack({}, 1, 1e8)", "too many results to unpack"),
        ("return unpack({}, -1, 2^53)", "too many results to unpack"),
        ("return select(-2^31, 1)", "out of range"),
        ("return string.format('%99999d', 1)", "invalid"),
        ("return table.concat({{}})", "invalid value"),
        (
            "table.sort({3, 1, 2, 5, 4, 7, 6, 9, 8, 1, 1}, function() return true end)",
            "invalid order function",
        ),
        (
            "return cjson.decode(string.rep('[', 1000000))",
            "too many nested data structures",
        ),
        (
            "local t = {} t[1] = t return cjson.encode(t)",
            "excessive nesting",
        ),
        (
            "return cjson.encode({[2^31 - 1] = 1})",
            "excessively sparse array",
        ),
        (
            "return cmsgpack.unpack(string.rep('\\145', 1000000))",
            "stack overflow",
        ),
        (
            "return cmsgpack.unpack('\\219\\255\\255\\255\\255a')",
            "Missing bytes",
        ),
        (
            "return struct.pack('c4294967295', 'a')",
            "integral size overflow",
        ),
        (
            "return struct.unpack('c2147483647', 'a')",
            "data string too short",
        ),
        (
            "return struct.unpack('b', 'a', 2^31)",
            "data string too short",
        ),
        (
            "coroutine.yield(1)",
            "attempt to yield from outside a coroutine",
        ),
        (
            "error(setmetatable({}, {__index = error, __tostring = error}))",
            "unknown error",
        ),
        ("error({err = 'A\\r\\nB'})", "-A  B"),
    ] {
        let reply = evaluate(body);
        assert!(
            reply.starts_with('-') && reply.contains(part),
            "{body}: {reply}"
        );
    }
    assert_eq!(
        evaluate("return bit.tohex(65535, -2147483648)"),
        "$0000FFFF"
    );
}
