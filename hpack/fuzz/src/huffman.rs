//! A string that decodes is the only coded form of its text. Every text survives coding and
//! decoding.

use lacewing_hpack::huffman;

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let (mut text, mut coded) = (Vec::new(), Vec::new());
    if huffman::decode(input, &mut text).is_ok() {
        huffman::encode(&text, &mut coded);
        assert_eq!(coded, input);
    }
    coded.clear();
    text.clear();
    huffman::encode(input, &mut coded);
    assert_eq!(huffman::encoded_len(input), coded.len());
    huffman::decode(&coded, &mut text).expect("our own coding");
    assert_eq!(text, input);
}
