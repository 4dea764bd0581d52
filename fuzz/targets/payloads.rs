#![no_main]

#[path = "../../tests/fuzz/payloads.rs"]
mod payloads;

libfuzzer_sys::fuzz_target!(|data: &[u8]| payloads::target(data));
