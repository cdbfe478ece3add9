//! Servers that end each connection after some requests, as nginx does by `keepalive_requests`,
//! while many more requests are open. No request is lost, and none is processed twice.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use http::{HeaderValue, Request, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use lacewing_client::{
    Client, ClientError, Connect, Connected, Connecting, GivenUp, Origin, Reason, Side, Version,
};
use lacewing_conn::proto::{Config, Control, Engine, Event, Head, StreamId, StreamKey, Transmit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::support::*;

type AnyBody = UnsyncBoxBody<Bytes, std::io::Error>;

/// The way in which a server reports that it accepts no more requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Farewell {
    /// GOAWAY, then the answers to the accepted requests, as in nginx.
    First,
    /// The answers, then GOAWAY.
    Last,
    /// It refuses excess requests one by one, each when it is complete; then as `Last`.
    Refusals,
}

#[derive(Clone)]
struct Leaving {
    version: Version,
    /// The number of requests that each connection accepts.
    requests: usize,
    farewell: Farewell,
    dialled: Arc<AtomicUsize>,
    /// The number of answers, by request.
    answered: Arc<Mutex<HashMap<String, usize>>>,
}

impl Leaving {
    fn new(version: Version, requests: usize, farewell: Farewell) -> Self {
        Self {
            version,
            requests,
            farewell,
            dialled: Arc::default(),
            answered: Arc::default(),
        }
    }

    /// This number of requests was answered, each once.
    fn assert_answered(&self, requests: usize) {
        let answered = self.answered.lock().unwrap();
        assert_eq!(answered.len(), requests, "{self:?}");
        let twice = answered.iter().find(|(_, times)| **times > 1);
        assert_eq!(twice, None, "{self:?}");
        let needed = requests.div_ceil(self.requests);
        let dialled = self.dialled.load(Ordering::SeqCst);
        assert!(dialled >= needed, "{self:?}: {dialled}");
    }
}

impl std::fmt::Debug for Leaving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            version,
            requests,
            farewell,
            ..
        } = self;
        write!(f, "{version}, {requests} a connection, {farewell:?}")
    }
}

impl Connect for Leaving {
    fn connect<'a>(&'a self, _origin: &'a Origin) -> Connecting<'a> {
        Box::pin(async move {
            self.dialled.fetch_add(1, Ordering::SeqCst);
            let (client, server) = tokio::io::duplex(64 << 10);
            tokio::spawn(Served::new(server, self.clone()).run());
            Ok(Connected::new(client, self.version))
        })
    }
}

/// One connection of such a server, on the engine.
struct Served {
    io: DuplexStream,
    options: Leaving,
    engine: Engine,
    taken: HashMap<StreamKey, (String, usize)>,
    count: usize,
    last: u32,
}

impl Served {
    fn new(io: DuplexStream, options: Leaving) -> Self {
        let config = Config::new(options.version, Side::Server);
        Self {
            io,
            options,
            engine: Engine::new(config, Instant::now(), 1),
            taken: HashMap::new(),
            count: 0,
            last: 0,
        }
    }

    async fn run(mut self) {
        let mut input = BytesMut::new();
        let mut said = false;
        loop {
            while let Some(event) = self.engine.poll_event(Instant::now(), &mut input) {
                self.handle(event);
            }
            let full = self.count == self.options.requests;
            let now = match self.options.farewell {
                Farewell::First => full,
                Farewell::Last => full && self.taken.is_empty(),
                // A server that accepts no more requests continues to refuse them.
                Farewell::Refusals => full && self.taken.is_empty() && self.count > 0,
            };
            // Requests after this GOAWAY are above its last stream.
            self.flush().await;
            if now && !said {
                said = true;
                let frame = go_away(self.options.version, self.last);
                let _ = self.io.write_all(&frame).await;
            }
            if said && self.taken.is_empty() {
                break;
            }
            if self.io.read_buf(&mut input).await.unwrap_or(0) == 0 {
                return;
            }
            if self.options.farewell == Farewell::First && self.count < self.options.requests {
                // The answers follow the requests in flight.
                tokio::task::yield_now().await;
            }
        }
        let _ = self.io.shutdown().await;
        while self.io.read_buf(&mut input).await.unwrap_or(0) > 0 {
            input.clear();
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Opened {
                stream, head, fin, ..
            } => {
                let Control::Request { uri, .. } = head.control else {
                    panic!("{head:?}")
                };
                if self.count == self.options.requests {
                    if self.options.farewell == Farewell::Refusals {
                        self.refuse(stream, fin);
                    }
                    return;
                }
                self.count += 1;
                self.last = stream.id().value();
                self.taken.insert(stream, (uri.path().to_owned(), 0));
                if fin {
                    self.answer(stream);
                }
            }
            Event::Data { stream, data, fin } => {
                self.engine
                    .stream(Instant::now(), stream)
                    .release(data.len());
                if let Some((_, length)) = self.taken.get_mut(&stream) {
                    *length += data.len();
                    if fin {
                        self.answer(stream);
                    }
                } else if self.options.farewell == Farewell::Refusals {
                    self.refuse(stream, fin);
                }
            }
            Event::Headers { stream, fin, .. } if fin && self.taken.contains_key(&stream) => {
                self.answer(stream);
            }
            _ => {}
        }
    }

