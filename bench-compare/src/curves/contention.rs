//! With ever more clients on few keys: commits, and what was done in vain.

use std::time::Duration;

use crate::client::Client;
use crate::curves::{Figure, Values, quietly};
use crate::error::Error;
use crate::load::{Load, Until};
use crate::server::{Kind, Program};
use crate::template::Template;

const SCRIPT: &str = include_str!("../../../benches/scripts/hot_key.lua");
const CLIENTS: &[usize] = &[1, 2, 4, 8, 16, 32, 64];
const DURATION: Duration = Duration::from_secs(1);
const X: &str = "clients";

const fn figure(name: &'static str, title: &'static str, y: &'static str) -> Figure {
    Figure {
        name,
        title,
        x: X,
        y,
        is_y_logarithmic: false,
    }
}

/// How many keys there are, and the pictures of commits and of aborts.
const ON: &[(u64, Figure, Figure)] = &[
    (
        1,
        figure(
            "contention-1-commits",
            "Read-compute-write scripts on one key",
            "commits/s",
        ),
        figure(
            "contention-1-aborts",
            "Read-compute-write scripts on one key",
            "aborts/s",
        ),
    ),
    (
        8,
        figure(
            "contention-8-commits",
            "Read-compute-write scripts on 8 keys",
            "commits/s",
        ),
        figure(
            "contention-8-aborts",
            "Read-compute-write scripts on 8 keys",
            "aborts/s",
        ),
    ),
    (
        1_000,
        figure(
            "contention-1000-commits",
            "Read-compute-write scripts on 1,000 keys",
            "commits/s",
        ),
        figure(
            "contention-1000-aborts",
            "Read-compute-write scripts on 1,000 keys",
            "aborts/s",
        ),
    ),
];

/// How often runs lined up, and how often the last resort was taken, over all keys.
const QUEUED: Figure = figure(
    "contention-queued",
    "Runs that lined up for their keys",
    "1/s",
);
const GATED: Figure = figure(
    "contention-gated",
    "Runs that took the gate after losing",
    "1/s",
);

pub(super) const FIGURES: &[&Figure] = &[
    &ON[0].1, &ON[0].2, &ON[1].1, &ON[1].2, &ON[2].1, &ON[2].2, &QUEUED, &GATED,
];

const MODES: &[(&str, &[&str])] = &[
    ("optimistic", &[]),
    ("exclusive", &["--default_lua_flags=allow-undeclared-keys"]),
    (
        "disable-atomicity",
        &["--default_lua_flags=disable-atomicity"],
    ),
];

/// Counts of INFO that tell what commits cost, and where they are shown; `None` for the aborts.
const COUNTS: &[(&str, Option<&Figure>)] = &[
    ("conflicts", None),
    ("escalations_to_queue", Some(&QUEUED)),
    ("escalations_to_gate", Some(&GATED)),
];

fn counts(client: &mut Client) -> Result<Vec<f64>, Error> {
    let mut found = Vec::new();
    for (name, _) in COUNTS {
        let value = client.info("transactions", name)?;
        let value = value.and_then(|value| value.parse().ok());
        found.push(value.ok_or_else(|| Error::Format(format!("INFO transactions, {name}")))?);
    }
    Ok(found)
}

pub(super) fn run(values: &mut Values<'_>, program: &Program) -> Result<(), Error> {
    if program.kind != Kind::Darter {
        return measure(values, program, program.name, &[]);
    }
    for (mode, options) in MODES {
        measure(
            values,
            program,
            &format!("{} {mode}", program.name),
            options,
        )?;
    }
    Ok(())
}

fn measure(
    values: &mut Values<'_>,
    program: &Program,
    series: &str,
    options: &[&str],
) -> Result<(), Error> {
    let server = program.start(&program.options(options))?;
    let mut client = Client::new(server.address)?;
    let sha = client.call(&["SCRIPT", "LOAD", SCRIPT])?;
    let is_own = program.kind == Kind::Darter;
    for (keys, commits, aborts) in ON {
        for clients in CLIENTS {
            let load = Load {
                operation: Template::new(&format!("EVALSHA {sha} 1 hot:{{{keys}}}")),
                connections: *clients,
                pipeline: 1,
                threads: 1,
                until: Until::Elapsed(DURATION.mul_f64(values.common.scale)),
            };
            let before = if is_own {
                counts(&mut client)?
            } else {
                Vec::new()
            };
            let Some((outcome, _)) = quietly(values.common, &server, &load)? else {
                continue;
            };
            let seconds = outcome.elapsed.as_secs_f64();
            let x = *clients as f64;
            values.push(commits, series, x, outcome.operations as f64 / seconds);
            if !is_own {
                continue;
            }
            let after = counts(&mut client)?;
            for (at, (_, figure)) in COUNTS.iter().enumerate() {
                let rate = (after[at] - before[at]) / seconds;
                match figure {
                    None => values.push(aborts, series, x, rate),
                    Some(figure) => {
                        values.push(figure, &format!("{series}, {keys} keys"), x, rate);
                    }
                }
            }
        }
    }
    Ok(())
}
