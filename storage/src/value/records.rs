//! What a stream's groups know, as records of one tree: their keys, and what is under them. The tree of
//! a hash's deadlines (`deadlines`) is one of records, too.
//!
//! Groups and consumers have numbers, which their stream gives only once, so that what is pending
//! names them in a few bytes. A key is a kind and what tells its records apart:
//!
//! | kind | behind the kind | value |
//! |---|---|---|
//! | group | name | number, last delivered ID, entries read |
//! | consumer | number of the group, name | number, when seen, when active |
//! | name | number of a consumer | name |
//! | pending | number of a group, ID | number of the consumer, when delivered, how often |
//! | held | number of a consumer, ID | nothing |

use super::body::{Body, OwnForm};
use super::deadlines;
use super::stream::StreamId;
use super::tree::{RECORDS, TreeState};
use super::view::{Form, Item, View};

pub(super) const GROUP: u8 = 0x10;
pub(super) const CONSUMER: u8 = 0x20;
const NAME: u8 = 0x30;
pub(super) const PENDING: u8 = 0x40;
pub(super) const HELD: u8 = 0x50;

/// From here on a number is not told apart by the word of its records.
const WORD_NUMBER_MAX: u64 = 0xffff;
const WORD_MILLISECONDS_BITS: u32 = 44;
const WORD_MILLISECONDS_MAX: u64 = (1 << WORD_MILLISECONDS_BITS) - 1;
const ID_BYTES: usize = 16;

/// Appends a number so that the bytes sort as numbers do: how many bytes follow, then those.
fn put_number(into: &mut Vec<u8>, number: u64) {
    let skipped = number.leading_zeros() as usize / 8;
    into.push((8 - skipped) as u8);
    into.extend_from_slice(&number.to_be_bytes()[skipped..]);
}

fn take_number(bytes: &mut &[u8]) -> u64 {
    let Some((length, rest)) = bytes.split_first() else {
        return 0;
    };
    let (number, rest) = rest.split_at(usize::from(*length).min(rest.len()));
    *bytes = rest;
    number
        .iter()
        .fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

fn put_option(into: &mut Vec<u8>, number: Option<u64>) {
    put_number(into, number.map_or(0, |number| number.saturating_add(1)));
}

fn take_option(bytes: &mut &[u8]) -> Option<u64> {
    take_number(bytes).checked_sub(1)
}

/// The word of a record. Of what is pending or held it says number and millisecond, so that a
/// search among millions of one group looks at no key before the leaf.
pub(super) fn word(key: &[u8]) -> u64 {
    if let [deadlines::FIELD, field @ ..] = key {
        return deadlines::field_word(field);
    }
    if let [kind @ (PENDING | HELD), rest @ ..] = key {
        let mut rest = rest;
        let number = take_number(&mut rest).min(WORD_NUMBER_MAX);
        let milliseconds = rest
            .first_chunk()
            .map_or(0, |milliseconds| u64::from_be_bytes(*milliseconds));
        // Those whose numbers are not told apart here must stay apart by their keys.
        let within = if number == WORD_NUMBER_MAX {
            0
        } else {
            milliseconds.min(WORD_MILLISECONDS_MAX)
        };
        return (u64::from(*kind) << 56) | (number << WORD_MILLISECONDS_BITS) | within;
    }
    let mut first = [0; 8];
    for (into, byte) in first.iter_mut().zip(key) {
        *into = *byte;
    }
    u64::from_be_bytes(first)
}

pub(super) fn group_key(name: &[u8]) -> Vec<u8> {
    [&[GROUP], name].concat()
}

/// What begins the keys of one kind and number.
fn scope(kind: u8, number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 + ID_BYTES);
    key.push(kind);
    put_number(&mut key, number);
    key
}

/// Where the records of one kind and number begin, and where they have ended.
pub(super) fn bounds(kind: u8, number: u64) -> (Vec<u8>, Vec<u8>) {
    (scope(kind, number), scope(kind, number.saturating_add(1)))
}

pub(super) fn consumer_key(group: u64, name: &[u8]) -> Vec<u8> {
    let mut key = scope(CONSUMER, group);
    key.extend_from_slice(name);
    key
}

