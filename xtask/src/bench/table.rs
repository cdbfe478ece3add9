//! The rows of the run: the figures of every contender, as a table and as JSON.

use super::contender::Contender;
use super::statistics::Sample;
use std::fmt::Write as _;

/// One row: the same work for every contender. Less is better.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) unit: &'static str,
    /// Ours first.
    pub(super) figures: Vec<(Contender, Sample)>,
    /// The load generator did not keep our server busy: the figure has the cost of waking up.
    pub(super) idles: bool,
    pub(super) bar: Option<Bar>,
}

/// The bound of our figure.
#[derive(Clone, Copy)]
pub(super) enum Bar {
    /// Relative to one contender.
    Ratio { to: Contender, most: f64 },
    /// Relative to the best peer of the row.
    BestPeer { most: f64 },
    /// In the unit of the row.
    Value { most: f64 },
}

impl Bar {
    pub(super) const fn ratio(to: Contender, most: f64) -> Self {
        Self::Ratio { to, most }
    }

    pub(super) const fn best_peer(most: f64) -> Self {
        Self::BestPeer { most }
    }

    pub(super) const fn value(most: f64) -> Self {
        Self::Value { most }
    }
}

impl Row {
    /// Our figure.
    fn ours(&self) -> f64 {
        self.figures
            .first()
            .map_or(f64::NAN, |(_, sample)| sample.median())
    }

    fn of(&self, contender: Contender) -> Option<f64> {
        let mut figures = self.figures.iter();
        let (_, sample) = figures.find(|(other, _)| *other == contender)?;
        Some(sample.median())
    }

    fn best_peer(&self) -> Option<(Contender, f64)> {
        let peers = self
            .figures
            .iter()
            .filter(|(contender, _)| contender.is_peer());
        peers
            .map(|(contender, sample)| (*contender, sample.median()))
            .min_by(|(_, one), (_, other)| one.total_cmp(other))
    }

    /// The bound in the unit of the row; `None` if its contender is absent.
    fn bound(&self) -> Option<f64> {
        match self.bar? {
            Bar::Ratio { to, most } => Some(self.of(to)? * most),
            Bar::BestPeer { most } => Some(self.best_peer()?.1 * most),
            Bar::Value { most } => Some(most),
        }
    }

    /// Prints the row: one line, and one for each contender below it.
    pub(super) fn print(&self) {
        let ratio = self.best_peer().map(|(peer, best)| {
            let ratio = self.ours() / best;
            format!("{ratio:.2} × {}", peer.name())
        });
        let bound = match self.bound() {
            Some(bound) if self.ours() <= bound => format!("bar {}: met", short(bound)),
            Some(bound) => format!("bar {}: over", short(bound)),
            None => String::new(),
        };
        let idles = if self.idles { ", mostly idle" } else { "" };
        say!(
            "{:<34} {:<8} {:<16} {bound}{idles}",
            self.name,
            self.unit,
            ratio.unwrap_or_default()
        );
        for (contender, sample) in &self.figures {
            say!("    {:<12} {sample}", contender.name());
        }
    }

    fn json(&self) -> String {
        let mut figures = String::new();
        for (contender, sample) in &self.figures {
            let (low, high) = sample.range();
            let separator = if figures.is_empty() { "" } else { ", " };
            // Writing to a string does not fail.
            let _ = write!(
                figures,
                "{separator}\"{}\": {{\"median\": {:.3}, \"low\": {low:.3}, \"high\": {high:.3}, \"rounds\": {}}}",
                contender.name(),
                sample.median(),
                sample.len(),
            );
        }
        let bound = match self.bound() {
            Some(bound) => format!("{bound:.3}"),
            None => "null".to_owned(),
        };
        format!(
            "{{\"name\": \"{}\", \"unit\": \"{}\", \"figures\": {{{figures}}}, \"mostly_idle\": {}, \"bar\": {bound}}}",
            self.name, self.unit, self.idles
        )
    }
}

/// All rows as JSON. Names need no escapes: they are ours.
pub(super) fn json(rows: &[Row]) -> String {
    let rows = rows.iter().map(Row::json).collect::<Vec<_>>();
    format!("{{\"rows\": [\n  {}\n]}}\n", rows.join(",\n  "))
}

fn short(figure: f64) -> String {
    match figure {
        figure if figure < 100.0 => format!("{figure:.2}"),
        figure => format!("{figure:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_no_peer_and_the_bound_is_in_the_units_of_the_row() {
        let sample = |value| {
            let mut sample = Sample::default();
            sample.push(value);
            sample
        };
        let mut row = Row {
            name: "row".into(),
            unit: "µs/req",
            figures: vec![
                (Contender::Lacewing, sample(1.0)),
                (Contender::Hyper, sample(4.0)),
                (Contender::H2o, sample(2.0)),
                (Contender::Canned, sample(0.5)),
            ],
            idles: false,
            bar: Some(Bar::best_peer(0.7)),
        };
        assert_eq!(row.best_peer(), Some((Contender::H2o, 2.0)));
        assert_eq!(row.bound(), Some(1.4));
        row.bar = Some(Bar::ratio(Contender::Canned, 1.5));
        assert_eq!(row.bound(), Some(0.75));
        row.bar = Some(Bar::ratio(Contender::Nginx, 1.0));
        assert_eq!(row.bound(), None);
        let text = json(&[row]);
        let hyper =
            "\"hyper\": {\"median\": 4.000, \"low\": 4.000, \"high\": 4.000, \"rounds\": 1}";
        assert!(
            text.contains(hyper) && text.contains("\"bar\": null"),
            "{text}"
        );
    }
}
