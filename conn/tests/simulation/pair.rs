//! Two engines and the bytes between them.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{DefaultHasher, Hasher},
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use lacewing_conn::{
    Error, Limits, Reason, Side, Version,
    proto::{
        Config, Engine, Event, Head, OpenError, OpenOptions, Priority, Setting, StreamKey,
        StreamMut, Transmit,
    },
};

use crate::{monitor::Monitor, seeds::Rng};

/// The segmentation of the bytes between the engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Whole,
    Bytes(usize),
    Random,
}

/// The content and trailers that a side sends after its head.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    pub(crate) data: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
    /// The length of the source's pieces.
    pub(crate) piece: usize,
}

impl Body {
    pub(crate) fn of(len: usize) -> Self {
        Self {
            data: content(len),
            trailers: None,
            piece: 10_000,
        }
    }

    pub(crate) fn with_trailers(mut self) -> Self {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", HeaderValue::from_static("0123"));
        self.trailers = Some(trailers);
        self
    }
}

/// Bytes that reveal a wrong position.
pub(crate) fn content(len: usize) -> Bytes {
    (0..len)
        .map(|n| (n.wrapping_mul(31) ^ (n >> 8)) as u8)
        .collect()
}

/// A side's record of one stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) request: Option<String>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) informational: Vec<StatusCode>,
    pub(crate) fields: BTreeMap<String, Vec<String>>,
    pub(crate) body: BytesMut,
    pub(crate) trailers: BTreeMap<String, Vec<String>>,
    pub(crate) ended: bool,
    pub(crate) reset: Option<Reason>,
    pub(crate) stopped: bool,
}

/// One side with its application.
pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) input: BytesMut,
    pub(crate) monitor: Monitor,
    sources: HashMap<StreamKey, Body>,
    /// By the number of the stream.
    pub(crate) seen: BTreeMap<u32, Seen>,
    pub(crate) keys: BTreeMap<u32, StreamKey>,
    /// Bytes that are received and not yet released, by stream.
    held: VecDeque<(StreamKey, usize)>,
    /// Data is released at once.
    pub(crate) greedy: bool,
    pub(crate) closed: Option<Error>,
    pub(crate) pongs: Vec<Duration>,
    pub(crate) promised: Vec<(u32, u32)>,
    pub(crate) origins: Vec<Bytes>,
    pub(crate) kept: Vec<(bool, Vec<Setting>)>,
    pub(crate) returned: Vec<Setting>,
    pub(crate) alternatives: Vec<(Option<Bytes>, Option<u32>, Bytes)>,
    pub(crate) go_away: Option<Reason>,
    /// The last stream that the peer will process, by its GOAWAY.
    pub(crate) last_good: Option<u32>,
    pub(crate) errors: BTreeMap<u32, Error>,
    pub(crate) answers: bool,
}

impl Node {
    fn new(config: Config, now: Instant) -> Self {
        let (version, side) = (config.version, config.side);
        Self {
            engine: Engine::new(config, now, 7),
            input: BytesMut::new(),
            monitor: Monitor::new(version, side),
            sources: HashMap::new(),
            seen: BTreeMap::new(),
            keys: BTreeMap::new(),
            held: VecDeque::new(),
            greedy: true,
            closed: None,
            pongs: Vec::new(),
            promised: Vec::new(),
            origins: Vec::new(),
            kept: Vec::new(),
            returned: Vec::new(),
            alternatives: Vec::new(),
            go_away: None,
            last_good: None,
            errors: BTreeMap::new(),
            answers: side == Side::Server,
        }
    }

    pub(crate) fn send(&mut self, now: Instant, stream: StreamKey, body: Body) {
        if body.data.is_empty() {
            match body.trailers {
                Some(trailers) => self
                    .engine
                    .stream(now, stream)
                    .send_trailers(trailers)
                    .unwrap(),
                None => self
                    .engine
                    .stream(now, stream)
                    .send_data(Bytes::new(), true)
                    .unwrap(),
            }
            return;
        }
        self.sources.insert(stream, body);
        self.engine.stream(now, stream).offer();
    }

    fn pull(&mut self, now: Instant, stream: StreamKey) {
        let Some(body) = self.sources.get_mut(&stream) else {
            return;
        };
        let piece = body.data.split_to(body.piece.max(1).min(body.data.len()));
        let last = body.data.is_empty();
        let trailers = if last { body.trailers.take() } else { None };
        let fin = last && trailers.is_none();
        self.engine
            .stream(now, stream)
            .send_data(piece, fin)
            .unwrap();
        if let Some(trailers) = trailers {
            self.engine
                .stream(now, stream)
                .send_trailers(trailers)
                .unwrap();
        }
        if last {
            self.sources.remove(&stream);
        }
    }

