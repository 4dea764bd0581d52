//! Random lines on ordered collections, here and by a real Redis.

use crate::support::check::compare_lines;
use crate::support::random::Random;

impl Random {
    fn element(&mut self) -> String {
        format!("e{}", self.below(60))
    }

    /// A number that binary fractions hold exactly.
    fn score(&mut self) -> String {
        match self.below(20) {
            0 => self.pick(&["inf", "-inf"]).into(),
            _ => (self.below(80) as f64 / 4.0 - 8.0).to_string(),
        }
    }
}

/// What stands for what: `L` a list's key, `Z` a sorted set's, `Y` that of one whose scores are
/// equal, `X` a stream's (each now and then another's), `E` an element, `EE` many, `S` a score,
/// `SE` many scores with elements, `B` a score as a bound, `M` a member as a bound, `N` an
/// integer, `C` a count, `I` an entry's ID, `R` an ID as a bound, `G` a group, `P` a consumer.
const FORMS: &[&str] = &[
    "RPUSH L EE",
    "LPUSH L EE",
    "LPUSHX L E",
    "RPUSHX L E E",
    "LPOP L",
    "LPOP L C",
    "RPOP L C",
    "LLEN L",
    "LRANGE L N N",
    "LRANGE L 0 -1",
    "LINDEX L N",
    "LSET L N E",
    "LINSERT L BEFORE E E",
    "LINSERT L AFTER E E",
    "LREM L N E",
    "LTRIM L N N",
    "LPOS L E",
    "LPOS L E RANK N COUNT C",
    "LPOS L E COUNT C MAXLEN C",
    "LMOVE L L LEFT RIGHT",
    "LMOVE L L RIGHT RIGHT",
    "RPOPLPUSH L L",
    "LMPOP 2 L L LEFT COUNT C",
    "BLMPOP 0.001 1 l RIGHT COUNT 2",
    "ZADD Z SE",
    "ZADD Z SE",
    "ZADD Z NX CH SE",
    "ZADD Z XX CH SE",
    "ZADD Z GT CH SE",
    "ZADD Z LT SE",
    "ZADD Z INCR S E",
    "ZADD Z GT INCR S E",
    "ZINCRBY Z S E",
    "ZREM Z E E E",
    "ZCARD Z",
    "ZSCORE Z E",
    "ZMSCORE Z E E",
    "ZRANK Z E",
    "ZREVRANK Z E",
    "ZCOUNT Z B B",
    "ZRANGE Z N N",
    "ZRANGE Z N N REV WITHSCORES",
    "ZRANGE Z B B BYSCORE",
    "ZRANGE Z B B BYSCORE REV LIMIT N C",
    "ZRANGESTORE Z Z N N REV",
    "ZRANGESTORE Z Z B B BYSCORE LIMIT C N",
    "ZREVRANGE Z N N",
    "ZRANGEBYSCORE Z B B WITHSCORES LIMIT C C",
    "ZREVRANGEBYSCORE Z B B",
    "ZREMRANGEBYRANK Z N N",
    "ZREMRANGEBYSCORE Z B B",
    "ZPOPMIN Z C",
    "ZPOPMAX Z",
    "ZMPOP 2 Z Z MAX COUNT C",
    "ZUNION 2 Z Z WITHSCORES",
    "ZUNION 2 Z Z WEIGHTS 2 -1 AGGREGATE MAX",
    "ZINTER 2 Z Z WITHSCORES AGGREGATE MIN",
    "ZDIFF 2 Z Z WITHSCORES",
    "ZUNIONSTORE Z 2 Z Y",
    "ZINTERSTORE Z 2 Z Z WEIGHTS 1 0.5",
    "ZDIFFSTORE Z 2 Z Y",
    "ZINTERCARD 2 Z Z LIMIT C",
    "ZADD Y 0 E 0 E 0 E",
    "ZRANGEBYLEX Y M M",
    "ZREVRANGEBYLEX Y M M LIMIT C C",
    "ZRANGE Y M M BYLEX",
    "ZLEXCOUNT Y M M",
    "ZREMRANGEBYLEX Y M M",
    "XADD X I f E",
    "XADD X I f E g E",
    "XADD X I-* f E",
    "XADD X MAXLEN C I f E",
    "XADD X MINID I 9999-* f E",
    "XADD X NOMKSTREAM 9999-* f E",
    "XLEN X",
    "XRANGE X R R",
    "XRANGE X - + COUNT C",
    "XREVRANGE X R R COUNT C",
    "XREAD COUNT C STREAMS X X I 0",
    "XREAD STREAMS X $",
    "XDEL X I I 9999-0",
    "XTRIM X MINID I",
    "XTRIM X MAXLEN C",
    "XINFO STREAM X",
];

