//! Replaces `axum::serve`: the same call, with more protocols.
//!
//! ```no_run
//! use std::net::SocketAddr;
//!
//! use axum::{Router, extract::ConnectInfo, routing::get};
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let app = Router::new().route("/", get(hello));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     lacewing_server::axum::serve(
//!         listener,
//!         app.into_make_service_with_connect_info::<SocketAddr>(),
//!     )
//!     .await
//! }
//!
//! async fn hello(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
//!     format!("hello {peer}\n")
//! }
//! ```
//!
//! * `ConnectInfo<SocketAddr>`, `ConnectInfo<ConnectionInfo>` and
//!   `ConnectInfo<Address>` are there. For a type of one's own, implement
//!   axum's `Connected<lacewing_server::ConnectionInfo>`.
//! * `axum::extract::ws` works over HTTP/1.1 and over HTTP/2 (RFC 8441), on the
//!   same route. Make that route `any(…)`: over HTTP/2 the method is CONNECT.
//!   Other users of `hyper::upgrade` work too; see [`Upgrades`].

mod serve;
mod upgrade;

pub use self::{
    serve::{App, PerConnection, Serve, Shared, serve},
    upgrade::{UpgradeFuture, Upgrades},
};
