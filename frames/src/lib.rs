#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "http2")]
pub mod http2;
#[cfg(feature = "spdy")]
pub mod spdy;
