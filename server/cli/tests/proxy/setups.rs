//! Setups: hosts, trusted clients, TLS and Unix sockets to upstreams, slow readers.

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{Body, Version};
use lacewing_server::{Identity, Protocol, RequestBody, Server, service_fn};
use tokio::sync::mpsc;

use crate::{
    peers::{BACKS, FRONTS, Pieces, client, forward, patiently, upstream},
    program::{Directory, Running},
};

async fn seen(request: Request<RequestBody>) -> Response<String> {
    let protocol = request.body().connection().unwrap().protocol();
    let field = |name: &str| {
        let value = request.headers().get(name);
        value.map_or("", |value| value.to_str().unwrap()).to_owned()
    };
    let host = request
        .uri()
        .authority()
        .map_or(field("host"), ToString::to_string);
    let text = format!(
        "{protocol} {host} | {} | {}",
        field("forwarded"),
        field("x-forwarded-for")
    );
    Response::new(text)
}

async fn ask(running: &Running, front: Option<Version>) -> String {
    let request = Request::get(format!("http://{}/", running.http))
        .header("host", "a.example")
        .header("x-forwarded-for", "203.0.113.9")
        .body(Body::empty())
        .unwrap();
    let response = patiently(client(front).request(request)).await.unwrap();
    let body = patiently(response.into_body().collect()).await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

/// The host, and what the upstream learns of the client, in every combination.
#[tokio::test(flavor = "multi_thread")]
async fn upstreams_learn_the_host_and_the_client() {
    let client_is = "for=127.0.0.1;host=\"a.example\";proto=http | 127.0.0.1";
    for (scheme, protocol) in BACKS {
        let address = upstream(protocol, seen).await;
        let to = format!("{scheme}://{address}");
        let (_directory, running) = forward(&to, &[]);
        for front in FRONTS {
            let expected = format!("{protocol} a.example | {client_is}");
            assert_eq!(ask(&running, front).await, expected, "{front:?}");
        }
        let (_directory, running) = forward(&to, &["--change-host-header"]);
        let expected = format!("{protocol} {address} | {client_is}");
        assert_eq!(ask(&running, None).await, expected);
        let (_directory, running) = forward(&to, &["--trusted-proxy", "127.0.0.0/8"]);
        let text = ask(&running, None).await;
        assert!(text.ends_with("| 203.0.113.9, 127.0.0.1"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_may_be_behind_tls_and_on_unix_sockets() {
    let directory = Directory::new("lacewingd-proxy-tls");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (directory.path("cert.pem"), directory.path("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    for protocol in [Protocol::Http2, Protocol::Spdy31, Protocol::Http1] {
        let socket = directory.path(&format!("{}.sock", protocol.alpn().replace('/', "-")));
        let identity = Identity::from_pem_files(&cert, &key).unwrap();
        let builder = Server::builder()
            .bind_tls(([127, 0, 0, 1], 0).into(), identity)
            .bind_unix(&socket)
            .options(|options| options.protocols([protocol]));
        let server = builder.build().await.unwrap();
        let port = server.local_addrs().next().unwrap().port();
        let service =
            service_fn(|request| async { Ok::<_, std::convert::Infallible>(seen(request).await) });
        tokio::spawn(server.serve(service));
        let scheme = match protocol {
            Protocol::Http2 => "unix+h2c",
            Protocol::Spdy31 => "unix+spdy31",
            _ => "unix",
        };
        let (_directory, running) = forward(&format!("{scheme}:{}", socket.display()), &[]);
        let text = ask(&running, Some(Version::Http2)).await;
        assert!(
            text.starts_with(&format!("{protocol} a.example | ")),
            "{text}"
        );
        let to = format!("https://localhost:{port}");
        let (_directory, running) = forward(&to, &["--proxy-ca", cert.to_str().unwrap()]);
        let text = ask(&running, Some(Version::Http2)).await;
        assert!(
            text.starts_with(&format!("{protocol} a.example | ")),
            "{text}"
        );
        let (_directory, running) = forward(&to, &[]);
        let text = ask(&running, None).await;
        assert!(text.contains("certificate is not trusted"), "{text}");
    }
}

/// A client that reads nothing holds a window and no more, and stops nobody else on the upstream's
/// connection.
#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_cost_a_window_and_stop_nobody() {
    let endless = |request: Request<RequestBody>| async move {
        let (send, receive) = mpsc::channel(1);
        let endless = request.uri().path() == "/endless";
        tokio::spawn(async move {
            let piece = Bytes::from(vec![7; 16 << 10]);
            let pieces = if endless { u32::MAX } else { 64 };
            for _ in 0..pieces {
                if send.send(Frame::data(piece.clone())).await.is_err() {
                    return;
                }
            }
        });
        Response::new(Pieces(receive))
    };
    // SPDY/2 has no windows: there, one slow client stops the others on its connection.
    for (scheme, protocol) in BACKS.into_iter().take(4) {
        let address = upstream(protocol, endless).await;
        let (_directory, running) = forward(&format!("{scheme}://{address}"), &[]);
        let get = |path: &str| {
            Request::get(format!("http://{}{path}", running.http))
                .body(Body::empty())
                .unwrap()
        };
        let mut slow = Vec::new();
        for front in [Some(Version::Http2), Some(Version::Spdy31)] {
            for _ in 0..3 {
                let slow_client = client(front);
                for _ in 0..5 {
                    let response = patiently(slow_client.request(get("/endless")))
                        .await
                        .unwrap();
                    slow.push((slow_client.clone(), response));
                }
            }
        }
        for front in FRONTS {
            let response = patiently(client(front).request(get("/"))).await.unwrap();
            let body = patiently(response.into_body().collect()).await.unwrap();
            assert_eq!(body.to_bytes().len(), 1 << 20, "{front:?} {scheme}");
        }
        // Thirty of them, each at most 256 KiB from the upstream and as much towards the client.
        #[cfg(target_os = "linux")]
        assert!(
            running.peak_memory() < 96 << 10,
            "{scheme}: {} KiB",
            running.peak_memory()
        );
        drop(slow);
    }
}

/// An upload to an upstream that reads nothing stops at the windows.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_wait_for_a_slow_upstream() {
    for (scheme, protocol) in BACKS {
        let deaf = |request: Request<RequestBody>| async move {
            std::future::pending::<()>().await;
            drop(request);
            Response::new(Full::new(Bytes::new()))
        };
        let address = upstream(protocol, deaf).await;
        let (_directory, running) = forward(&format!("{scheme}://{address}"), &[]);
        for front in FRONTS {
            let (send, receive) = mpsc::channel(1);
            let uri = format!("http://{}/", running.http);
            let request = Request::post(uri).body(Pieces(receive)).unwrap();
            let asking = tokio::spawn(client(front).request(request));
            let piece = Bytes::from(vec![7; 64 << 10]);
            let mut sent = 0;
            let pause = std::time::Duration::from_millis(500);
            while let Ok(Ok(())) =
                tokio::time::timeout(pause, send.send(Frame::data(piece.clone()))).await
            {
                sent += piece.len();
                assert!(
                    sent < 64 << 20,
                    "{front:?} {scheme}: it is collected somewhere"
                );
            }
            asking.abort();
        }
    }
}
