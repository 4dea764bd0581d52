//! How commands are written: one line of text for each form of one.
//!
//! | in a line | becomes |
//! |---|---|
//! | `GET`, `>`, `'nosort'` | the word itself |
//! | `int`, `member` … | a value of that pool (`pools.rs`) |
//! | `key(list)`, `key(set zset)` | mostly a key that holds this; now and then one that does not |
//! | `key(grouped)`, `key(ungrouped)` | a stream with the group that `group` is, or without `newgroup` |
//! | `opt[A x\|B]` | nothing, or one of these |
//! | `one[A\|B]` | one of these |
//! | `mix[A x\|B]` | some of these in any order |
//! | `many(x y)` | one or more times; sometimes 200 |
//! | `some(x)` | one to three times |
//! | `counted(x)` | a number and so many |
//! | `each(x)` | as many as the last `counted` |

use crate::facts;
use crate::pools::{self, Pool, Source};
use crate::support::random::Random;
use crate::wire::Words;

/// How a form may be sent, and how its replies can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    /// In all ways; the same replies.
    Plain,
    /// The same replies, but not through scripts.
    NotInScripts,
    /// It waits where it may; not by itself unless it has a short timeout, and never as a mutant.
    Blocking,
    /// Replies and the key differ by chance: only the shapes are compared, and what Redis has then
    /// is copied.
    Random,
    /// Walked to the end, each element counted once.
    Scan,
    /// By itself alone, and never as a mutant.
    Alone,
    /// By the connection that listens.
    Subscriber,
    /// Payloads are made by one server and read by both.
    Restore,
}

/// A form of a command, so often in proportion to the others of its family.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    pub(crate) weight: usize,
    pub(crate) text: &'static str,
    pub(crate) nature: Nature,
    /// Whether it makes what others of its family refer to.
    pub(crate) is_founding: bool,
}

pub(crate) const fn form(weight: usize, text: &'static str) -> Form {
    Form {
        weight,
        text,
        nature: Nature::Plain,
        is_founding: false,
    }
}

impl Form {
    pub(crate) const fn founding(self) -> Form {
        Form {
            is_founding: true,
            ..self
        }
    }

    pub(crate) const fn nature(self, nature: Nature) -> Form {
        Form { nature, ..self }
    }
}

enum Item {
    Word(String),
    Pool(Pool),
    Key(Vec<String>),
    Optional(Vec<Sequence>),
    OneOf(Vec<Sequence>),
    Mix(Vec<Sequence>),
    Many(Sequence),
    Some(Sequence),
    Counted(Sequence),
    Each(Sequence),
}

type Sequence = Vec<Item>;

pub(crate) struct Parsed {
    pub(crate) form: Form,
    items: Sequence,
}

/// A command that was made of a form.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) words: Words,
    /// Where keys stand.
    pub(crate) keys: Vec<usize>,
    pub(crate) nature: Nature,
    pub(crate) family: usize,
    /// Whether something was done to it that no form allows.
    pub(crate) is_mutant: bool,
}

struct Parser<'a> {
    rest: &'a str,
    line: &'a str,
}

impl Parser<'_> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) {
        assert!(
            self.take(wanted),
            "{wanted} at {} in {}",
            self.rest,
            self.line
        );
    }

    fn word(&mut self) -> String {
        self.skip_blanks();
        let is_end = |letter: char| " ()[]|".contains(letter);
        let end = self.rest.find(is_end).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        assert!(!word.is_empty(), "a word at {} in {}", self.rest, self.line);
        self.rest = rest;
        word.to_owned()
    }

    fn sequence(&mut self) -> Sequence {
        let mut items = Vec::new();
        loop {
            self.skip_blanks();
            if self.rest.is_empty() || self.rest.starts_with([')', ']', '|']) {
                return items;
            }
            items.push(self.item());
        }
    }

    fn alternatives(&mut self) -> Vec<Sequence> {
        self.expect('[');
        let mut all = vec![self.sequence()];
        while self.take('|') {
            all.push(self.sequence());
        }
        self.expect(']');
        all
    }

    fn enclosed(&mut self) -> Sequence {
        self.expect('(');
        let sequence = self.sequence();
        self.expect(')');
        sequence
    }

    fn key(&mut self) -> Item {
        self.expect('(');
        let mut types = Vec::new();
        while !self.take(')') {
            let name = self.word();
            let is_known = KEYS.iter().any(|(known, _)| *known == name)
                || REFERRING.iter().any(|(known, ..)| *known == name);
            assert!(is_known || name == "any", "{}", self.line);
            types.push(name);
        }
        Item::Key(types)
    }

    fn item(&mut self) -> Item {
        let word = self.word();
        if let Some(quoted) = word.strip_prefix('\'') {
            return Item::Word(quoted.trim_end_matches('\'').to_owned());
        }
        match word.as_str() {
            "key" => self.key(),
            "opt" => Item::Optional(self.alternatives()),
            "one" => Item::OneOf(self.alternatives()),
            "mix" => Item::Mix(self.alternatives()),
            "many" => Item::Many(self.enclosed()),
            "some" => Item::Some(self.enclosed()),
            "counted" => Item::Counted(self.enclosed()),
            "each" => Item::Each(self.enclosed()),
            name => match pools::find(name) {
                Some(pool) => Item::Pool(pool),
                None => {
                    let is_word = !name.contains(|letter: char| letter.is_ascii_lowercase());
                    assert!(is_word, "no pool {name} in {}", self.line);
                    Item::Word(word)
                }
            },
        }
    }
}

