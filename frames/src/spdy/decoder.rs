//! Decodes the bytes of a connection to messages, with the zlib stream of its header blocks.

use core::fmt;
use core::marker::PhantomData;

use bytes::{Buf, Bytes, BytesMut};
use lacewing_spdy_zlib::ListError;

use super::head::{ControlHead, STREAM_ID_MASK};
use super::headers::{self, ReplyPayload};
use super::{
    BadList, Block, Credential, DecodeError, FrameHead, GoAway, HeaderList, Kind, ListLimits,
    Message, Noop, Ping, RstStream, Scope, Settings, SpareInflater, SynStreamHead, Unknown,
    WindowUpdate, WireVersion, flags,
};
use crate::BlockBytes;

/// The smallest limit for control frames (section 2.4.2): every endpoint must accept 8,192 bytes.
const LEAST_CONTROL_FRAME: u32 = 8192;

/// Pieces of DATA from this length on are returned without copying. Smaller ones are copied, since
/// they would keep the whole read buffer alive.
const COPY_BELOW: usize = 1024;

/// Decodes one direction of a connection.
///
/// All header blocks go through the connection's zlib stream, even those of rejected frames;
/// otherwise the next one could not be decoded. The decoder returns DATA in pieces as they arrive,
/// and never waits or allocates for a declared length (up to 16 MiB). It buffers control frames
/// until they are complete, and rejects frames that are too long by their head.
///
/// See the [module](super) for an example.
pub struct Decoder<L> {
    version: WireVersion,
    limits: DecoderLimits,
    blocks: lacewing_spdy_zlib::Decoder,
    data: Option<OpenData>,
    failed: Option<DecodeError>,
    block_bytes: BlockBytes,
    /// Shorter pieces of DATA are copied.
    copy_below: usize,
    list: PhantomData<fn() -> L>,
}

impl<L: HeaderList> Decoder<L> {
    /// Returns a decoder for the start of a connection.
    pub fn new(version: WireVersion, limits: DecoderLimits) -> Self {
        Decoder {
            version,
            limits,
            blocks: lacewing_spdy_zlib::Decoder::new(version),
            data: None,
            failed: None,
            block_bytes: BlockBytes::default(),
            copy_below: COPY_BELOW,
            list: PhantomData,
        }
    }

    /// The version of the connection.
    pub fn version(&self) -> WireVersion {
        self.version
    }

    /// The current limits.
    pub fn limits(&self) -> &DecoderLimits {
        &self.limits
    }

    /// Sets the length in bytes below which pieces of DATA are copied, so that a few bytes never
    /// keep a large read buffer alive. Longer pieces are split off without copying. The default is
    /// 1,024. If you know the size of the read buffers, about a sixteenth of it is best.
    pub fn set_copy_below(&mut self, length: usize) {
        self.copy_below = length;
    }

    /// Returns whether a DATA frame is incomplete; some pieces of it may have been returned. An
    /// endpoint sets a deadline for it.
    pub fn in_data(&self) -> bool {
        self.data.is_some()
    }

    /// Takes zlib's state from the decoder of an idle connection
    /// ([`lacewing_spdy_zlib::Decoder::take_spare`]).
    pub fn take_spare(&mut self) -> Option<SpareInflater> {
        self.blocks.take_spare()
    }

    /// Returns whether it has zlib's state to give away
    /// ([`lacewing_spdy_zlib::Decoder::has_state`]).
    pub fn has_state(&self) -> bool {
        self.blocks.has_state()
    }

    /// Lends zlib's state of another connection to this decoder.
    pub fn lend_spare(&mut self, spare: SpareInflater) {
        self.blocks.lend_spare(spare);
    }

    /// Frees the memory of header compression, since the connection has ended. Every later header
    /// block is an error.
    pub fn end(&mut self) {
        self.blocks.end();
    }

    /// The heap that the decoder of header blocks holds, in bytes.
    pub fn memory(&self) -> usize {
        self.blocks.memory()
    }

    /// The size of the header blocks so far, before and after compression.
    pub fn block_bytes(&self) -> BlockBytes {
        self.block_bytes
    }

