//! The libraries of Redis's Lua: each expectation is what redis-server 7.0.15 answers.

use crate::support::evaluate;

/// Shows a string's bytes.
const HEX: &str = "local function hex(s) return (s:gsub('.', function(c) return ('%02x'):format(c:byte()) end)) end return hex(";
/// Shows values and tables with their types, keys in order.
const SHOW: &str = "local function d(v) if type(v) ~= 'table' then return type(v) .. ':' .. tostring(v) end local k = {} for a in pairs(v) do k[#k + 1] = tostring(a) end table.sort(k) local o = {} for i, a in ipairs(k) do local x = v[a] if x == nil then x = v[tonumber(a)] end o[i] = a .. '=' .. d(x) end return '{' .. table.concat(o, ',') .. '}' end local o = {} for i, v in ipairs({";
const SHOW_END: &str = "}) do o[i] = d(v) end return table.concat(o, ' ')";

/// `hex:` and `show:` before an expression say how its value is shown.
fn check(cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        let body = if let Some(value) = expression.strip_prefix("hex:") {
            format!("{HEX}{value})")
        } else if let Some(values) = expression.strip_prefix("show:") {
            format!("{SHOW}{values}{SHOW_END}")
        } else {
            format!("return {expression}")
        };
        let reply = evaluate(&body);
        let reply = reply.split(" script: ").next().unwrap_or_default();
        assert_eq!(reply, *expected, "{expression}");
    }
}

#[test]
fn cjson_encode_answers_as_redis() {
    check(&[
        ("cjson.encode(1)", "$1"),
        ("cjson.encode(1.5)", "$1.5"),
        ("cjson.encode(0.1)", "$0.1"),
        ("cjson.encode(1e300)", "$1e+300"),
        ("cjson.encode(-0.5)", "$-0.5"),
        ("cjson.encode(100000)", "$100000"),
        ("cjson.encode(99999999999999)", "$99999999999999"),
        ("cjson.encode(1/3)", "$0.33333333333333"),
        ("cjson.encode(10/2)", "$5"),
        ("cjson.encode(-7)", "$-7"),
        ("cjson.encode(true)", "$true"),
        ("cjson.encode(false)", "$false"),
        ("cjson.encode(nil)", "$null"),
        ("cjson.encode(cjson.null)", "$null"),
        ("cjson.encode('a\"b\\\\c/d')", "$\"a\\\"b\\\\c\\/d\""),
        (
            "cjson.encode('\\n\\t\\r\\b\\f\\1\\127')",
            "$\"\\n\\t\\r\\b\\f\\u0001\\u007f\"",
        ),
        ("cjson.encode('\\0x')", "$\"\\u0000x\""),
        ("cjson.encode({})", "${}"),
        ("cjson.encode({1,2,3})", "$[1,2,3]"),
        ("cjson.encode({1,nil,3})", "$[1,null,3]"),
        ("cjson.encode({a=1})", "${\"a\":1}"),
        ("cjson.encode({[1]=1,[2]=2,[4]=4})", "$[1,2,null,4]"),
        (
            "cjson.encode({[100]=1})",
            "-ERR user_script:1: Cannot serialise table: excessively sparse array",
        ),
        (
            "cjson.encode({[5]=1,[10]=2})",
            "$[null,null,null,null,1,null,null,null,null,2]",
        ),
        (
            "cjson.encode({[11]=1})",
            "-ERR user_script:1: Cannot serialise table: excessively sparse array",
        ),
        (
            "cjson.encode({[1700000000000]=1})",
            "${\"1700000000000\":1}",
        ),
        ("cjson.encode({[1.5]=1})", "${\"1.5\":1}"),
        ("cjson.encode({[-1]=1})", "${\"-1\":1}"),
        ("cjson.encode({[0]=1})", "${\"0\":1}"),
        (
            "cjson.encode({[true]=1})",
            "-ERR user_script:1: Cannot serialise boolean: table key must be a number or string",
        ),
        ("cjson.encode({{},{{}}})", "$[{},[{}]]"),
        (
            "cjson.encode({a={b={c={1}}}})",
            "${\"a\":{\"b\":{\"c\":[1]}}}",
        ),
        (
            "cjson.encode(coroutine.create(function() end))",
            "-ERR user_script:1: Cannot serialise thread: type not supported",
        ),
        (
            "cjson.encode(1/0)",
            "-ERR user_script:1: Cannot serialise number: must not be NaN or Inf",
        ),
        (
            "cjson.encode(-1/0)",
            "-ERR user_script:1: Cannot serialise number: must not be NaN or Inf",
        ),
        (
            "cjson.encode(0/0)",
            "-ERR user_script:1: Cannot serialise number: must not be NaN or Inf",
        ),
        (
            "cjson.encode({0/0})",
            "-ERR user_script:1: Cannot serialise number: must not be NaN or Inf",
        ),
        ("cjson.encode('\\195\\169')", "$\"é\""),
        (
            "cjson.encode(1,2)",
            "-ERR user_script:1: bad argument #1 to 'encode' (expected 1 argument)",
        ),
        (
            "cjson.encode()",
            "-ERR user_script:1: bad argument #1 to 'encode' (expected 1 argument)",
        ),
        (
            "cjson.encode(string.rep('x',100))",
            "$\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"",
        ),
        ("cjson.encode({1,'2',{3}})", "$[1,\"2\",[3]]"),
        ("cjson.encode({x=10/2})", "${\"x\":5}"),
        ("cjson.encode(2^31)", "$2147483648"),
        ("cjson.encode(2^40)", "$1099511627776"),
        ("cjson.encode(123456789.123)", "$123456789.123"),
        ("cjson.encode(1e15)", "$1e+15"),
        ("cjson.encode(1e14)", "$1e+14"),
        ("cjson.encode(1e13)", "$10000000000000"),
        ("cjson.encode(-1e15)", "$-1e+15"),
        ("cjson.encode(5e-324)", "$4.9406564584125e-324"),
        ("cjson.encode(cjson.decode('[]'))", "${}"),
        ("cjson.encode({1,2,cjson.null})", "$[1,2,null]"),
    ]);
}

