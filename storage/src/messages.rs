//! What a transaction publishes.

use crate::effects::Message;
use crate::transaction::Transaction;

impl Transaction {
    /// Publishes `message` when the transaction is part of history, and only then. Those who
    /// [listen](crate::Store::listen) are told of it in its [`Effect`](crate::Effect).
    ///
    /// ```
    /// use darter_storage::{Error, Message, Store};
    /// # use std::sync::mpsc;
    /// # let (sender, receiver) = mpsc::channel();
    /// let store = Store::new();
    /// let _listener = store.listen(Box::new(move |effect| drop(sender.send(effect.clone()))));
    /// let given_up: Result<(), Error> = store.transaction(|tx| {
    ///     let (channel, payload) = (b"news"[..].into(), b"never"[..].into());
    ///     tx.publish(Message { channel, payload, sharded: false });
    ///     Err(Error::NotAnInteger)
    /// });
    /// store.merge_effects();
    /// assert!(given_up.is_err());
    /// assert_eq!(receiver.try_iter().count(), 0);
    /// ```
    pub fn publish(&self, message: Message) {
        let bytes = size_of::<Message>() + message.channel.len() + message.payload.len();
        self.published_bytes.set(self.published_bytes.get() + bytes);
        self.messages.borrow_mut().push(message);
    }

    /// How many bytes all take that was ever published with this transaction, given up or not. O(1).
    ///
    /// ```
    /// use darter_storage::{Message, Mode, Store};
    /// let tx = Store::new().begin(Mode::Optimistic);
    /// let before = tx.published_bytes();
    /// let (channel, payload) = (b"news"[..].into(), b"more"[..].into());
    /// tx.publish(Message { channel, payload, sharded: false });
    /// assert!(tx.published_bytes() >= before + 8);
    /// ```
    pub fn published_bytes(&self) -> usize {
        self.published_bytes.get()
    }

    /// Whether anything is published with this transaction so far.
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// assert!(!Store::new().begin(Mode::Direct).publishes());
    /// ```
    pub fn publishes(&self) -> bool {
        !self.messages.borrow().is_empty()
    }

    /// Takes back what was published so far: for what only reads as of a number, and so has no commit
    /// of its own that would tell of it.
    ///
    /// ```
    /// use darter_storage::{Message, Mode, Store};
    /// let store = Store::new();
    /// let mut tx = store.begin(Mode::Snapshot);
    /// let (channel, payload) = (b"news"[..].into(), b"nothing there"[..].into());
    /// tx.publish(Message { channel, payload, sharded: false });
    /// assert_eq!(tx.take_messages().len(), 1);
    /// assert!(tx.take_messages().is_empty());
    /// ```
    pub fn take_messages(&mut self) -> Vec<Message> {
        std::mem::take(self.messages.get_mut())
    }
}
