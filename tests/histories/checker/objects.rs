//! The order of each object's versions, and which of them each transaction saw.

use std::collections::HashMap;

use super::accesses::{Access, Accesses, What};
use super::story::tell_all;
use super::{Class, Report, lists, registers};
use crate::history::{Family, History, Object, Outcome, Value};

/// What a read says about the versions of an object, which count from 0 (nothing written yet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    At(usize),
    AtLeast(usize),
    AtMost(usize),
}

/// Who makes a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    Transaction(usize),
    /// The key's deadline.
    Expiry,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Versions {
    pub(super) object: Object,
    /// Who makes version 1, 2, …; several, where nothing tells their order.
    pub(super) writers: Vec<Vec<Writer>>,
    pub(super) reads: Vec<(usize, Seen)>,
}

/// What ordering one object needs to know.
pub(super) struct Scope<'a, 'h> {
    pub(super) history: &'h History,
    pub(super) accesses: &'a Accesses<'h>,
    pub(super) object: Object,
    pub(super) report: &'a mut Report,
}

pub(super) fn order(
    history: &History,
    accesses: &Accesses<'_>,
    report: &mut Report,
) -> Vec<Versions> {
    let mut objects: Vec<_> = accesses.of.iter().collect();
    objects.sort_by_key(|(object, _)| **object);
    objects
        .into_iter()
        .map(|(object, own)| {
            let mut scope = Scope {
                history,
                accesses,
                object: *object,
                report,
            };
            match object.family {
                Family::List | Family::Log => lists::order(&mut scope, own),
                Family::Count => count(&mut scope, own),
                Family::Keys => keys(&mut scope, own),
                Family::Cell | Family::Mortal | Family::Field | Family::Pair => {
                    registers::order(&mut scope, own)
                }
            }
        })
        .collect()
}

impl Scope<'_, '_> {
    pub(super) fn tell(&mut self, class: Class, what: &str, transactions: &[usize]) {
        let told = tell_all(self.history, transactions, &[self.object]);
        let object = self.object;
        self.report
            .add(class, format!("  {object}: {what}\n{told}"));
    }

    /// The transaction that wrote a value which `reader` saw; `None`, reported, if nobody did whose
    /// writes may be seen.
    pub(super) fn writer_of(&mut self, value: Value, reader: usize) -> Option<usize> {
        match self.accesses.writers.get(&value).copied() {
            None => {
                let what = format!("{value} was read");
                self.tell(Class::UnwrittenValue, &what, &[reader]);
                None
            }
            Some(writer) if self.history.transactions[writer].outcome == Outcome::Aborted => {
                let what = format!("{value} was read");
                self.tell(Class::AbortedRead, &what, &[writer, reader]);
                None
            }
            Some(writer) => Some(writer),
        }
    }

