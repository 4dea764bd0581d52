//! Values to payloads and back, and payloads that nobody would write.

mod bounds;
mod field_deadlines;
mod streams;

use std::collections::{BTreeMap, BTreeSet};

use darter_storage::{
    HashValue, ListValue, SetValue, SortedSetValue, StreamId, StreamValue, StringValue, Value,
    ValueRef,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::listpack::Builder;
use super::write::write_text;
use super::*;

type Bytes = Vec<u8>;
type Fields = Vec<(Bytes, Bytes)>;

/// What a value shows.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    String(Bytes),
    List(Vec<Bytes>),
    Set(BTreeSet<Bytes>),
    /// With the bits of the scores.
    SortedSet(BTreeMap<Bytes, u64>),
    Hash(BTreeMap<Bytes, Bytes>),
    Stream {
        entries: BTreeMap<StreamId, Fields>,
        last_id: StreamId,
        max_deleted_id: StreamId,
        entries_added: u64,
    },
}

fn id(milliseconds: u64, sequence: u64) -> StreamId {
    StreamId {
        milliseconds,
        sequence,
    }
}

fn content_of(value: ValueRef<'_>) -> Content {
    let pair = |(one, other): (&[u8], &[u8])| (one.to_vec(), other.to_vec());
    match value {
        ValueRef::String(string) => Content::String(string.to_cow().into_owned()),
        ValueRef::List(list) => Content::List(list.iter_from(0).map(<[u8]>::to_vec).collect()),
        ValueRef::Set(set) => Content::Set(set.iter().map(<[u8]>::to_vec).collect()),
        ValueRef::SortedSet(set) => {
            let elements = set.iter_from(0);
            let elements = elements.map(|(member, score)| (member.to_vec(), score.to_bits()));
            Content::SortedSet(elements.collect())
        }
        ValueRef::Hash(hash) => Content::Hash(hash.iter().map(pair).collect()),
        ValueRef::Stream(stream) => Content::Stream {
            entries: stream
                .iter_from(StreamId::default())
                .map(|(id, entry)| (id, entry.fields().map(pair).collect()))
                .collect(),
            last_id: stream.last_id(),
            max_deleted_id: stream.max_deleted_id(),
            entries_added: stream.entries_added(),
        },
    }
}

fn stream_of(entries: &BTreeMap<StreamId, Fields>) -> StreamValue {
    let mut stream = StreamValue::new();
    for (id, fields) in entries {
        let fields: Vec<(&[u8], &[u8])> = fields
            .iter()
            .map(|(name, value)| (&name[..], &value[..]))
            .collect();
        assert!(stream.append(*id, &fields));
    }
    stream
}

fn value_of(content: &Content) -> Value {
    match content {
        Content::String(text) => Value::String(StringValue::new(text)),
        Content::List(elements) => {
            let mut list = ListValue::new();
            elements.iter().for_each(|element| list.push_back(element));
            Value::List(list)
        }
        Content::Set(members) => {
            let mut set = SetValue::new();
            members
                .iter()
                .for_each(|member| assert!(set.insert(member)));
            Value::Set(set)
        }
        Content::SortedSet(members) => {
            let mut set = SortedSetValue::new();
            for (member, score) in members {
                set.insert(member, f64::from_bits(*score));
            }
            Value::SortedSet(set)
        }
        Content::Hash(fields) => {
            let mut hash = HashValue::new();
            for (field, value) in fields {
                hash.insert(field, value);
            }
            Value::Hash(hash)
        }
        Content::Stream {
            entries,
            last_id,
            max_deleted_id,
            entries_added,
        } => {
            let mut stream = stream_of(entries);
            assert!(stream.set_last_id(*last_id, Some(*entries_added), Some(*max_deleted_id)));
            Value::Stream(stream)
        }
    }
}

fn limits() -> Limits<'static> {
    Limits {
        unpacked_bytes_max: 1 << 20,
        has_room: &|_| true,
    }
}

/// What is read of a payload that holds this.
fn read(held: &[u8]) -> Result<Content, Error> {
    let mut payload = held.to_vec();
    sign(&mut payload);
    load(&payload, limits()).map(|value| content_of(value.as_ref()))
}

