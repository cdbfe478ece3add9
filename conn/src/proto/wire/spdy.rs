//! SPDY/2, SPDY/3 and SPDY/3.1 frames to neutral messages and back.

mod codes;
mod encode;
mod fields;
mod raw_fields;
mod settings;

use std::{mem, num::NonZeroU16};

use bytes::{Bytes, BytesMut};
use http::uri::Scheme;
use lacewing_frames::spdy as frames;

use self::{
    codes::{go_away_reason, reset_code, reset_reason, violation},
    encode::{
        Block, control_names, encode_control, encode_fields, encode_pushed_status, pushed_names,
    },
    raw_fields::RawFields,
};
use super::{Data, Headers, HeadersKind, Message, SendKind, Unencodable};
use crate::proto::{
    Config, Direction, FlowControl, Head, HeaderBytes, HeaderCompression, Priority, Reason, Rule,
    Semantics, Side, StreamId, Version, Violation,
};

/// DATA frames of ours: small enough that others get their turn (SPDY/2 §2.2.2
/// asks for it), large enough that heads cost nothing.
const MAX_DATA: usize = 16 << 10;

/// The same for peers without flow control, which exchange few and large streams. Each
/// frame costs such a peer a read.
const MAX_UNCONTROLLED_DATA: usize = 64 << 10;

/// FLAG_COMPRESS of DATA, which no version has kept.
const COMPRESSED: u8 = 0x02;

/// The state of both zlib streams that an idle connection does not need.
#[derive(Debug, Default)]
pub(super) struct Spare {
    inflater: Option<frames::SpareInflater>,
    deflater: Option<frames::SpareDeflater>,
}

impl Spare {
    fn memory(&self) -> usize {
        let inflater = self.inflater.as_ref().map_or(0, |it| it.memory());
        let deflater = self.deflater.as_ref().map_or(0, |it| it.memory());
        inflater.saturating_add(deflater)
    }
}

/// The codec of one SPDY connection.
#[derive(Debug)]
pub(crate) struct Wire {
    decoder: frames::Decoder<RawFields>,
    encoder: frames::Encoder,
    version: Version,
    side: Side,
    semantics: Semantics,
    /// The scheme of requests whose URI names none.
    scheme: Scheme,
    max_header_list_size: usize,
    max_header_fields: usize,
    sent: HeaderBytes,
    max_data: usize,
    /// State that it does not need: from [`rest`](Self::rest), or lent in vain.
    spare: Spare,
    /// The compressed bytes of both directions when it rested last.
    rested: u64,
}

impl Wire {
    pub(super) fn new(version: frames::WireVersion, config: &Config) -> Self {
        let limits = &config.limits;
        let mut decoder_limits = frames::DecoderLimits::default();
        let block = u32::try_from(limits.max_header_list_size).unwrap_or(u32::MAX);
        decoder_limits.max_frame_size = block.saturating_add(1024);
        decoder_limits.list.max_size = limits.max_header_list_size;
        decoder_limits.list.max_fields = limits.max_header_fields;
        decoder_limits.max_settings_entries = limits.max_settings_entries;
        if config.version == Version::Spdy31 {
            decoder_limits.max_certificates = None;
        }
        let compression = match config.header_compression {
            HeaderCompression::WholeField => frames::Compression::WholeField,
            HeaderCompression::Stored => frames::Compression::Stored,
            HeaderCompression::Zlib(level) => frames::Compression::Zlib(level),
        };
        Self {
            decoder: frames::Decoder::new(version, decoder_limits),
            encoder: frames::Encoder::new(version, compression),
            version: config.version,
            side: config.side,
            semantics: config.semantics,
            scheme: config.scheme.clone(),
            max_header_list_size: limits.max_header_list_size,
            max_header_fields: limits.max_header_fields,
            sent: HeaderBytes::default(),
            max_data: match config.flow_control {
                FlowControl::Obeyed => MAX_DATA,
                FlowControl::Ignored => MAX_UNCONTROLLED_DATA,
            },
            spare: Spare::default(),
            rested: 0,
        }
    }

    pub(super) fn memory(&self) -> usize {
        size_of::<Self>()
            .saturating_add(self.decoder.memory())
            .saturating_add(self.encoder.memory())
            .saturating_add(self.spare.memory())
    }

    /// Returns whether [`rest`](Self::rest) would put something aside.
    pub(super) fn can_rest(&self) -> bool {
        self.blocks() != self.rested && (self.decoder.has_state() || self.encoder.has_state())
    }

