//! Servers that are written by hand, frame by frame and message by message.

use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use lacewing_conn::Version;
use lacewing_frames::spdy::{ErrorCode, Message};
use lacewing_kube::{
    CommandOutcome, KubeError, RemoteCommandProtocol, StatusError,
    client::{CommandSession, ConnectError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message as WsMessage,
        handshake::server::{ErrorResponse, Request, Response},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use crate::{peer::Peer, *};

const ALL: &str = "stdin=true&stdout=true&stderr=true";
const SUCCESS: &[u8] = br#"{"metadata":{},"status":"Success"}"#;
const EXIT_7: &[u8] = br#"{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}"#;

type Starting = JoinHandle<Result<CommandSession, ConnectError>>;

/// A client that connects, and the server behind its 101 response.
async fn spdy(query: &str, protocol: &str) -> (Starting, Peer<DuplexStream>) {
    let (client, mut server) = duplex(64 << 10);
    let ask = request(StreamingProtocol::Spdy, query);
    let starting = tokio::spawn(async move { ask.connect_on(client).await });
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(server.read_u8()).await.unwrap());
    }
    let mut answer = String::from(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n",
    );
    if !protocol.is_empty() {
        answer += &format!("X-Stream-Protocol-Version: {protocol}\r\n");
    }
    let mut peer = Peer::new(server, Version::Spdy31);
    // A PING in the same segment is not lost.
    let mut bytes = BytesMut::from(format!("{answer}\r\n").as_bytes());
    peer.encoder.ping(&mut bytes, 2);
    peer.io.write_all(&bytes).await.unwrap();
    (starting, peer)
}

