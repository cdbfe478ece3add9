//! The HTTP/2 frames of this repository.

use serde_json::Value;

use crate::vector::check;

/// `cargo xtask codegen` writes this file, and shares no code with this crate.
const OWN: &str = include_str!("../vectors/http2/frames.json");

#[test]
fn every_vector_of_our_own() {
    let cases: Vec<Value> = serde_json::from_str(OWN).unwrap();
    let mut kinds: Vec<u64> = Vec::new();
    // Miri is a thousand times slower: each fifth.
    let step = if cfg!(miri) { 5 } else { 1 };
    for case in cases.iter().step_by(step) {
        check(case, case["description"].as_str().unwrap());
    }
    for case in &cases {
        kinds.extend(case["frame"]["type"].as_u64());
    }
    kinds.sort_unstable();
    kinds.dedup();
    // Every frame type of RFC 9113, ALTSVC, ORIGIN, PRIORITY_UPDATE and an unknown one.
    assert_eq!(kinds, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa, 0xc, 0x10, 0xbe]);
    assert!(cases.iter().filter(|case| !case["error"].is_null()).count() >= 50);
}