    /// Puts aside the state that it can do without until the next header block.
    pub(super) fn rest(&mut self) {
        self.rested = self.blocks();
        self.spare.inflater = self.decoder.take_spare();
        self.spare.deflater = self.encoder.take_spare();
    }

    /// Frees the state that it can do without until the next header block.
    pub(super) fn shrink(&mut self) {
        if self.can_rest() {
            self.rest();
        }
        drop(self.take_spare());
    }

    /// Takes what was put aside, or lent in vain.
    pub(super) fn take_spare(&mut self) -> Spare {
        let mut spare = mem::take(&mut self.spare);
        if !self.decoder.has_state() && spare.inflater.is_none() {
            spare.inflater = self.decoder.take_spare();
        }
        if !self.encoder.has_state() && spare.deflater.is_none() {
            spare.deflater = self.encoder.take_spare();
        }
        spare
    }

    /// Frees what codes header lists: none is sent or received any more.
    pub(super) fn end(&mut self) {
        self.decoder.end();
        let version = self.encoder.version();
        self.encoder = frames::Encoder::new(version, frames::Compression::Stored);
        self.spare = Spare::default();
    }

    pub(super) fn lend_spare(&mut self, spare: Spare) {
        match spare.inflater {
            Some(inflater) if !self.decoder.has_state() => self.decoder.lend_spare(inflater),
            inflater => self.spare.inflater = inflater,
        }
        match spare.deflater {
            Some(deflater) if !self.encoder.has_state() => self.encoder.lend_spare(deflater),
            deflater => self.spare.deflater = deflater,
        }
    }

    /// The compressed bytes of both directions.
    fn blocks(&self) -> u64 {
        let received = self.decoder.block_bytes().compressed;
        received.wrapping_add(self.sent.compressed)
    }

    pub(super) fn preface(&mut self, config: &Config, out: &mut BytesMut) {
        for frame in settings::advertised(config) {
            // A few entries always fit.
            let _ = self.encoder.settings(out, frame.clear, &frame.entries);
        }
    }

    pub(super) fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Violation> {
        match self.decoder.decode(input) {
            Ok(Some(message)) => Ok(Some(self.translate(message))),
            Ok(None) => Ok(None),
            Err(error) => Err(violation(&error, self.max_header_list_size)),
        }
    }

    fn translate(&mut self, message: frames::Message<RawFields>) -> Message {
        use frames::Message as M;
        match message {
            M::SynStream {
                stream_id,
                associated,
                priority,
                slot,
                fin,
                unidirectional,
                block,
            } => {
                let mut fields = self.fields(block, HeadersKind::Open);
                if slot != 0 && self.version == Version::Spdy3 && self.side == Side::Server {
                    // No certificate is ever stored, so there is none in any
                    // slot of the vector (§2.6.9).
                    fields.malformed = Some(Rule::MissingCredential);
                }
                Message::Headers(Headers {
                    stream: StreamId::new(stream_id),
                    kind: HeadersKind::Open,
                    fields,
                    fin,
                    priority: Some(self.neutral_priority(priority)),
                    // spdy-transport pushes without the flag: the association
                    // says it too. Without HTTP it does not: streams that
                    // spdystream opens for another are answered.
                    unidirectional: unidirectional
                        || (associated != 0 && self.semantics == Semantics::Http),
                    associated: (associated != 0).then(|| StreamId::new(associated)),
                })
            }
            M::SynReply {
                stream_id,
                fin,
                block,
            } => self.more(stream_id, HeadersKind::Reply, fin, block),
            M::Headers {
                stream_id,
                fin,
                block,
            } => self.more(stream_id, HeadersKind::More, fin, block),
            M::Data {
                stream_id,
                payload,
                fin,
                undefined_flags,
                ..
            } => Message::Data(Data {
                stream: StreamId::new(stream_id),
                flow_len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
                data: payload,
                fin,
                // Zlib of its own for each stream: in the first draft alone, and
                // removed a day later (§2.2.2). Passed on as it is, it would
                // be taken for the content.
                broken: (undefined_flags & COMPRESSED != 0).then_some(Rule::CompressedData),
            }),
            M::RstStream(frame) => Message::Reset {
                stream: StreamId::new(frame.stream_id),
                reason: reset_reason(frame.code),
            },
            M::Settings(settings) => Message::Settings(self.apply_settings(&settings)),
            M::Ping(frame) => self.translate_ping(frame.id),
            M::GoAway(frame) => Message::GoAway {
                last: StreamId::new(frame.last_good_stream_id),
                reason: frame.status.map_or(Reason::NoError, go_away_reason),
                debug: Bytes::new(),
            },
            M::WindowUpdate(frame) => self.translate_window_update(frame),
            // NOOP, CREDENTIAL and what is not defined.
            _ => Message::Ignored,
        }
    }