    fn refuse(&mut self, stream: StreamKey, complete: bool) {
        if complete {
            self.engine
                .stream(Instant::now(), stream)
                .reset(Reason::RefusedStream);
        }
    }

    /// 200, with the length of the received content.
    fn answer(&mut self, stream: StreamKey) {
        let (path, length) = self.taken.remove(&stream).unwrap();
        let mut head = Head::response(StatusCode::OK);
        head.fields.insert("x-length", HeaderValue::from(length));
        self.engine
            .stream(Instant::now(), stream)
            .reply(head, true)
            .unwrap();
        *self
            .options
            .answered
            .lock()
            .unwrap()
            .entry(path)
            .or_default() += 1;
    }

    async fn flush(&mut self) {
        while !matches!(self.engine.poll_transmit(Instant::now()), Transmit::Idle) {}
        while !self.engine.output().is_empty() {
            if self.io.write_buf(self.engine.output()).await.is_err() {
                return;
            }
        }
    }
}

/// A graceful GOAWAY.
fn go_away(version: Version, last: u32) -> Vec<u8> {
    let mut frame = match version {
        Version::Http2 => vec![0, 0, 8, 7, 0, 0, 0, 0, 0],
        Version::Spdy2 => vec![0x80, 2, 0, 7, 0, 0, 0, 4],
        Version::Spdy3 | Version::Spdy31 => vec![0x80, 3, 0, 7, 0, 0, 0, 8],
    };
    frame.extend_from_slice(&StreamId::new(last).value().to_be_bytes());
    if version != Version::Spdy2 {
        frame.extend_from_slice(&[0; 4]);
    }
    frame
}

/// This number of requests, a part of them at once; all must succeed.
async fn load(
    client: &Client,
    requests: usize,
    at_once: usize,
    request: impl Fn(usize) -> (Request<AnyBody>, usize),
) {
    let all = stream::iter(0..requests).map(|number| {
        let (request, length) = request(number);
        let response = client.request(request);
        async move {
            let response = response
                .await
                .unwrap_or_else(|error| panic!("{number}: {error}"));
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()["x-length"], HeaderValue::from(length));
        }
    });
    let mut all = all.buffer_unordered(at_once);
    while all.next().await.is_some() {}
}

fn numbered(number: usize, body: AnyBody) -> Request<AnyBody> {
    let request = if body.is_end_stream() {
        Request::get(format!("http://test.example/{number}"))
    } else {
        Request::post(format!("http://test.example/{number}"))
    };
    request.body(body).unwrap()
}

fn of_bytes(bytes: Vec<u8>) -> AnyBody {
    Full::new(Bytes::from(bytes))
        .map_err(|never| match never {})
        .boxed_unsync()
}

const FAREWELLS: [Farewell; 3] = [Farewell::First, Farewell::Last, Farewell::Refusals];

fn client(connector: &Leaving) -> Client {
    Client::builder().connector(connector.clone()).build()
}

#[test]
fn three_requests_a_connection_and_32_at_once() {
    every_version(|version| async move {
        for farewell in FAREWELLS {
            let connector = Leaving::new(version, 3, farewell);
            let get = |number| (numbered(number, of_bytes(Vec::new())), 0);
            load(&client(&connector), 200, 32, get).await;
            connector.assert_answered(200);
        }
    });
}

