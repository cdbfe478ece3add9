#![doc = include_str!("../README.md")]
// docs.rs shows which feature each item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

#[cfg(feature = "http1")]
mod absolute_form;
mod age;
mod alternative_services;
mod body;
mod client;
mod connect;
mod connection;
mod error;
mod exchange;
#[cfg(feature = "http1")]
mod http1;
mod informational;
mod link;
#[cfg(feature = "npn")]
pub mod npn;
mod options;
mod origin;
mod pool;
mod priority;
mod pushes;
mod response;
mod retry;
mod service;
mod spare;
mod spdy_settings;
mod stats;
mod stream_limit;
mod telemetry;
#[cfg(feature = "tls")]
pub mod tls;
mod tls_failure;
#[cfg(any(feature = "tls", feature = "npn"))]
mod tls_time;
mod transport;
#[cfg(any(feature = "tls", feature = "npn"))]
mod trust;
mod tunnel;
#[cfg(feature = "h2c")]
mod upgrade;

#[cfg(feature = "http1")]
pub use absolute_form::AbsoluteForm;
pub use alternative_services::AlternativeService;
pub use body::{Body, BodyError};
pub use client::{Client, ClientBuilder, ClientResponse};
#[cfg(unix)]
pub use connect::Unix;
pub use connect::{
    AddressErrors, Connect, Connecting, Connector, Dial, DialFn, Dialed, Dialing, Resolve,
    ResolveError, ResolveFn, Resolving, Tcp, dial_fn, resolve_fn,
};
pub use connection::Connection;
pub use error::{ClientError, GivenUp, RequestError};
pub use informational::OnInformational;
pub use lacewing_conn::{
    BoxError, Error, Initiator, Limits, Reason, Side, Version,
    driver::{ConnectionConfig, Incoming, MemoryBudget, MemoryStats, MemoryStep, Tunnel},
    proto::{
        ConnectProtocol, ConnectionStats, HeaderCompression, Priority, Rate, Rule, Setting,
        WindowPool,
    },
};
pub use options::ClientOptions;
pub use origin::{Origin, Security};
pub use priority::PriorityHandle;
pub use pushes::{PushPolicy, Pushed, Pushes};
pub use response::ResponseFuture;
/// The TLS library, for [`tls_config`](ClientBuilder::tls_config).
#[cfg(feature = "tls")]
pub use rustls;
pub use service::ForBody;
pub use spdy_settings::{EarlierSettings, MemorySettings, SettingsKey, SettingsStore};
pub use stream_limit::{Concurrency, Streams};
pub use transport::{Connected, Transport};
#[cfg(any(feature = "tls", feature = "npn"))]
pub use trust::Trust;
