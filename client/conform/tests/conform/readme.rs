//! The README of the workspace has the numbers of cases.

use lacewing_conform::{Target, Version, client_cases, server_cases};

#[test]
fn the_readme_counts_the_cases() {
    let readme = include_str!("../../../../README.md");
    let row = readme
        .lines()
        .find(|line| line.starts_with("| cases of the conformance suite"))
        .unwrap();
    let versions = [
        Version::Http2,
        Version::Spdy31,
        Version::Spdy3,
        Version::Spdy2,
    ];
    let counts = versions.map(|version| {
        let target = Target::new("http", "localhost").version(version);
        let (servers, clients) = (server_cases(&target).len(), client_cases(version).len());
        format!(" {servers}, {clients} ")
    });
    let cells: Vec<_> = row.split('|').skip(2).take(counts.len()).collect();
    assert_eq!(cells, counts);
}
