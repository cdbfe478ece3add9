//! The example, with frames of RFC 6455 that the test writes.

#[path = "../../examples/websocket_server.rs"]
#[allow(dead_code)]
mod example;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use lacewing_conn::proto::{ConnectProtocol, Control, Head, StreamKey};
use lacewing_server::{ExtendedConnect, ServerOptions, Version};

use crate::peer::Peer;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;

/// A short frame of a client, which is masked.
fn frame(opcode: u8, payload: &[u8]) -> Bytes {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![0x80 | opcode, 0x80 | u8::try_from(payload.len()).unwrap()];
    frame.extend_from_slice(&mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame.into()
}

fn open(peer: &mut Peer) -> StreamKey {
    let uri = "http://example.org/echo".parse().unwrap();
    let mut head = Head::request(Method::CONNECT, uri);
    if let Control::Request { protocol, .. } = &mut head.control {
        *protocol = Some(ConnectProtocol::from_static("websocket"));
    }
    let version = HeaderValue::from_static("13");
    head.fields.insert("sec-websocket-version", version);
    peer.open_with(head)
}

#[tokio::test]
async fn a_websocket_echoes_over_a_stream() {
    let options = ServerOptions::default().extended_connect(ExtendedConnect::Offer);
    let mut peer = Peer::connect(Version::Http2, options, example::router());
    peer.until(|peer| peer.engine.peer_allows_extended_connect())
        .await;
    let streams = [open(&mut peer), open(&mut peer)];
    for key in streams {
        peer.stream(key)
            .send_data(frame(TEXT, b"hello"), false)
            .unwrap();
        peer.until(|peer| peer.received(key).body.len() >= 7).await;
        assert_eq!(peer.received(key).status, Some(StatusCode::OK));
        assert_eq!(&peer.received(key).body[..], b"\x81\x05hello");
    }
    // Other requests continue in parallel.
    assert_eq!(peer.get("/").await.status, Some(StatusCode::OK));
    for key in streams {
        let close = frame(CLOSE, &1000_u16.to_be_bytes());
        peer.stream(key).send_data(close, true).unwrap();
        let answer = peer.answer(key).await;
        assert_eq!(&answer.body[7..9], [0x88, 2]);
        assert!(answer.fin && answer.reset.is_none(), "{answer:?}");
    }
}
