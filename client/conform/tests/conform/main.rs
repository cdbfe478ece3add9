//! Lacewing's server and client under the conformance suite, strictly, on virtual
//! time: with immediate and late responses, with whole frames and single bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod client;
mod flood;
mod readme;
mod requests;
mod sensitivity;
mod server;
mod session_window;
mod spdy;
mod tables;
mod uploads;

use lacewing_conform::{Conditions, Filter, Segmentation, Strictness};

/// Strict conditions.
fn conditions(segmentation: Segmentation) -> Conditions {
    Conditions::default().with(|conditions| {
        conditions.strictness = Strictness::Strict;
        conditions.segmentation = segmentation;
    })
}

/// The cases to run: all, or those that `CONFORM_ONLY` selects.
fn filter() -> Filter {
    Filter::new(std::env::var("CONFORM_ONLY").unwrap_or_default())
}