#[test]
fn cjson_decode_answers_as_redis() {
    check(&[
        ("show:cjson.decode('1')", "$number:1"),
        ("show:cjson.decode('1.5')", "$number:1.5"),
        ("show:cjson.decode('-3')", "$number:-3"),
        ("show:cjson.decode('1e3')", "$number:1000"),
        ("show:cjson.decode('\"a\"')", "$string:a"),
        ("show:cjson.decode('[]')", "${}"),
        ("show:cjson.decode('{}')", "${}"),
        (
            "show:cjson.decode('[1,2,3]')",
            "${1=number:1,2=number:2,3=number:3}",
        ),
        ("show:cjson.decode('{\"a\":1}')", "${a=number:1}"),
        (
            "show:cjson.decode('{\"a\":{\"b\":[1,2,{\"c\":null}]}}')",
            "${a={b={1=number:1,2=number:2,3={c=userdata:userdata: (nil)}}}}",
        ),
        ("show:cjson.decode('true')", "$boolean:true"),
        ("show:cjson.decode('false')", "$boolean:false"),
        ("show:cjson.decode('null')", "$userdata:userdata: (nil)"),
        (
            "show:cjson.decode(' [ 1 , 2 ] ')",
            "${1=number:1,2=number:2}",
        ),
        (
            "show:cjson.decode('[1,]')",
            "-ERR user_script:1: Expected value but found T_ARR_END at character 4",
        ),
        (
            "show:cjson.decode('[1 2]')",
            "-ERR user_script:1: Expected comma or array end but found T_NUMBER at character 4",
        ),
        (
            "show:cjson.decode('{\"a\" 1}')",
            "-ERR user_script:1: Expected colon but found T_NUMBER at character 6",
        ),
        (
            "show:cjson.decode('{a:1}')",
            "-ERR user_script:1: Expected object key string but found invalid token at character 2",
        ),
        (
            "show:cjson.decode('{\"a\":1,}')",
            "-ERR user_script:1: Expected object key string but found T_OBJ_END at character 8",
        ),
        (
            "show:cjson.decode('')",
            "-ERR user_script:1: Expected value but found T_END at character 1",
        ),
        (
            "show:cjson.decode('x')",
            "-ERR user_script:1: Expected value but found invalid token at character 1",
        ),
        (
            "show:cjson.decode('tru')",
            "-ERR user_script:1: Expected value but found invalid token at character 1",
        ),
        (
            "show:cjson.decode('[1')",
            "-ERR user_script:1: Expected comma or array end but found T_END at character 3",
        ),
        (
            "show:cjson.decode('\"abc')",
            "-ERR user_script:1: Expected value but found unexpected end of string at character 5",
        ),
        (
            "show:cjson.decode('\"\\\\x\"')",
            "-ERR user_script:1: Expected value but found invalid escape code at character 2",
        ),
        ("show:cjson.decode('\"\\\\u00e9\\\\u20ac\"')", "$string:é€"),
        ("show:cjson.decode('\"\\\\ud83d\\\\ude00\"')", "$string:😀"),
        (
            "show:cjson.decode('\"\\\\ud83d\"')",
            "-ERR user_script:1: Expected value but found invalid unicode escape code at character 2",
        ),
        (
            "show:cjson.decode('\"\\\\udc00\"')",
            "-ERR user_script:1: Expected value but found invalid unicode escape code at character 2",
        ),
        (
            "show:cjson.decode('\"\\\\u12\"')",
            "-ERR user_script:1: Expected value but found invalid unicode escape code at character 2",
        ),
        ("show:cjson.decode('01')", "$number:1"),
        ("show:cjson.decode('0x10')", "$number:16"),
        ("show:cjson.decode('+1')", "$number:1"),
        (
            "show:cjson.decode('-')",
            "-ERR user_script:1: Expected value but found invalid number at character 1",
        ),
        ("show:cjson.decode('nan')", "$number:nan"),
        ("show:cjson.decode('NaN')", "$number:nan"),
        ("show:cjson.decode('Infinity')", "$number:inf"),
        ("show:cjson.decode('-inf')", "$number:-inf"),
        (
            "show:cjson.decode('1 2')",
            "-ERR user_script:1: Expected the end but found T_NUMBER at character 3",
        ),
        (
            "show:cjson.decode('[1]]')",
            "-ERR user_script:1: Expected the end but found T_ARR_END at character 4",
        ),
        ("show:cjson.decode('{\"1\":1}')", "${1=number:1}"),
        (
            "show:cjson.decode('12345678901234')",
            "$number:12345678901234",
        ),
        ("show:cjson.decode('1.0')", "$number:1"),
        ("show:cjson.decode('-0')", "$number:-0"),
        (
            "show:cjson.decode('[\\0]')",
            "-ERR user_script:1: JSON parser does not support UTF-16 or UTF-32",
        ),
        (
            "show:cjson.decode('\\0a')",
            "-ERR user_script:1: JSON parser does not support UTF-16 or UTF-32",
        ),
        ("show:cjson.decode(1)", "$number:1"),
        (
            "show:cjson.decode({})",
            "-ERR user_script:1: bad argument #1 to 'decode' (string expected, got table)",
        ),
        (
            "show:cjson.decode('1','2')",
            "-ERR user_script:1: bad argument #1 to 'decode' (expected 1 argument)",
        ),
        ("show:cjson.decode('{\"a\":1,\"a\":2}')", "${a=number:2}"),
        ("show:cjson.decode('1e400')", "$number:inf"),
        ("show:cjson.decode('0.1e-5')", "$number:1e-06"),
        ("show:cjson.decode('[[[[[]]]]]')", "${1={1={1={1={}}}}}"),
        (
            "show:cjson.decode('nul')",
            "-ERR user_script:1: Expected value but found invalid token at character 1",
        ),
        (
            "show:cjson.decode('infx')",
            "-ERR user_script:1: Expected the end but found invalid token at character 4",
        ),
        (
            "show:cjson.decode('[tru]')",
            "-ERR user_script:1: Expected value but found invalid token at character 2",
        ),
        (
            "show:cjson.decode('{,}')",
            "-ERR user_script:1: Expected object key string but found T_COMMA at character 2",
        ),
        (
            "show:cjson.decode('[,]')",
            "-ERR user_script:1: Expected value but found T_COMMA at character 2",
        ),
        (
            "show:cjson.decode('}')",
            "-ERR user_script:1: Expected value but found T_OBJ_END at character 1",
        ),
        (
            "show:cjson.decode(':')",
            "-ERR user_script:1: Expected value but found T_COLON at character 1",
        ),
        ("show:cjson.decode('1.')", "$number:1"),
        (
            "show:cjson.decode('.5')",
            "-ERR user_script:1: Expected value but found invalid token at character 1",
        ),
        (
            "show:cjson.decode('-a')",
            "-ERR user_script:1: Expected value but found invalid number at character 1",
        ),
        (
            "show:cjson.decode('1e')",
            "-ERR user_script:1: Expected the end but found invalid token at character 2",
        ),
    ]);
}

