//! Doing a part again: what was written is given up, what was read is kept, and what was drawn at
//! random is drawn again.

use crate::entry::Written;
use crate::transaction::Transaction;

impl Transaction {
    /// Gives up what was written, but not what was read: the commit only compares. For what has
    /// failed because of several keys, each read at its newest: they must have stood together.
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// let mut tx = store.begin(Mode::Direct);
    /// let (a, b) = (tx.integer(0, b"a")?, tx.integer(0, b"b")?);
    /// tx.set_integer(0, b"sum", a.unwrap_or(0) + b.unwrap_or(0))?;
    /// tx.forget_writes();
    /// assert!(tx.commit().is_ok(), "a and b stood together");
    /// assert_eq!(store.get("sum")?, None);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn forget_writes(&mut self) {
        for index in 0..self.entries.len() {
            let entry = self.entries.get_mut(index);
            entry.written = Written::No;
            entry.takes_past_fields = false;
        }
        self.messages.get_mut().clear();
        self.drop_table();
    }

    /// Goes back to the beginning, at the same moment: what was written is given up, and the same
    /// random numbers are drawn again. What was read stays to be compared. Whoever then does the same
    /// again, but for a part, leaves of that part only that it was decided on what it read.
    ///
    /// ```
    /// use darter_storage::{CommitError, Conflict, Mode, Store};
    /// let store = Store::new();
    /// let mut tx = store.begin(Mode::Optimistic);
    /// let first = tx.random();
    /// assert_eq!(tx.integer(0, b"stock")?, None, "so nothing is ordered");
    /// tx.set_integer(0, b"orders", 1)?;
    /// tx.start_over();
    /// assert_eq!(tx.random(), first);
    /// assert_eq!(tx.integer(0, b"orders")?, None);
    /// tx.set_integer(0, b"refused", 1)?;
    /// store.set("stock", "7");
    /// assert_eq!(tx.commit(), Err(CommitError::Conflict(Conflict)));
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn start_over(&mut self) {
        self.forget_writes();
        if !fault!("other random numbers the second time") {
            self.drawn.set(0);
        }
    }

    /// The time to the microsecond, for what is named after it: no other transaction of this store is
    /// told the same, and who asks later is told a later one. It stays the same until
    /// [`Transaction::restart`].
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// let (first, second) = (store.begin(Mode::Optimistic), store.begin(Mode::Snapshot));
    /// assert_eq!(first.now_us(), first.now_us());
    /// assert!(second.now_us() > first.now_us());
    /// ```
    pub fn now_us(&self) -> u64 {
        if self.moment_us.get() == 0 {
            self.moment_us.set(self.inner.moments.next_us(self.now_ms));
        }
        self.moment_us.get()
    }

    /// A number drawn at random, for what is not secret. The same ones are drawn after
    /// [`Transaction::start_over`], others after [`Transaction::restart`].
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// let tx = store.begin(Mode::Snapshot);
    /// assert_ne!(tx.random(), tx.random());
    /// ```
    pub fn random(&self) -> u64 {
        if self.seed.get() == 0 {
            self.seed.set(self.inner.random(self.local.next_seed()) | 1);
        }
        let drawn = self.drawn.get() + 1;
        self.drawn.set(drawn);
        self.inner.random(self.seed.get().wrapping_add(drawn))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Mode, Store};

    #[test]
    fn the_same_numbers_are_drawn_again_also_after_a_restart() {
        let store = Store::new();
        let mut tx = store.begin(Mode::Optimistic);
        tx.random();
        tx.restart();
        let first = [tx.random(), tx.random()];
        tx.start_over();
        assert_eq!([tx.random(), tx.random()], first);
    }
}
