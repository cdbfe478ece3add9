//! The examples, run to their end.

#![allow(clippy::unwrap_used, dead_code, missing_docs)]

#[path = "../examples/headers.rs"]
mod headers;

#[test]
fn repeated_lists_become_small_blocks() {
    let mut output = Vec::new();
    headers::run(&mut output).unwrap();
    let output = String::from_utf8(output).unwrap();
    let sizes: Vec<usize> = output
        .lines()
        .map(|line| line.split(", ").nth(1).unwrap().split(' ').next().unwrap())
        .map(|size| size.parse().unwrap())
        .collect();
    assert_eq!(sizes.len(), 3, "{output}");
    assert!(sizes[2] < sizes[0], "{output}");
}
