//! Values while a transaction changes them.
//!
//! A large value that is being changed shares nodes with the version that it was made from, so it
//! may be neither copied nor moved out of its transaction: outside, nothing would keep those nodes.
//! Hence nobody outside gets a `&mut` of it, with which it could be exchanged for another, but one
//! of the types here, which has the methods that change it and nothing else.

use std::ops::Deref;

use super::{
    HashValue, ListValue, SetValue, SortedSetValue, StreamGroupMut, StreamId, StreamValue,
    StringValue, Type, Value, ValueRef,
};
use crate::error::Error;

/// A type's changing methods, each listed once, and all of its reading ones.
macro_rules! changed_in_place {
    ($(
        $(#[$documentation:meta])*
        pub struct $name:ident($value:ident) {
            $(fn $method:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*
        }
    )*) => {$(
        $(#[$documentation])*
        pub struct $name<'t>(&'t mut $value);

        impl Deref for $name<'_> {
            type Target = $value;

            #[inline]
            fn deref(&self) -> &$value {
                self.0
            }
        }

        impl $name<'_> {$(
            #[doc = concat!("See [`", stringify!($value), "::", stringify!($method), "`].")]
            #[inline]
            pub fn $method(&mut self, $($argument: $type),*) $(-> $result)? {
                self.0.$method($($argument),*)
            }
        )*}
    )*};
}

changed_in_place! {
    /// A string of a transaction, to be changed where it is.
    ///
    /// ```
    /// use darter_storage::{Error, Store, StringValue, Value, ValueMut};
    /// let store = Store::new();
    /// store.update("log", || Value::String(StringValue::new(b"")), |value| {
    ///     let ValueMut::String(mut text) = value else { panic!("a string") };
    ///     text.append(b"started\n");
    ///     Ok::<_, Error>(())
    /// })?;
    /// assert_eq!(store.get("log")?.as_deref(), Some(&b"started\n"[..]));
    /// # Ok::<(), Error>(())
    /// ```
    pub struct StringMut(StringValue) {
        fn set(bytes: &[u8]);
        fn append(bytes: &[u8]);
        fn write_at(offset: usize, bytes: &[u8]) -> Result<(), Error>;
        fn truncate(len: usize);
    }

    /// A list of a transaction, to be changed where it is.
    ///
    /// ```
    /// use darter_storage::{Error, ListValue, Store, Value, ValueMut};
    /// let store = Store::new();
    /// let length = store.update("jobs", || Value::List(ListValue::new()), |value| {
    ///     let ValueMut::List(mut jobs) = value else { panic!("a list") };
    ///     jobs.push_back(b"mail");
    ///     Ok::<_, Error>(jobs.as_ref().len())
    /// })?;
    /// assert_eq!(length, 1);
    /// # Ok::<(), Error>(())
    /// ```
    pub struct ListMut(ListValue) {
        fn push_front(element: &[u8]);
        fn push_back(element: &[u8]);
        fn pop_front() -> Option<Vec<u8>>;
        fn pop_back() -> Option<Vec<u8>>;
        fn set(index: usize, element: &[u8]) -> bool;
        fn insert(index: usize, element: &[u8]);
        fn remove_range(start: usize, end: usize) -> usize;
    }

    /// A set of a transaction, to be changed where it is.
    ///
    /// ```
    /// use darter_storage::{Error, SetValue, Store, Value, ValueMut};
    /// let store = Store::new();
    /// let is_new = store.update("seen", || Value::Set(SetValue::new()), |value| {
    ///     let ValueMut::Set(mut seen) = value else { panic!("a set") };
    ///     Ok::<_, Error>(seen.insert(b"ada"))
    /// })?;
    /// assert!(is_new);
    /// # Ok::<(), Error>(())
    /// ```
    pub struct SetMut(SetValue) {
        fn insert(member: &[u8]) -> bool;
        fn remove(member: &[u8]) -> bool;
    }

    /// A sorted set of a transaction, to be changed where it is.
    ///
    /// ```
    /// use darter_storage::{Error, SortedSetValue, Store, Value, ValueMut};
    /// let store = Store::new();
    /// store.update("scores", || Value::SortedSet(SortedSetValue::new()), |value| {
    ///     let ValueMut::SortedSet(mut scores) = value else { panic!("a sorted set") };
    ///     scores.insert(b"ada", 36.0);
    ///     Ok::<_, Error>(())
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    pub struct SortedSetMut(SortedSetValue) {
        fn insert(member: &[u8], score: f64) -> Option<f64>;
        fn remove(member: &[u8]) -> Option<f64>;
        fn remove_ranks(start: usize, end: usize) -> usize;
    }

    /// A hash of a transaction, to be changed where it is.
    ///
    /// ```
    /// use darter_storage::{Error, HashValue, Store, Value, ValueMut};
    /// let store = Store::new();
    /// store.update("user:1", || Value::Hash(HashValue::new()), |value| {
    ///     let ValueMut::Hash(mut user) = value else { panic!("a hash") };
    ///     if user.as_ref().get(b"name").is_none() {
    ///         user.insert(b"name", b"Ada");
    ///     }
    ///     Ok::<_, Error>(())
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// It cannot be taken away, nor another be put in its place: for that there is
    /// [`Transaction::set`](crate::Transaction::set).
    ///
    /// ```compile_fail,E0596
    /// # use darter_storage::{Error, HashValue, Store, Value, ValueMut};
    /// # let store = Store::new();
    /// # store.update("user:1", || Value::Hash(HashValue::new()), |value| {
    /// #     let ValueMut::Hash(mut user) = value else { panic!("a hash") };
    /// std::mem::take(&mut *user);
    /// #     Ok::<_, Error>(())
    /// # });
    /// ```
    pub struct HashMut(HashValue) {
        fn insert(field: &[u8], value: &[u8]) -> bool;
        fn insert_within_deadline(field: &[u8], value: &[u8]) -> bool;
        fn set_deadline(field: &[u8], deadline_ms: u64) -> bool;
        fn remove(field: &[u8]) -> bool;
    }

    /// A stream of a transaction, to be changed where it is.
    ///
    /// ```
    /// use darter_storage::{Error, Store, StreamId, StreamValue, Value, ValueMut};
    /// let store = Store::new();
    /// store.update("events", || Value::Stream(StreamValue::new()), |value| {
    ///     let ValueMut::Stream(mut events) = value else { panic!("a stream") };
    ///     events.append(StreamId { milliseconds: 5, sequence: 0 }, &[(b"kind", b"start")]);
    ///     Ok::<_, Error>(())
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    pub struct StreamMut(StreamValue) {
        fn append(id: StreamId, fields: &[(&[u8], &[u8])]) -> bool;
        fn remove(id: StreamId) -> bool;
        fn trim_front(count: usize) -> usize;
        fn set_last_id(last_id: StreamId, added: Option<u64>, deleted: Option<StreamId>) -> bool;
        fn create_group(name: &[u8], last_delivered_id: StreamId, read: Option<u64>) -> bool;
        fn destroy_group(name: &[u8]) -> bool;
        fn group_mut(name: &[u8]) -> Option<StreamGroupMut<'_>>;
    }
}

