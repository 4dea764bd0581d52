//! Values: what a key holds, to be read (`ValueRef`) or changed by one transaction (`ValueMut`), and
//! what is made to be put there (`Value`).
//!
//! A small value is one buffer inside its version and is copied to be changed. A large one is a
//! tree of nodes that versions share; see `tree` for who frees them.

mod body;
mod changing;
mod deadlines;
mod flat;
mod group;
mod group_mut;
mod hash;
mod list;
mod order;
mod records;
mod set;
mod sorted_set;
mod stream;
mod string;
mod tree;
mod view;

pub use changing::{HashMut, ListMut, SetMut, SortedSetMut, StreamMut, StringMut, ValueMut};
pub use group::{StreamConsumer, StreamGroup, StreamPending};
pub use group_mut::StreamGroupMut;
pub use hash::{HashRef, HashValue};
pub use list::{ListRef, ListValue};
pub(crate) use set::parse_integer;
pub use set::{SetEncoding, SetRef, SetValue};
pub use sorted_set::{SortedSetRef, SortedSetValue};
pub use stream::{StreamEntry, StreamId, StreamRef, StreamValue};
pub use string::{StringRef, StringValue};
pub(crate) use tree::{Garbage, TreeState};

use body::Body;
use order::Order;
use stream::{STREAM_HEAD_BYTES, StreamHead};
use view::View;

/// The type of a value. A key may come to hold another type, a value does not.
///
/// ```
/// use darter_storage::{Mode, Store, Type};
/// let store = Store::new();
/// store.set("k", "text");
/// assert_eq!(store.begin(Mode::Direct).kind(0, b"k")?, Some(Type::String));
/// # Ok::<(), darter_storage::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Type {
    /// Bytes.
    String = 1,
    /// Elements by position.
    List = 2,
    /// Members.
    Set = 3,
    /// Members ordered by score.
    SortedSet = 4,
    /// Fields with values.
    Hash = 5,
    /// Entries ordered by ID.
    Stream = 6,
}

impl Type {
    fn order(self) -> Order {
        match self {
            Type::String | Type::List => Order::Position,
            Type::Set | Type::Hash => Order::Hash,
            Type::SortedSet => Order::Score,
            Type::Stream => Order::Key,
        }
    }
}

