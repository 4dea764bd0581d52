//! Bytes that nobody would write, given to everything that reads bytes from outside.
//!
//! A target is a function of bytes that panics if a promise is broken. Each runs over the inputs in
//! `corpus/<target>` and over mutations of them for FUZZ_SECONDS (2 unless said otherwise). SEED
//! makes the same mutations again. An input that broke something belongs into the corpus.

mod driver;
mod globs;
mod headers;
mod libraries;
mod mutation;
mod payloads;
mod replies;
mod requests;
mod restore;
mod sessions;
#[path = "../script/support.rs"]
#[allow(dead_code, reason = "the host has more than a target needs")]
mod support;

/// Counts, so that what commands ask for can be limited.
#[global_allocator]
static ALLOCATOR: darter::memory::Allocator = darter::memory::Allocator;

#[test]
fn requests_are_the_same_however_they_arrive() {
    driver::run("requests", requests::target);
}

#[test]
fn globs_match_what_their_definition_says() {
    driver::run("globs", globs::target);
}

#[test]
fn headers_give_flags_that_go_together() {
    driver::run("headers", headers::target);
}

#[test]
fn what_libraries_decode_they_encode_and_decode_alike() {
    driver::run("libraries", libraries::target);
}

#[test]
fn commands_are_answered_and_the_session_goes_on() {
    driver::run("sessions", sessions::target);
}

#[test]
fn payloads_are_read_as_they_are_written() {
    driver::run("payloads", payloads::target);
}

#[test]
fn values_come_of_payloads_whole_or_not_at_all() {
    driver::run("restore", restore::target);
}
