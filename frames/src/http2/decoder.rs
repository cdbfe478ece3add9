//! Bytes to messages: joins and decompresses header blocks, and holds the limits.

use bytes::{Buf, Bytes, BytesMut};
use lacewing_hpack as hpack;

use super::{
    AltSvc, Data, DecodeError, GoAway, Head, HeaderList, Headers, Kind, Message, Origin, Ping,
    Priority, PriorityUpdate, PushPromise, RstStream, Scope, Settings, StreamPriority,
    WindowUpdate, flags,
};

/// The limits of a [`Decoder`]. Each answers an attack; none is reached by honest peers.
///
/// ```
/// use lacewing_frames::http2::DecoderLimits;
///
/// let limits = DecoderLimits { max_header_fields: 200, ..DecoderLimits::default() };
/// assert_eq!(limits.max_frame_size, 16_384);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecoderLimits {
    /// The longest payload of a frame in bytes: our SETTINGS_MAX_FRAME_SIZE. Longer frames are
    /// refused from their head, so that nobody can make us buffer 16 MiB. Default 16,384, the
    /// least that HTTP/2 allows.
    pub max_frame_size: u32,
    /// The largest header list in bytes, uncompressed, with 32 for each field: our
    /// SETTINGS_MAX_HEADER_LIST_SIZE. Against HPACK bombs, where 4 KiB in the table and one byte
    /// for each reference become gigabytes (CVE-2016-6581). Default 65,536. A larger list is
    /// cut and reported as exceeded; the connection lives on.
    pub max_header_list_size: usize,
    /// The most fields in a header list, each cookie crumb counted. Against lists of thousands of
    /// tiny fields, which cost far more to keep than 32 bytes each (CVE-2026-49975). Default
    /// 1,000. A longer list is cut and reported as exceeded.
    pub max_header_fields: usize,
    /// The most CONTINUATION frames in a header block. Against endless header blocks
    /// (CVE-2024-27316 and its family). Default 8.
    pub max_continuations: u32,
    /// The most compressed bytes in a header block, as all of them must be decompressed even when
    /// the list is refused. Against the same, and against decompression as a burden (CVE-2022-41723).
    /// Default 131,072.
    pub max_header_block: usize,
    /// The most entries in a SETTINGS frame. Against frames full of settings (CVE-2019-9515's
    /// larger cousin). Default 32.
    pub max_settings_entries: usize,
    /// The most entries in an ORIGIN frame, as each costs more than the two bytes it takes on the
    /// wire. Default 256. A longer frame is reported as unknown.
    pub max_origins: usize,
}

impl Default for DecoderLimits {
    fn default() -> DecoderLimits {
        DecoderLimits {
            max_frame_size: 16_384,
            max_header_list_size: 64 * 1024,
            max_header_fields: 1_000,
            max_continuations: 8,
            max_header_block: 128 * 1024,
            max_settings_entries: 32,
            max_origins: 256,
        }
    }
}

impl DecoderLimits {
    /// The same with another limit on header lists, and as much room for compressed blocks and
    /// CONTINUATION frames as an honest list of that size can need: the other two limits never
    /// close the connection over a list that this one allows.
    ///
    /// ```
    /// use lacewing_frames::http2::DecoderLimits;
    ///
    /// let limits = DecoderLimits::default().with_max_header_list_size(1 << 20);
    /// assert!(limits.max_header_block >= 1 << 20);
    /// assert!(limits.max_continuations >= 64);
    /// ```
    #[must_use]
    pub fn with_max_header_list_size(self, max_header_list_size: usize) -> DecoderLimits {
        // Compression never makes a list longer than its size, which counts 32 bytes a field.
        // A quarter more for senders that cut unevenly.
        let frames = max_header_list_size.div_ceil(self.max_frame_size.max(1) as usize);
        let frames = u32::try_from(frames.saturating_add(frames / 4)).unwrap_or(u32::MAX);
        DecoderLimits {
            max_header_list_size,
            max_header_block: self.max_header_block.max(max_header_list_size),
            max_continuations: self.max_continuations.max(frames),
            ..self
        }
    }
}

