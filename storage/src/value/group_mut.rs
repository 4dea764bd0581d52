//! A stream's groups of consumers, to be changed.

use super::group::StreamGroup;
use super::records::{
    CONSUMER, ConsumerRecord, GroupRecord, HELD, PENDING, PendingRecord, bounds, consumer_key,
    group_key, held_key, id_of, name_key, pending_key,
};
use super::stream::{StreamId, StreamRef, StreamValue};

impl StreamValue {
    fn draw_number(&mut self) -> u64 {
        self.head.numbers = self.head.numbers.saturating_add(1);
        self.head.numbers
    }

    /// Makes a group that goes on behind an entry; `entries_read` of the entries ever added count
    /// as read, if that is known. `false` if there is one of that name: nothing is changed then.
    /// O(log n), and O(n) while the stream is small and has no group.
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// assert!(stream.create_group(b"mailers", StreamId::default(), Some(0)));
    /// assert!(!stream.create_group(b"mailers", StreamId::default(), None));
    /// ```
    pub fn create_group(
        &mut self,
        name: &[u8],
        last_delivered_id: StreamId,
        entries_read: Option<u64>,
    ) -> bool {
        if self.as_ref().group(name).is_some() {
            return false;
        }
        let record = GroupRecord {
            number: self.draw_number(),
            last_delivered_id,
            entries_read,
        };
        self.body.put_record(&group_key(name), &record.to_bytes());
        true
    }

    /// Removes a group, its consumers, and what they have. `true` if it was there. O(log n) for
    /// each consumer, however much they have.
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// assert!(stream.destroy_group(b"mailers"));
    /// assert!(!stream.destroy_group(b"mailers"));
    /// assert_eq!(stream.as_ref().group_count(), 0);
    /// ```
    pub fn destroy_group(&mut self, name: &[u8]) -> bool {
        let Some(group) = self.as_ref().group(name) else {
            return false;
        };
        let number = group.record.number;
        let consumers: Vec<u64> = group
            .consumers()
            .map(|consumer| consumer.record.number)
            .collect();
        for consumer in consumers {
            let (from, to) = bounds(HELD, consumer);
            self.body.take_records(&from, &to);
            self.body.take_record(&name_key(consumer));
        }
        for kind in [CONSUMER, PENDING] {
            let (from, to) = bounds(kind, number);
            self.body.take_records(&from, &to);
        }
        self.body.take_record(&group_key(name))
    }

    /// A group by its name, to be changed. O(log n).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// let id = StreamId { milliseconds: 5, sequence: 0 };
    /// for mut group in stream.group_mut(b"mailers") {
    ///     group.set_position(id, None);
    /// }
    /// assert!(stream.as_ref().groups().all(|group| group.last_delivered_id() == id));
    /// ```
    pub fn group_mut(&mut self, name: &[u8]) -> Option<StreamGroupMut<'_>> {
        let record = self.as_ref().group(name)?.record;
        Some(StreamGroupMut {
            stream: self,
            name: name.to_vec(),
            record,
        })
    }
}

/// A group of a stream that one transaction changes.
///
/// ```
/// use darter_storage::{Error, Store, StreamId, StreamValue, Value, ValueMut};
/// let store = Store::new();
/// store.update("events", || Value::Stream(StreamValue::new()), |value| {
///     let ValueMut::Stream(mut events) = value else { panic!("a stream") };
///     let id = StreamId { milliseconds: 5, sequence: 0 };
///     events.append(id, &[(b"kind", b"start")]);
///     events.create_group(b"mailers", StreamId::default(), Some(0));
///     let Some(mut group) = events.group_mut(b"mailers") else { panic!("a group") };
///     group.create_consumer(b"ada", 7);
///     assert!(group.assign(id, b"ada", 7, 1));
///     assert!(group.acknowledge(id));
///     Ok::<_, Error>(())
/// })?;
/// # Ok::<(), Error>(())
/// ```
pub struct StreamGroupMut<'s> {
    stream: &'s mut StreamValue,
    name: Vec<u8>,
    record: GroupRecord,
}

