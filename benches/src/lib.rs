//! The parts that the benches and the bench programs share. Every server serves one application
//! ([`routes`]), and every client makes one [`load`]. Here are also the corpora and the counters.
//!
//! The programs are `bench-server` (Lacewing), `bench-server-hyper`,
//! `bench-server-h2` and `bench-server-canned` (the floor of the machine),
//! `bench-client` (any of the libraries), `idle-clients` and `bench-kube` (exec, port-forward and raw
//! streams); `cargo xtask bench` runs them in turns. `attack` and `attack-victim` are the attack suite
//! (`cargo xtask attack`), `soak` is the soak (`cargo xtask soak`). The criterion benches are under `benches/`.

pub mod allocations;
pub mod attack;
pub mod canned;
pub mod corpus;
pub mod cpu;
pub mod h2_peer;
pub mod hyper_peer;
pub mod kube;
pub mod lacewing_peer;
pub mod load;
pub mod output;
pub mod routes;
pub mod runtime;
pub mod server_arguments;
pub mod soak;
pub mod tls;

/// An error of either library, or of the operating system.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The examples of the workspace's README compile, and those that end are run.
/// Here, because this package alone sees every crate.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The example of the page on limits compiles.
#[cfg(doctest)]
#[doc = include_str!("../../docs/limits.md")]
pub struct LimitsPage;

/// The examples of the guides compile.
#[cfg(doctest)]
#[doc = include_str!("../../docs/from-hyper-and-h2.md")]
pub struct HyperPage;

#[cfg(doctest)]
#[doc = include_str!("../../docs/from-spdystream-and-node-spdy.md")]
pub struct SpdystreamPage;

#[cfg(doctest)]
#[doc = include_str!("../../docs/protocols-from-the-api.md")]
pub struct ProtocolsPage;
