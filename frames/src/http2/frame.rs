//! The raw level: one value for each frame, exactly as on the wire.

use bytes::{Buf, BytesMut};

use super::{
    AltSvc, Continuation, Data, DecodeError, EncodeError, FrameHead, GoAway, Headers, Kind, Origin,
    Ping, Priority, PriorityUpdate, PushPromise, RstStream, Settings, Unknown, WindowUpdate,
};

/// One frame, exactly as on the wire. It encodes to the bytes from which it was decoded, padding
/// and undefined flags included. (Reserved bits, which a receiver ignores, are encoded as zero.)
///
/// Header blocks stay compressed, and frames are independent of each other. For the frames of an
/// open connection use [`Decoder`](super::Decoder) and [`Encoder`](super::Encoder), which keep the
/// compression state.
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::http2::Frame;
///
/// let wire = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00deadbeef";
/// let mut received = BytesMut::from(&wire[..]);
/// let frame = Frame::decode(&mut received, 16_384)?.expect("the frame is complete");
/// assert!(received.is_empty());
///
/// let mut sent = BytesMut::new();
/// frame.encode(&mut sent)?;
/// assert_eq!(sent[..], wire[..]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// DATA, RFC 9113 §6.1.
    Data(Data),
    /// HEADERS, RFC 9113 §6.2.
    Headers(Headers),
    /// PRIORITY, RFC 9113 §6.3.
    Priority(Priority),
    /// RST_STREAM, RFC 9113 §6.4.
    RstStream(RstStream),
    /// SETTINGS, RFC 9113 §6.5.
    Settings(Settings),
    /// PUSH_PROMISE, RFC 9113 §6.6.
    PushPromise(PushPromise),
    /// PING, RFC 9113 §6.7.
    Ping(Ping),
    /// GOAWAY, RFC 9113 §6.8.
    GoAway(GoAway),
    /// WINDOW_UPDATE, RFC 9113 §6.9.
    WindowUpdate(WindowUpdate),
    /// CONTINUATION, RFC 9113 §6.10.
    Continuation(Continuation),
    /// ALTSVC, RFC 7838 §4.
    AltSvc(AltSvc),
    /// ORIGIN, RFC 8336 §2.
    Origin(Origin),
    /// PRIORITY_UPDATE, RFC 9218 §7.1.
    PriorityUpdate(PriorityUpdate),
    /// Any other type.
    Unknown(Unknown),
}

impl Frame {
    /// Removes one frame from the front of `src` and returns it. Returns `None`, and leaves `src`
    /// unchanged, if the frame is incomplete. Payloads share the memory of `src`.
    ///
    /// # Errors
    ///
    /// The first rule that the frame breaks. A frame longer than `max_frame_size` bytes is refused
    /// from its head alone and stays in `src`; every other erroneous frame is consumed.
    pub fn decode(src: &mut BytesMut, max_frame_size: u32) -> Result<Option<Frame>, DecodeError> {
        let Some(head) = FrameHead::parse(src) else {
            return Ok(None);
        };
        let FrameHead { kind, length, .. } = head;
        if length > max_frame_size {
            return Err(DecodeError::FrameTooLong {
                kind,
                length,
                limit: max_frame_size,
            });
        }
        let total = FrameHead::LEN + length as usize;
        if src.len() < total {
            return Ok(None);
        }
        let mut payload = src.split_to(total).freeze();
        payload.advance(FrameHead::LEN);
        Ok(Some(match kind {
            Kind::DATA => Frame::Data(Data::parse(head, &payload)?),
            Kind::HEADERS => Frame::Headers(Headers::parse(head, &payload)?),
            Kind::PRIORITY => Frame::Priority(Priority::parse(head, &payload)?),
            Kind::RST_STREAM => Frame::RstStream(RstStream::parse(head, &payload)?),
            Kind::SETTINGS => Frame::Settings(Settings::parse(head, &payload, usize::MAX)?),
            Kind::PUSH_PROMISE => Frame::PushPromise(PushPromise::parse(head, &payload)?),
            Kind::PING => Frame::Ping(Ping::parse(head, &payload)?),
            Kind::GOAWAY => Frame::GoAway(GoAway::parse(head, &payload)?),
            Kind::WINDOW_UPDATE => Frame::WindowUpdate(WindowUpdate::parse(head, &payload)?),
            Kind::CONTINUATION => Frame::Continuation(Continuation::parse(head, &payload)?),
            Kind::ALTSVC => Frame::AltSvc(AltSvc::parse(head, &payload)?),
            Kind::ORIGIN => match Origin::parse(head, &payload, usize::MAX)? {
                Some(frame) => Frame::Origin(frame),
                None => Frame::Unknown(Unknown::parse(head, &payload)),
            },
            Kind::PRIORITY_UPDATE => Frame::PriorityUpdate(PriorityUpdate::parse(head, &payload)?),
            _ => Frame::Unknown(Unknown::parse(head, &payload)),
        }))
    }

