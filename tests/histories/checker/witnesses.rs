//! Effects: each of what happened once, none of what did not.

use std::collections::HashMap;

use super::accesses::Accesses;
use super::story::tell;
use super::{Class, Report};
use crate::history::{Event, History, Outcome};

impl Accesses<'_> {
    /// Whether a transaction happened, or nobody knows.
    pub(super) fn may_have_happened(&self, history: &History, index: usize) -> bool {
        self.happened[index] || history.transactions[index].outcome == Outcome::Unknown
    }
}

pub(super) fn check(history: &History, accesses: &Accesses<'_>, report: &mut Report) {
    let places: HashMap<u32, usize> = (0..)
        .zip(&history.transactions)
        .map(|(index, transaction)| (transaction.id, index))
        .collect();
    for witness in &history.witnesses {
        let name = &witness.name;
        let mut times: HashMap<u32, u32> = HashMap::with_capacity(witness.ids.len());
        for id in &witness.ids {
            *times.entry(*id).or_default() += 1;
        }
        report.steps += witness.ids.len() as u64;
        for (index, transaction) in history.transactions.iter().enumerate() {
            let told = times.get(&transaction.id).copied().unwrap_or(0);
            let promised = transaction.events.iter().filter(
                |event| matches!(event, Event::Effect { channel } if *channel == witness.channel),
            );
            let promised = promised.count() as u32;
            let happened = accesses.happened[index];
            let class = if told > promised {
                Class::EffectTwice
            } else if told > 0 && !accesses.may_have_happened(history, index) {
                Class::EffectOfAborted
            } else if told < promised && happened {
                Class::EffectLost
            } else {
                continue;
            };
            let story = tell(transaction, &[]);
            report.add(
                class,
                format!("  {name} was told {told} times of it, and should {promised}\n{story}"),
            );
        }
        for id in &witness.ids {
            if !places.contains_key(id) {
                report.add(
                    Class::UnwrittenValue,
                    format!("  {name} was told of transaction {id}, which is none"),
                );
            }
        }
    }
}