pub(crate) fn parse(form: Form) -> Parsed {
    let mut parser = Parser {
        rest: form.text,
        line: form.text,
    };
    let items = parser.sequence();
    assert!(parser.rest.is_empty(), "{} in {}", parser.rest, form.text);
    Parsed { form, items }
}

/// The keys of each kind. What takes `foreign` ones may also meet another kind's.
const KEYS: &[(&str, &[&str])] = &[
    ("str", &["str:1", "str:2", "str:3", "str:4", "str\u{1}5"]),
    ("num", &["num:1", "num:2", "num:3"]),
    ("weight", &["weight:1", "weight:2", "weight:3"]),
    ("text", &["text:1", "text:2", "text:3"]),
    ("bits", &["bits:1", "bits:2", "bits:3", "bits:4"]),
    ("hll", &["hll:1", "hll:2", "hll:3"]),
    (
        "list",
        &["list:1", "list:2", "list:3", "list:4", "list\u{1}5"],
    ),
    ("set", &["set:1", "set:2", "set:3", "set:4", "set\r\n5"]),
    ("hash", &["hash:1", "hash:2", "hash:3", "hash:4", ""]),
    ("zset", &["zset:1", "zset:2", "zset:3", "zset:4", "zset 5"]),
    ("lex", &["lex:1", "lex:2"]),
    ("geo", &["geo:1", "geo:2", "geo:3"]),
    ("stream", &["stream:1", "stream:2", "stream:3"]),
    ("none", &["none:1", "none:2", "none:3"]),
];
/// `key(any)`: not those whose content must stay of one form.
const ANY: &[&str] = &[
    "str", "num", "bits", "list", "set", "hash", "zset", "stream", "geo", "none",
];
/// Kinds that others meet by mistake.
const FOREIGN: &[&str] = &["str", "list", "set", "hash", "zset", "stream", "none"];
/// What is slow, or without an order, on texts and sets of any content; each meets the other by
/// mistake.
const PURE: &[&str] = &["text", "lex"];
/// Kinds that meet no other, since what is made of them would be found everywhere, or because what
/// reads them wants texts without a zero byte.
const ALONE: &[&str] = &["hll", "weight"];
/// What keys begin with whose scores must all be the same.
const LEX: &[u8] = b"lex:";

/// Kinds of keys that are asked for, and what stands for one that is not found.
const REFERRING: &[(&str, Found, &str)] = &[
    ("grouped", facts::stream, "stream"),
    ("ungrouped", facts::free_stream, "stream"),
];

type Found = fn(&mut Source) -> Option<Vec<u8>>;

fn key(source: &mut Source, types: &[String]) -> Vec<u8> {
    let mut kind = types[source.below(types.len())].as_str();
    if let Some((_, find, other)) = REFERRING.iter().find(|(known, ..)| *known == kind) {
        match find(source) {
            Some(key) => return key,
            None => kind = other,
        }
    }
    if kind == "any" {
        kind = source.random.pick(ANY);
    } else if !ALONE.contains(&kind) && source.percent(5) {
        let foreign = if PURE.contains(&kind) { PURE } else { FOREIGN };
        kind = source.random.pick(foreign);
    }
    let names = KEYS
        .iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, names)| *names);
    source
        .random
        .pick(names.unwrap_or_default())
        .as_bytes()
        .to_vec()
}

struct Writer<'a> {
    source: &'a mut Source,
    words: Words,
    keys: Vec<usize>,
    counted: usize,
    /// Whether a number of keys is wrong, so that others may be taken for keys.
    is_miscounted: bool,
}

