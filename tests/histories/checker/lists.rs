//! Lists that only grow: their longest read is the order of their versions.

use std::collections::HashMap;

use super::Class;
use super::accesses::{Access, What};
use super::objects::{Scope, Seen, Versions, Writer, presence};
use crate::history::Value;

/// The longest read of a list.
struct Order<'a> {
    values: &'a [Value],
    reader: usize,
    place: HashMap<Value, usize>,
}

impl Order<'_> {
    fn longest<'a>(own: &'a [Access<'_>]) -> Order<'a> {
        let mut longest = Order {
            values: &[],
            reader: 0,
            place: HashMap::new(),
        };
        for access in own {
            if let What::Prefix(values) = access.what
                && values.len() >= longest.values.len()
            {
                longest.values = values;
                longest.reader = access.transaction;
            }
        }
        longest
    }
}

pub(super) fn order(scope: &mut Scope<'_, '_>, own: &[Access<'_>]) -> Versions {
    let mut order = Order::longest(own);
    let mut versions = Versions {
        object: scope.object,
        writers: Vec::with_capacity(order.values.len()),
        reads: Vec::new(),
    };
    for (at, value) in order.values.iter().enumerate() {
        if order.place.insert(*value, at).is_some() {
            let writer = scope.accesses.writers.get(value).copied();
            let told: Vec<usize> = writer.into_iter().chain([order.reader]).collect();
            scope.tell(Class::Duplicate, &format!("{value} is there twice"), &told);
        }
        let writer = scope.writer_of(*value, order.reader);
        let writer = writer.map(Writer::Transaction);
        versions.writers.push(writer.into_iter().collect());
    }
    scope.report.steps += order.values.len() as u64;
    let is_final = scope.has_final_read(own);
    for access in own {
        let transaction = access.transaction;
        match &access.what {
            What::Append { value, position } => {
                check_append(scope, &order, transaction, (*value, *position), is_final);
            }
            What::Presence(is_there) => versions.reads.push((transaction, presence(*is_there))),
            what => {
                if let Some(level) = level_of(scope, &order, transaction, what) {
                    check_middle(scope, &versions.writers, transaction, level);
                    versions.reads.push((transaction, Seen::At(level)));
                }
            }
        }
    }
    versions
}

/// What was appended must be there at the end, and where its writer was told.
fn check_append(
    scope: &mut Scope<'_, '_>,
    order: &Order<'_>,
    writer: usize,
    (value, position): (Value, Option<usize>),
    is_final: bool,
) {
    let Some(at) = order.place.get(&value).copied() else {
        if is_final {
            scope.tell(Class::LostWrite, &format!("{value} is gone"), &[writer]);
        }
        return;
    };
    if let Some(position) = position.filter(|position| *position != at) {
        let what = format!("{value} is at {at}, and its writer was told {position}");
        scope.tell(Class::IncompatibleOrder, &what, &[writer, order.reader]);
    }
}

/// The version that a read saw; `None`, reported, if there is none.
fn level_of(
    scope: &mut Scope<'_, '_>,
    order: &Order<'_>,
    reader: usize,
    what: &What<'_>,
) -> Option<usize> {
    match what {
        What::Prefix(values) => {
            scope.report.steps += values.len() as u64;
            if order.values[..values.len()] != **values {
                let what = "two reads disagree about the order";
                scope.tell(Class::IncompatibleOrder, what, &[reader, order.reader]);
                return None;
            }
            Some(values.len())
        }
        What::Length(length) if *length > order.values.len() => {
            let what = format!("{length} elements, and {} are known", order.values.len());
            scope.tell(Class::UnwrittenValue, &what, &[reader, order.reader]);
            None
        }
        What::Length(length) => Some(*length),
        What::Last(None) => Some(0),
        What::Last(Some(value)) => match order.place.get(value) {
            Some(at) => Some(at + 1),
            None => {
                scope.writer_of(*value, reader);
                None
            }
        },
        _ => None,
    }
}

/// Nobody may see what another transaction left between two of its own appends.
fn check_middle(scope: &mut Scope<'_, '_>, writers: &[Vec<Writer>], reader: usize, level: usize) {
    if level > 0
        && level < writers.len()
        && let [Writer::Transaction(writer)] = writers[level - 1][..]
        && writers[level][..] == [Writer::Transaction(writer)]
        && writer != reader
    {
        let what = "a state in the middle of a transaction was read";
        scope.tell(Class::IntermediateRead, what, &[writer, reader]);
    }
}
