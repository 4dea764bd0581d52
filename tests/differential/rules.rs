//! Differences that are known, each as narrow as it can be, with its reason and a line that shows
//! it. `docs/compatibility.md` has a row for each, by its name.

use crate::compare::{has_word, name_of};
use crate::ways::Way;
use crate::wire::Node;

pub(crate) struct Rule {
    /// As in docs/compatibility.md.
    pub(crate) name: &'static str,
    /// The commands whose replies it may explain; all if there is none.
    commands: &'static [&'static str],
    /// A line whose last command differs by this rule, and by nothing else; empty if no line does
    /// so each time.
    pub(crate) example: &'static str,
    /// How that command is sent.
    pub(crate) way: Way,
    explains: fn(way: Way, words: &[Vec<u8>], redis: &Node, darter: &Node) -> bool,
}

const WITH_SCORES: &[&str] = &[
    "ZADD",
    "ZINCRBY",
    "ZSCORE",
    "ZMSCORE",
    "ZRANGE",
    "ZREVRANGE",
    "ZRANGEBYSCORE",
    "ZREVRANGEBYSCORE",
    "ZPOPMIN",
    "ZPOPMAX",
    "ZMPOP",
    "BZPOPMIN",
    "BZPOPMAX",
    "BZMPOP",
    "ZUNION",
    "ZINTER",
    "ZDIFF",
    "ZSCAN",
];
const WITH_PLACES: &[&str] = &[
    "GEOPOS",
    "GEOSEARCH",
    "GEORADIUS",
    "GEORADIUS_RO",
    "GEORADIUSBYMEMBER",
    "GEORADIUSBYMEMBER_RO",
];

/// How Redis 7.0 keeps what Darter would keep otherwise: texts by how they were made, lists as
/// before 7.2, what was large once as if it still were.
const ENCODINGS: &[(&str, &str)] = &[
    ("raw", "int"),
    ("raw", "embstr"),
    ("embstr", "int"),
    ("quicklist", "listpack"),
    ("hashtable", "listpack"),
    ("hashtable", "intset"),
    ("skiplist", "listpack"),
];

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "xinfo-since-7.2",
        commands: &["XINFO|STREAM", "XINFO|CONSUMERS"],
        example: "XADD s 1-1 a b; XGROUP CREATE s g 0; XGROUP CREATECONSUMER s g c; XINFO CONSUMERS s g",
        way: Way::Plain,
        explains: |_, _, redis, darter| *redis == without_news(darter.clone()),
    },
    Rule {
        name: "nodes-of-streams",
        commands: &["XINFO|STREAM"],
        example: "EVAL 'redis.call(\"XADD\", KEYS[1], \"1-1\", \"a\", string.rep(\"x\", 5000))' 1 s; \
                  XADD s 2-1 a b; XINFO STREAM s",
        way: Way::Plain,
        explains: |_, _, redis, darter| {
            without_nodes(redis.clone()) == without_nodes(without_news(darter.clone()))
        },
    },
    Rule {
        name: "shortest-digits",
        commands: WITH_SCORES,
        example: "ZADD z 3.14 a; ZSCORE z a",
        way: Way::Plain,
        explains: |_, _, redis, darter| is_same_but(redis, darter, is_same_double),
    },
    Rule {
        name: "positions-in-scripts",
        commands: WITH_PLACES,
        example: "GEOADD g 13.361389 38.115556 a; GEOPOS g a",
        way: Way::CallInResp3,
        explains: |way, _, redis, darter| {
            way == Way::CallInResp3 && is_same_but(redis, darter, is_near)
        },
    },
    Rule {
        name: "integers-in-scripts",
        commands: &[],
        example: "SET n 9007199254740992; INCR n",
        way: Way::Call,
        explains: |way, words, redis, darter| {
            let name = name_of(words);
            let is_script = name.starts_with("EVAL") || name.starts_with("FCALL");
            (way.is_script() || is_script) && is_same_but(redis, darter, is_rounded)
        },
    },
    Rule {
        name: "least-integer-since-7.2",
        commands: &["LPOS", "LREM"],
        example: "RPUSH l a b; LPOS l a RANK -9223372036854775808",
        way: Way::Plain,
        explains: |_, words, _, darter| {
            has_word(words, "-9223372036854775808")
                && darter
                    .text
                    .starts_with(b"ERR value is out of range, value must between")
        },
    },
    Rule {
        name: "unbalanced-since-7.2",
        commands: &["XREAD", "XREADGROUP"],
        example: "XREAD STREAMS s s 0",
        way: Way::Plain,
        explains: |_, _, redis, darter| both_begin(redis, darter, b"ERR Unbalanced "),
    },
    Rule {
        name: "low-ids-since-7.2",
        commands: &["XSETID"],
        example: "XADD s 5-1 a b; XSETID s 9 ENTRIESADDED 5 MAXDELETEDID 8; XSETID s 2",
        way: Way::Plain,
        explains: |_, _, _, darter| {
            let text =
                b"ERR The ID specified in XSETID is smaller than current max_deleted_entry_id";
            darter.text.starts_with(text)
        },
    },
    // No example: what the C library's errno holds from an earlier command is not ours to say.
    Rule {
        name: "errors-of-others-in-sort",
        commands: &["SORT", "SORT_RO"],
        example: "",
        way: Way::Plain,
        explains: |_, _, redis, darter| {
            let text = b"ERR One or more scores can't be converted into double";
            redis.text.starts_with(text) && !darter.is_error()
        },
    },
    Rule {
        name: "hyperloglog-cache",
        commands: &["GET"],
        example: "PFADD h a; PFCOUNT h; GET h",
        way: Way::Plain,
        explains: |_, _, redis, darter| is_same_but(redis, darter, is_same_hyperloglog),
    },
    Rule {
        name: "encodings",
        commands: &["OBJECT|ENCODING"],
        example: "INCRBYFLOAT n 1; OBJECT ENCODING n",
        way: Way::Plain,
        explains: |_, _, redis, darter| {
            ENCODINGS.contains(&(redis.as_text().as_str(), darter.as_text().as_str()))
        },
    },
    Rule {
        name: "lua-5.4-texts",
        commands: &["EVAL", "EVAL_RO", "SCRIPT|LOAD"],
        example: "EVAL 'this is no Lua' 0",
        way: Way::Plain,
        explains: |_, _, redis, darter| both_begin(redis, darter, b"ERR Error compiling script "),
    },
];

