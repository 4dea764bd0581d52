//! What a script's client reads, word for word as a real Redis writes it.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::check::compare;
use crate::support::client::{Client, encode};
use crate::support::redis::Redis;
use crate::support::server::Server;

/// Each runs with the key `s`, which holds a string, and the argument `a`. What Lua 5.4 itself words
/// differently is not among them (docs/scripting.md names it).
const BODIES: &[&str] = &[
    // Checks of calls, in Redis's order.
    "return redis.call('NOSUCH')",
    "return redis.call('NOSUCH', 'SUB')",
    "return redis.call('GET')",
    "return redis.call('AUTH', 'x')",
    "return redis.call('SUBSCRIBE', 'x')",
    "return redis.call('MULTI')",
    "return redis.call('EVAL', 'return 1', 0)",
    "return redis.call()",
    "return redis.pcall()",
    "return redis.call({})",
    "return redis.call('GET', {})",
    "return redis.call('GET', true)",
    "return redis.pcall('NOSUCH')",
    "return redis.pcall('NOSUCH').err",
    "return redis.pcall('INCR', KEYS[1])",
    "return redis.pcall('INCR', KEYS[1]).err",
    "return redis.call('INCR', KEYS[1])",
    "\n\nreturn redis.call('LPUSH', KEYS[1], 'x')",
    "local ok, text = pcall(redis.call, 'LPUSH', KEYS[1], 'x') return {tostring(ok), text}",
    "local ok, text = pcall(redis.call, 'NOSUCH') return text",
    "return redis.call('SET', KEYS[1], 1.5) and redis.call('GET', KEYS[1])",
    // The sandbox.
    "x = 1",
    "return nosuch",
    "return nosuch.field",
    "redis = 1",
    "redis.x = 1",
    "string.x = 1",
    "KEYS = {}",
    "return rawset(redis, 'x', 1)",
    "return setmetatable(_G, {})",
    "return tostring(redis.nosuch)",
    "return print == nil",
    "KEYS[1] = 'other' return KEYS[1]",
    // The table redis.
    "return redis.log()",
    "return redis.log(1)",
    "return redis.log('x', 'y')",
    "return redis.sha1hex()",
    "return redis.sha1hex('a', 'b')",
    "return redis.sha1hex('a')",
    "return redis.error_reply('MY own error')",
    "return redis.error_reply('-MY own error')",
    "return redis.error_reply('word')",
    "return redis.error_reply(' with blanks ')",
    "return redis.error_reply('an end\\r\\n')",
    "return redis.error_reply('word\\n')",
    "return redis.error_reply(1)",
    "return redis.error_reply()",
    "return redis.status_reply('FINE')",
    "return redis.status_reply()",
    "return redis.setresp()",
    "return redis.setresp(4)",
    "return redis.setresp(2)",
    "return redis.set_repl()",
    "return redis.set_repl(9)",
    "return redis.set_repl(redis.REPL_ALL)",
    "return redis.replicate_commands()",
    "return redis.breakpoint()",
    "return redis.acl_check_cmd('NOSUCH')",
    "return redis.acl_check_cmd('GET', 'x')",
    "return redis.acl_check_cmd()",
    "return type(redis.REDIS_VERSION) .. type(redis.REDIS_VERSION_NUM)",
    // Replacements with a `%` before what is no digit.
    "return {string.gsub('abc', 'b', '%x')}",
    "return {string.gsub('abc', '%w', '<%%%0%-%%')}",
    "return {string.gsub('abc', '(b)()', '%1%2%.')}",
    "return {string.gsub('abc', 'b', '%')}",
    "return {string.gsub('abc', 'b', '%\\0%\\n%%x')}",
    "return {('abc'):gsub('%w', {a = '%x'}, 2)}",
    "return {('abc'):gsub('%w', function(c) return '%' .. c end)}",
    "return {string.gsub('abc', '%w', 5)}",
    "return {string.gsub('abc', '(b', '%x')}",
    "return string.gsub()",
    // Conversions.
    "return {1, 2, nil, 3}",
    "return 3.99",
    "return -3.99",
    "return true",
    "return false",
    "return nil",
    "return",
    "return {ok = 'FINE'}",
    "return {err = 'MY error'}",
    "return {err = 'word'}",
    "return {double = 3.5}",
    "return {map = {a = 1}}",
    "return {set = {a = true}}",
    "return {big_number = '123456789012345678901234567890'}",
    "return {verbatim_string = {string = 'text', format = 'txt'}}",
    "return {1, {2, {3, 'x'}}, false, true}",
    "return {a = 1}",
    "return redis.call('GET', 'absent') == false",
    "redis.setresp(3) return redis.call('GET', KEYS[2]) == nil",
    "redis.setresp(3) return true",
    "return {redis.call('PING'), redis.call('SET', KEYS[1], 'text')}",
    "return type(redis.call('PING')) .. redis.call('PING').ok",
    // Errors of scripts.
    "error('on purpose')",
    "error('on purpose', 0)",
    "error({err = 'MY own error'})",
    "error({err = 'word'})",
    "error()",
    "return 1 + {}",
    "return {} .. 'x'",
    "local function f() error('deep') end\nlocal ok, text = pcall(f) return text",
    "return select(2, pcall(error, {err = 'MY own'}))",
    "return tostring(select(2, pcall(error)))",
];

#[test]
fn replies_and_errors_are_worded_as_by_redis() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let server = Server::start();
    let mut theirs = Client::connect(redis.address);
    let mut ours = Client::connect(server.address);
    let mut differ = Vec::new();
    for protocol in ["2", "3"] {
        for body in BODIES {
            for command in ["EVAL", "EVAL_RO"] {
                let [expected, found] = [&mut theirs, &mut ours].map(|client| {
                    client.call(&["HELLO", protocol]);
                    client.run("SET s text");
                    let words = [command, body, "2", "s", "absent", "a"];
                    format!("{:?}", client.call(&words))
                });
                if expected != found {
                    differ.push(format!("{body}\n  Redis: {expected}\n  here:  {found}"));
                }
            }
        }
    }
    differ.dedup();
    assert!(
        differ.is_empty(),
        "{} differ:\n{}",
        differ.len(),
        differ.join("\n")
    );
}

#[test]
fn a_status_keeps_all_its_bytes() {
    let server = Server::start();
    for body in [
        "return {ok = ARGV[1]}",
        "return redis.status_reply(ARGV[1])",
    ] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let words: [&[u8]; 4] = [b"EVAL", body.as_bytes(), b"0", b"a\xff\r\nb"];
        stream.write_all(&encode(&words)).unwrap();
        let mut reply = [0; 8];
        stream.read_exact(&mut reply).unwrap();
        assert_eq!(reply, *b"+a\xff  b\r\n", "{body}");
    }
}

#[test]
fn what_is_too_short_for_a_digest_is_not_looked_at_further() {
    compare(
        "EVALSHA x y; EVALSHA x -1; EVALSHA '' 5; EVALSHA_RO x y; MULTI; EVALSHA x y; EXEC
        EVALSHA 0123456789012345678901234567890123456789 x; EVALSHA 0123456789012345678901234567890123456789 -1
        EVALSHA 0123456789012345678901234567890123456789 1; EVALSHA 0123456789012345678901234567890123456789 0",
    );
}

#[test]
fn errors_end_without_line_breaks() {
    compare(
        "EVAL 'return {err=\\'a\\\\r\\\\nb\\\\r\\\\n\\'}' 0; EXPIREAT k 9 'x\\r\\n'; EXPIREAT k 9 'x\\ry'",
    );
}
