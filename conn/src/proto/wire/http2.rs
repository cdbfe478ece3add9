//! HTTP/2 frames (RFC 9113) to neutral messages and back.

use bytes::{Bytes, BytesMut};
use http::{
    HeaderName, HeaderValue, Method, StatusCode,
    uri::{Authority, PathAndQuery, Scheme},
};
use lacewing_frames::http2 as frames;
use lacewing_hpack::{BlockEncoder, EncoderConfig, Sensitivity, StaticIndex};

use super::{
    Fields, Headers, HeadersKind, Message, PeerSettings, SendKind,
    fields::{check_name, check_value, parse_authority, parse_path, parse_priority},
};
use crate::proto::{Config, Control, Head, Protocol, Reason, Rule, Side, StreamId, Violation};

/// DATA frames of ours, however large the peer takes them: others want their
/// turn.
const MAX_DATA: usize = 64 << 10;

/// The codec of one HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct Wire {
    decoder: frames::Decoder<Box<Fields>>,
    encoder: frames::Encoder,
    /// The client's connection preface is still to come (RFC 9113 §3.4).
    preface_due: bool,
    settings_due: bool,
    header_table_size: u32,
    /// Scratch for numbers in text.
    digits: [u8; 3],
}

impl Wire {
    pub(super) fn new(config: &Config) -> Self {
        let limits = &config.limits;
        let decoder_limits = frames::DecoderLimits {
            max_frame_size: limits.max_frame_size,
            max_header_list_size: limits.max_header_list_size,
            max_header_fields: limits.max_header_fields,
            max_continuations: u32::try_from(limits.max_continuations).unwrap_or(u32::MAX),
            max_header_block: limits.max_header_list_size.saturating_mul(2),
            max_settings_entries: limits.max_settings_entries,
            ..frames::DecoderLimits::default()
        };
        let encoder_config = EncoderConfig {
            max_table_size: usize::try_from(limits.encoder_table_size).unwrap_or(usize::MAX),
            ..EncoderConfig::DEFAULT
        };
        Self {
            decoder: frames::Decoder::new(decoder_limits),
            encoder: frames::Encoder::with_hpack(encoder_config),
            preface_due: config.side == Side::Server,
            settings_due: true,
            header_table_size: limits.header_table_size,
            digits: [0; 3],
        }
    }

    pub(super) fn preface(&mut self, config: &Config, out: &mut BytesMut) {
        use frames::{Setting, SettingId};
        let limits = &config.limits;
        let mut settings = Vec::with_capacity(6);
        let mut set = |id, value, default| {
            if value != default {
                settings.push(Setting { id, value });
            }
        };
        set(
            SettingId::HEADER_TABLE_SIZE,
            limits.header_table_size,
            4_096,
        );
        if config.side == Side::Client {
            out.extend_from_slice(frames::PREFACE);
            set(SettingId::ENABLE_PUSH, u32::from(config.accept_push), 1);
        }
        let streams = match config.side {
            Side::Server => limits.max_concurrent_streams,
            Side::Client => limits.max_pushed_streams,
        };
        set(SettingId::MAX_CONCURRENT_STREAMS, streams, u32::MAX);
        set(SettingId::INITIAL_WINDOW_SIZE, limits.stream_window, 65_535);
        set(SettingId::MAX_FRAME_SIZE, limits.max_frame_size, 16_384);
        let list = u32::try_from(limits.max_header_list_size).unwrap_or(u32::MAX);
        set(SettingId::MAX_HEADER_LIST_SIZE, list, u32::MAX);
        self.encoder.settings(out, &settings);
    }

    pub(super) fn settings_acknowledged(&mut self) {
        self.decoder.set_header_table_size(self.header_table_size);
    }

    #[inline]
    pub(super) fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Violation> {
        if self.preface_due && !self.read_preface(input)? {
            return Ok(None);
        }
        let message = match self.decoder.decode(input) {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(None),
            Err(error) => return Err(violation(&error)),
        };
        if self.settings_due {
            if !matches!(message, frames::Message::Settings(_)) {
                return Err(Violation::connection(
                    Rule::SettingsFirst,
                    Reason::ProtocolError,
                ));
            }
            self.settings_due = false;
        }
        self.translate(message).map(Some)
    }

