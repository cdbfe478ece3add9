//! The repository's own sequences of header blocks: every representation, every form of a
//! string and of an integer, at every table size.

use lacewing_hpack::{Decoder, EncoderConfig, HeaderField, ListLimits, Sensitivity, StringCoding};

use crate::story::{Case, List, Story, check_round_trip, check_story, hex};

/// `cargo xtask codegen` writes this file with an encoder that shares no code with ours.
const OWN: &str = include_str!("../stories.txt");

/// Stories that are played. Miri is a thousand times slower; these have the tables of 4,096
/// and 0 bytes.
const MOST: usize = if cfg!(miri) { 2 } else { 1_000 };

#[test]
fn every_form_at_every_table_size_is_understood() {
    let stories = own_stories();
    let written = OWN.lines().filter(|line| line.starts_with("story")).count();
    assert_eq!(stories.len(), written.min(MOST));
    for story in &stories {
        check_story(story);
    }
    // The stories cover fields that are never indexed, fields that enter the table, and changes of
    // its size.
    let (mut never, mut entered, mut resized) = (0, 0, 0);
    for story in &stories {
        let mut decoder = Decoder::<HeaderField>::new(4096);
        for case in &story.cases {
            if let Some(size) = case.header_table_size {
                decoder.set_max_table_size(size);
            }
            let before = decoder.table_size();
            let decoded = decoder.decode(&case.wire, ListLimits::default(), |_, sensitivity| {
                never += usize::from(sensitivity == Sensitivity::Sensitive);
            });
            decoded.unwrap();
            entered += usize::from(decoder.table_size() > before);
            resized += usize::from(case.wire[0] & 0xe0 == 0x20);
        }
    }
    if MOST >= written {
        assert!(
            never > 20 && entered > 20 && resized > 10,
            "{never} {entered} {resized}"
        );
    }
}

#[test]
fn what_we_encode_of_our_own_stories_we_decode() {
    // Miri encodes one story, with a table that evicts.
    let (stories, sizes) = match cfg!(miri) {
        true => (1, &[64][..]),
        false => (MOST, &[0, 64, 4096, 16384][..]),
    };
    for story in own_stories().into_iter().take(stories) {
        for &max_table_size in sizes {
            for strings in [
                StringCoding::HuffmanWhenShorter,
                StringCoding::Huffman,
                StringCoding::Plain,
            ] {
                check_round_trip(
                    &story,
                    EncoderConfig::DEFAULT.with(|config| {
                        config.max_table_size = max_table_size;
                        config.strings = strings;
                    }),
                );
            }
        }
    }
}

fn own_stories() -> Vec<Story> {
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
