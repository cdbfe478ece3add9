//! Sequences of header blocks: those of this repository, which have every form,
//! and the hpack-test-case collection where it is there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    unreachable_pub,
    dead_code
)]

#[path = "support/corpus.rs"]
mod corpus;

use bytes::BytesMut;
use corpus::{Case, List, Story};
use lacewing_hpack::{
    Decoder, Encoder, EncoderConfig, HeaderField, Indexing, ListLimits, Sensitivity, StringCoding,
};

/// Written by `cargo xtask codegen`, by an encoder that shares nothing with ours.
const OWN: &str = include_str!("stories.txt");

#[test]
fn every_form_at_every_table_size_is_understood() {
    let stories = own_stories();
    assert_eq!(
        stories.len(),
        OWN.lines().filter(|line| line.starts_with("story")).count()
    );
    for story in &stories {
        check_story(story);
    }
    // What the stories are for: fields that are never indexed, fields that
    // enter the table, and sizes that change.
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
    assert!(
        never > 20 && entered > 20 && resized > 10,
        "{never} {entered} {resized}"
    );
}

#[test]
fn what_we_encode_of_our_own_stories_we_decode() {
    for story in own_stories() {
        for max_table_size in [0, 64, 4096, 16384] {
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
        if text == "-" {
            Vec::new()
        } else {
            corpus::hex(text)
        }
    };
    let mut stories: Vec<Story> = Vec::new();
    let mut limit = None;
    for line in OWN.lines().filter(|line| !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap();
        match word {
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

#[test]
fn every_encoder_is_understood() {
    let Some(folder) = corpus::folder() else {
        return;
    };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder.join("hpack-test-case")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() && name != "raw-data" {
            for story in corpus::stories(&name) {
                check_story(&story);
                seen += 1;
            }
        }
    }
    assert!(seen > 250, "only {seen} stories");
}

fn check_story(story: &Story) {
    let mut decoder = Decoder::new(4096);
    for (number, case) in story.cases.iter().enumerate() {
        if let Some(size) = case.header_table_size {
            decoder.set_max_table_size(size);
        }
        let list = decode(&mut decoder, &case.wire);
        assert_eq!(list, case.headers, "{} case {number}", story.name);
        assert!(decoder.table_size() <= decoder.max_table_size());
    }
}

#[test]
fn what_we_encode_we_decode() {
    let stories = corpus::stories("raw-data");
    let check = |config| {
        for story in &stories {
            check_round_trip(story, config);
        }
    };
    for max_table_size in [0, 64, 256, 1024, 4096, 16384] {
        check(EncoderConfig::DEFAULT.with(|config| config.max_table_size = max_table_size));
    }
    for indexing in [Indexing::Sensible, Indexing::Everything, Indexing::Nothing] {
        for strings in [
            StringCoding::HuffmanWhenShorter,
            StringCoding::Huffman,
            StringCoding::Plain,
        ] {
            check(EncoderConfig::DEFAULT.with(|config| {
                config.max_table_size = 1024;
                config.indexing = indexing;
                config.strings = strings;
            }));
        }
    }
}

fn check_round_trip(story: &Story, config: EncoderConfig) {
    let mut encoder = Encoder::with_config(config);
    let mut decoder = Decoder::new(4096);
    encoder.set_max_table_size(16384);
    decoder.set_max_table_size(16384);
    for case in &story.cases {
        let block = encode(&mut encoder, &case.headers);
        assert_eq!(decode(&mut decoder, &block), case.headers, "{}", story.name);
        assert_eq!(decoder.table_size(), encoder.table_size());
        assert!(encoder.table_size() <= config.max_table_size);
    }
}

/// nghttp2 has 0.3149 on these.
#[test]
fn ratio() {
    let (mut encoded, mut plain) = (0, 0);
    for story in corpus::stories("raw-data") {
        let number: u32 = story.name[story.name.len() - 7..][..2].parse().unwrap();
        if !(20..=30).contains(&number) {
            continue;
        }
        let mut encoder = Encoder::new();
        for case in &story.cases {
            encoded += encode(&mut encoder, &case.headers).len();
            let sizes = case
                .headers
                .iter()
                .map(|(name, value)| name.len() + value.len());
            plain += sizes.sum::<usize>();
        }
    }
    if plain > 0 {
        let ratio = encoded as f64 / plain as f64;
        println!("ratio on raw-data 20-30: {ratio:.4}");
        assert!(ratio <= 0.315, "{ratio}");
    }
}

fn encode(encoder: &mut Encoder, list: &List) -> BytesMut {
    let mut block = BytesMut::new();
    let mut fields = encoder.block(&mut block);
    for (name, value) in list {
        fields.field(name, value, Sensitivity::Normal);
    }
    block
}

fn decode(decoder: &mut Decoder<HeaderField>, block: &[u8]) -> List {
    let mut list = List::new();
    let summary = decoder
        .decode(block, ListLimits::default(), |field, _| {
            list.push((field.name().to_vec(), field.value().to_vec()));
        })
        .unwrap();
    assert_eq!(summary.fields, list.len());
    list
}
