#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lacewing_kube_fuzz::channels(input));
