#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lacewing_hpack_fuzz::nghttp2::run(input));
