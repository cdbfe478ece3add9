#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod announced;
mod body;
mod client;
mod concurrency;
mod connect;
mod connection;
mod error;
mod exchange;
mod informational;
#[cfg(feature = "npn")]
pub mod npn;
mod origin;
mod persistence;
mod pool;
mod priority;
mod pushes;
mod stats;
mod telemetry;
#[cfg(feature = "tls")]
pub mod tls;
mod tunnel;
#[cfg(feature = "h2c")]
mod upgrade;

pub use announced::AlternativeService;
pub use body::{Body, BodyError};
pub use client::{Builder, Client, ClientResponse};
pub use concurrency::{Concurrency, Streams};
pub use connect::{Connect, Connected, Connecting, Connector, Transport};
pub use connection::{Connection, ConnectionConfig, ResponseFuture};
pub use error::{BoxError, Error, RequestError};
pub use informational::OnInformational;
pub use lacewing_conn::{
    Error as ConnectionError, Initiator, Limits, Reason, Side, Version,
    driver::{Incoming, Tunnel},
    proto::{ConnectionStats, HeaderCompression, Priority, Protocol, Rate, Setting, WindowPool},
};
pub use origin::{Origin, Security};
pub use persistence::{MemorySettings, SettingsKey, SettingsStore};
pub use priority::PriorityHandle;
pub use pushes::{PushPolicy, Pushed, Pushes};