    fn more(
        &mut self,
        stream: u32,
        kind: HeadersKind,
        fin: bool,
        block: frames::Block<RawFields>,
    ) -> Message {
        Message::Headers(Headers {
            stream: StreamId::new(stream),
            kind,
            fields: self.fields(block, kind),
            fin,
            priority: None,
            unidirectional: false,
            associated: None,
        })
    }

    #[inline]
    pub(super) fn in_data(&self) -> bool {
        self.decoder.in_data()
    }

    /// Returns whether `input` begins with a whole DATA frame of at most `max` bytes that ends
    /// this stream.
    #[inline]
    pub(super) fn last_data(stream: StreamId, max: usize, input: &[u8]) -> Option<usize> {
        let Some(frames::FrameHead::Data {
            stream_id,
            flags,
            length,
        }) = frames::FrameHead::parse(input)
        else {
            return None;
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let ends = flags == frames::flags::FIN
            && stream_id == stream.value()
            && length <= max
            && input.len() >= frames::FrameHead::LEN.saturating_add(length);
        ends.then_some(length)
    }

    pub(super) fn set_copy_below(&mut self, length: usize) {
        self.decoder.set_copy_below(length);
    }

    /// A PING of our parity can only be an answer (the drafts' §2.6.5).
    fn translate_ping(&self, id: u32) -> Message {
        let ours = match self.side {
            Side::Client => 1,
            Side::Server => 0,
        };
        if id % 2 == ours {
            Message::Pong {
                opaque: u64::from(id / 2),
            }
        } else {
            Message::Ping {
                opaque: u64::from(id),
            }
        }
    }

    fn translate_window_update(&self, frame: frames::WindowUpdate) -> Message {
        match (self.version, frame.stream_id) {
            // spdy-transport sends them in SPDY/2, where they mean nothing;
            // and SPDY/3.1 added a connection's window.
            (Version::Spdy2, _) | (Version::Spdy3, 0) => Message::Ignored,
            (_, 0) => Message::Credit {
                stream: None,
                increment: frame.delta,
            },
            (_, id) => Message::Credit {
                stream: Some(StreamId::new(id)),
                increment: frame.delta,
            },
        }
    }

    /// SPDY/2 has four levels of priority, which take every second of the
    /// eight.
    fn neutral_priority(&self, priority: u8) -> Priority {
        let urgency = match self.version {
            Version::Spdy2 => priority.saturating_mul(2),
            _ => priority,
        };
        Priority::new(urgency, false)
    }

    fn wire_priority(&self, priority: Priority) -> u8 {
        match self.version {
            Version::Spdy2 => priority.urgency() / 2,
            _ => priority.urgency(),
        }
    }

    pub(super) fn headers(
        &mut self,
        stream: StreamId,
        kind: SendKind,
        head: &Head,
        fin: bool,
        out: &mut BytesMut,
    ) -> Result<(), Unencodable> {
        let version = self.version;
        let id = stream.value();
        let push = matches!(kind, SendKind::Push { .. });
        let priority = match kind {
            SendKind::Open { priority, .. } => self.wire_priority(priority),
            _ => self.wire_priority(Priority::default()),
        };
        let before = out.len();
        let (scheme, plain) = (&self.scheme, &mut self.sent.plain);
        let fields = |encoder: &mut frames::BlockEncoder<'_>| {
            let mut block = Block { encoder, plain };
            encode_control(version, head, scheme, push, &mut block);
            let taken = control_names(version, &head.control);
            encode_fields(version, head, taken, &mut block);
        };
        let encoded = match kind {
            SendKind::Open { .. } | SendKind::Push { .. } => {
                let mut syn = frames::SynStreamHead::new(id);
                syn.priority = priority;
                syn.fin = fin;
                match kind {
                    SendKind::Push { parent } => {
                        syn.associated = parent.value();
                        syn.unidirectional = true;
                    }
                    SendKind::Open {
                        direction, parent, ..
                    } => {
                        syn.associated = parent.map_or(0, StreamId::value);
                        syn.unidirectional = direction == Direction::Unidirectional;
                    }
                    _ => {}
                }
                self.encoder.syn_stream(out, syn, fields)
            }
            SendKind::Reply => self.encoder.syn_reply(out, id, fin, fields),
            SendKind::PushReply | SendKind::More => self.encoder.headers(out, id, fin, fields),
        };
        encoded.map_err(|_| Unencodable::TooLarge)?;
        let len = out.len().saturating_sub(before) as u64;
        self.sent.compressed = self.sent.compressed.saturating_add(len);
        Ok(())
    }