/// As `FORMS`, on streams with groups. Who reads or claims in vain is a consumer only since 7.2, so
/// those are made before.
const GROUP_FORMS: &[&str] = &[
    "XADD X I-* f E",
    "XADD X I-* f E",
    "XADD X MAXLEN C I-* f E",
    "XADD X 9999-* f E",
    "XDEL X I I 9999-0",
    "XTRIM X MINID I",
    "XSETID X 99999 ENTRIESADDED 60",
    "XLEN X",
    "XGROUP CREATE X G 0 MKSTREAM",
    "XGROUP CREATE X G 0 MKSTREAM",
    "XGROUP CREATE X G I",
    "XGROUP CREATE X G $ ENTRIESREAD C",
    "XGROUP SETID X G I",
    "XGROUP DESTROY X G",
    "XGROUP CREATECONSUMER X G P",
    "XGROUP DELCONSUMER X G P",
    "XGROUP CREATECONSUMER x g p; XREADGROUP GROUP g p COUNT C STREAMS x >",
    "XGROUP CREATECONSUMER x g q; XREADGROUP GROUP g q COUNT C STREAMS x x > >",
    "XGROUP CREATECONSUMER x g r; XREADGROUP GROUP g r NOACK COUNT C STREAMS x >",
    "XGROUP CREATECONSUMER xx gg p; XREADGROUP GROUP gg p STREAMS xx >",
    "XREADGROUP GROUP G P COUNT C STREAMS X I",
    "XREADGROUP GROUP G P STREAMS X 0",
    "XACK X G I I 9999-0 9999-1",
    "XACK X G I I I I I",
    "XPENDING X G",
    "XPENDING X G R R C",
    "XPENDING X G - + C P",
    "XGROUP CREATECONSUMER x g p; XCLAIM x g p 0 I I 9999-0 9999-1",
    "XGROUP CREATECONSUMER x g q; XCLAIM x g q 0 I I 9999-2 FORCE JUSTID",
    "XGROUP CREATECONSUMER x g r; XCLAIM x g r 0 I I FORCE RETRYCOUNT C TIME 5",
    "XGROUP CREATECONSUMER x g p; XAUTOCLAIM x g p 0 I COUNT 5",
    "XGROUP CREATECONSUMER x g q; XAUTOCLAIM x g q 0 - JUSTID",
    "XINFO GROUPS X",
    "XINFO CONSUMERS X G",
    "XINFO STREAM X FULL COUNT 3",
    "COPY X X REPLACE",
    "RENAME x xx",
];

fn word(random: &mut Random, form: &str) -> String {
    let mut key = |own: [&str; 2]| match random.below(40) {
        0 => random.pick(&["l", "z", "x", "s"]).to_string(),
        _ => random.pick(&own).to_string(),
    };
    match form {
        "L" => key(["l", "ll"]),
        "Z" => key(["z", "zz"]),
        "Y" => key(["y", "yy"]),
        "X" => key(["x", "xx"]),
        "E" => random.element(),
        "EE" => {
            let count = 1 + random.below(60);
            let elements: Vec<_> = (0..count).map(|_| random.element()).collect();
            elements.join(" ")
        }
        "S" => random.score(),
        "SE" => {
            let count = 1 + random.below(60);
            let pairs: Vec<_> = (0..count)
                .map(|_| format!("{} {}", random.score(), random.element()))
                .collect();
            pairs.join(" ")
        }
        "B" => format!("{}{}", random.pick(&["", "("]), random.score()),
        "M" => match random.below(6) {
            0 => random.pick(&["-", "+"]).into(),
            _ => format!("{}{}", random.pick(&["[", "("]), random.element()),
        },
        "N" => random
            .pick(&["0", "1", "-1", "2", "-3", "7", "-20", "100", "-100"])
            .into(),
        "C" => random.pick(&["0", "1", "2", "5", "50"]).into(),
        "G" => random.pick(&["g", "g", "g", "gg"]).into(),
        "P" => random.pick(&["p", "q", "r"]).into(),
        "I" => random.below(300).to_string(),
        "I-*" => format!("{}-*", random.below(300)),
        "R" => match random.below(4) {
            0 => random.pick(&["-", "+"]).into(),
            1 => format!("({}", 1 + random.below(300)),
            _ => format!("{}-{}", random.below(300), random.below(3)),
        },
        word => word.into(),
    }
}

fn line(random: &mut Random, forms: &[&str]) -> String {
    let commands = (0..60).map(|_| {
        let form = random.pick(forms);
        let words: Vec<_> = form.split(' ').map(|form| word(random, form)).collect();
        words.join(" ")
    });
    format!("SET s v; {}", commands.collect::<Vec<_>>().join("; "))
}

#[test]
fn random_lines_on_collections_are_as_in_redis() {
    let mut random = Random(1);
    let lines: Vec<_> = (0..100).map(|_| line(&mut random, FORMS)).collect();
    compare_lines(&lines, &["HELLO 3"]);
}

#[test]
fn random_lines_on_groups_are_as_in_redis() {
    let mut random = Random(2);
    let lines: Vec<_> = (0..200).map(|_| line(&mut random, GROUP_FORMS)).collect();
    compare_lines(&lines, &["HELLO 2"]);
}
