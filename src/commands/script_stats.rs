//! SCRIPT STATS and SCRIPT LATENCY: what has become of scripts' runs.

use std::collections::HashMap;

use super::args::Args;
use super::error::CommandError;
use crate::clients::Context;
use crate::resp::reply::Reply;
use crate::script::cache::{Sha, parse_sha};
use crate::script_stats::Counts;
use crate::services::Services;

/// Keys that are named of those that runs lost on.
const CONFLICTS_SHOWN: usize = 5;

/// The counts of all scripts, or of one, over all threads; what took most time first.
pub fn counts_of(services: &Services, only: Option<&Sha>) -> Vec<(Sha, Counts)> {
    let mut sums = HashMap::new();
    for thread in services.stats.threads().iter() {
        thread.by_script.add_to(&mut sums, only);
    }
    let mut all: Vec<_> = sums.into_iter().collect();
    all.sort_by(|(one_sha, one), (other_sha, other)| {
        let by_time = other.elapsed_ns.cmp(&one.elapsed_ns);
        by_time.then_with(|| one_sha.cmp(other_sha))
    });
    all
}

fn write_counts(sha: &Sha, counts: &Counts, reply: &mut dyn Reply) {
    let numbers = [
        ("runs", counts.runs),
        ("errors", counts.errors),
        ("kills", counts.kills),
        ("retries", counts.retries),
        ("escalations_to_queue", counts.queued),
        ("escalations_to_gate", counts.gated),
        ("gate_us", counts.gate_ns / 1000),
        ("preemptions", counts.preemptions),
        ("total_us", counts.elapsed_ns / 1000),
        ("memory_bytes_max", counts.memory_bytes_max),
        ("p50_us", counts.latency_us(0.5)),
        ("p99_us", counts.latency_us(0.99)),
        ("max_us", counts.latency_us_max()),
    ];
    reply.map(numbers.len() + 2);
    reply.bulk(b"sha");
    reply.bulk(sha);
    for (name, number) in numbers {
        reply.bulk(name.as_bytes());
        reply.integer(number as i64);
    }
    reply.bulk(b"conflicts");
    let conflicts = counts.conflicts(CONFLICTS_SHOWN);
    reply.array(conflicts.len());
    for (key, count) in conflicts {
        reply.array(2);
        reply.bulk(key);
        reply.integer(count as i64);
    }
}

/// SCRIPT STATS
pub(super) fn stats(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let Some(named) = args.get(2) else {
        let all = counts_of(context.services, None);
        reply.array(all.len());
        for (sha, counts) in &all {
            write_counts(sha, counts, reply);
        }
        return Ok(());
    };
    let sha = parse_sha(named).ok_or(CommandError::Syntax)?;
    match counts_of(context.services, Some(&sha)).first() {
        Some((sha, counts)) => write_counts(sha, counts, reply),
        None => return Err(CommandError::text("ERR No run of this script was counted")),
    }
    Ok(())
}

/// SCRIPT LATENCY
pub(super) fn latency(
    context: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let all = counts_of(context.services, None);
    reply.array(all.len());
    for (sha, counts) in &all {
        reply.array(2);
        reply.bulk(sha);
        reply.verbatim("txt", counts.histogram().as_bytes());
    }
    Ok(())
}
