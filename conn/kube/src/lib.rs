// The README shows both sides, which need features.
#![cfg_attr(
    all(feature = "cp", feature = "cri", feature = "process", feature = "websocket"),
    doc = include_str!("../README.md")
)]
#![cfg_attr(
    not(all(
        feature = "cp",
        feature = "cri",
        feature = "process",
        feature = "websocket"
    )),
    doc = "Kubernetes' exec, attach, port-forward and cp, over SPDY/3.1, WebSocket and HTTP/2."
)]
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
#[cfg(any(feature = "server", feature = "client"))]
mod raw_connection;
#[cfg(any(feature = "server", feature = "client"))]
mod relay;
#[cfg(any(feature = "server", feature = "client"))]
mod sink;
mod stream_headers;
mod terminal_size;
#[cfg(all(feature = "websocket", any(feature = "server", feature = "client")))]
mod websocket;

#[cfg(all(feature = "client", feature = "server"))]
pub mod bridge;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "cri")]
pub mod cri;
#[cfg(feature = "server")]
pub mod server;

pub use command_streams::{CommandStreams, Terminal};
pub use error::KubeError;
pub use limits::{Activity, KubeLimits};
pub use outcome::{CommandOutcome, StatusCollector, StatusError};
pub use protocol::{
    ChannelEncoding, PortForwardProtocol, RemoteCommandProtocol, WebSocketProtocol,
};
pub use stream_headers::{StreamHeaderError, StreamHeaders, StreamType};
pub use terminal_size::{TerminalSize, TerminalSizeDecoder};
