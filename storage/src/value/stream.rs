//! Streams: entries of fields with values, ordered by ID.

use super::Type;
use super::body::Body;
use super::flat::{FlatIter, put_entry};
use super::order::Order;
use super::view::{Item, View};

/// Where an entry is in its stream. IDs are ordered by milliseconds, then by sequence.
///
/// ```
/// use darter_storage::StreamId;
/// let id = |milliseconds, sequence| StreamId { milliseconds, sequence };
/// assert!(id(5, 9) < id(6, 0));
/// assert!(id(5, 9) < id(5, 10));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Milliseconds since 1970, usually.
    pub milliseconds: u64,
    /// Orders what has the same millisecond.
    pub sequence: u64,
}

impl StreamId {
    pub(super) fn to_key(self) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.milliseconds.to_be_bytes());
        key[8..].copy_from_slice(&self.sequence.to_be_bytes());
        key
    }

    pub(super) fn from_key(key: &[u8]) -> StreamId {
        let (milliseconds, sequence) = key.split_first_chunk().unwrap_or((&[0; 8], &[]));
        StreamId {
            milliseconds: u64::from_be_bytes(*milliseconds),
            sequence: sequence
                .first_chunk()
                .map_or(0, |bytes| u64::from_be_bytes(*bytes)),
        }
    }
}

/// The ID of an entry as its key: the milliseconds, then how many bytes the sequence has, and these.
/// Keys sort as the IDs do. Most sequences are small, so this is half of what two words would take.
struct EntryKey {
    bytes: [u8; 17],
    length: usize,
}

impl EntryKey {
    fn new(id: StreamId) -> EntryKey {
        let sequence = id.sequence.to_be_bytes();
        let skipped = (id.sequence.leading_zeros() / 8) as usize;
        let length = 9 + sequence.len() - skipped;
        let mut bytes = [0; 17];
        bytes[..8].copy_from_slice(&id.milliseconds.to_be_bytes());
        bytes[8] = (sequence.len() - skipped) as u8;
        bytes[9..length].copy_from_slice(&sequence[skipped..]);
        EntryKey { bytes, length }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn id(key: &[u8]) -> StreamId {
        let (milliseconds, sequence) = key.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let digits = sequence.iter().skip(1);
        StreamId {
            milliseconds: u64::from_be_bytes(*milliseconds),
            sequence: digits.fold(0, |sequence, digit| sequence << 8 | u64::from(*digit)),
        }
    }
}

/// What a stream knows besides its entries.
#[derive(Clone, Copy, Default)]
pub(crate) struct StreamHead {
    last_id: StreamId,
    max_deleted_id: StreamId,
    entries_added: u64,
    /// How many numbers have been given to groups and consumers. Not stored while flat: a flat
    /// stream has none.
    pub(super) numbers: u64,
}

pub(crate) const STREAM_HEAD_BYTES: usize = 40;

impl StreamHead {
    pub(crate) fn to_bytes(self) -> [u8; STREAM_HEAD_BYTES] {
        let mut bytes = [0; STREAM_HEAD_BYTES];
        bytes[..16].copy_from_slice(&self.last_id.to_key());
        bytes[16..32].copy_from_slice(&self.max_deleted_id.to_key());
        bytes[32..].copy_from_slice(&self.entries_added.to_be_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; STREAM_HEAD_BYTES]) -> StreamHead {
        StreamHead {
            last_id: StreamId::from_key(&bytes[..16]),
            max_deleted_id: StreamId::from_key(&bytes[16..32]),
            entries_added: bytes[32..]
                .first_chunk()
                .map_or(0, |added| u64::from_be_bytes(*added)),
            numbers: 0,
        }
    }
}

/// One entry of a stream.
///
/// ```
/// use darter_storage::{StreamId, StreamValue};
/// let mut stream = StreamValue::new();
/// let id = StreamId { milliseconds: 5, sequence: 0 };
/// stream.append(id, &[(b"temperature", b"21")]);
/// let entry = stream.as_ref().get(id);
/// assert!(entry.is_some_and(|entry| entry.fields().count() == 1));
/// ```
#[derive(Clone, Copy)]
pub struct StreamEntry<'a> {
    fields: &'a [u8],
}

impl<'a> StreamEntry<'a> {
    /// The fields with their values, as they were given: in that order, and with repeated fields.
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// let id = StreamId { milliseconds: 5, sequence: 0 };
    /// stream.append(id, &[(b"tag", b"b"), (b"tag", b"a")]);
    /// for entry in stream.as_ref().get(id) {
    ///     let values: Vec<_> = entry.fields().map(|(_, value)| value).collect();
    ///     assert_eq!(values, [b"b", b"a"]);
    /// }
    /// ```
    pub fn fields(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        FlatIter::over(self.fields)
    }
}