/// A value of a transaction, to be changed where it is:
/// [`Transaction::update`](crate::Transaction::update) and its like hand it out.
///
/// ```
/// use darter_storage::{Error, SetValue, Store, Value, ValueMut};
/// let store = Store::new();
/// store.transaction(|tx| {
///     let value = tx.upsert(0, b"seen", || Value::Set(SetValue::new()))?;
///     if let ValueMut::Set(mut set) = value {
///         set.insert(b"ada");
///     }
///     assert!(store.view("seen", |value| value.is_none())?, "not committed yet");
///     Ok::<_, Error>(())
/// })?;
/// assert!(store.view("seen", |value| value.is_some())?);
/// # Ok::<(), Error>(())
/// ```
pub enum ValueMut<'t> {
    /// A string.
    String(StringMut<'t>),
    /// A list.
    List(ListMut<'t>),
    /// A set.
    Set(SetMut<'t>),
    /// A sorted set.
    SortedSet(SortedSetMut<'t>),
    /// A hash.
    Hash(HashMut<'t>),
    /// A stream.
    Stream(StreamMut<'t>),
}

impl ValueMut<'_> {
    /// Its type. O(1).
    ///
    /// ```
    /// use darter_storage::{Error, Store, Type};
    /// let store = Store::new();
    /// store.set("k", "text");
    /// let kind = store.transaction(|tx| Ok::<_, Error>(tx.update(0, b"k")?.map(|v| v.kind())))?;
    /// assert_eq!(kind, Some(Type::String));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn kind(&self) -> Type {
        self.as_ref().kind()
    }

    /// The value as it is now.
    ///
    /// ```
    /// use darter_storage::{Error, Store, StringValue, Value, ValueMut, ValueRef};
    /// let store = Store::new();
    /// store.update("k", || Value::String(StringValue::new(b"")), |mut value| {
    ///     if let ValueMut::String(text) = &mut value {
    ///         text.append(b"text");
    ///     }
    ///     assert!(matches!(value.as_ref(), ValueRef::String(text) if text.len() == 4));
    ///     Ok::<_, Error>(())
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            ValueMut::String(string) => ValueRef::String(string.as_ref()),
            ValueMut::List(list) => ValueRef::List(list.as_ref()),
            ValueMut::Set(set) => ValueRef::Set(set.as_ref()),
            ValueMut::SortedSet(set) => ValueRef::SortedSet(set.as_ref()),
            ValueMut::Hash(hash) => ValueRef::Hash(hash.as_ref()),
            ValueMut::Stream(stream) => ValueRef::Stream(stream.as_ref()),
        }
    }
}

impl Value {
    /// To be changed where it is.
    pub(crate) fn to_mut(&mut self) -> ValueMut<'_> {
        match self {
            Value::String(string) => ValueMut::String(StringMut(string)),
            Value::List(list) => ValueMut::List(ListMut(list)),
            Value::Set(set) => ValueMut::Set(SetMut(set)),
            Value::SortedSet(set) => ValueMut::SortedSet(SortedSetMut(set)),
            Value::Hash(hash) => ValueMut::Hash(HashMut(hash)),
            Value::Stream(stream) => ValueMut::Stream(StreamMut(stream)),
        }
    }
}
