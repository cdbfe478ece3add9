//! Upgrades from HTTP/1.1 to raw streams, and their use by Kubernetes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod by_hyper;
mod client;
mod exec;
#[path = "../raw/peer.rs"]
mod peer;
mod portforward;
mod server;

use std::{future::Future, time::Duration};

use http::{HeaderMap, HeaderValue};
use lacewing_conn::driver::RawStream;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

/// With paused time, a hang is noticed at once.
async fn soon<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(600), future)
        .await
        .expect("hangs")
}

/// One field.
fn field(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_str(value).unwrap());
    headers
}

/// A head of HTTP/1.1, byte by byte up to its empty line.
async fn read_head(io: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Echoes the received data.
async fn echo(stream: RawStream) {
    stream.reply(HeaderMap::new());
    let (mut reader, mut writer) = stream.into_split();
    tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    writer.shutdown().await.unwrap();
}
