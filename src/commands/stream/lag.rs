//! How far groups have read: how many of the entries ever added, as far as that can be told.

use darter_storage::{StreamGroup, StreamId, StreamRef};

/// What a stream says of its past.
#[derive(Clone, Copy)]
pub(super) struct Past {
    length: u64,
    entries_added: u64,
    first_id: StreamId,
    last_id: StreamId,
    max_deleted_id: StreamId,
}

impl Past {
    pub(super) fn of(stream: StreamRef<'_>) -> Past {
        Past {
            length: stream.len() as u64,
            entries_added: stream.entries_added(),
            first_id: stream.first_id(),
            last_id: stream.last_id(),
            max_deleted_id: stream.max_deleted_id(),
        }
    }

    fn has_deletions(self) -> bool {
        self.max_deleted_id != StreamId::default()
    }

    /// Whether entries may have been deleted at or behind an ID, so that counting is no use.
    fn has_gaps_from(self, id: StreamId) -> bool {
        let is_within = self.has_deletions() && self.first_id <= self.max_deleted_id;
        self.length > 0 && is_within && id <= self.max_deleted_id
    }

    /// How many entries had been added with the one of this ID, if that can be told.
    fn added_with(self, id: StreamId) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if self.length == 0 && id <= self.last_id || id == self.last_id {
            return Some(self.entries_added);
        }
        let is_whole = !self.has_deletions() || self.max_deleted_id < self.first_id;
        if id > self.last_id || !is_whole {
            return None;
        }
        let before = self.entries_added.saturating_sub(self.length);
        if id < self.first_id {
            Some(before)
        } else {
            (id == self.first_id).then_some(before + 1)
        }
    }

    /// How many entries a group has read once it reads on, to the one of this ID.
    pub(super) fn read_on(self, entries_read: Option<u64>, id: StreamId) -> Option<u64> {
        match entries_read {
            Some(read) if !self.has_gaps_from(id) => Some(read.saturating_add(1)),
            known if self.entries_added == 0 => known,
            _ => self.added_with(id),
        }
    }

    /// How many entries a group has still to read, if that can be told.
    pub(super) fn lag(self, group: StreamGroup<'_>) -> Option<i64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        let last_id = group.last_delivered_id();
        let read = match group.entries_read() {
            Some(read) if !self.has_gaps_from(last_id) => read,
            _ => self.added_with(last_id)?,
        };
        Some(self.entries_added.wrapping_sub(read) as i64)
    }
}

#[cfg(test)]
mod tests {
    use darter_storage::StreamValue;

    use super::*;

    fn id(milliseconds: u64) -> StreamId {
        StreamId {
            milliseconds,
            sequence: 0,
        }
    }

    fn lag(stream: &mut StreamValue, position: u64, read: Option<u64>) -> Option<i64> {
        let mut group = stream.group_mut(b"g").unwrap();
        group.set_position(id(position), read);
        Past::of(group.stream()).lag(group.as_ref())
    }

    #[test]
    fn a_lag_is_told_where_it_can_be_known() {
        let mut stream = StreamValue::new();
        stream.create_group(b"g", id(0), None);
        assert_eq!(lag(&mut stream, 5, None), Some(0), "nothing was ever added");
        for milliseconds in 1..=9 {
            stream.append(id(milliseconds), &[]);
        }
        assert_eq!(lag(&mut stream, 0, None), Some(9), "before all");
        assert_eq!(lag(&mut stream, 1, None), Some(8), "at the first");
        assert_eq!(lag(&mut stream, 4, None), None, "in the middle");
        assert_eq!(lag(&mut stream, 4, Some(4)), Some(5), "counted");
        assert_eq!(lag(&mut stream, 9, None), Some(0), "at the last");
        assert_eq!(lag(&mut stream, 10, None), None, "in the future");
        stream.remove(id(6));
        assert_eq!(lag(&mut stream, 4, Some(4)), None, "a gap is to come");
        assert_eq!(lag(&mut stream, 7, Some(7)), Some(2), "the gap is behind");
        stream.trim_front(6);
        assert_eq!(lag(&mut stream, 4, None), Some(2), "trimmed beyond the gap");
        assert_eq!(
            lag(&mut stream, 4, Some(4)),
            Some(5),
            "counted before the gap"
        );
        stream.trim_front(9);
        assert_eq!(lag(&mut stream, 4, None), Some(0), "nothing is left");
    }

    #[test]
    fn who_reads_on_is_counted_again_where_it_can_be() {
        let mut stream = StreamValue::new();
        for milliseconds in 1..=4 {
            stream.append(id(milliseconds), &[]);
        }
        let past = Past::of(stream.as_ref());
        assert_eq!(past.read_on(Some(2), id(3)), Some(3));
        assert_eq!(past.read_on(None, id(3)), None);
        assert_eq!(past.read_on(None, id(1)), Some(1));
        assert_eq!(past.read_on(None, id(4)), Some(4));
        stream.remove(id(3));
        let past = Past::of(stream.as_ref());
        assert_eq!(past.read_on(Some(1), id(2)), None);
        assert_eq!(past.read_on(Some(3), id(4)), Some(4));
    }
}
