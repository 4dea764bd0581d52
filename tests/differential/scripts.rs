//! Scripts and libraries that are sent, beside the calls of every command through a script.

/// With one key and one argument, as the forms of EVAL say.
pub(crate) const BODIES: &[&str] = &[
    "return {1, 2, {3, 'x', {}}}",
    "return redis.call('SET', KEYS[1], ARGV[1])",
    "return redis.call('GET', KEYS[1])",
    "return {ok = 'FINE'}",
    "return redis.status_reply('STATUS')",
    "return 3.99",
    "return -3.99",
    "return nil",
    "return true",
    "return false",
    "return {1, nil, 3}",
    "return {1, false, true, 3}",
    "return redis.sha1hex(ARGV[1] or '')",
    "return cjson.encode({1, 'a', true, cjson.null, {2.5}})",
    "return cjson.decode('[1, 2.5, \"x\", null, [true]]')",
    "return cmsgpack.unpack(cmsgpack.pack({1, 'a', {2}}))",
    "return struct.pack('>I4s', 7, 'abc')",
    "return bit.band(0xff, 0x0f)",
    "return #KEYS + #ARGV",
    "return {#KEYS, #ARGV, KEYS[1], ARGV[1]}",
    "return redis.call('APPEND', KEYS[1], 'x')",
    "return type(redis.call('EXISTS', KEYS[1]))",
    "return redis.call('TYPE', KEYS[1])",
    "return redis.call('TYPE', KEYS[1]).ok",
    "return redis.pcall('LPUSH', KEYS[1], 'a').err",
    "return redis.call('PING')",
    "redis.setresp(3); return redis.call('GET', KEYS[1])",
    "redis.setresp(3); return redis.call('EXISTS', KEYS[1])",
    "return tostring(1/0)",
    "return string.format('%d|%s|%5.2f', 3, 'x', 2.5)",
    "return table.concat({'a', 'b'}, ',')",
    "return {tostring(tonumber('10')), tonumber('0x10'), tonumber('z')}",
    "local t = {} for i = 1, 5 do t[i] = i * i end return t",
    "local t = {3, 1, 2} table.sort(t) return t",
    "return select('#', 1, 2, 3)",
    "return redis.call('SET', KEYS[1], 3.5)",
    "return redis.call('SET', KEYS[1], 10)",
];

/// Those that fail, or mostly do.
pub(crate) const FAILING: &[&str] = &[
    "return {err = 'MINE is broken'}",
    "return redis.error_reply('MINE is broken')",
    "return redis.pcall('NOSUCHCOMMAND')",
    "return redis.pcall('INCR', KEYS[1])",
    "return redis.pcall('GET')",
    "error('mine')",
    "return nosuchglobal",
    "return redis.call('GET')",
    "this is no Lua",
];

/// A library that can be loaded, where no other has these names.
pub(crate) struct Library {
    pub(crate) name: &'static str,
    pub(crate) functions: &'static [&'static str],
    pub(crate) body: &'static str,
}

pub(crate) const LIBRARIES: &[Library] = &[
    Library {
        name: "one",
        functions: &["get"],
        body: "#!lua name=one\nredis.register_function{function_name='get', \
               callback=function(keys, args) return redis.call('GET', keys[1]) end, \
               flags={'no-writes'}}",
    },
    Library {
        name: "two",
        functions: &["put", "list"],
        body: "#!lua name=two\nredis.register_function('put', function(keys, args) \
               return redis.call('SET', keys[1], args[1]) end)\nredis.register_function('list', \
               function(keys, args) return {keys, args, #keys} end)",
    },
    Library {
        name: "one",
        functions: &["get", "fail"],
        body: "#!lua name=one\nredis.register_function{function_name='get', \
               callback=function(keys, args) return 'second' end, flags={'no-writes'}}\n\
               redis.register_function('fail', function() \
               return redis.error_reply('MINE is broken') end)",
    },
    Library {
        name: "three",
        functions: &["put"],
        body: "#!lua name=three\nredis.register_function('put', function() return 3 end)",
    },
    Library {
        name: "five",
        functions: &["size", "append"],
        body: "#!lua name=five\nredis.register_function{function_name='size', \
               description='how long it is', callback=function(keys) \
               return {redis.pcall('STRLEN', keys[1]), #keys} end, flags={'no-writes'}}\n\
               redis.register_function{function_name='append', callback=function(keys, args) \
               return redis.pcall('APPEND', keys[1], args[1]) end, flags={'allow-stale'}}",
    },
];

pub(crate) const BROKEN_LIBRARIES: &[&str] = &[
    "#!lua\nreturn 1",
    "#!lua name=four\nreturn 1",
    "#!lua name=bad-name\nreturn 1",
    "#!lua name=six\nredis.register_function('bad-name', function() end)",
    "#!lua name=six\nredis.register_function('twice', function() end)\n\
     redis.register_function('twice', function() end)",
    "no library",
];

/// As Redis names scripts.
pub(crate) fn sha1(body: &str) -> Vec<u8> {
    use sha1::{Digest, Sha1};
    let digest = Sha1::digest(body.as_bytes());
    let hexadecimal = digest.iter().map(|byte| format!("{byte:02x}"));
    hexadecimal.collect::<String>().into_bytes()
}
