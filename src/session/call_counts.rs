//! What a script's calls count in INFO: once, when it will not make them again.

use std::collections::BTreeMap;
use std::mem::take;

use super::Core;
use crate::commands::error::CommandError;
use crate::stats::{count, error_code};

/// How often commands were called, how often in vain, and what those that read have found.
#[derive(Default)]
pub(super) struct CallCounts {
    /// By the command's place in the table, most scripts call few; the rest in `others`.
    few: [(usize, u64); 4],
    others: BTreeMap<usize, u64>,
    hits: u64,
    misses: u64,
    /// Most scripts have none.
    errors: Option<Box<Errors>>,
}

#[derive(Default)]
struct Errors {
    /// Calls that failed, and that were refused, by the command's place in the table.
    failed: BTreeMap<usize, u64>,
    rejected: BTreeMap<usize, u64>,
    by_code: BTreeMap<Box<[u8]>, u64>,
    /// What the script was told last: if it ends with that, it is no second error.
    last: Vec<u8>,
}

fn add<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    *counts.entry(key).or_default() += 1;
}

impl CallCounts {
    /// A command was called.
    pub(super) fn note(&mut self, index: usize) {
        let known = |(known, calls): &&mut (usize, u64)| *calls == 0 || *known == index;
        match self.few.iter_mut().find(known) {
            Some((known, calls)) => {
                *known = index;
                *calls += 1;
            }
            None => add(&mut self.others, index),
        }
    }

    /// A call has found so many keys, and so many not.
    pub(super) fn note_reads(&mut self, (hits, misses): (u32, u32)) {
        self.hits += u64::from(hits);
        self.misses += u64::from(misses);
    }

    /// A command that was called has failed.
    pub(super) fn note_failed(&mut self, index: usize, error: &CommandError) {
        let errors = self.note_error(error);
        add(&mut errors.failed, index);
    }

    /// A call was refused; `index` is its command's, if there is one.
    pub(super) fn note_rejected(&mut self, index: Option<usize>, error: &CommandError) {
        let errors = self.note_error(error);
        if let Some(index) = index {
            add(&mut errors.rejected, index);
        }
    }

    fn note_error(&mut self, error: &CommandError) -> &mut Errors {
        self.note_told(error);
        let errors = self.errors.get_or_insert_default();
        add(&mut errors.by_code, error_code(&errors.last).into());
        errors
    }

    /// The script was told of an error that has been counted.
    pub(super) fn note_told(&mut self, error: &CommandError) {
        self.errors.get_or_insert_default().last = error.wire().into_owned();
    }

    /// The script has ended with this reply. Whether it is an error.
    pub(super) fn note_reply(&mut self, reply: &[u8]) -> bool {
        let told = self.errors.as_mut().map(|errors| take(&mut errors.last));
        let Some(text) = reply.strip_prefix(b"-") else {
            return false;
        };
        if !told.is_some_and(|told| !told.is_empty() && text.starts_with(&told)) {
            let errors = self.errors.get_or_insert_default();
            add(&mut errors.by_code, error_code(text).into());
        }
        true
    }

    /// The calls are not made again.
    pub(super) fn happen(&mut self, core: &Core) {
        for (index, calls) in take(&mut self.few)
            .into_iter()
            .chain(take(&mut self.others))
        {
            count(&core.stats.commands[index].calls, calls);
        }
        count(&core.stats.hits, take(&mut self.hits));
        count(&core.stats.misses, take(&mut self.misses));
        if let Some(errors) = self.errors.take() {
            errors.happen(core);
        }
    }
}

impl Errors {
    fn happen(self, core: &Core) {
        for (index, calls) in self.failed {
            count(&core.stats.commands[index].failed, calls);
        }
        for (index, calls) in self.rejected {
            count(&core.stats.commands[index].rejected, calls);
        }
        for (code, errors) in self.by_code {
            core.services.stats.count_errors(&code, errors);
        }
    }
}