    /// Releases the buffered bytes.
    pub(crate) fn release_all(&mut self, now: Instant) {
        for (stream, len) in std::mem::take(&mut self.held) {
            self.engine.stream(now, stream).release(len);
        }
    }

    pub(crate) fn release_some(&mut self, now: Instant, rng: &mut Rng) {
        for _ in 0..rng.below(4) {
            let Some((stream, len)) = self.held.pop_front() else {
                return;
            };
            let part = 1 + rng.below(len);
            self.engine.stream(now, stream).release(part);
            if part < len {
                self.held.push_front((stream, len - part));
            }
        }
    }

    pub(crate) fn holds(&self) -> usize {
        self.held.iter().map(|(_, len)| len).sum()
    }

    fn handle(&mut self, now: Instant, event: Event) {
        assert!(self.closed.is_none(), "an event after the end: {event:?}");
        match event {
            Event::Opened {
                stream, head, fin, ..
            } => {
                let seen = self.see(stream);
                seen.request = Some(describe(&head));
                seen.fields = sorted(&head.fields);
                seen.ended = fin;
                if self.answers && fin {
                    self.answer(now, stream);
                }
            }
            Event::Informational { stream, head } => {
                self.see(stream).informational.push(head.status().unwrap());
            }
            Event::Reply { stream, head, fin } => {
                let seen = self.see(stream);
                seen.status = head.status();
                seen.fields = sorted(&head.fields);
                seen.ended = fin;
            }
            Event::Data { stream, data, fin } => {
                let seen = self.see(stream);
                assert!(!seen.ended);
                seen.body.extend_from_slice(&data);
                seen.ended = fin;
                if self.greedy {
                    self.engine.stream(now, stream).release(data.len());
                } else if !data.is_empty() {
                    self.held.push_back((stream, data.len()));
                }
                if self.answers && fin {
                    self.answer(now, stream);
                }
            }
            Event::Headers {
                stream,
                fields,
                fin,
            } => {
                let seen = self.see(stream);
                assert!(!seen.ended);
                seen.trailers = sorted(&fields);
                seen.ended = fin;
                self.engine.stream(now, stream).release_headers();
                if self.answers && fin {
                    self.answer(now, stream);
                }
            }
            Event::Promised {
                parent,
                stream,
                head,
            } => {
                self.promised
                    .push((parent.id().value(), stream.id().value()));
                self.see(stream).request = Some(describe(&head));
            }
            Event::Reset { stream, error } => {
                self.sources.remove(&stream);
                let seen = self.see(stream);
                assert!(seen.reset.is_none(), "two resets of {stream:?}");
                seen.reset = Some(error.reason());
                self.errors.insert(stream.id().value(), error);
            }
            Event::Stopped { stream, .. } => {
                self.sources.remove(&stream);
                self.see(stream).stopped = true;
            }
            Event::KeepSettings { forget, settings } => self.kept.push((forget, settings)),
            Event::ReturnedSettings { settings } => self.returned.extend(settings),
            Event::Origins { origins } => self.origins.extend(origins),
            Event::AlternativeServices {
                origin,
                stream,
                value,
            } => {
                let stream = stream.map(|stream| stream.id().value());
                self.alternatives.push((origin, stream, value));
            }
            Event::Pong { round_trip } => self.pongs.push(round_trip),
            Event::GoAway { reason, last, .. } => {
                self.go_away = Some(reason);
                self.last_good = Some(last.value());
            }
            Event::Closed { error } => self.closed = Some(error),
            _ => {}
        }
    }

    fn see(&mut self, stream: StreamKey) -> &mut Seen {
        self.keys.insert(stream.id().value(), stream);
        self.seen.entry(stream.id().value()).or_default()
    }

    /// The application of a server: the path selects the response.
    fn answer(&mut self, now: Instant, stream: StreamKey) {
        let seen = self.seen[&stream.id().value()].clone();
        let path = seen
            .request
            .as_deref()
            .unwrap()
            .rsplit(' ')
            .next()
            .unwrap()
            .to_owned();
        let path = path
            .split_once("example.org")
            .map_or(path.clone(), |(_, path)| path.to_owned());
        let mut head = Head::response(StatusCode::OK);
        head.fields.insert(
            "content-type",
            HeaderValue::from_static("application/x-test"),
        );
        head.fields
            .append("set-cookie", HeaderValue::from_static("a=1"));
        head.fields
            .append("set-cookie", HeaderValue::from_static("b=2"));
        let (kind, rest) = path
            .trim_start_matches('/')
            .split_once('/')
            .unwrap_or(("", ""));
        let body = match kind {
            "bytes" => Body::of(rest.parse().unwrap()),
            "trailers" => Body::of(rest.parse().unwrap()).with_trailers(),
            "echo" => Body {
                data: seen.body.freeze(),
                trailers: None,
                piece: 5_000,
            },
            "never" => return,
            _ => Body::default(),
        };
        let fin = body.data.is_empty() && body.trailers.is_none();
        self.engine.stream(now, stream).reply(head, fin).unwrap();
        if !fin {
            self.send(now, stream, body);
        }
    }
}

