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
mod exec;
mod fan_out;
mod forward;
#[path = "../../../tests/raw/peer.rs"]
mod peer;
mod refusal;
mod server;

use std::{future::Future, time::Duration};

use lacewing_kube::client::{CommandRequest, Transport};
use tokio::{runtime::Handle, time::timeout};

/// Every transport of a client.
const TRANSPORTS: [Transport; 3] = [
    Transport::Spdy,
    Transport::WebSocket,
    Transport::WebSocketFirst,
];

/// With paused time, a hang is noticed at once.
async fn soon<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(3_000), future)
        .await
        .expect("hangs")
}

/// A request for a command of the test's server.
fn request(transport: Transport, query: &str) -> CommandRequest {
    let uri = format!("http://pod/exec?{query}").parse().unwrap();
    CommandRequest::new(uri).with(|request| request.transport = transport)
}

/// The tasks of this runtime.
fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Waits until no more tasks than `before` are left.
async fn tasks_end(before: usize) {
    let ended = async {
        while tasks() > before {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    if timeout(Duration::from_secs(600), ended).await.is_err() {
        panic!("{} tasks are left, and {before} were before", tasks());
    }
}
