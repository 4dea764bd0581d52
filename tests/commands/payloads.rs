//! Values of all kinds and sizes on their way between a real Redis and this server, in every encoding
//! that either writes, and in those that neither writes any more or yet.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use darter::rdb::sign;

use super::old_encodings::{Element, listpack, text, value, ziplist, zipmap};
use crate::support::client::{Client, Reply, encode, fields};
use crate::support::redis::Redis;
use crate::support::server::Server;

type Bytes = Vec<u8>;
type Command = Vec<Bytes>;

/// Commands are sent so many at once, and have so many elements.
const BATCH: usize = 1_000;
const FOOTER_BYTES: usize = 10;

/// What makes the `n`th element.
type Make = fn(usize) -> Bytes;

/// Elements, all of them different.
const FORMS: &[(&str, Make)] = &[
    ("integers", |n| (37 * n as i64 - 5).to_string().into_bytes()),
    ("wide", |n| {
        let n = n as i64;
        let edges = [i64::MIN + n, i64::MAX - n, (1 << 31) + n, (-1 << 31) - n];
        edges[n as usize % 4].to_string().into_bytes()
    }),
    ("words", |n| format!("word-{n}").into_bytes()),
    ("binary", |n| {
        [&[0, 0xff, b'\n'][..], &n.to_le_bytes()].concat()
    }),
    ("long", |n| {
        format!("{n}:{}", "x".repeat(90 + n % 60)).into_bytes()
    }),
];

/// A key and what makes its value.
struct Sample {
    key: String,
    commands: Vec<Command>,
}

fn words(line: &str) -> Command {
    line.split(' ')
        .map(|word| word.as_bytes().to_vec())
        .collect()
}

fn score(n: usize) -> &'static str {
    const SCORES: &[&str] = &[
        "0",
        "-0",
        "1",
        "-7",
        "0.1",
        "1e300",
        "-1e-300",
        "inf",
        "-inf",
        "5e-324",
        "4294967296",
        "9007199254740993",
    ];
    SCORES[n % SCORES.len()]
}

/// What adds the `n`th element to a value of this type.
fn arguments(kind: &str, n: usize, element: Bytes) -> Vec<Bytes> {
    match kind {
        "ZADD" => vec![score(n).into(), element],
        "HSET" => vec![element.clone(), [element, b"=".to_vec()].concat()],
        _ => vec![element],
    }
}

fn collection(kind: &str, form: usize, count: usize) -> Sample {
    let (name, element) = FORMS[form];
    let key = format!("{kind}-{name}-{count}");
    let all: Vec<usize> = (0..count).collect();
    let add = |part: &[usize]| {
        let elements = part.iter().flat_map(|n| arguments(kind, *n, element(*n)));
        [words(&format!("{kind} {key}")), elements.collect()].concat()
    };
    let commands = all.chunks(BATCH).map(add).collect();
    Sample { key, commands }
}

/// Entries whose fields change now and then, a few of which are deleted.
fn stream(form: usize, count: usize) -> Sample {
    let (name, element) = FORMS[form];
    let key = format!("XADD-{name}-{count}");
    let add = |n: usize| {
        let mut command = words(&format!("XADD {key} {}-{}", 5 + n / 3, n % 3));
        if n % 7 == 6 {
            command.extend([b"other".to_vec(), b"7".to_vec()]);
        }
        command.extend([b"field".to_vec(), element(n)]);
        command
    };
    let mut commands: Vec<Command> = (0..count).map(add).collect();
    if count > 3 {
        commands.push(words(&format!("XDEL {key} 5-1 6-0")));
        commands.push(words(&format!("XTRIM {key} MAXLEN {}", count - 3)));
        commands.push(words(&format!("XSETID {key} 999999-5")));
    }
    Sample { key, commands }
}

fn string(name: &str, bytes: Bytes) -> Sample {
    let key = format!("string-{name}");
    let set = vec![b"SET".to_vec(), key.clone().into_bytes(), bytes];
    Sample {
        key,
        commands: vec![set],
    }
}

fn strings() -> Vec<Sample> {
    let binary: Bytes = (0..300_000_u32).flat_map(u32::to_be_bytes).collect();
    let mut samples = vec![
        string("empty", Vec::new()),
        string("run", vec![b'x'; 1 << 20]),
        string("binary", binary),
        string("text", "to be or not to be ".repeat(10).into_bytes()),
    ];
    for length in [1, 12, 63, 64, 16_383, 16_384, 70_000] {
        samples.push(string(&length.to_string(), vec![b'y'; length]));
    }
    for number in [
        0,
        -1,
        127,
        128,
        32_768,
        i64::from(i32::MIN),
        1 << 31,
        i64::MIN,
        i64::MAX,
    ] {
        samples.push(string(
            &format!("number{number}"),
            number.to_string().into(),
        ));
    }
    samples
}

