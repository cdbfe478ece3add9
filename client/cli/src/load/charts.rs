//! The charts of a report, as SVG: requests and times of each second, and the distribution.

use std::{collections::BTreeMap, io, ops::Range};

use plotters::{
    coord::Shift,
    prelude::{
        ChartBuilder, Circle, DrawingArea, DrawingAreaErrorKind, IntoDrawingArea as _,
        IntoFont as _, LineSeries, RGBColor, SVGBackend, Text,
    },
    style::{Color as _, TextStyle, text_anchor::HPos, text_anchor::Pos, text_anchor::VPos},
};

use super::{outcome::Outcome, series::Series, times::Times};

/// The size of a chart in its own coordinates. Pages scale it, down to a phone's width.
const SIZE: (u32, u32) = (480, 250);
const FONT: i32 = 15;
/// The most points of a line. Of longer runs, each point is the mean of several seconds.
const MAX_POINTS: usize = 480;
/// Lines with fewer points have dots too.
const FEW_POINTS: usize = 60;

/// The colours of the charts. A page may replace each by one of its theme.
pub(super) const INK: RGBColor = RGBColor(0x20, 0x20, 0x20);
pub(super) const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
const GOOD: RGBColor = RGBColor(0x1f, 0x77, 0xd4);
const MIDDLE: RGBColor = RGBColor(0xe0, 0x8a, 0x00);
const BAD: RGBColor = RGBColor(0xd6, 0x27, 0x28);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failed = DrawingAreaErrorKind<io::Error>;

/// A chart before it is drawn.
pub(super) struct Chart {
    pub(super) title: String,
    lines: Vec<Line>,
    x: Axis,
    y_name: &'static str,
}

struct Line {
    name: &'static str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

#[derive(Clone, Copy)]
enum Axis {
    Seconds,
    /// The logarithm of the part above a percentile: 1 is p90, 2 is p99.
    Nines,
}

/// The charts of an outcome.
pub(super) fn of(outcome: &Outcome) -> Vec<Chart> {
    let steps = Steps::of(outcome);
    let times = match outcome.open_loop {
        Some(_) => "Response times",
        None => "Service times",
    };
    let line = |name, colour, points| Line {
        name,
        colour,
        points,
    };
    let seconds = vec![
        line("answered", GOOD, steps.answered),
        line("failed", BAD, steps.failed),
    ];
    // As in the report, a percentile needs ten samples above it.
    let of_times = |percent: f64| {
        let times = steps.times.iter();
        let points = times.filter_map(|(at, times)| Some((*at, ms(times.percentile(percent)?))));
        points.collect()
    };
    let longest = steps.times.iter();
    let longest = longest.map(|(at, times)| (*at, ms(times.max()))).collect();
    let by_second = vec![
        line("p50", GOOD, of_times(50.0)),
        line("p99", MIDDLE, of_times(99.0)),
        line("max", BAD, longest),
    ];
    let distribution = vec![line("all", GOOD, distribution(outcome.judged()))];
    let chart = |title: String, lines, x, y_name| Chart {
        title,
        lines,
        x,
        y_name,
    };
    vec![
        chart(
            "Requests by second".to_owned(),
            seconds,
            Axis::Seconds,
            "in a second",
        ),
        chart(format!("{times} by second"), by_second, Axis::Seconds, "ms"),
        chart(
            format!("{times} by percentile"),
            distribution,
            Axis::Nines,
            "ms",
        ),
    ]
}

/// Draws charts below each other, as one document.
pub(super) fn svg(charts: &[Chart]) -> Result<String, Failed> {
    let mut text = String::new();
    {
        let rows = u32::try_from(charts.len()).unwrap_or(1).max(1);
        let size = (SIZE.0, SIZE.1 * rows);
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        for (chart, area) in charts.iter().zip(area.split_evenly((charts.len(), 1))) {
            chart.draw(&area)?;
        }
        area.present()?;
    }
    Ok(text)
}

impl Chart {
    fn draw(&self, area: &Area<'_>) -> Result<(), Failed> {
        let font = |size: i32| TextStyle::from(("sans-serif", size).into_font()).color(&INK);
        area.draw(&Text::new(self.title.clone(), (8, 6), font(FONT + 1)))?;
        self.draw_names(area)?;
        let (x, y) = self.ranges();
        let mut chart = ChartBuilder::on(area)
            .margin_top(30)
            .margin_right(14)
            .margin_bottom(4)
            .x_label_area_size(36)
            .y_label_area_size(64)
            .build_cartesian_2d(x, y)?;
        let axis = self.x;
        chart
            .configure_mesh()
            .x_labels(6)
            .y_labels(5)
            .x_label_formatter(&|x| axis.label(*x))
            .y_label_formatter(&|y| number(*y))
            .x_desc(axis.name())
            .y_desc(self.y_name)
            .label_style(font(FONT - 1))
            .axis_desc_style(font(FONT - 1))
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(GRID.mix(0.0))
            .draw()?;
        for line in &self.lines {
            let points = line.points.iter().copied();
            chart.draw_series(LineSeries::new(points.clone(), line.colour.stroke_width(2)))?;
            if line.points.len() <= FEW_POINTS {
                let dots = points.map(|point| Circle::new(point, 2, line.colour.filled()));
                chart.draw_series(dots)?;
            }
        }
        Ok(())
    }

