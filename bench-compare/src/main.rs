//! Darter against the servers of its kind that are on the PATH: the same loads in turn, round by round,
//! each on a fresh server without persistence; medians, spreads, and processor time of the server.
//!
//! The load generator shares the machine with the servers, so only ratios within one run mean
//! anything. A measurement during which others used the processors is thrown away and repeated.

mod client;
mod curves;
mod error;
mod load;
mod measure;
mod metric;
mod open;
mod replies;
mod report;
mod rows;
mod run;
mod server;
mod svg;
mod template;
mod usage;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand};

use crate::error::Error;
use crate::server::Program;

#[derive(Parser)]
#[command(about = "Darter against the servers of its kind that are on the PATH")]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    common: Common,
}

#[derive(Subcommand)]
enum Task {
    /// The table; what is done if nothing else is said.
    Table,
    /// How cost grows: with keys, snapshots, clients and load.
    Curves,
    /// Names the rows and the curves.
    List,
}

#[derive(Args)]
struct Common {
    /// The program to measure.
    #[arg(long, global = true, default_value = "target/release/darter")]
    darter: PathBuf,
    /// Only rows or curves whose names contain one of these.
    #[arg(long, global = true, value_name = "TEXT")]
    only: Vec<String>,
    /// Only these servers.
    #[arg(long, global = true, value_name = "NAME", value_delimiter = ',')]
    servers: Vec<String>,
    /// How often everything is measured.
    #[arg(long, global = true, default_value_t = 5)]
    rounds: usize,
    /// Operations, as a share of what each row says.
    #[arg(long, global = true, default_value_t = 1.0)]
    scale: f64,
    /// The most keys of a curve.
    #[arg(long, global = true, default_value_t = 10_000_000)]
    keys_max: u64,
    /// Processors that others may use during a measurement that counts.
    #[arg(long, global = true, default_value_t = 0.1)]
    other_cores_max: f64,
    /// Where the table, the values and the pictures go.
    #[arg(long, global = true, default_value = "target/bench-compare")]
    out: PathBuf,
    /// A document that takes the table in, between its marks of `bench-compare`.
    #[arg(long, global = true)]
    document: Option<PathBuf>,
}

impl Common {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part))
    }

    fn programs(&self) -> Result<Vec<Program>, Error> {
        let mut programs = Program::others();
        programs.push(Program::darter(&self.darter)?);
        if !self.servers.is_empty() {
            programs.retain(|program| self.servers.iter().any(|name| name == program.name));
        }
        if programs.is_empty() {
            return Err(Error::Missing(format!(
                "any of {}",
                self.servers.join(", ")
            )));
        }
        Ok(programs)
    }

    fn write(&self, name: &str, content: &str) -> Result<(), Error> {
        write_file(&self.out.join(name), content)
    }
}

fn write_file(path: &Path, content: &str) -> Result<(), Error> {
    fs::write(path, content).map_err(Error::io(path.display().to_string()))
}

/// The day by the Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
fn date(unix_seconds: u64) -> String {
    let days = (unix_seconds / 86_400) as i64 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

/// The machine and the day, in one sentence.
fn heading(common: &Common) -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("an unknown processor", |(_, name)| name.trim());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    format!(
        "{}, {cores} cores of {name} that the load generator shares, Linux {}; medians of {} interleaved \
         rounds (least–most).",
        date(now.unwrap_or_default().as_secs()),
        kernel.trim(),
        common.rounds
    )
}

fn table(common: &Common) -> Result<(), Error> {
    let programs = common.programs()?;
    let mut rows = rows::all();
    rows.retain(|row| common.wants(&row.name));
    let versions: Result<Vec<_>, _> = programs.iter().map(Program::version).collect();
    let versions = versions?;
    eprintln!("{} rows on {}", rows.len(), versions.join(", "));
    let options = run::Options {
        rounds: common.rounds,
        scale: common.scale,
        other_cores_max: common.other_cores_max,
    };
    let csv = common.out.join("table.csv");
    let samples = run::run(&rows, &programs, &options, &csv)?;
    let lines = report::lines(&rows, &programs, &samples);
    let table = report::markdown(&lines, &versions, &programs, &heading(common));
    common.write("table.md", &table)?;
    let advantages = report::advantages(&lines);
    let title = "Darter against the first other server; to the right is better";
    common.write("table.svg", &svg::bars(title, &advantages))?;
    if let Some(path) = &common.document {
        let document = fs::read_to_string(path).map_err(Error::io(path.display().to_string()))?;
        let taken_in = report::taken_in(&document, &table)
            .ok_or_else(|| Error::Format(format!("{} without marks", path.display())))?;
        write_file(path, &taken_in)?;
    }
    print(&table)
}

fn print(text: &str) -> Result<(), Error> {
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(Error::io("the output"))
}

fn list() -> Result<(), Error> {
    let mut text = String::new();
    for row in rows::all() {
        text.push_str(&format!("{}\n", row.name));
    }
    for (curve, ..) in curves::CURVES {
        text.push_str(&format!("curve {curve}\n"));
    }
    print(&text)
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let common = &arguments.common;
    fs::create_dir_all(&common.out).map_err(Error::io(common.out.display().to_string()))?;
    match arguments.task {
        None | Some(Task::Table) => table(common),
        Some(Task::Curves) => curves::run(common),
        Some(Task::List) => list(),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-compare: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(date(1_767_225_599), "2025-12-31");
    }
}
