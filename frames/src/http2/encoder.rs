//! Encodes messages to bytes: compresses header lists and splits header blocks.

use bytes::{Bytes, BytesMut};
use lacewing_hpack as hpack;

use super::{
    AltSvc, EncodeError, ErrorCode, FrameHead, GoAway, Kind, Origin, Ping, PriorityUpdate,
    RstStream, Setting, StreamPriority, WindowUpdate, flags,
};

/// The sending half of a connection: appends frames to a buffer.
///
/// It owns the HPACK table. Encode header lists in the order in which you send their bytes, and
/// send all bytes: the peer's table follows this one.
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::http2::{Encoder, HeadersHead};
/// use lacewing_hpack::Sensitivity;
///
/// let mut encoder = Encoder::new();
/// let mut wire = BytesMut::new();
/// encoder.headers(&mut wire, HeadersHead::new(1, false), |block| {
///     block.field(b":status", b"200", Sensitivity::Normal);
/// });
/// encoder.data_head(&mut wire, 1, 5, true);
/// wire.extend_from_slice(b"hello");
///
/// assert_eq!(wire[..], *b"\x00\x00\x01\x01\x04\x00\x00\x00\x01\x88\
///                         \x00\x00\x05\x00\x01\x00\x00\x00\x01hello");
/// ```
#[derive(Debug)]
pub struct Encoder {
    hpack: hpack::Encoder,
    max_frame_size: u32,
}

/// The fields of HEADERS beside its header block (RFC 9113 §6.2).
///
/// ```
/// use lacewing_frames::http2::HeadersHead;
///
/// let padded = HeadersHead { padding: Some(16), ..HeadersHead::new(3, true) };
/// assert_eq!((padded.stream_id, padded.fin, padded.priority), (3, true, None));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadersHead {
    /// The stream, not 0.
    pub stream_id: u32,
    /// END_STREAM: no DATA follows.
    pub fin: bool,
    /// The place in the deprecated dependency tree; usually none.
    pub priority: Option<StreamPriority>,
    /// The number of padding bytes, which hide the length of the block; usually none.
    pub padding: Option<u8>,
}

impl HeadersHead {
    /// A head without priority and padding.
    pub const fn new(stream_id: u32, fin: bool) -> HeadersHead {
        HeadersHead {
            stream_id,
            fin,
            priority: None,
            padding: None,
        }
    }
}

/// The fields of PUSH_PROMISE beside its header block (RFC 9113 §6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushPromiseHead {
    /// The stream of the request to which the push belongs, not 0.
    pub stream_id: u32,
    /// The promised stream: even, not 0.
    pub promised_id: u32,
    /// The number of padding bytes, which hide the length of the block; usually none.
    pub padding: Option<u8>,
}

impl PushPromiseHead {
    /// A head without padding.
    pub const fn new(stream_id: u32, promised_id: u32) -> PushPromiseHead {
        PushPromiseHead {
            stream_id,
            promised_id,
            padding: None,
        }
    }
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder::new()
    }
}

impl Encoder {
    /// Returns an encoder for a new connection: frames up to 16,384 bytes, an HPACK table of 4,096
    /// bytes.
    pub fn new() -> Encoder {
        Encoder {
            hpack: hpack::Encoder::new(),
            max_frame_size: 16_384,
        }
    }

    /// Returns an encoder with other options for header compression, such as a larger table. The
    /// encoder uses the table as far as the peer permits.
    pub fn with_hpack(config: hpack::EncoderConfig) -> Encoder {
        Encoder {
            hpack: hpack::Encoder::with_config(config),
            ..Encoder::new()
        }
    }

    /// The longest payload that the peer accepts, in bytes: the maximum for one DATA frame.
    pub fn max_frame_size(&self) -> u32 {
        self.max_frame_size
    }

