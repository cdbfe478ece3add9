//! The table at the end of a command: the parts that ran, and the omitted parts with their reasons.

use std::fmt;

#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

struct Row {
    ran: bool,
    what: String,
    why: String,
}

impl Report {
    pub(crate) fn ran(&mut self, what: &str, how: &str) {
        self.add(true, what, how);
    }

    pub(crate) fn left_out(&mut self, what: &str, why: &str) {
        self.add(false, what, why);
    }

    fn add(&mut self, ran: bool, what: &str, why: &str) {
        self.rows.push(Row {
            ran,
            what: what.to_owned(),
            why: why.to_owned(),
        });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.what.len()).max();
        let width = width.unwrap_or(0);
        for (ran, title) in [(true, "ran     "), (false, "left out")] {
            for row in self.rows.iter().filter(|row| row.ran == ran) {
                writeln!(f, "{title}  {:<width$}  {}", row.what, row.why)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_comes_last() {
        let mut report = Report::default();
        report.left_out("a thing", "it is missing");
        report.ran("other", "all of it");
        let text = "ran       other    all of it\nleft out  a thing  it is missing\n";
        assert_eq!(report.to_string(), text);
    }
}
