//! Reads the frames on the wire, and checks each sender against the credit of its peer. It uses
//! only the frames, not the engines.

use std::collections::HashMap;

use bytes::BytesMut;
use lacewing_conn::{Side, Version};
use lacewing_frames::{
    http2::{self, SettingId},
    spdy,
};

/// The number of bytes that one side may send, by the grants that it received.
#[derive(Debug)]
pub(crate) struct Monitor {
    version: Version,
    side: Side,
    preface_due: bool,
    sent: BytesMut,
    received: BytesMut,
    connection: Option<i64>,
    initial: Option<i64>,
    streams: HashMap<u32, i64>,
    max_frame: usize,
    pub(crate) go_aways: usize,
    pub(crate) data_frames: usize,
    pub(crate) resets: usize,
    /// The code of the last RST_STREAM, or the status of the last GOAWAY.
    pub(crate) code: Option<u32>,
    pub(crate) window_updates: usize,
    /// The streams in the order of their DATA frames.
    pub(crate) order: Vec<u32>,
}

impl Monitor {
    pub(crate) fn new(version: Version, side: Side) -> Self {
        let (connection, initial) = match version {
            Version::Spdy2 => (None, None),
            Version::Spdy3 => (None, Some(65_536)),
            Version::Spdy31 => (Some(65_536), Some(65_536)),
            Version::Http2 => (Some(65_535), Some(65_535)),
        };
        Self {
            version,
            preface_due: version == Version::Http2,
            side,
            sent: BytesMut::new(),
            received: BytesMut::new(),
            connection,
            initial,
            streams: HashMap::new(),
            max_frame: 16_384,
            go_aways: 0,
            data_frames: 0,
            resets: 0,
            code: None,
            window_updates: 0,
            order: Vec::new(),
        }
    }

    /// The client's preface is no frame. `false` until it has passed.
    fn strip_preface(&mut self, from: Side) -> bool {
        if from == Side::Server || !self.preface_due {
            return true;
        }
        let bytes = if self.side == Side::Client {
            &mut self.sent
        } else {
            &mut self.received
        };
        if bytes.len() < http2::PREFACE.len() {
            return false;
        }
        assert_eq!(bytes.split_to(http2::PREFACE.len()), http2::PREFACE[..]);
        self.preface_due = false;
        true
    }

    /// Bytes that this side sends.
    pub(crate) fn sends(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
        if !self.strip_preface(self.side) {
            return;
        }
        if self.version == Version::Http2 {
            while let Some(frame) = http2::Frame::decode(&mut self.sent, 1 << 24).unwrap() {
                match frame {
                    http2::Frame::Data(data) => {
                        let len = data.payload.len();
                        self.data(data.stream_id, len);
                    }
                    http2::Frame::GoAway(frame) => {
                        self.go_aways += 1;
                        self.code = Some(frame.code.0);
                    }
                    http2::Frame::RstStream(frame) => {
                        self.resets += 1;
                        self.code = Some(frame.code.0);
                    }
                    http2::Frame::WindowUpdate(_) => self.window_updates += 1,
                    _ => {}
                }
            }
            return;
        }
        let version = wire_version(self.version);
        while let Some(frame) = spdy::Frame::decode(version, &mut self.sent, 1 << 24).unwrap() {
            match frame {
                spdy::Frame::Data(data) => {
                    let len = data.payload.len();
                    self.data(data.stream_id, len);
                }
                spdy::Frame::GoAway(frame) => {
                    self.go_aways += 1;
                    self.code = frame.status.map(|status| status.0);
                }
                spdy::Frame::RstStream(frame) => {
                    self.resets += 1;
                    self.code = Some(frame.code.0);
                }
                spdy::Frame::WindowUpdate(_) => self.window_updates += 1,
                _ => {}
            }
        }
    }

    fn data(&mut self, stream: u32, len: usize) {
        self.data_frames += 1;
        self.order.push(stream);
        assert!(len <= self.max_frame, "a DATA frame of {len} bytes");
        let len = i64::try_from(len).unwrap();
        if let Some(connection) = &mut self.connection {
            *connection -= len;
            assert!(
                *connection >= 0,
                "over the connection's window by {}",
                -*connection
            );
        }
        if let Some(initial) = self.initial {
            let window = self.streams.entry(stream).or_insert(initial);
            *window -= len;
            assert!(len == 0 || *window >= 0, "stream {stream} over its window");
        }
    }

    /// Bytes that this side receives, grants among them.
    pub(crate) fn receives(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
        let peer = if self.side == Side::Client {
            Side::Server
        } else {
            Side::Client
        };
        if !self.strip_preface(peer) {
            return;
        }
        if self.version == Version::Http2 {
            while let Some(frame) = http2::Frame::decode(&mut self.received, 1 << 24).unwrap() {
                match frame {
                    http2::Frame::Settings(settings) => {
                        let initial = settings.value(SettingId::INITIAL_WINDOW_SIZE);
                        self.initial_window(initial);
                        if let Some(max) = settings.value(SettingId::MAX_FRAME_SIZE) {
                            self.max_frame = max as usize;
                        }
                    }
                    http2::Frame::WindowUpdate(update) => {
                        self.credit(update.stream_id, update.increment);
                    }
                    _ => {}
                }
            }
            return;
        }
        let version = wire_version(self.version);
        while let Some(frame) = spdy::Frame::decode(version, &mut self.received, 1 << 24).unwrap() {
            match frame {
                spdy::Frame::Settings(settings) => {
                    let initial = settings.value(spdy::SettingId::INITIAL_WINDOW_SIZE);
                    self.initial_window(initial);
                }
                spdy::Frame::WindowUpdate(update) => self.credit(update.stream_id, update.delta),
                _ => {}
            }
        }
    }

    fn initial_window(&mut self, new: Option<u32>) {
        let (Some(new), Some(old)) = (new, self.initial) else {
            return;
        };
        let new = i64::from(new);
        for window in self.streams.values_mut() {
            *window += new - old;
        }
        self.initial = Some(new);
    }

    fn credit(&mut self, stream: u32, increment: u32) {
        assert_ne!(increment, 0);
        let increment = i64::from(increment);
        if stream == 0 {
            // A peer of uncertain version may grant credit that this version does not know.
            if let Some(connection) = &mut self.connection {
                *connection += increment;
                assert!(*connection <= 0x7fff_ffff);
            }
            return;
        }
        let initial = self.initial.expect("windows of streams");
        let window = self.streams.entry(stream).or_insert(initial);
        *window += increment;
        assert!(*window <= 0x7fff_ffff);
    }
}

fn wire_version(version: Version) -> spdy::WireVersion {
    version.spdy_frames().unwrap_or(spdy::WireVersion::V3)
}
