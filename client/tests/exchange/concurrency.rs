//! More requests than a server permits streams.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use lacewing_client::{
    Body, Client, ClientError, ClientOptions, Concurrency, Connect, Connected, Connecting,
    Connection, ConnectionConfig, Limits, Origin, Side, Version,
};
use lacewing_server::ServerOptions;
use tower_service::Service;

use crate::support::*;

fn options(max_concurrent_streams: u32) -> ServerOptions {
    ServerOptions::default().connection(ConnectionConfig::new(Side::Server).with(|config| {
        config.limits = Limits::new(Side::Server)
            .with(|limits| limits.max_concurrent_streams = max_concurrent_streams)
            .into()
    }))
}

fn poll_ready(connection: &mut Connection, cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
    Service::<http::Request<Body>>::poll_ready(connection, cx)
}

fn is_ready(connection: &mut Connection) -> bool {
    poll_ready(connection, &mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn fail_says_how_many_there_are_and_may_be() {
    every_version(|version| async move {
        let config = ClientOptions::default().concurrency(Concurrency::Fail);
        let mut pair = pair_with(version, config, options(2));
        let response = pair.connection.request(get("/hello")).await.unwrap();
        assert_eq!(text(response).await, "hello world");
        until("an idle connection", || pair.connection.streams().open == 0).await;
        assert_eq!(pair.connection.streams().max, 2);
        let first = pair.connection.request(get("/stall")).await.unwrap();
        assert!(pair.connection.streams().has_room());
        let second = pair.connection.request(get("/stall")).await.unwrap();
        let streams = pair.connection.streams();
        assert_eq!((streams.open, streams.queued, streams.max), (2, 0, 2));
        let error = pair.connection.request(get("/hello")).await.unwrap_err();
        assert!(
            matches!(error, ClientError::TooManyStreams { open: 2, max: 2 }),
            "{error}"
        );
        assert!(error.is_retryable());
        assert!(error.to_string().contains("allows 2"), "{error}");

        // `poll_ready` waits for a stream, and then `call` uses it.
        assert!(!is_ready(&mut pair.connection));
        drop(first);
        let connection = &mut pair.connection;
        poll_fn(|cx| poll_ready(connection, cx)).await.unwrap();
        assert_eq!(pair.connection.streams().queued, 1);
        let mut other = pair.connection.clone();
        assert!(!is_ready(&mut other), "the promised stream is not free");
        let error = other.request(get("/hello")).await.unwrap_err();
        assert!(
            matches!(error, ClientError::TooManyStreams { .. }),
            "{error}"
        );
        let response = pair.connection.call(get("/hello")).await.unwrap();
        assert_eq!(text(response).await, "hello world");
        drop(second);
        until("an idle connection", || pair.connection.is_idle()).await;
        assert_eq!(pair.witness.requests.load(Ordering::SeqCst), 4);
    });
}

/// Before the server's settings arrive, the client assumes 100 streams. A request beyond the real
/// number receives an error.
#[test]
fn fail_before_the_settings_came() {
    every_version(|version| async move {
        let config = ClientOptions::default().concurrency(Concurrency::Fail);
        let pair = pair_with(version, config, options(3));
        assert_eq!(pair.connection.streams().max, 100);
        let responses: Vec<_> = (0..150)
            .map(|_| pair.connection.request(get("/hello")))
            .collect();
        let mut answered = 0;
        for response in responses {
            match response.await {
                Ok(response) => {
                    assert_eq!(text(response).await, "hello world");
                    answered += 1;
                }
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
        }
        assert!((3..=100).contains(&answered), "{version}: {answered}");
        assert_eq!(pair.connection.streams().queued, 0);
    });
}

#[test]
fn a_single_connection_queues_where_it_cannot_open_another() {
    every_version(|version| async move {
        let config = ClientOptions::default().concurrency(Concurrency::OpenAnother { max: 2 });
        let pair = pair_with(version, config, options(1));
        let first = pair.connection.request(get("/hello")).await.unwrap();
        assert_eq!(text(first).await, "hello world");
        let stalled = pair.connection.request(get("/stall")).await.unwrap();
        let waiting = pair.connection.request(get("/hello"));
        assert_eq!(pair.connection.streams().queued, 1);
        drop(stalled);
        assert_eq!(text(waiting.await.unwrap()).await, "hello world");
    });
}

/// A server in memory for each connection.
#[derive(Clone)]
struct InMemory {
    version: Version,
    streams: u32,
    dialled: Arc<AtomicUsize>,
    witness: Witness,
}

impl Connect for InMemory {
    fn connect<'a>(&'a self, _origin: &'a Origin) -> Connecting<'a> {
        Box::pin(async move {
            self.dialled.fetch_add(1, Ordering::SeqCst);
            let (client, server) = tokio::io::duplex(64 * 1024);
            serve(
                server,
                self.version,
                options(self.streams),
                self.witness.clone(),
            );
            Ok(Connected::new(client, self.version))
        })
    }
}

fn in_memory(version: Version, streams: u32) -> InMemory {
    InMemory {
        version,
        streams,
        dialled: Arc::default(),
        witness: Witness::default(),
    }
}

#[test]
fn another_connection_is_opened_up_to_a_number() {
    every_version(|version| async move {
        let connector = in_memory(version, 2);
        let client = Client::builder()
            .connector(connector.clone())
            .options(|options| options.concurrency(Concurrency::OpenAnother { max: 3 }))
            .build();
        let mut stalled = Vec::new();
        for open in 0..6 {
            let response = client.request(get("/hello")).await.unwrap();
            assert_eq!(text(response).await, "hello world", "{version} {open}");
            stalled.push(client.request(get("/stall")).await.unwrap());
        }
        assert_eq!(connector.dialled.load(Ordering::SeqCst), 3, "{version}");
        assert_eq!(client.connections(), 3);
        // All connections are full: the request waits.
        let waiting = tokio::spawn(client.request(get("/hello")));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(stalled);
        let response = waiting.await.unwrap().unwrap();
        assert_eq!(text(response).await, "hello world");
        assert_eq!(connector.dialled.load(Ordering::SeqCst), 3, "{version}");
    });
}

/// The bound of the pool has priority over the policy: excess requests wait on the existing
/// connections.
#[test]
fn no_more_connections_are_opened_than_are_kept() {
    every_version(|version| async move {
        let connector = in_memory(version, 1);
        let client = Client::builder()
            .connector(connector.clone())
            .options(|options| options.concurrency(Concurrency::OpenAnother { max: 8 }))
            .max_connections(2)
            .build();
        let mut stalled = Vec::new();
        for _ in 0..2 {
            let response = client.request(get("/hello")).await.unwrap();
            assert_eq!(text(response).await, "hello world");
            stalled.push(client.request(get("/stall")).await.unwrap());
        }
        let waiting: Vec<_> = (0..5)
            .map(|_| tokio::spawn(client.request(get("/hello"))))
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(client.connections(), 2);
        drop(stalled);
        for response in waiting {
            let response = response.await.unwrap().unwrap();
            assert_eq!(text(response).await, "hello world");
        }
        assert_eq!(connector.dialled.load(Ordering::SeqCst), 2, "{version}");
    });
}

/// The client does not know the server's stream limit yet. It repeats requests that the server
/// refuses for it, on this connection or another.
#[test]
fn a_burst_ahead_of_the_settings_loses_nothing() {
    every_version(|version| async move {
        for policy in [Concurrency::Queue, Concurrency::OpenAnother { max: 4 }] {
            let connector = in_memory(version, 2);
            let client = Client::builder()
                .connector(connector.clone())
                .options(|options| options.concurrency(policy))
                .build();
            let tasks: Vec<_> = (0..30)
                .map(|_| tokio::spawn(client.request(get("/hello"))))
                .collect();
            for task in tasks {
                let response = task.await.unwrap().unwrap();
                assert_eq!(text(response).await, "hello world");
            }
            assert_eq!(connector.witness.requests.load(Ordering::SeqCst), 30);
        }
    });
}
