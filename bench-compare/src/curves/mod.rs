//! How cost grows: values over an axis, as CSV and as pictures.

mod contention;
mod keys;
mod latency;
mod snapshots;

use std::collections::BTreeMap;

use crate::Common;
use crate::error::Error;
use crate::load::{self, Load, Outcome};
use crate::run::{median, quoted};
use crate::server::{Program, Server};
use crate::svg::{self, Labels, Series};
use crate::usage::{Meter, Usage};

/// Attempts at one measurement while others use the processors.
const ATTEMPTS: usize = 3;

type Curve = fn(&mut Values<'_>, &Program) -> Result<(), Error>;

/// Each curve by its name.
pub(crate) const CURVES: &[(&str, Curve, &[&Figure])] = &[
    ("keys", keys::time, keys::TIME_FIGURES),
    ("memory", keys::memory, keys::MEMORY_FIGURES),
    ("snapshots", snapshots::run, snapshots::FIGURES),
    ("contention", contention::run, contention::FIGURES),
    ("latency", latency::run, latency::FIGURES),
];

/// A picture: which values, and how it is labelled.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    pub(crate) is_y_logarithmic: bool,
}

/// Values of one curve, as they come.
pub(crate) struct Values<'c> {
    pub(crate) common: &'c Common,
    csv: String,
    /// For each figure and series the values at a place; the order of series is that of the first.
    found: BTreeMap<&'static str, Vec<(String, Places)>>,
}

/// Values by the bits of their place, which for what is not negative are in its order.
type Places = BTreeMap<u64, Vec<f64>>;

impl<'c> Values<'c> {
    fn new(common: &'c Common) -> Values<'c> {
        Values {
            common,
            csv: "figure,series,x,value\n".into(),
            found: BTreeMap::new(),
        }
    }

    pub(crate) fn push(&mut self, figure: &Figure, series: &str, x: f64, value: f64) {
        eprintln!("{}: {series} at {x}: {value:.3}", figure.name);
        let (figure_name, series_name) = (quoted(figure.name), quoted(series));
        self.csv
            .push_str(&format!("{figure_name},{series_name},{x},{value:.4}\n"));
        let all = self.found.entry(figure.name).or_default();
        let at = match all.iter().position(|(name, _)| name == series) {
            Some(at) => at,
            None => {
                all.push((series.to_owned(), Places::new()));
                all.len() - 1
            }
        };
        all[at].1.entry(x.to_bits()).or_default().push(value);
    }

    /// Writes the values and a picture for each figure that has any.
    fn finish(&self, curve: &str, figures: &[&Figure]) -> Result<(), Error> {
        self.common
            .write(&format!("curve-{curve}.csv"), &self.csv)?;
        for figure in figures {
            let Some(all) = self.found.get(figure.name) else {
                continue;
            };
            let series: Vec<_> = all
                .iter()
                .map(|(name, places)| line(name, places))
                .collect();
            let labels = Labels {
                title: figure.title,
                x: figure.x,
                y: figure.y,
                is_x_logarithmic: true,
                is_y_logarithmic: figure.is_y_logarithmic,
            };
            let file = format!("curve-{}.svg", figure.name);
            self.common.write(&file, &svg::lines(&labels, &series))?;
        }
        Ok(())
    }

    /// Operations, as a share of what a curve takes.
    pub(crate) fn scaled(&self, operations: u64) -> u64 {
        ((operations as f64 * self.common.scale) as u64).max(1)
    }
}

fn line(name: &str, places: &Places) -> Series {
    let points = places.iter().filter_map(|(place, values)| {
        let mut values = values.clone();
        values.sort_by(f64::total_cmp);
        Some((f64::from_bits(*place), median(&values)?))
    });
    Series {
        name: name.to_owned(),
        points: points.collect(),
    }
}

/// Runs a load while nothing else runs; `None` if it never was quiet.
pub(crate) fn quietly(
    common: &Common,
    server: &Server,
    load: &Load,
) -> Result<Option<(Outcome, Usage)>, Error> {
    for _ in 0..ATTEMPTS {
        let meter = Meter::new(server.process())?;
        let outcome = load::run(server.address, load)?;
        let usage = meter.read()?;
        if usage.other_cores <= common.other_cores_max {
            return Ok(Some((outcome, usage)));
        }
        eprintln!(
            "THROWN AWAY: others used {:.2} processors",
            usage.other_cores
        );
    }
    Ok(None)
}

pub(crate) fn run(common: &Common) -> Result<(), Error> {
    let programs = common.programs()?;
    for (name, measure, figures) in CURVES {
        if !common.wants(name) {
            continue;
        }
        let mut values = Values::new(common);
        for _ in 0..common.rounds {
            for program in &programs {
                if let Err(error) = measure(&mut values, program) {
                    eprintln!("{name}, {}: {error}", program.name);
                }
            }
            // What there is is written after each round: the next may take long.
            values.finish(name, figures)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_through_the_medians_from_left_to_right() {
        let mut places = Places::new();
        for (x, value) in [
            (100.0, 3.0),
            (0.1, 1.0),
            (100.0, 5.0),
            (100.0, 40.0),
            (20.0, 2.0),
        ] {
            places.entry(f64::to_bits(x)).or_default().push(value);
        }
        let expected = vec![(0.1, 1.0), (20.0, 2.0), (100.0, 5.0)];
        assert_eq!(line("one", &places).points, expected);
    }
}
