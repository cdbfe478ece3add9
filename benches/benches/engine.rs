//! The engine without I/O: a client's and a server's, joined by two buffers in memory, on every
//! protocol. Measures small GETs (100 streams at once) per request, and one download of 1 MiB per
//! byte. This is the cost of a connection without sockets and tasks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{Method, StatusCode, Uri};
use lacewing_conn::proto::{Config, Engine, Event, Head, OpenOptions, Transmit};
use lacewing_conn::{Side, Version};

criterion_group!(benches, small_gets, download);
criterion_main!(benches);

/// The number of streams that are open at once.
const STREAMS: usize = 100;
const DOWNLOAD: usize = 1 << 20;
const PIECE: usize = 64 * 1024;

fn small_gets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine/small-gets");
    group.throughput(Throughput::Elements(STREAMS as u64));
    for version in Version::ALL {
        let mut pair = Pair::new(version);
        group.bench_function(version.alpn(), |bencher| {
            bencher.iter(|| assert_eq!(pair.get(STREAMS, HELLO.len()), STREAMS * HELLO.len()));
        });
    }
    group.finish();
}

fn download(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine/download");
    group.throughput(Throughput::Bytes(DOWNLOAD as u64));
    for version in Version::ALL {
        let mut pair = Pair::new(version);
        group.bench_function(version.alpn(), |bencher| {
            bencher.iter(|| assert_eq!(pair.get(1, DOWNLOAD), DOWNLOAD));
        });
    }
    group.finish();
}

const HELLO: &[u8] = b"hello world";
static BLOCK: [u8; PIECE] = [b'.'; PIECE];

/// A client and a server. A round takes a second of their virtual time, so that limits per second
/// are not exceeded.
struct Pair {
    now: Instant,
    uri: Uri,
    client: Engine,
    server: Engine,
    to_client: BytesMut,
    to_server: BytesMut,
    /// The number of unsent bytes of the body, by the slot of the stream.
    left: Vec<usize>,
}

impl Pair {
    fn new(version: Version) -> Self {
        let now = Instant::now();
        Self {
            now,
            uri: Uri::from_static("http://127.0.0.1:8080/"),
            client: Engine::new(Config::new(version, Side::Client), now, 1),
            server: Engine::new(Config::new(version, Side::Server), now, 2),
            to_client: BytesMut::new(),
            to_server: BytesMut::new(),
            left: Vec::new(),
        }
    }

    /// Makes `requests` GETs at once, each with a response of `len` bytes. Returns the number of
    /// bytes that the client received.
    fn get(&mut self, requests: usize, len: usize) -> usize {
        self.now += Duration::from_secs(1);
        for _ in 0..requests {
            let head = Head::request(Method::GET, self.uri.clone());
            self.client
                .open(self.now, head, OpenOptions::without_content())
                .unwrap();
        }
        let (mut received, mut ended) = (0, 0);
        while ended < requests {
            self.pump_client();
            self.serve(len);
            self.pump_server();
            while let Some(event) = self.client.poll_event(self.now, &mut self.to_client) {
                match event {
                    Event::Data { stream, data, fin } => {
                        received += data.len();
                        ended += usize::from(fin);
                        self.client.stream(self.now, stream).release(data.len());
                    }
                    Event::Reset { error, .. } | Event::Closed { error } => panic!("{error}"),
                    _ => {}
                }
            }
        }
        received
    }

    fn serve(&mut self, len: usize) {
        while let Some(event) = self.server.poll_event(self.now, &mut self.to_server) {
            match event {
                Event::Opened { stream, .. } => {
                    let head = Head::response(StatusCode::OK);
                    self.server
                        .stream(self.now, stream)
                        .reply(head, false)
                        .unwrap();
                    if len <= HELLO.len() {
                        let body = Bytes::from_static(HELLO);
                        self.server
                            .stream(self.now, stream)
                            .send_data(body, true)
                            .unwrap();
                        continue;
                    }
                    if self.left.len() <= stream.slot() {
                        self.left.resize(stream.slot() + 1, 0);
                    }
                    self.left[stream.slot()] = len;
                    self.server.stream(self.now, stream).offer();
                }
                Event::Reset { error, .. } | Event::Closed { error } => panic!("{error}"),
                _ => {}
            }
        }
    }

    fn pump_client(&mut self) {
        loop {
            let transmit = self.client.poll_transmit(self.now);
            transfer(&mut self.client, &mut self.to_server);
            if transmit == Transmit::Idle {
                return;
            }
        }
    }

    fn pump_server(&mut self) {
        loop {
            match self.server.poll_transmit(self.now) {
                Transmit::Pull { stream, .. } => {
                    let left = &mut self.left[stream.slot()];
                    let piece = (*left).min(PIECE);
                    *left -= piece;
                    let fin = *left == 0;
                    let data = Bytes::from_static(&BLOCK[..piece]);
                    self.server
                        .stream(self.now, stream)
                        .send_data(data, fin)
                        .unwrap();
                    if !fin {
                        self.server.stream(self.now, stream).offer();
                    }
                }
                Transmit::Write => transfer(&mut self.server, &mut self.to_client),
                Transmit::Idle => return transfer(&mut self.server, &mut self.to_client),
            }
        }
    }
}

/// Copies the output of one engine into the other's input.
fn transfer(from: &mut Engine, to: &mut BytesMut) {
    let output = from.output();
    to.reserve(output.remaining());
    while output.has_remaining() {
        let chunk = output.chunk();
        let len = chunk.len();
        to.extend_from_slice(chunk);
        output.advance(len);
    }
}
