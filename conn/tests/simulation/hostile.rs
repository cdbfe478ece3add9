//! Peers that send illegal input.

use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use lacewing_conn::{
    Side, Version,
    proto::{Config, Engine, Event, Head, OpenOptions, ServerPush, StreamKey, StreamMut, Transmit},
};
use lacewing_frames::{http2, spdy};
use lacewing_hpack::Sensitivity;

use crate::{monitor::Monitor, pair::every_version, seeds::Rng};

/// A header list with any bytes.
pub(crate) type List = [(Vec<u8>, Vec<u8>)];

/// The kind of frame that carries a header list.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ListFrame {
    Open,
    Reply,
    More,
    Promise { parent: u32 },
}

/// A peer whose frames a test writes by hand.
pub(crate) struct Peer {
    pub(crate) version: Version,
    pub(crate) side: Side,
    pub(crate) bytes: BytesMut,
    /// The certificate slot of requests.
    pub(crate) slot: u8,
    http2: http2::Encoder,
    spdy: spdy::Encoder,
}

impl Peer {
    /// A peer that has sent its preface and SETTINGS.
    pub(crate) fn new(version: Version, side: Side) -> Self {
        let wire = version.spdy_frames().unwrap_or(spdy::WireVersion::V3);
        let mut peer = Self {
            version,
            side,
            bytes: BytesMut::new(),
            slot: 0,
            http2: http2::Encoder::new(),
            spdy: spdy::Encoder::new(wire, spdy::Compression::Stored),
        };
        if version == Version::Http2 {
            if side == Side::Client {
                peer.bytes.extend_from_slice(http2::PREFACE);
            }
            peer.http2.settings(&mut peer.bytes, &[]);
        }
        peer
    }

    pub(crate) fn http2(&self) -> bool {
        self.version == Version::Http2
    }

    /// A request with these extra fields.
    pub(crate) fn request(&mut self, id: u32, fin: bool, extra: &[(&str, &str)]) {
        self.request_of("POST", id, fin, extra);
    }

    pub(crate) fn request_of(&mut self, method: &str, id: u32, fin: bool, extra: &[(&str, &str)]) {
        let pseudo: &[(&str, &str)] = match self.version {
            Version::Http2 => &[
                (":method", method),
                (":scheme", "https"),
                (":authority", "example.org"),
                (":path", "/"),
            ],
            Version::Spdy2 => &[
                ("method", method),
                ("scheme", "https"),
                ("host", "example.org"),
                ("url", "/"),
                ("version", "HTTP/1.1"),
            ],
            _ => &[
                (":method", method),
                (":scheme", "https"),
                (":host", "example.org"),
                (":path", "/"),
                (":version", "HTTP/1.1"),
            ],
        };
        let fields: Vec<_> = pseudo.iter().chain(extra).copied().collect();
        self.open(id, fin, &fields);
    }

    /// A stream with exactly these fields.
    pub(crate) fn open(&mut self, id: u32, fin: bool, fields: &[(&str, &str)]) {
        if self.http2() {
            return self.http2_headers(id, fin, fields);
        }
        let mut head = spdy::SynStreamHead::new(id);
        head.fin = fin;
        head.slot = self.slot;
        let fields = spdy_fields(fields);
        self.spdy.syn_stream(&mut self.bytes, head, fields).unwrap();
    }

