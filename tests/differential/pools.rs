//! What arguments are drawn from. Pools are small, so that commands meet what others left. Most of
//! what comes is valid; now and then comes an edge of the range, or what is refused.
//!
//! Nothing here depends on the clock: times to live are days, moments lie far behind or ahead.
//! Nothing lets a server allocate much: no offset of a string is both valid and large, and no
//! count that allows repetition is.

use crate::facts::{self, Facts};
use crate::lua;
use crate::scripts::{self, BODIES, BROKEN_LIBRARIES, FAILING, LIBRARIES};
use crate::support::random::Random;

/// Where values come from.
pub(crate) struct Source {
    pub(crate) random: Random,
    /// The time of the next entry of a stream.
    next_entry: u64,
    /// Whether a long command is being made, whose members should differ.
    pub(crate) is_bulk: bool,
    /// What the command that is being made may refer to.
    pub(crate) facts: Facts,
}

impl Source {
    pub(crate) fn new(seed: u64) -> Source {
        Source {
            random: Random(seed),
            next_entry: 1_000,
            is_bulk: false,
            facts: Facts::default(),
        }
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound)
    }

    /// True so many times out of a hundred.
    pub(crate) fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    fn pick(&mut self, words: &[&str]) -> Vec<u8> {
        self.random.pick(words).as_bytes().to_vec()
    }

    /// A usual word most of the time, an edge seldom, one that is refused more seldom.
    fn draw(&mut self, usual: &[&str], edges: &[&str], wrong: &[&str]) -> Vec<u8> {
        match self.below(100) {
            0..=1 => self.pick(wrong),
            2..=6 => self.pick(edges),
            _ => self.pick(usual),
        }
    }

    fn between(&mut self, least: i64, most: i64) -> Vec<u8> {
        let width = usize::try_from(most - least + 1).unwrap();
        (least + self.below(width) as i64).to_string().into_bytes()
    }
}

pub(crate) type Pool = fn(&mut Source) -> Vec<u8>;

const MAX: &str = "9223372036854775807";
const MIN: &str = "-9223372036854775808";
const NOT_INTEGERS: &[&str] = &[
    "",
    "abc",
    "1.5",
    " 1",
    "1 ",
    "+1",
    "01",
    "0x10",
    "-0",
    "9223372036854775808",
    "1e3",
    "nan",
];
const NOT_FLOATS: &[&str] = &[
    "", "abc", " 1", "1 ", "nan", "1.2.3", "--1", "0x", "1e", "nan(1)",
];

