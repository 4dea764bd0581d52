//! One measurement: a fresh server, what comes before, the load, and what it came to.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::client::{Answer, Client};
use crate::error::Error;
use crate::load::{self, Load, Outcome, Until};
use crate::metric::Metric;
use crate::open::{self, OpenLoad};
use crate::rows::{Closed, Filled, Open, Row, Work};
use crate::server::{Kind, Program, Server};
use crate::template::Template;
use crate::usage::{self, Meter, Usage};

/// Reads of one long script.
const LONG_CALLS: &str = "20000";
/// Two sizes that differ by less are the same: nothing is rearranged any more.
const SETTLED_BYTES: u64 = 100_000;
const SETTLE: Duration = Duration::from_secs(1);
const SETTLE_TIMES: usize = 15;

/// What one measurement came to.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) values: Vec<(Metric, f64)>,
    /// Processors that were busy with something else.
    pub(crate) other_cores: f64,
}

impl Program {
    /// What it is started with: a server that has no such options goes without.
    pub(crate) fn options(&self, row: &[&str]) -> Vec<String> {
        let knows = |option: &&&str| match self.kind {
            Kind::Darter => true,
            Kind::Dragonfly => option.starts_with("--default_lua_flags"),
            _ => false,
        };
        row.iter().filter(knows).map(|&o| o.to_owned()).collect()
    }
}

/// A row on a server of its own.
pub(crate) fn measure(program: &Program, row: &Row, scale: f64) -> Result<Measured, Error> {
    let mut options = program.options(row.options);
    if program.kind == Kind::Dragonfly && row.options.contains(&"--threads=1") {
        options.push("--proactor_threads=1".into());
    }
    match &row.work {
        Work::Closed(closed) => {
            let server = program.start(&options)?;
            measure_closed(&server, closed, scale)
        }
        Work::Open(open) => measure_open(&program.start(&options)?, open, scale),
        Work::Memory(filled) => measure_memory(&program.start(&options)?, filled),
        Work::Start => measure_start(program, &options),
    }
}

/// What is run before, each so many times.
fn fill(client: &mut Client, operations: &[(String, u64)]) -> Result<(), Error> {
    operations
        .iter()
        .try_for_each(|(text, times)| client.fill(text, 0, *times))
}

fn cpu_micros(usage: &Usage, operations: u64) -> (Metric, f64) {
    let micros = usage.server_seconds * 1e6;
    (Metric::CpuMicros, micros / operations.max(1) as f64)
}

/// The load of a row, its script loaded.
pub(crate) fn prepare(client: &mut Client, closed: &Closed, scale: f64) -> Result<Load, Error> {
    let mut operation = closed.operation.clone();
    if let Some(body) = closed.script {
        let sha = client.call(&["SCRIPT", "LOAD", body])?;
        operation = operation.replace("{sha}", &sha);
    }
    let scaled = |operations: u64| ((operations as f64 * scale) as u64).max(1);
    fill(client, &closed.fill)?;
    Ok(Load {
        operation: Template::new(&operation),
        connections: closed.connections,
        pipeline: closed.pipeline,
        threads: closed.threads,
        until: match closed.until {
            Until::Operations(operations) => Until::Operations(scaled(operations)),
            Until::Elapsed(duration) => Until::Elapsed(duration.mul_f64(scale)),
        },
    })
}

fn measure_closed(server: &Server, closed: &Closed, scale: f64) -> Result<Measured, Error> {
    let mut client = Client::new(server.address)?;
    let load = prepare(&mut client, closed, scale)?;
    let mut holder = Client::new(server.address)?;
    if closed.holds_snapshot {
        // Others have no snapshots: what they answer is an error, and all goes on without.
        let _: Answer = holder.ask(&["SNAPSHOT", "BEGIN"])?;
    }
    let run = || {
        let meter = Meter::new(server.process())?;
        let outcome = load::run(server.address, &load)?;
        Ok::<_, Error>((outcome, meter.read()?))
    };
    let ((outcome, usage), script_rate) = match closed.long_scripts {
        None => (run()?, None),
        Some((connections, body)) => {
            let (result, rate) = beside_scripts(server.address, connections, body, run)?;
            (result, Some(rate))
        }
    };
    let mut values = values_of(&outcome);
    // Beside long scripts the processor is theirs.
    match script_rate {
        Some(rate) => values.push((Metric::ScriptRate, rate)),
        None => values.push(cpu_micros(&usage, outcome.operations)),
    }
    Ok(Measured {
        values,
        other_cores: usage.other_cores,
    })
}

