//! HTTP/2 frames (RFC 9113 §6) as lines of text.

use bytes::{Buf, BytesMut};
use lacewing_frames::http2::{
    BadList, Decoder, DecoderLimits, FrameHead, HeaderField, Kind, Message, PREFACE, Scope,
    Sensitivity, StreamPriority, flags,
};

use super::{Frames, Taken, text};
use lacewing_frames::Side;

type List = Vec<(HeaderField, Sensitivity)>;

/// The bytes before a padded DATA frame's content: head and Pad Length.
const PADDED_HEAD: usize = FrameHead::LEN + 1;

/// The frames of one direction.
pub(super) struct Http2Frames {
    decoder: Decoder<List>,
    preface: Preface,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Preface {
    Expected,
    Done,
}

impl Http2Frames {
    pub(super) fn new(sender: Side) -> Self {
        // The log applies no limits: it does not know those of the two sides.
        let mut decoder = Decoder::new(DecoderLimits::default().with(|limits| {
            limits.max_frame_size = FrameHead::MAX_LENGTH;
            limits.max_header_list_size = usize::MAX;
            limits.max_header_fields = usize::MAX;
            limits.max_continuations = u32::MAX;
            limits.max_header_block = usize::MAX;
            limits.max_settings_entries = usize::MAX;
            limits.max_origins = usize::MAX;
        }));
        decoder.set_header_table_size(u32::MAX);
        let preface = match sender {
            Side::Client => Preface::Expected,
            Side::Server => Preface::Done,
        };
        Self { decoder, preface }
    }
}

impl Frames for Http2Frames {
    fn take(&mut self, buffer: &mut BytesMut, lines: &mut Vec<String>) -> Taken {
        if self.preface == Preface::Expected {
            if buffer.len() < PREFACE.len() {
                return Taken::Nothing;
            }
            self.preface = Preface::Done;
            if buffer.starts_with(PREFACE) {
                buffer.advance(PREFACE.len());
                lines.push("connection preface".into());
            }
        }
        let Some(head) = FrameHead::parse(buffer) else {
            return Taken::Nothing;
        };
        let length = usize::try_from(head.length).unwrap_or(usize::MAX);
        if head.kind == Kind::DATA {
            return data(buffer, head, length, lines);
        }
        let total = length.saturating_add(FrameHead::LEN);
        if buffer.len() < total {
            return Taken::Nothing;
        }
        lines.push(title(head));
        match self.decoder.decode(&mut buffer.split_to(total)) {
            Ok(Some(message)) => describe(message, lines),
            // An incomplete header block, or an unknown frame.
            Ok(None) => {}
            Err(error) => {
                lines.push(format!("    ! {error} ({})", error.section()));
                if error.scope() == Scope::Connection {
                    return Taken::Lost;
                }
            }
        }
        Taken::Frame
    }
}

fn data(buffer: &mut BytesMut, head: FrameHead, length: usize, lines: &mut Vec<String>) -> Taken {
    let padded = head.has(flags::PADDED) && length > 0;
    if padded && buffer.len() < PADDED_HEAD {
        return Taken::Nothing;
    }
    let mut line = title(head);
    if let Some(padding) = buffer.get(FrameHead::LEN).filter(|_| padded) {
        line.push_str(&format!(" padding={padding}"));
    }
    lines.push(line);
    buffer.advance(FrameHead::LEN);
    Taken::Head(length)
}

fn title(head: FrameHead) -> String {
    let FrameHead {
        kind,
        length,
        stream_id,
        ..
    } = head;
    let names: &[(u8, &str)] = match kind {
        Kind::DATA => &[(flags::END_STREAM, "END_STREAM"), (flags::PADDED, "PADDED")],
        Kind::HEADERS => &[
            (flags::END_STREAM, "END_STREAM"),
            (flags::END_HEADERS, "END_HEADERS"),
            (flags::PADDED, "PADDED"),
            (flags::PRIORITY, "PRIORITY"),
        ],
        Kind::PUSH_PROMISE => &[
            (flags::END_HEADERS, "END_HEADERS"),
            (flags::PADDED, "PADDED"),
        ],
        Kind::CONTINUATION => &[(flags::END_HEADERS, "END_HEADERS")],
        Kind::SETTINGS | Kind::PING => &[(flags::ACK, "ACK")],
        _ => &[],
    };
    let flags = text::flags(head.flags, names);
    format!("{kind} stream={stream_id} length={length}{flags}")
}

fn describe(message: Message<List>, lines: &mut Vec<String>) {
    match message {
        Message::Headers { priority, list, .. } => {
            if let Some(priority) = priority {
                lines.push(dependency(priority));
            }
            fields(list, lines);
        }
        Message::PushPromise {
            promised_id, list, ..
        } => {
            lines.push(format!("    promised stream={promised_id}"));
            fields(list, lines);
        }
        Message::Priority { priority, .. } => lines.push(dependency(priority)),
        Message::RstStream { code, .. } => lines.push(format!("    {code}")),
        Message::Settings(settings) => {
            for entry in settings.entries {
                lines.push(format!("    SETTINGS_{} = {}", entry.id, entry.value));
            }
        }
        Message::Ping { payload } | Message::PingAck { payload } => {
            lines.push(format!(
                "    opaque data={:016x}",
                u64::from_be_bytes(payload)
            ));
        }
        Message::GoAway {
            last_stream_id,
            code,
            debug_data,
        } => {
            let mut line = format!("    {code}, last stream={last_stream_id}");
            if !debug_data.is_empty() {
                line.push_str(&format!(", debug data={:?}", text::readable(&debug_data)));
            }
            lines.push(line);
        }
        Message::WindowUpdate { increment, .. } => {
            lines.push(format!("    increment={increment}"));
        }
        Message::AltSvc(frame) => {
            let origin = text::readable(&frame.origin);
            lines.push(format!(
                "    origin={origin} {}",
                text::readable(&frame.value)
            ));
        }
        Message::Origin(frame) => {
            let origins = frame.origins.iter();
            lines.extend(origins.map(|origin| format!("    {}", text::readable(origin))));
        }
        Message::PriorityUpdate {
            prioritized_id,
            value,
        } => {
            lines.push(format!(
                "    stream={prioritized_id} {}",
                text::readable(&value)
            ));
        }
        _ => {}
    }
}

fn dependency(priority: StreamPriority) -> String {
    let StreamPriority {
        dependency,
        exclusive,
        weight,
    } = priority;
    let exclusive = if exclusive { ", exclusive" } else { "" };
    format!("    depends on stream={dependency}, weight={weight}{exclusive}")
}

fn fields(list: Result<List, BadList<List>>, lines: &mut Vec<String>) {
    // This decoder has no limits that a list could exceed.
    for (field, sensitivity) in list.unwrap_or_else(|bad| bad.fields) {
        let never = match sensitivity {
            Sensitivity::Normal => "",
            _ => "  (never indexed)",
        };
        let (name, value) = (text::readable(field.name()), text::readable(field.value()));
        lines.push(format!("    {name}: {value}{never}"));
    }
}

#[cfg(test)]
mod tests {
    use lacewing_frames::http2::{Data, Encoder, Frame, HeadersHead, RstStream};