pub(crate) const POOLS: &[(&str, Pool)] = &[
    ("int", |source| {
        source.draw(
            &[
                "0", "1", "-1", "2", "5", "-7", "10", "42", "100", "-300", "1000",
            ],
            &[
                MAX,
                MIN,
                "9223372036854775806",
                "-9223372036854775807",
                "2147483648",
                "-2147483649",
                "4294967296",
                "9007199254740993",
                "4611686018427387904",
            ],
            NOT_INTEGERS,
        )
    }),
    ("float", |source| {
        source.draw(
            &[
                "0", "1", "-1", "1.5", "0.1", "-2.25", "3.0e3", "10", "100", "3.14159", "1e-5",
            ],
            &[
                "1e300", "-1e300", "inf", "-inf", "1e17", "-0", "0x10", "1e-320", "5e-324", "1e400",
            ],
            NOT_FLOATS,
        )
    }),
    ("number", |source| match source.below(10) {
        0 => source.pick(&["1.5", "3.25", "-0.1", "1e3", "abc", "", MAX, MIN, "007"]),
        _ => source.between(-50, 1000),
    }),
    ("score", |source| {
        source.draw(
            &[
                "0",
                "1",
                "2",
                "3",
                "4",
                "5",
                "-1",
                "-2.5",
                "0.1",
                "3.14",
                "10",
                "100",
                "1e3",
                "7",
                "1700000000000",
                "17",
                "2.5",
            ],
            &[
                "inf",
                "-inf",
                "+inf",
                "1e300",
                "-1e300",
                "-0",
                "1e-320",
                "0x10",
                "1e17",
                "9007199254740993",
                "0.30000000000000004",
                "1e21",
                "123456789.123456789",
            ],
            NOT_FLOATS,
        )
    }),
    ("weight", |source| {
        source.draw(
            &["1", "2", "0.5", "-1", "0", "3"],
            &["inf", "-inf", "1e300"],
            NOT_FLOATS,
        )
    }),
    ("bound", |source| {
        source.draw(
            &[
                "0", "1", "2", "3", "(1", "(3", "5", "10", "-inf", "+inf", "(0.1", "100", "-1",
                "inf",
            ],
            &["(inf", "(-inf", "1e300", "-0", "+1", "infinity"],
            &["", "(", "abc", "nan", "[1", "1 ", "((1"],
        )
    }),
    ("lex", |source| {
        source.draw(
            &[
                "-", "+", "[a", "(a", "[b", "(c", "[m:100", "(m:2", "[", "(", "[f", "[m:",
            ],
            &["[\u{0}", "(zzzz", "[10"],
            &["a", "", "++", "--", "0", "-inf"],
        )
    }),
    ("index", |source| match source.below(20) {
        0 => source.draw(
            &[MAX, MIN, "-2147483649", "4294967296"],
            &["0"],
            NOT_INTEGERS,
        ),
        1 => source.pick(&["100", "-100", "150", "199", "-199", "300"]),
        _ => source.between(-6, 8),
    }),
    // Redis 7.2 refuses the least integer, 7.0 does not.
    ("removals", |source| match source.below(20) {
        0 => source.draw(&[MAX, "0", "-100"], &["0"], NOT_INTEGERS),
        _ => source.between(-3, 3),
    }),
    ("count", |source| match source.below(20) {
        0 => source.draw(&[MAX, "0", "-1", MIN, "4294967296"], &["-5"], NOT_INTEGERS),
        1 => source.pick(&["100", "150", "1000"]),
        _ => source.between(0, 6),
    }),
    // Of what is drawn with repetition if it is negative.
    ("draws", |source| match source.below(20) {
        0 => source.draw(&[MAX, "0", MIN], &["0"], NOT_INTEGERS),
        _ => source.between(-12, 12),
    }),
    ("few", |source| match source.below(20) {
        0 => source.draw(&["0", "-1", "1000"], &["0"], NOT_INTEGERS),
        _ => source.between(1, 20),
    }),
    ("rank", |source| match source.below(20) {
        0 => source.draw(&["0", MAX, MIN], &["0"], NOT_INTEGERS),
        _ => source.pick(&["1", "2", "3", "-1", "-2", "-3"]),
    }),
    ("offset", |source| {
        source.draw(
            &["0", "1", "2", "5", "10", "30", "100", "300"],
            &["-1", "536870912", MAX, MIN],
            NOT_INTEGERS,
        )
    }),
    ("bit", |source| {
        source.draw(&["0", "1"], &["0", "1"], &["2", "-1", "", "abc", "01"])
    }),
    ("bitoffset", |source| {
        source.draw(
            &[
                "0", "1", "7", "8", "9", "31", "63", "64", "100", "500", "1000", "2500",
            ],
            &["-1", "4294967296", MAX],
            NOT_INTEGERS,
        )
    }),
    ("fieldtype", |source| {
        source.draw(
            &[
                "u1", "u4", "u8", "i8", "u16", "i16", "u32", "i32", "i5", "u63", "i64",
            ],
            &["i1", "u2", "i63"],
            &["u64", "i65", "u0", "i0", "x8", "u", "", "8"],
        )
    }),
    ("fieldoffset", |source| {
        source.draw(
            &[
                "0", "1", "3", "8", "16", "#0", "#1", "#2", "100", "#10", "77",
            ],
            &["1000", "#31"],
            &["-1", "#-1", "abc", "", "#", "4294967297", MAX],
        )
    }),
    // Redis takes the least integers for more than a narrower field holds.
    ("fieldvalue", |source| {
        source.draw(
            &[
                "0", "1", "-1", "5", "-7", "42", "-128", "127", "300", "-40000",
            ],
            &[
                MAX,
                "2147483648",
                "-2147483649",
                "4294967296",
                "-4611686018427387904",
            ],
            NOT_INTEGERS,
        )
    }),
    ("value", value),
    ("text", |source| {
        source.pick(&[
            "",
            "a",
            "ohmytext",
            "mynewtext",
            "hello world",
            "lorem ipsum dolor sit amet",
            "the quick brown fox",
            "aaaaaaaaaaaaaaaa",
            "abababababab",
            "xyzzy",
        ])
    }),
    ("field", member),
    ("member", member),
    ("element", |source| {
        if source.percent(50) {
            return member(source);
        }
        let text = value(source);
        text.into_iter().map(|byte| byte.max(1)).collect()
    }),
    ("pattern", |source| {
        source.pick(&[
            "*", "a*", "m:1*", "?", "[a-c]", "[^a]*", "*:1", "m:?0*", "\\*", "none", "*e*",
        ])
    }),
    ("keypattern", |source| {
        source.pick(&[
            "*", "list:*", "?et:*", "[sz]*", "*1", "*:[^1]", "none:1", "h*h:2", "\\*", "",
        ])
    }),
    ("ttl", |source| match source.below(40) {
        0 => source.draw(&["0", "-1", MAX, MIN], &["9223372036854775"], NOT_INTEGERS),
        _ => source.between(100_000, 10_000_000),
    }),
    ("ttlms", |source| match source.below(40) {
        0 => source.draw(&["0", "-1", MAX, MIN], &["9223372036854775"], NOT_INTEGERS),
        _ => source.between(100_000_000, 10_000_000_000),
    }),
    // The longest is refused by one and taken for the past by the other.
    ("restorems", |source| {
        if source.percent(5) {
            return source.draw(&["-1", "0"], &[MIN], NOT_INTEGERS);
        }
        source.between(100_000_000, 10_000_000_000)
    }),
    ("at", |source| match source.below(40) {
        0 => source.draw(&["0", "-1", MAX, MIN], &["9223372036854776"], NOT_INTEGERS),
        _ => source.between(4_102_444_800, 4_102_445_000),
    }),
    ("atms", |source| match source.below(40) {
        0 => source.draw(&["0", "-1", MIN], &["9223372036854774"], NOT_INTEGERS),
        _ => source.between(4_102_444_800_000, 4_102_444_800_200),
    }),
    ("past", |source| {
        source.pick(&["1", "1000", "1000000", "-5", "0"])
    }),
    ("db", |source| {
        source.draw(
            &["0", "0", "0", "0", "1", "2"],
            &["15", "3"],
            &["16", "-1", "abc", "", MAX],
        )
    }),
    // Just enough for an answer when there is nothing.
    ("timeout", |source| {
        source.draw(&["0.001"], &["0.0011"], &["-1", "abc", "", "nan", "-0.5"])
    }),
    ("unit", |source| {
        source.draw(&["m", "km", "ft", "mi", "KM"], &["M"], &["", "cm"])
    }),
    ("longitude", |source| {
        source.draw(
            &[
                "13.361389",
                "15.087269",
                "2.3522",
                "-74.006",
                "139.6917",
                "0",
                "-0.1276",
                "37.6173",
                "13.5",
            ],
            &["180", "-180", "-179.9999", "179.99"],
            &["181", "-180.1", "abc", "", "nan", "inf"],
        )
    }),
    ("latitude", |source| {
        source.draw(
            &[
                "38.115556",
                "37.502669",
                "48.8566",
                "40.7128",
                "35.6895",
                "0",
                "51.5072",
                "55.7558",
                "38",
            ],
            &["85.05112878", "-85.05112878", "85", "-84.99"],
            &["86", "-90", "abc", "", "nan"],
        )
    }),
    ("radius", |source| {
        source.draw(
            &["0", "1", "100", "200", "1000", "5000", "10000", "166.2742"],
            &["1000000", "1e9", "40000000"],
            &["-1", "abc", "", "nan"],
        )
    }),
    ("place", |source| {
        source.pick(&[
            "Palermo", "Catania", "Paris", "NYC", "Tokyo", "Null", "London", "Moscow", "", "p\u{0}",
        ])
    }),
    ("newid", |source| {
        if source.percent(6) {
            return source.pick(&[
                "0-1",
                "0-0",
                "1-1",
                "5",
                "500-*",
                "abc",
                "",
                "1-2-3",
                "-1",
                "18446744073709551616-1",
                "10-abc",
            ]);
        }
        source.next_entry += source.below(3) as u64;
        let time = source.next_entry;
        match source.below(4) {
            0 => format!("{time}-*"),
            1 => format!("{time}-{}", 1 + source.below(9)),
            _ => {
                source.next_entry += 1;
                format!("{}-1", time + 1)
            }
        }
        .into_bytes()
    }),
    ("id", |source| {
        if source.percent(12) {
            return source.draw(
                &["0", "0-0", "0-1", "1-1", "1000", "1001-1"],
                &[
                    "18446744073709551615-18446744073709551615",
                    "18446744073709551615",
                ],
                &["abc", "", "1-2-3", "-1", "1-", "18446744073709551616"],
            );
        }
        let back = source.below(40) as u64;
        let time = source.next_entry.saturating_sub(back);
        match source.below(3) {
            0 => time.to_string(),
            _ => format!("{time}-{}", 1 + source.below(2)),
        }
        .into_bytes()
    }),
    ("from", |source| match source.below(10) {
        0..=4 => b"-".to_vec(),
        5 => source.pick(&[
            "+",
            "(1000",
            "(0-0",
            "(1001-1",
            "(abc",
            "(",
            "(18446744073709551615-18446744073709551615",
        ]),
        _ => pool_id(source),
    }),
    ("to", |source| match source.below(10) {
        0..=4 => b"+".to_vec(),
        5 => source.pick(&["-", "(1000", "(0-0", "(1010-1", "(abc"]),
        _ => pool_id(source),
    }),
    ("maxlen", |source| match source.below(20) {
        0 => source.draw(&["0", MAX, "-1"], &["0"], NOT_INTEGERS),
        _ => source.between(1, 30),
    }),
    ("group", |source| match facts::group(source) {
        Some(group) => group,
        None => source.draw(facts::GROUPS, &["g1"], &["none", ""]),
    }),
    ("newgroup", |source| match facts::free_group(source) {
        Some(group) => group,
        None => source.draw(facts::GROUPS, &["g1"], &["none", ""]),
    }),
    ("consumer", |source| {
        source.pick(&["c1", "c1", "c2", "c3", "c\r\n4"])
    }),
    ("owner", |source| match facts::owner(source) {
        Some(owner) => owner,
        None => source.pick(&["c1", "c1", "c2", "c3", "c\r\n4"]),
    }),
    ("pendingid", |source| {
        facts::pending_id(source).unwrap_or_else(|| pool_id(source))
    }),
    // Everything is older than nothing, and nothing is older than centuries.
    ("idle", |source| {
        source.draw(&["0", "0", "0", "10000000000000"], &["-1"], &["abc", ""])
    }),
    ("delivered", |source| {
        source.draw(&["1000", "100000"], &["0"], &["abc", ""])
    }),
    ("channel", |source| {
        source.pick(&["ch1", "ch2", "news.a", "news.b", "ch\u{0}"])
    }),
    ("channelpattern", |source| {
        source.pick(&["ch*", "news.*", "*", "ch?", "[cn]*", "none"])
    }),
    ("body", |source| {
        let bodies = if source.percent(12) { FAILING } else { BODIES };
        source.pick(bodies)
    }),
    ("ontexts", |source| {
        lua::body(source.random.pick(lua::ON_TEXTS))
    }),
    ("onpatterns", |source| {
        lua::body(source.random.pick(lua::ON_PATTERNS))
    }),
    ("onnumbers", |source| {
        lua::body(source.random.pick(lua::ON_NUMBERS))
    }),
    ("luatext", |source| match source.below(20) {
        0 => vec![b'A', 0xff, b'b', 0x80],
        _ => source.pick(lua::TEXTS),
    }),
    ("luapattern", |source| source.pick(lua::PATTERNS)),
    ("luanumber", |source| source.pick(lua::NUMBERS)),
    ("sha", |source| {
        if let Some(sha) = facts::script(source) {
            return sha;
        }
        let body = source.random.pick(BODIES);
        if source.percent(10) {
            return source.pick(&["", "abc", "ffffffffffffffffffffffffffffffffffffffff"]);
        }
        scripts::sha1(body)
    }),
    ("library", library),
    ("newlibrary", |source| {
        facts::new_library(source).unwrap_or_else(|| library(source))
    }),
    ("function", |source| {
        facts::function(source).unwrap_or_else(|| function(source))
    }),
    ("reader", |source| {
        facts::reader(source).unwrap_or_else(|| function(source))
    }),
    ("libraryname", |source| match facts::library_name(source) {
        Some(name) => name,
        None => source.draw(&["one", "two"], &["three"], &["none", ""]),
    }),
    ("name", |source| {
        source.draw(&["a", "client-1"], &[""], &["a b", "a\nb"])
    }),
];

