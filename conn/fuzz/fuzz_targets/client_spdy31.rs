#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lacewing_conn_fuzz::client_spdy31(input));
