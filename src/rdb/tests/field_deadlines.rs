//! Hashes of which fields have deadlines.

use super::super::write::write_bytes;
use super::*;

/// Fields with their values and deadlines (0: none).
type Timed = BTreeMap<Bytes, (Bytes, u64)>;

const LAST_MS: u64 = (1 << 48) - 1;

fn hash_of(timed: &Timed) -> Value {
    let mut hash = HashValue::new();
    for (field, (value, deadline_ms)) in timed {
        hash.insert(field, value);
        hash.set_deadline(field, *deadline_ms);
    }
    Value::Hash(hash)
}

fn timed_of(value: ValueRef<'_>) -> Timed {
    let ValueRef::Hash(hash) = value else {
        panic!("a hash");
    };
    let timed = hash.iter().map(|(field, value)| {
        let deadline_ms = hash.deadline_ms(field).expect("a field that is there");
        (field.to_vec(), (value.to_vec(), deadline_ms))
    });
    timed.collect()
}

fn read_timed(held: &[u8]) -> Result<Timed, Error> {
    let mut payload = held.to_vec();
    sign(&mut payload);
    load(&payload, limits()).map(|value| timed_of(value.as_ref()))
}

fn timed() -> impl Strategy<Value = Timed> {
    let deadline_ms = prop_oneof![Just(0), 1..100_u64, 1..=LAST_MS, Just(LAST_MS)];
    btree_map(text(), (text(), deadline_ms), 1..60)
}

/// As Redis 7.4 writes a small one.
fn packed_timed(timed: &Timed, earliest_ms: u64) -> Bytes {
    let mut builder = Builder::new();
    for (field, (value, deadline_ms)) in timed {
        builder.text(field);
        builder.text(value);
        builder.integer(*deadline_ms as i64);
    }
    let mut held = [&[kind::HASH_LISTPACK_EX][..], &earliest_ms.to_le_bytes()].concat();
    write_bytes(&mut held, &builder.finish().expect("not too long"));
    held
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn deadlines_come_back_as_they_were(timed in timed()) {
        let payload = save(hash_of(&timed).as_ref()).expect("a payload");
        let is_newer = timed.values().any(|(_, deadline_ms)| *deadline_ms > 0);
        let version = if is_newer { VERSION_OF_FIELD_DEADLINES } else { VERSION };
        prop_assert_eq!(u16::from(payload[payload.len() - 10]), version);
        let value = load(&payload, limits()).expect("a value");
        prop_assert_eq!(timed_of(value.as_ref()), timed.clone());
        prop_assert_eq!(save(value.as_ref()), Ok(payload));
        prop_assert_eq!(read_timed(&packed_timed(&timed, 0)), Ok(timed));
    }

    #[test]
    fn a_changed_one_is_refused_or_another(
        timed in timed(),
        is_packed in any::<bool>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut held = if is_packed {
            packed_timed(&timed, 1)
        } else {
            let mut payload = save(hash_of(&timed).as_ref()).expect("a payload");
            payload.truncate(payload.len() - 10);
            payload
        };
        prop_assert!(read_timed(&held[..cut.index(held.len())]).is_err());
        for (at, byte) in changes {
            let at = at.index(held.len());
            held[at] = byte;
        }
        let mut payload = held;
        sign(&mut payload);
        if let Ok(other) = load(&payload, limits()) {
            let again = save(other.as_ref()).expect("a payload");
            let read = load(&again, limits()).expect("a value");
            prop_assert_eq!(save(read.as_ref()), Ok(again));
        }
    }
}