pub(super) fn name_key(consumer: u64) -> Vec<u8> {
    scope(NAME, consumer)
}

pub(super) fn pending_key(group: u64, id: StreamId) -> Vec<u8> {
    let mut key = scope(PENDING, group);
    key.extend_from_slice(&id.to_key());
    key
}

pub(super) fn held_key(consumer: u64, id: StreamId) -> Vec<u8> {
    let mut key = scope(HELD, consumer);
    key.extend_from_slice(&id.to_key());
    key
}

/// The name in a group's key.
pub(super) fn name_of_group(key: &[u8]) -> &[u8] {
    key.get(1..).unwrap_or_default()
}

/// The name in a consumer's key.
pub(super) fn name_of_consumer(key: &[u8]) -> &[u8] {
    let mut rest = key.get(1..).unwrap_or_default();
    take_number(&mut rest);
    rest
}

/// The ID in the key of what is pending or held.
pub(super) fn id_of(key: &[u8]) -> StreamId {
    key.last_chunk::<ID_BYTES>()
        .map_or(StreamId::default(), |id| StreamId::from_key(id))
}

/// What is known of a group, but for its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupRecord {
    pub(super) number: u64,
    pub(super) last_delivered_id: StreamId,
    pub(super) entries_read: Option<u64>,
}

impl GroupRecord {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_number(&mut bytes, self.number);
        bytes.extend_from_slice(&self.last_delivered_id.to_key());
        put_option(&mut bytes, self.entries_read);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> GroupRecord {
        let mut rest = bytes;
        let number = take_number(&mut rest);
        let last_delivered_id = StreamId::from_key(rest);
        let mut rest = rest.get(ID_BYTES..).unwrap_or_default();
        GroupRecord {
            number,
            last_delivered_id,
            entries_read: take_option(&mut rest),
        }
    }
}

/// What is known of a consumer, but for its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ConsumerRecord {
    pub(super) number: u64,
    pub(super) seen_ms: u64,
    pub(super) active_ms: Option<u64>,
}

impl ConsumerRecord {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_number(&mut bytes, self.number);
        put_number(&mut bytes, self.seen_ms);
        put_option(&mut bytes, self.active_ms);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> ConsumerRecord {
        let mut rest = bytes;
        ConsumerRecord {
            number: take_number(&mut rest),
            seen_ms: take_number(&mut rest),
            active_ms: take_option(&mut rest),
        }
    }
}

/// What is known of an entry that is pending.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct PendingRecord {
    /// The consumer's number.
    pub(super) consumer: u64,
    pub(super) delivered_ms: u64,
    pub(super) deliveries: u64,
}

impl PendingRecord {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_number(&mut bytes, self.consumer);
        put_number(&mut bytes, self.delivered_ms);
        put_number(&mut bytes, self.deliveries);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> PendingRecord {
        let mut rest = bytes;
        PendingRecord {
            consumer: take_number(&mut rest),
            delivered_ms: take_number(&mut rest),
            deliveries: take_number(&mut rest),
        }
    }
}

/// How many records are before a key.
fn rank(state: &TreeState, key: &[u8]) -> usize {
    state.tree(RECORDS).seek(word(key), key).0.rank()
}

impl<'a> View<'a> {
    fn records(self) -> Option<&'a TreeState> {
        match self.form {
            Form::Tree(state) => Some(state),
            Form::Flat(_) => None,
        }
    }

    /// The record with just this key.
    pub(super) fn record(self, key: &[u8]) -> Option<Item<'a>> {
        let tree = self.records()?.tree(RECORDS);
        let (path, found) = tree.seek(word(key), key);
        if found {
            tree.iter_at(path).next()
        } else {
            None
        }
    }

    /// How many records there are from a key on and before another. O(log n).
    pub(super) fn count_records(self, from: &[u8], to: &[u8]) -> usize {
        self.records()
            .map_or(0, |state| rank(state, to).saturating_sub(rank(state, from)))
    }

    /// The records from a key on and before another. O(log n), then O(1) each.
    pub(super) fn records_between(
        self,
        from: &[u8],
        to: &[u8],
    ) -> impl Iterator<Item = Item<'a>> + use<'a> {
        let found = self.records().map(|state| {
            let tree = state.tree(RECORDS);
            let (path, _) = tree.seek(word(from), from);
            let count = rank(state, to).saturating_sub(path.rank());
            tree.iter_at(path).take(count)
        });
        found.into_iter().flatten()
    }

    /// The last record from a key on and before another.
    pub(super) fn last_record(self, from: &[u8], to: &[u8]) -> Option<Item<'a>> {
        let state = self.records()?;
        let end = rank(state, to);
        if rank(state, from) < end {
            state.tree(RECORDS).iter_back(end - 1).next()
        } else {
            None
        }
    }
}

