//! The client's part, against servers written by hand.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, Request};
use lacewing_conn::{
    Side, Version,
    driver::{
        MuxConfig, OpenOptions,
        upgrade::{Upgrade, UpgradeError},
    },
};
use lacewing_frames::spdy::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::{peer::Peer, *};

const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n";

fn request() -> Request<()> {
    Request::post("http://node:10250/run?command=date")
        .header("authorization", "Bearer token")
        .body(())
        .unwrap()
}

/// A server that answers with these bytes and closes.
async fn answered_by(upgrade: Upgrade, answer: &str) -> UpgradeError {
    let (here, mut there) = tokio::io::duplex(1 << 20);
    let answer = answer.to_owned();
    let server = tokio::spawn(async move {
        let head = read_head(&mut there).await;
        // A client that has read enough closes.
        let _ = there.write_all(answer.as_bytes()).await;
        drop(there);
        head
    });
    let error = soon(upgrade.request(here, request())).await.unwrap_err();
    soon(server).await.unwrap();
    error
}

#[tokio::test(start_paused = true)]
async fn the_request_has_all_required_fields() {
    let (here, mut there) = tokio::io::duplex(4096);
    let asking = tokio::spawn(async move { Upgrade::default().request(here, request()).await });
    let head = soon(read_head(&mut there)).await;
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("POST /run?command=date HTTP/1.1"));
    let mut rest: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    rest.sort_unstable();
    let expected = [
        "authorization: Bearer token",
        "connection: Upgrade",
        "content-length: 0",
        "host: node:10250",
        "upgrade: SPDY/3.1",
    ];
    assert_eq!(rest, expected);
    there.write_all(SWITCHING.as_bytes()).await.unwrap();
    let switched = soon(asking).await.unwrap().unwrap();
    assert_eq!(switched.response.headers()["upgrade"], "SPDY/3.1");
    assert_eq!(switched.version, Version::Spdy31);
}

/// The upgrade omits fields that would end the request differently, and fields that must not be
/// sent, whoever added them.
#[tokio::test(start_paused = true)]
async fn the_request_has_no_forbidden_fields() {
    for method in ["GET", "POST"] {
        let (here, mut there) = tokio::io::duplex(4096);
        let request = Request::builder()
            .method(method)
            .uri("http://user:secret@node:10250/run")
            .header("connection", "close")
            .header("upgrade", "h2c")
            .header("content-length", "5")
            .header("transfer-encoding", "chunked")
            .body(())
            .unwrap();
        tokio::spawn(async move { Upgrade::default().request(here, request).await });
        let head = soon(read_head(&mut there)).await;
        let mut lines: Vec<_> = head.lines().filter(|line| !line.is_empty()).collect();
        lines.sort_unstable();
        let first = format!("{method} /run HTTP/1.1");
        let mut expected = vec![
            &first,
            "connection: Upgrade",
            "host: node:10250",
            "upgrade: SPDY/3.1",
        ];
        if method == "POST" {
            expected.insert(2, "content-length: 0");
        }
        assert_eq!(lines, expected);
    }
}

/// An attack: a server that refuses treats bytes before the 101 as a request.
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_the_101() {
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        let (here, mut there) = tokio::io::duplex(4096);
        let upgrade = Upgrade::default().with(|upgrade| upgrade.version = version);
        let client = tokio::spawn(async move {
            let switched = upgrade.request(here, request()).await.unwrap();
            let (mux, connection) = switched.client(MuxConfig::new(Side::Client));
            tokio::spawn(connection);
            mux.open(field("name", "value"), OpenOptions::default())
                .await
                .unwrap()
        });
        soon(read_head(&mut there)).await;
        let early = timeout(Duration::from_secs(5), there.read_u8()).await;
        assert!(early.is_err(), "{version}: {early:?} before the 101");
        let name = version.to_string().to_uppercase();
        let answer = SWITCHING.replace("SPDY/3.1", &name);
        there.write_all(answer.as_bytes()).await.unwrap();
        let mut peer = Peer::new(there, version);
        let fields = soon(peer.expect_open(1)).await;
        assert_eq!(fields[0].1, "value", "{version}");
        soon(client).await.unwrap();
    }
}