#[test]
fn cmsgpack_answers_as_redis() {
    check(&[
        ("hex:cmsgpack.pack(1)", "$01"),
        ("hex:cmsgpack.pack(0)", "$00"),
        ("hex:cmsgpack.pack(127)", "$7f"),
        ("hex:cmsgpack.pack(128)", "$cc80"),
        ("hex:cmsgpack.pack(255)", "$ccff"),
        ("hex:cmsgpack.pack(256)", "$cd0100"),
        ("hex:cmsgpack.pack(65535)", "$cdffff"),
        ("hex:cmsgpack.pack(65536)", "$ce00010000"),
        ("hex:cmsgpack.pack(4294967295)", "$ceffffffff"),
        ("hex:cmsgpack.pack(4294967296)", "$cf0000000100000000"),
        ("hex:cmsgpack.pack(2^53)", "$cf0020000000000000"),
        ("hex:cmsgpack.pack(-1)", "$ff"),
        ("hex:cmsgpack.pack(-32)", "$e0"),
        ("hex:cmsgpack.pack(-33)", "$d0df"),
        ("hex:cmsgpack.pack(-128)", "$d080"),
        ("hex:cmsgpack.pack(-129)", "$d1ff7f"),
        ("hex:cmsgpack.pack(-32768)", "$d18000"),
        ("hex:cmsgpack.pack(-32769)", "$d2ffff7fff"),
        ("hex:cmsgpack.pack(-2147483648)", "$d280000000"),
        ("hex:cmsgpack.pack(-2147483649)", "$d3ffffffff7fffffff"),
        ("hex:cmsgpack.pack(1.5)", "$ca3fc00000"),
        ("hex:cmsgpack.pack(0.1)", "$cb3fb999999999999a"),
        ("hex:cmsgpack.pack(-0.5)", "$cabf000000"),
        ("hex:cmsgpack.pack(1e300)", "$cb7e37e43c8800759c"),
        ("hex:cmsgpack.pack(1/0)", "$ca7f800000"),
        ("hex:cmsgpack.pack(-1/0)", "$caff800000"),
        ("hex:cmsgpack.pack(0/0)", "$cbfff8000000000000"),
        ("hex:cmsgpack.pack(-0.0)", "$00"),
        ("hex:cmsgpack.pack(-1.0)", "$ff"),
        ("hex:cmsgpack.pack(-2^63-2048)", "$cbc3e0000000000001"),
        (
            "hex:cmsgpack.pack({-2^63,2^63})",
            "$92d38000000000000000ca5f000000",
        ),
        ("hex:cmsgpack.pack(2^63-1024)", "$cf7ffffffffffffc00"),
        ("hex:cmsgpack.pack(2^64)", "$ca5f800000"),
        ("hex:cmsgpack.pack(true)", "$c3"),
        ("hex:cmsgpack.pack(false)", "$c2"),
        ("hex:cmsgpack.pack(nil)", "$c0"),
        ("hex:cmsgpack.pack('')", "$a0"),
        ("hex:cmsgpack.pack('abc')", "$a3616263"),
        (
            "hex:cmsgpack.pack(string.rep('x',31))",
            "$bf78787878787878787878787878787878787878787878787878787878787878",
        ),
        (
            "hex:cmsgpack.pack(string.rep('x',32))",
            "$d9207878787878787878787878787878787878787878787878787878787878787878",
        ),
        (
            "hex:cmsgpack.pack(string.rep('x',255))",
            "$d9ff787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878",
        ),
        (
            "hex:cmsgpack.pack(string.rep('x',256))",
            "$da010078787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878",
        ),
        ("hex:cmsgpack.pack({})", "$90"),
        ("hex:cmsgpack.pack({1,2,3})", "$93010203"),
        ("hex:cmsgpack.pack({1,nil,3})", "$8201010303"),
        ("hex:cmsgpack.pack({a=1})", "$81a16101"),
        ("hex:cmsgpack.pack({[2]=1})", "$810201"),
        ("hex:cmsgpack.pack({[1.5]=1})", "$81ca3fc0000001"),
        ("hex:cmsgpack.pack({{{1}}})", "$91919101"),
        ("hex:cmsgpack.pack(function() end)", "$c0"),
        ("hex:cmsgpack.pack(1,2,'x')", "$0102a178"),
        (
            "hex:cmsgpack.pack()",
            "-ERR user_script:1: bad argument #0 to 'pack' (MessagePack pack needs input.)",
        ),
        ("hex:cmsgpack.pack({[true]=false})", "$81c3c2"),
        ("hex:cmsgpack.pack({a={b={}}})", "$81a16181a16290"),
        (
            "hex:cmsgpack.pack({1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16})",
            "$dc00100102030405060708090a0b0c0d0e0f10",
        ),
        ("hex:cmsgpack.pack(cjson.null)", "$c0"),
        (
            "hex:cmsgpack.pack(t)",
            "-ERR user_script:1: Script attempted to access nonexistent global variable 't'",
        ),
        (
            "hex:cmsgpack.pack(t)",
            "-ERR user_script:1: Script attempted to access nonexistent global variable 't'",
        ),
        (
            "show:cmsgpack.unpack(cmsgpack.pack(1,2,'x',{a=1},{1,2,{3}}))",
            "$number:1 number:2 string:x {a=number:1} {1=number:1,2=number:2,3={1=number:3}}",
        ),
        ("show:cmsgpack.unpack('')", "$"),
        (
            "show:cmsgpack.unpack('\\193')",
            "-ERR user_script:1: Bad data format in input.",
        ),
        (
            "show:cmsgpack.unpack('\\218')",
            "-ERR user_script:1: Missing bytes in input.",
        ),
        (
            "show:cmsgpack.unpack('\\163ab')",
            "-ERR user_script:1: Missing bytes in input.",
        ),
        (
            "show:cmsgpack.unpack('\\147\\1\\2')",
            "-ERR user_script:1: Missing bytes in input.",
        ),
        (
            "show:cmsgpack.unpack_one('\\1\\2\\3')",
            "$number:1 number:1",
        ),
        (
            "show:cmsgpack.unpack_one('\\1\\2\\3',2)",
            "$number:-1 number:3",
        ),
        ("show:cmsgpack.unpack_one('\\1\\2\\3',3)", "$number:-1"),
        (
            "show:cmsgpack.unpack_one('\\1\\2\\3',4)",
            "-ERR user_script:1: Start offset 4 greater than input length 3.",
        ),
        (
            "show:cmsgpack.unpack_one('\\1\\2\\3',-1)",
            "-ERR user_script:1: Invalid request to unpack with offset of -1 and limit of 3.",
        ),
        (
            "show:cmsgpack.unpack_limit('\\1\\2\\3',2)",
            "$number:2 number:1 number:2",
        ),
        (
            "show:cmsgpack.unpack_limit('\\1\\2\\3',2,1)",
            "$number:-1 number:2 number:3",
        ),
        (
            "show:cmsgpack.unpack_limit('\\1\\2\\3',5,1)",
            "$number:-1 number:2 number:3",
        ),
        (
            "show:cmsgpack.unpack_limit('\\1\\2\\3',-1)",
            "-ERR user_script:1: Invalid request to unpack with offset of 0 and limit of 3.",
        ),
        (
            "show:cmsgpack.unpack_limit('\\1\\2\\3',0)",
            "$number:1 number:2 number:3",
        ),
        (
            "show:cmsgpack.unpack_limit('\\1\\2\\3')",
            "-ERR user_script:1: bad argument #2 to 'unpack_limit' (number expected, got no value)",
        ),
        (
            "show:cmsgpack.unpack()",
            "-ERR user_script:1: bad argument #1 to 'unpack' (string expected, got no value)",
        ),
        (
            "show:cmsgpack.unpack({})",
            "-ERR user_script:1: bad argument #1 to 'unpack' (string expected, got table)",
        ),
        (
            "show:cmsgpack.unpack('\\129\\161a\\129\\1\\2')",
            "${a={1=number:2}}",
        ),
        (
            "show:cmsgpack.unpack('\\207\\255\\255\\255\\255\\255\\255\\255\\255')",
            "$number:-1",
        ),
        (
            "show:cmsgpack.unpack('\\211\\255\\255\\255\\255\\255\\255\\255\\254')",
            "$number:-2",
        ),
        (
            "show:cmsgpack.unpack('\\202\\63\\128\\0\\0\\203\\63\\240\\0\\0\\0\\0\\0\\0')",
            "$number:1 number:1",
        ),
        (
            "show:cmsgpack.unpack('\\196\\1a')",
            "-ERR user_script:1: Bad data format in input.",
        ),
        (
            "show:cmsgpack.unpack('\\217\\1a\\218\\0\\1b\\219\\0\\0\\0\\1c')",
            "$string:a string:b string:c",
        ),
        (
            "show:cmsgpack.unpack('\\220\\0\\1\\1\\221\\0\\0\\0\\1\\2\\222\\0\\1\\1\\2\\223\\0\\0\\0\\1\\3\\4')",
            "${1=number:1} {1=number:2} {1=number:2} {3=number:4}",
        ),
        (
            "show:cmsgpack.unpack('\\208\\128\\209\\128\\0\\210\\128\\0\\0\\0\\204\\255\\205\\255\\255\\206\\255\\255\\255\\255')",
            "$number:-128 number:-32768 number:-2147483648 number:255 number:65535 number:4294967295",
        ),
        (
            "show:cmsgpack.unpack('\\219\\255\\255\\255\\255a')",
            "-ERR user_script:1: Missing bytes in input.",
        ),
        ("show:cmsgpack.unpack('\\144\\128\\160')", "${} {} string:"),
        ("show:cmsgpack.unpack(1)", "$number:49"),
        (
            "show:cmsgpack.unpack_one('\\1\\2\\3','x')",
            "-ERR user_script:1: bad argument #2 to 'unpack_one' (number expected, got string)",
        ),
    ]);
}

