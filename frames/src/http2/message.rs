//! The results of the stateful decoder: frames with whole, decompressed header lists.

use core::error::Error;
use core::fmt;

use bytes::Bytes;
use lacewing_hpack::{ExceededLimit, Field, Sensitivity, StaticIndex};

use super::{AltSvc, ErrorCode, Kind, Origin, Settings, StreamPriority};

/// Collects the header fields of one block, in wire order, for the
/// [`Decoder`](super::Decoder).
///
/// A vector of fields with their sensitivity implements it. An engine can use a type of its own,
/// which validates fields and separates pseudo-headers during decoding.
///
/// ```
/// use lacewing_frames::http2::HeaderList;
/// use lacewing_hpack::{HeaderField, Sensitivity};
///
/// #[derive(Default)]
/// struct OnlyThePath(Option<HeaderField>);
///
/// impl HeaderList for OnlyThePath {
///     type Field = HeaderField;
///
///     fn push(&mut self, field: HeaderField, _: Sensitivity) {
///         if field.name() == b":path" {
///             self.0 = Some(field);
///         }
///     }
/// }
/// # let mut list = OnlyThePath::default();
/// # list.push(HeaderField::new(b":path", b"/"), Sensitivity::Normal);
/// # assert!(list.0.is_some());
/// ```
pub trait HeaderList: Default {
    /// The type of the fields. The decoder's dynamic table stores them, and a repeated field is a
    /// clone.
    type Field: Field;

    /// Adds the next field of the block.
    fn push(&mut self, field: Self::Field, sensitivity: Sensitivity);

    /// Adds the next field, with a name of the static table and a value that the block spells out.
    /// No table stores it. The default builds it.
    #[inline]
    fn push_named(&mut self, name: StaticIndex, value: &[u8], sensitivity: Sensitivity) {
        self.push(Self::Field::from_static_name(name, value), sensitivity);
    }

    /// Adds the next field, an entry of the dynamic table. The default clones it.
    #[inline]
    fn push_entry(&mut self, field: &Self::Field) {
        self.push(field.clone(), Sensitivity::Normal);
    }

    /// Adds the next field, an entry of the static table.
    #[inline]
    fn push_static(&mut self, index: StaticIndex) {
        self.push(Self::Field::from_static(index), Sensitivity::Normal);
    }

    /// Receives the number of fields of the block before, since blocks of a connection resemble
    /// each other. A list may make room for as many, up to a bound of its own: the peer
    /// chooses the number. The default does nothing.
    #[inline]
    fn expect(&mut self, fields: usize) {
        let _ = fields;
    }

    /// Returns `true` once the list has a field with which a rest can begin: in HTTP, one that is
    /// no pseudo-header field. The default is `true`: no rest is ever remembered.
    #[inline]
    fn has_rest(&self) -> bool {
        true
    }

    /// Returns a list of the fields from the first of the rest on; `None` if there is a reason not
    /// to remember them. The decoder calls this when the same bytes have occurred twice.
    fn copy_rest(&self) -> Option<Self> {
        None
    }

    /// Adds the fields of a rest that was remembered. The list has none of a rest so far.
    fn add_rest(&mut self, rest: &Self) {
        let _ = rest;
    }
}

impl<F: Field> HeaderList for Vec<(F, Sensitivity)> {
    type Field = F;

    #[inline]
    fn push(&mut self, field: F, sensitivity: Sensitivity) {
        Vec::push(self, (field, sensitivity));
    }
}

/// A header list that was truncated where it exceeds a limit. The compression state still agrees
/// with the peer's.
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::http2::{Decoder, DecoderLimits, HeaderField, Message, Sensitivity};
///
/// let limits = DecoderLimits::default().with(|limits| limits.max_header_fields = 1);
/// let mut decoder = Decoder::<Vec<(HeaderField, Sensitivity)>>::new(limits);
/// let mut received = BytesMut::from(&b"\x00\x00\x02\x01\x05\x00\x00\x00\x01\x82\x84"[..]);
/// let Some(Message::Headers { list: Err(bad), .. }) = decoder.decode(&mut received)? else {
///     unreachable!("two fields are more than one");
/// };
/// assert_eq!(bad.to_string(), "the number of header fields exceeds the limit");
/// assert_eq!(bad.fields.len(), 1);
/// # Ok::<(), lacewing_frames::http2::DecodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadList<L> {
    /// The fields before the limit.
    pub fields: L,
    /// The limit.
    pub exceeded: ExceededLimit,
}

impl<L> fmt::Display for BadList<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} exceeds the limit", self.exceeded)
    }
}

impl<L: fmt::Debug> Error for BadList<L> {}

