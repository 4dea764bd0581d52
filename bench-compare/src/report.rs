//! The table: medians and spreads, losses first.

use std::fmt::Write;

use crate::metric::{Bar, Metric, Verdict};
use crate::rows::Row;
use crate::run::{Sample, median, sorted_values};
use crate::server::{Kind, Program};

/// Where a document takes the table in.
const BEGIN: &str = "<!-- bench-compare: begin -->";
const END: &str = "<!-- bench-compare: end -->";

/// A line of the table.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) bar: Bar,
    /// For each program its values in order of size.
    values: Vec<Vec<f64>>,
    /// Darter's median over that of the server it is compared with.
    pub(crate) ratio: Option<f64>,
    pub(crate) verdict: Verdict,
}

/// Whom Darter is compared with: the first of the others.
fn compared(programs: &[Program]) -> Option<usize> {
    programs.iter().position(|p| p.kind != Kind::Darter)
}

/// All lines, those that miss what they must first.
pub(crate) fn lines(rows: &[Row], programs: &[Program], samples: &[Sample]) -> Vec<Line> {
    let own = programs.iter().position(|p| p.kind == Kind::Darter);
    let other = compared(programs);
    let mut lines = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        for bar in &row.bars {
            let values: Vec<_> = (0..programs.len())
                .map(|program| sorted_values(samples, at, program, bar.metric))
                .collect();
            let median_of = |program: Option<usize>| median(&values[program?]);
            let (own, other) = (median_of(own), median_of(other));
            let verdict = own.map_or(Verdict::NothingAsked, |own| bar.verdict(own, other));
            lines.push(Line {
                name: row.name.clone(),
                bar: *bar,
                values,
                ratio: own.zip(other).map(|(own, other)| own / other),
                verdict,
            });
        }
    }
    lines.sort_by_key(|line| line.verdict);
    lines
}

