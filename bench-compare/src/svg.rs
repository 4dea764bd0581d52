//! Pictures: lines over one axis, and bars.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 200.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
/// Colours that the colour-blind can tell apart (Okabe and Ito).
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
];
const BAR_HEIGHT: f64 = 16.0;
const NAMES_WIDTH: f64 = 420.0;

/// One line of a picture.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// How a picture of lines is labelled.
pub(crate) struct Labels<'l> {
    pub(crate) title: &'l str,
    pub(crate) x: &'l str,
    pub(crate) y: &'l str,
    pub(crate) is_x_logarithmic: bool,
    pub(crate) is_y_logarithmic: bool,
}

struct Axis {
    least: f64,
    most: f64,
    is_logarithmic: bool,
}

impl Axis {
    /// From the values: a linear axis begins at 0, a logarithmic one at a power of ten.
    fn new(values: impl Iterator<Item = f64>, is_logarithmic: bool) -> Axis {
        let values = values.filter(|value| value.is_finite() && (!is_logarithmic || *value > 0.0));
        let (least, most) = values.fold(
            (f64::INFINITY, f64::NEG_INFINITY),
            |(least, most), value| (least.min(value), most.max(value)),
        );
        if !least.is_finite() {
            return Axis {
                least: 1.0,
                most: 10.0,
                is_logarithmic,
            };
        }
        if is_logarithmic {
            let least = 10f64.powf(least.log10().floor());
            let most = 10f64.powf(most.log10().ceil()).max(least * 10.0);
            return Axis {
                least,
                most,
                is_logarithmic,
            };
        }
        Axis {
            least: 0.0,
            most: (most * 1.05).max(f64::MIN_POSITIVE),
            is_logarithmic,
        }
    }

    /// Where a value lies, from 0 to 1; `None` for what has no place.
    fn place(&self, value: f64) -> Option<f64> {
        if !self.is_logarithmic {
            return Some(value / self.most);
        }
        let share = (value / self.least).log10() / (self.most / self.least).log10();
        (value > 0.0).then_some(share)
    }

    fn marks(&self) -> Vec<f64> {
        if self.is_logarithmic {
            let decades = (self.most / self.least).log10().round() as i32;
            return (0..=decades)
                .map(|at| self.least * 10f64.powi(at))
                .collect();
        }
        let raw = self.most / 5.0;
        let unit = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * unit);
        let step = step.into_iter().find(|step| *step >= raw).unwrap_or(raw);
        (0..=5)
            .map(|at| f64::from(at) * step)
            .filter(|mark| *mark <= self.most)
            .collect()
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn short(value: f64) -> String {
    let (value, unit) = match value.abs() {
        1e9.. => (value / 1e9, "G"),
        1e6.. => (value / 1e6, "M"),
        1e3.. => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, content: &str) {
    let _ = writeln!(
        svg,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#,
        escaped(content)
    );
}

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str) {
    let _ = writeln!(
        svg,
        r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}"/>"#
    );
}

fn begin(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    )
}

