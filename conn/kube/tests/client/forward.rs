//! Port-forward over SPDY and inside a WebSocket.

use http::{Response, StatusCode};
use lacewing_conn::Version;
use lacewing_frames::spdy::{ErrorCode, Message};
use lacewing_kube::{
    KubeError,
    client::{ConnectError, ForwardRequest, PortForwardSession},
    server::PortForwardSession as ServerSession,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};

use crate::{
    peer::Peer,
    server::{Server, answer},
    *,
};

/// The ports of the test's server.
pub(crate) async fn serve(mut session: ServerSession) {
    while let Some(forward) = session.accept().await {
        tokio::spawn(async move {
            match forward.port() {
                // Echoes to the end of the client's half.
                7 => {
                    let (mut reader, mut writer) = split(forward.into_io());
                    if tokio::io::copy(&mut reader, &mut writer).await.is_ok() {
                        // The client may be gone.
                        let _ = writer.shutdown().await;
                    }
                }
                // Ends its half first, and counts what arrives behind it.
                8 => {
                    let mut io = forward.into_io();
                    io.write_all(b"hello").await.unwrap();
                    io.shutdown().await.unwrap();
                    let mut input = Vec::new();
                    io.read_to_end(&mut input).await.unwrap();
                    assert_eq!(input, b"after your end");
                }
                // Breaks in the middle.
                9 => {
                    let mut io = forward.into_io();
                    io.write_all(b"a part").await.unwrap();
                    io.flush().await.unwrap();
                }
                port => forward.fail(&format!("nothing listens on {port}")).await,
            }
        });
    }
}

fn ask(transport: StreamingProtocol) -> ForwardRequest {
    ForwardRequest::new("http://pod/portforward".parse().unwrap())
        .with(|ask| ask.transport = transport)
}

async fn session(transport: StreamingProtocol) -> PortForwardSession {
    let server = Server::commands();
    soon(ask(transport).connect(|| server.dial()))
        .await
        .unwrap()
}

async fn echo(session: &PortForwardSession, data: &[u8]) {
    let mut stream = soon(session.open(7)).await.unwrap();
    soon(stream.write_all(data)).await.unwrap();
    soon(stream.shutdown()).await.unwrap();
    let mut back = Vec::new();
    soon(stream.read_to_end(&mut back)).await.unwrap();
    assert!(back == data, "{} of {} bytes", back.len(), data.len());
}

