//! The client repeats requests that a server did not process, and no others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::BytesMut;
use lacewing_client::{
    Body, Client, ClientError, ClientOptions, Connect, Connected, Connecting, ConnectionConfig,
    Limits, Origin, Reason, Side, Version,
};
use lacewing_conn::proto::{Config as EngineConfig, Engine, Event, Head};
use lacewing_server::ServerOptions;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::mpsc,
};

use crate::support::{peer::*, *};

/// The test takes the other ends of the first connections. Later ones lead to a real server.
#[derive(Clone)]
struct ByHand {
    version: Version,
    dialled: Arc<AtomicUsize>,
    first: usize,
    ends: mpsc::UnboundedSender<DuplexStream>,
    witness: Witness,
}

impl ByHand {
    fn new(first: usize) -> (Self, mpsc::UnboundedReceiver<DuplexStream>) {
        Self::of(Version::Http2, first)
    }

    fn of(version: Version, first: usize) -> (Self, mpsc::UnboundedReceiver<DuplexStream>) {
        let (ends, taken) = mpsc::unbounded_channel();
        let connector = Self {
            version,
            dialled: Arc::default(),
            first,
            ends,
            witness: Witness::default(),
        };
        (connector, taken)
    }
}

impl Connect for ByHand {
    fn connect<'a>(&'a self, _origin: &'a Origin) -> Connecting<'a> {
        Box::pin(async move {
            let (client, server) = tokio::io::duplex(64 * 1024);
            if self.dialled.fetch_add(1, Ordering::SeqCst) < self.first {
                self.ends.send(server).unwrap();
            } else {
                let witness = self.witness.clone();
                serve(server, self.version, ServerOptions::default(), witness);
            }
            Ok(Connected::new(client, self.version))
        })
    }
}

#[tokio::test]
async fn a_goaway_in_the_middle_of_many_requests_loses_none() {
    let (connector, mut ends) = ByHand::new(1);
    let client = Client::builder().connector(connector.clone()).build();
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move {
                if number % 2 == 0 {
                    client.request(get("/hello")).await
                } else {
                    let body = Body::from(format!("body {number}"));
                    client.request(post("/digest", body)).await
                }
            })
        })
        .collect();
    let mut peer = Peer::start(ends.recv().await.unwrap(), &[]).await;
    let mut last = 0;
    while last < 39 {
        let frame = peer.next().await.unwrap();
        if frame.kind == HEADERS {
            last = frame.stream;
        }
    }
    peer.go_away(19, 0).await;
    for stream in (1..=19).step_by(2) {
        peer.answer(stream).await;
    }
    let mut by_server = 0;
    for (number, task) in tasks.into_iter().enumerate() {
        let text = text(task.await.unwrap().unwrap()).await;
        if !text.is_empty() {
            by_server += 1;
            let digest = sha256(format!("body {number}").as_bytes());
            assert!(text == "hello world" || text == digest, "{text}");
        }
    }
    assert_eq!(by_server, 10);
    assert_eq!(connector.witness.requests.load(Ordering::SeqCst), 10);
    assert_eq!(connector.dialled.load(Ordering::SeqCst), 2);
}

/// Over SPDY too, the last-good id decides: of four requests one has its answer, one may have been
/// processed, and two are repeated.
#[tokio::test]
async fn a_goaway_of_spdy_says_what_is_made_again() {
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        let (connector, mut ends) = ByHand::of(version, 1);
        let client = Client::builder().connector(connector.clone()).build();
        let tasks = [(); 4].map(|()| tokio::spawn(client.request(get("/hello"))));
        let mut io = ends.recv().await.unwrap();
        let config = EngineConfig::new(version, Side::Server);
        let mut engine = Engine::new(config, Instant::now(), 1);
        let (mut input, mut opened) = (BytesMut::new(), Vec::new());
        while opened.len() < 4 {
            io.read_buf(&mut input).await.unwrap();
            while let Some(event) = engine.poll_event(Instant::now(), &mut input) {
                if let Event::Opened { stream, .. } = event {
                    opened.push(stream);
                }
            }
        }
        let answer = Head::response(http::StatusCode::NO_CONTENT);
        engine
            .stream(Instant::now(), opened[0])
            .reply(answer, true)
            .unwrap();
        while !engine.output().is_empty() {
            io.write_buf(engine.output()).await.unwrap();
        }
        // GOAWAY: the last accepted stream is 3. SPDY/3 adds a status.
        let mut go_away = vec![0x80, 3, 0, 7, 0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, 0];
        if version == Version::Spdy2 {
            go_away[1] = 2;
            go_away[7] = 4;
            go_away.truncate(12);
        }
        io.write_all(&go_away).await.unwrap();
        let both = || connector.witness.requests.load(Ordering::SeqCst) == 2;
        until("the requests that are made again", both).await;
        drop(io);
        let (mut answered, mut again, mut lost) = (0, 0, 0);
        for task in tasks {
            match task.await.unwrap() {
                Ok(response) if response.status() == 204 => answered += 1,
                Ok(response) => {
                    assert_eq!(text(response).await, "hello world", "{version}");
                    again += 1;
                }
                Err(error) => {
                    assert!(!error.is_retryable(), "{version}: {error}");
                    lost += 1;
                }
            }
        }
        assert_eq!((answered, again, lost), (1, 2, 1), "{version}");
        assert_eq!(connector.dialled.load(Ordering::SeqCst), 2, "{version}");
    }
}

