//! Tower's layers over a client and over a connection, on all four protocols, and `ready()` without
//! type annotations.

use std::{future::Ready, time::Duration};

use http::{Request, Response};
use lacewing_client::{
    Body, Client, ClientError, ClientOptions, Connection, ConnectionConfig, Incoming, Side,
    Version, dial_fn,
};
use lacewing_server::ServerOptions;
use tower::{
    Service, ServiceBuilder, ServiceExt as _, load_shed::error::Overloaded, retry::Policy,
    timeout::error::Elapsed,
};

use crate::support::{Witness, every_version, get, pair, pair_with, serve, text};

/// A client whose connections lead to the test server, in memory.
fn client(version: Version) -> Client {
    let witness = Witness::default();
    let dial = dial_fn(move |_| {
        let (client, server) = tokio::io::duplex(64 * 1024);
        serve(server, version, ServerOptions::default(), witness.clone());
        async { Ok::<_, std::io::Error>(client) }
    });
    Client::builder()
        .cleartext_protocol(version)
        .dial(dial)
        .build()
}

async fn is_hello(response: Result<Response<Incoming>, impl std::fmt::Debug>) {
    assert_eq!(text(response.unwrap()).await, "hello world");
}

#[test]
fn ready_needs_no_annotations() {
    every_version(|version| async move {
        let mut client = client(version);
        is_hello(client.ready().await.unwrap().call(get("/hello")).await).await;
        let mut connection = pair(version).connection;
        is_hello(connection.ready().await.unwrap().call(get("/hello")).await).await;
        // Bodies of any type, through one handle.
        let text = get("/hello").map(|_| String::new());
        is_hello(connection.ready().await.unwrap().call(text).await).await;
        is_hello(connection.oneshot(get("/hello")).await).await;
    });
}

/// Repeats a request whose response is 404, with another path.
#[derive(Clone)]
struct Elsewhere;

impl Policy<Request<Body>, Response<Incoming>, ClientError> for Elsewhere {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        request: &mut Request<Body>,
        result: &mut Result<Response<Incoming>, ClientError>,
    ) -> Option<Ready<()>> {
        if !matches!(result, Ok(response) if response.status() == 404) {
            return None;
        }
        *request = get("/hello");
        Some(std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

/// Each layer alone and all of them in a stack, with several requests at once.
async fn through_layers<S>(service: S)
where
    S: Service<Request<Body>, Response = Response<Incoming>, Error = ClientError>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    const LONG: Duration = Duration::from_secs(60);
    let mut timeout = ServiceBuilder::new().timeout(LONG).service(service.clone());
    is_hello(timeout.ready().await.unwrap().call(get("/hello")).await).await;

    let mut retry = ServiceBuilder::new()
        .retry(Elsewhere)
        .service(service.clone());
    is_hello(retry.ready().await.unwrap().call(get("/nowhere")).await).await;

    // A limit of one, and eight requests.
    let limited = ServiceBuilder::new()
        .concurrency_limit(1)
        .service(service.clone());
    let eight = (0..8).map(|_| limited.clone().oneshot(get("/hello")));
    for response in futures_util::future::join_all(eight).await {
        is_hello(response).await;
    }

    let buffered = ServiceBuilder::new().buffer(2).service(service.clone());
    let eight = (0..8).map(|_| buffered.clone().oneshot(get("/hello")));
    for response in futures_util::future::join_all(eight).await {
        is_hello(response).await;
    }

    let mut shed = ServiceBuilder::new().load_shed().service(service.clone());
    is_hello(shed.ready().await.unwrap().call(get("/hello")).await).await;

    let stack = ServiceBuilder::new()
        .buffer(4)
        .load_shed()
        .concurrency_limit(4)
        .timeout(LONG)
        .retry(Elsewhere)
        .service(service);
    let four = (0..4).map(|_| stack.clone().oneshot(get("/nowhere")));
    for response in futures_util::future::join_all(four).await {
        is_hello(response).await;
    }
}

#[test]
fn layers_over_a_client() {
    every_version(|version| async move {
        through_layers(client(version).for_body()).await;
    });
}

#[test]
fn layers_over_a_connection() {
    every_version(|version| async move {
        through_layers(pair(version).connection.for_body()).await;
    });
}

/// A request that a layer drops is cancelled, and its place is free again.
#[test]
fn a_timeout_gives_the_stream_up() {
    every_version(|version| async move {
        for _ in 0..3 {
            let pair = pair(version);
            let soon = Duration::from_millis(1);
            let mut hasty = ServiceBuilder::new()
                .timeout(soon)
                .service(pair.connection.clone().for_body::<Body>());
            let error = hasty.ready().await.unwrap().call(get("/never")).await;
            assert!(error.unwrap_err().is::<Elapsed>(), "{version}");
            crate::support::until("no stream", || pair.connection.streams().open == 0).await;
        }
    });
}

/// A client with a full queue is not ready, and a layer that sheds load reports it.
#[test]
fn a_full_queue_is_shed() {
    every_version(|version| async move {
        let connection = ConnectionConfig::new(Side::Server)
            .with(|config| config.limits.max_concurrent_streams = 1);
        let options = ServerOptions::default().connection(connection);
        let config = ClientOptions::default().max_queued(1);
        let connection: Connection = pair_with(version, config, options).connection;
        let open = || connection.streams().open;
        let running = tokio::spawn(connection.request(get("/stall")));
        crate::support::until("a stream", || open() == 1).await;
        let response = running.await.unwrap().unwrap();
        // The only stream stays open, and this request waits.
        let waiting = connection.request(get("/hello"));
        crate::support::until("a queue", || connection.streams().queued == 1).await;
        let mut shed = ServiceBuilder::new()
            .load_shed()
            .service(connection.clone().for_body::<Body>());
        let refused = shed.ready().await.unwrap().call(get("/hello")).await;
        assert!(refused.unwrap_err().is::<Overloaded>(), "{version}");
        drop(response);
        is_hello(waiting.await).await;
    });
}