#[tokio::test(start_paused = true)]
async fn connections_share_a_session() {
    for transport in TRANSPORTS {
        let before = tasks();
        let session = session(transport).await;
        let all = (0..50_usize).map(|number| {
            let session = &session;
            async move { echo(session, &vec![number as u8; number * 1_000]).await }
        });
        soon(futures_util::future::join_all(all)).await;
        soon(session.close()).await;
        tasks_end(before).await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_direction_ends_by_itself() {
    for transport in TRANSPORTS {
        let session = session(transport).await;
        let mut stream = soon(session.open(8)).await.unwrap();
        let mut text = String::new();
        soon(stream.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "hello");
        soon(stream.write_all(b"after your end")).await.unwrap();
        soon(stream.shutdown()).await.unwrap();
    }
}

/// The server's text is an error of its stream, and the others go on.
#[tokio::test(start_paused = true)]
async fn a_refused_port_ends_only_its_stream() {
    for transport in TRANSPORTS {
        let session = session(transport).await;
        let mut first = soon(session.open(7)).await.unwrap();
        for port in [80, 65_535] {
            let mut refused = soon(session.open(port)).await.unwrap();
            let error = soon(refused.read_u8()).await.unwrap_err();
            assert_eq!(error.to_string(), format!("nothing listens on {port}"));
            // Again, and not the end.
            let error = soon(refused.read_u8()).await.unwrap_err();
            assert_eq!(error.to_string(), format!("nothing listens on {port}"));
        }
        // Also of a client that only ends its half.
        let mut refused = soon(session.open(80)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let error = soon(refused.shutdown()).await.unwrap_err();
        assert_eq!(error.to_string(), "nothing listens on 80");
        // A connection that broke is no end, and has no text.
        let mut broken = soon(session.open(9)).await.unwrap();
        let mut text = Vec::new();
        assert!(soon(broken.read_to_end(&mut text)).await.is_err());
        assert_eq!(text, b"a part");
        assert!(matches!(
            soon(session.open(0)).await,
            Err(KubeError::Protocol(_))
        ));
        soon(first.write_all(b"still here")).await.unwrap();
        let mut back = [0; 10];
        soon(first.read_exact(&mut back)).await.unwrap();
        assert_eq!(&back, b"still here");
        assert!(!session.cancellation().is_cancelled());
    }
}

/// One connection carries any number of local ones, one after another.
#[tokio::test(start_paused = true)]
async fn ten_thousand_connections_leave_nothing() {
    for (transport, number) in [
        (StreamingProtocol::Spdy, 10_000),
        (StreamingProtocol::Http2, 10_000),
        (StreamingProtocol::WebSocket, 1_000),
    ] {
        let session = session(transport).await;
        echo(&session, b"first").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = tasks();
        for _ in 0..number {
            echo(&session, b"x").await;
        }
        tasks_end(before).await;
    }
}

#[tokio::test(start_paused = true)]
async fn more_connections_than_the_limit_wait() {
    let server = Server::commands();
    let ask = ask(StreamingProtocol::Spdy).with(|ask| ask.limits.max_forwards = 3);
    let session = soon(ask.connect(|| server.dial())).await.unwrap();
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(soon(session.open(7)).await.unwrap());
    }
    let refused = soon(session.open(7)).await;
    assert!(
        matches!(refused, Err(KubeError::TimedOut { .. })),
        "{refused:?}"
    );
    let (next, ()) = soon(async {
        tokio::join!(session.open(7), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            open.pop();
        })
    })
    .await;
    next.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_session_ends_its_connections() {
    for transport in TRANSPORTS {
        let before = tasks();
        let session = session(transport).await;
        let mut stream = soon(session.open(7)).await.unwrap();
        let over = session.cancellation();
        drop(session);
        timeout(Duration::from_secs(2), over.cancelled())
            .await
            .expect("the connection is open");
        assert!(soon(stream.read_u8()).await.is_err());
        tasks_end(before).await;
    }
}

/// A session without a local connection lives, by its PINGs.
#[tokio::test(start_paused = true)]
async fn an_idle_session_lives_and_a_lost_one_ends() {
    for transport in TRANSPORTS {
        let idle = session(transport).await;
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        echo(&idle, b"after an hour").await;
    }
    let (session, mut peer) = spdy().await;
    let began = tokio::time::Instant::now();
    // It answers no PING.
    while soon(peer.any()).await.is_some() {}
    assert!(
        began.elapsed() < Duration::from_secs(80),
        "{:?}",
        began.elapsed()
    );
    soon(session.cancellation().cancelled()).await;
    assert!(soon(session.open(7)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn port_forward_falls_back() {
    let server = Server::new(|request| match request.method() == http::Method::GET {
        true => {
            let mut response = Response::new("query parameter \"port\" is required".to_owned());
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
        false => answer(request, |_| {}),
    });
    let session = soon(ask(StreamingProtocol::WebSocketFirst).connect(|| server.dial()))
        .await
        .unwrap();
    echo(&session, b"over SPDY").await;
    assert_eq!(server.dials(), 2);
    let refused = soon(ask(StreamingProtocol::WebSocket).connect(|| server.dial())).await;
    assert!(
        matches!(refused, Err(ConnectError::Refused(_))),
        "{refused:?}"
    );
    assert_eq!(server.dials(), 3);
}

/// A session, and a server that is written by hand.
async fn spdy() -> (PortForwardSession, Peer<DuplexStream>) {
    let (client, mut server) = duplex(64 << 10);
    let starting =
        tokio::spawn(async move { ask(StreamingProtocol::Spdy).connect_on(client).await });
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(server.read_u8()).await.unwrap());
    }
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n";
    server.write_all(answer).await.unwrap();
    let session = soon(starting).await.unwrap().unwrap();
    (session, Peer::new(server, Version::Spdy31))
}

/// kubectl's order: the error stream, which ends at once, and then the data. Servers of Go
/// write a text and reset both streams.
#[tokio::test(start_paused = true)]
async fn pairs_open_in_kubectls_order() {
    let (session, mut peer) = spdy().await;
    for (number, code) in [(0, ErrorCode::CANCEL), (1, ErrorCode::INTERNAL_ERROR)] {
        let (error, data) = (number * 4 + 1, number * 4 + 3);
        let serving = async {
            for (id, kind) in [(error, "error"), (data, "data")] {
                loop {
                    match soon(peer.next()).await.unwrap() {
                        Message::SynStream {
                            stream_id, block, ..
                        } => {
                            assert_eq!(stream_id, id);
                            let fields: Vec<_> = block.list.unwrap();
                            let mut expected = vec![
                                ("streamtype".into(), kind.into()),
                                ("port".into(), "80".into()),
                                ("requestid".into(), number.to_string().into()),
                            ];
                            expected.retain(|field| !fields.contains(field));
                            assert!(expected.is_empty() && fields.len() == 3, "{fields:?}");
                            break;
                        }
                        // The end of our half of the error stream, resets of earlier ones.
                        Message::Data {
                            stream_id,
                            fin,
                            payload,
                            ..
                        } => {
                            assert!(stream_id == error && fin && payload.is_empty());
                        }
                        Message::RstStream(_) | Message::Ping(_) => {}
                        other => panic!("{other:?}"),
                    }
                }
                peer.reply(id, &[]).await;
            }
        };
        let (stream, ()) = soon(async { tokio::join!(session.open(80), serving) }).await;
        let mut stream = stream.unwrap();
        peer.data(data, b"partial", false).await;
        peer.data(error, b"connection ", false).await;
        peer.data(error, b"refused", false).await;
        for id in [data, error] {
            peer.send(|encoder, bytes| encoder.rst_stream(bytes, id, code))
                .await;
        }
        let mut text = Vec::new();
        let failed = soon(stream.read_to_end(&mut text)).await.unwrap_err();
        assert_eq!(failed.to_string(), "connection refused");
        assert!(soon(stream.write_all(&[0; 100_000])).await.is_err());
    }
    assert!(!session.cancellation().is_cancelled());
}
