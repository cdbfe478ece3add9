//! HTTP/2 frames (RFC 9113), at two levels.
//!
//! * [`Frame`]: single frames, exactly as on the wire, with compressed header blocks. For tools,
//!   tests and captures.
//! * [`Decoder`] and [`Encoder`]: the two halves of an open connection. They own the HPACK tables,
//!   join and split header blocks, and apply the limits against hostile peers. Their callers see
//!   whole header lists, and cannot skip one.
//!
//! Neither level knows streams, windows or the order of frames on a connection: the engine does.
//!
//! ```
//! use bytes::BytesMut;
//! use lacewing_frames::http2::{
//!     Decoder, DecoderLimits, Encoder, HeaderField, HeadersHead, Message, Sensitivity,
//! };
//!
//! let mut wire = BytesMut::new();
//! Encoder::new().headers(&mut wire, HeadersHead::new(1, true), |block| {
//!     block.field(b":method", b"GET", Sensitivity::Normal);
//!     block.field(b":path", b"/", Sensitivity::Normal);
//! });
//!
//! let mut decoder = Decoder::<Vec<(HeaderField, Sensitivity)>>::new(DecoderLimits::default());
//! let Some(Message::Headers { stream_id: 1, fin: true, list, .. }) = decoder.decode(&mut wire)?
//! else {
//!     unreachable!("the encoder wrote HEADERS");
//! };
//! assert_eq!(list?[1].0, HeaderField::new(b":path", b"/"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alt_svc;
mod continuation;
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
mod origin;
mod padding;
mod ping;
mod priority;
mod priority_update;
mod push_promise;
mod rst_stream;
mod settings;
mod unknown;
mod window_update;

pub use lacewing_hpack::{
    BlockEncoder, EncoderConfig, ExceededLimit, Field, HeaderField, Sensitivity,
};

pub use alt_svc::AltSvc;
pub use continuation::Continuation;
pub use data::Data;
pub use decoder::{Decoder, DecoderLimits};
pub use encoder::{Encoder, HeadersHead, PushPromiseHead};
pub use error::{DecodeError, EncodeError, Scope};
pub use error_code::ErrorCode;
pub use frame::Frame;
pub use go_away::GoAway;
pub use head::{FrameHead, Kind, flags};
pub use headers::Headers;
pub use message::{BadList, HeaderList, Message};
pub use origin::Origin;
pub use ping::Ping;
pub use priority::{Priority, StreamPriority};
pub use priority_update::PriorityUpdate;
pub use push_promise::PushPromise;
pub use rst_stream::RstStream;
pub use settings::{Setting, SettingId, Settings};
pub use unknown::Unknown;
pub use window_update::WindowUpdate;

/// The connection preface of a client. Its first frame, SETTINGS, follows (RFC 9113 §3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
