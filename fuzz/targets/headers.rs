#![no_main]

#[path = "../../tests/fuzz/headers.rs"]
mod headers;

libfuzzer_sys::fuzz_target!(|data: &[u8]| headers::target(data));
