#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::forward_auth::decide(input));
