//! Cycles: strongly connected components (Tarjan, 1972, without recursion), and in each the
//! shortest cycle of the least kind, which names the anomaly.

use std::collections::{HashMap, HashSet, VecDeque};

use super::edges::{Edge, Graph, Kind};
use super::story::tell_cycle;
use super::{Class, Report};
use crate::history::{Family, History};

const NONE: u32 = u32::MAX;
/// Where a search for a short cycle begins, at most so often per component.
const STARTS_MAX: usize = 200;

/// The components with more than one node.
fn components(graph: &Graph, steps: &mut u64) -> Vec<Vec<u32>> {
    let mut found = Vec::new();
    let mut index = vec![NONE; graph.nodes];
    let mut low = vec![0_u32; graph.nodes];
    let mut on_stack = vec![false; graph.nodes];
    let (mut stack, mut calls) = (Vec::new(), Vec::new());
    let mut next = 0;
    for root in 0..graph.nodes as u32 {
        if index[root as usize] != NONE {
            continue;
        }
        calls.push((root, 0_usize));
        while let Some((node, edge)) = calls.pop() {
            let at = node as usize;
            if edge == 0 {
                index[at] = next;
                low[at] = next;
                next += 1;
                stack.push(node);
                on_stack[at] = true;
            }
            if let Some(step) = graph.from(node).get(edge) {
                *steps += 1;
                let to = step.to as usize;
                calls.push((node, edge + 1));
                if index[to] == NONE {
                    calls.push((step.to, 0));
                } else if on_stack[to] {
                    low[at] = low[at].min(index[to]);
                }
                continue;
            }
            if let Some((parent, _)) = calls.last() {
                let parent = *parent as usize;
                low[parent] = low[parent].min(low[at]);
            }
            if low[at] == index[at] {
                let begin = stack.iter().rposition(|known| *known == node);
                let component = stack.split_off(begin.unwrap_or(0));
                component
                    .iter()
                    .for_each(|node| on_stack[*node as usize] = false);
                if component.len() > 1 {
                    found.push(component);
                }
            }
        }
    }
    found
}

/// The part of the graph that a search may use.
struct Search<'g> {
    graph: &'g Graph,
    within: HashSet<u32>,
}

impl Search<'_> {
    fn edges<'s>(&'s self, allowed: &'s [Kind]) -> impl Iterator<Item = &'s Edge> {
        let nodes = self.within.iter();
        nodes
            .flat_map(|node| self.graph.from(*node))
            .filter(|edge| self.within.contains(&edge.to) && allowed.contains(&edge.kind))
    }

    /// A shortest way from `from` to `to` over edges of these kinds.
    fn way(&self, from: u32, to: u32, allowed: &[Kind]) -> Option<Vec<Edge>> {
        let mut reached: HashMap<u32, Edge> = HashMap::new();
        let mut queue = VecDeque::from([from]);
        while let Some(node) = queue.pop_front() {
            for edge in self.graph.from(node) {
                let is_usable = allowed.contains(&edge.kind) && self.within.contains(&edge.to);
                if !is_usable || reached.contains_key(&edge.to) {
                    continue;
                }
                reached.insert(edge.to, *edge);
                if edge.to == to {
                    let mut way = vec![*edge];
                    while way[way.len() - 1].from != from {
                        way.push(reached[&way[way.len() - 1].from]);
                    }
                    way.reverse();
                    return Some(way);
                }
                queue.push_back(edge.to);
            }
        }
        None
    }

    /// A short cycle that begins with an edge of one of `first` and goes on over `rest`.
    fn cycle(&self, first: &[Kind], rest: &[Kind]) -> Option<Vec<Edge>> {
        let mut starts: Vec<Edge> = self.edges(first).copied().collect();
        // The same history tells the same story.
        starts.sort_by_key(|edge| (edge.from, edge.to));
        let mut best: Option<Vec<Edge>> = None;
        for edge in starts.iter().take(STARTS_MAX) {
            if let Some(way) = self.way(edge.to, edge.from, rest)
                && best.as_ref().is_none_or(|best| way.len() + 1 < best.len())
            {
                best = Some([&[*edge], &way[..]].concat());
            }
        }
        best
    }
}

/// The kinds of cycles, the plainest first: what they begin with, and what they go on over.
const SHAPES: &[(&[Kind], &[Kind])] = &[
    (&[Kind::Ww], &[Kind::Ww]),
    (&[Kind::Wr], &[Kind::Ww, Kind::Wr]),
    (&[Kind::Rw], &[Kind::Ww, Kind::Wr]),
    (&[Kind::Rw], &[Kind::Ww, Kind::Wr, Kind::Rw]),
    (&[Kind::Rw], &[Kind::Time]),
    (&[Kind::Ww, Kind::Wr], &[Kind::Ww, Kind::Wr, Kind::Time]),
    (&[Kind::Rw], &[Kind::Ww, Kind::Wr, Kind::Time]),
    (&[Kind::Rw], &[Kind::Ww, Kind::Wr, Kind::Rw, Kind::Time]),
    (
        &[Kind::Effect],
        &[Kind::Ww, Kind::Wr, Kind::Rw, Kind::Time, Kind::Effect],
    ),
];

/// The name of what a cycle proves.
fn class_of(cycle: &[Edge]) -> Class {
    let has = |kind: Kind| cycle.iter().any(|edge| edge.kind == kind);
    let anti: Vec<usize> = (0..cycle.len())
        .filter(|at| cycle[*at].kind == Kind::Rw)
        .collect();
    let is_ranged = anti.iter().any(|at| {
        let family = cycle[*at].object.map(|object| object.family);
        matches!(family, Some(Family::Keys | Family::Count))
    });
    if has(Kind::Effect) {
        return Class::EffectOrder;
    }
    if has(Kind::Time) {
        return if anti.len() == 1 {
            Class::StaleRead
        } else {
            Class::RealTimeInversion
        };
    }
    let after = |at: usize| cycle[(at + 1) % cycle.len()].kind;
    match anti[..] {
        [] if has(Kind::Wr) => Class::CircularFlow,
        [] => Class::DirtyWrite,
        _ if is_ranged => Class::Phantom,
        [at] => {
            let object = cycle[at].object;
            let is_update = cycle.iter().all(|edge| edge.object == object) && has(Kind::Ww);
            if is_update && !has(Kind::Wr) {
                Class::LostUpdate
            } else {
                Class::ReadSkew
            }
        }
        _ if anti.iter().all(|at| after(*at) != Kind::Rw) => Class::LongFork,
        _ => Class::WriteSkew,
    }
}

pub(super) fn find(history: &History, graph: &Graph, report: &mut Report) {
    for component in components(graph, &mut report.steps) {
        let search = Search {
            graph,
            within: component.into_iter().collect(),
        };
        let shapes = SHAPES.iter();
        let cycle = shapes
            .filter_map(|(first, rest)| search.cycle(first, rest))
            .next();
        if let Some(cycle) = cycle {
            report.add(class_of(&cycle), tell_cycle(history, graph, &cycle));
        } else {
            report.add(
                Class::RealTimeInversion,
                format!("  a cycle of {} transactions", search.within.len()),
            );
        }
    }
}
