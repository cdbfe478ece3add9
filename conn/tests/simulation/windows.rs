//! Windows on paths with a delay and a rate. They grow to what the path needs, within their limits,
//! with few PINGs, and not for readers that do not read.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes, BytesMut};
use http::{Method, StatusCode};
use lacewing_conn::{
    Limits, Side, Version,
    proto::{Config, Engine, Event, Head, OpenOptions, StreamKey, Transmit, WindowPool},
};

use crate::pair::timer_after_a_pause;

/// One direction of a path: bytes arrive `delay` later, and not faster than `rate` bytes per
/// second.
struct Line {
    delay: Duration,
    rate: f64,
    /// The time when the last byte has left the sender.
    busy: Instant,
    under_way: VecDeque<(Instant, Vec<u8>)>,
}

impl Line {
    fn new(path: Path, now: Instant) -> Self {
        Self {
            delay: path.round_trip / 2,
            rate: path.rate,
            busy: now,
            under_way: VecDeque::new(),
        }
    }

    /// The number of bytes that the sender's socket still accepts.
    fn room(&self, now: Instant) -> usize {
        let backlog = self.busy.saturating_duration_since(now).as_secs_f64() * self.rate;
        (512_usize << 10).saturating_sub(backlog as usize)
    }

    fn put(&mut self, bytes: &[u8], now: Instant) {
        let time = Duration::from_secs_f64(bytes.len() as f64 / self.rate);
        self.busy = self.busy.max(now) + time;
        self.under_way
            .push_back((self.busy + self.delay, bytes.to_vec()));
    }

    fn next(&self) -> Option<Instant> {
        self.under_way.front().map(|(due, _)| *due)
    }

    fn take(&mut self, now: Instant) -> Option<Vec<u8>> {
        let (due, _) = self.under_way.front()?;
        (*due <= now).then(|| self.under_way.pop_front().unwrap().1)
    }
}

#[derive(Clone, Copy)]
struct Path {
    round_trip: Duration,
    rate: f64,
}

/// 200 Mbit/s, 100 ms: 2.5 MB are in flight.
const LONG: Path = Path {
    round_trip: Duration::from_millis(100),
    rate: 25e6,
};

struct End {
    engine: Engine,
    input: BytesMut,
    /// The unsent rest of each body, by stream.
    sending: Vec<(StreamKey, usize)>,
    received: usize,
    /// The number of bytes after which the reader stops.
    appetite: usize,
    held: Vec<(StreamKey, usize)>,
    finished: usize,
}

impl End {
    fn new(config: Config, now: Instant) -> Self {
        Self {
            engine: Engine::new(config, now, 3),
            input: BytesMut::new(),
            sending: Vec::new(),
            received: 0,
            appetite: usize::MAX,
            held: Vec::new(),
            finished: 0,
        }
    }

    fn events(&mut self, now: Instant, reply_len: usize) {
        while let Some(event) = self.engine.poll_event(now, &mut self.input) {
            match event {
                Event::Opened { stream, fin, .. } => {
                    self.engine
                        .stream(now, stream)
                        .reply(Head::response(StatusCode::OK), reply_len == 0)
                        .unwrap();
                    if fin && reply_len > 0 {
                        self.sending.push((stream, reply_len));
                        self.engine.stream(now, stream).offer();
                    }
                }
                Event::Data { stream, data, fin } => {
                    self.received += data.len();
                    if data.len() <= self.appetite {
                        self.appetite -= data.len();
                        self.engine.stream(now, stream).release(data.len());
                    } else {
                        self.held.push((stream, data.len()));
                    }
                    self.finished += usize::from(fin);
                }
                Event::Closed { error } => panic!("{error}"),
                _ => {}
            }
        }
    }

    fn transmit(&mut self, now: Instant, line: &mut Line) {
        loop {
            while let Transmit::Pull { stream, .. } = self.engine.poll_transmit(now) {
                let Some(body) = self.sending.iter_mut().find(|body| body.0 == stream) else {
                    continue;
                };
                let piece = body.1.min(65_536);
                body.1 -= piece;
                let data = Bytes::from(vec![7; piece]);
                self.engine
                    .stream(now, stream)
                    .send_data(data, body.1 == 0)
                    .unwrap();
            }
            let room = line.room(now);
            let output = self.engine.output();
            let len = Buf::remaining(output).min(room).min(64 << 10);
            if len == 0 {
                return;
            }
            let bytes = output.copy_to_bytes(len);
            line.put(&bytes, now);
        }
    }
}

