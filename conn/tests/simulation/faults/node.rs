//! One side: an engine, its user, and the user's record of each stream.

mod outcome;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use lacewing_conn::{
    Reason, Side,
    proto::{
        Config, Control, Engine, Event, Head, OpenOptions, Priority, StreamKey, Transmit,
        UsageError,
    },
};

use super::{
    transport::{Fault, Pipe},
    user::{Reading, Source, Stream},
};
use crate::{monitor::Monitor, seeds::Rng};

#[derive(Debug)]
pub(super) struct Node {
    pub(super) engine: Engine,
    pub(super) monitor: Monitor,
    pub(super) rng: Rng,
    side: Side,
    input: BytesMut,
    /// A copy of the input: the monitor notes grants when they are consumed.
    copy: BytesMut,
    streams: BTreeMap<u32, Stream>,
    held: VecDeque<(StreamKey, usize)>,
    /// The user received the end of the input.
    eof: bool,
    closed: bool,
    /// From now on, users do all outstanding work.
    pub(super) settling: bool,
    greedy: bool,
    events: usize,
    /// Events and calls are printed.
    pub(super) traced: bool,
}

impl Node {
    pub(super) fn new(config: Config, now: Instant, seed: u64) -> Self {
        let (version, side) = (config.version, config.side);
        let mut rng = Rng(seed);
        Self {
            engine: Engine::new(config, now, rng.next()),
            monitor: Monitor::new(version, side),
            greedy: rng.chance(60),
            rng,
            side,
            input: BytesMut::new(),
            copy: BytesMut::new(),
            streams: BTreeMap::new(),
            held: VecDeque::new(),
            eof: false,
            closed: false,
            settling: false,
            events: 0,
            traced: false,
        }
    }

    // The transport.

    /// Encodes and writes; `true` if anything was written.
    pub(super) fn write(&mut self, now: Instant, pipe: &mut Pipe) -> bool {
        for _ in 0..10_000 {
            match self.engine.poll_transmit(now) {
                Transmit::Pull { stream, max } => {
                    assert!(max > 0);
                    self.pull(now, stream);
                }
                Transmit::Write => {
                    if !self.drain(pipe) {
                        return false;
                    }
                }
                Transmit::Idle => return self.drain(pipe),
            }
        }
        panic!("transmitting never ends");
    }

    fn drain(&mut self, pipe: &mut Pipe) -> bool {
        let limits = self.engine.limits();
        let bound = limits.cut_ahead + limits.max_output_backlog + (512 << 10);
        assert!(self.engine.output().len() <= bound, "unbounded output");
        let mut moved = false;
        while self.engine.output().has_remaining() {
            let chunk = Buf::chunk(self.engine.output());
            let len = chunk.len().min(pipe.room());
            if len == 0 {
                break;
            }
            pipe.write(&chunk[..len]);
            self.monitor.sends(&chunk[..len]);
            self.engine.output().advance(len);
            moved = true;
        }
        moved
    }

    /// The transport failed during our writes.
    pub(super) fn fail_writes(&mut self, now: Instant) {
        if !self.closed {
            self.eof = true;
            let error = io::Error::from(io::ErrorKind::BrokenPipe);
            self.engine.handle_io_error(now, error);
            self.poll(now);
        }
    }

    /// Reads once; `true` if anything happened.
    pub(super) fn read(&mut self, now: Instant, pipe: &mut Pipe) -> bool {
        if self.is_over() {
            pipe.discard();
        }
        if self.eof || !self.engine.wants_input() {
            return false;
        }
        let mut moved = false;
        if let Some(bytes) = pipe.read(now, &mut self.rng) {
            self.input.extend_from_slice(&bytes);
            self.copy.extend_from_slice(&bytes);
            moved = true;
        }
        self.poll(now);
        if pipe.is_at_end() && self.engine.wants_input() && !self.eof {
            self.eof = true;
            if pipe.fault() == Some(Fault::Error) {
                let error = io::Error::from(io::ErrorKind::ConnectionReset);
                self.engine.handle_io_error(now, error);
            } else {
                self.engine.handle_eof(now);
            }
            self.poll(now);
            moved = true;
        }
        moved
    }

    /// The engine has ended, and its last bytes are written.
    pub(super) fn is_over(&mut self) -> bool {
        self.engine.is_closed() && self.engine.output().is_empty()
    }

    pub(super) fn poll(&mut self, now: Instant) -> bool {
        let before = self.events;
        loop {
            let event = self.engine.poll_event(now, &mut self.input);
            let consumed = self.copy.len() - self.input.len();
            let consumed = self.copy.split_to(consumed);
            self.monitor.receives(&consumed);
            let Some(event) = event else {
                return self.events > before;
            };
            self.events += 1;
            self.handle(now, event);
        }
    }