    /// Whether the final read has seen this object.
    pub(super) fn has_final_read(&self, own: &[Access<'_>]) -> bool {
        let last = self.history.final_read;
        last.is_some_and(|last| own.iter().rev().any(|access| access.transaction == last))
    }
}

pub(super) fn presence(is_there: bool) -> Seen {
    if is_there {
        Seen::AtLeast(1)
    } else {
        Seen::At(0)
    }
}

/// Who wrote a member of a set, as the maker of a version.
fn members_known(scope: &mut Scope<'_, '_>, members: &[Value], reader: usize) -> bool {
    let mut are_known = true;
    for value in members {
        are_known &= scope.writer_of(*value, reader).is_some();
    }
    are_known
}

/// A count's order is what its writers found.
fn count(scope: &mut Scope<'_, '_>, own: &[Access<'_>]) -> Versions {
    let mut order: Vec<(usize, Value, usize)> = Vec::new();
    for access in own {
        if let What::Append {
            value,
            position: Some(position),
        } = access.what
        {
            order.push((position, value, access.transaction));
        }
    }
    order.sort_unstable();
    scope.report.steps += order.len() as u64;
    for pair in order.windows(2) {
        if pair[0].0 == pair[1].0 {
            let what = format!("two found {} keys, and both added one", pair[0].0);
            scope.tell(Class::Phantom, &what, &[pair[0].2, pair[1].2]);
        } else if pair[0].0 + 1 != pair[1].0 {
            let what = format!("nobody made key number {}", pair[0].0 + 1);
            scope.tell(Class::IncompatibleOrder, &what, &[pair[0].2, pair[1].2]);
        }
    }
    let mut reads = Vec::new();
    for access in own {
        match &access.what {
            What::Length(length) if *length > order.len() => {
                let what = format!("{length} keys, and {} are known", order.len());
                scope.tell(Class::UnwrittenValue, &what, &[access.transaction]);
            }
            What::Length(length) => reads.push((access.transaction, Seen::At(*length))),
            What::Members(members) => {
                members_known(scope, members, access.transaction);
                for (_, value, writer) in &order {
                    if members.binary_search(value).is_err() {
                        let what = format!("{value} is gone");
                        scope.tell(Class::LostWrite, &what, &[*writer]);
                    }
                }
            }
            _ => {}
        }
    }
    let writer =
        |(_, _, transaction): &(usize, Value, usize)| vec![Writer::Transaction(*transaction)];
    Versions {
        object: scope.object,
        writers: order.iter().map(writer).collect(),
        reads,
    }
}

/// Whether all of `small` is in `large`; both are sorted.
fn includes(large: &[Value], small: &[Value]) -> bool {
    let mut rest = large.iter();
    small.iter().all(|value| rest.any(|other| other == value))
}

/// The reads of a set that only grows are ordered by inclusion; what joined between two of them
/// has no order that anybody saw.
fn keys(scope: &mut Scope<'_, '_>, own: &[Access<'_>]) -> Versions {
    let mut found: Vec<(&[Value], usize)> = own
        .iter()
        .filter_map(|access| match &access.what {
            What::Members(members) => Some((&**members, access.transaction)),
            _ => None,
        })
        .collect();
    found.sort_by_key(|(members, _)| members.len());
    let mut versions = Versions {
        object: scope.object,
        writers: Vec::new(),
        reads: Vec::new(),
    };
    let mut last: (&[Value], usize) = (&[], 0);
    let mut joined: HashMap<Value, ()> = HashMap::new();
    for (members, reader) in found {
        scope.report.steps += members.len() as u64;
        if !includes(members, last.0) {
            let what = "two reads found what the other did not";
            scope.tell(Class::Phantom, what, &[last.1, reader]);
            continue;
        }
        if members.len() > last.0.len() {
            let new: Vec<Value> = members
                .iter()
                .copied()
                .filter(|value| joined.insert(*value, ()).is_none())
                .collect();
            let mut writers = Vec::new();
            for value in new {
                writers.extend(scope.writer_of(value, reader).map(Writer::Transaction));
            }
            versions.writers.push(writers);
        }
        last = (members, reader);
        versions
            .reads
            .push((reader, Seen::At(versions.writers.len())));
    }
    let is_final = scope.has_final_read(own);
    for access in own {
        if let What::Add(value) = access.what
            && is_final
            && !joined.contains_key(&value)
        {
            let what = format!("{value} is gone");
            scope.tell(Class::LostWrite, &what, &[access.transaction]);
        }
    }
    torn_adds(scope, own, &joined);
    versions
}

/// A transaction that adds several members adds them at once.
fn torn_adds(scope: &mut Scope<'_, '_>, own: &[Access<'_>], joined: &HashMap<Value, ()>) {
    let mut adders: HashMap<usize, Vec<Value>> = HashMap::new();
    for access in own {
        if let What::Add(value) = access.what
            && joined.contains_key(&value)
        {
            adders.entry(access.transaction).or_default().push(value);
        }
    }
    adders.retain(|_, values| values.len() > 1);
    if adders.is_empty() {
        return;
    }
    for access in own {
        let What::Members(members) = &access.what else {
            continue;
        };
        for (writer, values) in &adders {
            let mut found = values
                .iter()
                .map(|value| members.binary_search(value).is_ok());
            let first = found.next();
            if *writer != access.transaction && found.any(|is_there| Some(is_there) != first) {
                let what = "a state in the middle of a transaction was read";
                scope.tell(
                    Class::IntermediateRead,
                    what,
                    &[*writer, access.transaction],
                );
                return;
            }
        }
    }
}