    /// Sets the longest payload in bytes: the peer's SETTINGS_MAX_FRAME_SIZE, clamped to 16,384 to
    /// 2^24-1.
    pub fn set_max_frame_size(&mut self, max_frame_size: u32) {
        self.max_frame_size = max_frame_size.clamp(16_384, FrameHead::MAX_LENGTH);
    }

    /// Sets the largest HPACK table of the peer in bytes: its SETTINGS_HEADER_TABLE_SIZE. The table
    /// also obeys the encoder's own bound. The next header block signals the change (RFC 7541
    /// §4.2).
    pub fn set_header_table_size(&mut self, size: u32) {
        self.hpack
            .set_max_table_size(usize::try_from(size).unwrap_or(usize::MAX));
    }

    /// The current size of the HPACK table, in bytes (RFC 7541 §4.1).
    pub fn header_table_len(&self) -> usize {
        self.hpack.table_size()
    }

    /// Appends HEADERS, and CONTINUATION if necessary (RFC 9113 §6.2, §6.10). `fields` adds the
    /// header list.
    pub fn headers(
        &mut self,
        dst: &mut BytesMut,
        head: HeadersHead,
        fields: impl FnOnce(&mut hpack::BlockEncoder<'_>),
    ) {
        let mut flags = 0;
        if head.fin {
            flags |= flags::END_STREAM;
        }
        let priority = head.priority.map(StreamPriority::to_bytes);
        if priority.is_some() {
            flags |= flags::PRIORITY;
        }
        let first = FirstFrame {
            kind: Kind::HEADERS,
            flags,
            stream_id: head.stream_id,
            padding: head.padding,
            prelude: priority.as_ref().map_or(&[], |bytes| bytes),
        };
        self.block(dst, first, fields);
    }

    /// Appends PUSH_PROMISE, and CONTINUATION if necessary (RFC 9113 §6.6, §6.10). `fields` adds
    /// the header list of the promised request.
    pub fn push_promise(
        &mut self,
        dst: &mut BytesMut,
        head: PushPromiseHead,
        fields: impl FnOnce(&mut hpack::BlockEncoder<'_>),
    ) {
        let first = FirstFrame {
            kind: Kind::PUSH_PROMISE,
            flags: 0,
            stream_id: head.stream_id,
            padding: head.padding,
            prelude: &head.promised_id.to_be_bytes(),
        };
        self.block(dst, first, fields);
    }

    /// Appends the head of a DATA frame with `len` bytes, which the caller must send directly after
    /// it (RFC 9113 §6.1). `len` must not exceed [`max_frame_size`](Encoder::max_frame_size).
    #[inline]
    pub fn data_head(&self, dst: &mut BytesMut, stream_id: u32, len: u32, fin: bool) {
        debug_assert!(
            len <= self.max_frame_size,
            "DATA longer than the peer's maximum frame size"
        );
        let flags = if fin { flags::END_STREAM } else { 0 };
        FrameHead {
            length: len,
            kind: Kind::DATA,
            flags,
            stream_id,
        }
        .put(dst);
    }

    /// Appends SETTINGS (RFC 9113 §6.5). Returns the number of frames, each of which the peer
    /// acknowledges: one, except for lists longer than 2,730 entries.
    pub fn settings(&self, dst: &mut BytesMut, entries: &[Setting]) -> usize {
        let most = (self.max_frame_size as usize / Setting::LEN).max(1);
        let frames = entries.len().div_ceil(most).max(1);
        let mut rest = entries;
        for _ in 0..frames {
            let (now, later) = rest.split_at(rest.len().min(most));
            // 24 bits suffice: there are at most max_frame_size bytes.
            let length = u32::try_from(now.len() * Setting::LEN).unwrap_or(0);
            dst.reserve(FrameHead::LEN + now.len() * Setting::LEN);
            FrameHead {
                length,
                kind: Kind::SETTINGS,
                flags: 0,
                stream_id: 0,
            }
            .put(dst);
            for entry in now {
                dst.extend_from_slice(&entry.to_bytes());
            }
            rest = later;
        }
        frames
    }

    /// Appends the acknowledgement of the peer's SETTINGS (RFC 9113 §6.5.3).
    pub fn settings_ack(&self, dst: &mut BytesMut) {
        FrameHead {
            length: 0,
            kind: Kind::SETTINGS,
            flags: flags::ACK,
            stream_id: 0,
        }
        .put(dst);
    }

    /// Appends PING (RFC 9113 §6.7).
    pub fn ping(&self, dst: &mut BytesMut, payload: [u8; 8]) {
        Ping {
            ack: false,
            payload,
            undefined_flags: 0,
        }
        .encode(dst);
    }

    /// Appends the answer to the peer's PING (RFC 9113 §6.7).
    pub fn ping_ack(&self, dst: &mut BytesMut, payload: [u8; 8]) {
        Ping {
            ack: true,
            payload,
            undefined_flags: 0,
        }
        .encode(dst);
    }

    /// Appends GOAWAY (RFC 9113 §6.8). Debug data that exceeds the peer's frame size is truncated.
    pub fn go_away(
        &self,
        dst: &mut BytesMut,
        last_stream_id: u32,
        code: ErrorCode,
        debug_data: &[u8],
    ) {
        let room = (self.max_frame_size as usize).saturating_sub(GoAway::FIXED_LEN);
        let debug_data = debug_data.get(..room).unwrap_or(debug_data);
        let debug_data = Bytes::copy_from_slice(debug_data);
        // The debug data fits: it was truncated to the available length.
        let _ = GoAway {
            last_stream_id,
            code,
            debug_data,
            undefined_flags: 0,
        }
        .encode(dst);
    }

    /// Appends RST_STREAM (RFC 9113 §6.4).
    pub fn rst_stream(&self, dst: &mut BytesMut, stream_id: u32, code: ErrorCode) {
        RstStream {
            stream_id,
            code,
            undefined_flags: 0,
        }
        .encode(dst);
    }

    /// Appends WINDOW_UPDATE (RFC 9113 §6.9); stream 0 is the connection. The increment is 1 to
    /// 2^31-1.
    pub fn window_update(&self, dst: &mut BytesMut, stream_id: u32, increment: u32) {
        WindowUpdate {
            stream_id,
            increment,
            undefined_flags: 0,
        }
        .encode(dst);
    }

    /// Appends ALTSVC (RFC 7838 §4): on stream 0 with an origin, or on another stream without one.
    ///
    /// # Errors
    ///
    /// The frame would be too long. Nothing is written.
    pub fn alt_svc(
        &self,
        dst: &mut BytesMut,
        stream_id: u32,
        origin: &[u8],
        value: &[u8],
    ) -> Result<(), EncodeError> {
        let origin = Bytes::copy_from_slice(origin);
        let value = Bytes::copy_from_slice(value);
        let frame = AltSvc {
            stream_id,
            origin,
            value,
            undefined_flags: 0,
        };
        self.check_len(Kind::ALTSVC, frame.payload_len())?;
        frame.encode(dst)
    }

    /// Appends ORIGIN (RFC 8336 §2).
    ///
    /// # Errors
    ///
    /// The frame would be too long. Nothing is written. Distribute the origins over several frames,
    /// which the client combines.
    pub fn origin(&self, dst: &mut BytesMut, origins: &[Bytes]) -> Result<(), EncodeError> {
        let frame = Origin::new(origins.iter().cloned());
        self.check_len(Kind::ORIGIN, frame.payload_len())?;
        frame.encode(dst)
    }

    /// Appends PRIORITY_UPDATE (RFC 9218 §7.1), for clients only.
    ///
    /// # Errors
    ///
    /// The frame would be too long. Nothing is written.
    pub fn priority_update(
        &self,
        dst: &mut BytesMut,
        prioritized_id: u32,
        value: &[u8],
    ) -> Result<(), EncodeError> {
        let length = PriorityUpdate::FIXED_LEN.saturating_add(value.len());
        self.check_len(Kind::PRIORITY_UPDATE, length)?;
        let value = Bytes::copy_from_slice(value);
        PriorityUpdate {
            prioritized_id,
            value,
            undefined_flags: 0,
        }
        .encode(dst)
    }

    fn check_len(&self, kind: Kind, length: usize) -> Result<(), EncodeError> {
        let limit = self.max_frame_size;
        if length > limit as usize {
            return Err(EncodeError::FrameTooLong {
                kind,
                length,
                limit,
            });
        }
        Ok(())
    }

    /// Encodes a block directly into `dst`, after room for its head, and splits it if it is too
    /// long for one frame.
    #[inline]
    fn block(
        &mut self,
        dst: &mut BytesMut,
        first: FirstFrame<'_>,
        fields: impl FnOnce(&mut hpack::BlockEncoder<'_>),
    ) {
        let start = dst.len();
        dst.extend_from_slice(&[0; FrameHead::LEN]);
        if let Some(padding) = first.padding {
            dst.extend_from_slice(&[padding]);
        }
        dst.extend_from_slice(first.prelude);
        let block_start = dst.len();
        {
            let mut block = self.hpack.block(dst);
            fields(&mut block);
        }
        let max = self.max_frame_size as usize;
        let padding = usize::from(first.padding.unwrap_or(0));
        // At least 16,384 - 1 - 5 - 255.
        let room = max
            .saturating_sub(block_start - start - FrameHead::LEN)
            .saturating_sub(padding);
        let mut flags = first.flags;
        if first.padding.is_some() {
            flags |= flags::PADDED;
        }
        if dst.len() - block_start <= room {
            flags |= flags::END_HEADERS;
            dst.resize(dst.len() + padding, 0);
            let length = dst.len() - start - FrameHead::LEN;
            write_head(dst, start, first.kind, flags, first.stream_id, length);
        } else {
            let fragment_end = block_start + room;
            split(dst, fragment_end, padding, max, first.stream_id);
            write_head(dst, start, first.kind, flags, first.stream_id, max);
        }
    }
}

/// The fields before a header block.
struct FirstFrame<'a> {
    kind: Kind,
    flags: u8,
    stream_id: u32,
    padding: Option<u8>,
    /// The fields between the padding length and the block.
    prelude: &'a [u8],
}

/// Moves everything after `fragment_end` into CONTINUATION frames, and inserts the padding of the
/// first frame before them.
#[cold]
fn split(dst: &mut BytesMut, fragment_end: usize, padding: usize, max: usize, stream_id: u32) {
    let rest = dst.len() - fragment_end;
    let frames = rest.div_ceil(max);
    dst.resize(dst.len() + padding + frames * FrameHead::LEN, 0);
    // From the last to the first, so that no byte is overwritten before it has moved.
    for index in (0..frames).rev() {
        let from = fragment_end + index * max;
        let length = max.min(rest - index * max);
        let to = from + padding + (index + 1) * FrameHead::LEN;
        dst.copy_within(from..from + length, to);
        let flags = if index + 1 == frames {
            flags::END_HEADERS
        } else {
            0
        };
        write_head(
            dst,
            to - FrameHead::LEN,
            Kind::CONTINUATION,
            flags,
            stream_id,
            length,
        );
    }
    if let Some(padding) = dst.get_mut(fragment_end..fragment_end + padding) {
        padding.fill(0);
    }
}

/// Writes a head into the room reserved for it.
#[inline]
fn write_head(dst: &mut BytesMut, at: usize, kind: Kind, flags: u8, stream_id: u32, length: usize) {
    // The block was split at the maximum frame size, so 24 bits suffice for the length.
    let length = u32::try_from(length).unwrap_or(0);
    if let Some(room) = dst.get_mut(at..at + FrameHead::LEN) {
        room.copy_from_slice(
            &FrameHead {
                length,
                kind,
                flags,
                stream_id,
            }
            .to_bytes(),
        );
    }
}
