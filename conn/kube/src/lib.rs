#![doc = include_str!("../README.md")]
// docs.rs shows which feature each item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

#[cfg(any(feature = "server", feature = "client"))]
mod activity;
mod command_streams;
mod error;
mod limits;
mod outcome;
mod protocol;
mod status;
mod stream_headers;
mod terminal_size;
#[cfg(all(feature = "websocket", any(feature = "server", feature = "client")))]
mod websocket;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "cri")]
pub mod cri;
#[cfg(feature = "server")]
pub mod server;

pub use command_streams::{CommandStreams, Terminal};
pub use error::KubeError;
pub use limits::{Activity, KubeLimits};
pub use outcome::CommandOutcome;
pub use protocol::{
    ChannelEncoding, PortForwardProtocol, RemoteCommandProtocol, WebSocketProtocol,
};
pub use status::{StatusCollector, StatusError};
pub use stream_headers::{StreamHeaderError, StreamHeaders, StreamType};
pub use terminal_size::{TerminalSize, TerminalSizeDecoder};
