#![no_main]

#[path = "../../tests/fuzz/requests.rs"]
mod requests;

libfuzzer_sys::fuzz_target!(|data: &[u8]| requests::target(data));
