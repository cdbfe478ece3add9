//! Bytes to messages: joins and decompresses header blocks, and holds the limits.

mod limits;

use bytes::{Buf, Bytes, BytesMut};
use lacewing_hpack as hpack;

use super::{
    AltSvc, BadList, Data, DecodeError, GoAway, Head, HeaderList, Headers, Kind, Message, Origin,
    Ping, Priority, PriorityUpdate, PushPromise, RstStream, Scope, Settings, StreamPriority,
    WindowUpdate, flags,
};
use crate::BlockBytes;

pub use limits::DecoderLimits;

/// The receiving half of a connection: bytes in, [`Message`]s out.
///
/// It owns the HPACK table and decompresses every header block, even that of a refused stream.
/// The table stays in step with the peer's (RFC 9113 §4.3). The connection preface of a client is
/// not part of it: see [`PREFACE`](super::PREFACE).
///
/// After an error with [`Scope::Connection`] the decoder is done: it gives the same error forever
/// and touches no more bytes. After one with [`Scope::Stream`] the frame is consumed, and the
/// next call continues behind it.
///
/// Small messages are parsed where they lie; payloads of 1 KiB and more (see
/// [`set_copy_below`](Self::set_copy_below)) are split off without copying. Smaller ones are
/// copied: a few bytes never keep a large read buffer alive. Between frames the decoder holds
/// nothing but its HPACK table.
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::http2::{Decoder, DecoderLimits, Encoder, HeadersHead, Message};
/// use lacewing_hpack::{HeaderField, Sensitivity};
///
/// let mut wire = BytesMut::new();
/// let mut encoder = Encoder::new();
/// encoder.headers(&mut wire, HeadersHead::new(1, true), |block| {
///     block.field(b":method", b"GET", Sensitivity::Normal);
/// });
/// encoder.ping(&mut wire, *b"question");
///
/// let mut decoder = Decoder::<Vec<(HeaderField, Sensitivity)>>::new(DecoderLimits::default());
/// assert!(matches!(decoder.decode(&mut wire)?, Some(Message::Headers { stream_id: 1, .. })));
/// assert!(matches!(decoder.decode(&mut wire)?, Some(Message::Ping { .. })));
/// assert_eq!(decoder.decode(&mut wire)?, None); // more bytes are needed
/// # Ok::<(), lacewing_frames::http2::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Decoder<L: HeaderList> {
    limits: DecoderLimits,
    hpack: hpack::Decoder<L::Field>,
    /// A header block whose last CONTINUATION has not arrived yet.
    open: Option<Box<OpenBlock>>,
    /// The connection error that ended it.
    failed: Option<DecodeError>,
    block_bytes: BlockBytes,
    /// Payloads of DATA that are shorter are copied.
    copy_below: usize,
}

/// A header block in pieces.
#[derive(Debug)]
struct OpenBlock {
    owner: BlockOwner,
    continuations: u32,
    block: Vec<u8>,
}

/// The frame that a header block belongs to.
#[derive(Debug, Clone, Copy)]
enum BlockOwner {
    Headers {
        stream_id: u32,
        fin: bool,
        priority: Option<StreamPriority>,
    },
    PushPromise {
        stream_id: u32,
        promised_id: u32,
    },
}

impl BlockOwner {
    fn stream_id(self) -> u32 {
        match self {
            BlockOwner::Headers { stream_id, .. } | BlockOwner::PushPromise { stream_id, .. } => {
                stream_id
            }
        }
    }
}

/// Payloads below this are copied out of the read buffer, others share its memory.
const COPY_BELOW: usize = 1024;

impl<L: HeaderList> Decoder<L> {
    /// A decoder for a new connection, with an HPACK table of 4,096 bytes.
    pub fn new(limits: DecoderLimits) -> Decoder<L> {
        Decoder {
            limits,
            hpack: hpack::Decoder::new(hpack::DEFAULT_TABLE_SIZE),
            open: None,
            failed: None,
            block_bytes: BlockBytes::default(),
            copy_below: COPY_BELOW,
        }
    }

    /// The limits in force.
    pub fn limits(&self) -> &DecoderLimits {
        &self.limits
    }

    /// Sets the longest payload of a frame, in bytes, moved into 16,384 to 2^24-1. To be called
    /// with our SETTINGS_MAX_FRAME_SIZE: when it is sent if that is more than before, when it is
    /// acknowledged if it is less.
    pub fn set_max_frame_size(&mut self, max_frame_size: u32) {
        self.limits.max_frame_size = max_frame_size.clamp(16_384, Head::MAX_LENGTH);
    }

