//! The answers to requests: protocols, refusals, and the bytes around the response.

use bytes::BytesMut;
use http::{HeaderMap, Request, StatusCode};
use lacewing_kube::server::{ForwardOffer, Rejection};

use crate::*;

fn offer() -> CommandOffer {
    CommandOffer::new(CommandStreams::from_query("stdout=true"))
}

fn with(request: &[(&'static str, &'static str)]) -> Request<()> {
    let mut headers = HeaderMap::new();
    for (name, value) in request {
        headers.append(*name, value.parse().unwrap());
    }
    let mut request = Request::get("/exec").body(()).unwrap();
    *request.headers_mut() = headers;
    request
}

fn refusal(request: &[(&'static str, &'static str)]) -> (u16, String) {
    let rejection = offer().accept(&mut with(request)).unwrap_err();
    let status = rejection.status().as_u16();
    let response: http::Response<String> = rejection.into_response();
    let kind = &response.headers()["content-type"];
    assert_eq!(kind, "text/plain; charset=utf-8");
    (status, response.into_body())
}

const UPGRADE: [(&str, &str); 2] = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
const WEBSOCKET: [(&str, &str); 4] = [
    ("connection", "keep-alive, Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

#[test]
fn refusals_have_the_words_of_kubernetes() {
    let protocol = ("x-stream-protocol-version", "v4.channel.k8s.io");
    let required = "unable to upgrade: X-Stream-Protocol-Version is required\n";
    assert_eq!(refusal(&[]), (400, required.into()));
    assert_eq!(refusal(&UPGRADE), (400, required.into()));
    let empty = [UPGRADE[0], UPGRADE[1], ("x-stream-protocol-version", "")];
    assert_eq!(refusal(&empty), (400, required.into()));
    let (status, text) = refusal(&[protocol]);
    assert_eq!(status, 400);
    assert!(
        text.starts_with("unable to upgrade: missing upgrade headers in request"),
        "{text}"
    );
    let (status, text) = refusal(&[protocol, ("connection", "Upgrade"), ("upgrade", "h2c")]);
    assert_eq!(status, 400, "{text}");
    // The next bytes would be the body's.
    for body in [("content-length", "3"), ("transfer-encoding", "chunked")] {
        let text = "unable to upgrade: the request has a body\n";
        let refused = refusal(&[UPGRADE[0], UPGRADE[1], protocol, body]);
        assert_eq!(refused, (400, text.into()));
    }
    let mut old = with(&[UPGRADE[0], UPGRADE[1], protocol]);
    *old.version_mut() = http::Version::HTTP_10;
    let refused: Rejection = offer().accept(&mut old).unwrap_err();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}

#[test]
fn without_a_common_protocol_all_of_ours_are_listed() {
    let mut request = spdy_request(&["v9.channel.k8s.io,v8.channel.k8s.io"]);
    let rejection = offer().accept(&mut request).unwrap_err();
    let accepted = rejection
        .headers()
        .get_all("x-accepted-stream-protocol-versions");
    let ours = [
        "v4.channel.k8s.io",
        "v3.channel.k8s.io",
        "v2.channel.k8s.io",
        "channel.k8s.io",
    ];
    assert_eq!(accepted.iter().collect::<Vec<_>>(), ours);
    assert_eq!(rejection.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        rejection.text(),
        "unable to upgrade: unable to negotiate protocol: client supports [v9.channel.k8s.io \
         v8.channel.k8s.io], server accepts [v4.channel.k8s.io v3.channel.k8s.io \
         v2.channel.k8s.io channel.k8s.io]"
    );
    let rejection = ForwardOffer::new().accept(&mut request).unwrap_err();
    assert_eq!(
        rejection.headers()["x-accepted-stream-protocol-versions"],
        "portforward.k8s.io"
    );
}

#[test]
fn one_offer_serves_every_transport() {
    let (response, _pending) = offer()
        .accept(&mut spdy_request(&[
            "v5.channel.k8s.io",
            "v4.channel.k8s.io",
        ]))
        .unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["upgrade"], "SPDY/3.1");
    assert_eq!(
        response.headers()["x-stream-protocol-version"],
        "v4.channel.k8s.io"
    );

    let mut request = WEBSOCKET.to_vec();
    request.push((
        "sec-websocket-protocol",
        "v5.channel.k8s.io, v4.channel.k8s.io",
    ));
    let (response, _pending) = offer().accept(&mut with(&request)).unwrap();
    assert_eq!(response.status(), 101);
    // The example of RFC 6455 §1.3.
    let accept = &response.headers()["sec-websocket-accept"];
    assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(
        response.headers()["sec-websocket-protocol"],
        "v5.channel.k8s.io"
    );

    let (response, _pending) = offer().accept(&mut with(&WEBSOCKET)).unwrap();
    assert!(!response.headers().contains_key("sec-websocket-protocol"));

    let mut request = WEBSOCKET.to_vec();
    request.push(("sec-websocket-protocol", "SPDY/3.1+portforward.k8s.io"));
    let (response, _pending) = ForwardOffer::new().accept(&mut with(&request)).unwrap();
    let chosen = &response.headers()["sec-websocket-protocol"];
    assert_eq!(chosen, "SPDY/3.1+portforward.k8s.io");
}

/// Raw streams over HTTP/2 have a name of our own. It is refused in the same words as SPDY.
#[test]
fn raw_streams_over_http2_are_asked_for_by_name() {
    let ask = |protocol| {
        with(&[
            ("connection", "Upgrade"),
            ("upgrade", "lacewing-h2"),
            ("x-stream-protocol-version", protocol),
        ])
    };
    let (response, _pending) = offer().accept(&mut ask("v4.channel.k8s.io")).unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["upgrade"], "lacewing-h2");
    let chosen = &response.headers()["x-stream-protocol-version"];
    assert_eq!(chosen, "v4.channel.k8s.io");
    let refused = offer().accept(&mut ask("v3.channel.k8s.io")).unwrap_err();
    assert_eq!(refused.status(), 403);
    let accepted = &refused.headers()["x-accepted-stream-protocol-versions"];
    assert_eq!(accepted, "v4.channel.k8s.io");
    let without = offer().with(|offer| offer.http2.clear());
    let refused = without.accept(&mut ask("v4.channel.k8s.io")).unwrap_err();
    assert_eq!(refused.status(), 403);
    let (response, _pending) = ForwardOffer::new()
        .accept(&mut ask("portforward.k8s.io"))
        .unwrap();
    assert_eq!(response.headers()["upgrade"], "lacewing-h2");
}