const COLLECTIONS: &[&str] = &["RPUSH", "SADD", "ZADD", "HSET"];

fn samples(counts: &[usize]) -> Vec<Sample> {
    let mut samples = Vec::new();
    for count in counts {
        for form in 0..FORMS.len() {
            let collections = COLLECTIONS
                .iter()
                .map(|kind| collection(kind, form, *count));
            samples.extend(collections);
            samples.push(stream(form, *count));
        }
    }
    samples
}

fn make(client: &mut Client, sample: &Sample) {
    for batch in sample.commands.chunks(BATCH) {
        let bytes: Bytes = batch.iter().flat_map(|command| encode(command)).collect();
        client.send_bytes(&bytes);
        for _ in batch {
            let reply = client.read();
            assert!(
                !matches!(reply, Reply::Error(_)),
                "{}: {reply:?}",
                sample.key
            );
        }
    }
}

fn dump(client: &mut Client, key: &str) -> Bytes {
    match client.call(&["DUMP", key]) {
        Reply::Bulk(payload) => payload,
        other => panic!("{key}: {other:?}"),
    }
}

#[track_caller]
fn restore(client: &mut Client, key: &str, payload: &[u8]) {
    let words = [&b"RESTORE"[..], key.as_bytes(), b"0", payload, b"REPLACE"];
    assert_eq!(client.call(&words).render(), "OK", "{key}");
}

/// What a key shows, with what has no order in order.
fn shown(client: &mut Client, key: &str) -> Vec<Reply> {
    let kind = client.call(&["TYPE", key]).render();
    let mut sorted = |line: [&str; 2], size: usize| {
        let elements = client.call(&line).elements();
        let mut groups: Vec<Vec<Reply>> = elements.chunks(size).map(<[Reply]>::to_vec).collect();
        groups.sort_by_cached_key(|group| match &group[0] {
            Reply::Bulk(element) => element.clone(),
            other => panic!("{key}: {other:?}"),
        });
        groups.concat()
    };
    match kind.as_str() {
        "string" => vec![client.call(&["GET", key])],
        "list" => client.call(&["LRANGE", key, "0", "-1"]).elements(),
        "set" => sorted(["SMEMBERS", key], 1),
        "hash" => sorted(["HGETALL", key], 2),
        "zset" => {
            let all = client.call(&["ZRANGE", key, "0", "-1", "WITHSCORES"]);
            let mut elements = all.elements();
            // Not all versions print them alike.
            for score in elements.iter_mut().skip(1).step_by(2) {
                let text = score.render().replace('\'', "");
                let bits = text.parse::<f64>().unwrap().to_bits();
                *score = Reply::Integer(bits as i64);
            }
            elements
        }
        "stream" => {
            let mut all = client.call(&["XRANGE", key, "-", "+"]).elements();
            let mut info = fields(client.call(&["XINFO", "STREAM", key]));
            for name in [
                "length",
                "last-generated-id",
                "max-deleted-entry-id",
                "entries-added",
                "recorded-first-entry-id",
            ] {
                all.push(info.remove(name).unwrap());
            }
            all
        }
        other => panic!("{key}: {other}"),
    }
}

/// A real Redis and this server.
struct Both {
    theirs: Client,
    ours: Client,
    _redis: Redis,
    _server: Server,
}

impl Both {
    fn start() -> Option<Both> {
        let redis = Redis::start()?;
        let server = Server::start();
        Some(Both {
            theirs: redis.client(),
            ours: Client::connect(server.address),
            _redis: redis,
            _server: server,
        })
    }

    /// Sends a value there and back, and says which kind its payload there is of.
    fn exchange(&mut self, sample: &Sample) -> Bytes {
        let key = &sample.key;
        make(&mut self.theirs, sample);
        let made = shown(&mut self.theirs, key);
        assert!(!made.is_empty(), "{key}");
        let payload = dump(&mut self.theirs, key);
        restore(&mut self.ours, key, &payload);
        assert!(
            shown(&mut self.ours, key) == made,
            "{key}: not the same here"
        );
        let back = dump(&mut self.ours, key);
        restore(&mut self.theirs, key, &back);
        assert!(
            shown(&mut self.theirs, key) == made,
            "{key}: not the same there"
        );
        // As it is written here, so it is read here.
        restore(&mut self.ours, key, &back);
        assert!(
            shown(&mut self.ours, key) == made,
            "{key}: not the same again"
        );
        payload
    }

