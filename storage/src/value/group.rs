//! A stream's groups of consumers, to be read.

use super::records::{
    CONSUMER, ConsumerRecord, GROUP, GroupRecord, HELD, PENDING, PendingRecord, bounds,
    consumer_key, group_key, held_key, id_of, name_key, name_of_consumer, name_of_group,
    pending_key,
};
use super::stream::{StreamId, StreamRef};
use super::view::{Item, View};

/// A group of consumers that share a stream's entries.
///
/// ```
/// use darter_storage::{StreamId, StreamValue};
/// let mut stream = StreamValue::new();
/// stream.create_group(b"mailers", StreamId::default(), None);
/// let group = stream.as_ref().group(b"mailers");
/// assert!(group.is_some_and(|group| group.pending_count() == 0));
/// ```
#[derive(Clone, Copy)]
pub struct StreamGroup<'a> {
    view: View<'a>,
    name: &'a [u8],
    pub(super) record: GroupRecord,
}

/// A consumer of a group.
///
/// ```
/// use darter_storage::{StreamId, StreamValue};
/// let mut stream = StreamValue::new();
/// stream.create_group(b"mailers", StreamId::default(), None);
/// for mut group in stream.group_mut(b"mailers") {
///     group.create_consumer(b"ada", 1_700_000_000_000);
/// }
/// let group = stream.as_ref().group(b"mailers");
/// let consumer = group.and_then(|group| group.consumer(b"ada"));
/// assert!(consumer.is_some_and(|consumer| consumer.active_ms().is_none()));
/// ```
#[derive(Clone, Copy)]
pub struct StreamConsumer<'a> {
    group: StreamGroup<'a>,
    name: &'a [u8],
    pub(super) record: ConsumerRecord,
}

/// An entry that was delivered and not acknowledged yet. It may be gone from the stream.
///
/// ```
/// use darter_storage::{StreamId, StreamValue};
/// let mut stream = StreamValue::new();
/// stream.create_group(b"mailers", StreamId::default(), None);
/// for mut group in stream.group_mut(b"mailers") {
///     group.create_consumer(b"ada", 7);
///     group.assign(StreamId::default(), b"ada", 7, 1);
/// }
/// for pending in stream.as_ref().group(b"mailers").and_then(|g| g.pending(StreamId::default())) {
///     assert_eq!((pending.consumer, pending.deliveries), (&b"ada"[..], 1));
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPending<'a> {
    /// Which entry.
    pub id: StreamId,
    /// The name of the consumer that has it.
    pub consumer: &'a [u8],
    /// When it was delivered last, in milliseconds since 1970.
    pub delivered_ms: u64,
    /// How often it was delivered.
    pub deliveries: u64,
}

fn group_in<'a>(view: View<'a>, item: Item<'a>) -> StreamGroup<'a> {
    let record = GroupRecord::from_bytes(item.value);
    StreamGroup::new(view, name_of_group(item.key), record)
}

impl<'a> StreamRef<'a> {
    /// The groups, by name. O(log n), then O(1) each.
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"second", StreamId::default(), None);
    /// stream.create_group(b"first", StreamId::default(), None);
    /// let names: Vec<_> = stream.as_ref().groups().map(|group| group.name()).collect();
    /// assert_eq!(names, [&b"first"[..], b"second"]);
    /// ```
    pub fn groups(self) -> impl Iterator<Item = StreamGroup<'a>> + use<'a> {
        let view = self.view;
        view.records_between(&[GROUP], &[CONSUMER])
            .map(move |item| group_in(view, item))
    }

    /// How many groups there are. O(log n).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// assert_eq!(stream.as_ref().group_count(), 0);
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// assert_eq!(stream.as_ref().group_count(), 1);
    /// ```
    pub fn group_count(self) -> usize {
        self.view.count_records(&[GROUP], &[CONSUMER])
    }

    /// A group by its name. O(log n).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// assert!(stream.as_ref().group(b"mailers").is_some());
    /// assert!(stream.as_ref().group(b"mail").is_none());
    /// ```
    pub fn group(self, name: &[u8]) -> Option<StreamGroup<'a>> {
        let item = self.view.record(&group_key(name))?;
        Some(group_in(self.view, item))
    }
}

