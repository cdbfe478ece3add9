//! Refused upgrades, and the fallback from WebSocket to SPDY.

use std::{
    io,
    sync::{Arc, Mutex},
};

use http::{Method, Response, StatusCode, header};
use lacewing_kube::{CommandOutcome, client::ConnectError};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{
    server::{Server, answer},
    *,
};

const QUERY: &str = "command=exit:7&stdout=true";

#[tokio::test(start_paused = true)]
async fn a_refusal_has_the_status_and_kubectls_text() {
    let status =
        r#"{"kind":"Status","status":"Failure","message":"pods \"x\" not found","code":404}"#;
    for transport in TRANSPORTS {
        let before = tasks();
        for (code, body, text) in [
            (404, status, "pods \"x\" not found"),
            (
                403,
                "unable to upgrade: unable to negotiate protocol\n",
                "unable to upgrade: unable to negotiate protocol",
            ),
            (
                400,
                "you must specify at least 1 of stdin, stdout, stderr",
                "you must specify at least 1 of stdin, stdout, stderr",
            ),
            (500, "", "empty server response"),
            (200, "surprise", "surprise"),
        ] {
            let server = Server::new(move |_| {
                let mut response = Response::new(body.to_owned());
                *response.status_mut() = StatusCode::from_u16(code).unwrap();
                response
            });
            let error = soon(request(transport, QUERY).connect(|| server.dial()))
                .await
                .unwrap_err();
            let status = StatusCode::from_u16(code).unwrap();
            let expected = format!("unable to upgrade connection: {text} ({status})");
            assert_eq!(error.to_string(), expected, "{transport:?}");
            let ConnectError::Refused(refusal) = error else {
                panic!("{error:?}");
            };
            assert_eq!(
                (refusal.status(), refusal.message()),
                (status, text.to_owned())
            );
            let dials = usize::from(transport == StreamingProtocol::WebSocketFirst) + 1;
            assert_eq!(server.dials(), dials);
        }
        // Refused upgrades close their sockets.
        tasks_end(before).await;
    }
}

/// A long body is cut, and a body without end has the time of the upgrade.
#[tokio::test(start_paused = true)]
async fn a_long_refusal_is_bounded() {
    for transport in [StreamingProtocol::Spdy, StreamingProtocol::WebSocket] {
        let server = Server::new(|_| {
            let mut response = Response::new("x".repeat(1 << 20));
            *response.status_mut() = StatusCode::FORBIDDEN;
            response
        });
        match soon(request(transport, QUERY).connect(|| server.dial())).await {
            Err(ConnectError::Refused(refusal)) => assert_eq!(refusal.message().len(), 64 << 10),
            other => panic!("{transport:?}: {other:?}"),
        }
    }
}