#[test]
fn a_hundred_requests_a_connection_and_200_at_once() {
    every_version(|version| async move {
        for farewell in FAREWELLS {
            let connector = Leaving::new(version, 100, farewell);
            let get = |number| (numbered(number, of_bytes(Vec::new())), 0);
            load(&client(&connector), 1000, 200, get).await;
            connector.assert_answered(1000);
        }
    });
}

/// Bodies of one piece, and of several.
#[test]
fn bodies_are_sent_again() {
    every_version(|version| async move {
        for farewell in FAREWELLS {
            let connector = Leaving::new(version, 3, farewell);
            let post = |number: usize| {
                let length = 1 + 997 * number;
                let body = if number % 2 == 0 {
                    of_bytes(vec![7; length])
                } else {
                    let frames = [length / 2, length - length / 2]
                        .map(|length| Ok(Frame::data(Bytes::from(vec![7; length]))));
                    StreamBody::new(stream::iter(frames)).boxed_unsync()
                };
                (numbered(number, body), length)
            };
            load(&client(&connector), 60, 20, post).await;
            connector.assert_answered(60);
        }
    });
}

/// On all available threads, with new requests all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_several_threads() {
    for version in Version::ALL {
        let connector = Leaving::new(version, 3, Farewell::First);
        let client = client(&connector);
        let tasks = [(); 8].map(|()| client.clone()).into_iter().enumerate();
        let tasks: Vec<_> = tasks
            .map(|(task, client)| {
                tokio::spawn(async move {
                    let get = |number| (numbered(task * 100 + number, of_bytes(Vec::new())), 0);
                    load(&client, 40, 8, get).await;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        connector.assert_answered(320);
    }
}

/// A server that accepts no request at all: the request ends with an error that says so.
#[test]
fn a_server_that_takes_nothing_is_given_up() {
    every_version(|version| async move {
        tokio::time::pause();
        for farewell in [Farewell::First, Farewell::Last] {
            let connector = Leaving::new(version, 0, farewell);
            let client = Client::builder()
                .connector(connector.clone())
                .max_retries(3)
                .build();
            let requests = [(); 5].map(|()| client.request(get("/hello")));
            for error in futures_util::future::join_all(requests).await {
                let error = error.unwrap_err();
                let ClientError::NotProcessed { tries, why, .. } = &error else {
                    panic!("{version}: {error}")
                };
                assert_eq!((*tries, *why), (4, GivenUp::TriesSpent), "{version}");
                assert!(error.is_retryable(), "{version}: {error}");
                let text = error.to_string();
                assert!(
                    text.contains("4 tries") && text.contains("max_retries"),
                    "{text}"
                );
            }
            // Requests that wait for the same pause share a connection.
            let dialled = connector.dialled.load(Ordering::SeqCst);
            assert!((4..=20).contains(&dialled), "{version}: {dialled}");
        }
    });
}

/// More of a body was sent than the client keeps: the caller receives an error.
#[test]
fn a_body_that_is_gone_is_told() {
    every_version(|version| async move {
        tokio::time::pause();
        // The server refuses every request.
        let connector = Leaving::new(version, 0, Farewell::Refusals);
        let client = Client::builder()
            .connector(connector)
            .replay_limit(999)
            .build();
        let pieces = |lengths: [usize; 2]| {
            let frames = lengths.map(|length| Ok(Frame::data(Bytes::from(vec![7; length]))));
            numbered(0, StreamBody::new(stream::iter(frames)).boxed_unsync())
        };
        for (request, expected) in [
            (pieces([500, 500]), (1, GivenUp::BodySpent)),
            (pieces([500, 499]), (6, GivenUp::TriesSpent)),
            // The body is one piece in memory.
            (
                numbered(0, of_bytes(vec![7; 5000])),
                (6, GivenUp::TriesSpent),
            ),
        ] {
            let error = client.request(request).await.unwrap_err();
            let ClientError::NotProcessed { tries, why, .. } = &error else {
                panic!("{version}: {error}")
            };
            assert_eq!((*tries, *why), expected, "{version}: {error}");
            assert!(error.is_retryable(), "{version}: {error}");
        }
    });
}
