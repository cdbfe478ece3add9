//! Our own server and client against the conformance suite, on virtual time:
//! with answers that come at once and late, with frames that come whole and
//! byte by byte. Recommendations bind.
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
mod requests;
mod sensitivity;
mod server;
mod spdy;
mod tables;
mod uploads;

use lacewing_conform::{Conditions, Filter, Segmentation, Strictness};

/// Everything that is tested here is tested strictly.
fn conditions(segmentation: Segmentation) -> Conditions {
    Conditions {
        strictness: Strictness::Strict,
        segmentation,
        ..Conditions::default()
    }
}

/// The cases to run: all, or those of a section in `CONFORM_ONLY`, for work on
/// a single one.
fn filter() -> Filter {
    Filter::new(std::env::var("CONFORM_ONLY").unwrap_or_default())
}