#[tokio::test]
async fn a_refused_stream_is_asked_for_again_but_not_for_ever() {
    let (connector, mut ends) = ByHand::new(1);
    let client = Client::builder()
        .connector(connector)
        .max_retries(3)
        .build();
    let response = tokio::spawn(client.request(get("/hello")));
    let mut peer = Peer::start(ends.recv().await.unwrap(), &[]).await;
    for attempt in 0..4 {
        let stream = peer.expect(HEADERS).await.stream;
        assert_eq!(stream, attempt * 2 + 1);
        peer.reset(stream, REFUSED_STREAM).await;
    }
    let error = response.await.unwrap().unwrap_err();
    assert!(error.is_retryable(), "{error}");
    let reason = error.connection().map(|error| error.reason());
    assert_eq!(reason, Some(Reason::RefusedStream));
}

#[tokio::test]
async fn what_may_have_been_processed_is_not_repeated() {
    let (connector, mut ends) = ByHand::new(2);
    let client = Client::builder().connector(connector.clone()).build();
    // The server cancelled it.
    let response = tokio::spawn(client.request(get("/hello")));
    let mut peer = Peer::start(ends.recv().await.unwrap(), &[]).await;
    peer.expect(HEADERS).await;
    peer.reset(1, CANCEL).await;
    let error = response.await.unwrap().unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    // At or below the last processed stream, and without an answer.
    let response = tokio::spawn(client.request(get("/hello")));
    peer.expect(HEADERS).await;
    peer.go_away(3, 0).await;
    drop(peer);
    let error = response.await.unwrap().unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    assert_eq!(connector.witness.requests.load(Ordering::SeqCst), 0);
}

/// A body of unknown source cannot be sent again after more of it was sent than the client keeps.
/// The error says that the request is retryable, and the caller decides.
#[tokio::test]
async fn a_stream_that_was_begun_is_not_repeated_and_one_that_was_not_is() {
    let (connector, mut ends) = ByHand::new(1);
    let client = Client::builder()
        .connector(connector.clone())
        .replay_limit(100)
        .build();
    let body = || Generator::new(10_000, Arc::default());
    let begun = tokio::spawn(client.request(post("/digest", body())));
    let mut peer = Peer::start(ends.recv().await.unwrap(), &[]).await;
    peer.expect(HEADERS).await;
    while !peer.expect(DATA).await.ends() {}
    peer.reset(1, REFUSED_STREAM).await;
    let error = begun.await.unwrap().unwrap_err();
    assert!(error.is_retryable(), "{error}");

    let mut request = post("/digest", body());
    let value = http::HeaderValue::from_static("100-continue");
    request.headers_mut().insert(http::header::EXPECT, value);
    let fresh = tokio::spawn(client.request(request));
    peer.expect(HEADERS).await;
    peer.go_away(1, 0).await;
    let response = fresh.await.unwrap().unwrap();
    assert_eq!(text(response).await, sha256(&pattern(10_000)));
    assert_eq!(connector.witness.requests.load(Ordering::SeqCst), 1);
}

