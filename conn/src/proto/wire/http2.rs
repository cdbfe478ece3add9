//! HTTP/2 frames (RFC 9113) to neutral messages and back.

mod codes;
mod encode;
mod field;
pub(super) mod settings;

use bytes::{Bytes, BytesMut};
use http::uri::Scheme;
use lacewing_frames::http2 as frames;
use lacewing_hpack::{BlockEncoder, EncoderConfig, ExceededLimit, LastEntry};

use self::{
    codes::{code, reason, violation},
    encode::{Block, encode_added, encode_control, encode_fields},
};
use super::{Data, Fields, Headers, HeadersKind, ListLimit, Message, SendKind, Unencodable};
use crate::proto::{
    AddedFields, Config, Head, HeaderBytes, Limits, Priority, Reason, Rule, Side, StreamId,
    Violation,
};

/// Upper bound of our DATA frames, so that one stream cannot monopolise the
/// connection.
const MAX_DATA: usize = 64 << 10;

/// A header list that our SETTINGS allow may come in frames of this size: a
/// quarter of what every peer takes.
const CONTINUATION: usize = 4 << 10;

/// The memory of an HPACK table for each byte of its size. The smallest entry counts 33 bytes, and
/// takes up to 200 (a parsed field, its value, the reverse look-up).
const TABLE: usize = 6;

/// The outcome of a decoder's step.
type Decoded = Result<Option<frames::Message<Box<Fields>>>, frames::DecodeError>;

/// The codec of one HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct Wire {
    decoder: frames::Decoder<Box<Fields>>,
    encoder: frames::Encoder,
    /// The client's connection preface has not arrived (RFC 9113 §3.4).
    preface_due: bool,
    settings_due: bool,
    header_table_size: u32,
    side: Side,
    /// The scheme of requests whose URI names none; `None`: `http`.
    scheme: Option<Box<Scheme>>,
    /// SETTINGS of the peer were obeyed.
    settings_came: bool,
    /// Settings that the peer may not take back.
    fixed: settings::Fixed,
    sent: HeaderBytes,
    /// The `date` that was sent last.
    last_date: LastEntry,
}

impl Wire {
    pub(super) fn new(config: &Config) -> Self {
        let limits = &config.limits;
        let encoder_config = EncoderConfig::DEFAULT.with(|config| {
            config.max_table_size =
                usize::try_from(limits.encoder_table_size).unwrap_or(usize::MAX);
        });
        Self {
            decoder: frames::Decoder::with_shared_limits(limits.derived(decoder_limits)),
            encoder: frames::Encoder::with_hpack(encoder_config),
            preface_due: config.side == Side::Server,
            settings_due: true,
            header_table_size: limits.header_table_size,
            side: config.side,
            scheme: (config.scheme != Scheme::HTTP).then(|| Box::new(config.scheme.clone())),
            settings_came: false,
            fixed: settings::Fixed::default(),
            sent: HeaderBytes::default(),
            last_date: LastEntry::default(),
        }
    }

    pub(super) fn memory(&self) -> usize {
        let tables = self.decoder.header_table_len();
        let tables = tables.saturating_add(self.encoder.header_table_len());
        let remembered = self.decoder.remembered();
        size_of::<Self>()
            .saturating_add(remembered.map_or(0, |list| list.memory()))
            .saturating_add(tables.saturating_mul(TABLE))
            .saturating_add(self.decoder.open_block_len())
    }

    #[inline]
    pub(super) fn recycle(&mut self, fields: Box<Fields>) {
        self.decoder.recycle(fields);
    }

    /// Forgets the fields that it remembers to copy them.
    pub(super) fn forget(&mut self) {
        self.decoder.forget();
    }

    pub(super) fn take_spare(&mut self) -> Option<Box<Fields>> {
        self.decoder.forget();
        self.decoder.take_spare()
    }

    /// Frees what codes header lists: none is sent or received any more.
    pub(super) fn end(&mut self) {
        self.decoder.end();
        self.encoder = frames::Encoder::new();
    }

    pub(super) fn preface(&mut self, config: &Config, out: &mut BytesMut) {
        if config.side == Side::Client {
            out.extend_from_slice(frames::PREFACE);
        }
        self.encoder.settings(out, &settings::advertised(config));
    }

    pub(super) fn settings_acknowledged(&mut self) {
        self.decoder.set_header_table_size(self.header_table_size);
    }

