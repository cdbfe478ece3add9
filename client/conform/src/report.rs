//! The report on a run: as text, JUnit XML or JSON.

mod junit;

use std::fmt;

use serde_json::{Value, json};

use crate::{
    case::{Case, Requirement},
    outcome::Outcome,
};

/// The outcomes of a run.
///
/// `Display` writes the text for a terminal: a line for each section, then the
/// details of each failure and advice, then the four counts.
///
/// ```
/// # let report = lacewing_conform::Report::new("my server");
/// println!("{report}");
/// std::fs::write(std::env::temp_dir().join("conformance.xml"), report.to_junit())?;
/// assert!(report.is_success(), "failed: {:?}", report.failures().collect::<Vec<_>>());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    subject: String,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    id: String,
    /// Specification and section.
    place: String,
    title: String,
    requirement: &'static str,
    outcome: Outcome,
}

impl Report {
    /// An empty report; `subject` is its title.
    pub fn new(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            entries: Vec::new(),
        }
    }

    /// Adds the outcome of a case.
    pub fn add(&mut self, case: &Case, outcome: Outcome) {
        self.entries.push(Entry {
            id: case.id().to_owned(),
            place: format!("{} §{}", case.specification(), case.section()),
            title: case.title().to_owned(),
            requirement: match case.requirement() {
                Requirement::Must => "MUST",
                Requirement::Should => "SHOULD",
            },
            outcome,
        });
    }

    /// The number of cases that passed.
    pub fn passed(&self) -> usize {
        self.count("passed")
    }

    /// The number of cases that failed.
    pub fn failed(&self) -> usize {
        self.count("failed")
    }

    /// The number of recommendations that were not followed.
    pub fn advised(&self) -> usize {
        self.count("advice")
    }

    /// The number of cases that do not apply.
    pub fn skipped(&self) -> usize {
        self.count("skipped")
    }

    /// Returns `true` if no case failed.
    pub fn is_success(&self) -> bool {
        self.failed() == 0
    }

    /// The ids of the cases that failed, in their order.
    pub fn failures(&self) -> impl Iterator<Item = &str> {
        let failed = |entry: &&Entry| !entry.outcome.is_success();
        self.entries
            .iter()
            .filter(failed)
            .map(|entry| entry.id.as_str())
    }

    /// The report as JUnit XML, with a test suite for each section.
    pub fn to_junit(&self) -> String {
        junit::write(self)
    }

    /// The report as a JSON object: `subject`; the counts `passed`, `failed`,
    /// `advice` and `skipped`; and `cases`. Each case has `id`, `section`, `title`,
    /// `requirement` and `outcome`. A skipped case has a `reason`; a failure or
    /// advice has `expected`, `got` and `frames`.
    pub fn to_json(&self) -> String {
        let cases: Vec<Value> = self.entries.iter().map(Entry::to_json).collect();
        let report = json!({
            "subject": self.subject,
            "passed": self.passed(),
            "failed": self.failed(),
            "advice": self.advised(),
            "skipped": self.skipped(),
            "cases": cases,
        });
        format!("{report:#}\n")
    }

    fn count(&self, word: &str) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.outcome.word() == word)
            .count()
    }

    /// The entries by section, in the order of each section's first entry.
    fn sections(&self) -> Vec<(&str, Vec<&Entry>)> {
        let mut sections: Vec<(&str, Vec<&Entry>)> = Vec::new();
        for entry in &self.entries {
            match sections.iter_mut().find(|(place, _)| *place == entry.place) {
                Some((_, entries)) => entries.push(entry),
                None => sections.push((&entry.place, vec![entry])),
            }
        }
        sections
    }
}

impl Entry {
    fn to_json(&self) -> Value {
        let mut value = json!({
            "id": self.id,
            "section": self.place,
            "title": self.title,
            "requirement": self.requirement,
            "outcome": self.outcome.word(),
        });
        if let Value::Object(map) = &mut value {
            match &self.outcome {
                Outcome::Passed => {}
                Outcome::Skipped(reason) => {
                    map.insert("reason".into(), reason.as_str().into());
                }
                Outcome::Failed(failure) | Outcome::Advised(failure) => {
                    map.insert("expected".into(), failure.expected.as_str().into());
                    map.insert("got".into(), failure.got.as_str().into());
                    map.insert("frames".into(), failure.frames.clone().into());
                }
            }
        }
        value
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.subject)?;
        for (place, entries) in self.sections() {
            let count = |word| {
                entries
                    .iter()
                    .filter(|entry| entry.outcome.word() == word)
                    .count()
            };
            write!(f, "  {place:<18} {:>3} passed", count("passed"))?;
            for word in ["failed", "advice", "skipped"] {
                let number = count(word);
                if number > 0 {
                    write!(f, ", {number} {word}")?;
                }
            }
            writeln!(f)?;
        }
        for entry in &self.entries {
            let failure = match &entry.outcome {
                Outcome::Failed(failure) | Outcome::Advised(failure) => failure,
                _ => continue,
            };
            let Entry {
                id,
                requirement,
                title,
                outcome,
                ..
            } = entry;
            writeln!(f, "\n{id} {} ({requirement}): {title}", outcome.word())?;
            writeln!(f, "    expected {}", failure.expected)?;
            writeln!(f, "    got      {}", failure.got)?;
            for frame in &failure.frames {
                writeln!(f, "      {frame}")?;
            }
        }
        writeln!(
            f,
            "\n{} passed, {} failed, {} advice, {} skipped",
            self.passed(),
            self.failed(),
            self.advised(),
            self.skipped()
        )
    }
}
