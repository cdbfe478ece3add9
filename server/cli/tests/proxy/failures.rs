//! Upstreams that fail: what the client and the log learn, and who is asked instead.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{Body, Version};
use lacewing_server::{Protocol, RequestBody};
use tokio::sync::mpsc;

use crate::{
    peers::{FRONTS, Script, client, forward, patiently, script, upstream},
    program::Running,
};

pub(crate) async fn get(
    running: &Running,
    front: Option<Version>,
    path: &str,
) -> (u16, String, String) {
    let uri = format!("http://{}{path}", running.http);
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let response = patiently(client(front).request(request)).await.unwrap();
    let status = response.status().as_u16();
    let reason = response.headers().get("proxy-status").cloned();
    let reason = reason.map_or(String::new(), |reason| reason.to_str().unwrap().to_owned());
    let body = patiently(response.into_body().collect())
        .await
        .unwrap()
        .to_bytes();
    (status, reason, String::from_utf8_lossy(&body).into_owned())
}

/// An address at which nobody listens.
pub(crate) async fn nobody() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// Each phase has a status, an error type of RFC 9209, and a line for people; addresses are for the
/// log alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_why() {
    let after_head = |text: &'static str| async move {
        script(move |mut peer: Script| async move {
            peer.head().await;
            peer.say(text).await;
        })
        .await
    };
    let silent = script(|mut peer: Script| async move { peer.hold().await }).await;
    let mute = upstream(Protocol::Http2, |_| async {
        std::future::pending::<()>().await;
        Response::new(Full::new(Bytes::new()))
    })
    .await;
    let cleartext = script(|mut peer: Script| async move {
        peer.say("HTTP/1.1 400 Bad\r\n\r\n").await;
        peer.hold().await;
    })
    .await;
    let many = "HTTP/1.1 200 OK\r\n".to_owned() + &"x: 1\r\n".repeat(2000) + "\r\n";
    let many: &'static str = many.leak();
    let cases = [
        (
            format!("http://{}", nobody().await),
            502,
            "connection_refused",
            "refused the connection",
        ),
        (
            "unix:/nonexistent/socket".into(),
            502,
            "connection_refused",
            "refused the connection",
        ),
        (
            "http://name.invalid:80".into(),
            502,
            "dns_error",
            "no address",
        ),
        (
            format!("http://{}", after_head("").await),
            502,
            "connection_terminated",
            "before its response",
        ),
        (
            format!("http://{}", after_head("HTTP/1.1 200").await),
            502,
            "connection_terminated",
            "before its response",
        ),
        (
            format!("http://{}", after_head("SSH-2.0-x\r\n\r\n").await),
            502,
            "http_protocol_error",
            "in the protocol",
        ),
        (
            format!(
                "http://{}",
                after_head("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n").await
            ),
            502,
            "http_protocol_error",
            "in the protocol",
        ),
        (
            format!(
                "http://{}",
                after_head("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\na")
                    .await
            ),
            502,
            "http_protocol_error",
            "in the protocol",
        ),
        (
            format!("http://{}", after_head(many).await),
            502,
            "http_response_header_section_size",
            "too large",
        ),
        (
            format!("h2c://{}", after_head("HTTP/1.1 400 Bad\r\n\r\n").await),
            502,
            "http_protocol_error",
            "in the protocol",
        ),
        (
            format!("http://{silent}"),
            504,
            "http_response_timeout",
            "in time",
        ),
        (
            format!("h2c://{mute}"),
            504,
            "http_response_timeout",
            "in time",
        ),
        (
            format!("https://{silent}"),
            504,
            "connection_timeout",
            "in time",
        ),
        (
            format!("https://{cleartext}"),
            502,
            "tls_protocol_error",
            "handshake",
        ),
    ];
    let mut wrong = Vec::new();
    for (to, status, kind, why) in cases {
        let options = [
            "--proxy-response-timeout",
            "2",
            "--proxy-connect-timeout",
            "1",
        ];
        let (_directory, running) = forward(&to, &options);
        for front in FRONTS {
            let got = get(&running, front, "/secret?x").await;
            let expected = format!("lacewingd; error={kind}");
            let inside = to.split("://").last().unwrap();
            if got.0 != status
                || got.1 != expected
                || !got.2.contains(why)
                || got.2.contains(inside)
            {
                wrong.push(format!("{to} {front:?}: {got:?}, not {status} {kind}"));
            }
        }
        let (_, log) = running.terminate();
        let warning = format!("{status} for GET /secret: {to}: ");
        if !log
            .lines()
            .any(|line| line.contains("WARN") && line.contains(&warning))
        {
            wrong.push(format!("{to}: {log}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A response that stands still is reset.
#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_stands_still_is_reset() {
    let address = script(|mut peer: Script| async move {
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
            .await;
        peer.hold().await;
    })
    .await;
    let (_directory, running) =
        forward(&format!("http://{address}"), &["--proxy-idle-timeout", "1"]);
    for front in FRONTS {
        let uri = format!("http://{}/", running.http);
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let response = patiently(client(front).request(request)).await.unwrap();
        assert!(
            patiently(response.into_body().collect()).await.is_err(),
            "{front:?}"
        );
    }
    let (_, log) = running.terminate();
    assert!(
        log.contains("stood still for 1s (--proxy-idle-timeout)"),
        "{log}"
    );
}

/// The upstreams of a route have requests in turn. One that refuses connections costs no request,
/// POST included; it is left out, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn requests_go_to_upstreams_that_are_well() {
    let named = |name: &'static str| {
        move |request: Request<RequestBody>| async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let text = format!("{name} {}", String::from_utf8_lossy(&body));
            Response::new(Full::new(Bytes::from(text)))
        }
    };
    let one = upstream(Protocol::Http1, named("one")).await;
    let two = upstream(Protocol::Spdy31, named("two")).await;
    let dead = nobody().await;
    let route = format!("/=http://{one},spdy31://{two},http://{dead}");
    let (_directory, running) = forward(&route, &[]);
    let mut answers = Vec::new();
    let client = client(Some(Version::Http2));
    for _ in 0..30 {
        let (send, receive) = mpsc::channel(1);
        let uri = format!("http://{}/", running.http);
        let request = Request::post(uri)
            .body(crate::peers::Pieces(receive))
            .unwrap();
        let asking = client.request(request);
        send.send(http_body::Frame::data(Bytes::from("x")))
            .await
            .unwrap();
        drop(send);
        let response = patiently(asking).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = patiently(response.into_body().collect())
            .await
            .unwrap()
            .to_bytes();
        answers.push(String::from_utf8_lossy(&body).into_owned());
    }
    let count = |name: &str| answers.iter().filter(|answer| *answer == name).count();
    assert_eq!(count("one x") + count("two x"), 30, "{answers:?}");
    assert!(count("one x") >= 10 && count("two x") >= 10, "{answers:?}");
    let (_, log) = running.terminate();
    let line = format!("upstream http://{dead} is left out for now");
    assert_eq!(log.matches(&line).count(), 1, "{log}");
    // No client has received a 502, and the log claims none.
    let tried = format!("POST /: another upstream is tried: http://{dead}: cannot connect");
    assert!(log.contains(&tried), "{log}");
    assert!(!log.contains("502 for"), "{log}");
}

