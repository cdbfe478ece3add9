//! The results of the stateful decoder: frames with header lists in place of header blocks.

use core::error::Error;
use core::fmt;

use bytes::Bytes;

use super::{
    Credential, Exceeded, GoAway, HeaderError, Noop, Ping, RstStream, Settings, Unknown, Values,
    WindowUpdate,
};

/// A received frame, its header block decompressed.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::spdy::{Decoder, DecoderLimits, Message, Ping, WireVersion};
///
/// let mut decoder: Decoder<Vec<(Bytes, Bytes)>> =
///     Decoder::new(WireVersion::V2, DecoderLimits::default());
/// let mut wire = BytesMut::from(&b"\x80\x02\x00\x06\x00\x00\x00\x04\0\0\0\x01"[..]);
/// assert_eq!(decoder.decode(&mut wire)?, Some(Message::Ping(Ping::new(1))));
/// # Ok::<(), lacewing_frames::spdy::DecodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<L> {
    /// Opens a stream (section 2.6.1).
    SynStream {
        /// The stream, not 0.
        stream_id: u32,
        /// The associated stream, for server push, or 0.
        associated: u32,
        /// 0 is the most urgent; up to 3 in SPDY/2 and 7 in SPDY/3.
        priority: u8,
        /// The index of a client certificate, 0 for none. Ignore it except in SPDY/3.
        slot: u8,
        /// The sender's last frame of the stream.
        fin: bool,
        /// The receiver must not reply. spdy-transport does not set the flag on pushes.
        unidirectional: bool,
        /// The header list.
        block: Block<L>,
    },
    /// Accepts a stream (section 2.6.2).
    SynReply {
        /// The stream, not 0.
        stream_id: u32,
        /// The sender's last frame of the stream.
        fin: bool,
        /// The header list.
        block: Block<L>,
    },
    /// Carries more header fields (section 2.6.7).
    Headers {
        /// The stream, not 0.
        stream_id: u32,
        /// The sender's last frame of the stream.
        fin: bool,
        /// The header list.
        block: Block<L>,
    },
    /// A piece of a DATA frame (section 2.2.2), as it was received.
    Data {
        /// The stream.
        stream_id: u32,
        /// The piece. Empty only for a frame without payload.
        payload: Bytes,
        /// This is the last piece of the sender's last frame of the stream.
        fin: bool,
        /// The bytes of the frame that are not yet received: 0 with the last piece.
        remaining: u32,
        /// Flag bits other than FIN.
        undefined_flags: u8,
    },
    /// Ends a stream abnormally (section 2.6.3).
    RstStream(RstStream),
    /// Parameters of the peer (section 2.6.4).
    Settings(Settings),
    /// No meaning (SPDY/2).
    Noop(Noop),
    /// A PING to send back, or an answer (section 2.6.5).
    Ping(Ping),
    /// Ends the acceptance of new streams (section 2.6.6).
    GoAway(GoAway),
    /// Returns flow-control credit (section 2.6.8).
    WindowUpdate(WindowUpdate),
    /// Carries a client certificate (section 2.6.9).
    Credential(Credential),
    /// A frame to ignore: of an undefined type, or of another version.
    Unknown(Unknown),
}

/// A decompressed header block.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::spdy::{
///     Compression, Decoder, DecoderLimits, Encoder, Message, WireVersion,
/// };
///
/// let mut wire = BytesMut::new();
/// let mut encoder = Encoder::new(WireVersion::V3, Compression::default());
/// encoder.headers(&mut wire, 1, true, |block| {
///     block.field(b"x-sum", [b"42"]);
/// })?;
///
/// let mut decoder: Decoder<Vec<(Bytes, Bytes)>> =
///     Decoder::new(WireVersion::V3, DecoderLimits::default());
/// let Some(Message::Headers { block, .. }) = decoder.decode(&mut wire)? else {
///     unreachable!("that is what was sent");
/// };
/// // An error here is a list that breaks a rule or exceeds a limit: a stream to reset.
/// assert_eq!(block.list?, [(Bytes::from("x-sum"), Bytes::from("42"))]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Block<L> {
    /// The whole header list, or an error if it breaks a rule or exceeds a limit. Refuse or reset
    /// the stream in this case; the connection continues.
    pub list: Result<L, BadList<L>>,
    /// The bytes of names and values of the fields that were passed on, and 32 for each.
    pub size: usize,
}

impl<L> Block<L> {
    /// The received fields, even of a bad list. Show them, but do not act on them.
    pub fn fields(&self) -> &L {
        self.list.as_ref().unwrap_or_else(|bad| &bad.fields)
    }
}

/// A header list that breaks a rule, or was truncated where it exceeds a limit. The compression
/// state still agrees with the peer's.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::spdy::{
///     Compression, Decoder, DecoderLimits, Encoder, HeaderError, Message, WireVersion,
/// };
///
/// let mut wire = BytesMut::new();
/// let mut encoder = Encoder::new(WireVersion::V3, Compression::default());
/// encoder.headers(&mut wire, 1, true, |block| {
///     block.field(b"Upper", [b"1"]);
/// })?;
///
/// let mut decoder: Decoder<Vec<(Bytes, Bytes)>> =
///     Decoder::new(WireVersion::V3, DecoderLimits::default());
/// let Some(Message::Headers { block, .. }) = decoder.decode(&mut wire)? else {
///     unreachable!("that is what was sent");
/// };
/// assert_eq!(block.list.unwrap_err().malformed, Some(HeaderError::UppercaseName));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadList<L> {
    /// The fields before the limit. Fields that break a rule are as they were received.
    pub fields: L,
    /// The first rule that the list breaks: reset the stream with PROTOCOL_ERROR.
    pub malformed: Option<HeaderError>,
    /// The limit that truncated the list.
    pub exceeded: Option<Exceeded>,
}

impl<L> fmt::Display for BadList<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.malformed, self.exceeded) {
            (Some(error), _) => error.fmt(f),
            (None, Some(error)) => error.fmt(f),
            (None, None) => f.write_str("header list breaks a rule or exceeds a limit"),
        }
    }
}

impl<L: fmt::Debug> Error for BadList<L> {}

/// Collects the fields of a header block, in wire order.
///
/// ```
/// use lacewing_frames::spdy::{HeaderList, Values};
///
/// /// Keeps the path alone.
/// #[derive(Default)]
/// struct Path(Option<Vec<u8>>);
///
/// impl HeaderList for Path {
///     fn push(&mut self, name: &[u8], values: Values<'_>) {
///         if name == b":path" {
///             self.0 = values.single().map(<[u8]>::to_vec);
///         }
///     }
/// }
/// ```
pub trait HeaderList: Default {
    /// Adds a field. Names and values may break the rules of [`BadList::malformed`].
    fn push(&mut self, name: &[u8], values: Values<'_>);
}

/// Names and values as on the wire: NUL joins the values.
impl HeaderList for Vec<(Bytes, Bytes)> {
    fn push(&mut self, name: &[u8], values: Values<'_>) {
        Vec::push(
            self,
            (
                Bytes::copy_from_slice(name),
                Bytes::copy_from_slice(values.joined()),
            ),
        );
    }
}