    #[inline]
    pub(super) fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Violation> {
        if self.preface_due && !self.read_preface(input)? {
            return Ok(None);
        }
        let decoded = self.decoder.decode(input);
        if self.settings_due {
            return self.take_first(decoded);
        }
        // The arms of the most frequent messages take them where they are: to move a message
        // through a function costs as much as to translate it.
        match decoded {
            Ok(Some(frames::Message::Headers {
                stream_id,
                fin,
                list,
                ..
            })) => {
                let list = whole_or_cut(list);
                Ok(Some(Message::Headers(Headers {
                    stream: StreamId::new(stream_id),
                    kind: HeadersKind::ByState,
                    priority: list.priority(),
                    fields: list,
                    fin,
                    unidirectional: false,
                    associated: None,
                })))
            }
            Ok(Some(frames::Message::Data {
                stream_id,
                fin,
                payload,
                flow_controlled_len,
            })) => Ok(Some(Message::Data(Data {
                stream: StreamId::new(stream_id),
                data: payload,
                flow_len: flow_controlled_len,
                fin,
                broken: None,
            }))),
            Ok(Some(message)) => self.translate(message).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(violation(&error)),
        }
    }

    /// Translates the first message, which must be SETTINGS (RFC 9113 §3.4).
    fn take_first(&mut self, decoded: Decoded) -> Result<Option<Message>, Violation> {
        match decoded {
            Ok(Some(frames::Message::Settings(settings))) => {
                self.settings_due = false;
                let settings = self.apply_settings(&settings.entries)?;
                Ok(Some(Message::Settings(settings)))
            }
            Ok(Some(_)) => Err(Violation::connection(
                Rule::SettingsFirst,
                Reason::ProtocolError,
            )),
            Ok(None) => Ok(None),
            Err(error) => Err(violation(&error)),
        }
    }

    /// Returns whether `input` begins with a whole DATA frame of at most `max` bytes that ends
    /// this stream.
    #[inline]
    pub(super) fn last_data(stream: StreamId, max: usize, input: &[u8]) -> Option<usize> {
        let head = frames::FrameHead::parse(input)?;
        let length = usize::try_from(head.length).unwrap_or(usize::MAX);
        let ends = head.kind == frames::Kind::DATA
            && head.flags & (frames::flags::END_STREAM | frames::flags::PADDED)
                == frames::flags::END_STREAM
            && head.stream_id == stream.value()
            && length <= max
            && input.len() >= frames::FrameHead::LEN.saturating_add(length);
        ends.then_some(length)
    }

    pub(super) fn set_copy_below(&mut self, length: usize) {
        self.decoder.set_copy_below(length);
    }

    /// Reads the client's preface; `false` until all of it is there.
    fn read_preface(&mut self, input: &mut BytesMut) -> Result<bool, Violation> {
        let expected = frames::PREFACE;
        let len = input.len().min(expected.len());
        if input.get(..len) != expected.get(..len) {
            let violation = Violation::connection(Rule::Malformed, Reason::ProtocolError);
            return Err(violation.detailed("the connection does not start with HTTP/2's preface"));
        }
        if len < expected.len() {
            return Ok(false);
        }
        drop(input.split_to(len));
        self.preface_due = false;
        Ok(true)
    }

    /// Translates a message other than HEADERS and DATA.
    fn translate(&mut self, message: frames::Message<Box<Fields>>) -> Result<Message, Violation> {
        use frames::Message as M;
        Ok(match message {
            M::WindowUpdate {
                stream_id,
                increment,
            } => Message::Credit {
                stream: (stream_id != 0).then(|| StreamId::new(stream_id)),
                increment,
            },
            M::RstStream { stream_id, code } => Message::Reset {
                stream: StreamId::new(stream_id),
                reason: reason(code),
            },
            M::PushPromise {
                stream_id,
                promised_id,
                list,
                ..
            } => Message::Promise {
                parent: StreamId::new(stream_id),
                promised: StreamId::new(promised_id),
                fields: whole_or_cut(list),
            },
            rest => return self.translate_control(rest),
        })
    }

    /// Frames that carry no part of a message.
    fn translate_control(
        &mut self,
        message: frames::Message<Box<Fields>>,
    ) -> Result<Message, Violation> {
        use frames::Message as M;
        Ok(match message {
            M::Settings(settings) => Message::Settings(self.apply_settings(&settings.entries)?),
            M::SettingsAck => Message::SettingsAck,
            M::Ping { payload } => Message::Ping {
                opaque: u64::from_be_bytes(payload),
            },
            M::PingAck { payload } => Message::Pong {
                opaque: u64::from_be_bytes(payload),
            },
            M::GoAway {
                last_stream_id,
                code,
                debug_data,
            } => Message::GoAway {
                last: StreamId::new(last_stream_id),
                reason: reason(code),
                debug: debug_data,
            },
            M::PriorityUpdate {
                prioritized_id,
                value,
            } => {
                if self.side == Side::Client {
                    let rule = Rule::InvalidPriorityUpdate;
                    return Err(Violation::connection(rule, Reason::ProtocolError));
                }
                Message::Priority {
                    stream: StreamId::new(prioritized_id),
                    priority: Priority::from_field(&value),
                }
            }
            M::AltSvc(frame) if self.side == Side::Client => Message::Alternative {
                stream: (frame.stream_id != 0).then(|| StreamId::new(frame.stream_id)),
                origin: (frame.stream_id == 0).then_some(frame.origin),
                value: frame.value,
            },
            M::Origin(frame) if self.side == Side::Client => Message::Origins(frame.origins),
            // The dependency tree of RFC 7540 is parsed, and ignored.
            _ => Message::Ignored,
        })
    }

