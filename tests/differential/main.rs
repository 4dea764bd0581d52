//! The same stream of commands to Redis 7.0 and to Darter, compared reply by reply and state by
//! state. docs/compatibility.md tells what may differ; docs/testing.md how to run this.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod compare;
mod coverage;
mod excluded;
mod facts;
mod forms;
mod grammar;
mod lua;
mod peers;
mod pools;
mod rules;
mod run;
mod scripts;
mod state;
mod support;
mod ways;
mod wire;

use forms::FAMILIES;
use peers::Peers;
use run::Run;

/// The share of each family's commands that must succeed, in percent.
const SUCCESS_PERCENT_MIN: usize = 60;
const SEED: u64 = 1;
const COMMANDS: u64 = 10_000;

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

fn tell(run: &Run) {
    eprintln!(
        "{:<14} {:>8} {:>10} {:>8} {:>12}",
        "family", "sent", "succeeded", "percent", "differences"
    );
    for (family, count) in FAMILIES.iter().zip(&run.counts) {
        let (name, sent) = (family.name, count.sent);
        eprintln!(
            "{name:<14} {sent:>8} {:>10} {:>8} {:>12}",
            count.succeeded,
            count.percent(),
            count.differences
        );
    }
    eprintln!("ways: {:?}", run.ways);
    eprintln!("explained: {:?}", run.explained);
}

#[test]
fn the_same_stream_has_the_same_replies() {
    let Some(peers) = Peers::start() else { return };
    let seed = from_environment("SEED").unwrap_or(SEED);
    let commands = from_environment("COMMANDS").unwrap_or(COMMANDS) as usize;
    eprintln!("SEED={seed} COMMANDS={commands}");
    let mut run = Run::new(peers, seed);
    run.go(commands);
    tell(&run);
    let differences = run.differences.join("\n\n");
    assert!(
        differences.is_empty(),
        "SEED={seed} COMMANDS={commands}\n\n{differences}\n"
    );
    let succeeded: usize = run.counts.iter().map(|count| count.succeeded).sum();
    let percent = succeeded * 100 / run.sent();
    eprintln!("{percent} % of {} commands succeeded", run.sent());
    for (family, count) in FAMILIES.iter().zip(&run.counts) {
        let (name, percent) = (family.name, count.percent());
        assert!(
            percent >= SUCCESS_PERCENT_MIN,
            "only {percent} % of {name} succeeded"
        );
    }
}