#[test]
fn structs_answers_as_redis() {
    check(&[
        ("hex:struct.pack('b',1)", "$01"),
        ("hex:struct.pack('B',255)", "$ff"),
        ("hex:struct.pack('h',-2)", "$feff"),
        ("hex:struct.pack('H',65535)", "$ffff"),
        ("hex:struct.pack('>h',1)", "$0001"),
        ("hex:struct.pack('<h',1)", "$0100"),
        ("hex:struct.pack('l',-1)", "$ffffffffffffffff"),
        ("hex:struct.pack('>l',1)", "$0000000000000001"),
        ("hex:struct.pack('L',2^40)", "$0000000000010000"),
        ("hex:struct.pack('i',5)", "$05000000"),
        ("hex:struct.pack('i3',5)", "$050000"),
        ("hex:struct.pack('>i3',-5)", "$fffffb"),
        ("hex:struct.pack('I8',2^53)", "$0000000000002000"),
        (
            "hex:struct.pack('i16',1)",
            "$01000000000000000000000000000000",
        ),
        (
            "hex:struct.pack('i16',-1)",
            "$ffffffffffffffff0000000000000000",
        ),
        (
            "hex:struct.pack('i33',1)",
            "-ERR user_script:1: integral size 33 is larger than limit of 32",
        ),
        (
            "hex:struct.pack('i99999999999',1)",
            "-ERR user_script:1: integral size overflow",
        ),
        ("hex:struct.pack('c','abc')", "$61"),
        ("hex:struct.pack('c0','abc')", "$616263"),
        ("hex:struct.pack('c2','abc')", "$6162"),
        (
            "hex:struct.pack('c5','abc')",
            "-ERR user_script:1: bad argument #3 to 'pack' (string too short)",
        ),
        ("hex:struct.pack('s','abc')", "$61626300"),
        ("hex:struct.pack('ss','a','b')", "$61006200"),
        ("hex:struct.pack('f',1.5)", "$0000c03f"),
        ("hex:struct.pack('>d',1.5)", "$3ff8000000000000"),
        ("hex:struct.pack('d',-0.1)", "$9a9999999999b9bf"),
        ("hex:struct.pack('x')", "$00"),
        ("hex:struct.pack('bxb',1,2)", "$010002"),
        ("hex:struct.pack('!4bi',1,2)", "$0100000002000000"),
        (
            "hex:struct.pack('!bd',1,2)",
            "$01000000000000000000000000000040",
        ),
        (
            "hex:struct.pack('!3b',1)",
            "-ERR user_script:1: alignment 3 is not a power of 2",
        ),
        ("hex:struct.pack('!b!2h',1,2)", "$01000200"),
        (
            "hex:struct.pack('y',1)",
            "-ERR user_script:1: bad argument #1 to 'pack' (invalid format option 'y')",
        ),
        (
            "hex:struct.pack('b')",
            "-ERR user_script:1: bad argument #2 to 'pack' (number expected, got nil)",
        ),
        (
            "hex:struct.pack('b','x')",
            "-ERR user_script:1: bad argument #2 to 'pack' (number expected, got string)",
        ),
        ("hex:struct.pack('b','7')", "$07"),
        ("hex:struct.pack(' b',1)", "$01"),
        ("hex:struct.pack('T',1)", "$0100000000000000"),
        ("hex:struct.pack('i0',1)", "$"),
        (
            "hex:struct.pack('>!4 b i h',1,2,3)",
            "$01000000000000020003",
        ),
        (
            "hex:struct.pack()",
            "-ERR user_script:1: bad argument #1 to 'pack' (string expected, got no value)",
        ),
        ("hex:struct.pack('b',300)", "$2c"),
        ("hex:struct.pack('B',-1)", "$ff"),
        ("hex:struct.pack('I',-1)", "$ffffffff"),
        ("hex:struct.pack('I4',4294967296)", "$00000000"),
        ("hex:struct.pack('i',1.9)", "$01000000"),
        ("hex:struct.pack('i',-1.9)", "$ffffffff"),
        (
            "hex:struct.pack('%',1)",
            "-ERR user_script:1: bad argument #1 to 'pack' (invalid format option '%')",
        ),
        (
            "hex:struct.pack('bb',1)",
            "-ERR user_script:1: bad argument #3 to 'pack' (number expected, got nil)",
        ),
        ("show:struct.unpack('b','\\255')", "$number:-1 number:2"),
        ("show:struct.unpack('B','\\255')", "$number:255 number:2"),
        (
            "show:struct.unpack('h','\\254\\255')",
            "$number:-2 number:3",
        ),
        ("show:struct.unpack('>h','\\0\\1')", "$number:1 number:3"),
        (
            "show:struct.unpack('i','\\1\\0\\0\\0')",
            "$number:1 number:5",
        ),
        (
            "show:struct.unpack('i3','\\251\\255\\255')",
            "$number:-5 number:4",
        ),
        (
            "show:struct.unpack('L','\\255\\255\\255\\255\\255\\255\\255\\255')",
            "$number:1.844674407371e+19 number:9",
        ),
        (
            "show:struct.unpack('l','\\255\\255\\255\\255\\255\\255\\255\\255')",
            "$number:-1 number:9",
        ),
        (
            "show:struct.unpack('Bc0','\\3abcd')",
            "$string:abc number:5",
        ),
        (
            "show:struct.unpack('c0','abc')",
            "-ERR user_script:1: format 'c0' needs a previous size",
        ),
        ("show:struct.unpack('c3','abcd')", "$string:abc number:4"),
        ("show:struct.unpack('c','abcd')", "$string:a number:2"),
        ("show:struct.unpack('s','abc\\0d')", "$string:abc number:5"),
        (
            "show:struct.unpack('s','abc')",
            "-ERR user_script:1: unfinished string in data",
        ),
        (
            "show:struct.unpack('f','\\0\\0\\192\\63')",
            "$number:1.5 number:5",
        ),
        (
            "show:struct.unpack('d','\\0\\0\\0\\0\\0\\0\\248\\63')",
            "$number:1.5 number:9",
        ),
        ("show:struct.unpack('x','a')", "$number:2"),
        (
            "show:struct.unpack('bb','a')",
            "-ERR user_script:1: bad argument #2 to 'unpack' (data string too short)",
        ),
        ("show:struct.unpack('b','abc',2)", "$number:98 number:3"),
        (
            "show:struct.unpack('b','abc',4)",
            "-ERR user_script:1: bad argument #2 to 'unpack' (data string too short)",
        ),
        (
            "show:struct.unpack('b','abc',0)",
            "-ERR user_script:1: bad argument #3 to 'unpack' (offset must be 1 or greater)",
        ),
        (
            "show:struct.unpack('b','abc',-1)",
            "-ERR user_script:1: bad argument #2 to 'unpack' (data string too short)",
        ),
        (
            "show:struct.unpack('!4bi','\\1\\0\\0\\0\\2\\0\\0\\0')",
            "$number:1 number:2 number:9",
        ),
        (
            "show:struct.unpack('c4294967295','a')",
            "-ERR user_script:1: integral size overflow",
        ),
        (
            "show:struct.unpack('c2147483647','a')",
            "-ERR user_script:1: bad argument #2 to 'unpack' (data string too short)",
        ),
        (
            "show:struct.unpack('y','a')",
            "-ERR user_script:1: bad argument #1 to 'unpack' (invalid format option 'y')",
        ),
        (
            "show:struct.unpack('b')",
            "-ERR user_script:1: bad argument #2 to 'unpack' (string expected, got no value)",
        ),
        ("show:struct.unpack('','abc')", "$number:1"),
        (
            "show:struct.unpack('i16','\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0')",
            "$number:1 number:17",
        ),
        (
            "show:struct.unpack('Bc0','\\9abc')",
            "-ERR user_script:1: bad argument #2 to 'unpack' (data string too short)",
        ),
        (
            "show:struct.unpack('sc0','a\\0b')",
            "-ERR user_script:1: format 'c0' needs a previous size",
        ),
        ("show:struct.unpack('b','abc','2')", "$number:98 number:3"),
        (
            "show:struct.unpack('b','abc',2147483648)",
            "-ERR user_script:1: bad argument #2 to 'unpack' (data string too short)",
        ),
        (
            "show:struct.unpack('>I5','\\1\\2\\3\\4\\5')",
            "$number:4328719365 number:6",
        ),
        ("show:struct.unpack('i0','a')", "$number:0 number:1"),
        ("struct.size('bhild')", ":23"),
        ("struct.size('!bhild')", ":24"),
        (
            "struct.size('s')",
            "-ERR user_script:1: bad argument #1 to 'size' (option 's' has no fixed size)",
        ),
        (
            "struct.size('c0')",
            "-ERR user_script:1: bad argument #1 to 'size' (option 'c0' has no fixed size)",
        ),
        ("struct.size('c10')", ":10"),
        ("struct.size('i3')", ":3"),
        ("struct.size('>!4bi')", ":8"),
        ("struct.size('xx')", ":2"),
        ("struct.size('y')", ":0"),
        ("struct.size('')", ":0"),
        ("struct.size('T')", ":8"),
        ("struct.size('f')", ":4"),
        (
            "struct.size('c2147483647c2147483647c2147483647')",
            ":6442450941",
        ),
    ]);
}