fn number(value: f64) -> String {
    match value.abs() {
        1000.0.. => {
            let digits = format!("{value:.0}");
            let mut text = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at).is_multiple_of(3) {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The median, the least and the greatest.
fn cell(values: &[f64]) -> String {
    match (median(values), values.first(), values.last()) {
        (Some(middle), Some(least), Some(most)) if values.len() > 1 => {
            format!("{} ({}–{})", number(middle), number(*least), number(*most))
        }
        (Some(middle), ..) => number(middle),
        _ => "–".into(),
    }
}

fn goal(bar: &Bar, value: impl Fn(crate::metric::Goal) -> f64) -> String {
    let Some(goal) = bar.goal else {
        return String::new();
    };
    let sign = if bar.metric.is_better_high() {
        "≥"
    } else {
        "≤"
    };
    let unit = if bar.is_ratio { " ×" } else { "" };
    format!("{sign} {}{unit}", value(goal))
}

/// The table in Markdown.
pub(crate) fn markdown(
    lines: &[Line],
    versions: &[String],
    programs: &[Program],
    heading: &str,
) -> String {
    let mut text = format!("{heading}\n\n");
    let servers = versions.join(" | ");
    let against = compared(programs).map_or("no other server", |at| programs[at].name);
    let _ = writeln!(
        text,
        "| row | what | {servers} | darter / {against} | must | aim | |"
    );
    text.push_str(&"|---".repeat(programs.len() + 6));
    text.push_str("|\n");
    for line in lines {
        let cells: Vec<_> = line.values.iter().map(|values| cell(values)).collect();
        let ratio = line.ratio.map_or("–".into(), |ratio| format!("{ratio:.2}"));
        let verdict = match line.verdict {
            Verdict::MissesMust => "**misses must**",
            Verdict::MissesAim => "misses aim",
            Verdict::ReachesAim | Verdict::NothingAsked => "",
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {ratio} | {} | {} | {verdict} |",
            line.name,
            line.bar.metric.name(),
            cells.join(" | "),
            goal(&line.bar, |goal| goal.must),
            goal(&line.bar, |goal| goal.aim),
        );
    }
    text
}

/// How often Darter is as good as the other, for the picture: beyond 1 is better in every row.
pub(crate) fn advantages(lines: &[Line]) -> Vec<(String, f64)> {
    let shown = lines.iter().filter(|line| line.bar.goal.is_some());
    let bars = shown.filter_map(|line| {
        let ratio = line
            .ratio
            .filter(|ratio| ratio.is_finite() && *ratio > 0.0)?;
        let advantage = if line.bar.metric.is_better_high() {
            ratio
        } else {
            1.0 / ratio
        };
        let what = if line.bar.metric == Metric::Rate {
            line.name.clone()
        } else {
            format!("{}: {}", line.name, line.bar.metric.name())
        };
        Some((what, advantage))
    });
    bars.collect()
}

/// The document with the table in its place, between two lines; `None` if it has no place for it.
pub(crate) fn taken_in(document: &str, table: &str) -> Option<String> {
    let line = |mark: &str, from: usize| {
        let mut at = from;
        document[from..].split_inclusive('\n').find_map(|line| {
            let here = at;
            at += line.len();
            (line.strip_suffix('\n').unwrap_or(line) == mark).then_some(here)
        })
    };
    let begin = line(BEGIN, 0)? + BEGIN.len();
    let end = line(END, begin)?;
    Some(format!(
        "{}\n{table}{}",
        &document[..begin],
        &document[end..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Measured;
    use std::path::PathBuf;

    fn program(kind: Kind, name: &'static str) -> Program {
        Program {
            kind,
            name,
            path: PathBuf::new(),
        }
    }

    fn sample(row: usize, program: usize, rate: f64) -> Sample {
        Sample {
            row,
            program,
            measured: Measured {
                values: vec![(Metric::Rate, rate)],
                other_cores: 0.0,
            },
        }
    }

    #[test]
    fn losses_come_first_and_medians_are_shown_with_their_spread() {
        let programs = [
            program(Kind::Darter, "darter"),
            program(Kind::Redis, "redis-server"),
        ];
        let mut rows: Vec<_> = crate::rows::all().into_iter().take(2).collect();
        for row in &mut rows {
            row.bars.truncate(1);
        }
        let rates = [(0, [150.0, 130.0, 140.0]), (1, [90.0, 80.0, 85.0])];
        let mut samples = Vec::new();
        for (row, rates) in rates {
            samples.extend(rates.map(|rate| sample(row, 0, rate)));
            samples.push(sample(row, 1, 100.0));
        }
        let lines = lines(&rows, &programs, &samples);
        assert_eq!(lines[0].verdict, Verdict::MissesMust);
        assert_eq!(lines[1].verdict, Verdict::ReachesAim);
        let versions = ["darter 1".into(), "redis-server 7".into()];
        let table = markdown(&lines, &versions, &programs, "Where and when.");
        let expected = "| SET, P1 | operations/s | 85.0 (80.0–90.0) | 100 | 0.85 | ≥ 1 × | ≥ 1.3 × \
                        | **misses must** |";
        assert!(table.contains(expected), "{table}");
        assert_eq!(advantages(&lines)[1], ("GET, P1".into(), 1.4));
    }

    #[test]
    fn numbers_are_as_long_as_they_mean_something() {
        assert_eq!(number(1_234_567.8), "1,234,568");
        assert_eq!(number(123.4), "123");
        assert_eq!(number(1.234), "1.23");
    }

    #[test]
    fn a_table_takes_the_place_of_the_last_one() {
        let document = format!("a\n{BEGIN}\nold\n{END}\nb");
        let expected = format!("a\n{BEGIN}\nnew\n{END}\nb");
        assert_eq!(taken_in(&document, "new\n"), Some(expected.clone()));
        assert_eq!(taken_in("nothing", "new"), None);
        // A text that tells of the marks is none of them.
        let told = format!("between `{BEGIN}` and `{END}`\n{document}");
        let expected = format!("between `{BEGIN}` and `{END}`\n{expected}");
        assert_eq!(taken_in(&told, "new\n"), Some(expected));
    }
}
