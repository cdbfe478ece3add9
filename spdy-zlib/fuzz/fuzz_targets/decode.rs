#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lacewing_spdy_zlib_fuzz::decode::run(input));