    /// A header list with any bytes, in a frame of this kind.
    pub(crate) fn list(&mut self, frame: ListFrame, id: u32, fin: bool, list: &List) {
        if self.http2() {
            let fields = |block: &mut lacewing_hpack::BlockEncoder<'_>| {
                for (name, value) in list {
                    block.field(name, value, Sensitivity::Normal);
                }
            };
            if let ListFrame::Promise { parent } = frame {
                let head = http2::PushPromiseHead {
                    stream_id: parent,
                    promised_id: id,
                    padding: None,
                };
                return self.http2.push_promise(&mut self.bytes, head, fields);
            }
            let head = http2::HeadersHead {
                stream_id: id,
                fin,
                priority: None,
                padding: None,
            };
            return self.http2.headers(&mut self.bytes, head, fields);
        }
        let fields = |block: &mut spdy::BlockEncoder<'_>| {
            for (name, value) in list {
                block.field(name, [&value[..]]);
            }
        };
        let out = &mut self.bytes;
        let mut head = spdy::SynStreamHead::new(id);
        head.fin = fin;
        match frame {
            ListFrame::Open => self.spdy.syn_stream(out, head, fields),
            ListFrame::Promise { parent } => {
                head.associated = parent;
                head.unidirectional = true;
                self.spdy.syn_stream(out, head, fields)
            }
            ListFrame::Reply => self.spdy.syn_reply(out, id, fin, fields),
            ListFrame::More => self.spdy.headers(out, id, fin, fields),
        }
        .unwrap();
    }

    /// An associated stream of SPDY.
    pub(crate) fn associated(
        &mut self,
        (id, parent): (u32, u32),
        unidirectional: bool,
        fin: bool,
        fields: &[(&str, &str)],
    ) {
        let mut head = spdy::SynStreamHead::new(id);
        head.associated = parent;
        head.unidirectional = unidirectional;
        head.fin = fin;
        let fields = spdy_fields(fields);
        self.spdy.syn_stream(&mut self.bytes, head, fields).unwrap();
    }

    pub(crate) fn reply(&mut self, id: u32, fin: bool, fields: &[(&str, &str)]) {
        if self.http2() {
            return self.http2_headers(id, fin, fields);
        }
        self.spdy
            .syn_reply(&mut self.bytes, id, fin, spdy_fields(fields))
            .unwrap();
    }

    pub(crate) fn headers(&mut self, id: u32, fin: bool, fields: &[(&str, &str)]) {
        if self.http2() {
            return self.http2_headers(id, fin, fields);
        }
        self.spdy
            .headers(&mut self.bytes, id, fin, spdy_fields(fields))
            .unwrap();
    }

    fn http2_headers(&mut self, id: u32, fin: bool, fields: &[(&str, &str)]) {
        let head = http2::HeadersHead {
            stream_id: id,
            fin,
            priority: None,
            padding: None,
        };
        self.http2.headers(&mut self.bytes, head, |block| {
            for (name, value) in fields {
                block.field(name.as_bytes(), value.as_bytes(), Sensitivity::Normal);
            }
        });
    }

    /// The status of a plain response.
    pub(crate) fn ok(&self) -> &'static [(&'static str, &'static str)] {
        match self.version {
            Version::Http2 => &[(":status", "200")],
            Version::Spdy2 => &[("status", "200 OK"), ("version", "HTTP/1.1")],
            _ => &[(":status", "200 OK"), (":version", "HTTP/1.1")],
        }
    }

    pub(crate) fn data(&mut self, id: u32, data: &[u8], fin: bool) {
        if self.http2() {
            self.http2
                .data_head(&mut self.bytes, id, data.len() as u32, fin);
        } else {
            self.spdy
                .data_head(&mut self.bytes, id, data.len() as u32, fin);
        }
        self.bytes.extend_from_slice(data);
    }

    pub(crate) fn reset(&mut self, id: u32) {
        if self.http2() {
            self.http2
                .rst_stream(&mut self.bytes, id, http2::ErrorCode::CANCEL);
        } else {
            self.spdy
                .rst_stream(&mut self.bytes, id, spdy::ErrorCode::CANCEL);
        }
    }

    pub(crate) fn window_update(&mut self, id: u32, increment: u32) {
        if self.http2() {
            self.http2.window_update(&mut self.bytes, id, increment);
        } else {
            self.spdy.window_update(&mut self.bytes, id, increment);
        }
    }

    pub(crate) fn ping(&mut self) {
        if self.http2() {
            self.http2.ping(&mut self.bytes, *b"12345678");
        } else {
            let id = if self.side == Side::Client { 1 } else { 2 };
            self.spdy.ping(&mut self.bytes, id);
        }
    }

    pub(crate) fn settings(&mut self) {
        if self.http2() {
            self.http2.settings(&mut self.bytes, &[]);
        } else {
            self.spdy.settings(&mut self.bytes, false, &[]).unwrap();
        }
    }

    /// SETTINGS with the initial window of streams.
    pub(crate) fn initial_window(&mut self, size: u32) {
        let http2 = http2::SettingId::INITIAL_WINDOW_SIZE;
        self.advertise(http2, spdy::SettingId::INITIAL_WINDOW_SIZE, size);
    }

    /// SETTINGS with the number of streams that are accepted at once.
    pub(crate) fn max_streams(&mut self, count: u32) {
        let http2 = http2::SettingId::MAX_CONCURRENT_STREAMS;
        self.advertise(http2, spdy::SettingId::MAX_CONCURRENT_STREAMS, count);
    }

    fn advertise(&mut self, http2: http2::SettingId, spdy: spdy::SettingId, value: u32) {
        if self.http2() {
            let setting = http2::Setting { id: http2, value };
            self.http2.settings(&mut self.bytes, &[setting]);
        } else {
            let setting = spdy::Setting::new(spdy, value);
            let out = &mut self.bytes;
            self.spdy.settings(out, false, &[setting]).unwrap();
        }
    }

    pub(crate) fn settings_ack(&mut self) {
        if self.http2() {
            self.http2.settings_ack(&mut self.bytes);
        }
    }

    pub(crate) fn go_away(&mut self, last: u32) {
        self.go_away_for(last, 0, b"");
    }

    /// GOAWAY with a code of its protocol, and a text if the protocol has one.
    pub(crate) fn go_away_for(&mut self, last: u32, code: u32, text: &[u8]) {
        let bytes = &mut self.bytes;
        if self.version == Version::Http2 {
            self.http2
                .go_away(bytes, last, http2::ErrorCode(code), text);
        } else {
            self.spdy.go_away(bytes, last, spdy::GoAwayStatus(code));
        }
    }

    /// Raw bytes.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

