//! Edges between transactions: who must come before whom.

use super::accesses::Accesses;
use super::objects::{Seen, Versions, Writer};
use crate::history::{History, Object};

/// Why one comes before the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It wrote an earlier version.
    Ww,
    /// The other saw what it wrote.
    Wr,
    /// It did not see what the other wrote.
    Rw,
    /// It had ended before the other began.
    Time,
    /// Somebody was told of it first.
    Effect,
}

/// One edge between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) kind: Kind,
    pub(super) object: Option<Object>,
}

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Transaction(usize),
    Expiry(Object),
    /// A moment at which a transaction ended. They are a chain, so that real time needs an edge
    /// or two per transaction and not one per pair.
    Moment,
}

/// All nodes and edges, those of one node side by side.
pub(super) struct Graph {
    transactions: usize,
    expiries: Vec<Object>,
    pub(super) nodes: usize,
    /// Sorted by `from`.
    pub(super) edges: Vec<Edge>,
    first: Vec<u32>,
}

impl Graph {
    pub(super) fn node(&self, node: u32) -> Node {
        let node = node as usize;
        if node < self.transactions {
            return Node::Transaction(node);
        }
        match self.expiries.get(node - self.transactions) {
            Some(object) => Node::Expiry(*object),
            None => Node::Moment,
        }
    }

    /// The edges from a node.
    pub(super) fn from(&self, node: u32) -> &[Edge] {
        let node = node as usize;
        &self.edges[self.first[node] as usize..self.first[node + 1] as usize]
    }
}

/// Edges that are being collected.
struct Builder {
    transactions: usize,
    expiries: Vec<Object>,
    edges: Vec<Edge>,
}

impl Builder {
    fn add(&mut self, from: u32, to: u32, kind: Kind, object: Option<Object>) {
        if from != to {
            self.edges.push(Edge {
                from,
                to,
                kind,
                object,
            });
        }
    }

    fn node_of(&mut self, writer: Writer, object: Object) -> u32 {
        match writer {
            Writer::Transaction(transaction) => transaction as u32,
            Writer::Expiry => {
                let known = self.expiries.iter().rposition(|known| *known == object);
                let at = known.unwrap_or_else(|| {
                    self.expiries.push(object);
                    self.expiries.len() - 1
                });
                (self.transactions + at) as u32
            }
        }
    }
}

pub(super) fn build(history: &History, accesses: &Accesses<'_>, objects: &[Versions]) -> Graph {
    let mut builder = Builder {
        transactions: history.transactions.len(),
        expiries: Vec::new(),
        edges: Vec::new(),
    };
    for versions in objects {
        add_object(&mut builder, versions);
    }
    add_effects(&mut builder, history, accesses);
    let moments = add_time(&mut builder, history);
    let nodes = builder.transactions + builder.expiries.len() + moments;
    let mut edges = builder.edges;
    edges.sort_by_key(|edge| edge.from);
    let mut first = vec![0_u32; nodes + 1];
    for edge in &edges {
        first[edge.from as usize + 1] += 1;
    }
    for node in 0..nodes {
        first[node + 1] += first[node];
    }
    Graph {
        transactions: builder.transactions,
        expiries: builder.expiries,
        nodes,
        edges,
        first,
    }
}

fn add_object(builder: &mut Builder, versions: &Versions) {
    let object = Some(versions.object);
    let levels: Vec<Vec<u32>> = versions
        .writers
        .iter()
        .map(|writers| {
            let nodes = writers.iter();
            nodes
                .map(|writer| builder.node_of(*writer, versions.object))
                .collect()
        })
        .collect();
    for pair in levels.windows(2) {
        for from in &pair[0] {
            for to in &pair[1] {
                builder.add(*from, *to, Kind::Ww, object);
            }
        }
    }
    let none = Vec::new();
    for (reader, seen) in &versions.reads {
        let reader = *reader as u32;
        let (written, overwritten) = match seen {
            Seen::At(level) => (level.checked_sub(1), Some(*level)),
            Seen::AtLeast(level) => (level.checked_sub(1), None),
            Seen::AtMost(level) => (None, Some(*level)),
        };
        for writer in written.and_then(|level| levels.get(level)).unwrap_or(&none) {
            builder.add(*writer, reader, Kind::Wr, object);
        }
        for writer in overwritten
            .and_then(|level| levels.get(level))
            .unwrap_or(&none)
        {
            builder.add(reader, *writer, Kind::Rw, object);
        }
    }
}

/// What each witness was told is an order of commits.
fn add_effects(builder: &mut Builder, history: &History, accesses: &Accesses<'_>) {
    let places: std::collections::HashMap<u32, u32> = (0..)
        .zip(&history.transactions)
        .filter(|(index, _)| accesses.may_have_happened(history, *index as usize))
        .map(|(index, transaction)| (transaction.id, index))
        .collect();
    for witness in &history.witnesses {
        let known = witness.ids.iter().filter_map(|id| places.get(id));
        let known: Vec<u32> = known.copied().collect();
        for pair in known.windows(2) {
            builder.add(pair[0], pair[1], Kind::Effect, None);
        }
    }
}

/// Adds the chain of moments; how many there are.
fn add_time(builder: &mut Builder, history: &History) -> usize {
    // At the same instant beginnings come first: who ended then is not known to have ended before.
    let mut instants: Vec<(u64, bool, u32)> = Vec::with_capacity(history.transactions.len() * 2);
    for (index, transaction) in (0..).zip(&history.transactions) {
        instants.push((transaction.invoked_ns, false, index));
        if transaction.completed_ns != u64::MAX {
            instants.push((transaction.completed_ns, true, index));
        }
    }
    instants.sort_unstable();
    let base = (builder.transactions + builder.expiries.len()) as u32;
    let mut moments = 0_u32;
    // Ends with no beginning between them share a moment.
    let mut is_open = false;
    for (_, is_end, transaction) in instants {
        if is_end {
            if !is_open {
                moments += 1;
                if moments > 1 {
                    builder.add(base + moments - 2, base + moments - 1, Kind::Time, None);
                }
                is_open = true;
            }
            builder.add(transaction, base + moments - 1, Kind::Time, None);
        } else {
            is_open = false;
            if moments > 0 {
                builder.add(base + moments - 1, transaction, Kind::Time, None);
            }
        }
    }
    moments as usize
}
