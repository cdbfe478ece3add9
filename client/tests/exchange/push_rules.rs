//! The pushes that a client accepts, on every protocol. The test is the server, on the engine, and
//! promises any request.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use lacewing_client::{ClientOptions, Connection, PushPolicy, Version};
use lacewing_conn::{
    Reason, Side,
    proto::{Config, Engine, Event, Head, StreamKey, Transmit},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::support::*;

/// A server on the engine.
struct Server {
    engine: Engine,
    io: DuplexStream,
    input: BytesMut,
    requests: Vec<StreamKey>,
    resets: Vec<(StreamKey, Reason)>,
}

impl Server {
    /// Its client, with the first request open.
    async fn start(version: Version, policy: PushPolicy) -> (Self, Connection, Page) {
        let (client, io) = tokio::io::duplex(64 << 10);
        let config = ClientOptions::default().accept_push(policy);
        let (connection, task) = Connection::handshake(client, version, config);
        tokio::spawn(task);
        let config = Config::new(version, Side::Server);
        let mut server = Self {
            engine: Engine::new(config, Instant::now(), 1),
            io,
            input: BytesMut::new(),
            requests: Vec::new(),
            resets: Vec::new(),
        };
        let page = tokio::spawn(connection.request(get("/page")));
        server.until(|server| !server.requests.is_empty()).await;
        (server, connection, page)
    }

    fn push(&mut self, uri: &str) -> StreamKey {
        let request = Head::request(Method::GET, uri.parse().unwrap());
        let parent = self.requests[0];
        let push = self
            .engine
            .stream(Instant::now(), parent)
            .push(request)
            .unwrap();
        let ok = Head::response(StatusCode::OK);
        self.engine
            .stream(Instant::now(), push)
            .reply(ok, false)
            .unwrap();
        push
    }

    fn finish(&mut self, stream: StreamKey, text: &'static str) {
        let data = Bytes::from_static(text.as_bytes());
        self.engine
            .stream(Instant::now(), stream)
            .send_data(data, true)
            .unwrap();
    }

    fn reply(&mut self) {
        let ok = Head::response(StatusCode::OK);
        self.engine
            .stream(Instant::now(), self.requests[0])
            .reply(ok, false)
            .unwrap();
    }

    async fn until(&mut self, done: impl Fn(&Self) -> bool) {
        loop {
            while let Some(event) = self.engine.poll_event(Instant::now(), &mut self.input) {
                match event {
                    Event::Opened { stream, .. } => self.requests.push(stream),
                    Event::Reset { stream, error } => self.resets.push((stream, error.reason())),
                    _ => {}
                }
            }
            while self.engine.poll_transmit(Instant::now()) == Transmit::Write {}
            while !self.engine.output().is_empty() {
                self.io.write_buf(self.engine.output()).await.unwrap();
            }
            if done(self) {
                return;
            }
            assert_ne!(self.io.read_buf(&mut self.input).await.unwrap(), 0);
        }
    }
}

type Page = tokio::task::JoinHandle<
    Result<http::Response<lacewing_client::Incoming>, lacewing_client::ClientError>,
>;

/// RFC 9113 §8.4, SPDY/3 §5.1: the server is authoritative for the requested origin, and for no
/// other. spdy-transport calls every push `https`. In cleartext, this can only mean the requested
/// server.
#[test]
fn pushes_are_of_the_origin_that_was_asked() {
    every_version(|version| async move {
        let (mut server, connection, page) = Server::start(version, PushPolicy::default()).await;
        let mut pushes = connection.pushes();
        let spdy = version != Version::Http2;
        let mut taken = Vec::new();
        for (uri, allowed) in [
            ("http://other.example/a", false),
            ("http://test.example:8080/b", false),
            ("http://test.example/c", true),
            ("http://TEST.example:80/d", true),
            ("https://test.example/e", spdy),
            ("https://other.example/f", false),
            ("https://test.example:8443/g", false),
        ] {
            let push = server.push(uri);
            if allowed {
                server.finish(push, "pushed");
                taken.push(uri);
            } else {
                let refused =
                    |server: &Server| server.resets.last().is_some_and(|(key, _)| *key == push);
                server.until(refused).await;
                let (_, reason) = server.resets[server.resets.len() - 1];
                assert_eq!(reason, Reason::ProtocolError, "{version}: {uri}");
            }
        }
        server.reply();
        let parent = server.requests[0];
        server.finish(parent, "page");
        server.until(|server| server.engine.is_idle()).await;
        for uri in taken {
            let pushed = pushes.next().await.unwrap();
            let path = uri.rsplit('/').next().unwrap();
            assert!(
                pushed.request.uri().path().ends_with(path),
                "{version}: {uri}"
            );
            let response = pushed.response.await.unwrap();
            assert_eq!(text(response).await, "pushed", "{version}: {uri}");
        }
        let page = page.await.unwrap().unwrap();
        assert_eq!(text(page).await, "page");
        until("an idle connection", || connection.is_idle()).await;
    });
}

#[test]
fn no_more_pushes_wait_than_the_policy_says() {
    every_version(|version| async move {
        let policy = PushPolicy::default().max_streams(10).max_waiting(2);
        let (mut server, connection, page) = Server::start(version, policy).await;
        let pushes = [(); 4].map(|()| server.push("http://test.example/style"));
        server.until(|server| server.resets.len() == 2).await;
        for (index, (stream, reason)) in server.resets.iter().enumerate() {
            assert_eq!(*stream, pushes[2 + index], "{version}");
            assert_eq!(*reason, Reason::RefusedStream, "{version}");
        }
        // The client takes one push and drops it: the server is notified, and there is room for
        // another.
        let mut waiting = connection.pushes();
        drop(waiting.next().await.unwrap());
        server.until(|server| server.resets.len() == 3).await;
        assert_eq!(server.resets[2], (pushes[0], Reason::Cancel), "{version}");
        let fifth = server.push("http://test.example/fifth");
        server.finish(pushes[1], "second");
        server.finish(fifth, "fifth");
        server.reply();
        let parent = server.requests[0];
        server.finish(parent, "page");
        server.until(|server| server.engine.is_idle()).await;
        for expected in ["second", "fifth"] {
            let pushed = waiting.next().await.unwrap();
            let response = pushed.response.await.unwrap();
            assert_eq!(text(response).await, expected, "{version}");
        }
        assert_eq!(text(page.await.unwrap().unwrap()).await, "page");
    });
}

/// SPDY/3 §3.3.2: to cancel a request cancels its pushes. HTTP/2 has no such rule.
#[test]
fn a_request_that_is_dropped_takes_its_pushes_along() {
    every_version(|version| async move {
        let (mut server, connection, page) = Server::start(version, PushPolicy::default()).await;
        let mut pushes = connection.pushes();
        let push = server.push("http://test.example/style");
        server.reply();
        server.until(|_| true).await;
        let pushed = pushes.next().await.unwrap();
        // Its body has not arrived.
        drop(page.await.unwrap().unwrap());
        if version == Version::Http2 {
            server.until(|server| server.resets.len() == 1).await;
            server.finish(push, "pushed");
            server.until(|server| server.engine.is_idle()).await;
            let response = pushed.response.await.unwrap();
            assert_eq!(text(response).await, "pushed");
        } else {
            server.until(|server| server.engine.is_idle()).await;
            let ended = match pushed.response.await {
                Ok(response) => {
                    use http_body_util::BodyExt as _;
                    response.into_body().collect().await.is_err()
                }
                Err(_) => true,
            };
            assert!(ended, "{version}: the push has no complete body");
        }
        until("an idle connection", || connection.is_idle()).await;
    });
}