/// Answers streams of these kinds, and expects no other order.
async fn answer(peer: &mut Peer<DuplexStream>, kinds: &[&str]) {
    for (place, kind) in kinds.iter().enumerate() {
        let id = place as u32 * 2 + 1;
        let fields = loop {
            match soon(peer.next()).await.unwrap() {
                Message::Ping(_) => {}
                Message::SynStream {
                    stream_id, block, ..
                } => {
                    assert_eq!(stream_id, id);
                    break block.list.unwrap();
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(fields, [("streamtype".into(), (*kind).to_owned().into())]);
        // The next one waits for the answer.
        match timeout(Duration::from_secs(2), peer.next()).await {
            Err(_) | Ok(Some(Message::Ping(_))) => {}
            other => panic!("{other:?}"),
        }
        peer.reply(id, &[]).await;
    }
}

async fn spdy_session(
    query: &str,
    protocol: &str,
    kinds: &[&str],
) -> (CommandSession, Peer<DuplexStream>) {
    let (starting, mut peer) = spdy(query, protocol).await;
    answer(&mut peer, kinds).await;
    (soon(starting).await.unwrap().unwrap(), peer)
}

async fn reset(peer: &mut Peer<DuplexStream>, id: u32, code: ErrorCode) {
    peer.send(|encoder, bytes| encoder.rst_stream(bytes, id, code))
        .await;
}

/// Reads and discards, so that the client is not held up. It ends with the client.
fn discard(mut peer: Peer<DuplexStream>) {
    tokio::spawn(async move { while peer.any().await.is_some() {} });
}

#[tokio::test(start_paused = true)]
async fn streams_open_in_kubectls_order_one_by_one() {
    let tty = "stdin=true&stdout=true&tty=true";
    for (query, protocol, kinds) in [
        (
            ALL,
            "v4.channel.k8s.io",
            &["error", "stdin", "stdout", "stderr"][..],
        ),
        (
            tty,
            "v5.channel.k8s.io",
            &["error", "stdin", "stdout", "resize"],
        ),
        (
            tty,
            "v3.channel.k8s.io",
            &["error", "stdin", "stdout", "resize"],
        ),
        // No version before has sizes.
        (tty, "v2.channel.k8s.io", &["error", "stdin", "stdout"]),
        (tty, "channel.k8s.io", &["error", "stdin", "stdout"]),
        (tty, "", &["error", "stdin", "stdout"]),
    ] {
        let (session, _peer) = spdy_session(query, protocol, kinds).await;
        let expected = RemoteCommandProtocol::from_name(protocol);
        assert_eq!(
            session.protocol(),
            expected.unwrap_or(RemoteCommandProtocol::V1)
        );
    }
}

/// A kubelet that has closed its socket resets the connection for each frame that still arrives, and
/// its last output may be lost with it: the end of stdin is one frame, as Go's clients send it.
#[tokio::test(start_paused = true)]
async fn only_the_end_follows_stdin_until_the_session_is_over() {
    let kinds = ["error", "stdin", "stdout", "stderr"];
    let (mut session, mut peer) = spdy_session(ALL, "v4.channel.k8s.io", &kinds).await;
    let mut stdin = session.stdin.take().unwrap();
    stdin.write_all(b"input").await.unwrap();
    stdin.shutdown().await.unwrap();
    // Once more, and nothing else is possible.
    stdin.shutdown().await.unwrap();
    stdin.flush().await.unwrap();
    let error = stdin.write_all(b"more").await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    drop(stdin);
    let mut input = Vec::new();
    loop {
        match timeout(Duration::from_secs(20), peer.next()).await {
            Ok(Some(Message::Data {
                stream_id: 3,
                payload,
                fin,
                ..
            })) => {
                input.extend_from_slice(&payload);
                if fin {
                    break;
                }
            }
            Ok(Some(Message::Ping(_) | Message::WindowUpdate { .. })) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(input, b"input");
    let more = timeout(Duration::from_secs(3), async {
        loop {
            match peer.next().await {
                Some(Message::Ping(_)) => {}
                other => break other,
            }
        }
    });
    assert!(more.await.is_err(), "a frame behind the end of stdin");
    peer.data(1, SUCCESS, true).await;
    assert_eq!(
        soon(session.outcome()).await.unwrap(),
        CommandOutcome::Success
    );
    drop(session);
    discard(peer);
}

#[tokio::test(start_paused = true)]
async fn a_protocol_that_was_not_offered_is_refused() {
    let before = tasks();
    let (starting, peer) = spdy(ALL, "v6.channel.k8s.io").await;
    let error = soon(starting).await.unwrap().unwrap_err();
    assert!(
        matches!(&error, ConnectError::WrongProtocol(Some(name)) if name == "v6.channel.k8s.io"),
        "{error:?}"
    );
    drop(peer);
    tasks_end(before).await;
}

/// An end of a stream of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Fin,
    Cancel,
    Failure,
    /// The end of the transport.
    Lost,
    /// Nothing follows.
    Open,
}

impl End {
    /// Ends a stream, unless the transport is to end.
    async fn send(self, peer: &mut Peer<DuplexStream>, id: u32) {
        match self {
            Self::Fin => peer.data(id, b"", true).await,
            Self::Cancel => reset(peer, id, ErrorCode::CANCEL).await,
            Self::Failure => reset(peer, id, ErrorCode::INTERNAL_ERROR).await,
            Self::Lost | Self::Open => {}
        }
    }

    /// Ends the transport, or leaves it open.
    fn leave(self, peer: Peer<DuplexStream>) {
        match self {
            Self::Lost => drop(peer),
            _ => discard(peer),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_stream_decides_and_its_loss_is_no_success() {
    let too_long = vec![b'{'; 70 << 10];
    let exited = Ok(CommandOutcome::Exited(7));
    let malformed = || Err("Malformed");
    for (protocol, content, end, expected) in [
        (
            "v4.channel.k8s.io",
            SUCCESS,
            End::Fin,
            Ok(CommandOutcome::Success),
        ),
        // As servers of Go end it.
        ("v4.channel.k8s.io", EXIT_7, End::Cancel, exited.clone()),
        // The status is complete.
        ("v4.channel.k8s.io", EXIT_7, End::Lost, exited.clone()),
        ("v4.channel.k8s.io", EXIT_7, End::Open, exited),
        ("v4.channel.k8s.io", b"", End::Fin, Err("Missing")),
        ("v4.channel.k8s.io", b"", End::Cancel, Err("Missing")),
        ("v4.channel.k8s.io", b"", End::Lost, Err("Io")),
        ("v4.channel.k8s.io", b"", End::Failure, Err("Io")),
        ("v4.channel.k8s.io", &SUCCESS[..20], End::Fin, malformed()),
        (
            "v4.channel.k8s.io",
            &SUCCESS[..20],
            End::Cancel,
            malformed(),
        ),
        ("v4.channel.k8s.io", &SUCCESS[..20], End::Lost, malformed()),
        ("v4.channel.k8s.io", &SUCCESS[..20], End::Open, malformed()),
        ("v4.channel.k8s.io", &too_long, End::Fin, Err("TooLarge")),
        ("v5.channel.k8s.io", b"", End::Fin, Err("Missing")),
        ("channel.k8s.io", b"", End::Fin, Ok(CommandOutcome::Success)),
        (
            "v3.channel.k8s.io",
            b"",
            End::Cancel,
            Ok(CommandOutcome::Success),
        ),
        ("v2.channel.k8s.io", b"", End::Lost, Err("Io")),
        (
            "v2.channel.k8s.io",
            b"no such file",
            End::Fin,
            Ok(CommandOutcome::Failed("no such file".to_owned())),
        ),
    ] {
        let before = tasks();
        let (mut session, mut peer) =
            spdy_session("stdout=true", protocol, &["error", "stdout"]).await;
        if !content.is_empty() {
            for piece in content.chunks(30_000) {
                peer.data(1, piece, false).await;
            }
        }
        end.send(&mut peer, 1).await;
        // Before v4, the silence of the error stream counts once the output has ended.
        peer.data(3, b"", true).await;
        let mut stdout = session.stdout.take().unwrap();
        let reading = tokio::spawn(async move { stdout.read_to_end(&mut Vec::new()).await });
        match end {
            End::Lost => drop(peer),
            // PINGs are answered, so that only our limit ends the wait.
            _ => drop(tokio::spawn(async move {
                while let Some(frame) = peer.any().await {
                    if let Message::Ping(ping) = frame {
                        peer.send(|encoder, bytes| encoder.ping(bytes, ping.id))
                            .await;
                    }
                }
            })),
        }
        let outcome = soon(session.outcome()).await;
        let case = format!("{protocol} {end:?} {}: {outcome:?}", content.len());
        match expected {
            Ok(expected) => assert_eq!(outcome.unwrap(), expected, "{case}"),
            Err(name) => {
                let named = match outcome.unwrap_err() {
                    KubeError::Status(StatusError::Missing) => "Missing",
                    KubeError::Status(StatusError::Malformed(_)) => "Malformed",
                    KubeError::Status(StatusError::TooLarge { .. }) => "TooLarge",
                    KubeError::Io(_) => "Io",
                    _ => "another",
                };
                assert_eq!(named, name, "{case}");
            }
        }
        drop(session);
        soon(reading).await.unwrap().unwrap();
        tasks_end(before).await;
    }
}

/// Servers of the first versions end the error stream early, and a success is silence: an
/// output that is lost afterwards is none.
#[tokio::test(start_paused = true)]
async fn silence_is_a_success_only_behind_the_whole_output() {
    for protocol in ["channel.k8s.io", "v2.channel.k8s.io", "v3.channel.k8s.io"] {
        for (end, expected) in [
            (End::Fin, Some(true)),
            (End::Cancel, Some(true)),
            (End::Failure, Some(false)),
            (End::Lost, Some(false)),
            (End::Open, None),
        ] {
            let before = tasks();
            let kinds = ["error", "stdout", "stderr"];
            let (mut session, mut peer) =
                spdy_session("stdout=true&stderr=true", protocol, &kinds).await;
            peer.data(1, b"", true).await;
            peer.data(3, &[7; 10_000], false).await;
            let mut stdout = session.stdout.take().unwrap();
            let reading = tokio::spawn(async move { stdout.read_to_end(&mut Vec::new()).await });
            // Nobody wants it.
            drop(session.stderr.take());
            let early = timeout(Duration::from_secs(20), session.outcome()).await;
            assert!(early.is_err(), "{protocol}: {early:?} before the end");
            end.send(&mut peer, 3).await;
            end.leave(peer);
            match expected {
                Some(is_success) => {
                    let outcome = soon(session.outcome()).await;
                    assert_eq!(
                        outcome.is_ok(),
                        is_success,
                        "{protocol} {end:?}: {outcome:?}"
                    );
                }
                // The server sends nothing more, and answers no PING.
                None => assert!(soon(session.outcome()).await.is_err()),
            }
            drop(session);
            let _ = soon(reading).await.unwrap();
            tasks_end(before).await;
        }
    }
}

/// CANCEL behind data is the end of it, for servers of Go; other ends lose something.
#[tokio::test(start_paused = true)]
async fn a_reset_with_cancel_is_the_end_of_output() {
    for (end, is_end) in [
        (End::Fin, true),
        (End::Cancel, true),
        (End::Failure, false),
        (End::Lost, false),
    ] {
        let (mut session, mut peer) =
            spdy_session("stdout=true", "v4.channel.k8s.io", &["error", "stdout"]).await;
        for _ in 0..3 {
            peer.data(3, &[7; 10_000], false).await;
        }
        end.send(&mut peer, 3).await;
        end.leave(peer);
        // The reader is slower than the reset.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut out = Vec::new();
        let read = soon(session.stdout.take().unwrap().read_to_end(&mut out)).await;
        assert_eq!(read.is_ok(), is_end, "{end:?} {read:?}");
        assert!(out == [7; 30_000], "{end:?}: {} bytes", out.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_refused_or_not_answered_is_an_error() {
    let before = tasks();
    let (starting, mut peer) = spdy(ALL, "v4.channel.k8s.io").await;
    answer(&mut peer, &["error"]).await;
    let began = tokio::time::Instant::now();
    discard(peer);
    let error = soon(starting).await.unwrap().unwrap_err();
    assert!(
        matches!(error, ConnectError::Session(KubeError::TimedOut { .. })),
        "{error:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(31));
    tasks_end(before).await;
    let (starting, mut peer) = spdy(ALL, "v4.channel.k8s.io").await;
    while !matches!(soon(peer.next()).await, Some(Message::SynStream { .. })) {}
    reset(&mut peer, 1, ErrorCode::REFUSED_STREAM).await;
    discard(peer);
    let error = soon(starting).await.unwrap().unwrap_err();
    assert!(
        matches!(error, ConnectError::Session(KubeError::Connection(_))),
        "{error:?}"
    );
    tasks_end(before).await;
}

/// A PING follows 5 s of silence, and the peer is lost a minute later.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_gone_without_a_word_is_noticed() {
    let (mut session, mut peer) =
        spdy_session("stdout=true", "v4.channel.k8s.io", &["error", "stdout"]).await;
    let pinged = async {
        while !matches!(soon(peer.next()).await, Some(Message::Ping(ping)) if ping.id % 2 == 1) {}
    };
    is_lost_after_a_ping(&mut session, pinged).await;

    let (mut session, mut socket) = websocket("stdout=true").await;
    let pinged = async {
        let first = soon(socket.next()).await;
        assert!(matches!(first, Some(Ok(WsMessage::Ping(_)))), "{first:?}");
    };
    is_lost_after_a_ping(&mut session, pinged).await;
}

async fn is_lost_after_a_ping(session: &mut CommandSession, pinged: impl Future<Output = ()>) {
    let began = tokio::time::Instant::now();
    pinged.await;
    let silence = began.elapsed();
    assert!(silence < Duration::from_secs(6), "{silence:?}");
    let error = soon(session.outcome()).await.unwrap_err();
    assert!(matches!(error, KubeError::Io(_)), "{error:?}");
    let wait = began.elapsed();
    assert!(wait < Duration::from_secs(80), "{wait:?}");
}

/// Data alone keeps a connection, without an answer to any PING.
#[tokio::test(start_paused = true)]
async fn any_frame_is_a_sign_of_life() {
    let (mut session, mut socket) = websocket("stdout=true").await;
    let mut stdout = session.stdout.take().unwrap();
    for _ in 0..30 {
        // Written past the WebSocket's own answers to PINGs.
        socket
            .get_mut()
            .write_all(&[0x82, 2, 1, b'x'])
            .await
            .unwrap();
        assert_eq!(soon(stdout.read_u8()).await.unwrap(), b'x');
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    assert!(!session.cancellation().is_cancelled());
}

/// A client that is connected, and the server's end of its WebSocket.
async fn websocket(query: &str) -> (CommandSession, WebSocketStream<DuplexStream>) {
    let (client, server) = duplex(64 << 10);
    let ask = request(StreamingProtocol::WebSocket, query);
    let accepting = tokio::spawn(async move {
        #[allow(clippy::result_large_err, reason = "the type is the library's")]
        let choose =
            |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
                assert_eq!(
                    request.headers()["sec-websocket-protocol"],
                    "v5.channel.k8s.io"
                );
                let protocol = HeaderValue::from_static("v5.channel.k8s.io");
                response
                    .headers_mut()
                    .insert("sec-websocket-protocol", protocol);
                Ok(response)
            };
        tokio_tungstenite::accept_hdr_async(server, choose)
            .await
            .unwrap()
    });
    let session = soon(ask.connect_on(client)).await.unwrap();
    (session, soon(accepting).await.unwrap())
}

fn channel(number: u8, data: &[u8]) -> WsMessage {
    WsMessage::binary([&[number], data].concat())
}

#[tokio::test(start_paused = true)]
async fn stdin_ends_by_a_message() {
    let (mut session, mut socket) = websocket("stdin=true&stdout=true&tty=true").await;
    let mut stdin = session.stdin.take().unwrap();
    stdin.write_all(b"input").await.unwrap();
    soon(stdin.shutdown()).await.unwrap();
    let size = lacewing_kube::TerminalSize {
        width: 80,
        height: 24,
    };
    soon(session.resize.as_mut().unwrap().send(size))
        .await
        .unwrap();
    for expected in [
        channel(0, b"input"),
        channel(255, &[0]),
        channel(4, &size.encode()),
    ] {
        assert_eq!(soon(socket.next()).await.unwrap().unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_status_and_a_normal_close_are_complete() {
    let close = |code| {
        Some(WsMessage::Close(Some(CloseFrame {
            code,
            reason: "".into(),
        })))
    };
    for (status, end, expected, is_whole) in [
        (
            EXIT_7,
            close(CloseCode::Normal),
            Ok(CommandOutcome::Exited(7)),
            true,
        ),
        (
            SUCCESS,
            close(CloseCode::Normal),
            Ok(CommandOutcome::Success),
            true,
        ),
        // The status is complete; the output may not be.
        (
            EXIT_7,
            close(CloseCode::Away),
            Ok(CommandOutcome::Exited(7)),
            false,
        ),
        (EXIT_7, None, Ok(CommandOutcome::Exited(7)), false),
        (b"", close(CloseCode::Normal), Err("Missing"), true),
        (b"", close(CloseCode::Away), Err("Io"), false),
        (b"", Some(WsMessage::Close(None)), Err("Io"), false),
        (b"", None, Err("Io"), false),
        (
            &EXIT_7[..30],
            close(CloseCode::Normal),
            Err("Malformed"),
            true,
        ),
        (&EXIT_7[..30], None, Err("Malformed"), false),
    ] {
        let before = tasks();
        let (mut session, mut socket) = websocket("stdout=true").await;
        // Strange messages change nothing: the first one of Go's servers, unknown channels,
        // channels that were not asked for, and ends that servers never send.
        for strange in [
            channel(1, b""),
            channel(9, b"x"),
            channel(2, b"x"),
            channel(0, b"x"),
            WsMessage::binary(vec![]),
        ] {
            socket.send(strange).await.unwrap();
        }
        socket.send(channel(1, b"output")).await.unwrap();
        socket.send(channel(255, &[9])).await.unwrap();
        if !status.is_empty() {
            let (start, rest) = status.split_at(10);
            socket.send(channel(3, start)).await.unwrap();
            socket.send(channel(3, rest)).await.unwrap();
        }
        let case = format!("{} {end:?}", status.len());
        if let Some(end) = end {
            socket.send(end).await.unwrap();
        }
        drop(socket);
        let mut out = Vec::new();
        let read = soon(session.stdout.take().unwrap().read_to_end(&mut out)).await;
        assert_eq!(
            (out.as_slice(), read.is_ok()),
            (&b"output"[..], is_whole),
            "{case}"
        );
        match (soon(session.outcome()).await, expected) {
            (Ok(outcome), Ok(expected)) => assert_eq!(outcome, expected, "{case}"),
            (Err(KubeError::Io(_)), Err("Io"))
            | (Err(KubeError::Status(StatusError::Missing)), Err("Missing"))
            | (Err(KubeError::Status(StatusError::Malformed(_))), Err("Malformed")) => {}
            (outcome, _) => panic!("{case}: {outcome:?}"),
        }
        drop(session);
        tasks_end(before).await;
    }
}
