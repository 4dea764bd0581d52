//! Scripts that are meant to do harm, and what must come of each. One more is a line more.

/// What must come of a script.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// It is ended by the limit on its time or on its memory.
    Ended,
    /// An error that has this in its text.
    Raises(&'static str),
    /// This, as a reply.
    Returns(&'static str),
    /// Anything, soon.
    Stops,
}

use Outcome::{Ended, Raises, Returns, Stops};

/// A hostile script. It declares the key `k`, and sets it before it does anything else if it may.
pub(crate) struct Hostile {
    pub(crate) name: &'static str,
    pub(crate) body: &'static str,
    pub(crate) outcome: Outcome,
}

const fn hostile(name: &'static str, outcome: Outcome, body: &'static str) -> Hostile {
    Hostile {
        name,
        body,
        outcome,
    }
}

/// All of them.
#[rustfmt::skip]
pub(crate) const GALLERY: &[Hostile] = &[
    // Loops that nothing in the script ends.
    hostile("a loop", Ended, "while true do end"),
    hostile("a loop by goto", Ended, "::again:: goto again"),
    hostile("a for loop without an end", Ended, "for i = 1, math.huge do end"),
    hostile("a for loop of tiny steps", Ended, "for i = 0, 1, 1e-300 do end"),
    hostile("pcall in a loop", Ended, "while true do pcall(function() while true do end end) end"),
    hostile("pcall around errors in a loop", Ended, "while true do pcall(error) end"),
    hostile("xpcall's handler", Ended, "local function f() while true do end end xpcall(f, f)"),
    hostile("a handler of an error", Ended, "xpcall(error, function() while true do end end)"),
    hostile("a handler that raises", Stops, "local function f() error('x') end xpcall(f, f)"),
    hostile("a loop in a coroutine", Ended, "coroutine.wrap(function() while true do end end)()"),
    hostile("a coroutine that yields for ever", Ended, "local c = coroutine.wrap(function() while true do coroutine.yield() end end) while true do c() end"),
    hostile("coroutines without end", Ended, "local t = {} while true do t[#t + 1] = coroutine.create(function() coroutine.yield() end) coroutine.resume(t[#t]) end"),
    hostile("coroutines in coroutines", Stops, "local function f() return coroutine.wrap(f)() end return f()"),
    hostile("recursion", Raises("stack overflow"), "local function f() return 1 + f() end return f()"),
    hostile("recursion through pcall", Stops, "local function f() return pcall(f) end return (f())"),
    hostile("recursion through tail calls", Ended, "local function f() return f() end return f()"),
    hostile("recursion through gsub", Stops, "local function f(s) return s:gsub('.', f) end return f('x')"),
    hostile("recursion through sort", Stops, "local function f() table.sort({2, 1}, f) return true end f()"),
    // Metamethods.
    hostile("a finalizer", Stops, "for i = 1, 100 do setmetatable({}, {__gc = function() while true do end end}) end collectgarbage()"),
    hostile("a variable to be closed", Stops, "local x <close> = setmetatable({}, {__close = function() while true do end end}) error('x')"),
    hostile("__index that goes round", Raises("loop"), "local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x"),
    hostile("__index that calls itself", Raises("stack overflow"), "local t t = setmetatable({}, {__index = function(_, k) return t[k] end}) return t.x"),
    hostile("__newindex without end", Ended, "local t = setmetatable({}, {__newindex = function() while true do end end}) t.x = 1"),
    hostile("__eq without end", Ended, "local m = {__eq = function() while true do end end} return setmetatable({}, m) == setmetatable({}, m)"),
    hostile("__lt in sort", Ended, "local m = {__lt = function() while true do end end} table.sort({setmetatable({}, m), setmetatable({}, m)})"),
    hostile("__concat without end", Ended, "return setmetatable({}, {__concat = function() while true do end end}) .. 'x'"),
    hostile("__len without end", Ended, "return #setmetatable({}, {__len = function() while true do end end})"),
    hostile("__call without end", Ended, "return setmetatable({}, {__call = function(self) return self() end})()"),
    hostile("__tostring without end", Ended, "return tostring(setmetatable({}, {__tostring = function() while true do end end}))"),
    hostile("__pairs without end", Ended, "for _ in pairs(setmetatable({}, {__pairs = function() while true do end end})) do end"),
    hostile("__unm without end", Ended, "return -setmetatable({}, {__unm = function() while true do end end})"),
    hostile("ipairs without end", Ended, "for _ in ipairs(setmetatable({}, {__index = function() return 1 end})) do end"),
    hostile("a length of 2^53 and insert", Ended, "table.insert(setmetatable({}, {__len = function() return 2 ^ 53 end}), 1, 1)"),
    hostile("a length of 2^53 and remove", Ended, "table.remove(setmetatable({}, {__len = function() return 2 ^ 53 end}), 1)"),
    hostile("a length of 2^53 and concat", Stops, "return table.concat(setmetatable({}, {__len = function() return 2 ^ 53 end, __index = function() return 'x' end}))"),
    hostile("a length of 2^40 and sort", Raises("array too big"), "table.sort(setmetatable({}, {__len = function() return 2 ^ 40 end}))"),
    // Single calls that take for ever.
    hostile("find that goes back", Ended, "return string.find(('a'):rep(30) .. 'b', ('a*'):rep(30) .. 'c')"),
    hostile("find over a long string", Ended, "return string.find(('a'):rep(200000), '.-.-.-b')"),
    hostile("match that goes back", Ended, "return string.match(('a'):rep(30), ('a-'):rep(30) .. 'b')"),
    hostile("gmatch that goes back", Ended, "for _ in string.gmatch(('a'):rep(5000), ('a-'):rep(20) .. 'b') do end"),
    hostile("gsub that goes back", Ended, "return string.gsub(('a'):rep(5000), ('.-'):rep(9) .. 'b', '')"),
    hostile("balanced find over parentheses", Ended, "local s = ('('):rep(300000) return s:find('%b()')"),
    hostile("gsub that calls commands", Ended, "local s = ('a'):rep(1000000) while true do s:gsub('.', function() redis.call('EXISTS', KEYS[1]) end) end"),
    hostile("move over 2^53 places", Ended, "table.move({}, 1, 2 ^ 53, 2)"),
    hostile("sort again and again", Ended, "local t = {} for i = 1, 50000 do t[i] = i * 7919 % 50021 end while true do table.sort(t) table.sort(t, function(a, b) return a > b end) end"),
    hostile("a chunk that never ends", Ended, "load(function() return ' ' end)"),
    hostile("hashes of long strings", Ended, "local s = ('x'):rep(4000000) while true do redis.sha1hex(s) end"),
    hostile("reverse, upper, byte again and again", Ended, "local s = ('x'):rep(1000000) while true do s:reverse() s:upper() s:byte(1, 100) end"),
    hostile("long strings compared", Ended, "local a, b = ('x'):rep(1000000) .. 'a', ('x'):rep(1000000) .. 'b' while true do local _ = a < b end"),
    hostile("long numbers read", Ended, "local s = ('1'):rep(200) while true do tonumber(s) cjson.decode(s) end"),
    // Memory.
    hostile("rep of a gigabyte", Ended, "return #string.rep('x', 1e9)"),
    hostile("rep with a long separator", Ended, "return #string.rep('x', 1e6, ('y'):rep(1000))"),
    hostile("rep beyond all bounds", Raises("resulting string too large"), "return string.rep('xx', 2 ^ 62)"),
    hostile("a string that doubles", Ended, "local s = 'x' while true do s = s .. s end"),
    hostile("a table without end", Ended, "local t = {} for i = 1, 1e9 do t[i] = i end"),
    hostile("keys without end", Ended, "local t = {} for i = 1, 1e9 do t['key' .. i] = true end"),
    hostile("concat of much", Ended, "local s, t = ('x'):rep(100000), {} for i = 1, 100000 do t[i] = s end return #table.concat(t)"),
    hostile("gsub that multiplies", Ended, "return #string.gsub(('a'):rep(10000), 'a', ('%0'):rep(10000))"),
    hostile("pcall around memory", Ended, "while true do pcall(string.rep, 'x', 1e9) end"),
    hostile("pcall around tables", Ended, "while true do pcall(function() local t = {} while true do t[#t + 1] = {} end end) end"),
    hostile("memory without the collector", Stops, "collectgarbage('stop') while true do local t = {{}, {}} end"),
    hostile("closures without end", Ended, "local f = function() end while true do local g = f f = function() return g end end"),
    hostile("log lines without end", Ended, "while true do redis.log(redis.LOG_DEBUG, ('x'):rep(100000)) end"),
    hostile("messages without end", Ended, "local s = ('x'):rep(100000) while true do redis.pcall('PUBLISH', 'news', s) end"),
    hostile("unpack of too much", Raises("too many results"), "return unpack({}, 1, 1e8)"),
    hostile("unpack of 2^63", Raises("unpack"), "return unpack({}, -1, 2 ^ 63 - 1)"),
    hostile("select of -2^31", Raises("out of range"), "return select(-2 ^ 31, 1)"),
    hostile("bytes of a long string", Raises("slice too long"), "return string.byte(('x'):rep(10000000 / 2), 1, -1)"),
    hostile("a wide format", Raises("invalid conversion"), "return string.format('%99999d', 1)"),
    hostile("a format of much", Stops, "return #string.format(('%99d'):rep(200), unpack({}, 1, 200))"),
    // Programs that are hard to compile.
    hostile("parentheses without end", Stops, "local f, e = load('return ' .. ('('):rep(200000) .. '1' .. (')'):rep(200000)) return e or 'compiled'"),
    hostile("tables in tables", Stops, "local f, e = load('return ' .. ('{'):rep(100000) .. ('}'):rep(100000)) return e or 'compiled'"),
    hostile("300 locals", Stops, "local f, e = load(('local a '):rep(300)) return e or 'compiled'"),
    hostile("70,000 constants", Stops, "local t = {} for i = 1, 70000 do t[i] = i .. '.5' end local f, e = load('return {' .. table.concat(t, ',') .. '}') return e or #f()"),
    hostile("a long chain of concatenations", Stops, "local f, e = load('return \\'\\'' .. (' .. 1'):rep(300)) return e or f()"),
    // What is not there.
    hostile("bytecode", Stops, "local f, e = loadstring('\\27Lua') return e"),
    hostile("string.dump", Raises("nil value"), "return string.dump(function() end)"),
    hostile("the metatable of strings", Stops, "getmetatable('').__index = function() return 'mine' end"),
    hostile("a global", Raises("readonly"), "leaked = 1"),
    hostile("a global by rawset", Stops, "rawset(_G, 'leaked', 1)"),
    hostile("the metatable of globals", Stops, "setmetatable(_G, {})"),
    hostile("redis.call replaced", Raises("readonly"), "redis.call = pcall"),
    hostile("redis.call replaced by rawset", Stops, "rawset(redis, 'call', false)"),
    hostile("a library changed", Raises("readonly"), "string.format = nil"),
    hostile("KEYS replaced", Raises("readonly"), "KEYS = nil"),
    hostile("an environment of its own", Stops, "local _ENV = {} leaked = 1 return leaked"),
    hostile("files", Raises("nonexistent global"), "return io.open('/etc/passwd')"),
    hostile("programs", Raises("nil value"), "return os.execute('id')"),
    hostile("require", Raises("nonexistent global"), "return require('os')"),
    hostile("dofile", Raises("nonexistent global"), "return dofile('/etc/passwd')"),
    hostile("loadfile", Raises("nonexistent global"), "return loadfile('/etc/passwd')"),
    hostile("package", Raises("nonexistent global"), "return package.loadlib('x', 'y')"),
    hostile("debug", Raises("nonexistent global"), "return debug.getregistry()"),
    // Libraries.
    hostile("JSON in JSON", Raises("nested"), "return cjson.decode(('['):rep(1000000))"),
    hostile("JSON of a table in itself", Raises("nest"), "local t = {} t.t = t return cjson.encode(t)"),
    hostile("JSON of a sparse array", Stops, "return cjson.encode({[2 ^ 31] = 1})"),
    hostile("JSON of a long number", Stops, "return cjson.decode(('9'):rep(1000000))"),
    hostile("MessagePack of announced length", Raises("Missing bytes"), "return cmsgpack.unpack('\\221\\255\\255\\255\\255')"),
    hostile("MessagePack in MessagePack", Stops, "return cmsgpack.unpack(('\\145'):rep(1000000))"),
    hostile("MessagePack of a table in itself", Stops, "local t = {} t.t = t return #cmsgpack.pack(t)"),
    hostile("struct with a long count", Raises(""), "return struct.unpack('c4294967295', 'x')"),
    hostile("struct with a long size", Raises(""), "return struct.pack('i100', 1)"),
    hostile("struct with many formats", Raises(""), "return struct.unpack(('i'):rep(1000000), 'x')"),
    hostile("hexadecimal of -2^31 digits", Stops, "return bit.tohex(65535, -2147483648)"),
    hostile("sort by a liar", Stops, "local t = {} for i = 1, 1000 do t[i] = i % 7 end table.sort(t, function() return true end)"),
    hostile("next of a key that is not there", Raises("next"), "return next({}, 'no such key')"),
    // Replies and calls.
    hostile("a reply in a reply", Stops, "local t = {} for i = 1, 100000 do t = {t} end return t"),
    hostile("a reply in itself", Stops, "local t = {} t[1] = t return t"),
    hostile("a reply of ten million", Ended, "local t = {} for i = 1, 10000000 do t[i] = i end return t"),
    hostile("a reply with an __index", Stops, "return setmetatable({}, {__index = function() while true do end end})"),
    hostile("an error of two lines", Raises("x"), "return redis.error_reply('x y\\r\\n+OK')"),
    hostile("a status of two lines", Stops, "return redis.status_reply('x\\r\\n+OK')"),
    hostile("an error table of two lines", Raises("x"), "error({err = 'ERR x\\r\\n+OK'})"),
    hostile("an error without a text", Stops, "error({})"),
    hostile("an error of nil", Stops, "error(nil)"),
    hostile("EVAL", Raises("not allowed from script"), "return redis.call('EVAL', 'return 1', 0)"),
    hostile("MULTI", Raises("not allowed from script"), "return redis.call('MULTI')"),
    hostile("SUBSCRIBE", Raises("not allowed from script"), "return redis.call('SUBSCRIBE', 'x')"),
    hostile("SHUTDOWN", Raises("not allowed from script"), "return redis.call('SHUTDOWN')"),
    hostile("CONFIG", Raises("not allowed from script"), "return redis.call('CONFIG', 'SET', 'maxmemory', 1)"),
    hostile("CLIENT", Raises("not allowed from script"), "return redis.call('CLIENT', 'KILL', 'TYPE', 'normal')"),
    hostile("no command", Raises("at least one argument"), "return redis.call()"),
    hostile("a table as an argument", Raises("arguments must be strings or integers"), "return redis.call('GET', {})"),
    hostile("commands without end", Ended, "while true do redis.call('EXISTS', KEYS[1]) end"),
    hostile("errors of commands without end", Ended, "while true do redis.pcall('NOSUCH') end"),
    hostile("long arguments without end", Ended, "local s = ('x'):rep(1000000) while true do redis.pcall('EXISTS', KEYS[1], s) end"),
    hostile("a long list of arguments", Stops, "return redis.pcall('EXISTS', unpack(KEYS, 1, 7000))"),
    hostile("RESP of no version", Raises("must be 2 or 3"), "return redis.setresp(99)"),
    hostile("blocking", Returns("nil"), "if redis.pcall('SET', KEYS[1], 1).err then return nil end redis.call('DEL', KEYS[1]) return redis.call('BLPOP', KEYS[1], 0)"),
];
