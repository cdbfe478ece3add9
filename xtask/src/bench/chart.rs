//! A row as a picture: one bar for each contender, in SVG without scripts or fonts of its own.

use super::table::Row;
use std::fmt::Write as _;
use std::path::Path;

const WIDTH: f64 = 640.0;
const LABELS: f64 = 90.0;
const FIGURES: f64 = 130.0;
const BAR: f64 = 18.0;
const GAP: f64 = 6.0;
const HEAD: f64 = 30.0;

/// Writes one picture for each row into `folder`, named after the row.
pub(super) fn write(rows: &[Row], folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for row in rows {
        let path = folder.join(format!("{}.svg", file_name(&row.name)));
        std::fs::write(&path, draw(row)).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

/// Turns a title into a name of letters, digits and hyphens.
fn file_name(title: &str) -> String {
    let words = title.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty()).collect::<Vec<_>>();
    words.join("-").to_lowercase()
}

/// Draws a row. The colours suit a light and a dark page.
fn draw(row: &Row) -> String {
    let count = row.figures.len() as f64;
    let height = HEAD + count * (BAR + GAP) + GAP;
    let most = row
        .figures
        .iter()
        .map(|(_, sample)| sample.median())
        .fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - LABELS - FIGURES) / most;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#777\">\n\
         <title>{name}: {unit}, less is better</title>\n\
         <text x=\"0\" y=\"16\" font-weight=\"bold\">{name} ({unit}, less is better)</text>\n",
        name = escape(&row.name),
        unit = row.unit,
    );
    let mut y = HEAD;
    for (contender, sample) in &row.figures {
        let width = sample.median() * scale;
        let colour = match contender {
            contender if contender.is_ours() => "#2a9d8f",
            contender if contender.is_peer() => "#8d99ae",
            _ => "#c9ccd5",
        };
        let text = y + 14.0;
        // Writing to a string does not fail.
        let _ = writeln!(
            svg,
            "<text x=\"0\" y=\"{text}\">{name}</text>\
             <rect x=\"{LABELS}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\
             <text x=\"{end:.1}\" y=\"{text}\">{sample}</text>",
            name = contender.name(),
            end = LABELS + width + 6.0,
        );
        y += BAR + GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::{contender::Contender, statistics::Sample};
    use super::*;

    #[test]
    fn every_contender_has_a_bar_and_the_longest_one_fits() {
        let mut figures = Vec::new();
        for (contender, value) in [(Contender::Lacewing, 1.0), (Contender::H2o, 4.0)] {
            let mut sample = Sample::default();
            sample.push(value);
            figures.push((contender, sample));
        }
        let row = Row {
            name: "a < b, 10 × 100".into(),
            unit: "µs/req",
            figures,
            idles: false,
            bar: None,
        };
        let svg = draw(&row);
        assert_eq!(svg.matches("<rect").count(), 2);
        assert!(
            svg.contains("width=\"420.0\"") && svg.contains("width=\"105.0\""),
            "{svg}"
        );
        assert!(svg.contains("a &lt; b"));
        assert_eq!(file_name(&row.name), "a-b-10-100");
    }
}
