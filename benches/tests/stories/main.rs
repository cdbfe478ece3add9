//! nghttp2's decoder reads the stories of lacewing-hpack: they are valid HPACK for others too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "../../../hpack/fuzz/src/nghttp2/inflater.rs"]
mod inflater;
#[path = "../../../hpack/tests/codec/own_stories.rs"]
mod own_stories;
#[path = "../../../hpack/tests/codec/story.rs"]
#[allow(dead_code)]
mod story;

use inflater::Inflater;
use own_stories::own_stories;

#[test]
fn nghttp2_decodes_the_fields_of_each_story() {
    let mut blocks = 0;
    for story in own_stories() {
        let mut inflater = Inflater::new(4096);
        for (number, case) in story.cases.iter().enumerate() {
            if let Some(size) = case.header_table_size {
                inflater.set_max_table_size(size);
            }
            let mut list = story::List::new();
            let decoded = inflater.decode(&case.wire, |name, value, _| {
                list.push((name.to_vec(), value.to_vec()));
            });
            assert_eq!(decoded, Some(()), "{} block {number}", story.name);
            assert_eq!(list, case.headers, "{} block {number}", story.name);
            blocks += 1;
        }
    }
    assert!(blocks > 100, "{blocks} blocks");
}
