//! The fuzz targets of `lacewing-hpack`, as functions. `fuzz_targets` has a program for each.

pub mod decode;
pub mod huffman;
pub mod nghttp2;
pub mod round_trip;
