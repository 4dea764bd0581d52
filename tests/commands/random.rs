//! Random lines, here and by a real Redis.

use crate::support::check::compare_lines;
use crate::support::random::Random;

/// What stands for what: `K` a key, `V` a value, `N` an integer, `F` a number, `D` a time far away, hardly ever the same.
const FORMS: &[&str] = &[
    "GET K",
    "SET K V",
    "SET K N",
    "SET K V NX",
    "SET K V XX GET",
    "SET K V KEEPTTL",
    "SET K V EX D",
    "SETNX K V",
    "GETSET K V",
    "GETDEL K",
    "GETEX K PERSIST",
    "GETEX K EX D",
    "APPEND K V",
    "STRLEN K",
    "GETRANGE K N N",
    "SETRANGE K N V",
    "MGET K K",
    "MSET K V K V",
    "MSETNX K V K V",
    "INCR K",
    "DECR K",
    "INCRBY K N",
    "DECRBY K N",
    "INCRBYFLOAT K F",
    "LCS K K",
    "LCS K K IDX",
    "DEL K K",
    "EXISTS K K",
    "TYPE K",
    "RENAME K K",
    "RENAMENX K K",
    "COPY K K",
    "COPY K K REPLACE",
    "EXPIRE K D",
    "EXPIRE K D NX",
    "EXPIRE K D XX",
    "EXPIRE K D GT",
    "EXPIRE K D LT",
    "EXPIRE K N",
    "TTL K",
    "PERSIST K",
    "KEYS *",
    "DBSIZE",
    "OBJECT ENCODING K",
    "HSET K V V",
    "HSET K V N V V",
    "HSETNX K V V",
    "HGET K V",
    "HMGET K V V",
    "HDEL K V V",
    "HLEN K",
    "HEXISTS K V",
    "HSTRLEN K V",
    "HKEYS K",
    "HVALS K",
    "HGETALL K",
    "HINCRBY K V N",
    "HINCRBYFLOAT K V F",
    "SADD K V V",
    "SADD K N N",
    "SREM K V N",
    "SISMEMBER K V",
    "SMISMEMBER K V N",
    "SCARD K",
    "SMEMBERS K",
    "SMOVE K K V",
    "SINTER K K",
    "SINTERSTORE K K K",
    "SINTERCARD 2 K K LIMIT N",
    "SUNION K K",
    "SUNIONSTORE K K K",
    "SDIFF K K",
    "SDIFFSTORE K K K",
    "SPOP K 9",
    "HRANDFIELD K 9",
    "SRANDMEMBER K 9",
];

fn line(random: &mut Random) -> String {
    let commands: Vec<String> = (0..30)
        .map(|_| {
            let form = random.pick(FORMS);
            let words = form.split(' ').map(|word| match word {
                "K" => random.pick(&["a", "b", "c"]).to_string(),
                "V" => random
                    .pick(&["x", "yy", "''", "10", "'a b'", "zzz"])
                    .to_string(),
                "N" => random
                    .pick(&["0", "1", "-1", "2", "7", "-3", "100"])
                    .to_string(),
                "F" => {
                    let digits = random.below(10_000_000);
                    let power = random.below(9);
                    format!("{}{digits}e-{power}", random.pick(&["", "-"]))
                }
                "D" => (1000 + random.below(1_000_000)).to_string(),
                word => word.to_string(),
            });
            words.collect::<Vec<_>>().join(" ")
        })
        .collect();
    commands.join("; ")
}

#[test]
fn random_lines_are_as_in_redis() {
    let mut random = Random(1);
    let lines: Vec<_> = (0..150).map(|_| line(&mut random)).collect();
    compare_lines(&lines, &["HELLO 3"]);
}
