//! The table of complaints, `tests/COMPLAINTS.md`.

use std::path::Path;

use super::named_tests;

#[test]
fn the_table_names_tests_that_exist() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(package.join("tests/COMPLAINTS.md")).unwrap();
    let root = package.join("../..");
    named_tests::check(&table, 55, |file| root.join(file));
}
