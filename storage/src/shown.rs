//! What a transaction sees of its entries: what it means to write, or what it has read.

use crate::entry::{Seen, Written};
use crate::transaction::Transaction;
use crate::value::{TreeState, ValueRef};
use crate::version::earlier;

impl Transaction {
    /// What the transaction sees of an entry: value and deadline.
    pub(crate) fn show(&self, index: usize) -> Option<(ValueRef<'_>, u64)> {
        let entry = self.entries.get(index);
        match &entry.written {
            Written::No => match entry.seen.get() {
                Seen::Alive(version) => {
                    // SAFETY: protected by the pin (direct) or by the number.
                    let version = unsafe { &*version };
                    version
                        .value()
                        .map(|value| (value.at(self.now_ms), version.key_deadline_ms()))
                }
                _ => None,
            },
            Written::Value {
                value, deadline_ms, ..
            } if !value.is_empty() => self.show_own(value.as_ref(), *deadline_ms),
            Written::Moved {
                state, deadline_ms, ..
            } => self.show_own(ValueRef::from_tree(state), *deadline_ms),
            Written::Value { .. } | Written::MovedAway(_) | Written::Deleted => None,
        }
    }

    /// An own write, if it is alive; of a hash, the transaction relies on all of its fields.
    fn show_own<'v>(&self, value: ValueRef<'v>, deadline_ms: u64) -> Option<(ValueRef<'v>, u64)> {
        let timed = value.timed_fields();
        let fields_until_ms = timed.map_or(0, TreeState::fields_until_ms);
        if !self.stands(earlier(deadline_ms, fields_until_ms)) {
            return None;
        }
        if let Some(next_ms) = timed.and_then(|state| state.next_field_deadline_ms(self.now_ms)) {
            self.stands(next_ms);
        }
        Some((value.at(self.now_ms), deadline_ms))
    }

    /// Whether the transaction sees an entry's key as there.
    pub(crate) fn shows(&self, index: usize) -> bool {
        self.show(index).is_some()
    }

    /// Whether an own write is alive. If so, the transaction relies on that until its commit.
    fn stands(&self, deadline_ms: u64) -> bool {
        if deadline_ms == 0 {
            return true;
        }
        let stands = self.now_ms < deadline_ms;
        if stands && !fault!("own deadlines not compared") {
            let until_ms = self.own_until_ms.get().min(deadline_ms);
            self.own_until_ms.set(until_ms);
        }
        stands
    }
}
