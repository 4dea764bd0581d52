//! What is measured, and what it has to come to.

/// A quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    Rate,
    CpuMicros,
    P50,
    P99,
    P999,
    ScriptRate,
    BytesPerEntry,
    StartMs,
}

impl Metric {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Metric::Rate => "operations/s",
            Metric::CpuMicros => "CPU µs/operation",
            Metric::P50 => "p50 ms",
            Metric::P99 => "p99 ms",
            Metric::P999 => "p99.9 ms",
            Metric::ScriptRate => "scripts/s",
            Metric::BytesPerEntry => "RSS bytes/entry",
            Metric::StartMs => "ms to the first reply",
        }
    }

    pub(crate) fn is_better_high(self) -> bool {
        matches!(self, Metric::Rate | Metric::ScriptRate)
    }
}

/// What a metric of a row has to come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bar {
    pub(crate) metric: Metric,
    pub(crate) is_ratio: bool,
    /// Nothing is asked of what is only shown.
    pub(crate) goal: Option<Goal>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Goal {
    pub(crate) must: f64,
    pub(crate) aim: f64,
}

/// How a row came out. In the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    MissesMust,
    MissesAim,
    ReachesAim,
    NothingAsked,
}

/// A server against itself comes out so far from 1.
const NOISE: f64 = 0.95;

impl Bar {
    /// Times the first other server's figure.
    pub(crate) const fn ratio(metric: Metric, must: f64, aim: f64) -> Bar {
        Bar {
            metric,
            is_ratio: true,
            goal: Some(Goal { must, aim }),
        }
    }

    /// Whatever others take.
    pub(crate) const fn absolute(metric: Metric, must: f64, aim: f64) -> Bar {
        Bar {
            metric,
            is_ratio: false,
            goal: Some(Goal { must, aim }),
        }
    }

    pub(crate) const fn shown(metric: Metric) -> Bar {
        Bar {
            metric,
            is_ratio: true,
            goal: None,
        }
    }

    /// What the medians of Darter and of the server it is compared with come to.
    pub(crate) fn verdict(&self, own: f64, other: Option<f64>) -> Verdict {
        let value = match (self.is_ratio, other) {
            (true, Some(other)) => own / other,
            (true, None) => return Verdict::NothingAsked,
            (false, _) => own,
        };
        let Some(Goal { must, aim }) = self.goal else {
            return Verdict::NothingAsked;
        };
        let reaches = |goal: f64, noise: f64| {
            if self.metric.is_better_high() {
                value >= goal * noise
            } else {
                value <= goal / noise
            }
        };
        let noise = if self.is_ratio { NOISE } else { 1.0 };
        if !reaches(must, noise) {
            Verdict::MissesMust
        } else if reaches(aim, 1.0) {
            Verdict::ReachesAim
        } else {
            Verdict::MissesAim
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_better_or_less_is() {
        let rate = Bar::ratio(Metric::Rate, 1.0, 1.3);
        assert_eq!(rate.verdict(94.0, Some(100.0)), Verdict::MissesMust);
        assert_eq!(rate.verdict(96.0, Some(100.0)), Verdict::MissesAim);
        assert_eq!(rate.verdict(130.0, Some(100.0)), Verdict::ReachesAim);
        let cpu = Bar::ratio(Metric::CpuMicros, 1.0, 0.8);
        assert_eq!(cpu.verdict(1.1, Some(1.0)), Verdict::MissesMust);
        assert_eq!(cpu.verdict(0.9, Some(1.0)), Verdict::MissesAim);
        assert_eq!(cpu.verdict(0.8, Some(1.0)), Verdict::ReachesAim);
    }

    #[test]
    fn some_bars_need_nobody_to_compare_with() {
        let start = Bar::absolute(Metric::StartMs, 50.0, 15.0);
        assert_eq!(start.verdict(51.0, None), Verdict::MissesMust);
        assert_eq!(start.verdict(14.0, None), Verdict::ReachesAim);
        let rate = Bar::ratio(Metric::Rate, 1.0, 1.3);
        assert_eq!(rate.verdict(1.0, None), Verdict::NothingAsked);
        assert_eq!(
            Bar::shown(Metric::P99).verdict(1.0, Some(9.0)),
            Verdict::NothingAsked
        );
    }
}
