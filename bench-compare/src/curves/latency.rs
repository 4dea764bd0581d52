//! With ever more operations that come due in a second, whatever the server does.

use std::time::Duration;

use crate::client::Client;
use crate::curves::{Figure, Values};
use crate::error::Error;
use crate::measure::percentiles;
use crate::metric::Metric;
use crate::open::{self, OpenLoad};
use crate::server::Program;
use crate::template::Template;
use crate::usage::Meter;

const RATES: &[f64] = &[
    1e3, 2e3, 5e3, 1e4, 2e4, 3e4, 4e4, 5e4, 6e4, 8e4, 1e5, 1.3e5, 1.6e5, 2e5, 2.5e5, 3e5,
];
const DURATION: Duration = Duration::from_secs(3);
/// Less than this share of what came due has been answered in time: the server is full.
const FULL: f64 = 0.9;
const ATTEMPTS: usize = 3;

const fn figure(name: &'static str, title: &'static str) -> Figure {
    Figure {
        name,
        title,
        x: "operations that come due in a second",
        y: "ms",
        is_y_logarithmic: true,
    }
}

const P50: Figure = figure(
    "latency-p50",
    "GET, 50 connections, arrivals on a schedule: median",
);
const P99: Figure = figure(
    "latency-p99",
    "GET, 50 connections, arrivals on a schedule: p99",
);
const P999: Figure = figure(
    "latency-p999",
    "GET, 50 connections, arrivals on a schedule: p99.9",
);

pub(super) const FIGURES: &[&Figure] = &[&P50, &P99, &P999];

pub(super) fn run(values: &mut Values<'_>, program: &Program) -> Result<(), Error> {
    let server = program.start(&[])?;
    Client::new(server.address)?.fill("SET key:{seq} {v64}", 0, 100_000)?;
    for rate in RATES {
        let load = OpenLoad {
            operation: Template::new("GET key:{100000}"),
            connections: 50,
            rate: *rate,
            duration: DURATION.mul_f64(values.common.scale),
        };
        let mut is_full = false;
        for _ in 0..ATTEMPTS {
            let meter = Meter::new(server.process())?;
            let outcome = open::run(server.address, &load)?;
            let other_cores = meter.read()?.other_cores;
            if other_cores > values.common.other_cores_max {
                eprintln!("THROWN AWAY: others used {other_cores:.2} processors");
                continue;
            }
            is_full = outcome.achieved_rate < rate * FULL;
            for (metric, value) in percentiles(&outcome.latencies_us) {
                let figure = match metric {
                    Metric::P50 => &P50,
                    Metric::P99 => &P99,
                    _ => &P999,
                };
                values.push(figure, program.name, *rate, value);
            }
            break;
        }
        if is_full {
            break;
        }
    }
    Ok(())
}