/// The receiving half of a connection: bytes in, [`Message`]s out.
///
/// It owns the HPACK table and decompresses every header block, wanted or not, so that the table
/// stays in step with the peer (RFC 9113 §4.3). The connection preface of a client is not part of
/// it: see [`PREFACE`](super::PREFACE).
///
/// After an error with [`Scope::Connection`] the decoder is done: it gives the same error forever
/// and touches no more bytes. After one with [`Scope::Stream`] the frame is consumed and the next
/// call goes on behind it.
///
/// Small messages are parsed where they lie; payloads of 1 KiB and more are split off without
/// copying, smaller ones copied, so that a few bytes never keep a large read buffer alive. Between
/// frames the decoder holds nothing but its HPACK table.
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
    /// A header block whose last CONTINUATION has not come yet.
    open: Option<Box<OpenBlock>>,
    /// The connection error that ended it.
    failed: Option<DecodeError>,
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
const SHARE_FROM: usize = 1024;

impl<L: HeaderList> Decoder<L> {
    /// A decoder for a new connection, with an HPACK table of 4,096 bytes.
    pub fn new(limits: DecoderLimits) -> Decoder<L> {
        Decoder {
            limits,
            hpack: hpack::Decoder::new(hpack::DEFAULT_TABLE_SIZE),
            open: None,
            failed: None,
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

    /// Sets the largest HPACK table that the peer may use, in bytes. To be called with our
    /// SETTINGS_HEADER_TABLE_SIZE when the peer acknowledges it (RFC 7541 §4.2).
    pub fn set_header_table_size(&mut self, size: u32) {
        self.hpack
            .set_max_table_size(usize::try_from(size).unwrap_or(usize::MAX));
    }

    /// Whether a header block has begun whose end has not come yet: an endpoint gives it a
    /// deadline.
    pub fn in_header_block(&self) -> bool {
        self.open.is_some()
    }

    /// Takes the next message from the front of `src`; `None` when it is not complete yet.
    ///
    /// # Errors
    ///
    /// The first rule that the bytes break, or the limit they exceed; see [`DecodeError::scope`]
    /// for what it takes down.
    #[inline]
    pub fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Message<L>>, DecodeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.next(src);
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

    fn next(&mut self, src: &mut BytesMut) -> Result<Option<Message<L>>, DecodeError> {
        loop {
            let Some(head) = Head::parse(src) else {
                return Ok(None);
            };
            self.check_head(head)?;
            let total = Head::LEN + head.length as usize;
            let Some(payload) = src.get(Head::LEN..total) else {
                return Ok(None);
            };
            let message = match head.kind {
                Kind::DATA => return data(head, src, total).map(Some),
                Kind::HEADERS => self.headers(head, payload),
                Kind::CONTINUATION => self.continuation(head, payload),
                Kind::PUSH_PROMISE => self.push_promise(head, payload),
                Kind::SETTINGS => Settings::parse(head, payload, self.limits.max_settings_entries)
                    .map(|settings| {
                        Some(match settings.ack {
                            true => Message::SettingsAck,
                            false => Message::Settings(settings),
                        })
                    }),
                _ => self.other(head, payload).map(Some),
            };
            src.advance(total);
            if let Some(message) = message? {
                return Ok(Some(message));
            }
        }
    }

    /// What can be refused before the payload arrives: length, and order around header blocks.
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

    #[inline]
    fn headers(&mut self, head: Head, payload: &[u8]) -> Result<Option<Message<L>>, DecodeError> {
        let parts = Headers::split(head, payload)?;
        let owner = BlockOwner::Headers {
            stream_id: head.stream_id,
            fin: head.has(flags::END_STREAM),
            priority: parts.priority,
        };
        self.first_fragment(owner, head, parts.fragment)
    }

    fn push_promise(
        &mut self,
        head: Head,
        payload: &[u8],
    ) -> Result<Option<Message<L>>, DecodeError> {
        let parts = PushPromise::split(head, payload)?;
        let owner = BlockOwner::PushPromise {
            stream_id: head.stream_id,
            promised_id: parts.promised_id,
        };
        self.first_fragment(owner, head, parts.fragment)
    }

    #[inline]
    fn first_fragment(
        &mut self,
        owner: BlockOwner,
        head: Head,
        fragment: &[u8],
    ) -> Result<Option<Message<L>>, DecodeError> {
        self.check_block(head.stream_id, fragment.len())?;
        if head.has(flags::END_HEADERS) {
            return self.block(owner, fragment).map(Some);
        }
        let block = fragment.to_vec();
        self.open = Some(Box::new(OpenBlock {
            owner,
            continuations: 0,
            block,
        }));
        Ok(None)
    }

    fn continuation(
        &mut self,
        head: Head,
        payload: &[u8],
    ) -> Result<Option<Message<L>>, DecodeError> {
        let Some(mut open) = self.open.take() else {
            return Err(DecodeError::UnexpectedContinuation {
                stream_id: head.stream_id,
            });
        };
        open.continuations = open.continuations.saturating_add(1);
        open.block.extend_from_slice(payload);
        if head.has(flags::END_HEADERS) {
            return self.block(open.owner, &open.block).map(Some);
        }
        self.open = Some(open);
        Ok(None)
    }

    /// Decompresses a whole header block. It comes before every judgement on the frame around it.
    #[inline]
    fn block(&mut self, owner: BlockOwner, block: &[u8]) -> Result<Message<L>, DecodeError> {
        let limits = hpack::ListLimits {
            max_size: self.limits.max_header_list_size,
            max_fields: self.limits.max_header_fields,
        };
        let mut list = L::default();
        let hpack::Summary { size, exceeded, .. } = self
            .hpack
            .decode(block, limits, |field, sensitivity| {
                list.push(field, sensitivity)
            })
            .map_err(DecodeError::Compression)?;
        match owner {
            BlockOwner::Headers {
                stream_id,
                fin,
                priority,
            } => {
                check_dependency(Kind::HEADERS, stream_id, priority)?;
                Ok(Message::Headers {
                    stream_id,
                    fin,
                    priority,
                    list,
                    size,
                    exceeded,
                })
            }
            BlockOwner::PushPromise {
                stream_id,
                promised_id,
            } => Ok(Message::PushPromise {
                stream_id,
                promised_id,
                list,
                size,
                exceeded,
            }),
        }
    }

    /// Frames without header block and flow control.
    fn other(&self, head: Head, payload: &[u8]) -> Result<Message<L>, DecodeError> {
        Ok(match head.kind {
            Kind::WINDOW_UPDATE => {
                let WindowUpdate {
                    stream_id,
                    increment,
                    ..
                } = WindowUpdate::parse(head, payload)?;
                Message::WindowUpdate {
                    stream_id,
                    increment,
                }
            }
            Kind::RST_STREAM => {
                let RstStream {
                    stream_id, code, ..
                } = RstStream::parse(head, payload)?;
                Message::RstStream { stream_id, code }
            }
            Kind::PING => match Ping::parse(head, payload)? {
                Ping {
                    ack: true, payload, ..
                } => Message::PingAck { payload },
                Ping {
                    ack: false,
                    payload,
                    ..
                } => Message::Ping { payload },
            },
            Kind::PRIORITY => {
                let Priority {
                    stream_id,
                    priority,
                    ..
                } = Priority::parse(head, payload)?;
                check_dependency(head.kind, stream_id, Some(priority))?;
                Message::Priority {
                    stream_id,
                    priority,
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
        })
    }
}

/// DATA is the frame whose bytes stay: they are split off `src`, or copied when they are few.
#[inline]
fn data<L>(head: Head, src: &mut BytesMut, total: usize) -> Result<Message<L>, DecodeError> {
    let payload = src.get(Head::LEN..total).unwrap_or_default();
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
        1..SHARE_FROM => {
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
    Ok(Message::Data {
        stream_id: head.stream_id,
        fin: head.has(flags::END_STREAM),
        payload,
        flow_controlled_len: head.length,
    })
}

/// A stream cannot depend on itself (RFC 7540 §5.3.1). RFC 9113 only advises against sending it,
/// but accepts the old answer; a flood of these is MadeYouReset (CVE-2025-8671), which the engine
/// has to charge.
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
