//! The scripted peer's side of a SPDY connection.

use bytes::BytesMut;
use lacewing_frames::spdy::{Decoder, DecoderLimits, ErrorCode, GoAwayStatus, Message, Scope};
use lacewing_frames::{Side, Version};

use crate::{
    conditions::Strictness,
    expect::Expect,
    player::{Decoded, Dialect as Plays, Player, Session},
    record::Record,
    script::Script,
    stream_id::Id,
    target::Target,
    transcript::Stop,
    windows::Refill,
};

use super::{
    block::{Zlib, layout},
    describe::describe,
    dialect::Dialect,
    frame::{self, Frame},
    monitor::Monitor,
    protocol::{List, OwnStep, Spdy},
};

/// The codec and the monitor of a connection.
pub(super) struct SpdySession {
    tested: Side,
    version: Version,
    decoder: Decoder<List>,
    zlib: Zlib,
    monitor: Monitor,
}

impl Plays for Spdy {
    type Session = SpdySession;

    async fn step(_player: &mut Player<'_, Self>, step: &OwnStep) -> Result<(), Stop> {
        match *step {}
    }

    fn ping(number: u32, tested: Side) -> (Frame, u32) {
        let first: u32 = match tested {
            Side::Server => 1001,
            Side::Client => 1002,
        };
        let id = first.wrapping_add(number.wrapping_mul(2));
        (frame::ping(id), id)
    }

    fn data(stream: Id, length: usize) -> Frame {
        frame::data_of(stream, length)
    }

    fn end(frame: Frame) -> Frame {
        frame.fin()
    }

    fn overrun_errors(stream: Id) -> Vec<Expect<Self>> {
        vec![
            Expect::StreamError(stream, vec![ErrorCode::FLOW_CONTROL_ERROR]),
            Expect::SESSION_ERROR,
        ]
    }

    /// In strict runs a client must send GOAWAY before it ends its connection
    /// (section 2.1).
    fn has_left(record: &Record<Self>, strictness: Strictness) -> bool {
        record.closed.is_some()
            && match record.go_aways.last() {
                Some((_, status)) => matches!(status, None | Some(GoAwayStatus::OK)),
                None => strictness == Strictness::Usual,
            }
    }

    fn has_failed(record: &Record<Self>, strictness: Strictness) -> bool {
        record.closed.is_some() && !Self::has_left(record, strictness)
    }

    fn describe_sent(frame: &Frame, requests: &[u32]) -> String {
        frame.describe(requests)
    }

    fn describe_received(message: &Message<List>) -> String {
        describe(message)
    }
}

impl Session<Spdy> for SpdySession {
    fn new(script: &Script<Spdy>, tested: Side) -> Self {
        let layout = layout(script.version);
        let mut monitor = Monitor::new(tested, script.version, script.setup.session_window);
        monitor.habits = script.setup.habits;
        Self {
            tested,
            version: script.version,
            // The monitor decides what the tested side may send.
            decoder: Decoder::new(
                layout,
                DecoderLimits::default().with(|limits| {
                    limits.max_frame_size = u32::MAX;
                    limits.max_settings_entries = usize::MAX;
                    limits.max_certificates = Some(usize::MAX);
                }),
            ),
            zlib: match script.setup.compression {
                Some(compression) => Zlib::compressor(layout, compression),
                None => Zlib::stored(),
            },
            monitor,
        }
    }

    fn encode(&mut self, frame: &Frame, requests: &[u32]) -> Vec<u8> {
        self.monitor.sent(frame, requests);
        frame.encode(layout(self.version), &mut self.zlib, requests)
    }

    fn decode(&mut self, input: &mut BytesMut) -> Decoded<Spdy> {
        match self.decoder.decode(input) {
            Ok(Some(message)) => Decoded::Message(message),
            Ok(None) => Decoded::Incomplete,
            Err(error) => {
                let why = format!("{error} ({})", error.section());
                match error.scope() {
                    Scope::Connection => Decoded::BrokenConnection(why),
                    _ => Decoded::BrokenFrame(why),
                }
            }
        }
    }

    fn receive(&mut self, message: &Message<List>, record: &mut Record<Spdy>) -> Option<Frame> {
        self.monitor.received(message, record);
        record.add(message, self.tested);
        match message {
            Message::Ping(ping) => {
                let theirs = ping.id % 2 == u32::from(self.tested == Side::Client);
                (theirs && ping.id != 0).then(|| frame::ping(ping.id))
            }
            _ => None,
        }
    }

    fn ok(&self, stream: Id) -> Frame {
        let dialect = Dialect {
            version: self.version,
            target: Target::new("http", "localhost"),
        };
        frame::syn_reply(stream, &dialect.reply("200")).fin()
    }

    fn windows(&self, record: &Record<Spdy>, stream: u32) -> [u64; 2] {
        self.monitor.windows(record, stream)
    }

    fn credit(&mut self, record: &Record<Spdy>, stream: u32, which: Refill) -> Vec<Frame> {
        let unreturned = self.monitor.unreturned(stream, record, which);
        let frame = |(id, bytes): (u32, u32)| frame::window_update(id, bytes);
        unreturned.into_iter().map(frame).collect()
    }

    fn violations(&mut self) -> &mut Vec<String> {
        &mut self.monitor.violations
    }
}