impl Body {
    /// Puts a record, over whatever has its key. The value is a tree from here on.
    pub(super) fn put_record(&mut self, key: &[u8], value: &[u8]) {
        self.changed = true;
        self.grow();
        if let OwnForm::Tree(state) = &mut self.form {
            let word = word(key);
            let (path, found) = state.tree(RECORDS).seek(word, key);
            state.put(RECORDS, &path, word, (key, value), found);
        }
    }

    /// Removes a record. `true` if it was there.
    pub(super) fn take_record(&mut self, key: &[u8]) -> bool {
        let OwnForm::Tree(state) = &mut self.form else {
            return false;
        };
        let (path, found) = state.tree(RECORDS).seek(word(key), key);
        if found {
            self.changed = true;
            state.take(RECORDS, &path);
        }
        found
    }

    /// Removes the records from a key on and before another. O(log n).
    pub(super) fn take_records(&mut self, from: &[u8], to: &[u8]) {
        let OwnForm::Tree(state) = &mut self.form else {
            return;
        };
        let (start, end) = (rank(state, from), rank(state, to));
        if start < end {
            self.changed = true;
            state.take_ranks_in(RECORDS, start, end);
        }
    }

    /// Puts all records of a value into another that has none.
    pub(super) fn copy_records(&mut self, source: &TreeState) {
        if source.records() == 0 {
            return;
        }
        let tree = source.tree(RECORDS);
        for item in tree.iter_at(tree.seek_rank(0)) {
            self.put_record(item.key, item.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: [u64; 10] = [
        0,
        1,
        127,
        255,
        256,
        0xfffe,
        0xffff,
        0x1_0000,
        1 << 44,
        u64::MAX,
    ];

    #[test]
    fn numbers_sort_as_their_bytes() {
        let all = NUMBERS.map(|number| {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            assert_eq!(take_number(&mut &bytes[..]), number);
            bytes
        });
        assert!(all.is_sorted());
        let mut bytes = Vec::new();
        for number in [None, Some(0), Some(7)] {
            bytes.clear();
            put_option(&mut bytes, number);
            assert_eq!(take_option(&mut &bytes[..]), number);
        }
    }

    /// What a tree is ordered by is word, then key: of that order each scope must be one stretch.
    #[test]
    fn records_of_one_number_lie_together() {
        let at = |key: Vec<u8>| (word(&key), key);
        let mut all = Vec::new();
        for number in NUMBERS.into_iter().take(NUMBERS.len() - 1) {
            for kind in [PENDING, HELD] {
                let (from, to) = bounds(kind, number);
                let mut within = Vec::new();
                for milliseconds in NUMBERS {
                    for sequence in [0, u64::MAX] {
                        let id = StreamId {
                            milliseconds,
                            sequence,
                        };
                        within.push(at(match kind {
                            PENDING => pending_key(number, id),
                            _ => held_key(number, id),
                        }));
                    }
                }
                assert!(within.is_sorted(), "{kind} of {number}");
                assert!(at(from) < within[0] && within[within.len() - 1] < at(to));
            }
            for name in [&b""[..], b"a", b"a name of some length"] {
                all.push(at(group_key(name)));
                let (from, to) = bounds(CONSUMER, number);
                let key = at(consumer_key(number, name));
                assert!(at(from) <= key && key < at(to));
                assert_eq!(name_of_consumer(&key.1), name);
            }
        }
        let (groups, end) = (at(vec![GROUP]), at(vec![CONSUMER]));
        assert!(all.iter().all(|key| groups <= *key && *key < end));
    }
}