struct Lab {
    client: End,
    server: End,
    up: Line,
    down: Line,
    now: Instant,
    start: Instant,
}

impl Lab {
    fn new(version: Version, path: Path, adjust: impl Fn(&mut Config)) -> Self {
        let now = Instant::now();
        let config = |side| {
            let mut config = Config::new(version, side);
            config.window_pool = Some(WindowPool::new(1 << 30));
            adjust(&mut config);
            config
        };
        Self {
            client: End::new(config(Side::Client), now),
            server: End::new(config(Side::Server), now),
            up: Line::new(path, now),
            down: Line::new(path, now),
            now,
            start: now,
        }
    }

    fn open(&mut self, upload: usize) -> StreamKey {
        let uri = "https://example.org/".parse().unwrap();
        let method = if upload == 0 {
            Method::GET
        } else {
            Method::POST
        };
        let head = Head::request(method, uri);
        let stream = self
            .client
            .engine
            .open(
                self.now,
                head,
                OpenOptions::default().with(|options| options.fin = upload == 0),
            )
            .unwrap();
        if upload > 0 {
            self.client.sending.push((stream, upload));
            self.client.engine.stream(self.now, stream).offer();
        }
        stream
    }

    /// Runs until `done`, or until nothing can happen any more. Returns the elapsed time.
    fn run(&mut self, reply_len: usize, done: impl Fn(&Self) -> bool) -> Duration {
        for _ in 0..10_000_000 {
            self.client.transmit(self.now, &mut self.up);
            self.server.transmit(self.now, &mut self.down);
            if done(self) {
                break;
            }
            let mut next: Vec<Instant> = [self.up.next(), self.down.next()]
                .into_iter()
                .flatten()
                .collect();
            // A full socket accepts more after some bytes have left.
            for (end, line) in [(&mut self.client, &self.up), (&mut self.server, &self.down)] {
                if !end.engine.output().is_empty() {
                    next.push(line.busy.max(self.now + Duration::from_micros(1)));
                    next.push(self.now + Duration::from_millis(1));
                }
            }
            let Some(next) = next.into_iter().min() else {
                break;
            };
            self.now = self.now.max(next);
            while let Some(bytes) = self.up.take(self.now) {
                self.server.input.extend_from_slice(&bytes);
            }
            while let Some(bytes) = self.down.take(self.now) {
                self.client.input.extend_from_slice(&bytes);
            }
            self.client.events(self.now, 0);
            self.server.events(self.now, reply_len);
        }
        self.now - self.start
    }
}

const WITH_WINDOWS: [Version; 3] = [Version::Spdy3, Version::Spdy31, Version::Http2];
const BODY: usize = 100_000_000;

/// The time of a transfer without windows: a round trip, and the bytes.
fn without_windows(path: Path, len: usize) -> f64 {
    path.round_trip.as_secs_f64() + len as f64 / path.rate
}

#[test]
fn one_download_fills_a_long_path() {
    for version in WITH_WINDOWS {
        let mut lab = Lab::new(version, LONG, |_| {});
        lab.open(0);
        let took = lab.run(BODY, |lab| lab.client.finished == 1).as_secs_f64();
        assert_eq!(lab.client.received, BODY);
        let share = without_windows(LONG, BODY) / took;
        assert!(
            share >= 0.9,
            "{version}: {share:.3} of the path, {took:.2} s"
        );
    }
}

#[test]
fn one_upload_fills_a_long_path() {
    for version in WITH_WINDOWS {
        let mut lab = Lab::new(version, LONG, |_| {});
        lab.open(BODY);
        let took = lab.run(0, |lab| lab.server.finished == 1).as_secs_f64();
        assert_eq!(lab.server.received, BODY);
        let share = without_windows(LONG, BODY) / took;
        assert!(
            share >= 0.9,
            "{version}: {share:.3} of the path, {took:.2} s"
        );
    }
}