impl Writer<'_> {
    fn write_one_of(&mut self, alternatives: &[Sequence]) {
        let choice = self.source.below(alternatives.len());
        self.write(&alternatives[choice]);
    }

    fn write_mix(&mut self, parts: &[Sequence]) {
        let mut order: Vec<usize> = (0..parts.len()).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, self.source.below(at + 1));
        }
        for part in order {
            if self.source.percent(30) {
                self.write(&parts[part]);
            }
        }
    }

    fn write_many(&mut self, sequence: &Sequence) {
        let times = match self.source.below(100) {
            0..=1 => 200,
            2..=45 => 1,
            46..=70 => 2,
            _ => 3 + self.source.below(3),
        };
        self.source.is_bulk = times == 200;
        self.repeat(sequence, times);
        self.source.is_bulk = false;
    }

    fn repeat(&mut self, sequence: &Sequence, times: usize) {
        for _ in 0..times {
            self.write(sequence);
        }
    }

    fn write_counted(&mut self, sequence: &Sequence) {
        let times = 1 + self.source.below(3);
        let told = match self.source.below(60) {
            0 => self
                .source
                .random
                .pick(&["0", "-1", "abc", "9223372036854775807", ""])
                .to_owned(),
            1 => (times + 1).to_string(),
            _ => times.to_string(),
        };
        self.is_miscounted |= told != times.to_string();
        self.counted = times;
        self.words.push(told.into_bytes());
        self.repeat(sequence, times);
    }

    fn write(&mut self, sequence: &Sequence) {
        for item in sequence {
            match item {
                Item::Word(word) => self.words.push(word.as_bytes().to_vec()),
                Item::Pool(pool) => {
                    let word = pool(self.source);
                    self.words.push(word);
                }
                Item::Key(types) => {
                    self.keys.push(self.words.len());
                    let word = key(self.source, types);
                    self.words.push(word);
                }
                Item::Optional(alternatives) => {
                    if self.source.percent(35) {
                        self.write_one_of(alternatives);
                    }
                }
                Item::OneOf(alternatives) => self.write_one_of(alternatives),
                Item::Mix(parts) => self.write_mix(parts),
                Item::Many(sequence) => self.write_many(sequence),
                Item::Some(sequence) => {
                    let times = 1 + self.source.below(3);
                    self.repeat(sequence, times);
                }
                Item::Counted(sequence) => self.write_counted(sequence),
                Item::Each(sequence) => self.repeat(sequence, self.counted),
            }
        }
    }
}

/// What stands in place of an argument, or behind the last. None is a short time to live.
const MISPLACED: &[&str] = &[
    "",
    "abc",
    "-1",
    "0",
    "3.5",
    "9223372036854775807",
    "-9223372036854775808",
    "COUNT",
];

fn mutate(source: &mut Source, words: &mut Words) {
    match source.below(4) {
        0 if words.len() > 1 => {
            words.pop();
        }
        1 => words.push(source.random.pick(MISPLACED).into()),
        2 => words.extend(words.last().cloned()),
        _ => {
            let at = source.below(words.len());
            if at > 0 {
                words[at] = source.random.pick(MISPLACED).into();
            }
        }
    }
}

/// Names are read in any case.
fn change_case(random: &mut Random, name: &mut [u8]) {
    for letter in name {
        if random.below(2) == 0 {
            letter.make_ascii_lowercase();
        }
    }
}

impl Parsed {
    /// A command of this form, as it should be.
    pub(crate) fn write(&self, source: &mut Source, family: usize) -> Command {
        let mut writer = Writer {
            source,
            words: Vec::new(),
            keys: Vec::new(),
            counted: 0,
            is_miscounted: false,
        };
        writer.write(&self.items);
        Command {
            words: writer.words,
            keys: writer.keys,
            nature: self.form.nature,
            family,
            is_mutant: writer.is_miscounted,
        }
    }

    /// As `write`, now and then with a mistake.
    pub(crate) fn generate(&self, source: &mut Source, family: usize) -> Command {
        let mut command = self.write(source, family);
        let is_safe = matches!(self.form.nature, Nature::Plain | Nature::NotInScripts);
        // Redis 7.2 knows an option of these that makes another error of one argument too many.
        // Consumers are made beforehand, which needs the arguments in their places. No pattern
        // matches the empty channel in Redis.
        let name = &command.words[0];
        let is_kept = [&b"RANK"[..], b"CLAIM", b"PUBLISH"]
            .iter()
            .any(|end| name.ends_with(end));
        let is_lex = command
            .keys
            .iter()
            .any(|at| command.words[*at].starts_with(LEX));
        if is_safe && !is_kept && !is_lex && source.percent(4) {
            mutate(source, &mut command.words);
            command.keys.retain(|at| *at < command.words.len());
            command.is_mutant = true;
        }
        if source.percent(5) {
            change_case(&mut source.random, &mut command.words[0]);
        }
        command
    }

    /// The name of the command, with its subcommand behind a bar if it is one's.
    pub(crate) fn names(&self) -> Vec<String> {
        let word = |item: &Item| match item {
            Item::Word(word) => vec![word.clone()],
            Item::OneOf(alternatives) => {
                let words = alternatives.iter().map(|sequence| match sequence.first() {
                    Some(Item::Word(word)) => word.clone(),
                    _ => String::new(),
                });
                words.collect()
            }
            _ => Vec::new(),
        };
        let first = self.items.first().map(word).unwrap_or_default();
        let second = self.items.get(1).map(word).unwrap_or_default();
        let with_second = first
            .iter()
            .flat_map(|name| second.iter().map(move |sub| format!("{name}|{sub}")));
        let all: Vec<String> = first.iter().cloned().chain(with_second).collect();
        all.into_iter()
            .map(|name| name.to_ascii_lowercase())
            .collect()
    }
}
