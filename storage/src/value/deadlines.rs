//! When fields of a hash expire, as records of its second tree, each time twice: by the deadline, so
//! that what is due is found first, and by the field.
//!
//! | kind | behind the kind | value |
//! |---|---|---|
//! | due | deadline, field | nothing |
//! | field | field | deadline |
//!
//! A hash without such fields has no second tree, and a bit of its encoding says so. A field past its
//! deadline stays where it is until the hash is changed, but whoever reads at a time that is past it
//! does not see it.

use super::hash::{HashRef, HashValue};
use super::order::hash;
use super::tree::{MAIN, TreeState};
use super::view::{Form, View};

/// The bit of a hash's encoding that says that fields of it have deadlines.
pub(super) const WITH_DEADLINES: u8 = 2;

const DUE: u8 = 0x60;
pub(super) const FIELD: u8 = 0x70;

/// What a deadline is cut to: it must leave room for the kind in a record's word.
const DEADLINE_MS_MAX: u64 = (1 << 56) - 2;
const DEADLINE_BYTES: usize = 7;

fn due_key(deadline_ms: u64, field: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + DEADLINE_BYTES + field.len());
    key.push(DUE);
    key.extend_from_slice(&deadline_ms.to_be_bytes()[1..]);
    key.extend_from_slice(field);
    key
}

fn field_key(field: &[u8]) -> Vec<u8> {
    [&[FIELD], field].concat()
}

/// The word of a field's record, which no field's length or beginning decides.
pub(super) fn field_word(field: &[u8]) -> u64 {
    (u64::from(FIELD) << 56) | (hash(field) >> 8)
}

fn read_deadline(bytes: &[u8]) -> u64 {
    let bytes = bytes.iter().take(DEADLINE_BYTES);
    bytes.fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

fn deadline_of_due(key: &[u8]) -> u64 {
    read_deadline(key.get(1..).unwrap_or_default())
}

fn field_of_due(key: &[u8]) -> &[u8] {
    key.get(1 + DEADLINE_BYTES..).unwrap_or_default()
}

/// Where what is due at a time begins, and where it has ended.
fn due_until(now_ms: u64) -> (Vec<u8>, Vec<u8>) {
    let end_ms = now_ms.min(DEADLINE_MS_MAX) + 1;
    (due_key(0, b""), due_key(end_ms, b""))
}

impl TreeState {
    /// When the last field of a hash expires, if all of them do; 0 if not.
    pub(crate) fn fields_until_ms(&self) -> u64 {
        let timed = self.timed_fields();
        if timed == 0 || timed < self.len() {
            return 0;
        }
        let (from, to) = due_until(DEADLINE_MS_MAX);
        let last = View::tree(self).last_record(&from, &to);
        last.map_or(0, |item| deadline_of_due(item.key))
    }

    /// The first deadline of a field after a time, if there is one.
    pub(crate) fn next_field_deadline_ms(&self, now_ms: u64) -> Option<u64> {
        if self.timed_fields() == 0 {
            return None;
        }
        let (_, from) = due_until(now_ms);
        let (_, to) = due_until(DEADLINE_MS_MAX);
        let next = View::tree(self).records_between(&from, &to).next();
        next.map(|item| deadline_of_due(item.key))
    }

    /// Whether fields of a hash are past their deadlines.
    pub(crate) fn has_due_fields(&self, now_ms: u64) -> bool {
        let (from, to) = due_until(now_ms);
        self.timed_fields() > 0
            && View::tree(self)
                .records_between(&from, &to)
                .next()
                .is_some()
    }
}

impl<'a> HashRef<'a> {
    /// The same, as of a time.
    pub(crate) fn at(self, now_ms: u64) -> HashRef<'a> {
        HashRef { now_ms, ..self }
    }

    /// Whether fields of it have deadlines. O(1).
    ///
    /// ```
    /// # use darter_storage::HashValue;
    /// let mut hash = HashValue::new();
    /// hash.insert(b"code", b"1234");
    /// assert!(!hash.as_ref().has_deadlines());
    /// hash.set_deadline(b"code", 60_000);
    /// assert!(hash.as_ref().has_deadlines());
    /// ```
    #[inline]
    pub fn has_deadlines(self) -> bool {
        self.view.encoding & WITH_DEADLINES != 0
    }

    /// When a field expires, in milliseconds since 1970; 0 if it does not, `None` if it is not there.
    /// O(log n).
    ///
    /// ```
    /// # use darter_storage::HashValue;
    /// let mut hash = HashValue::new();
    /// hash.insert(b"code", b"1234");
    /// hash.set_deadline(b"code", 60_000);
    /// hash.insert(b"name", b"Ada");
    /// let hash = hash.as_ref();
    /// let fields = [b"code", b"name", b"none"];
    /// assert_eq!(fields.map(|field| hash.deadline_ms(field)), [Some(60_000), Some(0), None]);
    /// ```
    pub fn deadline_ms(self, field: &[u8]) -> Option<u64> {
        self.get(field)?;
        Some(self.own_deadline_ms(field).unwrap_or(0))
    }

    /// As it stands in the records, whether or not it has passed.
    fn own_deadline_ms(self, field: &[u8]) -> Option<u64> {
        if !self.has_deadlines() {
            return None;
        }
        let record = self.view.record(&field_key(field))?;
        Some(read_deadline(record.value))
    }

    /// Whether a field that is stored is past its deadline.
    #[inline]
    pub(super) fn is_past(self, field: &[u8]) -> bool {
        self.has_deadlines()
            && !fault!("fields are read past their deadlines")
            && self
                .own_deadline_ms(field)
                .is_some_and(|deadline_ms| deadline_ms <= self.now_ms)
    }

    /// How many fields that are stored are past their deadlines. O(log n), O(1) without deadlines.
    #[inline]
    pub(super) fn past(self) -> usize {
        if !self.has_deadlines() {
            return 0;
        }
        let (from, to) = due_until(self.now_ms);
        self.view.count_records(&from, &to)
    }

    /// Of each field past its deadline, how many that are not are before it; in order.
    pub(super) fn before_past(self) -> Vec<usize> {
        let Form::Tree(state) = self.view.form else {
            return Vec::new();
        };
        if !self.has_deadlines() {
            return Vec::new();
        }
        let (from, to) = due_until(self.now_ms);
        let mut ranks: Vec<usize> = self
            .view
            .records_between(&from, &to)
            .map(|item| {
                let field = field_of_due(item.key);
                state.tree(MAIN).seek(hash(field), field).0.rank()
            })
            .collect();
        ranks.sort_unstable();
        for (past_before, rank) in ranks.iter_mut().enumerate() {
            *rank -= past_before;
        }
        ranks
    }
}

