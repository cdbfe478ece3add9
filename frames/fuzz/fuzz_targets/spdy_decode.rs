#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lacewing_frames_fuzz::spdy_decode::run(input));
