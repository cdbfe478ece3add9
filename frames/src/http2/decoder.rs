//! Decodes bytes to messages: joins and decompresses header blocks, and enforces the limits.

mod known_rest;
mod limits;
mod plain_frames;

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use lacewing_hpack as hpack;

use self::known_rest::{KnownRest, MIN_FIELDS, Mark};
use super::{
    BadList, Data, DecodeError, FrameHead, HeaderList, Headers, Kind, Message, PushPromise, Scope,
    StreamPriority, flags,
};
use crate::BlockBytes;

pub use limits::DecoderLimits;

/// The receiving half of a connection: decodes bytes to [`Message`]s.
///
/// It owns the HPACK table and decompresses every header block, even that of a refused stream. The
/// table therefore always agrees with the peer's (RFC 9113 §4.3). The decoder does not read the
/// connection preface of a client: see [`PREFACE`](super::PREFACE).
///
/// After an error with [`Scope::Connection`], every call returns the same error and consumes
/// nothing. After an error with [`Scope::Stream`] the frame is consumed, and the next call
/// continues after it.
///
/// The decoder parses small messages in place. It splits off payloads of 1 KiB and more (see
/// [`set_copy_below`](Self::set_copy_below)) without copying. It copies smaller ones, so that a few
/// bytes never keep a large read buffer alive. Between frames it holds only its HPACK table.
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
    limits: Arc<DecoderLimits>,
    hpack: hpack::Decoder<L::Field>,
    /// A header block whose last CONTINUATION is not yet received.
    open: Option<Box<OpenBlock>>,
    /// The connection error that ended decoding.
    failed: Option<Box<DecodeError>>,
    block_bytes: BlockBytes,
    /// Shorter payloads of DATA are copied.
    copy_below: u32,
    /// The number of fields of the last block.
    last_fields: u32,
    /// A list for the next block.
    spare: Option<L>,
    /// Made for the first block that may be remembered.
    known: Option<Box<KnownRest<L>>>,
}

/// Passes the fields of the HPACK decoder to a list.
struct ListSink<'a, L> {
    list: &'a mut L,
    known: Option<&'a KnownRest<L>>,
    /// The mark at the start of the rest.
    mark: Option<Mark>,
    /// The rest has a field that no table keeps. It may be a secret, and is not remembered.
    spelled: bool,
}

impl<L: HeaderList> hpack::FieldSink<L::Field> for ListSink<'_, L> {
    #[inline]
    fn field(&mut self, field: L::Field, sensitivity: hpack::Sensitivity) {
        self.list.push(field, sensitivity);
        self.note_spelled();
    }

    #[inline]
    fn named(&mut self, name: hpack::StaticIndex, value: &[u8], sensitivity: hpack::Sensitivity) {
        self.list.push_named(name, value, sensitivity);
        self.note_spelled();
    }

    #[inline]
    fn entry(&mut self, field: &L::Field) {
        self.list.push_entry(field);
    }

    #[inline]
    fn static_entry(&mut self, index: hpack::StaticIndex) {
        if index.is_pseudo() {
            // No mark stands in front of a pseudo-header field.
            self.mark = None;
        }
        self.list.push_static(index);
    }

    #[inline]
    fn known_rest(
        &mut self,
        rest: &[u8],
        table: u64,
        before: hpack::Summary,
    ) -> Option<hpack::Summary> {
        if self.list.has_rest() {
            return None;
        }
        // An earlier mark is in front of a pseudo-header field.
        self.mark = None;
        let len = rest.len();
        // A field has at least one byte.
        if len < MIN_FIELDS {
            return None;
        }
        self.mark = Some(Mark { len, table, before });
        self.known?.summary_of(rest, table)
    }

    #[inline]
    fn add_rest(&mut self) {
        if let Some(rest) = self.known.and_then(|known| known.list.as_ref()) {
            self.list.add_rest(rest);
        }
    }
}

impl<L: HeaderList> ListSink<'_, L> {
    #[inline]
    fn note_spelled(&mut self) {
        match self.list.has_rest() {
            true => self.spelled = true,
            // A pseudo-header field: a copy of the rest would lack it.
            false => self.mark = None,
        }
    }
}

/// A header block in fragments.
#[derive(Debug)]
struct OpenBlock {
    owner: BlockOwner,
    continuations: u32,
    block: Vec<u8>,
}

/// The frame of a header block.
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

/// Payloads below this length are copied out of the read buffer; others share its memory.
const COPY_BELOW: u32 = 1024;

