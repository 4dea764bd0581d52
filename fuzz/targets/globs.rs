#![no_main]

#[path = "../../tests/fuzz/globs.rs"]
mod globs;

libfuzzer_sys::fuzz_target!(|data: &[u8]| globs::target(data));
