//! FUNCTION and FCALL, and the same lines by a real Redis.

use crate::support::check::{check, check_in_both, compare_lines};

/// A library with these lines after its first one.
fn load(lines: &str) -> String {
    format!("FUNCTION FLUSH; FUNCTION LOAD '#!lua name=lib\\n{lines}'")
}

#[test]
fn functions_are_called_in_every_way() {
    let body = "redis.register_function(\\'f\\', function(k, a) \
                redis.call(\\'SET\\', k[1], a[1]) return {#k, #a} end)";
    check(
        &format!(
            "{}; FCALL f 1 k v w; GET k; FUNCTION DELETE lib",
            load(body)
        ),
        "OK; lib; [1 2]; v; OK",
    );
    check(
        "FUNCTION FLUSH ASYNC; FUNCTION LIST; FUNCTION DELETE x",
        "OK; []; (ERR Library not found)",
    );
    check_in_both(
        "FUNCTION FLUSH; FUNCTION STATS",
        "OK; [running_script nil engines [LUA [libraries_count 0 functions_count 0]]]",
        "OK; [running_script nil engines [LUA [libraries_count 0 functions_count 0]]]",
    );
}

/// Bodies of libraries that Redis refuses, or takes.
const LIBRARIES: &[&str] = &[
    "",
    "local a = redis.call(\\'GET\\', \\'x\\')",
    "redis.pcall(\\'x\\')",
    "local x = redis.foo",
    "local x = undefined",
    "x = 1",
    "redis.x = 1",
    "error(\\'boom\\')",
    "local x = math.random()",
    "local x = nil + 1",
    "redis.log()",
    "redis.register_function(\\'f\\', function() end) redis.register_function(\\'f\\', function() end)",
    "redis.register_function()",
    "redis.register_function(\\'f\\')",
    "redis.register_function(\\'f\\', 1)",
    "redis.register_function({}, function() end)",
    "redis.register_function(\\'\\', function() end)",
    "redis.register_function(\\'a-b\\', function() end)",
    "redis.register_function(\\'a\\', \\'b\\', \\'c\\')",
    "redis.register_function{}",
    "redis.register_function{function_name=\\'a\\'}",
    "redis.register_function{callback=function() end}",
    "redis.register_function{function_name={}, callback=function() end}",
    "redis.register_function{function_name=\\'a\\', callback=1}",
    "redis.register_function{function_name=\\'a\\', callback=function() end, x=1}",
    "redis.register_function{function_name=\\'a\\', callback=function() end, [true]=1}",
    "redis.register_function{function_name=\\'a\\', callback=function() end, description={}}",
    "redis.register_function{function_name=\\'a\\', callback=function() end, flags=1}",
    "redis.register_function{function_name=\\'a\\', callback=function() end, flags={\\'x\\'}}",
    "redis.register_function{function_name=\\'a\\', callback=function() end, flags={{}}}",
    "redis.register_function{FUNCTION_NAME=12, CallBack=function() end, flags={\\'NO-WRITES\\'}, \
     description=3}",
    "redis.register_function(\\'f\\' .. redis.LOG_WARNING, function() end) return 5",
];

const HEADERS: &[&str] = &[
    "#!",
    "#! lua",
    "#!LUA",
    "#!lua ",
    "#!lua\\r",
    "#!lua\\x09flags=",
    "#!lua name=x",
    "#!lua name=x flags=no-writes",
    "#!lua flags=",
    "#!lua flags=,",
    "#!lua flags=no-writes,",
    "#!lua flags=,no-writes",
    "#!lua flags=no-writes,,allow-oom",
    "#!lua flags=no-writes flags=allow-oom",
    "#!lua flags= no-writes",
    "#!lua flags",
    "#!lua FLAGS=no-writes",
    "#!lua foo",
    "#!lua foo=1",
    "#!lua \"flags=no-writes\"",
    "#!lua \"flags=no-writes",
    "#!lua flags=\"no-writes\"x",
    "#!lua name=\"a\\\\x62\"",
    "#!\"lua\" name=x",
    "#!lua \\'name=x\\'",
];

#[test]
fn first_lines_are_read_as_by_redis() {
    let mut lines = Vec::new();
    for header in HEADERS {
        let body = "\\nreturn redis.call(\\'SET\\', KEYS[1], 1)";
        lines.push(format!(
            "EVAL '{header}{body}' 1 k; SCRIPT LOAD '{header}{body}'"
        ));
        let body = "\\nredis.register_function(\\'f\\', function() return 1 end)";
        lines.push(format!("FUNCTION FLUSH; FUNCTION LOAD '{header}{body}'"));
    }
    compare_lines(&lines, &["HELLO 2"]);
}

#[test]
fn libraries_are_taken_and_refused_as_by_redis() {
    let listed = |library: &&str| format!("{}; FUNCTION LIST WITHCODE", load(library));
    let mut lines: Vec<String> = LIBRARIES.iter().map(listed).collect();
    for first in [
        "",
        "return 1",
        "#!lua",
        "#!lua\\n",
        "#!\\n",
        "#!lua name=\\n",
        "#!lua name=a-b\\n",
        "#!lua name=a name=b\\n",
        "#!lua name=a b=c\\n",
        "#!js name=a\\n",
        "#!LUA NAME=\"a\" \\nredis.register_function(\\'f\\', function() end)",
    ] {
        lines.push(format!("FUNCTION FLUSH; FUNCTION LOAD '{first}'"));
    }
    compare_lines(&lines, &["HELLO 2", "HELLO 3"]);
}

