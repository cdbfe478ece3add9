//! The pictures of a connection, as SVG.

use std::{fmt::Write as _, time::Duration};

use lacewing_conform::Side;

use super::{
    flow::Point,
    timeline::{Connection, Row},
};
use crate::{
    get::record::{short, size},
    windows::Cause,
};

/// The columns: titles, bars, figures.
const TITLES: f64 = 240.0;
const BARS: f64 = 610.0;
const WIDTH: f64 = 1000.0;
/// The height of a row, and of the axis.
const ROW: f64 = 20.0;
const AXIS: f64 = 22.0;
/// The height of the multiplexing strip, and of the chart of a window.
const STRIP: f64 = 26.0;
const CHART: f64 = 130.0;
/// The parts of the time whose bytes are drawn as one.
const BINS: usize = 610;
/// The rows of one picture.
pub(super) const MAX_ROWS: usize = 2_000;
/// The letters of a title.
const LETTERS: usize = 34;

/// The colours and lines of pictures, in light and dark.
pub(super) const STYLE: &str = "
:root { color-scheme: light dark; --ink: #202020; --faint: #6b6b6b; --grid: #e2e2e2; --paper: #fff;
  --wait: #2a9d4f; --open: #9db8d9; --stall: #d33; --sent: #1f77d4 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ddd; --faint: #999; --grid: #3a3a3a; --paper: #181818; --wait: #4cc477;
    --open: #47617f; --stall: #ff6b6b; --sent: #6cb2ff }
}
svg text { font: 12px system-ui, sans-serif; fill: var(--ink) }
svg .faint { fill: var(--faint) } svg .reset { fill: var(--stall); font-weight: bold }
.grid { stroke: var(--grid) } .dns { fill: #2aa5a5 } .tcp { fill: #e0932f } .tls { fill: #a35fc4 }
.waiting { fill: var(--wait) } .open { fill: var(--open) } .paper { fill: var(--paper) }
.stalled { fill: var(--stall); fill-opacity: .3; stroke: var(--stall); stroke-width: .6 }
path { fill: none; stroke-width: 1.5 } .sent { stroke: var(--sent) }
.limit { stroke: var(--stall); stroke-dasharray: 5 3 }
g:hover text { font-weight: bold }
";

/// A picture that is done.
pub(super) struct Drawn {
    inside: String,
    height: f64,
    name: String,
}

/// A picture that grows.
struct Picture {
    text: String,
    length: Duration,
}

/// The waterfall of a connection, and the strip that shows whose bytes came when.
pub(super) fn waterfall(connection: &Connection, length: Duration) -> Drawn {
    let mut picture = Picture::new(length);
    let rows = connection.rows.len().min(MAX_ROWS);
    let steps = usize::from(!connection.steps.is_empty());
    let strip_top = AXIS + ROW * to_f64(rows + steps) + 8.0;
    let height = strip_top + STRIP + 4.0;
    picture.axis(height - 4.0);
    let mut top = AXIS;
    if steps > 0 {
        picture.text(TITLES - 8.0, top + 14.0, "end", "", "connection");
        for step in &connection.steps {
            let class = step.name.to_ascii_lowercase();
            let time = short(step.to.saturating_sub(step.from));
            let title = format!("{}: {time}", step.name);
            picture.bar(step.from, step.to, top + 4.0, 12.0, &class, &title);
        }
        top += ROW;
    }
    for (index, row) in connection.rows.iter().take(MAX_ROWS).enumerate() {
        picture.row(row, index, top);
        top += ROW;
    }
    picture.text(TITLES - 8.0, strip_top + 17.0, "end", "", "whose bytes");
    picture.strip(connection, strip_top);
    let name = format!("Streams of {}", connection.origin);
    picture.finish(height, &name)
}

/// The bytes of a direction over time, against the limit that the connection's window sets.
/// `None` if there is nothing to see.
pub(super) fn window(points: &[Point], from: Side, length: Duration) -> Option<Drawn> {
    let sent = points.last().filter(|point| point.sent > 0)?.sent;
    points.iter().find(|point| point.limit.is_some())?;
    let mut picture = Picture::new(length);
    picture.axis(AXIS + CHART);
    // A limit far above is cut off: what matters is where the two touch.
    #[expect(clippy::cast_precision_loss, reason = "for a picture")]
    let most = (sent as f64) * 1.6;
    let height = |bytes: i64| {
        #[expect(clippy::cast_precision_loss, reason = "for a picture")]
        let part = (bytes as f64 / most).min(1.0);
        AXIS + CHART * (1.0 - part)
    };
    let limit = points
        .iter()
        .filter_map(|point| Some((point.at, height(point.limit?))));
    let limit: Vec<_> = limit.collect();
    let bytes: Vec<_> = points
        .iter()
        .map(|point| (point.at, height(point.sent)))
        .collect();
    picture.staircase(&limit, "limit", "what the window permits");
    picture.staircase(&bytes, "sent", "bytes");
    let who = match from {
        Side::Client => "sent",
        Side::Server => "received",
    };
    let total = u64::try_from(sent).unwrap_or_default();
    let label = format!("{} {who}", size(total));
    picture.text(TITLES - 8.0, AXIS + 20.0, "end", "", &label);
    picture.text(
        TITLES - 8.0,
        AXIS + 38.0,
        "end",
        "faint",
        "dashed: the limit of",
    );
    let window = "the connection's window";
    picture.text(TITLES - 8.0, AXIS + 54.0, "end", "faint", window);
    let name = format!("Bytes {who} and the window of the connection");
    Some(picture.finish(AXIS + CHART + 4.0, &name))
}

impl Drawn {
    /// The picture as a part of a page.
    pub(super) fn inline(&self) -> String {
        let Self {
            inside,
            height,
            name,
        } = self;
        let name = escape(name);
        format!(
            "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{name}\">\n\
             {inside}</svg>\n"
        )
    }
}

/// All pictures as one file, each after its title.
pub(super) fn file(pictures: &[(String, Drawn)]) -> String {
    let mut inside = String::new();
    let mut top = 6.0;
    for (title, drawn) in pictures {
        // Writing to a string cannot fail.
        if !title.is_empty() {
            let title = escape(title);
            let _ = writeln!(
                inside,
                "<text x=\"8\" y=\"{:.0}\" font-weight=\"bold\">{title}</text>",
                top + 12.0
            );
            top += 18.0;
        }
        let height = drawn.height;
        let _ = write!(
            inside,
            "<svg y=\"{top:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\">{}</svg>",
            drawn.inline()
        );
        top += height + 10.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top:.0}\" width=\"{WIDTH}\" \
         height=\"{top:.0}\">\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" class=\"paper\"/>\n{inside}</svg>\n"
    )
}

