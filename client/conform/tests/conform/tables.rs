//! The ids of the tables.

use std::collections::HashSet;

use lacewing_client::Version;
use lacewing_conform::{Requirement, Target, client_cases, server_cases};

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

/// A case is advice if the specification demands nothing.
#[test]
fn open_questions_are_no_musts() {
    let server = server_cases(&Target::new("http", "localhost"));
    let client = client_cases(Version::Http2);
    for (cases, ids) in [
        (
            &server,
            &[
                "3.4/5", "5.1/22", "6.9.1/5", "8.1.1/12", "8.2.1/3", "8.2.1/25",
            ][..],
        ),
        (&client, &["3.4/3", "8.2.1/2", "8.2.1/17"]),
    ] {
        for id in ids {
            let case = cases.iter().find(|case| case.id() == *id).unwrap();
            assert_eq!(
                case.requirement(),
                Requirement::Should,
                "{id}: {}",
                case.title()
            );
        }
    }
}