/// The line of a request has the reason, in each format.
#[tokio::test(flavor = "multi_thread")]
async fn the_line_of_a_request_has_the_reason() {
    for (format, expected) in [
        ("text", " ms (connection_refused)"),
        ("json", ",\"error\":\"connection_refused\","),
    ] {
        let to = format!("http://{}", nobody().await);
        let (_directory, running) = forward(&to, &["--log-format", format]);
        assert_eq!(get(&running, None, "/lost").await.0, 502);
        let (_, log) = running.terminate();
        let mut lines = log.lines().filter(|line| line.contains("/lost"));
        assert!(lines.any(|line| line.contains(expected)), "{log}");
    }
}

/// Metrics have the state of each upstream, and its failures.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_the_upstreams() {
    let alive = upstream(Protocol::Http1, |_| async {
        Response::new(Full::new(Bytes::from("alive")))
    })
    .await;
    let dead = nobody().await;
    let directory = crate::program::Directory::new("lacewingd-proxy-metrics");
    let (first, second) = (format!("/a=http://{alive}"), format!("/b=http://{dead}"));
    let args = [
        "--https",
        "off",
        "--metrics",
        "127.0.0.1:0",
        "--proxy",
        &first,
    ];
    let args = [&args[..], &["--proxy", &second, "--proxy-max-fails", "1"]].concat();
    let running = Running::start_until(&directory, &args, "metrics at");
    assert_eq!(get(&running, None, "/a").await.0, 200);
    assert_eq!(get(&running, None, "/b").await.0, 502);
    let said = running.said.last().unwrap();
    let uri = said.trim().strip_prefix("metrics at ").unwrap();
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let response = patiently(client(None).request(request)).await.unwrap();
    let page = patiently(response.into_body().collect()).await.unwrap();
    let page = String::from_utf8(page.to_bytes().to_vec()).unwrap();
    for line in [
        format!("lacewingd_upstream_up{{route=\"/a\",upstream=\"http://{alive}\"}} 1\n"),
        format!("lacewingd_upstream_up{{route=\"/b\",upstream=\"http://{dead}\"}} 0\n"),
        format!("lacewingd_upstream_requests{{route=\"/a\",upstream=\"http://{alive}\"}} 0\n"),
        format!(
            "lacewingd_upstream_failures_total{{upstream=\"http://{dead}\",\
             error=\"connection_refused\"}} 1\n"
        ),
    ] {
        assert!(page.contains(&line), "{line}{page}");
    }
}

