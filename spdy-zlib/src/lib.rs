#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod block;
mod decoder;
mod deflate;
mod dictionary;
mod encoder;
mod error;
mod inflate;
mod whole_field;

pub use block::{Values, ValuesIter, Version};
pub use decoder::{Decoder, ListLimits, Summary};
pub use encoder::{BlockEncoder, Compression, Encoder};
pub use error::{DecodeError, EncodeError, Exceeded, HeaderError};