    #[inline]
    pub(super) fn headers(
        &mut self,
        stream: StreamId,
        kind: SendKind,
        head: &Head,
        added: &AddedFields,
        fin: bool,
        out: &mut BytesMut,
    ) {
        let scheme = self.scheme.as_deref().unwrap_or(&Scheme::HTTP);
        let last_date = &mut self.last_date;
        let plain = &mut self.sent.plain;
        let before = out.len();
        let fields = |encoder: &mut BlockEncoder<'_>| {
            let mut block = Block { encoder, plain };
            encode_control(head, scheme, &mut block);
            if !head.fields.is_empty() {
                encode_fields(head, &mut block);
            }
            encode_added(added, last_date, &mut block);
        };
        match kind {
            SendKind::Push { parent } => {
                let head = frames::PushPromiseHead {
                    stream_id: parent.value(),
                    promised_id: stream.value(),
                    padding: None,
                };
                self.encoder.push_promise(out, head, fields);
            }
            _ => {
                let head = frames::HeadersHead {
                    stream_id: stream.value(),
                    fin,
                    priority: None,
                    padding: None,
                };
                self.encoder.headers(out, head, fields);
            }
        }
        let len = out.len().saturating_sub(before) as u64;
        self.sent.compressed = self.sent.compressed.saturating_add(len);
    }

    pub(super) fn priority_update(
        &mut self,
        stream: StreamId,
        priority: Priority,
        out: &mut BytesMut,
    ) {
        let value = priority.to_field();
        // A few bytes always fit.
        let _ = self
            .encoder
            .priority_update(out, stream.value(), value.as_bytes());
    }

    pub(super) fn origins(
        &mut self,
        origins: &[Bytes],
        out: &mut BytesMut,
    ) -> Result<(), Unencodable> {
        let encoded = self.encoder.origin(out, origins);
        encoded.map_err(|_| Unencodable::TooLarge)
    }

    pub(super) fn alternative(
        &mut self,
        stream: Option<StreamId>,
        origin: &[u8],
        value: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), Unencodable> {
        let stream = stream.map_or(0, StreamId::value);
        let encoded = self.encoder.alt_svc(out, stream, origin, value);
        encoded.map_err(|_| Unencodable::TooLarge)
    }

    #[inline]
    pub(super) fn in_header_block(&self) -> bool {
        self.decoder.in_header_block()
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
    pub(super) fn data_head(&self, stream: StreamId, len: usize, fin: bool, out: &mut BytesMut) {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.encoder.data_head(out, stream.value(), len, fin);
    }

    #[inline]
    pub(super) fn max_data(&self) -> usize {
        let most = usize::try_from(self.encoder.max_frame_size()).unwrap_or(MAX_DATA);
        most.min(MAX_DATA)
    }

    pub(super) fn reset(&mut self, stream: StreamId, reason: Reason, out: &mut BytesMut) {
        self.encoder.rst_stream(out, stream.value(), code(reason));
    }

    pub(super) fn settings_ack(&mut self, out: &mut BytesMut) {
        self.encoder.settings_ack(out);
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
        self.encoder.ping(out, opaque.to_be_bytes());
    }

    pub(super) fn pong(&mut self, opaque: u64, out: &mut BytesMut) {
        self.encoder.ping_ack(out, opaque.to_be_bytes());
    }

    pub(super) fn go_away(
        &mut self,
        last: StreamId,
        reason: Reason,
        detail: &str,
        out: &mut BytesMut,
    ) {
        self.encoder
            .go_away(out, last.value(), code(reason), detail.as_bytes());
    }
}

/// Returns the list; one that exceeds a limit has the limit beside it. The engine
/// decides on the answer.
fn whole_or_cut(list: Result<Box<Fields>, frames::BadList<Box<Fields>>>) -> Box<Fields> {
    list.unwrap_or_else(|bad| {
        let mut fields = bad.fields;
        fields.exceeded = Some(match bad.exceeded {
            ExceededLimit::Fields => ListLimit::Fields,
            _ => ListLimit::Size,
        });
        fields
    })
}

/// The decoder's part of the limits.
fn decoder_limits(limits: &Limits) -> frames::DecoderLimits {
    frames::DecoderLimits::default().with(|decoder| {
        decoder.max_frame_size = limits.max_frame_size;
        decoder.max_header_list_size = limits.max_header_list_size;
        decoder.max_header_fields = limits.max_header_fields;
        let needed = limits.max_header_list_size / CONTINUATION;
        let continuations = limits.max_continuations.max(needed);
        decoder.max_continuations = u32::try_from(continuations).unwrap_or(u32::MAX);
        decoder.max_header_block = limits.max_header_list_size.saturating_mul(2);
        decoder.max_settings_entries = limits.max_settings_entries;
    })
}
