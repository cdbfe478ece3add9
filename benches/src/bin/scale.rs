//! Engines in memory, without sockets. Measures the memory of up to a million idle connections of a
//! server. Measures the cost of a request beside up to 10,000 open streams, and on up to 10,000
//! connections. Memory must grow in proportion, and the cost must not grow.

use std::process::Command;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use clap::Parser;
use http::{Method, StatusCode, Uri};
use lacewing_benches::{Error, cpu, say};
use lacewing_client::{Limits, Side, Version};
use lacewing_conn::proto::{Config, Engine, Event, Head, OpenOptions, Spares, StreamKey, Transmit};

/// Engines in memory: bytes per idle connection, and the cost of a request
#[derive(Debug, Parser)]
struct Arguments {
    /// The most idle connections
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    idle: usize,
    /// The protocol: h2, spdy/3.1, spdy/3 or spdy/2
    #[arg(long, value_name = "NAME", default_value = "h2")]
    protocol: String,
    /// Measure only so many idle connections, in this process
    #[arg(long, value_name = "N")]
    alone: Option<usize>,
    /// Requests on each of those before it is idle
    #[arg(long, value_name = "N", default_value_t = 0)]
    requests: usize,
}

/// The requests that one figure of the cost stands for.
const REQUESTS: usize = 100_000;

/// The rounds of a figure; the least counts, since a busy machine only adds.
const ROUNDS: usize = 5;

fn main() -> Result<(), Error> {
    let Arguments {
        idle,
        protocol,
        alone,
        requests,
    } = Arguments::parse();
    let version = Version::ALL
        .into_iter()
        .find(|version| version.alpn() == protocol)
        .ok_or("no such protocol")?;
    if let Some(count) = alone {
        say!("{}", idle_engines(version, count, requests)?);
        return Ok(());
    }
    for requests in [0, 1] {
        for count in [1_000, 10_000, 100_000, 1_000_000] {
            if count <= idle {
                // In a process of its own: memory that was freed before would not count.
                let output = Command::new(std::env::current_exe()?)
                    .args(["--protocol", &protocol, "--alone", &count.to_string()])
                    .args(["--requests", &requests.to_string()])
                    .output()?;
                let bytes = String::from_utf8(output.stdout)?;
                let bytes = bytes.trim();
                say!("{count:>9} idle engines after {requests} requests: {bytes:>6} bytes each");
            }
        }
    }
    for streams in [0, 10, 100, 1_000, 9_900] {
        let mut pair = Pair::new(version);
        pair.open(streams)?;
        let cost = cost(|| pair.requests(REQUESTS))?;
        say!("{streams:>9} open streams beside it: {cost:>6} ns a request, both sides");
    }
    for count in [1, 10, 100, 1_000, 10_000] {
        let mut pairs = (0..count).map(|_| Pair::new(version)).collect::<Vec<_>>();
        let cost = cost(|| {
            for _ in 0..REQUESTS.div_ceil(100 * count) {
                for pair in &mut pairs {
                    pair.requests(100)?;
                }
            }
            Ok(())
        })?;
        let made = REQUESTS.div_ceil(100 * count) * 100 * count;
        let cost = cost * REQUESTS / made;
        say!("{count:>9} connections: {cost:>6} ns a request, both sides");
    }
    Ok(())
}

/// The CPU time of a request in nanoseconds, of [`REQUESTS`].
fn cost(mut work: impl FnMut() -> Result<(), Error>) -> Result<usize, Error> {
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let before = cpu::used().ok_or("no CPU time on this system")?;
        work()?;
        let after = cpu::used().ok_or("no CPU time on this system")?;
        least = least.min(after.saturating_sub(before));
    }
    Ok(usize::try_from(least.as_nanos())? / REQUESTS)
}

/// The resident bytes of an idle server's engine. Spare tables go from one to the next, as
/// the driver's threads hand them on.
fn idle_engines(version: Version, count: usize, requests: usize) -> Result<u64, Error> {
    let before = resident()?;
    // The client's do not count: its memory would leave holes between the servers' engines.
    let (mut spares, mut client_spares) = (None, None);
    let mut engines = Vec::with_capacity(count);
    for _ in 0..count {
        let mut pair = Pair::new(version);
        pair.server.lend_spares(|| spares.take());
        pair.client.lend_spares(|| client_spares.take());
        pair.pump()?;
        for _ in 0..requests {
            pair.requests(1)?;
        }
        for (engine, spares) in [
            (&mut pair.server, &mut spares),
            (&mut pair.client, &mut client_spares),
        ] {
            rest(engine, pair.now);
            if let Some(taken) = engine.take_spares() {
                *spares = Some::<Spares>(taken);
            }
        }
        engines.push(pair.server);
    }
    let held = resident()?.saturating_sub(before);
    Ok(held / u64::try_from(engines.len())?)
}