    /// Whether the preface is behind us.
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

    fn translate(&mut self, message: frames::Message<Box<Fields>>) -> Result<Message, Violation> {
        use frames::Message as M;
        Ok(match message {
            M::Headers {
                stream_id,
                fin,
                priority: _,
                mut list,
                exceeded,
                ..
            } => {
                list.exceeded = exceeded.is_some();
                Message::Headers(Headers {
                    stream: StreamId::new(stream_id),
                    kind: HeadersKind::ByState,
                    priority: list.priority(),
                    fields: list,
                    fin,
                    unidirectional: false,
                    associated: None,
                })
            }
            M::Data {
                stream_id,
                fin,
                payload,
                flow_controlled_len,
            } => Message::Data {
                stream: StreamId::new(stream_id),
                data: payload,
                flow_len: flow_controlled_len,
                fin,
            },
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
            M::Settings(settings) => Message::Settings(self.obey(&settings)),
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
                ..
            } => Message::GoAway {
                last: StreamId::new(last_stream_id),
                reason: reason(code),
            },
            M::PushPromise {
                stream_id,
                promised_id,
                mut list,
                exceeded,
                ..
            } => {
                list.exceeded = exceeded.is_some();
                Message::Promise {
                    parent: StreamId::new(stream_id),
                    promised: StreamId::new(promised_id),
                    fields: list,
                }
            }
            M::PriorityUpdate {
                prioritized_id,
                value,
            } => Message::Priority {
                stream: StreamId::new(prioritized_id),
                priority: parse_priority(&value),
            },
            // The dependency tree of RFC 7540 is parsed, and ignored.
            _ => Message::Ignored,
        })
    }

    fn obey(&mut self, settings: &frames::Settings) -> PeerSettings {
        use frames::SettingId;
        // In their order, each one: a table that shrinks and grows again in one
        // frame has lost its entries (RFC 7541 §4.2).
        for entry in &settings.entries {
            if entry.id == SettingId::HEADER_TABLE_SIZE {
                self.encoder.set_header_table_size(entry.value);
            }
        }
        if let Some(size) = settings.value(SettingId::MAX_FRAME_SIZE) {
            self.encoder.set_max_frame_size(size);
        }
        PeerSettings {
            max_concurrent_streams: settings.value(SettingId::MAX_CONCURRENT_STREAMS),
            initial_window: settings.value(SettingId::INITIAL_WINDOW_SIZE),
            enable_push: settings
                .value(SettingId::ENABLE_PUSH)
                .map(|value| value != 0),
        }
    }

    #[inline]
    pub(super) fn headers(
        &mut self,
        stream: StreamId,
        kind: SendKind,
        head: &Head,
        fin: bool,
        out: &mut BytesMut,
    ) {
        let digits = &mut self.digits;
        let fields = |block: &mut BlockEncoder<'_>| {
            encode_control(&head.control, digits, block);
            if !head.fields.is_empty() {
                encode_fields(head, block);
            }
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

fn encode_control(control: &Control, digits: &mut [u8; 3], block: &mut BlockEncoder<'_>) {
    let plain = Sensitivity::Normal;
    match control {
        Control::None => {}
        Control::Response { status } => {
            let number = status.as_u16();
            for (place, unit) in digits.iter_mut().zip([100, 10, 1]) {
                *place = b'0'.saturating_add(u8::try_from(number / unit % 10).unwrap_or(0));
            }
            block.field(b":status", &digits[..], plain);
        }
        Control::Request {
            method,
            uri,
            protocol,
        } => {
            block.field(b":method", method.as_str().as_bytes(), plain);
            let authority = uri.authority().map(Authority::as_str);
            if let Some(protocol) = protocol {
                block.field(b":protocol", protocol.as_str().as_bytes(), plain);
            }
            if *method != Method::CONNECT || protocol.is_some() {
                let scheme = uri.scheme_str().unwrap_or("http");
                block.field(b":scheme", scheme.as_bytes(), plain);
            }
            if let Some(authority) = authority {
                block.field(b":authority", authority.as_bytes(), plain);
            }
            if *method != Method::CONNECT || protocol.is_some() {
                let path = match uri.path_and_query() {
                    Some(path) if !path.as_str().is_empty() => path.as_str(),
                    _ => "/",
                };
                block.field(b":path", path.as_bytes(), plain);
            }
        }
    }
}

fn encode_fields(head: &Head, block: &mut BlockEncoder<'_>) {
    let request = matches!(head.control, Control::Request { .. });
    let authority = match &head.control {
        Control::Request { uri, .. } => uri.authority(),
        _ => None,
    };
    for (name, value) in &head.fields {
        // HTTP/1.1's connection management has no place here (§8.2.2), and
        // `host` says what `:authority` said.
        let skipped = is_connection_specific(name, value)
            || (request && authority.is_some() && *name == http::header::HOST);
        if skipped {
            continue;
        }
        let sensitivity = if value.is_sensitive() {
            Sensitivity::Sensitive
        } else {
            Sensitivity::Normal
        };
        block.field(name.as_str().as_bytes(), value.as_bytes(), sensitivity);
    }
}

/// Fields that must not be sent (RFC 9113 §8.2.2).
pub(super) fn is_connection_specific(name: &HeaderName, value: &HeaderValue) -> bool {
    use http::header;
    if *name == header::TE {
        return !value.as_bytes().eq_ignore_ascii_case(b"trailers");
    }
    *name == header::CONNECTION
        || *name == header::TRANSFER_ENCODING
        || *name == header::UPGRADE
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

fn violation(error: &frames::DecodeError) -> Violation {
    let rule = match error.error_code() {
        frames::ErrorCode::COMPRESSION_ERROR => Rule::Compression,
        _ => Rule::Malformed,
    };
    let reason = reason(error.error_code());
    let violation = match error.scope() {
        frames::Scope::Connection => Violation::connection(rule, reason),
        frames::Scope::Stream(id) => Violation::stream(StreamId::new(id), rule, reason),
    };
    violation.detailed(error.to_string())
}

fn reason(code: frames::ErrorCode) -> Reason {
    match code.0 {
        0x0 => Reason::NoError,
        0x1 => Reason::ProtocolError,
        0x2 => Reason::InternalError,
        0x3 => Reason::FlowControlError,
        0x4 => Reason::SettingsTimeout,
        0x5 => Reason::StreamClosed,
        0x6 => Reason::FrameSizeError,
        0x7 => Reason::RefusedStream,
        0x8 => Reason::Cancel,
        0x9 => Reason::CompressionError,
        0xa => Reason::ConnectError,
        0xb => Reason::EnhanceYourCalm,
        0xc => Reason::InadequateSecurity,
        0xd => Reason::Http11Required,
        other => Reason::Unknown(other),
    }
}

fn code(reason: Reason) -> frames::ErrorCode {
    frames::ErrorCode(match reason {
        Reason::NoError => 0x0,
        Reason::ProtocolError
        | Reason::InvalidStream
        | Reason::UnsupportedVersion
        | Reason::StreamInUse
        | Reason::InvalidCredentials => 0x1,
        Reason::InternalError => 0x2,
        Reason::FlowControlError => 0x3,
        Reason::SettingsTimeout => 0x4,
        Reason::StreamClosed => 0x5,
        Reason::FrameSizeError | Reason::FrameTooLarge => 0x6,
        Reason::RefusedStream => 0x7,
        Reason::Cancel => 0x8,
        Reason::CompressionError => 0x9,
        Reason::ConnectError => 0xa,
        Reason::EnhanceYourCalm => 0xb,
        Reason::InadequateSecurity => 0xc,
        Reason::Http11Required => 0xd,
        Reason::Unknown(code) => code,
    })
}

impl frames::HeaderList for Box<Fields> {
    type Field = Field;

    #[inline]
    fn push(&mut self, field: Field, sensitivity: Sensitivity) {
        let regular = match field {
            Field::Regular(name, mut value) => {
                if sensitivity == Sensitivity::Sensitive {
                    value.set_sensitive(true);
                }
                return self.append(name, value);
            }
            Field::Invalid { rule, .. } => return self.malformed(rule),
            // Pseudo-header fields come first (§8.3).
            _ if !self.map.is_empty() => return self.malformed(Rule::InvalidPseudoField),
            pseudo => pseudo,
        };
        let repeated = match regular {
            Field::Method(method) => self.method.replace(method).is_some(),
            Field::Scheme(scheme) => self.scheme.replace(scheme).is_some(),
            Field::Authority(authority) => self.authority.replace(authority).is_some(),
            Field::Path(path) => self.path.replace(path).is_some(),
            Field::Protocol(protocol) => self.protocol.replace(protocol).is_some(),
            Field::Status(status) => self.status.replace(status).is_some(),
            Field::Regular(..) | Field::Invalid { .. } => false,
        };
        if repeated {
            self.malformed(Rule::InvalidPseudoField);
        }
    }
}

/// A header field as the dynamic table keeps it: validated once, cloned by
/// reference count afterwards.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    Method(Method),
    Scheme(Scheme),
    Authority(Authority),
    Path(PathAndQuery),
    Protocol(Protocol),
    Status(StatusCode),
    Regular(HeaderName, HeaderValue),
    Invalid { name: Name, rule: Rule },
}

/// What a field's name says about its value.
#[derive(Clone, Debug)]
pub(crate) enum Name {
    Method,
    Scheme,
    Authority,
    Path,
    Protocol,
    Status,
    Regular(HeaderName),
    Invalid(Rule),
}

impl Name {
    fn parse(name: &[u8]) -> Self {
        if name.first() != Some(&b':') {
            return match check_name(name) {
                Ok(name) => Self::Regular(name),
                Err(rule) => Self::Invalid(rule),
            };
        }
        match name {
            b":method" => Self::Method,
            b":scheme" => Self::Scheme,
            b":authority" => Self::Authority,
            b":path" => Self::Path,
            b":protocol" => Self::Protocol,
            b":status" => Self::Status,
            _ => Self::Invalid(Rule::InvalidPseudoField),
        }
    }

    /// The field of this name. `shared` makes bytes of `value` that last.
    #[inline]
    fn field(self, value: &[u8], shared: impl FnOnce() -> Bytes) -> Field {
        let field = match &self {
            Self::Method => Method::from_bytes(value).ok().map(Field::Method),
            Self::Scheme => Scheme::try_from(value).ok().map(Field::Scheme),
            Self::Authority => parse_authority(value).map(Field::Authority),
            Self::Path => parse_path(shared()).map(Field::Path),
            Self::Protocol => Protocol::from_bytes(value).map(Field::Protocol),
            Self::Status => StatusCode::from_bytes(value).ok().map(Field::Status),
            Self::Regular(name) => match check_value(name, shared()) {
                Ok(value) => Some(Field::Regular(name.clone(), value)),
                Err(rule) => return Field::Invalid { name: self, rule },
            },
            Self::Invalid(rule) => {
                let rule = *rule;
                return Field::Invalid { name: self, rule };
            }
        };
        field.unwrap_or(Field::Invalid {
            name: self,
            rule: Rule::InvalidPseudoValue,
        })
    }
}

impl Field {
    fn name(&self) -> Name {
        match self {
            Self::Method(_) => Name::Method,
            Self::Scheme(_) => Name::Scheme,
            Self::Authority(_) => Name::Authority,
            Self::Path(_) => Name::Path,
            Self::Protocol(_) => Name::Protocol,
            Self::Status(_) => Name::Status,
            Self::Regular(name, _) => Name::Regular(name.clone()),
            Self::Invalid { name, .. } => name.clone(),
        }
    }
}

impl lacewing_hpack::Field for Field {
    fn new(name: &[u8], value: &[u8]) -> Self {
        Name::parse(name).field(value, || Bytes::copy_from_slice(value))
    }

    fn with_value(&self, value: &[u8]) -> Self {
        self.name().field(value, || Bytes::copy_from_slice(value))
    }

    fn from_static(index: StaticIndex) -> Self {
        let value = index.value();
        Name::parse(index.name()).field(value, || Bytes::from_static(value))
    }
}