    /// As `exchange`, for what takes long to be looked at: what is lost on the way is missing at its
    /// end.
    fn pass_through(&mut self, sample: &Sample) {
        let key = &sample.key;
        make(&mut self.theirs, sample);
        let made = shown(&mut self.theirs, key);
        let payload = dump(&mut self.theirs, key);
        restore(&mut self.ours, key, &payload);
        let back = dump(&mut self.ours, key);
        restore(&mut self.theirs, key, &back);
        assert!(shown(&mut self.theirs, key) == made, "{key}: not the same");
    }
}

/// How a Redis may be configured, so that each of its encodings appears.
const CONFIGURATIONS: &[&[(&str, &str)]] = &[
    &[],
    &[
        ("list-max-listpack-size", "2"),
        ("list-compress-depth", "1"),
        ("hash-max-listpack-entries", "0"),
        ("zset-max-listpack-entries", "0"),
        ("set-max-intset-entries", "0"),
        ("stream-node-max-entries", "1"),
        ("rdbcompression", "no"),
    ],
    &[
        ("list-max-listpack-size", "-5"),
        ("hash-max-listpack-entries", "5000"),
        ("hash-max-listpack-value", "5000"),
        ("zset-max-listpack-entries", "5000"),
        ("zset-max-listpack-value", "5000"),
        ("set-max-intset-entries", "5000"),
        ("stream-node-max-entries", "0"),
        ("stream-node-max-bytes", "0"),
    ],
];

#[test]
fn values_go_to_redis_and_back_in_every_encoding() {
    let mut kinds = BTreeSet::new();
    for configuration in CONFIGURATIONS {
        let Some(mut both) = Both::start() else {
            return;
        };
        for (name, value) in *configuration {
            let set = both.theirs.call(&["CONFIG", "SET", name, value]);
            assert_eq!(set.render(), "OK", "{name}");
        }
        for sample in strings().iter().chain(&samples(&[1, 4, 1_000])) {
            kinds.insert(both.exchange(sample)[0]);
        }
    }
    // String, set and hash in full, sorted set in binary, integer set, list packs, quick list, stream.
    assert_eq!(kinds, [0, 2, 4, 5, 11, 16, 17, 18, 19].into());
}

#[test]
fn large_values_go_to_redis_and_back() {
    let Some(mut both) = Both::start() else {
        return;
    };
    let form = |name| FORMS.iter().position(|(form, _)| *form == name).unwrap();
    let names = ["words", "integers", "words", "integers"];
    for (kind, name) in COLLECTIONS.iter().zip(names) {
        both.pass_through(&collection(kind, form(name), 100_000));
    }
    both.pass_through(&stream(form("words"), 100_000));
}

/// A value by an old or a later encoding, and the commands that make the same.
struct Foreign {
    name: &'static str,
    held: Bytes,
    sample: Sample,
}

fn foreign(name: &'static str, held: Bytes, commands: Vec<Command>) -> Foreign {
    let key = "same".to_owned();
    Foreign {
        name,
        held,
        sample: Sample { key, commands },
    }
}

/// Texts whose elements in a zip list have all heads.
fn texts() -> Vec<Bytes> {
    let mut texts: Vec<Bytes> = [
        0,
        12,
        13,
        -1,
        127,
        -128,
        128,
        32_767,
        -32_768,
        32_768,
        8_388_607,
        -8_388_608,
        8_388_608,
        2_147_483_647,
        -2_147_483_648,
        2_147_483_648,
        i64::MIN,
        i64::MAX,
    ]
    .iter()
    .map(|number: &i64| number.to_string().into_bytes())
    .collect();
    for length in [0, 1, 63, 64, 253, 254, 300, 16_383, 16_384, 20_000] {
        texts.push(vec![b'z'; length]);
    }
    texts
}

fn with_key(command: &str, elements: impl IntoIterator<Item = Bytes>) -> Command {
    let mut all = words(command);
    all.extend(elements);
    all
}