/// A request that an upstream may have processed is never sent to another.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_sent_is_not_repeated_elsewhere() {
    let (seen, mut sights) = mpsc::unbounded_channel();
    let closes = move |mut peer: Script| {
        let seen = seen.clone();
        async move {
            if peer.head().await.is_some() {
                let _ = seen.send(());
            }
        }
    };
    let closes = std::sync::Arc::new(closes);
    let (first, second) = (closes.clone(), closes);
    let one = script(move |peer| first(peer)).await;
    let two = script(move |peer| second(peer)).await;
    let (_directory, running) = forward(&format!("http://{one},http://{two}"), &[]);
    for front in FRONTS {
        let uri = format!("http://{}/", running.http);
        let request = Request::post(uri).body(String::from("pay")).unwrap();
        let response = patiently(client(front).request(request)).await.unwrap();
        assert_eq!(response.status(), 502, "{front:?}");
        assert!(
            sights.try_recv().is_ok() && sights.try_recv().is_err(),
            "{front:?}"
        );
    }
}

/// An upstream whose check fails gets no requests, until it succeeds; the only upstream of a route
/// is tried all the same.
#[tokio::test(flavor = "multi_thread")]
async fn checks_take_an_upstream_out_and_bring_it_back() {
    let sick = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let state = std::sync::Arc::clone(&sick);
    let checked = upstream(Protocol::Http2, move |request: Request<RequestBody>| {
        let sick = state.load(std::sync::atomic::Ordering::SeqCst);
        async move {
            let mut response = Response::new(Full::new(Bytes::from("checked")));
            if request.uri().path() == "/health" && sick {
                *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            }
            response
        }
    })
    .await;
    let other = upstream(Protocol::Http1, |_| async {
        Response::new(Full::new(Bytes::from("other")))
    })
    .await;
    let options = ["--health-check", "/health", "--health-interval", "1"];
    let alone = format!("/alone=h2c://{checked}");
    let options = [&options[..], &["--proxy", &alone]].concat();
    let (_directory, running) = forward(&format!("h2c://{checked},http://{other}"), &options);
    let mut in_a_row = 0;
    let wait = Duration::from_millis(50);
    patiently(async {
        while in_a_row < 6 {
            let (status, _, body) = get(&running, None, "/").await;
            assert_eq!(status, 200);
            in_a_row = if body == "other" { in_a_row + 1 } else { 0 };
            tokio::time::sleep(wait).await;
        }
    })
    .await;
    assert_eq!(get(&running, None, "/alone").await.2, "checked");
    sick.store(false, std::sync::atomic::Ordering::SeqCst);
    patiently(async {
        while get(&running, None, "/").await.2 != "checked" {
            tokio::time::sleep(wait).await;
        }
    })
    .await;
    let (_, log) = running.terminate();
    assert!(
        log.contains("its health check is answered with 503"),
        "{log}"
    );
    assert!(log.contains("its health check succeeds"), "{log}");
}
