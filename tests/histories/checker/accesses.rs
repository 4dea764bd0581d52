//! What each transaction shows of each object to others: its events without what it saw of its
//! own writes.

use std::collections::HashMap;

use super::story::tell;
use super::{Class, Report};
use crate::history::{Event, History, Object, Outcome, State, Transaction, Value};

/// One access, by the index of its transaction.
#[derive(Debug)]
pub(super) struct Access<'h> {
    pub(super) transaction: usize,
    pub(super) what: What<'h>,
}

/// What an access tells, free of the transaction's own writes.
#[derive(Debug)]
pub(super) enum What<'h> {
    Append {
        value: Value,
        position: Option<usize>,
    },
    Add(Value),
    /// The elements of a list without its own.
    Prefix(&'h [Value]),
    /// The members of a set of keys without its own, sorted.
    Members(Vec<Value>),
    Length(usize),
    Last(Option<Value>),
    Presence(bool),
    Write {
        from: State,
        to: State,
        deletes: bool,
    },
    State {
        state: State,
        companion: Option<Value>,
    },
    MayExpire,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Accesses<'h> {
    pub(super) of: HashMap<Object, Vec<Access<'h>>>,
    /// Who wrote, or meant to write, each value.
    pub(super) writers: HashMap<Value, usize>,
    /// Values that their own transaction replaced again.
    pub(super) intermediate: HashMap<Value, usize>,
    /// By transaction: whether it happened, as far as anybody can tell.
    pub(super) happened: Vec<bool>,
}

fn object_of(event: &Event) -> Option<Object> {
    match event {
        Event::Append { object, .. }
        | Event::Add { object, .. }
        | Event::Read { object, .. }
        | Event::Length { object, .. }
        | Event::Last { object, .. }
        | Event::Presence { object, .. }
        | Event::Write { object, .. }
        | Event::State { object, .. }
        | Event::MayExpire { object } => Some(*object),
        Event::Effect { .. } => None,
    }
}

/// The value that an event writes.
fn written(event: &Event) -> Option<Value> {
    match event {
        Event::Append { value, .. } | Event::Add { value, .. } => Some(*value),
        Event::Write { to, .. } => (*to >= crate::history::FIRST_VALUE).then_some(*to),
        _ => None,
    }
}

/// The values that an event saw.
fn seen(event: &Event) -> &[Value] {
    match event {
        Event::Read { values, .. } => values,
        Event::State { state, .. } => std::slice::from_ref(state),
        Event::Last {
            value: Some(value), ..
        } => std::slice::from_ref(value),
        Event::Write {
            from: Some(from), ..
        } => std::slice::from_ref(from),
        _ => &[],
    }
}

/// What a transaction has done so far to one object.
#[derive(Default)]
struct Own {
    values: Vec<Value>,
    state: Option<State>,
    /// The write to be shown: what it replaced first, what it left last.
    write: Option<(State, State, bool)>,
}

pub(super) fn collect<'h>(history: &'h History, report: &mut Report) -> Accesses<'h> {
    let mut accesses = Accesses::default();
    for (index, transaction) in history.transactions.iter().enumerate() {
        for value in transaction.events.iter().filter_map(written) {
            if accesses.writers.insert(value, index).is_some() {
                report.add(
                    Class::Duplicate,
                    format!("the history itself writes {value} twice"),
                );
            }
        }
    }
    mark_happened(history, &mut accesses);
    for (index, transaction) in history.transactions.iter().enumerate() {
        if accesses.happened[index] {
            show(&mut accesses, index, transaction, report);
        }
    }
    accesses
}

fn mark_happened(history: &History, accesses: &mut Accesses<'_>) {
    let committed = |transaction: &Transaction| transaction.outcome == Outcome::Committed;
    accesses.happened = history.transactions.iter().map(committed).collect();
    for transaction in history.transactions.iter().filter(|t| committed(t)) {
        for value in transaction.events.iter().flat_map(seen) {
            if let Some(writer) = accesses.writers.get(value)
                && history.transactions[*writer].outcome == Outcome::Unknown
            {
                accesses.happened[*writer] = true;
            }
        }
    }
}