    use lacewing_frames::Version;

    use super::super::FrameLog;
    use super::*;

    fn wire() -> BytesMut {
        let mut wire = BytesMut::from(&PREFACE[..]);
        let mut encoder = Encoder::new();
        encoder.headers(&mut wire, HeadersHead::new(1, true), |block| {
            block.field(b":method", b"GET", Sensitivity::Normal);
            block.field(b"cookie", b"secret", Sensitivity::Sensitive);
        });
        let data = Data::new(1, bytes::Bytes::from_static(&[0xff; 300]));
        Frame::Data(data).encode(&mut wire).unwrap();
        let code = lacewing_frames::http2::ErrorCode::CANCEL;
        Frame::RstStream(RstStream {
            stream_id: 1,
            code,
            undefined_flags: 0,
        })
        .encode(&mut wire)
        .unwrap();
        wire
    }

    #[test]
    fn the_lines_do_not_depend_on_how_the_bytes_come() {
        let wire = wire();
        let mut whole = Vec::new();
        FrameLog::new(Version::Http2, Side::Client).decode(&wire, &mut whole);
        assert_eq!(whole[0], "connection preface");
        assert!(
            whole[1].starts_with("HEADERS stream=1 length="),
            "{}",
            whole[1]
        );
        assert!(
            whole[1].ends_with(" flags=END_STREAM|END_HEADERS"),
            "{}",
            whole[1]
        );
        assert_eq!(whole[2], "    :method: GET");
        assert_eq!(whole[3], "    cookie: secret  (never indexed)");
        assert_eq!(whole[4], "DATA stream=1 length=300");
        assert_eq!(whole[5..], ["RST_STREAM stream=1 length=4", "    CANCEL"]);
        for size in 1..=wire.len() {
            let mut frames = FrameLog::new(Version::Http2, Side::Client);
            let mut lines = Vec::new();
            for piece in wire.chunks(size) {
                frames.decode(piece, &mut lines);
            }
            assert_eq!(lines, whole, "in pieces of {size} bytes");
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_said() {
        let mut lines = Vec::new();
        // HEADERS with an index beyond the tables.
        let wire = b"\x00\x00\x01\x01\x05\x00\x00\x00\x01\xff\x80\x80";
        let mut wire = wire.to_vec();
        wire[2] = 3;
        FrameLog::new(Version::Http2, Side::Server).decode(&wire, &mut lines);
        assert!(lines[1].starts_with("    ! "), "{lines:?}");
    }
}