impl Picture {
    fn new(length: Duration) -> Self {
        let text = String::new();
        Self { text, length }
    }

    fn finish(self, height: f64, name: &str) -> Drawn {
        Drawn {
            inside: self.text,
            height,
            name: name.to_owned(),
        }
    }

    fn x(&self, at: Duration) -> f64 {
        let length = self.length.as_secs_f64().max(1e-9);
        TITLES + BARS * (at.as_secs_f64() / length).min(1.0)
    }

    fn element(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{element}");
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, class: &str, text: &str) {
        let text = escape(text);
        self.element(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>"
        ));
    }

    fn rect(&mut self, at: (f64, f64), size: (f64, f64), look: &str, title: &str) {
        let ((x, y), (width, height)) = (at, size);
        let title = match title {
            "" => String::new(),
            title => format!("<title>{}</title>", escape(title)),
        };
        self.element(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" {look}>{title}</rect>"
        ));
    }

    fn bar(
        &mut self,
        from: Duration,
        to: Duration,
        top: f64,
        height: f64,
        class: &str,
        title: &str,
    ) {
        let left = self.x(from);
        let width = (self.x(to) - left).max(1.0);
        let look = format!("class=\"{class}\"");
        self.rect((left, top), (width, height), &look, title);
    }

    /// Lines at round times.
    fn axis(&mut self, bottom: f64) {
        let step = round_step(self.length);
        let mut at = Duration::ZERO;
        while at <= self.length {
            let x = self.x(at);
            self.element(format_args!(
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{AXIS}\" y2=\"{bottom:.1}\" class=\"grid\"/>"
            ));
            let label = match at.is_zero() {
                true => "0".to_owned(),
                false => axis_label(at),
            };
            self.text(x, 14.0, "middle", "faint", &label);
            at = at.saturating_add(step);
        }
    }

    fn row(&mut self, row: &Row, index: usize, top: f64) {
        let mark = if row.is_pushed { "* " } else { "" };
        let title = format!("{mark}{}", row.title);
        let received = row.bytes(Side::Server);
        let sent = row.bytes(Side::Client);
        let time = row.ended.saturating_sub(row.opened);
        let all = format!(
            "stream {}: {title}, {}, {received} bytes received, {sent} sent, {}",
            row.id,
            row.outcome,
            short(time)
        );
        self.element(format_args!("<g><title>{}</title>", escape(&all)));
        self.text(8.0, top + 14.0, "start", "", &cut(&title));
        let middle = top + 9.0;
        let answered = row.answered.unwrap_or(row.ended);
        self.bar(row.opened, answered, middle, 2.0, "waiting", "");
        self.bar(answered, row.ended, middle, 2.0, "open", "");
        for stall in &row.stalls {
            let cause = match stall.cause {
                Cause::Stream => "the stream",
                Cause::Connection => "the connection",
            };
            let time = short(stall.to.saturating_sub(stall.from));
            let title = format!("the window of {cause} was empty for {time}");
            self.bar(stall.from, stall.to, top + 4.0, 12.0, "stalled", &title);
        }
        for from in [Side::Server, Side::Client] {
            let chunks = row.chunks.iter().filter(|chunk| chunk.from == from);
            let bytes = chunks.map(|chunk| (chunk.at, chunk.length));
            let bins = bins(bytes, self.length);
            let (up, height) = match from {
                Side::Server => (4.0, 12.0),
                // What is sent is drawn lower.
                Side::Client => (12.0, 6.0),
            };
            for (bin, _) in bins.iter().enumerate().filter(|(_, bytes)| **bytes > 0) {
                let x = TITLES + BARS * to_f64(bin) / to_f64(BINS);
                let look = format!("fill=\"{}\"", colour(index));
                self.rect((x, top + up), (2.2, height), &look, "");
            }
        }
        if row.was_reset {
            let x = self.x(row.ended);
            self.text(x, top + 14.0, "middle", "reset", "✕");
        }
        let figures = format!(
            "{} · {} · {}",
            row.outcome,
            size(received.max(sent)),
            short(time)
        );
        self.text(WIDTH - 4.0, top + 14.0, "end", "", &figures);
        self.element(format_args!("</g>"));
    }

    /// For each part of the time, the colours of the streams whose bytes came.
    fn strip(&mut self, connection: &Connection, top: f64) {
        let rows = connection.rows.iter().take(MAX_ROWS);
        let of_rows: Vec<Vec<u64>> = rows
            .map(|row| {
                let bytes = row.chunks.iter().map(|chunk| (chunk.at, chunk.length));
                bins(bytes, self.length)
            })
            .collect();
        for bin in 0..BINS {
            let of_bin = |bins: &Vec<u64>| bins.get(bin).copied().unwrap_or(0);
            let sum: u64 = of_rows.iter().map(of_bin).sum();
            let mut y = top;
            for (index, bins) in of_rows.iter().enumerate().filter(|_| sum > 0) {
                let bytes = of_bin(bins);
                if bytes > 0 {
                    #[expect(clippy::cast_precision_loss, reason = "for a picture")]
                    let height = STRIP * (bytes as f64) / (sum as f64);
                    let x = TITLES + BARS * to_f64(bin) / to_f64(BINS);
                    let look = format!("fill=\"{}\"", colour(index));
                    self.rect((x, y), (2.2, height), &look, "");
                    y += height;
                }
            }
        }
    }

    fn staircase(&mut self, points: &[(Duration, f64)], class: &str, title: &str) {
        let mut path = String::new();
        let mut last = None;
        for (at, y) in points {
            let x = self.x(*at);
            // Points that fall on one another need no step.
            if last.is_some_and(|(x0, y0): (f64, f64)| (x - x0).abs() < 0.2 && (y - y0).abs() < 0.2)
            {
                continue;
            }
            let _ = match last {
                None => write!(path, "M{x:.1} {y:.1}"),
                Some(_) => write!(path, "H{x:.1}V{y:.1}"),
            };
            last = Some((x, *y));
        }
        if last.is_some() {
            let _ = write!(path, "H{:.1}", TITLES + BARS);
        }
        self.element(format_args!(
            "<path d=\"{path}\" class=\"{class}\"><title>{title}</title></path>"
        ));
    }
}

