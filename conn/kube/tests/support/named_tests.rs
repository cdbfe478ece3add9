//! Tables that name their tests.

use std::path::PathBuf;

/// Fails unless the table has so many rows, and each names tests that exist, or says after
/// "Open:" why it has none. `locate` finds the file of a name before `::`.
pub(crate) fn check(table: &str, rows: usize, locate: impl Fn(&str) -> PathBuf) {
    let of_table = |line: &&str| line.starts_with("| ") && !line.starts_with("| #");
    let lines: Vec<&str> = table.lines().filter(of_table).collect();
    assert_eq!(lines.len(), rows);
    for row in lines {
        let named = row.split('`').filter_map(|name| name.split_once("::"));
        let mut count = 0;
        for (file, test) in named {
            let code = std::fs::read_to_string(locate(file)).unwrap_or_default();
            assert!(code.contains(&format!("fn {test}(")), "{file}::{test}");
            count += 1;
        }
        assert!(count > 0 || row.contains("Open:"), "{row}");
    }
}
