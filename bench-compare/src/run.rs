//! Rows on servers in turn, over and over: what changes on the machine meanwhile falls on all alike.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::error::Error;
use crate::measure::{Measured, measure};
use crate::metric::Metric;
use crate::rows::Row;
use crate::server::Program;

/// Attempts at one measurement before it is given up.
const ATTEMPTS: usize = 3;

pub(crate) struct Options {
    pub(crate) rounds: usize,
    /// Operations, as a share of what a row says.
    pub(crate) scale: f64,
    /// Processors that may be busy with something else.
    pub(crate) other_cores_max: f64,
}

/// Values that count.
pub(crate) struct Sample {
    pub(crate) row: usize,
    pub(crate) program: usize,
    pub(crate) measured: Measured,
}

pub(crate) const CSV_HEADER: &str = "row,server,round,metric,value,other_cores,counts\n";

/// A text as a field of CSV.
pub(crate) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn create(path: &Path) -> Result<File, Error> {
    File::create(path).map_err(Error::io(path.display().to_string()))
}

/// Measures all rows, writes each value into `csv` as it comes, and returns those that count.
pub(crate) fn run(
    rows: &[Row],
    programs: &[Program],
    options: &Options,
    csv: &Path,
) -> Result<Vec<Sample>, Error> {
    let mut file = create(csv)?;
    let broken = || Error::io(csv.display().to_string());
    file.write_all(CSV_HEADER.as_bytes()).map_err(broken())?;
    let mut samples = Vec::new();
    for round in 0..options.rounds {
        for (row_at, row) in rows.iter().enumerate() {
            for turn in 0..programs.len() {
                // Nobody is always the first.
                let program_at = (turn + round) % programs.len();
                let program = &programs[program_at];
                for attempt in 1..=ATTEMPTS {
                    let measured = match measure(program, row, options.scale) {
                        Ok(measured) => measured,
                        Err(error) => {
                            eprintln!("{}, {}: {error}", row.name, program.name);
                            break;
                        }
                    };
                    let counts = measured.other_cores <= options.other_cores_max;
                    let lines = csv_lines(row, program, round, &measured, counts);
                    file.write_all(lines.as_bytes()).map_err(broken())?;
                    progress(row, program, (round, attempt), &measured, counts);
                    if counts {
                        samples.push(Sample {
                            row: row_at,
                            program: program_at,
                            measured,
                        });
                        break;
                    }
                }
            }
        }
    }
    Ok(samples)
}

fn csv_lines(
    row: &Row,
    program: &Program,
    round: usize,
    measured: &Measured,
    counts: bool,
) -> String {
    let lines = measured.values.iter().map(|(metric, value)| {
        format!(
            "{},{},{round},{},{value:.4},{:.3},{counts}\n",
            quoted(&row.name),
            program.name,
            quoted(metric.name()),
            measured.other_cores
        )
    });
    lines.collect()
}

fn progress(
    row: &Row,
    program: &Program,
    (round, attempt): (usize, usize),
    measured: &Measured,
    counts: bool,
) {
    let values: Vec<_> = measured
        .values
        .iter()
        .map(|(metric, value)| format!("{value:.2} {}", metric.name()))
        .collect();
    let verdict = if counts {
        String::new()
    } else {
        format!(
            " THROWN AWAY ({attempt}): others used {:.2} processors",
            measured.other_cores
        )
    };
    eprintln!(
        "round {} {} {}: {}{verdict}",
        round + 1,
        row.name,
        program.name,
        values.join(", ")
    );
}

/// The values of a metric that count, in order of size.
pub(crate) fn sorted_values(
    samples: &[Sample],
    row: usize,
    program: usize,
    metric: Metric,
) -> Vec<f64> {
    let own = samples
        .iter()
        .filter(|sample| sample.row == row && sample.program == program);
    let values = own.flat_map(|sample| &sample.measured.values);
    let mut values: Vec<f64> = values
        .filter(|(own, _)| *own == metric)
        .map(|(_, value)| *value)
        .collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle of values in order of size.
pub(crate) fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some((sorted[middle - 1] + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[1.0, 2.0]), Some(1.5));
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
    }

    #[test]
    fn fields_with_commas_are_quoted() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("GET, P1"), "\"GET, P1\"");
        assert_eq!(quoted("a \"b\""), "\"a \"\"b\"\"\"");
    }
}