fn entry(item: Item<'_>) -> (StreamId, StreamEntry<'_>) {
    (EntryKey::id(item.key), StreamEntry { fields: item.value })
}

/// A stream to be read.
///
/// ```
/// use darter_storage::{Error, Store, StreamId, StreamValue, Value, ValueMut, ValueRef};
/// let store = Store::new();
/// # store.update::<_, Error>("events", || Value::Stream(StreamValue::new()), |value| {
/// #     if let ValueMut::Stream(mut stream) = value {
/// #         stream.append(StreamId { milliseconds: 5, sequence: 0 }, &[(b"kind", b"start")]);
/// #     }
/// #     Ok(())
/// # })?;
/// store.view("events", |value| {
///     let Some(ValueRef::Stream(stream)) = value else { panic!("a stream") };
///     assert_eq!(stream.last_id().milliseconds, 5);
/// })?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct StreamRef<'a> {
    pub(crate) view: View<'a>,
    pub(crate) head: StreamHead,
}

impl<'a> StreamRef<'a> {
    /// How many entries there are now. O(1).
    ///
    /// ```
    /// # use darter_storage::{StreamId, StreamValue};
    /// # let id = |milliseconds| StreamId { milliseconds, sequence: 0 };
    /// let mut stream = StreamValue::new();
    /// stream.append(id(1), &[]);
    /// stream.append(id(2), &[]);
    /// stream.remove(id(1));
    /// assert_eq!(stream.as_ref().len(), 1);
    /// ```
    pub fn len(self) -> usize {
        self.view.len()
    }

    /// Whether there is no entry. O(1). Unlike collections, a stream may be stored empty.
    ///
    /// ```
    /// use darter_storage::{Deadline, Error, Store, StreamValue, Value, ValueRef};
    /// let store = Store::new();
    /// let empty = || Value::Stream(StreamValue::new());
    /// store.transaction(|tx| tx.set(0, b"events", empty(), Deadline::Never))?;
    /// store.view("events", |value| {
    ///     assert!(matches!(value, Some(ValueRef::Stream(stream)) if stream.is_empty()));
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The largest ID ever given, also if its entry is gone; 0-0 before the first. O(1).
    ///
    /// ```
    /// # use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// let id = StreamId { milliseconds: 7, sequence: 1 };
    /// stream.append(id, &[]);
    /// stream.remove(id);
    /// assert_eq!(stream.as_ref().last_id(), id, "no later entry may take it again");
    /// ```
    pub fn last_id(self) -> StreamId {
        self.head.last_id
    }

    /// The smallest ID there is; 0-0 in an empty stream. O(log n).
    ///
    /// ```
    /// # use darter_storage::{StreamId, StreamValue};
    /// # let id = |milliseconds| StreamId { milliseconds, sequence: 0 };
    /// let mut stream = StreamValue::new();
    /// assert_eq!(stream.as_ref().first_id(), StreamId::default());
    /// for n in 1..=9 {
    ///     stream.append(id(n), &[]);
    /// }
    /// stream.trim_front(3);
    /// assert_eq!(stream.as_ref().first_id(), id(4));
    /// ```
    pub fn first_id(self) -> StreamId {
        self.view
            .get(0)
            .map_or(StreamId::default(), |item| EntryKey::id(item.key))
    }

    /// The largest ID removed by [`StreamValue::remove`]; 0-0 if there is none. Trimming does not
    /// count. O(1).
    ///
    /// ```
    /// # use darter_storage::{StreamId, StreamValue};
    /// # let id = |milliseconds| StreamId { milliseconds, sequence: 0 };
    /// let mut stream = StreamValue::new();
    /// for n in 1..=9 {
    ///     stream.append(id(n), &[]);
    /// }
    /// stream.remove(id(2));
    /// stream.trim_front(5);
    /// assert_eq!(stream.as_ref().max_deleted_id(), id(2));
    /// ```
    pub fn max_deleted_id(self) -> StreamId {
        self.head.max_deleted_id
    }

    /// How many entries have been added in all, those that are gone included. O(1).
    ///
    /// ```
    /// # use darter_storage::{StreamId, StreamValue};
    /// # let id = |milliseconds| StreamId { milliseconds, sequence: 0 };
    /// let mut stream = StreamValue::new();
    /// for n in 1..=9 {
    ///     stream.append(id(n), &[]);
    /// }
    /// stream.trim_front(9);
    /// assert_eq!((stream.as_ref().len(), stream.as_ref().entries_added()), (0, 9));
    /// ```
    pub fn entries_added(self) -> u64 {
        self.head.entries_added
    }

    fn rank(self, id: StreamId) -> (usize, bool) {
        let key = EntryKey::new(id);
        let place = self.view.bound(Order::Key, id.milliseconds, key.bytes());
        (place.rank, place.found)
    }

