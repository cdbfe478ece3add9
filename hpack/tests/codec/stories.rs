//! The repository's own sequences of header blocks: every representation, every form of a
//! string and of an integer, at every table size.

use lacewing_hpack::{Decoder, EncoderConfig, HeaderField, ListLimits, Sensitivity, StringCoding};

use crate::{
    own_stories::{MOST, OWN, own_stories},
    story::{check_round_trip, check_story},
};

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