/// A value to be read, borrowed from where it is stored: nothing is copied.
///
/// ```
/// use darter_storage::{Store, ValueRef};
/// let store = Store::new();
/// store.set("k", "text");
/// let length = store.view("k", |value| match value {
///     Some(ValueRef::String(text)) => text.len(),
///     Some(ValueRef::List(list)) => list.len(),
///     Some(_) | None => 0,
/// })?;
/// assert_eq!(length, 4);
/// # Ok::<(), darter_storage::Error>(())
/// ```
#[derive(Clone, Copy)]
pub enum ValueRef<'a> {
    /// A string.
    String(StringRef<'a>),
    /// A list.
    List(ListRef<'a>),
    /// A set.
    Set(SetRef<'a>),
    /// A sorted set.
    SortedSet(SortedSetRef<'a>),
    /// A hash.
    Hash(HashRef<'a>),
    /// A stream.
    Stream(StreamRef<'a>),
}

impl<'a> ValueRef<'a> {
    /// Its type. O(1).
    ///
    /// ```
    /// use darter_storage::{HashValue, Type, Value};
    /// let value = Value::Hash(HashValue::new());
    /// assert_eq!(value.as_ref().kind(), Type::Hash);
    /// ```
    pub fn kind(self) -> Type {
        match self {
            ValueRef::String(_) => Type::String,
            ValueRef::List(_) => Type::List,
            ValueRef::Set(_) => Type::Set,
            ValueRef::SortedSet(_) => Type::SortedSet,
            ValueRef::Hash(_) => Type::Hash,
            ValueRef::Stream(_) => Type::Stream,
        }
    }

    fn view(self) -> View<'a> {
        match self {
            ValueRef::String(string) => string.view,
            ValueRef::List(list) => list.view,
            ValueRef::Set(set) => set.view,
            ValueRef::SortedSet(set) => set.view,
            ValueRef::Hash(hash) => hash.view,
            ValueRef::Stream(stream) => stream.view,
        }
    }

    /// About how much memory it takes, in bytes, shared nodes included. O(1).
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.set("k", "x".repeat(1_000_000));
    /// let bytes = store.view("k", |value| value.map_or(0, |value| value.memory_bytes()))?;
    /// assert!((1_000_000..1_500_000).contains(&bytes));
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn memory_bytes(self) -> usize {
        self.view().memory_bytes()
    }

    /// The same as of a time: of a hash, fields past their deadlines are not there.
    #[inline]
    pub(crate) fn at(self, now_ms: u64) -> ValueRef<'a> {
        match self {
            ValueRef::Hash(hash) => ValueRef::Hash(hash.at(now_ms)),
            other => other,
        }
    }

    /// The state of a hash of which fields have deadlines.
    pub(crate) fn timed_fields(self) -> Option<&'a TreeState> {
        match self {
            ValueRef::Hash(HashRef { view, .. }) => match view.form {
                view::Form::Tree(state) => (state.timed_fields() > 0).then_some(state),
                view::Form::Flat(_) => None,
            },
            _ => None,
        }
    }

    fn new(kind: Type, view: View<'a>, head: StreamHead) -> ValueRef<'a> {
        match kind {
            Type::String => ValueRef::String(StringRef { view }),
            Type::List => ValueRef::List(ListRef { view }),
            Type::Set => ValueRef::Set(SetRef { view }),
            Type::SortedSet => ValueRef::SortedSet(SortedSetRef { view }),
            Type::Hash => ValueRef::Hash(HashRef { view, now_ms: 0 }),
            Type::Stream => ValueRef::Stream(StreamRef { view, head }),
        }
    }

    /// What `Stored::Flat` was made of.
    #[inline]
    pub(crate) fn from_flat(kind: Type, encoding: u8, bytes: &'a [u8]) -> ValueRef<'a> {
        if kind == Type::Stream {
            let (head, entries) = bytes
                .split_first_chunk()
                .unwrap_or((&[0; STREAM_HEAD_BYTES], b""));
            let head = StreamHead::from_bytes(head);
            return ValueRef::new(kind, View::flat(encoding, entries), head);
        }
        ValueRef::new(kind, View::flat(encoding, bytes), StreamHead::default())
    }

    /// What `Stored::Tree` holds; it must have roots.
    pub(crate) fn from_tree(state: &'a TreeState) -> ValueRef<'a> {
        ValueRef::new(state.kind(), View::tree(state), state.head)
    }
}

/// A value that is being made, to be put in a key by
/// [`Transaction::set`](crate::Transaction::set) or its like. What a key holds already is changed
/// as a [`ValueMut`].
///
/// ```
/// use darter_storage::{Deadline, Error, SetValue, Store, Value};
/// let store = Store::new();
/// let mut set = SetValue::new();
/// set.insert(b"ada");
/// let mut made = Some(Value::Set(set));
/// store.try_transaction(|tx| match made.take() {
///     Some(value) => tx.set(0, b"seen", value, Deadline::Never),
///     None => Ok(()),
/// })?;
/// assert!(store.view("seen", |value| value.is_some())?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub enum Value {
    /// A string.
    String(StringValue),
    /// A list.
    List(ListValue),
    /// A set.
    Set(SetValue),
    /// A sorted set.
    SortedSet(SortedSetValue),
    /// A hash.
    Hash(HashValue),
    /// A stream.
    Stream(StreamValue),
}

/// What a value becomes in its version.
pub(crate) enum Stored {
    /// One buffer.
    Flat {
        kind: Type,
        encoding: u8,
        bytes: Vec<u8>,
    },
    /// A tree.
    Tree(Box<TreeState>),
}

impl Value {
    /// Its type. O(1).
    ///
    /// ```
    /// use darter_storage::{ListValue, Type, Value};
    /// assert_eq!(Value::List(ListValue::new()).kind(), Type::List);
    /// ```
    pub fn kind(&self) -> Type {
        self.as_ref().kind()
    }

    /// The value as it is now.
    ///
    /// ```
    /// use darter_storage::{StringValue, Value, ValueRef};
    /// let value = Value::String(StringValue::new(b"text"));
    /// assert!(matches!(value.as_ref(), ValueRef::String(text) if text.len() == 4));
    /// ```
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::String(string) => ValueRef::String(string.as_ref()),
            Value::List(list) => ValueRef::List(list.as_ref()),
            Value::Set(set) => ValueRef::Set(set.as_ref()),
            Value::SortedSet(set) => ValueRef::SortedSet(set.as_ref()),
            Value::Hash(hash) => ValueRef::Hash(hash.as_ref()),
            Value::Stream(stream) => ValueRef::Stream(stream.as_ref()),
        }
    }

    /// Whether it is a collection without elements, which is to say: not there. Strings and
    /// streams may be empty.
    ///
    /// ```
    /// use darter_storage::{ListValue, StringValue, Value};
    /// assert!(Value::List(ListValue::new()).is_empty());
    /// assert!(!Value::String(StringValue::new(b"")).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        match self.as_ref() {
            ValueRef::String(_) | ValueRef::Stream(_) => false,
            value => value.view().len() == 0,
        }
    }

    fn from_body(kind: Type, body: Body, head: StreamHead) -> Value {
        match kind {
            Type::String => Value::String(StringValue { body }),
            Type::List => Value::List(ListValue { body }),
            Type::Set => Value::Set(SetValue { body }),
            Type::SortedSet => Value::SortedSet(SortedSetValue { body }),
            Type::Hash => Value::Hash(HashValue { body }),
            Type::Stream => Value::Stream(StreamValue { body, head }),
        }
    }

    fn into_body(self) -> (Body, StreamHead) {
        let head = StreamHead::default();
        match self {
            Value::String(string) => (string.body, head),
            Value::List(list) => (list.body, head),
            Value::Set(set) => (set.body, head),
            Value::SortedSet(set) => (set.body, head),
            Value::Hash(hash) => (hash.body, head),
            Value::Stream(stream) => (stream.body, stream.head),
        }
    }

    fn body(&self) -> &Body {
        match self {
            Value::String(string) => &string.body,
            Value::List(list) => &list.body,
            Value::Set(set) => &set.body,
            Value::SortedSet(set) => &set.body,
            Value::Hash(hash) => &hash.body,
            Value::Stream(stream) => &stream.body,
        }
    }

    /// A private value that starts as `value` is, to be put over the version that holds it.
    /// O(size) while small, else O(1). What `value` borrows from must stay until the private
    /// value has become a version or is dropped.
    pub(crate) fn fork(value: ValueRef<'_>) -> Value {
        let kind = value.kind();
        Value::from_body(kind, Body::fork(value.view(), kind), value.head())
    }

    /// A private value that starts as `value` is and does not depend on it. O(size).
    pub(crate) fn copy(value: ValueRef<'_>) -> Value {
        let kind = value.kind();
        Value::from_body(kind, Body::copy(value.view(), kind), value.head())
    }

    /// Removes from a hash what is past its deadline. `true` if there was something.
    pub(crate) fn remove_past(&mut self, now_ms: u64) -> bool {
        match self {
            Value::Hash(hash) => hash.remove_past(now_ms) > 0,
            _ => false,
        }
    }

    /// Whether anything is different from what it was made from.
    pub(crate) fn changed(&self) -> bool {
        self.body().changed
    }

    /// Makes of it what goes into a version.
    pub(crate) fn store(mut self) -> Stored {
        if let Value::String(string) = &mut self {
            string.shrink();
        }
        let kind = self.kind();
        let (body, head) = self.into_body();
        body.store(kind, head)
    }
}

impl<'a> ValueRef<'a> {
    fn head(self) -> StreamHead {
        match self {
            ValueRef::Stream(stream) => stream.head,
            _ => StreamHead::default(),
        }
    }
}

#[cfg(test)]
mod tests;
