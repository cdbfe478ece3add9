//! The API of the library, over sockets and other transports, in all protocols.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod acceptor;
#[cfg(feature = "axum")]
mod axum_serve;
#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "tls")]
mod client_certificates;
#[cfg(feature = "live")]
mod live;
mod make;
#[cfg(feature = "npn")]
mod npn;
mod services;
#[cfg(all(feature = "axum", feature = "tls"))]
mod sockets;
mod support;
#[cfg(unix)]
mod unix;
#[cfg(feature = "axum")]
mod upgrades;
#[cfg(all(feature = "axum", feature = "tls"))]
mod websocket;