/// Lines over one axis.
pub(crate) fn lines(labels: &Labels<'_>, all: &[Series]) -> String {
    let points = || all.iter().flat_map(|series| &series.points);
    let x_axis = Axis::new(points().map(|point| point.0), labels.is_x_logarithmic);
    let y_axis = Axis::new(points().map(|point| point.1), labels.is_y_logarithmic);
    let (inner_width, inner_height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let x_of = |share: f64| LEFT + share * inner_width;
    let y_of = |share: f64| HEIGHT - BOTTOM - share * inner_height;
    let mut svg = begin(WIDTH, HEIGHT);
    text(&mut svg, (LEFT, 22.0), "start", labels.title);
    for mark in x_axis.marks() {
        if let Some(x) = x_axis.place(mark).map(x_of) {
            line(&mut svg, (x, y_of(0.0)), (x, y_of(1.0)), "#dddddd");
            text(
                &mut svg,
                (x, HEIGHT - BOTTOM + 16.0),
                "middle",
                &short(mark),
            );
        }
    }
    for mark in y_axis.marks() {
        if let Some(y) = y_axis.place(mark).map(y_of) {
            line(&mut svg, (LEFT, y), (x_of(1.0), y), "#dddddd");
            text(&mut svg, (LEFT - 6.0, y + 4.0), "end", &short(mark));
        }
    }
    text(&mut svg, (x_of(0.5), HEIGHT - 12.0), "middle", labels.x);
    text(&mut svg, (6.0, TOP - 6.0), "start", labels.y);
    for (at, series) in all.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let dashes = if at < COLOURS.len() {
            ""
        } else {
            r#" stroke-dasharray="5 3""#
        };
        let places: Vec<_> = series
            .points
            .iter()
            .filter_map(|(x, y)| Some((x_of(x_axis.place(*x)?), y_of(y_axis.place(*y)?))))
            .collect();
        let path: Vec<_> = places
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = writeln!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>"#,
            path.join(" ")
        );
        for (x, y) in places {
            let _ = writeln!(
                svg,
                r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#
            );
        }
        let y = TOP + 16.0 * at as f64;
        line(
            &mut svg,
            (x_of(1.0) + 10.0, y),
            (x_of(1.0) + 28.0, y),
            colour,
        );
        text(&mut svg, (x_of(1.0) + 32.0, y + 4.0), "start", &series.name);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Bars from 1 on a logarithmic axis, to the right what is better.
pub(crate) fn bars(title: &str, bars: &[(String, f64)]) -> String {
    let height = TOP + BAR_HEIGHT * bars.len() as f64 + BOTTOM;
    let width = NAMES_WIDTH + WIDTH - RIGHT;
    let axis = Axis::new(bars.iter().map(|bar| bar.1).chain([1.0]), true);
    let inner = width - NAMES_WIDTH - 70.0;
    let x_of = |value: f64| NAMES_WIDTH + axis.place(value).unwrap_or(0.0) * inner;
    let mut svg = begin(width, height);
    text(&mut svg, (8.0, 22.0), "start", title);
    for mark in axis.marks() {
        let colour = if mark == 1.0 { "#000000" } else { "#dddddd" };
        line(
            &mut svg,
            (x_of(mark), TOP),
            (x_of(mark), height - BOTTOM),
            colour,
        );
        text(
            &mut svg,
            (x_of(mark), height - BOTTOM + 16.0),
            "middle",
            &short(mark),
        );
    }
    for (at, (name, value)) in bars.iter().enumerate() {
        let y = TOP + BAR_HEIGHT * at as f64;
        let (from, to) = (x_of(value.min(1.0)), x_of(value.max(1.0)));
        let colour = if *value < 1.0 { COLOURS[1] } else { COLOURS[0] };
        let _ = writeln!(
            svg,
            r#"<rect x="{from:.1}" y="{:.1}" width="{:.1}" height="{:.1}" fill="{colour}"/>"#,
            y + 2.0,
            (to - from).max(1.0),
            BAR_HEIGHT - 4.0
        );
        text(&mut svg, (NAMES_WIDTH - 8.0, y + 12.0), "end", name);
        text(
            &mut svg,
            (to + 4.0, y + 12.0),
            "start",
            &format!("{value:.2}"),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_within_their_axes() {
        for is_logarithmic in [false, true] {
            let axis = Axis::new([3.0, 70.0, 1200.0].into_iter(), is_logarithmic);
            for value in [3.0, 70.0, 1200.0] {
                let place = axis.place(value).expect("a place");
                assert!((0.0..=1.0).contains(&place), "{value} at {place}");
            }
            let marks = axis.marks();
            assert!(marks.len() >= 3, "{marks:?}");
            assert!(marks.iter().all(|mark| *mark <= axis.most * 1.000_1));
        }
    }

    #[test]
    fn what_has_no_logarithm_is_left_out() {
        let labels = Labels {
            title: "a < b",
            x: "x",
            y: "y",
            is_x_logarithmic: true,
            is_y_logarithmic: true,
        };
        let series = Series {
            name: "one".into(),
            points: vec![(0.0, 1.0), (1.0, 1.0), (10.0, 5.0)],
        };
        let svg = lines(&labels, &[series]);
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("a &lt; b"));
    }

    #[test]
    fn every_bar_is_drawn() {
        let svg = bars("title", &[("slower".into(), 0.5), ("faster".into(), 20.0)]);
        assert_eq!(svg.matches("<rect").count(), 3, "with the background");
    }
}