    /// A push and the head of its response, in one frame.
    pub(super) fn pushed_response(
        &mut self,
        stream: StreamId,
        parent: StreamId,
        request: &Head,
        response: &Head,
        fin: bool,
        out: &mut BytesMut,
    ) -> Result<(), Unencodable> {
        let version = self.version;
        let mut syn = frames::SynStreamHead::new(stream.value());
        syn.priority = self.wire_priority(Priority::default());
        syn.fin = fin;
        syn.associated = parent.value();
        syn.unidirectional = true;
        let before = out.len();
        let (scheme, plain) = (&self.scheme, &mut self.sent.plain);
        let fields = |encoder: &mut frames::BlockEncoder<'_>| {
            let mut block = Block { encoder, plain };
            encode_control(version, request, scheme, true, &mut block);
            encode_pushed_status(version, response, &mut block);
            encode_fields(version, response, pushed_names(version), &mut block);
        };
        let encoded = self.encoder.syn_stream(out, syn, fields);
        encoded.map_err(|_| Unencodable::TooLarge)?;
        let len = out.len().saturating_sub(before) as u64;
        self.sent.compressed = self.sent.compressed.saturating_add(len);
        Ok(())
    }

    pub(super) fn header_bytes(&self) -> (HeaderBytes, HeaderBytes) {
        let received = self.decoder.block_bytes();
        let received = HeaderBytes {
            plain: received.plain,
            compressed: received.compressed,
        };
        (self.sent, received)
    }

    #[inline]
    pub(super) fn data_head(
        &mut self,
        stream: StreamId,
        len: usize,
        fin: bool,
        out: &mut BytesMut,
    ) {
        debug_assert!(len <= self.max_data);
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.encoder.data_head(out, stream.value(), len, fin);
    }

    #[inline]
    pub(super) fn max_data(&self) -> usize {
        self.max_data
    }

    pub(super) fn reset(&mut self, stream: StreamId, reason: Reason, out: &mut BytesMut) {
        self.encoder
            .rst_stream(out, stream.value(), reset_code(self.version, reason));
    }

    pub(super) fn window_update(
        &mut self,
        stream: Option<StreamId>,
        increment: u32,
        out: &mut BytesMut,
    ) {
        self.encoder
            .window_update(out, stream.map_or(0, StreamId::value), increment);
    }

    pub(super) fn ping(&mut self, opaque: u64, out: &mut BytesMut) {
        let counter = u32::try_from(opaque & 0x3fff_ffff).unwrap_or(0);
        let id = match self.side {
            Side::Client => counter.saturating_mul(2).saturating_add(1),
            Side::Server => counter.saturating_mul(2),
        };
        self.encoder.ping(out, id);
    }

    pub(super) fn pong(&mut self, opaque: u64, out: &mut BytesMut) {
        self.encoder.ping(out, u32::try_from(opaque).unwrap_or(0));
    }

    /// Of SPDY/3 alone.
    pub(super) fn credential(
        &mut self,
        slot: NonZeroU16,
        proof: Bytes,
        certificates: Vec<Bytes>,
        out: &mut BytesMut,
    ) -> Result<(), Unencodable> {
        if self.version != Version::Spdy3 {
            return Err(Unencodable::NoSuchFrame);
        }
        let frame = frames::Frame::Credential(frames::Credential {
            slot: slot.get(),
            proof,
            certificates,
            undefined_flags: 0,
        });
        self.encoder
            .frame(out, &frame)
            .map_err(|_| Unencodable::TooLarge)
    }

    /// Of SPDY/2 alone.
    pub(super) fn noop(&mut self, out: &mut BytesMut) -> Result<(), Unencodable> {
        if self.version != Version::Spdy2 {
            return Err(Unencodable::NoSuchFrame);
        }
        let frame = frames::Frame::Noop(frames::Noop::default());
        self.encoder
            .frame(out, &frame)
            .map_err(|_| Unencodable::TooLarge)
    }

    pub(super) fn go_away(&mut self, last: StreamId, reason: Reason, out: &mut BytesMut) {
        let status = match reason {
            Reason::NoError => frames::GoAwayStatus::OK,
            Reason::InternalError => frames::GoAwayStatus::INTERNAL_ERROR,
            _ => frames::GoAwayStatus::PROTOCOL_ERROR,
        };
        // The largest id would promise streams that GOAWAY is there to refuse;
        // it is only used where GOAWAY is sent twice.
        self.encoder.go_away(out, last.value(), status);
    }
}
