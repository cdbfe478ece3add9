//! One frame, exactly as on the wire, with its header block still compressed.

use bytes::{Buf, Bytes, BytesMut};

use super::head::ControlHead;
use super::{
    Credential, Data, DecodeError, EncodeError, FrameHead, GoAway, Headers, Kind, Noop, Ping,
    RstStream, Settings, SynReply, SynStream, Unknown, WindowUpdate, WireVersion,
};

/// One frame, exactly as on the wire: a decoded frame encodes to the same bytes.
///
/// (The bit before a stream identifier is the exception: it is ignored on receipt and sent as zero,
/// as the specification requires.)
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::spdy::{Frame, Ping, WireVersion};
///
/// let wire = [0x80, 0x03, 0x00, 0x06, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x01];
/// let frame = Frame::decode(WireVersion::V3, &mut BytesMut::from(&wire[..]), 8192)?;
/// assert_eq!(frame, Some(Frame::Ping(Ping::new(1))));
/// # Ok::<(), lacewing_frames::spdy::DecodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Opens a stream.
    SynStream(SynStream),
    /// Accepts a stream.
    SynReply(SynReply),
    /// Ends a stream abnormally.
    RstStream(RstStream),
    /// Parameters of the sender.
    Settings(Settings),
    /// No meaning. Decoded from SPDY/2 only; unknown in SPDY/3.
    Noop(Noop),
    /// Measures the round trip.
    Ping(Ping),
    /// Ends the acceptance of new streams.
    GoAway(GoAway),
    /// Carries more header fields.
    Headers(Headers),
    /// Returns flow-control credit. Unknown in SPDY/2.
    WindowUpdate(WindowUpdate),
    /// Carries a client certificate. Unknown in SPDY/2.
    Credential(Credential),
    /// Carries bytes of a stream.
    Data(Data),
    /// A control frame of an undefined type, or of another version.
    Unknown(Unknown),
}

impl Frame {
    /// Removes one frame from the front of `src` and returns it; `None` if it is incomplete.
    ///
    /// # Errors
    ///
    /// A payload over `max_frame_size` bytes is rejected by the head alone, and nothing is removed.
    /// After every other error the frame is removed.
    pub fn decode(
        version: WireVersion,
        src: &mut BytesMut,
        max_frame_size: u32,
    ) -> Result<Option<Frame>, DecodeError> {
        let Some(head) = FrameHead::parse(src) else {
            return Ok(None);
        };
        if head.length() > max_frame_size {
            let limit = max_frame_size;
            return Err(DecodeError::FrameTooLong { head, limit });
        }
        let length = usize::try_from(head.length()).unwrap_or(usize::MAX);
        if src.len() - FrameHead::LEN < length {
            return Ok(None);
        }
        src.advance(FrameHead::LEN);
        let payload = src.split_to(length).freeze();
        Frame::parse(version, head, payload).map(Some)
    }

    /// Appends the frame to `dst`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::FrameTooLong`] for a payload of 2^24 bytes or more.
    pub fn encode(&self, version: WireVersion, dst: &mut BytesMut) -> Result<(), EncodeError> {
        match self {
            Frame::SynStream(frame) => frame.encode(version, dst),
            Frame::SynReply(frame) => frame.encode(version, dst),
            Frame::RstStream(frame) => frame.encode(version, dst),
            Frame::Settings(frame) => frame.encode(version, dst),
            Frame::Noop(frame) => frame.encode(version, dst),
            Frame::Ping(frame) => frame.encode(version, dst),
            Frame::GoAway(frame) => frame.encode(version, dst),
            Frame::Headers(frame) => frame.encode(version, dst),
            Frame::WindowUpdate(frame) => frame.encode(version, dst),
            Frame::Credential(frame) => frame.encode(version, dst),
            Frame::Data(frame) => frame.encode(dst),
            Frame::Unknown(frame) => frame.encode(dst),
        }
    }

    fn parse(ours: WireVersion, head: FrameHead, payload: Bytes) -> Result<Frame, DecodeError> {
        let (version, kind, flags, length) = match head {
            FrameHead::Data {
                stream_id, flags, ..
            } => return Ok(Frame::Data(Data::parse(stream_id, flags, payload))),
            FrameHead::Control {
                version,
                kind,
                flags,
                length,
            } => (version, kind, flags, length),
        };
        let unknown = |payload| {
            Ok(Frame::Unknown(Unknown {
                version,
                kind,
                flags,
                payload,
            }))
        };
        if version != ours.number() {
            return unknown(payload);
        }
        let head = ControlHead {
            version: ours,
            kind,
            flags,
            length,
        };
        Ok(match (kind, ours) {
            (Kind::SYN_STREAM, _) => Frame::SynStream(SynStream::parse(head, &payload)?),
            (Kind::SYN_REPLY, _) => Frame::SynReply(SynReply::parse(head, &payload)?),
            (Kind::RST_STREAM, _) => Frame::RstStream(RstStream::parse(head, &payload)?),
            (Kind::SETTINGS, _) => Frame::Settings(Settings::parse(head, &payload, usize::MAX)?),
            (Kind::NOOP, WireVersion::V2) => Frame::Noop(Noop::parse(head)?),
            (Kind::PING, _) => Frame::Ping(Ping::parse(head, &payload)?),
            (Kind::GOAWAY, _) => Frame::GoAway(GoAway::parse(head, &payload)?),
            (Kind::HEADERS, _) => Frame::Headers(Headers::parse(head, &payload)?),
            // Never implemented in SPDY/2, and removed from its draft.
            (Kind::WINDOW_UPDATE, WireVersion::V3) => {
                Frame::WindowUpdate(WindowUpdate::parse(head, &payload)?)
            }
            (Kind::CREDENTIAL, WireVersion::V3) => {
                Frame::Credential(Credential::parse(head, &payload, usize::MAX)?)
            }
            _ => return unknown(payload),
        })
    }
}