/// Requests that wait for a stream when the server leaves move to another connection as a whole.
#[tokio::test]
async fn requests_that_wait_move_to_a_new_connection() {
    let (connector, mut ends) = ByHand::new(1);
    let client = Client::builder().connector(connector.clone()).build();
    let first = tokio::spawn(client.request(get("/hello")));
    let mut peer = Peer::start(ends.recv().await.unwrap(), &[(3, 1)]).await;
    peer.expect(HEADERS).await;
    peer.answer(1).await;
    first.await.unwrap().unwrap();
    let open = tokio::spawn(client.request(get("/hello")));
    peer.expect(HEADERS).await;
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let body = Generator::new(1000, Arc::default());
            tokio::spawn(client.request(post("/digest", body)))
        })
        .collect();
    // The open request is answered after the server's GOAWAY.
    peer.go_away(3, 0).await;
    for response in waiting {
        let response = response.await.unwrap().unwrap();
        assert_eq!(text(response).await, sha256(&pattern(1000)));
    }
    peer.answer(3).await;
    assert_eq!(open.await.unwrap().unwrap().status(), 200);
    assert_eq!(connector.witness.requests.load(Ordering::SeqCst), 10);
}

/// A real server behind every connection, which soon ends each connection.
#[derive(Clone)]
struct Leaving {
    version: Version,
    limits: Limits,
    dialled: Arc<AtomicUsize>,
    witness: Witness,
}

impl Connect for Leaving {
    fn connect<'a>(&'a self, _origin: &'a Origin) -> Connecting<'a> {
        Box::pin(async move {
            self.dialled.fetch_add(1, Ordering::SeqCst);
            let (client, server) = tokio::io::duplex(64 * 1024);
            let options = ServerOptions::default().connection(
                ConnectionConfig::new(Side::Server)
                    .with(|config| config.limits = self.limits.clone().into()),
            );
            serve(server, self.version, options, self.witness.clone());
            Ok(Connected::new(client, self.version))
        })
    }
}

#[test]
fn connections_that_servers_end_by_age_or_idleness_lose_nothing() {
    every_version(|version| async move {
        tokio::time::pause();
        let step = Duration::from_millis(100);
        let by_age =
            Limits::new(Side::Server).with(|limits| limits.max_connection_age = Some(step * 7));
        let by_idleness =
            Limits::new(Side::Server).with(|limits| limits.idle_timeout = Some(step * 2));
        for limits in [by_age, by_idleness] {
            let connector = Leaving {
                version,
                limits,
                dialled: Arc::default(),
                witness: Witness::default(),
            };
            let client = Client::builder().connector(connector.clone()).build();
            for number in 0..40 {
                let responses: Vec<_> = (0..5)
                    .map(|_| tokio::spawn(client.request(get("/hello"))))
                    .collect();
                for response in responses {
                    let response = response.await.unwrap().unwrap();
                    assert_eq!(text(response).await, "hello world");
                }
                // Sometimes at the very moment when the server leaves.
                tokio::time::sleep(step * (number % 4)).await;
            }
            assert_eq!(connector.witness.requests.load(Ordering::SeqCst), 200);
            let dialled = connector.dialled.load(Ordering::SeqCst);
            assert!((5..=40).contains(&dialled), "{version}: {dialled}");
        }
    });
}

#[test]
fn a_ping_measures_the_round_trip() {
    every_version(|version| async move {
        let pair = pair(version);
        assert_eq!(pair.connection.round_trip(), None);
        let patience = Duration::from_secs(60);
        let (first, second) = tokio::join!(
            pair.connection.ping(patience),
            pair.connection.ping(patience)
        );
        first.unwrap();
        second.unwrap();
        assert!(pair.connection.round_trip().is_some());
        pair.connection.shutdown();
        until("a closed connection", || pair.client_task.is_finished()).await;
        let error = pair.connection.ping(patience).await.unwrap_err();
        assert!(matches!(error, ClientError::Connection(_)), "{error}");
    });
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_is_not_answered_is_told() {
    let (connection, peer) = by_hand(ClientOptions::default(), &[]).await;
    let after = Duration::from_secs(5);
    let error = connection.ping(after).await.unwrap_err();
    assert!(matches!(error, ClientError::PingTimeout { .. }), "{error}");
    assert_eq!(connection.round_trip(), None);
    drop(peer);
}

/// The answer will not arrive: the error is reported at once, not after the timeout.
#[tokio::test]
async fn a_ping_on_a_connection_that_ends_is_told() {
    let (connection, mut peer) = by_hand(ClientOptions::default(), &[]).await;
    let handle = connection.clone();
    let ping = tokio::spawn(async move { handle.ping(Duration::from_secs(3600)).await });
    while peer.frame().await.unwrap().kind != PING {}
    drop(peer);
    let error = ping.await.unwrap().unwrap_err();
    assert!(matches!(error, ClientError::Connection(_)), "{error}");
}
