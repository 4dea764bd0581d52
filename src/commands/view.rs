//! What a command sees of the data. It cannot tell whether it runs by itself, in MULTI, in a
//! script of any mode, or again after a conflict.

use std::cell::Cell;

use darter_storage::{
    Deadline, HashMut, HashRef, HashValue, ListMut, ListRef, ListValue, Message, SetMut, SetRef,
    SetValue, SortedSetMut, SortedSetRef, SortedSetValue, StreamMut, StreamRef, StreamValue,
    StringMut, StringRef, StringValue, Transaction, Type, Value, ValueMut, ValueRef,
};

use super::error::CommandError;
use crate::fault::fault;
use crate::notifications::{self, class};
use crate::resp::reply::Reply;
use crate::services::Services;

/// What may be allocated without a look at `maxmemory`.
const LARGE_BYTES: usize = 1 << 20;

/// Whether so much may be allocated at once; see `View::check_room`.
pub fn has_room(services: &Services, bytes: usize) -> bool {
    bytes < LARGE_BYTES || services.config.has_room_for(bytes)
}

/// What a reply, or what is made for it, may take without one.
pub const HUGE_READ_BYTES: usize = 16 << 20;
/// Elements of a result that may be made without one.
const ELEMENTS_BETWEEN_CHECKS: usize = 4096;

/// Who says which keys may be read that no argument names: those that SORT makes of patterns, and
/// those that KEYRANGE finds.
pub trait KeyRules {
    /// Asked before such a key is read.
    ///
    /// # Errors
    /// If it may not be.
    fn check(&self, key: &[u8]) -> Result<(), CommandError>;
}

/// See the module's text.
pub struct View<'t> {
    transaction: &'t mut Transaction,
    rules: Option<&'t dyn KeyRules>,
    /// The database that unqualified keys are in.
    pub database: usize,
    /// What all threads share.
    pub services: &'t Services,
    /// Reads that found a key, and reads that found none.
    hits: Cell<u32>,
    misses: Cell<u32>,
    /// Whether reads that find none are told of.
    tells_misses: bool,
}

/// Typed access to one kind of value.
macro_rules! typed {
    ($read:ident, $existing:ident, $upsert:ident, $variant:ident, $reference:ident, $change:ident,
     $value:ident) => {
        /// The value of a key, if it is there.
        ///
        /// # Errors
        /// [`CommandError::WrongType`].
        pub fn $read(&self, key: &[u8]) -> Result<Option<$reference<'_>>, CommandError> {
            match self.get(key)? {
                None => Ok(None),
                Some(ValueRef::$variant(value)) => Ok(Some(value)),
                Some(_) => Err(CommandError::WrongType),
            }
        }

        /// The value of a key, to be changed, if it is there. What is emptied is deleted.
        ///
        /// # Errors
        /// [`CommandError::WrongType`].
        pub fn $existing(&mut self, key: &[u8]) -> Result<Option<$change<'_>>, CommandError> {
            if self.$read(key)?.is_none() {
                return Ok(None);
            }
            match self.transaction.update(self.database, key)? {
                Some(ValueMut::$variant(value)) => Ok(Some(value)),
                _ => Ok(None),
            }
        }

        /// The value of a key, to be changed; a new one if the key is not there.
        ///
        /// # Errors
        /// [`CommandError::WrongType`].
        pub fn $upsert(&mut self, key: &[u8]) -> Result<$change<'_>, CommandError> {
            if self.$read(key)?.is_none() {
                self.notify(class::NEW, "new", key);
            }
            let make = || Value::$variant($value::new());
            match self.transaction.upsert(self.database, key, make)? {
                ValueMut::$variant(value) => Ok(value),
                _ => Err(CommandError::WrongType),
            }
        }
    };
}