/// The bytes themselves: what Redis 7.4 reads.
#[test]
fn what_is_written_is_the_format_of_7_4() {
    let timed = Timed::from([
        (b"a".to_vec(), (b"x".to_vec(), 0x0102_0304_0506)),
        (b"b".to_vec(), (b"y".to_vec(), 0)),
    ]);
    let payload = save(hash_of(&timed).as_ref()).expect("a payload");
    let head = b"\x18\x06\x05\x04\x03\x02\x01\x00\x00\x02";
    let fields = [&b"\x01\x01a\x01x"[..], b"\x00\x01b\x01y"];
    // In the order of the hash, which means nothing.
    let either = [fields.concat(), [fields[1], fields[0]].concat()];
    let (begin, rest) = payload.split_at(head.len());
    assert_eq!(begin, head);
    let held = &rest[..rest.len() - 10];
    assert!(either.iter().any(|fields| fields == held), "{held:?}");
    assert_eq!(&rest[rest.len() - 10..][..2], &[12, 0]);
}

#[test]
fn what_no_deadline_can_be_is_refused() {
    let plain = |earliest_ms: u64, number: u64| {
        let mut held = [&[kind::HASH_METADATA][..], &earliest_ms.to_le_bytes(), &[1]].concat();
        write_length(&mut held, number);
        held.extend_from_slice(b"\x01a\x01x");
        held
    };
    let packed = |deadline: &[u8], earliest_ms: u64| {
        let pack = packed(&[b"a", b"x", deadline]);
        let earliest_ms = earliest_ms.to_le_bytes();
        held(kind::HASH_LISTPACK_EX, &earliest_ms, &[&pack])
    };
    for held in [
        plain(0, 0),
        plain(1 << 48, 0),
        plain(LAST_MS, 1),
        plain(1, LAST_MS),
        packed(b"0", 0),
        packed(b"0", 1 << 48),
        packed(b"1", 1),
        packed(LAST_MS.to_string().as_bytes(), 1),
    ] {
        assert!(read_timed(&held).is_ok(), "{}", held.escape_ascii());
    }
    for held in [
        plain(0, 1),
        plain((1 << 48) + 1, 0),
        plain(u64::MAX, 2),
        plain(LAST_MS, 2),
        plain(1 << 48, 1),
        plain(1, u64::MAX),
        packed(b"-1", 0),
        packed(b"x", 0),
        packed(b"0", u64::MAX),
        packed((1_u64 << 48).to_string().as_bytes(), 1),
        held(kind::HASH_METADATA, &[1, 0, 0, 0, 0, 0, 0, 0, 0], &[]),
        held(kind::HASH_METADATA, &[1, 0, 0, 0, 0, 0, 0], &[]),
        held(kind::HASH_LISTPACK_EX, &[0; 8], &[&self::packed(&[])]),
        held(
            kind::HASH_LISTPACK_EX,
            &[0; 8],
            &[&self::packed(&[b"a", b"x"])],
        ),
        held(
            kind::HASH_LISTPACK_EX,
            &[0; 8],
            &[&self::packed(&[b"a", b"x", b"0", b"a", b"x", b"5"])],
        ),
    ] {
        assert_eq!(
            read_timed(&held),
            Err(Error::Content),
            "{}",
            held.escape_ascii()
        );
    }
    let twice = b"\x18\x01\0\0\0\0\0\0\0\x02\x01\x01a\x01x\x00\x01a\x01y";
    assert_eq!(read_timed(twice), Err(Error::Content));
}

/// What keeps the deadlines is asked for as well as the fields are.
#[test]
fn room_is_asked_for_deadlines_too() {
    let field = vec![b'f'; 700 << 10];
    let mut payload = [&[kind::HASH_METADATA][..], &[1, 0, 0, 0, 0, 0, 0, 0, 1, 1]].concat();
    write_bytes(&mut payload, &field);
    payload.extend_from_slice(b"\x01x");
    sign(&mut payload);
    let read = |room: usize| {
        let has_room = |bytes| bytes < room;
        let limits = Limits {
            has_room: &has_room,
            ..limits()
        };
        load(&payload, limits).err()
    };
    assert_eq!(read(2 << 20), Some(Error::OutOfMemory));
    assert_eq!(read(3 << 20), None);
}
