//! The ids of the tables.

use std::collections::HashSet;

use lacewing_client::Version;
use lacewing_conform::{Target, client_cases, server_cases};

#[test]
fn ids_are_numbered_through_in_every_section() {
    for cases in [
        server_cases(&Target::new("http", "localhost")),
        client_cases(Version::Http2),
    ] {
        let ids: HashSet<&str> = cases.iter().map(|case| case.id()).collect();
        assert_eq!(ids.len(), cases.len(), "an id occurs twice");
        for case in &cases {
            let (section, number) = case.id().rsplit_once('/').unwrap();
            let number: usize = number.parse().unwrap();
            let before = format!("{section}/{}", number - 1);
            assert!(number == 1 || ids.contains(before.as_str()), "no {before}");
        }
    }
}
