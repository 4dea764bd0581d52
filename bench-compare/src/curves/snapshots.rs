//! With ever more snapshots held, each of another moment.

use crate::client::Client;
use crate::curves::{Figure, Values, quietly};
use crate::error::Error;
use crate::load::{Load, Until};
use crate::server::{Kind, Program};
use crate::template::Template;

const KEYS: u64 = 100_000;
const OPERATIONS: u64 = 300_000;
/// What the load needs of descriptors besides those of the snapshots.
const OTHER_DESCRIPTORS: u64 = 200;

const FIGURE: Figure = Figure {
    name: "snapshots",
    title: "Time for an operation while snapshots are held, 50 clients, pipelines of 16",
    x: "snapshots held (at 0.1: none)",
    y: "µs",
    is_y_logarithmic: false,
};

pub(super) const FIGURES: &[&Figure] = &[&FIGURE];

/// Each snapshot is a connection's.
pub(super) fn run(values: &mut Values<'_>, program: &Program) -> Result<(), Error> {
    let is_own = program.kind == Kind::Darter;
    let options = ["--maxclients=20000"].map(str::to_owned);
    let options: &[String] = if is_own { &options } else { &[] };
    let descriptors = rlimit::increase_nofile_limit(u64::MAX).map_err(Error::io("descriptors"))?;
    let server = program.start(options)?;
    let mut client = Client::new(server.address)?;
    client.fill("SET key:{seq} {v64}", 0, KEYS)?;
    let mut holders = Vec::new();
    // Others know of no snapshots: they are shown without.
    let counts: &[usize] = if is_own { &[0, 1, 100, 10_000] } else { &[0] };
    for &count in counts {
        if count as u64 + OTHER_DESCRIPTORS > descriptors {
            eprintln!(
                "{count} snapshots need more descriptors than the {descriptors} there may be"
            );
            break;
        }
        while holders.len() < count {
            let mut holder = Client::new(server.address)?;
            client.call(&["INCR", "moment"])?;
            holder.call(&["SNAPSHOT", "BEGIN"])?;
            holders.push(holder);
        }
        for (name, operation) in [
            ("GET", "GET key:{100000}"),
            ("SET", "SET key:{100000} {v64}"),
        ] {
            let load = Load {
                operation: Template::new(operation),
                connections: 50,
                pipeline: 16,
                threads: 1,
                until: Until::Operations(values.scaled(OPERATIONS)),
            };
            let Some((outcome, _)) = quietly(values.common, &server, &load)? else {
                continue;
            };
            let time_us = outcome.elapsed.as_secs_f64() * 1e6 / outcome.operations as f64;
            let series = format!("{} {name}", program.name);
            values.push(&FIGURE, &series, (count as f64).max(0.1), time_us);
        }
    }
    Ok(())
}