fn pool_id(source: &mut Source) -> Vec<u8> {
    match find("id") {
        Some(pool) => pool(source),
        None => unreachable!("the pool of IDs"),
    }
}

fn library(source: &mut Source) -> Vec<u8> {
    if source.percent(10) {
        return source.pick(BROKEN_LIBRARIES);
    }
    let at = source.below(LIBRARIES.len());
    LIBRARIES[at].body.into()
}

fn function(source: &mut Source) -> Vec<u8> {
    source.draw(&["get", "put", "list", "fail"], &["lowest"], &["none", ""])
}

pub(crate) fn find(name: &str) -> Option<Pool> {
    let found = POOLS.iter().find(|(known, _)| *known == name);
    found.map(|(_, pool)| *pool)
}

fn value(source: &mut Source) -> Vec<u8> {
    if source.is_bulk {
        return format!("v:{}", source.below(400)).into_bytes();
    }
    match source.below(20) {
        0..=5 => source.between(-20, 1000),
        6 => "0123456789abcdef".repeat(1 + source.below(20)).into_bytes(),
        7 => source.pick(&[MAX, MIN, "1.5", "inf", "nan", "-0", "1e5", "007"]),
        8 => source.pick(&[
            "", "a b", "\r\n", "x\u{0}y", "\u{e9}", "'", "\"", "%s", "$-1\r\n",
        ]),
        9 => vec![0xff, 0x00, 0xfe, source.below(256) as u8],
        _ => source.pick(&["a", "b", "hello", "foo", "bar", "x", "two words", "value"]),
    }
}

/// Without zero bytes: SORT ALPHA of Redis sees a text up to the first.
fn member(source: &mut Source) -> Vec<u8> {
    if source.is_bulk {
        return format!("m:{}", source.below(400)).into_bytes();
    }
    match source.below(20) {
        0..=1 => format!("m:{}", source.below(400)).into_bytes(),
        2..=4 => source.between(-5, 12),
        5 => source.pick(&["", "1.5", "a b", "x\u{1}", "\r\n", "inf", "1e3", MAX]),
        6 => vec![b'L'; 60 + source.below(10)],
        7 => vec![0xff, 0x80, 1 + source.below(4) as u8],
        _ => source.pick(&["a", "b", "c", "d", "e", "f", "g", "h"]),
    }
}
