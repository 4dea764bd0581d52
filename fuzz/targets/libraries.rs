#![no_main]

#[path = "../../tests/fuzz/libraries.rs"]
mod libraries;
#[path = "../../tests/script/support.rs"]
#[allow(dead_code, reason = "the host has more than a target needs")]
mod support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| libraries::target(data));
