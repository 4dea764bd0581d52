//! Moving values between keys. A large one moves whole, in O(1): its nodes belong to both keys'
//! chains until the old key's is cut.

use crate::entry::{Seen, Written};
use crate::error::Error;
use crate::transaction::Transaction;
use crate::value::{TreeState, Value, ValueRef};

impl Transaction {
    /// Moves what `from` holds, with its deadline, to `to`, over whatever is there. A large value
    /// is moved whole, in O(1). `false` if `from` is not there.
    ///
    /// # Errors
    /// [`Error::NoSuchDatabase`], [`Error::ReadOnly`].
    ///
    /// ```
    /// use darter_storage::Store;
    /// let store = Store::new();
    /// store.set("draft", "text");
    /// assert!(store.transaction(|tx| tx.rename((0, b"draft"), (0, b"final")))?);
    /// assert_eq!(store.get("draft")?, None);
    /// assert_eq!(store.get("final")?.as_deref(), Some(&b"text"[..]));
    /// assert!(!store.transaction(|tx| tx.rename((0, b"draft"), (1, b"final")))?);
    /// # Ok::<(), darter_storage::Error>(())
    /// ```
    pub fn rename(&mut self, from: (usize, &[u8]), to: (usize, &[u8])) -> Result<bool, Error> {
        self.check_writable()?;
        // Before anything is moved: whoever gets an error has changed nothing.
        self.space(to.0)?;
        let source = self.shown_entry(from.0, from.1)?;
        let Some((value, deadline_ms)) = self.show(source) else {
            return Ok(false);
        };
        if from == to {
            return Ok(true);
        }
        let entry = self.entries.get(source);
        let state = match (&entry.written, entry.seen.get()) {
            (Written::No, Seen::Alive(version)) => {
                // SAFETY: protected by the pin (direct) or by the number.
                unsafe { (*version).tree().as_ref() }.filter(|state| state.has_roots())
            }
            _ => None,
        };
        let (moved, left) = match state {
            Some(state) => {
                let (moved, left) = TreeState::transfer(state);
                (
                    Written::Moved {
                        state: moved,
                        deadline_ms,
                        from: source,
                    },
                    Written::MovedAway(left),
                )
            }
            None => {
                let written = Written::Value {
                    value: Value::copy(value),
                    deadline_ms,
                    forked: false,
                    changed_deadline: true,
                };
                (written, Written::Deleted)
            }
        };
        self.entries.get_mut(source).written = left;
        let target = self.write_entry(to.0, to.1)?;
        self.settle_move(target);
        self.entries.get_mut(target).written = moved;
        Ok(true)
    }

    /// Before the entry of a key whose large value has moved away is written again (or is left out
    /// of the commit): whoever took the value over gets a copy of its own. Two keys may share
    /// nodes only as long as one of them keeps the record of the loan.
    pub(crate) fn settle_move(&mut self, lender: usize) {
        if !matches!(self.entries.get(lender).written, Written::MovedAway(_)) {
            return;
        }
        for index in 0..self.entries.len() {
            let entry = self.entries.get_mut(index);
            if let Written::Moved {
                state,
                deadline_ms,
                from,
            } = &entry.written
                && *from == lender
            {
                entry.written = Written::Value {
                    value: Value::copy(ValueRef::from_tree(state)),
                    deadline_ms: *deadline_ms,
                    forked: false,
                    changed_deadline: true,
                };
            }
        }
    }
}