fn describe(head: &Head) -> String {
    match &head.control {
        lacewing_conn::proto::Control::Request { method, uri, .. } => format!("{method} {uri}"),
        other => format!("{other:?}"),
    }
}

fn sorted(fields: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut map = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in fields {
        let value = value.to_str().unwrap().to_owned();
        map.entry(name.to_string()).or_default().push(value);
    }
    map
}

/// A client, a server, and a clock.
pub(crate) struct Pair {
    pub(crate) client: Node,
    pub(crate) server: Node,
    pub(crate) now: Instant,
    pub(crate) cut: Cut,
    pub(crate) rng: Rng,
    /// Of every piece that was moved, in order.
    pub(crate) digest: DefaultHasher,
}

impl Pair {
    pub(crate) fn new(version: Version) -> Self {
        Self::with(version, |_, _| {})
    }

    pub(crate) fn with(version: Version, adjust: impl Fn(Side, &mut Config)) -> Self {
        let now = Instant::now();
        let config = |side| {
            let mut config = Config::new(version, side);
            // Windows that the bodies of a test can fill.
            config.limits = Limits::new(side)
                .with(|limits| {
                    limits.stream_window = 100_000;
                    limits.connection_window = 250_000;
                    limits.cut_ahead = 64 << 10;
                    // An idle connection has no timer.
                    limits.idle_timeout = None;
                })
                .into();
            adjust(side, &mut config);
            config
        };
        Self {
            client: Node::new(config(Side::Client), now),
            server: Node::new(config(Side::Server), now),
            now,
            cut: Cut::Whole,
            rng: Rng(1),
            digest: DefaultHasher::new(),
        }
    }

    pub(crate) fn try_open(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Body>,
    ) -> Result<StreamKey, OpenError> {
        self.try_open_with(method, path, body, None)
    }

    pub(crate) fn try_open_with(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Body>,
        priority: Option<Priority>,
    ) -> Result<StreamKey, OpenError> {
        let uri = format!("https://example.org{path}").parse().unwrap();
        let mut head = Head::request(method, uri);
        head.fields
            .insert("user-agent", HeaderValue::from_static("simulation/1"));
        head.fields
            .insert("cookie", HeaderValue::from_static("a=1; b=2"));
        let stream = self.client.engine.open(
            self.now,
            head,
            OpenOptions::default().with(|options| {
                options.fin = body.is_none();
                options.priority = priority;
            }),
        )?;
        self.client.see(stream);
        if let Some(body) = body {
            self.client.send(self.now, stream, body);
        }
        Ok(stream)
    }

    pub(crate) fn get(&mut self, path: &str) -> u32 {
        self.try_open(Method::GET, path, None).unwrap().id().value()
    }

    pub(crate) fn post(&mut self, path: &str, body: Body) -> u32 {
        self.try_open(Method::POST, path, Some(body))
            .unwrap()
            .id()
            .value()
    }

    /// Sends a request of any head, without content, and transfers it.
    pub(crate) fn request(&mut self, head: Head) -> u32 {
        let options = OpenOptions::without_content();
        let opened = self.client.engine.open(self.now, head, options);
        self.run();
        opened.unwrap().id().value()
    }

