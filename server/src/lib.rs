#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod body;
mod connection;
mod date;
mod detect;
mod error;
mod event;
mod exchange;
#[cfg(feature = "http1")]
mod http1;
mod listener;
mod options;
mod protocol;
mod rewind;
mod server;
mod service;
mod shutdown;
#[cfg(feature = "tls")]
mod tls;

pub use body::Incoming;
pub use connection::{Serving, serve_connection};
pub use detect::{DetectError, Detected, detect, sniff};
pub use error::{ConnectionError, StartError};
pub use event::{Event, StreamError};
pub use options::{DateHeader, InfoExtension, Options, Spawn};
pub use protocol::{ConnectionInfo, Protocol, UnknownProtocol};
pub use rewind::Rewind;
pub use server::{Builder, Server};
pub use service::{HttpService, ServiceFn, service_fn};
pub use shutdown::{Shutdown, ShutdownSignal};

pub use lacewing_conn::{
    Error, Initiator, Limits, Reason, Side, Version,
    proto::{HeaderCompression, Rate, StreamId},
};

/// An error of any type, of a handler or of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
