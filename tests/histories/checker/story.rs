//! Anomalies as stories.

use std::fmt::Write;

use crate::history::{Event, History, Object, Outcome, Transaction};

use super::edges::{Edge, Graph, Kind, Node};

/// Elements of a read that are told.
const ELEMENTS_MAX: usize = 12;

fn tell_event(event: &Event) -> (Option<Object>, String) {
    match event {
        Event::Append {
            object,
            value,
            length,
        } => {
            let place = length.map_or(String::new(), |length| format!(" (now {length} long)"));
            (Some(*object), format!("appends {value} to {object}{place}"))
        }
        Event::Add { object, value } => (Some(*object), format!("adds {value} to {object}")),
        Event::Read { object, values } => {
            let from = values.len().saturating_sub(ELEMENTS_MAX);
            let dots = if from > 0 {
                format!("{from} more, ")
            } else {
                String::new()
            };
            (
                Some(*object),
                format!("reads {object} = [{dots}{:?}]", &values[from..]),
            )
        }
        Event::Length { object, length } => (Some(*object), format!("counts {length} in {object}")),
        Event::Last { object, value } => (
            Some(*object),
            format!("reads the last of {object} = {value:?}"),
        ),
        Event::Presence { object, is_there } => (
            Some(*object),
            format!(
                "finds {object} {}",
                if *is_there { "there" } else { "absent" }
            ),
        ),
        Event::Write {
            object,
            from,
            to,
            deletes,
        } => {
            let verb = if *deletes { "deletes" } else { "writes" };
            (
                Some(*object),
                format!("{verb} {object}: from {from:?} to {to}"),
            )
        }
        Event::State {
            object,
            state,
            companion,
        } => {
            let beside = companion.map_or(String::new(), |value| format!(" beside {value}"));
            (Some(*object), format!("reads {object} = {state}{beside}"))
        }
        Event::MayExpire { object } => (Some(*object), format!("gives {object} a deadline")),
        Event::Effect { channel } => (None, format!("tells channel {channel}")),
    }
}

/// One transaction: who, when, how, and what it did to `objects` (all, if none is named).
pub(super) fn tell(transaction: &Transaction, objects: &[Object]) -> String {
    let outcome = match transaction.outcome {
        Outcome::Committed => "",
        Outcome::Aborted => ", aborted",
        Outcome::Unknown => ", outcome unknown",
    };
    let end = if transaction.completed_ns == u64::MAX {
        "?".to_owned()
    } else {
        format!("{:.3}", transaction.completed_ns as f64 / 1e6)
    };
    let mut text = format!(
        "  T{} (client {}, {}, {:.3} to {end} ms{outcome})",
        transaction.id,
        transaction.client,
        transaction.mode,
        transaction.invoked_ns as f64 / 1e6
    );
    for event in &transaction.events {
        let (object, what) = tell_event(event);
        if objects.is_empty() || object.is_none_or(|object| objects.contains(&object)) {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n      {what}");
        }
    }
    text
}

/// Several transactions by their indices.
pub(super) fn tell_all(history: &History, indices: &[usize], objects: &[Object]) -> String {
    let told: Vec<String> = indices
        .iter()
        .map(|index| tell(&history.transactions[*index], objects))
        .collect();
    told.join("\n")
}

fn name(history: &History, node: Node) -> String {
    match node {
        Node::Transaction(index) => format!("T{}", history.transactions[index].id),
        Node::Expiry(object) => format!("the expiry of {object}"),
        Node::Moment => "a moment".into(),
    }
}

/// A cycle as a story: every transaction in it, and why each comes before the next. Moments
/// between two transactions are one step.
pub(super) fn tell_cycle(history: &History, graph: &Graph, cycle: &[Edge]) -> String {
    let objects: Vec<Object> = cycle.iter().filter_map(|edge| edge.object).collect();
    let mut text = String::new();
    for edge in cycle {
        if let Node::Transaction(index) = graph.node(edge.from) {
            text.push_str(&tell(&history.transactions[index], &objects));
            text.push('\n');
        }
    }
    let is_moment = |node: u32| graph.node(node) == Node::Moment;
    let begin = cycle.iter().position(|edge| !is_moment(edge.from));
    let mut rest: Vec<&Edge> = cycle.iter().collect();
    rest.rotate_left(begin.unwrap_or(0));
    let mut steps = Vec::new();
    let mut ended = None;
    for edge in rest {
        let (from, to) = (graph.node(edge.from), graph.node(edge.to));
        let object = edge
            .object
            .map_or(String::new(), |object| object.to_string());
        let why = match edge.kind {
            Kind::Ww => format!("it wrote the version of {object} before the other's"),
            Kind::Wr => format!("the other saw what it wrote to {object}"),
            Kind::Rw => format!("it did not see what the other wrote to {object}"),
            Kind::Effect => "others were told of it first".to_owned(),
            Kind::Time if to == Node::Moment => {
                ended = ended.or(Some(from));
                continue;
            }
            Kind::Time => "it had ended before the other began".to_owned(),
        };
        let from = ended.take().unwrap_or(from);
        steps.push(format!(
            "  {} must come before {}: {why} ({:?})",
            name(history, from),
            name(history, to),
            edge.kind
        ));
    }
    text.push_str(&steps.join("\n"));
    text
}