impl<L: HeaderList> Decoder<L> {
    /// Returns a decoder for a new connection, with an HPACK table of 4,096 bytes.
    pub fn new(limits: DecoderLimits) -> Decoder<L> {
        Self::with_shared_limits(Arc::new(limits))
    }

    /// Returns a decoder as [`new`](Self::new) does. The decoders of many connections share their
    /// limits, until one changes its own.
    pub fn with_shared_limits(limits: Arc<DecoderLimits>) -> Decoder<L> {
        Decoder {
            limits,
            hpack: hpack::Decoder::new(hpack::DEFAULT_TABLE_SIZE),
            open: None,
            failed: None,
            block_bytes: BlockBytes::default(),
            copy_below: COPY_BELOW,
            last_fields: 0,
            spare: None,
            known: None,
        }
    }

    /// The current limits.
    pub fn limits(&self) -> &DecoderLimits {
        &self.limits
    }

    /// Sets the longest payload of a frame in bytes, clamped to 16,384 to 2^24-1. Call this for our
    /// SETTINGS_MAX_FRAME_SIZE: if the value increases, when the setting is sent; if it decreases,
    /// when the peer acknowledges it.
    pub fn set_max_frame_size(&mut self, max_frame_size: u32) {
        let limits = Arc::make_mut(&mut self.limits);
        limits.max_frame_size = max_frame_size.clamp(16_384, FrameHead::MAX_LENGTH);
    }

    /// Sets the length in bytes below which payloads of DATA are copied, so that a few bytes never
    /// keep a large read buffer alive. Longer payloads are split off without copying. The default
    /// is 1,024. If you know the size of the read buffers, about a sixteenth of it is best.
    pub fn set_copy_below(&mut self, length: usize) {
        // No frame is that long.
        self.copy_below = u32::try_from(length).unwrap_or(u32::MAX);
    }

    /// Sets the largest HPACK table that the peer may use, in bytes. Call this for our
    /// SETTINGS_HEADER_TABLE_SIZE when the peer acknowledges it (RFC 7541 §4.2).
    pub fn set_header_table_size(&mut self, size: u32) {
        self.hpack
            .set_max_table_size(usize::try_from(size).unwrap_or(usize::MAX));
    }

    /// Returns whether a header block is incomplete. An endpoint sets a deadline for it.
    pub fn in_header_block(&self) -> bool {
        self.open.is_some()
    }

