//! Writes a report as JUnit XML.

use std::fmt::Write as _;

use crate::outcome::{Failure, Outcome};

use super::Report;

pub(super) fn write(report: &Report) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string does not fail.
    let _ = write_suites(&mut xml, report);
    xml
}

fn write_suites(xml: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        xml,
        "<testsuites name=\"{}\" tests=\"{}\" failures=\"{}\">",
        escape(&report.subject),
        report.entries.len(),
        report.failed()
    )?;
    for (place, entries) in report.sections() {
        let failures = entries
            .iter()
            .filter(|entry| !entry.outcome.is_success())
            .count();
        writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\">",
            escape(place),
            entries.len()
        )?;
        for entry in entries {
            let name = escape(&format!("{} {}", entry.id, entry.title));
            write!(
                xml,
                "    <testcase classname=\"{}\" name=\"{name}\"",
                escape(place)
            )?;
            match &entry.outcome {
                Outcome::Passed => writeln!(xml, "/>")?,
                Outcome::Skipped(reason) => {
                    writeln!(xml, "><skipped message=\"{}\"/></testcase>", escape(reason))?
                }
                Outcome::Advised(failure) => writeln!(
                    xml,
                    "><skipped message=\"{}\"/></testcase>",
                    escape(&format!("advice: {failure}"))
                )?,
                Outcome::Failed(failure) => write_failure(xml, failure)?,
            }
        }
        writeln!(xml, "  </testsuite>")?;
    }
    writeln!(xml, "</testsuites>")
}

fn write_failure(xml: &mut String, failure: &Failure) -> std::fmt::Result {
    writeln!(
        xml,
        "><failure message=\"{}\">",
        escape(&failure.to_string())
    )?;
    for frame in &failure.frames {
        writeln!(xml, "{}", escape(frame))?;
    }
    writeln!(xml, "</failure></testcase>")
}

/// Escapes text, which may be a peer's: XML cannot represent most control
/// characters.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            character if character.is_control() => escaped.push('\u{fffd}'),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_peers_cannot_break_the_document() {
        assert_eq!(
            escape("a<b>&\"c\"\0"),
            "a&lt;b&gt;&amp;&quot;c&quot;\u{fffd}"
        );
    }
}
