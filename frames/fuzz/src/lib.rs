//! The fuzz targets of `lacewing-frames`, as functions. `fuzz_targets` has a program for each.

pub mod http2_decode;
pub mod http2_round_trip;
pub mod spdy_decode;
pub mod spdy_round_trip;