    /// Sets the length in bytes below which payloads of DATA are copied: a few bytes never keep a
    /// large read buffer alive. Longer payloads are split off without copying. Default 1024.
    /// Whoever knows the size of the buffers knows better: about a sixteenth of it.
    pub fn set_copy_below(&mut self, length: usize) {
        self.copy_below = length;
    }

    /// Sets the largest HPACK table that the peer may use, in bytes. To be called with our
    /// SETTINGS_HEADER_TABLE_SIZE when the peer acknowledges it (RFC 7541 §4.2).
    pub fn set_header_table_size(&mut self, size: u32) {
        self.hpack
            .set_max_table_size(usize::try_from(size).unwrap_or(usize::MAX));
    }

    /// Returns whether a header block is incomplete: an endpoint gives it a
    /// deadline.
    pub fn in_header_block(&self) -> bool {
        self.open.is_some()
    }

    /// The bytes that the decoder holds of an incomplete header block.
    pub fn open_block_len(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.block.capacity())
    }

    /// The size of the HPACK table at present, in bytes (RFC 7541 §4.1).
    pub fn header_table_len(&self) -> usize {
        self.hpack.table_size()
    }

    /// The size of the header blocks so far, before and after compression.
    pub fn block_bytes(&self) -> BlockBytes {
        self.block_bytes
    }

    /// Takes the next message from the front of `src`; `None` when it is not complete yet.
    ///
    /// # Errors
    ///
    /// The first rule that the bytes break, or the limit they exceed; see [`DecodeError::scope`]
    /// for what it takes down.
    #[inline]
    pub fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Message<L>>, DecodeError> {
        let mut consumed = 0;
        let result = self.step(src, &mut consumed);
        src.advance(consumed);
        if let Err(error) = &result {
            self.note(error);
        }
        result
    }

    #[cold]
    fn note(&mut self, error: &DecodeError) {
        if error.scope() == Scope::Connection {
            self.failed = Some(error.clone());
            self.open = None;
        }
    }

    /// Builds the next message, and adds to `consumed` the bytes that are still to be taken off
    /// `src` for it.
    ///
    /// Not inlined, and every arm returns what it builds: so a message is written once, where the
    /// caller needs it. Moving one through layers of results costs more than parsing it.
    #[inline(never)]
    fn step(
        &mut self,
        src: &mut BytesMut,
        consumed: &mut usize,
    ) -> Result<Option<Message<L>>, DecodeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match Head::parse(src) {
            None => Ok(None),
            Some(head) if head.kind == Kind::DATA => self.data(head, src),
            Some(_) => self.frames(src, consumed),
        }
    }

    /// DATA is the frame whose bytes stay: they are split off `src`, or copied when they are few.
    #[inline]
    fn data(&mut self, head: Head, src: &mut BytesMut) -> Result<Option<Message<L>>, DecodeError> {
        self.check_head(head)?;
        let total = Head::LEN + head.length as usize;
        let Some(payload) = src.get(Head::LEN..total) else {
            return Ok(None);
        };
        let content = match Data::split(head, payload) {
            Ok((content, _)) => content,
            Err(error) => {
                src.advance(total);
                return Err(error);
            }
        };
        let payload = match content.len() {
            0 => {
                src.advance(total);
                Bytes::new()
            }
            length if length < self.copy_below => {
                let payload = Bytes::copy_from_slice(content);
                src.advance(total);
                payload
            }
            length => {
                let padding_length = usize::from(head.has(flags::PADDED));
                let mut payload = src.split_to(total);
                payload.advance(Head::LEN + padding_length);
                payload.truncate(length);
                payload.freeze()
            }
        };
        Ok(Some(Message::Data {
            stream_id: head.stream_id,
            fin: head.has(flags::END_STREAM),
            payload,
            flow_controlled_len: head.length,
        }))
    }

    /// Any other message at the front of `src`: one frame, or as many as a header block takes.
    /// Adds to `consumed` what was read.
    #[inline]
    fn frames(
        &mut self,
        src: &[u8],
        consumed: &mut usize,
    ) -> Result<Option<Message<L>>, DecodeError> {
        let mut src = src;
        loop {
            let Some(head) = Head::parse(src) else {
                return Ok(None);
            };
            self.check_head(head)?;
            let total = Head::LEN + head.length as usize;
            let Some((frame, rest)) = src.split_at_checked(total) else {
                return Ok(None);
            };
            let payload = frame.get(Head::LEN..).unwrap_or_default();
            *consumed += total;
            src = rest;
            match head.kind {
                Kind::HEADERS => {
                    let parts = Headers::split(head, payload)?;
                    self.check_block(head.stream_id, parts.fragment.len())?;
                    let owner = BlockOwner::Headers {
                        stream_id: head.stream_id,
                        fin: head.has(flags::END_STREAM),
                        priority: parts.priority,
                    };
                    if head.has(flags::END_HEADERS) {
                        return self.block(owner, parts.fragment);
                    }
                    self.begin(owner, parts.fragment);
                }
                Kind::PUSH_PROMISE => {
                    let parts = PushPromise::split(head, payload)?;
                    self.check_block(head.stream_id, parts.fragment.len())?;
                    let owner = BlockOwner::PushPromise {
                        stream_id: head.stream_id,
                        promised_id: parts.promised_id,
                    };
                    if head.has(flags::END_HEADERS) {
                        return self.block(owner, parts.fragment);
                    }
                    self.begin(owner, parts.fragment);
                }
                Kind::CONTINUATION => {
                    if let Some(open) = self.extend(head, payload) {
                        return self.block(open.owner, &open.block);
                    }
                }
                _ => return self.other(head, payload),
            }
        }
    }

    /// Checks before the payload arrives: length, and order around header blocks.
    #[inline]
    fn check_head(&self, head: Head) -> Result<(), DecodeError> {
        let Head {
            kind,
            length,
            stream_id,
            ..
        } = head;
        let limit = self.limits.max_frame_size;
        if length > limit {
            return Err(DecodeError::FrameTooLong {
                kind,
                length,
                limit,
            });
        }
        match &self.open {
            None if kind == Kind::CONTINUATION => {
                Err(DecodeError::UnexpectedContinuation { stream_id })
            }
            None => Ok(()),
            Some(open) => self.check_continuation(open, head),
        }
    }

    #[cold]
    fn check_continuation(&self, open: &OpenBlock, head: Head) -> Result<(), DecodeError> {
        let stream_id = open.owner.stream_id();
        if head.kind != Kind::CONTINUATION || head.stream_id != stream_id {
            let Head {
                kind,
                stream_id: on,
                ..
            } = head;
            return Err(DecodeError::ExpectedContinuation {
                stream_id,
                kind,
                on,
            });
        }
        if open.continuations >= self.limits.max_continuations {
            let limit = self.limits.max_continuations;
            return Err(DecodeError::TooManyContinuations { stream_id, limit });
        }
        self.check_block(
            stream_id,
            open.block.len().saturating_add(head.length as usize),
        )
    }

    #[inline]
    fn check_block(&self, stream_id: u32, length: usize) -> Result<(), DecodeError> {
        let limit = self.limits.max_header_block;
        if length > limit {
            return Err(DecodeError::HeaderBlockTooLong {
                stream_id,
                length,
                limit,
            });
        }
        Ok(())
    }

    /// Keeps the first fragment of a block that continues in CONTINUATION.
    #[cold]
    fn begin(&mut self, owner: BlockOwner, fragment: &[u8]) {
        let block = fragment.to_vec();
        self.open = Some(Box::new(OpenBlock {
            owner,
            continuations: 0,
            block,
        }));
    }

    /// Adds a fragment, and gives the block when it was the last one.
    #[cold]
    fn extend(&mut self, head: Head, fragment: &[u8]) -> Option<Box<OpenBlock>> {
        let open = self.open.as_mut()?;
        open.continuations = open.continuations.saturating_add(1);
        open.block.extend_from_slice(fragment);
        match head.has(flags::END_HEADERS) {
            true => self.open.take(),
            false => None,
        }
    }

    /// Decompresses a whole header block. This precedes every check of the frame around it.
    fn block(
        &mut self,
        owner: BlockOwner,
        block: &[u8],
    ) -> Result<Option<Message<L>>, DecodeError> {
        let mut limits = hpack::ListLimits::default();
        limits.max_size = self.limits.max_header_list_size;
        limits.max_fields = self.limits.max_header_fields;
        let mut fields = L::default();
        let result = self.hpack.decode(block, limits, |field, sensitivity| {
            fields.push(field, sensitivity)
        });
        let (list, summary) = match result {
            Ok(summary) => (Ok(fields), summary),
            Err(hpack::DecodeError::ListTooLarge {
                exceeded, summary, ..
            }) => (Err(BadList { fields, exceeded }), summary),
            Err(error) => return Err(DecodeError::Compression(error)),
        };
        let size = summary.size;
        self.block_bytes.add(block.len(), size, summary.fields);
        match owner {
            BlockOwner::Headers {
                stream_id,
                fin,
                priority,
            } => {
                check_dependency(Kind::HEADERS, stream_id, priority)?;
                Ok(Some(Message::Headers {
                    stream_id,
                    fin,
                    priority,
                    list,
                    size,
                }))
            }
            BlockOwner::PushPromise {
                stream_id,
                promised_id,
            } => Ok(Some(Message::PushPromise {
                stream_id,
                promised_id,
                list,
                size,
            })),
        }
    }

    /// Frames without header block and flow control.
    #[inline]
    fn other(&self, head: Head, payload: &[u8]) -> Result<Option<Message<L>>, DecodeError> {
        match head.kind {
            Kind::WINDOW_UPDATE => {
                let WindowUpdate {
                    stream_id,
                    increment,
                    ..
                } = WindowUpdate::parse(head, payload)?;
                Ok(Some(Message::WindowUpdate {
                    stream_id,
                    increment,
                }))
            }
            Kind::RST_STREAM => {
                let RstStream {
                    stream_id, code, ..
                } = RstStream::parse(head, payload)?;
                Ok(Some(Message::RstStream { stream_id, code }))
            }
            Kind::PING => {
                let Ping { ack, payload, .. } = Ping::parse(head, payload)?;
                match ack {
                    true => Ok(Some(Message::PingAck { payload })),
                    false => Ok(Some(Message::Ping { payload })),
                }
            }
            Kind::PRIORITY => {
                let Priority {
                    stream_id,
                    priority,
                    ..
                } = Priority::parse(head, payload)?;
                check_dependency(head.kind, stream_id, Some(priority))?;
                Ok(Some(Message::Priority {
                    stream_id,
                    priority,
                }))
            }
            _ => self.rare(head, payload),
        }
    }

    fn rare(&self, head: Head, payload: &[u8]) -> Result<Option<Message<L>>, DecodeError> {
        Ok(Some(match head.kind {
            Kind::SETTINGS => {
                let settings = Settings::parse(head, payload, self.limits.max_settings_entries)?;
                match settings.ack {
                    true => Message::SettingsAck,
                    false => Message::Settings(settings),
                }
            }
            Kind::GOAWAY => {
                let (last_stream_id, code, debug_data) = GoAway::split(head, payload)?;
                let debug_data = Bytes::copy_from_slice(debug_data);
                Message::GoAway {
                    last_stream_id,
                    code,
                    debug_data,
                }
            }
            Kind::PRIORITY_UPDATE => {
                let (prioritized_id, value) = PriorityUpdate::split(head, payload)?;
                Message::PriorityUpdate {
                    prioritized_id,
                    value: Bytes::copy_from_slice(value),
                }
            }
            Kind::ALTSVC => match AltSvc::parse(head, &Bytes::copy_from_slice(payload))? {
                frame if frame.is_valid() => Message::AltSvc(frame),
                _ => unknown(head),
            },
            Kind::ORIGIN => {
                let payload = Bytes::copy_from_slice(payload);
                match Origin::parse(head, &payload, self.limits.max_origins)? {
                    Some(frame) if frame.is_valid() => Message::Origin(frame),
                    _ => unknown(head),
                }
            }
            _ => unknown(head),
        }))
    }
}

/// A stream cannot depend on itself (RFC 7540 §5.3.1). RFC 9113 dropped the rule with the tree;
/// real peers still hold it. A flood of these is MadeYouReset (CVE-2025-8671), which the engine
/// has to charge.
#[inline]
fn check_dependency(
    kind: Kind,
    stream_id: u32,
    priority: Option<StreamPriority>,
) -> Result<(), DecodeError> {
    match priority {
        Some(priority) if priority.dependency == stream_id => {
            Err(DecodeError::SelfDependency { kind, stream_id })
        }
        _ => Ok(()),
    }
}

fn unknown<L>(head: Head) -> Message<L> {
    let Head {
        length: len,
        kind,
        flags,
        stream_id,
    } = head;
    Message::Unknown {
        kind,
        stream_id,
        flags,
        len,
    }
}
