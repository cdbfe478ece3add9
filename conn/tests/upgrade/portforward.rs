//! `kubectl port-forward`: one connection for every port and local connection.

use http::Request;
use lacewing_conn::{Version, driver::upgrade::Upgrade};
use lacewing_frames::spdy::GoAwayStatus;
use tokio::io::DuplexStream;

use crate::{peer::Peer, *};

/// Forwards to an echo. Port 1 refuses.
async fn node(io: DuplexStream) {
    let requested = Upgrade::default().accept(io).await.unwrap();
    let switched = requested.switch_kubernetes(&["portforward.k8s.io"]).await;
    let switched = switched.unwrap();
    let (mux, connection) = (switched.mux, tokio::spawn(switched.connection));
    while let Some((error_headers, mut error)) = mux.accept().await {
        error.reply(HeaderMap::new());
        let Some((headers, mut data)) = mux.accept().await else {
            break;
        };
        assert_eq!(error_headers["streamtype"], "error");
        assert_eq!(headers["streamtype"], "data");
        assert_eq!(error_headers["requestid"], headers["requestid"]);
        tokio::spawn(async move {
            if headers["port"] == "1" {
                data.reply(HeaderMap::new());
                let why = b"error forwarding port 1: refused";
                error.write_all(why).await.unwrap();
                error.shutdown().await.unwrap();
                error.flush().await.unwrap();
                data.shutdown().await.unwrap();
                let mut nothing = Vec::new();
                let _ = data.read_to_end(&mut nothing).await;
            } else {
                echo(data).await;
                error.shutdown().await.unwrap();
            }
            let mut nothing = Vec::new();
            let _ = error.read_to_end(&mut nothing).await;
        });
    }
    soon(connection).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_forward_may_stay_silent_for_hours() {
    let (mut here, there) = tokio::io::duplex(64 << 10);
    let node = tokio::spawn(node(there));
    let request = "POST /portforward HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\n\
                   Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n";
    here.write_all(request.as_bytes()).await.unwrap();
    soon(read_head(&mut here)).await;
    let mut kubectl = Peer::new(here, Version::Spdy31);
    // No connection is forwarded at first: no byte of SPDY arrives.
    tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
    for round in 0..300_u32 {
        let (error, data) = (4 * round + 1, 4 * round + 3);
        let number = round.to_string();
        let port = if round % 10 == 9 { "1" } else { "18098" };
        let fields = |kind| [("streamtype", kind), ("port", port), ("requestid", &number)];
        kubectl.open(error, &fields("error")).await;
        soon(kubectl.expect_reply(error)).await;
        kubectl.data(error, b"", true).await;
        kubectl.open(data, &fields("data")).await;
        soon(kubectl.expect_reply(data)).await;
        if port == "1" {
            let why = soon(kubectl.expect_data(error)).await;
            assert_eq!(why, b"error forwarding port 1: refused");
            assert_eq!(soon(kubectl.expect_data(data)).await, b"");
            kubectl.data(data, b"", true).await;
        } else {
            kubectl.data(data, b"GET / HTTP/1.0\r\n\r\n", true).await;
            let echoed = soon(kubectl.expect_data(data)).await;
            assert_eq!(echoed, b"GET / HTTP/1.0\r\n\r\n");
            assert_eq!(soon(kubectl.expect_data(error)).await, b"");
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    // Ctrl-C.
    kubectl
        .send(|encoder, bytes| encoder.go_away(bytes, 0, GoAwayStatus::OK))
        .await;
    kubectl.io.shutdown().await.unwrap();
    while soon(kubectl.next()).await.is_some() {}
    soon(node).await.unwrap();
}

/// More connections at once than the default number of streams.
#[tokio::test(start_paused = true)]
async fn hundreds_of_connections_at_once() {
    let (here, there) = tokio::io::duplex(64 << 10);
    let node = tokio::spawn(node(there));
    let request = Request::post("http://node/portforward").body(()).unwrap();
    let upgrade = Upgrade::default();
    let answer = upgrade.request_kubernetes(here, request, &["portforward.k8s.io"]);
    let answer = soon(answer).await.unwrap();
    tokio::spawn(answer.connection);
    let mut open = Vec::new();
    for number in 0..300 {
        let mut pair = Vec::new();
        for kind in ["error", "data"] {
            let mut headers = field("streamtype", kind);
            headers.insert("port", HeaderValue::from_static("80"));
            headers.insert("requestid", HeaderValue::from(number));
            let mut stream = soon(answer.mux.open(headers, Default::default()))
                .await
                .unwrap();
            soon(stream.recv_reply()).await.unwrap();
            pair.push(stream);
        }
        open.push(pair);
    }
    for pair in &mut open {
        let data = &mut pair[1];
        data.write_all(b"hello").await.unwrap();
        data.shutdown().await.unwrap();
        let mut text = String::new();
        soon(data.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "hello");
    }
    drop((open, answer.mux));
    soon(node).await.unwrap();
}

/// Back-pressure is the only sign that the local program does not read: it reads no byte for hours,
/// and then the rest.
#[tokio::test(start_paused = true)]
async fn a_terminal_may_be_paused_for_hours() {
    let (mut here, there) = tokio::io::duplex(4096);
    let node = tokio::spawn(node(there));
    let request = "POST /portforward HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\n\
                   Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n";
    here.write_all(request.as_bytes()).await.unwrap();
    soon(read_head(&mut here)).await;
    let mut kubectl = Peer::new(here, Version::Spdy31);
    let fields = |kind| [("streamtype", kind), ("port", "80"), ("requestid", "1")];
    kubectl.open(1, &fields("error")).await;
    soon(kubectl.expect_reply(1)).await;
    kubectl.data(1, b"", true).await;
    kubectl.open(3, &fields("data")).await;
    soon(kubectl.expect_reply(3)).await;
    // The echo is larger than the pipe's buffer.
    soon(kubectl.data(3, &[7; 100_000], true)).await;
    tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
    assert_eq!(soon(kubectl.expect_data(3)).await, [7; 100_000]);
    assert_eq!(soon(kubectl.expect_data(1)).await, b"");
    kubectl.io.shutdown().await.unwrap();
    while soon(kubectl.any()).await.is_some() {}
    soon(node).await.unwrap();
}
