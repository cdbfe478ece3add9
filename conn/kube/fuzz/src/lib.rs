//! The fuzz targets of `lacewing-kube`, as functions: `fuzz_targets` has a program for each.

mod values;
mod websocket;

use std::future::Future;

use lacewing_kube::server::BareRequest;

pub use self::{
    values::values,
    websocket::{channels, tunnel},
};

/// The head of a request on a transport without an HTTP server. Every byte comes back.
pub fn bare_request(input: &[u8]) {
    let (mut client, server) = tokio::io::duplex(64 << 10);
    run(async {
        use tokio::io::AsyncWriteExt;
        // Inputs are shorter than the pipe.
        if client.write_all(input).await.is_err() {
            return;
        }
        drop(client);
        if let Ok(bare) = BareRequest::read(server).await {
            let (_, read) = bare.into_parts();
            assert!(input.starts_with(&read));
        }
    });
}

/// Runs a future to its end, at once: the clock is virtual.
fn run(future: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future);
}
