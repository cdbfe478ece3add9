// The README shows the driver, which needs the feature.
#![cfg_attr(feature = "tokio", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "tokio"),
    doc = "HTTP/2 and SPDY connections: the engine alone."
)]
#![forbid(unsafe_code)]

mod error;
pub mod proto;

#[cfg(feature = "tokio")]
pub mod driver;

pub use error::{Error, Initiator};
pub use proto::{Limits, Reason, Side, Version};
