//! From HTTP/1.1 to raw streams, by `Upgrade: SPDY/3.1` (RFC 9110 §7.8), as
//! `kubectl exec`, `attach` and `port-forward` begin. Raw streams over HTTP/2 begin in the same
//! way, with a name of our own ([`RAW_HTTP2`]).
//!
//! * An existing HTTP/1.1 server uses [`requested`], [`switching`] and
//!   [`choose_stream_protocol`]. It passes the upgraded transport to a
//!   [`Mux`](super::Mux), and the bytes that it read behind the request to
//!   [`MuxConnection::with_input`].
//! * With the feature `upgrade`, `Upgrade` does the HTTP/1.1 part itself, on
//!   either side and over any transport.
//!
//! No frame is sent before the 101 response, and no byte behind it is lost.
//!
//! [`MuxConnection::with_input`]: super::MuxConnection::with_input

#[cfg(feature = "upgrade")]
mod accept;
#[cfg(feature = "upgrade")]
mod config;
#[cfg(feature = "upgrade")]
mod error;
#[cfg(feature = "upgrade")]
mod head;
mod negotiation;
#[cfg(feature = "upgrade")]
mod request;

pub use self::negotiation::{
    ACCEPTED_STREAM_PROTOCOL_VERSIONS, RAW_HTTP2, STREAM_PROTOCOL_VERSION, choose_stream_protocol,
    requested, switching,
};
#[cfg(feature = "upgrade")]
pub use self::{
    accept::Requested,
    config::Upgrade,
    error::UpgradeError,
    request::{Kubernetes, Switched},
};