#[test]
fn wrong_websockets_are_refused() {
    for missing in ["connection", "sec-websocket-version", "sec-websocket-key"] {
        let fields: Vec<_> = WEBSOCKET
            .into_iter()
            .filter(|(name, _)| *name != missing)
            .collect();
        assert_eq!(refusal(&fields).0, 400, "{missing}");
    }
    let mut fields = WEBSOCKET.to_vec();
    fields.push(("sec-websocket-protocol", "chat"));
    assert_eq!(refusal(&fields).0, 403);
    let mut post = with(&WEBSOCKET);
    *post.method_mut() = http::Method::POST;
    assert_eq!(offer().accept(&mut post).unwrap_err().status(), 400);
    let forward = |fields: &[(&'static str, &'static str)]| {
        let rejection = ForwardOffer::new().accept(&mut with(fields)).unwrap_err();
        (rejection.status().as_u16(), rejection.text().to_owned())
    };
    assert_eq!(forward(&fields).0, 403);
    // Port-forward without the tunnel needs ports.
    let text = "query parameter \"port\" is required";
    assert_eq!(forward(&WEBSOCKET), (400, text.to_owned()));
    let none = offer().with(|offer| offer.websocket.clear());
    assert_eq!(
        none.accept(&mut with(&WEBSOCKET)).unwrap_err().status(),
        403
    );
}

/// Go's clients drop bytes that arrive with the 101.
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_the_clients_first_frame() {
    let offer = offer().with(|offer| {
        offer.limits.ping_interval = Some(Duration::from_secs(1));
    });
    let (_session, mut client) = start(&offer, "v4.channel.k8s.io");
    let early = timeout(Duration::from_secs(29), client.any()).await;
    assert!(early.is_err(), "{early:?}");
    open(&mut client, &["error", "stdout"]).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_behind_the_request_are_the_first_frames() {
    let (here, there) = tokio::io::duplex(64 << 10);
    let mut client = Peer::new(here, Version::Spdy31);
    let mut early = BytesMut::new();
    for (id, kind) in [(1, "error"), (3, "stdout")] {
        crate::peer::syn_stream(&mut client.encoder, &mut early, id, &[("streamtype", kind)]);
    }
    let (_, pending) = offer()
        .accept(&mut spdy_request(&["v4.channel.k8s.io"]))
        .unwrap();
    let session = soon(pending.serve_on(there, early.freeze())).await.unwrap();
    soon(client.expect_reply(1)).await;
    soon(client.expect_reply(3)).await;
    drop(session);
}

/// Without a server that passes on the transport, the error says so.
#[tokio::test(start_paused = true)]
async fn a_request_without_a_transport_is_an_error() {
    let (_, pending) = offer()
        .accept(&mut spdy_request(&["v4.channel.k8s.io"]))
        .unwrap();
    let error = soon(pending.session()).await.unwrap_err();
    assert!(matches!(error, KubeError::NoUpgrade(_)), "{error}");
}