    // The user.

    fn handle(&mut self, now: Instant, event: Event) {
        match &event {
            Event::Data { stream, data, fin } => {
                self.trace(now, &format_args!("Data {stream:?} {} {fin}", data.len()));
            }
            event => self.trace(now, &event),
        }
        assert!(!self.closed, "an event after the end: {event:?}");
        match event {
            Event::Opened {
                stream, head, fin, ..
            } => self.serve(now, stream, &head, fin),
            Event::Informational { stream, .. } => drop(self.see(stream)),
            Event::Reply { stream, fin, .. } => {
                let seen = self.see(stream);
                seen.fin = fin;
            }
            Event::Data { stream, data, fin } => self.take(now, stream, &data, fin),
            Event::Headers { stream, fin, .. } => {
                let seen = self.see(stream);
                seen.fin = fin;
            }
            Event::Promised { stream, .. } => {
                let reading = self.reading();
                self.insert(stream, reading);
                if self.rng.chance(20) {
                    self.cancel(now, stream, Reason::Cancel);
                }
            }
            Event::Reset { stream, .. } => {
                let id = stream.id().value();
                if let Some(seen) = self.streams.get_mut(&id) {
                    assert!(!seen.reset, "two resets of stream {id}");
                    seen.reset = true;
                    seen.source = None;
                }
            }
            Event::Stopped { stream, .. } => {
                if let Some(seen) = self.streams.get_mut(&stream.id().value()) {
                    seen.source = None;
                }
            }
            Event::Closed { .. } => {
                assert!(self.engine.is_closed());
                self.closed = true;
                for (id, stream) in &self.streams {
                    let whole = stream.fin || stream.reset || stream.left;
                    assert!(
                        whole,
                        "stream {id} has no end before that of the connection"
                    );
                }
            }
            _ => {}
        }
    }

    /// A stream that receives an event: it is known, and has not ended.
    fn see(&mut self, stream: StreamKey) -> &mut Stream {
        let id = stream.id().value();
        let seen = self
            .streams
            .get_mut(&id)
            .expect("an event of a known stream");
        let live = !seen.reset && !seen.fin;
        assert!(live, "an event after the end of stream {id}");
        seen
    }

    fn insert(&mut self, key: StreamKey, reading: Reading) -> &mut Stream {
        let id = key.id().value();
        let stream = Stream {
            key,
            reading,
            received: 0,
            fin: false,
            reset: false,
            left: false,
            source: None,
            answers: None,
            retained: false,
            bodiless: false,
        };
        let before = self.streams.insert(id, stream);
        assert!(before.is_none(), "stream {id} was opened twice");
        self.streams.get_mut(&id).expect("it was inserted")
    }

    fn reading(&mut self) -> Reading {
        match self.rng.below(20) {
            0 => Reading::Abandon,
            1 => Reading::Depart,
            _ if self.greedy || self.settling => Reading::AtOnce,
            _ => Reading::Later,
        }
    }

    fn source(&mut self) -> Source {
        let left = match self.rng.below(12) {
            0..=3 => 0,
            4..=8 => self.rng.below(3_000),
            9 | 10 => self.rng.below(20_000),
            _ => self.rng.below(100_000),
        };
        let fails = self.rng.chance(10);
        Source {
            left,
            piece: [1 + left / 20, 100 + left / 20, 10_000][self.rng.below(3)],
            fails_at: fails.then(|| self.rng.below(left + 1)),
            pending: false,
            trailers: self.rng.chance(20),
        }
    }

    /// A client's request.
    pub(super) fn open(&mut self, now: Instant) {
        let methods = [Method::GET, Method::POST, Method::HEAD, Method::CONNECT];
        let method = methods[[0, 0, 1, 1, 1, 2, 3][self.rng.below(7)]].clone();
        let upload = method == Method::POST || method == Method::CONNECT;
        let uri = match method {
            Method::CONNECT => "example.org:443",
            _ => "https://example.org/path",
        };
        let mut head = Head::request(method, uri.parse().expect("a URI"));
        if self.rng.chance(30) {
            let value = "v".repeat(self.rng.below(400));
            let value = HeaderValue::from_str(&value).expect("a value");
            head.fields.insert("x-field", value);
        }
        let options = OpenOptions::default().with(|options| options.fin = !upload);
        let Ok(key) = self.engine.open(now, head, options) else {
            return;
        };
        let (reading, source) = (self.reading(), self.source());
        let stream = self.insert(key, reading);
        if upload {
            stream.source = Some(source);
            self.engine.stream(now, key).offer();
        }
    }

