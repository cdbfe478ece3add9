//! The client's side against our server's side in memory, and against servers that are
//! written by hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod bad_server;
mod bridge;
#[cfg(unix)]
mod copy;
#[cfg(unix)]
mod critest;
mod exec;
mod fan_out;
mod forward;
#[path = "../../../tests/raw/peer.rs"]
mod peer;
#[cfg(unix)]
mod process;
mod refusal;
mod server;
#[cfg(unix)]
mod unix_socket;
#[path = "../support/waits.rs"]
mod waits;

use std::time::Duration;

use lacewing_kube::client::{CommandRequest, StreamingProtocol};
use tokio::time::timeout;

use self::waits::{soon, tasks, tasks_end};

/// Every transport of a client.
const TRANSPORTS: [StreamingProtocol; 4] = [
    StreamingProtocol::Spdy,
    StreamingProtocol::Http2,
    StreamingProtocol::WebSocket,
    StreamingProtocol::WebSocketFirst,
];

/// A request for a command of the test's server.
fn request(transport: StreamingProtocol, query: &str) -> CommandRequest {
    let uri = format!("http://pod/exec?{query}").parse().unwrap();
    CommandRequest::new(uri).with(|request| request.transport = transport)
}
