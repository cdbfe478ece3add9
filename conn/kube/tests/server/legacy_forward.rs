//! Port-forward over WebSocket channels, as kube-rs speaks it: two channels for each port.

use futures_util::{SinkExt, StreamExt};
use lacewing_kube::server::{ForwardOffer, PortForwardSession};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message as WsMessage,
        protocol::{Role, frame::coding::CloseCode},
    },
};

use crate::{
    websocket::{Socket, next, send, to_the_close, ws_request},
    *,
};

async fn session(query: &str, protocol: &str) -> (PortForwardSession, Socket) {
    let (here, there) = tokio::io::duplex(64 << 10);
    let mut request = ws_request(protocol);
    *request.uri_mut() = format!("/portforward?{query}").parse().unwrap();
    let (response, pending) = ForwardOffer::new().accept(&mut request).unwrap();
    let chosen = response.headers().get("sec-websocket-protocol");
    assert_eq!(chosen.map_or("", |name| name.to_str().unwrap()), protocol);
    let session = pending.serve_on(there, Bytes::new()).await;
    let socket = WebSocketStream::from_raw_socket(here, Role::Client, None).await;
    (session, socket)
}

/// A session whose first messages have been read.
async fn two_ports() -> (PortForwardSession, Socket) {
    let (session, mut socket) = session("ports=80,443", "v4.channel.k8s.io").await;
    for first in [[0, 80, 0], [1, 80, 0], [2, 187, 1], [3, 187, 1]] {
        assert_eq!(next(&mut socket).await, WsMessage::binary(first.to_vec()));
    }
    (session, socket)
}

#[tokio::test(start_paused = true)]
async fn each_port_has_two_channels_that_begin_with_its_number() {
    let before = tasks();
    let (mut session, mut socket) = two_ports().await;
    let mut ports = Vec::new();
    for _ in 0..2 {
        ports.push(soon(session.accept()).await.unwrap());
    }
    let [first, second] = <[_; 2]>::try_from(ports).unwrap();
    assert_eq!((first.port(), second.port()), (80, 443));
    let (mut first, mut second) = (first.into_io(), second.into_io());
    send(&mut socket, 2, b"to 443").await;
    send(&mut socket, 0, b"to 80").await;
    // Clients send nothing on a channel of errors.
    send(&mut socket, 1, b"strange").await;
    let mut bytes = [0; 5];
    soon(first.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(&bytes, b"to 80");
    let mut bytes = [0; 6];
    soon(second.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(&bytes, b"to 443");
    soon(second.write_all(b"from 443")).await.unwrap();
    let expected = WsMessage::binary([&[2], &b"from 443"[..]].concat());
    assert_eq!(next(&mut socket).await, expected);
    // One that ends leaves the other, and the last one ends the WebSocket.
    drop(second);
    soon(first.write_all(b"from 80")).await.unwrap();
    drop(first);
    let (messages, code) = to_the_close(&mut socket).await;
    assert_eq!(messages, [(0, b"from 80".to_vec())]);
    assert_eq!(code, CloseCode::Normal);
    drop(socket);
    assert!(soon(session.accept()).await.is_none());
    drop(session);
    tasks_end(before).await;
}

/// The protocol has no end of one direction: the pod's end is that of the connection.
#[tokio::test(start_paused = true)]
async fn the_end_of_the_pod_ends_the_connection() {
    let (mut session, mut socket) = session("port=80", "").await;
    let forward = soon(session.accept()).await.unwrap();
    let (mut pod, mut near) = tokio::io::duplex(64);
    let copying = tokio::spawn(async move {
        let mut client = forward.into_io();
        tokio::io::copy_bidirectional(&mut client, &mut near).await
    });
    send(&mut socket, 0, b"request").await;
    let mut request = [0; 7];
    soon(pod.read_exact(&mut request)).await.unwrap();
    pod.write_all(b"answer").await.unwrap();
    drop(pod);
    let (messages, code) = to_the_close(&mut socket).await;
    let expected = [(0, b"P\0answer".to_vec()), (1, b"P\0".to_vec())];
    for (channel, data) in expected {
        let of_channel = messages.iter().filter(|(number, _)| *number == channel);
        let all = of_channel.flat_map(|(_, data)| data.clone());
        assert_eq!(all.collect::<Vec<u8>>(), data);
    }
    assert_eq!(code, CloseCode::Normal);
    soon(copying).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_on_the_channel_of_errors() {
    let (mut session, mut socket) = two_ports().await;
    let _first = soon(session.accept()).await.unwrap();
    let second = soon(session.accept()).await.unwrap();
    soon(second.fail("refused")).await;
    let expected = WsMessage::binary([&[3], &b"refused"[..]].concat());
    assert_eq!(next(&mut socket).await, expected);
}

#[tokio::test(start_paused = true)]
async fn messages_may_be_base64() {
    let (mut session, mut socket) = session("port=80", "v4.base64.channel.k8s.io").await;
    for first in ["0UAA=", "1UAA="] {
        assert_eq!(next(&mut socket).await, WsMessage::text(first));
    }
    let mut io = soon(session.accept()).await.unwrap().into_io();
    socket.send(WsMessage::text("0aGk=")).await.unwrap();
    let mut bytes = [0; 2];
    soon(io.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(&bytes, b"hi");
}

/// A client that is gone, and a server that shuts down: nothing is left.
#[tokio::test(start_paused = true)]
async fn both_sides_can_end_it() {
    let before = tasks();
    let (mut session, socket) = two_ports().await;
    let mut io = soon(session.accept()).await.unwrap().into_io();
    drop(socket);
    soon(session.cancellation().cancelled()).await;
    assert!(soon(io.read(&mut [0])).await.is_err());
    let _second = soon(session.accept()).await.unwrap();
    assert!(soon(session.accept()).await.is_none());
    drop((session, io));

    let (mut session, mut socket) = two_ports().await;
    let _first = soon(session.accept()).await.unwrap();
    let client = async {
        assert_eq!(to_the_close(&mut socket).await.1, CloseCode::Normal);
        while socket.next().await.is_some() {}
    };
    tokio::join!(soon(session.shutdown()), client);
    tasks_end(before).await;
}
