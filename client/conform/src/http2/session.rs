//! The scripted peer's side of an HTTP/2 connection.

use bytes::{Buf as _, BytesMut};
use lacewing_frames::Side;
use lacewing_frames::http2::{
    Decoder, DecoderLimits, FrameHead, Kind, Message, PREFACE, SettingId,
};

use crate::{
    case::Need,
    expect::Expect,
    player::{AFFORDABLE, Decoded, Dialect, Player, Session, Upload},
    record::Record,
    script::Script,
    stream_id::Id,
    transcript::Stop,
    windows::Refill,
};

use super::{
    block::status,
    describe::describe,
    frame::{self, Frame},
    monitor::Monitor,
    protocol::{Http2, List, OwnStep, Start, setting},
};

/// The codec and the monitor of a connection.
pub(super) struct Http2Session {
    tested: Side,
    decoder: Decoder<List>,
    preface: Preface,
    monitor: Monitor,
    acks: Acks,
    /// The tested side's SETTINGS_HEADER_TABLE_SIZE below the default, until our
    /// next header block obeys it (RFC 9113 §4.3).
    reduced_table: Option<u32>,
}

/// The size of a dynamic table at the start.
const DEFAULT_TABLE: u32 = 4_096;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Preface {
    Expected,
    Done,
}

/// The treatment of the tested side's SETTINGS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Acks {
    Send,
    Withhold,
}

impl Dialect for Http2 {
    type Session = Http2Session;

    /// SETTINGS of both sides, acknowledged.
    async fn start(player: &mut Player<'_, Self>, start: &Start) -> Result<(), Stop> {
        let Start::Handshake(entries) = start else {
            return Ok(());
        };
        if player.tested() == Side::Server {
            let line = "> connection preface".to_owned();
            player.send_bytes(line, PREFACE).await;
        }
        player.send(&[frame::settings(entries)]).await;
        player.until(&Expect::SettingsAcks(1)).await
    }

    async fn step(player: &mut Player<'_, Self>, step: &OwnStep) -> Result<(), Stop> {
        match step {
            OwnStep::TooLong(frame) => too_long(player, frame).await,
            OwnStep::PaddedUpload(id, frames) => {
                let form = Upload {
                    most: 1,
                    overhead: 256,
                    frame: |id, length| frame::data_of(id, length).padded(255),
                };
                player.upload(*id, *frames, form).await
            }
            OwnStep::PushAllowed if allows_push(&player.record) => Ok(()),
            OwnStep::PushForbidden if !allows_push(&player.record) => Ok(()),
            OwnStep::PushAllowed => Err(Stop::needs(Need::Push)),
            OwnStep::PushForbidden => Err(Stop::needs(Need::NoPush)),
            OwnStep::WithholdAck => {
                player.session.acks = Acks::Withhold;
                Ok(())
            }
        }
    }

    fn ping(number: u32, _tested: Side) -> (Frame, [u8; 8]) {
        let mut payload = *b"ping0000";
        if let Some((_, last)) = payload.split_last_chunk_mut::<4>() {
            *last = number.wrapping_add(1).to_be_bytes();
        }
        (frame::ping(&payload), payload)
    }

    fn data(stream: Id, length: usize) -> Frame {
        frame::data_of(stream, length)
    }

    fn end(frame: Frame) -> Frame {
        frame.end_stream()
    }

    fn overrun_errors(stream: Id) -> Vec<Expect<Self>> {
        let code = lacewing_frames::http2::ErrorCode::FLOW_CONTROL_ERROR;
        vec![Expect::StreamError(stream, vec![code])]
    }

    fn describe_sent(frame: &Frame, requests: &[u32]) -> String {
        frame.describe(requests)
    }

    fn describe_received(message: &Message<List>) -> String {
        describe(message)
    }
}

impl Session<Http2> for Http2Session {
    fn new(_script: &Script<Http2>, tested: Side) -> Self {
        Self {
            tested,
            // The monitor decides what the tested side may send.
            decoder: Decoder::new(DecoderLimits::default().with(|limits| {
                limits.max_header_list_size = usize::MAX;
                limits.max_header_fields = usize::MAX;
                limits.max_continuations = u32::MAX;
                limits.max_header_block = usize::MAX;
                limits.max_settings_entries = usize::MAX;
                limits.max_origins = usize::MAX;
            })),
            preface: match tested {
                Side::Client => Preface::Expected,
                Side::Server => Preface::Done,
            },
            monitor: Monitor::new(tested),
            acks: Acks::Send,
            reduced_table: None,
        }
    }