    /// Removes the next message from the front of `src` and returns it; `None` if more bytes are
    /// needed.
    ///
    /// # Errors
    ///
    /// After an error of [`Scope::Stream`] the frame is consumed with its header block, and
    /// decoding continues. After an error of [`Scope::Connection`], every call returns the same
    /// error.
    pub fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Message<L>>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = match self.data {
            Some(data) => Ok(self.data_piece(src, data)),
            None => self.frame(src),
        };
        result.inspect_err(|error| {
            if error.scope() == Scope::Connection {
                self.failed = Some(*error);
            }
        })
    }

    fn frame(&mut self, src: &mut BytesMut) -> Result<Option<Message<L>>, DecodeError> {
        let Some(head) = FrameHead::parse(src) else {
            return Ok(None);
        };
        let (version, kind, flags, length) = match head {
            FrameHead::Data {
                stream_id,
                flags,
                length,
            } => {
                src.advance(FrameHead::LEN);
                let data = OpenData {
                    stream_id,
                    flags,
                    remaining: length,
                };
                return Ok(self.data_piece(src, data));
            }
            FrameHead::Control {
                version,
                kind,
                flags,
                length,
            } => (version, kind, flags, length),
        };
        let limit = self.limits.max_frame_size.max(LEAST_CONTROL_FRAME);
        if length > limit {
            return Err(DecodeError::FrameTooLong { head, limit });
        }
        let end = FrameHead::LEN + usize::try_from(length).unwrap_or(usize::MAX);
        let Some(payload) = src.get(FrameHead::LEN..end) else {
            return Ok(None);
        };
        if version != self.version.number() {
            let result = self.foreign(version, kind, length, payload);
            let payload = take_payload(src, end);
            return result.map(|()| {
                Some(Message::Unknown(Unknown {
                    version,
                    kind,
                    flags,
                    payload,
                }))
            });
        }
        let head = ControlHead {
            version: self.version,
            kind,
            flags,
            length,
        };
        match (kind, self.version, self.limits.max_certificates) {
            (Kind::CREDENTIAL, WireVersion::V3, Some(limit)) => {
                let payload = take_payload(src, end);
                let frame = Credential::parse(head, &payload, limit)?;
                Ok(Some(Message::Credential(frame)))
            }
            // Only SPDY/2 has NOOP. SPDY/3 added WINDOW_UPDATE and CREDENTIAL, and SPDY/3.1 removed
            // CREDENTIAL.
            (Kind::NOOP, WireVersion::V3, _)
            | (Kind::WINDOW_UPDATE, WireVersion::V2, _)
            | (Kind(0) | Kind::CREDENTIAL | Kind(11..), ..) => {
                let payload = take_payload(src, end);
                Ok(Some(Message::Unknown(Unknown {
                    version,
                    kind,
                    flags,
                    payload,
                })))
            }
            _ => {
                let result = self.known(head, payload);
                src.advance(end);
                result.map(Some)
            }
        }
    }

    /// Decodes a frame that this version defines, except for CREDENTIAL.
    fn known(&mut self, head: ControlHead, payload: &[u8]) -> Result<Message<L>, DecodeError> {
        Ok(match head.kind {
            Kind::SYN_STREAM => self.syn_stream(head, payload)?,
            Kind::SYN_REPLY | Kind::HEADERS => self.reply(head, payload)?,
            Kind::RST_STREAM => Message::RstStream(RstStream::parse(head, payload)?),
            Kind::SETTINGS => {
                let limit = self.limits.max_settings_entries;
                Message::Settings(Settings::parse(head, payload, limit)?)
            }
            Kind::PING => Message::Ping(Ping::parse(head, payload)?),
            Kind::GOAWAY => Message::GoAway(GoAway::parse(head, payload)?),
            Kind::WINDOW_UPDATE => Message::WindowUpdate(WindowUpdate::parse(head, payload)?),
            _ => Message::Noop(Noop::parse(head)?),
        })
    }

    fn syn_stream(&mut self, head: ControlHead, payload: &[u8]) -> Result<Message<L>, DecodeError> {
        let (fields, _, block) = SynStreamHead::split(head, payload)?;
        if fields.stream_id == 0 {
            return Err(DecodeError::StreamIdZero { kind: head.kind });
        }
        Ok(Message::SynStream {
            stream_id: fields.stream_id,
            associated: fields.associated,
            priority: fields.priority,
            slot: fields.slot,
            fin: fields.fin,
            unidirectional: fields.unidirectional,
            block: self.block(block)?,
        })
    }

    /// Decodes SYN_REPLY or HEADERS.
    fn reply(&mut self, head: ControlHead, payload: &[u8]) -> Result<Message<L>, DecodeError> {
        let ReplyPayload {
            stream_id, block, ..
        } = headers::split(head, payload)?;
        if stream_id == 0 {
            return Err(DecodeError::StreamIdZero { kind: head.kind });
        }
        let fin = head.has(flags::FIN);
        let block = self.block(block)?;
        Ok(if head.kind == Kind::SYN_REPLY {
            Message::SynReply {
                stream_id,
                fin,
                block,
            }
        } else {
            Message::Headers {
                stream_id,
                fin,
                block,
            }
        })
    }

    fn block(&mut self, block: &[u8]) -> Result<Block<L>, DecodeError> {
        let mut fields = L::default();
        let result = self.blocks.decode(block, self.limits.list, |name, values| {
            fields.push(name, values);
        });
        let (list, summary) = match result {
            Ok(summary) => (Ok(fields), summary),
            Err(lacewing_spdy_zlib::DecodeError::List(error)) => {
                let ListError {
                    malformed,
                    exceeded,
                    summary,
                    ..
                } = error;
                let bad = BadList {
                    fields,
                    malformed,
                    exceeded,
                };
                (Err(bad), summary)
            }
            Err(error) => return Err(error.into()),
        };
        let size = summary.size;
        self.block_bytes.add(block.len(), size, summary.fields);
        Ok(Block { list, size })
    }

    /// Handles a control frame of another version: SYN_STREAM is refused, others are ignored
    /// ("Protocol versioning" of SPDY/2; SPDY/3 only has the code). The sender has put its header
    /// block into the zlib stream, so it is inflated too. The block of another version may start
    /// with another dictionary, and fail; the error stays the same.
    fn foreign(
        &mut self,
        version: u16,
        kind: Kind,
        length: u32,
        payload: &[u8],
    ) -> Result<(), DecodeError> {
        // Only a block at the same position as ours can belong to our zlib stream.
        if let Some(offset) = kind.block_offset(self.version) {
            let Some(block) = payload.get(offset..) else {
                return Err(DecodeError::Length { kind, length });
            };
            let _ = self.blocks.decode(block, self.limits.list, |_, _| {});
        }
        match (kind, payload.first_chunk()) {
            (Kind::SYN_STREAM, Some(stream_id)) => {
                let stream_id = u32::from_be_bytes(*stream_id) & STREAM_ID_MASK;
                if stream_id == 0 {
                    return Err(DecodeError::StreamIdZero { kind });
                }
                Err(DecodeError::UnsupportedVersion { stream_id, version })
            }
            _ => Ok(()),
        }
    }

    fn data_piece(&mut self, src: &mut BytesMut, data: OpenData) -> Option<Message<L>> {
        let OpenData {
            stream_id,
            flags,
            remaining,
        } = data;
        let wanted = usize::try_from(remaining).unwrap_or(usize::MAX);
        let length = src.len().min(wanted);
        if length == 0 && wanted != 0 {
            self.data = Some(data);
            return None;
        }
        let remaining = remaining.saturating_sub(u32::try_from(length).unwrap_or(u32::MAX));
        self.data = (remaining != 0).then_some(OpenData { remaining, ..data });
        let payload = if length >= self.copy_below {
            src.split_to(length).freeze()
        } else {
            copy_off(src, length)
        };
        Some(Message::Data {
            stream_id,
            payload,
            fin: remaining == 0 && flags & flags::FIN != 0,
            remaining,
            undefined_flags: flags & !flags::FIN,
        })
    }
}

