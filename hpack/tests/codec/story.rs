//! Stories: sequences of header blocks that share a dynamic table, and their checks.

use bytes::BytesMut;
use lacewing_hpack::{Decoder, Encoder, EncoderConfig, HeaderField, ListLimits, Sensitivity};

pub(crate) type List = Vec<(Vec<u8>, Vec<u8>)>;

/// One sequence of blocks that share a dynamic table.
pub(crate) struct Story {
    pub(crate) name: String,
    pub(crate) cases: Vec<Case>,
}

pub(crate) struct Case {
    /// Empty in raw data, which consists of header lists only.
    pub(crate) wire: Vec<u8>,
    /// The table size that the decoder advertised before this block.
    pub(crate) header_table_size: Option<usize>,
    pub(crate) headers: List,
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|place| u8::from_str_radix(&text[place..place + 2], 16).unwrap())
        .collect()
}

/// Decodes every block of `story`, and compares its fields.
pub(crate) fn check_story(story: &Story) {
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

/// Encodes every list of `story` under `config`, and decodes it again.
pub(crate) fn check_round_trip(story: &Story, config: EncoderConfig) {
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

pub(crate) fn encode(encoder: &mut Encoder, list: &List) -> BytesMut {
    let mut block = BytesMut::new();
    let mut fields = encoder.block(&mut block);
    for (name, value) in list {
        fields.field(name, value, Sensitivity::Normal);
    }
    block
}

pub(crate) fn decode(decoder: &mut Decoder<HeaderField>, block: &[u8]) -> List {
    let mut list = List::new();
    let summary = decoder
        .decode(block, ListLimits::default(), |field, _| {
            list.push((field.name().to_vec(), field.value().to_vec()));
        })
        .unwrap();
    assert_eq!(summary.fields, list.len());
    list
}
