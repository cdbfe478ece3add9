//! SPDY frames as lines of text.

use bytes::{Buf, Bytes, BytesMut};
use lacewing_frames::spdy::{
    Block, Decoder, DecoderLimits, FrameHead, Kind, Message, Scope, WireVersion, flags,
};

use super::{Frames, Taken, text};

/// Names and values; several values of a name are joined by NUL.
type List = Vec<(Bytes, Bytes)>;

/// The frames of one direction.
pub(super) struct SpdyFrames {
    decoder: Decoder<List>,
}

impl SpdyFrames {
    pub(super) fn new(version: WireVersion) -> Self {
        // Whatever the two sides allow each other is shown, but for a header
        // list that no program could mean.
        let limits = DecoderLimits::default().with(|limits| {
            limits.max_frame_size = FrameHead::MAX_LENGTH;
            limits.list.max_size = 64 << 20;
            limits.list.max_fields = usize::MAX;
            limits.max_settings_entries = usize::MAX;
            limits.max_certificates = Some(usize::MAX);
        });
        Self {
            decoder: Decoder::new(version, limits),
        }
    }
}

impl Frames for SpdyFrames {
    fn take(&mut self, buffer: &mut BytesMut, lines: &mut Vec<String>) -> Taken {
        let Some(head) = FrameHead::parse(buffer) else {
            return Taken::Nothing;
        };
        let length = usize::try_from(head.length()).unwrap_or(usize::MAX);
        if let FrameHead::Data {
            stream_id, flags, ..
        } = head
        {
            let flags = text::flags(flags, &[(flags::FIN, "FLAG_FIN")]);
            lines.push(format!("DATA stream={stream_id} length={length}{flags}"));
            buffer.advance(FrameHead::LEN);
            return Taken::Head(length);
        }
        let total = length.saturating_add(FrameHead::LEN);
        if buffer.len() < total {
            return Taken::Nothing;
        }
        match self.decoder.decode(&mut buffer.split_to(total)) {
            Ok(Some(message)) => describe(head, message, lines),
            Ok(None) => lines.push(title(head, "")),
            Err(error) => {
                lines.push(title(head, ""));
                lines.push(format!("    ! {error}"));
                if error.scope() == Scope::Connection {
                    return Taken::Lost;
                }
            }
        }
        Taken::Frame
    }
}

fn title(head: FrameHead, what: &str) -> String {
    let FrameHead::Control {
        version,
        kind,
        flags,
        length,
    } = head
    else {
        return String::new();
    };
    let names: &[(u8, &str)] = match kind {
        Kind::SYN_STREAM => &[
            (flags::FIN, "FLAG_FIN"),
            (flags::UNIDIRECTIONAL, "FLAG_UNIDIRECTIONAL"),
        ],
        Kind::SYN_REPLY | Kind::HEADERS => &[(flags::FIN, "FLAG_FIN")],
        Kind::SETTINGS => &[(flags::CLEAR_SETTINGS, "FLAG_SETTINGS_CLEAR_SETTINGS")],
        _ => &[],
    };
    let flags = text::flags(flags, names);
    format!("{kind}{what} version={version} length={length}{flags}")
}