    /// Starts a server's handler.
    fn serve(&mut self, now: Instant, key: StreamKey, head: &Head, fin: bool) {
        let bodiless =
            matches!(&head.control, Control::Request { method, .. } if method == Method::HEAD);
        let (reading, choice) = (self.reading(), self.rng.below(20));
        let retained = self.rng.chance(60);
        let time = Duration::from_millis(1 << self.rng.below(18));
        let stream = self.insert(key, reading);
        (stream.fin, stream.retained, stream.bodiless) = (fin, retained, bodiless);
        if retained {
            self.engine.stream(now, key).retain();
        }
        match choice {
            // The handler panics.
            0 => self.cancel(now, key, Reason::InternalError),
            1..=8 => {
                let stream = self.streams.get_mut(&key.id().value());
                stream.expect("it was inserted").answers = Some(now + time);
            }
            _ => self.answer(now, key),
        }
    }

    /// The response of a handler.
    fn answer(&mut self, now: Instant, key: StreamKey) {
        if self.rng.chance(15) {
            let inform = Head::response(StatusCode::from_u16(103).expect("a status"));
            let _ = self.engine.stream(now, key).inform(inform);
        }
        if self.rng.chance(20) {
            self.push(now, key);
        }
        let source = self.source();
        let Some(stream) = self.streams.get_mut(&key.id().value()) else {
            return;
        };
        stream.answers = None;
        let fin = stream.bodiless || (source.left == 0 && !source.trailers);
        let reply = self
            .engine
            .stream(now, key)
            .reply(Head::response(StatusCode::OK), fin);
        if reply.is_ok() && !fin {
            stream.source = Some(source);
            self.engine.stream(now, key).offer();
        }
        if std::mem::take(&mut stream.retained) {
            self.engine.stream(now, key).finish();
        }
    }

    fn push(&mut self, now: Instant, parent: StreamKey) {
        let uri = "https://example.org/pushed".parse().expect("a URI");
        let request = Head::request(Method::GET, uri);
        let Ok(key) = self.engine.stream(now, parent).push(request) else {
            return;
        };
        let time = Duration::from_millis(1 << self.rng.below(12));
        let stream = self.insert(key, Reading::AtOnce);
        // The client sends no content on it.
        stream.fin = true;
        stream.answers = Some(now + time);
    }

    fn pull(&mut self, now: Instant, key: StreamKey) {
        let settling = self.settling;
        let pause = !settling && self.rng.chance(10);
        let Some(stream) = self.streams.get_mut(&key.id().value()) else {
            return;
        };
        let Some(source) = &mut stream.source else {
            return;
        };
        if pause {
            source.pending = true;
            return;
        }
        if source.fails_at.is_some_and(|at| source.left <= at) {
            return self.cancel(now, key, Reason::InternalError);
        }
        let piece = source.piece.clamp(1, source.left.max(1)).min(source.left);
        source.left -= piece;
        let (last, trailers, rest) = (source.left == 0, source.trailers, *source);
        if last {
            stream.source = None;
        }
        let mut sender = self.engine.stream(now, key);
        let sent = sender.send_data(zeros(piece), last && !trailers);
        assert!(!matches!(sent, Err(UsageError::Busy)), "pulled while busy");
        if last && trailers && sent.is_ok() {
            let mut fields = HeaderMap::new();
            fields.insert("x-trailer", HeaderValue::from_static("1"));
            // A tunnel has no trailers: it ends after this piece.
            if sender.send_trailers(fields).is_err() {
                sender.offer();
                stream.source = Some(Source {
                    left: 0,
                    trailers: false,
                    ..rest
                });
            }
        }
    }

    fn take(&mut self, now: Instant, key: StreamKey, data: &Bytes, fin: bool) {
        let seen = self.see(key);
        seen.received += data.len();
        seen.fin = fin;
        match seen.reading {
            Reading::AtOnce => self.engine.stream(now, key).release(data.len()),
            Reading::Later => self.held.push_back((key, data.len())),
            Reading::Abandon => {
                seen.left = true;
                self.engine.stream(now, key).abandon();
            }
            Reading::Depart => {
                seen.left = true;
                self.engine.stream(now, key).depart();
            }
        }
    }

    /// The user ends a stream. No event follows.
    fn cancel(&mut self, now: Instant, key: StreamKey, reason: Reason) {
        let Some(stream) = self.streams.get_mut(&key.id().value()) else {
            return;
        };
        (stream.left, stream.source, stream.answers) = (true, None, None);
        trace(
            self.traced,
            self.side,
            now,
            &format_args!("reset {key:?}: {reason:?}"),
        );
        self.engine.stream(now, key).reset(reason);
        if std::mem::take(&mut stream.retained) {
            self.engine.stream(now, key).finish();
        }
    }

