//! Listening to the effects stream.

use std::sync::Arc;

use crate::effects::Effect;
use crate::store::{Inner, Store};
use crate::sync::atomic::Ordering::SeqCst;
use crate::thread::local;

/// Keeps the effects stream going; see [`Store::listen`]. The stream ends with the last one.
/// After it is dropped its reader is told of nothing more, so who must know of every commit calls
/// [`Store::merge_effects`] first.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
/// # use std::sync::Arc;
/// let store = darter_storage::Store::new();
/// let shown = Arc::new(AtomicU64::new(0));
/// let counter = Arc::clone(&shown);
/// let listener = store.listen(Box::new(move |_| {
///     counter.fetch_add(1, SeqCst);
/// }));
/// store.set("a", "1");
/// store.merge_effects();
/// drop(listener);
/// store.set("a", "2");
/// store.merge_effects();
/// assert_eq!(shown.load(SeqCst), 1);
/// ```
pub struct Listener {
    inner: Arc<Inner>,
    reader: u64,
}

impl Store {
    /// Starts the stream of effects, unless it goes already: from here on every commit is in it,
    /// once, whole, in commit order. `reader` is told of each, by whichever thread merges, and
    /// must be quick. It may read and write this store, but neither listen to it nor drop one of its
    /// listeners: that would wait for its own end. If it panics, all others are told, it is told of
    /// what comes next, and the panic goes on where the effects were merged. Closes the gate for a
    /// moment.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// let store = darter_storage::Store::new();
    /// let (sender, receiver) = mpsc::channel();
    /// let listener = store.listen(Box::new(move |effect| drop(sender.send(effect.clone()))));
    /// store.set("a", "1");
    /// store.merge_effects();
    /// assert_eq!(&*receiver.recv().unwrap().changes[0].key, b"a");
    /// drop(listener);
    /// ```
    pub fn listen(&self, reader: Box<dyn FnMut(&Effect) + Send>) -> Listener {
        let reader = self.inner.effects.add_reader(reader);
        let is_first = self.inner.effects.listeners().fetch_add(1, SeqCst) == 0;
        // The first may still be on its way.
        if is_first || !self.inner.effects.is_active() {
            self.inner.with_gate_closed(|| {
                if self.inner.effects.listeners().load(SeqCst) > 0
                    && !self.inner.effects.is_active()
                {
                    self.inner.start_effects(&self.local());
                }
            });
        }
        Listener {
            inner: Arc::clone(&self.inner),
            reader,
        }
    }

    /// Merges what has been committed into the effects stream and tells its readers, unless
    /// another thread is at it, which then goes round once more. A thread that has committed
    /// calls it at the end of its turn.
    ///
    /// # Panics
    /// If a reader does, once all have been told; see [`Store::listen`].
    ///
    /// ```
    /// # use std::sync::mpsc;
    /// let store = darter_storage::Store::new();
    /// let (sender, receiver) = mpsc::channel();
    /// let _listener = store.listen(Box::new(move |effect| drop(sender.send(effect.sequence))));
    /// for turn in 0..10 {
    ///     store.set("k", turn.to_string());
    /// }
    /// assert_eq!(receiver.try_iter().count(), 0, "nothing is told before a merge");
    /// store.merge_effects();
    /// assert!(receiver.try_iter().eq(1..=10));
    /// ```
    pub fn merge_effects(&self) {
        if self.inner.effects.is_active() {
            let local = self.local();
            let guard = local.pin();
            self.inner.merge_effects(&local, &guard, &mut |_| {});
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.inner.effects.remove_reader(self.reader);
        if self.inner.effects.listeners().fetch_sub(1, SeqCst) == 1 {
            let inner = &self.inner;
            let local = local(inner);
            inner.wait_for_role();
            inner.with_gate_closed(|| {
                if inner.effects.listeners().load(SeqCst) == 0 && inner.effects.is_active() {
                    inner.stop_effects(&local, &local.pin());
                }
            });
            inner.merge_in_role(&local, &local.pin(), &mut |_| {});
        }
    }
}
