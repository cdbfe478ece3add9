//! SPDY/2, SPDY/3 and SPDY/3.1 frames, at two levels.
//!
//! * [`Frame`] is one frame, exactly as on the wire, with its header block still compressed. A
//!   decoded frame encodes to the same bytes. It is for tools, tests and proxies.
//! * [`Decoder`] and [`Encoder`] own the compression state of a connection, and use [`Message`]s
//!   with header lists. Every received header block goes through the zlib stream, even that of a
//!   rejected frame. The decoder passes DATA on in pieces as they arrive.
//!
//! SPDY/3.1 has the frames of SPDY/3, with the version number 3, and is [`WireVersion::V3`] here. Only
//! the negotiated protocol distinguishes the two. The layer above handles the differences (flow
//! control of the connection, no CREDENTIAL).
//!
//! Sections are those of draft-mbelshe-httpbis-spdy-00, which is SPDY/3. SPDY/2 is the page "SPDY
//! Protocol - Draft 2" of The Chromium Projects.
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use lacewing_frames::spdy::{
//!     Compression, Decoder, DecoderLimits, Encoder, Message, SynStreamHead, WireVersion,
//! };
//!
//! let mut wire = BytesMut::new();
//! let mut encoder = Encoder::new(WireVersion::V3, Compression::default());
//! let head = SynStreamHead { fin: true, ..SynStreamHead::new(1) };
//! encoder.syn_stream(&mut wire, head, |block| {
//!     block.field(b":method", [b"GET"]);
//!     block.field(b":path", [b"/"]);
//! })?;
//!
//! let mut decoder: Decoder<Vec<(Bytes, Bytes)>> =
//!     Decoder::new(WireVersion::V3, DecoderLimits::default());
//! let Some(Message::SynStream { stream_id: 1, fin: true, block, .. }) = decoder.decode(&mut wire)?
//! else {
//!     unreachable!("the encoder wrote SYN_STREAM");
//! };
//! assert_eq!(block.list?[1], (Bytes::from(":path"), Bytes::from("/")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod credential;
mod data;
mod decoder;
mod encoder;
mod error;
mod error_code;
mod frame;
mod go_away;
mod head;
mod headers;
mod message;
mod noop;
mod ping;
mod rst_stream;
mod settings;
mod syn_reply;
mod syn_stream;
mod unknown;
mod window_update;

pub use lacewing_spdy_zlib::{
    BlockEncoder, Compression, Exceeded, HeaderError, ListLimits, SpareDeflater, SpareInflater,
    Values, WireVersion,
};

pub use credential::Credential;
pub use data::Data;
pub use decoder::{Decoder, DecoderLimits};
pub use encoder::Encoder;
pub use error::{DecodeError, EncodeError, Scope};
pub use error_code::{ErrorCode, GoAwayStatus};
pub use frame::Frame;
pub use go_away::GoAway;
pub use head::{FrameHead, Kind, flags};
pub use headers::Headers;
pub use message::{BadList, Block, HeaderList, Message};
pub use noop::Noop;
pub use ping::Ping;
pub use rst_stream::RstStream;
pub use settings::{Setting, SettingId, Settings};
pub use syn_reply::SynReply;
pub use syn_stream::{SynStream, SynStreamHead};
pub use unknown::Unknown;
pub use window_update::WindowUpdate;