/// Adds what one transaction that happened shows.
fn show<'h>(
    accesses: &mut Accesses<'h>,
    index: usize,
    transaction: &'h Transaction,
    report: &mut Report,
) {
    let mut own: Vec<(Object, Own)> = Vec::new();
    for event in &transaction.events {
        let Some(object) = object_of(event) else {
            continue;
        };
        let at = own.iter().position(|(known, _)| *known == object);
        let at = at.unwrap_or_else(|| {
            own.push((object, Own::default()));
            own.len() - 1
        });
        let own = &mut own[at].1;
        match without_own(event, object, own) {
            Ok(Some(what)) => accesses.of.entry(object).or_default().push(Access {
                transaction: index,
                what,
            }),
            Ok(None) => {}
            Err(()) => report.add(
                Class::LostOwnWrite,
                format!("of {object}:\n{}", tell(transaction, &[object])),
            ),
        }
        if let Event::Write { to, .. } = event {
            if let Some(before) = own.state.filter(|before| before != to) {
                accesses.intermediate.insert(before, index);
            }
            own.state = Some(*to);
        }
    }
    for (object, own) in own {
        if let Some((from, to, deletes)) = own.write {
            accesses.of.entry(object).or_default().push(Access {
                transaction: index,
                what: What::Write { from, to, deletes },
            });
        }
    }
}

/// What an event tells of others' writes; `Err` if it misses one of the transaction's own.
fn without_own<'h>(
    event: &'h Event,
    object: Object,
    own: &mut Own,
) -> Result<Option<What<'h>>, ()> {
    Ok(match event {
        Event::Append { value, length, .. } => {
            own.values.push(*value);
            let position = length.map(|length| (length as usize).wrapping_sub(1));
            Some(What::Append {
                value: *value,
                position,
            })
        }
        Event::Add { value, .. } => {
            own.values.push(*value);
            Some(What::Add(*value))
        }
        Event::Write {
            from, to, deletes, ..
        } => {
            if own.state.is_some() && *from != own.state {
                return Err(());
            }
            // Where no reply came, nothing says what was replaced.
            if let Some(first) = own.write.map(|(first, ..)| first).or(*from) {
                own.write = Some((first, *to, *deletes));
            }
            None
        }
        Event::State {
            state, companion, ..
        } => match own.state {
            None => Some(What::State {
                state: *state,
                companion: *companion,
            }),
            Some(own) if own == *state => None,
            Some(_) => return Err(()),
        },
        Event::MayExpire { .. } => Some(What::MayExpire),
        Event::Effect { .. } => None,
        _ => read_without_own(event, object, own)?,
    })
}

/// As `without_own`, of what only looks at elements.
fn read_without_own<'h>(
    event: &'h Event,
    object: Object,
    own: &Own,
) -> Result<Option<What<'h>>, ()> {
    let own_count = own.values.len();
    Ok(match event {
        Event::Read { values, .. } if object.family.is_sequence() => {
            let others = values.len().checked_sub(own_count).ok_or(())?;
            if values[others..] != own.values {
                return Err(());
            }
            Some(What::Prefix(&values[..others]))
        }
        Event::Read { values, .. } => {
            let mut others = values.to_vec();
            others.retain(|value| !own.values.contains(value));
            if others.len() + own_count != values.len() {
                return Err(());
            }
            others.sort_unstable();
            Some(What::Members(others))
        }
        Event::Length { length, .. } => {
            let others = (*length as usize).checked_sub(own_count);
            Some(What::Length(others.ok_or(())?))
        }
        Event::Last { value, .. } => match own.values.last() {
            None => Some(What::Last(*value)),
            Some(last) if Some(*last) == *value => None,
            Some(_) => return Err(()),
        },
        Event::Presence { is_there, .. } => match own.state {
            None if own_count == 0 => Some(What::Presence(*is_there)),
            None if *is_there => None,
            None => return Err(()),
            // It may have been deleted, or have expired by its own deadline.
            Some(_) => None,
        },
        _ => None,
    })
}
