//! The examples that have both ends, run to their end.

#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, missing_docs)]

#[path = "../../../server/examples/axum.rs"]
mod axum_example;
#[path = "../../examples/proxy/main.rs"]
mod gateway;
#[path = "../../examples/grpc.rs"]
mod grpc;
#[path = "../../examples/layers.rs"]
mod layers;
#[path = "../../examples/push.rs"]
mod push;
#[path = "../../examples/sse.rs"]
mod sse;
#[path = "../../examples/upload.rs"]
mod upload;

use std::{error::Error, net::SocketAddr, time::Duration};

use http::Request;
use http_body_util::BodyExt as _;
use lacewing_client::{Body, Client, Version};
use lacewing_server::Server;
use tokio::net::TcpListener;

/// The output of an example. A hang is a failure.
async fn printed(run: impl AsyncFnOnce(&mut Vec<u8>) -> Result<(), Box<dyn Error>>) -> String {
    let mut output = Vec::new();
    let done = tokio::time::timeout(Duration::from_secs(60), run(&mut output)).await;
    done.expect("it hangs").unwrap();
    String::from_utf8(output).unwrap()
}

/// The address of the axum example.
async fn axum_site() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum_example::serve(listener));
    address
}

/// The protocol that a server sees in cleartext: SPDY/3 and SPDY/3.1 have the same first bytes.
fn shown(version: Version) -> &'static str {
    match version {
        Version::Spdy3 => Version::Spdy31.alpn(),
        other => other.alpn(),
    }
}

fn client(version: Version) -> Client {
    Client::builder().cleartext_protocol(version).build()
}

/// The body of a response to `/hello/you`.
async fn hello(client: &Client, address: SocketAddr) -> String {
    let url = format!("http://{address}/hello/you");
    let request = Request::get(url).body(Body::empty()).unwrap();
    let asked = tokio::time::timeout(Duration::from_secs(60), client.request(request));
    let body = asked.await.expect("it hangs").unwrap().into_body();
    let bytes = body.collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn an_axum_router_speaks_every_protocol() {
    let address = axum_site().await;
    for version in Version::ALL {
        let text = hello(&client(version), address).await;
        assert!(text.starts_with("hello you at 127.0.0.1:"), "{text}");
        let end = format!(", over {}\n", shown(version));
        assert!(text.ends_with(&end), "{text}");
    }
}

/// Each client speaks another protocol than the origin is asked in.
#[tokio::test]
async fn a_gateway_translates_protocols() {
    let origin = axum_site().await;
    for (front, back) in [
        (Version::Spdy31, Version::Http2),
        (Version::Http2, Version::Spdy31),
        (Version::Spdy2, Version::Spdy3),
        (Version::Spdy3, Version::Spdy2),
    ] {
        let server = Server::builder().bind(([127, 0, 0, 1], 0).into());
        let server = server.build().await.unwrap();
        let address = server.local_addrs().next().unwrap();
        let url = format!("http://{origin}/").parse().unwrap();
        tokio::spawn(gateway::serve(server, client(back), url));
        let text = hello(&client(front), address).await;
        let end = format!(", over {}\n", shown(back));
        assert!(text.ends_with(&end), "{front} {back}: {text}");
    }
}

#[tokio::test]
async fn grpc_has_answers_and_statuses() {
    let output = printed(async |output| grpc::run(output).await).await;
    assert_eq!(output, "hello\nInvalidArgument: say something\n");
}

#[tokio::test]
async fn events_come_one_by_one() {
    let output = printed(async |output| sse::run(output).await).await;
    assert_eq!(output, "tick 1\ntick 2\ntick 3\n");
}

#[tokio::test]
async fn an_upload_reports_its_progress() {
    let output = printed(async |output| upload::run(output).await).await;
    let (progress, end) = output.split_once("the server has ").unwrap();
    assert_eq!(end, "4194304 bytes\n");
    let progress: Vec<u32> = progress
        .lines()
        .map(|line| line.trim_end_matches(" %").parse().unwrap())
        .collect();
    assert!(progress.is_sorted() && !progress.is_empty(), "{progress:?}");
}

#[tokio::test]
async fn a_style_sheet_is_pushed_in_every_protocol() {
    let output = printed(async |output| push::run(output).await).await;
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), 4, "{output}");
    for line in lines {
        let end = ": a page of 37 bytes, and /style.css of 20 bytes";
        assert!(line.ends_with(end), "{line}");
    }
}

#[tokio::test]
async fn layers_follow_redirects_and_decompress() {
    let output = printed(async |output| layers::run(output).await).await;
    let first = "/new for layers/1.0, which accepts gzip\n";
    let length = first.len() + 5_000;
    let expected = format!("{length} bytes, still coded: false\n{first}");
    assert_eq!(output, expected);
}
