//! Errors of a configuration file, each with its place.

use std::{fmt, ops::Range, path::PathBuf};

/// The errors of a file, in the order of their places.
#[derive(Debug)]
pub(crate) struct Report {
    file: PathBuf,
    text: String,
    faults: Vec<Fault>,
}

/// One error, and the bytes of the file that are wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) place: Range<usize>,
    pub(super) why: String,
}

impl Report {
    pub(super) fn new(file: PathBuf, text: String, mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.place.start);
        Self { file, text, faults }
    }

    /// The line of a place: its number from 1, the bytes before it, and its text.
    fn line(&self, at: usize) -> (usize, usize, &str) {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let start = before
            .rfind('\n')
            .map_or(0, |newline| newline.saturating_add(1));
        let number = before.matches('\n').count().saturating_add(1);
        let rest = self.text.get(start..).unwrap_or_default();
        (number, start, rest.lines().next().unwrap_or_default())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            let (number, start, line) = self.line(fault.place.start);
            let length = |from, to| {
                self.text
                    .get(from..to)
                    .map_or(0, |text| text.chars().count())
            };
            let before = length(start, fault.place.start);
            let end = fault.place.end.min(start.saturating_add(line.len()));
            let carets = length(fault.place.start, end).max(1);
            let column = before.saturating_add(1);
            let file = self.file.display();
            writeln!(f, "{file}:{number}:{column}: {}", fault.why)?;
            // A caret stands below its character if the tabs before it are there too.
            let indent: String = line
                .chars()
                .take(before)
                .map(|character| if character == '\t' { '\t' } else { ' ' })
                .collect();
            let margin = " ".repeat(number.to_string().len());
            writeln!(f, "  {number} | {line}")?;
            write!(f, "  {margin} | {indent}{}", "^".repeat(carets))?;
        }
        Ok(())
    }
}