    /// The memory of an incomplete header block, in bytes.
    pub fn open_block_len(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.block.capacity())
    }

    /// The current size of the HPACK table, in bytes (RFC 7541 §4.1).
    pub fn header_table_len(&self) -> usize {
        self.hpack.table_size()
    }

    /// Keeps a list for the next header block, which fills it: a list in a box then costs no
    /// allocation. It must be as empty as a new one.
    #[inline]
    pub fn recycle(&mut self, list: L) {
        self.spare = Some(list);
    }

    /// Returns the fields of the header block before, as far as they are remembered. The decoder
    /// copies them for a block that ends with the same bytes.
    pub fn remembered(&self) -> Option<&L> {
        self.known.as_ref()?.list.as_ref()
    }

    /// Forgets them, and frees their memory.
    pub fn forget(&mut self) {
        if let Some(known) = &mut self.known {
            known.forget();
        }
    }

    /// Returns the list that the next header block would fill, if one was
    /// [recycled](Self::recycle).
    pub fn take_spare(&mut self) -> Option<L> {
        self.spare.take()
    }

    /// Frees the memory of header compression and of an incomplete header block, since the connection
    /// has ended. A later header block that refers to the HPACK table is an error.
    pub fn end(&mut self) {
        self.hpack = hpack::Decoder::new(0);
        self.open = None;
        self.spare = None;
        self.known = None;
    }

    /// The size of the header blocks so far, before and after compression.
    pub fn block_bytes(&self) -> BlockBytes {
        self.block_bytes
    }

    /// Removes the next message from the front of `src` and returns it; `None` if it is incomplete.
    ///
    /// # Errors
    ///
    /// The first rule that the bytes break, or the limit that they exceed. [`DecodeError::scope`]
    /// shows whether the error ends a stream or the connection.
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
            self.failed = Some(Box::new(error.clone()));
            self.open = None;
        }
    }

    /// Builds the next message, and adds to `consumed` the bytes that the caller must remove from
    /// `src` for it.
    ///
    /// Not inlined, and every arm returns its message directly. Thus a message is written once, in
    /// the place where the caller needs it. To move it through layers of results would cost more
    /// than to parse it.
    #[inline(never)]
    fn step(
        &mut self,
        src: &mut BytesMut,
        consumed: &mut usize,
    ) -> Result<Option<Message<L>>, DecodeError> {
        if let Some(error) = &self.failed {
            return Err(DecodeError::clone(error));
        }
        match FrameHead::parse(src) {
            None => Ok(None),
            Some(head) if head.kind == Kind::DATA => self.data(head, src),
            Some(_) => self.frames(src, consumed),
        }
    }

    /// Decodes DATA. Its payload is kept: it is split off `src`, or copied if it is short.
    #[inline]
    fn data(
        &mut self,
        head: FrameHead,
        src: &mut BytesMut,
    ) -> Result<Option<Message<L>>, DecodeError> {
        self.check_head(head)?;
        let total = FrameHead::LEN + head.length as usize;
        let Some(payload) = src.get(FrameHead::LEN..total) else {
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
            length if length < self.copy_below as usize => {
                let payload = Bytes::copy_from_slice(content);
                src.advance(total);
                payload
            }
            length => {
                let padding_length = usize::from(head.has(flags::PADDED));
                let mut payload = src.split_to(total);
                payload.advance(FrameHead::LEN + padding_length);
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

    /// Decodes any other message at the front of `src`: one frame, or all frames of a header block.
    /// Adds the number of bytes to `consumed`.
    #[inline]
    fn frames(
        &mut self,
        src: &[u8],
        consumed: &mut usize,
    ) -> Result<Option<Message<L>>, DecodeError> {
        let mut src = src;
        loop {
            let Some(head) = FrameHead::parse(src) else {
                return Ok(None);
            };
            self.check_head(head)?;
            let total = FrameHead::LEN + head.length as usize;
            let Some((frame, rest)) = src.split_at_checked(total) else {
                return Ok(None);
            };
            let payload = frame.get(FrameHead::LEN..).unwrap_or_default();
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
                _ => return plain_frames::decode(&self.limits, head, payload),
            }
        }
    }

    /// Checks the length, and the order around header blocks, before the payload is received.
    #[inline]
    fn check_head(&self, head: FrameHead) -> Result<(), DecodeError> {
        let FrameHead {
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
    fn check_continuation(&self, open: &OpenBlock, head: FrameHead) -> Result<(), DecodeError> {
        let stream_id = open.owner.stream_id();
        if head.kind != Kind::CONTINUATION || head.stream_id != stream_id {
            let FrameHead {
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

    /// Adds a fragment, and returns the block if the fragment was the last one.
    #[cold]
    fn extend(&mut self, head: FrameHead, fragment: &[u8]) -> Option<Box<OpenBlock>> {
        let open = self.open.as_mut()?;
        open.continuations = open.continuations.saturating_add(1);
        open.block.extend_from_slice(fragment);
        match head.has(flags::END_HEADERS) {
            true => self.open.take(),
            false => None,
        }
    }

    /// Decompresses a whole header block, before all other checks of its frame.
    fn block(
        &mut self,
        owner: BlockOwner,
        block: &[u8],
    ) -> Result<Option<Message<L>>, DecodeError> {
        let mut limits = hpack::ListLimits::default();
        limits.max_size = self.limits.max_header_list_size;
        limits.max_fields = self.limits.max_header_fields;
        let mut fields = self.spare.take().unwrap_or_default();
        // A field has at least one byte.
        fields.expect((self.last_fields as usize).min(block.len()));
        let mut sink = ListSink {
            list: &mut fields,
            known: self.known.as_deref(),
            mark: None,
            spelled: false,
        };
        let result = self.hpack.decode_into(block, limits, &mut sink);
        let (mark, spelled) = (sink.mark, sink.spelled);
        if let (Ok(summary), Some(mark), false) = (&result, mark, spelled) {
            if mark.table == self.hpack.table_changes() && mark.is_useful(*summary) {
                let known = self.known.get_or_insert_default();
                known.note(block, mark, *summary, &fields);
            }
        }
        let (list, summary) = match result {
            Ok(summary) => (Ok(fields), summary),
            Err(hpack::DecodeError::ListTooLarge {
                exceeded, summary, ..
            }) => (Err(BadList { fields, exceeded }), summary),
            Err(error) => return Err(DecodeError::Compression(error)),
        };
        let size = summary.size;
        self.last_fields = u32::try_from(summary.fields).unwrap_or(u32::MAX);
        self.block_bytes.add(block.len(), size, summary.fields);
        match owner {
            BlockOwner::Headers {
                stream_id,
                fin,
                priority,
            } => {
                plain_frames::check_dependency(Kind::HEADERS, stream_id, priority)?;
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
}
