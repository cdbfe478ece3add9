#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lacewing_conn_fuzz::server_spdy3(input));