/// The two tests above could also pass with windows that are large from the start.
#[test]
fn without_tuning_a_long_path_stays_empty() {
    for version in WITH_WINDOWS {
        let mut lab = Lab::new(version, LONG, |config| {
            config.limits.max_stream_window = 0;
            config.limits.max_connection_window = 0;
        });
        lab.open(0);
        let took = lab.run(BODY, |lab| lab.client.finished == 1).as_secs_f64();
        let share = without_windows(LONG, BODY) / took;
        assert!(share < 0.6, "{version}: {share:.3}");
        assert_eq!(lab.client.engine.stats().round_trip, None, "no PING either");
    }
}

#[test]
fn windows_stay_within_their_caps_and_the_pool() {
    for version in WITH_WINDOWS {
        let pool = WindowPool::new(3 << 20);
        let shared = pool.clone();
        let mut lab = Lab::new(version, LONG, move |config| {
            config.window_pool = Some(if config.side == Side::Client {
                shared.clone()
            } else {
                WindowPool::new(0)
            });
            config.limits.max_stream_window = 3 << 20;
        });
        lab.open(0);
        lab.run(BODY, |lab| lab.client.finished == 1);
        let stats = lab.client.engine.stats();
        assert_eq!(stats.stream_receive_window, Some(3 << 20), "{version}");
        assert_eq!(pool.used(), 2 << 20, "{version}: what the pool still had");
        let stats = lab.server.engine.stats();
        assert_eq!(stats.stream_receive_window, Some(1 << 20));
        drop(lab);
        assert_eq!(pool.used(), 0, "{version}");
    }
}

#[test]
fn a_reader_that_stops_does_not_make_windows_grow() {
    for version in WITH_WINDOWS {
        let mut lab = Lab::new(version, LONG, |_| {});
        lab.client.appetite = 300_000;
        lab.open(0);
        lab.run(BODY, |lab| lab.client.finished == 1);
        let stats = lab.client.engine.stats();
        assert_eq!(stats.stream_receive_window, Some(1 << 20), "{version}");
        assert!(stats.buffered_bytes <= 1 << 20);
    }
}

/// A guard against PING floods must not react to our PINGs, and a path that is already full needs
/// none.
#[test]
fn probes_are_few() {
    for version in WITH_WINDOWS {
        let short = Path {
            round_trip: Duration::from_micros(200),
            rate: 100e6,
        };
        let mut lab = Lab::new(version, short, |_| {});
        lab.open(0);
        lab.run(200_000_000, |lab| lab.client.finished == 1);
        let pings = lab.client.engine.stats().pings_sent;
        let took = lab.now - lab.start;
        assert!((1..=20).contains(&pings), "{version}: {pings} in {took:?}");
        let window = lab.client.engine.stats().stream_receive_window;
        // The sender's full socket buffer counts as a part of the path.
        assert!(window <= Some(4 << 20), "{version}: {window:?}");
        // Without data no PING is sent.
        let timer = timer_after_a_pause(&mut lab.client.engine, lab.now);
        assert_eq!(timer, None);
    }
}

/// A slow stream costs its own window, and the others continue.
#[test]
fn streams_without_a_reader_stop_only_themselves() {
    for version in WITH_WINDOWS {
        let mut lab = Lab::new(version, LONG, |config| {
            config.limits = Limits::new(config.side)
                .with(|limits| {
                    limits.stream_window = 1 << 20;
                    limits.connection_window = 2 << 20;
                    limits.max_connection_window = 0;
                    limits.max_stream_window = 0;
                    limits.max_buffered_bytes = 16 << 20;
                })
                .into();
        });
        lab.client.appetite = 0;
        for _ in 0..8 {
            lab.open(0);
        }
        lab.run(5_000_000, |_| false);
        assert_eq!(
            lab.client.received,
            8 << 20,
            "{version}: eight full windows"
        );
        lab.client.appetite = usize::MAX;
        lab.open(0);
        lab.run(5_000_000, |lab| lab.client.finished == 1);
        assert_eq!(lab.client.finished, 1, "{version}: the ninth completes");
        let stats = lab.client.engine.stats();
        assert_eq!(stats.buffered_bytes, 8 << 20);
        for (stream, len) in std::mem::take(&mut lab.client.held) {
            lab.client.engine.stream(lab.now, stream).release(len);
        }
        lab.run(5_000_000, |lab| lab.client.finished == 9);
        assert_eq!(lab.client.finished, 9);
        let stats = lab.client.engine.stats();
        let full = if version == Version::Spdy3 {
            0
        } else {
            2 << 20
        };
        assert_eq!(stats.receive_credit, full, "{version}: nothing is lost");
    }
}
