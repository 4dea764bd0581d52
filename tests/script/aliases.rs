//! What scripts written for other servers than Redis call: `server`, `dragonfly`, `redis.acall`.

use crate::support::evaluate;

fn starts(body: &str, expected: &str) {
    let reply = evaluate(body);
    assert!(reply.starts_with(expected), "{body}: {reply}");
}

#[test]
fn server_is_another_name_of_redis() {
    starts("return server.call('ECHOED', 'x')[2]", "$x");
    starts("return server.sha1hex('') == redis.sha1hex('') and 1", ":1");
    starts("return redis.REDIS_VERSION", "$7.2.0");
    starts(
        "server.x = 1",
        "-ERR user_script:1: Attempt to modify a readonly table",
    );
}

#[test]
fn calls_without_a_result() {
    for table in ["redis", "dragonfly"] {
        starts(&format!("return select('#', {table}.acall('PING'))"), ":0");
        starts(
            &format!("return select('#', {table}.apcall('FAIL', 'ERR x'))"),
            ":0",
        );
    }
    starts(
        "return select('#', redis.acall())",
        "-ERR Please specify at least one argument",
    );
}

#[test]
fn random_strings_are_as_long_and_as_many_as_asked() {
    starts("return #dragonfly.randstr(33)", ":33");
    starts(
        "local t = dragonfly.randstr(5, 3) return #t .. #t[1] .. #t[3]",
        "$355",
    );
    starts(
        "return dragonfly.randstr(32) ~= dragonfly.randstr(32)",
        ":1",
    );
    starts("return (dragonfly.randstr(100):gsub('[0-9a-f]', ''))", "$");
    for wrong in ["0", "16777217", "1, 0", "1, 32769", "-1"] {
        starts(
            &format!("return dragonfly.randstr({wrong})"),
            "-ERR user_script:1: bad argument",
        );
    }
    starts(
        "return dragonfly.randstr()",
        "-ERR user_script:1: dragonfly.randstr requires",
    );
    starts("return dragonfly.randstr(16777216, 32768)", "out of memory");
}

#[test]
fn a_reply_is_hashed_in_its_order_or_in_any() {
    let hash = |sorts: &str, words: &str| {
        evaluate(&format!(
            "return tostring(dragonfly.ihash(7, {sorts}, {words}))"
        ))
    };
    assert_eq!(hash("false", "'a', 'b'"), hash("false", "'a', 'b'"));
    assert_ne!(hash("false", "'a', 'b'"), hash("false", "'b', 'a'"));
    assert_eq!(hash("true", "'a', 'b'"), hash("true", "'b', 'a'"));
    assert_ne!(hash("true", "'a', 'b'"), hash("true", "'a', 'c'"));
    starts(
        "local h = dragonfly.ihash(7, false) return h",
        "-ERR user_script:1: dragonfly.ihash requires",
    );
    starts(
        "return select('#', dragonfly.lock('k'), dragonfly.unlock())",
        ":1",
    );
    starts("return dragonfly.hash_text == nil and 1", ":1");
}