impl HashValue {
    /// Sets a field, whatever it held, and leaves it its deadline. `true` if it was not there.
    /// O(log n), or O(size) while the hash is small.
    ///
    /// ```
    /// let mut hash = darter_storage::HashValue::new();
    /// hash.insert(b"visits", b"1");
    /// hash.set_deadline(b"visits", 60_000);
    /// hash.insert_within_deadline(b"visits", b"2");
    /// assert_eq!(hash.as_ref().deadline_ms(b"visits"), Some(60_000));
    /// hash.insert(b"visits", b"3");
    /// assert_eq!(hash.as_ref().deadline_ms(b"visits"), Some(0));
    /// ```
    pub fn insert_within_deadline(&mut self, field: &[u8], value: &[u8]) -> bool {
        self.put(field, value)
    }

    /// Sets when a field expires, in milliseconds since 1970 (0: never; 2^56 - 2 at the latest); from
    /// that time on it is not there for any transaction that begins. `true` if the field is there.
    /// O(log n); a small hash becomes a large one.
    ///
    /// ```
    /// use darter_storage::{Deadline, HashValue, Options, Store, TimeSource, Value, ValueRef};
    /// let store = Store::with_options(Options { time: TimeSource::Manual, ..Options::default() });
    /// let mut hash = HashValue::new();
    /// hash.insert(b"code", b"1234");
    /// hash.insert(b"name", b"Ada");
    /// assert!(hash.set_deadline(b"code", 5_000));
    /// assert!(!hash.set_deadline(b"none", 5_000));
    /// let mut made = Some(Value::Hash(hash));
    /// store.try_transaction(|tx| match made.take() {
    ///     Some(hash) => tx.set(0, b"user", hash, Deadline::Never),
    ///     None => Ok(()),
    /// })?;
    /// let fields = || store.view("user", |value| match value {
    ///     Some(ValueRef::Hash(hash)) => hash.len(),
    ///     _ => 0,
    /// });
    /// assert_eq!(fields()?, 2);
    /// store.set_time(5_000);
    /// assert_eq!(fields()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_deadline(&mut self, field: &[u8], deadline_ms: u64) -> bool {
        if !self.as_ref().contains(field) {
            return false;
        }
        let deadline_ms = deadline_ms.min(DEADLINE_MS_MAX);
        if self.as_ref().own_deadline_ms(field).unwrap_or(0) == deadline_ms {
            return true;
        }
        self.forget_deadline(field);
        if deadline_ms > 0 {
            let bytes = deadline_ms.to_be_bytes();
            self.body.put_record(&due_key(deadline_ms, field), b"");
            self.body.put_record(&field_key(field), &bytes[1..]);
            self.body.encoding |= WITH_DEADLINES;
        }
        true
    }

    /// Takes a field's deadline away, if it has one.
    pub(super) fn forget_deadline(&mut self, field: &[u8]) {
        let Some(deadline_ms) = self.as_ref().own_deadline_ms(field) else {
            return;
        };
        self.body.take_record(&due_key(deadline_ms, field));
        self.body.take_record(&field_key(field));
        let has_more = match self.body.view().form {
            Form::Tree(state) => state.timed_fields() > 0,
            Form::Flat(_) => false,
        };
        if !has_more {
            self.body.encoding &= !WITH_DEADLINES;
        }
    }

    /// Removes what is past its deadline; how many fields it was.
    pub(crate) fn remove_past(&mut self, now_ms: u64) -> usize {
        let hash = self.as_ref().at(now_ms);
        if hash.past() == 0 {
            return 0;
        }
        let (from, to) = due_until(now_ms);
        let past = hash.view.records_between(&from, &to);
        let past: Vec<Box<[u8]>> = past.map(|item| field_of_due(item.key).into()).collect();
        past.iter().for_each(|field| {
            self.remove(field);
        });
        past.len()
    }
}