impl<'a> StreamGroup<'a> {
    pub(super) fn new(view: View<'a>, name: &'a [u8], record: GroupRecord) -> StreamGroup<'a> {
        StreamGroup { view, name, record }
    }

    /// Its name. O(1).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// assert!(stream.as_ref().groups().all(|group| group.name() == b"mailers"));
    /// ```
    pub fn name(self) -> &'a [u8] {
        self.name
    }

    /// Behind which entry it goes on. O(1).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// let id = StreamId { milliseconds: 5, sequence: 0 };
    /// stream.create_group(b"mailers", id, None);
    /// assert!(stream.as_ref().groups().all(|group| group.last_delivered_id() == id));
    /// ```
    pub fn last_delivered_id(self) -> StreamId {
        self.record.last_delivered_id
    }

    /// How many of the entries ever added it has read, as far as that is known. O(1).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), Some(0));
    /// assert!(stream.as_ref().groups().all(|group| group.entries_read() == Some(0)));
    /// ```
    pub fn entries_read(self) -> Option<u64> {
        self.record.entries_read
    }

    fn consumer_in(self, item: Item<'a>) -> StreamConsumer<'a> {
        StreamConsumer {
            group: self,
            name: name_of_consumer(item.key),
            record: ConsumerRecord::from_bytes(item.value),
        }
    }

    /// Its consumers, by name. O(log n), then O(1) each.
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// for mut group in stream.group_mut(b"mailers") {
    ///     group.create_consumer(b"bob", 7);
    ///     group.create_consumer(b"ada", 7);
    ///     let names: Vec<_> = group.as_ref().consumers().map(|one| one.name().to_vec()).collect();
    ///     assert_eq!(names, [b"ada", b"bob"]);
    /// }
    /// ```
    pub fn consumers(self) -> impl Iterator<Item = StreamConsumer<'a>> + use<'a> {
        let (from, to) = bounds(CONSUMER, self.record.number);
        self.view
            .records_between(&from, &to)
            .map(move |item| self.consumer_in(item))
    }

    /// How many consumers it has. O(log n).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// for mut group in stream.group_mut(b"mailers") {
    ///     group.create_consumer(b"ada", 7);
    ///     assert_eq!(group.as_ref().consumer_count(), 1);
    /// }
    /// ```
    pub fn consumer_count(self) -> usize {
        let (from, to) = bounds(CONSUMER, self.record.number);
        self.view.count_records(&from, &to)
    }

    /// A consumer by its name. O(log n).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// let group = stream.as_ref().group(b"mailers");
    /// assert!(group.is_some_and(|group| group.consumer(b"ada").is_none()));
    /// ```
    pub fn consumer(self, name: &[u8]) -> Option<StreamConsumer<'a>> {
        let item = self.view.record(&consumer_key(self.record.number, name))?;
        Some(self.consumer_in(item))
    }

    /// The name of a consumer.
    fn name_of(self, consumer: u64) -> &'a [u8] {
        self.view
            .record(&name_key(consumer))
            .map_or(b"", |item| item.value)
    }

    fn pending_in(self, item: Item<'a>, name: impl Fn(u64) -> &'a [u8]) -> StreamPending<'a> {
        let record = PendingRecord::from_bytes(item.value);
        StreamPending {
            id: id_of(item.key),
            consumer: name(record.consumer),
            delivered_ms: record.delivered_ms,
            deliveries: record.deliveries,
        }
    }

    /// What is pending of its consumers, from an ID on. O(log n), then O(log n) each.
    ///
    /// ```
    /// # use darter_storage::{StreamId, StreamValue};
    /// # let id = |milliseconds| StreamId { milliseconds, sequence: 0 };
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", id(0), None);
    /// for mut group in stream.group_mut(b"mailers") {
    ///     group.create_consumer(b"ada", 7);
    ///     for n in 1..=5 {
    ///         group.assign(id(n), b"ada", 7, 1);
    ///     }
    ///     let ids = group.as_ref().pending_from(id(4)).map(|pending| pending.id);
    ///     assert!(ids.eq([id(4), id(5)]));
    /// }
    /// ```
    pub fn pending_from(self, id: StreamId) -> impl Iterator<Item = StreamPending<'a>> + use<'a> {
        let (_, to) = bounds(PENDING, self.record.number);
        let from = pending_key(self.record.number, id);
        self.view
            .records_between(&from, &to)
            .map(move |item| self.pending_in(item, |consumer| self.name_of(consumer)))
    }

    /// What is known of one entry that is pending. O(log n).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// let group = stream.as_ref().group(b"mailers");
    /// assert!(group.is_some_and(|group| group.pending(StreamId::default()).is_none()));
    /// ```
    pub fn pending(self, id: StreamId) -> Option<StreamPending<'a>> {
        let item = self.view.record(&pending_key(self.record.number, id))?;
        Some(self.pending_in(item, |consumer| self.name_of(consumer)))
    }

    /// How many entries are pending. O(log n).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// for mut group in stream.group_mut(b"mailers") {
    ///     group.create_consumer(b"ada", 7);
    ///     group.assign(StreamId::default(), b"ada", 7, 1);
    ///     assert_eq!(group.as_ref().pending_count(), 1);
    /// }
    /// ```
    pub fn pending_count(self) -> usize {
        let (from, to) = bounds(PENDING, self.record.number);
        self.view.count_records(&from, &to)
    }

    /// The smallest and the largest ID that is pending. O(log n).
    ///
    /// ```
    /// # use darter_storage::{StreamId, StreamValue};
    /// # let id = |milliseconds| StreamId { milliseconds, sequence: 0 };
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", id(0), None);
    /// for mut group in stream.group_mut(b"mailers") {
    ///     assert_eq!(group.as_ref().pending_bounds(), None);
    ///     group.create_consumer(b"ada", 7);
    ///     for n in 1..=5 {
    ///         group.assign(id(n), b"ada", 7, 1);
    ///     }
    ///     assert_eq!(group.as_ref().pending_bounds(), Some((id(1), id(5))));
    /// }
    /// ```
    pub fn pending_bounds(self) -> Option<(StreamId, StreamId)> {
        let (from, to) = bounds(PENDING, self.record.number);
        let first = self.view.records_between(&from, &to).next()?;
        let last = self.view.last_record(&from, &to)?;
        Some((id_of(first.key), id_of(last.key)))
    }
}

