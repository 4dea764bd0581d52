//! The protocol: bytes to requests, and replies to bytes. No I/O happens here.

pub mod encode;
pub mod extended;
pub mod number;
pub mod parser;
pub mod reply;
