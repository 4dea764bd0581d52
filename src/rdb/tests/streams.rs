//! Streams of all versions, and those that cannot be.

use super::super::write::write_bytes;
use super::*;

/// What a stream's payload says; each test changes something.
#[derive(Clone)]
struct Written {
    kind: u8,
    key: Bytes,
    node: Vec<i64>,
    length: u8,
    last_id: [u8; 2],
    max_deleted_id: [u8; 2],
    added: u8,
    groups: u8,
}

impl Written {
    /// One node from 5-1 on: 5-1 and 6-0 with field 7 and values 8 and 9; between them a deleted one.
    fn new() -> Written {
        let key = [&5_u64.to_be_bytes()[..], &1_u64.to_be_bytes()].concat();
        let head = [2, 1, 1, 7, 0];
        let (first, deleted, second) = ([2, 0, 0, 8, 4], [3, 0, 1, 0, 4], [0, 1, -1, 1, 7, 9, 6]);
        Written {
            kind: kind::STREAM_LISTPACKS_2,
            key,
            node: [&head[..], &first, &deleted, &second].concat(),
            length: 2,
            last_id: [6, 0],
            max_deleted_id: [5, 2],
            added: 3,
            groups: 0,
        }
    }

    fn read(&self) -> Result<Content, Error> {
        let mut node = Builder::new();
        self.node.iter().for_each(|element| node.integer(*element));
        let node = node.finish().expect("not too long");
        let mut held = vec![self.kind, 1];
        write_bytes(&mut held, &self.key);
        write_bytes(&mut held, &node);
        held.push(self.length);
        held.extend_from_slice(&self.last_id);
        if self.kind != kind::STREAM_LISTPACKS {
            held.extend_from_slice(&[5, 1]);
            held.extend_from_slice(&self.max_deleted_id);
            held.push(self.added);
        }
        held.push(self.groups);
        read(&held)
    }

    fn with(change: impl FnOnce(&mut Written)) -> Result<Content, Error> {
        let mut written = Written::new();
        change(&mut written);
        written.read()
    }
}

#[test]
fn streams_of_all_versions_are_read() {
    let field = |value: &[u8]| vec![(b"7".to_vec(), value.to_vec())];
    let wanted = |max_deleted_id, entries_added| {
        Ok(Content::Stream {
            entries: [(id(5, 1), field(b"8")), (id(6, 0), field(b"9"))].into(),
            last_id: id(6, 0),
            max_deleted_id,
            entries_added,
        })
    };
    let of_kind = |kind| Written::with(|written| written.kind = kind);
    assert_eq!(of_kind(kind::STREAM_LISTPACKS), wanted(id(0, 0), 2));
    assert_eq!(of_kind(kind::STREAM_LISTPACKS_2), wanted(id(5, 2), 3));
    assert_eq!(of_kind(kind::STREAM_LISTPACKS_3), wanted(id(5, 2), 3));
}

#[test]
fn streams_that_cannot_be_are_refused() {
    let changes: [fn(&mut Written); 18] = [
        |written| written.key = vec![0; 15],
        // The first entry would be 0-0.
        |written| written.key = vec![0; 16],
        |written| written.length = 3,
        |written| written.last_id = [5, 9],
        |written| written.max_deleted_id = [6, 1],
        |written| written.added = 1,
        // More, and fewer, entries than it says; fewer deleted ones.
        |written| written.node[0] = 1,
        |written| written.node[0] = 3,
        |written| written.node[1] = 0,
        // More fields than there are elements; a negative number; no zero behind them.
        |written| written.node[2] = i64::MAX,
        |written| written.node[2] = -1,
        |written| written.node[4] = 1,
        // An unknown flag, the first ID again, another number of elements.
        |written| written.node[5] = 4,
        |written| (written.node[16], written.node[17]) = (0, 0),
        |written| written.node[9] = 5,
        |written| written.node[21] = 5,
        |written| written.node[18] = i64::MAX,
        |written| written.node.push(2),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(
            Written::with(change),
            Err(Error::Content),
            "change {number}"
        );
    }
    // A group that is only announced.
    let grouped = Written::with(|written| written.groups = 1);
    assert_eq!(grouped, Err(Error::Content));
}

