#![no_main]

#[path = "../../tests/fuzz/replies.rs"]
mod replies;
#[path = "../../tests/fuzz/sessions.rs"]
mod sessions;

/// Counts, so that what commands ask for can be limited.
#[global_allocator]
static ALLOCATOR: darter::memory::Allocator = darter::memory::Allocator;

libfuzzer_sys::fuzz_target!(|data: &[u8]| sessions::target(data));