#[test]
fn bit_answers_as_redis() {
    check(&[
        ("bit.tobit(0xffffffff)", ":-1"),
        ("bit.tobit(2^31)", ":-2147483648"),
        ("bit.tobit(2^32+5)", ":5"),
        ("bit.tobit(-1)", ":-1"),
        ("bit.tobit(1.5)", ":2"),
        ("bit.tobit(2.5)", ":2"),
        ("bit.tobit(3.5)", ":4"),
        ("bit.tobit(1e15)", ":-1530494976"),
        ("bit.bnot(0)", ":-1"),
        ("bit.bnot(0x12345678)", ":-305419897"),
        ("bit.band(0x12345678,0xff)", ":120"),
        ("bit.bor(1,2,4,8)", ":15"),
        ("bit.bxor(0xa5a5f0f0,0xaa55ff00)", ":267390960"),
        ("bit.lshift(1,31)", ":-2147483648"),
        ("bit.lshift(1,32)", ":1"),
        ("bit.lshift(1,-1)", ":-2147483648"),
        ("bit.rshift(-256,8)", ":16777215"),
        ("bit.arshift(-256,8)", ":-1"),
        ("bit.rol(0x12345678,12)", ":1164411171"),
        ("bit.ror(0x12345678,12)", ":1736516421"),
        ("bit.bswap(0x12345678)", ":2018915346"),
        ("bit.tohex(1)", "$00000001"),
        ("bit.tohex(-1)", "$ffffffff"),
        ("bit.tohex(0xffffffff,-8)", "$FFFFFFFF"),
        ("bit.tohex(0x12345678,4)", "$5678"),
        ("bit.tohex(0x12345678,-4)", "$5678"),
        ("bit.tohex(255,0)", "$"),
        ("bit.tohex(255,99)", "$000000ff"),
        ("bit.tohex(255,-99)", "$000000FF"),
        ("bit.tohex(65535,-2147483648)", "$0000FFFF"),
        (
            "bit.band()",
            "-ERR user_script:1: bad argument #1 to 'band' (number expected, got no value)",
        ),
        (
            "bit.band('x')",
            "-ERR user_script:1: bad argument #1 to 'band' (number expected, got string)",
        ),
        ("bit.band('7',3)", ":3"),
        (
            "bit.tobit()",
            "-ERR user_script:1: bad argument #1 to 'tobit' (number expected, got no value)",
        ),
        (
            "bit.bnot(nil)",
            "-ERR user_script:1: bad argument #1 to 'bnot' (number expected, got nil)",
        ),
        ("bit.tobit(2^53)", ":0"),
        ("bit.tobit(-2^31-1)", ":2147483647"),
    ]);
}

