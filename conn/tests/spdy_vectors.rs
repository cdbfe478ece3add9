//! The SPDY vectors on the engine: the result of every malformed or illegal input, and recorded
//! conversations with our engine as one side.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

use std::{path::PathBuf, time::Instant};

use bytes::{Buf, Bytes, BytesMut};
use http::{Method, StatusCode};
use lacewing_conn::{
    Side, Version,
    proto::{Config, Control, Engine, Event, Head, OpenOptions, ServerPush, Transmit},
};
use lacewing_frames::spdy::{self, Frame};
use serde_json::Value;

/// Copied from the corpus of this project.
fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../frames/tests/vectors/spdy")
}

fn read(name: &str) -> Value {
    let path = vectors().join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn wire(version: Version) -> spdy::WireVersion {
    version.spdy_frames().unwrap_or(spdy::WireVersion::V3)
}

/// An engine with the frames that it sent.
struct Subject {
    engine: Engine,
    now: Instant,
    input: BytesMut,
    events: Vec<Event>,
    sent: Vec<Frame>,
}

impl Subject {
    fn new(version: Version, side: Side) -> Self {
        let mut config = Config::new(version, side);
        // The windows of the drafts, so that vectors can exceed them.
        config.limits.stream_window = 65_536;
        config.limits.connection_window = 65_536;
        config.limits.max_header_list_size = 128 << 10;
        config.push = ServerPush::Accept;
        let now = Instant::now();
        let engine = Engine::new(config, now, 1);
        let mut subject = Self {
            engine,
            now,
            input: BytesMut::new(),
            events: Vec::new(),
            sent: Vec::new(),
        };
        subject.flush();
        subject.sent.clear();
        subject
    }

    fn take(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        while let Some(event) = self.engine.poll_event(self.now, &mut self.input) {
            self.events.push(event);
        }
        self.flush();
    }

    fn flush(&mut self) {
        while let Transmit::Write = self.engine.poll_transmit(self.now) {
            self.write();
        }
        self.write();
    }

    fn write(&mut self) {
        let output = self.engine.output();
        let len = output.remaining();
        let mut bytes = BytesMut::from(&output.copy_to_bytes(len)[..]);
        let version = wire(self.engine.version());
        while let Some(frame) = Frame::decode(version, &mut bytes, 1 << 24).unwrap() {
            self.sent.push(frame);
        }
        assert!(bytes.is_empty(), "half a frame was sent");
    }

    fn resets(&self) -> Vec<(u32, u32)> {
        let resets = self.sent.iter().filter_map(|frame| match frame {
            Frame::RstStream(reset) => Some((reset.stream_id, reset.code.0)),
            _ => None,
        });
        resets.collect()
    }

    fn go_aways(&self) -> Vec<Option<u32>> {
        let go_aways = self.sent.iter().filter_map(|frame| match frame {
            Frame::GoAway(frame) => Some(frame.status.map(|status| status.0)),
            _ => None,
        });
        go_aways.collect()
    }
}

/// The codes that a text names in parentheses.
fn codes(text: &str) -> Vec<u32> {
    text.split('(')
        .filter_map(|rest| rest.split(')').next()?.parse().ok())
        .collect()
}

#[test]
fn every_illegal_input_has_the_reaction_of_its_draft() {
    let versions = [
        ("v2/errors.json", Version::Spdy2),
        ("v3/errors.json", Version::Spdy3),
        ("v3/errors.json", Version::Spdy31),
    ];
    for (file, version) in versions {
        let cases = read(file)["cases"].as_array().unwrap().clone();
        assert!(cases.len() > 30);
        for case in cases {
            let name = case["name"].as_str().unwrap();
            let expect = case["expect"].as_str().unwrap();
            let receiver = case["receiver"].as_str().unwrap();
            let side = if receiver.starts_with("server") {
                Side::Server
            } else {
                Side::Client
            };
            let mut subject = Subject::new(version, side);
            if side == Side::Client {
                let uri = "http://example.org/".parse().unwrap();
                let get = receiver.contains("GET");
                let method = if get { Method::GET } else { Method::POST };
                subject
                    .engine
                    .open(
                        subject.now,
                        Head::request(method, uri),
                        OpenOptions::default().with(|options| options.fin = get),
                    )
                    .unwrap();
                subject.flush();
                subject.sent.clear();
            }
            for frame in case["frames"].as_array().unwrap() {
                subject.take(&unhex(frame.as_str().unwrap()));
            }
            check(&subject, version, name, expect);
        }
    }
}

/// Compares the sent frames with the text of the vector.
fn check(subject: &Subject, version: Version, name: &str, expect: &str) {
    let context = format!("{version}, {name}: {expect}");
    let resets = subject.resets();
    let go_aways = subject.go_aways();
    let closed = subject.engine.is_closed();
    assert_eq!(
        closed,
        go_aways.len() == 1,
        "{context}: GOAWAY and close are one"
    );
    let code = |codes: &[u32]| resets.len() == 1 && codes.contains(&resets[0].1);
    let goaway_code = if version == Version::Spdy2 {
        None
    } else {
        Some(1)
    };
    let quiet = resets.is_empty() && !closed;
    match name {
        // Points that the draft of the version, or the corpus, leaves open.
        "no_dictionary" => return,
        "data_stream_zero" | "count_too_large" | "name_length_beyond_block" => {
            return assert!(closed || code(&[1, 2]), "{context}: {resets:?}");
        }
        "zlib_bomb" if version == Version::Spdy2 => return assert!(quiet || closed, "{context}"),
        "zlib_bomb" => return assert!(closed || code(&[11]), "{context}: {resets:?}"),
        "window_overflow_session" if version == Version::Spdy3 => {
            return assert!(quiet, "{context}: the window does not exist");
        }
        "data_beyond_stream_window" if version == Version::Spdy3 => {
            return assert!(!closed && code(&[7]), "{context}: {resets:?}");
        }
        "data_beyond_stream_window" => {
            return assert!(closed || code(&[7]), "{context}: {resets:?}");
        }
        "window_update_zero_delta" => {
            return assert!(code(&[1, 2]), "{context}: {resets:?}");
        }
        "unsupported_version" => {
            return assert_eq!(resets, [(1, 4)], "{context}");
        }
        "settings_duplicate_id" => {
            assert!(quiet, "{context}");
            return assert_eq!(
                subject.engine.peer_max_concurrent_streams(),
                10,
                "{context}"
            );
        }
        "request_without_method" => {
            assert!(
                quiet && matches!(subject.events[..], [Event::Refused { .. }]),
                "{context}"
            );
            let replies = subject
                .sent
                .iter()
                .filter(|frame| matches!(frame, Frame::SynReply(_)));
            return assert_eq!(replies.count(), 1, "{context}");
        }
        "rst_stream_status_zero" => {
            assert!(quiet, "{context}: {resets:?}");
            return assert_eq!(subject.engine.open_streams(), 0, "{context}");
        }
        "goaway_wrong_length" if version == Version::Spdy2 => {
            return assert!(resets.is_empty() && subject.events.len() == 1, "{context}");
        }
        "leading_nul_in_value" | "trailing_nul_in_value" | "trailing_bytes_after_pairs" => {
            return assert!(code(&[1]), "{context}: {resets:?}");
        }
        _ => {}
    }
    if expect.starts_with("stream error") {
        assert!(!closed, "{context}: {go_aways:?}");
        assert!(code(&codes(expect)), "{context}: {resets:?}");
        if let Some(id) = expect.split("on stream ").nth(1) {
            let id: String = id.chars().take_while(char::is_ascii_digit).collect();
            assert_eq!(resets[0].0.to_string(), id, "{context}");
        }
    } else if expect.contains("session error") || expect.contains("close") {
        assert!(closed, "{context}: {resets:?}");
        assert_eq!(go_aways, [goaway_code], "{context}");
    } else if expect.starts_with("ignore") || expect.starts_with("legal") {
        assert!(quiet, "{context}: {resets:?}, {go_aways:?}");
    } else {
        panic!("{context}: no rule of this test covers it");
    }
}

/// Recorded conversations of spdy-transport: the client's side replayed against our server, the
/// server's side against our client.
#[test]
fn recorded_clients_are_served() {
    for (version, file) in [
        (Version::Spdy2, "transcripts/spdy-transport-2.json"),
        (Version::Spdy3, "transcripts/spdy-transport-3.json"),
        (Version::Spdy31, "transcripts/spdy-transport-3.1.json"),
    ] {
        let transcript = read(file);
        let mut subject = Subject::new(version, Side::Server);
        let (mut requests, mut uploaded, mut ended) = (Vec::new(), 0, 0);
        for frame in transcript["frames"].as_array().unwrap() {
            if frame["from"] != "client" {
                continue;
            }
            subject.take(&frame_bytes(frame));
            for event in std::mem::take(&mut subject.events) {
                match event {
                    Event::Opened {
                        stream, head, fin, ..
                    } => {
                        let Control::Request { method, uri, .. } = &head.control else {
                            panic!("{version}: no request");
                        };
                        requests.push(format!("{method} {}", uri.path()));
                        if fin {
                            answer(&mut subject, stream);
                            ended += 1;
                        }
                    }
                    Event::Data { stream, data, fin } => {
                        uploaded += data.len();
                        subject
                            .engine
                            .stream(subject.now, stream)
                            .release(data.len());
                        if fin {
                            answer(&mut subject, stream);
                            ended += 1;
                        }
                    }
                    Event::Closed { error } => panic!("{version}: {error}"),
                    _ => {}
                }
            }
            subject.flush();
        }
        assert!(requests.len() >= 6, "{version}: {requests:?}");
        assert_eq!(ended, requests.len(), "{version}: every request came whole");
        assert_eq!(uploaded, 100_000, "{version}");
        assert!(
            subject
                .go_aways()
                .iter()
                .all(|status| matches!(status, None | Some(0)))
        );
        let pings = subject
            .sent
            .iter()
            .filter(|frame| matches!(frame, Frame::Ping(_)))
            .count();
        assert!(pings >= 1, "{version}: no PING was answered");
    }
}

#[test]
fn recorded_servers_are_understood() {
    for (version, file) in [
        (Version::Spdy2, "transcripts/spdy-transport-2.json"),
        (Version::Spdy3, "transcripts/spdy-transport-3.json"),
        (Version::Spdy31, "transcripts/spdy-transport-3.1.json"),
    ] {
        let transcript = read(file);
        let mut subject = Subject::new(version, Side::Client);
        let (mut replies, mut downloaded, mut pushed) = (0, 0, 0);
        for frame in transcript["frames"].as_array().unwrap() {
            if frame["from"] == "client" {
                // Our client opens the same streams as the recorded one.
                if frame["frame"]["type"] == "SYN_STREAM" {
                    let uri = "http://example.org/".parse().unwrap();
                    let fin = frame["frame"]["flags"].as_u64().unwrap() & 1 != 0;
                    let head = Head::request(Method::POST, uri);
                    subject
                        .engine
                        .open(
                            subject.now,
                            head,
                            OpenOptions::default().with(|options| options.fin = fin),
                        )
                        .unwrap();
                }
                if frame["frame"]["type"] == "DATA" && frame["frame"]["flags"] == 1 {
                    let id = frame["frame"]["stream_id"].as_u64().unwrap() as u32;
                    assert!(id % 2 == 1, "{version}: the end of an upload");
                }
                continue;
            }
            subject.take(&frame_bytes(frame));
            for event in std::mem::take(&mut subject.events) {
                match event {
                    Event::Reply { head, .. } => {
                        replies += 1;
                        assert_eq!(head.status(), Some(StatusCode::OK), "{version}");
                    }
                    Event::Data { stream, data, .. } => {
                        downloaded += data.len();
                        subject
                            .engine
                            .stream(subject.now, stream)
                            .release(data.len());
                    }
                    Event::Promised { .. } => pushed += 1,
                    Event::Closed { error } => panic!("{version}: {error}"),
                    _ => {}
                }
            }
            subject.flush();
        }
        assert!(replies >= 6, "{version}: {replies} replies");
        assert!(downloaded > 150_000, "{version}: {downloaded} bytes");
        assert!(pushed >= 1, "{version}: no push");
    }
}

fn answer(subject: &mut Subject, stream: lacewing_conn::proto::StreamKey) {
    let mut stream = subject.engine.stream(subject.now, stream);
    stream.reply(Head::response(StatusCode::OK), false).unwrap();
    stream
        .send_data(Bytes::from_static(b"hello"), true)
        .unwrap();
}

/// A frame's bytes. Large bodies are recorded as their head and a fill.
fn frame_bytes(frame: &Value) -> Vec<u8> {
    if let Some(hex) = frame["hex"].as_str() {
        return unhex(hex);
    }
    let mut bytes = unhex(frame["hex_prefix"].as_str().unwrap());
    let fill = frame["frame"]["fill"].as_str().unwrap().as_bytes()[0];
    let len = frame["frame"]["length"].as_u64().unwrap() as usize;
    bytes.resize(8 + len, fill);
    bytes
}
