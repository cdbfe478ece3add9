//! The cases, one file a family.

mod capacity;
mod client;
mod connections;
mod control;
mod data;
mod headers;
mod honest;
mod http1;
mod process;
mod program;
mod resets;
mod secrets;
mod tables;
mod tunnels;
mod waits;
mod windows;

use super::case::Case;

/// Every case.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    [
        headers::CASES,
        tables::CASES,
        data::CASES,
        control::CASES,
        resets::CASES,
        secrets::CASES,
        windows::CASES,
        tunnels::CASES,
        waits::CASES,
        connections::CASES,
        capacity::CASES,
        process::CASES,
        program::CASES,
        http1::CASES,
        client::CASES,
        honest::CASES,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_honest_variants_exist() {
        let names: BTreeSet<&str> = all().map(|case| case.name).collect();
        assert_eq!(names.len(), all().count());
        for case in all().filter(|case| !case.honest.is_empty()) {
            let honest = all().find(|other| other.name == case.honest);
            assert!(honest.is_some_and(Case::is_honest), "{}", case.name);
        }
    }

    #[test]
    fn every_row_of_the_known_attacks_is_played() {
        let played: BTreeSet<&str> = all()
            .flat_map(|case| case.answers.split([' ', ',']))
            .collect();
        for row in 1..=31 {
            assert!(played.contains(row.to_string().as_str()), "row {row}");
        }
        for row in 1..=12 {
            assert!(played.contains(format!("S{row}").as_str()), "row S{row}");
        }
    }

    /// The names in `docs/attacks.md`, with `{a,b}` written out.
    fn documented() -> Vec<String> {
        let text = include_str!("../../../docs/attacks.md");
        let quoted = text.split('`').skip(1).step_by(2);
        quoted
            .flat_map(|name| match name.split_once('{') {
                Some((before, rest)) => rest
                    .trim_end_matches('}')
                    .split(',')
                    .map(|part| format!("{before}{part}"))
                    .collect(),
                None => vec![name.to_owned()],
            })
            .collect()
    }

    #[test]
    fn every_attack_is_in_the_table_of_the_docs() {
        let documented = documented();
        let is_named = |case: &Case| {
            documented.iter().any(|name| match name.strip_suffix('*') {
                Some(start) => case.name.starts_with(start),
                None => case.name == name,
            })
        };
        for case in all().filter(|case| !case.is_honest()) {
            assert!(is_named(case), "docs/attacks.md lacks {}", case.name);
        }
    }

    #[test]
    fn every_test_in_the_table_of_the_docs_exists() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
        let tests = documented().into_iter().filter(|name| {
            name.starts_with("simulation/") || name.contains("/tests/") || name.contains("/fuzz")
        });
        for name in tests.filter(|name| !name.contains('…')) {
            let path = name.replace("simulation/", "conn/tests/simulation/");
            let path = format!("{root}{}", path.trim_end_matches('/'));
            let exists = |path: &str| std::path::Path::new(path).exists();
            assert!(exists(&path) || exists(&format!("{path}.rs")), "{name}");
        }
    }
}
