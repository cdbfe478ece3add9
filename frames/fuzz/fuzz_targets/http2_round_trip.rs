#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lacewing_frames_fuzz::http2_round_trip::run(input));
