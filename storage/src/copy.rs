//! Copies of values, and whether what is read will be compared.

use crate::error::Error;
use crate::transaction::{Deadline, Transaction};
use crate::value::Value;

impl Transaction {
    /// Puts a copy of what `from` holds, with its deadline, in `to`, over whatever is there.
    /// `false` if `from` is not there. O(size).
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`], [`Error::ReadOnly`].
    ///
    /// ```
    /// let store = darter_storage::Store::new();
    /// store.set("a", "1");
    /// store.transaction(|tx| tx.copy((0, b"a"), (0, b"b")))?;
    /// assert_eq!(store.get("b")?.as_deref(), Some(&b"1"[..]));
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn copy(&mut self, from: (usize, &[u8]), to: (usize, &[u8])) -> Result<bool, Error> {
        self.check_writable()?;
        self.space(to.0)?;
        let Some((value, deadline_ms)) = self.get_with_deadline(from.0, from.1)? else {
            return Ok(false);
        };
        let copied = Value::copy(value);
        let deadline = if deadline_ms == 0 {
            Deadline::Never
        } else {
            Deadline::At(deadline_ms)
        };
        self.set(to.0, to.1, copied, deadline)?;
        Ok(true)
    }

    /// Whether what is read must still hold at the commit: in a direct or optimistic transaction,
    /// unless [`Transaction::skip_comparison`] was called.
    ///
    /// ```
    /// use darter_storage::{Mode, Store};
    /// let store = Store::new();
    /// assert!(store.begin(Mode::Optimistic).compares_reads());
    /// assert!(!store.snapshot().read(|tx| tx.compares_reads()));
    /// ```
    pub fn compares_reads(&self) -> bool {
        self.records_reads
    }
}
