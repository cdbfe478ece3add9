//! Feeds any bytes, or any frames, to an engine. The input also chooses the user's answers. Checks
//! that nothing panics, that output is bounded, and that every wait ends. After the end, the engine
//! is silent and holds nothing.

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use lacewing_conn::{
    Reason, Side, Version,
    proto::{
        Config, Engine, Event, ExtendedConnect, Head, OpenOptions, ServerPush, StreamKey, Transmit,
    },
};

use crate::script;

/// Bits of the first byte: the peer and the configuration.
mod setup {
    pub(super) const SCRIPT: u8 = 1;
    pub(super) const PUSH: u8 = 2;
    pub(super) const TIGHT: u8 = 4;
    pub(super) const SLOW: u8 = 8;
    pub(super) const UNREAD: u8 = 16;
    pub(super) const SHUTDOWN: u8 = 32;
}

/// Bits of the third byte: the application's answers.
mod answer {
    pub(super) const REPLY: u8 = 1;
    pub(super) const WITH_BODY: u8 = 2;
    pub(super) const RESET: u8 = 4;
    pub(super) const RELEASE: u8 = 8;
    pub(super) const ABANDON: u8 = 16;
    pub(super) const RETAIN: u8 = 32;
    pub(super) const PUSH: u8 = 64;
    pub(super) const DEPART: u8 = 128;
}

pub(crate) fn run(version: Version, side: Side, input: &[u8]) {
    let [choices, piece, answers, bytes @ ..] = input else {
        return;
    };
    let chosen = |bit: u8| choices & bit != 0;
    let config = configure(version, side, *choices);
    let mut application = Application::new(config, *answers);
    let mut peer = BytesMut::new();
    if chosen(setup::SCRIPT) {
        peer = script::frames(version, side, bytes);
    } else {
        peer.extend_from_slice(bytes);
    }
    let pause = Duration::from_millis(if chosen(setup::SLOW) { 4_000 } else { 1 });
    for (turn, piece) in peer.chunks(usize::from(*piece).max(1) * 8).enumerate() {
        application.take(piece);
        if chosen(setup::SHUTDOWN) && turn == 3 {
            application.engine.shutdown(application.now);
        }
        if !chosen(setup::UNREAD) || turn % 4 == 0 {
            application.write();
        }
        application.pass(pause);
    }
    application.end();
}

fn configure(version: Version, side: Side, choices: u8) -> Config {
    let mut config = Config::new(version, side);
    if choices & setup::PUSH != 0 {
        config.push = ServerPush::Accept;
        config.extended_connect = ExtendedConnect::Offer;
    }
    if choices & setup::TIGHT != 0 {
        let limits = &mut config.limits;
        limits.max_concurrent_streams = 2;
        limits.max_pushed_streams = 1;
        limits.stream_window = 50;
        limits.connection_window = 120;
        limits.max_buffered_bytes = 200;
        limits.max_header_list_size = 300;
        limits.max_header_fields = 8;
        limits.max_settings_entries = 2;
        limits.max_remembered_resets = 1;
        limits.max_skipped_ids = 1;
        limits.max_early_priorities = 1;
        limits.max_output_backlog = 100;
        limits.cut_ahead = 100;
        limits.header_table_size = 100;
        limits.resets.burst = 4;
        limits.glitches.burst = 8;
    }
    config
}

struct Application {
    engine: Engine,
    now: Instant,
    answers: u8,
    input: BytesMut,
    retained: Vec<StreamKey>,
    held: Vec<(StreamKey, usize)>,
    ended: bool,
}

