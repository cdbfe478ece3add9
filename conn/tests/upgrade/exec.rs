//! `kubectl exec`, frame by frame: one side written by hand, the other ours.

use bytes::Bytes;
use http::Request;
use lacewing_conn::{
    Side, Version,
    driver::{
        Mux, MuxConfig, OpenOptions, RawStream,
        upgrade::{
            ACCEPTED_STREAM_PROTOCOL_VERSIONS, STREAM_PROTOCOL_VERSION, Upgrade, UpgradeError,
        },
    },
};
use lacewing_frames::spdy::{ErrorCode, GoAwayStatus, Message};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

use crate::{peer::Peer, *};

const OURS: [&str; 2] = ["v4.channel.k8s.io", "v3.channel.k8s.io"];

const REQUEST: &str = "POST /api/v1/namespaces/default/pods/mypod/exec?command=cat&stdin=true HTTP/1.1\r\n\
     Host: node\r\nContent-Length: 0\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
     X-Stream-Protocol-Version: v5.channel.k8s.io\r\n\
     X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\
     X-Stream-Protocol-Version: channel.k8s.io\r\n\r\n";

const FAILURE: &str = r#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: 7","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}"#;

/// A node: echoes stdin to stdout, and exits with 7.
async fn node(io: DuplexStream) {
    let requested = Upgrade::default().accept(io).await.unwrap();
    let switched = requested.switch_kubernetes(&OURS).await.unwrap();
    assert_eq!(switched.protocol.as_deref(), Some("v4.channel.k8s.io"));
    let (mux, connection) = (switched.mux, tokio::spawn(switched.connection));
    let mut streams = std::collections::HashMap::new();
    while streams.len() < 4 {
        let (headers, stream) = mux.accept().await.unwrap();
        stream.reply(HeaderMap::new());
        let kind = headers["streamtype"].to_str().unwrap().to_owned();
        streams.insert(kind, stream);
    }
    let mut stdin = streams.remove("stdin").unwrap();
    let mut stdout = streams.remove("stdout").unwrap();
    tokio::io::copy(&mut stdin, &mut stdout).await.unwrap();
    let mut error = streams.remove("error").unwrap();
    error.write_all(FAILURE.as_bytes()).await.unwrap();
    for stream in [&mut error, &mut stdout, streams.get_mut("stderr").unwrap()] {
        stream.shutdown().await.unwrap();
    }
    // A resize that arrives too late has no recipient.
    let late = tokio::spawn({
        let mux = mux.clone();
        async move { mux.accept().await }
    });
    let late = timeout(Duration::from_secs(5), late)
        .await
        .unwrap()
        .unwrap();
    let (headers, late) = late.unwrap();
    assert_eq!(headers["streamtype"], "resize");
    late.reply(HeaderMap::new());
    drop((late, error, stdout, stdin, streams));
    mux.shutdown();
    soon(connection).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn kubectl_by_hand() {
    let (mut here, there) = tokio::io::duplex(64 << 10);
    let node = tokio::spawn(node(there));
    here.write_all(REQUEST.as_bytes()).await.unwrap();
    let head = soon(read_head(&mut here)).await;
    assert!(
        head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
        "{head}"
    );
    let chosen = "x-stream-protocol-version: v4.channel.k8s.io\r\n";
    assert!(head.contains(chosen), "{head}");
    let mut kubectl = Peer::new(here, Version::Spdy31);
    for (id, kind) in [(1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr")] {
        kubectl.open(id, &[("streamtype", kind)]).await;
        assert!(soon(kubectl.expect_reply(id)).await.is_empty());
    }
    // It obeys no window, grants none, and requires answers to its PINGs.
    let input: Vec<u8> = (0..3_000_000_u32).map(|at| (at >> 5) as u8).collect();
    let mut echoed = Vec::new();
    let mut sent = 0;
    for chunk in input.chunks(32 << 10) {
        kubectl.data(3, chunk, false).await;
        sent += chunk.len();
        while echoed.len() + (64 << 10) < sent {
            let Some(Message::Data {
                stream_id: 5,
                payload,
                ..
            }) = soon(kubectl.next()).await
            else {
                panic!("stdout expected");
            };
            echoed.extend_from_slice(&payload);
        }
    }
    kubectl.data(3, b"", true).await;
    kubectl.send(|encoder, bytes| encoder.ping(bytes, 1)).await;
    let (mut pongs, mut error, mut ended) = (0, Vec::new(), Vec::new());
    while ended.len() < 3 {
        match soon(kubectl.next()).await.unwrap() {
            Message::Data {
                stream_id,
                payload,
                fin,
                ..
            } => {
                match stream_id {
                    5 => echoed.extend_from_slice(&payload),
                    1 => error.extend_from_slice(&payload),
                    other => assert!(payload.is_empty(), "stream {other}"),
                }
                if fin {
                    ended.push(stream_id);
                }
            }
            Message::Ping(ping) => {
                assert_eq!(ping.id, 1);
                pongs += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(echoed == input, "{} bytes", echoed.len());
    assert_eq!(error, FAILURE.as_bytes());
    ended.sort_unstable();
    assert_eq!((ended, pongs), (vec![1, 5, 7], 1));
    // At the end it cancels streams that are finished already, and a resize arrives late.
    for id in [1, 3, 5, 7] {
        kubectl
            .send(|encoder, bytes| encoder.rst_stream(bytes, id, ErrorCode::CANCEL))
            .await;
    }
    kubectl.open(9, &[("streamtype", "resize")]).await;
    assert!(soon(kubectl.expect_reply(9)).await.is_empty());
    kubectl
        .data(9, b"{\"Width\":80,\"Height\":24}\n", true)
        .await;
    let mut good = None;
    while let Some(frame) = soon(kubectl.next()).await {
        if let Message::GoAway(go_away) = frame {
            good = Some(go_away.last_good_stream_id);
        }
    }
    assert_eq!(good, Some(9));
    drop(kubectl);
    soon(node).await.unwrap();
}

/// A kubelet written by hand: it discards DATA before its reply.
async fn kubelet(mut io: DuplexStream) {
    let head = read_head(&mut io).await;
    for name in ["v5.channel.k8s.io", "v4.channel.k8s.io"] {
        let line = format!("x-stream-protocol-version: {name}\r\n");
        assert!(head.contains(&line), "{head}");
    }
    let switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                     Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n";
    io.write_all(switching.as_bytes()).await.unwrap();
    let mut peer = Peer::new(io, Version::Spdy31);
    for (id, kind) in [(1, "error"), (3, "stdout"), (5, "stdin")] {
        assert_eq!(
            peer.expect_open(id).await,
            [(Bytes::from("streamtype"), Bytes::from(kind))]
        );
        // Data before the reply would be lost.
        let early = timeout(Duration::from_secs(3), peer.next()).await;
        assert!(early.is_err(), "before the reply: {early:?}");
        peer.reply(id, &[]).await;
    }
    let (mut stdin, mut fin) = (0, false);
    while !fin {
        match peer.next().await.unwrap() {
            Message::Data {
                stream_id: 5,
                payload,
                fin: last,
                ..
            } => {
                stdin += payload.len();
                fin = last;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stdin, 3_000_000);
    for _ in 0..100 {
        peer.data(3, &[7; 32 << 10], false).await;
    }
    peer.data(1, br#"{"metadata":{},"status":"Success"}"#, false)
        .await;
    for id in [1, 3] {
        peer.data(id, b"", true).await;
    }
    peer.send(|encoder, bytes| encoder.go_away(bytes, 5, GoAwayStatus::OK))
        .await;
    // The client closes.
    while let Some(frame) = peer.next().await {
        assert!(!matches!(frame, Message::SynStream { .. }), "{frame:?}");
    }
}

async fn exec<IO>(io: IO) -> (Mux, impl Future<Output = Result<(), lacewing_conn::Error>>)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let request = Request::post("http://node/exec").body(()).unwrap();
    let protocols = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
    let upgrade = Upgrade::default();
    let answer = upgrade.request_kubernetes(io, request, &protocols);
    let answer = answer.await.unwrap();
    assert_eq!(answer.protocol.as_deref(), Some("v4.channel.k8s.io"));
    assert_eq!(answer.response.status(), 101);
    (answer.mux, answer.connection)
}

async fn open(mux: &Mux, kind: &str) -> RawStream {
    soon(mux.open(field("streamtype", kind), OpenOptions::default()))
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_node_by_hand() {
    let (here, there) = tokio::io::duplex(64 << 10);
    let kubelet = tokio::spawn(kubelet(there));
    let (mux, connection) = soon(exec(here)).await;
    let connection = tokio::spawn(connection);
    let mut error = open(&mux, "error").await;
    soon(error.recv_reply()).await.unwrap().unwrap();
    let mut stdout = open(&mux, "stdout").await;
    soon(stdout.recv_reply()).await.unwrap().unwrap();
    // The data is written before the reply, and waits for it without further calls.
    let (_stdin_reader, mut stdin) = open(&mux, "stdin").await.into_split();
    let writing = tokio::spawn(async move {
        stdin.write_all(&[1; 3_000_000]).await.unwrap();
        stdin.shutdown().await.unwrap();
    });
    let mut out = Vec::new();
    soon(stdout.read_to_end(&mut out)).await.unwrap();
    assert_eq!(out.len(), 100 * (32 << 10));
    let mut status = String::new();
    soon(error.read_to_string(&mut status)).await.unwrap();
    assert_eq!(status, r#"{"metadata":{},"status":"Success"}"#);
    writing.await.unwrap();
    drop((stdout, error, _stdin_reader, mux));
    soon(connection).await.unwrap().unwrap();
    soon(kubelet).await.unwrap();
}

/// No common protocol, in the words of Kubernetes.
#[tokio::test(start_paused = true)]
async fn protocols_have_to_agree() {
    let (here, there) = tokio::io::duplex(64 << 10);
    let node = tokio::spawn(async move {
        let requested = Upgrade::default().accept(there).await.unwrap();
        let error = requested.switch_kubernetes(&OURS).await.unwrap_err();
        assert!(matches!(error, UpgradeError::NoCommonProtocol), "{error}");
    });
    let request = || Request::post("http://node/exec").body(()).unwrap();
    let upgrade = Upgrade::default();
    let asked = upgrade.request_kubernetes(here, request(), &["v9.channel.k8s.io"]);
    let UpgradeError::Refused(no) = soon(asked).await.unwrap_err() else {
        panic!("not refused");
    };
    let accepted = no.headers().get_all(ACCEPTED_STREAM_PROTOCOL_VERSIONS);
    assert_eq!(accepted.iter().collect::<Vec<_>>(), OURS);
    assert_eq!(no.status(), 403);
    assert!(no.body().starts_with(b"unable to upgrade"));
    soon(node).await.unwrap();

    // A server that chooses a protocol that was not offered.
    let (here, there) = tokio::io::duplex(64 << 10);
    let node = tokio::spawn(async move {
        let requested = Upgrade::default().accept(there).await.unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(STREAM_PROTOCOL_VERSION, HeaderValue::from_static("v1"));
        let _ = requested
            .switch(headers, MuxConfig::kubernetes(Side::Server))
            .await;
    });
    let asked = upgrade.request_kubernetes(here, request(), &["v9.channel.k8s.io"]);
    let error = soon(asked).await.unwrap_err();
    assert!(
        matches!(&error, UpgradeError::WrongProtocol(name) if name == "v1"),
        "{error:?}"
    );
    soon(node).await.unwrap();
}

/// Old Kubernetes: neither side names the protocol of the streams.
#[tokio::test(start_paused = true)]
async fn a_client_may_name_no_protocol() {
    let (here, there) = tokio::io::duplex(64 << 10);
    let node = tokio::spawn(async move {
        let requested = Upgrade::default().accept(there).await.unwrap();
        let switched = requested.switch_kubernetes(&OURS).await.unwrap();
        assert_eq!(switched.protocol, None);
    });
    let request = Request::post("http://node/exec").body(()).unwrap();
    let upgrade = Upgrade::default();
    let answer = soon(upgrade.request_kubernetes(here, request, &[])).await;
    let answer = answer.unwrap();
    assert_eq!(answer.protocol, None);
    let headers = answer.response.headers();
    assert!(!headers.contains_key(STREAM_PROTOCOL_VERSION));
    soon(node).await.unwrap();
}