fn spdy_fields(fields: &[(&str, &str)]) -> impl FnOnce(&mut spdy::BlockEncoder<'_>) {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    move |block| {
        for (name, value) in &fields {
            block.field(name.as_bytes(), [value.as_bytes()]);
        }
    }
}

/// An engine and its actions.
pub(crate) struct Victim {
    pub(crate) engine: Engine,
    pub(crate) now: Instant,
    pub(crate) events: Vec<Event>,
    pub(crate) monitor: Monitor,
    input: BytesMut,
}

impl Victim {
    pub(crate) fn new(version: Version, side: Side) -> Self {
        Self::with(Config::new(version, side).with(|config| {
            // Without the timers of silence, every timer belongs to the test's traffic.
            config.limits.idle_timeout = None;
            config.limits.max_silence = None;
        }))
    }

    pub(crate) fn with(config: Config) -> Self {
        let now = Instant::now();
        let monitor = Monitor::new(config.version, config.side);
        Self {
            engine: Engine::new(config, now, 3),
            now,
            events: Vec::new(),
            monitor,
            input: BytesMut::new(),
        }
    }

    /// The engine's view of a stream, now.
    pub(crate) fn stream(&mut self, key: StreamKey) -> StreamMut<'_> {
        self.engine.stream(self.now, key)
    }

    /// Processes the peer's bytes, and collects the answers.
    pub(crate) fn take(&mut self, peer: &mut Peer) {
        let bytes = peer.bytes.split();
        self.take_bytes(&bytes);
    }

    /// Processes frames that grant credit: the monitor reads them too.
    pub(crate) fn grant(&mut self, peer: &mut Peer) {
        let bytes = peer.bytes.split();
        self.monitor.receives(&bytes);
        self.take_bytes(&bytes);
    }

    pub(crate) fn take_bytes(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.poll();
    }

    /// Takes what the peer wrote, with a user that releases no content.
    pub(crate) fn take_unread(&mut self, peer: &mut Peer) {
        self.input.extend_from_slice(&peer.bytes.split());
        while let Some(event) = self.engine.poll_event(self.now, &mut self.input) {
            self.events.push(event);
        }
    }

    pub(crate) fn poll(&mut self) {
        while let Some(event) = self.engine.poll_event(self.now, &mut self.input) {
            if let Event::Data { stream, data, .. } = &event {
                self.stream(*stream).release(data.len());
            }
            self.events.push(event);
        }
    }

    /// Writes all output, as a driver does.
    pub(crate) fn flush(&mut self) -> Bytes {
        while let Transmit::Pull { stream, .. } = self.engine.poll_transmit(self.now) {
            self.stream(stream)
                .send_data(Bytes::from_static(&[0; 10_000]), false)
                .unwrap();
            if self.engine.output().len() > 1 << 20 {
                break;
            }
        }
        let output = self.engine.output();
        let len = output.remaining();
        let bytes = output.copy_to_bytes(len);
        self.monitor.sends(&bytes);
        bytes
    }
}

