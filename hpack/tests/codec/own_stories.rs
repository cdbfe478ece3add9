//! Reads the repository's own stories, `hpack/tests/stories.txt`.

use crate::story::{Case, List, Story, hex};

/// `cargo xtask codegen` writes this file with an encoder that shares no code with ours.
pub(crate) const OWN: &str = include_str!("../stories.txt");

/// Stories that are played. Miri is a thousand times slower; these have the tables of 4,096
/// and 0 bytes.
pub(crate) const MOST: usize = if cfg!(miri) { 2 } else { 1_000 };

pub(crate) fn own_stories() -> Vec<Story> {
    let bytes = |text: &str| {
        if text == "-" { Vec::new() } else { hex(text) }
    };
    let mut stories: Vec<Story> = Vec::new();
    let mut limit = None;
    for line in OWN.lines().filter(|line| !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap();
        match word {
            "story" if stories.len() == MOST => break,
            "story" => stories.push(Story {
                name: line.into(),
                cases: Vec::new(),
            }),
            "limit" => limit = Some(rest.parse().unwrap()),
            "block" => stories.last_mut().unwrap().cases.push(Case {
                wire: bytes(rest),
                header_table_size: limit.take(),
                headers: List::new(),
            }),
            name => {
                let case = stories.last_mut().unwrap().cases.last_mut().unwrap();
                case.headers.push((bytes(name), bytes(rest)));
            }
        }
    }
    stories
}