/// Lets the pause pass after which an idle connection rests.
fn rest(engine: &mut Engine, now: Instant) {
    let later = now + Duration::from_secs(1);
    if engine.poll_timeout().is_some_and(|at| at <= later) {
        engine.handle_timeout(later);
    }
}

fn resident() -> Result<u64, Error> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split_whitespace().nth(1).ok_or("no resident size")?;
    Ok(pages.parse::<u64>()? * 4096)
}

/// A client's and a server's engine, joined by two buffers.
struct Pair {
    now: Instant,
    uri: Uri,
    client: Engine,
    server: Engine,
    to_client: BytesMut,
    to_server: BytesMut,
    /// Requests that the server leaves without a response.
    unanswered: usize,
}

impl Pair {
    fn new(version: Version) -> Self {
        let now = Instant::now();
        let config = |side| {
            let limits = Limits::new(side).with(|limits| {
                limits.max_concurrent_streams = 10_000;
                limits.max_held_headers = 64 << 20;
                limits.max_connection_bytes = 256 << 20;
            });
            Config::new(version, side).with(|config| config.limits = limits.into())
        };
        Self {
            now,
            uri: Uri::from_static("http://127.0.0.1:8080/"),
            client: Engine::new(config(Side::Client), now, 1),
            server: Engine::new(config(Side::Server), now, 2),
            to_client: BytesMut::new(),
            to_server: BytesMut::new(),
            unanswered: 0,
        }
    }

    /// Opens streams that stay open.
    fn open(&mut self, count: usize) -> Result<(), Error> {
        self.pump()?;
        self.unanswered = count;
        for _ in 0..count {
            self.request()?;
            self.pump()?;
        }
        self.unanswered = 0;
        Ok(())
    }

    /// Makes so many requests, at most 100 at once, and answers them.
    fn requests(&mut self, count: usize) -> Result<(), Error> {
        self.pump()?;
        for _ in 0..count.div_ceil(100) {
            self.now += Duration::from_secs(1);
            for _ in 0..count.min(100) {
                self.request()?;
            }
            self.pump()?;
        }
        Ok(())
    }

    fn request(&mut self) -> Result<(), Error> {
        let head = Head::request(Method::GET, self.uri.clone());
        let options = OpenOptions::without_content();
        self.client.open(self.now, head, options)?;
        Ok(())
    }

    /// Moves bytes and answers requests until both sides are silent.
    fn pump(&mut self) -> Result<(), Error> {
        loop {
            transmit(&mut self.client, self.now, &mut self.to_server);
            while let Some(event) = self.server.poll_event(self.now, &mut self.to_server) {
                match event {
                    Event::Opened { stream, .. } if self.unanswered > 0 => {
                        self.unanswered -= 1;
                        self.server.stream(self.now, stream).release_headers();
                    }
                    Event::Opened { stream, .. } => self.answer(stream)?,
                    Event::Reset { error, .. } | Event::Closed { error } => {
                        return Err(error.into());
                    }
                    _ => {}
                }
            }
            transmit(&mut self.server, self.now, &mut self.to_client);
            if self.to_client.is_empty() && self.to_server.is_empty() {
                return Ok(());
            }
            while let Some(event) = self.client.poll_event(self.now, &mut self.to_client) {
                match event {
                    Event::Data { stream, data, .. } => {
                        self.client.stream(self.now, stream).release(data.len());
                    }
                    Event::Reset { error, .. } | Event::Closed { error } => {
                        return Err(error.into());
                    }
                    _ => {}
                }
            }
        }
    }

    fn answer(&mut self, stream: StreamKey) -> Result<(), Error> {
        let mut stream = self.server.stream(self.now, stream);
        stream.reply(Head::response(StatusCode::OK), false)?;
        stream.send_data(Bytes::from_static(b"hello world"), true)?;
        Ok(())
    }
}

fn transmit(from: &mut Engine, now: Instant, to: &mut BytesMut) {
    loop {
        let transmit = from.poll_transmit(now);
        let output = from.output();
        while output.has_remaining() {
            let length = output.chunk().len();
            to.extend_from_slice(output.chunk());
            output.advance(length);
        }
        if transmit == Transmit::Idle {
            return;
        }
    }
}