    /// The names of the lines, in their colours, at the right of the title.
    fn draw_names(&self, area: &Area<'_>) -> Result<(), Failed> {
        let mut right = i32::try_from(SIZE.0).unwrap_or(i32::MAX) - 14;
        let names = self.lines.iter().filter(|_| self.lines.len() > 1);
        for line in names.rev() {
            let style = TextStyle::from(("sans-serif", FONT).into_font())
                .color(&line.colour)
                .pos(Pos::new(HPos::Right, VPos::Top));
            area.draw(&Text::new(line.name, (right, 7), style))?;
            // A letter is about half as wide as it is high.
            let length = i32::try_from(line.name.len()).unwrap_or(0);
            right -= length * FONT / 2 + FONT;
        }
        Ok(())
    }

    fn ranges(&self) -> (Range<f64>, Range<f64>) {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let right = points().map(|(x, _)| *x).fold(1.0, f64::max);
        let top = points().map(|(_, y)| *y).fold(0.0, f64::max);
        let top = if top > 0.0 { top * 1.05 } else { 1.0 };
        (0.0..right, 0.0..top)
    }
}

impl Axis {
    fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Nines => "percentile",
        }
    }

    fn label(self, x: f64) -> String {
        match self {
            Self::Seconds => number(x),
            Self::Nines if x.fract() != 0.0 => String::new(),
            Self::Nines => number(100.0 - 100.0 / 10_f64.powf(x)),
        }
    }
}

/// The outcomes of the whole seconds, or of several seconds each.
struct Steps {
    answered: Vec<(f64, f64)>,
    failed: Vec<(f64, f64)>,
    times: Vec<(f64, Times)>,
}

impl Steps {
    #[expect(clippy::cast_precision_loss, reason = "places on a chart")]
    fn of(outcome: &Outcome) -> Self {
        // The last second is not whole, unless it is the only one.
        let whole = usize::try_from(outcome.elapsed.as_secs())
            .unwrap_or(usize::MAX)
            .max(1);
        let tally = &outcome.tally;
        let seconds = tally.seconds.get(..whole).unwrap_or(&tally.seconds);
        let length = seconds.len().div_ceil(MAX_POINTS).max(1);
        let (mut answered, mut failed) = (Vec::new(), Vec::new());
        for (step, seconds) in seconds.chunks(length).enumerate() {
            let at = (step * length) as f64;
            let mean = |sum: u64| sum as f64 / seconds.len() as f64;
            answered.push((at, mean(seconds.iter().map(|second| second.answered).sum())));
            failed.push((at, mean(seconds.iter().map(|second| second.failed).sum())));
        }
        let mut times = BTreeMap::<usize, Times>::new();
        for (second, more) in tally.series.iter().flat_map(Series::iter) {
            let second = usize::try_from(second).unwrap_or(usize::MAX);
            if second < seconds.len() {
                let sum = times.entry(second / length * length).or_default();
                sum.merge(&more);
            }
        }
        let times = times.into_iter();
        Self {
            answered,
            failed,
            times: times
                .map(|(second, times)| (second as f64, times))
                .collect(),
        }
    }
}

/// Percentiles up to the last that has ten samples above it.
fn distribution(times: &Times) -> Vec<(f64, f64)> {
    let nines = (0..=120).map(|step| f64::from(step) / 20.0);
    let points = nines.map_while(|nines| {
        let percent = 100.0 - 100.0 / 10_f64.powf(nines);
        Some((nines, ms(times.percentile(percent)?)))
    });
    points.collect()
}

fn ms(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A number with as many digits as it needs.
fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_the_digits_that_they_need() {
        let nines: Vec<_> = (0..5).map(|x| Axis::Nines.label(f64::from(x))).collect();
        assert_eq!(nines, ["0", "90", "99", "99.9", "99.99"]);
        assert_eq!(Axis::Nines.label(0.5), "");
        assert_eq!(Axis::Seconds.label(20.0), "20");
        assert_eq!(number(0.25), "0.25");
    }
}
