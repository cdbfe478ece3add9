//! The program `lacewing` against servers on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod assets;
mod complaints;
mod compressed;
mod conform;
mod curl;
mod decode;
mod dialling;
mod downloads;
mod foreign;
mod generate;
mod get;
mod headers;
mod http1_required;
#[cfg(all(unix, feature = "kube"))]
mod kube;
mod lacewing;
mod live_page;
mod load;
mod mux;
#[path = "../../../../conn/kube/tests/support/named_tests.rs"]
mod named_tests;
mod names;
mod ping;
#[cfg(unix)]
mod pipes;
mod probe;
mod proxy;
mod record;
mod resets;
mod servers;
mod short_spdy;
mod socks;
mod streams;
#[path = "../../../tests/support/lib.rs"]
mod support;
mod tap;
mod urls;
#[path = "../../../../server/tests/support/viewer.rs"]
mod viewer;
mod waits;
mod waterfall;