    /// The entries not before `id`. O(log n), then O(1) each.
    ///
    /// ```
    /// # use darter_storage::{StreamId, StreamValue};
    /// # let id = |milliseconds| StreamId { milliseconds, sequence: 0 };
    /// let mut stream = StreamValue::new();
    /// for n in [10, 20, 30] {
    ///     stream.append(id(n), &[]);
    /// }
    /// let since: Vec<_> = stream.as_ref().iter_from(id(15)).map(|(id, _)| id).collect();
    /// assert_eq!(since, [id(20), id(30)]);
    /// ```
    pub fn iter_from(
        self,
        id: StreamId,
    ) -> impl Iterator<Item = (StreamId, StreamEntry<'a>)> + use<'a> {
        self.view.iter_from(self.rank(id).0).map(entry)
    }

    /// The entries not behind `id`, backwards. O(log n), then O(1) each.
    ///
    /// ```
    /// # use darter_storage::{StreamId, StreamValue};
    /// # let id = |milliseconds| StreamId { milliseconds, sequence: 0 };
    /// let mut stream = StreamValue::new();
    /// for n in [10, 20, 30] {
    ///     stream.append(id(n), &[]);
    /// }
    /// let until: Vec<_> = stream.as_ref().iter_back_from(id(25)).map(|(id, _)| id).collect();
    /// assert_eq!(until, [id(20), id(10)]);
    /// assert_eq!(stream.as_ref().iter_back_from(id(5)).count(), 0);
    /// ```
    pub fn iter_back_from(
        self,
        id: StreamId,
    ) -> impl Iterator<Item = (StreamId, StreamEntry<'a>)> + use<'a> {
        let (rank, found) = self.rank(id);
        let end = rank + usize::from(found);
        let last = end.saturating_sub(1);
        self.view.iter_back_from(last).take(end).map(entry)
    }

    /// The entry with just this ID, if it is there. O(log n).
    ///
    /// ```
    /// # use darter_storage::{StreamId, StreamValue};
    /// # let id = |milliseconds| StreamId { milliseconds, sequence: 0 };
    /// let mut stream = StreamValue::new();
    /// stream.append(id(10), &[(b"kind", b"start")]);
    /// let kind = stream.as_ref().get(id(10)).and_then(|entry| entry.fields().next());
    /// assert_eq!(kind, Some((&b"kind"[..], &b"start"[..])));
    /// assert!(stream.as_ref().get(id(11)).is_none());
    /// ```
    pub fn get(self, id: StreamId) -> Option<StreamEntry<'a>> {
        let (rank, found) = self.rank(id);
        if found {
            self.view.get(rank).map(|item| entry(item).1)
        } else {
            None
        }
    }
}

/// A stream that one transaction changes.
///
/// ```
/// use darter_storage::{Error, Store, StreamId, StreamValue, Type, Value, ValueMut};
/// let store = Store::new();
/// let last_id = store.update("log", || Value::Stream(StreamValue::new()), |value| match value {
///     ValueMut::Stream(mut stream) => {
///         let mut id = stream.as_ref().last_id();
///         id.sequence += 1;
///         stream.append(id, &[(b"level", b"info")]);
///         Ok(id)
///     }
///     other => Err(Error::wrong_type(Type::Stream, other.kind())),
/// })?;
/// assert_eq!(last_id, StreamId { milliseconds: 0, sequence: 1 });
/// # Ok::<(), Error>(())
/// ```
pub struct StreamValue {
    pub(crate) body: Body,
    pub(crate) head: StreamHead,
}

impl StreamValue {
    /// A stream without entries.
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let stream = StreamValue::new();
    /// assert_eq!(stream.as_ref().last_id(), StreamId::default());
    /// ```
    pub fn new() -> StreamValue {
        StreamValue {
            body: Body::new(Type::Stream),
            head: StreamHead::default(),
        }
    }

    /// Adds an entry. `false` if its ID is not above [`StreamRef::last_id`]: nothing is added then.
    /// O(log n + size of the entry).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// let id = StreamId { milliseconds: 1_700_000_000_000, sequence: 0 };
    /// assert!(stream.append(id, &[(b"user", b"ada"), (b"did", b"login")]));
    /// assert_eq!(stream.as_ref().last_id(), id);
    /// assert!(!stream.append(id, &[]), "IDs go up");
    /// ```
    pub fn append(&mut self, id: StreamId, fields: &[(&[u8], &[u8])]) -> bool {
        if id <= self.head.last_id {
            return false;
        }
        let mut bytes = Vec::new();
        for (field, value) in fields {
            put_entry(&mut bytes, field, value);
        }
        let place = self.body.gap(self.as_ref().len());
        self.body.insert(&place, EntryKey::new(id).bytes(), &bytes);
        self.head.last_id = id;
        self.head.entries_added = self.head.entries_added.saturating_add(1);
        true
    }