/// The 101 and the server's first frames in one segment, divided at every byte.
#[tokio::test(start_paused = true)]
async fn bytes_that_arrive_with_the_101_are_not_lost() {
    let mut bytes = BytesMut::from(SWITCHING);
    let mut encoder = Peer::new(tokio::io::duplex(1).0, Version::Spdy31).encoder;
    crate::peer::syn_stream(&mut encoder, &mut bytes, 2, &[("from", "server")]);
    encoder.data_head(&mut bytes, 2, 5, true);
    bytes.put_slice(b"hello");
    for cut in 0..=bytes.len() {
        let (here, mut there) = tokio::io::duplex(4096);
        let bytes = bytes.clone();
        let server = tokio::spawn(async move {
            read_head(&mut there).await;
            there.write_all(&bytes[..cut]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
            there.write_all(&bytes[cut..]).await.unwrap();
            there
        });
        let switched = soon(Upgrade::default().request(here, request())).await;
        let (mux, connection) = switched.unwrap().client(MuxConfig::new(Side::Client));
        tokio::spawn(connection);
        let (headers, mut stream) = soon(mux.accept()).await.unwrap();
        assert_eq!(headers["from"], "server", "cut at {cut}");
        let mut text = String::new();
        soon(stream.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "hello", "cut at {cut}");
        soon(server).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_error_with_the_body() {
    let long = format!("Content-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
    let bodies = [
        ("Content-Length: 6\r\n\r\nno pod", "no pod"),
        ("Content-Length: 60\r\n\r\ncut off", "cut off"),
        ("\r\nuntil the end", "until the end"),
        (
            "Transfer-Encoding: chunked\r\n\r\n4\r\nno p\r\n2;x=y\r\nod\r\n0\r\n\r\n",
            "no pod",
        ),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nno p\r\nzz", "no p"),
        ("Content-Length: 0\r\n\r\n", ""),
        (&long, &"x".repeat(65_536)),
    ];
    for (answer, expected) in bodies {
        let answer = format!("HTTP/1.1 403 Forbidden\r\nx-why: because\r\n{answer}");
        let error = answered_by(Upgrade::default(), &answer).await;
        let UpgradeError::Refused(response) = error else {
            panic!("{error:?}");
        };
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()["x-why"], "because");
        assert_eq!(response.body(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_holds_its_body_back_is_not_waited_for_for_ever() {
    let (here, mut there) = tokio::io::duplex(4096);
    let asking = tokio::spawn(async move { Upgrade::default().request(here, request()).await });
    soon(read_head(&mut there)).await;
    let answer = b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nstart";
    there.write_all(answer).await.unwrap();
    let error = soon(asking).await.unwrap().unwrap_err();
    let UpgradeError::Refused(response) = error else {
        panic!("{error:?}");
    };
    assert_eq!(response.body(), "start");
}

#[tokio::test(start_paused = true)]
async fn responses_that_are_no_upgrade_have_errors_of_their_own() {
    let upgrade = Upgrade::default().with(|upgrade| upgrade.max_head = 4096);
    let ask = |answer: String| {
        let upgrade = upgrade.clone();
        async move { answered_by(upgrade, &answer).await }
    };
    let wrong = ask(SWITCHING.replace("SPDY/3.1", "websocket")).await;
    assert!(
        matches!(&wrong, UpgradeError::WrongProtocol(name) if name == "websocket"),
        "{wrong:?}"
    );
    let unsaid = ask("HTTP/1.1 101 Switching Protocols\r\n\r\n".into()).await;
    assert!(
        matches!(unsaid, UpgradeError::WrongProtocol(_)),
        "{unsaid:?}"
    );
    let older = ask(SWITCHING.replace("SPDY/3.1", "SPDY/3")).await;
    assert!(matches!(older, UpgradeError::WrongProtocol(_)), "{older:?}");
    let long = ask(format!("HTTP/1.1 101 x\r\nx: {}", "x".repeat(5000))).await;
    assert!(matches!(long, UpgradeError::TooLarge(4096)), "{long:?}");
    let garbage = ask("SSH-2.0-OpenSSH\r\n\r\n".into()).await;
    assert!(matches!(garbage, UpgradeError::Malformed(_)), "{garbage:?}");
    let closed = ask("HTTP/1.1 101 Switch".into()).await;
    assert!(matches!(closed, UpgradeError::Closed), "{closed:?}");
    let endless = ask("HTTP/1.1 100 Continue\r\n\r\n".repeat(20)).await;
    assert!(matches!(endless, UpgradeError::Malformed(_)), "{endless:?}");

    let (here, _there) = tokio::io::duplex(4096);
    let silent = soon(upgrade.request(here, request())).await.unwrap_err();
    assert!(matches!(silent, UpgradeError::TimedOut(_)), "{silent:?}");
}

#[tokio::test(start_paused = true)]
async fn invalid_upgrade_requests_are_not_sent() {
    let no_host = Request::get("/path").body(()).unwrap();
    let connect = Request::connect("node:443").body(()).unwrap();
    for request in [no_host, connect] {
        let (here, mut there) = tokio::io::duplex(4096);
        let asking = Upgrade::default();
        let error = soon(asking.request(here, request)).await.unwrap_err();
        assert!(matches!(error, UpgradeError::Unsendable(_)), "{error:?}");
        let mut sent = Vec::new();
        soon(there.read_to_end(&mut sent)).await.unwrap();
        assert!(sent.is_empty());
    }
}

/// Some proxies send 100 or 103 first.
#[tokio::test(start_paused = true)]
async fn interim_responses_are_passed_over() {
    let (here, mut there) = tokio::io::duplex(4096);
    let asking = tokio::spawn(async move { Upgrade::default().request(here, request()).await });
    soon(read_head(&mut there)).await;
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    there
        .write_all(format!("{interim}{SWITCHING}").as_bytes())
        .await
        .unwrap();
    let switched = soon(asking).await.unwrap().unwrap();
    assert!(switched.input.is_empty());
    let mut peer = serve_one(switched, there).await;
    peer.io.shutdown().await.unwrap();
}

async fn serve_one(
    switched: lacewing_conn::driver::upgrade::Switched<DuplexStream>,
    there: DuplexStream,
) -> Peer<DuplexStream> {
    let (mux, connection) = switched.client(MuxConfig::new(Side::Client));
    tokio::spawn(connection);
    let mut stream = soon(mux.open(HeaderMap::new(), OpenOptions::default()))
        .await
        .unwrap();
    let mut peer = Peer::new(there, Version::Spdy31);
    soon(peer.expect_open(1)).await;
    peer.reply(1, &[("ok", "yes")]).await;
    assert_eq!(
        soon(stream.recv_reply()).await.unwrap().unwrap()["ok"],
        "yes"
    );
    stream.reset(lacewing_conn::Reason::Cancel);
    assert!(matches!(
        soon(peer.next()).await,
        Some(Message::RstStream(_))
    ));
    peer
}