/// Differences that the stream goes around, because they would change what both hold or because
/// no rule could be narrow: a name, a line whose last command differs, and how that is sent.
pub(crate) const AVOIDED: &[(&str, &str, Way)] = &[
    (
        "consumers-since-7.2",
        "XGROUP CREATE s g $ MKSTREAM; XREADGROUP GROUP g c STREAMS s >; XINFO GROUPS s",
        Way::Plain,
    ),
    (
        "rank-with-score-since-7.2",
        "ZADD z 1 a; ZRANK z a WITHSCORE",
        Way::Plain,
    ),
    (
        "blocking-in-scripts-since-7.2",
        "RPUSH l a; BLPOP l 1",
        Way::Call,
    ),
    (
        "saturation-of-the-least-integers",
        "BITFIELD b OVERFLOW SAT SET i8 0 -9223372036854775808; BITFIELD_RO b GET i8 0",
        Way::Plain,
    ),
    (
        "watched-and-left-as-it-was",
        "RPUSH l a; WATCH l; LTRIM l 0 -1; MULTI; EXEC",
        Way::Plain,
    ),
    (
        "watched-streams",
        "XGROUP CREATE s g $ MKSTREAM; WATCH s; XGROUP SETID s g 5; MULTI; EXEC",
        Way::Plain,
    ),
    (
        "watched-bits",
        "WATCH b; BITFIELD b OVERFLOW FAIL SET u8 0 300; MULTI; EXEC",
        Way::Plain,
    ),
    (
        "zero-bytes-in-weights",
        "RPUSH l 1; SET w1 '5\\x00'; SORT l BY w*",
        Way::Plain,
    ),
    ("globs-of-nothing", "SET '' x; KEYS **", Way::Plain),
    (
        "zero-bytes-in-errors",
        "XADD s 1-1 a b; XPENDING s 'g\\x003'",
        Way::Plain,
    ),
    ("kill-by-name", "SCRIPT KILL x", Way::Plain),
    (
        "zero-bytes-in-sort",
        "RPUSH l 'x\\x00y' x; SORT l ALPHA",
        Way::Plain,
    ),
    (
        "flags-of-keys",
        "COMMAND GETKEYSANDFLAGS SET k v",
        Way::Plain,
    ),
    (
        "endless-lives-of-restored",
        "RESTORE k 9223372036854775807 x",
        Way::Plain,
    ),
    (
        "scripts-of-transactions-in-vain",
        "WATCH k; SET k v; MULTI; EVAL 'return 31' 0; EXEC; SCRIPT EXISTS bb2c18d95a46a8d3d3a0eeacd8571c9e20845495",
        Way::Plain,
    ),
    ("hexadecimal-fractions", "ZADD z 0x1.8p1 a", Way::Plain),
    ("endless-timeouts-since-7.2", "BLPOP l 1e400", Way::Plain),
    ("negative-cursors", "SCAN -1", Way::Plain),
    (
        "keys-of-two-stores",
        "COMMAND GETKEYS GEORADIUS g 1 1 1 m STORE a STOREDIST b",
        Way::Plain,
    ),
    (
        "keys-of-unbalanced-lists",
        "COMMAND GETKEYS XREAD STREAMS a b 0",
        Way::Plain,
    ),
    (
        "undeclared-keys",
        "EVAL 'return redis.call(\"GET\", \"k\")' 0",
        Way::Plain,
    ),
    ("numbers-that-are-raised", "EVAL 'error(5)' 0", Way::Plain),
];

