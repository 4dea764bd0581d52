//! Whether a history is strictly serializable, and its effects true.
//!
//! The method is Elle's (Kingsbury and Alvaro, VLDB 2020): values are unique, so reads tell the
//! order of each object's versions (`objects`, `lists`, `registers`); who wrote, read and overwrote which version, who
//! had ended before who began, and the order in which others were told, are edges between
//! transactions (`edges`); a cycle is a proof that no order of all transactions explains what was
//! seen (`cycles`).

mod accesses;
mod cycles;
mod edges;
mod lists;
mod objects;
mod registers;
mod story;
mod witnesses;

use std::fmt;

use super::history::History;

/// What is wrong with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    UnwrittenValue,
    Duplicate,
    AbortedRead,
    IntermediateRead,
    IncompatibleOrder,
    LostOwnWrite,
    LostWrite,
    LostUpdate,
    TornState,
    DirtyWrite,
    CircularFlow,
    Phantom,
    ReadSkew,
    LongFork,
    WriteSkew,
    StaleRead,
    RealTimeInversion,
    EffectTwice,
    EffectLost,
    EffectOfAborted,
    EffectOrder,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::UnwrittenValue => "a value that nobody wrote",
            Class::Duplicate => "a value that is there twice",
            Class::AbortedRead => "G1a, aborted read",
            Class::IntermediateRead => "G1b, intermediate read",
            Class::IncompatibleOrder => "incompatible orders",
            Class::LostOwnWrite => "a transaction does not see its own write",
            Class::LostWrite => "an acknowledged write is lost",
            Class::LostUpdate => "P4, lost update",
            Class::TornState => "two keys that never stood together",
            Class::DirtyWrite => "G0, dirty write",
            Class::CircularFlow => "G1c, circular information flow",
            Class::Phantom => "G2, phantom",
            Class::ReadSkew => "G-single, read skew",
            Class::LongFork => "G2, long fork",
            Class::WriteSkew => "G2, write skew",
            Class::StaleRead => "stale read",
            Class::RealTimeInversion => "real-time inversion",
            Class::EffectTwice => "an effect happened twice",
            Class::EffectLost => "an effect is lost",
            Class::EffectOfAborted => "an effect of what did not happen",
            Class::EffectOrder => "effects in another order than commits",
        })
    }
}

/// One thing that is wrong, told so that it can be followed without the history.
#[derive(Clone, Debug)]
pub(crate) struct Anomaly {
    pub(crate) class: Class,
    pub(crate) story: String,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.class, self.story)
    }
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) anomalies: Vec<Anomaly>,
    /// Edges between transactions, moments included.
    pub(crate) edges: usize,
    /// Elements compared and edges followed: what the check cost, whatever the machine.
    pub(crate) steps: u64,
}

impl Report {
    /// Reports what is wrong.
    fn add(&mut self, class: Class, story: String) {
        self.anomalies.push(Anomaly { class, story });
    }

    /// All anomalies as one text, as many as anybody would read.
    pub(crate) fn text(&self) -> String {
        const TOLD_MAX: usize = 5;
        let told = self.anomalies.iter().take(TOLD_MAX);
        let mut text: Vec<String> = told.map(ToString::to_string).collect();
        if self.anomalies.len() > TOLD_MAX {
            text.push(format!("… and {} more", self.anomalies.len() - TOLD_MAX));
        }
        text.join("\n")
    }
}

/// See the module's text.
pub(crate) fn check(history: &History) -> Report {
    let mut report = Report::default();
    let accesses = accesses::collect(history, &mut report);
    let objects = objects::order(history, &accesses, &mut report);
    witnesses::check(history, &accesses, &mut report);
    let graph = edges::build(history, &accesses, &objects);
    report.edges = graph.edges.len();
    cycles::find(history, &graph, &mut report);
    report
}