/// Feeds frames that a seed chooses. Returns whether the connection ended.
pub(crate) fn random_frames(version: Version, seed: u64) -> bool {
    let mut rng = Rng(seed);
    let side = if rng.chance(50) {
        Side::Server
    } else {
        Side::Client
    };
    let peer_side = if side == Side::Server {
        Side::Client
    } else {
        Side::Server
    };
    let mut config = Config::new(version, side);
    if rng.chance(50) {
        config.push = ServerPush::Accept;
    }
    let mut victim = Victim::with(config);
    let mut peer = Peer::new(version, peer_side);
    if side == Side::Client {
        for _ in 0..3 {
            let uri = "https://example.org/".parse().unwrap();
            let head = Head::request(http::Method::POST, uri);
            victim
                .engine
                .open(
                    victim.now,
                    head,
                    OpenOptions::default().with(|options| options.fin = rng.chance(50)),
                )
                .unwrap();
        }
    }
    let mut windows = 0;
    for _ in 0..40 {
        let id = [0, 1, 2, 3, 5, 7, 4, 9][rng.below(8)];
        let fin = rng.chance(40);
        match rng.below(13) {
            0 | 1 => peer.request(id.max(1), fin, &[]),
            2 | 3 => peer.reply(id.max(1), fin, peer.ok()),
            4 => peer.headers(id.max(1), fin, &[("x-trailer", "1")]),
            5 | 6 => peer.data(id.max(1), &[7; 100], fin),
            7 => peer.reset(id.max(1)),
            8 => {
                // Fewer: their sum overflows.
                windows += 1;
                if windows < 10 {
                    peer.window_update(id, 1000);
                }
            }
            9 => peer.ping(),
            10 => peer.settings(),
            11 if rng.chance(10) => peer.go_away(id),
            12 if rng.chance(20) => {
                let noise: Vec<u8> = (0..30).map(|_| rng.next() as u8).collect();
                peer.raw(&noise);
            }
            _ => {}
        }
        victim.take(&mut peer);
        for index in 0..victim.events.len() {
            // Answer some of the opened streams.
            if let Event::Opened { stream, .. } = &victim.events[index] {
                let stream = *stream;
                if rng.chance(50) {
                    let head = Head::response(http::StatusCode::OK);
                    let _ = victim.stream(stream).reply(head, rng.chance(50));
                }
            }
        }
        victim.flush();
        if victim.engine.is_closed() {
            break;
        }
    }
    let closed = victim.engine.is_closed();
    let errors = victim
        .events
        .iter()
        .filter(|event| matches!(event, Event::Closed { .. }))
        .count();
    assert!(errors <= 1);
    if closed && errors == 1 {
        assert_eq!(victim.monitor.go_aways, 1, "one GOAWAY (seed {seed})");
        let before = victim.events.len();
        peer.ping();
        peer.request(99, true, &[]);
        victim.take(&mut peer);
        assert_eq!(victim.events.len(), before, "silence (seed {seed})");
        assert!(victim.flush().is_empty(), "silence (seed {seed})");
        let stats = victim.engine.stats();
        assert_eq!((stats.open_streams, stats.buffered_bytes), (0, 0));
    }
    closed
}

