//! Contents that arrive with their heads, and those that do not.

use std::time::Instant;

use bytes::{Buf, BytesMut};
use http::{Method, header::CONTENT_LENGTH};
use http_body::Body;
use http_body_util::BodyExt;
use lacewing_conn::{
    Side, Version,
    driver::{Incoming, OpenOptions},
    proto::{Config, Engine, Event, Head, Rule, Semantics, Transmit},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use crate::support::*;

/// A client without a driver, which decides on the bytes of each write.
struct Client {
    engine: Engine,
    io: DuplexStream,
    input: BytesMut,
}

impl Client {
    fn new(version: Version, io: DuplexStream) -> Self {
        let config = Config::new(version, Side::Client);
        Self {
            engine: Engine::new(config, Instant::now(), 1),
            io,
            input: BytesMut::new(),
        }
    }

    /// Sends a request whose head says `declared`, and whose content has `len` bytes.
    async fn post(&mut self, declared: usize, len: usize) {
        let now = Instant::now();
        post(&mut self.engine, now, declared, len);
        self.write(now).await;
    }

    /// Writes all output at once.
    async fn write(&mut self, now: Instant) {
        let bytes = output(&mut self.engine, now);
        soon(self.io.write_all(&bytes)).await.unwrap();
    }

    /// Reads until a response is complete.
    async fn response(&mut self) {
        loop {
            let now = Instant::now();
            while let Some(event) = self.engine.poll_event(now, &mut self.input) {
                match event {
                    Event::Data { stream, data, fin } => {
                        self.engine.stream(now, stream).release(data.len());
                        if fin {
                            return;
                        }
                    }
                    Event::Reset { error, .. } | Event::Closed { error } => panic!("{error}"),
                    _ => {}
                }
            }
            self.write(now).await;
            soon(self.io.read_buf(&mut self.input)).await.unwrap();
        }
    }
}

async fn text_of(body: Incoming) -> Vec<u8> {
    soon(body.collect()).await.unwrap().to_bytes().to_vec()
}

#[tokio::test(start_paused = true)]
async fn contents_of_every_length_arrive_and_return_their_credit() {
    for version in Version::ALL {
        let (here, there) = duplex(1 << 20);
        let mut served = serve(version, Semantics::Http, there, 10);
        let mut client = Client::new(version, here);
        for round in 0..100_usize {
            for len in [1, 1000, 16 << 10, (16 << 10) + 1, 30_000] {
                client.post(len, len).await;
                let (_, body) = served.request().await;
                assert_eq!(body.size_hint().exact(), Some(len as u64), "{version}");
                assert!(!body.is_end_stream());
                // An unread content returns its credit too.
                if round % 2 == 0 {
                    assert_eq!(text_of(body).await, vec![b'x'; len], "{version}");
                } else {
                    drop(body);
                }
                client.response().await;
            }
        }
        assert_eq!(client.engine.open_streams(), 0, "{version}");
    }
}

/// The second half arrives alone: the body has a cell, and waits.
#[tokio::test(start_paused = true)]
async fn a_content_in_two_frames_is_not_cut_short() {
    for version in Version::ALL {
        let (here, there) = duplex(1 << 20);
        let mut served = serve(version, Semantics::Http, there, 10);
        let mut client = Client::new(version, here);
        let now = Instant::now();
        let head = Head::request(Method::POST, "http://a.example/".parse().unwrap());
        let key = client.engine.open(now, head, OpenOptions::default());
        let key = key.unwrap();
        let mut stream = client.engine.stream(now, key);
        stream.send_data("first ".into(), false).unwrap();
        client.write(now).await;
        let (_, body) = served.request().await;
        assert_eq!(body.size_hint().exact(), None, "{version}");
        let mut stream = client.engine.stream(now, key);
        stream.send_data("second".into(), true).unwrap();
        client.write(now).await;
        assert_eq!(text_of(body).await, b"first second", "{version}");
    }
}

/// The head is valid, and the frame behind it is not.
#[tokio::test(start_paused = true)]
async fn a_content_of_the_wrong_length_fails_its_reader() {
    for version in Version::ALL {
        let (here, there) = duplex(1 << 20);
        let mut served = serve(version, Semantics::Http, there, 0);
        let mut client = Client::new(version, here);
        client.post(5, 3).await;
        let (_, body) = served.request().await;
        let error = soon(body.collect()).await.unwrap_err();
        assert_eq!(error.rule(), Some(Rule::ContentLengthMismatch), "{version}");
        // The connection continues.
        client.post(3, 3).await;
        let (_, body) = served.request().await;
        assert_eq!(text_of(body).await, b"xxx", "{version}");
    }
}

/// A handler that starts on a stream that has ended counts nowhere: so many could run as a peer
/// sends requests (MadeYouReset).
#[test]
fn nothing_ends_a_stream_before_its_head_is_handled() {
    for version in Version::ALL {
        for (declared, taken) in [(3, true), (1, false), (5, false)] {
            let now = Instant::now();
            let mut client = Engine::new(Config::new(version, Side::Client), now, 1);
            let mut server = Engine::new(Config::new(version, Side::Server), now, 2);
            post(&mut client, now, declared, 3);
            let mut input = BytesMut::from(&output(&mut client, now)[..]);
            let stream = loop {
                // The client's settings are an event too.
                let event = server.poll_event(now, &mut input).expect("a request");
                if let Event::Opened { stream, .. } = event {
                    break stream;
                }
            };
            let content = server.poll_all_content(now, stream, 1 << 10, &mut input);
            assert_eq!(content.is_some(), taken, "{version}, {declared} declared");
            assert_eq!(server.open_streams(), 1, "{version}, {declared} declared");
        }
    }
}

/// Sends a request whose head says `declared`, and whose content has `len` bytes.
fn post(engine: &mut Engine, now: Instant, declared: usize, len: usize) {
    let mut head = Head::request(Method::POST, "http://a.example/".parse().unwrap());
    head.fields.insert(CONTENT_LENGTH, declared.into());
    let stream = engine.open(now, head, OpenOptions::default()).unwrap();
    let data = vec![b'x'; len].into();
    engine.stream(now, stream).send_data(data, true).unwrap();
}

/// All output of an engine.
fn output(engine: &mut Engine, now: Instant) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let transmit = engine.poll_transmit(now);
        let output = engine.output();
        while output.has_remaining() {
            let chunk = output.chunk();
            bytes.extend_from_slice(chunk);
            let len = chunk.len();
            output.advance(len);
        }
        if transmit == Transmit::Idle {
            return bytes;
        }
    }
}
