//! One TLS port for clients of SPDY and HTTP/1.1, and one for SPDY alone.

use lacewing_server::{Protocol, Version};
use tokio::io::AsyncReadExt;

use super::{connect, start};
use crate::fetch;

const SPDY: [Version; 3] = [Version::Spdy31, Version::Spdy3, Version::Spdy2];

/// The offer of clients of that time: their protocol, then HTTP/1.1. All are connected at once.
#[cfg(feature = "http1")]
#[tokio::test]
async fn clients_of_spdy_and_http_1_1_share_a_port() {
    use tokio::io::AsyncWriteExt;

    let offer = SPDY
        .map(Protocol::from)
        .into_iter()
        .chain([Protocol::Http1]);
    let (server, certificate) = start(&offer.collect::<Vec<_>>()).await;
    let mut spdy = Vec::new();
    for version in SPDY {
        let io = connect(&server, &certificate, &[version.alpn(), "http/1.1"]).await;
        let io = io.unwrap();
        let chosen = io.get_ref().1.alpn_protocol().unwrap().to_vec();
        assert_eq!(chosen, version.alpn().as_bytes());
        spdy.push((io, version));
    }
    // A browser without SPDY, and a client without ALPN.
    for alpn in [&["h2", "http/1.1"][..], &[]] {
        let mut io = connect(&server, &certificate, alpn).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        io.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        let _ = io.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.ends_with("\r\n\r\nhttps http/1.1"), "{answer}");
    }
    for (io, version) in spdy {
        assert_eq!(fetch(io, version).await, format!("https {version}"));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_server_may_speak_spdy_alone() {
    let (server, certificate) = start(&SPDY.map(Protocol::from)).await;
    for version in SPDY {
        let offer = ["h2", version.alpn(), "http/1.1"];
        let io = connect(&server, &certificate, &offer).await.unwrap();
        assert_eq!(fetch(io, version).await, format!("https {version}"));
    }
    for others in [&["h2", "http/1.1"][..], &["http/1.1"]] {
        if let Ok(mut io) = connect(&server, &certificate, others).await {
            let read = io.read_to_end(&mut Vec::new()).await;
            assert!(!matches!(read, Ok(1..)), "served with {others:?}");
        }
        server.told("NoApplicationProtocol").await;
    }
    server.stop().await;
}
