//! The protocol: bytes to requests, and replies to bytes. No I/O happens here.

pub mod reply;
