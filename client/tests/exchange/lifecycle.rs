//! Ends of all kinds: cancelled, shut down, broken, refused.

use std::{
    future::{Future as _, poll_fn},
    pin::Pin,
    sync::atomic::Ordering,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt as _;
use lacewing_client::{
    ClientError, ClientOptions, Connection, ConnectionConfig, Limits, Reason, Side,
};
use lacewing_server::{ServerOptions, Shutdown};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower_service::Service as _;

use crate::support::*;

#[test]
fn a_dropped_future_resets_its_stream() {
    every_version(|version| async move {
        let pair = pair(version);
        let mut response = Box::pin(pair.connection.request(get("/never")));
        let polled = response
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        let requests = pair.witness.requests.clone();
        until("a request", || requests.load(Ordering::SeqCst) == 1).await;
        assert!(!pair.connection.is_idle());
        drop(response);
        until("an idle connection", || pair.connection.is_idle()).await;
        assert_eq!(
            text(pair.connection.request(get("/hello")).await.unwrap()).await,
            "hello world"
        );
        drop(pair.connection);
        pair.client_task.await.unwrap().unwrap();
        pair.server_task.await.unwrap().unwrap();
        no_tasks_left().await;
    });
}

#[test]
fn a_request_dropped_before_it_is_sent_is_not_sent() {
    every_version(|version| async move {
        let pair = pair(version);
        drop(pair.connection.request(get("/never")));
        assert_eq!(
            text(pair.connection.request(get("/hello")).await.unwrap()).await,
            "hello world"
        );
        assert_eq!(pair.witness.requests.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_dropped_body_resets_its_stream() {
    every_version(|version| async move {
        let pair = pair(version);
        for path in ["/bytes/1000000000", "/stall"] {
            let gone = pair.witness.bodies_gone.load(Ordering::SeqCst);
            let response = pair.connection.request(get(path)).await.unwrap();
            drop(response);
            let bodies_gone = pair.witness.bodies_gone.clone();
            until("the end of the body", || {
                bodies_gone.load(Ordering::SeqCst) == gone + 1
            })
            .await;
            until("an idle connection", || pair.connection.is_idle()).await;
        }
        // All windows have their original size.
        let (length, _) = measure(
            pair.connection
                .request(get("/bytes/5000000"))
                .await
                .unwrap()
                .into_body(),
        )
        .await;
        assert_eq!(length, 5_000_000);
    });
}

#[test]
fn a_graceful_shutdown_of_the_server_loses_nothing() {
    every_version(|version| async move {
        let shutdown = Shutdown::new();
        let options = ServerOptions::default().shutdown(shutdown.signal());
        let pair = pair_with(version, ClientOptions::default(), options);
        let mut responses = Vec::new();
        for _ in 0..20 {
            responses.push(pair.connection.request(get("/bytes/50000")).await.unwrap());
        }
        shutdown.start();
        for response in responses {
            assert_eq!(measure(response.into_body()).await.0, 50_000);
        }
        until("a closed connection", || !pair.connection.is_open()).await;
        let error = pair.connection.request(get("/hello")).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        pair.client_task.await.unwrap().unwrap();
        pair.server_task.await.unwrap().unwrap();
        no_tasks_left().await;
    });
}

#[test]
fn a_graceful_shutdown_of_the_client_loses_nothing() {
    every_version(|version| async move {
        let pair = pair(version);
        let response = pair
            .connection
            .request(get("/bytes/3000000"))
            .await
            .unwrap();
        pair.connection.shutdown();
        let error = pair.connection.request(get("/hello")).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert_eq!(measure(response.into_body()).await.0, 3_000_000);
        pair.client_task.await.unwrap().unwrap();
        pair.server_task.await.unwrap().unwrap();
        no_tasks_left().await;
    });
}

/// The transport breaks after a number of bytes, in one direction or the other. The caller receives
/// a complete response, or an error that says so. Nothing is left.
#[test]
fn a_peer_that_disappears_at_any_point() {
    every_version(|version| async move {
        for (towards_client, towards_server) in (0..400)
            .step_by(9)
            .flat_map(|cut| [(cut, usize::MAX), (usize::MAX, cut)])
        {
            let (client, left) = tokio::io::duplex(64 * 1024);
            let (right, server) = tokio::io::duplex(64 * 1024);
            let relay = tokio::spawn(relay(left, right, towards_client, towards_server));
            let server = serve(
                server,
                version,
                ServerOptions::default(),
                Witness::default(),
            );
            let config = ClientOptions::default();
            let (connection, task) = Connection::handshake(client, version, config);
            let task = tokio::spawn(task);
            let outcome = async {
                let body = Generator::new(200, Default::default());
                let response = connection.request(post("/echo", body)).await?;
                let body = response.into_body().collect().await?.to_bytes();
                Ok::<_, ClientError>(body)
            };
            match outcome.await {
                Ok(body) => assert_eq!(body, pattern(200)),
                Err(ClientError::Connection(error)) => assert!(error.is_connection(), "{error}"),
                Err(error) => panic!("{error}"),
            }
            drop(connection);
            // Each side may report the end in its own way, but its task must end.
            let _ = task.await.unwrap();
            let _ = server.await.unwrap();
            relay.await.unwrap();
            no_tasks_left().await;
        }
    });
}

async fn relay(
    left: tokio::io::DuplexStream,
    right: tokio::io::DuplexStream,
    towards_left: usize,
    towards_right: usize,
) {
    let (mut left_read, mut left_write) = tokio::io::split(left);
    let (mut right_read, mut right_write) = tokio::io::split(right);
    let copy = async |from: &mut (dyn tokio::io::AsyncRead + Unpin + Send),
                      to: &mut (dyn tokio::io::AsyncWrite + Unpin + Send),
                      limit: usize| {
        let mut from = from.take(limit as u64);
        let mut buffer = [0; 64];
        while let Ok(1..) = from.read(&mut buffer[..1]).await {
            if to.write_all(&buffer[..1]).await.is_err() {
                break;
            }
        }
    };
    // If one direction ends, both ends of both pipes are dropped.
    tokio::select! {
        () = copy(&mut left_read, &mut right_write, towards_right) => {}
        () = copy(&mut right_read, &mut left_write, towards_left) => {}
    }
}

#[test]
fn a_task_that_is_dropped_leaves_nobody_waiting() {
    every_version(|version| async move {
        let pair = pair(version);
        let response = pair.connection.request(get("/stall")).await.unwrap();
        let waiting = tokio::spawn(pair.connection.request(get("/never")));
        until("a request", || {
            pair.witness.requests.load(Ordering::SeqCst) == 2
        })
        .await;
        pair.client_task.abort();
        assert!(matches!(
            waiting.await.unwrap(),
            Err(ClientError::Connection(_))
        ));
        assert!(response.into_body().collect().await.is_err());
        let error = pair.connection.request(get("/hello")).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
    });
}

#[test]
fn a_response_over_a_limit_names_the_limit() {
    every_version(|version| async move {
        let fields = Limits::new(Side::Client).with(|limits| limits.max_header_fields = 30);
        let size = Limits::new(Side::Client).with(|limits| limits.max_header_list_size = 2_000);
        for (limits, named, value) in [
            (fields, "max_header_fields", "30"),
            (size, "max_header_list_size", "2000"),
        ] {
            let config = ClientOptions::default().connection(
                ConnectionConfig::new(Side::Client).with(|config| config.limits = limits.into()),
            );
            let mut pair = pair_with(version, config.clone(), ServerOptions::default());
            let response = pair.connection.request(get("/many-fields/100")).await;
            let text_of = response.unwrap_err().to_string();
            assert!(text_of.contains(named), "{version}: {text_of}");
            assert!(text_of.contains(value), "{version}: {text_of}");
            assert!(
                text_of.contains("raise it in Limits"),
                "{version}: {text_of}"
            );

            // SPDY's compression cannot continue after a block that was not inflated completely.
            if !pair.connection.is_open() {
                assert_ne!(version, lacewing_client::Version::Http2);
                assert_eq!(named, "max_header_list_size");
                pair = pair_with(version, config, ServerOptions::default());
            }
            // The same for trailers: the data before them is not lost.
            let response = pair.connection.request(get("/many-trailers/100")).await;
            let mut body = response.unwrap().into_body();
            let data = body.frame().await.unwrap().unwrap();
            assert_eq!(data.into_data().unwrap(), "body");
            let text_of = body.frame().await.unwrap().unwrap_err().to_string();
            assert!(text_of.contains(named), "{version}: {text_of}");
            assert!(text_of.contains(value), "{version}: {text_of}");

            // Only those streams have ended, and the compression states agree.
            if named == "max_header_fields" {
                assert_eq!(
                    text(pair.connection.request(get("/hello")).await.unwrap()).await,
                    "hello world"
                );
            }
        }
    });
}

/// A body that yields some bytes and then fails, at a signal.
struct Broken {
    pieces: usize,
    fail: tokio::sync::oneshot::Receiver<()>,
}

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.pieces > 0 {
            self.pieces -= 1;
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"piece")))));
        }
        Pin::new(&mut self.fail)
            .poll(cx)
            .map(|_| Some(Err(std::io::Error::other("disk on fire"))))
    }
}