/// What XINFO says, without what Redis says only since 7.2.
fn without_news(mut node: Node) -> Node {
    let is_new = |name: &Node| matches!(name.text.as_slice(), b"inactive" | b"active-time");
    let mut kept = Vec::new();
    let mut children = node.children.into_iter();
    while let Some(child) = children.next() {
        if is_new(&child) {
            children.next();
        } else {
            kept.push(without_news(child));
        }
    }
    node.children = kept;
    node
}

/// What XINFO says, without what tells of nodes.
fn without_nodes(mut node: Node) -> Node {
    for at in 1..node.children.len() {
        if node.children[at - 1].text.starts_with(b"radix-tree-") {
            node.children[at] = Node::integer(0);
        }
    }
    node
}

/// Whether two replies are of one form, and what differs within them may.
fn is_same_but(redis: &Node, darter: &Node, may_differ: fn(&Node, &Node) -> bool) -> bool {
    let children = redis.children.iter().zip(&darter.children);
    redis == darter
        || (redis.kind == darter.kind
            && redis.children.len() == darter.children.len()
            && children
                .clone()
                .all(|(redis, darter)| is_same_but(redis, darter, may_differ))
            && (redis.is_aggregate() || may_differ(redis, darter)))
}

fn double(node: &Node) -> Option<f64> {
    let is_text = matches!(node.kind, b'$' | b',');
    std::str::from_utf8(&node.text)
        .ok()
        .filter(|_| is_text)?
        .parse()
        .ok()
}

/// The same number in other digits; also 0, which has a sign in small sorted sets here.
fn is_same_double(redis: &Node, darter: &Node) -> bool {
    double(redis).is_some_and(|value| double(darter) == Some(value))
}

/// Redis rounds positions to 17 decimals before scripts get them.
fn is_near(redis: &Node, darter: &Node) -> bool {
    match (double(redis), double(darter)) {
        (Some(redis), Some(darter)) => (redis - darter).abs() < 1e-13,
        _ => false,
    }
}

/// Integers are doubles in Redis's scripts, and what is too large becomes the smallest.
fn is_rounded(redis: &Node, darter: &Node) -> bool {
    match (redis.number(), darter.number()) {
        (Some(redis), Some(exact)) => {
            let rounded = exact as f64;
            redis
                == if rounded >= -(i64::MIN as f64) {
                    i64::MIN
                } else {
                    rounded as i64
                }
        }
        _ => false,
    }
}

fn both_begin(redis: &Node, darter: &Node, text: &[u8]) -> bool {
    redis.is_error()
        && redis.text.starts_with(text)
        && darter.is_error()
        && darter.text.starts_with(text)
}

/// The estimate that Redis keeps within the value when it has counted.
const CACHE: std::ops::Range<usize> = 8..16;

fn is_same_hyperloglog(redis: &Node, darter: &Node) -> bool {
    let without_cache = |node: &Node| {
        let mut text = node.text.clone();
        text.drain(CACHE);
        text
    };
    let is_one = |node: &Node| node.text.starts_with(b"HYLL") && node.text.len() >= CACHE.end;
    is_one(redis) && is_one(darter) && without_cache(redis) == without_cache(darter)
}

/// The rule by which both replies, as `compare::normalise` leaves them, may differ.
pub(crate) fn explain(
    way: Way,
    words: &[Vec<u8>],
    redis: &Node,
    darter: &Node,
) -> Option<&'static Rule> {
    let name = name_of(words);
    let mut own = RULES
        .iter()
        .filter(|rule| rule.commands.is_empty() || rule.commands.contains(&name.as_str()));
    own.find(|rule| (rule.explains)(way, words, redis, darter))
}