    /// The client's view of a stream, now.
    pub(crate) fn client_stream(&mut self, key: StreamKey) -> StreamMut<'_> {
        self.client.engine.stream(self.now, key)
    }

    /// The server's view of a stream, now.
    pub(crate) fn server_stream(&mut self, key: StreamKey) -> StreamMut<'_> {
        self.server.engine.stream(self.now, key)
    }

    /// The client's record of a stream.
    pub(crate) fn response(&self, stream: u32) -> &Seen {
        &self.client.seen[&stream]
    }

    /// Transfers bytes until nothing changes.
    pub(crate) fn run(&mut self) {
        for _ in 0..1_000_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the engines never become idle");
    }

    /// One exchange in each direction; `false` if nothing changed.
    pub(crate) fn step(&mut self) -> bool {
        let mut moved = false;
        for _ in 0..2 {
            moved |= self.transfer();
            std::mem::swap(&mut self.client, &mut self.server);
        }
        moved
    }

    /// From `client` to `server`. (They are swapped for the other direction.)
    fn transfer(&mut self) -> bool {
        let (from, to) = (&mut self.client, &mut self.server);
        let mut moved = false;
        while let Transmit::Pull { stream, max } = from.engine.poll_transmit(self.now) {
            assert!(max > 0);
            from.pull(self.now, stream);
        }
        let limits = from.engine.limits();
        let bound = limits.cut_ahead + limits.max_output_backlog + (512 << 10);
        assert!(
            from.engine.output().len() <= bound,
            "the output is not bounded"
        );
        while from.engine.output().has_remaining() {
            let chunk = Buf::chunk(from.engine.output());
            let len = match self.cut {
                Cut::Whole => chunk.len(),
                Cut::Bytes(len) => len.min(chunk.len()),
                Cut::Random => 1 + self.rng.below(chunk.len()),
            };
            let piece = chunk[..len].to_vec();
            from.engine.output().advance(len);
            self.digest.write(&piece);
            from.monitor.sends(&piece);
            to.monitor.receives(&piece);
            to.input.extend_from_slice(&piece);
            moved = true;
            while let Some(event) = to.engine.poll_event(self.now, &mut to.input) {
                to.handle(self.now, event);
            }
        }
        // Events that waited for room, and events of timeouts and resets.
        for node in [from, to] {
            while let Some(event) = node.engine.poll_event(self.now, &mut node.input) {
                node.handle(self.now, event);
                moved = true;
            }
        }
        moved
    }

    /// If a stream has data and its windows are open, every poll makes progress: it cuts data, asks
    /// for data, or finds the output full.
    pub(crate) fn assert_progress(&mut self) {
        for node in [&mut self.client, &mut self.server] {
            let sendable = node.sources.iter().any(|(stream, body)| {
                !body.data.is_empty() && node.engine.stream(self.now, *stream).send_capacity() > 0
            });
            if !sendable {
                continue;
            }
            let before = node.engine.output().len();
            match node.engine.poll_transmit(self.now) {
                Transmit::Pull { stream, max } => {
                    assert!(max > 0);
                    node.pull(self.now, stream);
                }
                Transmit::Write => {}
                Transmit::Idle => assert!(node.engine.output().len() > before, "stuck"),
            }
        }
    }

    /// Advances time, with deadlines.
    pub(crate) fn sleep(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = [&mut self.client, &mut self.server]
                .into_iter()
                .filter_map(|node| node.engine.poll_timeout())
                .min()
                .filter(|due| *due <= end);
            let Some(due) = due else { break };
            self.now = self.now.max(due);
            self.client.engine.handle_timeout(self.now);
            self.server.engine.handle_timeout(self.now);
            self.run();
        }
        self.now = end;
        self.run();
    }

    /// Checks that nothing is left: no stream, no byte, no credit, no timer.
    pub(crate) fn assert_quiescent(&mut self) {
        self.client.release_all(self.now);
        self.server.release_all(self.now);
        self.run();
        for node in [&mut self.client, &mut self.server] {
            let stats = node.engine.stats();
            assert_eq!(stats.open_streams, 0, "streams are left");
            assert_eq!(stats.detached_handlers, 0);
            assert_eq!(stats.buffered_bytes, 0);
            assert_eq!(stats.output_bytes, 0);
            assert!(node.input.is_empty(), "input is left");
            assert_eq!(node.engine.poll_transmit(self.now), Transmit::Idle);
            let timer = timer_after_a_pause(&mut node.engine, self.now);
            assert_eq!(timer, None, "a timer is left");
            if !node.engine.is_closed() {
                // The current size, since tuning may have increased it.
                let full = stats.receive_window.map_or(0, i64::from);
                let initial = i64::from(node.engine.limits().connection_window);
                assert!(full == 0 || full >= initial);
                assert_eq!(stats.receive_credit, full, "receive credit leaked");
            }
        }
    }

    /// The compression contexts agree: another exchange works.
    pub(crate) fn assert_alive(&mut self) {
        let stream = self.post("/echo/", Body::of(1234));
        self.client.greedy = true;
        self.server.greedy = true;
        self.run();
        let seen = self.response(stream);
        assert_eq!(seen.status, Some(StatusCode::OK));
        assert_eq!(seen.body, content(1234));
    }
}

/// Runs a test on all four protocols.
pub(crate) fn every_version(test: impl Fn(Version)) {
    for version in Version::ALL {
        println!("{version}");
        test(version);
    }
}

/// The deadline that is left once the codec of an idle connection rests.
pub(crate) fn timer_after_a_pause(engine: &mut Engine, now: Instant) -> Option<Instant> {
    let later = now + Duration::from_secs(1);
    if engine.poll_timeout().is_some_and(|timer| timer <= later) {
        engine.handle_timeout(later);
    }
    engine.poll_timeout()
}