impl Application {
    fn new(config: Config, answers: u8) -> Self {
        let now = Instant::now();
        let client = config.side == Side::Client;
        let mut engine = Engine::new(config, now, 1);
        for number in 0..if client { 3 } else { 0 } {
            let uri = "https://example.org/".parse().expect("a URI");
            let options = OpenOptions::default().with(|options| options.fin = number == 1);
            let _ = engine.open(now, Head::request(Method::POST, uri), options);
        }
        Self {
            engine,
            now,
            answers,
            input: BytesMut::new(),
            retained: Vec::new(),
            held: Vec::new(),
            ended: false,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.poll();
    }

    fn poll(&mut self) {
        while let Some(event) = self.engine.poll_event(self.now, &mut self.input) {
            assert!(!self.ended, "an event after the end: {event:?}");
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Event) {
        let (now, answers) = (self.now, self.answers);
        let chosen = |bit: u8| answers & bit != 0;
        match event {
            Event::Opened { stream, .. } => {
                if chosen(answer::RETAIN) {
                    self.engine.stream(now, stream).retain();
                    self.retained.push(stream);
                }
                if chosen(answer::PUSH) {
                    self.push(stream);
                }
                if chosen(answer::REPLY) {
                    self.reply(stream);
                } else if chosen(answer::RESET) {
                    self.engine.stream(now, stream).reset(Reason::Cancel);
                }
            }
            Event::Data { stream, data, .. } => {
                if chosen(answer::RELEASE) {
                    self.engine.stream(now, stream).release(data.len());
                } else if chosen(answer::ABANDON) {
                    self.engine.stream(now, stream).abandon();
                } else if chosen(answer::DEPART) {
                    self.engine.stream(now, stream).depart();
                } else {
                    self.held.push((stream, data.len()));
                }
            }
            Event::Closed { .. } => self.ended = true,
            _ => {}
        }
    }

    fn reply(&mut self, stream: StreamKey) {
        let fin = self.answers & answer::WITH_BODY == 0;
        let mut stream = self.engine.stream(self.now, stream);
        let _ = stream.reply(Head::response(StatusCode::OK), fin);
        if !fin {
            let _ = stream.send_data(Bytes::from_static(&[0; 5000]), false);
            stream.offer();
        }
    }

    fn push(&mut self, stream: StreamKey) {
        let uri = "https://example.org/pushed".parse().expect("a URI");
        let request = Head::request(Method::GET, uri);
        let pushed = self.engine.stream(self.now, stream).push(request);
        if let Ok(pushed) = pushed {
            let head = Head::response(StatusCode::OK);
            let _ = self.engine.stream(self.now, pushed).reply(head, true);
        }
    }

    fn write(&mut self) {
        while let Transmit::Pull { stream, .. } = self.engine.poll_transmit(self.now) {
            let mut stream = self.engine.stream(self.now, stream);
            let _ = stream.send_data(Bytes::from_static(b"last"), false);
            let mut trailers = HeaderMap::new();
            trailers.insert("x-trailer", HeaderValue::from_static("1"));
            if stream.send_trailers(trailers).is_err() {
                let _ = stream.send_data(Bytes::new(), true);
            }
        }
        let output = self.engine.output();
        let len = output.remaining();
        assert!(len < 4 << 20, "unbounded output");
        output.advance(len);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        while self
            .engine
            .poll_timeout()
            .is_some_and(|due| due <= self.now)
        {
            self.engine.handle_timeout(self.now);
            self.poll();
            self.write();
        }
    }

    /// The transport ends: so does the connection, and nothing is left of it.
    fn end(mut self) {
        self.engine.handle_eof(self.now);
        self.poll();
        for _ in 0..10_000 {
            self.write();
            let Some(due) = self.engine.poll_timeout() else {
                break;
            };
            self.now = self.now.max(due);
            self.engine.handle_timeout(self.now);
            self.poll();
        }
        self.write();
        assert!(self.engine.is_closed(), "a wait without an end");
        assert_eq!(self.engine.poll_timeout(), None);
        for stream in std::mem::take(&mut self.retained) {
            self.engine.stream(self.now, stream).finish();
        }
        for (stream, len) in std::mem::take(&mut self.held) {
            self.engine.stream(self.now, stream).release(len);
        }
        let stats = self.engine.stats();
        assert_eq!((stats.open_streams, stats.detached_handlers), (0, 0));
        assert_eq!((stats.buffered_bytes, stats.output_bytes), (0, 0));
    }
}
