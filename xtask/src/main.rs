//! The project's own commands: `cargo xtask codegen|tidy|test|interop|bench|ci`.
fn main() {}
