//! What a script's calls count in INFO: once, when it will not make them again.

use std::collections::BTreeMap;

use super::Core;
use crate::commands::error::CommandError;
use crate::stats::count;

/// How often commands were called, how often in vain, and what those that read have found.
#[derive(Default)]
pub(super) struct CallCounts {
    /// By the command's place in the table, most scripts call few; the rest in `others`.
    few: [(usize, u64); 4],
    others: BTreeMap<usize, u64>,
    failed: BTreeMap<usize, u64>,
    rejected: BTreeMap<usize, u64>,
    /// By their codes.
    errors: BTreeMap<Box<[u8]>, u64>,
    /// Of the last call that has failed: if the script ends with it, it is no second error.
    last_error: Vec<u8>,
    hits: u64,
    misses: u64,
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
        add(&mut self.failed, index);
        self.note_error(&error.wire());
        self.note_told(error);
    }

    /// A call was refused; `index` is its command's, if there is one.
    pub(super) fn note_rejected(&mut self, index: Option<usize>, error: &CommandError) {
        if let Some(index) = index {
            add(&mut self.rejected, index);
        }
        self.note_error(&error.wire());
        self.note_told(error);
    }

    /// The script was told of an error that has been counted.
    pub(super) fn note_told(&mut self, error: &CommandError) {
        self.last_error = error.wire().into_owned();
    }

    /// The script has ended with this reply. Whether it is an error.
    pub(super) fn note_reply(&mut self, reply: &[u8]) -> bool {
        let told = std::mem::take(&mut self.last_error);
        let Some(text) = reply.strip_prefix(b"-") else {
            return false;
        };
        if told.is_empty() || !text.starts_with(&told) {
            self.note_error(text);
        }
        true
    }

    fn note_error(&mut self, text: &[u8]) {
        let ends = |byte: &u8| matches!(byte, b' ' | b'\r');
        let code = text.split(ends).next().unwrap_or_default();
        add(&mut self.errors, code.into());
    }

    /// The calls are not made again.
    pub(super) fn happen(&mut self, core: &Core) {
        let all = std::mem::take(self);
        let commands = &core.stats.commands;
        for (index, calls) in all.few.into_iter().chain(all.others) {
            count(&commands[index].calls, calls);
            count(&core.stats.processed, calls);
        }
        for (index, calls) in all.failed {
            count(&commands[index].failed, calls);
        }
        for (index, calls) in all.rejected {
            count(&commands[index].rejected, calls);
        }
        for (code, errors) in all.errors {
            core.services.stats.count_errors(&code, errors);
        }
        count(&core.stats.hits, all.hits);
        count(&core.stats.misses, all.misses);
    }
}
