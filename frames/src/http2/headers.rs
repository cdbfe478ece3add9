//! HEADERS (RFC 9113 §6.2).

use bytes::{Bytes, BytesMut};

use super::{DecodeError, EncodeError, FrameHead, Kind, StreamPriority, flags, frame, padding};

/// HEADERS: opens a stream, or ends it with trailers. Carries a header block or its first fragment
/// (RFC 9113 §6.2).
///
/// The fragment is compressed, and useless without the connection's HPACK context. The
/// [`Decoder`](super::Decoder) joins and decompresses fragments.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::http2::{Frame, Headers};
///
/// // 0x82 is `:method: GET` in HPACK's static table
/// let frame = Frame::Headers(Headers::new(1, Bytes::from_static(b"\x82")));
/// let mut wire = BytesMut::new();
/// frame.encode(&mut wire)?;
/// assert_eq!(wire[..], *b"\x00\x00\x01\x01\x04\x00\x00\x00\x01\x82");
/// # Ok::<(), lacewing_frames::http2::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// The stream, not 0.
    pub stream_id: u32,
    /// END_STREAM: no DATA follows.
    pub fin: bool,
    /// END_HEADERS: the header block ends with this frame; otherwise CONTINUATION follows.
    pub end_headers: bool,
    /// The place in the deprecated dependency tree, if given.
    pub priority: Option<StreamPriority>,
    /// The header block or its first fragment, compressed.
    pub fragment: Bytes,
    /// The padding, at most 255 bytes; `None` when the frame is not padded.
    pub padding: Option<Bytes>,
    /// Flag bits without a meaning in this frame; kept, and ignored.
    pub undefined_flags: u8,
}

/// The parts of a HEADERS payload, by reference.
pub(crate) struct HeadersPayload<'a> {
    pub(crate) priority: Option<StreamPriority>,
    pub(crate) fragment: &'a [u8],
    pub(crate) padding: Option<&'a [u8]>,
}

impl Headers {
    const FLAGS: u8 = flags::END_STREAM | flags::END_HEADERS | flags::PADDED | flags::PRIORITY;

    /// A complete header block without padding and priority, which does not end its stream.
    pub fn new(stream_id: u32, fragment: Bytes) -> Headers {
        Headers {
            stream_id,
            fin: false,
            end_headers: true,
            priority: None,
            fragment,
            padding: None,
            undefined_flags: 0,
        }
    }

    /// Checks a payload and splits it without copying.
    #[inline]
    pub(crate) fn split(
        head: FrameHead,
        payload: &[u8],
    ) -> Result<HeadersPayload<'_>, DecodeError> {
        if head.stream_id == 0 {
            return Err(DecodeError::StreamIdZero { kind: head.kind });
        }
        let (content, padding) = padding::split(head, payload)?;
        if !head.has(flags::PRIORITY) {
            return Ok(HeadersPayload {
                priority: None,
                fragment: content,
                padding,
            });
        }
        let Some((priority, fragment)) = content.split_first_chunk::<{ StreamPriority::LEN }>()
        else {
            // With padding, the padding exceeds the space for the fragment (§6.2). Without padding,
            // the frame is too small for its fields (§4.2).
            return Err(match padding {
                Some(_) => DecodeError::Padding {
                    kind: head.kind,
                    stream_id: head.stream_id,
                },
                None => DecodeError::Length {
                    kind: head.kind,
                    length: head.length,
                },
            });
        };
        let priority = Some(StreamPriority::from_bytes(*priority));
        Ok(HeadersPayload {
            priority,
            fragment,
            padding,
        })
    }

    pub(crate) fn parse(head: FrameHead, payload: &Bytes) -> Result<Headers, DecodeError> {
        let parts = Headers::split(head, payload)?;
        Ok(Headers {
            stream_id: head.stream_id,
            fin: head.has(flags::END_STREAM),
            end_headers: head.has(flags::END_HEADERS),
            priority: parts.priority,
            fragment: payload.slice_ref(parts.fragment),
            padding: parts.padding.map(|padding| payload.slice_ref(padding)),
            undefined_flags: head.undefined_flags(Headers::FLAGS),
        })
    }

    pub(crate) fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let padding = self.padding.as_ref();
        let mut flags = self.undefined_flags & !Headers::FLAGS;
        if self.fin {
            flags |= flags::END_STREAM;
        }
        if self.end_headers {
            flags |= flags::END_HEADERS;
        }
        if padding.is_some() {
            flags |= flags::PADDED;
        }
        let mut length = padding::overhead(padding)?.saturating_add(self.fragment.len());
        if self.priority.is_some() {
            flags |= flags::PRIORITY;
            length = length.saturating_add(StreamPriority::LEN);
        }
        frame::put_head(dst, Kind::HEADERS, flags, self.stream_id, length)?;
        padding::put_length(dst, padding);
        if let Some(priority) = self.priority {
            dst.extend_from_slice(&priority.to_bytes());
        }
        dst.extend_from_slice(&self.fragment);
        padding::put(dst, padding);
        Ok(())
    }
}
