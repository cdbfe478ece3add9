//! The table of a run, aligned.

use std::fmt;
use std::time::Duration;

use super::figures::{Row, bytes};

const HEAD: [&str; 9] = [
    "case",
    "protocol",
    "peak/conn",
    "left",
    "CPU ns/B",
    "CPU",
    "closed",
    "p99",
    "reaction",
];

/// Rows as they are printed.
pub(crate) struct Table<'a>(pub(crate) &'a [Row]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells: Vec<[String; 9]> = self.0.iter().map(cells).collect();
        let head = HEAD.map(str::to_owned);
        let widths: Vec<usize> = (0..HEAD.len())
            .map(|column| {
                let rows = std::iter::once(&head).chain(&cells);
                rows.filter_map(|row| row.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        line(f, "    ", &head, &widths, &[])?;
        for (row, cells) in self.0.iter().zip(&cells) {
            let verdict = if row.has_failed() { "FAIL" } else { "ok  " };
            line(f, verdict, cells, &widths, &row.failures)?;
        }
        Ok(())
    }
}

fn line(
    f: &mut fmt::Formatter<'_>,
    verdict: &str,
    cells: &[String],
    widths: &[usize],
    failures: &[String],
) -> fmt::Result {
    let mut text = verdict.to_owned();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
        // Figures to the right, words to the left.
        let left = matches!(column, 0 | 1 | 8);
        text.push_str("  ");
        text.push_str(if left { cell } else { &pad });
        text.push_str(if left { &pad } else { cell });
    }
    writeln!(f, "{}", text.trim_end())?;
    if !failures.is_empty() {
        writeln!(f, "        over: {}", failures.join("; "))?;
    }
    Ok(())
}

fn cells(row: &Row) -> [String; 9] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let milliseconds = |time: Duration| format!("{} ms", time.as_millis());
    let mut reaction = row.reaction.clone();
    for note in &row.notes {
        reaction.push_str("; ");
        reaction.push_str(note);
    }
    if !row.limits.is_empty() {
        reaction.push_str(&format!(" [{}]", row.limits));
    }
    [
        row.case.clone(),
        row.dialect.clone(),
        or_dash(row.peak_each().map(bytes)),
        or_dash(row.left.map(bytes)),
        or_dash(row.cpu_per_byte().map(|rate| rate.to_string())),
        or_dash(row.cpu.map(milliseconds)),
        or_dash(
            row.closed_after
                .map(|time| format!("{:.1} s", time.as_secs_f64())),
        ),
        or_dash(row.p99.map(milliseconds)),
        reaction,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_failures_stand_below() {
        let row = |case: &str, failures: &[&str]| Row {
            case: case.to_owned(),
            dialect: "h2".to_owned(),
            reaction: "open".to_owned(),
            peak: Some(1),
            failures: failures.iter().map(|text| (*text).to_owned()).collect(),
            ..Row::default()
        };
        let rows = [row("a", &[]), row("long/name", &["x", "y"])];
        let text = Table(&rows).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(
            lines
                .first()
                .is_some_and(|line| line.starts_with("      case       protocol"))
        );
        assert!(
            lines
                .get(1)
                .is_some_and(|line| line.starts_with("ok    a          h2 "))
        );
        assert!(
            lines
                .get(2)
                .is_some_and(|line| line.starts_with("FAIL  long/name  h2 "))
        );
        assert_eq!(lines.get(3), Some(&"        over: x; y"));
    }
}