fn describe(head: FrameHead, message: Message<List>, lines: &mut Vec<String>) {
    match message {
        Message::SynStream {
            stream_id,
            associated,
            priority,
            slot,
            block,
            ..
        } => {
            lines.push(title(head, &format!(" stream={stream_id}")));
            let mut line = format!("    priority={priority}");
            if associated != 0 {
                line.push_str(&format!(", associated to stream={associated}"));
            }
            if slot != 0 {
                line.push_str(&format!(", slot={slot}"));
            }
            lines.push(line);
            fields(&block, lines);
        }
        Message::SynReply {
            stream_id, block, ..
        }
        | Message::Headers {
            stream_id, block, ..
        } => {
            lines.push(title(head, &format!(" stream={stream_id}")));
            fields(&block, lines);
        }
        Message::RstStream(frame) => {
            lines.push(title(head, &format!(" stream={}", frame.stream_id)));
            lines.push(format!("    {}", frame.code));
        }
        Message::Settings(frame) => {
            lines.push(title(head, ""));
            for entry in frame.entries {
                let names = &[
                    (flags::PERSIST_VALUE, "FLAG_SETTINGS_PERSIST_VALUE"),
                    (flags::PERSISTED, "FLAG_SETTINGS_PERSISTED"),
                ];
                let flags = text::flags(entry.flags, names);
                lines.push(format!(
                    "    SETTINGS_{} = {}{flags}",
                    entry.id, entry.value
                ));
            }
        }
        Message::Ping(frame) => lines.push(title(head, &format!(" id={}", frame.id))),
        Message::GoAway(frame) => {
            lines.push(title(head, ""));
            let last = frame.last_good_stream_id;
            lines.push(match frame.status {
                Some(status) => format!("    {status}, last good stream={last}"),
                None => format!("    last good stream={last}"),
            });
        }
        Message::WindowUpdate(frame) => {
            lines.push(title(head, &format!(" stream={}", frame.stream_id)));
            lines.push(format!("    delta={}", frame.delta));
        }
        Message::Credential(frame) => {
            lines.push(title(head, &format!(" slot={}", frame.slot)));
            lines.push(format!("    {} certificates", frame.certificates.len()));
        }
        _ => lines.push(title(head, "")),
    }
}

fn fields(block: &Block<List>, lines: &mut Vec<String>) {
    for (name, values) in block.fields() {
        let name = text::readable(name);
        for value in values.split(|byte| *byte == 0) {
            lines.push(format!("    {name}: {}", text::readable(value)));
        }
    }
    if let Err(bad) = &block.list {
        lines.push(format!("    ! {bad}"));
    }
}

#[cfg(test)]
mod tests {
    use lacewing_frames::spdy::{
        Compression, Data, Encoder, ErrorCode, Frame, Ping, RstStream, SynStreamHead,
    };

    use lacewing_frames::{Side, Version};

    use super::super::FrameLog;
    use super::*;

    fn wire(version: WireVersion) -> BytesMut {
        let mut wire = BytesMut::new();
        let mut encoder = Encoder::new(version, Compression::Stored);
        let head = SynStreamHead {
            priority: 2,
            ..SynStreamHead::new(1)
        };
        encoder
            .syn_stream(&mut wire, head, |block| {
                block.field(b"accept", [b"text/html".as_slice(), b"text/plain"]);
            })
            .unwrap();
        let frames = [
            Frame::Data(Data {
                fin: true,
                ..Data::new(1, Bytes::from_static(&[0x80; 300]))
            }),
            Frame::Ping(Ping::new(7)),
            Frame::RstStream(RstStream {
                stream_id: 1,
                code: ErrorCode::CANCEL,
                undefined_flags: 0,
            }),
        ];
        for frame in frames {
            frame.encode(version, &mut wire).unwrap();
        }
        wire
    }

    #[test]
    fn the_lines_do_not_depend_on_how_the_bytes_come() {
        for (version, layout) in [
            (Version::Spdy2, WireVersion::V2),
            (Version::Spdy3, WireVersion::V3),
            (Version::Spdy31, WireVersion::V3),
        ] {
            let wire = wire(layout);
            let mut whole = Vec::new();
            FrameLog::new(version, Side::Client).decode(&wire, &mut whole);
            assert!(
                whole[0].starts_with("SYN_STREAM stream=1 version="),
                "{}",
                whole[0]
            );
            assert_eq!(
                whole[1..4],
                [
                    "    priority=2",
                    "    accept: text/html",
                    "    accept: text/plain"
                ]
            );
            assert_eq!(whole[4], "DATA stream=1 length=300 flags=FLAG_FIN");
            assert!(whole[5].starts_with("PING id=7 "), "{}", whole[5]);
            assert!(whole[6].starts_with("RST_STREAM stream=1 "), "{}", whole[6]);
            assert_eq!(whole[7], "    CANCEL");
            for size in 1..=wire.len() {
                let mut frames = FrameLog::new(version, Side::Client);
                let mut lines = Vec::new();
                for piece in wire.chunks(size) {
                    frames.decode(piece, &mut lines);
                }
                assert_eq!(lines, whole, "in pieces of {size} bytes");
            }
        }
    }
}