    /// Removes an entry. `true` if it was there. O(log n).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// let id = StreamId { milliseconds: 5, sequence: 0 };
    /// stream.append(id, &[]);
    /// assert!(stream.remove(id));
    /// assert!(!stream.remove(id));
    /// ```
    pub fn remove(&mut self, id: StreamId) -> bool {
        let key = EntryKey::new(id);
        let place = self.body.bound(id.milliseconds, key.bytes());
        if place.found {
            self.body.remove(&place);
            self.head.max_deleted_id = self.head.max_deleted_id.max(id);
        }
        place.found
    }

    /// Removes the first `count` entries, as far as there are any; how many there were. O(log n).
    ///
    /// ```
    /// # use darter_storage::{StreamId, StreamValue};
    /// # let id = |milliseconds| StreamId { milliseconds, sequence: 0 };
    /// let mut stream = StreamValue::new();
    /// for n in 1..=100 {
    ///     stream.append(id(n), &[]);
    /// }
    /// // Keep the newest ten.
    /// assert_eq!(stream.trim_front(stream.as_ref().len() - 10), 90);
    /// assert_eq!(stream.as_ref().first_id(), id(91));
    /// ```
    pub fn trim_front(&mut self, count: usize) -> usize {
        self.body.remove_ranks(0, count)
    }

    /// Sets what the stream says of its history; `None` leaves what is there. `false` if `last_id`
    /// is below the last entry's: nothing is set then. O(log n).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut restored = StreamValue::new();
    /// let last_id = StreamId { milliseconds: 9, sequence: 2 };
    /// assert!(restored.set_last_id(last_id, Some(500), None));
    /// let restored = restored.as_ref();
    /// assert_eq!((restored.last_id(), restored.entries_added()), (last_id, 500));
    /// assert_eq!(restored.max_deleted_id(), StreamId::default());
    /// ```
    pub fn set_last_id(
        &mut self,
        last_id: StreamId,
        entries_added: Option<u64>,
        max_deleted_id: Option<StreamId>,
    ) -> bool {
        let last_entry = self.body.view().iter_back_from(usize::MAX).next();
        if last_entry.is_some_and(|item| last_id < EntryKey::id(item.key)) {
            return false;
        }
        self.body.changed = true;
        self.head.last_id = last_id;
        self.head.entries_added = entries_added.unwrap_or(self.head.entries_added);
        self.head.max_deleted_id = max_deleted_id.unwrap_or(self.head.max_deleted_id);
        true
    }

    /// The stream as it is now.
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// for sequence in 0..3 {
    ///     stream.append(StreamId { milliseconds: 1, sequence }, &[]);
    /// }
    /// let sequences = stream.as_ref().iter_from(StreamId::default()).map(|(id, _)| id.sequence);
    /// assert!(sequences.eq([0, 1, 2]));
    /// ```
    pub fn as_ref(&self) -> StreamRef<'_> {
        StreamRef {
            view: self.body.view(),
            head: self.head,
        }
    }
}

impl Default for StreamValue {
    fn default() -> StreamValue {
        StreamValue::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(milliseconds: u64, sequence: u64) -> StreamId {
        StreamId {
            milliseconds,
            sequence,
        }
    }

    #[test]
    fn keys_of_entries_sort_as_their_ids_and_lead_back_to_them() {
        let numbers = (0..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        let mut numbers: Vec<u64> = numbers.chain([u64::MAX - 1, u64::MAX]).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let ids = numbers.iter().flat_map(|&milliseconds| {
            let id = move |&sequence| StreamId {
                milliseconds,
                sequence,
            };
            numbers.iter().map(id)
        });
        let ids: Vec<_> = ids.collect();
        assert!(ids.is_sorted());
        let keys = ids.iter().map(|id| EntryKey::new(*id).bytes().to_vec());
        let keys: Vec<_> = keys.collect();
        assert!(keys.is_sorted_by(|one, next| one < next));
        let back: Vec<_> = keys.iter().map(|key| EntryKey::id(key)).collect();
        assert_eq!(back, ids);
    }

    #[test]
    fn a_stream_remembers_what_is_gone() {
        let mut stream = StreamValue::new();
        for sequence in 0..300 {
            stream.append(id(5, sequence), &[(b"field", b"value")]);
        }
        assert!(stream.remove(id(5, 100)));
        assert!(!stream.remove(id(5, 100)));
        assert!(stream.remove(id(5, 7)));
        assert_eq!(stream.trim_front(1_000), 298);
        let stream = stream.as_ref();
        assert!(stream.is_empty());
        assert_eq!(
            (stream.last_id(), stream.max_deleted_id()),
            (id(5, 299), id(5, 100))
        );
        assert_eq!((stream.first_id(), stream.entries_added()), (id(0, 0), 300));
    }
}
