// The README shows the driver, which needs the feature.
#![cfg_attr(feature = "tokio", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "tokio"),
    doc = "HTTP/2 and SPDY connections: the engine alone."
)]
// docs.rs shows which feature each item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(feature = "npn"), forbid(unsafe_code))]
#![cfg_attr(feature = "npn", deny(unsafe_code))]

mod error;
pub mod proto;

#[cfg(feature = "tokio")]
pub mod driver;
// The only module of the libraries that may: OpenSSL's functions for NPN have
// no safe wrapper elsewhere.
#[cfg(feature = "npn")]
#[allow(unsafe_code)]
pub mod npn;

/// The types of the signatures here.
pub use bytes;
/// The types of the signatures here.
pub use http;

pub use error::{BoxError, Error, Initiator};
/// The protocols and the two ends of a connection.
pub use lacewing_frames::{Side, Version};
pub use proto::{Limits, Reason, SharedLimits};