    /// Appends the frame to `dst`.
    ///
    /// # Errors
    ///
    /// A field is longer than its place on the wire. Nothing is written. Values are not checked:
    /// you can encode frames that a receiver rejects.
    pub fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        match self {
            Frame::Data(frame) => return frame.encode(dst),
            Frame::Headers(frame) => return frame.encode(dst),
            Frame::Priority(frame) => frame.encode(dst),
            Frame::RstStream(frame) => frame.encode(dst),
            Frame::Settings(frame) => return frame.encode(dst),
            Frame::PushPromise(frame) => return frame.encode(dst),
            Frame::Ping(frame) => frame.encode(dst),
            Frame::GoAway(frame) => return frame.encode(dst),
            Frame::WindowUpdate(frame) => frame.encode(dst),
            Frame::Continuation(frame) => return frame.encode(dst),
            Frame::AltSvc(frame) => return frame.encode(dst),
            Frame::Origin(frame) => return frame.encode(dst),
            Frame::PriorityUpdate(frame) => return frame.encode(dst),
            Frame::Unknown(frame) => return frame.encode(dst),
        }
        Ok(())
    }

    /// The type of the frame.
    pub fn kind(&self) -> Kind {
        match self {
            Frame::Data(_) => Kind::DATA,
            Frame::Headers(_) => Kind::HEADERS,
            Frame::Priority(_) => Kind::PRIORITY,
            Frame::RstStream(_) => Kind::RST_STREAM,
            Frame::Settings(_) => Kind::SETTINGS,
            Frame::PushPromise(_) => Kind::PUSH_PROMISE,
            Frame::Ping(_) => Kind::PING,
            Frame::GoAway(_) => Kind::GOAWAY,
            Frame::WindowUpdate(_) => Kind::WINDOW_UPDATE,
            Frame::Continuation(_) => Kind::CONTINUATION,
            Frame::AltSvc(_) => Kind::ALTSVC,
            Frame::Origin(_) => Kind::ORIGIN,
            Frame::PriorityUpdate(_) => Kind::PRIORITY_UPDATE,
            Frame::Unknown(frame) => frame.kind,
        }
    }
}

/// Writes the head of a frame of any length and reserves room for its payload.
pub(crate) fn put_head(
    dst: &mut BytesMut,
    kind: Kind,
    flags: u8,
    stream_id: u32,
    length: usize,
) -> Result<(), EncodeError> {
    let limit = FrameHead::MAX_LENGTH;
    match u32::try_from(length) {
        Ok(length) if length <= limit => {
            dst.reserve(FrameHead::LEN + length as usize);
            FrameHead {
                length,
                kind,
                flags,
                stream_id,
            }
            .put(dst);
            Ok(())
        }
        _ => Err(EncodeError::FrameTooLong {
            kind,
            length,
            limit,
        }),
    }
}
