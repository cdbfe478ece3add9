//! The examples, run to their end.

#![allow(clippy::unwrap_used, dead_code, missing_docs)]

#[path = "../examples/wire.rs"]
mod wire;

#[test]
fn both_protocols_carry_the_request() {
    let mut output = Vec::new();
    wire::run(&mut output).unwrap();
    let output = String::from_utf8(output).unwrap();
    let without_sizes = output.lines().filter(|line| line.starts_with(' '));
    let each = [
        "  stream 1: :method = PUT",
        "  stream 1: :path = /note",
        "  stream 1: 5 bytes, the last: true",
    ];
    assert_eq!(without_sizes.collect::<Vec<_>>(), [each, each].concat());
}