impl<L> fmt::Debug for Decoder<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("version", &self.version)
            .field("limits", &self.limits)
            .field("data", &self.data)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// The limits of a [`Decoder`].
///
/// ```
/// use lacewing_frames::spdy::DecoderLimits;
///
/// let limits = DecoderLimits::default().with(|limits| limits.max_settings_entries = 8);
/// assert_eq!(limits.list.max_fields, 1000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecoderLimits {
    /// The longest payload of a control frame in bytes. DATA has no limit, as it is not buffered.
    /// The default is 65 KiB, so that a stored header list of the default size fits. A smaller
    /// value than 8,192 has no effect, since every endpoint must accept that length (section
    /// 2.4.2).
    pub max_frame_size: u32,
    /// The limits on a header list.
    pub list: ListLimits,
    /// The most entries of a SETTINGS frame. The default is 32.
    pub max_settings_entries: usize,
    /// The most certificates in a CREDENTIAL frame. The default is 16. With `None` the frame is
    /// unknown, as in SPDY/3.1.
    pub max_certificates: Option<usize>,
}

impl Default for DecoderLimits {
    fn default() -> Self {
        DecoderLimits {
            max_frame_size: 65 * 1024,
            list: ListLimits::default(),
            max_settings_entries: 32,
            max_certificates: Some(16),
        }
    }
}

impl DecoderLimits {
    /// Returns these limits after `change`, for use in expressions.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// A DATA frame whose payload is not completely received.
#[derive(Debug, Clone, Copy)]
struct OpenData {
    stream_id: u32,
    flags: u8,
    remaining: u32,
}

/// Removes a frame from `src` and returns its payload.
fn take_payload(src: &mut BytesMut, end: usize) -> Bytes {
    let mut frame = src.split_to(end);
    frame.advance(FrameHead::LEN);
    frame.freeze()
}

/// Copies and removes the first `length` bytes of `src`, which keeps its buffer.
fn copy_off(src: &mut BytesMut, length: usize) -> Bytes {
    let piece = src.get(..length).map(Bytes::copy_from_slice);
    src.advance(length);
    piece.unwrap_or_default()
}
