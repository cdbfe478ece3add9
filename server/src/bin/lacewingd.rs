//! `lacewingd`.
fn main() {}