/// What Redis wrote before 7.0, of these elements; it reads all of it still.
fn old(texts: &[Bytes]) -> Vec<Foreign> {
    let pushed = vec![with_key("RPUSH same", texts.to_vec())];
    let (front, back) = texts.split_at(texts.len() / 2);
    let nodes: [&[u8]; 2] = [&ziplist(front), &ziplist(back)];
    let pairs: Vec<(Bytes, Bytes)> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| (format!("field{n}").into_bytes(), text.clone()))
        .collect();
    let flat: Vec<Bytes> = pairs
        .iter()
        .flat_map(|(field, value)| [field.clone(), value.clone()])
        .collect();
    let hset = vec![with_key("HSET same", flat.clone())];
    let scores = (0..24).map(|n| (format!("member{n}").into_bytes(), score(n)));
    // ZADD forgets the sign of a zero in a list pack, RESTORE does not.
    let scores = scores.filter(|(_, score)| *score != "-0");
    let mut scores: Vec<(Bytes, &str)> = scores.collect();
    // Redis relies on the order of a zip list.
    let number = |score: &str| score.parse::<f64>().unwrap();
    scores.sort_by(|(one, score), (other, next)| {
        let by_score = number(score).partial_cmp(&number(next)).unwrap();
        by_score.then(one.cmp(other))
    });
    let scored = scores
        .iter()
        .flat_map(|(member, score)| [member.clone(), score.as_bytes().to_vec()]);
    let scored: Vec<Bytes> = scored.collect();
    let zadd = scores
        .iter()
        .flat_map(|(member, score)| [score.as_bytes().to_vec(), member.clone()]);
    let zadd = vec![with_key("ZADD same", zadd)];
    let mut decimal = vec![3, scores.len() as u8];
    for (member, score) in &scores {
        decimal.extend(text(member));
        match *score {
            "inf" => decimal.push(254),
            "-inf" => decimal.push(255),
            score => decimal.extend(text(score.as_bytes())),
        }
    }
    let plain: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    let sadd = vec![with_key("SADD same", texts.to_vec())];
    let count = [texts.len() as u8];
    vec![
        foreign("list", value(1, &count, &plain), pushed.clone()),
        foreign(
            "list, zip list",
            value(10, &[], &[&ziplist(texts)]),
            pushed.clone(),
        ),
        foreign("list, zip lists", value(14, &[2], &nodes), pushed),
        foreign("set", value(2, &count, &plain), sadd),
        foreign("sorted set in decimal", decimal, zadd.clone()),
        foreign(
            "sorted set, zip list",
            value(12, &[], &[&ziplist(&scored)]),
            zadd,
        ),
        foreign(
            "hash, zip map",
            value(9, &[], &[&zipmap(&pairs)]),
            hset.clone(),
        ),
        foreign("hash, zip list", value(13, &[], &[&ziplist(&flat)]), hset),
        foreign(
            "stream before 7.0",
            old_stream(15, &[]),
            vec![words("XADD same 1-1 f v")],
        ),
        foreign(
            "stream of 7.0",
            old_stream(19, &[1, 1, 0, 0, 1]),
            vec![words("XADD same 1-1 f v")],
        ),
    ]
}

/// The entry 1-1 with field f and value v, and no group.
fn old_stream(kind: u8, head: &[u8]) -> Bytes {
    let key = [&1_u64.to_be_bytes()[..], &1_u64.to_be_bytes()].concat();
    let numbers = |numbers: [u8; 4]| numbers.map(Element::Number);
    let node = [
        &numbers([1, 0, 1, 0])[..3],
        &[Element::Text(b"f"), Element::Number(0)],
        &numbers([2, 0, 0, 4])[..3],
        &[Element::Text(b"v"), Element::Number(4)],
    ]
    .concat();
    let stream = value(kind, &[1], &[&key, &listpack(&node)]);
    [&stream[..], &[1, 1, 1], head, &[0]].concat()
}

/// A hash of which one field of two expires, as Redis 7.4 writes it field by field.
fn hash_with_deadlines() -> Bytes {
    let earliest_ms = 4_000_000_000_000_u64.to_le_bytes();
    let fields = [
        &[1][..],
        &text(b"a"),
        &text(b"1"),
        &[0],
        &text(b"b"),
        &text(b"2"),
    ];
    [&[24][..], &earliest_ms, &[2], &fields.concat()].concat()
}

/// The same as one list pack.
fn small_hash_with_deadlines() -> Bytes {
    let earliest_ms = 4_000_000_000_000_u64.to_le_bytes();
    let elements = [b"a", b"1", &b"4000000000000"[..], b"b", b"2"].map(Element::Text);
    let elements = [&elements[..], &[Element::Number(0)]].concat();
    value(25, &earliest_ms, &[&listpack(&elements)])
}