impl<'t> View<'t> {
    /// A view through `transaction`.
    pub fn new(
        transaction: &'t mut Transaction,
        database: usize,
        services: &'t Services,
    ) -> View<'t> {
        View {
            transaction,
            rules: None,
            database,
            services,
            hits: Cell::new(0),
            misses: Cell::new(0),
            tells_misses: false,
        }
    }

    /// The same, of which those who want notifications hear of reads that find no key.
    pub fn telling_misses(self, tells_misses: bool) -> View<'t> {
        View {
            tells_misses,
            ..self
        }
    }

    /// The same, under rules for keys that no argument names.
    pub fn under(self, rules: Option<&'t dyn KeyRules>) -> View<'t> {
        View { rules, ..self }
    }

    /// Whether a script's call sees through it.
    pub fn is_in_script(&self) -> bool {
        self.rules.is_some()
    }

    /// From here on it tells of misses: a command that may write reads like one that does not.
    pub fn tell_misses(&mut self) {
        self.tells_misses = true;
    }

    typed!(
        hash,
        hash_mut,
        hash_or_new,
        Hash,
        HashRef,
        HashMut,
        HashValue
    );
    typed!(
        list,
        list_mut,
        list_or_new,
        List,
        ListRef,
        ListMut,
        ListValue
    );
    typed!(set_of, set_mut, set_or_new, Set, SetRef, SetMut, SetValue);
    typed!(
        sorted_set,
        sorted_set_mut,
        sorted_set_or_new,
        SortedSet,
        SortedSetRef,
        SortedSetMut,
        SortedSetValue
    );
    typed!(
        stream,
        stream_mut,
        stream_or_new,
        Stream,
        StreamRef,
        StreamMut,
        StreamValue
    );

    /// The string of a key, if it is there.
    ///
    /// # Errors
    /// [`CommandError::WrongType`].
    pub fn string(&self, key: &[u8]) -> Result<Option<StringRef<'_>>, CommandError> {
        match self.get(key)? {
            None => Ok(None),
            Some(ValueRef::String(value)) => Ok(Some(value)),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    /// The string of a key, to be changed; an empty one if the key is not there.
    ///
    /// # Errors
    /// [`CommandError::WrongType`].
    pub fn string_or_new(&mut self, key: &[u8]) -> Result<StringMut<'_>, CommandError> {
        if self.string(key)?.is_none() {
            self.notify(class::NEW, "new", key);
        }
        let make = || Value::String(StringValue::new(b""));
        match self.transaction.upsert(self.database, key, make)? {
            ValueMut::String(value) => Ok(value),
            _ => Err(CommandError::WrongType),
        }
    }

    /// What a key holds.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDatabase`].
    pub fn get(&self, key: &[u8]) -> Result<Option<ValueRef<'_>>, CommandError> {
        let found = self.peek(key)?;
        if found.is_none() && self.tells_misses {
            self.notify(class::KEY_MISS, "keymiss", key);
        }
        Ok(found)
    }

    /// As `get`, but nobody is told if it is not there.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDatabase`].
    pub fn peek(&self, key: &[u8]) -> Result<Option<ValueRef<'_>>, CommandError> {
        let found = self.transaction.get(self.database, key)?;
        let counter = if found.is_some() {
            &self.hits
        } else {
            &self.misses
        };
        counter.set(counter.get() + 1);
        Ok(found)
    }

    /// As `get`, of a key that no argument names.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDatabase`], or that the key may not be read.
    pub fn get_unnamed(&self, key: &[u8]) -> Result<Option<ValueRef<'_>>, CommandError> {
        if let Some(rules) = self.rules
            && !fault!("a pattern's key is not asked for")
        {
            rules.check(key)?;
        }
        self.get(key)
    }

    /// Reads that found a key so far, and reads that found none.
    pub fn hits_and_misses(&self) -> (u32, u32) {
        (self.hits.get(), self.misses.get())
    }

    /// What a key holds, and when it expires in milliseconds since 1970 (0: never).
    ///
    /// # Errors
    /// [`CommandError::NoSuchDatabase`].
    pub fn get_with_deadline(
        &self,
        key: &[u8],
    ) -> Result<Option<(ValueRef<'_>, u64)>, CommandError> {
        let found = self.transaction.get_with_deadline(self.database, key)?;
        if found.is_none() && self.tells_misses {
            self.notify(class::KEY_MISS, "keymiss", key);
        }
        Ok(found)
    }

    /// Which type a key holds.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDatabase`].
    pub fn kind(&self, key: &[u8]) -> Result<Option<Type>, CommandError> {
        Ok(self.get(key)?.map(ValueRef::kind))
    }

    /// Whether a key is there.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDatabase`].
    pub fn exists(&self, key: &[u8]) -> Result<bool, CommandError> {
        Ok(self.get(key)?.is_some())
    }

    /// Puts a value in a key, whatever is there. An empty collection deletes the key.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDatabase`].
    pub fn set(
        &mut self,
        key: &[u8],
        value: Value,
        deadline: Deadline,
    ) -> Result<(), CommandError> {
        self.notify_new(self.database, key)?;
        Ok(self.transaction.set(self.database, key, value, deadline)?)
    }

    /// Puts a string in a key, whatever is there, for ever.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDatabase`].
    pub fn set_string(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), CommandError> {
        self.set(key, Value::String(StringValue::new(bytes)), Deadline::Never)
    }

    /// Deletes a key, and tells of it. `true` if it was there.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDatabase`].
    pub fn delete(&mut self, key: &[u8]) -> Result<bool, CommandError> {
        let was_there = self.transaction.delete(self.database, key)?;
        if was_there {
            self.notify(class::GENERIC, "del", key);
        }
        Ok(was_there)
    }

    /// Sets when a key expires, in milliseconds since 1970 (0: never), and tells of it; a time that
    /// has passed deletes it. `true` if it is there.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDatabase`].
    pub fn set_deadline(&mut self, key: &[u8], deadline_ms: u64) -> Result<bool, CommandError> {
        if deadline_ms != 0 && deadline_ms <= self.now_ms() {
            return self.delete(key);
        }
        let is_there = self
            .transaction
            .set_deadline(self.database, key, deadline_ms)?;
        if is_there {
            let event = if deadline_ms == 0 {
                "persist"
            } else {
                "expire"
            };
            self.notify(class::GENERIC, event, key);
        }
        Ok(is_there)
    }

    /// The frozen time, in milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        if fault!("time moves within a script") {
            self.services.read_clock();
            return self.services.store.now_ms();
        }
        self.transaction.now_ms()
    }

    /// The frozen time, in microseconds; see `Transaction::now_us`.
    pub fn now_us(&self) -> u64 {
        let since_us = self.transaction.now_us() - self.transaction.now_ms() * 1000;
        self.now_ms() * 1000 + since_us
    }

    /// A number drawn at random.
    pub fn random(&self) -> u64 {
        self.transaction.random()
    }

    /// Publishes a message when and if this becomes part of history.
    pub fn publish(&self, message: Message) {
        if fault!("messages leave before the commit") {
            self.services.pubsub.deliver(&message, 0);
        }
        self.transaction.publish(message);
    }

    /// Tells, when and if this becomes part of history, those who want to know what happens to a key
    /// that something did. With notifications off that costs one load.
    #[inline]
    pub fn notify(&self, class: u32, event: &str, key: &[u8]) {
        self.notify_in(self.database, (class, event), key);
    }

    /// As `notify`, of a key of another database.
    #[inline]
    pub fn notify_in(&self, database: usize, event: (u32, &str), key: &[u8]) {
        let wanted = self.services.config.notified();
        if wanted & event.0 != 0 {
            self.tell(wanted, event, (database, key));
        }
    }

    #[cold]
    fn tell(&self, wanted: u32, event: (u32, &str), key: (usize, &[u8])) {
        notifications::messages(wanted, event, key).for_each(|message| self.publish(message));
    }

    /// As `notify`, after elements were taken; tells also that the key has gone with the last.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDatabase`].
    pub fn notify_taken(&self, class: u32, event: &str, key: &[u8]) -> Result<(), CommandError> {
        self.notify(class, event, key);
        if self.services.config.notified() & class::GENERIC != 0 && self.peek(key)?.is_none() {
            self.notify(class::GENERIC, "del", key);
        }
        Ok(())
    }

    /// Tells that a key is about to come to be, if it is not there and somebody wants to know: that
    /// makes a read of a blind write.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDatabase`].
    pub fn notify_new(&self, database: usize, key: &[u8]) -> Result<(), CommandError> {
        if self.services.config.notified() & class::NEW != 0
            && self.transaction.get(database, key)?.is_none()
        {
            self.notify_in(database, (class::NEW, "new"), key);
        }
        Ok(())
    }

    /// Tells which of `keys` are not there, for a command that writes and reads them like one that
    /// only reads.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDatabase`].
    pub fn notify_misses(&self, keys: &[&[u8]]) -> Result<(), CommandError> {
        if self.services.config.notified() & class::KEY_MISS == 0 {
            return Ok(());
        }
        for key in keys {
            if self.peek(key)?.is_none() {
                self.notify(class::KEY_MISS, "keymiss", key);
            }
        }
        Ok(())
    }

    /// Makes sure, before so much is allocated at once, that `maxmemory` allows it. What is smaller
    /// than `LARGE_BYTES` is not asked for: whether a command may run at all is decided before.
    ///
    /// # Errors
    /// [`CommandError::OutOfMemory`].
    pub fn check_room(&self, bytes: usize) -> Result<(), CommandError> {
        if has_room(self.services, bytes) {
            Ok(())
        } else {
            Err(CommandError::OutOfMemory)
        }
    }

    /// As `check_room`, for what is only read: it goes on while memory is full, but for what would
    /// take very much for a moment.
    ///
    /// # Errors
    /// [`CommandError::OutOfMemory`].
    pub fn check_room_to_read(&self, bytes: usize) -> Result<(), CommandError> {
        if bytes >= HUGE_READ_BYTES {
            self.check_room(bytes)?;
        }
        Ok(())
    }

    /// Makes sure that there still is room for a result that grows by elements. To be called now
    /// and then; `built` is how many elements there are.
    ///
    /// # Errors
    /// [`CommandError::OutOfMemory`].
    pub fn check_growth(&self, built: usize) -> Result<(), CommandError> {
        if built > 0 && built.is_multiple_of(ELEMENTS_BETWEEN_CHECKS) {
            return self.check_room(LARGE_BYTES);
        }
        Ok(())
    }

    /// The transaction itself, for what concerns whole databases.
    pub fn transaction(&mut self) -> &mut Transaction {
        self.transaction
    }

    /// The transaction itself, to read from.
    pub fn reader(&self) -> &Transaction {
        self.transaction
    }
}

/// Writes a string as one bulk string, in as many pieces as it lies in.
pub fn write_string(value: StringRef<'_>, reply: &mut dyn Reply) {
    if let Some(bytes) = value.as_slice() {
        return reply.bulk(bytes);
    }
    reply.bulk_start(value.len());
    let mut left = value.len();
    for part in value.parts() {
        left -= part.len();
        reply.bulk_part(part, left == 0);
    }
}