#[test]
fn garbage_instead_of_a_preface() {
    every_version(|version| {
        for garbage in [
            &b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..],
            &[0xff; 64],
            &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3],
        ] {
            let mut victim = Victim::new(version, Side::Server);
            victim.take_bytes(garbage);
            assert!(victim.engine.is_closed(), "{version}: {garbage:?}");
            assert!(matches!(victim.events[..], [Event::Closed { .. }]));
            assert_eq!(victim.engine.stats().open_streams, 0);
        }
    });
}

#[test]
fn frames_over_the_limit_are_refused_by_their_head() {
    every_version(|version| {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        peer.request(1, false, &[]);
        victim.take(&mut peer);
        if version == Version::Http2 {
            peer.raw(&[0xff, 0xff, 0xff, 0x1, 0, 0, 0, 0, 3]);
        } else {
            let two = u8::from(version == Version::Spdy2);
            peer.raw(&[0x80, 3 - two, 0, 1, 0, 0xff, 0xff, 0xff]);
        }
        victim.take(&mut peer);
        assert!(victim.engine.is_closed());
        let Some(Event::Closed { error }) = victim.events.last() else {
            panic!("no error: {:?}", victim.events);
        };
        assert!(error.to_string().contains("16777215"), "{error}");
        victim.flush();
        assert_eq!(victim.monitor.go_aways, 1);
    });
}

#[test]
fn header_blocks_that_do_not_decode_end_the_connection() {
    every_version(|version| {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        peer.request(1, false, &[]);
        victim.take(&mut peer);
        if version == Version::Http2 {
            // An index beyond every table.
            peer.raw(&[0, 0, 2, 1, 5, 0, 0, 0, 3, 0xff, 0x7f]);
        } else {
            let two = u8::from(version == Version::Spdy2);
            peer.raw(&[
                0x80,
                3 - two,
                0,
                1,
                1,
                0,
                0,
                20,
                0,
                0,
                0,
                3,
                0,
                0,
                0,
                0,
                0,
                0,
            ]);
            peer.raw(&[0xff; 10]);
        }
        victim.take(&mut peer);
        assert!(victim.engine.is_closed());
        let closed = victim
            .events
            .iter()
            .any(|event| matches!(event, Event::Closed { .. }));
        let reset = victim
            .events
            .iter()
            .any(|event| matches!(event, Event::Reset { .. }));
        assert!(
            closed && reset,
            "the open stream learns of it: {:?}",
            victim.events
        );
    });
}

#[test]
fn truncated_frames_wait_for_the_rest_at_every_offset() {
    every_version(|version| {
        let mut peer = Peer::new(version, Side::Client);
        peer.request(1, false, &[("x-long", &"v".repeat(300))]);
        peer.data(1, b"some data", false);
        peer.ping();
        peer.headers(1, true, &[("x-trailer", "1")]);
        let bytes = peer.bytes.split();
        for offset in 0..bytes.len() {
            let mut victim = Victim::new(version, Side::Server);
            victim.take_bytes(&bytes[..offset]);
            assert!(!victim.engine.is_closed());
            victim.take_bytes(&bytes[offset..]);
            let ended = victim
                .events
                .iter()
                .any(|event| matches!(event, Event::Headers { fin: true, .. }));
            assert!(ended, "cut at {offset}");
        }
    });
}
