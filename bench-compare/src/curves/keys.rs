//! With ever more keys: time for an operation, and memory.

use crate::client::Client;
use crate::curves::{Figure, Values, quietly};
use crate::error::Error;
use crate::load::{Load, Until};
use crate::measure::settled_bytes;
use crate::server::Program;
use crate::template::Template;
use crate::usage;

const FILL: &str = "SET key:{seq} {v64}";
const OPERATIONS: u64 = 300_000;

const X: &str = "keys of 16 bytes with values of 64";

const TIME: Figure = Figure {
    name: "keys-time",
    title: "Time for an operation, 50 clients, pipelines of 16",
    x: X,
    y: "µs",
    is_y_logarithmic: false,
};

const CPU: Figure = Figure {
    name: "keys-cpu",
    title: "Processor time of the server for an operation, 50 clients, pipelines of 16",
    ..TIME
};

const MEMORY: Figure = Figure {
    name: "memory",
    title: "Resident size for each key",
    x: X,
    y: "bytes",
    is_y_logarithmic: false,
};

pub(super) const TIME_FIGURES: &[&Figure] = &[&TIME, &CPU];
pub(super) const MEMORY_FIGURES: &[&Figure] = &[&MEMORY];

pub(super) fn time(values: &mut Values<'_>, program: &Program) -> Result<(), Error> {
    let server = program.start(&[])?;
    let mut client = Client::new(server.address)?;
    let (mut size, mut filled) = (1_000, 0);
    while size <= values.common.keys_max {
        client.fill(FILL, filled, size)?;
        filled = size;
        let transaction =
            format!("MULTI ; SET key:{{{size}}} {{v64}} ; SET key:{{{size}}} {{v64}} ; EXEC");
        let operations = [
            ("GET", format!("GET key:{{{size}}}")),
            ("SET", format!("SET key:{{{size}}} {{v64}}")),
            ("transaction of two SET", transaction),
        ];
        for (name, operation) in operations {
            let load = Load {
                operation: Template::new(&operation),
                connections: 50,
                pipeline: 16,
                threads: 1,
                until: Until::Operations(values.scaled(OPERATIONS)),
            };
            let Some((outcome, usage)) = quietly(values.common, &server, &load)? else {
                continue;
            };
            let series = format!("{} {name}", program.name);
            let count = outcome.operations as f64;
            let time_us = outcome.elapsed.as_secs_f64() * 1e6 / count;
            values.push(&TIME, &series, size as f64, time_us);
            let cpu_us = usage.server_seconds * 1e6 / count;
            values.push(&CPU, &series, size as f64, cpu_us);
        }
        size *= 10;
    }
    Ok(())
}

pub(super) fn memory(values: &mut Values<'_>, program: &Program) -> Result<(), Error> {
    let server = program.start(&[])?;
    let before = usage::resident_bytes(server.process())?;
    let mut client = Client::new(server.address)?;
    let mut filled = 0;
    for size in [100_000, 300_000, 1_000_000, 3_000_000, 10_000_000] {
        if size > values.common.keys_max {
            break;
        }
        client.fill(FILL, filled, size)?;
        filled = size;
        let bytes = settled_bytes(&server)?.saturating_sub(before);
        let per_key = bytes as f64 / size as f64;
        values.push(&MEMORY, program.name, size as f64, per_key);
    }
    Ok(())
}
