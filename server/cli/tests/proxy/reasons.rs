//! The reasons of failures: each has its status, its error type of RFC 9209, and its line for the
//! client, over HTTP/1.1 and over multiplexed upstreams.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{Body, Version};
use lacewing_server::{Identity, Protocol, Server, service_fn};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
};

use crate::{
    failures::{get, nobody},
    peers::{FRONTS, Script, client, forward, patiently, script, upstream},
    program::Directory,
};

/// A way to fail, and all that the client learns.
struct Case {
    to: String,
    status: u16,
    error: &'static str,
    line: &'static str,
}

impl Case {
    async fn check(&self, options: &[&str]) {
        let Self {
            to,
            status,
            error,
            line,
        } = self;
        let (_directory, running) = forward(to, options);
        for front in [None, Some(Version::Http2)] {
            let got = get(&running, front, "/").await;
            assert_eq!(got.0, *status, "{to} {front:?}: {got:?}");
            assert_eq!(got.1, format!("lacewingd; error={error}"), "{to} {front:?}");
            assert!(got.2.contains(line), "{to} {front:?}: {}", got.2);
        }
        let (_, log) = running.terminate();
        let warning = format!("{status} for GET /: {to}: ");
        assert!(log.contains(&warning), "{to}: {log}");
    }
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [len[1], len[2], len[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_HEADERS: u8 = 4;

/// Reads frames up to the next request. Returns its stream.
async fn request(peer: &mut Script) -> Option<u32> {
    loop {
        let mut head = [0; 9];
        peer.0.read_exact(&mut head).await.ok()?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; len as usize];
        peer.0.read_exact(&mut payload).await.ok()?;
        if head[3] == HEADERS {
            return Some(u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
        }
    }
}

/// An upstream in HTTP/2 that answers each request with these bytes, and then holds or closes.
async fn http2<F>(answer: F, then: Then) -> SocketAddr
where
    F: Fn(u32) -> Vec<u8> + Clone + Send + Sync + 'static,
{
    script(move |mut peer: Script| {
        let answer = answer.clone();
        async move {
            let mut preface = [0; 24];
            if peer.0.read_exact(&mut preface).await.is_err() {
                return;
            }
            peer.say(frame(SETTINGS, 0, 0, &[])).await;
            while let Some(stream) = request(&mut peer).await {
                peer.say(answer(stream)).await;
                if then == Then::Close {
                    let _ = peer.0.shutdown().await;
                    return;
                }
            }
        }
    })
    .await
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Hold,
    Close,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_says_why_in_every_protocol() {
    for scheme in ["http", "h2c", "spdy31"] {
        let refused = Case {
            to: format!("{scheme}://{}", nobody().await),
            status: 502,
            error: "connection_refused",
            line: "The upstream refused the connection.",
        };
        refused.check(&[]).await;
        let unnamed = Case {
            to: format!("{scheme}://name.invalid:80"),
            status: 502,
            error: "dns_error",
            line: "The upstream's name has no address.",
        };
        unnamed.check(&[]).await;
        // No connection leaves this machine: TCP has no broadcast.
        let unreachable = Case {
            to: format!("{scheme}://255.255.255.255:80"),
            status: 502,
            error: "destination_ip_unroutable",
            line: "The upstream could not be reached.",
        };
        unreachable.check(&[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_handshake_says_why() {
    let directory = Directory::new("lacewingd-proxy-handshakes");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (directory.path("cert.pem"), directory.path("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let identity = Identity::from_pem_files(&cert, &key).unwrap();
    let builder = Server::builder().bind_tls(([127, 0, 0, 1], 0).into(), identity);
    let server = builder.build().await.unwrap();
    let address = server.local_addrs().next().unwrap();
    let answer = |_| async { Ok::<_, std::convert::Infallible>(Response::new(String::new())) };
    tokio::spawn(server.serve(service_fn(answer)));
    let closes = script(|_: Script| async {}).await;
    let trusting = ["--proxy-ca", cert.to_str().unwrap()];
    let untrusted = Case {
        to: format!("https://localhost:{}", address.port()),
        status: 502,
        error: "tls_certificate_error",
        line: "The upstream's certificate is not trusted.",
    };
    untrusted.check(&[]).await;
    let misnamed = Case {
        to: format!("https://{address}"),
        status: 502,
        error: "tls_certificate_error",
        line: "The upstream's certificate is for another name.",
    };
    misnamed.check(&trusting).await;
    let ends = Case {
        to: format!("https://{closes}"),
        status: 502,
        error: "tls_protocol_error",
        line: "The upstream's TLS handshake failed.",
    };
    ends.check(&trusting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_in_http2_that_gives_no_response_says_why() {
    let reset = |code: u32| move |stream: u32| frame(RST_STREAM, 0, stream, &code.to_be_bytes());
    let go_away = |_| {
        // The last stream is the only one: it was processed.
        let payload = [&1_u32.to_be_bytes()[..], &2_u32.to_be_bytes()].concat();
        frame(GOAWAY, 0, 0, &payload)
    };
    // `:path` is no field of a response (RFC 9113 §8.3.2).
    let malformed = |stream| frame(HEADERS, END_HEADERS, stream, &[0x84]);
    let cases = [
        (
            http2(reset(8), Then::Hold).await,
            502,
            "connection_terminated",
            "The upstream reset the request before its response.",
        ),
        (
            http2(reset(7), Then::Hold).await,
            503,
            "destination_unavailable",
            "The upstream refuses further requests for now.",
        ),
        (
            http2(|_| Vec::new(), Then::Close).await,
            502,
            "connection_terminated",
            "The upstream closed the connection before its response.",
        ),
        (
            http2(go_away, Then::Close).await,
            502,
            "connection_terminated",
            "The upstream closed the connection before its response.",
        ),
        (
            http2(malformed, Then::Hold).await,
            502,
            "http_protocol_error",
            "The upstream did not answer in the protocol that it should speak.",
        ),
        (
            http2(|_| Vec::new(), Then::Hold).await,
            504,
            "http_response_timeout",
            "The upstream did not answer in time.",
        ),
    ];
    for (address, status, error, line) in cases {
        let case = Case {
            to: format!("h2c://{address}"),
            status,
            error,
            line,
        };
        case.check(&["--proxy-response-timeout", "2"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_says_so() {
    for (scheme, protocol) in [
        ("http", Protocol::Http1),
        ("h2c", Protocol::Http2),
        ("spdy31", Protocol::Spdy31),
    ] {
        let large = |_| async {
            let mut response = Response::new(Full::new(Bytes::new()));
            let value = HeaderValue::from_str(&"a".repeat(60_000)).unwrap();
            response.headers_mut().insert("x-one", value.clone());
            response.headers_mut().insert("x-two", value);
            response
        };
        let case = Case {
            to: format!("{scheme}://{}", upstream(protocol, large).await),
            status: 502,
            error: "http_response_header_section_size",
            line: "The head of the upstream's response is too large.",
        };
        case.check(&[]).await;
    }
}

/// Content that is cut short never looks whole, and the log says which upstream did it.
#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_is_cut_short_is_no_response() {
    let http1 = script(|mut peer: Script| async move {
        peer.head().await;
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
        peer.say(head).await;
    })
    .await;
    let http2 = http2(
        |stream| {
            // `:status: 200`, four bytes of content, and CANCEL.
            [
                frame(HEADERS, END_HEADERS, stream, &[0x88]),
                frame(0, 0, stream, b"half"),
                frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
            ]
            .concat()
        },
        Then::Hold,
    )
    .await;
    for to in [format!("http://{http1}"), format!("h2c://{http2}")] {
        let (_directory, running) = forward(&to, &[]);
        for front in FRONTS {
            let uri = format!("http://{}/", running.http);
            let request = Request::get(uri).body(Body::empty()).unwrap();
            // The reset may overtake the head.
            let whole = match patiently(client(front).request(request)).await {
                Ok(response) if response.status() == 200 => {
                    patiently(response.into_body().collect()).await.is_ok()
                }
                Ok(response) => response.status() != 502,
                Err(_) => false,
            };
            assert!(!whole, "{to} {front:?}");
        }
        let (_, log) = running.terminate();
        assert!(log.contains(&to), "{to}: {log}");
    }
}

/// The only upstreams are tried even if they are left out: a reason of their own says more than
/// that none is well.
#[tokio::test(flavor = "multi_thread")]
async fn without_an_upstream_that_is_well_the_last_reason_is_told() {
    let (one, two) = (nobody().await, nobody().await);
    let to = format!("http://{one},h2c://{two}");
    let (_directory, running) = forward(&to, &["--proxy-max-fails", "1"]);
    for _ in 0..3 {
        let got = get(&running, Some(Version::Http2), "/").await;
        assert_eq!(got.0, 502, "{got:?}");
        assert_eq!(got.1, "lacewingd; error=connection_refused");
    }
    let (_, log) = running.terminate();
    for upstream in [format!("http://{one}"), format!("h2c://{two}")] {
        let line = format!("upstream {upstream} is left out for now");
        assert_eq!(log.matches(&line).count(), 1, "{log}");
    }
}

/// Requests wait for a connection; one above the bound of the queue is refused at once.
#[tokio::test(flavor = "multi_thread")]
async fn requests_above_the_queue_are_refused() {
    let silent = script(|mut peer: Script| async move { peer.hold().await }).await;
    let options = ["--proxy-connections", "1"];
    let (_directory, running) = forward(&format!("http://{silent}"), &options);
    let mut asking = JoinSet::new();
    for _ in 0..14 {
        let client = client(Some(Version::Http2));
        for _ in 0..90 {
            let uri = format!("http://{}/", running.http);
            let request = Request::get(uri).body(Body::empty()).unwrap();
            asking.spawn(client.request(request));
        }
    }
    let refused = patiently(asking.join_next()).await.unwrap();
    let refused = refused.unwrap().unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(
        refused.headers()["proxy-status"],
        "lacewingd; error=connection_limit_reached"
    );
}
