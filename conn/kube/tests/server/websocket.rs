//! Commands over WebSocket channels, and port-forward's SPDY inside of messages.

use futures_util::{SinkExt, StreamExt};
use lacewing_kube::{CommandOutcome, TerminalSize, server::ForwardOffer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message as WsMessage,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

use crate::*;

pub(crate) type Socket = WebSocketStream<DuplexStream>;

pub(crate) fn ws_request(protocol: &str) -> Request<()> {
    let request = Request::get("/exec")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    match protocol {
        "" => request.body(()).unwrap(),
        name => request
            .header("sec-websocket-protocol", name)
            .body(())
            .unwrap(),
    }
}

async fn session(query: &str, protocol: &str) -> (ExecSession, Socket) {
    let offer = CommandOffer::new(CommandStreams::from_query(query));
    session_of(&offer, protocol).await
}

async fn session_of(offer: &CommandOffer, protocol: &str) -> (ExecSession, Socket) {
    let (here, there) = tokio::io::duplex(64 << 10);
    let (_, pending) = offer.accept(&mut ws_request(protocol)).unwrap();
    let session = soon(pending.serve_on(there, Bytes::new())).await.unwrap();
    let socket = WebSocketStream::from_raw_socket(here, Role::Client, None).await;
    (session, socket)
}

pub(crate) async fn next(socket: &mut Socket) -> WsMessage {
    soon(socket.next()).await.unwrap().unwrap()
}

pub(crate) async fn send(socket: &mut Socket, channel: u8, data: &[u8]) {
    let message = [&[channel], data].concat();
    socket.send(WsMessage::binary(message)).await.unwrap();
}

/// All messages to the Close, as channel and data, and its code.
pub(crate) async fn to_the_close(socket: &mut Socket) -> (Vec<(u8, Vec<u8>)>, CloseCode) {
    let mut messages: Vec<(u8, Vec<u8>)> = Vec::new();
    loop {
        match next(socket).await {
            WsMessage::Close(frame) => return (messages, frame.unwrap().code),
            WsMessage::Ping(_) | WsMessage::Pong(_) => {}
            other => {
                let data = other.into_data();
                match messages.last_mut() {
                    Some((channel, all)) if *channel == data[0] => all.extend(&data[1..]),
                    _ => messages.push((data[0], data[1..].to_vec())),
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_status_is_the_last_data_and_close_follows() {
    let before = tasks();
    let query = "stdin=true&stdout=true&stderr=true";
    let (mut session, mut socket) = session(query, "v5.channel.k8s.io").await;
    // As Go's servers do.
    assert_eq!(next(&mut socket).await, WsMessage::binary(vec![1]));
    send(&mut socket, 0, b"through ").await;
    send(&mut socket, 0, b"stdin").await;
    send(&mut socket, 255, &[0]).await;
    let mut stdin = session.stdin.take().unwrap();
    let mut input = String::new();
    soon(stdin.read_to_string(&mut input)).await.unwrap();
    assert_eq!(input, "through stdin");
    // Output goes on after the end of stdin.
    soon(session.stdout.as_mut().unwrap().write_all(&[7; 100_000]))
        .await
        .unwrap();
    soon(session.stderr.as_mut().unwrap().write_all(b"err"))
        .await
        .unwrap();
    let finished = tokio::spawn(session.finish(CommandOutcome::Success));
    let (messages, code) = to_the_close(&mut socket).await;
    assert_eq!(code, CloseCode::Normal);
    let status = br#"{"metadata":{},"status":"Success"}"#.to_vec();
    assert!(messages == [(1, vec![7; 100_000]), (2, b"err".to_vec()), (3, status)]);
    drop(socket);
    soon(finished).await.unwrap().unwrap();
    tasks_end(before).await;
}

#[tokio::test(start_paused = true)]
async fn every_protocol_has_its_form() {
    let text = b"command terminated with non-zero exit code: 7".to_vec();
    for (protocol, is_base64, is_json) in [
        ("", false, false),
        ("channel.k8s.io", false, false),
        ("base64.channel.k8s.io", true, false),
        ("v4.channel.k8s.io", false, true),
        ("v4.base64.channel.k8s.io", true, true),
        ("v5.channel.k8s.io", false, true),
    ] {
        let (mut session, mut socket) = session("stdin=true&stdout=true", protocol).await;
        let (first, sent) = match is_base64 {
            true => (WsMessage::text("1"), WsMessage::text("0aGVsbG8=")),
            false => (
                WsMessage::binary(vec![1]),
                WsMessage::binary(b"\0hello".to_vec()),
            ),
        };
        assert_eq!(next(&mut socket).await, first, "{protocol}");
        socket.send(sent).await.unwrap();
        let mut input = [0; 5];
        soon(session.stdin.as_mut().unwrap().read_exact(&mut input))
            .await
            .unwrap();
        assert_eq!(&input, b"hello", "{protocol}");
        soon(session.stdout.as_mut().unwrap().write_all(b"hi"))
            .await
            .unwrap();
        let finished = tokio::spawn(session.finish(CommandOutcome::Exited(7)));
        let (messages, code) = to_the_close(&mut socket).await;
        assert_eq!((messages.len(), code), (2, CloseCode::Normal));
        match is_base64 {
            true => assert_eq!(messages[0], (b'1', b"aGk=".to_vec())),
            false => assert_eq!(messages[0], (1, b"hi".to_vec())),
        }
        if !is_base64 {
            let (channel, status) = &messages[1];
            assert_eq!(
                (*channel, status.starts_with(b"{")),
                (3, is_json),
                "{protocol}"
            );
            assert!(is_json || *status == text);
        }
        drop(socket);
        soon(finished).await.unwrap().unwrap();
    }
}

/// kubectl 1.30 to 1.32 discards messages that arrive before it has made its streams. A
/// client that has sent a message has made them.
#[tokio::test(start_paused = true)]
async fn a_fast_command_waits_for_the_clients_streams() {
    for (protocol, speaks, waits) in [
        ("v5.channel.k8s.io", false, true),
        ("v5.channel.k8s.io", true, false),
        ("v4.channel.k8s.io", false, false),
    ] {
        let start = tokio::time::Instant::now();
        let (session, mut socket) = session("stdin=true&stdout=true", protocol).await;
        if speaks {
            send(&mut socket, 0, b"x").await;
        }
        let finished = tokio::spawn(session.finish(CommandOutcome::Success));
        let (messages, _) = to_the_close(&mut socket).await;
        assert_eq!(messages.last().unwrap().0, 3);
        assert_eq!(
            start.elapsed() >= Duration::from_millis(100),
            waits,
            "{protocol}"
        );
        drop(socket);
        soon(finished).await.unwrap().unwrap();
    }
}

/// Without stdout, the first message goes to the next output.
#[tokio::test(start_paused = true)]
async fn the_first_message_is_on_the_lowest_output() {
    for (query, channel) in [
        ("stderr=true", 2),
        ("stdin=true", 3),
        ("stdout=true&stderr=true", 1),
    ] {
        let (_session, mut socket) = session(query, "v5.channel.k8s.io").await;
        assert_eq!(next(&mut socket).await, WsMessage::binary(vec![channel]));
    }
}

/// Messages without meaning change nothing.
#[tokio::test(start_paused = true)]
async fn strange_messages_are_skipped() {
    let (mut session, mut socket) =
        session("stdin=true&stdout=true&tty=true", "v5.channel.k8s.io").await;
    for message in [
        &[][..],
        &[0],
        &[255],
        &[255, 9],
        &[255, 0, 0],
        &[9, 1, 2],
        &[1, 1, 2],
        &[3, 1],
        b"\x04garbage",
        b"\x04{\"Width\":80,",
    ] {
        socket
            .send(WsMessage::binary(message.to_vec()))
            .await
            .unwrap();
    }
    socket.send(WsMessage::text("\0as text ")).await.unwrap();
    send(&mut socket, 4, b"\"Height\":24}").await;
    send(&mut socket, 0, b"data").await;
    send(&mut socket, 255, &[0]).await;
    send(&mut socket, 255, &[0]).await;
    send(&mut socket, 0, b"after the end").await;
    let mut input = Vec::new();
    soon(session.stdin.as_mut().unwrap().read_to_end(&mut input))
        .await
        .unwrap();
    assert_eq!(input, b"as text data");
    let size = soon(session.sizes.as_mut().unwrap().next()).await;
    assert_eq!(
        size,
        Some(TerminalSize {
            width: 80,
            height: 24
        })
    );
    assert!(!session.cancellation().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn violations_close_with_their_code() {
    let before = tasks();
    let query = CommandStreams::from_query("stdin=true&stdout=true");
    let offer = CommandOffer::new(query).with(|offer| offer.limits.max_message = 1 << 20);
    for (protocol, message, expected) in [
        (
            "v5.channel.k8s.io",
            WsMessage::binary(vec![0; (1 << 20) + 1]),
            CloseCode::Size,
        ),
        (
            "base64.channel.k8s.io",
            WsMessage::text("0no base64!"),
            CloseCode::Invalid,
        ),
    ] {
        let (mut session, mut socket) = session_of(&offer, protocol).await;
        let mut stdin = session.stdin.take().unwrap();
        let sent = tokio::spawn(async move {
            let _ = socket.send(message).await;
            to_the_close(&mut socket).await.1
        });
        assert!(soon(stdin.read_u8()).await.is_err(), "{protocol}");
        assert_eq!(soon(sent).await.unwrap(), expected);
        soon(session.cancellation().cancelled()).await;
        let finished = soon(session.finish(CommandOutcome::Success)).await;
        assert!(matches!(finished, Err(KubeError::Closed)), "{finished:?}");
    }
    tasks_end(before).await;
}

/// Close with 1000 is the end of stdin; any other end is a loss.
#[tokio::test(start_paused = true)]
async fn a_lost_websocket_is_not_the_end_of_stdin() {
    for (close, is_end) in [
        (Some(CloseCode::Normal), true),
        (Some(CloseCode::Away), false),
        (None, false),
    ] {
        let before = tasks();
        let (mut session, mut socket) =
            session("stdin=true&stdout=true", "v4.channel.k8s.io").await;
        send(&mut socket, 0, b"a part").await;
        let mut stdin = session.stdin.take().unwrap();
        let mut part = [0; 6];
        soon(stdin.read_exact(&mut part)).await.unwrap();
        if let Some(code) = close {
            let reason = "".into();
            let close = CloseFrame { code, reason };
            socket.close(Some(close)).await.unwrap();
        }
        drop(socket);
        let read = soon(stdin.read_to_end(&mut Vec::new())).await;
        assert_eq!((&part, read.is_ok()), (b"a part", is_end), "{close:?}");
        soon(session.cancellation().cancelled()).await;
        drop(session);
        tasks_end(before).await;
    }
}

/// While stdin has no reader, PINGs wait behind its data. PONGs keep the client's timer
/// alive, and a client that is killed is noticed.
#[tokio::test(start_paused = true)]
async fn a_client_lives_while_its_stdin_is_not_read() {
    let (mut session, mut socket) = session("stdin=true&stdout=true", "v5.channel.k8s.io").await;
    // Answered at once, as long as there is room.
    socket
        .send(WsMessage::Ping(Bytes::from_static(b"1")))
        .await
        .unwrap();
    assert_eq!(
        next(&mut socket).await,
        WsMessage::Pong(Bytes::from_static(b"1"))
    );
    assert_eq!(next(&mut socket).await, WsMessage::binary(vec![1]));
    let mut sent: usize = 0;
    loop {
        let message = WsMessage::binary(vec![0; 32 << 10]);
        let sending = timeout(Duration::from_secs(10), socket.feed(message));
        if sending.await.is_err() {
            break;
        }
        sent += 1;
        assert!(sent < 1_000, "memory without a bound");
        if timeout(Duration::from_secs(10), socket.flush())
            .await
            .is_err()
        {
            break;
        }
    }
    for _ in 0..3 {
        let pong = timeout(Duration::from_secs(5), socket.next())
            .await
            .unwrap();
        assert_eq!(pong.unwrap().unwrap(), WsMessage::Pong(Bytes::new()));
    }
    // Output is not held up.
    soon(session.stdout.as_mut().unwrap().write_all(b"out"))
        .await
        .unwrap();
    while next(&mut socket).await != WsMessage::binary(b"\x01out".to_vec()) {}
    let cancellation = session.cancellation();
    drop(socket);
    timeout(Duration::from_secs(1), cancellation.cancelled())
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_slows_the_command_down() {
    let before = tasks();
    let (mut session, mut socket) = session("stdout=true", "v5.channel.k8s.io").await;
    let mut stdout = session.stdout.take().unwrap();
    let writing = tokio::spawn(async move {
        for _ in 0..100 {
            stdout.write_all(&[1; 100_000]).await.unwrap();
        }
        stdout.flush().await.unwrap();
        session.finish(CommandOutcome::Success).await
    });
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(!writing.is_finished());
    let (messages, code) = to_the_close(&mut socket).await;
    assert_eq!((messages[0].1.len(), code), (10_000_000, CloseCode::Normal));
    assert_eq!(messages.len(), 2);
    drop(socket);
    soon(writing).await.unwrap().unwrap();
    tasks_end(before).await;
}

/// The server's PINGs find a client that is gone without a word.
#[tokio::test(start_paused = true)]
async fn a_silent_client_is_lost_where_pings_are_sent() {
    let query = CommandStreams::from_query("stdout=true");
    let offer = CommandOffer::new(query).with(|offer| {
        offer.limits.ping_interval = Some(Duration::from_secs(5));
    });
    let (session, mut socket) = session_of(&offer, "v5.channel.k8s.io").await;
    // It answers for two minutes: reading is enough.
    let living = async { while socket.next().await.is_some() {} };
    assert!(timeout(Duration::from_secs(120), living).await.is_err());
    assert!(!session.cancellation().is_cancelled());
    timeout(Duration::from_secs(62), session.cancellation().cancelled())
        .await
        .unwrap();
    drop((session, socket));
}

/// Frames of SPDY and messages of WebSocket are not aligned.
#[tokio::test(start_paused = true)]
async fn port_forward_inside_of_messages() {
    for cut in [1, 3, 7, 1_000] {
        let (here, there) = tokio::io::duplex(64 << 10);
        let mut request = ws_request("SPDY/3.1+portforward.k8s.io");
        let (_, pending) = ForwardOffer::new().accept(&mut request).unwrap();
        let mut session = pending.serve_on(there, Bytes::new()).await;
        let socket = WebSocketStream::from_raw_socket(here, Role::Client, None).await;
        // The peer encodes into a pipe, whose bytes are cut into messages.
        let (pipe, mut bytes) = tokio::io::duplex(1 << 20);
        let mut client = Peer::new(pipe, Version::Spdy31);
        let (mut sink, mut stream) = socket.split();
        let carrying = tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(&mut bytes);
            let mut buffer = vec![0; cut];
            let up = async {
                while let Ok(read @ 1..) = reader.read(&mut buffer).await {
                    sink.send(WsMessage::binary(buffer[..read].to_vec()))
                        .await
                        .unwrap();
                }
                let reason = "".into();
                let close = CloseFrame {
                    code: CloseCode::Normal,
                    reason,
                };
                let _ = sink.send(WsMessage::Close(Some(close))).await;
            };
            let down = async {
                while let Some(Ok(message)) = stream.next().await {
                    if message.is_binary() {
                        // The client may be gone.
                        let _ = writer.write_all(&message.into_data()).await;
                    }
                }
            };
            tokio::join!(up, down);
        });
        for (id, kind) in [(1, "error"), (3, "data")] {
            client
                .open(
                    id,
                    &[("streamtype", kind), ("port", "80"), ("requestid", "0")],
                )
                .await;
            soon(client.expect_reply(id)).await;
        }
        client.data(3, &[5; 5_000], true).await;
        let forward = soon(session.accept()).await.unwrap();
        assert_eq!(forward.port(), 80);
        let mut io = forward.into_io();
        let mut received = Vec::new();
        soon(io.read_to_end(&mut received)).await.unwrap();
        assert!(received == [5; 5_000]);
        soon(io.write_all(&[6; 70_000])).await.unwrap();
        soon(io.shutdown()).await.unwrap();
        assert_eq!(soon(client.expect_data(3)).await, [6; 70_000]);
        drop((io, client));
        assert!(soon(session.accept()).await.is_none());
        soon(carrying).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_in_the_tunnel_ends_the_session() {
    let before = tasks();
    let (here, there) = tokio::io::duplex(64 << 10);
    let mut request = ws_request("SPDY/3.1+portforward.k8s.io");
    let (_, pending) = ForwardOffer::new().accept(&mut request).unwrap();
    let mut session = pending.serve_on(there, Bytes::new()).await;
    let mut socket = WebSocketStream::from_raw_socket(here, Role::Client, None).await;
    socket.send(WsMessage::text("hello")).await.unwrap();
    assert!(soon(session.accept()).await.is_none());
    soon(session.cancellation().cancelled()).await;
    drop((session, socket));
    tasks_end(before).await;
}
