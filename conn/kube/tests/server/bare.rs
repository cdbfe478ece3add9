//! Requests on a bare transport.

use lacewing_kube::server::BareRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::*;

const REQUEST: &str = "POST /exec?stdout=true HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\n\
                       Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n";

fn offer() -> CommandOffer {
    CommandOffer::new(CommandStreams::from_query("stdout=true"))
}

#[tokio::test(start_paused = true)]
async fn a_session_without_an_http_server() {
    // Byte by byte, and all at once with the first frames.
    for pieces in [1, 1_000] {
        let (here, there) = tokio::io::duplex(64 << 10);
        let mut client = Peer::new(here, Version::Spdy31);
        let mut bytes = bytes::BytesMut::from(REQUEST);
        for (id, kind) in [(1, "error"), (3, "stdout")] {
            crate::peer::syn_stream(&mut client.encoder, &mut bytes, id, &[("streamtype", kind)]);
        }
        let serving = tokio::spawn(async move {
            let mut bare = BareRequest::read(there).await.unwrap();
            assert_eq!(bare.request().uri(), "/exec?stdout=true");
            let (response, pending) = offer().accept(bare.request_mut()).unwrap();
            let (io, early) = bare.switch(response).await.unwrap();
            pending.serve_on(io, early).await.unwrap()
        });
        for piece in bytes.chunks(pieces) {
            client.io.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(client.io.read_u8()).await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
        soon(client.expect_reply(1)).await;
        soon(client.expect_reply(3)).await;
        drop(soon(serving).await.unwrap());
    }
}

/// What is no upgrade gets its transport back, with every byte, and nothing was written.
#[tokio::test(start_paused = true)]
async fn another_request_is_untouched() {
    let (mut here, there) = tokio::io::duplex(64 << 10);
    let bytes = b"GET /healthz HTTP/1.1\r\nHost: node\r\n\r\nbehind";
    here.write_all(bytes).await.unwrap();
    let mut bare = soon(BareRequest::read(there)).await.unwrap();
    assert!(offer().accept(bare.request_mut()).is_err());
    let (io, read) = bare.into_parts();
    assert_eq!(&read[..], bytes);
    drop(io);
    let mut answer = Vec::new();
    soon(here.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_a_whole_response() {
    let (mut here, there) = tokio::io::duplex(64 << 10);
    here.write_all(b"POST /exec HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let mut bare = soon(BareRequest::read(there)).await.unwrap();
    let rejection = offer().accept(bare.request_mut()).unwrap_err();
    soon(bare.refuse(rejection)).await.unwrap();
    let mut answer = String::new();
    soon(here.read_to_string(&mut answer)).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{answer}"
    );
    assert!(answer.contains("content-length: 57\r\n"), "{answer}");
    let text = "\r\n\r\nunable to upgrade: X-Stream-Protocol-Version is required\n";
    assert!(answer.ends_with(text), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn heads_have_a_bound_and_a_time() {
    let (mut here, there) = tokio::io::duplex(64 << 10);
    let sending = tokio::spawn(async move {
        let _ = here.write_all(b"GET / HTTP/1.1\r\n").await;
        while here.write_all(b"name: value\r\n").await.is_ok() {}
    });
    assert!(soon(BareRequest::read(there)).await.is_err());
    soon(sending).await.unwrap();
    let (mut here, there) = tokio::io::duplex(64 << 10);
    here.write_all(b"GET / HTTP").await.unwrap();
    let late = timeout(Duration::from_secs(31), BareRequest::read(there))
        .await
        .unwrap();
    assert_eq!(late.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    let (mut here, there) = tokio::io::duplex(64 << 10);
    here.write_all(b"\x80\x03\x00\x01\r\n\r\n").await.unwrap();
    let other = soon(BareRequest::read(there)).await.unwrap_err();
    assert_eq!(other.kind(), std::io::ErrorKind::InvalidData);
}