fn text() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..8),
        2 => any::<i64>().prop_map(|integer| integer.to_string().into_bytes()),
        2 => (-200_i64..70_000).prop_map(|integer| integer.to_string().into_bytes()),
        2 => vec(any::<u8>(), 0..300),
        1 => (any::<u8>(), 4_000_usize..70_000).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

fn stream_content() -> impl Strategy<Value = Content> {
    let ids = (0..4_u64, any::<u64>()).prop_filter("no entry has it", |id| *id != (0, 0));
    let names = prop_oneof![3 => Just(b"field".to_vec()), 1 => text()];
    let fields = vec((names, text()), 1..4);
    let head = (0..3_u64, any::<u64>(), 0..9_u64);
    (btree_map(ids, fields, 0..150), head).prop_map(|(entries, (ahead, sequence, gone))| {
        let entries: BTreeMap<_, _> = entries
            .into_iter()
            .map(|((milliseconds, sequence), fields)| (id(milliseconds, sequence), fields))
            .collect();
        let last = entries.keys().next_back().copied().unwrap_or_default();
        let last_id = if ahead == 0 {
            last
        } else {
            id(last.milliseconds + ahead, sequence)
        };
        Content::Stream {
            last_id,
            max_deleted_id: if gone == 0 { id(0, 0) } else { last },
            entries_added: entries.len() as u64 + gone,
            entries,
        }
    })
}

