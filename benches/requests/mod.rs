//! Requests as clients send them.

#[path = "../../tests/support/request.rs"]
mod request;

pub(crate) use request::encode;

/// A line of words as a request.
pub(crate) fn request(line: &str) -> Vec<u8> {
    encode(&line.split(' ').collect::<Vec<_>>())
}