fn grouped() -> Value {
    let mut stream = StreamValue::new();
    for sequence in 1..=9 {
        stream.append(id(1, sequence), &[(b"field", b"value")]);
    }
    stream.create_group(b"", id(0, 0), None);
    stream.create_group(b"group", id(1, 5), Some(5));
    let mut group = stream.group_mut(b"group").expect("a group");
    group.see_consumer(b"ada", 1_000, Some(900));
    group.see_consumer(b"bob", 2_000, None);
    for (sequence, consumer) in [(1, b"ada"), (2, b"bob"), (4, b"ada")] {
        assert!(group.assign(id(1, sequence), consumer, 100 * sequence, sequence));
    }
    // Pending, and gone from the stream.
    stream.remove(id(1, 2));
    Value::Stream(stream)
}

/// A group, its consumers with their times and what is pending.
type Shown = Vec<(
    Bytes,
    StreamId,
    Option<u64>,
    Vec<(Bytes, u64, Vec<(StreamId, u64, u64)>)>,
)>;

fn groups_of(value: ValueRef<'_>) -> Shown {
    let ValueRef::Stream(stream) = value else {
        panic!("a stream");
    };
    let groups = stream.groups().map(|group| {
        let consumers = group.consumers().map(|consumer| {
            let pending = consumer
                .pending_from(id(0, 0))
                .map(|pending| (pending.id, pending.delivered_ms, pending.deliveries));
            (
                consumer.name().to_vec(),
                consumer.seen_ms(),
                pending.collect(),
            )
        });
        (
            group.name().to_vec(),
            group.last_delivered_id(),
            group.entries_read(),
            consumers.collect(),
        )
    });
    groups.collect()
}

#[test]
fn groups_come_back_with_what_is_pending() {
    let value = grouped();
    let payload = save(value.as_ref()).expect("a payload");
    let again = load(&payload, limits()).expect("a value");
    assert_eq!(groups_of(again.as_ref()), groups_of(value.as_ref()));
    assert_eq!(content_of(again.as_ref()), content_of(value.as_ref()));
    assert_eq!(save(again.as_ref()), Ok(payload.clone()));
    let held = &payload[..payload.len() - 10];
    for length in 0..held.len() {
        assert!(read(&held[..length]).is_err(), "{length}");
    }
}

#[test]
fn groups_that_cannot_be_are_refused() {
    /// A group without anything, then how many are pending.
    const GROUP: [u8; 5] = [1, b'g', 0, 0, 0];
    let (first, second) = (key_of(1), key_of(2));
    let time = [0; 8];
    let one = [&[1][..], &first, &time, &[1]].concat();
    let consumer = |ids: &[&[u8]]| {
        let count = [ids.len() as u8];
        [&[1, b'c'][..], &time, &count, &ids.concat()].concat()
    };
    let group = |pending: &[u8], consumers: &[Bytes]| {
        let count = [consumers.len() as u8];
        [&GROUP, pending, &count, &consumers.concat()].concat()
    };
    let none = group(&[0], &[]);
    let cases = [
        (vec![none.clone()], true),
        (vec![group(&one, &[consumer(&[&first])])], true),
        // Twice the same name; nobody's entry; one that is not pending; one of two; a name again.
        (vec![none.clone(), none], false),
        (vec![group(&one, &[])], false),
        (vec![group(&one, &[consumer(&[&second])])], false),
        (vec![group(&one, &[consumer(&[&first, &first])])], false),
        (
            vec![group(&one, &[consumer(&[&first]), consumer(&[])])],
            false,
        ),
        (
            vec![group(&[&[2][..], &one[1..], &one[1..]].concat(), &[])],
            false,
        ),
    ];
    for (number, (groups, is_read)) in cases.into_iter().enumerate() {
        // No node, no entry, no ID.
        let mut held = vec![kind::STREAM_LISTPACKS_2, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        held.push(groups.len() as u8);
        held.extend(groups.concat());
        assert_eq!(read(&held).is_ok(), is_read, "case {number}");
    }
}

fn key_of(sequence: u64) -> Bytes {
    [&0_u64.to_be_bytes()[..], &sequence.to_be_bytes()].concat()
}
