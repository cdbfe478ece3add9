//! DATA (RFC 9113 §6.1).

use bytes::{Bytes, BytesMut};

use super::{DecodeError, EncodeError, FrameHead, Kind, flags, frame, padding};

/// DATA: bytes of a stream, with flow control (RFC 9113 §6.1).
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::http2::{Data, Frame};
///
/// let frame = Frame::Data(Data { fin: true, ..Data::new(1, Bytes::from_static(b"hello")) });
/// let mut wire = BytesMut::new();
/// frame.encode(&mut wire)?;
/// assert_eq!(wire[..], *b"\x00\x00\x05\x00\x01\x00\x00\x00\x01hello");
/// # Ok::<(), lacewing_frames::http2::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// The stream, not 0.
    pub stream_id: u32,
    /// END_STREAM: the sender's last frame of the stream.
    pub fin: bool,
    /// The content, without padding.
    pub payload: Bytes,
    /// The padding, at most 255 bytes; `None` when the frame is not padded.
    pub padding: Option<Bytes>,
    /// Flag bits without a meaning in this frame; kept, and ignored.
    pub undefined_flags: u8,
}

impl Data {
    const FLAGS: u8 = flags::END_STREAM | flags::PADDED;

    /// An unpadded frame that does not end its stream.
    pub fn new(stream_id: u32, payload: Bytes) -> Data {
        Data {
            stream_id,
            fin: false,
            payload,
            padding: None,
            undefined_flags: 0,
        }
    }

    /// Checks a payload and splits it into content and padding.
    #[inline]
    pub(crate) fn split(
        head: FrameHead,
        payload: &[u8],
    ) -> Result<(&[u8], Option<&[u8]>), DecodeError> {
        if head.stream_id == 0 {
            return Err(DecodeError::StreamIdZero { kind: head.kind });
        }
        padding::split(head, payload)
    }

    pub(crate) fn parse(head: FrameHead, payload: &Bytes) -> Result<Data, DecodeError> {
        let (content, padding) = Data::split(head, payload)?;
        Ok(Data {
            stream_id: head.stream_id,
            fin: head.has(flags::END_STREAM),
            payload: payload.slice_ref(content),
            padding: padding.map(|padding| payload.slice_ref(padding)),
            undefined_flags: head.undefined_flags(Data::FLAGS),
        })
    }

    pub(crate) fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let padding = self.padding.as_ref();
        let mut flags = self.undefined_flags & !Data::FLAGS;
        if self.fin {
            flags |= flags::END_STREAM;
        }
        if padding.is_some() {
            flags |= flags::PADDED;
        }
        let length = padding::overhead(padding)?.saturating_add(self.payload.len());
        frame::put_head(dst, Kind::DATA, flags, self.stream_id, length)?;
        padding::put_length(dst, padding);
        dst.extend_from_slice(&self.payload);
        padding::put(dst, padding);
        Ok(())
    }
}