impl<'a> StreamConsumer<'a> {
    /// Its name. O(1).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// for mut group in stream.group_mut(b"mailers") {
    ///     group.create_consumer(b"ada", 7);
    ///     assert!(group.as_ref().consumers().all(|consumer| consumer.name() == b"ada"));
    /// }
    /// ```
    pub fn name(self) -> &'a [u8] {
        self.name
    }

    /// When it last asked for something, in milliseconds since 1970. O(1).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// for mut group in stream.group_mut(b"mailers") {
    ///     group.create_consumer(b"ada", 7);
    ///     assert!(group.as_ref().consumers().all(|consumer| consumer.seen_ms() == 7));
    /// }
    /// ```
    pub fn seen_ms(self) -> u64 {
        self.record.seen_ms
    }

    /// When it was last given something, in milliseconds since 1970; `None` if never. O(1).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// for mut group in stream.group_mut(b"mailers") {
    ///     group.see_consumer(b"ada", 8, Some(8));
    ///     assert!(group.as_ref().consumers().all(|consumer| consumer.active_ms() == Some(8)));
    /// }
    /// ```
    pub fn active_ms(self) -> Option<u64> {
        self.record.active_ms
    }

    /// How many entries it has that are pending. O(log n).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// for mut group in stream.group_mut(b"mailers") {
    ///     group.create_consumer(b"ada", 7);
    ///     group.create_consumer(b"bob", 7);
    ///     group.assign(StreamId::default(), b"ada", 7, 1);
    ///     let counts = group.as_ref().consumers().map(|consumer| consumer.pending_count());
    ///     assert!(counts.eq([1, 0]));
    /// }
    /// ```
    pub fn pending_count(self) -> usize {
        let (from, to) = bounds(HELD, self.record.number);
        self.view().count_records(&from, &to)
    }

    fn view(self) -> View<'a> {
        self.group.view
    }

    /// What it has that is pending, from an ID on. O(log n), then O(log n) each.
    ///
    /// ```
    /// # use darter_storage::{StreamId, StreamValue};
    /// # let id = |milliseconds| StreamId { milliseconds, sequence: 0 };
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", id(0), None);
    /// for mut group in stream.group_mut(b"mailers") {
    ///     group.create_consumer(b"ada", 7);
    ///     group.create_consumer(b"bob", 7);
    ///     for (n, name) in [(1, b"ada"), (2, b"bob"), (3, b"ada")] {
    ///         group.assign(id(n), name, 7, 1);
    ///     }
    ///     for ada in group.as_ref().consumer(b"ada") {
    ///         assert!(ada.pending_from(id(0)).map(|pending| pending.id).eq([id(1), id(3)]));
    ///     }
    /// }
    /// ```
    pub fn pending_from(self, id: StreamId) -> impl Iterator<Item = StreamPending<'a>> + use<'a> {
        let (_, to) = bounds(HELD, self.record.number);
        let from = held_key(self.record.number, id);
        let (group, name) = (self.group, self.name);
        let number = group.record.number;
        self.view()
            .records_between(&from, &to)
            .filter_map(move |held| {
                let item = group.view.record(&pending_key(number, id_of(held.key)))?;
                Some(group.pending_in(item, |_| name))
            })
    }
}