    fn encode(&mut self, frame: &Frame, requests: &[u32]) -> Vec<u8> {
        self.monitor.sent(frame, requests);
        let begins_block = matches!(frame.kind, Kind::HEADERS | Kind::PUSH_PROMISE);
        match self.reduced_table.filter(|_| begins_block) {
            Some(size) => {
                self.reduced_table = None;
                let size = usize::try_from(size).unwrap_or(0);
                frame.clone().with_table_size(size).encode(requests)
            }
            None => frame.encode(requests),
        }
    }

    fn sends_bytes(&mut self) {
        self.monitor.sent_bytes();
    }

    fn decode(&mut self, input: &mut BytesMut) -> Decoded<Http2> {
        if self.preface == Preface::Expected {
            if input.len() < PREFACE.len() {
                return Decoded::Incomplete;
            }
            self.preface = Preface::Done;
            if !input.starts_with(PREFACE) {
                let why = "no connection preface (RFC 9113 §3.4)";
                return Decoded::BrokenConnection(why.into());
            }
            input.advance(PREFACE.len());
            return Decoded::Preface;
        }
        let head = FrameHead::parse(input);
        match self.decoder.decode(input) {
            Ok(Some(message)) => Decoded::Message(message),
            // A header block that continues, or an incomplete frame.
            Ok(None) if input.is_empty() || head == FrameHead::parse(input) => Decoded::Incomplete,
            Ok(None) => Decoded::Nothing,
            Err(error) => Decoded::BrokenConnection(format!("{error} ({})", error.section())),
        }
    }

    fn receive(&mut self, message: &Message<List>, record: &mut Record<Http2>) -> Option<Frame> {
        self.monitor.received(message, record);
        record.add(message, self.tested);
        match message {
            Message::Settings(settings) => {
                let table = settings.value(SettingId::HEADER_TABLE_SIZE);
                self.reduced_table = table
                    .filter(|size| *size < DEFAULT_TABLE)
                    .or(self.reduced_table);
                (self.acks == Acks::Send).then(frame::settings_ack)
            }
            Message::Ping { payload } => Some(frame::ping_ack(payload)),
            Message::SettingsAck => {
                let force = self.monitor.acknowledged();
                if let Some(size) = force.header_table_size {
                    self.decoder.set_header_table_size(size);
                }
                if let Some(size) = force.max_frame_size {
                    self.decoder.set_max_frame_size(size);
                }
                None
            }
            _ => None,
        }
    }

    fn ok(&self, stream: Id) -> Frame {
        frame::headers(stream, &status("200")).end_stream()
    }

    fn windows(&self, record: &Record<Http2>, stream: u32) -> [u64; 2] {
        self.monitor.windows(record, stream)
    }

    fn credit(&mut self, record: &Record<Http2>, stream: u32, which: Refill) -> Vec<Frame> {
        let unreturned = self.monitor.unreturned(stream, record, which);
        let frame = |(id, bytes): (u32, u32)| frame::window_update(id, bytes);
        unreturned.into_iter().map(frame).collect()
    }

    fn violations(&mut self) -> &mut Vec<String> {
        &mut self.monitor.violations
    }
}

fn allows_push(record: &Record<Http2>) -> bool {
    setting(record, SettingId::ENABLE_PUSH) != Some(0)
}

/// Sends a frame with a payload of one byte more than is allowed. DATA must fit
/// the windows: else FLOW_CONTROL_ERROR is right as well (RFC 9113 §5.4).
async fn too_long(player: &mut Player<'_, Http2>, frame: &Frame) -> Result<(), Stop> {
    let most = setting(&player.record, SettingId::MAX_FRAME_SIZE);
    let beyond = u64::from(most.unwrap_or(16_384)).saturating_add(1);
    let stream = frame.stream.resolve(&player.record.requests);
    let room = match frame.kind {
        Kind::DATA => player
            .session
            .windows(&player.record, stream)
            .into_iter()
            .min(),
        _ => None,
    };
    if beyond > AFFORDABLE || room.is_some_and(|room| beyond > room) {
        let most = u32::try_from(AFFORDABLE).unwrap_or(u32::MAX);
        return Err(Stop::needs(Need::FrameSize(most)));
    }
    let frame = frame.clone().sized(usize::try_from(beyond).unwrap_or(0));
    player.send(&[frame]).await;
    Ok(())
}