const FUNCTIONS: &str = "local R = redis.register_function \
    R(\\'w\\', function(k, a) return redis.call(\\'SET\\', k[1], a[1]) end) \
    R{function_name=\\'r\\', callback=function(k) return redis.call(\\'GET\\', k[1]) end, \
      flags={\\'no-writes\\'}}\\n\
    R{function_name=\\'rw\\', callback=function(k) return redis.call(\\'DEL\\', k[1]) end, \
      flags={\\'no-writes\\', \\'allow-oom\\', \\'allow-stale\\', \\'no-cluster\\', \
      \\'allow-cross-slot-keys\\'}}\\n\
    R(\\'arity\\', function() return redis.call(\\'INCR\\') end)\\n\
    R(\\'unknown\\', function() return redis.call(\\'NOTHING\\') end)\\n\
    R(\\'wrong\\', function(k) return redis.call(\\'LPUSH\\', k[1], \\'x\\') end)\\n\
    R(\\'raises\\', function()\\nerror(\\'boom\\') end)\\n\
    R(\\'table\\', function() error({err=\\'MY boom\\'}) end)\\n\
    R(\\'sum\\', function() return nil + 1 end)\\n\
    R(\\'reply\\', function() return redis.error_reply(\\'MY x\\') end)\\n\
    R(\\'missing\\', function() return x end)\\n\
    R(\\'creates\\', function() x = 1 end)\\n\
    R(\\'keys\\', function() return KEYS[1] end)\\n\
    R(\\'late\\', function() R(\\'x\\', function() end) end)\\n\
    R(\\'echo\\', function(k, a) return {#k, #a, k, a} end)\\n\
    R(\\'none\\', function() end)\\n\
    R(\\'two\\', function() return 1, 2 end)\\n\
    R(\\'nested\\', function() return redis.call(\\'FCALL\\', \\'r\\', 1, \\'k\\') end)\\n\
    R(\\'catches\\', function() local ok, e = pcall(redis.call, \\'INCR\\') return {e} end)\\n\
    R(\\'three\\', function(k) redis.setresp(3) return redis.call(\\'HGETALL\\', k[1]) end)";

#[test]
fn functions_answer_as_in_redis() {
    let calls = [
        "FCALL w 1 k v; FCALL W 1 k w; FCALL r 1 k; FCALL_RO r 1 k; FCALL_RO w 1 k v",
        "FCALL rw 1 k; FCALL_RO rw 1 k",
        "FCALL nothing 0; FCALL nothing x; FCALL_RO nothing 0",
        "FCALL w x; FCALL w -1; FCALL w 2 a; FCALL w 99999999999999999999; FCALL w 1.0 k",
        "FCALL w; FCALL; FCALL_RO",
        "FCALL arity 0; FCALL unknown 0; SET s x; FCALL wrong 1 s",
        "FCALL raises 0; FCALL table 0; FCALL sum 0; FCALL reply 0; FCALL missing 0",
        "FCALL creates 0; FCALL keys 1 k; FCALL late 0",
        "FCALL echo 2 a b c; FCALL none 0; FCALL two 0; FCALL nested 1 k; FCALL catches 0",
        "HSET h a b; FCALL three 1 h",
        "FLUSHALL; FUNCTION STATS",
        "MULTI; FCALL w 1 k v; FCALL r 1 k; FCALL nothing 0; FUNCTION FLUSH; EXEC; FCALL r 1 k",
        "FUNCTION LOAD '#!lua name=lib\\n'; FUNCTION LOAD '#!lua name=o\\nredis.register_function(\\'W\\', function() end)'",
        "FUNCTION LOAD REPLACE REPLACE '#!lua name=o\\nredis.register_function(\\'g\\', function() end)'; FUNCTION DELETE LIB; FUNCTION DELETE lib; FUNCTION LIST",
    ];
    let lines: Vec<String> = calls
        .iter()
        .map(|calls| format!("{}; {calls}", load(FUNCTIONS)))
        .collect();
    compare_lines(&lines, &["HELLO 2", "HELLO 3"]);
}

#[test]
fn subcommands_refuse_as_in_redis() {
    let one = load("redis.register_function(\\'f\\', function() end)");
    let lines = [
        "FUNCTION; FUNCTION NOTHING; FUNCTION LOAD; FUNCTION DELETE; FUNCTION DUMP x; FUNCTION STATS x",
        "FUNCTION LOAD REPLACE; FUNCTION LOAD NOTHING x; FUNCTION KILL; FUNCTION KILL x",
        "FUNCTION FLUSH x; FUNCTION FLUSH SYNC x; FUNCTION FLUSH sync",
        "FUNCTION LIST x; FUNCTION LIST LIBRARYNAME; FUNCTION LIST WITHCODE WITHCODE",
        "FUNCTION LIST LIBRARYNAME a LIBRARYNAME b",
        "FUNCTION LIST LIBRARYNAME L*; FUNCTION LIST LIBRARYNAME x*; FUNCTION LIST withcode libraryname lib",
        "FUNCTION RESTORE x; FUNCTION RESTORE ''; FUNCTION RESTORE x y; FUNCTION RESTORE x APPEND z",
        "FUNCTION RESTORE '\\n\\x00\\x5d\\x9b\\x5c\\x40\\x0f\\x7f\\xa2\\xda'",
        "COMMAND GETKEYS FCALL f 1 k v; COMMAND GETKEYS FCALL_RO f 2 k v",
    ];
    let lines: Vec<String> = lines.iter().map(|line| format!("{one}; {line}")).collect();
    compare_lines(&lines, &["HELLO 2", "HELLO 3"]);
}
