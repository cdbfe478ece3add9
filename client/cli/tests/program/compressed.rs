//! `get --compressed`.

use std::{convert::Infallible, net::SocketAddr};

use async_compression::{
    Level,
    tokio::write::{BrotliEncoder, GzipEncoder, ZstdEncoder},
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use lacewing_client::Version;
use lacewing_server::{RequestBody, Server, service_fn};
use tokio::io::AsyncWriteExt as _;

use super::{
    lacewing::{ended, run},
    servers,
};
use crate::support::{any_port, pattern};

/// Encodes bytes in this coding.
async fn encode(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    match coding {
        "gzip" => {
            let mut encoder = GzipEncoder::new(&mut encoded);
            encoder.write_all(bytes).await.unwrap();
            encoder.shutdown().await.unwrap();
        }
        "br" => {
            let mut encoder = BrotliEncoder::with_quality(&mut encoded, Level::Fastest);
            encoder.write_all(bytes).await.unwrap();
            encoder.shutdown().await.unwrap();
        }
        "zstd" => {
            let mut encoder = ZstdEncoder::new(&mut encoded);
            encoder.write_all(bytes).await.unwrap();
            encoder.shutdown().await.unwrap();
        }
        _ => encoded.extend_from_slice(bytes),
    }
    encoded
}

/// Answers `/CODING,CODING?cut` with a body in these codings; with `cut`, without its last bytes.
async fn answer(request: Request<RequestBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    let accepted = request.headers().get("accept-encoding");
    let accepted = accepted.map_or("none", |value| value.to_str().unwrap());
    let codings = request.uri().path().trim_start_matches('/').to_owned();
    let mut body = pattern(300_000);
    for coding in codings.split(',') {
        body = encode(coding, &body).await;
    }
    if request.uri().query() == Some("cut") {
        body.truncate(body.len() - 10);
    }
    if request.method() == http::Method::HEAD {
        body.clear();
    }
    let response = Response::builder()
        .header("content-encoding", codings)
        .header("x-accepted", accepted)
        .body(Full::from(body));
    Ok(response.unwrap())
}

fn server() -> SocketAddr {
    let server = Server::builder().bind(any_port());
    servers::serve(server, service_fn(answer)).unwrap()
}

#[test]
fn a_body_is_written_without_its_codings() {
    let address = server();
    for version in Version::ALL {
        for codings in ["gzip", "br", "zstd", "gzip,zstd,br", "identity"] {
            let url = format!("http://{address}/{codings}");
            let args = ["get", "--compressed", "-p", version.alpn(), &url];
            let output = run(&args);
            let (code, _, said) = ended(&output);
            assert_eq!(code, Some(0), "{codings}: {said}");
            assert_eq!(output.stdout, pattern(300_000), "{codings}");
        }
    }
    // The head is not a part of it, and names the coding.
    let url = format!("http://{address}/gzip");
    let args = [
        "--compressed",
        "-i",
        "-w",
        "%header{x-accepted} %{size_download}",
    ];
    let output = run(&[&["get", &url], &args[..]].concat());
    assert!(output.stdout.starts_with(b"HTTP/2 200"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("content-encoding: gzip\r\n"), "{text:.200}");
    let (before, size) = text.rsplit_once(' ').unwrap();
    assert!(before.ends_with("gzip, br, zstd"));
    // Of what was transferred.
    assert!(size.parse::<usize>().unwrap() < 300_000, "{size}");
    let (code, _, said) = ended(&run(&["get", "--compressed", "-I", &url]));
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn without_the_option_nothing_is_asked_and_nothing_decoded() {
    let url = format!("http://{}/gzip", server());
    let output = run(&["get", "-w", "%{stderr}%header{x-accepted}", &url]);
    assert!(output.stdout.starts_with(b"\x1f\x8b"));
    assert_eq!(output.stderr, b"none");
}

#[test]
fn a_body_that_cannot_be_decoded_is_code_61() {
    let address = server();
    for (path, text) in [
        ("gzip?cut", "ends too early"),
        ("br?cut", "ends too early"),
        ("zstd?cut", "ends too early"),
        // Codings that the body does not have.
        ("compress", "\"compress\" is none of gzip, br, zstd"),
        ("x-gzip", "cannot be decoded"),
    ] {
        let url = format!("http://{address}/{path}");
        let (code, _, said) = ended(&run(&["get", "--compressed", "-o", "/dev/null", &url]));
        assert_eq!(code, Some(61), "{path}: {said}");
        assert!(said.contains(text), "{path}: {said}");
    }
}
