//! HPACK: the header compression of HTTP/2 ([RFC 7541]), both directions.
//!
//! A [`Decoder`] turns header blocks into header fields; an [`Encoder`] does the
//! reverse. Both hold a dynamic table. Use one of each per connection and
//! direction. Every block that the peer sends must go through the decoder, in
//! order, even that of a refused stream.
//!
//! ```
//! use lacewing_hpack::bytes::BytesMut;
//! use lacewing_hpack::{Decoder, Encoder, HeaderField, ListLimits, Sensitivity};
//!
//! let mut block = BytesMut::new();
//! let mut encoder = Encoder::new();
//! let mut fields = encoder.block(&mut block);
//! fields.field(b":method", b"GET", Sensitivity::Normal);
//! fields.field(b"authorization", b"Basic Zm9vOmJhcg==", Sensitivity::Sensitive);
//! drop(fields);
//!
//! let mut decoder = Decoder::<HeaderField>::new(4096);
//! let list = decoder.decode_to_vec(&block, ListLimits::default())?;
//! assert_eq!(list[0], (HeaderField::new(b":method", b"GET"), Sensitivity::Normal));
//! assert_eq!(list[1].1, Sensitivity::Sensitive);
//! # Ok::<(), lacewing_hpack::DecodeError>(())
//! ```
//!
//! [RFC 7541]: https://www.rfc-editor.org/rfc/rfc7541

// docs.rs shows which feature each item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![no_std]

extern crate alloc;

pub mod huffman;

mod decoder;
mod dynamic_table;
mod encoder;
mod error;
mod field;
mod index;
mod integer;
mod list;
mod static_table;
mod string;

/// The types of the signatures here.
pub use bytes;

pub use decoder::Decoder;
pub use encoder::{BlockEncoder, Encoder, EncoderConfig, Indexing, LastEntry, StringCoding};
pub use error::DecodeError;
pub use field::{Field, FieldSink, HeaderField, Sensitivity};
pub use list::{ExceededLimit, ListLimits, Summary};
pub use static_table::StaticIndex;

/// The size of a dynamic table before a setting changes it
/// (`SETTINGS_HEADER_TABLE_SIZE`, RFC 9113, section 6.5.2), in bytes.
pub const DEFAULT_TABLE_SIZE: usize = 4096;

/// The overhead of a header field beyond its name and value (RFC 7541,
/// section 4.1), in bytes.
pub const FIELD_OVERHEAD: usize = 32;

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
