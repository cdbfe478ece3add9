//! The fuzz targets of `lacewing-spdy-zlib`, as functions. `fuzz_targets` has a program for each.

pub mod decode;
pub mod list;
pub mod round_trip;
pub mod zlib;