fn measure_open(server: &Server, open: &Open, scale: f64) -> Result<Measured, Error> {
    let mut client = Client::new(server.address)?;
    fill(&mut client, &open.fill)?;
    let together = vec![open.operation.as_str(); open.pipeline].join(" ; ");
    let load = OpenLoad {
        operation: Template::new(&together),
        connections: open.connections,
        rate: f64::from(open.rate) / open.pipeline as f64,
        duration: open.duration.mul_f64(scale),
    };
    let meter = Meter::new(server.process())?;
    let outcome = open::run(server.address, &load)?;
    let usage = meter.read()?;
    let operations = outcome.latencies_us.len() * open.pipeline as u64;
    let mut values = vec![cpu_micros(&usage, operations)];
    values.extend(percentiles(&outcome.latencies_us));
    Ok(Measured {
        values,
        other_cores: usage.other_cores,
    })
}

fn values_of(outcome: &Outcome) -> Vec<(Metric, f64)> {
    let rate = outcome.operations as f64 / outcome.elapsed.as_secs_f64().max(1e-9);
    let mut values = vec![(Metric::Rate, rate)];
    values.extend(percentiles(&outcome.latencies_us));
    values
}

pub(crate) fn percentiles(latencies_us: &Histogram<u64>) -> [(Metric, f64); 3] {
    [
        (Metric::P50, 0.5),
        (Metric::P99, 0.99),
        (Metric::P999, 0.999),
    ]
    .map(|(metric, share)| (metric, latencies_us.value_at_quantile(share) as f64 / 1e3))
}

/// Runs `work` while connections run a script back to back; how many a second ended meanwhile.
fn beside_scripts<R>(
    address: SocketAddr,
    connections: usize,
    body: &str,
    work: impl FnOnce() -> Result<R, Error>,
) -> Result<(R, f64), Error> {
    let (ended, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let run_scripts = |key: String| {
        let mut client = Client::new(address)?;
        client.call(&["SET", &key, &"v".repeat(64)])?;
        let sha = client.call(&["SCRIPT", "LOAD", body])?;
        // Relaxed here and below: a flag and a count that order nothing else.
        while !is_over.load(Ordering::Relaxed) {
            client.call(&["EVALSHA", &sha, "1", &key, LONG_CALLS])?;
            ended.fetch_add(1, Ordering::Relaxed);
        }
        Ok::<_, Error>(())
    };
    std::thread::scope(|scope| {
        let run_scripts = &run_scripts;
        let threads: Vec<_> = (0..connections)
            .map(|at| scope.spawn(move || run_scripts(format!("long:{at}"))))
            .collect();
        // Each has run at least once, on average, before anything is counted.
        let mut waited = 0;
        while ended.load(Ordering::Relaxed) < connections as u64 && waited < 2_000 {
            std::thread::sleep(Duration::from_millis(5));
            waited += 1;
        }
        let before = ended.load(Ordering::Relaxed);
        let begin = std::time::Instant::now();
        let result = work();
        let elapsed = begin.elapsed().as_secs_f64();
        let count = ended.load(Ordering::Relaxed) - before;
        is_over.store(true, Ordering::Relaxed);
        for thread in threads {
            let panicked = || Err(Error::Format("a thread that panicked".into()));
            thread.join().unwrap_or_else(|_| panicked())?;
        }
        Ok((result?, count as f64 / elapsed.max(1e-9)))
    })
}

/// The resident size once it stands still: tables may grow step by step, and what was freed go back.
pub(crate) fn settled_bytes(server: &Server) -> Result<u64, Error> {
    let mut before = usage::resident_bytes(server.process())?;
    for _ in 0..SETTLE_TIMES {
        std::thread::sleep(SETTLE);
        let now = usage::resident_bytes(server.process())?;
        if now.abs_diff(before) < SETTLED_BYTES {
            return Ok(now);
        }
        before = now;
    }
    Ok(before)
}

fn measure_memory(server: &Server, filled: &Filled) -> Result<Measured, Error> {
    let before = usage::resident_bytes(server.process())?;
    Client::new(server.address)?.fill(&filled.operation, 0, filled.entries)?;
    let after = settled_bytes(server)?;
    let per_entry = after.saturating_sub(before) as f64 / filled.entries as f64;
    Ok(Measured {
        values: vec![(Metric::BytesPerEntry, per_entry)],
        // A size does not depend on what else runs.
        other_cores: 0.0,
    })
}

fn measure_start(program: &Program, options: &[String]) -> Result<Measured, Error> {
    // The first start finds the program's file on the disk, the others in memory.
    drop(program.start(options)?);
    let server = program.start(options)?;
    Ok(Measured {
        values: vec![(Metric::StartMs, server.start.as_secs_f64() * 1e3)],
        other_cores: 0.0,
    })
}
