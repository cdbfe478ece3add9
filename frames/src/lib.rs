//! HTTP/2 and SPDY frames: decodes bytes to frames and encodes frames to bytes, header blocks
//! included.
// The README's examples need both modules.
#![cfg_attr(all(feature = "http2", feature = "spdy"), doc = "\n\n")]
#![cfg_attr(all(feature = "http2", feature = "spdy"), doc = include_str!("../README.md"))]
// docs.rs shows which feature each item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod block_bytes;
#[cfg(feature = "http2")]
pub mod http2;
mod side;
#[cfg(feature = "spdy")]
pub mod spdy;
mod version;

/// Re-exported: the types of this crate's signatures.
pub use bytes;

pub use block_bytes::BlockBytes;
pub use side::Side;
pub use version::{UnknownVersion, Version};