/// What Redis 7.2 or 7.4 writes, and 7.0 does not read.
fn later() -> Vec<Foreign> {
    let set = [
        Element::Text(b"a"),
        Element::Number(5),
        Element::Text(b"-7"),
    ];
    vec![
        foreign(
            "set, list pack",
            value(20, &[], &[&listpack(&set)]),
            vec![words("SADD same a 5 -7")],
        ),
        foreign(
            "stream of 7.2",
            old_stream(21, &[1, 1, 0, 0, 1]),
            vec![words("XADD same 1-1 f v")],
        ),
        foreign(
            "hash of 7.4",
            hash_with_deadlines(),
            vec![words("HSET same a 1 b 2")],
        ),
        foreign(
            "hash, list pack of 7.4",
            small_hash_with_deadlines(),
            vec![words("HSET same a 1 b 2")],
        ),
    ]
}

/// Whatever else the hash holds, its fields keep their times.
#[test]
fn deadlines_of_fields_are_read() {
    let server = Server::start();
    let mut ours = Client::connect(server.address);
    for mut payload in [hash_with_deadlines(), small_hash_with_deadlines()] {
        sign(&mut payload);
        restore(&mut ours, "key", &payload);
        let times = ours.run("HPEXPIRETIME key FIELDS 3 a b none");
        assert_eq!(times.render(), "[4000000000000 -1 -2]");
        let written = dump(&mut ours, "key");
        assert_eq!(written[written.len() - FOOTER_BYTES], 12, "the version");
        restore(&mut ours, "again", &written);
        let times = ours.run("HPEXPIRETIME again FIELDS 3 a b none");
        assert_eq!(times.render(), "[4000000000000 -1 -2]");
        assert_eq!(ours.run("HMGET again a b").render(), "['1' '2']");
    }
}

#[test]
fn old_and_later_encodings_are_read() {
    let server = Server::start();
    let mut ours = Client::connect(server.address);
    for foreign in old(&texts()).iter().chain(&later()) {
        ours.run("FLUSHALL");
        make(&mut ours, &foreign.sample);
        let mut payload = foreign.held.clone();
        sign(&mut payload);
        restore(&mut ours, "key", &payload);
        let (read, same) = (shown(&mut ours, "key"), shown(&mut ours, "same"));
        assert!(read == same, "{}:\n{read:?}\n{same:?}", foreign.name);
    }
}

/// So that the test's own writer writes what is read at all.
#[test]
fn redis_reads_old_encodings_too() {
    let Some(mut both) = Both::start() else {
        return;
    };
    for foreign in old(&texts()) {
        both.theirs.run("FLUSHALL");
        make(&mut both.theirs, &foreign.sample);
        let mut payload = foreign.held.clone();
        sign(&mut payload);
        restore(&mut both.theirs, "key", &payload);
        let (read, same) = (
            shown(&mut both.theirs, "key"),
            shown(&mut both.theirs, "same"),
        );
        assert!(read == same, "{}:\n{read:?}\n{same:?}", foreign.name);
    }
}

/// Run by hand when an encoding is added: what `tests/fuzz` begins with, one small payload of each
/// kind, compressed or not, and by each writer.
#[test]
#[ignore = "writes into the tree"]
fn write_the_corpus_of_restore() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/restore");
    fs::create_dir_all(&folder).unwrap();
    let mut written = BTreeSet::new();
    let mut write = |name: &str, held: &[u8]| {
        let name = name
            .to_lowercase()
            .replace(", ", "_")
            .replace([' ', '-'], "_");
        if written.insert(held.to_vec()) {
            fs::write(folder.join(name), held).unwrap();
        }
    };
    let short: Vec<Bytes> = texts().into_iter().filter(|text| text.len() < 70).collect();
    for foreign in old(&short).iter().chain(&later()) {
        write(foreign.name, &foreign.held);
    }
    let mut small: Vec<Sample> = COLLECTIONS
        .iter()
        .flat_map(|kind| [collection(kind, 0, 4), collection(kind, 4, 4)])
        .collect();
    small.extend([
        stream(0, 8),
        stream(4, 8),
        string("text", b"to be or not ".repeat(9)),
    ]);
    small.extend([127, 300, 1 << 20].map(|number: i64| {
        let name = number.to_string();
        string(&name, name.clone().into_bytes())
    }));
    for (number, configuration) in CONFIGURATIONS.iter().enumerate() {
        let Some(mut both) = Both::start() else {
            return;
        };
        for (name, value) in *configuration {
            both.theirs.call(&["CONFIG", "SET", name, value]);
        }
        for sample in &small {
            let payload = both.exchange(sample);
            let own = dump(&mut both.ours, &sample.key);
            for (writer, payload) in [(number.to_string(), payload), ("own".into(), own)] {
                let held = &payload[..payload.len() - FOOTER_BYTES];
                write(&format!("{} {writer}", sample.key), held);
            }
        }
    }
}