/// The sums of bytes in the parts of the time.
fn bins(bytes: impl Iterator<Item = (Duration, u64)>, length: Duration) -> Vec<u64> {
    let mut bins = vec![0_u64; BINS];
    let length = length.as_nanos().max(1);
    for (at, bytes) in bytes {
        let bin = at.as_nanos().saturating_mul(BINS as u128) / length;
        let bin = usize::try_from(bin).unwrap_or(BINS).min(BINS - 1);
        if let Some(sum) = bins.get_mut(bin) {
            *sum = sum.saturating_add(bytes);
        }
    }
    bins
}

/// A distance of lines that leaves at most eight: 1, 2 or 5 of a power of ten.
fn round_step(length: Duration) -> Duration {
    let mut power = Duration::from_nanos(1_000);
    loop {
        for factor in [1, 2, 5] {
            let step = power.saturating_mul(factor);
            if step.saturating_mul(8) >= length {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

fn axis_label(at: Duration) -> String {
    match at.as_micros() {
        micros @ 0..1000 => format!("{micros} µs"),
        1000..1_000_000 => format!("{} ms", at.as_secs_f64() * 1000.0),
        _ => format!("{} s", at.as_secs_f64()),
    }
}

/// Colours that neighbours tell apart, in light and dark.
fn colour(index: usize) -> String {
    // Steps of the golden angle around the circle.
    let hue = (to_f64(index % 360) * 137.508 + 210.0) % 360.0;
    format!("hsl({hue:.0} 65% 55%)")
}

#[expect(clippy::cast_precision_loss, reason = "for a picture")]
fn to_f64(number: usize) -> f64 {
    number as f64
}

fn cut(title: &str) -> String {
    if title.chars().count() <= LETTERS {
        return title.to_owned();
    }
    title.chars().take(LETTERS - 1).chain(['…']).collect()
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_few_lines_at_round_times() {
        for (length, step) in [
            (Duration::from_micros(900), Duration::from_micros(200)),
            (Duration::from_millis(80), Duration::from_millis(10)),
            (Duration::from_millis(81), Duration::from_millis(20)),
            (Duration::from_secs(3), Duration::from_millis(500)),
        ] {
            assert_eq!(round_step(length), step, "{length:?}");
        }
        assert_eq!(axis_label(Duration::from_millis(1500)), "1.5 s");
    }

    #[test]
    fn what_a_server_names_is_text() {
        let row = Row {
            title: "GET /<script>\"&".to_owned(),
            ..Row::default()
        };
        let connection = Connection {
            rows: vec![row],
            ..Connection::default()
        };
        let drawn = waterfall(&connection, Duration::from_secs(1)).inline();
        assert!(drawn.contains("GET /&lt;script&gt;&quot;&amp;"), "{drawn}");
        assert!(!drawn.contains("<script"), "{drawn}");
    }
}