#[test]
fn a_request_body_that_fails_is_the_callers_error() {
    every_version(|version| async move {
        let pair = pair(version);
        let (fail, failed) = tokio::sync::oneshot::channel();
        drop(fail);
        let request = post(
            "/digest",
            Broken {
                pieces: 3,
                fail: failed,
            },
        );
        let error = pair.connection.request(request).await.unwrap_err();
        assert!(matches!(error, ClientError::Body(_)), "{error}");
        assert!(error.to_string().contains("disk on fire"));

        // If the response has begun, its body ends with an error.
        let (fail, failed) = tokio::sync::oneshot::channel();
        let request = post(
            "/echo",
            Broken {
                pieces: 3,
                fail: failed,
            },
        );
        let mut body = pair.connection.request(request).await.unwrap().into_body();
        let mut received = 0;
        while received < 15 {
            received += body
                .frame()
                .await
                .unwrap()
                .unwrap()
                .into_data()
                .unwrap()
                .len();
        }
        drop(fail);
        assert!(body.collect().await.is_err());
        until("an idle connection", || pair.connection.is_idle()).await;
        assert_eq!(
            text(pair.connection.request(get("/hello")).await.unwrap()).await,
            "hello world"
        );
    });
}

#[test]
fn requests_wait_for_streams_and_poll_ready_tells_the_truth() {
    every_version(|version| async move {
        let limits = Limits::new(Side::Server).with(|limits| limits.max_concurrent_streams = 2);
        let config = ClientOptions::default().max_queued(3);
        let mut pair = pair_with(
            version,
            config,
            ServerOptions::default().connection(
                ConnectionConfig::new(Side::Server).with(|config| config.limits = limits.into()),
            ),
        );
        // After the first exchange, the server's settings are known.
        assert_eq!(
            text(pair.connection.request(get("/hello")).await.unwrap()).await,
            "hello world"
        );
        let stalled = [
            pair.connection.request(get("/stall")).await.unwrap(),
            pair.connection.request(get("/stall")).await.unwrap(),
        ];
        let waiting: Vec<_> = (0..3)
            .map(|_| pair.connection.request(get("/hello")))
            .collect();
        let error = pair.connection.request(get("/hello")).await.unwrap_err();
        assert!(
            matches!(error, ClientError::QueueFull { limit: 3 }),
            "{error}"
        );
        let request = get("/hello");
        let connection = &mut pair.connection;
        let not_ready = poll_fn(|cx| {
            let ready: Poll<Result<(), ClientError>> = tower_service::Service::<
                http::Request<lacewing_client::Body>,
            >::poll_ready(connection, cx);
            Poll::Ready(ready.is_pending())
        });
        assert!(not_ready.await, "{version}");
        assert_eq!(pair.witness.requests.load(Ordering::SeqCst), 3);
        drop(stalled);
        for response in waiting {
            assert_eq!(text(response.await.unwrap()).await, "hello world");
        }
        let connection = &mut pair.connection;
        poll_fn(|cx| {
            tower_service::Service::<http::Request<lacewing_client::Body>>::poll_ready(
                connection, cx,
            )
        })
        .await
        .unwrap();
        assert_eq!(
            text(pair.connection.call(request).await.unwrap()).await,
            "hello world"
        );
    });
}

#[test]
fn garbage_instead_of_a_server_is_a_protocol_error() {
    every_version(|version| async move {
        let (client, mut server) = tokio::io::duplex(64 * 1024);
        let config = ClientOptions::default();
        let (connection, task) = Connection::handshake(client, version, config);
        let task = tokio::spawn(task);
        server
            .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
        // Closes afterwards, like such servers.
        drop(server);
        let error = connection.request(get("/hello")).await.unwrap_err();
        let ClientError::Connection(error) = error else {
            panic!("{error}")
        };
        assert_ne!(error.reason(), Reason::NoError, "{error}");
        assert!(!connection.is_open());
        let _ = task.await.unwrap();
        no_tasks_left().await;
    });
}