/// The second attempt is a request of its own, on a connection of its own.
#[tokio::test(start_paused = true)]
async fn the_fallback_is_a_fresh_request() {
    // No WebSocket at all; no common protocol; a foreign one; none.
    for refused in ["404", "403", "foreign", "none"] {
        let before = tasks();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let server = Server::new({
            let seen = Arc::clone(&seen);
            move |request| {
                let key = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned();
                seen.lock()
                    .unwrap()
                    .push((request.method().clone(), request.headers().clone()));
                let Some(key) = key else {
                    return answer(request, |_| {});
                };
                let mut response = Response::builder();
                match refused {
                    "403" => return answer(request, |offer| offer.websocket.clear()),
                    "404" => response = response.status(404),
                    other => {
                        response = response
                            .status(101)
                            .header("connection", "upgrade")
                            .header("upgrade", "websocket")
                            .header("sec-websocket-accept", derive_accept_key(key.as_bytes()));
                        if other == "foreign" {
                            response =
                                response.header("sec-websocket-protocol", "v4.channel.k8s.io");
                        }
                    }
                }
                response.body(String::new()).unwrap()
            }
        });
        let ask = request(StreamingProtocol::WebSocketFirst, QUERY).with(|ask| {
            ask.headers
                .insert("authorization", "Bearer token".parse().unwrap());
        });
        let mut session = soon(ask.connect(|| server.dial())).await.unwrap();
        let mut out = Vec::new();
        soon(session.stdout.take().unwrap().read_to_end(&mut out))
            .await
            .unwrap();
        assert_eq!(
            soon(session.outcome()).await.unwrap(),
            CommandOutcome::Exited(7)
        );
        assert_eq!(
            (out.as_slice(), server.dials()),
            (&b"to stdout"[..], 2),
            "{refused}"
        );
        drop(session);
        let seen = seen.lock().unwrap().clone();
        let [(Method::GET, first), (Method::POST, second)] = &seen[..] else {
            panic!("{seen:?}");
        };
        for headers in [first, second] {
            assert_eq!(headers["authorization"], "Bearer token");
            assert_eq!(headers["host"], "pod");
        }
        assert_eq!(first["sec-websocket-protocol"], "v5.channel.k8s.io");
        assert_eq!(second["upgrade"], "SPDY/3.1");
        assert!(
            second.keys().all(|name| !name.as_str().starts_with("sec-")),
            "{second:?}"
        );
        let offered = second.get_all("x-stream-protocol-version").into_iter();
        let offered: Vec<_> = offered.map(|name| name.to_str().unwrap()).collect();
        let all = [
            "v5.channel.k8s.io",
            "v4.channel.k8s.io",
            "v3.channel.k8s.io",
            "v2.channel.k8s.io",
            "channel.k8s.io",
        ];
        assert_eq!(offered, all);
        tasks_end(before).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_transport_is_no_reason_for_a_fallback() {
    let ask = request(StreamingProtocol::WebSocketFirst, QUERY);
    let mut dials = 0;
    let refused = soon(ask.connect(|| {
        dials += 1;
        let error = io::Error::new(io::ErrorKind::InvalidData, "the certificate has expired");
        std::future::ready(Err::<DuplexStream, _>(error))
    }));
    let error = refused.await.unwrap_err();
    assert!(matches!(error, ConnectError::Connect(_)), "{error:?}");
    assert!(error.to_string().ends_with("the certificate has expired"));
    assert_eq!(dials, 1);
    // The server closes without a response.
    let mut dials = 0;
    let closed = soon(ask.connect(|| {
        dials += 1;
        std::future::ready(Ok(duplex(1024).0))
    }));
    let error = closed.await.unwrap_err();
    assert!(matches!(error, ConnectError::WebSocket(_)), "{error:?}");
    assert_eq!(dials, 1);
    // A key that is not ours: an attack, and not a server without WebSocket.
    let server = Server::new(|_| {
        let response = Response::builder()
            .status(101)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-accept", "aaaaaaaaaaaaaaaaaaaaaaaaaaa=")
            .header("sec-websocket-protocol", "v5.channel.k8s.io");
        response.body(String::new()).unwrap()
    });
    let error = soon(ask.connect(|| server.dial())).await.unwrap_err();
    assert!(matches!(error, ConnectError::WebSocket(_)), "{error:?}");
    assert_eq!(server.dials(), 1);
}

/// A server that does not answer, and a connector that does not return.
#[tokio::test(start_paused = true)]
async fn every_wait_before_the_session_ends() {
    for transport in TRANSPORTS {
        let before = tasks();
        let (here, there) = duplex(64 << 10);
        let mut here = Some(here);
        let began = tokio::time::Instant::now();
        let ask = request(transport, QUERY);
        let error = soon(ask.connect(|| std::future::ready(Ok(here.take().unwrap())))).await;
        let limit = Duration::from_secs(30);
        assert!(
            matches!(error, Err(ConnectError::TimedOut(after)) if after == limit),
            "{error:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(31));
        drop(there);
        tasks_end(before).await;
        let error = soon(ask.connect(std::future::pending::<io::Result<DuplexStream>>)).await;
        assert!(matches!(error, Err(ConnectError::TimedOut(_))), "{error:?}");
    }
}
