//! `lacewing`.
fn main() {}