fn contents() -> impl Strategy<Value = Content> {
    let score = any::<f64>().prop_filter("a score", |score| !score.is_nan());
    let score = score.prop_map(f64::to_bits);
    prop_oneof![
        text().prop_map(Content::String),
        vec(text(), 1..200).prop_map(Content::List),
        btree_set(text(), 1..200).prop_map(Content::Set),
        btree_set(
            (0..1_000_i64).prop_map(|n| n.to_string().into_bytes()),
            1..600
        )
        .prop_map(Content::Set),
        btree_map(text(), score, 1..200).prop_map(Content::SortedSet),
        btree_map(text(), text(), 1..200).prop_map(Content::Hash),
        stream_content(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_value_comes_back_as_it_was(content in contents()) {
        let payload = save(value_of(&content).as_ref()).expect("a payload");
        let value = load(&payload, limits()).expect("a value");
        prop_assert_eq!(content_of(value.as_ref()), content);
        prop_assert_eq!(save(value.as_ref()), Ok(payload));
    }

    #[test]
    fn a_payload_that_was_changed_is_refused_or_another_value(
        content in contents(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut payload = save(value_of(&content).as_ref()).expect("a payload");
        prop_assert!(load(&payload[..cut.index(payload.len())], limits()).is_err());
        payload.truncate(payload.len() - 10);
        for (at, byte) in changes {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        for held in [&payload[..], &payload[..cut.index(payload.len())]] {
            if let Ok(other) = read(held) {
                let again = save(value_of(&other).as_ref()).expect("a payload");
                prop_assert_eq!(read(&again[..again.len() - 10]), Ok(other));
            }
        }
    }
}

#[test]
fn the_checksum_is_redis_s() {
    assert_eq!(CHECKSUM.checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    let ten = save(Value::String(StringValue::new(b"10")).as_ref());
    let payload = b"\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb";
    assert_eq!(ten.as_deref(), Ok(&payload[..]));
}

#[test]
fn a_payload_that_was_changed_cut_or_is_newer_is_refused() {
    let mut intact = b"\x00\x01a".to_vec();
    sign(&mut intact);
    assert_eq!(verify(&intact), Ok(&b"\x00\x01a"[..]));
    for at in 0..intact.len() {
        let mut changed = intact.clone();
        changed[at] ^= 1;
        assert_eq!(verify(&changed), Err(Error::Footer));
        assert_eq!(verify(&intact[..at]), Err(Error::Footer));
    }
    for (version, is_read) in [(1, true), (11, true), (VERSION_MAX, true), (13, false)] {
        let mut payload = b"\x00\x01a".to_vec();
        payload.extend_from_slice(&version.to_le_bytes());
        let checksum = CHECKSUM.checksum(&payload);
        payload.extend_from_slice(&checksum.to_le_bytes());
        assert_eq!(load(&payload, limits()).is_ok(), is_read, "{version}");
    }
}

/// A list pack of these texts.
fn packed(texts: &[&[u8]]) -> Bytes {
    let mut builder = Builder::new();
    texts.iter().for_each(|text| builder.text(text));
    builder.finish().expect("not too long")
}

/// A payload's content: its kind, numbers, and then texts.
fn held(kind: u8, numbers: &[u8], texts: &[&[u8]]) -> Bytes {
    let mut held = vec![kind];
    held.extend_from_slice(numbers);
    texts.iter().for_each(|text| write_text(&mut held, text));
    held
}

fn strings(texts: &[&[u8]]) -> Vec<Bytes> {
    texts.iter().map(|text| text.to_vec()).collect()
}

#[test]
fn all_encodings_are_read() {
    let long = vec![b'x'; 100];
    let list = Content::List(strings(&[b"a", b"-7", &long]));
    let pack = packed(&[b"a", b"-7", &long]);
    assert_eq!(
        read(&held(kind::LIST, &[3], &[b"a", b"-7", &long])),
        Ok(list.clone())
    );
    let quick = [
        &[kind::LIST_QUICKLIST_2, 2, 2][..],
        &[0x40, pack.len() as u8],
        &pack,
    ]
    .concat();
    let quick = [&quick[..], &[1, 0xc0, 12]].concat();
    let longer = Content::List(strings(&[b"a", b"-7", &long, b"12"]));
    assert_eq!(read(&quick), Ok(longer));
    // An empty node between is no harm.
    let empty = packed(&[]);
    let nodes = held(kind::LIST_QUICKLIST_2, &[2, 2, 7], &[]);
    let nodes = [&nodes[..], &empty, &[2, 0x40, pack.len() as u8], &pack].concat();
    assert_eq!(read(&nodes), Ok(list));

    let set = Content::Set(strings(&[b"a", b"5"]).into_iter().collect());
    assert_eq!(read(&held(kind::SET, &[2], &[b"a", b"5"])), Ok(set.clone()));
    assert_eq!(
        read(&held(kind::SET_LISTPACK, &[], &[&packed(&[b"a", b"5"])])),
        Ok(set)
    );
    let integers: [u8; 12] = [2, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 7, 0];
    let set = Content::Set(strings(&[b"-1", b"7"]).into_iter().collect());
    assert_eq!(read(&held(kind::SET_INTSET, &[], &[&integers])), Ok(set));

    let fields = [
        (b"f".to_vec(), b"1".to_vec()),
        (b"g".to_vec(), long.clone()),
    ];
    let hash = Content::Hash(fields.into_iter().collect());
    let texts: [&[u8]; 4] = [b"f", b"1", b"g", &long];
    assert_eq!(read(&held(kind::HASH, &[2], &texts)), Ok(hash.clone()));
    assert_eq!(
        read(&held(kind::HASH_LISTPACK, &[], &[&packed(&texts)])),
        Ok(hash)
    );
    let zipmap = [&[1, 1, b'f', 1, 0, b'1', 0xff][..]];
    let hash = Content::Hash([(b"f".to_vec(), b"1".to_vec())].into());
    assert_eq!(read(&held(kind::HASH_ZIPMAP, &[], &zipmap)), Ok(hash));
    // Compressed: three bytes as they are, then nine that repeat them.
    let compressed = [kind::STRING, 0xc3, 7, 12, 2, b'a', b'b', b'c', 0xe0, 0, 2];
    let string = Content::String(b"abcabcabcabc".to_vec());
    assert_eq!(read(&compressed), Ok(string));
}

#[test]
fn scores_are_read_in_all_forms() {
    let wanted = |scores: &[(&[u8], f64)]| {
        let scores = scores
            .iter()
            .map(|(member, score)| (member.to_vec(), score.to_bits()));
        Ok(Content::SortedSet(scores.collect()))
    };
    let infinite: [(&[u8], f64); 3] = [
        (b"a", f64::INFINITY),
        (b"b", f64::NEG_INFINITY),
        (b"c", -0.5),
    ];
    let decimal = [
        kind::SORTED_SET,
        3,
        1,
        b'a',
        254,
        1,
        b'b',
        255,
        1,
        b'c',
        4,
        b'-',
        b'0',
        b'.',
        b'5',
    ];
    assert_eq!(read(&decimal), wanted(&infinite));
    let pack = packed(&[b"b", b"-inf", b"c", b"-0.5", b"a", b"inf"]);
    assert_eq!(
        read(&held(kind::SORTED_SET_LISTPACK, &[], &[&pack])),
        wanted(&infinite)
    );
    let pack = packed(&[b"a", b"1e+300", b"b", b"-0", b"c", b"9007199254740993"]);
    let others: [(&[u8], f64); 3] = [(b"a", 1e300), (b"b", -0.0), (b"c", 9_007_199_254_740_992.0)];
    assert_eq!(
        read(&held(kind::SORTED_SET_LISTPACK, &[], &[&pack])),
        wanted(&others)
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let score = 1_f64.to_le_bytes();
    let nan = f64::NAN.to_le_bytes();
    let one_of_a_pair = packed(&[b"f", b"1", b"g"]);
    let twice = packed(&[b"a", b"1", b"a", b"2"]);
    let no_score = packed(&[b"a", b"nan"]);
    let empty = packed(&[]);
    let zipmap: &[u8] = &[2, 1, b'f', 1, 0, b'1', 1, b'f', 1, 0, b'2', 0xff];
    for held in [
        Vec::new(),
        vec![kind::STRING],
        b"\x00\x01a\x00".to_vec(),
        b"\x00\x80\xff\xff\xff\xffa".to_vec(),
        b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xffa".to_vec(),
        b"\x00\xc4\x01".to_vec(),
        b"\x00\x82\x01a".to_vec(),
        held(kind::LIST, &[0], &[]),
        held(kind::LIST, &[2], &[b"a"]),
        held(
            kind::LIST,
            &[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[b"a"],
        ),
        held(kind::LIST_QUICKLIST_2, &[0], &[]),
        held(kind::LIST_QUICKLIST_2, &[1, 2], &[&empty]),
        held(kind::LIST_QUICKLIST_2, &[1, 3], &[&twice]),
        held(kind::SET, &[0], &[]),
        held(kind::SET, &[2], &[b"a", b"a"]),
        held(kind::SET, &[2], &[b"5", b"5"]),
        held(kind::SET_LISTPACK, &[], &[&twice]),
        held(kind::SET_LISTPACK, &[], &[&empty]),
        held(kind::SET_INTSET, &[], &[&[2, 0, 0, 0, 0, 0, 0, 0]]),
        held(kind::HASH, &[0], &[]),
        held(kind::HASH, &[2], &[b"a", b"1", b"a", b"2"]),
        held(kind::HASH_LISTPACK, &[], &[&twice]),
        held(kind::HASH_LISTPACK, &[], &[&one_of_a_pair]),
        held(kind::HASH_LISTPACK, &[], &[&empty]),
        held(kind::HASH_ZIPMAP, &[], &[zipmap]),
        held(kind::SORTED_SET_LISTPACK, &[], &[&twice]),
        held(kind::SORTED_SET_LISTPACK, &[], &[&no_score]),
        held(kind::SORTED_SET_LISTPACK, &[], &[&empty]),
        held(kind::SORTED_SET, &[1, 1, b'a', 253], &[]),
        held(kind::SORTED_SET, &[1, 1, b'a', 3, b'n', b'a', b'n'], &[]),
        [&[kind::SORTED_SET_2, 1, 1, b'a'][..], &nan].concat(),
        [
            &[kind::SORTED_SET_2, 2, 1, b'a'][..],
            &score,
            &[1, b'a'],
            &score,
        ]
        .concat(),
        [&[kind::SORTED_SET_2, 1, 1, b'a'][..], &score[1..]].concat(),
    ] {
        assert_eq!(read(&held), Err(Error::Content), "{}", held.escape_ascii());
    }
    for kind in [6, 7, 8, 22, 23, 26, 245, 255] {
        assert_eq!(read(&[kind, 1, 1, b'a']), Err(Error::Content));
    }
}