#[test]
fn settings_of_cjson_hold_for_the_run() {
    for (body, expected) in [
        (
            "cjson.encode_sparse_array(true) return cjson.encode({[100] = 1})",
            "${\"100\":1}",
        ),
        (
            "cjson.encode_number_precision(3) return cjson.encode(1/3)",
            "$0.333",
        ),
        (
            "cjson.encode_invalid_numbers('null') return cjson.encode({1/0})",
            "$[null]",
        ),
        (
            "cjson.encode_invalid_numbers(true) return cjson.encode({1/0, -1/0})",
            "$[inf,-inf]",
        ),
        (
            "cjson.encode_max_depth(2) return select(2, pcall(cjson.encode, {{{}}}))",
            "$Cannot serialise, excessive nesting (3)",
        ),
        (
            "cjson.decode_max_depth(2) return select(2, pcall(cjson.decode, '[[[]]]'))",
            "$Found too many nested data structures (3) at character 3",
        ),
        (
            "cjson.decode_invalid_numbers(false) return select(2, pcall(cjson.decode, '[0x10]'))",
            "$Expected value but found invalid number at character 2",
        ),
        ("return cjson.decode('null') == cjson.null", ":1"),
        ("return cjson.new().encode({1})", "$[1]"),
    ] {
        assert_eq!(evaluate(body), expected, "{body}");
    }
}

