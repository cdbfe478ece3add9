#![doc = include_str!("../README.md")]
// docs.rs shows which feature each item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod acceptor;
mod address;
#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "live")]
mod board;
mod body;
mod commands;
mod connection;
mod connection_info;
mod connections;
mod content;
mod date;
mod delivery;
mod detect;
mod error;
mod event;
mod exchange;
mod h2c;
#[cfg(feature = "http1")]
mod http1;
#[cfg(feature = "http1")]
mod http1_transport;
#[cfg(feature = "tls")]
mod identity;
mod inform;
mod listener;
#[cfg(feature = "live")]
pub mod live;
mod make;
mod multiplexed;
#[cfg(feature = "npn")]
pub mod npn;
mod options;
mod outgoing;
mod protocol;
mod push;
mod rewind;
mod running;
mod server;
mod service;
mod shutdown;
mod socket;
mod telemetry;
mod threads;
#[cfg(feature = "tls")]
mod tls;
mod tunnel;

pub use acceptor::Acceptor;
pub use address::{Address, Credentials, Endpoints, UnixAddress};
pub use body::RequestBody;
pub use connection::{Serving, serve_connection};
pub use connection_info::{ConnectionInfo, TlsInfo};
pub use delivery::{Delivery, InformError, PushError, PushRule};
pub use detect::{DetectError, Detected, detect, sniff};
pub use error::{ServeError, StartError};
pub use event::{ServerEvent, StreamError};
pub use h2c::H2cUpgrade;
#[cfg(feature = "tls")]
pub use identity::{Identity, IdentityError, IdentityProblem};
pub use inform::Informer;
pub(crate) use options::ConnectionOptions;
pub use options::{DateHeader, Extension, ServerOptions, Spawn};
pub use protocol::{Protocol, UnknownProtocol};
pub use push::{PushedRequest, Pusher};
pub use rewind::Rewind;
pub use server::{Server, ServerBuilder};
pub use service::{HttpService, ServiceFn, service_fn};
pub use shutdown::{Shutdown, ShutdownSignal};
pub use socket::Socket;
pub use tunnel::{ConnectRequest, TunnelError, tunnel};

pub use lacewing_conn::{
    BoxError, Error, Initiator, Limits, Reason, Side, Version,
    driver::{Alarm, ConnectionConfig, MemoryBudget, MemoryStats, MemoryStep, Tunnel, TunnelBody},
    proto::{
        ConnectProtocol, ConnectionStats, ExtendedConnect, HeaderCompression, PersistentSettings,
        Rate, Setting, StreamId, WindowPool,
    },
};

/// The TLS library whose types [`ServerBuilder::bind_tls`](ServerBuilder#method.bind_tls)
/// has in its signature, so that users need no second dependency at the same
/// version.
#[cfg(feature = "tls")]
pub use rustls;
