#![doc = include_str!("../README.md")]
// docs.rs shows which feature each item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod block;
mod decoder;
mod deflate;
mod dictionary;
mod encoder;
mod error;
mod inflate;
mod list;
mod received;
mod whole_field;

/// The types of the signatures here.
pub use bytes;

pub use block::{Values, ValuesIter, WireVersion};
pub use decoder::Decoder;
pub use encoder::{BlockEncoder, Compression, Encoder, SpareDeflater};
pub use error::{DecodeError, EncodeError, Exceeded, HeaderError, ListError};
pub use inflate::SpareInflater;
pub use list::{ListLimits, Summary};