#[test]
fn infinities_and_nan_are_read_as_numbers() {
    check(&[
        (
            "show:tonumber('inf'), tonumber('-inf')",
            "$number:inf number:-inf",
        ),
        (
            "show:tonumber('INFINITY'), tonumber(' +inf ')",
            "$number:inf number:inf",
        ),
        ("show:type(tonumber('nan'))", "$string:number"),
        ("tonumber('nan') ~= tonumber('nan')", ":1"),
        (
            "show:'inf' + 1, -'inf', 'inf' > '1'",
            "$number:inf number:-inf boolean:true",
        ),
        ("tonumber('inf') > 1e308", ":1"),
        (
            "tostring(tonumber('info')) .. tostring(tonumber('n')) .. tostring(tonumber('nano'))",
            "$nilnilnil",
        ),
        ("tonumber('inf')", ":-9223372036854775808"),
        ("tonumber('0x1p4')", ":16"),
        ("('a.b'):find('.', 1, true)", ":2"),
    ]);
}

#[test]
fn integers_beyond_a_double_are_exact_where_redis_rounds_them() {
    assert_eq!(
        evaluate("return cjson.encode(cjson.decode('[123456789012345678]'))"),
        "$[123456789012345678]"
    );
    let packed = "return cmsgpack.unpack(cmsgpack.pack(9007199254740993)) == 9007199254740993";
    assert_eq!(evaluate(packed), ":1");
    let packed =
        "return struct.unpack('l', struct.pack('l', 9007199254740993)) == 9007199254740993";
    assert_eq!(evaluate(packed), ":1");
}