/// One message of the peer: a frame, or a header block with all its CONTINUATION frames.
///
/// The compression state already includes the message, whatever the receiver does with it.
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::http2::{Decoder, DecoderLimits, Message};
/// use lacewing_hpack::{HeaderField, Sensitivity};
///
/// type List = Vec<(HeaderField, Sensitivity)>;
///
/// let mut decoder = Decoder::<List>::new(DecoderLimits::default());
/// // HEADERS on stream 1, END_STREAM and END_HEADERS; 0x82 is `:method: GET`
/// let mut received = BytesMut::from(&b"\x00\x00\x01\x01\x05\x00\x00\x00\x01\x82"[..]);
/// match decoder.decode(&mut received)? {
///     Some(Message::Headers { stream_id: 1, fin: true, list, .. }) => {
///         // An error here is a list over a limit: a request to refuse.
///         assert_eq!(list?[0].0, HeaderField::new(b":method", b"GET"));
///     }
///     other => unreachable!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<L> {
    /// DATA (RFC 9113 §6.1).
    Data {
        /// The stream, not 0.
        stream_id: u32,
        /// END_STREAM.
        fin: bool,
        /// The content, without padding.
        payload: Bytes,
        /// The flow-controlled length, in bytes, which counts against both windows: the payload,
        /// the padding and the padding length (§6.9.1). The receiver must finally release all of
        /// it.
        flow_controlled_len: u32,
    },
    /// HEADERS with its CONTINUATION frames (RFC 9113 §6.2).
    Headers {
        /// The stream, not 0.
        stream_id: u32,
        /// END_STREAM.
        fin: bool,
        /// The place in the deprecated dependency tree, if given.
        priority: Option<StreamPriority>,
        /// The whole header list, or an error if it exceeds a limit. Refuse the request in this
        /// case; the connection continues.
        list: Result<L, BadList<L>>,
        /// The size of the whole list in bytes, with 32 for each field (§6.5.2), including fields
        /// beyond a limit.
        size: usize,
    },
    /// PRIORITY (RFC 9113 §6.3).
    Priority {
        /// The stream, not 0.
        stream_id: u32,
        /// The place in the deprecated dependency tree.
        priority: StreamPriority,
    },
    /// RST_STREAM (RFC 9113 §6.4).
    RstStream {
        /// The stream, not 0.
        stream_id: u32,
        /// The reason for the end.
        code: ErrorCode,
    },
    /// SETTINGS (RFC 9113 §6.5); every value is in its range. Acknowledge it.
    Settings(Settings),
    /// The peer applied our oldest SETTINGS that it had not acknowledged (RFC 9113 §6.5.3).
    SettingsAck,
    /// PUSH_PROMISE with its CONTINUATION frames (RFC 9113 §6.6).
    PushPromise {
        /// The stream of the request to which the push belongs, not 0.
        stream_id: u32,
        /// The promised stream: even, not 0.
        promised_id: u32,
        /// The whole header list of the promised request, or an error if it exceeds a limit.
        list: Result<L, BadList<L>>,
        /// The size of the whole list in bytes, with 32 for each field, including fields beyond a
        /// limit.
        size: usize,
    },
    /// PING (RFC 9113 §6.7). Answer it.
    Ping {
        /// The payload for the answer.
        payload: [u8; 8],
    },
    /// The answer to a PING of ours (RFC 9113 §6.7).
    PingAck {
        /// The payload of the PING.
        payload: [u8; 8],
    },
    /// GOAWAY (RFC 9113 §6.8).
    GoAway {
        /// The last stream that the peer acted on or may act on.
        last_stream_id: u32,
        /// The reason for the end of the connection.
        code: ErrorCode,
        /// Text or other data for people. Do not trust it.
        debug_data: Bytes,
    },
    /// WINDOW_UPDATE (RFC 9113 §6.9).
    WindowUpdate {
        /// The stream; 0 is the connection.
        stream_id: u32,
        /// Bytes to add to the window, 1 to 2^31-1.
        increment: u32,
    },
    /// ALTSVC (RFC 7838 §4) that a client may use. A server ignores it.
    AltSvc(AltSvc),
    /// ORIGIN (RFC 8336 §2) that a client may use. A server ignores it.
    Origin(Origin),
    /// PRIORITY_UPDATE (RFC 9218 §7.1). A client must not receive one.
    PriorityUpdate {
        /// The stream whose priority is set, not 0.
        prioritized_id: u32,
        /// A value in the syntax of the Priority header field.
        value: Bytes,
    },
    /// A frame to ignore (RFC 9113 §5.5): of an unknown type, or an ALTSVC or ORIGIN that is not
    /// valid in its place. It is reported so that an endpoint can bound the number of such frames.
    Unknown {
        /// The type.
        kind: Kind,
        /// The stream.
        stream_id: u32,
        /// The flags.
        flags: u8,
        /// The length of the payload in bytes.
        len: u32,
    },
}