    /// An action that a user may take at any time.
    pub(super) fn act(&mut self, now: Instant) {
        let keys: Vec<_> = self.streams.values().map(|stream| stream.key).collect();
        let key = keys.get(self.rng.below(keys.len().max(1))).copied();
        let choice = self.rng.below(12);
        self.trace(now, &format_args!("act {choice} {key:?}"));
        match (choice, key) {
            (0, _) if self.rng.chance(15) => self.engine.shutdown(now),
            (0, _) if self.rng.chance(10) => {
                self.engine
                    .abort(now, Reason::InternalError, "the user gave up");
            }
            (1, _) => self.engine.ping(now),
            (2, Some(key)) => self.cancel(now, key, Reason::Cancel),
            (3, Some(key)) => {
                self.streams.get_mut(&key.id().value()).expect("known").left = true;
                self.engine.stream(now, key).abandon();
            }
            (4, Some(key)) => {
                self.streams.get_mut(&key.id().value()).expect("known").left = true;
                self.engine.stream(now, key).depart();
            }
            (5, Some(key)) => {
                let urgency = self.rng.below(8) as u8;
                let priority = Priority::new(urgency, self.rng.chance(50));
                self.engine.stream(now, key).prioritize(priority);
            }
            (6, Some(key)) if self.side == Side::Server => self.push(now, key),
            (7, Some(key)) => {
                let fields = HeaderMap::new();
                let _ = self.engine.stream(now, key).send_headers(fields);
            }
            (8, _) => {
                for stream in self.streams.values_mut() {
                    if let Some(source) = stream.source.as_mut().filter(|source| source.pending) {
                        source.pending = false;
                        self.engine.stream(now, stream.key).offer();
                    }
                }
            }
            (9 | 10, _) => self.release(now),
            _ => {}
        }
        self.poll(now);
    }

    fn release(&mut self, now: Instant) {
        for _ in 0..self.rng.below(4) {
            let Some((key, len)) = self.held.pop_front() else {
                return;
            };
            let part = 1 + self.rng.below(len.max(1));
            self.engine.stream(now, key).release(part);
            if part < len {
                self.held.push_front((key, len - part));
            }
        }
    }

    /// The handlers whose time has come respond. `true` if one did.
    pub(super) fn answer_due(&mut self, now: Instant) -> bool {
        let due = |stream: &&Stream| stream.answers.is_some_and(|at| at <= now);
        let due: Vec<_> = self
            .streams
            .values()
            .filter(due)
            .map(|stream| stream.key)
            .collect();
        for key in &due {
            self.answer(now, *key);
        }
        !due.is_empty()
    }

    /// The time of the next response of a handler.
    pub(super) fn next_answer(&self) -> Option<Instant> {
        self.streams
            .values()
            .filter_map(|stream| stream.answers)
            .min()
    }

    /// The user does all outstanding work: reads, sends, and ends its handlers.
    pub(super) fn settle(&mut self, now: Instant) {
        self.settling = true;
        for (key, len) in std::mem::take(&mut self.held) {
            self.engine.stream(now, key).release(len);
        }
        let mut gone = Vec::new();
        for stream in self.streams.values_mut() {
            if stream.reading == Reading::Later {
                stream.reading = Reading::AtOnce;
            }
            if let Some(source) = stream.source.as_mut().filter(|source| source.pending) {
                source.pending = false;
                self.engine.stream(now, stream.key).offer();
            }
            if stream.reset && stream.retained {
                gone.push(stream.key);
            }
        }
        for key in gone {
            self.cancel(now, key, Reason::Cancel);
        }
        self.poll(now);
    }

    fn trace(&self, now: Instant, what: &dyn fmt::Debug) {
        trace(self.traced, self.side, now, what);
    }

    pub(super) fn describe(&mut self, now: Instant) -> String {
        let next = self
            .engine
            .poll_timeout()
            .map(|due| due.saturating_duration_since(now));
        let wants_input = self.engine.wants_input();
        let stats = self.engine.stats();
        let unread = (self.input.len(), self.eof, wants_input);
        let mut streams = Vec::new();
        for stream in self.streams.values() {
            if self.engine.stream(now, stream.key).priority().is_some() {
                streams.push(stream);
            }
        }
        format!(
            "{:?} {:?}: closed {}, next {next:?}, unread {unread:?}, {streams:?}, {stats:?}",
            self.engine.version(),
            self.side,
            self.engine.is_closed(),
        )
    }
}

fn trace(traced: bool, side: Side, now: Instant, what: &dyn fmt::Debug) {
    if traced {
        println!("{now:?} {side:?}: {what:?}");
    }
}

/// Content with arbitrary bytes.
fn zeros(len: usize) -> Bytes {
    static ZEROS: [u8; 100_000] = [0; 100_000];
    Bytes::from_static(&ZEROS[..len])
}