impl StreamGroupMut<'_> {
    /// The stream as it is now. O(1).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// assert!(stream.group_mut(b"mailers").is_some_and(|group| group.stream().is_empty()));
    /// ```
    pub fn stream(&self) -> StreamRef<'_> {
        self.stream.as_ref()
    }

    /// The group as it is now. O(1).
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
    pub fn as_ref(&self) -> StreamGroup<'_> {
        StreamGroup::new(self.stream.body.view(), &self.name, self.record)
    }

    /// Sets behind which entry it goes on, and how many of the entries ever added it has read, if
    /// that is known. O(log n).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), Some(0));
    /// let id = StreamId { milliseconds: 5, sequence: 0 };
    /// for mut group in stream.group_mut(b"mailers") {
    ///     group.set_position(id, Some(1));
    ///     assert_eq!(group.as_ref().entries_read(), Some(1));
    /// }
    /// ```
    pub fn set_position(&mut self, last_delivered_id: StreamId, entries_read: Option<u64>) {
        let record = GroupRecord {
            last_delivered_id,
            entries_read,
            ..self.record
        };
        if record != self.record {
            self.record = record;
            let key = group_key(&self.name);
            self.stream.body.put_record(&key, &record.to_bytes());
        }
    }

    fn consumer(&self, name: &[u8]) -> Option<ConsumerRecord> {
        Some(self.as_ref().consumer(name)?.record)
    }

    fn put_consumer(&mut self, name: &[u8], record: ConsumerRecord) {
        let key = consumer_key(self.record.number, name);
        self.stream.body.put_record(&key, &record.to_bytes());
    }

    fn make_consumer(&mut self, name: &[u8], seen_ms: u64, active_ms: Option<u64>) {
        let number = self.stream.draw_number();
        self.put_consumer(
            name,
            ConsumerRecord {
                number,
                seen_ms,
                active_ms,
            },
        );
        self.stream.body.put_record(&name_key(number), name);
    }

    /// Makes a consumer, which has nothing yet. `false` if there is one of that name: nothing is
    /// changed then. O(log n).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// for mut group in stream.group_mut(b"mailers") {
    ///     assert!(group.create_consumer(b"ada", 7));
    ///     assert!(!group.create_consumer(b"ada", 8));
    ///     assert!(group.as_ref().consumers().all(|consumer| consumer.seen_ms() == 7));
    /// }
    /// ```
    pub fn create_consumer(&mut self, name: &[u8], seen_ms: u64) -> bool {
        let is_new = self.consumer(name).is_none();
        if is_new {
            self.make_consumer(name, seen_ms, None);
        }
        is_new
    }

    /// Notes that a consumer has asked for something, and when it was given something, if it was.
    /// It is made if it is not there. O(log n).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// for mut group in stream.group_mut(b"mailers") {
    ///     group.see_consumer(b"ada", 7, Some(7));
    ///     group.see_consumer(b"ada", 8, None);
    ///     for ada in group.as_ref().consumer(b"ada") {
    ///         assert_eq!((ada.seen_ms(), ada.active_ms()), (8, Some(7)));
    ///     }
    /// }
    /// ```
    pub fn see_consumer(&mut self, name: &[u8], seen_ms: u64, active_ms: Option<u64>) {
        let Some(known) = self.consumer(name) else {
            return self.make_consumer(name, seen_ms, active_ms);
        };
        let record = ConsumerRecord {
            seen_ms,
            active_ms: active_ms.or(known.active_ms),
            ..known
        };
        if record != known {
            self.put_consumer(name, record);
        }
    }

    /// Removes a consumer; how many entries it had, which are no longer pending. `None` if it was
    /// not there. O(log n) for each entry.
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// for mut group in stream.group_mut(b"mailers") {
    ///     group.create_consumer(b"ada", 7);
    ///     group.assign(StreamId::default(), b"ada", 7, 1);
    ///     assert_eq!(group.delete_consumer(b"ada"), Some(1));
    ///     assert_eq!(group.delete_consumer(b"ada"), None);
    ///     assert_eq!(group.as_ref().pending_count(), 0);
    /// }
    /// ```
    pub fn delete_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let consumer = self.consumer(name)?.number;
        let group = self.record.number;
        let (from, to) = bounds(HELD, consumer);
        let body = &mut self.stream.body;
        let held: Vec<StreamId> = body
            .view()
            .records_between(&from, &to)
            .map(|item| id_of(item.key))
            .collect();
        for id in &held {
            body.take_record(&pending_key(group, *id));
        }
        body.take_records(&from, &to);
        body.take_record(&name_key(consumer));
        body.take_record(&consumer_key(group, name));
        Some(held.len())
    }

    /// Gives an entry to a consumer, whoever had it before. `false` if the consumer is not there:
    /// nothing is changed then. Whether the entry is in the stream does not matter. O(log n).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// for mut group in stream.group_mut(b"mailers") {
    ///     group.create_consumer(b"ada", 7);
    ///     group.create_consumer(b"bob", 7);
    ///     let id = StreamId { milliseconds: 5, sequence: 0 };
    ///     assert!(group.assign(id, b"ada", 7, 1));
    ///     assert!(group.assign(id, b"bob", 8, 2));
    ///     assert!(!group.assign(id, b"eve", 9, 3));
    ///     assert!(group.as_ref().pending(id).is_some_and(|pending| pending.consumer == b"bob"));
    /// }
    /// ```
    pub fn assign(
        &mut self,
        id: StreamId,
        consumer: &[u8],
        delivered_ms: u64,
        deliveries: u64,
    ) -> bool {
        let Some(ConsumerRecord { number, .. }) = self.consumer(consumer) else {
            return false;
        };
        let key = pending_key(self.record.number, id);
        let record = PendingRecord {
            consumer: number,
            delivered_ms,
            deliveries,
        };
        let body = &mut self.stream.body;
        let known = body.view().record(&key);
        let known = known.map(|item| PendingRecord::from_bytes(item.value));
        if known == Some(record) {
            return true;
        }
        if known.is_none_or(|known| known.consumer != number) {
            if let Some(known) = known
                && !fault!("a claimed entry stays with its old consumer too")
            {
                body.take_record(&held_key(known.consumer, id));
            }
            body.put_record(&held_key(number, id), b"");
        }
        body.put_record(&key, &record.to_bytes());
        true
    }

    /// An entry is done. `true` if it was pending. O(log n).
    ///
    /// ```
    /// use darter_storage::{StreamId, StreamValue};
    /// let mut stream = StreamValue::new();
    /// stream.create_group(b"mailers", StreamId::default(), None);
    /// for mut group in stream.group_mut(b"mailers") {
    ///     group.create_consumer(b"ada", 7);
    ///     let id = StreamId { milliseconds: 5, sequence: 0 };
    ///     group.assign(id, b"ada", 7, 1);
    ///     assert!(group.acknowledge(id));
    ///     assert!(!group.acknowledge(id));
    /// }
    /// ```
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let key = pending_key(self.record.number, id);
        let body = &mut self.stream.body;
        let Some(item) = body.view().record(&key) else {
            return false;
        };
        let consumer = PendingRecord::from_bytes(item.value).consumer;
        body.take_record(&key);
        if !fault!("an acknowledged entry stays with its consumer") {
            body.take_record(&held_key(consumer, id));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(milliseconds: u64) -> StreamId {
        StreamId {
            milliseconds,
            sequence: milliseconds % 3,
        }
    }

    fn counts(group: StreamGroup<'_>) -> Vec<(&[u8], usize)> {
        group
            .consumers()
            .map(|consumer| (consumer.name(), consumer.pending_count()))
            .collect()
    }

    #[test]
    fn what_is_pending_belongs_to_one_consumer() {
        let mut stream = StreamValue::new();
        for name in [&b"g"[..], b"other"] {
            assert!(stream.create_group(name, id(0), Some(0)));
            let mut group = stream.group_mut(name).unwrap();
            for consumer in [&b"a"[..], b"b", b"with nothing"] {
                assert!(group.create_consumer(consumer, 1));
            }
            for milliseconds in 0..2_000 {
                assert!(group.assign(id(milliseconds), b"a", 5, 1));
            }
        }
        let mut group = stream.group_mut(b"g").unwrap();
        for milliseconds in (0..2_000).step_by(2) {
            assert!(group.assign(id(milliseconds), b"b", 6, 2));
        }
        for milliseconds in (0..2_000).step_by(4) {
            assert!(group.acknowledge(id(milliseconds)));
        }
        let now = group.as_ref();
        assert_eq!(now.pending_count(), 1_500);
        assert_eq!(now.pending_bounds(), Some((id(1), id(1_999))));
        let expected: [(&[u8], usize); 3] = [(b"a", 1_000), (b"b", 500), (b"with nothing", 0)];
        assert_eq!(counts(now), expected);
        assert_eq!(group.delete_consumer(b"a"), Some(1_000));
        assert_eq!(group.as_ref().pending_count(), 500);
        let other = stream.as_ref().group(b"other").unwrap();
        assert_eq!(
            (other.pending_count(), counts(other)[0].1),
            (2_000, 2_000),
            "groups know nothing of each other"
        );
        assert!(stream.destroy_group(b"other"));
        assert_eq!(stream.as_ref().group_count(), 1);
    }

    #[test]
    fn a_stream_without_groups_has_nothing_left_of_them() {
        let mut stream = StreamValue::new();
        stream.append(id(1), &[(b"f", b"v")]);
        assert!(stream.create_group(b"g", id(0), None));
        assert!(!stream.body.is_flat());
        let mut group = stream.group_mut(b"g").unwrap();
        group.see_consumer(b"a", 1, None);
        group.assign(id(1), b"a", 1, 1);
        assert!(stream.destroy_group(b"g"));
        assert_eq!(stream.body.view().count_records(&[0], &[0xff]), 0);
        assert_eq!(stream.as_ref().len(), 1);
    }
}
