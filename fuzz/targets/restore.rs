#![no_main]

#[path = "../../tests/fuzz/restore.rs"]
mod restore;

libfuzzer_sys::fuzz_target!(|data: &[u8]| restore::target(data));
