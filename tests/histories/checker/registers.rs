//! Registers: every writer says what it replaced, so their versions are a chain.

use std::collections::HashMap;

use super::Class;
use super::accesses::{Access, What};
use super::objects::{Scope, Seen, Versions, Writer, presence};
use crate::history::{ABSENT, BORN, FIRST_VALUE, GONE, State};

/// One link of the chain.
#[derive(Clone, Copy)]
struct Link {
    to: State,
    deletes: bool,
    writer: usize,
}

/// The chain as far as it goes.
struct Chain {
    /// The version that each state is.
    level: HashMap<State, usize>,
    /// By version: what the second key of a pair holds.
    companions: Vec<State>,
    last: State,
}

pub(super) fn order(scope: &mut Scope<'_, '_>, own: &[Access<'_>]) -> Versions {
    let mut versions = Versions {
        object: scope.object,
        writers: Vec::new(),
        reads: Vec::new(),
    };
    let links = links(scope, own);
    let mut chain = walk(scope, &links, &mut versions);
    broken_links(scope, own, &chain);
    let has_deadline = own
        .iter()
        .any(|access| matches!(access.what, What::MayExpire));
    if scope.object.family.is_mortal() && chain.last != GONE && has_deadline {
        versions.writers.push(vec![Writer::Expiry]);
        chain.level.insert(GONE, versions.writers.len());
        chain.companions.push(ABSENT);
    }
    for access in own {
        let seen = match access.what {
            What::State { state, companion } => {
                let at = saw(scope, access.transaction, state, &chain);
                if let (Some(at), Some(companion)) = (at, companion)
                    && chain.companions[at] != companion
                {
                    let what = format!("{state} never stood beside {companion}");
                    scope.tell(Class::TornState, &what, &[access.transaction]);
                }
                at.map(Seen::At)
            }
            What::Presence(is_there) => presence_of(scope, access.transaction, is_there, &chain),
            _ => None,
        };
        let seen = seen.map(|seen| (access.transaction, seen));
        versions.reads.extend(seen);
    }
    final_state(scope, own, &chain, &versions);
    versions
}

/// Every write by what it replaced. Two that replaced the same are a lost update.
fn links(scope: &mut Scope<'_, '_>, own: &[Access<'_>]) -> HashMap<State, Link> {
    let mut links: HashMap<State, Link> = HashMap::new();
    for access in own {
        if let What::Write { from, to, deletes } = access.what {
            let writer = access.transaction;
            let link = Link {
                to,
                deletes,
                writer,
            };
            if let Some(other) = links.insert(from, link) {
                let what = format!("both replaced {from}");
                scope.tell(Class::LostUpdate, &what, &[other.writer, writer]);
            }
        }
    }
    links
}

fn walk(scope: &mut Scope<'_, '_>, links: &HashMap<State, Link>, versions: &mut Versions) -> Chain {
    let first = match scope.object.family.is_mortal() {
        true => BORN,
        false => ABSENT,
    };
    let mut chain = Chain {
        level: HashMap::from([(first, 0)]),
        companions: vec![ABSENT],
        last: first,
    };
    let mut companion = ABSENT;
    while let Some(link) = links.get(&chain.last) {
        versions
            .writers
            .push(vec![Writer::Transaction(link.writer)]);
        if chain
            .level
            .insert(link.to, versions.writers.len())
            .is_some()
        {
            let what = format!("{} came twice", link.to);
            scope.tell(Class::IncompatibleOrder, &what, &[link.writer]);
            break;
        }
        if link.deletes {
            companion = link.to;
        }
        chain.companions.push(companion);
        chain.last = link.to;
        scope.report.steps += 1;
    }
    chain
}

/// Writes that hang on nothing.
fn broken_links(scope: &mut Scope<'_, '_>, own: &[Access<'_>], chain: &Chain) {
    for access in own {
        let What::Write { from, to, .. } = access.what else {
            continue;
        };
        if chain.level.contains_key(&to) || chain.level.contains_key(&from) {
            continue;
        }
        if saw(scope, access.transaction, from, chain).is_none() && from < FIRST_VALUE {
            let what = format!("{from} was replaced when it had been over");
            scope.tell(Class::IncompatibleOrder, &what, &[access.transaction]);
        }
    }
}

/// The version that a state is; `None`, reported, if it is none.
fn saw(scope: &mut Scope<'_, '_>, reader: usize, state: State, chain: &Chain) -> Option<usize> {
    if let Some(at) = chain.level.get(&state) {
        return Some(*at);
    }
    if state < FIRST_VALUE {
        let what = format!("nobody left it in state {state}");
        scope.tell(Class::LostWrite, &what, &[reader]);
        return None;
    }
    let writer = scope.writer_of(state, reader)?;
    if scope.accesses.intermediate.contains_key(&state) {
        let what = "a state in the middle of a transaction was read";
        scope.tell(Class::IntermediateRead, what, &[writer, reader]);
    }
    None
}

fn presence_of(
    scope: &mut Scope<'_, '_>,
    reader: usize,
    is_there: bool,
    chain: &Chain,
) -> Option<Seen> {
    if !scope.object.family.is_mortal() {
        return Some(presence(is_there));
    }
    let gone = chain.level.get(&GONE).copied();
    match (is_there, gone) {
        (true, Some(gone)) => Some(Seen::AtMost(gone - 1)),
        (true, None) => None,
        (false, _) => saw(scope, reader, GONE, chain).map(Seen::At),
    }
}

/// The final read must find the last version.
fn final_state(scope: &mut Scope<'_, '_>, own: &[Access<'_>], chain: &Chain, versions: &Versions) {
    let Some(last) = scope.history.final_read else {
        return;
    };
    for access in own.iter().filter(|access| access.transaction == last) {
        let What::State { state, .. } = access.what else {
            continue;
        };
        if state != chain.last
            && state != GONE
            && let Some(Writer::Transaction(writer)) =
                versions.writers.last().and_then(|writers| writers.first())
        {
            let what = format!("the end is {state}, not {}", chain.last);
            scope.tell(Class::LostWrite, &what, &[*writer]);
        }
    }
}
